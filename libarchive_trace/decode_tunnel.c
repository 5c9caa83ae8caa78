/*
 * decode_tunnel.c - one tunnel deeper, and what ICMP errors quote
 *
 * What the transport header promises is looked for by a function of its own,
 * which leaves the cursor of an inner frame at its first byte.  The rest is
 * at_decode()'s work, from there to the end of the tunnel's packet.
 *
 * A port says little, so an inner frame is believed only if it makes sense:
 * see is_sensible().
 *
 * Sources are named with enum at_tunnel in archive_trace.h; besides: ERSPAN,
 * draft-foschiano-erspan-03; VXLAN-GPE, draft-ietf-nvo3-vxlan-gpe-12; WCCP,
 * draft-wilson-wrec-wccp-v2-01; ICMP extensions, RFC 4884.
 */
#include "decode.h"

enum {
    PROTO_IPV4 = 4,
    PROTO_IPV6 = 41,
    PROTO_GRE = 47,
    PROTO_AH = 51,
    PROTO_ETHERIP = 97,
    PROTO_MPLS = 137,
    PROTO_ETHERNET = 143,
};

/* What was found in a packet. */
struct found {
    struct at_cursor c; /* at its first byte; ends with the capture of it */
    uint32_t bytes;     /* from there on the wire; more if not known */
    uint16_t link;      /* as in struct at_headers */
    uint8_t tunnel;
    bool ip_only; /* anything else is a chance hit */
};

static bool found_as(struct found *f, enum at_tunnel tunnel, uint16_t link)
{
    f->tunnel = (uint8_t)tunnel;
    f->link = link;
    return !f->c.bad && f->c.left > 0;
}

/* IP of the version that its first byte says. */
static bool found_ip(struct found *f, enum at_tunnel tunnel)
{
    f->ip_only = true;
    return found_as(f, tunnel, AT_LINK_RAW);
}

/* The ethertypes that are known to stand in a tunnel's header. */
static bool found_by_type(struct found *f, enum at_tunnel tunnel, uint16_t type)
{
    switch (type) {
    case ETHERTYPE_ETHERNET:
        return found_as(f, tunnel, AT_LINK_ETHERNET);
    case ETHERTYPE_IPV4:
    case ETHERTYPE_IPV6:
    case ETHERTYPE_ARP:
    case ETHERTYPE_MPLS:
    case ETHERTYPE_MPLS_UPSTREAM:
    case ETHERTYPE_VLAN:
    case ETHERTYPE_QINQ:
        return found_as(f, tunnel, type);
    default:
        return false;
    }
}

/* ---- GRE ------------------------------------------------------------- */

enum {
    GRE_CHECKSUM = 0x8000,
    GRE_ROUTING = 0x4000,
    GRE_KEY = 0x2000,
    GRE_SEQUENCE = 0x1000,
    GRE_ACK = 0x0080, /* version 1 */
    GRE_VERSION = 0x0007,

    GRE_PPP = 0x880b,
    GRE_WCCP = 0x883e,
    GRE_ERSPAN = 0x88be,
    GRE_ERSPAN_III = 0x22eb,
};

/* Source routes are a list that ends with an empty one (RFC 1701). */
static void skip_routes(struct at_cursor *c)
{
    const uint8_t *p;

    do {
        p = at_take(c, 4);
        if (p == NULL)
            return;
    } while (at_take(c, p[3]) != NULL && (at_load_be16(p) != 0 || p[3] != 0));
}

/* Without a sequence number it is of type I, which has no header. */
static bool find_erspan(struct found *f, bool sequence)
{
    const uint8_t *p;

    if (!sequence)
        return found_as(f, AT_TUNNEL_ERSPAN, AT_LINK_ETHERNET);
    p = at_take(&f->c, 8);
    return p != NULL && p[0] >> 4 == 1 &&
           found_as(f, AT_TUNNEL_ERSPAN, AT_LINK_ETHERNET);
}

/* The frame's type is in bits 10 to 14 of the last word; its last bit says
 * that 8 bytes more follow. */
