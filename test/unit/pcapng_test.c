/*
 * pcapng_test.c - pcapng from bytes by hand, every block and every field
 *
 * Each file is made in both byte orders; damage is done field by field.
 */
#include "common.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "section.h"

enum { FRAME = 61, SECONDS = 1700000000 };

/* ---- blocks ---------------------------------------------------------- */

/* A file in the making, in one byte order. */
struct ng {
    struct bytes b;
    bool big;
    size_t block; /* offset of the block begun last */
};

static void put16(struct ng *g, uint16_t v)
{
    if (g->big)
        add_be16(&g->b, v);
    else
        add_le16(&g->b, v);
}

static void put32(struct ng *g, uint32_t v)
{
    if (g->big)
        add_be32(&g->b, v);
    else
        add_le32(&g->b, v);
}

static void put64(struct ng *g, uint64_t v)
{
    put32(g, (uint32_t)(g->big ? v >> 32 : v));
    put32(g, (uint32_t)(g->big ? v : v >> 32));
}

static void store32(struct ng *g, size_t at, uint32_t v)
{
    for (unsigned i = 0; i < 4; i++)
        g->b.p[at + i] = (uint8_t)(v >> 8 * (g->big ? 3 - i : i));
}

static void begin(struct ng *g, uint32_t type)
{
    g->block = g->b.n;
    put32(g, type);
    put32(g, 0);
}

static void end(struct ng *g)
{
    const uint32_t n = (uint32_t)(g->b.n - g->block + 4);

    put32(g, n);
    store32(g, g->block + 4, n);
}

static void put_option(struct ng *g, uint16_t code, const void *p, uint16_t n)
{
    put16(g, code);
    put16(g, n);
    add(&g->b, p, n);
    add_zeros(&g->b, (4u - n % 4u) % 4u);
}

static void put_option32(struct ng *g, uint16_t code, uint32_t v)
{
    put16(g, code);
    put16(g, 4);
    put32(g, v);
}

static void put_option64(struct ng *g, uint16_t code, uint64_t v)
{
    put16(g, code);
    put16(g, 8);
    put64(g, v);
}

static void section(struct ng *g)
{
    begin(g, AT_NG_SHB);
    put32(g, AT_NG_ORDER);
    put16(g, 1);
    put16(g, 0);
    put64(g, UINT64_MAX);
    end(g);
}

static void interface(struct ng *g, uint16_t linktype, uint32_t snap,
                      uint8_t resolution, int64_t offset)
{
    begin(g, AT_NG_IDB);
    put16(g, linktype);
    put16(g, 0);
    put32(g, snap);
    put_option(g, 2, "eth0", 4);
    put_option(g, 3, "the first", 9);
    put_option(g, 9, &resolution, 1);
    put_option64(g, 14, (uint64_t)offset);
    put_option(g, 0, "", 0);
    end(g);
}

static void frame(struct ng *g, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++)
        add(&g->b, &(uint8_t){(uint8_t)i}, 1);
    add_zeros(&g->b, (4 - n % 4) % 4);
}

/* An enhanced packet without its end, so that options can follow. */
static void begin_packet(struct ng *g, uint32_t face, uint64_t ts)
{
    begin(g, AT_NG_EPB);
    put32(g, face);
    put32(g, (uint32_t)(ts >> 32));
    put32(g, (uint32_t)ts);
    put32(g, FRAME);
    put32(g, FRAME + 10);
    frame(g, FRAME);
}

static void packet(struct ng *g, uint32_t face, uint64_t ts)
{
    begin_packet(g, face, ts);
    end(g);
}

static struct ng new_file(int big)
{
    struct ng g = {.big = big != 0};

    section(&g);
    return g;
}

/* ---- reading --------------------------------------------------------- */

enum { MOST = 64 };

struct result {
    struct at_reader *rd;
    struct at_batch *batch[MOST];
    size_t batches;
    struct at_packet pkt[MOST];
    size_t n;
    enum at_status status;
    char msg[512];
};

