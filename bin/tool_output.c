/*
 * tool_output.c - what the tools that write traces share: -F and -Z, and a
 * trace that is opened when its first record has come
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tool.h"

/* "none, bgzf, ..." into 'buf'. */
static void list_codecs(char *buf, size_t room)
{
    int least, most, usual;
    size_t n = (size_t)snprintf(buf, room, "none");

    for (enum at_codec c = AT_CODEC_GZIP;
         at_codec_levels(c, &least, &most, &usual); c++)
        n += (size_t)snprintf(buf + n, n < room ? room - n : 0, ", %s",
                              at_codec_name(c));
}

static int parse_level(enum at_codec codec, const char *text)
{
    int least, most, usual;
    char *end;
    long level;

    if (!at_codec_levels(codec, &least, &most, &usual))
        tool_usage_error("%s has no levels", at_codec_name(codec));
    level = strtol(text, &end, 10);
    if (end == text || *end != 0 || level < least || level > most)
        tool_usage_error("'%s' is no level of %s, which has %d to %d", text,
                         at_codec_name(codec), least, most);
    return level == 0 ? -1 : (int)level;
}

static void set_codec(struct at_writer_options *opts, const char *codec)
{
    const char *colon = strchr(codec, ':');
    const size_t n = colon != NULL ? (size_t)(colon - codec) : strlen(codec);
    char name[16] = "", list[80];

    if (n < sizeof(name))
        memcpy(name, codec, n);
    opts->codec = at_codec_parse(name);
    if (opts->codec == AT_CODEC_UNKNOWN) {
        list_codecs(list, sizeof(list));
        tool_usage_error("no codec to write is called '%.*s'; there are %s",
                         (int)n, codec, list);
    }
    if (colon != NULL)
        opts->level = parse_level(opts->codec, colon + 1);
}

void tool_output_options(struct at_writer_options *opts, const char *format,
                         const char *codec)
{
    if (codec != NULL)
        set_codec(opts, codec);
    if (format == NULL)
        return;
    opts->format = at_format_parse(format);
    if (!at_format_writable(opts->format))
        tool_usage_error("no format to write is called '%s'; there are erf, "
                         "pcap, pcap-us and pcapng",
                         format);
}

bool tool_format_holds_records(enum at_format format)
{
    return format == AT_FORMAT_ERF || format == AT_FORMAT_PCAPNG;
}

/* ---- one trace ------------------------------------------------------- */

/* A pcap file has one link type: that of the first packet. */
static uint16_t linktype_of_file(const struct tool_output *o,
                                 const struct at_packet *pkt)
{
    const uint16_t linktype = pkt != NULL
                                  ? pkt->linktype
                                  : at_traces_info(o->in->traces, 0)->linktype;

    /* Raw IP of either version is two types in ERF; one pcap can have both. */
    if ((pkt == NULL || pkt->format == AT_FORMAT_ERF) &&
        (linktype == AT_LINK_IPV4 || linktype == AT_LINK_IPV6))
        return AT_LINK_RAW;
    if (pkt == NULL && linktype == AT_LINK_ERF)
        return AT_LINK_ETHERNET;
    return linktype;
}

/* A frame that was captured up to the limit may have got longer. */
static uint32_t snap_bytes_of_file(const struct tool_output *o)
{
    const uint32_t n = at_traces_info(o->in->traces, 0)->snap_bytes;

    return n > 0 && n < UINT32_MAX - o->longer ? n + o->longer : n;
}

/* What the packets after the first say is not known yet. */
static struct at_fcs fcs_of_file(const struct tool_output *o,
                                 const struct at_packet *pkt)
{
    return pkt != NULL ? pkt->fcs : at_traces_info(o->in->traces, 0)->fcs;
}

static enum at_status open_writer(struct tool_output *o,
                                  const struct at_packet *pkt,
                                  struct at_error *err)
{
    o->opts.linktype = linktype_of_file(o, pkt);
    if (o->in->paths.n == 1) {
        o->opts.snap_bytes = snap_bytes_of_file(o);
        o->opts.fcs = fcs_of_file(o, pkt);
    }
    return at_writer_open(&o->writer, o->path, &o->opts, err);
}

enum at_status tool_output_begin(struct tool_output *o, struct at_error *err)
{
    return o->writer != NULL ? AT_OK : open_writer(o, NULL, err);
}

static enum at_status write_record(struct tool_output *o,
                                   const struct at_packet *pkt,
                                   struct at_error *err)
{
    const uint64_t left_out = at_writer_losses(o->writer)->linktypes;
    const enum at_status st = at_writer_put(o->writer, pkt);

    if (st != AT_OK)
        *err = *at_writer_error(o->writer);
    if (pkt->kind == AT_KIND_PACKET &&
        at_writer_losses(o->writer)->linktypes == left_out) {
        o->packets++;
        o->bytes += pkt->cap_bytes;
    }
    return st;
}

enum at_status tool_output_put(struct tool_output *o,
                               const struct at_packet *pkt,
                               struct at_error *err)
{
    enum at_status st = AT_OK;

    if (o->writer == NULL && pkt->kind != AT_KIND_PACKET &&
        !tool_format_holds_records(o->opts.format)) {
        at_losses_count(&o->opts.losses, pkt);
        return AT_OK;
    }
    if (o->writer == NULL)
        st = open_writer(o, pkt, err);
    return st == AT_OK ? write_record(o, pkt, err) : st;
}

int tool_output_commit(struct tool_output *o)
{
    const char *name = strcmp(o->path, "-") == 0 ? "standard output" : o->path;
    const struct at_losses *losses = at_writer_losses(o->writer);
    const int status = tool_losses(name, o->opts.format, losses);

    if (losses->linktypes > 0 && o->packets == 0)
        return TOOL_FAIL; /* there is nothing in it */
    if (at_writer_commit(o->writer) != AT_OK)
        return tool_error(at_writer_error(o->writer));
    o->complete = true;
    return status;
}

void tool_output_close(struct tool_output *o)
{
    at_writer_close(o->writer);
    o->writer = NULL;
}
