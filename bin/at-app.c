/*
 * at-app - the flows of traces, each with its application
 *
 * The threads that find the wanted packets also make their sights
 * (at_selection's note), so that only the flow table is left to do here.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "app_names.h"
#include "print.h"
#include "sight.h"
#include "tool.h"
#include "tracker.h"
#include "unknown.h"

enum {
    SIGHTS = 256, /* put to the table at once */
    BUFFER_BYTES = 1 << 18,
};

/* Of the command line reference, in its order. */
static const char columns
    [] = "start,end,duration,proto,src,sport,dst,dport,packets_out,packets_in,"
         "bytes_out,bytes_in,app,category,confidence";

struct app {
    struct tool_common common;
    struct tool_selection selection;
    struct at_sighting sighting;
    struct at_tracking tracking;
    bool unknown;      /* groups of what is not known, not flows */
    const char *rules; /* a file of the user's; NULL: there is none */
    const char *fields;
    int format; /* enum at_print_format */

    struct tool_sources in;
    struct at_apps *apps;
    struct at_tracker *tracker;
    struct at_finds finds;
    struct at_sight sight[SIGHTS];
    struct at_quote quote[SIGHTS]; /* what some of them quote */
    size_t sights;                 /* that are not in the table yet */
    struct tool_progress progress;
    struct tool_summary summary;
};

/* ---- packets in ------------------------------------------------------ */

/* What is noted of a packet. */
struct noted {
    struct at_sight sight;
    struct at_quote quote;
    bool quotes;
};

static void note(void *ctx, struct at_text *text, const struct at_packet *pkt)
{
    struct noted noted;

    memset(&noted, 0, sizeof(noted)); /* the bytes between its members too */
    noted.quotes = at_sight_take(&noted.sight, &noted.quote, pkt, ctx);
    at_text_add(text, &noted, sizeof(noted));
}

static enum at_status collect(void *ctx, const struct at_flow *flow,
                              const uint32_t *block, size_t blocks)
{
    struct app *app = ctx;
    struct at_flow_row row;

    (void)block;
    (void)blocks;
    if (flow->key.net != AT_NET_IPV4 && flow->key.net != AT_NET_IPV6)
        return AT_OK;
    at_flow_row_of(&row, flow);
    at_app_of_row(app->apps, &row);
    return at_finds_add(&app->finds, &row, 0);
}

static enum at_status flush(struct app *app, struct at_error *err)
{
    const size_t n = app->sights;

    app->sights = 0;
    tool_sources_progress(&app->in, &app->progress, app->summary.packets);
    if (at_tracker_add(app->tracker, app->sight, n, app->quote, 0) != AT_OK)
        return at_error_set(err, AT_ERR_MEMORY, "out of memory");
    return AT_OK;
}

static enum at_status take(struct app *app, const struct at_packet *pkt,
                           struct at_error *err)
{
    const size_t i = app->sights++;
    struct noted noted;
    size_t n;
    const char *p = at_traces_note(app->in.traces, &n);

    if (n != sizeof(noted))
        return at_error_set(err, AT_ERR_MEMORY, "out of memory");
    memcpy(&noted, p, n);
    app->sight[i] = noted.sight;
    app->quote[i] = noted.quote;
    if (noted.quotes)
        app->sight[i].link = (uint32_t)i + 1;
    app->summary.packets++;
    app->summary.bytes += pkt->cap_bytes;
    return app->sights == SIGHTS ? flush(app, err) : AT_OK;
}

/* AT_END when all packets are in, AT_OK when it is time to stop before. */
static enum at_status take_all(struct app *app, struct at_error *err)
{
    enum at_status st = tool_sources_open(&app->in, err), left;
    struct at_packet pkt;

    while (st == AT_OK && app->summary.packets < app->selection.count) {
        if (app->sights == 0 && tool_stopped())
            return AT_OK;
        st = at_traces_next(app->in.traces, &pkt, err);
        if (st == AT_OK)
            st = take(app, &pkt, err);
    }
    if (st < 0)
        return st;
    left = flush(app, err);
    return left == AT_OK ? AT_END : left;
}

/* ---- flows out ------------------------------------------------------- */

static enum at_status print(struct app *app, struct at_print *print,
                            struct at_error *err)
{
    struct at_target target = {.stream = ""};
    const struct at_targets targets = {.target = &target, .n = 1, .lanes = 1};
    enum at_status st = at_tracker_finish(app->tracker);

    if (st == AT_OK)
        st = at_finds_finish(&app->finds, &targets, err);
    else
        at_error_set(err, st, "out of memory");
    if (st == AT_OK && !app->unknown)
        at_print_flows(print, &app->finds, &targets, SIZE_MAX);
    else if (st == AT_OK &&
             at_unknown_print(stdout, print->format, &app->finds) != AT_OK)
        st = at_error_set(err, AT_ERR_MEMORY, "out of memory");
    tool_summary_count(&app->summary, app->finds.n, "flow", "");
    tool_summary_count(&app->summary, at_tracker_forced(app->tracker), "flow",
                       " ended early because too many were open");
    return st;
}

