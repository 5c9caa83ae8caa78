/*
 * minutes.h - packets and bytes of each minute, by protocol
 *
 * Sums that are made while an index is, so that nobody need read the packets
 * again to know how much there was, and when.
 */
#ifndef AT_MINUTES_H
#define AT_MINUTES_H

#include "sight.h"

#define AT_MINUTE_NS (INT64_C(60) * 1000000000)

struct at_minute {
    int64_t minute; /* since 1970 */
    uint16_t kind;  /* as in schema.h: the network and IP protocol */
    uint64_t packets;
    uint64_t bytes; /* of IP, on the wire; of the frame if it is none */
};

/* All zero is empty. */
struct at_minutes {
    struct at_minute *row;
    size_t n, room;
    uint32_t *slot; /* number + 1, by minute and kind; half full at most */
    size_t mask;
    int64_t minute;    /* of 'now' */
    uint64_t began_ns; /* it did, since 1970 */
    uint32_t *now;     /* the number + 1 of its rows, by kind */
};

/* The kind of a flow, or a packet, of these. */
uint16_t at_kind_of(uint8_t net, uint8_t proto);

/* Counts a packet; AT_OK or AT_ERR_MEMORY. */
enum at_status at_minutes_add(struct at_minutes *m, const struct at_sight *s);

/* Sorts the rows by minute and kind; then nothing can be added. */
void at_minutes_sort(struct at_minutes *m);
void at_minutes_close(struct at_minutes *m);

#endif
