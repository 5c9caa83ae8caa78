/*
 * at-stats - counters per filter and interval
 *
 * Workers get runs of packets and count those of a few intervals at a time;
 * what they have counted goes to the series of the reporter when an interval
 * gives way to another, and at every tick.  At a tick all workers have said
 * all of the packets before it, so whether a row is complete depends on the
 * trace alone.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "series.h"
#include "table.h"
#include "tool.h"

enum {
    SLOTS = 8, /* intervals that a worker has under way; a power of 2 */
    TICK_PACKETS = 1 << 17,
    ROWS_MOST = 1 << 20, /* that wait to be complete */
    LINES_MOST = 1000000,
    BUFFER_BYTES = 1 << 18,
};

static const int64_t tick_least_ns = 100000000;
static const int64_t pipe_window_ns = 1000000000;
static const int64_t timeless = INT64_MAX; /* the row of packets without time */

enum { PUBLISHED_SUMS = 0, PUBLISHED_TICK = 1 }; /* keys */

struct counter {
    uint64_t packets, wire_bytes, captured_bytes;
};

/* What was counted of one input in one interval. */
struct sums {
    int64_t number; /* of the interval */
    uint32_t input;
    bool used;
    uint64_t lost;
    int64_t first_ns, last_ns; /* of the packets; first > last: none */
    struct counter counter[];  /* of all packets, then of each expression */
};

struct stats {
    struct tool_pipeline pipeline; /* first: it is the ctx of the callbacks */
    int64_t interval_ns;           /* 0: none */
    uint64_t every;                /* packets; 0: none */
    int64_t window_ns;             /* -1: rows are complete at the end */
    uint64_t lines_left;           /* for intervals without packets */
    bool by_input;
    int format; /* enum at_print_format */

    const char **text; /* the expressions */
    struct at_filter **filter;
    size_t filters;
    size_t inputs; /* that are counted apart; 1 unless 'by_input' */
    size_t sums_bytes;

    struct at_series *series;
    struct at_table table;
    int64_t next; /* interval of the next row, once 'begun' */
    bool begun;
    uint64_t late;  /* rows that came after a later one */
    uint64_t empty; /* intervals without packets that got no row */
};

/* ---- counting: on any thread ----------------------------------------- */

static void reset(struct sums *s, size_t counters)
{
    s->lost = 0;
    s->first_ns = INT64_MAX;
    s->last_ns = INT64_MIN;
    memset(s->counter, 0, counters * sizeof(s->counter[0]));
}

static struct sums *slot(const struct stats *s, const struct at_worker *w,
                         size_t i)
{
    return (void *)((char *)w->state + i * s->sums_bytes);
}

static enum at_status publish(const struct stats *s, struct at_worker *w,
                              struct sums *sums, struct at_error *err)
{
    if (!sums->used)
        return AT_OK;
    sums->used = false;
    if (at_publish(w, PUBLISHED_SUMS, sums, s->sums_bytes) != AT_OK)
        return at_error_set(err, AT_ERR_MEMORY, "out of memory");
    return AT_OK;
}

static enum at_status publish_all(struct at_worker *w, struct at_error *err)
{
    const struct stats *s = w->ctx;
    enum at_status st = AT_OK;

    for (size_t i = 0; i < SLOTS && st == AT_OK; i++)
        st = publish(s, w, slot(s, w, i), err);
    return st;
}

/* Of all workers' results of a tick those of the last one come last. */
static enum at_status tick(struct at_worker *w, const struct at_tick *tick,
                           struct at_error *err)
{
    const enum at_status st = publish_all(w, err);

    if (st != AT_OK || w->number + 1 < w->workers)
        return st;
    if (at_publish(w, PUBLISHED_TICK, tick, sizeof(*tick)) != AT_OK)
        return at_error_set(err, AT_ERR_MEMORY, "out of memory");
    return AT_OK;
}

static int64_t interval_of(const struct stats *s, const struct at_worker *w,
                           const struct at_packet *pkt, int64_t ns)
{
    if (s->every > 0)
        return (int64_t)(w->position / s->every);
    if (s->interval_ns == 0)
        return 0;
    return pkt->timeless ? timeless : ns / s->interval_ns;
}

static void add(struct counter *c, const struct at_packet *pkt)
{
    c->packets++;
    c->wire_bytes += pkt->wire_bytes;
    c->captured_bytes += pkt->cap_bytes;
}

static void count(const struct stats *s, struct sums *sums,
                  const struct at_packet *pkt, int64_t ns)
{
    sums->lost += pkt->lost;
    if (!pkt->timeless && ns < sums->first_ns)
        sums->first_ns = ns;
    if (!pkt->timeless && ns > sums->last_ns)
        sums->last_ns = ns;
    add(&sums->counter[0], pkt);
    for (size_t i = 0; i < s->filters; i++)
        if (at_filter_match(s->filter[i], pkt))
            add(&sums->counter[i + 1], pkt);
}

