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
 *   block  runs of whole records and where to find them: row i has the blocks
 *          from number i * AT_BLOCK_LIST on (block_list.h)
 *   flow   id is the rank by start, from 1; src and dst are host ids, NULL
 *          where there is no address; kind is the IP protocol of IPv4, 256 +
 *          that of IPv6, 512 of ARP, 768 with the ethertype in sport for frames
 *          that are neither; flags is to-source flags * 256 + from-source
 *          flags; state has the enum at_flow_state in its lowest 3 bits, the
 *          enum at_flow_end in the 3 above, 64 if all checksums there are were
 *          verified, 128 if it goes on from an earlier part, 256 if into a
 *          later one, 512 if its packets are in tunnels (then all of the row is
 *          of what is inside); vlan has an MPLS label above the lowest 16
 *          bits; marks are AT_DECODED_ bits, with the confidence of
 *          the application (enum at_app_confidence) in the 3 bits above the
 *          lowest 8, and its id in table app, or 0, above these; payload is
 *          bytes; rtt is microseconds, NULL if the handshake was not seen;
 * retransmitted and zero_windows are of both directions, 65536 * in + out;
 * troubles is 65536 * packets with a bad checksum + ICMP errors; blocks is the
 *          list of blocks it is in, and those where ICMP errors quote it
 *   host   id is the rank by address, from 1, IPv4 before IPv6; flows is the
 *          list of flows that it is an end of
 *   port   flows is the list of flows with that port at either end; only
 *          ports below meta 'port_limit' are here, but then all of them
 *   minute packets and bytes by protocol: minute since 1970, kind as of a flow,
 *          bytes of IP, or of the frame where there is none; empty where flows
 *          are of what is in tunnels
 *   hole   what was left out of a damaged trace (struct at_hole); not there
 *          unless the index was made by salvage, and there was damage
 *   app    id is the rank by flow_count, from 1; flows is the list of its
 *          flows, NULL if they are more than one in AT_INDEX_FREQUENT
 *   name   the names that flows ask for (asked.h), if they were wanted: id is
 * the rank in the order of at_names_compare(), from 1; flows is the list of its
 * flows named  flow is the id of a flow that asks for a name, name the id of
 * that opening what the flows id * 8192 + 1 and on began with (app_part.h)
 *   carried what is known, from before this part of the capture, of the flow
 *          of this id (carry.h, without the key); not there if there is none
 *   datagram  of these flows, the fragmented datagrams whose first fragment is
 *          before this part: number is that of IP, from_hi 1 if the higher end
 *          sent it, first the time of its first fragment; not there if there is
 *          none
 *   access of a gzip file: where decoding can begin (struct at_access_point),
 *          history being the window; not there if there are no points, so an
 *          index from before there were any is one without
 */
#ifndef AT_SCHEMA_H
#define AT_SCHEMA_H

enum {
    AT_INDEX_APPLICATION_ID = 0x61746978, /* "atix" */
    AT_INDEX_VERSION = 5,      /* 4 had a row for each block, 3 knew nothing of
                                  parts and minutes, 2 had no applications, 1 had
                                  no columns from payload_out to troubles */
    AT_INDEX_LISTS_BLOCKS = 5, /* since that version */
    AT_INDEX_OLDEST = 3,       /* that can be read */
    AT_INDEX_KIND_IPV6 = 256,  /* in the column kind; IPv4 is 0 */
    AT_INDEX_KIND_ARP = 512,
    AT_INDEX_KIND_OTHER = 768,
    AT_INDEX_END_SHIFT = 3, /* in the column state */
    AT_INDEX_SUMS_SHIFT = 6,
    AT_INDEX_CONTINUES_SHIFT = 7,
    AT_INDEX_CONTINUED_SHIFT = 8,
    AT_INDEX_INNER_SHIFT = 9,
    AT_INDEX_MPLS_SHIFT = 16,    /* in the column vlan */
    AT_INDEX_APP_SHIFT = 8,      /* in the column marks */
    AT_INDEX_APP_BITS = 3,       /* of the confidence, below the application */
    AT_INDEX_FREQUENT = 32,      /* an application that more than a 32nd of the
                                    flows are of has no list */
    AT_INDEX_PORT_LIMIT = 32768, /* Linux takes ephemeral ports from here on */
};

