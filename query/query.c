/*
 * query.c - the question
 */
#include "query.h"

enum at_status at_query_open(struct at_query *q, struct at_pool *pool,
                             const char *text, unsigned flags,
                             struct at_error *err)
{
    enum at_status st;

    *q = (struct at_query){
        .pool = pool,
        .from_ns = AT_TIME_MIN,
        .to_ns = AT_TIME_MAX,
    };
    st = at_expr_parse(&q->expr, text, flags, err);
    if (st == AT_OK)
        st = at_filter_open(&q->filter, text, flags, err);
    if (st != AT_OK)
        at_query_close(q);
    return st;
}

void at_query_close(struct at_query *q)
{
    at_expr_free(q->expr);
    at_filter_close(q->filter);
    q->expr = NULL;
    q->filter = NULL;
}
