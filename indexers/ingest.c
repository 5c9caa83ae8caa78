/*
 * ingest.c - capture files into an archive
 *
 * One pass: the pool decompresses, decodes and compresses; the caller's
 * thread puts each record to the draft of a segment and its sight to the
 * draft's flow table.  What a segment holds, where its blocks end and what its
 * index says depend on its records only.  So a pending segment is taken up
 * again by reading it first, and comes out as if it had never been put down.
 */
#include "ingest.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "catalog.h"
#include "errors.h"
#include "files.h"
#include "sights.h"
#include "taken.h"

enum { PCAP_SNAP = 262144 }; /* where an input does not say */

/* A segment in the making. */
struct draft {
    struct at_writer *writer; /* NULL: there is none */
    struct at_builder *builder;
    char *folder; /* where the builder keeps flows */
    char *path;   /* in tmp/ */
    int64_t start_ns, end_ns;
    enum at_format format;
    uint16_t linktype;       /* of all of them; 0 for ERF */
    uint16_t first_linktype; /* of the first record */
    uint32_t snap_bytes;
    uint64_t bytes;                 /* of records */
    struct at_digesting *digesting; /* of the bytes of the file */
    struct at_carry carry; /* flows that go on from the segment before */
    struct at_carry open;  /* flows that are open at the end */
};

struct ingest {
    const struct at_ingest *how;
    struct at_archive *archive;
    struct at_ingested *done;
    struct draft draft;
    struct at_segments pending;   /* of the stream: at most one */
    int64_t taken_up;             /* the pending segment that the draft holds */
    struct at_input_state *input; /* not yet in the catalogue */
    size_t inputs;
    uint64_t skip;            /* records of this input that were taken before */
    struct at_taken *taken;   /* by a run of the other kind; may be NULL */
    struct at_salvaged holes; /* of this input */
    uint64_t total_bytes, done_bytes;
    const struct at_trace_info *trace; /* being read */
    struct at_sighting sighting;
    bool again; /* what is read is a pending segment, not an input */
    bool stopped;
};

/* ---- drafts ---------------------------------------------------------- */

static void close_draft(struct draft *d)
{
    at_writer_close(d->writer);
    at_builder_close(d->builder);
    at_digesting_close(d->digesting);
    at_carry_close(&d->carry);
    at_carry_close(&d->open);
    free(d->folder);
    free(d->path);
    *d = (struct draft){.writer = NULL};
}

static int64_t boundary_before(int64_t ns, int64_t step)
{
    int64_t rest = ns % step;

    if (rest < 0)
        rest += step;
    return ns - rest;
}

static enum at_codec codec_of(const struct at_ingest *how)
{
    return how->codec == AT_CODEC_UNKNOWN ? AT_CODEC_BGZF : how->codec;
}

/* Level 4 of BGZF takes two thirds of the time of the usual 6, for 2% more
 * bytes of headers and 0.3% of whole packets. */
static int level_of(const struct at_ingest *how)
{
    enum { INGEST_LEVEL = 4 };

    return codec_of(how) == AT_CODEC_BGZF && how->level == 0 ? INGEST_LEVEL
                                                             : how->level;
}

/* Flows that were open at the end of the segment before go on. */
static enum at_status resume_flows(struct ingest *in, struct at_error *err)
{
    struct draft *d = &in->draft;
    const enum at_status st = at_archive_open_flows(
        in->archive, in->how->stream, in->taken_up, d->start_ns, &d->carry,
        err);

    return st == AT_OK ? at_builder_resume(d->builder, &d->carry, err) : st;
}

/* What the header of the segment says, which an index that is made of it by
 * reading must say, too. */
static uint32_t snap_of(const struct at_trace_info *trace)
{
    const bool erf = trace->format == AT_FORMAT_ERF;

    return erf || trace->snap_bytes > 0 ? trace->snap_bytes : PCAP_SNAP;
}

