/*
 * checksum.c - whether the checksums of a packet are right
 *
 * The internet checksum (RFC 1071) is a one's complement sum of 16-bit words,
 * and over a whole that contains its own complement it is 0xffff.  TCP, UDP
 * and ICMPv6 add a pseudo-header to what they carry: both addresses, the
 * length and the protocol.  SCTP has the CRC-32c (RFC 9260, appendix A).
 *
 * The addresses are those of the first sender and the last receiver, so a
 * source route or a home address stands in for what the IP header has now.
 *
 * Only bytes that were captured can be summed up; nothing is said of the
 * transport of a fragment, nor behind a route of an unknown kind.
 *
 * Sources: RFC 791, 768, 9293, 792, 4443, 8200 section 8.1, 9260; routes:
 * 2460 section 4.4, 6275, 8754.
 */
#include "bytes.h"
#include "process.h"

enum {
    PROTO_HOP_BY_HOP = 0,
    PROTO_ICMP = 1,
    PROTO_TCP = 6,
    PROTO_UDP = 17,
    PROTO_ROUTING = 43,
    PROTO_ICMPV6 = 58,
    PROTO_DESTINATION = 60,
    PROTO_SCTP = 132,

    IPV4_LOOSE_ROUTE = 131,
    IPV4_STRICT_ROUTE = 137,
    IPV6_HOME_ADDRESS = 201,
};

/* ---- sums ------------------------------------------------------------ */

/* Adds 'n' bytes to a sum that fold() makes 16 bits of; all but the last come
 * in fours. */
static uint64_t add_bytes(uint64_t sum, const uint8_t *p, size_t n)
{
    for (; n >= 16; n -= 16, p += 16)
        sum += (uint64_t)at_load_be32(p) + at_load_be32(p + 4) +
               at_load_be32(p + 8) + at_load_be32(p + 12);
    for (; n >= 4; n -= 4, p += 4)
        sum += at_load_be32(p);
    if (n >= 2)
        sum += (uint64_t)at_load_be16(p) << 16;
    if (n % 2 == 1)
        sum += n == 1 ? (uint64_t)p[0] << 24 : (uint64_t)p[2] << 8;
    return sum;
}

/* Without a loop, whose end a processor cannot guess. */
static uint32_t fold(uint64_t sum)
{
    sum = (sum & 0xffffffff) + (sum >> 32);
    sum = (sum & 0xffff) + (sum >> 16);
    sum = (sum & 0xffff) + (sum >> 16);
    return (uint32_t)((sum & 0xffff) + (sum >> 16));
}

static bool sums_up(uint64_t sum)
{
    return fold(sum) == 0xffff;
}

/* CRC-32c, four bits at a time; 'skip' and the three bytes after it, where the
 * sum itself stands, count as 0. */
static uint32_t crc32c(const uint8_t *p, size_t n, size_t skip)
{
    static const uint32_t table[16] = {
        0x00000000, 0x105ec76f, 0x20bd8ede, 0x30e349b1, 0x417b1dbc, 0x5125dad3,
        0x61c69362, 0x7198540d, 0x82f63b78, 0x92a8fc17, 0xa24bb5a6, 0xb21572c9,
        0xc38d26c4, 0xd3d3e1ab, 0xe330a81a, 0xf36e6f75};
    uint32_t crc = 0xffffffff;

    for (size_t i = 0; i < n; i++) {
        crc ^= i >= skip && i < skip + 4 ? 0 : p[i];
        crc = crc >> 4 ^ table[crc & 15];
        crc = crc >> 4 ^ table[crc & 15];
    }
    return ~crc;
}

/* ---- whose addresses ------------------------------------------------- */

/* The addresses of a pseudo-header: those of the sender and of the last
 * receiver, which a source route or a home address keeps elsewhere. */
struct ends {
    const uint8_t *src, *dst;
};

/* A route in 'n' bytes of IPv4 options that is not used up; false where they
 * make no sense. */
static bool ipv4_ends(struct ends *e, const uint8_t *option, size_t n)
{
    for (size_t at = 0; at < n && option[at] != 0;) {
        const uint8_t kind = option[at];
        const size_t bytes = kind == 1 || at + 1 >= n ? 1 : option[at + 1];

        if (kind != 1 && (bytes < 2 || bytes > n - at))
            return false;
        if (kind == IPV4_LOOSE_ROUTE || kind == IPV4_STRICT_ROUTE) {
            if (bytes < 3)
                return false;
            if (option[at + 2] <= bytes && bytes >= 7)
                e->dst = option + at + bytes - 4;
        }
        at += bytes;
    }
    return true;
}

