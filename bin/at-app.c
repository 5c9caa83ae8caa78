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
#include "app_series.h"
#include "asked.h"
#include "features.h"
#include "print.h"
#include "sight.h"
#include "tool_tracking.h"
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
    bool arff;
    bool learn;          /* flows in numbers */
    int64_t interval_ns; /* counters of that; 0: flows */
    uint64_t memory;

    struct tool_sources in;
    struct at_apps *apps;
    struct at_tracker *tracker;
    struct at_finds finds;
    struct at_features *features; /* NULL: not asked for */
    struct at_app_series *series; /* likewise */
    uint64_t flows;               /* in them */
    uint64_t timeless;            /* packets of no interval */
    struct at_sight sight[SIGHTS];
    struct at_quote quote[SIGHTS];          /* what some of them quote */
    size_t sights;                          /* that are not in the table yet */
    char text[SIGHTS * 8 + AT_ASKED_BYTES]; /* what some of them ask for */
    size_t text_bytes;
    struct at_names names; /* all that are asked for */
    struct tool_progress progress;
    struct tool_summary summary;
};

/* ---- packets in ------------------------------------------------------ */

/* What is noted of a packet; the name that it asks for follows, if any. */
struct noted {
    struct at_sight sight;
    struct at_quote quote;
    bool quotes;
};

static void note(void *ctx, struct at_text *text, const struct at_packet *pkt)
{
    char name[AT_ASKED_BYTES];
    struct noted noted;
    size_t n;

    memset(&noted, 0, sizeof(noted)); /* the bytes between its members too */
    noted.quotes = at_sight_take(&noted.sight, &noted.quote, pkt, ctx);
    at_text_add(text, &noted, sizeof(noted));
    n = at_sight_name(name, &noted.sight, pkt, ctx);
    if (n > 0)
        at_text_add(text, name, n + 1);
}

static enum at_status collect(void *ctx, const struct at_flow *flow,
                              const uint32_t *block, size_t blocks,
                              uint32_t name)
{
    struct app *app = ctx;
    struct at_flow_row row;
    uint16_t number;

    (void)blocks;
    if (flow->key.net != AT_NET_IPV4 && flow->key.net != AT_NET_IPV6)
        return AT_OK;
    at_flow_row_of(&row, flow);
    number = at_app_of_row(app->apps, &row);
    if (name != 0)
        row.name = at_names_text(&app->names, name);
    app->flows++;
    if (app->features != NULL)
        return at_features_flow(app->features, block[0], &row);
    if (app->series != NULL)
        return at_app_series_name(app->series, block[0], number);
    return at_finds_add(&app->finds, &row, 0);
}

/* A packet whose flow must be known; quotes are for it alone. */
static enum at_status add_one(struct app *app, const struct at_sight *sight,
                              const struct at_besides *besides,
                              struct at_error *err)
{
    const struct at_flow *flow;
    enum at_status st = AT_OK;

    if (at_tracker_add(app->tracker, sight, 1, besides, 0) != AT_OK)
        return at_error_set(err, AT_ERR_MEMORY, "out of memory");
    flow = at_tracker_latest(app->tracker);
    if (!sight->packet ||
        (sight->key.net != AT_NET_IPV4 && sight->key.net != AT_NET_IPV6))
        return AT_OK;
    if (app->series != NULL)
        return at_app_series_add(app->series, sight->ts_ns, flow->last_block,
                                 sight->bytes, err);
    st = at_features_packet(app->features, flow->last_block, sight,
                            sight->from_hi != flow->source_is_hi);
    return st == AT_OK ? AT_OK : at_error_set(err, st, "out of memory");
}

static enum at_status flush(struct app *app, struct at_error *err)
{
    const struct at_besides besides = {.quote = app->quote, .text = app->text};
    const size_t n = app->sights;
    enum at_status st = AT_OK;

    app->sights = app->text_bytes = 0;
    tool_sources_progress(&app->in, &app->progress, app->summary.packets);
    if (app->tracking.numbered) {
        for (size_t i = 0; i < n && st == AT_OK; i++)
            st = add_one(app, &app->sight[i], &besides, err);
        return st;
    }
    if (at_tracker_add(app->tracker, app->sight, n, &besides, 0) != AT_OK)
        return at_error_set(err, AT_ERR_MEMORY, "out of memory");
    return AT_OK;
}

/* There is room for one more name whenever a packet is taken. */
static void keep_name(struct app *app, struct at_sight *sight, const char *name,
                      size_t n)
{
    memcpy(app->text + app->text_bytes, name, n);
    sight->name = (uint32_t)app->text_bytes + 1;
    app->text_bytes += n;
}

static enum at_status take(struct app *app, const struct at_packet *pkt,
                           struct at_error *err)
{
    const size_t i = app->sights;
    struct noted noted;
    size_t n;
    const char *p = at_traces_note(app->in.traces, &n);

    if (app->series != NULL && pkt->timeless) {
        app->timeless++;
        return AT_OK;
    }
    app->sights++;
    if (n < sizeof(noted))
        return at_error_set(err, AT_ERR_MEMORY, "out of memory");
    memcpy(&noted, p, sizeof(noted));
    app->sight[i] = noted.sight;
    app->quote[i] = noted.quote;
    if (noted.quotes)
        app->sight[i].link = (uint32_t)i + 1;
    if (n > sizeof(noted))
        keep_name(app, &app->sight[i], p + sizeof(noted), n - sizeof(noted));
    app->summary.packets++;
    app->summary.bytes += pkt->cap_bytes;
    return app->sights == SIGHTS ||
                   app->text_bytes + AT_ASKED_BYTES > sizeof(app->text)
               ? flush(app, err)
               : AT_OK;
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

static enum at_status print_flows(struct app *app, struct at_print *print,
                                  struct at_error *err)
{
    struct at_target target = {.stream = ""};
    const struct at_targets targets = {.target = &target, .n = 1, .lanes = 1};

