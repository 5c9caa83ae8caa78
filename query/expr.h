/*
 * expr.h - the part of pcap-filter(7) that an index can decide
 *
 * The text of an expression is always compiled by libpcap too, and libpcap
 * has the last word on a packet (at_filter_match()).  This parser knows the
 * same grammar, precedence and inheritance of qualifiers, and models the
 * primitives that speak of addresses, ports and protocols.  Whatever else
 * stands in an expression is an OPAQUE leaf, of which nothing is claimed.  So
 * the parser need not be complete, but what it claims must be exact.
 */
#ifndef AT_EXPR_H
#define AT_EXPR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "archive_trace.h"

enum at_expr_op {
    AT_EXPR_LEAF,
    AT_EXPR_AND, /* two children or more */
    AT_EXPR_OR,  /* two children or more */
    AT_EXPR_NOT, /* one child */
};

enum at_leaf {
    AT_LEAF_TRUE,   /* the empty expression */
    AT_LEAF_OPAQUE, /* only libpcap knows */
    AT_LEAF_NET,    /* an address is in addr/prefix: host, net */
    AT_LEAF_PORT,   /* a port is in port_low..port_high, of one of 'over' */
    AT_LEAF_PROTO,  /* the IP protocol is 'proto', in one of 'nets' */
    AT_LEAF_LINK,   /* the network layer is one of 'nets': ip, ip6, arp */
    AT_LEAF_FLOW,   /* flow term number 'term' */
    AT_LEAF_INNER,  /* something about the IP packets in tunnels */
};

enum at_expr_dir {
    AT_DIR_EITHER, /* no qualifier, or "src or dst" */
    AT_DIR_SRC,
    AT_DIR_DST,
    AT_DIR_BOTH, /* "src and dst" */
};

/* Network layers that a leaf speaks of; bits of at_expr_node.nets. */
enum {
    AT_NETS_IPV4 = 1,
    AT_NETS_IPV6 = 2,
    AT_NETS_ARP = 4,
    AT_NETS_RARP = 8,
    AT_NETS_IP = AT_NETS_IPV4 | AT_NETS_IPV6,
};

/* Transports that a PORT leaf speaks of; bits of at_expr_node.over. */
enum {
    AT_OVER_TCP = 1,
    AT_OVER_UDP = 2,
    AT_OVER_SCTP = 4,
};

struct at_expr_node {
    enum at_expr_op op;
    enum at_leaf leaf;                /* where 'op' is LEAF */
    const struct at_expr_node *child; /* the first; NULL for a leaf */
    const struct at_expr_node *next;  /* the next child of the same parent */
    uint32_t column; /* where it stands in the text, in bytes from 0 */
    uint32_t length;
    uint8_t dir;    /* NET, PORT: enum at_expr_dir */
    uint8_t nets;   /* NET, PROTO, LINK: AT_NETS_ bits; PORT: IPv4 and IPv6 */
    uint8_t over;   /* PORT: AT_OVER_ bits */
    uint8_t proto;  /* PROTO: the number */
    uint8_t prefix; /* NET: leading bits of 'addr' that count, 0 to 32 or 128 */
    uint8_t addr_bytes; /* NET: 4 or 16 */
    uint8_t addr[16];   /* NET: bits behind the prefix are 0 */
    uint16_t port_low;  /* PORT: both are part of the range */
    uint16_t port_high;
    /*
     * Behind the words vlan, mpls, pppoes and geneve every later leaf speaks
     * of what is inside of the tag, and libpcap reads garbage from packets
     * that have no such tag.  A leaf is 'loose' unless "and" asks for all the
     * tags that are named before it, as in "vlan and host 10.0.0.1"; of a
     * loose leaf nothing is known, so a planner must take it for OPAQUE.
     */
    uint8_t term; /* FLOW: see at_expr_terms() */
    uint8_t tag;  /* OPAQUE: 1 if this is vlan, mpls or pppoes; 2 if geneve */
    bool loose;
};

