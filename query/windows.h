/*
 * windows.h - ranges of time around flows: --context
 */
#ifndef AT_WINDOWS_H
#define AT_WINDOWS_H

#include "query.h"

struct at_window {
    int64_t from_ns, to_ns; /* from_ns <= time < to_ns */
};

/*
 * The time of each flow with 'context_ns' before and after, those that touch
 * joined, by time; NULL if there is no memory.  The caller frees it.
 */
struct at_window *at_windows_of(const struct at_finds *finds,
                                int64_t context_ns, size_t *n);

#endif
