/*
 * tunnel_test.c - every tunnel in every other, cut at every byte
 */
#include "common_tunnels.h"

#include <stdlib.h>

/* ---- looking --------------------------------------------------------- */

static struct at_packet packet_of(const uint8_t *p, size_t cap, size_t wire)
{
    return (struct at_packet){
        .data = p,
        .cap_bytes = (uint32_t)cap,
        .wire_bytes = (uint32_t)wire,
        .linktype = AT_LINK_RAW,
        .format = AT_FORMAT_PCAP,
    };
}

enum { LAYERS = AT_DEEPEST + 1 };

/* All layers of a packet; returns how many. */
static size_t look(struct at_headers *layer, const struct at_packet *pkt)
{
    size_t n = 1;

    at_decode(&layer[0], pkt);
    while (n < LAYERS && at_decode_inner(&layer[n], &layer[n - 1], pkt))
        n++;
    return n;
}

static struct bytes datagram(bool v6)
{
    struct bytes b = {.n = 0};

    if (v6)
        add_ipv6(&b, UDP, 12);
    else
        add_ipv4(&b, UDP, 0, 32, 0);
    add_udp(&b, 12);
    add_text(&b, "data");
    return b;
}

static void same_layer(const struct at_headers *a, const struct at_headers *b,
                       const uint8_t *p, const uint8_t *q)
{
    assert_int_equal(a->net_offset, b->net_offset);
    assert_int_equal(a->link_offset, b->link_offset);
    assert_int_equal(a->link, b->link);
    assert_int_equal(a->tunnel, b->tunnel);
    assert_int_equal(a->depth, b->depth);
    assert_int_equal(a->ip_bytes, b->ip_bytes);
    assert_true(a->dport == 0 || a->dport == b->dport);
    assert_true(a->payload_offset == 0 ||
                a->payload_offset == b->payload_offset);
    assert_int_equal(a->src - p, b->src - q);
    assert_int_equal(a->dst - p, b->dst - q);
}

/* What is left is the beginning of what the whole packet has. */
static void cut_everywhere(const struct bytes *b)
{
    const struct at_packet pkt = packet_of(b->p, b->n, b->n);
    struct at_headers all[LAYERS], cut[LAYERS];
    const size_t n_all = look(all, &pkt);

    for (size_t n = 0; n < b->n; n++) {
        uint8_t *p = tight_copy(b->p, n);
        const struct at_packet some = packet_of(p, n, b->n);
        const size_t n_cut = look(cut, &some);

        assert_true(n_cut <= n_all);
        for (size_t i = 0; i < n_cut; i++)
            if (cut[i].net != AT_NET_OTHER)
                same_layer(&cut[i], &all[i], p, b->p);
        free(p);
    }
}

/* ---- tests ----------------------------------------------------------- */

static void every_tunnel(void **state)
{
    (void)state;
    for (size_t i = 0; i < 2 * KINDS; i++) {
        struct bytes in = datagram(i % 2 == 1);
        struct bytes b = kinds[i / 2].put(&in);
        const struct at_packet pkt = packet_of(b.p, b.n, b.n);
        struct at_headers layer[LAYERS];
        const size_t n = look(layer, &pkt);
        const struct at_headers *last = &layer[n - 1];

        assert_true(n >= 2);
        assert_int_equal(layer[1].tunnel, kinds[i / 2].tunnel);
        assert_int_equal(layer[1].depth, 1);
        assert_int_equal(last->net, i % 2 == 1 ? AT_NET_IPV6 : AT_NET_IPV4);
        assert_int_equal(last->dport, 5353);
        assert_int_equal(last->payload_bytes, 4);
        assert_memory_equal(b.p + last->payload_offset, "data", 4);
        assert_int_equal(last->flags & ~AT_DECODED_TAGGED, AT_DECODED_PORTS);
        cut_everywhere(&b);
        drop(&b);
        drop(&in);
    }
}

static void every_tunnel_in_every_tunnel(void **state)
{
    (void)state;
    for (size_t i = 0; i < KINDS * KINDS; i++) {
        const struct kind *outer = &kinds[i / KINDS],
                          *inner = &kinds[i % KINDS];
        struct bytes in = datagram(true);
        struct bytes middle = inner->put(&in);
        struct bytes b = outer->put(&middle);
        const struct at_packet pkt = packet_of(b.p, b.n, b.n);
        struct at_headers layer[LAYERS];
        const size_t n = look(layer, &pkt);

        assert_true(n >= 3);
        assert_int_equal(layer[1].tunnel, outer->tunnel);
        assert_int_equal(layer[n - 1].tunnel, inner->tunnel);
        assert_int_equal(layer[n - 1].net, AT_NET_IPV6);
        assert_memory_equal(b.p + layer[n - 1].payload_offset, "data", 4);
        cut_everywhere(&b);
        drop(&b);
        drop(&middle);
        drop(&in);
    }
}

