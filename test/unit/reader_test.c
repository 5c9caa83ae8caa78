/*
 * reader_test.c - blocks and their places: written, read, and found again
 *
 * Whatever blocks a reader gives, a reader of any subset of their places
 * gives exactly the records of that subset.
 */
#include "common.h"

#include <stdlib.h>
#include <string.h>
#include <zlib.h>

enum { MOST_BLOCKS = 512, LONG = 70000, LONGER = 1500000 };

/* ---- a trace with records of all lengths ------------------------------ */

static struct at_packet packet_of(const uint8_t *data, uint32_t n, uint64_t i)
{
    return (struct at_packet){
        .ts = at_ts_from_ns(1700000000000000000 + i * 1001),
        .data = data,
        .cap_bytes = n,
        .wire_bytes = n,
        .linktype = AT_LINK_ETHERNET,
        .format = AT_FORMAT_PCAP,
    };
}

/* Mostly small ones; now and then one that no 64 KiB block can hold. */
static uint32_t length_of(unsigned i, uint32_t *state, bool longs)
{
    if (longs && i % 150 == 149)
        return LONG + next_random(state) % 1000;
    if (longs && i == 200)
        return LONGER;
    return 40 + next_random(state) % 1460;
}

/* Writes 'n' packets; the caller closes the writer, for its places. */
static struct at_writer *write_trace(const char *path, struct at_pool *pool,
                                     enum at_format format, enum at_codec codec,
                                     unsigned n, bool longs)
{
    const struct at_writer_options opts = {
        .size = sizeof(opts),
        .pool = pool,
        .format = format,
        .codec = codec,
        .linktype = AT_LINK_ETHERNET,
        .snap_bytes = 2 * LONGER,
    };
    uint8_t *data = malloc(LONGER);
    uint32_t state = 1;
    struct at_writer *w;

    assert_non_null(data);
    for (size_t i = 0; i < LONGER; i++)
        data[i] = (uint8_t)(next_random(&state) & next_random(&state));
    assert_int_equal(at_writer_open(&w, path, &opts, NULL), AT_OK);
    for (unsigned i = 0; i < n; i++) {
        const uint32_t bytes = length_of(i, &state, longs);
        const struct at_packet pkt = packet_of(
            data + (i * 64) % (LONGER - bytes + 1), bytes, i);

        assert_int_equal(at_writer_put(w, &pkt), AT_OK);
    }
    assert_int_equal(at_writer_commit(w), AT_OK);
    free(data);
    return w;
}

/* ---- blocks ----------------------------------------------------------- */

struct block {
    struct at_place place;
    uint64_t first; /* number of its first record */
    struct seen seen;
};

struct blocks {
    struct block block[MOST_BLOCKS];
    size_t n;
    uint64_t records;
};

static void see_batch(struct blocks *bs, const struct at_batch *batch)
{
    assert_int_equal(batch->first_record, bs->records);
    assert_int_equal(batch->first_block, bs->n);
    for (size_t i = 0; i < batch->blocks; i++) {
        struct block *b = &bs->block[bs->n++];
        struct at_walk walk = at_walk_block(batch, i);
        struct at_packet pkt;

        assert_true(bs->n <= MOST_BLOCKS);
        *b = (struct block){batch->block[i].place, bs->records, {0}};
        while (at_walk_next(&walk, &pkt))
            see(&b->seen, &pkt);
        assert_int_equal(b->seen.records, batch->block[i].records);
        assert_true(b->seen.records > 0);
        bs->records += b->seen.records;
    }
}

static struct at_reader *open_reader(const char *path, struct at_pool *pool)
{
    const struct at_reader_options opts = {.size = sizeof(opts), .pool = pool};
    struct at_reader *rd;

    assert_int_equal(at_reader_open(&rd, path, &opts, NULL), AT_OK);
    return rd;
}

static struct blocks *all_blocks(const char *path, struct at_pool *pool)
{
    struct blocks *bs = calloc(1, sizeof(*bs));
    struct at_reader *rd = open_reader(path, pool);
    struct at_batch *batch;
    enum at_status st;

    assert_non_null(bs);
    while ((st = at_reader_next_batch(rd, &batch)) == AT_OK) {
        see_batch(bs, batch);
        at_batch_release(batch);
    }
    assert_int_equal(st, AT_END);
    at_reader_close(rd);
    return bs;
}

