/*
 * writer.c - records into blocks; a packer takes them to the file
 *
 * A block is filled with whole records up to AT_BLOCK_FILL bytes.  A longer
 * record is a block by itself.  Where a block ends depends on the lengths of
 * the records only: the same records give the same file, at any number of
 * threads.
 */
#include <stdlib.h>
#include <string.h>

#include "errors.h"
#include "format.h"
#include "packer.h"
#include "pcapng_out.h"
#include "process.h"
#include "section.h"

enum { ERF_MOST = 65535 };

struct at_writer {
    struct at_output out;
    struct at_packer packer;
    struct at_pool *own_pool;
    struct at_writer_options opts;
    struct at_error err;
    struct at_losses losses;
    struct at_pcapng_out ng;
    uint64_t raw_bytes; /* put so far */
};

/* ---- options --------------------------------------------------------- */

static bool ends_with(const char *s, size_t n, const char *suffix)
{
    const size_t m = strlen(suffix);

    return n >= m && memcmp(s + n - m, suffix, m) == 0;
}

enum at_format at_format_by_name(const char *path)
{
    const char *suffix = at_codec_suffix(at_codec_by_name(path));
    const size_t n = strlen(path) - strlen(suffix);

    if (ends_with(path, n, ".pcapng"))
        return AT_FORMAT_PCAPNG;
    return ends_with(path, n, ".erf") ? AT_FORMAT_ERF : AT_FORMAT_PCAP;
}

static void choose_by_name(struct at_writer_options *o, const char *path)
{
    if (o->format == AT_FORMAT_UNKNOWN)
        o->format = at_format_by_name(path);
    if (o->codec == AT_CODEC_UNKNOWN)
        o->codec = at_codec_by_name(path);
}

/* ---- records --------------------------------------------------------- */

/*
 * Where the next 'n' bytes go, which stay together in one block.  The header
 * of the file is no block by itself, however long the first record is.
 */
static uint8_t *take_room(struct at_writer *w, size_t n)
{
    struct at_packer *pk = &w->packer;
    const bool begun = pk->blocks > 0 ? pk->fill > 0
                                      : pk->fill > pk->job->header_bytes;

    if (begun && pk->fill + n > AT_BLOCK_FILL &&
        at_packer_end_block(pk) != AT_OK)
        return NULL;
    w->raw_bytes += n;
    return at_packer_room(pk, n);
}

/* What ERF says of a packet and pcap has no place for. */
static void count_erf_losses(struct at_losses *l, const struct at_packet *pkt)
{
    l->interfaces += pkt->interface != 0;
    l->lost_counts += pkt->lost != 0;
    l->extensions += at_erf_says_more(pkt, 0);
}

/* Raw IP of either version is one link type in pcap and two in ERF. */
static bool file_holds(const struct at_writer *w, uint16_t linktype)
{
    return linktype == w->opts.linktype ||
           (w->opts.linktype == AT_LINK_RAW &&
            (linktype == AT_LINK_IPV4 || linktype == AT_LINK_IPV6));
}

static bool same_fcs(struct at_fcs a, struct at_fcs b)
{
    return a.known == b.known && (!a.known || a.bits == b.bits);
}

static enum at_status put_frame(struct at_writer *w,
                                const struct at_packet *pkt)
{
    const bool micro = w->opts.format == AT_FORMAT_PCAP_US;
    const uint32_t most = at_pcap_cap_limit(w->opts.snap_bytes);
    const uint32_t cap = pkt->cap_bytes < most ? pkt->cap_bytes : most;
    uint8_t *p = take_room(w, at_pcap_build(NULL, pkt, cap, micro));

    w->losses.fcs += !same_fcs(pkt->fcs, w->opts.fcs);
    w->losses.cut += cap < pkt->cap_bytes; /* or readers would call it damage */
    w->losses.nanoseconds += micro && at_ts_to_ns(pkt->ts) % 1000 != 0;
    w->losses.directions += at_direction_is_set(pkt) ||
                            (pkt->format == AT_FORMAT_PCAPNG &&
                             pkt->direction != AT_DIRECTION_UNKNOWN);
    if (p == NULL)
        return w->err.status;
    at_pcap_build(p, pkt, cap, micro);
    return AT_OK;
}

/* In a pcap of LINKTYPE_ERF the whole record is the frame. */
static enum at_status put_erf_frame(struct at_writer *w,
                                    const struct at_packet *pkt)
{
    const bool micro = w->opts.format == AT_FORMAT_PCAP_US;
    const uint32_t n = (uint32_t)at_erf_build(NULL, pkt, pkt->cap_bytes);
    struct at_packet frame = *pkt;
    uint8_t *p = take_room(w, AT_PCAP_RECORD + n);

    w->losses.nanoseconds += micro && at_ts_to_ns(pkt->ts) % 1000 != 0;
    if (p == NULL)
        return w->err.status;
    frame.data = NULL;
    frame.wire_bytes = n - pkt->cap_bytes + pkt->wire_bytes;
    at_pcap_build(p, &frame, n, micro);
    at_erf_build(p + AT_PCAP_RECORD, pkt, pkt->cap_bytes);
    return AT_OK;
}

