/*
 * traces.c - several traces as one
 *
 * A stream is one input on its way: its batches are sifted by any thread and
 * held here, on the thread of the set, packet by packet.  at_merge puts
 * streams in the order of time, and knows nothing of files that are not open
 * yet: such a stream has one packet, the promise, with the time of its first
 * record; when that comes to the top the file is opened and asked.
 *
 * With a window, packets go from there into a heap (reorder.c) until none can
 * come that belongs before them.
 */
#include "traces.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "errors.h"
#include "reorder.h"
#include "source.h"

enum { MEMORY_BYTES = 64 << 20 };

struct at_stream {
    struct at_traces *all;
    struct at_traces_counts counts;
    struct at_trace_info info;
    struct at_sift_plan plan;
    struct at_reader *rd;
    struct at_pass *pass;
    struct at_held *now; /* what packets are given out of */
    size_t held;         /* batches that are, which need the reader */
    size_t next;         /* of its packets */
    uint64_t most_ts;
    uint64_t start_ts; /* of the first record */
    uint64_t file_bytes;
    uint64_t read_bytes; /* once it is closed */
    bool promised;       /* start_ts is all that was given of it */
};

struct at_traces {
    struct at_traces_options opts;
    struct at_selection wanted;
    struct at_pool *pool;
    struct at_pool *own_pool;
    struct at_stream *stream;
    size_t n;
    size_t now;  /* sequence: the stream that is read */
    size_t open; /* streams that are */
    struct at_merge *merge;
    struct at_reorder *window;
    struct at_taken last; /* given out by at_traces_next() */
    uint64_t given;       /* packets */

    pthread_mutex_t lock;
    struct at_held *spare; /* guarded by lock */
};

/* ---- sifts ----------------------------------------------------------- */

static struct at_held *take_spare(struct at_traces *t)
{
    struct at_held *held;

    pthread_mutex_lock(&t->lock);
    held = t->spare;
    if (held != NULL)
        t->spare = held->next;
    pthread_mutex_unlock(&t->lock);
    return held != NULL ? held : calloc(1, sizeof(*held));
}

static void shut_reader(struct at_stream *s)
{
    if (s->rd != NULL && s->pass == NULL && s->held == 0) {
        at_reader_close(s->rd);
        s->rd = NULL;
    }
}

void at_traces_let_go(struct at_traces *t, struct at_held *held)
{
    if (held == NULL || --held->holds > 0)
        return;
    at_batch_release(held->batch);
    held->of->held--;
    shut_reader(held->of);
    held->batch = NULL;
    pthread_mutex_lock(&t->lock);
    held->next = t->spare;
    t->spare = held;
    pthread_mutex_unlock(&t->lock);
}

static void free_held(struct at_held *held)
{
    if (held == NULL)
        return;
    at_sift_clear(&held->sift);
    free(held);
}

static enum at_status sift_work(void *ctx, void *slot,
                                const struct at_batch *batch,
                                struct at_error *err)
{
    const struct at_stream *s = ctx;
    struct at_held **held = slot;

    if (*held == NULL)
        *held = take_spare(s->all);
    if (*held == NULL)
        return at_error_set(err, AT_ERR_MEMORY, "out of memory");
    return at_sift_fill(&(*held)->sift, &s->plan, batch, err);
}

static void drop_slot(void *ctx, void *slot)
{
    struct at_held **held = slot;

    (void)ctx;
    free_held(*held);
}

/* ---- one input ------------------------------------------------------- */

static bool is_standard_input(const struct at_stream *s)
{
    return strcmp(s->counts.path, "-") == 0;
}

/* More inputs at once get less each; never more than about 2.6 times the
 * whole, however many there are. */
static uint64_t memory_share(const struct at_traces *t)
{
    uint64_t whole = t->opts.memory > 0 ? t->opts.memory : MEMORY_BYTES;
    uint64_t root = 1;

    while ((root + 1) * (root + 1) <= t->open + 1)
        root++;
    return whole / ((t->open + 1) * root);
}

