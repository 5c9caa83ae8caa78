/*
 * at-top - who sends most: hosts, flows, ports, applications, exactly counted
 *
 * Flows are shared among workers by their addresses, and each worker counts
 * what it gets by key; at the end the tallies of all are merged and the best
 * kept.  To count the flows of a key, rows are of key and flow, so that those
 * of a key lie together when they are merged.
 *
 * The application of a flow is known when it is over: until the merge a row is
 * of a flow, as each worker's flow table numbers them.
 */
#include <arpa/inet.h>
#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dump_out.h"
#include "ends.h"
#include "flow_names.h"
#include "rank.h"
#include "table.h"
#include "tally.h"
#include "tool.h"

enum {
    USUAL = 10,
    BUFFER_BYTES = 1 << 18,
    APP_WORKERS = 4, /* whatever the threads: when a table sweeps decides */
};

/* ---- what is counted ------------------------------------------------- */

enum kind { SRC, DST, HOST, PAIR, FLOW, PORT, MAC, APP, KINDS };

static const char kind_names[] = "src|dst|host|pair|flow|port|mac|app";

#define KIND(k) (1u << (k))

enum {
    ENDS = KIND(HOST) | KIND(PORT) | KIND(MAC),
    PAIRS = KIND(PAIR) | KIND(FLOW),
    BOTH_WAYS = ENDS | PAIRS | KIND(APP),
    EVERY = KIND(KINDS) - 1,
};

enum measure { BY_BYTES, BY_PACKETS, BY_FLOWS };

/* The numbers of a row: see at_tally_plan. */
enum {
    PLACE, /* of the first packet, doubled, and one if it was the peer's */
    FIRST, /* 32.32 */
    LAST,  /* its complement */
    LEAST,
    ALL = LEAST, /* packets, wire bytes, payload bytes */
    OUT = ALL + 3,
    IN = OUT + 3,
    NUMBERS = IN + 3
};

struct worker {
    struct at_tally *tally;
    struct at_flow_names *flows; /* by application only */
    uint64_t packets, wire_bytes, captured_bytes;
    uint64_t keyless; /* packets that have no such key */
};

/* A row as it is ranked and printed; see at_rank_open(). */
struct row {
    uint64_t measure;
    struct at_ends_key key;
    uint64_t number[NUMBERS];
    uint64_t flows;
};

struct top {
    struct tool_pipeline pipeline; /* first: it is the ctx of the callbacks */
    uint64_t count;
    uint64_t memory;
    int kind;   /* enum kind */
    int by;     /* enum measure */
    int format; /* enum at_print_format */

    size_t key_bytes; /* of what is ranked */
    size_t row_bytes; /* of what is counted: with the flow, perhaps */
    unsigned workers;
    struct at_tally **tally; /* of each worker */
    struct worker sum;       /* of all workers */

    const char *rules; /* a file of the user's; NULL: there is none */
    struct at_apps *apps;
    struct at_sighting sighting;
    struct at_flow_names *flows[APP_WORKERS]; /* of each worker */
    struct row *total;                        /* of each application */

    struct row row; /* that is put together, if 'pending' */
    bool pending;
    struct at_rank *rank;
    struct at_table table;
};

/* ---- keys ------------------------------------------------------------ */

static bool mac_key(struct at_ends_key *key, const struct at_packet *pkt,
                    bool dst)
{
    if (pkt->linktype != AT_LINK_ETHERNET || pkt->cap_bytes < 12)
        return false;
    memcpy(key->addr, pkt->data + (dst ? 0 : 6), 6);
    return true;
}

/* Of the sender, or of the receiver. */
static bool end_key(struct at_ends_key *key, const struct top *top,
                    const struct at_packet *pkt, const struct at_headers *h,
                    bool dst)
{
    memset(key, 0, sizeof(*key));
    if (top->kind == MAC)
        return mac_key(key, pkt, dst);
    if (!at_ends_ip(h))
        return false;
    if (top->kind == PORT) {
        key->proto = h->proto;
        at_ends_put_port(key->port, dst ? h->dport : h->sport);
        return (h->flags & AT_DECODED_PORTS) != 0;
    }
    key->net = h->net;
    memcpy(key->addr, dst ? h->dst : h->src, at_ends_address_bytes(h->net));
    return true;
}

