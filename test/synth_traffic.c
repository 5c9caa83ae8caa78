/*
 * synth_traffic.c - flows and their frames
 *
 * A pool of flows is active at a time, as many as start in 25 ms at the given
 * rate would need.  Each packet comes from one of them; a flow that has sent
 * its last packet makes room for a new one.  Packets are a Poisson process.
 *
 *   flow size   bounded Pareto, exponent 1.2, largest 2^15 times the smallest
 *   hosts       Zipf, exponent 1, one pool of clients and one of servers
 *   choice      by weight: a flow of 4 times the packets sends 4 times as
 *               often, in classes, so that elephants end too
 *
 * A flow keeps the headers of both directions ready, with the sums of their
 * fixed fields; a packet copies them and fills in what changes.
 *
 * Logarithms and powers are taken from tables made with integers only.
 */
#include "synth.h"

#include <stdlib.h>
#include <string.h>

enum {
    HEAD_BYTES = 64, /* Ethernet, VLAN tag and IPv6 take 58 */
    LINE_BYTES = 64, /* of the cache */
    MIN_FRAME_BYTES = 60,
    CLASSES = 6,
    CLASS_0_PACKETS = 32, /* the largest flow of weight 1 */
    MIN_ACTIVE = 16,
    MAX_ACTIVE = 262144,
    MAX_SERVERS = 65536,
    FIRST_PORT = 32768, /* clients use these in turn */
    PORTS = 28232,
    FIRST_UDP_PORT = 50000, /* where no dissector waits for its own */
    UDP_PORTS = 4096,
    PEER_PORT = 61000, /* where clients that act as servers listen */
};

enum { FIN = 1, SYN = 2, RST = 4, PSH = 8, ACK = 16 };

enum {
    PROTO_ICMP = 1,
    PROTO_TCP = 6,
    PROTO_UDP = 17,
    PROTO_GRE = 47,
    PROTO_ESP = 50,
    PROTO_ICMP6 = 58,
    PROTO_SCTP = 132,
};

/* Who may send the next packet of a flow that is not TCP. */
enum turns { TURNS_STRICT, TURNS_ANY };

struct service {
    uint16_t per_mille; /* of flows */
    uint8_t proto;
    uint8_t app;
    uint16_t port;         /* 0: any, and the server is a client host too */
    uint8_t fixed_packets; /* 0: heavy-tailed */
    uint8_t turns;
    uint8_t bulk_per_cent;   /* of flows: carry long messages */
    uint8_t upload_per_cent; /* of those: from the client */
};

static const struct service services[] = {
    {400, PROTO_TCP, APP_TLS, 443, 0, 0, 90, 8},
    {130, PROTO_TCP, APP_HTTP, 80, 0, 0, 80, 5},
    {40, PROTO_TCP, APP_SSH, 22, 0, 0, 20, 50},
    {30, PROTO_TCP, APP_SMTP, 25, 0, 0, 80, 100},
    {30, PROTO_TCP, APP_TLS, 993, 0, 0, 60, 10},
    {20, PROTO_TCP, APP_MYSQL, 3306, 0, 0, 30, 0},
    {30, PROTO_TCP, APP_HTTP, 8080, 0, 0, 60, 30},
    {70, PROTO_TCP, APP_BITTORRENT, 0, 0, 0, 80, 50},
    {110, PROTO_UDP, APP_DNS, 53, 2, TURNS_STRICT, 0, 0},
    {45, PROTO_UDP, APP_QUIC, 443, 0, TURNS_ANY, 80, 10},
    {15, PROTO_UDP, APP_NTP, 123, 2, TURNS_STRICT, 0, 0},
    {8, PROTO_UDP, APP_SIP, 5060, 4, TURNS_STRICT, 0, 0},
    {9, PROTO_UDP, APP_RTP, 0, 0, TURNS_ANY, 0, 0},
    {5, PROTO_UDP, APP_WIREGUARD, 51820, 0, TURNS_ANY, 50, 30},
    {8, PROTO_UDP, APP_DATAGRAM, 0, 0, TURNS_ANY, 30, 50},
    {40, PROTO_ICMP, APP_NONE, 0, 8, TURNS_STRICT, 0, 0},
    {5, PROTO_ESP, APP_NONE, 0, 0, TURNS_ANY, 50, 30},
    {3, PROTO_GRE, APP_DATAGRAM, 0, 0, TURNS_ANY, 50, 30},
    {2, PROTO_SCTP, APP_NONE, 9899, 0, TURNS_STRICT, 0, 0},
};

enum { SERVICES = sizeof(services) / sizeof(services[0]) };

