/*
 * files.c - directories and names, made to last
 */
#include "files.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "errors.h"

char *at_path_join(const char *dir, const char *name)
{
    char *path;

    return asprintf(&path, "%s/%s", dir, name) < 0 ? NULL : path;
}

char *at_path_append(const char *path, const char *more)
{
    char *both;

    return asprintf(&both, "%s%s", path, more) < 0 ? NULL : both;
}

static enum at_status make_one(const char *path, struct at_error *err)
{
    if (mkdir(path, 0777) != 0 && errno != EEXIST)
        return at_error_system(err, path, "create");
    return AT_OK;
}

enum at_status at_dir_make(const char *dir, const char *name,
                           struct at_error *err)
{
    char *path = at_path_join(dir, name);
    enum at_status st;

    if (path == NULL)
        return at_error_set(err, AT_ERR_MEMORY, "out of memory");
    st = make_one(dir, err);
    if (st == AT_OK)
        st = make_one(path, err);
    if (st == AT_OK)
        st = at_dir_sync_of(path, err);
    free(path);
    return st;
}

enum at_status at_dir_make_for(const char *dir, const char *relative,
                               struct at_error *err)
{
    char *path = at_path_join(dir, relative);
    enum at_status st = AT_OK;

    if (path == NULL)
        return at_error_set(err, AT_ERR_MEMORY, "out of memory");
    for (char *p = path + strlen(dir) + 1;
         st == AT_OK && (p = strchr(p, '/')) != NULL; p++) {
        *p = 0;
        if (mkdir(path, 0777) == 0)
            st = at_dir_sync_of(path, err);
        else if (errno != EEXIST)
            st = at_error_system(err, path, "create");
        *p = '/';
    }
    free(path);
    return st;
}

enum at_status at_dir_sync_of(const char *path, struct at_error *err)
{
    char *dir = strdup(path);
    char *slash;
    enum at_status st = AT_OK;
    int fd;

    if (dir == NULL)
        return at_error_set(err, AT_ERR_MEMORY, "out of memory");
    slash = strrchr(dir, '/');
    if (slash != NULL)
        slash[slash == dir] = 0;
    fd = open(slash != NULL ? dir : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0 || (fsync(fd) != 0 && errno != EINVAL))
        st = at_error_system(err, dir, "sync");
    if (fd >= 0)
        close(fd);
    free(dir);
    return st;
}

enum at_status at_dir_clean(const char *dir, const char *name,
                            bool (*keep)(void *ctx, const char *name),
                            void *ctx, struct at_error *err)
{
    char *path = at_path_join(dir, name);
    DIR *d = path == NULL ? NULL : opendir(path);
    struct dirent *e;
    enum at_status st = AT_OK;

    if (d == NULL) {
        st = at_error_system(err, path != NULL ? path : name, "read");
        free(path);
        return st;
    }
    while ((e = readdir(d)) != NULL) {
        if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0 ||
            keep(ctx, e->d_name))
            continue;
        if (unlinkat(dirfd(d), e->d_name, 0) != 0 && errno != ENOENT)
            st = at_error_system(err, e->d_name, "remove");
    }
    closedir(d);
    free(path);
    return st;
}

/* ---- walking --------------------------------------------------------- */

typedef enum at_status walk_fn(void *ctx, const char *path,
                               struct at_error *err);

static bool is_directory(const char *dir, const char *path)
{
    char *full = at_path_join(dir, path);
    struct stat st;
    const bool is = full != NULL && lstat(full, &st) == 0 &&
                    S_ISDIR(st.st_mode);

    free(full);
    return is;
}

static int not_dots(const struct dirent *e)
{
    return strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0;
}

static enum at_status walk_entry(const char *dir, const char *below,
                                 const char *name, walk_fn *fn, void *ctx,
                                 struct at_error *err)
{
    char *path = at_path_join(below, name);
    enum at_status st;

