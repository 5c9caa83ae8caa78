/*
 * decode.c - bytes as one frame, of the link type that the first byte says
 *
 * The second byte is how much longer than the capture the frame was on the
 * wire.  Nothing may be read past the capture, and a filter must give the
 * same answer to the same packet.  The frame is dumped as an ERF record too,
 * if it can be one.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "archive_trace.h"
#include "dump.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const uint16_t linktypes[] = {
    AT_LINK_ETHERNET,   AT_LINK_NULL,      AT_LINK_PPP,
    AT_LINK_PPP_HDLC,   AT_LINK_RAW,       AT_LINK_C_HDLC,
    AT_LINK_LOOP,       AT_LINK_LINUX_SLL, AT_LINK_ERF,
    AT_LINK_IPV4,       AT_LINK_IPV6,      AT_LINK_LINUX_SLL2,
    AT_LINK_FDDI,       AT_LINK_PPP_ETHER, AT_LINK_ATM_RFC1483,
    AT_LINK_IEEE802_11, AT_LINK_PRISM,     AT_LINK_RADIOTAP,
    AT_LINK_AVS,        AT_LINK_PPI,
};

enum { LINKTYPES = sizeof(linktypes) / sizeof(linktypes[0]) };

static void check(const struct at_headers *h, const struct at_packet *pkt)
{
    const size_t address = h->net == AT_NET_IPV6 ? 16 : 4;
    const uint8_t *end = pkt->data + pkt->cap_bytes;

    if (h->net_offset > pkt->cap_bytes ||
        h->transport_offset > pkt->cap_bytes ||
        h->link_offset > pkt->cap_bytes || h->payload_offset > pkt->cap_bytes)
        abort();
    if ((h->net == AT_NET_OTHER) != (h->src == NULL))
        abort();
    if (h->src != NULL && (h->src < pkt->data || h->src + address > end ||
                           h->dst < pkt->data || h->dst + address > end))
        abort();
}

/* Every layer begins behind the one before it. */
static void go_deeper(const struct at_headers *outer,
                      const struct at_packet *pkt)
{
    struct at_headers h = *outer, quoted;
    uint32_t offset;

    do {
        check(&h, pkt);
        offset = h.net_offset;
        if (at_decode_quoted(&quoted, &h, pkt)) {
            check(&quoted, pkt);
            if (quoted.link_offset <= offset)
                abort();
        }
        if (!at_decode_inner(&h, &h, pkt))
            return;
    } while (h.link_offset > offset && h.depth <= AT_DEEPEST);
    abort();
}

/* Nothing of a packet gets into the text as it is. */
static void dump(const struct at_packet *pkt)
{
    for (int format = AT_DUMP_LAYERS; format <= AT_DUMP_JSON; format++) {
        const struct at_dump_options opts = {
            .format = (enum at_dump_format)format,
            .bytes = AT_DUMP_FRAME,
        };
        struct at_text text = {.n = 0};

        at_dump_packet(&opts, &text, pkt);
        for (size_t i = 0; i < text.n; i++)
            if ((text.p[i] < 0x20 || text.p[i] > 0x7e) && text.p[i] != '\n')
                abort();
        at_text_close(&text);
    }
}

static void dump_record(const struct at_packet *frame)
{
    enum { HEADER = 16, META = 27, MORE = 0x80 };
    struct at_packet pkt = *frame;
    uint32_t at = HEADER;

    if (frame->cap_bytes < HEADER)
        return;
    pkt.format = AT_FORMAT_ERF;
    pkt.record = frame->data;
    pkt.record_bytes = frame->cap_bytes;
    pkt.erf_type = pkt.record[8] & 0x7f;
    pkt.kind = pkt.erf_type == META ? AT_KIND_META : AT_KIND_PACKET;
    if (pkt.record[8] & MORE)
        while (at + 8 <= pkt.record_bytes && (pkt.record[at] & MORE))
            at += 8;
    if (at > pkt.record_bytes)
        at = pkt.record_bytes;
    pkt.data = pkt.record + at;
    pkt.cap_bytes = pkt.record_bytes - at;
    pkt.wire_bytes = pkt.cap_bytes;
    dump(&pkt);
}

static void ask_filters(const struct at_packet *pkt)
{
    static const char *const expr[] = {"tcp port 80 or host 10.0.0.1",
                                       "ip6 and not udp", "vlan or mpls"};
    static struct at_filter *filter[3];

    for (size_t i = 0; i < 3; i++) {
        if (filter[i] == NULL &&
            at_filter_open(&filter[i], expr[i], 0, NULL) != AT_OK)
            abort();
        if (at_filter_match(filter[i], pkt) != at_filter_match(filter[i], pkt))
            abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct at_packet pkt = {.format = AT_FORMAT_PCAP};
    struct at_headers h;
    uint8_t *frame;

    if (size < 2)
        return 0;
    frame = malloc(size - 2 + (size == 2)); /* its end is the frame's end */
    if (frame == NULL)
        abort();
    memcpy(frame, data + 2, size - 2);
    pkt.data = frame;
    pkt.cap_bytes = (uint32_t)(size - 2);
    pkt.wire_bytes = pkt.cap_bytes + data[1];
    pkt.linktype = linktypes[data[0] % LINKTYPES];
    at_decode(&h, &pkt);
    go_deeper(&h, &pkt);
    ask_filters(&pkt);
    dump(&pkt);
    dump_record(&pkt);
    free(frame);
    return 0;
}
