/*
 * legacy_test.c - records of formats without a mark: TSH, DAG before ERF
 */
#include "common_records.h"

#include <stdlib.h>
#include <string.h>

static struct at_layout choose(enum at_format format, const struct bytes *b)
{
    struct at_layout layout;
    const char *what;

    assert_int_equal(at_layout_choose(&layout, format, b->p, b->n, true, &what),
                     AT_OK);
    assert_int_equal(layout.format, format);
    return layout;
}

/* Interface 3, 123456 microseconds past SECONDS. */
static struct bytes tsh_record(uint16_t ip_bytes)
{
    struct bytes b = {.n = 0};

    add_be32(&b, SECONDS);
    add_be32(&b, 3 << 24 | 123456);
    add(&b, "\x45\0", 2);
    add_be16(&b, ip_bytes);
    add_zeros(&b, 32);
    return b;
}

static void tsh_packet(void **state)
{
    static const struct {
        uint16_t ip_bytes, cap_bytes;
    } kind[] = {{1500, 36}, {36, 36}, {35, 35}, {28, 28}, {20, 20}, {0, 36}};

    (void)state;
    for (size_t i = 0; i < sizeof(kind) / sizeof(kind[0]); i++) {
        struct bytes b = tsh_record(kind[i].ip_bytes);
        const struct at_layout layout = choose(AT_FORMAT_TSH, &b);
        const struct at_packet pkt = parse_one(&layout, b.p, b.n);

        assert_int_equal(at_ts_to_ns(pkt.ts),
                         SECONDS * INT64_C(1000000000) + 123456000);
        assert_int_equal(pkt.interface, 3);
        assert_int_equal(pkt.direction, AT_DIRECTION_UNKNOWN);
        assert_int_equal(pkt.linktype, AT_LINK_RAW);
        assert_int_equal(pkt.wire_bytes, kind[i].ip_bytes);
        assert_int_equal(pkt.cap_bytes, kind[i].cap_bytes);
        assert_ptr_equal(pkt.data, b.p + 8);
        drop(&b);
    }
}

/* Records of one length are counted, not walked: at every cut of three. */
static void records_of_one_length(void **state)
{
    struct bytes b = {.n = 0};
    struct at_layout layout;

    (void)state;
    for (int i = 0; i < 3; i++) {
        struct bytes one = tsh_record(1500);

        add(&b, one.p, one.n);
        drop(&one);
    }
    layout = choose(AT_FORMAT_TSH, &b);
    for (size_t n = 0; n <= b.n; n++)
        for (size_t stop = 0; stop <= n; stop++) {
            const struct at_frame f = at_frame(&layout, b.p, b.p + stop,
                                               b.p + n);
            const size_t begun = (stop + 43) / 44;
            const size_t want = begun < n / 44 ? begun : n / 44;

            assert_int_equal(f.records, want);
            assert_ptr_equal(f.at, b.p + 44 * want);
            assert_int_equal(f.need, 44);
            assert_false(f.bad);
        }
    drop(&b);
}

static void tsh_is_refused(void **state)
{
    struct bytes b = tsh_record(1500);
    struct at_layout layout;
    const char *what;

    (void)state;
    b.p[8] = 0x65;
    assert_int_equal(
        at_layout_choose(&layout, AT_FORMAT_TSH, b.p, b.n, true, &what),
        AT_ERR_FORMAT);
    b.p[8] = 0x45;
    memcpy(b.p + 5, "\x0f\x42\x40", 3); /* a million microseconds */
    assert_int_equal(
        at_layout_choose(&layout, AT_FORMAT_TSH, b.p, b.n, true, &what),
        AT_ERR_FORMAT);
    drop(&b);
}

/* 64 bytes: the time, then 'head', then bytes 1, 2, 3... */
static struct bytes dag_record(const void *head, size_t n)
{
    struct bytes b = {.n = 0};

    add_le32(&b, 0x80000000);
    add_le32(&b, SECONDS);
    add(&b, head, n);
    for (uint8_t i = 1; b.n < 64; i++)
        add(&b, &i, 1);
    return b;
}

static void dag_before_erf(void **state)
{
    static const struct {
        enum at_format format;
        const char *head;
        size_t head_bytes;
        uint16_t linktype;
        uint32_t cap_bytes, wire_bytes;
    } kind[] = {
        {AT_FORMAT_LEGACY_ATM, "\1\2\3\4", 4, AT_LINK_ERF, 52, 53},
        {AT_FORMAT_LEGACY_POS, "\0\0\0\x40\0\0\5\xdc", 8, AT_LINK_C_HDLC, 48,
         1500},
        {AT_FORMAT_LEGACY_POS, "\0\0\0\x40\0\0\0\x2e", 8, AT_LINK_C_HDLC, 46,
         46},
        {AT_FORMAT_LEGACY_ETH, "\x99\2", 2, AT_LINK_ETHERNET, 54, 665},
        {AT_FORMAT_LEGACY_ETH, "\x10\0", 2, AT_LINK_ETHERNET, 16, 16},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(kind) / sizeof(kind[0]); i++) {
        struct bytes b = dag_record(kind[i].head, kind[i].head_bytes);
        const struct at_layout layout = choose(kind[i].format, &b);
        const struct at_packet pkt = parse_one(&layout, b.p, b.n);

        assert_int_equal(pkt.ts, (uint64_t)SECONDS << 32 | 0x80000000);
        assert_int_equal(pkt.linktype, kind[i].linktype);
        assert_int_equal(pkt.cap_bytes, kind[i].cap_bytes);
        assert_int_equal(pkt.wire_bytes, kind[i].wire_bytes);
        assert_int_equal(pkt.data[0], 1);
        assert_int_equal(pkt.format, kind[i].format);
        drop(&b);
    }
}

static void dag_ppp(void **state)
{
    struct bytes b = dag_record("\0\0\0\x40\0\0\5\xdc\xff\3\0\x21", 12);
    const struct at_layout layout = choose(AT_FORMAT_LEGACY_POS, &b);

    (void)state;
    assert_int_equal(parse_one(&layout, b.p, b.n).linktype, AT_LINK_PPP_HDLC);
    drop(&b);
}

/* A cell fits ERF type 3 to the byte. */
static void dag_cell_as_erf(void **state)
{
    struct bytes b = dag_record("\1\2\3\4", 4);
    const struct at_layout layout = choose(AT_FORMAT_LEGACY_ATM, &b);
    const struct at_packet pkt = parse_one(&layout, b.p, b.n);
    struct at_packet back;
    uint8_t out[128];
    const size_t n = at_erf_build(out, &pkt, pkt.cap_bytes);

    (void)state;
    back = parse_one(&erf_layout, out, n);
    assert_int_equal(back.erf_type, 3);
    assert_int_equal(back.ts, pkt.ts);
    assert_int_equal(back.wire_bytes, 53);
    assert_int_equal(back.cap_bytes, 52);
    assert_memory_equal(back.data, b.p + 12, 52);
    drop(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tsh_packet),
        cmocka_unit_test(records_of_one_length),
        cmocka_unit_test(tsh_is_refused),
        cmocka_unit_test(dag_before_erf),
        cmocka_unit_test(dag_ppp),
        cmocka_unit_test(dag_cell_as_erf),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
