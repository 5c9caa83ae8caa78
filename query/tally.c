/*
 * tally.c - numbers by key, exact, in bounded memory
 *
 * Rows lie one after the other in the order they came; slots of an open
 * addressing table, twice as many at least, hold their numbers.  The hash
 * depends on a number that who made the trace cannot know.
 *
 * A run is rows sorted by key, in the temporary file one after the other.  The
 * merge reads each run through a buffer of its own.
 */
#include "tally.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "errors.h"
#include "sight.h"
#include "temporary.h"

enum {
    FIRST_ROWS = 1024,
    ROWS_LEAST = 64,        /* however little memory there is */
    BUFFER_BYTES = 1 << 20, /* of each run, if there is memory */
    BUFFER_LEAST = 1 << 12,
};

struct run {
    off_t at; /* in the file */
    size_t rows;
};

struct at_tally {
    struct at_tally_plan plan;
    size_t row_bytes;
    uint64_t seed;

    char *rows;
    size_t n, room, most;
    uint32_t *slot; /* number of a row and one, 0: none */
    size_t slots;   /* a power of 2 */

    FILE *file; /* NULL until the first run */
    off_t end;
    struct run *run;
    size_t runs;
};

/* ---- the table ------------------------------------------------------- */

static uint64_t mix(uint64_t a, uint64_t b)
{
    const unsigned __int128 product = (unsigned __int128)a * b;

    return (uint64_t)product ^ (uint64_t)(product >> 64);
}

static uint64_t hash(const struct at_tally *t, const char *key)
{
    uint64_t h = t->seed, word;

    for (size_t i = 0; i < t->plan.key_bytes; i += sizeof(word)) {
        memcpy(&word, key + i, sizeof(word));
        h = mix(h ^ word, 0x9e3779b97f4a7c15u ^ t->seed);
    }
    return h ^ h >> 32;
}

static char *row_at(const struct at_tally *t, size_t i)
{
    return t->rows + i * t->row_bytes;
}

static uint64_t *numbers(const struct at_tally *t, char *row)
{
    return (uint64_t *)(void *)(row + t->plan.key_bytes);
}

/* Where the row of 'key' is, or would be put. */
static uint32_t *find_slot(const struct at_tally *t, const char *key)
{
    size_t i = hash(t, key) & (t->slots - 1);

    while (t->slot[i] != 0 &&
           memcmp(row_at(t, t->slot[i] - 1), key, t->plan.key_bytes) != 0)
        i = (i + 1) & (t->slots - 1);
    return &t->slot[i];
}

static bool make_slots(struct at_tally *t, size_t slots)
{
    uint32_t *slot = calloc(slots, sizeof(slot[0]));

    if (slot == NULL)
        return false;
    free(t->slot);
    t->slot = slot;
    t->slots = slots;
    for (size_t i = 0; i < t->n; i++)
        *find_slot(t, row_at(t, i)) = (uint32_t)(i + 1);
    return true;
}

static bool grow(struct at_tally *t)
{
    const size_t room = t->room > t->most / 2 ? t->most : 2 * t->room;
    size_t slots = t->slots;
    char *rows = realloc(t->rows, room * t->row_bytes);

    if (rows == NULL)
        return false;
    t->rows = rows;
    t->room = room;
    while (slots < 2 * room)
        slots *= 2;
    return make_slots(t, slots);
}

/* Besides the row there are two to four slots. */
static size_t rows_in(const struct at_tally *t)
{
    const uint64_t n = t->plan.memory / (t->row_bytes + 4 * sizeof(uint32_t));

    if (n < ROWS_LEAST)
        return ROWS_LEAST;
    return n < UINT32_MAX / 4 ? (size_t)n : UINT32_MAX / 4;
}

struct at_tally *at_tally_open(const struct at_tally_plan *plan)
{
    struct at_tally *t = calloc(1, sizeof(*t));

    if (t == NULL)
        return NULL;
    t->plan = *plan;
    t->row_bytes = plan->key_bytes +
                   (plan->least + plan->sums) * sizeof(uint64_t);
    t->seed = at_flow_key_seed();
    t->most = rows_in(t);
    t->room = t->most < FIRST_ROWS ? t->most : FIRST_ROWS;
    t->rows = malloc(t->room * t->row_bytes);
    if (t->rows == NULL || !make_slots(t, 2 * FIRST_ROWS)) {
        at_tally_close(t);
        return NULL;
    }
    return t;
}

void at_tally_close(struct at_tally *t)
{
    if (t == NULL)
        return;
    if (t->file != NULL)
        fclose(t->file);
    free(t->rows);
    free(t->slot);
    free(t->run);
    free(t);
}

