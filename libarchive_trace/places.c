/*
 * places.c - reading some blocks of a trace again, by where they are
 */
#include <stdlib.h>
#include <string.h>

#include "reader.h"

/* Whether from 'from' to 'stop' there is anything but the place's records. */
static bool is_damaged(const struct at_reader *rd, const struct at_place *place,
                       const uint8_t *from, const uint8_t *stop)
{
    return place->bytes > (uint64_t)(stop - from) ||
           at_frame(&rd->layout, from, stop, stop).at < stop;
}

enum at_status at_places_cut(struct at_reader *rd, struct at_piece *piece,
                             struct at_frame *last)
{
    const uint8_t *end = piece->data + piece->len;

    *last = (struct at_frame){.at = piece->data};
    for (; last->at < end && rd->next_place < rd->places; rd->next_place++) {
        const struct at_place *place = &rd->place[rd->next_place];
        const uint64_t gap = place->raw_offset - piece->raw_offset -
                             (uint64_t)(last->at - piece->data);
        const uint8_t *from, *stop;
        struct at_block *block;

        if (gap > (uint64_t)(end - last->at))
            break; /* it is in the next piece, or nowhere */
        from = last->at + gap;
        stop = place->bytes < (uint64_t)(end - from) ? from + place->bytes
                                                     : end;
        if (rd->opts.salvage && is_damaged(rd, place, from, stop)) {
            if (at_holes_cut_place(rd, piece, from, stop) != AT_OK)
                return AT_ERR_MEMORY;
            last->at = stop;
            if (place->bytes > (uint64_t)(stop - from))
                break;
            continue;
        }
        *last = at_frame(&rd->layout, from, stop, stop);
        if (last->at > from) {
            block = at_piece_add_block(piece);
            if (block == NULL)
                return AT_ERR_MEMORY;
            *block = (struct at_block){from, &rd->layout, *place, last->records,
                                       at_frame_packets(&rd->layout, last)};
            block->place.bytes = (uint64_t)(last->at - from);
            rd->records += last->records;
            rd->blocks++;
        }
        if (last->at < stop)
            break;
    }
    return AT_OK;
}

/*
 * By salvage, a place that cannot be decoded is a hole, and the source begins
 * anew with the one after it.
 */
void at_places_end(struct at_reader *rd, const struct at_piece *piece)
{
    const enum at_status st = piece->err.status;

    if (st != AT_ERR_CORRUPT && st != AT_ERR_TRUNCATED) {
        rd->err = piece->err;
        return;
    }
    if (rd->next_place == rd->places) {
        rd->err.status = AT_END;
        return;
    }
    if (at_holes_lose_place(rd, &rd->place[rd->next_place++],
                            piece->file_end) != AT_OK)
        at_error_set(&rd->err, AT_ERR_MEMORY, "out of memory");
    else
        at_source_restart(&rd->src, rd->place + rd->next_place,
                          rd->places - rd->next_place, rd->src.salvage,
                          &rd->err);
}

static bool all_reachable(const struct at_place *place, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (place[i].file_bytes == 0)
            return false;
    return true;
}

enum at_status at_reader_select(struct at_reader *rd,
                                const struct at_place *place, size_t n)
{
    struct at_place *copy = malloc((n + 1) * sizeof(*copy));
    bool random, salvage;

    if (copy == NULL)
        return at_error_set(&rd->err, AT_ERR_MEMORY, "out of memory");
    if (n > 0)
        memcpy(copy, place, n * sizeof(*copy));
    free(rd->place);
    rd->place = copy;
    rd->places = n;
    rd->next_place = 0;
    rd->carry_bytes = 0;
    rd->laters = 0;
    at_piece_put_back(rd->first);
    rd->first = NULL;
    random = rd->layout.format != AT_FORMAT_PCAPNG &&
             (rd->src.ops->by_raw || all_reachable(place, n));
    rd->random = random && at_source_random(&rd->src);
    salvage = at_reader_salvages(rd);
    random = rd->random;
    if (rd->opts.salvage && !random) { /* damage may have moved the blocks */
        free(rd->place);
        rd->place = NULL;
        rd->places = 0;
    }
    at_reader_rewind(rd);
    at_holes_forget(rd);
    rd->err.status = AT_OK;
    return at_source_restart(&rd->src, random ? rd->place : NULL, n, salvage,
                             &rd->err);
}
