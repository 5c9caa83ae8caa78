/*
 * decode.c - from a frame to its network and transport headers
 *
 * The way down: link header, then any number of 802.1Q and 802.1ad tags, MPLS
 * labels and PPPoE session headers, then IPv4, IPv6 with its extension
 * headers, or ARP, then TCP, UDP, SCTP or ICMP.  Every step asks the cursor
 * first, so a packet that is cut anywhere gives what was there and the flag
 * AT_DECODED_CUT.
 *
 * Link headers of IEEE 802.11 are in decode_wlan.c, tunnels in
 * decode_tunnel.c.
 *
 * Sources: RFC 791, 8200, 4302 (AH), 9293, 768, 9260, 792, 4443, 826, 3032,
 * 2516, 1662, 1042; IEEE 802.1Q, 802.2; the LINKTYPE_ descriptions of
 * tcpdump.org.
 */
#include "decode.h"

#include "format.h"

enum {
    PROTO_HOP_BY_HOP = 0,
    PROTO_ROUTING = 43,
    PROTO_FRAGMENT = 44,
    PROTO_AH = 51,
    PROTO_DESTINATION = 60,
    PROTO_MOBILITY = 135,
    PROTO_HIP = 139,
    PROTO_SHIM6 = 140,

    MOST_EXTENSIONS = 64,

    LINK_RAW_BY_DLT = 12, /* raw IP as some write it, not as AT_LINK_RAW */
    LINK_RAW_BY_OPENBSD = 14,
};

/* Bytes on the wire from 'offset' on. */
static uint32_t wire_from(const struct at_way *w, uint32_t offset)
{
    return w->wire_bytes > offset ? w->wire_bytes - offset : 0;
}

/* ---- transport ------------------------------------------------------- */

static void decode_ports(struct at_way *w, const uint8_t *p)
{
    w->h->sport = at_load_be16(p);
    w->h->dport = at_load_be16(p + 2);
    w->h->flags |= AT_DECODED_PORTS;
}

/* 'header' of the 'bytes' that IP carries are not payload. */
static void set_payload(struct at_way *w, uint32_t bytes, uint32_t header)
{
    struct at_headers *h = w->h;

    if (header > bytes) {
        h->flags |= AT_DECODED_BAD;
        return;
    }
    h->payload_bytes = bytes - header;
    if (w->c.left + (at_way_offset(w) - h->transport_offset) >= header)
        h->payload_offset = h->transport_offset + header;
}

static void decode_tcp(struct at_way *w, uint32_t bytes)
{
    const uint8_t *p = at_way_take(w, 4);
    uint32_t header;

    if (p == NULL)
        return;
    decode_ports(w, p);
    p = at_way_take(w, 10);
    if (p == NULL)
        return;
    w->h->tcp_seq = at_load_be32(p);
    w->h->tcp_flags = p[9];
    header = (uint32_t)(p[8] >> 4) * 4;
    if (header < 20)
        w->h->flags |= AT_DECODED_BAD;
    else
        set_payload(w, bytes, header);
}

static void decode_udp(struct at_way *w, uint32_t bytes, uint32_t header)
{
    const uint8_t *p = at_way_take(w, 4);

    if (p == NULL)
        return;
    decode_ports(w, p);
    set_payload(w, bytes, header);
}

static void decode_icmp(struct at_way *w)
{
    const uint8_t *p = at_way_take(w, 2);

    if (p == NULL)
        return;
    w->h->sport = p[0];
    w->h->dport = p[1];
}

/* 'bytes' is what IP carries from here on, on the wire. */
static void decode_transport(struct at_way *w, uint32_t bytes)
{
    struct at_headers *h = w->h;

    if (h->flags & AT_DECODED_LATER)
        return;
    h->transport_offset = at_way_offset(w);
    switch (h->proto) {
    case PROTO_TCP:
        decode_tcp(w, bytes);
        break;
    case PROTO_UDP:
        decode_udp(w, bytes, 8);
        break;
    case PROTO_SCTP:
        decode_udp(w, bytes, 12);
        break;
    case PROTO_ICMP:
    case PROTO_ICMPV6:
        decode_icmp(w);
        break;
    }
}

