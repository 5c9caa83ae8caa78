/*
 * verify.c - whether a segment is what was written
 *
 * A trace is read twice at once: one task of the pool takes its digest, while
 * all others decode it.  What does not decode is read once more, by salvage,
 * to tell where the damage is and how much is left.
 *
 * The archive may change meanwhile.  So what is wrong with a segment is told
 * when all is known, if the catalogue still has that segment.
 */
#include "verify.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bytes.h"
#include "errors.h"
#include "index.h"
#include "input.h"
#include "pool.h"
#include "sql.h"

struct check {
    struct at_archive *a;
    const struct at_verify *how;
    const struct at_segment *seg;
    struct at_verified *done;
    struct at_health *health;
    char *trace, *index;    /* full paths */
    struct at_index *ix;    /* NULL: it could not be opened */
    struct at_place *place; /* of blocks with packets, as the index has them */
    size_t places, next;
    bool misplaced;      /* a block is not where the index says */
    uint64_t index_said; /* troubles with the index */
    uint64_t packets, captured_bytes, wire_bytes;
    int64_t first_ns, last_ns;
    struct at_reader *rd;  /* that is read now */
    struct at_error *held; /* what is to be told */
    size_t holds;
};

enum { HELD_MOST = 64 };

/* ---- telling --------------------------------------------------------- */

/* More than can be held is only counted. */
static void tell(struct check *c, const struct at_error *what)
{
    c->health->troubles++;
    if (c->holds < HELD_MOST)
        c->held[c->holds++] = *what;
}

static void AT_PRINTF(3, 4)
    trouble(struct check *c, const char *file, const char *fmt, ...)
{
    struct at_error what;
    va_list ap;

    va_start(ap, fmt);
    at_error_within(&what, AT_ERR_CORRUPT, file, ": ", fmt, ap);
    va_end(ap);
    c->index_said += file == c->index;
    tell(c, &what);
}

/* What was found out when the index was read. */
static void tell_index(struct check *c, const struct at_error *what)
{
    c->index_said++;
    tell(c, what);
}

static void AT_PRINTF(3, 4)
    note(struct check *c, const char *file, const char *fmt, ...)
{
    struct at_error what;
    va_list ap;

    va_start(ap, fmt);
    at_error_within(&what, AT_OK, file, ": ", fmt, ap);
    va_end(ap);
    if (c->holds < HELD_MOST)
        c->held[c->holds++] = what;
}

static void tell_held(struct check *c)
{
    for (size_t i = 0; i < c->holds; i++) {
        const struct at_error *what = &c->held[i];

        if (what->status == AT_OK)
            c->how->note(c->how->ctx, what);
        else
            c->how->trouble(c->how->ctx, what);
    }
    c->done->troubles += c->health->troubles;
    c->done->damaged += c->health->troubles > 0;
}

/* ---- digests --------------------------------------------------------- */

/* A file whose digest is taken by a task. */
struct hashing {
    const char *path;
    struct at_digest digest;
    uint64_t bytes;
    struct at_error err;
};

static void hash(void *ctx, void *slot)
{
    struct hashing *h = slot;

    (void)ctx;
    at_digest_of(&h->digest, h->path, &h->bytes, &h->err);
}

static void begin_hash(struct at_lane *lane, const char *path)
{
    struct hashing *h = at_lane_free_slot(lane);

    *h = (struct hashing){.path = path};
    at_lane_submit(lane);
}

enum hashed {
    HASH_SAME,    /* as the catalogue says */
    HASH_UNKNOWN, /* it does not say */
    HASH_OTHER,
    HASH_TOLD, /* so far off that it was said */
};

/* An error is told where nothing was 'told' of the file yet. */
static enum hashed judge_hash(struct check *c, struct at_lane *lane, bool told,
                              uint64_t bytes, const struct at_digest *known,
                              struct at_digest *is)
{
    const struct hashing h = *(const struct hashing *)at_lane_wait(lane);

    at_lane_retire(lane);
    *is = h.digest;
    c->done->bytes += h.bytes;
    if (h.err.status < 0) {
        if (!told)
            tell(c, &h.err);
        return HASH_TOLD;
    }
    if (h.bytes != bytes) {
        trouble(c, h.path, "is of %llu bytes, not %llu",
                (unsigned long long)h.bytes, (unsigned long long)bytes);
        return HASH_TOLD;
    }
    if (known->known)
        return at_digest_same(known, is) ? HASH_SAME : HASH_OTHER;
    note(c, h.path, "its digest is not known: at-archive repair takes it");
    return HASH_UNKNOWN;
}

/* ---- the index ------------------------------------------------------- */

