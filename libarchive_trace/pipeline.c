/*
 * pipeline.c - a program over a trace set, by many workers
 *
 * Each worker has a serial lane of the pool: what is submitted to it runs in
 * order, one piece after the other, on whichever thread is free.  So a worker
 * needs no thread and no lock of its own, and one that is slow keeps nobody
 * from working, until all parcels under way wait for it.
 *
 * The thread of the run fills parcels, gives each worker that it concerns a
 * duty for it, and takes parcels back in their order.  A worker that has
 * nothing to do with a parcel is not asked for it, so nobody waits for it; a
 * tick concerns everybody.
 */
#include <semaphore.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "errors.h"
#include "parcel.h"
#include "pool.h"
#include "results.h"

struct worker {
    struct at_worker seen; /* by the program; first, see at_publish() */
    struct at_pipeline *p;
    struct at_lane *lane;
    struct at_worker_counts counts;
    struct at_text *results; /* where it publishes now */
    uint64_t taken;          /* number of the last parcel it gave back */
    bool in_tick;
    bool started;
    bool over; /* a callback has ended it */
};

/* A parcel for one worker; the slot of a lane. */
struct duty {
    struct at_parcel *parcel;
    struct at_text results;
    enum at_status status;
    struct at_cut cut; /* the callback that said so */
    struct at_error err;
};

struct at_pipeline {
    struct at_pipeline_options opts;
    struct at_traces *traces;
    struct at_clock clock;
    unsigned workers;
    struct worker *worker;

    struct at_parcel *parcel; /* a ring */
    size_t parcels;
    uint64_t filled, retired; /* parcels so far */
    uint64_t position;

    struct at_text edges;      /* published while workers start or stop */
    struct at_results results; /* of the parcel that is taken back */
    struct at_sorter *sorter;
    struct at_pipeline_counts counts;

    /* What ends the run, AT_OK while nothing has. */
    enum at_status status;
    struct at_error err;
    bool deaf; /* the reporter wants no more */

    sem_t wake;
    atomic_bool stop, pause, paused;
};

/* ---- on the pool's threads ------------------------------------------- */

static void end_worker(struct worker *w, struct duty *d, enum at_status st)
{
    d->status = st;
    d->cut = (struct at_cut){w->seen.position, w->seen.number, w->in_tick};
    w->over = true;
}

static void do_tick(struct worker *w, struct duty *d,
                    const struct at_tick *tick)
{
    enum at_status st = AT_OK;

    w->seen.position = tick->position;
    w->in_tick = true;
    w->counts.ticks++;
    if (w->p->opts.tick != NULL)
        st = w->p->opts.tick(&w->seen, tick, &d->err);
    if (st != AT_OK)
        end_worker(w, d, st);
    w->in_tick = false;
}

/* The ticks from number *t on that come before record 'i' of the parcel. */
static void do_ticks(struct worker *w, struct duty *d, size_t *t, size_t i)
{
    const struct at_parcel *parcel = d->parcel;

    while (!w->over && *t < parcel->ticks && parcel->tick[*t].before <= i)
        do_tick(w, d, &parcel->tick[(*t)++].tick);
}

static void do_record(struct worker *w, struct duty *d, size_t i)
{
    enum at_status st = AT_OK;

    w->seen.position = d->parcel->first + i;
    w->counts.records++;
    if (w->p->opts.packet != NULL)
        st = w->p->opts.packet(&w->seen, d->parcel->pkt[i], &d->err);
    if (st != AT_OK)
        end_worker(w, d, st);
}

static void do_duty(void *ctx, void *slot)
{
    struct worker *w = ctx;
    struct duty *d = slot;
    const struct at_parcel *parcel = d->parcel;
    const unsigned number = w->seen.number;
    const uint32_t *order = NULL;
    size_t n = parcel->owner == number ? parcel->n : 0;
    size_t tick = 0;

    if (parcel->whose != NULL) {
        order = parcel->order + parcel->start[number];
        n = parcel->start[number + 1] - parcel->start[number];
    }
    w->results = &d->results;
    for (size_t k = 0; k < n && !w->over; k++) {
        const size_t i = order != NULL ? order[k] : k;

        do_ticks(w, d, &tick, i);
        if (!w->over)
            do_record(w, d, i);
    }
    do_ticks(w, d, &tick, parcel->n);
}

enum at_status at_publish(struct at_worker *seen, uint64_t key,
                          const void *data, size_t bytes)
{
    struct worker *w = (struct worker *)(void *)seen;
    const struct at_result result = {
        .key = key,
        .data = data,
        .bytes = bytes,
        .worker = seen->number,
        .tick = w->in_tick,
        .position = seen->position,
    };

    w->counts.results++;
    return at_result_append(w->results, &result);
}

/* ---- reporting ------------------------------------------------------- */

