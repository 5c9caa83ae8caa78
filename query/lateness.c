/*
 * lateness.c - how late things were: counts by size, a sixteenth fine
 */
#include "lateness.h"

static unsigned class_of(uint64_t ns)
{
    unsigned power;

    if (ns < 16)
        return (unsigned)ns;
    power = 63u - (unsigned)__builtin_clzll(ns);
    return (power - 3) * 16 + (unsigned)((ns >> (power - 4)) & 15);
}

/* The largest time of a class. */
static uint64_t end_of(unsigned class)
{
    const unsigned power = class / 16 + 3;

    if (class < 16)
        return class;
    return ((UINT64_C(16) + class % 16 + 1) << (power - 4)) - 1;
}

void at_lateness_add(struct at_lateness *l, int64_t ns)
{
    const uint64_t late = ns > 0 ? (uint64_t)ns : 0;

    l->n[class_of(late)]++;
    l->all++;
    if (late > l->most)
        l->most = late;
}

uint64_t at_lateness_quantile(const struct at_lateness *l, double share)
{
    const double wanted = share * (double)l->all;
    uint64_t seen = 0;

    for (unsigned i = 0; i < AT_LATENESS_CLASSES; i++) {
        seen += l->n[i];
        if (seen > 0 && (double)seen >= wanted)
            return end_of(i) < l->most ? end_of(i) : l->most;
    }
    return l->most;
}
