/*
 * format_pcap.c - classic pcap
 *
 *     size  field              draft-ietf-opsawg-pcap
 *        4  magic              says byte order, fraction, variant
 *        2  version_major      2
 *        2  version_minor      4; before 3 the lengths stand the other way
 *        8  (unused)
 *        4  snap length
 *        4  link type          low 16 bits; bit 26: bits 28-31 are the length
 *                              of the FCS, in units of 16 bits
 *     then records of
 *        4  seconds            unsigned
 *        4  fraction           micro- or nanoseconds
 *        4  captured length
 *        4  length on the wire
 *        8  (only in the modified form: interface, protocol, type)
 *
 * A fraction of a second or more is believed and carried over, as the sum is
 * what the writer meant; readers that print it raw show "1.1000000".
 */
#include "format.h"

#include "bytes.h"

enum {
    MAGIC_US = 0xa1b2c3d4,
    MAGIC_NS = 0xa1b23c4d,
    MAGIC_MODIFIED = 0xa1b2cd34,
    MICROS = 1000000,
    NANOS = 1000000000,
    CAP_LIMIT = 262144,        /* libpcap's and Wireshark's */
    SNAP_BELIEVED = 128 << 20, /* a header may ask for more than that */
    FCS_UNIT = 16,             /* bits */
};

static const uint32_t fcs_known = UINT32_C(1) << 26, fcs_length = 28;
/* Bits of the link type that have no meaning yet: with one of them set the
 * word is not believed to speak of an FCS. */
static const uint32_t reserved = 0x0bff0000;

static uint32_t load32(bool swapped, const uint8_t *p)
{
    return swapped ? at_load_be32(p) : at_load_le32(p);
}

static uint16_t load16(bool swapped, const uint8_t *p)
{
    return swapped ? at_load_be16(p) : at_load_le16(p);
}

/* Sets byte order, fraction and record size from the magic number. */
static bool read_magic(struct at_layout *layout, const uint8_t *p)
{
    for (int swapped = 0; swapped < 2; swapped++) {
        layout->swapped = swapped;
        layout->record_header = AT_PCAP_RECORD;
        layout->format = AT_FORMAT_PCAP_US;
        switch (load32(swapped, p)) {
        case MAGIC_NS:
            layout->format = AT_FORMAT_PCAP;
            return true;
        case MAGIC_MODIFIED:
            layout->record_header = AT_PCAP_RECORD + 8;
            return true;
        case MAGIC_US:
            return true;
        }
    }
    return false;
}

/* Snapshot lengths of 0 are written, and of more than any frame has. */
uint32_t at_pcap_cap_limit(uint32_t snap_bytes)
{
    return snap_bytes > CAP_LIMIT && snap_bytes <= SNAP_BELIEVED ? snap_bytes
                                                                 : CAP_LIMIT;
}

static struct at_fcs fcs_of(uint32_t word)
{
    if ((word & fcs_known) == 0 || (word & reserved) != 0)
        return (struct at_fcs){.known = false};
    return (struct at_fcs){true, (uint8_t)((word >> fcs_length) * FCS_UNIT)};
}

enum at_status at_pcap_detect(struct at_layout *layout, const uint8_t *p,
                              size_t n, const char **what)
{
    uint16_t major, minor;

    if (n < 4 || !read_magic(layout, p))
        return AT_ERR_FORMAT;
    *what = "pcap";
    if (n < AT_PCAP_HEADER)
        return AT_ERR_TRUNCATED;
    major = load16(layout->swapped, p + 4);
    minor = load16(layout->swapped, p + 6);
    if (major != 2 && !(major == 543 && minor == 0)) {
        *what = "pcap of a version other than 2";
        return AT_ERR_FORMAT;
    }
    layout->header_bytes = AT_PCAP_HEADER;
    layout->lengths_swapped = major == 543 || minor < 3;
    layout->lengths_unsure = minor == 3;
    layout->snap_bytes = load32(layout->swapped, p + 16);
    layout->linktype = (uint16_t)load32(layout->swapped, p + 20);
    layout->fcs = fcs_of(load32(layout->swapped, p + 20));
    layout->cap_limit = at_pcap_cap_limit(layout->snap_bytes);
    return AT_OK;
}

/* The two lengths of the record header at 'p', in their order. */
static void lengths(const struct at_layout *layout, const uint8_t *p,
                    uint32_t *cap, uint32_t *wire)
{
    *cap = load32(layout->swapped, p + 8);
    *wire = load32(layout->swapped, p + 12);
    if (layout->lengths_swapped || (layout->lengths_unsure && *cap > *wire)) {
        const uint32_t other = *cap;

        *cap = *wire;
        *wire = other;
    }
}

