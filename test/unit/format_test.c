/*
 * format_test.c - records of pcap taken apart and made, from bytes by hand
 */
#include "common_records.h"

#include <stdlib.h>
#include <string.h>

#include "bytes.h"

/* ---- pcap ------------------------------------------------------------ */

/* A pcap in the byte order of 'be' with one record. */
static struct bytes pcap_file(bool be, uint32_t magic, uint16_t minor,
                              uint32_t linktype, uint32_t frac, uint32_t len1,
                              uint32_t len2, size_t extra, size_t frame)
{
    void (*const put16)(struct bytes *, uint16_t) = be ? add_be16 : add_le16;
    void (*const put32)(struct bytes *, uint32_t) = be ? add_be32 : add_le32;
    struct bytes b = {.n = 0};

    put32(&b, magic);
    put16(&b, 2);
    put16(&b, minor);
    add_zeros(&b, 8);
    put32(&b, 65535);
    put32(&b, linktype);
    put32(&b, SECONDS);
    put32(&b, frac);
    put32(&b, len1);
    put32(&b, len2);
    add_zeros(&b, extra);
    for (size_t i = 1; i <= frame; i++)
        add(&b, &(uint8_t){(uint8_t)i}, 1);
    return b;
}

static void pcap_byte_orders_and_fractions(void **state)
{
    static const struct {
        bool be;
        uint32_t magic;
        enum at_format format;
        int64_t ns;
        size_t extra;
    } kind[] = {
        {false, 0xa1b2c3d4, AT_FORMAT_PCAP_US, 123456000, 0},
        {true, 0xa1b2c3d4, AT_FORMAT_PCAP_US, 123456000, 0},
        {false, 0xa1b23c4d, AT_FORMAT_PCAP, 123456, 0},
        {true, 0xa1b23c4d, AT_FORMAT_PCAP, 123456, 0},
        {false, 0xa1b2cd34, AT_FORMAT_PCAP_US, 123456000, 8},
        {true, 0xa1b2cd34, AT_FORMAT_PCAP_US, 123456000, 8},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(kind) / sizeof(kind[0]); i++) {
        struct bytes b = pcap_file(kind[i].be, kind[i].magic, 4, 113, 123456,
                                   40, 1500, kind[i].extra, 40);
        const struct at_layout layout = detect_as(kind[i].format, b.p, b.n);
        const struct at_packet pkt = parse_one(&layout, b.p + 24, b.n - 24);

        assert_int_equal(layout.snap_bytes, 65535);
        assert_int_equal(pkt.linktype, 113);
        assert_int_equal(pkt.cap_bytes, 40);
        assert_int_equal(pkt.wire_bytes, 1500);
        assert_int_equal(pkt.data[0], 1);
        assert_int_equal(pkt.data[39], 40);
        assert_int_equal(at_ts_to_ns(pkt.ts),
                         SECONDS * 1000000000LL + kind[i].ns);
        drop(&b);
    }
}

/* Before 2.3 the lengths stood the other way; 2.3 was written both ways. */
static void pcap_old_lengths(void **state)
{
    static const struct {
        uint16_t minor;
        uint32_t first, second;
    } kind[] = {{2, 1500, 40}, {3, 1500, 40}, {3, 40, 1500}, {4, 40, 1500}};

    (void)state;
    for (size_t i = 0; i < sizeof(kind) / sizeof(kind[0]); i++) {
        struct bytes b = pcap_file(true, 0xa1b2c3d4, kind[i].minor, 1, 0,
                                   kind[i].first, kind[i].second, 0, 40);
        const struct at_layout layout = detect_as(AT_FORMAT_PCAP_US, b.p, b.n);
        const struct at_packet pkt = parse_one(&layout, b.p + 24, b.n - 24);

        assert_int_equal(pkt.cap_bytes, 40);
        assert_int_equal(pkt.wire_bytes, 1500);
        drop(&b);
    }
}

/* Bits above 16 of the link type are the length of the FCS and a class. */
static void pcap_high_bits_of_linktype(void **state)
{
    struct bytes b = pcap_file(false, 0xa1b2c3d4, 4, 0x14000001, 0, 40, 40, 0,
                               40);

    (void)state;
    assert_int_equal(detect_as(AT_FORMAT_PCAP_US, b.p, b.n).linktype, 1);
    drop(&b);
}

static void pcap_fraction_of_seconds(void **state)
{
    struct bytes b = pcap_file(false, 0xa1b2c3d4, 4, 1, 2500000, 40, 40, 0, 40);
    const struct at_layout layout = detect_as(AT_FORMAT_PCAP_US, b.p, b.n);

    (void)state;
    assert_int_equal(at_ts_to_ns(parse_one(&layout, b.p + 24, b.n - 24).ts),
                     (SECONDS + 2) * 1000000000LL + 500000000);
    drop(&b);
}

/* What the file's header says of the snapshot length is believed as far as
 * it is larger than what all files have, and could be true. */
