/*
 * totals.c - the answers --top and --series
 *
 * A packet of a series counts in the interval that it lies in; intervals are
 * multiples of the step since 1970, and their numbers stand, with the highest
 * bit turned, behind the value of the key.
 */
#include "totals.h"

#include <stdlib.h>
#include <string.h>

#include "errors.h"
#include "table.h"

enum { NUMBER_AT = 40 };

/* ---- top ------------------------------------------------------------- */

enum at_status at_top_parse(struct at_top *top, const char *text,
                            struct at_error *err)
{
    static const char *const names[] = {"bytes", "packets", "flows"};
    const char *key = strchr(text, ':');
    const char *by = key != NULL ? strchr(key + 1, ':') : NULL;
    char count[32];

    *top = (struct at_top){.by = AT_BY_BYTES};
    if (key == NULL || (size_t)(key - text) >= sizeof(count))
        return at_error_set(err, AT_ERR_SYNTAX,
                            "'%s': expected N:KEY, as in 10:host", text);
    memcpy(count, text, (size_t)(key - text));
    count[key - text] = '\0';
    if (at_size_parse(&top->n, count, NULL) != AT_OK)
        return at_error_set(err, AT_ERR_SYNTAX, "'%s': expected a number",
                            count);
    for (int i = 0; by != NULL; i++) {
        if (i == 3)
            return at_error_set(err, AT_ERR_SYNTAX,
                                "'%s': expected bytes, packets or flows",
                                by + 1);
        if (strcmp(by + 1, names[i]) == 0) {
            top->by = (enum at_measure)i;
            break;
        }
    }
    return at_key_parse(&top->key, key + 1,
                        by != NULL ? (size_t)(by - key - 1) : strlen(key + 1),
                        err);
}

static void add_to(struct at_sum *sum, const struct at_sum *other)
{
    sum->flows += other->flows;
    sum->packets += other->packets;
    sum->bytes += other->bytes;
}

/* Flows that are summed up together, as each sum is a miss in the cache. */
enum { TOGETHER = 16 };

struct addend {
    struct at_key_value value[2];
    unsigned values;
    struct at_sum flow;
};

static struct addend addend_of(const struct at_top *top,
                               const struct at_found *found,
                               const struct at_targets *t)
{
    const struct at_flow_row *row = &found->row;
    struct addend a = {.flow = {
                           .flows = 1,
                           .packets = row->packets[0] + row->packets[1],
                           .bytes = row->bytes[0] + row->bytes[1],
                       }};

    a.values = at_key_values(&top->key, row, t->target[found->target].lane,
                             a.value);
    return a;
}

static enum at_status sum_up(struct at_top *top, const struct addend *a)
{
    for (unsigned k = 0; k < a->values; k++) {
        struct at_sum *sum = at_sums_of(&top->sums, &a->value[k]);

        if (sum == NULL)
            return AT_ERR_MEMORY;
        add_to(sum, &a->flow);
    }
    add_to(&top->all, &a->flow);
    return AT_OK;
}

static enum at_status sum_up_all(struct at_top *top, const struct addend *a,
                                 size_t n)
{
    enum at_status st = AT_OK;

    for (size_t i = 0; i < n; i++)
        for (unsigned k = 0; k < a[i].values; k++)
            at_sums_touch(&top->sums, &a[i].value[k]);
    for (size_t i = 0; i < n && st == AT_OK; i++)
        st = sum_up(top, &a[i]);
    return st;
}

enum at_status at_top_take(struct at_top *top, struct at_finds *finds, bool all,
                           const struct at_targets *t)
{
    struct addend addend[TOGETHER];
    enum at_status st = AT_OK;
    size_t left = all ? 0 : finds->passed, n = 0;

    for (size_t i = left; i < finds->n && st == AT_OK; i++) {
        const struct at_found *f = finds->found[i];

        if (!all && !at_flow_row_is_whole(&f->row)) {
            at_finds_keep(finds, i, &left);
            continue;
        }
        addend[n] = addend_of(top, f, t);
        for (unsigned k = 0; k < addend[n].values; k++)
            at_sums_seek(&top->sums, &addend[n].value[k]);
        if (++n == TOGETHER) {
            st = sum_up_all(top, addend, n);
            n = 0;
        }
    }
    finds->n = finds->passed = left;
    return st == AT_OK ? sum_up_all(top, addend, n) : st;
}

