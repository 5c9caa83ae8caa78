/*
 * tool_tracking.h - the options of tools that make flows: what they are
 */
#ifndef AT_TOOL_TRACKING_H
#define AT_TOOL_TRACKING_H

#include "tool.h"
#include "tracker.h"

/* --flow-key; 'ptr' is a struct at_keying. */
#define TOOL_FLOW_KEY(ptr)                                                     \
    TOOL_CALL(0, "flow-key", tool_set_flow_key, ptr, "LIST",                   \
              "what tells flows apart beside addresses, ports and protocol: "  \
              "vlan (the default) or inner-vlan, mpls, and inner for what is " \
              "in tunnels; or none")

/* These, --names --timeout --max-flows; 'ptr' is a struct at_tracking. */
#define TOOL_TRACKING(ptr)                                                     \
    TOOL_FLOW_KEY(&(ptr)->key),                                                \
        TOOL_FLAG(0, "names", &(ptr)->names,                                   \
                  "keep the name that a flow asks for first, by TLS, QUIC, "   \
                  "HTTP or DNS"),                                              \
        TOOL_CALL(0, "timeout", tool_set_timeouts, &(ptr)->timeouts, "LIST",   \
                  "idle times that end a flow: 90s for all, or some of "       \
                  "tcp=2h,udp=2m,icmp=2m,opening=4m,closed=2m,other=2m,"       \
                  "active=1h"),                                                \
        TOOL_COUNT(0, "max-flows", &(ptr)->most_flows, "COUNT",                \
                   "flows that may be open at a time (1M); beyond that those " \
                   "idle for longest end")

/* What there is to say of those that were one too many. */
#define TOOL_NAMES_LOST " left out: they take more than 128 MiB"

void tool_set_timeouts(void *ctx, const char *arg);
void tool_set_flow_key(void *ctx, const char *arg);

/* Once the options are read; ends the program if they make no sense. */
void tool_tracking_check(const struct at_tracking *rules);

#endif