static enum at_status open_draft(struct ingest *in, const struct at_packet *pkt,
                                 int64_t ns, struct at_error *err)
{
    struct draft *d = &in->draft;
    struct at_writer_options opts = {
        .size = sizeof(opts),
        .pool = in->how->pool,
        .format = in->trace->format == AT_FORMAT_ERF ? AT_FORMAT_ERF
                                                     : AT_FORMAT_PCAP,
        .codec = codec_of(in->how),
        .level = level_of(in->how),
        .linktype = pkt->linktype,
        .snap_bytes = snap_of(in->trace),
        .sync = true,
        .written = at_digesting_add,
    };
    enum at_status st = at_digesting_open(&d->digesting, err);

    if (st != AT_OK)
        return st;
    opts.written_ctx = d->digesting;
    d->start_ns = boundary_before(ns, in->how->rotate_ns);
    d->end_ns = d->start_ns + in->how->rotate_ns;
    d->format = opts.format;
    d->linktype = opts.format == AT_FORMAT_ERF ? 0 : pkt->linktype;
    d->first_linktype = pkt->linktype;
    d->snap_bytes = opts.snap_bytes;
    d->path = at_archive_path(in->archive, "tmp/draft");
    d->folder = at_archive_path(in->archive, "tmp");
    if (d->folder != NULL)
        d->builder = at_builder_open(&in->how->tracking, in->sighting.seed,
                                     d->folder, in->how->pool);
    if (d->path == NULL || d->builder == NULL)
        return at_error_set(err, AT_ERR_MEMORY, "out of memory");
    st = resume_flows(in, err);
    return st == AT_OK ? at_writer_open(&d->writer, d->path, &opts, err) : st;
}

/* Writes the draft's trace and index under tmp/. */
static enum at_status finish_draft(struct ingest *in, const char *index,
                                   struct at_error *err)
{
    struct draft *d = &in->draft;
    struct at_index_about about = {
        .format = d->format,
        .codec = codec_of(in->how),
        .linktype = d->first_linktype,
        .snap_bytes = d->snap_bytes,
        .stream = in->how->stream,
        .apps = in->how->apps,
        .complete = true,
        .open = &d->open,
    };
    const struct at_place *place;
    size_t places;
    enum at_status st = at_writer_commit(d->writer);

    at_losses_add(&in->done->losses, at_writer_losses(d->writer));
    if (st != AT_OK) {
        return at_error_copy(err, at_writer_error(d->writer));
    }
    st = at_identity_of(&about.identity, d->path, err);
    if (st != AT_OK)
        return st;
    place = at_writer_places(d->writer, &places);
    return at_builder_write(d->builder, index, &about, place, places, err);
}

/* Of the trace it was taken on the way; the index was just written by SQLite,
 * not from its beginning to its end, and is small. */
static enum at_status find_digests(struct ingest *in, struct at_segment *seg,
                                   const char *index, struct at_error *err)
{
    seg->file_digest = at_digesting_end(in->draft.digesting);
    return at_digest_of(&seg->index_digest, index, &seg->index_bytes, err);
}

static enum at_status add_draft(struct ingest *in, const char *index,
                                bool pending, struct at_error *err)
{
    struct draft *d = &in->draft;
    const struct at_index_totals *t = at_builder_totals(d->builder);
    struct at_segment seg = {
        .stream = (char *)(uintptr_t)in->how->stream,
        .pending = pending,
        .start_ns = d->start_ns,
        .end_ns = d->end_ns,
        .first_ns = t->first_ns,
        .last_ns = t->packets > 0 ? t->last_ns : t->first_ns - 1,
        .packets = t->packets,
        .captured_bytes = t->captured_bytes,
        .wire_bytes = t->wire_bytes,
        .flows = t->flows,
        .file_bytes = at_file_bytes(d->path),
        .format = d->format,
        .codec = codec_of(in->how),
        .linktype = d->linktype,
    };
    enum at_status st = find_digests(in, &seg, index, err);

    if (st == AT_OK)
        st = at_archive_add(in->archive, &seg, d->path, in->taken_up, &d->open,
                            in->input, in->inputs, err);
    in->done->forced += t->forced;
    in->done->names_lost += t->names_lost;
    free(seg.path);
    return st;
}

/* Of what was noted about inputs, only the one being read is still open. */
static void forget_inputs(struct ingest *in)
{
    if (in->inputs == 0 || in->input[in->inputs - 1].complete) {
        in->inputs = 0;
        return;
    }
    in->input[0] = in->input[in->inputs - 1];
    in->inputs = 1;
}

/* Makes the draft a segment of the archive, sealed or pending. */
static enum at_status put_draft(struct ingest *in, bool pending,
                                struct at_error *err)
{
    struct draft *d = &in->draft;
    char *index;
    enum at_status st;

