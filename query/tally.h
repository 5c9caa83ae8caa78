/*
 * tally.h - numbers by key, exact, in bounded memory
 *
 * A hash table of rows, each a key and some numbers.  When it has as many rows
 * as memory allows, they are sorted and put into a temporary file, and it
 * begins again; in the end all that was put away is merged with what is left,
 * and with the tallies of other threads.  So nothing is ever guessed, and
 * memory does not grow with the number of keys.
 */
#ifndef AT_TALLY_H
#define AT_TALLY_H

#include "archive_trace.h"

struct at_tally_plan {
    size_t key_bytes; /* a multiple of 8 */
    /* The numbers of a row: first those of which the least is kept where rows
     * of a key meet, then those that are added up. */
    unsigned least, sums;
    uint64_t memory; /* bytes, about */
};

/* One thread uses a tally at a time.  NULL: no memory. */
struct at_tally;
struct at_tally *at_tally_open(const struct at_tally_plan *plan);

/*
 * The numbers of the row of 'key', good until the next call: UINT64_MAX for
 * each least and 0 for each sum, if it is new.  NULL where there is no memory
 * or the temporary file cannot be written, which *err says.
 */
uint64_t *at_tally_row(struct at_tally *t, const void *key,
                       struct at_error *err);

/*
 * Gives all rows of 'n' tallies of the same plan to fn(), by key (as bytes),
 * each key once.  Whatever it returns but AT_OK ends the merge.  The tallies
 * are good for at_tally_close() only afterwards.
 */
enum at_status at_tally_merge(struct at_tally *const tally[], size_t n,
                              enum at_status (*fn)(void *ctx, const void *key,
                                                   const uint64_t *number),
                              void *ctx, struct at_error *err);

/* Rows that are in memory, and how often they were put away; for tests. */
size_t at_tally_rows(const struct at_tally *t);
size_t at_tally_runs(const struct at_tally *t);

void at_tally_close(struct at_tally *t);

#endif