static enum at_status start_pass(struct at_stream *s, uint64_t memory,
                                 struct at_error *err)
{
    struct at_traces *t = s->all;
    size_t piece_bytes;
    const struct at_run run = {
        .slot_bytes = sizeof(struct at_held *),
        .slots = at_pieces_in(memory, t->pool, &piece_bytes),
        .ctx = s,
        .work = sift_work,
        .drop = drop_slot,
    };

    s->plan.selection = &t->wanted;
    s->plan.source = (uint32_t)(s - t->stream);
    return at_pass_open(&s->pass, s->rd, t->pool, &run, err);
}

/* A quarter for what is decoded, one for what is sifted, and half for the
 * packets found, which are about as large as short records. */
static enum at_status open_stream(struct at_stream *s, struct at_error *err)
{
    struct at_traces *t = s->all;
    struct at_reader_options reading = t->opts.reading;
    const uint64_t memory = memory_share(t) / 4;
    enum at_status st;

    reading.size = sizeof(reading);
    reading.pool = t->pool;
    reading.memory = memory;
    s->counts.begun = true;
    st = t->opts.open != NULL
             ? t->opts.open(t->opts.ctx, &s->rd, s->counts.path, &reading, err)
             : at_reader_open(&s->rd, s->counts.path, &reading, err);
    if (st != AT_OK)
        return st;
    t->open++;
    s->info = *at_reader_info(s->rd);
    s->info.name = is_standard_input(s) ? "standard input" : s->counts.path;
    return start_pass(s, memory, err);
}

static void close_stream(struct at_stream *s)
{
    at_traces_let_go(s->all, s->now);
    s->now = NULL;
    at_pass_close(s->pass);
    s->pass = NULL;
    if (s->rd != NULL && !s->counts.ended) {
        s->read_bytes = at_reader_position(s->rd);
        s->all->open--;
    }
    shut_reader(s);
}

static void end_stream(struct at_stream *s, enum at_status st,
                       const struct at_error *err)
{
    const struct at_traces *t = s->all;

    s->counts.status = st;
    if (t->opts.ended != NULL)
        t->opts.ended(t->opts.ctx, (size_t)(s - t->stream), s->rd,
                      st < 0 ? err : NULL);
    close_stream(s);
    s->counts.ended = true;
}

/* Errors that are of one input, not of the machine or the caller. */
static bool is_of_input(enum at_status st)
{
    return st == AT_ERR_CORRUPT || st == AT_ERR_TRUNCATED ||
           st == AT_ERR_FORMAT || st == AT_ERR_SYSTEM;
}

/* What there is instead of the error that ends the stream. */
static enum at_status meet_error(struct at_stream *s, enum at_status st,
                                 const struct at_error *err)
{
    const bool skip = s->all->opts.go_on != AT_GO_ON_NEVER && is_of_input(st);

    end_stream(s, st, err);
    return skip ? AT_END : st;
}

/*
 * Looks at a file that is opened later: whether it is there, what it is, and
 * when it begins.  What cannot be seen yet is left to the opening.
 */
static enum at_status look_at(struct at_stream *s, struct at_error *err)
{
    struct at_reader_options reading = s->all->opts.reading;
    struct at_packet pkt;
    struct at_reader *rd;
    enum at_status st;

    reading.size = sizeof(reading);
    reading.pool = NULL;
    reading.memory = 1;
    reading.access = NULL;
    st = at_reader_open(&rd, s->counts.path, &reading, err);
    if (st != AT_OK)
        return st;
    s->info = *at_reader_info(rd);
    s->info.name = s->counts.path;
    do
        st = at_reader_next(rd, &pkt);
    while (st == AT_OK && (pkt.kind != AT_KIND_PACKET || pkt.timeless));
    s->start_ts = st == AT_OK ? pkt.ts : 0;
    s->promised = true;
    at_reader_close(rd);
    return AT_OK;
}

/* ---- packets of one input -------------------------------------------- */

