/*
 * digest.h - SHA-256 (FIPS 180-4) of whole files
 *
 * The block checksums of a trace cover what decodes, and SQLite's own checks
 * cover a structure; a digest covers every byte that is stored.  Bytes are
 * taken as they are written, so that nothing is read again for it.
 */
#ifndef AT_DIGEST_H
#define AT_DIGEST_H

#include "archive_trace.h"

enum { AT_DIGEST_BYTES = 32, AT_DIGEST_TEXT = 2 * AT_DIGEST_BYTES + 1 };

struct at_digest {
    bool known;
    uint8_t byte[AT_DIGEST_BYTES];
};

/* Bytes that come one after the other; one thread at a time. */
struct at_digesting;
enum at_status at_digesting_open(struct at_digesting **out,
                                 struct at_error *err);
/* 'digesting' is a struct at_digesting: a 'written' of at_writer_options. */
void at_digesting_add(void *digesting, const uint8_t *p, size_t n);
/* Not known if something failed on the way; nothing can be added after it. */
struct at_digest at_digesting_end(struct at_digesting *d);
void at_digesting_close(struct at_digesting *d);

/* The digest of a file, whose size is stored in *bytes unless that is NULL. */
enum at_status at_digest_of(struct at_digest *digest, const char *path,
                            uint64_t *bytes, struct at_error *err);

/* Whether both are known and the same. */
bool at_digest_same(const struct at_digest *a, const struct at_digest *b);

/* As 64 hexadecimal digits; 'buf' needs AT_DIGEST_TEXT bytes. */
const char *at_digest_text(char *buf, const struct at_digest *digest);

#endif
