/*
 * pipeline_test.c - what workers see of a trace, and what comes of it
 */
#include "common.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    PACKETS = 40000, /* some parcels */
    MOST_WORKERS = 9,
    BASE = 1000000, /* seconds */
};

/* One packet a millisecond, the number of each in its first bytes. */
static struct bytes numbered(unsigned first, unsigned n)
{
    struct bytes b = {.p = NULL};

    add_pcap_header(&b);
    for (unsigned i = first; i < first + n; i++) {
        add_le32(&b, BASE + i / 1000);
        add_le32(&b, i % 1000 * 1000000);
        add_le32(&b, 60);
        add_le32(&b, 60);
        add_le32(&b, i);
        add_zeros(&b, 56);
    }
    return b;
}

static uint32_t number_of(const struct at_packet *pkt)
{
    uint32_t n;

    memcpy(&n, pkt->data, sizeof(n));
    return n;
}

/* ---- a program that writes down what it sees ------------------------- */

struct state {
    uint64_t packets;
    uint64_t last; /* position */
    uint64_t ticks;
    bool started, stopped;
};

struct seen_result {
    uint64_t key, position;
    unsigned worker;
    bool tick;
};

struct program {
    struct at_pipeline_options opts;
    struct at_pool *pool;
    unsigned idle;       /* workers of this number and more get nothing */
    unsigned slow;       /* 1 more than the worker that is */
    uint64_t fail[2];    /* positions where a packet is an error; 0: none */
    uint64_t end;        /* where one ends the run; 0: nowhere */
    uint64_t tick_fails; /* number of the tick + 1 */
    uint64_t enough;     /* results that the reporter takes; 0: all */
    unsigned every;      /* positions that publish */

    struct seen_result *result;
    size_t results;
    struct state state[MOST_WORKERS]; /* at the end */
    uint64_t sum;                     /* of the numbers that were published */
    struct at_pipeline *pipeline;
};

static enum at_status starting(struct at_worker *w, struct at_error *err)
{
    struct state *s = w->state;

    (void)err;
    assert_false(s->started);
    s->started = true;
    return AT_OK;
}

static enum at_status packet(struct at_worker *w, const struct at_packet *pkt,
                             struct at_error *err)
{
    const struct program *g = w->ctx;
    struct state *s = w->state;
    const uint64_t key = number_of(pkt);

    assert_true(s->started && !s->stopped);
    assert_true(s->packets == 0 || w->position > s->last);
    assert_int_equal(number_of(pkt), w->position);
    s->packets++;
    s->last = w->position;
    if (g->slow == w->number + 1 && s->packets % 256 == 0)
        usleep(200);
    for (unsigned i = 0; i < 2; i++)
        if (g->fail[i] > 0 && w->position == g->fail[i])
            return at_error_set(err, AT_ERR_CORRUPT, "at %u", (unsigned)key);
    if (g->every > 0 && w->position % g->every == 0)
        assert_int_equal(at_publish(w, key, &key, sizeof(key)), AT_OK);
    return g->end > 0 && w->position == g->end ? AT_END : AT_OK;
}

static enum at_status tick(struct at_worker *w, const struct at_tick *t,
                           struct at_error *err)
{
    const struct program *g = w->ctx;
    struct state *s = w->state;

    assert_int_equal(t->number, s->ticks);
    assert_int_equal(t->position, w->position);
    assert_true(s->packets == 0 || s->last < t->position);
    if (t->kind == AT_TICK_COUNT)
        assert_int_equal(t->position, (t->number + 1) * g->opts.tick_records);
    else
        assert_int_equal(t->time_ns % g->opts.tick_ns, 0);
    s->ticks++;
    if (g->tick_fails == t->number + 1 && w->number == 1)
        return at_error_set(err, AT_ERR_CORRUPT, "tick");
    return at_publish(w, t->number, &s->packets, sizeof(s->packets));
}

static enum at_status stopping(struct at_worker *w, struct at_error *err)
{
    struct program *g = w->ctx;
    struct state *s = w->state;

    (void)err;
    assert_true(s->started && !s->stopped);
    s->stopped = true;
    g->state[w->number] = *s;
    return AT_OK;
}

