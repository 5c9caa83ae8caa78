/*
 * taken.h - the records of an input that an earlier run has taken
 *
 * A run that passes over damage meets other records than one that stops
 * there: more of them, and not those that the other believed on its way into
 * the damage.  So where a run goes on with what one of the other kind began,
 * how many records were taken does not tell which ones.  Both walks are made
 * side by side, and what lies at the same offset is the same.
 */
#ifndef AT_TAKEN_H
#define AT_TAKEN_H

#include "archive_trace.h"

struct at_taken;

/* Those are the first 'n' records of 'path' as 'opts' reads it. */
enum at_status at_taken_open(struct at_taken **out, const char *path,
                             const struct at_reader_options *opts, uint64_t n,
                             struct at_error *err);

/* Whether the record at that decoded byte is one; offsets come in order. */
bool at_taken_has(struct at_taken *t, uint64_t raw_offset);

void at_taken_close(struct at_taken *t);

#endif
