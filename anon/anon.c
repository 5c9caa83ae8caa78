/*
 * anon.c - packets that can be shown to others
 *
 * Each thread gets a mask of its own when its first packet comes.  They are
 * kept in a list, because a thread may outlive the anonymiser, and the other
 * way round.
 *
 * A packet is made anew so that nothing of its old record is left: one of ERF
 * gets a record header without the extension headers, one of pcapng becomes a
 * packet of no format, which has no options.
 */
#include "anon.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "rewrite.h"

struct own {
    struct at_mask *mask;
    struct own *next;
};

struct at_anon {
    struct at_policy policy;
    struct at_key key;
    bool keyed;
    pthread_key_t own; /* each thread's mask */
    at_mask_seen *seen;
    void *seen_ctx;

    pthread_mutex_t lock;
    struct own *all; /* guarded by lock */
    bool failed;     /* likewise */
};

/* ---- one mask a thread ----------------------------------------------- */

static void see(void *ctx, const uint8_t *was, const uint8_t *now, size_t bytes)
{
    struct at_anon *a = ctx;

    pthread_mutex_lock(&a->lock);
    a->seen(a->seen_ctx, was, now, bytes);
    pthread_mutex_unlock(&a->lock);
}

static struct at_mask *make_mask(struct at_anon *a)
{
    struct own *own = calloc(1, sizeof(*own));

    if (own == NULL || at_mask_open(&own->mask, &a->policy,
                                    a->keyed ? &a->key : NULL, NULL) != AT_OK) {
        free(own);
        return NULL;
    }
    if (a->seen != NULL)
        at_mask_watch(own->mask, see, a);
    pthread_mutex_lock(&a->lock);
    own->next = a->all;
    a->all = own;
    pthread_mutex_unlock(&a->lock);
    pthread_setspecific(a->own, own->mask);
    return own->mask;
}

static struct at_mask *mask_of(struct at_anon *a)
{
    struct at_mask *mask = pthread_getspecific(a->own);

    if (mask == NULL)
        mask = make_mask(a);
    if (mask == NULL) {
        pthread_mutex_lock(&a->lock);
        a->failed = true;
        pthread_mutex_unlock(&a->lock);
    }
    return mask;
}

bool at_anon_failed(const struct at_anon *a)
{
    struct at_anon *changing = (struct at_anon *)(uintptr_t)a;
    bool failed;

    pthread_mutex_lock(&changing->lock);
    failed = a->failed;
    pthread_mutex_unlock(&changing->lock);
    return failed;
}

/* ---- time ------------------------------------------------------------ */

static bool changes_time(const struct at_policy *p)
{
    return p->time_shift_ns != 0 || p->time_precision_ns > 1;
}

static void change_time(const struct at_policy *p, struct at_packet *pkt)
{
    int64_t ns;

    if (!changes_time(p) || pkt->timeless)
        return;
    ns = at_ts_to_ns(pkt->ts) + p->time_shift_ns;
    if (ns < 0)
        ns = 0;
    if (p->time_precision_ns > 1)
        ns -= ns % p->time_precision_ns;
    pkt->ts = at_ts_from_ns((uint64_t)ns);
}

/* ---- records --------------------------------------------------------- */

static uint8_t *take(struct at_scratch *s, size_t n)
{
    uint8_t *p = s->p + s->used;

    if (n > s->room - s->used)
        return NULL;
    s->used += n;
    return p;
}

/* The record of an ERF packet up to its frame, without extension headers. */
static bool make_erf_header(struct at_packet *pkt, struct at_scratch *scratch)
{
    enum { HEADER = 16, TYPE = 8, MORE = 0x80, EXTENSION = 8 };
    const size_t framing = (size_t)(pkt->data - pkt->record);
    size_t extensions = 0;
    uint8_t *p;
    bool more = (pkt->record[TYPE] & MORE) != 0;

    while (more && HEADER + extensions + EXTENSION <= framing) {
        more = (pkt->record[HEADER + extensions] & MORE) != 0;
        extensions += EXTENSION;
    }
    p = take(scratch, framing - extensions);
    if (p == NULL)
        return false;
    memcpy(p, pkt->record, HEADER);
    memcpy(p + HEADER, pkt->record + HEADER + extensions,
           framing - extensions - HEADER);
    p[TYPE] &= (uint8_t)~MORE;
    pkt->record = p;
    pkt->record_bytes = (uint32_t)(framing - extensions);
    return true;
}

