/*
 * digits.h - numbers as decimal digits, where printf() would be most of the
 * work
 *
 * Each writes behind 'p', without a 0 at the end, and returns where it ended.
 */
#ifndef AT_DIGITS_H
#define AT_DIGITS_H

#include <stdint.h>

enum { AT_DIGITS_MOST = 20 }; /* of 64 bits */

/* Exactly 'width' digits, with zeros in front. */
static inline char *at_digits_wide(char *p, uint64_t n, unsigned width)
{
    for (unsigned i = width; i-- > 0; n /= 10)
        p[i] = (char)('0' + n % 10);
    return p + width;
}

/* As many as there are. */
static inline char *at_digits(char *p, uint64_t n)
{
    unsigned width = 1;

    for (uint64_t rest = n / 10; rest > 0; rest /= 10)
        width++;
    return at_digits_wide(p, n, width);
}

/* Four numbers with dots between them. */
static inline char *at_digits_ipv4(char *p, const uint8_t addr[4])
{
    p = at_digits(p, addr[0]);
    for (int i = 1; i < 4; i++) {
        *p++ = '.';
        p = at_digits(p, addr[i]);
    }
    return p;
}

/* As RFC 5952 wants it; at most AT_DIGITS_IPV6. */
enum { AT_DIGITS_IPV6 = 45 };
char *at_digits_ipv6(char *p, const uint8_t addr[16]);

#endif
