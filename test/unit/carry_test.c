/*
 * carry_test.c - flows that go on from one part of a capture into the next
 *
 * The same packets are tracked whole, and in parts that are cut anywhere;
 * joined, the parts must be the flows.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "carry.h"
#include "flow_row.h"

enum { TCP = 6, UDP = 17, PACKETS = 4000, ENDS = 12, ROWS = PACKETS };

struct part {
    struct at_flow_key key;
    struct at_flow_row row;
    bool source_is_hi, joined;
};

struct parts {
    struct part part[ROWS];
    size_t n;
};

static enum at_status over(void *ctx, const struct at_flow *flow,
                           const uint32_t *block, size_t blocks, uint32_t name)
{
    struct parts *p = ctx;
    struct part *part = &p->part[p->n++];

    (void)block;
    (void)name;
    assert_true(p->n < ROWS);
    assert_true(blocks > 0);
    *part = (struct part){.key = flow->key, .source_is_hi = flow->source_is_hi};
    at_flow_row_of(&part->row, flow);
    part->row.continues = flow->carried != 0 ? AT_GOES_ON : AT_GOES_NOT;
    part->row.continued = flow->continued ? AT_GOES_ON : AT_GOES_NOT;
    return AT_OK;
}

static enum at_status keep_open(void *ctx, const struct at_flow *flow,
                                const struct at_flow_past *past)
{
    return at_carry_add(ctx, flow, past);
}

static enum at_status keep_datagram(void *ctx, const struct at_datagram *first)
{
    return at_carry_add_datagram(ctx, first);
}

/* ---- packets --------------------------------------------------------- */

/* Each run has its own numbers, and they are the same every time. */
static uint32_t below(uint32_t n)
{
    static uint64_t state = 1;

    state = state * UINT64_C(6364136223846793005) +
            UINT64_C(1442695040888963407);
    return (uint32_t)(state >> 33) % n;
}

static struct at_sight random_packet(int64_t ms)
{
    static const uint8_t flags[] = {2, 18, 16, 16, 24, 24, 17, 4};
    const uint8_t a[4] = {10, 0, 0, (uint8_t)below(3)}, b[4] = {10, 0, 1, 1};
    const uint16_t port = (uint16_t)(1000 + below(ENDS));
    const bool back = below(2) != 0, tcp = below(4) != 0;
    const bool fragment = below(4) == 0, later = fragment && below(3) != 0;
    const struct at_ends ends = {
        .src = back ? b : a,
        .dst = back ? a : b,
        .sport = back ? 80 : port,
        .dport = back ? port : 80,
        .vlan = port == 1001 ? 7 : 0,
        .mpls = port == 1002 ? 0xfffff : 0,
        .net = AT_NET_IPV4,
        .proto = tcp ? TCP : UDP,
        .inner = port % 2 == 0,
        .ports = !later,
    };
    struct at_sight s = {
        .ts_ns = ms * 1000000,
        .bytes = 40 + below(1000),
        .payload_bytes = below(3) * below(500),
        .tcp_seq = 1000 + below(2000),
        .tcp_flags = tcp && !later ? flags[below(sizeof(flags))] : 0,
        .link = fragment ? below(3) : 0,
        .first = {(uint8_t)below(256), 'a', 'b', 'c'},
        .sport = ends.sport,
        .dport = ends.dport,
        .flags = (uint8_t)((later ? AT_DECODED_LATER : AT_DECODED_PORTS) |
                           (fragment ? AT_DECODED_FRAGMENT : 0)),
        .checksum = (uint8_t)(below(9) == 0 ? AT_CHECKSUM_BAD : AT_CHECKSUM_OK),
        .zero_window = below(20) == 0,
        .packet = true,
    };

    s.first_bytes = (uint8_t)(s.payload_bytes < 4 ? s.payload_bytes : 4);
    s.from_hi = at_flow_key_make(&s.key, &ends);
    s.hash = at_flow_key_hash(&s.key, 0);
    return s;
}

