/*
 * anon_test.c - no address is left in any packet, wherever it stands
 *
 * Packets are made of few addresses that are easily told from other bytes, so
 * that one that is left is found by looking for it.  Payload is kept in most
 * tests: what is not payload must be clean all the same.
 */
#include "common_tunnels.h"

#include <stdio.h>
#include <stdlib.h>

#include "anon.h"

static const uint8_t secret[AT_KEY_BYTES] = "an example key of 32 bytes, yes";

/* ---- rewriting ------------------------------------------------------- */

static struct at_anon *open_anon(const char *text)
{
    struct at_policy policy;
    struct at_key key = {.id = ""};
    struct at_anon *anon;
    struct at_error err;

    memcpy(key.bytes, secret, sizeof(secret));
    assert_true(at_policy_set(&policy, "headers"));
    if (at_policy_parse(&policy, "test", text, &err) != AT_OK)
        fail_msg("%s", err.msg);
    assert_int_equal(at_anon_open(&anon, &policy, &key, &err), AT_OK);
    return anon;
}

static struct at_packet packet_of(const uint8_t *p, size_t cap, size_t wire,
                                  uint16_t link)
{
    return (struct at_packet){
        .data = p,
        .cap_bytes = (uint32_t)cap,
        .wire_bytes = (uint32_t)wire,
        .linktype = link,
        .format = AT_FORMAT_PCAP,
    };
}

/* The first 'cap' bytes of a frame as a packet; memory ends with them, before
 * and after.  'was' and *pkt are good until free_both(). */
struct both {
    struct at_packet was, pkt;
    uint8_t *before, *after;
    bool kept;
};

static struct both anonymise(struct at_anon *anon, const struct bytes *frame,
                             size_t cap, uint16_t link)
{
    struct both b = {.before = tight_copy(frame->p, cap),
                     .after = malloc(cap + 1)};
    struct at_scratch scratch = {.p = b.after, .room = cap};

    b.was = packet_of(b.before, cap, frame->n, link);
    b.pkt = b.was;
    b.kept = at_anon_packet(anon, &scratch, &b.pkt);
    if (b.kept)
        assert_true(b.pkt.cap_bytes <= cap);
    assert_int_equal(b.pkt.wire_bytes, frame->n);
    assert_memory_equal(b.before, frame->p, cap);
    return b;
}

static void free_both(struct both *b)
{
    free(b->before);
    free(b->after);
}

/* ---- looking --------------------------------------------------------- */

struct pattern {
    const char *p;
    size_t n;
};

/* What the frames are made of, and parts of it that say enough. */
static const struct pattern patterns[] = {
    {"\x0a\0\0\1", 4},
    {"\x0a\0\0\2", 4},
    {"\x20\1\x0d\xb8\0\0\0\0", 8},
    {"\2\0\0\0\0\1", 6},
    {"\2\0\0\0\0\2", 6},
    {"\xf5\xff\xff\xfe", 4}, /* as Teredo hides it */
};

static bool has(const uint8_t *p, size_t n, const struct pattern *what)
{
    for (size_t i = 0; i + what->n <= n; i++)
        if (memcmp(p + i, what->p, what->n) == 0)
            return true;
    return false;
}

static void no_leak(const struct both *b)
{
    if (!b->kept)
        return;
    for (size_t i = 0; i < sizeof(patterns) / sizeof(patterns[0]); i++)
        assert_false(has(b->pkt.data, b->pkt.cap_bytes, &patterns[i]));
}

/* All layers of both have the same headers at the same places, and checksums
 * that are as right; returns how many of the second are right. */
static unsigned same_layers(const struct both *b)
{
    struct at_headers h, g;
    unsigned right = 0;
    bool more, same;

    at_decode(&h, &b->was);
    at_decode(&g, &b->pkt);
    do {
        const struct at_checksums was = at_checksum_verify(&b->was, &h);
        const struct at_checksums now = at_checksum_verify(&b->pkt, &g);

        assert_int_equal(h.net, g.net);
        assert_int_equal(h.net_offset, g.net_offset);
        assert_int_equal(h.transport_offset, g.transport_offset);
        assert_int_equal(h.proto, g.proto);
        assert_int_equal(was.network, now.network);
        assert_int_equal(was.transport, now.transport);
        right += now.network == AT_CHECKSUM_OK;
        right += now.transport == AT_CHECKSUM_OK;
        more = at_decode_inner(&h, &h, &b->was) ||
               at_decode_quoted(&h, &h, &b->was);
        same = at_decode_inner(&g, &g, &b->pkt) ||
               at_decode_quoted(&g, &g, &b->pkt);
        assert_int_equal(more, same);
    } while (more);
    return right;
}

/* Clean at whatever length it is captured; nothing written past the end shows
 * under a sanitizer. */
static void clean_at_every_length(struct at_anon *anon,
                                  const struct bytes *frame, uint16_t link)
{
    for (size_t cap = 0; cap <= frame->n; cap++) {
        struct both b = anonymise(anon, frame, cap, link);

        no_leak(&b);
        free_both(&b);
    }
}

/* ---- making packets -------------------------------------------------- */

static uint16_t sum_of(const uint8_t *p, size_t n, uint32_t sum)
{
    for (size_t i = 0; i < n; i++)
        sum += i % 2 == 0 ? (uint32_t)p[i] << 8 : p[i];
    while (sum >> 16 != 0)
        sum = (sum & 0xffff) + (sum >> 16);
    return (uint16_t)~sum;
}

static void put_be16(uint8_t *p, uint16_t v)
{
    p[0] = (uint8_t)(v >> 8);
    p[1] = (uint8_t)v;
}

