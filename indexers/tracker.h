/*
 * tracker.h - bidirectional flows, as in RFC 7011 and RFC 5103
 *
 * A flow is what has one key, until it has been idle for longer than its
 * state allows, or a TCP connection begins anew after it was closed.  Its
 * first sender is the source.  Everything is decided by the packets and their
 * order: the same packets give the same flows.
 */
#ifndef AT_TRACKER_H
#define AT_TRACKER_H

#include "sight.h"

enum at_flow_state {
    AT_FLOW_ONE_WAY,     /* not TCP; only the source has spoken */
    AT_FLOW_TWO_WAY,     /* not TCP */
    AT_FLOW_SYN,         /* TCP: a SYN and no answer */
    AT_FLOW_ESTABLISHED, /* TCP: a SYN and packets both ways */
    AT_FLOW_MIDSTREAM,   /* TCP: no SYN was seen */
    AT_FLOW_HALF_CLOSED, /* TCP: a FIN one way */
    AT_FLOW_CLOSED,      /* TCP: FINs both ways */
    AT_FLOW_RESET,       /* TCP: a RST */
    AT_FLOW_STATES
};

/* "one-way", "two-way", "syn", ... */
const char *at_flow_state_name(enum at_flow_state state);

struct at_flow {
    struct at_flow_key key;
    int64_t first_ns, last_ns;
    uint64_t packets[2]; /* [0] from the source, [1] to it */
    uint64_t bytes[2];
    uint32_t last_block; /* that it was seen in */
    uint16_t sport, dport;
    uint8_t tcp_flags[2];
    uint8_t source_is_hi;
    uint8_t state; /* enum at_flow_state */
    uint8_t flags; /* union of AT_DECODED_ over its packets */
    bool wanted;   /* one of its packets was marked so */
};

/* 'flow' was seen in 'block': once for each pair, in the order seen. */
struct at_flow_block {
    uint32_t flow;
    uint32_t block;
};

struct at_timeouts {
    int64_t tcp_opening_ns; /* SYN, half-closed */
    int64_t tcp_ns;
    int64_t tcp_closed_ns;
    int64_t udp_ns;
    int64_t other_ns;
};

/* "90s" for all, or "tcp=2h,udp=30s,other=60s,opening=4m,closed=2m". */
enum at_status at_timeouts_parse(struct at_timeouts *t, const char *text,
                                 struct at_error *err);

/* After how long without a packet a flow in this state is over. */
int64_t at_timeout_of(const struct at_timeouts *t, enum at_flow_state state,
                      uint8_t proto);

/* The state of a flow that was in 'before' and has now seen these flags and
 * packets from its source [0] and to it [1]. */
enum at_flow_state at_flow_state_of(enum at_flow_state before,
                                    const uint8_t tcp_flags[2],
                                    const uint64_t packets[2]);

/* Whether a packet with these flags opens a connection after this one. */
bool at_flow_begins_anew(enum at_flow_state state, uint8_t tcp_flags);

/* The rules by which packets are put to flows. */
struct at_tracking {
    struct at_timeouts timeouts;
    bool conformance; /* one flow a key, as nDPI's reader has it */
};
extern const struct at_tracking at_tracking_default;

struct at_tracker;

/* NULL when there is no memory. */
struct at_tracker *at_tracker_open(const struct at_tracking *rules);

/* Adds packets that all lie in 'block'. */
enum at_status at_tracker_add(struct at_tracker *t, const struct at_sight *s,
                              size_t n, uint32_t block);

/* The flows in the order they began to be tracked, and where they were. */
const struct at_flow *at_tracker_flows(const struct at_tracker *t, size_t *n);
const struct at_flow_block *at_tracker_blocks(const struct at_tracker *t,
                                              size_t *n);

void at_tracker_close(struct at_tracker *t);

#endif
