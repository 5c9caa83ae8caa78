/*
 * pages_out_test.c - rows into tables, straight to the pages of a database
 *
 * SQLite tells whether what came of it is sound, and what is in it.
 */
#include "common.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "errors.h"
#include "pages_out.h"
#include "sql.h"

enum { COLUMNS = 5, BLOB_MOST = 200000 };

/* Rows whose numbers and blobs follow from 'i'.  'fails_at' is the one that
 * cannot be made. */
struct rows {
    unsigned made, all, fails_at;
    uint8_t blob[BLOB_MOST];
};

static const char *path;

static int64_t rowid_of(unsigned i)
{
    return (int64_t)i * 37 + ((int64_t)(i / 500) << 58);
}

/* The ends of what fits into each width, of both signs, and around them. */
static int64_t number_of(unsigned i)
{
    static const uint8_t bits[] = {0, 1, 7, 8, 15, 16, 23, 31, 32, 47, 48, 63};
    const uint64_t edge = UINT64_C(1) << bits[i % sizeof(bits)];
    const uint64_t v = edge - 2 + i / sizeof(bits) % 4;

    return i % 2 == 0 ? (int64_t)v : (int64_t)(0 - v);
}

/* Most are short; some are about as long as a page, some of many. */
static size_t blob_bytes(unsigned i)
{
    if (i % 97 == 96)
        return 450 + i * 7 % 66000;
    return i % 1000 == 999 ? BLOB_MOST - i : i % 61;
}

static enum at_status make_row(void *ctx, struct at_row *row,
                               struct at_error *err)
{
    struct rows *r = ctx;
    const unsigned i = r->made++;

    if (i == r->fails_at)
        return at_error_set(err, AT_ERR_CORRUPT, "row %u is damaged", i);
    if (i >= r->all)
        return AT_END;
    memset(r->blob, (int)(i & 0xff), blob_bytes(i));
    at_row_put(row, 1, rowid_of(i));
    at_row_put(row, 2, number_of(i));
    if (i % 3 != 0)
        at_row_put_blob(row, 3, r->blob, blob_bytes(i));
    at_row_put(row, 5, number_of(i + 1));
    return AT_OK;
}

/* 't' is to be filled; the pages of others are before it and after it. */
static void make_tables(unsigned page_bytes, uint32_t root[2])
{
    struct at_sql sql;
    struct at_error err;
    char text[256];

    unlink(path);
    assert_int_equal(at_sql_open(&sql, path, AT_SQL_SHARED, &err), AT_OK);
    snprintf(text, sizeof(text),
             "PRAGMA page_size = %u; CREATE TABLE before(x);"
             "INSERT INTO before VALUES(randomblob(9000));"
             "CREATE TABLE t(id INTEGER PRIMARY KEY, a INT, b BLOB, c, d INT);"
             "CREATE TABLE u(id INTEGER PRIMARY KEY, a INT, b BLOB, c, d INT);"
             "CREATE TABLE after(x);",
             page_bytes);
    assert_int_equal(at_sql_exec(&sql, text), AT_OK);
    root[0] = at_sql_root(&sql, "t");
    root[1] = at_sql_root(&sql, "u");
    at_sql_close(&sql);
}

static void check_row(sqlite3_stmt *st, unsigned i)
{
    const size_t n = blob_bytes(i);
    const uint8_t *p = sqlite3_column_blob(st, 2);

    assert_int_equal(sqlite3_column_int64(st, 0), rowid_of(i));
    assert_int_equal(sqlite3_column_type(st, 1), SQLITE_INTEGER);
    assert_int_equal(sqlite3_column_int64(st, 1), number_of(i));
    assert_int_equal(sqlite3_column_type(st, 2),
                     i % 3 != 0 ? SQLITE_BLOB : SQLITE_NULL);
    if (i % 3 != 0) {
        assert_int_equal(sqlite3_column_bytes(st, 2), n);
        for (size_t k = 0; k < n; k++)
            if (p[k] != (i & 0xff))
                fail_msg("row %u, byte %zu", i, k);
    }
    assert_int_equal(sqlite3_column_type(st, 3), SQLITE_NULL);
    assert_int_equal(sqlite3_column_int64(st, 4), number_of(i + 1));
}

