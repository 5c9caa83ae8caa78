/*
 * parts.c - flows as parts: a row of each segment that a flow lies in
 */
#include "parts.h"

#include <stdlib.h>
#include <string.h>

#include "errors.h"
#include "goers.h"

enum { SYN = 2 };

static enum at_status out_of_memory(struct at_error *err)
{
    return at_error_set(err, AT_ERR_MEMORY, "out of memory");
}

void at_parts_close(struct at_parts *p)
{
    free(p->part);
    free(p->flow);
    *p = (struct at_parts){.n = 0};
}

enum at_status at_parts_add(struct at_parts *p, const struct at_targets *t,
                            size_t target, const struct at_flow_row *row,
                            uint32_t id)
{
    struct at_part *part;

    if (p->n == p->room) {
        const size_t room = p->room * 2 + 256;

        part = realloc(p->part, room * sizeof(*part));
        if (part == NULL)
            return AT_ERR_MEMORY;
        p->part = part;
        p->room = room;
    }
    part = &p->part[p->n];
    *part = (struct at_part){.row = *row,
                             .target = target,
                             .lane = t->target[target].lane,
                             .number = p->n++,
                             .id = id};
    part->source_is_hi = at_flow_row_key(&part->key, row);
    return AT_OK;
}

enum at_status at_parts_move(struct at_parts *p, const struct at_parts *from,
                             const struct at_targets *t)
{
    enum at_status st = AT_OK;

    for (size_t i = 0; i < from->n && st == AT_OK; i++)
        st = at_parts_add(p, t, from->part[i].target, &from->part[i].row,
                          from->part[i].id);
    return st;
}

/* ---- joining --------------------------------------------------------- */

static int by_flow(const void *a, const void *b)
{
    const struct at_part *x = a, *y = b;
    const int order = memcmp(&x->key, &y->key, sizeof(x->key));

    if (x->lane != y->lane)
        return x->lane < y->lane ? -1 : 1;
    if (order != 0)
        return order;
    if (x->target != y->target)
        return x->target < y->target ? -1 : 1;
    if (x->row.start_ns != y->row.start_ns)
        return x->row.start_ns < y->row.start_ns ? -1 : 1;
    return x->number < y->number ? -1 : x->number > y->number;
}

/*
 * Whether 'b', of a later target, goes on with the flow so far, of which 'a'
 * was the last part.  Where it is not written down, the rules of flows tell: a
 * row has the flags of all its packets, and where its source sent a SYN, the
 * SYN came first.
 */
static bool goes_on(const struct at_flow_row *flow, const struct at_part *a,
                    const struct at_part *b)
{
    if (a->lane != b->lane || a->target == b->target ||
        memcmp(&a->key, &b->key, sizeof(a->key)) != 0)
        return false;
    if (flow->continued != AT_GOES_ON_UNKNOWN &&
        b->row.continues != AT_GOES_ON_UNKNOWN)
        return flow->continued == AT_GOES_ON && b->row.continues == AT_GOES_ON;
    return b->row.start_ns - flow->end_ns <=
               at_timeout_of(&at_tracking_default.timeouts,
                             (enum at_flow_state)flow->state, flow->proto) &&
           !at_flow_begins_anew((enum at_flow_state)flow->state,
                                b->row.tcp_flags[0] & SYN);
}

enum at_status at_parts_join(struct at_parts *p, const struct at_targets *t)
{
    const struct at_part *first = NULL; /* of the flow so far */

    free(p->flow);
    p->flows = 0;
    p->flow = malloc((p->n + 1) * sizeof(p->flow[0]));
    if (p->flow == NULL)
        return AT_ERR_MEMORY;
    if (p->n > 0) /* otherwise there is no array */
        qsort(p->part, p->n, sizeof(p->part[0]), by_flow);
    for (size_t i = 0; i < p->n; i++) {
        struct at_part *part = &p->part[i];
        struct at_joined *flow = &p->flow[p->flows - (p->flows > 0)];

        if (first != NULL && goes_on(&flow->row, part - 1, part)) {
            at_flow_row_join(&flow->row, &part->row,
                             first->source_is_hi != part->source_is_hi);
        } else {
            first = part;
            flow = &p->flow[p->flows++];
            *flow = (struct at_joined){.row = part->row};
        }
        flow->target = part->target;
        part->flow = (uint32_t)(p->flows - 1);
    }
    for (size_t i = 0; i < p->flows; i++)
        at_flow_row_end_silent(&p->flow[i].row,
                               t->target[p->flow[i].target].stream_last_ns);
    return AT_OK;
}