static void pcap_snapshot_lengths(void **state)
{
    static const struct {
        uint32_t snap, most;
    } kind[] = {{0, 262144},
                {68, 262144},
                {65535, 262144},
                {262144, 262144},
                {262145, 262145},
                {1 << 20, 1 << 20},
                {128 << 20, 128 << 20},
                {0x8000001, 262144},
                {0xffffffff, 262144}};

    (void)state;
    for (size_t i = 0; i < sizeof(kind) / sizeof(kind[0]); i++)
        for (uint32_t over = 0; over < 2; over++) {
            struct bytes b = pcap_file(false, 0xa1b2c3d4, 4, 1, 0,
                                       kind[i].most + over, 40, 0, 40);
            struct at_layout layout;
            struct at_frame f;

            for (int j = 0; j < 4; j++)
                b.p[16 + j] = (uint8_t)(kind[i].snap >> 8 * j);
            layout = detect_as(AT_FORMAT_PCAP_US, b.p, b.n);
            f = at_frame(&layout, b.p + 24, b.p + b.n, b.p + b.n);
            assert_int_equal(layout.snap_bytes, kind[i].snap);
            assert_int_equal(f.bad, over);
            assert_int_equal(f.need, over ? 0 : 16 + (size_t)kind[i].most);
            drop(&b);
        }
}

/* Version 543.0 was written by who mixed up the bytes of 2.2. */
static void pcap_versions(void **state)
{
    static const struct {
        uint16_t major, minor;
        enum at_status st;
    } kind[] = {{2, 0, AT_OK},           {2, 4, AT_OK},
                {2, 5, AT_OK},           {543, 0, AT_OK},
                {543, 1, AT_ERR_FORMAT}, {1, 4, AT_ERR_FORMAT},
                {3, 0, AT_ERR_FORMAT}};

    (void)state;
    for (size_t i = 0; i < sizeof(kind) / sizeof(kind[0]); i++) {
        struct bytes b = pcap_file(false, 0xa1b2c3d4, kind[i].minor, 1, 0, 40,
                                   40, 0, 40);
        struct at_layout layout;
        const char *what;

        b.p[4] = (uint8_t)kind[i].major;
        b.p[5] = (uint8_t)(kind[i].major >> 8);
        assert_int_equal(at_layout_detect(&layout, b.p, b.n, true, &what),
                         kind[i].st);
        drop(&b);
    }
}

/* Some writers capture more than there was; both lengths are carried. */
static void pcap_captured_more_than_there_was(void **state)
{
    struct bytes b = pcap_file(true, 0xa1b23c4d, 4, 1, 0, 40, 20, 0, 40);
    const struct at_layout layout = detect_as(AT_FORMAT_PCAP, b.p, b.n);
    const struct at_packet pkt = parse_one(&layout, b.p + 24, b.n - 24);
    uint8_t out[64];

    (void)state;
    assert_int_equal(pkt.cap_bytes, 40);
    assert_int_equal(pkt.wire_bytes, 20);
    assert_int_equal(at_pcap_build(out, &pkt, 40, false), 56);
    assert_memory_equal(out + 8, "\x28\0\0\0\x14\0\0\0", 8);
    drop(&b);
}

static void pcap_length_of_nonsense_is_damage(void **state)
{
    static const uint32_t length[] = {262145, 0x7fffffff, 0xffffffff,
                                      0xfffffff0};

    (void)state;
    for (size_t i = 0; i < sizeof(length) / sizeof(length[0]); i++) {
        struct bytes b = pcap_file(false, 0xa1b2c3d4, 4, 1, 0, length[i], 40, 0,
                                   40);
        const struct at_layout layout = detect_as(AT_FORMAT_PCAP_US, b.p, b.n);
        const struct at_frame f = at_frame(&layout, b.p + 24, b.p + b.n,
                                           b.p + b.n);

        assert_true(f.bad);
        assert_int_equal(f.records, 0);
        drop(&b);
    }
}

static void pcap_cut(void **state)
{
    struct bytes b = pcap_file(false, 0xa1b2cd34, 4, 1, 0, 40, 40, 8, 40);
    const struct at_layout layout = detect_as(AT_FORMAT_PCAP_US, b.p, b.n);
    struct at_layout other;
    const char *what;

    (void)state;
    for (size_t n = 4; n < 24; n++)
        assert_int_equal(at_layout_detect(&other, b.p, n, true, &what),
                         AT_ERR_TRUNCATED);
    for (size_t n = 0; n < b.n - 24; n++) {
        uint8_t *p = tight_copy(b.p + 24, n);
        const struct at_frame f = at_frame(&layout, p, p + n, p + n);

        assert_false(f.bad);
        assert_int_equal(f.records, 0);
        assert_int_equal(f.need, n < 24 ? 0 : 64);
        free(p);
    }
    drop(&b);
}

/* ---- the other way --------------------------------------------------- */

