/*
 * process.c - bytes as one frame, processed in the ways that the first byte
 * says
 *
 * The second byte is how much longer than the capture the frame was on the
 * wire.  Nothing may be read past the capture or written past the scratch, and
 * what was snapped stays as it is when it is snapped again.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "archive_trace.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct at_process_options ways[] = {
    {.snap = "l4+4,dns+12"},
    {.snap = "inner,l4+4,1000-2000+9"},
    {.snap = "l3+8"},
    {.snap = "l2"},
    {.snap = "l4", .strip = "vlan,mpls,pppoe", .fcs = AT_FCS_ADD},
    {.strip = "mpls", .fcs = AT_FCS_STRIP},
    {.strip = "vlan", .checksum = AT_CHECKSUM_DROP},
    {.checksum = AT_CHECKSUM_TAG, .direction = "net:10.0.0.0/8,2001::/16"},
    {.direction = "mac:2:0:0:0:0:1"},
    {.direction = "filter:tcp"},
};

enum { WAYS = sizeof(ways) / sizeof(ways[0]), LINKS = 8 };

static const uint16_t linktypes[LINKS] = {
    AT_LINK_ETHERNET, AT_LINK_ETHERNET,   AT_LINK_ETHERNET,  AT_LINK_RAW,
    AT_LINK_C_HDLC,   AT_LINK_LINUX_SLL2, AT_LINK_LINUX_SLL, AT_LINK_PPP,
};

static void check(const struct at_packet *now, const struct at_packet *before,
                  const struct at_scratch *scratch)
{
    const bool moved = now->data != before->data;

    if (now->cap_bytes > before->cap_bytes + 4 ||
        (moved && (now->data < scratch->p || scratch->used > scratch->room ||
                   now->data + now->cap_bytes > scratch->p + scratch->room)) ||
        (!moved && now->cap_bytes > before->cap_bytes) ||
        ((moved || now->cap_bytes != before->cap_bytes) && !now->edited))
        abort();
}

static void process(const struct at_process *p, const struct at_packet *pkt,
                    bool only_snaps)
{
    const size_t room = (size_t)pkt->cap_bytes * 2 + 8;
    struct at_scratch scratch = {.p = malloc(room), .room = room};
    struct at_packet once = *pkt, twice;

    if (scratch.p == NULL)
        return;
    if (at_process_packet(p, &scratch, &once)) {
        check(&once, pkt, &scratch);
        twice = once;
        at_process_packet(p, &scratch, &twice);
        if (only_snaps && twice.cap_bytes != once.cap_bytes)
            abort();
    }
    free(scratch.p);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const size_t n = size - 2;
    const struct at_process_options *way;
    struct at_process *p;
    struct at_packet pkt;
    uint8_t *copy;

    if (size < 2 || n > 4096 || (copy = malloc(n + 1)) == NULL)
        return 0;
    memcpy(copy + 1, data + 2, n); /* so that an end is seen by tools */
    way = &ways[data[0] % WAYS];
    pkt = (struct at_packet){
        .data = copy + 1,
        .cap_bytes = (uint32_t)n,
        .wire_bytes = (uint32_t)n + data[1],
        .linktype = linktypes[data[0] / WAYS % LINKS],
        .format = AT_FORMAT_PCAP,
    };
    if (at_process_open(&p, way, NULL) != AT_OK)
        abort();
    process(p, &pkt, way->snap != NULL && way->strip == NULL);
    at_process_close(p);
    free(copy);
    return 0;
}