/* All records, which live until let_go(). */
static struct result read_all(const struct ng *g)
{
    const char *path = temporary("x.pcapng");
    struct result r = {.n = 0};
    struct at_error err;

    write_file(path, g->b.p, g->b.n);
    r.status = at_reader_open(&r.rd, path, NULL, &err);
    if (r.status != AT_OK) {
        memcpy(r.msg, err.msg, sizeof(r.msg));
        return r;
    }
    while ((r.status = at_reader_next_batch(r.rd, &r.batch[r.batches])) ==
           AT_OK) {
        const struct at_batch *batch = r.batch[r.batches++];

        for (size_t i = 0; i < batch->blocks; i++) {
            struct at_walk walk = at_walk_block(batch, i);

            while (at_walk_next(&walk, &r.pkt[r.n]))
                assert_true(++r.n < MOST);
        }
    }
    memcpy(r.msg, at_reader_error(r.rd)->msg, sizeof(r.msg));
    return r;
}

static void let_go(struct result *r, struct ng *g)
{
    for (size_t i = 0; i < r->batches; i++)
        at_batch_release(r->batch[i]);
    at_reader_close(r->rd);
    drop(&g->b);
}

static void check_text(const char *text, size_t n, const char *want)
{
    assert_int_equal(n, strlen(want));
    assert_memory_equal(text, want, n);
}

static void enhanced_packet(void **state)
{
    (void)state;
    for (int big = 0; big < 2; big++) {
        struct ng g = new_file(big);
        struct at_options options;
        struct at_option option;
        struct result r;
        const char *text;
        size_t n;

        interface(&g, 1, 0, 9, 0);
        interface(&g, 113, 0, 6, 0);
        begin_packet(&g, 1, SECONDS * UINT64_C(1000000) + 1);
        put_option32(&g, 2, 2);
        put_option(&g, 1, "one", 3);
        put_option64(&g, 4, 7);
        put_option(&g, 1, "two", 3);
        end(&g);
        r = read_all(&g);
        assert_int_equal(r.status, AT_END);
        assert_int_equal(r.n, 4);
        assert_int_equal(r.pkt[0].kind, AT_KIND_META);
        assert_int_equal(r.pkt[2].kind, AT_KIND_META);
        assert_int_equal(r.pkt[3].kind, AT_KIND_PACKET);
        assert_int_equal(r.pkt[3].format, AT_FORMAT_PCAPNG);
        assert_int_equal(r.pkt[3].interface, 1);
        assert_int_equal(r.pkt[3].linktype, 113);
        assert_int_equal(r.pkt[3].cap_bytes, FRAME);
        assert_int_equal(r.pkt[3].wire_bytes, FRAME + 10);
        assert_int_equal(r.pkt[3].data[60], 60);
        assert_int_equal(r.pkt[3].direction, AT_DIRECTION_OUT);
        assert_int_equal(r.pkt[3].lost, 7);
        assert_int_equal(at_ts_to_ns(r.pkt[3].ts),
                         SECONDS * INT64_C(1000000000) + 1000);
        assert_true(at_interface_name(&r.pkt[3], &text, &n));
        check_text(text, n, "eth0");
        assert_true(at_interface_description(&r.pkt[3], &text, &n));
        check_text(text, n, "the first");
        options = at_packet_options(&r.pkt[3]);
        assert_true(at_comment_next(&options, &text, &n));
        check_text(text, n, "one");
        assert_true(at_comment_next(&options, &text, &n));
        check_text(text, n, "two");
        assert_false(at_comment_next(&options, &text, &n));
        options = at_packet_options(&r.pkt[3]);
        assert_true(at_options_next(&options, &option));
        assert_int_equal(option.code, 2);
        assert_int_equal(at_option_number(&options, &option), 2);
        let_go(&r, &g);
    }
}

