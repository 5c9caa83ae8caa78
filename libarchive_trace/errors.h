/*
 * errors.h - error messages that need more than at_error_set()
 *
 * Like at_error_set(), all accept a NULL 'err' and return the status, and
 * leave errno as it was.
 */
#ifndef AT_ERRORS_H
#define AT_ERRORS_H

#include <stdarg.h>

#include "archive_trace.h"

/*
 * AT_ERR_SYSTEM, "NAME: cannot WHAT: " and the words for errno.  Call it
 * before anything that may change errno.
 */
enum at_status at_error_system(struct at_error *err, const char *name,
                               const char *what);

/* at_error_set() with its arguments as a list, and the message behind 'where'
 * and 'between', which are a file and ": ", say. */
enum at_status at_error_within(struct at_error *err, enum at_status status,
                               const char *where, const char *between,
                               const char *fmt, va_list args);

/* *err becomes *from, unless it is NULL; returns the status. */
enum at_status at_error_copy(struct at_error *err, const struct at_error *from);

/* AT_ERR_SYNTAX with the offence at byte 'column'. */
enum at_status at_error_syntax(struct at_error *err, size_t column,
                               const char *fmt, ...) AT_PRINTF(3, 4);

#endif
