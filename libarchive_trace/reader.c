/*
 * reader.c - from the pieces of a source to batches of whole records
 *
 * A walk over the lengths of the records cuts each piece into blocks that
 * begin and end on record boundaries; what is left of the last record goes
 * before the next piece.  Of each record only the length is touched here, a
 * few nanoseconds; everything else is done in parallel, by who gets the
 * batch.
 */
#include "reader.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "section.h"

/* ---- what goes from one piece to the next ---------------------------- */

/* The marks of an open block go with it; other codecs begin anew at one. */
static enum at_status keep_marks(struct at_reader *rd,
                                 const struct at_piece *piece, uint64_t raw)
{
    size_t n = 0;

    rd->laters = 0;
    if (rd->src.ops->framed && !at_reader_salvages(rd))
        return AT_OK;
    while (n < piece->marks && piece->mark[piece->marks - 1 - n].raw > raw)
        n++;
    if (n > rd->later_room) {
        free(rd->later);
        rd->later_room = 0;
        rd->later = malloc(2 * n * sizeof(rd->later[0]));
        if (rd->later == NULL)
            return AT_ERR_MEMORY;
        rd->later_room = 2 * n;
    }
    if (n > 0)
        memcpy(rd->later, piece->mark + piece->marks - n,
               n * sizeof(rd->later[0]));
    rd->laters = n;
    return AT_OK;
}

static enum at_status keep_carry(struct at_reader *rd,
                                 const struct at_piece *piece, const uint8_t *p)
{
    const size_t n = (size_t)(piece->data + piece->len - p);

    rd->carry_mark = at_block_mark(
        rd, piece, piece->raw_offset + (uint64_t)(p - piece->data));
    if (keep_marks(rd, piece,
                   piece->raw_offset + (uint64_t)(p - piece->data)) != AT_OK)
        return AT_ERR_MEMORY;
    if (n > rd->carry_room) {
        free(rd->carry);
        rd->carry_room = 0;
        rd->carry = malloc(n);
        if (rd->carry == NULL)
            return AT_ERR_MEMORY;
        rd->carry_room = n;
    }
    if (n > 0)
        memcpy(rd->carry, p, n);
    rd->carry_bytes = n;
    rd->carry_end = piece->raw_offset + piece->len;
    return AT_OK;
}

/* ---- how it ends ----------------------------------------------------- */

static const char *in_what(const struct at_reader *rd)
{
    return rd->src.ops->codec == AT_CODEC_NONE ? "" : " of what it decodes to";
}

static void say_damage(struct at_reader *rd, uint64_t at,
                       const struct at_frame *f)
{
    if (f->why != NULL)
        at_error_set(&rd->err, AT_ERR_CORRUPT,
                     "%s: damaged: the %s at byte %llu%s %s", rd->info.name,
                     at_pcapng_name(f->type), (unsigned long long)at,
                     in_what(rd), f->why);
    else
        at_error_set(&rd->err, AT_ERR_CORRUPT,
                     "%s: damaged: no %s record can begin as at byte %llu%s",
                     rd->info.name,
                     rd->layout.format == AT_FORMAT_ERF ? "ERF" : "pcap",
                     (unsigned long long)at, in_what(rd));
}

static void say_truncated(struct at_reader *rd, uint64_t at,
                          const struct at_frame *f)
{
    char need[48] = "is not whole";

    if (f->need > 0)
        snprintf(need, sizeof(need), "is of %zu bytes", f->need);
    at_error_set(&rd->err, AT_ERR_TRUNCATED,
                 "%s: cut short: the record at byte %llu%s %s, %zu are there",
                 rd->info.name, (unsigned long long)at, in_what(rd), need,
                 rd->carry_bytes);
}

/* What follows the blocks of this piece: nothing yet, the end, an error. */
static void note_end(struct at_reader *rd, const struct at_piece *piece,
                     const struct at_frame *last)
{
    const uint64_t at = piece->raw_offset + (uint64_t)(last->at - piece->data);

    if (last->bad) {
        say_damage(rd, at, last);
    } else if (piece->err.status < 0) {
        rd->err = piece->err;
    } else if (rd->random && rd->carry_bytes > 0) {
        at_error_set(&rd->err, AT_ERR_CORRUPT,
                     "%s: no record ends at byte %llu%s, where the index has "
                     "a block end",
                     rd->info.name, (unsigned long long)at, in_what(rd));
    } else if (piece->err.status == AT_END) {
        rd->err.status = AT_END;
        if (rd->carry_bytes > 0)
            say_truncated(rd, at, last);
    }
}

/* ---- batches --------------------------------------------------------- */

void at_reader_rewind(struct at_reader *rd)
{
    at_layout_drop(rd->now);
    rd->now = rd->layout.format == AT_FORMAT_PCAPNG ? NULL : &rd->layout;
    rd->at_start = true;
}

