/*
 * tracker.c - bidirectional flows
 *
 * Flows lie in one array in the order they began; an open-addressing table of
 * 4-byte entries (a flow number, and bits of the hash above it, as many as
 * there is room for) finds them.  Both are fetched ahead of use, since at a
 * million flows each look-up misses the cache twice.  Of the blocks of a flow
 * the last is kept with it, those before are in seen.h.
 *
 * When the array is full it is swept: flows that are over are handed out, the
 * others move together.  If that leaves more than half, the array doubles, up
 * to the limit; there, those that have been idle for longest end.  So nothing
 * is done for a packet to know which flows are over, memory follows the number
 * of flows that are open, and when there is a sweep depends on the packets
 * alone.
 */
#include "tracker.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "seen.h"

enum {
    ICMP = 1,
    TCP = 6,
    ICMPV6 = 58,
    FIN = 1,
    SYN = 2,
    RST = 4,
    ACK = 16,
    TABLE_LEAST = 1 << 12,
    AHEAD = 8, /* packets that are fetched before they are looked at */
    FLOWS_LEAST = 1 << 16,
    BINS = 1 << 10,
};

/* The new number of a flow that leaves the table. */
#define GONE AT_SEEN_GONE

/* The last block of a flow that has none yet. */
#define NO_BLOCK UINT32_MAX

struct at_tracker {
    struct at_tracking rules;
    at_flow_fn *over;
    void *ctx;
    uint64_t seed;
    uint32_t *table;  /* 0: free; else a number + 1 and bits of the hash */
    size_t mask;      /* of the table */
    uint32_t numbers; /* the bits of an entry that are the number + 1 */
    size_t used;
    struct at_flow *flow;
    size_t flows, flow_room;
    uint32_t latest;     /* flow of the latest packet */
    uint32_t begun;      /* flows so far, where they are numbered */
    struct at_seen seen; /* blocks, but the last of each flow */
    struct at_datagrams *datagrams;
    int64_t now_ns;    /* the latest packet so far */
    uint32_t *carried; /* numbers, by flow; NULL: no flow is from earlier */
    struct at_flow_past *past; /* of those, by number - 1 */
    size_t pasts, past_room;
    struct at_names *names; /* NULL: none are kept */
    uint32_t *name;         /* numbers, by flow; 0: it has none */
    uint64_t forced;
};

/* ---- table ----------------------------------------------------------- */

static size_t place_of(const struct at_tracker *t, uint32_t hash)
{
    return (hash * UINT64_C(0x9e3779b97f4a7c15) >> 20) & t->mask;
}

static uint32_t entry_of(const struct at_tracker *t, uint32_t hash, size_t flow)
{
    return (hash & ~t->numbers) | (uint32_t)(flow + 1);
}

/* The flow of an entry that is not free. */
static uint32_t flow_of(const struct at_tracker *t, uint32_t entry)
{
    return (entry & t->numbers) - 1;
}

/* Makes the table anew from the flows; their keys tell the hashes. */
static enum at_status make_table(struct at_tracker *t, size_t size)
{
    if (size != t->mask + 1) {
        free(t->table);
        t->table = malloc(size * sizeof(t->table[0]));
        if (t->table == NULL)
            return AT_ERR_MEMORY;
        t->mask = size - 1;
    }
    memset(t->table, 0, size * sizeof(t->table[0]));
    t->used = 0;
    for (size_t i = 0; i < t->flows; i++) {
        const uint32_t hash = at_flow_key_hash(&t->flow[i].key, t->seed);
        size_t at = place_of(t, hash);

        if (t->flow[i].over)
            continue;
        while (t->table[at] != 0)
            at = (at + 1) & t->mask;
        t->table[at] = entry_of(t, hash, i);
        t->used++;
    }
    return AT_OK;
}

