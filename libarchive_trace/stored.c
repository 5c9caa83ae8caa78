/*
 * stored.c - records as bytes that outlive their batch
 *
 *     size  field
 *        8  bytes   of all of it
 *        *  packet  struct at_packet, its pointers void but for the section
 *        n  record  as it is in its file
 *        m  data    the frame, where it is not part of the record
 *        k  comment with the NUL behind it, if there is one
 */
#include "stored.h"

#include <string.h>

struct head {
    uint64_t bytes;
    uint64_t data_offset; /* from the end of this struct */
    uint64_t comment;     /* offset from the start of it */
    struct at_packet pkt;
};

static bool is_within(const struct at_packet *pkt)
{
    const uintptr_t record = (uintptr_t)pkt->record;
    const uintptr_t data = (uintptr_t)pkt->data;

    return data >= record && data - record <= pkt->record_bytes &&
           pkt->cap_bytes <= pkt->record_bytes - (data - record);
}

/* What is stored before the comment. */
static size_t frame_end(const struct at_packet *pkt)
{
    return sizeof(struct head) + pkt->record_bytes +
           (is_within(pkt) ? 0 : pkt->cap_bytes);
}

static size_t comment_bytes(const struct at_packet *pkt)
{
    return pkt->comment != NULL ? strlen(pkt->comment) + 1 : 0;
}

size_t at_stored_bytes(const struct at_packet *pkt)
{
    return (frame_end(pkt) + comment_bytes(pkt) + 7) & ~(size_t)7;
}

const struct at_layout *at_stored_layout(const struct at_packet *pkt)
{
    return pkt->format == AT_FORMAT_PCAPNG ? pkt->layout : NULL;
}

void at_stored_put(uint8_t *p, const struct at_packet *pkt)
{
    const bool within = is_within(pkt);
    struct head h = {
        .bytes = at_stored_bytes(pkt),
        .data_offset = within ? (uint64_t)(pkt->data - pkt->record)
                              : pkt->record_bytes,
        .comment = frame_end(pkt),
        .pkt = *pkt,
    };

    h.pkt.layout = at_stored_layout(pkt);
    memcpy(p, &h, sizeof(h));
    if (pkt->record_bytes > 0)
        memcpy(p + sizeof(h), pkt->record, pkt->record_bytes);
    if (!within && pkt->cap_bytes > 0)
        memcpy(p + sizeof(h) + pkt->record_bytes, pkt->data, pkt->cap_bytes);
    if (pkt->comment != NULL)
        memcpy(p + frame_end(pkt), pkt->comment, comment_bytes(pkt));
}

size_t at_stored_get(const uint8_t *p, struct at_packet *pkt)
{
    struct head h;

    memcpy(&h, p, sizeof(h));
    *pkt = h.pkt;
    pkt->record = p + sizeof(h);
    pkt->data = pkt->record + h.data_offset;
    if (pkt->comment != NULL)
        pkt->comment = (const char *)p + h.comment;
    return h.bytes;
}
