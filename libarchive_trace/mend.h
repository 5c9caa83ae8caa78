/*
 * mend.h - a pcap file whose header is lost, damaged or wrong
 */
#ifndef AT_MEND_H
#define AT_MEND_H

#include "format.h"

/* What of the file is not what it should be. */
struct at_mend {
    const char *what; /* NULL: nothing */
    uint32_t offset, bytes;
    bool lost; /* it is damage, and not the way of some writers */
};

/*
 * Finds out what the header of a pcap file said that begins with the 'n'
 * bytes at 'p', from its records.  True if so many of them follow each other
 * that this is no chance.
 */
bool at_pcap_mend(struct at_layout *layout, const uint8_t *p, size_t n,
                  struct at_mend *mend);

/*
 * Whether the link type or the snap length that the header of the file has is
 * none that its records can have; then it is what they do have in the layout.
 */
bool at_pcap_doubt(struct at_layout *layout, const uint8_t *p, size_t n,
                   struct at_mend *mend);

#endif
