/*
 * carry.c - flows that go on from one part of a capture into the next
 */
#include "carry.h"

#include <stdlib.h>
#include <string.h>

#include "bytes.h"

enum {
    /* of the key */
    HI = 16,
    LO_PORT = 32,
    HI_PORT = 34,
    VLAN = 36,
    NET = 38,
    PROTO = 39,
    PATH = 40, /* MPLS label, and: */
    PATH_INNER = 31,
    /* of the state */
    LAST = 8,
    WAY = 16,
    FIRST = 4, /* of a way */
    MISSING = 8,
    FIRST_LEN = 12,
    FLAGS = 14,
    WAY_BITS = 15,
    WAY_BYTES = 16,
    SYN_US = WAY + 2 * WAY_BYTES,
    STATE = SYN_US + 4,
    BITS = STATE + 1,
    TCP = 6,
    /* of a datagram */
    LINK = 4,
    TIME = 8,
    SENDER = 16,
};

_Static_assert(BITS + 1 == AT_CARRY_STATE_BYTES, "the layout of carry.h");
_Static_assert(SENDER + 1 == AT_CARRY_DATAGRAM_BYTES, "the layout of carry.h");

/* ---- keys ------------------------------------------------------------ */

static void pack_key(uint8_t *p, const struct at_flow_key *key)
{
    memcpy(p, key->lo, sizeof(key->lo));
    memcpy(p + HI, key->hi, sizeof(key->hi));
    at_store_le16(p + LO_PORT, key->lo_port);
    at_store_le16(p + HI_PORT, key->hi_port);
    at_store_le16(p + VLAN, key->vlan);
    p[NET] = key->net;
    p[PROTO] = key->proto;
    at_store_le32(p + PATH, key->mpls | (uint32_t)key->inner << PATH_INNER);
}

static void unpack_key(struct at_flow_key *key, const uint8_t *p)
{
    memset(key, 0, sizeof(*key)); /* keys are compared as bytes */
    memcpy(key->lo, p, sizeof(key->lo));
    memcpy(key->hi, p + HI, sizeof(key->hi));
    key->lo_port = at_load_le16(p + LO_PORT);
    key->hi_port = at_load_le16(p + HI_PORT);
    key->vlan = at_load_le16(p + VLAN);
    key->net = p[NET];
    key->proto = p[PROTO];
    key->mpls = at_load_le32(p + PATH) & 0xfffff;
    key->inner = (uint8_t)(at_load_le32(p + PATH) >> PATH_INNER);
}

/* ---- states ---------------------------------------------------------- */

static void pack_way(uint8_t *p, const struct at_flow *f, int dir)
{
    const struct at_flow_way *w = &f->way[dir];

    at_store_le32(p, w->next_seq);
    memcpy(p + FIRST, w->first, sizeof(w->first));
    if (w->first_len == 0)
        at_store_le32(p + FIRST, w->first_seq);
    at_store_le32(p + MISSING, f->missing[dir]);
    at_store_le16(p + FIRST_LEN, w->first_len);
    p[WAY_BITS] = (uint8_t)(w->first_bytes | w->known << 3 | w->syn << 4);
}

void at_carry_pack_state(uint8_t p[AT_CARRY_STATE_BYTES],
                         const struct at_flow *flow,
                         const struct at_flow_past *past)
{
    at_store_le64(p, (uint64_t)past->began_ns);
    at_store_le64(p + LAST, (uint64_t)flow->last_ns);
    for (int dir = 0; dir < 2; dir++) {
        uint8_t *way = p + WAY + (size_t)dir * WAY_BYTES;

        pack_way(way, flow, dir);
        way[FLAGS] = flow->way[dir].tcp_flags | past->tcp_flags[dir];
    }
    if (flow->key.proto == TCP)
        at_store_le32(p + SYN_US, flow->syn_us);
    else
        memcpy(p + SYN_US, (uint8_t[4]){flow->message[0], flow->message[1]}, 4);
    p[STATE] = flow->state;
    p[BITS] = (uint8_t)(flow->source_is_hi | flow->handshake << 1 |
                        (past->answered || flow->way[1].packets > 0) << 3);
}

static void unpack_way(struct at_flow *f, int dir, const uint8_t *p)
{
    struct at_flow_way *w = &f->way[dir];

    w->next_seq = at_load_le32(p);
    w->first_len = at_load_le16(p + FIRST_LEN);
    if (w->first_len > 0)
        memcpy(w->first, p + FIRST, sizeof(w->first));
    else
        w->first_seq = at_load_le32(p + FIRST);
    f->missing[dir] = at_load_le32(p + MISSING);
    w->first_bytes = p[WAY_BITS] & 7u;
    w->known = p[WAY_BITS] >> 3 & 1;
    w->syn = p[WAY_BITS] >> 4 & 1;
}

bool at_carry_unpack_state(struct at_flow *flow, struct at_flow_past *past,
                           const uint8_t p[AT_CARRY_STATE_BYTES])
{
    const bool tcp = flow->key.proto == TCP && flow->key.net != AT_NET_ARP;

    past->began_ns = (int64_t)at_load_le64(p);
    flow->first_ns = flow->last_ns = (int64_t)at_load_le64(p + LAST);
    for (int dir = 0; dir < 2; dir++) {
        const uint8_t *way = p + WAY + (size_t)dir * WAY_BYTES;

        unpack_way(flow, dir, way);
        past->tcp_flags[dir] = way[FLAGS];
    }
    if (flow->key.proto == TCP)
        flow->syn_us = at_load_le32(p + SYN_US);
    else
        memcpy(flow->message, p + SYN_US, sizeof(flow->message));
    flow->state = p[STATE];
    flow->source_is_hi = (p[BITS] & 1) != 0;
    flow->handshake = p[BITS] >> 1 & 3u;
    past->answered = (p[BITS] & 8) != 0;
    return flow->state < AT_FLOW_STATES &&
           (flow->key.net == AT_NET_OTHER || flow->key.net == AT_NET_IPV4 ||
            flow->key.net == AT_NET_IPV6 || flow->key.net == AT_NET_ARP) &&
           (flow->state >= AT_FLOW_SYN) == tcp &&
           flow->way[0].first_bytes <= 4 && flow->way[1].first_bytes <= 4;
}