size_t at_tally_rows(const struct at_tally *t)
{
    return t->n;
}

size_t at_tally_runs(const struct at_tally *t)
{
    return t->runs;
}

/* ---- runs ------------------------------------------------------------ */

static int by_key(const void *a, const void *b, void *ctx)
{
    const struct at_tally *t = ctx;

    return memcmp(a, b, t->plan.key_bytes);
}

/* The rows are in any order then, and the slots say nothing any more. */
static void sort_rows(struct at_tally *t)
{
    qsort_r(t->rows, t->n, t->row_bytes, by_key, t);
}

static enum at_status cannot(const char *what, struct at_error *err)
{
    return at_error_set(err, AT_ERR_SYSTEM, "cannot %s a temporary file: %s",
                        what, strerror(errno));
}

static enum at_status add_run(struct at_tally *t, struct at_error *err)
{
    struct run *run = realloc(t->run, (t->runs + 1) * sizeof(run[0]));

    if (run == NULL)
        return at_error_set(err, AT_ERR_MEMORY, "out of memory");
    t->run = run;
    run[t->runs++] = (struct run){.at = t->end, .rows = t->n};
    t->end += (off_t)(t->n * t->row_bytes);
    return AT_OK;
}

static enum at_status open_file(struct at_tally *t, struct at_error *err)
{
    int fd;

    if (t->file != NULL)
        return AT_OK;
    fd = at_temporary(err);
    if (fd < 0)
        return AT_ERR_SYSTEM;
    t->file = fdopen(fd, "w+");
    if (t->file == NULL)
        close(fd);
    return t->file != NULL ? AT_OK : cannot("open", err);
}

/* Puts all rows away. */
static enum at_status put_away(struct at_tally *t, struct at_error *err)
{
    if (open_file(t, err) != AT_OK)
        return AT_ERR_SYSTEM;
    sort_rows(t);
    if (fwrite(t->rows, t->row_bytes, t->n, t->file) != t->n ||
        fflush(t->file) != 0)
        return cannot("write", err);
    if (add_run(t, err) != AT_OK)
        return AT_ERR_MEMORY;
    t->n = 0;
    memset(t->slot, 0, t->slots * sizeof(t->slot[0]));
    return AT_OK;
}

uint64_t *at_tally_row(struct at_tally *t, const void *key,
                       struct at_error *err)
{
    uint32_t *slot = find_slot(t, key);
    uint64_t *number;

    if (*slot != 0)
        return numbers(t, row_at(t, *slot - 1));
    if (t->n == t->room) {
        if (t->room == t->most && put_away(t, err) != AT_OK)
            return NULL;
        if (t->n > 0 && !grow(t)) {
            at_error_set(err, AT_ERR_MEMORY, "out of memory");
            return NULL;
        }
        slot = find_slot(t, key);
    }
    memcpy(row_at(t, t->n), key, t->plan.key_bytes);
    number = numbers(t, row_at(t, t->n));
    memset(number, 0xff, t->plan.least * sizeof(number[0]));
    memset(number + t->plan.least, 0, t->plan.sums * sizeof(number[0]));
    *slot = (uint32_t)++t->n;
    return number;
}

/* ---- merging --------------------------------------------------------- */

/* One run on its way; those in memory are all in the buffer. */
struct stream {
    struct at_tally *of;
    char *at, *end; /* rows that are here */
    char *buffer;   /* its own, or NULL */
    size_t buffer_bytes;
    off_t next;  /* in the file */
    size_t left; /* rows there */
};

struct merge {
    struct stream *stream;
    size_t n;
    struct stream **heap; /* by the key of the first row */
    size_t heaped;
    char *row; /* that is put together */
};

static enum at_status refill(struct stream *s, struct at_error *err)
{
    const size_t row = s->of->row_bytes;
    const size_t rows = s->buffer_bytes / row < s->left ? s->buffer_bytes / row
                                                        : s->left;
    size_t have = 0;

    while (have < rows * row) {
        const ssize_t n = pread(fileno(s->of->file), s->buffer + have,
                                rows * row - have, s->next + (off_t)have);

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0) {
            errno = n == 0 ? EIO : errno;
            return cannot("read", err);
        }
        have += (size_t)n;
    }
    s->at = s->buffer;
    s->end = s->at + have;
    s->next += (off_t)have;
    s->left -= rows;
    return AT_OK;
}

static bool before(const struct stream *a, const struct stream *b)
{
    return memcmp(a->at, b->at, a->of->plan.key_bytes) < 0;
}

