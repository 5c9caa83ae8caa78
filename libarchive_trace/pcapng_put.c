/*
 * pcapng_put.c - the bytes of pcapng blocks, in either byte order
 */
#include "pcapng_put.h"

#include <stdlib.h>

#include "section.h"

static uint8_t *grow(struct at_pcapng_out *o, size_t n)
{
    if (o->bytes + n > o->room) {
        const size_t room = 2 * (o->bytes + n) + 256;
        uint8_t *p = realloc(o->buf, room);

        if (p == NULL) {
            o->failed = true;
            return NULL;
        }
        o->buf = p;
        o->room = room;
    }
    o->bytes += n;
    return o->buf + o->bytes - n;
}

void at_ng_put(struct at_pcapng_out *o, const void *p, size_t n)
{
    uint8_t *to = grow(o, n);

    if (to != NULL && n > 0)
        memcpy(to, p, n);
}

void at_ng_put_zeros(struct at_pcapng_out *o, size_t n)
{
    uint8_t *to = grow(o, n);

    if (to != NULL)
        memset(to, 0, n);
}

void at_ng_put16(struct at_pcapng_out *o, bool swapped, uint16_t v)
{
    uint8_t *to = grow(o, 2);

    if (to != NULL && swapped)
        at_store_be16(to, v);
    else if (to != NULL)
        at_store_le16(to, v);
}

void at_ng_put32(struct at_pcapng_out *o, bool swapped, uint32_t v)
{
    at_ng_put16(o, swapped, (uint16_t)(swapped ? v >> 16 : v));
    at_ng_put16(o, swapped, (uint16_t)(swapped ? v : v >> 16));
}

void at_ng_put64(struct at_pcapng_out *o, bool swapped, uint64_t v)
{
    at_ng_put32(o, swapped, (uint32_t)(swapped ? v >> 32 : v));
    at_ng_put32(o, swapped, (uint32_t)(swapped ? v : v >> 32));
}

size_t at_ng_begin(struct at_pcapng_out *o, bool swapped, uint32_t type)
{
    const size_t at = o->bytes;

    at_ng_put32(o, swapped, type);
    at_ng_put32(o, swapped, 0);
    return at;
}

/* Both lengths of the block that began at 'at'. */
void at_ng_finish(struct at_pcapng_out *o, bool swapped, size_t at)
{
    const uint32_t n = (uint32_t)(o->bytes - at + 4);

    at_ng_put32(o, swapped, n);
    if (!o->failed)
        memcpy(o->buf + at + 4, o->buf + o->bytes - 4, 4);
}

void at_ng_put_option(struct at_pcapng_out *o, bool swapped, uint16_t code,
                      const void *p, uint16_t n)
{
    at_ng_put16(o, swapped, code);
    at_ng_put16(o, swapped, n);
    at_ng_put(o, p, n);
    at_ng_put_zeros(o, at_ng_padded(n) - n);
}

/* ---- options --------------------------------------------------------- */

enum {
    CUSTOM_TEXT = 2988, /* an enterprise number, then UTF-8 */
    CUSTOM_TEXT_KEPT = 19372,
    PEN_BYTES = 4,
};

/* BYTES are the same in either order, TIME is two words, the high one first */
enum shape { UNKNOWN, BYTES, NUMBER, TIME, CUSTOM };

/* What an option of a block is made of. */
static enum shape shape_of(uint32_t type, uint16_t code)
{
    static const uint8_t face[] = {
        [1] = BYTES,   [2] = BYTES,   [3] = BYTES,  [4] = BYTES,
        [5] = BYTES,   [6] = BYTES,   [7] = BYTES,  [8] = NUMBER,
        [9] = BYTES,   [10] = NUMBER, [11] = BYTES, [12] = BYTES,
        [13] = BYTES,  [14] = NUMBER, [15] = BYTES, [16] = NUMBER,
        [17] = NUMBER, [18] = BYTES,
    };
    static const uint8_t frame[] = {
        [1] = BYTES,  [2] = NUMBER, [3] = BYTES,
        [4] = NUMBER, [5] = NUMBER, [6] = NUMBER,
    };
    static const uint8_t statistics[] = {
        [1] = BYTES,  [2] = TIME,   [3] = TIME,   [4] = NUMBER,
        [5] = NUMBER, [6] = NUMBER, [7] = NUMBER, [8] = NUMBER,
    };
    static const uint8_t names[] = {
        [1] = BYTES,
        [2] = BYTES,
        [3] = BYTES,
        [4] = BYTES,
    };
    static const uint8_t other[] = {[1] = BYTES};

    if (code == CUSTOM_TEXT || code == CUSTOM_TEXT_KEPT)
        return CUSTOM;
#define IN(shapes)                                                             \
    (code < sizeof(shapes) ? (enum shape)(shapes)[code] : UNKNOWN)
    switch (type) {
    case AT_NG_IDB:
        return IN(face);
    case AT_NG_EPB:
        return IN(frame);
    case AT_NG_ISB:
        return IN(statistics);
    case AT_NG_NRB:
        return IN(names);
    default:
        return IN(other);
    }
#undef IN
}

static bool put_number(struct at_pcapng_out *o, bool swapped, uint64_t n,
                       uint16_t bytes)
{
    if (bytes == 4)
        at_ng_put32(o, swapped, (uint32_t)n);
    else if (bytes == 8)
        at_ng_put64(o, swapped, n);
    return bytes == 4 || bytes == 8;
}