static enum at_status take_packet(struct at_worker *w,
                                  const struct at_packet *pkt,
                                  struct at_error *err)
{
    const struct stats *s = w->ctx;
    const int64_t ns = at_ts_to_ns(pkt->ts);
    const int64_t number = interval_of(s, w, pkt, ns);
    const uint32_t input = s->by_input ? pkt->source : 0;
    struct sums *sums = slot(s, w, ((uint64_t)number + input) % SLOTS);
    enum at_status st = AT_OK;

    if (sums->used && (sums->number != number || sums->input != input))
        st = publish(s, w, sums, err);
    if (!sums->used) {
        reset(sums, s->filters + 1);
        sums->number = number;
        sums->input = input;
        sums->used = true;
    }
    count(s, sums, pkt, ns);
    return st;
}

/* ---- rows: on the thread of the run ---------------------------------- */

static struct sums *sums_at(const struct stats *s, void *row, size_t input)
{
    return (void *)((char *)row + input * s->sums_bytes);
}

static void print_ends(struct stats *s, int64_t start, int64_t end)
{
    at_table_time(&s->table, start, s->pipeline.common.local);
    at_table_time(&s->table, end, s->pipeline.common.local);
}

static void print_when(struct stats *s, int64_t number, const struct sums *sums)
{
    const bool by_time = s->interval_ns > 0 && number != timeless;
    const int64_t start = by_time ? number * s->interval_ns : 0;

    if (by_time)
        print_ends(s, start,
                   start > INT64_MAX - s->interval_ns ? INT64_MAX
                                                      : start + s->interval_ns);
    else if (sums->first_ns <= sums->last_ns && sums->counter[0].packets > 0)
        print_ends(s, sums->first_ns, sums->last_ns);
    else {
        at_table_put(&s->table, "");
        at_table_put(&s->table, "");
    }
}

static void print_line(struct stats *s, int64_t number, const struct sums *sums,
                       size_t input, size_t i)
{
    const struct counter *c = &sums->counter[i];

    print_when(s, number, sums);
    if (s->by_input)
        at_table_put(&s->table, s->pipeline.in.paths.path[input]);
    at_table_put(&s->table, i == 0 ? "all" : s->text[i - 1]);
    at_table_number(&s->table, c->packets);
    at_table_percent(&s->table, c->packets, sums->counter[0].packets);
    at_table_number(&s->table, c->wire_bytes);
    at_table_number(&s->table, c->captured_bytes);
    if (i == 0)
        at_table_number(&s->table, sums->lost);
    else
        at_table_put(&s->table, "");
}

static void print_row(struct stats *s, int64_t number, void *row)
{
    for (size_t input = 0; input < s->inputs; input++)
        for (size_t i = 0; i <= s->filters; i++)
            print_line(s, number, sums_at(s, row, input), input, i);
}

/* A trace may jump by centuries: a gap gets its rows only if there are lines
 * left for all of it. */
static void print_empty(struct stats *s, int64_t until, void *zero)
{
    const uint64_t n = (uint64_t)until - (uint64_t)s->next;
    const uint64_t lines = s->inputs * (s->filters + 1);

    if (n > s->lines_left / lines) {
        s->empty += n;
        return;
    }
    s->lines_left -= n * lines;
    for (; s->next < until && !ferror(stdout); s->next++)
        print_row(s, s->next, zero);
}

static enum at_status print_first(struct stats *s)
{
    int64_t number = 0;
    void *row = at_series_first(s->series, &number);
    void *zero = calloc(s->inputs, s->sums_bytes);

    if (row == NULL || zero == NULL) {
        free(zero);
        return AT_ERR_MEMORY;
    }
    if (s->interval_ns > 0 && s->begun && number != timeless) {
        s->late += number < s->next;
        if (number > s->next)
            print_empty(s, number, zero);
    }
    print_row(s, number, row);
    at_series_drop_first(s->series);
    if (number != timeless && (!s->begun || number >= s->next))
        s->next = number + 1;
    s->begun = true;
    free(zero);
    return AT_OK;
}

/* Whether no packet of the interval comes any more, except too late. */
static bool is_complete(const struct stats *s, int64_t number,
                        const struct at_tick *tick)
{
    if (s->every > 0)
        return (uint64_t)number < tick->position / s->every;
    return s->window_ns >= 0 && tick->kind == AT_TICK_TIME &&
           number < (tick->time_ns - s->window_ns) / s->interval_ns;
}

