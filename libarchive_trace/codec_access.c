/*
 * codec_access.c - a gzip file whose access points are known
 *
 * The bytes from one point to the next are a span.  Spans are decoded side by
 * side.  A job makes one piece; a span that is too long for one, and places
 * of which several lie in a span, make a chain of jobs that share a decoder
 * and run one after the other: a job waits for the one before it, which has
 * begun earlier.
 *
 * Where a chain comes to a point, its CRC, its member and its place must be
 * what the point says; so all that is used of a span is checked, and at the
 * end of a chain the rest of the span is decoded for that alone.
 *
 * A span that is all of a chain is decoded at once (span.c), and again by the
 * chain's decoder if that fails: this one gives what is good before the
 * damage and tells the error.
 *
 * With salvage a span that fails, or whose CRC is wrong, is a gap up to the
 * next point, where decoding begins anew.
 *
 *     job    piece              job    piece
 *     1      span 0             1      places of span 0
 *     2 3 4  span 1, 24 MiB     2      places of span 2
 *     5      span 2             3 4    places of span 5, far apart
 */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "source.h"
#include "span.h"

enum {
    WHOLE_BYTES = AT_SPAN_MOST, /* a longer span is cut */
    PART_BYTES = 4 << 20,       /* into these */
    SCRAP_BYTES = 64 << 10,
};

struct chain {
    struct at_gunzip g;
    size_t next_point; /* that will be passed */
    uint8_t window[AT_WINDOW];
    uint8_t packed[AT_WINDOW_PACKED];
    uint8_t scrap[SCRAP_BYTES]; /* for what is decoded and not wanted */
    struct at_error err;        /* AT_OK while it goes on */
    unsigned jobs;              /* prepared; the preparing thread's */
    unsigned done;              /* guarded by state->lock */
    bool idle;                  /* guarded by state->lock */
    struct chain *next;         /* of all */
};

/* What a job does, beside what stands in struct at_job. */
struct link {
    struct chain *chain;
    unsigned number;  /* in the chain */
    size_t point;     /* where the chain begins */
    bool last;        /* of the chain */
    uint64_t look_to; /* then decode up to here, to see that it is right */
};

/* A decoder that a thread has while it decodes a span, so that there are no
 * more of them than threads. */
struct bench {
    struct at_unspan *tool;
    struct bench *next;
};

struct state {
    pthread_mutex_t lock;
    pthread_cond_t turn; /* a job of some chain is done */
    struct bench *free;  /* guarded by lock */
    struct chain *all;
    struct chain *open; /* will get the next job, or NULL */
    size_t span;        /* of which the next job is */
    uint64_t raw;       /* where its piece begins, or not before */
};

/* ---- spans ----------------------------------------------------------- */

static uint64_t span_end(const struct at_source *src, size_t span)
{
    return span + 1 < src->access->n ? src->access->point[span + 1].raw_offset
                                     : UINT64_MAX;
}

/* The span that holds decoded byte 'raw'. */
static size_t span_of(const struct at_source *src, uint64_t raw)
{
    size_t lo = 0, hi = src->access->n;

    while (hi - lo > 1) {
        const size_t mid = (lo + hi) / 2;

        if (src->access->point[mid].raw_offset <= raw)
            lo = mid;
        else
            hi = mid;
    }
    return lo;
}

/* ---- opening --------------------------------------------------------- */

static enum at_status access_open(struct at_source *src, struct at_error *err)
{
    struct state *state = calloc(1, sizeof(*state));

    if (state == NULL)
        return at_error_set(err, AT_ERR_MEMORY, "out of memory");
    pthread_mutex_init(&state->lock, NULL);
    pthread_cond_init(&state->turn, NULL);
    src->state = state;
    return at_access_check(src->access, &src->in, err);
}

static void free_bench(struct bench *bench)
{
    at_unspan_close(bench->tool);
    free(bench);
}

static void access_close(struct at_source *src)
{
    struct state *state = src->state;

    while (state->free != NULL) {
        struct bench *bench = state->free;

        state->free = bench->next;
        free_bench(bench);
    }
    while (state->all != NULL) {
        struct chain *chain = state->all;

        state->all = chain->next;
        at_gunzip_close(&chain->g);
        free(chain);
    }
    pthread_cond_destroy(&state->turn);
    pthread_mutex_destroy(&state->lock);
    free(state);
}

