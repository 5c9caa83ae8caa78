/*
 * snap.c - how much of a packet is kept
 *
 *     POLICY = ITEM {"," ITEM}
 *     ITEM   = "all" | "none" | BYTES | LAYER ["+" BYTES] | PORTS "+" KEPT
 *            | "inner"
 *     LAYER  = "l2" | "l3" | "l4"
 *     PORTS  = [("tcp" | "udp" | "sctp") "/"] (SERVICE | PORT ["-" PORT])
 *     KEPT   = BYTES | "all"
 *
 * A layer keeps the headers up to its own: TCP with its options, IPv6 with
 * its extension headers.  Of l4, an ICMP error keeps the headers of the packet
 * it quotes as well; a fragment other than the first, and a transport that is
 * not known, have no such header, so the IP header is all that is kept.  "+"
 * counts from there, but not past the IP packet: what fills a short Ethernet
 * frame is none of it.  All this is about the outermost IP packet, or with
 * "inner" about the innermost one that tunnels carry.  What is not IP is kept
 * whole by l3 and l4, since there is no header to count from, and a header that
 * was not captured whole has nothing behind it to be cut.
 */
#include <stdio.h>
#include <stdlib.h>

#include "bytes.h"
#include "errors.h"
#include "process.h"

enum {
    MOST_RULES = 64,
    MOST_BYTES = 1 << 30,
    MOST_PORT = 65535,

    PROTO_HOP_BY_HOP = 0,
    PROTO_ICMP = 1,
    PROTO_IGMP = 2,
    PROTO_TCP = 6,
    PROTO_UDP = 17,
    PROTO_ROUTING = 43,
    PROTO_FRAGMENT = 44,
    PROTO_AH = 51,
    PROTO_ICMPV6 = 58,
    PROTO_DESTINATION = 60,
    PROTO_SCTP = 132,
    PROTO_MOBILITY = 135,
    PROTO_UDPLITE = 136,
    PROTO_HIP = 139,
    PROTO_SHIM6 = 140,
};

static const uint64_t whole = UINT64_MAX;

/* An exception: packets of these ports. */
struct rule {
    uint16_t first, last;
    uint8_t proto; /* 0: any */
    uint64_t more; /* bytes behind the transport header, or 'whole' */
};

enum layer { LAYER_NONE, LAYER_BYTES, LAYER_LINK, LAYER_NET, LAYER_TRANSPORT };

struct at_snap {
    enum layer layer; /* LAYER_NONE: packets stay whole */
    bool inner;
    uint64_t more;
    unsigned rules;
    struct rule rule[MOST_RULES];
};

/* ---- the text -------------------------------------------------------- */

static const struct service {
    const char *name;
    uint16_t first, last;
} services[] = {
    {"bgp", 179, 179},      {"dhcp", 67, 68},     {"dns", 53, 53},
    {"domain", 53, 53},     {"ftp", 20, 21},      {"http", 80, 80},
    {"https", 443, 443},    {"imap", 143, 143},   {"imaps", 993, 993},
    {"ldap", 389, 389},     {"ldaps", 636, 636},  {"mdns", 5353, 5353},
    {"ntp", 123, 123},      {"pop3", 110, 110},   {"pop3s", 995, 995},
    {"radius", 1812, 1813}, {"rdp", 3389, 3389},  {"rtsp", 554, 554},
    {"sip", 5060, 5061},    {"smb", 445, 445},    {"smtp", 25, 25},
    {"smtps", 465, 465},    {"snmp", 161, 162},   {"ssdp", 1900, 1900},
    {"ssh", 22, 22},        {"syslog", 514, 514}, {"telnet", 23, 23},
    {"tftp", 69, 69},
};

/* A policy being read. */
struct reading {
    struct at_snap *snap;
    const char *text;
    struct at_item item; /* the whole of it */
    bool based;          /* how much is kept has been said */
    struct at_error *err;
};

static size_t column_of(const struct reading *r, const char *p)
{
    return (size_t)(p - r->text);
}

static enum at_status refuse(const struct reading *r, struct at_item w,
                             const char *what)
{
    return at_error_syntax(r->err, column_of(r, w.p), "'%.*s' is %s", (int)w.n,
                           w.p, what);
}

