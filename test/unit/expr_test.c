/*
 * expr_test.c - the tree of an expression, and its verdicts against libpcap
 *
 * The table tests print a tree as text.  The differential test is what the
 * index stands on: for random packets and random expressions, a verdict of
 * YES or NO must be what at_filter_match() says.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "expr.h"

/* ---- a tree as text -------------------------------------------------- */

struct text {
    char buf[4096];
    size_t used;
};

static void put(struct text *t, const char *fmt, ...) AT_PRINTF(2, 3);

static void put(struct text *t, const char *fmt, ...)
{
    va_list args;

    va_start(args, fmt);
    t->used += (size_t)vsnprintf(t->buf + t->used, sizeof(t->buf) - t->used,
                                 fmt, args);
    va_end(args);
    assert_true(t->used < sizeof(t->buf));
}

static void put_bits(struct text *t, unsigned bits, const char *letters)
{
    for (unsigned i = 0; letters[i] != '\0'; i++)
        if (bits & 1u << i)
            put(t, "%c", letters[i]);
}

static void put_leaf(struct text *t, const struct at_expr_node *n)
{
    static const char *const dirs[] = {"", "src ", "dst ", "both "};

    switch (n->leaf) {
    case AT_LEAF_TRUE:
        put(t, "true");
        break;
    case AT_LEAF_FLOW:
        put(t, "flow %u", n->term);
        break;
    case AT_LEAF_INNER:
        put(t, "inner %u+%u", n->column, n->length);
        break;
    case AT_LEAF_OPAQUE:
        put(t, "?%u+%u", n->column, n->length);
        break;
    case AT_LEAF_NET:
        put(t, "%snet ", dirs[n->dir]);
        put_bits(t, n->nets, "46ar");
        put(t, " ");
        for (int i = 0; i < n->addr_bytes; i++)
            put(t, "%02x", n->addr[i]);
        put(t, "/%u", n->prefix);
        break;
    case AT_LEAF_PORT:
        put(t, "%sport ", dirs[n->dir]);
        put_bits(t, n->over, "tus");
        put(t, " %u-%u", n->port_low, n->port_high);
        break;
    case AT_LEAF_PROTO:
        put(t, "proto ");
        put_bits(t, n->nets, "46ar");
        put(t, " %u", n->proto);
        break;
    case AT_LEAF_LINK:
        put(t, "link ");
        put_bits(t, n->nets, "46ar");
        break;
    }
    if (n->loose)
        put(t, " loose");
}

static void put_node(struct text *t, const struct at_expr_node *n)
{
    static const char *const names[] = {"", "and", "or", "not"};

    if (n->op == AT_EXPR_LEAF) {
        put_leaf(t, n);
        return;
    }
    put(t, "%s(", names[n->op]);
    for (const struct at_expr_node *c = n->child; c != NULL; c = c->next) {
        put_node(t, c);
        put(t, c->next != NULL ? ", " : ")");
    }
}

static void check_tree(const char *expr, const char *want)
{
    struct text t = {.used = 0};
    struct at_error err = {0};
    struct at_expr *e;

    if (at_expr_parse(&e, expr, 0, &err) != AT_OK)
        fail_msg("%s: %s", expr, err.msg);
    put_node(&t, at_expr_root(e));
    if (strcmp(t.buf, want) != 0)
        fail_msg("%s: %s, not %s", expr, t.buf, want);
    assert_string_equal(at_expr_text(e), expr);
    at_expr_free(e);
}

static void primitives(void **state)
{
    (void)state;
    check_tree("", "true");
    check_tree(" \t\n", "true");
    check_tree("ip", "link 4");
    check_tree("ip6", "link 6");
    check_tree("arp", "link a");
    check_tree("rarp", "link r");
    check_tree("tcp", "proto 46 6");
    check_tree("icmp", "proto 4 1");
    check_tree("icmp6", "proto 6 58");
    check_tree("esp", "proto 46 50");
    check_tree("ip proto 47", "proto 4 47");
    check_tree("ip6 proto \\tcp", "proto 6 6");
    check_tree("proto \\udp", "proto 46 17");
    check_tree("ip proto 300", "?0+12");
    check_tree("host 10.1.2.3", "net 4ar 0a010203/32");
    check_tree("ip host 10.1.2.3", "net 4 0a010203/32");
    check_tree("arp src host 10.1.2.3", "src net a 0a010203/32");
    check_tree("src 10.1.2.3", "src net 4ar 0a010203/32");
    check_tree("dst or src 10.1.2.3", "net 4ar 0a010203/32");
    check_tree("src and dst net 10", "both net 4ar 0a000000/8");
    check_tree("host ::1", "net 6 00000000000000000000000000000001/128");
    check_tree("dst net 2001:db8::/32",
               "dst net 6 20010db8000000000000000000000000/32");
    check_tree("host name.example or ip", "or(?0+17, link 4)");
    check_tree("port 80", "port tus 80-80");
    check_tree("tcp dst port 0x50", "dst port t 80-80");
    check_tree("portrange 100-1", "port tus 1-100");
    check_tree("sctp portrange 5", "port s 5-5");
}