/* Minutes pass now and then, so that flows end by any timeout. */
static void make_packets(struct at_sight *s, size_t n)
{
    int64_t ms = 1000000;

    for (size_t i = 0; i < n; i++) {
        ms += below(40) == 0 ? below(150000) : below(200);
        s[i] = random_packet(ms - below(20));
    }
}

/* ---- tracking -------------------------------------------------------- */

static struct at_tracking rules;

static void track_part(struct parts *out, const struct at_sight *s, size_t n,
                       struct at_carry *carry)
{
    struct at_tracker *t = at_tracker_open(&rules, 0, over, out);
    struct at_flow flow;
    struct at_flow_past past;
    struct at_datagram first;
    struct at_carry open = {.n = 0};

    for (size_t i = 0; i < carry->n; i++) {
        assert_true(at_carry_get(carry, i, &flow, &past));
        assert_int_equal(at_tracker_resume(t, &flow, &past), AT_OK);
    }
    for (size_t i = 0; i < carry->datagrams; i++) {
        assert_true(at_carry_get_datagram(carry, i, &first));
        assert_int_equal(at_tracker_resume_datagram(t, &first), AT_OK);
    }
    for (size_t i = 0; i < n; i++)
        assert_int_equal(at_tracker_add(t, &s[i], 1, NULL, (uint32_t)i), AT_OK);
    assert_int_equal(at_tracker_finish_part(t, keep_open, keep_datagram, &open),
                     AT_OK);
    at_tracker_close(t);
    at_carry_close(carry);
    *carry = open;
}

static int by_key(const void *a, const void *b)
{
    const struct part *x = a, *y = b;
    const int order = memcmp(&x->key, &y->key, sizeof(x->key));

    if (order != 0)
        return order;
    if (x->row.start_ns != y->row.start_ns)
        return x->row.start_ns < y->row.start_ns ? -1 : 1;
    return x->row.end_ns < y->row.end_ns ? -1 : x->row.end_ns > y->row.end_ns;
}

/* Joins each part to the open one of its key; they are in order of parts. */
static void join(struct parts *p)
{
    size_t n = 0;

    for (size_t i = 0; i < p->n; i++) {
        struct part *part = &p->part[i];
        size_t k = n;

        while (part->row.continues == AT_GOES_ON && k-- > 0)
            if (p->part[k].row.continued == AT_GOES_ON &&
                memcmp(&p->part[k].key, &part->key, sizeof(part->key)) == 0)
                break;
        if (part->row.continues != AT_GOES_ON) {
            p->part[n++] = *part;
            continue;
        }
        assert_true(k < n);
        assert_int_equal(p->part[k].source_is_hi, part->source_is_hi);
        at_flow_row_join(&p->part[k].row, &part->row, false);
    }
    p->n = n;
    qsort(p->part, p->n, sizeof(p->part[0]), by_key);
}

static void same_row(const struct at_flow_row *a, const struct at_flow_row *b)
{
    for (int dir = 0; dir < 2; dir++) {
        assert_int_equal(a->packets[dir], b->packets[dir]);
        assert_int_equal(a->bytes[dir], b->bytes[dir]);
        assert_int_equal(a->payload[dir], b->payload[dir]);
        assert_int_equal(a->tcp_flags[dir], b->tcp_flags[dir]);
        assert_int_equal(a->retransmitted[dir], b->retransmitted[dir]);
        assert_int_equal(a->zero_windows[dir], b->zero_windows[dir]);
        assert_int_equal(a->first_len[dir], b->first_len[dir]);
        assert_int_equal(a->captured[dir], b->captured[dir]);
        assert_memory_equal(a->first[dir], b->first[dir], 4);
    }
    assert_int_equal(a->start_ns, b->start_ns);
    assert_int_equal(a->end_ns, b->end_ns);
    assert_int_equal(a->state, b->state);
    assert_int_equal(a->rtt_us, b->rtt_us);
    assert_int_equal(a->marks, b->marks);
    assert_int_equal(a->bad_checksums, b->bad_checksums);
    assert_int_equal(a->checksums, b->checksums);
    /* A part does not know that nothing came after it. */
    if (a->end != AT_FLOW_END_TRACE)
        assert_int_equal(a->end, b->end);
}

