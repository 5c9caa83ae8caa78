/*
 * flow_row.h - a flow as answers show it, from whatever source
 */
#ifndef AT_FLOW_ROW_H
#define AT_FLOW_ROW_H

#include "tracker.h"

/* Whether a flow goes on from one part of a capture into the next. */
enum at_goes_on { AT_GOES_ON_UNKNOWN, AT_GOES_ON, AT_GOES_NOT };

struct at_flow_row {
    int64_t start_ns, end_ns;
    uint64_t packets[2]; /* [0] out, from the source; [1] in, to it */
    uint64_t bytes[2];
    uint64_t payload[2];      /* of TCP, UDP and SCTP, on the wire */
    uint8_t src[16], dst[16]; /* IPv4 and ARP: 4 bytes */
    uint16_t sport, dport;    /* ICMP: type and code */
    uint16_t vlan;
    uint32_t mpls;      /* label, if it tells flows apart */
    uint16_t ethertype; /* of ARP and of what has no addresses */
    uint8_t net;        /* enum at_net */
    uint8_t proto;
    uint8_t tcp_flags[2];
    uint8_t state;             /* enum at_flow_state */
    uint8_t end;               /* enum at_flow_end */
    uint8_t marks;             /* AT_DECODED_ bits of some of its packets */
    uint8_t checksums;         /* AT_CHECKSUM_BAD: one is; _OK: all are that are
                                  there; _UNKNOWN: not all could be verified */
    int64_t rtt_us;            /* of the TCP handshake; -1: it was not seen */
    uint8_t first[2][4];       /* the first payload: its first bytes, */
    uint8_t captured[2];       /* how many of them were captured, */
    uint16_t first_len[2];     /* and its length; 65535: or more; 0: none */
    uint16_t retransmitted[2]; /* TCP segments; 65535: or more; as below */
    uint16_t zero_windows[2];  /* TCP packets that say so */
    uint16_t errors;           /* ICMP errors that quote it */
    uint16_t bad_checksums;    /* packets */
    uint8_t confidence;        /* enum at_app_confidence */
    bool inner;                /* its packets are in tunnels */
    uint8_t continues;         /* enum at_goes_on: from an earlier part, */
    uint8_t continued;         /* and into a later one */
    const char *app;           /* its name; NULL: nobody has asked.  The */
    const char *name; /* that it asks for first; NULL: none, or nobody asked */
    const char *category; /* strings are of the rules, or of at_app_names */
};

/* Whether all was captured that may be known of a direction's first payload:
 * its first 4 bytes, or all of less. */
static inline bool at_flow_row_has_first(const struct at_flow_row *row, int dir)
{
    const unsigned n = row->first_len[dir] < 4 ? row->first_len[dir] : 4;

    return row->captured[dir] >= n;
}

static inline bool at_flow_row_is_ip(const struct at_flow_row *row)
{
    return row->net == AT_NET_IPV4 || row->net == AT_NET_IPV6;
}

/* Whether it is known that the flow has no other parts. */
static inline bool at_flow_row_is_whole(const struct at_flow_row *row)
{
    return row->continues == AT_GOES_NOT && row->continued == AT_GOES_NOT;
}

/* As the tracker has it. */
void at_flow_row_of(struct at_flow_row *row, const struct at_flow *flow);

/* Adds to 'a' its next part, 'b', of which the source is the destination of
 * 'a' if 'turned'. */
void at_flow_row_join(struct at_flow_row *a, const struct at_flow_row *b,
                      bool turned);

/* Where it was open at the end of its part: nothing came of it, up to the last
 * packet of the capture, so it may have been idle for too long. */
void at_flow_row_end_silent(struct at_flow_row *row, int64_t last_ns);

/* The key that the packets of the flow have; returns whether its source is
 * the 'hi' end. */
bool at_flow_row_key(struct at_flow_key *key, const struct at_flow_row *row);

#endif
