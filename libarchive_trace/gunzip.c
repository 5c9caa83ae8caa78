/*
 * gunzip.c - gzip members (RFC 1952) one after the other, from any point
 *
 * A file that stops inside a member, or with bytes that begin no member, is
 * an error; zeros at the end (tape blocks) are not.
 *
 * A deflate block may begin at any bit.  zlib stops at one when asked.  ISA-L
 * does not, but when its input runs out inside a block's header, it keeps the
 * header's bytes and says so; therefore blocks are found by feeding it less
 * than a header at a time.
 */
#include "gunzip.h"

#include <stdlib.h>
#include <string.h>

#include "bytes.h"
#include "members.h"

enum { IN_BYTES = 256 << 10 };

enum progress { MORE, MEMBER_DONE, DAMAGED, CHECKSUM };

/* The bytes that the next run may take. */
static size_t to_feed(const struct at_gunzip *g)
{
    const size_t left = g->have - g->at;

    return g->feed > 0 && g->feed < left ? g->feed : left;
}

#ifdef AT_HAVE_ISAL

static bool inflater_open(struct at_gunzip *g)
{
    isal_inflate_init(&g->z);
    return true;
}

static void inflater_begin(struct at_gunzip *g)
{
    isal_inflate_reset(&g->z);
    g->z.crc_flag = ISAL_GZIP;
}

static enum progress inflater_run(struct at_gunzip *g, uint8_t *out, size_t n,
                                  size_t *got)
{
    const size_t feed = to_feed(g);
    int r;

    g->z.next_in = g->in + g->at;
    g->z.avail_in = (uint32_t)feed;
    g->z.next_out = out;
    g->z.avail_out = (uint32_t)n;
    r = isal_inflate(&g->z);
    g->at += feed - g->z.avail_in;
    *got = n - g->z.avail_out;
    if (r == ISAL_INCORRECT_CHECKSUM)
        return CHECKSUM;
    if (r < 0)
        return DAMAGED;
    return g->z.block_state == ISAL_BLOCK_FINISH ? MEMBER_DONE : MORE;
}

/* What is left of the byte that the point lies in, and the state before. */
static bool inflater_restart(struct at_gunzip *g,
                             const struct at_access_point *point,
                             const uint8_t *window, size_t window_bytes)
{
    const unsigned used = point->file_bit % 8;

    isal_inflate_reset(&g->z);
    g->z.crc_flag = ISAL_GZIP_NO_HDR_VER;
    if (isal_inflate_set_dict(&g->z, (uint8_t *)(uintptr_t)window,
                              (uint32_t)window_bytes) != ISAL_DECOMP_OK)
        return false;
    g->z.crc = point->crc;
    g->z.total_out = (uint32_t)point->member_raw;
    if (used > 0) {
        g->z.read_in = (uint64_t)g->in[g->at++] >> used;
        g->z.read_in_length = (int32_t)(8 - used);
    }
    return true;
}

static void inflater_close(struct at_gunzip *g)
{
    (void)g;
}

static bool inflater_in_trailer(const struct at_gunzip *g)
{
    (void)g;
    return false;
}

static enum progress inflater_trailer(struct at_gunzip *g)
{
    (void)g;
    return MEMBER_DONE;
}

bool at_gunzip_at_block(const struct at_gunzip *g, uint64_t *file_bit)
{
    const struct inflate_state *z = &g->z;

    if (!g->inside || z->block_state != ISAL_BLOCK_HDR || z->avail_in > 0 ||
        z->avail_out == 0 || z->tmp_out_processed != z->tmp_out_valid ||
        z->write_overflow_len != 0 || z->copy_overflow_length != 0)
        return false;
    *file_bit = 8 * (at_gunzip_position(g) - (uint64_t)z->tmp_in_size) -
                (uint64_t)z->read_in_length;
    return true;
}

