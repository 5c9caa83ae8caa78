/*
 * codec_members.c - gzip members that say their size, as frames
 *
 * They inflate with libdeflate, which is made for whole buffers.  A member
 * without a size makes us go on as with any gzip file from there.
 *
 * In BGZF, whose form leaves nothing open, what is no member is damage.  Of
 * longer members only the size can be wrong, which the data does without: it
 * is then decoded in sequence, which reads all there is and tells what is
 * damaged or cut.
 */
#include <libdeflate.h>

#include "codec_frames.h"
#include "members.h"

/* The peek may not hold all of the first member; its header will do. */
static enum at_member_kind kind_of(const uint8_t *p, size_t n)
{
    struct at_member m;
    const enum at_member_found f = at_member_look(p, n, &m);

    return f == AT_MEMBER_OK || f == AT_MEMBER_MORE ? m.kind : AT_MEMBER_PLAIN;
}

bool at_bgzf_detect(const uint8_t *p, size_t n)
{
    return kind_of(p, n) == AT_MEMBER_BGZF;
}

bool at_sized_detect(const uint8_t *p, size_t n)
{
    return kind_of(p, n) == AT_MEMBER_SIZED;
}

static enum at_look members_look(const uint8_t *p, size_t n, bool eof,
                                 struct at_frame_found *f)
{
    struct at_member m;

    (void)eof;
    switch (at_member_look(p, n, &m)) {
    case AT_MEMBER_OK:
        *f = (struct at_frame_found){
            .bytes = m.bytes,
            .raw_bytes = m.raw_bytes,
            .goes_on = at_member_goes_on(&m),
        };
        return AT_LOOK_OK;
    case AT_MEMBER_MORE:
        return AT_LOOK_MORE;
    case AT_MEMBER_NOT:
        return AT_LOOK_OTHER;
    default:
        return AT_LOOK_DAMAGED;
    }
}

static enum at_look bgzf_look(const uint8_t *p, size_t n, bool eof,
                              struct at_frame_found *f)
{
    struct at_member m;

    at_member_look(p, n, &m);
    return m.kind == AT_MEMBER_SIZED ? AT_LOOK_OTHER
                                     : members_look(p, n, eof, f);
}

static void *members_open(void)
{
    return libdeflate_alloc_decompressor();
}

static void members_close(void *tool)
{
    libdeflate_free_decompressor(tool);
}

static const char *members_unpack(void *tool, const uint8_t *in,
                                  const struct at_frame_found *f,
                                  struct at_piece *piece)
{
    uint8_t *out = piece->data + piece->len;
    struct at_member m;

    if (at_member_look(in, f->bytes, &m) != AT_MEMBER_OK)
        return "header damaged";
    if (libdeflate_deflate_decompress(
            tool, in + m.header_bytes,
            m.bytes - m.header_bytes - AT_MEMBER_TRAILER, out, m.raw_bytes,
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
    .open = members_open,
    .close = members_close,
    .unpack = members_unpack,
};

static const struct at_frame_ops sized_frames = {
    .frame = "gzip member",
    .most = AT_SIZED_MAX,
    .unsure = true,
    .look = members_look,
    .open = members_open,
    .close = members_close,
    .unpack = members_unpack,
};

const struct at_codec_ops at_codec_bgzf = {
    .codec = AT_CODEC_BGZF,
    .frames = &bgzf_frames,
    .onward = &at_codec_gzip,
    AT_FRAMES_FUNCTIONS,
};

const struct at_codec_ops at_codec_sized = {
    .codec = AT_CODEC_GZIP,
    .frames = &sized_frames,
    .onward = &at_codec_gzip,
    AT_FRAMES_FUNCTIONS,
};
