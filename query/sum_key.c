/*
 * sum_key.c - what flows are summed up by
 *
 * A value is a family or protocol and then the address, number or name, so
 * that two are the same if their bytes are.
 */
#include "sum_key.h"

#include <arpa/inet.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bytes.h"
#include "errors.h"
#include "print.h"

struct name {
    const char *text;
    enum at_key_kind kind;
};

static const struct name names[] = {
    {"host", AT_KEY_HOST},   {"src", AT_KEY_SRC},
    {"dst", AT_KEY_DST},     {"net", AT_KEY_NET},
    {"port", AT_KEY_PORT},   {"pair", AT_KEY_PAIR},
    {"proto", AT_KEY_PROTO}, {"app", AT_KEY_APP},
    {"state", AT_KEY_STATE}, {"category", AT_KEY_CATEGORY},
    {"vlan", AT_KEY_VLAN},   {"stream", AT_KEY_STREAM},
    {"name", AT_KEY_NAME},
};

/* ---- names ----------------------------------------------------------- */

static bool parse_bits(uint8_t *bits, const char **at, const char *end,
                       unsigned most)
{
    unsigned v = 0;
    const char *p = *at;

    while (p < end && *p >= '0' && *p <= '9' && v <= most)
        v = v * 10 + (unsigned)(*p++ - '0');
    if (p == *at || v > most)
        return false;
    *bits = (uint8_t)v;
    *at = p;
    return true;
}

/* "/24" or "/24/64" behind "net". */
static bool parse_net(struct at_key *key, const char *at, const char *end)
{
    key->bits[0] = 24;
    key->bits[1] = 64;
    if (at == end)
        return true;
    if (*at++ != '/' || !parse_bits(&key->bits[0], &at, end, 32))
        return false;
    return at == end || (*at++ == '/' &&
                         parse_bits(&key->bits[1], &at, end, 128) && at == end);
}

enum at_status at_key_parse(struct at_key *key, const char *text, size_t n,
                            struct at_error *err)
{
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        const size_t len = strlen(names[i].text);

        if (n < len || memcmp(text, names[i].text, len) != 0)
            continue;
        *key = (struct at_key){.kind = names[i].kind};
        if (key->kind == AT_KEY_NET ? parse_net(key, text + len, text + n)
                                    : n == len)
            return AT_OK;
    }
    return at_error_set(
        err, AT_ERR_SYNTAX,
        "no key is called '%.*s'; there are host, src, dst, "
        "net/24, port, pair, proto, app, category, name, state, "
        "vlan and stream",
        (int)(n < 60 ? n : 60), text);
}

const char *at_key_name(const struct at_key *key)
{
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        if (names[i].kind == key->kind)
            return names[i].text;
    return "";
}

unsigned at_key_fields(const struct at_key *key)
{
    switch (key->kind) {
    case AT_KEY_HOST:
    case AT_KEY_SRC:
    case AT_KEY_DST:
    case AT_KEY_NET:
    case AT_KEY_PAIR:
        return AT_ROW_ENDS;
    case AT_KEY_PORT:
        return AT_ROW_PORTS;
    case AT_KEY_APP:
    case AT_KEY_CATEGORY:
        return AT_ROW_MARKS;
    case AT_KEY_VLAN:
        return AT_ROW_REST;
    default:
        return 0;
    }
}

/* ---- values ---------------------------------------------------------- */

/* Puts family and address, of which the first 'bits' count. */
static void put_address(uint8_t *b, const struct at_flow_row *row,
                        const uint8_t *addr, unsigned bits)
{
    const unsigned n = row->net == AT_NET_IPV6 ? 16 : 4;

    b[0] = row->net;
    memcpy(b + 1, addr, n);
    for (unsigned i = 0; i < n; i++) {
        const unsigned kept = bits > 8 * i ? bits - 8 * i : 0;

        if (kept < 8)
            b[1 + i] &= (uint8_t)(0xff00 >> kept);
    }
}

static unsigned put_ends(const struct at_key *key,
                         const struct at_flow_row *row,
                         struct at_key_value value[2])
{
    const unsigned bits = key->kind == AT_KEY_NET
                              ? key->bits[row->net == AT_NET_IPV6]
                              : 128;

    put_address(value[0].b, row, row->src, bits);
    put_address(value[1].b, row, row->dst, bits);
    return memcmp(value[0].b, value[1].b, sizeof(value[0].b)) == 0 ? 1 : 2;
}

static void put_name(struct at_key_value *value, const char *name)
{
    if (name != NULL)
        memcpy(value->b, name, strnlen(name, sizeof(value->b) - 1));
}

static void put_number(struct at_key_value *value, uint32_t n)
{
    for (int i = 0; i < 4; i++)
        value->b[i] = (uint8_t)(n >> (24 - 8 * i));
}

