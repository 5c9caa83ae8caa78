/*
 * tool_archive_reindex.c - at-archive reindex
 *
 * While indexes change their digests are not known, so that one that was
 * replaced when the process was stopped is not taken for damaged.
 */
#include <stdlib.h>

#include "app_renew.h"
#include "indexing.h"
#include "tool_archive.h"

/* A damaged index must not become a new one that looks whole. */
static enum at_status check_digest(const char *index,
                                   const struct at_digest *was,
                                   struct at_error *err)
{
    struct at_digest is;
    enum at_status st;

    if (!was->known)
        return AT_OK;
    st = at_digest_of(&is, index, NULL, err);
    if (st == AT_OK && !at_digest_same(&is, was))
        st = at_error_set(err, AT_ERR_CORRUPT,
                          "%s: damaged: see at-archive repair", index);
    return st;
}

static enum at_status renew_segment(struct at_archive *a,
                                    struct at_segment *seg,
                                    const struct at_apps *apps,
                                    uint64_t *changed, struct at_error *err)
{
    char *trace = at_archive_path(a, seg->path);
    char *index = trace != NULL ? at_index_path(trace) : NULL;
    enum at_status st = AT_ERR_MEMORY;

    *changed = 0;
    if (index == NULL)
        at_error_set(err, st, "out of memory");
    else
        st = check_digest(index, &seg->index_digest, err);
    if (st == AT_OK)
        st = at_app_renew(index, apps, changed, err);
    if (st == AT_OK && *changed > 0)
        st = at_digest_of(&seg->index_digest, index, &seg->index_bytes, err);
    free(trace);
    free(index);
    return st;
}

static int renew_all(struct at_archive *a, struct at_segments *list,
                     const struct at_apps *apps)
{
    char flows[TOOL_NUMBER_TEXT], of[TOOL_NUMBER_TEXT];
    uint64_t changed, all = 0, total = 0;
    struct at_error err;
    int status = TOOL_OK;

    for (size_t i = 0; i < list->n && !tool_stopped(); i++) {
        /* go on: the other segments may be fine */
        if (renew_segment(a, &list->segment[i], apps, &changed, &err) != AT_OK)
            status = tool_error(&err);
        all += changed;
        total += list->segment[i].flows;
    }
    if (at_archive_note_indexes(a, list, &err) != AT_OK)
        status = tool_error(&err);
    tool_note("%s of %s flows have another application or confidence",
              tool_format_grouped(flows, all), tool_format_grouped(of, total));
    return status;
}

static enum at_status forget_digests(struct at_archive *a,
                                     const struct at_segments *list,
                                     struct at_error *err)
{
    struct at_segments unknown = {.n = list->n};
    enum at_status st;

    if (list->n == 0)
        return AT_OK;
    unknown.segment = calloc(list->n, sizeof(unknown.segment[0]));
    if (unknown.segment == NULL)
        return at_error_set(err, AT_ERR_MEMORY, "out of memory");
    for (size_t i = 0; i < list->n; i++) {
        unknown.segment[i] = list->segment[i];
        unknown.segment[i].index_digest.known = false;
    }
    st = at_archive_note_indexes(a, &unknown, err);
    free(unknown.segment);
    return st;
}

int tool_archive_reindex(struct archive *ar)
{
    struct at_segments list = {.n = 0};
    struct at_archive *a = NULL;
    struct at_apps *apps = NULL;
    struct at_error err;
    enum at_status st;
    int status = TOOL_FAIL;

    if (!ar->app)
        tool_usage_error("reindex does only applications: --app");
    st = at_apps_open(&apps, ar->rules, &err);
    if (st == AT_OK)
        st = at_archive_open(&a, ar->path, true, &err);
    if (st == AT_OK)
        st = at_archive_segments(a, ar->stream, ar->selection.from_ns,
                                 ar->selection.to_ns, &list, &err);
    if (st == AT_OK)
        st = forget_digests(a, &list, &err);
    if (st == AT_OK)
        status = renew_all(a, &list, apps);
    else
        status = tool_error(&err);
    at_segments_free(&list);
    at_archive_close(a);
    at_apps_close(apps);
    return status;
}