/* What libpcap makes of short and odd numbers. */
static void short_addresses(void **state)
{
    (void)state;
    check_tree("net 10", "net 4ar 0a000000/8");
    check_tree("net 192.168.1", "net 4ar c0a80100/24");
    check_tree("net 10.1.0.0", "net 4ar 0a010000/32");
    check_tree("net 0", "net 4ar 00000000/32");
    check_tree("net 1000", "net 4ar 03e80000/16");
    check_tree("host 10", "net 4ar 0000000a/32");
    check_tree("host 10.1", "net 4ar 0a010000/16");
    check_tree("host 010.0.0.01", "net 4ar 0a000001/32");
    check_tree("net 10.0/0x8", "net 4ar 0a000000/8");
    check_tree("net 10.1.2 mask 255.255.255", "net 4ar 0a010200/24");
    check_tree("net 10.0.2.0 mask 255.0.255.0", "?0+29");
    check_tree("net 0.0.0.0/0", "net 4ar 00000000/0");
    check_tree("port 010", "port tus 8-8");
    check_tree("net ::ffff:0:0/96",
               "net 6 00000000000000000000ffff00000000/96");
}

static void precedence(void **state)
{
    (void)state;
    check_tree("tcp or udp and ip", "and(or(proto 46 6, proto 46 17), link 4)");
    check_tree("tcp or (udp && ip)",
               "or(proto 46 6, and(proto 46 17, link 4))");
    check_tree("not tcp and ip", "and(not(proto 46 6), link 4)");
    check_tree("!(tcp||ip)", "not(or(proto 46 6, link 4))");
    check_tree("tcp or ip or arp", "or(proto 46 6, link 4, link a)");
    check_tree("not not ip", "not(not(link 4))");
}

static void inheritance(void **state)
{
    (void)state;
    check_tree("tcp port 80 or 443 and host 1.2.3.4",
               "and(or(port t 80-80, port t 443-443), net 4ar 01020304/32)");
    check_tree("not port 80 or 443",
               "or(not(port tus 80-80), port tus 443-443)");
    check_tree("port (80 or not 443)",
               "or(port tus 80-80, not(port tus 443-443))");
    check_tree("port not 80", "not(port tus 80-80)");
    check_tree("host (1.2.3.4 or ::1)",
               "or(net 4ar 01020304/32, "
               "net 6 00000000000000000000000000000001/128)");
    /* Behind ')' the qualifiers are those from before '('. */
    check_tree("host 1.2.3.4 and (port 23 or 24) or 5.6.7.8",
               "or(and(net 4ar 01020304/32, or(port tus 23-23, "
               "port tus 24-24)), net 4ar 05060708/32)");
    check_tree("src net 10 or 11", "or(src net 4ar 0a000000/8, "
                                   "src net 4ar 0b000000/8)");
    check_tree("ip proto 6 or 17", "or(proto 4 6, proto 4 17)");
    check_tree("ip or arp host 1.2.3.4", "or(link 4, net a 01020304/32)");
    check_tree("ether host 0:1:2:3:4:5 or 0:1:2:3:4:6", "or(?0+22, ?26+11)");
}

static void opaque_spans(void **state)
{
    (void)state;
    check_tree("tcp[13] & 2 != 0", "?0+16");
    check_tree("tcp[tcpflags] & (tcp-syn|tcp-fin) != 0 and ip",
               "and(?0+38, link 4)");
    check_tree("(tcp[0:2] & 1) = 0 or ip", "or(?0+18, link 4)");
    check_tree("(tcp[0] & 1 = 0)", "?1+14");
    check_tree("port 80 or 443 > 5", "or(port tus 80-80, ?11+7)");
    check_tree("port 80 or -(3) > len", "or(port tus 80-80, ?11+10)");
    check_tree("not len > 5", "not(?4+7)");
    check_tree("less 100 and ip", "and(?0+8, link 4)");
    check_tree("ip and ip multicast", "and(link 4, ?7+12)");
    check_tree("ether proto 0x800", "?0+17");
    check_tree("byte 0 = 5 or ip", "or(?0+10, link 4)");
    check_tree("ip protochain 6 or ip", "or(?0+15, link 4)");
    check_tree("llc i or ip", "or(?0+5, link 4)");
}

