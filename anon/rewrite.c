/*
 * rewrite.c - a packet in which every address is another
 *
 * From the outside in: at_decode() says where the headers of a layer are, the
 * parser of each header rewrites it, and at_decode_inner() or
 * at_decode_quoted() finds the next layer in the packet as it was.  Then the
 * checksums of all layers are repaired, from the inside out.
 *
 * Only three things ever happen to a byte: a parser that knows its meaning
 * keeps or replaces it; the policy for payload decides about it; or it is cut
 * off together with all that follows.
 */
#include "rewrite.h"

#include "decode.h"

enum {
    PROTO_IGMP = 2,
    PROTO_ESP = 50,

    UDP_BYTES = 8,
    SCTP_BYTES = 12,
    ESP_BYTES = 8,
};

/* ---- what the parsers use -------------------------------------------- */

bool at_put_address(struct at_rewrite *r, uint64_t at, size_t bytes,
                    enum at_role role)
{
    if (!at_there(r, at, bytes)) {
        at_cut(r, at < r->end ? (uint32_t)at : r->end);
        return false;
    }
    if (r->swapped && role != AT_ROLE_NONE)
        role = role == AT_ROLE_SOURCE ? AT_ROLE_DESTINATION : AT_ROLE_SOURCE;
    at_mask_address(r->mask, r->now + at, bytes, role);
    at_touch(r, (uint32_t)(at + bytes));
    return true;
}

bool at_put_mac(struct at_rewrite *r, uint64_t at)
{
    if (!at_there(r, at, 6)) {
        at_cut(r, at < r->end ? (uint32_t)at : r->end);
        return false;
    }
    at_mask_mac(r->mask, r->now + at);
    at_touch(r, (uint32_t)at + 6);
    return true;
}

/* ---- payload --------------------------------------------------------- */

/* How much of it stays: the most that a rule for its ports says. */
static uint32_t bytes_to_keep(const struct at_rewrite *r)
{
    const struct at_policy *p = r->policy;
    uint32_t keep = 0;
    bool excepted = false;

    if ((r->h.flags & AT_DECODED_PORTS) == 0)
        return p->payload_keep;
    for (size_t i = 0; i < p->ports; i++) {
        const struct at_port_rule *rule = &p->port[i];

        if ((r->h.sport < rule->first || r->h.sport > rule->last) &&
            (r->h.dport < rule->first || r->h.dport > rule->last))
            continue;
        excepted = true;
        keep = rule->keep > keep ? rule->keep : keep;
    }
    return excepted ? keep : p->payload_keep;
}

void at_put_payload(struct at_rewrite *r, uint32_t at)
{
    const uint64_t from = (uint64_t)at + bytes_to_keep(r);
    const uint32_t start = from < r->end ? (uint32_t)from : r->end;

    if (start == r->end)
        return;
    switch (r->policy->payload) {
    case AT_PAYLOAD_DROP:
        at_cut(r, start);
        break;
    case AT_PAYLOAD_ZERO:
        at_blank(r, start, r->end - start);
        break;
    case AT_PAYLOAD_HASH:
        at_mask_hash(r->mask, r->now + start, r->end - start);
        at_touch(r, r->end);
        break;
    default:
        break;
    }
}

/* ---- transport ------------------------------------------------------- */

static bool has_port(const struct at_rewrite *r, uint16_t port)
{
    return r->h.sport == port || r->h.dport == port;
}

static void rewrite_udp(struct at_rewrite *r)
{
    const uint32_t at = r->h.transport_offset + UDP_BYTES;

    if (at >= r->end)
        return;
    /* A tunnel that nothing sensible was found in may hold half an address. */
    if (at_is_tunnel_port(r->h.sport) || at_is_tunnel_port(r->h.dport))
        at_cut_unknown(r, at);
    else if (r->policy->dhcp == AT_APP_REWRITE &&
             (has_port(r, 67) || has_port(r, 68)))
        at_rewrite_dhcp(r, at);
    else if (r->policy->dns == AT_APP_REWRITE &&
             (has_port(r, 53) || has_port(r, 5353)))
        at_rewrite_dns(r, at);
    else
        at_put_payload(r, at);
}

