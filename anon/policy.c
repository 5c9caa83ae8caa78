/*
 * policy.c - what is done to which part of a packet
 *
 * One table of keys is what is parsed and what is printed.  A value is one
 * word of a list (an int), or of a kind with functions of its own.
 */
#include "policy.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { FILE_MOST = 1 << 20 };

/* ---- presets --------------------------------------------------------- */

static const struct {
    const char *name;
    const char *text;
} presets[] = {
    /* Every address by Crypto-PAn as it was published, payload cut off. */
    {"headers", "scheme = cryptopan\n"
                "mac = hash\n"
                "payload = drop\n"},
    /* As CAIDA shares traces: up to layer 4, no link addresses. */
    {"caida", "scheme = cryptopan\n"
              "mac = zero\n"
              "special-any = keep\n"
              "special-multicast = keep\n"
              "special-loopback = keep\n"
              "payload = drop\n"},
    /* As the MAWI group does: link addresses tell the direction. */
    {"mawi", "scheme = cryptopan\n"
             "mac = keep\n"
             "special-any = keep\n"
             "special-multicast = keep\n"
             "special-loopback = keep\n"
             "payload = drop\n"},
    /* As the Waikato archive: 4 bytes behind layer 4, 12 of DNS. */
    {"waikato", "scheme = cryptopan-libtrace\n"
                "mac = keep\n"
                "payload = drop:4\n"
                "payload-ports = 53:12\n"
                "checksum = zero\n"},
    /* Whatever may point to someone goes. */
    {"strict", "scheme = ipcrypt-pfx\n"
               "special = class\n"
               "special-any = keep\n"
               "special-multicast = keep\n"
               "mac = hash\n"
               "payload = drop\n"
               "checksum = zero\n"
               "ip-id = zero\n"
               "tcp-timestamps = zero\n"
               "vlan = zero\n"
               "time-precision = 1us\n"
               "unknown = drop\n"},
};

enum { PRESETS = sizeof(presets) / sizeof(presets[0]) };

const char *at_policy_preset(size_t i)
{
    return i < PRESETS ? presets[i].name : NULL;
}

/* What is not said is the least that tells anything. */
static void set_defaults(struct at_policy *p)
{
    *p = (struct at_policy){
        .scheme = AT_SCHEME_CRYPTOPAN,
        .scheme_of = {AT_SCHEMES, AT_SCHEMES, AT_SCHEMES, AT_SCHEMES},
        .prefix = {{.address = {10}, .bytes = 4, .bits = 8},
                   {.address = {0xfd}, .bytes = 16, .bits = 8}},
        .truncate = {24, 48},
        .mac = AT_MAC_HASH,
    };
}

/* ---- keys ------------------------------------------------------------ */

enum kind {
    WORD,   /* of a list; an int */
    WORDS,  /* the same, for all of at_policy.special */
    SCHEME, /* a word, or nothing */
    NETS,
    MACS,
    PREFIX, /* of IPv4, or of IPv6 behind it */
    NUMBER, /* up to 'most'; an int */
    PAYLOAD,
    PORTS,
    DURATION,
    PRESET,
};

struct key {
    const char *name;
    enum kind kind;
    size_t at; /* in struct at_policy */
    const char *words;
    int most;
};

#define AT(member) offsetof(struct at_policy, member)

static const char special_words[] = "map|keep|class";
static const char field_words[] = "keep|zero|hash";
static const char keep_words[] = "keep|zero";
static const char app_words[] = "payload|rewrite";

