/*
 * tool_copy.c - inputs read as one trace, and one trace written
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

/* ---- the run --------------------------------------------------------- */

static enum at_status put_packet(struct tool_copy *c, struct at_packet *pkt,
                                 struct at_error *err)
{
    const uint64_t before = c->out.packets;
    enum at_status st = AT_OK;

    if (pkt->kind == AT_KIND_PAD && tool_selection_given(&c->selection))
        return AT_OK;
    if (c->take != NULL)
        st = c->take(c->ctx, pkt, err);
    if (st != AT_OK)
        return st == AT_END ? AT_OK : st;
    c->picked += pkt->kind == AT_KIND_PACKET;
    if (c->put != NULL)
        return c->put(c->ctx, pkt, err);
    st = tool_output_put(&c->out, pkt, err);
    if (c->out.packets > before)
        tool_process_count(&c->process, pkt);
    return st;
}

/* AT_END when all is written, AT_OK when a signal came before that. */
static enum at_status copy_packets(struct tool_copy *c, struct at_error *err)
{
    struct at_packet pkt;
    enum at_status st = AT_OK;

    for (unsigned n = 0; c->picked < c->selection.count; n++) {
        if (n % CHECK_EVERY == 0) {
            tool_sources_progress(&c->in, &c->progress, c->out.packets);
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

static enum at_status copy_all(struct tool_copy *c, struct at_error *err)
{
    enum at_status st = tool_sources_open(&c->in, err);

    if (st == AT_OK)
        st = copy_packets(c, err);
    if (st == AT_END && c->put == NULL &&
        tool_output_begin(&c->out, err) != AT_OK)
        return err->status;
    return st;
}

/* Gives the output its name; only now does it exist. */
static int finish_output(struct tool_copy *c)
{
    const int status = c->end != NULL ? c->end(c->ctx)
                                      : tool_output_commit(&c->out);

    if (!c->out.complete)
        return status;
    c->summary.packets = c->out.packets;
    c->summary.bytes = c->out.bytes;
    tool_process_summary(&c->process, tool_sources_dropped(&c->in),
                         &c->summary);
    if (c->finish != NULL)
        c->finish(c->ctx, c);
    tool_summary_print(&c->summary);
    return c->in.damaged ? TOOL_FAIL : status;
}

static int copy_trace(struct tool_copy *c)
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

static void choose_output(struct tool_copy *c, const char *output)
{
    struct at_writer_options *opts = &c->out.opts;

    c->out.path = output;
    c->out.in = &c->in;
    opts->fcs_use = (enum at_fcs_use)c->process.fcs;
    c->out.longer = c->process.fcs == AT_FCS_ADD ? 4 : 0;
    opts->size = sizeof(*opts);
    tool_output_options(opts, c->format, c->codec);
    if (opts->format == AT_FORMAT_UNKNOWN)
        opts->format = at_format_by_name(output);
    opts->strict = c->common.strict;
}

static int set_up(struct tool_copy *c, char *path[], size_t n)
{
    struct at_writer_options *opts = &c->out.opts;
    const bool selecting = tool_selection_given(&c->selection);
    int status = tool_selection_compile(&c->in.wanted, &c->selection);
    struct at_error err;

    c->in.reading.salvage = c->common.salvage;
    c->in.wanted.records = !c->plain &&
                           (tool_format_holds_records(opts->format) ||
                            !selecting);
    if (status == TOOL_OK)
        status = tool_process_open(&c->process);
    c->in.wanted.process = c->process.process;
    if (status == TOOL_OK)
        status = tool_sources_set(&c->in, path, n,
                                  c->put == NULL ? c->out.path : NULL);
    if (!c->plain && (c->in.paths.n == 1 || c->in.sequence) &&
        c->in.window_ns == 0)
        opts->sections = selecting || c->process.process != NULL ||
                                 c->take != NULL || c->put != NULL ||
                                 c->in.wanted.change != NULL
                             ? AT_SECTIONS_KEPT
                             : AT_SECTIONS_WHOLE;
    if (status == TOOL_OK &&
        at_pool_open(&opts->pool, tool_threads(&c->common), &err) != AT_OK)
        status = tool_error(&err);
    c->in.pool = opts->pool;
    return status;
}

static void tear_down(struct tool_copy *c)
{
    if (c->close != NULL)
        c->close(c->ctx);
    tool_sources_close(&c->in);
    tool_output_close(&c->out);
    at_pool_close(c->out.opts.pool);
    at_filter_close(c->in.wanted.filter);
    tool_process_close(&c->process);
}

int tool_copy(struct tool_copy *c, char *input[], size_t n, const char *output)
{
    int status;

    tool_selection_resolve(&c->selection);
    tool_check_output(output);
    choose_output(c, output);
    status = set_up(c, input, n);
    if (status == TOOL_OK)
        status = copy_trace(c);
    tear_down(c);
    return status;
}
