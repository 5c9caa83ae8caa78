/*
 * at-report - what traces are made of: protocols, ports, lengths, flags, errors
 *
 * Each worker makes a report of the packets it gets; flows are shared among
 * them by their addresses, so that none is counted by two.  In the end the
 * reports are added up, and of each section the rows with the most packets
 * printed.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ends.h"
#include "rank.h"
#include "report.h"
#include "table.h"
#include "tool.h"

enum {
    USUAL = 20,
    NODES_MOST = 100000, /* of the tree of protocols */
    BUFFER_BYTES = 1 << 18,
};

/* Of the tree of protocols, in the order they are printed. */
struct node {
    unsigned depth;
    uint32_t layer[AT_REPORT_PATH]; /* up to its own, layer[depth] */
    struct at_count count;
};

/* A row as it is ranked: see at_rank_open(). */
struct row {
    uint64_t measure;
    uint8_t key[AT_REPORT_SYN_BYTES]; /* a number, or the options of a SYN */
    struct at_count count;
};

struct report {
    struct tool_pipeline pipeline; /* first: it is the ctx of the callbacks */
    unsigned wanted;
    uint64_t count; /* rows of a section; 0: all */
    uint64_t memory;
    int format; /* enum at_print_format */

    struct at_report sum;
    struct at_report *part; /* of each worker, when it has stopped */
    unsigned parts;

    struct node *node;
    size_t nodes;
    size_t above[AT_REPORT_PATH]; /* nodes on the way to the last one */
    size_t way;                   /* how many */
    struct at_count flows[256];   /* by protocol */
    struct at_rank *rank;
    struct at_table table;
};

/* ---- counting -------------------------------------------------------- */

static enum at_status starting(struct at_worker *w, struct at_error *err)
{
    struct report *rep = w->ctx;

    if (rep->part == NULL)
        rep->part = calloc(w->workers, sizeof(rep->part[0]));
    if (rep->part == NULL)
        return at_error_set(err, AT_ERR_MEMORY, "out of memory");
    rep->parts = w->workers;
    return at_report_open(w->state, rep->wanted, rep->memory / w->workers, err);
}

static enum at_status take_packet(struct at_worker *w,
                                  const struct at_packet *pkt,
                                  struct at_error *err)
{
    return at_report_packet(w->state, pkt, err);
}

static enum at_status stopping(struct at_worker *w, struct at_error *err)
{
    struct report *rep = w->ctx;

    (void)err;
    if (rep->part != NULL) /* else it has not started either */
        rep->part[w->number] = *(struct at_report *)w->state;
    return AT_OK;
}

/* ---- rows ------------------------------------------------------------ */

static uint64_t all_packets(const struct report *rep)
{
    return rep->sum.count[AT_REPORT_TOTAL][0].packets;
}

static void print_row(struct report *rep, enum at_section section,
                      const char *text, const struct at_count *c)
{
    struct at_table *t = &rep->table;
    const bool more = section == AT_REPORT_FLOWS || section == AT_REPORT_LOSSES;

    if (t->format != AT_PRINT_TABLE)
        at_table_put(t, at_report_name(section));
    at_table_put(t, text);
    at_table_number(t, c->packets);
    at_table_percent(t, c->packets, all_packets(rep));
    at_table_number(t, c->wire_bytes);
    if (more)
        at_table_number(t, c->more);
    else if (t->format != AT_PRINT_TABLE)
        at_table_put(t, "");
}

static enum at_status add_row(struct report *rep, const uint8_t *key,
                              const struct at_count *c)
{
    struct row row;

    memset(&row, 0, sizeof(row));
    row.measure = c->packets;
    memcpy(row.key, key, sizeof(row.key));
    row.count = *c;
    return at_rank_add(rep->rank, &row) ? AT_OK : AT_ERR_MEMORY;
}

static enum at_status add_value(struct report *rep, uint64_t value,
                                const struct at_count *c)
{
    uint8_t key[AT_REPORT_SYN_BYTES] = {0};

    for (int i = 0; i < 8; i++)
        key[i] = (uint8_t)(value >> (56 - 8 * i));
    return add_row(rep, key, c);
}

static void add_count(struct at_count *sum, const struct at_count *c)
{
    sum->packets += c->packets;
    sum->wire_bytes += c->wire_bytes;
    sum->more += c->more;
}

static void print_ranked(struct report *rep, enum at_section section,
                         const struct row *row)
{
    char text[AT_REPORT_TEXT];
    uint64_t value = 0;

    for (int i = 0; i < 8; i++)
        value = value << 8 | row->key[i];
    print_row(rep, section,
              section == AT_REPORT_SYN_OPTIONS
                  ? at_report_syn(text, row->key)
                  : at_report_value(text, section, (size_t)value),
              &row->count);
}

