/*
 * source.c - the decoded bytes of a file, piece by piece, in order
 */
#include "source.h"

#include <stdlib.h>
#include <string.h>

#include "bytes.h"
#include "codec_frames.h"

enum { SKIP_HEADER = 8 };

/* The codec of data that begins like this, or NULL. */
static const struct at_codec_ops *codec_of(const struct at_source *src,
                                           const uint8_t *p, size_t n)
{
    const bool file = src->in.seekable;

    if (n >= 2 && memcmp(p, "\x1f\x8b", 2) == 0 && at_bgzf_detect(p, n))
        return &at_codec_bgzf;
    if (n >= 2 && memcmp(p, "\x1f\x8b", 2) == 0)
        return file && src->access != NULL ? &at_codec_access
               : at_sized_detect(p, n)     ? &at_codec_sized
                                           : &at_codec_gzip;
    if (n >= 4 && memcmp(p, "\x28\xb5\x2f\xfd", 4) == 0)
        return &at_codec_zstd;
    if (n >= 4 && memcmp(p, "\x04\x22\x4d\x18", 4) == 0)
        return &at_codec_lz4;
    if (n >= 4 && memcmp(p, "BZh", 3) == 0 && p[3] >= '1' && p[3] <= '9')
        return file ? &at_codec_bzip2 : &at_codec_bzip2_stream;
    if (n >= 6 && memcmp(p,
                         "\xfd"
                         "7zXZ",
                         6) == 0)
        return at_xz_has_blocks(&src->in) ? &at_codec_xz : &at_codec_xz_stream;
    return NULL;
}

/* Skippable frames are of zstd or lz4: what comes after them tells.  With
 * nothing after them that can be seen, zstd is more likely. */
static const struct at_codec_ops *
codec_behind_skippable(const struct at_source *src, const uint8_t *p, size_t n)
{
    if (n < SKIP_HEADER || !at_is_skippable(p, n))
        return NULL;
    while (n >= SKIP_HEADER && at_is_skippable(p, n) &&
           at_load_le32(p + 4) <= n - SKIP_HEADER) {
        const size_t bytes = SKIP_HEADER + at_load_le32(p + 4);

        p += bytes;
        n -= bytes;
    }
    return codec_of(src, p, n) == &at_codec_lz4 ? &at_codec_lz4
                                                : &at_codec_zstd;
}

/* Those that we know by name only, so that the message can say so. */
static const char *known_stranger(const uint8_t *p, size_t n)
{
    if (n >= 4 && memcmp(p, "\x89LZO", 4) == 0)
        return "lzop";
    if (n >= 4 && memcmp(p, "\x02\x21\x4c\x18", 4) == 0)
        return "the legacy format of lz4";
    return NULL;
}

static enum at_status find_codec(struct at_source *src, struct at_error *err)
{
    const enum at_status st = at_input_peek(&src->in, err);
    const uint8_t *p = src->in.head;
    const size_t n = src->in.head_bytes;

    if (st != AT_OK)
        return st;
    if (known_stranger(p, n) != NULL)
        return at_error_set(err, AT_ERR_FORMAT,
                            "%s: compressed with %s, which is not read",
                            src->in.name, known_stranger(p, n));
    src->ops = codec_of(src, p, n);
    if (src->ops == NULL)
        src->ops = codec_behind_skippable(src, p, n);
    if (src->ops == NULL)
        src->ops = src->in.seekable ? &at_codec_plain : &at_codec_pipe;
    src->first_ops = src->ops;
    return AT_OK;
}

static void run_job(void *ctx, void *slot)
{
    struct at_source *src = ctx;

    src->ops->run(src, slot);
}

static void drop_job(void *ctx, void *slot)
{
    struct at_source *src = ctx;
    struct at_job *job = slot;

    at_piece_put_back(job->piece);
    if (job->tool != NULL && src->ops->drop != NULL)
        src->ops->drop(job);
    free(job->in);
}

static enum at_status start_codec(struct at_source *src, struct at_error *err)
{
    const enum at_status st = src->ops->open(src, err);

    src->ended = false;
    src->err.status = AT_OK;
    src->target = AT_PIECE_FIRST;
    if (st != AT_OK)
        return st;
    src->lane = at_lane_open(src->pool, run_job, src, sizeof(struct at_job),
                             src->slots, src->ops->serial);
    if (src->lane == NULL)
        return at_error_set(err, AT_ERR_MEMORY, "out of memory");
    return AT_OK;
}

