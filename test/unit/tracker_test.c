/*
 * tracker_test.c - the flow table, packet by packet
 *
 * Packets are made as sights, from A to B unless told otherwise, at times in
 * milliseconds; A is the end with the smaller address.
 */
#include "common.h"

#include <stdlib.h>
#include <string.h>

#include "flow_row.h"
#include "tracker.h"

enum { FIN = 1, SYN = 2, RST = 4, PSH = 8, ACK = 16 };
enum { TCP = 6, UDP = 17, ICMP = 1 };

#define SECONDS 1000 /* in the milliseconds of the packets here */

enum { KEPT = 64, ROWS = 4096, LOG = 64 };

struct table {
    struct at_tracker *tracker;
    struct at_tracking rules;
    struct at_sight kept[KEPT]; /* what was put, to be put again */
    size_t packets;
    struct at_flow_row row[ROWS]; /* of flows that are over */
    size_t rows;
    uint32_t block[LOG]; /* of the flow that was over last */
    size_t blocks;
};

static enum at_status over(void *ctx, const struct at_flow *flow,
                           const uint32_t *block, size_t blocks, uint32_t name)
{
    struct table *t = ctx;

    (void)name;
    assert_true(t->rows < ROWS);
    at_flow_row_of(&t->row[t->rows++], flow);
    t->blocks = blocks < LOG ? blocks : LOG;
    memcpy(t->block, block, t->blocks * sizeof(*block));
    return AT_OK;
}

static void open_table(struct table *t)
{
    t->tracker = at_tracker_open(&t->rules, 0, over, t);
    t->rows = 0;
}

static int set_up(void **state)
{
    struct table *t = calloc(1, sizeof(*t));

    t->rules = at_tracking_default;
    open_table(t);
    *state = t;
    return 0;
}

static int tear_down(void **state)
{
    struct table *t = *state;

    at_tracker_close(t->tracker);
    free(t);
    return 0;
}

static void again(struct table *t)
{
    at_tracker_close(t->tracker);
    t->packets = 0;
    open_table(t);
}

/* ---- packets --------------------------------------------------------- */

static struct at_sight sight(uint8_t proto, int64_t ms, bool back)
{
    static const uint8_t a[4] = {10, 0, 0, 1}, b[4] = {10, 0, 0, 2};
    const struct at_ends ends = {
        .src = back ? b : a,
        .dst = back ? a : b,
        .sport = back ? 80 : 40000,
        .dport = back ? 40000 : 80,
        .net = AT_NET_IPV4,
        .proto = proto,
        .ports = proto != ICMP,
    };
    struct at_sight s = {
        .ts_ns = ms * 1000000,
        .bytes = 40,
        .sport = ends.sport,
        .dport = ends.dport,
        .flags = AT_DECODED_PORTS,
        .checksum = AT_CHECKSUM_OK,
        .packet = true,
    };

    s.from_hi = at_flow_key_make(&s.key, &ends);
    s.hash = at_flow_key_hash(&s.key, 0);
    return s;
}

static void put(struct table *t, const struct at_sight *s)
{
    if (t->packets < KEPT)
        t->kept[t->packets++] = *s;
    assert_int_equal(at_tracker_add(t->tracker, s, 1, NULL, 0), AT_OK);
}

static struct at_sight segment(int64_t ms, bool back, uint8_t flags,
                               uint32_t seq, const char *payload)
{
    struct at_sight s = sight(TCP, ms, back);
    const size_t n = strlen(payload);

    s.tcp_flags = flags;
    s.tcp_seq = seq;
    s.payload_bytes = (uint32_t)n;
    s.first_bytes = (uint8_t)(n < 4 ? n : 4);
    memcpy(s.first, payload, s.first_bytes);
    return s;
}

static void tcp(struct table *t, int64_t ms, bool back, uint8_t flags,
                uint32_t seq, const char *payload)
{
    const struct at_sight s = segment(ms, back, flags, seq, payload);

    put(t, &s);
}

static void udp(struct table *t, int64_t ms, bool back)
{
    const struct at_sight s = sight(UDP, ms, back);

    put(t, &s);
}

