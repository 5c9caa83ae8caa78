/*
 * rewrite_ip.c - IPv4, IPv6, ARP and TCP, with all their options
 *
 * Options that are known to be numbers stay, those known to hold addresses
 * have them replaced, and of all others only kind and length are left.
 *
 * Sources: RFC 791, 1393 (traceroute), 8200, 4302, 6275 (home address), 8754
 * (segment routing), 826, 9293, 7323, 2018, 8684 (multipath TCP).
 */
#include "rewrite.h"

enum {
    IPV4_BYTES = 20,
    IPV6_BYTES = 40,
    ARP_BYTES = 28,
    TCP_BYTES = 20,

    PROTO_HOP_BY_HOP = 0,
    PROTO_ROUTING = 43,
    PROTO_FRAGMENT = 44,
    PROTO_AH = 51,
    PROTO_DESTINATION = 60,
    PROTO_MOBILITY = 135,
    PROTO_HIP = 139,
    PROTO_SHIM6 = 140,
};

/* ---- lists of options ------------------------------------------------ */

/* Options of one byte, and the way others are told from each other. */
struct list {
    uint32_t end;     /* of all of them, as the header says */
    uint8_t one[2];   /* kinds that have no length; in [0] one that ends it */
    bool ends;        /* one[0] does */
    uint8_t overhead; /* bytes that the length does not count */
    void (*option)(struct at_rewrite *r, uint32_t at, uint32_t bytes);
};

/* From 'at' on they are of no known form, or were not captured. */
static void give_up(struct at_rewrite *r, const struct list *l, uint32_t at)
{
    if (l->end > r->end)
        at_cut(r, at);
    else
        at_blank(r, at, l->end - at);
}

static void rewrite_options(struct at_rewrite *r, const struct list *l,
                            uint32_t at)
{
    const uint8_t *p = r->pkt->data;

    while (at < l->end && at < r->end) {
        uint32_t bytes;

        if (l->ends && p[at] == l->one[0]) {
            give_up(r, l, at);
            return;
        }
        if (p[at] == l->one[0] || p[at] == l->one[1]) {
            at++;
            continue;
        }
        bytes = at_there(r, at, 2) ? (uint32_t)p[at + 1] + l->overhead : 0;
        if (bytes < 2 || bytes > l->end - at || !at_there(r, at, bytes)) {
            give_up(r, l, at);
            return;
        }
        l->option(r, at, bytes);
        at += bytes;
    }
}

/* ---- IPv4 ------------------------------------------------------------ */

static void put_each(struct at_rewrite *r, uint32_t at, uint32_t end,
                     uint32_t step)
{
    for (; at + 4 <= end; at += step)
        at_put_address(r, at, 4, AT_ROLE_DESTINATION);
    if (at < end)
        at_blank(r, at, end - at);
}

static void ipv4_option(struct at_rewrite *r, uint32_t at, uint32_t bytes)
{
    enum { RECORD = 7, TIMESTAMP = 68, TRACEROUTE = 82, SECURITY = 130 };
    enum { LOOSE = 131, STREAM = 136, STRICT = 137, ALERT = 148 };
    const uint8_t *p = r->pkt->data + at;

    switch (p[0]) {
    case RECORD:
    case LOOSE:
    case STRICT:
        if (bytes > 3)
            put_each(r, at + 3, at + bytes, 4);
        break;
    case TIMESTAMP: /* with addresses unless its flag is 0 */
        if (bytes > 4 && (p[3] & 15) != 0)
            put_each(r, at + 4, at + bytes, 8);
        break;
    case TRACEROUTE:
        if (bytes == 12)
            at_put_address(r, at + 8, 4, AT_ROLE_SOURCE);
        else
            at_blank(r, at + 2, bytes - 2);
        break;
    case SECURITY:
    case STREAM:
    case ALERT:
        break;
    default:
        at_blank(r, at + 2, bytes - 2);
    }
}

static void rewrite_id(struct at_rewrite *r, uint32_t at)
{
    if (r->policy->ip_id == AT_FIELD_KEEP)
        return;
    at_store_be16(r->now + at,
                  r->policy->ip_id == AT_FIELD_ZERO
                      ? 0
                      : at_mask_number(r->mask, at_load_be16(r->now + at)));
    at_touch(r, at + 2);
}

