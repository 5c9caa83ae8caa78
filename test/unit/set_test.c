/*
 * set_test.c - sets of small numbers
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include "index.h"

/* Around the words that a set is made of. */
static const size_t sizes[] = {1, 2, 63, 64, 65, 127, 128, 129, 200};

enum { SIZES = sizeof(sizes) / sizeof(sizes[0]) };

static void bounds_keep_what_is_between(void **state)
{
    (void)state;
    for (size_t k = 0; k < SIZES; k++) {
        for (size_t first = 0; first <= sizes[k]; first++) {
            for (size_t end = first; end <= sizes[k]; end++) {
                struct at_set set;

                assert_int_equal(at_set_open(&set, sizes[k], true), AT_OK);
                at_set_bound(&set, first, end);
                assert_int_equal(at_set_count(&set), end - first);
                assert_int_equal(at_set_next(&set, 0),
                                 end > first ? first : set.n);
                assert_int_equal(at_set_last(&set),
                                 end > first ? end - 1 : set.n);
                at_set_close(&set);
            }
        }
    }
}

static void last_is_the_largest_member(void **state)
{
    struct at_set set;

    (void)state;
    assert_int_equal(at_set_open(&set, 200, false), AT_OK);
    assert_int_equal(at_set_last(&set), 200);
    for (size_t i = 0; i < 200; i += 7) {
        at_set_add(&set, i);
        assert_int_equal(at_set_last(&set), i);
    }
    at_set_close(&set);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bounds_keep_what_is_between),
        cmocka_unit_test(last_is_the_largest_member),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
