/*
 * at-index - make the flow indexes of capture files
 */
#include <stdlib.h>

#include "indexing.h"
#include "tool_tracking.h"

struct index {
    struct tool_common common;
    struct at_indexing how;
    struct at_apps *apps;
    const char *rules; /* a file of the user's; NULL: there is none */
    const char *output;
    struct tool_progress progress;
    struct tool_summary summary;
    uint64_t flows;
    uint64_t forced; /* flows that ended because there were too many */
    uint64_t names_lost;
    unsigned indexed; /* files */
    bool damaged;     /* one of them; its holes were said */
};

static bool progress(void *ctx, uint64_t done, uint64_t total, uint64_t packets)
{
    struct index *index = ctx;

    tool_progress_update(&index->progress, done, total, packets);
    return !tool_stopped();
}

static void holes(void *ctx, const char *trace, const struct at_hole *hole,
                  size_t n, const struct at_salvaged *total)
{
    struct index *index = ctx;

    tool_progress_end(&index->progress);
    tool_holes(trace, hole, n, total);
    index->damaged |= total->holes > 0;
}

static int index_one(struct index *index, const char *trace)
{
    struct at_index_totals totals;
    struct at_error err;
    bool written;
    char *path = index->output != NULL ? NULL : at_index_path(trace);
    enum at_status st = at_index_file(trace,
                                      path != NULL ? path : index->output,
                                      &index->how, &totals, &written, &err);

    tool_progress_end(&index->progress);
    free(path);
    if (written) {
        index->summary.packets += totals.packets;
        index->summary.bytes += totals.captured_bytes;
        index->flows += totals.flows;
        index->forced += totals.forced;
        index->names_lost += totals.names_lost;
        index->indexed++;
    }
    if (st < 0)
        tool_error(&err);
    return st == AT_OK ? TOOL_OK : TOOL_FAIL;
}

int main(int argc, char *argv[])
{
    struct index index = {
        .how = {.tracking = at_tracking_default,
                .stream = "",
                .reading.spacing = AT_INDEX_SPACING},
    };
    const struct tool_option options[] = {
        TOOL_TEXT('o', "output", &index.output, "INDEX",
                  "write the index there, not to FILE.idx"),
        TOOL_COUNT(0, "spacing", &index.how.reading.spacing, "SIZE",
                   "gzip: note a point to read from about every so many "
                   "decoded bytes (4Mi); 0: none"),
        TOOL_TEXT(0, "rules", &index.rules, "FILE",
                  "rules of applications that come before the built-in ones"),
        TOOL_TEXT(0, "stream", &index.how.stream, "NAME",
                  "the stream that the file is of"),
        TOOL_TRACKING(&index.how.tracking),
        TOOL_INPUT(&index.how.reading),
        TOOL_COMMON_BUT(&index.common,
                        TOOL_NO_STRICT | TOOL_NO_JSON | TOOL_NO_LOCAL),
        TOOL_END,
    };
    struct at_paths paths = {.n = 0};
    struct at_error err;
    int status;
    int i = tool_parse(argc, argv,
                       "[-o index] [--rules file] [--spacing size] "
                       "[--flow-key list] [--names] [--timeout list] "
                       "[--max-flows count] [-j threads] "
                       "file ...",
                       options);

    if (i == argc)
        tool_usage_error("no file is named");
    tool_tracking_check(&index.how.tracking);
    if (at_pool_open(&index.how.pool, tool_threads(&index.common), &err) !=
        AT_OK)
        return tool_finish(tool_error(&err));
    if (at_apps_open(&index.apps, index.rules, &err) != AT_OK)
        return tool_finish(tool_error(&err));
    index.how.apps = index.apps;
    index.how.progress = progress;
    index.how.progress_ctx = index.how.holes_ctx = &index;
    index.how.reading.salvage = index.common.salvage;
    index.how.holes = holes;
    tool_summary_start(&index.summary);
    tool_progress_start(&index.progress, &index.common);
    status = tool_inputs(&paths, argv + i, (size_t)(argc - i));
    if (index.output != NULL && paths.n > 1)
        tool_usage_error("-o is for one file");
    for (size_t k = 0; k < paths.n && !tool_stopped(); k++)
        if (index_one(&index, paths.path[k]) != TOOL_OK)
            status = TOOL_FAIL; /* go on: the other files may be fine */
    at_paths_close(&paths);
    tool_summary_count(&index.summary, index.flows, "flow", "");
    tool_summary_count(&index.summary, index.forced, "flow",
                       " ended early because too many were open");
    tool_summary_count(&index.summary, index.names_lost, "name",
                       TOOL_NAMES_LOST);
    if (index.indexed > 0)
        tool_summary_print(&index.summary);
    at_pool_close(index.how.pool);
    at_apps_close(index.apps);
    return tool_finish(index.damaged ? TOOL_FAIL : status);
}
