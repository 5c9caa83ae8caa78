/*
 * report_names.c - sections and values of reports as text
 */
#include <stdio.h>
#include <string.h>

#include "dump_out.h"
#include "report.h"

static const char *const names[AT_REPORT_SECTIONS] = {
    [AT_REPORT_TOTAL] = "total",
    [AT_REPORT_LINKS] = "links",
    [AT_REPORT_NETWORK] = "network",
    [AT_REPORT_PROTOCOLS] = "protocols",
    [AT_REPORT_IP] = "ip",
    [AT_REPORT_TTL] = "ttl",
    [AT_REPORT_DSCP] = "dscp",
    [AT_REPORT_ECN] = "ecn",
    [AT_REPORT_FRAGMENTS] = "fragments",
    [AT_REPORT_LENGTHS] = "lengths",
    [AT_REPORT_ICMP] = "icmp",
    [AT_REPORT_TCP_FLAGS] = "tcp-flags",
    [AT_REPORT_TCP_OPTIONS] = "tcp-options",
    [AT_REPORT_SYN_OPTIONS] = "syn-options",
    [AT_REPORT_SEGMENTS] = "segments",
    [AT_REPORT_PORTS] = "ports",
    [AT_REPORT_FLOWS] = "flows",
    [AT_REPORT_DIRECTIONS] = "directions",
    [AT_REPORT_ERRORS] = "errors",
    [AT_REPORT_LOSSES] = "losses",
};

const char *at_report_name(enum at_section section)
{
    return names[section];
}

enum at_section at_report_section(const char *name, size_t n)
{
    unsigned i = 0;

    while (i < AT_REPORT_SECTIONS &&
           (strlen(names[i]) != n || memcmp(names[i], name, n) != 0))
        i++;
    return (enum at_section)i;
}

/* ---- values ---------------------------------------------------------- */

static const char *put(char *buf, const char *text)
{
    snprintf(buf, AT_REPORT_TEXT, "%s", text);
    return buf;
}

static const char *put_number(char *buf, const char *before, size_t n)
{
    snprintf(buf, AT_REPORT_TEXT, "%s%zu", before, n);
    return buf;
}

static const char *put_link(char *buf, uint16_t linktype)
{
    const char *name = at_dump_link_name(linktype);

    return name != NULL ? put(buf, name)
                        : put_number(buf, "linktype-", linktype);
}

static const char *put_ethertype(char *buf, uint16_t type)
{
    static const struct at_dump_name types[] = {
        {0x0800, "ip"},     {0x86dd, "ip6"},   {0x0806, "arp"},
        {0x8035, "rarp"},   {0x8100, "vlan"},  {0x88a8, "qinq"},
        {0x8847, "mpls"},   {0x8848, "mpls"},  {0x8863, "pppoed"},
        {0x8864, "pppoe"},  {0x888e, "eapol"}, {0x88cc, "lldp"},
        {0x88e5, "macsec"}, {0x88f7, "ptp"},   {0x8809, "slow"},
        {0x9000, "loop"},   {0, "other"},      {0, NULL},
    };
    const char *name = type == 0 ? "other" : at_dump_name(types, type);

    if (name != NULL)
        return put(buf, name);
    snprintf(buf, AT_REPORT_TEXT, "0x%04x", type);
    return buf;
}

static const char *put_proto(char *buf, uint8_t proto)
{
    char text[8];

    return put(buf, at_dump_proto(text, proto));
}

/* RFC 4594 */
static const char *put_dscp(char *buf, size_t dscp)
{
    if (dscp == 46 || dscp == 44)
        return put(buf, dscp == 46 ? "ef" : "voice-admit");
    if (dscp % 8 == 0)
        return put_number(buf, "cs", dscp / 8);
    if (dscp >= 10 && dscp < 40 && dscp % 2 == 0)
        return put_number(buf, "af", dscp / 8 * 10 + dscp % 8 / 2);
    return put_number(buf, "", dscp);
}

static const char *put_option(char *buf, uint8_t kind)
{
    static const struct at_dump_name kinds[] = {
        {1, "nop"},    {2, "mss"},    {3, "wscale"},       {4, "sackok"},
        {5, "sack"},   {8, "ts"},     {14, "altchecksum"}, {19, "md5"},
        {28, "uto"},   {29, "ao"},    {30, "mptcp"},       {34, "tfo"},
        {253, "exp1"}, {254, "exp2"}, {0, NULL},
    };
    const char *name = kind == 0 ? "eol" : at_dump_name(kinds, kind);

    return name != NULL ? put(buf, name) : put_number(buf, "", kind);
}

