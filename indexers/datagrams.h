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

/* As long as a receiver waits by RFC 1122 (60 to 120 s) at most. */
#define AT_DATAGRAM_NS (INT64_C(120) * 1000000000)

/* Of first fragments; memory is limited. */
struct at_datagrams;

/* What is noted of a datagram, but for the key of its first fragment. */
struct at_datagram {
    int64_t ts_ns;  /* of the first fragment */
    uint32_t value; /* that was put */
    uint32_t link;  /* the number; see struct at_sight */
    bool from_hi;
};

/* NULL when there is no memory. */
struct at_datagrams *at_datagrams_open(void);

/* Notes 'value' of the datagram that 's' is the first fragment of. */
enum at_status at_datagrams_put(struct at_datagrams *d,
                                const struct at_sight *s, uint32_t value);

/* Notes a datagram whose first fragment, with that key, is in an earlier part
 * of the capture.  It takes no memory from those that are put. */
enum at_status at_datagrams_resume(struct at_datagrams *d,
                                   const struct at_flow_key *key,
                                   const struct at_datagram *first);

/* What was noted of the first fragment, good until the next call; NULL if it
 * has not been seen, or too long ago. */
const struct at_datagram *at_datagrams_find(const struct at_datagrams *d,
                                            const struct at_sight *s);

/* Those that are not too old at 'now_ns', by value, then number; the caller
 * frees the list.  Where they are too many, those that were resumed are left
 * out.  AT_OK or AT_ERR_MEMORY. */
enum at_status at_datagrams_list(const struct at_datagrams *d, int64_t now_ns,
                                 struct at_datagram **list, size_t *n);

/* The order of the list. */
int at_datagram_order(const struct at_datagram *a, const struct at_datagram *b);

/* Makes value 'v' to[v]; forgets the datagram where that is UINT32_MAX. */
void at_datagrams_renumber(struct at_datagrams *d, const uint32_t *to);

/* Datagrams that were put, and forgotten because there were too many at a
 * time. */
uint64_t at_datagrams_lost(const struct at_datagrams *d);

/* NULL is fine. */
void at_datagrams_close(struct at_datagrams *d);

#endif
