/*
 * source.c - the decoded bytes of a file, piece by piece, in order
 */
#include "source.h"

#include <stdlib.h>
#include <string.h>

#include "bytes.h"

static const struct {
    const char *magic;
    size_t bytes;
    const char *name;
} strangers[] = {
    {"BZh", 3, "bzip2"},
    {"\xfd"
     "7zXZ",
     5, "xz"},
    {"\x28\xb5\x2f\xfd", 4, "zstd"},
    {"\x04\x22\x4d\x18", 4, "lz4"},
    {"\x89LZO", 4, "lzop"},
};

static const char *known_stranger(const uint8_t *p, size_t n)
{
    for (size_t i = 0; i < sizeof(strangers) / sizeof(strangers[0]); i++)
        if (n >= strangers[i].bytes &&
            memcmp(p, strangers[i].magic, strangers[i].bytes) == 0)
            return strangers[i].name;
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
                            "%s: compressed with %s, which is not read yet",
                            src->in.name, known_stranger(p, n));
    if (n >= 2 && p[0] == 0x1f && p[1] == 0x8b && at_bgzf_detect(p, n))
        src->ops = &at_codec_bgzf;
    else if (n >= 2 && p[0] == 0x1f && p[1] == 0x8b)
        src->ops = src->access != NULL && src->in.seekable ? &at_codec_access
                                                           : &at_codec_gzip;
    else
        src->ops = src->in.seekable ? &at_codec_plain : &at_codec_pipe;
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
    src->lane = at_lane_open(src->pool, run_job, src, sizeof(struct at_job), 0,
                             src->ops->serial);
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

enum at_status at_source_open(struct at_source *src, const char *path,
                              struct at_pool *pool,
                              const struct at_reader_options *opts,
                              struct at_error *err)
{
    enum at_status st;

    memset(src, 0, sizeof(*src));
    src->pool = pool;
    src->access = opts->access;
    src->spacing = opts->spacing;
    src->portion = opts->portion;
    src->hesitant = true;
    at_shelf_init(&src->shelf);
    st = at_input_open(&src->in, path, err);
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
        src->target = AT_PIECE_BYTES;
    }
}

enum at_status at_source_next(struct at_source *src, struct at_piece **piece)
{
    struct at_job *job;

    top_up(src);
    job = at_lane_wait(src->lane);
    if (job == NULL && src->next_ops != NULL) {
        stop_codec(src);
        src->ops = src->next_ops;
        src->next_ops = NULL;
        if (start_codec(src, &src->err) != AT_OK)
            return src->err.status;
        return at_source_next(src, piece);
    }
    if (job == NULL)
        return src->err.status == AT_OK ? AT_END : src->err.status;
    *piece = job->piece;
    job->piece = NULL;
    at_lane_retire(src->lane);
    if ((*piece)->err.status != AT_OK)
        src->ended = true;
    return AT_OK;
}

bool at_source_random(const struct at_source *src)
{
    return src->in.seekable && !src->ops->serial && src->next_ops == NULL;
}

enum at_status at_source_restart(struct at_source *src,
                                 const struct at_place *place, size_t n,
                                 struct at_error *err)
{
    const bool random = at_source_random(src);

    if (!src->in.seekable)
        return at_error_set(err, AT_ERR_MISUSE, "%s: cannot be read again",
                            src->in.name);
    stop_codec(src);
    at_input_seek(&src->in, 0);
    src->raw_offset = 0;
    src->next_place = 0;
    src->place = random ? place : NULL;
    src->places = random ? n : 0;
    return start_codec(src, err);
}

void at_source_close(struct at_source *src)
{
    stop_codec(src);
    at_input_close(&src->in);
    at_shelf_clear(&src->shelf);
}

bool at_source_take_places(struct at_source *src, struct at_place *run)
{
    if (src->next_place >= src->places)
        return false;
    *run = src->place[src->next_place++];
    while (src->next_place < src->places && run->bytes < src->target) {
        const struct at_place *p = &src->place[src->next_place];

        if (p->raw_offset != run->raw_offset + run->bytes)
            break;
        run->file_bytes = p->file_offset + p->file_bytes - run->file_offset;
        run->bytes += p->bytes;
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
