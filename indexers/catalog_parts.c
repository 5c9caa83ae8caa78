/*
 * catalog_parts.c - what the catalogue knows of a segment beside its row
 *
 * The flows that go on into the next segment, and which hosts are in its
 * index, so that a question about a host opens no other.
 */
#include "catalog_inside.h"
#include "errors.h"
#include "index.h"

enum {
    SHIFT = 20, /* the number of a segment in an id is above that of the row */
    OPEN_FLOWS = 4096,
    OPEN_DATAGRAMS = 4096,
    LINES = 30, /* of a sieve in a row; two such rows fill a page of SQLite */
};

void at_catalog_run_for(struct at_archive *a, const char *sql, int64_t id)
{
    sqlite3_stmt *st = at_sql_prepare(&a->sql, sql);

    at_sql_bind(st, 1, id);
    at_sql_run(&a->sql, st);
    sqlite3_finalize(st);
}

/* Puts 'n' things of 'bytes' each into a table, so many a row, whose ids are
 * the segment and the number of the row. */
static void put_rows(struct at_archive *a, const char *insert, int64_t segment,
                     const uint8_t *p, size_t n, size_t bytes, size_t a_row)
{
    sqlite3_stmt *st = at_sql_prepare(&a->sql, insert);

    for (size_t i = 0; i < n; i += a_row) {
        const size_t left = n - i;

        at_sql_bind(st, 1, segment << SHIFT | (int64_t)(i / a_row));
        at_sql_bind_blob(st, 2, p + i * bytes,
                         (left < a_row ? left : a_row) * bytes);
        at_sql_run(&a->sql, st);
    }
    sqlite3_finalize(st);
}

/* ---- flows that are open --------------------------------------------- */

static void put_open(struct at_archive *a, int64_t segment,
                     const struct at_carry *open)
{
    put_rows(a, "INSERT INTO open_flow VALUES(?, ?)", segment, open->record,
             open->n, AT_CARRY_BYTES, OPEN_FLOWS);
    put_rows(a, "INSERT INTO open_datagram VALUES(?, ?)", segment,
             open->datagram, open->datagrams, AT_CARRY_DATAGRAM_BYTES,
             OPEN_DATAGRAMS);
}

/* Only the newest of the sealed segments of a stream keeps them, and what is
 * pending after it. */
static void drop_old_open(struct at_archive *a, int64_t segment)
{
    at_catalog_run_for(
        a,
        "DELETE FROM open_flow WHERE id >> 20 IN (SELECT o.id"
        " FROM segment s JOIN segment o ON o.stream = s.stream"
        " WHERE s.id = ? AND o.id != s.id AND o.start <= s.start)",
        segment);
    at_catalog_run_for(
        a,
        "DELETE FROM open_flow WHERE id >> 20 = ?1 AND EXISTS (SELECT 1"
        " FROM segment s JOIN segment o ON o.stream = s.stream"
        " JOIN open_flow f ON f.id >> 20 = o.id"
        " WHERE s.id = ?1 AND o.start > s.start)",
        segment);
    at_sql_exec(&a->sql, "DELETE FROM open_datagram WHERE id >> 20 NOT IN"
                         " (SELECT id >> 20 FROM open_flow)");
}

static void drop_open(struct at_archive *a, int64_t segment)
{
    at_catalog_run_for(a, "DELETE FROM open_flow WHERE id >> 20 = ?", segment);
    at_catalog_run_for(a, "DELETE FROM open_datagram WHERE id >> 20 = ?",
                       segment);
}

static void replace_open(struct at_archive *a, int64_t id, int64_t replaces,
                         const struct at_carry *open)
{
    drop_open(a, replaces);
    put_open(a, id, open);
}

#define MOVE(table)                                                            \
    "UPDATE " table " SET id = (?1 << 20) | (id & 1048575)"                    \
    " WHERE id >> 20 = ?2"

static void move_rows(struct at_archive *a, const char *update, int64_t to,
                      int64_t from)
{
    sqlite3_stmt *st = at_sql_prepare(&a->sql, update);

    at_sql_bind(st, 1, to);
    at_sql_bind(st, 2, from);
    at_sql_run(&a->sql, st);
    sqlite3_finalize(st);
}

static void move_open(struct at_archive *a, int64_t to, int64_t from)
{
    move_rows(a, MOVE("open_flow"), to, from);
    move_rows(a, MOVE("open_datagram"), to, from);
}

