/*
 * series.h - rows by number, found in any order, given out in order
 *
 * For counters of intervals of time: packets come nearly in order, an interval
 * is complete when later ones have come, and a hostile trace may go through
 * them in any order without making a step dear.
 */
#ifndef AT_SERIES_H
#define AT_SERIES_H

#include "archive_trace.h"

struct at_series;

/* Rows are of 'row_bytes' bytes; NULL: no memory. */
struct at_series *at_series_open(size_t row_bytes);

/* The row of that number, all zero if it is new; NULL: no memory.  It stays
 * where it is until it is dropped. */
void *at_series_row(struct at_series *s, int64_t number);

/* The row of the least number; NULL if there is none. */
void *at_series_first(const struct at_series *s, int64_t *number);
void at_series_drop_first(struct at_series *s);

size_t at_series_rows(const struct at_series *s);
void at_series_close(struct at_series *s);

#endif
