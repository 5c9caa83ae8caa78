/*
 * rank.h - the best of many rows
 *
 * A row begins with what it is ranked by, a uint64_t of which the greatest is
 * the best, and the bytes of its key, of which of equal rows the least are
 * first.  So the order is total, and does not depend on that of adding.
 */
#ifndef AT_RANK_H
#define AT_RANK_H

#include "archive_trace.h"

struct at_rank;

/* Keeps the best 'most' rows of 'row_bytes' bytes (0: all).  NULL: no memory.
 */
struct at_rank *at_rank_open(size_t key_bytes, size_t row_bytes, size_t most);

/* Copies the row; false: no memory. */
bool at_rank_add(struct at_rank *r, const void *row);

/* When all have been added: the rows kept, the best first. */
const void *at_rank_rows(struct at_rank *r, size_t *n);

/* Rows that were added, kept or not. */
uint64_t at_rank_added(const struct at_rank *r);
void at_rank_close(struct at_rank *r);

#endif
