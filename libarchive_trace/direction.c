/*
 * direction.c - which way a packet goes past the place that saw it
 *
 *     RULE = ("mac" | "net" | "vlan") ":" LIST | "port" | "interface"
 *          | "filter:" EXPRESSION
 *     LIST = what is local, separated by commas; "@FILE": what the file has,
 *            one or more a line, "#" begins a comment
 *
 * MAC addresses, networks and VLANs are all kept as ranges of 16-byte numbers
 * (IPv4 as ::ffff:a.b.c.d), sorted and joined, so that looking one up takes as
 * many steps as its logarithm, however long the list.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "bytes.h"
#include "errors.h"
#include "process.h"

enum {
    KEY_BYTES = 16,
    MAC_BYTES = 6,
    MOST_VLAN = 4095,
    MOST_WORD = 63,
    MOST_FILE = 16 << 20,
};

struct range {
    uint8_t first[KEY_BYTES], last[KEY_BYTES];
};

enum way { WAY_MAC, WAY_NET, WAY_VLAN, WAY_PORT, WAY_INTERFACE, WAY_FILTER };

struct at_direction_rule {
    enum way way;
    struct range *local;
    size_t n, room;
    struct at_filter *filter;
};

/* ---- what is local --------------------------------------------------- */

static const char *const list_names[] = {"MAC address", "network", "VLAN id"};

/* One or two hexadecimal digits at *p; -1 if there are none. */
static int take_hex(const char **p)
{
    static const char digits[] = "0123456789abcdef";
    int v = -1;

    for (int i = 0; i < 2 && **p != '\0'; i++) {
        const char *d = strchr(digits, **p | (**p >= 'A' ? 0x20 : 0));

        if (d == NULL)
            break;
        v = (v < 0 ? 0 : v * 16) + (int)(d - digits);
        (*p)++;
    }
    return v;
}

static bool read_mac(struct range *r, const char *word)
{
    uint8_t *mac = r->first + KEY_BYTES - MAC_BYTES;

    for (size_t i = 0; i < MAC_BYTES; i++) {
        const int v = take_hex(&word);

        if (v < 0 || (i < MAC_BYTES - 1 && *word != ':' && *word != '-'))
            return false;
        mac[i] = (uint8_t)v;
        word += i < MAC_BYTES - 1 ? 1 : 0;
    }
    memcpy(r->last, r->first, KEY_BYTES);
    return *word == '\0';
}

static void key_of_ipv4(uint8_t key[KEY_BYTES], const uint8_t *address)
{
    memset(key, 0, 10);
    memset(key + 10, 0xff, 2);
    memcpy(key + 12, address, 4);
}

/* The first and the last of a network of 'bits' bits. */
static void spread(struct range *r, uint32_t bits)
{
    memcpy(r->last, r->first, KEY_BYTES);
    for (uint32_t i = bits; i < KEY_BYTES * 8; i++) {
        const uint8_t bit = (uint8_t)(0x80 >> i % 8);

        r->first[i / 8] &= (uint8_t)~bit;
        r->last[i / 8] |= bit;
    }
}

static bool read_net(struct range *r, char *word)
{
    char *slash = strchr(word, '/');
    uint8_t address[KEY_BYTES];
    uint32_t bits, most;

    if (slash != NULL)
        *slash = '\0';
    if (inet_pton(AF_INET, word, address) == 1) {
        key_of_ipv4(r->first, address);
        most = 32;
    } else if (inet_pton(AF_INET6, word, r->first) == 1) {
        most = 128;
    } else {
        return false;
    }
    bits = most;
    if (slash != NULL) {
        struct at_item w = {slash + 1, strlen(slash + 1)};

        *slash = '/';
        if (!at_item_number(&w, most, &bits) || w.n > 0)
            return false;
    }
    spread(r, 128 - most + bits);
    return true;
}

static void key_of_vlan(uint8_t key[KEY_BYTES], uint16_t vlan)
{
    memset(key, 0, KEY_BYTES);
    at_store_be16(key + KEY_BYTES - 2, vlan);
}

