/*
 * reach.c - the parts of flows that the question did not find
 *
 * From the outermost part that was found of a flow outwards, segment by
 * segment, for as long as there are flows that go on there; and from a part to
 * the next where segments between them may have more.  Each segment lists the
 * flows that others have too, so only these rows are read.
 */
#include <stdlib.h>
#include <string.h>

#include "errors.h"
#include "parts.h"

/* A flow of which another part is looked for. */
struct wanted {
    struct at_flow_key key;
    size_t target; /* where its outermost part so far is, */
    size_t end;    /* where the next is that was found, if there is one, */
    int64_t ns;    /* and when the former ends, or begins */
    enum at_flow_state state;
    uint8_t proto;
    bool found; /* all of it */
};

struct reach {
    struct at_parts *p;
    size_t parts; /* of p, when it was joined */
    const struct at_query *q;
    const struct at_targets *t;
    bool forward;
    struct wanted *wanted; /* by key */
    size_t n;
    struct at_error first; /* of a target; AT_OK: there was none */
};

static int by_key(const void *a, const void *b)
{
    return memcmp(a, b, sizeof(struct at_flow_key));
}

static enum at_goes_on beyond(const struct reach *r,
                              const struct at_flow_row *row)
{
    return (enum at_goes_on)(r->forward ? row->continued : row->continues);
}

/* The target of the next part of the flow of part 'i'; SIZE_MAX if that is the
 * outermost.  They are by flow, in sequence. */
static size_t next_target(const struct reach *r, size_t i)
{
    const struct at_part *part = &r->p->part[i];
    const bool last = r->forward ? i + 1 == r->parts : i == 0;
    const struct at_part *next = last ? NULL : r->forward ? part + 1 : part - 1;

    return next != NULL && next->flow == part->flow ? next->target : SIZE_MAX;
}

/* Gaps are filled on the way forward. */
static bool may_have_more(const struct reach *r, size_t i)
{
    const struct at_part *part = &r->p->part[i];
    const size_t next = next_target(r, i);

    return beyond(r, &part->row) == AT_GOES_ON &&
           (next == SIZE_MAX || (r->forward && next > part->target + 1));
}

static enum at_status find_wanted(struct reach *r, size_t lane)
{
    r->n = 0;
    r->wanted = malloc((r->parts + 1) * sizeof(r->wanted[0]));
    if (r->wanted == NULL)
        return AT_ERR_MEMORY;
    for (size_t i = 0; i < r->parts; i++) {
        const struct at_part *part = &r->p->part[i];

        if (part->lane == lane && may_have_more(r, i))
            r->wanted[r->n++] = (struct wanted){
                .key = part->key,
                .target = part->target,
                .end = next_target(r, i),
                .ns = r->forward ? part->row.end_ns : part->row.start_ns,
                .state = (enum at_flow_state)part->row.state,
                .proto = part->row.proto};
    }
    if (r->n > 0)
        qsort(r->wanted, r->n, sizeof(r->wanted[0]), by_key);
    return AT_OK;
}

/* Whether the target is one to look in for more of the flow. */
static bool is_further(const struct reach *r, size_t number,
                       const struct wanted *w)
{
    return r->forward ? number > w->target && number < w->end
                      : number < w->target;
}

/* What is looked for in the target, of those with the key. */
static struct wanted *find_in(const struct reach *r, size_t number,
                              const struct at_flow_key *key)
{
    struct wanted *w = bsearch(key, r->wanted, r->n, sizeof(*w), by_key);

    while (w != NULL && w > r->wanted && by_key(w - 1, key) == 0)
        w--;
    for (; w != NULL && w < r->wanted + r->n && by_key(w, key) == 0; w++)
        if (!w->found && is_further(r, number, w))
            return w;
    return NULL;
}

static enum at_status take_row(struct reach *r, size_t number,
                               const struct at_flow_row *row, uint32_t id)
{
    struct at_flow_key key;
    struct wanted *w;

    /* the other way round it is what comes from there */
    if ((r->forward ? row->continues : row->continued) != AT_GOES_ON)
        return AT_OK;
    at_flow_row_key(&key, row);
    w = find_in(r, number, &key);
    if (w == NULL)
        return AT_OK;
    w->target = number;
    w->ns = r->forward ? row->end_ns : row->start_ns;
    w->state = (enum at_flow_state)row->state;
    w->found = beyond(r, row) != AT_GOES_ON;
    return at_parts_add(r->p, r->t, number, row, id);
}

static enum at_status take_rows(struct reach *r, size_t number,
                                struct at_index *ix, struct at_error *err)
{
    struct at_set flows = {.n = 0};
    struct at_flow_row row;
    enum at_status st = at_set_open(&flows, (size_t)at_index_info(ix)->rows + 1,
                                    false);

