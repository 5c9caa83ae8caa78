/*
 * pack_bzip2.c - blocks as bzip2 streams, one after the other
 *
 * The streams are marked; an empty one closes the file.
 */
#include <bzlib.h>

#include "marks.h"
#include "packer.h"

/* A job is what one block of bzip2 takes at level 9, which leaves room for
 * what its first run-length step may add. */
enum { JOB_BYTES = 890000 };

static bool bzip2_pack(const struct at_packer *pk, struct at_packing *job)
{
    unsigned n = (unsigned)(job->raw_bytes + job->raw_bytes / 100 + 600);

    if (!at_packing_room(job, n + AT_BZIP2_MARK) ||
        BZ2_bzBuffToBuffCompress((char *)job->out, &n, (char *)job->raw,
                                 (unsigned)job->raw_bytes, pk->level, 0,
                                 0) != BZ_OK)
        return false;
    job->out_bytes = at_bzip2_mark(job->out, n);
    return true;
}

/* What bzip2 makes of nothing. */
static enum at_status bzip2_end(struct at_packer *pk)
{
    uint8_t empty[] = {'B',  'Z',  'h',  '0', 0x17, 0x72, 0x45,
                       0x38, 0x50, 0x90, 0,   0,    0,    0};

    empty[3] = (uint8_t)(empty[3] + pk->level);
    return at_output_write(pk->out, empty, sizeof(empty), pk->err);
}

const struct at_pack_ops at_pack_bzip2 = {
    .codec = AT_CODEC_BZIP2,
    .least = 1,
    .most = 9,
    .usual = 9,
    .job_bytes = JOB_BYTES,
    .pack = bzip2_pack,
    .end = bzip2_end,
};