static enum at_status result(void *ctx, const struct at_result *r,
                             struct at_error *err)
{
    struct program *g = ctx;
    uint64_t data;

    (void)err;
    assert_int_equal(r->bytes, sizeof(data));
    memcpy(&data, r->data, sizeof(data));
    if (!r->tick) {
        assert_int_equal(data, r->key);
        g->sum += data;
    }
    if (g->results % 1024 == 0)
        g->result = realloc(g->result,
                            (g->results + 1024) * sizeof(*g->result));
    g->result[g->results++] = (struct seen_result){
        .key = r->key,
        .position = r->position,
        .worker = r->worker,
        .tick = r->tick,
    };
    return g->enough > 0 && g->results == g->enough ? AT_END : AT_OK;
}

static uint32_t by_number(void *ctx, const struct at_packet *pkt)
{
    const struct program *g = ctx;
    const uint32_t w = number_of(pkt) % (g->idle > 0 ? g->idle : 1);

    /* The middle of what belongs to worker 'w'. */
    return (uint32_t)((((uint64_t)w << 32) + (UINT64_C(1) << 31)) /
                      g->opts.workers);
}

static struct program program(struct at_pool *pool, unsigned workers)
{
    struct program g = {
        .pool = pool,
        .every = 100,
        .opts =
            {
                .size = sizeof(g.opts),
                .workers = workers,
                .state_bytes = sizeof(struct state),
                .starting = starting,
                .stopping = stopping,
                .packet = packet,
                .tick = tick,
                .result = result,
                .hash = by_number,
            },
    };

    return g;
}

static enum at_status run_on(struct program *g, char *path[], size_t n,
                             struct at_error *err)
{
    const struct at_traces_options opts = {
        .size = sizeof(opts), .pool = g->pool, .memory = 1, /* small batches */
    };
    struct at_traces *t;
    enum at_status st;

    g->opts.ctx = g;
    assert_int_equal(at_traces_open(&t, path, n, &opts, err), AT_OK);
    assert_int_equal(at_pipeline_open(&g->pipeline, t, &g->opts, err), AT_OK);
    st = at_pipeline_run(g->pipeline, err);
    at_pipeline_close(g->pipeline);
    at_traces_close(t);
    return st;
}

static char *trace_of(const struct bytes *b, const char *name)
{
    char *path = strdup(temporary(name));

    write_file(path, b->p, b->n);
    return path;
}

static enum at_status run(struct program *g, struct at_error *err)
{
    struct bytes b = numbered(0, PACKETS);
    char *path = trace_of(&b, "a.pcap");
    const enum at_status st = run_on(g, &path, 1, err);

    free(path);
    drop(&b);
    return st;
}

/* Calls 'fn' for some numbers of threads and workers. */
static void everywhere(void (*fn)(struct at_pool *pool, unsigned workers))
{
    static const unsigned threads[] = {1, 2, 3, 8};
    static const unsigned workers[] = {1, 2, 3, MOST_WORKERS};

    for (unsigned i = 0; i < 4; i++)
        for (unsigned k = 0; k < 4; k++) {
            struct at_pool *pool;

            assert_int_equal(at_pool_open(&pool, threads[i], NULL), AT_OK);
            fn(pool, workers[k]);
            at_pool_close(pool);
        }
}

/* ---- results --------------------------------------------------------- */

static void check_ordered(struct at_pool *pool, unsigned workers)
{
    for (unsigned share = AT_SHARE_BLOCKS; share <= AT_SHARE_HASH; share++) {
        struct program g = program(pool, workers);
        uint64_t packets = 0;
        struct at_error err;

        g.opts.share = share;
        g.idle = workers;
        assert_int_equal(run(&g, &err), AT_OK);
        assert_int_equal(g.results, PACKETS / 100);
        for (size_t i = 0; i < g.results; i++)
            assert_int_equal(g.result[i].position, 100 * i);
        for (unsigned w = 0; w < workers; w++) {
            assert_true(g.state[w].started && g.state[w].stopped);
            packets += g.state[w].packets;
        }
        assert_int_equal(packets, PACKETS);
        free(g.result);
    }
}

