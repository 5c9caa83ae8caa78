/*
 * pack_lz4.c - blocks as lz4 frames, each with its decoded size and checksum
 */
#include <lz4frame.h>

#include "packer.h"

enum { JOB_BYTES = 1 << 20 };

static bool lz4_pack(const struct at_packer *pk, struct at_packing *job)
{
    const LZ4F_preferences_t prefs = {
        .frameInfo =
            {
                .blockSizeID = LZ4F_max1MB,
                .contentChecksumFlag = LZ4F_contentChecksumEnabled,
                .contentSize = job->raw_bytes,
            },
        .compressionLevel = pk->level,
    };
    const size_t bound = LZ4F_compressFrameBound(job->raw_bytes, &prefs);
    size_t n;

    if (!at_packing_room(job, bound))
        return false;
    n = LZ4F_compressFrame(job->out, bound, job->raw, job->raw_bytes, &prefs);
    job->out_bytes = LZ4F_isError(n) ? 0 : n;
    return !LZ4F_isError(n);
}

const struct at_pack_ops at_pack_lz4 = {
    .codec = AT_CODEC_LZ4,
    .least = 1,
    .most = 12,
    .usual = 1,
    .job_bytes = JOB_BYTES,
    .never_empty = true,
    .pack = lz4_pack,
};
