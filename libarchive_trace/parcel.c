/*
 * parcel.c - packets on their way to workers
 */
#include "parcel.h"

#include <stdlib.h>

#include "errors.h"

enum at_status at_parcel_init(struct at_parcel *p, unsigned workers,
                              bool hashed)
{
    const size_t n = AT_PARCEL_RECORDS;

    p->pkt = malloc(n * sizeof(struct at_packet *));
    if (hashed) {
        p->whose = malloc(n * sizeof(p->whose[0]));
        p->order = malloc(n * sizeof(p->order[0]));
        p->start = malloc(((size_t)workers + 1) * sizeof(p->start[0]));
    }
    if (p->pkt == NULL ||
        (hashed && (p->whose == NULL || p->order == NULL || p->start == NULL)))
        return AT_ERR_MEMORY;
    return AT_OK;
}

void at_parcel_clear(struct at_parcel *p)
{
    free(p->pkt);
    free(p->whose);
    free(p->order);
    free(p->start);
    free(p->tick);
    free(p->held);
}

/* An array of 'n' elements with room for one more; NULL: no memory. */
static void *grown(void *array, size_t n, size_t *room, size_t element)
{
    const size_t more = *room > 0 ? 2 * *room : 16;
    void *p;

    if (n < *room)
        return array;
    p = realloc(array, more * element);
    if (p != NULL)
        *room = more;
    return p;
}

/* ---- ticks ----------------------------------------------------------- */

static enum at_status add_tick(struct at_parcel *p, const struct at_tick *tick)
{
    struct at_parcel_tick *to = grown(p->tick, p->ticks, &p->tick_room,
                                      sizeof(*to));

    if (to == NULL)
        return AT_ERR_MEMORY;
    p->tick = to;
    to[p->ticks++] = (struct at_parcel_tick){.tick = *tick, .before = p->n};
    return AT_OK;
}

static enum at_status tick_by_count(struct at_parcel *p, struct at_clock *clock)
{
    const uint64_t position = p->first + p->n;

    if (clock->every == 0 || position == 0 || position % clock->every != 0)
        return AT_OK;
    return add_tick(p, &(struct at_tick){
                           .kind = AT_TICK_COUNT,
                           .number = clock->counted++,
                           .position = position,
                       });
}

/* The end of the interval that 'ns' is in; times before 1970 do not occur. */
static int64_t interval_end(const struct at_clock *clock, int64_t ns)
{
    const int64_t start = ns - ns % clock->every_ns;

    return start > INT64_MAX - clock->every_ns ? INT64_MAX
                                               : start + clock->every_ns;
}

/* Before the packet that is the first of a later interval. */
static enum at_status tick_by_time(struct at_parcel *p, struct at_clock *clock,
                                   const struct at_packet *pkt)
{
    struct at_tick tick = {.kind = AT_TICK_TIME, .position = p->first + p->n};
    const int64_t ns = at_ts_to_ns(pkt->ts);
    int64_t end;

    if (pkt->kind != AT_KIND_PACKET || pkt->timeless)
        return AT_OK;
    end = interval_end(clock, ns);
    if (!clock->started) {
        clock->started = true;
        clock->next_ns = end;
        return AT_OK;
    }
    if (ns < clock->next_ns)
        return AT_OK;
    tick.number = clock->timed++;
    tick.time_ns = end - clock->every_ns;
    tick.passed = (uint64_t)((end - clock->next_ns) / clock->every_ns);
    clock->next_ns = end;
    return add_tick(p, &tick);
}

/* ---- records --------------------------------------------------------- */

/* One hold for all packets of a sift. */
static enum at_status keep(struct at_parcel *p, struct at_traces *t,
                           struct at_held *held)
{
    struct at_held **to;

    if (held->mark == p->number) {
        at_traces_let_go(t, held);
        return AT_OK;
    }
    to = grown(p->held, p->helds, &p->held_room, sizeof(struct at_held *));
    if (to == NULL) {
        at_traces_let_go(t, held);
        return AT_ERR_MEMORY;
    }
    held->mark = p->number;
    p->held = to;
    to[p->helds++] = held;
    return AT_OK;
}

static void add_record(struct at_parcel *p, const struct at_taken *found,
                       unsigned workers)
{
    if (p->whose != NULL)
        p->whose[p->n] = (uint32_t)(((uint64_t)
                                         found->from->sift.hash[found->i] *
                                     workers) >>
                                    32);
    p->pkt[p->n++] = found->pkt;
}

/* A counting sort of the records by worker. */
static void sort_by_worker(struct at_parcel *p, unsigned workers)
{
    size_t at = 0;

    if (p->whose == NULL)
        return;
    for (unsigned w = 0; w <= workers; w++)
        p->start[w] = 0;
    for (size_t i = 0; i < p->n; i++)
        p->start[p->whose[i]]++;
    for (unsigned w = 0; w <= workers; w++) {
        const size_t n = p->start[w];

        p->start[w] = at;
        at += n;
    }
    for (size_t i = 0; i < p->n; i++)
        p->order[p->start[p->whose[i]]++] = (uint32_t)i;
    for (unsigned w = workers; w > 0; w--)
        p->start[w] = p->start[w - 1];
    p->start[0] = 0;
}

enum at_status at_parcel_fill(struct at_parcel *p, struct at_traces *t,
                              struct at_clock *clock, unsigned workers,
                              struct at_error *err)
{
    enum at_status st = AT_OK;
    uint64_t bytes = 0;

    p->n = p->ticks = p->helds = 0;
    while (p->n < AT_PARCEL_RECORDS && bytes < AT_PARCEL_BYTES) {
        struct at_taken found;

        st = at_traces_find(t, &found, err);
        if (st != AT_OK)
            break;
        st = keep(p, t, found.from);
        if (st == AT_OK)
            st = tick_by_count(p, clock);
        if (st == AT_OK && clock->every_ns > 0)
            st = tick_by_time(p, clock, found.pkt);
        if (st != AT_OK) {
            at_error_set(err, st, "out of memory");
            break;
        }
        add_record(p, &found, workers);
        bytes += found.pkt->record_bytes;
    }
    sort_by_worker(p, workers);
    return st;
}

void at_parcel_release(struct at_parcel *p, struct at_traces *t)
{
    for (size_t i = 0; i < p->helds; i++)
        at_traces_let_go(t, p->held[i]);
    p->helds = 0;
}

bool at_parcel_concerns(const struct at_parcel *p, unsigned w)
{
    if (p->ticks > 0)
        return true;
    return p->whose != NULL ? p->start[w] < p->start[w + 1] : w == p->owner;
}