/* Whether the frame lies in its record, as it was read. */
static bool is_in_record(const struct at_packet *pkt)
{
    return pkt->data >= pkt->record + 16 &&
           pkt->data <= pkt->record + pkt->record_bytes;
}

/* Takes off what the record says beside the packet; false if it cannot. */
static bool strip_record(const struct at_policy *p, struct at_packet *pkt,
                         struct at_scratch *scratch)
{
    if (pkt->format == AT_FORMAT_ERF && p->erf_extensions_keep == 0 &&
        (pkt->record[8] & 0x80) != 0) {
        if (!is_in_record(pkt) || !make_erf_header(pkt, scratch))
            return false;
    }
    if (pkt->format == AT_FORMAT_PCAPNG &&
        (p->metadata_keep == 0 || changes_time(p)))
        pkt->format = AT_FORMAT_PCAP;
    return true;
}

/* ---- packets --------------------------------------------------------- */

static bool rewrite(const struct at_policy *p, struct at_mask *mask,
                    struct at_scratch *scratch, struct at_packet *pkt)
{
    struct at_rewrite r;

    r.policy = p;
    r.mask = mask;
    r.pkt = pkt;
    r.now = take(scratch, pkt->cap_bytes);
    if (r.now == NULL)
        return false;
    memcpy(r.now, pkt->data, pkt->cap_bytes);
    at_rewrite_packet(&r);
    if (r.unknown && p->unknown_drop != 0)
        return false;
    if (!strip_record(p, pkt, scratch))
        return false;
    change_time(p, pkt);
    pkt->data = r.now;
    pkt->done |= r.unknown ? AT_DONE_UNKNOWN : 0;
    pkt->done |= r.cap < pkt->cap_bytes ? AT_DONE_CUT : 0;
    pkt->cap_bytes = r.cap;
    pkt->edited = true;
    return true;
}

bool at_anon_packet(void *anon, struct at_scratch *scratch,
                    struct at_packet *pkt)
{
    struct at_anon *a = anon;
    struct at_mask *mask;

    if (pkt->kind == AT_KIND_META)
        return a->policy.metadata_keep != 0;
    if (pkt->kind != AT_KIND_PACKET)
        return false;
    mask = mask_of(a);
    return mask != NULL && rewrite(&a->policy, mask, scratch, pkt);
}

/* ---- opening and closing --------------------------------------------- */

/* That a mask can be made is found out here, not by the first packet. */
static enum at_status try_mask(struct at_anon *a, struct at_error *err)
{
    struct at_mask *mask;
    const enum at_status st = at_mask_open(&mask, &a->policy,
                                           a->keyed ? &a->key : NULL, err);

    at_mask_close(mask);
    return st;
}

enum at_status at_anon_open(struct at_anon **out,
                            const struct at_policy *policy,
                            const struct at_key *key, struct at_error *err)
{
    struct at_anon *a;
    enum at_status st;

    *out = NULL;
    if (key == NULL && at_policy_needs_key(policy))
        return at_error_set(err, AT_ERR_SYNTAX, "the policy needs a key");
    a = calloc(1, sizeof(*a));
    if (a == NULL)
        return at_error_set(err, AT_ERR_MEMORY, "out of memory");
    if (pthread_key_create(&a->own, NULL) != 0) {
        free(a);
        return at_error_set(err, AT_ERR_MEMORY, "no key for threads");
    }
    pthread_mutex_init(&a->lock, NULL);
    a->policy = *policy;
    a->keyed = key != NULL;
    if (key != NULL)
        a->key = *key;
    st = try_mask(a, err);
    if (st != AT_OK) {
        at_anon_close(a);
        return st;
    }
    *out = a;
    return AT_OK;
}

void at_anon_watch(struct at_anon *a, at_mask_seen *seen, void *ctx)
{
    a->seen = seen;
    a->seen_ctx = ctx;
}

void at_anon_close(struct at_anon *a)
{
    if (a == NULL)
        return;
    while (a->all != NULL) {
        struct own *own = a->all;

        a->all = own->next;
        at_mask_close(own->mask);
        free(own);
    }
    pthread_key_delete(a->own);
    pthread_mutex_destroy(&a->lock);
    at_key_wipe(&a->key);
    free(a);
}