/* ---- network --------------------------------------------------------- */

/*
 * A total length of 0 is what segmentation offload leaves: then, as the
 * kernel does, the rest of the frame counts.  The length may not go past the
 * frame either.
 */
static uint32_t ip_length(const struct at_way *w, uint32_t stated)
{
    const uint32_t most = wire_from(w, w->h->net_offset);

    if (stated > most && most > 0 && !w->partial)
        w->h->flags |= AT_DECODED_BAD;
    return stated == 0 ? most : stated;
}

static void decode_ipv4(struct at_way *w)
{
    struct at_headers *h = w->h;
    const uint8_t *p;
    uint32_t header, fragment;

    h->net_offset = at_way_offset(w);
    p = at_way_take(w, 20);
    if (p == NULL)
        return;
    header = (uint32_t)(p[0] & 15) * 4;
    if (p[0] >> 4 != 4 || header < 20) {
        h->flags |= AT_DECODED_BAD;
        return;
    }
    h->net = AT_NET_IPV4;
    h->proto = p[9];
    h->src = p + 12;
    h->dst = p + 16;
    h->ip_bytes = ip_length(w, at_load_be16(p + 2));
    fragment = at_load_be16(p + 6);
    if (fragment & 0x3fff) {
        h->flags |= AT_DECODED_FRAGMENT;
        h->datagram = at_load_be16(p + 4);
    }
    if (fragment & 0x1fff)
        h->flags |= AT_DECODED_LATER;
    if (h->ip_bytes < header)
        h->flags |= AT_DECODED_BAD;
    else if (at_way_take(w, header - 20) != NULL)
        decode_transport(w, h->ip_bytes - header);
}

static bool is_extension(uint8_t proto)
{
    return proto == PROTO_HOP_BY_HOP || proto == PROTO_ROUTING ||
           proto == PROTO_FRAGMENT || proto == PROTO_DESTINATION ||
           proto == PROTO_AH || proto == PROTO_MOBILITY || proto == PROTO_HIP ||
           proto == PROTO_SHIM6;
}

/* Steps over one extension header; false where it is cut or nonsense. */
static bool skip_extension(struct at_way *w)
{
    struct at_headers *h = w->h;
    const uint8_t *p = at_way_take(w, 8);
    const uint8_t proto = h->proto;
    size_t more;

    if (p == NULL)
        return false;
    h->flags |= AT_DECODED_CHAIN;
    h->proto = p[0];
    if (proto == PROTO_FRAGMENT) {
        h->flags |= AT_DECODED_FRAGMENT;
        h->datagram = at_load_be32(p + 4);
        if (at_load_be16(p + 2) & 0xfff8)
            h->flags |= AT_DECODED_LATER;
        return (h->flags & AT_DECODED_LATER) == 0;
    }
    more = proto == PROTO_AH ? (size_t)p[1] * 4 : (size_t)p[1] * 8;
    return at_way_take(w, more) != NULL;
}

static void decode_ipv6(struct at_way *w)
{
    struct at_headers *h = w->h;
    const uint8_t *p;
    uint32_t used;
    int extensions = 0;

    h->net_offset = at_way_offset(w);
    p = at_way_take(w, 40);
    if (p == NULL)
        return;
    if (p[0] >> 4 != 6) {
        h->flags |= AT_DECODED_BAD;
        return;
    }
    h->net = AT_NET_IPV6;
    h->proto = p[6];
    h->src = p + 8;
    h->dst = p + 24;
    h->ip_bytes = ip_length(
        w, at_load_be16(p + 4) > 0 ? at_load_be16(p + 4) + 40u : 0);
    while (is_extension(h->proto))
        if (!skip_extension(w) || ++extensions > MOST_EXTENSIONS)
            return;
    used = at_way_offset(w) - h->net_offset;
    if (h->ip_bytes < used)
        h->flags |= AT_DECODED_BAD;
    else
        decode_transport(w, h->ip_bytes - used);
}

