/*
 * sift.c - the wanted packets of one batch
 */
#include "sift.h"

#include <stdlib.h>

static bool wanted(const struct at_selection *sel, const struct at_packet *pkt)
{
    const int64_t ns = at_ts_to_ns(pkt->ts);

    if (pkt->kind != AT_KIND_PACKET)
        return sel->records;
    return ns >= sel->from_ns && ns < sel->to_ns &&
           (sel->filter == NULL || at_filter_match(sel->filter, pkt));
}

static enum at_status make_arrays(struct at_sift *s,
                                  const struct at_sift_plan *plan,
                                  const struct at_batch *batch)
{
    const bool notes = plan->selection->note != NULL;
    size_t n = 0;

    for (size_t i = 0; i < batch->blocks; i++)
        n += batch->block[i].records;
    if (n <= s->room)
        return AT_OK;
    free(s->pkt);
    free(s->hash);
    free(s->note_end);
    s->room = 0;
    n += n / 4;
    s->pkt = malloc(n * sizeof(s->pkt[0]));
    s->hash = plan->hash != NULL ? malloc(n * sizeof(s->hash[0])) : NULL;
    s->note_end = notes ? malloc(n * sizeof(s->note_end[0])) : NULL;
    if (s->pkt == NULL || (plan->hash != NULL && s->hash == NULL) ||
        (notes && s->note_end == NULL))
        return AT_ERR_MEMORY;
    s->room = n;
    return AT_OK;
}

/* Processing and change take their own copies. */
static enum at_status make_scratch(struct at_scratch *scratch,
                                   const struct at_selection *sel,
                                   const struct at_batch *batch)
{
    enum { MORE = 32 };
    size_t n = 0;

    scratch->used = 0;
    for (size_t i = 0; i < batch->blocks; i++) {
        n += batch->block[i].place.bytes;
        if (sel->change != NULL)
            n += batch->block[i].place.bytes + batch->block[i].records * MORE;
    }
    if (n <= scratch->room)
        return AT_OK;
    free(scratch->p);
    scratch->room = 0;
    scratch->p = malloc(n + n / 4);
    if (scratch->p == NULL)
        return AT_ERR_MEMORY;
    scratch->room = n + n / 4;
    return AT_OK;
}

static void sift_record(struct at_sift *s, const struct at_sift_plan *plan)
{
    const struct at_selection *sel = plan->selection;
    struct at_packet *pkt = &s->pkt[s->n];

    s->packets += pkt->kind == AT_KIND_PACKET;
    if (!wanted(sel, pkt))
        return;
    pkt->source = plan->source;
    if (sel->process != NULL)
        at_process_packet(sel->process, &s->scratch, pkt);
    if (sel->change != NULL && (pkt->done & AT_DONE_DROPPED) == 0 &&
        !sel->change(sel->change_ctx, &s->scratch, pkt)) {
        if (pkt->kind != AT_KIND_PACKET)
            return;
        pkt->done |= AT_DONE_DROPPED;
    }
    s->wanted += pkt->kind == AT_KIND_PACKET;
    if (plan->hash != NULL)
        s->hash[s->n] = plan->hash(plan->hash_ctx, pkt);
    if (sel->note != NULL) {
        sel->note(sel->ctx, &s->notes, pkt);
        s->note_end[s->n] = s->notes.n;
    }
    s->n++;
}

enum at_status at_sift_fill(struct at_sift *s, const struct at_sift_plan *plan,
                            const struct at_batch *batch, struct at_error *err)
{
    s->n = 0;
    s->notes.n = 0;
    s->packets = s->wanted = 0;
    if (make_arrays(s, plan, batch) != AT_OK ||
        ((plan->selection->process != NULL ||
          plan->selection->change != NULL) &&
         make_scratch(&s->scratch, plan->selection, batch) != AT_OK))
        return at_error_set(err, AT_ERR_MEMORY, "out of memory");
    for (size_t i = 0; i < batch->blocks; i++) {
        struct at_walk walk = at_walk_block(batch, i);

        while (at_walk_next(&walk, &s->pkt[s->n]))
            sift_record(s, plan);
    }
    if (s->notes.failed)
        return at_error_set(err, AT_ERR_MEMORY, "out of memory");
    return AT_OK;
}

const char *at_sift_note(const struct at_sift *s, size_t i, size_t *n)
{
    size_t start;

    *n = 0;
    if (s->note_end == NULL)
        return "";
    start = i > 0 ? s->note_end[i - 1] : 0;
    *n = s->note_end[i] - start;
    return *n > 0 ? s->notes.p + start : "";
}

void at_sift_clear(struct at_sift *s)
{
    free(s->pkt);
    free(s->hash);
    free(s->scratch.p);
    free(s->note_end);
    at_text_close(&s->notes);
}