/* What has no row of its own is in one for all others. */
static void print_rank(struct report *rep, enum at_section section,
                       const struct at_count *all)
{
    struct at_count others = *all;
    char text[AT_REPORT_TEXT];
    const struct row *row;
    uint64_t left;
    size_t n;

    row = at_rank_rows(rep->rank, &n);
    for (size_t i = 0; i < n; i++) {
        print_ranked(rep, section, &row[i]);
        others.packets -= row[i].count.packets;
        others.wire_bytes -= row[i].count.wire_bytes;
        others.more -= row[i].count.more;
    }
    left = at_rank_added(rep->rank) - n;
    snprintf(text, sizeof(text), "%llu other%s", (unsigned long long)left,
             left == 1 ? "" : "s");
    if (left > 0)
        print_row(rep, section, text, &others);
}

/* ---- sections of small numbers --------------------------------------- */

static enum at_status report_values(struct report *rep, enum at_section section,
                                    const struct at_count *count, size_t n)
{
    struct at_count all = {.packets = 0};
    enum at_status st = AT_OK;

    for (size_t i = 0; i < n && st == AT_OK; i++) {
        if (count[i].packets == 0)
            continue;
        add_count(&all, &count[i]);
        st = add_value(rep, i, &count[i]);
    }
    if (st == AT_OK)
        print_rank(rep, section, &all);
    return st;
}

/* The span of time as ISO 8601 writes it. */
static void report_total(struct report *rep)
{
    char text[2 * AT_TIME_TEXT + 1] = "all";
    const bool local = rep->pipeline.common.local &&
                       rep->table.format == AT_PRINT_TABLE;
    size_t n;

    if (rep->sum.first <= rep->sum.last) {
        n = at_time_format(text, at_ts_to_ns(rep->sum.first), local);
        text[n++] = '/';
        at_time_format(text + n, at_ts_to_ns(rep->sum.last), local);
    }
    print_row(rep, AT_REPORT_TOTAL, text, rep->sum.count[AT_REPORT_TOTAL]);
}

/* ---- sections with tallies ------------------------------------------- */

static enum at_status merge(struct report *rep, enum at_section section,
                            enum at_status (*fn)(void *ctx, const void *key,
                                                 const uint64_t *number),
                            struct at_error *err)
{
    struct at_tally **tally = calloc(rep->parts + (size_t)1,
                                     sizeof(struct at_tally *));
    enum at_status st;

    if (tally == NULL)
        return at_error_set(err, AT_ERR_MEMORY, "out of memory");
    for (unsigned i = 0; i < rep->parts; i++)
        tally[i] = rep->part[i].tally[section];
    st = at_tally_merge(tally, rep->parts, fn, rep, err);
    if (st == AT_ERR_MEMORY)
        at_error_set(err, st, "out of memory");
    free(tally);
    return st;
}

static enum at_status take_flow(void *ctx, const void *key,
                                const uint64_t *number)
{
    struct report *rep = ctx;
    const struct at_ends_key *flow = key;

    add_count(&rep->flows[flow->proto], &(struct at_count){
                                            .packets = number[0],
                                            .wire_bytes = number[1],
                                            .more = 1,
                                        });
    return AT_OK;
}

static enum at_status take_syn(void *ctx, const void *key,
                               const uint64_t *number)
{
    struct report *rep = ctx;
    const struct at_count c = {number[0], number[1], 0};

    add_count(&rep->flows[0], &c);
    return add_row(rep, key, &c);
}

static enum at_status report_syns(struct report *rep, struct at_error *err)
{
    enum at_status st;

    memset(rep->flows, 0, sizeof(rep->flows));
    st = merge(rep, AT_REPORT_SYN_OPTIONS, take_syn, err);
    if (st == AT_OK)
        print_rank(rep, AT_REPORT_SYN_OPTIONS, &rep->flows[0]);
    return st;
}

static enum at_status report_flows(struct report *rep, struct at_error *err)
{
    enum at_status st;

    memset(rep->flows, 0, sizeof(rep->flows));
    st = merge(rep, AT_REPORT_FLOWS, take_flow, err);
    return st == AT_OK ? report_values(rep, AT_REPORT_FLOWS, rep->flows, 256)
                       : st;
}

/* ---- the tree of protocols ------------------------------------------- */

static uint32_t layer_at(const uint8_t *path, size_t i)
{
    const uint8_t *p = path + 4 * i;

    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 |
           p[3];
}

