/*
 * traces_test.c - several traces as one
 */
#include "common.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST = 300 };

struct inputs {
    char *path[MOST];
    size_t n;
};

/* A pcap of packets at these milliseconds; each holds input and number. */
static void add_input(struct inputs *in, const uint32_t *ms, unsigned n)
{
    struct bytes b = {.p = NULL};
    char name[32];

    add_pcap_header(&b);
    for (unsigned i = 0; i < n; i++) {
        add_le32(&b, 1000 + ms[i] / 1000);
        add_le32(&b, ms[i] % 1000 * 1000000);
        add_le32(&b, 60);
        add_le32(&b, 60);
        add_le32(&b, (uint32_t)in->n);
        add_le32(&b, i);
        add_zeros(&b, 52);
    }
    snprintf(name, sizeof(name), "%zu.pcap", in->n);
    in->path[in->n] = strdup(temporary(name));
    write_file(in->path[in->n++], b.p, b.n);
    drop(&b);
}

static void drop_inputs(struct inputs *in)
{
    while (in->n > 0)
        free(in->path[--in->n]);
}

static struct at_traces *open_set(const struct inputs *in,
                                  struct at_traces_options *opts)
{
    struct at_traces *t;
    struct at_error err;

    opts->size = sizeof(*opts);
    assert_int_equal(at_traces_open(&t, in->path, in->n, opts, &err), AT_OK);
    return t;
}

static uint32_t word(const struct at_packet *pkt, unsigned i)
{
    uint32_t v;

    memcpy(&v, pkt->data + 4 * i, sizeof(v));
    return v;
}

static uint32_t ms_of(const struct at_packet *pkt)
{
    return (uint32_t)(at_ts_to_ns(pkt->ts) / 1000000 - 1000000);
}

/* Expects the packets (input, number) and the end. */
static void expect(struct at_traces *t, const uint32_t (*want)[2], unsigned n)
{
    struct at_packet pkt;
    struct at_error err;

    for (unsigned i = 0; i < n; i++) {
        assert_int_equal(at_traces_next(t, &pkt, &err), AT_OK);
        assert_int_equal(pkt.source, want[i][0]);
        assert_int_equal(word(&pkt, 0), want[i][0]);
        assert_int_equal(word(&pkt, 1), want[i][1]);
    }
    assert_int_equal(at_traces_next(t, &pkt, &err), AT_END);
    assert_int_equal(at_traces_next(t, &pkt, &err), AT_END);
    at_traces_close(t);
}

static void test_by_time_then_input_then_order(void **state)
{
    const uint32_t a[] = {10, 20, 20, 40}, b[] = {10, 20, 30}, c[] = {5};
    const uint32_t merged[][2] = {{2, 0}, {0, 0}, {1, 0}, {0, 1},
                                  {0, 2}, {1, 1}, {1, 2}, {0, 3}};
    const uint32_t in_sequence[][2] = {{0, 0}, {0, 1}, {0, 2}, {0, 3},
                                       {1, 0}, {1, 1}, {1, 2}, {2, 0}};
    struct at_traces_options opts = {.limit = 0};
    struct inputs in = {.n = 0};

    (void)state;
    add_input(&in, a, 4);
    add_input(&in, b, 3);
    add_input(&in, c, 1);
    expect(open_set(&in, &opts), merged, 8);
    opts.limit = 3;
    expect(open_set(&in, &opts), merged, 3);
    opts.limit = 0;
    opts.sequence = true;
    expect(open_set(&in, &opts), in_sequence, 8);
    drop_inputs(&in);
}

static void test_window_puts_late_packets_right(void **state)
{
    const uint32_t a[] = {10, 30, 25, 60, 40, 90}, b[] = {20, 50};
    /* 40 comes 20 ms after 60: the window of 10 ms does not hold that. */
    const uint32_t narrow[][2] = {{0, 0}, {1, 0}, {0, 2}, {0, 1},
                                  {1, 1}, {0, 4}, {0, 3}, {0, 5}};
    const uint32_t wide[][2] = {{0, 0}, {1, 0}, {0, 2}, {0, 1},
                                {0, 4}, {1, 1}, {0, 3}, {0, 5}};
    struct at_traces_options opts = {.window_ns = 20 * 1000000};
    struct inputs in = {.n = 0};
    struct at_packet pkt;
    struct at_error err;
    struct at_traces *t;

    (void)state;
    add_input(&in, a, 6);
    add_input(&in, b, 2);
    expect(open_set(&in, &opts), wide, 8);
    opts.window_ns = 5 * 1000000;
    t = open_set(&in, &opts);
    while (at_traces_next(t, &pkt, &err) == AT_OK)
        ;
    assert_int_equal(at_traces_late(t), 1);
    assert_int_equal(at_traces_count(t, 0)->out_of_order, 2);
    assert_int_equal(at_traces_count(t, 1)->out_of_order, 0);
    at_traces_close(t);
    expect(open_set(&in, &opts), narrow, 8);
    drop_inputs(&in);
}

