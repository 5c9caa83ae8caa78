/*
 * explain.c - what a question costs
 *
 * Of N rows in a segment F are in the postings.  If packets of flows were
 * spread evenly, a block of P packets would hold none of these with a
 * probability of (1 - F/N)^P; that is how many blocks are estimated.  It is
 * too many where flows are short, as their packets are near each other.
 */
#include "explain.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "errors.h"
#include "table.h"

static size_t count_leaves(const struct at_expr_node *n)
{
    size_t leaves = n->op == AT_EXPR_LEAF;

    for (n = n->child; n != NULL; n = n->next)
        leaves += count_leaves(n);
    return leaves;
}

static void list_leaves(struct at_explanation *e, const struct at_expr_node *n,
                        unsigned depth)
{
    if (n->op == AT_EXPR_LEAF)
        e->leaf[e->leaves++] = (struct at_explained_leaf){.leaf = n,
                                                          .depth = depth};
    for (n = n->child; n != NULL; n = n->next)
        list_leaves(e, n, depth + 1);
}

enum at_status at_explain_open(struct at_explanation *e,
                               const struct at_query *q,
                               const struct at_targets *t, struct at_error *err)
{
    const struct at_expr_node *root = at_expr_root(q->expr);

    *e = (struct at_explanation){
        .target = calloc(t->n + 1, sizeof(e->target[0])),
        .leaf = calloc(count_leaves(root) + 1, sizeof(e->leaf[0])),
    };
    if (e->target == NULL || e->leaf == NULL) {
        at_explain_close(e);
        return at_error_set(err, AT_ERR_MEMORY, "out of memory");
    }
    list_leaves(e, root, 0);
    return AT_OK;
}

void at_explain_close(struct at_explanation *e)
{
    free(e->target);
    free(e->leaf);
    *e = (struct at_explanation){.leaves = 0};
}

/* ---- estimates ------------------------------------------------------- */

static void estimate_blocks(struct at_explained *x,
                            const struct at_index_info *info)
{
    const double rows = info->rows, flows = (double)x->flows_estimated;
    double blocks = info->blocks;

    if (rows > 0 && flows < rows)
        blocks *= 1 - pow(1 - flows / rows,
                          (double)info->packets / (double)info->blocks);
    x->blocks_estimated = (uint64_t)ceil(blocks);
    if (info->blocks > 0)
        x->bytes_estimated = (uint64_t)(blocks / info->blocks *
                                        (double)info->identity.file_bytes);
}

static enum at_status estimate_leaves(struct at_explanation *e,
                                      const struct at_query *q,
                                      struct at_index *ix, struct at_error *err)
{
    enum at_status st = AT_OK;

    for (size_t i = 0; i < e->leaves && st == AT_OK; i++) {
        uint64_t flows = 0;
        bool postings = false;

        st = at_plan_leaf(q, ix, e->leaf[i].leaf, &postings, &flows, err);
        e->leaf[i].postings |= postings;
        e->leaf[i].flows += flows;
    }
    return st;
}

enum at_status at_explain_estimate(struct at_explanation *e,
                                   const struct at_query *q,
                                   const struct at_targets *t, size_t number,
                                   struct at_error *err)
{
    const struct at_target *target = &t->target[number];
    struct at_explained *x = &e->target[number];
    struct at_set flows = {.n = 0};
    struct at_index *ix;
    enum at_status st;

    if (target->index == NULL)
        return AT_OK;
    st = at_target_index(&ix, target, err);
    if (st != AT_OK)
        return st;
    x->indexed = true;
    st = at_plan_flows(q, ix, &flows, err);
    if (st == AT_OK) {
        x->flows_estimated = at_set_count(&flows);
        if (x->flows_estimated > at_index_info(ix)->rows) /* 0 is no row */
            x->flows_estimated = at_index_info(ix)->rows;
        estimate_blocks(x, at_index_info(ix));
        st = estimate_leaves(e, q, ix, err);
    }
    at_set_close(&flows);
    at_index_close(ix);
    return st;
}

void at_explain_places(struct at_explained *x, const struct at_place *place,
                       size_t n)
{
    x->blocks += n;
    for (size_t i = 0; i < n; i++)
        x->bytes += place[i].file_bytes;
}

/* ---- printing -------------------------------------------------------- */

static const char *how(const struct at_explained_leaf *l,
                       const struct at_targets *t)
{
    if (t->n == 0 && t->without > 0)
        return "by the catalogue";
    if (l->postings)
        return "by postings";
    if (l->leaf->loose || l->leaf->leaf == AT_LEAF_OPAQUE ||
        l->leaf->leaf == AT_LEAF_INNER)
        return "by packets";
    return "by rows of flows";
}

static void print_plan(const struct at_explanation *e, FILE *out,
                       const struct at_query *q, const struct at_targets *t)
{
    const char *text = at_expr_text(q->expr);

    for (size_t i = 0; i < e->leaves; i++) {
        const struct at_expr_node *leaf = e->leaf[i].leaf;

        fprintf(out, "%*s%-.*s: %s", 2 * (int)e->leaf[i].depth, "",
                leaf->length > 0 ? (int)leaf->length : 10,
                leaf->length > 0 ? text + leaf->column : "everything",
                how(&e->leaf[i], t));
        if (e->leaf[i].postings)
            fprintf(out, ", %llu flows", (unsigned long long)e->leaf[i].flows);
        putc('\n', out);
    }
    if (t->without > 0)
        fprintf(out, "%zu more segments: not opened, without such a host\n",
                t->without);
    putc('\n', out);
}

static void add(struct at_explained *sum, const struct at_explained *x)
{
    sum->indexed |= x->indexed;
    sum->flows_estimated += x->flows_estimated;
    sum->flows += x->flows;
    sum->blocks_estimated += x->blocks_estimated;
    sum->blocks += x->blocks;
    sum->bytes_estimated += x->bytes_estimated;
    sum->bytes += x->bytes;
    sum->packets += x->packets;
}

/* Nothing is estimated or left out of what has no index. */
static void put_row(struct at_table *table, const struct at_explained *x,
                    const char *name)
{
    const uint64_t number[] = {x->flows_estimated,  x->flows,
                               x->blocks_estimated, x->blocks,
                               x->bytes_estimated,  x->bytes};

    for (int i = 0; i < 6; i++)
        if (x->indexed || i == 1)
            at_table_number(table, number[i]);
        else
            at_table_put(table, "");
    at_table_number(table, x->packets);
    at_table_put(table, name);
}

bool at_explain_print(const struct at_explanation *e, FILE *out,
                      enum at_print_format format, const struct at_query *q,
                      const struct at_targets *t)
{
    static const struct at_column columns[] = {
        {"flows_est", false, 0},  {"flows", false, 0},
        {"blocks_est", false, 0}, {"blocks", false, 0},
        {"bytes_est", false, 0},  {"bytes", false, 0},
        {"packets", false, 0},    {"trace", true, 0},
    };
    struct at_table table = {
        .out = out, .format = format, .column = columns, .columns = 8};
    struct at_explained sum = {.indexed = t->without > 0};

    if (format == AT_PRINT_TABLE)
        print_plan(e, out, q, t);
    for (size_t i = 0; i < t->n; i++) {
        add(&sum, &e->target[i]);
        put_row(&table, &e->target[i],
                strcmp(t->target[i].stream, "-") == 0 ? "-"
                                                      : t->target[i].trace);
    }
    put_row(&table, &sum, "total");
    return at_table_close(&table);
}
