/*
 * output.c - a file that exists only when it is complete
 *
 * The temporary file is "PATH.XXXXXX.part" in the directory of PATH, so that
 * the last step is one rename(2).
 */
#include "output.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "errors.h"

static enum at_status fail(struct at_output *out, const char *what,
                           struct at_error *err)
{
    const enum at_status st = at_error_system(err, out->name, what);

    at_output_close(out);
    return st;
}

/* mkstemp() makes files that only the owner reads; captures may be shared as
 * far as the umask says. */
static void set_mode(int fd)
{
    const mode_t mask = umask(0);

    umask(mask);
    (void)fchmod(fd, 0666 & ~mask);
}

static enum at_status open_temporary(struct at_output *out,
                                     struct at_error *err)
{
    if (asprintf(&out->temporary, "%s.XXXXXX.part", out->name) < 0) {
        out->temporary = NULL;
        at_output_close(out);
        return at_error_set(err, AT_ERR_MEMORY, "out of memory");
    }
    out->fd = mkostemps(out->temporary, 5, O_CLOEXEC);
    if (out->fd < 0) {
        free(out->temporary);
        out->temporary = NULL;
        return fail(out, "create", err);
    }
    set_mode(out->fd);
    return AT_OK;
}

enum at_status at_output_open(struct at_output *out, const char *path,
                              struct at_error *err)
{
    const bool standard = strcmp(path, "-") == 0;
    struct stat st;

    *out = (struct at_output){.fd = -1};
    out->name = strdup(standard ? "standard output" : path);
    if (out->name == NULL)
        return at_error_set(err, AT_ERR_MEMORY, "out of memory");
    if (standard) {
        out->fd = dup(STDOUT_FILENO);
    } else if (stat(path, &st) == 0 && !S_ISREG(st.st_mode)) {
        out->fd = open(path, O_WRONLY | O_CLOEXEC);
    } else {
        return open_temporary(out, err);
    }
    return out->fd < 0 ? fail(out, "write", err) : AT_OK;
}

/* Once a write has failed the file ends there, whatever there is room for. */
enum at_status at_output_append(struct at_output *out, const uint8_t *p,
                                size_t n, struct at_error *err)
{
    const uint8_t *all = p;
    const size_t bytes = n;

    while (n > 0 && out->failed == 0) {
        const ssize_t r = write(out->fd, p, n);

        if (r < 0 && errno == EINTR)
            continue;
        if (r < 0) {
            out->failed = errno;
            break;
        }
        p += r;
        n -= (size_t)r;
    }
    errno = out->failed;
    if (n > 0)
        return at_error_system(err, out->name, "write");
    if (out->written != NULL)
        out->written(out->written_ctx, all, bytes);
    return AT_OK;
}

enum at_status at_output_write(struct at_output *out, const uint8_t *p,
                               size_t n, struct at_error *err)
{
    const enum at_status st = at_output_append(out, p, n, err);

    if (st == AT_OK)
        out->bytes += n;
    return st;
}

enum at_status at_output_commit(struct at_output *out, bool sync,
                                struct at_error *err)
{
    const int fd = out->fd;

    if (sync && out->temporary != NULL && fsync(fd) != 0)
        return at_error_system(err, out->name, "sync");
    out->fd = -1;
    if (close(fd) != 0)
        return at_error_system(err, out->name, "write");
    if (out->temporary == NULL)
        return AT_OK;
    if (rename(out->temporary, out->name) != 0)
        return at_error_system(err, out->name, "create");
    free(out->temporary);
    out->temporary = NULL;
    return AT_OK;
}

void at_output_close(struct at_output *out)
{
    if (out->fd >= 0)
        close(out->fd);
    if (out->temporary != NULL)
        unlink(out->temporary);
    free(out->temporary);
    free(out->name);
    *out = (struct at_output){.fd = -1};
}
