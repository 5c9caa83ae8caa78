/*
 * repair_catalog.c - a catalogue made of traces and indexes
 *
 * Where a segment is and what it is called says its stream and when it starts;
 * its index says the rest.  Of the catalogue that is damaged, rows are taken
 * as far as they can be read: the boundaries of segments, and which inputs
 * were taken, which nothing else knows.  A digest is taken if it is that of
 * the file, so that no damage is made the rule.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "catalog_schema.h"
#include "errors.h"
#include "files.h"
#include "index.h"
#include "indexing.h"
#include "repair_inside.h"
#include "seal.h"

#define SECOND INT64_C(1000000000)

struct making {
    struct at_repairing *r;
    struct at_archive *old; /* NULL: nothing of it can be read */
    struct at_segments hints;
    struct at_archive fresh;
    struct at_segments list; /* that are found */
    size_t room;
    uint64_t inputs;
    bool cut; /* not all inputs could be read */
};

/* ---- what is in the name --------------------------------------------- */

static bool ends_with(const char *s, const char *end)
{
    const size_t n = strlen(s), m = strlen(end);

    return n >= m && strcmp(s + n - m, end) == 0;
}

enum { STAMP = 16 }; /* YYYYMMDDTHHMMSSZ */

/* The '-' before the time in a name, or NULL; from the end, as the name of a
 * stream may look like anything. */
static const char *find_stamp(const char *name, struct tm *tm)
{
    for (const char *at = name + strlen(name); at > name; at--) {
        const char *end = *at == '-' && strlen(at) > STAMP
                              ? strptime(at + 1, "%Y%m%dT%H%M%SZ", tm)
                              : NULL;

        if (end == at + 1 + STAMP && (*end == '.' || *end == '-'))
            return at;
    }
    return NULL;
}

/* STREAM-YYYYMMDDTHHMMSSZ[-N].erf or .pcap, and the suffix of a codec. */
static bool parse_name(struct at_segment *seg, const char *path)
{
    const char *name = strrchr(path, '/') + 1, *suffix;
    struct tm tm = {.tm_year = 0};
    const char *stamp = find_stamp(name, &tm);

    suffix = stamp == NULL ? NULL : strchr(stamp + 1 + STAMP, '.');
    if (suffix == NULL ||
        (strncmp(suffix, ".erf", 4) != 0 && strncmp(suffix, ".pcap", 5) != 0))
        return false;
    seg->format = suffix[1] == 'e' ? AT_FORMAT_ERF : AT_FORMAT_PCAP;
    seg->start_ns = (int64_t)timegm(&tm) * SECOND;
    seg->stream = strndup(name, (size_t)(stamp - name));
    seg->path = strdup(path);
    seg->codec = at_codec_by_name(path);
    seg->pending = strncmp(path, "pending/", 8) == 0;
    return seg->stream != NULL && seg->path != NULL;
}

/* ---- what the index and the old catalogue say ------------------------ */

static const struct at_segment *hint_of(const struct making *m,
                                        const char *path)
{
    for (size_t i = 0; i < m->hints.n; i++)
        if (strcmp(m->hints.segment[i].path, path) == 0)
            return &m->hints.segment[i];
    return NULL;
}

static void take_info(struct at_segment *seg, const struct at_index_info *info)
{
    seg->packets = info->packets;
    seg->captured_bytes = info->captured_bytes;
    seg->wire_bytes = info->wire_bytes;
    seg->flows = info->flows;
    seg->first_ns = info->packets > 0 ? info->first_ns : 0;
    seg->last_ns = info->packets > 0 ? info->last_ns : -1;
    seg->linktype = seg->format == AT_FORMAT_ERF ? 0 : info->linktype;
}

/* Where an hour is not it, the next run of at-ingest decides. */
static void take_bounds(struct at_segment *seg, const struct at_segment *hint)
{
    seg->end_ns = seg->start_ns + 3600 * SECOND;
    if (seg->end_ns <= seg->last_ns)
        seg->end_ns = seg->last_ns + 1;
    if (hint == NULL || hint->start_ns > hint->end_ns)
        return;
    seg->start_ns = hint->start_ns;
    seg->end_ns = hint->end_ns;
}

static enum at_status take_digests(struct at_segment *seg, const char *trace,
                                   const char *index,
                                   const struct at_segment *hint,
                                   struct at_error *err)
{
    enum at_status st = at_digest_of(&seg->index_digest, index,
                                     &seg->index_bytes, err);

