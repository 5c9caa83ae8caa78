/*
 * pack_bzip2.c - blocks as bzip2 streams, one after the other
 */
#include <bzlib.h>

#include "packer.h"

/* A job is what one block of bzip2 takes at level 9, which leaves room for
 * what its first run-length step may add. */
enum { JOB_BYTES = 890000 };

static bool bzip2_pack(const struct at_packer *pk, struct at_packing *job)
{
    unsigned n = (unsigned)(job->raw_bytes + job->raw_bytes / 100 + 600);

    if (!at_packing_room(job, n) ||
        BZ2_bzBuffToBuffCompress((char *)job->out, &n, (char *)job->raw,
                                 (unsigned)job->raw_bytes, pk->level, 0,
                                 0) != BZ_OK)
        return false;
    job->out_bytes = n;
    return true;
}

const struct at_pack_ops at_pack_bzip2 = {
    .codec = AT_CODEC_BZIP2,
    .least = 1,
    .most = 9,
    .usual = 9,
    .job_bytes = JOB_BYTES,
    .never_empty = true,
    .pack = bzip2_pack,
};
