/*
 * packets.c - the matching packets, by time across streams
 *
 * The targets of a stream are opened one after the other.  Of an indexed one
 * the blocks are read that hold a flow which may match; every packet of them
 * is then asked by libpcap, so the index can only leave blocks out, never
 * change an answer.
 */
#include <stdlib.h>

#include "errors.h"
#include "explain.h"
#include "parts.h"
#include "query.h"

/* One stream: the target that is open, and what follows. */
struct lane {
    const struct at_query *q;
    const struct at_targets *t;
    const struct at_parts *parts;
    size_t next, end; /* targets */
    struct at_reader *rd;
    struct at_pick *pick;
    struct at_owners *owners;   /* where there are parts */
    const struct at_part *part; /* of the packet given out last */
    struct at_index *ix;        /* of the target that is open; may be NULL */
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
    enum at_status st = at_index_flows(ix, flows, err);

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

static enum at_status find_places(const struct at_query *q, struct at_index *ix,
                                  struct at_place **place, size_t *n,
                                  struct at_error *err)
{
    struct at_set flows = {.n = 0}, blocks;
    enum at_status st = at_set_open(&blocks, at_index_info(ix)->blocks,
                                    matches_all(q));

    if (st != AT_OK)
        return at_error_set(err, st, "out of memory");
    if (!matches_all(q)) {
        st = at_plan_flows(q, ix, &flows, err);
        if (st == AT_OK)
            st = wanted_blocks(q, ix, &flows, &blocks, err);
    }
    if (st == AT_OK)
        st = at_index_places(ix, &blocks, q->from_ns, q->to_ns, place, n, err);
    at_set_close(&flows);
    at_set_close(&blocks);
    return st;
}

/* ---- targets --------------------------------------------------------- */

/* Opens the trace at the places that the index names; there may be none. */
static enum at_status open_places(struct lane *lane,
                                  const struct at_target *target,
                                  struct at_error *err)
{
    struct at_place *place = NULL;
    size_t n = 0;
    enum at_status st = at_target_index(&lane->ix, target, err);

    if (st != AT_OK)
        return st;
    st = find_places(lane->q, lane->ix, &place, &n, err);
    if (st == AT_OK && lane->q->explained != NULL)
        at_explain_places(&lane->q->explained[target - lane->t->target], place,
                          n);

    if (st == AT_OK && n > 0)
        st = at_target_check(lane->ix, target, err);
    if (st == AT_OK && n > 0)
        st = at_target_open(&lane->rd, lane->q, target, err);
    if (st == AT_OK && n > 0) {
        st = at_reader_select(lane->rd, place, n);
        if (st != AT_OK)
            at_error_copy(err, at_reader_error(lane->rd));
    }
    free(place);
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

    if (!target->gone)
        st = target->index != NULL
                 ? open_places(lane, target, err)
                 : at_target_open(&lane->rd, lane->q, target, err);
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
            st = at_owners_next(lane->owners, lane->pick, pkt, &lane->part,
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
            *lane = (struct lane){.q = q, .t = t, .parts = parts, .next = i};
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
    if (l->parts == NULL || l->part == NULL)
        return NULL;
    return &l->parts->flow[l->part->flow].row;
}

void at_packets_close(struct at_packets *p)
{
    if (p == NULL)
        return;
    at_merge_close(p->merge);
    for (size_t i = 0; i < p->lanes; i++)
        close_target(&p->lane[i]);
    free(p->lane);
    free(p);
}
