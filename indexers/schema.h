/*
 * schema.h - the tables of an index, and who may read which version
 *
 * The one place where the schema stands; man/archive_trace-index.5 tells it
 * to people, and the two change in the same commit.
 *
 * An index is one SQLite file beside one trace file, written once and never
 * changed.  Times are nanoseconds since 1970 less meta 'base_ns'.  Lists of
 * numbers are blobs of LEB128: the first number, then the gaps between one
 * and the next.
 *
 *   meta   what the index is of: see the names below
 *   block  a run of whole records and where to find it (struct at_place)
 *   flow   id is the rank by start, from 1; src and dst are host ids, NULL
 *          where there is no address; kind is 256 * enum at_net + protocol,
 *          0 with the ethertype in sport for frames that are neither IP nor
 *          ARP; flags is to-source flags * 256 + from-source flags; marks are
 *          AT_DECODED_ bits; blocks is the list of blocks it is in
 *   host   id is the rank by address, from 1, IPv4 before IPv6; flows is the
 *          list of flows that it is an end of
 *   port   flows is the list of flows with that port at either end; only
 *          ports below meta 'port_limit' are here, but then all of them
 *   access of a gzip file: where decoding can begin (struct at_access_point),
 *          history being the window; not there if there are no points, so an
 *          index from before there were any is one without
 */
#ifndef AT_SCHEMA_H
#define AT_SCHEMA_H

enum {
    AT_INDEX_APPLICATION_ID = 0x61746978, /* "atix" */
    AT_INDEX_VERSION = 1,
    AT_INDEX_PORT_LIMIT = 32768, /* Linux takes ephemeral ports from here on */
};

#define AT_INDEX_TABLES                                                        \
    "PRAGMA application_id = 1635019128; PRAGMA user_version = 1;"             \
    "CREATE TABLE meta(name TEXT PRIMARY KEY, value) WITHOUT ROWID;"           \
    "CREATE TABLE block(id INTEGER PRIMARY KEY, file_offset INT,"              \
    " file_bytes INT, raw_offset INT, skip INT, bytes INT, records INT,"       \
    " first INT, last INT);"                                                   \
    "CREATE TABLE flow(id INTEGER PRIMARY KEY, start INT, duration INT,"       \
    " src INT, dst INT, sport INT, dport INT, kind INT, packets_out INT,"      \
    " packets_in INT, bytes_out INT, bytes_in INT, flags INT, state INT,"      \
    " vlan INT, marks INT, blocks BLOB);"                                      \
    "CREATE TABLE host(id INTEGER PRIMARY KEY, addr BLOB, flows BLOB);"        \
    "CREATE TABLE port(port INTEGER PRIMARY KEY, flows BLOB);"

#define AT_INDEX_ACCESS                                                        \
    "CREATE TABLE access(id INTEGER PRIMARY KEY, file_bit INT,"                \
    " raw_offset INT, member_offset INT, member_raw INT, crc INT,"             \
    " history BLOB);"

/* For people with sqlite3: the columns of the command line, ns since 1970. */
#define AT_INDEX_VIEWS                                                         \
    "CREATE VIEW flows AS SELECT"                                              \
    " f.start + (SELECT value FROM meta WHERE name = 'base_ns') AS start,"     \
    " f.start + f.duration"                                                    \
    " + (SELECT value FROM meta WHERE name = 'base_ns') AS end,"               \
    " f.duration AS duration, f.kind & 255 AS proto, a.addr AS src,"           \
    " f.sport AS sport, b.addr AS dst, f.dport AS dport,"                      \
    " f.packets_out AS packets_out, f.packets_in AS packets_in,"               \
    " f.bytes_out AS bytes_out, f.bytes_in AS bytes_in,"                       \
    " f.flags & 255 AS flags_out, f.flags >> 8 AS flags_in,"                   \
    " NULL AS app, f.vlan AS vlan,"                                            \
    " CASE f.state WHEN 0 THEN 'one-way' WHEN 1 THEN 'two-way'"                \
    " WHEN 2 THEN 'syn' WHEN 3 THEN 'established' WHEN 4 THEN 'midstream'"     \
    " WHEN 5 THEN 'half-closed' WHEN 6 THEN 'closed' ELSE 'reset' END"         \
    " AS state,"                                                               \
    " (SELECT value FROM meta WHERE name = 'stream') AS stream"                \
    " FROM flow f JOIN host a ON a.id = f.src JOIN host b ON b.id = f.dst"     \
    " WHERE f.kind >> 8 IN (4, 6);"

/* Names in 'meta'. */
#define AT_META_FILE_BYTES "file_bytes" /* of the trace file */
#define AT_META_IDENTITY "identity"     /* struct at_identity, as a blob */
#define AT_META_BASE "base_ns"
#define AT_META_FIRST "first_ns" /* earliest and latest packet, if any */
#define AT_META_LAST "last_ns"
#define AT_META_FORMAT "format" /* name: "erf", "pcap", "pcap-us" */
#define AT_META_CODEC "codec"
#define AT_META_LINKTYPE "linktype" /* of the first packet */
#define AT_META_SNAP "snap_bytes"
#define AT_META_PACKETS "packets"
#define AT_META_CAPTURED "captured_bytes"
#define AT_META_WIRE "wire_bytes"
#define AT_META_FLOWS "flows" /* IP flows: what is listed */
#define AT_META_STREAM "stream"
#define AT_META_PORT_LIMIT "port_limit"
#define AT_META_LINK_FLOWS "link_flows" /* list of the flows without a host */
#define AT_META_COMPLETE                                                       \
    "complete" /* 0: the trace was cut short or damaged                        \
                */

#endif
