/*
 * builder_write.c - an index goes to its file, table by table
 */
#include <stdlib.h>
#include <string.h>

#include "block_list.h"
#include "builder_inside.h"
#include "bytes.h"
#include "errors.h"
#include "flow_row.h"
#include "pages_out.h"
#include "pool.h"
#include "schema.h"
#include "sql.h"

struct writing {
    struct at_sql sql;
    struct at_sorted *s;
    int64_t base_ns;
    uint8_t *blob;
    size_t blob_room;
    size_t rows; /* of the table that is filled: tried so far */
};

/* A list of 'n' ascending numbers, which lives until the next call; NULL if
 * there is no memory. */
static const uint8_t *make_list(struct writing *w, const uint32_t *item,
                                size_t n, size_t *bytes)
{
    uint32_t before = 0;
    uint8_t *p;

    if (w->blob == NULL || w->blob_room < n * 5) {
        free(w->blob);
        w->blob_room = n * 10 + 64;
        w->blob = malloc(w->blob_room);
        if (w->blob == NULL)
            return NULL;
    }
    p = w->blob;
    for (size_t k = 0; k < n; k++) {
        p = at_put_varint(p, item[k] - before);
        before = item[k];
    }
    *bytes = (size_t)(p - w->blob);
    return w->blob;
}

static enum at_status put_list(struct writing *w, struct at_row *row, int i,
                               const struct at_lists *l, size_t key,
                               struct at_error *err)
{
    size_t n;
    const uint8_t *list = make_list(w, l->item + l->at[key],
                                    l->at[key + 1] - l->at[key], &n);

    if (list == NULL)
        return at_error_set(err, AT_ERR_MEMORY, "out of memory");
    at_row_put_blob(row, i, list, n);
    return AT_OK;
}

/* A row of meta: its value is to be bound as 2, then meta_end() writes it. */
static sqlite3_stmt *meta_begin(struct writing *w, const char *name)
{
    sqlite3_stmt *st = at_sql_prepare(&w->sql, "INSERT INTO meta VALUES(?, ?)");

    at_sql_bind_text(st, 1, name);
    return st;
}

static void meta_end(struct writing *w, sqlite3_stmt *st)
{
    at_sql_run(&w->sql, st);
    sqlite3_finalize(st);
}

static void put_meta(struct writing *w, const char *name, int64_t v)
{
    sqlite3_stmt *st = meta_begin(w, name);

    at_sql_bind(st, 2, v);
    meta_end(w, st);
}

static void put_meta_text(struct writing *w, const char *name, const char *text)
{
    sqlite3_stmt *st = meta_begin(w, name);

    at_sql_bind_text(st, 2, text);
    meta_end(w, st);
}

static void put_identity(struct writing *w, const struct at_identity *id)
{
    sqlite3_stmt *st = meta_begin(w, AT_META_IDENTITY);

    at_sql_bind_blob(st, 2, id->digest, sizeof(id->digest));
    meta_end(w, st);
}

static void put_flow_list(struct writing *w, const char *name,
                          bool (*wanted)(const struct at_sorted *s,
                                         uint32_t flow))
{
    sqlite3_stmt *st = meta_begin(w, name);
    const struct at_sorted *s = w->s;
    uint32_t *id = malloc((s->flows + 1) * sizeof(*id));
    const uint8_t *list = NULL;
    size_t n = 0, bytes;

    for (size_t i = 0; id != NULL && i < s->flows; i++)
        if (wanted(s, s->order[i]))
            id[n++] = (uint32_t)i + 1;
    if (id != NULL)
        list = make_list(w, id, n, &bytes);
    if (list != NULL)
        at_sql_bind_blob(st, 2, list, bytes);
    else
        at_error_set(&w->sql.err, AT_ERR_MEMORY, "out of memory");
    meta_end(w, st);
    free(id);
}

