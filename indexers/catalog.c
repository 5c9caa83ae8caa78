/*
 * catalog.c - what an archive holds
 */
#include "catalog_inside.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "catalog_schema.h"
#include "errors.h"
#include "files.h"
#include "seal.h"

/* ---- opening --------------------------------------------------------- */

char *at_archive_path(const struct at_archive *a, const char *relative)
{
    return at_path_join(a->path, relative);
}

bool at_archive_is(const char *path)
{
    char *catalog = at_path_join(path, AT_CATALOG_NAME);
    const bool is = catalog != NULL && access(catalog, F_OK) == 0;

    free(catalog);
    return is;
}

enum at_status at_catalog_error(struct at_archive *a, struct at_error *err)
{
    return at_error_copy(err, &a->sql.err);
}

static enum at_status open_catalog(struct at_archive *a, bool write,
                                   struct at_error *err)
{
    char *path = at_path_join(a->path, AT_CATALOG_NAME);
    enum at_status st;

    if (path == NULL)
        return at_error_set(err, AT_ERR_MEMORY, "out of memory");
    st = at_sql_open(&a->sql, path, write ? AT_SQL_SHARED : AT_SQL_READ, err);
    free(path);
    return st;
}

enum at_status at_catalog_lock(struct at_archive *a, struct at_error *err)
{
    char *path = at_path_join(a->path, "lock");
    enum at_status st = AT_OK;

    if (path == NULL)
        return at_error_set(err, AT_ERR_MEMORY, "out of memory");
    a->lock = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    if (a->lock < 0)
        st = at_error_system(err, path, "open");
    else if (flock(a->lock, LOCK_EX | LOCK_NB) != 0)
        st = errno == EWOULDBLOCK
                 ? at_error_set(err, AT_ERR_MISUSE,
                                "%s: another process is changing it", a->path)
                 : at_error_system(err, path, "lock");
    free(path);
    return st;
}

enum at_status at_catalog_each_path(struct at_archive *a, const char *query,
                                    enum at_status (*fn)(struct at_archive *a,
                                                         const char *path,
                                                         struct at_error *err),
                                    struct at_error *err)
{
    sqlite3_stmt *st = at_sql_prepare(&a->sql, query);
    enum at_status r = AT_OK;

    while (r == AT_OK && at_sql_step(&a->sql, st) == AT_OK)
        r = fn(a, (const char *)sqlite3_column_text(st, 0), err);
    sqlite3_finalize(st);
    return a->sql.err.status == AT_OK ? r : at_catalog_error(a, err);
}

static enum at_status unlink_one(const char *path, struct at_error *err)
{
    return unlink(path) == 0 || errno == ENOENT
               ? AT_OK
               : at_error_system(err, path, "remove");
}

/* Removes the directories below "segments/" that 'path' lies in and nothing
 * else does; 'top' is the length of that directory's name. */
static void remove_empty(char *path, size_t top)
{
    char *slash;

    while ((slash = strrchr(path, '/')) != NULL && slash > path + top) {
        *slash = 0;
        if (rmdir(path) != 0)
            break;
    }
}

enum at_status at_catalog_unlink(struct at_archive *a, const char *relative,
                                 bool index, struct at_error *err)
{
    char *path = at_path_join(a->path, relative);
    char *with = path == NULL ? NULL : at_path_append(path, ".idx");
    enum at_status st;

    if (with == NULL) {
        free(path);
        return at_error_set(err, AT_ERR_MEMORY, "out of memory");
    }
    st = unlink_one(path, err);
    if (st == AT_OK && index)
        st = unlink_one(with, err);
    if (st == AT_OK && index && strncmp(relative, "segments/", 9) == 0)
        remove_empty(path, strlen(a->path) + strlen("/segments"));
    free(path);
    free(with);
    return st;
}

static enum at_status unlink_pair(struct at_archive *a, const char *path,
                                  struct at_error *err)
{
    return at_catalog_unlink(a, path, true, err);
}

static enum at_status unlink_trace(struct at_archive *a, const char *path,
                                   struct at_error *err)
{
    return at_catalog_unlink(a, path, false, err);
}