enum at_status at_top_merge(struct at_top *top, const struct at_top *from)
{
    for (size_t i = 0; i < from->sums.n; i++) {
        struct at_sum *sum = at_sums_of(&top->sums, &from->sums.sum[i].value);

        if (sum == NULL)
            return AT_ERR_MEMORY;
        add_to(sum, &from->sums.sum[i]);
    }
    add_to(&top->all, &from->all);
    return AT_OK;
}

void at_top_close(struct at_top *top)
{
    at_sums_close(&top->sums);
}

static uint64_t measure(const struct at_sum *sum, enum at_measure by)
{
    return by == AT_BY_BYTES     ? sum->bytes
           : by == AT_BY_PACKETS ? sum->packets
                                 : sum->flows;
}

bool at_top_print(struct at_top *top, FILE *out, enum at_print_format format,
                  const struct at_targets *t)
{
    const struct at_column columns[] = {{at_key_name(&top->key), true, 0},
                                        {"flows", false, 0},
                                        {"packets", false, 0},
                                        {"bytes", false, 0},
                                        {"percent", false, 0}};
    struct at_table table = {
        .out = out, .format = format, .column = columns, .columns = 5};
    char text[AT_KEY_TEXT];

    at_sums_sort(&top->sums, top->by);
    for (size_t i = 0; i < top->sums.n && i < top->n; i++) {
        const struct at_sum *sum = &top->sums.sum[i];

        at_table_put(&table, at_key_text(text, &top->key, &sum->value, t));
        at_table_number(&table, sum->flows);
        at_table_number(&table, sum->packets);
        at_table_number(&table, sum->bytes);
        at_table_percent(&table, measure(sum, top->by),
                         measure(&top->all, top->by));
    }
    return at_table_close(&table);
}

/* ---- series ---------------------------------------------------------- */

enum at_status at_steps_parse(struct at_steps *s, const char *text,
                              struct at_error *err)
{
    const char *colon = strchr(text, ':');
    const size_t n = colon != NULL ? (size_t)(colon - text) : strlen(text);
    char step[64];

    *s = (struct at_steps){.keyed = colon != NULL};
    if (n < sizeof(step)) {
        memcpy(step, text, n);
        step[n] = '\0';
    }
    if (n >= sizeof(step) ||
        at_duration_parse(&s->step_ns, step, NULL) != AT_OK || s->step_ns <= 0)
        return at_error_set(err, AT_ERR_SYNTAX,
                            "'%s': expected STEP or STEP:KEY, as in 1m:proto",
                            text);
    return colon != NULL
               ? at_key_parse(&s->key, colon + 1, strlen(colon + 1), err)
               : AT_OK;
}

static int64_t interval_of(const struct at_steps *s, int64_t ns)
{
    return ns / s->step_ns - (ns % s->step_ns < 0);
}

static void put_interval(struct at_key_value *value, int64_t number)
{
    const uint64_t v = (uint64_t)number ^ UINT64_C(1) << 63;

    for (int i = 0; i < 8; i++)
        value->b[NUMBER_AT + i] = (uint8_t)(v >> (56 - 8 * i));
}

static int64_t interval_in(const struct at_key_value *value)
{
    uint64_t v = 0;

    for (int i = 0; i < 8; i++)
        v = v << 8 | value->b[NUMBER_AT + i];
    return (int64_t)(v ^ UINT64_C(1) << 63);
}

/* Bytes of IP, as the flows have them; of the frame if it is none. */
static uint64_t bytes_of(const struct at_packet *pkt)
{
    struct at_headers h;

    at_decode(&h, pkt);
    return h.net == AT_NET_IPV4 || h.net == AT_NET_IPV6 ? h.ip_bytes
                                                        : pkt->wire_bytes;
}

static enum at_status add_sum(struct at_steps *s, int64_t number,
                              struct at_key_value *value, bool keyed,
                              uint64_t packets, uint64_t bytes)
{
    struct at_sum *sum;

    if (s->sums.n == 0 || number < s->first)
        s->first = number;
    if (s->sums.n == 0 || number > s->last)
        s->last = number;
    put_interval(value, number);
    sum = at_sums_of(&s->sums, value);
    if (sum == NULL)
        return AT_ERR_MEMORY;
    sum->flows |= keyed; /* there is a key to be shown */
    sum->packets += packets;
    sum->bytes += bytes;
    return AT_OK;
}

