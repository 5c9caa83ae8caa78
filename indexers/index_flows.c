/*
 * index_flows.c - the flows of an index, row by row
 *
 * Two thirds of what a row costs is taking its columns apart, so there are
 * statements for as many of them as are wanted.
 */
#include "index_inside.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "errors.h"
#include "schema.h"

/* ---- columns --------------------------------------------------------- */

enum column {
    COL_ID,
    COL_START,
    COL_DURATION,
    COL_SRC,
    COL_DST,
    COL_SPORT,
    COL_DPORT,
    COL_KIND,
    COL_PACKETS_OUT,
    COL_PACKETS_IN,
    COL_BYTES_OUT,
    COL_BYTES_IN,
    COL_FLAGS,
    COL_STATE,
    COL_VLAN,
    COL_MARKS,
    COL_PAYLOAD_OUT,
    COL_PAYLOAD_IN,
    COL_RTT,
    COL_RETRANSMITTED,
    COL_ZERO_WINDOWS,
    COL_TROUBLES,
    COL_BLOCKS,
    COLUMNS
};

/* By which fields they are of; 0 is always wanted. */
static const struct {
    const char *name;
    unsigned fields;
} columns[COLUMNS] = {
    [COL_ID] = {"id", 0},
    [COL_START] = {"start", AT_ROW_TIMES},
    [COL_DURATION] = {"duration", AT_ROW_TIMES},
    [COL_SRC] = {"src", AT_ROW_ENDS},
    [COL_DST] = {"dst", AT_ROW_ENDS},
    [COL_SPORT] = {"sport", AT_ROW_PORTS},
    [COL_DPORT] = {"dport", AT_ROW_PORTS},
    [COL_KIND] = {"kind", 0},
    [COL_PACKETS_OUT] = {"packets_out", AT_ROW_SUMS},
    [COL_PACKETS_IN] = {"packets_in", AT_ROW_SUMS},
    [COL_BYTES_OUT] = {"bytes_out", AT_ROW_SUMS},
    [COL_BYTES_IN] = {"bytes_in", AT_ROW_SUMS},
    [COL_FLAGS] = {"flags", AT_ROW_REST},
    [COL_STATE] = {"state", 0},
    [COL_VLAN] = {"vlan", AT_ROW_REST},
    [COL_MARKS] = {"marks", AT_ROW_MARKS},
    [COL_PAYLOAD_OUT] = {"payload_out", AT_ROW_REST},
    [COL_PAYLOAD_IN] = {"payload_in", AT_ROW_REST},
    [COL_RTT] = {"rtt", AT_ROW_REST},
    [COL_RETRANSMITTED] = {"retransmitted", AT_ROW_REST},
    [COL_ZERO_WINDOWS] = {"zero_windows", AT_ROW_REST},
    [COL_TROUBLES] = {"troubles", AT_ROW_REST},
    [COL_BLOCKS] = {"blocks", AT_ROW_BLOCKS},
};

/* Notes at which place of the statement each column is. */
static sqlite3_stmt *prepare_flows(struct at_index *ix, unsigned fields,
                                   uint8_t place[AT_INDEX_COLUMNS],
                                   const char *rest)
{
    char text[512] = "SELECT ";
    size_t n = strlen(text);
    uint8_t places = 0;

    _Static_assert((int)COLUMNS <= (int)AT_INDEX_COLUMNS, "all have a place");
    for (unsigned i = 0; i < COLUMNS; i++) {
        if ((columns[i].fields & ~fields) != 0)
            continue;
        n += (size_t)snprintf(text + n, sizeof(text) - n, "%s%s",
                              places > 0 ? ", " : "", columns[i].name);
        place[i] = places++;
    }
    snprintf(text + n, sizeof(text) - n, " FROM flow %s", rest);
    return at_sql_prepare(&ix->sql, text);
}

static int place_of(const struct at_index *ix, enum column column)
{
    return ix->row == ix->whole ? ix->whole_place[column] : ix->place[column];
}

static int64_t number(const struct at_index *ix, enum column column)
{
    return sqlite3_column_int64(ix->row, place_of(ix, column));
}

static void want_fields(struct at_index *ix, unsigned fields)
{
    if (ix->wanted == fields)
        return;
    sqlite3_finalize(ix->scan);
    sqlite3_finalize(ix->point);
    ix->scan = ix->point = ix->row = NULL;
    ix->wanted = fields;
}

/* ---- walking --------------------------------------------------------- */

/* Below this share of all flows, single look-ups beat a scan. */
enum { SCAN_SHARE = 8 };

