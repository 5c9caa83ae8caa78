/*
 * builder.c - an index in the making
 *
 * Flows that are over go to a store on disk.  Flow ids are ranks by start and
 * host ids ranks by address, so both are known only at the end.  Then the ends
 * of the flows are sorted by host and their ports by port, by counting, for
 * which some 50 bytes a flow are in memory.
 */
#include "builder.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "app_part.h"
#include "bytes.h"
#include "errors.h"
#include "finished.h"
#include "flow_row.h"
#include "index.h"
#include "minutes.h"
#include "name_part.h"
#include "pool.h"
#include "schema.h"
#include "sql_rows.h"

struct block_stat {
    int64_t first_ns, last_ns;
    uint32_t records;
    bool packets;
};

struct at_builder {
    struct at_tracking rules;
    struct at_pool *pool;
    struct at_tracker *tracker;
    struct at_finished *finished;
    struct at_error err; /* of what the tracker calls */
    struct block_stat *block;
    size_t blocks, block_room;
    struct at_index_totals total;
    struct at_minutes minutes;
    uint64_t lost_datagrams;
    struct at_names names;        /* if they are wanted */
    const struct at_carry *carry; /* of earlier parts; NULL: there are none */
};

/* ---- taking packets in ----------------------------------------------- */

static enum at_status keep_flow(void *ctx, const struct at_flow *flow,
                                const uint32_t *block, size_t blocks,
                                uint32_t name)
{
    struct at_builder *b = ctx;

    b->total.flows += flow->key.net == AT_NET_IPV4 ||
                      flow->key.net == AT_NET_IPV6;
    return at_finished_add(b->finished, flow, block, blocks, name, &b->err);
}

struct at_builder *at_builder_open(const struct at_tracking *rules,
                                   uint64_t seed, const char *folder,
                                   struct at_pool *pool)
{
    struct at_builder *b = calloc(1, sizeof(*b));

    if (b == NULL)
        return NULL;
    b->rules = *rules;
    b->pool = pool;
    b->tracker = at_tracker_open(rules, seed, keep_flow, b);
    b->finished = at_finished_open(folder);
    at_names_init(&b->names);
    if (b->tracker == NULL || b->finished == NULL) {
        at_builder_close(b);
        return NULL;
    }
    if (rules->names)
        at_tracker_name_by(b->tracker, &b->names);
    return b;
}

/* What a call of the tracker came to. */
static enum at_status tracked(const struct at_builder *b, enum at_status st,
                              struct at_error *err)
{
    if (st == AT_OK)
        return AT_OK;
    return b->err.status != AT_OK ? at_error_copy(err, &b->err)
                                  : at_error_set(err, st, "out of memory");
}

enum at_status at_builder_resume(struct at_builder *b,
                                 const struct at_carry *carry,
                                 struct at_error *err)
{
    struct at_flow flow;
    struct at_flow_past past;
    struct at_datagram first;
    enum at_status st = AT_OK;

    b->carry = carry;
    for (size_t i = 0; i < carry->n && st == AT_OK; i++)
        st = at_carry_get(carry, i, &flow, &past)
                 ? at_tracker_resume(b->tracker, &flow, &past)
                 : AT_ERR_FORMAT;
    for (size_t i = 0; i < carry->datagrams && st == AT_OK; i++)
        st = at_carry_get_datagram(carry, i, &first)
                 ? at_tracker_resume_datagram(b->tracker, &first)
                 : AT_ERR_FORMAT;
    return st != AT_ERR_FORMAT
               ? tracked(b, st, err)
               : at_error_set(err, AT_ERR_CORRUPT,
                              "what is known of the flows that go on from "
                              "earlier segments is damaged");
}

/* The statistics of a block; those before it that had no records are zero. */
static struct block_stat *block_at(struct at_builder *b, uint64_t block)
{
    if (block >= UINT32_MAX)
        return NULL;
    if (block >= b->block_room) {
        const size_t room = (size_t)block * 2 + 64;
        struct block_stat *p = realloc(b->block, room * sizeof(*p));

        if (p == NULL)
            return NULL;
        b->block = p;
        b->block_room = room;
    }
    while (b->blocks <= block)
        b->block[b->blocks++] = (struct block_stat){.packets = false};
    return &b->block[block];
}

static void widen(int64_t ts_ns, bool any, int64_t *first, int64_t *last)
{
    if (!any || ts_ns < *first)
        *first = ts_ns;
    if (!any || ts_ns > *last)
        *last = ts_ns;
}

