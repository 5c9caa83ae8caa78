/*
 * rank_test.c - the best of many rows
 */
#include <stdlib.h>
#include <string.h>

#include "common.h"
#include "rank.h"

struct row {
    uint64_t measure;
    uint8_t key[8];
    uint64_t rest; /* no part of the order */
};

enum { ROWS = 2000 };

static int by_order(const void *va, const void *vb)
{
    const struct row *a = va, *b = vb;

    if (a->measure != b->measure)
        return a->measure > b->measure ? -1 : 1;
    return memcmp(a->key, b->key, sizeof(a->key));
}

/* Few measures, so that most are equal; no two keys are. */
static void make_rows(struct row *row)
{
    uint32_t seed = 3;

    memset(row, 0, ROWS * sizeof(row[0]));
    for (uint32_t i = 0; i < ROWS; i++) {
        row[i].measure = (uint64_t)(next_random(&seed) % 13) << 40;
        row[i].key[i % 2] = (uint8_t)next_random(&seed);
        row[i].key[6] = (uint8_t)(i >> 8);
        row[i].key[7] = (uint8_t)i;
        row[i].rest = i;
    }
}

static void assert_best(const struct row *row, const struct row *want,
                        size_t most)
{
    const size_t kept = most == 0 || most > ROWS ? ROWS : most;
    struct at_rank *r = at_rank_open(8, sizeof(row[0]), most);
    size_t n;

    for (size_t i = 0; i < ROWS; i++)
        assert_true(at_rank_add(r, &row[i]));
    assert_memory_equal(at_rank_rows(r, &n), want, kept * sizeof(row[0]));
    assert_int_equal(n, kept);
    assert_int_equal(at_rank_added(r), ROWS);
    at_rank_close(r);
}

static void test_the_best_in_order(void **state)
{
    static const size_t most[] = {1, 2, 3, 10, 63, 64, 65, 1999, 2000, 2001, 0};
    struct row *row = malloc(ROWS * sizeof(row[0]));
    struct row *want = malloc(ROWS * sizeof(row[0]));

    (void)state;
    make_rows(row);
    memcpy(want, row, ROWS * sizeof(row[0]));
    qsort(want, ROWS, sizeof(want[0]), by_order);
    for (size_t i = 0; i < sizeof(most) / sizeof(most[0]); i++)
        assert_best(row, want, most[i]);
    /* added from the best to the worst, and the other way round */
    assert_best(want, want, 17);
    for (size_t i = 0; i < ROWS; i++)
        row[i] = want[ROWS - 1 - i];
    assert_best(row, want, 17);
    free(row);
    free(want);
}

static void test_none(void **state)
{
    struct at_rank *r = at_rank_open(8, sizeof(struct row), 5);
    size_t n = 1;

    (void)state;
    at_rank_rows(r, &n);
    assert_int_equal(n, 0);
    at_rank_close(r);
    at_rank_close(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_best_in_order),
        cmocka_unit_test(test_none),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
