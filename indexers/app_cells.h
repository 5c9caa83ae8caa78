/*
 * app_cells.h - rules taken apart into cells, the best first
 *
 * A rule with alternatives stands for many *cells*: one alternative of each
 * end, either way round.  Cells are ranked by the priority of their rule and
 * then by how many bits they ask for, so that what says more comes first and
 * the order of the file hardly matters.  The best-ranked cell that a flow
 * matches is the answer.
 */
#ifndef AT_APP_CELLS_H
#define AT_APP_CELLS_H

#include "app_rules.h"

struct at_app_cell {
    uint32_t rule;
    uint32_t side[2]; /* what the source sent; the other end */
    uint16_t bits;    /* that it asks for */
    uint8_t confidence;
    uint8_t a; /* which end has the rule's first side */
};

struct at_app_cells {
    struct at_app_cell *cell;
    size_t n, room;
};

/* The cells of all rules but those of AT_APP_IP.  AT_OK, AT_ERR_MEMORY, or
 * AT_ERR_SYNTAX if they are too many.  *cells is all zero before, and needs to
 * be freed also after an error. */
enum at_status at_app_cells_make(struct at_app_cells *cells,
                                 const struct at_app_rules *rules);
void at_app_cells_free(struct at_app_cells *cells);

#endif
