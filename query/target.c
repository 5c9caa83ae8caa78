/*
 * target.c - opening one of what a question is asked of
 */
#include <string.h>

#include "held.h"
#include "opening.h"
#include "query.h"

enum at_status at_target_index(struct at_index **ix,
                               const struct at_target *target,
                               struct at_error *err)
{
    if (target->held != NULL)
        return at_index_open_held(ix, target->held->index, target->index, err);
    return at_index_open(ix, target->index,
                         target->segment ? NULL : target->trace, err);
}

enum at_status at_target_check(struct at_index *ix,
                               const struct at_target *target,
                               struct at_error *err)
{
    char path[AT_HELD_PATH];
    enum at_status st;

    if (!target->segment || target->gone)
        return AT_OK;
    if (target->held == NULL)
        return at_index_check(ix, target->trace, err);
    at_held_path(target->held, path);
    st = at_index_check(ix, path, err);
    return st == AT_ERR_MISUSE
               ? at_error_set(err, st, "%s: not what its index is of",
                              target->trace)
               : st;
}

enum at_status at_target_rules(struct at_tracking *rules,
                               const struct at_query *q,
                               const struct at_target *target,
                               struct at_error *err)
{
    struct at_index *ix;
    enum at_status st;

    *rules = q->tracking;
    if (target->index == NULL)
        return AT_OK;
    st = at_target_index(&ix, target, err);
    if (st == AT_OK)
        *rules = at_index_info(ix)->tracking;
    at_index_close(ix);
    return st;
}

static bool is_input(const struct at_target *target)
{
    return strcmp(target->trace, "-") == 0;
}

enum at_status at_target_open(struct at_reader **rd, const struct at_query *q,
                              const struct at_target *target,
                              struct at_error *err)
{
    struct at_reader_options opts = {.format = AT_FORMAT_UNKNOWN};
    char path[AT_HELD_PATH];

    if (!target->segment)
        opts = q->reading;
    opts.size = sizeof(opts);
    opts.pool = q->pool;
    opts.salvage = q->reading.salvage;
    if (target->held != NULL) {
        at_held_path(target->held, path);
        opts.name = is_input(target) ? "standard input" : target->trace;
        return at_reader_open(rd, path, &opts, err);
    }
    if (target->index != NULL && !target->segment)
        return at_indexed_open(rd, target->trace, &opts, err);
    return at_reader_open(rd, target->trace, &opts, err);
}

enum at_status at_target_tell(const struct at_query *q,
                              const struct at_target *target,
                              struct at_index *ix, const struct at_reader *rd,
                              struct at_error *err)
{
    const bool known = ix != NULL && at_index_info(ix)->salvaged.holes > 0;
    const struct at_hole *hole;
    enum at_status st = AT_OK;
    size_t n;

    if (q->holes == NULL || !q->reading.salvage)
        return AT_OK;
    if (known) {
        st = at_index_holes(ix, &hole, &n, err);
        if (st == AT_OK)
            q->holes(q->holes_ctx, target->trace, hole, n,
                     &at_index_info(ix)->salvaged);
    }
    /* In sequence it finds those of the index, too. */
    if (rd != NULL && (!known || at_reader_info(rd)->random_access))
        at_holes_tell(q->holes, q->holes_ctx, rd);
    return st;
}
