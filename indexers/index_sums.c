/*
 * index_sums.c - what of an index goes into the catalogue of an archive
 *
 * And, for who makes the index again, what its flows were before.
 */
#include "index_inside.h"

#include <string.h>

#include "errors.h"
#include "schema.h"

/* ---- parts of a capture ---------------------------------------------- */

/* The ids that 'query' gives of a table, which may not be there. */
static enum at_status table_ids(struct at_index *ix, const char *table,
                                const char *query, struct at_set *ids,
                                struct at_error *err)
{
    sqlite3_stmt *st;
    enum at_status r = at_set_open(ids, (size_t)ix->info.rows + 1, false);

    if (r != AT_OK)
        return at_error_set(err, r, "out of memory");
    if (!at_sql_has_table(&ix->sql, table))
        return ix->sql.err.status == AT_OK ? AT_OK : at_index_error(ix, err);
    st = at_sql_prepare(&ix->sql, query);
    while ((r = at_sql_step(&ix->sql, st)) == AT_OK)
        at_set_add(ids, (size_t)sqlite3_column_int64(st, 0));
    sqlite3_finalize(st);
    return r < 0 ? at_index_error(ix, err) : AT_OK;
}

enum at_status at_index_continuing_flows(struct at_index *ix,
                                         struct at_set *flows,
                                         struct at_error *err)
{
    struct at_set ids;
    enum at_status st = table_ids(ix, "carried", "SELECT id FROM carried", &ids,
                                  err);

    if (st == AT_OK)
        at_set_or(flows, &ids);
    at_set_close(&ids);
    return st;
}

/* Adds a flow, as it was before this part. */
static enum at_status add_carried(struct at_index *ix, struct at_carry *carry,
                                  const struct at_flow_row *row,
                                  sqlite3_stmt *st, struct at_error *err)
{
    struct at_flow flow = {.first_ns = 0};
    struct at_flow_past past;
    bool good;

    at_sql_bind(st, 1, at_index_flow_id(ix));
    at_flow_row_key(&flow.key, row);
    good = at_sql_step(&ix->sql, st) == AT_OK &&
           sqlite3_column_bytes(st, 0) == AT_CARRY_STATE_BYTES &&
           at_carry_unpack_state(&flow, &past, sqlite3_column_blob(st, 0));
    sqlite3_reset(st);
    if (!good)
        return at_index_corrupt(ix, "what is known of a flow that goes on",
                                err);
    return at_carry_add(carry, &flow, &past) == AT_OK
               ? AT_OK
               : at_error_set(err, AT_ERR_MEMORY, "out of memory");
}

/* Adds the datagrams of the flow added last; 'st' is NULL if there are none. */
static enum at_status add_datagrams(struct at_index *ix, struct at_carry *carry,
                                    sqlite3_stmt *st, struct at_error *err)
{
    struct at_datagram first = {.value = (uint32_t)carry->n - 1};
    enum at_status r = AT_END;

    at_sql_bind(st, 1, at_index_flow_id(ix));
    while (st != NULL && (r = at_sql_step(&ix->sql, st)) == AT_OK) {
        first.link = (uint32_t)sqlite3_column_int64(st, 0);
        first.from_hi = sqlite3_column_int64(st, 1) != 0;
        first.ts_ns = (int64_t)((uint64_t)ix->base_ns +
                                (uint64_t)sqlite3_column_int64(st, 2));
        if (at_carry_add_datagram(carry, &first) != AT_OK)
            return at_error_set(err, AT_ERR_MEMORY, "out of memory");
        if (!at_carry_get_datagram(carry, carry->datagrams - 1, &first))
            return at_index_corrupt(ix, "what is known of a datagram", err);
    }
    sqlite3_reset(st);
    return r < 0 ? at_index_error(ix, err) : AT_OK;
}

static enum at_status add_flows(struct at_index *ix, const struct at_set *ids,
                                struct at_carry *carry, struct at_error *err)
{
    sqlite3_stmt *by_id = at_sql_prepare(
        &ix->sql, "SELECT state FROM carried WHERE id = ?");
    sqlite3_stmt *datagrams = NULL;
    struct at_flow_row row;
    enum at_status st = at_index_flows(ix, ids, err);

    if (at_sql_has_table(&ix->sql, "datagram"))
        datagrams = at_sql_prepare(&ix->sql,
                                   "SELECT number, from_hi, first FROM datagram"
                                   " WHERE flow = ? ORDER BY number, from_hi");
    while (st == AT_OK && (st = at_index_next_flow(ix, &row, err)) == AT_OK) {
        st = add_carried(ix, carry, &row, by_id, err);
        if (st == AT_OK)
            st = add_datagrams(ix, carry, datagrams, err);
    }
    sqlite3_finalize(by_id);
    sqlite3_finalize(datagrams);
    return st < 0 ? st : AT_OK;
}

static enum at_status add_those(struct at_index *ix, const char *table,
                                const char *query, struct at_carry *carry,
                                struct at_error *err)
{
    struct at_set ids = {.n = 0};
    enum at_status st = table_ids(ix, table, query, &ids, err);

    if (st == AT_OK && at_set_count(&ids) > 0)
        st = add_flows(ix, &ids, carry, err);
    at_set_close(&ids);
    return st;
}

enum at_status at_index_carried(struct at_index *ix, struct at_carry *carry,
                                struct at_error *err)
{
    return add_those(ix, "carried", "SELECT id FROM carried", carry, err);
}

enum at_status at_index_datagrams(struct at_index *ix, struct at_carry *carry,
                                  struct at_error *err)
{
    return add_those(ix, "datagram", "SELECT flow FROM datagram", carry, err);
}

