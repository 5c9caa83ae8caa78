/*
 * mend.c - a pcap file whose header is lost, damaged or wrong
 *
 * What the header would say is in the records.  They are looked for in every
 * way that they can be written (byte order, fraction, size of the record
 * header) and from each of the first bytes on: the right way is the one in
 * which the most of them follow each other.  Chance must not do, nor must
 * programs, texts and archives, so a record counts for little: there must be
 * CHAIN_LEAST in a row, of lengths that go together, at times of this age that
 * go forward, and nearly all with a frame of the same link type that is told
 * by its own contradictions (lengths, versions, reserved fields).
 */
#include "mend.h"

#include "bytes.h"
#include "decode.h"
#include "link.h"

enum {
    SEARCH_BYTES = 4096, /* of the file: the first record begins in these */
    CHAIN_LEAST = 6,
    CHAIN_MOST = 64,
    MISFITS = 8, /* one frame in so many may be of a kind not known here */
    SECONDS_LEAST = 631152000, /* 1990 */
    SECONDS_MOST = 2145916800, /* 2038 */
    STEP_BACK = 2,             /* seconds from a record to the next, at most */
    STEP_ON = 86400,
    MICROS = 1000000,
    NANOS = 1000000000,
    SNAP_BYTES = 262144,
};

/* ---- frames ---------------------------------------------------------- */

static bool is_ipv4(struct at_cursor c, uint32_t wire)
{
    const uint8_t *p = at_take(&c, 20);

    return p != NULL && p[0] >> 4 == 4 && (p[0] & 15) >= 5 &&
           at_load_be16(p + 2) >= 20 && at_load_be16(p + 2) <= wire &&
           p[9] != 0;
}

static bool is_ipv6(struct at_cursor c, uint32_t wire)
{
    const uint8_t *p = at_take(&c, 40);

    return p != NULL && p[0] >> 4 == 6 &&
           (uint32_t)at_load_be16(p + 4) + 40 <= wire;
}

static bool is_ip(struct at_cursor c, uint32_t wire)
{
    return is_ipv4(c, wire) || is_ipv6(c, wire);
}

/* What follows a link header, by the ethertype in it. */
static bool is_type(uint16_t type, struct at_cursor c, uint32_t wire)
{
    switch (type) {
    case ETHERTYPE_IPV4:
        return is_ipv4(c, wire);
    case ETHERTYPE_IPV6:
        return is_ipv6(c, wire);
    case ETHERTYPE_ARP:
    case ETHERTYPE_RARP:
        return c.left >= 8 && c.p[4] <= 8 && c.p[5] <= 16;
    case ETHERTYPE_VLAN:
    case ETHERTYPE_QINQ:
    case ETHERTYPE_MPLS:
    case ETHERTYPE_MPLS_UPSTREAM:
    case 0x8863: /* PPPoE discovery */
    case ETHERTYPE_PPPOE:
    case 0x8809: /* slow protocols */
    case 0x888e: /* EAPOL */
    case 0x88cc: /* LLDP */
    case 0x9000: /* loopback */
        return true;
    default:
        return false;
    }
}

/* IEEE 802.3 with an LLC header: SNAP, spanning tree, NetBIOS, IPX, IS-IS. */
static bool is_llc(uint16_t length, struct at_cursor c, uint32_t wire)
{
    const uint8_t *p = at_take(&c, 3);

    return p != NULL && length >= 3 && length <= 1500 && length <= wire &&
           p[0] == p[1] &&
           (p[0] == 0xaa || p[0] == 0x42 || p[0] == 0xf0 || p[0] == 0xe0 ||
            p[0] == 0xfe);
}

