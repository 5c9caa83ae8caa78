/*
 * codec_test.c - gzip in all its forms: whole, cut at every byte, damaged
 *
 * A trace of small packets is packed in some way and then spoilt.  What comes
 * out must be a beginning of the packets that went in, as long as the damage
 * allows, and then one error.
 */
#include "common.h"

#include <stdlib.h>
#include <string.h>
#include <zlib.h>

enum { PACKETS = 120, CHUNK = 701 }; /* so that members end inside records */

struct fixture {
    struct bytes raw;
    uint64_t digest[PACKETS + 1]; /* of the first n records */
    size_t end[PACKETS + 1];      /* where they end in 'raw' */
};

static int make_raw(void **state)
{
    static struct fixture f;
    size_t at = 24;

    f.raw = small_pcap(PACKETS);
    f.end[0] = at;
    for (unsigned n = 0; n < PACKETS; n++) {
        const size_t bytes = 16 + 60 + n % 7;

        f.digest[n + 1] = crc32_z(f.digest[n], f.raw.p + at, bytes);
        at += bytes;
        f.end[n + 1] = at;
    }
    assert_int_equal(at, f.raw.n);
    *state = &f;
    return 0;
}

static int drop_raw(void **state)
{
    struct fixture *f = *state;

    drop(&f->raw);
    return 0;
}

/* Whole packets in the first 'n' bytes. */
static uint64_t packets_in(const struct fixture *f, size_t n)
{
    uint64_t packets = 0;

    while (packets < PACKETS && f->end[packets + 1] <= n)
        packets++;
    return packets;
}

typedef void add_member(struct bytes *b, const void *p, size_t n);

/* A packed file, and what the members up to a byte of it hold. */
struct packed {
    struct bytes b;
    size_t member[PACKETS]; /* where each begins; then the end of the last */
    size_t raw[PACKETS];    /* decoded bytes before it */
    unsigned members;
};

static struct packed pack(const struct fixture *f, add_member *member)
{
    struct packed p = {.members = 0};

    for (size_t at = 0; at < f->raw.n; at += CHUNK) {
        const size_t left = f->raw.n - at;

        p.member[p.members] = p.b.n;
        p.raw[p.members++] = at;
        member(&p.b, f->raw.p + at, left < CHUNK ? left : CHUNK);
    }
    p.member[p.members] = p.b.n;
    p.raw[p.members] = f->raw.n;
    return p;
}

static void expect_beginning(const struct fixture *f, const struct seen *s)
{
    assert_true(s->records <= PACKETS);
    assert_int_equal(s->digest, f->digest[s->records]);
}

static void expect_all(const struct fixture *f, const struct bytes *b)
{
    const struct seen s = see_bytes(b, b->n);

    assert_string_equal(s.err.status == AT_OK ? "" : s.err.msg, "");
    assert_int_equal(s.records, PACKETS);
    expect_beginning(f, &s);
}

/* All packets, then an error of this kind. */
static void expect_all_then(const struct fixture *f, const struct bytes *b,
                            enum at_status status, const char *text)
{
    const struct seen s = see_bytes(b, b->n);

    assert_int_equal(s.err.status, status);
    assert_non_null(strstr(s.err.msg, text));
    assert_int_equal(s.records, PACKETS);
    expect_beginning(f, &s);
}

/* ---- whole files ----------------------------------------------------- */

static void members_one_after_the_other(void **state)
{
    struct packed gz = pack(*state, add_gzip), bgzf = pack(*state, add_bgzf);

    expect_all(*state, &gz.b);
    add_bgzf_eof(&bgzf.b);
    expect_all(*state, &bgzf.b);
    drop(&gz.b);
    drop(&bgzf.b);
}

static void empty_members_in_between(void **state)
{
    const struct fixture *f = *state;
    static add_member *const kind[] = {add_gzip, add_bgzf};

    for (size_t i = 0; i < 2; i++) {
        struct bytes b = {.n = 0};

        kind[i](&b, "", 0);
        kind[i](&b, f->raw.p, 1000);
        kind[i](&b, "", 0);
        kind[i](&b, "", 0);
        kind[i](&b, f->raw.p + 1000, f->raw.n - 1000);
        kind[i](&b, "", 0);
        expect_all(f, &b);
        drop(&b);
    }
}