static void check_structure(struct check *c)
{
    struct at_sql sql;
    struct at_error err;
    sqlite3_stmt *st;

    if (at_sql_open(&sql, c->index, AT_SQL_SEALED, &err) != AT_OK) {
        tell_index(c, &err);
        return;
    }
    st = at_sql_prepare(&sql, "PRAGMA integrity_check(1)");
    if (at_sql_step(&sql, st) != AT_OK)
        tell_index(c, &sql.err);
    else if (strcmp((const char *)sqlite3_column_text(st, 0), "ok") != 0)
        trouble(c, c->index, "damaged: %s",
                (const char *)sqlite3_column_text(st, 0));
    sqlite3_finalize(st);
    at_sql_close(&sql);
}

static void check_sum(struct check *c, const char *what, uint64_t index,
                      uint64_t catalog)
{
    if (index != catalog)
        trouble(c, c->index, "says %llu %s, the catalogue %llu",
                (unsigned long long)index, what, (unsigned long long)catalog);
}

static void check_sums(struct check *c)
{
    const struct at_index_info *i = at_index_info(c->ix);
    const struct at_segment *s = c->seg;

    check_sum(c, "packets", i->packets, s->packets);
    check_sum(c, "captured bytes", i->captured_bytes, s->captured_bytes);
    check_sum(c, "bytes on the wire", i->wire_bytes, s->wire_bytes);
    check_sum(c, "flows", i->flows, s->flows);
    if (i->packets > 0 &&
        (i->first_ns != s->first_ns || i->last_ns != s->last_ns))
        trouble(c, c->index, "other times than in the catalogue");
    if (i->format != s->format || strcmp(i->stream, s->stream) != 0 ||
        strcmp(at_codec_suffix(i->codec), at_codec_suffix(s->codec)) != 0)
        trouble(c, c->index,
                "another stream, format or codec than in the "
                "catalogue");
}

/* The places of the blocks, to be met one after the other. */
static void take_places(struct check *c)
{
    struct at_set all = {.n = 0};
    struct at_error err;
    enum at_status st = at_set_open(&all, at_index_info(c->ix)->blocks, true);

    if (st != AT_OK)
        at_error_set(&err, st, "out of memory");
    else
        st = at_index_places(c->ix, &all, AT_TIME_MIN, AT_TIME_MAX, &c->place,
                             &c->places, &err);
    if (st != AT_OK)
        tell_index(c, &err);
    at_set_close(&all);
}

static void open_index(struct check *c)
{
    struct at_error err;

    if (access(c->index, F_OK) != 0) {
        trouble(c, c->index, "is not there");
        return;
    }
    if (at_index_open(&c->ix, c->index, NULL, &err) != AT_OK) {
        tell_index(c, &err);
        return;
    }
    check_structure(c);
    check_sums(c);
    take_places(c);
}

/* ---- the trace ------------------------------------------------------- */

/* What one batch holds. */
struct counts {
    uint64_t packets, captured_bytes, wire_bytes;
    int64_t first_ns, last_ns;
    bool *has; /* by block: packets */
    size_t room;
};

static void count_packet(struct counts *n, const struct at_packet *pkt)
{
    const int64_t ns = at_ts_to_ns(pkt->ts);

    if (n->packets++ == 0)
        n->first_ns = n->last_ns = ns;
    if (ns < n->first_ns)
        n->first_ns = ns;
    if (ns > n->last_ns)
        n->last_ns = ns;
    n->captured_bytes += pkt->cap_bytes;
    n->wire_bytes += pkt->wire_bytes;
}

static enum at_status count_batch(void *ctx, void *slot,
                                  const struct at_batch *batch,
                                  struct at_error *err)
{
    struct counts *n = slot;
    struct at_packet pkt;

    (void)ctx;
    if (batch->blocks > n->room) {
        bool *has = realloc(n->has, batch->blocks * sizeof(*has));

        if (has == NULL)
            return at_error_set(err, AT_ERR_MEMORY, "out of memory");
        n->has = has;
        n->room = batch->blocks;
    }
    *n = (struct counts){.has = n->has, .room = n->room};
    for (size_t i = 0; i < batch->blocks; i++) {
        struct at_walk walk = at_walk_block(batch, i);
        const uint64_t before = n->packets;

        while (at_walk_next(&walk, &pkt))
            if (pkt.kind == AT_KIND_PACKET)
                count_packet(n, &pkt);
        n->has[i] = n->packets > before;
    }
    return AT_OK;
}

static void drop_counts(void *ctx, void *slot)
{
    struct counts *n = slot;

    (void)ctx;
    free(n->has);
}

