/*
 * temporary.h - files that nobody sees
 */
#ifndef AT_TEMPORARY_H
#define AT_TEMPORARY_H

#include "archive_trace.h"

/* A file without a name in TMPDIR, or in /tmp, to read and write; -1 on
 * failure. */
int at_temporary(struct at_error *err);

#endif
