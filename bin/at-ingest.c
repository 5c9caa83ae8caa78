/*
 * at-ingest - take capture files into an archive
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ingest.h"
#include "tool_anon.h"
#include "tool_tracking.h"

#define SECOND INT64_C(1000000000)

struct ingest {
    struct tool_common common;
    struct at_ingest how;
    struct tool_anon anon; /* where a policy is given */
    struct at_apps *apps;
    const char *rules; /* a file of the user's; NULL: there is none */
    const char *codec;
    int64_t settle_ns;
    bool remove;
    struct at_paths inputs;
    struct at_paths damaged; /* not all of it is in the archive */
    struct tool_progress progress;
    struct tool_summary summary;
};

/* ---- inputs ---------------------------------------------------------- */

static bool has_settled(const struct ingest *in, const struct stat *st)
{
    const int64_t changed = st->st_mtim.tv_sec * SECOND + st->st_mtim.tv_nsec;

    return at_time_now() - changed >= in->settle_ns;
}

/* Of what lies in a directory, not files that may still be written. */
static bool take(void *ctx, const char *path, const struct stat *st)
{
    const struct ingest *in = ctx;

    return tool_take(NULL, path, st) &&
           (!S_ISREG(st->st_mode) || has_settled(in, st));
}

static int add_inputs(struct ingest *in, char *word[], size_t n)
{
    int status = TOOL_OK;

    in->inputs.take = take;
    in->inputs.ctx = in;
    for (size_t i = 0; i < n; i++) {
        struct at_error err;

        if (at_paths_add(&in->inputs, word[i], &err) != AT_OK)
            status = tool_error(&err);
    }
    return status;
}

/* ---- the run --------------------------------------------------------- */

static bool progress(void *ctx, uint64_t done, uint64_t total, uint64_t packets)
{
    struct ingest *in = ctx;

    tool_progress_update(&in->progress, done, total, packets);
    return !tool_stopped();
}

/* Without memory for its name a damaged file could be removed as whole. */
static void add_damaged(struct ingest *in, const char *input)
{
    struct at_error err;

    if (at_paths_add(&in->damaged, input, &err) != AT_OK)
        in->remove = false;
}

static void report(void *ctx, const char *input, bool whole,
                   const struct at_error *err)
{
    struct ingest *in = ctx;

    if (err == NULL)
        tool_verbose("%s: is in the archive already", input);
    else
        tool_error(err);
    if (!whole)
        add_damaged(in, input);
}

static void holes(void *ctx, const char *input, const struct at_hole *hole,
                  size_t n, const struct at_salvaged *total)
{
    struct ingest *in = ctx;

    tool_progress_end(&in->progress);
    tool_holes(input, hole, n, total);
    if (total->holes > 0)
        add_damaged(in, input);
}

static bool is_damaged(const struct ingest *in, const char *path)
{
    for (size_t i = 0; i < in->damaged.n; i++)
        if (strcmp(in->damaged.path[i], path) == 0)
            return true;
    return false;
}

/* What is in the archive, durably, may go; a damaged file stays. */
static int remove_inputs(const struct ingest *in)
{
    int status = TOOL_OK;

    for (size_t i = 0; i < in->inputs.n; i++)
        if (!is_damaged(in, in->inputs.path[i]) &&
            unlink(in->inputs.path[i]) != 0) {
            tool_warn("%s: cannot remove", in->inputs.path[i]);
            status = TOOL_FAIL;
        }
    return status;
}

static void set_rotate(void *ctx, const char *arg)
{
    struct at_ingest *how = ctx;
    const size_t n = strlen(arg);
    struct at_error err;
    const bool duration = n > 0 && strchr("smhd", arg[n - 1]) != NULL;

    if (duration && at_duration_parse(&how->rotate_ns, arg, &err) != AT_OK)
        tool_usage_error("%s", err.msg);
    if (!duration && at_size_parse(&how->rotate_bytes, arg, &err) != AT_OK)
        tool_usage_error("%s", err.msg);
    if (how->rotate_ns < SECOND)
        tool_usage_error("a segment of less than a second: '%s'", arg);
    if (!duration && how->rotate_bytes == 0)
        tool_usage_error("a segment of no bytes: '%s'", arg);
}

static void check_usage(struct ingest *in)
{
    struct at_writer_options opts = {.size = sizeof(opts)};

    if (!at_stream_name_ok(in->how.stream))
        tool_usage_error("'%s' is no stream name: letters, digits, '_', '.' "
                         "and '-', at most 60",
                         in->how.stream);
    tool_output_options(&opts, NULL, in->codec);
    if (in->codec != NULL && opts.codec == AT_CODEC_NONE)
        tool_usage_error("segments are always compressed: with bgzf, gzip, "
                         "zstd, xz, bzip2 or lz4");
    if (in->how.tracking.names && in->anon.policy_name != NULL)
        tool_usage_error("--names keeps what --anon is there to hide");
    in->how.codec = opts.codec;
    in->how.level = opts.level;
}

