/*
 * repair.c - an archive put right after a crash or damage
 *
 * The catalogue first, for it says what there should be; then files that it
 * does not name; then each segment, as verify sees it.
 */
#include "repair.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "errors.h"
#include "files.h"
#include "index.h"
#include "repair_inside.h"
#include "seal.h"

#define ASIDE "aside"

/* ---- telling --------------------------------------------------------- */

typedef void say_fn(void *ctx, const struct at_error *what);

static void say(struct at_repairing *r, say_fn *fn, const char *file,
                const char *fmt, va_list ap)
{
    struct at_error text, what;

    at_error_within(&text, AT_ERR_CORRUPT, file, ": ", fmt, ap);
    at_error_set(&what, text.status, "%s/%s", r->a->path, text.msg);
    fn(r->how->ctx, &what);
}

void at_repair_trouble(struct at_repairing *r, const char *file,
                       const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    say(r, r->how->trouble, file, fmt, ap);
    va_end(ap);
    r->done->seen.troubles++;
}

void at_repair_fixed(struct at_repairing *r, const char *file, const char *fmt,
                     ...)
{
    va_list ap;

    va_start(ap, fmt);
    say(r, r->how->fixed, file, fmt, ap);
    va_end(ap);
    r->done->fixed++;
}

void at_repair_left(struct at_repairing *r, const char *file, const char *fmt,
                    ...)
{
    va_list ap;

    va_start(ap, fmt);
    say(r, r->how->left, file, fmt, ap);
    va_end(ap);
    r->done->left++;
}

void at_repair_note(struct at_repairing *r, const char *file, const char *fmt,
                    ...)
{
    va_list ap;

    va_start(ap, fmt);
    say(r, r->how->note, file, fmt, ap);
    va_end(ap);
}

/* ---- files ----------------------------------------------------------- */

enum at_status at_repair_link_aside(struct at_archive *a, const char *path,
                                    struct at_error *err)
{
    char *relative = at_path_join(ASIDE, path);
    char *from = at_path_join(a->path, path);
    char *to = relative != NULL ? at_path_join(a->path, relative) : NULL;
    enum at_status st;

    if (from == NULL || to == NULL)
        st = at_error_set(err, AT_ERR_MEMORY, "out of memory");
    else
        st = at_dir_make_for(a->path, relative, err);
    if (st == AT_OK)
        st = at_file_link(from, to, err);
    if (st == AT_OK)
        st = at_dir_sync_of(to, err);
    free(relative);
    free(from);
    free(to);
    return st;
}

enum at_status at_repair_aside(struct at_archive *a, const char *path,
                               struct at_error *err)
{
    char *from = at_path_join(a->path, path);
    enum at_status st = from != NULL ? at_repair_link_aside(a, path, err)
                                     : AT_ERR_MEMORY;

    if (from == NULL)
        return at_error_set(err, st, "out of memory");
    if (st == AT_OK && unlink(from) != 0)
        st = at_error_system(err, from, "remove");
    free(from);
    return st;
}

/* Those in tmp/ and pending/ are removed when all have been looked at. */
static enum at_status look_at(void *ctx, const char *path, struct at_error *err)
{
    struct at_repairing *r = ctx;
    enum at_owner owner;
    enum at_status st = at_catalog_owner(r->a, path, &owner, err);

    if (st != AT_OK || owner == AT_OWNER_SEGMENT)
        return st;
    if (owner == AT_OWNER_INTENT || strncmp(path, "segments/", 9) != 0) {
        at_repair_fixed(r, path, "removed: left by a process that was stopped");
        return AT_OK;
    }
    st = at_repair_aside(r->a, path, err);
    if (st == AT_OK)
        at_repair_fixed(r, path, "not in the catalogue: is in " ASIDE "/ now");
    return st;
}

static enum at_status repair_files(struct at_repairing *r, struct at_error *err)
{
    static const char *const dir[] = {"tmp", "pending", "segments"};
    enum at_status st = AT_OK;

    for (int i = 0; i < 3 && st == AT_OK; i++)
        st = at_dir_walk(r->a->path, dir[i], look_at, r, err);
    return st == AT_OK ? at_catalog_clean(r->a, err) : st;
}

/* ---- indexes --------------------------------------------------------- */

/* Gives the index its place, which may be that of another. */
static enum at_status place_index(const char *made, const char *index,
                                  struct at_segment *seg, struct at_error *err)
{
    enum at_status st = at_digest_of(&seg->index_digest, made,
                                     &seg->index_bytes, err);

    if (st == AT_OK && rename(made, index) != 0)
        st = at_error_system(err, index, "replace");
    return st == AT_OK ? at_dir_sync_of(index, err) : st;
}

