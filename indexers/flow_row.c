/*
 * flow_row.c - a flow as answers show it, from whatever source
 */
#include "flow_row.h"

#include <string.h>

void at_flow_row_of(struct at_flow_row *row, const struct at_flow *flow)
{
    const struct at_flow_key *key = &flow->key;

    memset(row, 0, sizeof(*row));
    row->start_ns = flow->first_ns;
    row->end_ns = flow->last_ns;
    memcpy(row->packets, flow->packets, sizeof(row->packets));
    memcpy(row->bytes, flow->bytes, sizeof(row->bytes));
    memcpy(row->src, flow->source_is_hi ? key->hi : key->lo, 16);
    memcpy(row->dst, flow->source_is_hi ? key->lo : key->hi, 16);
    row->net = key->net;
    if (key->net == AT_NET_OTHER || key->net == AT_NET_ARP) {
        row->ethertype = key->lo_port;
    } else {
        row->sport = flow->sport;
        row->dport = flow->dport;
    }
    row->vlan = key->vlan;
    row->proto = key->proto;
    memcpy(row->tcp_flags, flow->tcp_flags, sizeof(row->tcp_flags));
    row->state = flow->state;
    row->marks = flow->flags;
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
        .net = row->net,
        .proto = row->proto,
        .ports = (row->marks & AT_DECODED_PORTS) != 0,
    };

    return at_flow_key_make(key, &ends);
}
