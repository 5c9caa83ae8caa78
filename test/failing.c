/*
 * failing.c - a preloaded library that makes system calls fail
 *
 *     cc -shared -fPIC -o failing.so test/failing.c -ldl
 *     LD_PRELOAD=./failing.so FAIL_AT=17 FAIL_HOW=exit at-ingest ...
 *
 * Calls that change what is on disk are counted.  FAIL_HOW=exit: the process
 * ends, with status 77, instead of call number FAIL_AT; what it had written
 * stays.  FAIL_HOW=full: from call FAIL_AT on there is no space, so what needs
 * some fails with ENOSPC.  FAIL_HOW=once: that one call fails with EIO.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <unistd.h>

static atomic_long calls;

/* Whether the call fails; 'needs_space' unless it only removes or syncs. */
static int fails(int needs_space)
{
    const char *at = getenv("FAIL_AT"), *how = getenv("FAIL_HOW");
    const long n = atomic_fetch_add(&calls, 1) + 1;

    if (at == NULL || how == NULL || n < atol(at))
        return 0;
    if (strcmp(how, "exit") == 0)
        _exit(77);
    if (strcmp(how, "full") == 0 && needs_space) {
        errno = ENOSPC;
        return 1;
    }
    if (strcmp(how, "once") == 0 && n == atol(at)) {
        errno = EIO;
        return 1;
    }
    return 0;
}

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

ssize_t write(int fd, const void *buf, size_t n)
{
    return fd > 2 && fails(1) ? -1 : REAL(write)(fd, buf, n);
}

ssize_t pwrite(int fd, const void *buf, size_t n, off_t at)
{
    return fails(1) ? -1 : REAL(pwrite)(fd, buf, n, at);
}

ssize_t pwrite64(int fd, const void *buf, size_t n, off64_t at)
{
    return fails(1) ? -1 : REAL(pwrite64)(fd, buf, n, at);
}

int fsync(int fd)
{
    return fails(0) ? -1 : REAL(fsync)(fd);
}

int fdatasync(int fd)
{
    return fails(0) ? -1 : REAL(fdatasync)(fd);
}

int ftruncate(int fd, off_t n)
{
    return fails(0) ? -1 : REAL(ftruncate)(fd, n);
}

int ftruncate64(int fd, off64_t n)
{
    return fails(0) ? -1 : REAL(ftruncate64)(fd, n);
}

int rename(const char *from, const char *to)
{
    return fails(1) ? -1 : REAL(rename)(from, to);
}

int link(const char *from, const char *to)
{
    return fails(1) ? -1 : REAL(link)(from, to);
}

int unlink(const char *path)
{
    return fails(0) ? -1 : REAL(unlink)(path);
}

int unlinkat(int fd, const char *path, int flags)
{
    return fails(0) ? -1 : REAL(unlinkat)(fd, path, flags);
}

int mkdir(const char *path, mode_t mode)
{
    return fails(1) ? -1 : REAL(mkdir)(path, mode);
}