/* A layer that has no other in it. */
static void rewrite_transport(struct at_rewrite *r)
{
    const uint32_t at = r->h.transport_offset;
    const bool four = r->h.net == AT_NET_IPV4;

    switch (r->h.proto) {
    case PROTO_TCP:
        at_rewrite_tcp(r);
        return;
    case PROTO_UDP:
        rewrite_udp(r);
        return;
    case PROTO_SCTP: /* its chunks may hold addresses */
        at_cut_unknown(r, at + SCTP_BYTES);
        return;
    case PROTO_ESP:
        if (at_there(r, at, ESP_BYTES))
            at_put_payload(r, at + ESP_BYTES);
        return;
    }
    if (r->h.proto == PROTO_ICMP && four)
        at_rewrite_icmp(r, false);
    else if (r->h.proto == PROTO_ICMPV6 && !four)
        at_rewrite_icmpv6(r, false);
    else if (r->h.proto == PROTO_IGMP && four)
        at_rewrite_igmp(r);
    else
        at_cut_unknown(r, at);
}

/* ---- layers ---------------------------------------------------------- */

/* What an IP header says ends the packet; what follows in the frame is
 * padding, or a checksum of the frame as it was. */
static void end_packet(struct at_rewrite *r)
{
    const uint64_t end = (uint64_t)r->h.net_offset + r->h.ip_bytes;

    if (r->h.net != AT_NET_ARP && end < r->end)
        at_cut(r, (uint32_t)end);
}

/* What follows the quoted packet, where the error tells its length, is not of
 * it (RFC 4884): names and addresses of interfaces, for instance. */
static void end_quoted(struct at_rewrite *r)
{
    const uint8_t *p = r->pkt->data + r->h.transport_offset;
    const bool four = r->h.proto == PROTO_ICMP;
    const uint32_t bytes = four ? (uint32_t)p[5] * 4 : (uint32_t)p[4] * 8;
    const bool told = four ? p[0] == 3 || p[0] == 11 || p[0] == 12
                           : p[0] == 1 || p[0] == 3;

    if (told && bytes > 0)
        at_cut_unknown(r, r->h.transport_offset + 8 + bytes);
}

/* Goes into the packet that an error quotes, or the next tunnel. */
static bool go_deeper(struct at_rewrite *r)
{
    struct at_headers inner;
    const bool quoted = at_decode_quoted(&inner, &r->h, r->pkt);

    if (!quoted && !at_decode_inner(&inner, &r->h, r->pkt))
        return false;
    /* Both stop at what was captured, not at what was cut off since. */
    if (inner.link_offset >= r->end)
        return false;
    if (!quoted && !at_rewrite_tunnel(r, &inner))
        return false;
    if (quoted) {
        if (r->h.proto == PROTO_ICMP)
            at_rewrite_icmp(r, true);
        else
            at_rewrite_icmpv6(r, true);
        end_quoted(r);
        r->swapped = !r->swapped;
    }
    r->layer[r->layers++] = r->h;
    r->h = inner;
    return true;
}

/* A later fragment: nobody knows what it is a part of, so none of it stays. */
static void put_fragment(struct at_rewrite *r, uint32_t at)
{
    if (r->policy->payload == AT_PAYLOAD_ZERO && at < r->end)
        at_blank(r, at, r->end - at);
    else
        at_cut(r, at);
}

/* False where there is nothing more to look for. */
static bool rewrite_layer(struct at_rewrite *r)
{
    uint32_t end;

    at_rewrite_link(r);
    if (r->h.net == AT_NET_OTHER)
        return false;
    end_packet(r);
    end = at_rewrite_net(r);
    if (end == 0 || r->h.net == AT_NET_ARP)
        return false;
    if (r->h.transport_offset != 0 && r->h.transport_offset <= r->end)
        return true;
    put_fragment(r, end);
    return false;
}

