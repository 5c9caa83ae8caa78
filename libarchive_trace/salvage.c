/*
 * salvage.c - which bytes of a damaged trace are records that can be trusted
 *
 * Where the length of a record is damaged, the walk goes astray and notices
 * it only some records of garbage later, if at all.  So no record is trusted
 * by itself, but with what follows it: another one that makes sense, or the
 * end.  Where that is not so, the next chain is searched for, from inside the
 * suspect on: CHAIN records that make sense one after the other.  If it
 * begins before the suspect ends, the suspect's length was damaged.  If it
 * begins after that, what lies between is damaged, and perhaps the suspect
 * too: it is trusted if something is left of a record just behind it, or the
 * checksum of its own transport layer is right.
 *
 * Captures hold strange records: of clocks that jump, from programs that write
 * wrong lengths, made to break readers.  Where lengths lead from the suspect,
 * over records that at_frame() takes, to the very byte where the next chain
 * begins, or to the end, nothing is missing, and nothing is left out.
 *
 * What a frame holds nobody can tell to be damaged or not, unless the codec
 * has checksums.
 */
#include "salvage.h"

#include <string.h>

#include "section.h"

enum {
    CHAIN = 3,     /* records that are no chance, near the time before */
    CHAIN_FAR = 6, /* where time has jumped, or is not known */
    CHAIN_CUT = 2, /* where the file ends inside the record after them */
    SWALLOWED = 8, /* records inside another: more need not be counted */
    NEAR_SECONDS = 86400,
    SECTOR = 512,
    LOOK_BYTES = 4 << 20, /* what is kept to judge a suspect by */
};

enum verdict { NO, YES, UNKNOWN };

static bool are_near(uint64_t a, uint64_t b)
{
    return (a > b ? a - b : b - a) >> 32 < NEAR_SECONDS;
}

static struct at_claim claim_of(const struct at_layout *layout,
                                const struct at_ground *g, const uint8_t *p,
                                const uint8_t *end, bool strict)
{
    if (layout->format == AT_FORMAT_ERF)
        return at_erf_claim(p, end);
    if (layout->format == AT_FORMAT_PCAPNG)
        return at_pcapng_claim(layout, g, p, end, strict);
    if (layout->record_bytes > 0) /* nothing in these contradicts itself */
        return (struct at_claim){
            .kind = end - p < layout->record_bytes ? AT_CLAIM_SHORT
                                                   : AT_CLAIM_WHOLE,
            .bytes = layout->record_bytes,
            .sure = true,
        };
    return at_pcap_claim(layout, p, end, strict);
}

static bool is_far(const struct at_ground *g, const struct at_claim *c)
{
    return c->timed && g->timed && !are_near(c->ts, g->ts);
}

/*
 * The same, and its time against the one before.  A time that has jumped is
 * that of another record, if the lengths of both are beyond doubt.
 */
static struct at_claim judge(const struct at_layout *layout,
                             const struct at_ground *g, const uint8_t *p,
                             const uint8_t *end)
{
    struct at_claim c = claim_of(layout, g, p, end, true);

    if (is_far(g, &c) && !c.exact && !c.sure)
        c.kind = AT_CLAIM_NOT;
    return c;
}

static struct at_ground after(const struct at_layout *layout,
                              struct at_ground g, const uint8_t *p,
                              const struct at_claim *c)
{
    if (c->timed)
        g.ts = c->ts;
    g.timed = g.timed || c->timed;
    if (layout->format == AT_FORMAT_PCAPNG)
        at_pcapng_ground(&g, p);
    return g;
}

/* A record of no time and no second length is too little to go by. */
static bool can_be_first(const struct at_claim *c)
{
    return c->kind == AT_CLAIM_WHOLE && (c->timed || c->sure);
}

/*
 * Whether a record of the chain may be number 'n' of one whose first is near
 * the time that is known, or not: then its time says nothing, and its lengths
 * must.  A first one that is far where the second is near is damaged.
 */
static bool fits(const struct at_ground *known, bool near, unsigned n,
                 const struct at_claim *c)
{
    if (n == 0 && !can_be_first(c))
        return false;
    if (near)
        return true;
    if (n == 1 && known->timed && c->timed && !is_far(known, c))
        return false;
    return c->exact || c->sure;
}

/* Whether records that make sense begin at 'p', one after the other. */
static enum verdict begins(const struct at_layout *layout,
                           const struct at_ground *known, const uint8_t *p,
                           const uint8_t *end, bool whole)
{
    struct at_ground g = *known;
    bool near = true;

    g.timed = false;
    for (unsigned n = 0; n < (near ? CHAIN : CHAIN_FAR); n++) {
        struct at_claim c;

        if (p == end && whole)
            return n > 0 ? YES : NO;
        c = judge(layout, &g, p, end);
        if (c.kind == AT_CLAIM_NOT)
            return NO;
        if (c.kind != AT_CLAIM_WHOLE && whole)
            return n >= CHAIN_CUT ? YES : NO;
        if (n == 0)
            near = known->timed && !is_far(known, &c);
        if (c.kind != AT_CLAIM_WHOLE)
            return UNKNOWN;
        if (!fits(known, near, n, &c))
            return NO;
        g = after(layout, g, p, &c);
        p += c.bytes;
    }
    return YES;
}

