/*
 * sieve.h - which addresses a segment may hold, in a byte or two for each
 *
 * A set that says of an address "no", or "perhaps"; for networks the same.
 * It is a Bloom filter whose bits of one key lie in one line of 64 bytes
 * (F. Putze, P. Sanders, J. Singler: Cache-, Hash- and Space-Efficient Bloom
 * Filters, 2007), with 12 bits for a key and 6 of them set: about one "no" in a
 * hundred is missed.  Keys are addresses, and of each its first 8, 16 and 24
 * bits, of IPv6 32, 48 and 64.
 */
#ifndef AT_SIEVE_H
#define AT_SIEVE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "archive_trace.h"

enum { AT_SIEVE_LINE = 64 };

struct at_sieve {
    uint8_t *line; /* AT_SIEVE_LINE bytes each */
    size_t lines;
};

/* An empty set with room for 'keys'; AT_OK or AT_ERR_MEMORY. */
enum at_status at_sieve_open(struct at_sieve *s, size_t keys);
void at_sieve_close(struct at_sieve *s);

/* How many keys an address adds that comes after 'before' in the order of
 * addresses (NULL: it is the first of its kind). */
unsigned at_sieve_keys(const uint8_t *addr, const uint8_t *before,
                       unsigned addr_bytes);

void at_sieve_add(struct at_sieve *s, const uint8_t *addr, unsigned addr_bytes);

/* Where a network is looked up: one line of those of a set.  False if it is
 * too large for that, so that it may be in any set. */
struct at_sieve_key {
    uint64_t hash;
};
bool at_sieve_key_of(struct at_sieve_key *key, const uint8_t *addr,
                     unsigned addr_bytes, unsigned prefix);
size_t at_sieve_line_of(const struct at_sieve_key *key, size_t lines);
bool at_sieve_line_has(const uint8_t line[AT_SIEVE_LINE],
                       const struct at_sieve_key *key);

#endif