/* Side 0 is the client, side 1 the server; dir 0 is what the client sends. */
struct flow {
    uint8_t head[2][HEAD_BYTES];
    uint64_t key;
    uint32_t l3_sum[2]; /* of the IPv4 header with length, id, checksum 0 */
    uint32_t l4_sum;    /* of the pseudo header without length, and of ports */
    uint32_t left;      /* packets to send */
    uint32_t seq[2];    /* the next one */
    uint32_t index;     /* of the TCP message */
    uint32_t message_bytes;
    uint32_t message_sent;
    uint32_t stamp[2];   /* TCP: what to add to the time */
    uint32_t stamped[2]; /* TCP: the last timestamp sent */
    uint16_t ip_id[2];
    uint16_t port[2];
    uint16_t window[2];
    uint16_t mss;
    uint8_t service;
    uint8_t l3_at; /* where the IP header starts */
    uint8_t l4_at;
    uint8_t proto;
    uint8_t link;      /* 0 or 1: the wire it is on, if there are several */
    uint8_t rank;      /* its class by size */
    uint8_t stage;     /* TCP: handshake packets sent, of 3 */
    uint8_t closing;   /* TCP: 3 packets for FINs, 1 for RST, 0 if it hangs */
    uint8_t from;      /* TCP: the side that sends the message */
    uint8_t unacked;   /* TCP: segments */
    uint8_t ack_every; /* TCP: segments */
    uint8_t bulk_from; /* 0 or 1; 2 if nobody sends long messages */
    bool refused;
    bool stamps; /* TCP: has the timestamp option */
    bool ipv6;
    bool vlan;
    bool begun; /* has sent a packet */
};

struct traffic {
    struct rng rng;
    uint64_t flows;
    uint64_t start_ns;
    uint64_t now_ns;
    uint64_t now_frac;    /* 1/256 ns */
    uint64_t mean_gap;    /* 1/256 ns */
    uint64_t pareto_unit; /* the smallest flow, packets in Q16 */
    struct traffic_options opts;

    uint32_t active;
    struct flow *flow;
    void *flow_memory;
    uint32_t *member[CLASSES]; /* the flows of each class */
    uint32_t members[CLASSES];
    uint32_t weight; /* of all flows */

    uint32_t clients;
    uint32_t servers;
    uint64_t client_span; /* log2, Q24: see zipf() */
    uint64_t server_span;
    uint16_t *next_port; /* of each client, from FIRST_PORT */

    uint8_t pick_service[1000];
    uint64_t log_table[4097];   /* log2(1 + i / 4096), Q32 */
    uint64_t power_table[4097]; /* 2^(i / 4096), Q31 */
};

/* A frame that is being made. */
struct frame {
    uint8_t *buf;
    size_t room; /* bytes that must be right */
    uint32_t bytes;
    unsigned dir;
};

/* ------------------------------------------------- logarithms and powers */

/* log2 of 'x', which is Q31 and at least 1 and below 2, in Q32. */
static uint64_t slow_log2(uint64_t x)
{
    uint64_t result = 0;

    for (unsigned bit = 0; bit < 32; bit++) {
        x = x * x >> 31;
        result <<= 1;
        if (x >> 32 != 0) {
            x >>= 1;
            result |= 1;
        }
    }
    return result;
}

static uint64_t square_root(uint64_t x)
{
    uint64_t root = 0;

    for (uint64_t bit = UINT64_C(1) << 31; bit != 0; bit >>= 1)
        if ((root | bit) * (root | bit) <= x)
            root |= bit;
    return root;
}

static void make_tables(struct traffic *t)
{
    uint64_t root = UINT64_C(1) << 32; /* 2, in Q31 */

    for (uint64_t i = 0; i < 4096; i++)
        t->log_table[i] = slow_log2((4096 + i) << 19);
    t->log_table[4096] = UINT64_C(1) << 32;

    t->power_table[0] = UINT64_C(1) << 31;
    t->power_table[4096] = root;
    for (size_t half = 2048; half > 0; half /= 2) {
        root = square_root(root << 31);
        for (size_t i = half; i < 4096; i += 2 * half)
            t->power_table[i] = t->power_table[i - half] * root >> 31;
    }
}

/* log2 of 'x', which is not 0, in Q32. */
static uint64_t log2_q32(const struct traffic *t, uint64_t x)
{
    unsigned zeros = (unsigned)__builtin_clzll(x);
    uint64_t fraction = x << zeros << 1;
    size_t i = fraction >> 52;
    uint64_t rest = fraction >> 32 & 0xfffff;
    uint64_t low = t->log_table[i];

    return ((uint64_t)(63 - zeros) << 32) + low +
           ((t->log_table[i + 1] - low) * rest >> 20);
}

/* 2 to the power of 'x', which is Q32 and below 40, in Q16. */
static uint64_t power_q16(const struct traffic *t, uint64_t x)
{
    unsigned whole = (unsigned)(x >> 32);
    size_t i = x >> 20 & 0xfff;
    uint64_t low = t->power_table[i];
    uint64_t v = low + ((t->power_table[i + 1] - low) * (x & 0xfffff) >> 20);

    return whole < 15 ? v >> (15 - whole) : v << (whole - 15);
}

/* ---------------------------------------------------------- distributions */

static uint32_t below(struct traffic *t, uint32_t n)
{
    return rng_below(&t->rng, n);
}

static bool chance(struct traffic *t, uint32_t per_cent)
{
    return below(t, 100) < per_cent;
}

