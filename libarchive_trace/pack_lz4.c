/*
 * pack_lz4.c - blocks as lz4 frames, each with its decoded size and checksum,
 * then a table of them
 *
 * A frame begins with its first byte alone: the mark of marks.h.
 */
#include <lz4frame.h>

#include "seek_table.h"

enum { JOB_BYTES = 1 << 20 };

static const LZ4F_compressOptions_t stays = {.stableSrc = 1};

/* What LZ4F has put behind job->out_bytes, or its error. */
static bool append(struct at_packing *job, size_t n)
{
    if (LZ4F_isError(n))
        return false;
    job->out_bytes += n;
    return true;
}

/* Every call flushes, so that these bytes are blocks of their own. */
static bool put(struct at_packing *job, size_t at, size_t n)
{
    return n == 0 ||
           append(job, LZ4F_compressUpdate(job->tool, job->out + job->out_bytes,
                                           job->out_room - job->out_bytes,
                                           job->raw + at, n, &stays));
}

static bool put_frame(struct at_packing *job, const LZ4F_preferences_t *prefs)
{
    const size_t first = job->raw_bytes > 0;

    return append(job, LZ4F_compressBegin(job->tool, job->out, job->out_room,
                                          prefs)) &&
           put(job, 0, first) && put(job, first, job->raw_bytes - first) &&
           append(job,
                  LZ4F_compressEnd(job->tool, job->out + job->out_bytes,
                                   job->out_room - job->out_bytes, &stays));
}

static bool open_tool(struct at_packing *job)
{
    LZ4F_cctx *tool;

    if (job->tool == NULL &&
        !LZ4F_isError(LZ4F_createCompressionContext(&tool, LZ4F_VERSION)))
        job->tool = tool;
    return job->tool != NULL;
}

static bool lz4_pack(const struct at_packer *pk, struct at_packing *job)
{
    const LZ4F_preferences_t prefs = {
        .frameInfo =
            {
                .blockSizeID = LZ4F_max1MB,
                .blockMode = LZ4F_blockIndependent,
                .contentChecksumFlag = LZ4F_contentChecksumEnabled,
                .contentSize = job->raw_bytes,
            },
        .compressionLevel = pk->level,
        .autoFlush = 1,
    };
    const size_t bound = LZ4F_HEADER_SIZE_MAX + LZ4F_compressBound(1, &prefs) +
                         LZ4F_compressBound(job->raw_bytes, &prefs);

    job->out_bytes = 0;
    return open_tool(job) && at_packing_room(job, bound) &&
           put_frame(job, &prefs);
}

static void lz4_drop(void *tool)
{
    LZ4F_freeCompressionContext(tool);
}

const struct at_pack_ops at_pack_lz4 = {
    .codec = AT_CODEC_LZ4,
    .least = 1,
    .most = 12,
    .usual = 1,
    .job_bytes = JOB_BYTES,
    .never_empty = true,
    .pack = lz4_pack,
    .drop = lz4_drop,
    AT_SEEK_TABLE_FUNCTIONS,
};
