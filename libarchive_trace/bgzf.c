/*
 * bgzf.c - the members of a blocked gzip file
 */
#include "bgzf.h"

#include "bytes.h"

enum { FLAG_EXTRA = 4 };

const uint8_t at_bgzf_eof[AT_BGZF_EOF_BYTES] = {
    0x1f, 0x8b, 8,    4, 0, 0, 0, 0, 0, 0xff, 6, 0, 'B', 'C',
    2,    0,    0x1b, 0, 3, 0, 0, 0, 0, 0,    0, 0, 0,   0};

/* Finds "BC" among the extra fields; 0 if it is not there. */
static size_t size_field(const uint8_t *p, size_t n)
{
    struct at_cursor c = {.p = p, .left = n};

    while (!c.bad && c.left >= 4) {
        const uint8_t *id = at_take(&c, 2);
        const uint16_t len = at_take_le16(&c);
        const uint8_t *value = at_take(&c, len);

        if (value != NULL && id[0] == 'B' && id[1] == 'C' && len == 2)
            return (size_t)at_load_le16(value) + 1;
    }
    return 0;
}

enum at_bgzf_found at_bgzf_look(const uint8_t *p, size_t left,
                                struct at_bgzf_member *m)
{
    size_t extra;

    if (left < 12)
        return AT_BGZF_MORE;
    if (p[0] != 0x1f || p[1] != 0x8b || p[2] != 8)
        return AT_BGZF_DAMAGED;
    if (p[3] != FLAG_EXTRA)
        return AT_BGZF_NOT;
    extra = at_load_le16(p + 10);
    if (left < 12 + extra)
        return AT_BGZF_MORE;
    m->header_bytes = 12 + extra;
    m->bytes = size_field(p + 12, extra);
    if (m->bytes == 0)
        return AT_BGZF_NOT;
    if (m->bytes < m->header_bytes + AT_BGZF_TRAILER)
        return AT_BGZF_DAMAGED;
    if (left < m->bytes)
        return AT_BGZF_MORE;
    m->crc = at_load_le32(p + m->bytes - 8);
    m->raw_bytes = at_load_le32(p + m->bytes - 4);
    return m->raw_bytes <= AT_BGZF_MAX ? AT_BGZF_OK : AT_BGZF_DAMAGED;
}
