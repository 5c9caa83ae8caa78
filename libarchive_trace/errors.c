/*
 * errors.c - the one place where the text of an error is put together
 *
 * Names and excerpts in a message come from files and command lines, and a
 * terminal obeys control characters; so they are replaced here, for all.
 */
#include "errors.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

static void set(struct at_error *err, enum at_status status, int column,
                const char *fmt, va_list args)
{
    struct at_error made = {.status = status, .column = column};

    if (err == NULL)
        return;
    /* Not into *err at once: its text may be among the arguments. */
    if (vsnprintf(made.msg, sizeof(made.msg), fmt, args) < 0)
        made.msg[0] = '\0';
    for (char *p = made.msg; *p != '\0'; p++)
        if ((unsigned char)*p < 0x20 || *p == 0x7f)
            *p = '?';
    *err = made;
}

enum at_status at_error_set(struct at_error *err, enum at_status status,
                            const char *fmt, ...)
{
    const int saved = errno;
    va_list args;

    va_start(args, fmt);
    set(err, status, -1, fmt, args);
    va_end(args);
    errno = saved;
    return status;
}

enum at_status at_error_within(struct at_error *err, enum at_status status,
                               const char *where, const char *between,
                               const char *fmt, va_list args)
{
    struct at_error text;

    set(&text, status, -1, fmt, args);
    return at_error_set(err, status, "%s%s%s", where, between, text.msg);
}

enum at_status at_error_syntax(struct at_error *err, size_t column,
                               const char *fmt, ...)
{
    const int saved = errno;
    va_list args;

    va_start(args, fmt);
    set(err, AT_ERR_SYNTAX, column < INT_MAX ? (int)column : INT_MAX, fmt,
        args);
    va_end(args);
    errno = saved;
    return AT_ERR_SYNTAX;
}

/* strerror_r() of GNU returns the text, that of POSIX puts it into 'buf'. */
static const char *system_text(int number, char *buf, size_t size)
{
#if defined(__GLIBC__) && defined(_GNU_SOURCE)
    return strerror_r(number, buf, size);
#else
    if (strerror_r(number, buf, size) != 0)
        snprintf(buf, size, "error %d", number);
    return buf;
#endif
}

enum at_status at_error_system(struct at_error *err, const char *name,
                               const char *what)
{
    const int number = errno;
    char text[128];

    at_error_set(err, AT_ERR_SYSTEM, "%s: cannot %s: %s", name, what,
                 system_text(number, text, sizeof(text)));
    errno = number;
    return AT_ERR_SYSTEM;
}

enum at_status at_error_copy(struct at_error *err, const struct at_error *from)
{
    if (err != NULL)
        *err = *from;
    return from->status;
}
