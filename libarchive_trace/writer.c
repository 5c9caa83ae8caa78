/*
 * writer.c - records into blocks, blocks through a codec into a file
 *
 * A block is filled with whole records up to 0xff00 bytes, the most that one
 * BGZF member takes, so that nearly every block is one member and every
 * member begins with a record.  A longer record is a block of several members
 * by itself.  Where a block ends depends on the lengths of the records only:
 * the same records give the same file, at any number of threads.
 */
#include <libdeflate.h>
#include <stdlib.h>
#include <string.h>

#include "bgzf.h"
#include "bytes.h"
#include "errors.h"
#include "format.h"
#include "output.h"
#include "pool.h"

enum {
    BLOCK_BYTES = AT_BGZF_FILL,
    LEVEL_DEFAULT = 5,
    BLOCKS_IN_JOB = 8, /* so that a job is worth handing over */
    ERF_MOST = 65535,
};

/* Some blocks on their way through the codec; the slot of a lane. */
struct pack {
    uint8_t *raw;
    size_t raw_bytes, raw_room;
    size_t block[BLOCKS_IN_JOB]; /* bytes of each */
    unsigned blocks;
    size_t header_bytes; /* of the file, at the start of the first block */
    uint8_t *out;
    size_t out_bytes, out_room;
    size_t block_out[BLOCKS_IN_JOB];
    struct libdeflate_compressor *tool;
    bool failed; /* no memory */
};

struct at_writer {
    struct at_output out;
    struct at_pool *own_pool;
    struct at_lane *lane;
    struct pack *pack; /* being filled */
    struct at_writer_options opts;
    struct at_error err;
    struct at_losses losses;
    struct at_place *place;
    size_t places, place_room;
    uint64_t raw_offset; /* of the next block retired */
    uint64_t blocks;     /* finished or begun */
    size_t fill;         /* bytes in the block being filled */
    bool committed;
};

/* ---- options --------------------------------------------------------- */

static bool ends_with(const char *s, size_t n, const char *suffix)
{
    const size_t m = strlen(suffix);

    return n >= m && memcmp(s + n - m, suffix, m) == 0;
}

enum at_format at_format_by_name(const char *path)
{
    size_t n = strlen(path);

    if (ends_with(path, n, ".gz"))
        n -= 3;
    return ends_with(path, n, ".erf") ? AT_FORMAT_ERF : AT_FORMAT_PCAP;
}

static void choose_by_name(struct at_writer_options *o, const char *path)
{
    const bool gz = ends_with(path, strlen(path), ".gz");

    if (o->format == AT_FORMAT_UNKNOWN)
        o->format = at_format_by_name(path);
    if (o->codec == AT_CODEC_UNKNOWN)
        o->codec = gz ? AT_CODEC_BGZF : AT_CODEC_NONE;
    if (o->codec == AT_CODEC_GZIP)
        o->codec = AT_CODEC_BGZF; /* which is gzip, and can be read anywhere */
}

/* ---- compression ----------------------------------------------------- */

static enum at_status room_for(uint8_t **buf, size_t *room, size_t n)
{
    uint8_t *p;

    if (n <= *room)
        return AT_OK;
    p = realloc(*buf, n);
    if (p == NULL)
        return AT_ERR_MEMORY;
    *buf = p;
    *room = n;
    return AT_OK;
}

/* One BGZF member of 'n' bytes at most AT_BGZF_FILL; returns its size. */
static size_t make_member(struct libdeflate_compressor *tool, uint8_t *out,
                          const uint8_t *p, size_t n)
{
    size_t body = libdeflate_deflate_compress(tool, p, n, out + AT_BGZF_HEADER,
                                              AT_BGZF_MAX - AT_BGZF_HEADER -
                                                  AT_BGZF_TRAILER);
    size_t total;

    if (body == 0) { /* does not shrink: one stored block */
        uint8_t *d = out + AT_BGZF_HEADER;

        d[0] = 1;
        at_store_le16(d + 1, (uint16_t)n);
        at_store_le16(d + 3, (uint16_t)~n);
        memcpy(d + 5, p, n);
        body = n + 5;
    }
    total = AT_BGZF_HEADER + body + AT_BGZF_TRAILER;
    memcpy(out, at_bgzf_eof, AT_BGZF_HEADER);
    at_store_le16(out + 16, (uint16_t)(total - 1));
    at_store_le32(out + AT_BGZF_HEADER + body, libdeflate_crc32(0, p, n));
    at_store_le32(out + AT_BGZF_HEADER + body + 4, (uint32_t)n);
    return total;
}

