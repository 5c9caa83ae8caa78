/*
 * process_test.c - packets cut, stripped, verified and told in from out
 *
 * Packets are made by hand, and captured at every length: what is kept of a
 * packet that was cut before must be what is kept of the whole one, as far as
 * it was there.
 */
#include "common.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

enum { ICMP = 1, TCP = 6, UDP = 17, GRE = 47, ICMPV6 = 58, SCTP = 132 };

/* ---- making packets -------------------------------------------------- */

static void add_ethernet(struct bytes *b, uint16_t ethertype)
{
    add(b, "\2\0\0\0\0\1\2\0\0\0\0\2", 12);
    add_be16(b, ethertype);
}

/* The one's complement sum, as RFC 1071 puts it: word by word. */
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

/* Headers of IP and what it carries; the latter is added before it is known
 * how long it is, so both are finished by the end_ functions. */
static size_t add_ipv4(struct bytes *b, uint8_t proto, uint16_t fragment,
                       unsigned option_words)
{
    const size_t at = b->n;

    add(b, (uint8_t[]){(uint8_t)(0x45 + option_words), 0, 0, 0, 0, 1}, 6);
    add_be16(b, fragment);
    add(b, (uint8_t[]){64, proto, 0, 0, 10, 0, 0, 1, 192, 168, 0, 2}, 12);
    for (unsigned i = 0; i < option_words * 4; i++)
        add(b, "\1", 1);
    return at;
}

static void end_ipv4(struct bytes *b, size_t at)
{
    put_be16(b->p + at + 2, (uint16_t)(b->n - at));
    put_be16(b->p + at + 10, sum_of(b->p + at, (size_t)(b->p[at] & 15) * 4, 0));
}

static size_t add_ipv6(struct bytes *b, uint8_t next)
{
    const size_t at = b->n;

    add(b, "\x60\0\0\0\0\0", 6);
    add(b, (uint8_t[]){next, 64}, 2);
    add(b, "\x20\1\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\1", 16);
    add(b, "\x20\1\x0d\xb8\0\1\0\0\0\0\0\0\0\0\0\2", 16);
    return at;
}

static void end_ipv6(struct bytes *b, size_t at)
{
    put_be16(b->p + at + 4, (uint16_t)(b->n - at - 40));
}

static size_t add_tcp(struct bytes *b, unsigned words, uint16_t dport)
{
    const size_t at = b->n;

    add_be16(b, 40000);
    add_be16(b, dport);
    add_be32(b, 0x01020304);
    add_be32(b, 0);
    add(b, (uint8_t[]){(uint8_t)(words << 4), 2, 0, 0, 0, 0, 0, 0}, 8);
    for (unsigned i = 20; i < words * 4; i++)
        add(b, "\1", 1);
    return at;
}

static size_t add_udp(struct bytes *b, uint16_t sport, uint16_t dport)
{
    const size_t at = b->n;

    add_be16(b, sport);
    add_be16(b, dport);
    add_zeros(b, 4);
    return at;
}

static void add_payload(struct bytes *b, unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        add(b, (uint8_t[]){(uint8_t)(i * 7 + 3)}, 1);
}

/* Sums up what begins at 'at', the sum being 'field' bytes into it, with the
 * pseudo-header of the IP header at 'ip'. */
static void end_segment(struct bytes *b, size_t ip, size_t at, size_t field,
                        uint8_t proto)
{
    const bool v4 = b->p[ip] >> 4 == 4;
    const size_t n = b->n - at;
    const uint32_t pseudo = (uint32_t)(uint16_t)~sum_of(
        b->p + ip + (v4 ? 12 : 8), v4 ? 8 : 32, (uint32_t)n + proto);

    if (proto == UDP)
        put_be16(b->p + at + 4, (uint16_t)n);
    put_be16(b->p + at + field,
             sum_of(b->p + at, n, proto == ICMP ? 0 : pseudo));
}

static struct bytes tcp4(unsigned words, unsigned payload)
{
    struct bytes b = {0};
    size_t ip, at;

    add_ethernet(&b, 0x0800);
    ip = add_ipv4(&b, TCP, 0, 0);
    at = add_tcp(&b, words, 443);
    add_payload(&b, payload);
    end_segment(&b, ip, at, 16, TCP);
    end_ipv4(&b, ip);
    return b;
}

static struct bytes udp4(uint16_t sport, uint16_t dport, unsigned payload)
{
    struct bytes b = {0};
    size_t ip, at;

    add_ethernet(&b, 0x0800);
    ip = add_ipv4(&b, UDP, 0, 1);
    at = add_udp(&b, sport, dport);
    add_payload(&b, payload);
    end_segment(&b, ip, at, 6, UDP);
    end_ipv4(&b, ip);
    return b;
}

static struct bytes udp6(unsigned payload)
{
    struct bytes b = {0};
    size_t ip, at;

    add_ethernet(&b, 0x86dd);
    ip = add_ipv6(&b, 0); /* hop by hop */
    add(&b, (uint8_t[]){UDP, 0, 1, 4, 0, 0, 0, 0}, 8);
    at = add_udp(&b, 1000, 2000);
    add_payload(&b, payload);
    end_segment(&b, ip, at, 6, UDP);
    end_ipv6(&b, ip);
    return b;
}

/* An ICMP error that quotes a TCP packet. */
static struct bytes icmp_error(unsigned payload)
{
    struct bytes b = {0};
    size_t ip, at, quoted, tcp;

    add_ethernet(&b, 0x0800);
    ip = add_ipv4(&b, ICMP, 0, 0);
    at = b.n;
    add(&b, "\3\1\0\0\0\0\0\0", 8);
    quoted = add_ipv4(&b, TCP, 0, 0);
    tcp = add_tcp(&b, 8, 80);
    add_payload(&b, payload);
    end_segment(&b, quoted, tcp, 16, TCP);
    end_ipv4(&b, quoted);
    end_segment(&b, ip, at, 2, ICMP);
    end_ipv4(&b, ip);
    return b;
}

