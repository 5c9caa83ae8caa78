/*
 * decode_test.c - packets of each layer, whole, and cut at every byte
 *
 * What a cut packet gives may be less than the whole one gives, never
 * different; the address sanitizer watches that nothing is read past the cut.
 */
#include "common_frames.h"

#include <stdlib.h>
#include <string.h>

/* ---- looking --------------------------------------------------------- */

static struct at_headers decode(uint16_t linktype, const uint8_t *p, size_t cap,
                                size_t wire)
{
    const struct at_packet pkt = {
        .data = p,
        .cap_bytes = (uint32_t)cap,
        .wire_bytes = (uint32_t)wire,
        .linktype = linktype,
        .format = AT_FORMAT_PCAP,
    };
    struct at_headers h;

    at_decode(&h, &pkt);
    h.flags &= (uint8_t)~AT_DECODED_FOREIGN; /* filter_test.c has that */
    return h;
}

static struct at_headers whole(uint16_t linktype, const struct bytes *b)
{
    return decode(linktype, b->p, b->n, b->n);
}

/* What a cut may add: where the ports are missing, it is BAD too. */
static int flags_of_cut(const struct at_headers *h)
{
    return AT_DECODED_CUT | (h->flags & AT_DECODED_PORTS ? 0 : AT_DECODED_BAD);
}

/* Every field is 0 or what the whole packet has. */
static void same_or_none(const struct at_headers *cut,
                         const struct at_headers *all, size_t n)
{
    assert_true(cut->net == 0 || cut->net == all->net);
    assert_true(cut->sport == 0 || cut->sport == all->sport);
    assert_true(cut->dport == 0 || cut->dport == all->dport);
    assert_true(cut->tcp_flags == 0 || cut->tcp_flags == all->tcp_flags);
    assert_true(cut->tcp_seq == 0 || cut->tcp_seq == all->tcp_seq);
    assert_true(cut->vlan == 0 || cut->vlan == all->vlan);
    assert_true(cut->ip_bytes == 0 || cut->ip_bytes == all->ip_bytes);
    assert_true(cut->payload_bytes == 0 ||
                cut->payload_bytes == all->payload_bytes);
    assert_true(cut->payload_offset == 0 ||
                cut->payload_offset == all->payload_offset);
    assert_true(cut->net_offset <= n);
    assert_true(cut->transport_offset <= n);
    assert_true(cut->payload_offset <= n);
    assert_int_equal(cut->flags & ~(all->flags | flags_of_cut(cut)), 0);
    assert_int_equal(cut->net != 0 && cut->net != AT_NET_OTHER,
                     cut->src != NULL);
}

/* The first 'headers' bytes are needed for everything there is to know. */
static void cut_everywhere(uint16_t linktype, struct bytes *b, size_t headers)
{
    const struct at_headers all = whole(linktype, b);

    for (size_t n = 0; n <= b->n; n++) {
        uint8_t *p = tight_copy(b->p, n);
        const struct at_headers cut = decode(linktype, p, n, b->n);

        same_or_none(&cut, &all, n);
        if (n >= headers)
            assert_int_equal(cut.flags, all.flags);
        else
            assert_true(cut.flags & AT_DECODED_CUT);
        free(p);
    }
    drop(b);
}

/* ---- network and transport ------------------------------------------- */

static void tcp_over_ipv4(void **state)
{
    struct bytes b = {.n = 0};
    struct at_headers h;

    (void)state;
    add_ethernet(&b, 0x0800);
    add_ipv4(&b, TCP, 0x4000, 20 + 8 + 32 + 10, 2);
    add_tcp(&b, 8, 0x12);
    add_text(&b, "0123456789");
    h = whole(AT_LINK_ETHERNET, &b);
    assert_int_equal(h.net, AT_NET_IPV4);
    assert_int_equal(h.proto, TCP);
    assert_int_equal(h.ethertype, 0x0800);
    assert_int_equal(h.net_offset, 14);
    assert_int_equal(h.transport_offset, 14 + 28);
    assert_int_equal(h.payload_offset, 14 + 28 + 32);
    assert_int_equal(h.ip_bytes, 70);
    assert_int_equal(h.payload_bytes, 10);
    assert_int_equal(h.sport, 1024);
    assert_int_equal(h.dport, 443);
    assert_int_equal(h.tcp_flags, 0x12);
    assert_int_equal(h.tcp_seq, 0x01020304);
    assert_int_equal(h.flags, AT_DECODED_PORTS);
    assert_memory_equal(h.src, "\12\0\0\1", 4);
    assert_memory_equal(h.dst, "\12\0\0\2", 4);
    cut_everywhere(AT_LINK_ETHERNET, &b, 14 + 28 + 14);
}

