/*
 * edit.c - what becomes of a captured packet before it is sent
 */
#include "edit.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bytes.h"

enum {
    ETHER_BYTES = 14,
    TAG_BYTES = 4,
    TYPE_AT = 12,
    TYPE_VLAN = 0x8100,
    TYPE_QINQ = 0x88a8,
    TYPE_IPV4 = 0x0800,
    TYPE_IPV6 = 0x86dd,
    PROTO_ICMP = 1,
    PROTO_TCP = 6,
    PROTO_UDP = 17,
    PROTO_ICMPV6 = 58,
    IPV4_SUM_AT = 10,
    NO_SUM = 0,
};

/* A frame in the making. */
struct frame {
    uint8_t *p;
    size_t room;
    uint32_t bytes;
    bool whole; /* nothing of it is padding */
};

/* ---- options --------------------------------------------------------- */

enum at_status at_mac_parse(uint8_t mac[6], const char *text,
                            struct at_error *err)
{
    unsigned v[6];
    int n = 0;

    if (sscanf(text, "%2x:%2x:%2x:%2x:%2x:%2x%n", &v[0], &v[1], &v[2], &v[3],
               &v[4], &v[5], &n) != 6 ||
        text[n] != '\0')
        return at_error_set(err, AT_ERR_SYNTAX,
                            "'%s' is no MAC address like 02:00:00:00:00:01",
                            text);
    for (unsigned i = 0; i < 6; i++)
        mac[i] = (uint8_t)v[i];
    return AT_OK;
}

/* The part of "A=B" before the sign in 'a'; where B begins, or NULL. */
static const char *split_pair(const char *text, char *a, size_t room)
{
    const char *sign = strchr(text, '=');
    const size_t n = sign != NULL ? (size_t)(sign - text) : room;

    if (n >= room)
        return NULL;
    memcpy(a, text, n);
    a[n] = '\0';
    return sign + 1;
}

enum at_status at_edit_add_mac(struct at_edit *e, const char *text,
                               struct at_error *err)
{
    struct at_mac_map *m = &e->mac[e->macs];
    char from[32];
    const char *to = split_pair(text, from, sizeof(from));
    enum at_status st;

    if (e->macs == AT_EDIT_MAPS)
        return at_error_set(err, AT_ERR_SYNTAX, "more than %d MAC addresses",
                            AT_EDIT_MAPS);
    if (to == NULL)
        return at_error_set(err, AT_ERR_SYNTAX, "'%s' is not OLD=NEW", text);
    st = at_mac_parse(m->from, from, err);
    if (st == AT_OK)
        st = at_mac_parse(m->to, to, err);
    e->macs += st == AT_OK;
    return st;
}

/* "10.0.0.0/8", or without a length all bits. */
static bool parse_net(uint8_t address[16], uint8_t *bytes, uint8_t *bits,
                      const char *text)
{
    char name[64];
    const char *slash = strchr(text, '/');
    const size_t n = slash != NULL ? (size_t)(slash - text) : strlen(text);
    unsigned long most;
    char *end;

    if (n >= sizeof(name))
        return false;
    memcpy(name, text, n);
    name[n] = '\0';
    if (inet_pton(AF_INET, name, address) == 1)
        *bytes = 4;
    else if (inet_pton(AF_INET6, name, address) == 1)
        *bytes = 16;
    else
        return false;
    most = 8ul * *bytes;
    if (slash != NULL && (slash[1] < '0' || slash[1] > '9'))
        return false;
    if (slash != NULL) {
        const unsigned long v = strtoul(slash + 1, &end, 10);

        if (*end != '\0' || v > most)
            return false;
        most = v;
    }
    *bits = (uint8_t)most;
    return true;
}

enum at_status at_edit_add_net(struct at_edit *e, const char *text,
                               struct at_error *err)
{
    struct at_net_map *m = &e->net[e->nets];
    uint8_t bytes, bits;
    char from[96];
    const char *to = split_pair(text, from, sizeof(from));