static struct bytes echo6(void)
{
    struct bytes b = {0};
    size_t ip, at;

    add_ethernet(&b, 0x86dd);
    ip = add_ipv6(&b, ICMPV6);
    at = b.n;
    add(&b, "\x80\0\0\0\0\1\0\2", 8);
    add_payload(&b, 33);
    end_segment(&b, ip, at, 2, ICMPV6);
    end_ipv6(&b, ip);
    return b;
}

static struct bytes later4(void)
{
    struct bytes b = {0};
    size_t ip;

    add_ethernet(&b, 0x0800);
    ip = add_ipv4(&b, UDP, 100, 2);
    add_payload(&b, 40);
    end_ipv4(&b, ip);
    return b;
}

static struct bytes later6(void)
{
    struct bytes b = {0};
    size_t ip;

    add_ethernet(&b, 0x86dd);
    ip = add_ipv6(&b, 60);
    add(&b, (uint8_t[]){44, 0, 1, 4, 0, 0, 0, 0}, 8);
    add(&b, (uint8_t[]){UDP, 0, 0x10, 0x01, 0, 0, 0, 1}, 8);
    add_payload(&b, 40);
    end_ipv6(&b, ip);
    return b;
}

static struct bytes carried4(uint8_t proto, unsigned payload)
{
    struct bytes b = {0};
    size_t ip;

    add_ethernet(&b, 0x0800);
    ip = add_ipv4(&b, proto, 0, 0);
    add_payload(&b, payload);
    end_ipv4(&b, ip);
    return b;
}

/* IPv4 and UDP in GRE in IPv4 */
static struct bytes gre4(unsigned payload)
{
    struct bytes b = {0};
    size_t outer, ip;

    add_ethernet(&b, 0x0800);
    outer = add_ipv4(&b, GRE, 0, 0);
    add(&b, "\0\0\x08\0", 4);
    ip = add_ipv4(&b, UDP, 0, 0);
    add_udp(&b, 1, 53);
    add_payload(&b, payload);
    end_ipv4(&b, ip);
    end_ipv4(&b, outer);
    return b;
}

static struct bytes arp(void)
{
    struct bytes b = {0};

    add_ethernet(&b, 0x0806);
    add(&b, "\0\1\x08\0\6\4\0\1", 8);
    add(&b, "\2\0\0\0\0\2\x0a\0\0\1\0\0\0\0\0\0\xc0\xa8\0\2", 20);
    add_zeros(&b, 18);
    return b;
}

/* ---- processing ------------------------------------------------------ */

static struct at_process *open_process(struct at_process_options opts)
{
    struct at_process *p;
    struct at_error err;

    opts.size = sizeof(opts);
    if (at_process_open(&p, &opts, &err) != AT_OK)
        fail_msg("%s", err.msg);
    return p;
}

static struct at_packet packet_of(const uint8_t *p, size_t cap, size_t wire)
{
    return (struct at_packet){
        .data = p,
        .record = p,
        .cap_bytes = (uint32_t)cap,
        .wire_bytes = (uint32_t)wire,
        .linktype = AT_LINK_ETHERNET,
        .format = AT_FORMAT_PCAP,
    };
}

/* ---- snapping -------------------------------------------------------- */

/* 'expected' bytes are kept of the packet, and of any cut before that. */
static void check_snap(const char *policy, const struct bytes *b,
                       size_t expected)
{
    struct at_process *p = open_process(
        (struct at_process_options){.snap = policy});
    struct at_scratch none = {0};

    for (size_t n = 0; n <= b->n; n++) {
        const size_t want = n < expected ? n : expected;
        uint8_t *copy = tight_copy(b->p, n);
        struct at_packet pkt = packet_of(copy, n, b->n);

        assert_true(at_process_packet(p, &none, &pkt));
        if (pkt.cap_bytes != want)
            fail_msg("%s: %u bytes of %zu, not %zu", policy, pkt.cap_bytes, n,
                     want);
        assert_ptr_equal(pkt.data, copy);
        assert_int_equal(pkt.wire_bytes, b->n);
        assert_int_equal(pkt.edited, want < n);
        assert_int_equal(pkt.done, want < n ? AT_DONE_CUT : 0);
        free(copy);
    }
    at_process_close(p);
}

static void check_snap_of(const char *policy, struct bytes b, size_t expected)
{
    check_snap(policy, &b, expected);
    drop(&b);
}

static void test_snap_bytes(void **state)
{
    (void)state;
    check_snap_of("60", tcp4(5, 100), 60);
    check_snap_of("none", tcp4(5, 100), 0);
    check_snap_of("all", tcp4(5, 100), 154);
    check_snap_of("60", arp(), 60);
}

static void test_snap_layers(void **state)
{
    (void)state;
    check_snap_of("l2", tcp4(5, 100), 14);
    check_snap_of("l2+2", arp(), 16);
    check_snap_of("l3", tcp4(5, 100), 34);
    check_snap_of("l3+8", tcp4(5, 100), 42);
    check_snap_of("l4", tcp4(5, 100), 54);
    check_snap_of("l4+4", tcp4(5, 100), 58);
    check_snap_of("l4+4", udp4(1000, 2000, 50), 14 + 24 + 8 + 4);
    check_snap_of("l3", udp6(50), 14 + 48);
    check_snap_of("l4+4", udp6(50), 14 + 48 + 8 + 4);
    check_snap_of("l4", echo6(), 14 + 40 + 8);
}

/* The headers of a SYN end where its options do. */
static void test_snap_tcp_options(void **state)
{
    (void)state;
    for (unsigned words = 5; words <= 15; words++) {
        check_snap_of("l4", tcp4(words, 0), 34 + words * 4);
        check_snap_of("l4", tcp4(words, 20), 34 + words * 4);
        check_snap_of("l4+4", tcp4(words, 20), 38 + words * 4);
        check_snap_of("l4+4", tcp4(words, 0), 34 + words * 4);
    }
}