/* In a walk over many flows most hosts come up, and in no order. */
static enum at_status read_hosts(struct at_index *ix, struct at_error *err)
{
    sqlite3_stmt *st = at_sql_prepare(&ix->sql, "SELECT id, addr FROM host");

    while (at_sql_step(&ix->sql, st) == AT_OK)
        at_index_keep_host(ix, sqlite3_column_int64(st, 0), st, 1);
    sqlite3_finalize(st);
    return ix->sql.err.status == AT_OK ? AT_OK : at_index_error(ix, err);
}

enum at_status at_index_flows_with(struct at_index *ix,
                                   const struct at_set *flows, unsigned fields,
                                   struct at_error *err)
{
    const size_t first = flows != NULL ? at_set_next(flows, 0) : 1;
    const size_t last = flows != NULL ? at_set_last(flows) : ix->info.rows;
    const size_t n = flows != NULL ? at_set_count(flows) : last;

    want_fields(ix, fields);
    ix->flows = flows;
    ix->next = 0;
    ix->by_point = flows != NULL && n <= (last - first) / SCAN_SHARE;
    if (ix->by_point && ix->point == NULL)
        ix->point = prepare_flows(ix, ix->wanted, ix->place, "WHERE id = ?");
    if (!ix->by_point && ix->scan == NULL)
        ix->scan = prepare_flows(ix, ix->wanted, ix->place,
                                 "WHERE id BETWEEN ? AND ? ORDER BY id");
    sqlite3_reset(ix->scan);
    sqlite3_reset(ix->point);
    if (!ix->by_point) {
        at_sql_bind(ix->scan, 1, (int64_t)first);
        at_sql_bind(ix->scan, 2, (int64_t)last);
    }
    if (ix->sql.err.status != AT_OK)
        return at_index_error(ix, err);
    return n < ix->info.hosts || (ix->wanted & AT_ROW_ENDS) == 0
               ? AT_OK
               : read_hosts(ix, err);
}

enum at_status at_index_flows(struct at_index *ix, const struct at_set *flows,
                              struct at_error *err)
{
    return at_index_flows_with(ix, flows, AT_ROW_ALL, err);
}

/* Steps to the next flow of the set; ix->row then holds it. */
static enum at_status step_flow(struct at_index *ix)
{
    enum at_status st;

    if (ix->by_point) {
        sqlite3_reset(ix->point);
        ix->next = at_set_next(ix->flows, ix->next);
        if (ix->next >= ix->flows->n)
            return AT_END;
        at_sql_bind(ix->point, 1, (int64_t)ix->next++);
        ix->row = ix->point;
        return at_sql_step(&ix->sql, ix->point);
    }
    ix->row = ix->scan;
    do
        st = at_sql_step(&ix->sql, ix->scan);
    while (st == AT_OK && ix->flows != NULL &&
           !at_set_has(ix->flows, (size_t)number(ix, COL_ID)));
    return st;
}

/* ---- taking ---------------------------------------------------------- */

static enum at_status take_ends(struct at_index *ix, struct at_flow_row *row,
                                struct at_error *err)
{
    const int64_t src = number(ix, COL_SRC);
    const int64_t dst = number(ix, COL_DST);
    const size_t n = row->net == AT_NET_IPV6 ? 16 : 4;
    enum at_status st;

    if (row->net == AT_NET_OTHER)
        return AT_OK;
    st = at_index_read_host(ix, src, err);
    if (st == AT_OK)
        st = at_index_read_host(ix, dst, err);
    if (st != AT_OK)
        return st;
    if (ix->addr_bytes[src] != n || ix->addr_bytes[dst] != n)
        return at_index_corrupt(ix, "a flow's hosts are not of its kind", err);
    memcpy(row->src, ix->addr[src], n);
    memcpy(row->dst, ix->addr[dst], n);
    return AT_OK;
}

static void take_both(const struct at_index *ix, enum column column,
                      uint16_t *low, uint16_t *high)
{
    const int64_t v = number(ix, column);

    *low = (uint16_t)v;
    *high = (uint16_t)(v >> 16);
}

static uint8_t goes_on(int64_t mark)
{
    return (mark & 1) != 0 ? AT_GOES_ON : AT_GOES_NOT;
}