    if (st == AT_OK && seg->gone_ns == 0)
        st = at_digest_of(&seg->file_digest, trace, &seg->file_bytes, err);
    seg->file_digest.known = hint != NULL && at_digest_same(&hint->file_digest,
                                                            &seg->file_digest);
    seg->index_digest.known = hint != NULL &&
                              at_digest_same(&hint->index_digest,
                                             &seg->index_digest);
    return st;
}

/* The index as it is, or made anew if it is not that of the trace. */
static enum at_status read_index(struct making *m, struct at_segment *seg,
                                 const char *trace, const char *index,
                                 struct at_error *err)
{
    struct at_index_totals totals;
    struct at_index *ix = NULL;
    enum at_status st = at_index_open(&ix, index,
                                      seg->gone_ns == 0 ? trace : NULL, err);

    if (st != AT_OK && seg->gone_ns == 0) {
        st = at_repair_index(m->r, seg, &totals, err);
        if (st == AT_OK)
            at_repair_fixed(m->r, seg->path, "its index is made anew");
        if (st == AT_OK)
            st = at_index_open(&ix, index, trace, err);
    }
    if (st == AT_OK)
        take_info(seg, at_index_info(ix));
    at_index_close(ix);
    return st;
}

static void put_gone(struct making *m, const struct at_segment *seg)
{
    sqlite3_stmt *st = at_sql_prepare(
        &m->fresh.sql, "UPDATE segment SET gone = ? WHERE path = ?");

    at_sql_bind(st, 1, seg->gone_ns);
    at_sql_bind_text(st, 2, seg->path);
    at_sql_run(&m->fresh.sql, st);
    sqlite3_finalize(st);
}

static enum at_status make_segment(struct making *m, struct at_segment *seg,
                                   const char *trace, struct at_error *err)
{
    const struct at_segment *hint = hint_of(m, seg->path);
    char *index = at_index_path(trace);
    enum at_status st;

    if (index == NULL)
        return at_error_set(err, AT_ERR_MEMORY, "out of memory");
    if (access(trace, F_OK) != 0)
        seg->gone_ns = hint != NULL && hint->gone_ns > 0 ? hint->gone_ns
                                                         : at_time_now();
    seg->pending &= seg->gone_ns == 0;
    st = read_index(m, seg, trace, index, err);
    if (st == AT_OK)
        st = take_digests(seg, trace, index, hint, err);
    take_bounds(seg, hint);
    free(index);
    return st;
}

/* The strings of the segment are the list's then. */
static enum at_status keep(struct making *m, struct at_segment *seg,
                           struct at_error *err)
{
    if (m->list.n == m->room) {
        const size_t room = m->room * 2 + 64;
        struct at_segment *p = realloc(m->list.segment, room * sizeof(*p));

        if (p == NULL)
            return at_error_set(err, AT_ERR_MEMORY, "out of memory");
        m->list.segment = p;
        m->room = room;
    }
    m->list.segment[m->list.n++] = *seg;
    seg->stream = seg->path = NULL;
    return AT_OK;
}

/* What is no segment, or none that can be read, may be worth something. */
static enum at_status leave_out(struct making *m, const char *path,
                                const struct at_error *why,
                                struct at_error *err)
{
    char *full = at_path_join(m->r->a->path, path);
    enum at_status st = AT_OK;

    if (full == NULL)
        return at_error_set(err, AT_ERR_MEMORY, "out of memory");
    if (why != NULL) {
        m->r->how->left(m->r->how->ctx, why);
        m->r->done->left++;
    }
    if (access(full, F_OK) == 0)
        st = at_repair_aside(m->r->a, path, err);
    if (st == AT_OK)
        at_repair_note(m->r, path, "is in aside/ now");
    free(full);
    return st;
}

/* 'path' is of a trace that is there, or was. */
static enum at_status add_segment(struct making *m, const char *path,
                                  struct at_error *err)
{
    struct at_segment seg = {.id = 0};
    char *trace = at_path_join(m->r->a->path, path);
    struct at_error bad;
    enum at_status st = AT_OK;

    if (trace == NULL)
        st = at_error_set(err, AT_ERR_MEMORY, "out of memory");
    else if (!parse_name(&seg, path))
        st = leave_out(m, path, NULL, err);
    else if ((st = make_segment(m, &seg, trace, &bad)) == AT_ERR_SYSTEM ||
             st == AT_ERR_MEMORY)
        at_error_copy(err, &bad); /* the next run may find it whole */
    else if (st != AT_OK)
        st = leave_out(m, path, &bad, err);
    else
        st = keep(m, &seg, err);
    free(seg.stream);
    free(seg.path);
    free(trace);
    return st;
}

