/*
 * strip.c - frames without their tags, with or without their FCS
 *
 * Behind the link header, whose last field (or first, in SLL2) tells what
 * follows, stand any number of these; each tells what follows it:
 *
 *     VLAN    2 tag, 2 ethertype                          IEEE 802.1Q
 *     MPLS    4 label; the last of a stack has bit 8 set  RFC 3032
 *     PPPoE   6 header, 2 PPP protocol                    RFC 2516
 *
 * Tags are copied or left out from the outside in, and the type of what
 * follows goes where the last one kept has its type.  A label stack does not
 * tell what it carries: only IP can be known, by its version.  Whatever
 * cannot be known, or was not captured, leaves the frame as it was.
 */
#include <libdeflate.h>
#include <string.h>

#include "bytes.h"
#include "decode.h"
#include "errors.h"
#include "link.h"
#include "process.h"

enum { PPPOE_BYTES = 8, FCS_BYTES = 4, ETHERNET_BYTES = 14 };

/* ---- what stands behind a link header -------------------------------- */

/* Behind PPP no tags are looked for: its types are none of Ethernet's. */
static bool can_be_tagged(const struct at_packet *pkt, struct at_link *l)
{
    return at_link_of(l, pkt->linktype) && !l->ppp &&
           pkt->cap_bytes >= l->bytes;
}

/* AT_STRIP_ bit of the tag that an ethertype announces; 0: none. */
static unsigned tag_of(uint16_t type)
{
    switch (type) {
    case ETHERTYPE_VLAN:
    case ETHERTYPE_QINQ:
    case ETHERTYPE_QINQ_OLD:
    case ETHERTYPE_QINQ_OLDER:
        return AT_STRIP_VLAN;
    case ETHERTYPE_MPLS:
    case ETHERTYPE_MPLS_UPSTREAM:
        return AT_STRIP_MPLS;
    case ETHERTYPE_PPPOE:
        return AT_STRIP_PPPOE;
    default:
        return 0;
    }
}

/* Takes a stack of labels off; returns the type of what it carries, 0 where
 * that cannot be known. */
static uint16_t take_labels(struct at_cursor *c)
{
    const uint8_t *p;

    do {
        p = at_take(c, 4);
        if (p == NULL)
            return 0;
    } while ((p[2] & 1) == 0);
    if (c->left > 0 && c->p[0] >> 4 == 4)
        return ETHERTYPE_IPV4;
    return c->left > 0 && c->p[0] >> 4 == 6 ? ETHERTYPE_IPV6 : 0;
}

static uint16_t take_pppoe(struct at_cursor *c)
{
    const uint8_t *p = at_take(c, PPPOE_BYTES);
    const uint16_t protocol = p != NULL ? at_load_be16(p + 6) : 0;

    if (protocol == PPP_IPV4)
        return ETHERTYPE_IPV4;
    if (protocol == PPP_IPV6)
        return ETHERTYPE_IPV6;
    return protocol == PPP_MPLS ? ETHERTYPE_MPLS : 0;
}

/* Takes the tag that 'type' announces off, and returns the type of what
 * follows; 0 where that is not known. */
static uint16_t take_tag(struct at_cursor *c, uint16_t type)
{
    const uint8_t *p;

    switch (tag_of(type)) {
    case AT_STRIP_VLAN:
        p = at_take(c, 4);
        return p != NULL ? at_load_be16(p + 2) : 0;
    case AT_STRIP_MPLS:
        return take_labels(c);
    default:
        return take_pppoe(c);
    }
}

uint32_t at_link_bytes(const struct at_packet *pkt)
{
    struct at_cursor c = {.p = pkt->data, .left = pkt->cap_bytes};
    struct at_link link;
    uint16_t type;

    if (!can_be_tagged(pkt, &link))
        return UINT32_MAX;
    (void)at_take(&c, link.bytes);
    type = at_load_be16(pkt->data + link.type_at);
    while (tag_of(type) != 0)
        type = take_tag(&c, type);
    return c.bad ? UINT32_MAX : (uint32_t)(c.p - pkt->data);
}

/* ---- tags ------------------------------------------------------------ */

enum at_status at_strip_parse(unsigned *tags, const char *list,
                              struct at_error *err)
{
    const char *at = list;

    *tags = 0;
    while (at != NULL) {
        const struct at_item w = at_item_next(&at);

        if (at_item_is(w, "vlan"))
            *tags |= AT_STRIP_VLAN;
        else if (at_item_is(w, "mpls"))
            *tags |= AT_STRIP_MPLS;
        else if (at_item_is(w, "pppoe"))
            *tags |= AT_STRIP_PPPOE;
        else
            return at_error_syntax(err, (size_t)(w.p - list),
                                   "no tag to strip is called '%.*s'; there "
                                   "are vlan, mpls and pppoe",
                                   (int)w.n, w.p);
    }
    return AT_OK;
}

/* A frame that is being made without some tags. */
struct frame {
    struct at_cursor from;
    uint8_t *out;
    size_t n;
    size_t type_at; /* in 'out' */
    uint16_t type;  /* of what 'from' stands at */
};

