/*
 * codec_zstd.c - zstd frames (RFC 8878), alone or in sequence
 *
 * A frame that says how long it decodes to, as nearly all do that were made
 * from a file, is decoded whole.  Skippable frames hold nothing for us: the
 * table of the seekable format, the sizes that pzstd puts before each frame.
 */
#include <zstd.h>
#include <zstd_errors.h>

#include "bytes.h"
#include "codec_frames.h"
#include "codec_stream.h"
#include "marks.h"

enum {
    HEADER_MOST = 18, /* of a frame, magic number included */
    WINDOW_LOG_MOST = 27,
};

static const uint32_t frame_magic = 0xFD2FB528;

static enum at_look zstd_look(const uint8_t *p, size_t n, bool eof,
                              struct at_frame_found *f)
{
    unsigned long long raw;

    (void)eof;
    if (n < 4)
        return AT_LOOK_MORE;
    if (at_is_skippable(p, n))
        return at_look_skippable(p, n, f);
    if (at_load_le32(p) != frame_magic)
        return AT_LOOK_OTHER;
    raw = ZSTD_getFrameContentSize(p, n);
    if (raw == ZSTD_CONTENTSIZE_ERROR && n < HEADER_MOST)
        return AT_LOOK_MORE;
    if (raw > AT_FRAME_MOST) /* or not known */
        return AT_LOOK_OTHER;
    *f = (struct at_frame_found){
        .raw_bytes = (size_t)raw,
        .bytes = ZSTD_findFrameCompressedSize(p, n),
        .goes_on = at_zstd_is_marked(p, n),
    };
    if (!ZSTD_isError(f->bytes))
        return AT_LOOK_OK;
    return ZSTD_getErrorCode(f->bytes) == ZSTD_error_srcSize_wrong
               ? AT_LOOK_MORE
               : AT_LOOK_OTHER;
}

static void *zstd_open(void)
{
    ZSTD_DCtx *tool = ZSTD_createDCtx();

    if (tool != NULL && ZSTD_isError(ZSTD_DCtx_setParameter(
                            tool, ZSTD_d_windowLogMax, WINDOW_LOG_MOST))) {
        ZSTD_freeDCtx(tool);
        return NULL;
    }
    return tool;
}

static void zstd_close(void *tool)
{
    ZSTD_freeDCtx(tool);
}

static const char *zstd_unpack(void *tool, const uint8_t *in,
                               const struct at_frame_found *f,
                               struct at_piece *piece)
{
    size_t n;

    if (at_is_skippable(in, f->bytes))
        return NULL;
    n = ZSTD_decompressDCtx(tool, piece->data + piece->len, f->raw_bytes, in,
                            f->bytes);
    if (ZSTD_isError(n))
        return ZSTD_getErrorCode(n) == ZSTD_error_checksum_wrong
                   ? "checksum does not match"
                   : "does not decode";
    if (n != f->raw_bytes)
        return "not as long as it says";
    piece->len += n;
    return NULL;
}

static bool zstd_begins(const uint8_t *p, size_t n)
{
    return at_begins_with(p, n, "\x28\xb5\x2f\xfd", 4) || at_is_skippable(p, n);
}

static enum at_progress zstd_begin(void *tool)
{
    ZSTD_DCtx_reset(tool, ZSTD_reset_session_only);
    return AT_PROGRESS_MORE;
}

static enum at_progress zstd_run(void *tool, struct at_flow *flow)
{
    ZSTD_inBuffer in = {flow->in, flow->in_left, 0};
    ZSTD_outBuffer out = {flow->out, flow->out_left, 0};
    const size_t r = ZSTD_decompressStream(tool, &out, &in);

    flow->in_left -= in.pos;
    flow->out_left -= out.pos;
    if (r == 0)
        return AT_PROGRESS_DONE;
    if (!ZSTD_isError(r))
        return AT_PROGRESS_MORE;
    if (ZSTD_getErrorCode(r) == ZSTD_error_frameParameter_windowTooLarge)
        return AT_PROGRESS_REFUSED;
    return ZSTD_getErrorCode(r) == ZSTD_error_memory_allocation
               ? AT_PROGRESS_MEMORY
               : AT_PROGRESS_DAMAGED;
}

static const struct at_stream_ops zstd_stream = {
    .data = "zstd data",
    .member = "zstd frame",
    .refusal = "needs a window of more than 128 MiB",
    .open = zstd_open,
    .begins = zstd_begins,
    .goes_on = at_zstd_is_marked,
    .begin = zstd_begin,
    .run = zstd_run,
    .close = zstd_close,
};

static const struct at_frame_ops zstd_frames = {
    .frame = "zstd frame",
    .most = AT_FRAME_MOST + (AT_FRAME_MOST >> 6),
    .other = zstd_begins,
    .look = zstd_look,
    .open = zstd_open,
    .close = zstd_close,
    .unpack = zstd_unpack,
};

static const struct at_codec_ops zstd_onward = {
    .codec = AT_CODEC_ZSTD,
    .stream = &zstd_stream,
    AT_STREAM_FUNCTIONS,
};

const struct at_codec_ops at_codec_zstd = {
    .codec = AT_CODEC_ZSTD,
    .frames = &zstd_frames,
    .onward = &zstd_onward,
    AT_FRAMES_FUNCTIONS,
};
