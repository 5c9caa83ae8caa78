/*
 * packer.h - blocks through a codec into a file
 *
 * Blocks collect in a job; a lane packs jobs side by side; the owner writes
 * them in order and notes where each block begins.  Without a codec the lane
 * writes them, one after the other, while the owner goes on.  What a job
 * holds depends on the sizes of the blocks alone, so that the file is the same
 * at any number of threads.
 */
#ifndef AT_PACKER_H
#define AT_PACKER_H

#include <pthread.h>

#include "output.h"
#include "pool.h"

/*
 * A block is the longest run of whole records of at most this many bytes, at
 * least one record; the header of the file counts.  It is what one BGZF
 * member takes, so that nearly every block is a member.
 */
enum { AT_BLOCK_FILL = 0xff00, AT_JOB_BLOCKS = 64 };

/* Some blocks on their way through the codec; the slot of a lane. */
struct at_packing {
    uint8_t *raw;
    size_t raw_bytes, raw_room;
    size_t block[AT_JOB_BLOCKS]; /* bytes of each */
    unsigned blocks;
    size_t header_bytes; /* of the file, at the start of the first block */
    uint8_t *out;
    size_t out_bytes, out_room;
    size_t block_out[AT_JOB_BLOCKS]; /* where every block is a frame */
    void *tool;                      /* of the codec, while it packs */
    struct at_error err;             /* of packing, or of writing it plain */
};

struct at_packer;

struct at_pack_ops {
    enum at_codec codec;
    int least, most, usual; /* levels */
    size_t job_bytes;       /* a job is full when no block fits any more */
    bool frame_is_block;    /* else the whole job is one frame */
    bool never_empty;       /* a file needs a frame, be it an empty one */
    /* On any thread: job->raw to job->out, by at_packing_room(); false when
     * there is no memory. */
    bool (*pack)(const struct at_packer *pk, struct at_packing *job);
    void (*drop)(void *tool);
    /* On the owner's thread: what stands before the frames, what is to be
     * remembered of each as it is written, and what stands after them. */
    enum at_status (*begin)(struct at_packer *pk);
    enum at_status (*note)(struct at_packer *pk, const struct at_packing *job);
    enum at_status (*end)(struct at_packer *pk);
    void (*close)(struct at_packer *pk);
};

struct at_packer {
    const struct at_pack_ops *ops;
    int level; /* as the codec counts */
    struct at_output *out;
    struct at_error *err; /* of the writer */
    struct at_lane *lane;
    struct at_packing *job; /* being filled */
    void *state;            /* of the codec, for the file */
    pthread_mutex_t lock;
    void **tool; /* those not in use: guarded by lock */
    size_t tools;
    struct at_place *place;
    size_t places, place_room;
    uint64_t raw_offset; /* of the next block written */
    uint64_t blocks;     /* finished */
    uint64_t jobs;       /* sent */
    size_t fill;         /* bytes in the block being filled */
};

/* How a codec packs; NULL where it does not. */
const struct at_pack_ops *at_pack_ops_of(enum at_codec codec);

/* Errors of this and all later calls are in *err.  'level' is that of struct
 * at_writer_options. */
enum at_status at_packer_open(struct at_packer *pk, enum at_codec codec,
                              int level, struct at_output *out,
                              struct at_pool *pool, struct at_error *err);

/* Room for 'n' bytes more of the block; NULL after an error. */
uint8_t *at_packer_room(struct at_packer *pk, size_t n);

/* The bytes of the first block so far are the header of the file. */
void at_packer_header(struct at_packer *pk);

enum at_status at_packer_end_block(struct at_packer *pk);

/* Writes all that is left; the file is complete then. */
enum at_status at_packer_finish(struct at_packer *pk);
void at_packer_close(struct at_packer *pk);

/* For codecs: makes room for 'n' bytes at job->out; false without memory. */
bool at_packing_room(struct at_packing *job, size_t n);

extern const struct at_pack_ops at_pack_none;
extern const struct at_pack_ops at_pack_gzip;
extern const struct at_pack_ops at_pack_bgzf;
extern const struct at_pack_ops at_pack_zstd;
extern const struct at_pack_ops at_pack_xz;
extern const struct at_pack_ops at_pack_bzip2;
extern const struct at_pack_ops at_pack_lz4;

#endif
