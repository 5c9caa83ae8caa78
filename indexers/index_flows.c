/*
 * index_flows.c - the flows of an index, row by row
 *
 * They are read from the pages of the file, and only the columns that are
 * wanted are taken apart.
 */
#include "index_inside.h"

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

/* Which columns each field is of; those of 0 are always wanted. */
static const unsigned fields_of[COLUMNS] = {
    [COL_START] = AT_ROW_TIMES,        [COL_DURATION] = AT_ROW_TIMES,
    [COL_SRC] = AT_ROW_ENDS,           [COL_DST] = AT_ROW_ENDS,
    [COL_SPORT] = AT_ROW_PORTS,        [COL_DPORT] = AT_ROW_PORTS,
    [COL_PACKETS_OUT] = AT_ROW_SUMS,   [COL_PACKETS_IN] = AT_ROW_SUMS,
    [COL_BYTES_OUT] = AT_ROW_SUMS,     [COL_BYTES_IN] = AT_ROW_SUMS,
    [COL_FLAGS] = AT_ROW_REST,         [COL_VLAN] = AT_ROW_REST,
    [COL_MARKS] = AT_ROW_MARKS,        [COL_PAYLOAD_OUT] = AT_ROW_REST,
    [COL_PAYLOAD_IN] = AT_ROW_REST,    [COL_RTT] = AT_ROW_REST,
    [COL_RETRANSMITTED] = AT_ROW_REST, [COL_ZERO_WINDOWS] = AT_ROW_REST,
    [COL_TROUBLES] = AT_ROW_REST,
};

/* The id is the rowid, and the blocks are no number. */
static uint32_t columns_of(unsigned fields)
{
    uint32_t columns = 0;

    _Static_assert((int)COLUMNS <= (int)AT_INDEX_COLUMNS, "all have a place");
    for (unsigned i = COL_START; i < COL_BLOCKS; i++)
        if ((fields_of[i] & ~fields) == 0)
            columns |= UINT32_C(1) << i;
    return columns;
}

static int64_t number(const struct at_index *ix, enum column column)
{
    return ix->number[column];
}

/* ---- walking --------------------------------------------------------- */

/* Below this share of all flows, single look-ups beat a scan. */
enum { SCAN_SHARE = 8 };

static enum at_status keep_hosts(struct at_index *ix, struct at_pages *hosts,
                                 struct at_error *err)
{
    struct at_cell cell;
    enum at_status st;

    while ((st = at_pages_next(hosts, &cell, err)) == AT_OK) {
        const uint8_t *addr;
        size_t n;

        st = at_cell_blob(hosts, &cell, 1, &addr, &n, err);
        if (st != AT_OK)
            return st;
        at_index_keep_host(ix, cell.id, addr, n);
    }
    return st < 0 ? st : AT_OK;
}

/* In a walk over many flows most hosts come up, and in no order. */
static enum at_status read_hosts(struct at_index *ix, struct at_error *err)
{
    struct at_pages *hosts;
    enum at_status st = AT_OK;

    if (ix->all_hosts)
        return AT_OK;
    st = at_pages_open(&hosts, &ix->sql, "host", err);
    if (st == AT_OK)
        st = keep_hosts(ix, hosts, err);
    ix->all_hosts = st == AT_OK;
    at_pages_close(hosts);
    return st;
}

enum at_status at_index_flows_with(struct at_index *ix,
                                   const struct at_set *flows, unsigned fields,
                                   struct at_error *err)
{
    const size_t first = flows != NULL ? at_set_next(flows, 0) : 1;
    const size_t last = flows != NULL ? at_set_last(flows) : ix->info.rows;
    const size_t n = flows != NULL ? at_set_count(flows) : last;
    enum at_status st = AT_OK;