static void check_rows(struct at_sql *sql, const char *query, unsigned all)
{
    sqlite3_stmt *st = at_sql_prepare(sql, query);

    for (unsigned i = 0; i < all; i++) {
        assert_int_equal(at_sql_step(sql, st), AT_OK);
        check_row(st, i);
    }
    assert_int_equal(at_sql_step(sql, st), AT_END);
    sqlite3_finalize(st);
}

static void check_sound(struct at_sql *sql)
{
    sqlite3_stmt *st = at_sql_prepare(sql, "PRAGMA integrity_check");

    assert_int_equal(at_sql_step(sql, st), AT_OK);
    assert_string_equal((const char *)sqlite3_column_text(st, 0), "ok");
    sqlite3_finalize(st);
}

/* Also by rowid, which goes down the tree, and after SQLite added to it. */
static void check_file(unsigned t, unsigned u)
{
    struct at_sql sql;
    struct at_error err;
    char text[128];

    assert_int_equal(at_sql_open(&sql, path, AT_SQL_SHARED, &err), AT_OK);
    check_sound(&sql);
    check_rows(&sql, "SELECT * FROM t ORDER BY id", t);
    check_rows(&sql, "SELECT * FROM u ORDER BY id", u);
    for (unsigned i = 0; i < t; i += 1 + t / 20) {
        snprintf(text, sizeof(text), "SELECT a FROM t WHERE id = %lld",
                 (long long)rowid_of(i));
        assert_int_equal(at_sql_number(&sql, text), number_of(i));
    }
    at_sql_exec(&sql, "INSERT INTO after VALUES(randomblob(100000));"
                      "INSERT INTO t(a) VALUES(12345678);"
                      "DELETE FROM u WHERE id % 2 = 1;");
    check_sound(&sql);
    assert_int_equal(at_sql_number(&sql, "SELECT count(*) FROM t"), t + 1);
    at_sql_close(&sql);
}

static enum at_status fill(struct at_pages_out *o, struct at_pool *pool,
                           uint32_t root, unsigned all, unsigned fails_at,
                           struct at_error *err)
{
    static struct rows rows;

    rows.made = 0;
    rows.all = all;
    rows.fails_at = fails_at;
    return at_pages_out_fill(o, pool, root, COLUMNS, make_row, &rows, err);
}

static void fill_both(unsigned page_bytes, unsigned threads, unsigned t,
                      unsigned u)
{
    struct at_pages_out *o;
    struct at_pool *pool;
    struct at_error err;
    uint32_t root[2];

    assert_int_equal(at_pool_open(&pool, threads, &err), AT_OK);
    make_tables(page_bytes, root);
    assert_int_equal(at_pages_out_open(&o, path, &err), AT_OK);
    assert_int_equal(fill(o, pool, root[0], t, UINT32_MAX, &err), AT_OK);
    assert_int_equal(fill(o, pool, root[1], u, UINT32_MAX, &err), AT_OK);
    assert_int_equal(at_pages_out_close(o, &err), AT_OK);
    check_file(t, u);
    at_pool_close(pool);
}

static void sqlite_reads_all_rows(void **state)
{
    (void)state;
    for (unsigned page_bytes = 512; page_bytes <= 65536; page_bytes *= 2) {
        fill_both(page_bytes, 1, 0, 1);
        fill_both(page_bytes, 2, 1, 0);
        fill_both(page_bytes, 2, 128, 7);
        fill_both(page_bytes, 3, 5000, 300);
    }
}

/* At every number of rows a page is full at another row. */
static void every_number_of_rows_does(void **state)
{
    (void)state;
    for (unsigned n = 0; n < 120; n++)
        fill_both(512, 1, n, 120 - n);
}

/* As if 'pages' pages were there already. */
static void pretend(uint32_t pages, unsigned page_bytes)
{
    const uint8_t number[] = {(uint8_t)(pages >> 24), (uint8_t)(pages >> 16),
                              (uint8_t)(pages >> 8), (uint8_t)pages};
    FILE *f = fopen(path, "r+");

    assert_non_null(f);
    assert_int_equal(fseek(f, 28, SEEK_SET), 0);
    assert_int_equal(fwrite(number, 1, 4, f), 4);
    assert_int_equal(fclose(f), 0);
    assert_int_equal(truncate(path, (off_t)pages * page_bytes), 0);
}

/* Whatever comes there: a leaf, a page on which a record goes on, an interior
 * page, in the buffer with others or as its first. */
