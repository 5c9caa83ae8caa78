/*
 * packets.c - the matching packets, by time across streams
 *
 * The targets of a stream are opened one after the other.  Of an indexed one
 * the blocks are read that hold a flow which may match; every packet of them
 * is then asked by libpcap, so the index can only leave blocks out, never
 * change an answer.  What the indexes of the next targets say is found while
 * packets of this one are read.
 */
#include <stdlib.h>

#include "errors.h"
#include "explain.h"
#include "parts.h"
#include "pool.h"
#include "query.h"

/* One stream: the target that is open, and what follows. */
struct lane {
    const struct at_query *q;
    const struct at_targets *t;
    const struct at_parts *parts;
    size_t next, end; /* targets */
    struct at_reader *rd;
    struct at_pick *pick;
    struct at_owners *owners;     /* where there are parts */
    const struct at_owned *owned; /* of the packet given out last */
    struct at_index *ix;          /* of the target that is open; may be NULL */
    struct at_lane *plans;        /* of the next targets that have an index */
    size_t planned;               /* targets up to this one */
};

/* Where in a target there may be packets. */
struct plan {
    size_t target;
    struct at_index *ix;
    struct at_place *place;
    size_t n;
    enum at_status status;
    struct at_error err;
};

struct at_packets {
    struct lane *lane;
    size_t lanes;
    size_t from; /* lane of the packet given out last */
    struct at_merge *merge;
};

/* ---- blocks ---------------------------------------------------------- */

/* The blocks of all flows in the set that may match. */
static enum at_status wanted_blocks(const struct at_query *q,
                                    struct at_index *ix,
                                    const struct at_set *flows,
                                    struct at_set *blocks, struct at_error *err)
{
    struct at_flow_row row;
    enum at_status st = at_index_flows_with(ix, flows, at_query_fields(q), err);

    while (st == AT_OK && (st = at_index_next_flow(ix, &row, err)) == AT_OK) {
        if (row.start_ns >= q->to_ns)
            return AT_OK;
        if (at_plan_judge(q, &row) != AT_NO)
            st = at_index_flow_blocks(ix, blocks, err);
    }
    return st < 0 ? st : AT_OK;
}

/* An expression that every packet matches needs no look at the flows. */
static bool matches_all(const struct at_query *q)
{
    const struct at_expr_node *root = at_expr_root(q->expr);

    return root->op == AT_EXPR_LEAF && root->leaf == AT_LEAF_TRUE;
}

enum { SAMPLE = 256, DENSE = 8 };

/*
 * Whether one in 8 flows of a sample is in the set and may match.  A block has
 * packets of so many flows that then hardly one could be left out, and to find
 * it costs more than to read it.
 */
static enum at_status look_dense(const struct at_query *q, struct at_index *ix,
                                 const struct at_set *flows, bool *dense,
                                 struct at_error *err)
{
    const size_t rows = at_index_info(ix)->rows;
    struct at_set sample;
    struct at_flow_row row;
    size_t match = 0;
    enum at_status st;

    if (rows < 16 * SAMPLE || at_set_count(flows) < rows / DENSE)
        return AT_OK;
    st = at_set_open(&sample, rows + 1, false);
    if (st != AT_OK)
        return at_error_set(err, st, "out of memory");
    for (size_t i = 0; i < SAMPLE; i++)
        at_set_add(&sample, 1 + i * rows / SAMPLE);
    at_set_and(&sample, flows);
    st = at_index_flows_with(ix, &sample, at_query_fields(q), err);
    while (st == AT_OK && (st = at_index_next_flow(ix, &row, err)) == AT_OK)
        match += at_plan_judge(q, &row) != AT_NO;
    *dense = match >= SAMPLE / DENSE;
    at_set_close(&sample);
    return st < 0 ? st : AT_OK;
}

/* The blocks to be read; the caller closes the set. */
static enum at_status find_blocks(const struct at_query *q, struct at_index *ix,
                                  struct at_set *blocks, struct at_error *err)
{
    const uint32_t n = at_index_info(ix)->blocks;
    struct at_set flows = {.n = 0};
    bool dense = matches_all(q);
    enum at_status st = dense ? AT_OK : at_plan_flows(q, ix, &flows, err);

    if (st == AT_OK && !dense)
        st = look_dense(q, ix, &flows, &dense, err);
    if (st == AT_OK && at_set_open(blocks, n, dense) != AT_OK)
        st = at_error_set(err, AT_ERR_MEMORY, "out of memory");
    if (st == AT_OK && !dense)
        st = wanted_blocks(q, ix, &flows, blocks, err);
    at_set_close(&flows);
    return st;
}

