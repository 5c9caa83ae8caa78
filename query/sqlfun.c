/*
 * sqlfun.c - functions for SQL over the views of indexes
 *
 *     ip(TEXT)                 an address as it stands in the tables: 4 or 16
 *                              bytes; NULL if the text is none
 *     ip_text(BLOB)            and back
 *     in_net(BLOB|TEXT, TEXT)  1 if the address is in "10.0.0.0/8", 0 if not,
 *                              NULL if either is none
 *     at_time(INT)             nanoseconds since 1970 as ISO 8601, UTC
 *     at_time(TEXT)            and back; also "@SECONDS", "-2h" and "now"
 *     at_list(BLOB)            a list of numbers as a JSON array; NULL if it is
 *                              none
 *     at_blocks(INT, BLOB)     columns blocks and data of table block as JSON,
 *                              an array of arrays: file_offset, file_bytes,
 *                              raw_offset, skip, bytes, records, first, last
 *
 * Built once as a part of at-query and once as an extension that any SQLite
 * loads, which has no library but its host's SQLite and ours.  Loaded into an
 * index, the extension adds the views hosts and blocks for as long.
 */
#ifdef AT_SQL_EXTENSION
#include <sqlite3ext.h>
SQLITE_EXTENSION_INIT1
#else
#include <sqlite3.h>
#endif

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

#include "archive_trace.h"
#include "block_list.h"
#include "bytes.h"
#include "schema.h"
#include "sqlfun.h"

struct address {
    uint8_t b[16];
    unsigned bytes;
};

static bool parse_address(struct address *a, const char *text)
{
    a->bytes = 4;
    if (text != NULL && inet_pton(AF_INET, text, a->b) == 1)
        return true;
    a->bytes = 16;
    return text != NULL && inet_pton(AF_INET6, text, a->b) == 1;
}

/* An address as bytes or as text. */
static bool take_address(struct address *a, sqlite3_value *v)
{
    const void *blob;

    if (sqlite3_value_type(v) == SQLITE_TEXT)
        return parse_address(a, (const char *)sqlite3_value_text(v));
    if (sqlite3_value_type(v) != SQLITE_BLOB)
        return false;
    blob = sqlite3_value_blob(v);
    a->bytes = (unsigned)sqlite3_value_bytes(v);
    if (a->bytes != 4 && a->bytes != 16)
        return false;
    memcpy(a->b, blob, a->bytes);
    return true;
}

static void ip(sqlite3_context *ctx, int n, sqlite3_value **v)
{
    struct address a;

    (void)n;
    if (take_address(&a, v[0]))
        sqlite3_result_blob(ctx, a.b, (int)a.bytes, SQLITE_TRANSIENT);
}

static void ip_text(sqlite3_context *ctx, int n, sqlite3_value **v)
{
    char text[INET6_ADDRSTRLEN];
    struct address a;

    (void)n;
    if (take_address(&a, v[0]) && inet_ntop(a.bytes == 4 ? AF_INET : AF_INET6,
                                            a.b, text, sizeof(text)) != NULL)
        sqlite3_result_text(ctx, text, -1, SQLITE_TRANSIENT);
}

/* "10.0.0.0/8"; an address alone is a network of one. */
static bool parse_net(struct address *net, unsigned *bits, const char *text)
{
    char word[INET6_ADDRSTRLEN];
    const char *slash = strchr(text, '/');
    const size_t n = slash != NULL ? (size_t)(slash - text) : strlen(text);
    char *end = NULL;
    unsigned long v;

    if (n >= sizeof(word))
        return false;
    memcpy(word, text, n);
    word[n] = '\0';
    if (!parse_address(net, word))
        return false;
    *bits = 8 * net->bytes;
    if (slash == NULL)
        return true;
    v = strtoul(slash + 1, &end, 10);
    if (slash[1] < '0' || slash[1] > '9' || *end != '\0' || v > *bits)
        return false;
    *bits = (unsigned)v;
    return true;
}

static void in_net(sqlite3_context *ctx, int n, sqlite3_value **v)
{
    const char *text = (const char *)sqlite3_value_text(v[1]);
    struct address a, net;
    unsigned bits = 0, whole, rest;

    (void)n;
    if (text == NULL || !take_address(&a, v[0]) ||
        !parse_net(&net, &bits, text))
        return;
    whole = bits / 8;
    rest = bits % 8;
    sqlite3_result_int(
        ctx, a.bytes == net.bytes && memcmp(a.b, net.b, whole) == 0 &&
                 (rest == 0 || (a.b[whole] ^ net.b[whole]) >> (8 - rest) == 0));
}

static void at_time(sqlite3_context *ctx, int n, sqlite3_value **v)
{
    char text[AT_TIME_TEXT];
    int64_t ns;

    (void)n;
    if (sqlite3_value_type(v[0]) == SQLITE_INTEGER) {
        at_time_format(text, sqlite3_value_int64(v[0]), false);
        sqlite3_result_text(ctx, text, -1, SQLITE_TRANSIENT);
    } else if (sqlite3_value_type(v[0]) == SQLITE_TEXT &&
               at_time_parse(&ns, (const char *)sqlite3_value_text(v[0]),
                             at_time_now(), AT_TIME_MIN, NULL) == AT_OK) {
        sqlite3_result_int64(ctx, ns);
    }
}

/* ---- lists ----------------------------------------------------------- */

