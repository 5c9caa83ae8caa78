/*
 * ends.h - the two ends of a packet as a key, whichever has sent it
 */
#ifndef AT_ENDS_H
#define AT_ENDS_H

#include "archive_trace.h"

/* Bytes that sort as people would: numbers from the most significant on.
 * What one end alone is has the first AT_END_BYTES of it. */
struct at_ends_key {
    uint8_t net, proto; /* enum at_net, IP protocol */
    uint8_t addr[16];   /* 4 or 6 of them, the rest is 0 */
    uint8_t port[2];
    uint8_t peer[16];
    uint8_t peer_port[2];
    uint8_t ports; /* they are known */
    uint8_t zero;
};

enum { AT_END_BYTES = 24, AT_ENDS_BYTES = sizeof(struct at_ends_key) };

static inline bool at_ends_ip(const struct at_headers *h)
{
    return h->net == AT_NET_IPV4 || h->net == AT_NET_IPV6;
}

static inline size_t at_ends_address_bytes(uint8_t net)
{
    return net == AT_NET_IPV6 ? 16 : 4;
}

void at_ends_put_port(uint8_t to[2], uint16_t port);

/* Of both ends of an IP packet, the lower one first; *swapped: that is the
 * receiver.  Without 'ports' protocol and ports are 0. */
void at_ends_make(struct at_ends_key *key, const struct at_headers *h,
                  bool ports, bool *swapped);

/* The flow of any packet; what is not IP is one flow an ethertype. */
void at_ends_flow(struct at_ends_key *key, const struct at_headers *h);

#endif