static void pack_block(struct pack *pk, unsigned i, const uint8_t *p)
{
    const size_t before = pk->out_bytes;
    size_t left = pk->block[i];

    while (left > 0) {
        const size_t n = left < AT_BGZF_FILL ? left : AT_BGZF_FILL;

        pk->out_bytes += make_member(pk->tool, pk->out + pk->out_bytes, p, n);
        p += n;
        left -= n;
    }
    pk->block_out[i] = pk->out_bytes - before;
}

static void run_pack(void *ctx, void *slot)
{
    const struct at_writer *w = ctx;
    struct pack *pk = slot;
    const uint8_t *p = pk->raw;
    size_t members = 0;

    pk->out_bytes = 0;
    if (w->opts.codec == AT_CODEC_NONE)
        return;
    if (pk->tool == NULL)
        pk->tool = libdeflate_alloc_compressor(w->opts.level);
    for (unsigned i = 0; i < pk->blocks; i++)
        members += pk->block[i] / AT_BGZF_FILL + 1;
    pk->failed = pk->tool == NULL || room_for(&pk->out, &pk->out_room,
                                              members * AT_BGZF_MAX) != AT_OK;
    for (unsigned i = 0; i < pk->blocks && !pk->failed; i++) {
        pack_block(pk, i, p);
        p += pk->block[i];
    }
}

static void drop_pack(void *ctx, void *slot)
{
    struct pack *pk = slot;

    (void)ctx;
    libdeflate_free_compressor(pk->tool);
    free(pk->raw);
    free(pk->out);
}

/* ---- the way of a block ---------------------------------------------- */

static enum at_status out_of_memory(struct at_writer *w)
{
    return at_error_set(&w->err, AT_ERR_MEMORY, "out of memory");
}

static enum at_status add_place(struct at_writer *w, const struct pack *pk,
                                unsigned i, uint64_t file_offset)
{
    const size_t header = i == 0 ? pk->header_bytes : 0;
    const bool plain = w->opts.codec == AT_CODEC_NONE;
    const size_t file_bytes = plain ? pk->block[i] : pk->block_out[i];

    if (w->places == w->place_room) {
        const size_t room = w->place_room * 2 + 64;
        struct at_place *p = realloc(w->place, room * sizeof(*p));

        if (p == NULL)
            return out_of_memory(w);
        w->place = p;
        w->place_room = room;
    }
    w->place[w->places++] = (struct at_place){
        .file_offset = file_offset + (plain ? header : 0),
        .file_bytes = file_bytes - (plain ? header : 0),
        .raw_offset = w->raw_offset + header,
        .skip = plain ? 0 : header,
        .bytes = pk->block[i] - header,
    };
    w->raw_offset += pk->block[i];
    return AT_OK;
}

/* Writes the oldest pack that is on its way. */
static enum at_status retire_pack(struct at_writer *w)
{
    const struct pack *pk = at_lane_wait(w->lane);
    const bool plain = w->opts.codec == AT_CODEC_NONE;
    uint64_t offset = w->out.bytes;
    enum at_status st;

    if (pk->failed)
        return out_of_memory(w);
    st = at_output_write(&w->out, plain ? pk->raw : pk->out,
                         plain ? pk->raw_bytes : pk->out_bytes, &w->err);
    for (unsigned i = 0; i < pk->blocks && st == AT_OK; i++) {
        st = add_place(w, pk, i, offset);
        offset += plain ? pk->block[i] : pk->block_out[i];
    }
    at_lane_retire(w->lane);
    return st;
}

