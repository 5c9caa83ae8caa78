/*
 * ahead.c - frames that are read before they are due
 */
#include "ahead.h"

#include <pthread.h>
#include <stdlib.h>
#include <time.h>

enum {
    FEWEST_LOADS = 4,
    SMALL_LOADS = 4,
    SMALL_FRAMES = 16,
};

struct at_ahead {
    at_fill_fn *fill;
    void *ctx;
    struct at_load **load;
    size_t loads;
    uint64_t taken; /* by the caller, given back but the last */
    bool started;
    uint64_t starved;
    pthread_t thread;

    pthread_mutex_t lock;
    pthread_cond_t moved;
    uint64_t filled;   /* guarded by lock */
    uint64_t returned; /* guarded by lock */
    bool over;         /* guarded by lock: the last load is filled */
    bool stop;         /* guarded by lock */
};

/* Waits for a load to fill; NULL when nobody wants any. */
static struct at_load *empty_load(struct at_ahead *a)
{
    struct at_load *load = NULL;

    pthread_mutex_lock(&a->lock);
    while (!a->stop && a->filled - a->returned == a->loads)
        pthread_cond_wait(&a->moved, &a->lock);
    if (!a->stop)
        load = a->load[a->filled % a->loads];
    pthread_mutex_unlock(&a->lock);
    return load;
}

static void *fill_loads(void *arg)
{
    struct at_ahead *a = arg;
    struct at_load *load;
    bool over = false;

    for (uint64_t i = 0; !over && (load = empty_load(a)) != NULL; i++) {
        load->used = load->n = 0;
        a->fill(a->ctx, load, i < SMALL_LOADS ? SMALL_FRAMES : AT_LOAD_FRAMES);
        over = load->status != AT_OK;
        pthread_mutex_lock(&a->lock);
        a->filled++;
        a->over = over;
        pthread_cond_broadcast(&a->moved);
        pthread_mutex_unlock(&a->lock);
    }
    return NULL;
}

static enum at_status make_loads(struct at_ahead *a, uint64_t bytes)
{
    const uint64_t fit = bytes / (AT_LOAD_BYTES + AT_FRAME_MOST);

    a->loads = fit > FEWEST_LOADS ? (size_t)fit : FEWEST_LOADS;
    a->load = calloc(a->loads, sizeof(struct at_load *));
    if (a->load == NULL)
        return AT_ERR_MEMORY;
    for (size_t i = 0; i < a->loads; i++) {
        a->load[i] = calloc(1, sizeof(struct at_load));
        if (a->load[i] != NULL)
            a->load[i]->bytes = malloc(AT_LOAD_BYTES + AT_FRAME_MOST);
        if (a->load[i] == NULL || a->load[i]->bytes == NULL)
            return AT_ERR_MEMORY;
    }
    return AT_OK;
}

enum at_status at_ahead_open(struct at_ahead **out, uint64_t bytes,
                             at_fill_fn *fill, void *ctx, struct at_error *err)
{
    struct at_ahead *a = calloc(1, sizeof(*a));

    *out = NULL;
    if (a == NULL)
        return at_error_set(err, AT_ERR_MEMORY, "out of memory");
    a->fill = fill;
    a->ctx = ctx;
    pthread_mutex_init(&a->lock, NULL);
    pthread_cond_init(&a->moved, NULL);
    if (make_loads(a, bytes) != AT_OK) {
        at_ahead_close(a);
        return at_error_set(err, AT_ERR_MEMORY, "out of memory");
    }
    if (pthread_create(&a->thread, NULL, fill_loads, a) != 0) {
        at_ahead_close(a);
        return at_error_set(err, AT_ERR_SYSTEM, "cannot start a thread");
    }
    a->started = true;
    *out = a;
    return AT_OK;
}

const struct at_load *at_ahead_next(struct at_ahead *a)
{
    const struct at_load *load = NULL;

    pthread_mutex_lock(&a->lock);
    a->returned = a->taken;
    pthread_cond_broadcast(&a->moved);
    if (a->filled == a->taken && !a->over) {
        a->starved++;
        while (a->filled == a->taken && !a->over)
            pthread_cond_wait(&a->moved, &a->lock);
    }
    if (a->filled > a->taken)
        load = a->load[a->taken++ % a->loads];
    pthread_mutex_unlock(&a->lock);
    return load;
}

static struct timespec time_after(int64_t ns)
{
    struct timespec t;

    clock_gettime(CLOCK_REALTIME, &t);
    ns += t.tv_nsec;
    t.tv_sec += ns / 1000000000;
    t.tv_nsec = ns % 1000000000;
    return t;
}

void at_ahead_prime(struct at_ahead *a, int64_t most_ns)
{
    const struct timespec until = time_after(most_ns);
    bool late = false;

    pthread_mutex_lock(&a->lock);
    while (!a->over && (a->filled == 0 || (!late && a->filled < a->loads / 2)))
        if (a->filled == 0)
            pthread_cond_wait(&a->moved, &a->lock);
        else
            late = pthread_cond_timedwait(&a->moved, &a->lock, &until) != 0;
    pthread_mutex_unlock(&a->lock);
}

uint64_t at_ahead_starved(const struct at_ahead *a)
{
    return a->starved;
}

void at_ahead_close(struct at_ahead *a)
{
    if (a == NULL)
        return;
    pthread_mutex_lock(&a->lock);
    a->stop = true;
    pthread_cond_broadcast(&a->moved);
    pthread_mutex_unlock(&a->lock);
    if (a->started)
        pthread_join(a->thread, NULL);
    for (size_t i = 0; a->load != NULL && i < a->loads; i++) {
        if (a->load[i] != NULL)
            free(a->load[i]->bytes);
        free(a->load[i]);
    }
    free(a->load);
    pthread_cond_destroy(&a->moved);
    pthread_mutex_destroy(&a->lock);
    free(a);
}
