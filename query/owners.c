/*
 * owners.c - which flow a packet is of
 *
 * A table by key of the parts of one target; of those with one key it is the
 * one whose time the packet lies in.  The threads that look for packets look
 * them up, and note the number of the part for whoever takes the packet.
 */
#include <stdlib.h>
#include <string.h>

#include "errors.h"
#include "explain.h"
#include "parts.h"

/* The filter that the packets of a part must match. */
struct choice {
    struct at_filter *filter;
};

struct at_owners {
    const struct at_query *q;
    const struct at_parts *parts;
    size_t target;
    size_t first, n; /* parts of the target */
    uint32_t *slot;  /* number + 1 of the first part, */
    uint32_t *next;  /* and from each to the next of the same slot */
    size_t mask;
    struct choice *choice;   /* of each part */
    struct at_filter *stray; /* of packets that are of no part */
    enum at_wanted wanted;
    struct at_set ids; /* of rows whose blocks are read */
    struct at_datagrams *datagrams;
    struct at_sighting sighting;
    bool fragments; /* some parts have later ones */
};

static const struct at_part *part_of(const struct at_owners *o, size_t i)
{
    return &o->parts->part[o->first + i];
}

static size_t slot_of(const struct at_owners *o, const struct at_flow_key *key)
{
    return (size_t)at_flow_key_hash(key, o->n) & o->mask;
}

static enum at_status hash_parts(struct at_owners *o)
{
    for (o->mask = 1; o->mask < o->n * 2;)
        o->mask *= 2;
    o->slot = calloc(o->mask, sizeof(o->slot[0]));
    o->next = calloc(o->n + 1, sizeof(o->next[0]));
    o->mask--;
    if (o->slot == NULL || o->next == NULL)
        return AT_ERR_MEMORY;
    o->datagrams = at_datagrams_open();
    if (o->datagrams == NULL)
        return AT_ERR_MEMORY;
    for (size_t i = o->n; i-- > 0;) {
        uint32_t *slot = &o->slot[slot_of(o, &part_of(o, i)->key)];

        o->fragments |= (part_of(o, i)->row.marks & AT_DECODED_LATER) != 0;

        o->next[i] = *slot;
        *slot = (uint32_t)i + 1;
    }
    return AT_OK;
}

/* The filter of each part is made here, before there are threads. */
static enum at_status find_filters(struct at_owners *o, struct at_error *err)
{
    enum at_status st = at_query_filter(o->q, 0, &o->stray, err);

    o->choice = calloc(o->n + 1, sizeof(o->choice[0]));
    if (st == AT_OK && o->choice == NULL)
        st = at_error_set(err, AT_ERR_MEMORY, "out of memory");
    for (size_t i = 0; i < o->n && st == AT_OK; i++)
        st = at_query_filter(o->q, o->parts->flow[part_of(o, i)->flow].vector,
                             &o->choice[i].filter, err);
    return st;
}

enum at_status at_owners_open(struct at_owners **out, const struct at_query *q,
                              const struct at_parts *p, size_t target,
                              struct at_error *err)
{
    struct at_owners *o = calloc(1, sizeof(*o));
    enum at_status st;

    *out = NULL;
    if (o == NULL)
        return at_error_set(err, AT_ERR_MEMORY, "out of memory");
    /* no seed: it holds what one question is about */
    *o = (struct at_owners){
        .q = q, .parts = p, .target = target, .sighting.key = q->tracking.key};
    while (o->first < p->n && p->part[o->first].target < target)
        o->first++;
    while (o->first + o->n < p->n && p->part[o->first + o->n].target == target)
        o->n++;
    st = hash_parts(o);
    if (st != AT_OK)
        at_error_set(err, st, "out of memory");
    else
        st = find_filters(o, err);
    if (st != AT_OK) {
        at_owners_close(o);
        return st;
    }
    *out = o;
    return AT_OK;
}

