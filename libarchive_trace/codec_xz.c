/*
 * codec_xz.c - xz streams (The .xz File Format 1.1.0), by blocks or in
 * sequence
 *
 * A file whose blocks are small enough is read by its index, many blocks at
 * once.  A pipe, a file of one large block (as xz makes unless told to use
 * threads), or one whose index cannot be read is decoded in sequence, which
 * also finds out what is wrong with it.
 */
#include <lzma.h>
#include <stdlib.h>
#include <string.h>

#include "codec_stream.h"

enum {
    MEMORY_MOST = 256 << 20, /* for the decoder of a stream; xz -9 wants 65 */
    INDEX_MOST = 64 << 20,   /* for the index in memory */
    BLOCK_MOST = 24 << 20,   /* decoded bytes; what xz -6 -T0 makes */
    READ_BYTES = 64 << 10,
};

/* ---- in sequence ------------------------------------------------------ */

static void *xz_open(void)
{
    static const lzma_stream fresh = LZMA_STREAM_INIT;
    lzma_stream *z = malloc(sizeof(*z));

    if (z != NULL)
        *z = fresh;
    return z;
}

static void xz_close(void *tool)
{
    lzma_end(tool);
    free(tool);
}

static bool xz_begins(const uint8_t *p, size_t n)
{
    return at_begins_with(p, n,
                          "\xfd"
                          "7zXZ",
                          6);
}

static enum at_progress xz_begin(void *tool)
{
    return lzma_stream_decoder(tool, MEMORY_MOST, 0) == LZMA_OK
               ? AT_PROGRESS_MORE
               : AT_PROGRESS_MEMORY;
}

static enum at_progress xz_run(void *tool, struct at_flow *flow)
{
    lzma_stream *z = tool;

    z->next_in = flow->in;
    z->avail_in = flow->in_left;
    z->next_out = flow->out;
    z->avail_out = flow->out_left;
    switch (lzma_code(z, flow->eof ? LZMA_FINISH : LZMA_RUN)) {
    case LZMA_STREAM_END:
        flow->in_left = z->avail_in;
        flow->out_left = z->avail_out;
        return AT_PROGRESS_DONE;
    case LZMA_OK:
    case LZMA_BUF_ERROR:
        flow->in_left = z->avail_in;
        flow->out_left = z->avail_out;
        return AT_PROGRESS_MORE;
    case LZMA_MEM_ERROR:
        return AT_PROGRESS_MEMORY;
    case LZMA_MEMLIMIT_ERROR:
    case LZMA_OPTIONS_ERROR:
        return AT_PROGRESS_REFUSED;
    default:
        flow->in_left = z->avail_in;
        flow->out_left = z->avail_out;
        return AT_PROGRESS_DAMAGED;
    }
}

static const struct at_stream_ops xz_stream = {
    .data = "xz data",
    .member = "xz stream",
    .refusal = "needs more than 256 MiB of memory, or a filter that is not "
               "known",
    .padding = 4,
    .open = xz_open,
    .begins = xz_begins,
    .begin = xz_begin,
    .run = xz_run,
    .close = xz_close,
};

const struct at_codec_ops at_codec_xz_stream = {
    .codec = AT_CODEC_XZ,
    .stream = &xz_stream,
    AT_STREAM_FUNCTIONS,
};

/* ---- by blocks -------------------------------------------------------- */

struct by_blocks {
    lzma_index *index;
    lzma_index_iter next;
    bool waiting; /* 'next' is at a block that no job has taken */
};

/* One step of reading the index: what the decoder asks for, from where. */
static lzma_ret feed(const struct at_input *in, lzma_stream *z, uint8_t *buf,
                     uint64_t *offset)
{
    size_t got = 0;
    lzma_ret r;

    if (z->avail_in == 0) {
        if (at_input_read_at(in, *offset, buf, READ_BYTES, &got, NULL) != AT_OK)
            return LZMA_DATA_ERROR;
        z->next_in = buf;
        z->avail_in = got;
        *offset += got;
    }
    r = lzma_code(z, LZMA_RUN);
    if (r == LZMA_SEEK_NEEDED) {
        *offset = z->seek_pos;
        z->avail_in = 0;
        return LZMA_OK;
    }
    return r;
}

