/*
 * sight.c - a packet as the flow table sees it
 */
#include "sight.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "asked.h"
#include "bytes.h"

enum {
    PROTO_ICMP = 1,
    PROTO_ICMPV6 = 58,
};

/* Multiply and fold, as in wyhash (public domain, Wang Yi). */
static uint64_t mix(uint64_t a, uint64_t b)
{
    const __uint128_t m = (__uint128_t)a * b;

    return (uint64_t)m ^ (uint64_t)(m >> 64);
}

/* From words of 4 bytes: a key is often one that was just written in pieces,
 * which a processor is slow to read as a whole. */
static uint64_t word_at(const uint8_t *p)
{
    return (uint64_t)at_load_le32(p + 4) << 32 | at_load_le32(p);
}

uint32_t at_flow_key_hash(const struct at_flow_key *key, uint64_t seed)
{
    const uint64_t ends = (uint64_t)key->lo_port | (uint64_t)key->hi_port << 16;
    const uint64_t kind = (uint64_t)key->vlan | (uint64_t)key->net << 16 |
                          (uint64_t)key->proto << 24;
    const uint64_t word = ends | kind << 32;
    const uint64_t last = key->mpls | (uint64_t)key->inner << 32;

    _Static_assert(sizeof(*key) == 48, "a key is hashed as a whole");
    seed ^= 0xa0761d6478bd642fu;
    return (uint32_t)(mix(mix(word_at(key->lo) ^ 0xe7037ed1a0b428dbu,
                              word_at(key->lo + 8) ^ seed) ^
                              mix(word_at(key->hi) ^ 0x8ebc6af09c88c6e3u,
                                  word_at(key->hi + 8) ^ seed) ^
                              mix(last ^ 0x1d8e4e27c47d124fu, word ^ ~seed),
                          word ^ 0x589965cc75374cc3u ^ seed) >>
                      32);
}

uint64_t at_flow_key_seed(void)
{
    uint64_t seed;

    if (getrandom(&seed, sizeof(seed), GRND_NONBLOCK) != sizeof(seed))
        seed = (uint64_t)at_time_now() ^ (uint64_t)(uintptr_t)&seed;
    return seed;
}

/* ---- what is in a key ------------------------------------------------ */

static bool take_word(struct at_keying *key, const char *word)
{
    if (strcmp(word, "vlan") == 0)
        key->vlan = AT_SIGHT_OUTER_VLAN;
    else if (strcmp(word, "inner-vlan") == 0)
        key->vlan = AT_SIGHT_INNER_VLAN;
    else if (strcmp(word, "mpls") == 0)
        key->mpls = true;
    else if (strcmp(word, "inner") == 0)
        key->inner = true;
    else
        return false;
    return true;
}

enum at_status at_keying_parse(struct at_keying *key, const char *text,
                               struct at_error *err)
{
    char *copy = strdup(text), *next = copy, *word;
    enum at_status st = AT_OK;

    *key = (struct at_keying){.vlan = AT_SIGHT_NO_VLAN};
    if (copy == NULL)
        return at_error_set(err, AT_ERR_MEMORY, "out of memory");
    if (strcmp(text, "none") == 0)
        next = NULL;
    while (st == AT_OK && (word = strsep(&next, ",")) != NULL)
        if (!take_word(key, word))
            st = at_error_set(err, AT_ERR_SYNTAX,
                              "'%s' tells no flows apart; there are vlan or "
                              "inner-vlan, mpls and inner, or none",
                              word);
    free(copy);
    return st;
}

const char *at_keying_format(char buf[AT_KEYING_TEXT],
                             const struct at_keying *key)
{
    static const char *const vlan[] = {",vlan", ",inner-vlan", ""};

    if (key->vlan == AT_SIGHT_NO_VLAN && !key->mpls && !key->inner)
        return "none";
    snprintf(buf, AT_KEYING_TEXT, "%s%s%s", vlan[key->vlan],
             key->mpls ? ",mpls" : "", key->inner ? ",inner" : "");
    return buf + 1;
}

/* ---- keys ------------------------------------------------------------ */

/* Question and answer of one kind of ICMP exchange get one number. */
static uint16_t icmp_exchange(uint8_t proto, uint16_t type)
{
    enum { ECHO_REPLY = 0, ECHO = 8 };

    if (proto == PROTO_ICMP) {
        if (type == ECHO_REPLY)
            return ECHO;
        if (type == 14 || type == 16 || type == 18)
            return (uint16_t)(type - 1); /* timestamp, information, mask */
        return type == 9 ? 10 : type;    /* router solicitation */
    }
    if (type == 129)
        return 128; /* echo */
    if (type == 134)
        return 133;                  /* router solicitation */
    return type == 136 ? 135 : type; /* neighbour solicitation */
}

