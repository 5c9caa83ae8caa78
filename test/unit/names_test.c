/*
 * names_test.c - the names that packets ask for, and their order
 */
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>

#include "asked.h"
#include "common.h"
#include "names.h"
#include "quic.h"

enum { TCP = 6, UDP = 17, HEADERS = 40 };

/* What at_asked() says of a payload, in memory that ends where it does. */
static size_t ask(char *name, uint8_t proto, uint16_t port, const void *payload,
                  size_t n)
{
    uint8_t *data = malloc(HEADERS + n);
    const struct at_packet pkt = {.data = data,
                                  .cap_bytes = (uint32_t)(HEADERS + n),
                                  .wire_bytes = (uint32_t)(HEADERS + n)};
    const struct at_headers h = {.payload_offset = HEADERS,
                                 .payload_bytes = (uint32_t)n,
                                 .sport = 40000,
                                 .dport = port,
                                 .proto = proto};
    size_t bytes;

    assert_non_null(data);
    memset(data, 0, HEADERS);
    memcpy(data + HEADERS, payload, n);
    bytes = at_asked(name, &pkt, &h);
    free(data);
    return bytes;
}

/* It asks for 'want' as a whole, and for that or nothing when it is cut. */
static void asks(const char *want, uint8_t proto, uint16_t port,
                 const void *payload, size_t n)
{
    char name[AT_ASKED_BYTES];

    assert_int_equal(ask(name, proto, port, payload, n), strlen(want));
    if (want[0] != '\0')
        assert_string_equal(name, want);
    for (size_t cut = 1; cut < n; cut++)
        if (ask(name, proto, port, payload, cut) > 0)
            assert_string_equal(name, want);
}

#define TEXT(s) s, sizeof(s) - 1

static void test_http(void **state)
{
    (void)state;
    asks("a.example", TCP, 80,
         TEXT("GET / HTTP/1.1\r\nHost: a.example\r\n\r\n"));
    asks("a.example", TCP, 8080,
         TEXT("POST /x HTTP/1.0\nX: y\nhOsT:\tA.Example.:8080 \r\n\r\n"));
    asks("[2001:db8::1]", TCP, 80,
         TEXT("GET / HTTP/1.1\r\nHost: [2001:DB8::1]:80\r\n\r\n"));
    asks("[2001:db8::1]", TCP, 80,
         TEXT("GET / HTTP/1.1\r\nHost: [2001:db8::1]\r\n\r\n"));
    asks("a\\032b\\034.example", TCP, 80,
         TEXT("GET / HTTP/1.1\r\nHost: a b\".example\r\n\r\n"));
    asks("", TCP, 80, TEXT("GET / HTTP/1.1\r\n\r\nHost: body.example\r\n\r\n"));
    asks("", TCP, 80, TEXT("GET / HTTP/1.1\r\nHost:\r\n\r\n"));
    asks("", TCP, 80, TEXT("INVITE sip:a SIP/2.0\r\nHost: a.example\r\n\r\n"));
    asks("", UDP, 80, TEXT("GET / HTTP/1.1\r\nHost: a.example\r\n\r\n"));
}

static void test_dns(void **state)
{
    static const char
        query[] = "\1\2\1\0\0\1\0\0\0\0\0\0\3wWw\7example\0\0\1\0\1";
    static const char update[] = "\1\2\x28\0\0\1\0\0\0\0\0\0\1a\0\0\6\0\1";
    static const char root[] = "\1\2\1\0\0\1\0\0\0\0\0\0\0\0\2\0\1";
    static const char pointer[] = "\1\2\1\0\0\1\0\0\0\0\0\0\1a\xc0\x0c\0\1\0\1";
    static const char odd[] = "\1\2\1\0\0\1\0\0\0\0\0\0\3a.\0\0\0\1\0\1";
    uint8_t far[12 + 5 * 64 + 1] = {0, 0, 1, 0, 0, 1};
    uint8_t tcp[2 + sizeof(query)] = {0, sizeof(query) - 1};

    (void)state;
    memcpy(tcp + 2, query, sizeof(query));
    asks("www.example", UDP, 53, query, sizeof(query) - 1);
    asks("www.example", UDP, 5353, query, sizeof(query) - 1);
    asks("", UDP, 54, query, sizeof(query) - 1);
    asks("www.example", TCP, 53, tcp, sizeof(query) + 1);
    asks("", UDP, 53, update, sizeof(update) - 1);
    asks("", UDP, 53, root, sizeof(root) - 1);
    asks("", UDP, 53, pointer, sizeof(pointer) - 1);
    asks("a\\046\\000", UDP, 53, odd, sizeof(odd) - 1);
    for (size_t i = 0; i < 5; i++)
        far[12 + 64 * i] = 63; /* and NULs: more than a name may be */
    asks("", UDP, 53, far, sizeof(far));
}

