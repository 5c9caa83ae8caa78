/*
 * filter_test.c - at_filter_open(), and what it sees through tags
 *
 * The rule under test: a packet with tags gets the answer that the same
 * packet without them would get.
 */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "archive_trace.h"
#include "inner.h"

/* TCP from 10.1.2.3 port 1024 to 10.9.8.7 port 443, SYN, no payload. */
static const uint8_t tcp4[40] = {
    0x45, 0, 0, 40,  0, 1, 0x40, 0, 64, 6, 0, 0, 10,   1, 2,  3, 10, 9, 8, 7,
    4,    0, 1, 187, 0, 0, 0,    1, 0,  0, 0, 0, 0x50, 2, 16, 0, 0,  0, 0, 0};

/* UDP over IPv6 from 2001:db8::1 port 53 to 2001:db8::2 port 1024. */
static const uint8_t udp6[48] = {
    0x60, 0, 0, 0, 0, 8, 17, 64, 0x20, 1,  0xd, 0xb8, 0, 0, 0, 0,
    0,    0, 0, 0, 0, 0, 0,  1,  0x20, 1,  0xd, 0xb8, 0, 0, 0, 0,
    0,    0, 0, 0, 0, 0, 0,  2,  0,    53, 4,   0,    0, 8, 0, 0};

struct frame {
    uint8_t *data;
    uint32_t len;
};

static void append(struct frame *f, const void *bytes, uint32_t n)
{
    if (n == 0)
        return;
    f->data = realloc(f->data, f->len + n);
    assert_non_null(f->data);
    memcpy(f->data + f->len, bytes, n);
    f->len += n;
}

/* 'link' zeros, then 'tags' with the type at its end, then 'net'. */
static struct frame make(uint32_t link, const void *tags, uint32_t tag_bytes,
                         const void *net, uint32_t net_bytes)
{
    static const uint8_t zeros[16];
    struct frame f = {NULL, 0};

    append(&f, zeros, link);
    append(&f, tags, tag_bytes);
    append(&f, net, net_bytes);
    return f;
}

static bool matches(const char *expr, unsigned flags, uint16_t linktype,
                    const struct frame *f)
{
    struct at_packet pkt = {.linktype = linktype,
                            .data = f->data,
                            .cap_bytes = f->len,
                            .wire_bytes = f->len};
    struct at_filter *filter;
    struct at_error err;
    bool match;

    if (at_filter_open(&filter, expr, flags, &err) != AT_OK)
        fail_msg("%s: %s", expr, err.msg);
    match = at_filter_match(filter, &pkt);
    at_filter_close(filter);
    return match;
}

/* ---- opening --------------------------------------------------------- */

static void expect_error(const char *expr, int column, const char *part)
{
    struct at_filter *filter;
    struct at_error err;

    assert_int_equal(at_filter_open(&filter, expr, 0, &err), AT_ERR_SYNTAX);
    assert_null(filter);
    assert_int_equal(err.status, AT_ERR_SYNTAX);
    if (err.column != column || strstr(err.msg, part) == NULL ||
        strstr(err.msg, expr) == NULL)
        fail_msg("%s: %d: %s", expr, err.column, err.msg);
    assert_int_equal(at_filter_open(&filter, expr, 0, NULL), AT_ERR_SYNTAX);
}

static void errors_show_at_open(void **state)
{
    (void)state;
    expect_error("tcp prot 80", 4, "syntax error");
    expect_error("host", 0, "syntax error");
    expect_error("udp or (tcp and port not (net 10))", 12, "syntax error");
    expect_error("ip or (vlan 5000 and tcp)", 12, "greater than maximum");
    expect_error("tcp and ip[0:3] = 1 or udp", 14, "data size");
    expect_error("ip or udp port ssh", 15, "port 'ssh' is tcp");
    expect_error("net 10.0.0.1/8", 4, "non-network bits set");
    expect_error("port nosuchservice", 5, "unknown port");
    at_filter_close(NULL);
}

/* Good for some link type only, or for no packet at all: no error. */
static void odd_but_good(void **state)
{
    static const char *const exprs[] = {"tcp and udp", "ifindex 3", "type mgt",
                                        "ether host 0:1:2:3:4:5", "1 = 2"};
    struct frame f = make(12, "\x08\x00", 2, tcp4, sizeof(tcp4));

    (void)state;
    for (size_t i = 0; i < sizeof(exprs) / sizeof(exprs[0]); i++)
        assert_false(matches(exprs[i], 0, AT_LINK_ETHERNET, &f));
    free(f.data);
}

