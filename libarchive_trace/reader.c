/*
 * reader.c - from the pieces of a source to batches of whole records
 *
 * A walk over the lengths of the records cuts each piece into blocks that
 * begin and end on record boundaries; what is left of the last record goes
 * before the next piece.  Of each record only the length is touched here, a
 * few nanoseconds; everything else is done in parallel, by who gets the
 * batch.
 *
 * A block is the longest run of whole records of at most AT_BLOCK_FILL bytes,
 * at least one record, the header of the file counted; and it begins anew
 * where decoding can begin (at BGZF members, zstd frames and the like).  That
 * is how blocks are written too, so the blocks of a file are the same for who
 * wrote it and whenever it is read.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bytes.h"
#include "errors.h"
#include "format.h"
#include "packer.h"
#include "salvage.h"
#include "section.h"
#include "source.h"

/* What the format is judged by; the most where that does not suffice, as for
 * ERF with records of up to 64 KiB. */
enum { DETECT_BYTES = 32 << 10, DETECT_MOST = 192 << 10 };

struct at_reader {
    struct at_source src;
    struct at_pool *own_pool;
    struct at_reader_options opts;
    struct at_access access;     /* as opts.access; all zero if there is none */
    struct at_layout layout;     /* of the file, by its first bytes */
    const struct at_layout *now; /* of what comes next; pcapng: the section,
                                    NULL before the first */
    struct at_trace_info info;
    struct at_error err;    /* sticky */
    struct at_piece *first; /* read to find the format, not yet handed out */
    bool random;   /* each piece is a place: it starts and ends on records */
    bool at_start; /* the file header comes next */
    struct at_place *place;
    size_t places, next_place;
    uint8_t *carry; /* the beginning of a block or record */
    size_t carry_bytes, carry_room;
    uint64_t carry_end;        /* raw offset after it */
    struct at_mark carry_mark; /* where decoding begins for the carry */
    struct at_mark *later;     /* marks inside it, in case it is two blocks */
    size_t laters, later_room;
    uint64_t records, blocks;
    uint64_t position;     /* in the file, after the last piece taken */
    struct at_batch *held; /* by at_reader_next() */
    struct at_walk walk;
    size_t walk_block;
    struct at_salvage salvage; /* the rest only with opts.salvage */
    struct at_hole *hole;
    size_t holes, hole_room;
    struct at_salvaged salvaged;
    uint64_t last_hole_end; /* raw offset; of the last one if it is decoded */
};

/* ---- opening --------------------------------------------------------- */

static bool can_be_judged(struct at_reader *rd, const struct at_piece *piece)
{
    const char *what;

    if (piece->err.status != AT_OK || piece->len >= DETECT_MOST)
        return true;
    return piece->len >= DETECT_BYTES &&
           at_layout_choose(&rd->layout, rd->opts.format, piece->data,
                            piece->len, false, &what) == AT_OK;
}

/* Takes pieces until the format can be judged or there are no more. */
static enum at_status take_first(struct at_reader *rd, struct at_error *err)
{
    struct at_piece *piece = NULL, *before = NULL;

    do {
        const enum at_status st = at_source_next(&rd->src, &piece);

        if (st == AT_END && before == NULL)
            return at_error_set(err, AT_ERR_TRUNCATED, "%s: empty",
                                rd->src.in.name);
        if (st != AT_OK && before == NULL)
            return at_error_copy(err, &rd->src.err);
        if (st != AT_OK) {
            before->err = rd->src.err;
            before->err.status = st;
            piece = before;
            break;
        }
        if (before != NULL && at_piece_join(piece, before) != AT_OK)
            return at_error_set(err, AT_ERR_MEMORY, "out of memory");
        before = piece;
    } while (!can_be_judged(rd, piece));
    rd->first = piece;
    return AT_OK;
}

static enum at_status detect(struct at_reader *rd, struct at_error *err)
{
    const struct at_piece *piece = rd->first;
    const char *name = rd->src.in.name;
    const char *what = NULL;
    const enum at_status st = at_layout_choose(
        &rd->layout, rd->opts.format, piece->data, piece->len,
        piece->err.status != AT_OK, &what);