size_t at_gunzip_stored_left(const struct at_gunzip *g)
{
    const struct inflate_state *z = &g->z;
    const int32_t ahead = z->read_in_length / 8;

    if (z->block_state != ISAL_BLOCK_TYPE0 || z->type0_block_len <= ahead)
        return 0;
    return (size_t)(z->type0_block_len - ahead);
}

uint32_t at_gunzip_crc(const struct at_gunzip *g)
{
    return g->z.crc;
}

#else

enum { TRAILER_BYTES = 8 };

static bool inflater_open(struct at_gunzip *g)
{
    return inflateInit2(&g->z, 15 + 16) == Z_OK;
}

static void inflater_begin(struct at_gunzip *g)
{
    if (g->headless)
        inflateReset2(&g->z, 15 + 16);
    else
        inflateReset(&g->z);
    g->headless = g->trailer = false;
}

/* What was decoded of a headless member; its trailer is looked at later. */
static enum progress headless_progress(struct at_gunzip *g, const uint8_t *out,
                                       size_t n, bool over)
{
    g->crc = (uint32_t)crc32_z(g->crc, out, n);
    g->trailer = over;
    return MORE;
}

static enum progress inflater_run(struct at_gunzip *g, uint8_t *out, size_t n,
                                  size_t *got)
{
    const size_t feed = to_feed(g);
    int r;

    g->z.next_in = g->in + g->at;
    g->z.avail_in = (uInt)feed;
    g->z.next_out = out;
    g->z.avail_out = (uInt)n;
    r = inflate(&g->z, g->to_block ? Z_BLOCK : Z_NO_FLUSH);
    g->at += feed - g->z.avail_in;
    *got = n - g->z.avail_out;
    if (r != Z_OK && r != Z_BUF_ERROR && r != Z_STREAM_END)
        return g->z.msg != NULL && strcmp(g->z.msg, "incorrect data check") == 0
                   ? CHECKSUM
                   : DAMAGED;
    if (g->headless)
        return headless_progress(g, out, *got, r == Z_STREAM_END);
    return r == Z_STREAM_END ? MEMBER_DONE : MORE;
}

static bool inflater_restart(struct at_gunzip *g,
                             const struct at_access_point *point,
                             const uint8_t *window, size_t window_bytes)
{
    const unsigned used = point->file_bit % 8;

    if (inflateReset2(&g->z, -15) != Z_OK)
        return false;
    if (used > 0)
        inflatePrime(&g->z, (int)(8 - used), g->in[g->at++] >> used);
    g->headless = true;
    g->trailer = false;
    g->crc = point->crc;
    return inflateSetDictionary(&g->z, window, (uInt)window_bytes) == Z_OK;
}

static void inflater_close(struct at_gunzip *g)
{
    inflateEnd(&g->z);
}

static bool inflater_in_trailer(const struct at_gunzip *g)
{
    return g->trailer;
}

static enum progress inflater_trailer(struct at_gunzip *g)
{
    const uint8_t *p = g->in + g->at;

    if (g->have - g->at < TRAILER_BYTES) {
        g->at = g->have;
        return MORE;
    }
    g->at += TRAILER_BYTES;
    g->trailer = false;
    return at_load_le32(p) == g->crc &&
                   at_load_le32(p + 4) == (uint32_t)g->member_raw
               ? MEMBER_DONE
               : CHECKSUM;
}

bool at_gunzip_at_block(const struct at_gunzip *g, uint64_t *file_bit)
{
    const unsigned state = (unsigned)g->z.data_type;

    /* 64: the block that has ended was the last; 128: one has ended */
    if (!g->inside || g->trailer || (state & 192) != 128)
        return false;
    *file_bit = 8 * at_gunzip_position(g) - (state & 7);
    return true;
}

size_t at_gunzip_stored_left(const struct at_gunzip *g)
{
    (void)g;
    return 0;
}

uint32_t at_gunzip_crc(const struct at_gunzip *g)
{
    if (g->headless)
        return g->crc;
    return g->member_raw > 0 ? (uint32_t)g->z.adler : 0;
}

#endif

/* ---- members --------------------------------------------------------- */

