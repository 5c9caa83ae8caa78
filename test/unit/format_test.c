/*
 * format_test.c - records of ERF and pcap taken apart, from bytes by hand
 */
#include "common.h"

#include <stdlib.h>
#include <string.h>

#include "format.h"

/* ---- helpers --------------------------------------------------------- */

/* The only record of 'b', which begins after 'header' bytes. */
static struct at_packet parse_one(const struct at_layout *layout,
                                  const uint8_t *p, size_t n)
{
    const struct at_frame f = at_frame(layout, p, p + n, p + n);
    struct at_packet pkt;

    assert_false(f.bad);
    assert_int_equal(f.records, 1);
    assert_ptr_equal(f.at, p + n);
    at_record_parse(layout, p, &pkt);
    assert_ptr_equal(pkt.record, p);
    assert_int_equal(pkt.record_bytes, n);
    return pkt;
}

static struct at_layout detect_as(enum at_format format, const uint8_t *p,
                                  size_t n)
{
    struct at_layout layout;
    const char *what;

    assert_int_equal(at_layout_detect(&layout, p, n, true, &what), AT_OK);
    assert_int_equal(layout.format, format);
    return layout;
}

static const struct at_layout erf_layout = {.format = AT_FORMAT_ERF};

enum { SECONDS = 0x65432100 };

/*
 * An ERF record of 'type': 'extensions' extension headers, then 'rest' bytes
 * 1, 2, 3...; half past SECONDS; lctr or colour is 'field'.
 */
static struct bytes erf_record(uint8_t type, uint8_t flags, uint16_t field,
                               uint16_t wire, unsigned extensions, size_t rest)
{
    struct bytes b = {.n = 0};

    add_le32(&b, 0x80000000);
    add_le32(&b, SECONDS);
    add(&b, (uint8_t[]){(uint8_t)(type | (extensions > 0 ? 0x80 : 0)), flags},
        2);
    add_be16(&b, (uint16_t)(16 + 8 * extensions + rest));
    add_be16(&b, field);
    add_be16(&b, wire);
    while (extensions-- > 0)
        add(&b, (uint8_t[]){extensions > 0 ? 0x83 : 0x03, 0, 0, 0, 0, 0, 0, 0},
            8);
    for (size_t i = 1; i <= rest; i++)
        add(&b, &(uint8_t){(uint8_t)i}, 1);
    return b;
}

static struct at_packet parse_erf(const struct bytes *b)
{
    return parse_one(&erf_layout, b->p, b->n);
}

/* ---- ERF ------------------------------------------------------------- */

static void erf_ethernet(void **state)
{
    struct bytes b = erf_record(2, 0x04 | 2, 7, 64, 0, 2 + 60);
    const struct at_packet pkt = parse_erf(&b);

    (void)state;
    assert_int_equal(pkt.ts, (uint64_t)SECONDS << 32 | 0x80000000);
    assert_int_equal(at_ts_to_ns(pkt.ts), SECONDS * 1000000000LL + 500000000);
    assert_int_equal(pkt.kind, AT_KIND_PACKET);
    assert_int_equal(pkt.linktype, AT_LINK_ETHERNET);
    assert_int_equal(pkt.format, AT_FORMAT_ERF);
    assert_int_equal(pkt.erf_type, 2);
    assert_int_equal(pkt.interface, 2);
    assert_int_equal(pkt.lost, 7);
    assert_int_equal(pkt.wire_bytes, 64);
    assert_int_equal(pkt.cap_bytes, 60);
    assert_ptr_equal(pkt.data, b.p + 18);
    drop(&b);
}

static void erf_padding_is_no_frame(void **state)
{
    struct bytes b = erf_record(2, 4, 0, 60, 0, 2 + 60 + 2);
    const struct at_packet pkt = parse_erf(&b);

    (void)state;
    assert_int_equal(pkt.cap_bytes, 60);
    assert_int_equal(pkt.record_bytes, 80);
    drop(&b);
}

