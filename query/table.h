/*
 * table.h - rows of any columns as a table, CSV or JSON
 *
 * Cells are put from left to right; the last one of a row ends it.  CSV and
 * JSON go out row by row.  A table waits for at_table_flush(), because its
 * columns are as wide as what is in them; rows that follow a flush never make
 * a column narrower.
 */
#ifndef AT_TABLE_H
#define AT_TABLE_H

#include <stdio.h>

#include "archive_trace.h"
#include "print.h"

struct at_column {
    const char *name;
    bool text;      /* to the left in the table, quoted in JSON */
    unsigned width; /* in the table at least */
};

enum { AT_TABLE_COLUMNS = 32 };

struct at_table {
    FILE *out;
    enum at_print_format format;
    const struct at_column *column;
    unsigned columns; /* AT_TABLE_COLUMNS at most */

    unsigned next;        /* column of the next cell */
    size_t rows;          /* that wait */
    struct at_text cells; /* that wait, each with its 0 */
    unsigned width[AT_TABLE_COLUMNS];
    bool begun; /* the line of names is out */
};

/* One cell.  An empty one is '-' in the table, null in JSON. */
void at_table_put(struct at_table *t, const char *text);
void at_table_number(struct at_table *t, uint64_t n);
/* 100 * part / whole with two digits; empty if the whole is 0. */
void at_table_percent(struct at_table *t, uint64_t part, uint64_t whole);
/* Nanoseconds since 1970; in CSV and JSON always UTC. */
void at_table_time(struct at_table *t, int64_t ns, bool local);

/* Prints what waits, and the names of the columns if they are not out yet. */
void at_table_flush(struct at_table *t);

/* Flushes; false if memory ran out on the way. */
bool at_table_close(struct at_table *t);

/* RFC 4180: quotes where a comma, quote or line end stands. */
void at_csv_text(FILE *out, const char *text);

#endif
