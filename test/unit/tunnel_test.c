/*
 * tunnel_test.c - every tunnel in every other, cut at every byte
 *
 * A tunnel here is a function that puts an IP packet into another one, so
 * that any can be put into any.
 */
#include "common_frames.h"

#include <stdlib.h>
#include <string.h>

/* ---- making tunnels -------------------------------------------------- */

static bool is_v6(const struct bytes *b)
{
    return b->p[0] >> 4 == 6;
}

static uint16_t type_of(const struct bytes *b)
{
    return is_v6(b) ? 0x86dd : 0x0800;
}

/* The IPv4 packet of 'proto' with these headers and 'in'. */
static struct bytes in_ipv4(uint8_t proto, const void *head, size_t n,
                            const struct bytes *in)
{
    struct bytes b = {.n = 0};

    add_ipv4(&b, proto, 0, (uint16_t)(20 + n + in->n), 0);
    add(&b, head, n);
    add(&b, in->p, in->n);
    return b;
}

static struct bytes in_udp(uint16_t port, const void *head, size_t n,
                           const struct bytes *in)
{
    struct bytes b = {.n = 0};

    add_ipv4(&b, UDP, 0, (uint16_t)(28 + n + in->n), 0);
    add_ports(&b, 40000, port, (uint16_t)(8 + n + in->n));
    add(&b, head, n);
    add(&b, in->p, in->n);
    return b;
}

static struct bytes in_ethernet(const struct bytes *in)
{
    struct bytes b = {.n = 0};

    add_ethernet(&b, type_of(in));
    add(&b, in->p, in->n);
    return b;
}

static struct bytes ip_in_ipv4(const struct bytes *in)
{
    return in_ipv4(is_v6(in) ? 41 : 4, "", 0, in);
}

static struct bytes ip_in_ipv6(const struct bytes *in)
{
    struct bytes b = {.n = 0};

    add_ipv6(&b, is_v6(in) ? 41 : 4, (uint16_t)in->n);
    add(&b, in->p, in->n);
    return b;
}

static struct bytes ip_behind_ah(const struct bytes *in)
{
    return in_ipv4(51, is_v6(in) ? "\x29\1\0\0SPI_seq_" : "\4\1\0\0SPI_seq_",
                   12, in);
}

static struct bytes gre_with(const char *head, size_t n, size_t type_at,
                             const struct bytes *in)
{
    char h[64];

    memcpy(h, head, n);
    h[type_at] = (char)(type_of(in) >> 8);
    h[type_at + 1] = (char)type_of(in);
    return in_ipv4(47, h, n, in);
}

static struct bytes gre(const struct bytes *in)
{
    return gre_with("\0\0\0\0", 4, 2, in);
}

static struct bytes gre_with_all(const struct bytes *in)
{
    static const char head[] = "\xf0\0\0\0CCRRkkkkssss"
                               "\x08\0\0\4rrrr\0\0\0\0";

    return gre_with(head, sizeof(head) - 1, 2, in);
}

static struct bytes ethernet_after(uint8_t proto, const void *head, size_t n,
                                   const struct bytes *in)
{
    struct bytes e = in_ethernet(in);
    const struct bytes b = in_ipv4(proto, head, n, &e);

    drop(&e);
    return b;
}

static struct bytes gre_ethernet(const struct bytes *in)
{
    return ethernet_after(47, "\0\0\x65\x58", 4, in);
}

static struct bytes gre_mpls(const struct bytes *in)
{
    return in_ipv4(47, "\0\0\x88\x47\0\1\0\x40\0\2\1\x40", 12, in);
}

static struct bytes gre_wccp(const struct bytes *in)
{
    return in_ipv4(47, "\0\0\x88\x3e\1\2\3\4", 8, in);
}

static struct bytes pptp(const struct bytes *in)
{
    char head[20];

    memcpy(head, "\x30\x81\x88\x0b\0\0\0\1ssssaaaa\xff\3\0", 19);
    head[19] = is_v6(in) ? 0x57 : 0x21;
    return in_ipv4(47, head, 20, in);
}

static struct bytes erspan_i(const struct bytes *in)
{
    return ethernet_after(47, "\0\0\x88\xbe", 4, in);
}

static struct bytes erspan_ii(const struct bytes *in)
{
    return ethernet_after(47, "\x10\0\x88\xbessss\x10\1\0\0\0\0\0\0", 16, in);
}

static struct bytes erspan_iii(const struct bytes *in)
{
    return ethernet_after(
        47, "\x10\0\x22\xebssss\x20\1\0\0tttt\0\0\0\1platform", 28, in);
}

static struct bytes etherip(const struct bytes *in)
{
    return ethernet_after(97, "\x30\0", 2, in);
}

static struct bytes ethernet_in_ip(const struct bytes *in)
{
    return ethernet_after(143, "", 0, in);
}

