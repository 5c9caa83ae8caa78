/*
 * decode_wlan.c - IEEE 802.11, with and without what a radio says before it
 *
 *     size  field
 *        1  version, type, subtype     bits 0-1, 2-3, 4-7
 *        1  flags                      1 to DS, 2 from DS, 4 more fragments,
 *                                      0x40 protected, 0x80 order
 *       22  duration, three addresses, sequence control
 *        6  fourth address             to DS and from DS
 *        2  QoS control                QoS data; bit 7: several MSDUs follow
 *        4  HT control                 QoS data with 'order'
 *           padding to a multiple of 4 where radiotap says so
 *           LLC
 *
 * Only unprotected data frames that are not in parts hold something for us.
 *
 * libpcap knows neither the fourth address nor HT control.  A frame in which
 * it would take other bytes for the LLC header than we is left alone, for an
 * index must never see another address than the filter does.
 *
 * Sources: IEEE 802.11-2016 section 9.2; radiotap.org; CACE PPI 1.0.10; the
 * LINKTYPE_ descriptions of tcpdump.org.
 */
#include "decode.h"

enum {
    FRAME_BYTES = 24,
    PRISM_BYTES = 144,

    TYPE_DATA = 2,
    SUBTYPE_NO_DATA = 4,
    SUBTYPE_QOS = 8,

    BOTH_DS = 3,
    FLAG_MORE = 4,
    FLAG_PROTECTED = 0x40,
    FLAG_ORDER = 0x80,
};

/*
 * Steps over the radiotap header.  Its fields follow in the order of the
 * bits: the time (8 bytes, aligned), then the flags.
 */
static bool skip_radiotap(struct at_way *w, bool *padded)
{
    enum { TIME = 1, FLAGS = 2, MORE = 0x80, PADDED = 0x20 };
    const uint8_t *start = w->c.p;
    const size_t left = w->c.left;
    size_t length, at = 4;

    if (at_way_take(w, 8) == NULL)
        return false;
    length = at_load_le16(start + 2);
    if (start[0] != 0 || length < 8 || length > left) {
        w->h->flags |= length > left ? AT_DECODED_CUT : AT_DECODED_BAD;
        return false;
    }
    if (at_way_take(w, length - 8) == NULL)
        return false;
    while (at + 4 <= length && (start[at + 3] & MORE) != 0)
        at += 4;
    at += 4;
    if (start[4] & TIME)
        at = ((at + 7) & ~(size_t)7) + 8;
    *padded = (start[4] & FLAGS) != 0 && at < length &&
              (start[at] & PADDED) != 0;
    return true;
}

/* AVS headers tell their length; those of the Prism driver have one. */
static bool skip_prism(struct at_way *w)
{
    size_t length = PRISM_BYTES;
    const uint8_t *p = at_way_take(w, 8);

    if (p == NULL)
        return false;
    if ((at_load_be32(p) & 0xfffff000) == 0x80211000)
        length = at_load_be32(p + 4);
    return length >= 8 && at_way_take(w, length - 8) != NULL;
}

/* What follows is of the link type that the header tells; libpcap knows IEEE
 * 802.11 only. */
static bool skip_ppi(struct at_way *w, uint32_t *linktype)
{
    const uint8_t *p = at_way_take(w, 8);

    if (p == NULL || p[0] != 0 || at_load_le16(p + 2) < 8)
        return false;
    *linktype = at_load_le32(p + 4);
    return at_way_take(w, (size_t)at_load_le16(p + 2) - 8) != NULL;
}

static size_t round_up_4(size_t n)
{
    return (n + 3) & ~(size_t)3;
}

/* The length of the header; 0 where nothing that we know follows. */
static size_t header_bytes(const uint8_t *p)
{
    const uint8_t subtype = p[0] >> 4;
    const bool qos = (subtype & SUBTYPE_QOS) != 0;
    size_t n = FRAME_BYTES;

    if ((p[0] & 3) != 0 || (p[0] >> 2 & 3) != TYPE_DATA ||
        (subtype & SUBTYPE_NO_DATA) != 0 ||
        (p[1] & (FLAG_PROTECTED | FLAG_MORE)) != 0 || (p[22] & 15) != 0)
        return 0;
    if ((p[1] & BOTH_DS) == BOTH_DS)
        n += 6;
    if (qos)
        n += 2;
    if (qos && (p[1] & FLAG_ORDER) != 0)
        n += 4;
    return n;
}

/* Whether libpcap finds a SNAP header at another place than ours. */
static bool is_ambiguous(const struct at_cursor *c, size_t ours)
{
    const size_t simple = FRAME_BYTES + ((c->p[0] >> 4 & SUBTYPE_QOS) ? 2u : 0);
    const size_t theirs[] = {simple, round_up_4(simple)};

    for (size_t i = 0; i < 2; i++)
        if (theirs[i] != ours && theirs[i] + 8 <= c->left &&
            at_is_snap(c->p + theirs[i]))
            return true;
    return false;
}

static void decode_frame(struct at_way *w, bool padded)
{
    size_t n;

    if (w->c.left < FRAME_BYTES) {
        at_way_take(w, FRAME_BYTES);
        return;
    }
    n = header_bytes(w->c.p);
    if (n == 0)
        return;
    if (n > w->c.left) {
        at_way_take(w, n);
        return;
    }
    if ((w->c.p[0] >> 4 & SUBTYPE_QOS) != 0 &&
        (w->c.p[(w->c.p[1] & BOTH_DS) == BOTH_DS ? 30 : 24] & 0x80) != 0)
        return; /* several in one */
    if (padded)
        n = round_up_4(n);
    if (!is_ambiguous(&w->c, n) && at_way_take(w, n) != NULL)
        at_way_llc(w);
}

void at_way_wlan(struct at_way *w, uint16_t linktype)
{
    uint32_t inner = AT_LINK_IEEE802_11;
    bool padded = false, there = true;

    switch (linktype) {
    case AT_LINK_RADIOTAP:
        there = skip_radiotap(w, &padded);
        break;
    case AT_LINK_PRISM:
    case AT_LINK_AVS:
        there = skip_prism(w);
        break;
    case AT_LINK_PPI:
        there = skip_ppi(w, &inner);
        break;
    }
    if (there && inner == AT_LINK_ETHERNET)
        at_way_link(w, AT_LINK_ETHERNET);
    else if (there && inner == AT_LINK_IEEE802_11)
        decode_frame(w, padded);
}
