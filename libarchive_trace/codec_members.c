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
#include <string.h>

#include "bytes.h"
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

/* Whether a subfield that says a size stands where it does in ours. */
static bool has_size_field(const uint8_t *p, size_t n)
{
    return n >= AT_MEMBER_FIXED + 4 &&
           (memcmp(p + AT_MEMBER_FIXED, "BC\2", 4) == 0 ||
            memcmp(p + AT_MEMBER_FIXED, "IG\4", 4) == 0);
}

/* One that does not say its size; where it seems to, it is damaged. */
static bool members_other(const uint8_t *p, size_t n)
{
    enum { RESERVED = 0xe0 };
    struct at_member m;

    return at_member_look(p, n, &m) == AT_MEMBER_NOT && !m.ours &&
           (p[3] & RESERVED) == 0 && !has_size_field(p, n);
}

static void *members_open(void)
{
    return libdeflate_alloc_decompressor();
}

static void members_close(void *tool)
{
    libdeflate_free_decompressor(tool);
}

static const char *inflate_member(void *tool, const uint8_t *in,
                                  const struct at_member *m,
                                  struct at_piece *piece)
{
    uint8_t *out = piece->data + piece->len;

    if (libdeflate_deflate_decompress(
            tool, in + m->header_bytes,
            m->bytes - m->header_bytes - AT_MEMBER_TRAILER, out, m->raw_bytes,
            NULL) != LIBDEFLATE_SUCCESS)
        return "does not inflate";
    if (libdeflate_crc32(0, out, m->raw_bytes) != m->crc)
        return "checksum does not match";
    piece->len += m->raw_bytes;
    return NULL;
}

static const char *members_unpack(void *tool, const uint8_t *in,
                                  const struct at_frame_found *f,
                                  struct at_piece *piece)
{
    struct at_member m;

    return at_member_look(in, f->bytes, &m) == AT_MEMBER_OK
               ? inflate_member(tool, in, &m, piece)
               : "header damaged";
}

/* The header is as long as ours is, or as it says itself.  An empty member
 * is too little to be sure of. */
static size_t members_mend(void *tool, const uint8_t *in, size_t n,
                           struct at_piece *piece)
{
    const size_t headers[] = {
        AT_BGZF_HEADER,
        AT_SIZED_HEADER,
        n > AT_BGZF_HEADER ? AT_MEMBER_FIXED + (size_t)at_load_le16(in + 10)
                           : n,
    };

    for (size_t i = 0; i < sizeof(headers) / sizeof(headers[0]); i++) {
        struct at_member m = {.bytes = n, .header_bytes = headers[i]};

        if (n <= headers[i] + AT_MEMBER_TRAILER)
            continue;
        m.crc = at_load_le32(in + n - 8);
        m.raw_bytes = at_load_le32(in + n - 4);
        if (m.raw_bytes > 0 && m.raw_bytes <= AT_SIZED_MAX &&
            at_piece_grow(piece, m.raw_bytes) == AT_OK &&
            inflate_member(tool, in, &m, piece) == NULL)
            return headers[i];
    }
    return 0;
}

static const struct at_frame_ops bgzf_frames = {
    .frame = "gzip block",
    .member = "gzip member",
    .most = AT_BGZF_MAX,
    .closed = true,
    .other = members_other,
    .look = bgzf_look,
    .mend = members_mend,
    .open = members_open,
    .close = members_close,
    .unpack = members_unpack,
};

static const struct at_frame_ops sized_frames = {
    .frame = "gzip member",
    .most = AT_SIZED_MAX,
    .unsure = true,
    .other = members_other,
    .look = members_look,
    .mend = members_mend,
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
