/*
 * index_trace.c - what an index says of its trace: blocks, points, holes
 */
#include "index_inside.h"

#include <stdlib.h>
#include <string.h>

#include "errors.h"

/* ---- blocks ---------------------------------------------------------- */

static bool overlaps(const struct at_index *ix, sqlite3_stmt *st,
                     int64_t from_ns, int64_t to_ns)
{
    if (sqlite3_column_type(st, 6) == SQLITE_NULL)
        return false;
    return ix->base_ns + sqlite3_column_int64(st, 6) < to_ns &&
           ix->base_ns + sqlite3_column_int64(st, 7) >= from_ns;
}

static void take_place(struct at_place *place, sqlite3_stmt *st)
{
    *place = (struct at_place){
        .file_offset = (uint64_t)sqlite3_column_int64(st, 1),
        .file_bytes = (uint64_t)sqlite3_column_int64(st, 2),
        .raw_offset = (uint64_t)sqlite3_column_int64(st, 3),
        .skip = (uint64_t)sqlite3_column_int64(st, 4),
        .bytes = (uint64_t)sqlite3_column_int64(st, 5),
    };
}

/* Steps from member to member of the set, past what is not in it. */
static enum at_status take_places(struct at_index *ix, sqlite3_stmt *st,
                                  const struct at_set *blocks, int64_t from_ns,
                                  int64_t to_ns, struct at_place *place,
                                  size_t *n)
{
    size_t i = at_set_next(blocks, 0);

    *n = 0;
    while (i < blocks->n) {
        at_sql_bind(st, 1, (int64_t)i);
        while (at_sql_step(&ix->sql, st) == AT_OK) {
            if ((size_t)sqlite3_column_int64(st, 0) != i)
                break;
            if (overlaps(ix, st, from_ns, to_ns))
                take_place(&place[(*n)++], st);
            i++;
            if (!at_set_has(blocks, i))
                break;
        }
        sqlite3_reset(st);
        if (ix->sql.err.status != AT_OK)
            return ix->sql.err.status;
        i = at_set_next(blocks, at_set_has(blocks, i) ? i + 1 : i);
    }
    return AT_OK;
}

enum at_status at_index_places(struct at_index *ix, const struct at_set *blocks,
                               int64_t from_ns, int64_t to_ns,
                               struct at_place **place, size_t *n,
                               struct at_error *err)
{
    sqlite3_stmt *st = at_sql_prepare(
        &ix->sql, "SELECT id, file_offset, file_bytes, raw_offset, skip,"
                  " bytes, first, last FROM block WHERE id >= ? ORDER BY id");

    *place = calloc(at_set_count(blocks) + 1, sizeof(**place));
    if (*place == NULL)
        at_error_set(&ix->sql.err, AT_ERR_MEMORY, "out of memory");
    else
        take_places(ix, st, blocks, from_ns, to_ns, *place, n);
    sqlite3_finalize(st);
    if (ix->sql.err.status == AT_OK)
        return AT_OK;
    free(*place);
    *place = NULL;
    return at_index_error(ix, err);
}

/* ---- access points --------------------------------------------------- */

static enum at_status add_access(struct at_index *ix, sqlite3_stmt *st)
{
    if (ix->accesses == ix->access_room) {
        const size_t room = ix->access_room * 2 + 64;
        struct at_access_point *p = realloc(ix->access, room * sizeof(*p));

        if (p == NULL)
            return AT_ERR_MEMORY;
        ix->access = p;
        ix->access_room = room;
    }
    ix->access[ix->accesses++] = (struct at_access_point){
        .file_bit = (uint64_t)sqlite3_column_int64(st, 0),
        .raw_offset = (uint64_t)sqlite3_column_int64(st, 1),
        .member_offset = (uint64_t)sqlite3_column_int64(st, 2),
        .member_raw = (uint64_t)sqlite3_column_int64(st, 3),
        .crc = (uint32_t)sqlite3_column_int64(st, 4),
        .window_bytes = (uint32_t)sqlite3_column_int64(st, 5),
    };
    return AT_OK;
}

