/*
 * unknown.c - what no rule knows, so that a person can write the next one
 */
#include "unknown.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "app.h"
#include "json.h"

enum { TCP = 6, UDP = 17, EPHEMERAL = 32768, RULE_TEXT = 160 };

/* What one end of the flows of a group has begun with. */
struct common {
    uint8_t bytes;             /* that all of them have */
    uint8_t ones[4], zeros[4]; /* bits that are set, or not, in all */
    uint16_t least, most;      /* lengths */
    bool silent;               /* none has sent anything */
};

struct group {
    const struct at_flow_row *row; /* one of them */
    uint64_t flows, packets, bytes;
    struct common end[2];
};

/* ---- groups ---------------------------------------------------------- */

static bool is_unknown(const struct at_flow_row *row)
{
    return (row->proto == TCP || row->proto == UDP) && row->app != NULL &&
           row->confidence == AT_APP_NONE &&
           (row->captured[0] > 0 || row->captured[1] > 0);
}

/* That of the server, most likely. */
static uint16_t port_of(const struct at_flow_row *row)
{
    return row->dport >= EPHEMERAL && row->sport < EPHEMERAL ? row->sport
                                                             : row->dport;
}

/* 256 if there is none. */
static int first_of(const struct at_flow_row *row, int end)
{
    return row->captured[end] > 0 ? row->first[end][0] : 256;
}

static int by_group(const void *a, const void *b)
{
    const struct at_flow_row *x = *(const struct at_flow_row *const *)a;
    const struct at_flow_row *y = *(const struct at_flow_row *const *)b;

    if (x->proto != y->proto)
        return x->proto < y->proto ? -1 : 1;
    if (port_of(x) != port_of(y))
        return port_of(x) < port_of(y) ? -1 : 1;
    if (first_of(x, 0) != first_of(y, 0))
        return first_of(x, 0) - first_of(y, 0);
    return first_of(x, 1) - first_of(y, 1);
}

static int by_bytes(const void *a, const void *b)
{
    const struct group *x = a, *y = b;

    if (x->bytes != y->bytes)
        return x->bytes > y->bytes ? -1 : 1;
    return by_group(&x->row, &y->row);
}

static void add_end(struct common *c, const struct at_flow_row *row, int end)
{
    if (row->captured[end] < c->bytes)
        c->bytes = row->captured[end];
    for (int i = 0; i < 4; i++) {
        c->ones[i] &= row->first[end][i];
        c->zeros[i] &= (uint8_t)~row->first[end][i];
    }
    c->silent &= row->payload[end] == 0;
    if (row->first_len[end] < c->least)
        c->least = row->first_len[end];
    if (row->first_len[end] > c->most)
        c->most = row->first_len[end];
}

static void add_flow(struct group *g, const struct at_flow_row *row)
{
    g->flows++;
    g->packets += row->packets[0] + row->packets[1];
    g->bytes += row->bytes[0] + row->bytes[1];
    add_end(&g->end[0], row, 0);
    add_end(&g->end[1], row, 1);
}

static struct group begin_group(const struct at_flow_row *row)
{
    struct group g = {.row = row};

    for (int i = 0; i < 2; i++) {
        g.end[i] = (struct common){.bytes = 4, .least = 65535, .silent = true};
        memset(g.end[i].ones, 0xff, 4);
        memset(g.end[i].zeros, 0xff, 4);
    }
    return g;
}

/* Rows in the order of by_group() become groups. */
static size_t make_groups(struct group *group,
                          const struct at_flow_row *const *row, size_t rows)
{
    size_t n = 0;

    for (size_t i = 0; i < rows; i++) {
        if (n == 0 || by_group(&group[n - 1].row, &row[i]) != 0)
            group[n++] = begin_group(row[i]);
        add_flow(&group[n - 1], row[i]);
    }
    return n;
}

/* ---- text ------------------------------------------------------------ */

static size_t put_byte(char *p, size_t room, const struct common *c, int i)
{
    const uint8_t mask = c->ones[i] | c->zeros[i];

    if (mask == 0)
        return (size_t)snprintf(p, room, "* ");
    if (mask == 0xff)
        return (size_t)snprintf(p, room, "%02x ", c->ones[i]);
    return (size_t)snprintf(p, room, "%02x/%02x ", c->ones[i], mask);
}

/* One side of a rule. */
static size_t put_side(char *p, size_t room, const struct common *c)
{
    size_t n = 0;

    if (c->silent)
        return (size_t)snprintf(p, room, "-");
    if (c->most == 0)
        return (size_t)snprintf(p, room, "any");
    for (int i = 0; i < c->bytes; i++)
        n += put_byte(p + n, room - n, c, i);
    if (c->least == c->most)
        return n + (size_t)snprintf(p + n, room - n, "L=%u", c->most);
    return n + (size_t)snprintf(p + n, room - n, "L=%u-%u", c->least, c->most);
}

static void make_rule(char text[RULE_TEXT], const struct group *g)
{
    size_t n = (size_t)snprintf(text, RULE_TEXT, "%s @%u ",
                                g->row->proto == TCP ? "tcp" : "udp",
                                port_of(g->row));

    n += put_side(text + n, RULE_TEXT - n, &g->end[0]);
    n += (size_t)snprintf(text + n, RULE_TEXT - n, " <> ");
    put_side(text + n, RULE_TEXT - n, &g->end[1]);
}

static void print_group(FILE *out, enum at_print_format format,
                        const struct group *g)
{
    char rule[RULE_TEXT];

    make_rule(rule, g);
    if (format == AT_PRINT_JSON) {
        fprintf(out,
                "{\"flows\":%" PRIu64 ",\"packets\":%" PRIu64
                ",\"bytes\":%" PRIu64 ",\"rule\":",
                g->flows, g->packets, g->bytes);
        at_json_text(out, rule);
        fputs("}\n", out);
    } else {
        fprintf(out,
                format == AT_PRINT_CSV
                    ? "%" PRIu64 ",%" PRIu64 ",%" PRIu64 ",%s\n"
                    : "%8" PRIu64 " %10" PRIu64 " %13" PRIu64 " %s\n",
                g->flows, g->packets, g->bytes, rule);
    }
}

static void print_head(FILE *out, enum at_print_format format)
{
    if (format == AT_PRINT_CSV)
        fputs("flows,packets,bytes,rule\n", out);
    else if (format == AT_PRINT_TABLE)
        fprintf(out, "%8s %10s %13s %s\n", "flows", "packets", "bytes", "rule");
}

enum at_status at_unknown_print(FILE *out, enum at_print_format format,
                                const struct at_finds *finds)
{
    const struct at_flow_row **row = calloc(finds->n + 1, sizeof(void *));
    struct group *group = calloc(finds->n + 1, sizeof(*group));
    const bool good = row != NULL && group != NULL;
    size_t rows = 0, n = 0;

    for (size_t i = 0; i < finds->n && good; i++)
        if (is_unknown(&finds->found[i]->row))
            row[rows++] = &finds->found[i]->row;
    if (rows > 0) {
        qsort(row, rows, sizeof(void *), by_group);
        n = make_groups(group, row, rows);
        qsort(group, n, sizeof(*group), by_bytes);
    }
    if (good)
        print_head(out, format);
    for (size_t i = 0; i < n; i++)
        print_group(out, format, &group[i]);
    free(row);
    free(group);
    return good ? AT_OK : AT_ERR_MEMORY;
}
