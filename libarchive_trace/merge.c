/*
 * merge.c - several sources as one, by time
 *
 * A binary heap of one packet of each source.  A source is asked for its next
 * packet only when the one it gave has been handed out and the caller comes
 * back, so packets stay good as long as their sources promise.
 */
#include <stdlib.h>

#include "archive_trace.h"

struct head {
    struct at_packet pkt;
    size_t source;
};

struct at_merge {
    struct at_merge_source *source;
    struct head *heap;
    size_t n;     /* in the heap */
    size_t begun; /* sources that were asked for their first packet */
    size_t sources;
    bool out; /* the top was handed out */
};

enum at_status at_merge_open(struct at_merge **out,
                             const struct at_merge_source *source, size_t n,
                             struct at_error *err)
{
    struct at_merge *m = calloc(1, sizeof(*m));

    *out = NULL;
    if (m == NULL)
        return at_error_set(err, AT_ERR_MEMORY, "out of memory");
    m->source = calloc(n + 1, sizeof(m->source[0]));
    m->heap = calloc(n + 1, sizeof(m->heap[0]));
    if (m->source == NULL || m->heap == NULL) {
        at_merge_close(m);
        return at_error_set(err, AT_ERR_MEMORY, "out of memory");
    }
    for (size_t i = 0; i < n; i++)
        m->source[i] = source[i];
    m->sources = n;
    *out = m;
    return AT_OK;
}

void at_merge_close(struct at_merge *m)
{
    if (m == NULL)
        return;
    free(m->source);
    free(m->heap);
    free(m);
}

static bool before(const struct head *a, const struct head *b)
{
    if (a->pkt.ts != b->pkt.ts)
        return a->pkt.ts < b->pkt.ts;
    return a->source < b->source;
}

static void swap(struct head *a, struct head *b)
{
    const struct head c = *a;

    *a = *b;
    *b = c;
}

static void sift_up(struct at_merge *m, size_t i)
{
    while (i > 0 && before(&m->heap[i], &m->heap[(i - 1) / 2])) {
        swap(&m->heap[i], &m->heap[(i - 1) / 2]);
        i = (i - 1) / 2;
    }
}

static void sift_down(struct at_merge *m)
{
    size_t i = 0;

    for (;;) {
        size_t least = i;

        for (size_t c = 2 * i + 1; c <= 2 * i + 2 && c < m->n; c++)
            if (before(&m->heap[c], &m->heap[least]))
                least = c;
        if (least == i)
            return;
        swap(&m->heap[i], &m->heap[least]);
        i = least;
    }
}

static enum at_status begin_sources(struct at_merge *m, struct at_error *err)
{
    while (m->begun < m->sources) {
        struct head *h = &m->heap[m->n];
        const size_t i = m->begun++;
        const enum at_status st = m->source[i].next(m->source[i].ctx, &h->pkt,
                                                    err);

        if (st < 0) {
            m->begun--;
            return st;
        }
        if (st != AT_OK)
            continue;
        h->source = i;
        h->pkt.source = (uint32_t)i;
        sift_up(m, m->n++);
    }
    return AT_OK;
}

/* Puts the next packet of the source at the top in the place of the last. */
static enum at_status advance_top(struct at_merge *m, struct at_error *err)
{
    const struct at_merge_source *s = &m->source[m->heap[0].source];
    const enum at_status st = s->next(s->ctx, &m->heap[0].pkt, err);

    if (st < 0)
        return st;
    m->out = false;
    m->heap[0].pkt.source = (uint32_t)m->heap[0].source;
    if (st == AT_END)
        m->heap[0] = m->heap[--m->n];
    sift_down(m);
    return AT_OK;
}

enum at_status at_merge_next(struct at_merge *m, struct at_packet *pkt,
                             size_t *from, struct at_error *err)
{
    enum at_status st = begin_sources(m, err);

    if (st == AT_OK && m->out)
        st = advance_top(m, err);
    if (st != AT_OK)
        return st;
    if (m->n == 0)
        return AT_END;
    *pkt = m->heap[0].pkt;
    if (from != NULL)
        *from = m->heap[0].source;
    m->out = true;
    return AT_OK;
}