static enum at_status next_sift(struct at_stream *s, struct at_error *err)
{
    const struct at_batch *batch;
    enum at_status st;
    void *slot;

    at_traces_let_go(s->all, s->now);
    s->now = NULL;
    st = at_pass_next(s->pass, &slot, &batch, err);
    if (st != AT_OK)
        return st;
    s->now = *(struct at_held **)slot;
    *(struct at_held **)slot = NULL;
    s->now->batch = at_pass_keep(s->pass);
    s->now->of = s;
    s->now->holds = 1;
    s->held++;
    s->next = 0;
    s->counts.filtered += s->now->sift.packets - s->now->sift.wanted;
    return AT_OK;
}

static void count_packet(struct at_stream *s, const struct at_packet *pkt)
{
    if (pkt->kind != AT_KIND_PACKET)
        return;
    s->counts.accepted++;
    s->counts.lost += pkt->lost;
    if (pkt->timeless)
        return;
    if (pkt->ts < s->most_ts)
        s->counts.out_of_order++;
    else
        s->most_ts = pkt->ts;
}

static const struct at_packet *next_in_sift(struct at_stream *s)
{
    while (s->now != NULL && s->next < s->now->sift.n) {
        const struct at_packet *pkt = &s->now->sift.pkt[s->next++];

        if ((pkt->done & AT_DONE_DROPPED) == 0) {
            count_packet(s, pkt);
            return pkt;
        }
        s->counts.dropped++;
    }
    return NULL;
}

/* The next packet, which is the last that s->now has given. */
static enum at_status stream_next(struct at_stream *s,
                                  const struct at_packet **pkt,
                                  struct at_error *err)
{
    enum at_status st = AT_OK;

    if (s->counts.ended)
        return AT_END;
    if (s->pass == NULL)
        st = open_stream(s, err);
    while (st == AT_OK && (*pkt = next_in_sift(s)) == NULL)
        st = next_sift(s, err);
    if (st == AT_END)
        end_stream(s, AT_END, NULL);
    return st < 0 ? meet_error(s, st, err) : st;
}

static struct at_taken found_in(const struct at_stream *s)
{
    s->now->holds++;
    return (struct at_taken){
        .pkt = &s->now->sift.pkt[s->next - 1],
        .from = s->now,
        .i = s->next - 1,
    };
}

/* ---- all of them ----------------------------------------------------- */

static enum at_status merge_next(void *ctx, struct at_packet *pkt,
                                 struct at_error *err)
{
    struct at_stream *s = ctx;
    const struct at_packet *next;
    enum at_status st;

    if (s->promised && !s->counts.begun) {
        s->counts.begun = true;
        *pkt = (struct at_packet){.ts = s->start_ts};
        return AT_OK;
    }
    st = stream_next(s, &next, err);
    if (st == AT_OK)
        *pkt = *next;
    return st;
}

static enum at_status find_merged(struct at_traces *t, struct at_taken *found,
                                  struct at_error *err)
{
    struct at_packet pkt;
    enum at_status st;
    size_t from;

    do
        st = at_merge_next(t->merge, &pkt, &from, err);
    while (st == AT_OK && pkt.data == NULL && t->stream[from].pass == NULL);
    if (st == AT_OK)
        *found = found_in(&t->stream[from]);
    return st;
}

static enum at_status find_in_sequence(struct at_traces *t,
                                       struct at_taken *found,
                                       struct at_error *err)
{
    while (t->now < t->n) {
        struct at_stream *s = &t->stream[t->now];
        const enum at_status st = stream_next(s, &found->pkt, err);

        if (st == AT_OK)
            *found = found_in(s);
        if (st != AT_END)
            return st;
        t->now++;
    }
    return AT_END;
}

static enum at_status find_any(struct at_traces *t, struct at_taken *found,
                               struct at_error *err)
{
    return t->merge != NULL ? find_merged(t, found, err)
                            : find_in_sequence(t, found, err);
}

