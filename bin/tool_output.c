/*
 * tool_output.c - what the tools that write traces share
 */
#include <stdlib.h>
#include <string.h>

#include "tool.h"

enum { LEVEL_MOST = 12 };

static void set_codec(struct at_writer_options *opts, const char *codec)
{
    const char *colon = strchr(codec, ':');
    const size_t n = colon != NULL ? (size_t)(colon - codec) : strlen(codec);
    char name[16] = "", *end;
    long level;

    if (n < sizeof(name))
        memcpy(name, codec, n);
    opts->codec = at_codec_parse(name);
    if (opts->codec == AT_CODEC_UNKNOWN)
        tool_usage_error("no codec to write is called '%.*s'; there are none "
                         "and bgzf",
                         (int)n, codec);
    if (colon == NULL)
        return;
    level = strtol(colon + 1, &end, 10);
    if (end == colon + 1 || *end != 0 || level < 1 || level > LEVEL_MOST)
        tool_usage_error("'%s' is no level from 1 to %d", colon + 1,
                         LEVEL_MOST);
    opts->level = (int)level;
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
                         "pcap and pcap-us",
                         format);
}