/* ---- counting: on any thread ----------------------------------------- */

static void add3(uint64_t *number, const struct at_packet *pkt,
                 const struct at_headers *h)
{
    number[0]++;
    number[1] += pkt->wire_bytes;
    number[2] += h->payload_bytes;
}

static void keep_least(uint64_t *least, uint64_t n)
{
    if (n < *least)
        *least = n;
}

static void add_all(uint64_t *number, const struct at_worker *w,
                    const struct at_packet *pkt, const struct at_headers *h,
                    bool in, bool once)
{
    keep_least(&number[PLACE], 2 * w->position + in);
    if (!pkt->timeless) {
        keep_least(&number[FIRST], pkt->ts);
        keep_least(&number[LAST], ~pkt->ts);
    }
    if (!once)
        add3(number + ALL, pkt, h);
    add3(number + (in ? IN : OUT), pkt, h);
}

/* Adds the packet to the row of 'key'; 'once': it has been counted there. */
static enum at_status add(struct at_worker *w, const struct at_ends_key *key,
                          const struct at_packet *pkt,
                          const struct at_headers *h, bool in, bool once,
                          struct at_error *err)
{
    const struct top *top = w->ctx;
    struct worker *mine = w->state;
    uint8_t bytes[2 * AT_ENDS_BYTES];
    uint64_t *number;

    memcpy(bytes, key, top->key_bytes);
    if (top->row_bytes > top->key_bytes) {
        struct at_ends_key flow;

        at_ends_flow(&flow, h);
        memcpy(bytes + top->key_bytes, &flow, sizeof(flow));
    }
    number = at_tally_row(mine->tally, bytes, err);
    if (number == NULL)
        return err->status;
    add_all(number, w, pkt, h, in, once);
    return AT_OK;
}

/* The key of a flow of a worker. */
struct flow_key {
    uint32_t worker, number;
};

static enum at_status count_flow(struct at_worker *w,
                                 const struct at_packet *pkt,
                                 const struct at_headers *h,
                                 struct at_error *err)
{
    const struct top *top = w->ctx;
    struct worker *mine = w->state;
    struct flow_key key = {.worker = w->number};
    struct at_sight sight;
    struct at_quote quote;
    uint64_t *number;
    bool in;

    at_sight_take(&sight, &quote, pkt, &top->sighting);
    if (at_flow_names_add(mine->flows, &sight, &key.number, &in) != AT_OK)
        return at_error_set(err, AT_ERR_MEMORY, "out of memory");
    number = at_tally_row(mine->tally, &key, err);
    if (number == NULL)
        return err->status;
    add_all(number, w, pkt, h, in, false);
    return AT_OK;
}

static enum at_status count_ends(struct at_worker *w,
                                 const struct at_packet *pkt,
                                 const struct at_headers *h,
                                 struct at_error *err)
{
    const struct top *top = w->ctx;
    struct worker *mine = w->state;
    enum at_status st = AT_OK;
    struct at_ends_key src, dst;
    bool some;

    some = top->kind != DST && end_key(&src, top, pkt, h, false);
    if (some)
        st = add(w, &src, pkt, h, false, false, err);
    if (st == AT_OK && top->kind != SRC && end_key(&dst, top, pkt, h, true)) {
        st = add(w, &dst, pkt, h, true,
                 some && memcmp(&src, &dst, sizeof(src)) == 0, err);
        some = true;
    }
    mine->keyless += !some;
    return st;
}

static enum at_status take_packet(struct at_worker *w,
                                  const struct at_packet *pkt,
                                  struct at_error *err)
{
    const struct top *top = w->ctx;
    struct worker *mine = w->state;
    struct at_headers h;
    struct at_ends_key key;
    bool swapped;

    at_decode(&h, pkt);
    mine->packets++;
    mine->wire_bytes += pkt->wire_bytes;
    mine->captured_bytes += pkt->cap_bytes;
    if ((KIND(top->kind) & (PAIRS | KIND(APP))) == 0)
        return count_ends(w, pkt, &h, err);
    if (!at_ends_ip(&h)) {
        mine->keyless++;
        return AT_OK;
    }
    if (top->kind == APP)
        return count_flow(w, pkt, &h, err);
    at_ends_make(&key, &h, top->kind == FLOW, &swapped);
    return add(w, &key, pkt, &h, swapped, false, err);
}

