/*
 * flow_hash.c - which worker a packet of a flow goes to
 *
 * Of addresses and protocol, not of ports: later fragments have none, and all
 * packets of a flow must meet.  Symmetric by adding what each end hashes to.
 * The hash is the same on every machine and in every run; who wants to
 * overload one worker can, and gains no more than that.
 */
#include <string.h>

#include "archive_trace.h"

static uint64_t mix(uint64_t x) /* splitmix64: Steele, Lea, Flood 2014 */
{
    x ^= x >> 30;
    x *= 0xbf58476d1ce4e5b9u;
    x ^= x >> 27;
    x *= 0x94d049bb133111ebu;
    return x ^ x >> 31;
}

static uint64_t hash_address(const uint8_t *p, size_t n)
{
    uint64_t h = 0;

    while (n >= 8) {
        uint64_t part;

        memcpy(&part, p, sizeof(part));
        h = mix(h + part);
        p += 8;
        n -= 8;
    }
    if (n >= 4) {
        uint32_t part;

        memcpy(&part, p, sizeof(part));
        h = mix(h + part + 0x9e3779b97f4a7c15u);
    }
    return h;
}

uint32_t at_flow_hash(const struct at_packet *pkt, bool directed)
{
    struct at_headers h;
    uint64_t src, dst;
    size_t n;

    at_decode(&h, pkt);
    if (h.net == AT_NET_OTHER || h.src == NULL)
        return (uint32_t)(mix(h.ethertype + UINT64_C(1)) >> 32);
    n = h.net == AT_NET_IPV6 ? 16 : 4;
    src = hash_address(h.src, n);
    dst = hash_address(h.dst, n);
    if (directed)
        src = mix(src + 1);
    return (uint32_t)(mix(src + dst + h.proto) >> 32);
}