static void tags(void **state)
{
    (void)state;
    check_tree("vlan 5 and ip", "and(?0+6, link 4)");
    check_tree("ip and vlan", "and(link 4, ?7+4)");
    check_tree("vlan or ip", "or(?0+4, link 4 loose)");
    check_tree("not vlan and ip", "and(not(?4+4), link 4 loose)");
    check_tree("vlan and (ip or not arp) and pppoes and ip",
               "and(?0+4, or(link 4, not(link a)), ?29+6, link 4)");
    check_tree("vlan 1 and ip or vlan 2 and ip",
               "and(or(and(?0+6, link 4), ?17+6 loose), link 4 loose)");
    check_tree("geneve and ip", "and(?0+6, link 4 loose)");
}

static void inner_spans(void **state)
{
    (void)state;
    check_tree("inner tcp or udp", "or(inner 0+9, proto 46 17)");
    check_tree("ip and not inner (vlan or tcp) and udp",
               "and(link 4, not(inner 11+19), proto 46 17)");
    check_tree("host inner or tcp", "or(?0+10, proto 46 6)");
    check_tree("inner tcp and inner src and dst host 1.2.3.4",
               "and(inner 0+9, inner 14+30)");
    check_tree("inner inner tcp", "inner 0+15");
}

static void judge_inner(const char *text, struct at_facts f,
                        enum at_verdict want)
{
    struct at_expr *e;

    assert_int_equal(at_expr_parse(&e, text, 0, NULL), AT_OK);
    assert_int_equal(at_expr_judge(e, &f), want);
    at_expr_free(e);
}

/* Of what is no tunnel it is known that nothing is in it. */
static void inner_of_flows(void **state)
{
    static const uint8_t addr[4] = {10, 0, 0, 1};
    struct at_facts f = {
        .net = AT_NET_IPV4,
        .proto = 17,
        .ethertype = 0x0800,
        .sport = 1000,
        .dport = 53,
        .flags = AT_DECODED_PORTS,
        .src = addr,
        .dst = addr,
    };

    (void)state;
    judge_inner("inner tcp", f, AT_NO);
    judge_inner("not inner tcp", f, AT_YES);
    f.flags |= AT_DECODED_BAD | AT_DECODED_FOREIGN;
    judge_inner("not inner tcp", f, AT_YES);
    judge_inner("inner tcp", f, AT_NO);
    f.flags = AT_DECODED_PORTS;
    judge_inner("udp and not inner tcp", f, AT_YES);
    f.sport = 4789;
    judge_inner("inner tcp", f, AT_MAYBE);
    judge_inner("not inner tcp", f, AT_MAYBE);
    judge_inner("tcp and inner tcp", f, AT_NO);
    f.sport = f.dport = 0;
    f.proto = 47;
    judge_inner("inner tcp", f, AT_MAYBE);
    f.proto = 6;
    judge_inner("inner tcp", f, AT_NO);
    f.proto = 47;
    f.net = AT_NET_ARP;
    judge_inner("inner tcp", f, AT_NO);
}

static void says_literal(const char *expr, unsigned flags, bool literal,
                         bool opaque)
{
    struct at_expr *e;

    assert_int_equal(at_expr_parse(&e, expr, flags, NULL), AT_OK);
    assert_int_equal(at_expr_literal(e), literal);
    assert_int_equal(at_expr_opaque(e), opaque);
    at_expr_free(e);
}

static void literal_and_opaque(void **state)
{
    (void)state;
    says_literal("ip", 0, false, false);
    says_literal("ip", AT_FILTER_LITERAL, true, false);
    says_literal("vlan", 0, true, true);
    says_literal("ip or pppoed", 0, true, true);
    says_literal("geneve", 0, false, true);
    says_literal("inner (vlan and tcp) or ip", 0, false, false);
    says_literal("len > 5", 0, false, true);
}

/* ---- errors ---------------------------------------------------------- */