/* ---- checksums ------------------------------------------------------- */

/* Where the checksum of a layer may have been written. */
static uint32_t checksum_end(const struct at_rewrite *r,
                             const struct at_headers *h)
{
    const uint32_t end = h->transport_offset + 20;

    return end < r->cap ? end : r->cap;
}

static void mend_layer(struct at_rewrite *r, const struct at_headers *h)
{
    if (r->policy->checksum_zero != 0)
        at_checksum_zero(r->pkt, h, r->now, r->cap);
    else
        at_checksum_repair(r->pkt, h, r->now, r->cap, r->changed);
    at_touch(r, checksum_end(r, h));
}

static void mend_checksums(struct at_rewrite *r)
{
    if (r->h.net != AT_NET_OTHER)
        mend_layer(r, &r->h);
    while (r->layers > 0)
        mend_layer(r, &r->layer[--r->layers]);
}

/* ---- whole packets --------------------------------------------------- */

static void expect_addresses(const struct at_rewrite *r)
{
    const size_t bytes = r->h.net == AT_NET_IPV6 ? 16 : 4;

    if (r->h.net == AT_NET_OTHER)
        return;
    at_mask_expect(r->mask, r->h.src, bytes, AT_ROLE_SOURCE);
    at_mask_expect(r->mask, r->h.dst, bytes, AT_ROLE_DESTINATION);
}

/*
 * Most packets are Ethernet with IPv4 that has no options and is no fragment,
 * and TCP or UDP that is no tunnel.  All they have is in its usual place: so
 * r->h becomes what at_decode() would make it, as far as anyone here asks.
 */
static bool is_usual(struct at_rewrite *r)
{
    enum { IP = 14, TRANSPORT = IP + 20, LEAST = TRANSPORT + 20 };
    const uint8_t *p = r->pkt->data;

    if (r->pkt->linktype != AT_LINK_ETHERNET || r->pkt->cap_bytes < LEAST ||
        at_load_be16(p + 12) != 0x0800 || p[IP] != 0x45 ||
        at_load_be16(p + IP + 2) < LEAST - IP ||
        (at_load_be16(p + IP + 6) & 0x3fff) != 0)
        return false;
    r->h = (struct at_headers){
        .link = AT_LINK_ETHERNET,
        .net = AT_NET_IPV4,
        .net_offset = IP,
        .ip_bytes = at_load_be16(p + IP + 2),
        .src = p + IP + 12,
        .dst = p + IP + 16,
        .proto = p[IP + 9],
        .transport_offset = TRANSPORT,
        .sport = at_load_be16(p + TRANSPORT),
        .dport = at_load_be16(p + TRANSPORT + 2),
        .flags = AT_DECODED_PORTS,
    };
    return r->h.proto == PROTO_TCP ||
           (r->h.proto == PROTO_UDP &&
            !at_tunnel_may_be(PROTO_UDP, r->h.sport, r->h.dport));
}

static void rewrite_usual(struct at_rewrite *r)
{
    expect_addresses(r);
    at_put_mac(r, 0);
    at_put_mac(r, 6);
    end_packet(r);
    at_rewrite_net(r);
    rewrite_transport(r);
}

static void rewrite_layers(struct at_rewrite *r)
{
    at_decode(&r->h, r->pkt);
    expect_addresses(r);
    while (rewrite_layer(r)) {
        if (go_deeper(r))
            continue;
        rewrite_transport(r);
        break;
    }
}

/* Layers are many, and written before they are read. */
static void begin(struct at_rewrite *r)
{
    r->cap = r->end = r->pkt->cap_bytes;
    r->changed = 0;
    r->layers = 0;
    r->unknown = r->swapped = false;
}

void at_rewrite_packet(struct at_rewrite *r)
{
    begin(r);
    if (is_usual(r))
        rewrite_usual(r);
    else
        rewrite_layers(r);
    mend_checksums(r);
}
