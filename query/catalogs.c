/*
 * catalogs.c - series from what catalogues know of each minute
 *
 * They have all packets by minute and protocol, so they are enough where all
 * are asked for, by whole minutes.  Every segment of the range must have its
 * sums, and its packets.
 */
#include "catalog.h"
#include "errors.h"
#include "schema.h"
#include "totals.h"

static bool is_whole_minute(int64_t ns)
{
    return ns == AT_TIME_MIN || ns == AT_TIME_MAX || ns % AT_MINUTE_NS == 0;
}

static bool may_be_enough(const struct at_steps *s, const struct at_query *q,
                          const struct at_paths *path)
{
    const struct at_expr_node *root = at_expr_root(q->expr);

    for (size_t i = 0; i < path->n; i++)
        if (!at_archive_is(path->path[i]))
            return false;
    return root->op == AT_EXPR_LEAF && root->leaf == AT_LEAF_TRUE &&
           s->step_ns % AT_MINUTE_NS == 0 &&
           (!s->keyed || s->key.kind == AT_KEY_PROTO) &&
           is_whole_minute(q->from_ns) && is_whole_minute(q->to_ns);
}

struct adding {
    struct at_steps *steps;
    enum at_status status;
};

static void add_minute(void *ctx, const struct at_archive_minute *m)
{
    struct adding *a = ctx;
    const int proto = m->kind < AT_INDEX_KIND_ARP ? m->kind & 255 : -1;

    if (a->status == AT_OK)
        a->status = at_steps_add_sum(a->steps, m->start_ns, proto, m->packets,
                                     m->bytes);
}

static enum at_status add_archive(struct adding *a, const struct at_query *q,
                                  const char *path, bool *done,
                                  struct at_error *err)
{
    struct at_archive *archive;
    enum at_status st = at_archive_open(&archive, path, false, err);

    if (st != AT_OK)
        return st;
    st = at_archive_minutes(archive, q->from_ns, q->to_ns,
                            a->steps->step_ns % (60 * AT_MINUTE_NS) == 0,
                            add_minute, a, done, err);
    if (st == AT_OK && *done)
        st = at_query_tell_gone(q, archive, path, err);
    at_archive_close(archive);
    return a->status != AT_OK ? at_error_set(err, a->status, "out of memory")
                              : st;
}

enum at_status at_steps_from_catalogs(struct at_steps *s,
                                      const struct at_query *q,
                                      const struct at_paths *path, bool *done,
                                      struct at_error *err)
{
    struct adding a = {.steps = s};
    enum at_status st = AT_OK;

    *done = may_be_enough(s, q, path);
    for (size_t i = 0; i < path->n && *done && st == AT_OK; i++)
        st = add_archive(&a, q, path->path[i], done, err);
    if (!*done)
        at_sums_close(&s->sums);
    return st;
}
