/*
 * sql_rows_test.c - many rows into a table of SQLite by one statement
 */
#include "common.h"

#include <string.h>

#include "errors.h"
#include "sql_rows.h"

/* Row i has i, its blob and NULL; the blob has i % 7 bytes, and every 100th is
 * long.  'fails_at' is the row that cannot be made. */
struct rows {
    unsigned made, all, fails_at;
    uint8_t blob[5000];
};

static size_t blob_bytes(unsigned i)
{
    return i % 100 == 99 ? sizeof(((struct rows *)0)->blob) : i % 7;
}

static enum at_status make_row(void *ctx, struct at_sql_row *row,
                               struct at_error *err)
{
    struct rows *r = ctx;
    const unsigned i = r->made++;

    if (i == r->fails_at)
        return at_error_set(err, AT_ERR_CORRUPT, "row %u is damaged", i);
    if (i >= r->all)
        return AT_END;
    memset(r->blob, (int)(i & 0xff), sizeof(r->blob));
    at_sql_put(row, 1, i);
    at_sql_put_blob(row, 2, r->blob, blob_bytes(i));
    return AT_OK;
}

static void open_table(struct at_sql *sql)
{
    struct at_error err;

    assert_int_equal(at_sql_open(sql, ":memory:", AT_SQL_CREATE, &err), AT_OK);
    at_sql_exec(sql, "CREATE TABLE t(id INTEGER PRIMARY KEY, b BLOB, n INT)");
}

static void check_rows(struct at_sql *sql, unsigned all)
{
    sqlite3_stmt *st = at_sql_prepare(sql, "SELECT * FROM t ORDER BY id");

    for (unsigned i = 0; i < all; i++) {
        const size_t n = blob_bytes(i);
        const uint8_t *p;

        assert_int_equal(at_sql_step(sql, st), AT_OK);
        assert_int_equal(sqlite3_column_int64(st, 0), i);
        assert_int_equal(sqlite3_column_type(st, 1), SQLITE_BLOB);
        p = sqlite3_column_blob(st, 1);
        assert_int_equal(sqlite3_column_bytes(st, 1), n);
        for (size_t k = 0; k < n; k++)
            assert_int_equal(p[k], i & 0xff);
        assert_int_equal(sqlite3_column_type(st, 2), SQLITE_NULL);
    }
    assert_int_equal(at_sql_step(sql, st), AT_END);
    sqlite3_finalize(st);
}

static void fill_by(unsigned threads, unsigned all)
{
    struct rows rows = {.all = all, .fails_at = UINT32_MAX};
    struct at_pool *pool;
    struct at_error err;
    struct at_sql sql;

    assert_int_equal(at_pool_open(&pool, threads, &err), AT_OK);
    open_table(&sql);
    assert_int_equal(at_sql_fill(&sql, pool, "t", 3, make_row, &rows), AT_OK);
    check_rows(&sql, all);
    at_sql_close(&sql);
    at_pool_close(pool);
}

static void test_fill(void **state)
{
    (void)state;
    for (unsigned threads = 1; threads <= 4; threads += 3) {
        fill_by(threads, 0);
        fill_by(threads, 1);
        fill_by(threads, 128);
        fill_by(threads, 5000);
    }
}

/* Twice, as the first fill must leave nothing behind. */
static void test_two_tables(void **state)
{
    struct rows one = {.all = 300, .fails_at = UINT32_MAX};
    struct rows two = {.all = 200, .fails_at = UINT32_MAX};
    struct at_pool *pool;
    struct at_error err;
    struct at_sql sql;

    (void)state;
    assert_int_equal(at_pool_open(&pool, 2, &err), AT_OK);
    open_table(&sql);
    at_sql_exec(&sql, "CREATE TABLE u(id INTEGER PRIMARY KEY, b BLOB)");
    assert_int_equal(at_sql_fill(&sql, pool, "t", 3, make_row, &one), AT_OK);
    assert_int_equal(at_sql_fill(&sql, pool, "u", 2, make_row, &two), AT_OK);
    check_rows(&sql, 300);
    assert_int_equal(at_sql_number(&sql, "SELECT count(*) FROM u"), 200);
    at_sql_close(&sql);
    at_pool_close(pool);
}

/* In the first batch, at the end of one, and far behind. */
static void test_errors(void **state)
{
    static const unsigned at[] = {0, 5, 128, 3000};
    struct at_pool *pool;
    struct at_error err;

    (void)state;
    assert_int_equal(at_pool_open(&pool, 3, &err), AT_OK);
    for (size_t i = 0; i < sizeof(at) / sizeof(at[0]); i++) {
        struct rows rows = {.all = 5000, .fails_at = at[i]};
        struct rows again = {.all = 10, .fails_at = UINT32_MAX};
        struct at_sql sql;

        open_table(&sql);
        assert_int_equal(at_sql_fill(&sql, pool, "t", 3, make_row, &rows),
                         AT_ERR_CORRUPT);
        assert_non_null(strstr(sql.err.msg, "is damaged"));
        assert_int_equal(at_sql_fill(&sql, pool, "t", 3, make_row, &again),
                         AT_ERR_CORRUPT);
        assert_int_equal(again.made, 0);
        at_sql_close(&sql);
    }
    at_pool_close(pool);
}

/* What the table says no to is an error too. */
static void test_refused(void **state)
{
    struct rows rows = {.all = 5000, .fails_at = UINT32_MAX};
    struct at_pool *pool;
    struct at_error err;
    struct at_sql sql;

    (void)state;
    assert_int_equal(at_pool_open(&pool, 2, &err), AT_OK);
    open_table(&sql);
    at_sql_exec(&sql, "INSERT INTO t VALUES(700, NULL, NULL)");
    assert_true(at_sql_fill(&sql, pool, "t", 3, make_row, &rows) < 0);
    assert_non_null(strstr(sql.err.msg, "UNIQUE"));
    at_sql_close(&sql);
    at_pool_close(pool);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_fill),
        cmocka_unit_test(test_two_tables),
        cmocka_unit_test(test_errors),
        cmocka_unit_test(test_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
