/*
 * access_test.c - gzip files read by their access points
 *
 * A trace is packed in every way we know of and read in sequence, which gives
 * its blocks and access points.  Read again by those, with any number of
 * threads, whole or at some places, it must give the same blocks; and points
 * that are not those of the file must never give others.
 */
#include "common.h"

#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "span.h"

enum { MOST = 2000, TINY = 48 << 10, LONG = 200000 };

/* ---- a trace, and what comes out of it -------------------------------- */

/* Records that pack well, badly, and long ones. */
static void add_record(struct bytes *b, unsigned i, uint32_t *state)
{
    static uint8_t body[LONG + 1000];
    uint32_t n = 40 + next_random(state) % 1460;
    uint32_t mask = i / 300 % 3 == 0 ? 0xff : i / 300 % 3 == 1 ? 0x03 : 0;

    if (i % 700 == 699)
        n = LONG + next_random(state) % 1000;
    for (uint32_t k = 0; k < n; k++)
        body[k] = (uint8_t)(next_random(state) & mask) + (uint8_t)(k / 16);
    add_le32(b, 1700000000 + i);
    add_le32(b, i);
    add_le32(b, n);
    add_le32(b, n);
    add(b, body, n);
}

static struct bytes make_trace(unsigned records)
{
    struct bytes b = {.n = 0};
    uint32_t state = 11;

    add_pcap_header(&b);
    for (unsigned i = 0; i < records; i++)
        add_record(&b, i, &state);
    return b;
}

struct block {
    struct at_place place;
    struct seen seen;
};

struct blocks {
    struct block block[MOST];
    size_t n;
    struct at_error err;
};

static void see_blocks(struct blocks *bs, struct at_reader *rd)
{
    struct at_batch *batch;
    enum at_status st;

    bs->n = 0;
    while ((st = at_reader_next_batch(rd, &batch)) == AT_OK) {
        for (size_t i = 0; i < batch->blocks; i++) {
            struct block *b = &bs->block[bs->n++];
            struct at_walk walk = at_walk_block(batch, i);
            struct at_packet pkt;

            assert_true(bs->n < MOST);
            *b = (struct block){batch->block[i].place, {0}};
            while (at_walk_next(&walk, &pkt))
                see(&b->seen, &pkt);
        }
        at_batch_release(batch);
    }
    bs->err = *at_reader_error(rd);
    assert_int_equal(st, bs->err.status);
}

static void expect_block(const struct block *a, const struct block *b)
{
    assert_int_equal(a->place.raw_offset, b->place.raw_offset);
    assert_int_equal(a->place.bytes, b->place.bytes);
    assert_int_equal(a->place.file_offset, b->place.file_offset);
    assert_int_equal(a->place.skip, b->place.skip);
    assert_int_equal(a->seen.records, b->seen.records);
    assert_int_equal(a->seen.digest, b->seen.digest);
}

/* ---- a file, its blocks and its points -------------------------------- */

struct file {
    const char *path;
    struct bytes packed;
    struct at_reader *rd; /* owns the points */
    struct blocks *blocks;
    struct at_access access;
};

static enum at_status load(void *ctx, size_t i, uint8_t *to,
                           struct at_error *err)
{
    const struct file *f = ctx;
    const struct at_access_point *p = &f->access.point[i];

    (void)err;
    memcpy(to, p->window, p->window_bytes);
    return AT_OK;
}

static struct file read_once(struct bytes packed, uint64_t spacing)
{
    struct file f = {.path = temporary("trace.gz"), .packed = packed};
    const struct at_reader_options opts = {
        .size = sizeof(opts),
        .spacing = spacing,
        .portion = 1,
    };

    write_file(f.path, packed.p, packed.n);
    f.blocks = calloc(2, sizeof(*f.blocks));
    assert_non_null(f.blocks);
    assert_int_equal(at_reader_open(&f.rd, f.path, &opts, NULL), AT_OK);
    assert_false(at_reader_info(f.rd)->random_access);
    see_blocks(f.blocks, f.rd);
    assert_int_equal(f.blocks->err.status, AT_END);
    f.access.point = at_reader_access(f.rd, &f.access.n);
    f.access.name = "points";
    assert_true(f.access.n > 0);
    return f;
}

