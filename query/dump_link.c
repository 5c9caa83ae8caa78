/*
 * dump_link.c - link headers and tags as text
 *
 * Sources as in decode.c and decode_wlan.c.
 */
#include "dump_out.h"

enum {
    TYPE_LEAST = 0x0600,
    TYPE_IPV4 = 0x0800,
    TYPE_IPV6 = 0x86dd,
    TYPE_MPLS = 0x8847,
    TYPE_MPLS_UPSTREAM = 0x8848,
    TYPE_PPPOE_DISCOVERY = 0x8863,
    TYPE_PPPOE = 0x8864,
    TYPE_NONE = 0, /* nothing that we know */

    PPP_IPV4 = 0x0021,
    PPP_IPV6 = 0x0057,
    PPP_MPLS = 0x0281,
};

/* Shows what follows and returns the ethertype of what is next, or
 * TYPE_NONE. */
static uint16_t put_llc(struct at_dump *d, struct at_cursor *c)
{
    const bool snap = c->left >= 8 && c->p[0] == 0xaa && c->p[1] == 0xaa;
    const uint8_t *p = at_take(c, snap ? 8 : 3);

    if (p == NULL)
        return TYPE_NONE;
    at_dump_layer(d, "llc");
    at_dump_hex(d, "dsap", p[0], 2);
    at_dump_hex(d, "ssap", p[1], 2);
    at_dump_hex(d, "control", p[2], 2);
    if (!snap)
        return TYPE_NONE;
    at_dump_hex(d, "oui", (uint32_t)p[3] << 16 | at_load_be16(p + 4), 6);
    at_dump_hex(d, "type", at_load_be16(p + 6), 4);
    return at_load_be16(p + 6) >= TYPE_LEAST ? at_load_be16(p + 6) : TYPE_NONE;
}

static uint16_t put_vlan(struct at_dump *d, struct at_cursor *c)
{
    const uint8_t *p = at_take(c, 4);

    if (p == NULL)
        return TYPE_NONE;
    at_dump_layer(d, "vlan");
    at_dump_num(d, "id", at_load_be16(p) & 0xfff);
    at_dump_num(d, "priority", p[0] >> 5);
    if (p[0] & 0x10)
        at_dump_flag(d, "drop-eligible");
    at_dump_hex(d, "type", at_load_be16(p + 2), 4);
    return at_load_be16(p + 2);
}

static uint16_t put_mpls(struct at_dump *d, struct at_cursor *c)
{
    const uint8_t *p = at_take(c, 4);

    if (p == NULL)
        return TYPE_NONE;
    at_dump_layer(d, "mpls");
    at_dump_num(d, "label", at_load_be32(p) >> 12);
    at_dump_num(d, "class", p[2] >> 1 & 7);
    at_dump_num(d, "ttl", p[3]);
    if ((p[2] & 1) == 0)
        return TYPE_MPLS;
    at_dump_flag(d, "bottom");
    if (c->left > 0 && c->p[0] >> 4 == 4)
        return TYPE_IPV4;
    return c->left > 0 && c->p[0] >> 4 == 6 ? TYPE_IPV6 : TYPE_NONE;
}

static uint16_t put_ppp(struct at_dump *d, uint16_t protocol)
{
    static const struct at_dump_name names[] = {
        {PPP_IPV4, "ipv4"}, {PPP_IPV6, "ipv6"},
        {PPP_MPLS, "mpls"}, {0x8021, "ipcp"},
        {0x8057, "ipv6cp"}, {0xc021, "lcp"},
        {0xc023, "pap"},    {0xc223, "chap"},
        {0x80fd, "ccp"},    {0x00fd, "compressed"},
        {0xc025, "lqr"},    {0x8281, "mplscp"},
        {0, NULL},
    };

    at_dump_layer(d, "ppp");
    at_dump_hex(d, "protocol", protocol, 4);
    if (at_dump_name(names, protocol) != NULL)
        at_dump_bare(d, "name", at_dump_name(names, protocol));
    if (protocol == PPP_IPV4)
        return TYPE_IPV4;
    if (protocol == PPP_IPV6)
        return TYPE_IPV6;
    return protocol == PPP_MPLS ? TYPE_MPLS : TYPE_NONE;
}

static uint16_t put_pppoe(struct at_dump *d, struct at_cursor *c, bool session)
{
    static const struct at_dump_name codes[] = {
        {0x09, "padi"}, {0x07, "pado"}, {0x19, "padr"}, {0x65, "pads"},
        {0xa7, "padt"}, {0, "session"}, {0, NULL},
    };
    const uint8_t *p = at_take(c, 6);

    if (p == NULL)
        return TYPE_NONE;
    at_dump_layer(d, "pppoe");
    at_dump_named(d, "code", codes, p[1]);
    at_dump_hex(d, "session", at_load_be16(p + 2), 4);
    at_dump_num(d, "length", at_load_be16(p + 4));
    p = session ? at_take(c, 2) : NULL;
    return p != NULL ? put_ppp(d, at_load_be16(p)) : TYPE_NONE;
}

