/*
 * at-merge - several traces into one, in the order of time
 *
 * What is held against what with -u follows from the order of the merged
 * trace alone, so the output does not depend on threads.
 */
#include "tool.h"

struct merge {
    struct tool_copy copy;
    const char *out;
    bool unique;
    bool numbering;
    uint64_t each; /* interfaces that an input gets */

    struct at_unique *seen;
    uint64_t duplicates;
};

/* ---- options --------------------------------------------------------- */

static void set_interfaces(void *ctx, const char *arg)
{
    struct merge *m = ctx;
    struct at_error err;

    m->numbering = true;
    m->each = 1;
    if (arg != NULL && at_size_parse(&m->each, arg, &err) != AT_OK)
        tool_usage_error("%s", err.msg);
    if (m->each < 1 || m->each > UINT16_MAX)
        tool_usage_error("an input cannot have %s interfaces", arg);
}

static void check_usage(const struct merge *m, int inputs)
{
    if (m->out == NULL)
        tool_usage_error("no output is named: -o");
    if (inputs == 0)
        tool_usage_error("no file is named");
    if (m->copy.in.window_ns < 0)
        tool_usage_error("the window of time is negative");
    if (m->copy.in.sequence && m->copy.in.window_ns > 0)
        tool_usage_error("--sequence keeps the order, --window changes it");
    if (m->numbering && m->copy.process.direction != NULL)
        tool_usage_error("both -i and --direction set the interface");
}

/* ---- packets --------------------------------------------------------- */

/* pcapng has as many interfaces as it takes, so inputs keep theirs. */
static void number(const struct merge *m, struct at_packet *pkt)
{
    const uint64_t most = m->each - 1;
    const uint64_t own = pkt->interface < most ? pkt->interface : most;
    const uint64_t n = pkt->source * m->each + own;

    if (pkt->format == AT_FORMAT_PCAPNG &&
        m->copy.out.opts.format == AT_FORMAT_PCAPNG)
        return;
    pkt->interface = n < UINT32_MAX ? (uint32_t)n : UINT32_MAX;
    pkt->source = 0; /* the number alone tells interfaces apart */
    pkt->done |= AT_DONE_NUMBERED;
}

static enum at_status take(void *ctx, struct at_packet *pkt,
                           struct at_error *err)
{
    struct merge *m = ctx;

    (void)err;
    if (pkt->kind != AT_KIND_PACKET)
        return AT_OK;
    if (m->seen != NULL && !at_unique_is_new(m->seen, pkt)) {
        m->duplicates++;
        return AT_END;
    }
    if (m->numbering)
        number(m, pkt);
    return AT_OK;
}

static void finish(void *ctx, struct tool_copy *copy)
{
    const struct merge *m = ctx;
    const struct at_traces *traces = copy->in.traces;
    uint64_t late = at_traces_late(traces);

    if (copy->in.window_ns == 0)
        for (size_t i = 0; i < at_traces_inputs(traces); i++)
            late += at_traces_count(traces, i)->out_of_order;
    tool_summary_count(&copy->summary, m->duplicates, "duplicate", " dropped");
    tool_summary_count(&copy->summary, late, "packet", " late");
}

static int merge(struct merge *m, char *input[], size_t n)
{
    struct at_error err;
    int status;

    if (m->unique && at_unique_open(&m->seen, &err) != AT_OK)
        return tool_error(&err);
    m->copy.ctx = m;
    m->copy.finish = finish;
    if (m->unique || m->numbering)
        m->copy.take = take;
    status = tool_copy(&m->copy, input, n, m->out);
    at_unique_close(m->seen);
    return status;
}

int main(int argc, char *argv[])
{
    struct merge m = {.unique = false};
    const struct tool_option options[] = {
        TOOL_TEXT('o', "output", &m.out, "OUT",
                  "the merged trace, - for standard output"),
        TOOL_FLAG('u', "unique", &m.unique,
                  "drop packets of the same time, lengths and bytes as one "
                  "before"),
        TOOL_DURATION(0, "window", &m.copy.in.window_ns, "DURATION",
                      "put packets right that come up to so much too late"),
        TOOL_CALL_OPTIONAL('i', "set-interface", set_interfaces, &m, "N",
                           "number interfaces by input, N for each (default "
                           "1)"),
        TOOL_WRITING(&m.copy),
        TOOL_COPY_OPTIONS(&m.copy),
        TOOL_END,
    };
    const int i = tool_parse(argc, argv,
                             "[selection] [processing] [-u] [-i[n]] "
                             "[--window duration] [-F format] "
                             "[-Z codec[:level]] [--sequence] -o output "
                             "input ...",
                             options);

    check_usage(&m, argc - i);
    return tool_finish(merge(&m, argv + i, (size_t)(argc - i)));
}
