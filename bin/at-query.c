/*
 * at-query - flows and packets out of archives and capture files
 */
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "catalog.h"
#include "explain.h"
#include "gist.h"
#include "order.h"
#include "parts.h"
#include "print.h"
#include "query.h"
#include "sqlanswer.h"
#include "tool_sink.h"
#include "tool_tracking.h"
#include "windows.h"

enum { CHECK_EVERY = 65536 };

struct ask {
    struct tool_common common;
    struct tool_selection selection;
    const char *expression; /* -e */
    struct tool_sink sink;  /* -w and what belongs to it */
    int format;             /* enum at_print_format */
    const char *fields;
    uint64_t limit;
    bool count;
    bool whole_flows, explain;
    const char *sort_name; /* --sort */
    const char *top_text, *series_text, *sql;
    int64_t context_ns;
    struct at_print print;
    struct at_order order;
    struct at_gist gist; /* of --count and --top */
    struct at_steps steps;
    bool known; /* the catalogues were enough for them */
    struct at_reader_options reading;
    struct at_keying flow_key; /* of targets without an index */
    struct at_query query;
    struct at_targets targets;
    struct at_searches *searches; /* while flows are looked for */
    struct at_parts parts;        /* where flows decide */
    struct tool_progress progress;
    struct tool_summary summary;
    uint64_t forced; /* flows that ended early in scans */
    uint64_t unsure; /* flows that only packets that are gone could tell of */
    bool damaged;    /* a target; its holes were said */
    bool gone;       /* packets of the range were removed, which was said */
};

/* ---- what is asked --------------------------------------------------- */

/* Words from 'i' on as one text; the caller frees it. */
static char *join_words(int argc, char *argv[], int i)
{
    char *text = NULL;
    size_t n;
    FILE *f = open_memstream(&text, &n);

    if (f == NULL)
        return NULL;
    for (; i < argc; i++)
        fprintf(f, "%s%s", argv[i], i + 1 < argc ? " " : "");
    fclose(f);
    return text;
}

static void holes(void *ctx, const char *trace, const struct at_hole *hole,
                  size_t n, const struct at_salvaged *total)
{
    struct ask *ask = ctx;

    tool_progress_end(&ask->progress);
    tool_holes(trace, hole, n, total);
    ask->damaged |= total->holes > 0;
}

/* "2 segments"; 'buf' needs 64 bytes. */
static const char *counted(char *buf, uint64_t n, const char *what)
{
    char digits[TOOL_NUMBER_TEXT];

    snprintf(buf, 64, "%s %s%s", tool_format_grouped(digits, n), what,
             n == 1 ? "" : "s");
    return buf;
}

static void gone(void *ctx, const char *archive, const struct at_gone *gone)
{
    struct ask *ask = ctx;
    const bool local = ask->common.local;
    char first[AT_TIME_TEXT], last[AT_TIME_TEXT], since[AT_TIME_TEXT];
    char packets[64], segments[64], with[96] = "", indexed[64] = "";

    ask->gone = true;
    at_time_format(first, gone->first_ns, local);
    at_time_format(last, gone->last_ns, local);
    at_time_format(since, gone->since_ns, local);
    if (gone->segments > 0)
        snprintf(with, sizeof(with), " with %s",
                 counted(segments, gone->segments, "segment"));
    if (gone->indexed > 0)
        snprintf(indexed, sizeof(indexed), "; flows are known of %" PRIu64,
                 gone->indexed);
    tool_warn("%s: %s from %s to %s are gone%s, since %s%s", archive,
              counted(packets, gone->packets, "packet"), first, last, with,
              since, indexed);
}

static bool wants_names(const struct ask *ask)
{
    return at_print_has(&ask->print, "name") ||
           (ask->top_text != NULL && ask->gist.top.key.kind == AT_KEY_NAME) ||
           (ask->series_text != NULL && ask->steps.keyed &&
            ask->steps.key.kind == AT_KEY_NAME) ||
           (ask->sql != NULL && strstr(ask->sql, "name") != NULL);
}