/* Tags, labels and the like, one layer each. */
static void put_tags(struct at_dump *d, struct at_cursor *c, uint16_t type)
{
    while (c->left > 0)
        switch (type) {
        case 0x8100:
        case 0x88a8:
        case 0x9100:
        case 0x9200:
            type = put_vlan(d, c);
            break;
        case TYPE_MPLS:
        case TYPE_MPLS_UPSTREAM:
            type = put_mpls(d, c);
            break;
        case TYPE_PPPOE:
        case TYPE_PPPOE_DISCOVERY:
            type = put_pppoe(d, c, type == TYPE_PPPOE);
            break;
        default:
            if (type == TYPE_NONE || type >= TYPE_LEAST)
                return;
            type = put_llc(d, c);
        }
}

/* ---- link headers ---------------------------------------------------- */

static uint16_t put_ethernet(struct at_dump *d, struct at_cursor *c)
{
    const uint8_t *p = at_take(c, 14);
    char src[AT_DUMP_ADDRESS], dst[AT_DUMP_ADDRESS];

    if (p == NULL)
        return TYPE_NONE;
    at_dump_layer(d, "ethernet");
    at_dump_ends(d, at_dump_mac(src, p + 6), at_dump_mac(dst, p));
    if (at_load_be16(p + 12) < TYPE_LEAST)
        at_dump_num(d, "length", at_load_be16(p + 12));
    else
        at_dump_hex(d, "type", at_load_be16(p + 12), 4);
    /* Even a length of 0 is followed by LLC. */
    return at_load_be16(p + 12) == 0 ? 1 : at_load_be16(p + 12);
}

static void put_sll_facts(struct at_dump *d, uint16_t type, uint16_t hardware,
                          const uint8_t *address, size_t address_bytes)
{
    static const struct at_dump_name types[] = {
        {0, "to-us"},    {1, "broadcast"}, {2, "multicast"},
        {3, "to-other"}, {4, "from-us"},   {0, NULL},
    };
    char buf[AT_DUMP_ADDRESS];

    at_dump_named(d, "packet_type", types, type);
    at_dump_num(d, "hardware", hardware);
    if (address_bytes == 6)
        at_dump_word(d, "address", at_dump_mac(buf, address));
    else if (address_bytes > 0 && address_bytes <= 8)
        at_dump_bytes(d, "address", address, address_bytes);
}

static uint16_t sll_next(uint16_t protocol)
{
    enum { LINUX_802_2 = 4 };

    return protocol >= TYPE_LEAST || protocol == LINUX_802_2 ? protocol
                                                             : TYPE_NONE;
}

static uint16_t put_sll(struct at_dump *d, struct at_cursor *c)
{
    const uint8_t *p = at_take(c, 16);

    if (p == NULL)
        return TYPE_NONE;
    at_dump_layer(d, "linux-sll");
    put_sll_facts(d, at_load_be16(p), at_load_be16(p + 2), p + 6,
                  at_load_be16(p + 4));
    at_dump_hex(d, "type", at_load_be16(p + 14), 4);
    return sll_next(at_load_be16(p + 14));
}

static uint16_t put_sll2(struct at_dump *d, struct at_cursor *c)
{
    const uint8_t *p = at_take(c, 20);

    if (p == NULL)
        return TYPE_NONE;
    at_dump_layer(d, "linux-sll2");
    at_dump_num(d, "index", at_load_be32(p + 4));
    put_sll_facts(d, p[10], at_load_be16(p + 8), p + 12, p[11]);
    at_dump_hex(d, "type", at_load_be16(p), 4);
    return sll_next(at_load_be16(p));
}

static uint16_t put_null(struct at_dump *d, struct at_cursor *c)
{
    const uint8_t *p = at_take(c, 4);
    uint32_t family;

    if (p == NULL)
        return TYPE_NONE;
    family = at_load_le32(p);
    if (family > 0xffff)
        family = at_load_be32(p);
    at_dump_layer(d, "loopback");
    at_dump_num(d, "family", family);
    return TYPE_NONE;
}

static uint16_t put_chdlc(struct at_dump *d, struct at_cursor *c)
{
    const uint8_t *p = at_take(c, 4);

    if (p == NULL)
        return TYPE_NONE;
    at_dump_layer(d, "c-hdlc");
    at_dump_hex(d, "address", p[0], 2);
    at_dump_hex(d, "type", at_load_be16(p + 2), 4);
    return at_load_be16(p + 2);
}

/* Address and control may be left out, and the protocol be of one byte. */
static uint16_t put_ppp_link(struct at_dump *d, struct at_cursor *c)
{
    const uint8_t *p;

    if (c->left >= 2 && c->p[0] == 0xff && c->p[1] == 3)
        at_take(c, 2);
    if (c->left >= 1 && (c->p[0] & 1) != 0)
        return put_ppp(d, at_take_u8(c));
    p = at_take(c, 2);
    return p != NULL ? put_ppp(d, at_load_be16(p)) : TYPE_NONE;
}