static void udp_over_ipv6_after_all_extensions(void **state)
{
    struct bytes b = {.n = 0};
    struct at_headers h;

    (void)state;
    add_ethernet(&b, 0x86dd);
    add_ipv6(&b, 0, 8 + 8 + 16 + 8 + 8 + 12 + 8 + 3);
    add(&b, "\x2b\0\1\4\0\0\0\0", 8);                  /* hop-by-hop */
    add(&b, "\x3c\0\0\0\0\0\0\0", 8);                  /* routing */
    add(&b, "\x87\1\1\4\0\0\0\0\0\0\0\0\0\0\0\0", 16); /* destination */
    add(&b, "\x2c\0\0\0\0\0\0\0", 8);                  /* mobility */
    add(&b, "\x33\0\0\0\0\0\0\7", 8);                  /* fragment of all */
    add(&b, "\x11\1\0\0\0\0\0\0\0\0\0\0", 12);         /* AH, in words of 4 */
    add_udp(&b, 11);
    add_text(&b, "abc");
    h = whole(AT_LINK_ETHERNET, &b);
    assert_int_equal(h.net, AT_NET_IPV6);
    assert_int_equal(h.proto, UDP);
    assert_int_equal(h.sport, 53);
    assert_int_equal(h.dport, 5353);
    assert_int_equal(h.payload_bytes, 3);
    assert_int_equal(h.transport_offset, 14 + 40 + 60);
    assert_int_equal(h.flags,
                     AT_DECODED_PORTS | AT_DECODED_CHAIN | AT_DECODED_FRAGMENT);
    assert_int_equal(h.src[15], 1);
    assert_int_equal(h.dst[15], 2);
    cut_everywhere(AT_LINK_ETHERNET, &b, 14 + 40 + 60 + 4);
}

static void sctp_has_a_header_of_12(void **state)
{
    struct bytes b = {.n = 0};
    struct at_headers h;

    (void)state;
    add_ipv4(&b, SCTP, 0, 20 + 12 + 4, 0);
    add_udp(&b, 0);
    add_zeros(&b, 8);
    h = whole(AT_LINK_RAW, &b);
    assert_int_equal(h.payload_bytes, 4);
    assert_int_equal(h.payload_offset, 32);
    assert_int_equal(h.flags, AT_DECODED_PORTS);
    cut_everywhere(AT_LINK_RAW, &b, 24);
}

static void icmp_type_and_code(void **state)
{
    struct bytes b = {.n = 0}, b6 = {.n = 0};
    struct at_headers h;

    (void)state;
    add_ipv4(&b, ICMP, 0, 28, 0);
    add(&b, "\3\1\0\0\0\0\0\0", 8);
    h = whole(AT_LINK_IPV4, &b);
    assert_int_equal(h.sport, 3);
    assert_int_equal(h.dport, 1);
    assert_int_equal(h.flags, 0); /* these are no ports */
    cut_everywhere(AT_LINK_IPV4, &b, 22);
    add_ipv6(&b6, ICMPV6, 8);
    add(&b6, "\x80\0\0\0\0\0\0\0", 8);
    assert_int_equal(whole(AT_LINK_IPV6, &b6).sport, 128);
    cut_everywhere(AT_LINK_IPV6, &b6, 42);
}

static void later_fragments_have_no_ports(void **state)
{
    struct bytes b = {.n = 0}, b6 = {.n = 0};
    struct at_headers h;

    (void)state;
    add_ipv4(&b, UDP, 0x2001, 28, 0);
    add_udp(&b, 8);
    h = whole(AT_LINK_RAW, &b);
    assert_int_equal(h.flags, AT_DECODED_FRAGMENT | AT_DECODED_LATER);
    assert_int_equal(h.sport, 0);
    assert_int_equal(h.transport_offset, 0);
    cut_everywhere(AT_LINK_RAW, &b, 20);
    add_ipv6(&b6, 44, 16);
    add(&b6, "\x11\0\0\x09\0\0\0\7", 8);
    add_udp(&b6, 8);
    h = whole(AT_LINK_RAW, &b6);
    assert_int_equal(h.flags,
                     AT_DECODED_FRAGMENT | AT_DECODED_LATER | AT_DECODED_CHAIN);
    assert_int_equal(h.proto, UDP);
    cut_everywhere(AT_LINK_RAW, &b6, 48);
}

