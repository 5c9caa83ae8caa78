/*
 * input.c - the bytes of a file or pipe, as they are stored
 *
 * pread() into our own buffers, not mmap(): a capture that shrinks while it
 * is read must be a short read, not a SIGBUS, and the copy costs a tenth of
 * what decoding does.
 */
#include "input.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "errors.h"

enum at_status at_input_open(struct at_input *in, const char *path,
                             const char *name, struct at_error *err)
{
    const bool standard = strcmp(path, "-") == 0;
    struct stat st;

    *in = (struct at_input){.fd = -1};
    in->name = strdup(name != NULL ? name : standard ? "standard input" : path);
    if (in->name == NULL)
        return at_error_set(err, AT_ERR_MEMORY, "out of memory");
    in->fd = standard ? dup(STDIN_FILENO) : open(path, O_RDONLY | O_CLOEXEC);
    if (in->fd < 0 || fstat(in->fd, &st) != 0) {
        at_error_system(err, in->name, "open");
        at_input_close(in);
        return AT_ERR_SYSTEM;
    }
    if (S_ISDIR(st.st_mode)) {
        errno = EISDIR;
        at_error_system(err, in->name, "read");
        at_input_close(in);
        return AT_ERR_SYSTEM;
    }
    if (S_ISREG(st.st_mode)) {
        const off_t here = lseek(in->fd, 0, SEEK_CUR);

        in->seekable = here == 0;
        in->size = in->seekable ? (uint64_t)st.st_size : 0;
        (void)posix_fadvise(in->fd, 0, 0, POSIX_FADV_SEQUENTIAL);
    }
    in->keeps = !in->seekable;
    return AT_OK;
}

/* Reads 'n' bytes or up to the end, at 'offset' or, if it is -1, onwards. */
static enum at_status read_all(const struct at_input *in, off_t offset,
                               uint8_t *buf, size_t n, size_t *got,
                               struct at_error *err)
{
    size_t have = 0;

    while (have < n) {
        const ssize_t r = offset < 0 ? read(in->fd, buf + have, n - have)
                                     : pread(in->fd, buf + have, n - have,
                                             offset + (off_t)have);

        if (r < 0 && errno == EINTR)
            continue;
        if (r < 0)
            return at_error_system(err, in->name, "read");
        if (r == 0)
            break;
        have += (size_t)r;
    }
    *got = have;
    return AT_OK;
}

enum at_status at_input_read_at(const struct at_input *in, uint64_t offset,
                                uint8_t *buf, size_t n, size_t *got,
                                struct at_error *err)
{
    if (offset > INT64_MAX - n) {
        *got = 0; /* no file reaches there */
        return AT_OK;
    }
    return read_all(in, (off_t)offset, buf, n, got, err);
}

void at_input_forget(struct at_input *in)
{
    free(in->kept);
    in->kept = NULL;
    in->kept_bytes = 0;
    in->keeps = false;
}

static void keep(struct at_input *in, const uint8_t *buf, size_t n)
{
    uint8_t *p = NULL;

    if (n <= AT_INPUT_KEPT - in->kept_bytes)
        p = realloc(in->kept, in->kept_bytes + n + 1);
    if (p == NULL) {
        at_input_forget(in);
        return;
    }
    memcpy(p + in->kept_bytes, buf, n);
    in->kept = p;
    in->kept_bytes += n;
}

enum at_status at_input_read(struct at_input *in, uint8_t *buf, size_t n,
                             size_t *got, struct at_error *err)
{
    enum at_status st;
    size_t head = in->head_bytes - in->head_at;

    if (in->seekable) {
        st = at_input_read_at(in, in->offset, buf, n, got, err);
    } else {
        if (head > n)
            head = n;
        if (head > 0)
            memcpy(buf, in->head + in->head_at, head);
        in->head_at += head;
        st = read_all(in, -1, buf + head, n - head, got, err);
        *got += head;
        if (in->keeps && st == AT_OK)
            keep(in, buf, *got);
    }
    if (st == AT_OK)
        in->offset += *got;
    return st;
}

enum at_status at_input_peek(struct at_input *in, struct at_error *err)
{
    if (in->head == NULL && (in->head = malloc(AT_INPUT_PEEK)) == NULL)
        return at_error_set(err, AT_ERR_MEMORY, "out of memory");
    in->head_at = 0;
    if (in->seekable)
        return at_input_read_at(in, in->offset, in->head, AT_INPUT_PEEK,
                                &in->head_bytes, err);
    return read_all(in, -1, in->head, AT_INPUT_PEEK, &in->head_bytes, err);
}

enum at_status at_input_unread(struct at_input *in, const uint8_t *buf,
                               size_t n, struct at_error *err)
{
    uint8_t *head;

    in->offset -= n;
    if (in->seekable)
        return AT_OK;
    if (in->keeps)
        in->kept_bytes -= n;
    head = malloc(n + 1);
    if (head == NULL)
        return at_error_set(err, AT_ERR_MEMORY, "out of memory");
    memcpy(head, buf, n);
    free(in->head);
    in->head = head;
    in->head_at = 0;
    in->head_bytes = n;
    return AT_OK;
}

enum at_status at_input_rewind(struct at_input *in, struct at_error *err)
{
    const size_t n = in->kept_bytes, head = in->head_bytes - in->head_at;
    uint8_t *p;

    in->offset = 0;
    if (in->seekable)
        return AT_OK;
    p = in->keeps ? realloc(in->kept, n + head + 1) : NULL;
    if (p == NULL)
        return at_error_set(err, AT_ERR_MISUSE, "%s: cannot be read again",
                            in->name);
    if (head > 0)
        memcpy(p + n, in->head + in->head_at, head);
    free(in->head);
    in->head = p;
    in->head_at = 0;
    in->head_bytes = n + head;
    in->kept = NULL;
    at_input_forget(in);
    return AT_OK;
}

void at_input_seek(struct at_input *in, uint64_t offset)
{
    in->offset = offset;
}

enum at_status at_input_not_closed(const struct at_input *in, uint64_t at,
                                   struct at_error *err)
{
    return at_error_set(err, AT_ERR_TRUNCATED,
                        "%s: cut short: no closing block at byte %llu",
                        in->name, (unsigned long long)at);
}

void at_input_close(struct at_input *in)
{
    if (in->fd >= 0)
        close(in->fd);
    free(in->name);
    free(in->head);
    free(in->kept);
    *in = (struct at_input){.fd = -1};
}