static void test_results_are_in_order(void **state)
{
    (void)state;
    everywhere(check_ordered);
}

static void check_unordered(struct at_pool *pool, unsigned workers)
{
    struct program g = program(pool, workers);
    struct at_error err;

    g.opts.combine = AT_COMBINE_UNORDERED;
    g.slow = 2;
    assert_int_equal(run(&g, &err), AT_OK);
    assert_int_equal(g.results, PACKETS / 100);
    assert_int_equal(g.sum, 100ull * (PACKETS / 100) * (PACKETS / 100 - 1) / 2);
    free(g.result);
}

static void test_unordered_results_come_once(void **state)
{
    (void)state;
    everywhere(check_unordered);
}

/* The key of number n is n with its lowest decimal digits turned round. */
static enum at_status publish_turned(struct at_worker *w,
                                     const struct at_packet *pkt,
                                     struct at_error *err)
{
    const uint64_t n = number_of(pkt);
    const uint64_t key = n / 100 * 100 + 99 - n % 100;

    (void)err;
    return at_publish(w, key, &key, sizeof(key));
}

static void check_sorted(struct at_pool *pool, unsigned workers)
{
    const uint64_t window[] = {0, 100, 10};

    for (unsigned i = 0; i < 3; i++) {
        struct program g = program(pool, workers);
        struct at_error err;
        size_t back = 0;

        g.opts.combine = AT_COMBINE_SORTED;
        g.opts.packet = publish_turned;
        g.opts.sort_window = window[i];
        assert_int_equal(run(&g, &err), AT_OK);
        assert_int_equal(g.results, PACKETS);
        for (size_t k = 1; k < g.results; k++)
            back += g.result[k].key < g.result[k - 1].key;
        assert_true(i == 2 ? back > 0 : back == 0);
        free(g.result);
    }
}

static void test_results_are_sorted(void **state)
{
    (void)state;
    everywhere(check_sorted);
}

/* ---- ticks ----------------------------------------------------------- */

static void check_ticks(struct at_pool *pool, unsigned workers)
{
    for (unsigned share = 0; share < 2; share++) {
        struct program g = program(pool, workers);
        struct at_error err;

        /* All packets go to one worker, or one is slow. */
        g.opts.share = share == 0 ? AT_SHARE_HASH : AT_SHARE_BLOCKS;
        g.idle = 1;
        g.slow = share == 0 ? 0 : 1;
        g.opts.tick_records = 777;
        assert_int_equal(run(&g, &err), AT_OK);
        for (unsigned w = 0; w < workers; w++)
            assert_int_equal(g.state[w].ticks, (PACKETS - 1) / 777);
        assert_int_equal(g.results,
                         PACKETS / 100 + workers * ((PACKETS - 1) / 777));
        for (size_t i = 1; i < g.results; i++) {
            const struct seen_result *a = &g.result[i - 1], *b = a + 1;

            assert_true(a->position < b->position ||
                        (a->position == b->position && a->tick &&
                         (!b->tick || a->worker < b->worker)));
        }
        free(g.result);
    }
}

static void test_ticks_reach_every_worker(void **state)
{
    (void)state;
    everywhere(check_ticks);
}

static void test_no_packets_no_ticks(void **state)
{
    struct bytes b = numbered(0, 0);
    char *path = trace_of(&b, "empty.pcap");
    struct at_pool *pool;
    struct program g;
    struct at_error err;

    (void)state;
    assert_int_equal(at_pool_open(&pool, 2, &err), AT_OK);
    g = program(pool, 3);
    g.opts.tick_records = 1;
    g.opts.tick_ns = 1;
    assert_int_equal(run_on(&g, &path, 1, &err), AT_OK);
    assert_int_equal(g.results, 0);
    assert_true(g.state[2].started && g.state[2].stopped);
    at_pool_close(pool);
    free(path);
    drop(&b);
}

struct passed {
    uint64_t ticks, intervals;
    int64_t last_ns;
};

static enum at_status count_passed(struct at_worker *w, const struct at_tick *t,
                                   struct at_error *err)
{
    struct passed *p = w->state;

