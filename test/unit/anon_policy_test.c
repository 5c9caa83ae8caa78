/*
 * anon_policy_test.c - policies as text, special addresses, and the audit
 */
#include "common.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "audit.h"
#include "mask.h"

static struct at_policy parsed(const char *text)
{
    struct at_policy p;
    struct at_error err;

    assert_true(at_policy_set(&p, "headers"));
    if (at_policy_parse(&p, "test", text, &err) != AT_OK)
        fail_msg("%s", err.msg);
    return p;
}

/* ---- text ------------------------------------------------------------ */

static void test_presets(void **state)
{
    const char *name;

    (void)state;
    for (size_t i = 0; (name = at_policy_preset(i)) != NULL; i++) {
        struct at_policy p, q;
        struct at_text text = {0}, again = {0};

        assert_true(at_policy_set(&p, name));
        at_policy_print(&text, &p);
        at_text_add(&text, "", 1);
        q = parsed(text.p);
        at_policy_print(&again, &q);
        assert_int_equal(text.n, again.n + 1);
        assert_memory_equal(text.p, again.p, again.n);
        at_text_close(&text);
        at_text_close(&again);
    }
    assert_int_equal(parsed("preset = strict").scheme, AT_SCHEME_PFX);
}

/* What is printed is what was said, for keys of every kind. */
static void test_round_trip(void **state)
{
    static const char *const lines[] = {
        "scheme-source = truncate",
        "inside = 10.0.0.0/8, 2001:db8:0:0:0:0:0:0/32",
        "mac-inside = 02:00:00:00:00:01, 02:00:00:00:00:02",
        "prefix4 = 192.168.0.0/16",
        "truncate6 = 56",
        "payload = zero:12",
        "payload-ports = 53:12, 1000-2000:keep",
        "time-shift = -3600000000000ns",
        "special-private = class",
        "dns = rewrite",
        "unknown = drop",
    };

    (void)state;
    for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
        const struct at_policy p = parsed(lines[i]);
        struct at_text text = {0};

        at_policy_print(&text, &p);
        at_text_add(&text, "", 1);
        assert_non_null(strstr(text.p, lines[i]));
        at_text_close(&text);
    }
}

static void test_bad_policies(void **state)
{
    static const char *const lines[] = {
        "payloads = drop",
        "payload = none",
        "payload",
        "= drop",
        "payload =",
        "truncate4 = 33",
        "inside = 10.0.0.0/33",
        "keep = example.org",
        "mac-inside = 1:2",
        "payload-ports = 53",
        "payload-ports = 9-8:1",
        "payload-ports = 70000:1",
        "time-precision = -1s",
        "time-shift = soon",
        "preset = none",
        "prefix4 = ::/8",
        "prefix6 = 10.0.0.0/8",
        "special = yes",
        "payload = drop:x",
        "scheme = Cryptopan",
    };
    struct at_policy p;
    struct at_error err;

    (void)state;
    assert_true(at_policy_set(&p, "headers"));
    for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
        char text[128];

        snprintf(text, sizeof(text), "# one\n\n%s\nmac = keep\n", lines[i]);
        if (at_policy_parse(&p, "bad", text, &err) != AT_ERR_SYNTAX)
            fail_msg("'%s' was taken", lines[i]);
        assert_non_null(strstr(err.msg, "bad: line 3: "));
    }
    assert_int_equal(at_policy_load(&p, "/nonexistent/policy", &err),
                     AT_ERR_SYSTEM);
}

static void test_key_needed(void **state)
{
    struct at_policy p = parsed("scheme = truncate\nmac = zero\n");

    (void)state;
    assert_false(at_policy_needs_key(&p));
    p.mac = AT_MAC_OUI;
    assert_true(at_policy_needs_key(&p));
    p = parsed("scheme = none\nmac = keep\nscheme-inside = cryptopan\n");
    assert_true(at_policy_needs_key(&p));
}

/* ---- masks ----------------------------------------------------------- */

static struct at_key key = {.bytes = "an example key of 32 bytes, yes"};

static struct at_mask *open_mask(const struct at_policy *p)
{
    struct at_mask *m;
    struct at_error err;

    assert_int_equal(at_mask_open(&m, p, &key, &err), AT_OK);
    return m;
}

static void check_block(struct at_mask *m, const char *text, bool same)
{
    struct at_net_prefix net;
    uint32_t seed = 7;

    assert_true(at_net_prefix_parse(&net, text, strlen(text)));
    for (unsigned i = 0; i < 3000; i++) {
        uint8_t was[16], now[16];

        for (size_t k = 0; k < 16; k++)
            was[k] = (uint8_t)(next_random(&seed) >> 8);
        for (unsigned k = 0; k < net.bits; k++) {
            const uint8_t bit = (uint8_t)(0x80 >> k % 8);

            was[k / 8] = (uint8_t)((was[k / 8] & ~bit) |
                                   (net.address[k / 8] & bit));
        }
        memcpy(now, was, 16);
        at_mask_address(m, now, net.bytes, AT_ROLE_NONE);
        assert_true(at_net_prefix_has(&net, now, net.bytes));
        if (same)
            assert_memory_equal(was, now, net.bytes);
        else if (net.bits + 8 < net.bytes * 8 && i == 0)
            assert_memory_not_equal(was, now, net.bytes);
    }
}