static enum at_status unknown(const struct reading *r, struct at_item w)
{
    char list[256];
    size_t n = 0;

    for (size_t i = 0; i < sizeof(services) / sizeof(services[0]); i++)
        n += (size_t)snprintf(list + n, sizeof(list) - n, " %s",
                              services[i].name);
    return at_error_syntax(
        r->err, column_of(r, w.p),
        "'%.*s' is nothing to snap by; there are all, none, "
        "BYTES, l2, l3, l4, inner, PORT+BYTES and SERVICE+BYTES, "
        "of%s",
        (int)w.n, w.p, list);
}

static bool read_service(struct at_item *w, struct rule *rule)
{
    size_t n = 0;

    while (n < w->n && w->p[n] != '+')
        n++;
    for (size_t i = 0; i < sizeof(services) / sizeof(services[0]); i++)
        if (at_item_is((struct at_item){w->p, n}, services[i].name)) {
            rule->first = services[i].first;
            rule->last = services[i].last;
            w->p += n;
            w->n -= n;
            return true;
        }
    return false;
}

static bool read_ports(struct at_item *w, struct rule *rule)
{
    uint32_t first, last;

    if (!at_item_number(w, MOST_PORT, &first))
        return read_service(w, rule);
    last = first;
    if (at_item_skip(w, '-') &&
        (!at_item_number(w, MOST_PORT, &last) || last < first))
        return false;
    rule->first = (uint16_t)first;
    rule->last = (uint16_t)last;
    return true;
}

static void read_proto(struct at_item *w, struct rule *rule)
{
    static const struct {
        const char *prefix;
        uint8_t proto;
    } known[] = {
        {"tcp/", PROTO_TCP}, {"udp/", PROTO_UDP}, {"sctp/", PROTO_SCTP}};

    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
        const size_t n = strlen(known[i].prefix);

        if (w->n > n && memcmp(w->p, known[i].prefix, n) == 0) {
            rule->proto = known[i].proto;
            w->p += n;
            w->n -= n;
            return;
        }
    }
}

static enum at_status read_rule(struct reading *r, struct at_item w)
{
    struct rule rule = {0};
    struct at_item start;
    uint32_t more;

    read_proto(&w, &rule);
    start = w;
    if (!read_ports(&w, &rule))
        return unknown(r, start);
    if (!at_item_skip(&w, '+'))
        return refuse(r, r->item, "an exception without '+BYTES'");
    if (at_item_is(w, "all")) {
        rule.more = whole;
    } else {
        start = w;
        if (!at_item_number(&w, MOST_BYTES, &more) || w.n > 0)
            return refuse(r, start, "no number of bytes");
        rule.more = more;
    }
    if (r->snap->rules == MOST_RULES)
        return refuse(r, r->item, "one exception too many: 64 are the most");
    r->snap->rule[r->snap->rules++] = rule;
    return AT_OK;
}

static enum at_status set_base(struct reading *r, enum layer layer,
                               uint32_t more)
{
    if (r->based)
        return refuse(r, r->item, "a second word for how much is kept");
    r->based = true;
    r->snap->layer = layer;
    r->snap->more = more;
    return AT_OK;
}

static enum at_status read_layer(struct reading *r, struct at_item w)
{
    const enum layer layer = w.p[1] == '2'   ? LAYER_LINK
                             : w.p[1] == '3' ? LAYER_NET
                                             : LAYER_TRANSPORT;
    uint32_t more = 0;
    struct at_item start;

    w.p += 2;
    w.n -= 2;
    if (w.n > 0 && !at_item_skip(&w, '+'))
        return unknown(r, r->item);
    start = w;
    if (w.p > r->item.p + 2 &&
        (!at_item_number(&w, MOST_BYTES, &more) || w.n > 0))
        return refuse(r, start, "no number of bytes");
    return set_base(r, layer, more);
}

static enum at_status read_item(struct reading *r)
{
    struct at_item w = r->item;
    uint32_t bytes;

