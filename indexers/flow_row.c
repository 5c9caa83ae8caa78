/*
 * flow_row.c - a flow as answers show it, from whatever source
 */
#include "flow_row.h"

#include <string.h>

#include "decode.h"

static uint8_t verdict(const struct at_flow *f)
{
    if (f->bad_checksums > 0)
        return AT_CHECKSUM_BAD;
    return f->verified && !f->unverified ? AT_CHECKSUM_OK : AT_CHECKSUM_UNKNOWN;
}

static void take_way(struct at_flow_row *row, int dir,
                     const struct at_flow_way *way)
{
    row->packets[dir] = way->packets;
    row->bytes[dir] = way->bytes;
    row->payload[dir] = way->payload;
    row->tcp_flags[dir] = way->tcp_flags;
    row->retransmitted[dir] = way->retransmitted;
    row->zero_windows[dir] = way->zero_windows;
    row->first_len[dir] = way->first_len;
    if (way->first_len > 0) {
        memcpy(row->first[dir], way->first, sizeof(way->first));
        row->captured[dir] = way->first_bytes;
    }
}

/* Ports as the key has them, or of ICMP what the first packet says. */
static void take_ports(struct at_flow_row *row, const struct at_flow *flow)
{
    const struct at_flow_key *key = &flow->key;

    if (key->net == AT_NET_OTHER || key->net == AT_NET_ARP) {
        row->ethertype = key->lo_port;
    } else if (key->proto == PROTO_ICMP || key->proto == PROTO_ICMPV6) {
        row->sport = flow->message[0];
        row->dport = flow->message[1];
    } else {
        row->sport = flow->source_is_hi ? key->hi_port : key->lo_port;
        row->dport = flow->source_is_hi ? key->lo_port : key->hi_port;
    }
}

void at_flow_row_of(struct at_flow_row *row, const struct at_flow *flow)
{
    const struct at_flow_key *key = &flow->key;

    memset(row, 0, sizeof(*row));
    row->start_ns = flow->first_ns;
    row->end_ns = flow->last_ns;
    for (int dir = 0; dir < 2; dir++)
        take_way(row, dir, &flow->way[dir]);
    memcpy(row->src, flow->source_is_hi ? key->hi : key->lo, 16);
    memcpy(row->dst, flow->source_is_hi ? key->lo : key->hi, 16);
    row->net = key->net;
    take_ports(row, flow);
    row->vlan = key->vlan;
    row->mpls = key->mpls;
    row->inner = key->inner != 0;
    row->proto = key->proto;
    row->state = flow->state;
    row->end = flow->end;
    row->marks = flow->flags;
    row->checksums = verdict(flow);
    row->rtt_us = flow->handshake == AT_SHAKEN ? (int64_t)flow->syn_us : -1;
    row->errors = flow->errors;
    row->bad_checksums = flow->bad_checksums;
}

static uint16_t plus(uint16_t a, uint16_t b)
{
    return a > UINT16_MAX - b ? UINT16_MAX : (uint16_t)(a + b);
}

static void join_way(struct at_flow_row *a, int to, const struct at_flow_row *b,
                     int from)
{
    if (a->first_len[to] == 0) {
        memcpy(a->first[to], b->first[from], sizeof(a->first[to]));
        a->first_len[to] = b->first_len[from];
        a->captured[to] = b->captured[from];
    }
    a->packets[to] += b->packets[from];
    a->bytes[to] += b->bytes[from];
    a->payload[to] += b->payload[from];
    a->tcp_flags[to] |= b->tcp_flags[from];
    a->retransmitted[to] = plus(a->retransmitted[to], b->retransmitted[from]);
    a->zero_windows[to] = plus(a->zero_windows[to], b->zero_windows[from]);
}

static uint8_t worse(uint8_t a, uint8_t b)
{
    if (a == AT_CHECKSUM_BAD || b == AT_CHECKSUM_BAD)
        return AT_CHECKSUM_BAD;
    return a == b ? a : AT_CHECKSUM_UNKNOWN;
}

void at_flow_row_join(struct at_flow_row *a, const struct at_flow_row *b,
                      bool turned)
{
    for (int dir = 0; dir < 2; dir++)
        join_way(a, dir, b, turned ? 1 - dir : dir);
    if (b->start_ns < a->start_ns) /* its packets were out of order */
        a->start_ns = b->start_ns;
    if (b->end_ns > a->end_ns)
        a->end_ns = b->end_ns;
    a->marks |= b->marks;
    /* a part that is known to go on has that of all parts up to it */
    if (b->continues == AT_GOES_ON
            ? b->app != NULL
            : a->app == NULL || b->confidence > a->confidence) {
        a->app = b->app;
        a->category = b->category;
        a->confidence = b->confidence;
    }
    if (a->name == NULL)
        a->name = b->name;
    a->checksums = worse(a->checksums, b->checksums);
    a->errors = plus(a->errors, b->errors);
    a->bad_checksums = plus(a->bad_checksums, b->bad_checksums);
    if (a->rtt_us < 0)
        a->rtt_us = b->rtt_us;
    a->end = b->end;
    a->continued = b->continued;
    a->state = b->continues == AT_GOES_ON
                   ? b->state
                   : (uint8_t)at_flow_state_of((enum at_flow_state)a->state,
                                               a->tcp_flags[0], a->tcp_flags[1],
                                               a->packets[1] > 0);
}

void at_flow_row_end_silent(struct at_flow_row *row, int64_t last_ns)
{
    const int64_t limit = at_timeout_of(&at_tracking_default.timeouts,
                                        (enum at_flow_state)row->state,
                                        row->proto);

    if (row->continued == AT_GOES_ON && row->end == AT_FLOW_END_TRACE &&
        last_ns > row->end_ns + limit)
        row->end = AT_FLOW_END_IDLE;
}

/* The packets of a part may all be later fragments, without the ports. */
static bool has_ports(const struct at_flow_row *row)
{
    return (row->marks & AT_DECODED_PORTS) != 0 || row->proto == PROTO_TCP ||
           row->proto == PROTO_UDP || row->proto == PROTO_SCTP;
}

bool at_flow_row_key(struct at_flow_key *key, const struct at_flow_row *row)
{
    struct at_ends ends = {
        .src = row->src,
        .dst = row->dst,
        .sport = row->sport,
        .dport = row->dport,
        .ethertype = row->ethertype,
        .vlan = row->vlan,
        .mpls = row->mpls,
        .inner = row->inner,
        .net = row->net,
        .proto = row->proto,
        .ports = has_ports(row),
    };

    return at_flow_key_make(key, &ends);
}