enum at_status at_repair_index(struct at_repairing *r, struct at_segment *seg,
                               struct at_index_totals *totals,
                               struct at_error *err)
{
    const struct at_rebuilding how = {.pool = r->how->pool,
                                      .apps = r->how->apps,
                                      .progress = r->how->progress,
                                      .progress_ctx = r->how->progress_ctx};
    char *trace = at_path_join(r->a->path, seg->path);
    char *index = trace != NULL ? at_index_path(trace) : NULL;
    char *made = at_path_join(r->a->path, "tmp/index");
    enum at_status st;

    if (index == NULL || made == NULL)
        st = at_error_set(err, AT_ERR_MEMORY, "out of memory");
    else
        st = at_rebuild_index(r->a, seg, trace, index, made, &how, totals, err);
    if (st == AT_OK)
        st = place_index(made, index, seg, err);
    if (made != NULL)
        unlink(made);
    free(trace);
    free(index);
    free(made);
    return st;
}

static enum at_status note_segment(struct at_repairing *r,
                                   struct at_segment *seg, struct at_error *err)
{
    const struct at_segments one = {.segment = seg, .n = 1};

    return at_archive_note_indexes(r->a, &one, err);
}

/* While it is replaced nobody knows what it should be. */
static enum at_status renew_index(struct at_repairing *r,
                                  struct at_segment *seg, struct at_error *err)
{
    const struct at_digest was = seg->index_digest;
    struct at_index_totals totals;
    enum at_status st;

    seg->index_digest.known = false;
    st = note_segment(r, seg, err);
    if (st == AT_OK)
        st = at_repair_index(r, seg, &totals, err);
    if (st == AT_OK)
        st = note_segment(r, seg, err);
    if (st == AT_OK)
        at_repair_fixed(r, seg->path, "its index is made anew%s",
                        at_digest_same(&was, &seg->index_digest) ? ", as it was"
                                                                 : "");
    return st;
}

/* ---- traces ---------------------------------------------------------- */

/* What takes the place of a damaged trace. */
struct salvage {
    struct at_repairing *r;
    const struct at_segment *old;
    char *from, *old_index; /* full paths */
    char *made, *index;     /* in tmp/ */
    struct at_segment seg;
    struct at_digesting *digesting;
};

static enum at_status copy_records(struct at_reader *rd, struct at_writer *w,
                                   struct at_error *err)
{
    struct at_packet pkt;
    enum at_status st;

    while ((st = at_reader_next(rd, &pkt)) == AT_OK)
        if (at_writer_put(w, &pkt) != AT_OK)
            return at_error_copy(err, at_writer_error(w));
    if (st < 0)
        return at_error_copy(err, at_reader_error(rd));
    return at_writer_commit(w) == AT_OK
               ? AT_OK
               : at_error_copy(err, at_writer_error(w));
}

static enum at_status write_trace(struct salvage *s, struct at_reader *rd,
                                  struct at_error *err)
{
    const struct at_trace_info *info = at_reader_info(rd);
    const struct at_writer_options opts = {
        .size = sizeof(opts),
        .pool = s->r->how->pool,
        .format = s->old->format,
        .codec = info->codec,
        .linktype = info->linktype,
        .snap_bytes = info->snap_bytes,
        .sync = true,
        .written = at_digesting_add,
        .written_ctx = s->digesting,
    };
    struct at_writer *w;
    enum at_status st = at_writer_open(&w, s->made, &opts, err);

    if (st != AT_OK)
        return st;
    st = copy_records(rd, w, err);
    if (st == AT_OK)
        s->seg.file_digest = at_digesting_end(s->digesting);
    at_writer_close(w);
    return st;
}

static enum at_status salvage_trace(struct salvage *s, struct at_error *err)
{
    const struct at_reader_options opts = {
        .size = sizeof(opts), .pool = s->r->how->pool, .salvage = true};
    struct at_reader *rd;
    enum at_status st = at_digesting_open(&s->digesting, err);

    if (st == AT_OK)
        st = at_reader_open(&rd, s->from, &opts, err);
    if (st != AT_OK)
        return st;
    st = write_trace(s, rd, err);
    at_reader_close(rd);
    return st;
}

static enum at_status index_salvaged(struct salvage *s, struct at_error *err)
{
    const struct at_rebuilding how = {.pool = s->r->how->pool,
                                      .apps = s->r->how->apps};
    struct at_index_totals t;
    enum at_status st = at_rebuild_index(s->r->a, s->old, s->made, s->old_index,
                                         s->index, &how, &t, err);