/* Gives the text away; without memory that is an error. */
static void result_text(sqlite3_context *ctx, sqlite3_str *text)
{
    char *all = sqlite3_str_finish(text);

    if (all != NULL)
        sqlite3_result_text64(ctx, all, strlen(all), sqlite3_free, SQLITE_UTF8);
    else
        sqlite3_result_error_nomem(ctx);
}

/* LEB128, each number less the one before. */
static void at_list(sqlite3_context *ctx, int n, sqlite3_value **v)
{
    struct at_cursor c = {.p = sqlite3_value_blob(v[0]),
                          .left = (size_t)sqlite3_value_bytes(v[0])};
    sqlite3_str *text;
    uint64_t number = 0;

    (void)n;
    if (sqlite3_value_type(v[0]) != SQLITE_BLOB)
        return;
    text = sqlite3_str_new(NULL);
    sqlite3_str_appendchar(text, 1, '[');
    for (const char *comma = ""; c.left > 0 && !c.bad; comma = ",") {
        number += at_take_varint(&c);
        sqlite3_str_appendf(text, "%s%lld", comma, (sqlite3_int64)number);
    }
    sqlite3_str_appendchar(text, 1, ']');
    if (c.bad)
        sqlite3_free(sqlite3_str_finish(text));
    else
        result_text(ctx, text);
}

static void append_block(sqlite3_str *text, const struct at_block_row *row)
{
    const struct at_place *p = &row->place;

    sqlite3_str_appendf(
        text, "[%lld,%lld,%lld,%lld,%lld,%u", (sqlite3_int64)p->file_offset,
        (sqlite3_int64)p->file_bytes, (sqlite3_int64)p->raw_offset,
        (sqlite3_int64)p->skip, (sqlite3_int64)p->bytes, row->records);
    if (row->packets)
        sqlite3_str_appendf(text, ",%lld,%lld]", (sqlite3_int64)row->first_ns,
                            (sqlite3_int64)row->last_ns);
    else
        sqlite3_str_appendall(text, ",null,null]");
}

static void at_blocks(sqlite3_context *ctx, int n, sqlite3_value **v)
{
    const int64_t blocks = sqlite3_value_int64(v[0]);
    struct at_block_row row[AT_BLOCK_LIST];
    sqlite3_str *text;

    (void)n;
    if (blocks < 1 || blocks > AT_BLOCK_LIST ||
        !at_block_list_unpack(row, (size_t)blocks, sqlite3_value_blob(v[1]),
                              (size_t)sqlite3_value_bytes(v[1])))
        return;
    text = sqlite3_str_new(NULL);
    for (size_t i = 0; i < (size_t)blocks; i++) {
        sqlite3_str_appendchar(text, 1, i == 0 ? '[' : ',');
        append_block(text, &row[i]);
    }
    sqlite3_str_appendchar(text, 1, ']');
    result_text(ctx, text);
}

int at_sql_functions(sqlite3 *db)
{
    enum { VARIES = SQLITE_UTF8 | SQLITE_INNOCUOUS };
    static const struct {
        const char *name;
        int arguments, flags;
        void (*fn)(sqlite3_context *, int, sqlite3_value **);
    } functions[] = {
        {"ip", 1, VARIES | SQLITE_DETERMINISTIC, ip},
        {"ip_text", 1, VARIES | SQLITE_DETERMINISTIC, ip_text},
        {"in_net", 2, VARIES | SQLITE_DETERMINISTIC, in_net},
        {"at_list", 1, VARIES | SQLITE_DETERMINISTIC, at_list},
        {"at_blocks", 2, VARIES | SQLITE_DETERMINISTIC, at_blocks},
        /* "now" and "-2h" are others each time */
        {"at_time", 1, VARIES, at_time},
    };
    int r = SQLITE_OK;

    for (size_t i = 0; i < sizeof(functions) / sizeof(functions[0]); i++)
        if (r == SQLITE_OK)
            r = sqlite3_create_function(
                db, functions[i].name, functions[i].arguments,
                functions[i].flags, NULL, functions[i].fn, NULL, NULL);
    return r;
}

#ifdef AT_SQL_EXTENSION
/* The name that SQLite derives from that of the file. */
AT_API int sqlite3_archivetracesql_init(sqlite3 *db, char **err,
                                        const sqlite3_api_routines *api);

/* Whether the database is an index whose blocks stand in lists. */
static bool has_lists(sqlite3 *db)
{
    sqlite3_stmt *st = NULL;
    bool has = sqlite3_prepare_v2(
                   db,
                   "SELECT application_id, user_version"
                   " FROM pragma_application_id, pragma_user_version",
                   -1, &st, NULL) == SQLITE_OK &&
               sqlite3_step(st) == SQLITE_ROW;

    has = has && sqlite3_column_int64(st, 0) == AT_INDEX_APPLICATION_ID &&
          sqlite3_column_int64(st, 1) >= AT_INDEX_LISTS_BLOCKS;
    sqlite3_finalize(st);
    return has;
}

int sqlite3_archivetracesql_init(sqlite3 *db, char **err,
                                 const sqlite3_api_routines *api)
{
    int r;

    (void)err;
    SQLITE_EXTENSION_INIT2(api);
    r = at_sql_functions(db);
    if (r == SQLITE_OK && has_lists(db))
        r = sqlite3_exec(db, AT_INDEX_LISTED, NULL, NULL, NULL);
    return r;
}
#endif
