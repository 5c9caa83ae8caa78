/*
 * judge.c - what an expression says of packets of which some facts are known
 *
 * How the claims of a leaf follow from the code that libpcap generates:
 *
 *     host, net    IPv4: source or destination; ARP and RARP: sender and
 *                  target protocol address behind 6-byte hardware addresses
 *     port         IPv4: protocol, not a later fragment, ports behind the
 *                  header.  IPv6: only if the fixed header is followed at
 *                  once by TCP, UDP or SCTP
 *     proto        IPv4: the protocol.  IPv6: the first next header, or
 *                  that of a fragment header which is the first
 *
 * And a load past the captured bytes refuses the packet, whatever stands
 * around it, also under "not": so YES holds only for whole headers.
 */
#include "expr.h"

#include <netinet/in.h>
#include <string.h>

#include "decode.h"

/* ---- facts ----------------------------------------------------------- */

static uint8_t over_bit(uint8_t proto)
{
    switch (proto) {
    case IPPROTO_TCP:
        return AT_OVER_TCP;
    case IPPROTO_UDP:
        return AT_OVER_UDP;
    case IPPROTO_SCTP:
        return AT_OVER_SCTP;
    default:
        return 0;
    }
}

struct at_facts at_facts_of(const struct at_headers *h)
{
    return (struct at_facts){
        .net = h->net,
        .proto = h->proto,
        .ethertype = h->ethertype,
        .sport = h->sport,
        .dport = h->dport,
        .flags = h->flags,
        .src = h->src,
        .dst = h->dst,
    };
}

/* ---- judging --------------------------------------------------------- */

static enum at_verdict verdict_not(enum at_verdict v)
{
    return v == AT_YES ? AT_NO : v == AT_NO ? AT_YES : AT_MAYBE;
}

static enum at_verdict lesser(enum at_verdict a, enum at_verdict b)
{
    return a < b ? a : b;
}

static enum at_verdict greater(enum at_verdict a, enum at_verdict b)
{
    return a > b ? a : b;
}

/* YES only if it holds for what 'some' packets may be like as well. */
static enum at_verdict yes_unless(unsigned some)
{
    return some ? AT_MAYBE : AT_YES;
}

/* What libpcap takes the packet for: an AT_NETS_ bit, or 0. */
static uint8_t nets_bit(uint16_t ethertype)
{
    switch (ethertype) {
    case ETHERTYPE_IPV4:
        return AT_NETS_IPV4;
    case ETHERTYPE_IPV6:
        return AT_NETS_IPV6;
    case ETHERTYPE_ARP:
        return AT_NETS_ARP;
    case ETHERTYPE_RARP:
        return AT_NETS_RARP;
    default:
        return 0;
    }
}

/* Whether at_decode() found the layer that the ethertype promises. */
static bool is_sound(const struct at_facts *f)
{
    switch (f->ethertype) {
    case ETHERTYPE_IPV4:
        return f->net == AT_NET_IPV4;
    case ETHERTYPE_IPV6:
        return f->net == AT_NET_IPV6;
    case ETHERTYPE_ARP:
    case ETHERTYPE_RARP:
        return f->net == AT_NET_ARP;
    default:
        return f->net == AT_NET_OTHER;
    }
}

static bool in_prefix(const struct at_expr_node *n, const uint8_t *addr)
{
    const unsigned whole = n->prefix / 8, rest = n->prefix % 8;

    if (memcmp(n->addr, addr, whole) != 0)
        return false;
    return rest == 0 || ((n->addr[whole] ^ addr[whole]) >> (8 - rest)) == 0;
}

static bool by_dir(uint8_t dir, bool src, bool dst)
{
    switch (dir) {
    case AT_DIR_SRC:
        return src;
    case AT_DIR_DST:
        return dst;
    case AT_DIR_BOTH:
        return src && dst;
    default:
        return src || dst;
    }
}

static enum at_verdict judge_net(const struct at_expr_node *n,
                                 const struct at_facts *f)
{
    if (f->src == NULL || f->dst == NULL)
        return AT_MAYBE;
    return by_dir(n->dir, in_prefix(n, f->src), in_prefix(n, f->dst)) ? AT_YES
                                                                      : AT_NO;
}

static bool in_range(const struct at_expr_node *n, uint16_t port)
{
    return port >= n->port_low && port <= n->port_high;
}

enum {
    /* IPv6 packets whose protocol is not in the fixed header. */
    BEHIND = AT_DECODED_CHAIN | AT_DECODED_FRAGMENT | AT_DECODED_LATER,
};

static enum at_verdict judge_port(const struct at_expr_node *n,
                                  const struct at_facts *f)
{
    unsigned hidden = f->net == AT_NET_IPV6 ? BEHIND : AT_DECODED_LATER;

    if ((n->over & over_bit(f->proto)) == 0)
        return AT_NO;
    if (f->flags & AT_DECODED_BAD)
        return AT_MAYBE;
    return by_dir(n->dir, in_range(n, f->sport), in_range(n, f->dport))
               ? yes_unless(f->flags & hidden)
               : AT_NO;
}

