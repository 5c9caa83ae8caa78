/*
 * process.c - what is done to each packet on its way
 *
 * Checksums come first, since nothing can be verified once bytes are gone,
 * and directions before the headers they may be read from; a frame check
 * sequence is computed over the frame without its tags; snapping comes last,
 * over what is left.  A packet's headers are decoded once, and again only if
 * tags were stripped.
 *
 * Threads share the process and write to the packet and the scratch of their
 * batch only.  A packet that is cut stays where it is; one whose bytes move
 * is copied to the scratch, because the block may be shared.
 */
#include "process.h"

#include <stdlib.h>

struct at_process {
    struct at_snap *snap;                /* NULL: whole */
    struct at_direction_rule *direction; /* NULL: as it is */
    unsigned strip;                      /* AT_STRIP_ bits */
    enum at_fcs_use fcs;
    enum at_checksum_use checksum;
};

bool at_item_number(struct at_item *w, uint32_t most, uint32_t *n)
{
    const char *start = w->p;
    uint64_t v = 0;

    while (w->n > 0 && *w->p >= '0' && *w->p <= '9') {
        v = v * 10 + (uint64_t)(*w->p - '0');
        if (v > most)
            return false;
        w->p++;
        w->n--;
    }
    *n = (uint32_t)v;
    return w->p > start;
}

bool at_item_skip(struct at_item *w, char c)
{
    if (w->n == 0 || *w->p != c)
        return false;
    w->p++;
    w->n--;
    return true;
}

enum at_status at_process_open(struct at_process **out,
                               const struct at_process_options *opts,
                               struct at_error *err)
{
    struct at_process *p = calloc(1, sizeof(*p));
    enum at_status st = AT_OK;

    *out = NULL;
    if (p == NULL)
        return at_error_set(err, AT_ERR_MEMORY, "out of memory");
    p->fcs = opts->fcs;
    p->checksum = opts->checksum;
    if (opts->snap != NULL)
        st = at_snap_open(&p->snap, opts->snap, err);
    if (st == AT_OK && opts->strip != NULL)
        st = at_strip_parse(&p->strip, opts->strip, err);
    if (st == AT_OK && opts->direction != NULL)
        st = at_direction_open(&p->direction, opts->direction, err);
    if (st != AT_OK) {
        at_process_close(p);
        return st;
    }
    *out = p;
    return AT_OK;
}

void at_process_close(struct at_process *p)
{
    if (p == NULL)
        return;
    at_snap_close(p->snap);
    at_direction_close(p->direction);
    free(p);
}

/* What is told of the packet; its bytes stay. */
static unsigned tell(const struct at_process *p, struct at_packet *pkt,
                     const struct at_headers *h)
{
    unsigned done = 0;

    if (p->checksum != AT_CHECKSUM_IGNORE) {
        pkt->checksum = (uint8_t)at_checksum_overall(
            at_checksum_verify(pkt, h));
        if (p->checksum == AT_CHECKSUM_DROP && pkt->checksum == AT_CHECKSUM_BAD)
            return AT_DONE_DROPPED;
    }
    if (p->direction != NULL) {
        pkt->direction = (uint8_t)at_direction_of(p->direction, pkt, h);
        pkt->edited = true;
        done |= AT_DONE_DIRECTED;
    }
    return done;
}

static unsigned snap(const struct at_process *p, struct at_packet *pkt,
                     const struct at_headers *h)
{
    const uint64_t keep = at_snap_bytes(p->snap, pkt, h);

    if (keep >= pkt->cap_bytes)
        return 0;
    pkt->cap_bytes = (uint32_t)keep;
    pkt->edited = true;
    return AT_DONE_CUT;
}

bool at_process_packet(const struct at_process *p, struct at_scratch *scratch,
                       struct at_packet *pkt)
{
    struct at_headers h;
    unsigned done;

    if (pkt->kind != AT_KIND_PACKET)
        return true;
    if (p->snap != NULL || p->direction != NULL ||
        p->checksum != AT_CHECKSUM_IGNORE)
        at_decode(&h, pkt);
    done = tell(p, pkt, &h);
    if ((done & AT_DONE_DROPPED) == 0) {
        if (p->fcs == AT_FCS_STRIP)
            done |= at_fcs_strip(pkt);
        if (p->strip != 0)
            done |= at_strip_tags(pkt, p->strip, scratch);
        if (p->fcs == AT_FCS_ADD)
            done |= at_fcs_add(pkt, scratch);
        if (p->snap != NULL && (done & (AT_DONE_STRIPPED | AT_DONE_FCS)) != 0)
            at_decode(&h, pkt);
        if (p->snap != NULL)
            done |= snap(p, pkt, &h);
    }
    pkt->done = (uint8_t)done;
    return (done & AT_DONE_DROPPED) == 0;
}

void at_process_count(struct at_process_tally *t, const struct at_packet *pkt)
{
    t->cut += (pkt->done & AT_DONE_CUT) != 0;
    t->stripped += (pkt->done & AT_DONE_STRIPPED) != 0;
    t->left += (pkt->done & AT_DONE_LEFT) != 0;
    t->fcs += (pkt->done & AT_DONE_FCS) != 0;
    t->dropped += (pkt->done & AT_DONE_DROPPED) != 0;
    if ((pkt->done & AT_DONE_DIRECTED) != 0)
        t->direction[pkt->direction]++;
    if (pkt->checksum != AT_CHECKSUM_UNKNOWN)
        t->checksum[pkt->checksum]++;
}
