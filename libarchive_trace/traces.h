/*
 * traces.h - packets of a trace set that stay good for as long as they are held
 *
 * The public functions give a packet until the next call; the pipeline holds
 * many, each by the sift that it is in.
 */
#ifndef AT_TRACES_H
#define AT_TRACES_H

#include "sift.h"

struct at_stream; /* one input of a set */

/* A sift and its batch.  The thread of the set alone counts the holds. */
struct at_held {
    struct at_sift sift;
    struct at_batch *batch;
    struct at_stream *of;
    size_t holds;
    uint64_t mark;        /* for who holds: the last thing it was held for */
    struct at_held *next; /* on the shelf */
};

struct at_taken {
    const struct at_packet *pkt;
    struct at_held *from;
    size_t i; /* pkt is from->sift.pkt[i] */
};

/* The next wanted packet, held once more; see at_traces_next(). */
enum at_status at_traces_find(struct at_traces *t, struct at_taken *found,
                              struct at_error *err);
void at_traces_let_go(struct at_traces *t, struct at_held *held);

/* Before anything is read: at_sift.hash is wanted. */
void at_traces_hash_by(struct at_traces *t,
                       uint32_t (*hash)(void *ctx, const struct at_packet *pkt),
                       void *ctx);

struct at_pool *at_traces_pool(const struct at_traces *t);

#endif
