/*
 * decode.h - between the files that take packets apart
 *
 * A way is where the decoder has come to in a packet.  The functions go on
 * from there and put what they find into w->h.
 */
#ifndef AT_DECODE_H
#define AT_DECODE_H

#include <string.h>

#include "archive_trace.h"
#include "bytes.h"

enum {
    ETHERTYPE_IPV4 = 0x0800,
    ETHERTYPE_ARP = 0x0806,
    ETHERTYPE_RARP = 0x8035,
    ETHERTYPE_ETHERNET = 0x6558, /* in GRE and Geneve */
    ETHERTYPE_VLAN = 0x8100,
    ETHERTYPE_IPV6 = 0x86dd,
    ETHERTYPE_MPLS = 0x8847,
    ETHERTYPE_MPLS_UPSTREAM = 0x8848,
    ETHERTYPE_PPPOE = 0x8864,
    ETHERTYPE_QINQ = 0x88a8,
    ETHERTYPE_QINQ_OLD = 0x9100,
    ETHERTYPE_QINQ_OLDER = 0x9200,
    ETHERTYPE_LEAST = 0x0600, /* below: a length, so IEEE 802.3 */

    PPP_IPV4 = 0x0021,
    PPP_IPV6 = 0x0057,
    PPP_MPLS = 0x0281,

    PROTO_ICMP = 1,
    PROTO_TCP = 6,
    PROTO_UDP = 17,
    PROTO_ICMPV6 = 58,
    PROTO_SCTP = 132,
};

struct at_way {
    struct at_cursor c;
    const uint8_t *frame; /* pkt->data, which offsets count from */
    uint32_t wire_bytes;  /* offset of the end on the wire */
    bool partial;         /* IP packets may be longer than that */
    bool snap;            /* one SNAP header was passed */
    struct at_headers *h;
};

static inline uint32_t at_way_offset(const struct at_way *w)
{
    return (uint32_t)(w->c.p - w->frame);
}

/* 'n' bytes, or NULL with the mark of a cut packet. */
static inline const uint8_t *at_way_take(struct at_way *w, size_t n)
{
    const uint8_t *p = at_take(&w->c, n);

    if (p == NULL)
        w->h->flags |= AT_DECODED_CUT;
    return p;
}

/* IEEE 802.2 unnumbered information with a SNAP header that has an ethertype:
 * OUI 0, or that of IEEE 802.1H tunnels. */
static inline bool at_is_snap(const uint8_t *p)
{
    return memcmp(p, "\xaa\xaa\x03\0\0", 5) == 0 && (p[5] == 0 || p[5] == 0xf8);
}

/* TCP, UDP or SCTP without their ports is a contradiction. */
static inline void at_way_mark_ports(struct at_headers *h)
{
    const bool ported = h->proto == PROTO_TCP || h->proto == PROTO_UDP ||
                        h->proto == PROTO_SCTP;

    if (ported && (h->flags & (AT_DECODED_PORTS | AT_DECODED_LATER)) == 0)
        h->flags |= AT_DECODED_BAD;
}

void at_way_link(struct at_way *w, uint16_t linktype);
void at_way_llc(struct at_way *w);
void at_way_net(struct at_way *w, uint16_t ethertype);
void at_way_wlan(struct at_way *w, uint16_t linktype);

/* Whether at_decode_inner() can find anything in IP packets of that protocol
 * and those ports. */
bool at_tunnel_may_be(uint8_t proto, uint16_t sport, uint16_t dport);

#endif