/* The number of the segment before; 0 if there is none. */
static int64_t segment_before(struct at_archive *a, const char *stream,
                              int64_t segment, int64_t start_ns)
{
    sqlite3_stmt *st = at_sql_prepare(
        &a->sql, "SELECT s.id FROM segment s JOIN stream t ON t.id = s.stream"
                 " WHERE t.name = ?1 AND (s.start < ?3 OR (s.start = ?3"
                 " AND (?2 = 0 OR s.id < ?2)))"
                 " ORDER BY s.start DESC, s.id DESC LIMIT 1");
    int64_t id = 0;

    at_sql_bind_text(st, 1, stream);
    at_sql_bind(st, 2, segment);
    at_sql_bind(st, 3, start_ns);
    if (at_sql_step(&a->sql, st) == AT_OK)
        id = sqlite3_column_int64(st, 0);
    sqlite3_finalize(st);
    return id;
}

static enum at_status
add_rows(struct at_archive *a, const char *query, int64_t segment,
         enum at_status (*add)(struct at_carry *c, const void *p, size_t n),
         struct at_carry *carry)
{
    sqlite3_stmt *st = at_sql_prepare(&a->sql, query);
    enum at_status r = AT_OK;

    at_sql_bind(st, 1, segment);
    while (r == AT_OK && at_sql_step(&a->sql, st) == AT_OK)
        r = add(carry, sqlite3_column_blob(st, 0),
                (size_t)sqlite3_column_bytes(st, 0));
    sqlite3_finalize(st);
    return r;
}

enum at_status at_archive_open_flows(struct at_archive *a, const char *stream,
                                     int64_t segment, int64_t start_ns,
                                     struct at_carry *carry,
                                     struct at_error *err)
{
    enum at_status r;
    int64_t id;

    if (a->version < 2)
        return AT_OK;
    id = segment_before(a, stream, segment, start_ns);
    r = add_rows(a, "SELECT data FROM open_flow WHERE id >> 20 = ? ORDER BY id",
                 id, at_carry_add_bytes, carry);
    if (r == AT_OK && at_sql_has_table(&a->sql, "open_datagram"))
        r = add_rows(
            a, "SELECT data FROM open_datagram WHERE id >> 20 = ? ORDER BY id",
            id, at_carry_add_datagram_bytes, carry);
    if (a->sql.err.status != AT_OK)
        return at_catalog_error(a, err);
    return r == AT_ERR_FORMAT
               ? at_error_set(err, AT_ERR_CORRUPT,
                              "%s: what is known of open flows is damaged",
                              a->sql.name)
           : r != AT_OK ? at_error_set(err, r, "out of memory")
                        : AT_OK;
}

/* ---- hosts ----------------------------------------------------------- */

static void put_sieve(struct at_archive *a, int64_t segment,
                      const struct at_sieve *sieve)
{
    put_rows(a, "INSERT INTO sieve VALUES(?, ?)", segment, sieve->line,
             sieve->lines, AT_SIEVE_LINE, LINES);
}

static void put_lines(struct at_archive *a, int64_t segment, size_t lines,
                      bool strange)
{
    sqlite3_stmt *st = at_sql_prepare(&a->sql,
                                      "INSERT INTO hosts VALUES(?, ?, ?)");

    at_sql_bind(st, 1, segment);
    at_sql_bind(st, 2, (int64_t)lines);
    at_sql_bind(st, 3, strange);
    at_sql_run(&a->sql, st);
    sqlite3_finalize(st);
}

static void put_hosts(struct at_archive *a, int64_t segment,
                      struct at_index *ix)
{
    struct at_sieve sieve;
    bool strange;

    if (at_index_sieve(ix, &sieve, &strange, NULL) != AT_OK)
        return;
    put_sieve(a, segment, &sieve);
    put_lines(a, segment, sieve.lines, strange);
    at_sieve_close(&sieve);
}

static void drop_hosts(struct at_archive *a, int64_t segment)
{
    at_catalog_run_for(a, "DELETE FROM hosts WHERE segment = ?", segment);
    at_catalog_run_for(a,
                       "DELETE FROM sieve WHERE id BETWEEN ?1 << 20 AND"
                       " (?1 << 20) + 1048575",
                       segment);
}

/* How many lines the sieve of a segment has; 0 if it has none, or has frames
 * without addresses that libpcap may take for others. */
static size_t lines_of(struct at_archive *a, int64_t segment)
{
    size_t lines = 0;

    at_sql_bind(a->hosts_of, 1, segment);
    if (at_sql_step(&a->sql, a->hosts_of) == AT_OK &&
        sqlite3_column_int(a->hosts_of, 1) == 0)
        lines = (size_t)sqlite3_column_int64(a->hosts_of, 0);
    sqlite3_reset(a->hosts_of);
    return lines;
}

