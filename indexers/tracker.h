/*
 * tracker.h - bidirectional flows, as in RFC 7011 and RFC 5103
 *
 * A flow is what has one key, until it has been idle for longer than its
 * state allows, or a TCP connection begins anew after it was closed, or it
 * has lasted for as long as a flow may.  Its first sender is the source, but
 * where the first packet is the answer to a SYN its receiver is.  Later
 * fragments are of the flow of the first.  Everything is decided by the
 * packets and their order: the same packets give the same flows.
 *
 * A capture may come in parts, each with a tracker of its own.  A flow that is
 * open at the end of one goes on in the next (carry.h): it has the numbers of
 * each part for itself, but its state, what TCP was about to send, and how it
 * began are those of all parts so far.
 */
#ifndef AT_TRACKER_H
#define AT_TRACKER_H

#include "datagrams.h"
#include "names.h"
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

/* Why a flow ended. */
enum at_flow_end {
    AT_FLOW_END_TRACE,  /* it did not: the trace did */
    AT_FLOW_END_IDLE,   /* nothing came for longer than its state allows */
    AT_FLOW_END_ACTIVE, /* it lasted for too long; another goes on */
    AT_FLOW_END_FIN,    /* TCP: closed both ways */
    AT_FLOW_END_RST,    /* TCP: reset */
    AT_FLOW_END_FORCED, /* there were too many flows */
    AT_FLOW_ENDS
};

/* "trace", "idle", "active", "fin", ... */
const char *at_flow_end_name(enum at_flow_end end);

/*
 * One direction of a flow.  A TCP segment is retransmitted if it is behind
 * what was seen already and more than what is missing there.  First
 * is the first payload; of TCP that which follows the SYN, if one was seen.
 */
struct at_flow_way {
    uint64_t bytes : 48;         /* of IP */
    uint64_t retransmitted : 16; /* segments; 65535: or more */
    uint64_t payload : 48;
    uint64_t zero_windows : 16; /* packets; 65535: or more */
    uint32_t packets;
    uint32_t next_seq; /* if 'known' */
    union {
        uint32_t first_seq; /* that the first payload will have, if 'syn' */
        uint8_t first[4];   /* its first bytes, once first_len is not 0 */
    };
    uint16_t first_len; /* 65535: or more; 0: there was none */
    uint8_t tcp_flags;
    uint8_t first_bytes : 3; /* of 'first' that were captured */
    bool known : 1;
    bool syn : 1;
};

/* How far the handshake of TCP has come. */
enum at_handshake { AT_NO_SYN, AT_SYN, AT_SYN_ACK, AT_SHAKEN };

/* Small, since a million of them may be open at a time. */
struct at_flow {
    struct at_flow_key key;
    int64_t first_ns, last_ns;
    struct at_flow_way way[2]; /* [0] from the source, [1] to it */
    uint32_t missing[2];       /* TCP: bytes in gaps that were not filled yet */
    union {
        uint32_t syn_us;    /* TCP; AT_SYN, AT_SYN_ACK: when, after its begin;
                               AT_SHAKEN: from there to the first ACK */
        uint8_t message[2]; /* ICMP: type and code of the first packet */
    };
    union {
        uint32_t last_block; /* that it was seen in */
        uint32_t carried;    /* when it is over: its number in what earlier
                                parts left; 0: it began here */
    };
    uint16_t errors;        /* ICMP errors that quote it; 65535: or more */
    uint16_t bad_checksums; /* packets; 65535: or more */
    uint8_t state;          /* enum at_flow_state */
    uint8_t end;            /* enum at_flow_end */
    uint8_t flags;          /* union of AT_DECODED_ over its packets */
    bool source_is_hi : 1;
    uint8_t handshake : 2; /* enum at_handshake */
    bool verified : 1;     /* a checksum is right */
    bool unverified : 1;   /* one could not be verified */
    bool wanted : 1;       /* one of its packets was marked so */
    bool over : 1;         /* nothing is added any more */
    bool continued : 1;    /* it may go on in the next part */
};

/* What a flow was in the parts before this one; of one that begins here, its
 * first packet, and nothing. */
struct at_flow_past {
    int64_t began_ns;
    uint8_t tcp_flags[2];
    bool answered; /* there were packets to the source */
};

/* Whether the flow has packets in this part. */
static inline bool at_flow_is_here(const struct at_flow *f)
{
    return f->way[0].packets > 0 || f->way[1].packets > 0;
}

struct at_timeouts {
    int64_t tcp_opening_ns; /* SYN, half-closed */
    int64_t tcp_ns;
    int64_t tcp_closed_ns;
    int64_t udp_ns;
    int64_t icmp_ns;
    int64_t other_ns;
    int64_t active_ns; /* how long a flow may last; 0: for ever */
};

