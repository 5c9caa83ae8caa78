/*
 * survey_test.c - surveys of stretches add up to the survey of all
 */
#include "common.h"

#include <stdlib.h>
#include <string.h>

#include "survey.h"

enum { PACKETS = 400 };

static uint8_t bytes_of[4] = {1, 2, 3, 4};

/* Few kinds of packets, so that many are duplicates; times go both ways. */
static void make_packets(struct at_packet *pkt, uint32_t seed)
{
    uint64_t ts = UINT64_C(1) << 40;

    for (unsigned i = 0; i < PACKETS; i++) {
        const uint32_t r = next_random(&seed);

        ts += (r & 0xff) << 20;
        ts -= r % 7 == 0 ? UINT64_C(300) << 20 : 0;
        pkt[i] = (struct at_packet){
            .ts = ts,
            .data = bytes_of,
            .cap_bytes = r >> 8 & 3,
            .wire_bytes = 3 + (r >> 10 & 31),
            .interface = r >> 16 & 3,
            .lost = r >> 18 & 1,
            .linktype = (uint16_t)(r >> 20 & 1),
            .timeless = r % 31 == 0,
            .kind = r % 29 == 0 ? AT_KIND_META : AT_KIND_PACKET,
            .format = AT_FORMAT_ERF,
        };
    }
}

static void survey(struct at_survey *s, const struct at_packet *pkt, size_t n)
{
    memset(s, 0, sizeof(*s));
    for (size_t i = 0; i < n; i++)
        at_survey_packet(s, &pkt[i], true);
}

static void same_times(const struct at_survey_times *a,
                       const struct at_survey_times *b)
{
    assert_int_equal(a->packets, b->packets);
    assert_int_equal(a->first, b->first);
    assert_int_equal(a->last, b->last);
    assert_int_equal(a->backward, b->backward);
    assert_int_equal(a->back_most, b->back_most);
    assert_int_equal(a->gap_most, b->gap_most);
    assert_int_equal(a->gap_end, b->gap_end);
}

static void same_surveys(const struct at_survey *a, const struct at_survey *b)
{
    assert_int_equal(a->packets, b->packets);
    assert_int_equal(a->meta, b->meta);
    assert_int_equal(a->captured_bytes, b->captured_bytes);
    assert_int_equal(a->wire_bytes, b->wire_bytes);
    assert_int_equal(a->lost, b->lost);
    assert_int_equal(a->cut, b->cut);
    assert_int_equal(a->duplicates, b->duplicates);
    assert_int_equal(a->linktypes, b->linktypes);
    same_times(&a->times, &b->times);
    assert_int_equal(a->interfaces, b->interfaces);
    for (unsigned i = 0; i < a->interfaces; i++) {
        assert_int_equal(a->interface[i].number, b->interface[i].number);
        assert_int_equal(a->interface[i].packets, b->interface[i].packets);
        assert_int_equal(a->interface[i].lost, b->interface[i].lost);
        same_times(&a->interface[i].times, &b->interface[i].times);
    }
}

static void stretches_add_up(void **state)
{
    static struct at_packet pkt[PACKETS];
    struct at_survey all, sum, part;
    uint32_t seed = 7;

    (void)state;
    for (unsigned round = 0; round < 100; round++) {
        make_packets(pkt, round + 1);
        survey(&all, pkt, PACKETS);
        memset(&sum, 0, sizeof(sum));
        for (size_t at = 0; at < PACKETS;) {
            size_t n = next_random(&seed) % 90;

            n = n < PACKETS - at ? n : PACKETS - at;
            survey(&part, pkt + at, n);
            at_survey_join(&sum, &part);
            at += n;
        }
        same_surveys(&all, &sum);
    }
}

static bool alike(const struct at_packet *a, const struct at_packet *b)
{
    return a->cap_bytes == b->cap_bytes && a->wire_bytes == b->wire_bytes;
}

static void duplicates_as_by_hand(void **state)
{
    static struct at_packet pkt[PACKETS], real[PACKETS];
    struct at_survey s;
    uint64_t expected = 0;
    size_t n = 0;

    (void)state;
    make_packets(pkt, 99);
    survey(&s, pkt, PACKETS);
    for (size_t i = 0; i < PACKETS; i++)
        if (pkt[i].kind == AT_KIND_PACKET)
            real[n++] = pkt[i];
    for (size_t i = 0; i < n; i++) {
        bool found = false;

        for (size_t b = 1; b <= AT_SURVEY_NEAR && b <= i; b++)
            found = found || alike(&real[i], &real[i - b]);
        expected += found;
    }
    assert_true(expected > 0 && expected < n);
    assert_int_equal(s.duplicates, expected);
}

static void many_interfaces(void **state)
{
    struct at_survey s, sum = {.packets = 0};
    struct at_packet pkt = {.data = bytes_of, .format = AT_FORMAT_ERF};

    (void)state;
    memset(&s, 0, sizeof(s));
    for (uint32_t i = 0; i < 1000; i++) {
        pkt.interface = i;
        at_survey_packet(&s, &pkt, false);
    }
    at_survey_join(&sum, &s);
    at_survey_join(&sum, &s);
    assert_int_equal(sum.interfaces, AT_SURVEY_INTERFACES);
    assert_int_equal(sum.elsewhere, 2 * (1000 - AT_SURVEY_INTERFACES));
    assert_int_equal(sum.interface[5].packets, 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(stretches_add_up),
        cmocka_unit_test(duplicates_as_by_hand),
        cmocka_unit_test(many_interfaces),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
