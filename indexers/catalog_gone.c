/*
 * catalog_gone.c - what leaves an archive
 *
 * One transaction takes the segments out of the catalogue, or marks their
 * packets as gone, and notes the files as intents; then the files are removed,
 * and then the intents.  So a file is either named, or about to go.
 */
#include "catalog_inside.h"

#include <string.h>

#include "errors.h"

static void note_gone(struct at_archive *a, const struct at_segment *seg,
                      int64_t time_ns, const char *reason)
{
    sqlite3_stmt *st = at_sql_prepare(
        &a->sql, "INSERT INTO gone(stream, path, first, last, packets,"
                 " captured_bytes, time, reason)"
                 " SELECT stream, path, first, last, packets, captured_bytes,"
                 " CASE gone WHEN 0 THEN ?2 ELSE gone END, ?3"
                 " FROM segment WHERE id = ?1");

    at_sql_bind(st, 1, seg->id);
    at_sql_bind(st, 2, time_ns);
    at_sql_bind_text(st, 3, reason);
    at_sql_run(&a->sql, st);
    sqlite3_finalize(st);
}

static void run_on(struct at_archive *a, const char *text, int64_t id,
                   int64_t time_ns)
{
    sqlite3_stmt *st = at_sql_prepare(&a->sql, text);

    at_sql_bind(st, 1, id);
    at_sql_bind(st, 2, time_ns);
    at_sql_run(&a->sql, st);
    sqlite3_finalize(st);
}

static void take_out(struct at_archive *a, const struct at_segment *seg,
                     bool keep_index, int64_t time_ns, const char *reason)
{
    at_catalog_put_intent(a, seg->path);
    if (keep_index) {
        run_on(a,
               "UPDATE segment SET gone = ?2, pending = 0, file_bytes = 0,"
               " file_digest = NULL WHERE id = ?1",
               seg->id, time_ns);
        return;
    }
    note_gone(a, seg, time_ns, reason);
    run_on(a, "DELETE FROM segment WHERE id = ?1", seg->id, time_ns);
    at_catalog_drop_parts(a, seg->id);
}

enum at_status at_archive_remove(struct at_archive *a,
                                 const struct at_segments *list,
                                 bool keep_index, int64_t time_ns,
                                 const char *reason, struct at_error *err)
{
    enum at_status st = AT_OK;

    at_catalog_begin(a);
    for (size_t i = 0; i < list->n; i++)
        take_out(a, &list->segment[i], keep_index, time_ns, reason);
    if (at_sql_exec(&a->sql, "COMMIT") != AT_OK)
        return at_catalog_error(a, err);
    for (size_t i = 0; i < list->n; i++) {
        struct at_error one;

        /* go on: the others may be fine */
        if (at_catalog_unlink(a, list->segment[i].path, !keep_index, &one) !=
                AT_OK &&
            st == AT_OK)
            st = at_error_copy(err, &one);
    }
    return st == AT_OK ? at_catalog_forget_intents(a, err) : st;
}

static void run_lost(struct at_archive *a, const char *sql,
                     const struct at_segment *seg, uint64_t packets,
                     uint64_t captured_bytes, int64_t time_ns)
{
    sqlite3_stmt *st = at_sql_prepare(&a->sql, sql);

    at_sql_bind_text(st, 1, seg->stream);
    at_sql_bind_text(st, 2, seg->path);
    at_sql_bind(st, 3, seg->first_ns);
    at_sql_bind(st, 4, seg->last_ns);
    at_sql_bind(st, 5, (int64_t)packets);
    at_sql_bind(st, 6, (int64_t)captured_bytes);
    at_sql_bind(st, 7, time_ns);
    at_sql_run(&a->sql, st);
    sqlite3_finalize(st);
}

