/*
 * at-convert - change the format or the compression of traces, filter, cut
 *
 * The inputs are read as one trace (tool_sources.c), and one writer takes
 * what comes.
 *
 * Which records go through: without a selection all of them, so that ERF to
 * ERF changes no byte.  With one, META records still do where the output is
 * ERF, those of any time: they say what the interfaces of the packets are,
 * and there are few.  PAD records, which say nothing, do not.
 */
#include <string.h>

#include "tool.h"

enum {
    CHECK_EVERY = 1024, /* packets between looks at signals and the clock */
};

struct convert {
    struct tool_common common;
    struct tool_selection selection;
    struct tool_process process;
    const char *format; /* as typed, or NULL: the name of the output says */
    const char *codec;
    const char *out;

    struct tool_sources in;
    uint64_t picked; /* packets so far */

    struct at_writer_options opts;
    struct at_writer *writer; /* NULL until a packet tells the link type */
    struct tool_progress progress;
    struct tool_summary summary;
};

/* ---- options --------------------------------------------------------- */

static bool is_selecting(const struct tool_selection *s)
{
    return (s->filter != NULL && *s->filter != '\0') || s->from != NULL ||
           s->to != NULL || s->count != UINT64_MAX;
}

/* ---- output ---------------------------------------------------------- */

/* A pcap file has one link type: that of the first packet. */
static uint16_t linktype_of_file(const struct convert *c,
                                 const struct at_packet *pkt)
{
    const uint16_t linktype = pkt != NULL
                                  ? pkt->linktype
                                  : at_traces_info(c->in.traces, 0)->linktype;

    /* Raw IP of either version is two types in ERF; one pcap can have both. */
    if ((pkt == NULL || pkt->format == AT_FORMAT_ERF) &&
        (linktype == AT_LINK_IPV4 || linktype == AT_LINK_IPV6))
        return AT_LINK_RAW;
    if (pkt == NULL && linktype == AT_LINK_ERF)
        return AT_LINK_ETHERNET;
    return linktype;
}

/* A frame that was captured up to the limit gets longer by an FCS. */
static uint32_t snap_bytes_of_file(const struct convert *c)
{
    const uint32_t n = at_traces_info(c->in.traces, 0)->snap_bytes;
    const uint32_t more = c->process.fcs == AT_FCS_ADD ? 4 : 0;

    return n > 0 && n < UINT32_MAX - more ? n + more : n;
}

static enum at_status write_record(struct convert *c,
                                   const struct at_packet *pkt,
                                   struct at_error *err)
{
    const uint64_t left_out = at_writer_losses(c->writer)->linktypes;
    const enum at_status st = at_writer_put(c->writer, pkt);

    if (st != AT_OK)
        *err = *at_writer_error(c->writer);
    if (pkt->kind == AT_KIND_PACKET &&
        at_writer_losses(c->writer)->linktypes == left_out) {
        c->summary.packets++;
        c->summary.bytes += pkt->cap_bytes;
        tool_process_count(&c->process, pkt);
    }
    return st;
}

/* 'pkt' is the first packet; NULL if there is none. */
static enum at_status open_writer(struct convert *c,
                                  const struct at_packet *pkt,
                                  struct at_error *err)
{
    c->opts.linktype = linktype_of_file(c, pkt);
    if (c->in.paths.n == 1)
        c->opts.snap_bytes = snap_bytes_of_file(c);
    return at_writer_open(&c->writer, c->out, &c->opts, err);
}

/* Whether there is a place for records that are no packets. */
static bool holds_records(enum at_format format)
{
    return format == AT_FORMAT_ERF || format == AT_FORMAT_PCAPNG;
}

static enum at_status put_packet(struct convert *c, const struct at_packet *pkt,
                                 struct at_error *err)
{
    enum at_status st = AT_OK;

    if (pkt->kind == AT_KIND_PAD && is_selecting(&c->selection))
        return AT_OK;
    if (c->writer == NULL && !holds_records(c->opts.format) &&
        pkt->kind != AT_KIND_PACKET) {
        at_losses_count(&c->opts.losses, pkt);
        return AT_OK;
    }
    c->picked += pkt->kind == AT_KIND_PACKET;
    if (c->writer == NULL)
        st = open_writer(c, pkt, err);
    return st == AT_OK ? write_record(c, pkt, err) : st;
}

/* ---- the run --------------------------------------------------------- */

/* AT_END when all is written, AT_OK when a signal came before that. */
static enum at_status copy_packets(struct convert *c, struct at_error *err)
{
    struct at_packet pkt;
    enum at_status st = AT_OK;

    for (unsigned n = 0; c->picked < c->selection.count; n++) {
        if (n % CHECK_EVERY == 0) {
            tool_sources_progress(&c->in, &c->progress, c->summary.packets);
            if (tool_stopped())
                return AT_OK;
        }
        st = at_traces_next(c->in.traces, &pkt, err);
        if (st == AT_OK)
            st = put_packet(c, &pkt, err);
        if (st != AT_OK)
            return st;
    }
    return AT_END;
}