/* ---- preparing ------------------------------------------------------- */

static struct chain *idle_chain(struct state *state)
{
    struct chain *chain;

    pthread_mutex_lock(&state->lock);
    for (chain = state->all; chain != NULL && !chain->idle; chain = chain->next)
        ;
    if (chain != NULL)
        chain->idle = false;
    pthread_mutex_unlock(&state->lock);
    return chain;
}

static struct chain *new_chain(struct at_source *src)
{
    struct state *state = src->state;
    struct chain *chain = calloc(1, sizeof(*chain));

    if (chain == NULL || at_gunzip_open(&chain->g, &src->in) != AT_OK) {
        free(chain);
        return NULL;
    }
    pthread_mutex_lock(&state->lock);
    chain->next = state->all;
    state->all = chain;
    pthread_mutex_unlock(&state->lock);
    return chain;
}

static enum at_status load_window(const struct at_source *src, size_t point,
                                  struct chain *chain, struct at_error *err)
{
    const struct at_access *access = src->access;
    const struct at_access_point *p = &access->point[point];

    if (p->window_bytes == 0)
        return AT_OK;
    if (access->load != NULL)
        return access->load(access->ctx, point, chain->packed, err);
    memcpy(chain->packed, p->window, p->window_bytes);
    return AT_OK;
}

/* Opens a chain that begins at the point of state->span. */
static enum at_status begin_chain(struct at_source *src)
{
    struct state *state = src->state;
    struct chain *chain = idle_chain(state);

    if (chain == NULL)
        chain = new_chain(src);
    if (chain == NULL)
        return at_error_set(&src->err, AT_ERR_MEMORY, "out of memory");
    chain->err.status = AT_OK;
    chain->jobs = 0;
    chain->done = 0;
    state->open = chain;
    return load_window(src, state->span, chain, &src->err);
}

/* Makes the job the next one of the open chain. */
static enum at_status add_link(struct at_source *src, struct at_job *job,
                               bool last, uint64_t look_to)
{
    struct state *state = src->state;
    struct link *link = job->tool;

    if (link == NULL)
        link = job->tool = calloc(1, sizeof(*link));
    if (link == NULL)
        return at_error_set(&src->err, AT_ERR_MEMORY, "out of memory");
    link->chain = state->open;
    link->number = state->open->jobs++;
    link->point = state->span;
    link->last = last;
    link->look_to = look_to;
    if (last)
        state->open = NULL;
    return AT_OK;
}

/* The next part of the next span. */
static enum at_status prepare_span(struct at_source *src, struct at_job *job)
{
    struct state *state = src->state;
    const uint64_t end = span_end(src, state->span);
    const uint64_t left = end - state->raw;
    uint64_t part = left <= WHOLE_BYTES ? left : PART_BYTES;
    enum at_status st = AT_OK;

    if (state->span == src->access->n)
        return AT_END;
    if (src->target < AT_PIECE_BYTES && part > src->target)
        part = src->target;
    if (state->open == NULL)
        st = begin_chain(src);
    job->bytes = part;
    job->piece->raw_offset = state->raw;
    if (st == AT_OK)
        st = add_link(src, job, part == left, end);
    state->raw += part;
    state->span += state->raw == end;
    return st;
}

/* A bit of deflate gives 129 bytes at most. */
static bool can_be(const struct at_source *src, const struct at_place *p)
{
    const uint64_t most = 1032 * src->in.size;

    return p->raw_offset <= most && p->bytes <= most;
}

/* Takes the places that begin in the span and can be one piece. */
static enum at_status take_places(struct at_source *src, struct at_job *job,
                                  uint64_t span_ends)
{
    struct state *state = src->state;
    const struct at_place *first = &src->place[src->next_place], *p = first;
    const struct at_place *end = src->place + src->places;

    for (; p < end; p++) {
        if (p->raw_offset < state->raw || !can_be(src, p))
            return at_error_set(&src->err, AT_ERR_CORRUPT,
                                "%s: a block of %llu bytes at %llu cannot be "
                                "in it",
                                src->in.name, (unsigned long long)p->bytes,
                                (unsigned long long)p->raw_offset);
        if (p > first &&
            (p->raw_offset >= span_ends ||
             p->raw_offset + p->bytes - first->raw_offset > PART_BYTES))
            break;
        state->raw = p->raw_offset + p->bytes;
    }
    src->next_place = (size_t)(p - src->place);
    job->piece->raw_offset = first->raw_offset;
    job->bytes = state->raw - first->raw_offset;
    return AT_OK;
}

