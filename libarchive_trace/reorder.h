/*
 * reorder.h - packets that come late put in their place
 *
 * A packet leaves once one has been seen that is later by the window, so the
 * packets of a window are held, and what is late by no more comes out in
 * order: by time, then by source, then as it came.
 */
#ifndef AT_REORDER_H
#define AT_REORDER_H

#include "traces.h"

struct at_reorder;

enum at_status at_reorder_open(struct at_reorder **out, int64_t window_ns,
                               struct at_error *err);

/* The hold becomes that of the window; on an error it stays the caller's. */
enum at_status at_reorder_add(struct at_reorder *r,
                              const struct at_taken *found);

/* Takes the earliest packet, and its hold, if it is due; at the end of all
 * input, in any case.  false if there is none. */
bool at_reorder_due(struct at_reorder *r, struct at_taken *found);
bool at_reorder_last(struct at_reorder *r, struct at_taken *found);

/* Packets so far that came later than the window allows. */
uint64_t at_reorder_late(const struct at_reorder *r);

void at_reorder_close(struct at_reorder *r);

#endif
