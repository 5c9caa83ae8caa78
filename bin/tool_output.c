/*
 * tool_output.c - what the tools that write traces share
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

    for (enum at_codec c = AT_CODEC_BGZF;
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
    if (opts->codec == AT_CODEC_GZIP)
        opts->codec = AT_CODEC_BGZF; /* which is gzip, and open to many */
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
