/*
 * rewrite_app.c - DHCP and DNS with other addresses and names
 *
 * DHCP (RFC 2131, 2132):
 *
 *     size  field
 *       12  operation, hardware type, its length, hops, id, seconds, flags
 *       16  four addresses of IP
 *       16  hardware address of the client
 *      192  names of server and boot file, which go
 *        4  magic, then options: code, length, value
 *
 * DNS (RFC 1035): a header of 12 bytes, questions, records.  Labels keep their
 * length, so compression pointers stay right; each is replaced where it
 * stands, once.  Of records only those listed here keep their data.
 */
#include "rewrite.h"

/* ---- DHCP ------------------------------------------------------------ */

enum {
    DHCP_ADDRESSES = 12,
    DHCP_HARDWARE = 28,
    DHCP_NAMES = 44,
    DHCP_MAGIC = 236,
    DHCP_OPTIONS = 240,
};

/* 0.0.0.0 stands for none there. */
static void put_some_address(struct at_rewrite *r, uint32_t at)
{
    if (at_load_be32(r->pkt->data + at) != 0)
        at_put_address(r, at, 4, AT_ROLE_NONE);
}

static bool is_number(uint8_t code)
{
    enum { MASK = 1, TIME_OFFSET = 2, LEASE = 51, OVERLOAD = 52, TYPE = 53 };
    enum { WANTED = 55, MOST_BYTES = 57, RENEW = 58, REBIND = 59, TTL = 23 };
    enum { MTU = 26 };

    return code == MASK || code == TIME_OFFSET || code == LEASE ||
           code == OVERLOAD || code == TYPE || code == WANTED ||
           code == MOST_BYTES || code == RENEW || code == REBIND ||
           code == TTL || code == MTU;
}

static bool is_address(uint8_t code)
{
    enum { ROUTER = 3, LAST_SERVER = 11, SWAP = 16, BROADCAST = 28 };
    enum { ROUTER_SOLICITATION = 32, NIS = 41, NTP = 42, NBNS = 44, NBDD = 45 };
    enum { REQUESTED = 50, SERVER = 54 };

    return (code >= ROUTER && code <= LAST_SERVER) || code == SWAP ||
           code == BROADCAST || code == ROUTER_SOLICITATION || code == NIS ||
           code == NTP || code == NBNS || code == NBDD || code == REQUESTED ||
           code == SERVER;
}

static void rewrite_dhcp_option(struct at_rewrite *r, uint32_t at,
                                uint32_t bytes)
{
    enum { CLIENT = 61, ETHERNET = 1 };
    const uint8_t *p = r->pkt->data + at;

    if (is_number(p[0]))
        return;
    if (is_address(p[0]) && bytes % 4 == 2) {
        for (uint32_t i = 2; i < bytes; i += 4)
            put_some_address(r, at + i);
    } else if (p[0] == CLIENT && bytes == 9 && p[2] == ETHERNET) {
        at_put_mac(r, at + 3);
    } else {
        at_blank(r, at + 2, bytes - 2);
    }
}

static void rewrite_dhcp_options(struct at_rewrite *r, uint32_t at)
{
    enum { PAD = 0, END = 255 };
    const uint8_t *p = r->pkt->data;

    while (at < r->end && p[at] != END) {
        uint32_t bytes = 1;

        if (p[at] != PAD)
            bytes = at_there(r, at, 2) ? (uint32_t)p[at + 1] + 2 : UINT32_MAX;
        if (!at_there(r, at, bytes)) {
            at_cut(r, at);
            return;
        }
        if (p[at] != PAD)
            rewrite_dhcp_option(r, at, bytes);
        at += bytes;
    }
    if (at < r->end)
        at_blank(r, at + 1, r->end - at - 1);
}

void at_rewrite_dhcp(struct at_rewrite *r, uint32_t at)
{
    enum { ETHERNET = 1 };
    const uint8_t *p = r->pkt->data + at;
    uint32_t names;

    if (!at_there(r, at, DHCP_NAMES)) {
        at_cut(r, at + DHCP_ADDRESSES);
        return;
    }
    for (uint32_t i = DHCP_ADDRESSES; i < DHCP_HARDWARE; i += 4)
        put_some_address(r, at + i);
    if (p[1] == ETHERNET && p[2] == 6) {
        at_put_mac(r, at + DHCP_HARDWARE);
        at_blank(r, at + DHCP_HARDWARE + 6, 10);
    } else {
        at_blank(r, at + DHCP_HARDWARE, 16);
    }
    names = at_there(r, at, DHCP_MAGIC) ? DHCP_MAGIC - DHCP_NAMES
                                        : r->end - at - DHCP_NAMES;
    at_blank(r, at + DHCP_NAMES, names);
    if (!at_there(r, at, DHCP_OPTIONS))
        at_cut(r, at + DHCP_MAGIC);
    else if (memcmp(p + DHCP_MAGIC, "\x63\x82\x53\x63", 4) != 0)
        at_cut_unknown(r, at + DHCP_MAGIC);
    else
        rewrite_dhcp_options(r, at + DHCP_OPTIONS);
}