/* No host leads to it, or not the one that its packets are from. */
static bool is_link_flow(const struct at_sorted *s, uint32_t flow)
{
    return s->end[0][flow] == UINT32_MAX || at_set_has(&s->inner, flow);
}

static bool is_partial(const struct at_sorted *s, uint32_t flow)
{
    return at_set_has(&s->partial, flow);
}

/* By what rules the flows were made, and how far they could be kept. */
static void write_rules(struct writing *w, const struct at_builder *b)
{
    char text[AT_TIMEOUTS_TEXT], key[AT_KEYING_TEXT];

    put_meta_text(w, AT_META_TIMEOUTS,
                  at_timeouts_format(text, &b->rules.timeouts));
    put_meta_text(w, AT_META_KEY, at_keying_format(key, &b->rules.key));
    put_meta(w, AT_META_LOST_DATAGRAMS, (int64_t)b->lost_datagrams);
    put_meta(w, AT_META_MOST_FLOWS, (int64_t)b->rules.most_flows);
    put_meta(w, AT_META_FORCED, (int64_t)b->total.forced);
    if (!b->rules.names)
        return;
    put_meta(w, AT_META_NAMES, 1);
    put_meta(w, AT_META_NAMES_LOST, (int64_t)b->total.names_lost);
}

static void write_meta(struct writing *w, const struct at_index_about *about,
                       const struct at_index_totals *total)
{
    put_identity(w, &about->identity);
    put_meta(w, AT_META_FILE_BYTES, (int64_t)about->identity.file_bytes);
    put_meta(w, AT_META_BASE, w->base_ns);
    if (total->packets > 0) {
        put_meta(w, AT_META_FIRST, total->first_ns);
        put_meta(w, AT_META_LAST, total->last_ns);
    }
    put_meta_text(w, AT_META_FORMAT, at_format_name(about->format));
    put_meta_text(w, AT_META_CODEC, at_codec_name(about->codec));
    put_meta(w, AT_META_LINKTYPE, about->linktype);
    put_meta(w, AT_META_SNAP, about->snap_bytes);
    put_meta(w, AT_META_PACKETS, (int64_t)total->packets);
    put_meta(w, AT_META_CAPTURED, (int64_t)total->captured_bytes);
    put_meta(w, AT_META_WIRE, (int64_t)total->wire_bytes);
    put_meta(w, AT_META_FLOWS, (int64_t)total->flows);
    put_meta_text(w, AT_META_STREAM, about->stream);
    put_meta(w, AT_META_PORT_LIMIT, AT_INDEX_PORT_LIMIT);
    put_flow_list(w, AT_META_LINK_FLOWS, is_link_flow);
    if (about->open != NULL)
        put_flow_list(w, AT_META_PARTIAL, is_partial);
    put_meta(w, AT_META_COMPLETE, about->complete);
    put_meta(w, AT_META_PART, about->open != NULL);
    if (about->salvaged.holes == 0)
        return;
    put_meta(w, AT_META_HOLES, (int64_t)about->salvaged.holes);
    put_meta(w, AT_META_HOLE_BYTES, (int64_t)about->salvaged.bytes);
}

static struct at_block_row block_of(const struct writing *w,
                                    const struct at_block_stat *stat,
                                    const struct at_place *place)
{
    return (struct at_block_row){
        .place = *place,
        .records = stat->records,
        .packets = stat->packets,
        .first_ns = stat->first_ns - w->base_ns,
        .last_ns = stat->last_ns - w->base_ns,
    };
}