static enum at_status put_pcap(struct at_writer *w, const struct at_packet *pkt)
{
    if (pkt->kind != AT_KIND_PACKET) {
        at_losses_count(&w->losses, pkt);
        return AT_OK;
    }
    if (!file_holds(w, pkt->linktype)) {
        w->losses.linktypes++;
        return AT_OK;
    }
    if (pkt->linktype == AT_LINK_ERF && at_erf_type_for(pkt) >= 0)
        return put_erf_frame(w, pkt);
    if (pkt->format == AT_FORMAT_ERF)
        count_erf_losses(&w->losses, pkt);
    else
        w->losses.interfaces += pkt->interface != 0;
    if (pkt->format == AT_FORMAT_PCAPNG) {
        w->losses.lost_counts += pkt->lost != 0;
        at_pcapng_count_losses(&w->losses, pkt, 0);
    }
    return put_frame(w, pkt);
}

/* Bytes past the length on the wire, which odd pcap files have, would be
 * padding to who reads the record. */
static bool fits_erf(const struct at_erf_plan *plan,
                     const struct at_packet *pkt)
{
    return pkt->wire_bytes <= ERF_MOST && pkt->cap_bytes <= pkt->wire_bytes &&
           pkt->cap_bytes == plan->cap;
}

static void number_erf(struct at_writer *w, uint8_t *record,
                       const struct at_packet *pkt)
{
    if ((pkt->done & AT_DONE_NUMBERED) != 0)
        w->losses.interfaces += !at_erf_number(record, pkt);
    else if (pkt->format != AT_FORMAT_ERF) /* else its flags are as they were */
        w->losses.interfaces += pkt->interface > 3;
}

/* Makes an ERF record of what is none as it stands. */
static enum at_status put_new_erf(struct at_writer *w,
                                  const struct at_packet *pkt)
{
    const struct at_erf_plan plan = at_erf_plan(pkt, pkt->cap_bytes);
    uint8_t *p;

    if (plan.type < 0) {
        w->losses.linktypes++;
        return AT_OK;
    }
    p = take_room(w, plan.bytes);
    if (p == NULL)
        return w->err.status;
    at_erf_make(p, &plan, pkt);
    at_direction_to_erf(p, pkt);
    w->losses.cut += !fits_erf(&plan, pkt);
    w->losses.fcs += pkt->fcs.known;
    number_erf(w, p, pkt);
    if (pkt->format == AT_FORMAT_PCAPNG) {
        w->losses.directions += !at_direction_is_set(pkt) &&
                                pkt->direction != AT_DIRECTION_UNKNOWN &&
                                pkt->direction != at_erf_direction(p);
        w->losses.lost_counts += pkt->lost > 0xffff;
        at_pcapng_count_losses(&w->losses, pkt, AT_NG_CRC_ERROR);
    }
    return AT_OK;
}

static enum at_status put_erf(struct at_writer *w, const struct at_packet *pkt)
{
    uint8_t *p;

    if (pkt->kind != AT_KIND_PACKET && pkt->format != AT_FORMAT_ERF) {
        at_losses_count(&w->losses, pkt);
        return AT_OK;
    }
    if (!at_erf_is_record(pkt) && pkt->kind == AT_KIND_PACKET)
        return put_new_erf(w, pkt);
    p = take_room(w, at_erf_build(NULL, pkt, pkt->cap_bytes));
    if (p == NULL)
        return w->err.status;
    at_erf_build(p, pkt, pkt->cap_bytes);
    if ((pkt->done & AT_DONE_NUMBERED) != 0)
        number_erf(w, p, pkt);
    return AT_OK;
}

/* In pcapng, as in pcap, the whole ERF record is a frame of LINKTYPE_ERF. */
static enum at_status put_erf_in_pcapng(struct at_writer *w,
                                        const struct at_packet *pkt)
{
    struct at_packet frame = *pkt;

    frame.data = pkt->record;
    frame.cap_bytes = pkt->record_bytes;
    frame.wire_bytes = pkt->record_bytes - pkt->cap_bytes + pkt->wire_bytes;
    return at_pcapng_out_put(&w->ng, &frame, &w->losses);
}

/* Takes what at_pcapng_out_put() made, having returned 'st'. */
static enum at_status take_blocks(struct at_writer *w, enum at_status st)
{
    uint8_t *p;

