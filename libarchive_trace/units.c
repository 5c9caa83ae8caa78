/*
 * units.c - durations and sizes as people write them
 *
 *     NUMBER = DIGITS ["." DIGITS] [UNIT]
 *
 * All in integers, so that "0.1us" is 100 ns and not nearly that.  A fraction
 * d1 d2 ... dk of a unit of U is
 *
 *     (d1*U + (d2*U + ... (dk*U) / 10 ...) / 10) / 10
 *
 * and it is whole just if each of these divisions is: if the outermost gives
 * an integer then what is inside it is ten times that less d1*U, an integer
 * too.  So any number of digits will do, and nothing exceeds 10*U.
 */
#include <limits.h>
#include <string.h>

#include "archive_trace.h"
#include "errors.h"

struct unit {
    const char *name;
    uint64_t factor;
};

/* What makes durations differ from sizes. */
struct measure {
    const char *what;
    const struct unit *unit;
    const char *names; /* of the units, for the message */
    const char *not_whole;
    uint64_t bare; /* factor of a number without a unit */
    uint64_t max;
};

static const struct unit duration_units[] = {
    {"ns", 1},
    {"us", 1000},
    {"ms", 1000000},
    {"s", 1000000000},
    {"m", UINT64_C(60) * 1000000000},
    {"h", UINT64_C(3600) * 1000000000},
    {"d", UINT64_C(86400) * 1000000000},
    {NULL, 0},
};

static const struct unit size_units[] = {
    {"k", 1000},
    {"M", 1000000},
    {"G", 1000000000},
    {"T", UINT64_C(1000000000000)},
    {"Ki", UINT64_C(1) << 10},
    {"Mi", UINT64_C(1) << 20},
    {"Gi", UINT64_C(1) << 30},
    {"Ti", UINT64_C(1) << 40},
    {NULL, 0},
};

static const struct measure duration = {
    .what = "duration",
    .unit = duration_units,
    .names = "ns us ms s m h d",
    .not_whole = "not a whole number of nanoseconds",
    .bare = 1000000000,
    .max = INT64_MAX,
};

static const struct measure size = {
    .what = "number",
    .unit = size_units,
    .names = "k M G T Ki Mi Gi Ti",
    .not_whole = "not a whole number",
    .bare = 1,
    .max = UINT64_MAX,
};

static size_t count_digits(const char *p)
{
    return strspn(p, "0123456789");
}

/* *whole = the 'n' digits at 'p', times 'factor'; false if above 'max'. */
static bool scale_whole(uint64_t *whole, const char *p, size_t n,
                        uint64_t factor, uint64_t max)
{
    uint64_t value = 0;

    for (; n > 0; n--, p++) {
        const uint64_t digit = (uint64_t)(*p - '0');

        if (value > (max - digit) / 10)
            return false;
        value = value * 10 + digit;
    }
    if (value > max / factor)
        return false;
    *whole = value * factor;
    return true;
}

/* *part = 0.d1d2d3... of 'factor'; false if that is not an integer. */
static bool scale_fraction(uint64_t *part, const char *p, size_t n,
                           uint64_t factor)
{
    uint64_t value = 0;

    while (n-- > 0) {
        value += (uint64_t)(p[n] - '0') * factor;
        if (value % 10 != 0)
            return false;
        value /= 10;
    }
    *part = value;
    return true;
}

static uint64_t find_factor(const struct measure *m, const char *name)
{
    if (*name == '\0')
        return m->bare;
    for (const struct unit *u = m->unit; u->name != NULL; u++)
        if (strcmp(u->name, name) == 0)
            return u->factor;
    return 0;
}

/* An excerpt long enough to be known again. */
#define SHOWN "%s '%.100s': "

static enum at_status parse(uint64_t *value, const char *text,
                            const struct measure *m, struct at_error *err)
{
    const size_t digits = count_digits(text);
    const bool point = digits > 0 && text[digits] == '.';
    const size_t fraction_at = point ? digits + 1 : digits;
    const size_t places = point ? count_digits(text + fraction_at) : 0;
    const size_t unit_at = fraction_at + places;
    const uint64_t factor = find_factor(m, text + unit_at);
    uint64_t whole = 0, part = 0;

    if (digits == 0 || (point && places == 0))
        return at_error_syntax(err, fraction_at, SHOWN "%s expected", m->what,
                               text, point ? "a digit" : "a number");
    if (factor == 0)
        return at_error_syntax(err, unit_at,
                               SHOWN "unknown unit '%.20s', known are %s",
                               m->what, text, text + unit_at, m->names);
    if (!scale_fraction(&part, text + fraction_at, places, factor))
        return at_error_syntax(err, digits, SHOWN "%s", m->what, text,
                               m->not_whole);
    if (!scale_whole(&whole, text, digits, factor, m->max) ||
        part > m->max - whole)
        return at_error_syntax(err, 0, SHOWN "too large", m->what, text);
    *value = whole + part;
    return AT_OK;
}

enum at_status at_duration_parse(int64_t *ns, const char *text,
                                 struct at_error *err)
{
    uint64_t value = 0;
    const enum at_status st = parse(&value, text, &duration, err);

    if (st == AT_OK)
        *ns = (int64_t)value;
    return st;
}

enum at_status at_size_parse(uint64_t *n, const char *text,
                             struct at_error *err)
{
    return parse(n, text, &size, err);
}
