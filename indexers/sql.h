/*
 * sql.h - SQLite with our errors
 *
 * A statement that fails makes the database's at_error sticky; later calls do
 * nothing, so a run of statements is checked once, at its end.
 */
#ifndef AT_SQL_H
#define AT_SQL_H

#include <sqlite3.h>

#include "archive_trace.h"
#include "sql_held.h"

struct at_sql {
    sqlite3 *db;
    char *name;               /* for messages: the path */
    struct at_sql_held *held; /* NULL: it is open by its name */
    struct at_error err;
};

enum at_sql_mode {
    AT_SQL_CREATE, /* a new file, which nobody else sees: no journal */
    AT_SQL_SHARED, /* read and written by several processes */
    AT_SQL_READ,   /* read only, and may change meanwhile */
    AT_SQL_SEALED, /* read only, never changes again */
};

/* On failure *sql needs no closing. */
enum at_status at_sql_open(struct at_sql *sql, const char *path,
                           enum at_sql_mode mode, struct at_error *err);
void at_sql_close(struct at_sql *sql);

/* Opens the sealed database that 'fd', which is duplicated, reads. */
enum at_status at_sql_open_held(struct at_sql *sql, int fd, const char *name,
                                struct at_error *err);

/* Runs statements without results. */
enum at_status at_sql_exec(struct at_sql *sql, const char *text);

/* NULL after an error. */
sqlite3_stmt *at_sql_prepare(struct at_sql *sql, const char *text);

/* Steps: AT_OK with a row, AT_END without, or an error. */
enum at_status at_sql_step(struct at_sql *sql, sqlite3_stmt *st);

/* Steps a statement without results and resets it. */
enum at_status at_sql_run(struct at_sql *sql, sqlite3_stmt *st);

/* The first number of the first row; 0 if there is none, or after an error. */
int64_t at_sql_number(struct at_sql *sql, const char *query);

/* The first page of a table; 0 if there is none. */
uint32_t at_sql_root(struct at_sql *sql, const char *table);

bool at_sql_has_table(struct at_sql *sql, const char *name);

/* Binds; index counts from 1.  Blobs and texts must live until the step. */
void at_sql_bind(sqlite3_stmt *st, int i, int64_t v);
void at_sql_bind_text(sqlite3_stmt *st, int i, const char *text);
void at_sql_bind_blob(sqlite3_stmt *st, int i, const void *p, size_t n);

#endif
