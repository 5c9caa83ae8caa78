/*
 * holes.c - the blocks of a damaged trace, and what lies between them
 *
 * Which bytes are records is for salvage.c to say; here runs of them become
 * blocks, and what is no record is noted as a hole.
 */
#include <stdlib.h>

#include "bytes.h"
#include "reader.h"
#include "section.h"

const struct at_hole *at_reader_holes(const struct at_reader *rd, size_t *n,
                                      struct at_salvaged *total)
{
    *n = rd->holes;
    if (total != NULL)
        *total = rd->salvaged;
    return rd->hole;
}

void at_holes_forget(struct at_reader *rd)
{
    rd->holes = 0;
    rd->salvaged = (struct at_salvaged){.assumed = rd->salvaged.assumed};
    rd->salvage = (struct at_salvage){.lost = false};
    rd->run_bytes = 0;
    rd->run_records = 0;
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
    rd->salvaged.bytes += one->kept ? 0 : one->bytes;
    if (rd->holes == AT_HOLES_MOST)
        return AT_OK;
    if (rd->hole == NULL)
        rd->hole = malloc(AT_HOLES_MOST * sizeof(*rd->hole));
    if (rd->hole == NULL)
        return AT_ERR_MEMORY;
    rd->hole[rd->holes++] = *one;
    return AT_OK;
}

enum at_status at_holes_begin(struct at_reader *rd)
{
    const struct at_hole one = {
        .offset = rd->mend.offset,
        .bytes = rd->mend.bytes,
        .decoded = rd->src.ops->codec != AT_CODEC_NONE,
        .what = rd->mend.what,
    };

    rd->last_hole_end = UINT64_MAX;
    return rd->mend.lost ? add_hole(rd, &one) : AT_OK;
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

/* What the codec had to leave out before what comes next, or doubts. */
static enum at_status note_gap(struct at_reader *rd, const struct at_gap *gap)
{
    const struct at_hole one = {
        .offset = gap->file,
        .bytes = gap->bytes,
        .kept = gap->kind == AT_GAP_DOUBTFUL,
        .what = gap->kind == AT_GAP_HEADER ? "gzip header"
                                           : at_codec_unit(rd->src.ops->codec),
    };

    if (gap->kind == AT_GAP_LOST)
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

/* Trusted records, one after the other; nothing else is between them. */
struct run {
    const uint8_t *from;
    uint32_t records;
};

/* What there is of a run becomes a block, and the next begins at 'to'. */
static enum at_status end_run(struct at_reader *rd, struct at_piece *piece,
                              struct run *run, const uint8_t *to)
{
    const struct run one = *run;
    struct at_place place;

    *run = (struct run){.from = to};
    if (one.records == 0)
        return AT_OK;
    place = at_block_place(rd, piece, one.from, to);
    rd->records += one.records;
    rd->blocks++;
    if (!at_block_wanted(rd, &place))
        return AT_OK;
    return at_block_add(rd, piece, &place, one.from, one.records,
                        AT_NOT_COUNTED);
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

/* The trusted record from 'at' to 'to' goes on with the run, or begins one. */
static enum at_status add_record(struct at_reader *rd, struct at_piece *piece,
                                 struct run *run, const uint8_t *at,
                                 const uint8_t *to, bool *good)
{
    enum at_status st = AT_OK;
    struct at_frame f;

    if (is_section_header(rd, at) ||
        !at_block_takes(rd, piece, run->from, at, to))
        st = end_run(rd, piece, run, at);
    if (st != AT_OK)
        return st;
    *good = pass_record(rd, at, to, &f);
    run->records += *good;
    return f.no_memory ? AT_ERR_MEMORY : AT_OK;
}

/* There is none from 'at' to 'to'. */
static enum at_status add_damage(struct at_reader *rd, struct at_piece *piece,
                                 struct run *run, const uint8_t *at,
                                 const uint8_t *to)
{
    const uint64_t raw = piece->raw_offset;
    enum at_status st = end_run(rd, piece, run, at);

    if (st == AT_OK)
        st = note_hole(rd, raw + (uint64_t)(at - piece->data),
                       raw + (uint64_t)(to - piece->data));
    run->from = to;
    return st;
}

/*
 * The records from 'p' to 'end', where a gap or the piece ends; *p becomes
 * what could not be judged yet.  'run' is what comes before it.
 */
static enum at_status salvage_stretch(struct at_reader *rd,
                                      struct at_piece *piece, struct run *run,
                                      const uint8_t **p, const uint8_t *end,
                                      bool whole)
{
    enum at_status st = AT_OK;
    struct at_step step = {.kind = AT_STEP_RECORD};

    while (st == AT_OK && *p < end && step.kind != AT_STEP_WAIT) {
        const uint8_t *at = *p;
        bool good = false;

        step = at_salvage_step(&rd->salvage, ground_of(rd), at, end, whole);
        *p = step.to;
        if (step.kind == AT_STEP_RECORD)
            st = add_record(rd, piece, run, at, step.to, &good);
        if (st == AT_OK && !good && step.to > at)
            st = add_damage(rd, piece, run, at, step.to);
    }
    return st == AT_OK && whole ? end_run(rd, piece, run, *p) : st;
}

/*
 * Whether the block at the end of the piece is open is for the next piece to
 * tell: its records, which need not be judged again, are carried there.
 */
enum at_status at_holes_cut(struct at_reader *rd, struct at_piece *piece,
                            const uint8_t *p, struct at_frame *last)
{
    struct run run = {p, rd->run_records};
    enum at_status st = AT_OK;

    p += rd->run_bytes;
    for (size_t i = 0; st == AT_OK && i < piece->gaps; i++) {
        const uint64_t to = piece->gap[i].raw - piece->raw_offset;

        st = salvage_stretch(rd, piece, &run, &p, piece->data + to,
                             piece->gap[i].kind == AT_GAP_LOST);
        if (st == AT_OK)
            st = note_gap(rd, &piece->gap[i]);
    }
    if (st == AT_OK)
        st = salvage_stretch(rd, piece, &run, &p, piece->data + piece->len,
                             piece->err.status != AT_OK);
    rd->run_records = run.records;
    rd->run_bytes = (size_t)(p - run.from);
    *last = (struct at_frame){.at = run.from};
    return st;
}

enum at_status at_holes_cut_place(struct at_reader *rd, struct at_piece *piece,
                                  const uint8_t *from, const uint8_t *to)
{
    struct run run = {.from = from};

    rd->salvage = (struct at_salvage){.lost = false};
    return salvage_stretch(rd, piece, &run, &from, to, true);
}

/* Other places that need the same damaged bytes make no other hole. */
enum at_status at_holes_lose_place(struct at_reader *rd,
                                   const struct at_place *place,
                                   uint64_t file_end)
{
    const uint64_t end = place->file_offset + place->file_bytes;
    struct at_gap gap = {.file = place->file_offset};

    if (file_end > gap.file && file_end < end)
        gap.file = file_end;
    gap.bytes = end - gap.file;
    if (rd->salvaged.holes > 0 && rd->lost_at == gap.file)
        return AT_OK;
    rd->lost_at = gap.file;
    return note_gap(rd, &gap);
}

void at_holes_end(struct at_reader *rd, const struct at_piece *piece)
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
