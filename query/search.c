/*
 * search.c - the flows of a target of which a packet matches
 *
 * The postings of its index leave some rows, each row is judged, and where only
 * the packets can tell they are asked (doubts.h).  Without an index every
 * packet is tracked (scan.c).  Both give the same rows.
 */
#include <stdlib.h>

#include "doubts.h"
#include "errors.h"
#include "gist.h"
#include "goers.h"
#include "parts.h"
#include "pool.h"
#include "query.h"

struct at_search {
    const struct at_query *q;
    const struct at_targets *t;
    size_t target;
    struct at_index *ix;  /* NULL: there is none */
    size_t share, shares; /* of its rows, this one of so many; 0: of all */
    struct at_finds found;
    struct at_doubts doubts;
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
    const enum at_verdict v = !at_flow_row_is_ip(row) ? AT_NO
                              : terms ? judge_terms(s, row, alone)
                                      : at_plan_judge(s->q, row);
    enum at_status st = AT_OK;

    if (v == AT_NO)
        return AT_OK;
    if (v == AT_MAYBE || !alone)
        st = at_goers_whole_row(s->q, s->t, s->target, s->ix, row, err);
    if (st != AT_OK)
        return st;
    if (v == AT_MAYBE && terms)
        return keep_part(s, row, err);
    if (v == AT_MAYBE && at_index_flow_blocks(s->ix, &s->blocks, err) != AT_OK)
        return err->status;
    st = v == AT_YES ? at_finds_add(&s->found, row, s->target)
                     : at_doubts_add(&s->doubts, row);
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
    enum at_status st = at_index_flows_with(s->ix, NULL, AT_ROW_MARKS, err);

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
    st = places_of_doubts(s, &place, &n, err);
    if (st != AT_OK)
        return st;
    st = n > 0 ? at_target_check(s->ix, target, err) : AT_OK;
    if (st == AT_OK)
        st = at_doubts_ask(&s->doubts, s->q, target, s->ix, place, n, err);
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

/* ---- steps ----------------------------------------------------------- */

void at_search_close(struct at_search *s)
{
    if (s == NULL)
        return;
    at_finds_close(&s->found);
    at_set_close(&s->blocks);
    at_doubts_close(&s->doubts);
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
            st = at_query_name_rows(q, s->ix, err);
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
    enum at_status st = at_finds_move(&s->found, &other->found);

    if (st == AT_OK)
        st = at_doubts_move(&s->doubts, &other->doubts);
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
    const enum at_status st = at_finds_move(finds, &s->found);

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
        return at_scan_matches(s->q, s->t, s->target, finds, err);
    }
    st = settle_doubts(s, target, err);
    return st == AT_OK ? move_finds(s, finds, err) : st;
}