static void simple_packet_has_no_time(void **state)
{
    static const uint32_t snap[] = {0, 40, 1000}, cap[] = {FRAME, 40, FRAME};

    (void)state;
    for (int i = 0; i < 6; i++) {
        struct ng g = new_file(i % 2);
        struct result r;

        interface(&g, 1, snap[i / 2], 9, 0);
        begin(&g, AT_NG_SPB);
        put32(&g, FRAME);
        frame(&g, cap[i / 2]);
        end(&g);
        r = read_all(&g);
        assert_int_equal(r.status, AT_END);
        assert_int_equal(r.n, 3);
        assert_true(r.pkt[2].timeless);
        assert_int_equal(r.pkt[2].ts, 0);
        assert_int_equal(r.pkt[2].cap_bytes, cap[i / 2]);
        assert_int_equal(r.pkt[2].wire_bytes, FRAME);
        assert_int_equal(r.pkt[2].data[39], 39);
        let_go(&r, &g);
    }
}

static void obsolete_packet(void **state)
{
    static const uint16_t drops[] = {0xffff, 3};

    (void)state;
    for (int i = 0; i < 4; i++) {
        struct ng g = new_file(i % 2);
        struct result r;

        interface(&g, 1, 0, 6, 0);
        begin(&g, AT_NG_PB);
        put16(&g, 0);
        put16(&g, drops[i / 2]);
        put32(&g, 0);
        put32(&g, 5);
        put32(&g, FRAME);
        put32(&g, FRAME);
        frame(&g, FRAME);
        put_option32(&g, 2, 1);
        end(&g);
        r = read_all(&g);
        assert_int_equal(r.status, AT_END);
        assert_int_equal(r.n, 3);
        assert_int_equal(r.pkt[2].lost, i / 2 == 0 ? 0 : 3);
        assert_int_equal(r.pkt[2].direction, AT_DIRECTION_IN);
        assert_int_equal(at_ts_to_ns(r.pkt[2].ts), 5000);
        let_go(&r, &g);
    }
}

/* Blocks that are no packets, one of each kind. */
static void other_blocks(struct ng *g)
{
    begin(g, AT_NG_NRB);
    put16(g, 1);
    put16(g, 6);
    add(&g->b,
        "\x01\x02\x03\x04"
        "a\0\0",
        8);
    put32(g, 0);
    end(g);
    begin(g, AT_NG_ISB);
    put32(g, 0);
    put64(g, 0);
    put_option64(g, 4, 100);
    put_option64(g, 5, 2);
    end(g);
    begin(g, AT_NG_DSB);
    put32(g, 0x544c534b);
    put32(g, 5);
    add(&g->b, "abcde\0\0", 8);
    end(g);
    begin(g, AT_NG_CB);
    put32(g, 32473);
    put32(g, 0xdeadbeef);
    end(g);
    begin(g, AT_NG_DCB);
    put32(g, 32473);
    end(g);
    begin(g, 0x80001234);
    add(&g->b, "any", 4);
    end(g);
}

static void blocks_that_are_no_packets(void **state)
{
    (void)state;
    for (int big = 0; big < 2; big++) {
        struct ng g = new_file(big);
        struct result r;

        interface(&g, 1, 0, 9, 0);
        other_blocks(&g);
        packet(&g, 0, 1);
        r = read_all(&g);
        assert_int_equal(r.status, AT_END);
        assert_int_equal(r.n, 9);
        for (size_t i = 0; i < 8; i++)
            assert_int_equal(r.pkt[i].kind, AT_KIND_META);
        assert_int_equal(r.pkt[8].kind, AT_KIND_PACKET);
        let_go(&r, &g);
    }
}

/* Each section has its byte order and counts its interfaces anew. */
static void sections_of_both_orders(void **state)
{
    struct ng g = new_file(0);
    struct result r;

    (void)state;
    interface(&g, 1, 0, 9, 0);
    interface(&g, 101, 0, 9, 0);
    packet(&g, 1, 1);
    g.big = true;
    section(&g);
    interface(&g, 113, 0, 6, 0);
    packet(&g, 0, 1);
    section(&g);
    interface(&g, 1, 0, 3, 0);
    packet(&g, 0, 1);
    r = read_all(&g);
    assert_int_equal(r.status, AT_END);
    assert_int_equal(r.n, 10);
    assert_int_equal(r.pkt[3].linktype, 101);
    assert_int_equal(at_ts_to_ns(r.pkt[3].ts), 1);
    assert_int_equal(r.pkt[6].linktype, 113);
    assert_int_equal(at_ts_to_ns(r.pkt[6].ts), 1000);
    assert_int_equal(r.pkt[9].linktype, 1);
    assert_int_equal(at_ts_to_ns(r.pkt[9].ts), 1000000);
    let_go(&r, &g);
}

