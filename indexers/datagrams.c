/*
 * datagrams.c - which fragments are of one datagram
 *
 * An open-addressing table of 64-bit hashes, whose seeds nobody who makes a
 * file can guess; so two datagrams are taken for one as good as never, and
 * addresses need not be kept.  When it is half full it is made anew without
 * those that are too old, and larger if that helps too little.  At its limit
 * all are forgotten, and counted.
 */
#include "datagrams.h"

#include <stdlib.h>

enum {
    LEAST = 1 << 8,
    MOST = 1 << 17,
};

/* As long as a receiver waits by RFC 1122 (60 to 120 s) at most. */
static const int64_t keep_ns = INT64_C(120) * 1000000000;

struct datagram {
    uint64_t hash; /* 0: free */
    int64_t ts_ns;
    uint32_t value;
};

struct at_datagrams {
    struct datagram *table; /* NULL until there is one */
    size_t size;            /* a power of two */
    size_t used;
    int64_t newest_ns;
    uint64_t seed[2];
    uint64_t lost;
};

struct at_datagrams *at_datagrams_open(void)
{
    struct at_datagrams *d = calloc(1, sizeof(*d));

    if (d != NULL)
        for (int i = 0; i < 2; i++)
            d->seed[i] = at_flow_key_seed();
    return d;
}

void at_datagrams_close(struct at_datagrams *d)
{
    if (d == NULL)
        return;
    free(d->table);
    free(d);
}

uint64_t at_datagrams_lost(const struct at_datagrams *d)
{
    return d->lost;
}

/* IPv6 has the protocol of what is behind the fragment header, where the first
 * fragment may have more headers. */
static uint64_t hash_of(const struct at_datagrams *d, const struct at_sight *s)
{
    struct at_flow_key key = s->key;
    uint64_t hash;

    key.lo_port = (uint16_t)s->link;
    key.hi_port = (uint16_t)(s->link >> 16);
    key.proto = key.net == AT_NET_IPV6 ? 0 : key.proto;
    hash = (uint64_t)at_flow_key_hash(&key, d->seed[0] + s->from_hi) << 32 |
           at_flow_key_hash(&key, d->seed[1]);
    return hash != 0 ? hash : 1;
}

/* Its place, or the free one where it belongs. */
static struct datagram *place(struct datagram *table, size_t size,
                              uint64_t hash)
{
    size_t at = (size_t)hash & (size - 1);

    while (table[at].hash != 0 && table[at].hash != hash)
        at = (at + 1) & (size - 1);
    return &table[at];
}

static bool is_kept(const struct at_datagrams *d, const struct datagram *e)
{
    return e->hash != 0 && d->newest_ns - e->ts_ns <= keep_ns;
}

/* A table that is at most a quarter full. */
static enum at_status renew(struct at_datagrams *d)
{
    struct datagram *old = d->table;
    const size_t n = d->size;
    size_t kept = 0, size = LEAST;

    for (size_t i = 0; i < n; i++)
        kept += is_kept(d, &old[i]);
    if (kept * 4 > MOST) {
        d->lost += kept;
        kept = 0;
    }
    while (size < kept * 4)
        size *= 2;
    d->table = calloc(size, sizeof(*d->table));
    d->size = d->table != NULL ? size : 0;
    d->used = kept;
    for (size_t i = 0; i < n && kept > 0 && d->table != NULL; i++)
        if (is_kept(d, &old[i]))
            *place(d->table, size, old[i].hash) = old[i];
    free(old);
    return d->table != NULL ? AT_OK : AT_ERR_MEMORY;
}

enum at_status at_datagrams_put(struct at_datagrams *d,
                                const struct at_sight *s, uint32_t value)
{
    const uint64_t hash = hash_of(d, s);
    struct datagram *e;

    if (d->used == 0 || s->ts_ns > d->newest_ns)
        d->newest_ns = s->ts_ns;
    if (d->used * 2 >= d->size && renew(d) != AT_OK)
        return AT_ERR_MEMORY;
    e = place(d->table, d->size, hash);
    d->used += e->hash == 0;
    *e = (struct datagram){hash, s->ts_ns, value};
    return AT_OK;
}

/* One that is forgotten stays in the table, and is not found. */
void at_datagrams_renumber(struct at_datagrams *d, const uint32_t *to)
{
    for (size_t i = 0; i < d->size; i++) {
        struct datagram *e = &d->table[i];

        if (e->hash == 0 || e->value == UINT32_MAX)
            continue;
        e->value = to[e->value];
    }
}

bool at_datagrams_find(const struct at_datagrams *d, const struct at_sight *s,
                       uint32_t *value)
{
    const struct datagram *e;

    if (d->size == 0)
        return false;
    e = place(d->table, d->size, hash_of(d, s));
    if (e->hash == 0 || e->value == UINT32_MAX ||
        s->ts_ns - e->ts_ns > keep_ns || e->ts_ns - s->ts_ns > keep_ns)
        return false;
    *value = e->value;
    return true;
}