void at_catalog_begin(struct at_archive *a)
{
    if (!a->unsealed && a->sql.err.status == AT_OK) {
        at_seal_break(a->path, &a->sql.err);
        a->unsealed = a->sql.err.status == AT_OK;
    }
    at_sql_exec(&a->sql, "BEGIN IMMEDIATE");
}

/* Whether 'name' in pending/ belongs to a segment (or is its index). */
static bool pending_is_known(void *ctx, const char *name)
{
    struct at_archive *a = ctx;
    sqlite3_stmt *st = at_sql_prepare(
        &a->sql, "SELECT 1 FROM segment WHERE 'pending/' || ?1 IN"
                 " (path, path || '.idx')");
    bool known;

    at_sql_bind_text(st, 1, name);
    known = at_sql_step(&a->sql, st) != AT_END;
    sqlite3_finalize(st);
    return known;
}

static bool nothing_is_known(void *ctx, const char *name)
{
    (void)ctx;
    (void)name;
    return false;
}

enum at_status at_catalog_forget_intents(struct at_archive *a,
                                         struct at_error *err)
{
    at_catalog_begin(a);
    at_sql_exec(&a->sql, "DELETE FROM intent");
    return at_sql_exec(&a->sql, "COMMIT") == AT_OK ? AT_OK
                                                   : at_catalog_error(a, err);
}

/* Undoes what was begun, and completes what was to be removed. */
static enum at_status carry_out(struct at_archive *a, struct at_error *err)
{
    enum at_status st;

    st = at_catalog_each_path(a,
                              "SELECT path FROM intent WHERE path NOT IN"
                              " (SELECT path FROM segment)",
                              unlink_pair, err);
    if (st == AT_OK)
        st = at_catalog_each_path(a,
                                  "SELECT path FROM segment WHERE gone != 0"
                                  " AND path IN (SELECT path FROM intent)",
                                  unlink_trace, err);
    if (st != AT_OK)
        return st;
    return at_catalog_forget_intents(a, err);
}

/* Removes what a crash has left: intents that were not carried out, files
 * that are nobody's. */
enum at_status at_catalog_clean(struct at_archive *a, struct at_error *err)
{
    enum at_status st = AT_OK;

    if (at_sql_number(&a->sql, "SELECT count(*) FROM intent") > 0)
        st = carry_out(a, err);
    if (st == AT_OK && a->sql.err.status != AT_OK)
        st = at_catalog_error(a, err);
    if (st == AT_OK)
        st = at_dir_clean(a->path, "tmp", nothing_is_known, a, err);
    if (st == AT_OK)
        st = at_dir_clean(a->path, "pending", pending_is_known, a, err);
    return st;
}

static enum at_status damaged(struct at_archive *a, struct at_error *err)
{
    return at_error_set(
        err, AT_ERR_CORRUPT,
        "%s/" AT_CATALOG_NAME ": damaged: see at-archive repair", a->path);
}

/* One without a seal was left by a process that was stopped. */
static enum at_status check_seal(struct at_archive *a, struct at_error *err)
{
    enum at_seal seal;
    const enum at_status st = at_seal_check(a->path, &seal, err);

    if (st != AT_OK)
        return st;
    a->unsealed = seal == AT_SEAL_NONE;
    return seal == AT_SEAL_BROKEN ? damaged(a, err) : AT_OK;
}

static enum at_status check_structure(struct at_archive *a,
                                      struct at_error *err)
{
    sqlite3_stmt *st = at_sql_prepare(&a->sql, "PRAGMA integrity_check(1)");
    bool good = false;

    if (at_sql_step(&a->sql, st) == AT_OK)
        good = strcmp((const char *)sqlite3_column_text(st, 0), "ok") == 0;
    sqlite3_finalize(st);
    if (a->sql.err.status != AT_OK)
        return at_catalog_error(a, err);
    return good ? AT_OK : damaged(a, err);
}

static enum at_status upgrade(struct at_archive *a, struct at_error *err)
{
    enum at_status st = AT_OK;