static const struct key keys[] = {
    {"preset", PRESET, 0, NULL, 0},
    {"scheme", WORD, AT(scheme), at_scheme_names, 0},
    {"scheme-source", SCHEME, AT(scheme_of[0]), at_scheme_names, 0},
    {"scheme-destination", SCHEME, AT(scheme_of[1]), at_scheme_names, 0},
    {"scheme-inside", SCHEME, AT(scheme_of[2]), at_scheme_names, 0},
    {"scheme-outside", SCHEME, AT(scheme_of[3]), at_scheme_names, 0},
    {"inside", NETS, AT(inside), NULL, 0},
    {"keep", NETS, AT(keep), NULL, 0},
    {"prefix4", PREFIX, AT(prefix[0]), NULL, 4},
    {"prefix6", PREFIX, AT(prefix[1]), NULL, 16},
    {"truncate4", NUMBER, AT(truncate[0]), NULL, 32},
    {"truncate6", NUMBER, AT(truncate[1]), NULL, 128},
    {"special", WORDS, AT(special), special_words, 0},
    {"special-private", WORD, AT(special[0]), special_words, 0},
    {"special-loopback", WORD, AT(special[1]), special_words, 0},
    {"special-link-local", WORD, AT(special[2]), special_words, 0},
    {"special-multicast", WORD, AT(special[3]), special_words, 0},
    {"special-any", WORD, AT(special[4]), special_words, 0},
    {"mac", WORD, AT(mac), "keep|hash|oui|role|zero", 0},
    {"mac-inside", MACS, AT(mac_inside), NULL, 0},
    {"payload", PAYLOAD, AT(payload), "drop|zero|hash|keep", 0},
    {"payload-ports", PORTS, AT(port), NULL, 0},
    {"dhcp", WORD, AT(dhcp), app_words, 0},
    {"dns", WORD, AT(dns), app_words, 0},
    {"checksum", WORD, AT(checksum_zero), "repair|zero", 0},
    {"ip-id", WORD, AT(ip_id), field_words, 0},
    {"tcp-timestamps", WORD, AT(tcp_timestamps), keep_words, 0},
    {"vlan", WORD, AT(vlan), keep_words, 0},
    {"time-shift", DURATION, AT(time_shift_ns), NULL, 0},
    {"time-precision", DURATION, AT(time_precision_ns), NULL, 1},
    {"metadata", WORD, AT(metadata_keep), "drop|keep", 0},
    {"erf-extensions", WORD, AT(erf_extensions_keep), "drop|keep", 0},
    {"unknown", WORD, AT(unknown_drop), "cut|drop", 0},
};

enum { KEYS = sizeof(keys) / sizeof(keys[0]) };

/* ---- values ---------------------------------------------------------- */

/* A part of the text, without blanks around it. */
struct part {
    const char *p;
    size_t n;
};

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r';
}

static struct part trim(struct part s)
{
    while (s.n > 0 && is_blank(s.p[0])) {
        s.p++;
        s.n--;
    }
    while (s.n > 0 && is_blank(s.p[s.n - 1]))
        s.n--;
    return s;
}

static bool is_word(struct part s, const char *word, size_t n)
{
    return s.n == n && memcmp(s.p, word, n) == 0;
}

/* The number of a word in a list; -1 if it is not there. */
static int find_word(const char *words, struct part s)
{
    int i = 0;

    for (;;) {
        const size_t n = strcspn(words, "|");

        if (s.n > 0 && is_word(s, words, n))
            return i;
        if (words[n] == '\0')
            return -1;
        words += n + 1;
        i++;
    }
}

/* Takes what is before the next comma off *list; false at its end. */
static bool next_item(struct part *list, struct part *item)
{
    const char *comma;

    if (list->n == 0)
        return false;
    comma = memchr(list->p, ',', list->n);
    item->p = list->p;
    item->n = comma != NULL ? (size_t)(comma - list->p) : list->n;
    list->p += item->n + (comma != NULL);
    list->n -= item->n + (comma != NULL);
    *item = trim(*item);
    return true;
}

static bool parse_number(struct part s, uint64_t most, uint64_t *v)
{
    *v = 0;
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] < '0' || s.p[i] > '9')
            return false;
        *v = *v * 10 + (uint64_t)(s.p[i] - '0');
        if (*v > most)
            return false;
    }
    return s.n > 0;
}

static bool parse_nets(struct at_net_list *list, struct part s)
{
    struct part item;

    list->n = 0;
    while (next_item(&s, &item))
        if (list->n == AT_POLICY_NETS ||
            !at_net_prefix_parse(&list->net[list->n++], item.p, item.n))
            return false;
    return true;
}

static bool parse_mac(uint8_t mac[6], struct part s)
{
    char text[18];
    unsigned v[6];
    char end;

    if (s.n != 17)
        return false;
    memcpy(text, s.p, s.n);
    text[17] = '\0';
    if (sscanf(text, "%2x:%2x:%2x:%2x:%2x:%2x%c", &v[0], &v[1], &v[2], &v[3],
               &v[4], &v[5], &end) != 6)
        return false;
    for (size_t i = 0; i < 6; i++)
        mac[i] = (uint8_t)v[i];
    return true;
}