static void forget(struct file *f)
{
    at_reader_close(f->rd);
    free(f->blocks);
    drop(&f->packed);
}

static struct at_reader *open_with(const struct file *f, struct at_pool *pool,
                                   const struct at_access *access)
{
    const struct at_reader_options opts = {
        .size = sizeof(opts),
        .pool = pool,
        .access = access,
    };
    struct at_reader *rd;
    struct at_error err;

    if (at_reader_open(&rd, f->path, &opts, &err) != AT_OK)
        fail_msg("%s", err.msg);
    return rd;
}

static void read_whole(const struct file *f, struct at_reader *rd)
{
    struct blocks *bs = f->blocks + 1;

    assert_true(at_reader_info(rd)->random_access);
    see_blocks(bs, rd);
    assert_string_equal(bs->err.status == AT_END ? "" : bs->err.msg, "");
    assert_int_equal(bs->n, f->blocks->n);
    for (size_t i = 0; i < bs->n; i++)
        expect_block(&bs->block[i], &f->blocks->block[i]);
}

static void read_some(const struct file *f, struct at_reader *rd,
                      unsigned one_in, uint32_t *state)
{
    static struct at_place place[MOST];
    const struct block *want[MOST];
    struct blocks *bs = f->blocks + 1;
    size_t n = 0;

    for (size_t i = 0; i < f->blocks->n; i++)
        if (next_random(state) % one_in == 0) {
            want[n] = &f->blocks->block[i];
            place[n++] = f->blocks->block[i].place;
        }
    assert_int_equal(at_reader_select(rd, place, n), AT_OK);
    see_blocks(bs, rd);
    assert_string_equal(bs->err.status == AT_END ? "" : bs->err.msg, "");
    assert_int_equal(bs->n, n);
    for (size_t i = 0; i < n; i++)
        expect_block(&bs->block[i], want[i]);
}

static void read_every_way(struct file *f)
{
    static const unsigned one_in[] = {1, 2, 3, 10, 40, 1000000, 2};
    uint32_t state = 3;

    for (unsigned threads = 1; threads <= 3; threads++) {
        struct at_pool *pool;
        struct at_reader *rd;

        f->access.load = threads == 2 ? load : NULL;
        f->access.ctx = f;
        assert_int_equal(at_pool_open(&pool, threads, NULL), AT_OK);
        rd = open_with(f, pool, &f->access);
        read_whole(f, rd);
        for (size_t i = 0; i < sizeof(one_in) / sizeof(one_in[0]); i++)
            read_some(f, rd, one_in[i], &state);
        at_reader_close(rd);
        at_pool_close(pool);
    }
}

/* Restarts at every point, alone: a list of two points each time. */
static void read_from_every_point(const struct file *f)
{
    for (size_t i = 1; i < f->access.n; i++) {
        const struct at_access_point two[] = {f->access.point[0],
                                              f->access.point[i]};
        const struct at_access access = {.point = two, .n = 2, .name = "two"};
        struct at_reader *rd = open_with(f, NULL, &access);

        read_whole(f, rd);
        at_reader_close(rd);
    }
}

/* ---- ways to pack ------------------------------------------------------ */

static void add_member(struct bytes *b, const uint8_t *p, size_t n, int level,
                       int strategy, size_t flush_every)
{
    z_stream z = {.next_in = (Bytef *)(uintptr_t)p};
    uint8_t out[4096];
    size_t left = n;
    int r = Z_OK;

    assert_int_equal(deflateInit2(&z, level, Z_DEFLATED, 15 + 16, 8, strategy),
                     Z_OK);
    do {
        const size_t part = left < flush_every ? left : flush_every;
        const int flush = part == left ? Z_FINISH : Z_FULL_FLUSH;

        z.avail_in = (uInt)part;
        left -= part;
        do {
            z.next_out = out;
            z.avail_out = sizeof(out);
            r = deflate(&z, flush);
            assert_true(r >= 0 || r == Z_BUF_ERROR);
            add(b, out, sizeof(out) - z.avail_out);
        } while (z.avail_out == 0);
    } while (r != Z_STREAM_END);
    deflateEnd(&z);
}

