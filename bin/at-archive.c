/*
 * at-archive - what an archive holds, and that it keeps what it should
 */
#include <string.h>

#include "tool_archive.h"

/* One that nobody else is changing gets its seal at once. */
static int archive_init(struct archive *ar)
{
    struct at_archive *a;
    struct at_error err;
    enum at_status st = at_archive_init(ar->path, &err);

    if (st != AT_OK)
        return tool_error(&err);
    st = at_archive_open(&a, ar->path, true, &err);
    if (st == AT_OK)
        at_archive_close(a);
    return st == AT_OK || st == AT_ERR_MISUSE ? TOOL_OK : tool_error(&err);
}

/* ---- main ------------------------------------------------------------ */

/* The options that a verb knows. */
enum {
    RANGE = 1,
    STREAM = 2,
    RULES = 4,
    FORMAT = 8,
    SIZES = 16,
    KEEP = 32, /* and --dry-run */
    DEEP = 64,
    SALVAGE = 128,
    WORDS = 256, /* segments may be named */
    APP = 512,
    ANON = 1024,
};

static const struct {
    const char *name;
    int (*run)(struct archive *ar);
    unsigned knows;
} verbs[] = {
    {"init", archive_init, 0},
    {"list", tool_archive_list, RANGE | STREAM | FORMAT},
    {"show", tool_archive_show, FORMAT | WORDS},
    {"remove", tool_archive_remove, RANGE | STREAM | FORMAT | KEEP | WORDS},
    {"expire", tool_archive_expire, STREAM | FORMAT | SIZES | KEEP},
    {"reindex", tool_archive_reindex, RANGE | STREAM | RULES | APP},
    {"verify", tool_archive_verify, RANGE | STREAM | RULES | DEEP | WORDS},
    {"repair", tool_archive_repair, RULES | SALVAGE},
    {"anonymise", tool_archive_anonymise,
     RANGE | STREAM | RULES | SALVAGE | ANON | WORDS},
};

static unsigned given(const struct archive *ar)
{
    return (tool_selection_given(&ar->selection) ? RANGE : 0) |
           (ar->stream != NULL ? STREAM : 0) | (ar->rules != NULL ? RULES : 0) |
           (ar->app ? APP : 0) | (ar->format != AT_PRINT_TABLE ? FORMAT : 0) |
           (ar->older_ns > 0 || ar->most_bytes != UINT64_MAX ? SIZES : 0) |
           (ar->keep_index || ar->dry_run ? KEEP : 0) | (ar->deep ? DEEP : 0) |
           (ar->common.salvage ? SALVAGE : 0) |
           (tool_anon_given(&ar->anon) ? ANON : 0) |
           (ar->words > 0 ? WORDS : 0);
}

static int run_verb(struct archive *ar, const char *name)
{
    for (size_t k = 0; k < sizeof(verbs) / sizeof(verbs[0]); k++) {
        if (strcmp(name, verbs[k].name) != 0)
            continue;
        if ((given(ar) & ~verbs[k].knows & WORDS) != 0)
            tool_usage_error("%s takes an archive and nothing else", name);
        if ((given(ar) & ~verbs[k].knows) != 0)
            tool_usage_error("an option is given that %s does not have", name);
        return verbs[k].run(ar);
    }
    tool_usage_error("there is no '%s' here; there are init, list, show, "
                     "remove, expire, reindex, verify, repair and anonymise",
                     name);
}

static void set_older(void *ctx, const char *arg)
{
    struct archive *ar = ctx;
    struct at_error err;

    if (at_duration_parse(&ar->older_ns, arg, &err) != AT_OK)
        tool_usage_error("%s", err.msg);
    if (ar->older_ns <= 0)
        tool_usage_error("an age of nothing: '%s'", arg);
}

int main(int argc, char *argv[])
{
    struct archive ar = {.most_bytes = UINT64_MAX};
    const struct tool_option options[] = {
        TOOL_CALL(0, "older-than", set_older, &ar, "DURATION",
                  "expire: segments whose last packet is older, as in 90d"),
        TOOL_COUNT(0, "max-size", &ar.most_bytes, "SIZE",
                   "expire: the oldest segments until all take no more, as in "
                   "2T"),
        TOOL_FLAG(0, "keep-index", &ar.keep_index,
                  "expire, remove: only packets go, flows can still be listed"),
        TOOL_FLAG(0, "dry-run", &ar.dry_run,
                  "expire, remove: list what would go and change nothing"),
        TOOL_FLAG(0, "deep", &ar.deep,
                  "verify: hold each row of each index against the packets"),
        TOOL_ANON_OPTIONS(&ar.anon, "policy"),
        TOOL_TEXT(0, "stream", &ar.stream, "NAME", "of that stream only"),
        TOOL_CHOICE(0, "format", &ar.format, "table|csv|json",
                    "how segments are listed"),
        TOOL_FLAG(0, "app", &ar.app,
                  "reindex: name the applications of flows anew, without "
                  "reading packets"),
        TOOL_TEXT(0, "rules", &ar.rules, "FILE",
                  "rules of applications that come before the built-in ones"),
        TOOL_SELECTION_BUT(&ar.selection,
                           TOOL_NO_FILTER | TOOL_NO_BPF | TOOL_NO_LIMIT),
        TOOL_COMMON_BUT(&ar.common, TOOL_NO_STRICT),
        TOOL_END,
    };
    int i = tool_parse(
        argc, argv,
        "init|list|show|remove|expire|reindex|verify|repair|anonymise "
        "[options] archive [segment ...|archive]",
        options);

    if (argc - i < 2)
        tool_usage_error("a verb and an archive must be named");
    if (ar.common.json)
        ar.format = AT_PRINT_JSON;
    ar.path = argv[i + 1];
    ar.word = argv + i + 2;
    ar.words = (size_t)(argc - i - 2);
    tool_selection_resolve(&ar.selection);
    return tool_finish(run_verb(&ar, argv[i]));
}
