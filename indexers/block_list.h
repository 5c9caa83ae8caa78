/*
 * block_list.h - the blocks of a trace, as an index keeps them
 *
 * One after the other, each by what it has that the one before does not tell:
 * it begins where that ended, in the same frame of the codec or in the next.
 * So a block takes 13 to 22 bytes.  Numbers are LEB128; one that may be
 * negative is twice what it is, or if it is negative twice its complement
 * and 1.
 *
 *     what      the bits AT_BLOCK_ below
 *     bytes
 *     records
 *     then, if the bit is set, how much it is off from what was expected:
 *       raw_offset   where the block before ends
 *       file_offset  SAME_FRAME: the same as before; or else behind that frame
 *       file_bytes   SAME_FRAME: the same as before; or else 'bytes'
 *       skip         SAME_FRAME: behind the block before; or else 0
 *     then, if there are packets:
 *       first        less the time of the last packet before
 *       last         less 'first'
 *
 * Before the first block of a list all is 0.
 */
#ifndef AT_BLOCK_LIST_H
#define AT_BLOCK_LIST_H

#include "archive_trace.h"

enum {
    AT_BLOCK_LIST = 64,         /* in a row of the index */
    AT_BLOCK_LIST_BYTES = 5120, /* are enough for that many */

    AT_BLOCK_SAME_FRAME = 1,
    AT_BLOCK_RAW_OFFSET = 2,
    AT_BLOCK_FILE_OFFSET = 4,
    AT_BLOCK_FILE_BYTES = 8,
    AT_BLOCK_SKIP = 16,
    AT_BLOCK_NO_PACKETS = 32,
};

struct at_block_row {
    struct at_place place;
    uint32_t records;
    bool packets;              /* there are some: */
    int64_t first_ns, last_ns; /* since the beginning of the trace */
};

/* Packs up to AT_BLOCK_LIST blocks into AT_BLOCK_LIST_BYTES; how many bytes it
 * took. */
size_t at_block_list_pack(uint8_t *to, const struct at_block_row *row,
                          size_t n);

/* Unpacks exactly 'n' blocks; false if they are not that. */
bool at_block_list_unpack(struct at_block_row *row, size_t n,
                          const uint8_t *from, size_t bytes);

#endif