static void write_blocks(struct writing *w, const struct at_builder *b,
                         const struct at_place *place)
{
    sqlite3_stmt *st = at_sql_prepare(&w->sql,
                                      "INSERT INTO block VALUES(?, ?, ?)");
    struct at_block_row row[AT_BLOCK_LIST];
    uint8_t list[AT_BLOCK_LIST_BYTES];

    for (size_t i = 0; i < b->blocks && w->sql.err.status == AT_OK;
         i += AT_BLOCK_LIST) {
        const size_t left = b->blocks - i;
        const size_t n = left < AT_BLOCK_LIST ? left : AT_BLOCK_LIST;

        for (size_t k = 0; k < n; k++)
            row[k] = block_of(w, &b->block[i + k], &place[i + k]);
        at_sql_bind(st, 1, (int64_t)(i / AT_BLOCK_LIST));
        at_sql_bind(st, 2, (int64_t)n);
        at_sql_bind_blob(st, 3, list, at_block_list_pack(list, row, n));
        at_sql_run(&w->sql, st);
    }
    sqlite3_finalize(st);
}

/* Two numbers of 16 bits as one, which is 0 for nearly every flow. */
static int64_t both(uint16_t low, uint16_t high)
{
    return (int64_t)high << 16 | low;
}

static void put_extras(struct at_row *to, const struct at_flow_row *row)
{
    at_row_put(to, 17, (int64_t)row->payload[0]);
    at_row_put(to, 18, (int64_t)row->payload[1]);
    if (row->rtt_us >= 0)
        at_row_put(to, 19, row->rtt_us);
    at_row_put(to, 20, both(row->retransmitted[0], row->retransmitted[1]));
    at_row_put(to, 21, both(row->zero_windows[0], row->zero_windows[1]));
    at_row_put(to, 22, both(row->errors, row->bad_checksums));
}

/* Notes that the flow of the row to be written goes on from an earlier part. */
static enum at_status note_carried(struct at_sorted *s, uint32_t id,
                                   uint32_t number, struct at_error *err)
{
    if (s->carries == s->carried_room) {
        const size_t room = s->carried_room * 2 + 256;
        struct at_sorted_goer *p = realloc(s->carried, room * sizeof(*p));

        if (p == NULL)
            return at_error_set(err, AT_ERR_MEMORY, "out of memory");
        s->carried = p;
        s->carried_room = room;
    }
    s->carried[s->carries++] = (struct at_sorted_goer){id, number};
    return AT_OK;
}

static enum at_status put_flow(struct writing *w, struct at_row *to,
                               uint32_t id, uint32_t number,
                               struct at_error *err)
{
    struct at_sorted *s = w->s;
    struct at_flow flow;
    struct at_flow_row row;
    const uint8_t *list;
    size_t list_bytes;
    uint32_t name;
    enum at_status st = at_finished_get(s->flow, number, &flow, &list,
                                        &list_bytes, &name, err);

    if (st == AT_OK && flow.carried != 0)
        st = note_carried(s, id, flow.carried, err);
    if (st != AT_OK)
        return st;
    at_flow_row_of(&row, &flow);
    at_row_put(to, 1, id);
    at_row_put(to, 2, row.start_ns - w->base_ns);
    at_row_put(to, 3, row.end_ns - row.start_ns);
    for (int end = 0; end < 2 && row.net != AT_NET_OTHER; end++)
        at_row_put(to, 4 + end, s->host_id[s->end[end][number]]);
    at_row_put(to, 6, row.ethertype != 0 ? row.ethertype : row.sport);
    at_row_put(to, 7, row.dport);
    at_row_put(to, 8, at_kind_of(row.net, row.proto));
    at_row_put(to, 9, (int64_t)row.packets[0]);
    at_row_put(to, 10, (int64_t)row.packets[1]);
    at_row_put(to, 11, (int64_t)row.bytes[0]);
    at_row_put(to, 12, (int64_t)row.bytes[1]);
    at_row_put(to, 13, row.tcp_flags[0] | row.tcp_flags[1] << 8);
    at_row_put(to, 14,
               row.state | row.end << AT_INDEX_END_SHIFT |
                   (row.checksums == AT_CHECKSUM_OK) << AT_INDEX_SUMS_SHIFT |
                   (flow.carried != 0) << AT_INDEX_CONTINUES_SHIFT |
                   flow.continued << AT_INDEX_CONTINUED_SHIFT |
                   row.inner << AT_INDEX_INNER_SHIFT);
    at_row_put(to, 15, row.vlan | (int64_t)row.mpls << AT_INDEX_MPLS_SHIFT);
    at_row_put(to, 16,
               row.marks | (int64_t)at_app_part_value(s->apps, number)
                               << AT_INDEX_APP_SHIFT);
    put_extras(to, &row);
    at_row_put_blob(to, 23, list, list_bytes);
    return AT_OK;
}