/* Others close their files with nothing. */
static void members_that_say_their_size(void **state)
{
    static add_member *const kind[] = {add_sized, add_pgzip, add_migz};

    for (size_t i = 0; i < 3; i++) {
        struct packed p = pack(*state, kind[i]);

        if (i == 0)
            add_sized(&p.b, "", 0);
        expect_all(*state, &p.b);
        add_zeros(&p.b, 512);
        expect_all(*state, &p.b);
        drop(&p.b);
    }
}

static enum at_codec codec_of(const struct bytes *b, bool *random)
{
    const char *path = temporary("codec");
    enum at_codec codec;
    struct at_reader *rd;

    write_file(path, b->p, b->n);
    assert_int_equal(at_reader_open(&rd, path, NULL, NULL), AT_OK);
    codec = at_reader_info(rd)->codec;
    *random = at_reader_info(rd)->random_access;
    at_reader_close(rd);
    return codec;
}

static void who_can_be_read_anywhere(void **state)
{
    static const struct {
        add_member *member;
        enum at_codec codec;
        bool random;
    } kind[] = {
        {add_gzip, AT_CODEC_GZIP, false}, {add_bgzf, AT_CODEC_BGZF, true},
        {add_sized, AT_CODEC_GZIP, true}, {add_pgzip, AT_CODEC_GZIP, true},
        {add_migz, AT_CODEC_GZIP, true},
    };

    for (size_t i = 0; i < sizeof(kind) / sizeof(kind[0]); i++) {
        struct packed p = pack(*state, kind[i].member);
        bool random;

        assert_int_equal(codec_of(&p.b, &random), kind[i].codec);
        assert_int_equal(random, kind[i].random);
        drop(&p.b);
    }
}

/* Each kind after each other, closed by ours. */
static void kinds_of_members_mixed(void **state)
{
    static add_member *const kind[] = {add_sized, add_pgzip, add_migz, add_bgzf,
                                       add_gzip};
    const struct fixture *f = *state;

    for (size_t i = 0; i < 5; i++)
        for (size_t k = 0; k < 5; k++) {
            struct bytes b = {.n = 0};

            kind[i](&b, f->raw.p, 1000);
            kind[k](&b, f->raw.p + 1000, 3000);
            kind[i](&b, f->raw.p + 4000, f->raw.n - 4000);
            add_sized(&b, "", 0);
            expect_all(f, &b);
            drop(&b);
        }
}

static void two_bgzf_files_joined(void **state)
{
    const struct fixture *f = *state;
    struct bytes b = {.n = 0};

    add_bgzf(&b, f->raw.p, 1000);
    add_bgzf_eof(&b);
    add_bgzf(&b, f->raw.p + 1000, f->raw.n - 1000);
    add_bgzf_eof(&b);
    expect_all(f, &b);
    drop(&b);
}

static void bgzf_then_plain_gzip(void **state)
{
    const struct fixture *f = *state;

    for (size_t cut = 0; cut < 4; cut++) {
        const size_t at = cut * 1500;
        struct bytes b = {.n = 0};

        for (size_t i = 0; i < cut; i++)
            add_bgzf(&b, f->raw.p + i * 1500, 1500);
        add_gzip(&b, f->raw.p + at, f->raw.n - at);
        expect_all(f, &b);
        drop(&b);
    }
}

static void gzip_then_bgzf(void **state)
{
    const struct fixture *f = *state;
    struct bytes b = {.n = 0};

    add_gzip(&b, f->raw.p, 1000);
    add_bgzf(&b, f->raw.p + 1000, f->raw.n - 1000);
    add_bgzf_eof(&b);
    expect_all(f, &b);
    drop(&b);
}

/* This once was looked at for ever. */
static void extra_field_that_says_it_is_longer(void **state)
{
    const struct fixture *f = *state;
    struct bytes member = {.n = 0}, b = {.n = 0};

    add_gzip(&member, f->raw.p, f->raw.n);
    add(&b, "\x1f\x8b\x08\x04\0\0\0\0\0\3\x08\0ab\xff\xff....", 20);
    add(&b, member.p + 10, member.n - 10);
    expect_all(f, &b);
    drop(&member);
    drop(&b);
}

