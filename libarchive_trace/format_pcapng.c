/*
 * format_pcapng.c - pcapng, blocks of any kind one after the other
 *
 *     size  field              draft-ietf-opsawg-pcapng
 *        4  type
 *        4  total length       of the block, all of it
 *           the body, padded to a multiple of 4
 *        4  total length       again
 *     bodies of
 *        section header        byte-order magic 1a2b3c4d, version 1.x (2+2),
 *                              section length (8), options
 *        interface description link type (2), 0 (2), snap length, options
 *        enhanced packet       interface, time (high, low), captured length,
 *                              length on the wire, frame, options
 *        simple packet         length on the wire, frame
 *        packet (obsolete)     interface (2), drops (2), then as enhanced
 *        interface statistics  interface, time (high, low), options
 *        decryption secrets    type, length, secrets, options
 *
 * A section header gives the byte order of what follows it and begins the
 * numbering of interfaces anew.  A total length that is no multiple of 4 is
 * taken as Wireshark does, padding behind it; libpcap refuses it.
 *
 * Everything that a worker will rely on is checked here, in the serial walk:
 * lengths, the interface of a packet, the shape of option lists.
 */
#include "salvage.h"
#include "section.h"

enum {
    LONGEST_HEADER = 28,     /* fixed fields before a frame */
    STRICT_MOST = 512 << 10, /* a longer block is none, once there is damage */
    SHB_FIXED = 28,
    NO_DROPS = 0xffff, /* obsolete packets: it is not known */
    FLAGS_DIRECTION = 3,
    OPTION_FLAGS = 2,
    OPTION_DROPS = 4, /* of enhanced packets */
};

/* What is known of a block from its first bytes. */
struct head {
    const uint8_t *p;
    uint32_t type;
    uint32_t total; /* as it is written */
    uint32_t bytes; /* of the block with what pads it */
};

static struct head read_head(const uint8_t *p, bool swapped)
{
    const uint32_t total = at_ng_32(swapped, p + 4);

    return (struct head){
        .p = p,
        .type = at_ng_32(swapped, p),
        .total = total,
        .bytes = at_ng_padded(total),
    };
}

/* ---- finding the format ---------------------------------------------- */

/* Whether the section header at 'p' has its magic, and in which order. */
static bool read_order(const uint8_t *p, bool *swapped)
{
    *swapped = at_load_be32(p + 8) == AT_NG_ORDER;
    return *swapped || at_load_le32(p + 8) == AT_NG_ORDER;
}

/* What is wrong with the section header whose 16 bytes are at 'p'. */
static const char *header_fault(const uint8_t *p, bool *swapped)
{
    uint32_t total;

    if (!read_order(p, swapped))
        return "has no byte-order magic";
    total = at_ng_32(*swapped, p + 4);
    if (total < SHB_FIXED || total > AT_NG_BLOCK_MOST)
        return "has a length that cannot be";
    if (at_ng_16(*swapped, p + 12) != 1)
        return "is of a version other than 1";
    return NULL;
}

enum at_status at_pcapng_detect(struct at_layout *layout, const uint8_t *p,
                                size_t n, const char **what)
{
    bool swapped = false;

    if (n < 4 || at_load_le32(p) != AT_NG_SHB)
        return AT_ERR_FORMAT;
    *what = "pcapng";
    if (n < 16)
        return AT_ERR_TRUNCATED;
    if (header_fault(p, &swapped) != NULL) {
        *what = "pcapng whose first block is no section header of version 1";
        return AT_ERR_FORMAT;
    }
    if (n < SHB_FIXED)
        return AT_ERR_TRUNCATED;
    *layout = (struct at_layout){.format = AT_FORMAT_PCAPNG};
    return AT_OK;
}

static void describe(struct at_trace_info *info, const uint8_t *p, uint32_t n,
                     bool swapped)
{
    const struct at_options o = at_ng_options(p, n, swapped);
    struct at_interface face;

    /* Of a block that is damaged the options are not looked at. */
    face = at_section_read(p, at_ng_options_good(o.at, o.end, swapped) ? n : 20,
                           swapped);
    info->linktype = face.linktype;
    info->snap_bytes = face.snap_bytes;
    info->fcs = face.fcs;
}

