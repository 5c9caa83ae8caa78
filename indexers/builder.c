/*
 * builder.c - an index in the making
 *
 * Flows that are over go to a store on disk, and are sorted (sorted.h) and
 * written (builder_write.c) at the end.
 */
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "builder_inside.h"
#include "errors.h"

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
static struct at_block_stat *block_at(struct at_builder *b, uint64_t block)
{
    if (block >= UINT32_MAX)
        return NULL;
    if (block >= b->block_room) {
        const size_t room = (size_t)block * 2 + 64;
        struct at_block_stat *p = realloc(b->block, room * sizeof(*p));

        if (p == NULL)
            return NULL;
        b->block = p;
        b->block_room = room;
    }
    while (b->blocks <= block)
        b->block[b->blocks++] = (struct at_block_stat){.packets = false};
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
    struct at_block_stat *stat = block_at(b, block);

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

/* ---- writing --------------------------------------------------------- */

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

enum at_status at_builder_write(struct at_builder *b, const char *path,
                                const struct at_index_about *about,
                                const struct at_place *place, size_t places,
                                struct at_error *err)
{
    struct at_sorted s = {.flows = 0};
    enum at_status st;

    if (places < b->blocks)
        return at_error_set(err, AT_ERR_MISUSE, "%s: %zu blocks, %zu places",
                            path, b->blocks, places);
    st = finish_tracker(b, about, err);
    if (st == AT_OK)
        st = at_sorted_make(&s, b->finished, b->rules.names ? &b->names : NULL,
                            about->apps, b->pool, err);
    finish_totals(b);
    unlink(path);
    if (st == AT_OK)
        st = at_builder_write_sorted(b, &s, path, about, place, err);
    if (st == AT_OK)
        st = sync_file(path, err);
    at_sorted_close(&s);
    return st;
}
