/*
 * set.c - sets of small numbers, as bitmaps
 *
 * A segment has at most some millions of flows, so a bitmap is a megabyte and
 * every operation a few microseconds.
 */
#include <stdlib.h>
#include <string.h>

#include "index.h"

static size_t words(const struct at_set *set)
{
    return (set->n + 63) / 64;
}

enum at_status at_set_open(struct at_set *set, size_t n, bool full)
{
    set->n = n;
    set->word = calloc(words(set) + 1, sizeof(set->word[0]));
    if (set->word == NULL)
        return AT_ERR_MEMORY;
    if (full)
        memset(set->word, 0xff, words(set) * sizeof(set->word[0]));
    if (full && n % 64 != 0)
        set->word[n / 64] &= (UINT64_C(1) << (n % 64)) - 1;
    return AT_OK;
}

void at_set_close(struct at_set *set)
{
    free(set->word);
    *set = (struct at_set){.n = 0};
}

size_t at_set_count(const struct at_set *set)
{
    size_t n = 0;

    for (size_t i = 0; i < words(set); i++)
        n += (size_t)__builtin_popcountll(set->word[i]);
    return n;
}

void at_set_and(struct at_set *set, const struct at_set *other)
{
    for (size_t i = 0; i < words(set); i++)
        set->word[i] &= other->word[i];
}

void at_set_or(struct at_set *set, const struct at_set *other)
{
    for (size_t i = 0; i < words(set); i++)
        set->word[i] |= other->word[i];
}

size_t at_set_next(const struct at_set *set, size_t i)
{
    uint64_t w;

    if (i >= set->n)
        return set->n;
    w = set->word[i / 64] >> (i % 64) << (i % 64);
    for (i /= 64; w == 0; w = set->word[i])
        if (++i >= words(set))
            return set->n;
    return i * 64 + (size_t)__builtin_ctzll(w);
}

size_t at_set_last(const struct at_set *set)
{
    for (size_t i = words(set); i-- > 0;)
        if (set->word[i] != 0)
            return i * 64 + 63 - (size_t)__builtin_clzll(set->word[i]);
    return set->n;
}

void at_set_bound(struct at_set *set, size_t first, size_t end)
{
    for (size_t i = 0; i < words(set); i++) {
        if (first > i * 64)
            set->word[i] &= first - i * 64 < 64
                                ? ~UINT64_C(0) << (first - i * 64)
                                : 0;
        if (end < i * 64 + 64)
            set->word[i] &= end > i * 64 ? (UINT64_C(1) << (end - i * 64)) - 1
                                         : 0;
    }
}
