/*
 * bytes.h - bytes that we do not trust
 *
 * at_load_*() read a number from memory that the caller has checked; a
 * cursor checks by itself.  No struct is ever laid over file bytes.
 */
#ifndef AT_BYTES_H
#define AT_BYTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

static inline uint16_t at_load_be16(const uint8_t *p)
{
    return (uint16_t)(p[0] << 8 | p[1]);
}

static inline uint32_t at_load_be32(const uint8_t *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 |
           p[3];
}

static inline uint64_t at_load_be64(const uint8_t *p)
{
    return (uint64_t)at_load_be32(p) << 32 | at_load_be32(p + 4);
}

static inline uint16_t at_load_le16(const uint8_t *p)
{
    return (uint16_t)(p[1] << 8 | p[0]);
}

static inline uint32_t at_load_le32(const uint8_t *p)
{
    return (uint32_t)p[3] << 24 | (uint32_t)p[2] << 16 | (uint32_t)p[1] << 8 |
           p[0];
}

static inline uint64_t at_load_le64(const uint8_t *p)
{
    return (uint64_t)at_load_le32(p + 4) << 32 | at_load_le32(p);
}

static inline void at_store_be16(uint8_t *p, uint16_t v)
{
    p[0] = (uint8_t)(v >> 8);
    p[1] = (uint8_t)v;
}

static inline void at_store_be32(uint8_t *p, uint32_t v)
{
    at_store_be16(p, (uint16_t)(v >> 16));
    at_store_be16(p + 2, (uint16_t)v);
}

static inline void at_store_be64(uint8_t *p, uint64_t v)
{
    at_store_be32(p, (uint32_t)(v >> 32));
    at_store_be32(p + 4, (uint32_t)v);
}

static inline void at_store_le16(uint8_t *p, uint16_t v)
{
    p[0] = (uint8_t)v;
    p[1] = (uint8_t)(v >> 8);
}

static inline void at_store_le32(uint8_t *p, uint32_t v)
{
    at_store_le16(p, (uint16_t)v);
    at_store_le16(p + 2, (uint16_t)(v >> 16));
}

static inline void at_store_le64(uint8_t *p, uint64_t v)
{
    at_store_le32(p, (uint32_t)v);
    at_store_le32(p + 4, (uint32_t)(v >> 32));
}

/*
 * A place in bytes that we do not trust.  Taking more than is left gives NULL
 * or 0 and sets 'bad' for good, so a parser looks once, after its last take.
 */
struct at_cursor {
    const uint8_t *p;
    size_t left;
    bool bad;
};

static inline const uint8_t *at_take(struct at_cursor *c, size_t n)
{
    const uint8_t *p = c->p;

    if (c->bad || n > c->left) {
        c->bad = true;
        return NULL;
    }
    c->p += n;
    c->left -= n;
    return p;
}

static inline uint8_t at_take_u8(struct at_cursor *c)
{
    const uint8_t *p = at_take(c, 1);

    return p == NULL ? 0 : *p;
}

static inline uint16_t at_take_be16(struct at_cursor *c)
{
    const uint8_t *p = at_take(c, 2);

    return p == NULL ? 0 : at_load_be16(p);
}

static inline uint16_t at_take_le16(struct at_cursor *c)
{
    const uint8_t *p = at_take(c, 2);

    return p == NULL ? 0 : at_load_le16(p);
}

static inline uint32_t at_take_le32(struct at_cursor *c)
{
    const uint8_t *p = at_take(c, 4);

    return p == NULL ? 0 : at_load_le32(p);
}

/* Takes an unsigned LEB128 number, at most 64 bits. */
static inline uint64_t at_take_varint(struct at_cursor *c)
{
    uint64_t v = 0;

    for (unsigned shift = 0; shift < 64; shift += 7) {
        const uint8_t b = at_take_u8(c);

        v |= (uint64_t)(b & 0x7f) << shift;
        if ((b & 0x80) == 0)
            return v;
    }
    c->bad = true;
    return 0;
}

/* Appends 'v' as LEB128 at 'p', which has room for 10 bytes. */
static inline uint8_t *at_put_varint(uint8_t *p, uint64_t v)
{
    while (v >= 0x80) {
        *p++ = (uint8_t)(v | 0x80);
        v >>= 7;
    }
    *p++ = (uint8_t)v;
    return p;
}

#endif