/* What the answer shows of the flows that are found. */
static unsigned fields_of_answer(const struct ask *ask)
{
    if (ask->context_ns > 0)
        return AT_ROW_TIMES;
    if (ask->sink.path != NULL || ask->series_text != NULL)
        return 0; /* of flows only what tells whether they match */
    if (ask->gist.kind == AT_GIST_TOP)
        return at_key_fields(&ask->gist.top.key);
    return ask->gist.kind == AT_GIST_COUNT ? 0 : AT_ROW_ALL;
}

static int open_question(struct ask *ask, int argc, char *argv[], int words)
{
    char *text = ask->expression != NULL ? strdup(ask->expression)
                                         : join_words(argc, argv, words);
    struct at_pool *pool;
    struct at_error err;
    int status = TOOL_OK;

    if (text == NULL ||
        at_pool_open(&pool, tool_threads(&ask->common), &err) != AT_OK) {
        free(text);
        tool_warn("out of memory");
        return TOOL_FAIL;
    }
    if (at_query_open(&ask->query, pool, text,
                      ask->selection.literal ? AT_FILTER_LITERAL : 0,
                      &err) != AT_OK)
        status = tool_error_in(&err, text);
    ask->query.pool = pool;
    ask->query.reading = ask->reading;
    ask->query.tracking.key = ask->flow_key;
    ask->query.reading.salvage = ask->common.salvage;
    if (wants_names(ask) && at_query_want_names(&ask->query) != AT_OK) {
        tool_warn("out of memory");
        status = TOOL_FAIL;
    }
    ask->query.holes = holes;
    ask->query.holes_ctx = ask;
    ask->query.forced = &ask->forced;
    ask->query.gone = gone;
    ask->query.gone_ctx = ask;
    ask->query.unsure = &ask->unsure;
    ask->query.from_ns = ask->selection.from_ns;
    ask->query.to_ns = ask->selection.to_ns;
    ask->query.whole_flows = ask->whole_flows;
    ask->query.stop = tool_stopped;
    if (status == TOOL_OK && !ask->explain)
        at_query_narrow(&ask->query, fields_of_answer(ask));
    free(text);
    return status;
}

/* Whether packets cannot be judged without what is known of their flow. */
static bool uses_parts(const struct ask *ask)
{
    return at_query_has_terms(&ask->query) || ask->whole_flows ||
           ask->sink.by == TOOL_BY_APP ||
           (ask->series_text != NULL && ask->steps.keyed);
}

static bool asks_flows(const struct ask *ask)
{
    return uses_parts(ask) || ask->explain || ask->context_ns > 0 ||
           (ask->sink.path == NULL && ask->series_text == NULL);
}

/* Whether there may be parts of flows that the question does not find, and they
 * must be whole: to tell what is true of them, to list or to sum them up. */
static bool wants_whole(const struct ask *ask)
{
    const bool bounded = ask->query.from_ns != AT_TIME_MIN ||
                         ask->query.to_ns != AT_TIME_MAX;

    if (ask->explain)
        return false;
    if (uses_parts(ask))
        return bounded;
    return ask->sink.path == NULL && !ask->count && ask->series_text == NULL &&
           (bounded || at_expr_root(ask->query.expr)->leaf != AT_LEAF_TRUE);
}

