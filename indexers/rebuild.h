/*
 * rebuild.h - the index of a segment, made anew of its packets
 *
 * An index is a function of its segment and the flows that go on in it, which
 * it has itself.  So one that is made anew is the same file, unless the rules
 * of applications were others, or SQLite was.  Where the old one cannot be read
 * the flows that go on are those that the catalogue knows of, or the segment
 * before tells of; those that were idle all through that one begin anew.
 */
#ifndef AT_REBUILD_H
#define AT_REBUILD_H

#include "catalog.h"
#include "indexing.h"

struct at_rebuilding {
    struct at_pool *pool;
    const struct at_apps *apps;
    at_progress_fn *progress; /* may be NULL */
    void *progress_ctx;
};

/* Makes 'path' the index of the segment, of its trace or what is left of it;
 * 'old' is the index it has had (NULL: none), and stays as it is. */
enum at_status at_rebuild_index(struct at_archive *a,
                                const struct at_segment *seg, const char *trace,
                                const char *old, const char *path,
                                const struct at_rebuilding *how,
                                struct at_index_totals *totals,
                                struct at_error *err);

/* The number of the first byte in which two files differ; AT_END if there is
 * none. */
enum at_status at_first_difference(const char *a, const char *b,
                                   uint64_t *offset, struct at_error *err);

/* A difference of two indexes. */
struct at_difference {
    const char *table;
    int64_t row;   /* number of the first, from 1 */
    uint64_t rows; /* that differ */
    bool names;    /* it is only what applications are called */
};

/*
 * Holds the tables of two indexes against each other, row by row, and calls
 * 'fn' for each table that differs.  AT_END if they are of different versions,
 * which say other things.
 */
enum at_status at_index_compare(const char *is, const char *should,
                                void (*fn)(void *ctx,
                                           const struct at_difference *d),
                                void *ctx, struct at_error *err);

/* What the byte at 'offset' of an index belongs to: a table, or what SQLite
 * calls it.  'name' needs AT_TABLE_NAME bytes. */
enum { AT_TABLE_NAME = 64 };
void at_index_table_at(const char *index, uint64_t offset, char *name);

#endif
