/*
 * results.c - what workers publish, on its way to the reporter
 *
 * In a text a result is a head and its bytes, padded so that the next head is
 * aligned for anything.
 */
#include "results.h"

#include <stdalign.h>
#include <stdlib.h>
#include <string.h>

#include "errors.h"

struct head {
    alignas(max_align_t) uint64_t key;
    uint64_t position;
    size_t bytes;
    unsigned worker;
    bool tick;
};

static size_t padding(size_t bytes)
{
    return (alignof(max_align_t) - bytes % alignof(max_align_t)) %
           alignof(max_align_t);
}

enum at_status at_result_append(struct at_text *text, const struct at_result *r)
{
    static const char zeros[alignof(max_align_t)];
    struct head head;

    memset(&head, 0, sizeof(head));
    head.key = r->key;
    head.position = r->position;
    head.bytes = r->bytes;
    head.worker = r->worker;
    head.tick = r->tick;
    at_text_add(text, &head, sizeof(head));
    at_text_add(text, r->data, r->bytes);
    at_text_add(text, zeros, padding(r->bytes));
    return text->failed ? AT_ERR_MEMORY : AT_OK;
}

static enum at_status make_room(struct at_results *r)
{
    const size_t room = r->room > 0 ? 2 * r->room : 64;
    struct at_result *p;

    if (r->n < r->room)
        return AT_OK;
    p = realloc(r->result, room * sizeof(p[0]));
    if (p == NULL)
        return AT_ERR_MEMORY;
    r->result = p;
    r->room = room;
    return AT_OK;
}

enum at_status at_results_add(struct at_results *r, const struct at_text *text)
{
    for (size_t at = 0; at < text->n;) {
        const struct head *head = (const void *)(text->p + at);

        if (make_room(r) != AT_OK)
            return AT_ERR_MEMORY;
        r->result[r->n++] = (struct at_result){
            .key = head->key,
            .data = head + 1,
            .bytes = head->bytes,
            .worker = head->worker,
            .tick = head->tick,
            .position = head->position,
        };
        at += sizeof(*head) + head->bytes + padding(head->bytes);
    }
    return AT_OK;
}

/* What a worker published in one text lies there in its own order. */
static int by_position(const void *va, const void *vb)
{
    const struct at_result *a = va, *b = vb;

    if (a->position != b->position)
        return a->position < b->position ? -1 : 1;
    if (a->tick != b->tick)
        return a->tick ? -1 : 1;
    if (a->worker != b->worker)
        return a->worker < b->worker ? -1 : 1;
    return (uintptr_t)a->data < (uintptr_t)b->data ? -1 : 1;
}

void at_results_sort(struct at_results *r)
{
    if (r->n > 1)
        qsort(r->result, r->n, sizeof(r->result[0]), by_position);
}

bool at_cut_before(const struct at_cut *a, const struct at_cut *b)
{
    if (a->position != b->position)
        return a->position < b->position;
    if (a->tick != b->tick)
        return a->tick;
    return a->worker < b->worker;
}

bool at_result_before(const struct at_result *r, const struct at_cut *cut)
{
    const struct at_cut at = {r->position, r->worker, r->tick};

    return !at_cut_before(cut, &at);
}

/* ---- sorted ---------------------------------------------------------- */

struct sorted {
    struct at_result result; /* 'data' is the copy's */
    uint64_t number;         /* as it came */
};

struct at_sorter {
    struct sorted *heap;
    size_t n, room;
    uint64_t window;
    uint64_t most; /* key so far */
    uint64_t given;
    uint64_t number;
    uint64_t late;
    struct at_result taken;
};

enum at_status at_sorter_open(struct at_sorter **out, uint64_t window,
                              struct at_error *err)
{
    struct at_sorter *s = calloc(1, sizeof(*s));

    *out = s;
    if (s == NULL)
        return at_error_set(err, AT_ERR_MEMORY, "out of memory");
    s->window = window;
    return AT_OK;
}

static void free_data(struct at_result *r)
{
    free((void *)(uintptr_t)r->data);
    r->data = NULL;
}

void at_sorter_close(struct at_sorter *s)
{
    if (s == NULL)
        return;
    for (size_t i = 0; i < s->n; i++)
        free_data(&s->heap[i].result);
    free_data(&s->taken);
    free(s->heap);
    free(s);
}

static bool sorts_before(const struct sorted *a, const struct sorted *b)
{
    if (a->result.key != b->result.key)
        return a->result.key < b->result.key;
    return a->number < b->number;
}

static enum at_status heap_room(struct at_sorter *s)
{
    const size_t room = s->room > 0 ? 2 * s->room : 64;
    struct sorted *heap;

    if (s->n < s->room)
        return AT_OK;
    heap = realloc(s->heap, room * sizeof(heap[0]));
    if (heap == NULL)
        return AT_ERR_MEMORY;
    s->heap = heap;
    s->room = room;
    return AT_OK;
}

enum at_status at_sorter_add(struct at_sorter *s, const struct at_result *r)
{
    struct sorted new = {.result = *r, .number = s->number};
    char *copy = malloc(r->bytes > 0 ? r->bytes : 1);
    size_t i;

    if (copy == NULL || heap_room(s) != AT_OK) {
        free(copy);
        return AT_ERR_MEMORY;
    }
    memcpy(copy, r->data, r->bytes);
    new.result.data = copy;
    s->number++;
    s->late += r->key < s->given;
    if (r->key > s->most)
        s->most = r->key;
    for (i = s->n++; i > 0 && sorts_before(&new, &s->heap[(i - 1) / 2]);
         i = (i - 1) / 2)
        s->heap[i] = s->heap[(i - 1) / 2];
    s->heap[i] = new;
    return AT_OK;
}

static void heap_drop_top(struct at_sorter *s)
{
    const struct sorted last = s->heap[--s->n];
    size_t i = 0;

    for (;;) {
        size_t c = 2 * i + 1;

        if (c + 1 < s->n && sorts_before(&s->heap[c + 1], &s->heap[c]))
            c++;
        if (c >= s->n || !sorts_before(&s->heap[c], &last))
            break;
        s->heap[i] = s->heap[c];
        i = c;
    }
    s->heap[i] = last;
}

const struct at_result *at_sorter_take(struct at_sorter *s, bool end)
{
    const bool due = s->n > 0 && s->window > 0 &&
                     s->most - s->heap[0].result.key > s->window;

    if (s->n == 0 || !(due || end))
        return NULL;
    free_data(&s->taken);
    s->taken = s->heap[0].result;
    if (s->taken.key > s->given)
        s->given = s->taken.key;
    heap_drop_top(s);
    return &s->taken;
}

uint64_t at_sorter_late(const struct at_sorter *s)
{
    return s->late;
}
