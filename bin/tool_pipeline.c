/*
 * tool_pipeline.c - a pipeline over the inputs of a tool
 */
#include <stdio.h>

#include "tool.h"

int tool_pipeline_set(struct tool_pipeline *p, char *word[], size_t n)
{
    struct at_error err;
    int status;

    if (n == 0)
        tool_usage_error("no file is named");
    tool_selection_resolve(&p->selection);
    status = tool_selection_compile(&p->in.wanted, &p->selection);
    p->in.reading.salvage = p->common.salvage;
    if (p->selection.count != UINT64_MAX)
        p->in.limit = p->selection.count;
    if (status == TOOL_OK)
        status = tool_sources_set(&p->in, word, n, NULL);
    if (status == TOOL_OK &&
        at_pool_open(&p->in.pool, tool_threads(&p->common), &err) != AT_OK)
        status = tool_error(&err);
    return status;
}

static enum at_status look_around(void *ctx,
                                  const struct at_pipeline_counts *counts,
                                  struct at_error *err)
{
    struct tool_pipeline *p = ctx;

    (void)err;
    tool_sources_progress(&p->in, &p->progress, counts->records);
    p->stopped = tool_stopped() || ferror(stdout);
    return p->stopped ? AT_END : AT_OK;
}

static enum at_status run_on(struct tool_pipeline *p,
                             const struct at_pipeline_options *opts,
                             struct at_error *err)
{
    struct at_pipeline *pipeline;
    enum at_status st = at_pipeline_open(&pipeline, p->in.traces, opts, err);

    if (st == AT_OK)
        st = at_pipeline_run(pipeline, err);
    at_pipeline_close(pipeline);
    return st;
}

int tool_pipeline_run(struct tool_pipeline *p, struct at_pipeline_options *opts)
{
    struct at_error err;
    enum at_status st;

    opts->size = sizeof(*opts);
    opts->ctx = p;
    opts->progress = look_around;
    tool_summary_start(&p->summary);
    tool_progress_start(&p->progress, &p->common);
    /* -n 0: a limit of 0 is none */
    st = p->selection.count == 0 ? AT_OK : tool_sources_open(&p->in, &err);
    if (st == AT_OK && p->in.traces != NULL)
        st = run_on(p, opts, &err);
    tool_progress_end(&p->progress);
    return st == AT_OK ? TOOL_OK : tool_error(&err);
}

int tool_pipeline_status(const struct tool_pipeline *p)
{
    return p->stopped || p->in.damaged ? TOOL_FAIL : TOOL_OK;
}

void tool_pipeline_close(struct tool_pipeline *p)
{
    tool_sources_close(&p->in);
    at_pool_close(p->in.pool);
    at_filter_close(p->in.wanted.filter);
}