    if (e->nets == AT_EDIT_MAPS)
        return at_error_set(err, AT_ERR_SYNTAX, "more than %d networks",
                            AT_EDIT_MAPS);
    if (to == NULL || !parse_net(m->from, &m->bytes, &m->bits, from) ||
        !parse_net(m->to, &bytes, &bits, to))
        return at_error_set(err, AT_ERR_SYNTAX, "'%s' is not NET/BITS=NET/BITS",
                            text);
    if (bytes != m->bytes || bits != m->bits)
        return at_error_set(err, AT_ERR_SYNTAX,
                            "'%s': the networks are not of one size", text);
    e->nets++;
    return AT_OK;
}

const char *at_unsent_name(enum at_unsent why)
{
    static const char *const name[AT_UNSENTS] = {
        "sent",
        "dropped_by_processing",
        "dropped_by_anonymiser",
        "link_type",
        "truncated",
        "longer_than_mtu",
        "no_interface",
        "refused",
    };

    return why < AT_UNSENTS ? name[why] : "?";
}

/* ---- the link header ------------------------------------------------- */

/* IP behind any other link header gets one of Ethernet. */
static enum at_unsent start_from_ip(struct frame *f, const struct at_edit *e,
                                    const struct at_edit_target *target,
                                    const struct at_packet *pkt)
{
    struct at_headers h;
    const uint32_t longest = (uint32_t)f->room - ETHER_BYTES;
    uint32_t n;

    at_decode(&h, pkt);
    if ((h.net != AT_NET_IPV4 && h.net != AT_NET_IPV6) || !e->set_dst)
        return AT_UNSENT_LINKTYPE;
    n = pkt->cap_bytes - h.net_offset;
    if (n > longest)
        return AT_UNSENT_LONG;
    memcpy(f->p, e->dst, 6);
    memcpy(f->p + 6, target->mac, 6);
    at_store_be16(f->p + TYPE_AT, h.net == AT_NET_IPV4 ? TYPE_IPV4 : TYPE_IPV6);
    memcpy(f->p + ETHER_BYTES, pkt->data + h.net_offset, n);
    f->bytes = ETHER_BYTES + n;
    return AT_UNSENT_NOT;
}

static enum at_unsent start_frame(struct frame *f, const struct at_edit *e,
                                  const struct at_edit_target *target,
                                  const struct at_packet *pkt)
{
    if (pkt->linktype != AT_LINK_ETHERNET && !target->any_link)
        return start_from_ip(f, e, target, pkt);
    if (pkt->cap_bytes > f->room)
        return AT_UNSENT_LONG;
    memcpy(f->p, pkt->data, pkt->cap_bytes);
    f->bytes = pkt->cap_bytes;
    return AT_UNSENT_NOT;
}

static enum at_unsent fill_up(struct frame *f, const struct at_edit *e,
                              const struct at_packet *pkt)
{
    const uint32_t missing = pkt->wire_bytes > pkt->cap_bytes
                                 ? pkt->wire_bytes - pkt->cap_bytes
                                 : 0;

    f->whole = missing == 0;
    if (missing == 0 || e->shorts == AT_SHORT_SEND)
        return AT_UNSENT_NOT;
    if (e->shorts == AT_SHORT_SKIP)
        return AT_UNSENT_TRUNCATED;
    if (missing > f->room - f->bytes)
        return AT_UNSENT_LONG;
    memset(f->p + f->bytes, 0, missing);
    f->bytes += missing;
    return AT_UNSENT_NOT;
}

static void change_mac(uint8_t *p, const struct at_edit *e)
{
    for (size_t i = 0; i < e->macs; i++)
        if (memcmp(p, e->mac[i].from, 6) == 0) {
            memcpy(p, e->mac[i].to, 6);
            return;
        }
}

static void change_macs(struct frame *f, const struct at_edit *e)
{
    if (f->bytes < ETHER_BYTES)
        return;
    change_mac(f->p, e);
    change_mac(f->p + 6, e);
    if (e->set_dst)
        memcpy(f->p, e->dst, 6);
    if (e->set_src)
        memcpy(f->p + 6, e->src, 6);
}

static enum at_unsent change_vlan(struct frame *f, const struct at_edit *e)
{
    uint32_t type;