/* Advances the clock by an exponential gap. */
static void advance(struct traffic *t)
{
    const uint64_t ln2_q16 = 45426;
    uint64_t u = rng_next(&t->rng) | 1;
    uint64_t bits_q16 = ((UINT64_C(64) << 32) - log2_q32(t, u)) >> 16;
    uint64_t gap_q16 = bits_q16 * ln2_q16 >> 16;

    t->now_frac += t->mean_gap * gap_q16 >> 16;
    t->now_ns += t->now_frac >> 8;
    t->now_frac &= 255;
}

/*
 * The inverse of the distribution: u^(-1/1.2), where u is from 2^-18 to 1, so
 * the result is from 1 to 2^15 units.  Its mean is 5.25.
 */
static uint32_t pareto_packets(struct traffic *t)
{
    uint64_t u = rng_next(&t->rng);
    uint64_t bits, size;

    u = (u - (u >> 18)) | UINT64_C(1) << 46;
    bits = (UINT64_C(64) << 32) - log2_q32(t, u);
    size = t->pareto_unit * power_q16(t, bits / 6 * 5);
    size = (size + (rng_next(&t->rng) >> 32)) >> 32;
    if (size > UINT32_MAX)
        return UINT32_MAX;
    return size > 0 ? (uint32_t)size : 1;
}

/*
 * A rank below 'n' whose chance is about 1 / (rank + flat): the inverse of the
 * continuous distribution is flat * ((n + flat) / flat)^u - flat.
 */
static uint64_t zipf_span(const struct traffic *t, uint32_t n, uint32_t flat)
{
    return (log2_q32(t, (uint64_t)n + flat) - log2_q32(t, flat)) >> 8;
}

static uint32_t zipf(struct traffic *t, uint64_t span, uint32_t n,
                     uint32_t flat)
{
    uint64_t u = rng_next(&t->rng) >> 32;
    uint64_t x = (flat * power_q16(t, span * u >> 24) >> 16) - flat;

    return x < n ? (uint32_t)x : n - 1;
}

enum { CLIENT_FLAT = 8, SERVER_FLAT = 1 };

/* Ranks are scattered over the hosts; the prime divides no number of them. */
static uint32_t host_of_rank(uint32_t rank, uint32_t n)
{
    return n > 0 ? (uint32_t)((uint64_t)rank * 2654435761u % n) : 0;
}

static uint32_t pick_client(struct traffic *t)
{
    uint32_t rank = zipf(t, t->client_span, t->clients, CLIENT_FLAT);

    return host_of_rank(rank, t->clients);
}

static uint32_t pick_server(struct traffic *t)
{
    uint32_t rank = zipf(t, t->server_span, t->servers, SERVER_FLAT);

    return host_of_rank(rank, t->servers);
}

/* ------------------------------------------------------------- new headers */

struct host {
    uint32_t id;
    bool server;
};

/* 10.0.0.0/8 in /24 nets of 64 clients, 198.18.0.0/15 in nets of 128 */
static uint32_t ipv4_of(struct host h)
{
    uint32_t net, host;

    if (h.server) {
        net = (h.id >> 7) * 173 & 511;
        host = 1 + (h.id & 127);
        return 0xc6120000 | net << 8 | host;
    }
    net = (h.id >> 6) * 40503 & 0xffff;
    host = 1 + (h.id & 63) * 3;
    return 0x0a000000 | net << 8 | host;
}

/* 2001:db8:a::/48 and 2001:db8:b::/48, with one net for each IPv4 net */
static void put_ipv6_of(uint8_t *p, struct host h)
{
    uint32_t v4 = ipv4_of(h);

    memset(p, 0, 16);
    put_be32(p, 0x20010db8);
    put_be16(p + 4, h.server ? 0xb : 0xa);
    put_be16(p + 6, v4 >> 8 & 0xffff);
    if (h.server)
        p[15] = (uint8_t)v4;
    else
        put_le64(p + 8, mix64(v4) | 2);
}

static void put_mac_of(uint8_t *p, struct host h)
{
    put_be16(p, h.server ? 0x0210 : 0x0200);
    put_be32(p + 2, h.server ? h.id & 7 : h.id); /* servers: their router */
}

static uint8_t *put_ethernet(struct flow *f, uint8_t *p, struct host from,
                             struct host to, uint32_t vlan)
{
    put_mac_of(p, to);
    put_mac_of(p + 6, from);
    p += 12;
    if (f->vlan) {
        put_be16(p, 0x8100);
        put_be16(p + 2, vlan);
        p += 4;
    }
    put_be16(p, f->ipv6 ? 0x86dd : 0x0800);
    return p + 2;
}

static void put_ipv4(struct flow *f, unsigned dir, struct host from,
                     struct host to, uint8_t ttl)
{
    uint8_t *p = f->head[dir] + f->l3_at;

    p[0] = 0x45;
    put_be16(p + 6, 0x4000);
    p[8] = ttl;
    p[9] = f->proto;
    put_be32(p + 12, ipv4_of(from));
    put_be32(p + 16, ipv4_of(to));
    f->l3_sum[dir] = (uint32_t)sum_bytes(p, 20);
    f->l4_sum = (uint32_t)sum_bytes(p + 12, 8) + f->proto;
}

