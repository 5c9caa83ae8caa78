/*
 * reorder.c - packets that come late put in their place: a binary heap
 */
#include "reorder.h"

#include <stdlib.h>

#include "errors.h"

struct waiting {
    struct at_taken found;
    uint64_t ts;
    uint64_t number; /* as it came */
};

struct at_reorder {
    struct waiting *heap;
    size_t n, room;
    uint64_t window; /* 32.32 */
    uint64_t most_ts;
    uint64_t given_ts; /* of the packet that left last */
    uint64_t number;
    uint64_t late;
};

enum at_status at_reorder_open(struct at_reorder **out, int64_t window_ns,
                               struct at_error *err)
{
    struct at_reorder *r = calloc(1, sizeof(*r));

    *out = r;
    if (r == NULL)
        return at_error_set(err, AT_ERR_MEMORY, "out of memory");
    r->window = at_ts_from_ns((uint64_t)window_ns);
    return AT_OK;
}

void at_reorder_close(struct at_reorder *r)
{
    if (r == NULL)
        return;
    free(r->heap);
    free(r);
}

static bool before(const struct waiting *a, const struct waiting *b)
{
    const uint32_t sa = a->found.pkt->source, sb = b->found.pkt->source;

    if (a->ts != b->ts)
        return a->ts < b->ts;
    return sa != sb ? sa < sb : a->number < b->number;
}

static enum at_status make_room(struct at_reorder *r)
{
    const size_t room = r->room > 0 ? 2 * r->room : 1024;
    struct waiting *heap;

    if (r->n < r->room)
        return AT_OK;
    heap = realloc(r->heap, room * sizeof(heap[0]));
    if (heap == NULL)
        return AT_ERR_MEMORY;
    r->heap = heap;
    r->room = room;
    return AT_OK;
}

/* A record without a time stays behind the packets before it. */
static uint64_t time_of(const struct at_reorder *r, const struct at_packet *pkt)
{
    return pkt->kind == AT_KIND_PACKET && !pkt->timeless ? pkt->ts : r->most_ts;
}

enum at_status at_reorder_add(struct at_reorder *r,
                              const struct at_taken *found)
{
    struct waiting new = {.found = *found, .number = r->number};
    size_t i;

    if (make_room(r) != AT_OK)
        return AT_ERR_MEMORY;
    new.ts = time_of(r, found->pkt);
    r->number++;
    r->late += new.ts < r->given_ts;
    if (new.ts > r->most_ts)
        r->most_ts = new.ts;
    for (i = r->n++; i > 0 && before(&new, &r->heap[(i - 1) / 2]);
         i = (i - 1) / 2)
        r->heap[i] = r->heap[(i - 1) / 2];
    r->heap[i] = new;
    return AT_OK;
}

static void sift_down(struct at_reorder *r, struct waiting last)
{
    size_t i = 0;

    for (;;) {
        size_t c = 2 * i + 1;

        if (c + 1 < r->n && before(&r->heap[c + 1], &r->heap[c]))
            c++;
        if (c >= r->n || !before(&r->heap[c], &last))
            break;
        r->heap[i] = r->heap[c];
        i = c;
    }
    r->heap[i] = last;
}

bool at_reorder_last(struct at_reorder *r, struct at_taken *found)
{
    if (r->n == 0)
        return false;
    *found = r->heap[0].found;
    if (r->heap[0].ts > r->given_ts)
        r->given_ts = r->heap[0].ts;
    r->n--;
    if (r->n > 0)
        sift_down(r, r->heap[r->n]);
    return true;
}

bool at_reorder_due(struct at_reorder *r, struct at_taken *found)
{
    return r->n > 0 && r->most_ts - r->heap[0].ts >= r->window &&
           at_reorder_last(r, found);
}

uint64_t at_reorder_late(const struct at_reorder *r)
{
    return r->late;
}