static enum at_status find_places(const struct at_query *q, struct at_index *ix,
                                  struct at_place **place, size_t *n,
                                  struct at_error *err)
{
    struct at_set blocks = {.n = 0};
    enum at_status st = find_blocks(q, ix, &blocks, err);

    if (st == AT_OK)
        st = at_index_places(ix, &blocks, q->from_ns, q->to_ns, place, n, err);
    at_set_close(&blocks);
    return st;
}

/* ---- plans ----------------------------------------------------------- */

static void make_plan(void *ctx, void *slot)
{
    const struct lane *lane = ctx;
    struct plan *plan = slot;
    const struct at_target *target = &lane->t->target[plan->target];

    plan->status = at_target_index(&plan->ix, target, &plan->err);
    if (plan->status == AT_OK)
        plan->status = find_places(lane->q, plan->ix, &plan->place, &plan->n,
                                   &plan->err);
    if (plan->status == AT_OK && plan->n > 0)
        plan->status = at_target_check(plan->ix, target, &plan->err);
}

static void drop_plan(void *ctx, void *slot)
{
    struct plan *plan = slot;

    (void)ctx;
    at_index_close(plan->ix);
    free(plan->place);
    *plan = (struct plan){.n = 0};
}

static bool is_planned(const struct at_target *target)
{
    return target->index != NULL && !target->gone;
}

static void plan_ahead(struct lane *lane)
{
    struct plan *plan;

    for (; lane->planned < lane->end; lane->planned++) {
        if (!is_planned(&lane->t->target[lane->planned]))
            continue;
        plan = at_lane_free_slot(lane->plans);
        if (plan == NULL)
            break;
        plan->target = lane->planned;
        at_lane_submit(lane->plans);
    }
}

/* The plan of the next target that has one, which the caller drops. */
static enum at_status take_plan(struct lane *lane, struct plan *out,
                                struct at_error *err)
{
    struct plan *plan;

    if (lane->plans == NULL)
        lane->plans = at_lane_open(lane->q->pool, make_plan, lane,
                                   sizeof(struct plan),
                                   at_pool_threads(lane->q->pool) + 1, false);
    if (lane->plans == NULL)
        return at_error_set(err, AT_ERR_MEMORY, "out of memory");
    plan_ahead(lane);
    plan = at_lane_wait(lane->plans);
    *out = *plan;
    *plan = (struct plan){.n = 0};
    at_lane_retire(lane->plans);
    plan_ahead(lane);
    return out->status == AT_OK ? AT_OK : at_error_copy(err, &out->err);
}

/* ---- targets --------------------------------------------------------- */

/* Opens the trace at the places of the plan; there may be none. */
static enum at_status open_places(struct lane *lane, const struct plan *plan,
                                  struct at_error *err)
{
    const struct at_target *target = &lane->t->target[plan->target];
    enum at_status st;

    if (lane->q->explained != NULL)
        at_explain_places(&lane->q->explained[plan->target], plan->place,
                          plan->n);
    if (plan->n == 0)
        return AT_OK;
    st = at_target_open(&lane->rd, lane->q, target, err);
    if (st != AT_OK)
        return st;
    st = at_reader_select(lane->rd, plan->place, plan->n);
    return st == AT_OK ? AT_OK : at_error_copy(err, at_reader_error(lane->rd));
}

static enum at_status open_planned(struct lane *lane, struct at_error *err)
{
    struct plan plan = {.n = 0};
    enum at_status st = take_plan(lane, &plan, err);

    lane->ix = plan.ix;
    plan.ix = NULL;
    if (st == AT_OK)
        st = open_places(lane, &plan, err);
    drop_plan(NULL, &plan);
    return st;
}

static void close_target(struct lane *lane)
{
    at_pick_close(lane->pick);
    at_reader_close(lane->rd);
    at_owners_close(lane->owners);
    lane->owners = NULL;
    at_index_close(lane->ix);
    lane->ix = NULL;
    lane->pick = NULL;
    lane->rd = NULL;
}

static enum at_status open_owners(struct lane *lane, struct at_error *err)
{
    const enum at_status st = at_owners_open(&lane->owners, lane->q,
                                             lane->parts, lane->next++, err);

    if (st != AT_OK)
        return st;
    return at_owners_pick(
        lane->owners, lane->q->whole_flows ? AT_WANT_FLOWS : AT_WANT_MATCHING,
        lane->t, &lane->rd, &lane->pick, err);
}

