/*
 * held.h - files that are read again though their names may be gone
 *
 * The last segment of a stream is replaced by whoever adds to the archive, and
 * a pipe can be read but once.  What a question is asked of must stay the same
 * until it is answered: such files are kept open, or copied.
 */
#ifndef AT_HELD_H
#define AT_HELD_H

#include <stdbool.h>

#include "archive_trace.h"

enum { AT_HELD_PATH = 32 };

struct at_held {
    int trace;
    int index; /* -1: there is none */
};

/*
 * Opens a trace and, unless it is NULL, its index.  *out is NULL, with AT_OK,
 * if there are none of these names any more.
 */
enum at_status at_held_open(struct at_held **out, const char *trace,
                            const char *index, struct at_error *err);

/* Copies what a pipe, or "-", holds to a file without a name in TMPDIR; ends
 * early where 'stop', unless NULL, says so. */
enum at_status at_held_copy(struct at_held **out, const char *path,
                            bool (*stop)(void), struct at_error *err);

/* Writes a path by which the trace can be opened. */
void at_held_path(const struct at_held *held, char path[AT_HELD_PATH]);

void at_held_close(struct at_held *held);

#endif
