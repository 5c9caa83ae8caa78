/*
 * frames_test.c - zstd, xz, bzip2 and lz4: whole, joined, cut, damaged
 *
 * As codec_test.c does for gzip.  Each codec is met in the forms that differ
 * to a reader: frames that say how long they are and others, streams alone
 * and in a row.
 */
#include "common.h"

#include <bzlib.h>
#include <lz4frame.h>
#include <lzma.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>
#include <zstd.h>

enum { PACKETS = 90, CHUNK = 1301, ROOM = 64 << 10 };

static uint8_t room[ROOM];

typedef void add_member(struct bytes *b, const void *p, size_t n);

/* ---- members ---------------------------------------------------------- */

static void add_zstd(struct bytes *b, const void *p, size_t n)
{
    ZSTD_CCtx *c = ZSTD_createCCtx();

    ZSTD_CCtx_setParameter(c, ZSTD_c_checksumFlag, 1);
    add(b, room, ZSTD_compress2(c, room, ROOM, p, n));
    ZSTD_freeCCtx(c);
}

/* As from a pipe: how long it is nobody knows. */
static void add_zstd_unsized(struct bytes *b, const void *p, size_t n)
{
    ZSTD_CCtx *c = ZSTD_createCCtx();
    ZSTD_inBuffer in = {p, n, 0};
    ZSTD_outBuffer out = {room, ROOM, 0};

    ZSTD_CCtx_setParameter(c, ZSTD_c_checksumFlag, 1);
    assert_int_equal(0, ZSTD_compressStream2(c, &out, &in, ZSTD_e_flush));
    assert_int_equal(0, ZSTD_compressStream2(c, &out, &in, ZSTD_e_end));
    add(b, room, out.pos);
    ZSTD_freeCCtx(c);
}

/* As pzstd: the size of each frame in a skippable one before it. */
static void add_pzstd(struct bytes *b, const void *p, size_t n)
{
    struct bytes frame = {.n = 0};

    add_zstd(&frame, p, n);
    add_le32(b, 0x184D2A50);
    add_le32(b, 4);
    add_le32(b, (uint32_t)frame.n);
    add(b, frame.p, frame.n);
    drop(&frame);
}

static void lz4_frame(struct bytes *b, const void *p, size_t n, bool sized)
{
    const LZ4F_preferences_t prefs = {
        .frameInfo = {.contentChecksumFlag = LZ4F_contentChecksumEnabled,
                      .blockChecksumFlag = sized ? LZ4F_blockChecksumEnabled
                                                 : LZ4F_noBlockChecksum,
                      .contentSize = sized ? n : 0},
    };

    add(b, room, LZ4F_compressFrame(room, ROOM, p, n, &prefs));
}

static void add_lz4(struct bytes *b, const void *p, size_t n)
{
    lz4_frame(b, p, n, true);
}

static void add_lz4_unsized(struct bytes *b, const void *p, size_t n)
{
    lz4_frame(b, p, n, false);
}

static void add_bzip2(struct bytes *b, const void *p, size_t n)
{
    unsigned out = ROOM;

    assert_int_equal(BZ2_bzBuffToBuffCompress((char *)room, &out,
                                              (char *)(uintptr_t)p, (unsigned)n,
                                              1, 0, 0),
                     BZ_OK);
    add(b, room, out);
}

static void add_xz(struct bytes *b, const void *p, size_t n)
{
    size_t at = 0;

    assert_int_equal(lzma_easy_buffer_encode(0, LZMA_CHECK_CRC32, NULL, p, n,
                                             room, &at, ROOM),
                     LZMA_OK);
    add(b, room, at);
}

static const struct kind {
    const char *name;
    enum at_codec codec;
    add_member *member;
    bool weak; /* some bytes of a member mean nothing or are not checked */
} kinds[] = {
    {"zstd", AT_CODEC_ZSTD, add_zstd, true},
    {"zstd, not sized", AT_CODEC_ZSTD, add_zstd_unsized, true},
    {"pzstd", AT_CODEC_ZSTD, add_pzstd, true},
    {"lz4", AT_CODEC_LZ4, add_lz4, false},
    {"lz4, not sized", AT_CODEC_LZ4, add_lz4_unsized, false},
    {"bzip2", AT_CODEC_BZIP2, add_bzip2, true},
    {"xz", AT_CODEC_XZ, add_xz, false},
};

