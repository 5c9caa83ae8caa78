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

#include "parts.h"
#include "print.h"
#include "query.h"
#include "tool.h"

struct ask {
    struct tool_common common;
    struct tool_selection selection;
    const char *expression; /* -e */
    const char *output;     /* -w */
    const char *format_name, *codec_name;
    int format; /* enum at_print_format */
    const char *fields;
    uint64_t limit;
    bool count;
    bool whole_flows;
    int kept; /* descriptor of what standard input held, or -1 */
    struct at_reader_options reading;
    struct at_query query;
    struct at_targets targets;
    struct at_parts parts; /* where flows decide */
    struct tool_progress progress;
    struct tool_summary summary;
    bool damaged; /* a target; its holes were said */
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
    ask->damaged = true;
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
    ask->query.reading.salvage = ask->common.salvage;
    ask->query.holes = holes;
    ask->query.holes_ctx = ask;
    ask->query.from_ns = ask->selection.from_ns;
    ask->query.to_ns = ask->selection.to_ns;
    ask->query.whole_flows = ask->whole_flows;
    ask->query.stop = tool_stopped;
    free(text);
    return status;
}

/*
 * Standard input can be read once; where it must be read again it is kept in
 * a file without a name.  Returns its descriptor, or -1 after saying why.
 */
static int keep_input(void)
{
    const char *dir = getenv("TMPDIR");
    char path[PATH_MAX], buf[65536];
    ssize_t n;
    int fd;

    snprintf(path, sizeof(path), "%s/at-query-XXXXXX",
             dir != NULL && *dir != '\0' ? dir : "/tmp");
    fd = mkstemp(path);
    if (fd < 0) {
        tool_warn("%s: cannot create: %s", path, strerror(errno));
        return -1;
    }
    unlink(path);
    while ((n = read(STDIN_FILENO, buf, sizeof(buf))) > 0 && !tool_stopped())
        if (write(fd, buf, (size_t)n) != n) {
            n = -1;
            break;
        }
    if (n < 0) {
        tool_warn("cannot keep standard input in %s: %s", path,
                  strerror(errno));
        close(fd);
        return -1;
    }
    lseek(fd, 0, SEEK_SET);
    return fd;
}

/* Whether packets cannot be judged without what is known of their flow. */
static bool uses_parts(const struct ask *ask)
{
    return at_query_has_terms(&ask->query) || ask->whole_flows;
}

static int add_input(struct ask *ask)
{
    struct at_error err;

    ask->kept = keep_input();
    if (ask->kept < 0)
        return TOOL_FAIL;
    return at_targets_add_fd(&ask->targets, ask->kept, &err) == AT_OK
               ? TOOL_OK
               : tool_error(&err);
}

static int add_targets(struct ask *ask, int words, char *argv[], int i)
{
    struct at_error err;

    for (; i < words; i++)
        if (strcmp(argv[i], "-") == 0 && uses_parts(ask) && ask->kept < 0) {
            if (add_input(ask) != TOOL_OK)
                return TOOL_FAIL;
        } else if (at_targets_add(&ask->targets, &ask->query, argv[i], &err) !=
                   AT_OK)
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
        tool_progress_update(&ask->progress, i + 1, ask->targets.n, 0);
    }
    return status;
}

static enum at_status find_in(struct ask *ask, size_t number,
                              struct at_finds *finds, struct at_error *err)
{
    return at_find_flows(&ask->query, &ask->targets, number, finds, err);
}

