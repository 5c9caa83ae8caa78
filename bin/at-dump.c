/*
 * at-dump - packets as text
 *
 * The threads that find the wanted packets also make their text
 * (at_selection's note), because that is most of the work; here they only get
 * their numbers and go out in order.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "dump.h"
#include "tool.h"

enum {
    CHECK_EVERY = 256, /* packets between looks at signals and the clock */
    BUFFER_BYTES = 1 << 18,
};

struct dump {
    struct tool_common common;
    struct tool_selection selection;
    struct at_dump_options opts;
    bool brief;
    unsigned hex; /* how often -x was given */

    struct tool_sources in;
    struct at_pool *pool;
    uint64_t records; /* shown, of any kind */
    uint64_t packets;
    struct tool_progress progress;
};

static void count_hex(void *ctx, const char *arg)
{
    struct dump *d = ctx;

    (void)arg;
    d->hex++;
}

static void note(void *ctx, struct at_text *text, const struct at_packet *pkt)
{
    at_dump_packet(ctx, text, pkt);
}

static void print(struct dump *d)
{
    const bool json = d->opts.format == AT_DUMP_JSON;
    size_t n;
    const char *text = at_traces_note(d->in.traces, &n);

    d->records++;
    printf(json ? "{\"number\":%" PRIu64 : "%" PRIu64, d->records);
    fwrite(text, 1, n, stdout);
}

/* AT_END when all is shown, AT_OK when it is time to stop before that. */
static enum at_status print_all(struct dump *d, struct at_error *err)
{
    enum at_status st = tool_sources_open(&d->in, err);
    struct at_packet pkt;

    for (unsigned n = 0; st == AT_OK && d->packets < d->selection.count; n++) {
        if (n % CHECK_EVERY == 0) {
            tool_sources_progress(&d->in, &d->progress, d->packets);
            if (tool_stopped() || ferror(stdout))
                return AT_OK;
        }
        st = at_traces_next(d->in.traces, &pkt, err);
        if (st != AT_OK)
            break;
        if (pkt.kind != AT_KIND_PACKET && pkt.format != AT_FORMAT_ERF)
            continue; /* blocks of pcapng have no text yet */
        print(d);
        d->packets += pkt.kind == AT_KIND_PACKET;
    }
    return st == AT_OK ? AT_END : st;
}

/* With a selection only packets are shown, without one all records. */
static int set_up(struct dump *d, char *path[], size_t n)
{
    const struct tool_selection *s = &d->selection;
    int status = tool_selection_compile(&d->in.wanted, s);
    struct at_error err;

    d->opts.format = d->common.json ? AT_DUMP_JSON
                     : d->brief     ? AT_DUMP_BRIEF
                                    : AT_DUMP_LAYERS;
    d->opts.bytes = d->hex == 0   ? AT_DUMP_NO_BYTES
                    : d->hex == 1 ? AT_DUMP_FRAME
                                  : AT_DUMP_RECORD;
    d->opts.local = d->common.local;
    d->in.wanted.records = (s->filter == NULL || *s->filter == 0) &&
                           s->from == NULL && s->to == NULL;
    d->in.wanted.note = note;
    d->in.wanted.ctx = &d->opts;
    if (status == TOOL_OK)
        status = tool_sources_set(&d->in, path, n, NULL);
    if (status == TOOL_OK &&
        at_pool_open(&d->pool, tool_threads(&d->common), &err) != AT_OK)
        status = tool_error(&err);
    d->in.pool = d->pool;
    d->in.reading.salvage = d->common.salvage;
    return status;
}

static int run(struct dump *d, char *path[], size_t n)
{
    int status = set_up(d, path, n);
    struct at_error err;
    enum at_status st;

    if (status != TOOL_OK)
        return status;
    setvbuf(stdout, NULL, _IOFBF, BUFFER_BYTES);
    tool_progress_start(&d->progress, &d->common);
    st = print_all(d, &err);
    tool_progress_end(&d->progress);
    if (st < 0)
        return tool_error(&err);
    return st == AT_OK || d->in.damaged ? TOOL_FAIL : TOOL_OK;
}

int main(int argc, char *argv[])
{
    struct dump d = {.packets = 0};
    const struct tool_option options[] = {
        TOOL_CALL('x', "hex", count_hex, &d, NULL,
                  "the captured bytes too; given twice, the whole record"),
        TOOL_FLAG('b', "brief", &d.brief, "one line a packet"),
        TOOL_FLAG(0, "sequence", &d.in.sequence,
                  "read the inputs one after the other, not by time"),
        TOOL_SELECTION(&d.selection),
        TOOL_COMMON_BUT(&d.common, TOOL_NO_STRICT),
        TOOL_END,
    };
    const int i = tool_parse(argc, argv,
                             "[selection] [-b] [-x | -xx] [--json] [--local] "
                             "[--sequence] input ...",
                             options);
    int status;

    tool_selection_resolve(&d.selection);
    if (i == argc)
        tool_usage_error("no file is named");
    if (d.brief && d.common.json)
        tool_usage_error("--brief and --json exclude each other");
    status = run(&d, argv + i, (size_t)(argc - i));
    tool_sources_close(&d.in);
    at_pool_close(d.pool);
    at_filter_close(d.in.wanted.filter);
    return tool_finish(status);
}