/* Many files side by side: each packet once, in order, at any threads. */
static void test_hundreds_of_inputs(void **state)
{
    struct inputs in = {.n = 0};
    uint32_t seed = 1;

    (void)state;
    while (in.n < MOST) {
        uint32_t ms[40], at = next_random(&seed) % 5000;

        for (unsigned i = 0; i < 40; i++)
            ms[i] = at += next_random(&seed) % 90;
        add_input(&in, ms, 40);
    }
    for (unsigned threads = 1; threads <= 8; threads = 2 * threads + 1) {
        struct at_traces_options opts = {.limit = 0};
        unsigned given[MOST] = {0}, n = 0;
        struct at_packet pkt, last = {.ts = 0};
        struct at_error err;
        struct at_traces *t;

        assert_int_equal(at_pool_open(&opts.pool, threads, &err), AT_OK);
        t = open_set(&in, &opts);
        for (; at_traces_next(t, &pkt, &err) == AT_OK; n++) {
            assert_true(pkt.ts > last.ts ||
                        (pkt.ts == last.ts && pkt.source >= last.source));
            assert_int_equal(word(&pkt, 1), given[pkt.source]++);
            last = pkt;
        }
        assert_int_equal(n, MOST * 40);
        at_traces_close(t);
        at_pool_close(opts.pool);
    }
    drop_inputs(&in);
}

struct ended {
    unsigned whole, damaged, unopened;
};

static void note_end(void *ctx, size_t i, const struct at_reader *rd,
                     const struct at_error *err)
{
    struct ended *e = ctx;

    (void)i;
    e->whole += err == NULL;
    e->damaged += err != NULL && rd != NULL;
    e->unopened += err != NULL && rd == NULL;
}

static void damage(const struct inputs *in, size_t i)
{
    struct bytes b = read_file(in->path[i]);

    write_file(in->path[i], b.p, b.n - 1);
    drop(&b);
}

static void test_going_on_without_an_input(void **state)
{
    const uint32_t a[] = {10, 20, 30}, b[] = {15, 25, 35};
    const uint32_t want[][2] = {{0, 0}, {1, 0}, {0, 1}, {1, 1}, {1, 2}};
    struct ended ended = {0};
    struct at_traces_options opts = {.ended = note_end, .ctx = &ended};
    struct inputs in = {.n = 0};
    struct at_traces *t;
    struct at_error err;

    (void)state;
    add_input(&in, a, 3);
    add_input(&in, b, 3);
    damage(&in, 0);
    opts.go_on = AT_GO_ON_DAMAGED;
    expect(open_set(&in, &opts), want, 5);
    assert_int_equal(ended.whole, 1);
    assert_int_equal(ended.damaged, 1);

    in.path[in.n++] = strdup(temporary("missing"));
    assert_int_equal(at_traces_open(&t, in.path, in.n, &opts, &err),
                     AT_ERR_SYSTEM);
    assert_null(t);
    opts.go_on = AT_GO_ON_ALWAYS;
    expect(open_set(&in, &opts), want, 5);
    assert_int_equal(ended.unopened, 1);
    /* None of the inputs can be opened. */
    assert_int_equal(at_traces_open(&t, in.path + 2, 1, &opts, &err),
                     AT_ERR_SYSTEM);
    drop_inputs(&in);
}

static void test_an_error_comes_in_its_place(void **state)
{
    const uint32_t a[] = {10, 20, 30}, b[] = {15, 25, 35};
    struct at_traces_options opts = {.limit = 0};
    struct inputs in = {.n = 0};
    struct at_packet pkt;
    struct at_error err;
    struct at_traces *t;

    (void)state;
    add_input(&in, a, 3);
    add_input(&in, b, 3);
    damage(&in, 0);
    t = open_set(&in, &opts);
    for (unsigned i = 0; i < 3; i++)
        assert_int_equal(at_traces_next(t, &pkt, &err), AT_OK);
    assert_int_equal(at_traces_next(t, &pkt, &err), AT_ERR_TRUNCATED);
    assert_int_equal(at_traces_count(t, 0)->status, AT_ERR_TRUNCATED);
    assert_int_equal(at_traces_next(t, &pkt, &err), AT_OK);
    assert_int_equal(ms_of(&pkt), 25);
    assert_int_equal(at_traces_next(t, &pkt, &err), AT_OK);
    assert_int_equal(at_traces_next(t, &pkt, &err), AT_END);
    at_traces_close(t);
    drop_inputs(&in);
}

static void test_counts(void **state)
{
    const uint32_t a[] = {10, 20, 30, 25, 50};
    struct at_selection wanted = {.from_ns = 1000020000000,
                                  .to_ns = 1000050000000};
    struct at_traces_options opts = {.wanted = &wanted};
    const uint32_t want[][2] = {{0, 1}, {0, 2}, {0, 3}};
    struct inputs in = {.n = 0};
    struct at_packet pkt;
    struct at_error err;
    struct at_traces *t;

    (void)state;
    add_input(&in, a, 5);
    expect(open_set(&in, &opts), want, 3);
    t = open_set(&in, &opts);
    while (at_traces_next(t, &pkt, &err) == AT_OK)
        ;
    assert_int_equal(at_traces_count(t, 0)->accepted, 3);
    assert_int_equal(at_traces_count(t, 0)->filtered, 2);
    assert_int_equal(at_traces_count(t, 0)->out_of_order, 1);
    assert_true(at_traces_position(t) > 0);
    assert_int_equal(at_traces_bytes(t), at_traces_info(t, 0)->file_bytes);
    at_traces_close(t);
    drop_inputs(&in);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_by_time_then_input_then_order),
        cmocka_unit_test(test_window_puts_late_packets_right),
        cmocka_unit_test(test_hundreds_of_inputs),
        cmocka_unit_test(test_going_on_without_an_input),
        cmocka_unit_test(test_an_error_comes_in_its_place),
        cmocka_unit_test(test_counts),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
