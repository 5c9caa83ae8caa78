/*
 * plan.c - what the index decides of a question
 *
 * Postings are walked for addresses and ports only: a protocol is shared by
 * so many flows that looking at each row is cheaper.  The set they give holds
 * every flow that can match, and perhaps others; then each row is judged.  A
 * leaf that speaks of what is inside a tag that may not be there, or of a
 * tunnel, gives no set: the index knows the outer headers.  An index of what is
 * in tunnels does not: such flows are in every set.
 */
#include <string.h>

#include "netset.h"
#include "query.h"
#include "term.h"

/* What a part of the expression leaves of all flows: a set, or all of them. */
struct cover {
    bool all;
    struct at_set set;
};

static enum at_status cover_node(const struct at_query *q, struct at_index *ix,
                                 const struct at_expr_node *node,
                                 struct cover *cover, struct at_error *err);

static enum at_status cover_all(struct cover *cover)
{
    *cover = (struct cover){.all = true};
    return AT_OK;
}

/* Whether a set of flows can be had for the leaf. */
static bool has_postings(const struct at_index *ix,
                         const struct at_expr_node *leaf)
{
    if (leaf->loose)
        return false;
    if (leaf->leaf == AT_LEAF_NET)
        return leaf->prefix > 0;
    return leaf->leaf == AT_LEAF_PORT &&
           leaf->port_high < at_index_info(ix)->port_limit;
}

/* The same of a flow term. */
static bool term_has_postings(const struct at_query *q,
                              const struct at_index *ix,
                              const struct at_term *term)
{
    switch (term->what) {
    case AT_TERM_NET:
        return term->prefix > 0;
    case AT_TERM_PORT:
        return term->high < at_index_info(ix)->port_limit;
    case AT_TERM_IN:
        return true;
    case AT_TERM_APP:
    case AT_TERM_CATEGORY:
        /* unless it does not know which flows have other parts */
        return q->alone || at_index_info(ix)->part;
    case AT_TERM_NAME:
        return at_index_info(ix)->tracking.names &&
               (q->alone || at_index_info(ix)->part);
    default:
        return false;
    }
}

static bool is_wanted_app(void *ctx, const char *name, const char *category)
{
    const struct at_term *term = ctx;

    return strcmp(term->text, term->what == AT_TERM_APP ? name : category) == 0;
}

/* The flows of an application; all, if it is too frequent for a list. */
static enum at_status cover_apps(struct at_index *ix,
                                 const struct at_term *term,
                                 struct cover *cover, struct at_error *err)
{
    bool all;
    const enum at_status st = at_index_app_flows(
        ix, is_wanted_app, (void *)(uintptr_t)term, &cover->set, &all, err);

    if (st == AT_OK && all) {
        at_set_close(&cover->set);
        return cover_all(cover);
    }
    return st;
}

static bool is_in_set(void *ctx, const uint8_t *addr, unsigned addr_bytes)
{
    return at_netset_has(ctx, addr, addr_bytes);
}

static enum at_status add_term_flows(struct at_index *ix,
                                     const struct at_term *term,
                                     struct cover *cover, struct at_error *err)
{
    switch (term->what) {
    case AT_TERM_NET:
        return at_index_net_flows(ix, term->addr, term->addr_bytes,
                                  term->prefix, &cover->set, err);
    case AT_TERM_PORT:
        return at_index_port_flows(ix, term->low, term->high, &cover->set, err);
    case AT_TERM_IN:
        return at_index_host_flows(ix, is_in_set, term->set, &cover->set, err);
    case AT_TERM_NAME:
        return at_index_name_flows(ix, term->text, &cover->set, err);
    default:
        return cover_apps(ix, term, cover, err);
    }
}

/* Whether it can be true of a flow and not of each of its parts. */
static bool is_of_whole(const struct at_term *term)
{
    return term->what == AT_TERM_APP || term->what == AT_TERM_CATEGORY ||
           term->what == AT_TERM_NAME;
}

/* Flows that are none of IP have no flow terms, so no link flows are added. */
static enum at_status cover_term(const struct at_query *q, struct at_index *ix,
                                 const struct at_term *term,
                                 struct cover *cover, struct at_error *err)
{
    enum at_status st;

    if (!term_has_postings(q, ix, term))
        return cover_all(cover);
    cover->all = false;
    st = at_set_open(&cover->set, (size_t)at_index_info(ix)->rows + 1, false);
    if (st != AT_OK)
        return at_error_set(err, st, "out of memory");
    st = add_term_flows(ix, term, cover, err);
    /* a part of a flow may have another application, or name, than the flow */
    if (st == AT_OK && !cover->all && !q->alone && is_of_whole(term))
        st = at_index_partial_flows(ix, &cover->set, err);
    if (st != AT_OK)
        at_set_close(&cover->set);
    return st;
}

/*
 * Frames that are neither IP nor ARP as we decode it may still be what
 * libpcap looks into, so they stay until they are judged; and so do flows in
 * tunnels.
 */