/* ---- time ------------------------------------------------------------ */

static uint64_t time_read(uint8_t resolution, int64_t offset, uint64_t count)
{
    struct ng g = new_file(0);
    struct result r;
    uint64_t ts;

    interface(&g, 1, 0, resolution, offset);
    packet(&g, 0, count);
    r = read_all(&g);
    assert_int_equal(r.n, 3);
    ts = r.pkt[2].ts;
    let_go(&r, &g);
    return ts;
}

static void times_of_all_resolutions(void **state)
{
    static const struct {
        uint8_t resolution;
        uint64_t count;
        uint64_t ts;
    } known[] = {
        {0, SECONDS, (uint64_t)SECONDS << 32},
        {1, 15, UINT64_C(3) << 31},
        {6, 1500000, UINT64_C(3) << 31},
        {9, 1500000000, UINT64_C(3) << 31},
        {9, 1, 5},  /* 4.29 units, rounded up */
        {10, 1, 1}, /* 0.43 */
        {12, 1500000000000, UINT64_C(3) << 31},
        {12, 1000000000001, (UINT64_C(1) << 32) + 1},
        {19, UINT64_C(15000000000000000000), UINT64_C(3) << 31},
        {20, UINT64_C(10000000000000000000), 429496730}, /* a tenth */
        {38, 1, 1},
        {127, UINT64_MAX, 1},
        {127, 0, 0},
        {0x80, SECONDS, (uint64_t)SECONDS << 32},
        {0x80 | 1, 3, UINT64_C(3) << 31},
        {0x80 | 32, UINT64_C(0x123456789abcdef0), UINT64_C(0x123456789abcdef0)},
        {0x80 | 33, 3, 2}, /* 1.5 */
        {0x80 | 63, UINT64_C(3) << 62, UINT64_C(3) << 31},
        {0x80 | 64, UINT64_C(1) << 63, UINT64_C(1) << 31},
        {0x80 | 96, UINT64_MAX, 1},
        {0x80 | 127, 1, 1},
        {0x80 | 127, 0, 0},
        /* what 32 bits of seconds do not hold */
        {0, UINT64_C(1) << 32, UINT64_MAX},
        {0, UINT64_MAX, UINT64_MAX},
        {6, UINT64_MAX, UINT64_MAX},
        {9, UINT64_MAX, UINT64_MAX},
        {0x80, UINT64_MAX, UINT64_MAX},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
        assert_int_equal(time_read(known[i].resolution, 0, known[i].count),
                         known[i].ts);
}

static void times_with_an_offset(void **state)
{
    (void)state;
    assert_int_equal(time_read(9, SECONDS, 500000000),
                     ((uint64_t)SECONDS << 32) + (UINT64_C(1) << 31));
    assert_int_equal(time_read(0, -10, 12), UINT64_C(2) << 32);
    assert_int_equal(time_read(0, -10, 9), 0);
    assert_int_equal(time_read(0, INT64_MIN, UINT64_MAX), 0);
    assert_int_equal(time_read(0, INT64_MAX, UINT64_MAX), UINT64_MAX);
    assert_int_equal(time_read(0x80 | 32, INT64_MAX, UINT64_MAX), UINT64_MAX);
}

/* ---- damage ---------------------------------------------------------- */

enum {
    SHB_BYTES = 28,
    IDB_AT = SHB_BYTES,
    EPB_BYTES = 32 + 64,
};

/* Reads a file that is damaged after 'records' good records. */
static void check_damaged(struct ng *g, size_t records, size_t at,
                          const char *what, const char *why)
{
    struct result r = read_all(g);
    char want[256];

    snprintf(want, sizeof(want), "damaged: the %s at byte %zu %s", what, at,
             why);
    if (r.status != AT_ERR_CORRUPT || strstr(r.msg, want) == NULL)
        print_error("'%s', not '%s'\n", r.msg, want);
    assert_int_equal(r.status, AT_ERR_CORRUPT);
    assert_non_null(strstr(r.msg, want));
    assert_int_equal(r.n, records);
    let_go(&r, g);
}

/* Header, interface, packet; *at is where the packet begins. */
static struct ng one_packet(int big, size_t *at)
{
    struct ng g = new_file(big);

    interface(&g, 1, 0, 9, 0);
    *at = g.b.n;
    packet(&g, 0, 1);
    return g;
}

static void damaged_packet(void **state)
{
    static const struct {
        size_t field;
        uint32_t value;
        const char *why;
    } damage[] = {
        {4, 28, "has a length too small for it"},
        {4, 0, "has a length too small for it"},
        {4, UINT32_MAX, "has a length of over 16 MiB"},
        {4, (16 << 20) + 4, "has a length of over 16 MiB"},
        {EPB_BYTES - 4, EPB_BYTES - 4, "has two lengths that differ"},
        {EPB_BYTES - 4, 0, "has two lengths that differ"},
        {8, 1, "is of an interface that was not described"},
        {8, UINT32_MAX, "is of an interface that was not described"},
        {20, 65, "is too short for what it holds"},
        {20, UINT32_MAX, "is too short for what it holds"},
    };

    (void)state;
    for (size_t i = 0; i < 2 * sizeof(damage) / sizeof(damage[0]); i++) {
        size_t at;
        struct ng g = one_packet(i % 2, &at);

        store32(&g, at + damage[i / 2].field, damage[i / 2].value);
        check_damaged(&g, 2, at, "enhanced packet", damage[i / 2].why);
    }
}

static void damaged_options(void **state)
{
    (void)state;
    for (int big = 0; big < 2; big++) {
        struct ng g = new_file(big);
        size_t at;

        interface(&g, 1, 0, 9, 0);
        at = g.b.n;
        begin_packet(&g, 0, 1);
        put_option(&g, 1, "good", 4);
        put16(&g, 1);
        put16(&g, 5);
        put32(&g, 0);
        end(&g);
        check_damaged(&g, 2, at, "enhanced packet",
                      "has options that do not end within it");
    }
}

static void damaged_section(void **state)
{
    static const struct {
        size_t field;
        uint32_t value;
        const char *why;
    } damage[] = {
        {8, 0, "has no byte-order magic"},
        {4, 24, "has a length that cannot be"},
        {4, UINT32_MAX, "has a length that cannot be"},
        {12, 0, "is of a version other than 1"},
        {24, 32, "has two lengths that differ"},
    };

    (void)state;
    for (size_t i = 0; i < 2 * sizeof(damage) / sizeof(damage[0]); i++) {
        size_t packet_at, at;
        struct ng g = one_packet(i % 2, &packet_at);

        at = g.b.n;
        section(&g);
        store32(&g, at + damage[i / 2].field, damage[i / 2].value);
        check_damaged(&g, 3, at, "section header", damage[i / 2].why);
    }
}

static void damage_of_other_blocks(void **state)
{
    struct ng g = new_file(0);
    size_t at = g.b.n;

    (void)state;
    begin(&g, AT_NG_SPB);
    put32(&g, 0);
    end(&g);
    check_damaged(&g, 1, at, "simple packet",
                  "is of an interface that was not described");

    g = new_file(0);
    interface(&g, 1, 0, 9, 0);
    at = g.b.n;
    begin(&g, AT_NG_SPB);
    put32(&g, 5);
    frame(&g, 4);
    end(&g);
    check_damaged(&g, 2, at, "simple packet", "is too short for what it holds");

    g = new_file(1);
    interface(&g, 1, 0, 9, 0);
    at = g.b.n;
    begin(&g, AT_NG_DSB);
    put32(&g, 0);
    put32(&g, 5);
    put32(&g, 0);
    end(&g);
    check_damaged(&g, 2, at, "decryption secrets",
                  "is too short for what it holds");

    g = new_file(1);
    at = g.b.n;
    begin(&g, AT_NG_ISB);
    put32(&g, 0);
    put32(&g, 0);
    end(&g);
    check_damaged(&g, 1, at, "interface statistics",
                  "has a length too small for it");

    g = new_file(0);
    at = g.b.n;
    begin(&g, AT_NG_IDB);
    put32(&g, 1);
    put32(&g, 0);
    put16(&g, 9);
    put16(&g, 4);
    end(&g);
    check_damaged(&g, 1, at, "interface description",
                  "has options that do not end within it");
}

/* A length that is no multiple of 4 has its padding behind it. */
static void odd_length(void **state)
{
    size_t at;
    struct ng g = one_packet(0, &at);
    struct result r;

    (void)state;
    store32(&g, at + 4, EPB_BYTES - 3);
    store32(&g, at + EPB_BYTES - 4, EPB_BYTES - 3);
    packet(&g, 0, 1);
    r = read_all(&g);
    assert_int_equal(r.status, AT_END);
    assert_int_equal(r.n, 4);
    let_go(&r, &g);
}

static void no_trace(void **state)
{
    static const struct {
        size_t field;
        uint32_t value;
    } damage[] = {{4, 24}, {4, UINT32_MAX}, {8, 0}, {12, 2}};

    (void)state;
    for (size_t i = 0; i < sizeof(damage) / sizeof(damage[0]); i++) {
        struct ng g = new_file(0);
        struct result r;

        store32(&g, damage[i].field, damage[i].value);
        r = read_all(&g);
        assert_int_equal(r.status, AT_ERR_FORMAT);
        assert_non_null(strstr(r.msg, "pcapng"));
        let_go(&r, &g);
    }
}

/* Cut anywhere, it gives the whole blocks before that and one error. */
static void cut_at_every_byte(void **state)
{
    struct ng g = new_file(1);
    size_t last;

    (void)state;
    interface(&g, 1, 0, 9, 0);
    other_blocks(&g);
    packet(&g, 0, 1);
    section(&g);
    last = g.block;
    for (size_t n = 1; n < g.b.n; n++) {
        struct ng cut = {.big = true};
        struct result r;

        add(&cut.b, g.b.p, n);
        r = read_all(&cut);
        if (n != last && r.status != AT_END)
            assert_int_equal(r.status,
                             n < 4 ? AT_ERR_FORMAT : AT_ERR_TRUNCATED);
        if (n == last)
            assert_int_equal(r.status, AT_END);
        if (n > last)
            assert_int_equal(r.n, 9);
        let_go(&r, &cut);
    }
    drop(&g.b);
}

/* ---- writing --------------------------------------------------------- */

/* Writes the packets of 'r', one field of the last one edited, and reads. */
static struct result rewrite(const struct result *r, enum at_sections sections,
                             struct at_losses *losses)
{
    const struct at_writer_options opts = {
        .size = sizeof(opts),
        .format = AT_FORMAT_PCAPNG,
        .sections = sections,
    };
    struct bytes b;
    struct at_writer *w;
    struct result again;

    assert_int_equal(at_writer_open(&w, temporary("w.pcapng"), &opts, NULL),
                     AT_OK);
    for (size_t i = 0; i < r->n; i++) {
        struct at_packet pkt = r->pkt[i];

        if (i + 1 == r->n) {
            pkt.cap_bytes = 10;
            pkt.wire_bytes = 50;
            pkt.edited = true;
            pkt.comment = "added";
        }
        assert_int_equal(at_writer_put(w, &pkt), AT_OK);
    }
    assert_int_equal(at_writer_commit(w), AT_OK);
    *losses = *at_writer_losses(w);
    at_writer_close(w);
    b = read_file(temporary("w.pcapng"));
    again = read_all(&(struct ng){.b = b});
    assert_int_equal(again.status, AT_END);
    drop(&b);
    return again;
}

/* Time, direction, drops and the comment of the last packet are there. */
static void edited_packets_keep_their_options(void **state)
{
    (void)state;
    for (int i = 0; i < 4; i++) {
        struct ng g = new_file(i % 2), none = {.big = false};
        struct at_losses losses;
        struct at_options options;
        struct result r, again;
        struct at_packet *last;
        const char *text;
        size_t n;

        interface(&g, 1, 0, 0x80 | 40, 5);
        begin_packet(&g, 0, (UINT64_C(1234) << 40) + 0x123456789a);
        put_option32(&g, 2, 0x101);
        put_option64(&g, 4, 7);
        put_option64(&g, 5, 99);
        put_option(&g, 1, "kept", 4);
        put_option(&g, 0x4321, "?", 1);
        end(&g);
        r = read_all(&g);
        assert_int_equal(r.n, 3);
        again = rewrite(&r, i < 2 ? AT_SECTIONS_ONE : AT_SECTIONS_KEPT,
                        &losses);
        assert_int_equal(again.n, 3);
        last = &again.pkt[2];
        assert_int_equal(last->ts, r.pkt[2].ts);
        assert_int_equal(last->cap_bytes, 10);
        assert_int_equal(last->wire_bytes, 50);
        assert_int_equal(last->direction, AT_DIRECTION_IN);
        assert_int_equal(last->lost, 7);
        assert_memory_equal(last->data, r.pkt[2].data, 10);
        assert_true(at_interface_name(last, &text, &n));
        check_text(text, n, "eth0");
        options = at_packet_options(last);
        assert_true(at_comment_next(&options, &text, &n));
        check_text(text, n, "kept");
        assert_true(at_comment_next(&options, &text, &n));
        check_text(text, n, "added");
        assert_int_equal(losses.comments, 0);
        assert_int_equal(losses.extensions, i == 1); /* "?" */
        let_go(&r, &g);
        let_go(&again, &none);
    }
}

/* One that is copied as it stands otherwise; and where there is no place. */
static void comments_can_be_added(void **state)
{
    (void)state;
    for (int i = 0; i < 4; i++) {
        const struct at_writer_options opts = {
            .size = sizeof(opts),
            .format = i < 3 ? AT_FORMAT_PCAPNG : AT_FORMAT_PCAP,
            .sections = i == 0   ? AT_SECTIONS_ONE
                        : i == 1 ? AT_SECTIONS_KEPT
                                 : AT_SECTIONS_WHOLE,
            .linktype = AT_LINK_ETHERNET,
        };
        struct ng g = new_file(i == 1);
        struct at_writer *w;
        struct bytes b;
        struct result r;

        interface(&g, 1, 0, 6, 0);
        begin_packet(&g, 0, 5);
        end(&g);
        r = read_all(&g);
        assert_int_equal(at_writer_open(&w, temporary("c"), &opts, NULL),
                         AT_OK);
        for (size_t k = 0; k < r.n; k++) {
            const uint64_t before = at_writer_raw_bytes(w);
            uint64_t most;

            if (r.pkt[k].kind == AT_KIND_PACKET)
                r.pkt[k].comment = "added later";
            most = at_writer_most_bytes(w, &r.pkt[k]);
            assert_int_equal(at_writer_put(w, &r.pkt[k]), AT_OK);
            if (i == 2 && r.pkt[k].comment != NULL)
                assert_in_range(at_writer_raw_bytes(w) - before, 1, most);
        }
        assert_int_equal(at_writer_commit(w), AT_OK);
        assert_int_equal(at_writer_losses(w)->comments, i == 3);
        at_writer_close(w);
        b = read_file(temporary("c"));
        assert_int_equal(memmem(b.p, b.n, "added later", 11) != NULL, i < 3);
        drop(&b);
        let_go(&r, &g);
    }
}

static void obsolete_and_simple_become_enhanced(void **state)
{
    (void)state;
    for (int big = 0; big < 2; big++) {
        struct ng g = new_file(big), none = {.big = false};
        struct at_losses losses;
        struct result r, again;

        interface(&g, 1, 0, 6, 0);
        begin(&g, AT_NG_SPB);
        put32(&g, FRAME);
        frame(&g, FRAME);
        end(&g);
        begin(&g, AT_NG_PB);
        put16(&g, 0);
        put16(&g, 3);
        put32(&g, 1);
        put32(&g, 5);
        put32(&g, FRAME);
        put32(&g, FRAME);
        frame(&g, FRAME);
        put_option32(&g, 2, 2);
        end(&g);
        r = read_all(&g);
        assert_int_equal(r.n, 4);
        again = rewrite(&r, AT_SECTIONS_ONE, &losses);
        assert_int_equal(again.n, 4);
        assert_int_equal(losses.timeless, 1);
        assert_int_equal(again.pkt[2].ts, 0);
        assert_int_equal(again.pkt[2].cap_bytes, FRAME);
        assert_int_equal(again.pkt[3].ts, r.pkt[3].ts);
        assert_int_equal(again.pkt[3].lost, 3);
        assert_int_equal(again.pkt[3].direction, AT_DIRECTION_OUT);
        let_go(&r, &g);
        let_go(&again, &none);
    }
}

/* ---- much of everything ---------------------------------------------- */

static void too_many_interfaces(void **state)
{
    struct ng g = new_file(0);
    struct at_error err;
    struct at_reader *rd;
    struct at_packet pkt;
    uint64_t n = 0;

    (void)state;
    for (unsigned i = 0; i <= AT_NG_INTERFACES; i++) {
        begin(&g, AT_NG_IDB);
        put32(&g, 1);
        put32(&g, 0);
        end(&g);
        if (i % 1000 == 999)
            packet(&g, i, 1);
    }
    write_file(temporary("many.pcapng"), g.b.p, g.b.n);
    assert_int_equal(at_reader_open(&rd, temporary("many.pcapng"), NULL, &err),
                     AT_OK);
    while (at_reader_next(rd, &pkt) == AT_OK)
        n++;
    assert_int_equal(at_reader_error(rd)->status, AT_ERR_CORRUPT);
    assert_non_null(strstr(at_reader_error(rd)->msg, "65537th interface"));
    assert_int_equal(n, 1 + AT_NG_INTERFACES + 65);
    at_reader_close(rd);
    drop(&g.b);
}

/* Read with several threads, sections are let go when their blocks are. */
static void sections_without_end(void **state)
{
    struct ng g = {.big = false};
    struct at_pool *pool;
    struct seen seen;
    enum { SECTIONS = 20000 };

    (void)state;
    assert_int_equal(at_pool_open(&pool, 3, NULL), AT_OK);
    for (unsigned i = 0; i < SECTIONS; i++) {
        section(&g);
        interface(&g, 1, 0, 9, 0);
        packet(&g, 0, 1);
        g.big = !g.big;
    }
    write_file(temporary("sections.pcapng"), g.b.p, g.b.n);
    seen = see_file(temporary("sections.pcapng"), pool);
    assert_int_equal(seen.err.status, AT_OK);
    assert_int_equal(seen.records, 3 * SECTIONS);
    at_pool_close(pool);
    drop(&g.b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(enhanced_packet),
        cmocka_unit_test(simple_packet_has_no_time),
        cmocka_unit_test(obsolete_packet),
        cmocka_unit_test(blocks_that_are_no_packets),
        cmocka_unit_test(sections_of_both_orders),
        cmocka_unit_test(times_of_all_resolutions),
        cmocka_unit_test(times_with_an_offset),
        cmocka_unit_test(damaged_packet),
        cmocka_unit_test(damaged_options),
        cmocka_unit_test(damaged_section),
        cmocka_unit_test(damage_of_other_blocks),
        cmocka_unit_test(odd_length),
        cmocka_unit_test(no_trace),
        cmocka_unit_test(cut_at_every_byte),
        cmocka_unit_test(edited_packets_keep_their_options),
        cmocka_unit_test(comments_can_be_added),
        cmocka_unit_test(obsolete_and_simple_become_enhanced),
        cmocka_unit_test(too_many_interfaces),
        cmocka_unit_test(sections_without_end),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
