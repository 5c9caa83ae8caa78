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
    uint16_t linktype;
    bool erf;
    struct at_fcs fcs; /* where it is not of a pcapng source */
};

/* ---- bytes ----------------------------------------------------------- */

static uint8_t *grow(struct at_pcapng_out *o, size_t n)
{
    if (o->bytes + n > o->room) {
        const size_t room = 2 * (o->bytes + n) + 256;
        uint8_t *p = realloc(o->buf, room);

        if (p == NULL) {
            o->failed = true;
            return NULL;
        }
        o->buf = p;
        o->room = room;
    }
    o->bytes += n;
    return o->buf + o->bytes - n;
}

static void put(struct at_pcapng_out *o, const void *p, size_t n)
{
    uint8_t *to = grow(o, n);

    if (to != NULL && n > 0)
        memcpy(to, p, n);
}

static void put_zeros(struct at_pcapng_out *o, size_t n)
{
    uint8_t *to = grow(o, n);

    if (to != NULL)
        memset(to, 0, n);
}

static void put16(struct at_pcapng_out *o, bool swapped, uint16_t v)
{
    uint8_t *to = grow(o, 2);

    if (to != NULL && swapped)
        at_store_be16(to, v);
    else if (to != NULL)
        at_store_le16(to, v);
}

static void put32(struct at_pcapng_out *o, bool swapped, uint32_t v)
{
    put16(o, swapped, (uint16_t)(swapped ? v >> 16 : v));
    put16(o, swapped, (uint16_t)(swapped ? v : v >> 16));
}

static void put64(struct at_pcapng_out *o, bool swapped, uint64_t v)
{
    put32(o, swapped, (uint32_t)(swapped ? v >> 32 : v));
    put32(o, swapped, (uint32_t)(swapped ? v : v >> 32));
}

static size_t begin(struct at_pcapng_out *o, bool swapped, uint32_t type)
{
    const size_t at = o->bytes;

    put32(o, swapped, type);
    put32(o, swapped, 0);
    return at;
}

/* Both lengths of the block that began at 'at'. */
static void finish(struct at_pcapng_out *o, bool swapped, size_t at)
{
    const uint32_t n = (uint32_t)(o->bytes - at + 4);

    put32(o, swapped, n);
    if (!o->failed)
        memcpy(o->buf + at + 4, o->buf + o->bytes - 4, 4);
}

static void put_option(struct at_pcapng_out *o, bool swapped, uint16_t code,
                       const void *p, uint16_t n)
{
    put16(o, swapped, code);
    put16(o, swapped, n);
    put(o, p, n);
    put_zeros(o, at_ng_padded(n) - n);
}

/* ---- options --------------------------------------------------------- */

enum shape { UNKNOWN, BYTES, NUMBER };

/* What an option of interfaces or packets is made of. */
static enum shape shape_of(bool packet, uint16_t code)
{
    static const uint8_t face[] = {
        [1] = BYTES,   [2] = BYTES,   [3] = BYTES,  [4] = BYTES,
        [5] = BYTES,   [6] = BYTES,   [7] = BYTES,  [8] = NUMBER,
        [9] = BYTES,   [10] = NUMBER, [11] = BYTES, [12] = BYTES,
        [13] = BYTES,  [14] = NUMBER, [15] = BYTES, [16] = NUMBER,
        [17] = NUMBER, [18] = BYTES,
    };
    static const uint8_t frame[] = {
        [1] = BYTES,  [2] = NUMBER, [3] = BYTES,
        [4] = NUMBER, [5] = NUMBER, [6] = NUMBER,
    };

    if (packet)
        return code < sizeof(frame) ? (enum shape)frame[code] : UNKNOWN;
    return code < sizeof(face) ? (enum shape)face[code] : UNKNOWN;
}

