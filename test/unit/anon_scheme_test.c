/*
 * anon_scheme_test.c - schemes against what their authors published
 *
 * Crypto-PAn: the key and the sample trace of its distribution; for IPv6,
 * which the authors left open, what other implementations agree on.
 * ipcrypt-pfx: the vectors of draft-denis-ipcrypt.  libtrace's variant: what
 * traceanon of libtrace 4 makes of IPv4, and its arithmetic for IPv6.
 */
#include "common.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "key.h"
#include "scheme.h"

static const uint8_t pan_key[AT_KEY_BYTES] = {
    21,  34,  23,  141, 51,  164, 207, 128, 19, 10, 91, 22, 73, 144, 125, 16,
    216, 152, 143, 131, 121, 121, 101, 39,  98, 87, 76, 45, 42, 132, 34,  2};

static const uint8_t pfx_key[AT_KEY_BYTES] = {
    0x01, 0x23, 0x45, 0x67, 0x89, 0xab, 0xcd, 0xef, 0xfe, 0xdc, 0xba,
    0x98, 0x76, 0x54, 0x32, 0x10, 0x10, 0x32, 0x54, 0x76, 0x98, 0xba,
    0xdc, 0xfe, 0xef, 0xcd, 0xab, 0x89, 0x67, 0x45, 0x23, 0x01};

static const uint8_t pfx_key_2[AT_KEY_BYTES] = {
    0x2b, 0x7e, 0x15, 0x16, 0x28, 0xae, 0xd2, 0xa6, 0xab, 0xf7, 0x15,
    0x88, 0x09, 0xcf, 0x4f, 0x3c, 0xa9, 0xf5, 0xba, 0x40, 0xdb, 0x21,
    0x4c, 0x37, 0x98, 0xf2, 0xe1, 0xc2, 0x34, 0x56, 0x78, 0x9a};

struct pair {
    const char *from, *to;
};