    if (d->writer == NULL)
        return AT_OK;
    index = at_path_append(d->path, ".idx");
    if (index == NULL)
        return at_error_set(err, AT_ERR_MEMORY, "out of memory");
    st = finish_draft(in, index, err);
    if (st == AT_OK)
        st = add_draft(in, index, pending, err);
    unlink(d->path);
    unlink(index);
    free(index);
    close_draft(d);
    if (st != AT_OK)
        return st;
    in->taken_up = 0;
    in->done->segments += !pending;
    forget_inputs(in);
    return AT_OK;
}

/* ---- records --------------------------------------------------------- */

static enum at_status read_into_drafts(struct ingest *in, const char *path,
                                       bool *damaged, struct at_error *err);

/* What becomes of the segment that is pending when packets of 'ns' come. */
static enum at_status meet_pending(struct ingest *in,
                                   const struct at_packet *pkt, int64_t ns,
                                   bool *taken_up, struct at_error *err)
{
    const struct at_segment *seg = in->pending.segment;
    const struct at_trace_info *trace = in->trace;
    const bool erf = trace->format == AT_FORMAT_ERF;
    bool damaged;
    char *path;
    enum at_status st;

    *taken_up = false;
    if (in->pending.n == 0 || ns < seg->start_ns)
        return AT_OK;
    if (ns >= seg->end_ns || erf != (seg->format == AT_FORMAT_ERF) ||
        (!erf && pkt->linktype != seg->linktype)) {
        st = at_archive_seal(in->archive, seg, err);
        in->done->segments += st == AT_OK;
        at_segments_free(&in->pending);
        return st;
    }
    path = at_archive_path(in->archive, seg->path);
    if (path == NULL)
        return at_error_set(err, AT_ERR_MEMORY, "out of memory");
    in->taken_up = seg->id;
    at_segments_free(&in->pending);
    in->again = true;
    st = read_into_drafts(in, path, &damaged, err);
    in->again = false;
    in->trace = trace;
    free(path);
    *taken_up = in->draft.writer != NULL;
    return st;
}

/* Whether the record cannot go into the draft that there is. */
static bool needs_new_draft(const struct ingest *in,
                            const struct at_packet *pkt, int64_t ns)
{
    const struct draft *d = &in->draft;
    const bool erf = in->trace->format == AT_FORMAT_ERF;

    if (d->writer == NULL || erf != (d->format == AT_FORMAT_ERF) ||
        (!erf && pkt->linktype != d->linktype))
        return true;
    if (in->again || pkt->kind != AT_KIND_PACKET || pkt->timeless)
        return false;
    return ns >= d->end_ns ||
           (in->how->rotate_bytes > 0 && d->bytes >= in->how->rotate_bytes);
}

static enum at_status ready_draft(struct ingest *in,
                                  const struct at_packet *pkt, int64_t ns,
                                  struct at_error *err)
{
    bool taken_up = false;
    enum at_status st = put_draft(in, false, err);

    if (st == AT_OK && !in->again)
        st = meet_pending(in, pkt, ns, &taken_up, err);
    if (st == AT_OK && taken_up && needs_new_draft(in, pkt, ns)) {
        taken_up = false; /* it is as large as it may become */
        st = put_draft(in, false, err);
    }
    if (st == AT_OK && !taken_up)
        st = open_draft(in, pkt, ns, err);
    return st;
}

/* The sights of one block of the draft on their way to its flow table. */
struct stretch {
    const struct at_sight *from;
    struct at_besides besides; /* of the batch */
    size_t n;
    uint64_t block;
};

static enum at_status end_stretch(struct ingest *in, struct stretch *s,
                                  struct at_error *err)
{
    enum at_status st = AT_OK;

    if (s->n > 0)
        st = at_builder_add(in->draft.builder, s->from, s->n, &s->besides,
                            s->block, err);
    s->from += s->n;
    s->n = 0;
    return st;
}

/* One more record of the input is behind us. */
static void count_record(struct ingest *in)
{
    struct at_input_state *input = &in->input[in->inputs - 1];

    if (in->how->reading.salvage)
        input->salvaged_records++;
    else
        input->records++;
}

/* The next sight is of a record that does not go into a segment. */
static enum at_status pass_over(struct ingest *in, struct stretch *s,
                                struct at_error *err)
{
    const enum at_status st = end_stretch(in, s, err);

