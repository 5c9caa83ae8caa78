/*
 * index_trace.c - what an index says of its trace: blocks, points, holes
 */
#include "index_inside.h"

#include <stdlib.h>
#include <string.h>

#include "block_list.h"
#include "errors.h"
#include "schema.h"

/* ---- blocks ---------------------------------------------------------- */

/* The blocks of one row of the index, or, of an older one, as many rows. */
struct few {
    size_t number; /* of the row, + 1; 0: none */
    size_t n;
    struct at_block_row row[AT_BLOCK_LIST];
};

const char *at_index_count_blocks(const struct at_index *ix)
{
    return ix->version < AT_INDEX_LISTS_BLOCKS
               ? "SELECT max(id) + 1 FROM block"
               : "SELECT id * 64 + blocks FROM block ORDER BY id DESC LIMIT 1";
}

_Static_assert(AT_BLOCK_LIST == 64, "as the query above has it");

static sqlite3_stmt *blocks_by_row(struct at_index *ix)
{
    return at_sql_prepare(
        &ix->sql,
        ix->version < AT_INDEX_LISTS_BLOCKS
            ? "SELECT file_offset, file_bytes, raw_offset, skip, bytes,"
              " records, first, last FROM block"
              " WHERE id BETWEEN ?1 * 64 AND ?1 * 64 + 63 ORDER BY id"
            : "SELECT blocks, data FROM block WHERE id = ?1");
}

static void take_row(struct at_block_row *row, sqlite3_stmt *st)
{
    *row = (struct at_block_row){
        .place = {.file_offset = (uint64_t)sqlite3_column_int64(st, 0),
                  .file_bytes = (uint64_t)sqlite3_column_int64(st, 1),
                  .raw_offset = (uint64_t)sqlite3_column_int64(st, 2),
                  .skip = (uint64_t)sqlite3_column_int64(st, 3),
                  .bytes = (uint64_t)sqlite3_column_int64(st, 4)},
        .records = (uint32_t)sqlite3_column_int64(st, 5),
        .packets = sqlite3_column_type(st, 6) != SQLITE_NULL,
        .first_ns = sqlite3_column_int64(st, 6),
        .last_ns = sqlite3_column_int64(st, 7),
    };
}

static bool take_list(struct few *few, sqlite3_stmt *st)
{
    const int64_t n = sqlite3_column_int64(st, 0);

    few->n = n > 0 && n <= AT_BLOCK_LIST ? (size_t)n : 0;
    return few->n > 0 &&
           at_block_list_unpack(few->row, few->n, sqlite3_column_blob(st, 1),
                                (size_t)sqlite3_column_bytes(st, 1));
}

static enum at_status read_few(struct at_index *ix, sqlite3_stmt *st,
                               size_t number, struct few *few,
                               struct at_error *err)
{
    bool good = true;

    few->number = number + 1;
    few->n = 0;
    at_sql_bind(st, 1, (int64_t)number);
    while (good && few->n < AT_BLOCK_LIST &&
           at_sql_step(&ix->sql, st) == AT_OK) {
        if (ix->version < AT_INDEX_LISTS_BLOCKS)
            take_row(&few->row[few->n++], st);
        else
            good = take_list(few, st);
    }
    sqlite3_reset(st);
    if (ix->sql.err.status != AT_OK)
        return at_index_error(ix, err);
    return good && few->n > 0
               ? AT_OK
               : at_index_corrupt(ix, "a list of blocks is none", err);
}

static bool overlaps(const struct at_index *ix, const struct at_block_row *row,
                     int64_t from_ns, int64_t to_ns)
{
    const uint64_t base = (uint64_t)ix->base_ns;

    return row->packets && (int64_t)(base + (uint64_t)row->first_ns) < to_ns &&
           (int64_t)(base + (uint64_t)row->last_ns) >= from_ns;
}

static enum at_status take_places(struct at_index *ix, sqlite3_stmt *st,
                                  const struct at_set *blocks, int64_t from_ns,
                                  int64_t to_ns, struct at_place *place,
                                  size_t *n, struct at_error *err)
{
    struct few few = {.number = 0};

    *n = 0;
    for (size_t i = at_set_next(blocks, 0); i < blocks->n;
         i = at_set_next(blocks, i + 1)) {
        const size_t number = i / AT_BLOCK_LIST, at = i % AT_BLOCK_LIST;
        enum at_status r = AT_OK;

        if (few.number != number + 1)
            r = read_few(ix, st, number, &few, err);
        if (r == AT_OK && at >= few.n)
            r = at_index_corrupt(ix, "a block is missing", err);
        if (r != AT_OK)
            return r;
        if (overlaps(ix, &few.row[at], from_ns, to_ns))
            place[(*n)++] = few.row[at].place;
    }
    return AT_OK;
}

enum at_status at_index_places(struct at_index *ix, const struct at_set *blocks,
                               int64_t from_ns, int64_t to_ns,
                               struct at_place **place, size_t *n,
                               struct at_error *err)
{
    sqlite3_stmt *st = blocks_by_row(ix);
    enum at_status r;

    *place = calloc(at_set_count(blocks) + 1, sizeof(**place));
    r = *place != NULL
            ? take_places(ix, st, blocks, from_ns, to_ns, *place, n, err)
            : at_error_set(err, AT_ERR_MEMORY, "out of memory");
    sqlite3_finalize(st);
    if (r == AT_OK)
        return AT_OK;
    free(*place);
    *place = NULL;
    return r;
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