/* ---- DNS ------------------------------------------------------------- */

enum {
    DNS_HEADER = 12,
    LABEL_MOST = 63,
    POINTER = 0xc0,

    TYPE_A = 1,
    TYPE_NS = 2,
    TYPE_CNAME = 5,
    TYPE_SOA = 6,
    TYPE_PTR = 12,
    TYPE_MX = 15,
    TYPE_AAAA = 28,
    TYPE_SRV = 33,
    TYPE_DNAME = 39,
};

/* Replaces the labels of the name at *at, which is moved behind it; false
 * where there is no whole name before 'end'. */
static bool rewrite_name(struct at_rewrite *r, uint32_t *at, uint32_t end)
{
    const uint8_t *p = r->pkt->data;

    while (*at < end) {
        const uint32_t n = p[*at];

        if (n == 0) {
            *at += 1;
            return true;
        }
        if (n >= POINTER) {
            *at += 2;
            return *at <= end;
        }
        if (n > LABEL_MOST || *at + 1 + n > end)
            return false;
        at_mask_label(r->mask, r->now + *at + 1, n);
        at_touch(r, *at + 1 + n);
        *at += 1 + n;
    }
    return false;
}

/* Names that are 'skip' bytes inside, 'n' of them, and 'tail' bytes. */
static bool rewrite_names(struct at_rewrite *r, uint32_t at, uint32_t end,
                          uint32_t skip, unsigned n, uint32_t tail)
{
    at += skip;
    for (unsigned i = 0; i < n; i++)
        if (!rewrite_name(r, &at, end))
            return false;
    return at + tail == end;
}

/* What a record of 'type' holds, from 'at' to 'end'. */
static bool rewrite_data(struct at_rewrite *r, uint16_t type, uint32_t at,
                         uint32_t end)
{
    switch (type) {
    case TYPE_A:
        return end - at == 4 && at_put_address(r, at, 4, AT_ROLE_NONE);
    case TYPE_AAAA:
        return end - at == 16 && at_put_address(r, at, 16, AT_ROLE_NONE);
    case TYPE_NS:
    case TYPE_CNAME:
    case TYPE_PTR:
    case TYPE_DNAME:
        return rewrite_names(r, at, end, 0, 1, 0);
    case TYPE_SOA:
        return rewrite_names(r, at, end, 0, 2, 20);
    case TYPE_MX:
        return rewrite_names(r, at, end, 2, 1, 0);
    case TYPE_SRV:
        return rewrite_names(r, at, end, 6, 1, 0);
    default:
        at_blank(r, at, end - at);
        return true;
    }
}

static bool rewrite_record(struct at_rewrite *r, uint32_t *at)
{
    const uint8_t *p = r->pkt->data;
    uint32_t bytes;
    uint16_t type;

    if (!rewrite_name(r, at, r->end) || !at_there(r, *at, 10))
        return false;
    type = at_load_be16(p + *at);
    bytes = at_load_be16(p + *at + 8);
    *at += 10;
    if (!at_there(r, *at, bytes) || !rewrite_data(r, type, *at, *at + bytes))
        return false;
    *at += bytes;
    return true;
}

static bool rewrite_question(struct at_rewrite *r, uint32_t *at)
{
    if (!rewrite_name(r, at, r->end) || !at_there(r, *at, 4))
        return false;
    *at += 4;
    return true;
}

void at_rewrite_dns(struct at_rewrite *r, uint32_t at)
{
    const uint8_t *p = r->pkt->data + at;
    uint32_t questions, records, start;
    bool good = true;

    if (!at_there(r, at, DNS_HEADER)) {
        at_cut(r, at);
        return;
    }
    questions = at_load_be16(p + 4);
    records = (uint32_t)at_load_be16(p + 6) + at_load_be16(p + 8) +
              at_load_be16(p + 10);
    at += DNS_HEADER;
    start = at;
    for (; questions > 0 && good; questions--) {
        start = at;
        good = rewrite_question(r, &at);
    }
    for (; records > 0 && good; records--) {
        start = at;
        good = rewrite_record(r, &at);
    }
    at_cut_unknown(r, good ? at : start);
}
