/*
 * targets.c - what a question is asked of
 */
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "catalog.h"
#include "files.h"
#include "held.h"
#include "indexing.h"
#include "query.h"

static void free_target(struct at_target *target)
{
    free(target->trace);
    free(target->index);
    free(target->stream);
    at_held_close(target->held);
}

/* Takes over what is its own. */
static enum at_status add(struct at_targets *t, struct at_target *target,
                          struct at_error *err)
{
    struct at_target *p = t->target;

    if (t->n == t->room) {
        const size_t room = t->room * 2 + 16;

        p = realloc(t->target, room * sizeof(*p));
        if (p != NULL) {
            t->target = p;
            t->room = room;
        }
    }
    if (p == NULL || target->trace == NULL || target->stream == NULL) {
        free_target(target);
        return at_error_set(err, AT_ERR_MEMORY, "out of memory");
    }
    target->lane = t->lanes - 1;
    t->target[t->n++] = *target;
    return AT_OK;
}

/* Only in a pcap file all packets have one link type. */
static int link_of(enum at_format format, uint16_t linktype)
{
    return format == AT_FORMAT_PCAP || format == AT_FORMAT_PCAP_US ? linktype
                                                                   : -1;
}

/* ---- archives -------------------------------------------------------- */

/* A segment that at-ingest will replace: *there is false if it has, which the
 * catalogue says once the files are open.  One that cannot be opened is an
 * error when it is read. */
static enum at_status hold(struct at_target *target, struct at_archive *a,
                           const struct at_segment *seg, bool *there,
                           struct at_error *err)
{
    const enum at_status st = at_held_open(&target->held, target->trace,
                                           target->index, err);

    return st != AT_ERR_MEMORY ? at_archive_has(a, seg, there, err) : st;
}

static bool is_in_range(const struct at_query *q, const struct at_segment *seg)
{
    return seg->packets > 0 && seg->first_ns < q->to_ns &&
           seg->last_ns >= q->from_ns;
}

/* Whether an index has the names, if the question wants some. */
static bool has_names(const struct at_query *q, const char *index)
{
    struct at_index *ix;
    bool has;

    if (!q->tracking.names || at_index_open(&ix, index, NULL, NULL) != AT_OK)
        return true; /* what is wrong with it is said when it is used */
    has = at_index_info(ix)->tracking.names;
    at_index_close(ix);
    return has;
}

/* A segment whose index is of another version, or has no names where they are
 * wanted, is read whole. */
