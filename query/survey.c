/*
 * survey.c - what a trace holds, in numbers
 *
 * A duplicate is found by a hash of 64 bits over lengths and bytes, among the
 * packets just before: that is how ports that are mirrored twice show.  A
 * stretch keeps the hashes of its first and last packets, for its neighbours.
 */
#include "survey.h"

#include <string.h>

/* ---- times ----------------------------------------------------------- */

static void see_time(struct at_survey_times *t, uint64_t ts)
{
    if (t->packets++ == 0) {
        t->first = t->last = t->begin = t->end = ts;
        return;
    }
    if (ts < t->end) {
        t->backward++;
        if (t->end - ts > t->back_most)
            t->back_most = t->end - ts;
    } else if (ts - t->end > t->gap_most) {
        t->gap_most = ts - t->end;
        t->gap_end = ts;
    }
    if (ts < t->first)
        t->first = ts;
    if (ts > t->last)
        t->last = ts;
    t->end = ts;
}

static void join_times(struct at_survey_times *t,
                       const struct at_survey_times *next)
{
    if (next->packets == 0)
        return;
    see_time(t, next->begin); /* the step between the stretches */
    t->packets += next->packets - 1;
    t->backward += next->backward;
    if (next->back_most > t->back_most)
        t->back_most = next->back_most;
    if (next->gap_most > t->gap_most) {
        t->gap_most = next->gap_most;
        t->gap_end = next->gap_end;
    }
    if (next->first < t->first)
        t->first = next->first;
    if (next->last > t->last)
        t->last = next->last;
    t->end = next->end;
}

/* ---- link types and interfaces --------------------------------------- */

static void see_linktype(struct at_survey *s, uint16_t linktype)
{
    for (unsigned i = 0; i < s->linktypes; i++)
        if (s->linktype[i] == linktype)
            return;
    if (s->linktypes < AT_SURVEY_LINKTYPES)
        s->linktype[s->linktypes++] = linktype;
}

/* The place of an interface, a new one if need be; NULL if all are taken. */
static struct at_survey_interface *place_of(struct at_survey *s,
                                            uint32_t number, bool *fresh)
{
    *fresh = false;
    for (unsigned i = 0; i < s->interfaces; i++)
        if (s->interface[i].number == number)
            return &s->interface[i];
    if (s->interfaces == AT_SURVEY_INTERFACES)
        return NULL;
    *fresh = true;
    s->interface[s->interfaces] = (struct at_survey_interface){
        .number = number,
    };
    return &s->interface[s->interfaces++];
}

static void copy_name(char *name, const struct at_packet *pkt)
{
    const char *text;
    size_t n;

    if (!at_interface_name(pkt, &text, &n))
        return;
    if (n >= AT_SURVEY_NAME)
        n = AT_SURVEY_NAME - 1;
    memcpy(name, text, n);
    name[n] = '\0';
}

static void see_interface(struct at_survey *s, const struct at_packet *pkt)
{
    bool fresh;
    struct at_survey_interface *f = place_of(s, pkt->interface, &fresh);

    if (f == NULL) {
        s->elsewhere++;
        return;
    }
    if (fresh)
        copy_name(f->name, pkt);
    f->packets++;
    f->captured_bytes += pkt->cap_bytes;
    f->wire_bytes += pkt->wire_bytes;
    f->lost += pkt->lost;
    f->in += pkt->direction == AT_DIRECTION_IN;
    f->out += pkt->direction == AT_DIRECTION_OUT;
    if (!pkt->timeless)
        see_time(&f->times, pkt->ts);
}

static void join_interfaces(struct at_survey *s, const struct at_survey *next)
{
    for (unsigned i = 0; i < next->interfaces; i++) {
        const struct at_survey_interface *g = &next->interface[i];
        bool fresh;
        struct at_survey_interface *f = place_of(s, g->number, &fresh);

        if (f == NULL) {
            s->elsewhere += g->packets;
        } else if (fresh) {
            *f = *g;
        } else {
            f->packets += g->packets;
            f->captured_bytes += g->captured_bytes;
            f->wire_bytes += g->wire_bytes;
            f->lost += g->lost;
            f->in += g->in;
            f->out += g->out;
            join_times(&f->times, &g->times);
        }
    }
    s->elsewhere += next->elsewhere;
}

/* ---- duplicates ------------------------------------------------------ */

static uint64_t mix(uint64_t h, uint64_t v)
{
    h = (h ^ v) * UINT64_C(0x9e3779b97f4a7c15);
    return h ^ (h >> 29);
}