/* Writes the header checksum of the IPv4 packet at 'at', and the checksum of
 * what it carries at byte 'field' of that, with a pseudo-header or without. */
static void sum_ipv4(struct bytes *b, size_t at, size_t field, bool pseudo)
{
    uint8_t *ip = b->p + at;
    const size_t header = (size_t)(ip[0] & 15) * 4, n = b->n - at - header;
    uint32_t sum = 0;

    put_be16(ip + 2, (uint16_t)(header + n));
    put_be16(ip + 10, 0);
    put_be16(ip + 10, sum_of(ip, header, 0));
    if (field == 0)
        return;
    put_be16(ip + header + field, 0);
    if (pseudo)
        sum = (uint32_t)(uint16_t)~sum_of(ip + 12, 8, (uint32_t)n + ip[9]);
    put_be16(ip + header + field, sum_of(ip + header, n, sum));
}

static void sum_ipv6(struct bytes *b, size_t at, size_t transport, size_t field,
                     uint8_t proto)
{
    uint8_t *ip = b->p + at;
    const size_t n = b->n - transport;
    const uint32_t sum = (uint16_t)~sum_of(ip + 8, 32, (uint32_t)n + proto);

    put_be16(ip + 4, (uint16_t)(b->n - at - 40));
    put_be16(b->p + transport + field, 0);
    put_be16(b->p + transport + field, sum_of(b->p + transport, n, sum));
}

/* An IPv4 packet of TCP or UDP with right checksums. */
static struct bytes segment(uint8_t proto)
{
    struct bytes b = {.n = 0};

    add_ipv4(&b, proto, 0, 0, 0);
    if (proto == TCP)
        add_tcp(&b, 5, 0x18);
    else
        add_ports(&b, 40000, 5000, 12);
    add_text(&b, "data");
    sum_ipv4(&b, 0, proto == TCP ? 16 : 6, true);
    return b;
}

static struct bytes segment6(void)
{
    struct bytes b = {.n = 0};

    add_ipv6(&b, TCP, 24);
    add_tcp(&b, 5, 0x18);
    add_text(&b, "data");
    sum_ipv6(&b, 0, 40, 16, TCP);
    return b;
}

static struct bytes on_ethernet(struct bytes *ip, uint16_t type)
{
    struct bytes b = {.n = 0};

    add_ethernet(&b, type);
    add(&b, ip->p, ip->n);
    drop(ip);
    return b;
}

/* ---- tests ----------------------------------------------------------- */

static void check_plain(struct at_anon *anon, struct bytes ip, uint16_t type,
                        unsigned right)
{
    struct bytes frame = on_ethernet(&ip, type);
    struct both b = anonymise(anon, &frame, frame.n, AT_LINK_ETHERNET);

    assert_true(b.kept);
    assert_int_equal(b.pkt.cap_bytes, frame.n);
    assert_int_equal(same_layers(&b), right);
    assert_memory_equal(b.pkt.data + frame.n - 4, "data", 4);
    no_leak(&b);
    free_both(&b);
    clean_at_every_length(anon, &frame, AT_LINK_ETHERNET);
    drop(&frame);
}

static void test_plain(void **state)
{
    struct at_anon *anon = open_anon("payload = keep\n");

    (void)state;
    check_plain(anon, segment(TCP), 0x0800, 2);
    check_plain(anon, segment(UDP), 0x0800, 2);
    check_plain(anon, segment6(), 0x86dd, 1);
    at_anon_close(anon);
}

/* As wrong as they were, wherever the wrong bit is. */
static void test_wrong_stays_wrong(void **state)
{
    struct at_anon *anon = open_anon("payload = zero\n");

    (void)state;
    for (unsigned bit = 0; bit < 32; bit++) {
        struct bytes ip = segment(bit % 2 == 0 ? TCP : UDP);
        struct both b;
        unsigned right;

        if (bit < 16)
            ip.p[10 + bit / 8] ^= (uint8_t)(1 << bit % 8);
        else
            ip.p[(bit % 2 == 0 ? 36 : 26) +
                 (bit - 16) / 8] ^= (uint8_t)(1 << bit % 8);
        b = anonymise(anon, &ip, ip.n, AT_LINK_RAW);
        right = same_layers(&b);
        assert_int_equal(right, 1);
        free_both(&b);
        drop(&ip);
    }
    at_anon_close(anon);
}

/* A UDP checksum that is not there must not appear, nor the other way. */
static void test_udp_without_checksum(void **state)
{
    struct at_anon *anon = open_anon("payload = keep\n");
    struct bytes ip = segment(UDP);
    struct both b;

    (void)state;
    put_be16(ip.p + 26, 0);
    b = anonymise(anon, &ip, ip.n, AT_LINK_RAW);
    assert_int_equal(b.pkt.data[26] | b.pkt.data[27], 0);
    free_both(&b);
    for (unsigned v = 1; v < 65536; v++) {
        put_be16(ip.p + 26, (uint16_t)v);
        b = anonymise(anon, &ip, ip.n, AT_LINK_RAW);
        assert_int_not_equal(b.pkt.data[26] | b.pkt.data[27], 0);
        free_both(&b);
    }
    drop(&ip);
    at_anon_close(anon);
}

