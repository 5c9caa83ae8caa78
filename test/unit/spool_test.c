/*
 * spool_test.c - records that wait, and those that a piece begins with
 */
#include "common.h"

#include <stdlib.h>
#include <string.h>

enum { QUEUES = 50, RECORDS = 400 };

/* Record 'i' of queue 'q': an ERF record, whose frame is another if 'edited',
 * of a length of its own. */
static struct at_packet make(uint8_t *record, uint8_t *frame, uint32_t q,
                             uint32_t i, bool edited)
{
    const uint32_t n = 16 + (q * 7 + i * 13) % 200;

    for (uint32_t k = 0; k < n; k++)
        record[k] = frame[k] = (uint8_t)(q + i + k);
    frame[0] = 0xee;
    return (struct at_packet){
        .ts = (uint64_t)i << 32,
        .record = record,
        .record_bytes = n,
        .data = edited ? frame : record + 16,
        .cap_bytes = n - 16,
        .wire_bytes = n,
        .source = q,
        .format = AT_FORMAT_ERF,
        .edited = edited,
        .comment = i % 4 < 2 ? NULL : "somewhere" + i % 9,
    };
}

static void assert_same(const struct at_packet *a, const struct at_packet *b)
{
    assert_int_equal(a->ts, b->ts);
    assert_int_equal(a->source, b->source);
    assert_int_equal(a->edited, b->edited);
    assert_int_equal(a->record_bytes, b->record_bytes);
    assert_memory_equal(a->record, b->record, b->record_bytes);
    assert_int_equal(a->cap_bytes, b->cap_bytes);
    if (b->cap_bytes > 0)
        assert_memory_equal(a->data, b->data, b->cap_bytes);
    if (b->comment == NULL)
        assert_null(a->comment);
    else
        assert_string_equal(a->comment, b->comment);
}

static void fill_and_take(const char *beside, uint64_t memory)
{
    uint8_t record[256], frame[256];
    struct at_packet pkt, want;
    struct at_spool *s;
    struct at_error err;

    assert_int_equal(at_spool_open(&s, beside, memory, &err), AT_OK);
    for (uint32_t i = 0; i < RECORDS; i++)
        for (uint32_t q = 0; q < QUEUES; q++) {
            want = make(record, frame, q, i, i % 3 == 0);
            assert_int_equal(at_spool_add(s, q, &want, &err), AT_OK);
        }
    for (uint32_t q = 0; q < QUEUES; q++) {
        for (uint32_t i = 0; i < RECORDS; i++) {
            want = make(record, frame, q, i, i % 3 == 0);
            assert_int_equal(at_spool_take(s, q, &pkt, &err), AT_OK);
            assert_same(&pkt, &want);
        }
        assert_int_equal(at_spool_take(s, q, &pkt, &err), AT_END);
        assert_int_equal(at_spool_take(s, q, &pkt, &err), AT_END);
    }
    /* It may be filled again, and closed with records in it. */
    assert_int_equal(at_spool_add(s, 3, &want, &err), AT_OK);
    assert_int_equal(at_spool_add(s, 4, &want, &err), AT_OK);
    assert_int_equal(at_spool_take(s, 3, &pkt, &err), AT_OK);
    assert_same(&pkt, &want);
    assert_int_equal(at_spool_take(s, QUEUES + 1000, &pkt, &err), AT_END);
    at_spool_close(s);
}

static void test_queues_in_memory(void **state)
{
    (void)state;
    fill_and_take(temporary("none/spool"), 1 << 30); /* where none could be */
}

static void test_queues_in_a_file(void **state)
{
    (void)state;
    fill_and_take(temporary("spool"), 100000);
    fill_and_take(temporary("spool"), 1);
}

static void test_no_place_for_the_file(void **state)
{
    uint8_t record[256], frame[256];
    const struct at_packet pkt = make(record, frame, 1, 1, false);
    enum at_status st = AT_OK;
    struct at_spool *s;
    struct at_error err;

    (void)state;
    assert_int_equal(at_spool_open(&s, temporary("none/spool"), 2000, &err),
                     AT_OK);
    for (uint32_t i = 0; i < 100 && st == AT_OK; i++)
        st = at_spool_add(s, i, &pkt, &err);
    assert_int_equal(st, AT_ERR_SYSTEM);
    assert_non_null(strstr(err.msg, "spool"));
    at_spool_close(s);
}

/* An ERF META record that begins with a section, of a host. */
static struct at_packet meta(uint8_t p[40], uint8_t section, uint8_t host,
                             uint8_t value)
{
    memset(p, 0, 40);
    p[8] = 0x80 | 27;
    p[11] = 40;
    p[16] = 17;
    p[23] = host;
    p[25] = section;
    p[39] = value;
    return (struct at_packet){
        .record = p,
        .record_bytes = 40,
        .data = p + 24,
        .cap_bytes = 16,
        .kind = AT_KIND_META,
        .format = AT_FORMAT_ERF,
        .erf_type = 27,
    };
}

static void note(struct at_heading *h, uint8_t section, uint8_t host,
                 uint8_t value)
{
    uint8_t p[40];
    const struct at_packet pkt = meta(p, section, host, value);
    struct at_error err;

    assert_int_equal(at_heading_note(h, &pkt, &err), AT_OK);
}

static void test_latest_meta_of_each_kind(void **state)
{
    const uint8_t want[] = {4, 2, 3};
    struct at_heading *h;
    struct at_error err;

    (void)state;
    assert_int_equal(at_heading_open(&h, &err), AT_OK);
    note(h, 1, 1, 1);
    note(h, 2, 1, 2);
    note(h, 1, 2, 3);
    note(h, 1, 1, 4);
    assert_int_equal(at_heading_records(h), 3);
    for (size_t i = 0; i < 3; i++)
        assert_int_equal(at_heading_record(h, i)->record[39], want[i]);
    /* Not without bound. */
    for (unsigned i = 0; i < 5000; i++)
        note(h, (uint8_t)(i / 256), (uint8_t)i, 0);
    assert_in_range(at_heading_records(h), 256, 1024);
    at_heading_close(h);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_queues_in_memory),
        cmocka_unit_test(test_queues_in_a_file),
        cmocka_unit_test(test_no_place_for_the_file),
        cmocka_unit_test(test_latest_meta_of_each_kind),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