/* The same place may be used for both. */
static void tunnels_without_end(void **state)
{
    struct bytes b = datagram(false);
    struct at_packet pkt;
    struct at_headers h;
    int n = 0;

    (void)state;
    for (int i = 0; i < 100; i++) {
        struct bytes more = ip_in_ipv4(&b);

        drop(&b);
        b = more;
    }
    pkt = packet_of(b.p, b.n, b.n);
    at_decode(&h, &pkt);
    while (at_decode_inner(&h, &h, &pkt))
        n++;
    assert_int_equal(n, AT_DEEPEST);
    assert_int_equal(h.depth, AT_DEEPEST);
    drop(&b);
}

/* Ports, protocols and types alone are not believed. */
static void what_makes_no_sense(void **state)
{
    static const struct {
        struct bytes (*put)(const struct bytes *in);
        size_t at; /* byte of the packet */
        uint8_t value;
    } bad[] = {
        {ip_in_ipv4, 20, 0x65},   /* of the wrong version */
        {ip_in_ipv4, 20, 0x43},   /* a header of 12 bytes */
        {ip_in_ipv4, 23, 33},     /* longer than the tunnel's packet */
        {ip_in_ipv4, 23, 19},     /* shorter than its header */
        {gre, 21, 2},             /* a version that there is not */
        {gre, 22, 0x07},          /* an unknown type */
        {gre_with_all, 39, 0xff}, /* a route that does not end */
        {pptp, 20, 0x20},         /* an acknowledgement */
        {pptp, 22, 0x87},         /* something else than PPP */
        {erspan_ii, 28, 0x30},    /* an unknown type of ERSPAN */
        {erspan_iii, 38, 0x04},   /* a frame of an unknown type */
        {etherip, 20, 0x40},      /* an unknown version */
        {vxlan, 28, 0},           /* no network identifier */
        {vxlan, 50, 0x65},        /* IPv4 of version 6 */
        {vxlan_gpe, 31, 9},       /* an unknown protocol */
        {geneve, 28, 0x42},       /* another version */
        {geneve, 28, 0x3f},       /* options past the end */
        {gtp, 28, 0x50},          /* GTP of version 2 */
        {gtp, 29, 1},             /* an echo request */
        {gtp, 31, 33},            /* longer than the datagram */
        {gtp_with_all, 40, 0},    /* an extension header of no length */
        {l2tp, 28, 0xca},         /* a control message */
        {l2tp, 29, 3},            /* another version */
        {capwap, 31, 0x80},       /* a fragment */
        {capwap, 28, 1},          /* encrypted */
        {capwap, 29, 0x08},       /* a header of 4 bytes */
    };

    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct bytes in = datagram(false);
        struct bytes b = bad[i].put(&in);
        const struct at_packet pkt = packet_of(b.p, b.n, b.n);
        struct at_headers layer[LAYERS];

        assert_true(look(layer, &pkt) == 2);
        b.p[bad[i].at] = bad[i].value;
        assert_true(look(layer, &pkt) == 1);
        drop(&b);
        drop(&in);
    }
}

/* The first fragment of a tunnel's packet has not all of the inner one. */
static void first_fragment_of_a_tunnel(void **state)
{
    struct bytes b = {.n = 0};
    struct at_headers layer[LAYERS];
    struct at_packet pkt;

    (void)state;
    add_ipv4(&b, 4, 0x2000, 48, 0);
    add_ipv4(&b, UDP, 0, 1400, 0);
    add_udp(&b, 1380);
    pkt = packet_of(b.p, b.n, b.n);
    assert_true(look(layer, &pkt) == 2);
    assert_int_equal(layer[1].ip_bytes, 1400);
    b.p[7] = 1; /* a later one */
    assert_true(look(layer, &pkt) == 1);
    drop(&b);
}

/* Ethernet padding behind the tunnel's packet is not of the inner one. */
static void padding_is_not_inner(void **state)
{
    struct bytes b = {.n = 0};
    struct at_headers layer[LAYERS];
    struct at_packet pkt;

    (void)state;
    add_ipv4(&b, 4, 0, 30, 0);
    add_ipv4(&b, UDP, 0, 30, 0);
    add_zeros(&b, 50);
    pkt = packet_of(b.p, b.n, b.n);
    assert_true(look(layer, &pkt) == 1);
    drop(&b);
}

static void other_frames_in_ethernet_tunnels(void **state)
{
    struct bytes e = {.n = 0}, b;
    struct at_headers layer[LAYERS];
    struct at_packet pkt;

    (void)state;
    add_ethernet(&e, 0x88cc); /* LLDP */
    add_zeros(&e, 46);
    b = in_udp(4789, "\x08\0\0\0\0\0\7\0", 8, &e);
    pkt = packet_of(b.p, b.n, b.n);
    assert_true(look(layer, &pkt) == 2);
    assert_int_equal(layer[1].net, AT_NET_OTHER);
    assert_int_equal(layer[1].ethertype, 0x88cc);
    assert_int_equal(layer[1].link, AT_LINK_ETHERNET);
    assert_int_equal(layer[1].link_offset, 36);
    drop(&b);
    drop(&e);
}

