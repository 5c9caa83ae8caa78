/*
 * goers.c - which flows go on from one target of a stream to another
 *
 * Of each flow that goes on from an earlier segment a bit is set, by a hash of
 * its ends; so what has no bit does not go on, and of what has one most does.
 */
#include "goers.h"

#include <stdlib.h>
#include <string.h>

#include "bytes.h"
#include "decode.h"
#include "errors.h"
#include "pool.h"

struct at_goers {
    uint64_t *word;
    size_t bits;   /* a power of 2 */
    bool *unknown; /* by lane: the bits do not tell all */
};

/* ---- hashes ---------------------------------------------------------- */

static uint64_t mix(uint64_t h)
{
    h *= UINT64_C(0x9e3779b97f4a7c15);
    return h ^ h >> 32;
}

static uint64_t hash_of_end(const struct at_flow_row *row, const uint8_t *addr,
                            uint16_t port)
{
    const bool ports = row->proto == PROTO_TCP || row->proto == PROTO_UDP ||
                       row->proto == PROTO_SCTP;

    return mix(mix(at_load_le64(addr)) ^ at_load_le64(addr + 8) ^
               (ports ? port : 0));
}

/* The same whichever end the source is. */
static uint64_t hash_of(const struct at_flow_row *row, size_t lane)
{
    return mix((hash_of_end(row, row->src, row->sport) +
                hash_of_end(row, row->dst, row->dport)) ^
               ((uint64_t)lane << 8 | row->proto));
}

/* ---- bits ------------------------------------------------------------ */

/* Bits for 'n' hashes, of which few then share one. */
static enum at_status open_bits(struct at_goers *g, size_t n)
{
    enum { BITS_EACH = 64 };

    for (g->bits = 1024; g->bits < n * BITS_EACH;)
        g->bits *= 2;
    g->word = calloc(g->bits / 64, sizeof(g->word[0]));
    return g->word != NULL ? AT_OK : AT_ERR_MEMORY;
}

static void set_bit(struct at_goers *g, uint64_t hash)
{
    const size_t bit = hash & (g->bits - 1);

    g->word[bit / 64] |= UINT64_C(1) << bit % 64;
}

static bool has_bit(const struct at_goers *g, uint64_t hash)
{
    const size_t bit = hash & (g->bits - 1);

    return (g->word[bit / 64] >> bit % 64 & 1) != 0;
}

/* ---- what a target has ----------------------------------------------- */

/* The hashes of the flows of a target that go on from earlier ones. */
struct look {
    const struct at_targets *t;
    size_t number;
    uint64_t *hash;
    size_t n;
    int64_t first_ns, last_ns, longest_ns; /* as the target's index has them */
    bool unknown;
};

static int64_t longest_of(const struct at_timeouts *t)
{
    const int64_t all[] = {t->tcp_opening_ns, t->tcp_ns,  t->tcp_closed_ns,
                           t->udp_ns,         t->icmp_ns, t->other_ns};
    int64_t longest = 0;

    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
        longest = all[i] > longest ? all[i] : longest;
    return longest;
}

static enum at_status take_hashes(struct look *look, struct at_index *ix,
                                  const struct at_set *flows)
{
    const size_t lane = look->t->target[look->number].lane;
    struct at_flow_row row;
    enum at_status st;

    look->hash = malloc((at_set_count(flows) + 1) * sizeof(look->hash[0]));
    if (look->hash == NULL)
        return AT_ERR_MEMORY;
    st = at_index_flows_with(ix, flows, AT_GOERS_FIELDS, NULL);
    while (st == AT_OK && (st = at_index_next_flow(ix, &row, NULL)) == AT_OK)
        look->hash[look->n++] = hash_of(&row, lane);
    return st < 0 ? st : AT_OK;
}

static enum at_status look_into(struct look *look, struct at_index *ix)
{
    const struct at_index_info *info = at_index_info(ix);
    struct at_set flows;
    enum at_status st = at_set_open(&flows, (size_t)info->rows + 1, false);

    look->first_ns = info->first_ns;
    look->last_ns = info->last_ns;
    look->longest_ns = longest_of(&info->tracking.timeouts);
    if (st == AT_OK)
        st = at_index_continuing_flows(ix, &flows, NULL);
    if (st == AT_OK)
        st = take_hashes(look, ix, &flows);
    at_set_close(&flows);
    return st;
}

