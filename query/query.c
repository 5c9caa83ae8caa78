/*
 * query.c - the question
 */
#include "query.h"

#include <stdlib.h>

#include "errors.h"
#include "goers.h"
#include "term.h"

/* The filters made so far, one for each vector of flow terms, by vector. */
struct variant {
    uint64_t vector;
    struct at_filter *filter;
};

struct at_variants {
    struct variant *variant;
    size_t n, room;
};

/* ---- opening --------------------------------------------------------- */

static enum at_status open_filter(struct at_filter **filter,
                                  const struct at_query *q, uint64_t vector,
                                  struct at_error *err)
{
    char *text = at_expr_of_vector(q->expr, vector);
    enum at_status st;

    if (text == NULL)
        return at_error_set(err, AT_ERR_MEMORY, "out of memory");
    st = at_filter_open(filter, text, q->flags, err);
    free(text);
    return st;
}

static bool has_name_term(const struct at_query *q)
{
    size_t n;
    const struct at_term *term = at_expr_terms(q->expr, &n);
    bool has = false;

    for (size_t i = 0; term != NULL && i < n; i++)
        has |= term[i].what == AT_TERM_NAME;
    return has;
}

enum at_status at_query_open(struct at_query *q, struct at_pool *pool,
                             const char *text, unsigned flags,
                             struct at_error *err)
{
    enum at_status st;

    *q = (struct at_query){
        .pool = pool,
        .from_ns = AT_TIME_MIN,
        .to_ns = AT_TIME_MAX,
        .flags = flags,
        .fields = AT_ROW_ALL,
        .tracking = at_tracking_default,
    };
    q->names = calloc(1, sizeof(*q->names));
    if (q->names == NULL)
        return at_error_set(err, AT_ERR_MEMORY, "out of memory");
    st = at_expr_parse(&q->expr, text, flags, err);
    if (st == AT_OK && has_name_term(q))
        st = at_query_want_names(q) == AT_OK
                 ? AT_OK
                 : at_error_set(err, AT_ERR_MEMORY, "out of memory");
    if (st == AT_OK && at_query_has_terms(q)) {
        q->variants = calloc(1, sizeof(*q->variants));
        if (q->variants == NULL)
            st = at_error_set(err, AT_ERR_MEMORY, "out of memory");
    }
    if (st == AT_OK)
        st = open_filter(&q->filter, q, at_expr_widest(q->expr), err);
    if (st != AT_OK)
        at_query_close(q);
    return st;
}

void at_query_close(struct at_query *q)
{
    for (size_t i = 0; q->variants != NULL && i < q->variants->n; i++)
        at_filter_close(q->variants->variant[i].filter);
    if (q->variants != NULL)
        free(q->variants->variant);
    free(q->variants);
    at_expr_free(q->expr);
    at_filter_close(q->filter);
    q->variants = NULL;
    at_apps_close(q->apps);
    if (q->names != NULL)
        at_app_names_close(q->names);
    free(q->names);
    at_shared_names_close(q->asked);
    at_goers_close(q->goers);
    q->goers = NULL;
    q->asked = NULL;
    q->apps = NULL;
    q->names = NULL;
    q->expr = NULL;
    q->filter = NULL;
}

/* ---- fields ---------------------------------------------------------- */

static unsigned fields_of_term(const struct at_term *term)
{
    switch (term->what) {
    case AT_TERM_NET:
    case AT_TERM_IN:
        return AT_ROW_ENDS;
    case AT_TERM_PORT:
        return AT_ROW_PORTS;
    case AT_TERM_STATE:
    case AT_TERM_REASON:
    case AT_TERM_STREAM:
    case AT_TERM_NAME:
    case AT_TERM_PACKETS:
    case AT_TERM_BYTES:
        return 0;
    case AT_TERM_APP:
    case AT_TERM_CATEGORY:
        return AT_ROW_MARKS;
    case AT_TERM_DURATION:
    case AT_TERM_RATE:
        return AT_ROW_TIMES;
    default:
        return AT_ROW_ALL;
    }
}

