/*
 * packer.c - blocks through a codec into a file
 */
#include "packer.h"

#include <stdlib.h>
#include <string.h>

#include "errors.h"

static const struct at_pack_ops *const packs[] = {
    &at_pack_none, &at_pack_gzip,  &at_pack_bgzf, &at_pack_zstd,
    &at_pack_xz,   &at_pack_bzip2, &at_pack_lz4,
};

const struct at_pack_ops *at_pack_ops_of(enum at_codec codec)
{
    for (size_t i = 0; i < sizeof(packs) / sizeof(packs[0]); i++)
        if (packs[i]->codec == codec)
            return packs[i];
    return NULL;
}

/* Nothing to pack: the job is written as it is.  For the kernel that is as
 * much work as making the records is for us, so each has its own thread; more
 * threads would not help, as a file has one lock for all who write to it. */
const struct at_pack_ops at_pack_none = {
    .codec = AT_CODEC_NONE,
    .job_bytes = 8 * AT_BLOCK_FILL,
    .frame_is_block = true,
};

static bool room_for(uint8_t **buf, size_t *room, size_t n)
{
    uint8_t *p;

    if (n <= *room)
        return true;
    p = realloc(*buf, n);
    if (p == NULL)
        return false;
    *buf = p;
    *room = n;
    return true;
}

bool at_packing_room(struct at_packing *job, size_t n)
{
    return room_for(&job->out, &job->out_room, n);
}

static bool is_plain(const struct at_packer *pk)
{
    return pk->ops->pack == NULL;
}

/*
 * The tool last used, whose memory the processor still has at hand: a thread
 * mostly gets its own again, and there are no more of them than threads.
 */
static void *take_tool(struct at_packer *pk)
{
    void *tool;

    pthread_mutex_lock(&pk->lock);
    tool = pk->tools > 0 ? pk->tool[--pk->tools] : NULL;
    pthread_mutex_unlock(&pk->lock);
    return tool;
}

static void put_tool_back(struct at_packer *pk, void *tool)
{
    if (tool == NULL)
        return;
    pthread_mutex_lock(&pk->lock);
    pk->tool[pk->tools++] = tool;
    pthread_mutex_unlock(&pk->lock);
}

static bool pack_job(struct at_packer *pk, struct at_packing *job)
{
    bool packed;

    job->tool = take_tool(pk);
    packed = pk->ops->pack(pk, job);
    put_tool_back(pk, job->tool);
    return packed;
}

static void run_job(void *ctx, void *slot)
{
    struct at_packer *pk = ctx;
    struct at_packing *job = slot;

    job->out_bytes = 0;
    job->err.status = AT_OK;
    if (is_plain(pk))
        at_output_append(pk->out, job->raw, job->raw_bytes, &job->err);
    else if (!pack_job(pk, job))
        at_error_set(&job->err, AT_ERR_MEMORY, "out of memory");
}

static void drop_job(void *ctx, void *slot)
{
    struct at_packing *job = slot;

    (void)ctx;
    free(job->raw);
    free(job->out);
}

static enum at_status out_of_memory(struct at_packer *pk)
{
    return at_error_set(pk->err, AT_ERR_MEMORY, "out of memory");
}

/* Bytes in the file of the frame that block 'i' is in. */
static size_t frame_bytes(const struct at_packer *pk,
                          const struct at_packing *job, unsigned i)
{
    if (is_plain(pk))
        return job->block[i];
    return pk->ops->frame_is_block ? job->block_out[i] : job->out_bytes;
}

/* 'skip' is what of the frame comes before the block. */
static enum at_status add_place(struct at_packer *pk,
                                const struct at_packing *job, unsigned i,
                                uint64_t file_offset, size_t skip)
{
    const size_t header = i == 0 ? job->header_bytes : 0;
    const size_t plain = is_plain(pk) ? header : 0;

    if (pk->places == pk->place_room) {
        const size_t room = pk->place_room * 2 + 64;
        struct at_place *p = realloc(pk->place, room * sizeof(*p));

        if (p == NULL)
            return out_of_memory(pk);
        pk->place = p;
        pk->place_room = room;
    }
    pk->place[pk->places++] = (struct at_place){
        .file_offset = file_offset + plain,
        .file_bytes = frame_bytes(pk, job, i) - plain,
        .raw_offset = pk->raw_offset + header,
        .skip = skip + header - plain,
        .bytes = job->block[i] - header,
    };
    return AT_OK;
}

static enum at_status add_places(struct at_packer *pk,
                                 const struct at_packing *job, uint64_t offset)
{
    enum at_status st = AT_OK;
    size_t skip = 0;

    for (unsigned i = 0; i < job->blocks && st == AT_OK; i++) {
        if (i > 0 || job->block[i] > job->header_bytes)
            st = add_place(pk, job, i, offset, skip);
        pk->raw_offset += job->block[i];
        if (pk->ops->frame_is_block)
            offset += frame_bytes(pk, job, i);
        else
            skip += job->block[i];
    }
    return st;
}