static void erf_link_types(void **state)
{
    static const struct {
        uint8_t type;
        uint16_t linktype;
        uint8_t framing;
    } known[] = {
        {1, AT_LINK_C_HDLC, 0},    {2, AT_LINK_ETHERNET, 2},
        {3, AT_LINK_ERF, 0},       {10, AT_LINK_C_HDLC, 0},
        {11, AT_LINK_ETHERNET, 2}, {15, AT_LINK_C_HDLC, 0},
        {16, AT_LINK_ETHERNET, 2}, {19, AT_LINK_C_HDLC, 0},
        {20, AT_LINK_ETHERNET, 2}, {21, AT_LINK_ERF, 0},
        {22, AT_LINK_IPV4, 0},     {23, AT_LINK_IPV6, 0},
        {60, AT_LINK_ERF, 0},      {127, AT_LINK_ERF, 0},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
        struct bytes b = erf_record(known[i].type, 4, 0, 100, 0, 50);
        const struct at_packet pkt = parse_erf(&b);

        assert_int_equal(pkt.linktype, known[i].linktype);
        assert_int_equal(pkt.kind, AT_KIND_PACKET);
        assert_int_equal(pkt.erf_type, known[i].type);
        assert_int_equal(pkt.cap_bytes, 50 - known[i].framing);
        drop(&b);
    }
}

static void erf_ppp_begins_with_ff(void **state)
{
    struct bytes b = erf_record(1, 4, 0, 50, 0, 50);

    (void)state;
    b.p[16] = 0xff;
    assert_int_equal(parse_erf(&b).linktype, AT_LINK_PPP_HDLC);
    drop(&b);
}

static void erf_extension_headers(void **state)
{
    (void)state;
    for (unsigned n = 1; n < 20; n++) {
        struct bytes b = erf_record(2, 4, 0, 60, n, 2 + 60);
        const struct at_packet pkt = parse_erf(&b);

        assert_int_equal(pkt.erf_type, 2);
        assert_int_equal(pkt.cap_bytes, 60);
        assert_ptr_equal(pkt.data, b.p + 16 + 8 * n + 2);
        drop(&b);
    }
}

/* The chain of extension headers runs out of the record. */
static void erf_chain_crosses_rlen(void **state)
{
    (void)state;
    for (unsigned cut = 0; cut < 8 * 3 + 2; cut++) {
        struct bytes b = erf_record(2, 4, 0, 60, 3, 0);
        struct at_packet pkt;
        uint8_t *tight;

        b.p[10] = 0;
        b.p[11] = (uint8_t)(16 + cut < 16 + 24 ? 16 + cut : 16 + 24);
        if (cut >= 24)
            b.p[32] |= 0x80; /* the last one says that another follows */
        tight = tight_copy(b.p, b.p[11]);
        pkt = parse_one(&erf_layout, tight, b.p[11]);
        assert_int_equal(pkt.cap_bytes, 0);
        assert_ptr_equal(pkt.data, tight + b.p[11]);
        free(tight);
        drop(&b);
    }
}

static void erf_ethernet_without_its_offset(void **state)
{
    (void)state;
    for (size_t rest = 0; rest <= 2; rest++) {
        struct bytes b = erf_record(2, 4, 0, 60, 0, rest);

        assert_int_equal(parse_erf(&b).cap_bytes, 0);
        drop(&b);
    }
}

static void erf_short_rlen_is_damage(void **state)
{
    (void)state;
    for (uint16_t rlen = 0; rlen < 16; rlen++) {
        struct bytes b = erf_record(2, 4, 0, 60, 0, 62);
        struct at_frame f;

        b.p[10] = 0;
        b.p[11] = (uint8_t)rlen;
        f = at_frame(&erf_layout, b.p, b.p + b.n, b.p + b.n);
        assert_true(f.bad);
        assert_int_equal(f.records, 0);
        assert_ptr_equal(f.at, b.p);
        drop(&b);
    }
}

static void erf_colour_is_no_loss_counter(void **state)
{
    static const uint8_t colour[] = {10, 11, 15, 16, 17, 19, 20};

    (void)state;
    for (size_t i = 0; i < sizeof(colour); i++) {
        struct bytes b = erf_record(colour[i], 4, 500, 60, 0, 62);
        const struct at_packet pkt = parse_erf(&b);

        assert_int_equal(pkt.lost, 0);
        assert_true(at_erf_says_more(&pkt));
        drop(&b);
    }
}