/* The first place from 'p' on where that is so or may be so; else 'end'. */
static const uint8_t *search(const struct at_layout *layout,
                             const struct at_ground *g, const uint8_t *p,
                             const uint8_t *end, bool whole, enum verdict *v)
{
    *v = NO;
    for (; p < end; p++) {
        *v = begins(layout, g, p, end, whole);
        if (*v != NO)
            break;
    }
    return p;
}

/* Whether records that make sense end where the one before 'n' does. */
static bool swallows(const struct at_layout *layout, const struct at_ground *g,
                     const uint8_t *p, const uint8_t *n)
{
    for (p++; p < n; p++) {
        struct at_ground on = *g;
        const uint8_t *q = p;

        for (unsigned i = 0; i < SWALLOWED && q < n; i++) {
            const struct at_claim c = judge(layout, &on, q, n);

            if (!(i == 0 ? can_be_first(&c) : c.kind == AT_CLAIM_WHOLE))
                break;
            on = after(layout, on, q, &c);
            q += c.bytes;
            if (q == n || i + 1 == SWALLOWED)
                return true;
        }
    }
    return false;
}

/* What the record carries has a checksum that is right. */
static bool is_verified(const struct at_layout *layout, const uint8_t *p)
{
    struct at_packet pkt;
    struct at_headers h;

    if (layout->format == AT_FORMAT_PCAPNG)
        return false;
    at_record_parse(layout, p, &pkt);
    if (pkt.kind != AT_KIND_PACKET || pkt.cap_bytes < pkt.wire_bytes)
        return false;
    at_decode(&h, &pkt);
    return at_checksum_verify(&pkt, &h).transport == AT_CHECKSUM_OK;
}

/*
 * Whether a disk has nothing from 'n' on, at a record's end that could be no
 * other: a file that grew before it was written, or a page that never was.
 */
static bool is_unwritten(const uint8_t *n, const uint8_t *end)
{
    size_t zeros = 0;

    while (zeros < SECTOR && n + zeros < end && n[zeros] == 0)
        zeros++;
    return n[-1] != 0 &&
           (zeros == SECTOR || (zeros >= AT_PCAP_RECORD && n + zeros == end));
}

/* A record at 'p' that ends at 'n', where no other one begins. */
static enum verdict trust_suspect(const struct at_salvage *s,
                                  const struct at_layout *layout,
                                  const uint8_t *p, const struct at_claim *c,
                                  const struct at_claim *behind,
                                  const uint8_t *end, bool whole)
{
    const uint8_t *n = p + c->bytes;
    enum verdict v;
    const uint8_t *q = search(layout, &s->ground, p + 1, end, whole, &v);

    if (v == UNKNOWN)
        return end - p < LOOK_BYTES ? UNKNOWN : NO;
    if (q < n)
        return NO;
    if (q == n && v == YES) /* time has jumped */
        return YES;
    if (c->sure || (behind->timed && c->timed && are_near(behind->ts, c->ts)) ||
        (behind->bytes > 0 && behind->bytes == (size_t)(q - n)) ||
        (behind->other > 0 && behind->other == (size_t)(q - n)) ||
        is_unwritten(n, end))
        return YES;
    return is_verified(layout, p) ? YES : NO;
}

/* A time that is not near the ones before and behind, which are near each
 * other, is damaged. */
static bool is_astray(const struct at_ground *before, const struct at_claim *c,
                      const struct at_claim *next)
{
    return is_far(before, c) && next->timed && !are_near(next->ts, c->ts) &&
           are_near(next->ts, before->ts);
}

/* Whether what follows the record at 'p' lets us trust it. */
static enum verdict is_followed(const struct at_salvage *s,
                                const struct at_layout *layout,
                                const uint8_t *p, const struct at_claim *c,
                                const uint8_t *end, bool whole)
{
    const struct at_ground g = after(layout, s->ground, p, c);
    const uint8_t *n = p + c->bytes;
    struct at_claim next = {.kind = AT_CLAIM_SHORT};

    if (n < end)
        next = claim_of(layout, &g, n, end, false);
    if (next.kind == AT_CLAIM_SHORT && !whole)
        return UNKNOWN;
    if (next.kind >= AT_CLAIM_OPEN && is_astray(&s->ground, c, &next))
        return NO;
    if (next.kind == AT_CLAIM_NOT ||
        (is_far(&g, &next) && begins(layout, &g, n, end, whole) != YES))
        return trust_suspect(s, layout, p, c, &next, end, whole);
    return c->sure || c->exact || !swallows(layout, &s->ground, p, n) ? YES
                                                                      : NO;
}

