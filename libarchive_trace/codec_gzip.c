/*
 * codec_gzip.c - a gzip file that has to be read in sequence
 *
 * One job runs at a time, ahead of the reader.  If asked to, access points
 * are taken on the way, with which codec_access.c can then read the file.
 */
#include <stdlib.h>
#include <string.h>

#include "access.h"
#include "source.h"

enum { TRAILER = 8 };

struct sequence {
    struct at_gunzip g;
    struct at_recorder *recorder; /* NULL: takes no points */
    uint64_t stopped_at; /* salvage: nothing is decoded from there on */
    bool over;           /* ended or failed: jobs that follow do nothing */
};

static enum at_status gzip_open(struct at_source *src, struct at_error *err)
{
    struct sequence *s = calloc(1, sizeof(*s));

    if (s == NULL || at_gunzip_open(&s->g, &src->in) != AT_OK) {
        free(s);
        return at_error_set(err, AT_ERR_MEMORY, "out of memory");
    }
    src->state = s;
    s->g.raw = src->raw_offset;
    s->g.goes_on = src->goes_on;
    if (src->spacing == 0 || !src->in.seekable || src->in.offset > 0)
        return AT_OK;
    s->recorder = at_recorder_open(src->spacing, src->portion);
    if (s->recorder == NULL)
        return at_error_set(err, AT_ERR_MEMORY, "out of memory");
    return AT_OK;
}

static void gzip_close(struct at_source *src)
{
    struct sequence *s = src->state;

    at_recorder_close(s->recorder);
    at_gunzip_close(&s->g);
    free(s);
}

static enum at_status gzip_prepare(struct at_source *src, struct at_job *job)
{
    job->bytes = src->target;
    return AT_OK;
}

/* One step of the decoder; what it said goes into the piece. */
static enum at_status take_step(struct sequence *s, struct at_piece *piece,
                                size_t room)
{
    uint8_t *out = piece->data + piece->len;
    const bool inside = s->g.inside;
    enum at_status st;
    size_t got;

    if (s->recorder != NULL)
        room = at_recorder_before(s->recorder, &s->g, room);
    st = at_gunzip_step(&s->g, out, room, &got, &piece->err);
    piece->len += got;
    if (st == AT_OK && !inside)
        st = at_piece_mark(piece, s->g.raw, s->g.member_offset);
    if (st == AT_OK && s->recorder != NULL)
        st = at_recorder_after(s->recorder, &s->g, piece->data, piece->len);
    if (st == AT_END)
        piece->err.status = AT_END;
    if (st == AT_ERR_MEMORY)
        at_error_set(&piece->err, st, "out of memory");
    return st;
}

/*
 * Goes on behind damage.  Points behind it would count what is not decoded, so
 * no more are taken, and those that were are no use alone.
 */
static enum at_status pass_damage(struct sequence *s, struct at_piece *piece)
{
    const uint64_t at = at_gunzip_position(&s->g);
    struct at_error err;
    struct at_gap gap = {.raw = s->g.raw, .file = at};
    enum at_status st = at_gunzip_search(&s->g, &err);

    if (st == AT_END) {
        s->stopped_at = at;
        return AT_ERR_CORRUPT;
    }
    if (st == AT_OK) {
        const uint64_t next = at_gunzip_position(&s->g);

        if (next < at + TRAILER)
            gap.file = next - TRAILER;
        gap.bytes = next - gap.file;
        piece->err.status = AT_OK;
        at_recorder_close(s->recorder);
        s->recorder = NULL;
        st = at_piece_gap(piece, gap);
    }
    return st == AT_OK
               ? AT_OK
               : at_error_set(&piece->err, st, "%s",
                              st == AT_ERR_MEMORY ? "out of memory" : err.msg);
}

static void gzip_run(struct at_source *src, struct at_job *job)
{
    struct sequence *s = src->state;
    struct at_piece *piece = job->piece;
    enum at_status st = s->over ? AT_END : at_piece_room(piece, job->bytes);

    piece->raw_offset = s->g.raw;
    if (st == AT_END)
        piece->err.status = AT_END;
    if (st < 0)
        at_error_set(&piece->err, st, "out of memory");
    while (st == AT_OK && piece->len < job->bytes) {
        st = take_step(s, piece, job->bytes - piece->len);
        if (st == AT_ERR_CORRUPT && src->salvage)
            st = pass_damage(s, piece);
    }
    s->over = st != AT_OK;
    if (s->recorder != NULL && !s->over)
        at_recorder_keep(s->recorder, piece->data, piece->len);
    piece->file_end = s->stopped_at > 0 ? s->stopped_at
                                        : at_gunzip_position(&s->g);
}

const struct at_access_point *at_gzip_points(const struct at_source *src,
                                             size_t *n)
{
    const struct sequence *s = src->state;

    *n = 0;
    if (src->ops != &at_codec_gzip || s == NULL || s->recorder == NULL)
        return NULL;
    return at_recorder_points(s->recorder, n);
}

const struct at_codec_ops at_codec_gzip = {
    .codec = AT_CODEC_GZIP,
    .serial = true,
    .open = gzip_open,
    .prepare = gzip_prepare,
    .run = gzip_run,
    .close = gzip_close,
};
