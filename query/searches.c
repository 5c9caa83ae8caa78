/*
 * searches.c - one target after the other, and others ahead
 *
 * Judging the rows of an index needs no other, so the pool does it for some
 * targets at once.  What packets must tell is asked for one target at a time,
 * by the whole pool.
 */
#include <stdlib.h>

#include "errors.h"
#include "pool.h"
#include "query.h"

struct job {
    struct at_search *search;
    enum at_status status;
    struct at_error err;
};

struct at_searches {
    const struct at_query *q;
    const struct at_targets *t;
    struct at_lane *lane;
    size_t sent;
};

static void judge(void *ctx, void *slot)
{
    struct job *job = slot;

    (void)ctx;
    if (job->status == AT_OK)
        job->status = at_search_rows(job->search, &job->err);
}

static void drop(void *ctx, void *slot)
{
    struct job *job = slot;

    (void)ctx;
    at_search_close(job->search);
}

enum at_status at_searches_open(struct at_searches **out,
                                const struct at_query *q,
                                const struct at_targets *t,
                                struct at_error *err)
{
    struct at_searches *s = calloc(1, sizeof(*s));

    *out = NULL;
    if (s == NULL)
        return at_error_set(err, AT_ERR_MEMORY, "out of memory");
    *s = (struct at_searches){.q = q, .t = t};
    s->lane = at_lane_open(q->pool, judge, s, sizeof(struct job), 0, false);
    if (s->lane == NULL) {
        free(s);
        return at_error_set(err, AT_ERR_MEMORY, "out of memory");
    }
    *out = s;
    return AT_OK;
}

static void send(struct at_searches *s)
{
    struct job *job;

    while (s->sent < s->t->n && (job = at_lane_free_slot(s->lane)) != NULL) {
        job->status = at_search_open(&job->search, s->q, s->t, s->sent++,
                                     &job->err);
        at_lane_submit(s->lane);
    }
}

enum at_status at_searches_next(struct at_searches *s, struct at_finds *finds,
                                struct at_error *err)
{
    enum at_status st;
    struct job *job;

    send(s);
    job = at_lane_wait(s->lane);
    if (job == NULL)
        return AT_END;
    st = job->status == AT_OK ? at_search_settle(job->search, finds, err)
                              : at_error_copy(err, &job->err);
    at_search_close(job->search);
    job->search = NULL;
    at_lane_retire(s->lane);
    return st;
}

void at_searches_close(struct at_searches *s)
{
    if (s == NULL)
        return;
    at_lane_close(s->lane, drop);
    free(s);
}
