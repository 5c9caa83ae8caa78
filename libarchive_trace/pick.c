/*
 * pick.c - the wanted packets of one reader, found by all threads
 *
 * The threads leave in each slot an array of the packets that are wanted,
 * which are views into the batch, and what was noted of them; the caller's
 * thread only hands them out.
 * Those that are processed may be in the slot's scratch instead, which is as
 * large as the batch: the header of a record is larger than what processing
 * adds to its frame.  What processing drops stays in the array, to be counted
 * where the caller has got to.
 */
#include <stdlib.h>
#include <string.h>

#include "archive_trace.h"

struct picked {
    struct at_packet *pkt;
    size_t n, room;
    struct at_scratch scratch;
    struct at_text notes; /* of all packets */
    size_t *note_end;     /* of each, in 'notes'; NULL where none are made */
};

struct at_pick {
    struct at_selection selection;
    struct at_pass *pass;
    const struct picked *now;
    size_t next;
    uint64_t dropped;
};

static bool wanted(const struct at_selection *sel, const struct at_packet *pkt)
{
    const int64_t ns = at_ts_to_ns(pkt->ts);

    if (pkt->kind != AT_KIND_PACKET)
        return sel->records;
    return ns >= sel->from_ns && ns < sel->to_ns &&
           (sel->filter == NULL || at_filter_match(sel->filter, pkt));
}

static enum at_status make_room(struct picked *picked, bool notes,
                                const struct at_batch *batch)
{
    size_t n = 0;

    for (size_t i = 0; i < batch->blocks; i++)
        n += batch->block[i].records;
    if (n <= picked->room)
        return AT_OK;
    free(picked->pkt);
    free(picked->note_end);
    picked->room = 0;
    n += n / 4;
    picked->pkt = malloc(n * sizeof(picked->pkt[0]));
    picked->note_end = notes ? malloc(n * sizeof(picked->note_end[0])) : NULL;
    if (picked->pkt == NULL || (notes && picked->note_end == NULL))
        return AT_ERR_MEMORY;
    picked->room = n;
    return AT_OK;
}

static enum at_status make_scratch(struct at_scratch *scratch,
                                   const struct at_batch *batch)
{
    size_t n = 0;

    scratch->used = 0;
    for (size_t i = 0; i < batch->blocks; i++)
        n += batch->block[i].place.bytes;
    if (n <= scratch->room)
        return AT_OK;
    free(scratch->p);
    scratch->room = 0;
    scratch->p = malloc(n + n / 4);
    if (scratch->p == NULL)
        return AT_ERR_MEMORY;
    scratch->room = n + n / 4;
    return AT_OK;
}

static void pick_record(const struct at_selection *sel, struct picked *picked)
{
    struct at_packet *pkt = &picked->pkt[picked->n];

    if (!wanted(sel, pkt))
        return;
    if (sel->process != NULL)
        at_process_packet(sel->process, &picked->scratch, pkt);
    if (sel->note != NULL) {
        sel->note(sel->ctx, &picked->notes, pkt);
        picked->note_end[picked->n] = picked->notes.n;
    }
    picked->n++;
}

static enum at_status pick_work(void *ctx, void *slot,
                                const struct at_batch *batch,
                                struct at_error *err)
{
    const struct at_pick *pick = ctx;
    struct picked *picked = slot;

    picked->n = 0;
    picked->notes.n = 0;
    if (make_room(picked, pick->selection.note != NULL, batch) != AT_OK ||
        (pick->selection.process != NULL &&
         make_scratch(&picked->scratch, batch) != AT_OK))
        return at_error_set(err, AT_ERR_MEMORY, "out of memory");
    for (size_t i = 0; i < batch->blocks; i++) {
        struct at_walk walk = at_walk_block(batch, i);

        while (at_walk_next(&walk, &picked->pkt[picked->n]))
            pick_record(&pick->selection, picked);
    }
    if (picked->notes.failed)
        return at_error_set(err, AT_ERR_MEMORY, "out of memory");
    return AT_OK;
}

static void pick_drop(void *ctx, void *slot)
{
    struct picked *picked = slot;

    (void)ctx;
    free(picked->pkt);
    free(picked->scratch.p);
    free(picked->note_end);
    at_text_close(&picked->notes);
}

enum at_status at_pick_open(struct at_pick **out, struct at_reader *rd,
                            struct at_pool *pool,
                            const struct at_selection *selection,
                            struct at_error *err)
{
    struct at_pick *pick = calloc(1, sizeof(*pick));
    const struct at_run run = {
        .slot_bytes = sizeof(struct picked),
        .ctx = pick,
        .work = pick_work,
        .drop = pick_drop,
    };
    enum at_status st;

    *out = NULL;
    if (pick == NULL)
        return at_error_set(err, AT_ERR_MEMORY, "out of memory");
    pick->selection = *selection;
    st = at_pass_open(&pick->pass, rd, pool, &run, err);
    if (st != AT_OK) {
        free(pick);
        return st;
    }
    *out = pick;
    return AT_OK;
}

static enum at_status next_batch(struct at_pick *pick, struct at_error *err)
{
    const struct at_batch *batch;
    void *slot;
    enum at_status st;

    pick->now = NULL;
    st = at_pass_next(pick->pass, &slot, &batch, err);
    if (st != AT_OK)
        return st;
    pick->now = slot;
    pick->next = 0;
    return AT_OK;
}

enum at_status at_pick_next(struct at_pick *pick, struct at_packet *pkt,
                            struct at_error *err)
{
    for (;;) {
        while (pick->now == NULL || pick->next == pick->now->n) {
            const enum at_status st = next_batch(pick, err);

            if (st != AT_OK)
                return st;
        }
        *pkt = pick->now->pkt[pick->next++];
        if ((pkt->done & AT_DONE_DROPPED) == 0)
            return AT_OK;
        pick->dropped++;
    }
}

uint64_t at_pick_dropped(const struct at_pick *pick)
{
    return pick->dropped;
}

const char *at_pick_note(const struct at_pick *pick, size_t *n)
{
    const struct picked *picked = pick->now;
    size_t start;

    *n = 0;
    if (picked == NULL || picked->note_end == NULL || pick->next == 0)
        return "";
    start = pick->next > 1 ? picked->note_end[pick->next - 2] : 0;
    *n = picked->note_end[pick->next - 1] - start;
    return *n > 0 ? picked->notes.p + start : "";
}

void at_pick_close(struct at_pick *pick)
{
    if (pick == NULL)
        return;
    at_pass_close(pick->pass);
    free(pick);
}
