/*
 * time_test.c - times, durations, sizes, and the text of errors
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "archive_trace.h"
#include "errors.h"

#define NS INT64_C(1000000000)
#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* 2026-03-01T09:00:00Z */
static const int64_t nine = INT64_C(1772355600) * NS;

static int64_t parse(const char *text)
{
    struct at_error err = {.msg = ""};
    int64_t ns = -1;

    if (at_time_parse(&ns, text, nine, AT_TIME_MIN, &err) != AT_OK)
        fail_msg("%s", err.msg);
    return ns;
}

/* A known sequence, so that a failure comes again. */
static uint64_t random64(uint64_t *state)
{
    uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);

    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

static void time_forms(void **state)
{
    static const struct {
        const char *text;
        int64_t seconds;
        int64_t ns;
    } c[] = {
        {"1970-01-01", 0, 0},
        {"2026-03-01", 1772323200, 0},
        {"2026-03-01T09:00", 1772355600, 0},
        {"2026-03-01 09:00", 1772355600, 0},
        {"2026-03-01T09:00:00", 1772355600, 0},
        {"2026-03-01T09:00:00Z", 1772355600, 0},
        {"2026-03-01T09:00Z", 1772355600, 0},
        {"2026-03-01 09:00:00.5", 1772355600, 500000000},
        {"2026-03-01T09:00:00.123456789Z", 1772355600, 123456789},
        {"2026-03-01T09:00:00.000000001Z", 1772355600, 1},
        {"2026-03-01T10:00:00+01:00", 1772355600, 0},
        {"2026-03-01T10:00:00+0100", 1772355600, 0},
        {"2026-03-01T10:00:00+01", 1772355600, 0},
        {"2026-03-01T10:00+01", 1772355600, 0},
        {"2026-03-01T03:30:00.25-05:30", 1772355600, 250000000},
        {"2026-03-01T00:30+01:00", 1772321400, 0},
        {"2024-02-29T23:59:59Z", 1709251199, 0},
        {"2000-02-29", 951782400, 0},
        {"2106-02-07T06:28:15Z", 4294967295, 0},
        /* the leap second at the end of 2016 is the next second */
        {"2016-12-31T23:59:60Z", 1483228800, 0},
        {"2016-12-31T23:59:60.5Z", 1483228800, 500000000},
        {"2017-01-01T00:59:60+01:00", 1483228800, 0},
        {"1969-12-31T23:59:59.5Z", -1, 500000000},
        {"1900-03-01", -2203891200, 0},
        {"@0", 0, 0},
        {"@1772355600", 1772355600, 0},
        {"@1772355600.000000001", 1772355600, 1},
        {"@-1", -1, 0},
        {"@-1.5", -2, 500000000},
        {"now", 1772355600, 0},
        {"-2h", 1772348400, 0},
        {"-7d", 1771750800, 0},
        {"-90", 1772355510, 0},
        {"-0.000000001s", 1772355599, 999999999},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(c); i++)
        if (parse(c[i].text) != c[i].seconds * NS + c[i].ns)
            fail_msg("%s: %lld", c[i].text, (long long)parse(c[i].text));
}