static enum at_status add_segment(struct at_targets *t,
                                  const struct at_query *q,
                                  struct at_archive *a,
                                  const struct at_segment *seg, int64_t last_ns,
                                  bool *there, struct at_error *err)
{
    struct at_target target = {.trace = at_archive_path(a, seg->path),
                               .stream = strdup(seg->stream),
                               .segment = true,
                               .outside = !is_in_range(q, seg),
                               .gone = seg->gone_ns != 0,
                               .linktype = link_of(seg->format, seg->linktype),
                               .stream_last_ns = last_ns};
    enum at_status st = AT_OK;

    if (target.trace != NULL) {
        target.index = at_index_path(target.trace);
        target.archive_bytes = strlen(target.trace) - strlen(seg->path) - 1;
    }
    if (target.index != NULL &&
        (at_index_is_other(target.index) ||
         (!target.gone && !target.outside && !has_names(q, target.index)))) {
        free(target.index);
        target.index = NULL;
    }
    if (seg->pending && target.trace != NULL)
        st = hold(&target, a, seg, there, err);
    if (st == AT_OK && *there)
        return add(t, &target, err);
    free_target(&target);
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

/* Whether the stream of segment 'i', which is its first, has any in the range.
 */
static bool has_any_in_range(const struct at_query *q,
                             const struct at_segments *list, size_t i)
{
    const char *stream = list->segment[i].stream;

    for (; i < list->n && strcmp(list->segment[i].stream, stream) == 0; i++)
        if (is_in_range(q, &list->segment[i]))
            return true;
    return false;
}

/* *there is false if the list is no longer what the archive holds. */
static enum at_status add_listed(struct at_targets *t, struct at_archive *a,
                                 const struct at_segments *list,
                                 const struct at_query *q, bool *there,
                                 struct at_error *err)
{
    int64_t last_ns = AT_TIME_MIN;
    bool lane = false; /* the stream has one */
    bool any = false;  /* and an answer */
    enum at_status st = AT_OK;

    for (size_t i = 0; i < list->n && st == AT_OK && *there; i++) {
        const struct at_segment *seg = &list->segment[i];

        if (i == 0 || strcmp(seg->stream, seg[-1].stream) != 0) {
            last_ns = last_of_stream(list, i);
            any = has_any_in_range(q, list, i);
            lane = false;
        }
        if (!any || !may_answer(q, a, seg)) {
            t->without += is_in_range(q, seg);
            continue;
        }
        t->lanes += !lane;
        lane = true;
        st = add_segment(t, q, a, seg, last_ns, there, err);
    }
    return st;
}

static void take_back(struct at_targets *t, const struct at_targets *before)
{
    while (t->n > before->n)
        free_target(&t->target[--t->n]);
    t->lanes = before->lanes;
    t->without = before->without;
}

/* A list is a snapshot once the files that go with the next run of at-ingest
 * are held; each new look means that such a run has ended meanwhile. */
static enum at_status add_archive(struct at_targets *t, const char *path,
                                  const struct at_query *q,
                                  struct at_error *err)
{
    const struct at_targets before = *t;
    struct at_segments list = {.n = 0};
    struct at_archive *a;
    bool there = false;
    enum at_status st = at_archive_open(&a, path, false, err);

    if (st != AT_OK)
        return st;
    while (st == AT_OK && !there) {
        there = true;
        take_back(t, &before);
        st = at_archive_segments(a, NULL, q->beyond ? AT_TIME_MIN : q->from_ns,
                                 q->beyond ? AT_TIME_MAX : q->to_ns, &list,
                                 err);
        if (st == AT_OK)
            st = add_listed(t, a, &list, q, &there, err);
        at_segments_free(&list);
    }
    if (st == AT_OK)
        st = at_query_tell_gone(q, a, path, err);
    at_archive_close(a);
    return st;
}

/* ---- files ----------------------------------------------------------- */

/* FILE.idx if it is there and of this file as it is now; else NULL. */
static char *index_beside(const char *trace, const struct at_query *q)
{
    char *path = at_index_path(trace);
    struct at_index *ix;

    if (path != NULL && access(path, R_OK) == 0 &&
        at_index_open(&ix, path, trace, NULL) == AT_OK) {
        const struct at_index_info *info = at_index_info(ix);
        const bool use = info->complete ||
                         (q->reading.salvage && info->salvaged.holes > 0);
        const bool named = info->tracking.names || !q->tracking.names;

        at_index_close(ix);
        if (use && named)
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

static bool is_file(const char *path)
{
    struct stat st;

    return strcmp(path, "-") != 0 && stat(path, &st) == 0 &&
           S_ISREG(st.st_mode);
}

/* What the head of a file says. */
static int link_of_file(const char *path)
{
    const struct at_reader_options opts = {.size = sizeof(opts)};
    struct at_reader *rd;
    int linktype;

    if (at_reader_open(&rd, path, &opts, NULL) != AT_OK)
        return -1;
    linktype = link_of(at_reader_info(rd)->format,
                       at_reader_info(rd)->linktype);
    at_reader_close(rd);
    return linktype;
}

/* What is no file can be read once, and so not even looked at before. */
static enum at_status add_file(struct at_targets *t, const char *path,
                               const struct at_query *q, struct at_error *err)
{
    struct at_target target = {.linktype = -1, .stream_last_ns = AT_TIME_MIN};
    char copy[AT_HELD_PATH];
    enum at_status st = AT_OK;

    if (is_file(path)) {
        target.index = index_beside(path, q);
        target.linktype = link_of_file(path);
    } else if (q->again) {
        st = at_held_copy(&target.held, path, q->stop, err);
    }
    if (st != AT_OK)
        return st;
    if (target.held != NULL) {
        at_held_path(target.held, copy);
        target.linktype = link_of_file(copy);
    }
    target.trace = strdup(path);
    target.stream = strdup(last_part(path));
    t->files = true;
    t->lanes++;
    return add(t, &target, err);
}

enum at_status at_targets_add(struct at_targets *t, const struct at_query *q,
                              const char *path, struct at_error *err)
{
    return at_archive_is(path) ? add_archive(t, path, q, err)
                               : add_file(t, path, q, err);
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

void at_targets_close(struct at_targets *t)
{
    for (size_t i = 0; i < t->n; i++)
        free_target(&t->target[i]);
    free(t->target);
    *t = (struct at_targets){.n = 0};
}
