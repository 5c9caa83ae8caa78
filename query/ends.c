/*
 * ends.c - the two ends of a packet as a key, whichever has sent it
 */
#include "ends.h"

#include <string.h>

void at_ends_put_port(uint8_t to[2], uint16_t port)
{
    to[0] = (uint8_t)(port >> 8);
    to[1] = (uint8_t)port;
}

void at_ends_make(struct at_ends_key *key, const struct at_headers *h,
                  bool ports, bool *swapped)
{
    uint8_t end[2][18] = {{0}};
    const size_t n = at_ends_address_bytes(h->net);

    memset(key, 0, sizeof(*key));
    memcpy(end[0], h->src, n);
    memcpy(end[1], h->dst, n);
    if (ports && (h->flags & AT_DECODED_PORTS) != 0) {
        at_ends_put_port(end[0] + 16, h->sport);
        at_ends_put_port(end[1] + 16, h->dport);
        key->ports = 1;
    }
    *swapped = memcmp(end[0], end[1], sizeof(end[0])) > 0;
    key->net = h->net;
    key->proto = ports ? h->proto : 0;
    memcpy(key->addr, end[*swapped], 16);
    memcpy(key->port, end[*swapped] + 16, 2);
    memcpy(key->peer, end[!*swapped], 16);
    memcpy(key->peer_port, end[!*swapped] + 16, 2);
}

void at_ends_flow(struct at_ends_key *key, const struct at_headers *h)
{
    bool swapped;

    if (at_ends_ip(h)) {
        at_ends_make(key, h, true, &swapped);
        return;
    }
    memset(key, 0, sizeof(*key));
    at_ends_put_port(key->port, h->ethertype);
}