/* Name, comment, extra field and header checksum, as RFC 1952 has them. */
static void every_field_of_a_gzip_header(void **state)
{
    const struct fixture *f = *state;
    struct bytes member = {.n = 0}, b = {.n = 0};

    add_gzip(&member, f->raw.p, f->raw.n);
    add(&b, "\x1f\x8b\x08\x1e\1\2\3\4\0\3\4\0xy\0\0name\0comment", 29);
    add_le16(&b, (uint16_t)crc32(0, b.p, (uInt)b.n));
    add(&b, member.p + 10, member.n - 10);
    expect_all(f, &b);
    drop(&member);
    drop(&b);
}

static void zeros_at_the_end_are_fine(void **state)
{
    struct packed gz = pack(*state, add_gzip), bgzf = pack(*state, add_bgzf);

    add_zeros(&gz.b, 512);
    expect_all(*state, &gz.b);
    add_bgzf_eof(&bgzf.b);
    add_zeros(&bgzf.b, 512);
    expect_all(*state, &bgzf.b);
    drop(&gz.b);
    drop(&bgzf.b);
}

/* ---- spoilt ones ----------------------------------------------------- */

static void garbage_at_the_end(void **state)
{
    struct packed gz = pack(*state, add_gzip), bgzf = pack(*state, add_bgzf);

    add_text(&gz.b, "this is no gzip member");
    expect_all_then(*state, &gz.b, AT_ERR_CORRUPT, "no gzip member begins");
    add_bgzf_eof(&bgzf.b);
    add_text(&bgzf.b, "this is no gzip member");
    expect_all_then(*state, &bgzf.b, AT_ERR_CORRUPT, "no gzip member begins");
    drop(&gz.b);
    drop(&bgzf.b);
}

static void bgzf_without_its_end(void **state)
{
    struct packed p = pack(*state, add_bgzf);

    expect_all_then(*state, &p.b, AT_ERR_TRUNCATED, "no closing block");
    drop(&p.b);
}

static void sized_without_its_end(void **state)
{
    struct packed p = pack(*state, add_sized);

    expect_all_then(*state, &p.b, AT_ERR_TRUNCATED, "no closing block");
    drop(&p.b);
}

/*
 * Cut at every byte of the last two members: the whole packets of the members
 * before, then an error that says so.
 */
static void cut_file(const struct fixture *f, const struct packed *p)
{
    for (size_t n = p->member[p->members - 2]; n < p->b.n; n++) {
        const struct seen s = see_bytes(&p->b, n);
        unsigned whole = p->members;

        while (p->member[whole] > n)
            whole--;
        expect_beginning(f, &s);
        assert_true(s.records >= packets_in(f, p->raw[whole]));
        assert_int_equal(s.err.status, AT_ERR_TRUNCATED);
        assert_non_null(strstr(s.err.msg, "cut short"));
        assert_non_null(strstr(s.err.msg, " byte "));
    }
}

static void gzip_cut(void **state)
{
    struct packed p = pack(*state, add_gzip);

    cut_file(*state, &p);
    drop(&p.b);
}

static void bgzf_cut(void **state)
{
    struct packed p = pack(*state, add_bgzf);

    add_bgzf_eof(&p.b);
    cut_file(*state, &p);
    drop(&p.b);
}

static void sized_cut(void **state)
{
    struct packed p = pack(*state, add_sized);

    add_sized(&p.b, "", 0);
    cut_file(*state, &p);
    drop(&p.b);
}

/* One member for all: what inflates before the cut is given out. */
static void single_gzip_cut(void **state)
{
    const struct fixture *f = *state;
    struct bytes b = {.n = 0};
    uint64_t last = 0;

    add_gzip(&b, f->raw.p, f->raw.n);
    for (size_t n = b.n / 2; n < b.n; n++) {
        const struct seen s = see_bytes(&b, n);

        assert_int_equal(s.err.status, AT_ERR_TRUNCATED);
        expect_beginning(f, &s);
        assert_true(s.records >= last);
        last = s.records;
    }
    assert_int_equal(last, PACKETS); /* only the trailer is missing */
    drop(&b);
}

