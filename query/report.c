/*
 * report.c - what a trace is made of, by many properties at once
 */
#include "report.h"

#include <stdlib.h>
#include <string.h>

#include "ends.h"

enum {
    VALUES = 65536, /* of 16 bits; what is more counts as the last of them */
    FAMILY = 256,   /* where those of IPv6 begin */
    PROTO_ICMP = 1,
    PROTO_TCP = 6,
    PROTO_UDP = 17,
    PROTO_ICMP6 = 58,
    PROTO_SCTP = 132,
    FLAG_SYN = 2,
};

static const size_t values[AT_REPORT_SECTIONS] = {
    [AT_REPORT_TOTAL] = 1,         [AT_REPORT_LINKS] = VALUES,
    [AT_REPORT_NETWORK] = VALUES,  [AT_REPORT_IP] = 2 * FAMILY,
    [AT_REPORT_TTL] = 2 * FAMILY,  [AT_REPORT_DSCP] = 2 * FAMILY,
    [AT_REPORT_ECN] = 2 * FAMILY,  [AT_REPORT_FRAGMENTS] = 2 * FAMILY,
    [AT_REPORT_LENGTHS] = VALUES,  [AT_REPORT_ICMP] = 2 * VALUES,
    [AT_REPORT_TCP_FLAGS] = 256,   [AT_REPORT_TCP_OPTIONS] = 256,
    [AT_REPORT_SEGMENTS] = VALUES, [AT_REPORT_PORTS] = 3 * VALUES,
    [AT_REPORT_DIRECTIONS] = 4,    [AT_REPORT_ERRORS] = 16,
    [AT_REPORT_LOSSES] = 1,
};

static const size_t key_bytes[AT_REPORT_SECTIONS] = {
    [AT_REPORT_PROTOCOLS] = AT_REPORT_PATH * sizeof(uint32_t),
    [AT_REPORT_SYN_OPTIONS] = AT_REPORT_SYN_BYTES,
    [AT_REPORT_FLOWS] = AT_ENDS_BYTES,
};

enum { TALLIES = 3 };

size_t at_report_values(enum at_section section)
{
    return values[section];
}

/* ---- opening and adding up ------------------------------------------- */

static bool open_section(struct at_report *r, unsigned i, uint64_t memory)
{
    const struct at_tally_plan plan = {
        .key_bytes = key_bytes[i],
        .sums = 2,
        .memory = memory,
    };

    if (key_bytes[i] > 0)
        r->tally[i] = at_tally_open(&plan);
    else
        r->count[i] = calloc(values[i], sizeof(r->count[i][0]));
    return r->tally[i] != NULL || r->count[i] != NULL;
}

enum at_status at_report_open(struct at_report *r, unsigned wanted,
                              uint64_t memory, struct at_error *err)
{
    *r = (struct at_report){.wanted = wanted, .first = UINT64_MAX};
    for (unsigned i = 0; i < AT_REPORT_SECTIONS; i++)
        if ((wanted >> i & 1) != 0 && !open_section(r, i, memory / TALLIES)) {
            at_report_close(r);
            return at_error_set(err, AT_ERR_MEMORY, "out of memory");
        }
    return AT_OK;
}

void at_report_close(struct at_report *r)
{
    for (unsigned i = 0; i < AT_REPORT_SECTIONS; i++) {
        free(r->count[i]);
        at_tally_close(r->tally[i]);
        r->count[i] = NULL;
        r->tally[i] = NULL;
    }
}

void at_report_join(struct at_report *r, const struct at_report *more)
{
    r->captured_bytes += more->captured_bytes;
    r->first = more->first < r->first ? more->first : r->first;
    r->last = more->last > r->last ? more->last : r->last;
    for (unsigned i = 0; i < AT_REPORT_SECTIONS; i++)
        for (size_t k = 0; r->count[i] != NULL && k < values[i]; k++) {
            r->count[i][k].packets += more->count[i][k].packets;
            r->count[i][k].wire_bytes += more->count[i][k].wire_bytes;
            r->count[i][k].more += more->count[i][k].more;
        }
}