/* The IPv6 headers that at_decode() steps over. */
static bool is_extension(uint8_t proto)
{
    return proto == IPPROTO_HOPOPTS || proto == IPPROTO_ROUTING ||
           proto == IPPROTO_FRAGMENT || proto == IPPROTO_AH ||
           proto == IPPROTO_DSTOPTS || proto == 135 || proto == 139 ||
           proto == 140;
}

static enum at_verdict judge_proto(const struct at_expr_node *n,
                                   const struct at_facts *f)
{
    const bool same = n->proto == f->proto;

    if (f->net == AT_NET_IPV4)
        return same ? AT_YES : AT_NO;
    /* A chain that broke off may have begun with a fragment header. */
    if (is_extension(f->proto))
        return AT_MAYBE;
    if (is_extension(n->proto))
        return f->flags & BEHIND ? AT_MAYBE : AT_NO;
    return same ? yes_unless(f->flags & BEHIND) : AT_NO;
}

static enum at_verdict judge_seen(const struct at_expr_node *n,
                                  const struct at_facts *f)
{
    const uint8_t net = nets_bit(f->ethertype);

    if (n->leaf == AT_LEAF_OPAQUE || (f->flags & AT_DECODED_FOREIGN))
        return AT_MAYBE;
    if (net == 0)
        return is_sound(f) ? AT_NO : AT_MAYBE;
    if ((n->nets & net) == 0)
        return AT_NO;
    if (!is_sound(f))
        return AT_MAYBE;
    switch (n->leaf) {
    case AT_LEAF_LINK:
        return AT_YES;
    case AT_LEAF_NET:
        return judge_net(n, f);
    case AT_LEAF_PORT:
        return judge_port(n, f);
    case AT_LEAF_PROTO:
        return judge_proto(n, f);
    default:
        return AT_MAYBE;
    }
}

/* at_decode() finds tunnels whatever libpcap sees, behind tags too. */
static enum at_verdict judge_inner(const struct at_facts *f)
{
    const bool ip = f->net == AT_NET_IPV4 || f->net == AT_NET_IPV6;

    return ip && at_tunnel_may_be(f->proto, f->sport, f->dport) ? AT_MAYBE
                                                                : AT_NO;
}

enum at_verdict at_expr_judge_leaf(const struct at_expr *e,
                                   const struct at_expr_node *leaf,
                                   const struct at_facts *f)
{
    enum at_verdict v;

    if (leaf->leaf == AT_LEAF_TRUE)
        return AT_YES;
    if (leaf->leaf == AT_LEAF_FLOW)
        return !f->in_flow                   ? AT_MAYBE
               : f->vector >> leaf->term & 1 ? AT_YES
                                             : AT_NO;
    if (leaf->leaf == AT_LEAF_INNER && !f->inner)
        return judge_inner(f);
    if (leaf->loose || f->inner)
        return AT_MAYBE;
    v = judge_seen(leaf, f);
    /* Hidden behind a tag, nothing is there for libpcap to match. */
    if (at_expr_literal(e) && v == AT_YES && (f->flags & AT_DECODED_TAGGED))
        v = AT_MAYBE;
    return v;
}

static enum at_verdict judge(const struct at_expr *e,
                             const struct at_expr_node *n,
                             const struct at_facts *f)
{
    const struct at_expr_node *c = n->child;
    enum at_verdict v;

    if (n->op == AT_EXPR_LEAF)
        return at_expr_judge_leaf(e, n, f);
    v = judge(e, c, f);
    if (n->op == AT_EXPR_NOT)
        return verdict_not(v);
    for (c = c->next; c != NULL; c = c->next)
        v = n->op == AT_EXPR_AND ? lesser(v, judge(e, c, f))
                                 : greater(v, judge(e, c, f));
    return v;
}

/* Terms of flows alone load nothing from a packet, nor do questions of what is
 * in tunnels: not from this one. */
static bool loads_nothing(const struct at_expr_node *n)
{
    if (n->op == AT_EXPR_LEAF)
        return n->leaf == AT_LEAF_TRUE || n->leaf == AT_LEAF_FLOW ||
               n->leaf == AT_LEAF_INNER;
    for (n = n->child; n != NULL; n = n->next)
        if (!loads_nothing(n))
            return false;
    return true;
}

/*
 * A load past the end refuses the packet.  Headers that are not whole may
 * cause one; so may any test that is OPAQUE, and any behind a tag.
 */
enum at_verdict at_expr_judge(const struct at_expr *e, const struct at_facts *f)
{
    const enum at_verdict v = judge(e, at_expr_root(e), f);
    const unsigned broken = AT_DECODED_CUT | AT_DECODED_BAD |
                            AT_DECODED_FOREIGN;

    if (v == AT_YES && (at_expr_opaque(e) || (f->flags & broken)) &&
        !loads_nothing(at_expr_root(e)))
        return AT_MAYBE;
    return v;
}