static void take_state(const struct at_index *ix, struct at_flow_row *row)
{
    const int64_t v = number(ix, COL_STATE);

    if (ix->info.part) {
        row->continues = goes_on(v >> AT_INDEX_CONTINUES_SHIFT);
        row->continued = goes_on(v >> AT_INDEX_CONTINUED_SHIFT);
    }
    row->inner = (v >> AT_INDEX_INNER_SHIFT & 1) != 0;
    row->state = (uint8_t)(v & 7);
    row->end = (uint8_t)(v >> AT_INDEX_END_SHIFT & 7);
    row->checksums = row->bad_checksums > 0         ? AT_CHECKSUM_BAD
                     : v >> AT_INDEX_SUMS_SHIFT & 1 ? AT_CHECKSUM_OK
                                                    : AT_CHECKSUM_UNKNOWN;
}

static void take_rest(const struct at_index *ix, struct at_flow_row *row)
{
    const int64_t flags = number(ix, COL_FLAGS);
    const int64_t vlan = number(ix, COL_VLAN);

    row->tcp_flags[0] = (uint8_t)flags;
    row->tcp_flags[1] = (uint8_t)(flags >> 8);
    row->vlan = (uint16_t)vlan;
    row->mpls = (uint32_t)(vlan >> AT_INDEX_MPLS_SHIFT) & 0xfffff;
    row->payload[0] = (uint64_t)number(ix, COL_PAYLOAD_OUT);
    row->payload[1] = (uint64_t)number(ix, COL_PAYLOAD_IN);
    row->rtt_us = sqlite3_column_type(ix->row, place_of(ix, COL_RTT)) ==
                          SQLITE_NULL
                      ? -1
                      : number(ix, COL_RTT);
    take_both(ix, COL_RETRANSMITTED, &row->retransmitted[0],
              &row->retransmitted[1]);
    take_both(ix, COL_ZERO_WINDOWS, &row->zero_windows[0],
              &row->zero_windows[1]);
    take_both(ix, COL_TROUBLES, &row->errors, &row->bad_checksums);
}

/* 'v' is the application's id and the confidence. */
static void take_app(const struct at_index *ix, struct at_flow_row *row,
                     int64_t v)
{
    const int64_t app = v >> AT_INDEX_APP_BITS;

    if (app < 1 || (size_t)app > ix->apps)
        return;
    row->app = ix->app[app - 1].name;
    row->category = ix->app[app - 1].category;
    row->confidence = (uint8_t)(v & ((1 << AT_INDEX_APP_BITS) - 1));
}

static uint8_t net_of(int64_t kind)
{
    if (kind >= AT_INDEX_KIND_OTHER)
        return AT_NET_OTHER;
    if (kind >= AT_INDEX_KIND_ARP)
        return AT_NET_ARP;
    return kind >= AT_INDEX_KIND_IPV6 ? AT_NET_IPV6 : AT_NET_IPV4;
}

static void take_times(const struct at_index *ix, struct at_flow_row *row)
{
    row->start_ns = ix->base_ns + number(ix, COL_START);
    row->end_ns = row->start_ns + number(ix, COL_DURATION);
}

static void take_ports(const struct at_index *ix, struct at_flow_row *row)
{
    const uint16_t sport = (uint16_t)number(ix, COL_SPORT);

    if (row->net == AT_NET_OTHER || row->net == AT_NET_ARP) {
        row->ethertype = sport;
        return;
    }
    row->sport = sport;
    row->dport = (uint16_t)number(ix, COL_DPORT);
}

static void take_sums(const struct at_index *ix, struct at_flow_row *row)
{
    row->packets[0] = (uint64_t)number(ix, COL_PACKETS_OUT);
    row->packets[1] = (uint64_t)number(ix, COL_PACKETS_IN);
    row->bytes[0] = (uint64_t)number(ix, COL_BYTES_OUT);
    row->bytes[1] = (uint64_t)number(ix, COL_BYTES_IN);
}

static void take_marks(const struct at_index *ix, struct at_flow_row *row)
{
    const int64_t marks = number(ix, COL_MARKS);

    row->marks = (uint8_t)marks;
    take_app(ix, row, marks >> AT_INDEX_APP_SHIFT);
}

/* Fills in the fields that ix->row has. */
static enum at_status take_row(struct at_index *ix, struct at_flow_row *row,
                               unsigned fields, struct at_error *err)
{
    const int64_t kind = number(ix, COL_KIND);

    memset(row, 0, sizeof(*row));
    row->net = net_of(kind);
    row->proto = (uint8_t)kind;
    if ((fields & AT_ROW_TIMES) != 0)
        take_times(ix, row);
    if ((fields & AT_ROW_PORTS) != 0)
        take_ports(ix, row);
    if ((fields & AT_ROW_SUMS) != 0)
        take_sums(ix, row);
    if ((fields & AT_ROW_MARKS) != 0)
        take_marks(ix, row);
    if ((fields & AT_ROW_REST) != 0)
        take_rest(ix, row);
    take_state(ix, row);
    return (fields & AT_ROW_ENDS) != 0 ? take_ends(ix, row, err) : AT_OK;
}