static int add_targets(struct ask *ask, char *word[], size_t n)
{
    struct at_paths paths = {.n = 0};
    struct at_error err;
    int status = tool_inputs_asked(&paths, word, n);

    ask->query.again = uses_parts(ask) || ask->context_ns > 0 || ask->explain;
    ask->query.beyond = wants_whole(ask);
    if (status == TOOL_OK && ask->series_text != NULL && !ask->explain &&
        at_steps_from_catalogs(&ask->steps, &ask->query, &paths, &ask->known,
                               &err) != AT_OK)
        status = tool_error(&err);
    for (size_t i = 0; i < paths.n && status == TOOL_OK && !ask->known; i++)
        if (at_targets_add(&ask->targets, &ask->query, paths.path[i], &err) !=
            AT_OK)
            status = tool_error(&err);
    at_paths_close(&paths);
    if (status != TOOL_OK || ask->known)
        return status;
    if (at_query_open_apps(&ask->query, &ask->targets, NULL, &err) != AT_OK ||
        (asks_flows(ask) &&
         at_query_find_goers(&ask->query, &ask->targets, &err) != AT_OK))
        return tool_error(&err);
    if (at_targets_check(&ask->targets, &ask->query, &err) != AT_OK)
        return tool_error_in(&err, at_expr_text(ask->query.expr));
    return TOOL_OK;
}

/* ---- flows ----------------------------------------------------------- */

static unsigned terminal_width(void)
{
    struct winsize w;

    if (!tool_is_terminal(STDOUT_FILENO))
        return 0;
    if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &w) != 0 || w.ws_col == 0)
        return 100;
    return w.ws_col;
}

/* Calls 'step' for each target; what cannot be read is said, and the other
 * targets may be fine. */
static int each_target(struct ask *ask, size_t *failed,
                       enum at_status (*step)(struct ask *ask, size_t number,
                                              struct at_finds *finds,
                                              struct at_error *err),
                       struct at_finds *finds)
{
    struct at_error err;
    int status = TOOL_OK;

    for (size_t i = 0; i < ask->targets.n && !tool_stopped(); i++) {
        if (step(ask, i, finds, &err) < 0) {
            status = tool_error(&err);
            ++*failed;
        }
        tool_progress_steps(&ask->progress, i + 1, ask->targets.n,
                            ask->targets.files ? "files" : "segments");
    }
    return status;
}

static enum at_status find_in(struct ask *ask, size_t number,
                              struct at_finds *finds, struct at_error *err)
{
    enum at_status st = at_searches_next(ask->searches, finds, &ask->parts,
                                         err);

    (void)number;
    if (st >= 0 && at_gist_take(&ask->gist, finds, ask->query.alone,
                                &ask->targets) != AT_OK)
        st = at_error_set(err, AT_ERR_MEMORY, "out of memory");
    return st;
}

static int find_flows(struct ask *ask, struct at_finds *finds, size_t *failed)
{
    struct at_error err;
    int status;

    if (at_searches_open(&ask->searches, &ask->query, &ask->targets, &ask->gist,
                         &err) != AT_OK)
        return tool_error(&err);
    status = each_target(ask, failed, find_in, finds);
    at_searches_close(ask->searches);
    return status;
}

static enum at_status take_in(struct ask *ask, size_t number,
                              struct at_finds *finds, struct at_error *err)
{
    (void)finds;
    return at_parts_take(&ask->parts, &ask->query, &ask->targets, number, err);
}

static enum at_status settle_in(struct ask *ask, size_t number,
                                struct at_finds *finds, struct at_error *err)
{
    (void)finds;
    return at_parts_settle(&ask->parts, &ask->query, &ask->targets, number,
                           err);
}

/* Judges the flows that were taken, and with 'settle' asks the packets of those
 * that are in doubt. */
static int judge_parts(struct ask *ask, bool settle, const size_t *failed)
{
    struct at_error err;
    size_t unsettled = 0;
    int status = TOOL_OK;
    const enum at_status st = at_parts_judge(&ask->parts, &ask->query,
                                             &ask->targets, &err);

    if (st != AT_OK)
        status = tool_error(&err);
    if (st == AT_ERR_MEMORY)
        return status;
    /* What could not be read was said already. */
    if (settle && *failed == 0 &&
        each_target(ask, &unsettled, settle_in, NULL) != TOOL_OK)
        status = TOOL_FAIL;
    return status;
}