enum at_status at_gunzip_open(struct at_gunzip *g, struct at_input *input)
{
    memset(g, 0, sizeof(*g));
    g->in = malloc(IN_BYTES);
    if (g->in == NULL || !inflater_open(g)) {
        free(g->in);
        return AT_ERR_MEMORY;
    }
    g->input = input;
    g->offset = input->offset;
    g->first = true;
    return AT_OK;
}

void at_gunzip_close(struct at_gunzip *g)
{
    inflater_close(g);
    free(g->in);
}

uint64_t at_gunzip_position(const struct at_gunzip *g)
{
    return g->offset - (g->have - g->at);
}

static enum at_status refill(struct at_gunzip *g, struct at_error *err)
{
    const size_t left = g->have - g->at;
    size_t got = 0;
    enum at_status st;

    if (g->eof || left >= IN_BYTES / 2)
        return AT_OK;
    memmove(g->in, g->in + g->at, left);
    g->at = 0;
    g->have = left;
    st = g->input->seekable
             ? at_input_read_at(g->input, g->offset, g->in + left,
                                IN_BYTES - left, &got, err)
             : at_input_read(g->input, g->in + left, IN_BYTES - left, &got,
                             err);
    if (st != AT_OK)
        return st;
    g->have += got;
    g->offset += got;
    g->eof = got < IN_BYTES - left;
    return AT_OK;
}

enum at_status at_gunzip_restart(struct at_gunzip *g,
                                 const struct at_access_point *point,
                                 const uint8_t *window, struct at_error *err)
{
    const uint64_t n = point->member_raw < AT_WINDOW ? point->member_raw
                                                     : AT_WINDOW;
    enum at_status st;

    g->at = g->have = 0;
    g->eof = false;
    g->first = point->file_bit == 0;
    g->inside = g->closed = g->goes_on = false;
    g->raw = point->raw_offset;
    g->member_offset = point->member_offset;
    g->member_raw = point->member_raw;
    g->offset = point->file_bit / 8;
    st = refill(g, err);
    if (st != AT_OK || n == 0)
        return st;
    g->inside = true;
    if (g->have == 0 || !inflater_restart(g, point, window, (size_t)n))
        return at_error_set(
            err, AT_ERR_CORRUPT, "%s: cannot be read from byte %llu on",
            g->input->name, (unsigned long long)point->file_bit / 8);
    return AT_OK;
}

static bool only_zeros(const uint8_t *p, size_t n)
{
    while (n > 0 && *p == 0) {
        p++;
        n--;
    }
    return n == 0;
}

/* A single byte may be the beginning of the magic number, cut there. */
static bool begins_member(const uint8_t *p, size_t n)
{
    return p[0] == 0x1f && (n == 1 || p[1] == 0x8b);
}

/* Between members: begins the next, or says that the file is over. */
static enum at_status next_member(struct at_gunzip *g, struct at_error *err)
{
    const uint64_t at = at_gunzip_position(g);
    const size_t left = g->have - g->at;
    struct at_member m;

    if (left == 0 || (g->eof && only_zeros(g->in + g->at, left)))
        return g->goes_on ? at_input_not_closed(g->input, at, err) : AT_END;
    if (!g->first && !begins_member(g->in + g->at, left))
        return at_error_set(err, AT_ERR_CORRUPT,
                            "%s: no gzip member begins at byte %llu, where "
                            "the one before has ended",
                            g->input->name, (unsigned long long)at);
    inflater_begin(g);
    at_member_look(g->in + g->at, left, &m);
    g->closed = m.ours || m.kind == AT_MEMBER_BGZF;
    g->inside = true;
    g->first = false;
    g->member_offset = at;
    g->member_raw = 0;
    return AT_OK;
}