static void add_counts(struct check *c, const struct counts *n)
{
    if (n->packets == 0)
        return;
    if (c->packets == 0 || n->first_ns < c->first_ns)
        c->first_ns = n->first_ns;
    if (c->packets == 0 || n->last_ns > c->last_ns)
        c->last_ns = n->last_ns;
    c->packets += n->packets;
    c->captured_bytes += n->captured_bytes;
    c->wire_bytes += n->wire_bytes;
}

static bool same_place(const struct at_place *a, const struct at_place *b)
{
    return a->file_offset == b->file_offset && a->file_bytes == b->file_bytes &&
           a->raw_offset == b->raw_offset && a->skip == b->skip &&
           a->bytes == b->bytes;
}

/* Blocks are told once: the ones behind are most likely elsewhere, too. */
static void check_place(struct check *c, const struct at_place *is)
{
    if (c->ix == NULL || c->misplaced)
        return;
    if (c->next < c->places && same_place(is, &c->place[c->next])) {
        c->next++;
        return;
    }
    c->misplaced = true;
    trouble(c, c->index, "table block: not what is at byte %llu of the trace",
            (unsigned long long)is->file_offset);
}

static bool goes_on(struct check *c)
{
    if (c->how->progress == NULL ||
        c->how->progress(c->how->progress_ctx,
                         c->done->bytes + at_reader_position(c->rd), 0,
                         c->done->packets + c->packets))
        return true;
    c->done->stopped = true;
    return false;
}

static enum at_status report_batch(void *ctx, void *slot,
                                   const struct at_batch *batch,
                                   struct at_error *err)
{
    struct check *c = ctx;
    const struct counts *n = slot;

    (void)err;
    add_counts(c, n);
    for (size_t i = 0; i < batch->blocks; i++)
        if (n->has[i])
            check_place(c, &batch->block[i].place);
    return goes_on(c) ? AT_OK : AT_END;
}

/* What is left of a damaged trace is only counted. */
static enum at_status report_salvaged(void *ctx, void *slot,
                                      const struct at_batch *batch,
                                      struct at_error *err)
{
    struct check *c = ctx;

    (void)err;
    (void)batch;
    add_counts(c, slot);
    return goes_on(c) ? AT_OK : AT_END;
}

static enum at_status open_and_run(struct check *c, bool salvage,
                                   struct at_error *err)
{
    const struct at_reader_options opts = {
        .size = sizeof(opts), .pool = c->how->pool, .salvage = salvage};
    const struct at_run run = {
        .slot_bytes = sizeof(struct counts),
        .ctx = c,
        .work = count_batch,
        .report = salvage ? report_salvaged : report_batch,
        .drop = drop_counts,
    };
    enum at_status st = at_reader_open(&c->rd, c->trace, &opts, err);

    c->packets = c->captured_bytes = c->wire_bytes = 0;
    if (st != AT_OK)
        return st;
    return at_run(c->rd, c->how->pool, &run, err);
}

/* "block 17", for who has the index at hand; an offset of what is stored. */
static const char *block_at(const struct check *c, uint64_t offset, char *buf,
                            size_t n)
{
    size_t i = 0;

    buf[0] = 0;
    while (i < c->places &&
           c->place[i].file_offset + c->place[i].file_bytes <= offset)
        i++;
    if (i < c->places && c->place[i].file_offset <= offset)
        snprintf(buf, n, ", in block %zu", i);
    return buf;
}

static void tell_hole(struct check *c, const struct at_hole *h)
{
    char block[32] = "";

    if (!h->decoded)
        block_at(c, h->offset, block, sizeof(block));
    trouble(c, c->trace, "damaged: %llu bytes at byte %llu%s%s: no %s is there",
            (unsigned long long)h->bytes, (unsigned long long)h->offset,
            h->decoded ? " of what it decodes to" : "", block, h->what);
}

enum { HOLES_TOLD = 20 };

/* Where the damage is and what is left, or if nothing is, what was wrong. */
static void salvage(struct check *c, const struct at_error *first)
{
    const struct at_hole *hole;
    struct at_salvaged total;
    struct at_error err;
    size_t n = 0;

    at_reader_close(c->rd);
    c->rd = NULL;
    if (access(c->trace, F_OK) != 0) {
        trouble(c, c->trace, "is not there");
        return;
    }
    if (open_and_run(c, true, &err) < 0) {
        tell(c, first);
        return;
    }
    hole = at_reader_holes(c->rd, &n, &total);
    if (n == 0)
        tell(c, first);
    for (size_t i = 0; i < n && i < HOLES_TOLD; i++)
        tell_hole(c, &hole[i]);
    note(c, c->trace, "%llu of %llu packets can be read",
         (unsigned long long)c->packets, (unsigned long long)c->seg->packets);
}