    s->from++;
    count_record(in);
    return st;
}

static enum at_status put_record(struct ingest *in, struct stretch *s,
                                 const struct at_packet *pkt,
                                 struct at_error *err)
{
    const int64_t ns = at_ts_to_ns(pkt->ts);
    struct draft *d = &in->draft;
    uint64_t before;
    enum at_status st;

    if (pkt->kind != AT_KIND_PACKET && pkt->timeless) {
        at_losses_count(&in->done->losses, pkt); /* of pcapng */
        return pass_over(in, s, err);
    }
    if (needs_new_draft(in, pkt, ns)) {
        st = end_stretch(in, s, err);
        if (st == AT_OK)
            st = ready_draft(in, pkt, ns, err);
        if (st != AT_OK)
            return st;
    }
    before = at_writer_raw_bytes(d->writer);
    if (at_writer_put(d->writer, pkt) != AT_OK) {
        return at_error_copy(err, at_writer_error(d->writer));
    }
    d->bytes += at_writer_raw_bytes(d->writer) - before;
    if (s->n > 0 && s->block != at_writer_block(d->writer)) {
        st = end_stretch(in, s, err);
        if (st != AT_OK)
            return st;
    }
    s->block = at_writer_block(d->writer);
    s->n++;
    if (in->again)
        return AT_OK;
    in->done->late += pkt->kind == AT_KIND_PACKET && ns < d->start_ns;
    in->done->packets += pkt->kind == AT_KIND_PACKET;
    in->done->bytes += pkt->cap_bytes;
    count_record(in);
    return AT_OK;
}

/* What a batch has become on the way to the report. */
struct slot {
    struct at_sights sights;
    struct at_packet *pkt; /* of each record, if they are changed */
    bool *dropped;
    size_t n, room;
    struct at_scratch scratch; /* where changed bytes are */
};

/* A changed record takes at most so many bytes more. */
enum { CHANGE_BYTES = 32 };

static enum at_status make_room(struct slot *s, const struct at_batch *batch)
{
    size_t n = 0, bytes = 0;

    for (size_t i = 0; i < batch->blocks; i++) {
        n += batch->block[i].records;
        bytes += batch->block[i].place.bytes;
    }
    bytes += n * CHANGE_BYTES;
    if (n > s->room) {
        free(s->pkt);
        free(s->dropped);
        s->room = n + n / 4;
        s->pkt = malloc(s->room * sizeof(s->pkt[0]));
        s->dropped = malloc(s->room * sizeof(s->dropped[0]));
    }
    if (bytes > s->scratch.room) {
        free(s->scratch.p);
        s->scratch.room = bytes + bytes / 4;
        s->scratch.p = malloc(s->scratch.room);
    }
    s->scratch.used = 0;
    s->n = 0;
    if (s->pkt != NULL && s->dropped != NULL && s->scratch.p != NULL)
        return AT_OK;
    s->room = s->scratch.room = 0;
    return AT_ERR_MEMORY;
}

static enum at_status change_batch(const struct ingest *in, struct slot *s,
                                   const struct at_batch *batch,
                                   struct at_error *err)
{
    const struct at_change *how = in->how->change;

    if (make_room(s, batch) != AT_OK)
        return at_error_set(err, AT_ERR_MEMORY, "out of memory");
    for (size_t i = 0; i < batch->blocks; i++) {
        struct at_walk walk = at_walk_block(batch, i);

        for (; at_walk_next(&walk, &s->pkt[s->n]); s->n++)
            s->dropped[s->n] = !how->change(how->ctx, &s->scratch,
                                            &s->pkt[s->n]);
    }
    return at_sights_take_these(&s->sights, s->pkt, s->n, &in->sighting, err);
}

/*
 * One trace on its way into drafts.  A pending segment, which has been changed
 * before, is read in the middle of an input, of which threads have batches in
 * hand: so each reading knows for itself whether it changes them.
 */
struct reading {
    struct ingest *in;
    bool changes;
};

static enum at_status ingest_work(void *ctx, void *slot,
                                  const struct at_batch *batch,
                                  struct at_error *err)
{
    const struct reading *r = ctx;
    struct slot *s = slot;

    return r->changes
               ? change_batch(r->in, s, batch, err)
               : at_sights_take(&s->sights, batch, &r->in->sighting, err);
}

