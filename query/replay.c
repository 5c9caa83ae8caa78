/*
 * replay.c - frames out of loads onto wires, each when it is due
 *
 * Sleep until shortly before, then look at the clock until it is time: a
 * sleeping thread wakes up some tens of microseconds late.  Deadlines are
 * absolute, so one frame that is late makes no other late.  Frames that are
 * due together, or have become due meanwhile, are sent together.
 */
#include "replay.h"

#include <string.h>
#ifdef __linux__
#include <sys/prctl.h>
#endif
#include <time.h>

enum {
    SPIN_NS = 200000,    /* looks at the clock for so long */
    NAP_NS = 100000000,  /* sleeps no longer than that without a look around */
    PRIME_NS = 50000000, /* reading gets that much time before the start */
    TOGETHER = 64,       /* frames a call at most, so that stops are seen */
    SOON_NS = 1000,      /* what is due so soon goes along */
};

struct run {
    struct at_replay *r;
    int64_t start_ns; /* monotonic */
};

static int64_t clock_of(clockid_t id)
{
    struct timespec t;

    clock_gettime(id, &t);
    return t.tv_sec * INT64_C(1000000000) + t.tv_nsec;
}

static void sleep_until(int64_t ns)
{
    const struct timespec t = {.tv_sec = ns / 1000000000,
                               .tv_nsec = ns % 1000000000};

    clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL);
}

/* Returns the time, which is 'due' or later; or before it when stopped. */
static int64_t wait_until(const struct at_replay *r, int64_t due)
{
    int64_t now = clock_of(CLOCK_MONOTONIC);

    while (due - now > SPIN_NS && !r->stop()) {
        const int64_t nap = due - SPIN_NS - now;

        sleep_until(now + (nap < NAP_NS ? nap : NAP_NS));
        now = clock_of(CLOCK_MONOTONIC);
    }
    while (now < due && due - now <= SPIN_NS)
        now = clock_of(CLOCK_MONOTONIC);
    return now;
}

/* How many frames from number 'i' on go together: of one wire, and due. */
static size_t count_due(const struct run *run, const struct at_load *load,
                        size_t i, int64_t now)
{
    const size_t most = run->r->step != NULL ? 1 : TOGETHER;
    size_t n = 1;

    while (i + n < load->n && n < most &&
           load->frame[i + n].wire == load->frame[i].wire &&
           run->start_ns + load->frame[i + n].due_ns <= now + SOON_NS)
        n++;
    return n;
}

static enum at_status send_frames(struct run *run, const struct at_load *load,
                                  size_t first, size_t n, int64_t now,
                                  struct at_error *err)
{
    struct at_replay *r = run->r;
    struct at_wire *w = &r->wire[load->frame[first].wire];
    const enum at_status st = at_wire_send(w, load, first, n, err);

    if (st != AT_OK)
        return st;
    for (size_t i = first; i < first + n; i++)
        at_lateness_add(&r->lateness,
                        now - run->start_ns - load->frame[i].due_ns);
    r->due_ns = load->frame[first + n - 1].due_ns;
    return AT_OK;
}

static enum at_status send_load(struct run *run, const struct at_load *load,
                                struct at_error *err)
{
    struct at_replay *r = run->r;
    enum at_status st = AT_OK;
    size_t n;

    for (size_t i = 0; i < load->n && st == AT_OK; i += n) {
        const int64_t due = run->start_ns + load->frame[i].due_ns;
        int64_t now;

        if (r->step != NULL && !r->step(r->ctx))
            return AT_END;
        now = r->step != NULL ? due : wait_until(r, due);
        if (now < due || r->stop())
            return AT_END;
        n = count_due(run, load, i, now);
        st = send_frames(run, load, i, n, now, err);
    }
    return st;
}

/* The beginning, on the monotonic clock. */
static int64_t find_start(const struct at_replay *r)
{
    const int64_t now = clock_of(CLOCK_MONOTONIC);

    return r->start_ns == 0 ? now
                            : now + r->start_ns - clock_of(CLOCK_REALTIME);
}

static enum at_status flush_wires(struct at_replay *r, struct at_error *err)
{
    enum at_status st = AT_OK;

    for (unsigned i = 0; i < r->wires && st == AT_OK; i++)
        st = at_wire_flush(&r->wire[i], err);
    return st;
}

static void count_sent(struct at_replay *r)
{
    for (unsigned i = 0; i < r->wires; i++) {
        r->sent += r->wire[i].sent;
        r->bytes += r->wire[i].bytes;
    }
}

enum at_status at_replay_run(struct at_replay *r, struct at_ahead *ahead,
                             struct at_error *err)
{
    struct run run = {.r = r};
    const struct at_load *load = NULL;
    enum at_status st = AT_OK, flushed = AT_OK;
    struct at_error more = {.status = AT_OK};

#ifdef __linux__
    prctl(PR_SET_TIMERSLACK, 1ul);
#endif
    at_ahead_prime(ahead, PRIME_NS);
    run.start_ns = find_start(r);
    while (st == AT_OK && (load = at_ahead_next(ahead)) != NULL) {
        st = send_load(&run, load, err);
        if (st == AT_OK && load->status < 0) {
            *err = load->err;
            st = load->status;
        }
    }
    if (st >= 0)
        flushed = flush_wires(r, &more);
    r->elapsed_ns = clock_of(CLOCK_MONOTONIC) - run.start_ns;
    r->starved = at_ahead_starved(ahead);
    count_sent(r);
    if (st >= 0 && flushed < 0) {
        *err = more;
        return flushed;
    }
    return st;
}
