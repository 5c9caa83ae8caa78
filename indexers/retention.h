/*
 * retention.h - which segments an archive has no room or no right to keep
 */
#ifndef AT_RETENTION_H
#define AT_RETENTION_H

#include "catalog.h"

struct at_retention {
    int64_t before_ns;   /* segments go whose last packet is before that;
                            AT_TIME_MIN: none for their age */
    uint64_t most_bytes; /* the oldest go until all traces and indexes take no
                            more; UINT64_MAX: none for their size */
    bool keep_index;     /* only their packets go */
};

/* What the segments take that stay, and what becomes free. */
struct at_retained {
    uint64_t segments, bytes;
    uint64_t freed_bytes;
};

/* Leaves in the list those that are to go, the oldest first. */
void at_retention_choose(const struct at_retention *how,
                         struct at_segments *list, struct at_retained *stays);

#endif
