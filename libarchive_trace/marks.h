/*
 * marks.h - frames that say that another one closes the file
 *
 * Where a frame of zstd, lz4 or bzip2 ends, a file may end, so that one cut
 * there would look whole.  Each frame that we write therefore has a mark that
 * every decoder passes over and no encoder makes, and each file ends with a
 * frame without: the seek table of zstd and lz4, an empty stream of bzip2.
 *
 *     zstd   the first block is of 0 bytes, uncompressed and not the last:
 *            00 00 00 (RFC 8878, section 3.1.1.2)
 *     lz4    the first block has the first byte alone, uncompressed:
 *            01 00 00 80 (LZ4 Frame Format 1.6); one of 0 bytes would do, but
 *            that lz4 --list takes it for the end of the frame
 *     bzip2  the code lengths of a block are told by steps up (10) and down
 *            (11) from the one before; before the first of them we go up and
 *            down twice: 10 11 10 11, which is one byte more
 */
#ifndef AT_MARKS_H
#define AT_MARKS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { AT_ZSTD_MARK = 3, AT_BZIP2_MARK = 1 }; /* bytes that they add */

/* Whether the frame that begins at 'p' has a mark; false too where the 'n'
 * bytes do not reach so far. */
bool at_zstd_is_marked(const uint8_t *p, size_t n);
bool at_lz4_is_marked(const uint8_t *p, size_t n);
bool at_bzip2_is_marked(const uint8_t *p, size_t n);

/* Marks the frame of 'n' bytes at out + AT_ZSTD_MARK, which then begins at
 * 'out'; returns its size. */
size_t at_zstd_mark(uint8_t *out, size_t n);

/* Marks the stream at 'p', behind which is room for AT_BZIP2_MARK; returns its
 * size.  One without blocks stays as it is. */
size_t at_bzip2_mark(uint8_t *p, size_t n);

#endif
