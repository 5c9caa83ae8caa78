/*
 * rewrite_icmp.c - messages that speak of addresses
 *
 * Sources: RFC 792, 1256 (router advertisement), 4443, 4861, 2710 and 3810
 * (MLD), 8106 (DNS servers), 4191 (routes), 2236 and 3376 (IGMP).
 */
#include "rewrite.h"

enum { HEADER = 8 };

/* ---- ICMP ------------------------------------------------------------ */

/* Router advertisement: a list of addresses, each with a number. */
static void rewrite_routers(struct at_rewrite *r, uint32_t at)
{
    const uint8_t *p = r->pkt->data + at;
    const uint32_t n = p[4], step = (uint32_t)p[5] * 4;

    if (step < 8) {
        at_cut_unknown(r, at + HEADER);
        return;
    }
    for (uint32_t i = 0; i < n; i++) {
        const uint32_t entry = at + HEADER + i * step;

        if (!at_put_address(r, entry, 4, AT_ROLE_NONE))
            return;
        if (step > 8 && at_there(r, entry, step))
            at_blank(r, entry + 8, step - 8);
        else if (step > 8)
            at_cut(r, entry + 4);
    }
    at_cut_unknown(r, at + HEADER + n * step);
}

void at_rewrite_icmp(struct at_rewrite *r, bool quotes)
{
    enum { UNREACHABLE = 3, QUENCH = 4, REDIRECT = 5, ROUTERS = 9 };
    enum { SOLICITATION = 10, EXCEEDED = 11, PARAMETER = 12 };
    enum { ECHO_REPLY = 0, ECHO_REQUEST = 8, TIME = 13, TIME_REPLY = 14 };
    const uint32_t at = r->h.transport_offset;

    if (!at_there(r, at, HEADER)) {
        at_cut(r, at + 4);
        return;
    }
    if (r->pkt->data[at] == REDIRECT)
        at_put_address(r, at + 4, 4, AT_ROLE_NONE);
    if (quotes)
        return;
    switch (r->pkt->data[at]) {
    case ECHO_REPLY:
    case ECHO_REQUEST:
        at_put_payload(r, at + HEADER);
        break;
    case TIME:
    case TIME_REPLY:
        at_cut_unknown(r, at + 20);
        break;
    case ROUTERS:
        rewrite_routers(r, at);
        break;
    case UNREACHABLE: /* of a packet that is not there to be read */
    case QUENCH:
    case REDIRECT:
    case SOLICITATION:
    case EXCEEDED:
    case PARAMETER:
        at_cut_unknown(r, at + HEADER);
        break;
    default:
        at_cut_unknown(r, at + 4);
    }
}

/* ---- groups ---------------------------------------------------------- */

/* 'n' addresses from 'at' on. */
static bool put_sources(struct at_rewrite *r, uint64_t at, uint32_t n,
                        uint32_t address)
{
    for (uint32_t i = 0; i < n; i++)
        if (!at_put_address(r, at + (uint64_t)i * address, address,
                            AT_ROLE_NONE))
            return false;
    return true;
}

/* A query's group, and of newer versions its sources, counted at 'count'. */
static void rewrite_group_query(struct at_rewrite *r, uint32_t group,
                                uint32_t count, uint32_t address)
{
    uint32_t n;

    if (!at_put_address(r, group, address, AT_ROLE_NONE))
        return;
    if (!at_there(r, count, 2)) {
        at_cut(r, group + address);
        return;
    }
    n = at_load_be16(r->pkt->data + count);
    if (put_sources(r, count + 2, n, address))
        at_cut_unknown(r, count + 2 + n * address);
}

/* A report: records of a group and sources each, counted in bytes 6 and 7. */
static void rewrite_group_report(struct at_rewrite *r, uint32_t at,
                                 uint32_t address)
{
    uint32_t records = at_load_be16(r->pkt->data + at + 6);
    uint64_t next = (uint64_t)at + HEADER;

    while (records-- > 0) {
        uint32_t n, more;

        if (!at_there(r, next, 4 + address)) {
            at_cut(r, next < r->end ? (uint32_t)next : r->end);
            return;
        }
        n = at_load_be16(r->pkt->data + next + 2);
        more = (uint32_t)r->pkt->data[next + 1] * 4;
        at_put_address(r, next + 4, address, AT_ROLE_NONE);
        next += 4 + address;
        if (!put_sources(r, next, n, address))
            return;
        next += (uint64_t)n * address;
        if (!at_there(r, next, more)) {
            at_cut(r, (uint32_t)next);
            return;
        }
        at_blank(r, (uint32_t)next, more);
        next += more;
    }
    if (next < r->end)
        at_cut_unknown(r, (uint32_t)next);
}

