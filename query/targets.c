/*
 * targets.c - what a question is asked of
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "catalog.h"
#include "files.h"
#include "indexing.h"
#include "opening.h"
#include "query.h"

static enum at_status out_of_memory(struct at_error *err)
{
    return at_error_set(err, AT_ERR_MEMORY, "out of memory");
}

static void free_target(struct at_target *target)
{
    free(target->trace);
    free(target->index);
    free(target->stream);
}

/* Takes over the strings. */
static enum at_status add(struct at_targets *t, char *trace, char *index,
                          char *stream, int linktype)
{
    struct at_target target = {.trace = trace,
                               .index = index,
                               .stream = stream,
                               .lane = t->lanes - 1,
                               .linktype = linktype,
                               .stream_last_ns = AT_TIME_MIN};

    if (t->n == t->room) {
        const size_t room = t->room * 2 + 16;
        struct at_target *p = realloc(t->target, room * sizeof(*p));

        if (p == NULL) {
            free_target(&target);
            return AT_ERR_MEMORY;
        }
        t->target = p;
        t->room = room;
    }
    if (trace == NULL || stream == NULL) {
        free_target(&target);
        return AT_ERR_MEMORY;
    }
    t->target[t->n++] = target;
    return AT_OK;
}

/* Only in a pcap file all packets have one link type. */
static int link_of(enum at_format format, uint16_t linktype)
{
    return format == AT_FORMAT_PCAP || format == AT_FORMAT_PCAP_US ? linktype
                                                                   : -1;
}

/* A segment whose index is of another version is read whole. */
static enum at_status add_segment(struct at_targets *t,
                                  const struct at_archive *a,
                                  const struct at_segment *seg, int64_t last_ns)
{
    char *trace = at_archive_path(a, seg->path);
    char *index = trace == NULL ? NULL : at_index_path(trace);
    enum at_status st;

    if (index != NULL && at_index_is_other(index)) {
        free(index);
        index = NULL;
    }
    st = add(t, trace, index, strdup(seg->stream),
             link_of(seg->format, seg->linktype));
    if (st == AT_OK) {
        t->target[t->n - 1].segment = true;
        t->target[t->n - 1].gone = seg->gone_ns != 0;
        t->target[t->n - 1].stream_last_ns = last_ns;
        t->target[t->n - 1].archive_bytes = strlen(trace) - strlen(seg->path) -
                                            1;
    }
    return st;
}

enum at_status at_query_tell_gone(const struct at_query *q,
                                  struct at_archive *a, const char *path,
                                  struct at_error *err)
{
    struct at_gone gone;
    const enum at_status st = at_archive_gone(a, NULL, q->from_ns, q->to_ns,
                                              &gone, err);

    if (st == AT_OK && q->gone != NULL && gone.packets > 0)
        q->gone(q->gone_ctx, path, &gone);
    return st;
}

/* The time of the last packet of the stream that segment 'i' is of. */
static int64_t last_of_stream(const struct at_segments *list, size_t i)
{
    const char *stream = list->segment[i].stream;
    int64_t last_ns = AT_TIME_MIN;

    for (; i < list->n && strcmp(list->segment[i].stream, stream) == 0; i++)
        if (list->segment[i].last_ns > last_ns)
            last_ns = list->segment[i].last_ns;
    return last_ns;
}

struct segment {
    struct at_archive *archive;
    int64_t id;
};

static bool may_hold(void *ctx, const struct at_sieve_key *key)
{
    const struct segment *s = ctx;

    return at_archive_may_hold(s->archive, s->id, key);
}

static bool may_answer(const struct at_query *q, struct at_archive *a,
                       const struct at_segment *seg)
{
    struct segment s = {a, seg->id};

    return at_plan_may_hold(q, may_hold, &s);
}

static enum at_status add_archive(struct at_targets *t, const char *path,
                                  const struct at_query *q,
                                  struct at_error *err)
{
    struct at_segments list = {.n = 0};
    struct at_archive *a;
    int64_t last_ns = AT_TIME_MIN;
    bool lane = false; /* the stream has one */
    enum at_status st = at_archive_open(&a, path, false, err);

