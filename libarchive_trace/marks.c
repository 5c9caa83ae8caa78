/*
 * marks.c - frames that say that another one closes the file
 */
#include "marks.h"

#include <string.h>

#include "bytes.h"

/* ---- zstd ------------------------------------------------------------- */

enum {
    ZSTD_FIXED = 5, /* magic and descriptor */
    ZSTD_CHECKSUM = 4,
};

/* Bytes of the frame's header, by its descriptor (RFC 8878, 3.1.1.1.1). */
static size_t zstd_header_bytes(uint8_t descriptor)
{
    static const uint8_t dictionary[] = {0, 1, 2, 4};
    const unsigned size = descriptor >> 6;
    const bool single = (descriptor & 0x20) != 0;

    return (size_t)ZSTD_FIXED + !single + dictionary[descriptor & 3] +
           (size == 0 ? single : 1U << size);
}

bool at_zstd_is_marked(const uint8_t *p, size_t n)
{
    size_t header;

    if (n < ZSTD_FIXED || memcmp(p, "\x28\xb5\x2f\xfd", 4) != 0 ||
        (p[4] & ZSTD_CHECKSUM) == 0)
        return false;
    header = zstd_header_bytes(p[4]);
    return n >= header + AT_ZSTD_MARK &&
           memcmp(p + header, "\0\0\0", AT_ZSTD_MARK) == 0;
}

size_t at_zstd_mark(uint8_t *out, size_t n)
{
    const size_t header = zstd_header_bytes(out[AT_ZSTD_MARK + 4]);

    memmove(out, out + AT_ZSTD_MARK, header);
    memset(out + header, 0, AT_ZSTD_MARK);
    return n + AT_ZSTD_MARK;
}

/* ---- lz4 -------------------------------------------------------------- */

enum { LZ4_CONTENT_SIZE = 0x08, LZ4_DICTIONARY = 0x01 };

bool at_lz4_is_marked(const uint8_t *p, size_t n)
{
    struct at_cursor c = {.p = p, .left = n};
    const uint32_t magic = at_take_le32(&c);
    const uint8_t flags = at_take_u8(&c);

    at_take(&c, flags & LZ4_DICTIONARY ? 1 + 8 + 4 + 1 : 1 + 8 + 1);
    return magic == 0x184D2204 && (flags & LZ4_CONTENT_SIZE) != 0 &&
           at_take_le32(&c) == 0x80000001;
}

/* ---- bzip2 ------------------------------------------------------------ */

enum {
    BZIP2_HEADER = 4 + 6,      /* magic of the stream, and of its first block */
    BZIP2_BLOCK = 32 + 1 + 24, /* bits: CRC, randomised, origin */
    STEPS = 0xbb,              /* up, down, up, down */
};

/* Bits from the highest of each byte on. */
struct bits {
    const uint8_t *p;
    size_t left; /* bits */
    unsigned used;
};

static unsigned take_bit(struct bits *b)
{
    unsigned bit;

    if (b->left == 0)
        return 0;
    b->left--;
    bit = (unsigned)*b->p >> (7 - b->used) & 1;
    b->used = (b->used + 1) % 8;
    b->p += b->used == 0;
    return bit;
}

static unsigned take_bits(struct bits *b, unsigned n)
{
    unsigned v = 0;

    while (n-- > 0)
        v = v << 1 | take_bit(b);
    return v;
}

/* The bit of the stream at which the first step of its first code table
 * stands, or may; 0 if there is no block, or no end of what is before. */
static size_t first_step(const uint8_t *p, size_t n)
{
    struct bits b = {.p = p + BZIP2_HEADER};
    unsigned selectors;

    if (n < BZIP2_HEADER || memcmp(p, "BZh", 3) != 0 ||
        memcmp(p + 4, "\x31\x41\x59\x26\x53\x59", 6) != 0)
        return 0;
    b.left = 8 * (n - BZIP2_HEADER);
    take_bits(&b, BZIP2_BLOCK);
    for (unsigned used = take_bits(&b, 16); used != 0; used &= used - 1)
        take_bits(&b, 16); /* which bytes of the 16 occur */
    take_bits(&b, 3);      /* number of tables */
    selectors = take_bits(&b, 15);
    while (selectors > 0 && b.left > 0)
        selectors -= take_bit(&b) == 0;
    take_bits(&b, 5); /* the length to begin with */
    return b.left >= 8 ? 8 * n - b.left : 0;
}

bool at_bzip2_is_marked(const uint8_t *p, size_t n)
{
    const size_t bit = first_step(p, n), at = bit / 8;

    if (bit == 0 || at + 1 >= n)
        return false;
    return (at_load_be16(p + at) >> (8 - bit % 8) & 0xff) == STEPS;
}

size_t at_bzip2_mark(uint8_t *p, size_t n)
{
    const size_t bit = first_step(p, n), at = bit / 8;
    const unsigned before = bit % 8;
    unsigned split;

    if (bit == 0)
        return n;
    split = p[at];
    memmove(p + at + 1, p + at, n - at);
    p[at] = (uint8_t)((split & ~(0xffU >> before)) | STEPS >> before);
    p[at + 1] = (uint8_t)((STEPS << (8 - before)) | (split & 0xffU >> before));
    return n + AT_BZIP2_MARK;
}
