/*
 * rebuild.c - the index of a segment, made anew of its packets
 */
#include "rebuild.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bytes.h"
#include "errors.h"
#include "index.h"
#include "input.h"
#include "schema.h"
#include "sql.h"

enum { PIECE_BYTES = 1 << 16, TABLES_MOST = 32 };

/* ---- making ---------------------------------------------------------- */

/* By what rules flows were made, and what those were that go on, as the index
 * says; AT_END if it cannot. */
static enum at_status rules_of_index(const char *index,
                                     struct at_tracking *rules,
                                     struct at_carry *carry)
{
    struct at_index *ix = NULL;
    enum at_status st = AT_END;

    if (index != NULL && at_index_open(&ix, index, NULL, NULL) == AT_OK)
        st = at_index_carried(ix, carry, NULL);
    *rules = st == AT_OK ? at_index_info(ix)->tracking : at_tracking_default;
    at_index_close(ix);
    if (st == AT_OK)
        return st;
    at_carry_close(carry);
    return AT_END;
}

static enum at_status
index_trace(const struct at_segment *seg, const char *trace, const char *path,
            const struct at_rebuilding *how, const struct at_tracking *rules,
            const struct at_carry *carry, struct at_carry *open,
            struct at_index_totals *totals, struct at_error *err)
{
    const struct at_indexing indexing = {
        .pool = how->pool,
        .tracking = *rules,
        .stream = seg->stream,
        .apps = how->apps,
        .carry = carry,
        .open = open,
        .progress = how->progress,
        .progress_ctx = how->progress_ctx,
    };
    bool written;

    return at_index_file(trace, path, &indexing, totals, &written, err);
}

/* The flows that are open at the end of a segment, by tracking it again; what
 * was idle all through it is not among them. */
static enum at_status track_again(struct at_archive *a,
                                  const struct at_segment *seg,
                                  const char *path,
                                  const struct at_rebuilding *how,
                                  struct at_carry *open)
{
    struct at_carry carry = {.n = 0};
    struct at_index_totals totals;
    struct at_tracking rules;
    char *trace = at_archive_path(a, seg->path);
    char *index = trace != NULL ? at_index_path(trace) : NULL;
    enum at_status st = AT_END;

    if (index != NULL && seg->gone_ns == 0 && access(trace, R_OK) == 0) {
        (void)rules_of_index(index, &rules, &carry);
        st = index_trace(seg, trace, path, how, &rules, &carry, open, &totals,
                         NULL);
    }
    at_carry_close(&carry);
    free(trace);
    free(index);
    return st;
}

/* The catalogue has those that the newest segments have left; of others that
 * which was before tells. */
static enum at_status
carry_of_catalog(struct at_archive *a, const struct at_segment *seg,
                 const char *path, const struct at_rebuilding *how,
                 struct at_carry *carry, struct at_error *err)
{
    struct at_segments list;
    enum at_status st = at_archive_open_flows(a, seg->stream, seg->id,
                                              seg->start_ns, carry, err);

    if (st != AT_OK || carry->n > 0)
        return st;
    st = at_archive_segments(a, seg->stream, AT_TIME_MIN, AT_TIME_MAX, &list,
                             err);
    if (st != AT_OK)
        return st;
    for (size_t i = 1; i < list.n; i++)
        if (list.segment[i].id == seg->id &&
            track_again(a, &list.segment[i - 1], path, how, carry) != AT_OK)
            at_carry_close(carry);
    at_segments_free(&list);
    return AT_OK;
}

/* An index that is lost has taken its rules along; those of the stream are the
 * same in every run, so any other index of it tells. */
static enum at_status rules_of_stream(struct at_archive *a,
                                      const struct at_segment *seg,
                                      struct at_tracking *rules,
                                      struct at_error *err)
{
    struct at_segments list = {.n = 0};
    bool known = false;
    const enum at_status st = at_archive_segments(a, seg->stream, AT_TIME_MIN,
                                                  AT_TIME_MAX, &list, err);

    for (size_t i = list.n; st == AT_OK && i-- > 0 && !known;) {
        char *trace = at_archive_path(a, list.segment[i].path);

        known = list.segment[i].id != seg->id && trace != NULL &&
                at_index_rules_of(trace, rules);
        free(trace);
    }
    at_segments_free(&list);
    return st;
}

