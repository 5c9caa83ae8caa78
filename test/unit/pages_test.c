/*
 * pages_test.c - the rows of a table, straight from the pages of a database
 *
 * SQLite tells what is right; damaged files must end, in whatever way.
 */
#include "common.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "pages.h"

enum { COLUMNS = 14, BLOB = 13, NUMBERS = 0x1fff & ~1 };

/* Numbers of all widths, of both signs, NULL, and blobs that fill pages. */
#define ROWS                                                                   \
    "CREATE TABLE t(id INTEGER PRIMARY KEY, a INT, b INT, c INT, d INT,"       \
    " e INT, f INT, g INT, h INT, i INT, j INT, k INT, l INT, data BLOB);"     \
    "WITH RECURSIVE n(n) AS (SELECT 1 UNION ALL SELECT n + 3 FROM n"           \
    " WHERE n < 3 * %u - 2)"                                                   \
    " INSERT INTO t SELECT n, 0, 1, n %% 2 - 1, n %% 100, -n, n * 251,"        \
    " n * -65537, n * 16777213, n * -1099511627773, n << 42,"                  \
    " CASE n %% 5 WHEN 0 THEN NULL ELSE n * 65536 * 3 END,"                    \
    " -(n * 281474976710655),"                                                 \
    " CASE WHEN n %% 50 = 0 THEN randomblob(n * 37) WHEN n %% 7 = 0 THEN NULL" \
    " ELSE randomblob(n %% 60) END FROM n"

static const char *path;

static void make_table(unsigned page_bytes, unsigned rows)
{
    struct at_sql sql;
    struct at_error err;
    char text[2048];

    unlink(path);
    assert_int_equal(at_sql_open(&sql, path, AT_SQL_SHARED, &err), AT_OK);
    snprintf(text, sizeof(text), "PRAGMA page_size = %u;" ROWS, page_bytes,
             rows);
    assert_int_equal(at_sql_exec(&sql, text), AT_OK);
    at_sql_close(&sql);
}

static void compare_row(struct at_pages *p, const struct at_cell *cell,
                        sqlite3_stmt *st)
{
    struct at_error err;
    int64_t number[COLUMNS];
    const uint8_t *blob;
    uint32_t nulls;
    size_t n;

    assert_int_equal(cell->id, sqlite3_column_int64(st, 0));
    assert_int_equal(at_cell_numbers(p, cell, NUMBERS, number, &nulls, &err),
                     AT_OK);
    for (int i = 1; i < BLOB; i++) {
        assert_int_equal(number[i], sqlite3_column_int64(st, i));
        assert_int_equal(nulls >> i & 1,
                         sqlite3_column_type(st, i) == SQLITE_NULL);
    }
    assert_int_equal(at_cell_blob(p, cell, BLOB, &blob, &n, &err), AT_OK);
    assert_int_equal(n, sqlite3_column_bytes(st, BLOB));
    if (n > 0)
        assert_memory_equal(blob, sqlite3_column_blob(st, BLOB), n);
}

/* All from the first row whose rowid is at least 'id'. */
static void compare_from(struct at_pages *p, struct at_sql *sql, int64_t id)
{
    sqlite3_stmt *st = at_sql_prepare(
        sql, "SELECT * FROM t WHERE id >= ? ORDER BY id");
    struct at_error err;
    struct at_cell cell;

    at_sql_bind(st, 1, id);
    assert_int_equal(at_pages_seek(p, id, &err), AT_OK);
    while (at_sql_step(sql, st) == AT_OK) {
        assert_int_equal(at_pages_next(p, &cell, &err), AT_OK);
        compare_row(p, &cell, st);
    }
    assert_int_equal(at_pages_next(p, &cell, &err), AT_END);
    assert_int_equal(at_pages_next(p, &cell, &err), AT_END);
    sqlite3_finalize(st);
}

static void compare(unsigned page_bytes, unsigned rows)
{
    struct at_pages *p;
    struct at_sql sql;
    struct at_error err;

    make_table(page_bytes, rows);
    assert_int_equal(at_sql_open(&sql, path, AT_SQL_SEALED, &err), AT_OK);
    assert_int_equal(at_pages_open(&p, &sql, "t", &err), AT_OK);
    for (int64_t id = -5; id < 3 * (int64_t)rows + 5; id += 1 + rows / 10)
        compare_from(p, &sql, id);
    compare_from(p, &sql, INT64_MIN);
    compare_from(p, &sql, INT64_MAX);
    at_pages_close(p);
    at_sql_close(&sql);
}