static void test_special(void **state)
{
    const struct at_policy p = parsed("special = class\n"
                                      "special-multicast = keep\n"
                                      "keep = 198.51.100.0/24\n");
    struct at_mask *m = open_mask(&p);

    (void)state;
    check_block(m, "10.0.0.0/8", false);
    check_block(m, "192.168.0.0/16", false);
    check_block(m, "fe80::/64", false);
    check_block(m, "fc00::/7", false);
    check_block(m, "224.0.0.0/4", true);
    check_block(m, "ff05::/16", true);
    check_block(m, "198.51.100.0/24", true);
    check_block(m, "255.255.255.255/32", true);
    check_block(m, "ff02::1:ff00:0/104", false);
    at_mask_close(m);
}

static int by_value(const void *a, const void *b)
{
    const uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

    return x < y ? -1 : x > y;
}

/* No two addresses become one, with half of what they could become taken. */
static void test_special_one_to_one(void **state)
{
    enum { N = 1 << 17 };
    const struct at_policy p = parsed("special = class\n"
                                      "special-multicast = keep\n"
                                      "keep = 0.0.0.0/1\n");
    struct at_mask *m = open_mask(&p);
    uint32_t *image = malloc(N * sizeof(*image));

    (void)state;
    assert_non_null(image);
    for (uint32_t i = 0; i < N; i++) {
        const uint32_t v = i << 15;

        image[i] = htonl(v);
        at_mask_address(m, (uint8_t *)&image[i], 4, AT_ROLE_NONE);
        assert_int_equal(ntohl(image[i]) >> 31 == 0, v >> 31 == 0);
    }
    qsort(image, N, sizeof(*image), by_value);
    for (uint32_t i = 1; i < N; i++)
        assert_int_not_equal(image[i], image[i - 1]);
    free(image);
    at_mask_close(m);
}

static void map_mac(const char *policy, const char *was, uint8_t now[6])
{
    const struct at_policy p = parsed(policy);
    struct at_mask *m = open_mask(&p);

    memcpy(now, was, 6);
    at_mask_mac(m, now);
    at_mask_close(m);
}

static void test_macs(void **state)
{
    static const char host[] = "\0\x1b\x21\1\2\3",
                      all[] = "\xff\xff\xff\xff\xff\xff";
    static const char node[] = "\x33\x33\xff\1\2\3";
    uint8_t now[6];

    (void)state;
    map_mac("mac = hash", host, now);
    assert_memory_not_equal(now, host, 3);
    assert_int_equal(now[0] & 3, 0);
    map_mac("mac = oui", host, now);
    assert_memory_equal(now, host, 3);
    assert_memory_not_equal(now, host, 6);
    map_mac("mac = zero", host, now);
    assert_memory_equal(now, "\0\0\0\0\0\0", 6);
    map_mac("mac = role\nmac-inside = 00:1b:21:01:02:03", host, now);
    assert_memory_equal(now, "\2\0\0\0\0\1", 6);
    map_mac("mac = role", host, now);
    assert_memory_equal(now, "\2\0\0\0\0\2", 6);
    map_mac("mac = keep", host, now);
    assert_memory_equal(now, host, 6);
    map_mac("mac = keep", node, now);
    assert_memory_equal(now, node, 3);
    assert_memory_not_equal(now, node, 6);
    map_mac("mac = hash", all, now);
    assert_memory_equal(now, all, 6);
    map_mac("mac = hash", "\1\x80\xc2\0\0\0", now);
    assert_memory_equal(now, "\1\x80\xc2\0\0\0", 6);
}

/* Of 65536 neighbours none meets another. */
static void test_macs_one_to_one(void **state)
{
    const struct at_policy p = parsed("mac = oui");
    struct at_mask *m = open_mask(&p);
    uint8_t *seen = calloc(1 << 24, 1);

    (void)state;
    assert_non_null(seen);
    for (uint32_t i = 0; i < 65536; i++) {
        uint8_t mac[6] = {0, 0x1b, 0x21, 0, (uint8_t)(i >> 8), (uint8_t)i};
        uint32_t low;

        at_mask_mac(m, mac);
        low = (uint32_t)mac[3] << 16 | (uint32_t)mac[4] << 8 | mac[5];
        assert_int_equal(seen[low], 0);
        seen[low] = 1;
    }
    free(seen);
    at_mask_close(m);
}

/* ---- the audit ------------------------------------------------------- */

static const uint8_t host[4] = {192, 0, 2, 77}, image[4] = {7, 7, 7, 7};
static const uint8_t other[4] = {9, 9, 9, 9};