static void pack_and_read(int level, int strategy, size_t flush_every,
                          size_t least_points)
{
    struct bytes raw = make_trace(3000), packed = {.n = 0};
    struct file f;

    add_member(&packed, raw.p, raw.n, level, strategy, flush_every);
    f = read_once(packed, TINY);
    if (f.access.n < least_points)
        fail_msg("%zu points", f.access.n);
    read_every_way(&f);
    read_from_every_point(&f);
    forget(&f);
    drop(&raw);
}

static void levels(void **state)
{
    (void)state;
    pack_and_read(1, Z_DEFAULT_STRATEGY, SIZE_MAX, 15);
    pack_and_read(6, Z_DEFAULT_STRATEGY, SIZE_MAX, 15);
    pack_and_read(9, Z_DEFAULT_STRATEGY, SIZE_MAX, 15);
}

static void stored_blocks(void **state)
{
    (void)state;
    pack_and_read(0, Z_DEFAULT_STRATEGY, SIZE_MAX, 15);
}

static void other_blocks(void **state)
{
    (void)state;
    pack_and_read(6, Z_HUFFMAN_ONLY, SIZE_MAX, 15);
    pack_and_read(6, Z_RLE, SIZE_MAX, 15);
    pack_and_read(6, Z_DEFAULT_STRATEGY, 10000, 15);
}

/* Where such a block begins may not be seen: perhaps there are few points. */
static void fixed_blocks(void **state)
{
    (void)state;
    pack_and_read(6, Z_FIXED, SIZE_MAX, 1);
    pack_and_read(6, Z_FIXED, 20000, 1);
}

static struct bytes pack_members(const struct bytes *raw, size_t least,
                                 size_t most, bool empty_ones)
{
    struct bytes packed = {.n = 0};
    uint32_t state = 5;

    for (size_t at = 0; at < raw->n;) {
        size_t n = least + next_random(&state) % (most - least);

        if (n > raw->n - at)
            n = raw->n - at;
        add_member(&packed, raw->p + at, n, 6, 0, SIZE_MAX);
        if (empty_ones)
            add_gzip(&packed, "", 0);
        at += n;
    }
    return packed;
}

static void many_members(void **state)
{
    static const struct {
        size_t least, most;
        bool empty_ones;
    } kind[] = {{200, 5000, false},
                {200, 5000, true},
                {50000, 300000, true},
                {100000, 900000, false}};
    struct bytes raw = make_trace(2000);

    (void)state;
    for (size_t i = 0; i < sizeof(kind) / sizeof(kind[0]); i++) {
        struct bytes packed = pack_members(&raw, kind[i].least, kind[i].most,
                                           kind[i].empty_ones);
        struct file f = read_once(packed, TINY);

        assert_true(f.access.n > 10);
        assert_true(f.access.n <= raw.n / TINY + 1);
        read_every_way(&f);
        read_from_every_point(&f);
        forget(&f);
    }
    drop(&raw);
}

static void zeros_at_the_end(void **state)
{
    struct bytes raw = make_trace(1000), packed = {.n = 0};
    struct file f;

    (void)state;
    add_member(&packed, raw.p, raw.n, 6, 0, SIZE_MAX);
    add_zeros(&packed, 100000);
    f = read_once(packed, TINY);
    read_every_way(&f);
    forget(&f);
    drop(&raw);
}

/* Spans that are longer than a piece may be: jobs in chains. */
static void long_spans(void **state)
{
    struct bytes raw = make_trace(32000), packed = {.n = 0};
    struct file f;

    (void)state;
    assert_true(raw.n > 24u << 20);
    add_member(&packed, raw.p, raw.n, 1, 0, SIZE_MAX);
    f = read_once(packed, 12 << 20);
    assert_in_range(f.access.n, 2, 3);
    read_every_way(&f);
    forget(&f);
    drop(&raw);
}

/* ---- spans decoded at once --------------------------------------------- */

struct spans {
    struct at_unspan *tool;
    struct at_input in;
    uint8_t *room, *out;
    unsigned bits; /* 1 << n: a span began at bit n of a byte */
};