/* A part of datagram 'id' from A; the first has ports. */
static struct at_sight fragment(int64_t ms, uint32_t id, bool first)
{
    struct at_sight s = sight(UDP, ms, false);
    const struct at_ends ends = {
        .src = (const uint8_t[]){10, 0, 0, 1},
        .dst = (const uint8_t[]){10, 0, 0, 2},
        .net = AT_NET_IPV4,
        .proto = UDP,
    };

    s.flags = AT_DECODED_FRAGMENT |
              (first ? AT_DECODED_PORTS : AT_DECODED_LATER);
    s.link = id;
    if (!first) {
        s.from_hi = at_flow_key_make(&s.key, &ends);
        s.hash = at_flow_key_hash(&s.key, 0);
        s.sport = s.dport = 0;
    }
    return s;
}

/* ---- flows ----------------------------------------------------------- */

/* The rows, after the end of the trace; good until the next call, before which
 * more may be put. */
static const struct at_flow_row *finish(struct table *t, size_t *n)
{
    static struct at_flow_row row[ROWS];
    const size_t packets = t->packets;

    assert_int_equal(at_tracker_finish(t->tracker), AT_OK);
    *n = t->rows;
    memcpy(row, t->row, *n * sizeof(row[0]));
    again(t);
    for (size_t i = 0; i < packets; i++)
        put(t, &t->kept[i]);
    return row;
}

static const struct at_flow_row *only(struct table *t)
{
    size_t n;
    const struct at_flow_row *row = finish(t, &n);

    assert_int_equal(n, 1);
    return row;
}

static void handshake(struct table *t)
{
    tcp(t, 0, false, SYN, 1000, "");
    tcp(t, 20, true, SYN | ACK, 5000, "");
    tcp(t, 50, false, ACK, 1001, "");
}

/* ---- ends ------------------------------------------------------------ */

static void test_ends(void **state)
{
    struct table *t = *state;
    const struct at_flow_row *row;
    size_t n;

    handshake(t);
    assert_int_equal(only(t)->end, AT_FLOW_END_TRACE);
    again(t);
    handshake(t);
    tcp(t, 60, false, FIN | ACK, 1001, "");
    tcp(t, 70, true, FIN | ACK, 5001, "");
    assert_int_equal(only(t)->end, AT_FLOW_END_FIN);
    again(t);
    handshake(t);
    tcp(t, 60, true, RST, 5001, "");
    assert_int_equal(only(t)->end, AT_FLOW_END_RST);
    again(t);
    udp(t, 0, false);
    udp(t, 121 * SECONDS, false);
    row = finish(t, &n);
    assert_int_equal(n, 2);
    assert_int_equal(row[0].end, AT_FLOW_END_IDLE);
    assert_int_equal(row[1].end, AT_FLOW_END_TRACE);
}

/* A flow that nothing came of again is idle once the trace has gone on. */
static void test_idle_without_more(void **state)
{
    struct table *t = *state;
    const struct at_flow_row *row;
    struct at_sight s = sight(ICMP, 200 * SECONDS, false);
    size_t n;

    udp(t, 0, false);
    put(t, &s);
    row = finish(t, &n);
    assert_int_equal(n, 2);
    assert_int_equal(row[0].end, AT_FLOW_END_IDLE);
}

/* What goes on has the same source, whoever sends next. */
static void test_active(void **state)
{
    struct table *t = *state;
    const struct at_flow_row *row;
    size_t n;

    t->rules.timeouts.active_ns = INT64_C(10) * 1000000000;
    again(t);
    for (int i = 0; i <= 9; i++)
        udp(t, i * 3 * SECONDS, i == 4);
    row = finish(t, &n);
    assert_int_equal(n, 3); /* 0 to 9 s, 12 to 21, 24 and 27 */
    assert_int_equal(row[0].end, AT_FLOW_END_ACTIVE);
    assert_int_equal(row[0].packets[0], 4);
    assert_int_equal(row[1].sport, 40000);
    assert_int_equal(row[1].packets[1], 1);
    assert_int_equal(row[1].packets[0], 3);
    assert_int_equal(row[2].end, AT_FLOW_END_TRACE);
}