/* ---- what flows begin with ------------------------------------------- */

/* Loads what the 8192 flows around a flow begin with, if it is not there. */
static bool load_openings(struct at_index *ix, size_t chunk)
{
    const size_t first = chunk * AT_OPENING_FLOWS;
    const size_t left = ix->info.rows - first;
    bool good = false;

    if (chunk == ix->chunk)
        return true;
    at_sql_bind(ix->opening_by_id, 1, (int64_t)chunk);
    if (at_sql_step(&ix->sql, ix->opening_by_id) == AT_OK) {
        const void *blob = sqlite3_column_blob(ix->opening_by_id, 0);
        const int n = sqlite3_column_bytes(ix->opening_by_id, 0);

        good = blob != NULL &&
               at_openings_unpack(ix->opening,
                                  left < AT_OPENING_FLOWS ? left
                                                          : AT_OPENING_FLOWS,
                                  blob, (size_t)n);
    }
    sqlite3_reset(ix->opening_by_id);
    ix->chunk = good ? chunk : SIZE_MAX;
    return good;
}

static bool take_opening(struct at_index *ix, struct at_flow_row *row)
{
    const int64_t id = number(ix, COL_ID);
    const struct at_opening *o;

    if (id < 1 || id > ix->info.rows ||
        !load_openings(ix, (size_t)(id - 1) / AT_OPENING_FLOWS))
        return false;
    o = &ix->opening[(size_t)(id - 1) % AT_OPENING_FLOWS];
    memcpy(row->first, o->first, sizeof(row->first));
    memcpy(row->captured, o->captured, sizeof(row->captured));
    memcpy(row->first_len, o->length, sizeof(row->first_len));
    return true;
}

/* ---- the next flow --------------------------------------------------- */

/* Fills in what ix->row has and what is elsewhere. */
static enum at_status take_flow(struct at_index *ix, struct at_flow_row *row,
                                unsigned fields, struct at_error *err)
{
    const enum at_status st = take_row(ix, row, fields, err);

    if (st != AT_OK)
        return st;
    if (ix->opening != NULL && !take_opening(ix, row))
        return at_index_corrupt(ix, "what flows begin with", err);
    return ix->name_of_flow == NULL
               ? AT_OK
               : at_index_take_name(ix, number(ix, COL_ID), row, err);
}

enum at_status at_index_next_flow(struct at_index *ix, struct at_flow_row *row,
                                  struct at_error *err)
{
    const enum at_status st = step_flow(ix);

    if (st < 0)
        return at_index_error(ix, err);
    return st == AT_END ? st : take_flow(ix, row, ix->wanted, err);
}

enum at_status at_index_whole_flow(struct at_index *ix, struct at_flow_row *row,
                                   struct at_error *err)
{
    const int64_t id = number(ix, COL_ID);

    if (ix->wanted == AT_ROW_ALL)
        return AT_OK;
    if (ix->whole == NULL)
        ix->whole = prepare_flows(ix, AT_ROW_ALL, ix->whole_place,
                                  "WHERE id = ?");
    sqlite3_reset(ix->whole);
    at_sql_bind(ix->whole, 1, id);
    if (at_sql_step(&ix->sql, ix->whole) != AT_OK)
        return ix->sql.err.status != AT_OK
                   ? at_index_error(ix, err)
                   : at_index_corrupt(ix, "a flow is not there", err);
    ix->row = ix->whole;
    return take_flow(ix, row, AT_ROW_ALL, err);
}

uint32_t at_index_flow_id(const struct at_index *ix)
{
    return (uint32_t)number(ix, COL_ID);
}

enum at_status at_index_flow_blocks(struct at_index *ix, struct at_set *blocks,
                                    struct at_error *err)
{
    return at_index_add_list(blocks, ix->row, place_of(ix, COL_BLOCKS))
               ? AT_OK
               : at_index_corrupt(ix, "a flow's list of blocks", err);
}

enum at_status at_index_want_openings(struct at_index *ix, struct at_error *err)
{
    ix->chunk = SIZE_MAX;
    ix->opening = malloc(AT_OPENING_FLOWS * sizeof(ix->opening[0]));
    ix->opening_by_id = at_sql_prepare(&ix->sql,
                                       "SELECT data FROM opening WHERE id = ?");
    if (ix->opening == NULL)
        return at_error_set(err, AT_ERR_MEMORY, "out of memory");
    return ix->sql.err.status == AT_OK ? AT_OK : at_index_error(ix, err);
}