/* A header length that cannot be is not believed. */
static void test_snap_bad_tcp(void **state)
{
    struct bytes b = tcp4(5, 30);

    (void)state;
    b.p[34 + 12] = 0x10;
    check_snap("l4+4", &b, 58);
    b.p[34 + 12] = 0xf0; /* longer than the packet */
    check_snap("l4+4", &b, b.n);
    drop(&b);
}

static void test_snap_icmp_error(void **state)
{
    (void)state;
    /* The header of the quoted TCP, with options, and what is behind it */
    check_snap_of("l4", icmp_error(40), 14 + 20 + 8 + 20 + 32);
    check_snap_of("l4+4", icmp_error(40), 14 + 20 + 8 + 20 + 32 + 4);
    check_snap_of("l4,http+9", icmp_error(40), 14 + 20 + 8 + 20 + 32 + 9);
    check_snap_of("l3", icmp_error(40), 34);
}

static void test_snap_fragments(void **state)
{
    (void)state;
    check_snap_of("l4+4", later4(), 14 + 28);
    check_snap_of("l3+4", later4(), 14 + 28 + 4);
    check_snap_of("l4+4", later6(), 14 + 40 + 16);
    check_snap_of("l3+4", later6(), 14 + 40 + 16 + 4);
}

static void test_snap_others(void **state)
{
    struct bytes b = arp();

    (void)state;
    check_snap_of("l4+4", carried4(GRE, 60), 34);
    check_snap_of("l3", carried4(GRE, 60), 34);
    check_snap("l3", &b, b.n);
    check_snap("l4", &b, b.n);
    put_be16(b.p + 12, 0x88cc); /* LLDP */
    check_snap("l4", &b, b.n);
    check_snap("l2", &b, 14);
    drop(&b);
}

/* Where the inner headers are not whole, the outer ones decide. */
static void test_snap_inner(void **state)
{
    const size_t inner = 14 + 20 + 4;
    struct at_process *p = open_process(
        (struct at_process_options){.snap = "inner,l4+4,dns+9"});
    struct bytes b = gre4(30);
    struct at_scratch none = {0};

    (void)state;
    check_snap("l4+4", &b, 34);
    for (size_t n = 0; n <= b.n; n++) {
        uint8_t *copy = tight_copy(b.p, n);
        struct at_packet pkt = packet_of(copy, n, b.n);
        const size_t all = n < inner + 28 + 9 ? n : inner + 28 + 9;

        assert_true(at_process_packet(p, &none, &pkt));
        if (n >= inner + 20)
            assert_int_equal(pkt.cap_bytes, all);
        else
            assert_int_equal(pkt.cap_bytes, n < 34 ? n : 34);
        free(copy);
    }
    at_process_close(p);
    check_snap_of("inner,l4+4,dns+12", udp4(53, 1, 50), 14 + 24 + 8 + 12);
    drop(&b);
}

/* What fills a short frame is not payload. */
static void test_snap_padding(void **state)
{
    struct bytes b = tcp4(5, 0);

    (void)state;
    add_zeros(&b, 6);
    check_snap("l4+4", &b, 54);
    drop(&b);
}

static void test_snap_exceptions(void **state)
{
    const size_t head = 14 + 24 + 8;

    (void)state;
    check_snap_of("l4+4,dns+12", udp4(5000, 53, 50), head + 12);
    check_snap_of("l4+4,dns+12", udp4(53, 5000, 50), head + 12);
    check_snap_of("l4+4,dns+12", udp4(54, 5000, 50), head + 4);
    check_snap_of("l4+4,dns+1", udp4(53, 5000, 50), head + 1);
    check_snap_of("l4,tcp/53+9,udp/50-53+7", udp4(1, 53, 50), head + 7);
    check_snap_of("l4,tcp/dns+9", udp4(1, 53, 50), head);
    check_snap_of("l4,53+all", udp4(1, 53, 50), head + 50);
    check_snap_of("all,53+0", udp4(1, 53, 50), head);
    check_snap_of("60,53+2", udp4(1, 53, 50), head + 2);
    check_snap_of("53+2,60+3", udp4(60, 53, 50), head + 3); /* the larger */
    check_snap_of("53+2", udp4(60, 54, 50), head + 50);     /* else whole */
}

static void test_snap_tagged(void **state)
{
    struct bytes b = {0};
    size_t ip;

    (void)state;
    add_ethernet(&b, 0x88a8);
    add(&b, "\0\7\x81\0\0\x08\x08\0", 8);
    ip = add_ipv4(&b, UDP, 0, 0);
    add_udp(&b, 1, 2);
    add_payload(&b, 30);
    end_ipv4(&b, ip);
    check_snap("l2", &b, 22);
    check_snap("l4+1", &b, 22 + 28 + 1);
    put_be16(b.p + 20, 0x88cc);
    check_snap("l2", &b, 22);
    check_snap("l4", &b, b.n);
    drop(&b);
}

/* ---- tags ------------------------------------------------------------ */

/*
 * Stripping 'tagged' makes 'plain' of it, and of any cut of it a cut of
 * 'plain', or leaves it as it was, which it must where 'needs' bytes are not
 * there.
 */