static void empty_matches_all(void **state)
{
    struct frame f = make(1, "", 0, "", 0);

    (void)state;
    assert_true(matches("", 0, AT_LINK_ETHERNET, &f));
    assert_true(matches(" \n\t", 0, 9999, &f));
    assert_false(matches("not tcp", 0, AT_LINK_ERF, &f));
    free(f.data);
}

static void meta_always_matches(void **state)
{
    struct at_packet pkt = {.linktype = AT_LINK_ERF, .kind = AT_KIND_META};
    struct at_filter *filter;

    (void)state;
    assert_int_equal(at_filter_open(&filter, "tcp", 0, NULL), AT_OK);
    assert_true(at_filter_match(filter, &pkt));
    pkt.kind = AT_KIND_PAD;
    assert_true(at_filter_match(filter, &pkt));
    pkt.kind = AT_KIND_PACKET;
    assert_false(at_filter_match(filter, &pkt));
    at_filter_close(filter);
}

/* The optimiser of libpcap 1.10.3 makes a program of these that says no. */
static void not_misled_by_the_optimiser(void **state)
{
    struct frame f = make(12, "\x86\xdd", 2, udp6, sizeof(udp6));

    (void)state;
    assert_true(matches("net 2001:db8::/33 and src and dst net 2001:db8::/33",
                        0, AT_LINK_ETHERNET, &f));
    free(f.data);
}

static void link_types(void **state)
{
    static const struct {
        uint16_t linktype;
        uint32_t zeros;
        const char *type;
        uint32_t type_bytes;
    } table[] = {
        {AT_LINK_ETHERNET, 12, "\x08\x00", 2},
        {AT_LINK_RAW, 0, "", 0},
        {AT_LINK_IPV4, 0, "", 0},
        {AT_LINK_LINUX_SLL, 14, "\x08\x00", 2},
        {AT_LINK_LINUX_SLL2, 0, "\x08\x00\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0",
         20},
        {AT_LINK_C_HDLC, 0, "\x0f\x00\x08\x00", 4},
        {AT_LINK_PPP, 0, "\xff\x03\x00\x21", 4},
        {AT_LINK_PPP_HDLC, 0, "\xff\x03\x00\x21", 4},
        {AT_LINK_LOOP, 0, "\0\0\0\x02", 4},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        struct frame f = make(table[i].zeros, table[i].type,
                              table[i].type_bytes, tcp4, sizeof(tcp4));

        assert_true(matches("tcp dst port 443 and src net 10.1", 0,
                            table[i].linktype, &f));
        assert_false(matches("host 10.1.2.4", 0, table[i].linktype, &f));
        free(f.data);
    }
}

/* ---- tags ------------------------------------------------------------ */

struct tagging {
    const char *name;
    const char *bytes;
    uint32_t len;
};

#define TAGGING(name, bytes)                                                   \
    {                                                                          \
        name, bytes, sizeof(bytes) - 1                                         \
    }

static const struct tagging taggings4[] = {
    TAGGING("none", "\x08\x00"),
    TAGGING("802.1Q", "\x81\x00\x00\x05\x08\x00"),
    TAGGING("802.1ad", "\x88\xa8\x00\x05\x81\x00\x00\x06\x08\x00"),
    TAGGING("9100", "\x91\x00\x00\x05\x92\x00\x00\x06\x08\x00"),
    TAGGING("MPLS", "\x88\x47\x00\x01\x01\x40"),
    TAGGING("MPLS 3", "\x88\x48\0\1\0\x40\0\2\0\x40\0\3\1\x40"),
    TAGGING("PPPoE", "\x88\x64\x11\x00\x00\x07\x00\x2a\x00\x21"),
    TAGGING("VLAN MPLS", "\x81\x00\x00\x05\x88\x47\x00\x01\x01\x40"),
    TAGGING("VLAN PPPoE",
            "\x81\x00\x00\x05\x88\x64\x11\x00\x00\x07\x00\x2a\x00\x21"),
    TAGGING("PPPoE MPLS",
            "\x88\x64\x11\x00\x00\x07\x00\x2a\x02\x81\x00\x01\x01\x40"),
};

