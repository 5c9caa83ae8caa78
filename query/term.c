/*
 * term.c - the terms of an expression that speak of flows
 *
 *     [client | server] (host | net | port | portrange | in | flags) VALUE
 *     [client | server] (packets | bytes) COMPARATOR NUMBER
 *     (duration | rate | rtt | retransmits) COMPARATOR NUMBER
 *     (in | flags | state | end | stream | community-id) VALUE
 *     (app | category | name) VALUE
 *
 * In pcap-filter(7) a name is never followed by another word than "and" and
 * "or", nor by a comparator, so none of this can be mistaken for a name.
 * A VALUE ends with a space or a closing parenthesis, or stands in quotes.
 */
#include "term.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

#include "community.h"
#include "errors.h"
#include "netset.h"

enum { MOST_VALUE = 4096 };

enum { TCP = 6, UDP = 17, SCTP = 132 };

struct word {
    const char *text;
    enum at_term_what what;
    bool ended;    /* client and server may stand before it */
    bool bare;     /* and may be missing */
    bool compared; /* a comparator and a number follow */
};

static const struct word words[] = {
    {"host", AT_TERM_NET, true, false, false},
    {"net", AT_TERM_NET, true, false, false},
    {"port", AT_TERM_PORT, true, false, false},
    {"portrange", AT_TERM_PORT, true, false, false},
    {"in", AT_TERM_IN, true, true, false},
    {"flags", AT_TERM_FLAGS, true, true, false},
    {"state", AT_TERM_STATE, false, true, false},
    {"end", AT_TERM_REASON, false, true, false},
    {"stream", AT_TERM_STREAM, false, true, false},
    {"community-id", AT_TERM_COMMUNITY, false, true, false},
    {"app", AT_TERM_APP, false, true, false},
    {"category", AT_TERM_CATEGORY, false, true, false},
    {"name", AT_TERM_NAME, false, true, false},
    {"packets", AT_TERM_PACKETS, true, true, true},
    {"bytes", AT_TERM_BYTES, true, true, true},
    {"retransmits", AT_TERM_RETRANSMITS, true, true, true},
    {"rtt", AT_TERM_RTT, false, true, true},
    {"duration", AT_TERM_DURATION, false, true, true},
    {"rate", AT_TERM_RATE, false, true, true},
};

/* ---- where a term ends ----------------------------------------------- */

/* A place in the text of a term, and what has been taken. */
struct scan {
    const char *text;
    size_t at;
    size_t start, n; /* of what was taken last */
};

static bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

static void skip_spaces(struct scan *s)
{
    while (is_space(s->text[s->at]))
        s->at++;
    s->start = s->at;
    s->n = 0;
}

static void took(struct scan *s)
{
    s->n = s->at - s->start;
}

/* A word of small letters and dashes. */
static bool take_name(struct scan *s)
{
    skip_spaces(s);
    while ((s->text[s->at] >= 'a' && s->text[s->at] <= 'z') ||
           s->text[s->at] == '-')
        s->at++;
    took(s);
    /* "end.example" is a name, and so is "port5". */
    return s->n > 0 && (s->text[s->at] == '\0' || is_space(s->text[s->at]) ||
                        strchr("<>=!()", s->text[s->at]) != NULL);
}

static bool take_comparator(struct scan *s)
{
    skip_spaces(s);
    while (s->text[s->at] != '\0' && strchr("<>=!", s->text[s->at]) != NULL)
        s->at++;
    took(s);
    return s->n > 0;
}

static bool was(const struct scan *s, const char *word)
{
    return strlen(word) == s->n && memcmp(s->text + s->start, word, s->n) == 0;
}

/* What goes up to a space or a parenthesis, or between quotes. */
static bool take_value(struct scan *s)
{
    const char *end;

    skip_spaces(s);
    if (s->text[s->at] == '"') {
        end = strchr(s->text + s->at + 1, '"');
        if (end == NULL)
            return false;
        s->start++;
        s->n = (size_t)(end - s->text) - s->start;
        s->at = s->start + s->n + 1;
        return s->n > 0;
    }
    while (s->text[s->at] != '\0' && !is_space(s->text[s->at]) &&
           s->text[s->at] != '(' && s->text[s->at] != ')')
        s->at++;
    took(s);
    return s->n > 0 && !was(s, "and") && !was(s, "or") && !was(s, "&&") &&
           !was(s, "||");
}

static const struct word *word_of(const struct scan *s, bool ended)
{
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
        if (was(s, words[i].text) && (ended ? words[i].ended : words[i].bare))
            return &words[i];
    return NULL;
}