/* Leaks in a record with these bytes at its end, of which nothing is known. */
static uint64_t leaks_in(const void *p, size_t n, bool text, struct at_leak *l)
{
    struct bytes b = {.n = 0};
    struct at_packet pkt = {.format = AT_FORMAT_PCAP, .linktype = 147};
    struct at_audit *a;
    struct at_error err;
    size_t some;
    uint64_t all;

    add_zeros(&b, 16);
    add(&b, p, n);
    pkt.record = b.p;
    pkt.data = b.p + 16;
    pkt.record_bytes = (uint32_t)b.n;
    pkt.cap_bytes = pkt.wire_bytes = (uint32_t)n;
    assert_int_equal(at_audit_open(&a, text, &err), AT_OK);
    at_audit_learn(a, host, image, 4);
    assert_true(at_audit_record(a, &pkt));
    *l = at_audit_leaks(a, &some, &all)[0];
    assert_int_equal(some, all);
    at_audit_close(a);
    drop(&b);
    return all;
}

static void test_audit_finds(void **state)
{
    struct at_leak l;

    (void)state;
    assert_int_equal(leaks_in("....", 4, true, &l), 0);
    assert_int_equal(leaks_in("\7\7\7\7", 4, true, &l), 0);
    assert_int_equal(leaks_in("...\xc0\0\2\x4d", 7, false, &l), 1);
    assert_int_equal(l.offset, 19);
    assert_false(l.backwards);
    assert_int_equal(leaks_in("\x4d\2\0\xc0", 4, false, &l), 1);
    assert_true(l.backwards);
    assert_int_equal(leaks_in("from 192.0.2.77, ", 17, false, &l), 0);
    assert_int_equal(leaks_in("192.0.2.78 192.0.2.7", 20, true, &l), 0);
    assert_true(leaks_in("from 192.0.2.77, ", 17, true, &l) > 0);
    assert_true(l.as_text);
}

/* As addresses of a packet, in the place of one, and as a number. */
static void test_audit_fields(void **state)
{
    static const char frame[] = "\x45\0\0\x28\0\0\0\0\x40\6\0\0"
                                "\xc0\0\2\x4d\7\7\7\7"
                                "\0\1\0\2\xc0\0\2\x4d\0\0\0\0\x50\0\0\0\0\0\0";
    uint8_t record[16 + 40] = {0};
    struct at_packet pkt = {
        .record = record,
        .data = record + 16,
        .record_bytes = sizeof(record),
        .cap_bytes = 40,
        .wire_bytes = 40,
        .linktype = AT_LINK_RAW,
        .format = AT_FORMAT_PCAP,
    };
    struct at_audit *a;
    struct at_error err;
    size_t some;
    uint64_t all;

    (void)state;
    memcpy(record + 16, frame, sizeof(frame));
    assert_int_equal(at_audit_open(&a, false, &err), AT_OK);
    at_audit_learn(a, host, image, 4);
    assert_int_equal(at_audit_addresses(a), 1);
    assert_true(at_audit_record(a, &pkt));
    assert_int_equal(at_audit_leaks(a, &some, &all)[0].offset, 28);
    at_audit_leaks(a, &some, &all);
    assert_int_equal(all, 1);
    /* Once another address became it, nobody can say whose it is. */
    at_audit_learn(a, other, host, 4);
    assert_true(at_audit_record(a, &pkt));
    at_audit_leaks(a, &some, &all);
    assert_int_equal(all, 1);
    at_audit_close(a);
}

static void test_audit_many(void **state)
{
    struct at_audit *a;
    struct at_error err;
    uint8_t record[64] = {0};
    struct at_packet pkt = {
        .record = record,
        .data = record + 16,
        .record_bytes = 64,
        .cap_bytes = 48,
        .wire_bytes = 48,
        .linktype = 147,
        .format = AT_FORMAT_PCAP,
    };
    size_t some;
    uint64_t all;

    (void)state;
    assert_int_equal(at_audit_open(&a, false, &err), AT_OK);
    for (uint32_t i = 0; i < 100000; i++) {
        const uint8_t was[4] = {100, (uint8_t)(i >> 16), (uint8_t)(i >> 8),
                                (uint8_t)i};

        at_audit_learn(a, was, image, 4);
        at_audit_learn(a, was, image, 4);
    }
    assert_int_equal(at_audit_addresses(a), 100000);
    for (uint32_t i = 0; i < 25; i++) {
        memcpy(record + 20 + i, "\x64\0\1\1", 4);
        assert_true(at_audit_record(a, &pkt));
        memset(record + 16, 0, 48);
    }
    at_audit_leaks(a, &some, &all);
    assert_int_equal(some, AT_LEAKS_MOST);
    assert_true(all >= 25);
    at_audit_close(a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_presets),
        cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_bad_policies),
        cmocka_unit_test(test_key_needed),
        cmocka_unit_test(test_special),
        cmocka_unit_test(test_special_one_to_one),
        cmocka_unit_test(test_macs),
        cmocka_unit_test(test_macs_one_to_one),
        cmocka_unit_test(test_audit_finds),
        cmocka_unit_test(test_audit_fields),
        cmocka_unit_test(test_audit_many),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
