/*
 * tracker.c - bidirectional flows
 *
 * Flows lie in one array in the order they began; an open-addressing table of
 * 8-byte entries (half a hash, a flow number) finds them.  Both are fetched
 * ahead of use, since at a million flows each look-up misses the cache twice.
 * The blocks of a flow are not kept with it but in one log of (flow, block),
 * which is sorted once, when the index is written.
 */
#include "tracker.h"

#include <stdlib.h>
#include <string.h>

enum {
    TCP = 6,
    UDP = 17,
    FIN = 1,
    SYN = 2,
    RST = 4,
    ACK = 16,
    TABLE_LEAST = 1 << 12,
    AHEAD = 8, /* packets that are fetched before they are looked at */
};

#define SECOND INT64_C(1000000000)

/* The defaults of libflowmanager; see DESIGN's sources. */
const struct at_tracking at_tracking_default = {
    .timeouts =
        {
            .tcp_opening_ns = 240 * SECOND,
            .tcp_ns = 7440 * SECOND,
            .tcp_closed_ns = 120 * SECOND,
            .udp_ns = 120 * SECOND,
            .other_ns = 120 * SECOND,
        },
};

struct entry {
    uint32_t tag;
    uint32_t flow; /* number + 1; 0: free */
};

struct at_tracker {
    struct at_tracking rules;
    struct entry *table;
    size_t mask;
    size_t used;
    struct at_flow *flow;
    size_t flows, flow_room;
    struct at_flow_block *log;
    size_t logged, log_room;
};

static const char *const state_names[AT_FLOW_STATES] = {
    "one-way",   "two-way",     "syn",    "established",
    "midstream", "half-closed", "closed", "reset",
};

const char *at_flow_state_name(enum at_flow_state state)
{
    return (unsigned)state < AT_FLOW_STATES ? state_names[state] : "?";
}

/* ---- timeouts -------------------------------------------------------- */

static int64_t *timeout_named(struct at_timeouts *t, const char *name, size_t n)
{
    const struct {
        const char *name;
        int64_t *ns;
    } all[] = {
        {"opening", &t->tcp_opening_ns}, {"tcp", &t->tcp_ns},
        {"closed", &t->tcp_closed_ns},   {"udp", &t->udp_ns},
        {"other", &t->other_ns},
    };

    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
        if (strlen(all[i].name) == n && memcmp(all[i].name, name, n) == 0)
            return all[i].ns;
    return NULL;
}

static enum at_status parse_one(struct at_timeouts *t, char *item,
                                struct at_error *err)
{
    char *value = strchr(item, '=');
    int64_t *ns;

    if (value == NULL)
        return at_error_set(err, AT_ERR_SYNTAX,
                            "timeout '%s' is not NAME=DURATION", item);
    ns = timeout_named(t, item, (size_t)(value - item));
    if (ns == NULL)
        return at_error_set(err, AT_ERR_SYNTAX,
                            "no timeout is called '%.*s'; there are opening, "
                            "tcp, closed, udp and other",
                            (int)(value - item), item);
    return at_duration_parse(ns, value + 1, err);
}

enum at_status at_timeouts_parse(struct at_timeouts *t, const char *text,
                                 struct at_error *err)
{
    enum at_status st = AT_OK;
    int64_t all;
    char *copy, *next, *item;

    if (strchr(text, '=') == NULL) {
        st = at_duration_parse(&all, text, err);
        if (st == AT_OK)
            *t = (struct at_timeouts){all, all, all, all, all};
        return st;
    }
    copy = next = strdup(text);
    if (copy == NULL)
        return at_error_set(err, AT_ERR_MEMORY, "out of memory");
    while (st == AT_OK && (item = strsep(&next, ",")) != NULL)
        st = parse_one(t, item, err);
    free(copy);
    return st;
}

int64_t at_timeout_of(const struct at_timeouts *t, enum at_flow_state state,
                      uint8_t proto)
{
    switch (state) {
    case AT_FLOW_SYN:
    case AT_FLOW_HALF_CLOSED:
        return t->tcp_opening_ns;
    case AT_FLOW_ESTABLISHED:
    case AT_FLOW_MIDSTREAM:
        return t->tcp_ns;
    case AT_FLOW_CLOSED:
    case AT_FLOW_RESET:
        return t->tcp_closed_ns;
    default:
        return proto == UDP ? t->udp_ns : t->other_ns;
    }
}