/* What ends the run is told once. */
static void end_run(struct at_pipeline *p, enum at_status st,
                    const struct at_error *err)
{
    if (p->status != AT_OK)
        return;
    p->status = st;
    if (st < 0)
        p->err = *err;
}

static enum at_status report(struct at_pipeline *p, const struct at_result *r)
{
    struct at_error err = {.status = AT_OK};
    enum at_status st = AT_OK;

    p->counts.results++;
    if (p->opts.result != NULL)
        st = p->opts.result(p->opts.ctx, r, &err);
    if (st != AT_OK) {
        p->deaf = true;
        end_run(p, st, &err);
    }
    return st;
}

static enum at_status report_sorted(struct at_pipeline *p, bool end)
{
    const struct at_result *r;
    enum at_status st = AT_OK;

    while (!p->deaf && (r = at_sorter_take(p->sorter, end)) != NULL)
        st = report(p, r);
    p->counts.late = at_sorter_late(p->sorter);
    return st;
}

static void out_of_memory(struct at_pipeline *p)
{
    struct at_error err;

    end_run(p, at_error_set(&err, AT_ERR_MEMORY, "out of memory"), &err);
}

/* Reports what was collected, up to 'cut' (NULL: all of it). */
static void report_results(struct at_pipeline *p, const struct at_cut *cut)
{
    enum at_status st = AT_OK;

    at_results_sort(&p->results);
    for (size_t i = 0; i < p->results.n && st == AT_OK && !p->deaf; i++) {
        const struct at_result *r = &p->results.result[i];

        if (cut != NULL && !at_result_before(r, cut))
            break;
        if (p->sorter == NULL) {
            st = report(p, r);
            continue;
        }
        st = at_sorter_add(p->sorter, r);
        if (st != AT_OK)
            out_of_memory(p);
    }
    if (st == AT_OK && p->sorter != NULL)
        report_sorted(p, false);
    p->results.n = 0;
}

/* ---- parcels --------------------------------------------------------- */

static struct at_parcel *oldest(const struct at_pipeline *p)
{
    return &p->parcel[p->retired % p->parcels];
}

static bool has(const struct at_pipeline *p, unsigned w,
                const struct at_parcel *parcel)
{
    return p->worker[w].taken < parcel->number && at_parcel_concerns(parcel, w);
}

static bool is_done(const struct at_pipeline *p, const struct at_parcel *parcel)
{
    for (unsigned w = 0; w < p->workers; w++)
        if (has(p, w, parcel) && !at_lane_ready(p->worker[w].lane))
            return false;
    return true;
}

/* Waits for what worker 'w' says of the parcel that it has had longest, and
 * collects it.  The duty stays as it is until the next parcel is sent. */
static const struct duty *take_back(struct at_pipeline *p, unsigned w)
{
    struct worker *worker = &p->worker[w];
    const struct duty *d = at_lane_wait(worker->lane);

    if (at_results_add(&p->results, &d->results) != AT_OK || d->results.failed)
        out_of_memory(p);
    worker->taken = d->parcel->number;
    at_lane_retire(worker->lane);
    return d;
}

/* Reports what was collected, to where the duty ends the run if it does. */
static void close_books(struct at_pipeline *p, const struct duty *end)
{
    if (p->status == AT_OK)
        report_results(p, end != NULL ? &end->cut : NULL);
    p->results.n = 0;
    if (end != NULL)
        end_run(p, end->status, &end->err);
}

/* Waits for the oldest parcel and reports it; once the run has ended it is
 * only thrown away. */
static void retire_parcel(struct at_pipeline *p)
{
    struct at_parcel *parcel = oldest(p);
    const struct duty *end = NULL;

    for (unsigned w = 0; w < p->workers; w++) {
        const struct duty *d = has(p, w, parcel) ? take_back(p, w) : NULL;

        if (d != NULL && d->status != AT_OK &&
            (end == NULL || at_cut_before(&d->cut, &end->cut)))
            end = d;
    }
    close_books(p, end);
    at_parcel_release(parcel, p->traces);
    p->retired++;
}

/* Unordered: reports all that is done. */
static void report_ready(struct at_pipeline *p)
{
    for (unsigned w = 0; w < p->workers; w++)
        while (at_lane_ready(p->worker[w].lane)) {
            const struct duty *d = take_back(p, w);

            close_books(p, d->status != AT_OK ? d : NULL);
        }
}

static void retire_all(struct at_pipeline *p)
{
    while (p->retired < p->filled)
        retire_parcel(p);
}

