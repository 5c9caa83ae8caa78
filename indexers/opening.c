/*
 * opening.c - a trace opened with what its index knows of it
 */
#include "opening.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "index.h"
#include "indexing.h"

/* Only gzip has points, and its index says that it is gzip. */
static struct at_index *index_of(const char *trace)
{
    struct at_index *ix = NULL;
    char *path = strcmp(trace, "-") == 0 ? NULL : at_index_path(trace);

    if (path != NULL && access(path, R_OK) == 0 &&
        at_index_open(&ix, path, trace, NULL) == AT_OK &&
        at_index_info(ix)->codec != AT_CODEC_GZIP) {
        at_index_close(ix);
        ix = NULL;
    }
    free(path);
    return ix;
}

static void drop_index(void *ctx)
{
    at_index_close(ctx);
}

enum at_status at_indexed_open(struct at_reader **out, const char *trace,
                               const struct at_reader_options *opts,
                               struct at_error *err)
{
    struct at_reader_options with = *opts;
    struct at_access known;
    struct at_index *ix = index_of(trace);
    enum at_status st;

    *out = NULL;
    if (ix == NULL)
        return at_reader_open(out, trace, opts, err);
    st = at_index_access(ix, &known, err);
    if (st != AT_OK || known.n == 0) {
        at_index_close(ix);
        return st != AT_OK ? st : at_reader_open(out, trace, opts, err);
    }
    known.drop = drop_index;
    with.access = &known;
    return at_reader_open(out, trace, &with, err);
}