enum { KINDS = sizeof(kinds) / sizeof(kinds[0]) };

/* ---- a trace in members ----------------------------------------------- */

struct packed {
    struct bytes raw, b;
    size_t member[PACKETS]; /* where each begins; then the end of the last */
    size_t inside[PACKETS]; /* decoded bytes before it */
    unsigned members;
    uint64_t digest[PACKETS + 1]; /* of the first n records */
    size_t end[PACKETS + 1];      /* where they end in 'raw' */
};

static void measure(struct packed *p)
{
    size_t at = 24;

    p->end[0] = at;
    for (unsigned n = 0; n < PACKETS; n++) {
        const size_t bytes = 16 + 60 + n % 7;

        p->digest[n + 1] = crc32_z(p->digest[n], p->raw.p + at, bytes);
        at += bytes;
        p->end[n + 1] = at;
    }
    assert_int_equal(at, p->raw.n);
}

static struct packed pack_in(const struct kind *k, size_t chunk)
{
    struct packed p = {.raw = small_pcap(PACKETS)};

    measure(&p);
    for (size_t at = 0; at < p.raw.n; at += chunk) {
        const size_t left = p.raw.n - at;

        p.member[p.members] = p.b.n;
        p.inside[p.members++] = at;
        k->member(&p.b, p.raw.p + at, left < chunk ? left : chunk);
    }
    p.member[p.members] = p.b.n;
    p.inside[p.members] = p.raw.n;
    return p;
}

static struct packed pack(const struct kind *k)
{
    return pack_in(k, CHUNK);
}

static void unpack(struct packed *p)
{
    drop(&p->raw);
    drop(&p->b);
}

static uint64_t packets_in(const struct packed *p, size_t n)
{
    uint64_t packets = 0;

    while (packets < PACKETS && p->end[packets + 1] <= n)
        packets++;
    return packets;
}

static void expect_beginning(const struct packed *p, const struct seen *s)
{
    assert_true(s->records <= PACKETS);
    assert_int_equal(s->digest, p->digest[s->records]);
}

static void expect_all_then(const struct packed *p, enum at_status status,
                            const char *text)
{
    const struct seen s = see_bytes(&p->b, p->b.n);

    expect_beginning(p, &s);
    assert_int_equal(s.records, PACKETS);
    assert_int_equal(s.err.status, status);
    if (status != AT_OK)
        assert_non_null(strstr(s.err.msg, text));
}

/* ---- tests ------------------------------------------------------------ */

static void found_by_content(void **state)
{
    (void)state;
    for (size_t i = 0; i < KINDS; i++) {
        struct packed p = pack(&kinds[i]);
        const char *path = temporary("trace.pcap");
        struct at_reader *rd;

        write_file(path, p.b.p, p.b.n);
        assert_int_equal(at_reader_open(&rd, path, NULL, NULL), AT_OK);
        assert_int_equal(at_reader_info(rd)->codec, kinds[i].codec);
        at_reader_close(rd);
        unpack(&p);
    }
}

static void members_one_after_the_other(void **state)
{
    (void)state;
    for (size_t i = 0; i < KINDS; i++) {
        struct packed p = pack(&kinds[i]), one = pack_in(&kinds[i], ROOM);

        expect_all_then(&p, AT_OK, "");
        expect_all_then(&one, AT_OK, "");
        unpack(&p);
        unpack(&one);
    }
}

