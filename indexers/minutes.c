/*
 * minutes.c - packets and bytes of each minute, by protocol
 *
 * Packets come nearly in order, so the rows of one minute are at hand by kind;
 * a hash table finds them when the minute is another.
 */
#include "minutes.h"

#include <stdlib.h>
#include <string.h>

#include "schema.h"

enum { KINDS = 1024 };

uint16_t at_kind_of(uint8_t net, uint8_t proto)
{
    switch (net) {
    case AT_NET_IPV4:
        return proto;
    case AT_NET_IPV6:
        return (uint16_t)(AT_INDEX_KIND_IPV6 + proto);
    case AT_NET_ARP:
        return AT_INDEX_KIND_ARP;
    default:
        return AT_INDEX_KIND_OTHER;
    }
}

static size_t place_of(const struct at_minutes *m, int64_t minute,
                       uint16_t kind)
{
    const uint64_t key = (uint64_t)minute << 10 | kind;

    return (size_t)(key * UINT64_C(0x9e3779b97f4a7c15) >> 20) & m->mask;
}

/* The slot of a row, or the free one where it belongs. */
static uint32_t *find(const struct at_minutes *m, int64_t minute, uint16_t kind)
{
    size_t at = place_of(m, minute, kind);

    for (;; at = (at + 1) & m->mask) {
        const uint32_t n = m->slot[at];

        if (n == 0 ||
            (m->row[n - 1].minute == minute && m->row[n - 1].kind == kind))
            return &m->slot[at];
    }
}

static enum at_status grow(struct at_minutes *m)
{
    const size_t room = m->room * 2 + 256;
    struct at_minute *row = realloc(m->row, room * sizeof(*row));
    uint32_t *slot;

    if (row == NULL)
        return AT_ERR_MEMORY;
    m->row = row;
    slot = calloc(room * 2, sizeof(*slot));
    if (slot == NULL)
        return AT_ERR_MEMORY;
    free(m->slot);
    m->slot = slot;
    m->room = room;
    for (m->mask = 1; m->mask * 2 <= room * 2;)
        m->mask *= 2;
    m->mask--;
    for (size_t i = 0; i < m->n; i++)
        *find(m, row[i].minute, row[i].kind) = (uint32_t)i + 1;
    return AT_OK;
}

/* The number + 1 of a row that may be new; 0: no memory. */
static uint32_t row_of(struct at_minutes *m, int64_t minute, uint16_t kind)
{
    uint32_t *slot;

    if ((m->n + 1) * 2 > m->mask && grow(m) != AT_OK)
        return 0;
    slot = find(m, minute, kind);
    if (*slot == 0) {
        m->row[m->n++] = (struct at_minute){.minute = minute, .kind = kind};
        *slot = (uint32_t)m->n;
    }
    return *slot;
}

static bool turn_to(struct at_minutes *m, int64_t minute)
{
    if (m->now == NULL)
        m->now = malloc(KINDS * sizeof(m->now[0]));
    if (m->now == NULL)
        return false;
    memset(m->now, 0, KINDS * sizeof(m->now[0]));
    m->minute = minute;
    m->began_ns = (uint64_t)minute * (uint64_t)AT_MINUTE_NS;
    return true;
}

static int64_t minute_of(int64_t ns)
{
    return ns / AT_MINUTE_NS - (ns % AT_MINUTE_NS < 0);
}

enum at_status at_minutes_add(struct at_minutes *m, const struct at_sight *s)
{
    const bool same = (uint64_t)s->ts_ns - m->began_ns < (uint64_t)AT_MINUTE_NS;
    const uint16_t kind = at_kind_of(s->key.net, s->key.proto);
    struct at_minute *row;

    if ((m->now == NULL || !same) && !turn_to(m, minute_of(s->ts_ns)))
        return AT_ERR_MEMORY;
    if (m->now[kind] == 0)
        m->now[kind] = row_of(m, m->minute, kind);
    if (m->now[kind] == 0)
        return AT_ERR_MEMORY;
    row = &m->row[m->now[kind] - 1];
    row->packets++;
    row->bytes += s->bytes;
    return AT_OK;
}

static int in_order(const void *a, const void *b)
{
    const struct at_minute *x = a, *y = b;

    if (x->minute != y->minute)
        return x->minute < y->minute ? -1 : 1;
    return x->kind - y->kind;
}

void at_minutes_sort(struct at_minutes *m)
{
    if (m->n > 0)
        qsort(m->row, m->n, sizeof(m->row[0]), in_order);
}

void at_minutes_close(struct at_minutes *m)
{
    free(m->row);
    free(m->slot);
    free(m->now);
    *m = (struct at_minutes){.n = 0};
}