/* ---- one property ---------------------------------------------------- */

/* A packet that is looked at. */
struct look {
    struct at_report *r;
    const struct at_packet *pkt;
    const struct at_headers *h; /* the outermost */
    size_t family;              /* 0 or FAMILY */
};

static bool wants(const struct at_report *r, enum at_section section)
{
    return (r->wanted >> section & 1) != 0;
}

static void count(const struct look *l, enum at_section section, size_t value)
{
    struct at_count *c = l->r->count[section];

    if (c == NULL)
        return;
    c[value].packets++;
    c[value].wire_bytes += l->pkt->wire_bytes;
}

static enum at_status count_key(const struct look *l, enum at_section section,
                                const void *key, struct at_error *err)
{
    uint64_t *sum = at_tally_row(l->r->tally[section], key, err);

    if (sum == NULL)
        return err->status;
    sum[0]++;
    sum[1] += l->pkt->wire_bytes;
    return AT_OK;
}

static size_t clamp(uint32_t n)
{
    return n < VALUES ? n : VALUES - 1;
}

/* Byte 'at' of what begins at 'offset'; -1 if it was not captured. */
static int byte(const struct look *l, uint32_t offset, uint32_t at)
{
    return offset + at < l->pkt->cap_bytes ? l->pkt->data[offset + at] : -1;
}

/* ---- layers ---------------------------------------------------------- */

struct path {
    uint8_t bytes[AT_REPORT_PATH * sizeof(uint32_t)];
    unsigned n;
};

static void push(struct path *p, enum at_layer layer, uint32_t value)
{
    uint8_t *to = p->bytes + p->n * sizeof(uint32_t);

    if (p->n == AT_REPORT_PATH)
        return;
    if (++p->n == AT_REPORT_PATH) {
        layer = AT_LAYER_DEEPER;
        value = 0;
    }
    to[0] = (uint8_t)layer;
    to[1] = 0;
    to[2] = (uint8_t)(value >> 8);
    to[3] = (uint8_t)value;
}

/* Those that the number of an IP protocol already names. */
static bool is_protocol(uint8_t tunnel)
{
    return tunnel == AT_TUNNEL_IP || tunnel == AT_TUNNEL_ETHERIP ||
           tunnel == AT_TUNNEL_GRE;
}

static void push_headers(struct path *p, const struct at_headers *h)
{
    if ((h->flags & AT_DECODED_TAGGED) != 0)
        push(p, AT_LAYER_TAG, 0);
    push(p, AT_LAYER_NET,
         h->net == AT_NET_IPV4   ? 0x0800
         : h->net == AT_NET_IPV6 ? 0x86dd
                                 : h->ethertype);
    if (at_ends_ip(h))
        push(p, AT_LAYER_PROTO, h->proto);
}

static enum at_status count_layers(const struct look *l, struct at_error *err)
{
    struct at_headers h = *l->h;
    struct path path;

    if (!wants(l->r, AT_REPORT_PROTOCOLS))
        return AT_OK;
    memset(&path, 0, sizeof(path));
    push(&path, AT_LAYER_LINK, l->pkt->linktype);
    push_headers(&path, &h);
    while (path.n < AT_REPORT_PATH && at_decode_inner(&h, &h, l->pkt)) {
        if (!is_protocol(h.tunnel))
            push(&path, AT_LAYER_TUNNEL, h.tunnel);
        push_headers(&path, &h);
    }
    return count_key(l, AT_REPORT_PROTOCOLS, path.bytes, err);
}

/* ---- IP -------------------------------------------------------------- */

static void count_family(const struct look *l, enum at_section section,
                         int value)
{
    if (value >= 0)
        count(l, section, l->family + (size_t)value);
}