static bool line_has(struct at_archive *a, int64_t segment, size_t line,
                     const struct at_sieve_key *key)
{
    const size_t at = line % LINES * AT_SIEVE_LINE;
    bool has = true;

    at_sql_bind(a->line_of, 1, segment << SHIFT | (int64_t)(line / LINES));
    if (at_sql_step(&a->sql, a->line_of) == AT_OK &&
        (size_t)sqlite3_column_bytes(a->line_of, 0) >= at + AT_SIEVE_LINE)
        has = at_sieve_line_has(
            (const uint8_t *)sqlite3_column_blob(a->line_of, 0) + at, key);
    sqlite3_reset(a->line_of);
    return has;
}

bool at_archive_may_hold(struct at_archive *a, int64_t segment,
                         const struct at_sieve_key *key)
{
    size_t lines;

    if (a->hosts_of == NULL && at_sql_has_table(&a->sql, "sieve")) {
        a->hosts_of = at_sql_prepare(
            &a->sql, "SELECT lines, strange FROM hosts WHERE segment = ?");
        a->line_of = at_sql_prepare(&a->sql,
                                    "SELECT data FROM sieve WHERE id = ?");
    }
    if (a->hosts_of == NULL || a->line_of == NULL)
        return true;
    lines = lines_of(a, segment);
    return lines == 0 ||
           line_has(a, segment, at_sieve_line_of(key, lines), key);
}

/* ---- sums of minutes and hours --------------------------------------- */

struct sums {
    struct at_archive *archive;
    int64_t segment;
    sqlite3_stmt *insert;
};

static void put_minute(void *ctx, const struct at_index_minute *m)
{
    const struct sums *s = ctx;

    at_sql_bind(s->insert, 1, s->segment);
    at_sql_bind(s->insert, 2, m->minute);
    at_sql_bind(s->insert, 3, m->kind);
    at_sql_bind(s->insert, 4, (int64_t)m->packets);
    at_sql_bind(s->insert, 5, (int64_t)m->bytes);
    at_sql_run(&s->archive->sql, s->insert);
}

static void put_app_minute(void *ctx, const struct at_index_minute *m)
{
    const struct sums *s = ctx;

    at_sql_bind(s->insert, 1, s->segment);
    at_sql_bind(s->insert, 2, m->minute);
    at_sql_bind_text(s->insert, 3, m->app != NULL ? m->app : "");
    at_sql_bind(s->insert, 4, (int64_t)m->flows);
    at_sql_bind(s->insert, 5, (int64_t)m->packets);
    at_sql_bind(s->insert, 6, (int64_t)m->bytes);
    at_sql_run(&s->archive->sql, s->insert);
}

static void put_hours(struct at_archive *a, int64_t segment)
{
    at_catalog_run_for(a,
                       "INSERT INTO hour SELECT segment, minute / 60, kind,"
                       " sum(packets), sum(bytes) FROM minute"
                       " WHERE segment = ? GROUP BY 2, 3",
                       segment);
    at_catalog_run_for(a,
                       "INSERT INTO hour_app SELECT segment, minute / 60, app,"
                       " sum(flows), sum(packets), sum(bytes) FROM minute_app"
                       " WHERE segment = ? GROUP BY 2, 3",
                       segment);
}

static void drop_sums(struct at_archive *a, int64_t segment)
{
    static const char *const tables[] = {
        "DELETE FROM minute WHERE segment = ?",
        "DELETE FROM hour WHERE segment = ?",
        "DELETE FROM minute_app WHERE segment = ?",
        "DELETE FROM hour_app WHERE segment = ?",
    };

    for (size_t i = 0; i < sizeof(tables) / sizeof(tables[0]); i++)
        at_catalog_run_for(a, tables[i], segment);
}

/* All of them or, where the index is damaged, none. */
static void put_sums(struct at_archive *a, int64_t segment, struct at_index *ix)
{
    struct sums s = {.archive = a, .segment = segment};
    enum at_status st;

    s.insert = at_sql_prepare(&a->sql,
                              "INSERT INTO minute VALUES(?, ?, ?, ?, ?)");
    st = at_index_minutes(ix, put_minute, &s, NULL);
    sqlite3_finalize(s.insert);
    s.insert = at_sql_prepare(
        &a->sql, "INSERT INTO minute_app VALUES(?, ?, ?, ?, ?, ?)");
    if (st == AT_OK)
        st = at_index_app_minutes(ix, put_app_minute, &s, NULL);
    sqlite3_finalize(s.insert);
    if (st == AT_OK)
        put_hours(a, segment);
    else
        drop_sums(a, segment);
}