static const struct tagging taggings6[] = {
    TAGGING("none", "\x86\xdd"),
    TAGGING("802.1Q", "\x81\x00\x00\x05\x86\xdd"),
    TAGGING("MPLS", "\x88\x47\x00\x01\x01\x40"),
    TAGGING("PPPoE", "\x88\x64\x11\x00\x00\x07\x00\x32\x00\x57"),
};

static const char *const questions[] = {"host 10.1.2.3",
                                        "dst net 10.9.0.0/16",
                                        "tcp port 443",
                                        "port 53",
                                        "not udp",
                                        "ip",
                                        "ip6",
                                        "arp",
                                        "net 2001:db8::/32",
                                        "icmp or udp",
                                        "tcp[tcpflags] & tcp-syn != 0",
                                        "ip[8] = 64",
                                        "len = 54",
                                        "len = 62",
                                        "less 54",
                                        "greater 55",
                                        "ether[12:2] = 0x800",
                                        "ip[ip[3] - 6] = 16"};

static void ask_all(const struct tagging *t, size_t n, uint16_t linktype,
                    uint32_t zeros, const uint8_t *net, uint32_t net_bytes)
{
    struct frame plain = make(zeros, t[0].bytes, t[0].len, net, net_bytes);

    for (size_t i = 1; i < n; i++) {
        struct frame tagged = make(zeros, t[i].bytes, t[i].len, net, net_bytes);

        for (size_t k = 0; k < sizeof(questions) / sizeof(questions[0]); k++)
            if (matches(questions[k], 0, linktype, &plain) !=
                matches(questions[k], 0, linktype, &tagged))
                fail_msg("%s: \"%s\" differs", t[i].name, questions[k]);
        free(tagged.data);
    }
    free(plain.data);
}

static void same_answer_through_tags(void **state)
{
    const size_t n4 = sizeof(taggings4) / sizeof(taggings4[0]);
    const size_t n6 = sizeof(taggings6) / sizeof(taggings6[0]);

    (void)state;
    ask_all(taggings4, n4, AT_LINK_ETHERNET, 12, tcp4, sizeof(tcp4));
    ask_all(taggings4, n4, AT_LINK_LINUX_SLL, 14, tcp4, sizeof(tcp4));
    ask_all(taggings4, n4, AT_LINK_C_HDLC, 2, tcp4, sizeof(tcp4));
    ask_all(taggings6, n6, AT_LINK_ETHERNET, 12, udp6, sizeof(udp6));
}

static void mpls_over_ppp(void **state)
{
    struct frame f = make(0, "\xff\x03\x02\x81\0\1\1\x40", 8, tcp4, 40);

    (void)state;
    assert_true(matches("host 10.1.2.3", 0, AT_LINK_PPP, &f));
    assert_false(matches("host 10.1.2.3", AT_FILTER_LITERAL, AT_LINK_PPP, &f));
    free(f.data);
}

static void literal_when_asked_or_named(void **state)
{
    struct frame f = make(12, "\x81\x00\x00\x05\x08\x00", 6, tcp4, 40);

    (void)state;
    assert_true(matches("host 10.1.2.3", 0, AT_LINK_ETHERNET, &f));
    assert_false(
        matches("host 10.1.2.3", AT_FILTER_LITERAL, AT_LINK_ETHERNET, &f));
    assert_true(matches("vlan 5", 0, AT_LINK_ETHERNET, &f));
    assert_true(matches("vlan 5 and host 10.1.2.3", 0, AT_LINK_ETHERNET, &f));
    assert_false(matches("host 10.1.2.3 and vlan", 0, AT_LINK_ETHERNET, &f));
    assert_false(matches("ip or pppoed", 0, AT_LINK_ETHERNET, &f));
    assert_false(matches("tcp or(mpls)", 0, AT_LINK_ETHERNET, &f));
    assert_true(matches("tcp or not pppoes", 0, AT_LINK_ETHERNET, &f));
    free(f.data);
}