void at_pcapng_first(const uint8_t *p, const uint8_t *end,
                     struct at_trace_info *info)
{
    bool swapped = false;

    while (end - p >= 20) {
        uint32_t n;

        if (at_load_le32(p) == AT_NG_SHB && !read_order(p, &swapped))
            return;
        n = read_head(p, swapped).bytes;
        if (at_ng_32(swapped, p) == AT_NG_IDB) {
            describe(info, p, n >= 20 && n <= (size_t)(end - p) ? n : 20,
                     swapped);
            return;
        }
        if (n < AT_NG_FRAME || n > (size_t)(end - p))
            return;
        p += n;
    }
}

/* ---- the serial walk ------------------------------------------------- */

/* The least bytes of a block of each type that is known. */
static uint32_t least_bytes(uint32_t type)
{
    switch (type) {
    case AT_NG_SHB:
        return SHB_FIXED;
    case AT_NG_IDB:
    case AT_NG_DSB:
        return 20;
    case AT_NG_PB:
    case AT_NG_EPB:
        return 32;
    case AT_NG_SPB:
    case AT_NG_CB:
    case AT_NG_DCB:
        return 16;
    case AT_NG_ISB:
        return 24;
    default:
        return AT_NG_FRAME;
    }
}

const char *at_pcapng_name(uint32_t type)
{
    switch (type) {
    case AT_NG_SHB:
        return "section header";
    case AT_NG_IDB:
        return "interface description";
    case AT_NG_PB:
        return "(obsolete) packet block";
    case AT_NG_SPB:
        return "simple packet";
    case AT_NG_NRB:
        return "name resolution block";
    case AT_NG_ISB:
        return "interface statistics";
    case AT_NG_EPB:
        return "enhanced packet";
    case AT_NG_DSB:
        return "decryption secrets";
    case AT_NG_CB:
    case AT_NG_DCB:
        return "custom block";
    default:
        return "block of unknown type";
    }
}

static const char *interface_fault(const struct at_section *s, uint32_t i)
{
    return i < s->interfaces ? NULL
                             : "is of an interface that was not described";
}

static const char *room_fault(uint32_t cap, uint32_t room)
{
    return cap <= room ? NULL : "is too short for what it holds";
}

/* The captured bytes of a simple packet, which only the snap length tells. */
static uint32_t simple_cap(const struct at_section *s, const uint8_t *p)
{
    const uint32_t snap = at_section_interface(s, 0)->snap_bytes;
    const uint32_t wire = at_ng_32(s->layout.swapped, p + 8);

    return snap > 0 && snap < wire ? snap : wire;
}

/* What contradicts itself within a block that is there whole. */
static const char *body_fault(struct at_section *s, const struct head *h,
                              bool *memory)
{
    const bool swapped = s->layout.swapped;
    const uint8_t *p = h->p;
    const char *why = NULL;

    switch (h->type) {
    case AT_NG_EPB:
        why = interface_fault(s, at_ng_32(swapped, p + 8));
        if (why == NULL)
            why = room_fault(at_ng_32(swapped, p + 20), h->bytes - 32);
        break;
    case AT_NG_PB:
        why = interface_fault(s, at_ng_16(swapped, p + 8));
        if (why == NULL)
            why = room_fault(at_ng_32(swapped, p + 20), h->bytes - 32);
        break;
    case AT_NG_SPB:
        why = interface_fault(s, 0);
        return why != NULL ? why : room_fault(simple_cap(s, p), h->bytes - 16);
    case AT_NG_DSB:
        why = room_fault(at_ng_32(swapped, p + 12), h->bytes - 20);
        break;
    case AT_NG_SHB:
    case AT_NG_IDB:
    case AT_NG_ISB:
        break;
    default:
        return NULL; /* nothing is known of it */
    }
    if (why == NULL) {
        const struct at_options o = at_ng_options(p, h->bytes, swapped);

        if (o.at < o.end && !at_ng_options_good(o.at, o.end, swapped))
            why = "has options that do not end within it";
    }
    if (why == NULL && h->type == AT_NG_IDB)
        why = at_section_add(s, p, h->bytes, memory);
    return why;
}