/* Takes all flows that may be of use. */
static int take_parts(struct ask *ask, bool settle, size_t *failed)
{
    const int status = each_target(ask, failed, take_in, NULL);
    const int judged = judge_parts(ask, settle, failed);

    return status != TOOL_OK ? status : judged;
}

/* Finds flows where terms decide: most are told by their rows. */
static int find_by_terms(struct ask *ask, struct at_finds *finds,
                         size_t *failed)
{
    const int found = find_flows(ask, finds, failed);
    const int judged = judge_parts(ask, true, failed);
    const int status = found != TOOL_OK ? found : judged;

    if (at_parts_finds(&ask->parts, finds) == AT_OK)
        return status;
    tool_warn("out of memory");
    return TOOL_FAIL;
}

static int find_all(struct ask *ask, struct at_finds *finds, size_t *failed)
{
    struct at_error err;
    const bool terms = at_query_has_terms(&ask->query);
    int status = terms ? find_by_terms(ask, finds, failed)
                       : find_flows(ask, finds, failed);

    tool_progress_end(&ask->progress);
    if (!terms && /* otherwise they are joined already */
        at_finds_join(finds, &ask->query, &ask->targets, &err) != AT_OK)
        status = tool_error(&err);
    if (ask->gist.kind == AT_GIST_FLOWS && /* others have no order */
        at_finds_sort(finds) != AT_OK) {
        tool_warn("out of memory");
        status = TOOL_FAIL;
    }
    return status;
}

static int print_flows(struct ask *ask, struct at_finds *finds)
{
    if (ask->sort_name != NULL &&
        at_order_finds(&ask->order, finds, &ask->targets) != AT_OK) {
        tool_warn("out of memory");
        return TOOL_FAIL;
    }
    ask->print.pool = ask->query.pool;
    at_print_flows(&ask->print, finds, &ask->targets, ask->limit);
    return TOOL_OK;
}

static int print_top(struct ask *ask, struct at_finds *finds)
{
    if (at_gist_take(&ask->gist, finds, true, &ask->targets) == AT_OK &&
        at_top_print(&ask->gist.top, stdout, ask->print.format, &ask->targets))
        return TOOL_OK;
    tool_warn("out of memory");
    return TOOL_FAIL;
}

static int print_sql(struct ask *ask, const struct at_finds *finds)
{
    struct at_error err;

    return at_sql_answer(ask->sql, stdout, ask->print.format, finds,
                         &ask->targets, &err) == AT_OK
               ? TOOL_OK
               : tool_error(&err);
}

static int answer_flows(struct ask *ask)
{
    struct at_finds finds = {.n = 0};
    size_t failed = 0;
    int status, printed = TOOL_OK;

    status = find_all(ask, &finds, &failed);
    if (failed > 0 && failed == ask->targets.n && finds.n == 0)
        status = TOOL_FAIL; /* an empty table would be an answer */
    else if (ask->count)
        printf("%" PRIu64 "\n", ask->gist.counted + finds.n);
    else if (!tool_stopped())
        printed = ask->top_text != NULL ? print_top(ask, &finds)
                  : ask->sql != NULL    ? print_sql(ask, &finds)
                                        : print_flows(ask, &finds);
    at_finds_close(&finds);
    return status != TOOL_OK ? status : printed;
}

/* ---- packets --------------------------------------------------------- */

/*
 * Where packets come from: those that match, or with --context all of the
 * time around the flows that match, one window after the other.
 */
struct source {
    struct ask *ask;
    struct at_packets *packets;
    struct at_query all; /* every packet of a window */
    struct at_window *window;
    size_t next, windows;
    int status; /* of what was said on the way */
};

static enum at_status open_windows(struct source *s, struct at_error *err)
{
    struct at_finds finds = {.n = 0};
    enum at_status st = at_query_open(&s->all, s->ask->query.pool, "", 0, err);
    size_t failed = 0;

