/*
 * span.h - the deflate data between two access points, decoded at once
 *
 * Several times as fast as at_gunzip_step(), but it knows only right and
 * wrong: what is wrong with a span, and what of it is good, at_gunzip_step()
 * must tell.
 */
#ifndef AT_SPAN_H
#define AT_SPAN_H

#include "access.h"

enum { AT_SPAN_MOST = 8 << 20 }; /* decoded bytes */

/* A decoder and a buffer for the packed bytes; for one thread at a time. */
struct at_unspan;

struct at_unspan *at_unspan_open(void); /* NULL without memory */
void at_unspan_close(struct at_unspan *u);

/* Whether what is between point 'i' and the next can be decoded so: it lies
 * inside one member, and neither it nor its packed bytes are too many. */
bool at_span_fits(const struct at_access *access, size_t i);

/*
 * Decodes such a span to 'out' and checks its length and its CRC.  'packed' is
 * as for at_access_window().  The AT_WINDOW bytes before 'out' are lost.
 */
bool at_unspan(struct at_unspan *u, const struct at_access *access, size_t i,
               const struct at_input *in, const uint8_t *packed, uint8_t *out);

#endif
