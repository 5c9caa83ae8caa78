/*
 * sorted.c - the flows of an index in the order in which they are written
 */
#include "sorted.h"

#include <stdlib.h>
#include <string.h>

#include "errors.h"
#include "flow_row.h"
#include "pool.h"
#include "schema.h"

enum { NO_PORT = 0xffff };

static void lists_free(struct at_lists *l)
{
    free(l->at);
    free(l->item);
}

void at_sorted_close(struct at_sorted *s)
{
    free(s->order);
    free(s->host);
    free(s->end[0]);
    free(s->end[1]);
    free(s->host_id);
    free(s->port);
    free(s->carried);
    at_set_close(&s->inner);
    at_set_close(&s->partial);
    lists_free(&s->host_flows);
    lists_free(&s->port_flows);
    at_app_part_close(s->apps);
    at_name_part_close(s->names);
}

/* Makes lists for 'keys' keys of which list i will take count[i + 1] items;
 * afterwards at[i] is where the next item of list i goes. */
static enum at_status lists_begin(struct at_lists *l, size_t keys, size_t total)
{
    l->item = malloc((total + 1) * sizeof(l->item[0]));
    if (l->item == NULL)
        return AT_ERR_MEMORY;
    for (size_t i = 0; i < keys; i++)
        l->at[i + 1] += l->at[i];
    return AT_OK;
}

/* After all items are in, at[i] is the end of list i: shifts it back. */
static void lists_end(struct at_lists *l, size_t keys)
{
    memmove(l->at + 1, l->at, keys * sizeof(l->at[0]));
    l->at[0] = 0;
}

static int by_start(const void *a, const void *b, void *flows)
{
    const uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    const int64_t start_x = at_finished_start(flows, x);
    const int64_t start_y = at_finished_start(flows, y);

    if (start_x != start_y)
        return start_x < start_y ? -1 : 1;
    return x < y ? -1 : x > y;
}

static enum at_status sort_flows(struct at_sorted *s)
{
    bool in_order = true;

    s->order = malloc((s->flows + 1) * sizeof(s->order[0]));
    if (s->order == NULL)
        return AT_ERR_MEMORY;
    for (size_t i = 0; i < s->flows; i++) {
        s->order[i] = (uint32_t)i;
        in_order = in_order && (i == 0 || at_finished_start(s->flow, i - 1) <=
                                              at_finished_start(s->flow, i));
    }
    if (!in_order)
        qsort_r(s->order, s->flows, sizeof(s->order[0]), by_start, s->flow);
    return AT_OK;
}

/* A table of the addresses that have a number; the seed is for hashing. */
struct host_table {
    uint32_t *slot; /* number + 1 */
    size_t mask;
    uint64_t seed;
};

static uint32_t hash_of(const struct host_table *t, uint8_t net,
                        const uint8_t *addr)
{
    struct at_flow_key key = {.net = net};

    memcpy(key.lo, addr, 16);
    return at_flow_key_hash(&key, t->seed);
}

/* Its place, or the free one where it belongs. */
static size_t host_slot(const struct host_table *t, const struct at_sorted *s,
                        uint8_t net, const uint8_t *addr, uint32_t hash)
{
    for (size_t at = hash;; at++) {
        const uint32_t n = t->slot[at & t->mask];

        if (n == 0 || (s->host[n - 1].net == net &&
                       memcmp(s->host[n - 1].addr, addr, 16) == 0))
            return at & t->mask;
    }
}

static enum at_status grow_table(struct host_table *t,
                                 const struct at_sorted *s)
{
    const size_t size = t->mask == 0 ? 1 << 10 : (t->mask + 1) * 2;
    uint32_t *slot = calloc(size, sizeof(*slot));

    if (slot == NULL)
        return AT_ERR_MEMORY;
    free(t->slot);
    t->slot = slot;
    t->mask = size - 1;
    for (size_t i = 0; i < s->hosts; i++) {
        const struct at_sorted_host *h = &s->host[i];

        slot[host_slot(t, s, h->net, h->addr,
                       hash_of(t, h->net, h->addr))] = (uint32_t)i + 1;
    }
    return AT_OK;
}

