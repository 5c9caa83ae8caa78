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
 *
 * Built once as a part of at-query and once as an extension that any SQLite
 * loads, which has no library but its host's SQLite and ours.
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

int at_sql_functions(sqlite3 *db)
{
    /* at_time() of "now" and "-2h" is another one each time. */
    const int pure = SQLITE_UTF8 | SQLITE_DETERMINISTIC | SQLITE_INNOCUOUS;
    int r = sqlite3_create_function(db, "ip", 1, pure, NULL, ip, NULL, NULL);

    if (r == SQLITE_OK)
        r = sqlite3_create_function(db, "ip_text", 1, pure, NULL, ip_text, NULL,
                                    NULL);
    if (r == SQLITE_OK)
        r = sqlite3_create_function(db, "in_net", 2, pure, NULL, in_net, NULL,
                                    NULL);
    if (r == SQLITE_OK)
        r = sqlite3_create_function(db, "at_time", 1,
                                    SQLITE_UTF8 | SQLITE_INNOCUOUS, NULL,
                                    at_time, NULL, NULL);
    return r;
}

#ifdef AT_SQL_EXTENSION
/* The name that SQLite derives from that of the file. */
AT_API int sqlite3_archivetracesql_init(sqlite3 *db, char **err,
                                        const sqlite3_api_routines *api);

int sqlite3_archivetracesql_init(sqlite3 *db, char **err,
                                 const sqlite3_api_routines *api)
{
    (void)err;
    SQLITE_EXTENSION_INIT2(api);
    return at_sql_functions(db);
}
#endif