/* The home address (RFC 6275 section 6.3) among destination options. */
static bool read_options(struct ends *e, const uint8_t *option, size_t n)
{
    for (size_t at = 0; at < n;) {
        const size_t bytes = option[at] == 0 || at + 1 >= n
                                 ? 1
                                 : (size_t)option[at + 1] + 2;

        if (bytes > n - at)
            return false;
        if (option[at] == IPV6_HOME_ADDRESS && bytes == 18)
            e->src = option + at + 2;
        at += bytes;
    }
    return true;
}

/* A routing header of 'n' bytes, not used up: of type 0 (RFC 2460), 2
 * (RFC 6275) or 4 (RFC 8754). */
static bool read_route(struct ends *e, const uint8_t *p, size_t n)
{
    enum { SOURCE = 0, MOBILE = 2, SEGMENTS = 4 };

    if (n < 24)
        return false;
    if (p[2] == SOURCE)
        e->dst = p + n - 16;
    else if (p[2] == MOBILE || p[2] == SEGMENTS)
        e->dst = p + 8;
    return p[2] == SOURCE || p[2] == MOBILE || p[2] == SEGMENTS;
}

static bool ipv6_ends(struct ends *e, const uint8_t *p, size_t n)
{
    struct at_cursor c = {.p = p + 40, .left = n - 40};
    uint8_t proto = p[6];

    while (proto == PROTO_HOP_BY_HOP || proto == PROTO_ROUTING ||
           proto == PROTO_DESTINATION) {
        const uint8_t *header = c.p;
        const size_t bytes = c.left < 8 ? 8 : (size_t)header[1] * 8 + 8;

        if (at_take(&c, bytes) == NULL)
            return false;
        if (proto == PROTO_ROUTING && header[3] != 0 &&
            !read_route(e, header, bytes))
            return false;
        if (proto == PROTO_DESTINATION &&
            !read_options(e, header + 2, bytes - 2))
            return false;
        proto = header[0];
    }
    return true;
}

/* The header at 'ip' is of 'n' bytes, with all that belongs to it. */
static bool find_ends(struct ends *e, const uint8_t *ip, size_t n,
                      const struct at_headers *h)
{
    *e = (struct ends){h->src, h->dst};
    return h->net == AT_NET_IPV4 ? ipv4_ends(e, ip + 20, n - 20)
                                 : ipv6_ends(e, ip, n);
}

/* ---- transport ------------------------------------------------------- */

static enum at_checksum verdict(bool right)
{
    return right ? AT_CHECKSUM_OK : AT_CHECKSUM_BAD;
}

static uint64_t pseudo_header(const struct at_headers *h, const struct ends *e,
                              size_t n)
{
    const size_t address = h->net == AT_NET_IPV4 ? 4 : 16;
    uint64_t sum = add_bytes(0, e->src, address);

    return add_bytes(sum, e->dst, address) + n + h->proto;
}

/* 'p' is the segment, of 'n' bytes, all captured. */
static enum at_checksum verify_segment(const struct at_headers *h,
                                       const struct ends *e, const uint8_t *p,
                                       size_t n, size_t least)
{
    if (n < least)
        return AT_CHECKSUM_UNVERIFIABLE;
    return verdict(sums_up(add_bytes(pseudo_header(h, e, n), p, n)));
}

/* UDP has its own length; what follows in the IP packet is none of it. */
static enum at_checksum verify_udp(const struct at_headers *h,
                                   const struct ends *e, const uint8_t *p,
                                   size_t n)
{
    size_t udp;

    if (n < 8)
        return AT_CHECKSUM_UNVERIFIABLE;
    if (at_load_be16(p + 6) == 0)
        return h->net == AT_NET_IPV4 ? AT_CHECKSUM_ABSENT : AT_CHECKSUM_BAD;
    udp = at_load_be16(p + 4);
    return udp > n ? AT_CHECKSUM_UNVERIFIABLE : verify_segment(h, e, p, udp, 8);
}

static enum at_checksum verify_sctp(const uint8_t *p, size_t n)
{
    if (n < 12)
        return AT_CHECKSUM_UNVERIFIABLE;
    return verdict(crc32c(p, n, 8) == at_load_le32(p + 8));
}