    if (!at_catalog_is_older(&a->sql, a->version))
        return AT_OK;
    if (!a->unsealed)
        st = at_seal_break(a->path, err);
    a->unsealed = true;
    if (st == AT_OK && at_catalog_upgrade(&a->sql, a->version) != AT_OK)
        st = at_catalog_error(a, err);
    a->version = AT_CATALOG_VERSION;
    return st;
}

struct at_archive *at_catalog_new(const char *path)
{
    struct at_archive *a = calloc(1, sizeof(*a));

    if (a == NULL || (a->path = strdup(path)) == NULL) {
        free(a);
        return NULL;
    }
    a->lock = -1;
    return a;
}

enum at_status at_catalog_open(struct at_archive *a, struct at_error *err)
{
    const bool write = a->lock >= 0;
    enum at_status st = write ? check_seal(a, err) : AT_OK;

    if (st == AT_OK)
        st = open_catalog(a, write, err);
    if (st == AT_OK)
        st = at_catalog_version(&a->sql, &a->version, err);
    if (st == AT_OK && a->unsealed)
        st = check_structure(a, err);
    if (st == AT_OK && write)
        st = upgrade(a, err);
    if (st != AT_OK)
        a->unsealed = false; /* what is damaged must not look whole */
    return st;
}

enum at_status at_archive_open(struct at_archive **out, const char *path,
                               bool write, struct at_error *err)
{
    struct at_archive *a = at_catalog_new(path);
    enum at_status st = AT_OK;

    *out = NULL;
    if (a == NULL)
        return at_error_set(err, AT_ERR_MEMORY, "out of memory");
    if (!at_archive_is(path))
        st = at_error_set(err, AT_ERR_FORMAT, "%s: not an archive", path);
    if (st == AT_OK && write)
        st = at_catalog_lock(a, err);
    if (st == AT_OK)
        st = at_catalog_open(a, err);
    if (st == AT_OK && write)
        st = at_catalog_clean(a, err);
    if (st != AT_OK) {
        at_archive_close(a);
        return st;
    }
    *out = a;
    return AT_OK;
}

void at_catalog_close(struct at_archive *a)
{
    sqlite3_finalize(a->hosts_of);
    sqlite3_finalize(a->line_of);
    a->hosts_of = a->line_of = NULL;
    at_sql_close(&a->sql);
    a->sql = (struct at_sql){.db = NULL};
}

void at_archive_close(struct at_archive *a)
{
    if (a == NULL)
        return;
    at_catalog_close(a);
    if (a->lock >= 0 && a->unsealed)
        at_seal_make(a->path, NULL); /* without one it is as after a crash */
    if (a->lock >= 0)
        close(a->lock);
    free(a->path);
    free(a);
}

/* Makes an empty catalogue as the file 'made'. */
static enum at_status make_catalog(const char *made, struct at_error *err)
{
    struct at_archive a = {.lock = -1};
    enum at_status st = at_sql_open(&a.sql, made, AT_SQL_SHARED, err);

    if (st != AT_OK)
        return st;
    if (at_catalog_make(&a.sql) != AT_OK)
        st = at_catalog_error(&a, err);
    at_sql_close(&a.sql);
    return st;
}

/* Gives the catalogue its name, unless another process was faster. */
static enum at_status name_catalog(const char *made, const char *path,
                                   struct at_error *err)
{
    if (link(made, path) != 0 && errno != EEXIST &&
        (errno != EPERM || rename(made, path) != 0))
        return at_error_system(err, path, "create");
    return at_dir_sync_of(path, err);
}

/* The catalogue appears whole or not at all: it makes a folder an archive. */
static enum at_status add_catalog(const char *path, struct at_error *err)
{
    char *to = at_path_join(path, AT_CATALOG_NAME), *made = NULL;
    enum at_status st;

    if (to == NULL ||
        asprintf(&made, "%s/tmp/catalog-%ld", path, (long)getpid()) < 0) {
        free(to);
        return at_error_set(err, AT_ERR_MEMORY, "out of memory");
    }
    st = make_catalog(made, err);
    if (st == AT_OK)
        st = name_catalog(made, to, err);
    unlink(made);
    free(made);
    free(to);
    return st;
}

