/*
 * sql.c - SQLite with our errors
 */
#include "sql.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "errors.h"

enum { BUSY_MS = 60000 };

static enum at_status sql_fail(struct at_sql *sql)
{
    const int code = sqlite3_errcode(sql->db) & 0xff;
    const bool corrupt = code == SQLITE_CORRUPT || code == SQLITE_NOTADB;

    return at_error_set(&sql->err,
                        corrupt                ? AT_ERR_CORRUPT
                        : code == SQLITE_NOMEM ? AT_ERR_MEMORY
                                               : AT_ERR_SYSTEM,
                        "%s: %s", sql->name, sqlite3_errmsg(sql->db));
}

/* A URI, for immutable=1: '?', '#' and '%' in the path are escaped. */
static char *sealed_uri(const char *path)
{
    char *uri = malloc(strlen(path) * 3 + 32);
    char *p = uri;

    if (uri == NULL)
        return NULL;
    p += sprintf(p, "file:");
    for (; *path != 0; path++) {
        if (*path == '?' || *path == '#' || *path == '%')
            p += sprintf(p, "%%%02x", (unsigned char)*path);
        else
            *p++ = *path;
    }
    sprintf(p, "?immutable=1");
    return uri;
}

/*
 * One thread at a time uses a connection, so SQLite need not lock it.  Who
 * only reads opens for writing too where that is allowed: after a crash the
 * journal that was left must be played back before anything can be read.
 */
static int open_db(struct at_sql *sql, const char *path, enum at_sql_mode mode)
{
    const int read = SQLITE_OPEN_READONLY | SQLITE_OPEN_NOMUTEX;
    const int shared = SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX;
    char *uri;
    int r;

    if (mode == AT_SQL_CREATE || mode == AT_SQL_SHARED)
        return sqlite3_open_v2(path, &sql->db, shared | SQLITE_OPEN_CREATE,
                               NULL);
    if (mode == AT_SQL_READ)
        return sqlite3_open_v2(path, &sql->db, shared, NULL);
    uri = sealed_uri(path);
    if (uri == NULL)
        return SQLITE_NOMEM;
    r = sqlite3_open_v2(uri, &sql->db, read | SQLITE_OPEN_URI, NULL);
    free(uri);
    return r;
}

static const char *settings(enum at_sql_mode mode)
{
    switch (mode) {
    case AT_SQL_CREATE:
        return "PRAGMA page_size = 8192; PRAGMA journal_mode = OFF;"
               "PRAGMA synchronous = OFF; PRAGMA locking_mode = EXCLUSIVE;"
               "PRAGMA cache_size = -16384;";
    case AT_SQL_SHARED:
        return "PRAGMA journal_mode = DELETE; PRAGMA synchronous = FULL;"
               "PRAGMA foreign_keys = ON;";
    default:
        return "PRAGMA query_only = ON; PRAGMA trusted_schema = OFF;"
               "PRAGMA cell_size_check = ON;";
    }
}

static enum at_status set_up(struct at_sql *sql, int opened,
                             enum at_sql_mode mode, struct at_error *err)
{
    enum at_status st = AT_OK;

    if (opened != SQLITE_OK) {
        st = sql_fail(sql);
    } else {
        sqlite3_extended_result_codes(sql->db, 1);
        sqlite3_busy_timeout(sql->db, BUSY_MS);
        st = at_sql_exec(sql, settings(mode));
    }
    if (st != AT_OK) {
        at_error_copy(err, &sql->err);
        at_sql_close(sql);
    }
    return st;
}

enum at_status at_sql_open(struct at_sql *sql, const char *path,
                           enum at_sql_mode mode, struct at_error *err)
{
    *sql = (struct at_sql){.name = strdup(path)};
    if (sql->name == NULL)
        return at_error_set(err, AT_ERR_MEMORY, "out of memory");
    return set_up(sql, open_db(sql, path, mode), mode, err);
}

enum at_status at_sql_open_held(struct at_sql *sql, int fd, const char *name,
                                struct at_error *err)
{
    *sql = (struct at_sql){.name = strdup(name)};
    if (sql->name == NULL)
        return at_error_set(err, AT_ERR_MEMORY, "out of memory");
    return set_up(sql, at_sql_held_open(&sql->db, &sql->held, fd, name),
                  AT_SQL_SEALED, err);
}

void at_sql_close(struct at_sql *sql)
{
    sqlite3_close_v2(sql->db);
    at_sql_held_close(sql->held);
    free(sql->name);
    sql->db = NULL;
    sql->held = NULL;
    sql->name = NULL;
}

enum at_status at_sql_exec(struct at_sql *sql, const char *text)
{
    if (sql->err.status != AT_OK)
        return sql->err.status;
    if (sqlite3_exec(sql->db, text, NULL, NULL, NULL) != SQLITE_OK)
        return sql_fail(sql);
    return AT_OK;
}

sqlite3_stmt *at_sql_prepare(struct at_sql *sql, const char *text)
{
    sqlite3_stmt *st = NULL;

    if (sql->err.status == AT_OK &&
        sqlite3_prepare_v2(sql->db, text, -1, &st, NULL) != SQLITE_OK)
        sql_fail(sql);
    return st;
}

enum at_status at_sql_step(struct at_sql *sql, sqlite3_stmt *st)
{
    int r;

    if (sql->err.status != AT_OK)
        return sql->err.status;
    r = sqlite3_step(st);
    if (r == SQLITE_ROW)
        return AT_OK;
    return r == SQLITE_DONE ? AT_END : sql_fail(sql);
}

enum at_status at_sql_run(struct at_sql *sql, sqlite3_stmt *st)
{
    const enum at_status r = at_sql_step(sql, st);

    if (st != NULL)
        sqlite3_reset(st);
    return r < 0 ? r : AT_OK;
}

void at_sql_bind(sqlite3_stmt *st, int i, int64_t v)
{
    if (st != NULL)
        sqlite3_bind_int64(st, i, v);
}

void at_sql_bind_text(sqlite3_stmt *st, int i, const char *text)
{
    if (st != NULL)
        sqlite3_bind_text(st, i, text, -1, SQLITE_STATIC);
}

void at_sql_bind_blob(sqlite3_stmt *st, int i, const void *p, size_t n)
{
    if (st != NULL)
        sqlite3_bind_blob64(st, i, p, n, SQLITE_STATIC);
}

int64_t at_sql_number(struct at_sql *sql, const char *query)
{
    sqlite3_stmt *st = at_sql_prepare(sql, query);
    int64_t v = 0;

    if (at_sql_step(sql, st) == AT_OK)
        v = sqlite3_column_int64(st, 0);
    sqlite3_finalize(st);
    return v;
}

uint32_t at_sql_root(struct at_sql *sql, const char *table)
{
    sqlite3_stmt *st = at_sql_prepare(sql,
                                      "SELECT rootpage FROM sqlite_master"
                                      " WHERE type = 'table' AND name = ?");
    uint32_t root = 0;

    at_sql_bind_text(st, 1, table);
    if (at_sql_step(sql, st) == AT_OK)
        root = (uint32_t)sqlite3_column_int64(st, 0);
    sqlite3_finalize(st);
    return root;
}

bool at_sql_has_table(struct at_sql *sql, const char *name)
{
    return at_sql_root(sql, name) != 0;
}
