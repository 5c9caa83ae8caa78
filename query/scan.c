/*
 * scan.c - the flows of a target that has no index
 *
 * Every packet is tracked, by the rules that an index is made by, and the flows
 * of those that match are kept.
 */
#include <stdlib.h>

#include "errors.h"
#include "pool.h"
#include "query.h"
#include "sights.h"
#include "tracker.h"

struct scan {
    const struct at_query *q;
    struct at_tracking rules;
    struct at_sighting sighting;
    struct at_tracker *tracker;
    struct at_names names; /* all that are asked for */
    size_t target;
    struct at_finds *finds;
};

static enum at_status scan_work(void *ctx, void *slot,
                                const struct at_batch *batch,
                                struct at_error *err)
{
    const struct scan *scan = ctx;
    const struct at_query *q = scan->q;
    struct at_sights *s = slot;
    struct at_packet pkt;
    size_t n = 0;
    const enum at_status st = at_sights_take(s, batch, &scan->sighting, err);

    for (size_t i = 0; i < batch->blocks && st == AT_OK; i++) {
        struct at_walk walk = at_walk_block(batch, i);

        for (; at_walk_next(&walk, &pkt); n++)
            s->sight[n].wanted = s->sight[n].ts_ns >= q->from_ns &&
                                 s->sight[n].ts_ns < q->to_ns &&
                                 at_filter_match(q->filter, &pkt);
    }
    return st;
}

static enum at_status scan_report(void *ctx, void *slot,
                                  const struct at_batch *batch,
                                  struct at_error *err)
{
    struct scan *scan = ctx;
    const struct at_sights *s = slot;
    const struct at_besides besides = at_sights_besides(s);

    (void)batch;
    if (at_tracker_add(scan->tracker, s->sight, s->n, &besides, 0) != AT_OK)
        return at_error_set(err, AT_ERR_MEMORY, "out of memory");
    if (scan->q->stop != NULL && scan->q->stop())
        return AT_END;
    return AT_OK;
}

static void scan_drop(void *ctx, void *slot)
{
    (void)ctx;
    at_sights_drop(slot);
}

static enum at_status keep_wanted(void *ctx, const struct at_flow *flow,
                                  const uint32_t *block, size_t blocks,
                                  uint32_t name)
{
    const struct scan *scan = ctx;
    struct at_flow_row row;

    (void)block;
    (void)blocks;
    if (!flow->wanted)
        return AT_OK;
    at_flow_row_of(&row, flow);
    if (!at_flow_row_is_ip(&row))
        return AT_OK;
    if (scan->q->apps != NULL)
        at_app_of_row(scan->q->apps, &row);
    if (name != 0)
        row.name = at_shared_names_keep(scan->q->asked,
                                        at_names_text(&scan->names, name));
    return at_finds_add(scan->finds, &row, scan->target);
}

enum at_status at_scan_matches(const struct at_query *q,
                               const struct at_targets *t, size_t number,
                               struct at_finds *finds, struct at_error *err)
{
    struct scan scan = {.q = q, .target = number, .finds = finds};
    const struct at_run run = {
        .slot_bytes = sizeof(struct at_sights),
        .ctx = &scan,
        .work = scan_work,
        .report = scan_report,
        .drop = scan_drop,
    };
    struct at_reader *rd = NULL;
    enum at_status st = at_target_rules(&scan.rules, q, &t->target[number],
                                        err);

    if (st != AT_OK)
        return st;
    scan.sighting = (struct at_sighting){.seed = at_flow_key_seed(),
                                         .key = scan.rules.key,
                                         .names = q->tracking.names};
    at_names_init(&scan.names);
    scan.tracker = at_tracker_open(&scan.rules, scan.sighting.seed, keep_wanted,
                                   &scan);
    if (scan.tracker == NULL)
        return at_error_set(err, AT_ERR_MEMORY, "out of memory");
    if (q->tracking.names)
        at_tracker_name_by(scan.tracker, &scan.names);
    st = at_target_open(&rd, q, &t->target[number], err);
    if (st == AT_OK)
        st = at_run(rd, q->pool, &run, err);
    if (st == AT_OK)
        st = at_target_tell(q, &t->target[number], NULL, rd, err);
    if (at_tracker_finish(scan.tracker) != AT_OK && st == AT_OK)
        st = at_error_set(err, AT_ERR_MEMORY, "out of memory");
    if (q->forced != NULL)
        *q->forced += at_tracker_forced(scan.tracker);
    at_reader_close(rd);
    at_tracker_close(scan.tracker);
    if (q->asked != NULL)
        q->asked->names.lost += scan.names.lost;
    at_names_close(&scan.names);
    return st;
}

enum at_status at_scan_flows(const struct at_query *q,
                             const struct at_targets *t, size_t number,
                             struct at_finds *finds, struct at_error *err)
{
    struct at_query all = *q;
    struct at_error none;
    enum at_status st = at_filter_open(&all.filter, "", 0, &none);

    if (st != AT_OK)
        return at_error_copy(err, &none);
    all.from_ns = AT_TIME_MIN;
    all.to_ns = AT_TIME_MAX;
    st = at_scan_matches(&all, t, number, finds, err);
    at_filter_close(all.filter);
    return st;
}
