/*
 * tool_archive_keep.c - at-archive remove and expire
 */
#include <inttypes.h>
#include <stdlib.h>

#include "retention.h"
#include "tool_archive.h"

static enum at_status open_archive(const struct archive *ar,
                                   struct at_archive **a,
                                   struct at_segments *list,
                                   struct at_error *err)
{
    enum at_status st = at_archive_open(a, ar->path, !ar->dry_run, err);

    *list = (struct at_segments){.n = 0};
    if (st != AT_OK)
        return st;
    st = at_archive_segments(*a, ar->stream, AT_TIME_MIN, AT_TIME_MAX, list,
                             err);
    if (st != AT_OK) {
        at_archive_close(*a);
        *a = NULL;
    }
    return st;
}

/* What goes is printed where nothing is done, and else said with -v. */
static int take_out(const struct archive *ar, struct at_archive *a,
                    const struct at_segments *list, const char *reason)
{
    struct at_error err;

    if (ar->dry_run)
        return tool_archive_print(ar, list);
    if (list->n == 0)
        return TOOL_OK;
    for (size_t i = 0; i < list->n; i++)
        tool_verbose("%s", list->segment[i].path);
    return at_archive_remove(a, list, ar->keep_index, at_time_now(), reason,
                             &err) == AT_OK
               ? TOOL_OK
               : tool_error(&err);
}

static void say(const struct archive *ar, const struct at_segments *list,
                const char *done, const struct at_retained *stays)
{
    char freed[TOOL_NUMBER_TEXT], left[TOOL_NUMBER_TEXT], n[TOOL_NUMBER_TEXT],
        all[TOOL_NUMBER_TEXT];

    tool_note("%s segment%s %s%s%s, %s %s; %s left, %s",
              tool_format_grouped(n, list->n), list->n == 1 ? "" : "s",
              ar->dry_run ? "would be " : "", done,
              ar->keep_index ? " but for the index" : "",
              tool_format_bytes(freed, stays->freed_bytes),
              ar->dry_run ? "would be free" : "freed",
              tool_format_grouped(all, stays->segments),
              tool_format_bytes(left, stays->bytes));
}

/* ---- remove ---------------------------------------------------------- */

/* Segments that were named, or lie as a whole in the range. */
static void choose(const struct archive *ar, struct at_segments *list,
                   struct at_retained *stays)
{
    size_t n = 0;

    for (size_t i = 0; i < list->n; i++) {
        const struct at_segment seg = list->segment[i];

        if (seg.first_ns >= ar->selection.from_ns &&
            seg.last_ns < ar->selection.to_ns &&
            !(ar->keep_index && seg.gone_ns != 0)) {
            stays->freed_bytes += seg.file_bytes;
            stays->freed_bytes += ar->keep_index ? 0 : seg.index_bytes;
            list->segment[n++] = seg;
            continue;
        }
        free(seg.stream);
        free(seg.path);
    }
    list->n = n;
    stays->bytes -= stays->freed_bytes;
    stays->segments -= ar->keep_index ? 0 : n;
}

int tool_archive_remove(struct archive *ar)
{
    struct at_segments list;
    struct at_retained stays = {.segments = 0};
    struct at_archive *a;
    struct at_error err;
    int status;

    if (ar->words == 0 && ar->stream == NULL &&
        !tool_selection_given(&ar->selection))
        tool_usage_error("what is to be removed must be named: segments, a "
                         "range of time or a stream");
    if (open_archive(ar, &a, &list, &err) != AT_OK)
        return tool_error(&err);
    stays.segments = list.n;
    for (size_t i = 0; i < list.n; i++)
        stays.bytes += list.segment[i].file_bytes + list.segment[i].index_bytes;
    status = tool_archive_name(ar, &list);
    if (status == TOOL_OK) { /* nothing goes if a name is wrong */
        choose(ar, &list, &stays);
        status = take_out(ar, a, &list, "removed");
    }
    if (status == TOOL_OK)
        say(ar, &list, "removed", &stays);
    at_segments_free(&list);
    at_archive_close(a);
    return status;
}

/* ---- expire ---------------------------------------------------------- */

int tool_archive_expire(struct archive *ar)
{
    struct at_retention how = {
        .before_ns = ar->older_ns > 0 ? at_time_now() - ar->older_ns
                                      : AT_TIME_MIN,
        .most_bytes = ar->most_bytes,
        .keep_index = ar->keep_index,
    };
    struct at_segments list;
    struct at_retained stays;
    struct at_archive *a;
    struct at_error err;
    int status;

    if (ar->older_ns <= 0 && ar->most_bytes == UINT64_MAX)
        tool_usage_error("expire by what? --older-than, --max-size or both");
    if (open_archive(ar, &a, &list, &err) != AT_OK)
        return tool_error(&err);
    at_retention_choose(&how, &list, &stays);
    status = take_out(ar, a, &list, "expired");
    if (status == TOOL_OK)
        say(ar, &list, "expired", &stays);
    if (status == TOOL_OK && stays.bytes > ar->most_bytes) {
        tool_warn("%s: %" PRIu64 " bytes are left, more than %" PRIu64
                  ": indexes without packets take them",
                  ar->path, stays.bytes, ar->most_bytes);
        status = TOOL_FAIL;
    }
    at_segments_free(&list);
    at_archive_close(a);
    return status;
}