void at_owners_close(struct at_owners *o)
{
    if (o == NULL)
        return;
    free(o->slot);
    free(o->next);
    free(o->choice);
    at_set_close(&o->ids);
    at_datagrams_close(o->datagrams);
    free(o);
}

/* ---- packets --------------------------------------------------------- */

/* Number + 1 of the part with this key at this time; 0 if there is none. */
static uint32_t find(const struct at_owners *o, const struct at_flow_key *key,
                     int64_t ts_ns)
{
    uint32_t i = o->slot[slot_of(o, key)];

    for (; i != 0; i = o->next[i - 1]) {
        const struct at_part *part = part_of(o, i - 1);

        if (ts_ns >= part->row.start_ns && ts_ns <= part->row.end_ns &&
            memcmp(&part->key, key, sizeof(*key)) == 0)
            break;
    }
    return i;
}

/* The part of the packet that an ICMP error quotes, which may be over. */
static uint32_t find_quoted(const struct at_owners *o,
                            const struct at_flow_key *key, int64_t ts_ns)
{
    uint32_t i = o->slot[slot_of(o, key)];

    for (; i != 0; i = o->next[i - 1])
        if (memcmp(&part_of(o, i - 1)->key, key, sizeof(*key)) == 0 &&
            ts_ns >= part_of(o, i - 1)->row.start_ns)
            break;
    return i;
}

static bool is_matched(const struct at_owners *o, uint32_t i)
{
    return i != 0 && o->parts->flow[part_of(o, i - 1)->flow].matched;
}

/* Whether a packet of part number i - 1, or of none, is wanted. */
static bool is_wanted(const struct at_owners *o, uint32_t i, int64_t ts_ns,
                      const struct at_packet *pkt)
{
    if (o->wanted == AT_WANT_FLOWS)
        return is_matched(o, i);
    return ts_ns >= o->q->from_ns && ts_ns < o->q->to_ns &&
           at_filter_match(i != 0 ? o->choice[i - 1].filter : o->stray, pkt);
}

/* What is noted of a fragment, whose part is known when the first one of its
 * datagram was seen; of other packets that are wanted, the part alone. */
struct noted {
    struct at_sight sight;
    uint32_t part;
};

static void note(void *ctx, struct at_text *text, const struct at_packet *pkt)
{
    const struct at_owners *o = ctx;
    struct at_quote quote;
    struct noted noted;
    bool quotes;

    if (pkt->kind != AT_KIND_PACKET)
        return;
    quotes = at_sight_take(&noted.sight, &quote, pkt, &o->sighting);
    noted.part = find(o, &noted.sight.key, noted.sight.ts_ns);
    if (o->wanted == AT_WANT_FLOWS && quotes && !is_matched(o, noted.part))
        noted.part = find_quoted(o, &quote.key, noted.sight.ts_ns);
    if (noted.sight.flags & (AT_DECODED_FRAGMENT | AT_DECODED_LATER))
        at_text_add(text, &noted, sizeof(noted));
    else if (is_wanted(o, noted.part, noted.sight.ts_ns, pkt))
        at_text_add(text, &noted.part, sizeof(noted.part));
}

/* The part of a fragment: that of the first one, if it has been seen. */
static enum at_status find_datagram(struct at_owners *o, struct noted *noted,
                                    struct at_error *err)
{
    const struct at_sight *s = &noted->sight;
    uint32_t first;

    if (s->flags & AT_DECODED_LATER) {
        if (at_datagrams_find(o->datagrams, s, &first))
            noted->part = first;
        return AT_OK;
    }
    return at_datagrams_put(o->datagrams, s, noted->part) == AT_OK
               ? AT_OK
               : at_error_set(err, AT_ERR_MEMORY, "out of memory");
}

/* Number + 1 of the part with this key that goes on from an earlier target. */
static uint32_t find_goer(const void *ctx, const struct at_flow_key *key)
{
    const struct at_owners *o = ctx;
    uint32_t i = o->slot[slot_of(o, key)];

    while (i != 0 && (part_of(o, i - 1)->row.continues != AT_GOES_ON ||
                      memcmp(&part_of(o, i - 1)->key, key, sizeof(*key)) != 0))
        i = o->next[i - 1];
    return i;
}