    if (st != AT_OK)
        return st;
    s->all.reading = s->ask->query.reading;
    s->all.tracking = s->ask->query.tracking;
    s->status = find_all(s->ask, &finds, &failed);
    s->window = at_windows_of(&finds, s->ask->context_ns, &s->windows);
    at_finds_close(&finds);
    if (s->window != NULL)
        return AT_OK;
    *err = (struct at_error){.status = AT_ERR_MEMORY, .msg = "out of memory"};
    return AT_ERR_MEMORY;
}

static enum at_status open_source(struct source *s, struct at_error *err)
{
    struct ask *ask = s->ask;
    size_t failed = 0;

    if (ask->context_ns > 0)
        return open_windows(s, err);
    if (uses_parts(ask))
        s->status = take_parts(ask, ask->whole_flows, &failed);
    return at_packets_open(&s->packets, &ask->query, &ask->targets,
                           uses_parts(ask) ? &ask->parts : NULL, err);
}

/* Opens the packets of the next window; AT_END if there is none. */
static enum at_status next_window(struct source *s, struct at_error *err)
{
    at_packets_close(s->packets);
    s->packets = NULL;
    if (s->next == s->windows)
        return AT_END;
    s->all.from_ns = s->window[s->next].from_ns;
    s->all.to_ns = s->window[s->next++].to_ns;
    return at_packets_open(&s->packets, &s->all, &s->ask->targets, NULL, err);
}

static enum at_status next_packet(struct source *s, struct at_packet *pkt,
                                  struct at_error *err)
{
    enum at_status st = AT_END;

    for (;;) {
        if (s->packets != NULL)
            st = at_packets_next(s->packets, pkt, err);
        if (st != AT_END || s->window == NULL)
            return st;
        st = next_window(s, err);
        if (st != AT_OK)
            return st;
    }
}

static void close_source(struct source *s)
{
    at_packets_close(s->packets);
    at_query_close(&s->all);
    free(s->window);
}

/*
 * Puts all packets; what cannot be read is said, and the rest goes on.  Returns
 * AT_OK, or the error of writing; *unread: something could not be read at all.
 */
static enum at_status put_packets(struct ask *ask, struct source *source,
                                  int *status, bool *unread,
                                  struct at_error *err)
{
    struct at_packet pkt = {.ts = 0};

    while (ask->summary.packets < ask->selection.count && !tool_stopped()) {
        enum at_status st = next_packet(source, &pkt, err);

        if (st == AT_END)
            break;
        if (st < 0) {
            *status = tool_error(err);
            *unread |= st != AT_ERR_TRUNCATED && st != AT_ERR_CORRUPT;
            continue;
        }
        st = tool_sink_put(&ask->sink, &pkt, source->packets, err);
        if (st != AT_OK)
            return st;
        if (ask->summary.packets % CHECK_EVERY == 0)
            tool_progress_update(&ask->progress, 0, 0, ask->summary.packets);
    }
    return AT_OK;
}

static int write_packets(struct ask *ask, struct source *source)
{
    struct tool_sink *sink = &ask->sink;
    struct at_error err;
    enum at_status st;
    bool unread = false;
    int status = TOOL_OK, finished = TOOL_FAIL;

    sink->query = &ask->query;
    sink->targets = &ask->targets;
    sink->summary = &ask->summary;
    sink->opts.strict = ask->common.strict;
    st = tool_sink_open(sink, ask->common.local, &err);
    if (st == AT_OK)
        st = put_packets(ask, source, &status, &unread, &err);
    tool_progress_end(&ask->progress);
    if (st != AT_OK)
        finished = tool_error(&err);
    else if (!tool_stopped() && (!unread || ask->summary.packets > 0))
        finished = tool_sink_finish(sink); /* nothing would be an answer */
    tool_sink_close(sink);
    return status != TOOL_OK ? status : finished;
}