static void write_minutes(struct writing *w, struct at_builder *b)
{
    sqlite3_stmt *st = at_sql_prepare(&w->sql,
                                      "INSERT INTO minute VALUES(?, ?, ?, ?)");

    at_minutes_sort(&b->minutes);
    for (size_t i = 0; i < b->minutes.n && w->sql.err.status == AT_OK; i++) {
        const struct at_minute *m = &b->minutes.row[i];

        at_sql_bind(st, 1, m->minute);
        at_sql_bind(st, 2, m->kind);
        at_sql_bind(st, 3, (int64_t)m->packets);
        at_sql_bind(st, 4, (int64_t)m->bytes);
        at_sql_run(&w->sql, st);
    }
    sqlite3_finalize(st);
}

static enum at_status next_flow(void *ctx, struct at_row *row,
                                struct at_error *err)
{
    struct writing *w = ctx;
    const size_t i = w->rows++;

    return i == w->s->flows
               ? AT_END
               : put_flow(w, row, (uint32_t)i + 1, w->s->order[i], err);
}

static enum at_status next_host(void *ctx, struct at_row *row,
                                struct at_error *err)
{
    struct writing *w = ctx;
    const size_t i = w->rows++;
    const struct at_sorted_host *h = &w->s->host[i];

    if (i == w->s->hosts)
        return AT_END;
    at_row_put(row, 1, (int64_t)i + 1);
    at_row_put_blob(row, 2, h->addr, h->net == 6 ? 16 : 4);
    return put_list(w, row, 3, &w->s->host_flows, i + 1, err);
}

static enum at_status next_port(void *ctx, struct at_row *row,
                                struct at_error *err)
{
    struct writing *w = ctx;
    const struct at_lists *l = &w->s->port_flows;

    while (w->rows < AT_INDEX_PORT_LIMIT &&
           l->at[w->rows] == l->at[w->rows + 1])
        w->rows++;
    if (w->rows == AT_INDEX_PORT_LIMIT)
        return AT_END;
    at_row_put(row, 1, (int64_t)w->rows);
    return put_list(w, row, 2, l, w->rows++, err);
}

static void write_access(struct writing *w, const struct at_index_about *about)
{
    sqlite3_stmt *st;

    if (about->accesses == 0)
        return;
    at_sql_exec(&w->sql, AT_INDEX_ACCESS);
    st = at_sql_prepare(&w->sql,
                        "INSERT INTO access VALUES(?, ?, ?, ?, ?, ?, ?)");
    for (size_t i = 0; i < about->accesses && w->sql.err.status == AT_OK; i++) {
        const struct at_access_point *p = &about->access[i];

        at_sql_bind(st, 1, (int64_t)i);
        at_sql_bind(st, 2, (int64_t)p->file_bit);
        at_sql_bind(st, 3, (int64_t)p->raw_offset);
        at_sql_bind(st, 4, (int64_t)p->member_offset);
        at_sql_bind(st, 5, (int64_t)p->member_raw);
        at_sql_bind(st, 6, p->crc);
        at_sql_bind_blob(st, 7, p->window, p->window_bytes);
        at_sql_run(&w->sql, st);
    }
    sqlite3_finalize(st);
}

