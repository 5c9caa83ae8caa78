/*
 * tool_archive_check.c - at-archive verify and repair
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "app.h"
#include "repair.h"
#include "tool_archive.h"
#include "verify.h"

struct checking {
    const struct archive *ar;
    struct tool_progress progress;
    uint64_t total_bytes;
    struct tool_summary summary;
    struct at_verified done;
};

static bool progress(void *ctx, uint64_t done, uint64_t total, uint64_t packets)
{
    struct checking *c = ctx;

    (void)total;
    tool_progress_update(&c->progress, done, c->total_bytes, packets);
    return !tool_stopped();
}

static void trouble(void *ctx, const struct at_error *what)
{
    struct checking *c = ctx;

    tool_progress_end(&c->progress);
    tool_error(what);
}

static void note(void *ctx, const struct at_error *what)
{
    (void)ctx;
    tool_note("%s", what->msg);
}

/* Where indexes are made to be compared: the archive may be read-only. */
static char *make_folder(void)
{
    const char *dir = getenv("TMPDIR");
    char *path;

    if (asprintf(&path, "%s/at-archive-XXXXXX",
                 dir != NULL && *dir != '\0' ? dir : "/tmp") < 0)
        return NULL;
    if (mkdtemp(path) != NULL)
        return path;
    tool_warn("%s: cannot create: %s", path, strerror(errno));
    free(path);
    return NULL;
}

static int verify_all(struct checking *c, struct at_archive *a,
                      const struct at_segments *list, struct at_verify *how)
{
    struct at_error err;
    enum at_status st = at_verify_catalog(a, how, &c->done, &err);

    tool_progress_start(&c->progress, &c->ar->common);
    if (st == AT_OK)
        st = at_verify_segments(a, list, how, &c->done, &err);
    tool_progress_end(&c->progress);
    if (st != AT_OK)
        return tool_error(&err);
    c->summary.packets = c->done.packets;
    c->summary.bytes = c->done.bytes;
    tool_summary_count(&c->summary, c->done.segments, "segment", "");
    tool_summary_count(&c->summary, c->done.damaged, "segment", " damaged");
    if (c->done.troubles > 0)
        tool_summary_count(&c->summary, c->done.troubles, "trouble", "");
    else
        tool_summary_add(&c->summary, "all as written");
    if (!c->done.stopped)
        tool_summary_print(&c->summary);
    return c->done.troubles > 0 ? TOOL_FAIL : TOOL_OK;
}

static int verify_with(struct checking *c, struct at_archive *a,
                       const struct at_segments *list, struct at_pool *pool,
                       const struct at_apps *apps)
{
    char *folder = make_folder();
    struct at_verify how = {
        .pool = pool,
        .apps = apps,
        .folder = folder,
        .deep = c->ar->deep,
        .progress = progress,
        .progress_ctx = c,
        .trouble = trouble,
        .note = note,
        .ctx = c,
    };
    int status;

    if (folder == NULL)
        return TOOL_FAIL;
    status = verify_all(c, a, list, &how);
    rmdir(folder);
    free(folder);
    return status;
}

static void add_bytes(struct checking *c, const struct at_segments *list)
{
    for (size_t i = 0; i < list->n; i++)
        c->total_bytes += list->segment[i].file_bytes +
                          list->segment[i].index_bytes;
}

int tool_archive_verify(struct archive *ar)
{
    struct checking c = {.ar = ar};
    struct at_segments list = {.n = 0};
    struct at_archive *a = NULL;
    struct at_pool *pool = NULL;
    struct at_apps *apps = NULL;
    struct at_error err;
    int status = TOOL_FAIL;
    enum at_status st = at_pool_open(&pool, tool_threads(&ar->common), &err);

    tool_summary_start(&c.summary);
    if (st == AT_OK)
        st = at_apps_open(&apps, ar->rules, &err);
    if (st == AT_OK)
        st = at_archive_open(&a, ar->path, false, &err);
    if (st == AT_OK)
        st = at_archive_segments(a, ar->stream, ar->selection.from_ns,
                                 ar->selection.to_ns, &list, &err);
    if (st != AT_OK) {
        status = tool_error(&err);
    } else {
        status = tool_archive_name(ar, &list);
        add_bytes(&c, &list);
        if (verify_with(&c, a, &list, pool, apps) != TOOL_OK)
            status = TOOL_FAIL;
    }
    at_segments_free(&list);
    at_archive_close(a);
    at_apps_close(apps);
    at_pool_close(pool);
    return status;
}

/* ---- repair ---------------------------------------------------------- */

static void left(void *ctx, const struct at_error *what)
{
    struct checking *c = ctx;

    tool_progress_end(&c->progress);
    tool_warn("%s", what->msg);
}

static int repair_with(struct checking *c, struct at_pool *pool,
                       const struct at_apps *apps)
{
    const struct at_repair how = {
        .pool = pool,
        .apps = apps,
        .salvage = c->ar->common.salvage,
        .progress = progress,
        .progress_ctx = c,
        .trouble = trouble,
        .fixed = note,
        .note = note,
        .left = left,
        .ctx = c,
    };
    struct at_repaired done;
    struct at_error err;
    enum at_status st;

    tool_progress_start(&c->progress, &c->ar->common);
    st = at_repair_archive(c->ar->path, &how, &done, &err);
    tool_progress_end(&c->progress);
    if (st != AT_OK)
        return tool_error(&err);
    c->summary.packets = done.seen.packets;
    c->summary.bytes = done.seen.bytes;
    tool_summary_count(&c->summary, done.seen.segments, "segment", "");
    tool_summary_count(&c->summary, done.fixed, "thing", " put right");
    tool_summary_count(&c->summary, done.left, "thing", " left as damaged");
    if (done.fixed + done.left == 0)
        tool_summary_add(&c->summary, "nothing to repair");
    if (!done.seen.stopped)
        tool_summary_print(&c->summary);
    return done.left > 0 ? TOOL_FAIL : TOOL_OK;
}

int tool_archive_repair(struct archive *ar)
{
    struct checking c = {.ar = ar};
    struct at_pool *pool = NULL;
    struct at_apps *apps = NULL;
    struct at_error err;
    int status = TOOL_FAIL;
    enum at_status st = at_pool_open(&pool, tool_threads(&ar->common), &err);

    tool_summary_start(&c.summary);
    if (st == AT_OK)
        st = at_apps_open(&apps, ar->rules, &err);
    status = st == AT_OK ? repair_with(&c, pool, apps) : tool_error(&err);
    at_apps_close(apps);
    at_pool_close(pool);
    return status;
}
