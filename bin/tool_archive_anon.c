/*
 * tool_archive_anon.c - at-archive anonymise
 *
 * Each segment of one archive is taken into another as at-ingest takes files,
 * with what is done to packets on the way: so the indexes are made of what is
 * written, and a run that is stopped is gone on with by the next.  A pending
 * segment would be another input when it has grown, and its packets there
 * twice: it is left until it is sealed.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "app.h"
#include "ingest.h"
#include "tool_archive.h"

#define HOUR INT64_C(3600000000000)

struct copying {
    struct archive *ar;
    const char *to;
    struct at_ingest how;
    struct tool_progress progress;
    uint64_t total_bytes, done_bytes;
    struct tool_summary summary;
    uint64_t segments, pending, gone, dropped;
    int status;
};

static bool progress(void *ctx, uint64_t done, uint64_t total, uint64_t packets)
{
    struct copying *c = ctx;

    (void)total;
    tool_progress_update(&c->progress, c->done_bytes + done, c->total_bytes,
                         c->summary.packets + packets);
    return !tool_stopped();
}

/* The names of segments in messages are those of the archive that is read. */
static void report(void *ctx, const char *input, bool whole,
                   const struct at_error *err)
{
    struct copying *c = ctx;

    tool_progress_end(&c->progress);
    if (err != NULL)
        c->status = tool_error(err);
    else
        tool_verbose("%s: was anonymised already", input);
    if (!whole)
        c->status = TOOL_FAIL;
}

static void holes(void *ctx, const char *input, const struct at_hole *hole,
                  size_t n, const struct at_salvaged *total)
{
    struct copying *c = ctx;

    tool_progress_end(&c->progress);
    tool_holes(input, hole, n, total);
    c->status = total->holes > 0 ? TOOL_FAIL : c->status;
}

/* A segment is cut where it was, so that it becomes one again. */
static int64_t step_of(const struct at_segment *seg)
{
    const int64_t step = seg->end_ns - seg->start_ns;

    return step > 0 && seg->start_ns % step == 0 ? step : HOUR;
}

static enum at_status copy_segment(struct copying *c, struct at_archive *from,
                                   const struct at_segment *seg,
                                   struct at_error *err)
{
    char *trace = at_archive_path(from, seg->path);
    struct at_ingested done;
    enum at_status st;

    if (trace == NULL)
        return at_error_set(err, AT_ERR_MEMORY, "out of memory");
    c->how.stream = seg->stream;
    c->how.rotate_ns = step_of(seg);
    c->how.codec = seg->codec;
    c->how.tracking = at_tracking_default;
    (void)at_index_rules_of(trace, &c->how.tracking);
    c->how.tracking.names = false; /* they are what must not be known */
    c->how.flush = true;
    st = at_ingest_files(c->to, &trace, 1, &c->how, &done, err);
    free(trace);
    if (st < 0)
        return st;
    c->summary.packets += done.packets;
    c->summary.bytes += done.bytes;
    c->dropped += done.dropped;
    c->segments += done.packets > 0;
    c->done_bytes += seg->file_bytes;
    return AT_OK;
}

static int copy_all(struct copying *c, struct at_archive *from,
                    const struct at_segments *list)
{
    struct at_error err;

    for (size_t i = 0; i < list->n; i++)
        c->total_bytes += list->segment[i].file_bytes;
    tool_progress_start(&c->progress, &c->ar->common);
    for (size_t i = 0; i < list->n && !tool_stopped(); i++) {
        if (list->segment[i].gone_ns != 0 || list->segment[i].pending) {
            c->gone += list->segment[i].gone_ns != 0;
            c->pending += list->segment[i].pending;
            continue;
        }
        if (copy_segment(c, from, &list->segment[i], &err) != AT_OK) {
            tool_progress_end(&c->progress);
            return tool_error(&err);
        }
    }
    tool_progress_end(&c->progress);
    if (at_anon_failed(c->ar->anon.anon)) {
        tool_warn("out of memory");
        return TOOL_FAIL;
    }
    return c->status;
}

static void say(struct copying *c)
{
    tool_summary_count(&c->summary, c->segments, "segment", "");
    tool_summary_count(&c->summary, c->dropped, "record", " dropped");
    tool_summary_count(&c->summary, c->gone, "segment",
                       " left out: their packets are gone");
    tool_summary_count(&c->summary, c->pending, "segment",
                       " left out until sealed");
    if (c->ar->anon.keyed)
        tool_summary_add(&c->summary, "key %s", c->ar->anon.key.id);
    tool_summary_print(&c->summary);
}

static int copy_archive(struct copying *c)
{
    const struct archive *ar = c->ar;
    struct at_segments list = {.n = 0};
    struct at_archive *from;
    struct at_error err;
    int status = TOOL_FAIL;
    enum at_status st = at_archive_open(&from, ar->path, false, &err);

    if (st != AT_OK)
        return tool_error(&err);
    st = at_archive_segments(from, ar->stream, ar->selection.from_ns,
                             ar->selection.to_ns, &list, &err);
    status = st == AT_OK ? copy_all(c, from, &list) : tool_error(&err);
    if (st == AT_OK && !tool_stopped())
        say(c);
    at_segments_free(&list);
    at_archive_close(from);
    return status;
}

static int open_and_copy(struct copying *c)
{
    struct at_apps *apps = NULL;
    struct at_error err;
    enum at_status st = at_pool_open(&c->how.pool, tool_threads(&c->ar->common),
                                     &err);
    int status;

    if (st == AT_OK)
        st = at_apps_open(&apps, c->ar->rules, &err);
    c->how.apps = apps;
    status = st == AT_OK ? copy_archive(c) : tool_error(&err);
    at_apps_close(apps);
    at_pool_close(c->how.pool);
    return status;
}

int tool_archive_anonymise(struct archive *ar)
{
    struct copying c = {
        .ar = ar,
        .how = {.progress = progress,
                .report = report,
                .holes = holes,
                .reading.salvage = ar->common.salvage},
    };
    int status;

    if (ar->words != 1)
        tool_usage_error("an archive and another that it is to become must be "
                         "named");
    if (strcmp(ar->path, ar->word[0]) == 0)
        tool_usage_error("an archive cannot be anonymised in its place");
    c.to = ar->word[0];
    c.how.progress_ctx = c.how.report_ctx = c.how.holes_ctx = &c;
    tool_summary_start(&c.summary);
    status = tool_anon_open(&ar->anon);
    if (status == TOOL_OK) {
        c.how.change = tool_anon_change(&ar->anon);
        status = open_and_copy(&c);
    }
    tool_anon_close(&ar->anon);
    return status;
}