static void syntax_errors(void **state)
{
    static const struct {
        const char *expr;
        int column;
        const char *part;
    } table[] = {
        {"tcp and", 7, "expected a primitive"},
        {"and tcp", 0, "expected a primitive"},
        {"(tcp", 4, "expected ')'"},
        {"tcp)", 3, "without a '('"},
        {"()", 1, "expected a primitive"},
        {"tcp udp", 4, "expected \"and\" or \"or\""},
        {"tcp port", 8, "expected a port"},
        {"port 65536", 5, "0 to 65535"},
        {"port nosuchservice", 5, "name of a service"},
        {"1.2.3.4", 0, "expected a word such as host"},
        {"host 1.2.3.256", 5, "IPv4 address"},
        {"net 10.0.0.1/8", 4, "no bits behind"},
        {"net 10.0.0.0/33", 13, "at most 32"},
        {"net 2001:db8::1/32", 4, "no bits behind"},
        {"net ::/129", 7, "at most 128"},
        {"host 10.0.0.0/8", 5, "expected \"net\""},
        {"ip proto tcp", 9, "backslash"},
        {"tcp or 80", 7, "expected a word such as host"},
        {"tcp ; udp", 4, "unexpected character"},
        {"\"tcp\"", 0, "unexpected character"},
        {"host \xc3\xbc", 5, "unexpected character"},
    };
    struct at_error err;
    struct at_expr *e;

    (void)state;
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        assert_int_equal(at_expr_parse(&e, table[i].expr, 0, &err),
                         AT_ERR_SYNTAX);
        assert_null(e);
        if (err.column != table[i].column ||
            strstr(err.msg, table[i].part) == NULL)
            fail_msg("%s: %d: %s", table[i].expr, err.column, err.msg);
        assert_int_equal(at_expr_parse(&e, table[i].expr, 0, NULL),
                         AT_ERR_SYNTAX);
    }
    at_expr_free(NULL);
}

/* However deep, it must not be the stack that says no. */
static void deep_nesting(void **state)
{
    enum { DEEP = 20000 };
    char *text = malloc(2 * DEEP + 8);
    struct at_expr *e;

    (void)state;
    assert_non_null(text);
    memset(text, '(', DEEP);
    memcpy(text + DEEP, "ip", 2);
    memset(text + DEEP + 2, ')', DEEP);
    text[2 * DEEP + 2] = '\0';
    /* Beyond our depth it is for libpcap to say, and here nothing is known. */
    assert_int_equal(at_expr_parse(&e, text, 0, NULL), AT_OK);
    assert_int_equal(at_expr_root(e)->leaf, AT_LEAF_OPAQUE);
    at_expr_free(e);
    memset(text, '!', DEEP);
    assert_int_equal(at_expr_parse(&e, text, 0, NULL), AT_OK);
    assert_int_equal(at_expr_root(e)->leaf, AT_LEAF_OPAQUE);
    at_expr_free(e);
    text[0] = '\0';
    strcpy(text, "ip");
    for (size_t used = 2; used < DEEP; used += 6)
        strcpy(text + used, " or ip");
    assert_int_equal(at_expr_parse(&e, text, 0, NULL), AT_OK);
    assert_int_equal(at_expr_root(e)->op, AT_EXPR_OR);
    at_expr_free(e);
    free(text);
}

/* Every prefix of anything must come back, with a tree or an error. */
static void cut_anywhere(void **state)
{
    static const char whole[] =
        "src or dst net 10.1.2.0 mask 255.255.255.0 and (tcp[tcpflags] & "
        "(tcp-syn|1) != 0 or vlan (5) and not ip6 host ::1/128) or \\10 and "
        "wlan type mgt subtype beacon and port 80 or 443 && ! byte 0 = 2";
    char text[sizeof(whole)];
    struct at_error err;

    (void)state;
    for (size_t n = 0; n < sizeof(whole); n++) {
        struct at_expr *e;

        memcpy(text, whole, n);
        text[n] = '\0';
        if (at_expr_parse(&e, text, 0, &err) == AT_OK)
            at_expr_free(e);
        else
            assert_in_range((unsigned)err.column, 0, n);
    }
}

/* ---- random packets and expressions ---------------------------------- */

static uint64_t seed;

static unsigned any(unsigned n)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return (unsigned)((seed >> 16) % n);
}

/* Few values, so that random packets and expressions meet. */
static const uint16_t ports[] = {0, 53, 80, 443, 1024, 65535};
static const uint8_t protos[] = {6, 17, 132, 1, 58, 2, 50, 51, 47, 0, 44, 60};

struct frame {
    uint8_t data[256];
    uint32_t len;
};

static void add8(struct frame *f, unsigned v)
{
    f->data[f->len++] = (uint8_t)v;
}

static void add16(struct frame *f, unsigned v)
{
    add8(f, v >> 8);
    add8(f, v & 255);
}

static void add_zeros(struct frame *f, unsigned n)
{
    while (n-- > 0)
        add8(f, 0);
}

