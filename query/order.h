/*
 * order.h - flows in the order of a column
 */
#ifndef AT_ORDER_H
#define AT_ORDER_H

#include "query.h"

struct at_order {
    int column; /* private */
    bool descending;
};

/*
 * "bytes", "start:desc": a column, or bytes, packets or rate of both
 * directions.  What counts or lasts is sorted largest first by default,
 * everything else smallest first.
 */
enum at_status at_order_parse(struct at_order *order, const char *text,
                              struct at_error *err);

/* Flows that are equal stay as they are. */
enum at_status at_order_finds(const struct at_order *order,
                              struct at_finds *finds,
                              const struct at_targets *t);

#endif