/* An expression may make sense for one link type and none for another. */
static void checked_for_a_link_type(void **state)
{
    struct at_filter *filter;
    struct at_error err;

    (void)state;
    assert_int_equal(at_filter_open(&filter, "tcp and vlan 7", 0, &err), AT_OK);
    assert_int_equal(at_filter_check(filter, AT_LINK_ETHERNET, &err), AT_OK);
    assert_int_equal(at_filter_check(filter, AT_LINK_RAW, &err), AT_ERR_SYNTAX);
    assert_int_equal(err.column, 8);
    assert_non_null(strstr(err.msg, "no VLAN support"));
    at_filter_close(filter);
    assert_int_equal(at_filter_open(&filter, "", 0, &err), AT_OK);
    assert_int_equal(at_filter_check(filter, AT_LINK_RAW, &err), AT_OK);
    at_filter_close(filter);
}

/* 'localhost' can be looked up anywhere; no tag is a part of a word. */
static void not_inside_a_name(void **state)
{
    struct frame f = make(12, "\x81\x00\x00\x05\x08\x00", 6, tcp4, 40);
    struct at_filter *filter;
    struct at_error err;

    (void)state;
    assert_int_equal(at_filter_open(&filter, "host vlan-host.invalid", 0, &err),
                     AT_ERR_SYNTAX);
    assert_int_equal(err.column, 5);
    assert_true(matches("tcp or host localhost", 0, AT_LINK_ETHERNET, &f));
    assert_true(matches("ether proto \\ip", 0, AT_LINK_ETHERNET, &f));
    free(f.data);
}

/* What is not IP stays behind its label or its PPP header. */
static void unknown_payloads(void **state)
{
    struct frame lcp = make(12, "\x88\x64\x11\x00\0\7\0\x2a\xc0\x21", 10, tcp4,
                            40);
    struct frame wire = make(12, "\x81\x00\x00\x05\x88\x47\x00\x01\x01\x40\x00",
                             11, tcp4, 40);

    (void)state;
    assert_false(matches("ip", 0, AT_LINK_ETHERNET, &lcp));
    assert_true(matches("ether proto 0x8864", 0, AT_LINK_ETHERNET, &lcp));
    assert_false(matches("ip", 0, AT_LINK_ETHERNET, &wire));
    assert_true(matches("ether proto 0x8847", 0, AT_LINK_ETHERNET, &wire));
    free(lcp.data);
    free(wire.data);
}

/* Bytes far behind the headers, in packets longer than any small buffer. */
static void far_offsets(void **state)
{
    enum { MANY = 262144 };
    uint8_t *net = calloc(1, MANY);
    struct frame f;

    (void)state;
    assert_non_null(net);
    memcpy(net, tcp4, sizeof(tcp4));
    net[1400] = 42;
    net[200000] = 43;
    f = make(12, "\x81\x00\x00\x05\x08\x00", 6, net, MANY - 18);
    assert_true(matches("ip[1400] = 42", 0, AT_LINK_ETHERNET, &f));
    assert_true(matches("ip[200000] = 43", 0, AT_LINK_ETHERNET, &f));
    assert_true(matches("ip[ip[8] * 3125] = 43", 0, AT_LINK_ETHERNET, &f));
    assert_true(matches("len = 262140", 0, AT_LINK_ETHERNET, &f));
    assert_false(matches("ip[262126] = 0", 0, AT_LINK_ETHERNET, &f));
    free(f.data);
    free(net);
}

/* Every length, in memory of just that length, for the sanitizer to watch. */
static void cut_anywhere(void **state)
{
    static const char *const exprs[] = {"tcp port 443", "not host 10.1.2.3",
                                        "ip[ip[3] - 6] = 16"};
    const size_t n = sizeof(taggings4) / sizeof(taggings4[0]);

    (void)state;
    for (size_t i = 0; i < n; i++) {
        struct frame whole = make(12, taggings4[i].bytes, taggings4[i].len,
                                  tcp4, 40);

        for (uint32_t len = 0; len <= whole.len; len++) {
            struct frame cut = {malloc(len + 1), len};

            assert_non_null(cut.data);
            cut.data = realloc(cut.data, len > 0 ? len : 1);
            memcpy(cut.data, whole.data, len);
            for (size_t k = 0; k < 3; k++)
                (void)matches(exprs[k], 0, AT_LINK_ETHERNET, &cut);
            free(cut.data);
        }
        free(whole.data);
    }
}

/* ---- threads --------------------------------------------------------- */