static void ingest_drop(void *ctx, void *slot)
{
    struct slot *s = slot;

    (void)ctx;
    at_sights_drop(&s->sights);
    free(s->pkt);
    free(s->dropped);
    free(s->scratch.p);
}

static bool goes_on(struct ingest *in, const struct at_batch *batch)
{
    const struct at_place *end = &batch->block[batch->blocks - 1].place;

    if (in->again || in->how->progress == NULL)
        return true;
    return in->how->progress(in->how->progress_ctx,
                             in->done_bytes + end->file_offset +
                                 end->file_bytes,
                             in->total_bytes, in->done->packets);
}

/* One record of block 'i': 'at' is where it lies in it; it may be dropped. */
static enum at_status take_record(struct ingest *in, struct stretch *s,
                                  const struct at_block *block,
                                  const uint8_t *at,
                                  const struct at_packet *pkt, bool dropped,
                                  struct at_error *err)
{
    const uint64_t offset = block->place.raw_offset +
                            (uint64_t)(at - block->data);

    if (in->again)
        return put_record(in, s, pkt, err);
    if (in->skip > 0) {
        in->skip--;
        s->from++;
        return AT_OK;
    }
    if (in->taken != NULL && at_taken_has(in->taken, offset))
        return pass_over(in, s, err);
    in->done->dropped += dropped;
    return dropped ? pass_over(in, s, err) : put_record(in, s, pkt, err);
}

static enum at_status ingest_report(void *ctx, void *slot,
                                    const struct at_batch *batch,
                                    struct at_error *err)
{
    const struct reading *r = ctx;
    struct ingest *in = r->in;
    const struct slot *is = slot;
    struct stretch s = {.from = is->sights.sight,
                        .besides = at_sights_besides(&is->sights)};
    enum at_status st = AT_OK;
    struct at_packet pkt;
    size_t n = 0;

    for (size_t i = 0; i < batch->blocks && st == AT_OK; i++) {
        struct at_walk walk = at_walk_block(batch, i);
        const uint8_t *at = walk.at;

        for (; st == AT_OK && at_walk_next(&walk, &pkt); n++) {
            st = take_record(in, &s, &batch->block[i], at,
                             r->changes ? &is->pkt[n] : &pkt,
                             r->changes && is->dropped[n], err);
            at = walk.at;
        }
    }
    if (st == AT_OK)
        st = end_stretch(in, &s, err);
    if (st == AT_OK && !goes_on(in, batch)) {
        in->stopped = true;
        return AT_END;
    }
    return st;
}

static void note_holes(struct ingest *in, const struct at_reader *rd)
{
    size_t n;

    (void)at_reader_holes(rd, &n, &in->holes);
    in->done->holes += in->holes.holes;
    at_holes_tell(in->how->holes, in->how->holes_ctx, rd);
}

/* Reads a whole trace into drafts.  *damaged tells whether an error is of the
 * trace; otherwise it is the archive's own. */
static enum at_status read_into_drafts(struct ingest *in, const char *path,
                                       bool *damaged, struct at_error *err)
{
    struct at_reader_options opts = {.format = AT_FORMAT_UNKNOWN};
    struct reading reading = {
        .in = in,
        .changes = in->how->change != NULL && !in->again,
    };
    const struct at_run run = {
        .slot_bytes = sizeof(struct slot),
        .ctx = &reading,
        .work = ingest_work,
        .report = ingest_report,
        .drop = ingest_drop,
    };
    struct at_reader *rd;
    enum at_status st;

    if (!in->again) /* our own segments, read again, say what they are */
        opts = in->how->reading;
    opts.size = sizeof(opts);
    opts.pool = in->how->pool;
    st = at_reader_open(&rd, path, &opts, err);
    *damaged = st != AT_OK;
    if (st != AT_OK)
        return st;
    in->trace = at_reader_info(rd);
    st = at_run(rd, in->how->pool, &run, err);
    if (st == AT_OK && !in->again && !in->stopped)
        note_holes(in, rd);
    /* The reader may have met damage ahead of where we failed ourselves. */
    *damaged = st < 0 && strcmp(err->msg, at_reader_error(rd)->msg) == 0;
    at_reader_close(rd);
    return st;
}

/* ---- inputs ---------------------------------------------------------- */

struct candidate {
    const char *path;
    struct at_input_state state;
    uint64_t first; /* time of the first packet */
    bool good;
};