static void write_holes(struct writing *w, const struct at_index_about *about)
{
    sqlite3_stmt *st;

    if (about->salvaged.holes == 0)
        return;
    at_sql_exec(&w->sql, AT_INDEX_HOLES);
    st = at_sql_prepare(&w->sql, "INSERT INTO hole VALUES(?, ?, ?, ?, ?)");
    for (size_t i = 0; i < about->holes && w->sql.err.status == AT_OK; i++) {
        const struct at_hole *hole = &about->hole[i];

        at_sql_bind(st, 1, (int64_t)i);
        at_sql_bind(st, 2, (int64_t)hole->offset);
        at_sql_bind(st, 3, (int64_t)hole->bytes);
        at_sql_bind(st, 4, hole->decoded);
        at_sql_bind_text(st, 5, hole->what);
        at_sql_run(&w->sql, st);
    }
    sqlite3_finalize(st);
}

/* What is known of the flows that go on, from before this part. */
static void write_carried(struct writing *w, const struct at_builder *b)
{
    sqlite3_stmt *st;

    if (w->s->carries == 0)
        return;
    at_sql_exec(&w->sql, AT_INDEX_CARRIED);
    st = at_sql_prepare(&w->sql, "INSERT INTO carried VALUES(?, ?)");
    for (size_t i = 0; i < w->s->carries && w->sql.err.status == AT_OK; i++) {
        const struct at_sorted_goer *c = &w->s->carried[i];

        at_sql_bind(st, 1, c->id);
        at_sql_bind_blob(st, 2,
                         b->carry->record +
                             (size_t)(c->number - 1) * AT_CARRY_BYTES +
                             AT_CARRY_KEY_BYTES,
                         AT_CARRY_STATE_BYTES);
        at_sql_run(&w->sql, st);
    }
    sqlite3_finalize(st);
}

static sqlite3_stmt *begin_datagrams(struct writing *w)
{
    at_sql_exec(&w->sql, AT_INDEX_DATAGRAMS);
    return at_sql_prepare(&w->sql, "INSERT INTO datagram VALUES(?, ?, ?, ?)");
}

/* The datagrams of a flow that began before this part; *st is NULL until there
 * is one. */
static void put_datagrams(struct writing *w, sqlite3_stmt **st,
                          const struct at_carry *carry,
                          const struct at_sorted_goer *c)
{
    const size_t end = at_carry_datagrams_from(carry, c->number);
    struct at_datagram d;

    for (size_t i = at_carry_datagrams_from(carry, c->number - 1);
         i < end && at_carry_get_datagram(carry, i, &d); i++) {
        if (*st == NULL)
            *st = begin_datagrams(w);
        at_sql_bind(*st, 1, c->id);
        at_sql_bind(*st, 2, d.link);
        at_sql_bind(*st, 3, d.from_hi);
        at_sql_bind(*st, 4, d.ts_ns - w->base_ns);
        at_sql_run(&w->sql, *st);
    }
}

static void write_datagrams(struct writing *w, const struct at_builder *b)
{
    sqlite3_stmt *st = NULL;

    for (size_t i = 0; i < w->s->carries && w->sql.err.status == AT_OK; i++)
        put_datagrams(w, &st, b->carry, &w->s->carried[i]);
    sqlite3_finalize(st);
}

/* ---- all of it ------------------------------------------------------- */

/* The tables that hold the most. */
enum table { FLOW, HOST, PORT, TABLES };

static const struct {
    const char *name;
    unsigned columns;
    at_row_fn *next;
} tables[TABLES] = {
    [FLOW] = {"flow", 23, next_flow},
    [HOST] = {"host", 3, next_host},
    [PORT] = {"port", 2, next_port},
};

/* All tables, empty; 'root' becomes the first pages of those. */
static enum at_status make_tables(const struct at_builder *b, const char *path,
                                  uint32_t root[TABLES], struct at_error *err)
{
    struct at_sql sql;
    enum at_status st = at_sql_open(&sql, path, AT_SQL_CREATE, err);

    if (st != AT_OK)
        return st;
    at_sql_exec(&sql, "BEGIN");
    at_sql_exec(&sql, AT_INDEX_TABLES);
    at_sql_exec(&sql, b->rules.names ? AT_INDEX_VIEWS(AT_INDEX_NAME_OF_FLOW)
                                     : AT_INDEX_VIEWS(AT_INDEX_NO_NAME));
    for (int i = 0; i < TABLES; i++)
        root[i] = at_sql_root(&sql, tables[i].name);
    st = at_sql_exec(&sql, "COMMIT");
    if (st != AT_OK)
        at_error_copy(err, &sql.err);
    at_sql_close(&sql);
    return st;
}

