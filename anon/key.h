/*
 * key.h - the secret that a mapping of addresses hangs on
 */
#ifndef AT_KEY_H
#define AT_KEY_H

#include "scheme.h"

enum { AT_KEY_ID_TEXT = 17 };

/* 'bytes' is secret: at_key_wipe() it when it is done with. */
struct at_key {
    uint8_t bytes[AT_KEY_BYTES];
    char id[AT_KEY_ID_TEXT]; /* 16 hex digits that tell keys apart and tell
                                nothing else: of SHA-256 */
};

/*
 * at_key_read() reads 32 bytes, or 64 hex digits and perhaps a newline, from
 * a file that nobody but its owner may read or write, or from the descriptor
 * N where the path is "fd:N", which is closed.
 *
 * at_key_derive() reads a passphrase, one line, in the same way and makes the
 * key of it by scrypt (RFC 7914, N 2^17, r 8, p 1: 128 MiB and about half a
 * second), with 'salt' (NULL: a constant).
 */
enum at_status at_key_read(struct at_key *key, const char *path,
                           struct at_error *err);
enum at_status at_key_derive(struct at_key *key, const char *path,
                             const char *salt, struct at_error *err);

/* at_key_new() writes 64 fresh hex digits to a file of mode 0600, which must
 * not exist. */
enum at_status at_key_new(struct at_key *key, const char *path,
                          struct at_error *err);

/* The key for one purpose (HKDF-SHA256, RFC 5869, without a salt), so that
 * what is known of one says nothing of the others. */
enum at_status at_key_for(uint8_t *out, size_t n, const struct at_key *key,
                          const char *purpose, struct at_error *err);

void at_key_wipe(struct at_key *key);

#endif