static enum at_status copy_all(struct convert *c, struct at_error *err)
{
    enum at_status st = tool_sources_open(&c->in, err);

    if (st == AT_OK)
        st = copy_packets(c, err);
    if (st == AT_END && c->writer == NULL) {
        st = open_writer(c, NULL, err);
        return st == AT_OK ? AT_END : st;
    }
    return st;
}

/* Gives the output its name; only now does it exist. */
static int finish_output(struct convert *c)
{
    const char *name = strcmp(c->out, "-") == 0 ? "standard output" : c->out;
    const struct at_losses *losses = at_writer_losses(c->writer);
    const int status = tool_losses(name, c->opts.format, losses);

    if (losses->linktypes > 0 && c->summary.packets == 0)
        return TOOL_FAIL; /* there is nothing in it */
    if (at_writer_commit(c->writer) != AT_OK)
        return tool_error(at_writer_error(c->writer));
    tool_process_summary(&c->process, tool_sources_dropped(&c->in),
                         &c->summary);
    tool_summary_print(&c->summary);
    return c->in.damaged ? TOOL_FAIL : status;
}

static int convert(struct convert *c)
{
    struct at_error err;
    enum at_status st;

    tool_summary_start(&c->summary);
    tool_progress_start(&c->progress, &c->common);
    st = copy_all(c, &err);
    tool_progress_end(&c->progress);
    if (st < 0)
        return tool_error(&err);
    return st == AT_OK || tool_stopped() ? TOOL_FAIL : finish_output(c);
}

/* ---- before and after ------------------------------------------------ */

static int set_up(struct convert *c, char *path[], size_t n)
{
    int status = tool_selection_compile(&c->in.wanted, &c->selection);
    struct at_error err;

    c->in.wanted.records = holds_records(c->opts.format) ||
                           !is_selecting(&c->selection);
    if (status == TOOL_OK)
        status = tool_process_open(&c->process);
    c->in.wanted.process = c->process.process;
    if (status == TOOL_OK)
        status = tool_sources_set(&c->in, path, n, c->out);
    if (c->in.paths.n == 1 || c->in.sequence)
        c->opts.sections = is_selecting(&c->selection) ||
                                   c->process.process != NULL
                               ? AT_SECTIONS_KEPT
                               : AT_SECTIONS_WHOLE;
    if (status == TOOL_OK &&
        at_pool_open(&c->opts.pool, tool_threads(&c->common), &err) != AT_OK)
        status = tool_error(&err);
    c->in.pool = c->opts.pool;
    return status;
}

static void tear_down(struct convert *c)
{
    tool_sources_close(&c->in);
    at_writer_close(c->writer);
    at_pool_close(c->opts.pool);
    at_filter_close(c->in.wanted.filter);
    tool_process_close(&c->process);
}

/* 'operand' are the inputs and the output. */
static int run(struct convert *c, char *operand[], size_t n)
{
    int status;

    c->out = operand[n - 1];
    tool_check_output(c->out);
    tool_output_options(&c->opts, c->format, c->codec);
    if (c->opts.format == AT_FORMAT_UNKNOWN)
        c->opts.format = at_format_by_name(c->out);
    c->opts.strict = c->common.strict;
    c->in.reading.salvage = c->common.salvage;
    status = set_up(c, operand, n - 1);
    return status == TOOL_OK ? convert(c) : status;
}

int main(int argc, char *argv[])
{
    struct convert c = {.opts = {.size = sizeof(c.opts)}};
    const struct tool_option options[] = {
        TOOL_TEXT('F', "output-format", &c.format, "FORMAT",
                  "write erf, pcap, pcap-us or pcapng (default: by the "
                  "output's name)"),
        TOOL_TEXT('Z', "compress", &c.codec, "CODEC[:LEVEL]",
                  "compress: none, bgzf, zstd, xz, bzip2, lz4 (default: by the "
                  "output's name)"),
        TOOL_FLAG(0, "sequence", &c.in.sequence,
                  "read the inputs one after the other, not by time"),
        TOOL_SELECTION(&c.selection),
        TOOL_INPUT(&c.in.reading),
        TOOL_PROCESS(&c.process),
        TOOL_COMMON_BUT(&c.common, TOOL_NO_JSON | TOOL_NO_LOCAL),
        TOOL_END,
    };
    const int i = tool_parse(argc, argv,
                             "[selection] [processing] [-F format] "
                             "[-Z codec[:level]] [--sequence] input ... output",
                             options);
    int status;

    tool_selection_resolve(&c.selection);
    if (argc - i < 2)
        tool_usage_error(i == argc ? "no file is named" : "no output is named");
    status = run(&c, argv + i, (size_t)(argc - i));
    tear_down(&c);
    return tool_finish(status);
}
