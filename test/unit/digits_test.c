/*
 * digits_test.c - numbers and addresses as text
 */
#include "common.h"

#include <arpa/inet.h>
#include <string.h>

#include "digits.h"

static void compare_ipv6(const uint8_t addr[16])
{
    char want[INET6_ADDRSTRLEN], got[AT_DIGITS_IPV6 + 1];

    assert_non_null(inet_ntop(AF_INET6, addr, want, sizeof(want)));
    *at_digits_ipv6(got, addr) = '\0';
    assert_string_equal(got, want);
}

/* Which groups are zero decides what "::" stands for. */
static void ipv6_is_as_the_system_has_it(void **state)
{
    uint32_t random = 1;

    (void)state;
    for (unsigned zeros = 0; zeros < 256; zeros++) {
        for (unsigned bits = 0; bits <= 16; bits += 4) {
            uint8_t addr[16] = {0};

            for (unsigned i = 0; i < 8; i++) {
                const uint32_t v = zeros >> i & 1 ? 0 : next_random(&random);

                addr[2 * i] = (uint8_t)((v & ((1U << bits) - 1)) >> 8);
                addr[2 * i + 1] = (uint8_t)(v & ((1U << bits) - 1));
            }
            compare_ipv6(addr);
        }
    }
}

static void addresses_that_hold_ipv4(void **state)
{
    static const char *const texts[] = {
        "::",      "::1",          "::ffff:192.0.2.1",  "::192.0.2.1",
        "::fffe",  "::ffff:0:0",   "64:ff9b::c000:201", "::1:0:0",
        "ff02::1", "::ffff:0:1:2", "0:0:0:0:1::",       "1::"};

    (void)state;
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        uint8_t addr[16];

        assert_int_equal(inet_pton(AF_INET6, texts[i], addr), 1);
        compare_ipv6(addr);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ipv6_is_as_the_system_has_it),
        cmocka_unit_test(addresses_that_hold_ipv4),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