enum at_status at_archive_init(const char *path, struct at_error *err)
{
    enum at_status st;

    st = at_dir_make(path, "segments", err);
    if (st == AT_OK)
        st = at_dir_make(path, "pending", err);
    if (st == AT_OK)
        st = at_dir_make(path, "tmp", err);
    if (st == AT_OK && !at_archive_is(path))
        st = add_catalog(path, err);
    return st;
}

/* ---- segments -------------------------------------------------------- */

static char *text_of(sqlite3_stmt *st, int column)
{
    const char *text = (const char *)sqlite3_column_text(st, column);

    return strdup(text != NULL ? text : "");
}

static void bind_digest(sqlite3_stmt *st, int i, const struct at_digest *digest)
{
    if (digest->known)
        at_sql_bind_blob(st, i, digest->byte, AT_DIGEST_BYTES);
    else if (st != NULL)
        sqlite3_bind_null(st, i);
}

static struct at_digest digest_of(sqlite3_stmt *st, int column)
{
    struct at_digest digest = {.known = sqlite3_column_bytes(st, column) ==
                                        AT_DIGEST_BYTES};

    if (digest.known)
        memcpy(digest.byte, sqlite3_column_blob(st, column), AT_DIGEST_BYTES);
    return digest;
}

static bool take_segment(struct at_segment *seg, sqlite3_stmt *st)
{
    const char *format = (const char *)sqlite3_column_text(st, 14);

    *seg = (struct at_segment){
        .id = sqlite3_column_int64(st, 0),
        .stream = text_of(st, 1),
        .path = text_of(st, 2),
        .pending = sqlite3_column_int(st, 3) != 0,
        .start_ns = sqlite3_column_int64(st, 4),
        .end_ns = sqlite3_column_int64(st, 5),
        .first_ns = sqlite3_column_int64(st, 6),
        .last_ns = sqlite3_column_int64(st, 7),
        .packets = (uint64_t)sqlite3_column_int64(st, 8),
        .captured_bytes = (uint64_t)sqlite3_column_int64(st, 9),
        .wire_bytes = (uint64_t)sqlite3_column_int64(st, 10),
        .flows = (uint64_t)sqlite3_column_int64(st, 11),
        .file_bytes = (uint64_t)sqlite3_column_int64(st, 12),
        .index_bytes = (uint64_t)sqlite3_column_int64(st, 13),
        .format = format != NULL ? at_format_parse(format) : AT_FORMAT_UNKNOWN,
        .linktype = (uint16_t)sqlite3_column_int(st, 15),
        .file_digest = digest_of(st, 16),
        .index_digest = digest_of(st, 17),
        .gone_ns = sqlite3_column_int64(st, 18),
    };
    if (seg->path != NULL)
        seg->codec = at_codec_by_name(seg->path); /* we chose the suffix */
    return seg->stream != NULL && seg->path != NULL;
}

static enum at_status add_to_list(struct at_segments *list, size_t *room,
                                  sqlite3_stmt *st)
{
    if (list->n == *room) {
        struct at_segment *p;

        *room = *room * 2 + 64;
        p = realloc(list->segment, *room * sizeof(*p));
        if (p == NULL)
            return AT_ERR_MEMORY;
        list->segment = p;
    }
    return take_segment(&list->segment[list->n++], st) ? AT_OK : AT_ERR_MEMORY;
}

#define DIGESTS "s.file_digest, s.index_digest, s.gone"
#define NO_DIGESTS "NULL, NULL, 0"
#define SEGMENTS(digests)                                                      \
    "SELECT s.id, t.name, s.path, s.pending, s.start, s.end, s.first,"         \
    " s.last, s.packets, s.captured_bytes, s.wire_bytes, s.flows,"             \
    " s.file_bytes, s.index_bytes, s.format, s.linktype, " digests             \
    " FROM segment s JOIN stream t ON t.id = s.stream"                         \
    " WHERE s.first < ?2 AND s.last >= ?1 AND (?3 IS NULL OR t.name = ?3)"     \
    " ORDER BY t.name, s.start, s.id"

