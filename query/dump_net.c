/*
 * dump_net.c - network and transport headers as text
 *
 * Sources: RFC 826, 791, 8200, 4302, 9293, 7323, 2018, 768, 792, 4443, 4861,
 * 9260.
 */
#include "dump_out.h"

#include <stdio.h>

#include "decode.h"

static const struct at_dump_name protos[] = {
    {0, "hop-by-hop"}, {1, "icmp"},    {2, "igmp"},       {4, "ipv4"},
    {6, "tcp"},        {17, "udp"},    {41, "ipv6"},      {43, "routing"},
    {44, "fragment"},  {46, "rsvp"},   {47, "gre"},       {50, "esp"},
    {51, "ah"},        {58, "icmp6"},  {59, "none"},      {60, "destination"},
    {88, "eigrp"},     {89, "ospf"},   {97, "etherip"},   {103, "pim"},
    {112, "vrrp"},     {132, "sctp"},  {135, "mobility"}, {137, "mpls"},
    {139, "hip"},      {140, "shim6"}, {143, "ethernet"}, {0, NULL},
};

const char *at_dump_proto(char *buf, uint8_t proto)
{
    const char *name = at_dump_name(protos, proto);

    if (name != NULL)
        return name;
    snprintf(buf, 8, "%u", proto);
    return buf;
}

/* ---- transport ------------------------------------------------------- */

static void put_tcp_flags(struct at_dump *d, uint8_t flags)
{
    static const char *const names[] = {"FIN", "SYN", "RST", "PSH",
                                        "ACK", "URG", "ECE", "CWR"};
    char buf[40] = "";
    int at = 0;

    for (int i = 0; i < 8; i++)
        if (flags & (1 << i))
            at += snprintf(buf + at, sizeof(buf) - (size_t)at, "%s%s",
                           at > 0 ? "," : "", names[i]);
    at_dump_bare(d, "flags", buf[0] != 0 ? buf : "none");
}

static size_t print_sack(char *buf, size_t room, const uint8_t *p, size_t n)
{
    size_t at = (size_t)snprintf(buf, room, "sack");

    for (size_t i = 0; i + 8 <= n && at + 24 < room; i += 8)
        at += (size_t)snprintf(buf + at, room - at, " %u-%u",
                               at_load_be32(p + i), at_load_be32(p + i + 4));
    return at;
}

/* One option; 'n' bytes of it follow kind and length. */
static size_t print_tcp_option(char *buf, size_t room, uint8_t kind,
                               const uint8_t *p, size_t n)
{
    enum { MSS = 2, SCALE = 3, SACK_OK = 4, SACK = 5, TIMES = 8 };
    int len;

    if (kind == SACK)
        return print_sack(buf, room, p, n);
    if (kind == MSS && n == 2)
        len = snprintf(buf, room, "mss %u", at_load_be16(p));
    else if (kind == SCALE && n == 1)
        len = snprintf(buf, room, "wscale %u", p[0]);
    else if (kind == SACK_OK && n == 0)
        len = snprintf(buf, room, "sack-ok");
    else if (kind == TIMES && n == 8)
        len = snprintf(buf, room, "ts %u %u", at_load_be32(p),
                       at_load_be32(p + 4));
    else
        len = snprintf(buf, room, "%u+%zu", kind, n);
    return (size_t)len;
}

/* There are at most 40 bytes, so there is room for all that can be said. */
static void put_tcp_options(struct at_dump *d, struct at_cursor *c)
{
    enum { END = 0, NOTHING = 1, ONE = 64 };
    char buf[40 * 8 + ONE];
    size_t at = 0;

    while (c->left > 0 && c->p[0] != END && at + ONE < sizeof(buf)) {
        const uint8_t kind = at_take_u8(c);
        const uint8_t length = kind == NOTHING ? 1 : at_take_u8(c);
        const uint8_t *p;

        if (kind == NOTHING)
            continue;
        p = length >= 2 ? at_take(c, length - 2u) : NULL;
        if (p == NULL) {
            at_dump_flag(d, "bad-options");
            break;
        }
        if (at > 0)
            buf[at++] = ',';
        at += print_tcp_option(buf + at, sizeof(buf) - at, kind, p,
                               length - 2u);
    }
    buf[at] = 0;
    if (at > 0)
        at_dump_word(d, "options", buf);
}