static bool find_erspan_iii(struct found *f)
{
    enum { FRAME_ETHERNET = 0, FRAME_IP = 2 };
    const uint8_t *p = at_take(&f->c, 12);

    if (p == NULL || p[0] >> 4 != 2)
        return false;
    if (p[11] & 1)
        at_take(&f->c, 8);
    if ((p[10] >> 2 & 31) == FRAME_IP)
        return found_ip(f, AT_TUNNEL_ERSPAN);
    return (p[10] >> 2 & 31) == FRAME_ETHERNET &&
           found_as(f, AT_TUNNEL_ERSPAN, AT_LINK_ETHERNET);
}

/* Version 2 of WCCP puts 4 bytes before the IP packet, version 1 none. */
static bool find_wccp(struct found *f)
{
    if (f->c.left > 0 && f->c.p[0] >> 4 != 4)
        at_take(&f->c, 4);
    return found_ip(f, AT_TUNNEL_GRE);
}

/* Without a sequence number there is only an acknowledgement. */
static bool find_pptp(struct found *f, uint16_t flags, uint16_t type)
{
    if (type != GRE_PPP || (flags & GRE_KEY) == 0 ||
        (flags & GRE_SEQUENCE) == 0)
        return false;
    at_take(&f->c, flags & GRE_ACK ? 12 : 8);
    return found_as(f, AT_TUNNEL_GRE, AT_LINK_PPP);
}

static bool find_gre(struct found *f)
{
    const uint16_t flags = at_take_be16(&f->c);
    const uint16_t type = at_take_be16(&f->c);

    if ((flags & GRE_VERSION) == 1)
        return find_pptp(f, flags, type);
    if (f->c.bad || (flags & GRE_VERSION) != 0)
        return false;
    if (flags & (GRE_CHECKSUM | GRE_ROUTING))
        at_take(&f->c, 4);
    if (flags & GRE_KEY)
        at_take(&f->c, 4);
    if (flags & GRE_SEQUENCE)
        at_take(&f->c, 4);
    if (flags & GRE_ROUTING)
        skip_routes(&f->c);
    switch (type) {
    case GRE_ERSPAN:
        return find_erspan(f, (flags & GRE_SEQUENCE) != 0);
    case GRE_ERSPAN_III:
        return find_erspan_iii(f);
    case GRE_WCCP:
        return find_wccp(f);
    case GRE_PPP:
        return found_as(f, AT_TUNNEL_GRE, AT_LINK_PPP);
    default: /* a keepalive has type 0 */
        return found_by_type(f, AT_TUNNEL_GRE, type);
    }
}

/* ---- by UDP port ----------------------------------------------------- */

static bool find_vxlan(struct found *f)
{
    enum { HAS_NETWORK = 8 };
    const uint8_t *p = at_take(&f->c, 8);

    if (p == NULL || (p[0] & HAS_NETWORK) == 0)
        return false;
    f->ip_only = p[7] != 0;
    return found_as(f, AT_TUNNEL_VXLAN, AT_LINK_ETHERNET);
}

static bool find_vxlan_gpe(struct found *f)
{
    enum { HAS_BOTH = 12, GPE_IPV4 = 1, GPE_IPV6 = 2, GPE_ETHERNET = 3 };
    const uint8_t *p = at_take(&f->c, 8);

    if (p == NULL || (p[0] & HAS_BOTH) != HAS_BOTH)
        return false;
    if (p[3] == GPE_IPV4 || p[3] == GPE_IPV6)
        return found_ip(f, AT_TUNNEL_VXLAN);
    return p[3] == GPE_ETHERNET &&
           found_as(f, AT_TUNNEL_VXLAN, AT_LINK_ETHERNET);
}

static bool find_geneve(struct found *f)
{
    const uint8_t *p = at_take(&f->c, 8);

    if (p == NULL || p[0] >> 6 != 0)
        return false;
    at_take(&f->c, (size_t)(p[0] & 0x3f) * 4);
    return found_by_type(f, AT_TUNNEL_GENEVE, at_load_be16(p + 2));
}

/* Extension headers count their length in words of 4, and end with the type
 * of the next. */
static void skip_gtp_extensions(struct at_cursor *c, uint8_t type)
{
    while (type != 0 && !c->bad) {
        const uint8_t words = c->left > 0 ? *c->p : 0;
        const uint8_t *p = at_take(c, (size_t)words * 4);

        if (p == NULL || words == 0) {
            c->bad = true;
            return;
        }
        type = p[words * 4 - 1];
    }
}

