/*
 * pcapng_out.c - records of any format as the blocks of a pcapng file
 *
 * Times keep their unit: an interface of a pcapng source keeps its
 * resolution, one of an ERF source gets 2^-32 seconds, others 10^-9.  ERF
 * interfaces keep their numbers where all packets are of one link type,
 * because those below are made with the one that is needed.
 */
#include "pcapng_out.h"

#include <stdlib.h>
#include <string.h>

#include "pcapng_put.h"
#include "process.h"
#include "section.h"

enum {
    OPTION_COMMENT = 1,
    OPTION_FLAGS = 2,
    OPTION_DROPS = 4,
    OPTION_TSRESOL = 9,
    OPTION_FCSLEN = 13,
    OPTION_TSOFFSET = 14,
    NANOSECONDS = 9,
    ERF_UNITS = 0x80 | 32,
    DIRECTION_BITS = 3,
    FCS_BITS = AT_NG_FCS_MASK << AT_NG_FCS_SHIFT,
};

/* Where the packets of an interface of ours come from. */
struct at_face {
    const struct at_layout *layout; /* of a pcapng source, held; else NULL */
    uint32_t source;
    uint32_t interface;
    /* and where it is not of a pcapng source */
    uint16_t linktype;
    bool erf;
    struct at_fcs fcs;
};

/* How many interfaces of its section a pcapng source has described. */
struct at_described {
    const struct at_layout *layout; /* held */
    uint32_t interfaces;
};

/* ---- packets --------------------------------------------------------- */

static void put_flags(struct at_pcapng_out *o, bool swapped, uint64_t flags,
                      const struct at_packet *pkt)
{
    uint32_t direction = 0;

    if (pkt->direction == AT_DIRECTION_IN)
        direction = 1;
    if (pkt->direction == AT_DIRECTION_OUT)
        direction = 2;
    flags = (flags & ~(uint64_t)DIRECTION_BITS) | direction;
    if ((pkt->done & AT_DONE_FCS) != 0) /* its interface says how many */
        flags &= ~(uint64_t)FCS_BITS;
    if ((pkt->errors & AT_ERROR_RX) != 0 && (flags & AT_NG_LINK_ERRORS) == 0)
        flags |= AT_NG_CRC_ERROR;
    if (flags == 0)
        return;
    at_ng_put16(o, swapped, OPTION_FLAGS);
    at_ng_put16(o, swapped, 4);
    at_ng_put32(o, swapped, (uint32_t)flags);
}

static void put_packet_options(struct at_pcapng_out *o, bool swapped,
                               const struct at_packet *pkt, struct at_losses *l)
{
    struct at_options from = at_packet_options(pkt);
    struct at_option option;
    bool flags = false, drops = pkt->lost == 0;
    bool lost = false;

    while (at_options_next(&from, &option)) {
        drops |= option.code == OPTION_DROPS;
        if (option.code == OPTION_FLAGS && !flags) {
            put_flags(o, swapped, at_option_number(&from, &option), pkt);
            flags = true;
        } else {
            lost |= !at_ng_copy_option(o, swapped, AT_NG_EPB, &from, &option);
        }
    }
    if (!flags)
        put_flags(o, swapped, 0, pkt);
    if (!drops) {
        at_ng_put16(o, swapped, OPTION_DROPS);
        at_ng_put16(o, swapped, 8);
        at_ng_put64(o, swapped, pkt->lost);
    }
    if (pkt->comment != NULL)
        at_ng_put_option(o, swapped, OPTION_COMMENT, pkt->comment,
                         (uint16_t)strnlen(pkt->comment, AT_COMMENT_MOST));
    l->extensions += lost;
}

/* ---- blocks ---------------------------------------------------------- */