/* Addresses are where libpcap looks for them: after 6-byte hardware ones. */
static void decode_arp(struct at_way *w)
{
    struct at_headers *h = w->h;
    const uint8_t *p;

    h->net_offset = at_way_offset(w);
    p = at_way_take(w, 28);
    if (p == NULL)
        return;
    if (at_load_be16(p + 2) != ETHERTYPE_IPV4 || p[4] != 6 || p[5] != 4) {
        h->flags |= AT_DECODED_BAD;
        return;
    }
    h->net = AT_NET_ARP;
    h->src = p + 14;
    h->dst = p + 24;
}

/* ---- between link and network ---------------------------------------- */

/* Raw IP tells its version itself. */
static void decode_ip(struct at_way *w)
{
    if (w->c.left == 0) {
        w->h->flags |= AT_DECODED_CUT;
    } else if (w->c.p[0] >> 4 == 6) {
        w->h->ethertype = ETHERTYPE_IPV6;
        decode_ipv6(w);
    } else {
        w->h->ethertype = ETHERTYPE_IPV4;
        decode_ipv4(w);
    }
}

static void decode_mpls(struct at_way *w)
{
    const uint8_t *p;

    w->h->flags |= AT_DECODED_TAGGED;
    do {
        p = at_way_take(w, 4);
        if (p == NULL)
            return;
    } while ((p[2] & 1) == 0);
    w->h->mpls = at_load_be32(p) >> 12;
    /* Only IP can be told from other payloads, by its version. */
    if (w->c.left == 0)
        w->h->flags |= AT_DECODED_CUT;
    else if (w->c.p[0] >> 4 == 4 || w->c.p[0] >> 4 == 6)
        decode_ip(w);
}

static void decode_ppp(struct at_way *w, uint16_t protocol)
{
    switch (protocol) {
    case PPP_IPV4:
        at_way_net(w, ETHERTYPE_IPV4);
        break;
    case PPP_IPV6:
        at_way_net(w, ETHERTYPE_IPV6);
        break;
    case PPP_MPLS:
        at_way_net(w, ETHERTYPE_MPLS);
        break;
    default:
        w->h->ethertype = protocol;
    }
}

static void decode_pppoe(struct at_way *w)
{
    const uint8_t *p = at_way_take(w, 8);

    if (p == NULL)
        return;
    w->h->flags |= AT_DECODED_TAGGED;
    decode_ppp(w, at_load_be16(p + 6));
}

static bool is_vlan(uint16_t ethertype)
{
    return ethertype == ETHERTYPE_VLAN || ethertype == ETHERTYPE_QINQ ||
           ethertype == ETHERTYPE_QINQ_OLD || ethertype == ETHERTYPE_QINQ_OLDER;
}

void at_way_net(struct at_way *w, uint16_t ethertype)
{
    struct at_headers *h = w->h;
    const uint8_t *p;

    while (is_vlan(ethertype)) {
        h->flags |= AT_DECODED_TAGGED;
        h->ethertype = ethertype;
        p = at_way_take(w, 4);
        if (p == NULL)
            return;
        h->inner_vlan = at_load_be16(p) & 0xfff;
        if (h->vlan == 0)
            h->vlan = h->inner_vlan;
        ethertype = at_load_be16(p + 2);
    }
    if (ethertype < ETHERTYPE_LEAST) {
        at_way_llc(w);
        return;
    }
    h->ethertype = ethertype;
    switch (ethertype) {
    case ETHERTYPE_IPV4:
        decode_ipv4(w);
        break;
    case ETHERTYPE_IPV6:
        decode_ipv6(w);
        break;
    case ETHERTYPE_ARP:
    case ETHERTYPE_RARP:
        decode_arp(w);
        break;
    case ETHERTYPE_MPLS:
    case ETHERTYPE_MPLS_UPSTREAM:
        decode_mpls(w);
        break;
    case ETHERTYPE_PPPOE:
        decode_pppoe(w);
        break;
    }
}