    if (at_item_is(w, "all"))
        return set_base(r, LAYER_NONE, 0);
    if (at_item_is(w, "none"))
        return set_base(r, LAYER_BYTES, 0);
    if (at_item_is(w, "inner")) {
        r->snap->inner = true;
        return AT_OK;
    }
    if (w.n >= 2 && w.p[0] == 'l' && w.p[1] >= '2' && w.p[1] <= '4')
        return read_layer(r, w);
    if (at_item_number(&w, MOST_BYTES, &bytes) && w.n == 0)
        return set_base(r, LAYER_BYTES, bytes);
    return read_rule(r, r->item);
}

enum at_status at_snap_open(struct at_snap **out, const char *policy,
                            struct at_error *err)
{
    struct at_snap *snap = calloc(1, sizeof(*snap));
    struct reading r = {.snap = snap, .text = policy, .err = err};
    enum at_status st = AT_OK;

    *out = NULL;
    if (snap == NULL)
        return at_error_set(err, AT_ERR_MEMORY, "out of memory");
    while (policy != NULL && st == AT_OK) {
        r.item = at_item_next(&policy);
        st = read_item(&r);
    }
    if (st != AT_OK) {
        at_snap_close(snap);
        return st;
    }
    *out = snap;
    return AT_OK;
}

void at_snap_close(struct at_snap *snap)
{
    free(snap);
}

/* ---- where headers end ----------------------------------------------- */

static bool is_ip(const struct at_headers *h)
{
    return h->net == AT_NET_IPV4 || h->net == AT_NET_IPV6;
}

static bool is_extension(uint8_t proto)
{
    return proto == PROTO_HOP_BY_HOP || proto == PROTO_ROUTING ||
           proto == PROTO_FRAGMENT || proto == PROTO_DESTINATION ||
           proto == PROTO_AH || proto == PROTO_MOBILITY || proto == PROTO_HIP ||
           proto == PROTO_SHIM6;
}

/* The end of IPv6 extension headers where no transport follows them: the
 * fragment header is the last that is in the clear. */
static uint64_t ipv6_end(const struct at_packet *pkt, uint32_t net)
{
    struct at_cursor c = {.p = pkt->data + net, .left = pkt->cap_bytes - net};
    const uint8_t *p = at_take(&c, 40);
    uint8_t proto = p != NULL ? p[6] : PROTO_TCP;

    while (!c.bad && is_extension(proto)) {
        const uint8_t now = proto;

        p = at_take(&c, 8);
        if (p == NULL || now == PROTO_FRAGMENT)
            break;
        proto = p[0];
        at_take(&c, now == PROTO_AH ? (size_t)p[1] * 4 : (size_t)p[1] * 8);
    }
    return c.bad ? whole : (uint64_t)(c.p - pkt->data);
}

static uint64_t net_end(const struct at_packet *pkt, const struct at_headers *h)
{
    if (h->transport_offset > 0)
        return h->transport_offset;
    if (h->net == AT_NET_IPV6)
        return ipv6_end(pkt, h->net_offset);
    return h->net_offset + (uint64_t)(pkt->data[h->net_offset] & 15) * 4;
}

static uint64_t ip_end(const struct at_headers *h)
{
    return (uint64_t)h->net_offset + h->ip_bytes;
}

/* 'more' bytes behind a header that ends at 'end', inside the IP packet. */
static uint64_t and_more(const struct at_headers *h, uint64_t end,
                         uint64_t more)
{
    const uint64_t most = ip_end(h) > end ? ip_end(h) - end : 0;

    if (end == whole || more == whole)
        return whole;
    return end + (more < most ? more : most);
}

static uint64_t tcp_end(const struct at_packet *pkt, uint64_t at)
{
    uint32_t header;

    if (at + 13 > pkt->cap_bytes)
        return whole;
    header = (uint32_t)(pkt->data[at + 12] >> 4) * 4;
    return at + (header < 20 ? 20 : header);
}

/* Bytes that 'snap' keeps behind the transport header of these ports. */
static uint64_t more_of(const struct at_snap *snap, const struct at_headers *h,
                        bool *excepted)
{
    uint64_t more = 0;

    *excepted = false;
    if ((h->flags & AT_DECODED_PORTS) == 0)
        return snap->more;
    for (unsigned i = 0; i < snap->rules; i++) {
        const struct rule *r = &snap->rule[i];

        if ((r->proto != 0 && r->proto != h->proto) ||
            ((h->sport < r->first || h->sport > r->last) &&
             (h->dport < r->first || h->dport > r->last)))
            continue;
        *excepted = true;
        more = r->more > more ? r->more : more;
    }
    return *excepted ? more : snap->more;
}