/* The count of units that the time of a packet is on its interface. */
static uint64_t count_of(const struct at_packet *pkt)
{
    if (pkt->timeless)
        return 0;
    if (pkt->format == AT_FORMAT_PCAPNG)
        return at_ng_time(pkt->layout->swapped, pkt->record + 12);
    if (pkt->format == AT_FORMAT_ERF)
        return pkt->ts;
    return (uint64_t)at_ts_to_ns(pkt->ts);
}

static void put_packet(struct at_pcapng_out *o, bool swapped, uint32_t face,
                       const struct at_packet *pkt, struct at_losses *l)
{
    const size_t at = at_ng_begin(o, swapped, AT_NG_EPB);
    const uint64_t count = count_of(pkt);

    at_ng_put32(o, swapped, face);
    at_ng_put32(o, swapped, (uint32_t)(count >> 32));
    at_ng_put32(o, swapped, (uint32_t)count);
    at_ng_put32(o, swapped, pkt->cap_bytes);
    at_ng_put32(o, swapped, pkt->wire_bytes);
    at_ng_put(o, pkt->data, pkt->cap_bytes);
    at_ng_put_zeros(o, at_ng_padded(pkt->cap_bytes) - pkt->cap_bytes);
    put_packet_options(o, swapped, pkt, l);
    at_ng_finish(o, swapped, at);
    l->timeless += pkt->timeless;
}

static void let_section_go(struct at_pcapng_out *o)
{
    at_layout_drop(o->now);
    for (uint32_t i = 0; i < o->sources; i++) {
        at_layout_drop(o->source[i].layout);
        o->source[i] = (struct at_described){.layout = NULL};
    }
    for (uint32_t i = 0; i < o->faces; i++)
        at_layout_drop(o->face[i].layout);
    o->now = NULL;
    o->faces = 0;
    o->begun = false;
    if (o->slots > 0)
        memset(o->slot, 0, o->slots * sizeof(o->slot[0]));
}

static void put_section(struct at_pcapng_out *o)
{
    const size_t at = at_ng_begin(o, false, AT_NG_SHB);

    at_ng_put32(o, false, AT_NG_ORDER);
    at_ng_put16(o, false, 1);
    at_ng_put16(o, false, 0);
    at_ng_put64(o, false, UINT64_MAX);
    at_ng_finish(o, false, at);
    o->new_section = true;
}

/* Goes on with the section of 'layout', as it is in its file. */
static void copy_section(struct at_pcapng_out *o,
                         const struct at_layout *layout)
{
    const struct at_section *s = layout->section;

    if (o->now == layout)
        return;
    let_section_go(o);
    at_layout_hold(layout);
    o->now = layout;
    o->copied = 0;
    at_ng_put(o, s->header, s->header_bytes);
    if (o->how != AT_SECTIONS_WHOLE && !o->failed)
        memset(o->buf + o->bytes - s->header_bytes + 16, 0xff, 8);
    o->new_section = true;
}

/* ---- interfaces of our own ------------------------------------------- */

/* Copies a description whose FCS, by what was done to packets, is another. */
static void put_description(struct at_pcapng_out *o, bool swapped,
                            const struct at_layout *layout, uint32_t interface,
                            struct at_losses *l)
{
    const struct at_interface *face = at_section_interface(layout->section,
                                                           interface);
    const struct at_fcs fcs = at_fcs_after(o->fcs_use, face->linktype,
                                           face->fcs);
    const bool changed = fcs.known != face->fcs.known ||
                         fcs.bits != face->fcs.bits;
    const size_t at = at_ng_begin(o, swapped, AT_NG_IDB);
    struct at_options from = at_ng_options(face->block, face->block_bytes,
                                           layout->swapped);
    struct at_option option;

    at_ng_put16(o, swapped, face->linktype);
    at_ng_put16(o, swapped, 0);
    at_ng_put32(o, swapped, face->snap_bytes);
    while (at_options_next(&from, &option))
        if (!changed || option.code != OPTION_FCSLEN)
            l->descriptions += !at_ng_copy_option(o, swapped, AT_NG_IDB, &from,
                                                  &option);
    if (changed)
        at_ng_put_option(o, swapped, OPTION_FCSLEN, &fcs.bits, 1);
    at_ng_finish(o, swapped, at);
}