static enum at_status new_pack(struct at_writer *w)
{
    while ((w->pack = at_lane_free_slot(w->lane)) == NULL) {
        const enum at_status st = retire_pack(w);

        if (st != AT_OK)
            return st;
    }
    w->pack->raw_bytes = 0;
    w->pack->blocks = 0;
    w->pack->header_bytes = 0;
    if (room_for(&w->pack->raw, &w->pack->raw_room,
                 (size_t)BLOCKS_IN_JOB * BLOCK_BYTES) != AT_OK)
        return out_of_memory(w);
    return AT_OK;
}

static enum at_status end_block(struct at_writer *w)
{
    struct pack *pk = w->pack;

    if (w->fill == 0)
        return AT_OK;
    pk->block[pk->blocks++] = w->fill;
    w->fill = 0;
    w->blocks++;
    if (pk->blocks < BLOCKS_IN_JOB &&
        pk->raw_bytes + BLOCK_BYTES <= pk->raw_room)
        return AT_OK;
    at_lane_submit(w->lane);
    return new_pack(w);
}

/* Where the next 'n' bytes go, which stay together in one block. */
static uint8_t *take_room(struct at_writer *w, size_t n)
{
    uint8_t *p;

    if (w->fill > 0 && w->fill + n > BLOCK_BYTES && end_block(w) != AT_OK)
        return NULL;
    if (room_for(&w->pack->raw, &w->pack->raw_room, w->pack->raw_bytes + n) !=
        AT_OK) {
        out_of_memory(w);
        return NULL;
    }
    p = w->pack->raw + w->pack->raw_bytes;
    w->pack->raw_bytes += n;
    w->fill += n;
    return p;
}

/* ---- opening and closing --------------------------------------------- */

static enum at_status start(struct at_writer *w)
{
    enum at_status st;

    w->lane = at_lane_open(w->opts.pool, run_pack, w, sizeof(struct pack), 0,
                           false);
    if (w->lane == NULL)
        return out_of_memory(w);
    st = new_pack(w);
    if (st == AT_OK && w->opts.format != AT_FORMAT_ERF) {
        uint8_t *p = take_room(w, AT_PCAP_HEADER);

        at_pcap_header(p, w->opts.linktype, w->opts.snap_bytes,
                       w->opts.format == AT_FORMAT_PCAP_US);
        w->pack->header_bytes = AT_PCAP_HEADER;
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
    choose_by_name(&w->opts, path);
    if (w->opts.level == 0)
        w->opts.level = LEVEL_DEFAULT;
    if (w->opts.pool == NULL) {
        st = at_pool_open(&w->own_pool, 1, &w->err);
        w->opts.pool = w->own_pool;
    }
    if (st == AT_OK)
        st = at_output_open(&w->out, path, &w->err);
    if (st == AT_OK)
        st = start(w);
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

    if (st == AT_OK)
        st = end_block(w);
    if (st == AT_OK && w->pack->blocks > 0)
        at_lane_submit(w->lane);
    while (st == AT_OK && at_lane_pending(w->lane) > 0)
        st = retire_pack(w);
    if (st == AT_OK && w->opts.codec == AT_CODEC_BGZF)
        st = at_output_write(&w->out, at_bgzf_eof, AT_BGZF_EOF_BYTES, &w->err);
    if (st == AT_OK)
        st = at_output_commit(&w->out, w->opts.sync, &w->err);
    return st;
}

void at_writer_close(struct at_writer *w)
{
    if (w == NULL)
        return;
    at_lane_close(w->lane, drop_pack);
    at_output_close(&w->out);
    at_pool_close(w->own_pool);
    free(w->place);
    free(w);
}

/* ---- records --------------------------------------------------------- */

/* What ERF says of a packet and pcap has no place for. */
static void count_erf_losses(struct at_losses *l, const struct at_packet *pkt)
{
    l->interfaces += pkt->interface != 0;
    l->lost_counts += pkt->lost != 0;
    l->extensions += at_erf_says_more(pkt);
}

/* Raw IP of either version is one link type in pcap and two in ERF. */
static bool file_holds(const struct at_writer *w, uint16_t linktype)
{
    return linktype == w->opts.linktype ||
           (w->opts.linktype == AT_LINK_RAW &&
            (linktype == AT_LINK_IPV4 || linktype == AT_LINK_IPV6));
}

/* In a pcap of LINKTYPE_ERF the whole record is the frame. */
static struct at_packet as_erf_frame(const struct at_packet *pkt)
{
    struct at_packet frame = *pkt;