static const struct pair pan_pairs[] = {
    {"128.11.68.132", "135.242.180.132"},
    {"129.118.74.4", "134.136.186.123"},
    {"130.132.252.244", "133.68.164.234"},
    {"141.223.7.43", "141.167.8.160"},
    {"141.233.145.108", "141.129.237.235"},
    {"152.163.225.39", "151.140.114.167"},
    {"156.29.3.236", "147.225.12.42"},
    {"165.247.96.84", "162.9.99.234"},
    {"166.107.77.190", "160.132.178.185"},
    {"192.102.249.13", "252.138.62.131"},
    {"192.215.32.125", "252.43.47.189"},
    {"192.233.80.103", "252.25.108.8"},
    {"192.41.57.43", "252.222.221.184"},
    {"193.150.244.223", "253.169.52.216"},
    {"195.205.63.100", "255.186.223.5"},
    {"198.200.171.101", "249.199.68.213"},
    {"198.26.132.101", "249.36.123.202"},
    {"198.36.213.5", "249.7.21.132"},
    {"198.51.77.238", "249.18.186.254"},
    {"199.217.79.101", "248.38.184.213"},
    {"202.49.198.20", "245.206.7.234"},
    {"203.12.160.252", "244.248.163.4"},
    {"204.184.162.189", "243.192.77.90"},
    {"204.202.136.230", "243.178.4.198"},
    {"204.29.20.4", "243.33.20.123"},
    {"205.178.38.67", "242.108.198.51"},
    {"205.188.147.153", "242.96.16.101"},
    {"205.188.248.25", "242.96.88.27"},
    {"205.245.121.43", "242.21.121.163"},
    {"207.105.49.5", "241.118.205.138"},
    {"207.135.65.238", "241.202.129.222"},
    {"207.155.9.214", "241.220.250.22"},
    {"207.188.7.45", "241.255.249.220"},
    {"207.25.71.27", "241.33.119.156"},
    {"207.33.151.131", "241.1.233.131"},
    {"208.147.89.59", "227.237.98.191"},
    {"208.234.120.210", "227.154.67.17"},
    {"208.28.185.184", "227.39.94.90"},
    {"208.52.56.122", "227.8.63.165"},
    {"209.12.231.7", "226.243.167.8"},
    {"209.238.72.3", "226.6.119.243"},
    {"209.246.74.109", "226.22.124.76"},
    {"209.68.60.238", "226.184.220.233"},
    {"209.85.249.6", "226.170.70.6"},
    {"212.120.124.31", "228.135.163.231"},
    {"212.146.8.236", "228.19.4.234"},
    {"212.186.227.154", "228.59.98.98"},
    {"212.204.172.118", "228.71.195.169"},
    {"212.206.130.201", "228.69.242.193"},
    {"216.148.237.145", "235.84.194.111"},
    {"216.157.30.252", "235.89.31.26"},
    {"216.184.159.48", "235.96.225.78"},
    {"216.227.10.221", "235.28.253.36"},
    {"216.254.18.172", "235.7.16.162"},
    {"216.32.132.250", "235.192.139.38"},
    {"216.35.217.178", "235.195.157.81"},
    {"24.0.250.221", "100.15.198.226"},
    {"24.13.62.231", "100.2.192.247"},
    {"24.14.213.138", "100.1.42.141"},
    {"24.5.0.80", "100.9.15.210"},
    {"24.7.198.88", "100.10.6.25"},
    {"24.94.26.44", "100.88.228.35"},
    {"38.15.67.68", "64.3.66.187"},
    {"4.3.88.225", "124.60.155.63"},
    {"63.14.55.111", "95.9.215.7"},
    {"63.195.241.44", "95.179.238.44"},
    {"63.97.7.140", "95.97.9.123"},
    {"64.14.118.196", "0.255.183.58"},
    {"64.34.154.117", "0.221.154.117"},
    {"64.39.15.238", "0.219.7.41"},
    {"10.185.25.118", "117.161.29.118"},
    {"::1", "78ff:f001:9fc0:20df:8380:b1f1:704:ed"},
    {"::2", "78ff:f001:9fc0:20df:8380:b1f1:704:ef"},
    {"::ffff", "78ff:f001:9fc0:20df:8380:b1f1:704:f838"},
    {"2001:db8::1", "4401:2bc:603f:d91d:27f:ff8e:e6f1:dc1e"},
    {"2001:db8::2", "4401:2bc:603f:d91d:27f:ff8e:e6f1:dc1c"},
};

static const struct pair pfx_pairs[] = {
    {"0.0.0.0", "151.82.155.134"},
    {"255.255.255.255", "94.185.169.89"},
    {"192.0.2.1", "100.115.72.131"},
    {"2001:db8::1", "c180:5dd4:2587:3524:30ab:fa65:6ab6:f88"},
};

static const struct pair pfx_pairs_2[] = {
    {"10.0.0.47", "19.214.210.244"},
    {"10.0.0.129", "19.214.210.80"},
    {"10.0.0.234", "19.214.210.30"},
    {"172.16.5.193", "210.78.229.136"},
    {"172.16.97.42", "210.78.179.241"},
    {"172.16.248.177", "210.78.121.215"},
    {"2001:db8::a5c9:4e2f:bb91:5a7d", "7cec:702c:1243:f70:1956:125:b9bd:1aba"},
    {"2001:db8::7234:d8f1:3c6e:9a52", "7cec:702c:1243:f70:a3ef:c8e:95c1:cd0d"},
    {"2001:db8::f1e0:937b:26d4:8c1a", "7cec:702c:1243:f70:443c:c8e:6a62:b64d"},
    {"2001:db8:3a5c:0:e7d1:4b9f:2c8a:f673",
     "7cec:702c:3503:bef:e616:96bd:be33:a9b9"},
    {"2001:db8:9f27:0:b4e2:7a3d:5f91:c8e6",
     "7cec:702c:a504:b74e:194a:3d90:b047:2d1a"},
    {"2001:db8:d8b4:0:193c:a5e7:8b2f:46d1",
     "7cec:702c:f840:aa67:1b8:e84f:ac9d:77fb"},
};