static uint64_t join(uint64_t digest, const struct seen *s)
{
    return digest * 31 + s->digest;
}

/* Reads the blocks at the places; their records must be as they were. */
static void read_places(struct at_reader *rd, const struct at_place *place,
                        size_t n, const struct seen *want)
{
    struct at_batch *batch;
    enum at_status st;
    size_t at = 0;

    assert_int_equal(at_reader_select(rd, place, n), AT_OK);
    while ((st = at_reader_next_batch(rd, &batch)) == AT_OK) {
        for (size_t i = 0; i < batch->blocks; i++) {
            struct at_walk walk = at_walk_block(batch, i);
            struct at_packet pkt;

            while (at_walk_next(&walk, &pkt)) {
                struct seen one = {0};

                see(&one, &pkt);
                assert_true(at < want->records);
                assert_int_equal(one.digest, want[1 + at].digest);
                at++;
            }
        }
        at_batch_release(batch);
    }
    if (st != AT_END)
        fail_msg("%s", at_reader_error(rd)->msg);
    assert_int_equal(at, want->records);
}

/* A digest of every record of the trace; [0].records is their number. */
static struct seen *all_records(const char *path)
{
    struct at_reader *rd = open_reader(path, NULL);
    struct seen *record = calloc(20000, sizeof(*record));
    struct at_packet pkt;

    assert_non_null(record);
    while (at_reader_next(rd, &pkt) == AT_OK)
        see(&record[1 + record[0].records++], &pkt);
    at_reader_close(rd);
    return record;
}

static void select_some(struct at_reader *rd, const struct blocks *bs,
                        const struct seen *record, unsigned one_in,
                        uint32_t *state)
{
    struct at_place *place = calloc(bs->n + 1, sizeof(*place));
    struct seen *want = calloc(bs->records + 1, sizeof(*want));
    size_t n = 0;

    assert_non_null(place);
    assert_non_null(want);
    for (size_t i = 0; i < bs->n; i++) {
        const struct block *b = &bs->block[i];

        if (next_random(state) % one_in != 0)
            continue;
        place[n++] = b->place;
        memcpy(&want[1 + want[0].records], &record[1 + b->first],
               b->seen.records * sizeof(*want));
        want[0].records += b->seen.records;
    }
    read_places(rd, place, n, want);
    free(place);
    free(want);
}

/* All of them, some, few, none; with one reader that starts again. */
static void select_subsets(const char *path, struct at_pool *pool)
{
    static const unsigned one_in[] = {1, 2, 2, 3, 10, 50, 1000000, 2};
    struct blocks *bs = all_blocks(path, pool);
    struct seen *record = all_records(path);
    struct at_reader *rd = open_reader(path, pool);
    uint32_t state = 7;

    assert_int_equal(record[0].records, bs->records);
    for (size_t i = 0; i < sizeof(one_in) / sizeof(one_in[0]); i++)
        select_some(rd, bs, record, one_in[i], &state);
    at_reader_close(rd);
    free(record);
    free(bs);
}

static void select_with_threads(const char *path)
{
    static const unsigned threads[] = {1, 4};

    for (size_t i = 0; i < 2; i++) {
        struct at_pool *pool;

        assert_int_equal(at_pool_open(&pool, threads[i], NULL), AT_OK);
        select_subsets(path, pool);
        at_pool_close(pool);
    }
}

/* ---- tests ------------------------------------------------------------ */

static void written_and_selected(enum at_format format, enum at_codec codec,
                                 bool longs)
{
    const char *path = temporary("trace");

    at_writer_close(write_trace(path, NULL, format, codec, 2000, longs));
    select_with_threads(path);
}

static void plain_pcap(void **state)
{
    (void)state;
    written_and_selected(AT_FORMAT_PCAP, AT_CODEC_NONE, true);
    written_and_selected(AT_FORMAT_PCAP_US, AT_CODEC_NONE, false);
}

static void bgzf_pcap(void **state)
{
    (void)state;
    written_and_selected(AT_FORMAT_PCAP, AT_CODEC_BGZF, true);
    written_and_selected(AT_FORMAT_PCAP, AT_CODEC_BGZF, false);
}

static void erf_in_both(void **state)
{
    (void)state;
    written_and_selected(AT_FORMAT_ERF, AT_CODEC_NONE, false);
    written_and_selected(AT_FORMAT_ERF, AT_CODEC_BGZF, false);
}

