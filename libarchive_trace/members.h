/*
 * members.h - gzip members that say in their header how long they are
 *
 * So they can be found without inflating, and any gzip reader reads the file
 * all the same.  The size is in a subfield of the extra field (RFC 1952,
 * section 2.3.1.1):
 *
 *     "BC"  2 bytes  of the member less one: BGZF, as in the SAM/BAM
 *                    specification, section 4.1; such a member has at most
 *                    64 KiB, compressed or not
 *     "IG"  4 bytes  of the member: pgzip for Python, and ours
 *     "MZ"  4 bytes  of its deflate data: MiGz for Java
 *     "AT"  4 bytes  of what it decodes to: ours, beside "IG"
 *
 * "AT" has to agree with the trailer, which is found by "IG"; so a damaged
 * size is known as that.  BGZF and ours close a file with an empty member, so
 * that a cut between members is known, too.
 */
#ifndef AT_MEMBERS_H
#define AT_MEMBERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    AT_BGZF_HEADER = 18,   /* of the members that we write */
    AT_BGZF_MAX = 65536,   /* a member, compressed or not */
    AT_BGZF_FILL = 0xff00, /* what we put into one, as bgzip does */
    AT_BGZF_EOF_BYTES = 28,

    AT_SIZED_HEADER = 28,
    AT_SIZED_MAX = 8 << 20,  /* longer ones are decoded in sequence */
    AT_SIZED_FILL = 4 << 20, /* what we put into one, a long record */
    AT_SIZED_EOF_BYTES = 38,

    AT_MEMBER_FIXED = 12,  /* of a header, before its extra field */
    AT_MEMBER_TRAILER = 8, /* CRC-32 and length */
};

extern const uint8_t at_bgzf_eof[AT_BGZF_EOF_BYTES];
extern const uint8_t at_sized_eof[AT_SIZED_EOF_BYTES];

enum at_member_kind {
    AT_MEMBER_PLAIN, /* does not say its size */
    AT_MEMBER_BGZF,  /* "BC" */
    AT_MEMBER_SIZED, /* "IG" or "MZ" */
};

struct at_member {
    enum at_member_kind kind; /* good as soon as the header is there */
    bool ours;                /* has "AT" */
    size_t bytes;             /* of the member */
    size_t header_bytes;      /* before the deflate data */
    uint32_t raw_bytes;       /* as the trailer says */
    uint32_t crc;
};

enum at_member_found {
    AT_MEMBER_OK,
    AT_MEMBER_MORE,   /* 'left' does not reach to its end */
    AT_MEMBER_NOT,    /* a gzip member without a size, or too long a one */
    AT_MEMBER_DAMAGED /* no gzip member, or fields that contradict each other */
};

/* Looks at the member that begins at 'p'. */
enum at_member_found at_member_look(const uint8_t *p, size_t left,
                                    struct at_member *m);

/* Whether another member has to follow. */
bool at_member_goes_on(const struct at_member *m);

#endif
