/*
 * common_tunnels.h - an IP packet put into every kind of tunnel
 *
 * A tunnel here is a function that puts an IP packet into another one, so
 * that any can be put into any.
 */
#ifndef COMMON_TUNNELS_H
#define COMMON_TUNNELS_H

#include <string.h>

#include "common_frames.h"

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

#endif
