/*
 * text.c - bytes that grow
 */
#include <stdlib.h>
#include <string.h>

#include "archive_trace.h"

enum { FIRST_ROOM = 4096 };

static bool make_room(struct at_text *t, size_t n)
{
    size_t room = t->room > 0 ? t->room : FIRST_ROOM;
    char *p;

    if (t->failed || n > SIZE_MAX / 4 || t->n > SIZE_MAX / 4)
        return false;
    while (room < t->n + n)
        room *= 2;
    p = realloc(t->p, room);
    if (p == NULL)
        return false;
    t->p = p;
    t->room = room;
    return true;
}

void at_text_add(struct at_text *t, const void *p, size_t n)
{
    if (n > t->room - t->n && !make_room(t, n)) {
        t->failed = true;
        return;
    }
    if (n > 0)
        memcpy(t->p + t->n, p, n);
    t->n += n;
}

void at_text_close(struct at_text *t)
{
    free(t->p);
    *t = (struct at_text){.n = 0};
}
