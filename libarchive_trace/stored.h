/*
 * stored.h - records as bytes that outlive their batch
 *
 * What is stored is for this process alone: it has pointers in it.  Of a
 * pcapng record the section must be held by whoever keeps the bytes.
 */
#ifndef AT_STORED_H
#define AT_STORED_H

#include "format.h"

/* Bytes that a record takes, a multiple of 8. */
size_t at_stored_bytes(const struct at_packet *pkt);

/* Writes them at 'p', which is aligned to 8 bytes. */
void at_stored_put(uint8_t *p, const struct at_packet *pkt);

/* The record stored at 'p', whose pointers are into those bytes; returns how
 * many they are. */
size_t at_stored_get(const uint8_t *p, struct at_packet *pkt);

/* The section of a pcapng record, which has to be held; else NULL. */
const struct at_layout *at_stored_layout(const struct at_packet *pkt);

#endif
