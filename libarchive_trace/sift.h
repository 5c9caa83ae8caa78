/*
 * sift.h - the wanted packets of one batch
 *
 * Made by any thread; then whoever took it hands the packets out.  They are
 * views into the batch, or where they were processed perhaps into the sift's
 * own scratch, which is as large as the batch: the header of a record is
 * larger than what processing adds to its frame.  What processing drops stays
 * in the array, marked, to be counted where the caller has got to.
 */
#ifndef AT_SIFT_H
#define AT_SIFT_H

#include "archive_trace.h"

struct at_sift {
    struct at_packet *pkt;
    uint32_t *hash; /* of each, for who is to work on it; NULL: not asked for */
    size_t n, room;
    struct at_scratch scratch;
    struct at_text notes; /* of all packets */
    size_t *note_end;     /* of each, in 'notes'; NULL where none are made */

    uint64_t packets; /* looked at */
    uint64_t wanted;  /* of them */
};

/* What to look for, the same for all batches of a trace. */
struct at_sift_plan {
    const struct at_selection *selection;
    uint32_t source; /* what pkt->source becomes */
    uint32_t (*hash)(void *ctx, const struct at_packet *pkt); /* may be NULL */
    void *hash_ctx;
};

enum at_status at_sift_fill(struct at_sift *sift,
                            const struct at_sift_plan *plan,
                            const struct at_batch *batch, struct at_error *err);

/* The 'n' bytes that were noted of packet 'i'. */
const char *at_sift_note(const struct at_sift *sift, size_t i, size_t *n);

/* Frees what the sift holds, not the struct. */
void at_sift_clear(struct at_sift *sift);

#endif