enum at_status at_archive_segments(struct at_archive *a, const char *stream,
                                   int64_t from_ns, int64_t to_ns,
                                   struct at_segments *list,
                                   struct at_error *err)
{
    sqlite3_stmt *st = at_sql_prepare(
        &a->sql, a->version > 1 ? SEGMENTS(DIGESTS) : SEGMENTS(NO_DIGESTS));
    size_t room = 0;

    *list = (struct at_segments){.n = 0};
    at_sql_bind(st, 1, from_ns);
    at_sql_bind(st, 2, to_ns);
    at_sql_bind_text(st, 3, stream);
    while (at_sql_step(&a->sql, st) == AT_OK)
        if (add_to_list(list, &room, st) != AT_OK) {
            at_error_set(&a->sql.err, AT_ERR_MEMORY, "out of memory");
            break;
        }
    sqlite3_finalize(st);
    if (a->sql.err.status == AT_OK)
        return AT_OK;
    at_segments_free(list);
    return at_catalog_error(a, err);
}

enum at_status at_archive_has(struct at_archive *a,
                              const struct at_segment *seg, bool *has,
                              struct at_error *err)
{
    sqlite3_stmt *st = at_sql_prepare(
        &a->sql, a->version > 1 ? "SELECT 1 FROM segment WHERE id = ?1 AND"
                                  " path = ?2 AND gone = ?3 AND index_bytes ="
                                  " ?4 AND index_digest IS ?5"
                                : "SELECT 1 FROM segment WHERE id = ?1 AND"
                                  " path = ?2");

    at_sql_bind(st, 1, seg->id);
    at_sql_bind_text(st, 2, seg->path);
    if (a->version > 1) {
        at_sql_bind(st, 3, seg->gone_ns);
        at_sql_bind(st, 4, (int64_t)seg->index_bytes);
        bind_digest(st, 5, &seg->index_digest);
    }
    *has = at_sql_step(&a->sql, st) == AT_OK;
    sqlite3_finalize(st);
    return a->sql.err.status == AT_OK ? AT_OK : at_catalog_error(a, err);
}

void at_segments_free(struct at_segments *list)
{
    for (size_t i = 0; i < list->n; i++) {
        free(list->segment[i].stream);
        free(list->segment[i].path);
    }
    free(list->segment);
    *list = (struct at_segments){.n = 0};
}

/* ---- inputs ---------------------------------------------------------- */

enum at_status at_archive_input(struct at_archive *a,
                                struct at_input_state *input,
                                struct at_error *err)
{
    sqlite3_stmt *st = at_sql_prepare(
        &a->sql,
        "SELECT i.records, i.complete, i.damaged, s.records, s.complete,"
        " s.holes, s.hole_bytes FROM input i LEFT JOIN salvage s"
        " ON s.digest = i.digest WHERE i.digest = ?1");

    input->records = input->salvaged_records = 0;
    input->complete = input->damaged = input->salvaged = false;
    input->holes = (struct at_salvaged){.holes = 0};
    at_sql_bind_blob(st, 1, input->identity.digest, AT_IDENTITY_BYTES);
    if (at_sql_step(&a->sql, st) == AT_OK) {
        input->records = (uint64_t)sqlite3_column_int64(st, 0);
        input->complete = sqlite3_column_int(st, 1) != 0;
        input->damaged = sqlite3_column_int(st, 2) != 0;
        input->salvaged_records = (uint64_t)sqlite3_column_int64(st, 3);
        input->salvaged = sqlite3_column_int(st, 4) != 0;
        input->holes.holes = (uint64_t)sqlite3_column_int64(st, 5);
        input->holes.bytes = (uint64_t)sqlite3_column_int64(st, 6);
    }
    sqlite3_finalize(st);
    return a->sql.err.status == AT_OK ? AT_OK : at_catalog_error(a, err);
}

