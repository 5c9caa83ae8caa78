/*
 * sums.c - sums by key
 *
 * A table of numbers into an array of sums, half full at most.
 */
#include <stdlib.h>
#include <string.h>

#include "bytes.h"
#include "sum_key.h"

static size_t hash_of(const struct at_key_value *value)
{
    uint64_t h = (uintptr_t)value->name * UINT64_C(0x9e3779b97f4a7c15);

    for (size_t i = 0; i < sizeof(value->b); i += 8)
        h = (h ^ at_load_le64(value->b + i)) * UINT64_C(0x9e3779b97f4a7c15);
    return (size_t)(h ^ h >> 29);
}

static void put_slot(struct at_sums *s, uint32_t number)
{
    size_t i = hash_of(&s->sum[number].value) & (s->slots - 1);

    while (s->slot[i] != 0)
        i = (i + 1) & (s->slots - 1);
    s->slot[i] = number + 1;
}

static bool grow(struct at_sums *s)
{
    const size_t room = s->room * 2 + 512;
    size_t slots = 1024;
    struct at_sum *sum = realloc(s->sum, room * sizeof(*sum));
    uint32_t *slot;

    if (sum == NULL)
        return false;
    s->sum = sum;
    while (slots < 2 * room)
        slots *= 2;
    slot = calloc(slots, sizeof(*slot));
    if (slot == NULL)
        return false;
    s->room = room;
    free(s->slot);
    s->slot = slot;
    s->slots = slots;
    for (size_t i = 0; i < s->n; i++)
        put_slot(s, (uint32_t)i);
    return true;
}

struct at_sum *at_sums_of(struct at_sums *s, const struct at_key_value *value)
{
    size_t i;

    if (s->n == s->room && !grow(s))
        return NULL;
    i = hash_of(value) & (s->slots - 1);
    for (; s->slot[i] != 0; i = (i + 1) & (s->slots - 1)) {
        struct at_sum *sum = &s->sum[s->slot[i] - 1];

        if (memcmp(&sum->value, value, sizeof(*value)) == 0)
            return sum;
    }
    s->sum[s->n] = (struct at_sum){.value = *value};
    s->slot[i] = (uint32_t)++s->n;
    return &s->sum[s->n - 1];
}

void at_sums_seek(const struct at_sums *s, const struct at_key_value *value)
{
    if (s->slots > 0)
        __builtin_prefetch(&s->slot[hash_of(value) & (s->slots - 1)]);
}

void at_sums_touch(const struct at_sums *s, const struct at_key_value *value)
{
    const uint32_t number = s->slots > 0
                                ? s->slot[hash_of(value) & (s->slots - 1)]
                                : 0;

    if (number > 0)
        __builtin_prefetch(&s->sum[number - 1]);
}

static int by_value(const struct at_sum *x, const struct at_sum *y)
{
    if (x->value.name != NULL && y->value.name != NULL)
        return strcmp(x->value.name, y->value.name);
    return memcmp(&x->value, &y->value, sizeof(x->value));
}

static int larger(uint64_t x, uint64_t y, const void *a, const void *b)
{
    return x != y ? (x > y ? -1 : 1) : by_value(a, b);
}

static int by_bytes(const void *a, const void *b)
{
    return larger(((const struct at_sum *)a)->bytes,
                  ((const struct at_sum *)b)->bytes, a, b);
}

static int by_packets(const void *a, const void *b)
{
    return larger(((const struct at_sum *)a)->packets,
                  ((const struct at_sum *)b)->packets, a, b);
}

static int by_flows(const void *a, const void *b)
{
    return larger(((const struct at_sum *)a)->flows,
                  ((const struct at_sum *)b)->flows, a, b);
}

void at_sums_sort(struct at_sums *s, enum at_measure by)
{
    static int (*const order[])(const void *, const void *) = {
        [AT_BY_BYTES] = by_bytes,
        [AT_BY_PACKETS] = by_packets,
        [AT_BY_FLOWS] = by_flows,
    };

    if (s->n > 0)
        qsort(s->sum, s->n, sizeof(s->sum[0]), order[by]);
}

void at_sums_close(struct at_sums *s)
{
    free(s->sum);
    free(s->slot);
    *s = (struct at_sums){.n = 0};
}