static bool parse_macs(struct at_mac_list *list, struct part s)
{
    struct part item;

    list->n = 0;
    while (next_item(&s, &item))
        if (list->n == AT_POLICY_MACS || !parse_mac(list->mac[list->n++], item))
            return false;
    return true;
}

/* Bytes that stay, behind a colon: "drop:4". */
static bool parse_payload(struct at_policy *p, const char *words, struct part s)
{
    const char *colon = memchr(s.p, ':', s.n);
    struct part use = s, keep = {NULL, 0};
    uint64_t bytes = 0;

    if (colon != NULL) {
        use.n = (size_t)(colon - s.p);
        keep = trim((struct part){colon + 1, s.n - use.n - 1});
        if (!parse_number(keep, UINT32_MAX, &bytes))
            return false;
    }
    p->payload = find_word(words, trim(use));
    p->payload_keep = (uint32_t)bytes;
    return p->payload >= 0;
}

/* PORT[-PORT]:BYTES or :keep */
static bool parse_port(struct at_port_rule *r, struct part s)
{
    const char *colon = memchr(s.p, ':', s.n);
    struct part ports, bytes, last;
    const char *dash;
    uint64_t a, b, n = UINT32_MAX;

    if (colon == NULL)
        return false;
    ports = trim((struct part){s.p, (size_t)(colon - s.p)});
    bytes = trim((struct part){colon + 1, s.n - (size_t)(colon - s.p) - 1});
    dash = memchr(ports.p, '-', ports.n);
    last = ports;
    if (dash != NULL) {
        last.p = dash + 1;
        last.n = ports.n - (size_t)(dash - ports.p) - 1;
        ports.n = (size_t)(dash - ports.p);
    }
    if (!parse_number(ports, 65535, &a) || !parse_number(last, 65535, &b) ||
        (!is_word(bytes, "keep", 4) && !parse_number(bytes, UINT32_MAX, &n)))
        return false;
    *r = (struct at_port_rule){(uint16_t)a, (uint16_t)b, (uint32_t)n};
    return a <= b;
}

static bool parse_ports(struct at_policy *p, struct part s)
{
    struct part item;

    p->ports = 0;
    while (next_item(&s, &item))
        if (p->ports == AT_POLICY_PORTS ||
            !parse_port(&p->port[p->ports++], item))
            return false;
    return true;
}

/* A minus sign is for the shift only. */
static bool parse_duration(int64_t *ns, struct part s, bool positive)
{
    char text[64];
    const bool minus = s.n > 0 && s.p[0] == '-';

    if (s.n >= sizeof(text) || (minus && positive))
        return false;
    memcpy(text, s.p, s.n);
    text[s.n] = '\0';
    if (at_duration_parse(ns, text + minus, NULL) != AT_OK || *ns < 0)
        return false;
    if (minus)
        *ns = -*ns;
    return true;
}

static bool parse_prefix(struct at_net_prefix *net, struct part s, int bytes)
{
    return at_net_prefix_parse(net, s.p, s.n) && net->bytes == bytes;
}

static bool parse_words(int *first, const char *words, struct part s)
{
    const int word = find_word(words, s);

    for (size_t i = 0; i < AT_SPECIALS; i++)
        first[i] = word;
    return word >= 0;
}

static bool parse_int(int *to, struct part s, int most)
{
    uint64_t v;

    if (!parse_number(s, (uint64_t)most, &v))
        return false;
    *to = (int)v;
    return true;
}

static bool set_preset(struct at_policy *p, struct part s)
{
    for (size_t i = 0; i < PRESETS; i++)
        if (is_word(s, presets[i].name, strlen(presets[i].name)))
            return at_policy_set(p, presets[i].name);
    return false;
}

static bool set_value(struct at_policy *p, const struct key *k, struct part s)
{
    void *to = (char *)p + k->at;

    switch (k->kind) {
    case WORD:
        *(int *)to = find_word(k->words, s);
        return *(int *)to >= 0;
    case WORDS:
        return parse_words(to, k->words, s);
    case SCHEME:
        *(int *)to = s.n == 0 ? AT_SCHEMES : find_word(k->words, s);
        return *(int *)to >= 0;
    case NETS:
        return parse_nets(to, s);
    case MACS:
        return parse_macs(to, s);
    case PREFIX:
        return parse_prefix(to, s, k->most);
    case NUMBER:
        return parse_int(to, s, k->most);
    case PAYLOAD:
        return parse_payload(p, k->words, s);
    case PORTS:
        return parse_ports(p, s);
    case DURATION:
        return parse_duration(to, s, k->most != 0);
    default:
        return set_preset(p, s);
    }
}

