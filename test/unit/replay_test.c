/*
 * replay_test.c - when packets are due, how late they were, what they become
 */
#include "common.h"

#include <stdlib.h>
#include <string.h>

#include "edit.h"
#include "lateness.h"
#include "pace.h"

enum { ROOM = 70000 };

/* ---- pace ------------------------------------------------------------ */

static void test_rates_do_not_drift(void **state)
{
    struct at_pace packets = {.kind = AT_PACE_PACKETS, .rate = 3};
    struct at_pace bits = {.kind = AT_PACE_BITS, .rate = 7e6L};
    int64_t due = 0, bits_due = 0;

    (void)state;
    for (unsigned i = 0; i <= 3000000; i++) {
        due = at_pace_next(&packets, 0, 100);
        bits_due = at_pace_next(&bits, 0, 100);
    }
    assert_int_equal(due, INT64_C(1000000) * 1000000000);
    /* 3,000,000 frames of 800 bits went before it. */
    assert_int_equal(bits_due, INT64_C(2400000000) * 1000 / 7);
}

static void test_recorded_times_to_the_nanosecond(void **state)
{
    struct at_pace p = {.kind = AT_PACE_RECORDED, .rate = 1};
    const int64_t ts[] = {1000, 1001, 5000, 4000, 5002};
    const int64_t due[] = {0, 1, 4000, 4000, 4002};

    (void)state;
    for (unsigned i = 0; i < 5; i++)
        assert_int_equal(at_pace_next(&p, ts[i], 60), due[i]);
    at_pace_again(&p);
    assert_int_equal(at_pace_next(&p, 1000, 60), 4002);
    assert_int_equal(at_pace_next(&p, 1001, 60), 4003);
}

static void test_speed_and_gaps(void **state)
{
    struct at_pace p = {
        .kind = AT_PACE_RECORDED, .rate = 0.5L, .max_gap_ns = 1000};
    const int64_t ts[] = {0, 100, 10100, 10200};
    const int64_t due[] = {0, 200, 1200, 1400};

    (void)state;
    for (unsigned i = 0; i < 4; i++)
        assert_int_equal(at_pace_next(&p, ts[i], 60), due[i]);
}

/* Ten years, a third faster: 2 ns are all that rounding may cost. */
static void test_long_traces(void **state)
{
    struct at_pace p = {.kind = AT_PACE_RECORDED, .rate = 3};
    const int64_t year = INT64_C(31536000) * 1000000000;
    int64_t due = 0;

    (void)state;
    for (unsigned i = 0; i <= 10; i++)
        due = at_pace_next(&p, 1 + i * year, 60);
    assert_int_equal(due, 10 * year / 3);
}

/* ---- lateness -------------------------------------------------------- */

static void test_quantiles(void **state)
{
    static struct at_lateness l;
    uint64_t p50, p99;

    (void)state;
    assert_int_equal(at_lateness_quantile(&l, 0.5), 0);
    for (int64_t i = 1; i <= 100000; i++)
        at_lateness_add(&l, i);
    at_lateness_add(&l, -5);
    p50 = at_lateness_quantile(&l, 0.5);
    p99 = at_lateness_quantile(&l, 0.99);
    assert_in_range(p50, 50000 - 1, 50000 + 50000 / 16);
    assert_in_range(p99, 99000 - 1, 100000);
    assert_int_equal(at_lateness_quantile(&l, 1), 100000);
    assert_int_equal(l.most, 100000);
    at_lateness_add(&l, INT64_MAX);
    assert_int_equal(at_lateness_quantile(&l, 1), INT64_MAX);
}

/* ---- edit ------------------------------------------------------------ */

/* UDP from 10.1.2.3 to 192.0.2.1 with right checksums. */
static const uint8_t udp[] = {
    0x02, 0,  0,    0,    0, 2,  0x02, 0,  0, 0, 0,   1,   0x08, 0x00, 0x45, 0,
    0,    32, 0,    1,    0, 0,  64,   17, 0, 0, 10,  1,   2,    3,    192,  0,
    2,    1,  0x12, 0x34, 0, 53, 0,    12, 0, 0, 'a', 'b', 'c',  'd'};

struct made {
    uint8_t p[ROOM];
    uint32_t bytes;
};

static struct at_packet packet_of(const uint8_t *p, uint32_t n, uint32_t wire)
{
    return (struct at_packet){
        .data = p,
        .cap_bytes = n,
        .wire_bytes = wire,
        .linktype = AT_LINK_ETHERNET,
    };
}

static enum at_unsent edit(const struct at_edit *e, struct made *m,
                           const struct at_packet *pkt)
{
    const struct at_edit_target to = {.mac = {2, 9, 9, 9, 9, 9}, .most = 1514};

    return at_edit_packet(e, &to, pkt, m->p, sizeof(m->p), &m->bytes);
}