#define AT_INDEX_TABLES                                                        \
    "PRAGMA application_id = 1635019128; PRAGMA user_version = 5;"             \
    "CREATE TABLE meta(name TEXT PRIMARY KEY, value) WITHOUT ROWID;"           \
    "CREATE TABLE block(id INTEGER PRIMARY KEY, blocks INT, data BLOB);"       \
    "CREATE TABLE flow(id INTEGER PRIMARY KEY, start INT, duration INT,"       \
    " src INT, dst INT, sport INT, dport INT, kind INT, packets_out INT,"      \
    " packets_in INT, bytes_out INT, bytes_in INT, flags INT, state INT,"      \
    " vlan INT, marks INT, payload_out INT, payload_in INT, rtt INT,"          \
    " retransmitted INT, zero_windows INT, troubles INT, blocks BLOB);"        \
    "CREATE TABLE host(id INTEGER PRIMARY KEY, addr BLOB, flows BLOB);"        \
    "CREATE TABLE port(port INTEGER PRIMARY KEY, flows BLOB);"                 \
    "CREATE TABLE app(id INTEGER PRIMARY KEY, name TEXT, category TEXT,"       \
    " flow_count INT, flows BLOB);"                                            \
    "CREATE TABLE opening(id INTEGER PRIMARY KEY, data BLOB);"                 \
    "CREATE TABLE minute(minute INT, kind INT, packets INT, bytes INT,"        \
    " PRIMARY KEY(minute, kind)) WITHOUT ROWID;"

#define AT_INDEX_ACCESS                                                        \
    "CREATE TABLE access(id INTEGER PRIMARY KEY, file_bit INT,"                \
    " raw_offset INT, member_offset INT, member_raw INT, crc INT,"             \
    " history BLOB);"

#define AT_INDEX_CARRIED                                                       \
    "CREATE TABLE carried(id INTEGER PRIMARY KEY, state BLOB);"

#define AT_INDEX_DATAGRAMS                                                     \
    "CREATE TABLE datagram(flow INT, number INT, from_hi INT, first INT,"      \
    " PRIMARY KEY(flow, number, from_hi)) WITHOUT ROWID;"

#define AT_INDEX_NAMES                                                         \
    "CREATE TABLE name(id INTEGER PRIMARY KEY, name TEXT, flows BLOB);"        \
    "CREATE TABLE named(flow INTEGER PRIMARY KEY, name INT);"

/* For the views: the name of flow f, or of an index without names. */
#define AT_INDEX_NAME_OF_FLOW                                                  \
    "(SELECT n.name FROM named m JOIN name n ON n.id = m.name"                 \
    " WHERE m.flow = f.id)"
#define AT_INDEX_NO_NAME "NULL"

#define AT_INDEX_HOLES                                                         \
    "CREATE TABLE hole(id INTEGER PRIMARY KEY, offset INT, bytes INT,"         \
    " decoded INT, what TEXT);"

/* For who has loaded the extension, which makes these views: in the file they
 * would be of no use to others, and take time whenever it is opened. */
#define AT_INDEX_LISTED                                                        \
    "CREATE TEMP VIEW IF NOT EXISTS hosts AS"                                  \
    " SELECT h.id AS id, h.addr AS addr, f.value AS flow"                      \
    " FROM host h, json_each(at_list(h.flows)) f;"                             \
    "CREATE TEMP VIEW IF NOT EXISTS blocks AS"                                 \
    " SELECT b.id * 64 + j.key AS id,"                                         \
    " json_extract(j.value, '$[0]') AS file_offset,"                           \
    " json_extract(j.value, '$[1]') AS file_bytes,"                            \
    " json_extract(j.value, '$[2]') AS raw_offset,"                            \
    " json_extract(j.value, '$[3]') AS skip,"                                  \
    " json_extract(j.value, '$[4]') AS bytes,"                                 \
    " json_extract(j.value, '$[5]') AS records,"                               \
    " json_extract(j.value, '$[6]')"                                           \
    " + (SELECT value FROM meta WHERE name = 'base_ns') AS first,"             \
    " json_extract(j.value, '$[7]')"                                           \
    " + (SELECT value FROM meta WHERE name = 'base_ns') AS last"               \
    " FROM block b, json_each(at_blocks(b.blocks, b.data)) j;"

