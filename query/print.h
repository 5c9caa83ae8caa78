/*
 * print.h - flows as people and programs read them
 *
 * The columns are those of the command line reference: the same names in the
 * same order in every format.
 */
#ifndef AT_PRINT_H
#define AT_PRINT_H

#include <stdio.h>

#include "query.h"

enum at_print_format { AT_PRINT_TABLE, AT_PRINT_CSV, AT_PRINT_JSON };

/* Those after the usual are shown where they are asked for by name; the last
 * are in no index. */
enum { AT_PRINT_COLUMNS = 39, AT_PRINT_USUAL = 18, AT_PRINT_INDEXED = 35 };

struct at_print {
    FILE *out;
    struct at_pool *pool; /* CSV and JSON: prints rows ahead; or NULL */
    enum at_print_format format;
    bool packets;   /* the flows are made of packets, not of an index */
    bool local;     /* table: times in the TZ zone */
    unsigned width; /* table: of the terminal; 0 is no limit */
    unsigned char column[AT_PRINT_COLUMNS]; /* which, in this order */
    unsigned columns;
};

/*
 * Chooses the columns named in 'fields' ("src,dst,bytes_out"); NULL is all of
 * them, or in a table of limited width the most telling ones that fit.
 */
enum at_status at_print_open(struct at_print *p, const char *fields,
                             struct at_error *err);

/* Whether a column was chosen. */
bool at_print_has(const struct at_print *p, const char *column);

/* Prints the flows found, with a line of names first but in JSON. */
void at_print_flows(struct at_print *p, const struct at_finds *finds,
                    const struct at_targets *targets, size_t limit);

/* "tcp", "udp", "icmp", ... or the number.  'buf' needs 8 bytes. */
const char *at_print_proto(char *buf, uint8_t proto);

#endif