static enum at_status open_target(struct lane *lane, struct at_error *err)
{
    const struct at_target *target = &lane->t->target[lane->next++];
    const struct at_selection sel = {.filter = lane->q->filter,
                                     .from_ns = lane->q->from_ns,
                                     .to_ns = lane->q->to_ns};
    enum at_status st = AT_OK;

    if (is_planned(target))
        st = open_planned(lane, err);
    else if (!target->gone)
        st = at_target_open(&lane->rd, lane->q, target, err);
    if (st == AT_OK && lane->rd == NULL)
        st = at_target_tell(lane->q, target, lane->ix, NULL, err);
    else if (st == AT_OK)
        st = at_pick_open(&lane->pick, lane->rd, lane->q->pool, &sel, err);
    if (st != AT_OK)
        close_target(lane);
    return st;
}

static enum at_status lane_next(void *ctx, struct at_packet *pkt,
                                struct at_error *err)
{
    struct lane *lane = ctx;

    for (;;) {
        enum at_status st = AT_END;

        if (lane->owners != NULL && lane->pick != NULL)
            st = at_owners_next(lane->owners, lane->pick, pkt, &lane->owned,
                                err);
        else if (lane->pick != NULL)
            st = at_pick_next(lane->pick, pkt, err);
        if (st == AT_OK)
            return AT_OK;
        /* Who owns packets was found by reading: the holes are known. */
        if (lane->pick != NULL && lane->owners == NULL && st == AT_END)
            st = at_target_tell(lane->q, &lane->t->target[lane->next - 1],
                                lane->ix, lane->rd, err);
        close_target(lane);
        if (st < 0)
            return st;
        if (lane->next == lane->end)
            return AT_END;
        st = lane->parts != NULL ? open_owners(lane, err)
                                 : open_target(lane, err);
        if (st != AT_OK) {
            close_target(lane);
            return st;
        }
    }
}

/* ---- all of them ----------------------------------------------------- */

static enum at_status open_lanes(struct at_packets *p, const struct at_query *q,
                                 const struct at_targets *t,
                                 const struct at_parts *parts,
                                 struct at_error *err)
{
    struct at_merge_source *source = calloc(t->lanes + 1, sizeof(*source));
    enum at_status st;

    p->lane = calloc(t->lanes + 1, sizeof(p->lane[0]));
    if (p->lane == NULL || source == NULL) {
        free(source);
        return at_error_set(err, AT_ERR_MEMORY, "out of memory");
    }
    for (size_t i = 0; i < t->n; i++) {
        struct lane *lane = &p->lane[t->target[i].lane];

        if (lane->q == NULL)
            *lane = (struct lane){
                .q = q, .t = t, .parts = parts, .next = i, .planned = i};
        lane->end = i + 1;
    }
    p->lanes = t->lanes;
    for (size_t i = 0; i < t->lanes; i++)
        source[i] = (struct at_merge_source){&p->lane[i], lane_next};
    st = at_merge_open(&p->merge, source, t->lanes, err);
    free(source);
    return st;
}

enum at_status at_packets_open(struct at_packets **out,
                               const struct at_query *q,
                               const struct at_targets *t,
                               const struct at_parts *parts,
                               struct at_error *err)
{
    struct at_packets *p = calloc(1, sizeof(*p));
    enum at_status st;

    *out = NULL;
    if (p == NULL)
        return at_error_set(err, AT_ERR_MEMORY, "out of memory");
    st = open_lanes(p, q, t, parts, err);
    if (st != AT_OK) {
        at_packets_close(p);
        return st;
    }
    *out = p;
    return AT_OK;
}

enum at_status at_packets_next(struct at_packets *p, struct at_packet *pkt,
                               struct at_error *err)
{
    return at_merge_next(p->merge, pkt, &p->from, err);
}

size_t at_packets_target(const struct at_packets *p)
{
    return p->lane[p->from].next - 1;
}

uint64_t at_packets_offset(const struct at_packets *p)
{
    return at_pick_offset(p->lane[p->from].pick);
}

const struct at_flow_row *at_packets_flow(const struct at_packets *p,
                                          size_t *lane)
{
    const struct lane *l = &p->lane[p->from];

    *lane = p->from;
    return l->parts != NULL && l->owned != NULL ? l->owned->flow : NULL;
}

void at_packets_close(struct at_packets *p)
{
    if (p == NULL)
        return;
    at_merge_close(p->merge);
    for (size_t i = 0; i < p->lanes; i++) {
        at_lane_close(p->lane[i].plans, drop_plan);
        close_target(&p->lane[i]);
    }
    free(p->lane);
    free(p);
}