static void other_codecs(void **state)
{
    (void)state;
    for (int c = AT_CODEC_GZIP; c <= AT_CODEC_LZ4; c++) {
        written_and_selected(AT_FORMAT_PCAP, (enum at_codec)c, true);
        written_and_selected(AT_FORMAT_ERF, (enum at_codec)c, false);
    }
}

/* Packs the trace again with members of 'least' to 'most' decoded bytes. */
static const char *repacked(void (*member)(struct bytes *, const void *,
                                           size_t),
                            size_t least, size_t most, bool closed)
{
    const char *plain = temporary("plain"), *path = temporary("packed");
    struct bytes raw, b = {.n = 0};
    uint32_t state = 3;

    at_writer_close(
        write_trace(plain, NULL, AT_FORMAT_PCAP, AT_CODEC_NONE, 1000, true));
    raw = read_file(plain);
    for (size_t at = 0; at < raw.n;) {
        size_t n = least + next_random(&state) % (most - least);

        n = n < raw.n - at ? n : raw.n - at;
        member(&b, raw.p + at, n);
        at += n;
    }
    if (closed)
        add_bgzf_eof(&b);
    write_file(path, b.p, b.n);
    drop(&raw);
    drop(&b);
    return path;
}

static void foreign_bgzf(void **state)
{
    (void)state;
    select_with_threads(repacked(add_bgzf, 8000, 60000, true));
}

static void gzip_members(void **state)
{
    (void)state;
    select_with_threads(repacked(add_gzip, 100000, 300000, false));
}

static void gzip_of_one_member(void **state)
{
    (void)state;
    select_with_threads(repacked(add_gzip, 100000000, 100000001, false));
}

/* What the writer says of its blocks is what a reader finds. */
static void places_of_the_writer(void **state)
{
    (void)state;
    for (int c = AT_CODEC_NONE; c <= AT_CODEC_LZ4; c++) {
        const char *path = temporary("trace");
        struct at_writer *w = write_trace(path, NULL, AT_FORMAT_PCAP,
                                          (enum at_codec)c, 1000, true);
        struct seen *record = all_records(path);
        struct blocks *bs = all_blocks(path, NULL);
        struct at_reader *rd = open_reader(path, NULL);
        const struct at_place *place;
        uint64_t raw = 24;
        size_t n;

        place = at_writer_places(w, &n);
        assert_true(n > 10);
        assert_int_equal(n, bs->n);
        for (size_t k = 0; k < n; k++) {
            assert_memory_equal(&place[k], &bs->block[k].place,
                                sizeof(struct at_place));
            assert_int_equal(place[k].raw_offset, raw);
            raw += place[k].bytes;
        }
        read_places(rd, place, n, record);
        at_reader_close(rd);
        at_writer_close(w);
        free(record);
        free(bs);
    }
}

static struct bytes written_with(unsigned threads, enum at_codec codec)
{
    const char *path = temporary("trace");
    struct at_pool *pool;

    assert_int_equal(at_pool_open(&pool, threads, NULL), AT_OK);
    at_writer_close(write_trace(path, pool, AT_FORMAT_PCAP, codec, 1000, true));
    at_pool_close(pool);
    return read_file(path);
}

static void same_bytes_by_any_number_of_threads(void **state)
{
    (void)state;
    for (int c = AT_CODEC_GZIP; c <= AT_CODEC_LZ4; c++) {
        struct bytes one = written_with(1, (enum at_codec)c);

        for (unsigned threads = 2; threads <= 8; threads += 3) {
            struct bytes more = written_with(threads, (enum at_codec)c);

            assert_int_equal(more.n, one.n);
            assert_memory_equal(more.p, one.p, one.n);
            drop(&more);
        }
        drop(&one);
    }
}

/* Blocks do not depend on threads either, nor on how a reader came there. */
static void same_blocks_by_any_number_of_threads(void **state)
{
    const char *path = repacked(add_bgzf, 8000, 60000, true);
    struct blocks *one = all_blocks(path, NULL);
    struct at_pool *pool;
    struct blocks *more;

    (void)state;
    assert_int_equal(at_pool_open(&pool, 5, NULL), AT_OK);
    more = all_blocks(path, pool);
    assert_int_equal(one->n, more->n);
    for (size_t i = 0; i < one->n; i++) {
        assert_memory_equal(&one->block[i].place, &more->block[i].place,
                            sizeof(struct at_place));
        assert_int_equal(join(1, &one->block[i].seen),
                         join(1, &more->block[i].seen));
    }
    at_pool_close(pool);
    free(one);
    free(more);
}

