/*
 * rank.c - the best of many rows: a heap with the worst of them at its top
 */
#include "rank.h"

#include <stdlib.h>
#include <string.h>

struct at_rank {
    size_t key_bytes, row_bytes, most;
    char *rows;
    size_t n, room;
    uint64_t added;
};

struct at_rank *at_rank_open(size_t key_bytes, size_t row_bytes, size_t most)
{
    struct at_rank *r = calloc(1, sizeof(*r));

    if (r == NULL)
        return NULL;
    r->key_bytes = key_bytes;
    r->row_bytes = row_bytes;
    r->most = most > 0 ? most : SIZE_MAX;
    return r;
}

void at_rank_close(struct at_rank *r)
{
    if (r == NULL)
        return;
    free(r->rows);
    free(r);
}

/* Below 0 if 'a' is the better one. */
static int compare(const void *a, const void *b, void *ctx)
{
    const struct at_rank *r = ctx;
    uint64_t x, y;

    memcpy(&x, a, sizeof(x));
    memcpy(&y, b, sizeof(y));
    if (x != y)
        return x > y ? -1 : 1;
    return memcmp((const char *)a + sizeof(x), (const char *)b + sizeof(y),
                  r->key_bytes);
}

static char *row_at(const struct at_rank *r, size_t i)
{
    return r->rows + i * r->row_bytes;
}

static bool make_room(struct at_rank *r)
{
    const size_t room = r->room > 0 ? 2 * r->room : 64;
    char *rows;

    if (r->n < r->room)
        return true;
    if (room > SIZE_MAX / r->row_bytes)
        return false;
    rows = realloc(r->rows, room * r->row_bytes);
    if (rows == NULL)
        return false;
    r->rows = rows;
    r->room = room;
    return true;
}

/* Puts a row where the hole at 'i' moves to on its way up. */
static void put_up(struct at_rank *r, size_t i, const void *row)
{
    for (; i > 0 && compare(row, row_at(r, (i - 1) / 2), r) > 0;
         i = (i - 1) / 2)
        memcpy(row_at(r, i), row_at(r, (i - 1) / 2), r->row_bytes);
    memcpy(row_at(r, i), row, r->row_bytes);
}

/* Puts a row where the hole at the top moves to on its way down. */
static void put_down(struct at_rank *r, const void *row)
{
    size_t i = 0;

    for (;;) {
        size_t c = 2 * i + 1;

        if (c + 1 < r->n && compare(row_at(r, c + 1), row_at(r, c), r) > 0)
            c++;
        if (c >= r->n || compare(row_at(r, c), row, r) <= 0)
            break;
        memcpy(row_at(r, i), row_at(r, c), r->row_bytes);
        i = c;
    }
    memcpy(row_at(r, i), row, r->row_bytes);
}

bool at_rank_add(struct at_rank *r, const void *row)
{
    r->added++;
    if (r->n == r->most) {
        if (compare(row, r->rows, r) < 0)
            put_down(r, row);
        return true;
    }
    if (!make_room(r))
        return false;
    put_up(r, r->n++, row);
    return true;
}

const void *at_rank_rows(struct at_rank *r, size_t *n)
{
    *n = r->n;
    if (r->n > 1)
        qsort_r(r->rows, r->n, r->row_bytes, compare, r);
    return r->rows;
}

uint64_t at_rank_added(const struct at_rank *r)
{
    return r->added;
}