static enum at_status look_at(void *ctx, const char *path, struct at_error *err)
{
    struct making *m = ctx;
    char *full, *trace;
    enum at_status st = AT_OK;

    if (!ends_with(path, ".idx"))
        return add_segment(m, path, err);
    trace = strndup(path, strlen(path) - strlen(".idx"));
    full = trace != NULL ? at_path_join(m->r->a->path, trace) : NULL;
    if (full == NULL)
        st = at_error_set(err, AT_ERR_MEMORY, "out of memory");
    else if (access(full, F_OK) != 0)
        st = add_segment(m, trace, err);
    free(trace);
    free(full);
    return st;
}

/* ---- what nothing else knows ----------------------------------------- */

/* Copies the rows of a query into what 'insert' names, value by value, as far
 * as they can be read; returns how many. */
static uint64_t copy_rows(struct making *m, const char *query,
                          const char *insert)
{
    struct at_sql *from = &m->old->sql, *to = &m->fresh.sql;
    sqlite3_stmt *a = at_sql_prepare(from, query);
    sqlite3_stmt *b = at_sql_prepare(to, insert);
    uint64_t rows = 0;

    while (a != NULL && b != NULL && at_sql_step(from, a) == AT_OK) {
        for (int i = 0; i < sqlite3_column_count(a); i++)
            sqlite3_bind_value(b, i + 1, sqlite3_column_value(a, i));
        if (at_sql_run(to, b) != AT_OK)
            break;
        rows++;
    }
    m->cut |= from->err.status != AT_OK;
    from->err.status = AT_OK; /* another table may be fine */
    sqlite3_finalize(a);
    sqlite3_finalize(b);
    return rows;
}

static void copy_the_rest(struct making *m)
{
    m->inputs = copy_rows(m,
                          "SELECT digest, file_bytes, name, records, complete,"
                          " damaged FROM input WHERE length(digest) = 32",
                          "INSERT OR REPLACE INTO input"
                          " VALUES(?, ?, ?, ?, ?, ?)");
    copy_rows(m,
              "SELECT digest, records, complete, holes, hole_bytes"
              " FROM salvage WHERE length(digest) = 32",
              "INSERT OR REPLACE INTO salvage VALUES(?, ?, ?, ?, ?)");
    copy_rows(m, "SELECT name FROM stream",
              "INSERT OR IGNORE INTO stream(name) VALUES(?)");
    copy_rows(m,
              "SELECT t.name, path, first, last, packets, captured_bytes,"
              " time, reason FROM gone g JOIN stream t ON t.id = g.stream",
              "INSERT INTO gone(stream, path, first, last, packets,"
              " captured_bytes, time, reason) SELECT id, ?2, ?3, ?4, ?5, ?6,"
              " ?7, ?8 FROM stream WHERE name = ?1");
    copy_rows(m,
              "SELECT t.name, key, policy FROM changed c"
              " JOIN stream t ON t.id = c.stream",
              "INSERT INTO changed SELECT id, ?2, ?3 FROM stream"
              " WHERE name = ?1");
}

/* ---- the old one ----------------------------------------------------- */

/* It is opened whatever it says its version is: only rows are read. */
static void open_old(struct making *m)
{
    m->old = at_archive_is(m->r->a->path) ? at_catalog_new(m->r->a->path)
                                          : NULL;
    if (m->old == NULL)
        return;
    if (at_catalog_open(m->old, NULL) != AT_OK && m->old->sql.db == NULL) {
        at_archive_close(m->old);
        m->old = NULL;
        return;
    }
    if (m->old->version < 1 || m->old->version > AT_CATALOG_VERSION)
        m->old->version = AT_CATALOG_VERSION;
    m->old->sql.err.status = AT_OK;
    (void)at_archive_segments(m->old, NULL, AT_TIME_MIN, AT_TIME_MAX, &m->hints,
                              NULL);
    m->old->sql.err.status = AT_OK;
}

/* It keeps its name until the new one has it.  A journal is of the catalogue
 * that it lies beside, and of no other. */
static enum at_status set_aside(struct at_archive *a, struct at_error *err)
{
    char *catalog = at_path_join(a->path, AT_CATALOG_NAME);
    char *journal = at_path_join(a->path, AT_CATALOG_NAME "-journal");
    enum at_status st = AT_ERR_MEMORY;

    if (catalog == NULL || journal == NULL)
        at_error_set(err, AT_ERR_MEMORY, "out of memory");
    else if (access(catalog, F_OK) == 0)
        st = at_repair_link_aside(a, AT_CATALOG_NAME, err);
    else
        st = AT_OK;
    if (st == AT_OK && journal != NULL && access(journal, F_OK) == 0)
        st = at_repair_aside(a, AT_CATALOG_NAME "-journal", err);
    free(catalog);
    free(journal);
    return st;
}

