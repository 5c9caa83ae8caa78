/*
 * explain.h - what a question costs: --explain
 */
#ifndef AT_EXPLAIN_H
#define AT_EXPLAIN_H

#include <stdio.h>

#include "print.h"

/*
 * What is known of one target.  Estimates are made from the postings and the
 * numbers of the whole segment, before any flow is looked at.
 */
struct at_explained {
    bool indexed;
    uint64_t flows_estimated, flows;
    uint64_t blocks_estimated, blocks;
    uint64_t bytes_estimated, bytes; /* of the file, to be read */
    uint64_t packets;                /* that match */
};

/* How each primitive and flow term is decided. */
struct at_explained_leaf {
    const struct at_expr_node *leaf;
    unsigned depth;
    bool postings;
    uint64_t flows; /* in the postings of all targets */
};

struct at_explanation {
    struct at_explained *target;
    struct at_explained_leaf *leaf;
    size_t leaves;
};

/* One for each target; the question's 'explained' is to point to it while
 * packets are asked for. */
enum at_status at_explain_open(struct at_explanation *e,
                               const struct at_query *q,
                               const struct at_targets *t,
                               struct at_error *err);

/* Fills in the estimates of a target. */
enum at_status at_explain_estimate(struct at_explanation *e,
                                   const struct at_query *q,
                                   const struct at_targets *t, size_t number,
                                   struct at_error *err);

/* Prints the plan, in a table only, and a line for each target and for all. */
bool at_explain_print(const struct at_explanation *e, FILE *out,
                      enum at_print_format format, const struct at_query *q,
                      const struct at_targets *t);
/* Counts blocks that are to be read. */
void at_explain_places(struct at_explained *x, const struct at_place *place,
                       size_t n);
void at_explain_close(struct at_explanation *e);

#endif
