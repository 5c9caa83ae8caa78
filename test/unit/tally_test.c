/*
 * tally_test.c - numbers by key, in memory and out of it
 */
#include <string.h>

#include "common.h"
#include "tally.h"

enum { KEYS = 1000, ROUNDS = 20 };

static const struct at_tally_plan small = {
    .key_bytes = 16,
    .least = 1,
    .sums = 2,
    .memory = 1, /* 64 rows all the same */
};

/* Keys that differ in one byte of their sixteen. */
static void make_key(uint64_t key[2], uint32_t i)
{
    key[0] = 0;
    key[1] = 0;
    ((uint8_t *)key)[i % 16] = (uint8_t)(i >> 4);
    ((uint8_t *)key)[(i + 5) % 16] ^= (uint8_t)(i >> 2);
}

static void put(struct at_tally *t, uint32_t i, uint64_t place)
{
    struct at_error err;
    uint64_t key[2];
    uint64_t *number;

    make_key(key, i);
    number = at_tally_row(t, key, &err);
    assert_non_null(number);
    if (place < number[0])
        number[0] = place;
    number[1]++;
    number[2] += i;
}

struct found {
    size_t rows;
    uint64_t ones, sum, least;
    uint64_t last[2];
};

static enum at_status meet(void *ctx, const void *key, const uint64_t *number)
{
    struct found *s = ctx;

    if (s->rows > 0)
        assert_true(memcmp(s->last, key, sizeof(s->last)) < 0);
    memcpy(s->last, key, sizeof(s->last));
    s->rows++;
    s->least += number[0];
    s->ones += number[1];
    s->sum += number[2];
    return AT_OK;
}

/* What one tally with much memory finds, the others must find too. */
static void run(struct found *s, size_t tallies, uint64_t memory)
{
    struct at_tally_plan plan = small;
    struct at_tally *t[4];
    struct at_error err;
    uint32_t seed = 7;

    *s = (struct found){.rows = 0};
    plan.memory = memory;
    for (size_t i = 0; i < tallies; i++) {
        t[i] = at_tally_open(&plan);
        assert_non_null(t[i]);
    }
    for (uint32_t i = 0; i < KEYS * ROUNDS; i++) {
        const uint32_t r = next_random(&seed);

        put(t[r % tallies], r / 8 % KEYS, i);
    }
    for (size_t i = 0; i < tallies && memory == 1; i++)
        assert_true(at_tally_runs(t[i]) > 10 && at_tally_rows(t[i]) <= 64);
    assert_int_equal(at_tally_merge(t, tallies, meet, s, &err), AT_OK);
    for (size_t i = 0; i < tallies; i++)
        at_tally_close(t[i]);
}

static void test_the_same_in_any_memory_and_number(void **state)
{
    struct found one, other;

    (void)state;
    run(&one, 1, 1 << 30);
    assert_int_equal(one.ones, KEYS * ROUNDS);
    assert_true(one.rows > KEYS / 2);
    for (size_t tallies = 1; tallies <= 4; tallies++)
        for (unsigned memory = 0; memory < 3; memory++) {
            run(&other, tallies, memory == 0 ? 1 : 1u << (9 + 8 * memory));
            assert_memory_equal(&one, &other, sizeof(one));
        }
}

static void test_nothing_is_no_rows(void **state)
{
    struct at_tally *t = at_tally_open(&small);
    struct found s = {.rows = 0};
    struct at_error err;

    (void)state;
    assert_int_equal(at_tally_merge(&t, 1, meet, &s, &err), AT_OK);
    assert_int_equal(at_tally_merge(NULL, 0, meet, &s, &err), AT_OK);
    assert_int_equal(s.rows, 0);
    at_tally_close(t);
    at_tally_close(NULL);
}

static enum at_status stop_after_three(void *ctx, const void *key,
                                       const uint64_t *number)
{
    size_t *n = ctx;

    (void)key;
    (void)number;
    return ++*n == 3 ? AT_END : AT_OK;
}

static void test_the_receiver_can_end_it(void **state)
{
    struct at_tally *t = at_tally_open(&small);
    struct at_error err;
    size_t n = 0;

    (void)state;
    for (uint32_t i = 0; i < 300; i++)
        put(t, i, i);
    assert_int_equal(at_tally_merge(&t, 1, stop_after_three, &n, &err), AT_END);
    assert_int_equal(n, 3);
    at_tally_close(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_same_in_any_memory_and_number),
        cmocka_unit_test(test_nothing_is_no_rows),
        cmocka_unit_test(test_the_receiver_can_end_it),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
