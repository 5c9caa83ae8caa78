/*
 * heading.c - what a piece of a trace needs of the records before it
 *
 * ERF META records come again and again, one kind after the other, so the
 * latest of each kind is kept.  A kind is a source, the chain of extension
 * headers (which names the host) and the section that the record begins with.
 * Of pcapng it is the blocks of names and of secrets in the section at hand;
 * interfaces are described anew by whoever writes the piece.
 */
#include <stdlib.h>
#include <string.h>

#include "section.h"
#include "stored.h"

enum {
    RECORDS_MOST = 1024,
    BYTES_MOST = 4 << 20, /* of all that is kept */
    KIND_BYTES = 2,       /* of an ERF META record, behind its headers */
};

struct kept {
    uint8_t *stored;
    size_t bytes;
    struct at_packet pkt; /* its pointers are into 'stored' */
};

struct at_heading {
    struct kept kept[RECORDS_MOST];
    size_t n;
    size_t bytes;
};

enum at_status at_heading_open(struct at_heading **out, struct at_error *err)
{
    *out = calloc(1, sizeof(**out));
    return *out != NULL ? AT_OK
                        : at_error_set(err, AT_ERR_MEMORY, "out of memory");
}

static void let_go(struct at_heading *h, struct kept *k)
{
    at_layout_drop(at_stored_layout(&k->pkt));
    free(k->stored);
    h->bytes -= k->bytes;
    *k = (struct kept){.stored = NULL};
}

void at_heading_close(struct at_heading *h)
{
    if (h == NULL)
        return;
    for (size_t i = 0; i < h->n; i++)
        let_go(h, &h->kept[i]);
    free(h);
}

size_t at_heading_records(const struct at_heading *h)
{
    return h->n;
}

const struct at_packet *at_heading_record(const struct at_heading *h, size_t i)
{
    return &h->kept[i].pkt;
}

/* ---- which are of one kind ------------------------------------------- */

/* Bytes between the header of an ERF record and its frame. */
static size_t chain_bytes(const struct at_packet *pkt)
{
    return (size_t)(pkt->data - pkt->record) - AT_ERF_HEADER;
}

static bool same_kind(const struct at_packet *a, const struct at_packet *b)
{
    const size_t chain = chain_bytes(a);
    const size_t body = a->cap_bytes < KIND_BYTES ? a->cap_bytes : KIND_BYTES;

    return a->source == b->source && b->format == AT_FORMAT_ERF &&
           chain_bytes(b) == chain && b->cap_bytes >= body &&
           memcmp(a->record + AT_ERF_HEADER, b->record + AT_ERF_HEADER,
                  chain + body) == 0;
}

static struct kept *find_kind(struct at_heading *h, const struct at_packet *pkt)
{
    for (size_t i = 0; pkt->format == AT_FORMAT_ERF && i < h->n; i++)
        if (same_kind(pkt, &h->kept[i].pkt))
            return &h->kept[i];
    return &h->kept[h->n];
}

/* A section ends for its source. */
static void forget_section(struct at_heading *h, uint32_t source)
{
    size_t n = 0;

    for (size_t i = 0; i < h->n; i++) {
        struct kept *k = &h->kept[i];

        if (k->pkt.format == AT_FORMAT_PCAPNG && k->pkt.source == source)
            let_go(h, k);
        else
            h->kept[n++] = *k;
    }
    h->n = n;
}

static uint32_t block_type(const struct at_packet *pkt)
{
    return pkt->format == AT_FORMAT_PCAPNG
               ? at_ng_32(pkt->layout->swapped, pkt->record)
               : 0;
}

/* ---- keeping --------------------------------------------------------- */

static bool is_kept(const struct at_packet *pkt)
{
    const uint32_t type = block_type(pkt);

    return pkt->kind == AT_KIND_META &&
           (pkt->format == AT_FORMAT_ERF || type == AT_NG_NRB ||
            type == AT_NG_DSB);
}

static enum at_status keep(struct at_heading *h, struct kept *k,
                           const struct at_packet *pkt, struct at_error *err)
{
    const size_t n = at_stored_bytes(pkt);
    uint8_t *stored = malloc(n);

    if (stored == NULL)
        return at_error_set(err, AT_ERR_MEMORY, "out of memory");
    at_stored_put(stored, pkt);
    at_layout_hold(at_stored_layout(pkt));
    if (k->stored != NULL)
        let_go(h, k);
    else
        h->n++;
    *k = (struct kept){.stored = stored, .bytes = n};
    at_stored_get(stored, &k->pkt);
    h->bytes += n;
    return AT_OK;
}

enum at_status at_heading_note(struct at_heading *h,
                               const struct at_packet *pkt,
                               struct at_error *err)
{
    struct kept *k;

    if (pkt->kind == AT_KIND_META && block_type(pkt) == AT_NG_SHB)
        forget_section(h, pkt->source);
    if (!is_kept(pkt) || h->n == RECORDS_MOST ||
        h->bytes + at_stored_bytes(pkt) > BYTES_MOST)
        return AT_OK;
    k = find_kind(h, pkt);
    return keep(h, k, pkt, err);
}