enum at_status at_builder_add(struct at_builder *b, const struct at_sight *s,
                              size_t n, const struct at_besides *besides,
                              uint64_t block, struct at_error *err)
{
    struct block_stat *stat = block_at(b, block);

    if (stat == NULL)
        return at_error_set(err, AT_ERR_MEMORY, "out of memory");
    stat->records += (uint32_t)n;
    for (size_t i = 0; i < n; i++) {
        if (!s[i].packet)
            continue;
        widen(s[i].ts_ns, stat->packets, &stat->first_ns, &stat->last_ns);
        stat->packets = true;
        b->total.packets++;
        b->total.captured_bytes += s[i].cap_bytes;
        b->total.wire_bytes += s[i].wire_bytes;
        if (!b->rules.key.inner && at_minutes_add(&b->minutes, &s[i]) != AT_OK)
            return at_error_set(err, AT_ERR_MEMORY, "out of memory");
    }
    return tracked(
        b, at_tracker_add(b->tracker, s, n, besides, (uint32_t)block), err);
}

const struct at_index_totals *at_builder_totals(const struct at_builder *b)
{
    return &b->total;
}

void at_builder_close(struct at_builder *b)
{
    if (b == NULL)
        return;
    at_tracker_close(b->tracker);
    at_finished_close(b->finished);
    at_minutes_close(&b->minutes);
    at_names_close(&b->names);
    free(b->block);
    free(b);
}

/* ---- sorting --------------------------------------------------------- */

/* Lists of numbers, one for each key, ascending: list i is item[at[i]] up to
 * item[at[i + 1]]. */
struct lists {
    size_t *at;
    uint32_t *item;
};

struct host {
    uint8_t net; /* 4 or 6 */
    uint8_t addr[16];
    uint32_t id;
};

/* A flow that goes on from an earlier part, where it has this number. */
struct carried {
    uint32_t id;
    uint32_t number;
};

/* Everything in the order in which it is written.  Flows have numbers, as the
 * store has them, and ids. */
struct sorted {
    struct at_finished *flow;
    size_t flows;
    uint32_t *order;     /* flow id - 1 -> number */
    uint16_t (*port)[2]; /* by number; NO_PORT: it gets no posting */
    struct host *host;   /* by address, when sorted */
    size_t hosts, host_room;
    struct at_set inner;      /* numbers of flows in tunnels */
    struct at_set partial;    /* of flows that other parts have, too */
    uint32_t *end[2];         /* flow number -> host number, UINT32_MAX: none */
    uint32_t *host_id;        /* host number -> host id */
    struct lists host_flows;  /* by host id - 1 */
    struct lists port_flows;  /* by port */
    struct at_app_part *apps; /* by number */
    struct at_name_part *names; /* NULL: they are not wanted */
    struct carried *carried;    /* by id */
    size_t carries, carried_room;
};

enum { NO_PORT = 0xffff };

static void lists_free(struct lists *l)
{
    free(l->at);
    free(l->item);
}

static void sorted_free(struct sorted *s)
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
static enum at_status lists_begin(struct lists *l, size_t keys, size_t total)
{
    l->item = malloc((total + 1) * sizeof(l->item[0]));
    if (l->item == NULL)
        return AT_ERR_MEMORY;
    for (size_t i = 0; i < keys; i++)
        l->at[i + 1] += l->at[i];
    return AT_OK;
}

/* After all items are in, at[i] is the end of list i: shifts it back. */
static void lists_end(struct lists *l, size_t keys)
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

static enum at_status sort_flows(struct sorted *s)
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

/* Its place, or the free one where it belongs. */
static size_t host_slot(const struct host_table *t, const struct sorted *s,
                        uint8_t net, const uint8_t *addr)
{
    struct at_flow_key key = {.net = net};
    size_t at;

    memcpy(key.lo, addr, 16);
    for (at = at_flow_key_hash(&key, t->seed);; at++) {
        const uint32_t n = t->slot[at & t->mask];

        if (n == 0 || (s->host[n - 1].net == net &&
                       memcmp(s->host[n - 1].addr, addr, 16) == 0))
            return at & t->mask;
    }
}

static enum at_status grow_table(struct host_table *t, const struct sorted *s)
{
    const size_t size = t->mask == 0 ? 1 << 10 : (t->mask + 1) * 2;
    uint32_t *slot = calloc(size, sizeof(*slot));

    if (slot == NULL)
        return AT_ERR_MEMORY;
    free(t->slot);
    t->slot = slot;
    t->mask = size - 1;
    for (size_t i = 0; i < s->hosts; i++)
        slot[host_slot(t, s, s->host[i].net, s->host[i].addr)] = (uint32_t)i +
                                                                 1;
    return AT_OK;
}

static enum at_status grow_hosts(struct sorted *s)
{
    const size_t room = s->host_room + s->host_room / 2 + 1024;
    struct host *p = realloc(s->host, room * sizeof(*p));

    if (p == NULL)
        return AT_ERR_MEMORY;
    s->host = p;
    s->host_room = room;
    return AT_OK;
}

