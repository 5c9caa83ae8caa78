/*
 * marks_test.c - the marks of zstd, lz4 and bzip2, put and found
 *
 * Decoders are those of the codecs' own libraries; that other programs pass
 * over the marks too is in test/codec.bats.
 */
#include "common.h"

#include <bzlib.h>
#include <stdlib.h>
#include <string.h>
#include <zstd.h>

#include "marks.h"

enum { ROOM = 200 << 10 };

/* Bytes that shrink somewhat, another run of them for each seed. */
static void fill(uint8_t *p, size_t n, unsigned seed)
{
    for (size_t i = 0; i < n; i++) {
        seed = seed * 1103515245 + 12345;
        p[i] = (uint8_t)((seed >> 16 & 15) * (seed >> 20 & 3));
    }
}

/* Every place before the mark is whole is no mark, and reads no further. */
static size_t bytes_to_mark(bool (*is_marked)(const uint8_t *, size_t),
                            const uint8_t *p, size_t n)
{
    for (size_t i = 0; i <= n; i++) {
        uint8_t *exact = malloc(i + (i == 0)); /* for the sanitizer */
        bool marked;

        memcpy(exact, p, i);
        marked = is_marked(exact, i);
        free(exact);
        if (marked)
            return i;
    }
    return 0;
}

/* ---- zstd ------------------------------------------------------------- */

static size_t zstd_frame(uint8_t *out, const uint8_t *p, size_t n, bool sized,
                         bool sum)
{
    ZSTD_CCtx *c = ZSTD_createCCtx();
    size_t made;

    ZSTD_CCtx_setParameter(c, ZSTD_c_checksumFlag, sum);
    ZSTD_CCtx_setParameter(c, ZSTD_c_contentSizeFlag, sized);
    made = ZSTD_compress2(c, out, ROOM, p, n);
    ZSTD_freeCCtx(c);
    assert_false(ZSTD_isError(made));
    return made;
}

/* As libzstd's streaming decoder takes it, a byte at a time */
static void expect_zstd_stream(const uint8_t *p, size_t n, const uint8_t *raw,
                               size_t raw_bytes)
{
    ZSTD_DCtx *d = ZSTD_createDCtx();
    uint8_t *back = malloc(ROOM);
    ZSTD_outBuffer out = {back, ROOM, 0};
    size_t r = 1;

    for (size_t i = 0; i < n; i++) {
        ZSTD_inBuffer in = {p + i, 1, 0};

        assert_int_not_equal(r, 0);
        r = ZSTD_decompressStream(d, &out, &in);
        assert_false(ZSTD_isError(r));
    }
    assert_int_equal(r, 0);
    assert_int_equal(out.pos, raw_bytes);
    assert_memory_equal(back, raw, raw_bytes);
    free(back);
    ZSTD_freeDCtx(d);
}

/* Of each size that a header's content field can have. */
static void zstd_frames(void **state)
{
    static const size_t sizes[] = {0, 1, 255, 256, 257, 65791, 65792, 150000};
    uint8_t *raw = malloc(ROOM), *out = malloc(ROOM), *back = malloc(ROOM);

    (void)state;
    fill(raw, ROOM, 1);
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        size_t n = zstd_frame(out + AT_ZSTD_MARK, raw, sizes[i], true, true);

        assert_false(at_zstd_is_marked(out + AT_ZSTD_MARK, n));
        n = at_zstd_mark(out, n);
        assert_true(at_zstd_is_marked(out, n));
        assert_int_equal(ZSTD_getFrameContentSize(out, n), sizes[i]);
        assert_int_equal(ZSTD_findFrameCompressedSize(out, n), n);
        assert_int_equal(ZSTD_decompress(back, ROOM, out, n), sizes[i]);
        assert_memory_equal(back, raw, sizes[i]);
        expect_zstd_stream(out, n, raw, sizes[i]);
        assert_in_range(bytes_to_mark(at_zstd_is_marked, out, n), 9, 16);
    }
    free(raw);
    free(out);
    free(back);
}

/* What has no checksum is not ours, whatever it begins with. */
static void zstd_frames_of_others(void **state)
{
    uint8_t *raw = malloc(ROOM), *out = malloc(ROOM);
    size_t n;

    (void)state;
    fill(raw, ROOM, 2);
    n = at_zstd_mark(out,
                     zstd_frame(out + AT_ZSTD_MARK, raw, 1000, true, false));
    assert_false(at_zstd_is_marked(out, n));
    n = zstd_frame(out, raw, 1000, false, true);
    assert_false(at_zstd_is_marked(out, n));
    free(raw);
    free(out);
}

