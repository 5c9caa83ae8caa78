/*
 * pick.c - the wanted packets of one reader, found by all threads
 *
 * The threads leave a sift in each slot; the caller's thread only hands the
 * packets out.
 */
#include <stdlib.h>

#include "sift.h"

struct at_pick {
    struct at_selection selection;
    struct at_sift_plan plan;
    struct at_pass *pass;
    const struct at_sift *now;
    const struct at_batch *batch; /* of 'now' */
    size_t next;
    uint64_t dropped;
};

static enum at_status pick_work(void *ctx, void *slot,
                                const struct at_batch *batch,
                                struct at_error *err)
{
    const struct at_pick *pick = ctx;

    return at_sift_fill(slot, &pick->plan, batch, err);
}

static void pick_drop(void *ctx, void *slot)
{
    (void)ctx;
    at_sift_clear(slot);
}

enum at_status at_pick_open(struct at_pick **out, struct at_reader *rd,
                            struct at_pool *pool,
                            const struct at_selection *selection,
                            struct at_error *err)
{
    struct at_pick *pick = calloc(1, sizeof(*pick));
    const struct at_run run = {
        .slot_bytes = sizeof(struct at_sift),
        .ctx = pick,
        .work = pick_work,
        .drop = pick_drop,
    };
    enum at_status st;

    *out = NULL;
    if (pick == NULL)
        return at_error_set(err, AT_ERR_MEMORY, "out of memory");
    pick->selection = *selection;
    pick->plan.selection = &pick->selection;
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
    pick->batch = batch;
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

uint64_t at_pick_offset(const struct at_pick *pick)
{
    const uint8_t *record;

    if (pick->now == NULL || pick->next == 0)
        return 0;
    record = pick->now->pkt[pick->next - 1].record;
    for (size_t i = 0; i < pick->batch->blocks; i++) {
        const struct at_block *b = &pick->batch->block[i];

        if (record >= b->data && record < b->data + b->place.bytes)
            return b->place.raw_offset + (uint64_t)(record - b->data);
    }
    return 0;
}

uint64_t at_pick_dropped(const struct at_pick *pick)
{
    return pick->dropped;
}

const char *at_pick_note(const struct at_pick *pick, size_t *n)
{
    *n = 0;
    if (pick->now == NULL || pick->next == 0)
        return "";
    return at_sift_note(pick->now, pick->next - 1, n);
}

void at_pick_close(struct at_pick *pick)
{
    if (pick == NULL)
        return;
    at_pass_close(pick->pass);
    free(pick);
}
