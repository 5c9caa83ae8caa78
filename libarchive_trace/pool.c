/*
 * pool.c - threads that serve lanes
 *
 * One mutex guards the pool and its lanes.  It is taken twice for a task, and
 * a task is a block of at least 64 KiB, so it is never contended in earnest:
 * measured at under 1 us a task against 30 us and more of work.
 *
 * A free thread serves the lane that was opened last: that is the one nearest
 * to the output, which keeps memory low and the pipeline moving.
 */
#include "pool.h"

#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <unistd.h>

struct at_lane {
    struct at_pool *pool;
    struct at_lane *older; /* guarded by pool->lock */
    at_lane_fn *fn;
    void *ctx;
    uint8_t *slot;
    bool *done; /* guarded by pool->lock */
    size_t slot_bytes;
    size_t slots;
    bool serial;
    /* Counts of slots ever retired, begun and submitted, in this order. */
    uint64_t retired; /* the owner alone */
    uint64_t begun;   /* guarded by pool->lock */
    uint64_t filled;  /* guarded by pool->lock, written by the owner */
    unsigned running; /* guarded by pool->lock */
};

struct at_pool {
    pthread_mutex_t lock;
    pthread_cond_t work; /* something can be begun, or 'stop' */
    pthread_cond_t done; /* a task has ended */
    struct at_lane *newest;
    bool stop;
    unsigned threads; /* that the pool stands for: one more than started */
    unsigned started;
    pthread_t *thread;
};

static bool lane_can_begin(const struct at_lane *lane)
{
    return lane->begun < lane->filled && !(lane->serial && lane->running > 0);
}

/* Runs one task of 'lane'.  The lock is held on entry and on return. */
static void lane_run_one(struct at_lane *lane)
{
    struct at_pool *pool = lane->pool;
    const size_t i = lane->begun++ % lane->slots;

    lane->running++;
    pthread_mutex_unlock(&pool->lock);
    lane->fn(lane->ctx, lane->slot + i * lane->slot_bytes);
    pthread_mutex_lock(&pool->lock);
    lane->running--;
    lane->done[i] = true;
    pthread_cond_broadcast(&pool->done);
    if (lane->serial && lane->begun < lane->filled)
        pthread_cond_signal(&pool->work);
}

static struct at_lane *pool_find_work(struct at_pool *pool)
{
    struct at_lane *lane = pool->newest;

    while (lane != NULL && !lane_can_begin(lane))
        lane = lane->older;
    return lane;
}

static void *pool_thread(void *arg)
{
    struct at_pool *pool = arg;

    pthread_mutex_lock(&pool->lock);
    while (!pool->stop) {
        struct at_lane *lane = pool_find_work(pool);

        if (lane != NULL)
            lane_run_one(lane);
        else
            pthread_cond_wait(&pool->work, &pool->lock);
    }
    pthread_mutex_unlock(&pool->lock);
    return NULL;
}

static unsigned processors(void)
{
    cpu_set_t set;
    int n = 0;

    if (sched_getaffinity(0, sizeof(set), &set) == 0)
        n = CPU_COUNT(&set);
    return n > 0 ? (unsigned)n : 1;
}

enum at_status at_pool_open(struct at_pool **out, unsigned threads,
                            struct at_error *err)
{
    struct at_pool *pool = calloc(1, sizeof(*pool));

    *out = NULL;
    if (pool == NULL)
        return at_error_set(err, AT_ERR_MEMORY, "out of memory");
    pool->threads = threads > 0 ? threads : processors();
    pool->thread = calloc(pool->threads, sizeof(pool->thread[0]));
    if (pool->thread == NULL) {
        free(pool);
        return at_error_set(err, AT_ERR_MEMORY, "out of memory");
    }
    pthread_mutex_init(&pool->lock, NULL);
    pthread_cond_init(&pool->work, NULL);
    pthread_cond_init(&pool->done, NULL);
    while (pool->started + 1 < pool->threads) {
        if (pthread_create(&pool->thread[pool->started], NULL, pool_thread,
                           pool) != 0) {
            at_pool_close(pool);
            return at_error_set(err, AT_ERR_SYSTEM, "cannot start a thread");
        }
        pool->started++;
    }
    *out = pool;
    return AT_OK;
}

unsigned at_pool_threads(const struct at_pool *pool)
{
    return pool->threads;
}