/* A ClientHello with a server name, from its handshake header on. */
static size_t make_hello(uint8_t *p, const char *host)
{
    const size_t n = strlen(host);
    uint8_t *at = p + 4;

    memset(at, 0, 2 + 32);
    at += 2 + 32;
    memcpy(at, "\0\0\2\x13\1\1\0", 7); /* no session, a suite, no compression */
    at += 7;
    *at++ = 0;
    *at++ = (uint8_t)(n + 9 + 4);
    memcpy(at, "\0\x17\0\0", 4); /* another extension first */
    at += 4;
    memcpy(at,
           (uint8_t[]){0, 0, 0, (uint8_t)(n + 5), 0, (uint8_t)(n + 3), 0, 0,
                       (uint8_t)n},
           9);
    memcpy(at + 9, host, n);
    at += 9 + n;
    p[0] = 1;
    p[1] = p[2] = 0;
    p[3] = (uint8_t)(at - p - 4);
    return (size_t)(at - p);
}

static void test_tls(void **state)
{
    uint8_t record[300] = {22, 3, 1, 0};
    const size_t n = make_hello(record + 5, "Www.Example.org");

    (void)state;
    record[4] = (uint8_t)n;
    asks("www.example.org", TCP, 443, record, n + 5);
    asks("www.example.org", TCP, 25, record, n + 5);
    record[5] = 2; /* a ServerHello */
    asks("", TCP, 443, record, n + 5);
}

/* Encrypts by the keys of the client in RFC 9001, appendix A.1. */
static size_t encrypt(uint8_t *out, const uint8_t *header, size_t header_bytes,
                      const uint8_t *plain, size_t n)
{
    static const uint8_t key[] = "\x1f\x36\x96\x13\xdd\x76\xd5\x46"
                                 "\x77\x30\xef\xcb\xe3\xb1\xa2\x2d";
    static const uint8_t hp[] = "\x9f\x50\x44\x9e\x04\xa0\xe8\x10"
                                "\x28\x3a\x1e\x99\x33\xad\xed\xd2";
    uint8_t iv[] = "\xfa\x04\x4b\x2f\x42\xa3\xfd\x3b\x46\xfb\x25\x5c";
    EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
    uint8_t mask[16], *p = out + header_bytes;
    int got;

    memcpy(out, header, header_bytes);
    iv[11] ^= 2; /* the number of the packet */
    assert_int_equal(EVP_EncryptInit_ex(ctx, EVP_aes_128_gcm(), NULL, key, iv),
                     1);
    EVP_EncryptUpdate(ctx, NULL, &got, header, (int)header_bytes);
    EVP_EncryptUpdate(ctx, p, &got, plain, (int)n);
    EVP_EncryptFinal_ex(ctx, p + n, &got);
    EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_GCM_GET_TAG, 16, p + n);
    EVP_CIPHER_CTX_free(ctx);
    ctx = EVP_CIPHER_CTX_new();
    EVP_EncryptInit_ex(ctx, EVP_aes_128_ecb(), NULL, hp, NULL);
    EVP_EncryptUpdate(ctx, mask, &got, p, 16); /* the number has 4 bytes */
    EVP_CIPHER_CTX_free(ctx);
    out[0] ^= mask[0] & 0x0f;
    for (size_t i = 0; i < 4; i++)
        out[header_bytes - 4 + i] ^= mask[1 + i];
    return header_bytes + n + 16;
}

