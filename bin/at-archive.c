/*
 * at-archive - what an archive holds
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "app_renew.h"
#include "catalog.h"
#include "files.h"
#include "json.h"
#include "tool.h"

struct archive {
    struct tool_common common;
    struct tool_selection selection;
    const char *stream;
    const char *rules; /* a file of the user's; NULL: there is none */
    bool app;
};

/* ---- init ------------------------------------------------------------ */

static int archive_init(struct archive *ar, const char *path)
{
    struct at_error err;

    (void)ar;
    return at_archive_init(path, &err) == AT_OK ? TOOL_OK : tool_error(&err);
}

/* ---- list ------------------------------------------------------------ */

/* To the second, as the boundaries of segments are. */
static void format_time(char *buf, int64_t ns, bool local)
{
    char *dot;

    at_time_format(buf, ns, local);
    dot = strchr(buf, '.');
    if (dot != NULL)
        memmove(dot, dot + 10, strlen(dot + 10) + 1);
}

static void print_head(int stream_width)
{
    printf("%-*s %-20s %-20s %11s %11s %10s %10s %7s %s\n", stream_width,
           "stream", "first", "last", "packets", "bytes", "flows", "size",
           "index", "path");
}

static void print_row(const struct archive *ar, const struct at_segment *seg,
                      int stream_width)
{
    char first[AT_TIME_TEXT], last[AT_TIME_TEXT];
    char bytes[TOOL_NUMBER_TEXT], size[TOOL_NUMBER_TEXT],
        index[TOOL_NUMBER_TEXT];

    format_time(first, seg->first_ns, ar->common.local);
    format_time(last, seg->last_ns, ar->common.local);
    printf("%-*s %-20s %-20s %11" PRIu64 " %11s %10" PRIu64 " %10s %7s %s\n",
           stream_width, seg->stream, first, last, seg->packets,
           tool_format_bytes(bytes, seg->captured_bytes), seg->flows,
           tool_format_bytes(size, seg->file_bytes),
           tool_format_bytes(index, seg->index_bytes), seg->path);
}

static void print_json(const struct at_segment *seg)
{
    printf("{\"stream\":");
    at_json_text(stdout, seg->stream);
    printf(",\"path\":");
    at_json_text(stdout, seg->path);
    printf(",\"state\":\"%s\",\"start\":\"%" PRId64 "\",\"end\":\"%" PRId64
           "\","
           "\"first\":\"%" PRId64 "\",\"last\":\"%" PRId64 "\","
           "\"packets\":%" PRIu64 ",\"captured_bytes\":%" PRIu64
           ",\"wire_bytes\":%" PRIu64 ",\"flows\":%" PRIu64
           ",\"file_bytes\":%" PRIu64 ",\"index_bytes\":%" PRIu64
           ",\"format\":\"%s\"}\n",
           seg->pending ? "pending" : "sealed", seg->start_ns, seg->end_ns,
           seg->first_ns, seg->last_ns, seg->packets, seg->captured_bytes,
           seg->wire_bytes, seg->flows, seg->file_bytes, seg->index_bytes,
           at_format_name(seg->format));
}

static void print_list(const struct archive *ar, const struct at_segments *list)
{
    int width = (int)strlen("stream");

    for (size_t i = 0; i < list->n; i++)
        if ((int)strlen(list->segment[i].stream) > width)
            width = (int)strlen(list->segment[i].stream);
    if (!ar->common.json)
        print_head(width);
    for (size_t i = 0; i < list->n; i++) {
        if (ar->common.json)
            print_json(&list->segment[i]);
        else
            print_row(ar, &list->segment[i], width);
    }
}

static int archive_list(struct archive *ar, const char *path)
{
    struct at_segments list;
    struct at_archive *a;
    struct at_error err;
    enum at_status st = at_archive_open(&a, path, false, &err);

    if (st != AT_OK)
        return tool_error(&err);
    st = at_archive_segments(a, ar->stream, ar->selection.from_ns,
                             ar->selection.to_ns, &list, &err);
    at_archive_close(a);
    if (st != AT_OK)
        return tool_error(&err);
    print_list(ar, &list);
    at_segments_free(&list);
    return TOOL_OK;
}

/* ---- reindex --------------------------------------------------------- */

static enum at_status renew_segment(struct at_archive *a,
                                    const struct at_segment *seg,
                                    const struct at_apps *apps,
                                    uint64_t *changed, struct at_error *err)
{
    char *trace = at_archive_path(a, seg->path);
    char *index = trace != NULL ? at_path_append(trace, ".idx") : NULL;
    enum at_status st = AT_ERR_MEMORY;

    *changed = 0;
    if (index == NULL)
        at_error_set(err, st, "out of memory");
    else
        st = at_app_renew(index, apps, changed, err);
    if (st == AT_OK && *changed > 0)
        st = at_archive_note_index(a, seg->id, at_file_bytes(index), err);
    free(trace);
    free(index);
    return st;
}

static int renew_all(struct at_archive *a, const struct at_segments *list,
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
    tool_note("%s of %s flows have another application or confidence",
              tool_format_grouped(flows, all), tool_format_grouped(of, total));
    return status;
}

static int archive_reindex(struct archive *ar, const char *path)
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
        st = at_archive_open(&a, path, true, &err);
    if (st == AT_OK)
        st = at_archive_segments(a, ar->stream, ar->selection.from_ns,
                                 ar->selection.to_ns, &list, &err);
    if (st == AT_OK)
        status = renew_all(a, &list, apps);
    else
        status = tool_error(&err);
    at_segments_free(&list);
    at_archive_close(a);
    at_apps_close(apps);
    return status;
}

/* ---- main ------------------------------------------------------------ */

static const struct {
    const char *name;
    int (*run)(struct archive *ar, const char *path);
} verbs[] = {
    {"init", archive_init},
    {"list", archive_list},
    {"reindex", archive_reindex},
};

int main(int argc, char *argv[])
{
    struct archive ar = {.stream = NULL};
    const struct tool_option options[] = {
        TOOL_TEXT(0, "stream", &ar.stream, "NAME", "of that stream only"),
        TOOL_FLAG(0, "app", &ar.app,
                  "reindex: name the applications of flows anew, without "
                  "reading packets"),
        TOOL_TEXT(0, "rules", &ar.rules, "FILE",
                  "rules of applications that come before the built-in ones"),
        TOOL_SELECTION_BUT(&ar.selection,
                           TOOL_NO_FILTER | TOOL_NO_BPF | TOOL_NO_LIMIT),
        TOOL_COMMON_BUT(&ar.common, TOOL_NO_THREADS | TOOL_NO_PROGRESS |
                                        TOOL_NO_STRICT | TOOL_NO_SALVAGE),
        TOOL_END,
    };
    int i = tool_parse(argc, argv,
                       "init|list|reindex [--json] [--app] "
                       "[--rules file] archive",
                       options);

    if (argc - i != 2)
        tool_usage_error("a verb and an archive must be named");
    tool_selection_resolve(&ar.selection);
    for (size_t k = 0; k < sizeof(verbs) / sizeof(verbs[0]); k++)
        if (strcmp(argv[i], verbs[k].name) == 0)
            return tool_finish(verbs[k].run(&ar, argv[i + 1]));
    tool_usage_error("there is no '%s' here; there are init, list and reindex",
                     argv[i]);
}