static void test_tunnels(void **state)
{
    struct at_anon *anon = open_anon("payload = keep\n");

    (void)state;
    for (size_t i = 0; i < KINDS; i++)
        for (unsigned version = 0; version < 2; version++) {
            struct bytes in = version == 0 ? segment(TCP) : segment6();
            struct bytes one = kinds[i].put(&in);
            struct both b = anonymise(anon, &one, one.n, AT_LINK_RAW);

            no_leak(&b);
            if (memcmp(one.p + one.n - 4, "data", 4) == 0 && b.kept &&
                b.pkt.cap_bytes == one.n)
                same_layers(&b);
            free_both(&b);
            clean_at_every_length(anon, &one, AT_LINK_RAW);
            for (size_t k = 0; k < KINDS; k++) {
                struct bytes two = kinds[k].put(&one);

                clean_at_every_length(anon, &two, AT_LINK_RAW);
                drop(&two);
            }
            drop(&one);
            drop(&in);
        }
    at_anon_close(anon);
}

/* Tunnels that are understood keep what is in them. */
static void test_tunnels_kept(void **state)
{
    struct at_anon *anon = open_anon("payload = keep\n");
    size_t kept = 0;

    (void)state;
    for (size_t i = 0; i < KINDS; i++) {
        struct bytes in = segment(TCP), one = kinds[i].put(&in);
        struct both b = anonymise(anon, &one, one.n, AT_LINK_RAW);

        kept += b.pkt.cap_bytes == one.n;
        free_both(&b);
        drop(&one);
        drop(&in);
    }
    assert_true(kept >= KINDS - 1); /* GRE with a route is cut */
    at_anon_close(anon);
}

static void test_deep(void **state)
{
    struct at_anon *anon = open_anon("payload = keep\n");
    struct bytes ip = segment(TCP);

    (void)state;
    for (unsigned i = 0; i < 40; i++) {
        struct bytes more = ip_in_ipv4(&ip);
        struct both b = anonymise(anon, &more, more.n, AT_LINK_RAW);

        no_leak(&b);
        free_both(&b);
        drop(&ip);
        ip = more;
    }
    drop(&ip);
    at_anon_close(anon);
}

/* ---- ICMP ------------------------------------------------------------ */

static void check_error(struct at_anon *anon, uint8_t type, uint8_t proto)
{
    struct bytes b = {.n = 0}, in = segment(proto);
    struct both both;

    add_ipv4(&b, ICMP, 0, 0, 0);
    add(&b, (uint8_t[]){type, 0, 0, 0}, 4);
    add(&b, type == 5 ? "\x0a\0\0\1" : "\0\0\0\0", 4);
    add(&b, in.p, in.n);
    sum_ipv4(&b, 0, 2, false);
    both = anonymise(anon, &b, b.n, AT_LINK_RAW);
    no_leak(&both);
    assert_int_equal(both.pkt.cap_bytes, b.n);
    assert_int_equal(same_layers(&both), 4);
    free_both(&both);
    clean_at_every_length(anon, &b, AT_LINK_RAW);
    drop(&b);
    drop(&in);
}

static void test_icmp_errors(void **state)
{
    static const uint8_t types[] = {3, 4, 5, 11, 12};
    struct at_anon *anon = open_anon("payload = keep\n");

    (void)state;
    for (size_t i = 0; i < sizeof(types); i++) {
        check_error(anon, types[i], TCP);
        check_error(anon, types[i], UDP);
    }
    at_anon_close(anon);
}

/* What comes behind the quoted packet names an interface and its address. */
static void test_icmp_extension(void **state)
{
    struct at_anon *anon = open_anon("payload = keep\n");
    struct bytes b = {.n = 0}, in = segment(UDP);

    (void)state;
    add_ipv4(&b, ICMP, 0, 0, 0);
    add(&b, "\x0b\0\0\0\0\x20\0\0", 8); /* 32 words are quoted */
    add(&b, in.p, in.n);
    add_zeros(&b, 128 - in.n);
    add(&b, "\x20\0\0\0\0\x0c\2\x0a\0\1\0\0\x0a\0\0\1", 16);
    sum_ipv4(&b, 0, 2, false);
    clean_at_every_length(anon, &b, AT_LINK_RAW);
    drop(&b);
    drop(&in);
    at_anon_close(anon);
}

/* A message of ICMPv6 with the given bytes behind its checksum. */
static struct bytes icmpv6(uint8_t type, const void *body, size_t n)
{
    struct bytes b = {.n = 0};

    add_ipv6(&b, ICMPV6, 0);
    add(&b, (uint8_t[]){type, 0, 0, 0}, 4);
    add(&b, body, n);
    sum_ipv6(&b, 0, 40, 2, ICMPV6);
    return b;
}

#define SIX "\x20\1\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\1"
#define MAC "\2\0\0\0\0\1"

static void check_message(struct at_anon *anon, struct bytes b, unsigned right)
{
    struct both both = anonymise(anon, &b, b.n, AT_LINK_RAW);

    no_leak(&both);
    assert_int_equal(both.pkt.cap_bytes, b.n);
    assert_int_equal(same_layers(&both), right);
    free_both(&both);
    clean_at_every_length(anon, &b, AT_LINK_RAW);
    drop(&b);
}

static void test_icmpv6_errors(void **state)
{
    struct at_anon *anon = open_anon("payload = keep\n");

    (void)state;
    for (uint8_t type = 1; type <= 4; type++) {
        struct bytes in = segment6(), body = {.n = 0};

        add_zeros(&body, 4);
        add(&body, in.p, in.n);
        check_message(anon, icmpv6(type, body.p, body.n), 2);
        drop(&body);
        drop(&in);
    }
    at_anon_close(anon);
}