/* ---- text ------------------------------------------------------------ */

static enum at_status parse_line(struct at_policy *p, const char *name,
                                 unsigned number, struct part line,
                                 struct at_error *err)
{
    const char *equals = memchr(line.p, '=', line.n);
    struct part key = line, value;

    if (equals == NULL)
        return at_error_set(err, AT_ERR_SYNTAX,
                            "%s: line %u: '%.*s' is no 'key = value'", name,
                            number, (int)line.n, line.p);
    key.n = (size_t)(equals - line.p);
    key = trim(key);
    value = trim(
        (struct part){equals + 1, line.n - (size_t)(equals - line.p) - 1});
    for (size_t i = 0; i < KEYS; i++) {
        if (!is_word(key, keys[i].name, strlen(keys[i].name)))
            continue;
        if (set_value(p, &keys[i], value))
            return AT_OK;
        return at_error_set(err, AT_ERR_SYNTAX,
                            "%s: line %u: '%.*s' is no value of %s%s%s", name,
                            number, (int)value.n, value.p, keys[i].name,
                            keys[i].words != NULL ? ": " : "",
                            keys[i].words != NULL ? keys[i].words : "");
    }
    return at_error_set(err, AT_ERR_SYNTAX,
                        "%s: line %u: there is no key '%.*s'", name, number,
                        (int)key.n, key.p);
}

enum at_status at_policy_parse(struct at_policy *policy, const char *name,
                               const char *text, struct at_error *err)
{
    unsigned number = 1;

    for (; *text != '\0'; number++) {
        const size_t n = strcspn(text, "\n");
        const char *hash = memchr(text, '#', n);
        const struct part line = trim(
            (struct part){text, hash != NULL ? (size_t)(hash - text) : n});
        enum at_status st = AT_OK;

        if (line.n > 0)
            st = parse_line(policy, name, number, line, err);
        if (st != AT_OK)
            return st;
        text += n + (text[n] == '\n');
    }
    return AT_OK;
}

bool at_policy_set(struct at_policy *policy, const char *preset)
{
    for (size_t i = 0; i < PRESETS; i++) {
        if (strcmp(preset, presets[i].name) != 0)
            continue;
        set_defaults(policy);
        return at_policy_parse(policy, preset, presets[i].text, NULL) == AT_OK;
    }
    return false;
}

static enum at_status read_policy(struct at_text *text, const char *path,
                                  struct at_error *err)
{
    FILE *f = fopen(path, "re");
    char buf[4096];
    size_t n;

    if (f == NULL)
        return at_error_set(err, AT_ERR_SYSTEM, "%s: cannot open: %m", path);
    while ((n = fread(buf, 1, sizeof(buf), f)) > 0 && text->n < FILE_MOST)
        at_text_add(text, buf, n);
    if (ferror(f) || n > 0)
        at_error_set(
            err, AT_ERR_SYSTEM,
            n > 0 ? "%s: is no policy: too long" : "%s: cannot read: %m", path);
    else if (text->n > 0 && memchr(text->p, '\0', text->n) != NULL)
        at_error_set(err, AT_ERR_SYNTAX, "%s: is no policy: it has a 0 in it",
                     path);
    else
        err->status = AT_OK;
    fclose(f);
    at_text_add(text, "", 1);
    if (text->failed)
        at_error_set(err, AT_ERR_MEMORY, "out of memory");
    return err->status;
}

enum at_status at_policy_load(struct at_policy *policy, const char *name,
                              struct at_error *err)
{
    struct at_text text = {0};
    enum at_status st;

    if (at_policy_set(policy, name))
        return AT_OK;
    at_policy_set(policy, "headers");
    st = read_policy(&text, name, err);
    if (st == AT_OK && text.p != NULL)
        st = at_policy_parse(policy, name, text.p, err);
    at_text_close(&text);
    return st;
}

/* ---- the way back ---------------------------------------------------- */