static void put_ipv6(struct flow *f, unsigned dir, struct host from,
                     struct host to, uint8_t ttl)
{
    uint8_t *p = f->head[dir] + f->l3_at;

    put_be32(p, 0x60000000 | (uint32_t)mix64(f->key + dir) >> 12);
    p[6] = f->proto;
    p[7] = ttl;
    put_ipv6_of(p + 8, from);
    put_ipv6_of(p + 24, to);
    f->l4_sum = (uint32_t)sum_bytes(p + 8, 32) + f->proto;
}

static void put_heads(struct flow *f, struct host client, struct host server)
{
    uint32_t vlan = 100 + f->link * 100u;
    uint8_t server_ttl = (uint8_t)(64 - 4 - server.id % 16);

    memset(f->head, 0, sizeof(f->head));
    for (unsigned dir = 0; dir < 2; dir++) {
        struct host from = dir == 0 ? client : server;
        struct host to = dir == 0 ? server : client;
        uint8_t ttl = dir == 0 ? 64 : server_ttl;
        uint8_t *l3 = put_ethernet(f, f->head[dir], from, to, vlan);

        f->l3_at = (uint8_t)(l3 - f->head[dir]);
        f->l4_at = (uint8_t)(f->l3_at + (f->ipv6 ? 40 : 20));
        if (f->ipv6)
            put_ipv6(f, dir, from, to, ttl);
        else
            put_ipv4(f, dir, from, to, ttl);
    }
    f->l4_sum += (uint32_t)f->port[0] + f->port[1];
}

/* --------------------------------------------------------------- new flows */

/* How a TCP flow of 'left' packets starts and ends. */
static void plan_tcp(struct traffic *t, struct flow *f, bool midstream)
{
    uint32_t end = below(t, 100);
    uint32_t data;

    f->stage = midstream ? 3 : 0;
    f->index = midstream ? 1000 : 0;
    f->refused = f->left == 2 && end < 80;
    f->from = payload_server_first(services[f->service].app) ? 0 : 1;
    if (midstream)
        f->from = (uint8_t)below(t, 2);
    data = f->left > 3u - f->stage ? f->left - (3u - f->stage) : 0;
    if (end < 86 && data >= 3)
        f->closing = 3;
    else
        f->closing = end < 94 && data >= 1 ? 1 : 0;
    f->stamps = chance(t, 60);
    f->ack_every = chance(t, 90) ? 2 : 1;
    f->mss = (uint16_t)((f->ipv6 ? 1440 : 1460) - (f->stamps ? 12 : 0));
    for (unsigned dir = 0; dir < 2; dir++) {
        f->seq[dir] = (uint32_t)rng_next(&t->rng);
        f->stamp[dir] = (uint32_t)rng_next(&t->rng);
        f->stamped[dir] = f->stamp[dir];
        f->window[dir] = (uint16_t)(64240 - below(t, 16) * 1024);
    }
}

static void plan_size(struct traffic *t, struct flow *f)
{
    const struct service *s = &services[f->service];

    if (s->fixed_packets == 0)
        f->left = pareto_packets(t);
    else if (s->fixed_packets == 2)
        f->left = chance(t, 4) ? 1 : 2; /* some get no answer */
    else
        f->left = 2 * (1 + below(t, s->fixed_packets - 1u));

    f->rank = 0;
    for (uint32_t n = f->left; n > CLASS_0_PACKETS && f->rank < CLASSES - 1;
         n /= 4)
        f->rank++;
    f->bulk_from = 2;
    if (chance(t, s->bulk_per_cent))
        f->bulk_from = chance(t, s->upload_per_cent) ? 0 : 1;
}

static void plan_ports(struct traffic *t, struct flow *f, uint32_t client)
{
    const struct service *s = &services[f->service];
    uint16_t *next = &t->next_port[client];

    if (s->proto != PROTO_TCP && s->proto != PROTO_UDP &&
        s->proto != PROTO_SCTP)
        return;
    *next = (uint16_t)((*next + 1) % PORTS);
    f->port[0] = (uint16_t)(FIRST_PORT + *next);
    if (s->proto != PROTO_TCP)
        f->port[0] = (uint16_t)(FIRST_UDP_PORT + *next % UDP_PORTS);
    f->port[1] = s->port;
    if (s->port == 0)
        f->port[1] = (uint16_t)(PEER_PORT + 2 * below(t, 256));
    if (s->app == APP_NTP || s->app == APP_SIP || s->app == APP_WIREGUARD)
        f->port[0] = s->port;
}

/* Services without a port of their own are spoken among clients. */
static struct host pick_peer(struct traffic *t, const struct service *s,
                             uint32_t client)
{
    struct host peer = {.server = s->port != 0 || s->proto != PROTO_TCP};

    if (s->app == APP_RTP)
        peer.server = false;
    peer.id = peer.server ? pick_server(t) : pick_client(t);
    if (!peer.server && peer.id == client)
        peer.id = peer.id + 1 < t->clients ? peer.id + 1 : 0;
    return peer;
}