static void test_neighbours(void **state)
{
    static const char solicitation[] = "\0\0\0\0" SIX "\1\1" MAC;
    static const char advertisement[] = "\0\0\0\0" SIX "\2\1" MAC
                                        "\x0e\1nonce!";
    static const char redirect[] = "\0\0\0\0" SIX SIX "\2\1" MAC;
    static const char router[] = "\x40\0\7\x08\0\0\0\0\0\0\0\0\1\1" MAC
                                 "\5\1\0\0\0\0\5\xdc"
                                 "\3\4\x40\xc0\0\0\0\1\0\0\0\1\0\0\0\0" SIX
                                 "\x18\3\x40\0\0\0\0\1" SIX
                                 "\x19\3\0\0\0\0\0\1" SIX;
    struct at_anon *anon = open_anon("payload = keep\n");

    (void)state;
    check_message(anon, icmpv6(135, solicitation, sizeof(solicitation) - 1), 1);
    check_message(anon, icmpv6(136, advertisement, sizeof(advertisement) - 1),
                  1);
    check_message(anon, icmpv6(137, redirect, sizeof(redirect) - 1), 1);
    check_message(anon, icmpv6(134, router, sizeof(router) - 1), 1);
    at_anon_close(anon);
}

/* The prefix that a router announces is that of the addresses in it. */
static void test_announced_prefix(void **state)
{
    static const char router[] = "\x40\0\7\x08\0\0\0\0\0\0\0\0"
                                 "\3\4\x40\xc0\0\0\0\1\0\0\0\1\0\0\0\0"
                                 "\x20\1\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\0";
    struct at_anon *anon = open_anon("");
    struct bytes b = icmpv6(134, router, sizeof(router) - 1);
    struct both both = anonymise(anon, &b, b.n, AT_LINK_RAW);

    (void)state;
    assert_memory_equal(both.pkt.data + 8, both.pkt.data + b.n - 16, 8);
    assert_memory_equal(both.pkt.data + b.n - 8, "\0\0\0\0\0\0\0\0", 8);
    free_both(&both);
    drop(&b);
    at_anon_close(anon);
}

static void test_groups(void **state)
{
    static const char query[] = "\0\0\0\0" SIX "\0\0\0\1" SIX;
    static const char report[] = "\0\0\0\2\1\0\0\1" SIX SIX "\1\1\0\0" SIX
                                 "\x0a\0\0\1";
    struct at_anon *anon = open_anon("payload = keep\n");
    struct bytes b = {.n = 0};

    (void)state;
    check_message(anon, icmpv6(130, query, sizeof(query) - 1), 1);
    check_message(anon, icmpv6(143, report, sizeof(report) - 1), 1);
    add_ipv4(&b, 2, 0, 0, 1);
    add(&b,
        "\x22\0\0\0\0\0\0\2\1\0\0\1\x0a\0\0\1\x0a\0\0\2\1\1\0\0\x0a\0\0\1"
        "\x0a\0\0\1",
        32);
    sum_ipv4(&b, 0, 2, false);
    check_message(anon, b, 1);
    at_anon_close(anon);
}

/* ---- headers --------------------------------------------------------- */

static struct bytes with_options(const void *options, size_t n)
{
    struct bytes b = {.n = 0};

    add_ipv4(&b, TCP, 0, 0, (unsigned)(n / 4));
    memcpy(b.p + 20, options, n);
    add_tcp(&b, 5, 0x10);
    add_text(&b, "data");
    sum_ipv4(&b, 0, 0, false);
    return b;
}

#define FOUR "\x0a\0\0\1"

static void test_ipv4_options(void **state)
{
    static const char *const options[] = {
        "\1\7\x0b\4" FOUR FOUR,
        "\1\x83\x0b\4" FOUR FOUR,
        "\1\x89\x0b\x0c" FOUR FOUR,
        "\x44\x14\5\1" FOUR "time" FOUR "time",
        "\x44\x14\x15\3" FOUR "time" FOUR "time",
        "\x52\x0c\0\0\0\0\0\0" FOUR,
        "\xde\x0c\0\0" FOUR FOUR,
        "\7\x0a\4" FOUR FOUR "\0",
        "\x94\4\0\0\7\7\4" FOUR "\0",
    };
    static const size_t lengths[] = {12, 12, 12, 20, 20, 12, 12, 12, 12};
    struct at_anon *anon = open_anon("payload = keep\n");

    (void)state;
    for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
        struct bytes b = with_options(options[i], lengths[i]);
        struct both both = anonymise(anon, &b, b.n, AT_LINK_RAW);

        no_leak(&both);
        assert_int_equal(both.pkt.cap_bytes, b.n);
        same_layers(&both);
        free_both(&both);
        clean_at_every_length(anon, &b, AT_LINK_RAW);
        drop(&b);
    }
    at_anon_close(anon);
}

/* Of every kind, with every length and pointer, in headers of every length. */
static void test_options_of_every_length(void **state)
{
    struct at_anon *anon = open_anon("payload = keep\n");

    (void)state;
    for (unsigned kind = 0; kind < 256; kind++)
        for (unsigned length = 0; length < 45; length++) {
            uint8_t options[40];
            struct bytes b;
            struct both both;

            for (size_t i = 0; i < sizeof(options); i += 4)
                memcpy(options + i, FOUR, 4);
            options[0] = (uint8_t)kind;
            options[1] = (uint8_t)length;
            options[2] = 4;
            if (kind == 68)
                options[3] = 1;
            b = with_options(options, 40);
            both = anonymise(anon, &b, b.n, AT_LINK_RAW);
            /* A list of numbers is what it is. */
            if (kind != 130 && kind != 136 && kind != 148 && kind != 1 &&
                kind != 68 && kind != 82)
                no_leak(&both);
            free_both(&both);
            drop(&b);
        }
    at_anon_close(anon);
}

static struct bytes with_extension(uint8_t type, const void *header, size_t n)
{
    struct bytes b = {.n = 0};

