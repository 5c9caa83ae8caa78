/*
 * index.c - an index that is there: what it says
 *
 * Rows are found by their number only, which SQLite does fastest: hosts and
 * flows are numbered in the order of their address and start, so a network is
 * a range found by bisection, and a time range too.
 */
#include "index_inside.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bytes.h"
#include "errors.h"
#include "indexing.h"
#include "schema.h"

/* ---- opening --------------------------------------------------------- */

enum at_status at_index_corrupt(struct at_index *ix, const char *what,
                                struct at_error *err)
{
    return at_error_set(err, AT_ERR_CORRUPT, "%s: damaged: %s", ix->sql.name,
                        what);
}

enum at_status at_index_error(struct at_index *ix, struct at_error *err)
{
    return at_error_copy(err, &ix->sql.err);
}

static void take_meta(struct at_index *ix, const char *name, sqlite3_stmt *st)
{
    struct at_index_info *info = &ix->info;
    const int64_t v = sqlite3_column_int64(st, 1);
    const char *text = (const char *)sqlite3_column_text(st, 1);

    if (strcmp(name, AT_META_BASE) == 0)
        ix->base_ns = v;
    else if (strcmp(name, AT_META_FIRST) == 0)
        info->first_ns = v;
    else if (strcmp(name, AT_META_LAST) == 0)
        info->last_ns = v;
    else if (strcmp(name, AT_META_PACKETS) == 0)
        info->packets = (uint64_t)v;
    else if (strcmp(name, AT_META_CAPTURED) == 0)
        info->captured_bytes = (uint64_t)v;
    else if (strcmp(name, AT_META_WIRE) == 0)
        info->wire_bytes = (uint64_t)v;
    else if (strcmp(name, AT_META_FLOWS) == 0)
        info->flows = (uint64_t)v;
    else if (strcmp(name, AT_META_LINKTYPE) == 0)
        info->linktype = (uint16_t)v;
    else if (strcmp(name, AT_META_SNAP) == 0)
        info->snap_bytes = (uint32_t)v;
    else if (strcmp(name, AT_META_PORT_LIMIT) == 0)
        info->port_limit = (uint32_t)v;
    else if (strcmp(name, AT_META_LOST_DATAGRAMS) == 0)
        info->lost_datagrams = (uint64_t)v;
    else if (strcmp(name, AT_META_COMPLETE) == 0)
        info->complete = v != 0;
    else if (strcmp(name, AT_META_MOST_FLOWS) == 0)
        info->tracking.most_flows = (uint64_t)v;
    else if (strcmp(name, AT_META_TIMEOUTS) == 0 && text != NULL)
        (void)at_timeouts_parse(&info->tracking.timeouts, text, NULL);
    else if (strcmp(name, AT_META_KEY) == 0 && text != NULL)
        (void)at_keying_parse(&info->tracking.key, text, NULL);
    else if (strcmp(name, AT_META_PART) == 0)
        info->part = v != 0;
    else if (strcmp(name, AT_META_NAMES) == 0)
        info->tracking.names = v != 0;
    else if (strcmp(name, AT_META_NAMES_LOST) == 0)
        info->names_lost = (uint64_t)v;
    else if (strcmp(name, AT_META_HOLES) == 0)
        info->salvaged.holes = (uint64_t)v;
    else if (strcmp(name, AT_META_HOLE_BYTES) == 0)
        info->salvaged.bytes = (uint64_t)v;
    else if (strcmp(name, AT_META_FILE_BYTES) == 0)
        info->identity.file_bytes = (uint64_t)v;
    else if (strcmp(name, AT_META_FORMAT) == 0 && text != NULL)
        info->format = at_format_parse(text);
    else if (strcmp(name, AT_META_CODEC) == 0 && text != NULL)
        info->codec = at_codec_parse(text);
    else if (strcmp(name, AT_META_STREAM) == 0 && text != NULL)
        strncpy(info->stream, text, sizeof(info->stream) - 1);
}

static enum at_status read_meta(struct at_index *ix, struct at_error *err)
{
    sqlite3_stmt *st = at_sql_prepare(&ix->sql, "SELECT name, value FROM meta");
    enum at_status r;