static void check_strip(const char *list, const struct bytes *tagged,
                        const struct bytes *plain, size_t needs)
{
    struct at_process *p = open_process(
        (struct at_process_options){.strip = list});
    uint8_t room[512] = {0};
    const size_t less = tagged->n - plain->n;

    for (size_t n = 0; n <= tagged->n; n++) {
        struct at_scratch scratch = {room, n, 0};
        uint8_t *copy = tight_copy(tagged->p, n);
        struct at_packet pkt = packet_of(copy, n, tagged->n);

        assert_true(at_process_packet(p, &scratch, &pkt));
        if (n < needs) {
            assert_ptr_equal(pkt.data, copy);
            assert_int_equal(pkt.cap_bytes, n);
            assert_int_equal(pkt.wire_bytes, tagged->n);
            assert_int_equal(pkt.done, n < 14 ? 0 : AT_DONE_LEFT);
            assert_int_equal(scratch.used, 0);
        } else {
            assert_int_equal(pkt.done, AT_DONE_STRIPPED);
            assert_int_equal(pkt.cap_bytes, n - less);
            assert_int_equal(pkt.wire_bytes, plain->n);
            assert_memory_equal(pkt.data, plain->p, n - less);
            assert_int_equal(scratch.used, n - less);
            assert_true(pkt.edited);
        }
        free(copy);
    }
    at_process_close(p);
}

/* 'tags' between the addresses and what the ethertype of 'plain' is of. */
static struct bytes tag(const struct bytes *plain, const char *tags, size_t n,
                        size_t behind)
{
    struct bytes b = {0};

    add(&b, plain->p, 12);
    add(&b, tags, n);
    add(&b, plain->p + behind, plain->n - behind);
    return b;
}

static void check_strip_of(const char *list, struct bytes plain,
                           const char *tags, size_t n, size_t behind,
                           size_t needs)
{
    struct bytes tagged = tag(&plain, tags, n, behind);

    check_strip(list, &tagged, &plain, needs);
    drop(&tagged);
    drop(&plain);
}

static void test_strip_vlan(void **state)
{
    (void)state;
    check_strip_of("vlan", tcp4(5, 20), "\x81\0\0\7", 4, 12, 18);
    check_strip_of("vlan", udp6(20), "\x88\xa8\0\7\x81\0\0\x08", 8, 12, 22);
    check_strip_of("mpls,vlan,pppoe", arp(), "\x91\0\0\7", 4, 12, 18);
}

static void test_strip_mpls(void **state)
{
    (void)state;
    check_strip_of("mpls", tcp4(5, 20), "\x88\x47\0\1\2\x40\0\1\3\x40", 10, 14,
                   23);
    check_strip_of("mpls", udp6(20), "\x88\x48\0\1\3\x40", 6, 14, 19);
    check_strip_of("mpls,vlan", tcp4(5, 20), "\x81\0\0\7\x88\x47\0\1\3\x40", 10,
                   14, 23);
}

static void test_strip_pppoe(void **state)
{
    (void)state;
    check_strip_of("pppoe", tcp4(5, 20), "\x88\x64\x11\0\0\1\0\x3e\0\x21", 10,
                   14, 22);
    check_strip_of("pppoe,mpls", udp6(20),
                   "\x88\x64\x11\0\0\1\0\x3e\2\x81\0\1\3\x40", 14, 14, 27);
}

/* What is not to be stripped stays, with the type of what follows it. */
static void test_strip_some(void **state)
{
    struct bytes ip = tcp4(5, 20);
    struct bytes both = tag(&ip, "\x81\0\0\7\x88\x47\0\1\3\x40", 10, 14);
    struct bytes vlan = tag(&ip, "\x81\0\0\7", 4, 12);
    struct bytes mpls = tag(&ip, "\x88\x47\0\1\3\x40", 6, 14);
    struct at_process *p = open_process(
        (struct at_process_options){.strip = "pppoe"});
    struct at_packet pkt = packet_of(both.p, both.n, both.n);
    uint8_t room[512] = {0};
    struct at_scratch scratch = {room, sizeof(room), 0};

    (void)state;
    check_strip("mpls", &both, &vlan, 23);
    check_strip("vlan", &both, &mpls, 18);
    assert_true(at_process_packet(p, &scratch, &pkt));
    assert_ptr_equal(pkt.data, both.p);
    assert_int_equal(pkt.done, 0);
    assert_false(pkt.edited);
    assert_int_equal(scratch.used, 0);
    at_process_close(p);
    drop(&ip);
    drop(&both);
    drop(&vlan);
    drop(&mpls);
}

/* A frame that would make no sense stays: what labels carry that is not IP,
 * what PPP negotiates, and a frame longer than it was on the wire. */
static void test_strip_left(void **state)
{
    struct at_process *p = open_process(
        (struct at_process_options){.strip = "mpls,pppoe,vlan"});
    const struct {
        const char *tags;
        size_t n, wire;
    } left[] = {
        {"\x88\x47\0\1\3\x40\0\0\0\0", 10, 100},
        {"\x88\x64\x11\0\0\1\0\x3e\xc0\x21", 10, 100},
        {"\x81\0\0\7", 4, 3},
    };
    struct bytes ip = tcp4(5, 20);
    uint8_t room[512] = {0};

    (void)state;
    for (size_t i = 0; i < 3; i++) {
        struct bytes b = tag(&ip, left[i].tags, left[i].n, 14);
        struct at_packet pkt = packet_of(b.p, b.n, left[i].wire);
        struct at_scratch scratch = {room, sizeof(room), 0};

        assert_true(at_process_packet(p, &scratch, &pkt));
        assert_int_equal(pkt.done, AT_DONE_LEFT);
        assert_ptr_equal(pkt.data, b.p);
        assert_false(pkt.edited);
        assert_int_equal(scratch.used, 0);
        drop(&b);
    }
    at_process_close(p);
    drop(&ip);
}

/* A full scratch leaves the packet as it was. */
static void test_strip_no_room(void **state)
{
    struct at_process *p = open_process(
        (struct at_process_options){.strip = "vlan", .fcs = AT_FCS_ADD});
    struct bytes ip = tcp4(5, 20);
    struct bytes b = tag(&ip, "\x81\0\0\7", 4, 12);
    struct at_packet pkt = packet_of(b.p, b.n, b.n);
    uint8_t room[512] = {0};
    struct at_scratch scratch = {room, b.n - 1, 0};

    (void)state;
    assert_true(at_process_packet(p, &scratch, &pkt));
    assert_int_equal(pkt.done, AT_DONE_LEFT);
    assert_ptr_equal(pkt.data, b.p);
    assert_int_equal(pkt.wire_bytes, b.n);
    at_process_close(p);
    drop(&ip);
    drop(&b);
}