static void add_ipv4_addr(struct frame *f)
{
    add8(f, 10);
    add8(f, any(2));
    add8(f, 0);
    add8(f, 1 + any(3));
}

static void add_ipv6_addr(struct frame *f)
{
    add16(f, 0x2001);
    add16(f, 0xdb8);
    add16(f, any(2));
    add_zeros(f, 9);
    add8(f, 1 + any(2));
}

static void add_transport(struct frame *f)
{
    add16(f, ports[any(6)]);
    add16(f, ports[any(6)]);
    add_zeros(f, 8);
    add8(f, any(20) ? 0x50 : any(256)); /* TCP header length */
    add_zeros(f, 15);
}

static void add_ipv4(struct frame *f)
{
    const unsigned words = any(4) ? 5 : 5 + any(3);
    const uint8_t proto = protos[any(sizeof(protos))];

    add8(f, any(30) ? 0x40 | words : any(256));
    add8(f, 0);
    add16(f, any(20) ? words * 4 + 28 : any(60));
    add16(f, 0);
    add16(f, any(3) ? 0x4000 : any(4) << 13 | any(3));
    add16(f, (unsigned)(64 << 8 | proto));
    add16(f, 0);
    add_ipv4_addr(f);
    add_ipv4_addr(f);
    add_zeros(f, words * 4 - 20);
    add_transport(f);
}

/* An extension header; the next one is of type 'next'. */
static void add_extension(struct frame *f, uint8_t type, uint8_t next)
{
    const unsigned more = type == 44 || any(3) ? 0 : 1;

    add8(f, next);
    add8(f, type == 51 ? 2 * more : more);
    add16(f, type == 44 && any(2) ? any(3) << 3 | 1 : 0);
    add_zeros(f, 4 + more * 8);
}

static void add_ipv6(struct frame *f)
{
    static const uint8_t extensions[] = {0, 43, 44, 44, 44, 51, 60, 135};
    const unsigned chain = any(2) ? 0 : 1 + any(2);
    uint8_t type[3];

    for (unsigned i = 0; i < chain; i++)
        type[i] = extensions[any(sizeof(extensions))];
    type[chain] = protos[any(sizeof(protos))];
    add16(f, any(30) ? 0x6000 : any(65536));
    add16(f, 0);
    add16(f, any(20) ? 60 : any(80));
    add8(f, type[0]);
    add8(f, 64);
    add_ipv6_addr(f);
    add_ipv6_addr(f);
    for (unsigned i = 0; i < chain; i++)
        add_extension(f, type[i], type[i + 1]);
    add_transport(f);
}

static void add_arp(struct frame *f)
{
    add16(f, 1);
    add16(f, 0x0800);
    add8(f, any(10) ? 6 : any(256));
    add8(f, 4);
    add16(f, 1 + any(2));
    add_zeros(f, 6);
    add_ipv4_addr(f);
    add_zeros(f, 6);
    add_ipv4_addr(f);
    add_zeros(f, 18);
}

/* Tags before the network layer; the ethertype or PPP type comes last. */
static void add_type(struct frame *f, unsigned type, unsigned tagged)
{
    static const uint16_t tpids[] = {0x8100, 0x88a8, 0x9100, 0x9200};
    const unsigned vlans = tagged ? any(3) : 0;
    const unsigned how = tagged && type != 0x806 ? any(3) : 0;

    for (unsigned i = 0; i < vlans; i++) {
        add16(f, tpids[any(4)]);
        add16(f, any(4096));
    }
    if (how == 0) {
        add16(f, type);
    } else if (how == 1) {
        add16(f, 0x8847);
        for (unsigned i = any(3); i > 0; i--) {
            add16(f, any(65536));
            add16(f, any(128) << 9);
        }
        add16(f, any(65536));
        add16(f, any(128) << 9 | 0x100);
    } else {
        add16(f, 0x8864);
        add16(f, 0x1100);
        add16(f, 1);
        add16(f, 60);
        add16(f, type == 0x800    ? 0x21
                 : type == 0x86dd ? 0x57
                                  : 0xc021 + any(2));
    }
}