/* Takes up to the comparator or the value; NULL if no term begins here. */
static const struct word *take_head(struct scan *s, enum at_term_end *end)
{
    *end = AT_END_EITHER;
    if (!take_name(s))
        return NULL;
    if (was(s, "client"))
        *end = AT_END_CLIENT;
    else if (was(s, "server"))
        *end = AT_END_SERVER;
    if (*end != AT_END_EITHER && !take_name(s))
        return NULL;
    return word_of(s, *end != AT_END_EITHER);
}

size_t at_term_span(const char *text)
{
    struct scan s = {.text = text};
    enum at_term_end end;
    const struct word *w = take_head(&s, &end);
    size_t enough;

    if (w == NULL)
        return 0;
    enough = s.at; /* with client and server it can be nothing else */
    if (w->compared && !take_comparator(&s))
        return end != AT_END_EITHER ? enough : 0;
    if (w->compared)
        enough = s.at;
    if (take_value(&s))
        return s.at;
    return w->compared || end != AT_END_EITHER ? enough : 0;
}

/* ---- values ---------------------------------------------------------- */

static enum at_status wrong(const struct scan *s, const char *what,
                            struct at_error *err)
{
    return at_error_syntax(err, s->start, "expression: expected %s at \"%.*s\"",
                           what, (int)(s->n < 60 ? s->n : 60),
                           s->text + s->start);
}

static enum at_status parse_net(struct at_term *t, const struct scan *s,
                                char *value, bool net, struct at_error *err)
{
    char *slash = net ? strchr(value, '/') : NULL;
    char *end = NULL;
    unsigned long prefix;

    if (slash != NULL)
        *slash = '\0';
    t->addr_bytes = 4;
    if (inet_pton(AF_INET, value, t->addr) != 1) {
        t->addr_bytes = 16;
        if (inet_pton(AF_INET6, value, t->addr) != 1)
            return wrong(s, net ? "a network such as 10.0.0.0/8" : "an address",
                         err);
    }
    prefix = 8UL * t->addr_bytes;
    if (slash != NULL)
        prefix = strtoul(slash + 1, &end, 10);
    if (slash != NULL && (slash[1] < '0' || slash[1] > '9' || *end != '\0' ||
                          prefix > 8UL * t->addr_bytes))
        return wrong(s, "a prefix length behind the '/'", err);
    t->prefix = (uint8_t)prefix;
    for (unsigned bit = t->prefix; bit < 8U * t->addr_bytes; bit++)
        if (t->addr[bit / 8] & (0x80 >> bit % 8))
            return wrong(s, "no bits behind the prefix", err);
    return AT_OK;
}

static enum at_status parse_ports(struct at_term *t, const struct scan *s,
                                  const char *value, bool range,
                                  struct at_error *err)
{
    char *end;
    unsigned long low = strtoul(value, &end, 10), high = low;

    if (range && *end == '-')
        high = strtoul(end + 1, &end, 10);
    if (value[0] < '0' || value[0] > '9' || *end != '\0' || low > 65535 ||
        high > 65535)
        return wrong(s,
                     range ? "a range of ports such as 6000-6008"
                           : "a port from 0 to 65535",
                     err);
    t->low = (uint16_t)(low < high ? low : high);
    t->high = (uint16_t)(low < high ? high : low);
    return AT_OK;
}

/* "SA" or "syn,ack": the letters of the columns, or the names. */
static enum at_status parse_flags(struct at_term *t, const struct scan *s,
                                  const char *value, struct at_error *err)
{
    static const char letters[] = "FSRPAUEC";
    static const char *const names[] = {"fin", "syn", "rst", "psh",
                                        "ack", "urg", "ece", "cwr"};

    if (strspn(value, letters) == strlen(value)) {
        for (; *value != '\0'; value++)
            t->flags |= (uint8_t)(1 << (strchr(letters, *value) - letters));
        return AT_OK;
    }
    for (;; value++) {
        const size_t n = strcspn(value, ",");
        unsigned i = 0;

        while (i < 8 && (n != 3 || memcmp(names[i], value, 3) != 0))
            i++;
        if (i == 8)
            return wrong(s, "TCP flags such as SA or syn,ack", err);
        t->flags |= (uint8_t)(1 << i);
        value += n;
        if (*value == '\0')
            return AT_OK;
    }
}

static enum at_status parse_state(struct at_term *t, const struct scan *s,
                                  const char *value, struct at_error *err)
{
    for (int i = 0; i < AT_FLOW_STATES; i++)
        if (strcmp(value, at_flow_state_name((enum at_flow_state)i)) == 0) {
            t->states = (uint16_t)(1 << i);
            return AT_OK;
        }
    return wrong(s, "a state such as syn, established or closed", err);
}