static void first_fragment_has_ports(void **state)
{
    struct bytes b = {.n = 0};

    (void)state;
    add_ipv4(&b, UDP, 0x2000, 28, 0);
    add_udp(&b, 2000);
    assert_int_equal(whole(AT_LINK_RAW, &b).flags,
                     AT_DECODED_FRAGMENT | AT_DECODED_PORTS);
    cut_everywhere(AT_LINK_RAW, &b, 24);
}

static void arp(void **state)
{
    struct bytes b = {.n = 0};
    struct at_headers h;

    (void)state;
    add_ethernet(&b, 0x0806);
    add(&b, "\0\1\x08\0\6\4\0\1\2\0\0\0\0\1\12\0\0\1\0\0\0\0\0\0\12\0\0\2", 28);
    h = whole(AT_LINK_ETHERNET, &b);
    assert_int_equal(h.net, AT_NET_ARP);
    assert_memory_equal(h.src, "\12\0\0\1", 4);
    assert_memory_equal(h.dst, "\12\0\0\2", 4);
    cut_everywhere(AT_LINK_ETHERNET, &b, 42);
}

/* ---- tags ------------------------------------------------------------ */

static void vlan_in_vlan(void **state)
{
    struct bytes b = {.n = 0};
    struct at_headers h;

    (void)state;
    add_ethernet(&b, 0x88a8);
    add(&b, "\x20\x64\x81\0\0\x1e\x08\0", 8);
    add_ipv4(&b, UDP, 0, 28, 0);
    add_udp(&b, 8);
    h = whole(AT_LINK_ETHERNET, &b);
    assert_int_equal(h.vlan, 100);
    assert_int_equal(h.inner_vlan, 30);
    assert_int_equal(h.net, AT_NET_IPV4);
    assert_int_equal(h.flags, AT_DECODED_TAGGED | AT_DECODED_PORTS);
    cut_everywhere(AT_LINK_ETHERNET, &b, 14 + 8 + 24);
}

static void mpls_and_pppoe(void **state)
{
    struct bytes b = {.n = 0}, p = {.n = 0};

    (void)state;
    add_ethernet(&b, 0x8847);
    add(&b, "\0\1\0\x40\0\2\1\x40", 8); /* two labels, the second the last */
    add_ipv4(&b, UDP, 0, 28, 0);
    add_udp(&b, 8);
    assert_int_equal(whole(AT_LINK_ETHERNET, &b).dport, 5353);
    assert_int_equal(whole(AT_LINK_ETHERNET, &b).mpls, 0x20);
    cut_everywhere(AT_LINK_ETHERNET, &b, 14 + 8 + 24);
    add_ethernet(&p, 0x8864);
    add(&p, "\x11\0\0\1\0\x32\0\x57", 8);
    add_ipv6(&p, UDP, 8);
    add_udp(&p, 8);
    assert_int_equal(whole(AT_LINK_ETHERNET, &p).net, AT_NET_IPV6);
    assert_int_equal(whole(AT_LINK_ETHERNET, &p).flags,
                     AT_DECODED_TAGGED | AT_DECODED_PORTS);
    cut_everywhere(AT_LINK_ETHERNET, &p, 14 + 8 + 44);
}

static void tags_without_end(void **state)
{
    static const uint16_t tag[] = {0x8100, 0x8847};

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct bytes b = {.n = 0};

        add_ethernet(&b, tag[i]);
        for (unsigned n = 0; n < 4000; n++) {
            add_be16(&b, 1);
            add_be16(&b, tag[i] & 0xfffe); /* MPLS: not the bottom */
        }
        assert_int_equal(whole(AT_LINK_ETHERNET, &b).flags,
                         AT_DECODED_TAGGED | AT_DECODED_CUT);
        drop(&b);
    }
}

/* ---- links ----------------------------------------------------------- */

#define SNAP "\xaa\xaa\3\0\0\0\x08\0"
#define WLAN22 "\0\0\1\1\1\1\1\1\2\2\2\2\2\2\3\3\3\3\3\3\0\0"