static void test_strip_then_snap(void **state)
{
    struct at_process *p = open_process(
        (struct at_process_options){.strip = "vlan", .snap = "l4+1"});
    struct bytes ip = tcp4(6, 20);
    struct bytes b = tag(&ip, "\x81\0\0\7", 4, 12);
    struct at_packet pkt = packet_of(b.p, b.n, b.n);
    uint8_t room[512] = {0};
    struct at_scratch scratch = {room, sizeof(room), 0};

    (void)state;
    assert_true(at_process_packet(p, &scratch, &pkt));
    assert_int_equal(pkt.done, AT_DONE_STRIPPED | AT_DONE_CUT);
    assert_int_equal(pkt.cap_bytes, 34 + 24 + 1);
    assert_int_equal(pkt.wire_bytes, ip.n);
    assert_memory_equal(pkt.data, ip.p, pkt.cap_bytes);
    at_process_close(p);
    drop(&ip);
    drop(&b);
}

/* ---- frame check sequences ------------------------------------------- */

static void test_fcs(void **state)
{
    struct at_process *adds = open_process(
        (struct at_process_options){.fcs = AT_FCS_ADD});
    struct at_process *strips = open_process(
        (struct at_process_options){.fcs = AT_FCS_STRIP});
    struct bytes b = tcp4(5, 20);
    uint8_t room[512] = {0};

    (void)state;
    for (size_t n = 0; n <= b.n; n++) {
        struct at_scratch scratch = {room, n + 4, 0};
        struct at_packet pkt = packet_of(b.p, n, b.n);

        assert_true(at_process_packet(adds, &scratch, &pkt));
        assert_int_equal(pkt.done, AT_DONE_FCS);
        assert_int_equal(pkt.wire_bytes, b.n + 4);
        assert_int_equal(pkt.cap_bytes, n == b.n ? n + 4 : n);
        if (n == b.n) { /* a frame with its FCS has this remainder */
            assert_int_equal(crc32(0, pkt.data, (uInt)n + 4), 0x2144df1c);
            assert_memory_equal(pkt.data, b.p, n);
        }
        assert_true(at_process_packet(strips, &scratch, &pkt));
        assert_int_equal(pkt.wire_bytes, b.n);
        assert_int_equal(pkt.cap_bytes, n);

        pkt = packet_of(b.p, n, b.n);
        assert_true(at_process_packet(strips, &scratch, &pkt));
        assert_int_equal(pkt.wire_bytes, b.n - 4);
        assert_int_equal(pkt.cap_bytes, n < b.n - 4 ? n : b.n - 4);
    }
    at_process_close(adds);
    at_process_close(strips);
    drop(&b);
}

static void test_fcs_of_others(void **state)
{
    struct at_process *p = open_process(
        (struct at_process_options){.fcs = AT_FCS_STRIP});
    struct bytes b = tcp4(5, 20);
    struct at_packet pkt = packet_of(b.p + 14, b.n - 14, b.n - 14);
    struct at_scratch none = {0};

    (void)state;
    pkt.linktype = AT_LINK_RAW;
    assert_true(at_process_packet(p, &none, &pkt));
    assert_int_equal(pkt.done, 0);
    assert_int_equal(pkt.wire_bytes, b.n - 14);
    pkt = packet_of(b.p, 17, 17); /* no frame with an FCS is that short */
    assert_true(at_process_packet(p, &none, &pkt));
    assert_int_equal(pkt.done, AT_DONE_LEFT);
    assert_int_equal(pkt.wire_bytes, 17);
    at_process_close(p);
    drop(&b);
}

/* ---- checksums ------------------------------------------------------- */

static struct at_checksums verify(const uint8_t *p, size_t cap, size_t wire)
{
    const struct at_packet pkt = packet_of(p, cap, wire);
    struct at_headers h;

    at_decode(&h, &pkt);
    return at_checksum_verify(&pkt, &h);
}

static void check_verdicts(const struct bytes *b, int network, int transport)
{
    const struct at_checksums sums = verify(b->p, b->n, b->n);

    assert_int_equal(sums.network, network);
    assert_int_equal(sums.transport, transport);
}

/*
 * All is right; a changed bit of the payload or of the addresses is not; and
 * nothing is said of a transport of which a byte is missing.
 */
static void check_right(struct bytes b)
{
    const bool v4 = b.p[14] >> 4 == 4;
    const int network = v4 ? AT_CHECKSUM_OK : AT_CHECKSUM_ABSENT;

    check_verdicts(&b, network, AT_CHECKSUM_OK);
    for (size_t n = 0; n < b.n; n++) {
        uint8_t *copy = tight_copy(b.p, n);
        const struct at_checksums sums = verify(copy, n, b.n);

        assert_int_not_equal(sums.transport, AT_CHECKSUM_OK);
        assert_int_not_equal(sums.transport, AT_CHECKSUM_BAD);
        assert_int_not_equal(sums.network, AT_CHECKSUM_BAD);
        free(copy);
    }
    for (unsigned bit = 0; bit < 8; bit++) {
        b.p[b.n - 1] ^= (uint8_t)(1 << bit);
        check_verdicts(&b, network, AT_CHECKSUM_BAD);
        b.p[b.n - 1] ^= (uint8_t)(1 << bit);
    }
    b.p[14 + 8] ^= 1; /* time to live, or an address */
    check_verdicts(&b, v4 ? AT_CHECKSUM_BAD : network,
                   v4 ? AT_CHECKSUM_OK : AT_CHECKSUM_BAD);
    drop(&b);
}