    rd->layout.third_bit = rd->opts.erf_interfaces > 4;
    if (st == AT_OK)
        return AT_OK;
    if (piece->err.status < 0)
        return at_error_copy(err, &piece->err);
    if (piece->len == 0)
        return at_error_set(err, AT_ERR_TRUNCATED, "%s: empty", name);
    if (st == AT_ERR_TRUNCATED)
        return at_error_set(err, st, "%s: cut short: %zu bytes are no whole %s",
                            name, piece->len, what);
    if (rd->opts.format != AT_FORMAT_UNKNOWN)
        return at_error_set(err, st, "%s: not %s", name,
                            at_format_name(rd->opts.format));
    return at_error_set(err, st, "%s: not a trace: %s", name,
                        what != NULL ? what : "neither ERF, pcap nor pcapng");
}

/* Whether the first piece is records and nothing else, two at least. */
static bool walks(const struct at_reader *rd)
{
    const struct at_piece *piece = rd->first;
    const uint8_t *end = piece->data + piece->len;
    const struct at_frame f = at_frame(
        &rd->layout, piece->data + rd->layout.header_bytes, end, end);

    return !f.bad && f.records >= 2;
}

/*
 * A plain file may begin like a compressed one: ERF begins with a fraction of
 * a second, which is any number.  One magic number is not believed against
 * records that can be walked, when nothing can be decoded.
 */
static enum at_status find_format(struct at_reader *rd, struct at_error *err)
{
    struct at_error plain = {.status = AT_OK};
    enum at_status st = take_first(rd, err);

    if (st == AT_OK)
        st = detect(rd, err);
    if (st == AT_OK || rd->src.ops->codec == AT_CODEC_NONE ||
        (rd->first != NULL && rd->first->len > 0))
        return st;
    at_piece_put_back(rd->first);
    rd->first = NULL;
    if (at_source_as_plain(&rd->src, &plain) == AT_OK &&
        take_first(rd, &plain) == AT_OK && detect(rd, &plain) == AT_OK &&
        walks(rd))
        return AT_OK;
    return st;
}

static void describe(struct at_reader *rd)
{
    struct at_trace_info *info = &rd->info;
    const uint8_t *p = rd->first->data + rd->layout.header_bytes;
    const uint8_t *end = rd->first->data + rd->first->len;
    struct at_packet pkt;

    info->linktype = rd->layout.linktype;
    info->snap_bytes = rd->layout.snap_bytes;
    if (rd->layout.format == AT_FORMAT_PCAPNG) {
        at_pcapng_first(p, end, &info->linktype, &info->snap_bytes);
    } else if (at_frame(&rd->layout, p, p + 1, end).records > 0) {
        at_record_parse(&rd->layout, p, &pkt);
        info->linktype = pkt.linktype;
    }
    info->name = rd->src.in.name;
    info->format = rd->layout.format;
    info->codec = rd->src.ops->codec;
    info->file_bytes = rd->src.in.size;
    info->random_access = at_source_random(&rd->src) &&
                          rd->layout.format != AT_FORMAT_PCAPNG;
}

static void go_to_start(struct at_reader *rd)
{
    at_layout_drop(rd->now);
    rd->now = rd->layout.format == AT_FORMAT_PCAPNG ? NULL : &rd->layout;
    rd->at_start = true;
}

/* What the caller knows of the options; zero for the rest. */
static struct at_reader_options
known_options(const struct at_reader_options *opts)
{
    struct at_reader_options known = {.pool = NULL};

    if (opts != NULL)
        memcpy(&known, opts,
               opts->size < sizeof(known) ? opts->size : sizeof(known));
    return known;
}

static void drop_access(const struct at_access *access)
{
    if (access->drop != NULL)
        access->drop(access->ctx);
}

static enum at_status no_reader(const struct at_reader_options *opts,
                                struct at_error *err)
{
    const struct at_reader_options known = known_options(opts);

    if (known.access != NULL)
        drop_access(known.access);
    return at_error_set(err, AT_ERR_MEMORY, "out of memory");
}

static void take_options(struct at_reader *rd,
                         const struct at_reader_options *opts)
{
    rd->opts = known_options(opts);
    if (rd->opts.access == NULL)
        return;
    rd->access = *rd->opts.access;
    rd->opts.access = &rd->access;
}

enum at_status at_reader_open(struct at_reader **out, const char *path,
                              const struct at_reader_options *opts,
                              struct at_error *err)
{
    struct at_pool *pool = opts == NULL ? NULL : opts->pool;
    struct at_reader *rd = calloc(1, sizeof(*rd));
    enum at_status st = AT_OK;

