/*
 * pool.h - lanes: work in any order, results in order
 *
 * A lane is a ring of slots.  The owner submits slots at one end and retires
 * them, in the same order, at the other; between the two the pool's threads
 * run the lane's function on each.  Who waits to retire runs tasks meanwhile,
 * so a pool without threads works too.  A task never waits for a lane.
 *
 * One thread owns a lane (submits and retires).  A slot belongs to the owner
 * before submission and after retiring, to one task in between.
 */
#ifndef AT_POOL_H
#define AT_POOL_H

#include "archive_trace.h"

struct at_lane;

typedef void at_lane_fn(void *ctx, void *slot);

/*
 * Opens a lane of 'slots' slots (0: two a thread and two more) of
 * 'slot_bytes' bytes each, all zero.  In a serial lane no two tasks run at
 * once, and they run in the order submitted.
 */
struct at_lane *at_lane_open(struct at_pool *pool, at_lane_fn *fn, void *ctx,
                             size_t slot_bytes, size_t slots, bool serial);

/* The slot to fill and submit next; NULL while all are in use. */
void *at_lane_free_slot(struct at_lane *lane);
void at_lane_submit(struct at_lane *lane);

/* Waits for the oldest submitted slot; NULL if there is none. */
void *at_lane_wait(struct at_lane *lane);

/* Whether at_lane_wait() would return a slot at once. */
bool at_lane_ready(const struct at_lane *lane);

/* Gives the slot last waited for back to the ring. */
void at_lane_retire(struct at_lane *lane);

/* Slots submitted and not yet retired. */
size_t at_lane_pending(const struct at_lane *lane);

/* Calls 'drop' for every slot of an idle lane, then frees it.  Waits first
 * for tasks that run; what has not begun is never run. */
void at_lane_close(struct at_lane *lane, at_lane_fn *drop);

#endif
