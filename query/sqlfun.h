/*
 * sqlfun.h - ip(), ip_text(), in_net() and at_time() for SQL
 */
#ifndef AT_SQLFUN_H
#define AT_SQLFUN_H

struct sqlite3;

/* Makes them known to a connection; returns what SQLite says. */
int at_sql_functions(struct sqlite3 *db);

#endif