    ix->wanted = fields;
    ix->columns = columns_of(fields);
    ix->flows = flows;
    ix->next = first > 0 ? first : 1; /* 0 is no id */
    ix->last = last;
    ix->by_point = flows != NULL && n <= (last - first) / SCAN_SHARE;
    if (ix->pages == NULL)
        st = at_pages_open(&ix->pages, &ix->sql, "flow", err);
    if (st == AT_OK && n > 0)
        st = at_pages_seek(ix->pages, (int64_t)first, err);
    if (st == AT_OK && n >= ix->info.hosts && (fields & AT_ROW_ENDS) != 0)
        st = read_hosts(ix, err);
    return st;
}

enum at_status at_index_flows(struct at_index *ix, const struct at_set *flows,
                              struct at_error *err)
{
    return at_index_flows_with(ix, flows, AT_ROW_ALL, err);
}

/* Steps to the next flow of the set; ix->cell is then it. */
static enum at_status step_flow(struct at_index *ix, struct at_error *err)
{
    enum at_status st;

    if (ix->flows != NULL)
        ix->next = at_set_next(ix->flows, ix->next);
    if (ix->next > ix->last || (ix->flows != NULL && ix->next >= ix->flows->n))
        return AT_END;
    if (ix->by_point) {
        st = at_pages_seek(ix->pages, (int64_t)ix->next, err);
        if (st != AT_OK)
            return st;
    }
    do
        st = at_pages_next(ix->pages, &ix->cell, err);
    while (st == AT_OK && ix->cell.id < (int64_t)ix->next);
    ix->next++;
    return st == AT_OK && ix->cell.id == (int64_t)ix->next - 1 ? AT_OK
           : st < 0                                            ? st
                    : at_index_corrupt(ix, "a flow is not there", err);
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
    if (ix->host[src].bytes != n || ix->host[dst].bytes != n)
        return at_index_corrupt(ix, "a flow's hosts are not of its kind", err);
    memcpy(row->src, ix->host[src].addr, n);
    memcpy(row->dst, ix->host[dst].addr, n);
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
    row->rtt_us = (ix->nulls >> COL_RTT & 1) != 0 ? -1 : number(ix, COL_RTT);
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
    const int64_t id = ix->cell.id;
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

/* Fills in the fields of ix->cell, and what is elsewhere. */
static enum at_status take_flow(struct at_index *ix, struct at_flow_row *row,
                                unsigned fields, uint32_t columns,
                                struct at_error *err)
{
    enum at_status st = at_cell_numbers(ix->pages, &ix->cell, columns,
                                        ix->number, &ix->nulls, err);

    if (st == AT_OK)
        st = take_row(ix, row, fields, err);
    if (st != AT_OK)
        return st;
    if (ix->opening != NULL && !take_opening(ix, row))
        return at_index_corrupt(ix, "what flows begin with", err);
    return ix->name_of_flow == NULL
               ? AT_OK
               : at_index_take_name(ix, ix->cell.id, row, err);
}

enum at_status at_index_next_flow(struct at_index *ix, struct at_flow_row *row,
                                  struct at_error *err)
{
    const enum at_status st = step_flow(ix, err);

    return st == AT_OK ? take_flow(ix, row, ix->wanted, ix->columns, err) : st;
}

enum at_status at_index_whole_flow(struct at_index *ix, struct at_flow_row *row,
                                   struct at_error *err)
{
    return ix->wanted == AT_ROW_ALL
               ? AT_OK
               : take_flow(ix, row, AT_ROW_ALL, columns_of(AT_ROW_ALL), err);
}

uint32_t at_index_flow_id(const struct at_index *ix)
{
    return (uint32_t)ix->cell.id;
}

enum at_status at_index_flow_blocks(struct at_index *ix, struct at_set *blocks,
                                    struct at_error *err)
{
    const uint8_t *list;
    size_t n;
    const enum at_status st = at_cell_blob(ix->pages, &ix->cell, COL_BLOCKS,
                                           &list, &n, err);

    if (st != AT_OK)
        return st;
    return at_index_add_numbers(blocks, list, n)
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
