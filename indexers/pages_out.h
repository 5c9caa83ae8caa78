/*
 * pages_out.h - rows into tables, straight to the pages of a database
 *
 * SQLite takes a microsecond to insert a row of 23 columns, most of it in its
 * virtual machine.  Rows that come in the order of their rowids need no more
 * than to be put one after the other; page_format.h says how.  While one thread
 * does that another makes the next rows.
 */
#ifndef AT_PAGES_OUT_H
#define AT_PAGES_OUT_H

#include "archive_trace.h"

struct at_pool;

enum { AT_ROW_COLUMNS = 24 };

struct at_row {
    struct at_value {
        union {
            int64_t number;
            const void *blob;
        };
        uint32_t bytes; /* of the blob */
        enum { AT_VALUE_NULL, AT_VALUE_NUMBER, AT_VALUE_BLOB } kind;
    } value[AT_ROW_COLUMNS];
};

/* Makes the next row, which comes with all NULL, in some thread; AT_END after
 * the last.  Blobs must live until the next call. */
typedef enum at_status at_row_fn(void *ctx, struct at_row *row,
                                 struct at_error *err);

/* A database that takes pages, by one thread. */
struct at_pages_out;

/* Nobody may have the database open until this is closed. */
enum at_status at_pages_out_open(struct at_pages_out **out, const char *path,
                                 struct at_error *err);

/*
 * Fills an empty table, whose first page is 'root' (at_sql_root()), with all
 * rows there are.  The first column is its INTEGER PRIMARY KEY, ascending.
 * After an error the database is of no use.
 */
enum at_status at_pages_out_fill(struct at_pages_out *o, struct at_pool *pool,
                                 uint32_t root, unsigned columns,
                                 at_row_fn *next, void *ctx,
                                 struct at_error *err);

/* Writes what is left, and frees also after an error.  NULL is fine. */
enum at_status at_pages_out_close(struct at_pages_out *o, struct at_error *err);

/* The index counts from 1, as that of at_sql_bind(). */
static inline void at_row_put(struct at_row *row, int i, int64_t v)
{
    row->value[i - 1].number = v;
    row->value[i - 1].kind = AT_VALUE_NUMBER;
}

static inline void at_row_put_blob(struct at_row *row, int i, const void *p,
                                   size_t n)
{
    row->value[i - 1].blob = p;
    row->value[i - 1].bytes = (uint32_t)n;
    row->value[i - 1].kind = AT_VALUE_BLOB;
}

#endif