/* A place that lies past the end of a file, or is none of its blocks. */
static void places_of_another_file(void **state)
{
    (void)state;
    for (int c = AT_CODEC_NONE; c <= AT_CODEC_LZ4; c++) {
        const char *path = temporary("trace");
        const struct at_place wrong[] = {
            {1000, 500, 1000, 0, 500},
            {1u << 30, 65536, 1u << 30, 0, 65536},
            {0, UINT64_MAX, 0, 0, 65536},
            {0, 65536, 0, 65536, UINT64_MAX / 2},
        };

        at_writer_close(write_trace(path, NULL, AT_FORMAT_PCAP,
                                    (enum at_codec)c, 300, false));
        for (size_t k = 0; k < sizeof(wrong) / sizeof(wrong[0]); k++) {
            struct at_reader *rd = open_reader(path, NULL);
            struct at_batch *batch;
            enum at_status st = at_reader_select(rd, &wrong[k], 1);

            while (st == AT_OK &&
                   (st = at_reader_next_batch(rd, &batch)) == AT_OK)
                at_batch_release(batch);
            assert_true(st < 0);
            assert_true(strlen(at_reader_error(rd)->msg) > 0);
            at_reader_close(rd);
        }
    }
}

/* Cut at any byte: the whole records before, then one error. */
static void plain_cut_at_every_byte(void **state)
{
    struct bytes b = small_pcap(20);
    const struct seen all = see_bytes(&b, b.n);

    (void)state;
    assert_int_equal(all.records, 20);
    for (size_t n = 0; n < b.n; n++) {
        const struct seen s = see_bytes(&b, n);
        size_t end = 24;
        uint64_t whole = 0;

        while (end + 76 + whole % 7 <= n)
            end += 76 + whole++ % 7;
        assert_int_equal(s.records, n < 24 ? 0 : whole);
        assert_int_equal(s.err.status, n > 0 && n < 4 ? AT_ERR_FORMAT
                                       : n >= 24 && end == n
                                           ? AT_OK
                                           : AT_ERR_TRUNCATED);
    }
    drop(&b);
}

static void no_packets_is_fine(void **state)
{
    struct bytes b = small_pcap(0);
    const struct seen s = see_bytes(&b, b.n);

    (void)state;
    assert_int_equal(s.err.status, AT_OK);
    assert_int_equal(s.records, 0);
    drop(&b);
}

/* The losses of a writer, and what 'strict' makes of them. */
static void strict_writer_names_the_fact(void **state)
{
    const char *path = temporary("out.pcap");
    struct at_writer_options opts = {
        .size = sizeof(opts), .linktype = AT_LINK_RAW, .strict = true};
    const uint8_t data[60] = {0};
    const struct at_packet pkt = packet_of(data, 60, 0);
    struct at_writer *w;

    (void)state;
    assert_int_equal(at_writer_open(&w, path, &opts, NULL), AT_OK);
    assert_int_equal(at_writer_put(w, &pkt), AT_ERR_LOSS);
    assert_int_equal(at_writer_put(w, &pkt), AT_ERR_LOSS);
    assert_int_equal(at_writer_commit(w), AT_ERR_LOSS);
    assert_non_null(strstr(at_writer_error(w)->msg, "link type"));
    at_writer_close(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(plain_pcap),
        cmocka_unit_test(bgzf_pcap),
        cmocka_unit_test(erf_in_both),
        cmocka_unit_test(other_codecs),
        cmocka_unit_test(foreign_bgzf),
        cmocka_unit_test(gzip_members),
        cmocka_unit_test(gzip_of_one_member),
        cmocka_unit_test(places_of_the_writer),
        cmocka_unit_test(same_bytes_by_any_number_of_threads),
        cmocka_unit_test(same_blocks_by_any_number_of_threads),
        cmocka_unit_test(places_of_another_file),
        cmocka_unit_test(plain_cut_at_every_byte),
        cmocka_unit_test(no_packets_is_fine),
        cmocka_unit_test(strict_writer_names_the_fact),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