static enum at_status after_run(struct at_gunzip *g, enum progress p,
                                size_t moved, struct at_error *err)
{
    const unsigned long long at = at_gunzip_position(g);

    if (p == DAMAGED)
        return at_error_set(err, AT_ERR_CORRUPT,
                            "%s: gzip data damaged near byte %llu",
                            g->input->name, at);
    if (p == CHECKSUM)
        return at_error_set(err, AT_ERR_CORRUPT,
                            "%s: gzip member that ends at byte %llu: "
                            "checksum does not match",
                            g->input->name, at);
    if (p == MEMBER_DONE) {
        g->inside = false;
        g->goes_on = g->closed && g->member_raw > 0;
    } else if (moved == 0 && g->eof && g->at == g->have)
        return at_error_set(err, AT_ERR_TRUNCATED,
                            "%s: cut short: its gzip data stops at byte %llu",
                            g->input->name, (unsigned long long)g->offset);
    return AT_OK;
}

enum at_status at_gunzip_step(struct at_gunzip *g, uint8_t *out, size_t n,
                              size_t *got, struct at_error *err)
{
    enum at_status st = refill(g, err);
    enum progress p;
    size_t before;

    *got = 0;
    if (st != AT_OK)
        return st;
    if (!g->inside)
        return next_member(g, err);
    before = g->at;
    p = inflater_in_trailer(g) ? inflater_trailer(g)
                               : inflater_run(g, out, n, got);
    g->raw += *got;
    g->member_raw += *got;
    return after_run(g, p, *got + (g->at - before), err);
}

/* ---- behind damage --------------------------------------------------- */

enum {
    LOOK_BACK = 64 << 10, /* damage is noticed late, at times in the next one */
    TRIAL_BYTES = 64 << 10,
    MEMBER_LEAST = 18, /* header and trailer */
};

static bool looks_like_member(const uint8_t *p, size_t n)
{
    return n >= MEMBER_LEAST && p[0] == 0x1f && p[1] == 0x8b && p[2] == 8 &&
           (p[3] & 0xe0) == 0;
}

/*
 * Whether the member at 'p' decodes, as far as its bytes are there: to its
 * end, or so far that no chance decodes.
 */
static bool decodes_well(struct at_gunzip *trial, uint8_t *p, size_t n,
                         uint8_t *out)
{
    size_t total = 0, got = 1, before = SIZE_MAX;
    enum progress r = MORE;

    trial->in = p;
    trial->at = 0;
    trial->have = n;
    inflater_begin(trial);
    while (r == MORE && total < TRIAL_BYTES &&
           (got > 0 || trial->at != before)) {
        before = trial->at;
        r = inflater_run(trial, out, TRIAL_BYTES, &got);
        total += got;
    }
    return r == MEMBER_DONE || (r == MORE && total > 0);
}

static enum at_status search_from(struct at_gunzip *g, struct at_gunzip *trial,
                                  uint8_t *out, struct at_error *err)
{
    enum at_status st = AT_OK;

    while (st == AT_OK && g->at < g->have) {
        const size_t left = g->have - g->at;

        if (looks_like_member(g->in + g->at, left) &&
            decodes_well(trial, g->in + g->at, left, out))
            return AT_OK;
        g->at++;
        st = refill(g, err);
    }
    return st == AT_OK ? AT_END : st;
}

enum at_status at_gunzip_search(struct at_gunzip *g, struct at_error *err)
{
    const uint64_t inside = at_gunzip_position(g) - g->member_offset;
    struct at_gunzip *trial = calloc(1, sizeof(*trial));
    uint8_t *out = malloc(TRIAL_BYTES);
    enum at_status st = AT_ERR_MEMORY;
    size_t back = g->at < LOOK_BACK ? g->at : LOOK_BACK;

    if (back + MEMBER_LEAST > inside)
        back = inside > MEMBER_LEAST ? (size_t)inside - MEMBER_LEAST : 0;
    if (trial != NULL && out != NULL && inflater_open(trial)) {
        g->at -= back;
        g->inside = g->goes_on = false;
        st = refill(g, err);
        if (st == AT_OK)
            st = search_from(g, trial, out, err);
        inflater_close(trial);
    }
    free(trial);
    free(out);
    return st == AT_ERR_MEMORY ? at_error_set(err, st, "out of memory") : st;
}