static const struct pair libtrace_pairs[] = {
    {"24.5.0.80", "216.5.123.175"},
    {"0.0.0.0", "199.248.7.255"},
    {"2001:db8::1", "ddfe:d1f8:8002:87f:ff03:8:8102:39"},
    {"2001:db8:1:2:3:4:5:6", "ddfe:d1f8:8003:703c:ff01:e0:102:f03b"},
};

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static struct at_scheme *open_scheme(enum at_scheme_kind kind,
                                     const uint8_t *key)
{
    struct at_scheme_options opts = {.kind = kind, .keep_bits = {24, 48}};
    struct at_scheme *s;
    struct at_error err;

    assert_true(at_net_prefix_parse(&opts.prefix[0], "10.1.0.0/16", 11));
    assert_true(at_net_prefix_parse(&opts.prefix[1], "fd00::/20", 9));
    assert_int_equal(at_scheme_open(&s, &opts, key, &err), AT_OK);
    return s;
}

static size_t parse(uint8_t *address, const char *text)
{
    if (inet_pton(AF_INET, text, address) == 1)
        return 4;
    assert_int_equal(inet_pton(AF_INET6, text, address), 1);
    return 16;
}

static void check_pairs(struct at_scheme *s, const struct pair *pair, size_t n)
{
    uint8_t from[16], to[16];

    /* Twice, so that nothing of one address is left for the next. */
    for (size_t i = 0; i < 2 * n; i++) {
        const size_t bytes = parse(from, pair[i % n].from);

        assert_int_equal(parse(to, pair[i % n].to), bytes);
        at_scheme_map(s, from, from, bytes);
        assert_memory_equal(from, to, bytes);
    }
    at_scheme_close(s);
}

static void test_vectors(void **state)
{
    (void)state;
    check_pairs(open_scheme(AT_SCHEME_CRYPTOPAN, pan_key), pan_pairs,
                COUNT(pan_pairs));
    check_pairs(open_scheme(AT_SCHEME_PFX, pfx_key), pfx_pairs,
                COUNT(pfx_pairs));
    check_pairs(open_scheme(AT_SCHEME_PFX, pfx_key_2), pfx_pairs_2,
                COUNT(pfx_pairs_2));
    check_pairs(open_scheme(AT_SCHEME_LIBTRACE, pan_key), libtrace_pairs,
                COUNT(libtrace_pairs));
}

static void test_without_key(void **state)
{
    static const struct pair substituted[] = {
        {"192.0.2.1", "10.1.2.1"},
        {"2001:db8::1", "fd00:db8::1"},
        {"2001:fdb8::1", "fd00:db8::1"},
    };
    static const struct pair truncated[] = {
        {"192.0.2.1", "192.0.2.0"},
        {"2001:db8:1:2::3", "2001:db8:1::"},
    };
    static const struct pair none[] = {{"192.0.2.1", "192.0.2.1"},
                                       {"2001:db8::1", "2001:db8::1"}};

    (void)state;
    check_pairs(open_scheme(AT_SCHEME_PREFIX, pan_key), substituted, 3);
    check_pairs(open_scheme(AT_SCHEME_TRUNCATE, pan_key), truncated, 2);
    check_pairs(open_scheme(AT_SCHEME_NONE, pan_key), none, 2);
}

/* ---- prefixes -------------------------------------------------------- */

static unsigned common_bits(const uint8_t *a, const uint8_t *b, size_t bytes)
{
    unsigned n = 0;

    while (n < bytes * 8 && ((a[n / 8] ^ b[n / 8]) & (0x80 >> n % 8)) == 0)
        n++;
    return n;
}

