/*
 * block_list.c - the blocks of a trace, as an index keeps them
 */
#include "block_list.h"

#include "bytes.h"

static uint64_t zigzag(uint64_t v)
{
    return v << 1 ^ (0 - (v >> 63));
}

static uint64_t unzigzag(uint64_t v)
{
    return v >> 1 ^ (0 - (v & 1));
}

/* Where a block is expected to be. */
static struct at_place expect(const struct at_place *before, uint64_t bytes,
                              bool same_frame)
{
    return (struct at_place){
        .raw_offset = before->raw_offset + before->bytes,
        .file_offset = before->file_offset +
                       (same_frame ? 0 : before->file_bytes),
        .file_bytes = same_frame ? before->file_bytes : bytes,
        .skip = same_frame ? before->skip + before->bytes : 0,
        .bytes = bytes,
    };
}

/* ---- packing --------------------------------------------------------- */

static uint8_t *put_off(uint8_t *p, uint64_t is, uint64_t expected,
                        uint8_t *what, unsigned bit)
{
    if (is == expected)
        return p;
    *what = (uint8_t)(*what | bit);
    return at_put_varint(p, zigzag(is - expected));
}

static uint8_t *put_block(uint8_t *p, const struct at_block_row *row,
                          const struct at_place *before, int64_t *last_ns)
{
    const struct at_place *is = &row->place;
    const bool same = is->file_offset == before->file_offset &&
                      before->bytes > 0;
    const struct at_place e = expect(before, is->bytes, same);
    uint8_t *what = p++;

    *what = same ? AT_BLOCK_SAME_FRAME : 0;
    p = at_put_varint(p, is->bytes);
    p = at_put_varint(p, row->records);
    p = put_off(p, is->raw_offset, e.raw_offset, what, AT_BLOCK_RAW_OFFSET);
    p = put_off(p, is->file_offset, e.file_offset, what, AT_BLOCK_FILE_OFFSET);
    p = put_off(p, is->file_bytes, e.file_bytes, what, AT_BLOCK_FILE_BYTES);
    p = put_off(p, is->skip, e.skip, what, AT_BLOCK_SKIP);
    if (!row->packets) {
        *what |= AT_BLOCK_NO_PACKETS;
        return p;
    }
    p = at_put_varint(p, zigzag((uint64_t)row->first_ns - (uint64_t)*last_ns));
    *last_ns = row->last_ns;
    return at_put_varint(p, (uint64_t)row->last_ns - (uint64_t)row->first_ns);
}

size_t at_block_list_pack(uint8_t *to, const struct at_block_row *row, size_t n)
{
    struct at_place before = {.bytes = 0};
    int64_t last_ns = 0;
    uint8_t *p = to;

    for (size_t i = 0; i < n; i++) {
        p = put_block(p, &row[i], &before, &last_ns);
        before = row[i].place;
    }
    return (size_t)(p - to);
}

/* ---- unpacking ------------------------------------------------------- */

static uint64_t take_off(struct at_cursor *c, uint64_t expected, unsigned what,
                         unsigned bit)
{
    return (what & bit) == 0 ? expected
                             : expected + unzigzag(at_take_varint(c));
}

static void take_block(struct at_cursor *c, struct at_block_row *row,
                       const struct at_place *before, int64_t *last_ns)
{
    const unsigned what = at_take_u8(c);
    const uint64_t bytes = at_take_varint(c);
    struct at_place e = expect(before, bytes,
                               (what & AT_BLOCK_SAME_FRAME) != 0);
    uint64_t first;

    *row = (struct at_block_row){.records = (uint32_t)at_take_varint(c)};
    e.raw_offset = take_off(c, e.raw_offset, what, AT_BLOCK_RAW_OFFSET);
    e.file_offset = take_off(c, e.file_offset, what, AT_BLOCK_FILE_OFFSET);
    e.file_bytes = take_off(c, e.file_bytes, what, AT_BLOCK_FILE_BYTES);
    e.skip = take_off(c, e.skip, what, AT_BLOCK_SKIP);
    row->place = e;
    if ((what & AT_BLOCK_NO_PACKETS) != 0)
        return;
    first = (uint64_t)*last_ns + unzigzag(at_take_varint(c));
    row->packets = true;
    row->first_ns = (int64_t)first;
    row->last_ns = *last_ns = (int64_t)(first + at_take_varint(c));
}

bool at_block_list_unpack(struct at_block_row *row, size_t n,
                          const uint8_t *from, size_t bytes)
{
    struct at_cursor c = {.p = from, .left = bytes};
    struct at_place before = {.bytes = 0};
    int64_t last_ns = 0;

    for (size_t i = 0; i < n && !c.bad; i++) {
        take_block(&c, &row[i], &before, &last_ns);
        before = row[i].place;
    }
    return !c.bad && c.left == 0;
}