    if (st != AT_OK)
        return st;
    st = at_archive_segments(a, NULL, q->from_ns, q->to_ns, &list, err);
    for (size_t i = 0; i < list.n && st == AT_OK; i++) {
        if (i == 0 ||
            strcmp(list.segment[i].stream, list.segment[i - 1].stream) != 0) {
            last_ns = last_of_stream(&list, i);
            lane = false;
        }
        if (!may_answer(q, a, &list.segment[i])) {
            t->without++;
            continue;
        }
        t->lanes += !lane;
        lane = true;
        if (add_segment(t, a, &list.segment[i], last_ns) != AT_OK)
            st = out_of_memory(err);
    }
    if (st == AT_OK)
        st = at_query_tell_gone(q, a, path, err);
    at_segments_free(&list);
    at_archive_close(a);
    return st;
}

/* FILE.idx if it is there and of this file as it is now; else NULL. */
static char *index_beside(const char *trace, bool salvage)
{
    char *path = at_index_path(trace);
    struct at_index *ix;

    if (path != NULL && access(path, R_OK) == 0 &&
        at_index_open(&ix, path, trace, NULL) == AT_OK) {
        const struct at_index_info *info = at_index_info(ix);
        const bool use = info->complete ||
                         (salvage && info->salvaged.holes > 0);

        at_index_close(ix);
        if (use)
            return path;
    }
    free(path);
    return NULL;
}

static const char *last_part(const char *path)
{
    const char *slash = strrchr(path, '/');

    return slash != NULL ? slash + 1 : path;
}

/* What the head of a file says; standard input is read only once. */
static int link_of_file(const char *path)
{
    const struct at_reader_options opts = {.size = sizeof(opts)};
    struct at_reader *rd;
    int linktype;

    if (strcmp(path, "-") == 0 ||
        at_reader_open(&rd, path, &opts, NULL) != AT_OK)
        return -1;
    linktype = link_of(at_reader_info(rd)->format,
                       at_reader_info(rd)->linktype);
    at_reader_close(rd);
    return linktype;
}

enum at_status at_targets_add(struct at_targets *t, const struct at_query *q,
                              const char *path, struct at_error *err)
{
    if (at_archive_is(path))
        return add_archive(t, path, q, err);
    t->files = true;
    t->lanes++;
    if (add(t, strdup(path),
            strcmp(path, "-") == 0 ? NULL
                                   : index_beside(path, q->reading.salvage),
            strdup(last_part(path)), link_of_file(path)) != AT_OK)
        return out_of_memory(err);
    return AT_OK;
}

enum at_status at_targets_add_fd(struct at_targets *t, int fd,
                                 struct at_error *err)
{
    char path[32];

    snprintf(path, sizeof(path), "/dev/fd/%d", fd);
    t->files = true;
    t->lanes++;
    if (add(t, strdup(path), NULL, strdup("-"), link_of_file(path)) != AT_OK)
        return out_of_memory(err);
    return AT_OK;
}

enum at_status at_targets_check(const struct at_targets *t,
                                const struct at_query *q, struct at_error *err)
{
    enum at_status st = AT_OK;

    for (size_t i = 0; i < t->n; i++) {
        const int linktype = t->target[i].linktype;

        if (linktype < 0)
            return AT_OK;
        if (i > 0 && linktype == t->target[i - 1].linktype)
            continue;
        st = at_filter_check(q->filter, (uint16_t)linktype, err);
        if (st != AT_ERR_SYNTAX)
            return st;
    }
    return st;
}

enum at_status at_target_index(struct at_index **ix,
                               const struct at_target *target,
                               struct at_error *err)
{
    return at_index_open(ix, target->index,
                         target->segment ? NULL : target->trace, err);
}

enum at_status at_target_check(struct at_index *ix,
                               const struct at_target *target,
                               struct at_error *err)
{
    return target->segment && !target->gone
               ? at_index_check(ix, target->trace, err)
               : AT_OK;
}

enum at_status at_target_open(struct at_reader **rd, const struct at_query *q,
                              const struct at_target *target,
                              struct at_error *err)
{
    struct at_reader_options opts = {.format = AT_FORMAT_UNKNOWN};

    if (!target->segment)
        opts = q->reading;
    opts.size = sizeof(opts);
    opts.pool = q->pool;
    opts.salvage = q->reading.salvage;
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

void at_targets_close(struct at_targets *t)
{
    for (size_t i = 0; i < t->n; i++)
        free_target(&t->target[i]);
    free(t->target);
    *t = (struct at_targets){.n = 0};
}