static bool put_time(struct at_pcapng_out *o, bool swapped, const uint8_t *p,
                     uint16_t bytes)
{
    if (bytes != 8)
        return false;
    at_ng_put32(o, swapped, at_ng_32(!swapped, p));
    at_ng_put32(o, swapped, at_ng_32(!swapped, p + 4));
    return true;
}

static bool put_custom(struct at_pcapng_out *o, bool swapped, const uint8_t *p,
                       uint16_t bytes)
{
    if (bytes < PEN_BYTES)
        return false;
    at_ng_put32(o, swapped, at_ng_32(!swapped, p));
    at_ng_put(o, p + PEN_BYTES, bytes - PEN_BYTES);
    at_ng_put_zeros(o, at_ng_padded(bytes) - bytes);
    return true;
}

/* The value in the other byte order. */
static bool put_value(struct at_pcapng_out *o, bool swapped, enum shape shape,
                      const struct at_options *from,
                      const struct at_option *option)
{
    switch (shape) {
    case NUMBER:
        return put_number(o, swapped, at_option_number(from, option),
                          option->bytes);
    case TIME:
        return put_time(o, swapped, option->data, option->bytes);
    case CUSTOM:
        return put_custom(o, swapped, option->data, option->bytes);
    default:
        return false;
    }
}

bool at_ng_copy_option(struct at_pcapng_out *o, bool swapped, uint32_t type,
                       const struct at_options *from,
                       const struct at_option *option)
{
    const enum shape shape = shape_of(type, option->code);
    const size_t before = o->bytes;

    if (from->swapped == swapped || shape == BYTES) {
        at_ng_put_option(o, swapped, option->code, option->data, option->bytes);
        return true;
    }
    at_ng_put16(o, swapped, option->code);
    at_ng_put16(o, swapped, option->bytes);
    if (put_value(o, swapped, shape, from, option))
        return true;
    o->bytes = before;
    return false;
}

/* ---- blocks that are no packets -------------------------------------- */

static void put_options(struct at_pcapng_out *o, uint32_t type,
                        struct at_options from, struct at_losses *l)
{
    struct at_option option;

    while (at_options_next(&from, &option))
        l->descriptions += !at_ng_copy_option(o, false, type, &from, &option);
}

void at_pcapng_put_statistics(struct at_pcapng_out *o,
                              const struct at_packet *pkt, uint32_t number,
                              struct at_losses *l)
{
    const bool swapped = pkt->layout->swapped;
    const size_t at = at_ng_begin(o, false, AT_NG_ISB);

    at_ng_put32(o, false, number);
    at_ng_put32(o, false, at_ng_32(swapped, pkt->record + 12));
    at_ng_put32(o, false, at_ng_32(swapped, pkt->record + 16));
    put_options(o, AT_NG_ISB, at_packet_options(pkt), l);
    at_ng_finish(o, false, at);
}

/*
 * Names of addresses: records of a type and a length (2 bytes each) and as
 * many bytes, addresses and names, padded to a multiple of 4; one of type 0
 * is the last, and options follow it.
 */
static bool put_names(struct at_pcapng_out *o, const uint8_t *p, size_t n,
                      struct at_losses *l)
{
    struct at_options options = {.end = p + n, .swapped = true};
    struct at_cursor c = {.p = p, .left = n};
    uint16_t type = 1;

    while (!c.bad && c.left > 0 && type != 0) {
        uint16_t bytes;
        const uint8_t *value;

        type = at_take_be16(&c);
        bytes = at_take_be16(&c);
        value = at_take(&c, at_ng_padded(bytes));
        if (value != NULL)
            at_ng_put_option(o, false, type, value, bytes);
    }
    if (c.bad || !at_ng_options_good(c.p, p + n, true))
        return false;
    options.at = c.p;
    put_options(o, AT_NG_NRB, options, l);
    return true;
}

static bool put_secrets(struct at_pcapng_out *o, const struct at_packet *pkt,
                        struct at_losses *l)
{
    const uint32_t bytes = at_load_be32(pkt->record + 12);

    at_ng_put32(o, false, at_load_be32(pkt->record + 8));
    at_ng_put32(o, false, bytes);
    at_ng_put(o, pkt->record + 16, at_ng_padded(bytes));
    put_options(o, AT_NG_DSB, at_packet_options(pkt), l);
    return true;
}

/* The entry of a journal is text, with numbers that are little-endian in any
 * section. */
static bool put_body(struct at_pcapng_out *o, const struct at_packet *pkt,
                     uint32_t type, struct at_losses *l)
{
    const uint8_t *p = pkt->record + 8;
    const size_t n = pkt->record_bytes - AT_NG_FRAME;

    switch (type) {
    case AT_NG_NRB:
        return put_names(o, p, n, l);
    case AT_NG_DSB:
        return put_secrets(o, pkt, l);
    case AT_NG_JOURNAL:
        at_ng_put(o, p, n);
        return true;
    default:
        return false;
    }
}

bool at_pcapng_put_swapped(struct at_pcapng_out *o, const struct at_packet *pkt,
                           struct at_losses *l)
{
    const uint32_t type = at_load_be32(pkt->record);
    const size_t at = at_ng_begin(o, false, type);

    if (!put_body(o, pkt, type, l)) {
        o->bytes = at;
        return false;
    }
    at_ng_finish(o, false, at);
    return true;
}
