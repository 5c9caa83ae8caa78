/*
 * handoff.c - what it costs to give work to a pool and take it back
 *
 *     handoff [THREADS]        nanoseconds of an empty job, one line
 *
 * Submitting, running and retiring of a slot, with a full lane: all that a
 * block costs beside the work on it.
 */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "pool.h"

enum { JOBS = 2000000 };

static void nothing(void *ctx, void *slot)
{
    (void)ctx;
    ++*(unsigned *)slot;
}

static void drop(void *ctx, void *slot)
{
    (void)ctx;
    (void)slot;
}

static double seconds_now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* Keeps the lane full until all jobs have come back. */
static void hand_off(struct at_lane *lane)
{
    unsigned sent = 0;

    for (unsigned done = 0; done < JOBS; done++) {
        while (sent < JOBS && at_lane_free_slot(lane) != NULL) {
            at_lane_submit(lane);
            sent++;
        }
        at_lane_wait(lane);
        at_lane_retire(lane);
    }
}

int main(int argc, char *argv[])
{
    const unsigned threads = argc > 1 ? (unsigned)atoi(argv[1]) : 1;
    struct at_pool *pool;
    struct at_lane *lane;
    struct at_error err;
    double began;

    if (at_pool_open(&pool, threads, &err) != AT_OK) {
        fprintf(stderr, "handoff: %s\n", err.msg);
        return 1;
    }
    lane = at_lane_open(pool, nothing, NULL, 64, 0, false);
    if (lane == NULL)
        return 1;
    began = seconds_now();
    hand_off(lane);
    printf("%u threads: %.0f ns\n", threads,
           (seconds_now() - began) / JOBS * 1e9);
    at_lane_close(lane, drop);
    at_pool_close(pool);
    return 0;
}