static bool read_vlan(struct range *r, const char *word)
{
    struct at_item w = {word, strlen(word)};
    uint32_t vlan;

    if (!at_item_number(&w, MOST_VLAN, &vlan) || w.n > 0)
        return false;
    key_of_vlan(r->first, (uint16_t)vlan);
    memcpy(r->last, r->first, KEY_BYTES);
    return true;
}

static bool read_local(enum way way, struct range *r, char *word)
{
    memset(r, 0, sizeof(*r));
    switch (way) {
    case WAY_MAC:
        return read_mac(r, word);
    case WAY_NET:
        return read_net(r, word);
    default:
        return read_vlan(r, word);
    }
}

static enum at_status add_range(struct at_direction_rule *rule,
                                const struct range *r, struct at_error *err)
{
    if (rule->n == rule->room) {
        const size_t room = rule->room * 2 + 16;
        struct range *p = realloc(rule->local, room * sizeof(*p));

        if (p == NULL)
            return at_error_set(err, AT_ERR_MEMORY, "out of memory");
        rule->local = p;
        rule->room = room;
    }
    rule->local[rule->n++] = *r;
    return AT_OK;
}

static int by_first(const void *a, const void *b)
{
    return memcmp(((const struct range *)a)->first,
                  ((const struct range *)b)->first, KEY_BYTES);
}

/* Ranges in order, those that overlap made one. */
static void join_ranges(struct at_direction_rule *rule)
{
    size_t n = 0;

    if (rule->n == 0)
        return;
    qsort(rule->local, rule->n, sizeof(rule->local[0]), by_first);
    for (size_t i = 1; i < rule->n; i++) {
        struct range *last = &rule->local[n];
        const struct range *r = &rule->local[i];

        if (memcmp(r->first, last->last, KEY_BYTES) > 0)
            rule->local[++n] = *r;
        else if (memcmp(r->last, last->last, KEY_BYTES) > 0)
            memcpy(last->last, r->last, KEY_BYTES);
    }
    rule->n = n + 1;
}

static bool is_local(const struct at_direction_rule *rule,
                     const uint8_t key[KEY_BYTES])
{
    size_t lo = 0, hi = rule->n;

    while (lo < hi) {
        const size_t mid = lo + (hi - lo) / 2;

        if (memcmp(key, rule->local[mid].first, KEY_BYTES) < 0)
            hi = mid;
        else if (memcmp(key, rule->local[mid].last, KEY_BYTES) > 0)
            lo = mid + 1;
        else
            return true;
    }
    return false;
}

/* ---- the text -------------------------------------------------------- */

/* Adds the item of 'n' bytes at 'p'; false if it is none. */
static bool add_item(struct at_direction_rule *rule, const char *p, size_t n,
                     enum at_status *st, struct at_error *err)
{
    char word[MOST_WORD + 1];
    struct range r;

    if (n > MOST_WORD)
        return false;
    memcpy(word, p, n);
    word[n] = '\0';
    if (!read_local(rule->way, &r, word))
        return false;
    *st = add_range(rule, &r, err);
    return true;
}

/* One line of a file, which is changed: words between commas and spaces. */
static enum at_status add_line(struct at_direction_rule *rule, char *line,
                               const char *path, unsigned number,
                               struct at_error *err)
{
    static const char between[] = " \t\r\n,";
    enum at_status st = AT_OK;
    size_t n;

    line[strcspn(line, "#")] = '\0';
    for (line += strspn(line, between); st == AT_OK && *line != '\0';
         line += n + strspn(line + n, between)) {
        n = strcspn(line, between);
        if (!add_item(rule, line, n, &st, err))
            return at_error_syntax(err, 0, "%s: line %u: '%.*s' is no %s", path,
                                   number, n < 64 ? (int)n : 64, line,
                                   list_names[rule->way]);
    }
    return st;
}

static enum at_status add_file(struct at_direction_rule *rule, const char *path,
                               struct at_error *err)
{
    FILE *f = fopen(path, "re");
    enum at_status st = AT_OK;
    unsigned number = 0;
    char line[1024];
    size_t bytes = 0;