    if (at_finds_sort(&app->finds) != AT_OK)
        return at_error_set(err, AT_ERR_MEMORY, "out of memory");
    if (!app->unknown)
        at_print_flows(print, &app->finds, &targets, SIZE_MAX);
    else if (at_unknown_print(stdout, print->format, &app->finds) != AT_OK)
        return at_error_set(err, AT_ERR_MEMORY, "out of memory");
    return AT_OK;
}

static enum at_status print(struct app *app, struct at_print *print,
                            struct at_error *err)
{
    enum at_status st = at_tracker_finish(app->tracker);

    if (st != AT_OK)
        return at_error_set(err, st, "out of memory");
    if (app->series != NULL)
        st = at_app_series_print(app->series, stdout, print->format,
                                 print->local, app->apps, err);
    else if (app->features == NULL)
        st = print_flows(app, print, err);
    else if (app->arff)
        at_features_arff(app->features, stdout, app->apps);
    else if (!at_features_print(app->features, stdout, print->format))
        st = at_error_set(err, AT_ERR_MEMORY, "out of memory");
    tool_summary_count(&app->summary, app->flows, "flow", "");
    tool_summary_count(&app->summary, app->timeless, "packet",
                       " without a time");
    tool_summary_count(&app->summary, at_tracker_forced(app->tracker), "flow",
                       " ended early because too many were open");
    tool_summary_count(&app->summary, app->names.lost, "name", TOOL_NAMES_LOST);
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

static int open_answers(struct app *app)
{
    app->tracking.numbered = app->learn || app->interval_ns > 0;
    if (app->learn)
        app->features = at_features_open();
    if (app->interval_ns > 0)
        app->series = at_app_series_open(app->interval_ns, app->memory);
    app->tracker = at_tracker_open(&app->tracking, app->sighting.seed, collect,
                                   app);
    if (app->tracker != NULL && app->sighting.names)
        at_tracker_name_by(app->tracker, &app->names);
    if (app->tracker != NULL && (!app->learn || app->features != NULL) &&
        (app->interval_ns == 0 || app->series != NULL))
        return TOOL_OK;
    tool_warn("out of memory");
    return TOOL_FAIL;
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
    return status == TOOL_OK ? open_answers(app) : status;
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
    app->sighting.names = at_print_has(&out, "name");
    at_names_init(&app->names);
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

static void check_usage(struct app *app, int inputs)
{
    if (inputs == 0)
        tool_usage_error("no file is named");
    if (app->sighting.conformance && !at_keying_is_usual(&app->sighting.key))
        tool_usage_error("--conformance goes without --flow-key");
    if (app->interval_ns < 0)
        tool_usage_error("an interval of less than nothing");
    if (app->unknown + app->arff + app->learn + (app->interval_ns > 0) > 1)
        tool_usage_error("of --unknown, --arff, --features and --interval only "
                         "one can be asked for");
    if (app->arff && (app->format != AT_PRINT_TABLE || app->common.json))
        tool_usage_error("--arff is a format of its own: --features has CSV "
                         "and JSON");
    if ((app->arff || app->learn || app->interval_ns > 0) &&
        app->fields != columns)
        tool_usage_error("--fields is for flows");
    app->learn |= app->arff;
}

int main(int argc, char *argv[])
{
    struct app app = {
        .tracking = at_tracking_default,
        .fields = columns,
        .memory = UINT64_C(1) << 28,
    };
    const struct tool_option options[] = {
        TOOL_FLAG(0, "conformance", &app.sighting.conformance,
                  "count packets and bytes by the rules of nDPI's reader"),
        TOOL_FLOW_KEY(&app.sighting.key),
        TOOL_CHOICE(0, "format", &app.format, "table|csv|json",
                    "how flows are printed"),
        TOOL_TEXT(0, "fields", &app.fields, "LIST",
                  "which columns, as in \"src,dst,app\""),
        TOOL_FLAG(
            0, "unknown", &app.unknown,
            "print what no rule knows, in groups, as rules to be written"),
        TOOL_FLAG(0, "arff", &app.arff,
                  "flows in numbers and their applications, for Weka"),
        TOOL_FLAG(0, "features", &app.learn, "the same in the other formats"),
        TOOL_DURATION(0, "interval", &app.interval_ns, "DUR",
                      "counters of each application for each interval of the "
                      "clock in UTC"),
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
                             "[selection] [--conformance] [--flow-key list] "
                             "[--format table|csv|json] [--fields list] "
                             "[--rules file] [--unknown | --arff | --features "
                             "| --interval dur] "
                             "input ...",
                             options);
    int status;

    tool_selection_resolve(&app.selection);
    check_usage(&app, argc - i);
    status = run(&app, argv + i, (size_t)(argc - i));
    at_tracker_close(app.tracker);
    at_apps_close(app.apps);
    at_finds_close(&app.finds);
    at_features_close(app.features);
    at_app_series_close(app.series);
    at_names_close(&app.names);
    tool_sources_close(&app.in);
    at_pool_close(app.in.pool);
    at_filter_close(app.in.wanted.filter);
    return tool_finish(status);
}
