/*
 * synth.h - what the parts of synth share
 *
 * synth.c reads the command line and writes files, synth_traffic.c makes flows
 * and frames, synth_payload.c makes the bytes that applications would send.
 *
 * All of it is integer arithmetic and reads no clock, so that a seed gives the
 * same bytes on every machine.  For the same reason no expression below calls
 * a random function twice: C does not say which call would come first.
 */
#ifndef SYNTH_H
#define SYNTH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* ------------------------------------------------------------ bytes, sums */

static inline void put_be16(uint8_t *p, uint32_t v)
{
    p[0] = (uint8_t)(v >> 8);
    p[1] = (uint8_t)v;
}

static inline void put_be32(uint8_t *p, uint32_t v)
{
    p[0] = (uint8_t)(v >> 24);
    p[1] = (uint8_t)(v >> 16);
    p[2] = (uint8_t)(v >> 8);
    p[3] = (uint8_t)v;
}

static inline void put_le16(uint8_t *p, uint32_t v)
{
    p[0] = (uint8_t)v;
    p[1] = (uint8_t)(v >> 8);
}

static inline void put_le32(uint8_t *p, uint32_t v)
{
    p[0] = (uint8_t)v;
    p[1] = (uint8_t)(v >> 8);
    p[2] = (uint8_t)(v >> 16);
    p[3] = (uint8_t)(v >> 24);
}

/* Single bytes would do, but gcc 12 makes slow vectors of two such in a row. */
static inline void put_le64(uint8_t *p, uint64_t v)
{
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    v = __builtin_bswap64(v);
#endif
    memcpy(p, &v, sizeof(v));
}

/* The sum, not yet folded, that the Internet checksum takes of 'n' bytes. */
static inline uint64_t sum_bytes(const uint8_t *p, size_t n)
{
    uint64_t sum = 0;

    for (; n >= 2; n -= 2, p += 2)
        sum += (uint32_t)p[0] << 8 | p[1];
    return n > 0 ? sum + ((uint32_t)p[0] << 8) : sum;
}

static inline uint32_t sum_halves(uint32_t v)
{
    return (v >> 16) + (v & 0xffff);
}

/* Folds a sum below 2^48 into 16 bits. */
static inline uint32_t sum_fold(uint64_t sum)
{
    sum = (sum >> 16) + (sum & 0xffff);
    sum = (sum >> 16) + (sum & 0xffff);
    return (uint32_t)((sum >> 16) + (sum & 0xffff));
}

/* ------------------------------------------------------------ random bits */

/* The finaliser of splitmix64: a good hash of any counter or key. */
static inline uint64_t mix64(uint64_t x)
{
    x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
    return x ^ (x >> 31);
}

/* xoshiro256** by Blackman and Vigna */
struct rng {
    uint64_t s[4];
};

static inline uint64_t rotate_left(uint64_t x, unsigned n)
{
    return x << n | x >> (64 - n);
}

static inline uint64_t rng_next(struct rng *r)
{
    uint64_t *s = r->s;
    uint64_t result = rotate_left(s[1] * 5, 7) * 9;
    uint64_t shifted = s[1] << 17;

    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= shifted;
    s[3] = rotate_left(s[3], 45);
    return result;
}

static inline void rng_seed(struct rng *r, uint64_t seed)
{
    for (unsigned i = 0; i < 4; i++)
        r->s[i] = mix64(seed + (i + 1) * UINT64_C(0x9e3779b97f4a7c15));
}

/* A number below 'n', which is at least 1. */
static inline uint32_t rng_below(struct rng *r, uint32_t n)
{
    return (uint32_t)((rng_next(r) >> 32) * n >> 32);
}

/* ---------------------------------------------------------------- payload */

enum app {
    APP_NONE,     /* random bytes */
    APP_DATAGRAM, /* the same with a header, so that it looks like no other */
    APP_TLS,
    APP_HTTP,
    APP_SSH,
    APP_SMTP,
    APP_MYSQL,
    APP_BITTORRENT,
    APP_DNS,
    APP_QUIC,
    APP_NTP,
    APP_SIP,
    APP_RTP,
    APP_WIREGUARD,
};

/* One application message; TCP may send it in several segments. */
struct message {
    uint64_t key;   /* of the flow: makes its bytes different from others */
    uint64_t ts_ns; /* when it is sent */
    enum app app;
    bool from_client;
    uint32_t index; /* TCP: its number in the flow; UDP: in its direction */
    uint32_t bytes;
};

/* Call once before the functions below. */
void payload_init(void);

/* Does the server speak first? */
bool payload_server_first(enum app app);

/* How long a message is when about 'wanted' bytes would suit us. */
uint32_t payload_message_bytes(const struct message *m, uint32_t wanted);

/*
 * payload_put() writes 'bytes' bytes of 'm', those from 'offset' on, of which
 * only the first 'room' need be right; it may touch PAYLOAD_SLACK bytes more.
 * It returns the sum for the checksum of all 'bytes' bytes.
 */
enum { PAYLOAD_SLACK = 768 };
uint64_t payload_put(const struct message *m, uint32_t offset, uint32_t bytes,
                     uint8_t *p, size_t room);

/* ---------------------------------------------------------------- traffic */

struct traffic_options {
    uint64_t seed;
    uint64_t start_ns;
    uint32_t rate;         /* packets a second */
    uint32_t flow_packets; /* mean of a flow */
    uint32_t hosts;
    uint32_t ipv6_percent;
    uint32_t vlan_percent;
    uint32_t interfaces; /* 1 to 4 */
};

struct traffic_packet {
    uint64_t ts_ns;
    uint32_t wire_bytes; /* without FCS */
    uint8_t interface;
    uint8_t proto; /* the IP protocol number */
    bool ipv6;
    bool vlan;
};

struct traffic;

/* Returns NULL if there is no memory.  Free with traffic_free(). */
struct traffic *traffic_new(const struct traffic_options *o);

/*
 * traffic_next() writes the next frame to 'buf', of which only the first
 * 'room' bytes need be right, and describes it in *pkt.  'buf' has place for
 * TRAFFIC_BUFFER_BYTES, whatever 'room' is.
 */
enum { TRAFFIC_BUFFER_BYTES = 4096 };
void traffic_next(struct traffic *t, struct traffic_packet *pkt, uint8_t *buf,
                  size_t room);

/* The number of flows that have sent a packet so far. */
uint64_t traffic_flows(const struct traffic *t);

void traffic_free(struct traffic *t);

#endif
