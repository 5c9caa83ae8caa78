/*
 * indexing.h - the index of one trace file
 */
#ifndef AT_INDEXING_H
#define AT_INDEXING_H

#include "builder.h"

/* Decoded bytes from one access point to the next, if nobody says other. */
#define AT_INDEX_SPACING (UINT64_C(4) << 20)

/* What was left out of a trace, if anything was: the first 'n' holes of those
 * that *total counts. */
typedef void at_holes_fn(void *ctx, const char *trace,
                         const struct at_hole *hole, size_t n,
                         const struct at_salvaged *total);

/* Called now and then from the caller's thread; false stops the work. */
typedef bool at_progress_fn(void *ctx, uint64_t done_bytes,
                            uint64_t total_bytes, uint64_t packets);

struct at_indexing {
    struct at_pool *pool;
    struct at_reader_options reading; /* of the trace, but for the pool */
    struct at_tracking tracking;
    const char *stream;         /* "" if it has no name */
    const struct at_apps *apps; /* NULL: flows get no applications */
    /* NULL if the trace is a capture of its own; else it is a part of one:
     * the flows that go on from earlier parts, and those that then do. */
    const struct at_carry *carry;
    struct at_carry *open;
    at_progress_fn *progress;
    void *progress_ctx;
    /* With reading.salvage: called once the trace has been read. */
    at_holes_fn *holes;
    void *holes_ctx;
};

/* The usual name of a trace's index, "TRACE.idx"; the caller frees it. */
char *at_index_path(const char *trace);

/* Tells 'fn', which may be NULL, of the holes of a trace that was read. */
void at_holes_tell(at_holes_fn *fn, void *ctx, const struct at_reader *rd);

/*
 * Reads 'trace' once and makes 'path' its index, by way of a temporary name.
 * Of a damaged or cut trace, what is good is indexed, and the error comes
 * back with *written true.  With salvage that is all that can be salvaged, and
 * the index has the holes.
 */
enum at_status at_index_file(const char *trace, const char *path,
                             const struct at_indexing *how,
                             struct at_index_totals *totals, bool *written,
                             struct at_error *err);

#endif