/* ---- lists ----------------------------------------------------------- */

/* Room for 'more' records behind 'n'. */
static enum at_status make_room(uint8_t **record, size_t *room, size_t n,
                                size_t more, size_t record_bytes)
{
    size_t wanted = *room;
    uint8_t *p;

    if (wanted - n >= more)
        return AT_OK;
    while (wanted - n < more)
        wanted = wanted + wanted / 2 + 256;
    p = realloc(*record, wanted * record_bytes);
    if (p == NULL)
        return AT_ERR_MEMORY;
    *record = p;
    *room = wanted;
    return AT_OK;
}

static enum at_status make_flow_room(struct at_carry *c, size_t more)
{
    return make_room(&c->record, &c->room, c->n, more, AT_CARRY_BYTES);
}

enum at_status at_carry_add(struct at_carry *c, const struct at_flow *flow,
                            const struct at_flow_past *past)
{
    uint8_t *p;

    if (make_flow_room(c, 1) != AT_OK)
        return AT_ERR_MEMORY;
    p = c->record + c->n++ * AT_CARRY_BYTES;
    pack_key(p, &flow->key);
    at_carry_pack_state(p + AT_CARRY_KEY_BYTES, flow, past);
    return AT_OK;
}

enum at_status at_carry_add_bytes(struct at_carry *c, const void *p, size_t n)
{
    if (n % AT_CARRY_BYTES != 0)
        return AT_ERR_FORMAT;
    if (n == 0)
        return AT_OK;
    if (make_flow_room(c, n / AT_CARRY_BYTES) != AT_OK)
        return AT_ERR_MEMORY;
    memcpy(c->record + c->n * AT_CARRY_BYTES, p, n);
    c->n += n / AT_CARRY_BYTES;
    return AT_OK;
}

bool at_carry_get(const struct at_carry *c, size_t i, struct at_flow *flow,
                  struct at_flow_past *past)
{
    const uint8_t *p = c->record + i * AT_CARRY_BYTES;

    memset(flow, 0, sizeof(*flow));
    unpack_key(&flow->key, p);
    return at_carry_unpack_state(flow, past, p + AT_CARRY_KEY_BYTES);
}

/* ---- datagrams ------------------------------------------------------- */

static enum at_status make_datagram_room(struct at_carry *c, size_t more)
{
    return make_room(&c->datagram, &c->datagram_room, c->datagrams, more,
                     AT_CARRY_DATAGRAM_BYTES);
}

enum at_status at_carry_add_datagram(struct at_carry *c,
                                     const struct at_datagram *first)
{
    uint8_t *p;

    if (make_datagram_room(c, 1) != AT_OK)
        return AT_ERR_MEMORY;
    p = c->datagram + c->datagrams++ * AT_CARRY_DATAGRAM_BYTES;
    at_store_le32(p, first->value);
    at_store_le32(p + LINK, first->link);
    at_store_le64(p + TIME, (uint64_t)first->ts_ns);
    p[SENDER] = first->from_hi;
    return AT_OK;
}

enum at_status at_carry_add_datagram_bytes(struct at_carry *c, const void *p,
                                           size_t n)
{
    const size_t more = n / AT_CARRY_DATAGRAM_BYTES;

    if (n % AT_CARRY_DATAGRAM_BYTES != 0)
        return AT_ERR_FORMAT;
    if (n == 0)
        return AT_OK;
    if (make_datagram_room(c, more) != AT_OK)
        return AT_ERR_MEMORY;
    memcpy(c->datagram + c->datagrams * AT_CARRY_DATAGRAM_BYTES, p, n);
    c->datagrams += more;
    return AT_OK;
}

static struct at_datagram unpack_datagram(const struct at_carry *c, size_t i)
{
    const uint8_t *p = c->datagram + i * AT_CARRY_DATAGRAM_BYTES;

    return (struct at_datagram){.value = at_load_le32(p),
                                .link = at_load_le32(p + LINK),
                                .ts_ns = (int64_t)at_load_le64(p + TIME),
                                .from_hi = (p[SENDER] & 1) != 0};
}

/* A flow has lasted until its first fragments, and they are not too old. */
bool at_carry_get_datagram(const struct at_carry *c, size_t i,
                           struct at_datagram *first)
{
    struct at_datagram before;
    const uint8_t *flow;

    *first = unpack_datagram(c, i);
    if (first->value >= c->n)
        return false;
    flow = c->record + first->value * AT_CARRY_BYTES + AT_CARRY_KEY_BYTES;
    if (at_load_le64(flow + LAST) - (uint64_t)first->ts_ns > AT_DATAGRAM_NS)
        return false;
    if (i == 0)
        return true;
    before = unpack_datagram(c, i - 1);
    return at_datagram_order(&before, first) < 0;
}

size_t at_carry_datagrams_from(const struct at_carry *c, size_t flow)
{
    size_t low = 0, high = c->datagrams;

    while (low < high) {
        const size_t middle = low + (high - low) / 2;

        if (unpack_datagram(c, middle).value < flow)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* ---------------------------------------------------------------------- */

void at_carry_close(struct at_carry *c)
{
    free(c->record);
    free(c->datagram);
    *c = (struct at_carry){.n = 0};
}