/* Nothing for who was never salvaged. */
static void put_salvage(struct at_archive *a,
                        const struct at_input_state *input)
{
    sqlite3_stmt *st;

    if (input->salvaged_records == 0 && !input->salvaged)
        return;
    st = at_sql_prepare(&a->sql,
                        "INSERT OR REPLACE INTO salvage VALUES(?, ?, ?, ?, ?)");
    at_sql_bind_blob(st, 1, input->identity.digest, AT_IDENTITY_BYTES);
    at_sql_bind(st, 2, (int64_t)input->salvaged_records);
    at_sql_bind(st, 3, input->salvaged);
    at_sql_bind(st, 4, (int64_t)input->holes.holes);
    at_sql_bind(st, 5, (int64_t)input->holes.bytes);
    at_sql_run(&a->sql, st);
    sqlite3_finalize(st);
}

static void put_inputs(struct at_archive *a, const struct at_input_state *input,
                       size_t inputs)
{
    sqlite3_stmt *st = at_sql_prepare(
        &a->sql, "INSERT OR REPLACE INTO input VALUES(?, ?, ?, ?, ?, ?)");

    for (size_t i = 0; i < inputs; i++) {
        at_sql_bind_blob(st, 1, input[i].identity.digest, AT_IDENTITY_BYTES);
        at_sql_bind(st, 2, (int64_t)input[i].identity.file_bytes);
        at_sql_bind_text(st, 3, input[i].name);
        at_sql_bind(st, 4, (int64_t)input[i].records);
        at_sql_bind(st, 5, input[i].complete);
        at_sql_bind(st, 6, input[i].damaged);
        at_sql_run(&a->sql, st);
        put_salvage(a, &input[i]);
    }
    sqlite3_finalize(st);
}

enum at_status at_archive_note_inputs(struct at_archive *a,
                                      const struct at_input_state *input,
                                      size_t inputs, struct at_error *err)
{
    at_catalog_begin(a);
    put_inputs(a, input, inputs);
    return at_sql_exec(&a->sql, "COMMIT") == AT_OK ? AT_OK
                                                   : at_catalog_error(a, err);
}

/* ---- adding ---------------------------------------------------------- */

static const char *suffix_of(enum at_format format)
{
    return format == AT_FORMAT_ERF ? "erf" : "pcap";
}

static bool path_is_taken(struct at_archive *a, const char *path)
{
    sqlite3_stmt *st = at_sql_prepare(&a->sql,
                                      "SELECT 1 FROM segment WHERE path = ?");
    bool taken;

    at_sql_bind_text(st, 1, path);
    taken = at_sql_step(&a->sql, st) == AT_OK;
    sqlite3_finalize(st);
    return taken;
}

/* The first of NAME, NAME-1, NAME-2 ... that no segment has. */
static char *choose_path(struct at_archive *a, const struct at_segment *seg)
{
    char dir[64] = "pending", stamp[32], *path = NULL;

    if (!seg->pending)
        at_time_stamp(dir, sizeof(dir), "segments/%Y/%m/%d", seg->start_ns);
    at_time_stamp(stamp, sizeof(stamp), "%Y%m%dT%H%M%SZ", seg->start_ns);
    for (unsigned i = 0; a->sql.err.status == AT_OK; i++) {
        char more[16] = "";

        free(path);
        if (i > 0)
            snprintf(more, sizeof(more), "-%u", i);
        if (asprintf(&path, "%s/%s-%s%s.%s%s", dir, seg->stream, stamp, more,
                     suffix_of(seg->format), at_codec_suffix(seg->codec)) < 0)
            return NULL;
        if (!path_is_taken(a, path))
            return path;
    }
    free(path);
    return NULL;
}

void at_catalog_put_intent(struct at_archive *a, const char *path)
{
    sqlite3_stmt *st = at_sql_prepare(
        &a->sql, "INSERT OR REPLACE INTO intent VALUES(?)");

    at_sql_bind_text(st, 1, path);
    at_sql_run(&a->sql, st);
    sqlite3_finalize(st);
}

