/*
 * sqlanswer.c - SQL over the flows that match
 *
 * The flows go into a table in memory, whose columns are those of the view
 * 'flows' of an index.  Nothing else can be reached: an authorizer refuses all
 * that is not reading, and with it other files.
 */
#include "sqlanswer.h"

#include <arpa/inet.h>
#include <string.h>

#include "community.h"
#include "errors.h"
#include "sql.h"
#include "sqlfun.h"
#include "table.h"

static const char tables[] =
    "CREATE TABLE flows(start INT, end INT, duration INT, proto INT, src BLOB,"
    " sport INT, dst BLOB, dport INT, packets_out INT, packets_in INT,"
    " bytes_out INT, bytes_in INT, flags_out INT, flags_in INT, app TEXT,"
    " vlan INT, state TEXT, stream TEXT, end_reason TEXT, rtt INT,"
    " retransmitted_out INT, retransmitted_in INT, category TEXT,"
    " community_id TEXT, mpls INT, \"inner\" INT, name TEXT)";

static void bind_text(sqlite3_stmt *st, int i, const char *text)
{
    if (text != NULL)
        at_sql_bind_text(st, i, text);
    else
        sqlite3_bind_null(st, i);
}

static void bind_row(sqlite3_stmt *st, const struct at_flow_row *row,
                     const char *stream, char *id)
{
    const size_t n = row->net == AT_NET_IPV6 ? 16 : 4;
    const int64_t number[] = {row->start_ns, row->end_ns,
                              row->end_ns - row->start_ns, row->proto};

    for (int i = 0; i < 4; i++)
        at_sql_bind(st, i + 1, number[i]);
    at_sql_bind_blob(st, 5, row->src, n);
    at_sql_bind(st, 6, row->sport);
    at_sql_bind_blob(st, 7, row->dst, n);
    at_sql_bind(st, 8, row->dport);
    for (int dir = 0; dir < 2; dir++) {
        at_sql_bind(st, 9 + dir, (int64_t)row->packets[dir]);
        at_sql_bind(st, 11 + dir, (int64_t)row->bytes[dir]);
        at_sql_bind(st, 13 + dir, row->tcp_flags[dir]);
        at_sql_bind(st, 21 + dir, row->retransmitted[dir]);
    }
    bind_text(st, 15, row->app);
    at_sql_bind(st, 16, row->vlan);
    bind_text(st, 17, at_flow_state_name((enum at_flow_state)row->state));
    bind_text(st, 18, stream);
    bind_text(st, 19, at_flow_end_name((enum at_flow_end)row->end));
    if (row->rtt_us >= 0)
        at_sql_bind(st, 20, row->rtt_us * 1000);
    else
        sqlite3_bind_null(st, 20);
    bind_text(st, 23, row->category);
    bind_text(st, 24, at_community_id(id, row));
    at_sql_bind(st, 25, row->mpls);
    at_sql_bind(st, 26, row->inner);
    bind_text(st, 27, row->name);
}

static void fill(struct at_sql *sql, const struct at_finds *finds,
                 const struct at_targets *t)
{
    char id[AT_COMMUNITY_TEXT];
    sqlite3_stmt *st;

    at_sql_exec(sql, tables);
    st = at_sql_prepare(sql, "INSERT INTO flows VALUES(?,?,?,?,?,?,?,?,?,?,?,?,"
                             "?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)");
    at_sql_exec(sql, "BEGIN");
    for (size_t i = 0; i < finds->n && sql->err.status == AT_OK; i++) {
        const struct at_found *f = finds->found[i];

        bind_row(st, &f->row, t->target[f->target].stream, id);
        at_sql_run(sql, st);
    }
    at_sql_exec(sql, "COMMIT");
    sqlite3_finalize(st);
}

static int only_reading(void *ctx, int action, const char *a, const char *b,
                        const char *db, const char *trigger)
{
    (void)ctx;
    (void)a;
    (void)db;
    (void)trigger;
    if (action == SQLITE_FUNCTION && b != NULL &&
        sqlite3_stricmp(b, "load_extension") == 0)
        return SQLITE_DENY;
    return action == SQLITE_SELECT || action == SQLITE_READ ||
                   action == SQLITE_FUNCTION || action == SQLITE_RECURSIVE
               ? SQLITE_OK
               : SQLITE_DENY;
}