static bool is_icmp_error(const struct at_headers *h)
{
    const uint16_t type = h->sport;

    if (h->proto == PROTO_ICMP)
        return type == 3 || type == 4 || type == 5 || type == 11 || type == 12;
    return h->proto == PROTO_ICMPV6 && type >= 1 && type <= 4;
}

static uint64_t transport_end(const struct at_snap *snap,
                              const struct at_packet *pkt,
                              const struct at_headers *h, bool quoted);

/* Behind the 8 bytes of an ICMP error's own header stands the packet that
 * caused it, or its beginning. */
static uint64_t quoted_end(const struct at_snap *snap,
                           const struct at_packet *pkt,
                           const struct at_headers *h, uint64_t at)
{
    const uint64_t end = ip_end(h) < pkt->cap_bytes ? ip_end(h)
                                                    : pkt->cap_bytes;
    struct at_packet inner = {.linktype = AT_LINK_RAW};
    struct at_headers quoted;
    uint64_t kept;

    if (at >= end)
        return at;
    inner.data = pkt->data + at;
    inner.cap_bytes = (uint32_t)(end - at);
    inner.wire_bytes = inner.cap_bytes;
    at_decode(&quoted, &inner);
    if (!is_ip(&quoted))
        return (quoted.flags & AT_DECODED_CUT) != 0 ? end : at;
    kept = transport_end(snap, &inner, &quoted, true);
    return kept < end - at ? at + kept : end;
}

/* The end of what is kept of an IP packet by l4. */
static uint64_t transport_end(const struct at_snap *snap,
                              const struct at_packet *pkt,
                              const struct at_headers *h, bool quoted)
{
    const uint64_t at = h->transport_offset;
    bool excepted;
    const uint64_t more = more_of(snap, h, &excepted);

    if (at == 0)
        return net_end(pkt, h);
    switch (h->proto) {
    case PROTO_TCP:
        return and_more(h, tcp_end(pkt, at), more);
    case PROTO_UDP:
    case PROTO_UDPLITE:
    case PROTO_IGMP:
        return and_more(h, at + 8, more);
    case PROTO_SCTP:
        return and_more(h, at + 12, more);
    case PROTO_ICMP:
    case PROTO_ICMPV6:
        if (!quoted && is_icmp_error(h))
            return quoted_end(snap, pkt, h, at + 8);
        return and_more(h, at + 8, more);
    default:
        return at;
    }
}

/* ---- what is kept ---------------------------------------------------- */

static uint64_t link_end(const struct at_packet *pkt,
                         const struct at_headers *h)
{
    uint32_t n;

    if (h->net != AT_NET_OTHER || h->net_offset > 0)
        return h->net_offset;
    n = at_link_bytes(pkt);
    return n == UINT32_MAX ? whole : n;
}

/* The innermost IP packet, if there is one behind '*h'. */
static void go_inside(struct at_headers *h, const struct at_packet *pkt)
{
    struct at_headers inner = *h;

    while (at_decode_inner(&inner, &inner, pkt))
        if (is_ip(&inner))
            *h = inner;
}

uint64_t at_snap_bytes(const struct at_snap *snap, const struct at_packet *pkt,
                       const struct at_headers *headers)
{
    struct at_headers inside;
    const struct at_headers *h = headers;
    bool excepted = false;
    uint64_t end;

    if (snap->inner) {
        inside = *headers;
        go_inside(&inside, pkt);
        h = &inside;
    }
    if (snap->rules > 0 && is_ip(h))
        more_of(snap, h, &excepted);
    if (excepted)
        return transport_end(snap, pkt, h, false);
    switch (snap->layer) {
    case LAYER_BYTES:
        return snap->more;
    case LAYER_LINK:
        end = link_end(pkt, headers);
        return end == whole ? whole : end + snap->more;
    case LAYER_NET:
        return is_ip(h) ? and_more(h, net_end(pkt, h), snap->more) : whole;
    case LAYER_TRANSPORT:
        return is_ip(h) ? transport_end(snap, pkt, h, false) : whole;
    default:
        return whole;
    }
}