    add_ipv6(&b, type, 0);
    add(&b, header, n);
    add_tcp(&b, 5, 0x10);
    add_text(&b, "data");
    sum_ipv6(&b, 0, 40 + n, 16, TCP);
    return b;
}

static void check_extension(struct at_anon *anon, uint8_t type,
                            const void *header, size_t n, bool known)
{
    struct bytes b = with_extension(type, header, n);
    struct both both = anonymise(anon, &b, b.n, AT_LINK_RAW);

    no_leak(&both);
    assert_int_equal(both.pkt.cap_bytes, known ? b.n : 40);
    assert_int_equal((both.pkt.done & AT_DONE_UNKNOWN) != 0, !known);
    if (known)
        same_layers(&both);
    free_both(&both);
    clean_at_every_length(anon, &b, AT_LINK_RAW);
    drop(&b);
}

static void test_ipv6_extensions(void **state)
{
    struct at_anon *anon = open_anon("payload = keep\n");

    (void)state;
    check_extension(anon, 43, "\6\4\0\2\0\0\0\0" SIX SIX, 40, true);
    check_extension(anon, 43, "\6\4\0\0\0\0\0\0" SIX SIX, 40, true);
    check_extension(anon, 43, "\6\2\2\1\0\0\0\0" SIX, 24, true);
    check_extension(anon, 43, "\6\5\4\1\1\0\0\0" SIX SIX "\5\6" FOUR "\0\0", 48,
                    true);
    check_extension(anon, 43, "\6\2\3\1\0\0\0\0" SIX, 24, false);
    check_extension(anon, 60, "\6\2\xc9\x10" SIX "\1\2\0\0", 24, true);
    check_extension(anon, 60, "\6\2\x1e\x10" SIX "\1\2\0\0", 24, true);
    check_extension(anon, 0, "\6\2\1\x14" SIX "\0\0\0\0", 24, true);
    check_extension(anon, 135, "\6\2\5\0\0\0\0\0" SIX, 24, false);
    check_extension(anon, 139, "\6\2\5\0\0\0\0\0" SIX, 24, false);
    check_extension(anon, 140, "\6\2\5\0\0\0\0\0" SIX, 24, false);
    at_anon_close(anon);
}

static void test_tcp_options(void **state)
{
    static const char four[] = "\x1e\x08\x30\1" FOUR;
    static const char port[] = "\x1e\x0a\x30\1" FOUR "\1\xbb\1\1";
    static const char six[] = "\x1e\x14\x30\1" SIX;
    static const char coded[] = "\x1e\x12\x30\1" FOUR "\1\xbb" FOUR FOUR "\1\1";
    static const char unknown[] = "\xfd\x0a" FOUR FOUR "\1\1";
    static const struct pattern options[] = {
        {four, 8}, {port, 12}, {six, 20}, {coded, 20}, {unknown, 12}};
    struct at_anon *anon = open_anon("payload = keep\n");

    (void)state;
    for (size_t i = 0; i < sizeof(options) / sizeof(options[0]); i++) {
        struct bytes b = {.n = 0};

        add_ipv4(&b, TCP, 0, 0, 0);
        add_tcp(&b, 5 + (unsigned)options[i].n / 4, 0x10);
        memcpy(b.p + 40, options[i].p, options[i].n);
        sum_ipv4(&b, 0, 16, true);
        check_message(anon, b, 2);
    }
    at_anon_close(anon);
}

static void test_arp(void **state)
{
    struct at_anon *anon = open_anon("payload = keep\n");
    struct bytes b = {.n = 0};
    struct both both;

    (void)state;
    add_ethernet(&b, 0x0806);
    add(&b, "\0\1\x08\0\6\4\0\1" MAC FOUR MAC "\x0a\0\0\2", 28);
    add(&b, "padding " FOUR, 12);
    both = anonymise(anon, &b, b.n, AT_LINK_ETHERNET);
    no_leak(&both);
    assert_int_equal(both.pkt.cap_bytes, 42);
    assert_memory_equal(both.pkt.data, both.pkt.data + 22, 6);
    free_both(&both);
    clean_at_every_length(anon, &b, AT_LINK_ETHERNET);
    drop(&b);
    at_anon_close(anon);
}

static void test_tags(void **state)
{
    struct at_anon *anon = open_anon("payload = keep\nvlan = zero\n");
    struct bytes in = segment(TCP), b = {.n = 0};
    struct both both;

    (void)state;
    add_ethernet(&b, 0x88a8);
    add(&b, "\x21\x23\x81\0\x31\x45\x81\0\0\7\x08\0", 12);
    add(&b, in.p, in.n);
    both = anonymise(anon, &b, b.n, AT_LINK_ETHERNET);
    no_leak(&both);
    assert_int_equal(both.pkt.cap_bytes, b.n);
    assert_int_equal(same_layers(&both), 2);
    assert_memory_equal(both.pkt.data + 14,
                        "\x20\0\x81\0\x30\0\x81\0\0\0\x08\0", 12);
    free_both(&both);
    clean_at_every_length(anon, &b, AT_LINK_ETHERNET);
    drop(&b);
    drop(&in);
    at_anon_close(anon);
}

/* Behind the packet there may be what the memory of a card held. */
static void test_trailer(void **state)
{
    struct at_anon *anon = open_anon("payload = keep\n");
    struct bytes in = segment(UDP), b = on_ethernet(&in, 0x0800);
    const size_t n = b.n;
    struct both both;

    (void)state;
    add(&b, FOUR FOUR, 8);
    both = anonymise(anon, &b, b.n, AT_LINK_ETHERNET);
    no_leak(&both);
    assert_int_equal(both.pkt.cap_bytes, n);
    assert_int_equal(both.pkt.wire_bytes, n + 8);
    free_both(&both);
    drop(&b);
    at_anon_close(anon);
}

