/*
 * catalog_schema.c - the tables of the catalogue
 *
 *   stream   names
 *   segment  what is in the archive.  'gone' is the time at which its packets
 *            were removed, 0 if they are there; where they are gone, its index
 *            is kept, and file_bytes is 0.  The digests are SHA-256 of the two
 *            files, NULL where they are not known
 *   gone     segments that were removed with their indexes, and packets that
 *            damage took from one that was salvaged
 *   input    how far files were taken in; salvage: those that were salvaged
 *   open_flow  the flows that are open at the end of a segment (carry.h), a
 * number of them in each row; its id is the segment's and, below, the number of
 * the row.  Of a stream only the newest segments have any: the pending one, and
 * the sealed one before
 *   open_datagram  the same of their datagrams of which fragments may come
 *   sieve    which hosts a segment may hold (sieve.h), some
 * lines in each row, with ids like those; hosts: how many lines there are
 *   minute   packets and bytes of each minute (since 1970) by kind (schema.h);
 *            hour the same by hours.  minute_app and hour_app: the flows that
 *            begin then, by application ("" has no name), with all they have in
 *            the segment
 *   changed  streams whose packets were anonymised on their way in, by which
 *            key and policy
 *   intent   a path that is about to become a file, or to be one no longer
 */
#include "catalog_schema.h"

#include "errors.h"

#define SEGMENT_V2                                                             \
    " file_digest BLOB, index_digest BLOB, gone INT NOT NULL DEFAULT 0"

#define SALVAGE                                                                \
    "CREATE TABLE IF NOT EXISTS salvage(digest BLOB PRIMARY KEY,"              \
    " records INT NOT NULL, complete INT NOT NULL, holes INT NOT NULL,"        \
    " hole_bytes INT NOT NULL) WITHOUT ROWID;"

#define GONE                                                                   \
    "CREATE TABLE gone(id INTEGER PRIMARY KEY,"                                \
    " stream INT NOT NULL REFERENCES stream(id), path TEXT NOT NULL,"          \
    " first INT NOT NULL, last INT NOT NULL, packets INT NOT NULL,"            \
    " captured_bytes INT NOT NULL, time INT NOT NULL, reason TEXT NOT NULL);"

#define SUMS(step)                                                             \
    "CREATE TABLE " step "(segment INT NOT NULL, " step " INT NOT NULL,"       \
    " kind INT NOT NULL, packets INT NOT NULL, bytes INT NOT NULL,"            \
    " PRIMARY KEY(segment, " step ", kind)) WITHOUT ROWID;"

#define APP_SUMS(step)                                                         \
    "CREATE TABLE " step "_app(segment INT NOT NULL, " step " INT NOT NULL,"   \
    " app TEXT NOT NULL, flows INT NOT NULL, packets INT NOT NULL,"            \
    " bytes INT NOT NULL, PRIMARY KEY(segment, " step ", app))"                \
    " WITHOUT ROWID;"

#define PARTS                                                                  \
    "CREATE TABLE open_flow(id INTEGER PRIMARY KEY, data BLOB NOT NULL);"      \
    "CREATE TABLE hosts(segment INTEGER PRIMARY KEY, lines INT NOT NULL,"      \
    " strange INT NOT NULL);"                                                  \
    "CREATE TABLE sieve(id INTEGER PRIMARY KEY, data BLOB NOT NULL);" SUMS(    \
        "minute") SUMS("hour") APP_SUMS("minute") APP_SUMS("hour")

#define VERSION "PRAGMA user_version = 2;"

static const char tables[] =
    "BEGIN IMMEDIATE; PRAGMA application_id = 1635017569;"
    "CREATE TABLE stream(id INTEGER PRIMARY KEY, name TEXT UNIQUE NOT NULL);"
    "CREATE TABLE segment(id INTEGER PRIMARY KEY,"
    " stream INT NOT NULL REFERENCES stream(id), path TEXT UNIQUE NOT NULL,"
    " pending INT NOT NULL, start INT NOT NULL, end INT NOT NULL,"
    " first INT NOT NULL, last INT NOT NULL, packets INT NOT NULL,"
    " captured_bytes INT NOT NULL, wire_bytes INT NOT NULL,"
    " flows INT NOT NULL, file_bytes INT NOT NULL,"
    " index_bytes INT NOT NULL, format TEXT NOT NULL,"
    " linktype INT NOT NULL," SEGMENT_V2 ");"
    "CREATE TABLE input(digest BLOB PRIMARY KEY, file_bytes INT NOT NULL,"
    " name TEXT NOT NULL, records INT NOT NULL, complete INT NOT NULL,"
    " damaged INT NOT NULL) WITHOUT ROWID;"
    "CREATE TABLE intent(path TEXT PRIMARY KEY) WITHOUT ROWID;" SALVAGE GONE
        PARTS AT_CATALOG_DATAGRAMS AT_CATALOG_CHANGED AT_CATALOG_SEGMENTS
            VERSION "COMMIT;";

/* One column a statement: SQLite adds no more. */
static const char from_1
    [] = "ALTER TABLE segment ADD COLUMN file_digest BLOB;"
         "ALTER TABLE segment ADD COLUMN index_digest BLOB;"
         "ALTER TABLE segment ADD COLUMN gone INT NOT NULL DEFAULT 0;" SALVAGE
             GONE PARTS AT_CATALOG_CHANGED VERSION;

enum at_status at_catalog_make(struct at_sql *sql)
{
    return at_sql_exec(sql, tables);
}

enum at_status at_catalog_version(struct at_sql *sql, int *version,
                                  struct at_error *err)
{
    const int64_t id = at_sql_number(sql, "PRAGMA application_id");

    *version = (int)at_sql_number(sql, "PRAGMA user_version");
    if (sql->err.status != AT_OK)
        return at_error_copy(err, &sql->err);
    if (id != AT_CATALOG_APPLICATION_ID)
        return at_error_set(err, AT_ERR_CORRUPT, "%s: not a catalogue",
                            sql->name);
    if (*version < 1 || *version > AT_CATALOG_VERSION)
        return at_error_set(err, AT_ERR_FORMAT,
                            "%s: catalogue version %d; this program reads 1 "
                            "to %d",
                            sql->name, *version, AT_CATALOG_VERSION);
    return AT_OK;
}

bool at_catalog_is_older(struct at_sql *sql, int version)
{
    return version < AT_CATALOG_VERSION ||
           at_sql_number(sql,
                         "SELECT count(*) FROM sqlite_master"
                         " WHERE name IN ('open_datagram', 'segments')") < 2;
}

enum at_status at_catalog_upgrade(struct at_sql *sql, int version)
{
    at_sql_exec(sql, "BEGIN IMMEDIATE");
    if (version == 1)
        at_sql_exec(sql, from_1);
    at_sql_exec(sql, AT_CATALOG_DATAGRAMS AT_CATALOG_SEGMENTS);
    return at_sql_exec(sql, "COMMIT");
}