/* Copies an option; false where it is of the other byte order and unknown. */
static bool copy_option(struct at_pcapng_out *o, bool swapped, bool packet,
                        const struct at_options *from,
                        const struct at_option *option)
{
    const enum shape shape = shape_of(packet, option->code);
    const uint64_t n = at_option_number(from, option);

    if (from->swapped == swapped || shape == BYTES) {
        put_option(o, swapped, option->code, option->data, option->bytes);
        return true;
    }
    if (shape == UNKNOWN || (option->bytes != 4 && option->bytes != 8))
        return false;
    put16(o, swapped, option->code);
    put16(o, swapped, option->bytes);
    if (option->bytes == 4)
        put32(o, swapped, (uint32_t)n);
    else
        put64(o, swapped, n);
    return true;
}

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
    put16(o, swapped, OPTION_FLAGS);
    put16(o, swapped, 4);
    put32(o, swapped, (uint32_t)flags);
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
            lost |= !copy_option(o, swapped, true, &from, &option);
        }
    }
    if (!flags)
        put_flags(o, swapped, 0, pkt);
    if (!drops) {
        put16(o, swapped, OPTION_DROPS);
        put16(o, swapped, 8);
        put64(o, swapped, pkt->lost);
    }
    if (pkt->comment != NULL)
        put_option(o, swapped, OPTION_COMMENT, pkt->comment,
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
    const size_t at = begin(o, swapped, AT_NG_EPB);
    const uint64_t count = count_of(pkt);

    put32(o, swapped, face);
    put32(o, swapped, (uint32_t)(count >> 32));
    put32(o, swapped, (uint32_t)count);
    put32(o, swapped, pkt->cap_bytes);
    put32(o, swapped, pkt->wire_bytes);
    put(o, pkt->data, pkt->cap_bytes);
    put_zeros(o, at_ng_padded(pkt->cap_bytes) - pkt->cap_bytes);
    put_packet_options(o, swapped, pkt, l);
    finish(o, swapped, at);
    l->timeless += pkt->timeless;
}

static void let_section_go(struct at_pcapng_out *o)
{
    at_layout_drop(o->now);
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
    const size_t at = begin(o, false, AT_NG_SHB);

    put32(o, false, AT_NG_ORDER);
    put16(o, false, 1);
    put16(o, false, 0);
    put64(o, false, UINT64_MAX);
    finish(o, false, at);
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
    put(o, s->header, s->header_bytes);
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
    const size_t at = begin(o, swapped, AT_NG_IDB);
    struct at_options from = at_ng_options(face->block, face->block_bytes,
                                           layout->swapped);
    struct at_option option;

    put16(o, swapped, face->linktype);
    put16(o, swapped, 0);
    put32(o, swapped, face->snap_bytes);
    while (at_options_next(&from, &option))
        if (!changed || option.code != OPTION_FCSLEN)
            l->descriptions += !copy_option(o, swapped, false, &from, &option);
    if (changed)
        put_option(o, swapped, OPTION_FCSLEN, &fcs.bits, 1);
    finish(o, swapped, at);
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
    at = begin(o, false, AT_NG_IDB);
    put16(o, false, f->linktype);
    put16(o, false, 0);
    put32(o, false, 0);
    put_option(o, false, OPTION_TSRESOL, &resolution, 1);
    if (f->fcs.known)
        put_option(o, false, OPTION_FCSLEN, &f->fcs.bits, 1);
    finish(o, false, at);
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
    struct at_face f = {
        .layout = pkt->format == AT_FORMAT_PCAPNG ? pkt->layout : NULL,
        .source = pkt->source,
        .linktype = pkt->linktype,
        .erf = pkt->format == AT_FORMAT_ERF,
    };
    enum at_status st = AT_OK;
    uint32_t number = 0;

    if (f.layout == NULL)
        f.fcs = pkt->fcs;
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

/* A block that is no packet, in a section of ours. */
static void put_other(struct at_pcapng_out *o, const struct at_packet *pkt,
                      struct at_losses *l)
{
    struct at_options options = at_packet_options(pkt);
    struct at_option option;

    switch (type_of(pkt)) {
    case AT_NG_IDB:
        break; /* is made when a packet needs it */
    case AT_NG_SHB:
        l->descriptions += at_options_next(&options, &option);
        break;
    case AT_NG_ISB: /* of an interface that may have another number */
        l->blocks++;
        break;
    default:
        if (pkt->layout->swapped)
            l->blocks++;
        else
            put(o, pkt->record, pkt->record_bytes);
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
        put(o, face->block, face->block_bytes);
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
        put(o, pkt->record, pkt->record_bytes);
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
        put_other(o, pkt, l);
    else if (pkt != NULL)
        st = put_in_ours(o, pkt, l);
    return o->failed ? AT_ERR_MEMORY : st;
}

void at_pcapng_out_close(struct at_pcapng_out *o)
{
    let_section_go(o);
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
