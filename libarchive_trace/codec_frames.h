/*
 * codec_frames.h - compressed data in pieces that can be decoded alone
 *
 * The caller's thread finds where frames end; jobs of about 1 MiB decode them
 * side by side.  Where a frame is too long for that, does not say how long it
 * is, or is none, ops->onward goes on from there in sequence.
 */
#ifndef AT_CODEC_FRAMES_H
#define AT_CODEC_FRAMES_H

#include "source.h"

/* A frame of more decoded bytes is decoded in sequence. */
enum { AT_FRAME_MOST = 8 << 20 };

enum at_look {
    AT_LOOK_OK,
    AT_LOOK_MORE,    /* the bytes do not reach to the end of the frame */
    AT_LOOK_OTHER,   /* to be decoded in sequence, from here on */
    AT_LOOK_DAMAGED, /* cannot be right */
};

struct at_frame_found {
    size_t bytes;
    size_t raw_bytes; /* decoded, at most AT_FRAME_MOST; a guess if unsure */
    bool goes_on;     /* a file that ends behind this one is cut short */
};

struct at_frame_ops {
    const char *frame;  /* for messages: "gzip block" */
    const char *member; /* what may be in its place: "gzip member" */
    size_t most;        /* bytes of a frame; longer is AT_LOOK_OTHER */
    bool closed;        /* what is no frame is for nobody else to judge */
    bool unsure;        /* what is found may turn out to be no frame: then the
                           data is decoded in sequence from there on */
    /* Salvage: whether data of ops->onward begins here, where look() says
     * AT_LOOK_OTHER; at least 4 bytes. */
    bool (*other)(const uint8_t *p, size_t n);
    /* Looks at what begins at 'p'; 'eof' if nothing follows the 'n' bytes. */
    enum at_look (*look)(const uint8_t *p, size_t n, bool eof,
                         struct at_frame_found *f);
    void *(*open)(void); /* a decoder; NULL without memory */
    void (*close)(void *tool);
    /* Salvage, may be NULL: the same of 'n' bytes that may be a frame whose
     * header is damaged, and nothing else; returns the bytes of the header,
     * or 0 if they are none. */
    size_t (*mend)(void *tool, const uint8_t *in, size_t n,
                   struct at_piece *piece);
    /* Appends what the frame decodes to; NULL, or what is wrong with it. */
    const char *(*unpack)(void *tool, const uint8_t *in,
                          const struct at_frame_found *f,
                          struct at_piece *piece);
};

/* The functions of a codec whose ops->frames says the rest. */
enum at_status at_frames_open(struct at_source *src, struct at_error *err);
enum at_status at_frames_prepare(struct at_source *src, struct at_job *job);
void at_frames_run(struct at_source *src, struct at_job *job);
void at_frames_drop(struct at_job *job);
void at_frames_close(struct at_source *src);

#define AT_FRAMES_FUNCTIONS                                                    \
    .framed = true, .relative = true, .open = at_frames_open,                  \
    .prepare = at_frames_prepare, .run = at_frames_run,                        \
    .drop = at_frames_drop, .close = at_frames_close

/* Frames that hold nothing, which zstd and lz4 share: magic 0x184D2A5?, 4
 * bytes of length, and as many bytes of anything. */
bool at_is_skippable(const uint8_t *p, size_t n);
enum at_look at_look_skippable(const uint8_t *p, size_t n,
                               struct at_frame_found *f);

#endif