    frame.data = pkt->record;
    frame.cap_bytes = pkt->record_bytes;
    frame.wire_bytes = pkt->record_bytes - pkt->cap_bytes + pkt->wire_bytes;
    return frame;
}

static enum at_status put_frame(struct at_writer *w,
                                const struct at_packet *pkt)
{
    const bool micro = w->opts.format == AT_FORMAT_PCAP_US;
    uint8_t *p = take_room(w, at_pcap_build(NULL, pkt, pkt->cap_bytes, micro));

    w->losses.nanoseconds += micro && at_ts_to_ns(pkt->ts) % 1000 != 0;
    if (p == NULL)
        return w->err.status;
    at_pcap_build(p, pkt, pkt->cap_bytes, micro);
    return AT_OK;
}

static enum at_status put_pcap(struct at_writer *w, const struct at_packet *pkt)
{
    struct at_packet frame;

    if (pkt->kind != AT_KIND_PACKET) {
        w->losses.meta++;
        return AT_OK;
    }
    if (!file_holds(w, pkt->linktype)) {
        w->losses.linktypes++;
        return AT_OK;
    }
    if (pkt->format != AT_FORMAT_ERF)
        return put_frame(w, pkt);
    if (pkt->linktype == AT_LINK_ERF) {
        frame = as_erf_frame(pkt);
        return put_frame(w, &frame);
    }
    count_erf_losses(&w->losses, pkt);
    return put_frame(w, pkt);
}

static enum at_status put_erf(struct at_writer *w, const struct at_packet *pkt)
{
    uint32_t cap = pkt->cap_bytes;
    uint8_t *p;

    if (pkt->format == AT_FORMAT_ERF) {
        p = take_room(w, pkt->record_bytes);
        if (p == NULL)
            return w->err.status;
        memcpy(p, pkt->record, pkt->record_bytes);
        return AT_OK;
    }
    if (at_erf_type_for(pkt) < 0) {
        w->losses.linktypes++;
        return AT_OK;
    }
    /* Bytes past the length on the wire, which odd pcap files have, would be
     * padding to who reads the record. */
    if (pkt->wire_bytes > ERF_MOST || cap > pkt->wire_bytes ||
        at_erf_build(NULL, pkt, cap) > ERF_MOST) {
        w->losses.cut++;
        cap = cap > ERF_MOST - 32 ? ERF_MOST - 32 : cap;
    }
    p = take_room(w, at_erf_build(NULL, pkt, cap));
    if (p == NULL)
        return w->err.status;
    at_erf_build(p, pkt, cap);
    return AT_OK;
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
    if (l->interfaces > 0)
        return "an interface number";
    if (l->lost_counts > 0)
        return "a count of lost packets";
    if (l->extensions > 0)
        return "an extension header, error flag or colour";
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

enum at_status at_writer_put(struct at_writer *w, const struct at_packet *pkt)
{
    enum at_status st;

    if (w->err.status != AT_OK)
        return w->err.status;
    st = w->opts.format == AT_FORMAT_ERF ? put_erf(w, pkt) : put_pcap(w, pkt);
    return st == AT_OK && w->opts.strict ? refuse_loss(w) : st;
}

uint64_t at_writer_block(const struct at_writer *w)
{
    return w->blocks;
}

const struct at_place *at_writer_places(const struct at_writer *w, size_t *n)
{
    *n = w->places;
    return w->place;
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

const struct at_error *at_writer_error(const struct at_writer *w)
{
    return &w->err;
}