/* ---- the tool -------------------------------------------------------- */

static int set_up_rules(struct app *app)
{
    struct at_error err;

    return at_apps_open(&app->apps, app->rules, &err) == AT_OK
               ? TOOL_OK
               : tool_error(&err);
}

static int set_up(struct app *app, char *path[], size_t n)
{
    int status = tool_selection_compile(&app->in.wanted, &app->selection);
    struct at_error err;

    app->tracking.conformance = app->sighting.conformance;
    app->sighting.seed = at_flow_key_seed();
    app->in.wanted.note = note;
    app->in.wanted.ctx = &app->sighting;
    app->in.reading.salvage = app->common.salvage;
    if (status == TOOL_OK)
        status = set_up_rules(app);
    if (status == TOOL_OK)
        status = tool_sources_set(&app->in, path, n, NULL);
    if (status == TOOL_OK &&
        at_pool_open(&app->in.pool, tool_threads(&app->common), &err) != AT_OK)
        status = tool_error(&err);
    app->tracker = at_tracker_open(&app->tracking, app->sighting.seed, collect,
                                   app);
    if (status == TOOL_OK && app->tracker == NULL) {
        tool_warn("out of memory");
        status = TOOL_FAIL;
    }
    return status;
}

static int run(struct app *app, char *path[], size_t n)
{
    struct at_print out = {
        .out = stdout,
        .packets = true,
        .format = app->common.json ? AT_PRINT_JSON
                                   : (enum at_print_format)app->format,
        .local = app->common.local,
    };
    struct at_error err;
    enum at_status st;
    int status;

    if (at_print_open(&out, app->fields, &err) != AT_OK)
        tool_usage_error("%s", err.msg);
    status = set_up(app, path, n);
    if (status != TOOL_OK)
        return status;
    setvbuf(stdout, NULL, _IOFBF, BUFFER_BYTES);
    tool_summary_start(&app->summary);
    tool_progress_start(&app->progress, &app->common);
    st = take_all(app, &err);
    tool_progress_end(&app->progress);
    if (st == AT_OK)
        return TOOL_FAIL;
    if (st == AT_END)
        st = print(app, &out, &err);
    if (st != AT_OK)
        return tool_error(&err);
    tool_summary_print(&app->summary);
    return app->in.damaged ? TOOL_FAIL : TOOL_OK;
}

int main(int argc, char *argv[])
{
    struct app app = {
        .tracking = at_tracking_default,
        .fields = columns,
    };
    const struct tool_option options[] = {
        TOOL_FLAG(0, "conformance", &app.sighting.conformance,
                  "count packets and bytes by the rules of nDPI's reader"),
        TOOL_FLAG(0, "inner", &app.sighting.inner,
                  "flows of what is in tunnels, not of the tunnels"),
        TOOL_CHOICE(0, "vlan", &app.sighting.vlan, "outer|inner|none",
                    "which VLAN number tells flows apart"),
        TOOL_CHOICE(0, "format", &app.format, "table|csv|json",
                    "how flows are printed"),
        TOOL_TEXT(0, "fields", &app.fields, "LIST",
                  "which columns, as in \"src,dst,app\""),
        TOOL_FLAG(
            0, "unknown", &app.unknown,
            "print what no rule knows, in groups, as rules to be written"),
        TOOL_TEXT(0, "rules", &app.rules, "FILE",
                  "rules of applications that come before the built-in ones"),
        TOOL_FLAG(0, "sequence", &app.in.sequence,
                  "read the inputs one after the other, not by time"),
        TOOL_INPUT(&app.in.reading),
        TOOL_SELECTION(&app.selection),
        TOOL_COMMON_BUT(&app.common, TOOL_NO_STRICT),
        TOOL_END,
    };
    const int i = tool_parse(argc, argv,
                             "[selection] [--conformance] [--inner] "
                             "[--vlan outer|inner|none] "
                             "[--format table|csv|json] [--fields list] "
                             "[--rules file] [--unknown] "
                             "input ...",
                             options);
    int status;

    tool_selection_resolve(&app.selection);
    if (i == argc)
        tool_usage_error("no file is named");
    if (app.sighting.conformance &&
        (app.sighting.inner || app.sighting.vlan != AT_SIGHT_OUTER_VLAN))
        tool_usage_error("--conformance goes without --inner and --vlan");
    status = run(&app, argv + i, (size_t)(argc - i));
    at_tracker_close(app.tracker);
    at_apps_close(app.apps);
    at_finds_close(&app.finds);
    tool_sources_close(&app.in);
    at_pool_close(app.in.pool);
    at_filter_close(app.in.wanted.filter);
    return tool_finish(status);
}
