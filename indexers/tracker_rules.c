/*
 * tracker_rules.c - the states of flows, and how long they last
 */
#include "tracker.h"

#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ICMP = 1, UDP = 17, ICMPV6 = 58, FIN = 1, SYN = 2, RST = 4, ACK = 16 };

#define SECOND INT64_C(1000000000)

/* The defaults of libflowmanager; see DESIGN's sources. */
const struct at_tracking at_tracking_default = {
    .timeouts =
        {
            .tcp_opening_ns = 240 * SECOND,
            .tcp_ns = 7440 * SECOND,
            .tcp_closed_ns = 120 * SECOND,
            .udp_ns = 120 * SECOND,
            .icmp_ns = 120 * SECOND,
            .other_ns = 120 * SECOND,
        },
    .most_flows = 1000000,
};

static const char *const state_names[AT_FLOW_STATES] = {
    "one-way",   "two-way",     "syn",    "established",
    "midstream", "half-closed", "closed", "reset",
};

const char *at_flow_state_name(enum at_flow_state state)
{
    return (unsigned)state < AT_FLOW_STATES ? state_names[state] : "?";
}

static const char *const end_names[AT_FLOW_ENDS] = {
    "trace", "idle", "active", "fin", "rst", "forced",
};

const char *at_flow_end_name(enum at_flow_end end)
{
    return (unsigned)end < AT_FLOW_ENDS ? end_names[end] : "?";
}

/* ---- timeouts -------------------------------------------------------- */

static const struct {
    const char *name;
    size_t offset; /* in struct at_timeouts */
} timeouts[] = {
    {"opening", offsetof(struct at_timeouts, tcp_opening_ns)},
    {"tcp", offsetof(struct at_timeouts, tcp_ns)},
    {"closed", offsetof(struct at_timeouts, tcp_closed_ns)},
    {"udp", offsetof(struct at_timeouts, udp_ns)},
    {"icmp", offsetof(struct at_timeouts, icmp_ns)},
    {"other", offsetof(struct at_timeouts, other_ns)},
    {"active", offsetof(struct at_timeouts, active_ns)},
};

enum { TIMEOUTS = sizeof(timeouts) / sizeof(timeouts[0]) };

static int64_t *timeout_named(struct at_timeouts *t, const char *name, size_t n)
{
    for (size_t i = 0; i < TIMEOUTS; i++)
        if (strlen(timeouts[i].name) == n &&
            memcmp(timeouts[i].name, name, n) == 0)
            return (int64_t *)(void *)((char *)t + timeouts[i].offset);
    return NULL;
}

const char *at_timeouts_format(char *buf, const struct at_timeouts *t)
{
    char *p = buf;

    for (size_t i = 0; i < TIMEOUTS; i++) {
        int64_t ns;

        memcpy(&ns, (const char *)t + timeouts[i].offset, sizeof(ns));
        p += snprintf(p, AT_TIMEOUTS_TEXT - (size_t)(p - buf),
                      "%s%s=%" PRId64 "ns", i > 0 ? "," : "", timeouts[i].name,
                      ns);
    }
    return buf;
}

static enum at_status parse_one(struct at_timeouts *t, char *item,
                                struct at_error *err)
{
    char *value = strchr(item, '=');
    int64_t *ns;

    if (value == NULL)
        return at_error_set(err, AT_ERR_SYNTAX,
                            "timeout '%s' is not NAME=DURATION", item);
    ns = timeout_named(t, item, (size_t)(value - item));
    if (ns == NULL)
        return at_error_set(err, AT_ERR_SYNTAX,
                            "no timeout is called '%.*s'; there are opening, "
                            "tcp, closed, udp, icmp, other and active",
                            (int)(value - item), item);
    return at_duration_parse(ns, value + 1, err);
}

enum at_status at_timeouts_parse(struct at_timeouts *t, const char *text,
                                 struct at_error *err)
{
    enum at_status st = AT_OK;
    int64_t all;
    char *copy, *next, *item;

    if (strchr(text, '=') == NULL) {
        st = at_duration_parse(&all, text, err);
        if (st == AT_OK)
            *t = (struct at_timeouts){all, all, all,         all,
                                      all, all, t->active_ns};
        return st;
    }
    copy = next = strdup(text);
    if (copy == NULL)
        return at_error_set(err, AT_ERR_MEMORY, "out of memory");
    while (st == AT_OK && (item = strsep(&next, ",")) != NULL)
        st = parse_one(t, item, err);
    free(copy);
    return st;
}

int64_t at_timeout_of(const struct at_timeouts *t, enum at_flow_state state,
                      uint8_t proto)
{
    switch (state) {
    case AT_FLOW_SYN:
    case AT_FLOW_HALF_CLOSED:
        return t->tcp_opening_ns;
    case AT_FLOW_ESTABLISHED:
    case AT_FLOW_MIDSTREAM:
        return t->tcp_ns;
    case AT_FLOW_CLOSED:
    case AT_FLOW_RESET:
        return t->tcp_closed_ns;
    default:
        break;
    }
    if (proto == ICMP || proto == ICMPV6)
        return t->icmp_ns;
    return proto == UDP ? t->udp_ns : t->other_ns;
}

/* ---- states ---------------------------------------------------------- */

static enum at_flow_state tcp_state(uint8_t out, uint8_t in, bool answered)
{
    if ((out | in) & RST)
        return AT_FLOW_RESET;
    if (out & in & FIN)
        return AT_FLOW_CLOSED;
    if ((out | in) & FIN)
        return AT_FLOW_HALF_CLOSED;
    if (((out | in) & SYN) == 0)
        return AT_FLOW_MIDSTREAM;
    return answered ? AT_FLOW_ESTABLISHED : AT_FLOW_SYN;
}

enum at_flow_state at_flow_state_of(enum at_flow_state before,
                                    uint8_t flags_out, uint8_t flags_in,
                                    bool answered)
{
    if (before >= AT_FLOW_SYN)
        return tcp_state(flags_out, flags_in, answered);
    return answered ? AT_FLOW_TWO_WAY : AT_FLOW_ONE_WAY;
}

bool at_flow_begins_anew(enum at_flow_state state, uint8_t tcp_flags)
{
    return (state == AT_FLOW_CLOSED || state == AT_FLOW_RESET) &&
           (tcp_flags & (SYN | ACK)) == SYN;
}
