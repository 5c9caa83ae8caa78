/*
 * pack_xz.c - blocks as the blocks of one xz stream
 *
 * One stream and never several: some readers (libwandio 3 and 4 among them)
 * take the end of the first stream for the end of the file.  The index at its
 * end is what reading in parallel needs.
 */
#include <lzma.h>
#include <stdlib.h>

#include "packer.h"

enum { BLOCK_BYTES = 1 << 20 };

static enum at_status out_of_memory(struct at_packer *pk)
{
    return at_error_set(pk->err, AT_ERR_MEMORY, "out of memory");
}

/* A dictionary larger than a block would be memory for nothing. */
static bool choose_filter(const struct at_packer *pk, lzma_options_lzma *opts)
{
    if (lzma_lzma_preset(opts, (uint32_t)pk->level))
        return false;
    if (opts->dict_size > BLOCK_BYTES)
        opts->dict_size = BLOCK_BYTES;
    return true;
}

static bool xz_pack(const struct at_packer *pk, struct at_packing *job)
{
    const size_t bound = lzma_block_buffer_bound(job->raw_bytes);
    lzma_options_lzma opts;
    lzma_filter filters[] = {
        {.id = LZMA_FILTER_LZMA2, .options = &opts},
        {.id = LZMA_VLI_UNKNOWN},
    };
    lzma_block block = {.check = LZMA_CHECK_CRC64, .filters = filters};

    if (!choose_filter(pk, &opts) || !at_packing_room(job, bound) ||
        lzma_block_buffer_encode(&block, NULL, job->raw, job->raw_bytes,
                                 job->out, &job->out_bytes, bound) != LZMA_OK)
        return false;
    job->block_out[0] = (size_t)lzma_block_unpadded_size(&block);
    return true;
}

static enum at_status put_ends(struct at_packer *pk, bool header)
{
    const lzma_stream_flags flags = {
        .check = LZMA_CHECK_CRC64,
        .backward_size = lzma_index_size(pk->state),
    };
    uint8_t buf[LZMA_STREAM_HEADER_SIZE];
    const lzma_ret r = header ? lzma_stream_header_encode(&flags, buf)
                              : lzma_stream_footer_encode(&flags, buf);

    return r == LZMA_OK ? at_output_write(pk->out, buf, sizeof(buf), pk->err)
                        : at_error_set(pk->err, AT_ERR_MISUSE,
                                       "%s: too many blocks for an xz stream",
                                       pk->out->name);
}

static enum at_status xz_begin(struct at_packer *pk)
{
    pk->state = lzma_index_init(NULL);
    return pk->state != NULL ? put_ends(pk, true) : out_of_memory(pk);
}

static enum at_status xz_note(struct at_packer *pk,
                              const struct at_packing *job)
{
    const lzma_ret r = lzma_index_append(pk->state, NULL, job->block_out[0],
                                         job->raw_bytes);

    return r == LZMA_OK ? AT_OK : out_of_memory(pk);
}

static enum at_status xz_end(struct at_packer *pk)
{
    const size_t n = (size_t)lzma_index_size(pk->state);
    uint8_t *buf = malloc(n);
    size_t at = 0;
    enum at_status st;

    if (buf == NULL)
        return out_of_memory(pk);
    st = lzma_index_buffer_encode(pk->state, buf, &at, n) == LZMA_OK
             ? at_output_write(pk->out, buf, at, pk->err)
             : out_of_memory(pk);
    free(buf);
    return st == AT_OK ? put_ends(pk, false) : st;
}

static void xz_close(struct at_packer *pk)
{
    lzma_index_end(pk->state, NULL);
}

const struct at_pack_ops at_pack_xz = {
    .codec = AT_CODEC_XZ,
    .least = 0,
    .most = 9,
    .usual = 6,
    .job_bytes = BLOCK_BYTES,
    .pack = xz_pack,
    .begin = xz_begin,
    .note = xz_note,
    .end = xz_end,
    .close = xz_close,
};