/* The index of all streams of the file; NULL if there is none. */
static lzma_index *read_index(const struct at_input *in)
{
    lzma_stream z = LZMA_STREAM_INIT;
    uint8_t *buf = malloc(READ_BYTES);
    lzma_index *index = NULL;
    uint64_t offset = 0;
    lzma_ret r = LZMA_MEM_ERROR;

    if (buf != NULL)
        r = lzma_file_info_decoder(&z, &index, INDEX_MOST, in->size);
    while (r == LZMA_OK)
        r = feed(in, &z, buf, &offset);
    lzma_end(&z);
    free(buf);
    return r == LZMA_STREAM_END ? index : NULL;
}

static bool blocks_are_small(const lzma_index *index)
{
    lzma_index_iter it;

    lzma_index_iter_init(&it, index);
    while (!lzma_index_iter_next(&it, LZMA_INDEX_ITER_NONEMPTY_BLOCK))
        if (it.block.uncompressed_size > BLOCK_MOST ||
            it.block.total_size > BLOCK_MOST + BLOCK_MOST / 8)
            return false;
    return true;
}

bool at_xz_has_blocks(const struct at_input *in)
{
    lzma_index *index = in->seekable ? read_index(in) : NULL;
    const bool good = index != NULL && blocks_are_small(index);

    lzma_index_end(index, NULL);
    return good;
}

static enum at_status blocks_open(struct at_source *src, struct at_error *err)
{
    struct by_blocks *b = calloc(1, sizeof(*b));

    src->state = b;
    if (b == NULL)
        return at_error_set(err, AT_ERR_MEMORY, "out of memory");
    b->index = read_index(&src->in);
    if (b->index == NULL)
        return at_error_set(err, AT_ERR_CORRUPT,
                            "%s: its index has changed while it was read",
                            src->in.name);
    lzma_index_iter_init(&b->next, b->index);
    return AT_OK;
}

static void blocks_close(struct at_source *src)
{
    struct by_blocks *b = src->state;

    lzma_index_end(b->index, NULL);
    free(b);
}

static bool next_block(struct by_blocks *b)
{
    if (!b->waiting)
        b->waiting = !lzma_index_iter_next(&b->next,
                                           LZMA_INDEX_ITER_NONEMPTY_BLOCK);
    return b->waiting;
}

/* Blocks that follow each other without the end of a stream between them. */
static enum at_status blocks_prepare(struct at_source *src, struct at_job *job)
{
    struct by_blocks *b = src->state;
    uint64_t raw = 0, end;

    if (src->place != NULL)
        return at_job_place(job);
    if (!next_block(b))
        return AT_END;
    job->file_offset = end = b->next.block.compressed_file_offset;
    job->piece->raw_offset = b->next.block.uncompressed_file_offset;
    do {
        end += b->next.block.total_size;
        raw += b->next.block.uncompressed_size;
        b->waiting = false;
    } while (raw < src->target && next_block(b) &&
             b->next.block.compressed_file_offset == end);
    job->in_bytes = (size_t)(end - job->file_offset);
    job->skip = 0;
    job->bytes = 0;
    return at_job_room(job, job->in_bytes) == AT_OK
               ? AT_OK
               : at_error_set(&src->err, AT_ERR_MEMORY, "out of memory");
}

