/*
 * sql_rows.h - many rows into a table of SQLite by one statement
 *
 * A statement for each row costs more than the row does, and while one thread
 * inserts rows another can make the next ones.
 */
#ifndef AT_SQL_ROWS_H
#define AT_SQL_ROWS_H

#include "sql.h"

enum { AT_SQL_COLUMNS = 24 };

struct at_sql_row {
    struct at_sql_value {
        union {
            int64_t number;
            const void *blob;
        };
        uint32_t bytes; /* of the blob */
        enum { AT_SQL_NULL, AT_SQL_NUMBER, AT_SQL_BLOB } kind;
    } value[AT_SQL_COLUMNS];
};

/* Makes the next row, which comes with all NULL, in some thread; AT_END after
 * the last.  Blobs must live until the next call. */
typedef enum at_status at_sql_row_fn(void *ctx, struct at_sql_row *row,
                                     struct at_error *err);

/* Inserts all rows there are into a table of that many columns. */
enum at_status at_sql_fill(struct at_sql *sql, struct at_pool *pool,
                           const char *table, unsigned columns,
                           at_sql_row_fn *next, void *ctx);

/* The index counts from 1, as that of at_sql_bind(). */
static inline void at_sql_put(struct at_sql_row *row, int i, int64_t v)
{
    row->value[i - 1].number = v;
    row->value[i - 1].kind = AT_SQL_NUMBER;
}

static inline void at_sql_put_blob(struct at_sql_row *row, int i, const void *p,
                                   size_t n)
{
    row->value[i - 1].blob = p;
    row->value[i - 1].bytes = (uint32_t)n;
    row->value[i - 1].kind = AT_SQL_BLOB;
}

#endif