/* RFC 9293's flags from the left, a dot for one that is not set. */
static const char *put_flags(char *buf, size_t flags)
{
    static const char letters[] = "CEUAPRSF";

    for (int i = 0; i < 8; i++)
        buf[i] = '.';
    for (int i = 0; i < 8; i++)
        if ((flags & (0x80u >> i)) != 0)
            buf[i] = letters[i];
    buf[8] = 0;
    return buf;
}

static const char *put_in_family(char *buf, enum at_section section,
                                 size_t value)
{
    static const char *const ecn[] = {"not-ect", "ect1", "ect0", "ce"};
    static const char *const fragment[] = {"whole", "first", "later", "?"};
    char text[AT_REPORT_TEXT];
    const size_t v = value % 256;

    if (section == AT_REPORT_IP)
        put_proto(text, (uint8_t)v);
    else if (section == AT_REPORT_DSCP)
        put_dscp(text, v);
    else if (section == AT_REPORT_ECN)
        put(text, ecn[v & 3]);
    else if (section == AT_REPORT_FRAGMENTS)
        put(text, fragment[v & 3]);
    else
        put_number(text, "", v);
    snprintf(buf, AT_REPORT_TEXT, "%s %.100s", value < 256 ? "ip" : "ip6",
             text);
    return buf;
}

static const char *put_length(char *buf, size_t n)
{
    return n < 65535 ? put_number(buf, "", n) : put(buf, "65535 or more");
}

const char *at_report_value(char *buf, enum at_section section, size_t value)
{
    static const char *const ported[] = {"tcp ", "udp ", "sctp "};
    static const char *const direction[] = {"unknown", "in", "out", "other"};
    static const char *const error[16] = {"receive error",
                                          "capture card error",
                                          "cut by the card",
                                          "without a time",
                                          "captured in part",
                                          "headers cut",
                                          "headers contradictory",
                                          "ip checksum right",
                                          "ip checksum wrong",
                                          "ip checksum absent",
                                          "ip checksum unverifiable",
                                          "transport checksum right",
                                          "transport checksum wrong",
                                          "transport checksum absent",
                                          "transport checksum unverifiable",
                                          "?"};

    switch (section) {
    case AT_REPORT_LINKS:
        return put_link(buf, (uint16_t)value);
    case AT_REPORT_NETWORK:
        return put_ethertype(buf, (uint16_t)value);
    case AT_REPORT_IP:
    case AT_REPORT_TTL:
    case AT_REPORT_DSCP:
    case AT_REPORT_ECN:
    case AT_REPORT_FRAGMENTS:
        return put_in_family(buf, section, value);
    case AT_REPORT_LENGTHS:
    case AT_REPORT_SEGMENTS:
        return put_length(buf, value);
    case AT_REPORT_ICMP:
        snprintf(buf, AT_REPORT_TEXT, "%s %zu/%zu",
                 value < 65536 ? "icmp" : "icmp6", value / 256 % 256,
                 value % 256);
        return buf;
    case AT_REPORT_TCP_FLAGS:
        return put_flags(buf, value);
    case AT_REPORT_TCP_OPTIONS:
        return put_option(buf, (uint8_t)value);
    case AT_REPORT_PORTS:
        return put_number(buf, ported[value / 65536 % 3], value % 65536);
    case AT_REPORT_FLOWS:
        return put_proto(buf, (uint8_t)value);
    case AT_REPORT_DIRECTIONS:
        return put(buf, direction[value & 3]);
    case AT_REPORT_ERRORS:
        return put(buf, error[value & 15]);
    case AT_REPORT_LOSSES:
        return put(buf, "after a loss");
    default:
        return put(buf, "all");
    }
}

const char *at_report_layer(char *buf, uint32_t layer)
{
    const uint16_t value = (uint16_t)layer;

    switch ((enum at_layer)(layer >> 24)) {
    case AT_LAYER_LINK:
        return put_link(buf, value);
    case AT_LAYER_TAG:
        return put(buf, "tags");
    case AT_LAYER_NET:
        return put_ethertype(buf, value);
    case AT_LAYER_PROTO:
        return put_proto(buf, (uint8_t)value);
    case AT_LAYER_TUNNEL:
        return put(buf, at_tunnel_name((enum at_tunnel)value));
    default:
        return put(buf, "deeper");
    }
}

const char *at_report_syn(char *buf, const uint8_t kinds[AT_REPORT_SYN_BYTES])
{
    char text[AT_REPORT_TEXT];
    size_t n = 0;

    buf[0] = 0;
    for (size_t i = 0; i < AT_REPORT_SYN_BYTES && kinds[i] != 0; i++) {
        put_option(text, kinds[i]);
        if (n + strlen(text) + 2 > AT_REPORT_TEXT)
            break;
        n += (size_t)snprintf(buf + n, AT_REPORT_TEXT - n, "%s%s",
                              i > 0 ? "," : "", text);
    }
    return n > 0 ? buf : put(buf, "none");
}