/* ---- states ---------------------------------------------------------- */

static enum at_flow_state tcp_state(const uint8_t flags[2],
                                    const uint64_t packets[2])
{
    const uint8_t either = flags[0] | flags[1];
    const uint8_t both = flags[0] & flags[1];

    if (either & RST)
        return AT_FLOW_RESET;
    if (both & FIN)
        return AT_FLOW_CLOSED;
    if (either & FIN)
        return AT_FLOW_HALF_CLOSED;
    if ((either & SYN) == 0)
        return AT_FLOW_MIDSTREAM;
    return packets[1] == 0 ? AT_FLOW_SYN : AT_FLOW_ESTABLISHED;
}

enum at_flow_state at_flow_state_of(enum at_flow_state before,
                                    const uint8_t tcp_flags[2],
                                    const uint64_t packets[2])
{
    if (before >= AT_FLOW_SYN)
        return tcp_state(tcp_flags, packets);
    return packets[1] > 0 ? AT_FLOW_TWO_WAY : AT_FLOW_ONE_WAY;
}

bool at_flow_begins_anew(enum at_flow_state state, uint8_t tcp_flags)
{
    return (state == AT_FLOW_CLOSED || state == AT_FLOW_RESET) &&
           (tcp_flags & (SYN | ACK)) == SYN;
}

/* ---- table ----------------------------------------------------------- */

struct at_tracker *at_tracker_open(const struct at_tracking *rules)
{
    struct at_tracker *t = calloc(1, sizeof(*t));

    if (t == NULL)
        return NULL;
    t->rules = *rules;
    t->mask = TABLE_LEAST - 1;
    t->table = calloc(TABLE_LEAST, sizeof(t->table[0]));
    if (t->table == NULL) {
        free(t);
        return NULL;
    }
    return t;
}

void at_tracker_close(struct at_tracker *t)
{
    if (t == NULL)
        return;
    free(t->table);
    free(t->flow);
    free(t->log);
    free(t);
}

/* The tag is the upper half of the hash; the place comes from all of it, so
 * that the table can be doubled from the tags only up to 2^32 entries. */
static size_t place_of(const struct at_tracker *t, uint32_t tag)
{
    return (tag * UINT64_C(0x9e3779b97f4a7c15) >> 20) & t->mask;
}

static uint32_t tag_of(uint64_t hash)
{
    return (uint32_t)(hash >> 32);
}

static enum at_status double_table(struct at_tracker *t)
{
    const struct entry *old = t->table;
    const size_t n = t->mask + 1;
    struct entry *table = calloc(n * 2, sizeof(*table));

    if (table == NULL)
        return AT_ERR_MEMORY;
    t->mask = n * 2 - 1;
    for (size_t i = 0; i < n; i++) {
        size_t at = place_of(t, old[i].tag);

        if (old[i].flow == 0)
            continue;
        while (table[at].flow != 0)
            at = (at + 1) & t->mask;
        table[at] = old[i];
    }
    free(t->table);
    t->table = table;
    return AT_OK;
}

/* The entry of the key, or the free one where it belongs. */
static struct entry *find(struct at_tracker *t, const struct at_sight *s)
{
    const uint32_t tag = tag_of(s->hash);
    size_t at = place_of(t, tag);

    for (;;) {
        struct entry *e = &t->table[at];

        if (e->flow == 0)
            return e;
        if (e->tag == tag &&
            memcmp(&t->flow[e->flow - 1].key, &s->key, sizeof(s->key)) == 0)
            return e;
        at = (at + 1) & t->mask;
    }
}

static void fetch_entry(const struct at_tracker *t, const struct at_sight *s)
{
    __builtin_prefetch(&t->table[place_of(t, tag_of(s->hash))]);
}

static void fetch_flow(const struct at_tracker *t, const struct at_sight *s)
{
    const struct entry *e = &t->table[place_of(t, tag_of(s->hash))];

    if (e->flow != 0) {
        const char *flow = (const char *)&t->flow[e->flow - 1];

        __builtin_prefetch(flow);
        __builtin_prefetch(flow + 64);
    }
}

/* ---- flows ----------------------------------------------------------- */

static void *room_for_one(void *array, size_t used, size_t *room, size_t size)
{
    const size_t more = *room + *room / 2 + 1024;

    if (used < *room)
        return array;
    array = realloc(array, more * size);
    if (array != NULL)
        *room = more;
    return array;
}

