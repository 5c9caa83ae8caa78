/*
 * pace.c - when each packet of a replay is due
 */
#include "pace.h"

static int64_t rounded(long double ns)
{
    return ns >= (long double)INT64_MAX ? INT64_MAX : (int64_t)(ns + 0.5L);
}

static void pass_time(struct at_pace *p, int64_t ts_ns)
{
    int64_t gap = p->begun && ts_ns > p->last_ns ? ts_ns - p->last_ns : 0;
    const long double most = (long double)p->max_gap_ns * p->rate;

    if (p->max_gap_ns > 0 && (long double)gap > most)
        gap = rounded(most);
    if (!p->begun || ts_ns > p->last_ns)
        p->last_ns = ts_ns;
    p->begun = true;
    p->recorded_ns += gap;
}

int64_t at_pace_next(struct at_pace *p, int64_t ts_ns, uint32_t bytes)
{
    const uint64_t packets = p->packets++, bits = p->bits;

    p->bits += UINT64_C(8) * bytes;
    switch (p->kind) {
    case AT_PACE_RECORDED:
        pass_time(p, ts_ns);
        return rounded((long double)p->recorded_ns / p->rate);
    case AT_PACE_PACKETS:
        return rounded((long double)packets * 1e9L / p->rate);
    case AT_PACE_BITS:
        return rounded((long double)bits * 1e9L / p->rate);
    default:
        return 0;
    }
}

void at_pace_again(struct at_pace *p)
{
    p->begun = false;
}
