/*
 * codec_gzip.c - gzip members (RFC 1952) one after the other
 *
 * One job runs at a time, ahead of the reader.  ISA-L inflates about twice as
 * fast as zlib and is used where it was built in.  Both check the CRC and the
 * length in the trailer.  A file that stops inside a member, or with bytes
 * that begin no member, is an error; zeros at the end (tape blocks) are not.
 */
#include <stdlib.h>
#include <string.h>

#include "source.h"

#ifdef AT_HAVE_ISAL
#include <isa-l/igzip_lib.h>
#else
#include <zlib.h>
#endif

enum { IN_BYTES = 256 << 10 };

enum progress { MORE, MEMBER_DONE, DAMAGED, CHECKSUM };

struct gunzip {
#ifdef AT_HAVE_ISAL
    struct inflate_state z;
#else
    z_stream z;
#endif
    uint8_t *in;
    size_t at, have; /* what is left of 'in' */
    bool eof;        /* the file has no more */
    bool inside;     /* of a member */
    uint64_t members;
    uint64_t raw; /* decoded bytes so far */
};

#ifdef AT_HAVE_ISAL

static bool inflater_open(struct gunzip *g)
{
    isal_inflate_init(&g->z);
    g->z.crc_flag = ISAL_GZIP;
    return true;
}

static void inflater_begin(struct gunzip *g)
{
    isal_inflate_reset(&g->z);
    g->z.crc_flag = ISAL_GZIP;
}

static enum progress inflater_run(struct gunzip *g, uint8_t *out, size_t n,
                                  size_t *got)
{
    int r;

    g->z.next_in = g->in + g->at;
    g->z.avail_in = (uint32_t)(g->have - g->at);
    g->z.next_out = out;
    g->z.avail_out = (uint32_t)n;
    r = isal_inflate(&g->z);
    g->at = g->have - g->z.avail_in;
    *got = n - g->z.avail_out;
    if (r == ISAL_INCORRECT_CHECKSUM)
        return CHECKSUM;
    if (r < 0)
        return DAMAGED;
    return g->z.block_state == ISAL_BLOCK_FINISH ? MEMBER_DONE : MORE;
}

static void inflater_close(struct gunzip *g)
{
    (void)g;
}

#else

static bool inflater_open(struct gunzip *g)
{
    return inflateInit2(&g->z, 15 + 16) == Z_OK;
}

static void inflater_begin(struct gunzip *g)
{
    inflateReset(&g->z);
}

static enum progress inflater_run(struct gunzip *g, uint8_t *out, size_t n,
                                  size_t *got)
{
    int r;

    g->z.next_in = g->in + g->at;
    g->z.avail_in = (uInt)(g->have - g->at);
    g->z.next_out = out;
    g->z.avail_out = (uInt)n;
    r = inflate(&g->z, Z_NO_FLUSH);
    g->at = g->have - g->z.avail_in;
    *got = n - g->z.avail_out;
    if (r == Z_STREAM_END)
        return MEMBER_DONE;
    return r == Z_OK || r == Z_BUF_ERROR ? MORE : DAMAGED;
}

static void inflater_close(struct gunzip *g)
{
    inflateEnd(&g->z);
}

#endif

static enum at_status gzip_open(struct at_source *src, struct at_error *err)
{
    struct gunzip *g = calloc(1, sizeof(*g));

    src->state = g;
    if (g == NULL || (g->in = malloc(IN_BYTES)) == NULL || !inflater_open(g))
        return at_error_set(err, AT_ERR_MEMORY, "out of memory");
    g->raw = src->raw_offset;
    return AT_OK;
}

static void gzip_close(struct at_source *src)
{
    struct gunzip *g = src->state;

    if (g->in != NULL)
        inflater_close(g);
    free(g->in);
    free(g);
}

static enum at_status gzip_prepare(struct at_source *src, struct at_job *job)
{
    job->bytes = src->target;
    return AT_OK;
}

