/*
 * report.h - what a trace is made of, by many properties at once
 *
 * A section is a property of packets and counts them by its values.  Most
 * values are small numbers, and their counts an array; three kinds of values
 * are not, and have tallies.  Memory does not grow with the trace.
 */
#ifndef AT_REPORT_H
#define AT_REPORT_H

#include "archive_trace.h"
#include "tally.h"

enum at_section {
    AT_REPORT_TOTAL,
    AT_REPORT_LINKS,
    AT_REPORT_NETWORK,   /* by ethertype */
    AT_REPORT_PROTOCOLS, /* a tally by at_report_path */
    AT_REPORT_IP,        /* this and the next three: IPv4, then IPv6 */
    AT_REPORT_TTL,       /* hop limit of IPv6 */
    AT_REPORT_DSCP,      /* RFC 2474 */
    AT_REPORT_ECN,       /* RFC 3168 */
    AT_REPORT_FRAGMENTS, /* IPv4, then IPv6 */
    AT_REPORT_LENGTHS,   /* of frames on the wire */
    AT_REPORT_ICMP,      /* type and code of IPv4, then IPv6 */
    AT_REPORT_TCP_FLAGS,
    AT_REPORT_TCP_OPTIONS, /* packets that have it */
    AT_REPORT_SYN_OPTIONS, /* a tally of the kinds in a SYN, in their order */
    AT_REPORT_SEGMENTS,    /* TCP: bytes of payload */
    AT_REPORT_PORTS,       /* of either end: TCP, UDP, SCTP */
    AT_REPORT_FLOWS,       /* a tally by at_ends_flow() */
    AT_REPORT_DIRECTIONS,
    AT_REPORT_ERRORS,
    AT_REPORT_LOSSES,
    AT_REPORT_SECTIONS
};

struct at_count {
    uint64_t packets, wire_bytes;
    uint64_t more; /* losses: how many; flows: how many */
};

/* The layers of a packet from the outside to the inside: kind and value, most
 * significant byte first; 0 after the last. */
enum at_layer {
    AT_LAYER_LINK = 1,
    AT_LAYER_TAG,
    AT_LAYER_NET,
    AT_LAYER_PROTO,
    AT_LAYER_TUNNEL,
    AT_LAYER_DEEPER
};
enum { AT_REPORT_PATH = 12 }; /* layers; the last one may be DEEPER */

/* The kinds of as many options of a SYN; 0 after the last. */
enum { AT_REPORT_SYN_BYTES = 16 };

struct at_report {
    unsigned wanted;                            /* a bit for each section */
    struct at_count *count[AT_REPORT_SECTIONS]; /* NULL: it is not wanted, or
                                                   has a tally */
    struct at_tally *tally[AT_REPORT_SECTIONS];
    uint64_t captured_bytes;
    uint64_t first, last; /* 32.32; first > last: none has a time */
};

/* All zero is closed.  'memory' is for the tallies together, about. */
enum at_status at_report_open(struct at_report *r, unsigned wanted,
                              uint64_t memory, struct at_error *err);
void at_report_close(struct at_report *r);

enum at_status at_report_packet(struct at_report *r,
                                const struct at_packet *pkt,
                                struct at_error *err);

/* Adds all but the tallies. */
void at_report_join(struct at_report *r, const struct at_report *more);

/* How many values a section with an array has. */
size_t at_report_values(enum at_section section);

/* ---- report_names.c -------------------------------------------------- */

/* "ttl"; and the way back, AT_REPORT_SECTIONS for other text. */
const char *at_report_name(enum at_section section);
enum at_section at_report_section(const char *name, size_t n);

/* Values as text: "ip 64", "tcp 80".  'buf' needs AT_REPORT_TEXT bytes, and is
 * returned. */
enum { AT_REPORT_TEXT = 128 };
const char *at_report_value(char *buf, enum at_section section, size_t value);
const char *at_report_layer(char *buf, uint32_t layer);
const char *at_report_syn(char *buf, const uint8_t kinds[AT_REPORT_SYN_BYTES]);

#endif
