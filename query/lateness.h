/*
 * lateness.h - how late things were: counts by size, a sixteenth fine
 *
 * A time goes into one of 16 equal parts of its power of two, so that a
 * quantile is right to 6 %, whatever the times are.
 */
#ifndef AT_LATENESS_H
#define AT_LATENESS_H

#include <stdint.h>

enum { AT_LATENESS_CLASSES = 61 * 16 };

struct at_lateness {
    uint64_t n[AT_LATENESS_CLASSES];
    uint64_t all;
    uint64_t most; /* ns */
};

/* What is early counts as 0. */
void at_lateness_add(struct at_lateness *l, int64_t ns);

/* The time that 'share' (0 to 1) of all are no later than, rounded up. */
uint64_t at_lateness_quantile(const struct at_lateness *l, double share);

#endif