static enum at_status starting(struct at_worker *w, struct at_error *err)
{
    struct top *top = w->ctx;
    struct worker *mine = w->state;
    const struct at_tally_plan plan = {
        .key_bytes = top->row_bytes,
        .least = LEAST,
        .sums = NUMBERS - LEAST,
        .memory = top->memory / w->workers,
    };

    if (top->tally == NULL)
        top->tally = calloc(w->workers, sizeof(struct at_tally *));
    mine->tally = at_tally_open(&plan);
    if (top->tally == NULL || mine->tally == NULL) {
        at_tally_close(mine->tally);
        return at_error_set(err, AT_ERR_MEMORY, "out of memory");
    }
    top->workers = w->workers;
    top->tally[w->number] = mine->tally;
    if (top->kind != APP)
        return AT_OK;
    mine->flows = at_flow_names_open(top->apps, top->sighting.seed);
    top->flows[w->number] = mine->flows;
    return mine->flows != NULL
               ? AT_OK
               : at_error_set(err, AT_ERR_MEMORY, "out of memory");
}

static enum at_status stopping(struct at_worker *w, struct at_error *err)
{
    struct top *top = w->ctx;
    const struct worker *mine = w->state;

    if (mine->flows != NULL && at_flow_names_finish(mine->flows) != AT_OK)
        return at_error_set(err, AT_ERR_MEMORY, "out of memory");
    top->sum.packets += mine->packets;
    top->sum.wire_bytes += mine->wire_bytes;
    top->sum.captured_bytes += mine->captured_bytes;
    top->sum.keyless += mine->keyless;
    return AT_OK;
}

/* ---- ranking --------------------------------------------------------- */

static enum at_status end_row(struct top *top, struct at_error *err)
{
    struct row *row = &top->row;

    if (!top->pending)
        return AT_OK;
    top->pending = false;
    row->measure = top->by == BY_FLOWS     ? row->flows
                   : top->by == BY_PACKETS ? row->number[ALL]
                                           : row->number[ALL + 1];
    if (!at_rank_add(top->rank, row))
        return at_error_set(err, AT_ERR_MEMORY, "out of memory");
    return AT_OK;
}

static void join_rows(struct row *row, const uint64_t *number)
{
    row->flows++;
    for (unsigned i = 0; i < LEAST; i++)
        keep_least(&row->number[i], number[i]);
    for (unsigned i = LEAST; i < NUMBERS; i++)
        row->number[i] += number[i];
}

static void begin_row(struct row *row)
{
    memset(row, 0, sizeof(*row));
    memset(row->number, 0xff, LEAST * sizeof(row->number[0]));
}

/* Rows of one key come together. */
static enum at_status take_row(void *ctx, const void *key,
                               const uint64_t *number)
{
    struct top *top = ctx;
    struct row *row = &top->row;
    enum at_status st = AT_OK;

    if (top->pending && memcmp(&row->key, key, top->key_bytes) != 0)
        st = end_row(top, NULL);
    if (!top->pending) {
        begin_row(row);
        memcpy(&row->key, key, top->key_bytes);
        top->pending = true;
    }
    join_rows(row, number);
    return st;
}

/* Rows of flows, which may be of any application. */
static enum at_status take_flow(void *ctx, const void *key,
                                const uint64_t *number)
{
    struct top *top = ctx;
    struct flow_key flow;
    struct at_flow_name name;

    memcpy(&flow, key, sizeof(flow));
    name = at_flow_names_get(top->flows[flow.worker], flow.number);
    join_rows(&top->total[name.app], number);
    return AT_OK;
}

static enum at_status merge_flows(struct top *top, struct at_error *err)
{
    const size_t apps = at_apps_count(top->apps);
    enum at_status st;