/* The places of one span.  What the last of them has of the next span is
 * seen to be right by the next chain, if that begins there. */
static enum at_status prepare_places(struct at_source *src, struct at_job *job)
{
    struct state *state = src->state;
    uint64_t ends, next = UINT64_MAX, look_to;
    enum at_status st = AT_OK;

    if (src->next_place == src->places)
        return AT_END;
    if (state->open == NULL) {
        state->span = span_of(src, src->place[src->next_place].raw_offset);
        st = begin_chain(src);
    }
    ends = span_end(src, state->span);
    if (st == AT_OK)
        st = take_places(src, job, ends);
    if (st != AT_OK)
        return st;
    if (src->next_place < src->places)
        next = src->place[src->next_place].raw_offset;
    look_to = span_end(src, span_of(src, state->raw > 0 ? state->raw - 1 : 0));
    if (look_to > ends && next < look_to)
        look_to = state->raw;
    return add_link(src, job, next >= ends, look_to);
}

static enum at_status access_prepare(struct at_source *src, struct at_job *job)
{
    return src->place != NULL ? prepare_places(src, job)
                              : prepare_span(src, job);
}

/* ---- decoding -------------------------------------------------------- */

static enum at_status not_as_said(const struct at_source *src,
                                  struct chain *chain)
{
    const struct at_access_point *p = src->access->point + chain->next_point;

    return at_error_set(&chain->err, AT_ERR_CORRUPT,
                        "%s: gzip data damaged between byte %llu and byte "
                        "%llu, or %s is wrong: checksum does not match",
                        src->in.name, (unsigned long long)p[-1].file_bit / 8,
                        (unsigned long long)p->file_bit / 8, src->access->name);
}

/* Decodes what has no bytes any more: trailers, empty members. */
static enum at_status pass_members(struct chain *chain, uint64_t to)
{
    enum at_status st = AT_OK;
    size_t got = 0;

    while (st == AT_OK && got == 0 &&
           (chain->g.inside || at_gunzip_position(&chain->g) < to))
        st = at_gunzip_step(&chain->g, chain->scrap, 1, &got, &chain->err);
    return st == AT_OK && got > 0 ? AT_END : st;
}

/* The chain has come to the next point: is it as the point says? */
static enum at_status pass_point(const struct at_source *src,
                                 struct chain *chain)
{
    const struct at_access_point *p = &src->access->point[chain->next_point];
    const struct at_gunzip *g = &chain->g;
    enum at_status st = AT_OK;
    bool good;

    if (p->member_raw == 0) {
        st = pass_members(chain, p->member_offset);
        good = at_gunzip_position(g) == p->member_offset;
    } else {
        good = g->inside && g->member_offset == p->member_offset &&
               g->member_raw == p->member_raw && at_gunzip_crc(g) == p->crc;
    }
    if (st < 0)
        return st;
    if (st == AT_END || !good)
        return not_as_said(src, chain);
    chain->next_point++;
    return AT_OK;
}

/* Decodes up to 'to'; into 'piece', or to be thrown away if it is NULL. */
static enum at_status decode_to(const struct at_source *src,
                                struct chain *chain, uint64_t to,
                                struct at_piece *piece)
{
    struct at_gunzip *g = &chain->g;
    enum at_status st = AT_OK;