/* The byte that was TOS once; -1 if it was not captured. */
static int traffic_class(const struct look *l)
{
    const int a = byte(l, l->h->net_offset, 0),
              b = byte(l, l->h->net_offset, 1);

    if (l->h->net == AT_NET_IPV4 || a < 0 || b < 0)
        return b;
    return (a << 4 | b >> 4) & 0xff;
}

static void count_ip(const struct look *l)
{
    const uint8_t flags = l->h->flags;
    const int tos = traffic_class(l);

    count_family(l, AT_REPORT_IP, l->h->proto);
    count_family(l, AT_REPORT_TTL,
                 byte(l, l->h->net_offset, l->h->net == AT_NET_IPV4 ? 8 : 7));
    count_family(l, AT_REPORT_DSCP, tos < 0 ? -1 : tos >> 2);
    count_family(l, AT_REPORT_ECN, tos < 0 ? -1 : tos & 3);
    count_family(l, AT_REPORT_FRAGMENTS,
                 (flags & AT_DECODED_FRAGMENT) == 0 ? 0
                 : (flags & AT_DECODED_LATER) == 0  ? 1
                                                    : 2);
}

/* ---- transport ------------------------------------------------------- */

static void count_ports(const struct look *l)
{
    const size_t base = l->h->proto == PROTO_TCP   ? 0
                        : l->h->proto == PROTO_UDP ? VALUES
                                                   : 2 * VALUES;

    if ((l->h->flags & AT_DECODED_PORTS) == 0)
        return;
    count(l, AT_REPORT_PORTS, base + l->h->sport);
    if (l->h->sport != l->h->dport)
        count(l, AT_REPORT_PORTS, base + l->h->dport);
}

static void count_icmp(const struct look *l)
{
    if (l->h->transport_offset == 0 || byte(l, l->h->transport_offset, 1) < 0)
        return;
    count(l, AT_REPORT_ICMP,
          (l->family > 0 ? VALUES : 0) + ((size_t)l->h->sport & 0xff) * 256 +
              (l->h->dport & 0xff));
}

/* The kind of the option at *at, which is stepped over; -1 after the last. */
static int next_option(const struct look *l, uint32_t *at, uint32_t end)
{
    const int kind = *at < end ? byte(l, 0, *at) : -1;
    int n;

    if (kind <= 1) {
        *at = kind == 0 ? end : *at + 1;
        return kind;
    }
    n = byte(l, 0, *at + 1);
    *at = n >= 2 ? *at + (uint32_t)n : end;
    return *at <= end ? kind : -1;
}

static enum at_status count_options(const struct look *l, struct at_error *err)
{
    const uint32_t start = l->h->transport_offset;
    const int words = byte(l, start, 12);
    const uint32_t end = start + (words < 0 ? 0 : (uint32_t)words >> 4) * 4;
    uint8_t kinds[AT_REPORT_SYN_BYTES] = {0};
    bool seen[256] = {false};
    uint32_t at = start + 20;
    size_t n = 0;
    int kind;

    while ((kind = next_option(l, &at, end)) >= 0) {
        if (!seen[kind])
            count(l, AT_REPORT_TCP_OPTIONS, (size_t)kind);
        seen[kind] = true;
        if (n < sizeof(kinds))
            kinds[n++] = (uint8_t)kind;
    }
    if ((l->h->tcp_flags & FLAG_SYN) == 0 ||
        !wants(l->r, AT_REPORT_SYN_OPTIONS))
        return AT_OK;
    return count_key(l, AT_REPORT_SYN_OPTIONS, kinds, err);
}

static enum at_status count_tcp(const struct look *l, struct at_error *err)
{
    if (l->h->transport_offset == 0 || byte(l, l->h->transport_offset, 13) < 0)
        return AT_OK;
    count(l, AT_REPORT_TCP_FLAGS, l->h->tcp_flags);
    if ((l->h->flags & AT_DECODED_BAD) == 0)
        count(l, AT_REPORT_SEGMENTS, clamp(l->h->payload_bytes));
    if (!wants(l->r, AT_REPORT_TCP_OPTIONS) &&
        !wants(l->r, AT_REPORT_SYN_OPTIONS))
        return AT_OK;
    return count_options(l, err);
}

