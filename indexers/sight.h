/*
 * sight.h - a packet as the flow table sees it
 *
 * Made from the packet by any thread, so that the one that keeps the table
 * has nothing left to decode.
 */
#ifndef AT_SIGHT_H
#define AT_SIGHT_H

#include "archive_trace.h"

/*
 * What the packets of a conversation have in common, the same for both
 * directions: the end with the smaller address (then port) is 'lo'.
 * For ARP the addresses are those asked about and both ports the ethertype;
 * for what is neither IP nor ARP they are zero and lo_port is the ethertype.
 */
struct at_flow_key {
    uint8_t lo[16]; /* IPv4 and ARP: 4 bytes and zeros */
    uint8_t hi[16];
    uint16_t lo_port; /* ICMP: the kind of exchange, in both */
    uint16_t hi_port;
    uint16_t vlan;
    uint8_t net; /* enum at_net */
    uint8_t proto;
    uint32_t mpls; /* label */
    uint8_t inner; /* 1: the packets are in tunnels */
    uint8_t unused[3];
};

/* What the key is made of, for a packet or a flow from 'src' to 'dst'. */
struct at_ends {
    const uint8_t *src, *dst; /* 4 bytes, 16 for IPv6 */
    uint16_t sport, dport;    /* ICMP: type and code */
    uint16_t ethertype;
    uint16_t vlan;
    uint32_t mpls;
    uint8_t net; /* enum at_net */
    uint8_t proto;
    bool inner;
    bool ports; /* sport and dport are ports */
};

/* Makes the key; true if 'src' is the 'hi' end. */
bool at_flow_key_make(struct at_flow_key *key, const struct at_ends *ends);

/* For tables of keys; the seed is one that who made the file cannot guess. */
uint32_t at_flow_key_hash(const struct at_flow_key *key, uint64_t seed);
uint64_t at_flow_key_seed(void);

/* The packet that an ICMP error quotes, by the flow it is of. */
struct at_quote {
    struct at_flow_key key;
    uint32_t hash;
};

struct at_sight {
    struct at_flow_key key;
    int64_t ts_ns;
    uint32_t hash;      /* of the key */
    uint32_t bytes;     /* of the IP packet on the wire; of the frame if none */
    uint32_t cap_bytes; /* of the frame */
    uint32_t wire_bytes;    /* of the frame */
    uint32_t payload_bytes; /* of TCP, UDP or SCTP, on the wire */
    uint32_t tcp_seq;
    uint32_t link;    /* of a fragment: its datagram; of an ICMP error: 1 + the
                         number of its quote, 0 if there is none */
    uint32_t name;    /* that it asks for, in the text that comes along: 1 +
                         where it begins; 0: none, or nobody wants it */
    uint8_t first[4]; /* of the payload; zeros where there is less */
    uint16_t sport;   /* ICMP: type */
    uint16_t dport;   /* ICMP: code */
    uint8_t from_hi;  /* sent by the 'hi' end */
    uint8_t tcp_flags;
    uint8_t flags;       /* AT_DECODED_ */
    uint8_t first_bytes; /* of 'first' that were captured */
    uint8_t checksum;    /* enum at_checksum: the verdict on both */
    bool zero_window;    /* of TCP */
    bool packet;         /* false: in no flow, as META and PAD records are */
    bool wanted;         /* the caller's mark, which its flow takes over */
};

/* What the sights of some packets refer to; NULL where none does. */
struct at_besides {
    const struct at_quote *quote;
    const char *text; /* names, with their NULs */
};

/* Which VLAN number is part of a flow's key. */
enum at_sight_vlan {
    AT_SIGHT_OUTER_VLAN,
    AT_SIGHT_INNER_VLAN,
    AT_SIGHT_NO_VLAN,
};

/* What beside addresses, ports and protocol tells flows apart; all zero is the
 * outermost VLAN number alone. */
struct at_keying {
    uint8_t vlan; /* enum at_sight_vlan */
    bool mpls;    /* the label at the bottom of the stack */
    bool inner;   /* a packet in a tunnel stands for those around it */
};

/* Reads "vlan" or "inner-vlan", "mpls" and "inner", separated by commas, or
 * "none"; AT_ERR_SYNTAX.  Returns the same, which may be in 'buf'. */
enum { AT_KEYING_TEXT = 32 };
enum at_status at_keying_parse(struct at_keying *key, const char *text,
                               struct at_error *err);
const char *at_keying_format(char buf[AT_KEYING_TEXT],
                             const struct at_keying *key);

/* Whether it is what all zero is. */
static inline bool at_keying_is_usual(const struct at_keying *key)
{
    return key->vlan == AT_SIGHT_OUTER_VLAN && !key->mpls && !key->inner;
}

/* How packets become sights. */
struct at_sighting {
    uint64_t seed; /* of at_flow_key_hash() */
    struct at_keying key;
    bool names;       /* are wanted; see at_sights_take() */
    bool conformance; /* layers, keys and bytes as nDPI's reader counts them */
};

/* True if the packet is an ICMP error and *quote is what it quotes; then the
 * caller says in s->link where it keeps it. */
bool at_sight_take(struct at_sight *s, struct at_quote *quote,
                   const struct at_packet *pkt, const struct at_sighting *how);

/* The name that the packet of a sight asks for, if names are wanted; 0: none.
 * 'name' has AT_ASKED_BYTES (asked.h). */
size_t at_sight_name(char *name, const struct at_sight *s,
                     const struct at_packet *pkt,
                     const struct at_sighting *how);

/*
 * The headers that nDPI's reader counts a packet by; false if it drops it.
 * sight_ndpi.c tells the rules.
 */
bool at_sight_ndpi(struct at_headers *h, const struct at_packet *pkt);

#endif