/* "90s" for all idle ones, or "tcp=2h,udp=30s,icmp=30s,other=60s,opening=4m,
 * closed=2m,active=30m", of which any may be left out. */
enum at_status at_timeouts_parse(struct at_timeouts *t, const char *text,
                                 struct at_error *err);

/* What at_timeouts_parse() reads: all of them, in nanoseconds.  'buf' needs
 * AT_TIMEOUTS_TEXT bytes, and is returned. */
enum { AT_TIMEOUTS_TEXT = 256 };
const char *at_timeouts_format(char *buf, const struct at_timeouts *t);

/* After how long without a packet a flow in this state is over. */
int64_t at_timeout_of(const struct at_timeouts *t, enum at_flow_state state,
                      uint8_t proto);

/* The state of a flow that was in 'before' and has now seen these flags from
 * its source and to it. */
enum at_flow_state at_flow_state_of(enum at_flow_state before,
                                    uint8_t flags_out, uint8_t flags_in,
                                    bool answered);

/* Whether a packet with these flags opens a connection after this one. */
bool at_flow_begins_anew(enum at_flow_state state, uint8_t tcp_flags);

/* The rules by which packets are put to flows. */
struct at_tracking {
    struct at_timeouts timeouts;
    struct at_keying key; /* as the sights are made by */
    uint64_t most_flows;  /* open at a time; those idle for longest then end */
    bool conformance;     /* one flow a key, as nDPI's reader has it */
    bool names;           /* are kept of flows, as the sights have them */
    bool numbered;        /* flows have numbers instead of blocks */
};
extern const struct at_tracking at_tracking_default;

/*
 * Called for every flow when it is over and gone from the table, with the
 * numbers of the blocks it was seen in, ascending, and that of the first name
 * that its packets ask for, 0 if there is none; the pointers are good for the
 * call.
 */
typedef enum at_status at_flow_fn(void *ctx, const struct at_flow *flow,
                                  const uint32_t *block, size_t blocks,
                                  uint32_t name);

struct at_tracker;

/* 'seed' is that of the sights.  NULL when there is no memory. */
struct at_tracker *at_tracker_open(const struct at_tracking *rules,
                                   uint64_t seed, at_flow_fn *over, void *ctx);

/* Before the first packet, where names are kept: numbers of names are of
 * this. */
void at_tracker_name_by(struct at_tracker *t, struct at_names *names);

/* Adds packets that all lie in 'block'; NULL will do for 'besides' where they
 * refer to nothing. */
enum at_status at_tracker_add(struct at_tracker *t, const struct at_sight *s,
                              size_t n, const struct at_besides *besides,
                              uint32_t block);

/*
 * Of a tracker of numbered flows: the flow that the latest packet is of, good
 * until the next call.  Its number, from 0 in the order that flows began, is
 * 'last_block', and the only one of its blocks.
 */
const struct at_flow *at_tracker_latest(const struct at_tracker *t);

/* Before the first packet: a flow goes on that earlier parts of the capture
 * left.  Their numbers count from 1 as they come.  AT_ERR_FORMAT
 * if there is one with its key, or there are too many. */
enum at_status at_tracker_resume(struct at_tracker *t,
                                 const struct at_flow *flow,
                                 const struct at_flow_past *past);

/* After these flows: a datagram whose first fragment an earlier part has, its
 * value being the number of its flow from 0.  AT_ERR_FORMAT if there is no such
 * flow. */
enum at_status at_tracker_resume_datagram(struct at_tracker *t,
                                          const struct at_datagram *first);

/* No more packets come: all flows are over. */
enum at_status at_tracker_finish(struct at_tracker *t);

/*
 * No more packets come in this part.  The flows that are open are shown to
 * 'open', those without packets in this part too, and after each its datagrams
 * of which later fragments may come, their value being its number from 0; then
 * all are over that have some, with 'continued' set of those that are open.
 */
typedef enum at_status at_open_fn(void *ctx, const struct at_flow *flow,
                                  const struct at_flow_past *past);
typedef enum at_status at_open_datagram_fn(void *ctx,
                                           const struct at_datagram *first);
enum at_status at_tracker_finish_part(struct at_tracker *t, at_open_fn *open,
                                      at_open_datagram_fn *datagram, void *ctx);

/* Flows that ended because there were too many. */
uint64_t at_tracker_forced(const struct at_tracker *t);

/* Datagrams whose later fragments may be in flows of their own because there
 * were too many at a time. */
uint64_t at_tracker_lost_datagrams(const struct at_tracker *t);

void at_tracker_close(struct at_tracker *t);

#endif