static bool find_gtp(struct found *f)
{
    enum { VERSION_1 = 0x30, VERSION = 0xf0, EXTENSION = 4, OPTIONS = 7 };
    enum { G_PDU = 255 };
    const uint8_t *p = at_take(&f->c, 8), *options;

    if (p == NULL || (p[0] & VERSION) != VERSION_1 || p[1] != G_PDU ||
        at_load_be16(p + 2) > f->bytes - 8)
        return false;
    if (p[0] & OPTIONS) {
        options = at_take(&f->c, 4);
        if (options != NULL && (p[0] & EXTENSION))
            skip_gtp_extensions(&f->c, options[3]);
    }
    return found_ip(f, AT_TUNNEL_GTP);
}

/* An authentication header, then the origin's address, each if it is there. */
static bool find_teredo(struct found *f)
{
    enum { ORIGIN = 0, AUTHENTICATION = 1 };
    const uint8_t *p = f->c.p;

    if (f->c.left >= 4 && at_load_be16(p) == AUTHENTICATION)
        at_take(&f->c, 4u + p[2] + p[3] + 9);
    p = f->c.p;
    if (!f->c.bad && f->c.left >= 2 && at_load_be16(p) == ORIGIN)
        at_take(&f->c, 8);
    return found_ip(f, AT_TUNNEL_TEREDO) && f->c.p[0] >> 4 == 6;
}

/* Only data messages of version 2. */
static bool find_l2tp(struct found *f)
{
    enum {
        CONTROL = 0x8000,
        LENGTH = 0x4000,
        SEQUENCE = 0x0800,
        OFFSET = 0x0200,
        RESERVED = 0x34f0,
        VERSION = 0x000f,
    };
    const uint16_t flags = at_take_be16(&f->c);

    if ((flags & (CONTROL | RESERVED)) != 0 || (flags & VERSION) != 2)
        return false;
    if ((flags & LENGTH) && at_take_be16(&f->c) > f->bytes)
        return false;
    at_take(&f->c, flags & SEQUENCE ? 8 : 4);
    if (flags & OFFSET)
        at_take(&f->c, at_take_be16(&f->c));
    f->ip_only = true;
    return found_as(f, AT_TUNNEL_L2TP, AT_LINK_PPP);
}

/* Whole IEEE 802.3 frames; native ones are of more kinds than one can tell. */
static bool find_capwap(struct found *f)
{
    enum { NATIVE = 1, FRAGMENT = 0x80, KEEPALIVE = 8 };
    const uint8_t *p = at_take(&f->c, 8);
    size_t header;

    if (p == NULL || p[0] != 0 || (p[2] & NATIVE) != 0 ||
        (p[3] & (FRAGMENT | KEEPALIVE)) != 0)
        return false;
    header = (size_t)(p[1] >> 3) * 4;
    if (header < 8 || at_take(&f->c, header - 8) == NULL)
        return false;
    f->ip_only = true;
    return found_as(f, AT_TUNNEL_CAPWAP, AT_LINK_ETHERNET);
}

static bool find_mpls(struct found *f)
{
    return found_as(f, AT_TUNNEL_MPLS, ETHERTYPE_MPLS);
}

static bool find_mpls_in_udp(struct found *f)
{
    f->ip_only = true;
    return find_mpls(f);
}

static const struct {
    uint16_t port;
    bool (*find)(struct found *f);
} by_port[] = {
    {1701, find_l2tp},        {2152, find_gtp},    {3544, find_teredo},
    {4789, find_vxlan},       {8472, find_vxlan}, /* as Linux has it unless told
                                                   */
    {4790, find_vxlan_gpe},   {5247, find_capwap}, {6081, find_geneve},
    {6635, find_mpls_in_udp},
};

enum { PORTS = sizeof(by_port) / sizeof(by_port[0]) };

static bool is_port_of_tunnel(uint16_t port)
{
    for (size_t i = 0; i < PORTS; i++)
        if (by_port[i].port == port)
            return true;
    return false;
}

static bool find_by_port(struct found *f, uint16_t port)
{
    for (size_t i = 0; i < PORTS; i++)
        if (by_port[i].port == port)
            return by_port[i].find(f);
    return false;
}

/* ---- by protocol ----------------------------------------------------- */

static bool find_etherip(struct found *f)
{
    return at_take_be16(&f->c) == 0x3000 &&
           found_as(f, AT_TUNNEL_ETHERIP, AT_LINK_ETHERNET);
}