/* What is wrong with the lengths of a block, as far as 'end' shows them. */
static const char *length_fault(const struct head *h, const uint8_t *end,
                                bool swapped)
{
    if (h->total < least_bytes(h->type))
        return "has a length too small for it";
    if (h->total > AT_NG_BLOCK_MOST)
        return "has a length of over 16 MiB";
    if (h->bytes <= (size_t)(end - h->p) &&
        at_ng_32(swapped, h->p + h->bytes - 4) != h->total)
        return "has two lengths that differ";
    return NULL;
}

struct at_frame at_pcapng_frame(const struct at_layout *layout,
                                const uint8_t *p, const uint8_t *stop,
                                const uint8_t *end)
{
    struct at_frame f = {.at = p};

    while (f.at < stop) {
        struct head h;

        f.need = 0;
        if (end - f.at < 8)
            break;
        h = read_head(f.at, layout->swapped);
        f.type = h.type;
        if (h.type == AT_NG_SHB && f.at > p)
            break; /* it begins another section, and so another block */
        f.why = length_fault(&h, end, layout->swapped);
        if (f.why == NULL && (f.need = h.bytes) > (size_t)(end - f.at))
            break;
        if (f.why == NULL)
            f.why = body_fault(layout->section, &h, &f.no_memory);
        if (f.why != NULL) {
            f.bad = true;
            break;
        }
        f.at += h.bytes;
        f.records++;
    }
    return f;
}

struct at_frame at_pcapng_enter(const struct at_layout **now, const uint8_t *p,
                                const uint8_t *end)
{
    struct at_frame f = {.at = p, .type = AT_NG_SHB};
    struct at_section *s;
    bool swapped = false;

    if (end - p < 4)
        return f;
    if (at_load_le32(p) != AT_NG_SHB) {
        f.type = at_load_le32(p);
        f.why = *now == NULL ? "stands before any section header" : NULL;
        f.bad = f.why != NULL;
        f.records = !f.bad;
        return f;
    }
    if (end - p < 16)
        return f;
    f.why = header_fault(p, &swapped);
    f.bad = f.why != NULL;
    if (f.bad)
        return f;
    f.need = read_head(p, swapped).bytes;
    if (f.need > (size_t)(end - p))
        return f;
    s = at_section_new(p, (uint32_t)f.need, swapped);
    f.no_memory = s == NULL;
    if (s == NULL)
        return f;
    at_layout_drop(*now);
    *now = &s->layout;
    f.records = 1;
    return f;
}

/* ---- time ------------------------------------------------------------ */

/* rest / unit in units of 2^-32, rounded up; rest < unit. */
static uint64_t fraction(uint64_t rest, uint64_t unit)
{
    uint64_t q = 0;

    for (int i = 0; i < 32; i++) {
        const bool one = rest >= unit - rest;

        q = q << 1 | one;
        rest = one ? rest - (unit - rest) : rest + rest;
    }
    return q + (rest > 0);
}

/* Seconds, which may be too many or below 0, and up to 2^32 of 2^-32. */
static uint64_t timestamp(const struct at_interface *face, uint64_t sec,
                          uint64_t frac)
{
    const uint64_t most = INT64_MAX;
    int64_t sum;

    sec += frac >> 32;
    if (__builtin_add_overflow((int64_t)(sec < most ? sec : most), face->offset,
                               &sum))
        sum = INT64_MAX;
    if (sum < 0)
        return 0;
    return sum > UINT32_MAX ? UINT64_MAX
                            : (uint64_t)sum << 32 | (frac & UINT32_MAX);
}

/* n / 2^bits, rounded up */
static uint64_t shifted_up(uint64_t n, unsigned bits)
{
    if (bits > 63)
        return n > 0;
    return (n >> bits) + ((n & ((UINT64_C(1) << bits) - 1)) != 0);
}

/* Counts of 2^-n seconds. */
static uint64_t binary_time(const struct at_interface *face, uint64_t count,
                            unsigned n)
{
    const uint64_t sec = n < 64 ? count >> n : 0;
    const uint64_t rest = n < 64 ? count & ((UINT64_C(1) << n) - 1) : count;

    return timestamp(face, sec,
                     n <= 32 ? rest << (32 - n) : shifted_up(rest, n - 32));
}