static enum at_status parse_reason(struct at_term *t, const struct scan *s,
                                   const char *value, struct at_error *err)
{
    for (int i = 0; i < AT_FLOW_ENDS; i++)
        if (strcmp(value, at_flow_end_name((enum at_flow_end)i)) == 0) {
            t->states = (uint16_t)(1 << i);
            return AT_OK;
        }
    return wrong(s, "a reason such as fin, rst, idle or trace", err);
}

static enum at_status parse_number(struct at_term *t, const struct scan *s,
                                   const char *value, struct at_error *err)
{
    int64_t ns = 0;

    if (t->what == AT_TERM_DURATION || t->what == AT_TERM_RTT) {
        if (at_duration_parse(&ns, value, NULL) != AT_OK || ns < 0)
            return wrong(s, "a duration such as 250ms or 5s", err);
        t->number = (uint64_t)ns;
        return AT_OK;
    }
    return at_size_parse(&t->number, value, NULL) == AT_OK
               ? AT_OK
               : wrong(s, "a number such as 10, 64Ki or 1.5M", err);
}

/* "example.org", also as ".example.org", "*.example.org" or "example.org.". */
static enum at_status parse_domain(struct at_term *t, const struct scan *s,
                                   char *value, struct at_error *err)
{
    size_t n = strlen(value);

    if (strncmp(value, "*.", 2) == 0)
        value++, n--;
    if (*value == '.')
        value++, n--;
    if (n > 0 && value[n - 1] == '.')
        value[--n] = '\0';
    if (n == 0)
        return wrong(s, "a name such as example.org", err);
    for (char *c = value; *c != '\0'; c++)
        if (*c >= 'A' && *c <= 'Z')
            *c = (char)(*c + 'a' - 'A');
    t->text = strdup(value);
    return t->text != NULL ? AT_OK
                           : at_error_set(err, AT_ERR_MEMORY, "out of memory");
}

static enum at_status parse_value(struct at_term *t, const struct word *w,
                                  const struct scan *s, struct at_error *err)
{
    char value[MOST_VALUE];

    if (s->n >= sizeof(value))
        return wrong(s, "a shorter value", err);
    memcpy(value, s->text + s->start, s->n);
    value[s->n] = '\0';
    switch (w->what) {
    case AT_TERM_NET:
        return parse_net(t, s, value, strcmp(w->text, "net") == 0, err);
    case AT_TERM_PORT:
        return parse_ports(t, s, value, strcmp(w->text, "portrange") == 0, err);
    case AT_TERM_FLAGS:
        return parse_flags(t, s, value, err);
    case AT_TERM_STATE:
        return parse_state(t, s, value, err);
    case AT_TERM_REASON:
        return parse_reason(t, s, value, err);
    case AT_TERM_IN:
        return at_netset_open(&t->set, value, err);
    case AT_TERM_STREAM:
    case AT_TERM_COMMUNITY:
    case AT_TERM_APP:
    case AT_TERM_CATEGORY:
        t->text = strdup(value);
        return t->text != NULL
                   ? AT_OK
                   : at_error_set(err, AT_ERR_MEMORY, "out of memory");
    case AT_TERM_NAME:
        return parse_domain(t, s, value, err);
    default:
        return parse_number(t, s, value, err);
    }
}

/* "<", "<=", "=" and so on as one character; 0 for what is none. */
static char comparator_of(const struct scan *s)
{
    const char *p = s->text + s->start;

    if (s->n == 1)
        return *p == '!' ? '\0' : *p;
    if (s->n != 2 || p[1] != '=')
        return '\0';
    return *p == '<' ? 'l' : *p == '>' ? 'g' : *p;
}

enum at_status at_term_parse(struct at_term *t, const char *text, size_t n,
                             struct at_error *err)
{
    char *copy = strndup(text, n);
    struct scan s = {.text = copy};
    const struct word *w;
    enum at_status st = AT_OK;

    memset(t, 0, sizeof(*t));
    if (copy == NULL)
        return at_error_set(err, AT_ERR_MEMORY, "out of memory");
    w = take_head(&s, &t->end);
    t->what = w != NULL ? w->what : AT_TERM_NET;
    if (w != NULL && w->compared && take_comparator(&s))
        t->op = comparator_of(&s);
    if (w == NULL || (w->compared && t->op == '\0'))
        st = wrong(&s, "a comparator such as > or <=", err);
    else if (!take_value(&s))
        st = wrong(&s, "a value", err);
    else
        st = parse_value(t, w, &s, err);
    free(copy);
    if (st != AT_OK)
        at_term_close(t);
    return st;
}

void at_term_close(struct at_term *t)
{
    free(t->text);
    at_netset_close(t->set);
    t->text = NULL;
    t->set = NULL;
}

/* ---- truth ----------------------------------------------------------- */