/* IPv4 has no chain of headers; in IPv6 at_decode() has passed this one. */
static bool find_behind_ah(struct found *f)
{
    const uint8_t *p = at_take(&f->c, 8);

    if (p == NULL || at_take(&f->c, (size_t)p[1] * 4) == NULL)
        return false;
    if (p[0] != PROTO_IPV4 && p[0] != PROTO_IPV6)
        return false;
    return found_as(f, AT_TUNNEL_IP,
                    p[0] == PROTO_IPV4 ? ETHERTYPE_IPV4 : ETHERTYPE_IPV6);
}

bool at_tunnel_may_be(uint8_t proto, uint16_t sport, uint16_t dport)
{
    switch (proto) {
    case PROTO_IPV4:
    case PROTO_IPV6:
    case PROTO_GRE:
    case PROTO_AH:
    case PROTO_ETHERIP:
    case PROTO_MPLS:
    case PROTO_ETHERNET:
        return true;
    case PROTO_UDP:
        return is_port_of_tunnel(sport) || is_port_of_tunnel(dport);
    default:
        return false;
    }
}

/* UDP's own header is passed already. */
static bool find(struct found *f, const struct at_headers *h)
{
    const struct found before = *f;

    switch (h->proto) {
    case PROTO_IPV4:
        return found_as(f, AT_TUNNEL_IP, ETHERTYPE_IPV4);
    case PROTO_IPV6:
        return found_as(f, AT_TUNNEL_IP, ETHERTYPE_IPV6);
    case PROTO_GRE:
        return find_gre(f);
    case PROTO_AH:
        return find_behind_ah(f);
    case PROTO_ETHERIP:
        return find_etherip(f);
    case PROTO_MPLS:
        return find_mpls(f);
    case PROTO_ETHERNET:
        return found_as(f, AT_TUNNEL_ETHERIP, AT_LINK_ETHERNET);
    case PROTO_UDP:
        if (find_by_port(f, h->dport))
            return true;
        *f = before;
        return find_by_port(f, h->sport);
    default:
        return false;
    }
}

/* ---- decoding what was found ----------------------------------------- */

/*
 * Whether IP of a version and a length that can be was found; or else a
 * frame that is no IP at all, if that may be.  'end' is that of the tunnel's
 * packet, which is no bound where 'partial' says that it has lost its end.
 */
static bool is_sensible(const struct at_headers *h, const struct found *f,
                        uint64_t end, bool partial)
{
    const bool ip = h->ethertype == ETHERTYPE_IPV4 ||
                    h->ethertype == ETHERTYPE_IPV6;

    if (h->net == AT_NET_IPV4 || h->net == AT_NET_IPV6)
        return h->ip_bytes >= (h->net == AT_NET_IPV4 ? 20 : 40) &&
               (partial || (uint64_t)h->net_offset + h->ip_bytes <= end);
    if (h->net == AT_NET_ARP)
        return true;
    return !ip && !f->ip_only && (h->flags & AT_DECODED_CUT) == 0;
}

/* Where the IP packet of 'h' ends on the wire, never past the whole one. */
static uint64_t end_of(const struct at_headers *h, const struct at_packet *pkt,
                       bool *partial)
{
    const uint64_t end = (uint64_t)h->net_offset + h->ip_bytes;
    const uint64_t most = pkt->wire_bytes > pkt->cap_bytes ? pkt->wire_bytes
                                                           : pkt->cap_bytes;

    *partial = end > most || (h->flags & AT_DECODED_FRAGMENT) != 0;
    return end < most ? end : most;
}

/* A cursor from 'offset' to the end of what was captured of the packet. */
static struct at_cursor cursor_at(uint32_t offset, uint64_t end,
                                  const struct at_packet *pkt)
{
    const uint64_t stop = end < pkt->cap_bytes ? end : pkt->cap_bytes;

    return (struct at_cursor){
        .p = pkt->data + offset,
        .left = stop > offset ? (size_t)(stop - offset) : 0,
    };
}