/* Replaces *f by a new flow; 'first' says that the capture just begins. */
static void flow_begin(struct traffic *t, struct flow *f, bool first)
{
    struct host client = {.id = pick_client(t), .server = false};
    const struct service *s;
    struct host server;

    memset(f, 0, sizeof(*f));
    f->service = t->pick_service[below(t, 1000)];
    s = &services[f->service];
    server = pick_peer(t, s, client.id);
    f->key = rng_next(&t->rng);
    f->link = t->opts.interfaces > 2 ? (uint8_t)(f->key >> 63) : 0;
    f->ipv6 = chance(t, t->opts.ipv6_percent);
    f->vlan = chance(t, t->opts.vlan_percent);
    f->proto = s->proto == PROTO_ICMP && f->ipv6 ? PROTO_ICMP6 : s->proto;
    f->ip_id[0] = (uint16_t)(f->key >> 32);
    f->ip_id[1] = (uint16_t)(f->key >> 16);
    plan_size(t, f);
    plan_ports(t, f, client.id);
    if (s->proto == PROTO_TCP)
        plan_tcp(t, f, chance(t, first ? 25 : 1));
    put_heads(f, client, server);
}

/* ----------------------------------------------------------------- packets */

/* Writes everything before the transport header, and returns where that is. */
static uint8_t *put_network(struct flow *f, unsigned dir, uint32_t l4_bytes,
                            struct frame *fr)
{
    uint8_t *p = fr->buf + f->l3_at;
    uint32_t id, total;

    memcpy(fr->buf, f->head[dir], HEAD_BYTES);
    fr->bytes = f->l4_at + l4_bytes;
    fr->dir = dir;
    if (f->ipv6) {
        put_be16(p + 4, l4_bytes);
    } else {
        total = 20 + l4_bytes;
        id = f->ip_id[dir]++;
        put_be16(p + 2, total);
        put_be16(p + 4, id);
        put_be16(p + 10, ~sum_fold((uint64_t)f->l3_sum[dir] + total + id));
    }
    return fr->buf + f->l4_at;
}

/* How many of the bytes from 'p' on must be right. */
static size_t room_at(const struct frame *fr, const uint8_t *p)
{
    size_t done = (size_t)(p - fr->buf);

    return fr->room > done ? fr->room - done : 0;
}

static struct message message_of(const struct traffic *t, const struct flow *f,
                                 unsigned dir, uint32_t index)
{
    return (struct message){
        .key = f->key,
        .ts_ns = t->now_ns,
        .app = (enum app)services[f->service].app,
        .from_client = dir == 0,
        .index = index,
        .bytes = f->message_bytes,
    };
}

/* --------------------------------------------------------------------- TCP */

static size_t put_tcp_options(struct traffic *t, struct flow *f, unsigned dir,
                              bool syn, bool first, uint8_t *p)
{
    const uint8_t *start = p;
    uint32_t ms = (uint32_t)((t->now_ns - t->start_ns) / 1000000);

    if (syn) {
        put_be16(p, 0x0204);
        put_be16(p + 2, f->ipv6 ? 1440 : 1460);
        put_be32(p + 4, 0x01030307); /* window scale 7 */
        p += 8;
        if (!f->stamps) {
            put_be32(p, 0x01010402); /* SACK permitted */
            return 12;
        }
        put_be16(p, 0x0402);
        p += 2;
    } else if (f->stamps) {
        put_be16(p, 0x0101);
        p += 2;
    }
    if (!f->stamps)
        return 0;
    f->stamped[dir] = f->stamp[dir] + ms;
    put_be16(p, 0x080a);
    put_be32(p + 2, f->stamped[dir]);
    put_be32(p + 6, first ? 0 : f->stamped[!dir]);
    return (size_t)(p + 10 - start);
}

static void put_tcp(struct traffic *t, struct flow *f, unsigned dir,
                    unsigned flags, uint32_t data, struct frame *fr)
{
    bool syn = flags & SYN, first = !(flags & ACK);
    uint32_t options = f->stamps ? (syn ? 20 : 12) : (syn ? 12 : 0);
    uint32_t ack = first ? 0 : f->seq[!dir];
    uint32_t flag_word = (20 + options) / 4 << 12 | flags;
    uint8_t *p = put_network(f, dir, 20 + options + data, fr);
    uint64_t sum = f->l4_sum + 20 + options + data;

    put_be16(p, f->port[dir]);
    put_be16(p + 2, f->port[!dir]);
    put_be32(p + 4, f->seq[dir]);
    put_be32(p + 8, ack);
    put_be16(p + 12, flag_word);
    put_be16(p + 14, f->window[dir]);
    put_be16(p + 18, 0);
    put_tcp_options(t, f, dir, syn, first, p + 20);
    sum += sum_halves(f->seq[dir]) + sum_halves(ack) + flag_word;
    sum += f->window[dir] + sum_bytes(p + 20, options);
    if (data > 0) {
        struct message m = message_of(t, f, dir, f->index);
        uint8_t *body = p + 20 + options;

        sum += payload_put(&m, f->message_sent, data, body, room_at(fr, body));
    }
    put_be16(p + 16, ~sum_fold(sum));
    f->seq[dir] += data + ((flags & (SYN | FIN)) != 0);
}

