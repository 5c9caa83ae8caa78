/*
 * report_test.c - parts of a report add up to the whole, for any bytes
 */
#include <stdlib.h>
#include <string.h>

#include "common.h"
#include "report.h"

enum { PACKETS = 3000, FRAME = 128, EVERY = (1 << AT_REPORT_SECTIONS) - 1 };

/* Frames that begin like Ethernet and IP, so that what follows is looked at,
 * and are cut anywhere. */
static void make_packet(struct at_packet *pkt, uint8_t frame[FRAME],
                        uint32_t *seed)
{
    static const uint16_t types[] = {0x0800, 0x86dd, 0x8100, 0x0806, 0x1234};
    static const uint8_t protos[] = {1, 6, 6, 6, 17, 41, 44, 47, 58, 132};
    const uint16_t type = types[next_random(seed) % 5];
    const uint8_t proto = protos[next_random(seed) % 10];

    for (size_t i = 0; i < FRAME; i++)
        frame[i] = (uint8_t)(next_random(seed) >> 16);
    frame[12] = (uint8_t)(type >> 8);
    frame[13] = (uint8_t)type;
    frame[14] = type == 0x86dd ? 0x60 : 0x45;
    if (next_random(seed) % 4 > 0)
        memset(frame + 20, 0, 2); /* no fragment */
    frame[type == 0x86dd ? 20 : 23] = proto;
    *pkt = (struct at_packet){
        .ts = (uint64_t)next_random(seed) << 20,
        .data = frame,
        .cap_bytes = next_random(seed) % (FRAME + 1),
        .wire_bytes = next_random(seed) % 70000,
        .lost = next_random(seed) % 9 == 0 ? next_random(seed) % 5 : 0,
        .linktype = next_random(seed) % 7 == 0 ? 101 : 1,
        .direction = next_random(seed) % 4,
        .errors = next_random(seed) % 8,
        .timeless = next_random(seed) % 11 == 0,
    };
}

static void report(struct at_report *r, unsigned part, unsigned parts)
{
    uint8_t frame[FRAME];
    struct at_packet pkt;
    struct at_error err;
    uint32_t seed = 11;

    assert_int_equal(at_report_open(r, EVERY, 1 << 20, &err), AT_OK);
    for (unsigned i = 0; i < PACKETS; i++) {
        uint8_t *copy;

        make_packet(&pkt, frame, &seed);
        if (i % parts != part)
            continue;
        /* in a place of its own size, so that a sanitizer sees its end */
        copy = malloc(pkt.cap_bytes > 0 ? pkt.cap_bytes : 1);
        memcpy(copy, frame, pkt.cap_bytes);
        pkt.data = copy;
        assert_int_equal(at_report_packet(r, &pkt, &err), AT_OK);
        free(copy);
    }
}

static enum at_status sum_up(void *ctx, const void *key, const uint64_t *number)
{
    uint64_t *sum = ctx;

    (void)key;
    sum[0]++;
    sum[1] += number[0];
    sum[2] += number[1];
    return AT_OK;
}

static void assert_same_tally(enum at_section section,
                              const struct at_report *whole,
                              const struct at_report part[3])
{
    struct at_tally *one = whole->tally[section];
    struct at_tally *three[3] = {part[0].tally[section], part[1].tally[section],
                                 part[2].tally[section]};
    uint64_t a[3] = {0}, b[3] = {0};
    struct at_error err;

    assert_int_equal(at_tally_merge(&one, 1, sum_up, a, &err), AT_OK);
    assert_int_equal(at_tally_merge(three, 3, sum_up, b, &err), AT_OK);
    assert_memory_equal(a, b, sizeof(a));
    assert_true(a[0] > 0 && a[1] > 0);
}

