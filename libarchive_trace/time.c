/*
 * time.c - points in time as people write them
 *
 *     TIME     = "now" | "@" ["-"] SECONDS | "-" DURATION | "+" DURATION
 *              | DATE [("T" | " ") CLOCK [ZONE]]
 *     DATE     = YYYY "-" MM "-" DD
 *     CLOCK    = HH ":" MM [":" SS ["." FRACTION]]
 *     ZONE     = "Z" | ("+" | "-") HH [[":"] MM]
 *     SECONDS  = DIGITS ["." FRACTION]
 *     FRACTION = one to nine digits
 *
 * The calendar is the Gregorian one at all times.  Days are counted from
 * 0000-03-01: in a year that begins in March the leap day comes last and the
 * months' lengths follow (153*m + 2) / 5.  timegm() would do as well, but it
 * is in no standard, and it accepts 31 February.
 *
 * The second 60 is taken for the first of the next minute, which is what
 * POSIX time makes of it.
 */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "archive_trace.h"
#include "digits.h"
#include "errors.h"

enum { DAYS_400_YEARS = 146097, DAYS_TO_1970 = 719468, DAY_SECONDS = 86400 };
static const int64_t second_ns = 1000000000;

/* A text being read; 'what' is wrong with it where 'at' stands. */
struct scan {
    const char *text;
    const char *at;
    const char *what; /* NULL while all is well */
};