void at_pool_close(struct at_pool *pool)
{
    if (pool == NULL)
        return;
    pthread_mutex_lock(&pool->lock);
    pool->stop = true;
    pthread_cond_broadcast(&pool->work);
    pthread_mutex_unlock(&pool->lock);
    for (unsigned i = 0; i < pool->started; i++)
        pthread_join(pool->thread[i], NULL);
    pthread_cond_destroy(&pool->done);
    pthread_cond_destroy(&pool->work);
    pthread_mutex_destroy(&pool->lock);
    free(pool->thread);
    free(pool);
}

struct at_lane *at_lane_open(struct at_pool *pool, at_lane_fn *fn, void *ctx,
                             size_t slot_bytes, size_t slots, bool serial)
{
    struct at_lane *lane = calloc(1, sizeof(*lane));

    if (lane == NULL)
        return NULL;
    lane->pool = pool;
    lane->fn = fn;
    lane->ctx = ctx;
    lane->serial = serial;
    lane->slot_bytes = (slot_bytes + 63) & ~(size_t)63;
    lane->slots = slots > 0 ? slots : 2 * (size_t)pool->threads + 2;
    lane->slot = calloc(lane->slots, lane->slot_bytes);
    lane->done = calloc(lane->slots, sizeof(lane->done[0]));
    if (lane->slot == NULL || lane->done == NULL) {
        free(lane->slot);
        free(lane->done);
        free(lane);
        return NULL;
    }
    pthread_mutex_lock(&pool->lock);
    lane->older = pool->newest;
    pool->newest = lane;
    pthread_mutex_unlock(&pool->lock);
    return lane;
}

void *at_lane_free_slot(struct at_lane *lane)
{
    if (lane->filled - lane->retired == lane->slots)
        return NULL;
    return lane->slot + (lane->filled % lane->slots) * lane->slot_bytes;
}

void at_lane_submit(struct at_lane *lane)
{
    struct at_pool *pool = lane->pool;

    pthread_mutex_lock(&pool->lock);
    lane->done[lane->filled % lane->slots] = false;
    lane->filled++;
    if (lane_can_begin(lane))
        pthread_cond_signal(&pool->work);
    pthread_mutex_unlock(&pool->lock);
}

/* What a waiting thread runs: its own lane first, then any other. */
static struct at_lane *waiter_find_work(struct at_lane *lane)
{
    return lane_can_begin(lane) ? lane : pool_find_work(lane->pool);
}

void *at_lane_wait(struct at_lane *lane)
{
    struct at_pool *pool = lane->pool;
    const size_t i = lane->retired % lane->slots;

    if (lane->filled == lane->retired)
        return NULL;
    pthread_mutex_lock(&pool->lock);
    while (!lane->done[i]) {
        struct at_lane *other = waiter_find_work(lane);

        if (other != NULL)
            lane_run_one(other);
        else
            pthread_cond_wait(&pool->done, &pool->lock);
    }
    pthread_mutex_unlock(&pool->lock);
    return lane->slot + i * lane->slot_bytes;
}

bool at_lane_ready(const struct at_lane *lane)
{
    bool ready = false;

    if (lane->filled == lane->retired)
        return false;
    pthread_mutex_lock(&lane->pool->lock);
    ready = lane->done[lane->retired % lane->slots];
    pthread_mutex_unlock(&lane->pool->lock);
    return ready;
}

void at_lane_retire(struct at_lane *lane)
{
    lane->retired++;
}

size_t at_lane_pending(const struct at_lane *lane)
{
    return (size_t)(lane->filled - lane->retired);
}

static void lane_unlink(struct at_lane *lane)
{
    struct at_lane **p = &lane->pool->newest;

    while (*p != lane)
        p = &(*p)->older;
    *p = lane->older;
}

void at_lane_close(struct at_lane *lane, at_lane_fn *drop)
{
    if (lane == NULL)
        return;
    pthread_mutex_lock(&lane->pool->lock);
    lane->filled = lane->begun;
    while (lane->running > 0)
        pthread_cond_wait(&lane->pool->done, &lane->pool->lock);
    lane_unlink(lane);
    pthread_mutex_unlock(&lane->pool->lock);
    for (size_t i = 0; drop != NULL && i < lane->slots; i++)
        drop(lane->ctx, lane->slot + i * lane->slot_bytes);
    free(lane->slot);
    free(lane->done);
    free(lane);
}