static void test_parts_add_up(void **state)
{
    struct at_report whole, part[3], sum;
    struct at_error err;

    (void)state;
    report(&whole, 0, 1);
    assert_int_equal(at_report_open(&sum, EVERY, 0, &err), AT_OK);
    for (unsigned i = 0; i < 3; i++) {
        report(&part[i], i, 3);
        at_report_join(&sum, &part[i]);
    }
    assert_int_equal(whole.count[AT_REPORT_TOTAL][0].packets, PACKETS);
    assert_int_equal(whole.captured_bytes, sum.captured_bytes);
    assert_int_equal(whole.first, sum.first);
    assert_int_equal(whole.last, sum.last);
    for (unsigned i = 0; i < AT_REPORT_SECTIONS; i++) {
        const enum at_section section = (enum at_section)i;

        if (whole.count[i] != NULL)
            assert_memory_equal(whole.count[i], sum.count[i],
                                at_report_values(section) *
                                    sizeof(struct at_count));
        else
            assert_same_tally(section, &whole, part);
    }
    for (unsigned i = 0; i < 3; i++)
        at_report_close(&part[i]);
    at_report_close(&whole);
    at_report_close(&sum);
}

/* Only what is wanted is counted. */
static void test_sections_that_are_not_wanted(void **state)
{
    struct at_report r;
    struct at_error err;

    (void)state;
    assert_int_equal(at_report_open(&r, 1 << AT_REPORT_TTL, 0, &err), AT_OK);
    for (unsigned i = 0; i < AT_REPORT_SECTIONS; i++) {
        assert_true((r.count[i] != NULL) == (i == AT_REPORT_TTL));
        assert_null(r.tally[i]);
    }
    at_report_close(&r);
    at_report_close(&r); /* once more does nothing */
}

static void test_names_lead_back(void **state)
{
    char a[AT_REPORT_TEXT], b[AT_REPORT_TEXT];

    (void)state;
    for (unsigned i = 0; i < AT_REPORT_SECTIONS; i++) {
        const enum at_section section = (enum at_section)i;
        const char *name = at_report_name(section);

        assert_int_equal(at_report_section(name, strlen(name)), section);
        for (size_t k = 1; k < at_report_values(section) && k < 256; k++)
            assert_true(strlen(at_report_value(a, section, k)) > 0);
    }
    assert_int_equal(at_report_section("tt", 2), AT_REPORT_SECTIONS);
    for (size_t k = 1; k < 65536; k++) /* neighbours are told apart */
        assert_string_not_equal(at_report_value(a, AT_REPORT_PORTS, k),
                                at_report_value(b, AT_REPORT_PORTS, k - 1));
    assert_string_equal(at_report_value(a, AT_REPORT_PORTS, 65536 + 53),
                        "udp 53");
    assert_string_equal(at_report_value(a, AT_REPORT_TTL, 256 + 64), "ip6 64");
    assert_string_equal(at_report_value(a, AT_REPORT_DSCP, 10), "ip af11");
    assert_string_equal(at_report_value(a, AT_REPORT_DSCP, 38), "ip af43");
    assert_string_equal(at_report_value(a, AT_REPORT_DSCP, 46), "ip ef");
    assert_string_equal(at_report_value(a, AT_REPORT_DSCP, 3), "ip 3");
    assert_string_equal(at_report_value(a, AT_REPORT_TCP_FLAGS, 0x12),
                        "...A..S.");
}

static void test_options_of_a_syn(void **state)
{
    static const uint8_t usual[AT_REPORT_SYN_BYTES] = {2, 4, 8, 1, 3};
    static const uint8_t none[AT_REPORT_SYN_BYTES] = {0};
    uint8_t all[AT_REPORT_SYN_BYTES];
    char text[AT_REPORT_TEXT];

    (void)state;
    assert_string_equal(at_report_syn(text, usual), "mss,sackok,ts,nop,wscale");
    assert_string_equal(at_report_syn(text, none), "none");
    memset(all, 14, sizeof(all)); /* the longest name, as often as can be */
    assert_true(strlen(at_report_syn(text, all)) < AT_REPORT_TEXT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_parts_add_up),
        cmocka_unit_test(test_sections_that_are_not_wanted),
        cmocka_unit_test(test_names_lead_back),
        cmocka_unit_test(test_options_of_a_syn),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