enum at_status at_rebuild_index(struct at_archive *a,
                                const struct at_segment *seg, const char *trace,
                                const char *old, const char *path,
                                const struct at_rebuilding *how,
                                struct at_index_totals *totals,
                                struct at_error *err)
{
    struct at_carry carry = {.n = 0}, open = {.n = 0};
    struct at_tracking rules;
    enum at_status st = rules_of_index(old, &rules, &carry);

    if (st == AT_END && seg->id != 0) {
        st = rules_of_stream(a, seg, &rules, err);
        if (st == AT_OK)
            st = carry_of_catalog(a, seg, path, how, &carry, err);
    } else if (st == AT_END) {
        st = AT_OK;
    }
    if (st == AT_OK)
        st = index_trace(seg, trace, path, how, &rules, &carry, &open, totals,
                         err);
    at_carry_close(&carry);
    at_carry_close(&open);
    return st;
}

/* ---- bytes ----------------------------------------------------------- */

static enum at_status compare_inputs(struct at_input *a, struct at_input *b,
                                     uint8_t *buf, uint64_t *offset,
                                     struct at_error *err)
{
    uint8_t *x = buf, *y = buf + PIECE_BYTES;
    size_t n = 1, m = 1;

    for (*offset = 0; n > 0 || m > 0; *offset += n) {
        enum at_status st = at_input_read(a, x, PIECE_BYTES, &n, err);

        if (st == AT_OK)
            st = at_input_read(b, y, PIECE_BYTES, &m, err);
        if (st != AT_OK)
            return st;
        for (size_t i = 0; i < n || i < m; i++)
            if (i >= n || i >= m || x[i] != y[i]) {
                *offset += i;
                return AT_OK;
            }
    }
    return AT_END;
}

enum at_status at_first_difference(const char *a, const char *b,
                                   uint64_t *offset, struct at_error *err)
{
    struct at_input x, y;
    uint8_t *buf;
    enum at_status st = at_input_open(&x, a, NULL, err);

    if (st != AT_OK)
        return st;
    st = at_input_open(&y, b, NULL, err);
    if (st != AT_OK) {
        at_input_close(&x);
        return st;
    }
    buf = malloc((size_t)2 * PIECE_BYTES);
    st = buf == NULL ? at_error_set(err, AT_ERR_MEMORY, "out of memory")
                     : compare_inputs(&x, &y, buf, offset, err);
    free(buf);
    at_input_close(&x);
    at_input_close(&y);
    return st;
}

/* ---- tables ---------------------------------------------------------- */

static bool same_value(sqlite3_stmt *a, sqlite3_stmt *b, int i)
{
    const int n = sqlite3_column_bytes(a, i);

    if (sqlite3_column_type(a, i) != sqlite3_column_type(b, i))
        return false;
    if (sqlite3_column_type(a, i) == SQLITE_INTEGER)
        return sqlite3_column_int64(a, i) == sqlite3_column_int64(b, i);
    return n == sqlite3_column_bytes(b, i) &&
           (n == 0 || memcmp(sqlite3_column_blob(a, i),
                             sqlite3_column_blob(b, i), (size_t)n) == 0);
}

/* Whether two values of a column "marks" differ in the application only. */
static bool same_marks(sqlite3_stmt *a, sqlite3_stmt *b, int i)
{
    const int64_t most = (1 << AT_INDEX_APP_SHIFT) - 1;

    return strcmp(sqlite3_column_name(a, i), "marks") == 0 &&
           ((sqlite3_column_int64(a, i) ^ sqlite3_column_int64(b, i)) & most) ==
               0;
}

/* Whether two rows are the same, and if not, whether but for names. */
static bool same_row(sqlite3_stmt *a, sqlite3_stmt *b, bool *names)
{
    bool same = true;

    *names = true;
    if (sqlite3_column_count(a) != sqlite3_column_count(b))
        return *names = false;
    for (int i = 0; i < sqlite3_column_count(a); i++)
        if (!same_value(a, b, i)) {
            same = false;
            *names &= same_marks(a, b, i);
        }
    return same;
}

struct comparison {
    struct at_sql is, should;
    void (*fn)(void *ctx, const struct at_difference *d);
    void *ctx;
};