static void tcp_handshake(struct traffic *t, struct flow *f, struct frame *fr)
{
    if (f->stage == 0) {
        put_tcp(t, f, 0, SYN, 0, fr);
    } else if (f->stage == 2) {
        put_tcp(t, f, 0, ACK, 0, fr);
    } else if (f->refused) {
        f->seq[1] = 0;
        f->window[1] = 0;
        f->stamps = false;
        put_tcp(t, f, 1, RST | ACK, 0, fr);
    } else {
        put_tcp(t, f, 1, SYN | ACK, 0, fr);
    }
    f->stage++;
}

static void tcp_close(struct traffic *t, struct flow *f, struct frame *fr)
{
    unsigned closer = (unsigned)(f->key & 1);

    if (f->closing == 1)
        put_tcp(t, f, closer, RST | ACK, 0, fr);
    else if (f->left == 2)
        put_tcp(t, f, !closer, FIN | ACK, 0, fr);
    else
        put_tcp(t, f, closer, (f->left == 3 ? FIN : 0) | ACK, 0, fr);
}

/*
 * Long messages are whole segments and a last one of any size that has room
 * for the head of a record; short ones are one segment.
 */
static uint32_t wanted_bytes(struct traffic *t, const struct flow *f)
{
    uint32_t segments;

    if (f->from != f->bulk_from)
        return 40 + below(t, 1 + below(t, f->bulk_from == 2 ? 1360 : 600));
    segments = 8u << below(t, 8);
    if (segments > f->left)
        segments = f->left;
    segments = below(t, segments);
    return segments * f->mss + 64 + below(t, f->mss - 63u);
}

static void tcp_data(struct traffic *t, struct flow *f, struct frame *fr)
{
    uint32_t bytes;

    if (f->unacked >= f->ack_every) {
        f->unacked = 0;
        put_tcp(t, f, !f->from, ACK, 0, fr);
        return;
    }
    if (f->message_sent == f->message_bytes) {
        struct message m;
        bool opening = f->message_bytes == 0;

        f->from ^= 1;
        f->index += opening ? 0 : 1;
        f->unacked = 0; /* the data acknowledges all */
        m = message_of(t, f, f->from, f->index);
        f->message_bytes = payload_message_bytes(&m, wanted_bytes(t, f));
        f->message_sent = 0;
    }
    bytes = f->message_bytes - f->message_sent;
    if (bytes > f->mss)
        bytes = f->mss;
    put_tcp(t, f, f->from,
            f->message_sent + bytes == f->message_bytes ? PSH | ACK : ACK,
            bytes, fr);
    f->message_sent += bytes;
    f->unacked++;
}

static void tcp_next(struct traffic *t, struct flow *f, struct frame *fr)
{
    if (f->stage < 3)
        tcp_handshake(t, f, fr);
    else if (f->left <= f->closing)
        tcp_close(t, f, fr);
    else
        tcp_data(t, f, fr);
}

/* ------------------------------------------------------------ other protocols
 */

/* A size for a datagram: full ones where the flow is bulky. */
static uint32_t datagram_bytes(struct traffic *t, const struct flow *f,
                               unsigned dir)
{
    uint32_t n = below(t, 10);

    if (f->bulk_from == 2)
        return 24 + below(t, 1 + below(t, 500));
    if (f->bulk_from == dir)
        return n < 8 ? 1200 + 16 * below(t, 6) : 100 + below(t, 1000);
    return 24 + below(t, 40);
}

static void put_udp(struct traffic *t, struct flow *f, unsigned dir,
                    struct frame *fr)
{
    uint32_t wanted = datagram_bytes(t, f, dir);
    struct message m = message_of(t, f, dir, f->seq[dir]++);
    uint32_t bytes, sum;
    uint64_t wide;
    uint8_t *p;

    bytes = m.bytes = payload_message_bytes(&m, wanted);
    p = put_network(f, dir, 8 + bytes, fr);
    put_be16(p, f->port[dir]);
    put_be16(p + 2, f->port[!dir]);
    put_be16(p + 4, 8 + bytes);
    wide = f->l4_sum + 2 * (uint64_t)(8 + bytes);
    wide += payload_put(&m, 0, bytes, p + 8, room_at(fr, p + 8));
    sum = ~sum_fold(wide) & 0xffff;
    put_be16(p + 6, sum != 0 ? sum : 0xffff);
}

/* ping's 56 bytes: a time and a pattern */
static void put_echo(struct traffic *t, struct flow *f, unsigned dir,
                     struct frame *fr)
{
    uint8_t *p = put_network(f, dir, 64, fr);
    uint64_t sum;

    if (dir == 0)
        f->stamp[0] = (uint32_t)(t->now_ns / 1000);
    p[0] = f->ipv6 ? (dir == 0 ? 128 : 129) : (dir == 0 ? 8 : 0);
    p[1] = 0;
    put_be16(p + 2, 0);
    put_be16(p + 4, (uint32_t)f->key & 0xffff);
    put_be16(p + 6, ++f->seq[dir]);
    put_be32(p + 8, 0);
    put_be32(p + 12, f->stamp[0]);
    for (unsigned i = 8; i < 56; i++)
        p[8 + i] = (uint8_t)(8 + i);
    sum = sum_bytes(p, 64) + (f->ipv6 ? f->l4_sum + 64 : 0);
    put_be16(p + 2, ~sum_fold(sum));
}

