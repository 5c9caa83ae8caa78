/*
 * tool_keys.c - what packets are told apart by, and how that is written
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

#include "print.h"
#include "tool_split.h"

static bool has_addresses(const struct at_flow_key *key)
{
    return key->net != AT_NET_OTHER;
}

/* The hosts of a packet, the sender first. */
static unsigned host_keys(struct at_flow_key key[2], const struct at_sight *s)
{
    const uint8_t *from = s->from_hi ? s->key.hi : s->key.lo;
    const uint8_t *to = s->from_hi ? s->key.lo : s->key.hi;

    if (!has_addresses(&s->key)) {
        key[0].lo_port = s->key.lo_port;
        return 1;
    }
    for (unsigned i = 0; i < 2; i++) {
        key[i].net = s->key.net == AT_NET_IPV6 ? AT_NET_IPV6 : AT_NET_IPV4;
        memcpy(key[i].lo, i == 0 ? from : to, sizeof(key[i].lo));
    }
    return memcmp(&key[0], &key[1], sizeof(key[0])) == 0 ? 1 : 2;
}

unsigned tool_keys(struct at_flow_key key[2], enum tool_by by,
                   const struct at_packet *pkt, const struct at_sight *sight)
{
    memset(key, 0, 2 * sizeof(key[0]));
    switch (by) {
    case TOOL_BY_STREAM:
        memcpy(key[0].lo, &pkt->source, sizeof(pkt->source));
        return 1;
    case TOOL_BY_DIRECTION:
        key[0].proto = pkt->direction;
        return 1;
    case TOOL_BY_HOST:
        return host_keys(key, sight);
    default:
        key[0] = sight->key;
        return 1;
    }
}

void tool_app_key(struct at_flow_key *key, const char *app, uint16_t ethertype)
{
    const size_t n = app != NULL ? strlen(app) : 0;
    uint32_t hash = 0;

    *key = (struct at_flow_key){.lo_port = ethertype};
    if (app == NULL)
        return;
    key->net = AT_NET_IPV4;
    memcpy(key->lo, app, n < sizeof(key->lo) ? n : sizeof(key->lo));
    if (n > sizeof(key->lo))
        memcpy(key->hi, app + sizeof(key->lo),
               n < 2 * sizeof(key->lo) ? n - sizeof(key->lo) : sizeof(key->hi));
    for (; *app != 0; app++) /* names that are longer than that */
        hash = hash * 31 + (uint8_t)*app;
    key->lo_port = (uint16_t)hash;
    key->hi_port = (uint16_t)(hash >> 16);
}

/* ---- text ------------------------------------------------------------ */

static void address(char buf[INET6_ADDRSTRLEN], uint8_t net, const uint8_t *p)
{
    if (inet_ntop(net == AT_NET_IPV6 ? AF_INET6 : AF_INET, p, buf,
                  INET6_ADDRSTRLEN) == NULL)
        buf[0] = 0;
}

static void flow_text(char buf[TOOL_KEY_TEXT], const struct at_flow_key *key,
                      const struct at_sight *s)
{
    char from[INET6_ADDRSTRLEN], to[INET6_ADDRSTRLEN], vlan[16] = "";
    char proto[8];
    const char *name = key->net == AT_NET_ARP
                           ? "arp"
                           : at_print_proto(proto, key->proto);
    const bool ports = key->proto == IPPROTO_TCP || key->proto == IPPROTO_UDP ||
                       key->proto == IPPROTO_SCTP;

    address(from, key->net, s->from_hi ? key->hi : key->lo);
    address(to, key->net, s->from_hi ? key->lo : key->hi);
    if (key->vlan != 0)
        snprintf(vlan, sizeof(vlan), "-vlan%u", key->vlan);
    if (ports && key->net != AT_NET_ARP)
        snprintf(buf, TOOL_KEY_TEXT, "%s-%s-%u-%s-%u%s", name, from, s->sport,
                 to, s->dport, vlan);
    else
        snprintf(buf, TOOL_KEY_TEXT, "%s-%s-%s%s", name, from, to, vlan);
}

void tool_key_text(char buf[TOOL_KEY_TEXT], enum tool_by by,
                   const struct at_flow_key *key, const struct at_packet *pkt,
                   const struct at_sight *sight)
{
    static const char *const directions[] = {"unknown", "in", "out", "other"};

    if (by == TOOL_BY_STREAM)
        buf[0] = 0;
    else if (by == TOOL_BY_DIRECTION)
        snprintf(buf, TOOL_KEY_TEXT, "%s", directions[pkt->direction & 3]);
    else if (!has_addresses(key))
        snprintf(buf, TOOL_KEY_TEXT, "ethertype-%04x", key->lo_port);
    else if (by == TOOL_BY_APP)
        snprintf(buf, TOOL_KEY_TEXT, "%.*s%.*s", (int)sizeof(key->lo),
                 (const char *)key->lo, (int)sizeof(key->hi),
                 (const char *)key->hi);
    else if (by == TOOL_BY_HOST)
        address(buf, key->net, key->lo);
    else
        flow_text(buf, key, sight);
}

/* ---- inner packets --------------------------------------------------- */

bool tool_jump(struct at_packet *pkt, uint64_t n)
{
    struct at_headers h;

    at_decode(&h, pkt);
    for (;;) {
        if ((h.net == AT_NET_IPV4 || h.net == AT_NET_IPV6) && --n == 0) {
            at_packet_inside(pkt, &h);
            return true;
        }
        if (!at_decode_inner(&h, &h, pkt))
            return false;
    }
}
