/*
 * term_test.c - flow terms: where they end, what they say; sets of networks
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "netset.h"
#include "term.h"

/* ---- where they end -------------------------------------------------- */

static void spans(void **state)
{
    (void)state;
    assert_int_equal(at_term_span("bytes > 1M and tcp"), 10);
    assert_int_equal(at_term_span("bytes>1M)"), 8);
    assert_int_equal(at_term_span("client host 10.0.0.1) or x"), 20);
    assert_int_equal(at_term_span("in \"a b (c)\" and"), 12);
    assert_int_equal(at_term_span("state syn"), 9);
    assert_int_equal(at_term_span("server bytes"), 12); /* what is missing? */
    assert_int_equal(at_term_span("bytes >"), 7);
    /* These are names, or the beginning of something else. */
    assert_int_equal(at_term_span("bytes"), 0);
    assert_int_equal(at_term_span("bytes and tcp"), 0);
    assert_int_equal(at_term_span("state or x"), 0);
    assert_int_equal(at_term_span("end.example and x"), 0);
    assert_int_equal(at_term_span("clients host 10.0.0.1"), 0);
    assert_int_equal(at_term_span("client"), 0);
    assert_int_equal(at_term_span("host 10.0.0.1"), 0);
    assert_int_equal(at_term_span("in \"no end"), 0);
    assert_int_equal(at_term_span(""), 0);
}

/* ---- what they say --------------------------------------------------- */

static const struct at_flow_row flow = {
    .start_ns = 1000000000,
    .end_ns = 3000000000,
    .packets = {3, 2},
    .bytes = {300, 1700},
    .src = {10, 1, 2, 3},
    .dst = {192, 0, 2, 80},
    .sport = 40000,
    .dport = 80,
    .net = AT_NET_IPV4,
    .proto = 6,
    .tcp_flags = {0x1b, 0x12},
    .state = AT_FLOW_ESTABLISHED,
    .end = AT_FLOW_END_IDLE,
    .rtt_us = 1500,
    .retransmitted = {1, 0},
};

static bool is_true(const char *text)
{
    struct at_error err;
    struct at_term t;
    bool answer;

    if (at_term_parse(&t, text, strlen(text), &err) != AT_OK)
        fail_msg("%s: %s", text, err.msg);
    answer = at_term_true(&t, &flow, "north");
    at_term_close(&t);
    return answer;
}

static void truth(void **state)
{
    static const char *const yes[] = {
        "bytes = 2k",
        "bytes >= 2000",
        "bytes <= 2000",
        "client bytes < 301",
        "server bytes > 1.6k",
        "packets != 4",
        "client packets = 3",
        "duration = 2s",
        "duration > 1999ms",
        "rate = 8k",
        "rate >= 8000",
        "rtt = 1500us",
        "rtt < 2ms",
        "retransmits = 1",
        "client retransmits > 0",
        "flags SA",
        "flags fin",
        "server flags syn,ack",
        "state established",
        "end idle",
        "stream north",
        "client host 10.1.2.3",
        "client net 10.0.0.0/8",
        "server net 0.0.0.0/0",
        "server port 80",
        "client portrange 40010-39990",
    };
    static const char *const no[] = {
        "bytes > 2000",
        "bytes < 2k",
        "bytes != 2000",
        "server packets > 2",
        "duration < 2s",
        "rate > 8k",
        "server flags F",
        "flags R",
        "state closed",
        "end fin",
        "stream nort",
        "client port 80",
        "server host 10.1.2.3",
        "server net 2001:db8::/32",
        "server portrange 81-90",
        "rtt > 1500us",
        "server retransmits > 0",
    };

    (void)state;
    for (size_t i = 0; i < sizeof(yes) / sizeof(yes[0]); i++)
        if (!is_true(yes[i]))
            fail_msg("%s", yes[i]);
    for (size_t i = 0; i < sizeof(no) / sizeof(no[0]); i++)
        if (is_true(no[i]))
            fail_msg("not %s", no[i]);
}

static void mistakes(void **state)
{
    static const struct {
        const char *text;
        int column;
    } wrong[] = {
        {"bytes > x", 8},
        {"bytes => 1", 6},
        {"duration > -1s", 11},
        {"client host 10.0.0", 12},
        {"client net 10.0.0.1/8", 11},
        {"client net ::/129", 11},
        {"server port 65536", 12},
        {"server portrange 1-x", 17},
        {"flags Q", 6},
        {"flags syn,", 6},
        {"state open", 6},
        {"end never", 4},
        {"bytes >", 7},
        {"server packets", 14},
    };
    struct at_error err;
    struct at_term t;

    (void)state;
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        const char *text = wrong[i].text;

        assert_int_equal(at_term_parse(&t, text, strlen(text), &err),
                         AT_ERR_SYNTAX);
        if (err.column != wrong[i].column)
            fail_msg("%s: %d: %s", text, err.column, err.msg);
    }
}

/* ---- sets ------------------------------------------------------------ */

static enum at_status open_set(struct at_netset **set, const char *text,
                               struct at_error *err)
{
    char path[] = "/tmp/term_test-XXXXXX";
    const int fd = mkstemp(path);
    enum at_status st;

    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    close(fd);
    st = at_netset_open(set, path, err);
    unlink(path);
    return st;
}

static void sets(void **state)
{
    static const uint8_t below[] = {9, 255, 255, 255}, low[] = {10, 0, 0, 0},
                         high[] = {10, 0, 1, 255}, above[] = {10, 0, 2, 0},
                         v6[16] = {0x20, 1, 0xd, 0xb8, [15] = 9},
                         other[16] = {10, 0, 0, 1};
    struct at_netset *set;

    (void)state;
    assert_int_equal(open_set(&set,
                              "# both halves and a part of one\n"
                              "10.0.1.0/24 upper\n\n10.0.0.7\n"
                              "\t10.0.0.0/24\r\n2001:db8::/32#v6",
                              NULL),
                     AT_OK);
    assert_true(at_netset_has(set, low, 4));
    assert_true(at_netset_has(set, high, 4));
    assert_false(at_netset_has(set, below, 4));
    assert_false(at_netset_has(set, above, 4));
    assert_true(at_netset_has(set, v6, 16));
    assert_false(at_netset_has(set, other, 16));
    at_netset_close(set);
    assert_int_equal(open_set(&set, "", NULL), AT_OK);
    assert_false(at_netset_has(set, low, 4));
    at_netset_close(set);
    assert_int_equal(open_set(&set, "0.0.0.0/0\n::/0\n", NULL), AT_OK);
    assert_true(at_netset_has(set, above, 4) && at_netset_has(set, v6, 16));
    at_netset_close(set);
}

static void bad_sets(void **state)
{
    static const char *const text[] = {"10.0.0.0/33", "10/8", "::/-1",
                                       "1.2.3.4/",    "x",    "1.2.3.4/8x"};
    struct at_netset *set;
    struct at_error err;

    (void)state;
    for (size_t i = 0; i < sizeof(text) / sizeof(text[0]); i++) {
        assert_int_equal(open_set(&set, text[i], &err), AT_ERR_FORMAT);
        assert_null(set);
        assert_non_null(strstr(err.msg, "line 1"));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(spans),    cmocka_unit_test(truth),
        cmocka_unit_test(mistakes), cmocka_unit_test(sets),
        cmocka_unit_test(bad_sets),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