static void test_new_connection(void **state)
{
    struct table *t = *state;
    size_t n;

    handshake(t);
    tcp(t, 60, true, RST, 5001, "");
    tcp(t, 70, false, SYN, 90000, "");
    assert_int_equal(finish(t, &n)[0].end, AT_FLOW_END_RST);
    assert_int_equal(n, 2);
}

/* ---- direction ------------------------------------------------------- */

static void test_answer_first(void **state)
{
    struct table *t = *state;
    const struct at_flow_row *row;

    tcp(t, 0, true, SYN | ACK, 5000, "");
    tcp(t, 1, false, ACK, 1001, "");
    row = only(t);
    assert_int_equal(row->sport, 40000);
    assert_int_equal(row->dport, 80);
    assert_int_equal(row->packets[0], 1);
    assert_int_equal(row->packets[1], 1);
    assert_int_equal(row->src[3], 1);
    assert_int_equal(row->state, AT_FLOW_ESTABLISHED);
    assert_int_equal(row->rtt_us, -1);
}

static void test_midstream(void **state)
{
    struct table *t = *state;
    const struct at_flow_row *row;

    tcp(t, 0, true, ACK, 5000, "data");
    tcp(t, 1, false, ACK, 1001, "");
    row = only(t);
    assert_int_equal(row->sport, 80);
    assert_int_equal(row->state, AT_FLOW_MIDSTREAM);
    assert_memory_equal(row->first[0], "data", 4);
}

/* ---- TCP ------------------------------------------------------------- */

static void test_rtt(void **state)
{
    struct table *t = *state;

    handshake(t);
    assert_int_equal(only(t)->rtt_us, 50000);
    again(t);
    tcp(t, 0, false, SYN, 1000, "");
    tcp(t, 1000, false, SYN, 1000, ""); /* sent again: counted from there */
    tcp(t, 1020, true, SYN | ACK, 5000, "");
    tcp(t, 1030, false, ACK, 1001, "");
    tcp(t, 1090, false, ACK, 1001, "");
    assert_int_equal(only(t)->rtt_us, 30000);
    assert_int_equal(only(t)->retransmitted[0], 1);
    again(t);
    tcp(t, 0, false, SYN, 1000, "");
    tcp(t, 1, true, RST | ACK, 0, "");
    assert_int_equal(only(t)->rtt_us, -1);
}

static void test_retransmitted(void **state)
{
    struct table *t = *state;
    const struct at_flow_row *row;

    handshake(t);
    tcp(t, 60, false, ACK, 1001, "1234");
    tcp(t, 61, false, ACK, 1001, "1234");  /* again */
    tcp(t, 62, false, ACK, 1001, "12345"); /* with one byte more */
    tcp(t, 63, false, ACK, 1010, "abc");   /* a gap: 1006 to 1009 */
    tcp(t, 64, false, ACK, 1006, "6789");  /* is filled */
    tcp(t, 65, false, ACK, 1006, "6789");  /* again */
    tcp(t, 66, false, ACK, 1012, "");      /* a probe without data */
    tcp(t, 67, false, ACK, 1012, "c");     /* and one with a byte */
    tcp(t, 68, true, ACK, 5001, "x");
    row = only(t);
    assert_int_equal(row->retransmitted[0], 2);
    assert_int_equal(row->retransmitted[1], 0);
    assert_int_equal(row->payload[0], 4 + 4 + 5 + 3 + 4 + 4 + 1);
}

/* Sequence numbers begin again at 0. */
static void test_wrap(void **state)
{
    struct table *t = *state;

    tcp(t, 0, false, ACK, 0xfffffffe, "1234");
    tcp(t, 1, false, ACK, 2, "5678");
    tcp(t, 2, false, ACK, 0xfffffffe, "1234");
    assert_int_equal(only(t)->retransmitted[0], 1);
}