static void put_face(struct at_pcapng_out *o, const struct at_face *f,
                     struct at_losses *l)
{
    const uint8_t resolution = f->erf ? ERF_UNITS : NANOSECONDS;
    size_t at;

    if (f->layout != NULL) {
        put_description(o, false, f->layout, f->interface, l);
        return;
    }
    at = at_ng_begin(o, false, AT_NG_IDB);
    at_ng_put16(o, false, f->linktype);
    at_ng_put16(o, false, 0);
    at_ng_put32(o, false, 0);
    at_ng_put_option(o, false, OPTION_TSRESOL, &resolution, 1);
    if (f->fcs.known)
        at_ng_put_option(o, false, OPTION_FCSLEN, &f->fcs.bits, 1);
    at_ng_finish(o, false, at);
}

static uint32_t hash_of(const struct at_face *f)
{
    const uint64_t a = (uint64_t)(uintptr_t)f->layout +
                       ((uint64_t)f->source << 32) + f->interface;
    uint64_t h = (a ^ (uint64_t)f->linktype << 48 ^ f->erf ^
                  (uint64_t)f->fcs.bits << 40) *
                 UINT64_C(0x9e3779b97f4a7c15);

    h ^= h >> 29;
    h *= UINT64_C(0xbf58476d1ce4e5b9);
    return (uint32_t)(h >> 32);
}

static bool same_face(const struct at_face *a, const struct at_face *b)
{
    return a->layout == b->layout && a->source == b->source &&
           a->interface == b->interface && a->linktype == b->linktype &&
           a->erf == b->erf && a->fcs.known == b->fcs.known &&
           a->fcs.bits == b->fcs.bits;
}

/* The slot of a face, or the empty one where it belongs. */
static uint32_t *find_slot(const struct at_pcapng_out *o,
                           const struct at_face *f)
{
    uint32_t i = hash_of(f) & (o->slots - 1);

    while (o->slot[i] != 0 && !same_face(&o->face[o->slot[i] - 1], f))
        i = (i + 1) & (o->slots - 1);
    return &o->slot[i];
}

static bool make_slots(struct at_pcapng_out *o)
{
    const uint32_t room = o->face_room == 0 ? 16 : o->face_room * 2;
    struct at_face *face;

    if (o->faces < o->face_room)
        return true;
    face = realloc(o->face, room * sizeof(*face));
    if (face == NULL)
        return false;
    o->face = face;
    o->face_room = room;
    free(o->slot);
    o->slots = 2 * room;
    o->slot = calloc(o->slots, sizeof(o->slot[0]));
    if (o->slot == NULL)
        return false;
    for (uint32_t i = 0; i < o->faces; i++)
        *find_slot(o, &o->face[i]) = i + 1;
    return true;
}

/* The number of an interface of ours, which is made if there is none. */
static enum at_status number_of(struct at_pcapng_out *o,
                                const struct at_face *f, uint32_t *number,
                                struct at_losses *l)
{
    uint32_t *slot;

    if (!make_slots(o))
        return AT_ERR_MEMORY;
    slot = find_slot(o, f);
    if (*slot == 0) {
        if (o->faces == AT_NG_INTERFACES)
            return AT_ERR_LOSS;
        o->face[o->faces] = *f;
        at_layout_hold(f->layout);
        *slot = ++o->faces;
        put_face(o, f, l);
    }
    *number = *slot - 1;
    return AT_OK;
}

static enum at_status put_in_ours(struct at_pcapng_out *o,
                                  const struct at_packet *pkt,
                                  struct at_losses *l)
{
    struct at_face f = {.source = pkt->source};
    enum at_status st = AT_OK;
    uint32_t number = 0;