static enum at_status cover_leaf(const struct at_query *q, struct at_index *ix,
                                 const struct at_expr_node *leaf,
                                 struct cover *cover, struct at_error *err)
{
    enum at_status st;
    size_t n;

    if (leaf->leaf == AT_LEAF_FLOW)
        return cover_term(q, ix, &at_expr_terms(q->expr, &n)[leaf->term], cover,
                          err);
    if (!has_postings(ix, leaf))
        return cover_all(cover);
    cover->all = false;
    st = at_set_open(&cover->set, (size_t)at_index_info(ix)->rows + 1, false);
    if (st != AT_OK)
        return at_error_set(err, st, "out of memory");
    if (leaf->leaf == AT_LEAF_NET)
        st = at_index_net_flows(ix, leaf->addr, leaf->addr_bytes, leaf->prefix,
                                &cover->set, err);
    else
        st = at_index_port_flows(ix, leaf->port_low, leaf->port_high,
                                 &cover->set, err);
    if (st == AT_OK)
        st = at_index_link_flows(ix, &cover->set, err);
    if (st != AT_OK)
        at_set_close(&cover->set);
    return st;
}

/* Puts 'other' into *cover: both must hold, or either may. */
static void combine(enum at_expr_op op, struct cover *cover,
                    struct cover *other)
{
    if (op == AT_EXPR_AND && cover->all) {
        *cover = *other;
        return;
    }
    if (op == AT_EXPR_OR && other->all && !cover->all) {
        at_set_close(&cover->set);
        cover->all = true;
        return;
    }
    if (!cover->all && !other->all) {
        if (op == AT_EXPR_AND)
            at_set_and(&cover->set, &other->set);
        else
            at_set_or(&cover->set, &other->set);
    }
    if (!other->all)
        at_set_close(&other->set);
}

static enum at_status cover_children(const struct at_query *q,
                                     struct at_index *ix,
                                     const struct at_expr_node *node,
                                     struct cover *cover, struct at_error *err)
{
    const struct at_expr_node *child = node->child;
    enum at_status st = cover_node(q, ix, child, cover, err);

    while (st == AT_OK && (child = child->next) != NULL) {
        struct cover other;

        st = cover_node(q, ix, child, &other, err);
        if (st == AT_OK)
            combine(node->op, cover, &other);
        else if (!cover->all)
            at_set_close(&cover->set);
    }
    return st;
}

static enum at_status cover_node(const struct at_query *q, struct at_index *ix,
                                 const struct at_expr_node *node,
                                 struct cover *cover, struct at_error *err)
{
    if (node->op == AT_EXPR_LEAF)
        return cover_leaf(q, ix, node, cover, err);
    if (node->op == AT_EXPR_NOT)
        return cover_all(cover);
    return cover_children(q, ix, node, cover, err);
}

/* Behind "geneve" the leaves speak of inner headers, which have no row. */
static bool names_geneve(const struct at_expr_node *node)
{
    enum { GENEVE = 2 };

    if (node->op == AT_EXPR_LEAF)
        return node->tag == GENEVE;
    for (node = node->child; node != NULL; node = node->next)
        if (names_geneve(node))
            return true;
    return false;
}

static bool leaf_narrows(const struct at_query *q,
                         const struct at_expr_node *leaf)
{
    size_t n;

    if (leaf->leaf == AT_LEAF_FLOW) {
        const enum at_term_what what = at_expr_terms(q->expr, &n)[leaf->term]
                                           .what;

        return what == AT_TERM_NET || what == AT_TERM_PORT ||
               what == AT_TERM_IN || what == AT_TERM_APP ||
               what == AT_TERM_CATEGORY || what == AT_TERM_NAME;
    }
    return !leaf->loose &&
           (leaf->leaf == AT_LEAF_NET || leaf->leaf == AT_LEAF_PORT);
}

static bool node_narrows(const struct at_query *q,
                         const struct at_expr_node *node)
{
    const struct at_expr_node *child = node->child;
    const bool any = node->op == AT_EXPR_AND;

    if (node->op == AT_EXPR_LEAF)
        return leaf_narrows(q, node);
    if (node->op == AT_EXPR_NOT)
        return false;
    for (; child != NULL; child = child->next)
        if (node_narrows(q, child) == any)
            return any;
    return !any;
}

bool at_plan_narrows(const struct at_query *q)
{
    return node_narrows(q, at_expr_root(q->expr));
}

enum at_status at_plan_flows(const struct at_query *q, struct at_index *ix,
                             struct at_set *flows, struct at_error *err)
{
    const struct at_expr_node *root = at_expr_root(q->expr);
    struct cover cover;
    enum at_status st = names_geneve(root)
                            ? cover_all(&cover)
                            : cover_node(q, ix, root, &cover, err);

    if (st != AT_OK)
        return st;
    if (!cover.all)
        *flows = cover.set;
    else
        st = at_set_open(flows, (size_t)at_index_info(ix)->rows + 1, true);
    return st == AT_OK ? AT_OK : at_error_set(err, st, "out of memory");
}

