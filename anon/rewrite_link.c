/*
 * rewrite_link.c - the addresses of links
 *
 *     Ethernet   6 destination, 6 source, 2 type, then tags of 4 bytes
 *     SLL        2 kind, 2 hardware, 2 length, 8 address, 2 type
 *     SLL2       2 type, 2 reserved, 4 interface, 2 hardware, 1 kind, 1 length,
 *                8 address
 *     FDDI       1 frame control, 6 destination, 6 source
 *     802.11     2 control, 2 duration, 3 addresses, 2 sequence, perhaps a
 *                fourth; control frames have one or two addresses only
 *
 * PPP, HDLC, ATM, raw IP and the null link have none.  What a radio says
 * before an 802.11 frame is numbers, but for PPI, which can tell positions.
 *
 * Sources: as in decode.c and decode_wlan.c; IEEE 802.11-2016 section 9.3.
 */
#include "rewrite.h"

enum {
    ETHERNET_BYTES = 14,
    SLL_BYTES = 16,
    SLL2_BYTES = 20,
    FDDI_BYTES = 13,
    WLAN_BYTES = 24,
    PRISM_BYTES = 144,
    ETHERTYPE_LEAST = 0x600,
};

static bool is_vlan(uint16_t type)
{
    return type == 0x8100 || type == 0x88a8 || type == 0x9100 || type == 0x9200;
}

/* ---- tags ------------------------------------------------------------ */

/*
 * Steps over the tags from 'at', where the first one's two bytes stand if
 * 'type' is that of a tag; returns where they end.
 */
static uint32_t pass_tags(struct at_rewrite *r, uint32_t at, uint16_t type)
{
    while (is_vlan(type) && at_there(r, at, 4)) {
        if (r->policy->vlan == AT_FIELD_ZERO) {
            r->now[at] &= 0xf0;
            r->now[at + 1] = 0;
            at_touch(r, at + 2);
        }
        type = at_load_be16(r->pkt->data + at + 2);
        at += 4;
    }
    return at;
}

/* Tags behind a header that ends at 'at' and has its type at 'type_at'. */
static uint32_t pass_header(struct at_rewrite *r, uint32_t at, uint32_t type_at)
{
    if (!at_there(r, at, 0))
        return r->end;
    return pass_tags(r, at, at_load_be16(r->pkt->data + type_at));
}

/* ---- headers --------------------------------------------------------- */

/* An address of 'n' bytes in a field of 8. */
static void put_field(struct at_rewrite *r, uint32_t at, size_t n)
{
    if (!at_there(r, at, 8)) {
        at_cut(r, at);
        return;
    }
    if (n == 6) {
        at_put_mac(r, at);
        at_blank(r, at + 6, 2);
    } else {
        at_blank(r, at, 8);
    }
}

static uint32_t rewrite_sll(struct at_rewrite *r, uint32_t at)
{
    if (!at_there(r, at, 6)) {
        at_cut(r, at);
        return at;
    }
    put_field(r, at + 6, at_load_be16(r->pkt->data + at + 4));
    return pass_header(r, at + SLL_BYTES, at + 14);
}

static uint32_t rewrite_sll2(struct at_rewrite *r, uint32_t at)
{
    if (!at_there(r, at, 12)) {
        at_cut(r, at);
        return at;
    }
    put_field(r, at + 12, r->pkt->data[at + 11]);
    return pass_header(r, at + SLL2_BYTES, at);
}

static uint32_t rewrite_ethernet(struct at_rewrite *r, uint32_t at)
{
    if (!at_put_mac(r, at) || !at_put_mac(r, at + 6))
        return r->end;
    return pass_header(r, at + ETHERNET_BYTES, at + 12);
}

static uint32_t rewrite_fddi(struct at_rewrite *r, uint32_t at)
{
    if (!at_put_mac(r, at + 1) || !at_put_mac(r, at + 7))
        return r->end;
    return at + FDDI_BYTES;
}