static uint32_t rewrite_ipv4(struct at_rewrite *r)
{
    const uint32_t at = r->h.net_offset;
    const struct list options = {
        .end = at + (uint32_t)(r->pkt->data[at] & 15) * 4,
        .one = {0, 1},
        .ends = true,
        .option = ipv4_option,
    };

    if (!at_there(r, at, IPV4_BYTES)) {
        at_cut(r, at);
        return 0;
    }
    rewrite_id(r, at + 4);
    at_put_address(r, at + 12, 4, AT_ROLE_SOURCE);
    at_put_address(r, at + 16, 4, AT_ROLE_DESTINATION);
    rewrite_options(r, &options, at + IPV4_BYTES);
    return options.end <= r->end ? options.end : 0;
}

/* ---- IPv6 ------------------------------------------------------------ */

static void ipv6_option(struct at_rewrite *r, uint32_t at, uint32_t bytes)
{
    enum { PAD_N = 1, ENCAPSULATION_LIMIT = 4, ROUTER_ALERT = 5 };
    enum { QUICK_START = 0x26, JUMBO = 0xc2, HOME_ADDRESS = 0xc9 };

    switch (r->pkt->data[at]) {
    case ENCAPSULATION_LIMIT:
    case ROUTER_ALERT:
    case QUICK_START:
    case JUMBO:
        break;
    case HOME_ADDRESS:
        if (bytes == 18)
            at_put_address(r, at + 2, 16, AT_ROLE_SOURCE);
        else
            at_blank(r, at + 2, bytes - 2);
        break;
    case PAD_N:
    default:
        at_blank(r, at + 2, bytes - 2);
    }
}

static void rewrite_ipv6_options(struct at_rewrite *r, uint32_t at,
                                 uint32_t bytes)
{
    const struct list options = {
        .end = at + bytes,
        .one = {0, 0},
        .overhead = 2,
        .option = ipv6_option,
    };

    rewrite_options(r, &options, at + 2);
}

/* A routing header of type 0, 2 or 4; others may hold parts of addresses. */
static bool rewrite_route(struct at_rewrite *r, uint32_t at, uint32_t bytes)
{
    enum { SOURCE = 0, MOBILE = 2, SEGMENTS = 4 };
    const uint8_t *p = r->pkt->data + at;
    uint32_t n = (bytes - 8) / 16;

    if (p[2] != SOURCE && p[2] != MOBILE && p[2] != SEGMENTS)
        return false;
    if (p[2] == SEGMENTS && (uint32_t)p[4] + 1 < n)
        n = (uint32_t)p[4] + 1;
    for (uint32_t i = 0; i < n; i++)
        at_put_address(r, at + 8 + 16 * i, 16, AT_ROLE_DESTINATION);
    at_blank(r, at + 8 + 16 * n, bytes - 8 - 16 * n);
    return true;
}

static bool is_extension(uint8_t proto)
{
    return proto == PROTO_HOP_BY_HOP || proto == PROTO_ROUTING ||
           proto == PROTO_FRAGMENT || proto == PROTO_AH ||
           proto == PROTO_DESTINATION || proto == PROTO_MOBILITY ||
           proto == PROTO_HIP || proto == PROTO_SHIM6;
}

static uint32_t extension_bytes(const uint8_t *p, uint8_t proto)
{
    if (proto == PROTO_FRAGMENT)
        return 8;
    return proto == PROTO_AH ? ((uint32_t)p[1] + 2) * 4
                             : ((uint32_t)p[1] + 1) * 8;
}

/* The extension header at 'at', which is all there. */
static bool rewrite_extension(struct at_rewrite *r, uint32_t at, uint8_t proto,
                              uint32_t bytes)
{
    switch (proto) {
    case PROTO_HOP_BY_HOP:
    case PROTO_DESTINATION:
        rewrite_ipv6_options(r, at, bytes);
        return true;
    case PROTO_ROUTING:
        return rewrite_route(r, at, bytes);
    case PROTO_FRAGMENT:
    case PROTO_AH:
        return true;
    default: /* mobility, HIP, Shim6: addresses in places of their own */
        return false;
    }
}

/* Goes on as long as at_decode() does: to the transport, to the end, or to a
 * fragment that has none. */