static enum at_checksum verify_message(const struct at_headers *h,
                                       const struct ends *e, const uint8_t *p,
                                       size_t n)
{
    switch (h->proto) {
    case PROTO_TCP:
        return verify_segment(h, e, p, n, 20);
    case PROTO_UDP:
        return verify_udp(h, e, p, n);
    case PROTO_ICMPV6:
        return verify_segment(h, e, p, n, 4);
    case PROTO_SCTP:
        return verify_sctp(p, n);
    default: /* ICMP */
        return n < 4 ? AT_CHECKSUM_UNVERIFIABLE
                     : verdict(sums_up(add_bytes(0, p, n)));
    }
}

static bool has_checksum(const struct at_headers *h)
{
    return h->proto == PROTO_TCP || h->proto == PROTO_UDP ||
           h->proto == PROTO_SCTP ||
           h->proto == (h->net == AT_NET_IPV4 ? PROTO_ICMP : PROTO_ICMPV6);
}

/* A length of 0 in the IP header is one that the network card fills in. */
static bool has_length(const uint8_t *ip, const struct at_headers *h)
{
    return at_load_be16(ip + (h->net == AT_NET_IPV4 ? 2 : 4)) != 0;
}

static enum at_checksum verify_transport(const struct at_packet *pkt,
                                         const struct at_headers *h)
{
    const uint64_t end = (uint64_t)h->net_offset + h->ip_bytes;
    const uint32_t at = h->transport_offset;
    const uint8_t *ip = pkt->data + h->net_offset;
    struct ends ends;

    if (!has_checksum(h))
        return AT_CHECKSUM_ABSENT;
    if ((h->flags & AT_DECODED_FRAGMENT) != 0 || at == 0 || end < at ||
        end > pkt->cap_bytes || !has_length(ip, h))
        return AT_CHECKSUM_UNVERIFIABLE;
    if (!find_ends(&ends, ip, at - h->net_offset, h))
        return AT_CHECKSUM_UNVERIFIABLE;
    return verify_message(h, &ends, pkt->data + at, (size_t)(end - at));
}

/* ---- both layers ----------------------------------------------------- */

static enum at_checksum verify_ipv4(const struct at_packet *pkt,
                                    const struct at_headers *h)
{
    const uint8_t *ip = pkt->data + h->net_offset;
    const size_t n = (size_t)(ip[0] & 15) * 4;

    if (n > pkt->cap_bytes - h->net_offset)
        return AT_CHECKSUM_UNVERIFIABLE;
    return verdict(sums_up(add_bytes(0, ip, n)));
}

struct at_checksums at_checksum_verify(const struct at_packet *pkt,
                                       const struct at_headers *h)
{
    struct at_checksums sums = {AT_CHECKSUM_ABSENT, AT_CHECKSUM_ABSENT};

    if (h->net == AT_NET_IPV4)
        sums.network = (uint8_t)verify_ipv4(pkt, h);
    if (h->net == AT_NET_IPV4 || h->net == AT_NET_IPV6)
        sums.transport = (uint8_t)verify_transport(pkt, h);
    else if ((h->flags & AT_DECODED_CUT) != 0)
        sums.network = AT_CHECKSUM_UNVERIFIABLE;
    return sums;
}

enum at_checksum at_checksum_overall(struct at_checksums sums)
{
    static const enum at_checksum order[] = {
        AT_CHECKSUM_BAD, AT_CHECKSUM_UNVERIFIABLE, AT_CHECKSUM_OK};

    for (size_t i = 0; i < sizeof(order) / sizeof(order[0]); i++)
        if (sums.network == order[i] || sums.transport == order[i])
            return order[i];
    return AT_CHECKSUM_ABSENT;
}

/* ---- repair ---------------------------------------------------------- */

/* A checksum: where it stands, and what it covers. */
struct field {
    uint32_t at;
    uint32_t from, end;
    bool pseudo; /* and both addresses */
    bool udp;    /* 0 means that there is none */
};

/* Where the transport has its checksum; false where it has none of 16 bits. */
static bool find_field(struct field *f, const struct at_packet *pkt,
                       const struct at_headers *h)
{
    enum { IGMP = 2, GRE = 47, GRE_CHECKSUM = 0x80 };
    const uint32_t at = h->transport_offset;
    const bool four = h->net == AT_NET_IPV4;

    *f = (struct field){.from = at, .end = h->net_offset + h->ip_bytes};
    switch (h->proto) {
    case PROTO_TCP:
        f->at = at + 16;
        f->pseudo = true;
        return true;
    case PROTO_UDP:
        f->at = at + 6;
        f->pseudo = f->udp = true;
        if (at + 6 <= pkt->cap_bytes)
            f->end = at + at_load_be16(pkt->data + at + 4);
        return true;
    case PROTO_ICMP:
    case IGMP:
        f->at = at + 2;
        return four;
    case PROTO_ICMPV6:
        f->at = at + 2;
        f->pseudo = true;
        return !four;
    case GRE:
        f->at = at + 4;
        return at < pkt->cap_bytes && (pkt->data[at] & GRE_CHECKSUM) != 0;
    default:
        return false;
    }
}