static void the_page_of_the_lock_is_left_out(void **state)
{
    enum { PAGE_BYTES = 32768, LOCK_PAGE = (1 << 30) / PAGE_BYTES + 1 };
    struct at_pages_out *o;
    struct at_pool *pool;
    struct at_error err;
    struct at_sql sql;
    uint32_t root[2];

    (void)state;
    assert_int_equal(at_pool_open(&pool, 2, &err), AT_OK);
    for (uint32_t before = 1; before < 25; before++) {
        make_tables(PAGE_BYTES, root);
        pretend(LOCK_PAGE - before, PAGE_BYTES);
        assert_int_equal(at_pages_out_open(&o, path, &err), AT_OK);
        assert_int_equal(fill(o, pool, root[0], 3000, UINT32_MAX, &err), AT_OK);
        assert_int_equal(at_pages_out_close(o, &err), AT_OK);
        assert_int_equal(at_sql_open(&sql, path, AT_SQL_SHARED, &err), AT_OK);
        check_rows(&sql, "SELECT * FROM t ORDER BY id", 3000);
        assert_true(at_sql_number(&sql, "PRAGMA page_count") > LOCK_PAGE);
        at_sql_close(&sql);
    }
    unlink(path);
    at_pool_close(pool);
}

/* In the first batch, at the end of one, and far behind. */
static void errors_end_it(void **state)
{
    static const unsigned at[] = {0, 5, 128, 3000};
    struct at_pages_out *o;
    struct at_pool *pool;
    struct at_error err;
    uint32_t root[2];

    (void)state;
    assert_int_equal(at_pool_open(&pool, 3, &err), AT_OK);
    for (size_t i = 0; i < sizeof(at) / sizeof(at[0]); i++) {
        make_tables(8192, root);
        assert_int_equal(at_pages_out_open(&o, path, &err), AT_OK);
        assert_int_equal(fill(o, pool, root[0], 5000, at[i], &err),
                         AT_ERR_CORRUPT);
        assert_non_null(strstr(err.msg, "is damaged"));
        at_pages_out_close(o, &err);
    }
    at_pool_close(pool);
}

/* A file that may not grow stands for a full disk, at any place. */
static void a_full_disk_is_an_error(void **state)
{
    struct rlimit was, less;
    struct at_pages_out *o;
    struct at_pool *pool;
    struct at_error err;
    uint32_t root[2];

    (void)state;
    assert_int_equal(at_pool_open(&pool, 2, &err), AT_OK);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &was), 0);
    signal(SIGXFSZ, SIG_IGN);
    for (rlim_t most = 20000; most < 2000000; most = most * 2 + 77) {
        enum at_status st;

        make_tables(4096, root);
        assert_int_equal(at_pages_out_open(&o, path, &err), AT_OK);
        less = was;
        less.rlim_cur = most;
        assert_int_equal(setrlimit(RLIMIT_FSIZE, &less), 0);
        st = fill(o, pool, root[0], 5000, UINT32_MAX, &err);
        if (st == AT_OK)
            st = at_pages_out_close(o, &err);
        else
            at_pages_out_close(o, &(struct at_error){.status = AT_OK});
        assert_int_equal(setrlimit(RLIMIT_FSIZE, &was), 0);
        assert_int_equal(st, AT_ERR_SYSTEM);
        assert_non_null(strstr(err.msg, path));
    }
    signal(SIGXFSZ, SIG_DFL);
    at_pool_close(pool);
}

static void what_is_no_database_is_an_error(void **state)
{
    struct at_pages_out *o;
    struct at_error err;

    (void)state;
    unlink(path);
    assert_int_equal(at_pages_out_open(&o, path, &err), AT_ERR_SYSTEM);
    write_file(path, "SQLite", 6);
    assert_int_equal(at_pages_out_open(&o, path, &err), AT_ERR_SYSTEM);
    assert_null(o);
    assert_int_equal(at_pages_out_close(NULL, &err), AT_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sqlite_reads_all_rows),
        cmocka_unit_test(every_number_of_rows_does),
        cmocka_unit_test(the_page_of_the_lock_is_left_out),
        cmocka_unit_test(errors_end_it),
        cmocka_unit_test(a_full_disk_is_an_error),
        cmocka_unit_test(what_is_no_database_is_an_error),
    };

    path = temporary("table.db");
    return cmocka_run_group_tests(tests, NULL, NULL);
}
