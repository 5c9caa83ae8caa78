/*
 * access.c - access points of a gzip file: taking them, believing them
 *
 * A point is the beginning of a member or of a deflate block inside one; the
 * latter needs the 32 KiB before it, which are packed and make up its size.
 * A point is due 'spacing' decoded bytes after the last, and is taken only if
 * all of them are then at most a hundredth (or what portion was asked for) of
 * the compressed bytes read.
 *
 * From where a point is due the decoder goes in small steps to find a block.
 * Some files hardly have any (a single block may be gigabytes), so the search
 * is given up for the time being, for longer each time.
 */
#include "access.h"

#include <libdeflate.h>
#include <stdlib.h>
#include <string.h>

enum {
    STEP_BYTES = 32, /* shorter than the header of nearly any block */
    SEARCH_BYTES = 256 << 10,
    MOST_PATIENCE = 64,
    RETRY_BYTES = 128 << 10,
    LEVEL = 6,
    PORTION = 100,
    ROW_BYTES = 128,
};

struct at_recorder {
    struct at_access_point *point;
    size_t n, room;
    uint64_t spacing, portion;
    uint64_t due;    /* decoded bytes of the file */
    uint64_t search; /* compressed bytes where the search began */
    bool searching;
    uint64_t patience; /* spacings to wait after a search in vain */
    uint64_t charged;  /* bytes that the points take */
    struct libdeflate_compressor *packer;
    uint8_t packed[AT_WINDOW_PACKED];
    uint8_t window[2 * AT_WINDOW];
    size_t kept; /* at the beginning of 'window' */
};

/* ---- taking ---------------------------------------------------------- */

struct at_recorder *at_recorder_open(uint64_t spacing, uint64_t portion)
{
    struct at_recorder *r = calloc(1, sizeof(*r));

    if (r == NULL)
        return NULL;
    r->packer = libdeflate_alloc_compressor(LEVEL);
    r->spacing = spacing;
    r->portion = portion > 0 ? portion : PORTION;
    r->patience = 1;
    if (r->packer == NULL) {
        free(r);
        return NULL;
    }
    return r;
}

void at_recorder_close(struct at_recorder *r)
{
    if (r == NULL)
        return;
    for (size_t i = 0; i < r->n; i++)
        free((void *)(uintptr_t)r->point[i].window);
    libdeflate_free_compressor(r->packer);
    free(r->point);
    free(r);
}

/* The search takes long, or has just begun. */
static void mind_search(struct at_recorder *r, const struct at_gunzip *g)
{
    const uint64_t at = at_gunzip_position(g);

    if (!r->searching)
        r->search = at;
    r->searching = true;
    if (at - r->search <= SEARCH_BYTES)
        return;
    r->searching = false;
    r->due = g->raw + r->spacing * r->patience;
    if (r->patience < MOST_PATIENCE)
        r->patience *= 2;
}

size_t at_recorder_before(struct at_recorder *r, struct at_gunzip *g, size_t n)
{
    g->feed = 0;
    g->to_block = false;
    if (g->raw >= r->due)
        mind_search(r, g);
    if (g->raw < r->due)
        return r->due - g->raw < n ? (size_t)(r->due - g->raw) : n;
    g->feed = at_gunzip_stored_left(g);
    if (g->feed == 0)
        g->feed = STEP_BYTES;
    g->to_block = true;
    return n;
}

static enum at_status add_point(struct at_recorder *r,
                                const struct at_access_point *point,
                                size_t packed)
{
    uint8_t *window = NULL;

    if (r->n == r->room) {
        const size_t room = r->room * 2 + 64;
        struct at_access_point *p = realloc(r->point, room * sizeof(*p));

        if (p == NULL)
            return AT_ERR_MEMORY;
        r->point = p;
        r->room = room;
    }
    if (packed > 0 && (window = malloc(packed)) == NULL)
        return AT_ERR_MEMORY;
    if (packed > 0)
        memcpy(window, r->packed, packed);
    r->point[r->n] = *point;
    r->point[r->n].window = window;
    r->point[r->n++].window_bytes = (uint32_t)packed;
    r->charged += ROW_BYTES + packed + packed / 16;
    r->due = point->raw_offset + r->spacing;
    r->searching = false;
    r->patience = 1;
    return AT_OK;
}

/* Packs the last bytes decoded of the member; 0 if that is not possible. */
static size_t pack_window(struct at_recorder *r, const struct at_gunzip *g,
                          const uint8_t *out, size_t n)
{
    size_t want = AT_WINDOW;

    if (g->member_raw < want)
        want = (size_t)g->member_raw;
    if (n < want) {
        if (want - n > r->kept)
            return 0;
        memcpy(r->window + r->kept, out, n);
        out = r->window;
        n += r->kept;
    }
    return libdeflate_deflate_compress(r->packer, out + n - want, want,
                                       r->packed, sizeof(r->packed));
}