/* Fills the window until its earliest packet is due, or nothing more comes. */
static enum at_status find_in_window(struct at_traces *t,
                                     struct at_taken *found,
                                     struct at_error *err)
{
    struct at_taken next;
    enum at_status st = AT_OK;

    while (!at_reorder_due(t->window, found)) {
        st = find_any(t, &next, err);
        if (st == AT_END && at_reorder_last(t->window, found))
            return AT_OK;
        if (st != AT_OK)
            return st;
        if (at_reorder_add(t->window, &next) != AT_OK) {
            at_traces_let_go(t, next.from);
            return at_error_set(err, AT_ERR_MEMORY, "out of memory");
        }
    }
    return AT_OK;
}

enum at_status at_traces_find(struct at_traces *t, struct at_taken *found,
                              struct at_error *err)
{
    enum at_status st;

    if (t->opts.limit > 0 && t->given == t->opts.limit)
        return AT_END;
    st = t->window != NULL ? find_in_window(t, found, err)
                           : find_any(t, found, err);
    if (st == AT_OK)
        t->given += found->pkt->kind == AT_KIND_PACKET;
    return st;
}

enum at_status at_traces_next(struct at_traces *t, struct at_packet *pkt,
                              struct at_error *err)
{
    enum at_status st;

    at_traces_let_go(t, t->last.from);
    t->last.from = NULL;
    st = at_traces_find(t, &t->last, err);
    if (st == AT_OK)
        *pkt = *t->last.pkt;
    else
        t->last.from = NULL;
    return st;
}

const char *at_traces_note(const struct at_traces *t, size_t *n)
{
    *n = 0;
    if (t->last.from == NULL)
        return "";
    return at_sift_note(&t->last.from->sift, t->last.i, n);
}

/* ---- opening and closing --------------------------------------------- */

static bool is_regular(const char *path, uint64_t *bytes)
{
    struct stat st;
    const bool regular = strcmp(path, "-") != 0 && stat(path, &st) == 0 &&
                         S_ISREG(st.st_mode);

    *bytes = regular ? (uint64_t)st.st_size : 0;
    return regular;
}

static enum at_status begin_stream(struct at_stream *s, struct at_error *err)
{
    const bool regular = is_regular(s->counts.path, &s->file_bytes);
    const enum at_status st = s->all->n > 1 && regular ? look_at(s, err)
                                                       : open_stream(s, err);

    if (st == AT_OK || s->all->opts.go_on != AT_GO_ON_ALWAYS)
        return st;
    s->counts.begun = true;
    return meet_error(s, st, err) == AT_END ? AT_OK : st;
}

/* A set without any input that can be read is none. */
static enum at_status begin_streams(struct at_traces *t, struct at_error *err)
{
    enum at_status st = AT_OK;
    size_t bad = 0;

    for (size_t i = 0; i < t->n && st == AT_OK; i++) {
        st = begin_stream(&t->stream[i], err);
        bad += t->stream[i].counts.ended;
    }
    if (st == AT_OK && bad > 0 && bad == t->n)
        return t->stream[t->n - 1].counts.status;
    return st;
}

static enum at_status begin_merge(struct at_traces *t, struct at_error *err)
{
    struct at_merge_source *from;
    enum at_status st;

    if (t->n <= 1 || t->opts.sequence)
        return AT_OK;
    from = calloc(t->n, sizeof(from[0]));
    if (from == NULL)
        return at_error_set(err, AT_ERR_MEMORY, "out of memory");
    for (size_t i = 0; i < t->n; i++)
        from[i] = (struct at_merge_source){&t->stream[i], merge_next};
    st = at_merge_open(&t->merge, from, t->n, err);
    free(from);
    return st;
}

static void take_options(struct at_traces *t,
                         const struct at_traces_options *opts)
{
    static const struct at_selection every = {
        .from_ns = AT_TIME_MIN,
        .to_ns = AT_TIME_MAX,
    };

    if (opts != NULL)
        memcpy(&t->opts, opts,
               opts->size < sizeof(t->opts) ? opts->size : sizeof(t->opts));
    t->wanted = t->opts.wanted != NULL ? *t->opts.wanted : every;
    t->pool = t->opts.pool;
}