static enum at_status count_transport(const struct look *l,
                                      struct at_error *err)
{
    count_ports(l);
    if ((l->h->flags & AT_DECODED_LATER) != 0)
        return AT_OK;
    if (l->h->proto == (l->family > 0 ? PROTO_ICMP6 : PROTO_ICMP))
        count_icmp(l);
    return l->h->proto == PROTO_TCP ? count_tcp(l, err) : AT_OK;
}

/* ---- what is wrong --------------------------------------------------- */

static void count_checksum(const struct look *l, size_t first, uint8_t verdict)
{
    if (verdict != AT_CHECKSUM_UNKNOWN)
        count(l, AT_REPORT_ERRORS, first + verdict - AT_CHECKSUM_OK);
}

/* In the order of their names in report_names.c. */
static void count_errors(const struct look *l)
{
    const struct at_packet *pkt = l->pkt;
    const bool error[] = {
        (pkt->errors & AT_ERROR_RX) != 0,
        (pkt->errors & AT_ERROR_DS) != 0,
        (pkt->errors & AT_ERROR_TRUNC) != 0,
        pkt->timeless,
        pkt->cap_bytes < pkt->wire_bytes,
        (l->h->flags & AT_DECODED_CUT) != 0,
        (l->h->flags & AT_DECODED_BAD) != 0,
    };
    enum { N = sizeof(error) / sizeof(error[0]) };
    struct at_checksums sums;

    if (!wants(l->r, AT_REPORT_ERRORS))
        return;
    for (size_t i = 0; i < N; i++)
        if (error[i])
            count(l, AT_REPORT_ERRORS, i);
    sums = at_checksum_verify(pkt, l->h);
    count_checksum(l, N, sums.network);
    count_checksum(l, N + 4, sums.transport);
}

static void count_losses(const struct look *l)
{
    if (l->pkt->lost == 0 || !wants(l->r, AT_REPORT_LOSSES))
        return;
    count(l, AT_REPORT_LOSSES, 0);
    l->r->count[AT_REPORT_LOSSES][0].more += l->pkt->lost;
}

/* ---- all of them ----------------------------------------------------- */

static void count_frame(const struct look *l)
{
    const struct at_packet *pkt = l->pkt;
    struct at_report *r = l->r;

    r->captured_bytes += pkt->cap_bytes;
    if (!pkt->timeless) {
        r->first = pkt->ts < r->first ? pkt->ts : r->first;
        r->last = pkt->ts > r->last ? pkt->ts : r->last;
    }
    count(l, AT_REPORT_TOTAL, 0);
    count(l, AT_REPORT_LINKS, pkt->linktype);
    count(l, AT_REPORT_NETWORK,
          l->h->net == AT_NET_IPV4   ? 0x0800
          : l->h->net == AT_NET_IPV6 ? 0x86dd
                                     : l->h->ethertype);
    count(l, AT_REPORT_LENGTHS, clamp(pkt->wire_bytes));
    count(l, AT_REPORT_DIRECTIONS, pkt->direction);
    count_losses(l);
    count_errors(l);
}

enum at_status at_report_packet(struct at_report *r,
                                const struct at_packet *pkt,
                                struct at_error *err)
{
    struct at_headers h;
    struct look l = {.r = r, .pkt = pkt, .h = &h};
    enum at_status st;

    at_decode(&h, pkt);
    l.family = h.net == AT_NET_IPV6 ? FAMILY : 0;
    count_frame(&l);
    st = count_layers(&l, err);
    if (st != AT_OK || !at_ends_ip(&h))
        return st;
    count_ip(&l);
    st = count_transport(&l, err);
    if (st == AT_OK && wants(r, AT_REPORT_FLOWS)) {
        struct at_ends_key flow;

        at_ends_flow(&flow, &h);
        st = count_key(&l, AT_REPORT_FLOWS, &flow, err);
    }
    return st;
}