static void test_checksums(void **state)
{
    (void)state;
    for (unsigned payload = 1; payload < 9; payload++) {
        check_right(tcp4(5, payload));
        check_right(udp4(1, 2, payload));
        check_right(udp6(payload));
        check_right(icmp_error(payload));
    }
    check_right(echo6());
}

/* The CRC-32c of "123456789" is 0xe3069283, as every description says; a
 * chunk of SCTP with it is made by hand. */
static void test_checksum_sctp(void **state)
{
    static const uint8_t right[] = {
        0x80, 0x44, 0x00, 0x50, 0x00, 0x00, 0x00, 0x00,
        0x00, 0x00, 0x00, 0x00, 0x01, 0x00, 0x00, 0x04,
    };
    struct bytes b = {0};
    uint32_t crc = 0xffffffff;
    size_t ip;

    (void)state;
    add_ethernet(&b, 0x0800);
    ip = add_ipv4(&b, SCTP, 0, 0);
    add(&b, right, sizeof(right));
    end_ipv4(&b, ip);
    check_verdicts(&b, AT_CHECKSUM_OK, AT_CHECKSUM_BAD);
    for (size_t i = 0; i < sizeof(right); i++) {
        crc ^= right[i];
        for (int k = 0; k < 8; k++)
            crc = crc >> 1 ^ (crc & 1 ? 0x82f63b78 : 0);
    }
    crc = ~crc;
    for (size_t i = 0; i < 4; i++)
        b.p[34 + 8 + i] = (uint8_t)(crc >> 8 * i);
    check_right(b);
}

static void test_checksum_udp_zero(void **state)
{
    struct bytes four = udp4(1, 2, 10), six = udp6(10);

    (void)state;
    put_be16(four.p + 14 + 24 + 6, 0);
    put_be16(six.p + 14 + 48 + 6, 0);
    check_verdicts(&four, AT_CHECKSUM_OK, AT_CHECKSUM_ABSENT);
    check_verdicts(&six, AT_CHECKSUM_ABSENT, AT_CHECKSUM_BAD);
    drop(&four);
    drop(&six);
}

static void test_checksum_nothing_to_say(void **state)
{
    struct bytes fragment = later4(), request = arp(), gre = carried4(GRE, 9);
    struct bytes tcp = tcp4(5, 10);

    (void)state;
    check_verdicts(&fragment, AT_CHECKSUM_OK, AT_CHECKSUM_UNVERIFIABLE);
    check_verdicts(&request, AT_CHECKSUM_ABSENT, AT_CHECKSUM_ABSENT);
    check_verdicts(&gre, AT_CHECKSUM_OK, AT_CHECKSUM_ABSENT);

    put_be16(tcp.p + 16, 0); /* left to the network card */
    put_be16(tcp.p + 24, 0);
    put_be16(tcp.p + 24, sum_of(tcp.p + 14, 20, 0));
    check_verdicts(&tcp, AT_CHECKSUM_OK, AT_CHECKSUM_UNVERIFIABLE);

    drop(&fragment);
    drop(&request);
    drop(&gre);
    drop(&tcp);
}

/* UDP whose last receiver is in a route that 'pointer' says is at its end, or
 * not yet. */
static struct bytes routed4(uint8_t pointer)
{
    struct bytes b = {0};
    size_t ip, at;

    add_ethernet(&b, 0x0800);
    ip = add_ipv4(&b, UDP, 0, 2);
    at = add_udp(&b, 1, 2);
    add_payload(&b, 9);
    end_segment(&b, ip, at, 6, UDP);
    memcpy(b.p + ip + 20, (uint8_t[]){1, 131, 7, pointer}, 4);
    memcpy(b.p + ip + 24, b.p + ip + 16, 4);
    b.p[ip + 16] ^= 0x40;
    end_ipv4(&b, ip);
    return b;
}

static void test_checksum_ipv4_route(void **state)
{
    struct bytes b = routed4(4), used_up = routed4(8), broken = routed4(4);

    (void)state;
    check_verdicts(&b, AT_CHECKSUM_OK, AT_CHECKSUM_OK);
    check_verdicts(&used_up, AT_CHECKSUM_OK, AT_CHECKSUM_BAD);
    broken.p[34 + 2] = 40; /* longer than the header */
    put_be16(broken.p + 24, 0);
    end_ipv4(&broken, 14);
    check_verdicts(&broken, AT_CHECKSUM_OK, AT_CHECKSUM_UNVERIFIABLE);
    drop(&b);
    drop(&used_up);
    drop(&broken);
}

/* UDP behind an extension header of 24 bytes that ends in an address, which
 * changes places with the one at 'moved' of the IP header. */
static struct bytes routed6(uint8_t kind, const char *header, size_t moved)
{
    struct bytes b = {0};
    size_t ip, at, address;

    add_ethernet(&b, 0x86dd);
    ip = add_ipv6(&b, kind);
    add(&b, (uint8_t[]){UDP, 2}, 2);
    add(&b, header, 6);
    address = b.n;
    add(&b, "\x20\1\x0d\xb8\0\7\0\0\0\0\0\0\0\0\0\7", 16);
    at = add_udp(&b, 1, 2);
    add_payload(&b, 9);
    end_segment(&b, ip, at, 6, UDP);
    for (size_t i = 0; i < 16; i++) {
        const uint8_t byte = b.p[address + i];

        b.p[address + i] = b.p[ip + moved + i];
        b.p[ip + moved + i] = byte;
    }
    end_ipv6(&b, ip);
    return b;
}