static uint32_t rewrite_chain(struct at_rewrite *r, uint32_t at, uint8_t proto)
{
    const uint32_t stop = r->h.transport_offset;

    while (is_extension(proto) && (stop == 0 || at < stop)) {
        const uint8_t *p = r->pkt->data + at;
        uint32_t bytes;

        if (!at_there(r, at, 8)) {
            at_cut(r, at);
            return 0;
        }
        bytes = extension_bytes(p, proto);
        if (!at_there(r, at, bytes)) {
            at_cut(r, at);
            return 0;
        }
        if (!rewrite_extension(r, at, proto, bytes)) {
            at_cut_unknown(r, at);
            return 0;
        }
        if (proto == PROTO_FRAGMENT && (r->h.flags & AT_DECODED_LATER) != 0)
            return at + bytes;
        proto = p[0];
        at += bytes;
    }
    return at;
}

static uint32_t rewrite_ipv6(struct at_rewrite *r)
{
    const uint32_t at = r->h.net_offset;

    if (!at_there(r, at, IPV6_BYTES)) {
        at_cut(r, at);
        return 0;
    }
    at_put_address(r, at + 8, 16, AT_ROLE_SOURCE);
    at_put_address(r, at + 24, 16, AT_ROLE_DESTINATION);
    return rewrite_chain(r, at + IPV6_BYTES, r->pkt->data[at + 6]);
}

/* ---- ARP ------------------------------------------------------------- */

static uint32_t rewrite_arp(struct at_rewrite *r)
{
    const uint32_t at = r->h.net_offset;

    if (!at_there(r, at, ARP_BYTES)) {
        at_cut(r, at);
        return 0;
    }
    at_put_mac(r, at + 8);
    at_put_address(r, at + 14, 4, AT_ROLE_SOURCE);
    at_put_mac(r, at + 18);
    at_put_address(r, at + 24, 4, AT_ROLE_DESTINATION);
    at_cut(r, at + ARP_BYTES);
    return at + ARP_BYTES;
}

uint32_t at_rewrite_net(struct at_rewrite *r)
{
    switch (r->h.net) {
    case AT_NET_IPV4:
        return rewrite_ipv4(r);
    case AT_NET_IPV6:
        return rewrite_ipv6(r);
    default:
        return rewrite_arp(r);
    }
}

/* ---- TCP ------------------------------------------------------------- */

/* Multipath TCP: an address that is announced has one of two lengths, with or
 * without a port, with or without a code that the address went into. */
static void rewrite_mptcp(struct at_rewrite *r, uint32_t at, uint32_t bytes)
{
    enum { ADD_ADDRESS = 3 };
    const bool six = bytes >= 20;
    const uint32_t end = at + (six ? 20 : 8);

    if (bytes < 3 || r->pkt->data[at + 2] >> 4 != ADD_ADDRESS)
        return;
    if (bytes < 8) {
        at_blank(r, at + 3, bytes - 3);
        return;
    }
    at_put_address(r, at + 4, six ? 16 : 4, AT_ROLE_SOURCE);
    at_blank(r, end, at + bytes - end);
}

static void tcp_option(struct at_rewrite *r, uint32_t at, uint32_t bytes)
{
    enum { SEGMENT = 2, SCALE = 3, SACK_PERMITTED = 4, SACK = 5 };
    enum { TIMESTAMPS = 8, MULTIPATH = 30 };

    switch (r->pkt->data[at]) {
    case SEGMENT:
    case SCALE:
    case SACK_PERMITTED:
    case SACK:
        break;
    case TIMESTAMPS:
        if (r->policy->tcp_timestamps == AT_FIELD_ZERO || bytes != 10)
            at_blank(r, at + 2, bytes - 2);
        break;
    case MULTIPATH:
        rewrite_mptcp(r, at, bytes);
        break;
    default:
        at_blank(r, at + 2, bytes - 2);
    }
}

/* The fixed part is numbers, however much of it there is. */
void at_rewrite_tcp(struct at_rewrite *r)
{
    const uint32_t at = r->h.transport_offset;
    struct list options = {
        .one = {0, 1},
        .ends = true,
        .option = tcp_option,
    };

    if (!at_there(r, at, TCP_BYTES))
        return;
    options.end = at + (uint32_t)(r->pkt->data[at + 12] >> 4) * 4;
    if (options.end < at + TCP_BYTES) {
        at_cut_unknown(r, at + TCP_BYTES);
        return;
    }
    rewrite_options(r, &options, at + TCP_BYTES);
    if (options.end < r->end)
        at_put_payload(r, options.end);
}
