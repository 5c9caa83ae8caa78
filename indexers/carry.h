/*
 * carry.h - flows that go on from one part of a capture into the next
 *
 * What is left of a flow at the end of a part, as bytes that are the same on
 * every machine: in the catalogue for the next part, and in an index, with
 * the flow's row, so that the index can be made again from its trace.
 *
 *   key     16 lower address, 16 higher address, 2 lower port, 2 higher port,
 *           2 vlan, 1 net, 1 protocol, 4 MPLS label (highest bit: in a
 *           tunnel); an index has it in the row
 *   state   8 began, 8 last packet (ns since 1970), then for each direction:
 *           4 next sequence number, 4 first payload (or its number), 4
 *           missing bytes, 2 length of the first payload, 1 TCP flags, 1 bits
 *           (3 captured of first, 1 next is known, 1 SYN seen); then 4
 *           time of handshake (or ICMP message), 1 enum at_flow_state, 1 bits
 *           (1 source is higher, 2 enum at_handshake, 1 answered)
 *
 * And of datagrams of which later fragments may come:
 *
 *   datagram  4 number of its flow among these, from 0, 4 its own number (see
 *           struct at_sight), 8 time of its first fragment, 1 bits (1 sent by
 *           the higher end)
 *
 * Numbers are little-endian.
 */
#ifndef AT_CARRY_H
#define AT_CARRY_H

#include "tracker.h"

enum {
    AT_CARRY_KEY_BYTES = 44,
    AT_CARRY_STATE_BYTES = 54,
    AT_CARRY_BYTES = AT_CARRY_KEY_BYTES + AT_CARRY_STATE_BYTES,
    AT_CARRY_DATAGRAM_BYTES = 17,
};

void at_carry_pack_state(uint8_t p[AT_CARRY_STATE_BYTES],
                         const struct at_flow *flow,
                         const struct at_flow_past *past);

/* Fills in *flow, of which the key is there, and *past; false if these cannot
 * be the bytes of a flow. */
bool at_carry_unpack_state(struct at_flow *flow, struct at_flow_past *past,
                           const uint8_t p[AT_CARRY_STATE_BYTES]);

/* The flows that are open, in the order they began, and their datagrams, by
 * flow, number and sender; all zero is none. */
struct at_carry {
    uint8_t *record; /* AT_CARRY_BYTES each */
    size_t n, room;
    uint8_t *datagram; /* AT_CARRY_DATAGRAM_BYTES each */
    size_t datagrams, datagram_room;
};

/* AT_OK or AT_ERR_MEMORY. */
enum at_status at_carry_add(struct at_carry *c, const struct at_flow *flow,
                            const struct at_flow_past *past);

/* Adds whole records; AT_ERR_FORMAT if there is a part of one. */
enum at_status at_carry_add_bytes(struct at_carry *c, const void *p, size_t n);

/* Flow number 'i' from 0; false if these are not the bytes of one. */
bool at_carry_get(const struct at_carry *c, size_t i, struct at_flow *flow,
                  struct at_flow_past *past);

/* The same for datagrams, whose value is the number of their flow; false also
 * if that is not there, or the one before belongs behind it. */
enum at_status at_carry_add_datagram(struct at_carry *c,
                                     const struct at_datagram *first);
enum at_status at_carry_add_datagram_bytes(struct at_carry *c, const void *p,
                                           size_t n);
bool at_carry_get_datagram(const struct at_carry *c, size_t i,
                           struct at_datagram *first);

/* The number of the first datagram of flow 'flow' or a later one. */
size_t at_carry_datagrams_from(const struct at_carry *c, size_t flow);

void at_carry_close(struct at_carry *c);

#endif
