/*
 * sieve.c - which addresses a segment may hold, in a byte or two for each
 */
#include "sieve.h"

#include <stdlib.h>
#include <string.h>

#include "bytes.h"

enum {
    BITS_PER_KEY = 12,
    BITS_SET = 6,
    BIT_SHIFT = 9, /* a line has 2^9 bits */
    LINE_BITS = 1 << BIT_SHIFT,
    LEVELS = 4,
};

/* The lengths of the prefixes that are keys, the longest first. */
static const uint8_t levels4[LEVELS] = {32, 24, 16, 8};
static const uint8_t levels6[LEVELS] = {128, 64, 48, 32};

static const uint8_t *levels_of(unsigned addr_bytes)
{
    return addr_bytes == 16 ? levels6 : levels4;
}

/* ---- hashing --------------------------------------------------------- */

/* The finalizer of splitmix64: every bit of 'x' changes half of the result. */
static uint64_t mix(uint64_t x)
{
    x = (x ^ x >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ x >> 27) * UINT64_C(0x94d049bb133111eb);
    return x ^ x >> 31;
}

/* The same on every machine; whoever sends packets may choose addresses that
 * fall together, and makes nothing but a few more segments be looked into. */
static uint64_t hash_of(const uint8_t *addr, unsigned prefix,
                        unsigned addr_bytes)
{
    uint8_t key[16] = {0};

    memcpy(key, addr, prefix / 8);
    return mix(at_load_le64(key) +
               mix(at_load_le64(key + 8) + prefix + addr_bytes * 256));
}

size_t at_sieve_line_of(const struct at_sieve_key *key, size_t lines)
{
    return (size_t)((key->hash >> 32) * lines >> 32);
}

/* The bits of a key in its line are of another part of the hash. */
static unsigned bit_of(const struct at_sieve_key *key, unsigned i)
{
    return (unsigned)(mix(key->hash) >> i * BIT_SHIFT) % LINE_BITS;
}

/* ---- adding ---------------------------------------------------------- */

enum at_status at_sieve_open(struct at_sieve *s, size_t keys)
{
    s->lines = (keys * BITS_PER_KEY + LINE_BITS - 1) / LINE_BITS + 1;
    s->line = calloc(s->lines, AT_SIEVE_LINE);
    return s->line != NULL ? AT_OK : AT_ERR_MEMORY;
}

void at_sieve_close(struct at_sieve *s)
{
    free(s->line);
    *s = (struct at_sieve){.lines = 0};
}

unsigned at_sieve_keys(const uint8_t *addr, const uint8_t *before,
                       unsigned addr_bytes)
{
    const uint8_t *level = levels_of(addr_bytes);
    unsigned n = 0;

    while (n < LEVELS &&
           (before == NULL || memcmp(addr, before, level[n] / 8) != 0))
        n++;
    return n;
}

void at_sieve_add(struct at_sieve *s, const uint8_t *addr, unsigned addr_bytes)
{
    const uint8_t *level = levels_of(addr_bytes);

    for (unsigned i = 0; i < LEVELS; i++) {
        const struct at_sieve_key key = {hash_of(addr, level[i], addr_bytes)};
        uint8_t *line = s->line +
                        at_sieve_line_of(&key, s->lines) * AT_SIEVE_LINE;

        for (unsigned k = 0; k < BITS_SET; k++)
            line[bit_of(&key, k) / 8] |= (uint8_t)(1 << bit_of(&key, k) % 8);
    }
}

/* ---- asking ---------------------------------------------------------- */

bool at_sieve_key_of(struct at_sieve_key *key, const uint8_t *addr,
                     unsigned addr_bytes, unsigned prefix)
{
    const uint8_t *level = levels_of(addr_bytes);

    for (unsigned i = 0; i < LEVELS; i++)
        if (level[i] <= prefix) {
            key->hash = hash_of(addr, level[i], addr_bytes);
            return true;
        }
    return false;
}

bool at_sieve_line_has(const uint8_t line[AT_SIEVE_LINE],
                       const struct at_sieve_key *key)
{
    for (unsigned k = 0; k < BITS_SET; k++)
        if ((line[bit_of(key, k) / 8] >> bit_of(key, k) % 8 & 1) == 0)
            return false;
    return true;
}