/* Notes that 'path' is about to be made, so that a crash can be undone. */
static enum at_status intend(struct at_archive *a, const char *path)
{
    at_catalog_begin(a);
    at_catalog_put_intent(a, path);
    return at_sql_exec(&a->sql, "COMMIT");
}

/* Brings a trace and its index from 'made' to their places. */
static enum at_status move_in(struct at_archive *a, const char *made,
                              const char *relative, struct at_error *err)
{
    char *index = at_path_append(made, ".idx");
    char *to = at_path_join(a->path, relative);
    char *to_index = to == NULL ? NULL : at_path_append(to, ".idx");
    enum at_status st = AT_OK;

    if (index == NULL || to_index == NULL)
        st = at_error_set(err, AT_ERR_MEMORY, "out of memory");
    if (st == AT_OK)
        st = at_dir_make_for(a->path, relative, err);
    if (st == AT_OK)
        st = at_file_link(made, to, err);
    if (st == AT_OK)
        st = at_file_link(index, to_index, err);
    if (st == AT_OK)
        st = at_dir_sync_of(to, err);
    free(index);
    free(to);
    free(to_index);
    return st;
}

static int64_t stream_id(struct at_archive *a, const char *name)
{
    sqlite3_stmt *st = at_sql_prepare(
        &a->sql, "INSERT OR IGNORE INTO stream(name) VALUES(?)");
    int64_t id = 0;

    at_sql_bind_text(st, 1, name);
    at_sql_run(&a->sql, st);
    sqlite3_finalize(st);
    st = at_sql_prepare(&a->sql, "SELECT id FROM stream WHERE name = ?");
    at_sql_bind_text(st, 1, name);
    if (at_sql_step(&a->sql, st) == AT_OK)
        id = sqlite3_column_int64(st, 0);
    sqlite3_finalize(st);
    return id;
}

/* Returns its id. */
static int64_t put_segment(struct at_archive *a, const struct at_segment *seg)
{
    const int64_t stream = stream_id(a, seg->stream);
    sqlite3_stmt *st = at_sql_prepare(
        &a->sql,
        "INSERT INTO segment(stream, path, pending, start, end, first, last,"
        " packets, captured_bytes, wire_bytes, flows, file_bytes, index_bytes,"
        " format, linktype, file_digest, index_digest)"
        " VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)");

    at_sql_bind(st, 1, stream);
    at_sql_bind_text(st, 2, seg->path);
    at_sql_bind(st, 3, seg->pending);
    at_sql_bind(st, 4, seg->start_ns);
    at_sql_bind(st, 5, seg->end_ns);
    at_sql_bind(st, 6, seg->first_ns);
    at_sql_bind(st, 7, seg->last_ns);
    at_sql_bind(st, 8, (int64_t)seg->packets);
    at_sql_bind(st, 9, (int64_t)seg->captured_bytes);
    at_sql_bind(st, 10, (int64_t)seg->wire_bytes);
    at_sql_bind(st, 11, (int64_t)seg->flows);
    at_sql_bind(st, 12, (int64_t)seg->file_bytes);
    at_sql_bind(st, 13, (int64_t)seg->index_bytes);
    at_sql_bind_text(st, 14, at_format_name(seg->format));
    at_sql_bind(st, 15, seg->linktype);
    bind_digest(st, 16, &seg->file_digest);
    bind_digest(st, 17, &seg->index_digest);
    at_sql_run(&a->sql, st);
    sqlite3_finalize(st);
    return sqlite3_last_insert_rowid(a->sql.db);
}

/* The path of a segment, which the caller frees; NULL if there is none. */
static char *path_of(struct at_archive *a, int64_t id)
{
    sqlite3_stmt *st = at_sql_prepare(&a->sql,
                                      "SELECT path FROM segment WHERE id = ?");
    char *path = NULL;

    at_sql_bind(st, 1, id);
    if (at_sql_step(&a->sql, st) == AT_OK)
        path = text_of(st, 0);
    sqlite3_finalize(st);
    return path;
}