/* A damaged block of BGZF gives nothing; those before it all they have. */
static void bgzf_flipped(void **state)
{
    const struct fixture *f = *state;
    struct packed p = pack(f, add_bgzf);
    const unsigned m = p.members - 2;
    const uint64_t least = packets_in(f, p.raw[m]);

    add_bgzf_eof(&p.b);
    for (size_t at = p.member[m]; at < p.member[m + 1]; at++) {
        struct seen s;

        p.b.p[at] ^= 0x41;
        s = see_bytes(&p.b, p.b.n);
        p.b.p[at] ^= 0x41;
        expect_beginning(f, &s);
        if (s.err.status == AT_OK) /* the time, the system, the level */
            assert_int_equal(s.records, PACKETS);
        else
            assert_true(s.records >= least);
    }
    drop(&p.b);
}

/* A size with one bit that is wrong, or one that lies outright. */
static uint32_t damaged(uint32_t size, unsigned i)
{
    static const uint32_t lies[] = {0, 27, 36, 37, 8 << 20, UINT32_MAX};

    return i < 32 ? size ^ UINT32_C(1) << i : lies[i - 32];
}

/* In either size of a header: the data is whole, so all of it is read. */
static void sizes_that_are_damaged(void **state)
{
    const struct fixture *f = *state;
    struct packed p = pack(f, add_sized);

    add_sized(&p.b, "", 0);
    for (size_t at = 16; at <= 24; at += 8)
        for (unsigned i = 0; i < 32 + 6; i++)
            for (unsigned m = 0; m < 8; m += 7) {
                uint8_t *field = p.b.p + p.member[m] + at;
                uint32_t size;

                memcpy(&size, field, 4); /* in the test's own byte order */
                memcpy(field, &(uint32_t){damaged(size, i)}, 4);
                expect_all(f, &p.b);
                memcpy(field, &size, 4);
            }
    drop(&p.b);
}

/* What the size of another member leads to is not taken for the own. */
static void sizes_of_two_members(void **state)
{
    const struct fixture *f = *state;
    struct packed p = pack(f, add_sized);
    const size_t both = p.member[5] - p.member[3];

    p.b.p[p.member[3] + 16] = (uint8_t)both;
    p.b.p[p.member[3] + 17] = (uint8_t)(both >> 8);
    add_sized(&p.b, "", 0);
    expect_all(f, &p.b);
    drop(&p.b);
}

/* Damage anywhere else is never unnoticed, and costs no member before it. */
static void sized_flipped(void **state)
{
    const struct fixture *f = *state;
    struct packed p = pack(f, add_sized);
    const unsigned m = p.members - 2;

    add_sized(&p.b, "", 0);
    for (size_t at = p.member[m]; at < p.member[m + 1]; at++) {
        struct seen s;

        p.b.p[at] ^= 0x41;
        s = see_bytes(&p.b, p.b.n);
        p.b.p[at] ^= 0x41;
        assert_true(s.records >= packets_in(f, p.raw[m]));
        if (s.err.status == AT_OK)
            assert_int_equal(s.digest, f->digest[PACKETS]);
        if (at >= p.member[m] + 28)
            assert_int_equal(s.err.status, AT_ERR_CORRUPT);
    }
    drop(&p.b);
}

/* In gzip a checksum comes after what it is of, so packets of the damaged
 * member may be seen; but never does damage go unnoticed. */
static void gzip_flipped(void **state)
{
    const struct fixture *f = *state;
    struct packed p = pack(f, add_gzip);
    const unsigned m = p.members - 2;

    for (size_t at = p.member[m]; at < p.member[m + 1]; at++) {
        struct seen s;

        p.b.p[at] ^= 0x41;
        s = see_bytes(&p.b, p.b.n);
        p.b.p[at] ^= 0x41;
        assert_true(s.records >= packets_in(f, p.raw[m]));
        if (s.err.status == AT_OK)
            assert_int_equal(s.digest, f->digest[PACKETS]);
    }
    drop(&p.b);
}

