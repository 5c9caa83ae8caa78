/*
 * rewrite.h - between the files that rewrite packets
 *
 * A rewrite is one packet on its way: a copy in which every place that can
 * hold an address is found by a parser that knows it.  What a parser does not
 * know is cut off, so that a new protocol costs bytes and never a leak.
 */
#ifndef AT_REWRITE_H
#define AT_REWRITE_H

#include <string.h>

#include "bytes.h"
#include "mask.h"

struct at_rewrite {
    const struct at_policy *policy; /* the caller's */
    struct at_mask *mask;           /* the caller's */
    const struct at_packet *pkt;    /* the caller's: as it was */
    uint8_t *now;                   /* the caller's: the copy of its bytes */
    uint32_t cap;                   /* how many of them are kept so far */
    uint32_t changed;               /* all from there on are as they were */
    bool unknown;                   /* something was not understood */
    bool swapped;                   /* in a packet that an ICMP error quotes */
    struct at_headers h;            /* of the layer that is looked at */
    uint32_t end;                   /* of its packet; never past 'cap' */
    struct at_headers layer[AT_DEEPEST + 1]; /* all around that one */
    unsigned layers;
};

/* Rewrites the packet; afterwards its first 'cap' bytes are good. */
void at_rewrite_packet(struct at_rewrite *r);

/* ---- what the parsers use -------------------------------------------- */

/* Bytes from 'at' on are not kept. */
static inline void at_cut(struct at_rewrite *r, uint32_t at)
{
    if (at < r->cap)
        r->cap = at;
    if (at < r->end)
        r->end = at;
}

/* The same because nobody knows what they are. */
static inline void at_cut_unknown(struct at_rewrite *r, uint32_t at)
{
    r->unknown |= at < r->end;
    at_cut(r, at);
}

static inline void at_touch(struct at_rewrite *r, uint32_t end)
{
    if (end > r->changed)
        r->changed = end;
}

/* Whether 'n' bytes from 'at' on are there. */
static inline bool at_there(const struct at_rewrite *r, uint64_t at, uint64_t n)
{
    return at + n <= r->end;
}

/* The 'n' bytes from 'at' on, which are there, become 0. */
static inline void at_blank(struct at_rewrite *r, uint32_t at, uint32_t n)
{
    memset(r->now + at, 0, n);
    at_touch(r, at + n);
}

/*
 * The address at 'at', of 4 or 16 bytes, or of a link, is replaced.  Where it
 * was not captured as a whole, its beginning is cut off and the answer false.
 */
bool at_put_address(struct at_rewrite *r, uint64_t at, size_t bytes,
                    enum at_role role);
bool at_put_mac(struct at_rewrite *r, uint64_t at);

/* What an application carries, from 'at' to the end, by the policy. */
void at_put_payload(struct at_rewrite *r, uint32_t at);

/* rewrite_link.c: the link header, and the tags behind it.  Where nothing
 * that is known follows, the frame is cut there. */
void at_rewrite_link(struct at_rewrite *r);

/* rewrite_ip.c: IP and its options, or ARP; where the header ends, or 0 where
 * the frame was cut in it. */
uint32_t at_rewrite_net(struct at_rewrite *r);
void at_rewrite_tcp(struct at_rewrite *r);

/* rewrite_icmp.c: messages; of those that quote a packet only what is before
 * it if 'quotes'. */
void at_rewrite_icmp(struct at_rewrite *r, bool quotes);
void at_rewrite_icmpv6(struct at_rewrite *r, bool quotes);
void at_rewrite_igmp(struct at_rewrite *r);

/* rewrite_tunnel.c: what stands between the header of a tunnel's packet and
 * the inner frame; false where that is not understood, and all is cut. */
bool at_rewrite_tunnel(struct at_rewrite *r, const struct at_headers *inner);
bool at_is_tunnel_port(uint16_t port);

/* rewrite_app.c: messages of which the policy wants more than their bytes;
 * they begin at 'at'. */
void at_rewrite_dhcp(struct at_rewrite *r, uint32_t at);
void at_rewrite_dns(struct at_rewrite *r, uint32_t at);

#endif