/* The link header up to where the type of the payload stands. */
static void add_link(struct frame *f, uint16_t linktype, unsigned type,
                     unsigned tagged)
{
    switch (linktype) {
    case AT_LINK_LINUX_SLL:
        add_zeros(f, 14);
        add_type(f, type, tagged);
        break;
    case AT_LINK_C_HDLC:
        add16(f, 0x0f00);
        add_type(f, type, tagged);
        break;
    case AT_LINK_PPP:
        if (any(4))
            add16(f, 0xff03);
        if (any(4) == 0) {
            add16(f, 0x0281);
            add16(f, 1);
            add16(f, 0x0140);
        } else if (any(4) == 0 && type != 0x806) {
            add8(f, type == 0x800 ? 0x21 : 0x57); /* the short form */
        } else {
            add16(f, type == 0x800 ? 0x21 : type == 0x86dd ? 0x57 : 0xc021);
        }
        break;
    case AT_LINK_RAW:
    case AT_LINK_IPV4:
        break;
    case AT_LINK_NULL:
        add16(f, type == 0x800 ? 0x0200 : any(2) ? 0x0a00 : 0x1800);
        add16(f, 0);
        break;
    default:
        add_zeros(f, 12);
        add_type(f, type, tagged);
    }
}

static void make_frame(struct frame *f, uint16_t linktype, unsigned tagged)
{
    static const uint16_t types[] = {0x800, 0x800,  0x800,  0x86dd, 0x86dd,
                                     0x806, 0x8035, 0x88cc, 100};
    const unsigned type = types[any(sizeof(types) / sizeof(types[0]))];

    f->len = 0;
    add_link(f, linktype, type, tagged);
    if (type == 0x800)
        add_ipv4(f);
    else if (type == 0x86dd)
        add_ipv6(f);
    else
        add_arp(f);
}

static void put_address(struct text *t)
{
    static const char *const table[] = {
        "host 10.0.0.1",    "host 10.1.0.2",
        "net 10.0/16",      "net 10.1",
        "net 10",           "net 0.0.0.0/0",
        "host 2001:db8::1", "net 2001:db8:1::/48",
        "net ::/0",         "net 10.0.0.2/31",
        "host 10.1",        "net 2001:db8::/33"};
    static const char *const dirs[] = {
        "", "", "src ", "dst ", "src and dst ", "src or dst "};

    put(t, "%s%s", dirs[any(6)], table[any(12)]);
}

static void put_port(struct text *t)
{
    static const char *const over[] = {"", "", "tcp ", "udp ", "sctp "};
    static const char *const dirs[] = {"", "src ", "dst ", "src and dst "};

    put(t, "%s%s", over[any(5)], dirs[any(4)]);
    if (any(2))
        put(t, "port %u or %u", ports[any(6)], ports[any(6)]);
    else
        put(t, "portrange %u-%u", ports[any(6)], ports[any(6)]);
}

static void put_protocol(struct text *t)
{
    static const char *const table[] = {"tcp",
                                        "udp",
                                        "sctp",
                                        "icmp",
                                        "icmp6",
                                        "igmp",
                                        "esp",
                                        "ah",
                                        "pim",
                                        "ip",
                                        "ip6",
                                        "arp",
                                        "rarp",
                                        "vrrp",
                                        "len > 90",
                                        "ip[8] = 64",
                                        "tcp[13] & 2 = 0",
                                        "ip[200] = 0"};
    static const char *const nets[] = {"", "ip ", "ip6 "};

    if (any(3))
        put(t, "%s", table[any(any(4) ? 14 : 18)]);
    else
        put(t, "%sproto %u", nets[any(3)], protos[any(sizeof(protos))]);
}

static void put_expr(struct text *t, unsigned depth)
{
    if (any(4) == 0)
        put(t, "not ");
    if (depth > 0 && any(3) > 0) {
        put(t, "(");
        put_expr(t, depth - 1);
        put(t, any(2) ? " and " : " or ");
        put_expr(t, depth - 1);
        put(t, ")");
        return;
    }
    switch (any(7)) {
    case 0:
    case 1:
        put_protocol(t);
        break;
    case 2:
        put(t, "%shost 10.%u.0.%u", any(2) ? "ip " : "arp ", any(2), any(3));
        break;
    case 3:
    case 4:
        put_address(t);
        break;
    default:
        put_port(t);
    }
}

static void check_packet(struct at_expr *e, struct at_filter *filter,
                         const struct at_packet *pkt, unsigned count[3])
{
    struct at_headers h;
    struct at_facts facts;
    enum at_verdict v;

    at_decode(&h, pkt);
    facts = at_facts_of(&h);
    v = at_expr_judge(e, &facts);
    count[v]++;
    if (v == AT_MAYBE || (v == AT_YES) == at_filter_match(filter, pkt))
        return;
    for (uint32_t i = 0; i < pkt->cap_bytes; i++)
        print_message("%02x%s", pkt->data[i], i % 16 == 15 ? "\n" : " ");
    fail_msg("\"%s\", link type %u, net %u proto %u type %04x flags %x: "
             "verdict %d",
             at_expr_text(e), pkt->linktype, h.net, h.proto, h.ethertype,
             facts.flags, v);
}