/* Pairs that have something in common, up to all of it. */
static void check_prefixes(enum at_scheme_kind kind, size_t bytes,
                           unsigned pairs)
{
    struct at_scheme *s = open_scheme(kind, pfx_key);
    uint8_t a[16], b[16], c[16], d[16];
    uint32_t seed = 1;

    for (unsigned i = 0; i < pairs; i++) {
        const unsigned flip = next_random(&seed) % (unsigned)(bytes * 8 + 1);

        for (size_t k = 0; k < bytes; k++) {
            a[k] = (uint8_t)(next_random(&seed) >> 8);
            b[k] = k < flip / 8 ? a[k] : (uint8_t)(next_random(&seed) >> 8);
        }
        at_scheme_map(s, c, a, bytes);
        at_scheme_map(s, d, b, bytes);
        assert_int_equal(common_bits(a, b, bytes), common_bits(c, d, bytes));
    }
    at_scheme_close(s);
}

/* That common prefixes have exactly their length makes it one-to-one too. */
static void test_prefixes(void **state)
{
    const unsigned pairs = getenv("SANITIZE") != NULL ? 20000 : 1000000;

    (void)state;
    check_prefixes(AT_SCHEME_CRYPTOPAN, 4, pairs);
    check_prefixes(AT_SCHEME_CRYPTOPAN, 16, pairs);
    check_prefixes(AT_SCHEME_PFX, 4, pairs);
    check_prefixes(AT_SCHEME_PFX, 16, pairs / 4);
    check_prefixes(AT_SCHEME_LIBTRACE, 4, pairs / 4);
}

static void test_networks(void **state)
{
    static const char *const bad[] = {
        "",          "10.0.0.0/33", "10.0.0/8",   "::/129",
        "10.0.0.0/", "10.0.0.0/8x", "10.0.0.0/-1"};
    struct at_net_prefix net;
    uint8_t address[16];

    (void)state;
    for (size_t i = 0; i < COUNT(bad); i++)
        assert_false(at_net_prefix_parse(&net, bad[i], strlen(bad[i])));
    assert_true(at_net_prefix_parse(&net, "10.255.0.0/9, ", 12));
    assert_int_equal(net.bits, 9);
    parse(address, "10.128.0.1");
    assert_true(at_net_prefix_has(&net, address, 4));
    parse(address, "10.127.0.1");
    assert_false(at_net_prefix_has(&net, address, 4));
    assert_false(at_net_prefix_has(&net, address, 16));
    assert_true(at_net_prefix_parse(&net, "::/0", 4));
    assert_true(at_net_prefix_has(&net, address, 16));
}

/* ---- keys ------------------------------------------------------------ */

static const char *secret(const char *name, const void *p, size_t n)
{
    const char *path = temporary(name);

    write_file(path, p, n);
    assert_int_equal(chmod(path, 0600), 0);
    return path;
}

static void test_key_forms(void **state)
{
    char hex[2 * AT_KEY_BYTES + 3];
    struct at_key raw, text;
    struct at_error err;

    (void)state;
    for (size_t i = 0; i < AT_KEY_BYTES; i++)
        snprintf(hex + 2 * i, 3, i % 2 ? "%02X" : "%02x", pan_key[i]);
    hex[64] = '\n';
    assert_int_equal(at_key_read(&raw, secret("raw", pan_key, 32), &err),
                     AT_OK);
    assert_int_equal(at_key_read(&text, secret("hex", hex, 65), &err), AT_OK);
    assert_memory_equal(raw.bytes, pan_key, 32);
    assert_memory_equal(text.bytes, pan_key, 32);
    assert_string_equal(raw.id, text.id);
    assert_int_equal(strlen(raw.id), 16);
    at_key_wipe(&raw);
    assert_int_equal(raw.bytes[0] | raw.bytes[31], 0);
}