    top->total = calloc(apps, sizeof(top->total[0]));
    if (top->total == NULL)
        return at_error_set(err, AT_ERR_MEMORY, "out of memory");
    for (size_t i = 0; i < apps; i++) {
        begin_row(&top->total[i]);
        at_ends_put_port(top->total[i].key.port, (uint16_t)i);
    }
    st = at_tally_merge(top->tally, top->workers, take_flow, top, err);
    for (size_t i = 0; i < apps && st == AT_OK; i++) {
        top->row = top->total[i];
        top->pending = top->row.flows > 0;
        st = end_row(top, err);
    }
    return st;
}

static enum at_status rank(struct top *top, struct at_error *err)
{
    enum at_status st;

    top->rank = at_rank_open(top->key_bytes, sizeof(struct row),
                             top->count < SIZE_MAX ? (size_t)top->count : 0);
    if (top->rank == NULL)
        return at_error_set(err, AT_ERR_MEMORY, "out of memory");
    st = top->kind == APP
             ? merge_flows(top, err)
             : at_tally_merge(top->tally, top->workers, take_row, top, err);
    if (st == AT_ERR_MEMORY)
        at_error_set(err, st, "out of memory");
    return st == AT_OK ? end_row(top, err) : st;
}

/* ---- printing -------------------------------------------------------- */

enum cell {
    CELL_APP,
    CELL_CATEGORY,
    CELL_ADDRESS,
    CELL_PEER,
    CELL_PROTO,
    CELL_PORT,
    CELL_PEER_PORT,
    CELL_FLOWS,
    CELL_NUMBER,
    CELL_PERCENT,
    CELL_FIRST,
    CELL_LAST,
};

static const struct {
    struct at_column column;
    enum cell cell;
    unsigned kinds; /* that have it */
    unsigned number;
} layout[] = {
    {{"app", true, 0}, CELL_APP, KIND(APP), 0},
    {{"category", true, 0}, CELL_CATEGORY, KIND(APP), 0},
    {{"proto", true, 0}, CELL_PROTO, KIND(FLOW) | KIND(PORT), 0},
    {{"src", true, 0}, CELL_ADDRESS, KIND(SRC) | PAIRS, 0},
    {{"host", true, 0}, CELL_ADDRESS, KIND(HOST), 0},
    {{"mac", true, 0}, CELL_ADDRESS, KIND(MAC), 0},
    {{"sport", false, 0}, CELL_PORT, KIND(FLOW), 0},
    {{"port", false, 0}, CELL_PORT, KIND(PORT), 0},
    {{"dst", true, 0}, CELL_ADDRESS, KIND(DST), 0},
    {{"dst", true, 0}, CELL_PEER, PAIRS, 0},
    {{"dport", false, 0}, CELL_PEER_PORT, KIND(FLOW), 0},
    {{"flows", false, 0}, CELL_FLOWS, EVERY, 0},
    {{"packets", false, 0}, CELL_NUMBER, EVERY, ALL},
    {{"wire_bytes", false, 0}, CELL_NUMBER, EVERY, ALL + 1},
    {{"percent", false, 0}, CELL_PERCENT, EVERY, 0},
    {{"payload_bytes", false, 0}, CELL_NUMBER, EVERY, ALL + 2},
    {{"packets_out", false, 0}, CELL_NUMBER, BOTH_WAYS, OUT},
    {{"packets_in", false, 0}, CELL_NUMBER, BOTH_WAYS, IN},
    {{"wire_bytes_out", false, 0}, CELL_NUMBER, BOTH_WAYS, OUT + 1},
    {{"wire_bytes_in", false, 0}, CELL_NUMBER, BOTH_WAYS, IN + 1},
    {{"payload_bytes_out", false, 0}, CELL_NUMBER, BOTH_WAYS, OUT + 2},
    {{"payload_bytes_in", false, 0}, CELL_NUMBER, BOTH_WAYS, IN + 2},
    {{"first", true, 0}, CELL_FIRST, EVERY, 0},
    {{"last", true, 0}, CELL_LAST, EVERY, 0},
};

enum { LAYOUT = sizeof(layout) / sizeof(layout[0]) };

static bool has_column(const struct top *top, size_t i)
{
    return (layout[i].kinds & KIND(top->kind)) != 0 &&
           (layout[i].cell != CELL_FLOWS || top->by == BY_FLOWS ||
            top->kind == APP) &&
           (layout[i].cell != CELL_PERCENT || top->by != BY_FLOWS);
}

