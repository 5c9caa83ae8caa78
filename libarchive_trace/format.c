/*
 * format.c - which format a file has, and the way to its records
 */
#include "format.h"

#include <string.h>

static const char *const format_names[] = {
    [AT_FORMAT_UNKNOWN] = "unknown",
    [AT_FORMAT_ERF] = "erf",
    [AT_FORMAT_PCAP] = "pcap",
    [AT_FORMAT_PCAP_US] = "pcap-us",
    [AT_FORMAT_TSH] = "tsh",
    [AT_FORMAT_LEGACY_ATM] = "legacyatm",
    [AT_FORMAT_LEGACY_POS] = "legacypos",
    [AT_FORMAT_LEGACY_ETH] = "legacyeth",
    [AT_FORMAT_PCAPNG] = "pcapng",
};

enum { FORMATS = sizeof(format_names) / sizeof(format_names[0]) };

const char *at_format_name(enum at_format format)
{
    return (unsigned)format < FORMATS ? format_names[format] : "unknown";
}

enum at_format at_format_parse(const char *name)
{
    for (int i = 1; i < FORMATS; i++)
        if (strcmp(name, format_names[i]) == 0)
            return (enum at_format)i;
    return AT_FORMAT_UNKNOWN;
}

bool at_format_writable(enum at_format format)
{
    return format == AT_FORMAT_ERF || format == AT_FORMAT_PCAP ||
           format == AT_FORMAT_PCAP_US || format == AT_FORMAT_PCAPNG;
}

/* Formats that we know by name only, so that the message can say so. */
static const char *known_stranger(const uint8_t *p, size_t n)
{
    if (n >= 8 && memcmp(p, "snoop\0\0\0", 8) == 0)
        return "snoop";
    return NULL;
}

enum at_status at_layout_detect(struct at_layout *layout, const uint8_t *p,
                                size_t n, bool whole, const char **what)
{
    enum at_status st;

    *what = known_stranger(p, n);
    if (*what != NULL)
        return AT_ERR_FORMAT;
    *layout = (struct at_layout){.format = AT_FORMAT_UNKNOWN};
    st = at_pcap_detect(layout, p, n, what);
    if (st == AT_ERR_FORMAT && *what == NULL)
        st = at_pcapng_detect(layout, p, n, what);
    if (st == AT_ERR_FORMAT && *what == NULL)
        st = at_erf_detect(layout, p, n, whole, what);
    return st;
}

/* The formats that only the caller's word can tell. */
static enum at_status choose_unmarked(struct at_layout *layout,
                                      enum at_format format, const uint8_t *p,
                                      size_t n)
{
    *layout = (struct at_layout){.format = format};
    if (format == AT_FORMAT_ERF)
        return AT_OK;
    layout->record_bytes = format == AT_FORMAT_TSH ? 44 : 64;
    if (format == AT_FORMAT_TSH && !at_tsh_begins(p, n))
        return AT_ERR_FORMAT;
    return AT_OK;
}

static bool is_unmarked(enum at_format format)
{
    return format == AT_FORMAT_ERF || format == AT_FORMAT_TSH ||
           format == AT_FORMAT_LEGACY_ATM || format == AT_FORMAT_LEGACY_POS ||
           format == AT_FORMAT_LEGACY_ETH;
}

enum at_status at_layout_choose(struct at_layout *layout, enum at_format format,
                                const uint8_t *p, size_t n, bool whole,
                                const char **what)
{
    enum at_status st;

    *what = NULL;
    if (is_unmarked(format))
        return choose_unmarked(layout, format, p, n);
    st = at_layout_detect(layout, p, n, whole, what);
    if (format == AT_FORMAT_UNKNOWN || layout->format == format ||
        (format == AT_FORMAT_PCAP && layout->format == AT_FORMAT_PCAP_US))
        return st;
    *what = NULL;
    return AT_ERR_FORMAT;
}

/* Records that are all of one length. */
static struct at_frame even_frame(const struct at_layout *layout,
                                  const uint8_t *p, const uint8_t *stop,
                                  const uint8_t *end)
{
    const size_t n = layout->record_bytes;
    const size_t there = (size_t)(end - p) / n;
    const size_t begin = ((size_t)(stop - p) + n - 1) / n;
    const size_t whole = there < begin ? there : begin;

    return (struct at_frame){
        .at = p + whole * n, .records = (uint32_t)whole, .need = n};
}

struct at_frame at_frame(const struct at_layout *layout, const uint8_t *p,
                         const uint8_t *stop, const uint8_t *end)
{
    if (layout->format == AT_FORMAT_ERF)
        return at_erf_frame(p, stop, end);
    if (layout->format == AT_FORMAT_PCAPNG)
        return at_pcapng_frame(layout, p, stop, end);
    if (layout->record_bytes > 0)
        return even_frame(layout, p, stop, end);
    return at_pcap_frame(layout, p, stop, end);
}

void at_record_parse(const struct at_layout *layout, const uint8_t *p,
                     struct at_packet *pkt)
{
    if (layout->format == AT_FORMAT_ERF)
        at_erf_parse(layout, p, pkt);
    else if (layout->format == AT_FORMAT_TSH)
        at_tsh_parse(p, pkt);
    else if (layout->record_bytes > 0)
        at_legacy_parse(layout->format, p, pkt);
    else if (layout->format == AT_FORMAT_PCAPNG)
        at_pcapng_parse(layout, p, pkt);
    else
        at_pcap_parse(layout, p, pkt);
    pkt->layout = layout;
}

struct at_walk at_walk_block(const struct at_batch *batch, size_t i)
{
    const struct at_block *b = &batch->block[i];

    return (struct at_walk){b->layout, b->data, b->data + b->place.bytes};
}

/* Only in pcapng do packets need a closer look; in blocks between holes they
 * are not counted. */
static uint64_t block_packets(const struct at_batch *batch, size_t i)
{
    const struct at_block *b = &batch->block[i];
    struct at_walk walk = at_walk_block(batch, i);
    struct at_packet pkt;
    uint64_t n = 0;

    if (b->packets != AT_NOT_COUNTED)
        return b->packets;
    if (b->layout->format == AT_FORMAT_ERF)
        return at_erf_packets(walk.at, walk.end);
    if (b->layout->format != AT_FORMAT_PCAPNG)
        return b->records;
    while (at_walk_next(&walk, &pkt))
        n += pkt.kind == AT_KIND_PACKET;
    return n;
}

uint64_t at_batch_packets(const struct at_batch *batch)
{
    uint64_t n = 0;

    for (size_t i = 0; i < batch->blocks; i++)
        n += block_packets(batch, i);
    return n;
}

bool at_walk_next(struct at_walk *walk, struct at_packet *pkt)
{
    if (walk->at >= walk->end)
        return false;
    at_record_parse(walk->layout, walk->at, pkt);
    walk->at += pkt->record_bytes;
    return true;
}