static void say_failed(struct ingest *in, const char *path,
                       const struct at_error *err)
{
    in->done->failed_files++;
    if (in->how->report != NULL)
        in->how->report(in->how->report_ctx, path, false, err);
}

static void say_known(struct ingest *in, const struct candidate *c)
{
    in->done->known_files++;
    if (in->how->report != NULL)
        in->how->report(in->how->report_ctx, c->path, !c->state.damaged, NULL);
}

static enum at_status first_time(const struct at_ingest *how, const char *path,
                                 uint64_t *first, struct at_error *err)
{
    struct at_reader_options opts = how->reading;
    struct at_reader *rd;
    struct at_packet pkt = {.ts = 0};
    enum at_status st;

    opts.size = sizeof(opts);
    st = at_reader_open(&rd, path, &opts, err);
    if (st != AT_OK)
        return st;
    do
        st = at_reader_next(rd, &pkt);
    while (st == AT_OK && (pkt.kind == AT_KIND_PAD || pkt.timeless));
    *first = pkt.ts;
    if (st < 0)
        at_error_copy(err, at_reader_error(rd));
    at_reader_close(rd);
    return st < 0 ? st : AT_OK;
}

/* Whether a run of this kind would find nothing new in an input. */
static bool is_known(const struct ingest *in, const struct at_input_state *s)
{
    return s->complete &&
           (!in->how->reading.salvage || s->salvaged || !s->damaged);
}

/* Fills *c; an input that cannot be read at all is reported and left out. */
static enum at_status look_at(struct ingest *in, const char *path,
                              struct candidate *c, struct at_error *err)
{
    struct at_error bad;
    enum at_status st;

    *c = (struct candidate){.path = path};
    c->state.name = in->how->change == NULL ? path : "";
    if (at_identity_of(&c->state.identity, path, &bad) != AT_OK ||
        first_time(in->how, path, &c->first, &bad) != AT_OK) {
        say_failed(in, path, &bad);
        return AT_OK;
    }
    st = at_archive_input(in->archive, &c->state, err);
    c->good = st == AT_OK && !is_known(in, &c->state);
    if (st == AT_OK && !c->good)
        say_known(in, c);
    return st;
}

static int by_first(const void *a, const void *b)
{
    const struct candidate *x = a, *y = b;

    if (x->first != y->first)
        return x->first < y->first ? -1 : 1;
    return strcmp(x->path, y->path);
}

/* Whether an input with the same content was taken earlier in this run. */
static bool seen_in_run(const struct candidate *c, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (c[i].good &&
            at_identity_same(&c[i].state.identity, &c[n].state.identity))
            return true;
    return false;
}

/* Finds out what earlier runs have taken of the input. */
static enum at_status find_taken(struct ingest *in, const struct candidate *c,
                                 struct at_error *err)
{
    const bool salvage = in->how->reading.salvage;
    const uint64_t other = salvage ? c->state.records
                                   : c->state.salvaged_records;
    struct at_reader_options opts = in->how->reading;

    in->skip = salvage ? c->state.salvaged_records : c->state.records;
    if (other == 0)
        return AT_OK;
    opts.size = sizeof(opts);
    opts.salvage = !salvage;
    return at_taken_open(&in->taken, c->path, &opts, other, err);
}

/* What is known of the input once it has been read, well or not. */
static void note_input(struct ingest *in, bool failed)
{
    struct at_input_state *state = &in->input[in->inputs - 1];

    state->complete = true;
    state->salvaged = in->how->reading.salvage && !failed;
    state->holes = in->holes;
    state->damaged = failed || in->holes.holes > 0;
}

static enum at_status take_input(struct ingest *in, const struct candidate *c,
                                 struct at_error *err)
{
    struct at_error bad;
    bool damaged = true;
    enum at_status st;

    in->input[in->inputs] = c->state;
    in->input[in->inputs++].complete = false; /* there is more to be had */
    in->holes = (struct at_salvaged){.holes = 0};
    st = find_taken(in, c, &bad);
    if (st == AT_OK)
        st = read_into_drafts(in, c->path, &damaged, &bad);
    at_taken_close(in->taken);
    in->taken = NULL;
    if (in->stopped)
        return AT_END;
    if (st < 0 && !damaged)
        return at_error_copy(err, &bad);
    note_input(in, st < 0);
    if (st < 0)
        say_failed(in, c->path, &bad);
    else
        in->done->files++;
    in->done_bytes += c->state.identity.file_bytes;
    return AT_OK;
}