static void time_errors_point_at_the_offence(void **state)
{
    static const struct {
        const char *text;
        int column;
    } c[] = {
        {"", 0},
        {" 2026-03-01", 0},
        {"2026", 4},
        {"26-03-01", 0},
        {"12026-03-01", 4},
        {"2026-3-1", 5},
        {"2026-00-01", 5},
        {"2026-13-01", 5},
        {"2026-02-29", 8},
        {"1900-02-29", 8},
        {"2026-03-00", 8},
        {"2026-03-32", 8},
        {"2026-03-01 ", 11},
        {"2026-03-01T", 11},
        {"2026-03-01x", 10},
        {"2026-03-01Z", 10},
        {"2026-03-01t09:00", 10},
        {"2026-03-01T09", 13},
        {"2026-03-01T24:00", 11},
        {"2026-03-01T09:60", 14},
        {"2026-03-01T09:00:61", 17},
        {"2026-03-01T09:00:00,5", 19},
        {"2026-03-01T09:00:00.", 20},
        {"2026-03-01T09:00:00.Z", 20},
        {"2026-03-01T09:00:00.1234567890", 29},
        {"2026-03-01T09:00.5", 16},
        {"2026-03-01T09:00:00z", 19},
        {"2026-03-01T09:00:00Z ", 20},
        {"2026-03-01T09:00:00 Z", 19},
        {"2026-03-01T09:00+1", 17},
        {"2026-03-01T09:00+24", 17},
        {"2026-03-01T09:00+01:", 20},
        {"2026-03-01T09:00+01:60", 20},
        {"2026-03-01T09:00+01000", 21},
        {"2263-01-01", 0},
        {"1600-01-01", 0},
        {"0000-01-01", 0},
        {"9999-12-31", 0},
        {"@", 1},
        {"@x", 1},
        {"@+1", 1},
        {"@.5", 1},
        {"@1.", 3},
        {"@1x", 2},
        {"@1.0000000001", 12},
        {"@9223372037", 0},
        {"@99999999999999999999", 0},
        {"nowadays", 0},
        {"Now", 0},
        {"-", 1},
        {"-2", -1},
        {"-2x", 2},
        {"--2h", 1},
        {"-2h ", 2},
        {"+15m", 0},
        {"-1000000d", 1},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(c); i++) {
        struct at_error err = {.msg = ""};
        int64_t ns = 77;
        const enum at_status st = at_time_parse(&ns, c[i].text, nine,
                                                AT_TIME_MIN, &err);

        if (c[i].column < 0) {
            assert_int_equal(st, AT_OK);
            continue;
        }
        if (st != AT_ERR_SYNTAX || err.status != st ||
            err.column != c[i].column || ns != 77)
            fail_msg("'%s': status %d, column %d: %s", c[i].text, (int)st,
                     err.column, err.msg);
        assert_int_equal(at_time_parse(&ns, c[i].text, nine, AT_TIME_MIN, NULL),
                         st);
    }
}

static void time_errors_name_the_text(void **state)
{
    struct at_error err;
    int64_t ns;

    (void)state;
    at_time_parse(&ns, "2026-13-01", nine, AT_TIME_MIN, &err);
    assert_string_equal(err.msg,
                        "time '2026-13-01': a month of 01 to 12 expected");
    at_time_parse(&ns, "+15m", nine, AT_TIME_MIN, &err);
    assert_string_equal(err.msg, "time '+15m': no time to count from");
    at_time_parse(&ns, "-2x", nine, AT_TIME_MIN, &err);
    assert_string_equal(err.msg, "duration '2x': unknown unit 'x', known are "
                                 "ns us ms s m h d");
}

static void time_from_a_base(void **state)
{
    int64_t ns = 0;

    (void)state;
    assert_int_equal(at_time_parse(&ns, "+15m", 0, nine, NULL), AT_OK);
    assert_int_equal(ns, nine + 900 * NS);
    assert_int_equal(at_time_parse(&ns, "+0", 0, -5, NULL), AT_OK);
    assert_int_equal(ns, -5);
    assert_int_equal(at_time_parse(&ns, "+1ns", 0, AT_TIME_MAX, NULL),
                     AT_ERR_SYNTAX);
    assert_int_equal(at_time_parse(&ns, "-2ns", AT_TIME_MIN + 1, 0, NULL),
                     AT_ERR_SYNTAX);
}

static void time_limits(void **state)
{
    int64_t ns;

    (void)state;
    assert_true(parse("2262-04-11T23:47:16.854775807Z") == INT64_MAX);
    assert_true(parse("1677-09-21T00:12:43.145224192Z") == INT64_MIN);
    assert_true(parse("@-9223372036.854775808") == INT64_MIN);
    assert_true(parse("@9223372036.854775807") == INT64_MAX);
    assert_int_equal(
        at_time_parse(&ns, "2262-04-11T23:47:16.854775808Z", 0, 0, NULL),
        AT_ERR_SYNTAX);
    assert_int_equal(
        at_time_parse(&ns, "1677-09-21T00:12:43.145224191Z", 0, 0, NULL),
        AT_ERR_SYNTAX);
}

static const char *format(int64_t ns, bool local)
{
    static char buf[AT_TIME_TEXT];
    const size_t len = at_time_format(buf, ns, local);

    assert_int_equal(len, strlen(buf));
    return buf;
}

