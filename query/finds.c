/*
 * finds.c - flows that were found
 *
 * They come as runs that are sorted, one from each index, so runs are merged: a
 * run waits until what follows has become half as long (as Timsort and its
 * kin do, see Auger and others, "Merge Strategies: from Merge Sort to TimSort",
 * 2015).
 */
#include "finds.h"

#include <stdlib.h>
#include <string.h>

enum { CHUNK = 256 };

/* Room for so many pointers. */
static enum at_status make_room(struct at_finds *finds, size_t n)
{
    const size_t room = n * 2;
    struct at_found **p;

    if (n <= finds->room)
        return AT_OK;
    p = realloc(finds->found, room * sizeof(struct at_found *));
    if (p == NULL)
        return AT_ERR_MEMORY;
    finds->found = p;
    finds->room = room;
    return AT_OK;
}

static enum at_status keep_chunks(struct at_finds *finds,
                                  struct at_found *const chunk[], size_t n)
{
    struct at_found **p = realloc(finds->chunk, (finds->chunks + n) *
                                                    sizeof(struct at_found *));

    if (p == NULL)
        return AT_ERR_MEMORY;
    finds->chunk = p;
    memcpy(p + finds->chunks, chunk, n * sizeof(struct at_found *));
    finds->chunks += n;
    return AT_OK;
}

static enum at_status make_more(struct at_finds *finds)
{
    struct at_found *chunk = malloc(CHUNK * sizeof(*chunk));

    if (chunk == NULL || make_room(finds, finds->made + CHUNK) != AT_OK ||
        keep_chunks(finds, &chunk, 1) != AT_OK) {
        free(chunk);
        return AT_ERR_MEMORY;
    }
    for (size_t i = 0; i < CHUNK; i++)
        finds->found[finds->made++] = &chunk[i];
    return AT_OK;
}

enum at_status at_finds_add(struct at_finds *finds,
                            const struct at_flow_row *row, size_t target)
{
    if (finds->n == finds->made && make_more(finds) != AT_OK)
        return AT_ERR_MEMORY;
    *finds->found[finds->n++] = (struct at_found){*row, target};
    return AT_OK;
}

enum at_status at_finds_move(struct at_finds *finds, struct at_finds *from)
{
    const size_t unused = finds->made - finds->n;
    struct at_found **end;

    if (from->made == 0)
        return AT_OK;
    if (make_room(finds, finds->made + from->made) != AT_OK ||
        keep_chunks(finds, from->chunk, from->chunks) != AT_OK)
        return AT_ERR_MEMORY;
    end = finds->found + finds->n;
    memmove(end + from->made, end, unused * sizeof(struct at_found *));
    memcpy(end, from->found, from->made * sizeof(struct at_found *));
    finds->n += from->n;
    finds->made += from->made;
    free(from->found);
    free(from->chunk);
    *from = (struct at_finds){.n = 0};
    return AT_OK;
}

size_t at_finds_drop_whole(struct at_finds *finds, bool all)
{
    const size_t before = finds->n;
    size_t left = all ? 0 : finds->passed;

    for (size_t i = left; i < before; i++)
        if (!all && !at_flow_row_is_whole(&finds->found[i]->row))
            at_finds_keep(finds, i, &left);
    finds->n = finds->passed = left;
    return before - left;
}

void at_finds_close(struct at_finds *finds)
{
    for (size_t i = 0; i < finds->chunks; i++)
        free(finds->chunk[i]);
    free(finds->chunk);
    free(finds->found);
    *finds = (struct at_finds){.n = 0};
}

/* ---- order ----------------------------------------------------------- */

/* An order of flows that begin at the same time, whatever found them. */
static int by_ends(const struct at_flow_row *x, const struct at_flow_row *y)
{
    int order = x->proto - y->proto;

    if (order == 0)
        order = memcmp(x->src, y->src, sizeof(x->src));
    if (order == 0)
        order = memcmp(x->dst, y->dst, sizeof(x->dst));
    if (order == 0)
        order = x->sport - y->sport;
    if (order == 0)
        order = x->dport - y->dport;
    if (order == 0)
        order = x->vlan - y->vlan;
    if (order == 0)
        order = (int)x->mpls - (int)y->mpls;
    return order != 0 ? order : x->inner - y->inner;
}

static bool is_after(const struct at_found *x, const struct at_found *y)
{
    if (x->row.start_ns != y->row.start_ns)
        return x->row.start_ns > y->row.start_ns;
    if (x->target != y->target)
        return x->target > y->target;
    return by_ends(&x->row, &y->row) > 0;
}

struct run {
    size_t at, n;
};

struct sorting {
    struct at_found **found;
    struct at_found **spare; /* for the first of two runs */
    struct run run[128];     /* each more than half of that before it */
    unsigned runs;
};

/* The last two runs become one. */
static void merge_runs(struct sorting *s)
{
    struct run *a = &s->run[s->runs - 2];
    const struct run *b = &s->run[--s->runs];
    struct at_found **out = s->found + a->at;
    size_t i = 0, k = 0;

    memcpy(s->spare, out, a->n * sizeof(struct at_found *));
    while (i < a->n && k < b->n) {
        struct at_found *x = s->spare[i], *y = s->found[b->at + k];
        const bool second = is_after(x, y);

        *out++ = second ? y : x;
        k += second;
        i += !second;
    }
    memcpy(out, s->spare + i, (a->n - i) * sizeof(struct at_found *));
    a->n += b->n;
}

/* Where the run that begins at 'i' ends. */
static size_t run_end(const struct at_finds *finds, size_t i)
{
    while (++i < finds->n && !is_after(finds->found[i - 1], finds->found[i]))
        ;
    return i;
}

enum at_status at_finds_sort(struct at_finds *finds)
{
    struct sorting s = {.found = finds->found};
    size_t end = finds->n > 0 ? run_end(finds, 0) : 0;

    if (end == finds->n)
        return AT_OK;
    s.spare = malloc(finds->n * sizeof(struct at_found *));
    if (s.spare == NULL)
        return AT_ERR_MEMORY;
    for (size_t at = 0; at < finds->n; at = end) {
        end = run_end(finds, at);
        s.run[s.runs++] = (struct run){at, end - at};
        while (s.runs > 1 && s.run[s.runs - 2].n < 2 * s.run[s.runs - 1].n)
            merge_runs(&s);
    }
    while (s.runs > 1)
        merge_runs(&s);
    free(s.spare);
    return AT_OK;
}
