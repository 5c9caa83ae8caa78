/*
 * codec_frames.c - compressed data in pieces that can be decoded alone
 */
#include "codec_frames.h"

#include <stdlib.h>
#include <string.h>

#include "bytes.h"
#include "codec_stream.h"

enum {
    READ_BYTES = 64 << 10,
    SKIP_HEADER = 8,
    TOTAL_MOST = 1 << 30, /* decoded bytes of a job; an index can ask */
};

/* Compressed bytes that were read and belong to no job yet. */
struct rest {
    uint8_t *p;
    size_t at, have, room;
    bool eof;
    bool goes_on;      /* another frame has to follow the last one seen */
    bool told;         /* salvage: there was a gap at the end */
    struct at_gap gap; /* salvage: what was passed over before 'at' */
};

enum at_status at_frames_open(struct at_source *src, struct at_error *err)
{
    src->state = calloc(1, sizeof(struct rest));
    return src->state != NULL
               ? AT_OK
               : at_error_set(err, AT_ERR_MEMORY, "out of memory");
}

void at_frames_close(struct at_source *src)
{
    struct rest *rest = src->state;

    free(rest->p);
    free(rest);
}

/* Reads on until 'want' bytes are there or the file is over. */
static enum at_status fill(struct at_source *src, struct rest *rest,
                           size_t want)
{
    const size_t left = rest->have - rest->at;
    const size_t n = want > left + READ_BYTES ? want - left : READ_BYTES;
    size_t got;
    enum at_status st;

    if (rest->eof || left >= want)
        return AT_OK;
    if (rest->at > 0)
        memmove(rest->p, rest->p + rest->at, left);
    rest->at = 0;
    rest->have = left;
    if (rest->room < left + n) {
        uint8_t *p = realloc(rest->p, left + n);

        if (p == NULL)
            return at_error_set(&src->err, AT_ERR_MEMORY, "out of memory");
        rest->p = p;
        rest->room = left + n;
    }
    st = at_input_read(&src->in, rest->p + left, n, &got, &src->err);
    if (st != AT_OK)
        return st;
    rest->have += got;
    rest->eof = got < n;
    return AT_OK;
}

/* Whether a frame may begin at 'p', or all is over there. */
static bool may_begin(const struct at_frame_ops *ops, const uint8_t *p,
                      size_t n, bool eof)
{
    struct at_frame_found f;
    const enum at_look look = n == 0 ? AT_LOOK_OK : ops->look(p, n, eof, &f);

    return look == AT_LOOK_OK || (look == AT_LOOK_MORE && !eof);
}

/*
 * How far the frame at 'p' goes, which says that it is of 'bytes': less, if
 * nothing begins where it ends but something does inside it.
 */
static size_t real_bytes(const struct at_frame_ops *ops, const uint8_t *p,
                         size_t n, bool eof, size_t bytes)
{
    struct at_frame_found f;

    if (may_begin(ops, p + bytes, n - bytes, eof))
        return bytes;
    for (size_t at = 1; at < bytes; at++)
        if (ops->look(p + at, n - at, eof, &f) == AT_LOOK_OK &&
            may_begin(ops, p + at + f.bytes, n - at - f.bytes, eof))
            return at;
    return bytes;
}

/* The frames that the next job takes: their bytes, and what stopped us. */
static size_t take_frames(const struct at_source *src, struct rest *rest,
                          enum at_look *look)
{
    const struct at_frame_ops *ops = src->ops->frames;
    const size_t left = rest->have - rest->at;
    struct at_frame_found f = {.goes_on = false};
    size_t n = 0, raw = 0;

    *look = AT_LOOK_OK;
    while (raw < src->target && n < left) {
        *look = ops->look(rest->p + rest->at + n, left - n, rest->eof, &f);
        if (*look != AT_LOOK_OK)
            break;
        if (src->salvage)
            f.bytes = real_bytes(ops, rest->p + rest->at + n, left - n,
                                 rest->eof, f.bytes);
        n += f.bytes;
        raw += f.raw_bytes;
        rest->goes_on = f.goes_on;
    }
    return n;
}