/* The reader asks for the window of a point. */
static enum at_status load_history(void *ctx, size_t i, uint8_t *to,
                                   struct at_error *err)
{
    struct at_index *ix = ctx;
    enum at_status st;
    bool good = false;

    at_sql_bind(ix->history_by_id, 1, (int64_t)i);
    st = at_sql_step(&ix->sql, ix->history_by_id);
    if (st == AT_OK) {
        const void *p = sqlite3_column_blob(ix->history_by_id, 0);
        const int n = sqlite3_column_bytes(ix->history_by_id, 0);

        good = p != NULL && n >= 0 && (size_t)n == ix->access[i].window_bytes;
        if (good)
            memcpy(to, p, (size_t)n);
    }
    sqlite3_reset(ix->history_by_id);
    if (st < 0)
        return at_index_error(ix, err);
    return good ? AT_OK
                : at_index_corrupt(ix, "an access point has no window", err);
}

static enum at_status read_access(struct at_index *ix, struct at_error *err)
{
    sqlite3_stmt *st = at_sql_prepare(
        &ix->sql, "SELECT file_bit, raw_offset, member_offset, member_raw, crc,"
                  " length(history) FROM access ORDER BY id");
    enum at_status r;

    while ((r = at_sql_step(&ix->sql, st)) == AT_OK)
        if (add_access(ix, st) != AT_OK)
            break;
    sqlite3_finalize(st);
    if (r == AT_OK)
        return at_error_set(err, AT_ERR_MEMORY, "out of memory");
    ix->history_by_id = at_sql_prepare(
        &ix->sql, "SELECT history FROM access WHERE id = ?");
    return ix->sql.err.status == AT_OK ? AT_OK : at_index_error(ix, err);
}

enum at_status at_index_access(struct at_index *ix, struct at_access *access,
                               struct at_error *err)
{
    enum at_status st = AT_OK;

    *access = (struct at_access){.n = 0};
    if (ix->history_by_id == NULL && at_sql_has_table(&ix->sql, "access"))
        st = read_access(ix, err);
    if (st != AT_OK)
        return st;
    *access = (struct at_access){
        .point = ix->access,
        .n = ix->accesses,
        .load = load_history,
        .ctx = ix,
        .name = ix->sql.name,
    };
    return ix->sql.err.status == AT_OK ? AT_OK : at_index_error(ix, err);
}

/* ---- holes ----------------------------------------------------------- */

static void take_hole(struct at_index *ix, sqlite3_stmt *st)
{
    const char *what = (const char *)sqlite3_column_text(st, 3);
    char *name = ix->hole_what[ix->holes];

    strncpy(name, what != NULL ? what : "record", AT_INDEX_HOLE_NAME - 1);
    ix->hole[ix->holes++] = (struct at_hole){
        .offset = (uint64_t)sqlite3_column_int64(st, 0),
        .bytes = (uint64_t)sqlite3_column_int64(st, 1),
        .decoded = sqlite3_column_int(st, 2) != 0,
        .what = name,
    };
}

static enum at_status read_holes(struct at_index *ix, struct at_error *err)
{
    sqlite3_stmt *st;

    ix->hole = calloc(AT_HOLES_MOST, sizeof(ix->hole[0]));
    ix->hole_what = calloc(AT_HOLES_MOST, sizeof(ix->hole_what[0]));
    if (ix->hole == NULL || ix->hole_what == NULL)
        return at_error_set(err, AT_ERR_MEMORY, "out of memory");
    st = at_sql_prepare(
        &ix->sql, "SELECT offset, bytes, decoded, what FROM hole ORDER BY id");
    while (ix->holes < AT_HOLES_MOST && at_sql_step(&ix->sql, st) == AT_OK)
        take_hole(ix, st);
    sqlite3_finalize(st);
    return ix->sql.err.status == AT_OK ? AT_OK : at_index_error(ix, err);
}

enum at_status at_index_holes(struct at_index *ix, const struct at_hole **hole,
                              size_t *n, struct at_error *err)
{
    enum at_status st = AT_OK;

    if (ix->info.salvaged.holes > 0 && ix->hole == NULL)
        st = read_holes(ix, err);
    *hole = ix->hole;
    *n = ix->holes;
    return st;
}