static void erf_says_more(void **state)
{
    static const struct {
        uint8_t flags;
        unsigned extensions;
        bool more;
    } kind[] = {{0x04, 0, false}, {0x07, 0, false}, {0x0c, 0, true},
                {0x14, 0, true},  {0x24, 0, true},  {0x04, 1, true}};

    (void)state;
    for (size_t i = 0; i < sizeof(kind) / sizeof(kind[0]); i++) {
        struct bytes b = erf_record(2, kind[i].flags, 9, 60, kind[i].extensions,
                                    62);
        const struct at_packet pkt = parse_erf(&b);

        assert_int_equal(at_erf_says_more(&pkt), kind[i].more);
        drop(&b);
    }
}

static void erf_meta_and_pad_are_no_packets(void **state)
{
    struct bytes meta = erf_record(27, 4, 0, 40, 1, 24);
    struct bytes pad = erf_record(48, 4, 9, 0, 0, 0);
    struct at_packet pkt = parse_erf(&meta);

    (void)state;
    assert_int_equal(pkt.kind, AT_KIND_META);
    assert_int_equal(pkt.record_bytes, 48);
    pkt = parse_erf(&pad);
    assert_int_equal(pkt.kind, AT_KIND_PAD);
    assert_int_equal(pkt.lost, 0);
    drop(&meta);
    drop(&pad);
}

/* Cut at every byte: never bad, never passed, and says how much it needs. */
static void erf_cut(void **state)
{
    struct bytes b = erf_record(2, 4, 0, 60, 1, 62);

    (void)state;
    for (size_t n = 0; n < b.n; n++) {
        uint8_t *p = tight_copy(b.p, n);
        const struct at_frame f = at_frame(&erf_layout, p, p + n, p + n);

        assert_false(f.bad);
        assert_int_equal(f.records, 0);
        assert_int_equal(f.need, n < 16 ? 0 : b.n);
        free(p);
    }
    drop(&b);
}

static void erf_detected(void **state)
{
    struct bytes b = erf_record(2, 4, 0, 60, 0, 62);
    struct at_layout layout;
    const char *what;

    (void)state;
    detect_as(AT_FORMAT_ERF, b.p, b.n);
    for (size_t n = 0; n < b.n; n++) {
        const enum at_status st = at_layout_detect(&layout, b.p, n, true,
                                                   &what);

        assert_int_equal(st, n < 16 ? AT_ERR_FORMAT : AT_ERR_TRUNCATED);
    }
    b.p[11] = 15;
    assert_int_equal(at_layout_detect(&layout, b.p, b.n, true, &what),
                     AT_ERR_FORMAT);
    drop(&b);
}

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

static struct at_packet frame_of(uint16_t linktype, const uint8_t *data,
                                 uint32_t n)
{
    return (struct at_packet){
        .ts = at_ts_from_ns(1700000000123456789),
        .data = data,
        .cap_bytes = n,
        .wire_bytes = n,
        .linktype = linktype,
        .format = AT_FORMAT_PCAP,
    };
}

static void erf_built_reads_back(void **state)
{
    static const uint16_t linktype[] = {AT_LINK_ETHERNET, AT_LINK_C_HDLC,
                                        AT_LINK_IPV4, AT_LINK_IPV6};
    uint8_t data[64] = {0x45, 1, 2, 3}, out[128];

    (void)state;
    for (size_t i = 0; i < sizeof(linktype) / sizeof(linktype[0]); i++)
        for (uint32_t n = 1; n <= sizeof(data); n++) {
            struct at_packet pkt = frame_of(linktype[i], data, n), back;
            size_t bytes;

            pkt.lost = 3;
            pkt.interface = 1;
            bytes = at_erf_build(NULL, &pkt, n);
            assert_int_equal(at_erf_build(out, &pkt, n), bytes);
            assert_int_equal(bytes % 8, 0);
            back = parse_one(&erf_layout, out, bytes);
            assert_int_equal(back.ts, pkt.ts);
            assert_int_equal(at_ts_to_ns(back.ts), 1700000000123456789);
            assert_int_equal(back.cap_bytes, n);
            assert_int_equal(back.wire_bytes, n);
            assert_int_equal(back.linktype, linktype[i]);
            assert_int_equal(back.lost, 3);
            assert_int_equal(back.interface, 1);
            assert_memory_equal(back.data, data, n);
        }
}

