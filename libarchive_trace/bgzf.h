/*
 * bgzf.h - blocked gzip, as in the SAM/BAM specification, section 4.1
 *
 * Every block is a gzip member of at most 64 KiB, with an extra field "BC"
 * that holds the member's size less one; so the members can be found without
 * inflating, and any gzip reader reads the file.  An empty member closes it.
 */
#ifndef AT_BGZF_H
#define AT_BGZF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    AT_BGZF_HEADER = 18,   /* of the members that we write */
    AT_BGZF_TRAILER = 8,   /* CRC-32 and length */
    AT_BGZF_MAX = 65536,   /* a member, compressed or not */
    AT_BGZF_FILL = 0xff00, /* what we put into one, as bgzip does */
    AT_BGZF_EOF_BYTES = 28,
};

extern const uint8_t at_bgzf_eof[AT_BGZF_EOF_BYTES];

struct at_bgzf_member {
    size_t bytes;        /* of the member */
    size_t header_bytes; /* before the deflate data */
    uint32_t raw_bytes;  /* as the trailer says */
    uint32_t crc;
};

enum at_bgzf_found {
    AT_BGZF_OK,
    AT_BGZF_MORE,   /* 'left' does not reach to its end */
    AT_BGZF_NOT,    /* a gzip member without the "BC" field */
    AT_BGZF_DAMAGED /* no gzip member, or fields that contradict each other */
};

/* Looks at the member that begins at 'p'. */
enum at_bgzf_found at_bgzf_look(const uint8_t *p, size_t left,
                                struct at_bgzf_member *m);

#endif