/* Takes frames, and reads on while not even one is whole. */
static enum at_status find_frames(struct at_source *src, struct rest *rest,
                                  size_t *n, enum at_look *look)
{
    enum at_status st = fill(src, rest, READ_BYTES);

    for (*n = 0; st == AT_OK;) {
        const size_t left = rest->have - rest->at;

        *n = take_frames(src, rest, look);
        if (*n > 0 || *look != AT_LOOK_MORE || rest->eof ||
            left > src->ops->frames->most)
            break;
        st = fill(src, rest, 2 * left);
    }
    return st;
}

static enum at_status go_onward(struct at_source *src, struct rest *rest)
{
    src->next_ops = src->ops->onward;
    src->goes_on = rest->goes_on;
    return at_input_unread(&src->in, rest->p + rest->at, rest->have - rest->at,
                           &src->err) == AT_OK
               ? AT_END
               : src->err.status;
}

static bool only_zeros(const uint8_t *p, size_t n)
{
    while (n > 0 && *p == 0) {
        p++;
        n--;
    }
    return n == 0;
}

/* There is no whole frame where one should begin: says why. */
static enum at_status no_frame(struct at_source *src, struct rest *rest,
                               enum at_look look)
{
    const struct at_frame_ops *ops = src->ops->frames;
    const unsigned long long at = src->in.offset - (rest->have - rest->at);

    if (ops->closed && rest->eof && rest->at < rest->have &&
        only_zeros(rest->p + rest->at, rest->have - rest->at))
        rest->at = rest->have;
    if (rest->at == rest->have && (!rest->goes_on || rest->told))
        return AT_END;
    if (rest->at == rest->have)
        return at_input_not_closed(&src->in, at, &src->err);
    if (!ops->closed || look == AT_LOOK_OTHER)
        return go_onward(src, rest);
    if (look == AT_LOOK_MORE)
        return at_error_set(&src->err, AT_ERR_TRUNCATED,
                            "%s: cut short: the %s at byte %llu is incomplete",
                            src->in.name, ops->frame, at);
    return at_error_set(&src->err, AT_ERR_CORRUPT,
                        "%s: no %s begins at byte %llu, where the one before "
                        "has ended",
                        src->in.name, ops->member, at);
}

/* Salvage: passes over what is no frame. */
static void pass_damage(struct at_source *src, struct rest *rest)
{
    const struct at_frame_ops *ops = src->ops->frames;
    const uint64_t at = src->in.offset - (rest->have - rest->at);
    const uint8_t *p = rest->p + rest->at;
    const size_t left = rest->have - rest->at;
    size_t n = 1;

    while (n < left && !may_begin(ops, p + n, left - n, rest->eof))
        n++;
    if (rest->gap.bytes == 0)
        rest->gap.file = at;
    rest->gap.bytes += n;
    rest->at += n;
}

/* What has the magic number of a frame and does not say its length is decoded
 * in sequence. */
static bool is_for_onward(const struct at_source *src, const struct rest *rest,
                          enum at_look look)
{
    const size_t left = rest->have - rest->at;

    return look == AT_LOOK_OTHER && left >= 4 &&
           src->ops->frames->other(rest->p + rest->at, left);
}

/*
 * Where damage begins: the bytes up to where the next frame does may be one
 * whose header alone is damaged, which a job will find out; else *n is 0.
 */
static enum at_status find_mendable(struct at_source *src, struct rest *rest,
                                    size_t *n)
{
    const struct at_frame_ops *ops = src->ops->frames;
    const uint8_t *p;
    size_t left, next = 1;
    enum at_status st;

    *n = 0;
    if (ops->mend == NULL || rest->gap.bytes > 0)
        return AT_OK;
    st = fill(src, rest, ops->most + READ_BYTES);
    p = rest->p + rest->at;
    left = rest->have - rest->at;
    while (st == AT_OK && next < left && next <= ops->most &&
           !may_begin(ops, p + next, left - next, rest->eof))
        next++;
    if (st != AT_OK || next > ops->most)
        return st;
    *n = next;
    rest->told = rest->eof && next == left; /* or will be, if it is none */
    return AT_OK;
}

