/*
 * doubts.h - flows that only their packets can decide
 *
 * A range of time cuts a flow, or the question is of bytes or of fragments: the
 * blocks of those flows are read, and each matching packet is put to its flow.
 */
#ifndef AT_DOUBTS_H
#define AT_DOUBTS_H

#include "query.h"
#include "sights.h"

struct at_doubt {
    struct at_flow_key key;
    struct at_flow_row row;
    bool matched;
};

/* Those of one target; all zero is none. */
struct at_doubts {
    struct at_doubt *doubt;
    size_t n, room;
    uint32_t *slot; /* a table by key: number + 1 of the first doubt, */
    uint32_t *next; /* and from each to the next of the same slot */
    size_t mask;
    bool fragments;              /* later ones are in some of the flows */
    struct at_sighting sighting; /* no seed: it holds what one question is of */
};

/* AT_OK or AT_ERR_MEMORY. */
enum at_status at_doubts_add(struct at_doubts *d,
                             const struct at_flow_row *row);
enum at_status at_doubts_move(struct at_doubts *d,
                              const struct at_doubts *from);
void at_doubts_close(struct at_doubts *d);

/*
 * Once all are added: reads these places of the target, and says of each flow
 * whether a packet of it matched.  With d->fragments they must hold the packets
 * of all flows that have some.
 */
enum at_status at_doubts_ask(struct at_doubts *d, const struct at_query *q,
                             const struct at_target *target,
                             struct at_index *ix, const struct at_place *place,
                             size_t n, struct at_error *err);

#endif
