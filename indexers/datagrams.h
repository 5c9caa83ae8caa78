/*
 * datagrams.h - which fragments are of one datagram
 *
 * The first fragment has the ports, the others only addresses and a number
 * that they have in common (RFC 791; RFC 8200 section 4.5).  Whoever sees the
 * first notes something of it, to be found again with the later ones for as
 * long as a receiver may keep them.
 */
#ifndef AT_DATAGRAMS_H
#define AT_DATAGRAMS_H

#include "sight.h"

/* Of first fragments; memory is limited. */
struct at_datagrams;

/* NULL when there is no memory. */
struct at_datagrams *at_datagrams_open(void);

/* Notes 'value' of the datagram that 's' is the first fragment of. */
enum at_status at_datagrams_put(struct at_datagrams *d,
                                const struct at_sight *s, uint32_t value);

/* False if the first fragment has not been seen, or too long ago. */
bool at_datagrams_find(const struct at_datagrams *d, const struct at_sight *s,
                       uint32_t *value);

/* Makes value 'v' to[v]; forgets the datagram where that is UINT32_MAX. */
void at_datagrams_renumber(struct at_datagrams *d, const uint32_t *to);

/* Datagrams that were forgotten because there were too many at a time. */
uint64_t at_datagrams_lost(const struct at_datagrams *d);

/* NULL is fine. */
void at_datagrams_close(struct at_datagrams *d);

#endif
