/*
 * indexing.h - the index of one trace file
 */
#ifndef AT_INDEXING_H
#define AT_INDEXING_H

#include "builder.h"

/* Decoded bytes from one access point to the next, if nobody says other. */
#define AT_INDEX_SPACING (UINT64_C(4) << 20)

/* Called now and then from the caller's thread; false stops the work. */
typedef bool at_progress_fn(void *ctx, uint64_t done_bytes,
                            uint64_t total_bytes, uint64_t packets);

struct at_indexing {
    struct at_pool *pool;
    struct at_reader_options reading; /* of the trace, but for the pool */
    struct at_tracking tracking;
    const char *stream; /* "" if it has no name */
    at_progress_fn *progress;
    void *progress_ctx;
};

/* The usual name of a trace's index, "TRACE.idx"; the caller frees it. */
char *at_index_path(const char *trace);

/*
 * Reads 'trace' once and makes 'path' its index, by way of a temporary name.
 * Of a damaged or cut trace, what is good is indexed, and the error comes
 * back with *written true.
 */
enum at_status at_index_file(const char *trace, const char *path,
                             const struct at_indexing *how,
                             struct at_index_totals *totals, bool *written,
                             struct at_error *err);

#endif
