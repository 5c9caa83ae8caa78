/*
 * input.h - the bytes of a file or pipe, as they are stored
 */
#ifndef AT_INPUT_H
#define AT_INPUT_H

#include "archive_trace.h"

struct at_input {
    int fd;
    bool seekable;   /* a regular file: at_input_read_at() works */
    uint64_t size;   /* of a regular file, else 0 */
    uint64_t offset; /* of the next at_input_read() */
    char *name;      /* for messages */
    uint8_t *head;   /* bytes peeked at and not yet read */
    size_t head_at, head_bytes;
    uint8_t *kept; /* of a pipe: all that was read since the beginning */
    size_t kept_bytes;
    bool keeps; /* at_input_rewind() is still possible */
};

/* "-" is standard input; messages say 'name', or 'path' if it is NULL.  On
 * failure *in needs no closing. */
enum at_status at_input_open(struct at_input *in, const char *path,
                             const char *name, struct at_error *err);

/* Reads 'n' bytes, fewer only at the end of the file. */
enum at_status at_input_read(struct at_input *in, uint8_t *buf, size_t n,
                             size_t *got, struct at_error *err);

/* The same at a place of a seekable file; any thread may call it. */
enum at_status at_input_read_at(const struct at_input *in, uint64_t offset,
                                uint8_t *buf, size_t n, size_t *got,
                                struct at_error *err);

/*
 * Makes up to AT_INPUT_PEEK of the bytes that are read next visible at
 * in->head + in->head_at, head_bytes - head_at of them.
 */
enum { AT_INPUT_PEEK = 4096 };
enum at_status at_input_peek(struct at_input *in, struct at_error *err);

/* Gives the 'n' bytes read last back, to be read again. */
enum at_status at_input_unread(struct at_input *in, const uint8_t *buf,
                               size_t n, struct at_error *err);

/*
 * Goes back to the beginning, also of a pipe as long as not more than
 * AT_INPUT_KEPT bytes of it have been read; at_input_forget() gives that up.
 */
enum { AT_INPUT_KEPT = 1 << 20 };
enum at_status at_input_rewind(struct at_input *in, struct at_error *err);
void at_input_forget(struct at_input *in);

/* Sequential reading goes on at 'offset' of a seekable file. */
void at_input_seek(struct at_input *in, uint64_t offset);

/* The error where the file ends at byte 'at', behind what says that another
 * block closes it. */
enum at_status at_input_not_closed(const struct at_input *in, uint64_t at,
                                   struct at_error *err);

void at_input_close(struct at_input *in);

#endif
