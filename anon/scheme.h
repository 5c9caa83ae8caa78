/*
 * scheme.h - one address for another
 *
 *     cryptopan           Xu, Fan, Ammar, Moon, ICNP 2002: one AES a bit, the
 *                         pad being encrypted first.  IPv6 is one chain of
 *                         128 bits.
 *     cryptopan-libtrace  what traceanon makes of it: the pad is taken as it
 *                         is; the halves of an IPv6 address are masked each
 *                         for itself, with bytes as a little-endian machine
 *                         has them.
 *     ipcrypt-pfx         draft-denis-ipcrypt: two AES a bit
 *     prefix              the first bits are replaced by those of a network
 *     truncate            the last bits are 0
 *
 * The first three are one-to-one and keep common prefixes as long as they
 * were; the others are neither, and need no key.
 */
#ifndef AT_SCHEME_H
#define AT_SCHEME_H

#include "archive_trace.h"

enum at_scheme_kind {
    AT_SCHEME_NONE = 0, /* addresses stay as they are */
    AT_SCHEME_CRYPTOPAN,
    AT_SCHEME_LIBTRACE,
    AT_SCHEME_PFX,
    AT_SCHEME_PREFIX,
    AT_SCHEME_TRUNCATE,
    AT_SCHEMES
};

/* "none|cryptopan|...", in the order of the enum. */
extern const char at_scheme_names[];

/* A network of either family. */
struct at_net_prefix {
    uint8_t address[16]; /* the first 4 for IPv4; 0 behind the prefix */
    uint8_t bytes;       /* 4 or 16 */
    uint8_t bits;
};

/* "10.0.0.0/8", "2001:db8::/32", or an address; false for other text. */
bool at_net_prefix_parse(struct at_net_prefix *net, const char *text, size_t n);
bool at_net_prefix_has(const struct at_net_prefix *net, const uint8_t *address,
                       size_t bytes);
/* Makes the first bits of the address those of the network. */
void at_net_prefix_put(const struct at_net_prefix *net, uint8_t *address);
/* Makes all but the first bits 0. */
void at_net_prefix_cut(uint8_t address[16], unsigned bits);

enum { AT_KEY_BYTES = 32 };

struct at_scheme_options {
    enum at_scheme_kind kind;
    struct at_net_prefix prefix[2]; /* of IPv4 and of IPv6: PREFIX */
    uint8_t keep_bits[2];           /* likewise: TRUNCATE */
};

/*
 * A scheme has ciphers at work in it, so each thread needs its own; the same
 * options and key make the same mapping in all of them.  Keys that a scheme
 * cannot use (ipcrypt-pfx: two equal halves) are AT_ERR_SYNTAX.
 */
struct at_scheme;
enum at_status at_scheme_open(struct at_scheme **out,
                              const struct at_scheme_options *opts,
                              const uint8_t key[AT_KEY_BYTES],
                              struct at_error *err);

/* Maps the address of 4 or 16 bytes at 'in'; 'out' may be 'in'. */
void at_scheme_map(struct at_scheme *scheme, uint8_t *out, const uint8_t *in,
                   size_t bytes);

/* Whether no two addresses become the same. */
bool at_scheme_is_one_to_one(enum at_scheme_kind kind);

void at_scheme_close(struct at_scheme *scheme);

#endif