    if (path == NULL)
        return at_error_set(err, AT_ERR_MEMORY, "out of memory");
    st = is_directory(dir, path) ? at_dir_walk(dir, path, fn, ctx, err)
                                 : fn(ctx, path, err);
    free(path);
    return st;
}

enum at_status at_dir_walk(const char *dir, const char *below, walk_fn *fn,
                           void *ctx, struct at_error *err)
{
    char *full = at_path_join(dir, below);
    struct dirent **entry;
    enum at_status st = AT_OK;
    int n;

    if (full == NULL)
        return at_error_set(err, AT_ERR_MEMORY, "out of memory");
    n = scandir(full, &entry, not_dots, alphasort);
    if (n < 0)
        st = at_error_system(err, full, "read");
    for (int i = 0; i < n; i++) {
        if (st == AT_OK)
            st = walk_entry(dir, below, entry[i]->d_name, fn, ctx, err);
        free(entry[i]);
    }
    if (n >= 0)
        free(entry);
    free(full);
    return st;
}

/* ---- names ----------------------------------------------------------- */

static enum at_status copy_bytes(int in, int out, const char *from,
                                 const char *to, struct at_error *err)
{
    char buf[64 << 10];
    ssize_t n;

    while ((n = read(in, buf, sizeof(buf))) > 0)
        for (ssize_t done = 0, w; done < n; done += w) {
            w = write(out, buf + done, (size_t)(n - done));
            if (w < 0)
                return at_error_system(err, to, "write");
        }
    if (n < 0)
        return at_error_system(err, from, "read");
    return fsync(out) == 0 ? AT_OK : at_error_system(err, to, "sync");
}

static enum at_status copy_file(const char *from, const char *to,
                                struct at_error *err)
{
    const int in = open(from, O_RDONLY | O_CLOEXEC);
    const int out = open(to, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    enum at_status st;

    if (in < 0 || out < 0)
        st = at_error_system(err, in < 0 ? from : to, "open");
    else
        st = copy_bytes(in, out, from, to, err);
    if (in >= 0)
        close(in);
    if (out >= 0 && close(out) != 0 && st == AT_OK)
        st = at_error_system(err, to, "write");
    return st;
}

enum at_status at_file_link(const char *from, const char *to,
                            struct at_error *err)
{
    if (unlink(to) != 0 && errno != ENOENT)
        return at_error_system(err, to, "replace");
    if (link(from, to) == 0)
        return AT_OK;
    if (errno != EPERM && errno != EOPNOTSUPP && errno != EMLINK &&
        errno != ENOSYS)
        return at_error_system(err, to, "create");
    return copy_file(from, to, err);
}

/* Not every file system has files without a name. */
int at_file_nameless(const char *folder)
{
    int fd = open(folder, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    char *path;

    if (fd >= 0 || asprintf(&path, "%s/.at-XXXXXX", folder) < 0)
        return fd;
    fd = mkostemp(path, O_CLOEXEC);
    if (fd >= 0)
        unlink(path);
    free(path);
    return fd;
}

bool at_file_write(int fd, const uint8_t *p, size_t n, uint64_t at)
{
    while (n > 0) {
        const ssize_t r = pwrite(fd, p, n, (off_t)at);

        if (r < 0 && errno == EINTR)
            continue;
        if (r < 0)
            return false;
        p += r;
        n -= (size_t)r;
        at += (uint64_t)r;
    }
    return true;
}

uint64_t at_file_bytes(const char *path)
{
    struct stat st;

    return stat(path, &st) == 0 ? (uint64_t)st.st_size : 0;
}

void at_time_stamp(char *buf, size_t n, const char *format, int64_t ns)
{
    const int64_t sec = ns >= 0 ? ns / 1000000000
                                : -((999999999 - ns) / 1000000000);
    const time_t t = (time_t)sec;
    struct tm tm;

    buf[0] = 0;
    if (gmtime_r(&t, &tm) != NULL)
        strftime(buf, n, format, &tm);
}