struct at_expr;

/*
 * Flow terms.  Which of them are true of a flow is a vector, with the bit
 * 1 << number for each.
 */
enum { AT_EXPR_TERMS_MOST = 64 };

/*
 * at_expr_parse() parses 'text', which is copied.  'flags' are those of
 * at_filter_open(): with AT_FILTER_LITERAL, at_expr_judge() reckons with tags
 * that hide a packet's addresses.  On failure *out is NULL: AT_ERR_MEMORY, or
 * AT_ERR_SYNTAX with the column of the offence.
 *
 * Nothing that libpcap accepts is refused here, but not everything that
 * libpcap refuses; so call at_filter_open() as well.
 */
enum at_status at_expr_parse(struct at_expr **out, const char *text,
                             unsigned flags, struct at_error *err);
void at_expr_free(struct at_expr *e);

/* The top of the tree, never NULL; it lives as long as 'e'. */
const struct at_expr_node *at_expr_root(const struct at_expr *e);
const char *at_expr_text(const struct at_expr *e);

/* The flow terms, in the order of the text; NULL if there are none. */
const struct at_term *at_expr_terms(const struct at_expr *e, size_t *n);

/*
 * The expression as libpcap reads it, with each flow term replaced by what is
 * always or never true, by its bit in 'vector'.  NULL if there is no memory;
 * the caller frees it.
 */
char *at_expr_of_vector(const struct at_expr *e, uint64_t vector);

/* The vector that lets most packets match: what matches by any, matches by
 * this one. */
uint64_t at_expr_widest(const struct at_expr *e);

/*
 * at_expr_literal() tells whether tags hide what is behind them: the flag
 * was given, or the expression says vlan, mpls, pppoes or pppoed itself.
 * at_expr_opaque() tells whether any leaf is OPAQUE.
 */
bool at_expr_literal(const struct at_expr *e);
bool at_expr_opaque(const struct at_expr *e);

/*
 * What a set of packets has in common, as at_decode() sees it: the facts
 * behind all tags and IPv6 extension headers.  Packets of a set go in one
 * direction.  For ICMP the ports mean nothing.  Of 'flags', each AT_DECODED_
 * bit says that SOME packets of the set may be so; ports are those of the
 * packets that are not LATER, and 0 if there are none.
 */
struct at_facts {
    uint8_t net;        /* enum at_net */
    uint8_t proto;      /* for IPv4 and IPv6 */
    uint16_t ethertype; /* of the network layer */
    uint16_t sport;
    uint16_t dport;
    unsigned flags;     /* AT_DECODED_ bits */
    const uint8_t *src; /* 4 bytes, 16 for IPv6, NULL for AT_NET_OTHER */
    const uint8_t *dst;
    bool inner;      /* they are in tunnels, of which nothing is known: what is
                        above speaks of the inside */
    bool in_flow;    /* 'vector' tells of their flow */
    uint64_t vector; /* the flow terms that are true of it */
};

/* The facts of a single packet; they point to where 'h' does. */
struct at_facts at_facts_of(const struct at_headers *h);

enum at_verdict { AT_NO, AT_MAYBE, AT_YES };

/*
 * at_expr_judge() says what at_filter_match() would, for packets of which
 * 'f' is true: YES if it matches all of them, NO if none, MAYBE if only a
 * look at the packets can tell.  Any number of threads may use one 'e'.
 */
enum at_verdict at_expr_judge(const struct at_expr *e,
                              const struct at_facts *f);

/*
 * The same for one leaf alone.  It is what the leaf adds to the verdict of
 * the whole: for a packet with headers cut or bad, libpcap may refuse the
 * packet whatever a leaf says, so only at_expr_judge() gives a final YES.
 */
enum at_verdict at_expr_judge_leaf(const struct at_expr *e,
                                   const struct at_expr_node *leaf,
                                   const struct at_facts *f);

#endif