/* BSD loopback: a family in the byte order of who wrote it, then IP. */
static bool is_loopback(struct at_cursor c, uint32_t wire)
{
    const uint8_t *p = at_take(&c, 4);
    const uint32_t family = p == NULL ? 0 : p[0] | p[3];

    return p != NULL && p[1] == 0 && p[2] == 0 && (p[0] == 0 || p[3] == 0) &&
           (family == 2 ? is_ipv4(c, wire)
                        : (family == 24 || family == 28 || family == 30) &&
                              is_ipv6(c, wire));
}

/* Whether the frame at 'c' can be of the link type. */
static bool fits(uint16_t linktype, struct at_cursor c, uint32_t wire)
{
    const uint8_t *p = c.p;
    struct at_link l;
    uint16_t type;

    if (linktype == AT_LINK_RAW)
        return is_ip(c, wire);
    if (linktype == AT_LINK_NULL)
        return wire > 4 && is_loopback(c, wire - 4);
    if (!at_link_of(&l, linktype) || at_take(&c, l.bytes) == NULL ||
        wire < l.bytes)
        return false;
    wire -= l.bytes;
    type = at_load_be16(p + l.type_at);
    if (linktype == AT_LINK_ETHERNET)
        return is_type(type, c, wire) || is_llc(type, c, wire);
    if (linktype == AT_LINK_LINUX_SLL)
        return at_load_be16(p) <= 4 && at_load_be16(p + 4) <= 8 &&
               is_type(type, c, wire);
    return at_load_be16(p + 2) == 0 && p[10] <= 4 && p[11] <= 8 &&
           is_type(type, c, wire);
}

static const uint16_t linktypes[] = {
    AT_LINK_ETHERNET,   AT_LINK_RAW,  AT_LINK_LINUX_SLL,
    AT_LINK_LINUX_SLL2, AT_LINK_NULL,
};

enum { LINKTYPES = sizeof(linktypes) / sizeof(linktypes[0]) };

/* ---- records --------------------------------------------------------- */

/* Records that follow each other, and what their frames look like. */
struct chain {
    unsigned n;
    unsigned fit[LINKTYPES];
    unsigned fine; /* fractions that no microsecond has */
    uint32_t most; /* captured bytes */
    uint32_t last; /* seconds of the last one */
};

/* The lengths and the time of a record, in the order of its file. */
struct record {
    uint32_t sec, frac, cap, wire;
};

static struct record record_at(const struct at_layout *layout, const uint8_t *p)
{
    uint32_t v[4];

    for (size_t i = 0; i < 4; i++)
        v[i] = layout->swapped ? at_load_be32(p + 4 * i)
                               : at_load_le32(p + 4 * i);
    return (struct record){v[0], v[1], v[2], v[3]};
}

static bool is_plausible(const struct at_layout *layout, const struct record *r)
{
    const uint32_t unit = layout->format == AT_FORMAT_PCAP ? NANOS : MICROS;

    return r->sec >= SECONDS_LEAST && r->sec <= SECONDS_MOST &&
           r->frac < unit && r->cap > 0 && r->cap <= r->wire &&
           r->wire <= SNAP_BYTES;
}

static bool follows(const struct chain *c, const struct record *r)
{
    return c->n == 0 ||
           (r->sec + STEP_BACK >= c->last && r->sec <= c->last + STEP_ON);
}

static void add(struct chain *c, const struct record *r, const uint8_t *frame)
{
    const struct at_cursor bytes = {.p = frame, .left = r->cap};

    for (size_t i = 0; i < LINKTYPES; i++)
        c->fit[i] += fits(linktypes[i], bytes, r->wire);
    c->n++;
    c->fine += r->frac >= MICROS;
    c->last = r->sec;
    if (r->cap > c->most)
        c->most = r->cap;
}

/* The records from 'p' on; with 'any' also those that are like none. */
static struct chain chain_at(const struct at_layout *layout, const uint8_t *p,
                             const uint8_t *end, bool any)
{
    const size_t header = layout->record_header;
    struct chain c = {.n = 0};

    while (c.n < CHAIN_MOST && (size_t)(end - p) >= header) {
        const struct record r = record_at(layout, p);

        if (any ? r.cap > layout->cap_limit
                : !is_plausible(layout, &r) || !follows(&c, &r))
            break;
        if (r.cap > (size_t)(end - p) - header)
            break;
        add(&c, &r, p + header);
        p += header + r.cap;
    }
    return c;
}