static enum at_status grow_hosts(struct at_sorted *s)
{
    const size_t room = s->host_room + s->host_room / 2 + 1024;
    struct at_sorted_host *p = realloc(s->host, room * sizeof(*p));

    if (p == NULL)
        return AT_ERR_MEMORY;
    s->host = p;
    s->host_room = room;
    return AT_OK;
}

/* The number of a host, which it may get here. */
static enum at_status intern(struct host_table *t, struct at_sorted *s,
                             uint8_t net, const uint8_t *addr, uint32_t hash,
                             uint32_t *number)
{
    size_t at;

    if (s->hosts * 2 >= t->mask && grow_table(t, s) != AT_OK)
        return AT_ERR_MEMORY;
    if (s->hosts == s->host_room && grow_hosts(s) != AT_OK)
        return AT_ERR_MEMORY;
    at = host_slot(t, s, net, addr, hash);
    if (t->slot[at] == 0) {
        struct at_sorted_host *h = &s->host[s->hosts++];

        h->net = net;
        memcpy(h->addr, addr, 16);
        h->id = (uint32_t)s->hosts - 1;
        t->slot[at] = (uint32_t)s->hosts;
    }
    *number = t->slot[at] - 1;
    return AT_OK;
}

static int by_address(const void *a, const void *b)
{
    const struct at_sorted_host *x = a, *y = b;

    if (x->net != y->net)
        return x->net < y->net ? -1 : 1;
    return memcmp(x->addr, y->addr, 16);
}

/* The ports of a flow that get a posting. */
static void take_ports(uint16_t port[2], const struct at_flow_key *key)
{
    port[0] = port[1] = NO_PORT;
    if (key->net == AT_NET_ARP ||
        (key->proto != 6 && key->proto != 17 && key->proto != 132))
        return;
    if (key->lo_port < AT_INDEX_PORT_LIMIT)
        port[0] = key->lo_port;
    if (key->hi_port < AT_INDEX_PORT_LIMIT && key->hi_port != key->lo_port)
        port[1] = key->hi_port;
}

/* Flows whose applications another thread finds meanwhile. */
enum { STRETCH = 256, STRETCHES = 4 };

struct stretch {
    size_t first, n;
    struct at_flow flow[STRETCH];
};

/* The ends of a flow, and their hashes. */
struct two {
    uint8_t net;
    const uint8_t *addr[2];
    uint32_t hash[2];
};

static struct two two_of(const struct host_table *t, const struct at_flow *f)
{
    struct two two = {
        .net = f->key.net == AT_NET_IPV6 ? 6 : 4,
        .addr = {f->source_is_hi ? f->key.hi : f->key.lo,
                 f->source_is_hi ? f->key.lo : f->key.hi},
    };

    for (int end = 0; end < 2; end++)
        two.hash[end] = hash_of(t, two.net, two.addr[end]);
    return two;
}

static enum at_status take_flow(struct host_table *t, struct at_sorted *s,
                                size_t i, const struct at_flow *f,
                                const struct two *two)
{
    take_ports(s->port[i], &f->key);
    s->end[0][i] = s->end[1][i] = UINT32_MAX;
    if (f->key.inner != 0)
        at_set_add(&s->inner, i);
    if (f->carried != 0 || f->continued)
        at_set_add(&s->partial, i);
    for (int end = 0; end < 2 && f->key.net != AT_NET_OTHER; end++)
        if (intern(t, s, two->net, two->addr[end], two->hash[end],
                   &s->end[end][i]) != AT_OK)
            return AT_ERR_MEMORY;
    return AT_OK;
}

static void fetch_slot(const struct host_table *t, uint32_t hash)
{
    __builtin_prefetch(&t->slot[hash & t->mask]);
}

static void fetch_host(const struct host_table *t, const struct at_sorted *s,
                       uint32_t hash)
{
    const uint32_t n = t->slot[hash & t->mask];

    if (n != 0)
        __builtin_prefetch(&s->host[n - 1]);
}

/* All of a stretch are hashed before any is looked up, so that what the table
 * has of them is on its way by then. */
