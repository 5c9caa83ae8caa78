/*
 * minutes_test.c - packets and bytes of each minute, by protocol
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include "minutes.h"

static struct at_sight sight(int64_t s, uint8_t net, uint8_t proto)
{
    return (struct at_sight){
        .ts_ns = s * 1000000000,
        .key = {.net = net, .proto = proto},
        .bytes = 100,
        .packet = true,
    };
}

static void add(struct at_minutes *m, int64_t s, uint8_t net, uint8_t proto)
{
    const struct at_sight p = sight(s, net, proto);

    assert_int_equal(at_minutes_add(m, &p), AT_OK);
}

static void test_kinds(void **state)
{
    struct at_minutes m = {.n = 0};

    (void)state;
    add(&m, 59, AT_NET_IPV4, 6);
    add(&m, 60, AT_NET_IPV6, 6);
    add(&m, 0, AT_NET_IPV4, 6); /* late */
    add(&m, 61, AT_NET_ARP, 0);
    add(&m, 61, AT_NET_OTHER, 0);
    add(&m, -1, AT_NET_IPV4, 17); /* before 1970 */
    at_minutes_sort(&m);
    assert_int_equal(m.n, 5);
    assert_int_equal(m.row[0].minute, -1);
    assert_int_equal(m.row[0].kind, 17);
    assert_int_equal(m.row[1].minute, 0);
    assert_int_equal(m.row[1].packets, 2);
    assert_int_equal(m.row[1].bytes, 200);
    assert_int_equal(m.row[2].kind, 256 + 6);
    assert_int_equal(m.row[3].kind, 512);
    assert_int_equal(m.row[4].kind, 768);
    at_minutes_close(&m);
}

/* Many minutes, there and back: every packet is counted once. */
static void test_many(void **state)
{
    enum { MINUTES = 5000 };
    struct at_minutes m = {.n = 0};
    uint64_t packets = 0;

    (void)state;
    for (int turn = 0; turn < 3; turn++)
        for (int i = 0; i < MINUTES; i++)
            add(&m, 60 * (turn == 1 ? MINUTES - 1 - i : i), AT_NET_IPV4,
                (uint8_t)(i % 2 == 0 ? 6 : 17));
    at_minutes_sort(&m);
    for (size_t i = 0; i < m.n; i++) {
        packets += m.row[i].packets;
        assert_true(i == 0 || m.row[i - 1].minute < m.row[i].minute ||
                    m.row[i - 1].kind < m.row[i].kind);
    }
    assert_int_equal(packets, 3 * MINUTES);
    assert_int_equal(m.n, 2 * MINUTES);
    at_minutes_close(&m);
}

static void test_none(void **state)
{
    struct at_minutes m = {.n = 0};

    (void)state;
    at_minutes_sort(&m);
    at_minutes_close(&m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_kinds),
        cmocka_unit_test(test_many),
        cmocka_unit_test(test_none),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