void at_catalog_put(struct at_archive *a, const struct at_segment *seg,
                    const char *made, int64_t replaces,
                    const struct at_carry *open)
{
    char *index = at_path_append(made, ".idx");
    int64_t id;

    if (index == NULL) {
        at_error_set(&a->sql.err, AT_ERR_MEMORY, "out of memory");
        return;
    }
    at_catalog_run_for(a, "DELETE FROM segment WHERE id = ?", replaces);
    id = put_segment(a, seg);
    at_catalog_put_parts(a, id, replaces, open, seg->pending, index);
    free(index);
}

enum at_status at_archive_add(struct at_archive *a, struct at_segment *seg,
                              const char *made, int64_t replaces,
                              const struct at_carry *open,
                              const struct at_input_state *input, size_t inputs,
                              struct at_error *err)
{
    char *old = replaces != 0 ? path_of(a, replaces) : NULL;
    enum at_status st;

    seg->path = choose_path(a, seg);
    if (seg->path == NULL && a->sql.err.status == AT_OK)
        at_error_set(&a->sql.err, AT_ERR_MEMORY, "out of memory");
    if (a->sql.err.status != AT_OK || intend(a, seg->path) != AT_OK) {
        free(old);
        return at_catalog_error(a, err);
    }
    st = move_in(a, made, seg->path, err);
    if (st == AT_OK) {
        at_catalog_begin(a);
        at_catalog_put(a, seg, made, replaces, open);
        put_inputs(a, input, inputs);
        at_sql_exec(&a->sql, "DELETE FROM intent");
        if (old != NULL && strncmp(old, "pending/", 8) != 0)
            at_catalog_put_intent(a, old); /* in pending/ it is nobody's */
        if (at_sql_exec(&a->sql, "COMMIT") != AT_OK)
            st = at_catalog_error(a, err);
    }
    if (st == AT_OK && old != NULL) /* or the next writer will */
        at_catalog_unlink(a, old, true, NULL);
    free(old);
    return st;
}

/* By other rules flows have other applications. */
static void renew_sums(struct at_archive *a, const struct at_segment *seg)
{
    char *trace = at_path_join(a->path, seg->path);
    char *index = trace == NULL ? NULL : at_path_append(trace, ".idx");

    if (index != NULL)
        at_catalog_renew_sums(a, seg->id, index);
    else
        at_error_set(&a->sql.err, AT_ERR_MEMORY, "out of memory");
    free(trace);
    free(index);
}

static void note_index(struct at_archive *a, const struct at_segment *seg)
{
    sqlite3_stmt *st = at_sql_prepare(
        &a->sql, "UPDATE segment SET index_bytes = ?, index_digest = ?,"
                 " file_digest = ? WHERE id = ?");

    at_sql_bind(st, 1, (int64_t)seg->index_bytes);
    bind_digest(st, 2, &seg->index_digest);
    bind_digest(st, 3, &seg->file_digest);
    at_sql_bind(st, 4, seg->id);
    at_sql_run(&a->sql, st);
    sqlite3_finalize(st);
}

enum at_status at_archive_note_indexes(struct at_archive *a,
                                       const struct at_segments *list,
                                       struct at_error *err)
{
    at_catalog_begin(a);
    for (size_t i = 0; i < list->n; i++) {
        note_index(a, &list->segment[i]);
        if (list->segment[i].index_digest.known) /* else it is being replaced */
            renew_sums(a, &list->segment[i]);
    }
    return at_sql_exec(&a->sql, "COMMIT") == AT_OK ? AT_OK
                                                   : at_catalog_error(a, err);
}

enum at_status at_archive_seal(struct at_archive *a,
                               const struct at_segment *pending,
                               struct at_error *err)
{
    struct at_segment seg = *pending;
    char *made = at_path_join(a->path, pending->path);
    enum at_status st;

    if (made == NULL)
        return at_error_set(err, AT_ERR_MEMORY, "out of memory");
    seg.pending = false;
    st = at_archive_add(a, &seg, made, pending->id, NULL, NULL, 0, err);
    free(seg.path);
    free(made);
    return st;
}
