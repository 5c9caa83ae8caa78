/*
 * measure.c - what some bytes would take in another codec
 *
 * They go through the codec's own packing, in blocks and jobs as full as they
 * can be; nothing is written.
 */
#include <stdlib.h>

#include "packer.h"

/* Lays 'n' bytes out as one job; returns how many it took. */
static size_t lay_out(const struct at_packer *pk, struct at_packing *job,
                      const uint8_t *p, size_t n)
{
    job->raw = (uint8_t *)(uintptr_t)p; /* is only read */
    job->raw_bytes = 0;
    job->out_bytes = 0;
    job->blocks = 0;
    while (n > 0 && job->blocks < AT_JOB_BLOCKS &&
           job->raw_bytes + AT_BLOCK_FILL <= pk->ops->job_bytes) {
        const size_t fill = n < AT_BLOCK_FILL ? n : AT_BLOCK_FILL;

        job->block[job->blocks++] = fill;
        job->raw_bytes += fill;
        n -= fill;
    }
    return job->raw_bytes;
}

enum at_status at_codec_measure(enum at_codec codec, int level,
                                const uint8_t *p, size_t n, uint64_t *packed,
                                struct at_error *err)
{
    struct at_packer pk = {.ops = at_pack_ops_of(codec)};
    struct at_packing job = {.raw = NULL};
    enum at_status st = AT_OK;

    *packed = 0;
    if (pk.ops == NULL || pk.ops->pack == NULL)
        return at_error_set(err, AT_ERR_MISUSE, "%s does not compress",
                            at_codec_name(codec));
    pk.level = level == 0 ? pk.ops->usual : level;
    while (n > 0 && st == AT_OK) {
        const size_t taken = lay_out(&pk, &job, p, n);

        if (!pk.ops->pack(&pk, &job))
            st = at_error_set(err, AT_ERR_MEMORY, "out of memory");
        *packed += job.out_bytes;
        p += taken;
        n -= taken;
    }
    if (job.tool != NULL)
        pk.ops->drop(job.tool);
    free(job.out);
    return st;
}
