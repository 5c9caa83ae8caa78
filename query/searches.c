/*
 * searches.c - one target after the other, and others ahead
 *
 * Judging the rows of an index needs no other, so the pool does it for some
 * targets at once, and for shares of the rows where there are many.  What
 * packets must tell is asked for one target at a time, by the whole pool.
 */
#include <stdlib.h>

#include "errors.h"
#include "gist.h"
#include "pool.h"
#include "query.h"

struct job {
    struct at_search *search;
    struct at_gist gist;
    bool last; /* of the target's */
    enum at_status status;
    struct at_error err;
};

struct at_searches {
    const struct at_query *q;
    const struct at_targets *t;
    struct at_gist *gist; /* of all targets so far */
    struct at_lane *lane;
    size_t sent;          /* targets, and of the next one */
    size_t share, shares; /* so many shares of so many */
};

static void judge(void *ctx, void *slot)
{
    struct job *job = slot;

    (void)ctx;
    if (job->status == AT_OK)
        job->status = at_search_rows(job->search, &job->gist, &job->err);
}

static void drop(void *ctx, void *slot)
{
    struct job *job = slot;

    (void)ctx;
    at_search_close(job->search);
    at_gist_close(&job->gist);
    job->search = NULL;
}

enum at_status at_searches_open(struct at_searches **out,
                                const struct at_query *q,
                                const struct at_targets *t,
                                struct at_gist *gist, struct at_error *err)
{
    struct at_searches *s = calloc(1, sizeof(*s));

    *out = NULL;
    if (s == NULL)
        return at_error_set(err, AT_ERR_MEMORY, "out of memory");
    *s = (struct at_searches){.q = q, .t = t, .gist = gist};
    s->lane = at_lane_open(q->pool, judge, s, sizeof(struct job), 0, false);
    if (s->lane == NULL) {
        free(s);
        return at_error_set(err, AT_ERR_MEMORY, "out of memory");
    }
    *out = s;
    return AT_OK;
}

/* Opens the next share of a target's rows; the first tells how many there are.
 */
static void open_share(struct at_searches *s, struct job *job)
{
    job->gist = at_gist_like(s->gist);
    job->status = at_search_open(&job->search, s->q, s->t, s->sent, &job->err);
    if (s->share == 0)
        s->shares = job->status == AT_OK ? at_search_shares(job->search) : 1;
    if (job->status == AT_OK)
        at_search_share(job->search, s->share, s->shares);
    job->last = ++s->share == s->shares;
    if (job->last) {
        s->sent++;
        s->share = 0;
    }
}

static void send(struct at_searches *s)
{
    struct job *job;

    while (s->sent < s->t->n && (job = at_lane_free_slot(s->lane)) != NULL) {
        open_share(s, job);
        at_lane_submit(s->lane);
    }
}

/* Adds what a share has to 'all'; returns whether it was the last. */
static bool add_share(struct job *all, struct job *job)
{
    const bool last = job->last;
    struct at_search *search = job->search;

    if (all->status == AT_OK && job->status != AT_OK) {
        all->status = job->status;
        all->err = job->err;
    }
    if (all->status == AT_OK)
        all->status = at_gist_merge(&all->gist, &job->gist);
    if (all->status == AT_OK && all->search != NULL)
        all->status = at_search_join(all->search, search, &all->err);
    else if (all->status == AT_OK) {
        all->search = search;
        job->search = NULL;
    }
    drop(NULL, job);
    return last;
}

enum at_status at_searches_next(struct at_searches *s, struct at_finds *finds,
                                struct at_parts *parts, struct at_error *err)
{
    struct job all = {.gist = at_gist_like(s->gist)};
    struct job *job;
    bool last = false;

    send(s);
    for (; !last && (job = at_lane_wait(s->lane)) != NULL; send(s)) {
        last = add_share(&all, job);
        at_lane_retire(s->lane);
    }
    if (!last)
        return AT_END;
    if (all.status == AT_OK)
        all.status = at_search_settle(all.search, &all.gist, finds, parts,
                                      &all.err);
    if (all.status >= 0)
        all.status = at_gist_merge(s->gist, &all.gist);
    drop(NULL, &all);
    return all.status >= 0 ? all.status : at_error_copy(err, &all.err);
}

void at_searches_close(struct at_searches *s)
{
    if (s == NULL)
        return;
    at_lane_close(s->lane, drop);
    free(s);
}
