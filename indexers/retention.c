/*
 * retention.c - which segments an archive has no room or no right to keep
 *
 * A segment is as old as its last packet, so that none goes of which a packet
 * is younger than asked for.  One whose packets are gone still takes what its
 * index takes.
 */
#include "retention.h"

#include <stdlib.h>
#include <string.h>

/* Records that are no packets have no times that are kept. */
static int64_t age_of(const struct at_segment *seg)
{
    return seg->packets > 0 ? seg->last_ns : seg->end_ns;
}

static int by_age(const void *a, const void *b)
{
    const struct at_segment *x = a, *y = b;

    if (age_of(x) != age_of(y))
        return age_of(x) < age_of(y) ? -1 : 1;
    return strcmp(x->path, y->path);
}

static uint64_t freed_by(const struct at_segment *seg, bool keep_index)
{
    return seg->file_bytes + (keep_index ? 0 : seg->index_bytes);
}

void at_retention_choose(const struct at_retention *how,
                         struct at_segments *list, struct at_retained *stays)
{
    size_t n = 0;

    *stays = (struct at_retained){.segments = list->n};
    for (size_t i = 0; i < list->n; i++)
        stays->bytes += freed_by(&list->segment[i], false);
    if (list->n > 0) /* otherwise there is no array */
        qsort(list->segment, list->n, sizeof(list->segment[0]), by_age);
    for (size_t i = 0; i < list->n; i++) {
        const struct at_segment seg = list->segment[i];
        const uint64_t bytes = freed_by(&seg, how->keep_index);

        if ((age_of(&seg) < how->before_ns || stays->bytes > how->most_bytes) &&
            !(how->keep_index && seg.gone_ns != 0)) {
            list->segment[n++] = seg;
            stays->bytes -= bytes;
            stays->freed_bytes += bytes;
            stays->segments -= !how->keep_index;
            continue;
        }
        free(seg.stream);
        free(seg.path);
    }
    list->n = n;
}