static bool in_prefix(const struct at_term *t, const uint8_t *addr)
{
    const unsigned whole = t->prefix / 8, rest = t->prefix % 8;

    return memcmp(t->addr, addr, whole) == 0 &&
           (rest == 0 || (t->addr[whole] ^ addr[whole]) >> (8 - rest) == 0);
}

static bool is_address(const struct at_term *t, const struct at_flow_row *row,
                       const uint8_t *addr)
{
    const unsigned bytes = row->net == AT_NET_IPV6 ? 16 : 4;

    if (t->what == AT_TERM_IN)
        return at_netset_has(t->set, addr, bytes);
    return bytes == t->addr_bytes && in_prefix(t, addr);
}

static bool is_port(const struct at_term *t, const struct at_flow_row *row,
                    uint16_t port)
{
    return (row->proto == TCP || row->proto == UDP || row->proto == SCTP) &&
           port >= t->low && port <= t->high;
}

static bool by_end(const struct at_term *t, bool client, bool server)
{
    if (t->end == AT_END_CLIENT)
        return client;
    return t->end == AT_END_SERVER ? server : client || server;
}

/* Of packets and bytes: those that one end sent, or all. */
static uint64_t sent(const struct at_term *t, const uint64_t n[2])
{
    if (t->end == AT_END_CLIENT)
        return n[0];
    return t->end == AT_END_SERVER ? n[1] : n[0] + n[1];
}

static bool compare(const struct at_term *t, double v, double than)
{
    switch (t->op) {
    case '<':
        return v < than;
    case 'l':
        return v <= than;
    case '>':
        return v > than;
    case 'g':
        return v >= than;
    case '!':
        return v < than || v > than;
    default:
        return v >= than && v <= than;
    }
}

static bool compare_whole(const struct at_term *t, uint64_t v)
{
    if (v != t->number)
        return t->op == '!' || (v < t->number ? t->op == '<' || t->op == 'l'
                                              : t->op == '>' || t->op == 'g');
    return t->op == '=' || t->op == 'l' || t->op == 'g';
}

/* A flow of a single moment has no rate. */
static bool compare_rate(const struct at_term *t, const struct at_flow_row *row)
{
    const double ns = (double)(row->end_ns - row->start_ns);
    const double bits = 8.0 * (double)(row->bytes[0] + row->bytes[1]);

    return ns > 0 && compare(t, bits, (double)t->number * ns / 1e9);
}

static bool flags_true(const struct at_term *t, const struct at_flow_row *row)
{
    uint8_t flags = t->end != AT_END_SERVER ? row->tcp_flags[0] : 0;

    if (t->end != AT_END_CLIENT)
        flags |= row->tcp_flags[1];
    return (flags & t->flags) == t->flags;
}

bool at_term_true(const struct at_term *t, const struct at_flow_row *row,
                  const char *stream)
{
    char id[AT_COMMUNITY_TEXT];

    switch (t->what) {
    case AT_TERM_NET:
    case AT_TERM_IN:
        return by_end(t, is_address(t, row, row->src),
                      is_address(t, row, row->dst));
    case AT_TERM_PORT:
        return by_end(t, is_port(t, row, row->sport),
                      is_port(t, row, row->dport));
    case AT_TERM_FLAGS:
        return flags_true(t, row);
    case AT_TERM_STATE:
        return (t->states >> row->state & 1) != 0;
    case AT_TERM_REASON:
        return (t->states >> row->end & 1) != 0;
    case AT_TERM_STREAM:
        return strcmp(t->text, stream) == 0;
    case AT_TERM_COMMUNITY:
        return strcmp(t->text, at_community_id(id, row)) == 0;
    case AT_TERM_APP:
        return row->app != NULL && strcmp(t->text, row->app) == 0;
    case AT_TERM_CATEGORY:
        return row->category != NULL && strcmp(t->text, row->category) == 0;
    case AT_TERM_NAME:
        return row->name != NULL && at_name_is_in(row->name, t->text);
    case AT_TERM_PACKETS:
        return compare_whole(t, sent(t, row->packets));
    case AT_TERM_BYTES:
        return compare_whole(t, sent(t, row->bytes));
    case AT_TERM_RETRANSMITS:
        return row->proto == TCP &&
               compare_whole(
                   t, sent(t, (const uint64_t[2]){row->retransmitted[0],
                                                  row->retransmitted[1]}));
    case AT_TERM_RTT:
        return row->rtt_us >= 0 &&
               compare_whole(t, (uint64_t)row->rtt_us * 1000);
    case AT_TERM_DURATION:
        return compare_whole(t, (uint64_t)(row->end_ns - row->start_ns));
    case AT_TERM_RATE:
        return compare_rate(t, row);
    }
    return false;
}
