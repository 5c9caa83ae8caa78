/*
 * doubts.c - flows that only their packets can decide
 */
#include "doubts.h"

#include <stdlib.h>
#include <string.h>

#include "errors.h"
#include "parts.h"

void at_doubts_close(struct at_doubts *d)
{
    free(d->doubt);
    free(d->slot);
    free(d->next);
}

enum at_status at_doubts_add(struct at_doubts *d, const struct at_flow_row *row)
{
    if (d->n == d->room) {
        const size_t room = d->room * 2 + 64;
        struct at_doubt *p = realloc(d->doubt, room * sizeof(*p));

        if (p == NULL)
            return AT_ERR_MEMORY;
        d->doubt = p;
        d->room = room;
    }
    d->doubt[d->n] = (struct at_doubt){.row = *row};
    at_flow_row_key(&d->doubt[d->n].key, row);
    d->fragments |= (row->marks & AT_DECODED_LATER) != 0;
    d->n++;
    return AT_OK;
}

enum at_status at_doubts_move(struct at_doubts *d, const struct at_doubts *from)
{
    enum at_status st = AT_OK;

    for (size_t i = 0; i < from->n && st == AT_OK; i++)
        st = at_doubts_add(d, &from->doubt[i].row);
    return st;
}

static size_t slot_of(const struct at_doubts *d, const struct at_flow_key *key)
{
    return (size_t)at_flow_key_hash(key, d->n) & d->mask;
}

static enum at_status hash_doubts(struct at_doubts *d)
{
    for (d->mask = 1; d->mask < d->n * 2;)
        d->mask *= 2;
    d->slot = calloc(d->mask, sizeof(d->slot[0]));
    d->next = calloc(d->n + 1, sizeof(d->next[0]));
    d->mask--;
    if (d->slot == NULL || d->next == NULL)
        return AT_ERR_MEMORY;
    for (size_t i = d->n; i-- > 0;) {
        uint32_t *slot = &d->slot[slot_of(d, &d->doubt[i].key)];

        d->next[i] = *slot;
        *slot = (uint32_t)i + 1;
    }
    return AT_OK;
}

/* 1 + the number of the doubt that a packet with the flow's key is of; 0 if it
 * is of none. */
static uint32_t doubt_of(const struct at_doubts *d,
                         const struct at_sight *sight)
{
    uint32_t i = d->slot[slot_of(d, &sight->key)];

    for (; i != 0; i = d->next[i - 1]) {
        const struct at_doubt *doubt = &d->doubt[i - 1];

        if (sight->ts_ns >= doubt->row.start_ns &&
            sight->ts_ns <= doubt->row.end_ns &&
            memcmp(&doubt->key, &sight->key, sizeof(sight->key)) == 0)
            break;
    }
    return i;
}

/* The same of the flow that goes on from an earlier segment. */
static uint32_t doubt_of_goer(const void *ctx, const struct at_flow_key *key)
{
    const struct at_doubts *d = ctx;
    uint32_t i = d->slot[slot_of(d, key)];

    while (i != 0 && (d->doubt[i - 1].row.continues != AT_GOES_ON ||
                      memcmp(&d->doubt[i - 1].key, key, sizeof(*key)) != 0))
        i = d->next[i - 1];
    return i;
}

/* Puts matching packets to the flows they are of, where those are in doubt. */
static enum at_status settle_matching(struct at_doubts *d, struct at_pick *pick,
                                      struct at_error *err)
{
    struct at_packet pkt;
    struct at_sight sight;
    struct at_quote quote;
    enum at_status st;

    while ((st = at_pick_next(pick, &pkt, err)) == AT_OK) {
        uint32_t i;

        at_sight_take(&sight, &quote, &pkt, &d->sighting);
        i = doubt_of(d, &sight);
        if (i != 0)
            d->doubt[i - 1].matched = true;
    }
    return st;
}

/*
 * The same where later fragments may be among them, which only the first of
 * their datagram tells the flow of, whether or not it matches: 'pick' has the
 * packets of all flows with fragments.
 */
static enum at_status put_fragments(const struct at_query *q,
                                    struct at_doubts *d,
                                    struct at_datagrams *datagrams,
                                    struct at_pick *pick, struct at_error *err)
{
    struct at_packet pkt;
    struct at_sight s;
    struct at_quote quote;
    enum at_status st = AT_OK;

    while (st == AT_OK && (st = at_pick_next(pick, &pkt, err)) == AT_OK) {
        const struct at_datagram *first = NULL;
        uint32_t i;

        at_sight_take(&s, &quote, &pkt, &d->sighting);
        if ((s.flags & AT_DECODED_LATER) != 0)
            first = at_datagrams_find(datagrams, &s);
        i = first != NULL ? first->value : doubt_of(d, &s);
        if ((s.flags & AT_DECODED_FRAGMENT) != 0 &&
            (s.flags & AT_DECODED_LATER) == 0)
            st = at_datagrams_put(datagrams, &s, i);
        if (i != 0 && s.ts_ns >= q->from_ns && s.ts_ns < q->to_ns &&
            at_filter_match(q->filter, &pkt))
            d->doubt[i - 1].matched = true;
    }
    return st == AT_ERR_MEMORY ? at_error_set(err, st, "out of memory") : st;
}

static enum at_status settle_fragments(const struct at_query *q,
                                       struct at_doubts *d, struct at_index *ix,
                                       struct at_pick *pick,
                                       struct at_error *err)
{
    struct at_datagrams *datagrams = at_datagrams_open();
    enum at_status st;

    if (datagrams == NULL)
        return at_error_set(err, AT_ERR_MEMORY, "out of memory");
    st = at_resume_datagrams(datagrams, ix, doubt_of_goer, d, err);
    if (st == AT_OK)
        st = put_fragments(q, d, datagrams, pick, err);
    at_datagrams_close(datagrams);
    return st;
}

enum at_status at_doubts_ask(struct at_doubts *d, const struct at_query *q,
                             const struct at_target *target,
                             struct at_index *ix, const struct at_place *place,
                             size_t n, struct at_error *err)
{
    const struct at_selection matching = {
        .filter = q->filter, .from_ns = q->from_ns, .to_ns = q->to_ns};
    const struct at_selection all = {.from_ns = AT_TIME_MIN,
                                     .to_ns = AT_TIME_MAX};
    struct at_pick *pick = NULL;
    struct at_reader *rd;
    enum at_status st;

    d->sighting.key = at_index_info(ix)->tracking.key;
    if (hash_doubts(d) != AT_OK)
        return at_error_set(err, AT_ERR_MEMORY, "out of memory");
    st = at_target_open(&rd, q, target, err);
    if (st != AT_OK)
        return st;
    st = at_reader_select(rd, place, n);
    if (st != AT_OK)
        at_error_copy(err, at_reader_error(rd));
    if (st == AT_OK)
        st = at_pick_open(&pick, rd, q->pool, d->fragments ? &all : &matching,
                          err);
    if (st == AT_OK)
        st = d->fragments ? settle_fragments(q, d, ix, pick, err)
                          : settle_matching(d, pick, err);
    if (st == AT_END)
        st = at_target_tell(q, target, ix, rd, err);
    at_pick_close(pick);
    at_reader_close(rd);
    return st < 0 ? st : AT_OK;
}