static void put_tcp(struct at_dump *d, struct at_cursor *c)
{
    struct at_cursor options;
    const uint8_t *p = at_take(c, 20);
    size_t header;

    if (p == NULL) {
        at_dump_flag(d, "cut");
        return;
    }
    put_tcp_flags(d, p[13]);
    at_dump_num(d, "seq", at_load_be32(p + 4));
    if (p[13] & 0x10)
        at_dump_num(d, "ack", at_load_be32(p + 8));
    at_dump_num(d, "win", at_load_be16(p + 14));
    if (p[13] & 0x20)
        at_dump_num(d, "urgent", at_load_be16(p + 18));
    header = (size_t)(p[12] >> 4) * 4;
    if (header < 20) {
        at_dump_flag(d, "bad-header-length");
        return;
    }
    options = *c;
    if (options.left > header - 20)
        options.left = header - 20;
    else if (options.left < header - 20)
        at_dump_flag(d, "cut");
    put_tcp_options(d, &options);
}

static void put_udp(struct at_dump *d, struct at_cursor *c)
{
    const uint8_t *p = at_take(c, 8);

    if (p == NULL) {
        at_dump_flag(d, "cut");
        return;
    }
    at_dump_num(d, "length", at_load_be16(p + 4));
    at_dump_hex(d, "checksum", at_load_be16(p + 6), 4);
}

static void put_sctp(struct at_dump *d, struct at_cursor *c)
{
    static const struct at_dump_name chunks[] = {
        {0, "data"},
        {1, "init"},
        {2, "init-ack"},
        {3, "sack"},
        {4, "heartbeat"},
        {5, "heartbeat-ack"},
        {6, "abort"},
        {7, "shutdown"},
        {8, "shutdown-ack"},
        {9, "error"},
        {10, "cookie-echo"},
        {11, "cookie-ack"},
        {14, "shutdown-complete"},
        {15, "auth"},
        {64, "i-data"},
        {128, "asconf-ack"},
        {130, "re-config"},
        {192, "forward-tsn"},
        {193, "asconf"},
        {0, NULL},
    };
    const uint8_t *p = at_take(c, 12);

    if (p == NULL) {
        at_dump_flag(d, "cut");
        return;
    }
    at_dump_hex(d, "tag", at_load_be32(p + 4), 8);
    while ((p = at_take(c, 4)) != NULL) {
        const size_t length = at_load_be16(p + 2);

        at_dump_layer(d, "chunk");
        at_dump_named(d, "type", chunks, p[0]);
        at_dump_hex(d, "flags", p[1], 2);
        at_dump_num(d, "length", length);
        if (length < 4 || at_take(c, length - 4) == NULL)
            return;
        at_take(c, c->left < -length % 4 ? c->left : -length % 4);
    }
}

/* ---- ICMP ------------------------------------------------------------ */

static const struct at_dump_name icmp_types[] = {
    {0, "echo-reply"},
    {3, "unreachable"},
    {4, "source-quench"},
    {5, "redirect"},
    {8, "echo"},
    {9, "router-advertisement"},
    {10, "router-solicitation"},
    {11, "time-exceeded"},
    {12, "parameter-problem"},
    {13, "timestamp"},
    {14, "timestamp-reply"},
    {17, "mask-request"},
    {18, "mask-reply"},
    {0, NULL},
};

static const struct at_dump_name icmp_unreachable[] = {
    {0, "net"},
    {1, "host"},
    {2, "protocol"},
    {3, "port"},
    {4, "fragmentation-needed"},
    {5, "source-route"},
    {6, "net-unknown"},
    {7, "host-unknown"},
    {9, "net-prohibited"},
    {10, "host-prohibited"},
    {11, "net-tos"},
    {12, "host-tos"},
    {13, "prohibited"},
    {0, NULL},
};

static const struct at_dump_name icmp6_types[] = {
    {1, "unreachable"},
    {2, "packet-too-big"},
    {3, "time-exceeded"},
    {4, "parameter-problem"},
    {128, "echo"},
    {129, "echo-reply"},
    {130, "listener-query"},
    {131, "listener-report"},
    {132, "listener-done"},
    {133, "router-solicitation"},
    {134, "router-advertisement"},
    {135, "neighbour-solicitation"},
    {136, "neighbour-advertisement"},
    {137, "redirect"},
    {143, "listener-report-v2"},
    {0, NULL},
};

static const struct at_dump_name icmp6_unreachable[] = {
    {0, "no-route"}, {1, "prohibited"}, {2, "beyond-scope"}, {3, "address"},
    {4, "port"},     {5, "policy"},     {6, "reject-route"}, {0, NULL},
};

static const struct at_dump_name exceeded[] = {
    {0, "transit"},
    {1, "reassembly"},
    {0, NULL},
};