static struct spans open_spans(const struct file *f)
{
    struct spans s = {.tool = at_unspan_open(),
                      .room = malloc(AT_WINDOW + AT_SPAN_MOST)};

    assert_non_null(s.tool);
    assert_non_null(s.room);
    assert_int_equal(at_input_open(&s.in, f->path, NULL, NULL), AT_OK);
    s.out = s.room + AT_WINDOW;
    return s;
}

static void close_spans(struct spans *s)
{
    at_input_close(&s->in);
    at_unspan_close(s->tool);
    free(s->room);
}

static bool unspan(struct spans *s, const struct at_access *access, size_t i)
{
    memset(s->out, 0xee, AT_SPAN_MOST);
    return at_unspan(s->tool, access, i, &s->in, access->point[i].window,
                     s->out);
}

/* All between the first point and the last can be had so. */
static void expect_spans(const struct file *f, const struct bytes *raw,
                         struct spans *s)
{
    const struct at_access_point *p = f->access.point;

    assert_false(at_span_fits(&f->access, 0));
    assert_false(at_span_fits(&f->access, f->access.n - 1));
    for (size_t i = 1; i + 1 < f->access.n; i++) {
        const size_t n = (size_t)(p[i + 1].raw_offset - p[i].raw_offset);

        assert_true(at_span_fits(&f->access, i));
        if (!unspan(s, &f->access, i))
            fail_msg("span %zu of %zu", i, f->access.n);
        assert_memory_equal(s->out, raw->p + p[i].raw_offset, n);
        assert_int_equal(s->out[n], 0xee);
        s->bits |= 1u << p[i].file_bit % 8;
    }
}

static void spans_at_once(void **state)
{
    static const struct {
        int level, strategy;
        size_t flush_every;
        unsigned bits;
    } kind[] = {{6, Z_DEFAULT_STRATEGY, SIZE_MAX, 0xff},
                {1, Z_DEFAULT_STRATEGY, SIZE_MAX, 0xff},
                {6, Z_HUFFMAN_ONLY, SIZE_MAX, 0xff},
                {6, Z_DEFAULT_STRATEGY, 10000, 1},
                {6, Z_FIXED, 10000, 0},
                {0, Z_DEFAULT_STRATEGY, SIZE_MAX, 1}};
    struct bytes raw = make_trace(6000);

    (void)state;
    for (size_t i = 0; i < sizeof(kind) / sizeof(kind[0]); i++) {
        struct bytes packed = {.n = 0};
        struct file f;
        struct spans s;

        add_member(&packed, raw.p, raw.n, kind[i].level, kind[i].strategy,
                   kind[i].flush_every);
        f = read_once(packed, TINY);
        s = open_spans(&f);
        expect_spans(&f, &raw, &s);
        assert_int_equal(s.bits & kind[i].bits, kind[i].bits);
        close_spans(&s);
        forget(&f);
    }
    drop(&raw);
}

/* A span that ends elsewhere, or with other bytes, is refused. */
static void wrong_spans(void **state)
{
    struct bytes raw = make_trace(1500), packed = {.n = 0};
    struct at_access_point two[2];
    const struct at_access access = {.point = two, .n = 2, .name = "two"};
    struct file f;
    struct spans s;

    (void)state;
    add_member(&packed, raw.p, raw.n, 6, 0, SIZE_MAX);
    f = read_once(packed, TINY);
    s = open_spans(&f);
    for (unsigned kind = 0; kind < 9; kind++) {
        memcpy(two, &f.access.point[f.access.n - 2], sizeof(two));
        two[1].crc ^= kind == 1;
        two[1].raw_offset += kind == 2;
        two[1].raw_offset -= kind == 3;
        two[1].file_bit += kind == 4;
        two[1].file_bit -= kind == 5;
        two[0].file_bit += kind == 6;
        if (kind == 7) /* up to the trailer: the last block is final */
            two[1] = (struct at_access_point){.file_bit = 8 * (f.packed.n - 8),
                                              .raw_offset = raw.n};
        if (kind == 8) /* what the file does not have */
            two[1].file_bit = 8 * (f.packed.n + 9);
        assert_int_equal(unspan(&s, &access, 0), kind == 0);
    }
    close_spans(&s);
    forget(&f);
    drop(&raw);
}

