/*
 * pace.h - when each packet of a replay is due
 *
 * Every time is counted from the beginning of the replay and made from totals,
 * never from the packet before, so that no rounding adds up.
 */
#ifndef AT_PACE_H
#define AT_PACE_H

#include "archive_trace.h"

enum at_pace_kind {
    AT_PACE_RECORDED = 0, /* as captured, 'rate' times as fast */
    AT_PACE_PACKETS,      /* 'rate' packets a second */
    AT_PACE_BITS,         /* 'rate' bits a second, of frames without FCS */
    AT_PACE_TOP,          /* all at once */
};

/* Set the first three, the rest to zero. */
struct at_pace {
    enum at_pace_kind kind;
    long double rate;   /* more than 0 */
    int64_t max_gap_ns; /* recorded: a longer wait is made this; 0: none is */

    bool begun;
    int64_t last_ns;     /* the latest time that was recorded so far */
    int64_t recorded_ns; /* that has passed, gaps shortened */
    uint64_t packets;
    uint64_t bits;
};

/* When the next packet is due, in ns; one that was recorded earlier than the
 * one before is due together with it. */
int64_t at_pace_next(struct at_pace *p, int64_t ts_ns, uint32_t bytes);

/* The trace begins again: its first packet follows the last at once. */
void at_pace_again(struct at_pace *p);

#endif