static enum at_status fill(struct writing *w, struct at_pages_out *to,
                           struct at_pool *pool, enum table i, uint32_t root,
                           struct at_error *err)
{
    w->rows = 0;
    return at_pages_out_fill(to, pool, root, tables[i].columns, tables[i].next,
                             w, err);
}

/* The lists are made meanwhile, and only the flows need none. */
static enum at_status fill_tables(struct writing *w, const char *path,
                                  struct at_pool *pool,
                                  const uint32_t root[TABLES],
                                  struct at_lane *lists, struct at_error *err)
{
    struct at_pages_out *to;
    struct at_error later;
    enum at_status st = at_pages_out_open(&to, path, err), closed;

    if (st == AT_OK)
        st = fill(w, to, pool, FLOW, root[FLOW], err);
    if (st == AT_OK && at_sorted_finish_lists(lists) != AT_OK)
        st = at_error_set(err, AT_ERR_MEMORY, "out of memory");
    for (int i = HOST; i < TABLES && st == AT_OK; i++)
        st = fill(w, to, pool, (enum table)i, root[i], err);
    closed = at_pages_out_close(to, &later);
    if (st == AT_OK && closed != AT_OK)
        st = at_error_copy(err, &later);
    return st;
}

static enum at_status write_rest(struct writing *w, struct at_builder *b,
                                 const struct at_index_about *about,
                                 const struct at_place *place)
{
    at_sql_exec(&w->sql, "BEGIN");
    write_meta(w, about, &b->total);
    write_rules(w, b);
    write_blocks(w, b, place);
    write_minutes(w, b);
    at_app_part_write_apps(w->s->apps, &w->sql, w->s->order);
    at_app_part_write_openings(w->s->apps, &w->sql);
    if (w->s->names != NULL)
        at_name_part_write(w->s->names, &w->sql, w->s->order);
    write_access(w, about);
    write_holes(w, about);
    write_carried(w, b);
    write_datagrams(w, b);
    return at_sql_exec(&w->sql, "COMMIT");
}

static enum at_status write_all(struct writing *w, struct at_builder *b,
                                const char *path,
                                const struct at_index_about *about,
                                const struct at_place *place,
                                struct at_lane *lists, struct at_error *err)
{
    uint32_t root[TABLES];
    enum at_status st = make_tables(b, path, root, err);

    if (st == AT_OK)
        st = fill_tables(w, path, b->pool, root, lists, err);
    if (st == AT_OK)
        st = at_sql_open(&w->sql, path, AT_SQL_CREATE, err);
    if (st != AT_OK)
        return st;
    st = write_rest(w, b, about, place);
    if (st != AT_OK)
        at_error_copy(err, &w->sql.err);
    at_sql_close(&w->sql);
    return st;
}

enum at_status at_builder_write_sorted(struct at_builder *b,
                                       struct at_sorted *s, const char *path,
                                       const struct at_index_about *about,
                                       const struct at_place *place,
                                       struct at_error *err)
{
    struct at_lane *lists = at_sorted_begin_lists(s, b->pool);
    struct writing w = {
        .s = s,
        .base_ns = b->total.packets > 0 ? b->total.first_ns : 0,
    };
    enum at_status st;

    if (lists == NULL)
        return at_error_set(err, AT_ERR_MEMORY, "out of memory");
    st = write_all(&w, b, path, about, place, lists, err);
    at_lane_close(lists, NULL);
    free(w.blob);
    return st;
}
