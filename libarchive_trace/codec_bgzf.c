/*
 * codec_bgzf.c - the members of a blocked gzip file as frames
 *
 * They inflate with libdeflate, which is made for whole buffers.  A member
 * without a size field makes us go on as with any gzip file from there.
 */
#include <libdeflate.h>

#include "bgzf.h"
#include "codec_frames.h"

bool at_bgzf_detect(const uint8_t *p, size_t n)
{
    struct at_bgzf_member m;
    const enum at_bgzf_found f = at_bgzf_look(p, n, &m);

    /* The peek may not hold all of the first member; its header will do. */
    return f == AT_BGZF_OK || (f == AT_BGZF_MORE && n >= 18 && p[3] == 4 &&
                               p[12] == 'B' && p[13] == 'C');
}

static enum at_look bgzf_look(const uint8_t *p, size_t n, bool eof,
                              struct at_frame_found *f)
{
    struct at_bgzf_member m;

    (void)eof;
    switch (at_bgzf_look(p, n, &m)) {
    case AT_BGZF_OK:
        *f = (struct at_frame_found){m.bytes, m.raw_bytes};
        return AT_LOOK_OK;
    case AT_BGZF_MORE:
        return AT_LOOK_MORE;
    case AT_BGZF_NOT:
        return AT_LOOK_OTHER;
    default:
        return AT_LOOK_DAMAGED;
    }
}

static void *bgzf_open(void)
{
    return libdeflate_alloc_decompressor();
}

static void bgzf_close(void *tool)
{
    libdeflate_free_decompressor(tool);
}

static const char *bgzf_unpack(void *tool, const uint8_t *in,
                               const struct at_frame_found *f,
                               struct at_piece *piece)
{
    uint8_t *out = piece->data + piece->len;
    struct at_bgzf_member m;

    if (at_bgzf_look(in, f->bytes, &m) != AT_BGZF_OK)
        return "header damaged";
    if (libdeflate_deflate_decompress(
            tool, in + m.header_bytes,
            m.bytes - m.header_bytes - AT_BGZF_TRAILER, out, m.raw_bytes,
            NULL) != LIBDEFLATE_SUCCESS)
        return "does not inflate";
    if (libdeflate_crc32(0, out, m.raw_bytes) != m.crc)
        return "checksum does not match";
    piece->len += m.raw_bytes;
    return NULL;
}

static const struct at_frame_ops bgzf_frames = {
    .frame = "gzip block",
    .member = "gzip member",
    .most = AT_BGZF_MAX,
    .closed = true,
    .look = bgzf_look,
    .open = bgzf_open,
    .close = bgzf_close,
    .unpack = bgzf_unpack,
};

const struct at_codec_ops at_codec_bgzf = {
    .codec = AT_CODEC_BGZF,
    .frames = &bgzf_frames,
    .onward = &at_codec_gzip,
    AT_FRAMES_FUNCTIONS,
};
