/*
 * names.c - names, each kept once
 */
#include "names.h"

#include <stdlib.h>
#include <string.h>

#include "asked.h"
#include "sight.h"

enum { CHUNK = 1 << 16 };

void at_names_init(struct at_names *names)
{
    *names = (struct at_names){.seed = at_flow_key_seed()};
}

void at_names_close(struct at_names *names)
{
    for (size_t i = 0; i < names->chunks; i++)
        free(names->chunk[i]);
    free(names->chunk);
    free(names->name);
    free(names->slot);
    *names = (struct at_names){.n = 0};
}

const char *at_names_text(const struct at_names *names, uint32_t number)
{
    return names->name[number - 1];
}

static uint64_t hash(const struct at_names *names, const char *name, size_t n)
{
    uint64_t h = names->seed ^ n;

    while (n > 0) {
        const size_t part = n < 8 ? n : 8;
        uint64_t word = 0;
        __uint128_t m;

        memcpy(&word, name, part);
        m = (__uint128_t)(h ^ word) * (names->seed | 0x9e3779b97f4a7c15u);
        h = (uint64_t)m ^ (uint64_t)(m >> 64);
        name += part;
        n -= part;
    }
    return h ^ h >> 32;
}

/* Where the name is in the table, or would be. */
static uint32_t *find(const struct at_names *names, const char *name)
{
    size_t i = hash(names, name, strlen(name)) & (names->slots - 1);

    while (names->slot[i] != 0 &&
           strcmp(at_names_text(names, names->slot[i]), name) != 0)
        i = (i + 1) & (names->slots - 1);
    return &names->slot[i];
}

static enum at_status grow_table(struct at_names *names)
{
    const size_t slots = names->slots == 0 ? 1024 : names->slots * 2;
    uint32_t *slot = calloc(slots, sizeof(*slot));

    if (slot == NULL)
        return AT_ERR_MEMORY;
    free(names->slot);
    names->slot = slot;
    names->slots = slots;
    for (uint32_t i = 1; i <= names->n; i++)
        *find(names, at_names_text(names, i)) = i;
    return AT_OK;
}

/* Room for another chunk's pointer, or for another name's. */
static enum at_status make_pointers(void *pointers, size_t n, size_t *room)
{
    void **p = pointers;
    void *more;

    if (n < *room)
        return AT_OK;
    more = realloc(*p, (*room * 2 + 64) * sizeof(void *));
    if (more == NULL)
        return AT_ERR_MEMORY;
    *p = more;
    *room = *room * 2 + 64;
    return AT_OK;
}

static enum at_status make_room(struct at_names *names, size_t bytes)
{
    if (make_pointers(&names->chunk, names->chunks, &names->chunk_room) !=
            AT_OK ||
        make_pointers(&names->name, names->n, &names->room) != AT_OK)
        return AT_ERR_MEMORY;
    if (names->chunks == 0 || names->used + bytes > CHUNK) {
        char *chunk = malloc(CHUNK);

        if (chunk == NULL)
            return AT_ERR_MEMORY;
        names->chunk[names->chunks++] = chunk;
        names->used = 0;
    }
    return names->n * 2 < names->slots ? AT_OK : grow_table(names);
}

static void put(struct at_names *names, const char *name, size_t bytes)
{
    char *p = names->chunk[names->chunks - 1] + names->used;

    memcpy(p, name, bytes);
    names->name[names->n++] = p;
    names->used += bytes;
    names->bytes += bytes;
}

enum at_status at_names_add(struct at_names *names, const char *name,
                            uint32_t *number)
{
    const size_t bytes = strlen(name) + 1;
    uint32_t *slot;

    *number = 0;
    if (bytes > AT_ASKED_BYTES)
        return AT_OK; /* it is no name, so it is in a damaged index */
    if (make_room(names, bytes) != AT_OK)
        return AT_ERR_MEMORY;
    slot = find(names, name);
    if (*slot == 0 && names->bytes + bytes > AT_NAMES_MOST) {
        names->lost++;
        return AT_OK;
    }
    if (*slot == 0) {
        put(names, name, bytes);
        *slot = (uint32_t)names->n;
    }
    *number = *slot;
    return AT_OK;
}

/* ---- by several threads ---------------------------------------------- */

struct at_shared_names *at_shared_names_open(void)
{
    struct at_shared_names *shared = calloc(1, sizeof(*shared));

    if (shared == NULL)
        return NULL;
    pthread_mutex_init(&shared->lock, NULL);
    at_names_init(&shared->names);
    return shared;
}

const char *at_shared_names_keep(struct at_shared_names *shared,
                                 const char *name)
{
    const char *kept = NULL;
    uint32_t number;

    pthread_mutex_lock(&shared->lock);
    if (at_names_add(&shared->names, name, &number) == AT_OK && number != 0)
        kept = at_names_text(&shared->names, number);
    pthread_mutex_unlock(&shared->lock);
    return kept;
}

void at_shared_names_close(struct at_shared_names *shared)
{
    if (shared == NULL)
        return;
    pthread_mutex_destroy(&shared->lock);
    at_names_close(&shared->names);
    free(shared);
}

/* ---- order ----------------------------------------------------------- */

/* A dot comes before all else, so that a domain is followed by its own. */
static int rank(char c)
{
    return c == '.' ? 0 : (uint8_t)c + 1;
}

int at_names_compare(const char *a, const char *b)
{
    size_t n = strlen(a), m = strlen(b);

    while (n > 0 && m > 0) {
        const int order = rank(a[--n]) - rank(b[--m]);

        if (order != 0)
            return order;
    }
    return (n > 0) - (m > 0);
}

bool at_name_is_in(const char *name, const char *domain)
{
    const size_t n = strlen(name), m = strlen(domain);

    return n >= m && strcmp(name + n - m, domain) == 0 &&
           (n == m || name[n - m - 1] == '.');
}
