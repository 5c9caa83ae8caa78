/*
 * reader.h - between the files that make batches of a source's pieces
 *
 * reader_open.c finds out what a file is, reader.c takes its pieces one by
 * one, and one of three cuts them: blocks.c as they come, places.c where only
 * some blocks are wanted, holes.c where damage is passed over.
 */
#ifndef AT_READER_H
#define AT_READER_H

#include "format.h"
#include "mend.h"
#include "salvage.h"
#include "source.h"

struct at_reader {
    struct at_source src;
    struct at_pool *own_pool;
    struct at_reader_options opts;
    struct at_access access;     /* as opts.access; all zero if there is none */
    struct at_layout layout;     /* of the file, by its first bytes */
    const struct at_layout *now; /* of what comes next; pcapng: the section,
                                    NULL before the first */
    struct at_trace_info info;
    struct at_error err;    /* sticky */
    struct at_piece *first; /* read to find the format, not yet handed out */
    bool random;   /* each piece is a place: it starts and ends on records */
    bool at_start; /* the file header comes next */
    struct at_place *place;
    size_t places, next_place;
    uint8_t *carry; /* the beginning of a block or record */
    size_t carry_bytes, carry_room;
    uint64_t carry_end;        /* raw offset after it */
    struct at_mark carry_mark; /* where decoding begins for the carry */
    struct at_mark *later;     /* marks inside it, in case it is two blocks */
    size_t laters, later_room;
    uint64_t records, blocks;
    uint64_t position;     /* in the file, after the last piece taken */
    struct at_batch *held; /* by at_reader_next() */
    struct at_walk walk;
    size_t walk_block;
    struct at_mend mend;
    char assumed[160];         /* in words, what 'layout' has by it */
    struct at_salvage salvage; /* the rest only with opts.salvage */
    struct at_hole *hole;
    size_t holes, hole_room;
    struct at_salvaged salvaged;
    uint64_t last_hole_end; /* raw offset; of the last one if it is decoded */
    uint64_t lost_at;       /* byte of the file where the last place was lost */
    size_t run_bytes;     /* at the beginning of the carry: its first records */
    uint32_t run_records; /* were judged, and are the beginning of a block */
};

/* ---- reader.c -------------------------------------------------------- */

/* Whether damage is passed over as the bytes come.  At places it is not: there
 * it is known what should be. */
static inline bool at_reader_salvages(const struct at_reader *rd)
{
    return rd->opts.salvage && !rd->random;
}

/* What comes next is the beginning of the file. */
void at_reader_rewind(struct at_reader *rd);

/* ---- blocks.c -------------------------------------------------------- */

/* The last mark at or before 'raw'; that of the carry if there is none. */
struct at_mark at_block_mark(const struct at_reader *rd,
                             const struct at_piece *piece, uint64_t raw);

/* By what the block from 'from' to 'to' can be read again. */
struct at_place at_block_place(const struct at_reader *rd,
                               const struct at_piece *piece,
                               const uint8_t *from, const uint8_t *to);

/* Whether the block is one of those asked for; the list is in order. */
bool at_block_wanted(struct at_reader *rd, const struct at_place *place);

/* A block holds the layout of its records; see at_piece_put_back(). */
enum at_status at_block_add(struct at_reader *rd, struct at_piece *piece,
                            const struct at_place *place, const uint8_t *from,
                            uint32_t records, uint32_t packets);

/* Whether the record from 'at' to 'to' is of the block that begins at 'from',
 * all records between them being of it. */
bool at_block_takes(const struct at_reader *rd, const struct at_piece *piece,
                    const uint8_t *from, const uint8_t *at, const uint8_t *to);

/*
 * Cuts the records from 'p' on into blocks.  *last is how the walk ended: at
 * the end of the piece, inside a record, or at damage.  What is returned is
 * AT_OK or AT_ERR_MEMORY, here and in the two below.
 */
enum at_status at_blocks_cut(struct at_reader *rd, struct at_piece *piece,
                             const uint8_t *p, struct at_frame *last);

/* ---- places.c -------------------------------------------------------- */

/*
 * The same where the piece holds places that were asked for: each is a block,
 * and what lies between two of one frame is passed over.
 */
enum at_status at_places_cut(struct at_reader *rd, struct at_piece *piece,
                             struct at_frame *last);

/* By salvage: what follows the places of this piece. */
void at_places_end(struct at_reader *rd, const struct at_piece *piece);

/* ---- holes.c --------------------------------------------------------- */

/* The same as at_blocks_cut() where nothing is believed without need. */
enum at_status at_holes_cut(struct at_reader *rd, struct at_piece *piece,
                            const uint8_t *p, struct at_frame *last);

/* The same for the bytes of one place. */
enum at_status at_holes_cut_place(struct at_reader *rd, struct at_piece *piece,
                                  const uint8_t *from, const uint8_t *to);

/* The place could not be decoded past byte 'file_end' of the file. */
enum at_status at_holes_lose_place(struct at_reader *rd,
                                   const struct at_place *place,
                                   uint64_t file_end);

/* An error of the bytes is the last hole; that of a system call stays one. */
void at_holes_end(struct at_reader *rd, const struct at_piece *piece);

void at_holes_forget(struct at_reader *rd);

/* What is missing of the file's header is a hole, too. */
enum at_status at_holes_begin(struct at_reader *rd);

#endif