static void look_at(void *ctx, void *slot)
{
    struct look *look = slot;
    const struct at_target *target = &look->t->target[look->number];
    struct at_index *ix = NULL;
    enum at_status st = AT_ERR_MISUSE;

    (void)ctx;
    if (target->index != NULL)
        st = at_target_index(&ix, target, NULL);
    if (st == AT_OK)
        st = look_into(look, ix);
    at_index_close(ix);
    look->unknown = st != AT_OK;
}

static void drop(void *ctx, void *slot)
{
    struct look *look = slot;

    (void)ctx;
    free(look->hash);
    look->hash = NULL;
    look->n = 0;
}

/* ---- all targets ----------------------------------------------------- */

/* What is there of all targets so far. */
struct gathering {
    struct at_goers *g;
    const struct at_query *q;
    const struct at_targets *t;
    struct at_lane *lane;
    uint64_t *hash;
    size_t n, room;
    int64_t *until_ns; /* by lane: when nothing of the range goes on any more */
};

static enum at_status gather(struct gathering *all, struct look *look)
{
    const struct at_target *target = &all->t->target[look->number];
    const size_t lane = target->lane, n = all->n + look->n;

    all->g->unknown[lane] |= look->unknown;
    if (!look->unknown && !target->outside &&
        look->last_ns + look->longest_ns > all->until_ns[lane])
        all->until_ns[lane] = look->last_ns + look->longest_ns;
    if (n > all->room) {
        const size_t room = 2 * n;
        uint64_t *p = realloc(all->hash, room * sizeof(*p));

        if (p == NULL)
            return AT_ERR_MEMORY;
        all->hash = p;
        all->room = room;
    }
    if (look->n > 0)
        memcpy(all->hash + all->n, look->hash, look->n * sizeof(all->hash[0]));
    all->n = n;
    return AT_OK;
}

static enum at_status retire(struct gathering *all)
{
    struct look *look = at_lane_wait(all->lane);
    const enum at_status st = gather(all, look);

    drop(NULL, look);
    at_lane_retire(all->lane);
    return st;
}

/* Those in the range, by all threads. */
static enum at_status gather_inside(struct gathering *all)
{
    enum at_status st = AT_OK;

    for (size_t i = 0; i < all->t->n && st == AT_OK; i++) {
        struct look *look;

        if (all->t->target[i].outside)
            continue;
        while (st == AT_OK && (look = at_lane_free_slot(all->lane)) == NULL)
            st = retire(all);
        if (st != AT_OK)
            break;
        *look = (struct look){.t = all->t, .number = i};
        at_lane_submit(all->lane);
    }
    while (st == AT_OK && at_lane_pending(all->lane) > 0)
        st = retire(all);
    return st;
}

/* And others from the first of them on, as long as something may go on there.
 */
static enum at_status gather_outside(struct gathering *all, size_t lane)
{
    const struct at_targets *t = all->t;
    enum at_status st = AT_OK;
    size_t i = 0;

    while (i < t->n && (t->target[i].lane != lane || t->target[i].outside))
        i++;
    for (; i < t->n && t->target[i].lane == lane && st == AT_OK; i++) {
        struct look look = {.t = t, .number = i};

        if (!t->target[i].outside)
            continue;
        look_at(NULL, &look);
        if (look.unknown || look.first_ns <= all->until_ns[lane])
            st = gather(all, &look);
        else
            i = t->n - 1;
        drop(NULL, &look);
    }
    return st;
}

static enum at_status set_bits(struct at_goers *g, const struct gathering *all)
{
    if (open_bits(g, all->n) != AT_OK)
        return AT_ERR_MEMORY;
    for (size_t i = 0; i < all->n; i++)
        set_bit(g, all->hash[i]);
    return AT_OK;
}

static enum at_status gather_all(struct gathering *all)
{
    enum at_status st = AT_OK;

    all->until_ns = calloc(all->t->lanes + 1, sizeof(all->until_ns[0]));
    all->lane = at_lane_open(all->q->pool, look_at, NULL, sizeof(struct look),
                             0, false);
    if (all->until_ns == NULL || all->lane == NULL)
        st = AT_ERR_MEMORY;
    for (size_t i = 0; i < all->t->lanes && st == AT_OK; i++)
        all->until_ns[i] = AT_TIME_MIN;
    if (st == AT_OK)
        st = gather_inside(all);
    for (size_t i = 0; i < all->t->lanes && st == AT_OK; i++)
        st = gather_outside(all, i);
    return st == AT_OK ? set_bits(all->g, all) : st;
}

static struct at_goers *open_empty(const struct at_targets *t)
{
    struct at_goers *g = calloc(1, sizeof(*g));

