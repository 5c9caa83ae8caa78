/*
 * totals.h - the answers --top and --series
 */
#ifndef AT_TOTALS_H
#define AT_TOTALS_H

#include <stdio.h>

#include "print.h"
#include "sum_key.h"

/* --top N:KEY[:bytes|packets|flows] */
struct at_top {
    struct at_key key;
    uint64_t n;
    enum at_measure by;
    struct at_sums sums;
    struct at_sum all;
};
enum at_status at_top_parse(struct at_top *top, const char *text,
                            struct at_error *err);

/* Sums up the flows that are surely whole, or with 'all' every flow, and takes
 * them out of 'finds'; AT_OK or AT_ERR_MEMORY. */
enum at_status at_top_take(struct at_top *top, struct at_finds *finds, bool all,
                           const struct at_targets *t);

/* Adds the sums of 'from', of the same key; AT_OK or AT_ERR_MEMORY. */
enum at_status at_top_merge(struct at_top *top, const struct at_top *from);

/* Prints the largest sums, once. */
bool at_top_print(struct at_top *top, FILE *out, enum at_print_format format,
                  const struct at_targets *t);
void at_top_close(struct at_top *top);

/* --series STEP[:KEY] */
struct at_steps {
    int64_t step_ns;
    bool keyed;
    struct at_key key;
    struct at_sums sums; /* by interval and key */
    int64_t first, last; /* intervals that hold packets, if sums.n > 0 */
};
enum at_status at_steps_parse(struct at_steps *s, const char *text,
                              struct at_error *err);

/* Counts a packet; 'flow' is NULL if it is of none, or there is no key. */
enum at_status at_steps_add(struct at_steps *s, const struct at_packet *pkt,
                            const struct at_flow_row *flow, size_t lane);

/* The same for many: 'proto' is of flows, -1 if they are of none. */
enum at_status at_steps_add_sum(struct at_steps *s, int64_t ns, int proto,
                                uint64_t packets, uint64_t bytes);

/*
 * Counts all packets of what 'path' names, by what catalogues know, without
 * opening a segment.  *done is false, and nothing counted, if that is not
 * enough for the question, or not all are archives.
 */
enum at_status at_steps_from_catalogs(struct at_steps *s,
                                      const struct at_query *q,
                                      const struct at_paths *path, bool *done,
                                      struct at_error *err);

/* Prints every interval of from_ns <= time < to_ns, also empty ones; where a
 * bound is open, from the first or to the last that is not. */
bool at_steps_print(struct at_steps *s, FILE *out, enum at_print_format format,
                    bool local, int64_t from_ns, int64_t to_ns,
                    const struct at_targets *t);
void at_steps_close(struct at_steps *s);

#endif