/* ---- ICMP errors ----------------------------------------------------- */

static bool quotes(const struct bytes *b, struct at_headers *quoted)
{
    const struct at_packet pkt = packet_of(b->p, b->n, b->n);
    struct at_headers h;

    at_decode(&h, &pkt);
    return at_decode_quoted(quoted, &h, &pkt);
}

static void icmp_quotes(void **state)
{
    static const uint8_t types[] = {3, 4, 5, 11, 12};

    (void)state;
    for (size_t i = 0; i < sizeof(types); i++) {
        struct bytes b = {.n = 0};
        struct at_headers q;

        add_ipv4(&b, ICMP, 0, 20 + 8 + 28, 0);
        add(&b, (uint8_t[]){types[i], 0, 0, 0, 0, 0, 0, 0}, 8);
        add_ipv4(&b, TCP, 0, 1500, 0);
        add(&b, "\x04\0\x01\xbb\1\2\3\4", 8);
        assert_true(quotes(&b, &q));
        assert_int_equal(q.tunnel, AT_TUNNEL_QUOTED);
        assert_int_equal(q.net_offset, 28);
        assert_int_equal(q.ip_bytes, 1500);
        assert_int_equal(q.sport, 1024);
        assert_int_equal(q.dport, 443);
        assert_int_equal(q.flags, AT_DECODED_PORTS | AT_DECODED_CUT);
        b.p[20] = 8; /* an echo request */
        assert_false(quotes(&b, &q));
        b.p[20] = types[i];
        b.p[28] = 0x65;
        assert_false(quotes(&b, &q));
        drop(&b);
    }
}

static void icmpv6_quotes(void **state)
{
    (void)state;
    for (uint8_t type = 0; type < 6; type++) {
        struct bytes b = {.n = 0};
        struct at_headers q;

        add_ipv6(&b, ICMPV6, 8 + 48);
        add(&b, (uint8_t[]){type, 0, 0, 0, 0, 0, 0, 0}, 8);
        add_ipv6(&b, UDP, 8);
        add_udp(&b, 8);
        assert_int_equal(quotes(&b, &q), type >= 1 && type <= 4);
        if (type >= 1 && type <= 4)
            assert_int_equal(q.dport, 5353);
        drop(&b);
    }
}

/* A tunnel's packet is quoted: the way goes on into it. */
static void tunnel_in_a_quotation(void **state)
{
    struct bytes in = datagram(true);
    struct bytes tunnel = vxlan(&in), b;
    struct at_headers h;
    struct at_packet pkt;

    (void)state;
    b = in_ipv4(ICMP, "\x0b\0\0\0\0\0\0\0", 8, &tunnel);
    pkt = packet_of(b.p, b.n, b.n);
    at_decode(&h, &pkt);
    assert_true(at_decode_quoted(&h, &h, &pkt));
    assert_true(at_decode_inner(&h, &h, &pkt));
    assert_int_equal(h.net, AT_NET_IPV6);
    assert_int_equal(h.depth, 2);
    drop(&b);
    drop(&tunnel);
    drop(&in);
}

/* RFC 4884: what follows the stated length are extensions. */
static void quoted_length_ends_the_packet(void **state)
{
    struct bytes b = {.n = 0};
    struct at_headers q;

    (void)state;
    add_ipv4(&b, ICMP, 0, 20 + 8 + 20 + 8, 0);
    add(&b, "\x0b\0\0\0\0\5\0\0", 8);
    add_ipv4(&b, UDP, 0, 28, 0);
    add_udp(&b, 8);
    assert_true(quotes(&b, &q));
    assert_int_equal(q.sport, 0);
    drop(&b);
}

static void names(void **state)
{
    (void)state;
    assert_string_equal(at_tunnel_name(AT_TUNNEL_NONE), "");
    assert_string_equal(at_tunnel_name(AT_TUNNEL_GTP), "gtp");
    assert_string_equal(at_tunnel_name(AT_TUNNEL_QUOTED), "quoted");
    assert_string_equal(at_tunnel_name((enum at_tunnel)99), "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_tunnel),
        cmocka_unit_test(every_tunnel_in_every_tunnel),
        cmocka_unit_test(tunnels_without_end),
        cmocka_unit_test(what_makes_no_sense),
        cmocka_unit_test(first_fragment_of_a_tunnel),
        cmocka_unit_test(padding_is_not_inner),
        cmocka_unit_test(other_frames_in_ethernet_tunnels),
        cmocka_unit_test(icmp_quotes),
        cmocka_unit_test(icmpv6_quotes),
        cmocka_unit_test(tunnel_in_a_quotation),
        cmocka_unit_test(quoted_length_ends_the_packet),
        cmocka_unit_test(names),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