static enum at_status log_block(struct at_tracker *t, uint32_t flow,
                                uint32_t block)
{
    struct at_flow_block *log = room_for_one(t->log, t->logged, &t->log_room,
                                             sizeof(*log));

    if (log == NULL)
        return AT_ERR_MEMORY;
    t->log = log;
    log[t->logged++] = (struct at_flow_block){flow, block};
    return AT_OK;
}

static struct at_flow *begin_flow(struct at_tracker *t, struct entry *e,
                                  const struct at_sight *s, uint32_t block)
{
    struct at_flow *flow = room_for_one(t->flow, t->flows, &t->flow_room,
                                        sizeof(*flow));

    if (flow == NULL)
        return NULL;
    t->flow = flow;
    if (t->flows >= UINT32_MAX - 1 ||
        log_block(t, (uint32_t)t->flows, block) != AT_OK)
        return NULL;
    t->used += e->flow == 0;
    *e = (struct entry){tag_of(s->hash), (uint32_t)t->flows + 1};
    flow = &t->flow[t->flows++];
    *flow = (struct at_flow){
        .key = s->key,
        .first_ns = s->ts_ns,
        .last_ns = s->ts_ns,
        .last_block = block,
        .sport = s->sport,
        .dport = s->dport,
        .source_is_hi = s->from_hi,
        .state = s->key.proto == TCP && s->key.net != AT_NET_ARP
                     ? AT_FLOW_MIDSTREAM
                     : AT_FLOW_ONE_WAY,
    };
    return flow;
}

/* Whether the packet belongs to a flow after this one, of the same key. */
static bool begins_anew(const struct at_tracker *t, const struct at_flow *f,
                        const struct at_sight *s)
{
    const enum at_flow_state state = (enum at_flow_state)f->state;

    if (t->rules.conformance)
        return false;
    return s->ts_ns - f->last_ns >
               at_timeout_of(&t->rules.timeouts, state, f->key.proto) ||
           at_flow_begins_anew(state, s->tcp_flags);
}

static void add_to_flow(struct at_flow *f, const struct at_sight *s)
{
    const unsigned dir = s->from_hi != f->source_is_hi;

    if (s->ts_ns < f->first_ns)
        f->first_ns = s->ts_ns;
    if (s->ts_ns > f->last_ns)
        f->last_ns = s->ts_ns;
    f->packets[dir]++;
    f->bytes[dir] += s->bytes;
    f->tcp_flags[dir] |= s->tcp_flags;
    f->flags |= s->flags;
    f->wanted |= s->wanted;
    f->state = (uint8_t)at_flow_state_of((enum at_flow_state)f->state,
                                         f->tcp_flags, f->packets);
}

static enum at_status add_one(struct at_tracker *t, const struct at_sight *s,
                              uint32_t block)
{
    struct entry *e = find(t, s);
    struct at_flow *f = e->flow != 0 ? &t->flow[e->flow - 1] : NULL;

    if (f == NULL || begins_anew(t, f, s)) {
        f = begin_flow(t, e, s, block);
        if (f == NULL)
            return AT_ERR_MEMORY;
    } else if (f->last_block != block) {
        if (log_block(t, e->flow - 1, block) != AT_OK)
            return AT_ERR_MEMORY;
        f->last_block = block;
    }
    add_to_flow(f, s);
    return t->used * 2 > t->mask ? double_table(t) : AT_OK;
}

enum at_status at_tracker_add(struct at_tracker *t, const struct at_sight *s,
                              size_t n, uint32_t block)
{
    enum at_status st = AT_OK;

    for (size_t i = 0; i < n && st == AT_OK; i++) {
        if (i + AHEAD < n)
            fetch_entry(t, &s[i + AHEAD]);
        if (i + AHEAD / 2 < n)
            fetch_flow(t, &s[i + AHEAD / 2]);
        if (s[i].packet)
            st = add_one(t, &s[i], block);
    }
    return st;
}

const struct at_flow *at_tracker_flows(const struct at_tracker *t, size_t *n)
{
    *n = t->flows;
    return t->flow;
}

const struct at_flow_block *at_tracker_blocks(const struct at_tracker *t,
                                              size_t *n)
{
    *n = t->logged;
    return t->log;
}
