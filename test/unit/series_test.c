/*
 * series_test.c - rows by number, in whatever order they are asked for
 */
#include "common.h"
#include "series.h"

static void test_rows_start_as_zero_and_keep_what_is_put(void **state)
{
    struct at_series *s = at_series_open(3 * sizeof(uint64_t));
    uint64_t *a, *b;

    (void)state;
    a = at_series_row(s, 7);
    assert_int_equal(a[0] | a[1] | a[2], 0);
    a[2] = 42;
    b = at_series_row(s, -7);
    assert_int_equal(b[2], 0);
    b[0] = 1;
    assert_ptr_equal(at_series_row(s, 7), a);
    assert_int_equal(a[2], 42);
    assert_ptr_equal(at_series_row(s, -7), b);
    assert_int_equal(at_series_rows(s), 2);
    at_series_close(s);
}

/* A step through all residues of a prime, then everything once more. */
static void test_any_order_comes_out_sorted(void **state)
{
    enum { N = 10007, STEP = 6007 };
    struct at_series *s = at_series_open(sizeof(int64_t));
    int64_t number, *row;

    (void)state;
    for (int64_t k = 0; k < 2 * N; k++) {
        row = at_series_row(s, k * STEP % N - N / 2);
        assert_int_equal(*row, k < N ? 0 : 1);
        ++*row;
    }
    assert_int_equal(at_series_rows(s), N);
    for (int64_t k = 0; k < N; k++) {
        row = at_series_first(s, &number);
        assert_non_null(row);
        assert_int_equal(number, k - N / 2);
        assert_int_equal(*row, 2);
        at_series_drop_first(s);
    }
    assert_null(at_series_first(s, &number));
    at_series_drop_first(s); /* of nothing is nothing */
    at_series_close(s);
}

static void test_a_row_dropped_is_new_when_it_is_asked_for_again(void **state)
{
    struct at_series *s = at_series_open(sizeof(int));
    int64_t number;
    int *row = at_series_row(s, INT64_MAX);

    (void)state;
    *row = 9;
    at_series_drop_first(s);
    assert_int_equal(at_series_rows(s), 0);
    row = at_series_row(s, INT64_MAX);
    assert_int_equal(*row, 0);
    assert_ptr_equal(at_series_first(s, &number), row);
    assert_true(number == INT64_MAX);
    assert_non_null(at_series_row(s, INT64_MIN));
    at_series_first(s, &number);
    assert_true(number == INT64_MIN);
    at_series_close(s); /* with rows in it */
    at_series_close(NULL);
}

/* From the last to the first, as in a hostile trace: not quadratic. */
static void test_downwards_is_as_quick(void **state)
{
    enum { N = 400000 };
    struct at_series *s = at_series_open(8);
    int64_t number = 0;

    (void)state;
    for (int64_t k = N; k > 0; k--)
        assert_non_null(at_series_row(s, k));
    for (int64_t k = 1; k <= N; k++) {
        at_series_first(s, &number);
        assert_int_equal(number, k);
        at_series_drop_first(s);
    }
    at_series_close(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rows_start_as_zero_and_keep_what_is_put),
        cmocka_unit_test(test_any_order_comes_out_sorted),
        cmocka_unit_test(test_a_row_dropped_is_new_when_it_is_asked_for_again),
        cmocka_unit_test(test_downwards_is_as_quick),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
