/*
 * sight_ndpi.c - a packet as nDPI's reader counts it
 *
 * nDPI's test results tell the flows of some hundred captures, with packets
 * and bytes.  To hold our table against them, packets must go the way that
 * ndpiReader takes them, which is not ours:
 *
 *   - the flow is that of the innermost packet of IP in IP, GRE, GTP-U, VXLAN,
 *     TZSP and CAPWAP, but of no other tunnel; its VLAN is the innermost;
 *   - only TCP and UDP have ports;
 *   - what is not captured as a whole is dropped, later fragments too;
 *   - what is behind a VLAN tag of another kind than 802.1Q is not seen.
 *
 * For tests: nothing that an archive keeps comes through here.
 */
#include <string.h>

#include "decode.h"
#include "sight.h"

enum {
    LEAST_BYTES = 28, /* of a frame */
    TZSP_PORT = 37008,
    CAPWAP_PORT = 5247,
    WLAN_BYTES = 24,
    LLC_BYTES = 8,
};

static bool is_ip(const struct at_headers *h)
{
    return h->net == AT_NET_IPV4 || h->net == AT_NET_IPV6;
}

static bool reads_link(uint16_t linktype)
{
    switch (linktype) {
    case AT_LINK_ETHERNET:
    case AT_LINK_NULL:
    case AT_LINK_PPP:
    case AT_LINK_PPP_HDLC:
    case AT_LINK_C_HDLC:
    case AT_LINK_IPV4:
    case AT_LINK_IPV6:
    case AT_LINK_LINUX_SLL:
    case AT_LINK_RADIOTAP:
    case AT_LINK_PPI:
    case AT_LINK_RAW:
        return true;
    default:
        return false;
    }
}

/* Any other tag than that of 802.1Q hides what is behind it. */
static bool hides(const struct at_packet *pkt)
{
    struct at_cursor c = {.p = pkt->data, .left = pkt->cap_bytes};
    uint16_t type;

    if (pkt->linktype != AT_LINK_ETHERNET || at_take(&c, 12) == NULL)
        return false;
    for (type = at_take_be16(&c); type == ETHERTYPE_VLAN && !c.bad;
         type = at_take_be16(&c))
        at_take(&c, 2);
    return type == ETHERTYPE_QINQ || type == ETHERTYPE_QINQ_OLD ||
           type == ETHERTYPE_QINQ_OLDER;
}

/* Whether the IP packet of 'h' was captured to its end. */
static bool is_whole(const struct at_headers *h, const struct at_packet *pkt)
{
    return (uint64_t)h->net_offset + h->ip_bytes <= pkt->cap_bytes;
}

/* ---- tunnels --------------------------------------------------------- */

/* Decodes the frame at 'offset' as one of 'linktype', inside of 'h'. */
static bool decode_at(struct at_headers *h, const struct at_packet *pkt,
                      uint32_t offset, uint16_t linktype)
{
    struct at_packet frame = *pkt;

    if (offset >= pkt->cap_bytes)
        return false;
    frame.data += offset;
    frame.cap_bytes -= offset;
    frame.wire_bytes = frame.cap_bytes;
    frame.linktype = linktype;
    at_decode(h, &frame);
    h->net_offset += offset;
    h->transport_offset += h->transport_offset > 0 ? offset : 0;
    h->payload_offset += h->payload_offset > 0 ? offset : 0;
    return true;
}

/* A list of tags stands before the Ethernet frame. */
static bool enter_tzsp(struct at_headers *h, const struct at_packet *pkt)
{
    enum { END = 1 };
    struct at_cursor c = {.p = pkt->data + h->payload_offset,
                          .left = pkt->cap_bytes - h->payload_offset};
    const uint8_t *p = at_take(&c, 4);

    if (p == NULL || memcmp(p, "\1\0\0\1", 4) != 0)
        return false;
    while ((p = at_take(&c, 1)) != NULL && *p > END)
        at_take(&c, c.left > 0 ? *c.p + 1u : 1);
    return p != NULL && !c.bad &&
           decode_at(h, pkt, (uint32_t)(c.p - pkt->data), AT_LINK_ETHERNET);
}

/*
 * Data frames of IEEE 802.11 with a header of one length; the two bytes of
 * frame control are the other way round, as Cisco sends them.
 */
static bool enter_capwap(struct at_headers *h, const struct at_packet *pkt)
{
    enum { TYPE = 0x0c, DATA = 8 };
    const uint8_t *p = pkt->data + h->payload_offset;
    uint32_t offset;

    if (h->payload_offset + 2 > pkt->cap_bytes || (p[0] & 15) != 0)
        return false;
    offset = h->payload_offset + (uint32_t)((p[1] & 0xf8) >> 1);
    if (offset + WLAN_BYTES + LLC_BYTES >= pkt->cap_bytes ||
        (pkt->data[offset + 1] & TYPE) != DATA)
        return false;
    return decode_at(h, pkt, offset + WLAN_BYTES + LLC_BYTES, AT_LINK_RAW);
}

static bool is_port(const struct at_headers *h, uint16_t port)
{
    return h->proto == PROTO_UDP && h->payload_offset > 0 &&
           (h->sport == port || h->dport == port);
}

/* Goes one tunnel deeper, if there is one that ndpiReader looks into. */
static bool enter(struct at_headers *h, const struct at_packet *pkt)
{
    struct at_headers inner;

    if (is_port(h, TZSP_PORT))
        return enter_tzsp(h, pkt);
    if (is_port(h, CAPWAP_PORT))
        return enter_capwap(h, pkt);
    if (!at_decode_inner(&inner, h, pkt) || !is_ip(&inner))
        return false;
    if (inner.tunnel != AT_TUNNEL_IP && inner.tunnel != AT_TUNNEL_GRE &&
        inner.tunnel != AT_TUNNEL_GTP && inner.tunnel != AT_TUNNEL_VXLAN)
        return false;
    *h = inner;
    return true;
}

/* Other protocols have none, nor has a transport header that is not whole. */
static bool has_ports(const struct at_headers *h)
{
    const uint32_t bytes = h->net_offset + h->ip_bytes - h->transport_offset;

    return h->transport_offset > 0 && ((h->proto == PROTO_TCP && bytes >= 20) ||
                                       (h->proto == PROTO_UDP && bytes >= 8));
}

bool at_sight_ndpi(struct at_headers *h, const struct at_packet *pkt)
{
    uint16_t vlan;

    if (pkt->cap_bytes < LEAST_BYTES || !reads_link(pkt->linktype) ||
        hides(pkt))
        return false;
    at_decode(h, pkt);
    vlan = h->inner_vlan;
    for (unsigned depth = 0;
         depth < AT_DEEPEST && is_ip(h) && is_whole(h, pkt) && enter(h, pkt);
         depth++)
        if (h->inner_vlan != 0)
            vlan = h->inner_vlan;
    if (!is_ip(h) || !is_whole(h, pkt) || (h->flags & AT_DECODED_LATER) != 0)
        return false;
    if (!has_ports(h))
        h->sport = h->dport = 0;
    h->flags |= AT_DECODED_PORTS;
    h->vlan = vlan;
    return true;
}