static void say(struct at_text *out, const char *fmt, ...) AT_PRINTF(2, 3);

static void say(struct at_text *out, const char *fmt, ...)
{
    char text[128];
    va_list args;
    int n;

    va_start(args, fmt);
    n = vsnprintf(text, sizeof(text), fmt, args);
    va_end(args);
    if (n > 0)
        at_text_add(out, text, (size_t)n);
}

static void say_word(struct at_text *out, const char *words, int i)
{
    while (i-- > 0)
        words += strcspn(words, "|") + 1;
    at_text_add(out, words, strcspn(words, "|"));
}

static void say_net(struct at_text *out, const struct at_net_prefix *net)
{
    if (net->bytes == 4)
        say(out, "%u.%u.%u.%u", net->address[0], net->address[1],
            net->address[2], net->address[3]);
    for (size_t i = 0; net->bytes == 16 && i < 16; i += 2)
        say(out, i > 0 ? ":%x" : "%x",
            (unsigned)net->address[i] << 8 | net->address[i + 1]);
    say(out, "/%u", net->bits);
}

static void say_nets(struct at_text *out, const struct at_net_list *list)
{
    for (size_t i = 0; i < list->n; i++) {
        say(out, "%s", i > 0 ? ", " : "");
        say_net(out, &list->net[i]);
    }
}

static void say_macs(struct at_text *out, const struct at_mac_list *list)
{
    for (size_t i = 0; i < list->n; i++) {
        const uint8_t *m = list->mac[i];

        say(out, "%s%02x:%02x:%02x:%02x:%02x:%02x", i > 0 ? ", " : "", m[0],
            m[1], m[2], m[3], m[4], m[5]);
    }
}

static void say_ports(struct at_text *out, const struct at_policy *p)
{
    for (size_t i = 0; i < p->ports; i++) {
        const struct at_port_rule *r = &p->port[i];

        say(out, "%s%u", i > 0 ? ", " : "", r->first);
        if (r->last != r->first)
            say(out, "-%u", r->last);
        if (r->keep == UINT32_MAX)
            say(out, ":keep");
        else
            say(out, ":%" PRIu32, r->keep);
    }
}

static void say_payload(struct at_text *out, const struct at_policy *p,
                        const char *words)
{
    say_word(out, words, p->payload);
    if (p->payload_keep > 0)
        say(out, ":%" PRIu32, p->payload_keep);
}

static void say_value(struct at_text *out, const struct at_policy *p,
                      const struct key *k)
{
    const void *from = (const char *)p + k->at;

    switch (k->kind) {
    case NETS:
        say_nets(out, from);
        break;
    case MACS:
        say_macs(out, from);
        break;
    case PREFIX:
        say_net(out, from);
        break;
    case NUMBER:
        say(out, "%d", *(const int *)from);
        break;
    case PAYLOAD:
        say_payload(out, p, k->words);
        break;
    case PORTS:
        say_ports(out, p);
        break;
    case DURATION:
        say(out, "%" PRId64 "ns", *(const int64_t *)from);
        break;
    default:
        say_word(out, k->words, *(const int *)from);
    }
}

void at_policy_print(struct at_text *out, const struct at_policy *policy)
{
    for (size_t i = 0; i < KEYS; i++) {
        const struct key *k = &keys[i];
        const int *word = (const int *)((const char *)policy + k->at);

        if (k->kind == PRESET || k->kind == WORDS ||
            (k->kind == SCHEME && *word == AT_SCHEMES))
            continue;
        say(out, "%s = ", k->name);
        say_value(out, policy, k);
        at_text_add(out, "\n", 1);
    }
}

/* ---- what it asks for ------------------------------------------------ */

static bool is_keyed(int scheme)
{
    return scheme == AT_SCHEME_CRYPTOPAN || scheme == AT_SCHEME_LIBTRACE ||
           scheme == AT_SCHEME_PFX;
}

bool at_policy_needs_key(const struct at_policy *p)
{
    bool needs = is_keyed(p->scheme);

    for (size_t i = 0; i < 4; i++)
        needs |= is_keyed(p->scheme_of[i]);
    return needs || p->mac == AT_MAC_HASH || p->mac == AT_MAC_OUI ||
           p->payload == AT_PAYLOAD_HASH || p->ip_id == AT_FIELD_HASH ||
           p->dns == AT_APP_REWRITE;
}