/* The offset in the file of what is decoded next. */
static uint64_t file_position(const struct at_source *src,
                              const struct gunzip *g)
{
    return src->in.offset - (g->have - g->at);
}

static enum at_status refill(struct at_source *src, struct gunzip *g,
                             struct at_error *err)
{
    const size_t left = g->have - g->at;
    size_t got = 0;
    enum at_status st;

    if (g->eof || left >= IN_BYTES / 2)
        return AT_OK;
    memmove(g->in, g->in + g->at, left);
    g->at = 0;
    g->have = left;
    st = at_input_read(&src->in, g->in + left, IN_BYTES - left, &got, err);
    if (st != AT_OK)
        return st;
    g->have += got;
    g->eof = got < IN_BYTES - left;
    return AT_OK;
}

static bool only_zeros(const uint8_t *p, size_t n)
{
    while (n > 0 && *p == 0) {
        p++;
        n--;
    }
    return n == 0;
}

/* A single byte may be the beginning of the magic number, cut there. */
static bool begins_member(const uint8_t *p, size_t n)
{
    return p[0] == 0x1f && (n == 1 || p[1] == 0x8b);
}

/* Between members: begins the next, or says that the file is over. */
static enum at_status next_member(struct at_source *src, struct gunzip *g,
                                  struct at_piece *piece)
{
    const uint64_t at = file_position(src, g);
    const size_t left = g->have - g->at;

    if (left == 0 || (g->eof && only_zeros(g->in + g->at, left))) {
        piece->err.status = AT_END;
        return AT_END;
    }
    if (g->members > 0 && !begins_member(g->in + g->at, left))
        return at_error_set(&piece->err, AT_ERR_CORRUPT,
                            "%s: no gzip member begins at byte %llu, where "
                            "the one before has ended",
                            src->in.name, (unsigned long long)at);
    inflater_begin(g);
    g->inside = true;
    g->members++;
    if (at_piece_mark(piece, g->raw, at) != AT_OK)
        return at_error_set(&piece->err, AT_ERR_MEMORY, "out of memory");
    return AT_OK;
}

static enum at_status inflate_some(struct at_source *src, struct gunzip *g,
                                   struct at_job *job)
{
    struct at_piece *piece = job->piece;
    size_t got;
    const enum progress p = inflater_run(g, piece->data + piece->len,
                                         job->bytes - piece->len, &got);
    const unsigned long long at = file_position(src, g);

    piece->len += got;
    g->raw += got;
    if (p == DAMAGED)
        return at_error_set(&piece->err, AT_ERR_CORRUPT,
                            "%s: gzip data damaged near byte %llu",
                            src->in.name, at);
    if (p == CHECKSUM)
        return at_error_set(&piece->err, AT_ERR_CORRUPT,
                            "%s: gzip member that ends at byte %llu: "
                            "checksum does not match",
                            src->in.name, at);
    if (p == MEMBER_DONE)
        g->inside = false;
    else if (got == 0 && g->eof)
        return at_error_set(&piece->err, AT_ERR_TRUNCATED,
                            "%s: cut short: its gzip data stops at byte %llu",
                            src->in.name, (unsigned long long)src->in.offset);
    return AT_OK;
}

static void gzip_run(struct at_source *src, struct at_job *job)
{
    struct gunzip *g = src->state;
    struct at_piece *piece = job->piece;
    enum at_status st = at_piece_room(piece, job->bytes);

    piece->raw_offset = g->raw;
    if (st != AT_OK)
        at_error_set(&piece->err, st, "out of memory");
    while (st == AT_OK && piece->len < job->bytes) {
        st = refill(src, g, &piece->err);
        if (st == AT_OK && !g->inside)
            st = next_member(src, g, piece);
        if (st == AT_OK)
            st = inflate_some(src, g, job);
    }
    piece->file_end = file_position(src, g);
}

const struct at_codec_ops at_codec_gzip = {
    .codec = AT_CODEC_GZIP,
    .serial = true,
    .open = gzip_open,
    .prepare = gzip_prepare,
    .run = gzip_run,
    .close = gzip_close,
};