static void key_ports(const struct at_ends *e, uint16_t *src, uint16_t *dst)
{
    *src = *dst = 0;
    if (e->net == AT_NET_ARP) {
        *src = *dst = e->ethertype; /* or it is RARP */
    } else if (e->ports) {
        *src = e->sport;
        *dst = e->dport;
    } else if (e->proto == PROTO_ICMP || e->proto == PROTO_ICMPV6) {
        *src = *dst = icmp_exchange(e->proto, e->sport);
    }
}

/* As memcmp() has them, of 4 or 16 bytes. */
static inline int order_of(const uint8_t *a, const uint8_t *b, size_t n)
{
    uint64_t x = n == 4 ? at_load_be32(a) : at_load_be64(a);
    uint64_t y = n == 4 ? at_load_be32(b) : at_load_be64(b);

    if (n == 16 && x == y) {
        x = at_load_be64(a + 8);
        y = at_load_be64(b + 8);
    }
    return (x > y) - (x < y);
}

/* Puts the ends in order; 'n' is a number that the compiler knows.  True if
 * the source is 'hi'. */
static inline bool place_ends(struct at_flow_key *key, const struct at_ends *e,
                              size_t n, uint16_t src, uint16_t dst)
{
    const int order = order_of(e->src, e->dst, n);
    const bool from_hi = order > 0 || (order == 0 && src > dst);

    memcpy(from_hi ? key->hi : key->lo, e->src, n);
    memcpy(from_hi ? key->lo : key->hi, e->dst, n);
    key->lo_port = from_hi ? dst : src;
    key->hi_port = from_hi ? src : dst;
    return from_hi;
}

bool at_flow_key_make(struct at_flow_key *key, const struct at_ends *e)
{
    uint16_t src, dst;

    memset(key, 0, sizeof(*key));
    key->net = e->net;
    key->vlan = e->vlan;
    key->mpls = e->mpls;
    key->inner = e->inner;
    if (e->net == AT_NET_OTHER) {
        key->lo_port = e->ethertype;
        return false;
    }
    key_ports(e, &src, &dst);
    key->proto = e->net == AT_NET_ARP ? 0 : e->proto;
    return e->net == AT_NET_IPV6 ? place_ends(key, e, 16, src, dst)
                                 : place_ends(key, e, 4, src, dst);
}

/* Of *h, vlan and mpls are as the rules have them. */
static bool take_key(struct at_flow_key *key, const struct at_headers *h)
{
    const struct at_ends ends = {
        .src = h->src,
        .dst = h->dst,
        .sport = h->sport,
        .dport = h->dport,
        .ethertype = h->ethertype,
        .vlan = h->vlan,
        .mpls = h->mpls,
        .net = h->net,
        .proto = h->proto,
        .inner = h->depth > 0,
        .ports = (h->flags & AT_DECODED_PORTS) != 0,
    };

    return at_flow_key_make(key, &ends);
}

static bool is_ip(const struct at_headers *h)
{
    return h->net == AT_NET_IPV4 || h->net == AT_NET_IPV6;
}

/* Goes to the innermost IP packet, whose VLAN and MPLS label are those of its
 * own frame or else of the frame around it. */
static void go_inside(struct at_headers *h, const struct at_packet *pkt)
{
    struct at_headers inner = *h;

    while (is_ip(&inner) && at_decode_inner(&inner, &inner, pkt)) {
        if (!is_ip(&inner))
            return;
        if (inner.vlan == 0) {
            inner.vlan = h->vlan;
            inner.inner_vlan = h->inner_vlan;
        }
        if (inner.mpls == 0)
            inner.mpls = h->mpls;
        *h = inner;
    }
}

static uint16_t vlan_of(const struct at_headers *h, int vlan)
{
    if (vlan == AT_SIGHT_NO_VLAN)
        return 0;
    return vlan == AT_SIGHT_INNER_VLAN ? h->inner_vlan : h->vlan;
}