    if (st != AT_OK)
        return st;
    s->seg.packets = t.packets;
    s->seg.captured_bytes = t.captured_bytes;
    s->seg.wire_bytes = t.wire_bytes;
    s->seg.flows = t.flows;
    s->seg.first_ns = t.first_ns;
    s->seg.last_ns = t.packets > 0 ? t.last_ns : t.first_ns - 1;
    s->seg.file_bytes = at_file_bytes(s->made);
    return at_digest_of(&s->seg.index_digest, s->index, &s->seg.index_bytes,
                        err);
}

static uint64_t less(uint64_t a, uint64_t b)
{
    return a > b ? a - b : 0;
}

static enum at_status put_salvaged(struct salvage *s, struct at_error *err)
{
    struct at_archive *a = s->r->a;
    const uint64_t lost = less(s->old->packets, s->seg.packets);
    enum at_status st = at_repair_link_aside(a, s->old->path, err);

    if (st == AT_OK && lost > 0)
        st = at_archive_note_lost(
            a, s->old, lost,
            less(s->old->captured_bytes, s->seg.captured_bytes), at_time_now(),
            err);
    if (st == AT_OK)
        st = at_archive_add(a, &s->seg, s->made, s->old->id, NULL, NULL, 0,
                            err);
    if (st == AT_OK)
        st = at_catalog_forget_intents(a, err);
    if (st == AT_OK)
        at_repair_fixed(s->r, s->old->path,
                        "replaced by %s with %llu of %llu packets; is in " ASIDE
                        "/ now",
                        s->seg.path, (unsigned long long)s->seg.packets,
                        (unsigned long long)s->old->packets);
    free(s->seg.path);
    return st;
}

/* Of a trace of which nothing can be read the flows are kept, if they can. */
static enum at_status give_up_trace(struct at_repairing *r,
                                    const struct at_segment *seg, bool index,
                                    struct at_error *err)
{
    struct at_segment copy = *seg;
    const struct at_segments one = {.segment = &copy, .n = 1};
    char *trace = at_path_join(r->a->path, seg->path);
    enum at_status st = AT_OK;

    if (trace == NULL)
        return at_error_set(err, AT_ERR_MEMORY, "out of memory");
    if (access(trace, F_OK) == 0)
        st = at_repair_link_aside(r->a, seg->path, err);
    free(trace);
    if (st == AT_OK)
        st = at_archive_remove(r->a, &one, index, at_time_now(), "lost", err);
    if (st == AT_OK)
        at_repair_fixed(r, seg->path,
                        "no packet can be read: %s in the archive",
                        index ? "only its flows are" : "nothing of it is");
    return st;
}

static enum at_status salvage_segment(struct at_repairing *r,
                                      const struct at_segment *seg,
                                      const struct at_health *health,
                                      struct at_error *err)
{
    struct salvage s = {.r = r, .old = seg, .seg = *seg};
    enum at_status st = AT_OK;

    if (health->packets == 0)
        return give_up_trace(r, seg, health->index, err);
    s.seg.path = NULL;
    s.from = at_path_join(r->a->path, seg->path);
    s.old_index = s.from != NULL ? at_index_path(s.from) : NULL;
    s.made = at_path_join(r->a->path, "tmp/draft");
    s.index = s.made != NULL ? at_index_path(s.made) : NULL;
    if (s.old_index == NULL || s.index == NULL)
        st = at_error_set(err, AT_ERR_MEMORY, "out of memory");
    if (st == AT_OK)
        st = salvage_trace(&s, err);
    if (st == AT_OK)
        st = index_salvaged(&s, err);
    if (st == AT_OK)
        st = put_salvaged(&s, err);
    if (s.index != NULL) {
        unlink(s.made);
        unlink(s.index);
    }
    at_digesting_close(s.digesting);
    free(s.from);
    free(s.old_index);
    free(s.made);
    free(s.index);
    return st;
}

/* ---- segments -------------------------------------------------------- */

static enum at_status repair_whole(struct at_repairing *r,
                                   struct at_segment *seg,
                                   const struct at_health *health,
                                   struct at_error *err)
{
    const bool known = seg->file_digest.known && seg->index_digest.known;
    enum at_status st = AT_OK;

    seg->file_digest = health->file_digest;
    if (!health->index)
        return renew_index(r, seg, err);
    if (known)
        return AT_OK;
    seg->index_digest = health->index_digest;
    st = note_segment(r, seg, err);
    if (st == AT_OK)
        at_repair_fixed(r, seg->path, "its digests are known now");
    return st;
}

static enum at_status repair_damaged(struct at_repairing *r,
                                     struct at_segment *seg,
                                     const struct at_health *health,
                                     struct at_error *err)
{
    if (health->unread) { /* it may be whole */
        at_repair_left(r, seg->path, "left as it is: cannot be read now");
        return AT_OK;
    }
    if (r->how->salvage)
        return salvage_segment(r, seg, health, err);
    at_repair_left(r, seg->path,
                   "left as it is: %llu of %llu packets can be read, which "
                   "--salvage keeps",
                   (unsigned long long)health->packets,
                   (unsigned long long)seg->packets);
    return AT_OK;
}