static void on_packets(struct at_expr *e, struct at_filter *filter,
                       uint16_t linktype, unsigned tagged, unsigned packets,
                       unsigned count[3])
{
    while (packets-- > 0) {
        struct at_packet pkt = {.linktype = linktype};
        struct frame f;

        make_frame(&f, linktype, tagged);
        pkt.data = f.data;
        pkt.wire_bytes = f.len;
        pkt.cap_bytes = any(4) ? f.len : any(f.len + 1);
        check_packet(e, filter, &pkt, count);
    }
}

/* Expressions in turn, each on many packets, of which some are cut short. */
static void differ(const char *prefix, unsigned flags, uint16_t linktype,
                   unsigned tagged, unsigned rounds)
{
    unsigned count[3] = {0, 0, 0};

    for (unsigned i = 0; i < rounds; i++) {
        struct text t = {.used = 0};
        struct at_filter *filter;
        struct at_expr *e;

        put(&t, "%s", prefix);
        put_expr(&t, 1 + any(3));
        assert_int_equal(at_expr_parse(&e, t.buf, flags, NULL), AT_OK);
        if (at_filter_open(&filter, t.buf, flags, NULL) != AT_OK) {
            assert_string_equal(prefix, "mpls and "); /* "arp" is refused */
            at_expr_free(e);
            continue;
        }
        on_packets(e, filter, linktype, tagged, 40, count);
        at_filter_close(filter);
        at_expr_free(e);
    }
    /* Always MAYBE would pass the above. */
    if (prefix[0] == '\0' && (count[AT_NO] == 0 || count[AT_YES] == 0))
        fail_msg("link type %u decides nothing", linktype);
}

static void verdicts_are_libpcaps(void **state)
{
    static const uint16_t links[] = {AT_LINK_ETHERNET, AT_LINK_LINUX_SLL,
                                     AT_LINK_RAW, AT_LINK_C_HDLC, AT_LINK_PPP};

    (void)state;
    seed = 20141020;
    differ("", 0, AT_LINK_ETHERNET, 0, 2000);
    differ("", AT_FILTER_LITERAL, AT_LINK_ETHERNET, 0, 100);
    for (size_t i = 0; i < sizeof(links) / sizeof(links[0]); i++)
        differ("", 0, links[i], 0, 120);
}

static void verdicts_through_tags(void **state)
{
    (void)state;
    seed = 802;
    differ("", 0, AT_LINK_ETHERNET, 1, 300);
    differ("", 0, AT_LINK_LINUX_SLL, 1, 100);
    differ("", 0, AT_LINK_C_HDLC, 1, 100);
    differ("", AT_FILTER_LITERAL, AT_LINK_ETHERNET, 1, 150);
}

static void verdicts_behind_named_tags(void **state)
{
    (void)state;
    seed = 8021;
    differ("vlan and ", 0, AT_LINK_ETHERNET, 1, 150);
    differ("vlan and vlan and ", 0, AT_LINK_ETHERNET, 1, 80);
    differ("vlan or ip or ", 0, AT_LINK_ETHERNET, 1, 80);
    differ("mpls and ", 0, AT_LINK_ETHERNET, 1, 100);
    differ("pppoes and ", 0, AT_LINK_ETHERNET, 1, 100);
    differ("ip and not vlan and ", 0, AT_LINK_ETHERNET, 1, 100);
    differ("tcp or port 80 and vlan and ", 0, AT_LINK_ETHERNET, 1, 100);
}