static struct at_batch *batch_of(struct at_piece *piece)
{
    return &piece->batch;
}

void at_batch_release(struct at_batch *batch)
{
    char *p = (char *)batch;

    at_piece_put_back(
        (struct at_piece *)(void *)(p - offsetof(struct at_piece, batch)));
}

/*
 * No piece is left.  What was carried for the next becomes the last one, with
 * the error of the source, if there is one, after it.
 */
static enum at_status source_over(struct at_reader *rd, enum at_status st,
                                  struct at_piece **piece)
{
    struct at_piece *tail;

    if (rd->carry_bytes == 0 && !(at_reader_salvages(rd) && st < 0)) {
        rd->err = rd->src.err;
        rd->err.status = st;
        return st;
    }
    *piece = tail = at_piece_take(&rd->src.shelf);
    if (tail == NULL || at_piece_room(tail, 0) != AT_OK)
        return at_error_set(&rd->err, AT_ERR_MEMORY, "out of memory");
    tail->raw_offset = rd->carry_end;
    tail->file_end = rd->position;
    tail->err = rd->src.err;
    tail->err.status = st;
    return AT_OK;
}

static enum at_status next_piece(struct at_reader *rd, struct at_piece **piece)
{
    enum at_status st = AT_OK;

    *piece = rd->first;
    rd->first = NULL;
    if (*piece == NULL)
        st = at_source_next(&rd->src, piece);
    if (st != AT_OK)
        st = source_over(rd, st, piece);
    if (st == AT_OK &&
        (at_piece_prepend(*piece, rd->carry, rd->carry_bytes) != AT_OK ||
         at_piece_prepend_marks(*piece, rd->later, rd->laters) != AT_OK))
        st = at_error_set(&rd->err, AT_ERR_MEMORY, "out of memory");
    if (st != AT_OK)
        at_piece_put_back(*piece);
    return st;
}

/* The file header, where it is in this piece, is no record. */
static const uint8_t *after_header(struct at_reader *rd,
                                   const struct at_piece *piece)
{
    const uint8_t *p = piece->data;

    if (rd->at_start)
        p += rd->layout.header_bytes;
    rd->at_start = false;
    return p;
}

static enum at_status cut_piece(struct at_reader *rd, struct at_piece *piece,
                                struct at_frame *last)
{
    if (rd->random)
        return at_places_cut(rd, piece, last);
    if (at_reader_salvages(rd) && rd->at_start && at_holes_begin(rd) != AT_OK)
        return AT_ERR_MEMORY;
    if (at_reader_salvages(rd))
        return at_holes_cut(rd, piece, after_header(rd, piece), last);
    return at_blocks_cut(rd, piece, after_header(rd, piece), last);
}

enum at_status at_reader_next_batch(struct at_reader *rd,
                                    struct at_batch **batch)
{
    *batch = NULL;
    rd->src.hesitant = false;
    while (rd->err.status == AT_OK) {
        const uint64_t first_record = rd->records, first_block = rd->blocks;
        struct at_piece *piece;
        struct at_frame last;
        const enum at_status st = next_piece(rd, &piece);

        if (st != AT_OK)
            return st;
        rd->position = piece->file_end;
        if (cut_piece(rd, piece, &last) != AT_OK ||
            keep_carry(rd, piece, last.at) != AT_OK)
            at_error_set(&rd->err, AT_ERR_MEMORY, "out of memory");
        else if (at_reader_salvages(rd))
            at_holes_end(rd, piece);
        else if (rd->opts.salvage)
            at_places_end(rd, piece);
        else
            note_end(rd, piece, &last);
        piece->batch.first_record = first_record;
        piece->batch.first_block = first_block;
        if (piece->batch.blocks > 0) {
            *batch = batch_of(piece);
            return AT_OK;
        }
        at_piece_put_back(piece);
    }
    return rd->err.status;
}

enum at_status at_reader_next(struct at_reader *rd, struct at_packet *pkt)
{
    for (;;) {
        enum at_status st;

        if (rd->held != NULL && at_walk_next(&rd->walk, pkt))
            return AT_OK;
        if (rd->held != NULL && ++rd->walk_block < rd->held->blocks) {
            rd->walk = at_walk_block(rd->held, rd->walk_block);
            continue;
        }
        if (rd->held != NULL)
            at_batch_release(rd->held);
        st = at_reader_next_batch(rd, &rd->held);
        if (st != AT_OK)
            return st;
        rd->walk_block = 0;
        rd->walk = at_walk_block(rd->held, 0);
    }
}

uint64_t at_reader_position(const struct at_reader *rd)
{
    return rd->position;
}

const struct at_error *at_reader_error(const struct at_reader *rd)
{
    return &rd->err;
}
