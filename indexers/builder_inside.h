/*
 * builder_inside.h - what the files that make an index share
 */
#ifndef AT_BUILDER_INSIDE_H
#define AT_BUILDER_INSIDE_H

#include "builder.h"
#include "finished.h"
#include "minutes.h"
#include "sorted.h"

struct at_block_stat {
    int64_t first_ns, last_ns;
    uint32_t records;
    bool packets;
};

struct at_builder {
    struct at_tracking rules;
    struct at_pool *pool;
    struct at_tracker *tracker;
    struct at_finished *finished;
    struct at_error err; /* of what the tracker calls */
    struct at_block_stat *block;
    size_t blocks, block_room;
    struct at_index_totals total;
    struct at_minutes minutes;
    uint64_t lost_datagrams;
    struct at_names names;        /* if they are wanted */
    const struct at_carry *carry; /* of earlier parts; NULL: there are none */
};

/* Writes what is sorted into a new file, in its final order. */
enum at_status at_builder_write_sorted(struct at_builder *b,
                                       struct at_sorted *s, const char *path,
                                       const struct at_index_about *about,
                                       const struct at_place *place,
                                       struct at_error *err);

#endif