static void push_node(struct report *rep, uint32_t layer)
{
    struct node *node = &rep->node[rep->nodes];
    const size_t depth = rep->way;

    *node = (struct node){.depth = (unsigned)depth};
    if (depth > 0)
        memcpy(node->layer, rep->node[rep->above[depth - 1]].layer,
               sizeof(node->layer));
    node->layer[depth] = layer;
    rep->above[rep->way++] = rep->nodes++;
}

/*
 * Paths come in order, so that those below a node come after one another.  A
 * hostile trace may have more than anyone reads; what finds no node is
 * counted in those above it.
 */
static enum at_status take_path(void *ctx, const void *path,
                                const uint64_t *number)
{
    struct report *rep = ctx;
    size_t same = 0, i;

    while (same < rep->way &&
           rep->node[rep->above[same]].layer[same] == layer_at(path, same))
        same++;
    rep->way = same;
    for (i = same; i < AT_REPORT_PATH && layer_at(path, i) != 0 &&
                   rep->nodes < NODES_MOST;
         i++)
        push_node(rep, layer_at(path, i));
    for (i = 0; i < rep->way; i++)
        add_count(&rep->node[rep->above[i]].count,
                  &(struct at_count){number[0], number[1], 0});
    return AT_OK;
}

/* In the table further to the right, else with all that is above it. */
static void print_node(struct report *rep, const struct node *node)
{
    const bool table = rep->table.format == AT_PRINT_TABLE;
    char text[AT_REPORT_PATH * AT_REPORT_TEXT] = "", part[AT_REPORT_TEXT];
    size_t n = 0;

    for (unsigned i = table ? node->depth : 0; i <= node->depth; i++) {
        at_report_layer(part, node->layer[i]);
        n += (size_t)snprintf(text + n, sizeof(text) - n, "%*s%s%s",
                              table ? 2 * (int)node->depth : 0, "",
                              n > 0 ? ":" : "", part);
    }
    print_row(rep, AT_REPORT_PROTOCOLS, text, &node->count);
}

static enum at_status report_protocols(struct report *rep, struct at_error *err)
{
    enum at_status st;

    rep->node = calloc(NODES_MOST, sizeof(rep->node[0]));
    if (rep->node == NULL)
        return at_error_set(err, AT_ERR_MEMORY, "out of memory");
    st = merge(rep, AT_REPORT_PROTOCOLS, take_path, err);
    for (size_t i = 0; i < rep->nodes && st == AT_OK; i++)
        print_node(rep, &rep->node[i]);
    return st;
}

/* ---- all sections ---------------------------------------------------- */

static const struct at_column all_columns[] = {
    {"section", true, 0},  {"value", true, 0},       {"packets", false, 0},
    {"percent", false, 0}, {"wire_bytes", false, 0}, {"count", false, 0},
};

/* In the table each section is one by itself, under its name. */
static void begin_section(struct report *rep, enum at_section section,
                          struct at_column column[5], bool first)
{
    struct at_table *t = &rep->table;

    if (t->format != AT_PRINT_TABLE)
        return;
    if (!first)
        putc('\n', stdout);
    memcpy(column, all_columns + 1, 5 * sizeof(column[0]));
    column[0].name = at_report_name(section);
    column[4].name = section == AT_REPORT_FLOWS ? "flows" : "lost";
    t->column = column;
    t->columns = section == AT_REPORT_FLOWS || section == AT_REPORT_LOSSES ? 5
                                                                           : 4;
    t->begun = false;
}

static enum at_status report_section(struct report *rep,
                                     enum at_section section,
                                     struct at_error *err)
{
    enum at_status st;

    rep->rank = at_rank_open(sizeof(((struct row *)0)->key), sizeof(struct row),
                             rep->count < SIZE_MAX ? (size_t)rep->count : 0);
    if (rep->rank == NULL)
        return at_error_set(err, AT_ERR_MEMORY, "out of memory");
    switch (section) {
    case AT_REPORT_TOTAL:
        report_total(rep);
        st = AT_OK;
        break;
    case AT_REPORT_PROTOCOLS:
        st = report_protocols(rep, err);
        break;
    case AT_REPORT_SYN_OPTIONS:
        st = report_syns(rep, err);
        break;
    case AT_REPORT_FLOWS:
        st = report_flows(rep, err);
        break;
    default:
        st = report_values(rep, section, rep->sum.count[section],
                           at_report_values(section));
        if (st != AT_OK)
            at_error_set(err, st, "out of memory");
    }
    at_rank_close(rep->rank);
    return st;
}

