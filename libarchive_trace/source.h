/*
 * source.h - the decoded bytes of a file, piece by piece, in order
 *
 * A codec prepares jobs on the caller's thread and runs them on the pool's.
 * Where blocks are independent (plain files, BGZF, frames of zstd and the
 * like) jobs run side by side; where they are not (a gzip stream, a pipe) one
 * runs after the other, still ahead of the caller.
 */
#ifndef AT_SOURCE_H
#define AT_SOURCE_H

#include "input.h"
#include "piece.h"
#include "pool.h"

struct at_source;

/* One piece to make; the slot of a lane. */
struct at_job {
    struct at_source *src;
    struct at_piece *piece;
    uint64_t file_offset; /* of the bytes to decode */
    uint64_t skip;        /* decoded bytes to drop before the piece */
    uint64_t bytes;       /* of the piece; 0: all there are */
    uint8_t *in;          /* compressed bytes, in a buffer of in_room */
    size_t in_bytes, in_room;
    void *tool; /* what the codec keeps for this slot */
    bool again; /* the data from again_at on is for ops->onward to decode */
    uint64_t again_at;
};

struct at_frame_ops;
struct at_stream_ops;

struct at_codec_ops {
    enum at_codec codec;
    bool serial;
    bool framed;   /* marks are where decoding can begin: blocks begin there */
    bool relative; /* read in sequence, pieces count from 0 until delivered */
    bool by_raw;   /* places are found by raw_offset; one piece has several */
    const struct at_frame_ops *frames;  /* for codec_frames.c */
    const struct at_stream_ops *stream; /* for codec_stream.c */
    const struct at_codec_ops *onward;  /* what goes on where frames end */
    enum at_status (*open)(struct at_source *src, struct at_error *err);
    /* On the caller's thread: AT_OK with a job to run, AT_END, or an error,
     * which is met when all jobs before it have been delivered. */
    enum at_status (*prepare)(struct at_source *src, struct at_job *job);
    /* On any thread: fills job->piece, its 'err' included. */
    void (*run)(struct at_source *src, struct at_job *job);
    void (*drop)(struct at_job *job); /* frees job->tool */
    void (*close)(struct at_source *src);
};

struct at_source {
    struct at_input in;
    struct at_shelf shelf;
    struct at_pool *pool;
    struct at_lane *lane;
    const struct at_codec_ops *ops;
    const struct at_codec_ops *first_ops; /* what the file begins with */
    const struct at_codec_ops *next_ops;  /* the codec changes when drained */
    bool again;                           /* it changes at once */
    bool goes_on; /* of what the codec before has read; see at_frame_found */
    void *state;  /* of the codec */
    uint64_t raw_offset; /* of the next piece prepared */
    size_t target;       /* decoded bytes for it, about */
    size_t piece_bytes;  /* what 'target' is, but at first */
    size_t slots;        /* pieces at once */
    bool ended;          /* nothing more to prepare */
    bool hesitant;       /* one job at a time: perhaps the rest is not wanted */
    struct at_error err; /* why, AT_OK or AT_END if none */
    const struct at_place *place; /* NULL: everything, in sequence */
    size_t places, next_place;
    uint64_t spacing;               /* of the access points to take; 0: none */
    uint64_t portion;               /* see struct at_reader_options */
    const struct at_access *access; /* that are known; may be NULL */
    bool salvage; /* damaged frames become gaps of their piece */
};

enum {
    AT_PIECE_FIRST = 64 << 10, /* so that opening a file costs little */
    AT_PIECE_BYTES = 1 << 20,
};

/*
 * How many pieces 'memory' bytes (0: no limit) are for, and of which size.
 * Pieces become smaller before they become fewer than the threads of a pool
 * have use for.
 */
size_t at_pieces_in(uint64_t memory, const struct at_pool *pool,
                    size_t *piece_bytes);

/* Opens 'path' and finds its codec; of *opts, access, spacing,
 * salvage and memory count. */
enum at_status at_source_open(struct at_source *src, const char *path,
                              struct at_pool *pool,
                              const struct at_reader_options *opts,
                              struct at_error *err);

/* The next piece: AT_OK; AT_END or an error when there is none.  A piece may
 * carry an error of its own, which comes after its bytes. */
enum at_status at_source_next(struct at_source *src, struct at_piece **piece);

/* Starts again, at the places only if the codec can do that; with 'salvage' it
 * goes on after damage.  Jobs of before are over then. */
enum at_status at_source_restart(struct at_source *src,
                                 const struct at_place *place, size_t n,
                                 bool salvage, struct at_error *err);

/* Starts again as if the file were not compressed. */
enum at_status at_source_as_plain(struct at_source *src, struct at_error *err);

/* Whether the codec reads single places without what is before them. */
bool at_source_random(const struct at_source *src);

void at_source_close(struct at_source *src);

/*
 * For codecs that go to places: takes the next run of places that lie one
 * after the other, at least one and up to about src->target bytes.  false
 * when there are none left.
 */
bool at_source_take_places(struct at_source *src, struct at_place *run);

/* Makes room for 'n' bytes at job->in. */
enum at_status at_job_room(struct at_job *job, size_t n);

/*
 * Prepares the job for the next run of places, and in it room for the bytes
 * to read.  On a pool's thread at_job_read() reads them, at_job_is_full()
 * says when nothing more has to be decoded, and at_job_cut() leaves the bytes
 * of the places alone in the piece.  For a job of no places the last two do
 * nothing.
 */
enum at_status at_job_place(struct at_job *job);
enum at_status at_job_read(struct at_job *job);
bool at_job_is_full(const struct at_job *job);
void at_job_cut(struct at_job *job);

/* An error of the piece: what begins at byte 'at' of job->in is damaged. */
enum at_status at_job_damaged(struct at_job *job, size_t at, const char *what,
                              const char *how);

extern const struct at_codec_ops at_codec_plain;
extern const struct at_codec_ops at_codec_pipe;
extern const struct at_codec_ops at_codec_bgzf;
extern const struct at_codec_ops at_codec_sized; /* gzip, too */
extern const struct at_codec_ops at_codec_gzip;
extern const struct at_codec_ops at_codec_access;
extern const struct at_codec_ops at_codec_zstd;
extern const struct at_codec_ops at_codec_lz4;
extern const struct at_codec_ops at_codec_bzip2;        /* of a file */
extern const struct at_codec_ops at_codec_bzip2_stream; /* of a pipe */
extern const struct at_codec_ops at_codec_xz;           /* of a file */
extern const struct at_codec_ops at_codec_xz_stream;    /* of any */

/* What is lost as a whole where data of the codec is damaged. */
const char *at_codec_unit(enum at_codec codec);

/* The points that at_codec_gzip has taken up to the end it has told. */
const struct at_access_point *at_gzip_points(const struct at_source *src,
                                             size_t *n);

/* Whether a gzip member that begins with these bytes is a BGZF block, or says
 * its size in another way. */
bool at_bgzf_detect(const uint8_t *p, size_t n);
bool at_sized_detect(const uint8_t *p, size_t n);

/* Whether the file can be read by at_codec_xz. */
bool at_xz_has_blocks(const struct at_input *in);

#endif