static void test_checksum_ipv6_route(void **state)
{
    enum { ROUTING = 43, OPTIONS = 60, FROM = 8, TO = 24 };
    const struct {
        uint8_t kind;
        const char *header;
        size_t moved;
        int expected;
    } cases[] = {
        {ROUTING, "\0\1\0\0\0\0", TO, AT_CHECKSUM_OK},
        {ROUTING, "\2\1\0\0\0\0", TO, AT_CHECKSUM_OK},
        {ROUTING, "\4\1\0\0\0\0", TO, AT_CHECKSUM_OK},
        {ROUTING, "\0\0\0\0\0\0", TO, AT_CHECKSUM_BAD}, /* used up */
        {ROUTING, "\3\1\0\0\0\0", TO, AT_CHECKSUM_UNVERIFIABLE},
        {OPTIONS, "\1\2\0\0\xc9\x10", FROM, AT_CHECKSUM_OK},
        {OPTIONS, "\1\2\0\0\xc8\x10", FROM, AT_CHECKSUM_BAD},
        {OPTIONS, "\1\2\0\0\xc9\x40", FROM, AT_CHECKSUM_UNVERIFIABLE},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct bytes b = routed6(cases[i].kind, cases[i].header,
                                 cases[i].moved);

        if (verify(b.p, b.n, b.n).transport != cases[i].expected)
            fail_msg("case %zu", i);
        drop(&b);
    }
}

static void test_checksum_drop(void **state)
{
    struct at_process *p = open_process(
        (struct at_process_options){.checksum = AT_CHECKSUM_DROP});
    struct bytes b = tcp4(5, 10);
    struct at_packet pkt = packet_of(b.p, b.n, b.n);
    struct at_process_tally tally = {0};
    struct at_scratch none = {0};

    (void)state;
    assert_true(at_process_packet(p, &none, &pkt));
    at_process_count(&tally, &pkt);
    b.p[b.n - 1] ^= 1;
    pkt = packet_of(b.p, b.n, b.n);
    assert_false(at_process_packet(p, &none, &pkt));
    at_process_count(&tally, &pkt);
    assert_int_equal(tally.dropped, 1);
    assert_int_equal(tally.checksum[AT_CHECKSUM_OK], 1);
    assert_int_equal(tally.checksum[AT_CHECKSUM_BAD], 1);
    at_process_close(p);
    drop(&b);
}

/* ---- direction ------------------------------------------------------- */

static int direction(const char *rule, const struct at_packet *of)
{
    struct at_process *p = open_process(
        (struct at_process_options){.direction = rule});
    struct at_packet pkt = *of;
    struct at_scratch none = {0};

    assert_true(at_process_packet(p, &none, &pkt));
    assert_true(pkt.edited);
    assert_int_equal(pkt.done, AT_DONE_DIRECTED);
    assert_int_equal(pkt.cap_bytes, of->cap_bytes);
    at_process_close(p);
    return pkt.direction;
}

enum {
    NONE = AT_DIRECTION_UNKNOWN,
    IN = AT_DIRECTION_IN,
    OUT = AT_DIRECTION_OUT,
    OTHER = AT_DIRECTION_OTHER,
};