    while (st == AT_OK && g->raw < to) {
        const uint64_t end = span_end(src, chain->next_point - 1);
        const uint64_t left = (to < end ? to : end) - g->raw;
        const bool inside = g->inside;
        uint8_t *out = chain->scrap;
        size_t n = SCRAP_BYTES, got = 0;

        if (piece != NULL) {
            out = piece->data + piece->len;
            n = (size_t)left;
        }
        st = at_gunzip_step(g, out, left < n ? (size_t)left : n, &got,
                            &chain->err);
        if (piece != NULL)
            piece->len += got;
        if (st == AT_OK && !inside && piece != NULL &&
            at_piece_mark(piece, g->raw, g->member_offset) != AT_OK)
            st = at_error_set(&chain->err, AT_ERR_MEMORY, "out of memory");
        if (st == AT_OK && g->raw == end)
            st = pass_point(src, chain);
    }
    return st;
}

static enum at_status start_chain(const struct at_source *src,
                                  const struct link *link)
{
    struct chain *chain = link->chain;
    const struct at_access_point *p = &src->access->point[link->point];
    enum at_status st = AT_OK;

    if (p->window_bytes > 0)
        st = at_access_window(src->access, link->point, chain->packed,
                              chain->window, &chain->err);
    if (st == AT_OK)
        st = at_gunzip_restart(&chain->g, p, chain->window, &chain->err);
    chain->next_point = link->point + 1;
    return st;
}

/* ---- decoding at once ------------------------------------------------ */

static struct bench *take_bench(struct state *state)
{
    struct bench *bench;

    pthread_mutex_lock(&state->lock);
    bench = state->free;
    if (bench != NULL)
        state->free = bench->next;
    pthread_mutex_unlock(&state->lock);
    if (bench != NULL || (bench = calloc(1, sizeof(*bench))) == NULL)
        return bench;
    bench->tool = at_unspan_open();
    if (bench->tool == NULL) {
        free(bench);
        return NULL;
    }
    return bench;
}

static void put_bench(struct state *state, struct bench *bench)
{
    pthread_mutex_lock(&state->lock);
    bench->next = state->free;
    state->free = bench;
    pthread_mutex_unlock(&state->lock);
}

/* Whether the job is all of its chain, and all of it in one span. */
static bool is_one_span(const struct at_source *src, const struct at_job *job)
{
    const struct link *link = job->tool;
    const uint64_t end = span_end(src, link->point);

    return link->number == 0 && link->last &&
           at_span_fits(src->access, link->point) &&
           job->piece->raw_offset <= end &&
           job->bytes <= end - job->piece->raw_offset;
}

/* Leaves in the piece what the job is to give of the span. */
static bool cut_span(const struct at_source *src, struct at_job *job)
{
    const struct link *link = job->tool;
    const struct at_access_point *p = &src->access->point[link->point];
    struct at_piece *piece = job->piece;

    piece->data += piece->raw_offset - p->raw_offset;
    piece->len = (size_t)job->bytes;
    piece->file_end = (p[1].file_bit + 7) / 8;
    return at_piece_mark(piece, p->raw_offset - p->member_raw,
                         p->member_offset) == AT_OK;
}

/* Makes the piece; false if the chain's decoder has to do it. */
static bool make_at_once(const struct at_source *src, struct at_job *job)
{
    const struct link *link = job->tool;
    struct at_piece *piece = job->piece;
    struct bench *bench;
    bool good;

    if (!is_one_span(src, job) || at_piece_room(piece, WHOLE_BYTES) != AT_OK ||
        (bench = take_bench(src->state)) == NULL)
        return false;
    good = at_unspan(bench->tool, src->access, link->point, &src->in,
                     link->chain->packed, piece->data);
    put_bench(src->state, bench);
    return good && cut_span(src, job);
}

/* ---- a job ----------------------------------------------------------- */

/* The job has its turn: makes the piece. */
static enum at_status make_piece(const struct at_source *src,
                                 struct at_job *job)
{
    const struct link *link = job->tool;
    struct chain *chain = link->chain;
    struct at_gunzip *g = &chain->g;
    struct at_piece *piece = job->piece;
    /* always the same, so that a piece is allocated once */
    const uint64_t room = job->bytes < WHOLE_BYTES ? WHOLE_BYTES : job->bytes;
    enum at_status st = AT_OK;

