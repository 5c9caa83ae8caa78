/*
 * pack_bgzf.c - blocks as BGZF members, by libdeflate
 *
 * A block longer than a member can be is several of them.
 */
#include <libdeflate.h>
#include <string.h>

#include "bgzf.h"
#include "bytes.h"
#include "packer.h"

/* One member of 'n' bytes, at most AT_BGZF_FILL; returns its size. */
static size_t make_member(struct libdeflate_compressor *tool, uint8_t *out,
                          const uint8_t *p, size_t n)
{
    size_t body = libdeflate_deflate_compress(tool, p, n, out + AT_BGZF_HEADER,
                                              AT_BGZF_MAX - AT_BGZF_HEADER -
                                                  AT_BGZF_TRAILER);
    size_t total;

    if (body == 0) { /* does not shrink: one stored block */
        uint8_t *d = out + AT_BGZF_HEADER;

        d[0] = 1;
        at_store_le16(d + 1, (uint16_t)n);
        at_store_le16(d + 3, (uint16_t)~n);
        memcpy(d + 5, p, n);
        body = n + 5;
    }
    total = AT_BGZF_HEADER + body + AT_BGZF_TRAILER;
    memcpy(out, at_bgzf_eof, AT_BGZF_HEADER);
    at_store_le16(out + 16, (uint16_t)(total - 1));
    at_store_le32(out + AT_BGZF_HEADER + body, libdeflate_crc32(0, p, n));
    at_store_le32(out + AT_BGZF_HEADER + body + 4, (uint32_t)n);
    return total;
}

static void pack_block(struct at_packing *job, unsigned i, const uint8_t *p)
{
    const size_t before = job->out_bytes;
    size_t left = job->block[i];

    while (left > 0) {
        const size_t n = left < AT_BGZF_FILL ? left : AT_BGZF_FILL;

        job->out_bytes += make_member(job->tool, job->out + job->out_bytes, p,
                                      n);
        p += n;
        left -= n;
    }
    job->block_out[i] = job->out_bytes - before;
}

static bool bgzf_pack(const struct at_packer *pk, struct at_packing *job)
{
    const uint8_t *p = job->raw;
    size_t members = 0;

    if (job->tool == NULL)
        job->tool = libdeflate_alloc_compressor(pk->level);
    for (unsigned i = 0; i < job->blocks; i++)
        members += job->block[i] / AT_BGZF_FILL + 1;
    if (job->tool == NULL || !at_packing_room(job, members * AT_BGZF_MAX))
        return false;
    for (unsigned i = 0; i < job->blocks; i++) {
        pack_block(job, i, p);
        p += job->block[i];
    }
    return true;
}

static void bgzf_drop(void *tool)
{
    libdeflate_free_compressor(tool);
}

static enum at_status bgzf_end(struct at_packer *pk)
{
    return at_output_write(pk->out, at_bgzf_eof, AT_BGZF_EOF_BYTES, pk->err);
}

const struct at_pack_ops at_pack_bgzf = {
    .codec = AT_CODEC_BGZF,
    .least = 1,
    .most = 12,
    .usual = 6,
    .job_bytes = 8 * AT_BGZF_FILL, /* so that it is worth handing over */
    .frame_is_block = true,
    .pack = bgzf_pack,
    .drop = bgzf_drop,
    .end = bgzf_end,
};
