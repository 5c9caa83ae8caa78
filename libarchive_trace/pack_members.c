/*
 * pack_members.c - blocks as gzip members, by libdeflate
 *
 * BGZF has a member for each block, or several for a block longer than a
 * member can be.  In long members there are as many blocks as fit, which
 * makes them smaller, as each begins with an empty window.
 */
#include <libdeflate.h>
#include <string.h>

#include "bytes.h"
#include "members.h"
#include "packer.h"

/* Puts the trailer behind what has been made of it, 'made' bytes. */
static size_t end_member(uint8_t *out, size_t made, const uint8_t *p, size_t n)
{
    at_store_le32(out + made, libdeflate_crc32(0, p, n));
    at_store_le32(out + made + 4, (uint32_t)n);
    return made + AT_MEMBER_TRAILER;
}

/* One member of 'n' bytes, at most AT_BGZF_FILL; returns its size. */
static size_t make_block(struct libdeflate_compressor *tool, uint8_t *out,
                         const uint8_t *p, size_t n)
{
    size_t body = libdeflate_deflate_compress(tool, p, n, out + AT_BGZF_HEADER,
                                              AT_BGZF_MAX - AT_BGZF_HEADER -
                                                  AT_MEMBER_TRAILER);
    size_t total;

    if (body == 0) { /* does not shrink: one stored block */
        uint8_t *d = out + AT_BGZF_HEADER;

        d[0] = 1;
        at_store_le16(d + 1, (uint16_t)n);
        at_store_le16(d + 3, (uint16_t)~n);
        memcpy(d + 5, p, n);
        body = n + 5;
    }
    memcpy(out, at_bgzf_eof, AT_BGZF_HEADER);
    total = end_member(out, AT_BGZF_HEADER + body, p, n);
    at_store_le16(out + 16, (uint16_t)(total - 1));
    return total;
}

/* The same of up to AT_SIZED_FILL bytes, with 'room' for any result. */
static size_t make_sized(struct libdeflate_compressor *tool, uint8_t *out,
                         size_t room, const uint8_t *p, size_t n)
{
    const size_t body = libdeflate_deflate_compress(
        tool, p, n, out + AT_SIZED_HEADER,
        room - AT_SIZED_HEADER - AT_MEMBER_TRAILER);
    const size_t total = end_member(out, AT_SIZED_HEADER + body, p, n);

    memcpy(out, at_sized_eof, AT_SIZED_HEADER);
    at_store_le32(out + 16, (uint32_t)total);
    at_store_le32(out + 24, (uint32_t)n);
    return body > 0 ? total : 0;
}

static void pack_block(struct at_packing *job, unsigned i, const uint8_t *p)
{
    const size_t before = job->out_bytes;
    size_t left = job->block[i];

    while (left > 0) {
        const size_t n = left < AT_BGZF_FILL ? left : AT_BGZF_FILL;

        job->out_bytes += make_block(job->tool, job->out + job->out_bytes, p,
                                     n);
        p += n;
        left -= n;
    }
    job->block_out[i] = job->out_bytes - before;
}

static bool open_tool(const struct at_packer *pk, struct at_packing *job)
{
    if (job->tool == NULL)
        job->tool = libdeflate_alloc_compressor(pk->level);
    return job->tool != NULL;
}

static bool bgzf_pack(const struct at_packer *pk, struct at_packing *job)
{
    const uint8_t *p = job->raw;
    size_t members = 0;

    for (unsigned i = 0; i < job->blocks; i++)
        members += job->block[i] / AT_BGZF_FILL + 1;
    if (!open_tool(pk, job) || !at_packing_room(job, members * AT_BGZF_MAX))
        return false;
    for (unsigned i = 0; i < job->blocks; i++) {
        pack_block(job, i, p);
        p += job->block[i];
    }
    return true;
}

/* What 'n' bytes can need as members, the last of them less than full. */
static size_t sized_bound(struct libdeflate_compressor *tool, size_t n)
{
    const size_t around = AT_SIZED_HEADER + AT_MEMBER_TRAILER;
    const size_t full = libdeflate_deflate_compress_bound(tool, AT_SIZED_FILL);

    return n / AT_SIZED_FILL * (full + around) +
           libdeflate_deflate_compress_bound(tool, n % AT_SIZED_FILL) + around;
}

static bool sized_pack(const struct at_packer *pk, struct at_packing *job)
{
    size_t room, made = 1;

    if (!open_tool(pk, job))
        return false;
    room = sized_bound(job->tool, job->raw_bytes);
    if (!at_packing_room(job, room))
        return false;
    for (size_t at = 0; at < job->raw_bytes && made > 0;) {
        const size_t left = job->raw_bytes - at;
        const size_t n = left < AT_SIZED_FILL ? left : AT_SIZED_FILL;

        made = make_sized(job->tool, job->out + job->out_bytes,
                          room - job->out_bytes, job->raw + at, n);
        job->out_bytes += made;
        at += n;
    }
    return made > 0;
}

static void members_drop(void *tool)
{
    libdeflate_free_compressor(tool);
}

static enum at_status bgzf_end(struct at_packer *pk)
{
    return at_output_write(pk->out, at_bgzf_eof, AT_BGZF_EOF_BYTES, pk->err);
}

static enum at_status sized_end(struct at_packer *pk)
{
    return at_output_write(pk->out, at_sized_eof, AT_SIZED_EOF_BYTES, pk->err);
}

const struct at_pack_ops at_pack_bgzf = {
    .codec = AT_CODEC_BGZF,
    .least = 1,
    .most = 12,
    .usual = 6,
    .job_bytes = 8 * AT_BGZF_FILL, /* so that it is worth handing over */
    .frame_is_block = true,
    .pack = bgzf_pack,
    .drop = members_drop,
    .end = bgzf_end,
};

const struct at_pack_ops at_pack_gzip = {
    .codec = AT_CODEC_GZIP,
    .least = 1,
    .most = 12,
    .usual = 5,
    .job_bytes = 1 << 20,
    .pack = sized_pack,
    .drop = members_drop,
    .end = sized_end,
};