static uint16_t put_fddi(struct at_dump *d, struct at_cursor *c)
{
    const uint8_t *p = at_take(c, 13);
    char src[AT_DUMP_ADDRESS], dst[AT_DUMP_ADDRESS];

    if (p == NULL)
        return TYPE_NONE;
    at_dump_layer(d, "fddi");
    at_dump_ends(d, at_dump_mac(src, p + 7), at_dump_mac(dst, p + 1));
    at_dump_hex(d, "control", p[0], 2);
    return 1; /* LLC */
}

/* ---- IEEE 802.11 ----------------------------------------------------- */

static size_t radio_bytes(const struct at_cursor *c, uint16_t link)
{
    if (link == AT_LINK_IEEE802_11 || c->left < 8)
        return 0;
    if (link == AT_LINK_RADIOTAP || link == AT_LINK_PPI)
        return at_load_le16(c->p + 2);
    return (at_load_be32(c->p) & 0xfffff000) == 0x80211000
               ? at_load_be32(c->p + 4)
               : 144;
}

static void put_wlan_flags(struct at_dump *d, uint8_t flags)
{
    static const char *const names[] = {
        "to-ds", "from-ds", "more-fragments", "retry",
        "power", "more",    "protected",      "order",
    };

    for (int i = 0; i < 8; i++)
        if (flags & (1 << i))
            at_dump_flag(d, names[i]);
}

/* What follows is found by at_decode(), which knows how long this is. */
static uint16_t put_wlan(struct at_dump *d, struct at_cursor *c, uint16_t link)
{
    static const struct at_dump_name types[] = {
        {0, "management"}, {1, "control"}, {2, "data"},
        {3, "extension"},  {0, NULL},
    };
    char buf[AT_DUMP_ADDRESS];
    const size_t radio = radio_bytes(c, link);
    const bool wlan = link != AT_LINK_PPI || c->left < 8 ||
                      at_load_le32(c->p + 4) == AT_LINK_IEEE802_11;
    const bool ethernet = !wlan && at_load_le32(c->p + 4) == AT_LINK_ETHERNET;
    const uint8_t *p;

    if (radio > 0) {
        at_dump_layer(d, link == AT_LINK_PPI        ? "ppi"
                         : link == AT_LINK_RADIOTAP ? "radiotap"
                                                    : "radio");
        at_dump_num(d, "length", radio);
        if (at_take(c, radio) == NULL)
            return TYPE_NONE;
    }
    if (!wlan)
        return ethernet ? put_ethernet(d, c) : TYPE_NONE;
    p = at_take(c, 10);
    if (p == NULL)
        return TYPE_NONE;
    at_dump_layer(d, "802.11");
    at_dump_named(d, "type", types, p[0] >> 2 & 3);
    at_dump_num(d, "subtype", p[0] >> 4);
    put_wlan_flags(d, p[1]);
    at_dump_word(d, "receiver", at_dump_mac(buf, p + 4));
    p = (p[0] >> 2 & 3) != 1 ? at_take(c, 14) : NULL;
    if (p == NULL)
        return TYPE_NONE;
    at_dump_word(d, "transmitter", at_dump_mac(buf, p));
    at_dump_word(d, "address3", at_dump_mac(buf, p + 6));
    at_dump_num(d, "sequence", at_load_le16(p + 12) >> 4);
    return TYPE_NONE;
}

/* ---- all of it ------------------------------------------------------- */

static uint16_t put_link(struct at_dump *d, struct at_cursor *c, uint16_t link)
{
    switch (link) {
    case AT_LINK_ETHERNET:
        return put_ethernet(d, c);
    case AT_LINK_LINUX_SLL:
        return put_sll(d, c);
    case AT_LINK_LINUX_SLL2:
        return put_sll2(d, c);
    case AT_LINK_NULL:
    case AT_LINK_LOOP:
        return put_null(d, c);
    case AT_LINK_C_HDLC:
        return put_chdlc(d, c);
    case AT_LINK_PPP:
    case AT_LINK_PPP_HDLC:
        return put_ppp_link(d, c);
    case AT_LINK_PPP_ETHER:
        return TYPE_PPPOE;
    case AT_LINK_FDDI:
        return put_fddi(d, c);
    case AT_LINK_ATM_RFC1483:
        return 1; /* LLC */
    case AT_LINK_IEEE802_11:
    case AT_LINK_PRISM:
    case AT_LINK_RADIOTAP:
    case AT_LINK_AVS:
    case AT_LINK_PPI:
        return put_wlan(d, c, link);
    default:
        return TYPE_NONE;
    }
}

uint32_t at_dump_link(struct at_dump *d, const struct at_headers *h)
{
    const uint32_t stop = h->net_offset > h->link_offset ? h->net_offset
                                                         : d->pkt->cap_bytes;
    struct at_cursor c = at_dump_cursor(d->pkt, h->link_offset, stop);
    uint16_t type = h->link;

    if (h->net_offset != 0 && h->net_offset == h->link_offset)
        return h->net_offset;
    if (type < TYPE_LEAST)
        type = put_link(d, &c, type);
    put_tags(d, &c, type);
    return (uint32_t)(c.p - d->pkt->data);
}
