/*
 * unique.c - packets of one time, to find those that come twice
 *
 * A hash table of copies that is emptied whenever the time changes, which
 * costs as much as what is in it: mostly one packet.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "archive_trace.h"

enum { SLOTS = 2 * AT_UNIQUE_PACKETS };

struct seen {
    uint64_t hash;
    uint32_t at; /* of its bytes */
    uint32_t cap_bytes;
    uint32_t wire_bytes;
    uint16_t linktype;
    uint16_t next; /* in its slot, counted from 1 */
};

struct at_unique {
    struct seen seen[AT_UNIQUE_PACKETS];
    uint16_t slot[SLOTS]; /* the first of 'seen', from 1; 0: none */
    uint8_t *bytes;
    uint32_t n;
    uint32_t used; /* of 'bytes' */
    int64_t ns;
    uint64_t seed; /* so that nobody can make packets that collide */
};

enum at_status at_unique_open(struct at_unique **out, struct at_error *err)
{
    struct at_unique *u = calloc(1, sizeof(*u));

    *out = u;
    if (u != NULL)
        u->bytes = malloc(AT_UNIQUE_BYTES);
    if (u == NULL || u->bytes == NULL) {
        at_unique_close(u);
        *out = NULL;
        return at_error_set(err, AT_ERR_MEMORY, "out of memory");
    }
    if (getrandom(&u->seed, sizeof(u->seed), GRND_NONBLOCK) !=
        (ssize_t)sizeof(u->seed))
        u->seed = (uint64_t)at_time_now();
    return AT_OK;
}

void at_unique_close(struct at_unique *u)
{
    if (u == NULL)
        return;
    free(u->bytes);
    free(u);
}

static uint64_t mix(uint64_t h, uint64_t v)
{
    h = (h ^ v) * UINT64_C(0x9e3779b97f4a7c15);
    return h ^ h >> 29;
}

static uint64_t hash_of(uint64_t h, const struct at_packet *pkt)
{
    const uint8_t *p = pkt->data;
    size_t left = pkt->cap_bytes;
    uint64_t v;

    h = mix(h, (uint64_t)pkt->wire_bytes << 32 | pkt->cap_bytes);
    for (; left >= sizeof(v); left -= sizeof(v), p += sizeof(v)) {
        memcpy(&v, p, sizeof(v));
        h = mix(h, v);
    }
    v = 0;
    if (left > 0)
        memcpy(&v, p, left);
    return mix(mix(h, v), pkt->linktype);
}

static void forget(struct at_unique *u)
{
    for (uint32_t i = 0; i < u->n; i++)
        u->slot[u->seen[i].hash % SLOTS] = 0;
    u->n = 0;
    u->used = 0;
}

static bool same(const struct at_unique *u, const struct seen *s,
                 const struct at_packet *pkt)
{
    return s->cap_bytes == pkt->cap_bytes && s->wire_bytes == pkt->wire_bytes &&
           s->linktype == pkt->linktype &&
           (s->cap_bytes == 0 ||
            memcmp(u->bytes + s->at, pkt->data, s->cap_bytes) == 0);
}

static bool find(const struct at_unique *u, uint64_t hash,
                 const struct at_packet *pkt)
{
    const struct seen *s;

    for (uint16_t i = u->slot[hash % SLOTS]; i != 0; i = s->next) {
        s = &u->seen[i - 1];
        if (s->hash == hash && same(u, s, pkt))
            return true;
    }
    return false;
}

static void remember(struct at_unique *u, uint64_t hash,
                     const struct at_packet *pkt)
{
    uint16_t *slot = &u->slot[hash % SLOTS];

    if (u->n == AT_UNIQUE_PACKETS || pkt->cap_bytes > AT_UNIQUE_BYTES - u->used)
        forget(u);
    if (pkt->cap_bytes > AT_UNIQUE_BYTES)
        return;
    u->seen[u->n++] = (struct seen){
        .hash = hash,
        .at = u->used,
        .cap_bytes = pkt->cap_bytes,
        .wire_bytes = pkt->wire_bytes,
        .linktype = pkt->linktype,
        .next = *slot,
    };
    *slot = (uint16_t)u->n;
    if (pkt->cap_bytes > 0)
        memcpy(u->bytes + u->used, pkt->data, pkt->cap_bytes);
    u->used += pkt->cap_bytes;
}

bool at_unique_is_new(struct at_unique *u, const struct at_packet *pkt)
{
    const int64_t ns = at_ts_to_ns(pkt->ts);
    uint64_t hash;

    if (pkt->timeless)
        return true;
    if (u->n > 0 && ns != u->ns)
        forget(u);
    u->ns = ns;
    hash = hash_of(u->seed, pkt);
    if (find(u, hash, pkt))
        return false;
    remember(u, hash, pkt);
    return true;
}