/* The number of a host, which it may get here. */
static enum at_status intern(struct host_table *t, struct sorted *s,
                             uint8_t net, const uint8_t *addr, uint32_t *number)
{
    size_t at;

    if (s->hosts * 2 >= t->mask && grow_table(t, s) != AT_OK)
        return AT_ERR_MEMORY;
    if (s->hosts == s->host_room && grow_hosts(s) != AT_OK)
        return AT_ERR_MEMORY;
    at = host_slot(t, s, net, addr);
    if (t->slot[at] == 0) {
        struct host *h = &s->host[s->hosts++];

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
    const struct host *x = a, *y = b;

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

static enum at_status take_flow(struct host_table *t, struct sorted *s,
                                size_t i, const struct at_flow *f)
{
    const uint8_t net = f->key.net == AT_NET_IPV6 ? 6 : 4;
    const uint8_t *src = f->source_is_hi ? f->key.hi : f->key.lo;
    const uint8_t *dst = f->source_is_hi ? f->key.lo : f->key.hi;

    take_ports(s->port[i], &f->key);
    s->end[0][i] = s->end[1][i] = UINT32_MAX;
    if (f->key.inner != 0)
        at_set_add(&s->inner, i);
    if (f->carried != 0 || f->continued)
        at_set_add(&s->partial, i);
    if (f->key.net == AT_NET_OTHER)
        return AT_OK;
    if (intern(t, s, net, src, &s->end[0][i]) != AT_OK)
        return AT_ERR_MEMORY;
    return intern(t, s, net, dst, &s->end[1][i]);
}

/* Flows whose applications another thread finds meanwhile. */
enum { STRETCH = 256, STRETCHES = 4 };

struct stretch {
    size_t first, n;
    struct at_flow flow[STRETCH];
};

static void find_apps(void *ctx, void *slot)
{
    const struct sorted *s = ctx;
    const struct stretch *of = slot;
    struct at_flow_row row;

    for (size_t i = 0; i < of->n; i++) {
        at_flow_row_of(&row, &of->flow[i]);
        at_app_part_take(s->apps, of->first + i, &row);
    }
}

static enum at_status take_stretch(struct host_table *t, struct sorted *s,
                                   struct stretch *to, struct at_error *err)
{
    enum at_status st = AT_OK;
    const uint8_t *list;
    uint32_t name;
    size_t bytes;

    for (size_t i = 0; i < to->n && st == AT_OK; i++) {
        const size_t number = to->first + i;

        st = at_finished_get(s->flow, number, &to->flow[i], &list, &bytes,
                             &name, err);
        if (st == AT_OK && take_flow(t, s, number, &to->flow[i]) != AT_OK)
            st = at_error_set(err, AT_ERR_MEMORY, "out of memory");
        if (st == AT_OK && s->names != NULL)
            at_name_part_take(s->names, number, name);
    }
    return st;
}

static enum at_status take_flows(struct host_table *t, struct sorted *s,
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

static enum at_status sort_hosts(struct sorted *s)
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
static unsigned ends_of(const struct sorted *s, uint32_t flow, uint32_t id[2])
{
    if (s->end[0][flow] == UINT32_MAX)
        return 0;
    id[0] = s->host_id[s->end[0][flow]];
    id[1] = s->host_id[s->end[1][flow]];
    return id[0] == id[1] ? 1 : 2;
}

static unsigned ports_of(const struct sorted *s, uint32_t flow,
                         uint32_t port[2])
{
    unsigned n = 0;

    for (int i = 0; i < 2; i++)
        if (s->port[flow][i] != NO_PORT)
            port[n++] = s->port[flow][i];
    return n;
}

/* Lists the ids of the flows that keys_of() gives each key for. */
static enum at_status
sort_postings(const struct sorted *s, struct lists *l, size_t keys,
              unsigned (*keys_of)(const struct sorted *, uint32_t, uint32_t *))
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

static enum at_status make_arrays(struct sorted *s)
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

static enum at_status keep_open(void *ctx, const struct at_flow *flow,
                                const struct at_flow_past *past)
{
    return at_carry_add(ctx, flow, past);
}

static enum at_status keep_datagram(void *ctx, const struct at_datagram *first)
{
    return at_carry_add_datagram(ctx, first);
}

/* All flows there were go to the store; the tracker's memory is wanted for
 * what comes then. */
static enum at_status finish_tracker(struct at_builder *b,
                                     const struct at_index_about *about,
                                     struct at_error *err)
{
    const enum at_status st = tracked(
        b,
        about->open == NULL
            ? at_tracker_finish(b->tracker)
            : at_tracker_finish_part(b->tracker, keep_open, keep_datagram,
                                     about->open),
        err);

    if (st != AT_OK)
        return st;
    b->lost_datagrams = at_tracker_lost_datagrams(b->tracker);
    b->total.forced = at_tracker_forced(b->tracker);
    b->total.names_lost = b->names.lost;
    at_tracker_close(b->tracker);
    b->tracker = NULL;
    return AT_OK;
}

static enum at_status sort_all(struct at_builder *b, struct sorted *s,
                               const struct at_apps *apps, struct at_error *err)
{
    struct host_table table = {.seed = at_flow_key_seed()};
    enum at_status st;

    s->flow = b->finished;
    s->flows = at_finished_count(b->finished);
    if (s->flows >= UINT32_MAX)
        return at_error_set(err, AT_ERR_MEMORY, "more than 2^32 flows");
    s->apps = at_app_part_open(apps, s->flows);
    if (b->rules.names)
        s->names = at_name_part_open(&b->names, s->flows);
    if (s->apps == NULL || (b->rules.names && s->names == NULL) ||
        make_arrays(s) != AT_OK)
        return at_error_set(err, AT_ERR_MEMORY, "out of memory");
    st = take_flows(&table, s, b->pool, err);
    at_app_part_finish(s->apps);
    free(table.slot);
    if (st == AT_OK && (sort_flows(s) != AT_OK || sort_hosts(s) != AT_OK))
        st = at_error_set(err, AT_ERR_MEMORY, "out of memory");
    return st;
}

/* ---- beside the flows ------------------------------------------------ */

/* What is made by other threads while the flows are written, and is written
 * after them. */
typedef enum at_status aside_fn(struct sorted *s);

struct aside {
    aside_fn *fn;
    enum at_status st;
};

static enum at_status list_hosts(struct sorted *s)
{
    return sort_postings(s, &s->host_flows, s->hosts + 1, ends_of);
}

static enum at_status list_ports(struct sorted *s)
{
    return sort_postings(s, &s->port_flows, AT_INDEX_PORT_LIMIT, ports_of);
}

static enum at_status pack_openings(struct sorted *s)
{
    return at_app_part_pack(s->apps, s->order);
}

static void run_aside(void *ctx, void *slot)
{
    struct aside *a = slot;

    a->st = a->fn(ctx);
}

/* NULL if there is no memory. */
static struct at_lane *begin_asides(struct at_pool *pool, struct sorted *s)
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

static enum at_status finish_asides(struct at_lane *lane)
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

/* ---- writing --------------------------------------------------------- */

struct writing {
    struct at_sql sql;
    struct sorted *s;
    int64_t base_ns;
    uint8_t *blob;
    size_t blob_room;
    size_t rows; /* of the table that is filled: tried so far */
};

/* A list of 'n' ascending numbers, which lives until the next call; NULL if
 * there is no memory. */
static const uint8_t *make_list(struct writing *w, const uint32_t *item,
                                size_t n, size_t *bytes)
{
    uint32_t before = 0;
    uint8_t *p;

    if (w->blob == NULL || w->blob_room < n * 5) {
        free(w->blob);
        w->blob_room = n * 10 + 64;
        w->blob = malloc(w->blob_room);
        if (w->blob == NULL)
            return NULL;
    }
    p = w->blob;
    for (size_t k = 0; k < n; k++) {
        p = at_put_varint(p, item[k] - before);
        before = item[k];
    }
    *bytes = (size_t)(p - w->blob);
    return w->blob;
}

static enum at_status put_list(struct writing *w, struct at_sql_row *row, int i,
                               const struct lists *l, size_t key,
                               struct at_error *err)
{
    size_t n;
    const uint8_t *list = make_list(w, l->item + l->at[key],
                                    l->at[key + 1] - l->at[key], &n);

    if (list == NULL)
        return at_error_set(err, AT_ERR_MEMORY, "out of memory");
    at_sql_put_blob(row, i, list, n);
    return AT_OK;
}

/* A row of meta: its value is to be bound as 2, then meta_end() writes it. */
static sqlite3_stmt *meta_begin(struct writing *w, const char *name)
{
    sqlite3_stmt *st = at_sql_prepare(&w->sql, "INSERT INTO meta VALUES(?, ?)");

    at_sql_bind_text(st, 1, name);
    return st;
}

static void meta_end(struct writing *w, sqlite3_stmt *st)
{
    at_sql_run(&w->sql, st);
    sqlite3_finalize(st);
}

static void put_meta(struct writing *w, const char *name, int64_t v)
{
    sqlite3_stmt *st = meta_begin(w, name);

    at_sql_bind(st, 2, v);
    meta_end(w, st);
}

static void put_meta_text(struct writing *w, const char *name, const char *text)
{
    sqlite3_stmt *st = meta_begin(w, name);

    at_sql_bind_text(st, 2, text);
    meta_end(w, st);
}

static void put_identity(struct writing *w, const struct at_identity *id)
{
    sqlite3_stmt *st = meta_begin(w, AT_META_IDENTITY);

    at_sql_bind_blob(st, 2, id->digest, sizeof(id->digest));
    meta_end(w, st);
}

static void put_flow_list(struct writing *w, const char *name,
                          bool (*wanted)(const struct sorted *s, uint32_t flow))
{
    sqlite3_stmt *st = meta_begin(w, name);
    const struct sorted *s = w->s;
    uint32_t *id = malloc((s->flows + 1) * sizeof(*id));
    const uint8_t *list = NULL;
    size_t n = 0, bytes;

    for (size_t i = 0; id != NULL && i < s->flows; i++)
        if (wanted(s, s->order[i]))
            id[n++] = (uint32_t)i + 1;
    if (id != NULL)
        list = make_list(w, id, n, &bytes);
    if (list != NULL)
        at_sql_bind_blob(st, 2, list, bytes);
    else
        at_error_set(&w->sql.err, AT_ERR_MEMORY, "out of memory");
    meta_end(w, st);
    free(id);
}

/* No host leads to it, or not the one that its packets are from. */
static bool is_link_flow(const struct sorted *s, uint32_t flow)
{
    return s->end[0][flow] == UINT32_MAX || at_set_has(&s->inner, flow);
}

static bool is_partial(const struct sorted *s, uint32_t flow)
{
    return at_set_has(&s->partial, flow);
}

/* By what rules the flows were made, and how far they could be kept. */
static void write_rules(struct writing *w, const struct at_builder *b)
{
    char text[AT_TIMEOUTS_TEXT], key[AT_KEYING_TEXT];

    put_meta_text(w, AT_META_TIMEOUTS,
                  at_timeouts_format(text, &b->rules.timeouts));
    put_meta_text(w, AT_META_KEY, at_keying_format(key, &b->rules.key));
    put_meta(w, AT_META_LOST_DATAGRAMS, (int64_t)b->lost_datagrams);
    put_meta(w, AT_META_MOST_FLOWS, (int64_t)b->rules.most_flows);
    put_meta(w, AT_META_FORCED, (int64_t)b->total.forced);
    if (!b->rules.names)
        return;
    put_meta(w, AT_META_NAMES, 1);
    put_meta(w, AT_META_NAMES_LOST, (int64_t)b->total.names_lost);
}

static void write_meta(struct writing *w, const struct at_index_about *about,
                       const struct at_index_totals *total)
{
    put_identity(w, &about->identity);
    put_meta(w, AT_META_FILE_BYTES, (int64_t)about->identity.file_bytes);
    put_meta(w, AT_META_BASE, w->base_ns);
    if (total->packets > 0) {
        put_meta(w, AT_META_FIRST, total->first_ns);
        put_meta(w, AT_META_LAST, total->last_ns);
    }
    put_meta_text(w, AT_META_FORMAT, at_format_name(about->format));
    put_meta_text(w, AT_META_CODEC, at_codec_name(about->codec));
    put_meta(w, AT_META_LINKTYPE, about->linktype);
    put_meta(w, AT_META_SNAP, about->snap_bytes);
    put_meta(w, AT_META_PACKETS, (int64_t)total->packets);
    put_meta(w, AT_META_CAPTURED, (int64_t)total->captured_bytes);
    put_meta(w, AT_META_WIRE, (int64_t)total->wire_bytes);
    put_meta(w, AT_META_FLOWS, (int64_t)total->flows);
    put_meta_text(w, AT_META_STREAM, about->stream);
    put_meta(w, AT_META_PORT_LIMIT, AT_INDEX_PORT_LIMIT);
    put_flow_list(w, AT_META_LINK_FLOWS, is_link_flow);
    if (about->open != NULL)
        put_flow_list(w, AT_META_PARTIAL, is_partial);
    put_meta(w, AT_META_COMPLETE, about->complete);
    put_meta(w, AT_META_PART, about->open != NULL);
    if (about->salvaged.holes == 0)
        return;
    put_meta(w, AT_META_HOLES, (int64_t)about->salvaged.holes);
    put_meta(w, AT_META_HOLE_BYTES, (int64_t)about->salvaged.bytes);
}

static void write_blocks(struct writing *w, const struct at_builder *b,
                         const struct at_place *place)
{
    sqlite3_stmt *st = at_sql_prepare(
        &w->sql, "INSERT INTO block VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?)");

    for (size_t i = 0; i < b->blocks && w->sql.err.status == AT_OK; i++) {
        const struct block_stat *stat = &b->block[i];

        at_sql_bind(st, 1, (int64_t)i);
        at_sql_bind(st, 2, (int64_t)place[i].file_offset);
        at_sql_bind(st, 3, (int64_t)place[i].file_bytes);
        at_sql_bind(st, 4, (int64_t)place[i].raw_offset);
        at_sql_bind(st, 5, (int64_t)place[i].skip);
        at_sql_bind(st, 6, (int64_t)place[i].bytes);
        at_sql_bind(st, 7, stat->records);
        if (stat->packets) {
            at_sql_bind(st, 8, stat->first_ns - w->base_ns);
            at_sql_bind(st, 9, stat->last_ns - w->base_ns);
        } else if (st != NULL) {
            sqlite3_bind_null(st, 8);
            sqlite3_bind_null(st, 9);
        }
        at_sql_run(&w->sql, st);
    }
    sqlite3_finalize(st);
}

/* Two numbers of 16 bits as one, which is 0 for nearly every flow. */
static int64_t both(uint16_t low, uint16_t high)
{
    return (int64_t)high << 16 | low;
}

static void put_extras(struct at_sql_row *to, const struct at_flow_row *row)
{
    at_sql_put(to, 17, (int64_t)row->payload[0]);
    at_sql_put(to, 18, (int64_t)row->payload[1]);
    if (row->rtt_us >= 0)
        at_sql_put(to, 19, row->rtt_us);
    at_sql_put(to, 20, both(row->retransmitted[0], row->retransmitted[1]));
    at_sql_put(to, 21, both(row->zero_windows[0], row->zero_windows[1]));
    at_sql_put(to, 22, both(row->errors, row->bad_checksums));
}

/* Notes that the flow of the row to be written goes on from an earlier part. */
static enum at_status note_carried(struct sorted *s, uint32_t id,
                                   uint32_t number, struct at_error *err)
{
    if (s->carries == s->carried_room) {
        const size_t room = s->carried_room * 2 + 256;
        struct carried *p = realloc(s->carried, room * sizeof(*p));

        if (p == NULL)
            return at_error_set(err, AT_ERR_MEMORY, "out of memory");
        s->carried = p;
        s->carried_room = room;
    }
    s->carried[s->carries++] = (struct carried){id, number};
    return AT_OK;
}

static enum at_status put_flow(struct writing *w, struct at_sql_row *to,
                               uint32_t id, uint32_t number,
                               struct at_error *err)
{
    struct sorted *s = w->s;
    struct at_flow flow;
    struct at_flow_row row;
    const uint8_t *list;
    size_t list_bytes;
    uint32_t name;
    enum at_status st = at_finished_get(s->flow, number, &flow, &list,
                                        &list_bytes, &name, err);

    if (st == AT_OK && flow.carried != 0)
        st = note_carried(s, id, flow.carried, err);
    if (st != AT_OK)
        return st;
    at_flow_row_of(&row, &flow);
    at_sql_put(to, 1, id);
    at_sql_put(to, 2, row.start_ns - w->base_ns);
    at_sql_put(to, 3, row.end_ns - row.start_ns);
    for (int end = 0; end < 2 && row.net != AT_NET_OTHER; end++)
        at_sql_put(to, 4 + end, s->host_id[s->end[end][number]]);
    at_sql_put(to, 6, row.ethertype != 0 ? row.ethertype : row.sport);
    at_sql_put(to, 7, row.dport);
    at_sql_put(to, 8, at_kind_of(row.net, row.proto));
    at_sql_put(to, 9, (int64_t)row.packets[0]);
    at_sql_put(to, 10, (int64_t)row.packets[1]);
    at_sql_put(to, 11, (int64_t)row.bytes[0]);
    at_sql_put(to, 12, (int64_t)row.bytes[1]);
    at_sql_put(to, 13, row.tcp_flags[0] | row.tcp_flags[1] << 8);
    at_sql_put(to, 14,
               row.state | row.end << AT_INDEX_END_SHIFT |
                   (row.checksums == AT_CHECKSUM_OK) << AT_INDEX_SUMS_SHIFT |
                   (flow.carried != 0) << AT_INDEX_CONTINUES_SHIFT |
                   flow.continued << AT_INDEX_CONTINUED_SHIFT |
                   row.inner << AT_INDEX_INNER_SHIFT);
    at_sql_put(to, 15, row.vlan | (int64_t)row.mpls << AT_INDEX_MPLS_SHIFT);
    at_sql_put(to, 16,
               row.marks | (int64_t)at_app_part_value(s->apps, number)
                               << AT_INDEX_APP_SHIFT);
    put_extras(to, &row);
    at_sql_put_blob(to, 23, list, list_bytes);
    return AT_OK;
}

static void write_minutes(struct writing *w, struct at_builder *b)
{
    sqlite3_stmt *st = at_sql_prepare(&w->sql,
                                      "INSERT INTO minute VALUES(?, ?, ?, ?)");

    at_minutes_sort(&b->minutes);
    for (size_t i = 0; i < b->minutes.n && w->sql.err.status == AT_OK; i++) {
        const struct at_minute *m = &b->minutes.row[i];

        at_sql_bind(st, 1, m->minute);
        at_sql_bind(st, 2, m->kind);
        at_sql_bind(st, 3, (int64_t)m->packets);
        at_sql_bind(st, 4, (int64_t)m->bytes);
        at_sql_run(&w->sql, st);
    }
    sqlite3_finalize(st);
}

static enum at_status next_flow(void *ctx, struct at_sql_row *row,
                                struct at_error *err)
{
    struct writing *w = ctx;
    const size_t i = w->rows++;

    return i == w->s->flows
               ? AT_END
               : put_flow(w, row, (uint32_t)i + 1, w->s->order[i], err);
}

static enum at_status next_host(void *ctx, struct at_sql_row *row,
                                struct at_error *err)
{
    struct writing *w = ctx;
    const size_t i = w->rows++;
    const struct host *h = &w->s->host[i];

    if (i == w->s->hosts)
        return AT_END;
    at_sql_put(row, 1, (int64_t)i + 1);
    at_sql_put_blob(row, 2, h->addr, h->net == 6 ? 16 : 4);
    return put_list(w, row, 3, &w->s->host_flows, i + 1, err);
}

static enum at_status next_port(void *ctx, struct at_sql_row *row,
                                struct at_error *err)
{
    struct writing *w = ctx;
    const struct lists *l = &w->s->port_flows;

    while (w->rows < AT_INDEX_PORT_LIMIT &&
           l->at[w->rows] == l->at[w->rows + 1])
        w->rows++;
    if (w->rows == AT_INDEX_PORT_LIMIT)
        return AT_END;
    at_sql_put(row, 1, (int64_t)w->rows);
    return put_list(w, row, 2, l, w->rows++, err);
}

static void fill(struct writing *w, struct at_pool *pool, const char *table,
                 unsigned columns, at_sql_row_fn *next)
{
    w->rows = 0;
    at_sql_fill(&w->sql, pool, table, columns, next, w);
}

static void write_access(struct writing *w, const struct at_index_about *about)
{
    sqlite3_stmt *st;

    if (about->accesses == 0)
        return;
    at_sql_exec(&w->sql, AT_INDEX_ACCESS);
    st = at_sql_prepare(&w->sql,
                        "INSERT INTO access VALUES(?, ?, ?, ?, ?, ?, ?)");
    for (size_t i = 0; i < about->accesses && w->sql.err.status == AT_OK; i++) {
        const struct at_access_point *p = &about->access[i];

        at_sql_bind(st, 1, (int64_t)i);
        at_sql_bind(st, 2, (int64_t)p->file_bit);
        at_sql_bind(st, 3, (int64_t)p->raw_offset);
        at_sql_bind(st, 4, (int64_t)p->member_offset);
        at_sql_bind(st, 5, (int64_t)p->member_raw);
        at_sql_bind(st, 6, p->crc);
        at_sql_bind_blob(st, 7, p->window, p->window_bytes);
        at_sql_run(&w->sql, st);
    }
    sqlite3_finalize(st);
}

static void write_holes(struct writing *w, const struct at_index_about *about)
{
    sqlite3_stmt *st;

    if (about->salvaged.holes == 0)
        return;
    at_sql_exec(&w->sql, AT_INDEX_HOLES);
    st = at_sql_prepare(&w->sql, "INSERT INTO hole VALUES(?, ?, ?, ?, ?)");
    for (size_t i = 0; i < about->holes && w->sql.err.status == AT_OK; i++) {
        const struct at_hole *hole = &about->hole[i];

        at_sql_bind(st, 1, (int64_t)i);
        at_sql_bind(st, 2, (int64_t)hole->offset);
        at_sql_bind(st, 3, (int64_t)hole->bytes);
        at_sql_bind(st, 4, hole->decoded);
        at_sql_bind_text(st, 5, hole->what);
        at_sql_run(&w->sql, st);
    }
    sqlite3_finalize(st);
}

/* What is known of the flows that go on, from before this part. */
static void write_carried(struct writing *w, const struct at_builder *b)
{
    sqlite3_stmt *st;

    if (w->s->carries == 0)
        return;
    at_sql_exec(&w->sql, AT_INDEX_CARRIED);
    st = at_sql_prepare(&w->sql, "INSERT INTO carried VALUES(?, ?)");
    for (size_t i = 0; i < w->s->carries && w->sql.err.status == AT_OK; i++) {
        const struct carried *c = &w->s->carried[i];

        at_sql_bind(st, 1, c->id);
        at_sql_bind_blob(st, 2,
                         b->carry->record +
                             (size_t)(c->number - 1) * AT_CARRY_BYTES +
                             AT_CARRY_KEY_BYTES,
                         AT_CARRY_STATE_BYTES);
        at_sql_run(&w->sql, st);
    }
    sqlite3_finalize(st);
}

static sqlite3_stmt *begin_datagrams(struct writing *w)
{
    at_sql_exec(&w->sql, AT_INDEX_DATAGRAMS);
    return at_sql_prepare(&w->sql, "INSERT INTO datagram VALUES(?, ?, ?, ?)");
}

/* The datagrams of a flow that began before this part; *st is NULL until there
 * is one. */
static void put_datagrams(struct writing *w, sqlite3_stmt **st,
                          const struct at_carry *carry, const struct carried *c)
{
    const size_t end = at_carry_datagrams_from(carry, c->number);
    struct at_datagram d;

    for (size_t i = at_carry_datagrams_from(carry, c->number - 1);
         i < end && at_carry_get_datagram(carry, i, &d); i++) {
        if (*st == NULL)
            *st = begin_datagrams(w);
        at_sql_bind(*st, 1, c->id);
        at_sql_bind(*st, 2, d.link);
        at_sql_bind(*st, 3, d.from_hi);
        at_sql_bind(*st, 4, d.ts_ns - w->base_ns);
        at_sql_run(&w->sql, *st);
    }
}

static void write_datagrams(struct writing *w, const struct at_builder *b)
{
    sqlite3_stmt *st = NULL;

    for (size_t i = 0; i < w->s->carries && w->sql.err.status == AT_OK; i++)
        put_datagrams(w, &st, b->carry, &w->s->carried[i]);
    sqlite3_finalize(st);
}

static enum at_status sync_file(const char *path, struct at_error *err)
{
    const int fd = open(path, O_RDONLY | O_CLOEXEC);
    enum at_status st = AT_OK;

    if (fd < 0 || fsync(fd) != 0)
        st = at_error_system(err, path, "sync");
    if (fd >= 0)
        close(fd);
    return st;
}

static void finish_totals(struct at_builder *b)
{
    struct at_index_totals *t = &b->total;
    bool any = false;

    for (size_t i = 0; i < b->blocks; i++) {
        if (!b->block[i].packets)
            continue;
        widen(b->block[i].first_ns, any, &t->first_ns, &t->last_ns);
        any = true;
        widen(b->block[i].last_ns, any, &t->first_ns, &t->last_ns);
    }
}

/* What the 'asides' make comes after what does not need it. */
static enum at_status write_all(struct at_builder *b, struct writing *w,
                                const struct at_index_about *about,
                                const struct at_place *place,
                                struct at_lane *asides)
{
    at_sql_exec(&w->sql, "BEGIN");
    at_sql_exec(&w->sql, AT_INDEX_TABLES);
    at_sql_exec(&w->sql, b->rules.names ? AT_INDEX_VIEWS(AT_INDEX_NAME_OF_FLOW)
                                        : AT_INDEX_VIEWS(AT_INDEX_NO_NAME));
    write_meta(w, about, &b->total);
    write_rules(w, b);
    write_blocks(w, b, place);
    write_minutes(w, b);
    fill(w, b->pool, "flow", 23, next_flow);
    if (finish_asides(asides) != AT_OK)
        at_error_set(&w->sql.err, AT_ERR_MEMORY, "out of memory");
    fill(w, b->pool, "host", 3, next_host);
    fill(w, b->pool, "port", 2, next_port);
    at_app_part_write_apps(w->s->apps, &w->sql, w->s->order);
    at_app_part_write_openings(w->s->apps, &w->sql);
    if (w->s->names != NULL)
        at_name_part_write(w->s->names, &w->sql, w->s->order);
    write_access(w, about);
    write_holes(w, about);
    write_carried(w, b);
    write_datagrams(w, b);
    return at_sql_exec(&w->sql, "COMMIT");
}

/* Writes what is sorted. */
static enum at_status write_file(struct at_builder *b, struct sorted *s,
                                 const char *path,
                                 const struct at_index_about *about,
                                 const struct at_place *place,
                                 struct at_error *err)
{
    struct at_lane *asides = begin_asides(b->pool, s);
    struct writing w = {.s = s};
    enum at_status st;

    if (asides == NULL)
        return at_error_set(err, AT_ERR_MEMORY, "out of memory");
    st = at_sql_open(&w.sql, path, AT_SQL_CREATE, err);
    if (st == AT_OK) {
        w.base_ns = b->total.packets > 0 ? b->total.first_ns : 0;
        st = write_all(b, &w, about, place, asides);
        if (st != AT_OK)
            at_error_copy(err, &w.sql.err);
        at_sql_close(&w.sql);
    }
    at_lane_close(asides, NULL);
    free(w.blob);
    return st;
}

enum at_status at_builder_write(struct at_builder *b, const char *path,
                                const struct at_index_about *about,
                                const struct at_place *place, size_t places,
                                struct at_error *err)
{
    struct sorted s = {.flows = 0};
    enum at_status st;

    if (places < b->blocks)
        return at_error_set(err, AT_ERR_MISUSE, "%s: %zu blocks, %zu places",
                            path, b->blocks, places);
    st = finish_tracker(b, about, err);
    if (st == AT_OK)
        st = sort_all(b, &s, about->apps, err);
    finish_totals(b);
    unlink(path);
    if (st == AT_OK)
        st = write_file(b, &s, path, about, place, err);
    if (st == AT_OK)
        st = sync_file(path, err);
    sorted_free(&s);
    return st;
}