    *out = NULL;
    if (rd == NULL)
        return no_reader(opts, err);
    take_options(rd, opts);
    if (pool == NULL) {
        st = at_pool_open(&rd->own_pool, 1, err);
        pool = rd->own_pool;
    }
    if (st == AT_OK)
        st = at_source_open(&rd->src, path, pool, &rd->opts, err);
    if (st != AT_OK) {
        at_pool_close(rd->own_pool);
        drop_access(&rd->access);
        free(rd);
        return st;
    }
    st = find_format(rd, err);
    if (st != AT_OK) {
        at_reader_close(rd);
        return st;
    }
    at_input_forget(&rd->src.in);
    describe(rd);
    go_to_start(rd);
    *out = rd;
    return AT_OK;
}

const struct at_access_point *at_reader_access(const struct at_reader *rd,
                                               size_t *n)
{
    return at_gzip_points(&rd->src, n);
}

const struct at_trace_info *at_reader_info(const struct at_reader *rd)
{
    return &rd->info;
}

void at_reader_close(struct at_reader *rd)
{
    if (rd == NULL)
        return;
    if (rd->held != NULL)
        at_batch_release(rd->held);
    at_piece_put_back(rd->first);
    at_layout_drop(rd->now);
    at_source_close(&rd->src);
    at_pool_close(rd->own_pool);
    drop_access(&rd->access);
    free(rd->carry);
    free(rd->later);
    free(rd->place);
    free(rd->hole);
    free(rd);
}

/* ---- blocks ---------------------------------------------------------- */

static struct at_batch *batch_of(struct at_piece *piece)
{
    return &piece->batch;
}

void at_batch_release(struct at_batch *batch)
{
    char *p = (char *)batch;

    at_piece_put_back(
        (struct at_piece *)(void *)(p - offsetof(struct at_piece, batch)));
}

