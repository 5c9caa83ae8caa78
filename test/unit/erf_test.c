/*
 * erf_test.c - ERF records taken apart and made, from bytes by hand
 */
#include "common_records.h"

#include <stdlib.h>
#include <string.h>

/* ---- records --------------------------------------------------------- */

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
        {0, AT_LINK_ERF, 0},       {1, AT_LINK_C_HDLC, 0},
        {2, AT_LINK_ETHERNET, 2},  {3, AT_LINK_ERF, 0},
        {4, AT_LINK_ERF, 0},       {5, AT_LINK_C_HDLC, 4},
        {6, AT_LINK_ERF, 0},       {7, AT_LINK_ERF, 0},
        {8, AT_LINK_ERF, 0},       {9, AT_LINK_ERF, 0},
        {10, AT_LINK_C_HDLC, 0},   {11, AT_LINK_ETHERNET, 2},
        {12, AT_LINK_ERF, 0},      {15, AT_LINK_C_HDLC, 0},
        {16, AT_LINK_ETHERNET, 2}, {17, AT_LINK_C_HDLC, 4},
        {18, AT_LINK_ERF, 0},      {19, AT_LINK_C_HDLC, 0},
        {20, AT_LINK_ETHERNET, 2}, {21, AT_LINK_ERF, 0},
        {22, AT_LINK_IPV4, 0},     {23, AT_LINK_IPV6, 0},
        {24, AT_LINK_ERF, 0},      {47, AT_LINK_ERF, 0},
        {49, AT_LINK_ERF, 0},      {60, AT_LINK_ERF, 0},
        {127, AT_LINK_ERF, 0},
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
    for (unsigned n = 1; n <= 40; n++) {
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
        assert_true(at_erf_says_more(&pkt, 0));
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

        assert_int_equal(at_erf_says_more(&pkt, 0), kind[i].more);
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

/* Three bits of interface only where they are asked for. */
static void erf_interfaces_and_directions(void **state)
{
    static const struct at_layout third = {.format = AT_FORMAT_ERF,
                                           .third_bit = true};
    static const uint8_t direction[] = {AT_DIRECTION_OUT, AT_DIRECTION_IN,
                                        AT_DIRECTION_OTHER, AT_DIRECTION_OTHER};

    (void)state;
    for (uint8_t n = 0; n < 8; n++) {
        const uint8_t flags = (uint8_t)(0x84 | (n & 3) | (n & 4) << 4);
        struct bytes b = erf_record(2, flags, 0, 64, 0, 62);
        struct at_packet pkt = parse_erf(&b);

        assert_int_equal(pkt.interface, n & 3);
        assert_int_equal(pkt.direction, direction[n & 3]);
        pkt = parse_one(&third, b.p, b.n);
        assert_int_equal(pkt.interface, n);
        assert_int_equal(pkt.direction, n < 2 ? direction[n] : direction[2]);
        drop(&b);
    }
}

static void erf_errors_keep_the_bytes(void **state)
{
    static const struct {
        uint8_t flags, errors;
    } kind[] = {{0x04, 0},
                {0x0c, AT_ERROR_TRUNC},
                {0x14, AT_ERROR_RX},
                {0x24, AT_ERROR_DS},
                {0x3f, AT_ERROR_TRUNC | AT_ERROR_RX | AT_ERROR_DS}};

    (void)state;
    for (size_t i = 0; i < sizeof(kind) / sizeof(kind[0]); i++) {
        struct bytes b = erf_record(2, kind[i].flags, 0, 64, 0, 62);
        const struct at_packet pkt = parse_erf(&b);

        assert_int_equal(pkt.errors, kind[i].errors);
        assert_int_equal(pkt.cap_bytes, 60);
        drop(&b);
    }
}

/* Old cards fill slots of 64 bytes, and rlen has 16 bits. */
static void erf_odd_lengths(void **state)
{
    struct bytes slot = erf_record(2, 0, 0, 40, 0, 48);
    struct bytes odd = erf_record(2, 4, 0, 60, 0, 2 + 60 + 3);
    struct bytes most = erf_record(1, 4, 0, 65519, 0, 65519);

    (void)state;
    assert_int_equal(parse_erf(&slot).cap_bytes, 40);
    assert_int_equal(parse_erf(&odd).cap_bytes, 60);
    assert_int_equal(parse_erf(&most).cap_bytes, 65519);
    assert_int_equal(parse_erf(&most).record_bytes, 65535);
    drop(&slot);
    drop(&odd);
    drop(&most);
}

/* ---- detection ------------------------------------------------------- */

/* A file: records are added to it. */
static void add_record(struct bytes *file, struct bytes record, uint32_t sec)
{
    record.p[4] = (uint8_t)sec;
    record.p[5] = (uint8_t)(sec >> 8);
    record.p[6] = (uint8_t)(sec >> 16);
    record.p[7] = (uint8_t)(sec >> 24);
    add(file, record.p, record.n);
    drop(&record);
}

static enum at_status detected(const struct bytes *file)
{
    struct at_layout layout;
    const char *what;
    uint8_t *p = tight_copy(file->p, file->n);
    const enum at_status st = at_layout_detect(&layout, p, file->n, true,
                                               &what);

    free(p);
    if (st == AT_OK)
        assert_int_equal(layout.format, AT_FORMAT_ERF);
    return st;
}

/* Every type that has a name may come first, alone or with others. */
static void erf_first_records(void **state)
{
    (void)state;
    for (unsigned type = 0; type < 128; type++) {
        const bool known = (type >= 1 && type <= 29) || type == 48;
        struct bytes file = {.n = 0};

        add_record(&file, erf_record((uint8_t)type, 4, 0, 60, 0, 62), SECONDS);
        assert_int_equal(detected(&file), known ? AT_OK : AT_ERR_FORMAT);
        for (uint32_t i = 0; i < 5; i++)
            add_record(&file, erf_record(2, 5, 0, 1500, 0, 62), SECONDS + i);
        assert_int_equal(detected(&file), known ? AT_OK : AT_ERR_FORMAT);
        drop(&file);
    }
}

/* What no single record of proves anything: colours, errors, cut frames. */
static void erf_whose_times_jump(void **state)
{
    static const uint32_t sec[] = {0, 0xffffffff, 1, 0x80000000, 788918400};
    struct bytes file = {.n = 0};

    (void)state;
    for (unsigned i = 0; i < 5; i++)
        add_record(&file, erf_record(11, 0x14, 500, 1500, i % 3, 94), sec[i]);
    assert_int_equal(detected(&file), AT_OK);
    file.n -= 50;
    assert_int_equal(detected(&file), AT_OK);
    drop(&file);
}

/* Types without a name and damage are met by the reader, not here. */
static void erf_with_odd_records_behind(void **state)
{
    static const uint8_t type[] = {0, 33, 49, 60, 127};
    struct bytes file = {.n = 0};

    (void)state;
    add_record(&file, erf_record(2, 4, 0, 64, 0, 62), SECONDS);
    for (size_t i = 0; i < sizeof(type); i++)
        add_record(&file, erf_record(type[i], 0xff, 9, 0, 0, 500), SECONDS);
    add_record(&file, erf_record(2, 4, 0, 64, 0, 62), SECONDS);
    assert_int_equal(detected(&file), AT_OK);
    add_zeros(&file, 100);
    assert_int_equal(detected(&file), AT_OK);
    drop(&file);
}

static void erf_is_not_anything(void **state)
{
    uint32_t seed = 1;

    (void)state;
    for (unsigned i = 0; i < 20000; i++) {
        struct bytes noise = {.n = 0};
        const size_t n = i % 10 == 0 ? 5000 : 16 + i % 100;

        while (noise.n < n)
            add(&noise, &(uint8_t){(uint8_t)next_random(&seed)}, 1);
        assert_int_equal(detected(&noise), AT_ERR_FORMAT);
        drop(&noise);
    }
}

/* Cells and frames of cards before ERF begin like records of type 0. */
static void erf_is_not_what_was_before(void **state)
{
    struct bytes file = {.n = 0};

    (void)state;
    for (uint32_t i = 0; i < 40; i++)
        add_record(&file, erf_record(0, 0, 0, 46, 0, 48), SECONDS + i);
    assert_int_equal(detected(&file), AT_ERR_FORMAT);
    drop(&file);
}

static void erf_because_it_is_said(void **state)
{
    struct bytes file = {.n = 0};
    struct at_layout layout;
    const char *what;

    (void)state;
    add_record(&file, erf_record(60, 0xff, 9, 0, 0, 500), 0);
    assert_int_equal(detected(&file), AT_ERR_FORMAT);
    assert_int_equal(
        at_layout_choose(&layout, AT_FORMAT_ERF, file.p, file.n, true, &what),
        AT_OK);
    assert_int_equal(layout.format, AT_FORMAT_ERF);
    assert_int_equal(
        at_layout_choose(&layout, AT_FORMAT_PCAP, file.p, file.n, true, &what),
        AT_ERR_FORMAT);
    drop(&file);
}

/* ---- building -------------------------------------------------------- */

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

/* An edited packet: its frame is cut to 'cap' bytes. */
static struct at_packet cut_to(const struct bytes *b, uint32_t cap)
{
    struct at_packet pkt = parse_erf(b);

    pkt.edited = true;
    pkt.cap_bytes = cap;
    return pkt;
}

/* All before the frame stays; only rlen is another. */
static void erf_edited_keeps_its_framing(void **state)
{
    static const struct {
        uint8_t type;
        size_t inner;
    } kind[] = {{1, 0},  {2, 2},  {5, 4}, {11, 2}, {17, 4},
                {20, 2}, {22, 0}, {3, 0}, {60, 0}};
    uint8_t out[1024];

    (void)state;
    for (size_t i = 0; i < sizeof(kind) / sizeof(kind[0]); i++)
        for (unsigned ext = 0; ext <= 40; ext += 20) {
            const size_t framing = 16 + 8 * ext + kind[i].inner;
            struct bytes b = erf_record(kind[i].type, 0x3d, 777, 1500, ext,
                                        kind[i].inner + 100);
            const struct at_packet pkt = cut_to(&b, 33);

            assert_int_equal(pkt.data - b.p, framing);
            assert_int_equal(at_erf_build(NULL, &pkt, 33), framing + 33);
            assert_int_equal(at_erf_build(out, &pkt, 33), framing + 33);
            assert_int_equal(out[10] << 8 | out[11], framing + 33);
            out[10] = b.p[10];
            out[11] = b.p[11];
            assert_memory_equal(out, b.p, framing + 33);
            drop(&b);
        }
}

/* A frame that lost its tags is whole, and so is padded with zeros. */
static void erf_edited_and_whole(void **state)
{
    struct bytes b = erf_record(2, 5, 3, 64, 1, 2 + 64 + 4);
    struct at_packet pkt = cut_to(&b, 60), back;
    uint8_t out[128], frame[60] = {9, 8, 7};
    size_t n;

    (void)state;
    pkt.data = frame;
    pkt.wire_bytes = 60;
    n = at_erf_build(out, &pkt, 60);
    assert_int_equal(n, 88); /* 16 + 8 + 2 + 60, and 2 */
    back = parse_one(&erf_layout, out, n);
    assert_int_equal(back.wire_bytes, 60);
    assert_int_equal(back.cap_bytes, 60);
    assert_int_equal(back.lost, 3);
    assert_int_equal(back.interface, 1);
    assert_memory_equal(back.data, frame, 60);
    assert_int_equal(out[86] | out[87], 0);
    drop(&b);
}

/* A frame that became one of another link type needs another record type. */
static void erf_edited_into_another_type(void **state)
{
    struct bytes b = erf_record(11, 5, 500, 64, 2, 2 + 64);
    struct at_packet pkt = cut_to(&b, 40), back;
    uint8_t out[128];
    size_t n;

    (void)state;
    pkt.linktype = AT_LINK_IPV4;
    pkt.wire_bytes = 46;
    n = at_erf_build(out, &pkt, 40);
    back = parse_one(&erf_layout, out, n);
    assert_int_equal(back.erf_type, 22);
    assert_int_equal(back.linktype, AT_LINK_IPV4);
    assert_int_equal(back.interface, 1);
    assert_int_equal(back.lost, 0);
    assert_int_equal(back.cap_bytes, 40);
    drop(&b);
}

/* There is room for the frame but none for padding. */
static void erf_built_as_long_as_can_be(void **state)
{
    static uint8_t data[65535], out[65536 + 8];
    struct at_packet pkt = frame_of(AT_LINK_IPV4, data, 65519);

    (void)state;
    assert_int_equal(at_erf_plan(&pkt, 65535).cap, 65519);
    assert_int_equal(at_erf_build(out, &pkt, 65519), 65535);
    assert_int_equal(parse_one(&erf_layout, out, 65535).cap_bytes, 65519);
}

/* In a file of LINKTYPE_ERF frames are records, and are copied as such. */
static void erf_out_of_another_format(void **state)
{
    struct bytes b = erf_record(3, 4, 9, 53, 1, 60);
    struct at_packet pkt = frame_of(AT_LINK_ERF, b.p, (uint32_t)b.n);
    uint8_t out[128];

    (void)state;
    assert_true(at_erf_is_record(&pkt));
    assert_int_equal(at_erf_build(out, &pkt, pkt.cap_bytes), b.n);
    assert_memory_equal(out, b.p, b.n);
    pkt.cap_bytes--;
    assert_false(at_erf_is_record(&pkt));
    assert_int_equal(at_erf_type_for(&pkt), -1);
    drop(&b);
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
        cmocka_unit_test(erf_built_reads_back),
        cmocka_unit_test(erf_built_of_a_cut_frame),
        cmocka_unit_test(erf_built_with_a_long_wire_length),
        cmocka_unit_test(erf_interfaces_and_directions),
        cmocka_unit_test(erf_errors_keep_the_bytes),
        cmocka_unit_test(erf_odd_lengths),
        cmocka_unit_test(erf_first_records),
        cmocka_unit_test(erf_whose_times_jump),
        cmocka_unit_test(erf_with_odd_records_behind),
        cmocka_unit_test(erf_is_not_anything),
        cmocka_unit_test(erf_is_not_what_was_before),
        cmocka_unit_test(erf_because_it_is_said),
        cmocka_unit_test(erf_edited_keeps_its_framing),
        cmocka_unit_test(erf_edited_and_whole),
        cmocka_unit_test(erf_edited_into_another_type),
        cmocka_unit_test(erf_built_as_long_as_can_be),
        cmocka_unit_test(erf_out_of_another_format),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
