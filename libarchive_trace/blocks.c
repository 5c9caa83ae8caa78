/*
 * blocks.c - where the blocks of a trace begin and end
 *
 * A block is the longest run of whole records of at most AT_BLOCK_FILL bytes,
 * at least one record, the header of the file counted; and it begins anew
 * where decoding can begin (at BGZF members, zstd frames and the like).  That
 * is how blocks are written too, so the blocks of a file are the same for who
 * wrote it and whenever it is read.
 */
#include "bytes.h"
#include "packer.h"
#include "reader.h"
#include "section.h"

struct at_mark at_block_mark(const struct at_reader *rd,
                             const struct at_piece *piece, uint64_t raw)
{
    size_t lo = 0, hi = piece->marks;

    while (lo < hi) {
        const size_t mid = (lo + hi) / 2;

        if (piece->mark[mid].raw <= raw)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo > 0 ? piece->mark[lo - 1] : rd->carry_mark;
}

/* The first mark at or after 'raw', or the end of the piece. */
static struct at_mark mark_after(const struct at_piece *piece, uint64_t raw)
{
    size_t lo = 0, hi = piece->marks;

    while (lo < hi) {
        const size_t mid = (lo + hi) / 2;

        if (piece->mark[mid].raw < raw)
            lo = mid + 1;
        else
            hi = mid;
    }
    if (lo < piece->marks)
        return piece->mark[lo];
    return (struct at_mark){piece->raw_offset + piece->len, piece->file_end};
}

struct at_place at_block_place(const struct at_reader *rd,
                               const struct at_piece *piece,
                               const uint8_t *from, const uint8_t *to)
{
    const uint64_t raw = piece->raw_offset + (uint64_t)(from - piece->data);
    struct at_place place = {
        .file_offset = raw,
        .raw_offset = raw,
        .bytes = (uint64_t)(to - from),
    };
    struct at_mark mark;

    place.file_bytes = place.bytes;
    if (rd->src.ops->codec == AT_CODEC_NONE)
        return place;
    mark = at_block_mark(rd, piece, raw);
    place.file_offset = mark.file;
    place.skip = raw - mark.raw;
    place.file_bytes = rd->src.ops->framed
                           ? mark_after(piece, raw + place.bytes).file -
                                 mark.file
                           : 0;
    return place;
}

/* What a block that begins at decoded byte 'raw' may hold. */
static size_t block_room(const struct at_reader *rd, uint64_t raw)
{
    const size_t header = rd->layout.header_bytes;

    return AT_BLOCK_FILL - (raw == header ? header : 0);
}

/*
 * Walks over the records of the block that begins at 'from'.  Where a section
 * of a pcapng file begins, it is entered first.
 */
static struct at_frame walk_block(struct at_reader *rd,
                                  const struct at_piece *piece,
                                  const uint8_t *from, const uint8_t *end)
{
    const uint64_t raw = piece->raw_offset + (uint64_t)(from - piece->data);
    const size_t room = block_room(rd, raw);
    struct at_frame f;

    if (rd->layout.format == AT_FORMAT_PCAPNG) {
        f = at_pcapng_enter(&rd->now, from, end);
        if (f.records == 0)
            return f;
    }
    if (rd->src.ops->framed) {
        const uint64_t n = mark_after(piece, raw + 1).raw - raw;

        if (n <= room)
            return at_frame(rd->now, from, from + n, end);
    }
    if ((size_t)(end - from) <= room)
        return at_frame(rd->now, from, end, end);
    f = at_frame(rd->now, from, from + room, from + room);
    return f.at > from ? f : at_frame(rd->now, from, from + 1, end);
}

/* The same rule as walk_block()'s, for one record. */
bool at_block_takes(const struct at_reader *rd, const struct at_piece *piece,
                    const uint8_t *from, const uint8_t *at, const uint8_t *to)
{
    const uint64_t raw = piece->raw_offset + (uint64_t)(from - piece->data);
    const size_t room = block_room(rd, raw);

    if (at == from)
        return true;
    if (rd->src.ops->framed) {
        const uint64_t n = mark_after(piece, raw + 1).raw - raw;

        if (n <= room)
            return (uint64_t)(at - from) < n;
    }
    return (size_t)(to - from) <= room;
}

/* Whether what follows this piece may belong to the block at 'from'. */
static bool block_is_open(const struct at_reader *rd,
                          const struct at_piece *piece, const uint8_t *from,
                          const uint8_t *end)
{
    const uint64_t raw = piece->raw_offset + (uint64_t)(from - piece->data);

    return !rd->src.ops->framed && piece->err.status == AT_OK &&
           (size_t)(end - from) < block_room(rd, raw);
}

bool at_block_wanted(struct at_reader *rd, const struct at_place *place)
{
    if (rd->place == NULL)
        return true;
    while (rd->next_place < rd->places &&
           rd->place[rd->next_place].raw_offset +
                   rd->place[rd->next_place].bytes <=
               place->raw_offset)
        rd->next_place++;
    return rd->next_place < rd->places && rd->place[rd->next_place].raw_offset <
                                              place->raw_offset + place->bytes;
}

enum at_status at_block_add(struct at_reader *rd, struct at_piece *piece,
                            const struct at_place *place, const uint8_t *from,
                            uint32_t records, uint32_t packets)
{
    struct at_block *block = at_piece_add_block(piece);

    if (block == NULL)
        return AT_ERR_MEMORY;
    *block = (struct at_block){from, rd->now, *place, records, packets};
    at_layout_hold(rd->now);
    return AT_OK;
}

enum at_status at_blocks_cut(struct at_reader *rd, struct at_piece *piece,
                             const uint8_t *p, struct at_frame *last)
{
    const uint8_t *end = piece->data + piece->len;

    *last = (struct at_frame){.at = p};
    while (last->at < end) {
        const uint8_t *from = last->at;
        struct at_place place;

        if (block_is_open(rd, piece, from, end))
            break;
        *last = walk_block(rd, piece, from, end);
        if (last->at == from)
            break;
        place = at_block_place(rd, piece, from, last->at);
        if (at_block_wanted(rd, &place) &&
            at_block_add(rd, piece, &place, from, last->records,
                         at_frame_packets(rd->now, last)) != AT_OK)
            return AT_ERR_MEMORY;
        rd->records += last->records;
        rd->blocks++;
    }
    return last->no_memory ? AT_ERR_MEMORY : AT_OK;
}