/* The trees of the table tests mean what libpcap means. */
static void grammar_is_libpcaps(void **state)
{
    static const char *const exprs[] = {
        "tcp or udp and port 80",
        "udp and port 80 or tcp",
        "not port 80 or 443",
        "not host 10.0.0.1 and 10.0.0.2",
        "port (80 or not 443)",
        "port not 80",
        "port ((80) or 53 and 443)",
        "host (10.0.0.1 or 2001:db8::1)",
        "tcp port 80 or 443 and host 10.0.0.1",
        "host 10.0.0.1 and (port 80 or 53) or 10.0.0.2",
        "port 53 and (port 80 or 443) or 1024",
        "tcp src port 80 or dst port 443 or 53",
        "src net 10 or host 10.1.0.1 or 10.1.0.2",
        "src or dst portrange 0-53 or 443",
        "src and dst net 10.0",
        "ip or arp host 10.0.0.1",
        "ip proto 6 or 17",
        "ip proto (6 or not 17)",
        "proto 6 or \\udp",
        "ip6 proto not 6",
        "not not ip host 10.0.0.1 or 10.0.0.2",
        "host 10.1 or 2001:db8::1",
        "net 10.0.0.2/31 or 10.0.0.0 mask 255.255.255.252",
        "port 80 or 443 > 5",
        "port http or domain",
        "portrange domain-http",
        "udp port domain or not tcp port http",
        "net 0 or 10",
        "port 0x50 or 0120",
    };
    unsigned count[3] = {0, 0, 0};

    (void)state;
    seed = 1993;
    for (size_t i = 0; i < sizeof(exprs) / sizeof(exprs[0]); i++) {
        struct at_filter *filter;
        struct at_expr *e;

        assert_int_equal(at_expr_parse(&e, exprs[i], 0, NULL), AT_OK);
        assert_int_equal(at_filter_open(&filter, exprs[i], 0, NULL), AT_OK);
        on_packets(e, filter, AT_LINK_ETHERNET, 0, 1500, count);
        at_filter_close(filter);
        at_expr_free(e);
    }
    assert_int_not_equal(count[AT_YES], 0);
}

/* Link types that at_decode() and libpcap read differently: all is MAYBE. */
static void foreign_links_are_maybe(void **state)
{
    static const uint8_t ppp[40] = {0x00, 0x21, 0x45};
    struct at_facts facts;
    struct at_headers h;
    struct at_expr *e;
    struct at_packet pkt = {.data = ppp, .cap_bytes = 40, .wire_bytes = 40};

    (void)state;
    assert_int_equal(at_expr_parse(&e, "ip or not ip", 0, NULL), AT_OK);
    pkt.linktype = AT_LINK_PPP;
    at_decode(&h, &pkt);
    facts = at_facts_of(&h);
    assert_int_equal(at_expr_judge(e, &facts), AT_MAYBE);
    pkt.linktype = 127;
    at_decode(&h, &pkt);
    facts = at_facts_of(&h);
    assert_int_equal(at_expr_judge(e, &facts), AT_MAYBE);
    at_expr_free(e);
}

/* What a set of packets has in common may hold less than one packet's. */
static void sets_of_packets(void **state)
{
    static const uint8_t src[4] = {10, 0, 0, 1}, dst[4] = {10, 0, 0, 2};
    struct at_facts f = {.net = AT_NET_IPV4,
                         .proto = 6,
                         .ethertype = 0x800,
                         .sport = 1024,
                         .dport = 80,
                         .src = src,
                         .dst = dst};
    struct at_expr *e;

    (void)state;
    assert_int_equal(at_expr_parse(&e, "port 80", 0, NULL), AT_OK);
    assert_int_equal(at_expr_judge(e, &f), AT_YES);
    f.flags = AT_DECODED_LATER;
    assert_int_equal(at_expr_judge(e, &f), AT_MAYBE);
    f.flags = AT_DECODED_TAGGED;
    assert_int_equal(at_expr_judge(e, &f), AT_YES);
    f.flags = AT_DECODED_CUT;
    assert_int_equal(at_expr_judge(e, &f), AT_MAYBE);
    assert_int_equal(at_expr_judge_leaf(e, at_expr_root(e), &f), AT_YES);
    f.dport = 81;
    assert_int_equal(at_expr_judge(e, &f), AT_NO);
    at_expr_free(e);
    assert_int_equal(at_expr_parse(&e, "", 0, NULL), AT_OK);
    f.flags = AT_DECODED_CUT | AT_DECODED_FOREIGN;
    assert_int_equal(at_expr_judge(e, &f), AT_YES);
    at_expr_free(e);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(primitives),
        cmocka_unit_test(short_addresses),
        cmocka_unit_test(precedence),
        cmocka_unit_test(inheritance),
        cmocka_unit_test(opaque_spans),
        cmocka_unit_test(inner_spans),
        cmocka_unit_test(inner_of_flows),
        cmocka_unit_test(tags),
        cmocka_unit_test(literal_and_opaque),
        cmocka_unit_test(syntax_errors),
        cmocka_unit_test(deep_nesting),
        cmocka_unit_test(cut_anywhere),
        cmocka_unit_test(grammar_is_libpcaps),
        cmocka_unit_test(verdicts_are_libpcaps),
        cmocka_unit_test(verdicts_through_tags),
        cmocka_unit_test(verdicts_behind_named_tags),
        cmocka_unit_test(foreign_links_are_maybe),
        cmocka_unit_test(sets_of_packets),
    };

    return cmocka_run_group_tests_name("expr", tests, NULL, NULL);
}