/* Plain jobs have been written when they come back. */
static enum at_status write_job(struct at_packer *pk,
                                const struct at_packing *job)
{
    if (!is_plain(pk))
        return at_output_write(pk->out, job->out, job->out_bytes, pk->err);
    pk->out->bytes += job->raw_bytes;
    return AT_OK;
}

/* Takes back the oldest job that is on its way. */
static enum at_status retire_job(struct at_packer *pk)
{
    const struct at_packing *job = at_lane_wait(pk->lane);
    const uint64_t offset = pk->out->bytes;
    enum at_status st;

    if (job->err.status != AT_OK)
        return at_error_copy(pk->err, &job->err);
    st = write_job(pk, job);
    if (st == AT_OK && pk->ops->note != NULL)
        st = pk->ops->note(pk, job);
    if (st == AT_OK)
        st = add_places(pk, job, offset);
    at_lane_retire(pk->lane);
    return st;
}

static enum at_status new_job(struct at_packer *pk)
{
    while ((pk->job = at_lane_free_slot(pk->lane)) == NULL) {
        const enum at_status st = retire_job(pk);

        if (st != AT_OK)
            return st;
    }
    pk->job->raw_bytes = 0;
    pk->job->blocks = 0;
    pk->job->header_bytes = 0;
    if (!room_for(&pk->job->raw, &pk->job->raw_room, pk->ops->job_bytes))
        return out_of_memory(pk);
    return AT_OK;
}

static void send_job(struct at_packer *pk)
{
    pk->jobs++;
    at_lane_submit(pk->lane);
}

static int level_of(const struct at_pack_ops *ops, int level)
{
    return level == 0 ? ops->usual : level < 0 ? 0 : level;
}

/* No more tools are in use at once than there are slots. */
static bool open_lane(struct at_packer *pk, struct at_pool *pool)
{
    const size_t slots = 2 * (size_t)at_pool_threads(pool) + 2;

    pk->tool = calloc(slots, sizeof(*pk->tool));
    if (pk->tool == NULL)
        return false;
    pthread_mutex_init(&pk->lock, NULL);
    pk->lane = at_lane_open(pool, run_job, pk, sizeof(struct at_packing), slots,
                            is_plain(pk));
    return pk->lane != NULL;
}

enum at_status at_packer_open(struct at_packer *pk, enum at_codec codec,
                              int level, struct at_output *out,
                              struct at_pool *pool, struct at_error *err)
{
    enum at_status st = AT_OK;

    *pk = (struct at_packer){.out = out, .err = err};
    pk->ops = at_pack_ops_of(codec);
    if (pk->ops == NULL)
        return at_error_set(err, AT_ERR_MISUSE, "%s: %s cannot be written",
                            out->name, at_codec_name(codec));
    pk->level = level_of(pk->ops, level);
    if (pk->level < pk->ops->least || pk->level > pk->ops->most)
        return at_error_set(err, AT_ERR_MISUSE,
                            "%s: %s has levels from %d to %d, not %d",
                            out->name, at_codec_name(codec), pk->ops->least,
                            pk->ops->most, pk->level);
    if (!open_lane(pk, pool))
        return out_of_memory(pk);
    if (pk->ops->begin != NULL)
        st = pk->ops->begin(pk);
    return st == AT_OK ? new_job(pk) : st;
}

uint8_t *at_packer_room(struct at_packer *pk, size_t n)
{
    struct at_packing *job = pk->job;
    uint8_t *p;

    if (!room_for(&job->raw, &job->raw_room, job->raw_bytes + n)) {
        out_of_memory(pk);
        return NULL;
    }
    p = job->raw + job->raw_bytes;
    job->raw_bytes += n;
    pk->fill += n;
    return p;
}

void at_packer_header(struct at_packer *pk)
{
    pk->job->header_bytes = pk->fill;
}

enum at_status at_packer_end_block(struct at_packer *pk)
{
    struct at_packing *job = pk->job;

    if (pk->fill == 0)
        return AT_OK;
    job->block[job->blocks++] = pk->fill;
    pk->fill = 0;
    pk->blocks++;
    if (job->blocks < AT_JOB_BLOCKS &&
        job->raw_bytes + AT_BLOCK_FILL <= pk->ops->job_bytes)
        return AT_OK;
    send_job(pk);
    return new_job(pk);
}

enum at_status at_packer_finish(struct at_packer *pk)
{
    enum at_status st = at_packer_end_block(pk);

    if (st == AT_OK &&
        (pk->job->blocks > 0 || (pk->jobs == 0 && pk->ops->never_empty)))
        send_job(pk);
    while (st == AT_OK && at_lane_pending(pk->lane) > 0)
        st = retire_job(pk);
    if (st == AT_OK && pk->ops->end != NULL)
        st = pk->ops->end(pk);
    return st;
}

void at_packer_close(struct at_packer *pk)
{
    at_lane_close(pk->lane, drop_job);
    while (pk->tools > 0)
        pk->ops->drop(pk->tool[--pk->tools]);
    if (pk->tool != NULL)
        pthread_mutex_destroy(&pk->lock);
    free(pk->tool);
    if (pk->state != NULL)
        pk->ops->close(pk);
    free(pk->place);
    *pk = (struct at_packer){.ops = NULL};
}
