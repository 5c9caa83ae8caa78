/*
 * sieve_test.c - which addresses a segment may hold
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "sieve.h"

enum { HOSTS = 20000 };

/* Address number 'i', which is in order; every third has a /24 of its own. */
static void address(uint8_t addr[16], uint32_t i, unsigned bytes)
{
    const uint32_t net = i / 3, host = i % 3;

    memset(addr, 0, 16);
    addr[0] = 10;
    if (bytes == 4) {
        addr[1] = (uint8_t)(net >> 8);
        addr[2] = (uint8_t)net;
        addr[3] = (uint8_t)(host + 1);
        return;
    }
    addr[4] = (uint8_t)(net >> 8);
    addr[5] = (uint8_t)net;
    addr[15] = (uint8_t)(host + 1);
}

static void fill(struct at_sieve *s, unsigned bytes)
{
    uint8_t addr[16], before[16];
    size_t keys = 0;

    for (uint32_t i = 0; i < HOSTS; i++) {
        address(addr, i, bytes);
        keys += at_sieve_keys(addr, i > 0 ? before : NULL, bytes);
        memcpy(before, addr, sizeof(before));
    }
    assert_int_equal(at_sieve_open(s, keys), AT_OK);
    for (uint32_t i = 0; i < HOSTS; i++) {
        address(addr, i, bytes);
        at_sieve_add(s, addr, bytes);
    }
}

static bool has(const struct at_sieve *s, const uint8_t *addr, unsigned bytes,
                unsigned prefix)
{
    struct at_sieve_key key;
    size_t line;

    if (!at_sieve_key_of(&key, addr, bytes, prefix))
        return true;
    line = at_sieve_line_of(&key, s->lines);
    assert_true(line < s->lines);
    return at_sieve_line_has(s->line + line * AT_SIEVE_LINE, &key);
}

/* What is there is found, by every network that it is in. */
static void test_there(void **state)
{
    (void)state;
    for (unsigned bytes = 4; bytes <= 16; bytes += 12) {
        struct at_sieve s;
        uint8_t addr[16];

        fill(&s, bytes);
        for (uint32_t i = 0; i < HOSTS; i++) {
            address(addr, i, bytes);
            for (unsigned prefix = 0; prefix <= bytes * 8; prefix++)
                assert_true(has(&s, addr, bytes, prefix));
        }
        at_sieve_close(&s);
    }
}

/* Of what is not there, few are thought to be; and it is small. */
static void test_not_there(void **state)
{
    (void)state;
    for (unsigned bytes = 4; bytes <= 16; bytes += 12) {
        struct at_sieve s;
        uint8_t addr[16];
        size_t wrong = 0;

        fill(&s, bytes);
        assert_true(s.lines * AT_SIEVE_LINE < HOSTS * 3);
        for (uint32_t i = 0; i < HOSTS; i++) {
            address(addr, i, bytes);
            addr[bytes - 1] ^= 0x40;
            wrong += has(&s, addr, bytes, bytes * 8);
        }
        assert_true(wrong < HOSTS / 33);
        address(addr, 0, bytes);
        addr[0] = 77;
        assert_false(has(&s, addr, bytes, bytes == 4 ? 8 : 32));
        assert_true(has(&s, addr, bytes, bytes == 4 ? 7 : 31));
        at_sieve_close(&s);
    }
}

/* The kinds do not mix: 10.0.0.0 and a00:: begin alike. */
static void test_kinds(void **state)
{
    struct at_sieve s;
    const uint8_t addr[16] = {10};

    (void)state;
    fill(&s, 4);
    assert_true(has(&s, addr, 4, 8));
    assert_false(has(&s, addr, 16, 32));
    at_sieve_close(&s);
}

static void test_empty(void **state)
{
    struct at_sieve s;
    const uint8_t addr[16] = {10};

    (void)state;
    assert_int_equal(at_sieve_open(&s, 0), AT_OK);
    assert_false(has(&s, addr, 4, 32));
    at_sieve_close(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_there),
        cmocka_unit_test(test_not_there),
        cmocka_unit_test(test_kinds),
        cmocka_unit_test(test_empty),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