static bool decode(struct at_headers *out, const struct at_headers *outer,
                   const struct at_packet *pkt, const struct found *f,
                   uint64_t end, bool partial)
{
    struct at_headers h = {
        .net = AT_NET_OTHER,
        .link = f->link,
        .tunnel = f->tunnel,
        .depth = (uint8_t)(outer->depth + 1),
    };
    struct at_way w = {
        .c = f->c,
        .frame = pkt->data,
        .wire_bytes = (uint32_t)end,
        .partial = partial,
        .h = &h,
    };

    h.link_offset = at_way_offset(&w);
    if (f->link < ETHERTYPE_LEAST)
        at_way_link(&w, f->link);
    else
        at_way_net(&w, f->link);
    at_way_mark_ports(&h);
    h.flags &= (uint8_t)~AT_DECODED_FOREIGN;
    if (!is_sensible(&h, f, end, partial))
        return false;
    *out = h;
    return true;
}

static bool can_go_deeper(const struct at_headers *h)
{
    return h->depth < AT_DEEPEST && h->transport_offset != 0 &&
           (h->flags & AT_DECODED_LATER) == 0;
}

bool at_decode_inner(struct at_headers *inner, const struct at_headers *outer,
                     const struct at_packet *pkt)
{
    struct found f = {.link = 0};
    uint32_t offset = outer->transport_offset;
    uint64_t end;
    bool partial;

    if (outer->proto == PROTO_TCP || !can_go_deeper(outer))
        return false;
    if (outer->proto == PROTO_UDP)
        offset = outer->payload_offset;
    if (offset == 0)
        return false;
    end = end_of(outer, pkt, &partial);
    f.c = cursor_at(offset, end, pkt);
    f.bytes = partial ? UINT32_MAX : (uint32_t)(end - offset);
    return find(&f, outer) && decode(inner, outer, pkt, &f, end, partial);
}

void at_packet_inside(struct at_packet *pkt, const struct at_headers *h)
{
    const uint32_t at = h->net_offset;
    const uint32_t wire = pkt->wire_bytes > at ? pkt->wire_bytes - at : 0;

    pkt->data += at;
    pkt->cap_bytes -= at;
    pkt->wire_bytes = h->ip_bytes > 0 && h->ip_bytes < wire ? h->ip_bytes
                                                            : wire;
    if (pkt->cap_bytes > pkt->wire_bytes)
        pkt->cap_bytes = pkt->wire_bytes;
    pkt->linktype = AT_LINK_RAW;
    pkt->edited = true;
}

/*
 * Errors have 8 bytes, of which one may tell the length of the quoted packet
 * in words of 4 (ICMP) or 8 bytes (ICMPv6); what follows it then is not of
 * it.
 */
static bool find_quoted(struct found *f, const struct at_headers *h)
{
    const uint8_t *p = at_take(&f->c, 8);
    size_t most;

    if (p == NULL)
        return false;
    f->ip_only = true;
    if (h->proto == PROTO_ICMP) {
        if (p[0] != 3 && p[0] != 4 && p[0] != 5 && p[0] != 11 && p[0] != 12)
            return false;
        most = p[0] == 4 || p[0] == 5 ? 0 : (size_t)p[5] * 4;
    } else {
        if (p[0] < 1 || p[0] > 4)
            return false;
        most = p[0] == 1 || p[0] == 3 ? (size_t)p[4] * 8 : 0;
    }
    if (most > 0 && most < f->c.left)
        f->c.left = most;
    return found_as(f, AT_TUNNEL_QUOTED,
                    h->proto == PROTO_ICMP ? ETHERTYPE_IPV4 : ETHERTYPE_IPV6);
}

bool at_decode_quoted(struct at_headers *quoted, const struct at_headers *outer,
                      const struct at_packet *pkt)
{
    struct found f = {.link = 0};
    uint64_t end;
    bool partial;

    if ((outer->proto != PROTO_ICMP && outer->proto != PROTO_ICMPV6) ||
        !can_go_deeper(outer))
        return false;
    end = end_of(outer, pkt, &partial);
    f.c = cursor_at(outer->transport_offset, end, pkt);
    return find_quoted(&f, outer) && decode(quoted, outer, pkt, &f, end, true);
}

const char *at_tunnel_name(enum at_tunnel tunnel)
{
    static const char *const names[] = {
        "",       "ip",  "etherip", "mpls", "gre",    "erspan", "vxlan",
        "geneve", "gtp", "teredo",  "l2tp", "capwap", "quoted",
    };

    return (unsigned)tunnel < sizeof(names) / sizeof(names[0]) ? names[tunnel]
                                                               : "";
}