enum at_status at_resume_datagrams(struct at_datagrams *d, struct at_index *ix,
                                   at_goer_fn *goer, const void *ctx,
                                   struct at_error *err)
{
    struct at_carry carry = {.n = 0};
    struct at_datagram first;
    struct at_flow flow;
    struct at_flow_past past;
    enum at_status st = at_index_datagrams(ix, &carry, err);

    for (size_t i = 0; i < carry.datagrams && st == AT_OK; i++) {
        if (!at_carry_get_datagram(&carry, i, &first) ||
            !at_carry_get(&carry, first.value, &flow, &past))
            continue; /* at_index_datagrams() has looked */
        first.value = goer(ctx, &flow.key);
        if (at_datagrams_resume(d, &flow.key, &first) != AT_OK)
            st = at_error_set(err, AT_ERR_MEMORY, "out of memory");
    }
    at_carry_close(&carry);
    return st;
}

/* AT_OK if it is wanted, AT_END if not. */
static enum at_status take_noted(struct at_owners *o, const char *p, size_t n,
                                 const struct at_packet *pkt, uint32_t *part,
                                 struct at_error *err)
{
    struct noted noted;

    if (n == sizeof(*part)) {
        memcpy(part, p, n);
        return AT_OK;
    }
    if (n != sizeof(noted))
        return AT_END;
    memcpy(&noted, p, n);
    if (find_datagram(o, &noted, err) != AT_OK)
        return AT_ERR_MEMORY;
    *part = noted.part;
    return is_wanted(o, noted.part, noted.sight.ts_ns, pkt) ? AT_OK : AT_END;
}

enum at_status at_owners_next(struct at_owners *owners, struct at_pick *pick,
                              struct at_packet *pkt,
                              const struct at_part **part, struct at_error *err)
{
    enum at_status st;

    while ((st = at_pick_next(pick, pkt, err)) == AT_OK) {
        size_t n;
        const char *noted = at_pick_note(pick, &n);
        uint32_t i = 0;

        st = take_noted(owners, noted, n, pkt, &i, err);
        if (st == AT_END)
            continue;
        *part = i != 0 ? part_of(owners, i - 1) : NULL;
        return st;
    }
    return st;
}

/* ---- which blocks are read ------------------------------------------- */

static bool wants_part(const struct at_owners *o, const struct at_part *part)
{
    const bool matched = o->parts->flow[part->flow].matched;

    if (o->wanted == AT_WANT_FLOWS)
        return matched;
    if (o->wanted == AT_WANT_DOUBTS)
        return part->verdict == AT_MAYBE && !matched;
    return part->verdict != AT_NO;
}

/* First fragments tell the flow of later ones, in whatever block. */
static bool reads_row(const struct at_owners *o, const struct at_flow_row *row)
{
    if (o->fragments && (row->marks & AT_DECODED_FRAGMENT) != 0)
        return true;
    return o->wanted == AT_WANT_MATCHING && row->net != AT_NET_IPV4 &&
           row->net != AT_NET_IPV6 && at_plan_judge_in(o->q, row, 0) != AT_NO;
}

/* Rows that are in no flow may hold packets that match without one. */
static enum at_status add_others(struct at_owners *o, struct at_index *ix,
                                 struct at_set *blocks, struct at_error *err)
{
    struct at_flow_row row;
    enum at_status st = at_index_flows(ix, NULL, err);

    while (st == AT_OK && (st = at_index_next_flow(ix, &row, err)) == AT_OK)
        if (reads_row(o, &row))
            st = at_index_flow_blocks(ix, blocks, err);
    return st < 0 ? st : AT_OK;
}

static enum at_status collect_blocks(struct at_owners *o, struct at_index *ix,
                                     struct at_set *blocks,
                                     struct at_error *err)
{
    struct at_flow_row row;
    enum at_status st = at_set_open(&o->ids,
                                    (size_t)at_index_info(ix)->rows + 1, false);

