/*
 * catalog_change.c - what the packets of a stream were changed by
 *
 * A stream is anonymised as a whole, by one key and policy, or not at all: who
 * forgets an option must not put addresses as they are beside others.
 */
#include "catalog_inside.h"

#include <stdlib.h>
#include <string.h>

#include "catalog_schema.h"
#include "errors.h"

struct changed {
    bool known; /* there is a row */
    bool holds; /* there are, or were, segments */
    char *key;  /* of the row */
    char *policy;
};

static bool finds(struct at_archive *a, const char *query, const char *stream)
{
    sqlite3_stmt *st = at_sql_prepare(&a->sql, query);
    bool found;

    at_sql_bind_text(st, 1, stream);
    found = at_sql_step(&a->sql, st) == AT_OK;
    sqlite3_finalize(st);
    return found;
}

static char *text_of(sqlite3_stmt *st, int column)
{
    const char *text = (const char *)sqlite3_column_text(st, column);

    return strdup(text != NULL ? text : "");
}

/* The strings of *c are the caller's, also after an error. */
static enum at_status look_up(struct at_archive *a, const char *stream,
                              struct changed *c, struct at_error *err)
{
    sqlite3_stmt *st;

    *c = (struct changed){.known = false};
    if (at_sql_has_table(&a->sql, "changed")) {
        st = at_sql_prepare(&a->sql,
                            "SELECT key, policy FROM changed c JOIN stream t"
                            " ON t.id = c.stream WHERE t.name = ?");
        at_sql_bind_text(st, 1, stream);
        if (at_sql_step(&a->sql, st) == AT_OK) {
            c->known = true;
            c->key = text_of(st, 0);
            c->policy = text_of(st, 1);
        }
        sqlite3_finalize(st);
    }
    if (c->known && (c->key == NULL || c->policy == NULL))
        at_error_set(&a->sql.err, AT_ERR_MEMORY, "out of memory");
    c->holds = finds(a,
                     "SELECT 1 FROM segment s JOIN stream t ON t.id = s.stream"
                     " WHERE t.name = ? LIMIT 1",
                     stream);
    return a->sql.err.status == AT_OK ? AT_OK : at_catalog_error(a, err);
}

static enum at_status note(struct at_archive *a, const char *stream,
                           const char *key, const char *policy,
                           struct at_error *err)
{
    sqlite3_stmt *st;

    at_catalog_begin(a);
    at_sql_exec(&a->sql, AT_CATALOG_CHANGED);
    st = at_sql_prepare(&a->sql,
                        "INSERT OR IGNORE INTO stream(name) VALUES(?)");
    at_sql_bind_text(st, 1, stream);
    at_sql_run(&a->sql, st);
    sqlite3_finalize(st);
    st = at_sql_prepare(&a->sql, "INSERT INTO changed SELECT id, ?2, ?3"
                                 " FROM stream WHERE name = ?1");
    at_sql_bind_text(st, 1, stream);
    at_sql_bind_text(st, 2, key);
    at_sql_bind_text(st, 3, policy);
    at_sql_run(&a->sql, st);
    sqlite3_finalize(st);
    return at_sql_exec(&a->sql, "COMMIT") == AT_OK ? AT_OK
                                                   : at_catalog_error(a, err);
}

static enum at_status judge(struct at_archive *a, const char *stream,
                            const struct changed *c, const char *key,
                            const char *policy, struct at_error *err)
{
    if (key == NULL && c->known)
        return at_error_set(err, AT_ERR_MISUSE,
                            "%s: the stream %s is anonymised, with key %s: "
                            "nothing else goes in",
                            a->path, stream, *c->key != 0 ? c->key : "none");
    if (key == NULL)
        return AT_OK;
    if (!c->known && c->holds)
        return at_error_set(err, AT_ERR_MISUSE,
                            "%s: the stream %s holds packets that were not "
                            "anonymised",
                            a->path, stream);
    if (c->known &&
        (strcmp(c->key, key) != 0 || strcmp(c->policy, policy) != 0))
        return at_error_set(
            err, AT_ERR_MISUSE, "%s: the stream %s is anonymised by another %s",
            a->path, stream, strcmp(c->key, key) != 0 ? "key" : "policy");
    return c->known ? AT_OK : note(a, stream, key, policy, err);
}

enum at_status at_archive_check_change(struct at_archive *a, const char *stream,
                                       const char *key, const char *policy,
                                       struct at_error *err)
{
    struct changed c;
    enum at_status st = look_up(a, stream, &c, err);

    if (st == AT_OK)
        st = judge(a, stream, &c, key, policy, err);
    free(c.key);
    free(c.policy);
    return st;
}

enum at_status at_archive_key(struct at_archive *a, const char *stream,
                              char **key, struct at_error *err)
{
    struct changed c;
    const enum at_status st = look_up(a, stream, &c, err);

    free(c.policy);
    *key = c.key;
    if (st == AT_OK)
        return st;
    free(c.key);
    *key = NULL;
    return st;
}
