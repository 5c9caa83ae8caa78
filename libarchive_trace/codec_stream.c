/*
 * codec_stream.c - compressed data that can only be decoded in sequence
 *
 * A file that stops inside a member, or with bytes that begin no member, is
 * an error; zeros at the end (tape blocks) are not.
 */
#include "codec_stream.h"

#include <stdlib.h>
#include <string.h>

enum { IN_BYTES = 256 << 10, MAGIC_BYTES = 4 };

struct stream {
    const struct at_stream_ops *ops;
    void *tool;
    uint8_t *in;
    size_t at, have; /* what is left of 'in' */
    bool eof;        /* the file has no more */
    bool inside;     /* of a member */
    bool goes_on;    /* another member has to follow the last one begun */
    uint64_t members;
    uint64_t zeros; /* after the last member */
    uint64_t raw;   /* decoded bytes so far */
};

bool at_begins_with(const uint8_t *p, size_t n, const char *magic, size_t bytes)
{
    return memcmp(p, magic, n < bytes ? n : bytes) == 0;
}

enum at_status at_stream_open(struct at_source *src, struct at_error *err)
{
    struct stream *s = calloc(1, sizeof(*s));

    src->state = s;
    if (s == NULL || (s->in = malloc(IN_BYTES)) == NULL ||
        (s->tool = src->ops->stream->open()) == NULL)
        return at_error_set(err, AT_ERR_MEMORY, "out of memory");
    s->ops = src->ops->stream;
    s->raw = src->raw_offset;
    s->goes_on = src->goes_on;
    return AT_OK;
}

void at_stream_close(struct at_source *src)
{
    struct stream *s = src->state;

    if (s->tool != NULL)
        src->ops->stream->close(s->tool);
    free(s->in);
    free(s);
}

enum at_status at_stream_prepare(struct at_source *src, struct at_job *job)
{
    job->bytes = src->target;
    return AT_OK;
}

/* The offset in the file of what is decoded next. */
static uint64_t file_position(const struct at_source *src,
                              const struct stream *s)
{
    return src->in.offset - (s->have - s->at);
}

static enum at_status refill(struct at_source *src, struct stream *s,
                             struct at_error *err)
{
    const size_t left = s->have - s->at;
    size_t got = 0;
    enum at_status st;

    if (s->eof || left >= IN_BYTES / 2)
        return AT_OK;
    memmove(s->in, s->in + s->at, left);
    s->at = 0;
    s->have = left;
    st = at_input_read(&src->in, s->in + left, IN_BYTES - left, &got, err);
    if (st != AT_OK)
        return st;
    s->have += got;
    s->eof = got < IN_BYTES - left;
    return AT_OK;
}

static enum at_status skip_zeros(struct at_source *src, struct stream *s,
                                 struct at_error *err)
{
    enum at_status st = AT_OK;

    while (st == AT_OK && s->at < s->have && s->in[s->at] == 0) {
        s->at++;
        s->zeros++;
        if (s->have - s->at < MAGIC_BYTES)
            st = refill(src, s, err);
    }
    return st;
}

static enum at_status no_member(struct at_source *src, struct stream *s,
                                struct at_error *err)
{
    return at_error_set(err, AT_ERR_CORRUPT,
                        "%s: no %s begins at byte %llu, where the one before "
                        "has ended",
                        src->in.name, s->ops->member,
                        (unsigned long long)file_position(src, s) - s->zeros);
}

static enum at_status failed(struct at_source *src, struct stream *s,
                             enum at_progress p, struct at_error *err)
{
    const unsigned long long at = file_position(src, s);

    if (p == AT_PROGRESS_MEMORY)
        return at_error_set(err, AT_ERR_MEMORY, "out of memory");
    if (p == AT_PROGRESS_REFUSED)
        return at_error_set(err, AT_ERR_FORMAT, "%s: %s before byte %llu: %s",
                            src->in.name, s->ops->member, at, s->ops->refusal);
    return at_error_set(err, AT_ERR_CORRUPT, "%s: %s damaged near byte %llu",
                        src->in.name, s->ops->data, at);
}

/* Between members: begins the next, or says that the file is over. */
static enum at_status next_member(struct at_source *src, struct stream *s,
                                  struct at_piece *piece)
{
    enum at_status st = skip_zeros(src, s, &piece->err);
    const size_t left = s->have - s->at;
    enum at_progress p;

    if (st != AT_OK)
        return st;
    if (s->zeros > 0 && s->ops->padding > 0 && s->zeros % s->ops->padding != 0)
        return no_member(src, s, &piece->err);
    if (left == 0 && s->goes_on)
        return at_input_not_closed(&src->in, file_position(src, s) - s->zeros,
                                   &piece->err);
    if (left == 0) {
        piece->err.status = AT_END;
        return AT_END;
    }
    if ((s->zeros > 0 && s->ops->padding == 0) ||
        !s->ops->begins(s->in + s->at, left))
        return no_member(src, s, &piece->err);
    p = s->ops->begin(s->tool);
    if (p != AT_PROGRESS_MORE)
        return failed(src, s, p, &piece->err);
    s->inside = true;
    s->goes_on = s->ops->goes_on != NULL &&
                 s->ops->goes_on(s->in + s->at, left);
    s->members++;
    s->zeros = 0;
    if (at_piece_mark(piece, s->raw, file_position(src, s)) != AT_OK)
        return at_error_set(&piece->err, AT_ERR_MEMORY, "out of memory");
    return AT_OK;
}

static enum at_status decode_some(struct at_source *src, struct stream *s,
                                  struct at_job *job)
{
    struct at_piece *piece = job->piece;
    const size_t room = job->bytes - piece->len, left = s->have - s->at;
    struct at_flow flow = {
        .in = s->in + s->at,
        .in_left = left,
        .out = piece->data + piece->len,
        .out_left = room,
        .eof = s->eof,
    };
    const enum at_progress p = s->ops->run(s->tool, &flow);
    const size_t got = room - flow.out_left;

    s->at = s->have - flow.in_left;
    piece->len += got;
    s->raw += got;
    if (p > AT_PROGRESS_DONE)
        return failed(src, s, p, &piece->err);
    if (p == AT_PROGRESS_DONE) {
        s->inside = false;
        return AT_OK;
    }
    if (got > 0 || flow.in_left < left)
        return AT_OK;
    if (s->eof)
        return at_error_set(&piece->err, AT_ERR_TRUNCATED,
                            "%s: cut short: its %s stops at byte %llu",
                            src->in.name, s->ops->data,
                            (unsigned long long)src->in.offset);
    return left < IN_BYTES / 2
               ? AT_OK
               : failed(src, s, AT_PROGRESS_DAMAGED, &piece->err);
}

void at_stream_run(struct at_source *src, struct at_job *job)
{
    struct stream *s = src->state;
    struct at_piece *piece = job->piece;
    enum at_status st = at_piece_room(piece, job->bytes);

    piece->raw_offset = s->raw;
    if (st != AT_OK)
        at_error_set(&piece->err, st, "out of memory");
    while (st == AT_OK && piece->len < job->bytes) {
        st = refill(src, s, &piece->err);
        if (st == AT_OK && !s->inside)
            st = next_member(src, s, piece);
        if (st == AT_OK)
            st = decode_some(src, s, job);
    }
    piece->file_end = file_position(src, s);
}