static void time_format(void **state)
{
    (void)state;
    assert_string_equal(format(0, false), "1970-01-01T00:00:00.000000000Z");
    assert_string_equal(format(nine + 123456789, false),
                        "2026-03-01T09:00:00.123456789Z");
    assert_string_equal(format(-1, false), "1969-12-31T23:59:59.999999999Z");
    assert_string_equal(format(INT64_MAX, false),
                        "2262-04-11T23:47:16.854775807Z");
    assert_string_equal(format(INT64_MIN, false),
                        "1677-09-21T00:12:43.145224192Z");
}

static void set_zone(const char *zone)
{
    setenv("TZ", zone, 1);
    tzset();
}

static void time_format_local(void **state)
{
    (void)state;
    set_zone("NZST-12NZDT-13,M9.5.0,M4.1.0/3");
    assert_string_equal(format(nine, true),
                        "2026-03-01T22:00:00.000000000+13:00");
    set_zone("XXX5:30");
    assert_string_equal(format(nine + 1, true),
                        "2026-03-01T03:30:00.000000001-05:30");
    assert_string_equal(format(INT64_MIN, true),
                        "1677-09-20T18:42:43.145224192-05:30");
    /* an offset with seconds, as before there were time zones */
    set_zone("LMT-0:19:32");
    assert_string_equal(format(nine, true),
                        "2026-03-01T09:19:00.000000000+00:19");
    set_zone("UTC0");
    assert_string_equal(format(nine, true),
                        "2026-03-01T09:00:00.000000000+00:00");
}

static void time_agrees_with_the_c_library(void **state)
{
    uint64_t seed = 1;

    (void)state;
    for (int i = 0; i < 200000; i++) {
        const int64_t ns = (int64_t)random64(&seed);
        time_t t = (time_t)(ns / NS - (ns % NS < 0 ? 1 : 0));
        char expected[64];
        struct tm tm;

        assert_non_null(gmtime_r(&t, &tm));
        strftime(expected, 32, "%Y-%m-%dT%H:%M:%S", &tm);
        snprintf(expected + 19, 16, ".%09dZ", (int)(ns - t * NS));
        assert_string_equal(format(ns, false), expected);
        assert_true(parse(expected) == ns);
    }
}

static void time_agrees_every_day(void **state)
{
    (void)state;
    for (int64_t day = -106751; day < 106751; day++) {
        const char *text = format(day * 86400 * NS, false);
        const time_t t = (time_t)day * 86400;
        char expected[32];
        struct tm tm;

        assert_non_null(gmtime_r(&t, &tm));
        strftime(expected, sizeof(expected), "%Y-%m-%dT%H:%M:%S", &tm);
        assert_memory_equal(text, expected, 19);
        assert_true(parse(text) == day * 86400 * NS);
    }
}

static void time_local_reads_back(void **state)
{
    uint64_t seed = 2;

    (void)state;
    set_zone("CET-1CEST,M3.5.0,M10.5.0/3");
    for (int i = 0; i < 20000; i++) {
        const int64_t ns = (int64_t)(random64(&seed) >> 1);

        assert_true(parse(format(ns, true)) == ns);
    }
    set_zone("UTC0");
}

static void time_now_is_now(void **state)
{
    const int64_t before = (int64_t)time(NULL);
    const int64_t now = at_time_now();

    (void)state;
    assert_in_range((uint64_t)now, (uint64_t)((before - 1) * NS),
                    (uint64_t)((before + 60) * NS));
}

/* Rounded up as we do, and rounded down as others may have done. */
static void check_round_trip(uint64_t ns)
{
    const uint64_t up = at_ts_from_ns(ns);
    const uint64_t down = ((ns / 1000000000) << 32) +
                          ((ns % 1000000000) << 32) / 1000000000;

    if (at_ts_to_ns(up) != (int64_t)ns || at_ts_to_ns(down) != (int64_t)ns)
        fail_msg("%llu", (unsigned long long)ns);
    assert_true(up == down || up == down + 1);
}