    if (e->vlan == 0 || f->bytes < ETHER_BYTES)
        return AT_UNSENT_NOT;
    type = at_load_be16(f->p + TYPE_AT);
    if ((type == TYPE_VLAN || type == TYPE_QINQ) &&
        f->bytes >= ETHER_BYTES + TAG_BYTES) {
        const uint32_t kept = at_load_be16(f->p + ETHER_BYTES) & 0xf000u;

        at_store_be16(f->p + ETHER_BYTES, (uint16_t)(kept | (uint32_t)e->vlan));
        return AT_UNSENT_NOT;
    }
    if (f->room - f->bytes < TAG_BYTES)
        return AT_UNSENT_LONG;
    memmove(f->p + TYPE_AT + TAG_BYTES, f->p + TYPE_AT, f->bytes - TYPE_AT);
    at_store_be16(f->p + TYPE_AT, TYPE_VLAN);
    at_store_be16(f->p + TYPE_AT + 2, (uint16_t)e->vlan);
    f->bytes += TAG_BYTES;
    return AT_UNSENT_NOT;
}

/* ---- addresses and checksums ----------------------------------------- */

static void decode_frame(struct at_headers *h, const struct frame *f)
{
    const struct at_packet pkt = {
        .data = f->p,
        .cap_bytes = f->bytes,
        .wire_bytes = f->bytes,
        .linktype = AT_LINK_ETHERNET,
    };

    at_decode(h, &pkt);
}

/* Where the transport checksum stands; NO_SUM: there is none, or it was not
 * captured. */
static uint32_t sum_at(const struct at_headers *h, const struct frame *f)
{
    uint32_t at = h->transport_offset;

    if (at == 0 || (h->flags & AT_DECODED_LATER) != 0)
        return NO_SUM;
    switch (h->proto) {
    case PROTO_TCP:
        at += 16;
        break;
    case PROTO_UDP:
        at += 6;
        break;
    case PROTO_ICMP:
    case PROTO_ICMPV6:
        at += 2;
        break;
    default:
        return NO_SUM;
    }
    return at + 2 <= f->bytes ? at : NO_SUM;
}

static uint32_t fold(uint64_t sum)
{
    while (sum > 0xffff)
        sum = (sum & 0xffff) + (sum >> 16);
    return (uint32_t)sum;
}

static uint16_t inverse(uint64_t sum)
{
    return (uint16_t)~fold(sum);
}

static uint64_t add_words(const uint8_t *p, size_t n)
{
    uint64_t sum = 0;

    for (; n >= 2; n -= 2, p += 2)
        sum += at_load_be16(p);
    return n == 1 ? sum + ((uint64_t)p[0] << 8) : sum;
}

/* RFC 1624, equation 3: the sum at 'p' when words that summed up to 'before'
 * sum up to 'after'. */
static void adjust_sum(uint8_t *p, uint64_t before, uint64_t after)
{
    const uint64_t old = ~at_load_be16(p) & 0xffffu;

    at_store_be16(p, inverse(old + (~fold(before) & 0xffffu) + fold(after)));
}

static bool map_address(uint8_t *p, uint8_t bytes, const struct at_edit *e)
{
    for (size_t i = 0; i < e->nets; i++) {
        const struct at_net_map *m = &e->net[i];
        const uint8_t whole = m->bits / 8;
        const uint8_t mask = (uint8_t)(0xff00 >> m->bits % 8);

        if (m->bytes != bytes || memcmp(p, m->from, whole) != 0 ||
            (mask != 0 && ((p[whole] ^ m->from[whole]) & mask) != 0))
            continue;
        memcpy(p, m->to, whole);
        if (mask != 0)
            p[whole] = (uint8_t)((p[whole] & ~mask) | (m->to[whole] & mask));
        return true;
    }
    return false;
}

/* IPv4, IPv6, and the addresses that ARP speaks of. */
static void change_addresses(struct frame *f, const struct at_edit *e)
{
    struct at_headers h;
    uint64_t before, after;
    uint8_t *src, *dst;
    uint8_t bytes;
    uint32_t sum;
    bool changed;

    if (e->nets == 0)
        return;
    decode_frame(&h, f);
    if (h.src == NULL)
        return;
    bytes = h.net == AT_NET_IPV6 ? 16 : 4;
    src = f->p + (h.src - f->p);
    dst = f->p + (h.dst - f->p);
    before = add_words(src, bytes) + add_words(dst, bytes);
    changed = map_address(src, bytes, e);
    changed = map_address(dst, bytes, e) || changed;
    if (!changed || h.net == AT_NET_ARP)
        return;
    after = add_words(src, bytes) + add_words(dst, bytes);
    if (h.net == AT_NET_IPV4)
        adjust_sum(f->p + h.net_offset + IPV4_SUM_AT, before, after);
    sum = h.proto == PROTO_ICMP ? NO_SUM : sum_at(&h, f);
    /* A UDP sum of 0 is none. */
    if (sum != NO_SUM &&
        !(h.proto == PROTO_UDP && at_load_be16(f->p + sum) == 0))
        adjust_sum(f->p + sum, before, after);
}