/* A record that at_frame() would go over; its end, or NULL. */
static const uint8_t *pass_whole(const struct at_layout *layout,
                                 const struct at_ground *g, const uint8_t *p,
                                 const uint8_t *end)
{
    static const uint8_t zeros[AT_PCAP_RECORD];
    struct at_claim c;
    struct at_frame f;

    if (layout->format == AT_FORMAT_PCAPNG) {
        c = claim_of(layout, g, p, end, false);
        return c.sure && c.bytes > 0 && c.bytes <= (size_t)(end - p)
                   ? p + c.bytes
                   : NULL;
    }
    if ((size_t)(end - p) < sizeof(zeros) ||
        memcmp(p, zeros, sizeof(zeros)) == 0) /* a page that was not written */
        return NULL;
    f = at_frame(layout, p, p + 1, end);
    return f.records == 1 ? f.at : NULL;
}

/*
 * Whether whole records, of whatever kind, lead from 'p' to where others that
 * make sense begin, or to the end.
 */
static enum verdict is_intact(struct at_salvage *s,
                              const struct at_layout *layout, const uint8_t *p,
                              const uint8_t *end, bool whole)
{
    enum verdict v;
    const uint8_t *q = p, *last = p, *to;

    if (pass_whole(layout, &s->ground, p, end) == NULL)
        return NO;
    to = search(layout, &s->ground, p + 1, end, whole, &v);
    if (v == UNKNOWN && end - p < LOOK_BYTES)
        return UNKNOWN;
    while (q != NULL && q < to) {
        last = q;
        q = pass_whole(layout, &s->ground, q, end);
    }
    if (q == to)
        last = q;
    else if (v != UNKNOWN || q == NULL)
        return NO;
    s->intact = (size_t)(last - p);
    return last > p ? YES : NO;
}

/* A strange record says nothing of the time of those behind it. */
static struct at_step pass_intact(struct at_salvage *s,
                                  const struct at_layout *layout,
                                  const uint8_t *p, const uint8_t *end)
{
    const uint8_t *to = pass_whole(layout, &s->ground, p, end);
    const struct at_claim c = claim_of(layout, &s->ground, p, end, false);
    struct at_ground g = after(layout, s->ground, p, &c);

    if (to == NULL || (size_t)(to - p) > s->intact) {
        s->intact = 0; /* its section has become another on the way */
        s->lost = true;
        return (struct at_step){AT_STEP_HOLE, p + 1};
    }
    if (c.kind != AT_CLAIM_WHOLE || is_far(&s->ground, &c)) {
        g.ts = s->ground.ts;
        g.timed = s->ground.timed;
    }
    s->ground = g;
    s->intact -= (size_t)(to - p);
    return (struct at_step){AT_STEP_RECORD, to};
}

/* On the way through a hole. */
static struct at_step find(struct at_salvage *s, const struct at_layout *layout,
                           const uint8_t *p, const uint8_t *end, bool whole)
{
    enum verdict v;
    const uint8_t *q = search(layout, &s->ground, p, end, whole, &v);

    if (v == UNKNOWN)
        return (struct at_step){AT_STEP_WAIT, q};
    if (v == YES) {
        const struct at_claim c = claim_of(layout, &s->ground, q, end, true);

        s->lost = false;
        if (is_far(&s->ground, &c))
            s->ground.timed = false;
    }
    return (struct at_step){AT_STEP_HOLE, q};
}

struct at_step at_salvage_step(struct at_salvage *s,
                               const struct at_layout *layout, const uint8_t *p,
                               const uint8_t *end, bool whole)
{
    enum verdict v = NO;
    struct at_claim c;

    if (s->lost)
        return find(s, layout, p, end, whole);
    if (s->intact > 0 && s->intact <= (size_t)(end - p))
        return pass_intact(s, layout, p, end);
    s->intact = 0;
    c = claim_of(layout, &s->ground, p, end, false);
    if ((c.kind == AT_CLAIM_SHORT || c.kind == AT_CLAIM_OPEN) && !whole)
        return (struct at_step){AT_STEP_WAIT, p};
    if (c.kind == AT_CLAIM_WHOLE)
        v = is_followed(s, layout, p, &c, end, whole);
    if (v == NO)
        v = is_intact(s, layout, p, end, whole);
    if (v == UNKNOWN)
        return (struct at_step){AT_STEP_WAIT, p};
    if (s->intact > 0)
        return pass_intact(s, layout, p, end);
    if (v == NO) {
        s->lost = true;
        return find(s, layout, p + 1, end, whole);
    }
    s->ground = after(layout, s->ground, p, &c);
    return (struct at_step){AT_STEP_RECORD, p + c.bytes};
}

void at_salvage_lose(struct at_salvage *s)
{
    s->lost = true;
    s->intact = 0;
}
