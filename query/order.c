/*
 * order.c - flows in the order of a column
 *
 * Each flow gets a number or a text once, and these are sorted.
 */
#include "order.h"

#include <stdlib.h>
#include <string.h>

#include "errors.h"

/* What a flow is sorted by: bytes that memcmp() orders. */
struct rank {
    uint8_t b[17];
    size_t number; /* as it was */
};

enum by {
    BY_START,
    BY_END,
    BY_DURATION,
    BY_PROTO,
    BY_SRC,
    BY_SPORT,
    BY_DST,
    BY_DPORT,
    BY_PACKETS,
    BY_PACKETS_OUT,
    BY_PACKETS_IN,
    BY_BYTES,
    BY_BYTES_OUT,
    BY_BYTES_IN,
    BY_RATE,
    BY_RTT,
    BY_RETRANSMITS,
    BY_VLAN,
    BY_STATE,
    BY_APP,
    BY_STREAM,
};

struct column {
    const char *name;
    enum by by;
    bool largest; /* first */
};

static const struct column columns[] = {
    {"start", BY_START, false},
    {"end", BY_END, false},
    {"duration", BY_DURATION, true},
    {"proto", BY_PROTO, false},
    {"src", BY_SRC, false},
    {"sport", BY_SPORT, false},
    {"dst", BY_DST, false},
    {"dport", BY_DPORT, false},
    {"packets", BY_PACKETS, true},
    {"packets_out", BY_PACKETS_OUT, true},
    {"packets_in", BY_PACKETS_IN, true},
    {"bytes", BY_BYTES, true},
    {"bytes_out", BY_BYTES_OUT, true},
    {"bytes_in", BY_BYTES_IN, true},
    {"rate", BY_RATE, true},
    {"rtt", BY_RTT, true},
    {"retransmits", BY_RETRANSMITS, true},
    {"vlan", BY_VLAN, false},
    {"state", BY_STATE, false},
    {"app", BY_APP, false},
    {"stream", BY_STREAM, false},
};

enum at_status at_order_parse(struct at_order *order, const char *text,
                              struct at_error *err)
{
    const size_t n = strcspn(text, ":");
    const char *way = text + n;

    for (size_t i = 0; i < sizeof(columns) / sizeof(columns[0]); i++) {
        if (strlen(columns[i].name) != n ||
            memcmp(columns[i].name, text, n) != 0)
            continue;
        *order = (struct at_order){(int)columns[i].by, columns[i].largest};
        if (strcmp(way, ":asc") == 0)
            order->descending = false;
        else if (strcmp(way, ":desc") == 0)
            order->descending = true;
        else if (*way != '\0')
            return at_error_set(err, AT_ERR_SYNTAX,
                                "'%s': the order is asc or desc", text);
        return AT_OK;
    }
    return at_error_set(err, AT_ERR_SYNTAX, "flows cannot be sorted by '%.*s'",
                        (int)n, text);
}

/* ---- ranks ----------------------------------------------------------- */

static void put_number(struct rank *r, uint64_t v)
{
    for (int i = 0; i < 8; i++)
        r->b[i] = (uint8_t)(v >> (56 - 8 * i));
}

static void put_time(struct rank *r, int64_t ns)
{
    put_number(r, (uint64_t)ns ^ UINT64_C(1) << 63);
}

static void put_address(struct rank *r, const struct at_flow_row *row,
                        const uint8_t *addr)
{
    r->b[0] = row->net;
    memcpy(r->b + 1, addr, row->net == AT_NET_IPV6 ? 16 : 4);
}

static void put_text(struct rank *r, const char *text)
{
    if (text != NULL)
        memcpy(r->b, text, strnlen(text, sizeof(r->b)));
}

static uint64_t rate_of(const struct at_flow_row *row)
{
    const double ns = (double)(row->end_ns - row->start_ns);
    const double bits = 8e9 * (double)(row->bytes[0] + row->bytes[1]);

    return ns > 0 ? (uint64_t)(bits / ns) : 0;
}

static uint64_t number_of(enum by by, const struct at_flow_row *row)
{
    switch (by) {
    case BY_DURATION:
        return (uint64_t)(row->end_ns - row->start_ns);
    case BY_PROTO:
        return row->proto;
    case BY_SPORT:
        return row->sport;
    case BY_DPORT:
        return row->dport;
    case BY_PACKETS:
        return row->packets[0] + row->packets[1];
    case BY_PACKETS_OUT:
        return row->packets[0];
    case BY_PACKETS_IN:
        return row->packets[1];
    case BY_BYTES:
        return row->bytes[0] + row->bytes[1];
    case BY_BYTES_OUT:
        return row->bytes[0];
    case BY_BYTES_IN:
        return row->bytes[1];
    case BY_RATE:
        return rate_of(row);
    case BY_RTT:
        return (uint64_t)(row->rtt_us + 1);
    case BY_RETRANSMITS:
        return (uint64_t)row->retransmitted[0] + row->retransmitted[1];
    default:
        return row->vlan;
    }
}

static void rank(struct rank *r, enum by by, const struct at_found *f,
                 const struct at_targets *t)
{
    const struct at_flow_row *row = &f->row;

    switch (by) {
    case BY_START:
        put_time(r, row->start_ns);
        break;
    case BY_END:
        put_time(r, row->end_ns);
        break;
    case BY_SRC:
        put_address(r, row, row->src);
        break;
    case BY_DST:
        put_address(r, row, row->dst);
        break;
    case BY_STATE:
        put_text(r, at_flow_state_name((enum at_flow_state)row->state));
        break;
    case BY_APP:
        put_text(r, row->app);
        break;
    case BY_STREAM:
        put_text(r, t->target[f->target].stream);
        break;
    default:
        put_number(r, number_of(by, row));
    }
}

static int by_number(const struct rank *x, const struct rank *y)
{
    return x->number < y->number ? -1 : x->number > y->number;
}

static int ascending(const void *a, const void *b)
{
    const struct rank *x = a, *y = b;
    const int order = memcmp(x->b, y->b, sizeof(x->b));

    return order != 0 ? order : by_number(x, y);
}

static int descending(const void *a, const void *b)
{
    const struct rank *x = a, *y = b;
    const int order = memcmp(y->b, x->b, sizeof(x->b));

    return order != 0 ? order : by_number(x, y);
}

enum at_status at_order_finds(const struct at_order *order,
                              struct at_finds *finds,
                              const struct at_targets *t)
{
    struct rank *r = calloc(finds->n + 1, sizeof(*r));
    struct at_found **before = malloc((finds->n + 1) *
                                      sizeof(struct at_found *));

    if (r == NULL || before == NULL) {
        free(r);
        free(before);
        return AT_ERR_MEMORY;
    }
    for (size_t i = 0; i < finds->n; i++) {
        before[i] = finds->found[i];
        r[i].number = i;
        rank(&r[i], (enum by)order->column, before[i], t);
    }
    qsort(r, finds->n, sizeof(*r), order->descending ? descending : ascending);
    for (size_t i = 0; i < finds->n; i++)
        finds->found[i] = before[r[i].number];
    free(r);
    free(before);
    return AT_OK;
}