/* ---- IEEE 802.11 ----------------------------------------------------- */

/* Bytes of what the radio says; UINT32_MAX where that is not clear. */
static uint32_t radio_bytes(const struct at_rewrite *r, uint32_t at)
{
    const uint8_t *p = r->pkt->data + at;

    if (r->h.link == AT_LINK_IEEE802_11)
        return 0;
    if (!at_there(r, at, 8))
        return UINT32_MAX;
    if (r->h.link == AT_LINK_RADIOTAP)
        return at_load_le16(p + 2);
    return (at_load_be32(p) & 0xfffff000) == 0x80211000 ? at_load_be32(p + 4)
                                                        : PRISM_BYTES;
}

/* How many addresses follow the first 4 bytes of the frame. */
static unsigned wlan_addresses(const uint8_t *p)
{
    enum { MANAGEMENT = 0, CONTROL = 1, DATA = 2, BOTH_DS = 3 };
    enum { CTS = 12, ACK = 13 };
    const unsigned type = p[0] >> 2 & 3, subtype = p[0] >> 4;

    if (type == CONTROL)
        return subtype == CTS || subtype == ACK ? 1 : subtype >= 8 ? 2 : 0;
    if (type == DATA && (p[1] & BOTH_DS) == BOTH_DS)
        return 4;
    return type == DATA || type == MANAGEMENT ? 3 : 0;
}

static uint32_t rewrite_wlan_frame(struct at_rewrite *r, uint32_t at)
{
    unsigned n;

    if (!at_there(r, at, 4)) {
        at_cut(r, at);
        return at;
    }
    n = wlan_addresses(r->pkt->data + at);
    for (unsigned i = 0; i < n; i++)
        if (!at_put_mac(r, at + (i < 3 ? 4 + 6 * i : WLAN_BYTES)))
            return r->end;
    if (n < 3)
        return at + 4 + 6 * n;
    return at + (n == 3 ? WLAN_BYTES : WLAN_BYTES + 6);
}

static uint32_t rewrite_wlan(struct at_rewrite *r, uint32_t at)
{
    const uint32_t radio = radio_bytes(r, at);

    if (radio == UINT32_MAX || !at_there(r, at, radio)) {
        at_cut(r, at);
        return at;
    }
    return rewrite_wlan_frame(r, at + radio);
}

/* ---- all of them ----------------------------------------------------- */

/* Where the known part of the link header ends. */
static uint32_t rewrite_header(struct at_rewrite *r)
{
    const uint32_t at = r->h.link_offset;

    switch (r->h.link) {
    case AT_LINK_ETHERNET:
        return rewrite_ethernet(r, at);
    case AT_LINK_LINUX_SLL:
        return rewrite_sll(r, at);
    case AT_LINK_LINUX_SLL2:
        return rewrite_sll2(r, at);
    case AT_LINK_FDDI:
        return rewrite_fddi(r, at);
    case AT_LINK_IEEE802_11:
    case AT_LINK_RADIOTAP:
    case AT_LINK_PRISM:
    case AT_LINK_AVS:
        return rewrite_wlan(r, at);
    default:
        return r->h.link >= ETHERTYPE_LEAST ? pass_tags(r, at, r->h.link) : at;
    }
}

/* PPI and whole records of ERF have more in them than is known here. */
static bool is_opaque(uint16_t link)
{
    return link == AT_LINK_PPI || link == AT_LINK_ERF;
}

void at_rewrite_link(struct at_rewrite *r)
{
    uint32_t end;

    if (is_opaque(r->h.link)) {
        r->h.net = AT_NET_OTHER;
        at_cut_unknown(r, r->h.link_offset);
        return;
    }
    end = rewrite_header(r);
    if (r->h.net == AT_NET_OTHER)
        at_cut_unknown(r, end);
    else if (r->h.net_offset >= r->end)
        r->h.net = AT_NET_OTHER; /* it was cut off already */
}