static enum at_status print_complete(struct stats *s,
                                     const struct at_tick *tick)
{
    enum at_status st = AT_OK;
    bool printed = false;
    int64_t number;

    while (st == AT_OK && at_series_first(s->series, &number) != NULL &&
           (is_complete(s, number, tick) ||
            at_series_rows(s->series) > ROWS_MOST)) {
        st = print_first(s);
        printed = true;
    }
    if (printed) {
        at_table_flush(&s->table);
        fflush(stdout);
    }
    return st;
}

static enum at_status print_rest(struct stats *s)
{
    const bool none = !s->begun && at_series_rows(s->series) == 0;
    enum at_status st = AT_OK;

    /* Without intervals there is a row also of nothing. */
    if (none && s->interval_ns == 0 && s->every == 0 &&
        at_series_row(s->series, 0) == NULL)
        return AT_ERR_MEMORY;
    while (st == AT_OK && at_series_rows(s->series) > 0)
        st = print_first(s);
    return st;
}

static enum at_status add_sums(struct stats *s, const struct sums *more)
{
    void *row = at_series_row(s->series, more->number);
    struct sums *to;

    if (row == NULL)
        return AT_ERR_MEMORY;
    to = sums_at(s, row, more->input);
    if (!to->used)
        reset(to, s->filters + 1);
    to->used = true;
    to->lost += more->lost;
    if (more->first_ns < to->first_ns)
        to->first_ns = more->first_ns;
    if (more->last_ns > to->last_ns)
        to->last_ns = more->last_ns;
    for (size_t i = 0; i <= s->filters; i++) {
        to->counter[i].packets += more->counter[i].packets;
        to->counter[i].wire_bytes += more->counter[i].wire_bytes;
        to->counter[i].captured_bytes += more->counter[i].captured_bytes;
    }
    s->pipeline.summary.packets += more->counter[0].packets;
    s->pipeline.summary.bytes += more->counter[0].captured_bytes;
    return AT_OK;
}

static enum at_status take_result(void *ctx, const struct at_result *r,
                                  struct at_error *err)
{
    struct stats *s = ctx;
    const enum at_status st = r->key == PUBLISHED_TICK
                                  ? print_complete(s, r->data)
                                  : add_sums(s, r->data);

    return st == AT_OK ? AT_OK : at_error_set(err, st, "out of memory");
}

/* ---- the tool -------------------------------------------------------- */

static const struct at_column all_columns[] = {
    {"start", true, 30},       {"end", true, 30},
    {"input", true, 0},        {"filter", true, 0},
    {"packets", false, 10},    {"percent", false, 0},
    {"wire_bytes", false, 12}, {"captured_bytes", false, 0},
    {"losses", false, 0},
};

enum { COLUMNS = sizeof(all_columns) / sizeof(all_columns[0]), INPUT = 2 };

static void add_expression(void *ctx, const char *text)
{
    struct stats *s = ctx;

    s->text[s->filters++] = text;
}

static int open_filters(struct stats *s, bool words)
{
    const unsigned flags = s->pipeline.selection.literal ? AT_FILTER_LITERAL
                                                         : 0;
    struct at_error err;
    int status;

    s->filter = calloc(s->filters + 1, sizeof(struct at_filter *));
    if (s->filter == NULL) {
        tool_warn("out of memory");
        return TOOL_FAIL;
    }
    for (size_t i = 0; i < s->filters; i++)
        if (at_filter_open(&s->filter[i], s->text[i], flags, &err) != AT_OK) {
            status = tool_error_in(&err, s->text[i]);
            if (words)
                tool_note("'%s' names no file, and is taken for an expression",
                          s->text[i]);
            return status;
        }
    return TOOL_OK;
}

/* What comes from a pipe may come for ever, so rows do not wait for the end. */
static bool is_endless(const char *path)
{
    struct stat st;

    return (strcmp(path, "-") == 0 ? fstat(STDIN_FILENO, &st)
                                   : stat(path, &st)) == 0 &&
           !S_ISREG(st.st_mode);
}

static void choose_window(struct stats *s, const struct at_paths *paths)
{
    for (size_t i = 0; i < paths->n && s->window_ns < 0; i++)
        if (is_endless(paths->path[i]))
            s->window_ns = pipe_window_ns;
}

static int set_up(struct stats *s, char *word[], size_t n, bool words)
{
    int status = open_filters(s, words);

    if (status == TOOL_OK)
        status = tool_pipeline_set(&s->pipeline, word, n);
    choose_window(s, &s->pipeline.in.paths);
    s->inputs = s->by_input ? s->pipeline.in.paths.n : 1;
    s->sums_bytes = sizeof(struct sums) +
                    (s->filters + 1) * sizeof(struct counter);
    s->series = at_series_open(s->inputs * s->sums_bytes);
    if (status == TOOL_OK && s->series == NULL) {
        tool_warn("out of memory");
        status = TOOL_FAIL;
    }
    return status;
}