/* A repair that was stopped once this was noted notes it again. */
enum at_status at_archive_note_lost(struct at_archive *a,
                                    const struct at_segment *seg,
                                    uint64_t packets, uint64_t captured_bytes,
                                    int64_t time_ns, struct at_error *err)
{
    at_catalog_begin(a);
    run_lost(a,
             "DELETE FROM gone WHERE path = ?2 AND first = ?3 AND last = ?4 AND"
             " packets = ?5 AND captured_bytes = ?6 AND reason = 'damaged' AND"
             " stream = (SELECT id FROM stream WHERE name = ?1) AND"
             " time <= ?7",
             seg, packets, captured_bytes, time_ns);
    run_lost(a,
             "INSERT INTO gone(stream, path, first, last, packets,"
             " captured_bytes, time, reason)"
             " SELECT id, ?2, ?3, ?4, ?5, ?6, ?7, 'damaged'"
             " FROM stream WHERE name = ?1",
             seg, packets, captured_bytes, time_ns);
    return at_sql_exec(&a->sql, "COMMIT") == AT_OK ? AT_OK
                                                   : at_catalog_error(a, err);
}

/* ---- what is not there ----------------------------------------------- */

static void take_sums(struct at_gone *gone, sqlite3_stmt *st)
{
    *gone = (struct at_gone){
        .segments = (uint64_t)sqlite3_column_int64(st, 0),
        .indexed = (uint64_t)sqlite3_column_int64(st, 1),
        .packets = (uint64_t)sqlite3_column_int64(st, 2),
        .first_ns = sqlite3_column_int64(st, 3),
        .last_ns = sqlite3_column_int64(st, 4),
        .since_ns = sqlite3_column_int64(st, 5),
        .latest_ns = sqlite3_column_int64(st, 6),
    };
}

enum at_status at_archive_gone(struct at_archive *a, const char *stream,
                               int64_t from_ns, int64_t to_ns,
                               struct at_gone *gone, struct at_error *err)
{
    static const char query[] =
        "WITH g AS (SELECT stream, first, last, packets, time,"
        " reason != 'damaged' AS whole, 0 AS indexed FROM gone"
        " UNION ALL SELECT stream, first, last, packets, gone, 1, 1"
        " FROM segment WHERE gone != 0)"
        " SELECT sum(whole), sum(indexed), sum(packets), min(first), max(last),"
        " min(time), max(time) FROM g JOIN stream t ON t.id = g.stream"
        " WHERE first < ?2 AND last >= ?1 AND (?3 IS NULL OR t.name = ?3)";
    sqlite3_stmt *st;

    *gone = (struct at_gone){.segments = 0};
    if (a->version < 2)
        return AT_OK;
    st = at_sql_prepare(&a->sql, query);
    at_sql_bind(st, 1, from_ns);
    at_sql_bind(st, 2, to_ns);
    at_sql_bind_text(st, 3, stream);
    if (at_sql_step(&a->sql, st) == AT_OK)
        take_sums(gone, st);
    sqlite3_finalize(st);
    return a->sql.err.status == AT_OK ? AT_OK : at_catalog_error(a, err);
}

/* ---- inputs ---------------------------------------------------------- */

/* An old catalogue has no table of what was salvaged until there is some. */
static const char *inputs_query(struct at_archive *a)
{
    return a->version > 1 ? "SELECT count(*), sum(damaged),"
                            " (SELECT sum(holes) FROM salvage),"
                            " (SELECT sum(hole_bytes) FROM salvage) FROM input"
                          : "SELECT count(*), sum(damaged), 0, 0 FROM input";
}

enum at_status at_archive_inputs(struct at_archive *a,
                                 struct at_input_totals *totals,
                                 struct at_error *err)
{
    sqlite3_stmt *st = at_sql_prepare(&a->sql, inputs_query(a));

    *totals = (struct at_input_totals){.inputs = 0};
    if (at_sql_step(&a->sql, st) == AT_OK) {
        totals->inputs = (uint64_t)sqlite3_column_int64(st, 0);
        totals->damaged = (uint64_t)sqlite3_column_int64(st, 1);
        totals->holes.holes = (uint64_t)sqlite3_column_int64(st, 2);
        totals->holes.bytes = (uint64_t)sqlite3_column_int64(st, 3);
    }
    sqlite3_finalize(st);
    return a->sql.err.status == AT_OK ? AT_OK : at_catalog_error(a, err);
}