/* What at_plan_judge() and at_query_vector() look at. */
static unsigned fields_of(const struct at_query *q,
                          const struct at_expr_node *node)
{
    unsigned fields = AT_ROW_SUMS;
    size_t n;

    if (node->op != AT_EXPR_LEAF) {
        for (node = node->child; node != NULL; node = node->next)
            fields |= fields_of(q, node);
        return fields;
    }
    if (node->leaf == AT_LEAF_FLOW)
        return fields | fields_of_term(&at_expr_terms(q->expr, &n)[node->term]);
    return node->leaf == AT_LEAF_TRUE
               ? fields
               : fields | AT_ROW_ENDS | AT_ROW_PORTS | AT_ROW_MARKS;
}

unsigned at_query_fields(const struct at_query *q)
{
    const bool bounded = q->from_ns != AT_TIME_MIN || q->to_ns != AT_TIME_MAX;

    return fields_of(q, at_expr_root(q->expr)) | (bounded ? AT_ROW_TIMES : 0);
}

void at_query_narrow(struct at_query *q, unsigned answer)
{
    q->fields = answer | at_query_fields(q);
}

unsigned at_query_row_fields(const struct at_query *q)
{
    return q->fields | (q->goers != NULL ? AT_GOERS_FIELDS : 0);
}

enum at_status at_query_name_rows(const struct at_query *q, struct at_index *ix,
                                  struct at_error *err)
{
    const enum at_status st = at_index_name_apps(ix, q->names, err);

    return st == AT_OK && q->tracking.names
               ? at_index_want_names(ix, q->asked, err)
               : st;
}

/* ---- flow terms ------------------------------------------------------ */

bool at_query_has_terms(const struct at_query *q)
{
    size_t n;

    return at_expr_terms(q->expr, &n) != NULL;
}

enum at_status at_query_want_names(struct at_query *q)
{
    q->tracking.names = true;
    if (q->asked == NULL)
        q->asked = at_shared_names_open();
    return q->asked != NULL ? AT_OK : AT_ERR_MEMORY;
}

uint64_t at_query_vector(const struct at_query *q,
                         const struct at_flow_row *row, const char *stream)
{
    size_t n;
    const struct at_term *term = at_expr_terms(q->expr, &n);
    uint64_t vector = 0;

    for (size_t i = 0; i < n; i++)
        if (at_term_true(&term[i], row, stream))
            vector |= UINT64_C(1) << i;
    return vector;
}

/* Where the vector is, or would be put. */
static size_t place_of(const struct at_variants *v, uint64_t vector)
{
    size_t lo = 0, hi = v->n;

    while (lo < hi) {
        const size_t mid = (lo + hi) / 2;

        if (v->variant[mid].vector < vector)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo;
}

static enum at_status make_room(struct at_variants *v, struct at_error *err)
{
    const size_t room = v->room * 2 + 16;
    struct variant *p;

    if (v->n < v->room)
        return AT_OK;
    p = realloc(v->variant, room * sizeof(*p));
    if (p == NULL)
        return at_error_set(err, AT_ERR_MEMORY, "out of memory");
    v->variant = p;
    v->room = room;
    return AT_OK;
}

enum at_status at_query_filter(const struct at_query *q, uint64_t vector,
                               struct at_filter **filter, struct at_error *err)
{
    struct at_variants *v = q->variants;
    struct variant made = {.vector = vector};
    enum at_status st;
    size_t i;

    if (v == NULL || vector == at_expr_widest(q->expr)) {
        *filter = q->filter;
        return AT_OK;
    }
    i = place_of(v, vector);
    if (i == v->n || v->variant[i].vector != vector) {
        st = make_room(v, err);
        if (st == AT_OK)
            st = open_filter(&made.filter, q, vector, err);
        if (st != AT_OK)
            return st;
        for (size_t k = v->n++; k > i; k--)
            v->variant[k] = v->variant[k - 1];
        v->variant[i] = made;
    }
    *filter = v->variant[i].filter;
    return AT_OK;
}

/* ---- applications ---------------------------------------------------- */

enum at_status at_query_open_apps(struct at_query *q,
                                  const struct at_targets *t, const char *rules,
                                  struct at_error *err)
{
    bool scan = false;

    q->alone = true;
    for (size_t i = 0; i < t->n; i++) {
        scan |= t->target[i].index == NULL;
        q->alone &= i == 0 || t->target[i].lane != t->target[i - 1].lane;
    }
    return scan ? at_apps_open(&q->apps, rules, err) : AT_OK;
}