#define IN_RANGE " WHERE s.first < ?2 AND s.last >= ?1"

/* Whether all segments of the range have their sums, and their packets. */
static bool knows_minutes(struct at_archive *a, int64_t from_ns, int64_t to_ns)
{
    sqlite3_stmt *st;
    bool knows;

    if (a->version < 2 || !at_sql_has_table(&a->sql, "minute"))
        return false;
    st = at_sql_prepare(&a->sql, "SELECT 1 FROM segment s WHERE first < ?2 AND"
                                 " last >= ?1 AND packets > 0 AND (gone != 0 OR"
                                 " NOT EXISTS (SELECT 1 FROM minute"
                                 " WHERE segment = s.id))");
    at_sql_bind(st, 1, from_ns);
    at_sql_bind(st, 2, to_ns);
    knows = at_sql_step(&a->sql, st) == AT_END;
    sqlite3_finalize(st);
    return knows;
}

static bool is_open(int64_t ns)
{
    return ns == AT_TIME_MIN || ns == AT_TIME_MAX;
}

static bool is_multiple(int64_t ns, int64_t step_ns)
{
    return is_open(ns) || ns % step_ns == 0;
}

static int64_t step_of(int64_t ns, int64_t step_ns)
{
    return is_open(ns) ? ns : ns / step_ns;
}

enum at_status at_archive_minutes(struct at_archive *a, int64_t from_ns,
                                  int64_t to_ns, bool hours,
                                  at_archive_minute_fn *fn, void *ctx,
                                  bool *done, struct at_error *err)
{
    const int64_t hour_ns = 60 * AT_MINUTE_NS;
    const bool by_hour = hours && is_multiple(from_ns, hour_ns) &&
                         is_multiple(to_ns, hour_ns);
    const int64_t step_ns = by_hour ? hour_ns : AT_MINUTE_NS;
    sqlite3_stmt *st;

    *done = knows_minutes(a, from_ns, to_ns);
    if (!*done)
        return a->sql.err.status == AT_OK ? AT_OK : at_catalog_error(a, err);
    st = at_sql_prepare(
        &a->sql, by_hour
                     ? "SELECT hour, kind, m.packets, bytes FROM segment s"
                       " JOIN hour m ON m.segment = s.id" IN_RANGE
                       " AND hour >= ?3 AND hour < ?4"
                     : "SELECT minute, kind, m.packets, bytes FROM segment s"
                       " JOIN minute m ON m.segment = s.id" IN_RANGE
                       " AND minute >= ?3 AND minute < ?4");
    at_sql_bind(st, 1, from_ns);
    at_sql_bind(st, 2, to_ns);
    at_sql_bind(st, 3, step_of(from_ns, step_ns));
    at_sql_bind(st, 4, step_of(to_ns, step_ns));
    while (at_sql_step(&a->sql, st) == AT_OK)
        fn(ctx, &(struct at_archive_minute){
                    .start_ns = sqlite3_column_int64(st, 0) * step_ns,
                    .kind = (uint16_t)sqlite3_column_int(st, 1),
                    .packets = (uint64_t)sqlite3_column_int64(st, 2),
                    .bytes = (uint64_t)sqlite3_column_int64(st, 3)});
    sqlite3_finalize(st);
    return a->sql.err.status == AT_OK ? AT_OK : at_catalog_error(a, err);
}

/* ---- all of it ----------------------------------------------------------- */

/* An index that cannot be read gives no rows: then anything may be in it. */
static void put_index(struct at_archive *a, int64_t id, const char *index)
{
    struct at_index *ix;

    if (at_index_open(&ix, index, NULL, NULL) != AT_OK)
        return;
    put_hosts(a, id, ix);
    put_sums(a, id, ix);
    at_index_close(ix);
}

void at_catalog_put_parts(struct at_archive *a, int64_t id, int64_t replaces,
                          const struct at_carry *open, bool pending,
                          const char *index)
{
    drop_hosts(a, replaces);
    drop_sums(a, replaces);
    put_index(a, id, index);
    if (open == NULL)
        move_open(a, id, replaces);
    else
        replace_open(a, id, replaces, open);
    if (!pending)
        drop_old_open(a, id);
}

void at_catalog_renew_sums(struct at_archive *a, int64_t id, const char *index)
{
    struct at_index *ix;

    if (at_index_open(&ix, index, NULL, NULL) != AT_OK)
        return;
    drop_sums(a, id);
    put_sums(a, id, ix);
    at_index_close(ix);
}

void at_catalog_drop_parts(struct at_archive *a, int64_t id)
{
    drop_hosts(a, id);
    drop_sums(a, id);
    drop_open(a, id);
}