    if (st != AT_OK)
        return at_error_set(err, st, "out of memory");
    st = r->forward ? at_index_continuing_flows(ix, &flows, err)
                    : at_index_partial_flows(ix, &flows, err);
    if (st == AT_OK)
        st = at_index_flows(ix, &flows, err);
    while (st == AT_OK && (st = at_index_next_flow(ix, &row, err)) == AT_OK)
        if (take_row(r, number, &row, at_index_flow_id(ix)) != AT_OK)
            st = at_error_set(err, AT_ERR_MEMORY, "out of memory");
    at_set_close(&flows);
    return st < 0 ? st : AT_OK;
}

/* Gives up flows that were idle for too long by the other end of this segment,
 * which was looked in. */
static void drop_late(struct reach *r, size_t number,
                      const struct at_index_info *info)
{
    const int64_t end_ns = r->forward ? info->last_ns : info->first_ns;
    size_t left = 0;

    for (size_t i = 0; i < r->n; i++) {
        const struct wanted *w = &r->wanted[i];
        const int64_t idle_ns = r->forward ? end_ns - w->ns : w->ns - end_ns;

        if (!w->found && (info->packets == 0 || !is_further(r, number, w) ||
                          idle_ns <= at_timeout_of(&info->tracking.timeouts,
                                                   w->state, w->proto)))
            r->wanted[left++] = *w;
    }
    r->n = left;
}

static enum at_status reach_target(struct reach *r, size_t number,
                                   struct at_error *err)
{
    const struct at_target *target = &r->t->target[number];
    struct at_index *ix;
    enum at_status st;

    if (target->index == NULL) { /* it does not say what goes on there */
        r->n = 0;
        return AT_OK;
    }
    st = at_target_index(&ix, target, err);
    if (st != AT_OK)
        return st;
    st = at_query_name_rows(r->q, ix, err);
    if (st == AT_OK)
        st = take_rows(r, number, ix, err);
    drop_late(r, number, at_index_info(ix));
    at_index_close(ix);
    return st;
}

/* Number of the first target of the lane, or behind its last. */
static size_t lane_end(const struct at_targets *t, size_t lane, bool last)
{
    size_t i = 0;

    while (i < t->n &&
           (last ? t->target[i].lane <= lane : t->target[i].lane < lane))
        i++;
    return i;
}

/* The other segments may be fine.  Of those in the range it was said already
 * what is wrong with them. */
static enum at_status go_on(struct reach *r, size_t number, enum at_status st,
                            const struct at_error *what)
{
    if (st == AT_OK || st == AT_ERR_MEMORY)
        return st;
    if (r->t->target[number].outside && r->first.status == AT_OK)
        r->first = *what;
    return AT_OK;
}

static bool any_further(const struct reach *r, size_t number)
{
    for (size_t i = 0; i < r->n; i++)
        if (is_further(r, number, &r->wanted[i]))
            return true;
    return false;
}

static enum at_status reach_out(struct reach *r, size_t lane,
                                struct at_error *err)
{
    const size_t first = lane_end(r->t, lane, false);
    const size_t n = lane_end(r->t, lane, true) - first;
    enum at_status st = AT_OK;

    if (find_wanted(r, lane) != AT_OK)
        st = at_error_set(err, AT_ERR_MEMORY, "out of memory");
    for (size_t i = 0; i < n && st == AT_OK && r->n > 0; i++) {
        const size_t number = r->forward ? first + i : first + n - 1 - i;

        struct at_error what;

        if (any_further(r, number))
            st = go_on(r, number, reach_target(r, number, &what), &what);
        if (st != AT_OK)
            at_error_copy(err, &what);
    }
    free(r->wanted);
    r->wanted = NULL;
    return st;
}

enum at_status at_parts_reach(struct at_parts *p, const struct at_query *q,
                              const struct at_targets *t, struct at_error *err)
{
    struct reach r = {.p = p, .q = q, .t = t};
    enum at_status st = AT_OK;

    for (int forward = 0; forward < 2 && st == AT_OK; forward++) {
        r.parts = p->n;
        r.forward = forward != 0;
        for (size_t lane = 0; lane < t->lanes && st == AT_OK; lane++)
            st = reach_out(&r, lane, err);
        if (st == AT_OK && at_parts_join(p, t) != AT_OK)
            st = at_error_set(err, AT_ERR_MEMORY, "out of memory");
    }
    if (st == AT_OK && r.first.status != AT_OK)
        return at_error_copy(err, &r.first);
    return st;
}
