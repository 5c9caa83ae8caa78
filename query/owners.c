/*
 * owners.c - which flow a packet is of
 *
 * A table by key of the parts of one target; of those with one key it is the
 * one whose time the packet lies in.  The threads that look for packets look
 * them up, and note the number of the part for whoever takes the packet.
 *
 * What at_parts_take() left out is read from the index only now, so that it is
 * in memory for one target at a time.
 */
#include <stdlib.h>
#include <string.h>

#include "errors.h"
#include "explain.h"
#include "goers.h"
#include "parts.h"

struct at_owners {
    const struct at_query *q;
    const struct at_parts *parts;
    size_t target;
    size_t first, kept; /* parts of the target among 'parts' */
    struct at_owned *owned;
    size_t n, room;
    struct at_finds alone; /* rows of those that are not among 'parts' */
    uint32_t *slot;        /* number + 1 of the first one */
    size_t mask;
    struct at_filter *stray; /* of packets that are of no part */
    enum at_wanted wanted;
    struct at_datagrams *datagrams;
    struct at_sighting sighting;
    bool fragments; /* some parts have later ones */
};

static enum at_status out_of_memory(struct at_error *err)
{
    return at_error_set(err, AT_ERR_MEMORY, "out of memory");
}

enum at_status at_owners_open(struct at_owners **out, const struct at_query *q,
                              const struct at_parts *p, size_t target,
                              struct at_error *err)
{
    struct at_owners *o = calloc(1, sizeof(*o));

    *out = NULL;
    if (o == NULL)
        return out_of_memory(err);
    /* no seed: it holds what one question is about */
    *o = (struct at_owners){
        .q = q, .parts = p, .target = target, .sighting.key = q->tracking.key};
    while (o->first < p->n && p->part[o->first].target < target)
        o->first++;
    while (o->first + o->kept < p->n &&
           p->part[o->first + o->kept].target == target)
        o->kept++;
    *out = o;
    return AT_OK;
}

void at_owners_close(struct at_owners *o)
{
    if (o == NULL)
        return;
    free(o->slot);
    free(o->owned);
    at_finds_close(&o->alone);
    at_datagrams_close(o->datagrams);
    free(o);
}

/* ---- the table ------------------------------------------------------- */

static size_t slot_of(const struct at_owners *o, const struct at_flow_key *key)
{
    return (size_t)at_flow_key_hash(key, o->n) & o->mask;
}

static enum at_status hash_owned(struct at_owners *o)
{
    for (o->mask = 1; o->mask < o->n * 2;)
        o->mask *= 2;
    o->slot = calloc(o->mask, sizeof(o->slot[0]));
    o->mask--;
    o->datagrams = at_datagrams_open();
    if (o->slot == NULL || o->datagrams == NULL)
        return AT_ERR_MEMORY;
    for (size_t i = o->n; i-- > 0;) {
        uint32_t *slot = &o->slot[slot_of(o, &o->owned[i].key)];

        o->owned[i].next = *slot;
        *slot = (uint32_t)i + 1;
    }
    return AT_OK;
}

/* Adds a part whose row and flow are given; the filter is made here, before
 * there are threads. */
static enum at_status add_owned(struct at_owners *o,
                                const struct at_flow_row *row, uint32_t id,
                                uint64_t vector, const struct at_owned *more,
                                struct at_error *err)
{
    struct at_owned *owned;

    if (o->n == o->room) {
        const size_t room = o->room * 2 + 256;

        owned = realloc(o->owned, room * sizeof(*owned));
        if (owned == NULL)
            return out_of_memory(err);
        o->owned = owned;
        o->room = room;
    }
    owned = &o->owned[o->n++];
    *owned = *more;
    owned->start_ns = row->start_ns;
    owned->end_ns = row->end_ns;
    owned->id = id;
    owned->marks = row->marks;
    owned->continues = row->continues;
    o->fragments |= (row->marks & AT_DECODED_LATER) != 0;
    at_flow_row_key(&owned->key, row);
    return at_query_filter(o->q, vector, &owned->filter, err);
}

static enum at_status add_kept(struct at_owners *o, struct at_error *err)
{
    enum at_status st = AT_OK;

