/*
 * span.c - the deflate data between two access points, decoded at once
 *
 * libdeflate decodes faster than what can stop and go on, but only whole
 * deflate streams, and without a window.  So we make a stream of the span:
 *
 *     a stored block    the window; ends on a byte
 *     empty blocks      up to the bit of a byte where the span begins in the
 *                       file: stored blocks in it begin on bytes
 *     the span
 *     a final block     empty
 *
 * and decode it to where the window and then the span shall be.  A span that
 * brings a final block of its own leaves input unused, and is refused.
 */
#include "span.h"

#include <libdeflate.h>
#include <stdlib.h>
#include <string.h>

enum {
    STORED_HEADER = 5,
    FILLING_BYTES = 16,
    FIRST_BYTES = STORED_HEADER + AT_WINDOW + FILLING_BYTES,
    FINAL_BYTES = 3,
    ROOM_STEP = 1 << 20,
    BLOCK_BYTES = 64 << 10, /* of headers, beside the packed bytes */
};

struct at_unspan {
    struct libdeflate_decompressor *tool;
    uint8_t *in;
    size_t room;
};

struct at_unspan *at_unspan_open(void)
{
    struct at_unspan *u = calloc(1, sizeof(*u));

    if (u == NULL)
        return NULL;
    u->tool = libdeflate_alloc_decompressor();
    if (u->tool == NULL) {
        free(u);
        return NULL;
    }
    return u;
}

void at_unspan_close(struct at_unspan *u)
{
    if (u == NULL)
        return;
    libdeflate_free_decompressor(u->tool);
    free(u->in);
    free(u);
}

static size_t window_bytes(const struct at_access_point *p)
{
    return p->member_raw < AT_WINDOW ? (size_t)p->member_raw : AT_WINDOW;
}

bool at_span_fits(const struct at_access *access, size_t i)
{
    const struct at_access_point *p = &access->point[i];
    uint64_t raw;

    if (i + 1 >= access->n || p->member_raw == 0 || p[1].member_raw == 0 ||
        p[1].member_offset != p->member_offset)
        return false;
    raw = p[1].raw_offset - p->raw_offset;
    return raw <= AT_SPAN_MOST &&
           (p[1].file_bit - p->file_bit) / 8 <= raw + raw / 8 + BLOCK_BYTES;
}

/* Room for 'n' bytes; what was there is lost. */
static bool make_room(struct at_unspan *u, size_t n)
{
    if (n <= u->room)
        return true;
    n = (n / ROOM_STEP + 1) * ROOM_STEP;
    free(u->in);
    u->room = 0;
    u->in = malloc(n);
    if (u->in == NULL)
        return false;
    u->room = n;
    return true;
}

/* ---- the stream ------------------------------------------------------ */

/* Bits that are put from the lowest of each byte up; all are 0 before. */
struct bits {
    uint8_t *p;
    size_t n;
};

static void put_bits(struct bits *b, unsigned value, unsigned n)
{
    for (; n > 0; n--, value >>= 1, b->n++)
        b->p[b->n / 8] |= (uint8_t)((value & 1) << b->n % 8);
}

/* A stored block of the window, which access.c puts behind its header. */
static enum at_status put_window(struct bits *b, const struct at_access *access,
                                 size_t i, const uint8_t *packed)
{
    const size_t n = window_bytes(&access->point[i]);
    struct at_error err;

    put_bits(b, 0, 8);
    put_bits(b, (unsigned)n, 16);
    put_bits(b, (unsigned)~n, 16);
    b->n += 8 * n;
    return at_access_window(access, i, packed, b->p + STORED_HEADER, &err);
}

/* An empty block of 10 bits, with fixed codes. */
static void put_fixed(struct bits *b, bool final)
{
    put_bits(b, final, 1);
    put_bits(b, 1, 2);
    put_bits(b, 0, 7); /* end of block */
}

/* An empty block of 91 bits, with codes of its own: of one bit each, for
 * literal 255, the end of block and a distance. */
static void put_dynamic(struct bits *b)
{
    put_bits(b, 0, 1);
    put_bits(b, 2, 2);
    put_bits(b, 0, 5 + 5);        /* 257 and 1 code lengths, told with */
    put_bits(b, 18 - 4, 4);       /* codes, of which 18 lengths follow */
    put_bits(b, 1 << 6, 9);       /* no 16, no 17; 18: 1 bit */
    b->n += 42;                   /* none but */
    put_bits(b, 1, 3);            /* 1: 1 bit */
    put_bits(b, 1 | 127 << 1, 8); /* 138 zeros */
    put_bits(b, 1 | 106 << 1, 8); /* 117 zeros */
    put_bits(b, 0, 3);            /* 1, 1; 1 */
    put_bits(b, 1, 1);            /* end of block */
}

/* Goes on to bit 'to' of a byte. */
static void put_filling(struct bits *b, unsigned to)
{
    if (to % 2 == 1)
        put_dynamic(b);
    while (b->n % 8 != to)
        put_fixed(b, false);
}

/* The bits between two points, from the same bit of a byte on. */
static bool put_span(struct bits *b, const struct at_access_point *p,
                     const struct at_input *in)
{
    const unsigned skip = p->file_bit % 8;
    const uint64_t end = p[1].file_bit;
    const size_t n = (size_t)((end + 7) / 8 - p->file_bit / 8);
    uint8_t *to = b->p + b->n / 8, before = *to;
    struct at_error err;
    size_t got;

    if (at_input_read_at(in, p->file_bit / 8, to, n, &got, &err) != AT_OK ||
        got < n)
        return false;
    *to = (uint8_t)((*to >> skip << skip) | before);
    if (end % 8 > 0)
        to[n - 1] &= (uint8_t)((1 << end % 8) - 1);
    b->n += (size_t)(end - p->file_bit);
    memset(b->p + (b->n + 7) / 8, 0, FINAL_BYTES);
    return true;
}

/* Makes the stream that stands for the span; false if it cannot be had. */
static bool make_stream(struct at_unspan *u, const struct at_access *access,
                        size_t i, const struct at_input *in,
                        const uint8_t *packed, size_t *bytes)
{
    const struct at_access_point *p = &access->point[i];
    const size_t span = (size_t)((p[1].file_bit - p->file_bit) / 8) + 2;
    struct bits b;

    if (!make_room(u, FIRST_BYTES + span + FINAL_BYTES))
        return false;
    memset(u->in, 0, FIRST_BYTES);
    b = (struct bits){u->in, 0};
    if (put_window(&b, access, i, packed) != AT_OK)
        return false;
    put_filling(&b, p->file_bit % 8);
    if (!put_span(&b, p, in))
        return false;
    put_fixed(&b, true);
    *bytes = (b.n + 7) / 8;
    return true;
}

bool at_unspan(struct at_unspan *u, const struct at_access *access, size_t i,
               const struct at_input *in, const uint8_t *packed, uint8_t *out)
{
    const struct at_access_point *p = &access->point[i];
    const size_t window = window_bytes(p);
    const size_t raw = (size_t)(p[1].raw_offset - p->raw_offset);
    size_t n, taken, made;

    return make_stream(u, access, i, in, packed, &n) &&
           libdeflate_deflate_decompress_ex(u->tool, u->in, n, out - window,
                                            window + raw, &taken,
                                            &made) == LIBDEFLATE_SUCCESS &&
           taken == n && made == window + raw &&
           libdeflate_crc32(p->crc, out, raw) == p[1].crc;
}