static void test_zero_windows(void **state)
{
    struct table *t = *state;
    struct at_sight s = segment(60, true, ACK, 5001, "");

    handshake(t);
    s.zero_window = true;
    put(t, &s);
    s.tcp_flags = RST; /* says nothing of a window */
    put(t, &s);
    assert_int_equal(only(t)->zero_windows[1], 1);
    assert_int_equal(only(t)->zero_windows[0], 0);
}

/* ---- the first payload ----------------------------------------------- */

static void test_first(void **state)
{
    struct table *t = *state;
    const struct at_flow_row *row;

    tcp(t, 0, false, SYN, 1000, "fast");
    tcp(t, 20, true, SYN | ACK, 5000, "");
    tcp(t, 60, false, ACK, 1006, "later"); /* out of order */
    tcp(t, 61, false, ACK, 1001, "GET /");
    tcp(t, 62, true, ACK, 5001, "ok");
    tcp(t, 63, true, ACK, 5003, "more");
    row = only(t);
    assert_memory_equal(row->first[0], "GET ", 4);
    assert_int_equal(row->first_len[0], 5);
    assert_memory_equal(row->first[1], "ok\0\0", 4);
    assert_int_equal(row->first_len[1], 2);
    assert_int_equal(row->captured[1], 2);
    assert_true(at_flow_row_has_first(row, 0));
    assert_true(at_flow_row_has_first(row, 1));
}

/* Cut by the capture: there, but not known. */
static void test_first_cut(void **state)
{
    struct table *t = *state;
    struct at_sight s = segment(60, false, ACK, 1001, "GET /");
    const struct at_flow_row *row;

    s.first_bytes = 1;
    memset(s.first + 1, 0, 3);
    put(t, &s);
    row = only(t);
    assert_int_equal(row->first_len[0], 5);
    assert_int_equal(row->captured[0], 1);
    assert_false(at_flow_row_has_first(row, 0));
    assert_int_equal(row->first_len[1], 0);
}

/* The place where the expected number is kept does not show. */
static void test_first_never_came(void **state)
{
    struct table *t = *state;
    const struct at_flow_row *row;

    handshake(t);
    tcp(t, 60, false, ACK, 1006, "later");
    row = only(t);
    assert_int_equal(row->first_len[0], 0);
    assert_memory_equal(row->first[0], "\0\0\0\0", 4);
    assert_int_equal(row->payload[0], 5);
}

/* ---- checksums ------------------------------------------------------- */

static void test_checksums(void **state)
{
    struct table *t = *state;
    struct at_sight s = sight(UDP, 0, false);

    put(t, &s);
    assert_int_equal(only(t)->checksums, AT_CHECKSUM_OK);
    s.checksum = AT_CHECKSUM_UNVERIFIABLE;
    put(t, &s);
    assert_int_equal(only(t)->checksums, AT_CHECKSUM_UNKNOWN);
    s.checksum = AT_CHECKSUM_BAD;
    put(t, &s);
    put(t, &s);
    assert_int_equal(only(t)->checksums, AT_CHECKSUM_BAD);
    assert_int_equal(only(t)->bad_checksums, 2);
}

/* ---- fragments ------------------------------------------------------- */

static void test_fragments(void **state)
{
    struct table *t = *state;
    struct at_sight s[] = {
        fragment(0, 7, true),       fragment(1, 7, false), fragment(2, 8, true),
        fragment(3, 7, false),      fragment(4, 9, false), /* no first */
        fragment(200000, 7, false),                        /* too late */
    };
    const struct at_flow_row *row;
    size_t n;

    for (size_t i = 0; i < sizeof(s) / sizeof(s[0]); i++)
        put(t, &s[i]);
    row = finish(t, &n);
    assert_int_equal(n, 3);
    assert_int_equal(row[0].packets[0], 4);
    assert_int_equal(row[0].dport, 80);
    assert_true(row[0].marks & AT_DECODED_LATER);
    assert_int_equal(row[1].packets[0], 1);
    assert_int_equal(row[1].dport, 0);
    assert_int_equal(at_tracker_lost_datagrams(t->tracker), 0);
}

