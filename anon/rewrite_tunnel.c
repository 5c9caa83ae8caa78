/*
 * rewrite_tunnel.c - what tunnels put before the inner frame
 *
 * Most of it is numbers.  GRE can have a route, Teredo an address that is
 * hidden by flipping its bits, CAPWAP that of a radio, Geneve options of any
 * kind.  Sources: as enum at_tunnel says.
 */
#include "rewrite.h"

enum { UDP_BYTES = 8, PROTO_UDP = 17 };

bool at_is_tunnel_port(uint16_t port)
{
    static const uint16_t ports[] = {1701, 2152, 3544, 4789, 4790,
                                     5246, 5247, 6081, 6635, 8472};

    for (size_t i = 0; i < sizeof(ports) / sizeof(ports[0]); i++)
        if (ports[i] == port)
            return true;
    return false;
}

/* The origin's port and address stand last, each with its bits flipped. */
static void rewrite_teredo(struct at_rewrite *r, uint32_t at, uint32_t inner)
{
    enum { ORIGIN = 8, AUTHENTICATION = 1 };
    const uint8_t *p = r->pkt->data;
    uint32_t end = inner;

    if (inner - at >= ORIGIN && at_load_be16(p + inner - ORIGIN) == 0) {
        end = inner - ORIGIN;
        for (uint32_t i = inner - 4; i < inner; i++)
            r->now[i] ^= 0xff;
        at_put_address(r, inner - 4, 4, AT_ROLE_NONE);
        for (uint32_t i = inner - 4; i < inner; i++)
            r->now[i] ^= 0xff;
    }
    if (end - at > 4 && at_load_be16(p + at) == AUTHENTICATION)
        at_blank(r, at + 4, end - at - 4);
}

bool at_rewrite_tunnel(struct at_rewrite *r, const struct at_headers *inner)
{
    enum { GRE_ROUTING = 0x40 };
    const uint32_t at = r->h.proto == PROTO_UDP
                            ? r->h.transport_offset + UDP_BYTES
                            : r->h.transport_offset;
    const uint32_t end = inner->link_offset;

    if (end < at || end > r->end) {
        at_cut_unknown(r, at);
        return false;
    }
    switch (inner->tunnel) {
    case AT_TUNNEL_GRE:
    case AT_TUNNEL_ERSPAN:
        if ((r->pkt->data[at] & GRE_ROUTING) != 0) {
            at_cut_unknown(r, at);
            return false;
        }
        break;
    case AT_TUNNEL_GENEVE:
    case AT_TUNNEL_CAPWAP:
        if (end > at + 8)
            at_blank(r, at + 8, end - at - 8);
        break;
    case AT_TUNNEL_TEREDO:
        rewrite_teredo(r, at, end);
        break;
    default:
        break;
    }
    return true;
}
