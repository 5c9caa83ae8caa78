/*
 * codec_bzip2.c - bzip2 streams, alone or in sequence
 *
 * A stream does not say how long it is.  Where "BZh", a digit and one of the
 * two 48-bit block magics stand in the data, at a byte boundary, the next one
 * begins almost surely: by chance that is once in 2^70 bytes.  It is believed
 * if what is before it turns out to end exactly there; where not, the rest of
 * the file is decoded in sequence.
 */
#include <bzlib.h>
#include <stdlib.h>
#include <string.h>

#include "codec_frames.h"
#include "codec_stream.h"
#include "marks.h"

enum {
    HEADER_BYTES = 10,     /* "BZh9" and the magic of a block */
    FRAME_BYTES = 2 << 20, /* pbzip2 makes streams of 900 kB before packing */
    USUAL_RATIO = 4,
    STEP_BYTES = 256 << 10,
};

/* Whether a stream of one block or more, or of none, begins here. */
static bool stream_begins(const uint8_t *p)
{
    return memcmp(p, "BZh", 3) == 0 && p[3] >= '1' && p[3] <= '9' &&
           (memcmp(p + 4, "\x31\x41\x59\x26\x53\x59", 6) == 0 ||
            memcmp(p + 4, "\x17\x72\x45\x38\x50\x90", 6) == 0);
}

static const uint8_t *find_stream(const uint8_t *p, size_t n)
{
    const uint8_t *end = p + n;

    while ((p = memmem(p, (size_t)(end - p), "BZh", 3)) != NULL &&
           end - p >= HEADER_BYTES) {
        if (stream_begins(p))
            return p;
        p++;
    }
    return NULL;
}

static enum at_look bzip2_look(const uint8_t *p, size_t n, bool eof,
                               struct at_frame_found *f)
{
    const uint8_t *next;

    if (n < HEADER_BYTES)
        return eof ? AT_LOOK_OTHER : AT_LOOK_MORE;
    if (!stream_begins(p))
        return AT_LOOK_OTHER;
    next = find_stream(p + HEADER_BYTES, n - HEADER_BYTES);
    if (next == NULL && !eof)
        return AT_LOOK_MORE;
    f->bytes = next != NULL ? (size_t)(next - p) : n;
    if (f->bytes > FRAME_BYTES)
        return AT_LOOK_OTHER;
    f->raw_bytes = f->bytes * USUAL_RATIO;
    f->goes_on = at_bzip2_is_marked(p, f->bytes);
    return AT_LOOK_OK;
}

static void *bzip2_open(void)
{
    return calloc(1, sizeof(bz_stream));
}

static void bzip2_close(void *tool)
{
    BZ2_bzDecompressEnd(tool); /* minds nothing that was not begun */
    free(tool);
}

static enum at_progress bzip2_begin(void *tool)
{
    bz_stream *z = tool;

    BZ2_bzDecompressEnd(z);
    *z = (bz_stream){.opaque = NULL};
    return BZ2_bzDecompressInit(z, 0, 0) == BZ_OK ? AT_PROGRESS_MORE
                                                  : AT_PROGRESS_MEMORY;
}

static enum at_progress bzip2_run(void *tool, struct at_flow *flow)
{
    bz_stream *z = tool;
    int r;

    z->next_in = (char *)(uintptr_t)flow->in;
    z->avail_in = (unsigned)flow->in_left;
    z->next_out = (char *)flow->out;
    z->avail_out = (unsigned)flow->out_left;
    r = BZ2_bzDecompress(z);
    flow->in += flow->in_left - z->avail_in;
    flow->in_left = z->avail_in;
    flow->out += flow->out_left - z->avail_out;
    flow->out_left = z->avail_out;
    if (r == BZ_STREAM_END)
        return AT_PROGRESS_DONE;
    if (r == BZ_MEM_ERROR)
        return AT_PROGRESS_MEMORY;
    return r == BZ_OK ? AT_PROGRESS_MORE : AT_PROGRESS_DAMAGED;
}

static const char *bzip2_unpack(void *tool, const uint8_t *in,
                                const struct at_frame_found *f,
                                struct at_piece *piece)
{
    const size_t start = piece->len;
    struct at_flow flow = {.in = in, .in_left = f->bytes};
    enum at_progress p = bzip2_begin(tool);
    size_t before;

    do {
        if (piece->len - start > AT_FRAME_MOST ||
            at_piece_grow(piece, STEP_BYTES) != AT_OK)
            return "too long to be decoded at once";
        before = flow.in_left;
        flow.out = piece->data + piece->len;
        flow.out_left = STEP_BYTES;
        if (p == AT_PROGRESS_MORE)
            p = bzip2_run(tool, &flow);
        piece->len += STEP_BYTES - flow.out_left;
    } while (p == AT_PROGRESS_MORE &&
             (flow.in_left < before || flow.out_left < STEP_BYTES));
    return p == AT_PROGRESS_DONE && flow.in_left == 0 ? NULL
                                                      : "does not decode";
}

static bool bzip2_begins(const uint8_t *p, size_t n)
{
    return at_begins_with(p, n, "BZh", 3);
}

static const struct at_stream_ops bzip2_stream = {
    .data = "bzip2 data",
    .member = "bzip2 stream",
    .open = bzip2_open,
    .begins = bzip2_begins,
    .goes_on = at_bzip2_is_marked,
    .begin = bzip2_begin,
    .run = bzip2_run,
    .close = bzip2_close,
};

static const struct at_frame_ops bzip2_frames = {
    .frame = "bzip2 stream",
    .most = FRAME_BYTES,
    .unsure = true,
    .other = bzip2_begins,
    .look = bzip2_look,
    .open = bzip2_open,
    .close = bzip2_close,
    .unpack = bzip2_unpack,
};

const struct at_codec_ops at_codec_bzip2_stream = {
    .codec = AT_CODEC_BZIP2,
    .stream = &bzip2_stream,
    AT_STREAM_FUNCTIONS,
};

const struct at_codec_ops at_codec_bzip2 = {
    .codec = AT_CODEC_BZIP2,
    .frames = &bzip2_frames,
    .onward = &at_codec_bzip2_stream,
    AT_FRAMES_FUNCTIONS,
};
