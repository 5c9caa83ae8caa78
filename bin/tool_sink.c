/*
 * tool_sink.c - where the packets of an answer go: one file, or many
 *
 * The writer of one file is opened by the first packet, since a pcap file
 * needs its link type.
 */
#include "tool_sink.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* ---- options --------------------------------------------------------- */

static enum at_format format_of(const struct tool_sink *s)
{
    return s->format_name != NULL ? at_format_parse(s->format_name)
                                  : at_format_by_name(s->path);
}

void tool_sink_check(struct tool_sink *s)
{
    if (s->by != TOOL_SINK_ONE)
        s->by += TOOL_BY_HOST; /* as the words follow each other */
    if (s->path == NULL && (s->by != TOOL_SINK_ONE || s->provenance))
        tool_usage_error("--by and --provenance are for packets, with -w");
    if (s->by == TOOL_SINK_ONE && s->overwrite)
        tool_usage_error("--overwrite is for --by");
    if (s->path != NULL && s->provenance && format_of(s) != AT_FORMAT_PCAPNG)
        tool_usage_error("--provenance is told in comments, which pcapng alone "
                         "has: -F pcapng");
}

/* ---- provenance ------------------------------------------------------ */

static void put_text(struct at_text *text, const char *s)
{
    at_text_add(text, s, strlen(s));
}

/* Where the packet given out last is from; NULL if there is no memory. */
static const char *tell_origin(struct tool_sink *s,
                               const struct at_packets *packets)
{
    const struct at_target *t = &s->targets->target[at_packets_target(packets)];
    char offset[64];

    s->origin.n = 0;
    if (t->archive_bytes > 0) {
        put_text(&s->origin, "archive=");
        at_text_add(&s->origin, t->trace, t->archive_bytes);
        put_text(&s->origin, " segment=");
        put_text(&s->origin, t->trace + t->archive_bytes + 1);
    } else {
        put_text(&s->origin, "file=");
        put_text(&s->origin, t->trace);
    }
    snprintf(offset, sizeof(offset),
             " offset=%" PRIu64 " query=", at_packets_offset(packets));
    put_text(&s->origin, offset);
    put_text(&s->origin, at_expr_text(s->query->expr));
    at_text_add(&s->origin, "", 1);
    return s->origin.failed ? NULL : s->origin.p;
}

/* ---- pieces ---------------------------------------------------------- */

static void name_piece(void *ctx, struct tool_piece *of, char *key,
                       const struct at_flow_key *of_key,
                       const struct at_packet *pkt,
                       const struct at_sight *sight)
{
    const struct tool_sink *s = ctx;

    of->ns = at_ts_to_ns(pkt->ts);
    of->stream = s->stream;
    of->key = key;
    tool_key_text(key, (enum tool_by)s->by, of_key, pkt, sight);
}

/* No piece may be what is read. */
static enum at_status add_inputs(struct tool_sink *s, struct at_error *err)
{
    enum at_status st = AT_OK;

    for (size_t i = 0; i < s->targets->n && st == AT_OK; i++)
        st = at_paths_add(&s->inputs, s->targets->target[i].trace, err);
    return st;
}

static enum at_status open_pieces(struct tool_sink *s, bool local,
                                  struct at_error *err)
{
    struct tool_pieces *p = &s->pieces;
    const enum at_status st = add_inputs(s, err);

    s->how.seed = at_flow_key_seed();
    s->opts.format = format_of(s);
    p->names.local = local;
    p->like.opts = s->opts;
    p->like.in = &s->none;
    p->inputs = &s->inputs;
    p->seed = s->how.seed;
    p->most = UINT64_MAX;
    p->overwrite = s->overwrite;
    p->name = name_piece;
    p->ctx = s;
    return st == AT_OK ? tool_pieces_open(p, err) : st;
}

static unsigned keys_of(const struct tool_sink *s, struct at_flow_key key[2],
                        const struct at_packet *pkt,
                        const struct at_sight *sight,
                        const struct at_packets *packets)
{
    const struct at_flow_row *row;
    size_t lane;

    if (s->by != TOOL_BY_APP)
        return tool_keys(key, (enum tool_by)s->by, pkt, sight);
    row = at_packets_flow(packets, &lane);
    tool_app_key(&key[0], row != NULL ? row->app : NULL, sight->key.lo_port);
    return 1;
}

