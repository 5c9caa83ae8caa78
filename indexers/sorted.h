/*
 * sorted.h - the flows of an index in the order in which they are written
 *
 * Flow ids are ranks by start and host ids ranks by address, so both are known
 * only at the end.  The ends of the flows are sorted by host and their ports by
 * port, by counting, for which some 50 bytes a flow are in memory.
 */
#ifndef AT_SORTED_H
#define AT_SORTED_H

#include "app_part.h"
#include "finished.h"
#include "index.h"
#include "name_part.h"

struct at_lane;
struct at_pool;

/* Lists of numbers, one for each key, ascending: list i is item[at[i]] up to
 * item[at[i + 1]]. */
struct at_lists {
    size_t *at;
    uint32_t *item;
};

struct at_sorted_host {
    uint8_t net; /* 4 or 6 */
    uint8_t addr[16];
    uint32_t id;
};

/* A flow that goes on from an earlier part, where it has this number. */
struct at_sorted_goer {
    uint32_t id;
    uint32_t number;
};

/* Everything in the order in which it is written.  Flows have numbers, as the
 * store has them, and ids. */
struct at_sorted {
    struct at_finished *flow;
    size_t flows;
    uint32_t *order;             /* flow id - 1 -> number */
    uint16_t (*port)[2];         /* by number; NO_PORT: it gets no posting */
    struct at_sorted_host *host; /* by address, when sorted */
    size_t hosts, host_room;
    struct at_set inner;   /* numbers of flows in tunnels */
    struct at_set partial; /* of flows that other parts have, too */
    uint32_t *end[2];      /* flow number -> host number, UINT32_MAX: none */
    uint32_t *host_id;     /* host number -> host id */
    struct at_lists host_flows;     /* by host id - 1 */
    struct at_lists port_flows;     /* by port */
    struct at_app_part *apps;       /* by number */
    struct at_name_part *names;     /* NULL: they are not wanted */
    struct at_sorted_goer *carried; /* by id */
    size_t carries, carried_room;
};

/*
 * Takes all flows of the store, which must live as long, and sorts flows and
 * hosts; 'names' is NULL if they are not wanted.  All zero before; to be closed
 * afterwards, also after an error.
 */
enum at_status at_sorted_make(struct at_sorted *s, struct at_finished *flows,
                              struct at_names *names,
                              const struct at_apps *apps, struct at_pool *pool,
                              struct at_error *err);
void at_sorted_close(struct at_sorted *s);

/*
 * The lists by host and by port, and what flows began with: made by other
 * threads while the flows are written, and written after them.  NULL if there
 * is no memory.
 */
struct at_lane *at_sorted_begin_lists(struct at_sorted *s,
                                      struct at_pool *pool);
enum at_status at_sorted_finish_lists(struct at_lane *lists);

#endif
