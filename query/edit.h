/*
 * edit.h - what becomes of a captured packet before it is sent
 *
 * In this order: a link header that is not Ethernet is replaced by one, a
 * truncated packet is filled up, MAC addresses, the VLAN tag and IP addresses
 * are changed, checksums made.  Checksums that cover changed addresses are
 * adjusted (RFC 1624), so that right ones stay right and wrong ones wrong.
 */
#ifndef AT_EDIT_H
#define AT_EDIT_H

#include "archive_trace.h"

enum at_short_use { AT_SHORT_PAD = 0, AT_SHORT_SKIP, AT_SHORT_SEND };
enum at_long_use { AT_LONG_SKIP = 0, AT_LONG_CUT };

enum { AT_EDIT_MAPS = 64 };

struct at_mac_map {
    uint8_t from[6], to[6];
};

/* Addresses in 'from'/'bits' get the first 'bits' bits of 'to'. */
struct at_net_map {
    uint8_t from[16], to[16];
    uint8_t bytes; /* 4 or 16 */
    uint8_t bits;
};

struct at_edit {
    bool set_src, set_dst;
    uint8_t src[6], dst[6]; /* MAC addresses */
    struct at_mac_map mac[AT_EDIT_MAPS];
    size_t macs;
    struct at_net_map net[AT_EDIT_MAPS];
    size_t nets;
    int vlan;       /* 1 to 4094: the id of the outermost tag, added if there is
                       none; 0: tags stay */
    bool checksums; /* of IPv4, TCP, UDP, ICMP and ICMPv6 made anew, where the
                       packet is whole */
    int shorts;     /* enum at_short_use */
    int longs;      /* enum at_long_use */
};

/* Both read "A=B" and return AT_OK or AT_ERR_SYNTAX. */
enum at_status at_edit_add_mac(struct at_edit *e, const char *text,
                               struct at_error *err);
enum at_status at_edit_add_net(struct at_edit *e, const char *text,
                               struct at_error *err);
enum at_status at_mac_parse(uint8_t mac[6], const char *text,
                            struct at_error *err);

/* Why a packet is not sent. */
enum at_unsent {
    AT_UNSENT_NOT = 0,
    AT_UNSENT_PROCESS,   /* processing dropped it */
    AT_UNSENT_ANON,      /* the anonymiser dropped it */
    AT_UNSENT_LINKTYPE,  /* neither Ethernet nor IP that could be put in it */
    AT_UNSENT_TRUNCATED, /* and AT_SHORT_SKIP */
    AT_UNSENT_LONG,      /* for the interface */
    AT_UNSENT_NOWHERE,   /* no interface is for it */
    AT_UNSENT_REFUSED,   /* the interface did not take it */
    AT_UNSENTS
};
const char *at_unsent_name(enum at_unsent why);

/* Where a frame goes. */
struct at_edit_target {
    uint8_t mac[6]; /* of the interface */
    uint32_t most;  /* bytes of a frame, a VLAN tag aside; 0: any number */
    bool any_link;  /* frames of any link type are taken as they are */
};

/*
 * at_edit_packet() makes the frame in 'out', which has 'room' bytes, at least
 * 64 KiB and 64 bytes; *bytes is how many it takes.
 */
enum at_unsent at_edit_packet(const struct at_edit *e,
                              const struct at_edit_target *target,
                              const struct at_packet *pkt, uint8_t *out,
                              size_t room, uint32_t *bytes);

#endif