static enum at_status take_inputs(struct ingest *in, struct candidate *c,
                                  size_t n, struct at_error *err)
{
    enum at_status st = AT_OK;

    qsort(c, n, sizeof(*c), by_first);
    for (size_t i = 0; i < n; i++)
        in->total_bytes += c[i].good ? c[i].state.identity.file_bytes : 0;
    for (size_t i = 0; i < n && st == AT_OK; i++) {
        if (!c[i].good)
            continue;
        if (!seen_in_run(c, i)) {
            st = take_input(in, &c[i], err);
            continue;
        }
        c[i].good = false;
        say_known(in, &c[i]);
    }
    return st;
}

/* ---- the run --------------------------------------------------------- */

/* What is left at the end: the draft stays pending, unless it is of a time
 * before the segment that is. */
static enum at_status finish(struct ingest *in, struct at_error *err)
{
    const bool pending = !in->how->flush && in->pending.n == 0;
    enum at_status st = put_draft(in, pending, err);

    if (st == AT_OK && in->inputs > 0)
        st = at_archive_note_inputs(in->archive, in->input, in->inputs, err);
    if (st == AT_OK && in->how->flush && in->pending.n > 0) {
        st = at_archive_seal(in->archive, in->pending.segment, err);
        in->done->segments += st == AT_OK;
    }
    return st;
}

/* Leaves only the pending segment of the stream in the list. */
static enum at_status find_pending(struct ingest *in, struct at_error *err)
{
    struct at_segments *list = &in->pending;
    enum at_status st = at_archive_segments(
        in->archive, in->how->stream, AT_TIME_MIN, AT_TIME_MAX, list, err);
    size_t n = 0;

    for (size_t i = 0; i < list->n; i++) {
        if (list->segment[i].pending) {
            list->segment[n++] = list->segment[i];
            continue;
        }
        free(list->segment[i].path);
        free(list->segment[i].stream);
    }
    list->n = n;
    return st;
}

static enum at_status ingest_all(struct ingest *in, char *const *input,
                                 size_t n, struct at_error *err)
{
    struct candidate *c = calloc(n + 1, sizeof(*c));
    enum at_status st;

    in->input = calloc(n + 1, sizeof(in->input[0]));
    if (c == NULL || in->input == NULL) {
        free(c);
        return at_error_set(err, AT_ERR_MEMORY, "out of memory");
    }
    st = find_pending(in, err);
    for (size_t i = 0; i < n && st == AT_OK; i++)
        st = look_at(in, input[i], &c[i], err);
    if (st == AT_OK)
        st = take_inputs(in, c, n, err);
    if (st == AT_OK)
        st = finish(in, err);
    free(c);
    return st;
}

static enum at_status check_change(struct ingest *in, struct at_error *err)
{
    const struct at_change *change = in->how->change;

    return at_archive_check_change(in->archive, in->how->stream,
                                   change != NULL ? change->key : NULL,
                                   change != NULL ? change->policy : NULL, err);
}

enum at_status at_ingest_files(const char *archive, char *const *input,
                               size_t n, const struct at_ingest *how,
                               struct at_ingested *done, struct at_error *err)
{
    struct ingest in = {
        .how = how,
        .done = done,
        .sighting = {.seed = at_flow_key_seed(),
                     .key = how->tracking.key,
                     .names = how->tracking.names},
    };
    enum at_status st = AT_OK;

    *done = (struct at_ingested){.packets = 0};
    if (!at_archive_is(archive))
        st = at_archive_init(archive, err);
    if (st == AT_OK)
        st = at_archive_open(&in.archive, archive, true, err);
    if (st != AT_OK)
        return st;
    if (n > 0)
        st = check_change(&in, err);
    if (st == AT_OK)
        st = ingest_all(&in, input, n, err);
    close_draft(&in.draft);
    at_segments_free(&in.pending);
    free(in.input);
    at_archive_close(in.archive);
    return st;
}

bool at_stream_name_ok(const char *name)
{
    if (*name == 0 || *name == '.' || strlen(name) > 60)
        return false;
    for (; *name != 0; name++)
        if (!isalnum((unsigned char)*name) && strchr("_.-", *name) == NULL)
            return false;
    return true;
}