static struct at_checksums sums_of(const struct made *m)
{
    const struct at_packet pkt = packet_of(m->p, m->bytes, m->bytes);
    struct at_headers h;

    at_decode(&h, &pkt);
    return at_checksum_verify(&pkt, &h);
}

/* The packet as above, its checksums made by the code under test and judged by
 * other code. */
static void make_right(struct made *m)
{
    const struct at_edit e = {.checksums = true};
    uint8_t raw[sizeof(udp)];
    struct at_packet pkt = packet_of(raw, sizeof(raw), sizeof(raw));

    memcpy(raw, udp, sizeof(raw));
    raw[40] = 1; /* a UDP sum of 0 would stay */
    assert_int_equal(edit(&e, m, &pkt), AT_UNSENT_NOT);
    assert_int_equal(sums_of(m).network, AT_CHECKSUM_OK);
    assert_int_equal(sums_of(m).transport, AT_CHECKSUM_OK);
}

static void test_nothing_asked_nothing_changed(void **state)
{
    static struct made m;
    const struct at_edit e = {.set_src = false};
    const struct at_packet pkt = packet_of(udp, sizeof(udp), sizeof(udp));

    (void)state;
    assert_int_equal(edit(&e, &m, &pkt), AT_UNSENT_NOT);
    assert_int_equal(m.bytes, sizeof(udp));
    assert_memory_equal(m.p, udp, sizeof(udp));
}

static void test_networks_are_mapped(void **state)
{
    static struct made right, m;
    struct at_edit e = {.set_src = false};
    struct at_packet pkt;
    struct at_error err;
    const uint8_t want[] = {172, 17, 2, 3, 192, 0, 2, 9};

    (void)state;
    make_right(&right);
    assert_int_equal(at_edit_add_net(&e, "10.0.0.0/12=172.16.0.0/12", &err),
                     AT_OK);
    assert_int_equal(at_edit_add_net(&e, "192.0.2.1=192.0.2.9", &err), AT_OK);
    pkt = packet_of(right.p, right.bytes, right.bytes);
    assert_int_equal(edit(&e, &m, &pkt), AT_UNSENT_NOT);
    assert_memory_equal(m.p + 26, want, sizeof(want));
    assert_int_equal(sums_of(&m).network, AT_CHECKSUM_OK);
    assert_int_equal(sums_of(&m).transport, AT_CHECKSUM_OK);

    /* Wrong stays wrong. */
    right.p[24] ^= 1;
    right.p[40] ^= 1;
    assert_int_equal(edit(&e, &m, &pkt), AT_UNSENT_NOT);
    assert_int_equal(sums_of(&m).network, AT_CHECKSUM_BAD);
    assert_int_equal(sums_of(&m).transport, AT_CHECKSUM_BAD);
}

static void test_mistakes_in_maps(void **state)
{
    static const char *const bad[] = {"",
                                      "10.0.0.0/8",
                                      "10.0.0.0/8=11.0.0.0/9",
                                      "10.0.0.0/33=1.0.0.0/33",
                                      "10.0.0.0/8=::/8",
                                      "x=y",
                                      "10.0.0.0/-1=1.0.0.0/-1",
                                      "10.0.0.0/8x=1.0.0.0/8"};
    struct at_edit e = {.set_src = false};
    struct at_error err;
    uint8_t mac[6];

    (void)state;
    for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_int_equal(at_edit_add_net(&e, bad[i], &err), AT_ERR_SYNTAX);
    assert_int_equal(at_mac_parse(mac, "02:00:00:00:00", &err), AT_ERR_SYNTAX);
    assert_int_equal(at_mac_parse(mac, "02:00:00:00:00:01x", &err),
                     AT_ERR_SYNTAX);
    assert_int_equal(at_edit_add_mac(&e, "02:00:00:00:00:01", &err),
                     AT_ERR_SYNTAX);
    for (unsigned i = 0; i < AT_EDIT_MAPS; i++)
        assert_int_equal(at_edit_add_net(&e, "::/0=::/0", &err), AT_OK);
    assert_int_equal(at_edit_add_net(&e, "::/0=::/0", &err), AT_ERR_SYNTAX);
}

