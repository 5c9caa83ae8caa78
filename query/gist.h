/*
 * gist.h - what an answer keeps of the flows that are found
 *
 * Counts and sums need no more of a flow than numbers, so flows are taken
 * into them as they are found, by the thread that found them.
 */
#ifndef AT_GIST_H
#define AT_GIST_H

#include "totals.h"

enum at_gist_kind { AT_GIST_FLOWS, AT_GIST_COUNT, AT_GIST_TOP };

struct at_gist {
    enum at_gist_kind kind;
    uint64_t counted;
    struct at_top top;
};

/* An empty one of the same kind. */
struct at_gist at_gist_like(const struct at_gist *gist);

/* Takes the flows that are surely whole, or 'all', out of 'finds'; all of them
 * stay if it is they that the answer is of.  AT_OK or AT_ERR_MEMORY. */
enum at_status at_gist_take(struct at_gist *gist, struct at_finds *finds,
                            bool all, const struct at_targets *t);

/* Adds 'from', which is empty afterwards; AT_OK or AT_ERR_MEMORY. */
enum at_status at_gist_merge(struct at_gist *gist, struct at_gist *from);
void at_gist_close(struct at_gist *gist);

#endif