static bool fail(struct scan *s, const char *what)
{
    s->what = what;
    return false;
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool accept(struct scan *s, char c)
{
    if (*s->at != c)
        return false;
    s->at++;
    return true;
}

/* Exactly 'digits' digits, the value in low..high. */
static bool take_field(struct scan *s, int *value, int digits, int low,
                       int high, const char *what)
{
    int v = 0;

    for (int i = 0; i < digits; i++) {
        if (!is_digit(s->at[i]))
            return fail(s, what);
        v = v * 10 + (s->at[i] - '0');
    }
    if (v < low || v > high)
        return fail(s, what);
    s->at += digits;
    *value = v;
    return true;
}

/* What may follow a point, in nanoseconds. */
static bool take_fraction(struct scan *s, int64_t *ns)
{
    int64_t unit = second_ns;

    *ns = 0;
    if (!is_digit(*s->at))
        return fail(s, "digit expected");
    for (; is_digit(*s->at); s->at++) {
        unit /= 10;
        if (unit == 0)
            return fail(s, "more than nine digits after the point");
        *ns += unit * (*s->at - '0');
    }
    return true;
}

static int month_days(int year, int month)
{
    static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    const bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;

    return days[month - 1] + (month == 2 && leap ? 1 : 0);
}

/* Days from 1970-01-01 to a day of the years 0 to 9999. */
static int64_t days_from_civil(int year, int month, int day)
{
    /* One cycle later, so that January of the year 0 is not negative. */
    const int y = year + 400 - (month <= 2 ? 1 : 0);
    const int m = (month + 9) % 12;
    const int day_of_year = (153 * m + 2) / 5 + day - 1;

    return (int64_t)y * 365 + y / 4 - y / 100 + y / 400 + day_of_year -
           DAYS_400_YEARS - DAYS_TO_1970;
}

static void civil_from_days(int64_t days, int *year, int *month, int *day)
{
    /* The times that fit are after 1600, where no division sees a minus. */
    const int64_t z = days + DAYS_TO_1970;
    const int64_t cycle = z / DAYS_400_YEARS;
    const int64_t d = z % DAYS_400_YEARS;
    const int64_t y = (d - d / 1460 + d / 36524 - d / 146096) / 365;
    const int64_t day_of_year = d - (365 * y + y / 4 - y / 100);
    const int64_t m = (5 * day_of_year + 2) / 153;

    *day = (int)(day_of_year - (153 * m + 2) / 5) + 1;
    *month = (int)(m < 10 ? m + 3 : m - 9);
    *year = (int)(cycle * 400 + y) + (*month <= 2 ? 1 : 0);
}

/* 0 <= fraction_ns < second_ns; false if the sum does not fit. */
static bool combine(int64_t *ns, int64_t seconds, int64_t fraction_ns)
{
    int64_t sum;

    /* The earliest second fits only in part. */
    if (seconds < 0 && fraction_ns > 0) {
        seconds++;
        fraction_ns -= second_ns;
    }
    if (__builtin_mul_overflow(seconds, second_ns, &sum))
        return false;
    return !__builtin_add_overflow(sum, fraction_ns, ns);
}

static const char out_of_range[] = "out of range";

/* The fault is that of the whole. */
static bool fail_range(struct scan *s)
{
    s->at = s->text;
    return fail(s, out_of_range);
}

static bool take_date(struct scan *s, int64_t *seconds)
{
    int year = 0, month = 0, day = 0;

    if (!take_field(s, &year, 4, 0, 9999, "a year of four digits expected"))
        return false;
    if (!accept(s, '-'))
        return fail(s, "'-' expected");
    if (!take_field(s, &month, 2, 1, 12, "a month of 01 to 12 expected"))
        return false;
    if (!accept(s, '-'))
        return fail(s, "'-' expected");
    if (!take_field(s, &day, 2, 1, month_days(year, month),
                    "no such day in this month"))
        return false;
    *seconds = days_from_civil(year, month, day) * DAY_SECONDS;
    return true;
}

/* Adds the time of day to *seconds. */
static bool take_clock(struct scan *s, int64_t *seconds, int64_t *fraction_ns)
{
    int hour = 0, minute = 0, second = 0;

    if (!take_field(s, &hour, 2, 0, 23, "an hour of 00 to 23 expected"))
        return false;
    if (!accept(s, ':'))
        return fail(s, "':' expected");
    if (!take_field(s, &minute, 2, 0, 59, "a minute of 00 to 59 expected"))
        return false;
    if (accept(s, ':')) {
        if (!take_field(s, &second, 2, 0, 60, "a second of 00 to 60 expected"))
            return false;
        if (accept(s, '.') && !take_fraction(s, fraction_ns))
            return false;
    }
    *seconds += hour * 3600 + minute * 60 + second;
    return true;
}

/* Takes the offset, if there is one, from *seconds. */
static bool take_zone(struct scan *s, int64_t *seconds)
{
    const int sign = *s->at == '-' ? -1 : 1;
    int hours = 0, minutes = 0;

    if (*s->at == '\0' || accept(s, 'Z'))
        return true;
    if (*s->at != '+' && *s->at != '-')
        return fail(s, "unexpected text after the time");
    s->at++;
    if (!take_field(s, &hours, 2, 0, 23, "an offset of hours expected"))
        return false;
    if ((accept(s, ':') || is_digit(*s->at)) &&
        !take_field(s, &minutes, 2, 0, 59, "minutes of the offset expected"))
        return false;
    *seconds -= sign * (hours * 3600 + minutes * 60);
    return true;
}

static bool take_iso(struct scan *s, int64_t *ns)
{
    int64_t seconds = 0, fraction_ns = 0;

    if (!take_date(s, &seconds))
        return false;
    if ((accept(s, 'T') || accept(s, ' ')) &&
        (!take_clock(s, &seconds, &fraction_ns) || !take_zone(s, &seconds)))
        return false;
    if (*s->at != '\0')
        return fail(s, "unexpected text after the time");
    return combine(ns, seconds, fraction_ns) || fail_range(s);
}

/* The seconds that may follow '@'. */
static bool take_seconds(struct scan *s, int64_t *ns)
{
    const bool negative = accept(s, '-');
    int64_t seconds = 0, fraction_ns = 0;

    if (!is_digit(*s->at))
        return fail(s, "a number of seconds expected");
    for (; is_digit(*s->at); s->at++)
        if (__builtin_mul_overflow(seconds, 10, &seconds) ||
            __builtin_add_overflow(seconds, *s->at - '0', &seconds))
            return fail_range(s);
    if (accept(s, '.') && !take_fraction(s, &fraction_ns))
        return false;
    if (*s->at != '\0')
        return fail(s, "unexpected text after the seconds");
    if (negative) {
        seconds = -seconds - (fraction_ns > 0 ? 1 : 0);
        fraction_ns = fraction_ns > 0 ? second_ns - fraction_ns : 0;
    }
    return combine(ns, seconds, fraction_ns) || fail_range(s);
}

/* "-2h" and "+15m" */
static enum at_status parse_distance(int64_t *ns, const char *text,
                                     int64_t now_ns, int64_t base_ns,
                                     struct at_error *err)
{
    int64_t distance = 0;
    const enum at_status st = at_duration_parse(&distance, text + 1, err);
    bool overflow;

    if (st != AT_OK) {
        if (err != NULL)
            err->column++;
        return st;
    }
    if (*text == '+' && base_ns == AT_TIME_MIN)
        return at_error_syntax(err, 0, "time '%.100s': no time to count from",
                               text);
    if (*text == '+')
        overflow = __builtin_add_overflow(base_ns, distance, ns);
    else
        overflow = __builtin_sub_overflow(now_ns, distance, ns);
    if (overflow)
        return at_error_syntax(err, 0, "time '%.100s': %s", text, out_of_range);
    return AT_OK;
}

enum at_status at_time_parse(int64_t *ns, const char *text, int64_t now_ns,
                             int64_t base_ns, struct at_error *err)
{
    struct scan s = {.text = text, .at = text};
    int64_t value = 0;

    if (*text == '-' || *text == '+') {
        const enum at_status st = parse_distance(&value, text, now_ns, base_ns,
                                                 err);

        if (st == AT_OK)
            *ns = value;
        return st;
    }
    if (strcmp(text, "now") == 0)
        value = now_ns;
    else if (accept(&s, '@'))
        take_seconds(&s, &value);
    else
        take_iso(&s, &value);
    if (s.what != NULL)
        return at_error_syntax(err, (size_t)(s.at - text), "time '%.100s': %s",
                               text, s.what);
    *ns = value;
    return AT_OK;
}

int64_t at_time_now(void)
{
    struct timespec now = {0};

    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * second_ns + now.tv_nsec;
}

/*
 * Offset of the TZ zone in whole minutes, all that can be printed.  Zones of
 * the 19th century have seconds too; since the clock is shown with the offset
 * as printed, the two are right together.
 */
static int zone_minutes(int64_t seconds)
{
    const time_t t = (time_t)seconds;
    struct tm tm;

    if (localtime_r(&t, &tm) == NULL)
        return 0;
    return (int)(tm.tm_gmtoff / 60);
}

static char *put_part(char *p, int64_t n, unsigned width, char behind)
{
    p = at_digits_wide(p, (uint64_t)n, width);
    *p++ = behind;
    return p;
}

/* All that 64 bits of nanoseconds can be lies in the years 1677 to 2262. */
size_t at_time_format(char *buf, int64_t ns, bool local)
{
    int64_t seconds = ns / second_ns, fraction_ns = ns % second_ns;
    int64_t day, second;
    int year, month, date, zone;
    char *p = buf;

    if (fraction_ns < 0) {
        fraction_ns += second_ns;
        seconds--;
    }
    zone = local ? zone_minutes(seconds) : 0;
    seconds += zone * 60;
    day = seconds / DAY_SECONDS - (seconds % DAY_SECONDS < 0 ? 1 : 0);
    second = seconds - day * DAY_SECONDS;
    civil_from_days(day, &year, &month, &date);
    p = put_part(p, year, 4, '-');
    p = put_part(p, month, 2, '-');
    p = put_part(p, date, 2, 'T');
    p = put_part(p, second / 3600, 2, ':');
    p = put_part(p, second / 60 % 60, 2, ':');
    p = put_part(p, second % 60, 2, '.');
    p = at_digits_wide(p, (uint64_t)fraction_ns, 9);
    if (!local) {
        *p++ = 'Z';
    } else {
        *p++ = zone < 0 ? '-' : '+';
        p = put_part(p, (zone < 0 ? -zone : zone) / 60, 2, ':');
        p = at_digits_wide(p, (uint64_t)(zone < 0 ? -zone : zone) % 60, 2);
    }
    *p = '\0';
    return (size_t)(p - buf);
}