/*
 * Counts of 10^-n seconds.  Beyond 10^-19 a second does not fit the count,
 * and what is finer than that is rounded up first.
 */
static uint64_t decimal_time(const struct at_interface *face, uint64_t count,
                             unsigned n)
{
    uint64_t unit = 1;

    for (; n > 19 && count > 0; n--)
        count = count / 10 + (count % 10 != 0);
    for (; n > 0 && count > 0; n--)
        unit *= 10;
    return timestamp(face, count / unit, fraction(count % unit, unit));
}

static uint64_t time_of(const struct at_interface *face, uint64_t count)
{
    uint64_t frac;

    if ((face->resolution & 0x80) != 0)
        return binary_time(face, count, face->resolution & 0x7f);
    switch (face->resolution) { /* the usual ones are worth a way of theirs */
    case 6:
        frac = at_ts_from_ns(count % 1000000 * 1000);
        return timestamp(face, count / 1000000, frac);
    case 9:
        frac = at_ts_from_ns(count % 1000000000);
        return timestamp(face, count / 1000000000, frac);
    default:
        return decimal_time(face, count, face->resolution);
    }
}

/* ---- salvage --------------------------------------------------------- */

static bool is_known(uint32_t type)
{
    return (type >= AT_NG_IDB && type <= AT_NG_EPB) || type == AT_NG_SHB ||
           type == AT_NG_JOURNAL || type == AT_NG_DSB || type == AT_NG_CB ||
           type == AT_NG_DCB;
}

/* A packet's interface, lengths and time; those of other blocks are none. */
static bool packet_makes_sense(const struct at_layout *layout,
                               const struct at_ground *g, const struct head *h,
                               struct at_claim *c)
{
    const bool obsolete = h->type == AT_NG_PB;
    const uint8_t *p = h->p;
    const uint32_t i = obsolete ? at_ng_16(g->swapped, p + 8)
                                : at_ng_32(g->swapped, p + 8);
    const uint32_t cap = at_ng_32(g->swapped, p + 20);

    if (i >= g->interfaces)
        return false;
    if (!g->foreign && layout->section != NULL &&
        i < layout->section->interfaces) {
        c->ts = time_of(at_section_interface(layout->section, i),
                        at_ng_time(g->swapped, p + 12));
        c->timed = true;
    }
    return cap <= h->bytes - 32 && cap <= at_ng_32(g->swapped, p + 24);
}

struct at_claim at_pcapng_claim(const struct at_layout *layout,
                                const struct at_ground *g, const uint8_t *p,
                                const uint8_t *end, bool strict)
{
    struct at_claim c = {.kind = AT_CLAIM_SHORT};
    bool swapped = g->swapped;
    struct head h;

    if (end - p < AT_NG_FRAME)
        return c;
    h = read_head(p, swapped);
    c.kind = AT_CLAIM_NOT;
    if (h.type == AT_NG_SHB) {
        if (end - p < 16)
            return (struct at_claim){.kind = AT_CLAIM_SHORT};
        if (header_fault(p, &swapped) != NULL)
            return c;
        h = read_head(p, swapped);
    }
    c.bytes = h.bytes;
    if (h.total < least_bytes(h.type) || h.total > AT_NG_BLOCK_MOST ||
        (strict &&
         (!is_known(h.type) || h.total != h.bytes || h.total > STRICT_MOST)))
        return c;
    c.kind = AT_CLAIM_OPEN;
    if (h.bytes <= (size_t)(end - p)) {
        c.sure = at_ng_32(swapped, p + h.bytes - 4) == h.total;
        c.kind = c.sure ? AT_CLAIM_WHOLE : AT_CLAIM_NOT;
    }
    if (h.type != AT_NG_EPB && h.type != AT_NG_PB)
        return c;
    if (end - p < LONGEST_HEADER)
        c.kind = AT_CLAIM_SHORT;
    else if (!packet_makes_sense(layout, g, &h, &c))
        c.kind = AT_CLAIM_NOT;
    return c;
}

