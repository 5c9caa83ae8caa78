/*
 * seen.c - the blocks that flows were seen in
 */
#include "seen.h"

#include <stdlib.h>
#include <string.h>

struct seen {
    uint32_t flow;
    uint32_t block;
};

struct at_seen_log {
    struct seen *p;
    size_t n, room;
};

void at_seen_close(struct at_seen *s)
{
    for (size_t i = 0; i < s->spans; i++)
        at_seen_drop(s, i);
    free(s->log);
    *s = (struct at_seen){.spans = 0};
}

static enum at_status grow_spans(struct at_seen *s, size_t span)
{
    const size_t spans = span * 2 + 1;
    struct at_seen_log *p = realloc(s->log, spans * sizeof(*p));

    if (p == NULL)
        return AT_ERR_MEMORY;
    memset(p + s->spans, 0, (spans - s->spans) * sizeof(*p));
    s->log = p;
    s->spans = spans;
    return AT_OK;
}

static enum at_status grow_log(struct at_seen_log *log)
{
    const size_t room = log->room + log->room / 2 + 1024;
    struct seen *p = realloc(log->p, room * sizeof(*p));

    if (p == NULL)
        return AT_ERR_MEMORY;
    log->p = p;
    log->room = room;
    return AT_OK;
}

enum at_status at_seen_add(struct at_seen *s, uint32_t flow, uint32_t block)
{
    const size_t span = flow / AT_SEEN_SPAN;
    struct at_seen_log *log;

    if (span >= s->spans && grow_spans(s, span) != AT_OK)
        return AT_ERR_MEMORY;
    log = &s->log[span];
    if (log->n == log->room && grow_log(log) != AT_OK)
        return AT_ERR_MEMORY;
    log->p[log->n++] = (struct seen){flow, block};
    return AT_OK;
}

/* No number becomes larger, so a log is read before anything is put over what
 * was in it. */
enum at_status at_seen_renumber(struct at_seen *s, const uint32_t *to)
{
    enum at_status st = AT_OK;

    for (size_t span = 0; span < s->spans; span++) {
        const size_t n = s->log[span].n;

        s->log[span].n = 0;
        for (size_t i = 0; i < n && st == AT_OK; i++) {
            const struct seen seen = s->log[span].p[i];

            if (to[seen.flow] != AT_SEEN_GONE)
                st = at_seen_add(s, to[seen.flow], seen.block);
        }
    }
    return st;
}

void at_seen_drop(struct at_seen *s, size_t span)
{
    if (span >= s->spans)
        return;
    free(s->log[span].p);
    s->log[span] = (struct at_seen_log){.n = 0};
}

static enum at_status make_room(struct at_seen_lists *l, size_t items)
{
    if (l->at == NULL)
        l->at = malloc((AT_SEEN_SPAN + 2) * sizeof(l->at[0]));
    if (items > l->room) {
        free(l->item);
        l->room = items + items / 4;
        l->item = malloc(l->room * sizeof(l->item[0]));
    }
    return l->at != NULL && l->item != NULL ? AT_OK : AT_ERR_MEMORY;
}

enum at_status at_seen_sort(const struct at_seen *s, size_t span,
                            struct at_seen_lists *l)
{
    const struct at_seen_log none = {.n = 0};
    const struct at_seen_log *log = span < s->spans ? &s->log[span] : &none;

    if (make_room(l, log->n + AT_SEEN_SPAN) != AT_OK)
        return AT_ERR_MEMORY;
    memset(l->at, 0, (AT_SEEN_SPAN + 2) * sizeof(l->at[0]));
    for (size_t i = 0; i < log->n; i++)
        l->at[log->p[i].flow % AT_SEEN_SPAN + 2]++;
    for (size_t i = 2; i < AT_SEEN_SPAN + 2; i++)
        l->at[i] += l->at[i - 1] + 1;
    for (size_t i = 0; i < log->n; i++)
        l->item[l->at[log->p[i].flow % AT_SEEN_SPAN + 1]++] = log->p[i].block;
    return AT_OK;
}

void at_seen_lists_close(struct at_seen_lists *l)
{
    free(l->at);
    free(l->item);
    *l = (struct at_seen_lists){.room = 0};
}