static int count_packets(struct ask *ask, struct source *source)
{
    struct at_packet pkt = {.ts = 0};
    struct at_error err;
    enum at_status st;
    uint64_t n = 0;
    int status = TOOL_OK;

    while (n < ask->selection.count && !tool_stopped() &&
           (st = next_packet(source, &pkt, &err)) != AT_END) {
        if (st < 0)
            status = tool_error(&err);
        else
            n++;
    }
    if (!tool_stopped()) /* so far would look like all */
        printf("%" PRIu64 "\n", n);
    return status;
}

static int print_steps(struct ask *ask)
{
    if (at_steps_print(&ask->steps, stdout, ask->print.format,
                       ask->common.local, ask->query.from_ns, ask->query.to_ns,
                       &ask->targets))
        return TOOL_OK;
    tool_warn("out of memory");
    return TOOL_FAIL;
}

static int print_series(struct ask *ask, struct source *source)
{
    const struct at_flow_row *flow;
    struct at_packet pkt = {.ts = 0};
    struct at_error err;
    enum at_status st;
    int status = TOOL_OK;
    size_t lane;

    while (!tool_stopped() &&
           (st = next_packet(source, &pkt, &err)) != AT_END) {
        if (st < 0) {
            status = tool_error(&err);
            continue;
        }
        flow = at_packets_flow(source->packets, &lane);
        if (at_steps_add(&ask->steps, &pkt, flow, lane) != AT_OK) {
            tool_warn("out of memory");
            return TOOL_FAIL;
        }
    }
    tool_progress_end(&ask->progress);
    if (tool_stopped())
        return status;
    return print_steps(ask) == TOOL_OK ? status : TOOL_FAIL;
}

/* Reads what the packets of the answer take, and tells what it was. */
static int count_explained(struct ask *ask, struct at_explanation *e,
                           struct source *source)
{
    struct at_packet pkt = {.ts = 0};
    struct at_error err;
    enum at_status st;
    int status = TOOL_OK;

    ask->query.explained = e->target;
    if (open_source(source, &err) != AT_OK)
        return tool_error(&err);
    while (!tool_stopped() && (st = next_packet(source, &pkt, &err)) != AT_END)
        if (st < 0)
            status = tool_error(&err);
        else
            e->target[at_packets_target(source->packets)].packets++;
    ask->query.explained = NULL;
    return status != TOOL_OK ? status : source->status;
}

static int count_flows(struct ask *ask, struct at_explanation *e)
{
    struct at_finds finds = {.n = 0};
    size_t failed = 0;
    int status;

    at_parts_close(&ask->parts);
    status = find_all(ask, &finds, &failed);
    for (size_t i = 0; i < finds.n; i++)
        e->target[finds.found[i]->target].flows++;
    at_finds_close(&finds);
    return status;
}

static int explain_with(struct ask *ask, struct at_explanation *e)
{
    struct source source = {.ask = ask};
    struct at_error err;
    int status, counted;

    for (size_t i = 0; i < ask->targets.n && !tool_stopped(); i++)
        if (at_explain_estimate(e, &ask->query, &ask->targets, i, &err) !=
            AT_OK)
            return tool_error(&err);
    status = count_explained(ask, e, &source);
    close_source(&source);
    counted = count_flows(ask, e);
    if (!tool_stopped() && !at_explain_print(e, stdout, ask->print.format,
                                             &ask->query, &ask->targets)) {
        tool_warn("out of memory");
        return TOOL_FAIL;
    }
    return status != TOOL_OK ? status : counted;
}

static int answer_explained(struct ask *ask)
{
    struct at_explanation e;
    struct at_error err;
    int status;

    if (at_explain_open(&e, &ask->query, &ask->targets, &err) != AT_OK)
        return tool_error(&err);
    status = explain_with(ask, &e);
    at_explain_close(&e);
    return status;
}