/*
 * IEEE 802.2, which tells no more than that there is a SNAP header with an
 * ethertype; that is looked into once, whatever is written there.  What has
 * no layer we know keeps the ethertype 0.
 */
void at_way_llc(struct at_way *w)
{
    struct at_headers *h = w->h;
    uint16_t ethertype;

    h->ethertype = 0;
    if (w->snap)
        return;
    if (w->c.left < 8) {
        if (wire_from(w, at_way_offset(w)) >= 8)
            h->flags |= AT_DECODED_CUT;
        return;
    }
    if (!at_is_snap(w->c.p))
        return;
    w->snap = true;
    ethertype = at_load_be16(w->c.p + 6);
    if (ethertype < ETHERTYPE_LEAST)
        return;
    at_way_take(w, 8);
    at_way_net(w, ethertype);
    h->flags |= AT_DECODED_FOREIGN; /* pcap filters do not look in there */
}

/* ---- link ------------------------------------------------------------ */

static void decode_ethertype_at(struct at_way *w, size_t header, size_t at)
{
    const uint8_t *p = at_way_take(w, header);

    if (p != NULL)
        at_way_net(w, at_load_be16(p + at));
}

/* Its types below 0x600 are Linux's own: 4 is IEEE 802.2. */
static void decode_sll(struct at_way *w, size_t header, size_t at)
{
    enum { LINUX_802_2 = 4 };
    const uint8_t *p = at_way_take(w, header);

    if (p == NULL)
        return;
    if (at_load_be16(p + at) >= ETHERTYPE_LEAST ||
        at_load_be16(p + at) == LINUX_802_2)
        at_way_net(w, at_load_be16(p + at));
}

static void decode_fddi(struct at_way *w)
{
    if (at_way_take(w, 13) != NULL)
        at_way_llc(w);
}

/* A whole ERF record as a frame; one in another is not looked into. */
static void decode_erf(struct at_way *w)
{
    static const struct at_layout layout = {.format = AT_FORMAT_ERF};
    struct at_packet record;

    if (w->c.left < AT_ERF_HEADER || w->c.left < at_load_be16(w->c.p + 10)) {
        w->h->flags |= AT_DECODED_CUT;
        return;
    }
    if (at_load_be16(w->c.p + 10) < AT_ERF_HEADER) {
        w->h->flags |= AT_DECODED_BAD;
        return;
    }
    at_erf_parse(&layout, w->c.p, &record);
    if (record.kind != AT_KIND_PACKET || record.linktype == AT_LINK_ERF)
        return;
    w->c = (struct at_cursor){.p = record.data, .left = record.cap_bytes};
    w->wire_bytes = at_way_offset(w) + record.wire_bytes;
    at_way_link(w, record.linktype);
}

/* The address family of the capturing system, in either byte order. */
static void decode_null(struct at_way *w)
{
    enum { BSD_INET6 = 24, FREEBSD_INET6 = 28, DARWIN_INET6 = 30 };
    const uint8_t *p = at_way_take(w, 4);
    uint32_t family;

    if (p == NULL)
        return;
    family = at_load_le32(p);
    if (family > 0xffff)
        family = at_load_be32(p);
    if (family == 2)
        at_way_net(w, ETHERTYPE_IPV4);
    else if (family == 10 || family == BSD_INET6 || family == FREEBSD_INET6 ||
             family == DARWIN_INET6)
        at_way_net(w, ETHERTYPE_IPV6);
}