static void test_direction(void **state)
{
    /* from 02:..:02, 10.0.0.1 port 1000 to 02:..:01, 192.168.0.2 port 53 */
    struct bytes b = udp4(1000, 53, 10);
    struct at_packet pkt = packet_of(b.p, b.n, b.n);
    const struct {
        const char *rule;
        int expected;
    } cases[] = {
        {"mac:02:00:00:00:00:02", OUT},
        {"mac:2-0-0-0-0-1", IN},
        {"mac:02:00:00:00:00:01,02:00:00:00:00:02", OTHER},
        {"mac:02:00:00:00:00:03", OTHER},
        {"net:10.0.0.0/8", OUT},
        {"net:2001:db8::/32,192.168.0.0/16", IN},
        {"net:10.0.0.1", OUT},
        {"net:10.0.0.0/32", OTHER},
        {"net:0.0.0.0/0", OTHER},
        {"net:10.0.0.0/9,10.0.0.0/8,10.128.0.0/9", OUT},
        {"port", OUT},
        {"filter:dst port 53", OUT},
        {"filter:src port 53", IN},
        {"interface", NONE}, /* pcap has none */
        {"vlan:0", OUT},
        {"vlan:7", IN},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        if (direction(cases[i].rule, &pkt) != cases[i].expected)
            fail_msg("%s", cases[i].rule);
    pkt.format = AT_FORMAT_ERF;
    for (uint32_t i = 0; i < 4; i++) {
        pkt.interface = i;
        assert_int_equal(direction("interface", &pkt), i == 0   ? OUT
                                                       : i == 1 ? IN
                                                                : OTHER);
    }
    drop(&b);
}

static void test_direction_six_and_arp(void **state)
{
    struct bytes six = udp6(10), request = arp(), tcp = tcp4(5, 0);
    const struct at_packet pkt6 = packet_of(six.p, six.n, six.n);
    const struct at_packet ask = packet_of(request.p, request.n, request.n);
    const struct at_packet cut = packet_of(tcp.p, 20, tcp.n);

    (void)state;
    assert_int_equal(direction("net:2001:db8::/48", &pkt6), OUT);
    assert_int_equal(direction("net:2001:db8:1::/48", &pkt6), IN);
    assert_int_equal(direction("net:10.0.0.0/8", &pkt6), OTHER);
    assert_int_equal(direction("net:10.0.0.0/8", &ask), OUT);
    assert_int_equal(direction("port", &ask), NONE);
    assert_int_equal(direction("net:10.0.0.0/8", &cut), NONE);
    drop(&six);
    drop(&request);
    drop(&tcp);
}

static void test_direction_vlan(void **state)
{
    struct bytes ip = tcp4(5, 0);
    struct bytes b = tag(&ip, "\x81\0\0\7", 4, 12);
    const struct at_packet pkt = packet_of(b.p, b.n, b.n);

    (void)state;
    assert_int_equal(direction("vlan:6,7,8", &pkt), OUT);
    assert_int_equal(direction("vlan:6,8", &pkt), IN);
    drop(&ip);
    drop(&b);
}

static void test_direction_file(void **state)
{
    static const char list[] = "# ours\n10.0.0.0/8 2001:db8::/32\n\n"
                               "172.16.0.0/12,\t192.0.2.1 # one\n";
    static const char bad[] = "10.0.0.0/8\n10.0.0.0/33\n";
    struct bytes b = udp4(1000, 53, 10);
    struct at_packet pkt = packet_of(b.p, b.n, b.n);
    const char *path = temporary("local");
    struct at_process_options opts = {.size = sizeof(opts)};
    struct at_process *p;
    struct at_error err;
    char rule[512];

    (void)state;
    snprintf(rule, sizeof(rule), "net:@%s", path);
    write_file(path, list, sizeof(list) - 1);
    assert_int_equal(direction(rule, &pkt), OUT);
    write_file(path, bad, sizeof(bad) - 1);
    opts.direction = rule;
    assert_int_equal(at_process_open(&p, &opts, &err), AT_ERR_SYNTAX);
    assert_int_equal(err.column, 4);
    assert_non_null(strstr(err.msg, "line 2: '10.0.0.0/33'"));
    opts.direction = "net:@/nonexistent/file";
    assert_int_equal(at_process_open(&p, &opts, &err), AT_ERR_SYSTEM);
    assert_null(p);
    drop(&b);
}

/* ---- texts that are wrong -------------------------------------------- */

static void test_syntax(void **state)
{
    const struct {
        const char *snap, *strip, *direction;
        int column;
    } wrong[] = {
        {.snap = "", .column = 0},
        {.snap = "l5", .column = 0},
        {.snap = "l4+", .column = 3},
        {.snap = "l4+x", .column = 3},
        {.snap = "l4-4", .column = 0},
        {.snap = "l4+4,", .column = 5},
        {.snap = "l4+4,l3", .column = 5},
        {.snap = "l4,100", .column = 3},
        {.snap = "l4,dnss+12", .column = 3},
        {.snap = "l4,dns", .column = 3},
        {.snap = "l4,dns+", .column = 7},
        {.snap = "l4,70000+1", .column = 3},
        {.snap = "l4,20-10+1", .column = 3},
        {.snap = "l4,icmp/1+1", .column = 3},
        {.snap = "4294967296", .column = 0},
        {.strip = "", .column = 0},
        {.strip = "vlan,mlps", .column = 5},
        {.strip = "vlan,", .column = 5},
        {.direction = "", .column = 0},
        {.direction = "ports", .column = 0},
        {.direction = "mac:", .column = 4},
        {.direction = "mac:1:2:3:4:5", .column = 4},
        {.direction = "mac:1:2:3:4:5:6,1:2:3:4:5:6:7", .column = 16},
        {.direction = "mac:1:2:3:4:5:6g", .column = 4},
        {.direction = "net:10.0.0.0/33", .column = 4},
        {.direction = "net:10.0.0.0/8,x", .column = 15},
        {.direction = "net:::/129", .column = 4},
        {.direction = "vlan:4096", .column = 5},
        {.direction = "vlan:1,+2", .column = 7},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        const struct at_process_options opts = {
            .size = sizeof(opts),
            .snap = wrong[i].snap,
            .strip = wrong[i].strip,
            .direction = wrong[i].direction,
        };
        struct at_process *p;
        struct at_error err;

        if (at_process_open(&p, &opts, &err) != AT_ERR_SYNTAX ||
            err.column != wrong[i].column)
            fail_msg("case %zu: %d, column %d: %s", i, (int)err.status,
                     err.column, err.msg);
        assert_null(p);
    }
}

static void test_many_exceptions(void **state)
{
    struct bytes text = {0};
    struct at_process_options opts = {.size = sizeof(opts)};
    struct at_process *p;
    struct at_error err;

    (void)state;
    add(&text, "l4", 2);
    for (int i = 0; i < 65; i++)
        add(&text, ",53+1", 5);
    add(&text, "", 1);
    opts.snap = (const char *)text.p;
    assert_int_equal(at_process_open(&p, &opts, &err), AT_ERR_SYNTAX);
    assert_int_equal(err.column, 2 + 64 * 5 + 1);
    text.p[2 + 64 * 5] = '\0';
    assert_int_equal(at_process_open(&p, &opts, &err), AT_OK);
    at_process_close(p);
    drop(&text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_snap_bytes),
        cmocka_unit_test(test_snap_layers),
        cmocka_unit_test(test_snap_tcp_options),
        cmocka_unit_test(test_snap_bad_tcp),
        cmocka_unit_test(test_snap_icmp_error),
        cmocka_unit_test(test_snap_fragments),
        cmocka_unit_test(test_snap_others),
        cmocka_unit_test(test_snap_inner),
        cmocka_unit_test(test_snap_padding),
        cmocka_unit_test(test_snap_exceptions),
        cmocka_unit_test(test_snap_tagged),
        cmocka_unit_test(test_strip_vlan),
        cmocka_unit_test(test_strip_mpls),
        cmocka_unit_test(test_strip_pppoe),
        cmocka_unit_test(test_strip_some),
        cmocka_unit_test(test_strip_left),
        cmocka_unit_test(test_strip_no_room),
        cmocka_unit_test(test_strip_then_snap),
        cmocka_unit_test(test_fcs),
        cmocka_unit_test(test_fcs_of_others),
        cmocka_unit_test(test_checksums),
        cmocka_unit_test(test_checksum_sctp),
        cmocka_unit_test(test_checksum_udp_zero),
        cmocka_unit_test(test_checksum_nothing_to_say),
        cmocka_unit_test(test_checksum_ipv4_route),
        cmocka_unit_test(test_checksum_ipv6_route),
        cmocka_unit_test(test_checksum_drop),
        cmocka_unit_test(test_direction),
        cmocka_unit_test(test_direction_six_and_arp),
        cmocka_unit_test(test_direction_vlan),
        cmocka_unit_test(test_direction_file),
        cmocka_unit_test(test_syntax),
        cmocka_unit_test(test_many_exceptions),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