/* Decodes the block that the index has at 'it' and job->in at 'at'. */
static bool decode_block(struct at_job *job, size_t at,
                         const lzma_index_iter *it)
{
    struct at_piece *piece = job->piece;
    lzma_filter filters[LZMA_FILTERS_MAX + 1];
    lzma_block block = {
        .version = 1,
        .check = it->stream.flags->check,
        .filters = filters,
    };
    const size_t end = at + (size_t)it->block.total_size;
    const size_t room = piece->len + (size_t)it->block.uncompressed_size;
    bool good;

    block.header_size = lzma_block_header_size_decode(job->in[at]);
    if (job->in[at] == 0 || block.header_size > end - at ||
        lzma_block_header_decode(&block, NULL, job->in + at) != LZMA_OK)
        return false;
    at += block.header_size;
    good = lzma_block_compressed_size(&block, it->block.unpadded_size) ==
               LZMA_OK &&
           lzma_raw_decoder_memusage(filters) <= MEMORY_MOST &&
           lzma_block_buffer_decode(&block, NULL, job->in, &at, end,
                                    piece->data, &piece->len,
                                    room) == LZMA_OK &&
           at == end && piece->len == room;
    lzma_filters_free(filters, NULL);
    return good;
}

/* Decodes the blocks of the job one by one; *at is where it stops. */
static enum at_status decode_blocks(struct at_job *job, lzma_index_iter *it,
                                    size_t *at)
{
    struct at_piece *piece = job->piece;
    uint64_t missing = 0; /* decoded bytes of gaps, which are not counted */

    while (*at < job->in_bytes && !at_job_is_full(job)) {
        const size_t before = piece->len;

        if (it->block.compressed_file_offset != job->file_offset + *at ||
            it->block.total_size > job->in_bytes - *at)
            return at_job_damaged(job, *at, "xz block", "not in the index");
        if (at_piece_grow(piece, (size_t)it->block.uncompressed_size) !=
                AT_OK ||
            at_piece_mark(piece, it->block.uncompressed_file_offset - missing,
                          job->file_offset + *at) != AT_OK)
            return at_error_set(&piece->err, AT_ERR_MEMORY, "out of memory");
        if (!decode_block(job, *at, it)) {
            piece->len = before;
            if (!job->src->salvage)
                return at_job_damaged(job, *at, "xz block", "does not decode");
            missing += it->block.uncompressed_size;
            if (at_piece_gap(piece, (struct at_gap){
                                        piece->raw_offset + piece->len,
                                        job->file_offset + *at,
                                        it->block.total_size,
                                        AT_GAP_LOST,
                                    }) != AT_OK)
                return at_error_set(&piece->err, AT_ERR_MEMORY,
                                    "out of memory");
        }
        *at += (size_t)it->block.total_size;
        if (lzma_index_iter_next(it, LZMA_INDEX_ITER_NONEMPTY_BLOCK) &&
            *at < job->in_bytes)
            return at_job_damaged(job, *at, "xz block", "not in the index");
    }
    return AT_OK;
}

/* The block at byte 'file', whose decoded bytes begin at 'raw', or after it:
 * behind a gap those of the gap are not counted. */
static bool locate(lzma_index_iter *it, uint64_t raw, uint64_t file)
{
    bool there = !lzma_index_iter_locate(it, raw);

    while (there && it->block.compressed_file_offset < file)
        there = !lzma_index_iter_next(it, LZMA_INDEX_ITER_NONEMPTY_BLOCK);
    return there;
}

static void blocks_run(struct at_source *src, struct at_job *job)
{
    const struct by_blocks *b = src->state;
    struct at_piece *piece = job->piece;
    enum at_status st = at_job_read(job);
    lzma_index_iter it;
    size_t at = 0;

    lzma_index_iter_init(&it, b->index);
    if (st == AT_OK && at_piece_room(piece, 0) != AT_OK)
        st = at_error_set(&piece->err, AT_ERR_MEMORY, "out of memory");
    if (st == AT_OK &&
        !locate(&it, piece->raw_offset - job->skip, job->file_offset))
        st = at_job_damaged(job, 0, "xz block", "not in the index");
    if (st == AT_OK)
        decode_blocks(job, &it, &at);
    piece->file_end = job->file_offset + at;
    at_job_cut(job);
}

const struct at_codec_ops at_codec_xz = {
    .codec = AT_CODEC_XZ,
    .framed = true,
    .open = blocks_open,
    .prepare = blocks_prepare,
    .run = blocks_run,
    .close = blocks_close,
};