static void empty_members_in_between(void **state)
{
    (void)state;
    for (size_t i = 0; i < KINDS; i++) {
        struct packed p = {.raw = small_pcap(PACKETS)};

        measure(&p);
        for (unsigned n = 0; n < 5000; n++)
            kinds[i].member(&p.b, "", 0);
        kinds[i].member(&p.b, p.raw.p, 100);
        kinds[i].member(&p.b, "", 0);
        kinds[i].member(&p.b, p.raw.p + 100, p.raw.n - 100);
        kinds[i].member(&p.b, "", 0);
        expect_all_then(&p, AT_OK, "");
        unpack(&p);
    }
}

static void nothing_inside(void **state)
{
    (void)state;
    for (size_t i = 0; i < KINDS; i++) {
        struct bytes b = {.n = 0};
        struct seen s;

        kinds[i].member(&b, "", 0);
        s = see_bytes(&b, b.n);
        assert_int_equal(s.err.status, AT_ERR_TRUNCATED);
        assert_non_null(strstr(s.err.msg, "empty"));
        drop(&b);
    }
}

/* Sized and not, one after the other: what one way of reading cannot do, the
 * other goes on with. */
static void kinds_of_one_codec_mixed(void **state)
{
    static add_member *const mix[][3] = {
        {add_zstd, add_zstd_unsized, add_pzstd},
        {add_zstd_unsized, add_pzstd, add_zstd},
        {add_lz4, add_lz4_unsized, add_lz4},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(mix) / sizeof(mix[0]); i++) {
        struct packed p = {.raw = small_pcap(PACKETS)};

        measure(&p);
        mix[i][0](&p.b, p.raw.p, 2000);
        mix[i][1](&p.b, p.raw.p + 2000, 1000);
        mix[i][2](&p.b, p.raw.p + 3000, p.raw.n - 3000);
        expect_all_then(&p, AT_OK, "");
        unpack(&p);
    }
}

static void cut_at_every_byte(void **state)
{
    (void)state;
    for (size_t i = 0; i < KINDS; i++) {
        struct packed p = pack(&kinds[i]);
        unsigned m = p.members - 2;

        for (size_t n = p.member[m] + 1; n < p.b.n; n++) {
            const struct seen s = see_bytes(&p.b, n);

            while (p.member[m + 1] <= n)
                m++;
            expect_beginning(&p, &s);
            assert_true(s.records >= packets_in(&p, p.inside[m]));
            assert_int_equal(s.err.status, AT_ERR_TRUNCATED);
        }
        unpack(&p);
    }
}

/* The only member of a file; the first bytes alone may be anything. */
static void cut_in_the_first_member(void **state)
{
    (void)state;
    for (size_t i = 0; i < KINDS; i++) {
        struct packed p = pack_in(&kinds[i], ROOM);

        for (size_t n = 0; n < p.b.n; n++) {
            const struct seen s = see_bytes(&p.b, n);

            expect_beginning(&p, &s);
            assert_true(s.err.status < 0);
            if (n > 16)
                assert_int_equal(s.err.status, AT_ERR_TRUNCATED);
        }
        unpack(&p);
    }
}

/* Damage is never unnoticed, and costs nothing that came before. */
static void flipped(void **state)
{
    (void)state;
    for (size_t i = 0; i < KINDS; i++) {
        struct packed p = pack(&kinds[i]);
        const unsigned m = p.members - 2;
        unsigned unnoticed = 0;

        for (size_t at = p.member[m]; at < p.member[m + 1]; at++) {
            struct seen s;

            p.b.p[at] ^= 0x41;
            s = see_bytes(&p.b, p.b.n);
            p.b.p[at] ^= 0x41;
            assert_true(s.records >= packets_in(&p, p.inside[m]));
            unnoticed += s.err.status == AT_OK;
            if (s.err.status == AT_OK)
                assert_int_equal(s.digest, p.digest[PACKETS]);
        }
        if (!kinds[i].weak)
            assert_int_equal(unnoticed, 0);
        unpack(&p);
    }
}

