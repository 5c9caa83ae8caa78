/*
 * sql_rows.c - many rows into a table of SQLite by one statement
 *
 * The rows are those of a virtual table, which is there for the statement
 * alone and leaves nothing in the file.  They are made in batches, one after
 * the other, ahead of the statement that reads them.
 */
#include "sql_rows.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "errors.h"
#include "pool.h"

#define SOURCE "rows_to_insert"

enum { BATCH = 128, BATCHES = 4 };

struct batch {
    struct at_sql_row row[BATCH]; /* of a blob, 'number' is where it begins */
    size_t n;                     /* 0: there are no more */
    uint8_t *blob;
    size_t used, room;
};

struct source {
    struct at_lane *lane;
    unsigned columns;
    at_sql_row_fn *next;
    void *ctx;
    bool end;            /* for the tasks of the lane alone */
    struct at_error err; /* likewise, while there are any */
};

struct source_table {
    sqlite3_vtab base;
    struct source *source;
};

struct cursor {
    sqlite3_vtab_cursor base;
    struct source *source;
    const struct batch *batch; /* NULL: there are no more rows */
    size_t at;                 /* in it */
};

/* ---- making rows ----------------------------------------------------- */

static enum at_status keep_blob(struct batch *b, struct at_sql_value *v,
                                struct at_error *err)
{
    if (b->room - b->used <= v->bytes) {
        const size_t room = b->room * 2 + v->bytes + 4096;
        uint8_t *p = realloc(b->blob, room);

        if (p == NULL)
            return at_error_set(err, AT_ERR_MEMORY, "out of memory");
        b->blob = p;
        b->room = room;
    }
    memcpy(b->blob + b->used, v->blob, v->bytes);
    v->number = (int64_t)b->used;
    b->used += v->bytes;
    return AT_OK;
}

static enum at_status make_row(struct source *source, struct batch *b,
                               struct at_sql_row *row)
{
    enum at_status st;

    memset(row, 0, sizeof(*row));
    st = source->next(source->ctx, row, &source->err);
    for (unsigned i = 0; i < source->columns && st == AT_OK; i++)
        if (row->value[i].kind == AT_SQL_BLOB)
            st = keep_blob(b, &row->value[i], &source->err);
    return st;
}

static void make_batch(void *ctx, void *slot)
{
    struct source *source = ctx;
    struct batch *b = slot;

    b->n = b->used = 0;
    while (!source->end && b->n < BATCH)
        if (make_row(source, b, &b->row[b->n]) == AT_OK)
            b->n++;
        else
            source->end = true;
}

static void drop_batch(void *ctx, void *slot)
{
    struct batch *b = slot;

    (void)ctx;
    free(b->blob);
}

/* ---- the virtual table ----------------------------------------------- */

static int connect_source(sqlite3 *db, void *ctx, int argc,
                          const char *const *argv, sqlite3_vtab **out,
                          char **message)
{
    struct source *source = ctx;
    char text[AT_SQL_COLUMNS * 8 + 32] = "CREATE TABLE rows(";
    struct source_table *table = sqlite3_malloc(sizeof(*table));
    size_t at = strlen(text);

    (void)argc, (void)argv, (void)message;
    if (table == NULL)
        return SQLITE_NOMEM;
    *table = (struct source_table){.source = source};
    *out = &table->base;
    for (unsigned i = 1; i <= source->columns; i++)
        at += (size_t)sprintf(text + at, "c%u%c", i,
                              i < source->columns ? ',' : ')');
    return sqlite3_declare_vtab(db, text);
}

static int disconnect_source(sqlite3_vtab *table)
{
    sqlite3_free(table);
    return SQLITE_OK;
}

static int plan_scan(sqlite3_vtab *table, sqlite3_index_info *info)
{
    (void)table, (void)info;
    return SQLITE_OK;
}

static int open_cursor(sqlite3_vtab *table, sqlite3_vtab_cursor **out)
{
    struct cursor *c = sqlite3_malloc(sizeof(*c));

    if (c == NULL)
        return SQLITE_NOMEM;
    *c = (struct cursor){.source = ((struct source_table *)table)->source};
    *out = &c->base;
    return SQLITE_OK;
}

static int close_cursor(sqlite3_vtab_cursor *base)
{
    sqlite3_free(base);
    return SQLITE_OK;
}

static int next_batch(struct cursor *c)
{
    const struct batch *b = at_lane_wait(c->source->lane);

    c->batch = b->n > 0 ? b : NULL;
    c->at = 0;
    return SQLITE_OK;
}

static int begin_scan(sqlite3_vtab_cursor *base, int plan, const char *text,
                      int argc, sqlite3_value **argv)
{
    struct cursor *c = (struct cursor *)base;

    (void)plan, (void)text, (void)argc, (void)argv;
    while (at_lane_free_slot(c->source->lane) != NULL)
        at_lane_submit(c->source->lane);
    return next_batch(c);
}

static int next_row(sqlite3_vtab_cursor *base)
{
    struct cursor *c = (struct cursor *)base;

    if (++c->at < c->batch->n)
        return SQLITE_OK;
    at_lane_retire(c->source->lane);
    at_lane_submit(c->source->lane);
    return next_batch(c);
}

static int at_end(sqlite3_vtab_cursor *base)
{
    return ((const struct cursor *)base)->batch == NULL;
}

static int column_of(sqlite3_vtab_cursor *base, sqlite3_context *to, int i)
{
    const struct cursor *c = (const struct cursor *)base;
    const struct at_sql_value *v = &c->batch->row[c->at].value[i];

    if (v->kind == AT_SQL_NUMBER)
        sqlite3_result_int64(to, v->number);
    else if (v->kind == AT_SQL_BLOB)
        sqlite3_result_blob64(to, c->batch->blob + v->number, v->bytes,
                              SQLITE_STATIC);
    return SQLITE_OK;
}

/* Nobody asks for it. */
static int row_id(sqlite3_vtab_cursor *base, sqlite3_int64 *id)
{
    *id = (sqlite3_int64)((const struct cursor *)base)->at;
    return SQLITE_OK;
}

static const sqlite3_module rows_module = {
    .xConnect = connect_source,
    .xBestIndex = plan_scan,
    .xDisconnect = disconnect_source,
    .xOpen = open_cursor,
    .xClose = close_cursor,
    .xFilter = begin_scan,
    .xNext = next_row,
    .xEof = at_end,
    .xColumn = column_of,
    .xRowid = row_id,
};

enum at_status at_sql_fill(struct at_sql *sql, struct at_pool *pool,
                           const char *table, unsigned columns,
                           at_sql_row_fn *next, void *ctx)
{
    struct source source = {.columns = columns, .next = next, .ctx = ctx};
    char text[128];

    if (sql->err.status != AT_OK)
        return sql->err.status;
    source.lane = at_lane_open(pool, make_batch, &source, sizeof(struct batch),
                               BATCHES, true);
    if (source.lane == NULL)
        return at_error_set(&sql->err, AT_ERR_MEMORY, "out of memory");
    snprintf(text, sizeof(text), "INSERT INTO %s SELECT * FROM " SOURCE, table);
    sqlite3_create_module(sql->db, SOURCE, &rows_module, &source);
    at_sql_exec(sql, text);
    sqlite3_create_module(sql->db, SOURCE, NULL, NULL);
    at_lane_close(source.lane, drop_batch);
    if (sql->err.status == AT_OK && source.err.status < 0)
        at_error_copy(&sql->err, &source.err);
    return sql->err.status;
}
