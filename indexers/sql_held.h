/*
 * sql_held.h - a sealed database of which only the open file is left
 *
 * Who replaces a file takes its name away; SQLite opens by names alone.  Here
 * a connection reads a descriptor.
 */
#ifndef AT_SQL_HELD_H
#define AT_SQL_HELD_H

#include <sqlite3.h>

struct at_sql_held;

/*
 * Opens the sealed database that 'fd' reads, under a name for messages; a code
 * of SQLite.  *held is closed after the connection; 'fd' is only duplicated.
 */
int at_sql_held_open(sqlite3 **db, struct at_sql_held **held, int fd,
                     const char *name);
void at_sql_held_close(struct at_sql_held *held);

#endif