    if (pkt->format == AT_FORMAT_PCAPNG) {
        f.layout = pkt->layout;
    } else {
        f.linktype = pkt->linktype;
        f.erf = pkt->format == AT_FORMAT_ERF;
        f.fcs = pkt->fcs;
    }
    if (f.erf)
        for (; f.interface < pkt->interface && st == AT_OK; f.interface++)
            st = number_of(o, &f, &number, l);
    f.interface = pkt->interface;
    if (st == AT_OK)
        st = number_of(o, &f, &number, l);
    if (st == AT_OK)
        put_packet(o, false, number, pkt, l);
    return st;
}

/* ---- records --------------------------------------------------------- */

static uint32_t type_of(const struct at_packet *pkt)
{
    return at_ng_32(pkt->layout->swapped, pkt->record);
}

/* What the source of the record has described; NULL: no memory. */
static struct at_described *described_by(struct at_pcapng_out *o,
                                         const struct at_packet *pkt)
{
    struct at_described *d;

    if (pkt->source >= o->sources) {
        const uint32_t n = pkt->source + 1;

        d = realloc(o->source, n * sizeof(*d));
        if (d == NULL)
            return NULL;
        memset(d + o->sources, 0, (n - o->sources) * sizeof(*d));
        o->source = d;
        o->sources = n;
    }
    d = &o->source[pkt->source];
    if (d->layout != pkt->layout) {
        at_layout_hold(pkt->layout);
        at_layout_drop(d->layout);
        *d = (struct at_described){.layout = pkt->layout};
    }
    return d;
}

/*
 * An interface is described where its source does it, so that one without
 * packets is kept too; where there are too many, only if a packet needs it.
 */
static enum at_status put_their_face(struct at_pcapng_out *o,
                                     const struct at_packet *pkt,
                                     struct at_losses *l)
{
    struct at_described *d = described_by(o, pkt);
    struct at_face f = {.layout = pkt->layout, .source = pkt->source};
    enum at_status st;
    uint32_t number;

    if (d == NULL)
        return AT_ERR_MEMORY;
    f.interface = d->interfaces++;
    st = number_of(o, &f, &number, l);
    return st == AT_ERR_LOSS ? AT_OK : st;
}

/* Of an interface that has no number there is nothing to say. */
static enum at_status put_statistics(struct at_pcapng_out *o,
                                     const struct at_packet *pkt,
                                     struct at_losses *l)
{
    const struct at_face f = {
        .layout = pkt->layout,
        .source = pkt->source,
        .interface = at_ng_32(pkt->layout->swapped, pkt->record + 8),
    };
    const uint32_t number = o->slots > 0 ? *find_slot(o, &f) : 0;

    if (number == 0)
        l->blocks++;
    else
        at_pcapng_put_statistics(o, pkt, number - 1, l);
    return AT_OK;
}

/* A block that is no packet, in a section of ours. */
static enum at_status put_other(struct at_pcapng_out *o,
                                const struct at_packet *pkt,
                                struct at_losses *l)
{
    struct at_options options = at_packet_options(pkt);
    struct at_option option;

    switch (type_of(pkt)) {
    case AT_NG_IDB:
        return put_their_face(o, pkt, l);
    case AT_NG_SHB:
        l->descriptions += at_options_next(&options, &option);
        return AT_OK;
    case AT_NG_ISB:
        return put_statistics(o, pkt, l);
    default:
        if (!pkt->layout->swapped)
            at_ng_put(o, pkt->record, pkt->record_bytes);
        else
            l->blocks += !at_pcapng_put_swapped(o, pkt, l);
        return AT_OK;
    }
}

/* The next interface of a section that is copied, as it is in its file but
 * for what was done to its packets. */
static void copy_face(struct at_pcapng_out *o, const struct at_layout *layout,
                      struct at_losses *l)
{
    const struct at_interface *face = at_section_interface(layout->section,
                                                           o->copied);