static bool affordable(const struct at_recorder *r, const struct at_gunzip *g,
                       size_t packed)
{
    return r->charged + ROW_BYTES + packed + packed / 16 <=
           at_gunzip_position(g) / r->portion;
}

static enum at_status take_block(struct at_recorder *r,
                                 const struct at_gunzip *g, const uint8_t *out,
                                 size_t n, uint64_t file_bit)
{
    const struct at_access_point point = {
        .file_bit = file_bit,
        .raw_offset = g->raw,
        .member_offset = g->member_offset,
        .member_raw = g->member_raw,
        .crc = at_gunzip_crc(g),
    };
    const size_t packed = pack_window(r, g, out, n);

    if (packed > 0 && affordable(r, g, packed))
        return add_point(r, &point, packed);
    r->due = g->raw + r->spacing / 8 + RETRY_BYTES;
    r->searching = false;
    return AT_OK;
}

static enum at_status take_member(struct at_recorder *r,
                                  const struct at_gunzip *g)
{
    const struct at_access_point point = {
        .file_bit = 8 * g->member_offset,
        .raw_offset = g->raw,
        .member_offset = g->member_offset,
    };

    if (r->n > 0 && (g->raw < r->due || !affordable(r, g, 0)))
        return AT_OK;
    return add_point(r, &point, 0);
}

enum at_status at_recorder_after(struct at_recorder *r,
                                 const struct at_gunzip *g, const uint8_t *out,
                                 size_t n)
{
    uint64_t bit;

    if (g->inside && g->member_raw == 0) {
        if (r->n == 0 || r->point[r->n - 1].member_offset != g->member_offset)
            return take_member(r, g);
        return AT_OK;
    }
    if (g->to_block && g->raw >= r->due && at_gunzip_at_block(g, &bit))
        return take_block(r, g, out, n, bit);
    return AT_OK;
}

void at_recorder_keep(struct at_recorder *r, const uint8_t *out, size_t n)
{
    const size_t total = r->kept + (n < AT_WINDOW ? n : AT_WINDOW);

    if (n > AT_WINDOW) {
        out += n - AT_WINDOW;
        n = AT_WINDOW;
    }
    if (n > 0)
        memcpy(r->window + r->kept, out, n);
    r->kept = total < AT_WINDOW ? total : AT_WINDOW;
    memmove(r->window, r->window + (total - r->kept), r->kept);
}

const struct at_access_point *at_recorder_points(const struct at_recorder *r,
                                                 size_t *n)
{
    *n = r->n;
    return r->point;
}

/* ---- believing ------------------------------------------------------- */

static bool good_point(const struct at_access_point *p, uint64_t file_bytes)
{
    if (p->file_bit / 8 >= file_bytes || p->member_raw > p->raw_offset ||
        p->member_offset > p->file_bit / 8)
        return false;
    if (p->member_raw == 0)
        return p->window_bytes == 0 && p->file_bit == 8 * p->member_offset &&
               p->crc == 0;
    return p->window_bytes > 0 && p->window_bytes <= AT_WINDOW_PACKED;
}

/* Whether 'p' can come after 'before' in a file. */
static bool in_order(const struct at_access_point *before,
                     const struct at_access_point *p)
{
    if (p->file_bit <= before->file_bit || p->raw_offset <= before->raw_offset)
        return false;
    if (p->member_offset == before->member_offset)
        return p->raw_offset - p->member_raw ==
               before->raw_offset - before->member_raw;
    return 8 * p->member_offset > before->file_bit &&
           p->raw_offset - p->member_raw >= before->raw_offset;
}

enum at_status at_access_check(const struct at_access *access,
                               const struct at_input *in, struct at_error *err)
{
    const struct at_access_point *p = access->point;
    bool good = access->n > 0 && p[0].file_bit == 0 && p[0].raw_offset == 0;

    for (size_t i = 0; i < access->n && good; i++)
        good = good_point(&p[i], in->size) &&
               (i == 0 || in_order(&p[i - 1], &p[i]));
    if (good)
        return AT_OK;
    return at_error_set(err, AT_ERR_CORRUPT,
                        "%s: its access points cannot be those of %s",
                        access->name, in->name);
}

enum at_status at_access_window(const struct at_access *access, size_t i,
                                const uint8_t *packed, uint8_t *to,
                                struct at_error *err)
{
    const struct at_access_point *p = &access->point[i];
    const size_t want = p->member_raw < AT_WINDOW ? (size_t)p->member_raw
                                                  : AT_WINDOW;
    struct libdeflate_decompressor *d = libdeflate_alloc_decompressor();
    enum libdeflate_result r;

    if (d == NULL)
        return at_error_set(err, AT_ERR_MEMORY, "out of memory");
    r = libdeflate_deflate_decompress(d, packed, p->window_bytes, to, want,
                                      NULL);
    libdeflate_free_decompressor(d);
    if (r == LIBDEFLATE_SUCCESS)
        return AT_OK;
    return at_error_set(err, AT_ERR_CORRUPT,
                        "%s: damaged: access point %zu does not unpack",
                        access->name, i);
}
