/*
 * common_records.c - what the tests of the formats share
 */
#include "common_records.h"

struct at_packet parse_one(const struct at_layout *layout, const uint8_t *p,
                           size_t n)
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

struct at_layout detect_as(enum at_format format, const uint8_t *p, size_t n)
{
    struct at_layout layout;
    const char *what;

    assert_int_equal(at_layout_detect(&layout, p, n, true, &what), AT_OK);
    assert_int_equal(layout.format, format);
    return layout;
}

const struct at_layout erf_layout = {.format = AT_FORMAT_ERF};

struct bytes erf_record(uint8_t type, uint8_t flags, uint16_t field,
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

struct at_packet parse_erf(const struct bytes *b)
{
    return parse_one(&erf_layout, b->p, b->n);
}

struct at_packet frame_of(uint16_t linktype, const uint8_t *data, uint32_t n)
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