/* ---- tests ----------------------------------------------------------- */

static struct at_sight packet[PACKETS];
static struct parts whole, cut;

static void parts_are_whole(unsigned parts)
{
    struct at_carry none = {.n = 0}, carry = {.n = 0};
    size_t at = 0;

    whole.n = cut.n = 0;
    make_packets(packet, PACKETS);
    track_part(&whole, packet, PACKETS, &none);
    for (unsigned i = 0; i < parts; i++) {
        const size_t left = PACKETS - at;
        const size_t n = i + 1 < parts ? below((uint32_t)left + 1) : left;

        track_part(&cut, packet + at, n, &carry);
        at += n;
    }
    assert_int_equal(carry.n, none.n);
    assert_memory_equal(carry.record, none.record, carry.n * AT_CARRY_BYTES);
    assert_int_equal(carry.datagrams, none.datagrams);
    if (carry.datagrams > 0)
        assert_memory_equal(carry.datagram, none.datagram,
                            carry.datagrams * AT_CARRY_DATAGRAM_BYTES);
    qsort(whole.part, whole.n, sizeof(whole.part[0]), by_key);
    join(&cut);
    assert_int_equal(cut.n, whole.n);
    for (size_t i = 0; i < whole.n; i++)
        same_row(&cut.part[i].row, &whole.part[i].row);
    at_carry_close(&none);
    at_carry_close(&carry);
}

static void test_parts(void **state)
{
    (void)state;
    rules = at_tracking_default;
    for (unsigned run = 0; run < 40; run++)
        parts_are_whole(2 + run % 7);
}

static void test_parts_and_active_timeout(void **state)
{
    (void)state;
    rules = at_tracking_default;
    rules.timeouts.active_ns = INT64_C(300) * 1000000000;
    for (unsigned run = 0; run < 20; run++)
        parts_are_whole(2 + run % 7);
}

static void test_bytes(void **state)
{
    struct at_carry carry = {.n = 0}, copy = {.n = 0};
    struct at_flow flow;
    struct at_flow_past past;

    (void)state;
    rules = at_tracking_default;
    whole.n = 0;
    make_packets(packet, 100);
    track_part(&whole, packet, 100, &carry);
    assert_true(carry.n > 0);
    assert_int_equal(
        at_carry_add_bytes(&copy, carry.record, carry.n * AT_CARRY_BYTES),
        AT_OK);
    assert_int_equal(copy.n, carry.n);
    assert_int_equal(
        at_carry_add_bytes(&copy, carry.record, AT_CARRY_BYTES - 1),
        AT_ERR_FORMAT);
    assert_int_equal(copy.n, carry.n);
    copy.record[AT_CARRY_BYTES - 2] = AT_FLOW_STATES;
    assert_false(at_carry_get(&copy, 0, &flow, &past));
    at_carry_close(&copy);
    at_carry_close(&carry);
}

/* Of those of two flows, byte 'at' is made 'byte'. */
static bool datagrams_are_good(const struct at_carry *c, size_t at,
                               uint8_t byte)
{
    struct at_carry copy = *c;
    uint8_t bytes[3 * AT_CARRY_DATAGRAM_BYTES];
    struct at_datagram first;
    bool good = true;

    assert_int_equal(c->datagrams, 3);
    memcpy(bytes, c->datagram, sizeof(bytes));
    bytes[at] = byte;
    copy.datagram = bytes;
    for (size_t i = 0; i < copy.datagrams; i++)
        good &= at_carry_get_datagram(&copy, i, &first);
    return good;
}

