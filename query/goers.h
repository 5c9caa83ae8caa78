/*
 * goers.h - which flows go on from one target of a stream to another
 *
 * A segment does not know whether anything came of a flow that was open at its
 * end, as most were that began shortly before; but each segment lists the flows
 * that earlier ones have too, and these are few.
 */
#ifndef AT_GOERS_H
#define AT_GOERS_H

#include "query.h"

/* Once the targets are there; it does not change afterwards, so any thread may
 * ask.  Of a target that cannot be read nothing is known: that is said when it
 * is used. */
struct at_goers;
enum at_status at_goers_open(struct at_goers **out, const struct at_query *q,
                             const struct at_targets *t, struct at_error *err);

/* The same if all that matters was found: of what goes on from one of these to
 * another. */
enum at_status at_goers_of(struct at_goers **out, const struct at_finds *finds,
                           const struct at_targets *t, struct at_error *err);
void at_goers_close(struct at_goers *g);

/* The AT_ROW_ fields that at_goers_end() needs. */
enum { AT_GOERS_FIELDS = AT_ROW_ENDS | AT_ROW_PORTS | AT_ROW_TIMES };

/*
 * Where a row of target number 'number' says that its flow may go on in later
 * ones, and it does not, notes that in the row.
 */
void at_goers_end(const struct at_goers *g, const struct at_targets *t,
                  size_t number, struct at_flow_row *row);

/* Fills in all of the row of the target that 'ix' gave last; noted in it is
 * what at_goers_end() notes. */
enum at_status at_goers_whole_row(const struct at_query *q,
                                  const struct at_targets *t, size_t number,
                                  struct at_index *ix, struct at_flow_row *row,
                                  struct at_error *err);

#endif