/* The source of a flow is who sent its first packet. */
static void turn(struct row *row)
{
    const struct at_ends_key key = row->key;

    memcpy(row->key.addr, key.peer, sizeof(key.peer));
    memcpy(row->key.port, key.peer_port, sizeof(key.peer_port));
    memcpy(row->key.peer, key.addr, sizeof(key.addr));
    memcpy(row->key.peer_port, key.port, sizeof(key.port));
    for (unsigned i = 0; i < 3; i++) {
        const uint64_t out = row->number[OUT + i];

        row->number[OUT + i] = row->number[IN + i];
        row->number[IN + i] = out;
    }
}

static void print_address(struct top *top, const struct row *row,
                          const uint8_t *addr)
{
    char text[INET6_ADDRSTRLEN + AT_DUMP_ADDRESS];

    if (top->kind == MAC)
        at_dump_mac(text, addr);
    else
        inet_ntop(row->key.net == AT_NET_IPV6 ? AF_INET6 : AF_INET, addr, text,
                  sizeof(text));
    at_table_put(&top->table, text);
}

static void print_port(struct top *top, const struct row *row,
                       const uint8_t port[2])
{
    if (top->kind == FLOW && !row->key.ports)
        at_table_put(&top->table, "");
    else
        at_table_number(&top->table, (uint64_t)port[0] << 8 | port[1]);
}

static void print_time(struct top *top, uint64_t ts, bool known)
{
    if (known)
        at_table_time(&top->table, at_ts_to_ns(ts), top->pipeline.common.local);
    else
        at_table_put(&top->table, "");
}

static size_t app_of(const struct row *row)
{
    return (size_t)row->key.port[0] << 8 | row->key.port[1];
}

static void print_cell(struct top *top, size_t i, const struct row *row)
{
    const bool timed = row->number[FIRST] != UINT64_MAX ||
                       row->number[LAST] != UINT64_MAX;
    char text[8];

    switch (layout[i].cell) {
    case CELL_APP:
        at_table_put(&top->table, at_app_name(top->apps, app_of(row)));
        break;
    case CELL_CATEGORY:
        at_table_put(&top->table, at_app_category(top->apps, app_of(row)));
        break;
    case CELL_ADDRESS:
        print_address(top, row, row->key.addr);
        break;
    case CELL_PEER:
        print_address(top, row, row->key.peer);
        break;
    case CELL_PROTO:
        at_table_put(&top->table, at_print_proto(text, row->key.proto));
        break;
    case CELL_PORT:
        print_port(top, row, row->key.port);
        break;
    case CELL_PEER_PORT:
        print_port(top, row, row->key.peer_port);
        break;
    case CELL_FLOWS:
        at_table_number(&top->table, row->flows);
        break;
    case CELL_NUMBER:
        at_table_number(&top->table, row->number[layout[i].number]);
        break;
    case CELL_PERCENT:
        at_table_percent(&top->table, row->measure,
                         top->by == BY_PACKETS ? top->sum.packets
                                               : top->sum.wire_bytes);
        break;
    case CELL_FIRST:
        print_time(top, row->number[FIRST], timed);
        break;
    case CELL_LAST:
        print_time(top, ~row->number[LAST], timed);
        break;
    }
}

static bool print(struct top *top)
{
    struct at_column column[LAYOUT];
    const struct row *rows;
    size_t n;

    top->table.column = column;
    for (size_t i = 0; i < LAYOUT; i++)
        if (has_column(top, i))
            column[top->table.columns++] = layout[i].column;
    rows = at_rank_rows(top->rank, &n);
    for (size_t k = 0; k < n && !ferror(stdout); k++) {
        struct row row = rows[k];

        if ((KIND(top->kind) & PAIRS) != 0 && (row.number[PLACE] & 1) != 0)
            turn(&row);
        for (size_t i = 0; i < LAYOUT; i++)
            if (has_column(top, i))
                print_cell(top, i, &row);
    }
    return at_table_close(&top->table);
}

/* ---- the tool -------------------------------------------------------- */