    if (make_at_once(src, job))
        return AT_OK;
    if (link->number == 0)
        st = start_chain(src, link);
    if (st == AT_OK)
        st = decode_to(src, chain, piece->raw_offset, NULL);
    if (st == AT_OK &&
        (at_piece_room(piece, (size_t)room) != AT_OK ||
         (g->inside && at_piece_mark(piece, g->raw - g->member_raw,
                                     g->member_offset) != AT_OK)))
        st = at_error_set(&chain->err, AT_ERR_MEMORY, "out of memory");
    if (st == AT_OK)
        st = decode_to(src, chain, piece->raw_offset + job->bytes, piece);
    piece->file_end = at_gunzip_position(g);
    if (st == AT_OK && link->last)
        st = decode_to(src, chain, link->look_to, NULL);
    return st;
}

/* The file is over, which is right only after all that is asked for. */
static void find_end(const struct at_source *src, const struct at_job *job)
{
    const struct link *link = job->tool;
    struct chain *chain = link->chain;

    chain->err.status = AT_END;
    if (chain->next_point < src->access->n ||
        (src->place != NULL && job->piece->len < job->bytes))
        at_error_set(&chain->err, AT_ERR_CORRUPT, "%s: shorter than %s says",
                     src->in.name, src->access->name);
}

static void wait_for_turn(struct state *state, const struct link *link)
{
    pthread_mutex_lock(&state->lock);
    while (link->chain->done != link->number)
        pthread_cond_wait(&state->turn, &state->lock);
    pthread_mutex_unlock(&state->lock);
}

static void give_turn(struct state *state, const struct link *link)
{
    pthread_mutex_lock(&state->lock);
    link->chain->done++;
    if (link->last)
        link->chain->idle = true;
    else
        pthread_cond_broadcast(&state->turn);
    pthread_mutex_unlock(&state->lock);
}

/*
 * Salvage: what follows the job's bytes in its span cannot be decoded, or is
 * not what it was.  The next span goes on, so only the last has an error.
 */
static void pass_span(const struct at_source *src, struct at_job *job)
{
    const struct link *link = job->tool;
    const struct at_access_point *p = &src->access->point[link->point];
    struct at_piece *piece = job->piece;
    const uint64_t end = p[1].file_bit / 8;
    struct at_gap gap = {.raw = piece->raw_offset + piece->len,
                         .file = piece->file_end};

    if (piece->len == job->bytes) { /* its CRC tells, or something behind it */
        gap.file = p->file_bit / 8;
        gap.kind = AT_GAP_DOUBTFUL;
    }
    if (gap.file < p->file_bit / 8 || gap.file > end) /* nothing was decoded */
        gap.file = p->file_bit / 8;
    gap.bytes = end - gap.file;
    piece->err.status = AT_OK;
    if ((piece->len == 0 && at_piece_room(piece, 0) != AT_OK) ||
        at_piece_gap(piece, gap) != AT_OK)
        at_error_set(&piece->err, AT_ERR_MEMORY, "out of memory");
}

static bool can_pass(const struct at_source *src, const struct at_job *job)
{
    const struct link *link = job->tool;

    return src->salvage && src->place == NULL &&
           link->point + 1 < src->access->n &&
           link->chain->err.status == AT_ERR_CORRUPT;
}

static void access_run(struct at_source *src, struct at_job *job)
{
    const struct link *link = job->tool;
    struct chain *chain = link->chain;
    bool fresh;
    enum at_status st;

    wait_for_turn(src->state, link);
    fresh = chain->err.status == AT_OK;
    if (fresh) {
        st = make_piece(src, job);
        if (st == AT_END)
            find_end(src, job);
    }
    job->piece->err = chain->err;
    if (src->place != NULL && chain->err.status == AT_END &&
        job->piece->len == job->bytes)
        job->piece->err.status = AT_OK; /* there may be more places */
    if (can_pass(src, job) && fresh)
        pass_span(src, job);
    else if (can_pass(src, job)) /* the gap is up to the next point */
        job->piece->err.status = at_piece_room(job->piece, 0);
    give_turn(src->state, link);
}

static void access_drop(struct at_job *job)
{
    free(job->tool);
}

const struct at_codec_ops at_codec_access = {
    .codec = AT_CODEC_GZIP,
    .by_raw = true,
    .open = access_open,
    .prepare = access_prepare,
    .run = access_run,
    .drop = access_drop,
    .close = access_close,
};
