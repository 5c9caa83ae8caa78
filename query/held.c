/*
 * held.c - files that are read again though their names may be gone
 */
#include "held.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "errors.h"
#include "temporary.h"

static struct at_held *new_held(struct at_error *err)
{
    struct at_held *held = malloc(sizeof(*held));

    if (held == NULL)
        at_error_set(err, AT_ERR_MEMORY, "out of memory");
    else
        *held = (struct at_held){.trace = -1, .index = -1};
    return held;
}

/* AT_END if there is no such file. */
static enum at_status open_one(int *fd, const char *path, struct at_error *err)
{
    *fd = open(path, O_RDONLY | O_CLOEXEC);
    if (*fd >= 0)
        return AT_OK;
    return errno == ENOENT ? AT_END : at_error_system(err, path, "open");
}

enum at_status at_held_open(struct at_held **out, const char *trace,
                            const char *index, struct at_error *err)
{
    struct at_held *held = new_held(err);
    enum at_status st;

    *out = held;
    if (held == NULL)
        return AT_ERR_MEMORY;
    st = open_one(&held->trace, trace, err);
    if (st == AT_OK && index != NULL)
        st = open_one(&held->index, index, err);
    if (st != AT_OK) {
        at_held_close(held);
        *out = NULL;
    }
    return st == AT_END ? AT_OK : st;
}

/* ---- what can be read once ------------------------------------------- */

static enum at_status write_all(int fd, const char *buf, size_t n,
                                const char *path, struct at_error *err)
{
    while (n > 0) {
        const ssize_t w = write(fd, buf, n);

        if (w < 0 && errno == EINTR)
            continue;
        if (w < 0)
            return at_error_system(err, path, "keep in TMPDIR");
        buf += w;
        n -= (size_t)w;
    }
    return AT_OK;
}

static enum at_status copy(int to, int from, const char *path,
                           bool (*stop)(void), struct at_error *err)
{
    enum at_status st = AT_OK;
    char buf[65536];

    while (st == AT_OK && (stop == NULL || !stop())) {
        const ssize_t n = read(from, buf, sizeof(buf));

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            st = at_error_system(err, path, "read");
        if (n <= 0)
            break;
        st = write_all(to, buf, (size_t)n, path, err);
    }
    return st;
}

enum at_status at_held_copy(struct at_held **out, const char *path,
                            bool (*stop)(void), struct at_error *err)
{
    const bool standard = strcmp(path, "-") == 0;
    const char *name = standard ? "standard input" : path;
    struct at_held *held = new_held(err);
    enum at_status st = AT_OK;
    int from;

    *out = held;
    if (held == NULL)
        return AT_ERR_MEMORY;
    from = standard ? dup(STDIN_FILENO) : open(path, O_RDONLY | O_CLOEXEC);
    if (from < 0)
        st = at_error_system(err, name, "open");
    else if ((held->trace = at_temporary(err)) < 0)
        st = AT_ERR_SYSTEM;
    else
        st = copy(held->trace, from, name, stop, err);
    if (from >= 0)
        close(from);
    if (st != AT_OK) {
        at_held_close(held);
        *out = NULL;
    }
    return st;
}

/* Opened anew by this name it has an offset of its own. */
void at_held_path(const struct at_held *held, char path[AT_HELD_PATH])
{
    snprintf(path, AT_HELD_PATH, "/dev/fd/%d", held->trace);
}

void at_held_close(struct at_held *held)
{
    if (held == NULL)
        return;
    if (held->trace >= 0)
        close(held->trace);
    if (held->index >= 0)
        close(held->index);
    free(held);
}