void at_pcapng_ground(struct at_ground *g, const uint8_t *p)
{
    bool swapped = g->swapped;

    if (at_load_le32(p) == AT_NG_SHB && read_order(p, &swapped)) {
        g->swapped = swapped;
        g->foreign = true;
        g->interfaces = 0;
    } else if (at_ng_32(swapped, p) == AT_NG_IDB) {
        g->interfaces++;
    }
}

/* ---- packets --------------------------------------------------------- */

static uint8_t direction_of(uint64_t flags)
{
    static const uint8_t known[] = {AT_DIRECTION_UNKNOWN, AT_DIRECTION_IN,
                                    AT_DIRECTION_OUT, AT_DIRECTION_UNKNOWN};

    return known[flags & FLAGS_DIRECTION];
}

static struct at_fcs fcs_of(uint64_t flags)
{
    return (struct at_fcs){
        true, (uint8_t)(8 * (flags >> AT_NG_FCS_SHIFT & AT_NG_FCS_MASK))};
}

static void parse_options(struct at_packet *pkt, bool obsolete)
{
    struct at_options options = at_packet_options(pkt);
    struct at_option option;

    while (at_options_next(&options, &option)) {
        const uint64_t n = at_option_number(&options, &option);

        if (option.code == OPTION_FLAGS) {
            pkt->direction = direction_of(n);
            pkt->errors = (n & AT_NG_LINK_ERRORS) != 0 ? AT_ERROR_RX : 0;
            if ((n >> AT_NG_FCS_SHIFT & AT_NG_FCS_MASK) != 0)
                pkt->fcs = fcs_of(n);
        }
        if (option.code == OPTION_DROPS && !obsolete)
            pkt->lost = n < UINT32_MAX ? (uint32_t)n : UINT32_MAX;
    }
}

static void parse_packet(const struct at_section *s, const uint8_t *p,
                         struct at_packet *pkt, bool obsolete)
{
    const bool swapped = s->layout.swapped;
    const struct at_interface *face;

    pkt->interface = obsolete ? at_ng_16(swapped, p + 8)
                              : at_ng_32(swapped, p + 8);
    face = at_section_interface(s, pkt->interface);
    pkt->ts = time_of(face, at_ng_time(swapped, p + 12));
    pkt->cap_bytes = at_ng_32(swapped, p + 20);
    pkt->wire_bytes = at_ng_32(swapped, p + 24);
    pkt->data = p + LONGEST_HEADER;
    pkt->linktype = face->linktype;
    pkt->fcs = face->fcs;
    if (obsolete && at_ng_16(swapped, p + 10) != NO_DROPS)
        pkt->lost = at_ng_16(swapped, p + 10);
    if (pkt->record_bytes > at_ng_padded(pkt->cap_bytes) + 32)
        parse_options(pkt, obsolete);
}

static void parse_simple(const struct at_section *s, const uint8_t *p,
                         struct at_packet *pkt)
{
    pkt->wire_bytes = at_ng_32(s->layout.swapped, p + 8);
    pkt->cap_bytes = simple_cap(s, p);
    pkt->data = p + 12;
    pkt->linktype = at_section_interface(s, 0)->linktype;
    pkt->fcs = at_section_interface(s, 0)->fcs;
    pkt->timeless = true;
}

void at_pcapng_parse(const struct at_layout *layout, const uint8_t *p,
                     struct at_packet *pkt)
{
    const struct head h = read_head(p, layout->swapped);

    *pkt = (struct at_packet){
        .data = p + 8,
        .cap_bytes = h.bytes - AT_NG_FRAME,
        .record = p,
        .record_bytes = h.bytes,
        .layout = layout,
        .format = AT_FORMAT_PCAPNG,
    };
    switch (h.type) {
    case AT_NG_EPB:
    case AT_NG_PB:
        parse_packet(layout->section, p, pkt, h.type == AT_NG_PB);
        break;
    case AT_NG_SPB:
        parse_simple(layout->section, p, pkt);
        break;
    default:
        pkt->kind = AT_KIND_META;
        pkt->timeless = true;
    }
}