    while ((r = at_sql_step(&ix->sql, st)) == AT_OK) {
        const char *name = (const char *)sqlite3_column_text(st, 0);

        if (name != NULL && strcmp(name, AT_META_IDENTITY) == 0 &&
            sqlite3_column_bytes(st, 1) == AT_IDENTITY_BYTES)
            memcpy(ix->info.identity.digest, sqlite3_column_blob(st, 1),
                   AT_IDENTITY_BYTES);
        else if (name != NULL)
            take_meta(ix, name, st);
    }
    sqlite3_finalize(st);
    return r < 0 ? at_index_error(ix, err) : AT_OK;
}

static enum at_status count_rows(struct at_index *ix, struct at_error *err)
{
    const int64_t rows = at_sql_number(&ix->sql, "SELECT max(id) FROM flow");
    const int64_t hosts = at_sql_number(&ix->sql, "SELECT max(id) FROM host");
    const int64_t blocks = at_sql_number(&ix->sql, at_index_count_blocks(ix));

    if (ix->sql.err.status != AT_OK)
        return at_index_error(ix, err);
    if (rows < 0 || hosts < 0 || blocks < 0 || rows >= UINT32_MAX ||
        hosts >= UINT32_MAX || blocks >= UINT32_MAX)
        return at_index_corrupt(ix, "a count is out of range", err);
    ix->info.rows = (uint32_t)rows;
    ix->info.hosts = (uint32_t)hosts;
    ix->info.blocks = (uint32_t)blocks;
    return AT_OK;
}

static enum at_status check_version(struct at_index *ix, struct at_error *err)
{
    const int64_t id = at_sql_number(&ix->sql, "PRAGMA application_id");
    const int64_t version = at_sql_number(&ix->sql, "PRAGMA user_version");

    if (ix->sql.err.status != AT_OK)
        return at_index_error(ix, err);
    if (id != AT_INDEX_APPLICATION_ID)
        return at_error_set(err, AT_ERR_FORMAT, "%s: not an index",
                            ix->sql.name);
    ix->version = version;
    if (version < AT_INDEX_OLDEST || version > AT_INDEX_VERSION)
        return at_error_set(err, AT_ERR_FORMAT,
                            "%s: index version %lld; this program reads %d to "
                            "%d",
                            ix->sql.name, (long long)version, AT_INDEX_OLDEST,
                            AT_INDEX_VERSION);
    return AT_OK;
}

enum at_status at_index_check(struct at_index *ix, const char *trace,
                              struct at_error *err)
{
    struct at_identity id;
    const enum at_status st = at_identity_of(&id, trace, err);

    if (st != AT_OK)
        return st;
    if (!at_identity_same(&id, &ix->info.identity))
        return at_error_set(err, AT_ERR_MISUSE,
                            "%s: not the index of %s as it is now",
                            ix->sql.name, trace);
    return AT_OK;
}

static enum at_status prepare(struct at_index *ix, struct at_error *err)
{
    ix->host_by_id = at_sql_prepare(
        &ix->sql, "SELECT addr, flows FROM host WHERE id = ?");
    ix->host = calloc((size_t)ix->info.hosts + 1, sizeof(ix->host[0]));
    if (ix->host == NULL)
        return at_error_set(err, AT_ERR_MEMORY, "out of memory");
    ix->wanted = AT_ROW_ALL;
    return ix->sql.err.status == AT_OK ? AT_OK : at_index_error(ix, err);
}

/* Reads what is asked of every index; takes over the open database. */
static enum at_status begin(struct at_index **out, struct at_sql *sql,
                            const char *trace, struct at_error *err)
{
    struct at_index *ix = calloc(1, sizeof(*ix));
    enum at_status st;

    if (ix == NULL) {
        at_sql_close(sql);
        return at_error_set(err, AT_ERR_MEMORY, "out of memory");
    }
    ix->sql = *sql;
    ix->info.tracking = at_tracking_default;
    st = check_version(ix, err);
    if (st == AT_OK)
        st = read_meta(ix, err);
    if (st == AT_OK && trace != NULL)
        st = at_index_check(ix, trace, err);
    if (st == AT_OK)
        st = count_rows(ix, err);
    if (st == AT_OK)
        st = prepare(ix, err);
    if (st == AT_OK)
        *out = ix;
    else
        at_index_close(ix);
    return st;
}

