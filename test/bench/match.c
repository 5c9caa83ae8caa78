/*
 * match.c - what it costs to tell the application of a flow
 *
 *     match INDEX...        nanoseconds a flow, a line for each index
 *
 * All flows of an index, in an order that a processor cannot foresee, are
 * matched again and again until that took a second.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "app_names.h"
#include "index.h"

struct rows {
    struct at_flow_row *row;
    size_t n;
};

static double seconds_now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static enum at_status read_rows(struct rows *r, const char *path,
                                struct at_error *err)
{
    struct at_index *ix;
    enum at_status st = at_index_open(&ix, path, NULL, err);

    if (st != AT_OK)
        return st;
    r->row = malloc(((size_t)at_index_info(ix)->rows + 1) * sizeof(r->row[0]));
    st = at_index_want_openings(ix, err);
    if (st == AT_OK && r->row != NULL)
        st = at_index_flows(ix, NULL, err);
    while (st == AT_OK && r->row != NULL)
        if ((st = at_index_next_flow(ix, &r->row[r->n], err)) == AT_OK)
            r->n++;
    at_index_close(ix);
    return st;
}

static void shuffle(struct rows *r)
{
    uint32_t state = 1;

    for (size_t i = r->n; i > 1; i--) {
        const size_t k = (state = state * 1664525 + 1013904223) % i;
        const struct at_flow_row row = r->row[k];

        r->row[k] = r->row[i - 1];
        r->row[i - 1] = row;
    }
}

static double measure(const struct at_apps *apps, struct rows *r)
{
    const double began = seconds_now();
    uint64_t matched = 0;
    double now = began;

    while (now - began < 1) {
        for (size_t i = 0; i < r->n; i++)
            (void)at_app_of_row(apps, &r->row[i]);
        matched += r->n;
        now = seconds_now();
    }
    return (now - began) * 1e9 / (double)matched;
}

int main(int argc, char *argv[])
{
    struct at_apps *apps;
    struct at_error err;

    if (at_apps_open(&apps, NULL, &err) != AT_OK) {
        fprintf(stderr, "match: %s\n", err.msg);
        return 1;
    }
    for (int i = 1; i < argc; i++) {
        struct rows rows = {.n = 0};

        if (read_rows(&rows, argv[i], &err) < 0) {
            fprintf(stderr, "match: %s\n", err.msg);
            return 1;
        }
        shuffle(&rows);
        if (rows.n > 0)
            printf("%s: %zu flows, %.1f ns each\n", argv[i], rows.n,
                   measure(apps, &rows));
        free(rows.row);
    }
    at_apps_close(apps);
    return 0;
}