static void stop_codec(struct at_source *src)
{
    at_lane_close(src->lane, drop_job);
    src->lane = NULL;
    if (src->ops != NULL && src->ops->close != NULL && src->state != NULL)
        src->ops->close(src);
    src->state = NULL;
}

size_t at_pieces_in(uint64_t memory, const struct at_pool *pool,
                    size_t *piece_bytes)
{
    const size_t most = 2 * (size_t)at_pool_threads(pool) + 2;
    const uint64_t fit = memory / AT_PIECE_FIRST;
    const size_t n = memory == 0 || fit > most ? most
                     : fit < 2                 ? 2
                                               : (size_t)fit;

    *piece_bytes = AT_PIECE_BYTES;
    if (memory > 0 && memory / n < AT_PIECE_BYTES)
        *piece_bytes = memory / n;
    if (*piece_bytes < AT_PIECE_FIRST)
        *piece_bytes = AT_PIECE_FIRST;
    return n;
}

enum at_status at_source_open(struct at_source *src, const char *path,
                              struct at_pool *pool,
                              const struct at_reader_options *opts,
                              struct at_error *err)
{
    enum at_status st;

    memset(src, 0, sizeof(*src));
    src->pool = pool;
    src->access = opts->access;
    src->salvage = opts->salvage;
    src->spacing = opts->spacing;
    src->portion = opts->portion;
    src->hesitant = true;
    src->slots = at_pieces_in(opts->memory, pool, &src->piece_bytes);
    at_shelf_init(&src->shelf);
    st = at_input_open(&src->in, path, opts->name, err);
    if (st == AT_OK)
        st = find_codec(src, err);
    if (st == AT_OK)
        st = start_codec(src, err);
    if (st != AT_OK)
        at_source_close(src);
    return st;
}

/* Sends jobs off for as long as there are slots and something to do. */
static void top_up(struct at_source *src)
{
    struct at_job *job;

    while (!src->ended && (job = at_lane_free_slot(src->lane)) != NULL) {
        enum at_status st;

        if (src->hesitant && at_lane_pending(src->lane) > 0)
            return;
        job->src = src;
        job->again = false;
        job->piece = at_piece_take(&src->shelf);
        st = job->piece == NULL
                 ? at_error_set(&src->err, AT_ERR_MEMORY, "out of memory")
                 : src->ops->prepare(src, job);
        if (st != AT_OK) {
            src->ended = true;
            src->err.status = st;
            at_piece_put_back(job->piece);
            job->piece = NULL;
            return;
        }
        at_lane_submit(src->lane);
        src->target = src->piece_bytes;
    }
}

/* What the codec cannot decode any further, the next one can. */
static enum at_status go_onward(struct at_source *src, struct at_piece **piece)
{
    stop_codec(src);
    src->ops = src->next_ops;
    src->next_ops = NULL;
    src->again = false;
    if (start_codec(src, &src->err) != AT_OK)
        return src->err.status;
    return at_source_next(src, piece);
}

static void deliver(struct at_source *src, struct at_job *job)
{
    if (job->again) {
        src->again = true;
        src->goes_on = false;
        src->next_ops = src->ops->onward;
        at_input_seek(&src->in, job->again_at);
    }
    if (src->ops->relative && src->place == NULL) {
        at_piece_shift(job->piece, src->raw_offset);
        src->raw_offset += job->piece->len;
    }
    if (job->piece->err.status != AT_OK)
        src->ended = true;
    job->piece = NULL;
    at_lane_retire(src->lane);
}

enum at_status at_source_next(struct at_source *src, struct at_piece **piece)
{
    struct at_job *job;

    if (src->again)
        return go_onward(src, piece);
    top_up(src);
    job = at_lane_wait(src->lane);
    if (job == NULL && src->next_ops != NULL)
        return go_onward(src, piece);
    if (job == NULL)
        return src->err.status == AT_OK ? AT_END : src->err.status;
    *piece = job->piece;
    deliver(src, job);
    return AT_OK;
}

bool at_source_random(const struct at_source *src)
{
    return src->in.seekable && !src->ops->serial && src->next_ops == NULL &&
           !(src->salvage && src->ops->by_raw);
}