    if (st != AT_OK)
        return at_error_set(err, st, "out of memory");
    for (size_t i = 0; i < o->n; i++)
        if (wants_part(o, part_of(o, i)))
            at_set_add(&o->ids, part_of(o, i)->id);
    st = at_index_flows(ix, &o->ids, err);
    while (st == AT_OK && (st = at_index_next_flow(ix, &row, err)) == AT_OK)
        st = at_index_flow_blocks(ix, blocks, err);
    if (st >= 0 && (o->fragments || o->wanted == AT_WANT_MATCHING))
        st = add_others(o, ix, blocks, err);
    if (st >= 0 && o->fragments)
        st = at_resume_datagrams(o->datagrams, ix, find_goer, o, err);
    return st < 0 ? st : AT_OK;
}

static enum at_status find_places(struct at_owners *o,
                                  const struct at_target *target,
                                  const struct at_selection *sel,
                                  struct at_place **place, size_t *n,
                                  struct at_error *err)
{
    struct at_set blocks = {.n = 0};
    struct at_index *ix;
    enum at_status st = at_target_index(&ix, target, err);

    if (st != AT_OK)
        return st;
    o->sighting.key = at_index_info(ix)->tracking.key;
    st = at_set_open(&blocks, at_index_info(ix)->blocks, false);
    if (st != AT_OK)
        at_error_set(err, st, "out of memory");
    else
        st = collect_blocks(o, ix, &blocks, err);
    if (st == AT_OK)
        st = at_index_places(ix, &blocks, sel->from_ns, sel->to_ns, place, n,
                             err);
    if (st == AT_OK && *n > 0)
        st = at_target_check(ix, target, err);
    if (st == AT_OK && o->q->explained != NULL)
        at_explain_places(&o->q->explained[o->target], *place, *n);

    at_set_close(&blocks);
    at_index_close(ix);
    return st;
}

/* Whether anything of a target without an index can be wanted at all. */
static bool wants_any(const struct at_owners *o)
{
    for (size_t i = 0; i < o->n; i++)
        if (wants_part(o, part_of(o, i)))
            return true;
    return o->wanted == AT_WANT_MATCHING;
}

enum at_status at_owners_pick(struct at_owners *owners, enum at_wanted wanted,
                              const struct at_targets *t, struct at_reader **rd,
                              struct at_pick **pick, struct at_error *err)
{
    const struct at_target *target = &t->target[owners->target];
    struct at_selection sel = {.from_ns = owners->q->from_ns,
                               .to_ns = owners->q->to_ns,
                               .filter = owners->q->filter,
                               .note = note,
                               .ctx = owners};
    struct at_place *place = NULL;
    size_t n = 0;
    enum at_status st = AT_OK;

    *rd = NULL;
    *pick = NULL;
    owners->wanted = wanted;
    if (target->gone ||
        (target->outside && (wanted != AT_WANT_FLOWS || owners->n == 0)))
        return AT_OK;
    if (wanted == AT_WANT_FLOWS || owners->fragments) {
        sel.filter = NULL;
        sel.from_ns = AT_TIME_MIN;
        sel.to_ns = AT_TIME_MAX;
    }
    if (target->index != NULL)
        st = find_places(owners, target, &sel, &place, &n, err);
    if (st == AT_OK && (target->index != NULL ? n > 0 : wants_any(owners)))
        st = at_target_open(rd, owners->q, target, err);
    if (st == AT_OK && *rd != NULL && target->index != NULL) {
        st = at_reader_select(*rd, place, n);
        if (st != AT_OK)
            at_error_copy(err, at_reader_error(*rd));
    }
    free(place);
    if (st == AT_OK && *rd != NULL)
        st = at_pick_open(pick, *rd, owners->q->pool, &sel, err);
    if (st != AT_OK) {
        at_reader_close(*rd);
        *rd = NULL;
    }
    return st;
}
