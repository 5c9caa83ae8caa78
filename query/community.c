/*
 * community.c - the Community ID of a flow
 *
 *     size  field
 *        2  seed, 0
 *     4|16  address of the lesser end
 *     4|16  address of the other
 *        1  protocol
 *        1  0
 *        2  port of the lesser end; only of TCP, UDP, SCTP, ICMP and ICMPv6
 *        2  port of the other
 *
 * The ID is "1:" and the base64 of the SHA-1 of that.  The lesser end has the
 * lesser address, or of equal ones the lesser port.  ICMP has its type for the
 * one port and the type of the answer for the other; a message that has no
 * answer has type and code, and its sender is the lesser end.
 *
 * Source: Community ID Flow Hashing specification, version 1 (Corelight).
 */
#include "community.h"

#include <openssl/evp.h>
#include <string.h>

#include "bytes.h"

enum {
    ICMP = 1,
    TCP = 6,
    UDP = 17,
    ICMPV6 = 58,
    SCTP = 132,
    MOST = 2 + 16 + 16 + 2 + 4,
};

struct pair {
    uint8_t one, other;
};

static const struct pair icmp[] = {
    {8, 0}, {10, 9}, {13, 14}, {15, 16}, {17, 18}, {33, 34}, {35, 36},
};
static const struct pair icmpv6[] = {
    {128, 129}, {133, 134}, {135, 136}, {130, 131}, {139, 140}, {144, 145},
};

/* The type of the answer; -1 if there is none. */
static int answer(uint8_t proto, uint16_t type)
{
    const struct pair *p = proto == ICMP ? icmp : icmpv6;
    const size_t n = proto == ICMP ? sizeof(icmp) / sizeof(icmp[0])
                                   : sizeof(icmpv6) / sizeof(icmpv6[0]);

    for (size_t i = 0; i < n; i++) {
        if (p[i].one == type)
            return p[i].other;
        if (p[i].other == type)
            return p[i].one;
    }
    return -1;
}

static bool has_ports(uint8_t proto)
{
    return proto == TCP || proto == UDP || proto == SCTP || proto == ICMP ||
           proto == ICMPV6;
}

static size_t put_tuple(uint8_t *p, const struct at_flow_row *row)
{
    const size_t n = row->net == AT_NET_IPV6 ? 16 : 4;
    const bool message = row->proto == ICMP || row->proto == ICMPV6;
    const int back = message ? answer(row->proto, row->sport) : -1;
    const uint16_t dport = back >= 0 ? (uint16_t)back : row->dport;
    const int order = memcmp(row->src, row->dst, n);
    const bool turned = (!message || back >= 0) &&
                        (order > 0 || (order == 0 && row->sport > dport));
    uint8_t *const begin = p;

    at_store_be16(p, 0);
    memcpy(p + 2, turned ? row->dst : row->src, n);
    memcpy(p + 2 + n, turned ? row->src : row->dst, n);
    p += 2 + 2 * n;
    *p++ = row->proto;
    *p++ = 0;
    if (has_ports(row->proto)) {
        at_store_be16(p, turned ? dport : row->sport);
        at_store_be16(p + 2, turned ? row->sport : dport);
        p += 4;
    }
    return (size_t)(p - begin);
}

const char *at_community_id(char buf[AT_COMMUNITY_TEXT],
                            const struct at_flow_row *row)
{
    uint8_t tuple[MOST], digest[EVP_MAX_MD_SIZE];
    unsigned n;

    buf[0] = 0;
    if ((row->net != AT_NET_IPV4 && row->net != AT_NET_IPV6) ||
        EVP_Digest(tuple, put_tuple(tuple, row), digest, &n, EVP_sha1(),
                   NULL) != 1)
        return buf;
    memcpy(buf, "1:", 2);
    EVP_EncodeBlock((unsigned char *)buf + 2, digest, (int)n);
    return buf;
}