    if (o->fcs_use == AT_FCS_KEEP)
        at_ng_put(o, face->block, face->block_bytes);
    else
        put_description(o, layout->swapped, layout, o->copied, l);
    o->copied++;
}

static void put_in_theirs(struct at_pcapng_out *o, const struct at_packet *pkt,
                          struct at_losses *l)
{
    const uint32_t type = type_of(pkt);

    copy_section(o, pkt->layout);
    if (type == AT_NG_SHB)
        return;
    if (pkt->kind == AT_KIND_PACKET)
        while (o->copied <= pkt->interface)
            copy_face(o, pkt->layout, l);
    if (type == AT_NG_IDB)
        copy_face(o, pkt->layout, l);
    else if (pkt->edited ||
             (pkt->comment != NULL && pkt->kind == AT_KIND_PACKET))
        put_packet(o, pkt->layout->swapped, pkt->interface, pkt, l);
    else
        at_ng_put(o, pkt->record, pkt->record_bytes);
}

enum at_status at_pcapng_out_put(struct at_pcapng_out *o,
                                 const struct at_packet *pkt,
                                 struct at_losses *l)
{
    enum at_status st = AT_OK;

    o->bytes = 0;
    o->new_section = false;
    if (pkt == NULL && (o->begun || o->now != NULL))
        return AT_OK;
    if (pkt != NULL && pkt->format == AT_FORMAT_PCAPNG &&
        o->how != AT_SECTIONS_ONE) {
        put_in_theirs(o, pkt, l);
        return o->failed ? AT_ERR_MEMORY : AT_OK;
    }
    if (pkt != NULL && pkt->kind != AT_KIND_PACKET &&
        pkt->format != AT_FORMAT_PCAPNG) {
        l->meta++;
        return AT_OK;
    }
    if (!o->begun) {
        let_section_go(o);
        put_section(o);
        o->begun = true;
    }
    if (pkt != NULL && pkt->kind != AT_KIND_PACKET)
        st = put_other(o, pkt, l);
    else if (pkt != NULL)
        st = put_in_ours(o, pkt, l);
    return o->failed ? AT_ERR_MEMORY : st;
}

void at_pcapng_out_close(struct at_pcapng_out *o)
{
    let_section_go(o);
    free(o->source);
    free(o->face);
    free(o->slot);
    free(o->buf);
}

/* ---- the other way --------------------------------------------------- */

static void count_block(struct at_losses *l, const struct at_packet *pkt)
{
    struct at_options options = at_packet_options(pkt);
    struct at_option option;
    bool described = false;

    if (type_of(pkt) != AT_NG_IDB && type_of(pkt) != AT_NG_SHB) {
        l->blocks++;
        return;
    }
    while (at_options_next(&options, &option)) {
        l->comments += option.code == OPTION_COMMENT;
        described |= option.code != OPTION_COMMENT &&
                     (type_of(pkt) == AT_NG_SHB ||
                      (option.code != OPTION_TSRESOL &&
                       option.code != OPTION_FCSLEN &&
                       option.code != OPTION_TSOFFSET));
    }
    l->descriptions += described;
}

void at_pcapng_count_losses(struct at_losses *l, const struct at_packet *pkt,
                            uint32_t held)
{
    struct at_options options = at_packet_options(pkt);
    struct at_option option;
    bool more = false;

    if (pkt->kind != AT_KIND_PACKET) {
        count_block(l, pkt);
        return;
    }
    l->timeless += pkt->timeless;
    while (at_options_next(&options, &option)) {
        l->comments += option.code == OPTION_COMMENT;
        if (option.code == OPTION_FLAGS)
            more |= (at_option_number(&options, &option) & ~(uint64_t)held &
                     ~(uint64_t)(DIRECTION_BITS | FCS_BITS)) != 0;
        else
            more |= option.code != OPTION_COMMENT &&
                    option.code != OPTION_DROPS;
    }
    l->extensions += more;
}