/* ---- what the points take ---------------------------------------------- */

static void windows_are_a_hundredth(void **state)
{
    struct bytes raw = make_trace(8000), packed = {.n = 0};
    const struct at_reader_options opts = {
        .size = sizeof(opts),
        .spacing = TINY,
    };
    const struct at_access_point *p;
    struct at_reader *rd;
    struct at_packet pkt;
    size_t n, windows = 0;

    (void)state;
    add_member(&packed, raw.p, raw.n, 6, 0, SIZE_MAX);
    write_file(temporary("trace.gz"), packed.p, packed.n);
    assert_int_equal(at_reader_open(&rd, temporary("trace.gz"), &opts, NULL),
                     AT_OK);
    while (at_reader_next(rd, &pkt) == AT_OK)
        ;
    p = at_reader_access(rd, &n);
    assert_true(n > 1);
    for (size_t i = 0; i < n; i++) {
        windows += p[i].window_bytes;
        assert_true(windows <= p[i].file_bit / 8 / 100);
    }
    at_reader_close(rd);
    drop(&raw);
    drop(&packed);
}

/* ---- what is wrong ----------------------------------------------------- */

/* Reads with wrong points: refused, or an error after blocks of the file. */
static void expect_refusal(const struct file *f, struct at_access_point *p)
{
    const struct at_access access = {
        .point = p, .n = f->access.n, .name = "wrong.idx"};
    const struct at_reader_options opts = {
        .size = sizeof(opts),
        .access = &access,
    };
    struct blocks *bs = f->blocks + 1;
    struct at_reader *rd;

    bs->n = 0;
    if (at_reader_open(&rd, f->path, &opts, &bs->err) == AT_OK) {
        see_blocks(bs, rd);
        at_reader_close(rd);
    }
    assert_int_equal(bs->err.status, AT_ERR_CORRUPT);
    assert_true(strstr(bs->err.msg, "trace.gz") ||
                strstr(bs->err.msg, "wrong.idx"));
}

static void wrong_points(void **state)
{
    struct bytes raw = make_trace(1500), packed = {.n = 0};
    struct at_access_point p[200];
    struct file f;

    (void)state;
    add_member(&packed, raw.p, raw.n, 6, 0, SIZE_MAX);
    f = read_once(packed, TINY);
    assert_in_range(f.access.n, 6, 200);
    for (unsigned kind = 0; kind < 12; kind++) {
        uint8_t window[1 << 16];
        struct at_access_point *q = &p[3];

        memcpy(p, f.access.point, f.access.n * sizeof(*p));
        memcpy(window, q->window, q->window_bytes);
        window[0] ^= kind == 10 ? 6 : 0; /* another kind of deflate block */
        q->window = window;
        switch (kind) {
        case 0:
            q->crc ^= 1;
            break;
        case 1:
            q->file_bit++;
            break;
        case 2:
            q->raw_offset++;
            break;
        case 3:
            q->raw_offset++, q->member_raw++;
            break;
        case 4:
            q->member_raw--;
            break;
        case 5:
            q->member_offset = 5;
            break;
        case 6:
            q->file_bit = 8 * f.packed.n;
            break;
        case 7:
            p[2].raw_offset = q->raw_offset;
            break;
        case 8:
            q->window_bytes = 0;
            break;
        case 9:
            q->window_bytes = 1 << 30;
            break;
        case 11:
            p[0].file_bit = 8;
            break;
        }
        expect_refusal(&f, p);
    }
    forget(&f);
    drop(&raw);
}

/* Blocks before the damage, as they were; then an error.  As when read in
 * sequence, a block next to the damage may be another. */
static void expect_beginning(const struct file *f, uint64_t good_raw,
                             enum at_status status)
{
    const struct at_reader_options opts = {
        .size = sizeof(opts),
        .access = &f->access,
    };
    struct blocks *bs = f->blocks + 1;
    struct at_reader *rd;

