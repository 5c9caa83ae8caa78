/*
 * pages.h - the rows of a table, straight from the pages of a database
 *
 * SQLite takes a third of a microsecond to hand out a row of a few numbers,
 * most of it in its virtual machine.  A sealed index never changes, so its
 * pages can be read as they are; page_format.h says what they look like.
 */
#ifndef AT_PAGES_H
#define AT_PAGES_H

#include "sql.h"

/* One walk over a table; a thread of its own for each. */
struct at_pages;

/* A row, good until the next call with the same at_pages. */
struct at_cell {
    int64_t id; /* its rowid */
    const uint8_t *record;
    size_t here;       /* bytes of the record on this page, of */
    uint64_t bytes;    /* all; the others are */
    uint32_t overflow; /* on this page and on */
};

/*
 * Opens the table of a sealed database, whose connection must stay open.
 * AT_ERR_CORRUPT if there is none, or what tells of it contradicts itself, as
 * the others if the pages do.  Before its first row.
 */
enum at_status at_pages_open(struct at_pages **out, struct at_sql *sql,
                             const char *table, struct at_error *err);
void at_pages_close(struct at_pages *p);

/* The next row will be the first of which the rowid is at least 'id'. */
enum at_status at_pages_seek(struct at_pages *p, int64_t id,
                             struct at_error *err);

/* AT_OK with a row, in the order of rowids; AT_END after the last. */
enum at_status at_pages_next(struct at_pages *p, struct at_cell *cell,
                             struct at_error *err);

/*
 * Takes the numbers of those of the first 32 columns of which the bit is in
 * 'wanted'; NULL gives 0, and sets the bit in *nulls.  AT_ERR_CORRUPT if one of
 * them is no number.
 */
enum at_status at_cell_numbers(struct at_pages *p, const struct at_cell *cell,
                               uint32_t wanted, int64_t number[],
                               uint32_t *nulls, struct at_error *err);

/* The blob of a column, wherever it is; good until the next call with 'p'. */
enum at_status at_cell_blob(struct at_pages *p, const struct at_cell *cell,
                            unsigned column, const uint8_t **blob, size_t *n,
                            struct at_error *err);

#endif