    for (size_t i = o->first; i < o->first + o->kept && st == AT_OK; i++) {
        const struct at_part *part = &o->parts->part[i];
        const struct at_joined *flow = &o->parts->flow[part->flow];
        const struct at_owned owned = {.flow = &flow->row,
                                       .number = part->flow,
                                       .verdict = part->verdict,
                                       .matched = flow->matched};

        st = add_owned(o, &part->row, part->id, flow->vector, &owned, err);
    }
    return st;
}

/* ---- packets --------------------------------------------------------- */

/* Number + 1 of the part with this key at this time; 0 if there is none. */
static uint32_t find(const struct at_owners *o, const struct at_flow_key *key,
                     int64_t ts_ns)
{
    uint32_t i = o->slot[slot_of(o, key)];

    for (; i != 0; i = o->owned[i - 1].next) {
        const struct at_owned *owned = &o->owned[i - 1];

        if (ts_ns >= owned->start_ns && ts_ns <= owned->end_ns &&
            memcmp(&owned->key, key, sizeof(*key)) == 0)
            break;
    }
    return i;
}

/* The part of the packet that an ICMP error quotes, which may be over: the one
 * that began last. */
static uint32_t find_quoted(const struct at_owners *o,
                            const struct at_flow_key *key, int64_t ts_ns)
{
    uint32_t latest = 0;

    for (uint32_t i = o->slot[slot_of(o, key)]; i != 0;
         i = o->owned[i - 1].next) {
        const struct at_owned *owned = &o->owned[i - 1];

        if (ts_ns >= owned->start_ns &&
            (latest == 0 || owned->start_ns > o->owned[latest - 1].start_ns) &&
            memcmp(&owned->key, key, sizeof(*key)) == 0)
            latest = i;
    }
    return latest;
}

static bool is_matched(const struct at_owners *o, uint32_t i)
{
    return i != 0 && o->owned[i - 1].matched;
}