static void put_esp(struct traffic *t, struct flow *f, unsigned dir,
                    struct frame *fr)
{
    uint32_t bytes = datagram_bytes(t, f, dir) / 4 * 4;
    struct message m = message_of(t, f, dir, ++f->seq[dir]);
    uint8_t *p = put_network(f, dir, 8 + bytes, fr);

    put_be32(p, (uint32_t)mix64(f->key + dir) | 0x1000);
    put_be32(p + 4, f->seq[dir]);
    payload_put(&m, 0, bytes, p + 8, room_at(fr, p + 8));
}

/* GRE around IPv4 and UDP to the discard port, which needs no checksum */
static void put_gre(struct traffic *t, struct flow *f, unsigned dir,
                    struct frame *fr)
{
    uint32_t bytes = datagram_bytes(t, f, dir);
    struct message m = message_of(t, f, dir, f->seq[dir]++);
    uint8_t *p = put_network(f, dir, 32 + bytes, fr);

    put_be32(p, 0x0800);
    put_be32(p + 4, 0x45000000 | (28 + bytes));
    put_be32(p + 8, f->seq[dir] << 16 | 0x4000);
    put_be32(p + 12, 0x3f110000);
    put_be32(p + 16, 0x0ac80001 + dir);
    put_be32(p + 20, 0x0ac80002 - dir);
    put_be16(p + 14, ~sum_fold(sum_bytes(p + 4, 20)));
    put_be16(p + 24, 40000);
    put_be16(p + 26, 9);
    put_be16(p + 28, 8 + bytes);
    put_be16(p + 30, 0);
    payload_put(&m, 0, bytes, p + 32, room_at(fr, p + 32));
}

static uint32_t crc32c(const uint8_t *p, size_t n)
{
    uint32_t crc = UINT32_MAX;

    for (; n > 0; n--) {
        crc ^= *p++;
        for (unsigned bit = 0; bit < 8; bit++)
            crc = crc >> 1 ^ (crc & 1 ? 0x82f63b78 : 0);
    }
    return ~crc;
}

/* DATA from the client, SACK from the server */
static void put_sctp(struct traffic *t, struct flow *f, unsigned dir,
                     struct frame *fr)
{
    uint32_t bytes = datagram_bytes(t, f, dir) / 4 * 4;
    uint32_t l4_bytes = 12 + (dir == 0 ? 16 + bytes : 16);
    struct message m = message_of(t, f, dir, f->seq[dir]);
    uint8_t *p = put_network(f, dir, l4_bytes, fr);

    put_be16(p, f->port[dir]);
    put_be16(p + 2, f->port[!dir]);
    put_be32(p + 4, (uint32_t)mix64(f->key + dir));
    put_be32(p + 8, 0);
    put_be32(p + 12, dir == 0 ? 0x00030000 | (16 + bytes) : 0x03000010);
    put_be32(p + 16, (uint32_t)f->key + f->seq[dir]);
    if (dir == 0) {
        put_be32(p + 20, f->seq[dir] & 0xffff);
        put_be32(p + 24, 0);
        payload_put(&m, 0, bytes, p + 28, bytes);
    } else {
        put_be32(p + 20, 0x10000); /* window */
        put_be32(p + 24, 0);
    }
    f->seq[dir]++;
    put_le32(p + 8, crc32c(p, l4_bytes));
}

static unsigned pick_side(struct traffic *t, const struct flow *f)
{
    if (services[f->service].turns == TURNS_STRICT)
        return f->seq[0] != f->seq[1];
    if (f->seq[0] == 0)
        return 0;
    if (f->bulk_from == 2)
        return below(t, 2);
    return chance(t, 70) ? f->bulk_from : !f->bulk_from;
}

static void datagram_next(struct traffic *t, struct flow *f, struct frame *fr)
{
    unsigned dir = pick_side(t, f);

    switch (services[f->service].proto) {
    case PROTO_UDP:
        put_udp(t, f, dir, fr);
        break;
    case PROTO_ICMP:
        put_echo(t, f, dir, fr);
        break;
    case PROTO_ESP:
        put_esp(t, f, dir, fr);
        break;
    case PROTO_GRE:
        put_gre(t, f, dir, fr);
        break;
    default:
        put_sctp(t, f, dir, fr);
        break;
    }
}

/* ---------------------------------------------------------------- the pool */

static void pool_add(struct traffic *t, uint32_t slot)
{
    unsigned c = t->flow[slot].rank;

    t->member[c][t->members[c]++] = slot;
    t->weight += 1u << 2 * c;
}

/* Chooses a flow: member *at of class *c. */
static struct flow *pool_pick(struct traffic *t, unsigned *c, uint32_t *at)
{
    uint32_t r = below(t, t->weight);

    *c = 0;
    while (r >= t->members[*c] << 2 * *c) {
        r -= t->members[*c] << 2 * *c;
        ++*c;
    }
    *at = r >> 2 * *c;
    return &t->flow[t->member[*c][*at]];
}