static int answer_packets(struct ask *ask)
{
    struct source source = {.ask = ask};
    struct at_error err;
    int status;

    if (!ask->count && ask->series_text == NULL &&
        ask->sink.by == TOOL_SINK_ONE)
        tool_check_output(ask->sink.path);
    if (open_source(&source, &err) != AT_OK) {
        close_source(&source);
        return tool_error(&err);
    }
    status = ask->series_text != NULL ? print_series(ask, &source)
             : ask->count             ? count_packets(ask, &source)
                                      : write_packets(ask, &source);
    close_source(&source);
    return status != TOOL_OK ? status : source.status;
}

/* ---- main ------------------------------------------------------------ */

/* Options that mean nothing for what is asked are mistakes. */
static void check_options(struct ask *ask)
{
    tool_sink_check(&ask->sink);
    if (ask->sink.by != TOOL_SINK_ONE && (ask->context_ns > 0 || ask->count))
        tool_usage_error("--by is for the packets of -w, without --context "
                         "and --count");
    if (ask->sink.path == NULL &&
        (ask->sink.format_name != NULL || ask->sink.codec_name != NULL ||
         ask->selection.count != UINT64_MAX || ask->context_ns > 0 ||
         ask->whole_flows))
        tool_usage_error("-F, -Z, -n, --context and --whole-flows are for "
                         "packets, with -w; flows have --limit");
    if (ask->sink.path != NULL &&
        (ask->fields != NULL || ask->limit != UINT64_MAX ||
         ask->format != AT_PRINT_TABLE || ask->sort_name != NULL))
        tool_usage_error("--fields, --sort, --limit, --format and --json are "
                         "for flows, not for -w; packets have -n");
    if ((ask->top_text != NULL) + (ask->series_text != NULL) +
            (ask->sql != NULL) + ask->count +
            (ask->sink.path != NULL && !ask->count) >
        1)
        tool_usage_error("of --top, --series, --sql, --count and -w only one "
                         "can be asked for");
    if ((ask->top_text != NULL || ask->series_text != NULL ||
         ask->sql != NULL) &&
        (ask->fields != NULL || ask->sort_name != NULL ||
         ask->limit != UINT64_MAX))
        tool_usage_error("--fields, --sort and --limit are for listings, not "
                         "for --top, --series and --sql");
    if (ask->explain &&
        (ask->sink.path != NULL || ask->count || ask->top_text != NULL ||
         ask->series_text != NULL || ask->sql != NULL || ask->fields != NULL ||
         ask->sort_name != NULL || ask->limit != UINT64_MAX))
        tool_usage_error("--explain stands for the answer: it has no output, "
                         "columns, order or limit");
    if (ask->context_ns > 0 && ask->whole_flows)
        tool_usage_error("--context holds all packets of the flows already");
}

static void parse_answers(struct ask *ask)
{
    struct at_error err;

    ask->print = (struct at_print){
        .out = stdout,
        .format = (enum at_print_format)ask->format,
        .local = ask->common.local,
        .width = terminal_width(),
    };
    ask->gist.kind = ask->top_text != NULL ? AT_GIST_TOP
                     : ask->count && ask->sink.path == NULL && !ask->explain
                         ? AT_GIST_COUNT
                         : AT_GIST_FLOWS;
    if (at_print_open(&ask->print, ask->fields, &err) != AT_OK ||
        (ask->sort_name != NULL &&
         at_order_parse(&ask->order, ask->sort_name, &err) != AT_OK) ||
        (ask->top_text != NULL &&
         at_top_parse(&ask->gist.top, ask->top_text, &err) != AT_OK) ||
        (ask->series_text != NULL &&
         at_steps_parse(&ask->steps, ask->series_text, &err) != AT_OK))
        tool_usage_error("%s", err.msg);
}