/* ---- the sieve of hosts ---------------------------------------------- */

/* Calls 'fn' for each host in order, with the one before it if that is of the
 * same kind. */
static enum at_status each_host(struct at_index *ix,
                                void (*fn)(void *ctx, const uint8_t *addr,
                                           const uint8_t *before, unsigned n),
                                void *ctx, struct at_error *err)
{
    sqlite3_stmt *st = at_sql_prepare(&ix->sql,
                                      "SELECT addr FROM host ORDER BY id");
    uint8_t addr[2][16];
    unsigned now = 0, before_bytes = 0;
    enum at_status r;

    while ((r = at_sql_step(&ix->sql, st)) == AT_OK) {
        const unsigned n = (unsigned)sqlite3_column_bytes(st, 0);

        if (n != 4 && n != 16)
            break;
        memcpy(addr[now], sqlite3_column_blob(st, 0), n);
        fn(ctx, addr[now], before_bytes == n ? addr[!now] : NULL, n);
        before_bytes = n;
        now = !now;
    }
    sqlite3_finalize(st);
    if (r < 0)
        return at_index_error(ix, err);
    return r == AT_END ? AT_OK
                       : at_index_corrupt(ix, "a host has no address", err);
}

static void count_keys(void *ctx, const uint8_t *addr, const uint8_t *before,
                       unsigned n)
{
    *(size_t *)ctx += at_sieve_keys(addr, before, n);
}

static void add_keys(void *ctx, const uint8_t *addr, const uint8_t *before,
                     unsigned n)
{
    (void)before;
    at_sieve_add(ctx, addr, n);
}

/* Whether libpcap may find an address in a frame where we have none, or that
 * of the tunnel. */
static bool is_strange(const struct at_flow_row *row)
{
    return row->inner || (row->marks & AT_DECODED_FOREIGN) != 0 ||
           row->ethertype == 0x0800 || row->ethertype == 0x0806 ||
           row->ethertype == 0x8035 || row->ethertype == 0x86dd;
}

static enum at_status find_strange(struct at_index *ix, bool *strange,
                                   struct at_error *err)
{
    struct at_set links = {.n = 0};
    struct at_flow_row row;
    enum at_status st = at_set_open(&links, (size_t)ix->info.rows + 1, false);

    *strange = false;
    if (st != AT_OK)
        return at_error_set(err, st, "out of memory");
    st = at_index_link_flows(ix, &links, err);
    if (st == AT_OK)
        st = at_index_flows(ix, &links, err);
    while (st == AT_OK && !*strange &&
           (st = at_index_next_flow(ix, &row, err)) == AT_OK)
        *strange = is_strange(&row);
    at_set_close(&links);
    return st < 0 ? st : AT_OK;
}

enum at_status at_index_sieve(struct at_index *ix, struct at_sieve *sieve,
                              bool *strange, struct at_error *err)
{
    size_t keys = 0;
    enum at_status st = each_host(ix, count_keys, &keys, err);

    *sieve = (struct at_sieve){.lines = 0};
    if (st == AT_OK && at_sieve_open(sieve, keys) != AT_OK)
        st = at_error_set(err, AT_ERR_MEMORY, "out of memory");
    if (st == AT_OK)
        st = each_host(ix, add_keys, sieve, err);
    if (st == AT_OK)
        st = find_strange(ix, strange, err);
    if (st != AT_OK)
        at_sieve_close(sieve);
    return st;
}

/* ---- minutes --------------------------------------------------------- */

static enum at_status each_minute(struct at_index *ix, const char *query,
                                  int64_t base_ns, at_minute_fn *fn, void *ctx,
                                  struct at_error *err)
{
    sqlite3_stmt *st = at_sql_prepare(&ix->sql, query);
    enum at_status r;

    if (st != NULL && sqlite3_bind_parameter_count(st) > 0)
        at_sql_bind(st, 1, base_ns);
    while ((r = at_sql_step(&ix->sql, st)) == AT_OK) {
        const struct at_index_minute m = {
            .minute = sqlite3_column_int64(st, 0),
            .kind = (uint16_t)sqlite3_column_int(st, 1),
            .app = (const char *)sqlite3_column_text(st, 2),
            .packets = (uint64_t)sqlite3_column_int64(st, 3),
            .bytes = (uint64_t)sqlite3_column_int64(st, 4),
            .flows = (uint64_t)sqlite3_column_int64(st, 5),
        };

        fn(ctx, &m);
    }
    sqlite3_finalize(st);
    return r < 0 ? at_index_error(ix, err) : AT_OK;
}

enum at_status at_index_minutes(struct at_index *ix, at_minute_fn *fn,
                                void *ctx, struct at_error *err)
{
    if (!at_sql_has_table(&ix->sql, "minute"))
        return ix->sql.err.status == AT_OK ? AT_OK : at_index_error(ix, err);
    return each_minute(ix,
                       "SELECT minute, kind, NULL, packets, bytes, 0"
                       " FROM minute",
                       0, fn, ctx, err);
}

enum at_status at_index_app_minutes(struct at_index *ix, at_minute_fn *fn,
                                    void *ctx, struct at_error *err)
{
    return each_minute(
        ix,
        "SELECT f.m, 0, a.name, f.packets, f.bytes, f.n FROM (SELECT"
        " (start + ?1) / 60000000000 AS m, marks >> 11 AS app,"
        " sum(packets_out + packets_in) AS packets,"
        " sum(bytes_out + bytes_in) AS bytes, count(*) AS n"
        " FROM flow WHERE kind < 512 GROUP BY 1, 2) f"
        " LEFT JOIN app a ON a.id = f.app ORDER BY 1, 3",
        ix->base_ns, fn, ctx, err);
}
