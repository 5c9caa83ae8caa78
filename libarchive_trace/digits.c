/*
 * digits.c - IPv6 addresses as text (RFC 5952)
 */
#include "digits.h"

#include "bytes.h"

enum { GROUPS = 8 };

/* Groups of zeros that "::" stands for. */
struct zeros {
    unsigned first, n;
};

/* The longest, if it is more than one group; of equal ones the first. */
static struct zeros find_zeros(const uint8_t addr[16])
{
    struct zeros best = {GROUPS, 1}, run = {0, 0};

    for (unsigned i = 0; i < GROUPS; i++) {
        if (at_load_be16(addr + 2 * i) != 0) {
            run.n = 0;
            continue;
        }
        if (run.n++ == 0)
            run.first = i;
        if (run.n > best.n)
            best = run;
    }
    return best;
}

static char *put_group(char *p, uint16_t group)
{
    static const char digits[] = "0123456789abcdef";
    int shift = 12;

    while (shift > 0 && group >> shift == 0)
        shift -= 4;
    for (; shift >= 0; shift -= 4)
        *p++ = digits[group >> shift & 15];
    return p;
}

/* Section 5: addresses that hold one of IPv4, as inet_ntop() has it. */
static bool holds_ipv4(const uint8_t addr[16], struct zeros zeros)
{
    return zeros.first == 0 &&
           (zeros.n == 6 ||
            (zeros.n == 5 && at_load_be16(addr + 10) == 0xffff));
}

char *at_digits_ipv6(char *p, const uint8_t addr[16])
{
    const struct zeros zeros = find_zeros(addr);
    const unsigned end = holds_ipv4(addr, zeros) ? 6 : GROUPS;

    for (unsigned i = 0; i < end; i++) {
        if (i == zeros.first) {
            *p++ = ':';
            i += zeros.n - 1;
            if (i + 1 == GROUPS)
                *p++ = ':';
            continue;
        }
        if (i > 0)
            *p++ = ':';
        p = put_group(p, at_load_be16(addr + 2 * i));
    }
    if (end == GROUPS)
        return p;
    *p++ = ':';
    return at_digits_ipv4(p, addr + 12);
}