    if (f == NULL)
        return at_error_system(err, path, "open");
    while (st == AT_OK && fgets(line, sizeof(line), f) != NULL) {
        bytes += strlen(line);
        if (strlen(line) == sizeof(line) - 1 || bytes > MOST_FILE)
            st = at_error_syntax(err, 0,
                                 "%s: line %u: too long for a list of "
                                 "%ss",
                                 path, number + 1, list_names[rule->way]);
        else
            st = add_line(rule, line, path, ++number, err);
    }
    if (st == AT_OK && ferror(f))
        st = at_error_system(err, path, "read");
    fclose(f);
    return st;
}

/* 'list' is the part of 'text' behind the colon. */
static enum at_status read_list(struct at_direction_rule *rule,
                                const char *text, const char *list,
                                struct at_error *err)
{
    const char *at = list;
    enum at_status st = AT_OK;

    while (at != NULL && st == AT_OK) {
        const struct at_item w = at_item_next(&at);

        if (!add_item(rule, w.p, w.n, &st, err))
            return at_error_syntax(err, (size_t)(w.p - text), "'%.*s' is no %s",
                                   w.n < 64 ? (int)w.n : 64, w.p,
                                   list_names[rule->way]);
    }
    return st;
}

static enum at_status read_filter(struct at_direction_rule *rule,
                                  const char *text, const char *expr,
                                  struct at_error *err)
{
    const enum at_status st = at_filter_open(&rule->filter, expr, 0, err);

    if (st == AT_ERR_SYNTAX && err != NULL && err->column >= 0)
        err->column += (int)(expr - text);
    return st;
}

static enum at_status read_rule(struct at_direction_rule *rule,
                                const char *text, struct at_error *err)
{
    static const struct {
        const char *name;
        enum way way;
    } ways[] = {{"mac:", WAY_MAC},
                {"net:", WAY_NET},
                {"vlan:", WAY_VLAN},
                {"port", WAY_PORT},
                {"interface", WAY_INTERFACE},
                {"filter:", WAY_FILTER}};
    enum at_status st;

    for (size_t i = 0; i < sizeof(ways) / sizeof(ways[0]); i++) {
        const size_t n = strlen(ways[i].name);
        const bool has_more = ways[i].name[n - 1] == ':';

        if (strncmp(text, ways[i].name, n) != 0 ||
            (!has_more && text[n] != '\0'))
            continue;
        rule->way = ways[i].way;
        if (rule->way == WAY_FILTER)
            return read_filter(rule, text, text + n, err);
        if (!has_more)
            return AT_OK;
        st = text[n] == '@' ? add_file(rule, text + n + 1, err)
                            : read_list(rule, text, text + n, err);
        if (st == AT_ERR_SYNTAX && err != NULL && text[n] == '@')
            err->column = (int)n;
        join_ranges(rule);
        return st;
    }
    return at_error_syntax(err, 0,
                           "'%.*s' is no rule for directions; there are "
                           "mac:LIST, net:LIST, vlan:LIST, port, interface "
                           "and filter:EXPR",
                           (int)strcspn(text, ":"), text);
}

enum at_status at_direction_open(struct at_direction_rule **out,
                                 const char *text, struct at_error *err)
{
    struct at_direction_rule *rule = calloc(1, sizeof(*rule));
    enum at_status st;

    *out = NULL;
    if (rule == NULL)
        return at_error_set(err, AT_ERR_MEMORY, "out of memory");
    st = read_rule(rule, text, err);
    if (st != AT_OK) {
        at_direction_close(rule);
        return st;
    }
    *out = rule;
    return AT_OK;
}

void at_direction_close(struct at_direction_rule *rule)
{
    if (rule == NULL)
        return;
    at_filter_close(rule->filter);
    free(rule->local);
    free(rule);
}

/* ---- packets --------------------------------------------------------- */

