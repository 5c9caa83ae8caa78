/*
 * unique_test.c - packets that come twice
 */
#include "common.h"

#include <stdlib.h>
#include <string.h>

static struct at_packet packet(uint64_t ns, const void *data, uint32_t n)
{
    return (struct at_packet){
        .ts = at_ts_from_ns(ns),
        .data = data,
        .cap_bytes = n,
        .wire_bytes = n,
        .linktype = AT_LINK_ETHERNET,
    };
}

static struct at_unique *open_unique(void)
{
    struct at_unique *u;
    struct at_error err;

    assert_int_equal(at_unique_open(&u, &err), AT_OK);
    return u;
}

static void test_every_fact_counts(void **state)
{
    struct at_packet a = packet(5, "abcdefghij", 10), b;
    struct at_unique *u = open_unique();

    (void)state;
    assert_true(at_unique_is_new(u, &a));
    assert_false(at_unique_is_new(u, &a));
    b = packet(5, "abcdefghiJ", 10);
    assert_true(at_unique_is_new(u, &b));
    b = packet(5, "abcdefghij", 9);
    assert_true(at_unique_is_new(u, &b));
    b = a;
    b.wire_bytes = 11;
    assert_true(at_unique_is_new(u, &b));
    b = a;
    b.linktype = AT_LINK_RAW;
    assert_true(at_unique_is_new(u, &b));
    b = a;
    b.interface = 3;
    b.source = 2;
    assert_false(at_unique_is_new(u, &b));
    b = packet(5, NULL, 0);
    assert_true(at_unique_is_new(u, &b));
    assert_false(at_unique_is_new(u, &b));
    at_unique_close(u);
}

static void test_another_time_is_another_packet(void **state)
{
    struct at_packet a = packet(5, "abc", 3), b = packet(6, "abc", 3);
    struct at_unique *u = open_unique();

    (void)state;
    assert_true(at_unique_is_new(u, &a));
    assert_true(at_unique_is_new(u, &b));
    assert_true(at_unique_is_new(u, &a)); /* what was before it is forgotten */
    a.timeless = true;
    assert_true(at_unique_is_new(u, &a));
    assert_true(at_unique_is_new(u, &a));
    /* ERF has other fractions of the same nanosecond. */
    a = packet(7, "abc", 3);
    assert_true(at_unique_is_new(u, &a));
    a.ts--;
    assert_int_equal(at_ts_to_ns(a.ts), 7);
    assert_false(at_unique_is_new(u, &a));
    at_unique_close(u);
}

/* More packets of a time than are remembered: only far ones come twice. */
static void test_memory_is_bounded(void **state)
{
    struct at_unique *u = open_unique();
    uint32_t i;
    struct at_packet pkt = packet(9, &i, sizeof(i));

    (void)state;
    for (i = 0; i < 5 * AT_UNIQUE_PACKETS; i++) {
        assert_true(at_unique_is_new(u, &pkt));
        assert_false(at_unique_is_new(u, &pkt));
    }
    i = 0;
    assert_true(at_unique_is_new(u, &pkt));
    at_unique_close(u);
}

static void test_long_packets(void **state)
{
    const uint32_t n = AT_UNIQUE_BYTES / 3;
    uint8_t *p = test_calloc(AT_UNIQUE_BYTES + 1, 1);
    struct at_unique *u = open_unique();
    struct at_packet pkt = packet(9, p, n);

    (void)state;
    for (unsigned i = 0; i < 7; i++) {
        p[n - 1] = (uint8_t)i;
        assert_true(at_unique_is_new(u, &pkt));
        assert_false(at_unique_is_new(u, &pkt));
    }
    pkt = packet(9, p, AT_UNIQUE_BYTES + 1); /* is not remembered */
    assert_true(at_unique_is_new(u, &pkt));
    assert_true(at_unique_is_new(u, &pkt));
    pkt = packet(9, p, AT_UNIQUE_BYTES);
    assert_true(at_unique_is_new(u, &pkt));
    assert_false(at_unique_is_new(u, &pkt));
    test_free(p);
    at_unique_close(u);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_fact_counts),
        cmocka_unit_test(test_another_time_is_another_packet),
        cmocka_unit_test(test_memory_is_bounded),
        cmocka_unit_test(test_long_packets),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
