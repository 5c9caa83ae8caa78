/*
 * block_list_test.c - the blocks of a trace, as an index keeps them
 */
#include "common.h"

#include <stdlib.h>
#include <string.h>

#include "block_list.h"

static uint32_t random_state = 1;

static uint64_t any(uint64_t most)
{
    const uint64_t v = (uint64_t)next_random(&random_state) << 32 |
                       next_random(&random_state);

    return most == UINT64_MAX ? v : v % (most + 1);
}

static void check_same(const struct at_block_row *a,
                       const struct at_block_row *b)
{
    assert_int_equal(a->place.file_offset, b->place.file_offset);
    assert_int_equal(a->place.file_bytes, b->place.file_bytes);
    assert_int_equal(a->place.raw_offset, b->place.raw_offset);
    assert_int_equal(a->place.skip, b->place.skip);
    assert_int_equal(a->place.bytes, b->place.bytes);
    assert_int_equal(a->records, b->records);
    assert_int_equal(a->packets, b->packets);
    if (a->packets) {
        assert_int_equal(a->first_ns, b->first_ns);
        assert_int_equal(a->last_ns, b->last_ns);
    }
}

/* How many bytes the blocks take, which come back as they were. */
static size_t there_and_back(const struct at_block_row *row, size_t n)
{
    struct at_block_row got[AT_BLOCK_LIST];
    uint8_t *list = malloc(AT_BLOCK_LIST_BYTES);
    size_t bytes;

    assert_non_null(list);
    bytes = at_block_list_pack(list, row, n);
    assert_in_range(bytes, 0, AT_BLOCK_LIST_BYTES);
    assert_true(at_block_list_unpack(got, n, list, bytes));
    for (size_t i = 0; i < n; i++)
        check_same(&got[i], &row[i]);
    free(list);
    return bytes;
}

/* A frame of a codec for each 'frame' bytes that are decoded, 0: none at all;
 * 'aligned': blocks end with it. */
static void usual_blocks(struct at_block_row *row, size_t n, uint64_t frame,
                         bool aligned)
{
    uint64_t raw = 1 << 30, file = frame > 0 ? raw * 3 / 4 : raw;
    int64_t ns = INT64_C(3600) * 1000000000;

    for (size_t i = 0; i < n; i++) {
        const uint64_t bytes = 65000 + any(500);
        const uint64_t into = frame > 0 && !aligned ? raw % frame : 0;

        row[i] = (struct at_block_row){
            .place = {.file_offset = frame > 0 ? file - into : raw,
                      .file_bytes = frame > 0 ? 48000 + any(5000) : bytes,
                      .raw_offset = raw,
                      .skip = into,
                      .bytes = bytes},
            .records = 500 + (uint32_t)any(400),
            .packets = true,
            .first_ns = ns + (int64_t)any(20000),
            .last_ns = ns + 1000000 + (int64_t)any(20000),
        };
        raw += bytes;
        file += row[i].place.file_bytes;
        ns += 1000000;
    }
}

/* 0.05% of what the blocks hold is what they may take; see BENCHMARKS.md. */
static void usual_blocks_take_little(void **state)
{
    static const struct {
        uint64_t frame;
        bool aligned;
        size_t most;
    } tries[] = {{0, false, 14}, {65280, true, 18}, {65280, false, 24}};
    struct at_block_row row[AT_BLOCK_LIST];

    (void)state;
    for (size_t i = 0; i < sizeof(tries) / sizeof(tries[0]); i++) {
        usual_blocks(row, AT_BLOCK_LIST, tries[i].frame, tries[i].aligned);
        assert_in_range(there_and_back(row, AT_BLOCK_LIST) / AT_BLOCK_LIST, 8,
                        tries[i].most);
    }
}

/* Whatever they say, in as many as there are. */
static void all_blocks_come_back(void **state)
{
    struct at_block_row row[AT_BLOCK_LIST];

    (void)state;
    for (size_t round = 0; round < 2000; round++) {
        const size_t n = round % AT_BLOCK_LIST + 1;
        const uint64_t most = round % 3 == 0 ? UINT64_MAX : 3;

        for (size_t i = 0; i < n; i++)
            row[i] = (struct at_block_row){
                .place = {any(most), any(most), any(most), any(most),
                          any(most)},
                .records = (uint32_t)any(UINT32_MAX),
                .packets = any(3) > 0,
                .first_ns = (int64_t)any(most),
                .last_ns = (int64_t)any(most),
            };
        there_and_back(row, n);
    }
}

static void what_is_cut_or_too_long_is_none(void **state)
{
    struct at_block_row row[AT_BLOCK_LIST];
    uint8_t list[AT_BLOCK_LIST_BYTES + 1] = {0};
    size_t bytes;

    (void)state;
    usual_blocks(row, AT_BLOCK_LIST, 65280, false);
    bytes = at_block_list_pack(list, row, AT_BLOCK_LIST);
    for (size_t n = 0; n <= bytes + 1; n++) {
        uint8_t *tight = tight_copy(list, n);

        assert_int_equal(at_block_list_unpack(row, AT_BLOCK_LIST, tight, n),
                         n == bytes);
        free(tight);
    }
    assert_false(at_block_list_unpack(row, AT_BLOCK_LIST - 1, list, bytes));
    assert_false(at_block_list_unpack(row, 1, NULL, 0));
    memset(list, 0xff, sizeof(list));
    assert_false(at_block_list_unpack(row, AT_BLOCK_LIST, list, bytes));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(usual_blocks_take_little),
        cmocka_unit_test(all_blocks_come_back),
        cmocka_unit_test(what_is_cut_or_too_long_is_none),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