static enum at_direction by_ends(bool src, bool dst)
{
    if (src == dst)
        return AT_DIRECTION_OTHER;
    return src ? AT_DIRECTION_OUT : AT_DIRECTION_IN;
}

static enum at_direction by_mac(const struct at_direction_rule *rule,
                                const struct at_packet *pkt)
{
    uint8_t src[KEY_BYTES] = {0}, dst[KEY_BYTES] = {0};

    if (pkt->linktype != AT_LINK_ETHERNET || pkt->cap_bytes < 2 * MAC_BYTES)
        return AT_DIRECTION_UNKNOWN;
    memcpy(dst + KEY_BYTES - MAC_BYTES, pkt->data, MAC_BYTES);
    memcpy(src + KEY_BYTES - MAC_BYTES, pkt->data + MAC_BYTES, MAC_BYTES);
    return by_ends(is_local(rule, src), is_local(rule, dst));
}

static void key_of_address(uint8_t key[KEY_BYTES], uint8_t net,
                           const uint8_t *address)
{
    if (net == AT_NET_IPV6)
        memcpy(key, address, KEY_BYTES);
    else
        key_of_ipv4(key, address);
}

static enum at_direction by_net(const struct at_direction_rule *rule,
                                const struct at_headers *h)
{
    uint8_t src[KEY_BYTES], dst[KEY_BYTES];

    if (h->net == AT_NET_OTHER)
        return AT_DIRECTION_UNKNOWN;
    key_of_address(src, h->net, h->src);
    key_of_address(dst, h->net, h->dst);
    return by_ends(is_local(rule, src), is_local(rule, dst));
}

/* The lower port is taken for the server's, and clients for local. */
static enum at_direction by_port(const struct at_headers *h)
{
    if ((h->flags & AT_DECODED_PORTS) == 0)
        return AT_DIRECTION_UNKNOWN;
    if (h->sport == h->dport)
        return AT_DIRECTION_OTHER;
    return h->dport < h->sport ? AT_DIRECTION_OUT : AT_DIRECTION_IN;
}

static enum at_direction by_vlan(const struct at_direction_rule *rule,
                                 const struct at_headers *h)
{
    uint8_t key[KEY_BYTES];

    key_of_vlan(key, h->vlan);
    return is_local(rule, key) ? AT_DIRECTION_OUT : AT_DIRECTION_IN;
}

/* As libtrace has it: interface 0 looks outwards. */
static enum at_direction by_interface(const struct at_packet *pkt)
{
    if (pkt->format == AT_FORMAT_PCAP || pkt->format == AT_FORMAT_PCAP_US)
        return AT_DIRECTION_UNKNOWN;
    if (pkt->interface > 1)
        return AT_DIRECTION_OTHER;
    return pkt->interface == 0 ? AT_DIRECTION_OUT : AT_DIRECTION_IN;
}

bool at_direction_is_set(const struct at_packet *pkt)
{
    return (pkt->done & AT_DONE_DIRECTED) != 0 &&
           pkt->direction != AT_DIRECTION_UNKNOWN;
}

void at_direction_to_erf(uint8_t *record, const struct at_packet *pkt)
{
    enum { FLAGS = 9, INTERFACE = 3 };
    static const uint8_t bits[] = {0, 1, 0, 2}; /* by enum at_direction */

    if (at_direction_is_set(pkt))
        record[FLAGS] = (uint8_t)((record[FLAGS] & ~INTERFACE) |
                                  bits[pkt->direction & 3]);
}

enum at_direction at_direction_of(const struct at_direction_rule *rule,
                                  const struct at_packet *pkt,
                                  const struct at_headers *h)
{
    switch (rule->way) {
    case WAY_MAC:
        return by_mac(rule, pkt);
    case WAY_NET:
        return by_net(rule, h);
    case WAY_PORT:
        return by_port(h);
    case WAY_VLAN:
        return by_vlan(rule, h);
    case WAY_INTERFACE:
        return by_interface(pkt);
    default:
        return at_filter_match(rule->filter, pkt) ? AT_DIRECTION_OUT
                                                  : AT_DIRECTION_IN;
    }
}