/* Decodes by our rules or nDPI's; false: the packet is in no flow. */
static bool decode(struct at_headers *h, const struct at_packet *pkt,
                   const struct at_sighting *how)
{
    if (pkt->kind != AT_KIND_PACKET)
        return false;
    if (how->conformance)
        return at_sight_ndpi(h, pkt);
    at_decode(h, pkt);
    if (how->key.inner)
        go_inside(h, pkt);
    h->vlan = vlan_of(h, how->key.vlan);
    if (!how->key.mpls)
        h->mpls = 0;
    return true;
}

static void take_sizes(struct at_sight *s, const struct at_headers *h,
                       const struct at_packet *pkt,
                       const struct at_sighting *how)
{
    s->cap_bytes = pkt->cap_bytes;
    s->wire_bytes = pkt->wire_bytes;
    if (how->conformance)
        s->bytes = pkt->cap_bytes & 0xffff; /* it has 16 bits for them */
    else
        s->bytes = is_ip(h) ? h->ip_bytes : pkt->wire_bytes;
}

/* The first 'n' of 'left' bytes, at most 4, and zeros. */
static void take_first(uint8_t first[4], const uint8_t *p, uint32_t n,
                       uint32_t left)
{
    if (left >= 4) {
        const uint32_t all = at_load_le32(p);

        at_store_le32(first, n >= 4 ? all : all & ((UINT32_C(1) << 8 * n) - 1));
        return;
    }
    memset(first, 0, 4);
    if (n > 0)
        memcpy(first, p, n);
}

/* What follows the payload in the frame is none of it. */
static void take_payload(struct at_sight *s, const struct at_headers *h,
                         const struct at_packet *pkt)
{
    const uint32_t left = h->payload_offset > 0
                              ? pkt->cap_bytes - h->payload_offset
                              : 0;
    const uint32_t n = left < h->payload_bytes ? left : h->payload_bytes;

    s->payload_bytes = h->payload_bytes;
    s->first_bytes = (uint8_t)(n < sizeof(s->first) ? n : sizeof(s->first));
    take_first(s->first, pkt->data + h->payload_offset, s->first_bytes, left);
}

static void take_tcp(struct at_sight *s, const struct at_headers *h,
                     const struct at_packet *pkt)
{
    enum { WINDOW = 14 };
    const uint32_t at = h->transport_offset + WINDOW;

    s->tcp_flags = h->tcp_flags;
    s->tcp_seq = h->tcp_seq;
    s->zero_window = h->tcp_flags != 0 && at + 2 <= pkt->cap_bytes &&
                     at_load_be16(pkt->data + at) == 0;
}

/* A later fragment of the packet that is quoted tells no ports. */
static bool take_quote(struct at_quote *quote, const struct at_headers *h,
                       const struct at_packet *pkt,
                       const struct at_sighting *how)
{
    struct at_headers quoted;

    if (!at_decode_quoted(&quoted, h, pkt) || !is_ip(&quoted) ||
        (quoted.flags & AT_DECODED_LATER) != 0)
        return false;
    quoted.vlan = h->vlan;
    quoted.mpls = h->mpls;
    quoted.depth = h->depth;
    take_key(&quote->key, &quoted);
    quote->hash = at_flow_key_hash(&quote->key, how->seed);
    return true;
}

bool at_sight_take(struct at_sight *s, struct at_quote *quote,
                   const struct at_packet *pkt, const struct at_sighting *how)
{
    struct at_headers h;

    s->packet = decode(&h, pkt, how);
    s->wanted = false;
    s->name = 0;
    if (!s->packet)
        return false;
    s->from_hi = take_key(&s->key, &h);
    s->ts_ns = at_ts_to_ns(pkt->ts);
    s->sport = h.sport;
    s->dport = h.dport;
    s->flags = h.flags;
    s->link = h.datagram;
    take_sizes(s, &h, pkt, how);
    take_payload(s, &h, pkt);
    take_tcp(s, &h, pkt);
    s->checksum = (uint8_t)at_checksum_overall(at_checksum_verify(pkt, &h));
    s->hash = at_flow_key_hash(&s->key, how->seed);
    return (h.flags & AT_DECODED_FRAGMENT) == 0 && !how->conformance &&
           take_quote(quote, &h, pkt, how);
}

/* The packet is decoded again, but only if it may ask for something. */
size_t at_sight_name(char *name, const struct at_sight *s,
                     const struct at_packet *pkt, const struct at_sighting *how)
{
    struct at_headers h;

    if (!how->names || !s->packet ||
        !at_asked_may_be(s->key.proto, s->sport, s->dport, s->first,
                         s->first_bytes) ||
        !decode(&h, pkt, how))
        return 0;
    return at_asked(name, pkt, &h);
}
