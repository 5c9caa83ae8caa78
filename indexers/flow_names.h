/*
 * flow_names.h - the flow of each packet by number, and in the end its name
 *
 * The application of a flow is known only when both ends have sent something,
 * or the flow is over.  So whoever wants to know it of packets notes the number
 * of each one's flow, and asks when there are no more packets.
 */
#ifndef AT_FLOW_NAMES_H
#define AT_FLOW_NAMES_H

#include "app.h"
#include "sight.h"

/* What a flow is, as far as its packets can be told apart by it. */
struct at_flow_name {
    bool ip;
    uint16_t app;       /* of IP: its number in the rules */
    uint16_t ethertype; /* of what is not */
};

/* Flows are those of an index; 4 bytes are kept for each that is over. */
struct at_flow_names;

/* 'apps' stays the caller's; 'seed' is that of the sights.  NULL when there is
 * no memory. */
struct at_flow_names *at_flow_names_open(const struct at_apps *apps,
                                         uint64_t seed);

/* The number of the packet's flow, from 0 in the order that they begin; *in:
 * it is to its source.  The sight must be that of a packet. */
enum at_status at_flow_names_add(struct at_flow_names *n,
                                 const struct at_sight *sight, uint32_t *number,
                                 bool *in);

/* No more packets come: all flows have names. */
enum at_status at_flow_names_finish(struct at_flow_names *n);
struct at_flow_name at_flow_names_get(const struct at_flow_names *n,
                                      uint32_t number);

/* NULL is fine. */
void at_flow_names_close(struct at_flow_names *n);

#endif
