/*
 * flow_row.h - a flow as answers show it, from whatever source
 */
#ifndef AT_FLOW_ROW_H
#define AT_FLOW_ROW_H

#include "tracker.h"

struct at_flow_row {
    int64_t start_ns, end_ns;
    uint64_t packets[2]; /* [0] out, from the source; [1] in, to it */
    uint64_t bytes[2];
    uint8_t src[16], dst[16]; /* IPv4 and ARP: 4 bytes */
    uint16_t sport, dport;    /* ICMP: type and code */
    uint16_t vlan;
    uint16_t ethertype; /* of ARP and of what has no addresses */
    uint8_t net;        /* enum at_net */
    uint8_t proto;
    uint8_t tcp_flags[2];
    uint8_t state; /* enum at_flow_state */
    uint8_t marks; /* AT_DECODED_ bits of some of its packets */
};

/* As the tracker has it. */
void at_flow_row_of(struct at_flow_row *row, const struct at_flow *flow);

/* The key that the packets of the flow have; returns whether its source is
 * the 'hi' end. */
bool at_flow_row_key(struct at_flow_key *key, const struct at_flow_row *row);

#endif