    if (g != NULL)
        g->unknown = calloc(t->lanes + 1, sizeof(g->unknown[0]));
    if (g != NULL && g->unknown == NULL) {
        at_goers_close(g);
        g = NULL;
    }
    return g;
}

/* Gives it away, or closes it. */
static enum at_status give(struct at_goers **out, struct at_goers *g,
                           enum at_status st, struct at_error *err)
{
    *out = st == AT_OK ? g : NULL;
    if (st == AT_OK)
        return AT_OK;
    at_goers_close(g);
    return at_error_set(err, st, "out of memory");
}

enum at_status at_goers_open(struct at_goers **out, const struct at_query *q,
                             const struct at_targets *t, struct at_error *err)
{
    struct at_goers *g = open_empty(t);
    struct gathering all = {.g = g, .q = q, .t = t};
    const enum at_status st = g != NULL ? gather_all(&all) : AT_ERR_MEMORY;

    at_lane_close(all.lane, drop);
    free(all.hash);
    free(all.until_ns);
    return give(out, g, st, err);
}

/* Rows of a target without an index do not say whether they go on. */
static enum at_status set_bits_of(struct at_goers *g,
                                  const struct at_finds *finds,
                                  const struct at_targets *t)
{
    size_t n = 0;

    for (size_t i = 0; i < finds->n; i++)
        n += finds->found[i]->row.continues == AT_GOES_ON;
    if (open_bits(g, n) != AT_OK)
        return AT_ERR_MEMORY;
    for (size_t i = 0; i < finds->n; i++) {
        const struct at_found *f = finds->found[i];
        const size_t lane = t->target[f->target].lane;

        if (f->row.continues == AT_GOES_ON)
            set_bit(g, hash_of(&f->row, lane));
        g->unknown[lane] |= f->row.continues == AT_GOES_ON_UNKNOWN;
    }
    return AT_OK;
}

enum at_status at_goers_of(struct at_goers **out, const struct at_finds *finds,
                           const struct at_targets *t, struct at_error *err)
{
    struct at_goers *g = open_empty(t);

    return give(out, g, g != NULL ? set_bits_of(g, finds, t) : AT_ERR_MEMORY,
                err);
}

void at_goers_close(struct at_goers *g)
{
    if (g == NULL)
        return;
    free(g->word);
    free(g->unknown);
    free(g);
}

/* ---- asking ---------------------------------------------------------- */

void at_goers_end(const struct at_goers *g, const struct at_targets *t,
                  size_t number, struct at_flow_row *row)
{
    const size_t lane = t->target[number].lane;

    if (row->continued != AT_GOES_ON || g->unknown[lane] ||
        has_bit(g, hash_of(row, lane)))
        return;
    at_flow_row_end_silent(row, t->target[number].stream_last_ns);
    row->continued = AT_GOES_NOT;
}

enum at_status at_goers_whole_row(const struct at_query *q,
                                  const struct at_targets *t, size_t number,
                                  struct at_index *ix, struct at_flow_row *row,
                                  struct at_error *err)
{
    const enum at_status st = at_index_whole_flow(ix, row, err);

    if (st == AT_OK && q->goers != NULL)
        at_goers_end(q->goers, t, number, row);
    return st;
}

/* ---- whether to look ------------------------------------------------- */

/* How many flows of a target the postings leave. */
static size_t count_left(const struct at_query *q,
                         const struct at_target *target)
{
    struct at_set flows = {.n = 0};
    struct at_index *ix = NULL;
    size_t n = 0;

    if (at_target_index(&ix, target, NULL) == AT_OK &&
        at_index_name_apps(ix, q->names, NULL) == AT_OK &&
        at_plan_flows(q, ix, &flows, NULL) == AT_OK)
        n = at_set_count(&flows);
    at_set_close(&flows);
    at_index_close(ix);
    return n;
}

/* Where there are few, those can be held against each other. */
static bool leaves_many(const struct at_query *q, const struct at_targets *t)
{
    enum { SAMPLE = 3, MANY = 4096 };

    if (!at_plan_narrows(q))
        return true;
    for (size_t i = 0; i < SAMPLE; i++) {
        const struct at_target
            *target = &t->target[i * (t->n - 1) / (SAMPLE - 1)];

        if (target->index != NULL && !target->outside &&
            count_left(q, target) > MANY)
            return true;
    }
    return false;
}

enum at_status at_query_find_goers(struct at_query *q,
                                   const struct at_targets *t,
                                   struct at_error *err)
{
    return !q->alone && leaves_many(q, t) ? at_goers_open(&q->goers, q, t, err)
                                          : AT_OK;
}
