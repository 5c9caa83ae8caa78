/*
 * codec_bgzf.c - blocked gzip, many members at once
 *
 * The caller's thread reads compressed bytes and finds where members end;
 * jobs of about 1 MiB inflate them side by side with libdeflate, which is
 * made for whole buffers.  A member without a size field makes us go on as
 * with any gzip file from there.
 */
#include <libdeflate.h>
#include <stdlib.h>
#include <string.h>

#include "bgzf.h"
#include "source.h"

enum { READ_BYTES = 256 << 10 };

/* Compressed bytes that were read and belong to no job yet. */
struct rest {
    uint8_t *p;
    size_t n;
    uint64_t raw; /* decoded offset of the first of them */
    bool eof;
    bool closed; /* the last member seen was the empty one */
};

/* Less than READ_BYTES are left when that many are read again. */
enum { REST_BYTES = 2 * READ_BYTES };

bool at_bgzf_detect(const uint8_t *p, size_t n)
{
    struct at_bgzf_member m;
    const enum at_bgzf_found f = at_bgzf_look(p, n, &m);

    /* The peek may not hold all of the first member; its header will do. */
    return f == AT_BGZF_OK || (f == AT_BGZF_MORE && n >= 18 && p[3] == 4 &&
                               p[12] == 'B' && p[13] == 'C');
}

static enum at_status bgzf_open(struct at_source *src, struct at_error *err)
{
    struct rest *rest = calloc(1, sizeof(*rest));

    src->state = rest;
    if (rest == NULL || (rest->p = malloc(REST_BYTES)) == NULL)
        return at_error_set(err, AT_ERR_MEMORY, "out of memory");
    return AT_OK;
}

static void bgzf_close(struct at_source *src)
{
    struct rest *rest = src->state;

    free(rest->p);
    free(rest);
}

static enum at_status fill(struct at_source *src, struct rest *rest)
{
    size_t got;
    enum at_status st;

    if (rest->eof || rest->n >= READ_BYTES)
        return AT_OK;
    st = at_input_read(&src->in, rest->p + rest->n, READ_BYTES, &got,
                       &src->err);
    if (st != AT_OK)
        return st;
    rest->n += got;
    rest->eof = got < READ_BYTES;
    return AT_OK;
}

/* The members that the next job takes: their bytes, and what stopped us. */
static size_t take_members(struct at_source *src, struct rest *rest,
                           uint64_t *raw, enum at_bgzf_found *found)
{
    struct at_bgzf_member m;
    size_t n = 0;

    *raw = 0;
    while (*raw < src->target && n < rest->n) {
        *found = at_bgzf_look(rest->p + n, rest->n - n, &m);
        if (*found != AT_BGZF_OK)
            return n;
        n += m.bytes;
        *raw += m.raw_bytes;
        rest->closed = m.raw_bytes == 0;
    }
    *found = AT_BGZF_OK;
    return n;
}

/* There is no whole member where one should begin: says why. */
static enum at_status no_member(struct at_source *src, struct rest *rest,
                                enum at_bgzf_found found)
{
    const unsigned long long at = src->in.offset - rest->n;
    size_t zeros = 0;

    while (zeros < rest->n && rest->p[zeros] == 0)
        zeros++;
    if (rest->n > 0 && rest->eof && zeros == rest->n)
        rest->n = 0;
    if (rest->n == 0 && rest->closed)
        return AT_END;
    if (rest->n == 0)
        return at_error_set(&src->err, AT_ERR_TRUNCATED,
                            "%s: cut short: no closing block at byte %llu",
                            src->in.name, at);
    if (found == AT_BGZF_NOT) {
        src->next_ops = &at_codec_gzip;
        src->raw_offset = rest->raw;
        return at_input_unread(&src->in, rest->p, rest->n, &src->err) == AT_OK
                   ? AT_END
                   : src->err.status;
    }
    if (found == AT_BGZF_MORE)
        return at_error_set(&src->err, AT_ERR_TRUNCATED,
                            "%s: cut short: the gzip block at byte %llu is "
                            "incomplete",
                            src->in.name, at);
    return at_error_set(&src->err, AT_ERR_CORRUPT,
                        "%s: no gzip member begins at byte %llu, where the "
                        "one before has ended",
                        src->in.name, at);
}

static enum at_status prepare_place(struct at_source *src, struct at_job *job)
{
    struct at_place run;

    if (!at_source_take_places(src, &run))
        return AT_END;
    job->file_offset = run.file_offset;
    job->skip = run.skip;
    job->bytes = run.bytes;
    job->piece->raw_offset = run.raw_offset;
    if (run.file_bytes > src->in.size ||
        at_job_room(job, (size_t)run.file_bytes) != AT_OK)
        return at_error_set(&src->err, AT_ERR_CORRUPT,
                            "%s: a block of %llu bytes cannot be in it",
                            src->in.name, (unsigned long long)run.file_bytes);
    job->in_bytes = (size_t)run.file_bytes;
    return AT_OK;
}

