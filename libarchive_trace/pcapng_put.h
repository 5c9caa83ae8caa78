/*
 * pcapng_put.h - the bytes of pcapng blocks, in either byte order
 *
 * All goes to the end of out->buf; without memory out->failed is set, and
 * what follows does nothing.
 */
#ifndef AT_PCAPNG_PUT_H
#define AT_PCAPNG_PUT_H

#include "pcapng_out.h"

void at_ng_put(struct at_pcapng_out *o, const void *p, size_t n);
void at_ng_put_zeros(struct at_pcapng_out *o, size_t n);
void at_ng_put16(struct at_pcapng_out *o, bool swapped, uint16_t v);
void at_ng_put32(struct at_pcapng_out *o, bool swapped, uint32_t v);
void at_ng_put64(struct at_pcapng_out *o, bool swapped, uint64_t v);

/* The type of a block and room for its length, which at_ng_finish() puts on
 * both ends; at_ng_begin() returns where it begins. */
size_t at_ng_begin(struct at_pcapng_out *o, bool swapped, uint32_t type);
void at_ng_finish(struct at_pcapng_out *o, bool swapped, size_t at);

void at_ng_put_option(struct at_pcapng_out *o, bool swapped, uint16_t code,
                      const void *p, uint16_t n);

/* Copies an option of a block of 'type'; false where it is of the other byte
 * order and not known. */
bool at_ng_copy_option(struct at_pcapng_out *o, bool swapped, uint32_t type,
                       const struct at_options *from,
                       const struct at_option *option);

/* The statistics 'pkt' of the interface that is 'number' in a little-endian
 * section. */
void at_pcapng_put_statistics(struct at_pcapng_out *o,
                              const struct at_packet *pkt, uint32_t number,
                              struct at_losses *l);

/* The big-endian block 'pkt', which is no packet, as little-endian; false
 * where it is not known what is in it. */
bool at_pcapng_put_swapped(struct at_pcapng_out *o, const struct at_packet *pkt,
                           struct at_losses *l);

#endif
