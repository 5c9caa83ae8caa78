/*
 * app_series.c - packets, bytes and flows of applications by intervals
 */
#include "app_series.h"

#include <stdlib.h>
#include <string.h>

#include "table.h"
#include "tally.h"

enum { PACKETS, BYTES, NUMBERS };

/* Sorts by time. */
struct key {
    uint8_t interval[8];
    uint8_t number[4];
    uint8_t zero[4];
};

struct sum {
    uint64_t flows, packets, bytes;
};

struct at_app_series {
    int64_t step_ns;
    struct at_tally *tally;
    uint16_t *app; /* of flows, by number */
    size_t room;

    /* Being printed. */
    const struct at_apps *apps;
    struct sum *sum; /* of an interval, by application */
    uint64_t interval;
    struct at_table table;
    bool local;
};

static void put_big(uint8_t *to, unsigned n, uint64_t v)
{
    for (unsigned i = 0; i < n; i++)
        to[i] = (uint8_t)(v >> 8 * (n - 1 - i));
}

static uint64_t get_big(const uint8_t *from, unsigned n)
{
    uint64_t v = 0;

    for (unsigned i = 0; i < n; i++)
        v = v << 8 | from[i];
    return v;
}

struct at_app_series *at_app_series_open(int64_t step_ns, uint64_t memory)
{
    const struct at_tally_plan plan = {
        .key_bytes = sizeof(struct key),
        .sums = NUMBERS,
        .memory = memory,
    };
    struct at_app_series *s = calloc(1, sizeof(*s));

    if (s == NULL)
        return NULL;
    s->step_ns = step_ns;
    s->tally = at_tally_open(&plan);
    if (s->tally == NULL) {
        free(s);
        return NULL;
    }
    return s;
}

void at_app_series_close(struct at_app_series *s)
{
    if (s == NULL)
        return;
    at_tally_close(s->tally);
    free(s->app);
    free(s);
}

enum at_status at_app_series_add(struct at_app_series *s, int64_t ts_ns,
                                 uint32_t number, uint32_t bytes,
                                 struct at_error *err)
{
    struct key key = {.zero = {0}};
    uint64_t *n;

    put_big(key.interval, sizeof(key.interval), (uint64_t)(ts_ns / s->step_ns));
    put_big(key.number, sizeof(key.number), number);
    n = at_tally_row(s->tally, &key, err);
    if (n == NULL)
        return err->status;
    n[PACKETS]++;
    n[BYTES] += bytes;
    return AT_OK;
}

enum at_status at_app_series_name(struct at_app_series *s, uint32_t number,
                                  uint16_t app)
{
    if (number >= s->room) {
        const size_t room = (size_t)number + number / 2 + 1024;
        uint16_t *p = realloc(s->app, room * sizeof(*p));

        if (p == NULL)
            return AT_ERR_MEMORY;
        s->app = p;
        s->room = room;
    }
    s->app[number] = app;
    return AT_OK;
}

/* ---- printing -------------------------------------------------------- */

static void print_sum(struct at_app_series *s, size_t app)
{
    const int64_t start = (int64_t)s->interval * s->step_ns;
    const struct sum *sum = &s->sum[app];

    at_table_time(&s->table, start, s->local);
    at_table_time(&s->table,
                  start > AT_TIME_MAX - s->step_ns ? AT_TIME_MAX
                                                   : start + s->step_ns,
                  s->local);
    at_table_put(&s->table, at_app_name(s->apps, app));
    at_table_put(&s->table, at_app_category(s->apps, app));
    at_table_number(&s->table, sum->flows);
    at_table_number(&s->table, sum->packets);
    at_table_number(&s->table, sum->bytes);
}

/* All of the interval have come. */
static void print_interval(struct at_app_series *s)
{
    const size_t apps = at_apps_count(s->apps);

    for (size_t i = 0; i < apps; i++)
        if (s->sum[i].flows > 0)
            print_sum(s, i);
    memset(s->sum, 0, apps * sizeof(s->sum[0]));
}

static enum at_status take_row(void *ctx, const void *key,
                               const uint64_t *number)
{
    struct at_app_series *s = ctx;
    struct key k;
    struct sum *sum;
    uint64_t interval;

    memcpy(&k, key, sizeof(k));
    interval = get_big(k.interval, sizeof(k.interval));
    if (interval != s->interval)
        print_interval(s);
    s->interval = interval;
    sum = &s->sum[s->app[get_big(k.number, sizeof(k.number))]];
    sum->flows++;
    sum->packets += number[PACKETS];
    sum->bytes += number[BYTES];
    return ferror(s->table.out) ? AT_END : AT_OK;
}

enum at_status at_app_series_print(struct at_app_series *s, FILE *out,
                                   enum at_print_format format, bool local,
                                   const struct at_apps *apps,
                                   struct at_error *err)
{
    static const struct at_column columns[] = {
        {"start", true, 0},    {"end", true, 0},    {"app", true, 0},
        {"category", true, 0}, {"flows", false, 0}, {"packets", false, 0},
        {"bytes", false, 0},
    };
    enum at_status st;

    s->apps = apps;
    s->local = local;
    s->table = (struct at_table){
        .out = out,
        .format = format,
        .column = columns,
        .columns = sizeof(columns) / sizeof(columns[0]),
    };
    s->sum = calloc(at_apps_count(apps), sizeof(s->sum[0]));
    if (s->sum == NULL)
        return at_error_set(err, AT_ERR_MEMORY, "out of memory");
    st = at_tally_merge(&s->tally, 1, take_row, s, err);
    if (st >= 0)
        print_interval(s);
    free(s->sum);
    s->sum = NULL;
    if (!at_table_close(&s->table))
        return at_error_set(err, AT_ERR_MEMORY, "out of memory");
    return st < 0 ? st : AT_OK;
}