enum at_status at_steps_add(struct at_steps *s, const struct at_packet *pkt,
                            const struct at_flow_row *flow, size_t lane)
{
    const int64_t number = interval_of(s, at_ts_to_ns(pkt->ts));
    const uint64_t bytes = bytes_of(pkt);
    struct at_key_value value[2] = {{.name = NULL}};
    unsigned n = 1;
    enum at_status st = AT_OK;

    if (s->keyed && flow != NULL)
        n = at_key_values(&s->key, flow, lane, value);
    for (unsigned i = 0; i < n && st == AT_OK; i++)
        st = add_sum(s, number, &value[i], flow != NULL, 1, bytes);
    return st;
}

enum at_status at_steps_add_sum(struct at_steps *s, int64_t ns, int proto,
                                uint64_t packets, uint64_t bytes)
{
    const struct at_flow_row row = {.proto = (uint8_t)proto};
    struct at_key_value value[2] = {{.name = NULL}};
    const bool keyed = s->keyed && proto >= 0;

    if (keyed)
        at_key_values(&s->key, &row, 0, value);
    return add_sum(s, interval_of(s, ns), &value[0], keyed, packets, bytes);
}

static int by_interval(const void *a, const void *b)
{
    const struct at_sum *x = a, *y = b;
    int order = memcmp(x->value.b + NUMBER_AT, y->value.b + NUMBER_AT, 8);

    if (order == 0 && x->bytes != y->bytes)
        return x->bytes > y->bytes ? -1 : 1;
    if (order == 0)
        order = memcmp(x->value.b, y->value.b, NUMBER_AT);
    return order;
}

/* A row of the interval; 'sum' is NULL if nothing was in it. */
static void put_row(const struct at_steps *s, struct at_table *table,
                    int64_t number, const struct at_sum *sum, bool local,
                    const struct at_targets *t)
{
    char text[AT_KEY_TEXT];

    at_table_time(table, number * s->step_ns, local);
    if (s->keyed)
        at_table_put(table, sum != NULL && sum->flows > 0
                                ? at_key_text(text, &s->key, &sum->value, t)
                                : "");
    at_table_number(table, sum != NULL ? sum->packets : 0);
    at_table_number(table, sum != NULL ? sum->bytes : 0);
    if (table->rows >= 4096)
        at_table_flush(table);
}

bool at_steps_print(struct at_steps *s, FILE *out, enum at_print_format format,
                    bool local, int64_t from_ns, int64_t to_ns,
                    const struct at_targets *t)
{
    struct at_column columns[4];
    struct at_table table = {.out = out, .format = format, .column = columns};
    const bool some = s->sums.n > 0;
    int64_t number = from_ns > AT_TIME_MIN ? interval_of(s, from_ns) : s->first;
    const int64_t last = to_ns < AT_TIME_MAX ? interval_of(s, to_ns - 1)
                                             : s->last;
    size_t i = 0;

    columns[table.columns++] = (struct at_column){"start", true, 0};
    if (s->keyed)
        columns[table.columns++] = (struct at_column){at_key_name(&s->key),
                                                      true, 0};
    columns[table.columns++] = (struct at_column){"packets", false, 0};
    columns[table.columns++] = (struct at_column){"bytes", false, 0};
    if (some)
        qsort(s->sums.sum, s->sums.n, sizeof(s->sums.sum[0]), by_interval);
    if (!some && (from_ns == AT_TIME_MIN || to_ns == AT_TIME_MAX))
        return at_table_close(&table); /* there are no intervals */
    for (; number <= last; number++) {
        const size_t before = i;

        for (; i < s->sums.n && interval_in(&s->sums.sum[i].value) == number;
             i++)
            put_row(s, &table, number, &s->sums.sum[i], local, t);
        if (i == before)
            put_row(s, &table, number, NULL, local, t);
    }
    return at_table_close(&table);
}

void at_steps_close(struct at_steps *s)
{
    at_sums_close(&s->sums);
}