    assert_int_equal(at_reader_open(&rd, f->path, &opts, NULL), AT_OK);
    see_blocks(bs, rd);
    at_reader_close(rd);
    if (bs->err.status != status)
        fail_msg("%d: %s", bs->err.status, bs->err.msg);
    for (size_t i = 0; i < f->blocks->n; i++) {
        const struct at_place *place = &f->blocks->block[i].place;

        if (place->raw_offset + place->bytes > good_raw)
            break;
        assert_true(i < bs->n);
        expect_block(&bs->block[i], &f->blocks->block[i]);
    }
}

static void damage_behind_the_points(void **state)
{
    size_t seen = 0;
    struct bytes raw = make_trace(2500), packed = {.n = 0};
    struct file f;

    (void)state;
    add_member(&packed, raw.p, raw.n, 6, 0, SIZE_MAX);
    f = read_once(packed, TINY);
    for (size_t i = 1; i + 1 < f.access.n; i++) {
        const struct at_access_point *p = &f.access.point[i];
        const size_t at = (size_t)(p->file_bit / 8 + p[1].file_bit / 8) / 2;

        packed.p[at] ^= 0x10;
        write_file(f.path, packed.p, packed.n);
        /* another distance may lead to the same bytes */
        if (see_file(f.path, NULL).err.status != AT_OK) {
            expect_beginning(&f, p->raw_offset, AT_ERR_CORRUPT);
            seen++;
        }
        packed.p[at] ^= 0x10;
    }
    assert_true(seen > f.access.n / 2);
    packed.p[packed.n - 6] ^= 1; /* CRC in the trailer */
    write_file(f.path, packed.p, packed.n);
    expect_beginning(&f, raw.n, AT_ERR_CORRUPT);
    forget(&f);
    drop(&raw);
}

static void cut_behind_the_points(void **state)
{
    struct bytes raw = make_trace(1500), packed = {.n = 0};
    struct file f;
    uint64_t last;

    (void)state;
    add_member(&packed, raw.p, raw.n, 6, 0, SIZE_MAX);
    f = read_once(packed, TINY);
    last = f.access.point[f.access.n - 1].file_bit / 8;
    for (size_t n = packed.n - 1; n > last + 1 && n > packed.n - 30; n--) {
        write_file(f.path, packed.p, n);
        expect_beginning(&f, f.access.point[f.access.n - 1].raw_offset,
                         AT_ERR_TRUNCATED);
    }
    write_file(f.path, packed.p, (size_t)(last + packed.n) / 2);
    expect_beginning(&f, f.access.point[f.access.n - 1].raw_offset,
                     AT_ERR_TRUNCATED);
    forget(&f);
    drop(&raw);
}

static void places_that_cannot_be(void **state)
{
    static const struct at_place wrong[] = {
        {.raw_offset = UINT64_MAX - 5, .bytes = 10},
        {.raw_offset = 1000, .bytes = UINT64_MAX},
        {.raw_offset = 1000, .bytes = 1u << 26},
        {.raw_offset = 1u << 26, .bytes = 1000},
        {.raw_offset = 77, .bytes = 1000},
    };
    struct bytes raw = make_trace(1500), packed = {.n = 0};
    struct file f;

    (void)state;
    add_member(&packed, raw.p, raw.n, 6, 0, SIZE_MAX);
    f = read_once(packed, TINY);
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        struct at_reader *rd = open_with(&f, NULL, &f.access);

        assert_int_equal(at_reader_select(rd, &wrong[i], 1), AT_OK);
        see_blocks(f.blocks + 1, rd);
        assert_int_equal(f.blocks[1].err.status, AT_ERR_CORRUPT);
        at_reader_close(rd);
    }
    forget(&f);
    drop(&raw);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(levels),
        cmocka_unit_test(stored_blocks),
        cmocka_unit_test(other_blocks),
        cmocka_unit_test(fixed_blocks),
        cmocka_unit_test(many_members),
        cmocka_unit_test(zeros_at_the_end),
        cmocka_unit_test(long_spans),
        cmocka_unit_test(spans_at_once),
        cmocka_unit_test(wrong_spans),
        cmocka_unit_test(windows_are_a_hundredth),
        cmocka_unit_test(wrong_points),
        cmocka_unit_test(damage_behind_the_points),
        cmocka_unit_test(cut_behind_the_points),
        cmocka_unit_test(places_that_cannot_be),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