enum at_status at_plan_leaf(const struct at_query *q, struct at_index *ix,
                            const struct at_expr_node *leaf, bool *postings,
                            uint64_t *flows, struct at_error *err)
{
    struct cover cover;
    const enum at_status st = cover_leaf(q, ix, leaf, &cover, err);

    *flows = 0;
    *postings = st == AT_OK && !cover.all;
    if (*postings) {
        *flows = at_set_count(&cover.set);
        at_set_close(&cover.set);
    }
    return st;
}

/* ---- segments -------------------------------------------------------- */

static bool leaf_may_hold(const struct at_query *q,
                          const struct at_expr_node *leaf,
                          at_may_hold_fn *may_hold, void *ctx)
{
    struct at_sieve_key key;
    size_t n;

    if (leaf->leaf == AT_LEAF_FLOW) {
        const struct at_term *term = &at_expr_terms(q->expr, &n)[leaf->term];

        return term->what != AT_TERM_NET ||
               !at_sieve_key_of(&key, term->addr, term->addr_bytes,
                                term->prefix) ||
               may_hold(ctx, &key);
    }
    return leaf->loose || leaf->leaf != AT_LEAF_NET ||
           !at_sieve_key_of(&key, leaf->addr, leaf->addr_bytes, leaf->prefix) ||
           may_hold(ctx, &key);
}

static bool node_may_hold(const struct at_query *q,
                          const struct at_expr_node *node,
                          at_may_hold_fn *may_hold, void *ctx)
{
    const struct at_expr_node *child = node->child;
    const bool all = node->op == AT_EXPR_AND;

    if (node->op == AT_EXPR_LEAF)
        return leaf_may_hold(q, node, may_hold, ctx);
    if (node->op == AT_EXPR_NOT)
        return true;
    for (; child != NULL; child = child->next)
        if (node_may_hold(q, child, may_hold, ctx) != all)
            return !all;
    return all;
}

bool at_plan_may_hold(const struct at_query *q, at_may_hold_fn *may_hold,
                      void *ctx)
{
    const struct at_expr_node *root = at_expr_root(q->expr);

    return names_geneve(root) || node_may_hold(q, root, may_hold, ctx);
}

/* ---- rows ------------------------------------------------------------ */

/* What the packets of one direction have in common. */
static struct at_facts facts_of(const struct at_flow_row *row, int dir)
{
    enum { ETHERTYPE_IPV4 = 0x0800, ETHERTYPE_IPV6 = 0x86dd };
    const bool out = dir == 0;

    return (struct at_facts){
        .net = row->net,
        .proto = row->proto,
        .ethertype = row->net == AT_NET_IPV4   ? ETHERTYPE_IPV4
                     : row->net == AT_NET_IPV6 ? ETHERTYPE_IPV6
                                               : row->ethertype,
        .sport = out ? row->sport : row->dport,
        .dport = out ? row->dport : row->sport,
        .flags = row->marks,
        .inner = row->inner,
        .src = row->net == AT_NET_OTHER ? NULL
               : out                    ? row->src
                                        : row->dst,
        .dst = row->net == AT_NET_OTHER ? NULL
               : out                    ? row->dst
                                        : row->src,
    };
}

static enum at_verdict judge(const struct at_query *q,
                             const struct at_flow_row *row, bool in_flow,
                             uint64_t vector)
{
    enum at_verdict best = AT_NO;

    for (int dir = 0; dir < 2 && best != AT_YES; dir++) {
        struct at_facts facts = facts_of(row, dir);
        enum at_verdict v = AT_NO;

        facts.in_flow = in_flow;
        facts.vector = vector;
        if (row->packets[dir] > 0)
            v = at_expr_judge(q->expr, &facts);
        if (v > best)
            best = v;
    }
    return best;
}

/* What is true of all packets need not be true of those in the range. */
static enum at_verdict in_range(const struct at_query *q,
                                const struct at_flow_row *row,
                                enum at_verdict v)
{
    if (row->end_ns < q->from_ns || row->start_ns >= q->to_ns)
        return AT_NO;
    if (v == AT_YES && (row->start_ns < q->from_ns || row->end_ns >= q->to_ns))
        return AT_MAYBE;
    return v;
}

enum at_verdict at_plan_judge(const struct at_query *q,
                              const struct at_flow_row *row)
{
    return in_range(q, row, judge(q, row, false, 0));
}

enum at_verdict at_plan_judge_in(const struct at_query *q,
                                 const struct at_flow_row *row, uint64_t vector)
{
    return in_range(q, row, judge(q, row, true, vector));
}

/* The other parts may have packets that go the other way, and fragments. */
bool at_plan_may_concern(const struct at_query *q,
                         const struct at_flow_row *row)
{
    struct at_flow_row any = *row;

    any.packets[0] = any.packets[1] = 1;
    any.marks |= AT_DECODED_CHAIN | AT_DECODED_FRAGMENT | AT_DECODED_LATER;
    return judge(q, &any, false, 0) != AT_NO;
}