static uint64_t hash_of(const struct at_packet *pkt)
{
    uint64_t h = mix(pkt->wire_bytes, pkt->cap_bytes);
    const uint8_t *p = pkt->data;
    uint32_t n = pkt->cap_bytes;
    uint64_t v;

    for (; n >= 8; n -= 8, p += 8) {
        memcpy(&v, p, 8);
        h = mix(h, v);
    }
    v = 0;
    memcpy(&v, p, n);
    return mix(mix(h, v), n);
}

/* The newest packet is the last of 'tail', which is a ring by number. */
static void see_hash(struct at_survey *s, uint64_t h)
{
    bool seen = false;

    for (unsigned i = 0; i < s->tails && !seen; i++)
        seen = s->tail[i] == h;
    s->duplicates += seen;
    if (s->heads < AT_SURVEY_NEAR) {
        s->head_seen |= (uint32_t)seen << s->heads;
        s->head[s->heads++] = h;
    }
    s->tail[s->packets % AT_SURVEY_NEAR] = h;
    if (s->tails < AT_SURVEY_NEAR)
        s->tails++;
}

/* The packet that is 'back' before the last one of 's', 0 the last itself. */
static uint64_t hash_back(const struct at_survey *s, unsigned back)
{
    return s->tail[(s->packets - 1 - back) % AT_SURVEY_NEAR];
}

/* Before 's' has taken the packets of 'next' over. */
static void join_hashes(struct at_survey *s, const struct at_survey *next)
{
    s->duplicates += next->duplicates;
    for (unsigned i = 0; i < next->heads; i++) {
        bool seen = (next->head_seen >> i & 1) != 0;
        const bool was = seen;

        for (unsigned b = 0; b + i < AT_SURVEY_NEAR && b < s->tails; b++)
            seen = seen || hash_back(s, b) == next->head[i];
        s->duplicates += seen && !was;
    }
}

/* The last packets of both, with those of 'next' at the end. */
static void join_tails(struct at_survey *s, const struct at_survey *next)
{
    for (unsigned b = next->tails; b-- > 0;) {
        const uint64_t number = s->packets + next->packets - 1 - b;

        s->tail[number % AT_SURVEY_NEAR] = hash_back(next, b);
    }
    s->tails = s->tails + next->tails < AT_SURVEY_NEAR ? s->tails + next->tails
                                                       : AT_SURVEY_NEAR;
}

/* ---- all of it ------------------------------------------------------- */

void at_survey_packet(struct at_survey *s, const struct at_packet *pkt,
                      bool deep)
{
    if (pkt->kind != AT_KIND_PACKET) {
        s->meta += pkt->kind == AT_KIND_META;
        s->pad += pkt->kind == AT_KIND_PAD;
        return;
    }
    if (!pkt->timeless)
        see_time(&s->times, pkt->ts);
    if (s->linktypes == 0 || s->linktype[s->linktypes - 1] != pkt->linktype)
        see_linktype(s, pkt->linktype);
    see_interface(s, pkt);
    if (deep)
        see_hash(s, hash_of(pkt));
    s->packets++;
    s->captured_bytes += pkt->cap_bytes;
    s->wire_bytes += pkt->wire_bytes;
    s->lost += pkt->lost;
    s->cut += pkt->cap_bytes < pkt->wire_bytes;
    s->over += pkt->cap_bytes > pkt->wire_bytes;
}

void at_survey_batch(struct at_survey *s, const struct at_batch *batch,
                     bool deep)
{
    struct at_packet pkt;

    for (size_t i = 0; i < batch->blocks; i++) {
        struct at_walk walk = at_walk_block(batch, i);

        while (at_walk_next(&walk, &pkt))
            at_survey_packet(s, &pkt, deep);
        s->raw_bytes += batch->block[i].place.bytes;
    }
    s->blocks += batch->blocks;
}

void at_survey_join(struct at_survey *s, const struct at_survey *next)
{
    join_hashes(s, next);
    join_tails(s, next);
    join_times(&s->times, &next->times);
    join_interfaces(s, next);
    for (unsigned i = 0; i < next->linktypes; i++)
        see_linktype(s, next->linktype[i]);
    s->packets += next->packets;
    s->meta += next->meta;
    s->pad += next->pad;
    s->captured_bytes += next->captured_bytes;
    s->wire_bytes += next->wire_bytes;
    s->lost += next->lost;
    s->cut += next->cut;
    s->over += next->over;
    s->blocks += next->blocks;
    s->raw_bytes += next->raw_bytes;
}