static void every_link(void **state)
{
    static const struct {
        uint16_t linktype;
        const char *header;
        size_t n;
    } link[] = {
        {AT_LINK_ETHERNET, "\1\1\1\1\1\1\2\2\2\2\2\2\x08\0", 14},
        {AT_LINK_LINUX_SLL, "\0\0\0\1\0\6\0\0\0\0\0\0\0\0\x08\0", 16},
        {AT_LINK_LINUX_SLL2, "\x08\0\0\0\0\0\0\2\0\1\0\6\0\0\0\0\0\0\0\0", 20},
        {AT_LINK_NULL, "\2\0\0\0", 4},
        {AT_LINK_NULL, "\0\0\0\2", 4},
        {AT_LINK_LOOP, "\0\0\0\2", 4},
        {AT_LINK_C_HDLC, "\x0f\0\x08\0", 4},
        {AT_LINK_PPP, "\0\x21", 2},
        {AT_LINK_PPP, "\x21", 1},
        {AT_LINK_PPP_HDLC, "\xff\3\0\x21", 4},
        {AT_LINK_PPP_HDLC, "\xff\3\x21", 3},
        {AT_LINK_PPP_ETHER, "\x11\0\0\1\0\x1e\0\x21", 8},
        {AT_LINK_RAW, "", 0},
        {14, "", 0}, /* as OpenBSD has it */
        {AT_LINK_IPV4, "", 0},
        /* IEEE 802.2 with SNAP, under all that may come before it */
        {AT_LINK_ATM_RFC1483, SNAP, 8},
        {AT_LINK_ETHERNET, "\1\1\1\1\1\1\2\2\2\2\2\2\0\x24" SNAP, 22},
        {AT_LINK_LINUX_SLL, "\0\0\0\1\0\6\0\0\0\0\0\0\0\0\0\4" SNAP, 24},
        {AT_LINK_FDDI, "\x50\1\1\1\1\1\1\2\2\2\2\2\2" SNAP, 21},
        {AT_LINK_IEEE802_11, "\x08\1" WLAN22 SNAP, 32},
        {AT_LINK_IEEE802_11, "\x08\3" WLAN22 "\3\3\3\3\3\3" SNAP, 38},
        {AT_LINK_IEEE802_11, "\x88\1" WLAN22 "\0\0" SNAP, 34},
        {AT_LINK_IEEE802_11, "\x88\x81" WLAN22 "\0\0\0\0\0\0" SNAP, 38},
        {AT_LINK_RADIOTAP, "\0\0\x08\0\0\0\0\0\x08\1" WLAN22 SNAP, 40},
        /* the time, then flags that speak of padding */
        {AT_LINK_RADIOTAP,
         "\0\0\x18\0\3\0\0\x80\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x88\1" WLAN22
         "\0\0" SNAP,
         58},
        {AT_LINK_RADIOTAP,
         "\0\0\x0c\0\2\0\0\0\x20\0\0\0\x88\1" WLAN22 "\0\0\0\0" SNAP, 48},
        {AT_LINK_PPI, "\0\0\x0c\0\x69\0\0\0\2\0\0\0\x08\1" WLAN22 SNAP, 44},
        {AT_LINK_PPI, "\0\0\x08\0\1\0\0\0\1\1\1\1\1\1\2\2\2\2\2\2\x08\0", 22},
        {AT_LINK_AVS, "\x80\x21\x10\2\0\0\0\x0a\0\0\x08\1" WLAN22 SNAP, 42},
        {AT_LINK_PRISM, "\x80\x21\x10\1\0\0\0\x0a\0\0\x08\1" WLAN22 SNAP, 42},
        /* an ERF record of raw IPv4 */
        {AT_LINK_ERF, "\0\0\0\0\0\0\0\0\x16\4\0\x2c\0\0\0\x1c", 16},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(link) / sizeof(link[0]); i++) {
        struct bytes b = {.n = 0};
        struct at_headers h;

        add(&b, link[i].header, link[i].n);
        add_ipv4(&b, UDP, 0, 28, 0);
        add_udp(&b, 8);
        h = whole(link[i].linktype, &b);
        assert_int_equal(h.net_offset, link[i].n);
        assert_int_equal(h.sport, 53);
        assert_int_equal(h.flags & ~AT_DECODED_TAGGED, AT_DECODED_PORTS);
        cut_everywhere(link[i].linktype, &b,
                       link[i].linktype == AT_LINK_ERF ? b.n : link[i].n + 24);
    }
}

static void unknown_link_is_nothing(void **state)
{
    struct bytes b = {.n = 0};
    struct at_headers h;

    (void)state;
    add_ipv4(&b, UDP, 0, 28, 0);
    h = whole(147 /* anyone's own */, &b);
    assert_int_equal(h.net, AT_NET_OTHER);
    assert_int_equal(h.flags, 0);
    assert_null(h.src);
    drop(&b);
}