static enum at_status take_hosts(struct host_table *t, struct at_sorted *s,
                                 const struct stretch *of)
{
    enum at_status st = AT_OK;
    struct two two[STRETCH];

    for (size_t i = 0; i < of->n; i++) {
        two[i] = two_of(t, &of->flow[i]);
        for (int end = 0; end < 2 && t->mask > 0; end++)
            fetch_slot(t, two[i].hash[end]);
    }
    for (size_t i = 0; i < of->n && t->mask > 0; i++)
        for (int end = 0; end < 2; end++)
            fetch_host(t, s, two[i].hash[end]);
    for (size_t i = 0; i < of->n && st == AT_OK; i++)
        st = take_flow(t, s, of->first + i, &of->flow[i], &two[i]);
    return st;
}

static void find_apps(void *ctx, void *slot)
{
    const struct at_sorted *s = ctx;
    const struct stretch *of = slot;
    struct at_flow_row row;

    for (size_t i = 0; i < of->n; i++) {
        at_flow_row_of(&row, &of->flow[i]);
        at_app_part_take(s->apps, of->first + i, &row);
    }
}

static enum at_status take_stretch(struct host_table *t, struct at_sorted *s,
                                   struct stretch *to, struct at_error *err)
{
    enum at_status st = AT_OK;
    const uint8_t *list;
    uint32_t name;
    size_t bytes;

    for (size_t i = 0; i < to->n && st == AT_OK; i++) {
        st = at_finished_get(s->flow, to->first + i, &to->flow[i], &list,
                             &bytes, &name, err);
        if (st == AT_OK && s->names != NULL)
            at_name_part_take(s->names, to->first + i, name);
    }
    if (st == AT_OK && take_hosts(t, s, to) != AT_OK)
        st = at_error_set(err, AT_ERR_MEMORY, "out of memory");
    return st;
}

static enum at_status take_flows(struct host_table *t, struct at_sorted *s,
                                 struct at_pool *pool, struct at_error *err)
{
    struct at_lane *apps = at_lane_open(
        pool, find_apps, s, sizeof(struct stretch), STRETCHES, true);
    enum at_status st = AT_OK;

    if (apps == NULL)
        return at_error_set(err, AT_ERR_MEMORY, "out of memory");
    for (size_t first = 0; first < s->flows && st == AT_OK; first += STRETCH) {
        const size_t left = s->flows - first;
        struct stretch *to = at_lane_free_slot(apps);

        if (to == NULL) {
            at_lane_wait(apps);
            at_lane_retire(apps);
            to = at_lane_free_slot(apps);
        }
        to->first = first;
        to->n = left < STRETCH ? left : STRETCH;
        st = take_stretch(t, s, to, err);
        if (st == AT_OK)
            at_lane_submit(apps);
    }
    while (st == AT_OK && at_lane_wait(apps) != NULL)
        at_lane_retire(apps);
    at_lane_close(apps, NULL);
    return st;
}

static enum at_status sort_hosts(struct at_sorted *s)
{
    s->host_id = malloc((s->hosts + 1) * sizeof(s->host_id[0]));
    if (s->host_id == NULL)
        return AT_ERR_MEMORY;
    if (s->hosts > 0)
        qsort(s->host, s->hosts, sizeof(s->host[0]), by_address);
    for (size_t i = 0; i < s->hosts; i++)
        s->host_id[s->host[i].id] = (uint32_t)i + 1;
    return AT_OK;
}

/* The host ids of a flow's ends: 0, 1 or 2 of them. */
static unsigned ends_of(const struct at_sorted *s, uint32_t flow,
                        uint32_t id[2])
{
    if (s->end[0][flow] == UINT32_MAX)
        return 0;
    id[0] = s->host_id[s->end[0][flow]];
    id[1] = s->host_id[s->end[1][flow]];
    return id[0] == id[1] ? 1 : 2;
}

static unsigned ports_of(const struct at_sorted *s, uint32_t flow,
                         uint32_t port[2])
{
    unsigned n = 0;

    for (int i = 0; i < 2; i++)
        if (s->port[flow][i] != NO_PORT)
            port[n++] = s->port[flow][i];
    return n;
}

