/*
 * dump.c - a record as text or JSON
 *
 * at_decode() and its kin say where the layers are; the files dump_*.c read
 * from there what the layers say.
 */
#include "dump_out.h"

#include <stdio.h>
#include <string.h>

enum {
    SHOWN_CHARS = 48, /* of a payload */
    HEX_LINE = 16,
};

static const struct at_dump_name links[] = {
    {AT_LINK_NULL, "null"},
    {AT_LINK_ETHERNET, "ethernet"},
    {AT_LINK_PPP, "ppp"},
    {AT_LINK_FDDI, "fddi"},
    {AT_LINK_PPP_HDLC, "ppp-hdlc"},
    {AT_LINK_PPP_ETHER, "pppoe"},
    {AT_LINK_ATM_RFC1483, "atm-rfc1483"},
    {AT_LINK_RAW, "raw"},
    {12, "raw"},
    {14, "raw"},
    {AT_LINK_C_HDLC, "c-hdlc"},
    {AT_LINK_IEEE802_11, "802.11"},
    {AT_LINK_LOOP, "loop"},
    {AT_LINK_LINUX_SLL, "linux-sll"},
    {AT_LINK_PRISM, "prism"},
    {AT_LINK_RADIOTAP, "radiotap"},
    {AT_LINK_AVS, "avs"},
    {AT_LINK_PPI, "ppi"},
    {AT_LINK_ERF, "erf"},
    {AT_LINK_IPV4, "ipv4"},
    {AT_LINK_IPV6, "ipv6"},
    {AT_LINK_LINUX_SLL2, "linux-sll2"},
    {0, NULL},
};

const char *at_dump_link_name(uint16_t linktype)
{
    return at_dump_name(links, linktype);
}

static const char *const directions[] = {NULL, "in", "out", "other"};
static const char *const kinds[] = {"packet", "meta", "pad"};

/* ---- the record ------------------------------------------------------ */

static void put_lengths(struct at_dump *d, uint32_t captured, uint32_t wire)
{
    if (d->json) {
        at_dump_num(d, "captured", captured);
        at_dump_num(d, "wire", wire);
        return;
    }
    at_dump_puts(d->text, " ");
    at_dump_put_num(d->text, captured);
    if (captured != wire) {
        at_dump_puts(d->text, " of ");
        at_dump_put_num(d->text, wire);
    }
    at_dump_puts(d->text, " bytes");
}

static void put_time(struct at_dump *d)
{
    char buf[AT_TIME_TEXT];

    at_time_format(buf, at_ts_to_ns(d->pkt->ts), d->opts->local);
    at_dump_bare(d, "time", buf);
}

static void put_record(struct at_dump *d)
{
    const struct at_packet *pkt = d->pkt;
    char number[24];
    const char *link = at_dump_name(links, pkt->linktype);

    put_time(d);
    snprintf(number, sizeof(number), "linktype-%u", pkt->linktype);
    if (d->json || pkt->kind != AT_KIND_PACKET)
        at_dump_bare(d, "kind", kinds[pkt->kind % 3]);
    if (d->json)
        at_dump_num(d, "linktype", pkt->linktype);
    if (d->json || pkt->kind == AT_KIND_PACKET)
        at_dump_bare(d, "link", link != NULL ? link : number);
    if (pkt->kind == AT_KIND_PACKET)
        put_lengths(d, pkt->cap_bytes, pkt->wire_bytes);
    if (d->json || pkt->interface != 0)
        at_dump_num(d, "interface", pkt->interface);
    if (directions[pkt->direction % 4] != NULL)
        at_dump_word(d, "direction", directions[pkt->direction % 4]);
    if (pkt->lost > 0)
        at_dump_num(d, "lost", pkt->lost);
}

/* ---- payload --------------------------------------------------------- */

/* What is left from 'offset' on; 'wire' of it were on the wire. */
static void put_payload(struct at_dump *d, uint32_t offset, uint32_t wire)
{
    const uint64_t end = (uint64_t)offset + wire;
    const struct at_cursor c = at_dump_cursor(
        d->pkt, offset, end < UINT32_MAX ? (uint32_t)end : UINT32_MAX);

    if (wire == 0 && c.left == 0)
        return;
    at_dump_layer(d, "payload");
    put_lengths(d, (uint32_t)c.left, wire);
    if (c.left > 0)
        at_dump_chars(d, d->json ? "begins" : "", c.p,
                      c.left < SHOWN_CHARS ? c.left : SHOWN_CHARS);
}