/* The last mark at or before 'raw'; that of the carry if there is none. */
static struct at_mark mark_before(const struct at_reader *rd,
                                  const struct at_piece *piece, uint64_t raw)
{
    size_t lo = 0, hi = piece->marks;

    while (lo < hi) {
        const size_t mid = (lo + hi) / 2;

        if (piece->mark[mid].raw <= raw)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo > 0 ? piece->mark[lo - 1] : rd->carry_mark;
}

/* The first mark at or after 'raw', or the end of the piece. */
static struct at_mark mark_after(const struct at_piece *piece, uint64_t raw)
{
    size_t lo = 0, hi = piece->marks;

    while (lo < hi) {
        const size_t mid = (lo + hi) / 2;

        if (piece->mark[mid].raw < raw)
            lo = mid + 1;
        else
            hi = mid;
    }
    if (lo < piece->marks)
        return piece->mark[lo];
    return (struct at_mark){piece->raw_offset + piece->len, piece->file_end};
}

static struct at_place place_of(const struct at_reader *rd,
                                const struct at_piece *piece,
                                const uint8_t *from, const uint8_t *to)
{
    const uint64_t raw = piece->raw_offset + (uint64_t)(from - piece->data);
    struct at_place place = {
        .file_offset = raw,
        .raw_offset = raw,
        .bytes = (uint64_t)(to - from),
    };
    struct at_mark mark;

    place.file_bytes = place.bytes;
    if (rd->src.ops->codec == AT_CODEC_NONE)
        return place;
    mark = mark_before(rd, piece, raw);
    place.file_offset = mark.file;
    place.skip = raw - mark.raw;
    place.file_bytes = rd->src.ops->framed
                           ? mark_after(piece, raw + place.bytes).file -
                                 mark.file
                           : 0;
    return place;
}

/* What a block that begins at decoded byte 'raw' may hold. */
static size_t block_room(const struct at_reader *rd, uint64_t raw)
{
    const size_t header = rd->layout.header_bytes;

    return AT_BLOCK_FILL - (raw == header ? header : 0);
}

/*
 * Walks over the records of the block that begins at 'from'.  Where a section
 * of a pcapng file begins, it is entered first.
 */
static struct at_frame walk_block(struct at_reader *rd,
                                  const struct at_piece *piece,
                                  const uint8_t *from, const uint8_t *end)
{
    const uint64_t raw = piece->raw_offset + (uint64_t)(from - piece->data);
    const size_t room = block_room(rd, raw);
    struct at_frame f;

    if (rd->layout.format == AT_FORMAT_PCAPNG) {
        f = at_pcapng_enter(&rd->now, from, end);
        if (f.records == 0)
            return f;
    }
    if (rd->src.ops->framed) {
        const uint64_t n = mark_after(piece, raw + 1).raw - raw;

        if (n <= room)
            return at_frame(rd->now, from, from + n, end);
    }
    if ((size_t)(end - from) <= room)
        return at_frame(rd->now, from, end, end);
    f = at_frame(rd->now, from, from + room, from + room);
    return f.at > from ? f : at_frame(rd->now, from, from + 1, end);
}

/* Whether what follows this piece may belong to the block at 'from'. */
static bool block_is_open(const struct at_reader *rd,
                          const struct at_piece *piece, const uint8_t *from,
                          const uint8_t *end)
{
    const uint64_t raw = piece->raw_offset + (uint64_t)(from - piece->data);

    return !rd->src.ops->framed && piece->err.status == AT_OK &&
           (size_t)(end - from) < block_room(rd, raw);
}

/* Whether the block is one of those asked for; the list is in order. */
static bool wanted(struct at_reader *rd, const struct at_place *place)
{
    if (rd->place == NULL)
        return true;
    while (rd->next_place < rd->places &&
           rd->place[rd->next_place].raw_offset +
                   rd->place[rd->next_place].bytes <=
               place->raw_offset)
        rd->next_place++;
    return rd->next_place < rd->places && rd->place[rd->next_place].raw_offset <
                                              place->raw_offset + place->bytes;
}

/* A block holds the layout of its records; see at_piece_put_back(). */
static enum at_status add_block(struct at_reader *rd, struct at_piece *piece,
                                const struct at_place *place,
                                const uint8_t *from, uint32_t records)
{
    struct at_block *block = at_piece_add_block(piece);

    if (block == NULL)
        return AT_ERR_MEMORY;
    *block = (struct at_block){from, rd->now, *place, records};
    at_layout_hold(rd->now);
    return AT_OK;
}

/*
 * Cuts the records from 'p' on into blocks.  Returns how the walk ended: at
 * the end of the piece, inside a record, or at damage.
 */
static enum at_status cut_blocks(struct at_reader *rd, struct at_piece *piece,
                                 const uint8_t *p, struct at_frame *last)
{
    const uint8_t *end = piece->data + piece->len;

    *last = (struct at_frame){.at = p};
    while (last->at < end) {
        const uint8_t *from = last->at;
        struct at_place place;

        if (block_is_open(rd, piece, from, end))
            break;
        *last = walk_block(rd, piece, from, end);
        if (last->at == from)
            break;
        place = place_of(rd, piece, from, last->at);
        if (wanted(rd, &place) &&
            add_block(rd, piece, &place, from, last->records) != AT_OK)
            return AT_ERR_MEMORY;
        rd->records += last->records;
        rd->blocks++;
    }
    return last->no_memory ? AT_ERR_MEMORY : AT_OK;
}

/* The marks of an open block go with it; other codecs begin anew at one. */
static enum at_status keep_marks(struct at_reader *rd,
                                 const struct at_piece *piece, uint64_t raw)
{
    size_t n = 0;

    rd->laters = 0;
    if (rd->src.ops->framed)
        return AT_OK;
    while (n < piece->marks && piece->mark[piece->marks - 1 - n].raw > raw)
        n++;
    if (n > rd->later_room) {
        free(rd->later);
        rd->later_room = 0;
        rd->later = malloc(2 * n * sizeof(rd->later[0]));
        if (rd->later == NULL)
            return AT_ERR_MEMORY;
        rd->later_room = 2 * n;
    }
    if (n > 0)
        memcpy(rd->later, piece->mark + piece->marks - n,
               n * sizeof(rd->later[0]));
    rd->laters = n;
    return AT_OK;
}

/*
 * The same where the piece holds places that were asked for: each is a block,
 * and what lies between two of one frame is passed over.
 */
static enum at_status cut_places(struct at_reader *rd, struct at_piece *piece,
                                 struct at_frame *last)
{
    const uint8_t *end = piece->data + piece->len;

    *last = (struct at_frame){.at = piece->data};
    for (; last->at < end && rd->next_place < rd->places; rd->next_place++) {
        const struct at_place *place = &rd->place[rd->next_place];
        const uint64_t gap = place->raw_offset - piece->raw_offset -
                             (uint64_t)(last->at - piece->data);
        const uint8_t *from, *stop;
        struct at_block *block;

        if (gap > (uint64_t)(end - last->at))
            break; /* it is in the next piece, or nowhere */
        from = last->at + gap;
        stop = place->bytes < (uint64_t)(end - from) ? from + place->bytes
                                                     : end;
        *last = at_frame(&rd->layout, from, stop, stop);
        if (last->at > from) {
            block = at_piece_add_block(piece);
            if (block == NULL)
                return AT_ERR_MEMORY;
            *block = (struct at_block){from, &rd->layout, *place,
                                       last->records};
            block->place.bytes = (uint64_t)(last->at - from);
            rd->records += last->records;
            rd->blocks++;
        }
        if (last->at < stop)
            break;
    }
    return AT_OK;
}

static enum at_status keep_carry(struct at_reader *rd,
                                 const struct at_piece *piece, const uint8_t *p)
{
    const size_t n = (size_t)(piece->data + piece->len - p);

    rd->carry_mark = mark_before(
        rd, piece, piece->raw_offset + (uint64_t)(p - piece->data));
    if (keep_marks(rd, piece,
                   piece->raw_offset + (uint64_t)(p - piece->data)) != AT_OK)
        return AT_ERR_MEMORY;
    if (n > rd->carry_room) {
        free(rd->carry);
        rd->carry_room = 0;
        rd->carry = malloc(n);
        if (rd->carry == NULL)
            return AT_ERR_MEMORY;
        rd->carry_room = n;
    }
    if (n > 0)
        memcpy(rd->carry, p, n);
    rd->carry_bytes = n;
    rd->carry_end = piece->raw_offset + piece->len;
    return AT_OK;
}

/* ---- salvage --------------------------------------------------------- */

const struct at_hole *at_reader_holes(const struct at_reader *rd, size_t *n,
                                      struct at_salvaged *total)
{
    *n = rd->holes;
    if (total != NULL)
        *total = rd->salvaged;
    return rd->hole;
}

static void forget_holes(struct at_reader *rd)
{
    rd->holes = 0;
    rd->salvaged = (struct at_salvaged){.holes = 0};
    rd->salvage = (struct at_salvage){.lost = false};
}

static const char *record_name(const struct at_reader *rd)
{
    switch (rd->layout.format) {
    case AT_FORMAT_ERF:
        return "ERF record";
    case AT_FORMAT_PCAPNG:
        return "pcapng block";
    case AT_FORMAT_PCAP:
    case AT_FORMAT_PCAP_US:
        return "pcap record";
    default:
        return "record";
    }
}

static enum at_status add_hole(struct at_reader *rd, const struct at_hole *one)
{
    rd->salvaged.holes++;
    rd->salvaged.bytes += one->bytes;
    if (rd->holes == AT_HOLES_MOST)
        return AT_OK;
    if (rd->hole == NULL)
        rd->hole = malloc(AT_HOLES_MOST * sizeof(*rd->hole));
    if (rd->hole == NULL)
        return AT_ERR_MEMORY;
    rd->hole[rd->holes++] = *one;
    return AT_OK;
}

/* No record is in the bytes from raw offset 'from' to 'to'. */
static enum at_status note_hole(struct at_reader *rd, uint64_t from,
                                uint64_t to)
{
    const struct at_hole one = {
        .offset = from,
        .bytes = to - from,
        .decoded = rd->src.ops->codec != AT_CODEC_NONE,
        .what = record_name(rd),
    };
    const bool joined = rd->salvaged.holes > 0 && rd->last_hole_end == from;

    if (from == to)
        return AT_OK;
    rd->last_hole_end = to;
    if (!joined)
        return add_hole(rd, &one);
    rd->salvaged.bytes += one.bytes;
    if (rd->salvaged.holes <= AT_HOLES_MOST)
        rd->hole[rd->holes - 1].bytes += one.bytes;
    return AT_OK;
}

/* What the codec had to leave out before what comes next. */
static enum at_status note_gap(struct at_reader *rd, const struct at_gap *gap)
{
    const struct at_hole one = {
        .offset = gap->file,
        .bytes = gap->bytes,
        .what = at_codec_unit(rd->src.ops->codec),
    };

    at_salvage_lose(&rd->salvage);
    rd->last_hole_end = UINT64_MAX;
    return add_hole(rd, &one);
}

/* What is known of a pcapng section to salvage.c. */
static const struct at_layout *ground_of(struct at_reader *rd)
{
    struct at_ground *g = &rd->salvage.ground;

    if (rd->layout.format != AT_FORMAT_PCAPNG)
        return rd->now;
    g->foreign = false;
    if (rd->now == NULL)
        return &rd->layout;
    g->swapped = rd->now->swapped;
    g->interfaces = rd->now->section->interfaces;
    return rd->now;
}

/* A run of trusted records becomes a block. */
static enum at_status end_run(struct at_reader *rd, struct at_piece *piece,
                              const uint8_t *from, const uint8_t *to,
                              uint32_t *records)
{
    struct at_place place;

    if (from == to)
        return AT_OK;
    place = place_of(rd, piece, from, to);
    rd->records += *records;
    rd->blocks++;
    if (wanted(rd, &place) &&
        add_block(rd, piece, &place, from, *records) != AT_OK)
        return AT_ERR_MEMORY;
    *records = 0;
    return AT_OK;
}

/*
 * Goes over one trusted record.  Blocks of pcapng change what is known, and
 * may still be wrong inside; false then.
 */
static bool pass_record(struct at_reader *rd, const uint8_t *p,
                        const uint8_t *end, struct at_frame *f)
{
    *f = (struct at_frame){.records = 1};
    if (rd->layout.format != AT_FORMAT_PCAPNG)
        return true;
    *f = at_pcapng_enter(&rd->now, p, end);
    if (f->records > 0)
        *f = at_frame(rd->now, p, p + 1, end);
    return f->records > 0;
}

static bool is_section_header(const struct at_reader *rd, const uint8_t *p)
{
    return rd->layout.format == AT_FORMAT_PCAPNG &&
           at_load_le32(p) == AT_NG_SHB;
}

/* The records of what lies between two gaps; 'p' is where it stops. */
static enum at_status salvage_stretch(struct at_reader *rd,
                                      struct at_piece *piece, const uint8_t **p,
                                      const uint8_t *end, bool whole)
{
    const uint64_t raw = piece->raw_offset;
    const uint8_t *run = *p;
    enum at_status st = AT_OK;
    uint32_t records = 0;
    struct at_step step = {.kind = AT_STEP_RECORD};
    struct at_frame f;

    while (st == AT_OK && *p < end && step.kind != AT_STEP_WAIT) {
        const uint8_t *at = *p;

        step = at_salvage_step(&rd->salvage, ground_of(rd), at, end, whole);
        if (step.kind != AT_STEP_RECORD || is_section_header(rd, at) ||
            (size_t)(step.to - run) > AT_BLOCK_FILL) {
            st = end_run(rd, piece, run, at, &records);
            run = at;
        }
        *p = step.to;
        if (st == AT_OK && step.kind == AT_STEP_RECORD &&
            pass_record(rd, at, step.to, &f)) {
            records++;
            continue;
        }
        if (st == AT_OK && step.kind == AT_STEP_RECORD)
            st = f.no_memory ? AT_ERR_MEMORY
                             : end_run(rd, piece, run, at, &records);
        if (st == AT_OK)
            st = note_hole(rd, raw + (uint64_t)(at - piece->data),
                           raw + (uint64_t)(step.to - piece->data));
        run = *p;
    }
    return st == AT_OK ? end_run(rd, piece, run, *p, &records) : st;
}

/* The same as cut_blocks() where nothing is believed without need. */
static enum at_status salvage_blocks(struct at_reader *rd,
                                     struct at_piece *piece, const uint8_t *p,
                                     struct at_frame *last)
{
    enum at_status st = AT_OK;

    for (size_t i = 0; st == AT_OK && i < piece->gaps; i++) {
        const uint64_t to = piece->gap[i].raw - piece->raw_offset;

        st = salvage_stretch(rd, piece, &p, piece->data + to, true);
        if (st == AT_OK)
            st = note_gap(rd, &piece->gap[i]);
    }
    if (st == AT_OK)
        st = salvage_stretch(rd, piece, &p, piece->data + piece->len,
                             piece->err.status != AT_OK);
    *last = (struct at_frame){.at = p};
    return st;
}

/* An error of the bytes is the last hole; that of a system call stays one. */
static void note_salvaged_end(struct at_reader *rd,
                              const struct at_piece *piece)
{
    const enum at_status st = piece->err.status;
    const uint64_t size = rd->src.in.size;
    const struct at_gap gap = {
        .file = piece->file_end,
        .bytes = size > piece->file_end ? size - piece->file_end : 0,
    };

    rd->err = piece->err;
    if (st != AT_ERR_CORRUPT && st != AT_ERR_TRUNCATED && st != AT_ERR_FORMAT)
        return;
    rd->err.status = AT_END;
    if (note_gap(rd, &gap) != AT_OK)
        at_error_set(&rd->err, AT_ERR_MEMORY, "out of memory");
}

static const char *in_what(const struct at_reader *rd)
{
    return rd->src.ops->codec == AT_CODEC_NONE ? "" : " of what it decodes to";
}

static void say_damage(struct at_reader *rd, uint64_t at,
                       const struct at_frame *f)
{
    if (f->why != NULL)
        at_error_set(&rd->err, AT_ERR_CORRUPT,
                     "%s: damaged: the %s at byte %llu%s %s", rd->info.name,
                     at_pcapng_name(f->type), (unsigned long long)at,
                     in_what(rd), f->why);
    else
        at_error_set(&rd->err, AT_ERR_CORRUPT,
                     "%s: damaged: no %s record can begin as at byte %llu%s",
                     rd->info.name,
                     rd->layout.format == AT_FORMAT_ERF ? "ERF" : "pcap",
                     (unsigned long long)at, in_what(rd));
}

static void say_truncated(struct at_reader *rd, uint64_t at,
                          const struct at_frame *f)
{
    char need[48] = "is not whole";

    if (f->need > 0)
        snprintf(need, sizeof(need), "is of %zu bytes", f->need);
    at_error_set(&rd->err, AT_ERR_TRUNCATED,
                 "%s: cut short: the record at byte %llu%s %s, %zu are there",
                 rd->info.name, (unsigned long long)at, in_what(rd), need,
                 rd->carry_bytes);
}

/* What follows the blocks of this piece: nothing yet, the end, an error. */
static void note_end(struct at_reader *rd, const struct at_piece *piece,
                     const struct at_frame *last)
{
    const uint64_t at = piece->raw_offset + (uint64_t)(last->at - piece->data);

    if (last->bad) {
        say_damage(rd, at, last);
    } else if (piece->err.status < 0) {
        rd->err = piece->err;
    } else if (rd->random && rd->carry_bytes > 0) {
        at_error_set(&rd->err, AT_ERR_CORRUPT,
                     "%s: no record ends at byte %llu%s, where the index has "
                     "a block end",
                     rd->info.name, (unsigned long long)at, in_what(rd));
    } else if (piece->err.status == AT_END) {
        rd->err.status = AT_END;
        if (rd->carry_bytes > 0)
            say_truncated(rd, at, last);
    }
}

/*
 * No piece is left.  What was carried for the next becomes the last one, with
 * the error of the source, if there is one, after it.
 */
static enum at_status source_over(struct at_reader *rd, enum at_status st,
                                  struct at_piece **piece)
{
    struct at_piece *tail;

    if (rd->carry_bytes == 0 && !(rd->opts.salvage && st < 0)) {
        rd->err = rd->src.err;
        rd->err.status = st;
        return st;
    }
    *piece = tail = at_piece_take(&rd->src.shelf);
    if (tail == NULL || at_piece_room(tail, 0) != AT_OK)
        return at_error_set(&rd->err, AT_ERR_MEMORY, "out of memory");
    tail->raw_offset = rd->carry_end;
    tail->file_end = rd->position;
    tail->err = rd->src.err;
    tail->err.status = st;
    return AT_OK;
}

static enum at_status next_piece(struct at_reader *rd, struct at_piece **piece)
{
    enum at_status st = AT_OK;

    *piece = rd->first;
    rd->first = NULL;
    if (*piece == NULL)
        st = at_source_next(&rd->src, piece);
    if (st != AT_OK)
        st = source_over(rd, st, piece);
    if (st == AT_OK &&
        (at_piece_prepend(*piece, rd->carry, rd->carry_bytes) != AT_OK ||
         at_piece_prepend_marks(*piece, rd->later, rd->laters) != AT_OK))
        st = at_error_set(&rd->err, AT_ERR_MEMORY, "out of memory");
    if (st != AT_OK)
        at_piece_put_back(*piece);
    return st;
}

/* The file header, where it is in this piece, is no record. */
static const uint8_t *after_header(struct at_reader *rd,
                                   const struct at_piece *piece)
{
    const uint8_t *p = piece->data;

    if (rd->at_start)
        p += rd->layout.header_bytes;
    rd->at_start = false;
    return p;
}

static enum at_status cut_piece(struct at_reader *rd, struct at_piece *piece,
                                struct at_frame *last)
{
    if (rd->random)
        return cut_places(rd, piece, last);
    if (rd->opts.salvage)
        return salvage_blocks(rd, piece, after_header(rd, piece), last);
    return cut_blocks(rd, piece, after_header(rd, piece), last);
}

enum at_status at_reader_next_batch(struct at_reader *rd,
                                    struct at_batch **batch)
{
    *batch = NULL;
    rd->src.hesitant = false;
    while (rd->err.status == AT_OK) {
        const uint64_t first_record = rd->records, first_block = rd->blocks;
        struct at_piece *piece;
        struct at_frame last;
        const enum at_status st = next_piece(rd, &piece);

        if (st != AT_OK)
            return st;
        rd->position = piece->file_end;
        if (cut_piece(rd, piece, &last) != AT_OK ||
            keep_carry(rd, piece, last.at) != AT_OK)
            at_error_set(&rd->err, AT_ERR_MEMORY, "out of memory");
        else if (rd->opts.salvage)
            note_salvaged_end(rd, piece);
        else
            note_end(rd, piece, &last);
        piece->batch.first_record = first_record;
        piece->batch.first_block = first_block;
        if (piece->batch.blocks > 0) {
            *batch = batch_of(piece);
            return AT_OK;
        }
        at_piece_put_back(piece);
    }
    return rd->err.status;
}

enum at_status at_reader_next(struct at_reader *rd, struct at_packet *pkt)
{
    for (;;) {
        enum at_status st;

        if (rd->held != NULL && at_walk_next(&rd->walk, pkt))
            return AT_OK;
        if (rd->held != NULL && ++rd->walk_block < rd->held->blocks) {
            rd->walk = at_walk_block(rd->held, rd->walk_block);
            continue;
        }
        if (rd->held != NULL)
            at_batch_release(rd->held);
        st = at_reader_next_batch(rd, &rd->held);
        if (st != AT_OK)
            return st;
        rd->walk_block = 0;
        rd->walk = at_walk_block(rd->held, 0);
    }
}

/* ---- places ---------------------------------------------------------- */

static bool all_reachable(const struct at_place *place, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (place[i].file_bytes == 0)
            return false;
    return true;
}

enum at_status at_reader_select(struct at_reader *rd,
                                const struct at_place *place, size_t n)
{
    struct at_place *copy = malloc((n + 1) * sizeof(*copy));
    bool random;

    if (copy == NULL)
        return at_error_set(&rd->err, AT_ERR_MEMORY, "out of memory");
    if (n > 0)
        memcpy(copy, place, n * sizeof(*copy));
    free(rd->place);
    rd->place = copy;
    rd->places = n;
    rd->next_place = 0;
    rd->carry_bytes = 0;
    rd->laters = 0;
    at_piece_put_back(rd->first);
    rd->first = NULL;
    random = rd->layout.format != AT_FORMAT_PCAPNG &&
             (rd->src.ops->by_raw || all_reachable(place, n));
    rd->random = random && !rd->opts.salvage && at_source_random(&rd->src);
    random = rd->random;
    go_to_start(rd);
    forget_holes(rd);
    rd->err.status = AT_OK;
    return at_source_restart(&rd->src, random ? copy : NULL, n, &rd->err);
}

uint64_t at_reader_position(const struct at_reader *rd)
{
    return rd->position;
}

const struct at_error *at_reader_error(const struct at_reader *rd)
{
    return &rd->err;
}
