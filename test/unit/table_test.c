/*
 * table_test.c - rows as a table, CSV and JSON
 */
#include <stdlib.h>
#include <string.h>

#include "common.h"
#include "table.h"

static const struct at_column columns[] = {
    {"name", true, 0},
    {"n", false, 4},
    {"part", false, 0},
};

static void fill(struct at_table *t)
{
    at_table_put(t, "a, \"b\"\n");
    at_table_number(t, 12345);
    at_table_percent(t, 1, 3);
    at_table_put(t, "");
    at_table_number(t, 0);
    at_table_percent(t, 0, 0);
}

/* What is printed of two rows. */
static char *printed(enum at_print_format format)
{
    char *text;
    size_t n;
    struct at_table t = {
        .out = open_memstream(&text, &n),
        .format = format,
        .column = columns,
        .columns = 3,
    };

    assert_non_null(t.out);
    fill(&t);
    assert_true(at_table_close(&t));
    fclose(t.out);
    return text;
}

static void assert_printed(enum at_print_format format, const char *want)
{
    char *text = printed(format);

    assert_string_equal(text, want);
    free(text);
}

static void test_each_format(void **state)
{
    (void)state;
    assert_printed(AT_PRINT_TABLE, "name        n  part\n"
                                   "a, \"b\"? 12345 33.33\n"
                                   "-           0     -\n");
    assert_printed(AT_PRINT_CSV, "name,n,part\n"
                                 "\"a, \"\"b\"\"\n\",12345,33.33\n"
                                 ",0,\n");
    assert_printed(AT_PRINT_JSON,
                   "{\"name\":\"a, \\\"b\\\"\\u000a\",\"n\":12345,"
                   "\"part\":33.33}\n"
                   "{\"name\":null,\"n\":0,\"part\":null}\n");
}

static void test_no_rows(void **state)
{
    static const enum at_print_format format[] = {AT_PRINT_TABLE, AT_PRINT_CSV,
                                                  AT_PRINT_JSON};
    static const char *const want[] = {"name    n part\n", "name,n,part\n", ""};

    (void)state;
    for (size_t i = 0; i < 3; i++) {
        char *text;
        size_t n;
        struct at_table t = {
            .out = open_memstream(&text, &n),
            .format = format[i],
            .column = columns,
            .columns = 3,
        };

        assert_true(at_table_close(&t));
        fclose(t.out);
        assert_string_equal(text, want[i]);
        free(text);
    }
}

/* Rows that follow a flush are under the same names, as wide or wider. */
static void test_a_table_goes_on_after_a_flush(void **state)
{
    char *text;
    size_t n;
    struct at_table t = {
        .out = open_memstream(&text, &n),
        .column = columns,
        .columns = 3,
    };

    (void)state;
    at_table_put(&t, "long name");
    at_table_number(&t, 1);
    at_table_put(&t, "x");
    at_table_flush(&t);
    at_table_put(&t, "b");
    at_table_number(&t, 22);
    at_table_put(&t, "wider");
    at_table_close(&t);
    fclose(t.out);
    assert_string_equal(text, "name         n part\n"
                              "long name    1    x\n"
                              "b           22 wider\n");
    free(text);
}

static void test_percent_is_exact(void **state)
{
    static const struct {
        uint64_t part, whole;
        const char *text;
    } row[] = {
        {1, 2, "50.00"},
        {2, 3, "66.67"},
        {1, 100000, "0.00"},
        {5, 100000, "0.01"},
        {UINT64_MAX, UINT64_MAX, "100.00"},
        {UINT64_MAX - 1, UINT64_MAX, "100.00"},
        {UINT64_MAX / 2, UINT64_MAX, "50.00"},
    };
    static const struct at_column one[] = {{"p", false, 0}};

    (void)state;
    for (size_t i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
        char *text;
        size_t n;
        struct at_table t = {
            .out = open_memstream(&text, &n),
            .format = AT_PRINT_CSV,
            .column = one,
            .columns = 1,
        };

        at_table_percent(&t, row[i].part, row[i].whole);
        at_table_close(&t);
        fclose(t.out);
        assert_memory_equal(strchr(text, '\n') + 1, row[i].text,
                            strlen(row[i].text));
        free(text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_format),
        cmocka_unit_test(test_no_rows),
        cmocka_unit_test(test_a_table_goes_on_after_a_flush),
        cmocka_unit_test(test_percent_is_exact),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