/* What is no link of ours, no IP, or no protocol that is known. */
static void test_unknown(void **state)
{
    struct at_anon *cut = open_anon("payload = keep\n");
    struct at_anon *dropping = open_anon("unknown = drop\n");
    struct bytes b = {.n = 0};
    struct both both;

    (void)state;
    add_ipv4(&b, 89, 0, 0, 0); /* OSPF */
    add(&b, "\2\1\0\x2c" FOUR FOUR, 12);
    sum_ipv4(&b, 0, 0, false);
    both = anonymise(cut, &b, b.n, AT_LINK_RAW);
    assert_int_equal(both.pkt.cap_bytes, 20);
    assert_true((both.pkt.done & AT_DONE_UNKNOWN) != 0);
    free_both(&both);
    both = anonymise(dropping, &b, b.n, AT_LINK_RAW);
    assert_false(both.kept);
    free_both(&both);
    both = anonymise(cut, &b, b.n, 250);
    assert_int_equal(both.pkt.cap_bytes, 0);
    free_both(&both);
    drop(&b);
    at_anon_close(cut);
    at_anon_close(dropping);
}

static void test_fragments(void **state)
{
    struct at_anon *anon = open_anon("payload = keep\n");
    struct bytes b = {.n = 0};
    struct both both;

    (void)state;
    add_ipv4(&b, UDP, 185, 0, 0);
    add(&b, FOUR FOUR, 8);
    sum_ipv4(&b, 0, 0, false);
    both = anonymise(anon, &b, b.n, AT_LINK_RAW);
    no_leak(&both);
    assert_int_equal(both.pkt.cap_bytes, 20);
    assert_int_equal(same_layers(&both), 1);
    free_both(&both);
    drop(&b);
    at_anon_close(anon);
}

/* ---- payload and fields ---------------------------------------------- */

static void check_payload(const char *policy, size_t cap, const char *payload)
{
    struct at_anon *anon = open_anon(policy);
    struct bytes b = segment(UDP);
    struct both both = anonymise(anon, &b, b.n, AT_LINK_RAW);

    assert_int_equal(both.pkt.cap_bytes, cap);
    assert_int_equal(same_layers(&both), 1u + (cap == b.n));
    if (payload != NULL)
        assert_memory_equal(both.pkt.data + 28, payload, cap - 28);
    else
        assert_memory_not_equal(both.pkt.data + 28, "data", cap - 28);
    free_both(&both);
    drop(&b);
    at_anon_close(anon);
}

static void test_payload(void **state)
{
    (void)state;
    check_payload("payload = zero\n", 32, "\0\0\0\0");
    check_payload("payload = zero:1\n", 32, "d\0\0\0");
    check_payload("payload = keep\n", 32, "data");
    check_payload("payload = hash\n", 32, NULL);
    check_payload("payload = zero\npayload-ports = 5000:2, 40000:1\n", 32,
                  "da\0\0");
    check_payload("payload = zero\npayload-ports = 1-6000:keep\n", 32, "data");
}

static void test_payload_dropped(void **state)
{
    struct at_anon *anon = open_anon("payload = drop:3\n");
    struct bytes b = segment(TCP);
    struct both both = anonymise(anon, &b, b.n, AT_LINK_RAW);

    (void)state;
    assert_int_equal(both.pkt.cap_bytes, 43);
    assert_int_equal(both.pkt.wire_bytes, 44);
    assert_true((both.pkt.done & AT_DONE_CUT) != 0);
    assert_false((both.pkt.done & AT_DONE_UNKNOWN) != 0);
    free_both(&both);
    drop(&b);
    at_anon_close(anon);
}

static void test_fields(void **state)
{
    struct at_anon *zero = open_anon("ip-id = zero\ntcp-timestamps = zero\n");
    struct at_anon *hash = open_anon("ip-id = hash\nchecksum = zero\n");
    struct bytes b = {.n = 0};
    struct both both;

    (void)state;
    add_ipv4(&b, TCP, 0, 0, 0);
    add_tcp(&b, 8, 0x10);
    memcpy(b.p + 40, "\1\1\x08\x0ainowecho", 12);
    sum_ipv4(&b, 0, 16, true);
    both = anonymise(zero, &b, b.n, AT_LINK_RAW);
    assert_int_equal(same_layers(&both), 2);
    assert_memory_equal(both.pkt.data + 4, "\0\0", 2);
    assert_memory_equal(both.pkt.data + 40, "\1\1\x08\x0a\0\0\0\0\0\0\0\0", 12);
    free_both(&both);
    both = anonymise(hash, &b, b.n, AT_LINK_RAW);
    assert_memory_not_equal(both.pkt.data + 4, "\0\1", 2);
    assert_memory_equal(both.pkt.data + 10, "\0\0", 2);
    assert_memory_equal(both.pkt.data + 36, "\0\0", 2);
    free_both(&both);
    drop(&b);
    at_anon_close(zero);
    at_anon_close(hash);
}

static void test_time(void **state)
{
    struct at_anon *anon = open_anon("time-shift = -1h\n"
                                     "time-precision = 1us\n");
    struct bytes b = segment(TCP);
    uint8_t room[256];
    struct at_scratch scratch = {.p = room, .room = sizeof(room)};
    struct at_packet pkt = packet_of(b.p, b.n, b.n, AT_LINK_RAW);

    (void)state;
    pkt.ts = at_ts_from_ns(UINT64_C(1700000000123456789));
    assert_true(at_anon_packet(anon, &scratch, &pkt));
    assert_int_equal(at_ts_to_ns(pkt.ts), INT64_C(1699996400123456000));
    drop(&b);
    at_anon_close(anon);
}