static const struct at_dump_name *codes_of(bool v6, uint8_t type)
{
    static const struct at_dump_name none[] = {{0, NULL}};

    if (type == (v6 ? 1 : 3))
        return v6 ? icmp6_unreachable : icmp_unreachable;
    return type == (v6 ? 3 : 11) ? exceeded : none;
}

static void put_icmp_rest(struct at_dump *d, struct at_cursor *c, bool v6,
                          uint8_t type, uint8_t code)
{
    const bool echo = v6 ? type == 128 || type == 129 : type == 0 || type == 8;
    const uint8_t *p = at_take(c, 4);
    char buf[AT_DUMP_ADDRESS];

    if (p == NULL)
        return;
    if (echo) {
        at_dump_num(d, "id", at_load_be16(p));
        at_dump_num(d, "seq", at_load_be16(p + 2));
    } else if (!v6 && type == 3 && code == 4) {
        at_dump_num(d, "mtu", at_load_be16(p + 2));
    } else if (v6 && type == 2) {
        at_dump_num(d, "mtu", at_load_be32(p));
    } else if (!v6 && type == 5) {
        at_dump_word(d, "gateway", at_dump_ipv4(buf, p));
    } else if (v6 && type >= 135 && type <= 137 && c->left >= 16) {
        at_dump_word(d, "target", at_dump_ipv6(buf, c->p));
    }
}

/* Types have names of their own in version 6, whatever carries them. */
static void put_icmp(struct at_dump *d, struct at_cursor *c, bool v6)
{
    const uint8_t *p = at_take(c, 4);

    if (p == NULL) {
        at_dump_flag(d, "cut");
        return;
    }
    at_dump_named(d, "name", v6 ? icmp6_types : icmp_types, p[0]);
    if (at_dump_name(codes_of(v6, p[0]), p[1]) != NULL)
        at_dump_bare(d, "reason", at_dump_name(codes_of(v6, p[0]), p[1]));
    at_dump_num(d, "type", p[0]);
    at_dump_num(d, "code", p[1]);
    put_icmp_rest(d, c, v6, p[0], p[1]);
}

static void put_transport(struct at_dump *d, const struct at_headers *h)
{
    const uint64_t end = (uint64_t)h->net_offset + h->ip_bytes;
    struct at_cursor c = at_dump_cursor(d->pkt, h->transport_offset,
                                        end < UINT32_MAX ? (uint32_t)end
                                                         : UINT32_MAX);
    const bool icmp = h->proto == PROTO_ICMP || h->proto == PROTO_ICMPV6;
    char buf[8];

    if (!icmp && (h->flags & AT_DECODED_PORTS) == 0)
        return;
    at_dump_layer(d, at_dump_proto(buf, h->proto));
    if (!icmp)
        at_dump_ports(d, h->sport, h->dport);
    if (h->proto == PROTO_TCP)
        put_tcp(d, &c);
    else if (h->proto == PROTO_UDP)
        put_udp(d, &c);
    else if (h->proto == PROTO_SCTP)
        put_sctp(d, &c);
    else if (icmp)
        put_icmp(d, &c, h->proto == PROTO_ICMPV6);
}

/* ---- network --------------------------------------------------------- */

static void put_ipv4(struct at_dump *d, const uint8_t *p)
{
    const uint16_t fragment = at_load_be16(p + 6);
    char src[AT_DUMP_ADDRESS], dst[AT_DUMP_ADDRESS], buf[8];

    at_dump_layer(d, "ipv4");
    at_dump_ends(d, at_dump_ipv4(src, p + 12), at_dump_ipv4(dst, p + 16));
    at_dump_bare(d, "proto", at_dump_proto(buf, p[9]));
    at_dump_num(d, "ttl", p[8]);
    at_dump_num(d, "id", at_load_be16(p + 4));
    if (p[1] != 0)
        at_dump_hex(d, "tos", p[1], 2);
    if (fragment & 0x4000)
        at_dump_flag(d, "DF");
    if (fragment & 0x2000)
        at_dump_flag(d, "MF");
    if (fragment & 0x3fff)
        at_dump_num(d, "offset", (fragment & 0x1fffu) * 8u);
    at_dump_num(d, "length", at_load_be16(p + 2));
    if ((p[0] & 15) > 5)
        at_dump_num(d, "option_bytes", ((p[0] & 15u) - 5u) * 4u);
}

