/*
 * flows.c - the flows of which a packet matches
 *
 * With an index: the postings leave some rows, each row is judged, and where
 * only the packets can tell (a range of time that cuts a flow, a test of
 * bytes, fragments) the blocks of those flows are read and each matching
 * packet is put to its flow.  Without one: every packet is tracked, and the
 * flows of those that match are kept.  Both give the same rows.
 */
#include <stdlib.h>
#include <string.h>

#include "errors.h"
#include "gist.h"
#include "goers.h"
#include "parts.h"
#include "pool.h"
#include "query.h"
#include "sights.h"
#include "tracker.h"

/* ---- what was found -------------------------------------------------- */

enum at_status at_finds_add(struct at_finds *finds,
                            const struct at_flow_row *row, size_t target)
{
    if (finds->n == finds->room) {
        const size_t room = finds->room * 2 + 256;
        struct at_found *p = realloc(finds->found, room * sizeof(*p));

        if (p == NULL)
            return AT_ERR_MEMORY;
        finds->found = p;
        finds->room = room;
    }
    finds->found[finds->n++] = (struct at_found){*row, target};
    return AT_OK;
}

size_t at_finds_drop_whole(struct at_finds *finds, bool all)
{
    const size_t before = finds->n;

    finds->n = all ? 0 : finds->passed;
    for (size_t i = finds->n; i < before; i++)
        if (!all && !at_flow_row_is_whole(&finds->found[i].row))
            finds->found[finds->n++] = finds->found[i];
    finds->passed = finds->n;
    return before - finds->n;
}

void at_finds_close(struct at_finds *finds)
{
    free(finds->found);
    *finds = (struct at_finds){.n = 0};
}

static bool is_ip(const struct at_flow_row *row)
{
    return row->net == AT_NET_IPV4 || row->net == AT_NET_IPV6;
}

/* ---- flows that only their packets can decide ------------------------ */

struct doubt {
    struct at_flow_key key;
    struct at_flow_row row;
    bool matched;
};

struct doubts {
    struct doubt *doubt;
    size_t n, room;
    uint32_t *slot; /* a table by key: number + 1 of the first doubt, */
    uint32_t *next; /* and from each to the next of the same slot */
    size_t mask;
    bool fragments;              /* later ones are in some of the flows */
    struct at_sighting sighting; /* no seed: it holds what one question is of */
};

static void doubts_close(struct doubts *d)
{
    free(d->doubt);
    free(d->slot);
    free(d->next);
}

static enum at_status add_doubt(struct doubts *d, const struct at_flow_row *row)
{
    if (d->n == d->room) {
        const size_t room = d->room * 2 + 64;
        struct doubt *p = realloc(d->doubt, room * sizeof(*p));

        if (p == NULL)
            return AT_ERR_MEMORY;
        d->doubt = p;
        d->room = room;
    }
    d->doubt[d->n] = (struct doubt){.row = *row};
    at_flow_row_key(&d->doubt[d->n].key, row);
    d->fragments |= (row->marks & AT_DECODED_LATER) != 0;
    d->n++;
    return AT_OK;
}

static size_t doubt_slot(const struct doubts *d, const struct at_flow_key *key)
{
    return (size_t)at_flow_key_hash(key, d->n) & d->mask;
}

static enum at_status doubts_hash(struct doubts *d)
{
    for (d->mask = 1; d->mask < d->n * 2;)
        d->mask *= 2;
    d->slot = calloc(d->mask, sizeof(d->slot[0]));
    d->next = calloc(d->n + 1, sizeof(d->next[0]));
    d->mask--;
    if (d->slot == NULL || d->next == NULL)
        return AT_ERR_MEMORY;
    for (size_t i = d->n; i-- > 0;) {
        uint32_t *slot = &d->slot[doubt_slot(d, &d->doubt[i].key)];

        d->next[i] = *slot;
        *slot = (uint32_t)i + 1;
    }
    return AT_OK;
}

/* 1 + the number of the doubt that a packet with the flow's key is of; 0 if it
 * is of none. */