/* RFC 1662 framing: address and control may be left out, protocol short. */
static void decode_ppp_link(struct at_way *w)
{
    const uint8_t *p;

    /* 0xff is no protocol, so alone it is the beginning of a cut frame. */
    if (w->c.left >= 1 && w->c.p[0] == 0xff &&
        (w->c.left == 1 || w->c.p[1] == 3) && at_way_take(w, 2) == NULL)
        return;
    if (w->c.left >= 1 && (w->c.p[0] & 1) != 0) {
        p = at_way_take(w, 1);
        decode_ppp(w, *p);
        return;
    }
    p = at_way_take(w, 2);
    if (p != NULL)
        decode_ppp(w, at_load_be16(p));
}

void at_way_link(struct at_way *w, uint16_t linktype)
{
    switch (linktype) {
    case AT_LINK_ETHERNET:
        decode_ethertype_at(w, 14, 12);
        break;
    case AT_LINK_LINUX_SLL:
        decode_sll(w, 16, 14);
        break;
    case AT_LINK_LINUX_SLL2:
        decode_sll(w, 20, 0);
        break;
    case AT_LINK_C_HDLC:
        decode_ethertype_at(w, 4, 2);
        break;
    case LINK_RAW_BY_DLT:
    case LINK_RAW_BY_OPENBSD:
    case AT_LINK_RAW:
    case AT_LINK_IPV4:
    case AT_LINK_IPV6:
        decode_ip(w);
        break;
    case AT_LINK_NULL:
    case AT_LINK_LOOP:
        decode_null(w);
        break;
    case AT_LINK_PPP:
    case AT_LINK_PPP_HDLC:
        decode_ppp_link(w);
        break;
    case AT_LINK_PPP_ETHER:
        decode_pppoe(w);
        break;
    case AT_LINK_ERF:
        decode_erf(w);
        break;
    case AT_LINK_FDDI:
        decode_fddi(w);
        break;
    case AT_LINK_ATM_RFC1483:
        at_way_llc(w);
        break;
    case AT_LINK_IEEE802_11:
    case AT_LINK_PRISM:
    case AT_LINK_RADIOTAP:
    case AT_LINK_AVS:
    case AT_LINK_PPI:
        at_way_wlan(w, linktype);
        break;
    }
}

/*
 * Whether libpcap gets to the same network layer by this link type.  PPP may
 * be framed in shorter ways, which libpcap does not know; then the network
 * layer is not at a multiple of 4, where labels leave it.
 */
static bool reads_alike(const struct at_headers *h, uint16_t linktype)
{
    switch (linktype) {
    case AT_LINK_ETHERNET:
    case AT_LINK_LINUX_SLL:
    case AT_LINK_LINUX_SLL2:
    case AT_LINK_C_HDLC:
    case LINK_RAW_BY_DLT:
    case AT_LINK_RAW:
        return true;
    case AT_LINK_PPP:
    case AT_LINK_PPP_HDLC:
        return h->net != AT_NET_OTHER && h->net_offset % 4 == 0;
    case AT_LINK_IPV4:
        return h->net == AT_NET_IPV4;
    case AT_LINK_IPV6:
        return h->net == AT_NET_IPV6;
    default:
        return false;
    }
}

/* What makes a filter's view of the packet uncertain. */
static void mark_doubts(struct at_headers *h, uint16_t linktype)
{
    at_way_mark_ports(h);
    if (!reads_alike(h, linktype))
        h->flags |= AT_DECODED_FOREIGN;
}

void at_decode(struct at_headers *h, const struct at_packet *pkt)
{
    struct at_way w = {
        .c = {.p = pkt->data, .left = pkt->cap_bytes},
        .frame = pkt->data,
        .wire_bytes = pkt->wire_bytes,
        .h = h,
    };

    *h = (struct at_headers){.net = AT_NET_OTHER, .link = pkt->linktype};
    if (pkt->kind != AT_KIND_PACKET)
        return;
    /* Of a record of ERF, and a cell of the cards before it, the frame is
     * what it carries; only elsewhere is it a record. */
    if (pkt->linktype == AT_LINK_ERF &&
        (pkt->format == AT_FORMAT_ERF || pkt->erf_type != 0))
        return;
    at_way_link(&w, pkt->linktype);
    mark_doubts(h, pkt->linktype);
}