static void compare_rows(struct comparison *c, sqlite3_stmt *a, sqlite3_stmt *b,
                         struct at_difference *d)
{
    for (int64_t row = 1;; row++) {
        const enum at_status x = at_sql_step(&c->is, a);
        const enum at_status y = at_sql_step(&c->should, b);
        bool names = false;

        if (x < 0 || y < 0 || (x == AT_END && y == AT_END))
            return;
        if (x == AT_OK && y == AT_OK && same_row(a, b, &names))
            continue;
        if (d->rows++ == 0)
            d->row = row;
        d->names &= names;
    }
}

/* A table that is not there, or not as it was, has no statement. */
static void compare_table(struct comparison *c, const char *name)
{
    struct at_difference d = {.table = name, .names = true};
    char query[AT_TABLE_NAME + 32];
    sqlite3_stmt *a, *b;

    snprintf(query, sizeof(query), "SELECT * FROM \"%.63s\"", name);
    b = at_sql_prepare(&c->should, query);
    a = at_sql_prepare(&c->is, query);
    if (a != NULL && b != NULL)
        compare_rows(c, a, b, &d);
    sqlite3_finalize(a);
    sqlite3_finalize(b);
    if (c->is.err.status != AT_OK && d.rows == 0)
        d = (struct at_difference){.table = name, .rows = 1};
    c->is.err.status = AT_OK; /* of the next table nothing is known yet */
    d.names |= strcmp(name, "app") == 0;
    if (d.rows > 0)
        c->fn(c->ctx, &d);
}

/* The tables that there should be, and how they should be described. */
static void compare_tables(struct comparison *c)
{
    char name[TABLES_MOST][AT_TABLE_NAME];
    sqlite3_stmt *st = at_sql_prepare(
        &c->should, "SELECT name FROM sqlite_master WHERE type = 'table'"
                    " UNION ALL SELECT 'sqlite_master' ORDER BY 1");
    int n = 0;

    while (n < TABLES_MOST && at_sql_step(&c->should, st) == AT_OK)
        snprintf(name[n++], AT_TABLE_NAME, "%s",
                 (const char *)sqlite3_column_text(st, 0));
    sqlite3_finalize(st);
    for (int i = 0; i < n; i++)
        compare_table(c, name[i]);
}

enum at_status at_index_compare(const char *is, const char *should,
                                void (*fn)(void *ctx,
                                           const struct at_difference *d),
                                void *ctx, struct at_error *err)
{
    static const char version[] = "PRAGMA user_version";
    struct comparison c = {.fn = fn, .ctx = ctx};
    enum at_status st = at_sql_open(&c.is, is, AT_SQL_SEALED, err);

    if (st != AT_OK)
        return st;
    st = at_sql_open(&c.should, should, AT_SQL_SEALED, err);
    if (st == AT_OK &&
        at_sql_number(&c.is, version) != at_sql_number(&c.should, version)) {
        st = AT_END;
        at_sql_close(&c.should);
    } else if (st == AT_OK) {
        compare_tables(&c);
        st = at_error_copy(err, &c.should.err);
        at_sql_close(&c.should);
    }
    at_sql_close(&c.is);
    return st;
}

/* ---- where a byte is ------------------------------------------------- */

/* Where SQLite keeps the size of its pages, big-endian. */
static uint64_t page_bytes(const char *index)
{
    enum { HEADER = 100, AT = 16, LARGEST = 65536 };
    uint8_t header[HEADER];
    struct at_input in;
    uint64_t bytes = 0;
    size_t n;

    if (at_input_open(&in, index, NULL, NULL) != AT_OK)
        return 0;
    if (at_input_read(&in, header, HEADER, &n, NULL) == AT_OK && n == HEADER)
        bytes = at_load_be16(header + AT);
    at_input_close(&in);
    return bytes == 1 ? LARGEST : bytes;
}

void at_index_table_at(const char *index, uint64_t offset, char *name)
{
    const uint64_t bytes = page_bytes(index);
    struct at_sql sql;
    sqlite3_stmt *st;

    snprintf(name, AT_TABLE_NAME, "no table");
    if (bytes == 0 || at_sql_open(&sql, index, AT_SQL_SEALED, NULL) != AT_OK)
        return;
    st = at_sql_prepare(&sql, "SELECT name FROM dbstat WHERE pageno = ?");
    at_sql_bind(st, 1, (int64_t)(offset / bytes) + 1);
    if (at_sql_step(&sql, st) == AT_OK)
        snprintf(name, AT_TABLE_NAME, "table %s",
                 (const char *)sqlite3_column_text(st, 0));
    sqlite3_finalize(st);
    at_sql_close(&sql);
}