/* Finds frames behind damage, or what is left for the next codec: AT_END. */
static enum at_status find_behind(struct at_source *src, struct rest *rest,
                                  size_t *n, enum at_look *look)
{
    enum at_status st = AT_OK;

    if (rest->at < rest->have && !is_for_onward(src, rest, *look))
        st = find_mendable(src, rest, n);
    while (st == AT_OK && *n == 0 && rest->at < rest->have) {
        if (is_for_onward(src, rest, *look))
            return AT_END;
        pass_damage(src, rest);
        st = find_frames(src, rest, n, look);
    }
    return st;
}

/* Blocks before the gap end where it begins. */
static enum at_status put_gap(struct at_piece *piece, struct at_gap gap)
{
    const enum at_status st = at_piece_mark(piece, 0, gap.file);

    return st == AT_OK ? at_piece_gap(piece, gap) : st;
}

/*
 * The first 'n' bytes of the rest become the job's.  Where fewer are behind
 * them, it is those that are copied, and the two change buffers.
 */
static enum at_status hand_over(struct rest *rest, struct at_job *job, size_t n)
{
    const size_t behind = rest->have - rest->at - n;
    const bool change = rest->at == 0 && behind < n;
    const size_t copied = change ? behind : n;
    const uint8_t *from = rest->p + (change ? n : rest->at);

    if (at_job_room(job, copied) != AT_OK)
        return AT_ERR_MEMORY;
    if (copied > 0)
        memcpy(job->in, from, copied);
    job->in_bytes = n;
    rest->at += n;
    if (change) {
        const struct rest old = *rest;

        rest->p = job->in;
        rest->room = job->in_room;
        rest->at = 0;
        rest->have = behind;
        job->in = old.p;
        job->in_room = old.room;
    }
    return AT_OK;
}

enum at_status at_frames_prepare(struct at_source *src, struct at_job *job)
{
    struct rest *rest = src->state;
    enum at_look look = AT_LOOK_OK;
    enum at_status st;
    size_t n;

    if (src->place != NULL)
        return at_job_place(job);
    st = find_frames(src, rest, &n, &look);
    if (st != AT_OK)
        return st;
    if (n == 0 && src->salvage)
        st = find_behind(src, rest, &n, &look);
    if (st < 0)
        return st;
    if (n == 0 && rest->gap.bytes == 0)
        return no_frame(src, rest, look);
    job->file_offset = src->in.offset - (rest->have - rest->at);
    if (hand_over(rest, job, n) != AT_OK ||
        (rest->gap.bytes > 0 && put_gap(job->piece, rest->gap) != AT_OK))
        return at_error_set(&src->err, AT_ERR_MEMORY, "out of memory");
    rest->told |= rest->gap.bytes > 0 && n == 0;
    rest->gap.bytes = 0;
    job->skip = 0;
    job->bytes = 0;
    job->piece->raw_offset = 0; /* it is known when the piece is delivered */
    return AT_OK;
}

/* Decoded bytes of all frames in the job; less where one is damaged, which
 * decoding them one by one will then tell. */
static uint64_t raw_total(const struct at_job *job)
{
    const struct at_frame_ops *ops = job->src->ops->frames;
    struct at_frame_found f;
    uint64_t total = 0;

    for (size_t at = 0; at < job->in_bytes; at += f.bytes) {
        if (ops->look(job->in + at, job->in_bytes - at, true, &f) !=
                AT_LOOK_OK ||
            total > TOTAL_MOST)
            break;
        total += f.raw_bytes;
    }
    return total;
}

/* Frames behind damage were not counted when room was made. */
static bool has_room(struct at_job *job, const struct at_frame_found *f)
{
    struct at_piece *piece = job->piece;

    if (piece->len + f->raw_bytes <= TOTAL_MOST &&
        at_piece_grow(piece, f->raw_bytes) == AT_OK)
        return true;
    at_error_set(&piece->err, AT_ERR_MEMORY, "out of memory");
    return false;
}

/* If the bytes of the gap are a frame but for its header, that becomes the gap;
 * not by places, where nobody asks for gaps. */
static void mend_frame(struct at_job *job, size_t at, struct at_gap *gap)
{
    const struct at_frame_ops *ops = job->src->ops->frames;
    size_t header;

    if (ops->mend == NULL || job->src->place != NULL)
        return;
    header = ops->mend(job->tool, job->in + at, (size_t)gap->bytes, job->piece);
    if (header > 0) {
        gap->bytes = header;
        gap->kind = AT_GAP_HEADER;
    }
}

