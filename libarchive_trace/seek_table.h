/*
 * seek_table.h - the sizes of all frames, at the end of a file
 *
 * It is that of the seekable format in zstd's contrib folder (0.1.0), in a
 * frame that other readers skip; lz4 skips the same frames.
 *
 *     size  field
 *        4  magic       0x184D2A5E
 *        4  bytes       of all that follows
 *      8*n  entry       compressed and decoded size of each frame
 *        4  n
 *        1  descriptor  0: no checksums in the entries
 *        4  magic       0x8F92EAB1
 */
#ifndef AT_SEEK_TABLE_H
#define AT_SEEK_TABLE_H

#include "packer.h"

/* The functions of a codec whose jobs are frames, and whose state this is. */
enum at_status at_seek_table_begin(struct at_packer *pk);
enum at_status at_seek_table_note(struct at_packer *pk,
                                  const struct at_packing *job);
enum at_status at_seek_table_end(struct at_packer *pk);
void at_seek_table_close(struct at_packer *pk);

#define AT_SEEK_TABLE_FUNCTIONS                                                \
    .begin = at_seek_table_begin, .note = at_seek_table_note,                  \
    .end = at_seek_table_end, .close = at_seek_table_close

#endif
