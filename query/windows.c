/*
 * windows.c - ranges of time around flows
 */
#include "windows.h"

#include <stdlib.h>

static int by_from(const void *a, const void *b)
{
    const struct at_window *x = a, *y = b;

    return x->from_ns < y->from_ns ? -1 : x->from_ns > y->from_ns;
}

/* Times that no clock has stay what they are. */
static int64_t shifted(int64_t ns, int64_t by)
{
    int64_t sum;

    if (__builtin_add_overflow(ns, by, &sum))
        return by < 0 ? AT_TIME_MIN : AT_TIME_MAX;
    return sum;
}

struct at_window *at_windows_of(const struct at_finds *finds,
                                int64_t context_ns, size_t *n)
{
    struct at_window *w = malloc((finds->n + 1) * sizeof(*w));
    size_t last = 0;

    *n = 0;
    if (w == NULL || finds->n == 0)
        return w;
    for (size_t i = 0; i < finds->n; i++) {
        const struct at_flow_row *row = &finds->found[i]->row;

        w[i].from_ns = shifted(row->start_ns, -context_ns);
        w[i].to_ns = shifted(shifted(row->end_ns, context_ns), 1);
    }
    qsort(w, finds->n, sizeof(*w), by_from);
    for (size_t i = 1; i < finds->n; i++)
        if (w[i].from_ns > w[last].to_ns)
            w[++last] = w[i];
        else if (w[i].to_ns > w[last].to_ns)
            w[last].to_ns = w[i].to_ns;
    *n = last + 1;
    return w;
}