static enum at_status wrong(struct at_sql *sql, struct at_error *err)
{
    return at_error_set(err, AT_ERR_SYNTAX, "SQL: %s", sqlite3_errmsg(sql->db));
}

/* Bytes are an address as people read it, or hexadecimal. */
static void put_blob(struct at_table *table, const uint8_t *p, size_t n)
{
    char text[2 * 64 + 1] = "";

    if (n == 4 || n == 16)
        inet_ntop(n == 4 ? AF_INET : AF_INET6, p, text, sizeof(text));
    for (size_t i = 0; n != 4 && n != 16 && i < n && i < 64; i++)
        snprintf(text + 2 * i, 3, "%02x", p[i]);
    at_table_put(table, text);
}

static void put_value(struct at_table *table, sqlite3_stmt *st, int i)
{
    const char *text;

    if (sqlite3_column_type(st, i) == SQLITE_BLOB) {
        put_blob(table, sqlite3_column_blob(st, i),
                 (size_t)sqlite3_column_bytes(st, i));
        return;
    }
    text = (const char *)sqlite3_column_text(st, i);
    at_table_put(table, text != NULL ? text : "");
}

/* A column is of numbers if the first row has one there. */
static void take_types(struct at_column *column, unsigned n, sqlite3_stmt *st)
{
    for (unsigned i = 0; i < n; i++) {
        const int type = sqlite3_column_type(st, (int)i);

        column[i].text = type != SQLITE_INTEGER && type != SQLITE_FLOAT;
    }
}

static enum at_status print_rows(struct at_sql *sql, sqlite3_stmt *st,
                                 struct at_column *column,
                                 struct at_table *table, struct at_error *err)
{
    bool first = true;
    int r;

    while ((r = sqlite3_step(st)) == SQLITE_ROW) {
        if (first)
            take_types(column, table->columns, st);
        first = false;
        for (unsigned i = 0; i < table->columns; i++)
            put_value(table, st, (int)i);
    }
    if (r != SQLITE_DONE)
        return wrong(sql, err);
    return at_table_close(table)
               ? AT_OK
               : at_error_set(err, AT_ERR_MEMORY, "out of memory");
}

static enum at_status print_answer(struct at_sql *sql, sqlite3_stmt *st,
                                   FILE *out, enum at_print_format format,
                                   struct at_error *err)
{
    struct at_column column[AT_TABLE_COLUMNS];
    struct at_table table = {.out = out,
                             .format = format,
                             .column = column,
                             .columns = (unsigned)sqlite3_column_count(st)};

    if (table.columns == 0 || table.columns > AT_TABLE_COLUMNS)
        return at_error_set(err, AT_ERR_SYNTAX,
                            "SQL: a statement with 1 to %d columns is expected",
                            AT_TABLE_COLUMNS);
    for (unsigned i = 0; i < table.columns; i++)
        column[i] = (struct at_column){sqlite3_column_name(st, (int)i), true,
                                       0};
    return print_rows(sql, st, column, &table, err);
}

static bool is_blank(const char *text)
{
    return text[strspn(text, " \t\r\n;")] == '\0';
}

enum at_status at_sql_answer(const char *text, FILE *out,
                             enum at_print_format format,
                             const struct at_finds *finds,
                             const struct at_targets *t, struct at_error *err)
{
    struct at_sql sql;
    sqlite3_stmt *st = NULL;
    const char *rest = "";
    enum at_status status = at_sql_open(&sql, ":memory:", AT_SQL_CREATE, err);

    if (status != AT_OK)
        return status;
    at_sql_functions(sql.db);
    fill(&sql, finds, t);
    status = at_error_copy(err, &sql.err);
    sqlite3_set_authorizer(sql.db, only_reading, NULL);
    if (status == AT_OK &&
        sqlite3_prepare_v2(sql.db, text, -1, &st, &rest) != SQLITE_OK)
        status = wrong(&sql, err);
    else if (status == AT_OK && !is_blank(rest))
        status = at_error_set(err, AT_ERR_SYNTAX,
                              "SQL: one statement is expected");
    if (status == AT_OK)
        status = print_answer(&sql, st, out, format, err);
    sqlite3_finalize(st);
    at_sql_close(&sql);
    return status;
}