/* The answer may have the same number; its fragments are others. */
static void test_fragments_both_ways(void **state)
{
    struct table *t = *state;
    struct at_sight first = fragment(0, 7, true), later = fragment(1, 7, false);
    size_t n;

    later.from_hi = !later.from_hi;
    put(t, &first);
    put(t, &later);
    finish(t, &n);
    assert_int_equal(n, 2);
}

/* More datagrams at a time than are kept: their number is known. */
static void test_many_fragments(void **state)
{
    struct table *t = *state;
    struct at_sight s = fragment(0, 0, true);
    enum { MANY = 200000 };

    for (s.link = 0; s.link < MANY; s.link++)
        put(t, &s);
    assert_true(at_tracker_lost_datagrams(t->tracker) > 0);
    assert_true(at_tracker_lost_datagrams(t->tracker) < MANY);
    again(t);
    for (s.link = 0; s.link < MANY; s.link++) { /* over a long time */
        s.ts_ns += INT64_C(100) * 1000000;
        put(t, &s);
    }
    assert_int_equal(at_tracker_lost_datagrams(t->tracker), 0);
}

/* ---- ICMP errors ----------------------------------------------------- */

static void test_errors(void **state)
{
    struct table *t = *state;
    struct at_sight s = sight(ICMP, 10, true);
    struct at_quote quote[2] = {{.hash = 0}};
    const struct at_besides besides = {.quote = quote};
    const struct at_sight request = sight(UDP, 0, false);
    const struct at_flow_row *row;
    size_t n;

    put(t, &request);
    quote[1].key = request.key;
    quote[1].hash = request.hash;
    quote[0].key = request.key;
    quote[0].key.lo_port ^= 1; /* of a flow that is not there */
    quote[0].hash = at_flow_key_hash(&quote[0].key, 0);
    s.link = 2;
    assert_int_equal(at_tracker_add(t->tracker, &s, 1, &besides, 3), AT_OK);
    s.link = 1;
    assert_int_equal(at_tracker_add(t->tracker, &s, 1, &besides, 3), AT_OK);
    s.link = 2;
    s.ts_ns = INT64_C(500) * 1000000000; /* the flow is over */
    assert_int_equal(at_tracker_add(t->tracker, &s, 1, &besides, 4), AT_OK);
    assert_int_equal(at_tracker_finish(t->tracker), AT_OK);
    row = t->row;
    n = t->rows;
    assert_int_equal(n, 3); /* ICMP is two, as its first is over by then */
    assert_int_equal(row[0].errors, 1);
    assert_int_equal(row[0].packets[0] + row[0].packets[1], 1);
    assert_int_equal(row[0].end_ns, 0);
}

/* The block of an error is among those of the flow. */
static void test_error_block(void **state)
{
    struct table *t = *state;
    struct at_sight error = sight(ICMP, 10, true);
    const struct at_sight request = sight(UDP, 20, false);
    struct at_quote quote = {.key = request.key, .hash = request.hash};
    const struct at_besides besides = {.quote = &quote};

    assert_int_equal(at_tracker_add(t->tracker, &error, 1, NULL, 1), AT_OK);
    assert_int_equal(at_tracker_add(t->tracker, &request, 1, NULL, 2), AT_OK);
    error.link = 1;
    assert_int_equal(at_tracker_add(t->tracker, &error, 1, &besides, 5), AT_OK);
    assert_int_equal(at_tracker_finish(t->tracker), AT_OK);
    assert_int_equal(t->blocks, 2);
    assert_int_equal(t->block[0], 2);
    assert_int_equal(t->block[1], 5);
}

/* ---- more flows than there may be ------------------------------------ */

/* One packet of flow number 'i'. */
static void put_numbered(struct table *t, uint32_t i, int64_t ms)
{
    struct at_sight s = sight(UDP, ms, false);

    s.key.lo_port = (uint16_t)i;
    s.key.vlan = (uint16_t)(i >> 16);
    s.hash = at_flow_key_hash(&s.key, 0);
    assert_int_equal(at_tracker_add(t->tracker, &s, 1, NULL, i), AT_OK);
}