    if (st == AT_ERR_MEMORY)
        return at_error_set(&w->err, st, "out of memory");
    if (st != AT_OK)
        return at_error_set(&w->err, st, "%s: more than 65536 interfaces",
                            w->out.name);
    if (w->ng.bytes == 0)
        return AT_OK;
    if (w->ng.new_section && w->packer.fill > 0 &&
        at_packer_end_block(&w->packer) != AT_OK)
        return w->err.status;
    p = take_room(w, w->ng.bytes);
    if (p == NULL)
        return w->err.status;
    memcpy(p, w->ng.buf, w->ng.bytes);
    return AT_OK;
}

static enum at_status put_pcapng(struct at_writer *w,
                                 const struct at_packet *pkt)
{
    const bool erf = pkt->kind == AT_KIND_PACKET &&
                     pkt->format == AT_FORMAT_ERF;

    if (erf && pkt->linktype == AT_LINK_ERF && pkt->edited) {
        w->losses.linktypes++;
        return AT_OK;
    }
    if (erf && pkt->linktype == AT_LINK_ERF)
        return take_blocks(w, put_erf_in_pcapng(w, pkt));
    if (erf)
        w->losses.extensions += at_erf_says_more(pkt, AT_ERROR_RX);
    return take_blocks(w, at_pcapng_out_put(&w->ng, pkt, &w->losses));
}

void at_losses_count(struct at_losses *l, const struct at_packet *record)
{
    if (record->format == AT_FORMAT_PCAPNG)
        at_pcapng_count_losses(l, record, 0);
    else
        l->meta++;
}

void at_losses_add(struct at_losses *sum, const struct at_losses *more)
{
    sum->interfaces += more->interfaces;
    sum->directions += more->directions;
    sum->lost_counts += more->lost_counts;
    sum->nanoseconds += more->nanoseconds;
    sum->extensions += more->extensions;
    sum->meta += more->meta;
    sum->comments += more->comments;
    sum->descriptions += more->descriptions;
    sum->blocks += more->blocks;
    sum->timeless += more->timeless;
    sum->cut += more->cut;
    sum->fcs += more->fcs;
    sum->linktypes += more->linktypes;
}

/* The first of the facts that were lost, in words; NULL if none was. */
static const char *lost_fact(const struct at_losses *l)
{
    if (l->linktypes > 0)
        return "a packet of another link type";
    if (l->meta > 0)
        return "a META or PAD record";
    if (l->cut > 0)
        return "a packet of this length";
    if (l->nanoseconds > 0)
        return "a time in nanoseconds";
    if (l->fcs > 0)
        return "the length of a frame check sequence";
    if (l->interfaces > 0)
        return "an interface number";
    if (l->directions > 0)
        return "a direction";
    if (l->lost_counts > 0)
        return "a count of lost packets";
    if (l->extensions > 0)
        return "an extension header, flag, option or colour";
    if (l->comments > 0)
        return "a comment";
    if (l->descriptions > 0)
        return "the description of an interface or section";
    if (l->blocks > 0)
        return "a block that is no packet";
    if (l->timeless > 0)
        return "a packet without a time";
    return NULL;
}

static enum at_status refuse_loss(struct at_writer *w)
{
    const char *fact = lost_fact(&w->losses);

    if (fact == NULL)
        return AT_OK;
    return at_error_set(&w->err, AT_ERR_LOSS, "%s: %s cannot be held by %s",
                        w->out.name, fact, at_format_name(w->opts.format));
}

/* ---- opening and closing --------------------------------------------- */

static enum at_status start(struct at_writer *w)
{
    const enum at_status st = at_packer_open(&w->packer, w->opts.codec,
                                             w->opts.level, &w->out,
                                             w->opts.pool, &w->err);

    if (st == AT_OK && w->opts.format != AT_FORMAT_ERF &&
        w->opts.format != AT_FORMAT_PCAPNG) {
        uint8_t *p = take_room(w, AT_PCAP_HEADER);

        if (p == NULL)
            return w->err.status;
        w->opts.fcs.known = at_pcap_holds_fcs(w->opts.fcs);
        at_pcap_header(p, w->opts.linktype, w->opts.fcs, w->opts.snap_bytes,
                       w->opts.format == AT_FORMAT_PCAP_US);
        at_packer_header(&w->packer);
    }
    return st;
}

enum at_status at_writer_open(struct at_writer **out, const char *path,
                              const struct at_writer_options *opts,
                              struct at_error *err)
{
    struct at_writer *w = calloc(1, sizeof(*w));
    enum at_status st = AT_OK;