/* There is a free slot in each lane as long as there is a free parcel. */
static void send_parcel(struct at_pipeline *p, struct at_parcel *parcel)
{
    parcel->owner = (unsigned)(p->filled % p->workers);
    p->filled++;
    p->position += parcel->n;
    p->counts.records += parcel->n;
    p->counts.ticks += parcel->ticks;
    for (unsigned w = 0; w < p->workers; w++) {
        struct duty *d;

        if (!at_parcel_concerns(parcel, w))
            continue;
        d = at_lane_free_slot(p->worker[w].lane);
        d->parcel = parcel;
        d->results.n = 0;
        d->results.failed = false;
        d->status = AT_OK;
        at_lane_submit(p->worker[w].lane);
    }
}

/* Fills and sends the next parcel; what the traces say comes after it. */
static enum at_status next_parcel(struct at_pipeline *p, struct at_error *err)
{
    struct at_parcel *parcel = &p->parcel[p->filled % p->parcels];
    enum at_status st;

    if (p->opts.combine == AT_COMBINE_UNORDERED)
        report_ready(p);
    while (p->status == AT_OK && p->retired < p->filled &&
           (p->filled - p->retired == p->parcels || is_done(p, oldest(p))))
        retire_parcel(p);
    if (p->status != AT_OK)
        return AT_END;
    parcel->first = p->position;
    parcel->number = p->filled + 1;
    st = at_parcel_fill(parcel, p->traces, &p->clock, p->workers, err);
    if (parcel->n > 0)
        send_parcel(p, parcel);
    else
        at_parcel_release(parcel, p->traces);
    return st;
}

/* ---- the run --------------------------------------------------------- */

static enum at_status look_around(struct at_pipeline *p, struct at_error *err)
{
    if (atomic_load(&p->pause) && !atomic_load(&p->stop)) {
        retire_all(p);
        atomic_store(&p->paused, true);
        while (atomic_load(&p->pause) && !atomic_load(&p->stop))
            sem_wait(&p->wake);
        atomic_store(&p->paused, false);
    }
    if (atomic_load(&p->stop) || p->status != AT_OK)
        return AT_END;
    return p->opts.progress != NULL
               ? p->opts.progress(p->opts.ctx, &p->counts, err)
               : AT_OK;
}

static void run_parcels(struct at_pipeline *p)
{
    struct at_error err = {.status = AT_OK};
    enum at_status st = AT_OK;

    while (st == AT_OK) {
        st = look_around(p, &err);
        if (st == AT_OK)
            st = next_parcel(p, &err);
    }
    /* An end in the parcels under way came before this one. */
    retire_all(p);
    if (st < 0)
        end_run(p, st, &err);
}

/* Before the first parcel and after the last: one worker after the other, on
 * this thread. */
static enum at_status call_worker(struct at_pipeline *p, struct worker *w,
                                  enum at_status (*fn)(struct at_worker *w,
                                                       struct at_error *err),
                                  struct at_error *err)
{
    p->edges.n = 0;
    w->seen.position = p->position;
    w->results = &p->edges;
    return fn != NULL ? fn(&w->seen, err) : AT_OK;
}

static void report_edges(struct at_pipeline *p)
{
    if (at_results_add(&p->results, &p->edges) != AT_OK || p->edges.failed)
        out_of_memory(p);
    report_results(p, NULL);
}

static bool start_workers(struct at_pipeline *p)
{
    for (unsigned i = 0; i < p->workers && p->status == AT_OK; i++) {
        struct at_error err = {.status = AT_OK};
        struct worker *w = &p->worker[i];
        const enum at_status st = call_worker(p, w, p->opts.starting, &err);

        w->started = true;
        if (st == AT_OK)
            report_edges(p);
        else
            end_run(p, st, &err);
    }
    return p->status == AT_OK;
}

/* What they publish is reported unless the run has failed or the reporter
 * wants no more. */
static void stop_workers(struct at_pipeline *p)
{
    const bool failed = p->status < 0;

    for (unsigned i = 0; i < p->workers && p->worker[i].started; i++) {
        struct at_error err = {.status = AT_OK};
        const enum at_status st = call_worker(p, &p->worker[i],
                                              p->opts.stopping, &err);

        if (!failed)
            report_edges(p);
        if (st < 0)
            end_run(p, st, &err);
    }
}

enum at_status at_pipeline_run(struct at_pipeline *p, struct at_error *err)
{
    if (start_workers(p))
        run_parcels(p);
    stop_workers(p);
    if (p->sorter != NULL)
        report_sorted(p, true);
    if (p->status < 0) {
        at_error_copy(err, &p->err);
        return p->status;
    }
    return AT_OK;
}

/* ---- opening and closing --------------------------------------------- */

static uint32_t hash_flow(void *ctx, const struct at_packet *pkt)
{
    (void)ctx;
    return at_flow_hash(pkt, false);
}

static uint32_t hash_direction(void *ctx, const struct at_packet *pkt)
{
    (void)ctx;
    return at_flow_hash(pkt, true);
}