static void pool_replace(struct traffic *t, unsigned c, uint32_t at)
{
    uint32_t slot = t->member[c][at];

    t->member[c][at] = t->member[c][--t->members[c]];
    t->weight -= 1u << 2 * c;
    flow_begin(t, &t->flow[slot], false);
    pool_add(t, slot);
}

/* Interfaces are directions: 0 and 1 of one wire, 2 and 3 of the other. */
static uint8_t interface_of(const struct traffic *t, const struct flow *f,
                            unsigned dir)
{
    uint32_t n = f->link * 2u + dir;

    return (uint8_t)(n < t->opts.interfaces ? n : t->opts.interfaces - 1);
}

void traffic_next(struct traffic *t, struct traffic_packet *pkt, uint8_t *buf,
                  size_t room)
{
    struct frame fr = {.buf = buf, .room = room};
    struct flow *f;
    uint32_t at;
    unsigned c;

    advance(t);
    f = pool_pick(t, &c, &at);
    if (f->proto == PROTO_TCP)
        tcp_next(t, f, &fr);
    else
        datagram_next(t, f, &fr);
    if (fr.bytes < MIN_FRAME_BYTES) {
        memset(buf + fr.bytes, 0, MIN_FRAME_BYTES - fr.bytes);
        fr.bytes = MIN_FRAME_BYTES;
    }
    pkt->ts_ns = t->now_ns;
    pkt->wire_bytes = fr.bytes;
    pkt->interface = interface_of(t, f, fr.dir);
    pkt->proto = f->proto;
    pkt->ipv6 = f->ipv6;
    pkt->vlan = f->vlan;
    t->flows += !f->begun;
    f->begun = true;
    if (--f->left == 0)
        pool_replace(t, c, at);
}

uint64_t traffic_flows(const struct traffic *t)
{
    return t->flows;
}

/* ---------------------------------------------------------- start and end */

/*
 * Sets the smallest size of the heavy-tailed flows so that all flows together
 * have the mean asked for; 4 / 21 is 1 / 5.25.
 */
static void set_sizes(struct traffic *t)
{
    uint64_t mean = (uint64_t)t->opts.flow_packets * 1000, fixed = 0, heavy = 0;
    size_t n = 0;

    for (size_t i = 0; i < SERVICES; i++) {
        const struct service *s = &services[i];

        for (unsigned j = 0; j < s->per_mille; j++)
            t->pick_service[n++] = (uint8_t)i;
        if (s->fixed_packets > 0)
            fixed += (uint64_t)s->per_mille * s->fixed_packets;
        else
            heavy += s->per_mille;
    }
    if (mean < fixed + heavy)
        mean = fixed + heavy;
    t->pareto_unit = ((mean - fixed) << 16) * 4 / 21 / heavy;
}

/* Flows start on a line of the cache. */
static bool get_memory(struct traffic *t)
{
    size_t n = t->active;

    t->flow_memory = malloc(n * sizeof(struct flow) + LINE_BYTES);
    t->next_port = calloc(t->clients, sizeof(t->next_port[0]));
    if (t->flow_memory == NULL || t->next_port == NULL)
        return false;
    t->flow = (struct flow *)(((uintptr_t)t->flow_memory + LINE_BYTES - 1) &
                              ~(uintptr_t)(LINE_BYTES - 1));
    for (unsigned c = 0; c < CLASSES; c++) {
        t->member[c] = malloc(n * sizeof(t->member[c][0]));
        if (t->member[c] == NULL)
            return false;
    }
    return true;
}

struct traffic *traffic_new(const struct traffic_options *o)
{
    struct traffic *t = calloc(1, sizeof(*t));

    if (t == NULL)
        return NULL;
    t->opts = *o;
    t->start_ns = t->now_ns = o->start_ns;
    t->mean_gap = UINT64_C(256000000000) / o->rate;
    t->active = o->rate / 40;
    if (t->active < MIN_ACTIVE)
        t->active = MIN_ACTIVE;
    if (t->active > MAX_ACTIVE)
        t->active = MAX_ACTIVE;
    t->servers = o->hosts / 4 < MAX_SERVERS ? o->hosts / 4 : MAX_SERVERS;
    t->clients = o->hosts - t->servers;
    if (!get_memory(t)) {
        traffic_free(t);
        return NULL;
    }
    payload_init();
    make_tables(t);
    set_sizes(t);
    t->client_span = zipf_span(t, t->clients, CLIENT_FLAT);
    t->server_span = zipf_span(t, t->servers, SERVER_FLAT);
    rng_seed(&t->rng, o->seed);
    for (uint32_t i = 0; i < t->clients; i++)
        t->next_port[i] = (uint16_t)below(t, PORTS);
    for (uint32_t i = 0; i < t->active; i++) {
        flow_begin(t, &t->flow[i], true);
        pool_add(t, i);
    }
    return t;
}

void traffic_free(struct traffic *t)
{
    if (t == NULL)
        return;
    for (unsigned c = 0; c < CLASSES; c++)
        free(t->member[c]);
    free(t->next_port);
    free(t->flow_memory);
    free(t);
}
