/*
 * features.c - flows in numbers, for programs that learn
 *
 * Means and deviations by Welford's method, which does not lose digits where
 * values are large and close together.
 */
#include "features.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "table.h"

/* ---- what is counted ------------------------------------------------- */

struct moments {
    double mean, squares; /* of the differences from the mean, added up */
    double least, most;
    uint64_t n;
};

struct way {
    struct moments payload; /* bytes, of packets that have some */
    struct moments gap;     /* seconds, since the packet before */
    int64_t last_ns;
    bool begun;
};

struct flow {
    struct at_flow_row row;
    struct way way[2]; /* out, in */
    uint32_t number;
    bool over;
};

struct at_features {
    struct flow *flow;
    size_t n, room;
    size_t flows; /* that are over */
};

static void add(struct moments *m, double v)
{
    const double before = v - m->mean;

    if (m->n == 0 || v < m->least)
        m->least = v;
    if (m->n == 0 || v > m->most)
        m->most = v;
    m->n++;
    m->mean += before / (double)m->n;
    m->squares += before * (v - m->mean);
}

static double deviation(const struct moments *m)
{
    return sqrt(m->squares / (double)m->n);
}

struct at_features *at_features_open(void)
{
    return calloc(1, sizeof(struct at_features));
}

void at_features_close(struct at_features *f)
{
    if (f == NULL)
        return;
    free(f->flow);
    free(f);
}

/* Numbers come in order, so there are no more of them than flows. */
static struct flow *flow_of(struct at_features *f, uint32_t number)
{
    if (number >= f->room) {
        const size_t room = (size_t)number + number / 2 + 256;
        struct flow *p = realloc(f->flow, room * sizeof(*p));

        if (p == NULL)
            return NULL;
        memset(p + f->room, 0, (room - f->room) * sizeof(*p));
        f->flow = p;
        f->room = room;
    }
    if (number >= f->n)
        f->n = (size_t)number + 1;
    return &f->flow[number];
}

enum at_status at_features_packet(struct at_features *f, uint32_t number,
                                  const struct at_sight *sight, bool in)
{
    struct flow *flow = flow_of(f, number);
    struct way *w;

    if (flow == NULL)
        return AT_ERR_MEMORY;
    w = &flow->way[in];
    if (w->begun) /* what comes out of order comes at once */
        add(&w->gap, sight->ts_ns > w->last_ns
                         ? (double)(sight->ts_ns - w->last_ns) / 1e9
                         : 0);
    if (!w->begun || sight->ts_ns > w->last_ns)
        w->last_ns = sight->ts_ns;
    w->begun = true;
    if (sight->payload_bytes > 0)
        add(&w->payload, sight->payload_bytes);
    return AT_OK;
}

enum at_status at_features_flow(struct at_features *f, uint32_t number,
                                const struct at_flow_row *row)
{
    struct flow *flow = flow_of(f, number);

    if (flow == NULL)
        return AT_ERR_MEMORY;
    flow->row = *row;
    flow->number = number;
    flow->over = true;
    f->flows++;
    return AT_OK;
}

size_t at_features_flows(const struct at_features *f)
{
    return f->flows;
}

/* ---- columns --------------------------------------------------------- */

enum { TEXT = 64 };

/* Writes a value; nothing where there is none. */
typedef void put_fn(char buf[TEXT], const struct flow *flow, int way);

static void put_count(char buf[TEXT], uint64_t n)
{
    snprintf(buf, TEXT, "%" PRIu64, n);
}

static void put_number(char buf[TEXT], double v)
{
    snprintf(buf, TEXT, "%.9g", v);
}

static void put_proto(char buf[TEXT], const struct flow *flow, int way)
{
    (void)way;
    put_count(buf, flow->row.proto);
}

static void put_port(char buf[TEXT], const struct flow *flow, int way)
{
    put_count(buf, way == 0 ? flow->row.sport : flow->row.dport);
}

static void put_duration(char buf[TEXT], const struct flow *flow, int way)
{
    (void)way;
    put_number(buf, (double)(flow->row.end_ns - flow->row.start_ns) / 1e9);
}

static void put_packets(char buf[TEXT], const struct flow *flow, int way)
{
    put_count(buf, flow->row.packets[way]);
}

static void put_bytes(char buf[TEXT], const struct flow *flow, int way)
{
    put_count(buf, flow->row.bytes[way]);
}

static void put_payload(char buf[TEXT], const struct flow *flow, int way)
{
    put_count(buf, flow->row.payload[way]);
}

static void put_first(char buf[TEXT], const struct flow *flow, int way)
{
    put_count(buf, flow->row.first_len[way]);
}

#define PUT(name, what, value)                                                 \
    static void name(char buf[TEXT], const struct flow *flow, int way)         \
    {                                                                          \
        const struct moments *m = &flow->way[way].what;                        \
                                                                               \
        if (m->n > 0)                                                          \
            put_number(buf, value);                                            \
    }

PUT(put_payload_least, payload, m->least)
PUT(put_payload_mean, payload, m->mean)
PUT(put_payload_most, payload, m->most)
PUT(put_payload_dev, payload, deviation(m))
PUT(put_gap_least, gap, m->least)
PUT(put_gap_mean, gap, m->mean)
PUT(put_gap_most, gap, m->most)
PUT(put_gap_dev, gap, deviation(m))

