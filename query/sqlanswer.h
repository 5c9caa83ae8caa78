/*
 * sqlanswer.h - the answer --sql: SQL over the flows that match
 */
#ifndef AT_SQLANSWER_H
#define AT_SQLANSWER_H

#include <stdio.h>

#include "print.h"

/*
 * Runs one statement that only reads over a table 'flows', which has the
 * columns of the view of that name in an index, and prints its rows.
 * AT_ERR_SYNTAX with SQLite's words if it is no such statement.
 */
enum at_status at_sql_answer(const char *text, FILE *out,
                             enum at_print_format format,
                             const struct at_finds *finds,
                             const struct at_targets *t, struct at_error *err);

#endif