static enum at_status bgzf_prepare(struct at_source *src, struct at_job *job)
{
    struct rest *rest = src->state;
    enum at_bgzf_found found;
    enum at_status st;
    uint64_t raw;
    size_t n;

    if (src->place != NULL)
        return prepare_place(src, job);
    st = fill(src, rest);
    if (st != AT_OK)
        return st;
    n = take_members(src, rest, &raw, &found);
    if (n == 0)
        return no_member(src, rest, found);
    if (at_job_room(job, REST_BYTES) != AT_OK)
        return at_error_set(&src->err, AT_ERR_MEMORY, "out of memory");
    memcpy(job->in, rest->p, n);
    job->in_bytes = n;
    job->file_offset = src->in.offset - rest->n;
    job->skip = 0;
    job->bytes = 0;
    job->piece->raw_offset = rest->raw;
    rest->raw += raw;
    rest->n -= n;
    memmove(rest->p, rest->p + n, rest->n);
    return AT_OK;
}

/* Decoded bytes of all members in the job; 0 where one is damaged, which
 * inflating them one by one will then tell. */
static uint64_t raw_total(const struct at_job *job)
{
    struct at_bgzf_member m;
    uint64_t total = 0;

    for (size_t at = 0; at < job->in_bytes; at += m.bytes) {
        if (at_bgzf_look(job->in + at, job->in_bytes - at, &m) != AT_BGZF_OK)
            break;
        total += m.raw_bytes;
    }
    return total;
}

static enum at_status damaged(struct at_job *job, size_t at, const char *how)
{
    return at_error_set(&job->piece->err, AT_ERR_CORRUPT,
                        "%s: gzip block at byte %llu: %s", job->src->in.name,
                        (unsigned long long)job->file_offset + at, how);
}

static enum at_status inflate_member(struct at_job *job, size_t at,
                                     size_t *bytes)
{
    struct at_piece *piece = job->piece;
    struct at_bgzf_member m;
    uint8_t *out = piece->data + piece->len;
    const uint8_t *in = job->in + at;

    if (at_bgzf_look(in, job->in_bytes - at, &m) != AT_BGZF_OK)
        return damaged(job, at, "header damaged");
    if (at_piece_mark(piece, piece->raw_offset + piece->len,
                      job->file_offset + at) != AT_OK)
        return at_error_set(&piece->err, AT_ERR_MEMORY, "out of memory");
    if (libdeflate_deflate_decompress(
            job->tool, in + m.header_bytes,
            m.bytes - m.header_bytes - AT_BGZF_TRAILER, out, m.raw_bytes,
            NULL) != LIBDEFLATE_SUCCESS)
        return damaged(job, at, "does not inflate");
    if (libdeflate_crc32(0, out, m.raw_bytes) != m.crc)
        return damaged(job, at, "checksum does not match");
    piece->len += m.raw_bytes;
    *bytes = m.bytes;
    return AT_OK;
}

/* Reads the compressed bytes of a place; they are read on the way in else. */
static enum at_status read_place(struct at_source *src, struct at_job *job)
{
    size_t got = 0;
    enum at_status st;

    if (src->place == NULL)
        return AT_OK;
    st = at_input_read_at(&src->in, job->file_offset, job->in, job->in_bytes,
                          &got, &job->piece->err);
    job->in_bytes = got;
    return st;
}

/* Leaves the bytes of the place alone in the piece. */
static void cut_to_place(struct at_job *job)
{
    struct at_piece *piece = job->piece;
    size_t skip;

    if (job->bytes == 0)
        return;
    skip = job->skip < piece->len ? (size_t)job->skip : piece->len;
    piece->data += skip;
    piece->len -= skip;
    if (piece->len >= job->bytes && skip == job->skip)
        piece->len = (size_t)job->bytes;
    else if (piece->err.status == AT_OK)
        damaged(job, 0, "shorter than the index says");
}

static void bgzf_run(struct at_source *src, struct at_job *job)
{
    struct at_piece *piece = job->piece;
    enum at_status st = read_place(src, job);
    size_t at = 0, n = 0;

    if (job->tool == NULL)
        job->tool = libdeflate_alloc_decompressor();
    if (st == AT_OK &&
        (job->tool == NULL || at_piece_room(piece, raw_total(job)) != AT_OK))
        st = at_error_set(&piece->err, AT_ERR_MEMORY, "out of memory");
    piece->raw_offset -= job->skip; /* for the marks */
    while (st == AT_OK && at < job->in_bytes) {
        st = inflate_member(job, at, &n);
        at += n;
    }
    piece->raw_offset += job->skip;
    piece->file_end = job->file_offset + at;
    cut_to_place(job);
}

static void bgzf_drop(struct at_job *job)
{
    libdeflate_free_decompressor(job->tool);
}

const struct at_codec_ops at_codec_bgzf = {
    .codec = AT_CODEC_BGZF,
    .framed = true,
    .open = bgzf_open,
    .prepare = bgzf_prepare,
    .run = bgzf_run,
    .drop = bgzf_drop,
    .close = bgzf_close,
};
