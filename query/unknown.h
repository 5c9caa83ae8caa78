/*
 * unknown.h - what no rule knows, so that a person can write the next one
 *
 * Flows with payload that have no application are put together by protocol,
 * port, and the first byte from either end.  What those of a group have in
 * common is told as a rule of archive_trace-apps(5).
 */
#ifndef AT_UNKNOWN_H
#define AT_UNKNOWN_H

#include "print.h"

/* Prints the groups of the rows that are unknown, those of most bytes first.
 * AT_OK or AT_ERR_MEMORY. */
enum at_status at_unknown_print(FILE *out, enum at_print_format format,
                                const struct at_finds *finds);

#endif