static enum at_status set_up(struct at_traces *t, char *const path[], size_t n,
                             struct at_error *err)
{
    enum at_status st = AT_OK;

    t->stream = calloc(n > 0 ? n : 1, sizeof(t->stream[0]));
    if (t->stream == NULL)
        return at_error_set(err, AT_ERR_MEMORY, "out of memory");
    t->n = n;
    for (size_t i = 0; i < n; i++) {
        t->stream[i].all = t;
        t->stream[i].counts.path = path[i];
    }
    if (t->pool == NULL) {
        st = at_pool_open(&t->own_pool, 1, err);
        t->pool = t->own_pool;
    }
    if (st == AT_OK && t->opts.window_ns > 0)
        st = at_reorder_open(&t->window, t->opts.window_ns, err);
    if (st == AT_OK)
        st = begin_streams(t, err);
    return st == AT_OK ? begin_merge(t, err) : st;
}

enum at_status at_traces_open(struct at_traces **out, char *const path[],
                              size_t n, const struct at_traces_options *opts,
                              struct at_error *err)
{
    struct at_traces *t = calloc(1, sizeof(*t));
    enum at_status st;

    *out = NULL;
    if (t == NULL)
        return at_error_set(err, AT_ERR_MEMORY, "out of memory");
    pthread_mutex_init(&t->lock, NULL);
    take_options(t, opts);
    st = set_up(t, path, n, err);
    if (st == AT_OK)
        *out = t;
    else
        at_traces_close(t);
    return st;
}

void at_traces_close(struct at_traces *t)
{
    struct at_taken found;

    if (t == NULL)
        return;
    at_traces_let_go(t, t->last.from);
    while (t->window != NULL && at_reorder_last(t->window, &found))
        at_traces_let_go(t, found.from);
    at_reorder_close(t->window);
    at_merge_close(t->merge);
    for (size_t i = 0; i < t->n; i++) {
        close_stream(&t->stream[i]);
        at_reader_close(t->stream[i].rd);
    }
    while (t->spare != NULL) {
        struct at_held *held = t->spare;

        t->spare = held->next;
        free_held(held);
    }
    at_pool_close(t->own_pool);
    pthread_mutex_destroy(&t->lock);
    free(t->stream);
    free(t);
}

/* ---- what is known --------------------------------------------------- */

void at_traces_hash_by(struct at_traces *t,
                       uint32_t (*hash)(void *ctx, const struct at_packet *pkt),
                       void *ctx)
{
    for (size_t i = 0; i < t->n; i++) {
        t->stream[i].plan.hash = hash;
        t->stream[i].plan.hash_ctx = ctx;
    }
}

struct at_pool *at_traces_pool(const struct at_traces *t)
{
    return t->pool;
}

uint64_t at_traces_late(const struct at_traces *t)
{
    return t->window != NULL ? at_reorder_late(t->window) : 0;
}

size_t at_traces_inputs(const struct at_traces *t)
{
    return t->n;
}

const struct at_traces_counts *at_traces_count(const struct at_traces *t,
                                               size_t i)
{
    return &t->stream[i].counts;
}

const struct at_trace_info *at_traces_info(const struct at_traces *t, size_t i)
{
    return &t->stream[i].info;
}

uint64_t at_traces_position(const struct at_traces *t)
{
    uint64_t n = 0;

    for (size_t i = 0; i < t->n; i++) {
        const struct at_stream *s = &t->stream[i];

        n += s->pass != NULL ? at_reader_position(s->rd) : s->read_bytes;
    }
    return n;
}

uint64_t at_traces_bytes(const struct at_traces *t)
{
    uint64_t n = 0;

    for (size_t i = 0; i < t->n; i++)
        n += t->stream[i].file_bytes;
    return n;
}