static void sift_down(struct merge *m)
{
    struct stream *top = m->heap[0];
    size_t i = 0;

    for (;;) {
        size_t c = 2 * i + 1;

        if (c + 1 < m->heaped && before(m->heap[c + 1], m->heap[c]))
            c++;
        if (c >= m->heaped || !before(m->heap[c], top))
            break;
        m->heap[i] = m->heap[c];
        i = c;
    }
    m->heap[i] = top;
}

static void push(struct merge *m, struct stream *s)
{
    size_t i = m->heaped++;

    for (; i > 0 && before(s, m->heap[(i - 1) / 2]); i = (i - 1) / 2)
        m->heap[i] = m->heap[(i - 1) / 2];
    m->heap[i] = s;
}

/* After its first row was taken. */
static enum at_status step(struct merge *m, struct at_error *err)
{
    struct stream *s = m->heap[0];

    s->at += s->of->row_bytes;
    if (s->at == s->end && s->left > 0 && refill(s, err) != AT_OK)
        return AT_ERR_SYSTEM;
    if (s->at == s->end)
        m->heap[0] = m->heap[--m->heaped];
    if (m->heaped > 0)
        sift_down(m);
    return AT_OK;
}

static void join(const struct at_tally *t, char *to, char *from)
{
    uint64_t *a = numbers(t, to), *b = numbers(t, from);
    unsigned i = 0;

    for (; i < t->plan.least; i++)
        a[i] = a[i] < b[i] ? a[i] : b[i];
    for (; i < t->plan.least + t->plan.sums; i++)
        a[i] += b[i];
}

/* Takes all rows of the least key, as one. */
static enum at_status next_row(struct merge *m, struct at_error *err)
{
    const struct at_tally *t = m->heap[0]->of;
    enum at_status st;

    memcpy(m->row, m->heap[0]->at, t->row_bytes);
    st = step(m, err);
    while (st == AT_OK && m->heaped > 0 &&
           memcmp(m->heap[0]->at, m->row, t->plan.key_bytes) == 0) {
        join(t, m->row, m->heap[0]->at);
        st = step(m, err);
    }
    return st;
}

static enum at_status add_stream(struct merge *m, struct at_tally *t, size_t i,
                                 struct at_error *err)
{
    struct stream *s = &m->stream[m->n++];
    const uint64_t share = t->plan.memory / (t->runs + 1) / 4;

    s->of = t;
    if (i == t->runs) { /* the rows that were not put away */
        s->at = t->rows;
        s->end = t->rows + t->n * t->row_bytes;
    } else {
        s->next = t->run[i].at;
        s->left = t->run[i].rows;
        s->buffer_bytes = share > BUFFER_BYTES   ? BUFFER_BYTES
                          : share > BUFFER_LEAST ? (size_t)share
                                                 : BUFFER_LEAST;
        s->buffer = malloc(s->buffer_bytes);
        if (s->buffer == NULL)
            return at_error_set(err, AT_ERR_MEMORY, "out of memory");
        if (refill(s, err) != AT_OK)
            return AT_ERR_SYSTEM;
    }
    if (s->at < s->end)
        push(m, s);
    return AT_OK;
}

static enum at_status add_streams(struct merge *m,
                                  struct at_tally *const tally[], size_t n,
                                  struct at_error *err)
{
    enum at_status st = AT_OK;
    size_t streams = 0;

    for (size_t i = 0; i < n; i++)
        streams += tally[i]->runs + 1;
    m->stream = calloc(streams + 1, sizeof(m->stream[0]));
    m->heap = calloc(streams + 1, sizeof(struct stream *));
    m->row = malloc(n > 0 ? tally[0]->row_bytes : 1);
    if (m->stream == NULL || m->heap == NULL || m->row == NULL)
        return at_error_set(err, AT_ERR_MEMORY, "out of memory");
    for (size_t i = 0; i < n && st == AT_OK; i++) {
        sort_rows(tally[i]);
        for (size_t k = 0; k <= tally[i]->runs && st == AT_OK; k++)
            st = add_stream(m, tally[i], k, err);
    }
    return st;
}

enum at_status at_tally_merge(struct at_tally *const tally[], size_t n,
                              enum at_status (*fn)(void *ctx, const void *key,
                                                   const uint64_t *number),
                              void *ctx, struct at_error *err)
{
    struct merge m = {.n = 0};
    enum at_status st = add_streams(&m, tally, n, err);

    while (st == AT_OK && m.heaped > 0) {
        st = next_row(&m, err);
        if (st == AT_OK)
            st = fn(ctx, m.row, numbers(tally[0], m.row));
    }
    for (size_t i = 0; i < m.n; i++)
        free(m.stream[i].buffer);
    free(m.stream);
    free(m.heap);
    free(m.row);
    return st;
}