static struct bytes mpls_in_ip(const struct bytes *in)
{
    return in_ipv4(137, "\0\1\1\x40", 4, in);
}

static struct bytes mpls_in_udp(const struct bytes *in)
{
    return in_udp(6635, "\0\1\1\x40", 4, in);
}

static struct bytes vxlan(const struct bytes *in)
{
    struct bytes e = in_ethernet(in);
    const struct bytes b = in_udp(4789, "\x08\0\0\0\0\0\7\0", 8, &e);

    drop(&e);
    return b;
}

static struct bytes vxlan_of_linux(const struct bytes *in)
{
    struct bytes e = in_ethernet(in);
    const struct bytes b = in_udp(8472, "\x08\0\0\0\0\0\7\0", 8, &e);

    drop(&e);
    return b;
}

static struct bytes vxlan_gpe(const struct bytes *in)
{
    return in_udp(4790, is_v6(in) ? "\x0c\0\0\2\0\0\7\0" : "\x0c\0\0\1\0\0\7\0",
                  8, in);
}

static struct bytes geneve(const struct bytes *in)
{
    struct bytes e = in_ethernet(in);
    const struct bytes b = in_udp(6081, "\2\0\x65\x58\0\0\7\0\0\0\0\1\0\0\0\0",
                                  16, &e);

    drop(&e);
    return b;
}

static struct bytes gtp_with(const char *head, size_t n, const struct bytes *in)
{
    char h[32];

    memcpy(h, head, n);
    h[2] = (char)((in->n + n - 8) >> 8);
    h[3] = (char)(in->n + n - 8);
    return in_udp(2152, h, n, in);
}

static struct bytes gtp(const struct bytes *in)
{
    return gtp_with("\x30\xff\0\0TEID", 8, in);
}

static struct bytes gtp_with_all(const struct bytes *in)
{
    return gtp_with("\x37\xff\0\0TEIDss\0\x85\1pp\xc0\2pppppp\0", 24, in);
}

/* Only IPv6 goes into Teredo. */
static struct bytes teredo(const struct bytes *in)
{
    struct bytes v6 = {.n = 0}, b;

    if (is_v6(in))
        return in_udp(3544, "", 0, in);
    v6 = ip_in_ipv6(in);
    b = in_udp(3544, "\0\1\2\3iiaaannnnnnnnc\0\0ppaddr", 26, &v6);
    drop(&v6);
    return b;
}

static struct bytes l2tp(const struct bytes *in)
{
    char head[22];

    memcpy(head, "\x4a\2\0\0ttssnsnr\0\2oo\xff\3\0", 19);
    head[2] = (char)((in->n + 20) >> 8);
    head[3] = (char)(in->n + 20);
    head[19] = is_v6(in) ? 0x57 : 0x21;
    return in_udp(1701, head, 20, in);
}

static struct bytes capwap(const struct bytes *in)
{
    struct bytes e = in_ethernet(in);
    const struct bytes b = in_udp(5247, "\0\x18\0\0ffooradi", 12, &e);

    drop(&e);
    return b;
}

static const struct kind {
    struct bytes (*put)(const struct bytes *in);
    enum at_tunnel tunnel;
} kinds[] = {
    {ip_in_ipv4, AT_TUNNEL_IP},    {ip_in_ipv6, AT_TUNNEL_IP},
    {ip_behind_ah, AT_TUNNEL_IP},  {gre, AT_TUNNEL_GRE},
    {gre_with_all, AT_TUNNEL_GRE}, {gre_ethernet, AT_TUNNEL_GRE},
    {gre_mpls, AT_TUNNEL_GRE},     {gre_wccp, AT_TUNNEL_GRE},
    {pptp, AT_TUNNEL_GRE},         {erspan_i, AT_TUNNEL_ERSPAN},
    {erspan_ii, AT_TUNNEL_ERSPAN}, {erspan_iii, AT_TUNNEL_ERSPAN},
    {etherip, AT_TUNNEL_ETHERIP},  {ethernet_in_ip, AT_TUNNEL_ETHERIP},
    {mpls_in_ip, AT_TUNNEL_MPLS},  {mpls_in_udp, AT_TUNNEL_MPLS},
    {vxlan, AT_TUNNEL_VXLAN},      {vxlan_of_linux, AT_TUNNEL_VXLAN},
    {vxlan_gpe, AT_TUNNEL_VXLAN},  {geneve, AT_TUNNEL_GENEVE},
    {gtp, AT_TUNNEL_GTP},          {gtp_with_all, AT_TUNNEL_GTP},
    {teredo, AT_TUNNEL_TEREDO},    {l2tp, AT_TUNNEL_L2TP},
    {capwap, AT_TUNNEL_CAPWAP},
};

enum { KINDS = sizeof(kinds) / sizeof(kinds[0]) };

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
