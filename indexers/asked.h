/*
 * asked.h - the name that a packet asks for
 *
 * Where payload was captured: the server name of a TLS ClientHello (RFC 6066,
 * RFC 8446), also inside the first packet of QUIC (quic.h); the host of an
 * HTTP/1 request (RFC 9112), without its port; the name of the one question
 * of a DNS message (RFC 1035), multicast DNS and LLMNR included.  What lies
 * in a later TCP segment than the first of a message is not looked for.
 */
#ifndef AT_ASKED_H
#define AT_ASKED_H

#include "archive_trace.h"

/* Bytes of a name with its NUL.  What is longer, escapes included, is no
 * name. */
enum { AT_ASKED_BYTES = 512 };

/*
 * Writes the name that 'pkt' asks for in the layer that 'h' tells of; 0 if
 * there is none, else its length.  It is in small letters and without the dot
 * of the root; a byte that no host name has is written as \DDD, its value in
 * decimal, as in RFC 1035.
 */
size_t at_asked(char name[AT_ASKED_BYTES], const struct at_packet *pkt,
                const struct at_headers *h);

/* Whether it is worth the while, from the first bytes of the payload of TCP or
 * UDP. */
bool at_asked_may_be(uint8_t proto, uint16_t sport, uint16_t dport,
                     const uint8_t *first, size_t n);

#endif