enum at_status at_index_open(struct at_index **out, const char *path,
                             const char *trace, struct at_error *err)
{
    struct at_sql sql;
    const enum at_status st = at_sql_open(&sql, path, AT_SQL_SEALED, err);

    *out = NULL;
    return st == AT_OK ? begin(out, &sql, trace, err) : st;
}

enum at_status at_index_open_held(struct at_index **out, int fd,
                                  const char *name, struct at_error *err)
{
    struct at_sql sql;
    const enum at_status st = at_sql_open_held(&sql, fd, name, err);

    *out = NULL;
    return st == AT_OK ? begin(out, &sql, NULL, err) : st;
}

/* Where SQLite keeps user_version and application_id, big-endian. */
bool at_index_is_other(const char *path)
{
    enum { HEADER = 100, VERSION = 60, APPLICATION = 68 };
    uint8_t header[HEADER];
    const int fd = open(path, O_RDONLY | O_CLOEXEC);
    const ssize_t n = fd < 0 ? -1 : pread(fd, header, HEADER, 0);
    const uint32_t version = n == HEADER ? at_load_be32(header + VERSION) : 0;

    if (fd >= 0)
        close(fd);
    return n == HEADER && memcmp(header, "SQLite format 3", 16) == 0 &&
           at_load_be32(header + APPLICATION) == AT_INDEX_APPLICATION_ID &&
           (version < AT_INDEX_OLDEST || version > AT_INDEX_VERSION);
}

bool at_index_rules_of(const char *trace, struct at_tracking *rules)
{
    char *path = at_index_path(trace);
    struct at_index *ix = NULL;
    bool known;

    if (path != NULL)
        (void)at_index_open(&ix, path, NULL, NULL);
    known = ix != NULL;
    if (known)
        *rules = ix->info.tracking;
    at_index_close(ix);
    free(path);
    return known;
}

const struct at_index_info *at_index_info(const struct at_index *ix)
{
    return &ix->info;
}

void at_index_close(struct at_index *ix)
{
    if (ix == NULL)
        return;
    sqlite3_finalize(ix->host_by_id);
    at_pages_close(ix->pages);
    sqlite3_finalize(ix->history_by_id);
    sqlite3_finalize(ix->opening_by_id);
    sqlite3_finalize(ix->name_of_flow);
    free(ix->app);
    free(ix->opening);
    free(ix->access);
    free(ix->hole);
    free(ix->hole_what);
    at_sql_close(&ix->sql);
    free(ix->host);
    free(ix);
}

/* ---- lists ----------------------------------------------------------- */

/* Adds the numbers of a list blob, all of which must be below set->n. */
bool at_index_add_numbers(struct at_set *set, const void *blob, size_t n)
{
    struct at_cursor c = {.p = blob, .left = n};
    uint64_t v = 0;

    while (c.left > 0 && !c.bad) {
        v += at_take_varint(&c);
        if (v >= set->n)
            return false;
        at_set_add(set, (size_t)v);
    }
    return !c.bad;
}

bool at_index_add_list(struct at_set *set, sqlite3_stmt *st, int column)
{
    const void *blob = sqlite3_column_blob(st, column);
    const int n = sqlite3_column_bytes(st, column);

    return at_index_add_numbers(set, blob, n > 0 ? (size_t)n : 0);
}

void at_index_keep_host(struct at_index *ix, int64_t id, const void *addr,
                        size_t n)
{
    if (id < 1 || id > ix->info.hosts || (n != 4 && n != 16))
        return;
    memcpy(ix->host[id].addr, addr, n);
    ix->host[id].bytes = (uint8_t)n;
}

enum at_status at_index_read_host(struct at_index *ix, int64_t id,
                                  struct at_error *err)
{
    enum at_status st;

