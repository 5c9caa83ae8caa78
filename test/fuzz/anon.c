/*
 * anon.c - bytes as one frame that is anonymised, of the link type and by the
 * policy that the first byte says
 *
 * The second byte is how much longer than the capture the frame was on the
 * wire.  Nothing may be read past the capture or written past the copy, the
 * original stays as it was, the result is no longer, and the same each time.
 * Checksums that can be verified before and after say the same.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "anon.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const uint16_t linktypes[] = {
    AT_LINK_ETHERNET,   AT_LINK_NULL,     AT_LINK_PPP,   AT_LINK_RAW,
    AT_LINK_LINUX_SLL,  AT_LINK_ERF,      AT_LINK_FDDI,  AT_LINK_LINUX_SLL2,
    AT_LINK_IEEE802_11, AT_LINK_RADIOTAP, AT_LINK_PRISM, AT_LINK_PPI,
};

static const char *const policies[] = {
    "",
    "payload = keep\nspecial = class\n",
    "payload = hash\ndns = rewrite\ndhcp = rewrite\nip-id = hash\n",
    "preset = strict\n",
};

enum {
    LINKTYPES = sizeof(linktypes) / sizeof(linktypes[0]),
    POLICIES = sizeof(policies) / sizeof(policies[0]),
};

static struct at_anon *open_anon(const char *text)
{
    const struct at_key key = {.bytes = "an example key of 32 bytes, yes"};
    struct at_policy policy;
    struct at_anon *anon;

    if (!at_policy_set(&policy, "headers") ||
        at_policy_parse(&policy, "fuzz", text, NULL) != AT_OK ||
        at_anon_open(&anon, &policy, &key, NULL) != AT_OK)
        abort();
    return anon;
}

/* Opened once: each run of the fuzzer is one packet. */
static struct at_anon *anon_for(size_t i)
{
    static struct at_anon *anon[POLICIES];

    if (anon[i] == NULL)
        anon[i] = open_anon(policies[i]);
    return anon[i];
}

/* What was right is not wrong, nor the other way, where all of it is there. */
static void check_sums(const struct at_packet *was, const struct at_packet *now)
{
    struct at_headers h, g;
    uint8_t a, b;

    at_decode(&h, was);
    at_decode(&g, now);
    if (was->cap_bytes != now->cap_bytes)
        return;
    a = at_checksum_verify(was, &h).network;
    b = at_checksum_verify(now, &g).network;
    if (a != b)
        abort();
}

/* The result, in memory of its own that ends with it. */
static uint8_t *rewrite(struct at_anon *anon, struct at_packet *pkt)
{
    uint8_t *room = malloc((size_t)pkt->cap_bytes + 1);
    struct at_scratch scratch = {.p = room, .room = pkt->cap_bytes};

    if (room == NULL)
        abort();
    if (!at_anon_packet(anon, &scratch, pkt))
        pkt->cap_bytes = 0;
    return room;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct at_packet was = {.format = AT_FORMAT_PCAP}, one, two;
    struct at_anon *anon;
    uint8_t *copy, *first, *second;

    if (size < 2)
        return 0;
    anon = anon_for(data[0] / LINKTYPES % POLICIES);
    copy = malloc(size - 1);
    if (copy == NULL)
        abort();
    memcpy(copy, data + 2, size - 2);
    was.data = copy;
    was.cap_bytes = (uint32_t)(size - 2);
    was.wire_bytes = was.cap_bytes + data[1];
    was.linktype = linktypes[data[0] % LINKTYPES];
    one = two = was;
    first = rewrite(anon, &one);
    second = rewrite(anon, &two);
    if (one.cap_bytes != two.cap_bytes || one.cap_bytes > was.cap_bytes ||
        memcmp(copy, data + 2, size - 2) != 0 ||
        memcmp(first, second, one.cap_bytes) != 0)
        abort();
    if (data[0] / LINKTYPES % POLICIES < 3)
        check_sums(&was, &one);
    free(first);
    free(second);
    free(copy);
    return 0;
}