static void test_forced(void **state)
{
    struct table *t = *state;
    uint64_t packets = 0;
    size_t forced = 0;
    enum { MOST = 100, MANY = 1000 };

    t->rules.most_flows = MOST;
    again(t);
    for (uint32_t i = 0; i < MANY; i++) {
        put_numbered(t, i, i);
        put_numbered(t, 0, i); /* never idle, so never forced */
    }
    assert_true(at_tracker_forced(t->tracker) > MANY - 2 * MOST);
    assert_int_equal(at_tracker_finish(t->tracker), AT_OK);
    assert_int_equal(t->rows, MANY);
    for (size_t i = 0; i < t->rows; i++) {
        packets += t->row[i].packets[0];
        forced += t->row[i].end == AT_FLOW_END_FORCED;
        assert_true(t->row[i].packets[0] == 1 ||
                    t->row[i].packets[0] == MANY + 1);
    }
    assert_int_equal(packets, 2 * MANY);
    assert_int_equal(forced, at_tracker_forced(t->tracker));
}

static void test_few_allowed(void **state)
{
    struct table *t = *state;

    for (uint64_t most = 1; most < 20; most++) {
        t->rules.most_flows = most;
        again(t);
        for (uint32_t i = 0; i < 50; i++)
            put_numbered(t, i, i / 10);
        assert_int_equal(at_tracker_finish(t->tracker), AT_OK);
        assert_int_equal(t->rows, 50);
    }
}

static enum at_status count_over(void *ctx, const struct at_flow *flow,
                                 const uint32_t *block, size_t blocks,
                                 uint32_t name)
{
    size_t *count = ctx;

    (void)name;
    assert_int_equal(flow->way[0].packets, 2);
    assert_int_equal(blocks, 2);
    assert_int_equal(block[1], block[0] + 1);
    count[flow->end]++;
    return AT_OK;
}

/* Many more flows than there is room for in the beginning, of which some are
 * over when the table is swept; each has two packets in two blocks. */
static void test_swept(void **state)
{
    struct table *t = *state;
    size_t count[AT_FLOW_ENDS] = {0};
    enum { MANY = 300000, AT_A_TIME = 100000 };

    t->rules.timeouts.udp_ns = INT64_C(1000) * 1000000;
    at_tracker_close(t->tracker);
    t->tracker = at_tracker_open(&t->rules, 0, count_over, count);
    for (uint32_t i = 0; i < MANY; i += AT_A_TIME)
        for (uint32_t k = 0; k < 2 * AT_A_TIME; k++) {
            struct at_sight s = sight(UDP, i / 20, false);
            const uint32_t flow = i + k % AT_A_TIME;

            s.key.lo_port = (uint16_t)flow;
            s.key.vlan = (uint16_t)(flow >> 16);
            s.hash = at_flow_key_hash(&s.key, 0);
            assert_int_equal(
                at_tracker_add(t->tracker, &s, 1, NULL, i + k / AT_A_TIME),
                AT_OK);
        }
    assert_int_equal(at_tracker_finish(t->tracker), AT_OK);
    assert_int_equal(count[AT_FLOW_END_IDLE], MANY - AT_A_TIME);
    assert_int_equal(count[AT_FLOW_END_TRACE], AT_A_TIME);
    assert_int_equal(at_tracker_forced(t->tracker), 0);
}

/* ---- timeouts as text ------------------------------------------------ */

static void test_timeouts(void **state)
{
    struct at_timeouts a = at_tracking_default.timeouts, b = {0};
    char text[AT_TIMEOUTS_TEXT];
    struct at_error err;

    (void)state;
    assert_int_equal(at_timeouts_parse(&a, "icmp=5s,active=30m", &err), AT_OK);
    assert_int_equal(a.icmp_ns, INT64_C(5) * 1000000000);
    assert_int_equal(a.active_ns, INT64_C(1800) * 1000000000);
    assert_int_equal(a.udp_ns, INT64_C(120) * 1000000000);
    at_timeouts_format(text, &a);
    assert_int_equal(at_timeouts_parse(&b, text, &err), AT_OK);
    assert_memory_equal(&a, &b, sizeof(a));
    assert_int_equal(at_timeouts_parse(&a, "9s", &err), AT_OK);
    assert_int_equal(a.other_ns, INT64_C(9) * 1000000000);
    assert_int_equal(a.active_ns, INT64_C(1800) * 1000000000);
    assert_int_equal(at_timeouts_parse(&a, "sctp=1s", &err), AT_ERR_SYNTAX);
}