/* Padding after a frame that was cut would read as part of it. */
static void erf_built_of_a_cut_frame(void **state)
{
    const uint8_t data[64] = {1};
    uint8_t out[128];

    (void)state;
    for (uint32_t n = 1; n < sizeof(data); n++) {
        struct at_packet pkt = frame_of(AT_LINK_ETHERNET, data, n);
        size_t bytes;

        pkt.wire_bytes = 64;
        bytes = at_erf_build(out, &pkt, n);
        assert_int_equal(parse_one(&erf_layout, out, bytes).cap_bytes, n);
    }
}

/* The length field of ERF has 16 bits: 70000 must not become 4464. */
static void erf_built_with_a_long_wire_length(void **state)
{
    uint8_t data[64] = {0}, out[128];
    struct at_packet pkt = frame_of(AT_LINK_ETHERNET, data, 64);

    (void)state;
    pkt.wire_bytes = 70000;
    at_erf_build(out, &pkt, 64);
    assert_int_equal(parse_one(&erf_layout, out, 82).wire_bytes, 65535);
}

static void pcap_built_reads_back(void **state)
{
    uint8_t data[64] = {1, 2, 3}, out[128];

    (void)state;
    for (int micro = 0; micro < 2; micro++) {
        struct at_packet pkt = frame_of(101, data, 64), back;
        struct at_layout layout;

        at_pcap_header(out, 101, 0, micro);
        layout = detect_as(micro ? AT_FORMAT_PCAP_US : AT_FORMAT_PCAP, out, 24);
        assert_int_equal(at_pcap_build(out, &pkt, 60, micro), 76);
        back = parse_one(&layout, out, 76);
        assert_int_equal(back.cap_bytes, 60);
        assert_int_equal(back.wire_bytes, 64);
        assert_int_equal(at_ts_to_ns(back.ts),
                         micro ? 1700000000123456000 : 1700000000123456789);
    }
}

/* 32.32 rounds up to one second more than pcap has. */
static void pcap_at_the_end_of_time(void **state)
{
    uint8_t out[32];
    struct at_packet pkt = frame_of(1, out, 0);

    (void)state;
    pkt.ts = UINT64_MAX;
    at_pcap_build(out, &pkt, 0, false);
    assert_memory_equal(out, "\xff\xff\xff\xff\xff\xc9\x9a\x3b", 8);
}

static void names(void **state)
{
    (void)state;
    for (int f = AT_FORMAT_ERF; f <= AT_FORMAT_PCAP_US; f++)
        assert_int_equal(at_format_parse(at_format_name(f)), f);
    for (int c = AT_CODEC_NONE; c <= AT_CODEC_BGZF; c++)
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
        cmocka_unit_test(erf_ethernet),
        cmocka_unit_test(erf_padding_is_no_frame),
        cmocka_unit_test(erf_link_types),
        cmocka_unit_test(erf_ppp_begins_with_ff),
        cmocka_unit_test(erf_extension_headers),
        cmocka_unit_test(erf_chain_crosses_rlen),
        cmocka_unit_test(erf_ethernet_without_its_offset),
        cmocka_unit_test(erf_short_rlen_is_damage),
        cmocka_unit_test(erf_colour_is_no_loss_counter),
        cmocka_unit_test(erf_says_more),
        cmocka_unit_test(erf_meta_and_pad_are_no_packets),
        cmocka_unit_test(erf_cut),
        cmocka_unit_test(erf_detected),
        cmocka_unit_test(pcap_byte_orders_and_fractions),
        cmocka_unit_test(pcap_old_lengths),
        cmocka_unit_test(pcap_high_bits_of_linktype),
        cmocka_unit_test(pcap_fraction_of_seconds),
        cmocka_unit_test(pcap_length_of_nonsense_is_damage),
        cmocka_unit_test(pcap_cut),
        cmocka_unit_test(erf_built_reads_back),
        cmocka_unit_test(erf_built_of_a_cut_frame),
        cmocka_unit_test(erf_built_with_a_long_wire_length),
        cmocka_unit_test(pcap_built_reads_back),
        cmocka_unit_test(pcap_at_the_end_of_time),
        cmocka_unit_test(names),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
