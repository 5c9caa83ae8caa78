/*
 * opening.h - a trace opened with what its index knows of it
 */
#ifndef AT_OPENING_H
#define AT_OPENING_H

#include "archive_trace.h"

/*
 * at_reader_open() of 'trace', by the access points that TRACE.idx has if it
 * is the index of that file as it is now; any other is left alone.
 */
enum at_status at_indexed_open(struct at_reader **out, const char *trace,
                               const struct at_reader_options *opts,
                               struct at_error *err);

#endif