static void ns_to_fixed_point_and_back(void **state)
{
    const uint64_t range = (UINT64_C(1) << 32) * UINT64_C(1000000000);
    static const uint64_t edge[] = {
        0, 1, 2, 999999998, 999999999, 1000000000, 1000000001, 500000000};
    uint64_t seed = 3;

    (void)state;
    for (size_t i = 0; i < COUNT(edge); i++) {
        check_round_trip(edge[i]);
        check_round_trip(range - 1 - edge[i]);
    }
    for (uint64_t ns = 0; ns < 1000000; ns++)
        check_round_trip((uint64_t)nine + ns * 1009 % 1000000000);
    for (int i = 0; i < 1000000; i++)
        check_round_trip(random64(&seed) % range);
    assert_true(at_ts_from_ns(1000000000) == UINT64_C(1) << 32);
    assert_true(at_ts_from_ns(500000000) == UINT64_C(1) << 31);
    assert_true(at_ts_to_ns(UINT64_MAX) == (int64_t)range);
}

static void durations(void **state)
{
    static const struct {
        const char *text;
        int64_t ns;
    } c[] = {
        {"0", 0},
        {"90", 90 * NS},
        {"90s", 90 * NS},
        {"007s", 7 * NS},
        {"1.5h", 5400 * NS},
        {"250ms", 250000000},
        {"1ns", 1},
        {"0.1us", 100},
        {"2m", 120 * NS},
        {"1d", 86400 * NS},
        {"0.000000001s", 1},
        {"0.000000001", 1},
        {"0.0000000010000000000000000000000", 1},
        {"0.00000000000125d", 108},
        {"2.0ns", 2},
        {"9223372036.854775807s", INT64_MAX},
        {"9223372036854775807ns", INT64_MAX},
        {"106751.991167300d", INT64_C(9223372036854720000)},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(c); i++) {
        int64_t ns = -1;

        assert_int_equal(at_duration_parse(&ns, c[i].text, NULL), AT_OK);
        if (ns != c[i].ns)
            fail_msg("%s: %lld", c[i].text, (long long)ns);
    }
}

static void sizes(void **state)
{
    static const struct {
        const char *text;
        uint64_t n;
    } c[] = {
        {"0", 0},
        {"4096", 4096},
        {"1k", 1000},
        {"1.5k", 1500},
        {"0.001k", 1},
        {"3M", 3000000},
        {"5G", UINT64_C(5000000000)},
        {"2T", UINT64_C(2000000000000)},
        {"64Ki", 65536},
        {"0.25Ki", 256},
        {"0.0009765625Ki", 1},
        {"1Mi", 1048576},
        {"1.5Gi", UINT64_C(1610612736)},
        {"1Ti", UINT64_C(1099511627776)},
        {"1.0", 1},
        {"18446744073709551615", UINT64_MAX},
        {"18446744.073709551615T", UINT64_MAX},
        {"16777215.9999999999990905052982270717620849609375Ti", UINT64_MAX},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(c); i++) {
        uint64_t n = 77;

        assert_int_equal(at_size_parse(&n, c[i].text, NULL), AT_OK);
        if (n != c[i].n)
            fail_msg("%s: %llu", c[i].text, (unsigned long long)n);
    }
}

struct bad_number {
    const char *text;
    int column;
};

static void duration_errors(void **state)
{
    static const struct bad_number c[] = {
        {"", 0},
        {" 1s", 0},
        {"1 s", 1},
        {"1s ", 1},
        {"s", 0},
        {"-1s", 0},
        {"+1s", 0},
        {".5s", 0},
        {"1.", 2},
        {"1.s", 2},
        {"1.5.5s", 3},
        {"1x", 1},
        {"1S", 1},
        {"1hs", 1},
        {"1e3", 1},
        {"0x10", 1},
        {"1.5ns", 1},
        {"0.0000000001s", 1},
        {"0.3333333333333333d", 1},
        {"9223372036854775808ns", 0},
        {"9223372036.854775808s", 0},
        {"106752d", 0},
        {"99999999999999999999999999d", 0},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(c); i++) {
        struct at_error err = {.msg = ""};
        int64_t ns = 77;

        if (at_duration_parse(&ns, c[i].text, &err) != AT_ERR_SYNTAX ||
            err.column != c[i].column || ns != 77)
            fail_msg("'%s': column %d: %s", c[i].text, err.column, err.msg);
        assert_non_null(strstr(err.msg, c[i].text));
    }
}