static void make_ipv4_sum(struct frame *f, const struct at_headers *h)
{
    uint8_t *ip = f->p + h->net_offset;
    const size_t n = 4u * (ip[0] & 15u);

    if (n < 20 || h->net_offset + n > f->bytes)
        return;
    at_store_be16(ip + IPV4_SUM_AT, 0);
    at_store_be16(ip + IPV4_SUM_AT, inverse(add_words(ip, n)));
}

/* Only of a datagram that is all there. */
static void make_transport_sum(struct frame *f, const struct at_headers *h)
{
    const uint32_t at = sum_at(h, f);
    const uint64_t end = (uint64_t)h->net_offset + h->ip_bytes;
    const uint8_t bytes = h->net == AT_NET_IPV6 ? 16 : 4;
    uint64_t sum = 0;
    uint16_t made;
    uint32_t n;

    if (at == NO_SUM || (h->flags & AT_DECODED_FRAGMENT) != 0 ||
        end > f->bytes || end < at + 2u)
        return;
    if (h->proto == PROTO_UDP && h->net == AT_NET_IPV4 &&
        at_load_be16(f->p + at) == 0)
        return;
    n = (uint32_t)end - h->transport_offset;
    if (h->proto != PROTO_ICMP)
        sum = add_words(h->src, bytes) + add_words(h->dst, bytes) + n +
              h->proto;
    at_store_be16(f->p + at, 0);
    made = inverse(sum + add_words(f->p + h->transport_offset, n));
    at_store_be16(f->p + at,
                  made == 0 && h->proto == PROTO_UDP ? 0xffff : made);
}

static void make_sums(struct frame *f)
{
    struct at_headers h;

    decode_frame(&h, f);
    if (h.net == AT_NET_IPV4)
        make_ipv4_sum(f, &h);
    if (h.net == AT_NET_IPV4 || h.net == AT_NET_IPV6)
        make_transport_sum(f, &h);
}

/* ---- all of it ------------------------------------------------------- */

static bool is_tagged(const struct frame *f)
{
    const uint32_t type = f->bytes >= ETHER_BYTES ? at_load_be16(f->p + TYPE_AT)
                                                  : 0;

    return type == TYPE_VLAN || type == TYPE_QINQ;
}

static enum at_unsent fit(struct frame *f, const struct at_edit *e,
                          const struct at_edit_target *target)
{
    const uint32_t most = target->most + (is_tagged(f) ? TAG_BYTES : 0);

    if (target->most == 0 || f->bytes <= most)
        return AT_UNSENT_NOT;
    if (e->longs == AT_LONG_SKIP)
        return AT_UNSENT_LONG;
    f->bytes = most;
    f->whole = false;
    return AT_UNSENT_NOT;
}

enum at_unsent at_edit_packet(const struct at_edit *e,
                              const struct at_edit_target *target,
                              const struct at_packet *pkt, uint8_t *out,
                              size_t room, uint32_t *bytes)
{
    struct frame f = {.p = out, .room = room};
    enum at_unsent why = start_frame(&f, e, target, pkt);

    if (why == AT_UNSENT_NOT)
        why = fill_up(&f, e, pkt);
    if (why != AT_UNSENT_NOT)
        return why;
    if (pkt->linktype == AT_LINK_ETHERNET || !target->any_link) {
        change_macs(&f, e);
        why = change_vlan(&f, e);
        if (why != AT_UNSENT_NOT)
            return why;
        change_addresses(&f, e);
    }
    why = fit(&f, e, target);
    if (why == AT_UNSENT_NOT && e->checksums && f.whole)
        make_sums(&f);
    *bytes = f.bytes;
    return why;
}
