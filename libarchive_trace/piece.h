/*
 * piece.h - decoded bytes on their way from a source to a batch
 *
 * A piece owns one allocation, which holds decoded bytes and has room before
 * them for the beginning of a record that the piece before ended with.  It
 * becomes the batch that the caller sees, and goes back to its shelf to be
 * used again.
 */
#ifndef AT_PIECE_H
#define AT_PIECE_H

#include <pthread.h>

#include "archive_trace.h"

/* Decoding may begin at byte 'file', which is decoded byte 'raw'. */
struct at_mark {
    uint64_t raw;
    uint64_t file;
};

/* Bytes 'file' to 'file' + 'bytes' of the file could not be decoded; what is
 * at decoded byte 'raw' comes after them. */
enum at_gap_kind {
    AT_GAP_LOST = 0, /* what they decode to is missing */
    AT_GAP_HEADER,   /* they are the header of a frame: nothing is missing */
    AT_GAP_DOUBTFUL, /* they were decoded, and do not have their checksum */
};

struct at_gap {
    uint64_t raw;
    uint64_t file;
    uint64_t bytes;
    enum at_gap_kind kind;
};

struct at_piece {
    uint8_t *room;
    size_t room_bytes;
    uint8_t *data; /* in 'room' */
    size_t len;
    uint64_t raw_offset; /* of data[0] */
    uint64_t file_end;   /* compressed bytes used up to here */
    struct at_mark *mark;
    size_t marks, mark_room;
    struct at_gap *gap; /* in order; only where damage is passed over */
    size_t gaps, gap_room;
    struct at_error err; /* what follows these bytes: AT_OK, AT_END, error */
    struct at_batch batch;
    struct at_block *block;
    size_t block_room;
    struct at_shelf *shelf;
    struct at_piece *next; /* on the shelf */
};

struct at_shelf {
    pthread_mutex_t lock;
    struct at_piece *spare; /* guarded by lock */
};

enum { AT_HEADROOM = 128 << 10 }; /* longer beginnings move the piece */

void at_shelf_init(struct at_shelf *shelf);
void at_shelf_clear(struct at_shelf *shelf);

/* An empty piece; NULL when there is no memory. */
struct at_piece *at_piece_take(struct at_shelf *shelf);
void at_piece_put_back(struct at_piece *piece);

/* Makes room for 'n' bytes at piece->data; what it held is lost. */
enum at_status at_piece_room(struct at_piece *piece, size_t n);

/* Makes room for 'n' bytes after those at piece->data, which stay. */
enum at_status at_piece_grow(struct at_piece *piece, size_t n);

/* Puts 'n' bytes before those at piece->data. */
enum at_status at_piece_prepend(struct at_piece *piece, const uint8_t *p,
                                size_t n);

/* Marks come in order; of many at the same 'raw' two are kept. */
enum at_status at_piece_mark(struct at_piece *piece, uint64_t raw,
                             uint64_t file);

/* Gaps come in order, too; one that goes on where the last ends, and is of
 * its kind, is joined. */
enum at_status at_piece_gap(struct at_piece *piece, struct at_gap gap);

/* Puts marks before those of the piece. */
enum at_status at_piece_prepend_marks(struct at_piece *piece,
                                      const struct at_mark *mark, size_t n);

/* The piece, which counted from 0, begins at decoded byte 'raw'. */
void at_piece_shift(struct at_piece *piece, uint64_t raw);

/* Puts the bytes and marks of 'before' in front, and 'before' back. */
enum at_status at_piece_join(struct at_piece *piece, struct at_piece *before);

/* Appends a block; the caller fills it. */
struct at_block *at_piece_add_block(struct at_piece *piece);

#endif