static enum at_status repair_gone(struct at_repairing *r,
                                  struct at_segment *seg,
                                  const struct at_health *health,
                                  struct at_error *err)
{
    enum at_status st = AT_OK;

    if (!health->index) {
        at_repair_left(r, seg->path,
                       "its index cannot be made anew: the packets are gone");
    } else if (!seg->index_digest.known) {
        seg->index_digest = health->index_digest;
        st = note_segment(r, seg, err);
    }
    return st;
}

static void no_note(void *ctx, const struct at_error *what)
{
    (void)ctx;
    (void)what;
}

static enum at_status repair_segment(struct at_repairing *r,
                                     struct at_segment *seg,
                                     struct at_error *err)
{
    const struct at_verify verify = {
        .pool = r->how->pool,
        .apps = r->how->apps,
        .progress = r->how->progress,
        .progress_ctx = r->how->progress_ctx,
        .trouble = r->how->trouble,
        .note = no_note,
        .ctx = r->how->ctx,
    };
    struct at_health health;
    enum at_status st = at_verify_segment(r->a, seg, &verify, &r->done->seen,
                                          &health, err);

    if (st != AT_OK || r->done->seen.stopped)
        return st;
    if (seg->gone_ns != 0)
        return repair_gone(r, seg, &health, err);
    return health.trace ? repair_whole(r, seg, &health, err)
                        : repair_damaged(r, seg, &health, err);
}

/* What fails of one segment need not fail of the others, unless it is the
 * catalogue that does. */
static enum at_status repair_segments(struct at_repairing *r,
                                      struct at_error *err)
{
    struct at_segments list;
    struct at_error one;
    enum at_status st = at_archive_segments(r->a, NULL, AT_TIME_MIN,
                                            AT_TIME_MAX, &list, err);

    if (st != AT_OK)
        return st;
    for (size_t i = 0; i < list.n && !r->done->seen.stopped; i++) {
        const enum at_status said = repair_segment(r, &list.segment[i], &one);

        r->done->seen.stopped |= said == AT_END;
        if (said < 0) {
            r->how->left(r->how->ctx, &one);
            r->done->left++;
        }
        if (r->a->sql.err.status != AT_OK) {
            st = at_catalog_error(r->a, err);
            break;
        }
    }
    at_segments_free(&list);
    return st;
}

/* ---- all of it ------------------------------------------------------- */

/* An archive without its catalogue is known by its directory. */
static enum at_status check_directory(const char *path, struct at_error *err)
{
    char *segments = at_path_join(path, "segments");
    const bool is = at_archive_is(path) ||
                    (segments != NULL && access(segments, F_OK) == 0);

    free(segments);
    return is ? AT_OK
              : at_error_set(err, AT_ERR_FORMAT, "%s: not an archive", path);
}

static enum at_status open_or_rebuild(struct at_repairing *r,
                                      struct at_error *err)
{
    struct at_error bad;
    enum at_status st = AT_ERR_CORRUPT;

    if (at_archive_is(r->a->path))
        st = at_catalog_open(r->a, &bad);
    else
        at_error_set(&bad, st, "%s/" AT_CATALOG_NAME ": is not there",
                     r->a->path);
    if (st != AT_ERR_CORRUPT)
        return st == AT_OK ? st : at_error_copy(err, &bad);
    r->how->trouble(r->how->ctx, &bad);
    r->done->seen.troubles++;
    at_catalog_close(r->a);
    st = at_repair_catalog(r, err);
    return st == AT_OK ? at_catalog_open(r->a, err) : st;
}

enum at_status at_repair_archive(const char *archive,
                                 const struct at_repair *how,
                                 struct at_repaired *done, struct at_error *err)
{
    struct at_repairing r = {.how = how, .done = done};
    enum at_status st = check_directory(archive, err);

    *done = (struct at_repaired){.fixed = 0};
    if (st != AT_OK)
        return st;
    r.a = at_catalog_new(archive);
    if (r.a == NULL)
        return at_error_set(err, AT_ERR_MEMORY, "out of memory");
    st = at_catalog_lock(r.a, err);
    if (st == AT_OK)
        st = at_dir_make(archive, "tmp", err);
    if (st == AT_OK)
        st = at_dir_make(archive, "pending", err);
    if (st == AT_OK)
        st = open_or_rebuild(&r, err);
    if (st == AT_OK)
        st = repair_files(&r, err);
    if (st == AT_OK)
        st = repair_segments(&r, err);
    at_archive_close(r.a);
    return st;
}