/* The index may be what is wrong, but then its digest is, too. */
static void check_counts(struct check *c)
{
    const struct at_segment *s = c->seg;

    if (c->ix != NULL && !c->misplaced && c->next < c->places) {
        c->misplaced = true;
        trouble(c, c->index, "table block: more blocks than in the trace");
    }
    if (c->packets != s->packets || c->captured_bytes != s->captured_bytes ||
        c->wire_bytes != s->wire_bytes ||
        (c->packets > 0 &&
         (c->first_ns != s->first_ns || c->last_ns != s->last_ns)))
        trouble(c, c->trace,
                "%llu packets of %llu bytes, or other times: not "
                "what is in the catalogue",
                (unsigned long long)c->packets,
                (unsigned long long)c->captured_bytes);
}

static void check_trace(struct check *c)
{
    struct at_error err;
    const enum at_status st = open_and_run(c, false, &err);

    c->health->reads = st >= 0;
    c->health->unread = (st == AT_ERR_SYSTEM || st == AT_ERR_MEMORY) &&
                        access(c->trace, F_OK) == 0;
    if (c->health->unread)
        tell(c, &err);
    else if (st < 0)
        salvage(c, &err);
    else if (!c->done->stopped)
        check_counts(c);
    c->health->packets = c->packets;
    at_reader_close(c->rd);
    c->rd = NULL;
}

/* ---- where a byte is not as it was ----------------------------------- */

/*
 * A BGZF member begins with the same 16 bytes wherever it is, of which those
 * for the time and the system are nobody's business; the last one is empty.
 */
static bool find_bad_member(const struct check *c, uint64_t *offset)
{
    static const uint8_t head[16] = {0x1f, 0x8b, 8, 4, 0,    0,    0, 0,
                                     0,    0xff, 6, 0, 0x42, 0x43, 2, 0};
    uint8_t buf[18];
    struct at_input in;
    bool found = false;
    size_t n;

    if (c->seg->codec != AT_CODEC_BGZF ||
        at_input_open(&in, c->trace, NULL, NULL) != AT_OK)
        return false;
    for (*offset = 0; !found; *offset += at_load_le16(buf + 16) + 1u) {
        if (at_input_read_at(&in, *offset, buf, sizeof(buf), &n, NULL) !=
                AT_OK ||
            n < sizeof(buf))
            break;
        found = memcmp(buf, head, sizeof(head)) != 0;
        if (found)
            break;
    }
    at_input_close(&in);
    return found;
}

/* All its packets can be read, and yet it is not what was written. */
static void tell_trace_byte(struct check *c)
{
    char block[32];
    uint64_t offset;

    if (find_bad_member(c, &offset))
        trouble(c, c->trace,
                "damaged: the header of the BGZF member at byte %llu%s; all "
                "packets can be read",
                (unsigned long long)offset,
                block_at(c, offset, block, sizeof(block)));
    else
        trouble(c, c->trace,
                "damaged: a byte that no packet depends on; all "
                "packets can be read");
}

struct telling {
    struct check *c;
    uint64_t tables, names;
};

static void tell_difference(void *ctx, const struct at_difference *d)
{
    struct telling *t = ctx;

    if (d->names) {
        t->names++;
        return;
    }
    t->tables++;
    trouble(t->c, t->c->index,
            "damaged: table %s: %llu rows, the first is %lld", d->table,
            (unsigned long long)d->rows, (long long)d->row);
}

/* Made anew, it is held against what is there: byte by byte, if it is what was
 * written, else row by row. */
static void compare_index(struct check *c, const char *made, bool damaged)
{
    struct telling t = {.c = c};
    char table[AT_TABLE_NAME];
    struct at_digest digest;
    struct at_error err;
    uint64_t offset;
    enum at_status st = at_digest_of(&digest, made, NULL, &err);

    if (st == AT_OK && at_digest_same(&digest, &c->seg->index_digest)) {
        st = at_first_difference(c->index, made, &offset, &err);
        if (st == AT_OK) {
            at_index_table_at(made, offset, table);
            trouble(c, c->index, "damaged: %s, at byte %llu", table,
                    (unsigned long long)offset);
        }
    } else if (st == AT_OK) {
        st = at_index_compare(c->index, made, tell_difference, &t, &err);
        if (st == AT_OK && damaged && t.tables == 0)
            trouble(c, c->index, "damaged: not what was written");
        if (st == AT_END && !damaged)
            note(c, c->index,
                 "is of an older version: not held against the "
                 "packets");
        if (st == AT_OK && !damaged && t.names > 0)
            note(c, c->index, "applications are named by other rules");
    }
    if (st < 0)
        tell(c, &err);
}