static int answer(struct ask *ask, int argc, char *argv[], int i)
{
    const int words = tool_first_expression(argc, argv, i,
                                            ask->expression != NULL);
    int status = open_question(ask, argc, argv, words);

    if (status == TOOL_OK)
        status = add_targets(ask, argv + i, (size_t)(words - i));
    tool_summary_start(&ask->summary);
    tool_progress_start(&ask->progress, &ask->common);
    if (status == TOOL_OK)
        status = ask->known     ? print_steps(ask)
                 : ask->explain ? answer_explained(ask)
                 : ask->sink.path != NULL || ask->series_text != NULL
                     ? answer_packets(ask)
                     : answer_flows(ask);
    if (ask->forced > 0)
        tool_note("%" PRIu64 " flows ended early because too many were open",
                  ask->forced);
    if (ask->query.asked != NULL && ask->query.asked->names.lost > 0)
        tool_warn("%" PRIu64 " of the names" TOOL_NAMES_LOST,
                  ask->query.asked->names.lost);
    if (ask->unsure > 0)
        tool_warn("%" PRIu64 " of the flows may match or not: the packets "
                  "that tell are gone",
                  ask->unsure);
    at_steps_close(&ask->steps);
    at_parts_close(&ask->parts);
    at_gist_close(&ask->gist);
    at_targets_close(&ask->targets);
    at_query_close(&ask->query);
    at_pool_close(ask->query.pool);
    return ask->damaged || (ask->gone && ask->common.strict) ? TOOL_FAIL
                                                             : status;
}

int main(int argc, char *argv[])
{
    struct ask ask = {.limit = UINT64_MAX, .sink = {.by = TOOL_SINK_ONE}};
    const struct tool_option options[] = {
        TOOL_TEXT('e', "expression", &ask.expression, "EXPR",
                  "the expression, if it is not the last operands"),
        TOOL_SINK_OPTIONS(&ask.sink),
        TOOL_CHOICE(0, "format", &ask.format, "table|csv|json",
                    "how flows are printed"),
        TOOL_TEXT(0, "fields", &ask.fields, "LIST",
                  "the columns, as in src,dst,bytes_out"),
        TOOL_TEXT(0, "sort", &ask.sort_name, "KEY[:asc|desc]",
                  "list flows by that column, or by bytes, packets or rate"),
        TOOL_COUNT(0, "limit", &ask.limit, "COUNT", "list that many flows"),
        TOOL_FLAG(0, "count", &ask.count,
                  "print the number of flows only; with -w of packets, and "
                  "write nothing"),
        TOOL_TEXT(0, "top", &ask.top_text, "N:KEY[:bytes|packets|flows]",
                  "sum up by host, src, dst, net/24, port, pair, proto, app, "
                  "category, name, state, vlan or stream; print the largest"),
        TOOL_TEXT(0, "series", &ask.series_text, "STEP[:KEY]",
                  "packets and bytes of each interval, also of empty ones"),
        TOOL_FLAG(0, "explain", &ask.explain,
                  "print how the question is answered and what that takes"),
        TOOL_TEXT(0, "sql", &ask.sql, "STATEMENT",
                  "SELECT from the table flows, of the flows that match"),
        TOOL_DURATION(0, "context", &ask.context_ns, "DURATION",
                      "with -w, all packets from so long before each flow that "
                      "matches to so long after it"),
        TOOL_FLAG(0, "whole-flows", &ask.whole_flows,
                  "with -w, all packets of the flows that match"),
        TOOL_FLOW_KEY(&ask.flow_key),
        TOOL_SELECTION_BUT(&ask.selection, TOOL_NO_FILTER),
        TOOL_INPUT(&ask.reading),
        TOOL_COMMON(&ask.common),
        TOOL_END,
    };
    int i = tool_parse(argc, argv,
                       "[--from time] [--to time] [-w out [--by key]] "
                       "archive|file ... [expression]",
                       options);

    if (i == argc)
        tool_usage_error("no archive or file is named");
    tool_selection_resolve(&ask.selection);
    if (ask.common.json)
        ask.format = AT_PRINT_JSON;
    check_options(&ask);
    parse_answers(&ask);
    return tool_finish(answer(&ask, argc, argv, i));
}
