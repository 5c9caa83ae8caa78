/*
 * netset.c - a set of addresses and networks, read from a file
 *
 * Every line becomes a range of 17-byte numbers, the family before the
 * address; sorted and joined, they are found by bisection.
 */
#include "netset.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "errors.h"

enum { KEY = 17 }; /* 4 or 6, and the address */

struct range {
    uint8_t low[KEY];
    uint8_t high[KEY];
};

struct at_netset {
    struct range *range;
    size_t n, room;
};

static enum at_status add(struct at_netset *set, const struct range *r)
{
    if (set->n == set->room) {
        const size_t room = set->room * 2 + 64;
        struct range *p = realloc(set->range, room * sizeof(*p));

        if (p == NULL)
            return AT_ERR_MEMORY;
        set->range = p;
        set->room = room;
    }
    set->range[set->n++] = *r;
    return AT_OK;
}

/* Fills both ends with the first and last address of addr/prefix. */
static void make_range(struct range *r, const uint8_t *addr, unsigned bytes,
                       unsigned prefix)
{
    memset(r, 0, sizeof(*r));
    r->low[0] = r->high[0] = bytes == 4 ? 4 : 6;
    for (unsigned i = 0; i < bytes; i++) {
        const unsigned kept = prefix > 8 * i ? prefix - 8 * i : 0;
        const uint8_t mask = (uint8_t)(kept >= 8 ? 0xff : 0xff00 >> kept);

        r->low[1 + i] = addr[i] & mask;
        r->high[1 + i] = (uint8_t)(addr[i] | (uint8_t)~mask);
    }
}

/* False if the word is no address or network. */
static bool parse_word(struct range *r, char *word)
{
    char *slash = strchr(word, '/');
    uint8_t addr[16];
    unsigned bytes = 4;
    unsigned long prefix;
    char *end = NULL;

    if (slash != NULL)
        *slash = '\0';
    if (inet_pton(AF_INET, word, addr) != 1) {
        bytes = 16;
        if (inet_pton(AF_INET6, word, addr) != 1)
            return false;
    }
    prefix = 8UL * bytes;
    if (slash != NULL) {
        errno = 0;
        prefix = strtoul(slash + 1, &end, 10);
        if (slash[1] < '0' || slash[1] > '9' || *end != '\0' || errno != 0 ||
            prefix > 8UL * bytes)
            return false;
    }
    make_range(r, addr, bytes, (unsigned)prefix);
    return true;
}

static int by_low(const void *a, const void *b)
{
    const struct range *x = a, *y = b;

    return memcmp(x->low, y->low, KEY);
}

/* Sorts the ranges and joins those that overlap. */
static void join(struct at_netset *set)
{
    size_t n = 0;

    if (set->n == 0)
        return;
    qsort(set->range, set->n, sizeof(set->range[0]), by_low);
    for (size_t i = 1; i < set->n; i++) {
        struct range *last = &set->range[n];

        if (memcmp(set->range[i].low, last->high, KEY) > 0)
            set->range[++n] = set->range[i];
        else if (memcmp(set->range[i].high, last->high, KEY) > 0)
            memcpy(last->high, set->range[i].high, KEY);
    }
    set->n = n + 1;
}

static enum at_status read_lines(struct at_netset *set, FILE *file,
                                 const char *path, struct at_error *err)
{
    enum at_status st = AT_OK;
    char *line = NULL;
    size_t room = 0;
    size_t number = 0;

    while (st == AT_OK && getline(&line, &room, file) >= 0) {
        char *word = line + strspn(line, " \t\r\n");
        struct range r;

        number++;
        word[strcspn(word, " \t\r\n#")] = '\0';
        if (*word == '\0')
            continue;
        if (!parse_word(&r, word))
            st = at_error_set(err, AT_ERR_FORMAT,
                              "%s: line %zu: neither an address nor a network",
                              path, number);
        else if (add(set, &r) != AT_OK)
            st = at_error_set(err, AT_ERR_MEMORY, "out of memory");
    }
    free(line);
    if (st == AT_OK && ferror(file))
        st = at_error_system(err, path, "read");
    return st;
}

enum at_status at_netset_open(struct at_netset **out, const char *path,
                              struct at_error *err)
{
    struct at_netset *set = calloc(1, sizeof(*set));
    FILE *file;
    enum at_status st;

    *out = NULL;
    if (set == NULL)
        return at_error_set(err, AT_ERR_MEMORY, "out of memory");
    file = fopen(path, "re");
    st = file != NULL ? read_lines(set, file, path, err)
                      : at_error_system(err, path, "open");
    if (file != NULL)
        fclose(file);
    if (st != AT_OK) {
        at_netset_close(set);
        return st;
    }
    join(set);
    *out = set;
    return AT_OK;
}

bool at_netset_has(const struct at_netset *set, const uint8_t *addr,
                   unsigned addr_bytes)
{
    size_t lo = 0, hi = set->n;
    struct range r;

    make_range(&r, addr, addr_bytes, 8 * addr_bytes);
    while (lo < hi) {
        const size_t mid = (lo + hi) / 2;

        if (memcmp(set->range[mid].high, r.low, KEY) < 0)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo < set->n && memcmp(set->range[lo].low, r.low, KEY) <= 0;
}

size_t at_netset_ranges(const struct at_netset *set)
{
    return set->n;
}

void at_netset_close(struct at_netset *set)
{
    if (set == NULL)
        return;
    free(set->range);
    free(set);
}
