/*
 * quic.h - what a client says first in QUIC
 *
 * Initial packets are encrypted by keys that follow from what stands in them:
 * RFC 9001 section 5 (version 1), RFC 9369 (version 2), and drafts of the
 * former from 21 on that were in use before.
 */
#ifndef AT_QUIC_H
#define AT_QUIC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { AT_QUIC_CRYPTO = 4096 };

/* Whether a datagram may begin with an Initial packet, from its first bytes,
 * which may be few. */
bool at_quic_may_be(const uint8_t *p, size_t n);

/*
 * Puts the beginning of what the CRYPTO frames of the first packet of a
 * datagram hold into 'out'; returns how much, 0 if it is no Initial packet of
 * a client that was captured whole.
 */
size_t at_quic_crypto(uint8_t out[AT_QUIC_CRYPTO], const uint8_t *p, size_t n);

#endif