static uint32_t doubt_of(const struct doubts *d, const struct at_sight *sight)
{
    uint32_t i = d->slot[doubt_slot(d, &sight->key)];

    for (; i != 0; i = d->next[i - 1]) {
        const struct doubt *doubt = &d->doubt[i - 1];

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
    const struct doubts *d = ctx;
    uint32_t i = d->slot[doubt_slot(d, key)];

    while (i != 0 && (d->doubt[i - 1].row.continues != AT_GOES_ON ||
                      memcmp(&d->doubt[i - 1].key, key, sizeof(*key)) != 0))
        i = d->next[i - 1];
    return i;
}

/* Puts matching packets to the flows they are of, where those are in doubt. */
static enum at_status settle_matching(struct doubts *d, struct at_pick *pick,
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
static enum at_status put_fragments(const struct at_query *q, struct doubts *d,
                                    struct at_datagrams *datagrams,
                                    struct at_pick *pick, struct at_error *err)
{
    struct at_packet pkt;
    struct at_sight s;
    struct at_quote quote;
    enum at_status st = AT_OK;

    while (st == AT_OK && (st = at_pick_next(pick, &pkt, err)) == AT_OK) {
        uint32_t i;

        at_sight_take(&s, &quote, &pkt, &d->sighting);
        if ((s.flags & AT_DECODED_LATER) == 0 ||
            !at_datagrams_find(datagrams, &s, &i))
            i = doubt_of(d, &s);
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
                                       struct doubts *d, struct at_index *ix,
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

static enum at_status settle_all(const struct at_query *q, struct doubts *d,
                                 const struct at_target *target,
                                 struct at_index *ix,
                                 const struct at_place *place, size_t n,
                                 struct at_error *err)
{
    const struct at_selection matching = {
        .filter = q->filter, .from_ns = q->from_ns, .to_ns = q->to_ns};
    const struct at_selection all = {.from_ns = AT_TIME_MIN,
                                     .to_ns = AT_TIME_MAX};
    struct at_pick *pick = NULL;
    struct at_reader *rd;
    enum at_status st = at_target_open(&rd, q, target, err);

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

/* ---- without an index ------------------------------------------------ */

struct scan {
    const struct at_query *q;
    struct at_tracking rules;
    struct at_sighting sighting;
    struct at_tracker *tracker;
    struct at_names names; /* all that are asked for */
    size_t target;
    struct at_finds *finds;
};

static enum at_status scan_work(void *ctx, void *slot,
                                const struct at_batch *batch,
                                struct at_error *err)
{
    const struct scan *scan = ctx;
    const struct at_query *q = scan->q;
    struct at_sights *s = slot;
    struct at_packet pkt;
    size_t n = 0;
    const enum at_status st = at_sights_take(s, batch, &scan->sighting, err);

    for (size_t i = 0; i < batch->blocks && st == AT_OK; i++) {
        struct at_walk walk = at_walk_block(batch, i);

        for (; at_walk_next(&walk, &pkt); n++)
            s->sight[n].wanted = s->sight[n].ts_ns >= q->from_ns &&
                                 s->sight[n].ts_ns < q->to_ns &&
                                 at_filter_match(q->filter, &pkt);
    }
    return st;
}

static enum at_status scan_report(void *ctx, void *slot,
                                  const struct at_batch *batch,
                                  struct at_error *err)
{
    struct scan *scan = ctx;
    const struct at_sights *s = slot;
    const struct at_besides besides = at_sights_besides(s);

    (void)batch;
    if (at_tracker_add(scan->tracker, s->sight, s->n, &besides, 0) != AT_OK)
        return at_error_set(err, AT_ERR_MEMORY, "out of memory");
    if (scan->q->stop != NULL && scan->q->stop())
        return AT_END;
    return AT_OK;
}

static void scan_drop(void *ctx, void *slot)
{
    (void)ctx;
    at_sights_drop(slot);
}

static enum at_status keep_wanted(void *ctx, const struct at_flow *flow,
                                  const uint32_t *block, size_t blocks,
                                  uint32_t name)
{
    const struct scan *scan = ctx;
    struct at_flow_row row;

    (void)block;
    (void)blocks;
    if (!flow->wanted)
        return AT_OK;
    at_flow_row_of(&row, flow);
    if (!is_ip(&row))
        return AT_OK;
    if (scan->q->apps != NULL)
        at_app_of_row(scan->q->apps, &row);
    if (name != 0)
        row.name = at_shared_names_keep(scan->q->asked,
                                        at_names_text(&scan->names, name));
    return at_finds_add(scan->finds, &row, scan->target);
}

static enum at_status find_by_scan(const struct at_query *q,
                                   const struct at_targets *t, size_t number,
                                   struct at_finds *finds, struct at_error *err)
{
    struct scan scan = {.q = q, .target = number, .finds = finds};
    const struct at_run run = {
        .slot_bytes = sizeof(struct at_sights),
        .ctx = &scan,
        .work = scan_work,
        .report = scan_report,
        .drop = scan_drop,
    };
    struct at_reader *rd = NULL;
    enum at_status st = at_target_rules(&scan.rules, q, &t->target[number],
                                        err);

    if (st != AT_OK)
        return st;
    scan.sighting = (struct at_sighting){.seed = at_flow_key_seed(),
                                         .key = scan.rules.key,
                                         .names = q->tracking.names};
    at_names_init(&scan.names);
    scan.tracker = at_tracker_open(&scan.rules, scan.sighting.seed, keep_wanted,
                                   &scan);
    if (scan.tracker == NULL)
        return at_error_set(err, AT_ERR_MEMORY, "out of memory");
    if (q->tracking.names)
        at_tracker_name_by(scan.tracker, &scan.names);
    st = at_target_open(&rd, q, &t->target[number], err);
    if (st == AT_OK)
        st = at_run(rd, q->pool, &run, err);
    if (st == AT_OK)
        st = at_target_tell(q, &t->target[number], NULL, rd, err);
    if (at_tracker_finish(scan.tracker) != AT_OK && st == AT_OK)
        st = at_error_set(err, AT_ERR_MEMORY, "out of memory");
    if (q->forced != NULL)
        *q->forced += at_tracker_forced(scan.tracker);
    at_reader_close(rd);
    at_tracker_close(scan.tracker);
    if (q->asked != NULL)
        q->asked->names.lost += scan.names.lost;
    at_names_close(&scan.names);
    return st;
}

/* ---- with an index --------------------------------------------------- */

struct at_search {
    const struct at_query *q;
    const struct at_targets *t;
    size_t target;
    struct at_index *ix;  /* NULL: there is none */
    size_t share, shares; /* of its rows, this one of so many; 0: of all */
    struct at_finds found;
    struct doubts doubts;
    struct at_set blocks;  /* of the flows in doubt */
    struct at_parts parts; /* with flow terms: in place of both */
};

/* Flow terms are of the whole flow: of a part it can only be told that it does
 * not match whatever the rest is. */
static enum at_verdict judge_terms(const struct at_search *s,
                                   const struct at_flow_row *row, bool alone)
{
    const char *stream = s->t->target[s->target].stream;

    if (!alone)
        return at_plan_may_concern(s->q, row) ? AT_MAYBE : AT_NO;
    return at_plan_judge_in(s->q, row, at_query_vector(s->q, row, stream));
}

static enum at_status keep_part(struct at_search *s,
                                const struct at_flow_row *row,
                                struct at_error *err)
{
    const enum at_status st = at_parts_add(&s->parts, s->t, s->target, row,
                                           at_index_flow_id(s->ix));

    return st == AT_OK ? AT_OK : at_error_set(err, st, "out of memory");
}

/* Whether it is known that the flow has no other parts; then the row says so.
 */
static bool is_alone(const struct at_search *s, struct at_flow_row *row)
{
    if (s->q->goers != NULL)
        at_goers_end(s->q->goers, s->t, s->target, row);
    return s->q->alone || at_flow_row_is_whole(row);
}

static enum at_status judge_row(struct at_search *s, struct at_flow_row *row,
                                struct at_error *err)
{
    const bool terms = at_query_has_terms(s->q);
    const bool alone = is_alone(s, row);
    const enum at_verdict v = !is_ip(row) ? AT_NO
                              : terms     ? judge_terms(s, row, alone)
                                          : at_plan_judge(s->q, row);
    enum at_status st = AT_OK;

    if (v == AT_NO)
        return AT_OK;
    if (v == AT_MAYBE || !alone) {
        if (at_index_whole_flow(s->ix, row, err) != AT_OK)
            return err->status;
        is_alone(s, row);
    }
    if (v == AT_MAYBE && terms)
        return keep_part(s, row, err);
    if (v == AT_MAYBE && at_index_flow_blocks(s->ix, &s->blocks, err) != AT_OK)
        return err->status;
    st = v == AT_YES ? at_finds_add(&s->found, row, s->target)
                     : add_doubt(&s->doubts, row);
    return st == AT_OK ? AT_OK : at_error_set(err, st, "out of memory");
}

static enum at_status take_gist(struct at_search *s, struct at_gist *gist,
                                struct at_error *err)
{
    const enum at_status st = at_gist_take(gist, &s->found, s->q->alone, s->t);

    return st == AT_OK ? AT_OK : at_error_set(err, st, "out of memory");
}

static enum at_status judge_rows(struct at_search *s,
                                 const struct at_set *flows,
                                 struct at_gist *gist, struct at_error *err)
{
    enum { A_TIME = 1024 }; /* so that they are in the cache */
    struct at_flow_row row;
    enum at_status st = at_index_flows_with(s->ix, flows,
                                            at_query_row_fields(s->q), err);

    while (st == AT_OK &&
           (st = at_index_next_flow(s->ix, &row, err)) == AT_OK) {
        if (row.start_ns >= s->q->to_ns)
            break; /* they come by start */
        st = judge_row(s, &row, err);
        if (st == AT_OK && s->found.n - s->found.passed >= A_TIME)
            st = take_gist(s, gist, err);
    }
    return st < 0 ? st : take_gist(s, gist, err);
}

/* Adds the blocks of all flows that have fragments. */
static enum at_status add_fragments(struct at_search *s, struct at_error *err)
{
    struct at_flow_row row;
    enum at_status st = at_index_flows_with(s->ix, NULL,
                                            AT_ROW_MARKS | AT_ROW_BLOCKS, err);

    while (st == AT_OK && (st = at_index_next_flow(s->ix, &row, err)) == AT_OK)
        if ((row.marks & AT_DECODED_FRAGMENT) != 0)
            st = at_index_flow_blocks(s->ix, &s->blocks, err);
    return st < 0 ? st : AT_OK;
}

static enum at_status places_of_doubts(struct at_search *s,
                                       struct at_place **place, size_t *n,
                                       struct at_error *err)
{
    enum at_status st;

    if (!s->doubts.fragments)
        return at_index_places(s->ix, &s->blocks, s->q->from_ns, s->q->to_ns,
                               place, n, err);
    st = add_fragments(s, err);
    return st != AT_OK ? st
                       : at_index_places(s->ix, &s->blocks, AT_TIME_MIN,
                                         AT_TIME_MAX, place, n, err);
}

/* Packets that are gone cannot be asked: the flow may match. */
static enum at_status find_unsure(struct at_search *s, struct at_error *err)
{
    enum at_status st = AT_OK;

    for (size_t i = 0; i < s->doubts.n && st == AT_OK; i++)
        st = at_finds_add(&s->found, &s->doubts.doubt[i].row, s->target);
    if (s->q->unsure != NULL)
        *s->q->unsure += s->doubts.n;
    return st == AT_OK ? AT_OK : at_error_set(err, st, "out of memory");
}

static enum at_status settle_doubts(struct at_search *s,
                                    const struct at_target *target,
                                    struct at_error *err)
{
    struct at_place *place;
    size_t n;
    enum at_status st;

    if (target->gone)
        return find_unsure(s, err);
    if (s->doubts.n == 0)
        return at_target_tell(s->q, target, s->ix, NULL, err);
    s->doubts.sighting.key = at_index_info(s->ix)->tracking.key;
    if (doubts_hash(&s->doubts) != AT_OK)
        return at_error_set(err, AT_ERR_MEMORY, "out of memory");
    st = places_of_doubts(s, &place, &n, err);
    if (st != AT_OK)
        return st;
    st = n > 0 ? at_target_check(s->ix, target, err) : AT_OK;
    if (st == AT_OK)
        st = settle_all(s->q, &s->doubts, target, s->ix, place, n, err);
    free(place);
    for (size_t i = 0; i < s->doubts.n && st == AT_OK; i++)
        if (s->doubts.doubt[i].matched)
            st = at_finds_add(&s->found, &s->doubts.doubt[i].row, s->target);
    return st;
}

/* Whether the index cannot tell which flow some later fragments are of. */
static bool is_beyond(const struct at_search *s)
{
    return s->doubts.fragments && at_index_info(s->ix)->lost_datagrams > 0;
}

/* ---- with an index --------------------------------------------------- */

void at_search_close(struct at_search *s)
{
    if (s == NULL)
        return;
    at_finds_close(&s->found);
    at_set_close(&s->blocks);
    doubts_close(&s->doubts);
    at_parts_close(&s->parts);
    at_index_close(s->ix);
    free(s);
}

enum at_status at_search_open(struct at_search **out, const struct at_query *q,
                              const struct at_targets *t, size_t number,
                              struct at_error *err)
{
    struct at_search *s = calloc(1, sizeof(*s));
    enum at_status st = AT_OK;

    *out = NULL;
    if (s == NULL)
        return at_error_set(err, AT_ERR_MEMORY, "out of memory");
    *s = (struct at_search){.q = q, .t = t, .target = number};
    if (t->target[number].index != NULL && !t->target[number].outside) {
        st = at_target_index(&s->ix, &t->target[number], err);
        if (st == AT_OK)
            st = at_index_name_apps(s->ix, q->names, err);
        if (st == AT_OK && q->tracking.names)
            st = at_index_want_names(s->ix, q->asked, err);
    }
    if (st != AT_OK) {
        at_search_close(s);
        return st;
    }
    *out = s;
    return AT_OK;
}

size_t at_search_shares(const struct at_search *s)
{
    enum { WORTH_IT = 32768 };
    const size_t threads = at_pool_threads(s->q->pool);
    const size_t most = s->ix != NULL && !at_plan_narrows(s->q)
                            ? at_index_info(s->ix)->rows / WORTH_IT
                            : 0;

    return most < 2 ? 1 : most < threads ? most : threads;
}

void at_search_share(struct at_search *s, size_t share, size_t shares)
{
    s->share = share;
    s->shares = shares;
}

enum at_status at_search_join(struct at_search *s, struct at_search *other,
                              struct at_error *err)
{
    enum at_status st = AT_OK;

    for (size_t i = 0; i < other->found.n && st == AT_OK; i++)
        st = at_finds_add(&s->found, &other->found.found[i].row, s->target);
    for (size_t i = 0; i < other->doubts.n && st == AT_OK; i++)
        st = add_doubt(&s->doubts, &other->doubts.doubt[i].row);
    if (st == AT_OK)
        st = at_parts_move(&s->parts, &other->parts, s->t);
    at_set_or(&s->blocks, &other->blocks);
    return st == AT_OK ? AT_OK : at_error_set(err, st, "out of memory");
}

enum at_status at_search_rows(struct at_search *s, struct at_gist *gist,
                              struct at_error *err)
{
    struct at_set flows = {.n = 0};
    enum at_status st;

    if (s->ix == NULL)
        return AT_OK;
    st = at_plan_flows(s->q, s->ix, &flows, err);
    if (st == AT_OK && s->shares > 1)
        at_set_bound(&flows, flows.n * s->share / s->shares,
                     flows.n * (s->share + 1) / s->shares);
    if (st == AT_OK)
        st = at_set_open(&s->blocks, at_index_info(s->ix)->blocks, false);
    if (st == AT_OK)
        st = judge_rows(s, &flows, gist, err);
    at_set_close(&flows);
    return st;
}

static enum at_status move_finds(struct at_search *s, struct at_finds *finds,
                                 struct at_error *err)
{
    enum at_status st = AT_OK;

    if (finds->n == 0) { /* nothing to put it behind */
        at_finds_close(finds);
        *finds = s->found;
        s->found = (struct at_finds){.n = 0};
        return AT_OK;
    }
    for (size_t i = 0; i < s->found.n && st == AT_OK; i++)
        st = at_finds_add(finds, &s->found.found[i].row, s->target);
    return st == AT_OK ? AT_OK : at_error_set(err, st, "out of memory");
}

static enum at_status settle_terms(struct at_search *s, struct at_finds *finds,
                                   struct at_parts *parts, struct at_error *err)
{
    if (s->ix == NULL)
        return at_parts_take(parts, s->q, s->t, s->target, err);
    if (at_parts_move(parts, &s->parts, s->t) != AT_OK)
        return at_error_set(err, AT_ERR_MEMORY, "out of memory");
    return move_finds(s, finds, err);
}

enum at_status at_search_settle(struct at_search *s, struct at_gist *gist,
                                struct at_finds *finds, struct at_parts *parts,
                                struct at_error *err)
{
    const struct at_target *target = &s->t->target[s->target];
    enum at_status st;

    if (target->outside)
        return AT_OK;
    if (at_query_has_terms(s->q))
        return settle_terms(s, finds, parts, err);
    if (s->ix == NULL || (!target->gone && is_beyond(s))) {
        at_gist_close(gist);
        return find_by_scan(s->q, s->t, s->target, finds, err);
    }
    st = settle_doubts(s, target, err);
    return st == AT_OK ? move_finds(s, finds, err) : st;
}

enum at_status at_scan_flows(const struct at_query *q,
                             const struct at_targets *t, size_t number,
                             struct at_finds *finds, struct at_error *err)
{
    struct at_query all = *q;
    struct at_error none;
    enum at_status st = at_filter_open(&all.filter, "", 0, &none);

    if (st != AT_OK)
        return at_error_copy(err, &none);
    all.from_ns = AT_TIME_MIN;
    all.to_ns = AT_TIME_MAX;
    st = find_by_scan(&all, t, number, finds, err);
    at_filter_close(all.filter);
    return st;
}

/* ---- all that was found ----------------------------------------------- */

/* An order of flows that begin at the same time, whatever found them. */
static int by_ends(const struct at_flow_row *x, const struct at_flow_row *y)
{
    int order = x->proto - y->proto;

    if (order == 0)
        order = memcmp(x->src, y->src, sizeof(x->src));
    if (order == 0)
        order = memcmp(x->dst, y->dst, sizeof(x->dst));
    if (order == 0)
        order = x->sport - y->sport;
    if (order == 0)
        order = x->dport - y->dport;
    if (order == 0)
        order = x->vlan - y->vlan;
    if (order == 0)
        order = (int)x->mpls - (int)y->mpls;
    return order != 0 ? order : x->inner - y->inner;
}

static int by_start(const void *a, const void *b)
{
    const struct at_found *x = a, *y = b;

    if (x->row.start_ns != y->row.start_ns)
        return x->row.start_ns < y->row.start_ns ? -1 : 1;
    if (x->target != y->target)
        return x->target < y->target ? -1 : 1;
    return by_ends(&x->row, &y->row);
}

/* As they are found in one index. */
static bool are_sorted(const struct at_finds *finds)
{
    for (size_t i = 1; i < finds->n; i++)
        if (by_start(&finds->found[i - 1], &finds->found[i]) > 0)
            return false;
    return true;
}

void at_finds_sort(struct at_finds *finds)
{
    if (!are_sorted(finds))
        qsort(finds->found, finds->n, sizeof(finds->found[0]), by_start);
}

enum at_status at_finds_finish(struct at_finds *finds, const struct at_query *q,
                               const struct at_targets *t, struct at_error *err)
{
    return q->alone ? AT_OK : at_parts_join_finds(finds, q, t, err);
}