/* Takes out what may be one of several parts. */
static enum at_status take_parts(struct at_parts *parts, struct at_finds *finds,
                                 const struct at_goers *g,
                                 const struct at_targets *t)
{
    enum at_status st = AT_OK;
    size_t left = 0;

    for (size_t i = 0; i < finds->n && st == AT_OK; i++) {
        struct at_found *f = finds->found[i];

        if (g != NULL)
            at_goers_end(g, t, f->target, &f->row);
        if (at_flow_row_is_whole(&f->row))
            at_finds_keep(finds, i, &left);
        else
            st = at_parts_add(parts, t, f->target, &f->row, 0);
    }
    finds->n = left;
    return st;
}

enum at_status at_finds_join(struct at_finds *finds, const struct at_query *q,
                             const struct at_targets *t, struct at_error *err)
{
    struct at_parts parts = {.n = 0};
    struct at_goers *g = NULL;
    enum at_status st = AT_OK;

    if (q->alone)
        return AT_OK;
    if (q->goers == NULL && !q->beyond) /* with them, it is done already */
        st = at_goers_of(&g, finds, t, err);
    if (st == AT_OK)
        st = take_parts(&parts, finds, g, t);
    at_goers_close(g);
    if (st == AT_OK)
        st = at_parts_join(&parts, t);
    if (st == AT_OK && q->beyond)
        st = at_parts_reach(&parts, q, t, err);
    else if (st != AT_OK)
        at_error_set(err, st, "out of memory");
    for (size_t i = 0; i < parts.flows && st != AT_ERR_MEMORY; i++)
        if (at_finds_add(finds, &parts.flow[i].row, parts.flow[i].target) !=
            AT_OK)
            st = out_of_memory(err);
    at_parts_close(&parts);
    return st;
}

/* ---- taking ---------------------------------------------------------- */

enum at_verdict at_judge_alone(const struct at_query *q,
                               const struct at_targets *t, size_t number,
                               struct at_flow_row *row, uint64_t *vector)
{
    if (q->goers != NULL)
        at_goers_end(q->goers, t, number, row);
    *vector = at_query_vector(q, row, t->target[number].stream);
    return at_plan_judge_in(q, row, *vector);
}

bool at_is_left_out(const struct at_query *q, const struct at_flow_row *row,
                    enum at_verdict verdict)
{
    const bool alone = q->alone || at_flow_row_is_whole(row);

    return !at_flow_row_is_ip(row) ||
           (alone && (verdict != AT_MAYBE || !q->whole_flows));
}

static enum at_status take_rows(struct at_parts *p, const struct at_query *q,
                                const struct at_targets *t, size_t number,
                                struct at_index *ix, const struct at_set *flows,
                                struct at_error *err)
{
    struct at_flow_row row;
    enum at_status st = at_index_flows_with(ix, flows, at_query_row_fields(q),
                                            err);

    while (st == AT_OK && (st = at_index_next_flow(ix, &row, err)) == AT_OK) {
        uint64_t vector;
        enum at_verdict v;

        if (row.start_ns >= q->to_ns && !q->whole_flows)
            return AT_OK; /* they come by start */
        v = at_judge_alone(q, t, number, &row, &vector);
        if (at_is_left_out(q, &row, v) || !at_plan_may_concern(q, &row))
            continue;
        st = at_goers_whole_row(q, t, number, ix, &row, err);
        if (st == AT_OK &&
            at_parts_add(p, t, number, &row, at_index_flow_id(ix)) != AT_OK)
            return out_of_memory(err);
    }
    return st < 0 ? st : AT_OK;
}

static enum at_status take_by_index(struct at_parts *p,
                                    const struct at_query *q,
                                    const struct at_targets *t, size_t number,
                                    struct at_error *err)
{
    const struct at_target *target = &t->target[number];
    struct at_set flows = {.n = 0};
    struct at_index *ix;
    enum at_status st = at_target_index(&ix, target, err);

    if (st != AT_OK)
        return st;
    st = at_query_name_rows(q, ix, err);
    if (st == AT_OK)
        st = at_plan_flows(q, ix, &flows, err);
    if (st == AT_OK)
        st = take_rows(p, q, t, number, ix, &flows, err);
    at_set_close(&flows);
    at_index_close(ix);
    return st;
}

/* What has no other parts, and no flow term is true of it, is as if it were of
 * no flow: it need not be kept for its packets. */
