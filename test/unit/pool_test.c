/*
 * pool_test.c - lanes: any order in, the same order out
 */
#include "common.h"

#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "pool.h"

enum { MOST_THREADS = 8, TASKS = 400 };

struct task {
    uint32_t in, out;
    void *kept; /* a slot keeps what it has until it is dropped */
};

struct work {
    atomic_uint running, most, runs, drops;
    uint32_t last; /* in a serial lane: of the task before */
    bool in_order;
};

static void square(void *ctx, void *slot)
{
    struct work *w = ctx;
    struct task *t = slot;
    const unsigned now = atomic_fetch_add(&w->running, 1) + 1;

    if (now > atomic_load(&w->most))
        atomic_store(&w->most, now);
    if (t->in % 7 == 0)
        sched_yield();
    if (t->kept == NULL)
        t->kept = malloc(1);
    t->out = t->in * t->in;
    atomic_fetch_add(&w->runs, 1);
    atomic_fetch_sub(&w->running, 1);
}

static void square_serially(void *ctx, void *slot)
{
    struct work *w = ctx;
    const struct task *t = slot;

    /* not atomic: the thread sanitizer would tell of two at once */
    w->in_order = w->in_order && t->in == w->last + 1;
    w->last = t->in;
    square(ctx, slot);
}

static void drop_task(void *ctx, void *slot)
{
    struct work *w = ctx;
    struct task *t = slot;

    free(t->kept);
    t->kept = NULL;
    atomic_fetch_add(&w->drops, 1);
}

static struct at_pool *pool_of(unsigned threads)
{
    struct at_pool *pool;

    assert_int_equal(at_pool_open(&pool, threads, NULL), AT_OK);
    assert_int_equal(at_pool_threads(pool), threads);
    return pool;
}

static void expect_next(struct at_lane *lane, uint32_t *next)
{
    const struct task *t = at_lane_wait(lane);

    assert_non_null(t);
    assert_int_equal(t->in, *next);
    assert_int_equal(t->out, *next * *next);
    at_lane_retire(lane);
    ++*next;
}

/* Sends TASKS tasks through and checks each result. */
static void pump(struct at_lane *lane)
{
    uint32_t next = 1;

    for (uint32_t i = 1; i <= TASKS; i++) {
        struct task *t;

        while ((t = at_lane_free_slot(lane)) == NULL)
            expect_next(lane, &next);
        t->in = i;
        t->out = 0;
        at_lane_submit(lane);
        assert_int_equal(at_lane_pending(lane), i - next + 1);
    }
    while (at_lane_pending(lane) > 0)
        expect_next(lane, &next);
    assert_int_equal(next, TASKS + 1);
    assert_null(at_lane_wait(lane));
}

static void results_come_in_order(void **state)
{
    (void)state;
    for (unsigned threads = 1; threads <= MOST_THREADS; threads++) {
        struct at_pool *pool = pool_of(threads);
        struct work w = {.in_order = true};
        struct at_lane *lane = at_lane_open(pool, square, &w,
                                            sizeof(struct task), 0, false);

        assert_non_null(lane);
        pump(lane);
        at_lane_close(lane, drop_task);
        assert_int_equal(atomic_load(&w.runs), TASKS);
        assert_true(atomic_load(&w.most) <= threads);
        assert_int_equal(atomic_load(&w.drops), 2 * threads + 2);
        at_pool_close(pool);
    }
}

static void serial_tasks_run_one_by_one(void **state)
{
    (void)state;
    for (unsigned threads = 1; threads <= MOST_THREADS; threads++) {
        struct at_pool *pool = pool_of(threads);
        struct work w = {.in_order = true};
        struct at_lane *lane = at_lane_open(pool, square_serially, &w,
                                            sizeof(struct task), 5, true);

        assert_non_null(lane);
        pump(lane);
        at_lane_close(lane, drop_task);
        assert_true(w.in_order);
        assert_int_equal(w.last, TASKS);
        assert_int_equal(atomic_load(&w.most), 1);
        at_pool_close(pool);
    }
}

/* As a reader and a writer do: what comes out of one goes into the next. */
static void one_lane_feeds_another(void **state)
{
    struct at_pool *pool = pool_of(4);
    struct work a = {.in_order = true}, b = {.in_order = true};
    struct at_lane *in = at_lane_open(pool, square_serially, &a,
                                      sizeof(struct task), 0, true);
    struct at_lane *out = at_lane_open(pool, square, &b, sizeof(struct task), 0,
                                       false);
    uint32_t sent = 0, moved = 0, next = 1;

    (void)state;
    while (moved < TASKS) {
        struct task *t;

        while (sent < TASKS && (t = at_lane_free_slot(in)) != NULL) {
            t->in = ++sent;
            at_lane_submit(in);
        }
        assert_int_equal(((struct task *)at_lane_wait(in))->in, ++moved);
        at_lane_retire(in);
        while ((t = at_lane_free_slot(out)) == NULL)
            expect_next(out, &next);
        t->in = moved;
        at_lane_submit(out);
    }
    while (at_lane_pending(out) > 0)
        expect_next(out, &next);
    assert_int_equal(next, TASKS + 1);
    at_lane_close(out, drop_task);
    at_lane_close(in, drop_task);
    at_pool_close(pool);
}

/* What has not begun is not run, what runs is waited for, all is dropped. */
static void lane_closes_early(void **state)
{
    (void)state;
    for (unsigned threads = 1; threads <= MOST_THREADS; threads++) {
        struct at_pool *pool = pool_of(threads);
        struct work w = {.in_order = true};
        struct at_lane *lane = at_lane_open(pool, square, &w,
                                            sizeof(struct task), 16, false);
        uint32_t next = 1;

        for (uint32_t i = 1; i <= 16; i++) {
            struct task *t = at_lane_free_slot(lane);

            assert_non_null(t);
            t->in = i;
            at_lane_submit(lane);
        }
        assert_null(at_lane_free_slot(lane));
        expect_next(lane, &next);
        at_lane_close(lane, drop_task);
        assert_int_equal(atomic_load(&w.running), 0);
        assert_int_equal(atomic_load(&w.drops), 16);
        at_pool_close(pool);
    }
}

static void nothing_is_fine(void **state)
{
    struct at_pool *pool = pool_of(3);

    (void)state;
    at_lane_close(at_lane_open(pool, square, NULL, 1, 0, false), NULL);
    at_lane_close(NULL, NULL);
    at_pool_close(pool);
    at_pool_close(NULL);
    assert_int_equal(at_pool_open(&pool, 0, NULL), AT_OK);
    assert_true(at_pool_threads(pool) >= 1);
    at_pool_close(pool);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(results_come_in_order),
        cmocka_unit_test(serial_tasks_run_one_by_one),
        cmocka_unit_test(one_lane_feeds_another),
        cmocka_unit_test(lane_closes_early),
        cmocka_unit_test(nothing_is_fine),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