static void set_ticks(const struct stats *s, struct at_pipeline_options *opts)
{
    const int64_t step = s->interval_ns;

    if (s->every > 0)
        opts->tick_records = s->every >= TICK_PACKETS
                                 ? s->every
                                 : TICK_PACKETS / s->every * s->every;
    else if (step > 0)
        opts->tick_records = TICK_PACKETS;
    if (step > 0 && s->window_ns >= 0)
        opts->tick_ns = step >= tick_least_ns ? step
                                              : tick_least_ns / step * step;
}

static void say_rest(const struct stats *s)
{
    struct tool_summary sum = s->pipeline.summary;

    if (s->late > 0)
        tool_note("%llu interval%s printed again, for packets that came more "
                  "than --window too late",
                  (unsigned long long)s->late,
                  s->late == 1 ? " was" : "s were");
    if (s->empty > 0)
        tool_note("%llu interval%s without packets got no line (--lines)",
                  (unsigned long long)s->empty, s->empty == 1 ? "" : "s");
    tool_summary_print(&sum);
}

static int run(struct stats *s)
{
    struct at_column column[COLUMNS];
    struct at_pipeline_options opts = {
        .state_bytes = SLOTS * s->sums_bytes,
        .packet = take_packet,
        .tick = tick,
        .stopping = publish_all,
        .result = take_result,
    };
    int status;

    s->table = (struct at_table){
        .out = stdout,
        .format = s->pipeline.common.json ? AT_PRINT_JSON
                                          : (enum at_print_format)s->format,
        .column = column,
    };
    for (unsigned i = 0; i < COLUMNS; i++)
        if (i != INPUT || s->by_input)
            column[s->table.columns++] = all_columns[i];
    setvbuf(stdout, NULL, _IOFBF, BUFFER_BYTES);
    set_ticks(s, &opts);
    status = tool_pipeline_run(&s->pipeline, &opts);
    if (status == TOOL_OK && print_rest(s) != AT_OK)
        s->table.cells.failed = true;
    if (!at_table_close(&s->table)) {
        tool_warn("out of memory");
        return TOOL_FAIL;
    }
    if (status != TOOL_OK)
        return status;
    say_rest(s);
    return tool_pipeline_status(&s->pipeline);
}

static void close_stats(struct stats *s)
{
    tool_pipeline_close(&s->pipeline);
    for (size_t i = 0; s->filter != NULL && i < s->filters; i++)
        at_filter_close(s->filter[i]);
    at_series_close(s->series);
    free(s->filter);
    free(s->text);
}

static void check_options(const struct stats *s)
{
    if (s->interval_ns > 0 && s->every > 0)
        tool_usage_error("--interval and --every exclude each other");
    if (s->window_ns >= 0 && s->interval_ns == 0)
        tool_usage_error("--window is of intervals: it needs --interval");
}

int main(int argc, char *argv[])
{
    struct stats s = {.window_ns = -1, .lines_left = LINES_MOST};
    const struct tool_option options[] = {
        TOOL_DURATION('i', "interval", &s.interval_ns, "DUR",
                      "counters for each interval, which are those of the "
                      "clock in UTC"),
        TOOL_COUNT('c', "every", &s.every, "COUNT",
                   "counters for every so many packets"),
        TOOL_CALL('e', "expression", add_expression, &s, "EXPR",
                  "count the packets that match; may be given again"),
        TOOL_FLAG(0, "by-input", &s.by_input, "counters for each input"),
        TOOL_DURATION(0, "window", &s.window_ns, "DUR",
                      "print an interval when a packet is so much later than "
                      "its end"),
        TOOL_COUNT(0, "lines", &s.lines_left, "COUNT",
                   "at most so many for intervals without packets"),
        TOOL_CHOICE(0, "format", &s.format, "table|csv|json",
                    "how counters are printed"),
        TOOL_PIPELINE_OPTIONS(&s.pipeline, 0),
        TOOL_END,
    };
    int i, words, status;

    s.text = calloc((size_t)argc + 1, sizeof(s.text[0]));
    if (s.text == NULL)
        return TOOL_FAIL;
    i = tool_parse(argc, argv,
                   "[selection] [--interval dur | --every count] "
                   "[--format table|csv|json] input ... [expression ...]",
                   options);
    check_options(&s);
    words = tool_first_expression(argc, argv, i, s.filters > 0);
    for (int k = words; k < argc; k++)
        add_expression(&s, argv[k]);
    status = set_up(&s, argv + i, (size_t)(words - i), words < argc);
    if (status == TOOL_OK)
        status = run(&s);
    close_stats(&s);
    return tool_finish(status);
}