static void test_macs_and_tags(void **state)
{
    static struct made m, again;
    struct at_edit e = {.vlan = 7};
    struct at_packet pkt = packet_of(udp, sizeof(udp), sizeof(udp));
    struct at_error err;

    (void)state;
    at_edit_add_mac(&e, "02:00:00:00:00:01=02:00:00:00:00:AA", &err);
    assert_int_equal(edit(&e, &m, &pkt), AT_UNSENT_NOT);
    assert_int_equal(m.bytes, sizeof(udp) + 4);
    assert_memory_equal(m.p, udp, 11);
    assert_int_equal(m.p[11], 0xaa);
    assert_memory_equal(m.p + 12, "\x81\x00\x00\x07\x08\x00", 6);
    assert_memory_equal(m.p + 18, udp + 14, sizeof(udp) - 14);
    /* There is a tag: its id changes, its priority stays. */
    m.p[14] = 0xa0;
    e.vlan = 9;
    pkt = packet_of(m.p, m.bytes, m.bytes);
    assert_int_equal(edit(&e, &again, &pkt), AT_UNSENT_NOT);
    assert_int_equal(again.bytes, m.bytes);
    assert_memory_equal(again.p + 12, "\x81\x00\xa0\x09", 4);
}

static void test_truncated_and_long_packets(void **state)
{
    static struct made m;
    static uint8_t big[2000];
    struct at_edit e = {.shorts = AT_SHORT_PAD};
    struct at_packet pkt = packet_of(udp, 30, sizeof(udp));

    (void)state;
    assert_int_equal(edit(&e, &m, &pkt), AT_UNSENT_NOT);
    assert_int_equal(m.bytes, sizeof(udp));
    assert_memory_equal(m.p, udp, 30);
    for (unsigned i = 30; i < sizeof(udp); i++)
        assert_int_equal(m.p[i], 0);
    e.shorts = AT_SHORT_SEND;
    assert_int_equal(edit(&e, &m, &pkt), AT_UNSENT_NOT);
    assert_int_equal(m.bytes, 30);
    e.shorts = AT_SHORT_SKIP;
    assert_int_equal(edit(&e, &m, &pkt), AT_UNSENT_TRUNCATED);
    e.shorts = AT_SHORT_PAD;
    pkt.wire_bytes = UINT32_MAX;
    assert_int_equal(edit(&e, &m, &pkt), AT_UNSENT_LONG);
    pkt = packet_of(big, sizeof(big), sizeof(big));
    assert_int_equal(edit(&e, &m, &pkt), AT_UNSENT_LONG);
    e.longs = AT_LONG_CUT;
    assert_int_equal(edit(&e, &m, &pkt), AT_UNSENT_NOT);
    assert_int_equal(m.bytes, 1514);
}

static void test_ip_without_ethernet(void **state)
{
    static struct made m;
    struct at_edit e = {.set_dst = false};
    struct at_packet pkt = packet_of(udp + 14, sizeof(udp) - 14,
                                     sizeof(udp) - 14);
    const uint8_t head[] = {2, 0, 0, 0, 0, 5, 2, 9, 9, 9, 9, 9, 8, 0};

    (void)state;
    pkt.linktype = AT_LINK_RAW;
    assert_int_equal(edit(&e, &m, &pkt), AT_UNSENT_LINKTYPE);
    e.set_dst = true;
    memcpy(e.dst, head, 6);
    assert_int_equal(edit(&e, &m, &pkt), AT_UNSENT_NOT);
    assert_int_equal(m.bytes, sizeof(udp));
    assert_memory_equal(m.p, head, sizeof(head));
    assert_memory_equal(m.p + 14, udp + 14, sizeof(udp) - 14);
}

/* Cut and flipped frames under a sanitizer: no read past their end. */
static void test_hostile_frames(void **state)
{
    static struct made m;
    struct at_edit e = {.vlan = 5, .checksums = true};
    struct at_error err;
    uint32_t seed = 7;

    (void)state;
    at_edit_add_net(&e, "0.0.0.0/1=128.0.0.0/1", &err);
    for (unsigned i = 0; i < 20000; i++) {
        const uint32_t n = next_random(&seed) % (sizeof(udp) + 1);
        uint8_t *p = tight_copy(udp, n);
        struct at_packet pkt = packet_of(p, n, n + next_random(&seed) % 3);

        for (unsigned k = 0; n > 0 && k < 2; k++)
            p[next_random(&seed) % n] = (uint8_t)next_random(&seed);
        assert_int_equal(edit(&e, &m, &pkt), AT_UNSENT_NOT);
        free(p);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rates_do_not_drift),
        cmocka_unit_test(test_recorded_times_to_the_nanosecond),
        cmocka_unit_test(test_speed_and_gaps),
        cmocka_unit_test(test_long_traces),
        cmocka_unit_test(test_quantiles),
        cmocka_unit_test(test_nothing_asked_nothing_changed),
        cmocka_unit_test(test_networks_are_mapped),
        cmocka_unit_test(test_mistakes_in_maps),
        cmocka_unit_test(test_macs_and_tags),
        cmocka_unit_test(test_truncated_and_long_packets),
        cmocka_unit_test(test_ip_without_ethernet),
        cmocka_unit_test(test_hostile_frames),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