static void put_extension(struct at_dump *d, uint8_t proto, const uint8_t *p,
                          size_t n)
{
    char buf[8], next[8];

    at_dump_layer(d, at_dump_proto(buf, proto));
    at_dump_bare(d, "next", at_dump_proto(next, p[0]));
    switch (proto) {
    case 44:
        at_dump_num(d, "offset", at_load_be16(p + 2) & 0xfff8);
        if (p[3] & 1)
            at_dump_flag(d, "MF");
        at_dump_num(d, "id", at_load_be32(p + 4));
        break;
    case 43:
        at_dump_num(d, "type", p[2]);
        at_dump_num(d, "left", p[3]);
        break;
    case 51:
        at_dump_hex(d, "spi", at_load_be32(p + 4), 8);
        break;
    }
    at_dump_num(d, "length", n);
}

static bool is_extension(uint8_t proto)
{
    return proto == 0 || proto == 43 || proto == 44 || proto == 51 ||
           proto == 60 || proto == 135 || proto == 139 || proto == 140;
}

/* As far as at_decode() went: to the transport header, a later fragment's
 * bytes, or where the packet is cut. */
static uint32_t put_extensions(struct at_dump *d, const struct at_headers *h,
                               uint8_t proto)
{
    const uint32_t stop = h->transport_offset != 0 ? h->transport_offset
                                                   : d->pkt->cap_bytes;
    struct at_cursor c = at_dump_cursor(d->pkt, h->net_offset + 40, stop);

    while (is_extension(proto) && c.left >= 8) {
        const uint8_t *p = c.p;
        size_t n = 8;

        if (proto != 44)
            n = proto == 51 ? (size_t)p[1] * 4 + 8 : (size_t)p[1] * 8 + 8;
        put_extension(d, proto, p, n);
        if (at_take(&c, n) == NULL ||
            (proto == 44 && (at_load_be16(p + 2) & 0xfff8) != 0))
            break;
        proto = p[0];
    }
    return (uint32_t)(c.p - d->pkt->data);
}

static uint32_t put_ipv6(struct at_dump *d, const struct at_headers *h,
                         const uint8_t *p)
{
    const uint32_t first = at_load_be32(p);
    char src[AT_DUMP_ADDRESS], dst[AT_DUMP_ADDRESS], buf[8];

    at_dump_layer(d, "ipv6");
    at_dump_ends(d, at_dump_ipv6(src, p + 8), at_dump_ipv6(dst, p + 24));
    at_dump_bare(d, "proto", at_dump_proto(buf, h->proto));
    at_dump_num(d, "hop_limit", p[7]);
    if ((first >> 20 & 0xff) != 0)
        at_dump_hex(d, "class", first >> 20 & 0xff, 2);
    if ((first & 0xfffff) != 0)
        at_dump_hex(d, "flow", first & 0xfffff, 5);
    at_dump_num(d, "length", at_load_be16(p + 4));
    return put_extensions(d, h, p[6]);
}

static void put_arp(struct at_dump *d, const struct at_headers *h,
                    const uint8_t *p)
{
    enum { RARP = 0x8035, REPLY = 2 };
    static const struct at_dump_name operations[] = {
        {1, "request"},       {2, "reply"}, {3, "reverse-request"},
        {4, "reverse-reply"}, {0, NULL},
    };
    char buf[AT_DUMP_ADDRESS];

    at_dump_layer(d, h->ethertype == RARP ? "rarp" : "arp");
    at_dump_named(d, "operation", operations, at_load_be16(p + 6));
    if (d->json || at_load_be16(p + 6) != REPLY) {
        at_dump_word(d, d->json ? "target" : "who-has",
                     at_dump_ipv4(buf, p + 24));
        at_dump_word(d, d->json ? "sender" : "tell", at_dump_ipv4(buf, p + 14));
    } else {
        at_dump_bare(d, "sender", at_dump_ipv4(buf, p + 14));
        at_dump_word(d, "is-at", at_dump_mac(buf, p + 8));
        at_dump_word(d, "to", at_dump_ipv4(buf, p + 24));
    }
    if (d->json) {
        at_dump_word(d, "target_mac", at_dump_mac(buf, p + 18));
        at_dump_word(d, "sender_mac", at_dump_mac(buf, p + 8));
    }
}

uint32_t at_dump_net(struct at_dump *d, const struct at_headers *h)
{
    const uint8_t *p = d->pkt->data + h->net_offset;
    uint32_t end = h->net_offset;

    switch (h->net) {
    case AT_NET_IPV4:
        put_ipv4(d, p);
        end += (p[0] & 15u) * 4u;
        break;
    case AT_NET_IPV6:
        end = put_ipv6(d, h, p);
        break;
    case AT_NET_ARP:
        put_arp(d, h, p);
        return end;
    default:
        return end;
    }
    if (h->transport_offset != 0)
        put_transport(d, h);
    return end < d->pkt->cap_bytes ? end : d->pkt->cap_bytes;
}