    (void)err;
    assert_int_equal(t->kind, AT_TICK_TIME);
    assert_true(t->time_ns > p->last_ns);
    if (p->ticks > 0)
        assert_int_equal(t->time_ns - p->last_ns,
                         (int64_t)t->passed * 1000000000);
    p->ticks++;
    p->intervals += t->passed;
    p->last_ns = t->time_ns;
    return AT_OK;
}

static enum at_status check_passed(struct at_worker *w, struct at_error *err)
{
    const struct passed *p = w->state;

    (void)err;
    assert_int_equal(p->ticks, 5);
    assert_int_equal(p->intervals, 1000 + 5);
    return AT_OK;
}

/* Three seconds, a long silence, three and a bit, and one that is late. */
static void test_ticks_by_time_count_empty_intervals(void **state)
{
    struct bytes b = numbered(0, 3000), more = numbered(1003000, 2500);
    struct bytes late = numbered(1000, 1);
    const size_t header = 24;
    struct at_pool *pool;
    struct at_error err;
    struct program g;
    char *path;

    (void)state;
    add(&b, more.p + header, more.n - header);
    add(&b, late.p + header, late.n - header);
    path = trace_of(&b, "gap.pcap");
    assert_int_equal(at_pool_open(&pool, 2, &err), AT_OK);
    g = program(pool, 4);
    g.opts.state_bytes = sizeof(struct passed);
    g.opts.starting = NULL;
    g.opts.packet = NULL;
    g.opts.tick = count_passed;
    g.opts.stopping = check_passed;
    g.opts.tick_ns = 1000000000;
    /* At 1, 2, then 1003 for all that passed, 1004, 1005. */
    assert_int_equal(run_on(&g, &path, 1, &err), AT_OK);
    at_pool_close(pool);
    free(path);
    drop(&b);
    drop(&more);
    drop(&late);
}

/* ---- ends ------------------------------------------------------------ */

static void check_errors(struct at_pool *pool, unsigned workers)
{
    struct program g = program(pool, workers);
    struct at_error err;

    g.fail[0] = 30050;
    g.fail[1] = 20050; /* this is the one that counts */
    g.slow = 1;
    assert_int_equal(run(&g, &err), AT_ERR_CORRUPT);
    assert_string_equal(err.msg, "at 20050");
    assert_int_equal(g.results, 201);
    for (unsigned w = 0; w < workers; w++)
        assert_true(g.state[w].stopped);
    free(g.result);
}

static void test_first_error_counts(void **state)
{
    (void)state;
    everywhere(check_errors);
}

static void check_ends(struct at_pool *pool, unsigned workers)
{
    struct program g = program(pool, workers);
    struct at_error err;

    g.end = 20000; /* which is published, too */
    g.opts.tick_records = 5000;
    assert_int_equal(run(&g, &err), AT_OK);
    assert_int_equal(g.results, 201 + 4 * workers);
    free(g.result);

    g = program(pool, workers);
    g.enough = 7;
    assert_int_equal(run(&g, &err), AT_OK);
    assert_int_equal(g.results, 7);
    free(g.result);
}

static void test_callbacks_can_end_the_run(void **state)
{
    (void)state;
    everywhere(check_ends);
}

static void test_error_of_a_tick(void **state)
{
    struct at_pool *pool;
    struct at_error err;
    struct program g;

    (void)state;
    assert_int_equal(at_pool_open(&pool, 2, &err), AT_OK);
    g = program(pool, 3);
    g.opts.tick_records = 10000;
    g.tick_fails = 2;
    assert_int_equal(run(&g, &err), AT_ERR_CORRUPT);
    assert_string_equal(err.msg, "tick");
    /* Packets before 20000, the first tick of all, the second of worker 0. */
    assert_int_equal(g.results, 200 + 3 + 1);
    free(g.result);
    at_pool_close(pool);
}