struct at_frame at_pcap_frame(const struct at_layout *layout, const uint8_t *p,
                              const uint8_t *stop, const uint8_t *end)
{
    struct at_frame f = {.at = p};
    const size_t header = layout->record_header;
    uint32_t cap, wire;

    while (f.at < stop) {
        f.need = 0;
        if ((size_t)(end - f.at) < header)
            break;
        lengths(layout, f.at, &cap, &wire);
        if (cap > layout->cap_limit) {
            f.bad = true;
            break;
        }
        f.need = header + cap;
        if (f.need > (size_t)(end - f.at))
            break;
        f.at += f.need;
        f.records++;
    }
    return f;
}

/* Seconds and a fraction that may be any number; stops at what 32.32 holds. */
static uint64_t timestamp(uint64_t sec, uint64_t frac_ns)
{
    const uint64_t frac = at_ts_from_ns(frac_ns);

    sec <<= 32;
    return sec + frac >= sec ? sec + frac : UINT64_MAX;
}

void at_pcap_parse(const struct at_layout *layout, const uint8_t *p,
                   struct at_packet *pkt)
{
    const uint64_t sec = load32(layout->swapped, p);
    const uint64_t frac = load32(layout->swapped, p + 4);
    const uint64_t unit = layout->format == AT_FORMAT_PCAP ? 1 : 1000;

    *pkt = (struct at_packet){
        .ts = timestamp(sec, frac * unit),
        .data = p + layout->record_header,
        .record = p,
        .linktype = layout->linktype,
        .format = (uint8_t)layout->format,
        .fcs = layout->fcs,
    };
    lengths(layout, p, &pkt->cap_bytes, &pkt->wire_bytes);
    pkt->record_bytes = layout->record_header + pkt->cap_bytes;
}

/* What at_pcap_frame() takes as it is must make sense here. */
struct at_claim at_pcap_claim(const struct at_layout *layout, const uint8_t *p,
                              const uint8_t *end, bool strict)
{
    const size_t header = layout->record_header;
    const bool nano = layout->format == AT_FORMAT_PCAP;
    struct at_claim c = {.kind = AT_CLAIM_SHORT};
    uint32_t cap, wire, frac;

    if ((size_t)(end - p) < header)
        return c;
    lengths(layout, p, &cap, &wire);
    frac = load32(layout->swapped, p + 4);
    c.ts = timestamp(load32(layout->swapped, p),
                     (uint64_t)frac * (nano ? 1 : 1000));
    c.timed = true;
    c.kind = AT_CLAIM_NOT;
    c.bytes = header + cap;
    c.other = header + wire;
    c.exact = cap == wire || cap == layout->snap_bytes;
    if (frac >= (nano ? NANOS : MICROS) || cap > wire || wire == 0 ||
        wire > layout->cap_limit || cap > (strict ? CAP_LIMIT : wire) ||
        (strict && cap == 0))
        return c;
    c.kind = c.bytes <= (size_t)(end - p) ? AT_CLAIM_WHOLE : AT_CLAIM_OPEN;
    return c;
}

bool at_pcap_holds_fcs(struct at_fcs fcs)
{
    return fcs.known && fcs.bits % FCS_UNIT == 0;
}

void at_pcap_header(uint8_t out[AT_PCAP_HEADER], uint16_t linktype,
                    struct at_fcs fcs, uint32_t snap_bytes, bool micro)
{
    const uint32_t units = fcs.bits / FCS_UNIT;

    at_store_le32(out, micro ? MAGIC_US : MAGIC_NS);
    at_store_le16(out + 4, 2);
    at_store_le16(out + 6, 4);
    at_store_le64(out + 8, 0);
    at_store_le32(out + 16, snap_bytes > 0 ? snap_bytes : CAP_LIMIT);
    at_store_le32(out + 20, at_pcap_holds_fcs(fcs)
                                ? linktype | fcs_known | units << fcs_length
                                : linktype);
}

/* The last half nanosecond of 32.32 would round up to more seconds than 32
 * bits hold. */
static uint64_t writable_ns(uint64_t ts)
{
    const uint64_t most = UINT64_C(4294967295999999999);
    const uint64_t ns = (uint64_t)at_ts_to_ns(ts);

    return ns < most ? ns : most;
}

size_t at_pcap_build(uint8_t *out, const struct at_packet *pkt, uint32_t cap,
                     bool micro)
{
    if (out != NULL) {
        const uint64_t ns = writable_ns(pkt->ts);
        const uint32_t frac = (uint32_t)(ns % 1000000000u);

        at_store_le32(out, (uint32_t)(ns / 1000000000u));
        at_store_le32(out + 4, micro ? frac / 1000 : frac);
        at_store_le32(out + 8, cap);
        at_store_le32(out + 12, pkt->wire_bytes);
        if (pkt->data != NULL)
            memcpy(out + AT_PCAP_RECORD, pkt->data, cap);
    }
    return AT_PCAP_RECORD + cap;
}
