/*
 * format_tsh.c - NLANR time sequenced headers
 *
 *     size  field              all big-endian
 *        4  seconds            since 1970
 *        1  interface
 *        3  microseconds
 *       20  IPv4 header        without its options
 *       16  what follows it    the beginning of TCP, or all of UDP
 *
 * The length on the wire is that of the IP packet.  A datagram shorter than
 * the 36 bytes is followed by zeros, which are no part of it.
 */
#include "format.h"

#include "bytes.h"

enum { TSH_FRAMING = 8, TSH_FRAME = 36, IP_LEAST = 20, MICROS = 1000000 };

static uint32_t micros_of(const uint8_t *p)
{
    return at_load_be32(p + 4) & 0xffffff;
}

bool at_tsh_begins(const uint8_t *p, size_t n)
{
    return n <= TSH_FRAMING ||
           (p[TSH_FRAMING] >> 4 == 4 && micros_of(p) < MICROS);
}

void at_tsh_parse(const uint8_t *p, struct at_packet *pkt)
{
    const uint32_t wire = at_load_be16(p + TSH_FRAMING + 2);
    const uint64_t ns = at_load_be32(p) * UINT64_C(1000000000) +
                        micros_of(p) * UINT64_C(1000);

    *pkt = (struct at_packet){
        .ts = at_ts_from_ns(ns),
        .data = p + TSH_FRAMING,
        .record = p,
        .record_bytes = TSH_FRAMING + TSH_FRAME,
        .cap_bytes = TSH_FRAME,
        .wire_bytes = wire,
        .interface = p[4],
        .linktype = AT_LINK_RAW,
        .format = AT_FORMAT_TSH,
    };
    /* Less than a header is no length, but what a segmenting card leaves. */
    if (wire >= IP_LEAST && wire < TSH_FRAME)
        pkt->cap_bytes = wire;
}
