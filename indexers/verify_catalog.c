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
    char text[400];
    struct at_error what;
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    at_error_set(&what, AT_ERR_CORRUPT, "%s/%s", c->a->path, text);
    tell(c, &what);
}

static void AT_PRINTF(2, 3) note(struct check *c, const char *fmt, ...)
{
    char text[400];
    struct at_error what;
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    at_error_set(&what, AT_OK, "%s/%s", c->a->path, text);
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

bool at_catalog_names(struct at_archive *a, const char *path)
{
    const bool index = ends_in_idx(path);
    sqlite3_stmt *st = at_sql_prepare(
        &a->sql, a->version > 1
                     ? "SELECT 1 FROM segment WHERE path = ?1"
                       " AND (gone = 0 OR ?2) UNION ALL"
                       " SELECT 1 FROM intent WHERE path = ?1"
                     : "SELECT 1 FROM segment WHERE path = ?1"
                       " UNION ALL SELECT 1 FROM intent WHERE path = ?1");
    char *trace = strdup(path);
    bool known;

    if (trace != NULL && index)
        trace[strlen(trace) - 4] = 0;
    at_sql_bind_text(st, 1, trace);
    if (a->version > 1)
        at_sql_bind(st, 2, index);
    known = at_sql_step(&a->sql, st) != AT_END;
    sqlite3_finalize(st);
    free(trace);
    return known;
}

static enum at_status look_at(void *ctx, const char *path, struct at_error *err)
{
    struct check *c = ctx;

    (void)err;
    if (!at_catalog_names(c->a, path))
        note(c, "%s: not in the catalogue", path);
    return AT_OK;
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