static uint32_t least(uint32_t a, uint32_t b)
{
    return a < b ? a : b;
}

/*
 * HC' = ~(~HC + ~m + m') of RFC 1624, with sums for m: so a checksum that was
 * off by something stays off by the same.  Both sums are over what a field
 * covers, the checksum itself in both of them as it was.
 */
struct change {
    uint64_t was, is;
};

/* Adds the same 'n' bytes to either sum. */
static inline void add_change(struct change *c, const uint8_t *was,
                              const uint8_t *is, size_t n)
{
    const size_t odd = n % 4;

    for (; n >= 4; n -= 4, was += 4, is += 4) {
        c->was += at_load_be32(was);
        c->is += at_load_be32(is);
    }
    if (odd > 0) {
        c->was = add_bytes(c->was, was, odd);
        c->is = add_bytes(c->is, is, odd);
    }
}

static void repair_field(uint8_t *p, struct change c)
{
    const uint32_t old = at_load_be16(p);

    at_store_be16(
        p, (uint16_t)~fold((~old & 0xffff) + (~fold(c.was) & 0xffff) + c.is));
}

static void repair_ipv4(const struct at_packet *pkt, const struct at_headers *h,
                        uint8_t *now, uint32_t bytes)
{
    const uint32_t at = h->net_offset;
    const uint32_t n = (uint32_t)(pkt->data[at] & 15) * 4;
    struct change c = {0, 0};

    add_change(&c, pkt->data + at, now + at, 20);
    if (n > 20)
        add_change(&c, pkt->data + at + 20, now + at + 20,
                   least(n, bytes - at) - 20);
    repair_field(now + at + 10, c);
}

static void add_ends(struct change *c, const struct at_packet *pkt,
                     const struct at_headers *h, const struct ends *e,
                     const uint8_t *now)
{
    const uint8_t *src = now + (e->src - pkt->data);
    const uint8_t *dst = now + (e->dst - pkt->data);

    if (h->net == AT_NET_IPV4) {
        add_change(c, e->src, src, 4);
        add_change(c, e->dst, dst, 4);
    } else {
        add_change(c, e->src, src, 16);
        add_change(c, e->dst, dst, 16);
    }
}

static void repair_transport(const struct at_packet *pkt,
                             const struct at_headers *h, uint8_t *now,
                             uint32_t bytes, uint32_t changed)
{
    const uint32_t at = h->transport_offset;
    struct change c = {0, 0};
    struct field f;
    struct ends ends;
    uint32_t end;

    if (at == 0 || !find_field(&f, pkt, h) || f.at + 2 > bytes ||
        (f.udp && at_load_be16(now + f.at) == 0))
        return;
    end = least(least(bytes, changed), f.end);
    if (f.pseudo &&
        find_ends(&ends, pkt->data + h->net_offset, at - h->net_offset, h))
        add_ends(&c, pkt, h, &ends, now);
    if (end > f.from)
        add_change(&c, pkt->data + f.from, now + f.from, end - f.from);
    repair_field(now + f.at, c);
    if (f.udp && at_load_be16(now + f.at) == 0)
        at_store_be16(now + f.at, 0xffff);
}

void at_checksum_repair(const struct at_packet *pkt, const struct at_headers *h,
                        uint8_t *now, uint32_t bytes, uint32_t changed)
{
    if (h->net == AT_NET_IPV4 && (uint64_t)h->net_offset + 20 <= bytes)
        repair_ipv4(pkt, h, now, bytes);
    if (h->net == AT_NET_IPV4 || h->net == AT_NET_IPV6)
        repair_transport(pkt, h, now, bytes, changed);
}

void at_checksum_zero(const struct at_packet *pkt, const struct at_headers *h,
                      uint8_t *now, uint32_t bytes)
{
    struct field f;

    if (h->net == AT_NET_IPV4 && (uint64_t)h->net_offset + 20 <= bytes)
        at_store_be16(now + h->net_offset + 10, 0);
    if ((h->net == AT_NET_IPV4 || h->net == AT_NET_IPV6) &&
        h->transport_offset > 0 && find_field(&f, pkt, h) && f.at + 2 <= bytes)
        at_store_be16(now + f.at, 0);
}