    if (id < 1 || id > ix->info.hosts)
        return at_index_corrupt(ix, "a flow has a host that is not there", err);
    if (ix->host[id].bytes != 0)
        return AT_OK;
    at_sql_bind(ix->host_by_id, 1, id);
    st = at_sql_step(&ix->sql, ix->host_by_id);
    if (st == AT_OK)
        at_index_keep_host(ix, id, sqlite3_column_blob(ix->host_by_id, 0),
                           (size_t)sqlite3_column_bytes(ix->host_by_id, 0));
    sqlite3_reset(ix->host_by_id);
    if (st < 0)
        return at_index_error(ix, err);
    return ix->host[id].bytes != 0
               ? AT_OK
               : at_index_corrupt(ix, "a host has no address", err);
}

/* The first host whose address is not before 'addr'. */
static enum at_status first_host(struct at_index *ix, const uint8_t *addr,
                                 unsigned addr_bytes, int64_t *id,
                                 struct at_error *err)
{
    int64_t lo = 1, hi = (int64_t)ix->info.hosts + 1;

    while (lo < hi) {
        const int64_t mid = (lo + hi) / 2;
        const enum at_status st = at_index_read_host(ix, mid, err);
        int order;

        if (st != AT_OK)
            return st;
        order = (int)ix->host[mid].bytes - (int)addr_bytes;
        if (order == 0)
            order = memcmp(ix->host[mid].addr, addr, addr_bytes);
        if (order < 0)
            lo = mid + 1;
        else
            hi = mid;
    }
    *id = lo;
    return AT_OK;
}

static bool in_net(const uint8_t *addr, const uint8_t *net, unsigned prefix)
{
    const unsigned whole = prefix / 8, rest = prefix % 8;

    return memcmp(addr, net, whole) == 0 &&
           (rest == 0 || (addr[whole] ^ net[whole]) >> (8 - rest) == 0);
}

static enum at_status add_host_flows(struct at_index *ix, int64_t id,
                                     struct at_set *flows, struct at_error *err)
{
    enum at_status st;
    bool good = true;

    at_sql_bind(ix->host_by_id, 1, id);
    st = at_sql_step(&ix->sql, ix->host_by_id);
    if (st == AT_OK)
        good = at_index_add_list(flows, ix->host_by_id, 1);
    sqlite3_reset(ix->host_by_id);
    if (st < 0)
        return at_index_error(ix, err);
    return good ? AT_OK : at_index_corrupt(ix, "a host's list of flows", err);
}

enum at_status at_index_host_flows(
    struct at_index *ix,
    bool (*wanted)(void *ctx, const uint8_t *addr, unsigned addr_bytes),
    void *ctx, struct at_set *flows, struct at_error *err)
{
    enum at_status st = AT_OK;

    for (int64_t id = 1; id <= ix->info.hosts && st == AT_OK; id++) {
        st = at_index_read_host(ix, id, err);
        if (st == AT_OK && wanted(ctx, ix->host[id].addr, ix->host[id].bytes))
            st = add_host_flows(ix, id, flows, err);
    }
    return st;
}

enum at_status at_index_net_flows(struct at_index *ix, const uint8_t *addr,
                                  unsigned addr_bytes, unsigned prefix,
                                  struct at_set *flows, struct at_error *err)
{
    int64_t id;
    enum at_status st = first_host(ix, addr, addr_bytes, &id, err);

    for (; st == AT_OK && id <= ix->info.hosts; id++) {
        st = at_index_read_host(ix, id, err);
        if (st != AT_OK || ix->host[id].bytes != addr_bytes ||
            !in_net(ix->host[id].addr, addr, prefix))
            break;
        st = add_host_flows(ix, id, flows, err);
    }
    return st;
}

enum at_status at_index_port_flows(struct at_index *ix, uint16_t low,
                                   uint16_t high, struct at_set *flows,
                                   struct at_error *err)
{
    sqlite3_stmt *st = at_sql_prepare(
        &ix->sql, "SELECT flows FROM port WHERE port BETWEEN ? AND ?");
    bool good = true;