static void garbage_at_the_end(void **state)
{
    static const char *const text[] = {"x", "garbage that begins nothing",
                                       "BZh9\x31\x41\x59\x26\x53\x59garbage"};

    (void)state;
    for (size_t i = 0; i < KINDS; i++)
        for (size_t t = 0; t < 3; t++) {
            struct packed p = pack(&kinds[i]);
            const bool bzip2 = kinds[i].codec == AT_CODEC_BZIP2 && t == 2;

            add_text(&p.b, text[t]);
            expect_all_then(&p, bzip2 ? AT_ERR_TRUNCATED : AT_ERR_CORRUPT,
                            bzip2 ? "cut short" : "has ended");
            unpack(&p);
        }
}

static void zeros_at_the_end(void **state)
{
    (void)state;
    for (size_t i = 0; i < KINDS; i++) {
        const bool xz = kinds[i].codec == AT_CODEC_XZ;
        struct packed p = pack(&kinds[i]);

        add_zeros(&p.b, 600000);
        expect_all_then(&p, AT_OK, "");
        add_zeros(&p.b, 2);
        expect_all_then(&p, xz ? AT_ERR_CORRUPT : AT_OK, "has ended");
        if (xz)
            add_zeros(&p.b, 2);
        kinds[i].member(&p.b, "", 0);
        expect_all_then(&p, xz ? AT_OK : AT_ERR_CORRUPT, "has ended");
        unpack(&p);
    }
}

/* A stream in the data of another, as it may stand in a packet. */
static void stream_inside_a_stream(void **state)
{
    (void)state;
    for (size_t i = 0; i < KINDS; i++) {
        struct bytes inner = {.n = 0}, raw = {.n = 0}, b = {.n = 0};
        struct seen s;

        kinds[i].member(&inner, "inner", 5);
        add_pcap_header(&raw);
        add_pcap_record(&raw, 1, 2, (uint32_t)inner.n, (uint32_t)inner.n);
        raw.n -= inner.n;
        add(&raw, inner.p, inner.n);
        kinds[i].member(&b, raw.p, raw.n);
        s = see_bytes(&b, b.n);
        assert_int_equal(s.err.status, AT_OK);
        assert_int_equal(s.records, 1);
        drop(&inner);
        drop(&raw);
        drop(&b);
    }
}

/* What we write, cut at every byte of the last two frames. */
static struct bytes written(enum at_codec codec, unsigned *packets)
{
    const struct at_writer_options opts = {
        .size = sizeof(opts),
        .format = AT_FORMAT_PCAP,
        .codec = codec,
        .linktype = AT_LINK_ETHERNET,
    };
    static uint8_t zeros[60000];
    const char *path = temporary("trace");
    struct at_writer *w;

    assert_int_equal(at_writer_open(&w, path, &opts, NULL), AT_OK);
    for (*packets = 0; *packets < 50; (*packets)++) {
        const uint32_t n = *packets < 48 ? sizeof(zeros) : 90;
        const struct at_packet pkt = {.ts = (uint64_t)*packets << 32,
                                      .data = zeros,
                                      .cap_bytes = n,
                                      .wire_bytes = n,
                                      .linktype = AT_LINK_ETHERNET,
                                      .format = AT_FORMAT_PCAP};

        assert_int_equal(at_writer_put(w, &pkt), AT_OK);
    }
    assert_int_equal(at_writer_commit(w), AT_OK);
    at_writer_close(w);
    return read_file(path);
}

/* How often more packets come out says how many frames were cut. */
static unsigned cut_frames(const struct bytes *b, size_t n, uint64_t *last)
{
    unsigned frames = 0;

    for (*last = 0; n < b->n; n++) {
        const struct seen s = see_bytes(b, n);

        assert_int_equal(s.err.status, AT_ERR_TRUNCATED);
        assert_non_null(strstr(s.err.msg, " byte "));
        assert_true(s.records >= *last);
        frames += s.records > *last;
        *last = s.records;
    }
    return frames;
}

static void own_files_cut(void **state)
{
    (void)state;
    for (int c = AT_CODEC_GZIP; c <= AT_CODEC_LZ4; c++) {
        unsigned packets;
        struct bytes b = written((enum at_codec)c, &packets);
        const struct seen all = see_bytes(&b, b.n);
        uint64_t last;

        assert_int_equal(all.err.status, AT_OK);
        assert_int_equal(all.records, packets);
        assert_true(cut_frames(&b, b.n > 600 ? b.n - 600 : 20, &last) >= 2);
        assert_int_equal(last, packets);
        drop(&b);
    }
}