static void test_key_refused(void **state)
{
    struct at_key key;
    struct at_error err;
    const char *path;
    char hex[64];

    (void)state;
    for (size_t n = 0; n < 64; n++)
        if (n != 32)
            assert_int_equal(
                at_key_read(&key, secret("k", pan_key, n < 32 ? n : 31), &err),
                AT_ERR_FORMAT);
    memset(hex, 'g', sizeof(hex));
    assert_int_equal(at_key_read(&key, secret("k", hex, 64), &err),
                     AT_ERR_FORMAT);
    path = secret("k", pan_key, 32);
    assert_int_equal(chmod(path, 0640), 0);
    assert_int_equal(at_key_read(&key, path, &err), AT_ERR_SYSTEM);
    assert_non_null(strstr(err.msg, "0640"));
    assert_int_equal(at_key_read(&key, temporary("none"), &err), AT_ERR_SYSTEM);
    assert_int_equal(at_key_read(&key, "fd:987", &err), AT_ERR_SYSTEM);
}

static void test_key_new(void **state)
{
    const char *path = temporary("new");
    struct at_key made, read;
    struct at_error err;
    struct stat st;

    (void)state;
    assert_int_equal(at_key_new(&made, path, &err), AT_OK);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0600);
    assert_int_equal(at_key_read(&read, path, &err), AT_OK);
    assert_memory_equal(made.bytes, read.bytes, 32);
    assert_int_equal(at_key_new(&made, path, &err), AT_ERR_SYSTEM);
}

/* What Python's hashlib.scrypt makes of "correct horse". */
static void test_key_derived(void **state)
{
    static const uint8_t known[AT_KEY_BYTES] = {
        0x13, 0x15, 0x40, 0x4d, 0xd7, 0x4f, 0x1e, 0xc6, 0x84, 0x08, 0xa3,
        0x50, 0x53, 0x99, 0x53, 0x29, 0xa5, 0x3e, 0xae, 0xed, 0x6d, 0xa1,
        0x19, 0x20, 0x5c, 0x08, 0x1e, 0x7a, 0x78, 0xb2, 0xef, 0xcd};
    struct at_key a, b, c;
    struct at_error err;

    (void)state;
    assert_int_equal(
        at_key_derive(&a, secret("p", "correct horse\n", 14), NULL, &err),
        AT_OK);
    assert_int_equal(
        at_key_derive(&b, secret("p", "correct horse", 13), NULL, &err), AT_OK);
    assert_int_equal(
        at_key_derive(&c, secret("p", "correct horse", 13), "2026", &err),
        AT_OK);
    assert_memory_equal(a.bytes, known, 32);
    assert_memory_equal(b.bytes, known, 32);
    assert_memory_not_equal(a.bytes, c.bytes, 32);
    assert_int_equal(at_key_derive(&c, secret("p", "\n", 1), NULL, &err),
                     AT_ERR_FORMAT);
}

static void test_key_purposes(void **state)
{
    struct at_key key;
    uint8_t a[16], b[16];
    struct at_error err;

    (void)state;
    memcpy(key.bytes, pan_key, 32);
    assert_int_equal(at_key_for(a, 16, &key, "mac", &err), AT_OK);
    assert_int_equal(at_key_for(b, 16, &key, "payload", &err), AT_OK);
    assert_memory_not_equal(a, b, 16);
    assert_memory_not_equal(a, pan_key, 16);
}

static void test_pfx_weak_key(void **state)
{
    const struct at_scheme_options opts = {.kind = AT_SCHEME_PFX};
    const uint8_t key[AT_KEY_BYTES] = {0};
    struct at_scheme *s;
    struct at_error err;

    (void)state;
    assert_int_equal(at_scheme_open(&s, &opts, key, &err), AT_ERR_SYNTAX);
    assert_null(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_vectors),
        cmocka_unit_test(test_without_key),
        cmocka_unit_test(test_prefixes),
        cmocka_unit_test(test_networks),
        cmocka_unit_test(test_key_forms),
        cmocka_unit_test(test_key_refused),
        cmocka_unit_test(test_key_new),
        cmocka_unit_test(test_key_derived),
        cmocka_unit_test(test_key_purposes),
        cmocka_unit_test(test_pfx_weak_key),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