/* Lists the ids of the flows that keys_of() gives each key for. */
static enum at_status sort_postings(
    const struct at_sorted *s, struct at_lists *l, size_t keys,
    unsigned (*keys_of)(const struct at_sorted *, uint32_t, uint32_t *))
{
    size_t total = 0;
    uint32_t key[2];

    l->at = calloc(keys + 2, sizeof(l->at[0]));
    if (l->at == NULL)
        return AT_ERR_MEMORY;
    for (size_t i = 0; i < s->flows; i++)
        for (unsigned n = keys_of(s, (uint32_t)i, key); n > 0; n--, total++)
            l->at[key[n - 1] + 1]++;
    if (lists_begin(l, keys, total) != AT_OK)
        return AT_ERR_MEMORY;
    for (size_t i = 0; i < s->flows; i++)
        for (unsigned n = keys_of(s, s->order[i], key); n > 0; n--)
            l->item[l->at[key[n - 1]]++] = (uint32_t)i + 1;
    lists_end(l, keys);
    return AT_OK;
}

static enum at_status make_arrays(struct at_sorted *s)
{
    for (int i = 0; i < 2; i++)
        s->end[i] = malloc((s->flows + 1) * sizeof(s->end[i][0]));
    s->port = malloc((s->flows + 1) * sizeof(s->port[0]));
    return s->end[0] != NULL && s->end[1] != NULL && s->port != NULL &&
                   at_set_open(&s->inner, s->flows, false) == AT_OK &&
                   at_set_open(&s->partial, s->flows, false) == AT_OK
               ? AT_OK
               : AT_ERR_MEMORY;
}

enum at_status at_sorted_make(struct at_sorted *s, struct at_finished *flows,
                              struct at_names *names,
                              const struct at_apps *apps, struct at_pool *pool,
                              struct at_error *err)
{
    struct host_table table = {.seed = at_flow_key_seed()};
    enum at_status st;

    s->flow = flows;
    s->flows = at_finished_count(flows);
    if (s->flows >= UINT32_MAX)
        return at_error_set(err, AT_ERR_MEMORY, "more than 2^32 flows");
    s->apps = at_app_part_open(apps, s->flows);
    if (names != NULL)
        s->names = at_name_part_open(names, s->flows);
    if (s->apps == NULL || (names != NULL && s->names == NULL) ||
        make_arrays(s) != AT_OK)
        return at_error_set(err, AT_ERR_MEMORY, "out of memory");
    st = take_flows(&table, s, pool, err);
    at_app_part_finish(s->apps);
    free(table.slot);
    if (st == AT_OK && (sort_flows(s) != AT_OK || sort_hosts(s) != AT_OK))
        st = at_error_set(err, AT_ERR_MEMORY, "out of memory");
    return st;
}

/* ---- beside the flows ------------------------------------------------ */

/* What is made by other threads while the flows are written, and is written
 * after them. */
typedef enum at_status aside_fn(struct at_sorted *s);

struct aside {
    aside_fn *fn;
    enum at_status st;
};

static enum at_status list_hosts(struct at_sorted *s)
{
    return sort_postings(s, &s->host_flows, s->hosts + 1, ends_of);
}

static enum at_status list_ports(struct at_sorted *s)
{
    return sort_postings(s, &s->port_flows, AT_INDEX_PORT_LIMIT, ports_of);
}

static enum at_status pack_openings(struct at_sorted *s)
{
    return at_app_part_pack(s->apps, s->order);
}

static void run_aside(void *ctx, void *slot)
{
    struct aside *a = slot;

    a->st = a->fn(ctx);
}

struct at_lane *at_sorted_begin_lists(struct at_sorted *s, struct at_pool *pool)
{
    static aside_fn *const fn[] = {list_hosts, list_ports, pack_openings};
    const size_t n = sizeof(fn) / sizeof(fn[0]);
    struct at_lane *lane = at_lane_open(pool, run_aside, s,
                                        sizeof(struct aside), n, false);

    for (size_t i = 0; lane != NULL && i < n; i++) {
        ((struct aside *)at_lane_free_slot(lane))->fn = fn[i];
        at_lane_submit(lane);
    }
    return lane;
}

enum at_status at_sorted_finish_lists(struct at_lane *lane)
{
    enum at_status st = AT_OK;
    const struct aside *a;

    while ((a = at_lane_wait(lane)) != NULL) {
        if (st == AT_OK)
            st = a->st;
        at_lane_retire(lane);
    }
    return st;
}