static void pcap_built_reads_back(void **state)
{
    uint8_t data[64] = {1, 2, 3}, out[128];

    (void)state;
    for (int micro = 0; micro < 2; micro++) {
        struct at_packet pkt = frame_of(101, data, 64), back;
        struct at_layout layout;

        at_pcap_header(out, 101, (struct at_fcs){.known = false}, 0, micro);
        layout = detect_as(micro ? AT_FORMAT_PCAP_US : AT_FORMAT_PCAP, out, 24);
        assert_int_equal(at_pcap_build(out, &pkt, 60, micro), 76);
        back = parse_one(&layout, out, 76);
        assert_int_equal(back.cap_bytes, 60);
        assert_int_equal(back.wire_bytes, 64);
        assert_int_equal(at_ts_to_ns(back.ts),
                         micro ? 1700000000123456000 : 1700000000123456789);
    }
}

/* The upper bits of the link type, in either byte order. */
static void pcap_length_of_the_fcs(void **state)
{
    static const struct {
        uint32_t word;
        bool known;
        uint8_t bits;
    } words[] = {
        {1, false, 0},           {0x04000001, true, 0},
        {0x14000001, true, 16},  {0x24000001, true, 32},
        {0xf4000001, true, 240}, {0x20000001, false, 0}, /* not said */
        {0x2c000001, false, 0}, /* with bits that have no meaning */
        {0x24010001, false, 0},
    };
    uint8_t out[AT_PCAP_HEADER];
    struct at_layout layout;

    (void)state;
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        const struct at_fcs fcs = {words[i].known, words[i].bits};

        at_pcap_header(out, 1, fcs, 0, true);
        if (words[i].known)
            assert_int_equal(at_load_le32(out + 20), words[i].word);
        at_store_le32(out + 20, words[i].word);
        layout = detect_as(AT_FORMAT_PCAP_US, out, sizeof(out));
        assert_int_equal(layout.linktype, 1);
        assert_int_equal(layout.fcs.known, words[i].known);
        assert_int_equal(layout.fcs.bits, words[i].bits);
        for (size_t at = 0; at < sizeof(out); at += 4)
            at_store_le32(out + at, at_load_be32(out + at));
        memcpy(out + 4, "\0\2\0\4", 4);
        layout = detect_as(AT_FORMAT_PCAP_US, out, sizeof(out));
        assert_int_equal(layout.fcs.known, words[i].known);
        assert_int_equal(layout.fcs.bits, words[i].bits);
    }
    /* what is no multiple of 16 bits has no place */
    assert_false(at_pcap_holds_fcs((struct at_fcs){true, 24}));
    at_pcap_header(out, 1, (struct at_fcs){true, 24}, 0, true);
    assert_int_equal(at_load_le32(out + 20), 1);
}

/* 32.32 rounds up to one second more than pcap has. */
static void pcap_at_the_end_of_time(void **state)
{
    uint8_t out[32] = {0};
    struct at_packet pkt = frame_of(1, out, 0);

    (void)state;
    pkt.ts = UINT64_MAX;
    at_pcap_build(out, &pkt, 0, false);
    assert_memory_equal(out, "\xff\xff\xff\xff\xff\xc9\x9a\x3b", 8);
}

static void names(void **state)
{
    (void)state;
    for (int f = AT_FORMAT_ERF; f <= AT_FORMAT_LEGACY_ETH; f++)
        assert_int_equal(at_format_parse(at_format_name(f)), f);
    assert_true(at_format_writable(AT_FORMAT_PCAP_US));
    assert_false(at_format_writable(AT_FORMAT_TSH));
    assert_false(at_format_writable(AT_FORMAT_UNKNOWN));
    for (int c = AT_CODEC_NONE; c <= AT_CODEC_LZ4; c++)
        assert_int_equal(at_codec_parse(at_codec_name(c)), c);
    assert_int_equal(at_format_parse("unknown"), AT_FORMAT_UNKNOWN);
    assert_int_equal(at_codec_parse("zip"), AT_CODEC_UNKNOWN);
    assert_int_equal(at_format_by_name("a.erf"), AT_FORMAT_ERF);
    assert_int_equal(at_format_by_name("a.erf.gz"), AT_FORMAT_ERF);
    assert_int_equal(at_format_by_name("erf"), AT_FORMAT_PCAP);
    assert_int_equal(at_format_by_name("a.pcap.gz"), AT_FORMAT_PCAP);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pcap_byte_orders_and_fractions),
        cmocka_unit_test(pcap_old_lengths),
        cmocka_unit_test(pcap_high_bits_of_linktype),
        cmocka_unit_test(pcap_fraction_of_seconds),
        cmocka_unit_test(pcap_snapshot_lengths),
        cmocka_unit_test(pcap_versions),
        cmocka_unit_test(pcap_captured_more_than_there_was),
        cmocka_unit_test(pcap_length_of_nonsense_is_damage),
        cmocka_unit_test(pcap_cut),
        cmocka_unit_test(pcap_built_reads_back),
        cmocka_unit_test(pcap_length_of_the_fcs),
        cmocka_unit_test(pcap_at_the_end_of_time),
        cmocka_unit_test(names),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