/* ---- all of it ------------------------------------------------------- */

/* As at-ingest made them: of those that begin at the same boundary the one
 * with the earlier packets came first. */
static int by_time(const void *a, const void *b)
{
    const struct at_segment *x = a, *y = b;
    const int order = strcmp(x->stream, y->stream);

    if (order != 0)
        return order;
    if (x->start_ns != y->start_ns)
        return x->start_ns < y->start_ns ? -1 : 1;
    if (x->first_ns != y->first_ns)
        return x->first_ns < y->first_ns ? -1 : 1;
    return strcmp(x->path, y->path);
}

static enum at_status put_segments(struct making *m, struct at_error *err)
{
    if (m->list.n > 0) /* otherwise there is no array */
        qsort(m->list.segment, m->list.n, sizeof(m->list.segment[0]), by_time);
    for (size_t i = 0; i < m->list.n; i++) {
        const struct at_segment *seg = &m->list.segment[i];
        char *trace = at_path_join(m->r->a->path, seg->path);

        if (trace == NULL)
            return at_error_set(err, AT_ERR_MEMORY, "out of memory");
        at_catalog_put(&m->fresh, seg, trace, 0, NULL);
        if (seg->gone_ns != 0)
            put_gone(m, seg);
        free(trace);
    }
    return AT_OK;
}

static enum at_status fill(struct making *m, struct at_error *err)
{
    enum at_status st;

    at_sql_exec(&m->fresh.sql, "BEGIN");
    st = at_dir_walk(m->r->a->path, "segments", look_at, m, err);
    if (st == AT_OK)
        st = at_dir_walk(m->r->a->path, "pending", look_at, m, err);
    if (st == AT_OK)
        st = put_segments(m, err);
    if (st == AT_OK && m->old != NULL)
        copy_the_rest(m);
    if (st == AT_OK && at_sql_exec(&m->fresh.sql, "COMMIT") != AT_OK)
        st = at_error_copy(err, &m->fresh.sql.err);
    return st;
}

static enum at_status make(struct making *m, const char *made,
                           struct at_error *err)
{
    enum at_status st;

    unlink(made);
    m->fresh.version = AT_CATALOG_VERSION;
    st = at_sql_open(&m->fresh.sql, made, AT_SQL_SHARED, err);
    if (st != AT_OK)
        return st;
    if (at_catalog_make(&m->fresh.sql) != AT_OK)
        st = at_error_copy(err, &m->fresh.sql.err);
    if (st == AT_OK)
        st = fill(m, err);
    at_catalog_close(&m->fresh);
    return st;
}

static enum at_status install(struct making *m, const char *made,
                              struct at_error *err)
{
    char *path = at_path_join(m->r->a->path, AT_CATALOG_NAME);
    enum at_status st;

    if (path == NULL)
        return at_error_set(err, AT_ERR_MEMORY, "out of memory");
    st = at_seal_break(m->r->a->path, err);
    if (st == AT_OK)
        st = set_aside(m->r->a, err);
    if (st == AT_OK && rename(made, path) != 0)
        st = at_error_system(err, path, "replace");
    if (st == AT_OK)
        st = at_dir_sync_of(path, err);
    free(path);
    return st;
}

static void tell(const struct making *m)
{
    at_repair_fixed(m->r, AT_CATALOG_NAME,
                    "made anew of %llu segments; the old one, if there is one, "
                    "is in aside/",
                    (unsigned long long)m->list.n);
    if (m->inputs == 0 || m->cut)
        at_repair_note(m->r, AT_CATALOG_NAME,
                       "%llu inputs are known from the old one: others that "
                       "were taken in would be taken in again",
                       (unsigned long long)m->inputs);
}

enum at_status at_repair_catalog(struct at_repairing *r, struct at_error *err)
{
    struct making m = {.r = r, .fresh = {.lock = -1, .path = r->a->path}};
    char *made = at_path_join(r->a->path, "tmp/catalog");
    enum at_status st;

    if (made == NULL)
        return at_error_set(err, AT_ERR_MEMORY, "out of memory");
    open_old(&m);
    st = make(&m, made, err);
    at_archive_close(m.old);
    if (st == AT_OK)
        st = install(&m, made, err);
    if (st == AT_OK)
        tell(&m);
    unlink(made);
    at_segments_free(&m.list);
    at_segments_free(&m.hints);
    free(made);
    return st;
}
