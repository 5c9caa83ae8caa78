/*
 * catalog_schema.h - the tables of the catalogue, and who may read which
 * version
 *
 * The one place where they stand; man/archive_trace.5 tells them to people,
 * and the two change in the same commit.  An older catalogue is read as it is,
 * and becomes one of this version when it is opened to be changed.
 */
#ifndef AT_CATALOG_SCHEMA_H
#define AT_CATALOG_SCHEMA_H

#include "sql.h"

enum {
    AT_CATALOG_APPLICATION_ID = 1635017569, /* "atca" */
    AT_CATALOG_VERSION = 2, /* 1 had no digests and no segments whose packets
                               are gone */
};

/* Some of version 2 have no such table until there is something in it. */
#define AT_CATALOG_CHANGED                                                     \
    "CREATE TABLE IF NOT EXISTS changed(stream INTEGER PRIMARY KEY"            \
    " REFERENCES stream(id), key TEXT NOT NULL, policy TEXT NOT NULL);"

/* Nor this one until they are changed. */
#define AT_CATALOG_DATAGRAMS                                                   \
    "CREATE TABLE IF NOT EXISTS open_datagram(id INTEGER PRIMARY KEY,"         \
    " data BLOB NOT NULL);"

/* Nor this view, which is for people with sqlite3. */
#define AT_CATALOG_SEGMENTS                                                    \
    "CREATE VIEW IF NOT EXISTS segments AS SELECT t.name AS stream, path,"     \
    " pending, start, end, first, last, packets, captured_bytes, wire_bytes,"  \
    " flows, file_bytes, index_bytes, format, linktype,"                       \
    " lower(hex(file_digest)) AS sha256,"                                      \
    " lower(hex(index_digest)) AS index_sha256, gone"                          \
    " FROM segment s JOIN stream t ON t.id = s.stream;"

/* Makes the tables of this version in an empty database. */
enum at_status at_catalog_make(struct at_sql *sql);

/* What version it is of; AT_ERR_CORRUPT if it is no catalogue, AT_ERR_FORMAT
 * if its version cannot be read. */
enum at_status at_catalog_version(struct at_sql *sql, int *version,
                                  struct at_error *err);

/* Whether one of 'version' is not as it would be made now. */
bool at_catalog_is_older(struct at_sql *sql, int version);

/* Then makes it so, in one transaction. */
enum at_status at_catalog_upgrade(struct at_sql *sql, int version);

#endif
