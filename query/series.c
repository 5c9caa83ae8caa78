/*
 * series.c - rows by number, found in any order, given out in order
 *
 * A skip list (Pugh 1990).  How high a row stands is drawn from a generator
 * that starts at a number which who made the trace cannot know.  The caller's
 * bytes lie before the row's own, which are as many as the row is high.
 */
#include "series.h"

#include <stdalign.h>
#include <stdlib.h>

#include "sight.h"

enum { LEVELS = 16 }; /* each has one in four of the one below */

struct row {
    int64_t number;
    struct row *next[]; /* of each of its levels */
};

struct at_series {
    struct row *head[LEVELS]; /* the first of each level */
    struct row *found;        /* last; NULL if it was dropped */
    size_t row_bytes;         /* the caller's, aligned for anything */
    size_t rows;
    uint64_t random;
};

struct at_series *at_series_open(size_t row_bytes)
{
    const size_t more = alignof(max_align_t) - 1;
    struct at_series *s = calloc(1, sizeof(*s));

    if (s == NULL)
        return NULL;
    s->row_bytes = (row_bytes + more) & ~more;
    s->random = at_flow_key_seed() | 1;
    return s;
}

static unsigned draw_height(struct at_series *s) /* xorshift: Marsaglia 2003 */
{
    unsigned high = 1;
    uint64_t bits;

    s->random ^= s->random << 13;
    s->random ^= s->random >> 7;
    s->random ^= s->random << 17;
    bits = s->random >> 16;
    for (; high < LEVELS && (bits & 3) == 0; high++)
        bits >>= 2;
    return high;
}

/* The links, one a level, that lead to the first row not below 'number'. */
static void find_links(struct at_series *s, int64_t number,
                       struct row **link[LEVELS])
{
    struct row **from = s->head;

    for (int level = LEVELS - 1; level >= 0; level--) {
        while (from[level] != NULL && from[level]->number < number)
            from = from[level]->next;
        link[level] = &from[level];
    }
}

static struct row *add_row(struct at_series *s, int64_t number,
                           struct row **link[LEVELS])
{
    const unsigned high = draw_height(s);
    char *p = calloc(1, s->row_bytes + sizeof(struct row) +
                            high * sizeof(struct row *));
    struct row *row;

    if (p == NULL)
        return NULL;
    row = (void *)(p + s->row_bytes);
    row->number = number;
    for (unsigned level = 0; level < high; level++) {
        row->next[level] = *link[level];
        *link[level] = row;
    }
    s->rows++;
    return row;
}

static void *bytes_of(const struct at_series *s, struct row *row)
{
    return (char *)row - s->row_bytes;
}

void *at_series_row(struct at_series *s, int64_t number)
{
    struct row **link[LEVELS];

    if (s->found == NULL || s->found->number != number) {
        find_links(s, number, link);
        s->found = *link[0] != NULL && (*link[0])->number == number
                       ? *link[0]
                       : add_row(s, number, link);
    }
    return s->found != NULL ? bytes_of(s, s->found) : NULL;
}

void *at_series_first(const struct at_series *s, int64_t *number)
{
    if (s->head[0] == NULL)
        return NULL;
    *number = s->head[0]->number;
    return bytes_of(s, s->head[0]);
}

void at_series_drop_first(struct at_series *s)
{
    struct row *row = s->head[0];

    if (row == NULL)
        return;
    for (unsigned level = 0; level < LEVELS && s->head[level] == row; level++)
        s->head[level] = row->next[level];
    if (s->found == row)
        s->found = NULL;
    s->rows--;
    free(bytes_of(s, row));
}

size_t at_series_rows(const struct at_series *s)
{
    return s->rows;
}

void at_series_close(struct at_series *s)
{
    while (s != NULL && s->head[0] != NULL)
        at_series_drop_first(s);
    free(s);
}
