/*
 * page_format.h - what the pages of a table look like
 *
 *     page      type (1), free block (2), cells (2), where the cells begin (2),
 *               fragments (1), with an interior page at 8 the right-most child
 *               (4); then the cells' places (2 each)
 *     interior  child page (4), the largest rowid in it (varint)
 *     leaf      bytes of the record (varint), rowid (varint), the record up to
 *               what fits, the page on which it goes on (4)
 *     overflow  the page on which it goes on (4), bytes of the record
 *     record    bytes of its head (varint), a type for each column (varint);
 *               then the columns
 *
 * Source: "Database File Format", https://www.sqlite.org/fileformat2.html,
 * sections 1.3 to 2.1: tables with an INTEGER PRIMARY KEY.
 */
#ifndef AT_PAGE_FORMAT_H
#define AT_PAGE_FORMAT_H

#include <stddef.h>
#include <stdint.h>

enum {
    AT_DATABASE_HEADER = 100, /* before the first page's */
    AT_PAGE_INTERIOR = 5,
    AT_PAGE_LEAF = 13,
    AT_LEAF_HEADER = 8,
    AT_INTERIOR_HEADER = 12,
    AT_MOST_VARINT = 9,
    AT_TYPE_ZERO = 8, /* of a column: the number itself, and 1 is the next */
    AT_TYPE_BLOB = 12,
};

/* Bytes of a column, by the type that is no blob or text. */
static const uint8_t at_type_bytes[AT_TYPE_BLOB] = {0, 1, 2, 3, 4, 6, 8, 8};

/* How much of a record is in its cell, of a page with that many bytes. */
static inline size_t at_local_bytes(size_t usable, uint64_t bytes)
{
    const size_t most = usable - 35;
    const size_t least = (usable - 12) * 32 / 255 - 23;
    const size_t local = least +
                         (size_t)((bytes - least) % (uint64_t)(usable - 4));

    return bytes <= most ? (size_t)bytes : local <= most ? local : least;
}

#endif