enum at_status at_source_restart(struct at_source *src,
                                 const struct at_place *place, size_t n,
                                 bool salvage, struct at_error *err)
{
    const bool random = at_source_random(src);

    if (!src->in.seekable)
        return at_error_set(err, AT_ERR_MISUSE, "%s: cannot be read again",
                            src->in.name);
    stop_codec(src);
    src->salvage = salvage;
    src->ops = src->first_ops;
    src->next_ops = NULL;
    src->again = false;
    src->goes_on = false;
    at_input_seek(&src->in, 0);
    src->raw_offset = 0;
    src->next_place = 0;
    src->place = random ? place : NULL;
    src->places = random ? n : 0;
    return start_codec(src, err);
}

enum at_status at_source_as_plain(struct at_source *src, struct at_error *err)
{
    stop_codec(src);
    src->ops = src->in.seekable ? &at_codec_plain : &at_codec_pipe;
    src->first_ops = src->ops;
    src->next_ops = NULL;
    src->again = false;
    src->goes_on = false;
    src->raw_offset = 0;
    return at_input_rewind(&src->in, err) == AT_OK ? start_codec(src, err)
                                                   : AT_ERR_MISUSE;
}

void at_source_close(struct at_source *src)
{
    stop_codec(src);
    at_input_close(&src->in);
    at_shelf_clear(&src->shelf);
}

/* Whether a frame of the run is needed for the place too. */
static bool in_same_frames(const struct at_place *run, const struct at_place *p)
{
    return p->file_offset >= run->file_offset &&
           p->file_offset - run->file_offset < run->file_bytes &&
           p->raw_offset - run->raw_offset < AT_FRAME_MOST;
}

/* Whether there are bytes between the two that could not be decoded. */
static bool has_gap(const struct at_place *run, const struct at_place *p)
{
    return run->file_bytes > 0 &&
           p->file_offset > run->file_offset + run->file_bytes;
}

bool at_source_take_places(struct at_source *src, struct at_place *run)
{
    while (src->next_place < src->places &&
           src->place[src->next_place].bytes == 0)
        src->next_place++; /* it would say "all" to a job */
    if (src->next_place >= src->places)
        return false;
    *run = src->place[src->next_place++];
    while (src->next_place < src->places && run->bytes < src->target) {
        const struct at_place *p = &src->place[src->next_place];
        const uint64_t end = run->raw_offset + run->bytes;

        if ((p->raw_offset != end || has_gap(run, p)) &&
            !(p->raw_offset > end && in_same_frames(run, p)))
            break;
        run->file_bytes = p->file_offset + p->file_bytes - run->file_offset;
        run->bytes = p->raw_offset + p->bytes - run->raw_offset;
        src->next_place++;
    }
    return true;
}

enum at_status at_job_room(struct at_job *job, size_t n)
{
    if (job->in_room >= n)
        return AT_OK;
    free(job->in);
    job->in_room = 0;
    job->in = malloc(n);
    if (job->in == NULL)
        return AT_ERR_MEMORY;
    job->in_room = n;
    return AT_OK;
}

enum at_status at_job_place(struct at_job *job)
{
    struct at_source *src = job->src;
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

enum at_status at_job_read(struct at_job *job)
{
    size_t got = 0;
    const enum at_status st = at_input_read_at(&job->src->in, job->file_offset,
                                               job->in, job->in_bytes, &got,
                                               &job->piece->err);

    job->in_bytes = got;
    return st;
}

bool at_job_is_full(const struct at_job *job)
{
    return job->bytes > 0 && job->piece->len >= job->skip &&
           job->piece->len - job->skip >= job->bytes;
}

enum at_status at_job_damaged(struct at_job *job, size_t at, const char *what,
                              const char *how)
{
    return at_error_set(&job->piece->err, AT_ERR_CORRUPT,
                        "%s: %s at byte %llu: %s", job->src->in.name, what,
                        (unsigned long long)job->file_offset + at, how);
}

void at_job_cut(struct at_job *job)
{
    struct at_piece *piece = job->piece;
    const bool full = at_job_is_full(job);
    size_t skip;

    if (job->bytes == 0)
        return;
    skip = job->skip < piece->len ? (size_t)job->skip : piece->len;
    piece->data += skip;
    piece->len -= skip;
    if (full)
        piece->len = (size_t)job->bytes;
    else if (piece->err.status == AT_OK)
        at_job_damaged(job, 0, "block", "shorter than the index says");
}
