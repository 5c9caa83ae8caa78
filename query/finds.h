/*
 * finds.h - flows that were found
 *
 * There may be millions, so each stays where it is: what is moved, left out and
 * sorted are pointers.
 */
#ifndef AT_FINDS_H
#define AT_FINDS_H

#include "flow_row.h"

struct at_found {
    struct at_flow_row row;
    size_t target; /* number of the one that it was found in, or ends in */
};

/* Grows; all zero is none. */
struct at_finds {
    struct at_found **found;
    size_t n;
    size_t made, room; /* from 'n' to 'made' are pointers to free ones */
    size_t passed;     /* so many at the beginning were looked at, and stay */
    struct at_found **chunk; /* what they lie in */
    size_t chunks;
};

/* Adds one; AT_OK or AT_ERR_MEMORY. */
enum at_status at_finds_add(struct at_finds *finds,
                            const struct at_flow_row *row, size_t target);

/* Adds those of 'from', which is empty afterwards; AT_OK or AT_ERR_MEMORY. */
enum at_status at_finds_move(struct at_finds *finds, struct at_finds *from);
void at_finds_close(struct at_finds *finds);

/* By start; AT_OK or AT_ERR_MEMORY. */
enum at_status at_finds_sort(struct at_finds *finds);

/*
 * For those who go through flows and leave some out: keeps number 'i' as number
 * *left, which grows; 'finds->n' is then what was kept.
 */
static inline void at_finds_keep(struct at_finds *finds, size_t i, size_t *left)
{
    struct at_found *kept = finds->found[i];

    finds->found[i] = finds->found[*left];
    finds->found[(*left)++] = kept;
}

/* Takes out the flows that are surely whole, or 'all'; returns how many. */
size_t at_finds_drop_whole(struct at_finds *finds, bool all);

#endif