static bool share_by_hash(struct at_pipeline *p)
{
    switch (p->opts.share) {
    case AT_SHARE_FLOWS:
        at_traces_hash_by(p->traces, hash_flow, NULL);
        return true;
    case AT_SHARE_DIRECTIONS:
        at_traces_hash_by(p->traces, hash_direction, NULL);
        return true;
    case AT_SHARE_HASH:
        at_traces_hash_by(p->traces, p->opts.hash, p->opts.ctx);
        return true;
    default:
        return false;
    }
}

static enum at_status make_worker(struct at_pipeline *p, unsigned i)
{
    struct worker *w = &p->worker[i];

    w->p = p;
    w->seen = (struct at_worker){
        .ctx = p->opts.ctx,
        .state = calloc(1, p->opts.state_bytes + 1),
        .number = i,
        .workers = p->workers,
    };
    w->lane = at_lane_open(at_traces_pool(p->traces), do_duty, w,
                           sizeof(struct duty), p->parcels, true);
    return w->seen.state == NULL || w->lane == NULL ? AT_ERR_MEMORY : AT_OK;
}

static enum at_status make_all(struct at_pipeline *p, struct at_error *err)
{
    const bool hashed = share_by_hash(p);
    enum at_status st = AT_OK;

    p->parcel = calloc(p->parcels, sizeof(p->parcel[0]));
    p->worker = calloc(p->workers, sizeof(p->worker[0]));
    if (p->parcel == NULL || p->worker == NULL)
        st = AT_ERR_MEMORY;
    for (size_t i = 0; i < p->parcels && st == AT_OK; i++)
        st = at_parcel_init(&p->parcel[i], p->workers, hashed);
    for (unsigned i = 0; i < p->workers && st == AT_OK; i++)
        st = make_worker(p, i);
    if (st != AT_OK)
        return at_error_set(err, st, "out of memory");
    return p->opts.combine == AT_COMBINE_SORTED
               ? at_sorter_open(&p->sorter, p->opts.sort_window, err)
               : AT_OK;
}

enum at_status at_pipeline_open(struct at_pipeline **out,
                                struct at_traces *traces,
                                const struct at_pipeline_options *opts,
                                struct at_error *err)
{
    struct at_pipeline *p = calloc(1, sizeof(*p));
    unsigned threads;
    enum at_status st;

    *out = NULL;
    if (p == NULL)
        return at_error_set(err, AT_ERR_MEMORY, "out of memory");
    memcpy(&p->opts, opts,
           opts->size < sizeof(p->opts) ? opts->size : sizeof(p->opts));
    sem_init(&p->wake, 0, 0);
    p->traces = traces;
    threads = at_pool_threads(at_traces_pool(traces));
    p->workers = p->opts.workers > 0 ? p->opts.workers : threads;
    p->parcels = 2 * (size_t)threads + 2;
    p->clock.every = p->opts.tick_records;
    p->clock.every_ns = p->opts.tick_ns;
    st = make_all(p, err);
    if (st == AT_OK)
        *out = p;
    else
        at_pipeline_close(p);
    return st;
}

static void drop_duty(void *ctx, void *slot)
{
    struct duty *d = slot;

    (void)ctx;
    at_text_close(&d->results);
}

void at_pipeline_close(struct at_pipeline *p)
{
    if (p == NULL)
        return;
    for (unsigned i = 0; p->worker != NULL && i < p->workers; i++) {
        at_lane_close(p->worker[i].lane, drop_duty);
        free(p->worker[i].seen.state);
    }
    for (size_t i = 0; p->parcel != NULL && i < p->parcels; i++) {
        at_parcel_release(&p->parcel[i], p->traces);
        at_parcel_clear(&p->parcel[i]);
    }
    at_sorter_close(p->sorter);
    sem_destroy(&p->wake);
    at_text_close(&p->edges);
    free(p->results.result);
    free(p->worker);
    free(p->parcel);
    free(p);
}

/* ---- from anywhere --------------------------------------------------- */

void at_pipeline_stop(struct at_pipeline *p)
{
    atomic_store(&p->stop, true);
    sem_post(&p->wake);
}

void at_pipeline_pause(struct at_pipeline *p)
{
    atomic_store(&p->pause, true);
}

void at_pipeline_resume(struct at_pipeline *p)
{
    atomic_store(&p->pause, false);
    sem_post(&p->wake);
}

bool at_pipeline_paused(const struct at_pipeline *p)
{
    return atomic_load(&p->paused);
}

const struct at_pipeline_counts *at_pipeline_count(const struct at_pipeline *p)
{
    return &p->counts;
}

unsigned at_pipeline_workers(const struct at_pipeline *p)
{
    return p->workers;
}

const struct at_worker_counts *at_pipeline_worker(const struct at_pipeline *p,
                                                  unsigned i)
{
    return &p->worker[i].counts;
}