/* For people with sqlite3: the columns of the command line, ns since 1970. */
#define AT_INDEX_VIEWS(name)                                                   \
    "CREATE VIEW flows AS SELECT"                                              \
    " f.start + (SELECT value FROM meta WHERE name = 'base_ns') AS start,"     \
    " f.start + f.duration"                                                    \
    " + (SELECT value FROM meta WHERE name = 'base_ns') AS end,"               \
    " f.duration AS duration, f.kind & 255 AS proto, a.addr AS src,"           \
    " f.sport AS sport, b.addr AS dst, f.dport AS dport,"                      \
    " f.packets_out AS packets_out, f.packets_in AS packets_in,"               \
    " f.bytes_out AS bytes_out, f.bytes_in AS bytes_in,"                       \
    " f.flags & 255 AS flags_out, f.flags >> 8 AS flags_in,"                   \
    " (SELECT name FROM app WHERE id = f.marks >> 11) AS app,"                 \
    " f.vlan & 65535 AS vlan,"                                                 \
    " CASE f.state & 7 WHEN 0 THEN 'one-way' WHEN 1 THEN 'two-way'"            \
    " WHEN 2 THEN 'syn' WHEN 3 THEN 'established' WHEN 4 THEN 'midstream'"     \
    " WHEN 5 THEN 'half-closed' WHEN 6 THEN 'closed' ELSE 'reset' END"         \
    " AS state,"                                                               \
    " (SELECT value FROM meta WHERE name = 'stream') AS stream,"               \
    " CASE f.state >> 3 & 7 WHEN 0 THEN 'trace' WHEN 1 THEN 'idle'"            \
    " WHEN 2 THEN 'active' WHEN 3 THEN 'fin' WHEN 4 THEN 'rst'"                \
    " ELSE 'forced' END AS end_reason,"                                        \
    " f.payload_out AS payload_out, f.payload_in AS payload_in,"               \
    " f.rtt * 1000 AS rtt,"                                                    \
    " f.retransmitted & 65535 AS retransmitted_out,"                           \
    " f.retransmitted >> 16 AS retransmitted_in,"                              \
    " f.zero_windows & 65535 AS zero_windows_out,"                             \
    " f.zero_windows >> 16 AS zero_windows_in,"                                \
    " f.troubles & 65535 AS icmp_errors,"                                      \
    " f.troubles >> 16 AS bad_checksums,"                                      \
    " CASE WHEN f.troubles >> 16 THEN 'bad'"                                   \
    " WHEN f.state & 64 THEN 'ok' END AS checksums,"                           \
    " (SELECT category FROM app WHERE id = f.marks >> 11) AS category,"        \
    " CASE WHEN f.marks >> 11 THEN CASE f.marks >> 8 & 7"                      \
    " WHEN 0 THEN 'none' WHEN 1 THEN 'port' WHEN 2 THEN 'weak'"                \
    " WHEN 3 THEN 'pattern' WHEN 4 THEN 'pattern+port' WHEN 5 THEN 'both'"     \
    " ELSE 'protocol' END END AS confidence,"                                  \
    " f.state >> 7 & 1 AS continues, f.state >> 8 & 1 AS continued,"           \
    " f.vlan >> 16 AS mpls, f.state >> 9 & 1 AS \"inner\"," name " AS name"    \
    " FROM flow f JOIN host a ON a.id = f.src JOIN host b ON b.id = f.dst"     \
    " WHERE f.kind < 512;"

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
#define AT_META_TIMEOUTS "timeouts" /* as at_timeouts_parse() reads them */
/* List of the flows that go on from or into other parts */
#define AT_META_PARTIAL "partial_flows"
#define AT_META_NAMES "names" /* 1: flows have them; else not there */
/* Times that a name was one too many */
#define AT_META_NAMES_LOST "names_lost"
#define AT_META_KEY "flow_key"          /* as at_keying_parse() reads it */
#define AT_META_MOST_FLOWS "most_flows" /* that could be open at a time */
#define AT_META_FORCED "forced"         /* flows that ended because of that */
/* Whose later fragments may be in other flows */
#define AT_META_LOST_DATAGRAMS "lost_datagrams"
#define AT_META_LINK_FLOWS                                                     \
    "link_flows" /* list of the flows without a host, or in tunnels */
#define AT_META_HOLES "holes" /* of all of them, if there are any */
#define AT_META_HOLE_BYTES "hole_bytes"
#define AT_META_PART "part" /* 1: of a capture in parts; flows may go on */
#define AT_META_COMPLETE                                                       \
    "complete" /* 0: the trace was cut short or damaged                        \
                */

#endif