static void test_datagram_bytes(void **state)
{
    enum { SECOND = AT_CARRY_DATAGRAM_BYTES, LINK = 4, TIME = 8, SENDER = 16 };
    const struct at_flow flow = {.last_ns = INT64_C(1000) << 32};
    const struct at_flow_past past = {.began_ns = 0};
    const struct at_datagram first[] = {
        {.value = 0, .link = 7, .ts_ns = flow.last_ns},
        {.value = 0, .link = 7, .ts_ns = flow.last_ns - 5, .from_hi = true},
        {.value = 1, .link = 6, .ts_ns = flow.last_ns - AT_DATAGRAM_NS}};
    struct at_carry c = {.n = 0};
    struct at_datagram got;

    (void)state;
    for (int i = 0; i < 2; i++)
        assert_int_equal(at_carry_add(&c, &flow, &past), AT_OK);
    for (int i = 0; i < 3; i++)
        assert_int_equal(at_carry_add_datagram(&c, &first[i]), AT_OK);
    for (size_t i = 0; i < 3; i++) {
        assert_true(at_carry_get_datagram(&c, i, &got));
        assert_int_equal(at_datagram_order(&got, &first[i]), 0);
        assert_int_equal(got.ts_ns, first[i].ts_ns);
    }
    assert_int_equal(at_carry_datagrams_from(&c, 0), 0);
    assert_int_equal(at_carry_datagrams_from(&c, 1), 2);
    assert_int_equal(at_carry_datagrams_from(&c, 2), 3);
    /* of no flow, in no order, from after its flow's end, or long before */
    assert_true(datagrams_are_good(&c, 0, 0));
    assert_false(datagrams_are_good(&c, 2 * SECOND, 2));
    assert_false(datagrams_are_good(&c, 2 * SECOND + 3, 0x80));
    assert_false(datagrams_are_good(&c, SECOND + SENDER, 0));
    assert_false(datagrams_are_good(&c, LINK, 8));
    assert_false(datagrams_are_good(&c, 0, 1));
    assert_false(datagrams_are_good(&c, TIME, 1));
    assert_false(datagrams_are_good(&c, TIME + 7, 0x80));
    assert_false(datagrams_are_good(&c, 2 * SECOND + TIME + 5, 0));
    assert_int_equal(
        at_carry_add_datagram_bytes(&c, c.datagram, SECOND + SECOND - 1),
        AT_ERR_FORMAT);
    assert_int_equal(c.datagrams, 3);
    at_carry_close(&c);
}

/* A datagram of a flow that is not there. */
static void test_no_flow(void **state)
{
    const struct at_datagram first = {.value = 1};
    const struct at_flow flow = {.key.net = AT_NET_IPV4};
    const struct at_flow_past past = {.began_ns = 0};
    struct at_tracker *t;

    (void)state;
    rules = at_tracking_default;
    t = at_tracker_open(&rules, 0, over, &whole);
    assert_int_equal(at_tracker_resume_datagram(t, &first), AT_ERR_FORMAT);
    assert_int_equal(at_tracker_resume(t, &flow, &past), AT_OK);
    assert_int_equal(at_tracker_resume_datagram(t, &first), AT_ERR_FORMAT);
    at_tracker_close(t);
}