static void say_rest(struct top *top)
{
    struct tool_summary *sum = &top->pipeline.summary;
    const uint64_t all = at_rank_added(top->rank);
    static const char *const what[KINDS] = {"source", "destination", "host",
                                            "pair",   "flow",        "port",
                                            "MAC",    "application"};

    sum->packets = top->sum.packets;
    sum->bytes = top->sum.captured_bytes;
    tool_summary_count(sum, all, what[top->kind], "");
    tool_summary_count(sum, top->sum.keyless, "packet", " with none");
    tool_summary_print(sum);
}

static int run(struct top *top)
{
    struct at_pipeline_options opts = {
        .share = AT_SHARE_FLOWS,
        .state_bytes = sizeof(struct worker),
        .starting = starting,
        .packet = take_packet,
        .stopping = stopping,
    };
    struct at_error err;
    int status;

    if (top->kind == APP)
        opts.workers = APP_WORKERS;
    setvbuf(stdout, NULL, _IOFBF, BUFFER_BYTES);
    top->table.out = stdout;
    top->table.format = top->pipeline.common.json
                            ? AT_PRINT_JSON
                            : (enum at_print_format)top->format;
    status = tool_pipeline_run(&top->pipeline, &opts);
    if (status != TOOL_OK)
        return status;
    if (rank(top, &err) != AT_OK)
        return tool_error(&err);
    if (!print(top)) {
        tool_warn("out of memory");
        return TOOL_FAIL;
    }
    say_rest(top);
    return tool_pipeline_status(&top->pipeline);
}

static int open_apps(struct top *top)
{
    struct at_error err;

    top->sighting.seed = at_flow_key_seed();
    if (top->rules != NULL && top->kind != APP)
        tool_usage_error("--rules is for -k app");
    return top->kind != APP ||
                   at_apps_open(&top->apps, top->rules, &err) == AT_OK
               ? TOOL_OK
               : tool_error(&err);
}

static void set_keys(struct top *top)
{
    top->key_bytes = (KIND(top->kind) & PAIRS) != 0 ? AT_ENDS_BYTES
                                                    : AT_END_BYTES;
    top->row_bytes = top->key_bytes;
    if (top->kind == APP)
        top->row_bytes = sizeof(struct flow_key);
    else if (top->by == BY_FLOWS && top->kind != FLOW)
        top->row_bytes += AT_ENDS_BYTES;
}

static void close_top(struct top *top)
{
    tool_pipeline_close(&top->pipeline);
    for (unsigned i = 0; top->tally != NULL && i < top->workers; i++)
        at_tally_close(top->tally[i]);
    free(top->tally);
    for (unsigned i = 0; i < APP_WORKERS; i++)
        at_flow_names_close(top->flows[i]);
    free(top->total);
    at_apps_close(top->apps);
    at_rank_close(top->rank);
}

int main(int argc, char *argv[])
{
    struct top top = {
        .count = USUAL,
        .memory = UINT64_C(1) << 30,
        .kind = HOST,
    };
    const struct tool_option options[] = {
        TOOL_CHOICE('k', "key", &top.kind, kind_names, "what is counted"),
        TOOL_COUNT('n', "count", &top.count, "COUNT",
                   "print that many, 0 for all"),
        TOOL_CHOICE(0, "by", &top.by, "bytes|packets|flows",
                    "what the most are the most of"),
        TOOL_COUNTING_OPTIONS(&top.format, &top.memory),
        TOOL_TEXT(0, "rules", &top.rules, "FILE",
                  "rules of applications that come before the built-in ones"),
        TOOL_PIPELINE_OPTIONS(&top.pipeline, TOOL_NO_LIMIT),
        TOOL_END,
    };
    const int i = tool_parse(argc, argv,
                             "[selection] [-k key] [-n count] "
                             "[--by bytes|packets|flows] "
                             "[--format table|csv|json] [--rules file] "
                             "input ...",
                             options);
    int status;

    set_keys(&top);
    status = open_apps(&top);
    if (status == TOOL_OK)
        status = tool_pipeline_set(&top.pipeline, argv + i, (size_t)(argc - i));
    if (status == TOOL_OK)
        status = run(&top);
    close_top(&top);
    return tool_finish(status);
}
