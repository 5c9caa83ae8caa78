/*
 * codec_plain.c - files that are not compressed, and pipes of such bytes
 */
#include "source.h"

static enum at_status plain_open(struct at_source *src, struct at_error *err)
{
    (void)src;
    (void)err;
    return AT_OK;
}

static enum at_status plain_prepare(struct at_source *src, struct at_job *job)
{
    struct at_place run;

    if (src->place != NULL) {
        if (!at_source_take_places(src, &run))
            return AT_END;
        if (run.file_offset > src->in.size ||
            run.bytes > src->in.size - run.file_offset)
            return at_error_set(&src->err, AT_ERR_TRUNCATED,
                                "%s: cut short: it ends at byte %llu, inside "
                                "or before a block of its index",
                                src->in.name, (unsigned long long)src->in.size);
        job->file_offset = run.file_offset;
        job->bytes = run.bytes;
        job->piece->raw_offset = run.raw_offset;
        return AT_OK;
    }
    if (src->raw_offset >= src->in.size)
        return AT_END;
    job->file_offset = src->raw_offset;
    job->bytes = src->target;
    job->piece->raw_offset = src->raw_offset;
    src->raw_offset += src->target;
    return AT_OK;
}

static void plain_run(struct at_source *src, struct at_job *job)
{
    struct at_piece *piece = job->piece;

    if (at_piece_room(piece, job->bytes) != AT_OK) {
        at_error_set(&piece->err, AT_ERR_MEMORY, "out of memory");
        return;
    }
    if (at_input_read_at(&src->in, job->file_offset, piece->data, job->bytes,
                         &piece->len, &piece->err) != AT_OK)
        return;
    piece->file_end = job->file_offset + piece->len;
    if (src->place != NULL && piece->len < job->bytes)
        at_error_set(&piece->err, AT_ERR_TRUNCATED,
                     "%s: cut short: it ends before byte %llu", src->in.name,
                     (unsigned long long)job->file_offset + job->bytes);
    else if (piece->len < job->bytes)
        piece->err.status = AT_END;
}

const struct at_codec_ops at_codec_plain = {
    .codec = AT_CODEC_NONE,
    .open = plain_open,
    .prepare = plain_prepare,
    .run = plain_run,
};

static enum at_status pipe_prepare(struct at_source *src, struct at_job *job)
{
    job->bytes = src->target;
    return AT_OK;
}

static void pipe_run(struct at_source *src, struct at_job *job)
{
    struct at_piece *piece = job->piece;

    piece->raw_offset = src->in.offset;
    if (at_piece_room(piece, job->bytes) != AT_OK) {
        at_error_set(&piece->err, AT_ERR_MEMORY, "out of memory");
        return;
    }
    if (at_input_read(&src->in, piece->data, job->bytes, &piece->len,
                      &piece->err) != AT_OK)
        return;
    piece->file_end = src->in.offset;
    if (piece->len < job->bytes)
        piece->err.status = AT_END;
}

const struct at_codec_ops at_codec_pipe = {
    .codec = AT_CODEC_NONE,
    .serial = true,
    .open = plain_open,
    .prepare = pipe_prepare,
    .run = pipe_run,
};
