/*
 * replay.h - frames out of loads onto wires, each when it is due
 */
#ifndef AT_REPLAY_H
#define AT_REPLAY_H

#include "edit.h"
#include "lateness.h"
#include "pace.h"
#include "wire.h"

/* Set all of it to zero, then the fields you care about. */
struct at_replay {
    struct at_wire *wire;
    unsigned wires;
    int64_t start_ns; /* of the wall clock; 0: at once */
    bool (*stop)(void);

    /* Unless NULL, waits for whoever decides that the next frame may go;
     * false ends the replay. */
    bool (*step)(void *ctx);
    void *ctx;

    /* What was done. */
    uint64_t sent;
    uint64_t bytes;
    int64_t due_ns;     /* when the last frame sent was due */
    int64_t elapsed_ns; /* from the start until all had left */
    uint64_t starved;   /* times that reading was not ahead */
    struct at_lateness lateness;
};

/* Sends all loads.  An error of a wire ends it; what was done until then is
 * counted.  AT_END when it was stopped before the end. */
enum at_status at_replay_run(struct at_replay *r, struct at_ahead *ahead,
                             struct at_error *err);

#endif
