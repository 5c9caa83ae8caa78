/*
 * gunzip.h - gzip members (RFC 1952) one after the other, from any point
 *
 * ISA-L inflates about twice as fast as zlib and is used where it was built
 * in.  Either checks the CRC and the length in the trailer of a member, also
 * of one that it went into at an access point.
 */
#ifndef AT_GUNZIP_H
#define AT_GUNZIP_H

#ifdef AT_HAVE_ISAL
#include <isa-l/igzip_lib.h>
#else
#include <zlib.h>
#endif

#include "input.h"

enum {
    AT_WINDOW = 32 << 10, /* how far back deflate looks */
    /* A window of random bytes, packed: no more than this. */
    AT_WINDOW_PACKED = AT_WINDOW + 1024,
};

struct at_gunzip {
#ifdef AT_HAVE_ISAL
    struct inflate_state z;
#else
    z_stream z;
    bool headless; /* begun inside a member: CRC and trailer are ours */
    bool trailer;  /* comes next */
    uint32_t crc;  /* of a headless member so far */
#endif
    struct at_input *input;
    uint8_t *in;
    size_t at, have;        /* what is left of 'in' */
    uint64_t offset;        /* in the file, after what is in 'in' */
    bool eof;               /* the file has no more */
    bool inside;            /* of a member */
    bool first;             /* no member has begun yet */
    bool closed;            /* a file that has this member ends with no other
                               than an empty one */
    bool goes_on;           /* another member has to follow */
    uint64_t raw;           /* decoded bytes of the file so far */
    uint64_t member_offset; /* byte of the file where the member begins */
    uint64_t member_raw;    /* decoded bytes of it so far */
    size_t feed;            /* bytes that one step may take in; 0: any number */
    bool to_block;          /* a step may end where a deflate block begins */
};

/* Begins where 'input' is.  On failure there is nothing to close. */
enum at_status at_gunzip_open(struct at_gunzip *g, struct at_input *input);
void at_gunzip_close(struct at_gunzip *g);

/*
 * Goes on at an access point of the file; 'window' is the AT_WINDOW bytes
 * before it, or as many as its member has.
 */
enum at_status at_gunzip_restart(struct at_gunzip *g,
                                 const struct at_access_point *point,
                                 const uint8_t *window, struct at_error *err);

/*
 * Takes one step: begins the next member if it is not inside one, else
 * decodes up to 'n' bytes.  *got may be 0 without an end.  Returns AT_OK;
 * AT_END where the file ends between members; or an error, which comes after
 * the *got bytes.
 */
enum at_status at_gunzip_step(struct at_gunzip *g, uint8_t *out, size_t n,
                              size_t *got, struct at_error *err);

/*
 * After an error of the data: searches for the next member that decodes well
 * and goes on there; AT_END if there is none.
 */
enum at_status at_gunzip_search(struct at_gunzip *g, struct at_error *err);

/* The offset in the file of what is decoded next. */
uint64_t at_gunzip_position(const struct at_gunzip *g);

/*
 * Whether the next bit to decode is known to be the first of a deflate block,
 * all that is before it having been given out; stores its number.
 */
bool at_gunzip_at_block(const struct at_gunzip *g, uint64_t *file_bit);

/* Bytes to take in until the block ends, where that is known; else 0. */
size_t at_gunzip_stored_left(const struct at_gunzip *g);

/* CRC-32 of the member so far. */
uint32_t at_gunzip_crc(const struct at_gunzip *g);

#endif