/* Link types that the filter has not met, met by all threads at once. */
static void *match_many(void *arg)
{
    static const uint16_t links[] = {AT_LINK_RAW, AT_LINK_IPV4,
                                     AT_LINK_PPP, AT_LINK_LOOP,
                                     127,         AT_LINK_ETHERNET};
    struct at_filter *filter = arg;
    uintptr_t matched = 0;

    for (unsigned i = 0; i < 600; i++) {
        const struct at_packet pkt = {.linktype = links[i % 6],
                                      .data = tcp4,
                                      .cap_bytes = sizeof(tcp4),
                                      .wire_bytes = sizeof(tcp4)};

        matched += at_filter_match(filter, &pkt);
    }
    return (void *)matched;
}

static void many_threads(void **state)
{
    struct at_filter *filter;
    pthread_t threads[4];

    (void)state;
    assert_int_equal(at_filter_open(&filter, "tcp port 443", 0, NULL), AT_OK);
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, match_many, filter),
                         0);
    for (size_t i = 0; i < 4; i++) {
        void *matched;

        assert_int_equal(pthread_join(threads[i], &matched), 0);
        assert_int_equal((uintptr_t)matched, 200); /* RAW and IPV4 */
    }
    at_filter_close(filter);
}

/* ---- inner ----------------------------------------------------------- */

static void how_far_inner_reaches(void **state)
{
    static const struct {
        const char *text, *operand;
    } cases[] = {
        {"inner tcp", "inner tcp"},
        {"inner host a and b", "inner host a"},
        {"tcp or inner (host a or b) or udp", "inner (host a or b)"},
        {"inner src or dst host a || b", "inner src or dst host a"},
        {"not inner src and dst net a", "inner src and dst net a"},
        {"(udp and inner ip[0] & (1|2) != 3) and tcp",
         "inner ip[0] & (1|2) != 3"},
        {"inner not not (a) ) tcp", "inner not not (a)"},
        {"inner inner tcp && udp", "inner inner tcp"},
        {"inner(tcp)", "inner(tcp)"},
        {"inner ip proto \\and and b", "inner ip proto \\and"},
        {"inner (((", "inner ((("},
        {"host inner", NULL},
        {"host inner and src inner or tcp", NULL},
        {"inner", NULL},
        {"inner and tcp", NULL},
        {"inner not", NULL},
        {"inner-host tcp", NULL},
        {"inners tcp", NULL},
        {"(inner)", NULL},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        size_t at = 0, n;
        const bool found = at_inner_next(cases[i].text, &at, &n);

        assert_int_equal(found, cases[i].operand != NULL);
        if (found) {
            assert_int_equal(n, strlen(cases[i].operand));
            assert_memory_equal(cases[i].text + at, cases[i].operand, n);
        }
    }
}

/* A column is that of the whole expression, whoever finds the mistake. */
static void columns_of_inner(void **state)
{
    static const struct {
        const char *text;
        int column;
    } cases[] = {
        {"inner tcp and inner host 1.2.3.4.5", 25},
        {"inner (tcp) and host 1.2.3.4.5", 21},
        {"tcp or not inner (port 70000)", 23},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct at_filter *filter;
        struct at_error err;

        assert_int_equal(at_filter_open(&filter, cases[i].text, 0, &err),
                         AT_ERR_SYNTAX);
        assert_int_equal(err.column, cases[i].column);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(errors_show_at_open),
        cmocka_unit_test(checked_for_a_link_type),
        cmocka_unit_test(odd_but_good),
        cmocka_unit_test(empty_matches_all),
        cmocka_unit_test(meta_always_matches),
        cmocka_unit_test(not_misled_by_the_optimiser),
        cmocka_unit_test(link_types),
        cmocka_unit_test(same_answer_through_tags),
        cmocka_unit_test(mpls_over_ppp),
        cmocka_unit_test(literal_when_asked_or_named),
        cmocka_unit_test(not_inside_a_name),
        cmocka_unit_test(unknown_payloads),
        cmocka_unit_test(far_offsets),
        cmocka_unit_test(cut_anywhere),
        cmocka_unit_test(many_threads),
        cmocka_unit_test(how_far_inner_reaches),
        cmocka_unit_test(columns_of_inner),
    };

    return cmocka_run_group_tests_name("filter", tests, NULL, NULL);
}