/* ---- lz4 -------------------------------------------------------------- */

static void lz4_frames(void **state)
{
    /* magic, flags, block size, content size, header checksum, block */
    static const uint8_t marked[] = {4, 0x22, 0x4d, 0x18, 0x6c, 0x60, 9,
                                     0, 0,    0,    0,    0,    0,    0,
                                     0, 1,    0,    0,    0x80, 'x'};
    uint8_t b[sizeof(marked) + 4];

    (void)state;
    assert_int_equal(bytes_to_mark(at_lz4_is_marked, marked, sizeof(marked)),
                     19);
    for (size_t i = 0; i < sizeof(marked); i++) {
        memcpy(b, marked, sizeof(marked));
        b[i] ^= 0x09;
        /* the block size, the content size, the checksum, the byte */
        assert_int_equal(at_lz4_is_marked(b, sizeof(marked)),
                         (i >= 5 && i < 15) || i == 19);
    }
    memcpy(b, marked, 14);
    b[4] |= 1; /* with the number of a dictionary */
    memcpy(b + 18, marked + 14, 6);
    assert_true(at_lz4_is_marked(b, sizeof(b)));
}

/* ---- bzip2 ------------------------------------------------------------ */

static size_t bzip2_stream(uint8_t *out, uint8_t *p, size_t n)
{
    unsigned made = ROOM;

    assert_int_equal(BZ2_bzBuffToBuffCompress((char *)out, &made, (char *)p,
                                              (unsigned)n, 1, 0, 0),
                     BZ_OK);
    return made;
}

/* The first byte that differs */
static size_t first_change(const uint8_t *a, const uint8_t *b, size_t n)
{
    size_t i = 0;

    while (i < n && a[i] == b[i])
        i++;
    return i;
}

static void bzip2_streams(void **state)
{
    uint8_t *raw = malloc(ROOM), *out = malloc(2 * ROOM), *back = malloc(ROOM);

    (void)state;
    for (unsigned seed = 0; seed < 400; seed++) {
        const size_t bytes = seed == 0 ? 1 : 20 + seed * 97;
        unsigned got = ROOM;
        uint8_t *plain = out + ROOM;
        size_t n;

        fill(raw, bytes, seed);
        n = bzip2_stream(out, raw, bytes);
        memcpy(plain, out, n);
        assert_false(at_bzip2_is_marked(out, n));
        assert_int_equal(at_bzip2_mark(out, n), n + AT_BZIP2_MARK);
        assert_int_equal(
            BZ2_bzBuffToBuffDecompress((char *)back, &got, (char *)out,
                                       (unsigned)n + AT_BZIP2_MARK, 0, 0),
            BZ_OK);
        assert_int_equal(got, bytes);
        assert_memory_equal(back, raw, bytes);
        if (seed % 40 == 0) /* reading all beginnings takes its time */
            assert_in_range(
                bytes_to_mark(at_bzip2_is_marked, out, n + AT_BZIP2_MARK),
                first_change(plain, out, n) + 1, n);
    }
    free(raw);
    free(out);
    free(back);
}

static void bzip2_streams_that_take_none(void **state)
{
    uint8_t out[100], damaged[64];
    size_t n;

    (void)state;
    n = bzip2_stream(out, out, 0);
    assert_int_equal(n, 14);
    assert_int_equal(at_bzip2_mark(out, n), n);
    assert_false(at_bzip2_is_marked(out, n));
    /* as many selectors as there can be, and none that ends */
    memset(damaged, 0xff, sizeof(damaged));
    memcpy(damaged, "BZh9\x31\x41\x59\x26\x53\x59", 10);
    assert_false(at_bzip2_is_marked(damaged, sizeof(damaged)));
    assert_int_equal(at_bzip2_mark(damaged, sizeof(damaged)), sizeof(damaged));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(zstd_frames),
        cmocka_unit_test(zstd_frames_of_others),
        cmocka_unit_test(lz4_frames),
        cmocka_unit_test(bzip2_streams),
        cmocka_unit_test(bzip2_streams_that_take_none),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