/* However many are resumed, they take no room from others. */
static void test_many_datagrams(void **state)
{
    enum { MANY = 1 << 16, OTHERS = 40000 };
    struct at_datagrams *d = at_datagrams_open();
    struct at_sight s = {.key = {.net = AT_NET_IPV4, .hi = {1}}};
    struct at_datagram first = {.value = 1}, *list;
    size_t n;

    (void)state;
    for (; first.link < MANY; first.link++)
        assert_int_equal(at_datagrams_resume(d, &s.key, &first), AT_OK);
    assert_int_equal(at_datagrams_list(d, 0, &list, &n), AT_OK);
    assert_int_equal(n, MANY);
    for (size_t i = 0; i < n; i++)
        assert_int_equal(list[i].link, i);
    free(list);
    for (s.link = 0; s.link < OTHERS; s.link++)
        assert_int_equal(at_datagrams_put(d, &s, 2), AT_OK);
    for (s.link = 0; s.link < MANY; s.link++) {
        const struct at_datagram *found = at_datagrams_find(d, &s);

        assert_non_null(found);
        assert_int_equal(found->value, s.link < OTHERS ? 2 : 1);
    }
    assert_int_equal(at_datagrams_lost(d), 0);
    assert_int_equal(at_datagrams_list(d, 0, &list, &n), AT_OK);
    assert_int_equal(n, MANY);
    free(list);
    s.from_hi = 1;
    for (s.link = 0; s.link < 1000; s.link++)
        assert_int_equal(at_datagrams_put(d, &s, 3), AT_OK);
    assert_int_equal(at_datagrams_list(d, 0, &list, &n), AT_OK);
    assert_int_equal(n, OTHERS + 1000);
    free(list);
    assert_int_equal(at_datagrams_list(d, AT_DATAGRAM_NS + 1, &list, &n),
                     AT_OK);
    assert_int_equal(n, 0);
    free(list);
    at_datagrams_close(d);
}

static void test_keying(void **state)
{
    static const char *const usual[] = {
        "none", "vlan", "inner-vlan", "mpls", "inner", "inner-vlan,mpls,inner"};
    char text[AT_KEYING_TEXT];
    struct at_error err;
    struct at_keying key = {.vlan = AT_SIGHT_OUTER_VLAN};

    (void)state;
    assert_true(at_keying_is_usual(&key));
    assert_string_equal(at_keying_format(text, &key), "vlan");
    for (size_t i = 0; i < sizeof(usual) / sizeof(usual[0]); i++) {
        assert_int_equal(at_keying_parse(&key, usual[i], &err), AT_OK);
        assert_string_equal(at_keying_format(text, &key), usual[i]);
        assert_int_equal(at_keying_is_usual(&key), i == 1);
    }
    assert_int_equal(at_keying_parse(&key, "inner,vlan", &err), AT_OK);
    assert_string_equal(at_keying_format(text, &key), "vlan,inner");
    assert_int_equal(at_keying_parse(&key, "", &err), AT_ERR_SYNTAX);
    assert_int_equal(at_keying_parse(&key, "vlan,", &err), AT_ERR_SYNTAX);
    assert_int_equal(at_keying_parse(&key, "none,vlan", &err), AT_ERR_SYNTAX);
    assert_non_null(strstr(err.msg, "'none'"));
}

/* The same flow twice cannot be. */
static void test_twice(void **state)
{
    struct at_tracker *t;
    struct at_carry carry = {.n = 0};
    struct at_flow flow;
    struct at_flow_past past;

    (void)state;
    rules = at_tracking_default;
    whole.n = 0;
    make_packets(packet, 1);
    track_part(&whole, packet, 1, &carry);
    assert_int_equal(carry.n, 1);
    assert_true(at_carry_get(&carry, 0, &flow, &past));
    t = at_tracker_open(&rules, 0, over, &whole);
    assert_int_equal(at_tracker_resume(t, &flow, &past), AT_OK);
    assert_int_equal(at_tracker_resume(t, &flow, &past), AT_ERR_FORMAT);
    at_tracker_close(t);
    at_carry_close(&carry);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_parts),
        cmocka_unit_test(test_parts_and_active_timeout),
        cmocka_unit_test(test_bytes),
        cmocka_unit_test(test_datagram_bytes),
        cmocka_unit_test(test_no_flow),
        cmocka_unit_test(test_many_datagrams),
        cmocka_unit_test(test_keying),
        cmocka_unit_test(test_twice),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