struct at_tracker *at_tracker_open(const struct at_tracking *rules,
                                   uint64_t seed, at_flow_fn *over, void *ctx)
{
    struct at_tracker *t = calloc(1, sizeof(*t));

    if (t == NULL)
        return NULL;
    t->rules = *rules;
    t->seed = seed;
    t->over = over;
    t->ctx = ctx;
    t->now_ns = INT64_MIN;
    t->datagrams = at_datagrams_open();
    if (t->datagrams == NULL || make_table(t, TABLE_LEAST) != AT_OK) {
        at_tracker_close(t);
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
    at_seen_close(&t->seen);
    free(t->name);
    free(t->carried);
    free(t->past);
    at_datagrams_close(t->datagrams);
    free(t);
}

/* The entry of the key, or the free one where it belongs. */
static uint32_t *find(struct at_tracker *t, const struct at_flow_key *key,
                      uint32_t hash)
{
    size_t at = place_of(t, hash);

    for (;;) {
        uint32_t *e = &t->table[at];

        if (*e == 0)
            return e;
        if (((*e ^ hash) & ~t->numbers) == 0 &&
            memcmp(&t->flow[flow_of(t, *e)].key, key, sizeof(*key)) == 0)
            return e;
        at = (at + 1) & t->mask;
    }
}

static void fetch_entry(const struct at_tracker *t, const struct at_sight *s)
{
    __builtin_prefetch(&t->table[place_of(t, s->hash)]);
}

static void fetch_flow(const struct at_tracker *t, const struct at_sight *s)
{
    const uint32_t e = t->table[place_of(t, s->hash)];

    if (e != 0) {
        const char *flow = (const char *)&t->flow[flow_of(t, e)];

        __builtin_prefetch(flow);
        __builtin_prefetch(flow + 64);
        __builtin_prefetch(flow + sizeof(struct at_flow) - 1);
    }
}

/* ---- flows ----------------------------------------------------------- */

static bool is_tcp(const struct at_flow_key *key)
{
    return key->proto == TCP && key->net != AT_NET_ARP;
}

static bool is_icmp(const struct at_flow_key *key)
{
    return (key->proto == ICMP || key->proto == ICMPV6) &&
           key->net != AT_NET_ARP;
}

/* The sender of the first packet, unless that answers a SYN. */
static bool source_is_hi(const struct at_tracker *t, const struct at_sight *s)
{
    if (t->rules.conformance)
        return s->from_hi;
    return (s->tcp_flags & (SYN | ACK)) == (SYN | ACK) ? !s->from_hi
                                                       : s->from_hi;
}

static struct at_flow *begin_flow(struct at_tracker *t, uint32_t *e,
                                  const struct at_sight *s, uint32_t block)
{
    struct at_flow *flow;

    if (t->rules.numbered && t->begun == UINT32_MAX)
        return NULL;
    if (t->rules.numbered)
        block = t->begun++;
    if (t->flow == NULL)
        return NULL;
    t->used += *e == 0;
    *e = entry_of(t, s->hash, t->flows);
    if (t->carried != NULL)
        t->carried[t->flows] = 0;
    if (t->names != NULL)
        t->name[t->flows] = 0;
    flow = &t->flow[t->flows++];
    *flow = (struct at_flow){
        .key = s->key,
        .first_ns = s->ts_ns,
        .last_ns = s->ts_ns,
        .last_block = block,
        .source_is_hi = source_is_hi(t, s),
        .state = is_tcp(&s->key) ? AT_FLOW_MIDSTREAM : AT_FLOW_ONE_WAY,
    };
    if (is_icmp(&s->key)) {
        flow->message[0] = (uint8_t)s->sport;
        flow->message[1] = (uint8_t)s->dport;
    }
    return flow;
}

static struct at_flow_past past_of(const struct at_tracker *t,
                                   const struct at_flow *f)
{
    const uint32_t n = t->carried != NULL ? t->carried[f - t->flow] : 0;

    return n != 0 ? t->past[n - 1]
                  : (struct at_flow_past){.began_ns = f->first_ns};
}

/* ---- ends ------------------------------------------------------------ */

/* Whether the packet belongs to a flow after this one, of the same key; then
 * *end is why this one is over. */
static bool begins_anew(const struct at_tracker *t, const struct at_flow *f,
                        const struct at_sight *s, enum at_flow_end *end)
{
    const struct at_timeouts *limits = &t->rules.timeouts;
    const enum at_flow_state state = (enum at_flow_state)f->state;

    if (t->rules.conformance)
        return false;
    *end = AT_FLOW_END_IDLE;
    if (s->ts_ns - f->last_ns > at_timeout_of(limits, state, f->key.proto) ||
        at_flow_begins_anew(state, s->tcp_flags))
        return true;
    *end = AT_FLOW_END_ACTIVE;
    return (limits->active_ns > 0 &&
            s->ts_ns - past_of(t, f).began_ns > limits->active_ns) ||
           f->way[0].packets == UINT32_MAX || f->way[1].packets == UINT32_MAX;
}

/* TCP's own end counts for more than what came after it. */
static void end_flow(struct at_flow *f, enum at_flow_end why)
{
    f->over = true;
    f->end = (uint8_t)(f->state == AT_FLOW_CLOSED  ? AT_FLOW_END_FIN
                       : f->state == AT_FLOW_RESET ? AT_FLOW_END_RST
                                                   : why);
}

/* Whether nothing can be added to the flow at that time. */
static bool is_over(const struct at_tracker *t, const struct at_flow *f,
                    int64_t now_ns)
{
    return f->over ||
           (!t->rules.conformance &&
            now_ns - f->last_ns > at_timeout_of(&t->rules.timeouts,
                                                (enum at_flow_state)f->state,
                                                f->key.proto));
}

/* What goes on after the active timeout has the same source. */
static struct at_flow *follow(struct at_tracker *t, uint32_t *e,
                              const struct at_sight *s, uint32_t block,
                              enum at_flow_end why)
{
    struct at_flow *before = &t->flow[flow_of(t, *e)], *flow;
    const bool source = before->source_is_hi;

    end_flow(before, why);
    flow = begin_flow(t, e, s, block);
    if (flow != NULL && why == AT_FLOW_END_ACTIVE)
        flow->source_is_hi = source;
    return flow;
}

uint64_t at_tracker_lost_datagrams(const struct at_tracker *t)
{
    return at_datagrams_lost(t->datagrams);
}

/* ---- what TCP tells -------------------------------------------------- */

/*
 * Sequence numbers: what is behind the highest seen so far was sent before, or
 * fills a gap, for as long as bytes are missing.  A probe of a window or a
 * connection repeats one byte.
 */
static void follow_sequence(struct at_flow_way *w, uint32_t *missing,
                            const struct at_sight *s, bool syn)
{
    const uint32_t n = s->payload_bytes + (syn ? 1 : 0) +
                       ((s->tcp_flags & FIN) != 0 ? 1 : 0);
    const int32_t ahead = (int32_t)(s->tcp_seq - w->next_seq);

    if (n == 0 || (s->tcp_flags & RST) != 0)
        return;
    if (!w->known || ahead >= 0) {
        if (w->known)
            *missing += (uint32_t)ahead;
        w->next_seq = s->tcp_seq + n;
        w->known = true;
    } else if ((int32_t)(s->tcp_seq + n - w->next_seq) > 0) {
        w->next_seq = s->tcp_seq + n;
    } else if (*missing > 0) {
        *missing -= n < *missing ? n : *missing;
    } else if (n > 1 || ahead != -1 || syn) {
        if (w->retransmitted < UINT16_MAX)
            w->retransmitted++;
    }
}

static uint32_t us_since(int64_t began_ns, int64_t ts_ns)
{
    const int64_t us = (ts_ns - began_ns) / 1000;

    return us < 0 ? 0 : us > UINT32_MAX ? UINT32_MAX : (uint32_t)us;
}

/* From the last SYN to the ACK that answers its answer. */
static void follow_handshake(struct at_flow *f, const struct at_sight *s,
                             unsigned dir, int64_t began_ns)
{
    const uint8_t flags = s->tcp_flags & (SYN | ACK | RST);
    const uint32_t now = us_since(began_ns, s->ts_ns);

    if (dir == 0 && flags == SYN && f->handshake <= AT_SYN) {
        f->handshake = AT_SYN;
        f->syn_us = now;
    } else if (dir == 1 && flags == (SYN | ACK) && f->handshake == AT_SYN) {
        f->handshake = AT_SYN_ACK;
    } else if (dir == 0 && flags == ACK && f->handshake == AT_SYN_ACK) {
        f->handshake = AT_SHAKEN;
        f->syn_us = now > f->syn_us ? now - f->syn_us : 0;
    }
}

static void follow_tcp(struct at_flow *f, const struct at_sight *s,
                       unsigned dir, int64_t began_ns)
{
    struct at_flow_way *w = &f->way[dir];
    const bool syn = (s->tcp_flags & SYN) != 0;

    follow_sequence(w, &f->missing[dir], s, syn);
    if (f->handshake != AT_SHAKEN)
        follow_handshake(f, s, dir, began_ns);
    if (syn && w->first_len == 0) {
        w->syn = true;
        w->first_seq = s->tcp_seq + 1;
    }
    if (s->zero_window && (s->tcp_flags & (SYN | RST)) == 0 &&
        w->zero_windows < UINT16_MAX)
        w->zero_windows++;
    w->tcp_flags |= s->tcp_flags;
}

/* ---- packets --------------------------------------------------------- */

/* Nothing is read from a SYN or a RST, and after a SYN only what follows it. */
static void take_first(struct at_flow_way *w, const struct at_sight *s)
{
    if ((s->tcp_flags & (SYN | RST)) != 0 ||
        (w->syn && s->tcp_seq != w->first_seq))
        return;
    memcpy(w->first, s->first, sizeof(w->first));
    w->first_bytes = s->first_bytes & 7u;
    w->first_len = (uint16_t)(s->payload_bytes < UINT16_MAX ? s->payload_bytes
                                                            : UINT16_MAX);
}

static void take_checksum(struct at_flow *f, const struct at_sight *s)
{
    f->verified |= s->checksum == AT_CHECKSUM_OK;
    f->unverified |= s->checksum == AT_CHECKSUM_UNVERIFIABLE;
    if (s->checksum == AT_CHECKSUM_BAD && f->bad_checksums < UINT16_MAX)
        f->bad_checksums++;
}

static void add_to_flow(const struct at_tracker *t, struct at_flow *f,
                        const struct at_sight *s, bool from_hi)
{
    const unsigned dir = from_hi != f->source_is_hi;
    struct at_flow_way *w = &f->way[dir];
    struct at_flow_past past;

    if (s->ts_ns < f->first_ns || !at_flow_is_here(f))
        f->first_ns = s->ts_ns;
    if (s->ts_ns > f->last_ns)
        f->last_ns = s->ts_ns;
    w->packets++;
    w->bytes += s->bytes;
    past = past_of(t, f);
    if (f->state >= AT_FLOW_SYN)
        follow_tcp(f, s, dir, past.began_ns);
    if (s->payload_bytes > 0) {
        w->payload += s->payload_bytes;
        if (w->first_len == 0)
            take_first(w, s);
    }
    f->flags |= s->flags;
    f->wanted |= s->wanted;
    take_checksum(f, s);
    f->state = (uint8_t)at_flow_state_of(
        (enum at_flow_state)f->state, f->way[0].tcp_flags | past.tcp_flags[0],
        f->way[1].tcp_flags | past.tcp_flags[1],
        past.answered || f->way[1].packets > 0);
}

static enum at_status see_block(struct at_tracker *t, uint32_t flow,
                                uint32_t block)
{
    const uint32_t last = t->flow[flow].last_block;

    if (t->rules.numbered || last == block)
        return AT_OK;
    t->flow[flow].last_block = block;
    return last != NO_BLOCK ? at_seen_add(&t->seen, flow, last) : AT_OK;
}

/* The first fragment of that without ports, whose flow and sender are known;
 * NULL if there is none, or its flow is over. */
static const struct at_datagram *find_first(const struct at_tracker *t,
                                            const struct at_sight *s)
{
    const struct at_datagram *first;

    if ((s->flags & AT_DECODED_LATER) == 0 || t->rules.conformance)
        return NULL;
    first = at_datagrams_find(t->datagrams, s);
    return first != NULL && !is_over(t, &t->flow[first->value], s->ts_ns)
               ? first
               : NULL;
}

/* The flow that the packet is of, which may begin with it. */
static enum at_status find_flow(struct at_tracker *t, const struct at_sight *s,
                                uint32_t block, uint32_t *flow)
{
    uint32_t *e = find(t, &s->key, s->hash);
    const struct at_flow *f = *e != 0 ? &t->flow[flow_of(t, *e)] : NULL;
    enum at_flow_end end;

    if (f == NULL)
        f = begin_flow(t, e, s, block);
    else if (begins_anew(t, f, s, &end))
        f = follow(t, e, s, block, end);
    if (f == NULL)
        return AT_ERR_MEMORY;
    *flow = flow_of(t, *e);
    return t->used * 2 > t->mask ? make_table(t, (t->mask + 1) * 2) : AT_OK;
}

static enum at_status add_one(struct at_tracker *t, const struct at_sight *s,
                              uint32_t block)
{
    const struct at_datagram *first = find_first(t, s);
    const bool from_hi = first != NULL ? first->from_hi : s->from_hi != 0;
    enum at_status st = AT_OK;
    uint32_t flow;

    if (s->ts_ns > t->now_ns)
        t->now_ns = s->ts_ns;
    if (first != NULL)
        flow = first->value;
    else
        st = find_flow(t, s, block, &flow);
    if (st == AT_OK)
        st = see_block(t, flow, block);
    if (st != AT_OK)
        return st;
    t->latest = flow;
    add_to_flow(t, &t->flow[flow], s, from_hi);
    if ((s->flags & (AT_DECODED_FRAGMENT | AT_DECODED_LATER)) ==
        AT_DECODED_FRAGMENT)
        st = at_datagrams_put(t->datagrams, s, flow);
    return st;
}

/* An ICMP error is told to the flow that it quotes, if that is there; its own
 * packet is of another.  The block is noted, where the error can be found. */
static enum at_status add_quote(struct at_tracker *t, const struct at_sight *s,
                                const struct at_quote *quote, uint32_t block)
{
    const uint32_t *e = find(t, &quote->key, quote->hash);
    struct at_flow *f;

    if (*e == 0)
        return AT_OK;
    f = &t->flow[flow_of(t, *e)];
    if (is_over(t, f, s->ts_ns) || !at_flow_is_here(f))
        return AT_OK;
    if (f->errors < UINT16_MAX)
        f->errors++;
    return see_block(t, flow_of(t, *e), block);
}

/* ---- sweeping -------------------------------------------------------- */

/* Ends what is over, and returns how many flows are not. */
static size_t end_idle(struct at_tracker *t, int64_t now_ns)
{
    size_t left = 0;

    for (size_t i = 0; i < t->flows; i++) {
        struct at_flow *f = &t->flow[i];

        if (f->over)
            continue;
        if (is_over(t, f, now_ns))
            end_flow(f, AT_FLOW_END_IDLE);
        else
            left++;
    }
    return left;
}

struct range {
    int64_t first_ns;
    int64_t step_ns;
};

/* The times of the last packets of open flows, in bins. */
static struct range count_bins(const struct at_tracker *t, size_t bin[BINS])
{
    int64_t first = INT64_MAX, last = INT64_MIN;
    struct range r;

    for (size_t i = 0; i < t->flows; i++)
        if (!t->flow[i].over) {
            const int64_t ns = t->flow[i].last_ns;

            first = ns < first ? ns : first;
            last = ns > last ? ns : last;
        }
    r = (struct range){first, (last - first) / BINS + 1};
    memset(bin, 0, BINS * sizeof(bin[0]));
    for (size_t i = 0; i < t->flows; i++)
        if (!t->flow[i].over)
            bin[(t->flow[i].last_ns - r.first_ns) / r.step_ns]++;
    return r;
}

/* Ends 'n' flows, those that were idle for longest; of those that one bin
 * cannot tell apart, the ones that began first. */
static void force(struct at_tracker *t, size_t n)
{
    size_t bin[BINS], last = 0, rest = n;
    const struct range r = count_bins(t, bin);

    t->forced += n;
    while (bin[last] < rest)
        rest -= bin[last++];
    for (size_t i = 0; i < t->flows; i++) {
        struct at_flow *f = &t->flow[i];
        size_t in;

        if (f->over)
            continue;
        in = (size_t)((f->last_ns - r.first_ns) / r.step_ns);
        if (in < last || (in == last && rest > 0)) {
            rest -= in == last;
            end_flow(f, AT_FLOW_END_FORCED);
        }
    }
}

/* Gives back the memory of the first 'n' flows, as what takes them over needs
 * some. */
static void forget(struct at_tracker *t, size_t n)
{
    const uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
    const uintptr_t begin = ((uintptr_t)t->flow + page - 1) / page * page;
    uintptr_t end;

    if (n >= t->flows)
        return;
    end = (uintptr_t)&t->flow[n] / page * page;
    if (end > begin)
        madvise((void *)begin, end - begin, MADV_DONTNEED);
}

static enum at_status hand_out_one(struct at_tracker *t, size_t i,
                                   const struct at_seen_lists *l)
{
    struct at_flow *f = &t->flow[i];
    size_t n;
    uint32_t *list = at_seen_list(l, i % AT_SEEN_SPAN, &n);

    if (!f->over || !at_flow_is_here(f))
        return AT_OK;
    if (f->last_block != NO_BLOCK)
        list[n++] = f->last_block;
    f->carried = t->carried != NULL ? t->carried[i] : 0;
    return t->over(t->ctx, f, list, n, t->names != NULL ? t->name[i] : 0);
}

/* Hands out the flows that are over, in the order they began; 'all': there
 * are no others, and it is for good. */
static enum at_status hand_out(struct at_tracker *t, bool all)
{
    struct at_seen_lists l = {.room = 0};
    enum at_status st = AT_OK;

    for (size_t i = 0; i < t->flows && st == AT_OK; i++) {
        const size_t span = i / AT_SEEN_SPAN;

        if (i % AT_SEEN_SPAN == 0)
            st = at_seen_sort(&t->seen, span, &l);
        if (i % AT_SEEN_SPAN == 0 && all) {
            at_seen_drop(&t->seen, span);
            forget(t, i);
        }
        if (st == AT_OK)
            st = hand_out_one(t, i, &l);
    }
    at_seen_lists_close(&l);
    return st;
}

/* Moves together what is left: flows, their blocks, whatever has numbers. */
static enum at_status close_up(struct at_tracker *t)
{
    uint32_t *to = malloc((t->flows + 1) * sizeof(*to));
    enum at_status st;
    size_t left = 0;

    if (to == NULL)
        return AT_ERR_MEMORY;
    for (size_t i = 0; i < t->flows; i++) {
        const bool stays = !t->flow[i].over;

        to[i] = stays ? (uint32_t)left : GONE;
        if (!stays)
            continue;
        if (t->carried != NULL)
            t->carried[left] = t->carried[i];
        if (t->names != NULL)
            t->name[left] = t->name[i];
        t->flow[left++] = t->flow[i];
    }
    t->flows = left;
    st = at_seen_renumber(&t->seen, to);
    at_datagrams_renumber(t->datagrams, to);
    free(to);
    return st;
}

static enum at_status grow_numbers(uint32_t **numbers, size_t room)
{
    uint32_t *p = realloc(*numbers, room * sizeof(*p));

    if (p == NULL)
        return AT_ERR_MEMORY;
    *numbers = p;
    return AT_OK;
}

static enum at_status grow(struct at_tracker *t, size_t most)
{
    size_t room = t->flow_room == 0 ? FLOWS_LEAST : t->flow_room * 2;
    struct at_flow *flow;

    room = room < most ? room : most;
    flow = realloc(t->flow, room * sizeof(*flow));
    if (flow == NULL)
        return AT_ERR_MEMORY;
    t->flow = flow;
    if (t->carried != NULL && grow_numbers(&t->carried, room) != AT_OK)
        return AT_ERR_MEMORY;
    if (t->names != NULL && grow_numbers(&t->name, room) != AT_OK)
        return AT_ERR_MEMORY;
    t->flow_room = room;
    while (t->numbers < room)
        t->numbers = t->numbers * 2 + 1;
    return AT_OK;
}

static size_t most_flows(const struct at_tracker *t)
{
    return t->rules.conformance || t->rules.most_flows > GONE - 1
               ? GONE - 1
               : (size_t)t->rules.most_flows;
}

/* Makes room for another flow. */
static enum at_status sweep(struct at_tracker *t, int64_t now_ns)
{
    const size_t most = most_flows(t);
    const size_t enough = most - most / 8 - 1;
    size_t left = end_idle(t, now_ns);
    enum at_status st;

    if (t->flow_room >= most && left > enough) {
        force(t, left - enough);
        left = enough;
    }
    st = hand_out(t, false);
    if (st == AT_OK)
        st = close_up(t);
    if (st == AT_OK && t->flow_room < most && left >= t->flow_room / 2)
        st = grow(t, most);
    return st == AT_OK ? make_table(t, t->mask + 1) : st;
}

static enum at_status end_trace(struct at_tracker *t, bool continued)
{
    enum at_status st;

    for (size_t i = 0; i < t->flows; i++)
        if (!t->flow[i].over) {
            end_flow(&t->flow[i], AT_FLOW_END_TRACE);
            t->flow[i].continued = continued;
        }
    st = hand_out(t, true);
    t->flows = 0;
    return st;
}

enum at_status at_tracker_finish(struct at_tracker *t)
{
    end_idle(t, t->now_ns);
    return end_trace(t, false);
}

/* ---- parts of a capture ---------------------------------------------- */

/* Shows the open flows, and of the datagrams, which are by flow, those that are
 * of them. */
static enum at_status show_open(const struct at_tracker *t,
                                struct at_datagram *first, size_t n,
                                at_open_fn *open, at_open_datagram_fn *datagram,
                                void *ctx)
{
    enum at_status st = AT_OK;
    uint32_t number = 0;
    size_t k = 0;

    for (size_t i = 0; i < t->flows && st == AT_OK; i++) {
        const struct at_flow *f = &t->flow[i];
        const struct at_flow_past past = past_of(t, f);

        if (!f->over)
            st = open(ctx, f, &past);
        for (; k < n && first[k].value == i; k++) {
            if (f->over || st != AT_OK)
                continue;
            first[k].value = number;
            st = datagram(ctx, &first[k]);
        }
        number += !f->over;
    }
    return st;
}

enum at_status at_tracker_finish_part(struct at_tracker *t, at_open_fn *open,
                                      at_open_datagram_fn *datagram, void *ctx)
{
    struct at_datagram *first;
    size_t n;
    enum at_status st = at_datagrams_list(t->datagrams, t->now_ns, &first, &n);

    end_idle(t, t->now_ns);
    if (st == AT_OK)
        st = show_open(t, first, n, open, datagram, ctx);
    free(first);
    return st == AT_OK ? end_trace(t, true) : st;
}

/* What of a flow is of all its parts; the rest begins at zero. */
static struct at_flow next_part(const struct at_flow *f)
{
    struct at_flow next = {
        .key = f->key,
        .first_ns = f->last_ns,
        .last_ns = f->last_ns,
        .missing = {f->missing[0], f->missing[1]},
        .syn_us = f->syn_us,
        .last_block = NO_BLOCK,
        .state = f->state,
        .source_is_hi = f->source_is_hi,
        .handshake = f->handshake,
    };

    for (int dir = 0; dir < 2; dir++) {
        next.way[dir] = f->way[dir];
        next.way[dir].packets = 0;
        next.way[dir].bytes = next.way[dir].payload = 0;
        next.way[dir].retransmitted = next.way[dir].zero_windows = 0;
        next.way[dir].tcp_flags = 0;
    }
    return next;
}

static enum at_status keep_past(struct at_tracker *t,
                                const struct at_flow_past *past)
{
    if (t->pasts == t->past_room) {
        const size_t room = t->past_room + t->past_room / 2 + 1024;
        struct at_flow_past *p = realloc(t->past, room * sizeof(*p));

        if (p == NULL)
            return AT_ERR_MEMORY;
        t->past = p;
        t->past_room = room;
    }
    t->past[t->pasts++] = *past;
    return AT_OK;
}

/* Room for one more flow, before there are packets. */
static enum at_status make_room(struct at_tracker *t)
{
    enum at_status st = AT_OK;

    if (t->flows == t->flow_room) {
        st = grow(t, most_flows(t));
        if (st == AT_OK)
            st = make_table(t, t->mask + 1);
    }
    if (st == AT_OK && t->carried == NULL)
        st = grow_numbers(&t->carried, t->flow_room);
    if (st == AT_OK && t->used * 2 > t->mask)
        st = make_table(t, (t->mask + 1) * 2);
    return st;
}

enum at_status at_tracker_resume(struct at_tracker *t,
                                 const struct at_flow *flow,
                                 const struct at_flow_past *past)
{
    const uint32_t hash = at_flow_key_hash(&flow->key, t->seed);
    enum at_status st;
    uint32_t *e;

    if (t->flows == most_flows(t))
        return AT_ERR_FORMAT;
    st = make_room(t);
    if (st != AT_OK)
        return st;
    e = find(t, &flow->key, hash);
    if (*e != 0)
        return AT_ERR_FORMAT;
    st = keep_past(t, past);
    if (st != AT_OK)
        return st;
    *e = entry_of(t, hash, t->flows);
    t->used++;
    t->carried[t->flows] = (uint32_t)t->pasts;
    if (t->names != NULL)
        t->name[t->flows] = 0;
    t->flow[t->flows++] = next_part(flow);
    if (flow->last_ns > t->now_ns)
        t->now_ns = flow->last_ns;
    return AT_OK;
}

enum at_status at_tracker_resume_datagram(struct at_tracker *t,
                                          const struct at_datagram *first)
{
    return first->value < t->flows
               ? at_datagrams_resume(t->datagrams, &t->flow[first->value].key,
                                     first)
               : AT_ERR_FORMAT;
}

const struct at_flow *at_tracker_latest(const struct at_tracker *t)
{
    return &t->flow[t->latest];
}

uint64_t at_tracker_forced(const struct at_tracker *t)
{
    return t->forced;
}

void at_tracker_name_by(struct at_tracker *t, struct at_names *names)
{
    t->names = names;
}

/* Of the flow that the latest packet is of, which asks for a name. */
static enum at_status take_name(struct at_tracker *t, const char *name)
{
    return t->name[t->latest] != 0
               ? AT_OK
               : at_names_add(t->names, name, &t->name[t->latest]);
}

enum at_status at_tracker_add(struct at_tracker *t, const struct at_sight *s,
                              size_t n, const struct at_besides *besides,
                              uint32_t block)
{
    enum at_status st = AT_OK;

    for (size_t i = 0; i < n && st == AT_OK; i++) {
        if (i + AHEAD < n)
            fetch_entry(t, &s[i + AHEAD]);
        if (i + AHEAD / 2 < n)
            fetch_flow(t, &s[i + AHEAD / 2]);
        if (!s[i].packet)
            continue;
        if (t->flows == t->flow_room)
            st = sweep(t, s[i].ts_ns);
        if (st == AT_OK)
            st = add_one(t, &s[i], block);
        if (st == AT_OK && s[i].link != 0 &&
            (s[i].flags & AT_DECODED_FRAGMENT) == 0)
            st = add_quote(t, &s[i], &besides->quote[s[i].link - 1], block);
        if (st == AT_OK && s[i].name != 0 && t->names != NULL)
            st = take_name(t, &besides->text[s[i].name - 1]);
    }
    return st;
}