    *out = NULL;
    if (w == NULL)
        return at_error_set(err, AT_ERR_MEMORY, "out of memory");
    w->opts = *opts;
    w->out.fd = -1;
    w->losses = opts->losses;
    w->ng.how = opts->sections;
    w->ng.fcs_use = opts->fcs_use;
    choose_by_name(&w->opts, path);
    if (!at_format_writable(w->opts.format))
        st = at_error_set(&w->err, AT_ERR_MISUSE, "%s is read only",
                          at_format_name(w->opts.format));
    if (st == AT_OK && w->opts.pool == NULL) {
        st = at_pool_open(&w->own_pool, 1, &w->err);
        w->opts.pool = w->own_pool;
    }
    if (st == AT_OK)
        st = at_output_open(&w->out, path, &w->err);
    w->out.written = opts->written;
    w->out.written_ctx = opts->written_ctx;
    if (st == AT_OK)
        st = start(w);
    if (st == AT_OK && w->opts.strict)
        st = refuse_loss(w);
    if (st != AT_OK) {
        at_error_copy(err, &w->err);
        at_writer_close(w);
        return st;
    }
    *out = w;
    return AT_OK;
}

enum at_status at_writer_commit(struct at_writer *w)
{
    enum at_status st = w->err.status;

    if (st == AT_OK && w->opts.format == AT_FORMAT_PCAPNG)
        st = take_blocks(w, at_pcapng_out_put(&w->ng, NULL, &w->losses));
    if (st == AT_OK)
        st = at_packer_finish(&w->packer);
    if (st == AT_OK)
        st = at_output_commit(&w->out, w->opts.sync, &w->err);
    return st;
}

void at_writer_close(struct at_writer *w)
{
    if (w == NULL)
        return;
    at_packer_close(&w->packer);
    at_output_close(&w->out);
    at_pcapng_out_close(&w->ng);
    at_pool_close(w->own_pool);
    free(w);
}

/* ---- for callers ----------------------------------------------------- */

enum at_status at_writer_put(struct at_writer *w, const struct at_packet *pkt)
{
    enum at_status st;

    if (w->err.status != AT_OK)
        return w->err.status;
    w->losses.comments += pkt->comment != NULL &&
                          w->opts.format != AT_FORMAT_PCAPNG;
    if (w->opts.format == AT_FORMAT_PCAPNG)
        st = put_pcapng(w, pkt);
    else if (w->opts.format == AT_FORMAT_ERF)
        st = put_erf(w, pkt);
    else
        st = put_pcap(w, pkt);
    return st == AT_OK && w->opts.strict ? refuse_loss(w) : st;
}

uint64_t at_writer_block(const struct at_writer *w)
{
    return w->packer.blocks;
}

const struct at_place *at_writer_places(const struct at_writer *w, size_t *n)
{
    *n = w->packer.places;
    return w->packer.place;
}

enum at_format at_writer_format(const struct at_writer *w)
{
    return w->opts.format;
}

const struct at_losses *at_writer_losses(const struct at_writer *w)
{
    return &w->losses;
}

uint64_t at_writer_bytes(const struct at_writer *w)
{
    return w->out.bytes;
}

uint64_t at_writer_raw_bytes(const struct at_writer *w)
{
    return w->raw_bytes;
}

static uint64_t most_erf_bytes(const struct at_packet *pkt)
{
    const bool left_out = !at_erf_is_record(pkt) &&
                          pkt->kind == AT_KIND_PACKET &&
                          at_erf_type_for(pkt) < 0;

    return left_out ? 0 : at_erf_build(NULL, pkt, pkt->cap_bytes);
}

uint64_t at_writer_most_bytes(const struct at_writer *w,
                              const struct at_packet *pkt)
{
    enum { PACKET = 32, OPTIONS = 28 }; /* of ours: flags, drops, the end */

    if (w->opts.format == AT_FORMAT_ERF)
        return most_erf_bytes(pkt);
    if (w->opts.format == AT_FORMAT_PCAPNG && pkt->comment != NULL) {
        struct at_packet plain = *pkt;

        plain.comment = NULL;
        plain.edited = true;
        return at_writer_most_bytes(w, &plain) + strlen(pkt->comment) + 8;
    }
    if (w->opts.format != AT_FORMAT_PCAPNG)
        return pkt->linktype == AT_LINK_ERF
                   ? AT_PCAP_RECORD + most_erf_bytes(pkt)
                   : AT_PCAP_RECORD + (uint64_t)pkt->cap_bytes;
    if (pkt->format != AT_FORMAT_PCAPNG)
        return PACKET + OPTIONS + (uint64_t)pkt->record_bytes + 3;
    if (w->opts.sections != AT_SECTIONS_ONE && !pkt->edited)
        return pkt->record_bytes;
    return PACKET + OPTIONS + (uint64_t)pkt->record_bytes;
}

const struct at_error *at_writer_error(const struct at_writer *w)
{
    return &w->err;
}