static void test_damaged_input_is_told_after_its_packets(void **state)
{
    struct bytes b = numbered(0, PACKETS);
    struct at_pool *pool;
    struct at_error err;
    struct program g;
    char *path;

    (void)state;
    b.n -= 30;
    path = trace_of(&b, "cut.pcap");
    assert_int_equal(at_pool_open(&pool, 3, &err), AT_OK);
    g = program(pool, 3);
    g.every = 1;
    assert_int_equal(run_on(&g, &path, 1, &err), AT_ERR_TRUNCATED);
    assert_int_equal(g.results, PACKETS - 1);
    free(g.result);
    at_pool_close(pool);
    free(path);
    drop(&b);
}

/* ---- from elsewhere -------------------------------------------------- */

/* A signal handler has nothing but what is static. */
static struct {
    struct program *g;
    atomic_uint progress; /* calls */
    atomic_bool opened, paused;
} helper;

static void help(struct program *g)
{
    memset(&helper, 0, sizeof(helper));
    helper.g = g;
}

static enum at_status pause_once(void *ctx,
                                 const struct at_pipeline_counts *counts,
                                 struct at_error *err)
{
    const struct program *g = ctx;

    (void)err;
    (void)counts;
    atomic_store(&helper.opened, true);
    if (atomic_fetch_add(&helper.progress, 1) == 2)
        at_pipeline_pause(g->pipeline);
    return AT_OK;
}

static void *resume_later(void *ctx)
{
    const struct program *g = helper.g;
    uint64_t results;

    (void)ctx;
    while (!atomic_load(&helper.opened) || !at_pipeline_paused(g->pipeline))
        usleep(100);
    /* All that was sent has been reported, and nothing moves. */
    results = g->results;
    assert_true(results > 0);
    usleep(2000);
    assert_int_equal(g->results, results);
    atomic_store(&helper.paused, true);
    at_pipeline_resume(g->pipeline);
    return NULL;
}

static void test_pause_and_resume(void **state)
{
    struct at_pool *pool;
    struct at_error err;
    struct program g;
    pthread_t thread;

    (void)state;
    assert_int_equal(at_pool_open(&pool, 2, &err), AT_OK);
    g = program(pool, 2);
    g.opts.progress = pause_once;
    help(&g);
    pthread_create(&thread, NULL, resume_later, NULL);
    assert_int_equal(run(&g, &err), AT_OK);
    pthread_join(thread, NULL);
    assert_true(atomic_load(&helper.paused));
    assert_int_equal(g.results, PACKETS / 100);
    free(g.result);
    at_pool_close(pool);
}

static void stop_it(int signal_number)
{
    (void)signal_number;
    /* NOLINTNEXTLINE(bugprone-signal-handler): the header promises it */
    at_pipeline_stop(helper.g->pipeline);
}

static enum at_status signal_once(void *ctx,
                                  const struct at_pipeline_counts *counts,
                                  struct at_error *err)
{
    (void)ctx;
    (void)counts;
    (void)err;
    if (atomic_fetch_add(&helper.progress, 1) == 2)
        raise(SIGUSR1);
    return AT_OK;
}

static void test_stop_by_a_signal(void **state)
{
    struct at_pool *pool;
    struct at_error err;
    struct program g;

    (void)state;
    signal(SIGUSR1, stop_it);
    assert_int_equal(at_pool_open(&pool, 2, &err), AT_OK);
    g = program(pool, 2);
    g.opts.progress = signal_once;
    help(&g);
    assert_int_equal(run(&g, &err), AT_OK);
    /* Three parcels of 8192 had been sent. */
    assert_int_equal(g.results, (3 * 8192 + 99) / 100);
    free(g.result);
    at_pool_close(pool);
    signal(SIGUSR1, SIG_DFL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_results_are_in_order),
        cmocka_unit_test(test_unordered_results_come_once),
        cmocka_unit_test(test_results_are_sorted),
        cmocka_unit_test(test_ticks_reach_every_worker),
        cmocka_unit_test(test_no_packets_no_ticks),
        cmocka_unit_test(test_ticks_by_time_count_empty_intervals),
        cmocka_unit_test(test_first_error_counts),
        cmocka_unit_test(test_callbacks_can_end_the_run),
        cmocka_unit_test(test_error_of_a_tick),
        cmocka_unit_test(test_damaged_input_is_told_after_its_packets),
        cmocka_unit_test(test_pause_and_resume),
        cmocka_unit_test(test_stop_by_a_signal),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
