/*
 * tool_sink.h - where the packets of an answer go: one file, or many
 */
#ifndef TOOL_SINK_H
#define TOOL_SINK_H

#include "query.h"
#include "tool_split.h"

enum { TOOL_SINK_ONE = -1 };

/* All zero but for what the options set; by TOOL_SINK_ONE unless they say
 * otherwise. */
struct tool_sink {
    const char *path; /* a file; or with 'by' the template of their names */
    const char *format_name, *codec_name; /* as typed, or NULL */
    int by;          /* TOOL_SINK_ONE, or TOOL_BY_HOST, _FLOW or _APP */
    bool overwrite;  /* pieces that are there already are replaced */
    bool provenance; /* a comment says of each packet where it is from */

    const struct at_query *query; /* the caller's */
    const struct at_targets *targets;
    struct tool_summary *summary;

    struct at_writer_options opts; /* 'strict' is the caller's */
    struct at_writer *writer;
    struct tool_pieces pieces;
    struct tool_sources none; /* the pieces are of no such */
    const char *stream;       /* of the packet that is put */
    struct at_paths inputs;
    struct at_sighting how;
    struct at_text origin;
};

/* The lines of -w and what belongs to it; 'by' is a word of "host|flow|app"
 * until tool_sink_check(). */
#define TOOL_SINK_OPTIONS(s)                                                   \
    TOOL_TEXT('w', "write", &(s)->path, "OUT",                                 \
              "write the packets there instead of listing flows"),             \
        TOOL_TEXT('F', "output-format", &(s)->format_name, "FORMAT",           \
                  "of OUT: erf, pcap, pcap-us or pcapng; default by its "      \
                  "suffix"),                                                   \
        TOOL_TEXT('Z', "compress", &(s)->codec_name, "CODEC[:LEVEL]",          \
                  "of OUT: none, bgzf, gzip, zstd, xz, bzip2 or lz4; default " \
                  "by its suffix"),                                            \
        TOOL_CHOICE(0, "by", &(s)->by, "host|flow|app",                        \
                    "OUT is a template, as in dir/{key}.pcap, for a piece "    \
                    "for each host, flow or application"),                     \
        TOOL_FLAG(0, "overwrite", &(s)->overwrite,                             \
                  "replace pieces that are there already"),                    \
        TOOL_FLAG(0, "provenance", &(s)->provenance,                           \
                  "say of each packet where it is from, in a comment "         \
                  "(pcapng)")

/* Exits with a usage error where the options make no sense together. */
void tool_sink_check(struct tool_sink *s);

/* Before the first packet; 'local': times in names are of the local zone. */
enum at_status tool_sink_open(struct tool_sink *s, bool local,
                              struct at_error *err);

/* Puts the packet that 'packets' gave out last. */
enum at_status tool_sink_put(struct tool_sink *s, struct at_packet *pkt,
                             const struct at_packets *packets,
                             struct at_error *err);

/* Makes it complete, with the summary; returns the exit status, anything wrong
 * having been said. */
int tool_sink_finish(struct tool_sink *s);
void tool_sink_close(struct tool_sink *s);

#endif