/* Frames of 802.11 in which there is nothing for us. */
static void wlan_without_payload(void **state)
{
    static const struct {
        const char *header;
        size_t n;
    } frame[] = {
        {"\x80\0" WLAN22 SNAP, 32},                    /* a beacon */
        {"\x48\1" WLAN22 SNAP, 32},                    /* no data */
        {"\x08\x41" WLAN22 SNAP, 32},                  /* protected */
        {"\x08\5" WLAN22 SNAP, 32},                    /* a part */
        {"\x88\1" WLAN22 "\x80\0" SNAP, 34},           /* several in one */
        {"\x09\1" WLAN22 SNAP, 32},                    /* of another version */
        {"\x08\3" WLAN22 "\xaa\xaa\3\0\0\0" SNAP, 38}, /* two ways */
    };

    (void)state;
    for (size_t i = 0; i < sizeof(frame) / sizeof(frame[0]); i++) {
        struct bytes b = {.n = 0};

        add(&b, frame[i].header, frame[i].n);
        add_ipv4(&b, UDP, 0, 28, 0);
        add_udp(&b, 8);
        assert_int_equal(whole(AT_LINK_IEEE802_11, &b).net, AT_NET_OTHER);
        drop(&b);
    }
}

/* SNAP headers in VLAN tags in SNAP headers, and so on. */
static void snap_without_end(void **state)
{
    struct bytes b = {.n = 0};

    (void)state;
    add_ethernet(&b, 1500);
    for (unsigned n = 0; n < 4000; n++)
        add(&b, "\xaa\xaa\3\0\0\0\x81\0\0\1\0\x64", 12);
    assert_int_equal(whole(AT_LINK_ETHERNET, &b).net, AT_NET_OTHER);
    drop(&b);
}

/* ---- what contradicts itself ----------------------------------------- */

static void bad_fields(void **state)
{
    static const struct {
        size_t at; /* byte of the IPv4 packet */
        uint8_t value;
    } bad[] = {
        {0, 0x44}, /* a header of 16 bytes */
        {0, 0x55}, /* version 5 */
        {3, 19},   /* shorter than its header */
        {3, 200},  /* longer than the frame */
        {32, 0x40} /* a TCP header of 16 bytes */,
        {32, 0xf0} /* a TCP header past the IP packet */,
    };

    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct bytes b = {.n = 0};

        add_ipv4(&b, TCP, 0, 40, 0);
        add_tcp(&b, 5, 2);
        b.p[bad[i].at] = bad[i].value;
        assert_true(whole(AT_LINK_RAW, &b).flags & AT_DECODED_BAD);
        drop(&b);
    }
}

/* Segmentation offload leaves a length of 0: the rest of the frame counts. */
static void ip_length_of_zero(void **state)
{
    struct bytes b = {.n = 0};

    (void)state;
    add_ipv4(&b, UDP, 0, 0, 0);
    add_udp(&b, 0);
    add_zeros(&b, 100);
    assert_int_equal(whole(AT_LINK_RAW, &b).ip_bytes, 128);
    assert_int_equal(whole(AT_LINK_RAW, &b).payload_bytes, 100);
    drop(&b);
}

static void records_that_are_no_packets(void **state)
{
    const struct at_packet pkt = {.kind = AT_KIND_META,
                                  .linktype = AT_LINK_ETHERNET};
    struct at_headers h;

    (void)state;
    at_decode(&h, &pkt);
    assert_int_equal(h.net, AT_NET_OTHER);
    assert_int_equal(h.flags, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tcp_over_ipv4),
        cmocka_unit_test(udp_over_ipv6_after_all_extensions),
        cmocka_unit_test(sctp_has_a_header_of_12),
        cmocka_unit_test(icmp_type_and_code),
        cmocka_unit_test(later_fragments_have_no_ports),
        cmocka_unit_test(first_fragment_has_ports),
        cmocka_unit_test(arp),
        cmocka_unit_test(vlan_in_vlan),
        cmocka_unit_test(mpls_and_pppoe),
        cmocka_unit_test(tags_without_end),
        cmocka_unit_test(every_link),
        cmocka_unit_test(unknown_link_is_nothing),
        cmocka_unit_test(wlan_without_payload),
        cmocka_unit_test(snap_without_end),
        cmocka_unit_test(bad_fields),
        cmocka_unit_test(ip_length_of_zero),
        cmocka_unit_test(records_that_are_no_packets),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