    at_sql_bind(st, 1, low);
    at_sql_bind(st, 2, high);
    while (good && at_sql_step(&ix->sql, st) == AT_OK)
        good = at_index_add_list(flows, st, 0);
    sqlite3_finalize(st);
    if (ix->sql.err.status != AT_OK)
        return at_index_error(ix, err);
    return good ? AT_OK : at_index_corrupt(ix, "a port's list of flows", err);
}

/* A list of flows in meta. */
static enum at_status add_meta_list(struct at_index *ix, const char *name,
                                    struct at_set *flows, struct at_error *err)
{
    sqlite3_stmt *st = at_sql_prepare(&ix->sql,
                                      "SELECT value FROM meta WHERE name = ?");
    bool good = true;

    at_sql_bind_text(st, 1, name);
    if (at_sql_step(&ix->sql, st) == AT_OK)
        good = at_index_add_list(flows, st, 0);
    sqlite3_finalize(st);
    if (ix->sql.err.status != AT_OK)
        return at_index_error(ix, err);
    return good ? AT_OK : at_index_corrupt(ix, name, err);
}

enum at_status at_index_link_flows(struct at_index *ix, struct at_set *flows,
                                   struct at_error *err)
{
    return add_meta_list(ix, AT_META_LINK_FLOWS, flows, err);
}

enum at_status at_index_partial_flows(struct at_index *ix, struct at_set *flows,
                                      struct at_error *err)
{
    return add_meta_list(ix, AT_META_PARTIAL, flows, err);
}

/* ---- applications ---------------------------------------------------- */

static enum at_status add_app(struct at_index *ix, struct at_app_names *names,
                              sqlite3_stmt *st)
{
    const char *name = (const char *)sqlite3_column_text(st, 1);
    const char *category = (const char *)sqlite3_column_text(st, 2);
    struct at_app_name *more = realloc(ix->app, (ix->apps + 1) * sizeof(*more));

    if (more == NULL)
        return AT_ERR_MEMORY;
    ix->app = more;
    if (sqlite3_column_int64(st, 0) != (int64_t)ix->apps + 1 || name == NULL ||
        category == NULL)
        return AT_ERR_CORRUPT;
    return at_app_names_add(names, name, category, &ix->app[ix->apps++]);
}

enum at_status at_index_name_apps(struct at_index *ix,
                                  struct at_app_names *names,
                                  struct at_error *err)
{
    sqlite3_stmt *st = at_sql_prepare(
        &ix->sql, "SELECT id, name, category FROM app ORDER BY id");
    enum at_status r = AT_OK;

    ix->apps = 0;
    while (r == AT_OK && at_sql_step(&ix->sql, st) == AT_OK)
        r = add_app(ix, names, st);
    sqlite3_finalize(st);
    if (ix->sql.err.status != AT_OK)
        return at_index_error(ix, err);
    if (r == AT_ERR_CORRUPT)
        return at_index_corrupt(ix, "the list of applications", err);
    return r == AT_OK ? AT_OK : at_error_set(err, r, "out of memory");
}

enum at_status at_index_app_flows(struct at_index *ix,
                                  bool (*wanted)(void *ctx, const char *name,
                                                 const char *category),
                                  void *ctx, struct at_set *flows, bool *all,
                                  struct at_error *err)
{
    sqlite3_stmt *st = at_sql_prepare(&ix->sql,
                                      "SELECT name, category, flows FROM app");
    bool good = true;

    *all = false;
    while (good && at_sql_step(&ix->sql, st) == AT_OK) {
        const char *name = (const char *)sqlite3_column_text(st, 0);
        const char *category = (const char *)sqlite3_column_text(st, 1);

        good = name != NULL && category != NULL;
        if (!good || !wanted(ctx, name, category))
            continue;
        if (sqlite3_column_type(st, 2) == SQLITE_NULL)
            *all = true;
        else
            good = at_index_add_list(flows, st, 2);
    }
    sqlite3_finalize(st);
    if (ix->sql.err.status != AT_OK)
        return at_index_error(ix, err);
    return good ? AT_OK
                : at_index_corrupt(ix, "an application's list of flows", err);
}