/* The link type that nearly all frames look like, or LINKTYPES. */
static size_t link_of_chain(const struct chain *c)
{
    size_t best = 0;

    for (size_t i = 1; i < LINKTYPES; i++)
        if (c->fit[i] > c->fit[best])
            best = i;
    return c->n >= CHAIN_LEAST && c->fit[best] >= c->n - c->n / MISFITS
               ? best
               : (size_t)LINKTYPES;
}

static bool is_good(const struct at_layout *layout, const struct chain *c)
{
    if (layout->format == AT_FORMAT_PCAP && c->fine <= c->n / 2)
        return false;
    return link_of_chain(c) < LINKTYPES;
}

/* ---- headers --------------------------------------------------------- */

/* The longest chain of records written in that way, and where it begins. */
static struct chain search(const struct at_layout *layout, const uint8_t *p,
                           size_t n, size_t *at)
{
    struct chain best = {.n = 0};

    for (size_t i = 0; i < n && i < SEARCH_BYTES && best.n < CHAIN_MOST; i++) {
        const struct chain c = chain_at(layout, p + i, p + n, false);

        if (c.n > best.n && is_good(layout, &c)) {
            best = c;
            *at = i;
        }
    }
    return best;
}

bool at_pcap_mend(struct at_layout *layout, const uint8_t *p, size_t n,
                  struct at_mend *mend)
{
    struct chain best = {.n = 0};

    for (unsigned way = 0; way < 8; way++) {
        struct at_layout l = {
            .format = way & 1 ? AT_FORMAT_PCAP : AT_FORMAT_PCAP_US,
            .swapped = (way & 2) != 0,
            .record_header = way & 4 ? AT_PCAP_RECORD + 8 : AT_PCAP_RECORD,
            .snap_bytes = SNAP_BYTES,
            .cap_limit = SNAP_BYTES,
        };
        size_t at = 0;
        const struct chain c = search(&l, p, n, &at);

        if (c.n <= best.n)
            continue;
        l.header_bytes = (uint16_t)at;
        l.linktype = linktypes[link_of_chain(&c)];
        *layout = l;
        best = c;
    }
    if (best.n > 0)
        *mend = (struct at_mend){"pcap header", 0, layout->header_bytes, true};
    return best.n > 0;
}

/* Numbers that stand for no link type. */
static bool is_unassigned(uint16_t linktype)
{
    return (linktype > 14 && linktype < 50) ||
           (linktype > 51 && linktype < 99) || linktype > 400;
}

/* How many frames are of the link type; all, if that cannot be told. */
static unsigned fit_of(const struct chain *c, uint16_t linktype)
{
    for (size_t i = 0; i < LINKTYPES; i++)
        if (linktypes[i] == linktype)
            return c->fit[i];
    return is_unassigned(linktype) ? 0 : c->n;
}

bool at_pcap_doubt(struct at_layout *layout, const uint8_t *p, size_t n,
                   struct at_mend *mend)
{
    const struct chain c = chain_at(layout, p + AT_PCAP_HEADER, p + n, true);
    const size_t link = link_of_chain(&c);

    if (link < LINKTYPES && fit_of(&c, layout->linktype) == 0) {
        layout->linktype = linktypes[link];
        layout->fcs.known = false;
        *mend = (struct at_mend){"link type", 20, 4, true};
        return true;
    }
    if (link < LINKTYPES && layout->snap_bytes > 0 &&
        c.most > layout->snap_bytes) {
        layout->snap_bytes = SNAP_BYTES;
        *mend = (struct at_mend){"snap length", 16, 4, false};
        return true;
    }
    return false;
}