void at_rewrite_igmp(struct at_rewrite *r)
{
    enum { QUERY = 0x11, REPORT = 0x12, REPORT_2 = 0x16, LEAVE = 0x17 };
    enum { REPORT_3 = 0x22 };
    const uint32_t at = r->h.transport_offset;

    if (!at_there(r, at, HEADER)) {
        at_cut(r, at + 4);
        return;
    }
    switch (r->pkt->data[at]) {
    case QUERY:
        rewrite_group_query(r, at + 4, at + 10, 4);
        break;
    case REPORT:
    case REPORT_2:
    case LEAVE:
        at_put_address(r, at + 4, 4, AT_ROLE_NONE);
        at_cut_unknown(r, at + HEADER);
        break;
    case REPORT_3:
        rewrite_group_report(r, at, 4);
        break;
    default:
        at_cut_unknown(r, at + 4);
    }
}

/* ---- neighbour discovery --------------------------------------------- */

/* The first 'bits' of an address, of which 'bytes' are there, at 'at'. */
static void put_prefix(struct at_rewrite *r, uint32_t at, uint32_t bytes,
                       uint32_t bits)
{
    uint8_t address[16] = {0};

    memcpy(address, r->pkt->data + at, bytes);
    at_mask_address(r->mask, address, 16, AT_ROLE_NONE);
    at_net_prefix_cut(address, bits);
    memcpy(r->now + at, address, bytes);
    at_touch(r, at + bytes);
}

static void rewrite_nd_option(struct at_rewrite *r, uint32_t at, uint32_t bytes)
{
    enum { SOURCE_LINK = 1, TARGET_LINK = 2, PREFIX = 3, MTU = 5 };
    enum { ROUTE = 24, SERVERS = 25 };
    const uint8_t *p = r->pkt->data + at;

    if ((p[0] == SOURCE_LINK || p[0] == TARGET_LINK) && bytes == 8)
        at_put_mac(r, at + 2);
    else if (p[0] == PREFIX && bytes == 32)
        put_prefix(r, at + 16, 16, p[2]);
    else if (p[0] == ROUTE && bytes >= 8 && bytes <= 24)
        put_prefix(r, at + 8, bytes - 8, p[2]);
    else if (p[0] == SERVERS && bytes % 16 == 8)
        put_sources(r, at + 8, bytes / 16, 16);
    else if (p[0] != MTU || bytes != 8)
        at_blank(r, at + 2, bytes - 2);
}

static void rewrite_nd_options(struct at_rewrite *r, uint32_t at)
{
    while (at < r->end) {
        const uint32_t bytes = at_there(r, at, 8)
                                   ? (uint32_t)r->pkt->data[at + 1] * 8
                                   : 0;

        if (bytes == 0 || !at_there(r, at, bytes)) {
            at_cut(r, at);
            return;
        }
        rewrite_nd_option(r, at, bytes);
        at += bytes;
    }
}

/* ---- ICMPv6 ---------------------------------------------------------- */

enum {
    PARAMETER = 4, /* the last of the errors */
    ECHO_REQUEST = 128,
    ECHO_REPLY = 129,
    MLD_QUERY = 130,
    MLD_REPORT = 131,
    MLD_DONE = 132,
    ROUTER_SOLICITATION = 133,
    ROUTER_ADVERTISEMENT = 134,
    NEIGHBOUR_SOLICITATION = 135,
    NEIGHBOUR_ADVERTISEMENT = 136,
    REDIRECT = 137,
    MLD_REPORT_2 = 143,
};

static void rewrite_discovery(struct at_rewrite *r, uint32_t at, uint8_t type)
{
    uint32_t options = at + HEADER;

    if (type == ROUTER_ADVERTISEMENT)
        options += 8;
    if (type >= NEIGHBOUR_SOLICITATION) {
        if (!at_put_address(r, options, 16, AT_ROLE_NONE))
            return;
        options += 16;
    }
    if (type == REDIRECT) {
        if (!at_put_address(r, options, 16, AT_ROLE_NONE))
            return;
        options += 16;
    }
    rewrite_nd_options(r, options);
}

static void rewrite_listener(struct at_rewrite *r, uint32_t at, uint8_t type)
{
    if (type == MLD_QUERY) {
        rewrite_group_query(r, at + HEADER, at + 26, 16);
    } else if (type == MLD_REPORT_2) {
        rewrite_group_report(r, at, 16);
    } else {
        at_put_address(r, at + HEADER, 16, AT_ROLE_NONE);
        at_cut_unknown(r, at + HEADER + 16);
    }
}

void at_rewrite_icmpv6(struct at_rewrite *r, bool quotes)
{
    const uint32_t at = r->h.transport_offset;
    uint8_t type;

    if (!at_there(r, at, HEADER)) {
        at_cut(r, at + 4);
        return;
    }
    if (quotes)
        return;
    type = r->pkt->data[at];
    if (type == ECHO_REQUEST || type == ECHO_REPLY)
        at_put_payload(r, at + HEADER);
    else if (type >= ROUTER_SOLICITATION && type <= REDIRECT)
        rewrite_discovery(r, at, type);
    else if ((type >= MLD_QUERY && type <= MLD_DONE) || type == MLD_REPORT_2)
        rewrite_listener(r, at, type);
    else
        at_cut_unknown(r, at + (type >= 1 && type <= PARAMETER ? HEADER : 4));
}
