/*
 * parcel.h - packets on their way to workers
 *
 * A parcel is a run of wanted records of the trace set, as pointers, with the
 * ticks that fall among them, and what of it is whose.  Where it ends depends
 * on the records alone, so it is the same on every machine.
 */
#ifndef AT_PARCEL_H
#define AT_PARCEL_H

#include "traces.h"

enum {
    AT_PARCEL_RECORDS = 8192,
    AT_PARCEL_BYTES = 1 << 20, /* of records, about */
};

struct at_parcel_tick {
    struct at_tick tick;
    size_t before; /* which record of the parcel */
};

/* The ticks of a run: where they have got to. */
struct at_clock {
    uint64_t every;   /* records; 0: no ticks by count */
    int64_t every_ns; /* 0: no ticks by time */
    int64_t next_ns;  /* the end of the interval, once 'started' */
    uint64_t counted; /* ticks by count so far */
    uint64_t timed;   /* ticks by time so far */
    bool started;
};

struct at_parcel {
    uint64_t first;  /* position of the first record */
    uint64_t number; /* of the parcel, from 1 */
    const struct at_packet **pkt;
    uint32_t *whose; /* worker of each, or NULL: all are of 'owner' */
    uint32_t *order; /* the records by worker, from start[w] to start[w + 1] */
    size_t *start;
    size_t n;
    unsigned owner;
    struct at_parcel_tick *tick;
    size_t ticks, tick_room;
    struct at_held **held; /* what the packets are in */
    size_t helds, held_room;
};

/* Makes the arrays; 'hashed' unless parcels go whole to one worker. */
enum at_status at_parcel_init(struct at_parcel *parcel, unsigned workers,
                              bool hashed);
void at_parcel_clear(struct at_parcel *parcel);

/*
 * Fills the parcel with the next records and ticks.  Returns what came after
 * them: AT_OK when it is full, AT_END or an error; what it holds is good in
 * each case.
 */
enum at_status at_parcel_fill(struct at_parcel *parcel, struct at_traces *t,
                              struct at_clock *clock, unsigned workers,
                              struct at_error *err);

/* Lets go of its packets. */
void at_parcel_release(struct at_parcel *parcel, struct at_traces *t);

/* Whether worker 'w' has anything to do with it. */
bool at_parcel_concerns(const struct at_parcel *parcel, unsigned w);

#endif
