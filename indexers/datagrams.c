/*
 * datagrams.c - which fragments are of one datagram
 *
 * An open-addressing table of 64-bit hashes, whose seeds nobody who makes a
 * file can guess; so two datagrams are taken for one as good as never, and
 * addresses need not be kept.  When it is half full it is made anew without
 * those that are too old, and larger if that helps too little.  At its limit
 * all are forgotten, and counted.
 *
 * Those of earlier parts have a table of their own: when there are too many,
 * and what is found, must not depend on how many of them were handed on that
 * nothing came of.
 */
#include "datagrams.h"

#include <stdlib.h>
#include <string.h>

enum {
    LEAST = 1 << 8,
    MOST = 1 << 17,
    LISTED = MOST / 2, /* more at a time are never in a table */
};

struct entry {
    uint64_t hash; /* 0: free */
    struct at_datagram first;
};

struct table {
    struct entry *entry; /* NULL until there is one */
    size_t size;         /* a power of two */
    size_t used;
    int64_t newest_ns;
    uint64_t lost;
};

struct at_datagrams {
    struct table here, earlier;
    uint64_t seed[2];
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
    free(d->here.entry);
    free(d->earlier.entry);
    free(d);
}

uint64_t at_datagrams_lost(const struct at_datagrams *d)
{
    return d->here.lost;
}

/* IPv6 has the protocol of what is behind the fragment header, where the first
 * fragment may have more headers.  Who talks to itself has one end by its
 * address, and two only by its ports. */
static uint64_t hash_of(const struct at_datagrams *d, struct at_flow_key key,
                        uint32_t link, bool from_hi)
{
    uint64_t hash;

    from_hi = from_hi && memcmp(key.lo, key.hi, sizeof(key.lo)) != 0;
    key.lo_port = (uint16_t)link;
    key.hi_port = (uint16_t)(link >> 16);
    key.proto = key.net == AT_NET_IPV6 ? 0 : key.proto;
    hash = (uint64_t)at_flow_key_hash(&key, d->seed[0] + from_hi) << 32 |
           at_flow_key_hash(&key, d->seed[1]);
    return hash != 0 ? hash : 1;
}

/* Its place, or the free one where it belongs. */
static struct entry *place(struct entry *table, size_t size, uint64_t hash)
{
    size_t at = (size_t)hash & (size - 1);

    while (table[at].hash != 0 && table[at].hash != hash)
        at = (at + 1) & (size - 1);
    return &table[at];
}

/* NULL if it is not there. */
static const struct entry *look_up(const struct table *t, uint64_t hash)
{
    const struct entry *e = t->size > 0 ? place(t->entry, t->size, hash) : NULL;

    return e != NULL && e->hash != 0 ? e : NULL;
}

static bool is_kept(const struct entry *e, int64_t now_ns)
{
    return e->hash != 0 && now_ns - e->first.ts_ns <= AT_DATAGRAM_NS;
}

/* A table that is at most a quarter full. */
static enum at_status renew(struct table *t)
{
    struct entry *old = t->entry;
    const size_t n = t->size;
    size_t kept = 0, size = LEAST;

    for (size_t i = 0; i < n; i++)
        kept += is_kept(&old[i], t->newest_ns);
    if (kept * 4 > MOST) {
        t->lost += kept;
        kept = 0;
    }
    while (size < kept * 4)
        size *= 2;
    t->entry = calloc(size, sizeof(*t->entry));
    t->size = t->entry != NULL ? size : 0;
    t->used = kept;
    for (size_t i = 0; i < n && kept > 0 && t->entry != NULL; i++)
        if (is_kept(&old[i], t->newest_ns))
            *place(t->entry, size, old[i].hash) = old[i];
    free(old);
    return t->entry != NULL ? AT_OK : AT_ERR_MEMORY;
}

static enum at_status note(struct table *t, uint64_t hash,
                           const struct at_datagram *first)
{
    struct entry *e;

    if (t->used == 0 || first->ts_ns > t->newest_ns)
        t->newest_ns = first->ts_ns;
    if (t->used * 2 >= t->size && renew(t) != AT_OK)
        return AT_ERR_MEMORY;
    e = place(t->entry, t->size, hash);
    t->used += e->hash == 0;
    *e = (struct entry){hash, *first};
    return AT_OK;
}

enum at_status at_datagrams_put(struct at_datagrams *d,
                                const struct at_sight *s, uint32_t value)
{
    const struct at_datagram first = {.ts_ns = s->ts_ns,
                                      .value = value,
                                      .link = s->link,
                                      .from_hi = s->from_hi != 0};

    return note(&d->here, hash_of(d, s->key, first.link, first.from_hi),
                &first);
}

enum at_status at_datagrams_resume(struct at_datagrams *d,
                                   const struct at_flow_key *key,
                                   const struct at_datagram *first)
{
    return note(&d->earlier, hash_of(d, *key, first->link, first->from_hi),
                first);
}

/* One that is forgotten stays in the table, and is not found. */
static void renumber(struct table *t, const uint32_t *to)
{
    for (size_t i = 0; i < t->size; i++) {
        struct entry *e = &t->entry[i];

        if (e->hash == 0 || e->first.value == UINT32_MAX)
            continue;
        e->first.value = to[e->first.value];
    }
}

void at_datagrams_renumber(struct at_datagrams *d, const uint32_t *to)
{
    renumber(&d->here, to);
    renumber(&d->earlier, to);
}

const struct at_datagram *at_datagrams_find(const struct at_datagrams *d,
                                            const struct at_sight *s)
{
    const uint64_t hash = hash_of(d, s->key, s->link, s->from_hi != 0);
    const struct entry *e = look_up(&d->here, hash);

    if (e == NULL)
        e = look_up(&d->earlier, hash);
    if (e == NULL || e->first.value == UINT32_MAX ||
        s->ts_ns - e->first.ts_ns > AT_DATAGRAM_NS ||
        e->first.ts_ns - s->ts_ns > AT_DATAGRAM_NS)
        return NULL;
    return &e->first;
}

/* ---- lists ----------------------------------------------------------- */

int at_datagram_order(const struct at_datagram *a, const struct at_datagram *b)
{
    if (a->value != b->value)
        return a->value < b->value ? -1 : 1;
    if (a->link != b->link)
        return a->link < b->link ? -1 : 1;
    return a->from_hi - b->from_hi;
}

static int by_value(const void *a, const void *b)
{
    return at_datagram_order(a, b);
}

/* Adds those of a table that are not in 'but', where newer ones are. */
static size_t list_table(const struct table *t, const struct table *but,
                         int64_t now_ns, struct at_datagram *list)
{
    size_t n = 0;

    for (size_t i = 0; i < t->size; i++) {
        const struct entry *e = &t->entry[i];

        if (is_kept(e, now_ns) && e->first.value != UINT32_MAX &&
            look_up(but, e->hash) == NULL)
            list[n++] = e->first;
    }
    return n;
}

enum at_status at_datagrams_list(const struct at_datagrams *d, int64_t now_ns,
                                 struct at_datagram **list, size_t *n)
{
    const struct table none = {.size = 0};
    size_t resumed;

    *n = 0;
    *list = malloc((d->here.used + d->earlier.used + 1) * sizeof(**list));
    if (*list == NULL)
        return AT_ERR_MEMORY;
    *n = list_table(&d->here, &none, now_ns, *list);
    resumed = list_table(&d->earlier, &d->here, now_ns, *list + *n);
    if (*n + resumed <= LISTED)
        *n += resumed;
    qsort(*list, *n, sizeof(**list), by_value);
    return AT_OK;
}
