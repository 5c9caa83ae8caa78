/*
 * seen_test.c - the blocks that flows were seen in
 *
 * A plain list for each flow says what is right.
 */
#include "common.h"

#include <stdlib.h>
#include <string.h>

#include "seen.h"

enum { FLOWS = 3 * AT_SEEN_SPAN + 1000, MOST = 12, ROUNDS = 6 };

struct plain {
    uint32_t block[MOST];
    unsigned n;
};

static void add_some(struct at_seen *s, struct plain *flow, size_t flows,
                     uint32_t *block, uint32_t *random)
{
    for (unsigned i = 0; i < 60000; i++) {
        const uint32_t k = next_random(random) % (uint32_t)flows;

        *block += i % 50 == 0;
        if (flow[k].n == MOST ||
            (flow[k].n > 0 && flow[k].block[flow[k].n - 1] == *block))
            continue;
        flow[k].block[flow[k].n++] = *block;
        assert_int_equal(at_seen_add(s, k, *block), AT_OK);
    }
}

/* There is room for another behind each, which spoils no other. */
static void check(const struct at_seen *s, const struct plain *flow,
                  size_t flows)
{
    struct at_seen_lists l = {.room = 0};

    for (size_t first = 0; first < flows; first += AT_SEEN_SPAN) {
        const size_t left = flows - first;
        const size_t n = left < AT_SEEN_SPAN ? left : AT_SEEN_SPAN;
        size_t have;

        assert_int_equal(at_seen_sort(s, first / AT_SEEN_SPAN, &l), AT_OK);
        for (size_t i = 0; i < n; i++) {
            uint32_t *list = at_seen_list(&l, i, &have);

            list[have] = UINT32_MAX;
        }
        for (size_t i = 0; i < n; i++) {
            const uint32_t *list = at_seen_list(&l, i, &have);

            assert_int_equal(have, flow[first + i].n);
            assert_memory_equal(list, flow[first + i].block,
                                have * sizeof(list[0]));
        }
    }
    at_seen_lists_close(&l);
}

/* About every third flow leaves. */
static size_t leave(struct at_seen *s, struct plain *flow, size_t flows,
                    uint32_t *random)
{
    uint32_t *to = malloc(flows * sizeof(*to));
    size_t left = 0;

    assert_non_null(to);
    for (size_t i = 0; i < flows; i++) {
        to[i] = next_random(random) % 3 == 0 ? AT_SEEN_GONE : (uint32_t)left;
        if (to[i] != AT_SEEN_GONE)
            flow[left++] = flow[i];
    }
    memset(flow + left, 0, (flows - left) * sizeof(*flow));
    assert_int_equal(at_seen_renumber(s, to), AT_OK);
    free(to);
    return left;
}

static void lists_are_those_of_each_flow(void **state)
{
    struct plain *flow = calloc(FLOWS, sizeof(*flow));
    struct at_seen s = {.spans = 0};
    uint32_t block = 0, random = 1;
    size_t flows = FLOWS;

    (void)state;
    assert_non_null(flow);
    for (unsigned i = 0; i < ROUNDS; i++) {
        add_some(&s, flow, flows, &block, &random);
        check(&s, flow, flows);
        if (i % 2 == 1)
            flows = leave(&s, flow, flows, &random);
        check(&s, flow, flows);
        flows = FLOWS; /* others come */
    }
    at_seen_drop(&s, 1);
    memset(flow + AT_SEEN_SPAN, 0, AT_SEEN_SPAN * sizeof(*flow));
    check(&s, flow, flows);
    at_seen_close(&s);
    free(flow);
}

static void what_was_never_seen_has_no_blocks(void **state)
{
    struct at_seen_lists l = {.room = 0};
    struct at_seen s = {.spans = 0};
    size_t n;

    (void)state;
    assert_int_equal(at_seen_sort(&s, 7, &l), AT_OK);
    at_seen_list(&l, AT_SEEN_SPAN - 1, &n);
    assert_int_equal(n, 0);
    at_seen_drop(&s, 7);
    at_seen_lists_close(&l);
    at_seen_close(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lists_are_those_of_each_flow),
        cmocka_unit_test(what_was_never_seen_has_no_blocks),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
