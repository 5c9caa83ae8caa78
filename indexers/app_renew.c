/*
 * app_renew.c - other names for the flows of an index, without its trace
 *
 * A copy of the index gets another column marks and another table app, and is
 * then vacuumed, so that it says what one that is made now would say, and is
 * as small.
 */
#include "app_renew.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "app_part.h"
#include "errors.h"
#include "files.h"
#include "index.h"
#include "schema.h"

struct renewal {
    struct at_index *ix;
    struct at_app_names names; /* that it has had */
    struct at_app_part *part;
    size_t flows;
    uint64_t changed;
};

/* ---- what the index says --------------------------------------------- */

static bool same_name(const char *a, const char *b)
{
    return a == b || (a != NULL && b != NULL && strcmp(a, b) == 0);
}

static enum at_status take_flows(struct renewal *re, struct at_error *err)
{
    struct at_flow_row row;
    size_t n = 0;
    enum at_status st = at_index_flows(re->ix, NULL, err);

    while (st == AT_OK &&
           (st = at_index_next_flow(re->ix, &row, err)) == AT_OK) {
        const char *app = row.app, *category = row.category;
        const uint8_t confidence = row.confidence;

        if (n == re->flows)
            return at_error_set(err, AT_ERR_CORRUPT, "more flows than rows");
        row.app = row.category = NULL;
        row.confidence = 0;
        at_app_part_take(re->part, n++, &row);
        re->changed += !same_name(app, row.app) ||
                       !same_name(category, row.category) ||
                       confidence != row.confidence;
    }
    if (st == AT_END && n < re->flows)
        return at_error_set(err, AT_ERR_CORRUPT, "fewer flows than rows");
    at_app_part_finish(re->part);
    return st < 0 ? st : AT_OK;
}

static enum at_status read_all(struct renewal *re, const char *path,
                               const struct at_apps *apps, struct at_error *err)
{
    enum at_status st = at_index_open(&re->ix, path, NULL, err);

    if (st == AT_OK)
        st = at_index_name_apps(re->ix, &re->names, err);
    if (st == AT_OK)
        st = at_index_want_openings(re->ix, err);
    if (st != AT_OK)
        return st;
    re->flows = at_index_info(re->ix)->rows;
    re->part = at_app_part_open(apps, re->flows);
    if (re->part == NULL)
        return at_error_set(err, AT_ERR_MEMORY, "out of memory");
    return take_flows(re, err);
}

/* ---- the copy -------------------------------------------------------- */

static enum at_status copy_bytes(int from, int to, const char *path,
                                 struct at_error *err)
{
    enum { PIECE = 1 << 17 };
    char *buf = malloc(PIECE);
    ssize_t n = buf != NULL ? 1 : -1;

    while (n > 0 && (n = read(from, buf, PIECE)) > 0)
        if (write(to, buf, (size_t)n) != n)
            n = -1;
    if (n < 0)
        at_error_system(err, path, "copy");
    free(buf);
    return n < 0 ? AT_ERR_SYSTEM : AT_OK;
}

static enum at_status copy_file(const char *path, const char *copy,
                                struct at_error *err)
{
    const int from = open(path, O_RDONLY | O_CLOEXEC);
    const int to = open(copy, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    enum at_status st = AT_OK;

    if (from < 0)
        st = at_error_system(err, path, "open");
    else if (to < 0)
        st = at_error_system(err, copy, "write");
    else
        st = copy_bytes(from, to, path, err);
    if (from >= 0)
        close(from);
    if (to >= 0 && close(to) != 0 && st == AT_OK)
        st = at_error_system(err, copy, "write");
    return st;
}

static void update_marks(struct renewal *re, struct at_sql *sql)
{
    sqlite3_stmt *st = at_sql_prepare(
        sql, "UPDATE flow SET marks = (marks & 255) | (? << 8) WHERE id = ?");

    for (size_t i = 0; i < re->flows && sql->err.status == AT_OK; i++) {
        at_sql_bind(st, 1, at_app_part_value(re->part, i));
        at_sql_bind(st, 2, (int64_t)i + 1);
        at_sql_run(sql, st);
    }
    sqlite3_finalize(st);
}

static enum at_status change(struct renewal *re, const char *copy,
                             struct at_error *err)
{
    struct at_sql sql;
    enum at_status st = at_sql_open(&sql, copy, AT_SQL_CREATE, err);

    if (st != AT_OK)
        return st;
    at_sql_exec(&sql, "BEGIN");
    at_sql_exec(&sql, "DELETE FROM app");
    update_marks(re, &sql);
    at_app_part_write_apps(re->part, &sql, NULL);
    at_sql_exec(&sql, "COMMIT");
    st = at_sql_exec(&sql, "VACUUM");
    if (st != AT_OK)
        at_error_copy(err, &sql.err);
    at_sql_close(&sql);
    return st;
}

static enum at_status publish(const char *copy, const char *path,
                              struct at_error *err)
{
    const int fd = open(copy, O_RDONLY | O_CLOEXEC);
    const bool synced = fd >= 0 && fsync(fd) == 0;

    if (fd >= 0)
        close(fd);
    if (!synced)
        return at_error_system(err, copy, "sync");
    if (rename(copy, path) != 0)
        return at_error_system(err, path, "replace");
    return at_dir_sync_of(path, err);
}

static enum at_status write_all(struct renewal *re, const char *path,
                                struct at_error *err)
{
    char *copy;
    enum at_status st;

    if (asprintf(&copy, "%s.%ld.part", path, (long)getpid()) < 0)
        return at_error_set(err, AT_ERR_MEMORY, "out of memory");
    st = copy_file(path, copy, err);
    if (st == AT_OK)
        st = change(re, copy, err);
    if (st == AT_OK)
        st = publish(copy, path, err);
    if (st != AT_OK)
        unlink(copy);
    free(copy);
    return st;
}

enum at_status at_app_renew(const char *path, const struct at_apps *apps,
                            uint64_t *changed, struct at_error *err)
{
    struct renewal re = {.changed = 0};
    enum at_status st = read_all(&re, path, apps, err);

    at_index_close(re.ix);
    if (st == AT_OK && re.changed > 0)
        st = write_all(&re, path, err);
    *changed = st == AT_OK ? re.changed : 0;
    at_app_part_close(re.part);
    at_app_names_close(&re.names);
    return st;
}