/* Whether a packet of part number i - 1, or of none, is wanted. */
static bool is_wanted(const struct at_owners *o, uint32_t i, int64_t ts_ns,
                      const struct at_packet *pkt)
{
    if (o->wanted == AT_WANT_FLOWS)
        return is_matched(o, i);
    return ts_ns >= o->q->from_ns && ts_ns < o->q->to_ns &&
           at_filter_match(i != 0 ? o->owned[i - 1].filter : o->stray, pkt);
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

    if (s->flags & AT_DECODED_LATER) {
        const struct at_datagram *first = at_datagrams_find(o->datagrams, s);

        if (first != NULL)
            noted->part = first->value;
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

    while (i != 0 && (o->owned[i - 1].continues != AT_GOES_ON ||
                      memcmp(&o->owned[i - 1].key, key, sizeof(*key)) != 0))
        i = o->owned[i - 1].next;
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
                              const struct at_owned **owned,
                              struct at_error *err)
{
    enum at_status st;

    while ((st = at_pick_next(pick, pkt, err)) == AT_OK) {
        size_t n;
        const char *noted = at_pick_note(pick, &n);
        uint32_t i = 0;

        st = take_noted(owners, noted, n, pkt, &i, err);
        if (st == AT_END)
            continue;
        *owned = i != 0 ? &owners->owned[i - 1] : NULL;
        return st;
    }
    return st;
}

/* ---- which blocks are read ------------------------------------------- */

static bool wants(const struct at_owners *o, const struct at_owned *owned)
{
    if (o->wanted == AT_WANT_FLOWS)
        return owned->matched;
    if (o->wanted == AT_WANT_DOUBTS)
        return owned->verdict == AT_MAYBE && !owned->matched;
    return owned->verdict != AT_NO;
}

static enum at_status add_blocks_of_kept(struct at_owners *o,
                                         struct at_index *ix,
                                         struct at_set *blocks,
                                         struct at_error *err)
{
    struct at_set ids;
    struct at_flow_row row;
    enum at_status st = at_set_open(&ids, (size_t)at_index_info(ix)->rows + 1,
                                    false);

    if (st != AT_OK)
        return out_of_memory(err);
    for (size_t i = 0; i < o->n; i++)
        if (wants(o, &o->owned[i]))
            at_set_add(&ids, o->owned[i].id);
    st = at_index_flows_with(ix, &ids, 0, err);
    while (st == AT_OK && (st = at_index_next_flow(ix, &row, err)) == AT_OK)
        st = at_index_flow_blocks(ix, blocks, err);
    at_set_close(&ids);
    return st < 0 ? st : AT_OK;
}

/* Adds a flow that is not among the parts that were kept, and its blocks. */
static enum at_status add_alone(struct at_owners *o, const struct at_targets *t,
                                struct at_index *ix, struct at_flow_row *row,
                                uint64_t vector, struct at_owned *owned,
                                struct at_set *blocks, struct at_error *err)
{
    enum at_status st = at_goers_whole_row(o->q, t, o->target, ix, row, err);

    if (st == AT_OK && at_finds_add(&o->alone, row, o->target) != AT_OK)
        return out_of_memory(err);
    if (st != AT_OK)
        return st;
    owned->flow = &o->alone.found[o->alone.n - 1]->row;
    st = add_owned(o, row, at_index_flow_id(ix), vector, owned, err);
    return st == AT_OK && wants(o, owned)
               ? at_index_flow_blocks(ix, blocks, err)
               : st;
}

/* Those that at_parts_take() left out. */
static enum at_status add_all_alone(struct at_owners *o,
                                    const struct at_targets *t,
                                    struct at_index *ix,
                                    const struct at_set *flows,
                                    struct at_set *blocks, struct at_error *err)
{
    struct at_flow_row row;
    enum at_status st = at_index_flows_with(ix, flows,
                                            at_query_row_fields(o->q), err);

    while (st == AT_OK && (st = at_index_next_flow(ix, &row, err)) == AT_OK) {
        struct at_owned owned = {.number = AT_OWNED_ALONE};
        uint64_t vector;

        if (row.start_ns >= o->q->to_ns)
            return AT_OK; /* they come by start */
        owned.verdict = (uint8_t)at_judge_alone(o->q, t, o->target, &row,
                                                &vector);
        owned.matched = owned.verdict == AT_YES;
        if (at_flow_row_is_ip(&row) &&
            at_is_left_out(o->q, &row, (enum at_verdict)owned.verdict) &&
            (vector != 0 || owned.verdict != AT_NO))
            st = add_alone(o, t, ix, &row, vector, &owned, blocks, err);
    }
    return st < 0 ? st : AT_OK;
}

static enum at_status read_alone(struct at_owners *o,
                                 const struct at_targets *t,
                                 struct at_index *ix, struct at_set *blocks,
                                 struct at_error *err)
{
    struct at_set flows = {.n = 0};
    enum at_status st = at_query_name_rows(o->q, ix, err);

    if (st == AT_OK)
        st = at_plan_flows(o->q, ix, &flows, err);
    if (st == AT_OK)
        st = add_all_alone(o, t, ix, &flows, blocks, err);
    at_set_close(&flows);
    return st;
}

/* First fragments tell the flow of later ones, in whatever block. */
static bool reads_row(const struct at_owners *o, const struct at_flow_row *row)
{
    if (o->fragments && (row->marks & AT_DECODED_FRAGMENT) != 0)
        return true;
    return o->wanted == AT_WANT_MATCHING && !at_flow_row_is_ip(row) &&
           at_plan_judge_in(o->q, row, 0) != AT_NO;
}

/* Rows that are in no flow may hold packets that match without one. */
static enum at_status add_others(struct at_owners *o, struct at_index *ix,
                                 struct at_set *blocks, struct at_error *err)
{
    struct at_flow_row row;
    enum at_status st = at_index_flows_with(
        ix, NULL, at_query_fields(o->q) | AT_ROW_MARKS, err);

    while (st == AT_OK && (st = at_index_next_flow(ix, &row, err)) == AT_OK)
        if (reads_row(o, &row))
            st = at_index_flow_blocks(ix, blocks, err);
    return st < 0 ? st : AT_OK;
}

/* Makes the table, and collects the blocks of what is wanted; 'ix' is NULL if
 * there is none. */
static enum at_status gather(struct at_owners *o, const struct at_targets *t,
                             struct at_index *ix, struct at_set *blocks,
                             struct at_error *err)
{
    const bool outside = t->target[o->target].outside;
    enum at_status st = at_query_filter(o->q, 0, &o->stray, err);

    if (st == AT_OK)
        st = add_kept(o, err);
    if (st == AT_OK && ix != NULL)
        st = add_blocks_of_kept(o, ix, blocks, err);
    if (st == AT_OK && ix != NULL && !outside && o->wanted != AT_WANT_DOUBTS)
        st = read_alone(o, t, ix, blocks, err);
    if (st == AT_OK && hash_owned(o) != AT_OK)
        st = out_of_memory(err);
    if (st == AT_OK && ix != NULL &&
        (o->fragments || o->wanted == AT_WANT_MATCHING))
        st = add_others(o, ix, blocks, err);
    if (st == AT_OK && ix != NULL && o->fragments)
        st = at_resume_datagrams(o->datagrams, ix, find_goer, o, err);
    return st;
}

/* What is read to find the wanted; of all of it, or of all that matches. */
static struct at_selection selection_of(struct at_owners *o)
{
    struct at_selection sel = {.from_ns = o->q->from_ns,
                               .to_ns = o->q->to_ns,
                               .filter = o->q->filter,
                               .note = note,
                               .ctx = o};

    if (o->wanted == AT_WANT_FLOWS || o->fragments) {
        sel.filter = NULL;
        sel.from_ns = AT_TIME_MIN;
        sel.to_ns = AT_TIME_MAX;
    }
    return sel;
}

/* Gathers by the index, and finds the places in the trace. */
static enum at_status find_places(struct at_owners *o,
                                  const struct at_targets *t,
                                  struct at_place **place, size_t *n,
                                  struct at_error *err)
{
    const struct at_target *target = &t->target[o->target];
    struct at_selection sel;
    struct at_set blocks = {.n = 0};
    struct at_index *ix;
    enum at_status st = at_target_index(&ix, target, err);

    if (st != AT_OK)
        return st;
    o->sighting.key = at_index_info(ix)->tracking.key;
    if (at_set_open(&blocks, at_index_info(ix)->blocks, false) != AT_OK)
        st = out_of_memory(err);
    if (st == AT_OK)
        st = gather(o, t, ix, &blocks, err);
    sel = selection_of(o);
    if (st == AT_OK)
        st = at_index_places(ix, &blocks, sel.from_ns, sel.to_ns, place, n,
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
        if (wants(o, &o->owned[i]))
            return true;
    return o->wanted == AT_WANT_MATCHING;
}

/* Opens the trace where there may be something; *rd stays NULL if that is
 * nowhere. */
static enum at_status open_reader(struct at_owners *o,
                                  const struct at_targets *t,
                                  struct at_reader **rd, struct at_error *err)
{
    const struct at_target *target = &t->target[o->target];
    const bool indexed = target->index != NULL;
    struct at_place *place = NULL;
    size_t n = 0;
    enum at_status st = indexed ? find_places(o, t, &place, &n, err)
                                : gather(o, t, NULL, NULL, err);

    if (st == AT_OK && (indexed ? n > 0 : wants_any(o)))
        st = at_target_open(rd, o->q, target, err);
    if (st == AT_OK && *rd != NULL && indexed) {
        st = at_reader_select(*rd, place, n);
        if (st != AT_OK)
            at_error_copy(err, at_reader_error(*rd));
    }
    free(place);
    return st;
}

enum at_status at_owners_pick(struct at_owners *owners, enum at_wanted wanted,
                              const struct at_targets *t, struct at_reader **rd,
                              struct at_pick **pick, struct at_error *err)
{
    const struct at_target *target = &t->target[owners->target];
    struct at_selection sel;
    enum at_status st;

    *rd = NULL;
    *pick = NULL;
    owners->wanted = wanted;
    if (target->gone ||
        (target->outside && (wanted != AT_WANT_FLOWS || owners->kept == 0)))
        return AT_OK;
    st = open_reader(owners, t, rd, err);
    sel = selection_of(owners);
    if (st == AT_OK && *rd != NULL)
        st = at_pick_open(pick, *rd, owners->q->pool, &sel, err);
    if (st != AT_OK) {
        at_reader_close(*rd);
        *rd = NULL;
    }
    return st;
}