static void put_pair(struct at_key_value *value, const struct at_flow_row *row)
{
    const bool turn = memcmp(row->src, row->dst,
                             row->net == AT_NET_IPV6 ? 16 : 4) > 0;

    put_address(value->b, row, turn ? row->dst : row->src, 128);
    put_address(value->b + 17, row, turn ? row->src : row->dst, 128);
}

unsigned at_key_values(const struct at_key *key, const struct at_flow_row *row,
                       size_t lane, struct at_key_value value[2])
{
    memset(value, 0, 2 * sizeof(value[0]));
    switch (key->kind) {
    case AT_KEY_HOST:
    case AT_KEY_NET:
        return put_ends(key, row, value);
    case AT_KEY_SRC:
        put_address(value[0].b, row, row->src, 128);
        break;
    case AT_KEY_DST:
        put_address(value[0].b, row, row->dst, 128);
        break;
    case AT_KEY_PAIR:
        put_pair(&value[0], row);
        break;
    case AT_KEY_PORT:
        put_number(&value[0], (uint32_t)row->proto << 16 | row->dport);
        break;
    case AT_KEY_PROTO:
        put_number(&value[0], row->proto);
        break;
    case AT_KEY_STATE:
        put_number(&value[0], row->state);
        break;
    case AT_KEY_VLAN:
        put_number(&value[0], row->vlan);
        break;
    case AT_KEY_STREAM:
        put_number(&value[0], (uint32_t)lane);
        break;
    case AT_KEY_APP:
        put_name(&value[0], row->app);
        break;
    case AT_KEY_CATEGORY:
        put_name(&value[0], row->category);
        break;
    case AT_KEY_NAME:
        value[0].name = row->name;
        break;
    }
    return 1;
}

/* ---- text ------------------------------------------------------------ */

static size_t print_address(char *buf, const uint8_t *b)
{
    if (inet_ntop(b[0] == AT_NET_IPV6 ? AF_INET6 : AF_INET, b + 1, buf,
                  INET6_ADDRSTRLEN) == NULL)
        buf[0] = '\0';
    return strlen(buf);
}

/* ICMP has its code where others have a port, which says nothing. */
static void print_port(char *buf, uint32_t v)
{
    char proto[8];
    const char *name = at_print_proto(proto, (uint8_t)(v >> 16));

    if (v >> 16 == 6 || v >> 16 == 17 || v >> 16 == 132)
        snprintf(buf, AT_KEY_TEXT, "%s/%" PRIu32, name, v & 0xffff);
    else
        snprintf(buf, AT_KEY_TEXT, "%s", name);
}

static const char *stream_of(const struct at_targets *t, uint32_t lane)
{
    for (size_t i = 0; i < t->n; i++)
        if (t->target[i].lane == lane)
            return t->target[i].stream;
    return "";
}

const char *at_key_text(char *buf, const struct at_key *key,
                        const struct at_key_value *value,
                        const struct at_targets *t)
{
    const uint32_t v = at_load_be32(value->b);
    size_t n;

    switch (key->kind) {
    case AT_KEY_HOST:
    case AT_KEY_SRC:
    case AT_KEY_DST:
        print_address(buf, value->b);
        break;
    case AT_KEY_NET:
        n = print_address(buf, value->b);
        snprintf(buf + n, AT_KEY_TEXT - n, "/%u",
                 key->bits[value->b[0] == AT_NET_IPV6]);
        break;
    case AT_KEY_PAIR:
        n = print_address(buf, value->b);
        buf[n++] = ' ';
        print_address(buf + n, value->b + 17);
        break;
    case AT_KEY_PORT:
        print_port(buf, v);
        break;
    case AT_KEY_PROTO:
        snprintf(buf, AT_KEY_TEXT, "%s",
                 at_print_proto((char[8]){0}, (uint8_t)v));
        break;
    case AT_KEY_STATE:
        snprintf(buf, AT_KEY_TEXT, "%s",
                 at_flow_state_name((enum at_flow_state)v));
        break;
    case AT_KEY_VLAN:
        snprintf(buf, AT_KEY_TEXT, "%" PRIu32, v);
        break;
    case AT_KEY_STREAM:
        snprintf(buf, AT_KEY_TEXT, "%s", stream_of(t, v));
        break;
    case AT_KEY_APP:
    case AT_KEY_CATEGORY:
        snprintf(buf, AT_KEY_TEXT, "%s", (const char *)value->b);
        break;
    case AT_KEY_NAME:
        snprintf(buf, AT_KEY_TEXT, "%s",
                 value->name != NULL ? value->name : "");
        break;
    }
    return buf;
}
