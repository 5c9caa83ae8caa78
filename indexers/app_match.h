/*
 * app_match.h - the best cell that a flow matches
 *
 * A matcher never changes: any number of threads may use it.
 */
#ifndef AT_APP_MATCH_H
#define AT_APP_MATCH_H

#include "app_cells.h"

#define AT_APP_NO_CELL UINT32_MAX

struct at_app_matcher; /* opaque */

/* Keeps 'rules' and 'cells', which must outlive it.  AT_OK, AT_ERR_MEMORY, or
 * AT_ERR_SYNTAX if there are too many alternatives. */
enum at_status at_app_matcher_make(struct at_app_matcher **out,
                                   const struct at_app_rules *rules,
                                   const struct at_app_cells *cells);
void at_app_matcher_free(struct at_app_matcher *m);

/* The number of the best cell, of a transport other than AT_APP_IP. */
uint32_t at_app_matcher_find(const struct at_app_matcher *m,
                             enum at_app_transport transport,
                             const struct at_app_flow *flow);

#endif
