/*
 * seek_table.c - the sizes of all frames, at the end of a file
 */
#include "seek_table.h"

#include <stdlib.h>

#include "bytes.h"

enum { ENTRY_BYTES = 8, HEAD_BYTES = 8, FOOT_BYTES = 9 };

static const uint32_t skip_magic = 0x184D2A5E, seek_magic = 0x8F92EAB1;

struct seek_table {
    uint8_t *entry;
    size_t n, room;
};

static enum at_status out_of_memory(struct at_packer *pk)
{
    return at_error_set(pk->err, AT_ERR_MEMORY, "out of memory");
}

enum at_status at_seek_table_begin(struct at_packer *pk)
{
    pk->state = calloc(1, sizeof(struct seek_table));
    return pk->state != NULL ? AT_OK : out_of_memory(pk);
}

enum at_status at_seek_table_note(struct at_packer *pk,
                                  const struct at_packing *job)
{
    struct seek_table *t = pk->state;
    uint8_t *p;

    if (t->n == t->room) {
        p = realloc(t->entry, (t->room * 2 + 64) * ENTRY_BYTES);
        if (p == NULL)
            return out_of_memory(pk);
        t->entry = p;
        t->room = t->room * 2 + 64;
    }
    p = t->entry + t->n++ * ENTRY_BYTES;
    at_store_le32(p, (uint32_t)job->out_bytes);
    at_store_le32(p + 4, (uint32_t)job->raw_bytes);
    return AT_OK;
}

enum at_status at_seek_table_end(struct at_packer *pk)
{
    const struct seek_table *t = pk->state;
    const size_t entries = t->n * ENTRY_BYTES;
    uint8_t head[HEAD_BYTES], foot[FOOT_BYTES];
    enum at_status st;

    at_store_le32(head, skip_magic);
    at_store_le32(head + 4, (uint32_t)(entries + FOOT_BYTES));
    at_store_le32(foot, (uint32_t)t->n);
    foot[4] = 0;
    at_store_le32(foot + 5, seek_magic);
    st = at_output_write(pk->out, head, HEAD_BYTES, pk->err);
    if (st == AT_OK)
        st = at_output_write(pk->out, t->entry, entries, pk->err);
    if (st == AT_OK)
        st = at_output_write(pk->out, foot, FOOT_BYTES, pk->err);
    return st;
}

void at_seek_table_close(struct at_packer *pk)
{
    struct seek_table *t = pk->state;

    free(t->entry);
    free(t);
}