/* What is behind the last frame is the closing one, whole or not at all, but
 * for an xz file, whose index is more than that. */
static void own_files_cut_before_the_end(void **state)
{
    static const size_t end[] = {
        [AT_CODEC_GZIP] = 38,  [AT_CODEC_BGZF] = 28, [AT_CODEC_ZSTD] = 33,
        [AT_CODEC_BZIP2] = 14, [AT_CODEC_LZ4] = 41,
    };

    (void)state;
    for (int c = AT_CODEC_GZIP; c <= AT_CODEC_LZ4; c++) {
        unsigned packets;
        struct bytes b = written((enum at_codec)c, &packets);
        struct seen s;

        if (end[c] == 0) {
            drop(&b);
            continue;
        }
        b.n -= end[c];
        s = see_bytes(&b, b.n);
        assert_int_equal(s.records, packets);
        assert_int_equal(s.err.status, AT_ERR_TRUNCATED);
        assert_non_null(strstr(s.err.msg, "no closing block"));
        add_zeros(&b, 512); /* as a disk may have them there */
        s = see_bytes(&b, b.n);
        assert_int_equal(s.records, packets);
        assert_int_equal(s.err.status, AT_ERR_TRUNCATED);
        assert_non_null(strstr(s.err.msg, "no closing block"));
        drop(&b);
    }
}

/* Frames of ours, of others and of ours: it is the last that counts. */
static void own_and_other_frames(void **state)
{
    static const struct {
        enum at_codec codec;
        add_member *member;
        size_t end;
    } mix[] = {
        {AT_CODEC_ZSTD, add_zstd, 33},   {AT_CODEC_ZSTD, add_zstd_unsized, 33},
        {AT_CODEC_LZ4, add_lz4, 41},     {AT_CODEC_LZ4, add_lz4_unsized, 41},
        {AT_CODEC_BZIP2, add_bzip2, 14}, {AT_CODEC_GZIP, add_gzip, 38},
        {AT_CODEC_BGZF, add_gzip, 28},
    };
    struct bytes more = small_pcap(PACKETS);

    (void)state;
    for (size_t i = 0; i < sizeof(mix) / sizeof(mix[0]); i++) {
        unsigned packets;
        struct bytes own = written(mix[i].codec, &packets), b = {.n = 0};
        struct seen s;

        add(&b, own.p, own.n - mix[i].end);
        mix[i].member(&b, more.p + 24, more.n - 24);
        s = see_bytes(&b, b.n);
        assert_int_equal(s.err.status, AT_OK);
        assert_int_equal(s.records, packets + PACKETS);
        b.n = 0;
        mix[i].member(&b, "", 0);
        add(&b, own.p, own.n);
        s = see_bytes(&b, b.n);
        assert_int_equal(s.err.status, AT_OK);
        assert_int_equal(s.records, packets);
        s = see_bytes(&b, b.n - mix[i].end);
        assert_int_equal(s.err.status, AT_ERR_TRUNCATED);
        assert_int_equal(s.records, packets);
        drop(&own);
        drop(&b);
    }
    drop(&more);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(found_by_content),
        cmocka_unit_test(members_one_after_the_other),
        cmocka_unit_test(empty_members_in_between),
        cmocka_unit_test(nothing_inside),
        cmocka_unit_test(kinds_of_one_codec_mixed),
        cmocka_unit_test(cut_at_every_byte),
        cmocka_unit_test(cut_in_the_first_member),
        cmocka_unit_test(flipped),
        cmocka_unit_test(garbage_at_the_end),
        cmocka_unit_test(zeros_at_the_end),
        cmocka_unit_test(stream_inside_a_stream),
        cmocka_unit_test(own_files_cut),
        cmocka_unit_test(own_files_cut_before_the_end),
        cmocka_unit_test(own_and_other_frames),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