/* Every field of a BGZF member, by name. */
static void bgzf_fields(void **state)
{
    static const struct {
        size_t at; /* from the start of the member; or from its end, below 0 */
        bool from_end;
        uint8_t flip;
        enum at_status status;
    } field[] = {
        {0, false, 1, AT_ERR_CORRUPT}, /* magic */
        {1, false, 1, AT_ERR_CORRUPT},
        {2, false, 1, AT_ERR_CORRUPT},     /* method */
        {16, false, 0xff, AT_ERR_CORRUPT}, /* size */
        {8, true, 1, AT_ERR_CORRUPT},      /* CRC */
        {5, true, 1, AT_ERR_CORRUPT},
        {4, true, 1, AT_ERR_CORRUPT}, /* decoded length */
        {1, true, 1, AT_ERR_CORRUPT},
    };
    const struct fixture *f = *state;
    struct packed p = pack(f, add_bgzf);
    const unsigned m = p.members - 2;

    add_bgzf_eof(&p.b);
    for (size_t i = 0; i < sizeof(field) / sizeof(field[0]); i++) {
        const size_t at = field[i].from_end ? p.member[m + 1] - field[i].at
                                            : p.member[m] + field[i].at;
        struct seen s;

        p.b.p[at] ^= field[i].flip;
        s = see_bytes(&p.b, p.b.n);
        p.b.p[at] ^= field[i].flip;
        assert_int_equal(s.err.status, field[i].status);
        assert_int_equal(s.records, packets_in(f, p.raw[m]));
        expect_beginning(f, &s);
    }
    drop(&p.b);
}

static void nothing_inside(void **state)
{
    static add_member *const kind[] = {add_gzip, add_bgzf};

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct bytes b = {.n = 0};
        struct seen s;

        kind[i](&b, "", 0);
        s = see_bytes(&b, b.n);
        assert_int_equal(s.err.status, AT_ERR_TRUNCATED);
        assert_non_null(strstr(s.err.msg, "empty"));
        drop(&b);
    }
}

static void other_codecs_are_named(void **state)
{
    static const struct {
        const char *magic, *name;
    } known[] = {{"\x89LZO", "lzop"}, {"\x02\x21\x4c\x18", "lz4"}};

    (void)state;
    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
        struct bytes b = {.n = 0};
        struct seen s;

        add_text(&b, known[i].magic);
        add_zeros(&b, 100);
        s = see_bytes(&b, b.n);
        assert_int_equal(s.err.status, AT_ERR_FORMAT);
        assert_non_null(strstr(s.err.msg, known[i].name));
        drop(&b);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(members_one_after_the_other),
        cmocka_unit_test(empty_members_in_between),
        cmocka_unit_test(members_that_say_their_size),
        cmocka_unit_test(who_can_be_read_anywhere),
        cmocka_unit_test(kinds_of_members_mixed),
        cmocka_unit_test(two_bgzf_files_joined),
        cmocka_unit_test(bgzf_then_plain_gzip),
        cmocka_unit_test(gzip_then_bgzf),
        cmocka_unit_test(every_field_of_a_gzip_header),
        cmocka_unit_test(extra_field_that_says_it_is_longer),
        cmocka_unit_test(zeros_at_the_end_are_fine),
        cmocka_unit_test(garbage_at_the_end),
        cmocka_unit_test(bgzf_without_its_end),
        cmocka_unit_test(sized_without_its_end),
        cmocka_unit_test(sized_cut),
        cmocka_unit_test(sizes_that_are_damaged),
        cmocka_unit_test(sizes_of_two_members),
        cmocka_unit_test(sized_flipped),
        cmocka_unit_test(gzip_cut),
        cmocka_unit_test(bgzf_cut),
        cmocka_unit_test(single_gzip_cut),
        cmocka_unit_test(bgzf_flipped),
        cmocka_unit_test(gzip_flipped),
        cmocka_unit_test(bgzf_fields),
        cmocka_unit_test(nothing_inside),
        cmocka_unit_test(other_codecs_are_named),
    };

    return cmocka_run_group_tests(tests, make_raw, drop_raw);
}