static void put_doubts(struct at_dump *d, const struct at_headers *h)
{
    if ((h->flags & (AT_DECODED_CUT | AT_DECODED_BAD)) == 0)
        return;
    at_dump_layer(d, "headers");
    if (h->flags & AT_DECODED_CUT)
        at_dump_flag(d, "cut");
    if (h->flags & AT_DECODED_BAD)
        at_dump_flag(d, "contradictory");
}

/* Where the payload begins that the layers before have not shown: behind
 * 'shown', or 0 where they have shown all that there is. */
static uint32_t rest_offset(const struct at_headers *h, uint32_t shown)
{
    enum { ICMP = 1, ICMPV6 = 58, SCTP = 132, ICMP_BYTES = 8 };

    if (h->payload_offset != 0)
        return h->proto == SCTP ? 0 : h->payload_offset;
    if (h->net == AT_NET_OTHER || (h->flags & AT_DECODED_LATER))
        return shown;
    if (h->transport_offset == 0 || (h->flags & AT_DECODED_PORTS))
        return 0;
    if ((h->proto == ICMP && (h->sport == 0 || h->sport == 8)) ||
        (h->proto == ICMPV6 && (h->sport == 128 || h->sport == 129)))
        return h->transport_offset + ICMP_BYTES;
    return h->proto == ICMP || h->proto == ICMPV6 ? 0 : h->transport_offset;
}

/* Of the layers of 'h', where nothing deeper was found. */
static void put_rest(struct at_dump *d, const struct at_headers *h,
                     uint32_t shown)
{
    const uint32_t offset = rest_offset(h, shown);
    const uint64_t end = h->net == AT_NET_OTHER
                             ? d->pkt->wire_bytes
                             : (uint64_t)h->net_offset + h->ip_bytes;

    put_doubts(d, h);
    if (h->net != AT_NET_ARP && offset != 0 && end > offset)
        put_payload(d, offset, (uint32_t)(end - offset));
}

/* ---- layers ---------------------------------------------------------- */

/* All of the frame that *h has been decoded from, then what is in it. */
static void put_layers(struct at_dump *d, struct at_headers *h)
{
    for (;;) {
        const struct at_headers outer = *h;
        uint32_t shown = at_dump_link(d, h);

        if (h->net != AT_NET_OTHER)
            shown = at_dump_net(d, h);
        if (at_decode_quoted(h, &outer, d->pkt)) {
            d->depth++;
            continue;
        }
        if (!at_decode_inner(h, &outer, d->pkt)) {
            put_rest(d, &outer, shown);
            return;
        }
        at_dump_tunnel(d, &outer, h);
        d->depth++;
    }
}

/* ---- one line -------------------------------------------------------- */

static void put_end(struct at_dump *d, const struct at_headers *h,
                    const uint8_t *address, uint16_t port)
{
    const bool ports = (h->flags & AT_DECODED_PORTS) != 0;
    char buf[AT_DUMP_ADDRESS];

    if (h->net == AT_NET_IPV6) {
        at_dump_puts(d->text, ports ? "[" : "");
        at_dump_puts(d->text, at_dump_ipv6(buf, address));
        at_dump_puts(d->text, ports ? "]" : "");
    } else {
        at_dump_puts(d->text, at_dump_ipv4(buf, address));
    }
    if (ports) {
        at_dump_puts(d->text, ":");
        at_dump_put_num(d->text, port);
    }
}

static void put_brief_ip(struct at_dump *d, const struct at_headers *h)
{
    char buf[8];

    at_dump_puts(d->text, h->net == AT_NET_ARP ? " arp " : " ");
    if (h->net != AT_NET_ARP) {
        at_dump_puts(d->text, at_dump_proto(buf, h->proto));
        at_dump_puts(d->text, " ");
    }
    put_end(d, h, h->src, h->sport);
    at_dump_puts(d->text, " > ");
    put_end(d, h, h->dst, h->dport);
    if (h->proto == 1 || h->proto == 58) {
        at_dump_puts(d->text, " type ");
        at_dump_put_num(d->text, h->sport);
        at_dump_puts(d->text, " code ");
        at_dump_put_num(d->text, h->dport);
    }
    if (h->flags & AT_DECODED_FRAGMENT)
        at_dump_puts(d->text, " fragment");
}