/* ---- parts ----------------------------------------------------------- */

static void test_join(void **state)
{
    struct table *t = *state;
    struct at_flow_row a, b;

    handshake(t);
    a = *only(t);
    again(t);
    tcp(t, 100, true, ACK, 5001, "hello"); /* its part begins with B */
    tcp(t, 110, false, ACK, 1001, "GET /");
    b = *only(t);
    at_flow_row_join(&a, &b, true);
    assert_int_equal(a.packets[0], 3);
    assert_int_equal(a.packets[1], 2);
    assert_memory_equal(a.first[0], "GET ", 4);
    assert_memory_equal(a.first[1], "hell", 4);
    assert_int_equal(a.rtt_us, 50000);
    assert_int_equal(a.end_ns, 110 * 1000000);
    assert_int_equal(a.state, AT_FLOW_ESTABLISHED);
    assert_int_equal(a.checksums, AT_CHECKSUM_OK);
}

/* ---- numbers --------------------------------------------------------- */

static uint32_t number_of_latest(const struct table *t)
{
    return at_tracker_latest(t->tracker)->last_block;
}

static void test_numbered(void **state)
{
    struct table *t = *state;

    t->rules.numbered = true;
    again(t);
    udp(t, 0, false);
    assert_int_equal(number_of_latest(t), 0);
    tcp(t, 10, false, SYN, 1000, "");
    assert_int_equal(number_of_latest(t), 1);
    udp(t, 20, true);
    assert_int_equal(number_of_latest(t), 0);
    udp(t, 200 * SECONDS, false); /* the first is over */
    assert_int_equal(number_of_latest(t), 2);
    assert_int_equal(at_tracker_finish(t->tracker), AT_OK);
    assert_int_equal(t->rows, 3);
    assert_int_equal(t->blocks, 1);
    assert_int_equal(t->block[0], 2);
}

/* Flows that leave the table take no number with them. */
static void test_numbered_swept(void **state)
{
    enum { MOST = 1000, FLOWS = 3 * MOST };
    struct table *t = *state;

    t->rules.numbered = true;
    t->rules.most_flows = MOST;
    again(t);
    for (uint32_t i = 0; i < FLOWS; i++) {
        struct at_sight s = sight(UDP, i, false);

        s.key.vlan = (uint16_t)i;
        s.hash = at_flow_key_hash(&s.key, 0);
        assert_int_equal(at_tracker_add(t->tracker, &s, 1, NULL, 0), AT_OK);
        assert_int_equal(number_of_latest(t), i);
    }
    assert_int_equal(at_tracker_finish(t->tracker), AT_OK);
    assert_int_equal(t->rows, FLOWS);
    assert_int_equal(t->blocks, 1);
    assert_int_equal(t->block[0], FLOWS - 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_ends),
        TEST(test_idle_without_more),
        TEST(test_active),
        TEST(test_new_connection),
        TEST(test_answer_first),
        TEST(test_midstream),
        TEST(test_rtt),
        TEST(test_retransmitted),
        TEST(test_wrap),
        TEST(test_zero_windows),
        TEST(test_first),
        TEST(test_first_cut),
        TEST(test_first_never_came),
        TEST(test_checksums),
        TEST(test_fragments),
        TEST(test_fragments_both_ways),
        TEST(test_many_fragments),
        TEST(test_errors),
        TEST(test_error_block),
        TEST(test_forced),
        TEST(test_few_allowed),
        TEST(test_swept),
        TEST(test_timeouts),
        TEST(test_join),
        TEST(test_numbered),
        TEST(test_numbered_swept),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