static enum at_status put_in_pieces(struct tool_sink *s,
                                    const struct at_packet *pkt,
                                    const struct at_packets *packets,
                                    struct at_error *err)
{
    struct at_flow_key key[2];
    struct at_sight sight;
    struct at_quote quote;
    enum at_status st = AT_OK;
    unsigned n;

    s->stream = s->targets->target[at_packets_target(packets)].stream;
    at_sight_take(&sight, &quote, pkt, &s->how);
    n = keys_of(s, key, pkt, &sight, packets);
    for (unsigned i = 0; i < n && st == AT_OK; i++)
        st = tool_pieces_put(&s->pieces, &key[i], pkt, &sight,
                             s->by == TOOL_BY_FLOW ? &sight : NULL, err);
    return st;
}

static int finish_pieces(struct tool_sink *s)
{
    struct tool_pieces *p = &s->pieces;
    struct at_error err;

    if (tool_pieces_finish(p, &err) != AT_OK)
        return tool_stopped() ? TOOL_FAIL : tool_error(&err);
    tool_summary_count(s->summary, p->written, "piece", "");
    tool_summary_print(s->summary);
    return tool_losses(p->names.text, s->opts.format, &p->losses);
}

/* ---- one file -------------------------------------------------------- */

static enum at_status open_writer(struct tool_sink *s, struct at_error *err)
{
    return at_writer_open(&s->writer, s->path, &s->opts, err);
}

static enum at_status put_in_file(struct tool_sink *s,
                                  const struct at_packet *pkt,
                                  struct at_error *err)
{
    enum at_status st = AT_OK;

    if (s->writer == NULL) {
        s->opts.linktype = pkt->linktype;
        st = open_writer(s, err);
    }
    if (st == AT_OK && at_writer_put(s->writer, pkt) != AT_OK) {
        *err = *at_writer_error(s->writer);
        st = err->status;
    }
    return st;
}

static int finish_file(struct tool_sink *s)
{
    struct at_error err;

    if (s->writer == NULL && open_writer(s, &err) != AT_OK)
        return tool_error(&err);
    if (at_writer_commit(s->writer) != AT_OK)
        return tool_error(at_writer_error(s->writer));
    tool_summary_print(s->summary);
    return tool_losses(s->path, at_writer_format(s->writer),
                       at_writer_losses(s->writer));
}

/* ---- either ---------------------------------------------------------- */

enum at_status tool_sink_open(struct tool_sink *s, bool local,
                              struct at_error *err)
{
    s->opts.size = sizeof(s->opts);
    s->opts.pool = s->query->pool;
    s->opts.linktype = AT_LINK_ETHERNET;
    tool_output_options(&s->opts, s->format_name, s->codec_name);
    if (s->by == TOOL_SINK_ONE)
        return AT_OK;
    tool_template_open(&s->pieces.names, s->path, "{key}", "nk");
    return open_pieces(s, local, err);
}

enum at_status tool_sink_put(struct tool_sink *s, struct at_packet *pkt,
                             const struct at_packets *packets,
                             struct at_error *err)
{
    if (s->provenance) {
        pkt->comment = tell_origin(s, packets);
        if (pkt->comment == NULL)
            return at_error_set(err, AT_ERR_MEMORY, "out of memory");
    }
    s->summary->packets++;
    s->summary->bytes += pkt->cap_bytes;
    return s->by == TOOL_SINK_ONE ? put_in_file(s, pkt, err)
                                  : put_in_pieces(s, pkt, packets, err);
}

int tool_sink_finish(struct tool_sink *s)
{
    return s->by == TOOL_SINK_ONE ? finish_file(s) : finish_pieces(s);
}

void tool_sink_close(struct tool_sink *s)
{
    at_writer_close(s->writer);
    tool_pieces_close(&s->pieces);
    at_paths_close(&s->inputs);
    at_text_close(&s->origin);
}