/* ---- applications ---------------------------------------------------- */

static struct bytes dhcp(void)
{
    struct bytes b = {.n = 0};

    add_ipv4(&b, UDP, 0, 0, 0);
    add_ports(&b, 67, 68, 0);
    add(&b, "\2\1\6\0xid!\0\0\0\0", 12);
    add(&b, FOUR "\x0a\0\0\2" FOUR "\0\0\0\0", 16);
    add(&b, MAC, 6);
    add_zeros(&b, 10);
    add_text(&b, "server.example");
    add_zeros(&b, 178);
    add(&b,
        "\x63\x82\x53\x63\x35\1\2\x36\4" FOUR "\3\x08" FOUR FOUR
        "\x0c\4host\x3d\7\1" MAC "\x52\4" FOUR "\xff" FOUR,
        47);
    put_be16(b.p + 24, (uint16_t)(b.n - 20));
    sum_ipv4(&b, 0, 6, true);
    return b;
}

static void test_dhcp(void **state)
{
    static const struct pattern host = {"host", 4}, server = {"server", 6};
    struct at_anon *anon = open_anon("dhcp = rewrite\n");
    struct bytes b = dhcp();
    struct both both = anonymise(anon, &b, b.n, AT_LINK_RAW);

    (void)state;
    no_leak(&both);
    assert_int_equal(both.pkt.cap_bytes, b.n);
    assert_int_equal(same_layers(&both), 2);
    assert_false(has(both.pkt.data, b.n, &host));
    assert_false(has(both.pkt.data, b.n, &server));
    assert_memory_equal(both.pkt.data + 28 + 24, "\0\0\0\0", 4);
    assert_memory_equal(both.pkt.data + 12, both.pkt.data + 28 + 12, 4);
    free_both(&both);
    clean_at_every_length(anon, &b, AT_LINK_RAW);
    drop(&b);
    at_anon_close(anon);
}

static struct bytes dns(void)
{
    static const char message
        [] = "id\x81\x80\0\1\0\4\0\0\0\1"
             "\3www\7Example\3com\0\0\1\0\1"
             "\xc0\x0c\0\5\0\1\0\0\0\1\0\6\3cdn\xc0\x10"
             "\xc0\x0c\0\1\0\1\0\0\0\1\0\4" FOUR
             "\xc0\x0c\0\x1c\0\1\0\0\0\1\0\x10" SIX
             "\7eXAMPLE\0\0\x10\0\1\0\0\0\1\0\5\4text"
             "\0\0\x29\x10\0\0\0\0\0\0\x0c\0\x08\0\x08\0\1\x20\0\x0a\0\0\1";
    struct bytes b = {.n = 0};

    add_ipv4(&b, UDP, 0, 0, 0);
    add_ports(&b, 53, 40000, (uint16_t)(8 + sizeof(message) - 1));
    add(&b, message, sizeof(message) - 1);
    sum_ipv4(&b, 0, 6, true);
    return b;
}

static void test_dns(void **state)
{
    static const struct pattern names[] = {{"www", 3},    {"xample", 6},
                                           {"XAMPLE", 6}, {"com", 3},
                                           {"cdn", 3},    {"text", 4}};
    struct at_anon *anon = open_anon("dns = rewrite\n");
    struct bytes b = dns();
    struct both both = anonymise(anon, &b, b.n, AT_LINK_RAW);

    (void)state;
    no_leak(&both);
    assert_int_equal(both.pkt.cap_bytes, b.n);
    assert_int_equal(same_layers(&both), 2);
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        assert_false(has(both.pkt.data, b.n, &names[i]));
    /* "Example" and "eXAMPLE" are the same name. */
    assert_memory_equal(both.pkt.data + 28 + 12 + 5,
                        both.pkt.data + 28 + 12 + 21 + 18 + 16 + 28 + 1, 7);
    free_both(&both);
    clean_at_every_length(anon, &b, AT_LINK_RAW);
    drop(&b);
    at_anon_close(anon);
}

/* ---- whose addresses ------------------------------------------------- */

static void test_roles(void **state)
{
    struct at_anon *source = open_anon("scheme = none\n"
                                       "scheme-source = cryptopan\n");
    struct at_anon *outside = open_anon("scheme = cryptopan\n"
                                        "inside = 10.0.0.2/32\n"
                                        "scheme-inside = none\n");
    struct at_anon *keeping = open_anon("keep = 10.0.0.2\n");
    struct bytes b = segment(TCP);
    struct at_anon *const each[] = {source, outside, keeping};

    (void)state;
    for (size_t i = 0; i < 3; i++) {
        struct both both = anonymise(each[i], &b, b.n, AT_LINK_RAW);

        assert_memory_not_equal(both.pkt.data + 12, FOUR, 4);
        assert_memory_equal(both.pkt.data + 16, "\x0a\0\0\2", 4);
        free_both(&both);
        at_anon_close(each[i]);
    }
    drop(&b);
}