static void test_quic(void **state)
{
    static const uint8_t connection[] = "\x83\x94\xc8\xf0\x3e\x51\x57\x08";
    uint8_t header[22] = {0xc3, 0, 0, 0, 1, 8}, plain[600] = {0};
    uint8_t hello[300], packet[800], crypto[AT_QUIC_CRYPTO];
    const size_t n = make_hello(hello, "quic.example"), half = n / 2;
    char name[AT_ASKED_BYTES];
    size_t at = 0, bytes;

    (void)state;
    memcpy(header + 6, connection, 8);
    /* no source, no token, a length of two bytes, the number */
    memcpy(header + 14, "\0\0\x42\x6c\0\0\0\2", 8);
    /* the later half first, padding and a ping between them */
    plain[at++] = 6;
    plain[at++] = (uint8_t)(0x40 | half >> 8);
    plain[at++] = (uint8_t)half;
    plain[at++] = (uint8_t)(0x40 | (n - half) >> 8);
    plain[at++] = (uint8_t)(n - half);
    memcpy(plain + at, hello + half, n - half);
    at += n - half;
    plain[at++] = 0;
    plain[at++] = 1;
    plain[at++] = 6;
    plain[at++] = 0;
    plain[at++] = (uint8_t)(0x40 | half >> 8);
    plain[at++] = (uint8_t)half;
    memcpy(plain + at, hello, half);
    bytes = encrypt(packet, header, sizeof(header), plain, sizeof(plain));
    assert_int_equal(bytes, 22 + 600 + 16);
    assert_int_equal(at_quic_crypto(crypto, packet, bytes), n);
    assert_memory_equal(crypto, hello, n);
    asks("quic.example", UDP, 443, packet, bytes);
    /* every byte counts, those of the next packet aside */
    for (size_t i = 0; i < bytes; i++) {
        packet[i] ^= 0x40;
        assert_int_equal(ask(name, UDP, 443, packet, bytes), 0);
        packet[i] ^= 0x40;
    }
}

static void test_order(void **state)
{
    static const char *const sorted[] = {
        "org",
        "com",
        "example.com",
        "a.example.com",
        "b.a.example.com",
        "example-com",
        "notan-example-com",
    };
    const size_t n = sizeof(sorted) / sizeof(sorted[0]);

    (void)state;
    for (size_t i = 0; i < n; i++)
        for (size_t k = 0; k < n; k++) {
            const int order = at_names_compare(sorted[i], sorted[k]);

            assert_int_equal((order > 0) - (order < 0), (i > k) - (i < k));
        }
    assert_true(at_name_is_in("a.example.com", "example.com"));
    assert_true(at_name_is_in("example.com", "example.com"));
    assert_false(at_name_is_in("an-example.com", "example.com"));
    assert_false(at_name_is_in("com", "example.com"));
}

static void test_once(void **state)
{
    struct at_names names;
    uint32_t number, again;
    char text[32];
    const char *first;

    (void)state;
    at_names_init(&names);
    assert_int_equal(at_names_add(&names, "first", &number), AT_OK);
    assert_int_equal(number, 1);
    first = at_names_text(&names, 1);
    for (int i = 0; i < 20000; i++) {
        snprintf(text, sizeof(text), "name%d.example", i % 10000);
        assert_int_equal(at_names_add(&names, text, &number), AT_OK);
        assert_int_equal(number, 2 + i % 10000);
        assert_string_equal(at_names_text(&names, number), text);
    }
    assert_int_equal(names.n, 10001);
    assert_int_equal(at_names_add(&names, "first", &again), AT_OK);
    assert_int_equal(again, 1);
    assert_ptr_equal(at_names_text(&names, 1), first);
    at_names_close(&names);
}

/* What comes once there are too many is counted, and those that are there are
 * still found. */
static void test_too_many(void **state)
{
    enum { LONG = 500 };
    const uint32_t fit = AT_NAMES_MOST / LONG;
    struct at_names names;
    char text[LONG];
    uint32_t number;

    (void)state;
    at_names_init(&names);
    memset(text, 'a', sizeof(text));
    text[LONG - 1] = '\0';
    for (uint32_t i = 0; i < fit + 10; i++) {
        memcpy(text, &(uint32_t){i | 0x80808080}, 4);
        memcpy(text + 4, &(uint32_t){i >> 7 | 0x80808080}, 4);
        memcpy(text + 8, &(uint32_t){i >> 14 | 0x80808080}, 4);
        assert_int_equal(at_names_add(&names, text, &number), AT_OK);
        if (i == 0)
            assert_int_equal(number, 1);
    }
    assert_true(names.lost > 0);
    assert_true(names.bytes <= AT_NAMES_MOST);
    assert_int_equal(number, 0);
    memset(text, 0x80, 12);
    assert_int_equal(at_names_add(&names, text, &number), AT_OK);
    assert_int_equal(number, 1);
    at_names_close(&names);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_http),     cmocka_unit_test(test_dns),
        cmocka_unit_test(test_tls),      cmocka_unit_test(test_quic),
        cmocka_unit_test(test_order),    cmocka_unit_test(test_once),
        cmocka_unit_test(test_too_many),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
