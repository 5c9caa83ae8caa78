/*
 * codec_stream.h - compressed data that can only be decoded in sequence
 *
 * One job runs at a time, ahead of the reader.  Files are members (frames,
 * streams) one after the other; what a member is, the codec knows.
 */
#ifndef AT_CODEC_STREAM_H
#define AT_CODEC_STREAM_H

#include "source.h"

enum at_progress {
    AT_PROGRESS_MORE, /* wants more bytes or more room */
    AT_PROGRESS_DONE, /* the member is over */
    AT_PROGRESS_DAMAGED,
    AT_PROGRESS_REFUSED, /* would need more memory than we give */
    AT_PROGRESS_MEMORY,
};

/* Bytes on their way through a decoder, which moves both places on. */
struct at_flow {
    const uint8_t *in;
    size_t in_left;
    uint8_t *out;
    size_t out_left;
    bool eof; /* nothing comes after 'in' */
};

struct at_stream_ops {
    const char *data;    /* for messages: "zstd data" */
    const char *member;  /* "zstd frame" */
    const char *refusal; /* what AT_PROGRESS_REFUSED means */
    unsigned padding;    /* zeros between members come in multiples of this;
                            0: there are none but at the end of the file */
    void *(*open)(void); /* NULL without memory */
    /* Whether a member may begin with these bytes, fewer than 4 only at the
     * end of the file. */
    bool (*begins)(const uint8_t *p, size_t n);
    /* Whether another has to follow the one that begins so; may be NULL. */
    bool (*goes_on)(const uint8_t *p, size_t n);
    enum at_progress (*begin)(void *tool);
    enum at_progress (*run)(void *tool, struct at_flow *flow);
    void (*close)(void *tool);
};

/* The functions of a codec whose ops->stream says the rest. */
enum at_status at_stream_open(struct at_source *src, struct at_error *err);
enum at_status at_stream_prepare(struct at_source *src, struct at_job *job);
void at_stream_run(struct at_source *src, struct at_job *job);
void at_stream_close(struct at_source *src);

#define AT_STREAM_FUNCTIONS                                                    \
    .serial = true, .open = at_stream_open, .prepare = at_stream_prepare,      \
    .run = at_stream_run, .close = at_stream_close

/* Whether the 'n' bytes at 'p' are those of the magic number, as far as they
 * go. */
bool at_begins_with(const uint8_t *p, size_t n, const char *magic,
                    size_t bytes);

#endif