static enum at_status report_all(struct report *rep, unsigned shown,
                                 struct at_error *err)
{
    struct at_column column[5];
    enum at_status st = AT_OK;
    bool first = true;

    for (unsigned i = 0; i < AT_REPORT_SECTIONS && st == AT_OK; i++) {
        if ((shown >> i & 1) == 0)
            continue;
        begin_section(rep, (enum at_section)i, column, first);
        first = false;
        st = report_section(rep, (enum at_section)i, err);
        at_table_flush(&rep->table);
    }
    if (!at_table_close(&rep->table) && st == AT_OK)
        st = at_error_set(err, AT_ERR_MEMORY, "out of memory");
    return st;
}

/* ---- the tool -------------------------------------------------------- */

static enum at_status add_up(struct report *rep, struct at_error *err)
{
    enum at_status st = at_report_open(&rep->sum, rep->wanted, 0, err);

    for (unsigned i = 0; i < rep->parts && st == AT_OK; i++)
        at_report_join(&rep->sum, &rep->part[i]);
    return st;
}

static int run(struct report *rep, unsigned shown)
{
    struct at_pipeline_options opts = {
        .share = AT_SHARE_FLOWS,
        .state_bytes = sizeof(struct at_report),
        .starting = starting,
        .packet = take_packet,
        .stopping = stopping,
    };
    struct at_error err;
    int status;

    setvbuf(stdout, NULL, _IOFBF, BUFFER_BYTES);
    rep->table = (struct at_table){
        .out = stdout,
        .format = rep->pipeline.common.json ? AT_PRINT_JSON
                                            : (enum at_print_format)rep->format,
        .column = all_columns,
        .columns = sizeof(all_columns) / sizeof(all_columns[0]),
    };
    status = tool_pipeline_run(&rep->pipeline, &opts);
    if (status != TOOL_OK)
        return status;
    if (add_up(rep, &err) != AT_OK || report_all(rep, shown, &err) != AT_OK)
        return tool_error(&err);
    rep->pipeline.summary.packets = all_packets(rep);
    rep->pipeline.summary.bytes = rep->sum.captured_bytes;
    tool_summary_print(&rep->pipeline.summary);
    return tool_pipeline_status(&rep->pipeline);
}

static void choose_sections(void *ctx, const char *list)
{
    unsigned *wanted = ctx;
    char names[512] = "";

    for (const char *at = list;; at++) {
        const size_t n = strcspn(at, ",");
        const enum at_section section = at_report_section(at, n);

        for (unsigned i = 0; section == AT_REPORT_SECTIONS && i < section; i++)
            snprintf(names + strlen(names), sizeof(names) - strlen(names),
                     "%s%s", i > 0 ? ", " : "",
                     at_report_name((enum at_section)i));
        if (section == AT_REPORT_SECTIONS)
            tool_usage_error("no section is called '%.*s'; there are %s",
                             (int)n, at, names);
        *wanted |= 1u << section;
        at += n;
        if (*at == 0)
            return;
    }
}

static void close_report(struct report *rep)
{
    tool_pipeline_close(&rep->pipeline);
    for (unsigned i = 0; rep->part != NULL && i < rep->parts; i++)
        at_report_close(&rep->part[i]);
    at_report_close(&rep->sum);
    free(rep->part);
    free(rep->node);
}

int main(int argc, char *argv[])
{
    struct report rep = {.count = USUAL, .memory = UINT64_C(1) << 30};
    unsigned shown = 0;
    const struct tool_option options[] = {
        TOOL_CALL(0, "section", choose_sections, &shown, "LIST",
                  "only these, as in ports,ttl; may be given again"),
        TOOL_COUNT('n', "count", &rep.count, "COUNT",
                   "rows of a section, 0 for all; the others are one row"),
        TOOL_COUNTING_OPTIONS(&rep.format, &rep.memory),
        TOOL_PIPELINE_OPTIONS(&rep.pipeline, TOOL_NO_LIMIT),
        TOOL_END,
    };
    const int i = tool_parse(argc, argv,
                             "[selection] [--section list] [-n count] "
                             "[--format table|csv|json] input ...",
                             options);
    int status;

    if (shown == 0)
        shown = (1u << AT_REPORT_SECTIONS) - 1;
    rep.wanted = shown | 1u << AT_REPORT_TOTAL;
    status = tool_pipeline_set(&rep.pipeline, argv + i, (size_t)(argc - i));
    if (status == TOOL_OK)
        status = run(&rep, shown);
    close_report(&rep);
    return tool_finish(status);
}