/*
 * Copies the tags that stay and leaves out those of 'tags'.  Behind labels or
 * a PPPoE header that stay there is no ethertype to be changed, so there it
 * stops.  False where a frame without the tags would make no sense.
 */
static bool copy_tags(struct frame *f, unsigned tags)
{
    unsigned tag;

    while ((tag = tag_of(f->type)) != 0) {
        if ((tag & tags) != 0) {
            f->type = take_tag(&f->from, f->type);
            if (f->from.bad || (f->type == 0 && tag != AT_STRIP_VLAN))
                return false;
        } else if (tag == AT_STRIP_VLAN) {
            const uint8_t *p = at_take(&f->from, 4);

            if (p == NULL)
                return false;
            at_store_be16(f->out + f->type_at, f->type);
            memcpy(f->out + f->n, p, 4);
            f->type_at = f->n + 2;
            f->n += 4;
            f->type = at_load_be16(p + 2);
        } else {
            break;
        }
    }
    at_store_be16(f->out + f->type_at, f->type);
    return true;
}

/* Makes the frame in 'out', which has room for all of the old one; 0 where
 * nothing is to be stripped. */
static unsigned make_frame(struct at_packet *pkt, unsigned tags,
                           const struct at_link *link, uint8_t *out)
{
    struct frame f = {
        .from = {.p = pkt->data, .left = pkt->cap_bytes},
        .out = out,
        .n = link->bytes,
        .type_at = link->type_at,
        .type = at_load_be16(pkt->data + link->type_at),
    };
    uint32_t removed;

    memcpy(out, at_take(&f.from, link->bytes), link->bytes);
    if (!copy_tags(&f, tags))
        return AT_DONE_LEFT;
    removed = (uint32_t)((size_t)(f.from.p - pkt->data) - f.n);
    if (removed == 0 || removed > pkt->wire_bytes)
        return removed == 0 ? 0 : AT_DONE_LEFT;
    memcpy(out + f.n, f.from.p, f.from.left);
    pkt->data = out;
    pkt->cap_bytes -= removed;
    pkt->wire_bytes -= removed;
    pkt->edited = true;
    return AT_DONE_STRIPPED;
}

unsigned at_strip_tags(struct at_packet *pkt, unsigned tags,
                       struct at_scratch *scratch)
{
    const size_t used = scratch->used;
    struct at_link link;
    uint8_t *out;
    unsigned done;

    if (!can_be_tagged(pkt, &link) ||
        tag_of(at_load_be16(pkt->data + link.type_at)) == 0)
        return 0;
    out = at_scratch_take(scratch, pkt->cap_bytes);
    if (out == NULL)
        return AT_DONE_LEFT;
    done = make_frame(pkt, tags, &link, out);
    scratch->used = used + (done == AT_DONE_STRIPPED ? pkt->cap_bytes : 0);
    return done;
}

/* ---- frame check sequence -------------------------------------------- */

struct at_fcs at_fcs_after(enum at_fcs_use use, uint16_t linktype,
                           struct at_fcs fcs)
{
    const unsigned bits = fcs.known ? fcs.bits : 0;

    if (use == AT_FCS_KEEP || linktype != AT_LINK_ETHERNET)
        return fcs;
    if (use == AT_FCS_STRIP)
        return (struct at_fcs){true, bits > 32 ? (uint8_t)(bits - 32) : 0};
    return (struct at_fcs){true, bits < 224 ? (uint8_t)(bits + 32) : 255};
}

unsigned at_fcs_strip(struct at_packet *pkt)
{
    if (pkt->linktype != AT_LINK_ETHERNET)
        return 0;
    if (pkt->wire_bytes < ETHERNET_BYTES + FCS_BYTES)
        return AT_DONE_LEFT;
    pkt->wire_bytes -= FCS_BYTES;
    if (pkt->cap_bytes > pkt->wire_bytes)
        pkt->cap_bytes = pkt->wire_bytes;
    pkt->fcs = at_fcs_after(AT_FCS_STRIP, pkt->linktype, pkt->fcs);
    pkt->edited = true;
    return AT_DONE_FCS;
}

unsigned at_fcs_add(struct at_packet *pkt, struct at_scratch *scratch)
{
    uint8_t *p;

    if (pkt->linktype != AT_LINK_ETHERNET)
        return 0;
    if (pkt->wire_bytes < ETHERNET_BYTES ||
        pkt->wire_bytes > UINT32_MAX - FCS_BYTES)
        return AT_DONE_LEFT;
    if (pkt->cap_bytes == pkt->wire_bytes) {
        p = at_scratch_take(scratch, (size_t)pkt->cap_bytes + FCS_BYTES);
        if (p == NULL)
            return AT_DONE_LEFT;
        memcpy(p, pkt->data, pkt->cap_bytes);
        at_store_le32(p + pkt->cap_bytes,
                      libdeflate_crc32(0, p, pkt->cap_bytes));
        pkt->data = p;
        pkt->cap_bytes += FCS_BYTES;
    }
    pkt->wire_bytes += FCS_BYTES;
    pkt->fcs = at_fcs_after(AT_FCS_ADD, pkt->linktype, pkt->fcs);
    pkt->edited = true;
    return AT_DONE_FCS;
}