/* The quoted packet went the other way. */
static void test_roles_of_quoted(void **state)
{
    struct at_anon *anon = open_anon("scheme = none\n"
                                     "scheme-source = cryptopan\n");
    struct bytes in = segment(UDP), b = {.n = 0};
    struct both both;

    (void)state;
    add_ipv4(&b, ICMP, 0, 0, 0);
    add(&b, "\3\3\0\0\0\0\0\0", 8);
    add(&b, in.p, in.n);
    sum_ipv4(&b, 0, 2, false);
    both = anonymise(anon, &b, b.n, AT_LINK_RAW);
    assert_memory_equal(both.pkt.data + 28 + 12, FOUR, 4);
    assert_memory_not_equal(both.pkt.data + 28 + 16, "\x0a\0\0\2", 4);
    free_both(&both);
    drop(&in);
    drop(&b);
    at_anon_close(anon);
}

/* ---- the usual way and the other ------------------------------------- */

/* A tag is nothing usual: what is behind it goes the way of all packets. */
static void same_behind_tag(struct at_anon *anon, const struct bytes *frame,
                            size_t cap)
{
    struct bytes tagged = {.n = 0};
    struct both plain, other;

    add(&tagged, frame->p, 12);
    add(&tagged, "\x81\0\0\0", 4);
    add(&tagged, frame->p + 12, frame->n - 12);
    plain = anonymise(anon, frame, cap, AT_LINK_ETHERNET);
    other = anonymise(anon, &tagged, cap + 4, AT_LINK_ETHERNET);
    assert_int_equal(plain.kept, other.kept);
    assert_int_equal(plain.pkt.done, other.pkt.done);
    assert_int_equal(plain.pkt.cap_bytes + 4, other.pkt.cap_bytes);
    assert_true(plain.pkt.cap_bytes >= 12);
    assert_memory_equal(plain.pkt.data, other.pkt.data, 12);
    assert_memory_equal(plain.pkt.data + 12, other.pkt.data + 16,
                        plain.pkt.cap_bytes - 12);
    free_both(&plain);
    free_both(&other);
    drop(&tagged);
}

/* However it is cut, and whichever bit of its headers is another. */
static void same_whatever_it_is(struct at_anon *anon, struct bytes *frame)
{
    enum { TYPE = 12, HEADERS = 76 };

    for (size_t cap = TYPE + 2; cap <= frame->n; cap++)
        same_behind_tag(anon, frame, cap);
    for (size_t bit = TYPE * 8; bit < HEADERS * 8; bit++) {
        const uint8_t mask = (uint8_t)(1 << bit % 8);

        if (bit / 8 >= frame->n)
            break;
        frame->p[bit / 8] ^= mask;
        same_behind_tag(anon, frame, frame->n);
        frame->p[bit / 8] ^= mask;
    }
}

static struct bytes to_port(uint16_t port)
{
    struct bytes in = segment(UDP),
                 b = in_udp(port, "\10\0\0\0\0\0\7\0", 8, &in);

    drop(&in);
    return b;
}

static struct bytes with_tcp_options(void)
{
    struct bytes b = {.n = 0};

    add_ipv4(&b, TCP, 0, 0, 0);
    add_tcp(&b, 13, 0x10);
    memcpy(b.p + 40,
           "\1\1\x08\x0a\0\0\0\1\0\0\0\2\x1e\x08\x30\1" FOUR
           "\xfd\x0a" FOUR FOUR "\0\0",
           32);
    add(&b, FOUR FOUR FOUR, 12);
    sum_ipv4(&b, 0, 16, true);
    return b;
}

static void test_usual(void **state)
{
    static const char *const policies[] = {
        "payload = keep\n",
        "payload = drop\ndns = rewrite\nmac = keep\nchecksum = zero\n",
        "payload = zero\nip-id = hash\ntcp-timestamps = zero\n"
        "scheme-source = cryptopan\nscheme = none\nunknown = drop\n"};

    (void)state;
    for (size_t i = 0; i < sizeof(policies) / sizeof(policies[0]); i++) {
        struct at_anon *anon = open_anon(policies[i]);
        struct bytes ip[] = {segment(TCP), segment(UDP),      dns(),
                             dhcp(),       to_port(4789),     to_port(6635),
                             to_port(80),  with_tcp_options()};

        for (size_t k = 0; k < sizeof(ip) / sizeof(ip[0]); k++) {
            struct bytes frame = on_ethernet(&ip[k], 0x0800);

            add(&frame, FOUR, 4);
            same_whatever_it_is(anon, &frame);
            drop(&frame);
        }
        at_anon_close(anon);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_plain),
        cmocka_unit_test(test_wrong_stays_wrong),
        cmocka_unit_test(test_udp_without_checksum),
        cmocka_unit_test(test_tunnels),
        cmocka_unit_test(test_tunnels_kept),
        cmocka_unit_test(test_deep),
        cmocka_unit_test(test_icmp_errors),
        cmocka_unit_test(test_icmp_extension),
        cmocka_unit_test(test_icmpv6_errors),
        cmocka_unit_test(test_neighbours),
        cmocka_unit_test(test_announced_prefix),
        cmocka_unit_test(test_groups),
        cmocka_unit_test(test_ipv4_options),
        cmocka_unit_test(test_options_of_every_length),
        cmocka_unit_test(test_ipv6_extensions),
        cmocka_unit_test(test_tcp_options),
        cmocka_unit_test(test_arp),
        cmocka_unit_test(test_tags),
        cmocka_unit_test(test_trailer),
        cmocka_unit_test(test_unknown),
        cmocka_unit_test(test_fragments),
        cmocka_unit_test(test_payload),
        cmocka_unit_test(test_payload_dropped),
        cmocka_unit_test(test_fields),
        cmocka_unit_test(test_time),
        cmocka_unit_test(test_dhcp),
        cmocka_unit_test(test_dns),
        cmocka_unit_test(test_roles),
        cmocka_unit_test(test_roles_of_quoted),
        cmocka_unit_test(test_usual),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