/* Rebuilds the index beside the others; what was said of it is not repeated. */
static void check_deep(struct check *c, bool damaged)
{
    const struct at_rebuilding how = {.pool = c->how->pool,
                                      .apps = c->how->apps};
    struct at_index_totals totals;
    struct at_error err;
    char *made;

    if (asprintf(&made, "%s/index", c->how->folder) < 0) {
        at_error_set(&err, AT_ERR_MEMORY, "out of memory");
        tell(c, &err);
        return;
    }
    if (at_rebuild_index(c->a, c->seg, c->trace, c->index, made, &how, &totals,
                         &err) == AT_OK)
        compare_index(c, made, damaged);
    else
        tell(c, &err);
    unlink(made);
    free(made);
}

/* ---- one segment ----------------------------------------------------- */

static void check_index(struct check *c, enum hashed hash)
{
    const bool can = c->health->reads && c->how->folder != NULL &&
                     !c->done->stopped && hash != HASH_TOLD;

    if (can && (hash == HASH_OTHER || c->how->deep))
        check_deep(c, hash == HASH_OTHER);
    if (hash == HASH_OTHER && c->index_said == 0)
        trouble(c, c->index, "damaged: not what was written");
    c->health->index = !c->misplaced &&
                       (hash == HASH_SAME ||
                        (hash == HASH_UNKNOWN && c->index_said == 0));
}

/* Of a trace that is as it was written. */
static void check_belongs(struct check *c)
{
    struct at_error err;

    if (c->ix != NULL && at_index_check(c->ix, c->trace, &err) == AT_ERR_MISUSE)
        tell_index(c, &err);
}

static void check_files(struct check *c, struct at_lane *lane)
{
    const struct at_segment *seg = c->seg;
    const bool there = seg->gone_ns == 0;
    struct at_health *health = c->health;
    enum hashed index, trace = HASH_SAME;

    begin_hash(lane, c->index);
    if (there)
        begin_hash(lane, c->trace);
    open_index(c);
    if (there)
        check_trace(c);
    index = judge_hash(c, lane, c->ix == NULL, seg->index_bytes,
                       &seg->index_digest, &health->index_digest);
    if (there)
        trace = judge_hash(c, lane, !health->reads, seg->file_bytes,
                           &seg->file_digest, &health->file_digest);
    if (there && (trace == HASH_SAME || trace == HASH_UNKNOWN))
        check_belongs(c);
    check_index(c, index);
    if (trace == HASH_OTHER && health->reads)
        tell_trace_byte(c);
    health->trace = !there || (health->reads &&
                               (trace == HASH_SAME || trace == HASH_UNKNOWN));
}

enum at_status at_verify_segment(struct at_archive *a,
                                 const struct at_segment *seg,
                                 const struct at_verify *how,
                                 struct at_verified *done,
                                 struct at_health *health, struct at_error *err)
{
    struct check c = {
        .a = a, .how = how, .seg = seg, .done = done, .health = health};
    struct at_lane *lane = at_lane_open(how->pool, hash, NULL,
                                        sizeof(struct hashing), 2, false);
    enum at_status st = AT_OK;
    bool there = true;

    *health = (struct at_health){.trace = false};
    c.held = calloc(HELD_MOST, sizeof(c.held[0]));
    c.trace = at_archive_path(a, seg->path);
    c.index = c.trace != NULL ? at_index_path(c.trace) : NULL;
    if (lane == NULL || c.index == NULL || c.held == NULL)
        st = at_error_set(err, AT_ERR_MEMORY, "out of memory");
    else
        check_files(&c, lane);
    if (st == AT_OK && health->troubles > 0)
        st = at_archive_has(a, seg, &there, err);
    if (there)
        tell_held(&c);
    else
        *health = (struct at_health){.trace = true, .index = true};
    done->segments += there;
    done->packets += there ? c.packets : 0;
    at_lane_close(lane, NULL);
    at_index_close(c.ix);
    free(c.held);
    free(c.place);
    free(c.trace);
    free(c.index);
    return st;
}

enum at_status at_verify_segments(struct at_archive *a,
                                  const struct at_segments *list,
                                  const struct at_verify *how,
                                  struct at_verified *done,
                                  struct at_error *err)
{
    enum at_status st = AT_OK;

    for (size_t i = 0; i < list->n && st == AT_OK && !done->stopped; i++) {
        struct at_health health;

        st = at_verify_segment(a, &list->segment[i], how, done, &health, err);
    }
    return st;
}
