/*
 * verify_catalog.c - whether the catalogue is what was written
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "catalog_inside.h"
#include "errors.h"
#include "files.h"
#include "seal.h"
#include "verify.h"

struct check {
    struct at_archive *a;
    const struct at_verify *how;
    struct at_verified *done;
};

static void tell(struct check *c, const struct at_error *what)
{
    c->done->troubles++;
    c->how->trouble(c->how->ctx, what);
}

static void AT_PRINTF(2, 3) trouble(struct check *c, const char *fmt, ...)
{
    struct at_error what;
    va_list ap;

    va_start(ap, fmt);
    at_error_within(&what, AT_ERR_CORRUPT, c->a->path, "/", fmt, ap);
    va_end(ap);
    tell(c, &what);
}

static void AT_PRINTF(2, 3) note(struct check *c, const char *fmt, ...)
{
    struct at_error what;
    va_list ap;

    va_start(ap, fmt);
    at_error_within(&what, AT_OK, c->a->path, "/", fmt, ap);
    va_end(ap);
    c->how->note(c->how->ctx, &what);
}

/* Each row that a PRAGMA finds wrong; 'fine' is the word for none. */
static void check_pragma(struct check *c, const char *pragma, const char *fine)
{
    sqlite3_stmt *st = at_sql_prepare(&c->a->sql, pragma);

    while (at_sql_step(&c->a->sql, st) == AT_OK) {
        const char *text = (const char *)sqlite3_column_text(st, 0);

        if (text == NULL || fine == NULL || strcmp(text, fine) != 0)
            trouble(c, AT_CATALOG_NAME ": damaged: %s%s",
                    fine == NULL ? "a row of another table is not there: " : "",
                    text != NULL ? text : "");
    }
    sqlite3_finalize(st);
}

static enum at_status check_seal(struct check *c, struct at_error *err)
{
    enum at_seal seal;
    const enum at_status st = at_seal_check(c->a->path, &seal, err);

    if (st == AT_OK && seal == AT_SEAL_BROKEN)
        trouble(c, AT_CATALOG_NAME ": damaged: not what " AT_SEAL_NAME
                                   " says, or that is damaged");
    if (st == AT_OK && seal == AT_SEAL_NONE)
        note(c, AT_CATALOG_NAME ": without " AT_SEAL_NAME
                                ": it is being changed, or who did was "
                                "stopped");
    return st;
}

/* ---- files that nobody names ----------------------------------------- */

static bool ends_in_idx(const char *path)
{
    const size_t n = strlen(path);

    return n > 4 && strcmp(path + n - 4, ".idx") == 0;
}

/* The trace of a segment whose packets are gone is nobody's. */
static const char *owner_query(const struct at_archive *a)
{
    return a->version > 1 ? "SELECT 1 FROM segment WHERE path = ?1"
                            " AND (gone = 0 OR ?2) UNION ALL"
                            " SELECT 2 FROM intent WHERE path = ?1"
                          : "SELECT 1 FROM segment WHERE path = ?1 UNION ALL"
                            " SELECT 2 FROM intent WHERE path = ?1";
}

enum at_status at_catalog_owner(struct at_archive *a, const char *path,
                                enum at_owner *owner, struct at_error *err)
{
    const bool index = ends_in_idx(path);
    sqlite3_stmt *st = at_sql_prepare(&a->sql, owner_query(a));
    char *trace = strdup(path);

    *owner = AT_OWNER_NONE;
    if (trace == NULL)
        at_error_set(&a->sql.err, AT_ERR_MEMORY, "out of memory");
    else if (index)
        trace[strlen(trace) - 4] = 0;
    at_sql_bind_text(st, 1, trace);
    if (a->version > 1)
        at_sql_bind(st, 2, index);
    if (at_sql_step(&a->sql, st) == AT_OK)
        *owner = (enum at_owner)sqlite3_column_int(st, 0);
    sqlite3_finalize(st);
    free(trace);
    return a->sql.err.status == AT_OK ? AT_OK : at_catalog_error(a, err);
}

static enum at_status look_at(void *ctx, const char *path, struct at_error *err)
{
    struct check *c = ctx;
    enum at_owner owner;
    const enum at_status st = at_catalog_owner(c->a, path, &owner, err);

    if (st == AT_OK && owner == AT_OWNER_NONE)
        note(c, "%s: not in the catalogue", path);
    return st;
}

enum at_status at_verify_catalog(struct at_archive *a,
                                 const struct at_verify *how,
                                 struct at_verified *done, struct at_error *err)
{
    struct check c = {.a = a, .how = how, .done = done};
    enum at_status st = check_seal(&c, err);

    if (st != AT_OK)
        return st;
    check_pragma(&c, "PRAGMA integrity_check(10)", "ok");
    check_pragma(&c, "PRAGMA foreign_key_check", NULL);
    if (a->sql.err.status != AT_OK)
        return at_catalog_error(a, err);
    st = at_dir_walk(a->path, "segments", look_at, &c, err);
    if (st == AT_OK)
        st = at_dir_walk(a->path, "pending", look_at, &c, err);
    return st;
}
