/*
 * members.c - gzip members that say in their header how long they are
 */
#include "members.h"

#include <string.h>

#include "bytes.h"

enum { FLAG_EXTRA = 4 };

const uint8_t at_bgzf_eof[AT_BGZF_EOF_BYTES] = {
    0x1f, 0x8b, 8,    4, 0, 0, 0, 0, 0, 0xff, 6, 0, 'B', 'C',
    2,    0,    0x1b, 0, 3, 0, 0, 0, 0, 0,    0, 0, 0,   0};

const uint8_t at_sized_eof[AT_SIZED_EOF_BYTES] = {
    0x1f, 0x8b, 8,   4, 0, 0, 0, 0, 0, 0xff, 16, 0, 'I', 'G', 4, 0, 38, 0, 0,
    0,    'A',  'T', 4, 0, 0, 0, 0, 0, 3,    0,  0, 0,   0,   0, 0, 0,  0, 0};

/* What the extra field says. */
struct fields {
    enum at_member_kind kind;
    uint64_t bytes;
    bool ours;
    uint32_t raw_bytes; /* with 'ours' */
};

static void read_field(struct fields *f, const uint8_t *id, uint16_t len,
                       const uint8_t *value, size_t header_bytes)
{
    if (memcmp(id, "BC", 2) == 0 && len == 2) {
        f->kind = AT_MEMBER_BGZF;
        f->bytes = (uint64_t)at_load_le16(value) + 1;
    } else if (memcmp(id, "IG", 2) == 0 && len == 4) {
        f->kind = AT_MEMBER_SIZED;
        f->bytes = at_load_le32(value);
    } else if (memcmp(id, "MZ", 2) == 0 && len == 4) {
        f->kind = AT_MEMBER_SIZED;
        f->bytes = (uint64_t)at_load_le32(value) + header_bytes +
                   AT_MEMBER_TRAILER;
    } else if (memcmp(id, "AT", 2) == 0 && len == 4) {
        f->ours = true;
        f->raw_bytes = at_load_le32(value);
    }
}

static struct fields read_fields(const uint8_t *p, size_t n)
{
    struct fields f = {.kind = AT_MEMBER_PLAIN};
    struct at_cursor c = {.p = p, .left = n};

    while (!c.bad && c.left >= 4) {
        const uint8_t *id = at_take(&c, 2);
        const uint16_t len = at_take_le16(&c);
        const uint8_t *value = at_take(&c, len);

        if (value != NULL)
            read_field(&f, id, len, value, AT_MEMBER_FIXED + n);
    }
    return f;
}

/* The limits of each kind; one says nothing against the file. */
static enum at_member_found judge(const struct at_member *m,
                                  const struct fields *f)
{
    if (f->ours && f->raw_bytes != m->raw_bytes)
        return AT_MEMBER_DAMAGED;
    if (m->kind == AT_MEMBER_BGZF)
        return m->raw_bytes <= AT_BGZF_MAX ? AT_MEMBER_OK : AT_MEMBER_DAMAGED;
    return m->raw_bytes <= AT_SIZED_MAX ? AT_MEMBER_OK : AT_MEMBER_NOT;
}

enum at_member_found at_member_look(const uint8_t *p, size_t left,
                                    struct at_member *m)
{
    struct fields f;
    size_t extra;

    *m = (struct at_member){.kind = AT_MEMBER_PLAIN};
    if (left < AT_MEMBER_FIXED)
        return AT_MEMBER_MORE;
    if (p[0] != 0x1f || p[1] != 0x8b || p[2] != 8)
        return AT_MEMBER_DAMAGED;
    if (p[3] != FLAG_EXTRA)
        return AT_MEMBER_NOT;
    extra = at_load_le16(p + 10);
    if (left < AT_MEMBER_FIXED + extra)
        return AT_MEMBER_MORE;
    f = read_fields(p + AT_MEMBER_FIXED, extra);
    m->ours = f.ours;
    if (f.kind == AT_MEMBER_PLAIN || f.bytes > AT_SIZED_MAX)
        return AT_MEMBER_NOT;
    m->kind = f.kind;
    m->bytes = (size_t)f.bytes;
    m->header_bytes = AT_MEMBER_FIXED + extra;
    if (m->bytes < m->header_bytes + AT_MEMBER_TRAILER)
        return AT_MEMBER_DAMAGED;
    if (left < m->bytes)
        return AT_MEMBER_MORE;
    m->crc = at_load_le32(p + m->bytes - 8);
    m->raw_bytes = at_load_le32(p + m->bytes - 4);
    return judge(m, &f);
}

bool at_member_goes_on(const struct at_member *m)
{
    return m->raw_bytes > 0 && (m->kind == AT_MEMBER_BGZF || m->ours);
}