static bool may_concern(const struct at_query *q, const struct at_flow_row *row,
                        const char *stream)
{
    if ((q->alone || at_flow_row_is_whole(row)) &&
        at_query_vector(q, row, stream) == 0 &&
        at_plan_judge_in(q, row, 0) == AT_NO)
        return false;
    return at_plan_may_concern(q, row);
}

/* Every flow of the file, and then those that may be of use. */
static enum at_status take_by_scan(struct at_parts *p, const struct at_query *q,
                                   const struct at_targets *t, size_t number,
                                   struct at_error *err)
{
    struct at_finds all = {.n = 0};
    enum at_status st = at_scan_flows(q, t, number, &all, err);

    for (size_t i = 0; i < all.n; i++)
        if (may_concern(q, &all.found[i]->row, t->target[number].stream) &&
            at_parts_add(p, t, number, &all.found[i]->row, 0) != AT_OK)
            st = out_of_memory(err);
    at_finds_close(&all);
    return st;
}

enum at_status at_parts_take(struct at_parts *p, const struct at_query *q,
                             const struct at_targets *t, size_t number,
                             struct at_error *err)
{
    if (t->target[number].outside)
        return AT_OK; /* at_parts_reach() comes there */
    return t->target[number].index != NULL ? take_by_index(p, q, t, number, err)
                                           : take_by_scan(p, q, t, number, err);
}

/* ---- judging --------------------------------------------------------- */

static int by_target(const void *a, const void *b)
{
    const struct at_part *x = a, *y = b;

    if (x->target != y->target)
        return x->target < y->target ? -1 : 1;
    return x->number < y->number ? -1 : x->number > y->number;
}

enum at_status at_parts_judge(struct at_parts *p, const struct at_query *q,
                              const struct at_targets *t, struct at_error *err)
{
    enum at_status st = AT_OK;

    if (at_parts_join(p, t) != AT_OK)
        return out_of_memory(err);
    if (q->beyond)
        st = at_parts_reach(p, q, t, err);
    if (st == AT_ERR_MEMORY)
        return st;
    for (size_t i = 0; i < p->flows; i++)
        p->flow[i].vector = at_query_vector(
            q, &p->flow[i].row, t->target[p->flow[i].target].stream);
    for (size_t i = 0; i < p->n; i++) {
        struct at_joined *flow = &p->flow[p->part[i].flow];

        p->part[i].verdict = (uint8_t)at_plan_judge_in(q, &p->part[i].row,
                                                       flow->vector);
        flow->matched |= p->part[i].verdict == AT_YES;
    }
    if (p->n > 0)
        qsort(p->part, p->n, sizeof(p->part[0]), by_target);
    return st;
}

/* Packets that are gone cannot be asked: the flows may match. */
static void settle_gone(struct at_parts *p, const struct at_query *q,
                        size_t number)
{
    for (size_t i = 0; i < p->n; i++) {
        struct at_joined *flow = &p->flow[p->part[i].flow];

        if (p->part[i].target != number || p->part[i].verdict != AT_MAYBE ||
            flow->matched)
            continue;
        flow->matched = true;
        if (q->unsure != NULL)
            ++*q->unsure;
    }
}

enum at_status at_parts_settle(struct at_parts *p, const struct at_query *q,
                               const struct at_targets *t, size_t number,
                               struct at_error *err)
{
    struct at_owners *owners;
    struct at_reader *rd = NULL;
    struct at_pick *pick = NULL;
    struct at_packet pkt;
    const struct at_owned *owned;
    enum at_status st;

    if (t->target[number].outside)
        return AT_OK; /* no packet of it is in the range */
    if (t->target[number].gone) {
        settle_gone(p, q, number);
        return AT_OK;
    }
    st = at_owners_open(&owners, q, p, number, err);
    if (st != AT_OK)
        return st;
    st = at_owners_pick(owners, AT_WANT_DOUBTS, t, &rd, &pick, err);
    while (st == AT_OK && pick != NULL &&
           (st = at_owners_next(owners, pick, &pkt, &owned, err)) == AT_OK)
        if (owned != NULL)
            p->flow[owned->number].matched = true;
    at_pick_close(pick);
    at_reader_close(rd);
    at_owners_close(owners);
    return st < 0 ? st : AT_OK;
}

enum at_status at_parts_finds(const struct at_parts *p, struct at_finds *finds)
{
    enum at_status st = AT_OK;

    for (size_t i = 0; i < p->flows && st == AT_OK; i++)
        if (p->flow[i].matched)
            st = at_finds_add(finds, &p->flow[i].row, p->flow[i].target);
    return st;
}