/* A damaged frame is a gap; its length is believed no more than the rest. */
static enum at_status pass_frame(struct at_job *job, size_t at, size_t *n)
{
    const struct at_frame_ops *ops = job->src->ops->frames;
    struct at_piece *piece = job->piece;
    struct at_gap gap = {piece->raw_offset + piece->len, job->file_offset + at,
                         0, AT_GAP_LOST};
    struct at_frame_found f;
    size_t next = at + 1;

    while (next < job->in_bytes &&
           ops->look(job->in + next, job->in_bytes - next, true, &f) !=
               AT_LOOK_OK)
        next++;
    *n = gap.bytes = next - at;
    mend_frame(job, at, &gap);
    if (at_piece_gap(piece, gap) == AT_OK)
        return AT_OK;
    return at_error_set(&piece->err, AT_ERR_MEMORY, "out of memory");
}

static enum at_status unpack_frame(struct at_job *job, size_t at, size_t *n)
{
    const struct at_frame_ops *ops = job->src->ops->frames;
    struct at_piece *piece = job->piece;
    const size_t before = piece->len;
    struct at_frame_found f = {.bytes = 0};
    const char *wrong = "header damaged";
    bool too_long;

    if (at_piece_mark(piece, piece->raw_offset + piece->len,
                      job->file_offset + at) != AT_OK)
        return at_error_set(&piece->err, AT_ERR_MEMORY, "out of memory");
    if (ops->look(job->in + at, job->in_bytes - at, true, &f) == AT_LOOK_OK) {
        if (job->src->salvage && !has_room(job, &f))
            return AT_ERR_MEMORY;
        wrong = ops->unpack(job->tool, job->in + at, &f, piece);
    }
    *n = f.bytes;
    if (wrong == NULL)
        return AT_OK;
    too_long = piece->len - before > AT_FRAME_MOST;
    piece->len = before;
    if (job->src->salvage && !too_long)
        return pass_frame(job, at, n);
    if (ops->unsure && job->src->place == NULL) {
        job->again = true;
        job->again_at = job->file_offset + at;
        return AT_END;
    }
    return at_job_damaged(job, at, ops->frame, wrong);
}

static enum at_status ready(struct at_job *job)
{
    const struct at_frame_ops *ops = job->src->ops->frames;
    uint64_t total;

    if (job->tool == NULL)
        job->tool = ops->open();
    total = raw_total(job);
    if (total > TOTAL_MOST)
        return at_job_damaged(job, 0, ops->frame, "too much for one piece");
    if (job->tool == NULL || at_piece_room(job->piece, total) != AT_OK)
        return at_error_set(&job->piece->err, AT_ERR_MEMORY, "out of memory");
    return AT_OK;
}

void at_frames_run(struct at_source *src, struct at_job *job)
{
    struct at_piece *piece = job->piece;
    enum at_status st = src->place == NULL ? AT_OK : at_job_read(job);
    size_t at = 0, n = 0;

    if (st == AT_OK)
        st = ready(job);
    piece->raw_offset -= job->skip; /* for the marks */
    while (st == AT_OK && at < job->in_bytes && !at_job_is_full(job)) {
        st = unpack_frame(job, at, &n);
        at += st == AT_OK ? n : 0;
    }
    piece->raw_offset += job->skip;
    piece->file_end = job->file_offset + at;
    at_job_cut(job);
}

void at_frames_drop(struct at_job *job)
{
    job->src->ops->frames->close(job->tool);
}

bool at_is_skippable(const uint8_t *p, size_t n)
{
    return n > 0 && (p[0] & 0xf0) == 0x50 &&
           memcmp(p + 1, "\x2a\x4d\x18", n < 4 ? n - 1 : 3) == 0;
}

enum at_look at_look_skippable(const uint8_t *p, size_t n,
                               struct at_frame_found *f)
{
    if (n < SKIP_HEADER)
        return AT_LOOK_MORE;
    if (at_load_le32(p + 4) > AT_FRAME_MOST)
        return AT_LOOK_OTHER;
    *f = (struct at_frame_found){.bytes = SKIP_HEADER + at_load_le32(p + 4)};
    return n < f->bytes ? AT_LOOK_MORE : AT_LOOK_OK;
}