static void put_app(char buf[TEXT], const struct flow *flow, int way)
{
    (void)way;
    snprintf(buf, TEXT, "%s", flow->row.app);
}

static const struct {
    struct at_column column;
    put_fn *put;
    int way;
} columns[] = {
    {{"proto", false, 0}, put_proto, 0},
    {{"sport", false, 0}, put_port, 0},
    {{"dport", false, 0}, put_port, 1},
    {{"duration", false, 0}, put_duration, 0},
    {{"packets_out", false, 0}, put_packets, 0},
    {{"packets_in", false, 0}, put_packets, 1},
    {{"bytes_out", false, 0}, put_bytes, 0},
    {{"bytes_in", false, 0}, put_bytes, 1},
    {{"payload_out", false, 0}, put_payload, 0},
    {{"payload_in", false, 0}, put_payload, 1},
    {{"first_len_out", false, 0}, put_first, 0},
    {{"first_len_in", false, 0}, put_first, 1},
    {{"payload_min_out", false, 0}, put_payload_least, 0},
    {{"payload_mean_out", false, 0}, put_payload_mean, 0},
    {{"payload_max_out", false, 0}, put_payload_most, 0},
    {{"payload_dev_out", false, 0}, put_payload_dev, 0},
    {{"payload_min_in", false, 0}, put_payload_least, 1},
    {{"payload_mean_in", false, 0}, put_payload_mean, 1},
    {{"payload_max_in", false, 0}, put_payload_most, 1},
    {{"payload_dev_in", false, 0}, put_payload_dev, 1},
    {{"gap_min_out", false, 0}, put_gap_least, 0},
    {{"gap_mean_out", false, 0}, put_gap_mean, 0},
    {{"gap_max_out", false, 0}, put_gap_most, 0},
    {{"gap_dev_out", false, 0}, put_gap_dev, 0},
    {{"gap_min_in", false, 0}, put_gap_least, 1},
    {{"gap_mean_in", false, 0}, put_gap_mean, 1},
    {{"gap_max_in", false, 0}, put_gap_most, 1},
    {{"gap_dev_in", false, 0}, put_gap_dev, 1},
    {{"app", true, 0}, put_app, 0},
};

enum { COLUMNS = sizeof(columns) / sizeof(columns[0]) };

_Static_assert((int)COLUMNS <= (int)AT_TABLE_COLUMNS,
               "a table has room for them");

/* ---- printing -------------------------------------------------------- */

static int by_start(const void *a, const void *b)
{
    const struct flow *x = a, *y = b;

    if (x->over != y->over)
        return x->over ? -1 : 1;
    if (x->row.start_ns != y->row.start_ns)
        return x->row.start_ns < y->row.start_ns ? -1 : 1;
    return x->number < y->number ? -1 : x->number > y->number;
}

static void sort(struct at_features *f)
{
    if (f->n > 1)
        qsort(f->flow, f->n, sizeof(f->flow[0]), by_start);
}

/* Quoted where ARFF could take it for something else. */
static void put_arff_name(FILE *out, const char *name)
{
    const char *const quote = strpbrk(name, " ,{}%'\"\\\t") != NULL ? "'" : "";

    fputs(quote, out);
    for (; *name != '\0'; name++) {
        if (*name == '\'' || *name == '\\')
            putc('\\', out);
        putc(*name, out);
    }
    fputs(quote, out);
}

static void put_arff_head(FILE *out, const struct at_apps *apps)
{
    fputs("@relation flows\n\n", out);
    for (size_t i = 0; i < COLUMNS - 1; i++)
        fprintf(out, "@attribute %s numeric\n", columns[i].column.name);
    fputs("@attribute app {", out);
    for (size_t i = 0; i < at_apps_count(apps); i++) {
        fputs(i > 0 ? "," : "", out);
        put_arff_name(out, at_app_name(apps, i));
    }
    fputs("}\n\n@data\n", out);
}

void at_features_arff(struct at_features *f, FILE *out,
                      const struct at_apps *apps)
{
    sort(f);
    put_arff_head(out, apps);
    for (size_t i = 0; i < f->flows && !ferror(out); i++) {
        for (size_t k = 0; k < COLUMNS - 1; k++) {
            char text[TEXT] = "";

            columns[k].put(text, &f->flow[i], columns[k].way);
            fprintf(out, "%s,", text[0] != '\0' ? text : "?");
        }
        put_arff_name(out, f->flow[i].row.app);
        putc('\n', out);
    }
}

bool at_features_print(struct at_features *f, FILE *out,
                       enum at_print_format format)
{
    struct at_column column[COLUMNS];
    struct at_table table = {
        .out = out,
        .format = format,
        .column = column,
        .columns = COLUMNS,
    };

    sort(f);
    for (size_t k = 0; k < COLUMNS; k++)
        column[k] = columns[k].column;
    for (size_t i = 0; i < f->flows && !ferror(out); i++)
        for (size_t k = 0; k < COLUMNS; k++) {
            char text[TEXT] = "";

            columns[k].put(text, &f->flow[i], columns[k].way);
            at_table_put(&table, text);
        }
    return at_table_close(&table);
}
