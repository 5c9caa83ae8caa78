/*
 * reader_open.c - opening a trace: which codec, which format
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "errors.h"
#include "reader.h"

/* What the format is judged by; the most where that does not suffice, as for
 * ERF with records of up to 64 KiB. */
enum { DETECT_BYTES = 32 << 10, DETECT_MOST = 192 << 10 };

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

/* In words, what is not as the file says. */
static void assume(struct at_reader *rd)
{
    const struct at_layout *l = &rd->layout;
    const char *modified = l->record_header > AT_PCAP_RECORD ? ", modified"
                                                             : "";

    if (rd->mend.bytes == 4 && rd->mend.offset == 16)
        snprintf(rd->assumed, sizeof(rd->assumed),
                 "the snap length is less than what is captured: %u assumed",
                 l->snap_bytes);
    else if (rd->mend.bytes == 4 && rd->mend.offset == 20)
        snprintf(rd->assumed, sizeof(rd->assumed),
                 "the link type is not that of the frames: %u assumed",
                 l->linktype);
    else
        snprintf(rd->assumed, sizeof(rd->assumed),
                 "no pcap header: %s-endian%s, %s and link type %u assumed, "
                 "with the first record at byte %u",
                 l->swapped ? "big" : "little", modified,
                 l->format == AT_FORMAT_PCAP ? "nanoseconds" : "microseconds",
                 l->linktype, l->header_bytes);
    rd->salvaged.assumed = rd->assumed;
}

/* By salvage a pcap file need not have its header, nor need that be right. */
static enum at_status mend(struct at_reader *rd, enum at_status st)
{
    const struct at_piece *piece = rd->first;
    const enum at_format wanted = rd->opts.format;
    const bool pcap = wanted == AT_FORMAT_UNKNOWN || wanted == AT_FORMAT_PCAP ||
                      wanted == AT_FORMAT_PCAP_US;

    if (!rd->opts.salvage || !pcap)
        return st;
    if (st == AT_OK && (rd->layout.format == AT_FORMAT_PCAP ||
                        rd->layout.format == AT_FORMAT_PCAP_US))
        at_pcap_doubt(&rd->layout, piece->data, piece->len, &rd->mend);
    else if (st != AT_OK &&
             at_pcap_mend(&rd->layout, piece->data, piece->len, &rd->mend))
        st = AT_OK;
    if (rd->mend.what != NULL)
        assume(rd);
    return st;
}

static enum at_status detect(struct at_reader *rd, struct at_error *err)
{
    const struct at_piece *piece = rd->first;
    const char *name = rd->src.in.name;
    const char *what = NULL;
    enum at_status st = at_layout_choose(&rd->layout, rd->opts.format,
                                         piece->data, piece->len,
                                         piece->err.status != AT_OK, &what);

    st = mend(rd, st);
    rd->layout.third_bit = rd->opts.erf_interfaces > 4;
    if (st == AT_OK)
        return AT_OK;
    if (piece->err.status < 0)
        return at_error_copy(err, &piece->err);
    if (piece->len == 0 && piece->gaps > 0)
        return at_error_set(err, AT_ERR_CORRUPT,
                            "%s: damaged: nothing in it can be decoded", name);
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
    info->fcs = rd->layout.fcs;
    if (rd->layout.format == AT_FORMAT_PCAPNG) {
        at_pcapng_first(p, end, info);
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
    at_reader_rewind(rd);
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