static void size_errors(void **state)
{
    static const struct bad_number c[] = {
        {"", 0},
        {"k", 0},
        {"-1", 0},
        {"1K", 1},
        {"1kB", 1},
        {"1ki", 1},
        {"1.5", 1},
        {"1.0005k", 1},
        {"0.1Ki", 1},
        {"1 k", 1},
        {"0.0001k", 1},
        {"1\n", 1},
        {"18446744073709551616", 0},
        {"18446744073709551615k", 0},
        {"18446744.073709551616T", 0},
        {"16777216Ti", 0},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(c); i++) {
        struct at_error err = {.msg = ""};
        uint64_t n = 77;

        if (at_size_parse(&n, c[i].text, &err) != AT_ERR_SYNTAX ||
            err.column != c[i].column || n != 77)
            fail_msg("'%s': column %d: %s", c[i].text, err.column, err.msg);
    }
}

static void error_text_is_clean(void **state)
{
    struct at_error err = {.msg = ""};

    (void)state;
    assert_int_equal(
        at_error_set(&err, AT_ERR_CORRUPT, "a%sb\x7f \xc3\xa4", "\x1b[2J\n"),
        AT_ERR_CORRUPT);
    assert_string_equal(err.msg, "a?[2J?b? \xc3\xa4");
    assert_int_equal(err.status, AT_ERR_CORRUPT);
    assert_int_equal(err.column, -1);
    assert_int_equal(at_error_set(NULL, AT_ERR_LOSS, "x"), AT_ERR_LOSS);
}

static void error_text_may_hold_itself(void **state)
{
    struct at_error err = {.msg = ""};

    (void)state;
    at_error_set(&err, AT_ERR_CORRUPT, "inner");
    at_error_set(&err, AT_ERR_CORRUPT, "outer: %s", err.msg);
    assert_string_equal(err.msg, "outer: inner");
}

static void error_text_is_cut_to_fit(void **state)
{
    struct at_error err = {.msg = ""};
    char name[2000];

    (void)state;
    memset(name, 'n', sizeof(name) - 1);
    name[sizeof(name) - 1] = '\0';
    at_error_set(&err, AT_ERR_CORRUPT, "%s", name);
    assert_int_equal(strlen(err.msg), sizeof(err.msg) - 1);
}

static void error_of_the_system(void **state)
{
    struct at_error err = {.msg = ""};

    (void)state;
    errno = ENOENT;
    assert_int_equal(at_error_system(&err, "a\nb", "open"), AT_ERR_SYSTEM);
    assert_string_equal(err.msg, "a?b: cannot open: No such file or directory");
    assert_int_equal(errno, ENOENT);
    assert_int_equal(at_error_system(NULL, "a", "open"), AT_ERR_SYSTEM);
}

static void error_of_syntax(void **state)
{
    struct at_error err = {.msg = ""};

    (void)state;
    assert_int_equal(at_error_syntax(&err, 7, "bad %d", 1), AT_ERR_SYNTAX);
    assert_int_equal(err.column, 7);
    assert_string_equal(err.msg, "bad 1");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(time_forms),
        cmocka_unit_test(time_errors_point_at_the_offence),
        cmocka_unit_test(time_errors_name_the_text),
        cmocka_unit_test(time_from_a_base),
        cmocka_unit_test(time_limits),
        cmocka_unit_test(time_format),
        cmocka_unit_test(time_format_local),
        cmocka_unit_test(time_agrees_with_the_c_library),
        cmocka_unit_test(time_agrees_every_day),
        cmocka_unit_test(time_local_reads_back),
        cmocka_unit_test(time_now_is_now),
        cmocka_unit_test(ns_to_fixed_point_and_back),
        cmocka_unit_test(durations),
        cmocka_unit_test(sizes),
        cmocka_unit_test(duration_errors),
        cmocka_unit_test(size_errors),
        cmocka_unit_test(error_text_is_clean),
        cmocka_unit_test(error_text_may_hold_itself),
        cmocka_unit_test(error_text_is_cut_to_fit),
        cmocka_unit_test(error_of_the_system),
        cmocka_unit_test(error_of_syntax),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