static void rows_are_those_of_sqlite(void **state)
{
    (void)state;
    for (unsigned page_bytes = 512; page_bytes <= 65536; page_bytes *= 2) {
        compare(page_bytes, 1);
        compare(page_bytes, 7);
        compare(page_bytes, 1200);
    }
}

static void no_rows_are_no_error(void **state)
{
    struct at_pages *p;
    struct at_sql sql;
    struct at_error err;
    struct at_cell cell;

    (void)state;
    make_table(4096, 1);
    assert_int_equal(at_sql_open(&sql, path, AT_SQL_SHARED, &err), AT_OK);
    assert_int_equal(at_sql_exec(&sql, "DELETE FROM t"), AT_OK);
    at_sql_close(&sql);
    assert_int_equal(at_sql_open(&sql, path, AT_SQL_SEALED, &err), AT_OK);
    assert_int_equal(at_pages_open(&p, &sql, "t", &err), AT_OK);
    assert_int_equal(at_pages_next(p, &cell, &err), AT_END);
    at_pages_close(p);
    assert_int_equal(at_pages_open(&p, &sql, "u", &err), AT_ERR_CORRUPT);
    assert_null(p);
    at_sql_close(&sql);
}

/* ---- damage ---------------------------------------------------------- */

/* Walks as far as it goes; AT_END or an error, and 'rows' at most. */
static enum at_status walk(size_t rows)
{
    struct at_sql sql;
    struct at_pages *p = NULL;
    struct at_error err;
    struct at_cell cell;
    size_t n = 0;
    enum at_status st = at_sql_open(&sql, path, AT_SQL_SEALED, &err);

    if (st != AT_OK)
        return st;
    st = at_pages_open(&p, &sql, "t", &err);
    while (st == AT_OK && (st = at_pages_next(p, &cell, &err)) == AT_OK) {
        int64_t number[COLUMNS];
        const uint8_t *blob;
        uint32_t nulls;
        size_t bytes;

        assert_true(n++ < rows);
        st = at_cell_numbers(p, &cell, NUMBERS, number, &nulls, &err);
        if (st == AT_OK)
            st = at_cell_blob(p, &cell, BLOB, &blob, &bytes, &err);
    }
    at_pages_close(p);
    at_sql_close(&sql);
    return st;
}

static void damaged_pages_end(void **state)
{
    enum { ROWS_MADE = 300, MOST_ROWS = 100000, TRIES = 3000 };
    struct bytes file;
    uint32_t random = 1;
    unsigned errors = 0;

    (void)state;
    make_table(512, ROWS_MADE);
    file = read_file(path);
    for (int i = 0; i < TRIES; i++) {
        const size_t any = next_random(&random) % file.n;
        /* every other time where a page says what it holds */
        const size_t at = i % 2 == 0 ? any : any - any % 512 + any % 32;
        const uint8_t flip = (uint8_t)(1 + next_random(&random) % 255);

        file.p[at] ^= flip;
        write_file(path, file.p, file.n);
        errors += walk(MOST_ROWS) < 0;
        file.p[at] ^= flip;
    }
    assert_true(errors > TRIES / 20);
    write_file(path, file.p, file.n);
    assert_int_equal(walk(ROWS_MADE), AT_END);
    drop(&file);
}

/* Every page that has children gets itself for all of them. */
static void circles_end(void **state)
{
    struct bytes file;
    unsigned circles = 0;

    (void)state;
    make_table(512, 2000);
    file = read_file(path);
    for (size_t page = 1; page < file.n / 512; page++) {
        uint8_t *p = file.p + page * 512, copy[512];
        const uint8_t self[4] = {0, 0, (uint8_t)((page + 1) >> 8),
                                 (uint8_t)(page + 1)};

        if (p[0] != 5)
            continue;
        memcpy(copy, p, 512);
        for (size_t cell = 0; cell < (size_t)(p[3] << 8 | p[4]); cell++)
            memcpy(p + (p[12 + 2 * cell] << 8 | p[13 + 2 * cell]), self, 4);
        write_file(path, file.p, file.n);
        assert_int_equal(walk(2000), AT_ERR_CORRUPT);
        memcpy(p, copy, 512);
        circles++;
    }
    assert_true(circles > 1);
    drop(&file);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_are_those_of_sqlite),
        cmocka_unit_test(no_rows_are_no_error),
        cmocka_unit_test(damaged_pages_end),
        cmocka_unit_test(circles_end),
    };

    path = temporary("table.db");
    return cmocka_run_group_tests(tests, NULL, NULL);
}