static void put_tcp_flags(struct at_dump *d, uint8_t flags)
{
    static const char letters[] = "FSRPAUEC";
    char buf[10] = " ";
    size_t n = 1;

    for (int i = 0; i < 8; i++)
        if (flags & (1 << i))
            buf[n++] = letters[i];
    at_text_add(d->text, n > 1 ? buf : " .", n > 1 ? n : 2);
}

static void put_brief_layer(struct at_dump *d, const struct at_headers *h)
{
    if (h->vlan != 0) {
        at_dump_puts(d->text, " vlan ");
        at_dump_put_num(d->text, h->vlan);
    }
    if (h->net == AT_NET_OTHER) {
        at_dump_puts(d->text, " type 0x");
        at_dump_put_hex(d->text, h->ethertype, 4);
        return;
    }
    put_brief_ip(d, h);
    if (h->proto == 6 && (h->flags & AT_DECODED_PORTS))
        put_tcp_flags(d, h->tcp_flags);
    if (h->payload_offset != 0 || h->payload_bytes > 0) {
        at_dump_puts(d->text, " payload ");
        at_dump_put_num(d->text, h->payload_bytes);
    }
}

static void put_brief(struct at_dump *d, struct at_headers *h)
{
    struct at_headers deeper;

    put_brief_layer(d, h);
    while (at_decode_quoted(&deeper, h, d->pkt) ||
           at_decode_inner(&deeper, h, d->pkt)) {
        at_dump_puts(d->text, " | ");
        at_dump_puts(d->text, at_tunnel_name((enum at_tunnel)deeper.tunnel));
        put_brief_layer(d, &deeper);
        *h = deeper;
    }
}

/* ---- bytes ----------------------------------------------------------- */

/* "    0x0010  4500 003c 8be7 4000 ...  E..<..@..." */
static void put_hex_line(struct at_text *t, size_t at, const uint8_t *p,
                         size_t n)
{
    static const char digit[] = "0123456789abcdef";
    enum { CHARS = HEX_LINE / 2 * 5 + 3 };
    char line[CHARS + HEX_LINE + 1];

    at_dump_puts(t, "    0x");
    at_dump_put_hex(t, at, at > 0xffff ? 8 : 4);
    memset(line, ' ', CHARS);
    for (size_t i = 0; i < n; i++) {
        char *two = line + 2 + i / 2 * 5 + i % 2 * 2;

        two[0] = digit[p[i] >> 4];
        two[1] = digit[p[i] & 15];
        line[CHARS + i] = p[i] >= 0x20 && p[i] < 0x7f ? (char)p[i] : '.';
    }
    line[CHARS + n] = '\n';
    at_text_add(t, line, CHARS + n + 1);
}

static void put_bytes(struct at_dump *d)
{
    const bool record = d->opts->bytes == AT_DUMP_RECORD;
    const uint8_t *p = record ? d->pkt->record : d->pkt->data;
    const size_t n = record ? d->pkt->record_bytes : d->pkt->cap_bytes;

    if (d->json) {
        at_dump_bytes(d, record ? "record" : "bytes", p, n);
        return;
    }
    for (size_t i = 0; i < n; i += HEX_LINE)
        put_hex_line(d->text, i, p + i, n - i < HEX_LINE ? n - i : HEX_LINE);
}

void at_dump_packet(const struct at_dump_options *opts, struct at_text *text,
                    const struct at_packet *pkt)
{
    struct at_dump d = {
        .text = text,
        .pkt = pkt,
        .opts = opts,
        .json = opts->format == AT_DUMP_JSON,
    };
    struct at_headers h;

    at_decode(&h, pkt);
    put_record(&d);
    if (opts->format == AT_DUMP_BRIEF) {
        if (pkt->kind == AT_KIND_PACKET)
            put_brief(&d, &h);
    } else {
        at_dump_puts(text, d.json ? ",\"layers\":[" : "");
        if (pkt->format == AT_FORMAT_ERF)
            at_dump_erf(&d);
        if (pkt->kind == AT_KIND_PACKET)
            put_layers(&d, &h);
        at_dump_end_layer(&d);
        at_dump_puts(text, d.json ? "]" : "");
    }
    if (!d.json)
        at_dump_puts(text, "\n");
    if (opts->bytes != AT_DUMP_NO_BYTES)
        put_bytes(&d);
    at_dump_puts(text, d.json ? "}\n" : "");
}
