/*
 * sql_held.c - a sealed database of which only the open file is left
 *
 * A file system for SQLite (https://www.sqlite.org/vfs.html) with one file,
 * which is read and never locked.  It is known to SQLite only while the
 * connection is made.  All else, such as files to sort in, is the system's.
 */
#include "sql_held.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct at_sql_held {
    sqlite3_vfs vfs;
    sqlite3_vfs *system;
    int fd;
    char name[32];
};

struct file {
    sqlite3_file base;
    int fd;
};

static int fd_of(sqlite3_file *f)
{
    return ((struct file *)f)->fd;
}

static int close_file(sqlite3_file *f)
{
    return close(fd_of(f)) == 0 ? SQLITE_OK : SQLITE_IOERR_CLOSE;
}

/* SQLite wants what is not there as zeros. */
static int read_file(sqlite3_file *f, void *buf, int n, sqlite3_int64 offset)
{
    int got = 0;

    while (got < n) {
        const ssize_t r = pread(fd_of(f), (char *)buf + got, (size_t)(n - got),
                                offset + got);

        if (r < 0 && errno == EINTR)
            continue;
        if (r < 0)
            return SQLITE_IOERR_READ;
        if (r == 0)
            break;
        got += (int)r;
    }
    memset((char *)buf + got, 0, (size_t)(n - got));
    return got == n ? SQLITE_OK : SQLITE_IOERR_SHORT_READ;
}

static int no_write(sqlite3_file *f, const void *buf, int n,
                    sqlite3_int64 offset)
{
    (void)f, (void)buf, (void)n, (void)offset;
    return SQLITE_READONLY;
}

static int no_truncate(sqlite3_file *f, sqlite3_int64 size)
{
    (void)f, (void)size;
    return SQLITE_READONLY;
}

static int size_of(sqlite3_file *f, sqlite3_int64 *size)
{
    struct stat st;

    if (fstat(fd_of(f), &st) != 0)
        return SQLITE_IOERR_FSTAT;
    *size = st.st_size;
    return SQLITE_OK;
}

/* To sync, lock and unlock what never changes */
static int nothing(sqlite3_file *f, int how)
{
    (void)f, (void)how;
    return SQLITE_OK;
}

static int nobody_locks(sqlite3_file *f, int *locked)
{
    (void)f;
    *locked = 0;
    return SQLITE_OK;
}

static int no_control(sqlite3_file *f, int op, void *arg)
{
    (void)f, (void)op, (void)arg;
    return SQLITE_NOTFOUND;
}

static int default_sector(sqlite3_file *f)
{
    (void)f;
    return 0;
}

static int traits(sqlite3_file *f)
{
    (void)f;
    return SQLITE_IOCAP_IMMUTABLE;
}

static const sqlite3_io_methods methods = {
    .iVersion = 1,
    .xClose = close_file,
    .xRead = read_file,
    .xWrite = no_write,
    .xTruncate = no_truncate,
    .xSync = nothing,
    .xFileSize = size_of,
    .xLock = nothing,
    .xUnlock = nothing,
    .xCheckReservedLock = nobody_locks,
    .xFileControl = no_control,
    .xSectorSize = default_sector,
    .xDeviceCharacteristics = traits,
};

static int open_file(sqlite3_vfs *vfs, const char *name, sqlite3_file *f,
                     int flags, int *flags_out)
{
    const struct at_sql_held *held = vfs->pAppData;

    if ((flags & SQLITE_OPEN_MAIN_DB) == 0)
        return held->system->xOpen(held->system, name, f, flags, flags_out);
    f->pMethods = NULL;
    ((struct file *)f)->fd = fcntl(held->fd, F_DUPFD_CLOEXEC, 0);
    if (fd_of(f) < 0)
        return SQLITE_CANTOPEN;
    f->pMethods = &methods;
    if (flags_out != NULL)
        *flags_out = SQLITE_OPEN_READONLY;
    return SQLITE_OK;
}

/* A journal, say: there is none. */
static int is_absent(sqlite3_vfs *vfs, const char *name, int flags, int *there)
{
    (void)vfs, (void)name, (void)flags;
    *there = 0;
    return SQLITE_OK;
}

static int same_name(sqlite3_vfs *vfs, const char *name, int n, char *full)
{
    (void)vfs;
    return snprintf(full, (size_t)n, "%s", name) < n ? SQLITE_OK
                                                     : SQLITE_CANTOPEN;
}

static void fill_in(struct at_sql_held *held, int fd)
{
    held->fd = fd;
    held->vfs = *held->system;
    held->vfs.pNext = NULL;
    held->vfs.pAppData = held;
    held->vfs.zName = held->name;
    held->vfs.xOpen = open_file;
    held->vfs.xAccess = is_absent;
    held->vfs.xFullPathname = same_name;
    if (held->vfs.szOsFile < (int)sizeof(struct file))
        held->vfs.szOsFile = (int)sizeof(struct file);
    snprintf(held->name, sizeof(held->name), "at-held-%p", (void *)held);
}

int at_sql_held_open(sqlite3 **db, struct at_sql_held **out, int fd,
                     const char *name)
{
    struct at_sql_held *held = calloc(1, sizeof(*held));
    int r;

    *out = held;
    if (held == NULL)
        return SQLITE_NOMEM;
    held->system = sqlite3_vfs_find(NULL);
    fill_in(held, fd);
    r = sqlite3_vfs_register(&held->vfs, 0);
    if (r == SQLITE_OK)
        r = sqlite3_open_v2(
            name, db, SQLITE_OPEN_READONLY | SQLITE_OPEN_NOMUTEX, held->name);
    sqlite3_vfs_unregister(&held->vfs);
    return r;
}

void at_sql_held_close(struct at_sql_held *held)
{
    free(held);
}
