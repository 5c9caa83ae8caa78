/*
 * codec_lz4.c - lz4 frames (LZ4 Frame Format 1.6), alone or in sequence
 *
 *     size  field         of a frame
 *        4  magic         0x184D2204
 *        1  flags         bits 6-7 version 1, 4 block checksums, 3 content
 *                         size, 2 content checksum, 0 dictionary
 *        1  block size    bits 4-6: 4 to 7 for 64 KiB to 4 MiB
 *      0,8  content size
 *      0,4  dictionary
 *        1  checksum of the header
 *           blocks        4 bytes of size, bit 31 if stored; the data; 0,4
 *                         bytes of checksum
 *        4  end           0
 *      0,4  checksum of the content
 */
#include <lz4frame.h>

#include "bytes.h"
#include "codec_frames.h"
#include "codec_stream.h"
#include "marks.h"

enum {
    BLOCK_SUM = 0x10,
    CONTENT_SIZE = 0x08,
    CONTENT_SUM = 0x04,
    DICTIONARY = 0x01,
};

static const uint32_t frame_magic = 0x184D2204;

/* Passes over the blocks of a frame; false where the bytes end before. */
static bool pass_blocks(struct at_cursor *c, uint8_t flags)
{
    while (!c->bad) {
        const uint32_t n = at_take_le32(c);

        if (n == 0)
            break;
        at_take(c, n & 0x7fffffff);
        at_take(c, flags & BLOCK_SUM ? 4 : 0);
    }
    at_take(c, flags & CONTENT_SUM ? 4 : 0);
    return !c->bad;
}

static enum at_look lz4_look(const uint8_t *p, size_t n, bool eof,
                             struct at_frame_found *f)
{
    struct at_cursor c = {.p = p, .left = n};
    uint8_t flags;
    uint64_t raw;

    (void)eof;
    if (n < 4)
        return AT_LOOK_MORE;
    if (at_is_skippable(p, n))
        return at_look_skippable(p, n, f);
    if (at_take_le32(&c) != frame_magic)
        return AT_LOOK_OTHER;
    flags = at_take_u8(&c);
    at_take_u8(&c);
    if (c.bad)
        return AT_LOOK_MORE;
    if ((flags & CONTENT_SIZE) == 0)
        return AT_LOOK_OTHER;
    raw = at_take_le32(&c);
    raw |= (uint64_t)at_take_le32(&c) << 32;
    at_take(&c, flags & DICTIONARY ? 5 : 1);
    if (!c.bad && raw > AT_FRAME_MOST)
        return AT_LOOK_OTHER;
    if (!pass_blocks(&c, flags))
        return AT_LOOK_MORE;
    *f = (struct at_frame_found){
        .bytes = n - c.left,
        .raw_bytes = (size_t)raw,
        .goes_on = at_lz4_is_marked(p, n),
    };
    return AT_LOOK_OK;
}

static void *lz4_open(void)
{
    LZ4F_dctx *tool;

    return LZ4F_isError(LZ4F_createDecompressionContext(&tool, LZ4F_VERSION))
               ? NULL
               : tool;
}

static void lz4_close(void *tool)
{
    LZ4F_freeDecompressionContext(tool);
}

static enum at_progress lz4_begin(void *tool)
{
    LZ4F_resetDecompressionContext(tool);
    return AT_PROGRESS_MORE;
}

static enum at_progress lz4_run(void *tool, struct at_flow *flow)
{
    size_t in = flow->in_left, out = flow->out_left;
    const size_t r = LZ4F_decompress(tool, flow->out, &out, flow->in, &in,
                                     NULL);

    flow->in += in;
    flow->in_left -= in;
    flow->out += out;
    flow->out_left -= out;
    if (LZ4F_isError(r))
        return AT_PROGRESS_DAMAGED;
    return r == 0 ? AT_PROGRESS_DONE : AT_PROGRESS_MORE;
}

static const char *lz4_unpack(void *tool, const uint8_t *in,
                              const struct at_frame_found *f,
                              struct at_piece *piece)
{
    struct at_flow flow = {
        .in = in,
        .in_left = f->bytes,
        .out = piece->data + piece->len,
        .out_left = f->raw_bytes,
    };
    enum at_progress p;
    size_t before;

    if (at_is_skippable(in, f->bytes))
        return NULL;
    lz4_begin(tool);
    do {
        before = flow.in_left + flow.out_left;
        p = lz4_run(tool, &flow);
    } while (p == AT_PROGRESS_MORE && flow.in_left + flow.out_left < before);
    if (p != AT_PROGRESS_DONE)
        return "does not decode";
    if (flow.in_left > 0 || flow.out_left > 0)
        return "not as long as it says";
    piece->len += f->raw_bytes;
    return NULL;
}

static bool lz4_begins(const uint8_t *p, size_t n)
{
    return at_begins_with(p, n, "\x04\x22\x4d\x18", 4) || at_is_skippable(p, n);
}

static const struct at_stream_ops lz4_stream = {
    .data = "lz4 data",
    .member = "lz4 frame",
    .open = lz4_open,
    .begins = lz4_begins,
    .goes_on = at_lz4_is_marked,
    .begin = lz4_begin,
    .run = lz4_run,
    .close = lz4_close,
};

static const struct at_frame_ops lz4_frames = {
    .frame = "lz4 frame",
    .most = AT_FRAME_MOST + (AT_FRAME_MOST >> 6),
    .other = lz4_begins,
    .look = lz4_look,
    .open = lz4_open,
    .close = lz4_close,
    .unpack = lz4_unpack,
};

static const struct at_codec_ops lz4_onward = {
    .codec = AT_CODEC_LZ4,
    .stream = &lz4_stream,
    AT_STREAM_FUNCTIONS,
};

const struct at_codec_ops at_codec_lz4 = {
    .codec = AT_CODEC_LZ4,
    .frames = &lz4_frames,
    .onward = &lz4_onward,
    AT_FRAMES_FUNCTIONS,
};