static int find_flows(struct ask *ask, struct at_finds *finds, size_t *failed)
{
    return each_target(ask, failed, find_in, finds);
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

/* Takes the flows that may be of use, and with 'settle' asks the packets of
 * those that are in doubt. */
static int take_parts(struct ask *ask, bool settle, size_t *failed)
{
    struct at_error err;
    size_t unsettled = 0;
    int status = each_target(ask, failed, take_in, NULL);

    if (at_parts_judge(&ask->parts, &ask->query, &ask->targets, &err) != AT_OK)
        return tool_error(&err);
    /* What could not be read was said already. */
    if (settle && *failed == 0 &&
        each_target(ask, &unsettled, settle_in, NULL) != TOOL_OK)
        status = TOOL_FAIL;
    return status;
}

static int find_parts(struct ask *ask, struct at_finds *finds, size_t *failed)
{
    const int status = take_parts(ask, true, failed);

    if (at_parts_finds(&ask->parts, finds) == AT_OK)
        return status;
    tool_warn("out of memory");
    return TOOL_FAIL;
}

static int answer_flows(struct ask *ask)
{
    struct at_print print = {
        .out = stdout,
        .format = (enum at_print_format)ask->format,
        .local = ask->common.local,
        .width = terminal_width(),
    };
    struct at_finds finds = {.n = 0};
    struct at_error err;
    size_t failed = 0;
    int status = TOOL_OK;

    if (at_print_open(&print, ask->fields, &err) != AT_OK)
        tool_usage_error("%s", err.msg);
    status = uses_parts(ask) ? find_parts(ask, &finds, &failed)
                             : find_flows(ask, &finds, &failed);
    tool_progress_end(&ask->progress);
    if (at_finds_finish(&finds, &ask->targets, &err) != AT_OK)
        status = tool_error(&err);
    else if (failed > 0 && failed == ask->targets.n && finds.n == 0)
        status = TOOL_FAIL; /* an empty table would be an answer */
    else if (ask->count)
        printf("%zu\n", finds.n);
    else if (!tool_stopped())
        at_print_flows(&print, &finds, &ask->targets, ask->limit);
    at_finds_close(&finds);
    return status;
}

/* ---- packets --------------------------------------------------------- */

/* Puts the packets into a writer that is opened by the first of them, since
 * a pcap file needs their link type. */
static int write_packets(struct ask *ask, struct at_packets *packets)
{
    struct at_writer_options opts = {
        .size = sizeof(opts),
        .pool = ask->query.pool,
        .linktype = AT_LINK_ETHERNET,
        .strict = ask->common.strict,
    };
    struct at_writer *writer = NULL;
    struct at_packet pkt;
    struct at_error err;
    enum at_status st = AT_OK;
    bool unread = false; /* something could not be read at all */
    int status = TOOL_OK;

    tool_output_options(&opts, ask->format_name, ask->codec_name);
    while (ask->summary.packets < ask->selection.count && !tool_stopped()) {
        st = at_packets_next(packets, &pkt, &err);
        if (st == AT_END)
            break;
        if (st < 0) {
            status = tool_error(&err);
            unread |= st != AT_ERR_TRUNCATED && st != AT_ERR_CORRUPT;
            continue;
        }
        if (writer == NULL) {
            opts.linktype = pkt.linktype;
            st = at_writer_open(&writer, ask->output, &opts, &err);
            if (st != AT_OK)
                return tool_error(&err);
        }
        if (at_writer_put(writer, &pkt) != AT_OK)
            break;
        ask->summary.packets++;
        ask->summary.bytes += pkt.cap_bytes;
        if (ask->summary.packets % 65536 == 0)
            tool_progress_update(&ask->progress, 0, 0, ask->summary.packets);
    }
    tool_progress_end(&ask->progress);
    if (writer == NULL && (tool_stopped() || unread))
        return status; /* an empty file would be an answer */
    if (writer == NULL &&
        at_writer_open(&writer, ask->output, &opts, &err) != AT_OK)
        return tool_error(&err);
    if (!tool_stopped() && at_writer_commit(writer) != AT_OK)
        status = tool_error(at_writer_error(writer));
    else if (!tool_stopped())
        tool_summary_print(&ask->summary);
    if (writer != NULL && status == TOOL_OK)
        status = tool_losses(ask->output, at_writer_format(writer),
                             at_writer_losses(writer));
    at_writer_close(writer);
    return status;
}

static int count_packets(struct ask *ask, struct at_packets *packets)
{
    struct at_packet pkt;
    struct at_error err;
    enum at_status st;
    uint64_t n = 0;
    int status = TOOL_OK;

    while (n < ask->selection.count && !tool_stopped() &&
           (st = at_packets_next(packets, &pkt, &err)) != AT_END) {
        if (st < 0)
            status = tool_error(&err);
        else
            n++;
    }
    printf("%" PRIu64 "\n", n);
    return status;
}

static int answer_packets(struct ask *ask)
{
    struct at_packets *packets;
    struct at_error err;
    size_t failed = 0;
    int status = TOOL_OK, taken = TOOL_OK;

    if (!ask->count)
        tool_check_output(ask->output);
    if (uses_parts(ask))
        taken = take_parts(ask, ask->whole_flows, &failed);
    if (at_packets_open(&packets, &ask->query, &ask->targets,
                        uses_parts(ask) ? &ask->parts : NULL, &err) != AT_OK)
        return tool_error(&err);
    status = ask->count ? count_packets(ask, packets)
                        : write_packets(ask, packets);
    at_packets_close(packets);
    return status != TOOL_OK ? status : taken;
}

/* ---- main ------------------------------------------------------------ */

/* Options that mean nothing for what is asked are mistakes. */
static void check_options(const struct ask *ask)
{
    if (ask->output == NULL &&
        (ask->format_name != NULL || ask->codec_name != NULL ||
         ask->selection.count != UINT64_MAX || ask->common.strict))
        tool_usage_error("-F, -Z, -n and --strict are for packets, with -w; "
                         "flows have --limit");
    if (ask->output != NULL &&
        (ask->fields != NULL || ask->limit != UINT64_MAX ||
         ask->format != AT_PRINT_TABLE))
        tool_usage_error("--fields, --limit, --format and --json are for "
                         "flows, not for -w; packets have -n");
}

static int answer(struct ask *ask, int argc, char *argv[], int i)
{
    const int words = tool_first_expression(argc, argv, i,
                                            ask->expression != NULL);
    int status = open_question(ask, argc, argv, words);

    if (status == TOOL_OK)
        status = add_targets(ask, words, argv, i);
    tool_summary_start(&ask->summary);
    tool_progress_start(&ask->progress, &ask->common);
    if (status == TOOL_OK)
        status = ask->output != NULL ? answer_packets(ask) : answer_flows(ask);
    if (ask->kept >= 0)
        close(ask->kept);
    at_parts_close(&ask->parts);
    at_targets_close(&ask->targets);
    at_query_close(&ask->query);
    at_pool_close(ask->query.pool);
    return ask->damaged ? TOOL_FAIL : status;
}

int main(int argc, char *argv[])
{
    struct ask ask = {.limit = UINT64_MAX, .kept = -1};
    const struct tool_option options[] = {
        TOOL_TEXT('e', "expression", &ask.expression, "EXPR",
                  "the expression, if it is not the last operands"),
        TOOL_TEXT('w', "write", &ask.output, "OUT",
                  "write the packets there instead of listing flows"),
        TOOL_TEXT(
            'F', "output-format", &ask.format_name, "FORMAT",
            "of OUT: erf, pcap, pcap-us or pcapng; default by its suffix"),
        TOOL_TEXT(
            'Z', "compress", &ask.codec_name, "CODEC[:LEVEL]",
            "of OUT: none, bgzf, gzip, zstd, xz, bzip2 or lz4; default by "
            "its suffix"),
        TOOL_CHOICE(0, "format", &ask.format, "table|csv|json",
                    "how flows are printed"),
        TOOL_TEXT(0, "fields", &ask.fields, "LIST",
                  "the columns, as in src,dst,bytes_out"),
        TOOL_COUNT(0, "limit", &ask.limit, "COUNT", "list that many flows"),
        TOOL_FLAG(0, "count", &ask.count,
                  "print the number of flows only; with -w of packets, and "
                  "write nothing"),
        TOOL_FLAG(0, "whole-flows", &ask.whole_flows,
                  "with -w, all packets of the flows that match"),
        TOOL_SELECTION_BUT(&ask.selection, TOOL_NO_FILTER),
        TOOL_INPUT(&ask.reading),
        TOOL_COMMON(&ask.common),
        TOOL_END,
    };
    int i = tool_parse(argc, argv,
                       "[--from time] [--to time] [-w out] "
                       "archive|file ... [expression]",
                       options);

    if (i == argc)
        tool_usage_error("no archive or file is named");
    tool_selection_resolve(&ask.selection);
    if (ask.common.json)
        ask.format = AT_PRINT_JSON;
    check_options(&ask);
    return tool_finish(answer(&ask, argc, argv, i));
}
