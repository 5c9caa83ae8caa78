/*
 * dump_tunnel.c - the headers of tunnels as text
 *
 * at_decode_inner() has checked them, up to where the inner frame begins.
 */
#include "dump_out.h"

static void put_gre(struct at_dump *d, struct at_cursor *c)
{
    enum { CHECKSUM = 0xc000, KEY = 0x2000, SEQUENCE = 0x1000, ACK = 0x80 };
    const uint16_t flags = at_take_be16(c);

    at_dump_layer(d, "gre");
    at_dump_num(d, "version", flags & 7);
    at_dump_hex(d, "flags", flags, 4);
    at_dump_hex(d, "type", at_take_be16(c), 4);
    if (flags & CHECKSUM)
        at_take(c, 4);
    if (flags & KEY) {
        const uint8_t *p = at_take(c, 4);

        if (p != NULL)
            at_dump_hex(d, "key", at_load_be32(p), 8);
    }
    if (flags & SEQUENCE) {
        const uint8_t *p = at_take(c, 4);

        if (p != NULL)
            at_dump_num(d, "seq", at_load_be32(p));
    }
    if ((flags & 7) == 1 && (flags & ACK)) {
        const uint8_t *p = at_take(c, 4);

        if (p != NULL)
            at_dump_num(d, "ack", at_load_be32(p));
    }
}

/* Types II and III have the VLAN and the session in the same place. */
static void put_erspan(struct at_dump *d, struct at_cursor *c)
{
    const uint8_t *p = at_take(c, 4);

    at_dump_layer(d, "erspan");
    at_dump_word(d, "version", p == NULL ? "I" : p[0] >> 4 == 1 ? "II" : "III");
    if (p == NULL)
        return;
    at_dump_num(d, "vlan", at_load_be16(p) & 0xfff);
    at_dump_num(d, "session", at_load_be16(p + 2) & 0x3ff);
}

static void put_network(struct at_dump *d, struct at_cursor *c,
                        const char *name)
{
    const uint8_t *p = at_take(c, 8);

    if (p == NULL)
        return;
    at_dump_layer(d, name);
    at_dump_num(d, "vni", at_load_be32(p + 4) >> 8);
    at_dump_hex(d, "flags", p[0], 2);
    if (c->left > 0)
        at_dump_num(d, "option_bytes", c->left);
}

static void put_gtp(struct at_dump *d, struct at_cursor *c)
{
    const uint8_t *p = at_take(c, 8);

    if (p == NULL)
        return;
    at_dump_layer(d, "gtp");
    at_dump_hex(d, "teid", at_load_be32(p + 4), 8);
    at_dump_num(d, "length", at_load_be16(p + 2));
    if (c->left > 4)
        at_dump_num(d, "extension_bytes", c->left - 4);
}

static void put_l2tp(struct at_dump *d, struct at_cursor *c)
{
    enum { LENGTH = 0x4000 };
    const uint16_t flags = at_take_be16(c);
    const uint8_t *p;

    if (flags & LENGTH)
        at_take(c, 2);
    p = at_take(c, 4);
    if (p == NULL)
        return;
    at_dump_layer(d, "l2tp");
    at_dump_num(d, "tunnel", at_load_be16(p));
    at_dump_num(d, "session", at_load_be16(p + 2));
}

static void put_plain(struct at_dump *d, const struct at_cursor *c,
                      enum at_tunnel tunnel)
{
    at_dump_layer(d, at_tunnel_name(tunnel));
    at_dump_num(d, "header_bytes", c->left);
}

/* GRE's header comes before that of ERSPAN. */
static uint32_t after_gre(const struct at_packet *pkt, uint32_t offset)
{
    enum { SEQUENCE = 0x10, KEY = 0x20, CHECKSUM = 0xc0 };
    const uint8_t flags = pkt->data[offset];

    return offset + 4 + (flags & CHECKSUM ? 4u : 0) + (flags & KEY ? 4u : 0) +
           (flags & SEQUENCE ? 4u : 0);
}

void at_dump_tunnel(struct at_dump *d, const struct at_headers *outer,
                    const struct at_headers *inner)
{
    const bool udp = (outer->flags & AT_DECODED_PORTS) != 0;
    const uint32_t from = udp ? outer->payload_offset : outer->transport_offset;
    struct at_cursor c = at_dump_cursor(d->pkt, from, inner->link_offset);

    switch (inner->tunnel) {
    case AT_TUNNEL_GRE:
        put_gre(d, &c);
        break;
    case AT_TUNNEL_ERSPAN:
        put_gre(d, &c);
        c = at_dump_cursor(d->pkt, after_gre(d->pkt, from), inner->link_offset);
        put_erspan(d, &c);
        break;
    case AT_TUNNEL_VXLAN:
        put_network(d, &c, "vxlan");
        break;
    case AT_TUNNEL_GENEVE:
        put_network(d, &c, "geneve");
        break;
    case AT_TUNNEL_GTP:
        put_gtp(d, &c);
        break;
    case AT_TUNNEL_L2TP:
        put_l2tp(d, &c);
        break;
    case AT_TUNNEL_TEREDO:
    case AT_TUNNEL_CAPWAP:
    case AT_TUNNEL_ETHERIP:
        put_plain(d, &c, (enum at_tunnel)inner->tunnel);
        break;
    }
}