static int ingest(struct ingest *in, const char *archive)
{
    struct at_ingested done;
    struct at_error err;
    enum at_status st;

    tool_progress_start(&in->progress, &in->common);
    st = at_ingest_files(archive, in->inputs.path, in->inputs.n, &in->how,
                         &done, &err);
    tool_progress_end(&in->progress);
    if (st < 0)
        return tool_error(&err);
    in->summary.packets = done.packets;
    in->summary.bytes = done.bytes;
    tool_summary_count(&in->summary, done.files, "file", "");
    tool_summary_count(&in->summary, done.known_files, "file", " known");
    tool_summary_count(&in->summary, done.failed_files, "file", " failed");
    if (in->common.salvage)
        tool_summary_count(&in->summary, done.holes, "hole", "");
    tool_summary_count(&in->summary, done.segments, "segment", " sealed");
    tool_summary_count(&in->summary, done.dropped, "record",
                       " dropped by the policy");
    if (in->anon.keyed)
        tool_summary_add(&in->summary, "key %s", in->anon.key.id);
    tool_summary_count(&in->summary, done.late, "packet", " late");
    tool_summary_count(&in->summary, done.forced, "flow",
                       " ended early because too many were open");
    tool_summary_count(&in->summary, done.names_lost, "name", TOOL_NAMES_LOST);
    tool_losses(archive, AT_FORMAT_PCAP, &done.losses);
    if (done.packets > 0 || done.failed_files < in->inputs.n)
        tool_summary_print(&in->summary);
    if (st == AT_OK && in->remove && remove_inputs(in) != TOOL_OK)
        return TOOL_FAIL;
    return done.failed_files + done.holes > 0 ? TOOL_FAIL : TOOL_OK;
}

int main(int argc, char *argv[])
{
    struct ingest in = {
        .how = {.stream = "main",
                .rotate_ns = 3600 * SECOND,
                .tracking = at_tracking_default},
        .settle_ns = 60 * SECOND,
    };
    const struct tool_option options[] = {
        TOOL_TEXT(
            'Z', "compress", &in.codec, "CODEC[:LEVEL]",
            "of the segments: bgzf (default), gzip, zstd, xz, bzip2, lz4"),
        TOOL_CALL(0, "rotate", set_rotate, &in.how, "1h|SIZE",
                  "cut segments at multiples of that time (default 1h), or "
                  "also when that large, before compression"),
        TOOL_TEXT(0, "stream", &in.how.stream, "NAME",
                  "the stream that the files are of (default main)"),
        TOOL_DURATION(0, "settle", &in.settle_ns, "DURATION",
                      "leave files of a directory alone that changed in the "
                      "last while (default 60s)"),
        TOOL_ANON_OPTIONS(&in.anon, "anon"),
        TOOL_TEXT(0, "rules", &in.rules, "FILE",
                  "rules of applications that come before the built-in ones"),
        TOOL_TRACKING(&in.how.tracking),
        TOOL_FLAG(0, "flush", &in.how.flush,
                  "seal the last segment too, and do not wait for more"),
        TOOL_FLAG(0, "remove-source", &in.remove,
                  "remove files once they are safe in the archive"),
        TOOL_INPUT(&in.how.reading),
        TOOL_COMMON_BUT(&in.common,
                        TOOL_NO_STRICT | TOOL_NO_JSON | TOOL_NO_LOCAL),
        TOOL_END,
    };
    struct at_error err;
    int status;
    int i = tool_parse(argc, argv,
                       "[--rotate time] [--rules file] [--flow-key list] "
                       "[--names] [--timeout list] "
                       "[--max-flows count] [--stream name] "
                       "[--anon policy] [--flush] archive file|directory ...",
                       options);

    if (argc - i < 2 && !(argc - i == 1 && in.how.flush))
        tool_usage_error("an archive and what to take in must be named");
    check_usage(&in);
    tool_tracking_check(&in.how.tracking);
    if (tool_anon_asked(&in.anon) != TOOL_OK)
        return tool_finish(TOOL_FAIL);
    if (in.anon.anon != NULL)
        in.how.change = tool_anon_change(&in.anon);
    if (at_pool_open(&in.how.pool, tool_threads(&in.common), &err) != AT_OK)
        return tool_finish(tool_error(&err));
    if (at_apps_open(&in.apps, in.rules, &err) != AT_OK)
        return tool_finish(tool_error(&err));
    in.how.apps = in.apps;
    in.how.progress = progress;
    in.how.progress_ctx = in.how.report_ctx = &in;
    in.how.report = report;
    in.how.reading.salvage = in.common.salvage;
    in.how.holes = holes;
    in.how.holes_ctx = &in;
    tool_summary_start(&in.summary);
    status = add_inputs(&in, argv + i + 1, (size_t)(argc - i - 1));
    if (ingest(&in, argv[i]) != TOOL_OK)
        status = TOOL_FAIL;
    at_paths_close(&in.inputs);
    at_paths_close(&in.damaged);
    at_pool_close(in.how.pool);
    at_apps_close(in.apps);
    if (in.anon.anon != NULL && at_anon_failed(in.anon.anon)) {
        tool_warn("out of memory");
        status = TOOL_FAIL;
    }
    tool_anon_close(&in.anon);
    return tool_finish(status);
}
