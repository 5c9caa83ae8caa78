/*
 * app.c - the rules of applications compiled, and matched all at once
 *
 * A rule with alternatives stands for many *cells*: one alternative of each
 * end, either way round.  Cells are ranked by the priority of their rule and
 * then by how many bits they ask for, so that what says more comes first and
 * the order of the file hardly matters.  The best-ranked cell that matches is
 * the answer.
 *
 * To look at few of them, cells lie in lists by what they cannot do without:
 * a port, if they ask for one; else the first byte of the one end, if few are
 * allowed; else that of the other; else nothing.  A flow has to look at six
 * lists at most.  A list is one array of entries of 24 bytes, of which one
 * masked comparison of all eight bytes turns nearly all away; only then are
 * lengths, sets, fields and further ports looked at.
 */
#include "app.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "app_rules.h"
#include "bytes.h"
#include "errors.h"

enum {
    TCP = 6,
    UDP = 17,
    SCTP = 132,
    FEW = 16,         /* first bytes that a cell can be listed under */
    PORTS_MOST = 700, /* ports likewise */
    CELLS_MOST = 1 << 18,
    ENTRIES_MOST = 1 << 21,
    HASH_BITS = 13,
    LONG = 16, /* entries of a list that gets bitmaps */
    PLACES = 2 * AT_APP_BYTES,
    NO_BYTE = 256, /* what stands in a place that was not captured */
    BYTES = 257,
};

#define NO_CELL UINT32_MAX
#define NO_RULE UINT32_MAX

/* What must be true of an end before its bytes are compared. */
enum {
    STATE_SILENT = 1,
    STATE_SENT = 2,
    STATE_BYTES = 4, /* and one more bit for each byte there is */
    STATE_BITS = 8,
};

enum {
    MORE_SOURCE = 1, /* lengths, sets and fields of the source's side */
    MORE_OTHER = 2,  /* of the other's */
    MORE_PORTS = 4,
    MORE_SAME = 8,
};

struct entry {
    uint64_t mask, value; /* the source's four bytes, then the other's */
    uint16_t need;        /* STATE_ bits, the source's above the other's */
    uint8_t more;         /* MORE_ bits: what else there is to look at */
    uint32_t cell;        /* its rank */
};

struct cell {
    uint32_t rule;
    uint32_t side[2]; /* what the source sent; the other end */
    uint16_t bits;    /* that it asks for */
    uint8_t confidence;
    uint8_t a;    /* which end has the rule's first side */
    int8_t place; /* what it is listed by */
};

/* Ways to list a cell. */
enum { BY_PORT = -1, BY_SOURCE = 0, BY_OTHER = 1, BY_NOTHING = 2 };

/* Entries from 'first' on, and for a long list its bitmaps: for each of the
 * eight places and each byte (or none) that can be there, the entries that
 * allow it.  An entry is looked at only if it is in all eight. */
struct list {
    uint32_t first, n;
    size_t bits; /* where they begin, + 1; 0: there are none */
};

struct port_list {
    uint16_t port;
    uint32_t filled; /* of 'list', while it is made */
    struct list list;
};

struct lists {
    struct list first[2][256]; /* by the first byte of an end */
    struct list rest;
    struct port_list *port;                   /* an open hash; n of 0: free */
    uint64_t has_port[(UINT16_MAX + 1) / 64]; /* which are in it */
};

struct at_apps {
    struct at_app_rules rules;
    struct cell *cell; /* the best first */
    size_t cells, cell_room;
    struct entry *entry;
    size_t entries, entry_room;
    uint64_t *bits;
    size_t words; /* of 'bits' */
    struct lists of[AT_APP_IP];
    uint32_t proto[256]; /* rule + 1 */
};

static const char *const confidence_names[AT_APP_CONFIDENCES] = {
    "none", "port", "weak", "pattern", "pattern+port", "both", "protocol",
};

const char *at_app_confidence_name(unsigned confidence)
{
    return confidence < AT_APP_CONFIDENCES ? confidence_names[confidence] : "?";
}

/* ---- does a cell hold ------------------------------------------------ */

static bool length_fits(const struct at_app_side *s, uint32_t length)
{
    if (s->lengths == 0)
        return true;
    for (unsigned i = 0; i < s->lengths; i++)
        if (length >= s->length[i].low && length <= s->length[i].high)
            return true;
    return false;
}

static bool field_holds(const struct at_app_field *f,
                        const struct at_app_way *way)
{
    const int64_t v = (int64_t)at_app_field_value(f, way->bytes);
    const int64_t end = (f->length ? (int64_t)way->length : 0) + f->plus;

    switch (f->relation) {
    case AT_APP_LEAST:
        return v >= end;
    case AT_APP_MOST:
        return v <= end;
    default:
        return v == end;
    }
}

/* Captured bytes that belong to the payload. */
static unsigned bytes_of(const struct at_app_way *way)
{
    unsigned n = way->captured < AT_APP_BYTES ? way->captured : AT_APP_BYTES;

    return n < way->length ? n : way->length;
}

/* What is left once enough bytes are there and their masks fit. */
static bool more_holds(const struct at_app_rules *rules,
                       const struct at_app_side *s,
                       const struct at_app_way *way)
{
    if (!length_fits(s, way->length))
        return false;
    for (unsigned i = 0; i < s->need; i++)
        if (s->class_at[i] != 0 &&
            !at_app_class_has(&rules->class[s->class_at[i] - 1],
                              way -> bytes[i]))
            return false;
    for (unsigned i = 0; i < s->fields; i++)
        if (!field_holds(&s->field[i], way))
            return false;
    return true;
}

static bool masks_hold(const struct at_app_side *s,
                       const struct at_app_way *way)
{
    for (unsigned i = 0; i < s->need; i++)
        if ((way->bytes[i] & s->mask[i]) != s->value[i])
            return false;
    return true;
}

static bool side_holds(const struct at_app_rules *rules,
                       const struct at_app_side *s,
                       const struct at_app_way *way)
{
    if (s->kind == AT_APP_ANY)
        return true;
    if (s->kind == AT_APP_SILENCE)
        return way->payload == AT_APP_SILENT;
    return way->payload == AT_APP_FIRST && bytes_of(way) >= s->need &&
           masks_hold(s, way) && more_holds(rules, s, way);
}

static bool is_port(const struct at_app_rule *rule, uint16_t port)
{
    for (unsigned i = 0; i < rule->ports; i++)
        if (port >= rule->port[i].low && port <= rule->port[i].high)
            return true;
    return false;
}

static bool ports_hold(const struct at_app_rule *rule,
                       const struct at_app_flow *flow)
{
    const bool s = is_port(rule, flow->sport), d = is_port(rule, flow->dport);

    if (rule->ports == 0)
        return true;
    if (rule->without)
        return !s && !d;
    return rule->both ? s && d : s || d;
}

static bool same_holds(uint8_t same, const struct at_app_flow *flow)
{
    const struct at_app_way *w = flow->way;

    for (unsigned i = 0; i < AT_APP_BYTES; i++)
        if ((same >> i & 1) != 0 &&
            (bytes_of(&w[0]) <= i || bytes_of(&w[1]) <= i ||
             w[0].bytes[i] != w[1].bytes[i]))
            return false;
    return true;
}

bool at_app_rule_holds(const struct at_app_rules *rules,
                       const struct at_app_rule *rule,
                       const struct at_app_side *a, const struct at_app_side *b,
                       const struct at_app_flow *flow, unsigned way)
{
    return ports_hold(rule, flow) && side_holds(rules, a, &flow->way[way]) &&
           side_holds(rules, b, &flow->way[!way]) &&
           same_holds(rule->same, flow);
}

/* ---- how much a cell asks for ---------------------------------------- */

static unsigned bits_set(const struct at_app_class *c)
{
    unsigned n = 0;

    for (unsigned i = 0; i < 4; i++)
        n += (unsigned)__builtin_popcountll(c->bit[i]);
    return n;
}

static unsigned bits_of_byte(const struct at_app_rules *rules,
                             const struct at_app_side *s, unsigned i)
{
    unsigned bits = 8, n;

    if (s->class_at[i] == 0)
        return (unsigned)__builtin_popcount(s->mask[i]);
    n = bits_set(&rules->class[s->class_at[i] - 1]);
    while (n > 1) {
        n = (n + 1) / 2;
        bits--;
    }
    return bits;
}

/* Less than it has bytes for: many protocols begin with a length. */
static unsigned field_bits(const struct at_app_field *f)
{
    if (f->relation != AT_APP_EQUAL)
        return 1;
    return f->bytes == 1 ? 6 : f->bytes == 2 ? 12 : 16;
}

/* Bits of bytes, and of fields that have to be equal to something. */
static unsigned pattern_bits(const struct at_app_rules *rules,
                             const struct at_app_side *s)
{
    unsigned bits = 0;

    for (unsigned i = 0; i < AT_APP_BYTES; i++)
        bits += bits_of_byte(rules, s, i);
    for (unsigned i = 0; i < s->fields; i++)
        bits += field_bits(&s->field[i]);
    return bits < 32 ? bits : 32;
}

static unsigned length_bits(const struct at_app_side *s)
{
    uint64_t span = 0;

    if (s->lengths == 0)
        return s->kind != AT_APP_ANY;
    for (unsigned i = 0; i < s->lengths; i++)
        span += (uint64_t)s->length[i].high - s->length[i].low + 1;
    if (span <= 4)
        return 7;
    return span <= 64 ? 4 : 2;
}

static unsigned port_bits(const struct at_app_rule *rule)
{
    unsigned span = 0;

    if (rule->ports == 0)
        return 0;
    if (rule->without)
        return 1;
    for (unsigned i = 0; i < rule->ports; i++)
        span += rule->port[i].high - rule->port[i].low + 1;
    return (span <= 8 ? 10u : 6u) + (rule->both ? 4u : 0u);
}

static uint8_t confidence_of(unsigned a, unsigned b, unsigned lengths,
                             unsigned ports)
{
    const unsigned all = a + b;

    if (a >= 8 && b >= 8 && all >= 24)
        return AT_APP_BOTH;
    if (all >= 8 && ports >= 6)
        return AT_APP_PATTERN_PORT;
    if (all >= 20)
        return AT_APP_PATTERN;
    return all + lengths > 4 ? AT_APP_WEAK : AT_APP_PORT;
}

static void weigh(const struct at_apps *apps, struct cell *c)
{
    const struct at_app_rules *r = &apps->rules;
    const struct at_app_rule *rule = &r->rule[c->rule];
    const struct at_app_side *a = &r->side[c->side[0]];
    const struct at_app_side *b = &r->side[c->side[1]];
    const unsigned same = 8u * (unsigned)__builtin_popcount(rule->same);
    const unsigned as = pattern_bits(r, a) + same;
    const unsigned bs = pattern_bits(r, b) + same;
    const unsigned lengths = length_bits(a) + length_bits(b);

    c->bits = (uint16_t)(as + bs - same + lengths + port_bits(rule));
    c->confidence = confidence_of(as, bs, lengths, port_bits(rule));
}

/* ---- cells ----------------------------------------------------------- */

static void *grow(void *array, size_t used, size_t *room, size_t size)
{
    void *more;

    if (used < *room)
        return array;
    more = realloc(array, (*room * 2 + 1024) * size);
    if (more != NULL)
        *room = *room * 2 + 1024;
    return more;
}

static enum at_status add_cell(struct at_apps *apps, uint32_t rule, uint32_t a,
                               uint32_t b, uint8_t way)
{
    struct cell *cell = grow(apps->cell, apps->cells, &apps->cell_room,
                             sizeof(*cell));
    struct cell c = {.rule = rule, .a = way};

    if (cell == NULL)
        return AT_ERR_MEMORY;
    apps->cell = cell;
    if (apps->cells == CELLS_MOST)
        return AT_ERR_SYNTAX;
    c.side[way] = a;
    c.side[!way] = b;
    weigh(apps, &c);
    cell[apps->cells++] = c;
    return AT_OK;
}

static enum at_status add_cells(struct at_apps *apps, uint32_t rule)
{
    const struct at_app_rule *r = &apps->rules.rule[rule];
    enum at_status st = AT_OK;

    for (uint32_t a = r->a; a < r->a + r->as && st == AT_OK; a++)
        for (uint32_t b = r->b; b < r->b + r->bs && st == AT_OK; b++) {
            st = add_cell(apps, rule, a, b, 0);
            if (st == AT_OK)
                st = add_cell(apps, rule, a, b, 1);
        }
    return st;
}

/* The user's come first, then by priority, then what asks for more. */
static int rank(const void *one, const void *two, void *ctx)
{
    const struct at_app_rule *rule = ctx;
    const struct cell *a = one, *b = two;
    const struct at_app_rule *ra = &rule[a->rule], *rb = &rule[b->rule];

    if (ra->user != rb->user)
        return ra->user ? -1 : 1;
    if (ra->priority != rb->priority)
        return ra->priority < rb->priority ? -1 : 1;
    if (a->bits != b->bits)
        return a->bits > b->bits ? -1 : 1;
    if (a->rule != b->rule)
        return a->rule < b->rule ? -1 : 1;
    if (a->side[a->a] != b->side[b->a])
        return a->side[a->a] < b->side[b->a] ? -1 : 1;
    if (a->side[!a->a] != b->side[!b->a])
        return a->side[!a->a] < b->side[!b->a] ? -1 : 1;
    return a->a - b->a;
}

static enum at_status make_cells(struct at_apps *apps)
{
    const struct at_app_rules *r = &apps->rules;
    enum at_status st = AT_OK;

    for (size_t i = 0; i < r->rules && st == AT_OK; i++) {
        if (r->rule[i].transport != AT_APP_IP)
            st = add_cells(apps, (uint32_t)i);
        else if (apps->proto[r->rule[i].proto] == 0 || r->rule[i].user)
            apps->proto[r->rule[i].proto] = (uint32_t)i + 1;
    }
    if (st == AT_OK && apps->cells > 0)
        qsort_r(apps->cell, apps->cells, sizeof(apps->cell[0]), rank, r->rule);
    return st;
}

/* ---- lists ----------------------------------------------------------- */

static uint16_t need_of(const struct at_app_side *s)
{
    if (s->kind == AT_APP_ANY)
        return 0;
    if (s->kind == AT_APP_SILENCE)
        return STATE_SILENT;
    return (uint16_t)(STATE_SENT | ((1u << s->need) - 1) * STATE_BYTES);
}

static bool side_has_more(const struct at_app_side *s)
{
    return s->lengths > 0 || s->fields > 0 || s->class_at[0] != 0 ||
           s->class_at[1] != 0 || s->class_at[2] != 0 || s->class_at[3] != 0;
}

/* A cell that is listed by one port of its rule needs no look at ports. */
static uint8_t more_of(const struct at_app_side *source,
                       const struct at_app_side *other,
                       const struct at_app_rule *rule, bool by_port)
{
    const bool ports = rule->ports > 0 && (!by_port || rule->both);

    return (uint8_t)((side_has_more(source) ? MORE_SOURCE : 0) |
                     (side_has_more(other) ? MORE_OTHER : 0) |
                     (ports ? MORE_PORTS : 0) |
                     (rule->same != 0 ? MORE_SAME : 0));
}

static struct entry entry_of(const struct at_apps *apps, uint32_t cell)
{
    const struct cell *c = &apps->cell[cell];
    const struct at_app_side *s = &apps->rules.side[c->side[0]];
    const struct at_app_side *t = &apps->rules.side[c->side[1]];
    const struct at_app_rule *rule = &apps->rules.rule[c->rule];

    return (struct entry){
        .mask = (uint64_t)at_load_be32(s->mask) << 32 | at_load_be32(t->mask),
        .value = (uint64_t)at_load_be32(s->value) << 32 |
                 at_load_be32(t->value),
        .need = (uint16_t)(need_of(s) << STATE_BITS | need_of(t)),
        .more = more_of(s, t, rule, c->place == BY_PORT),
        .cell = cell,
    };
}

/* Room for 'n' entries more. */
static enum at_status reserve(struct at_apps *apps, size_t n)
{
    while (apps->entry_room - apps->entries < n) {
        struct entry *entry = grow(apps->entry, apps->entry_room,
                                   &apps->entry_room, sizeof(*entry));

        if (entry == NULL)
            return AT_ERR_MEMORY;
        apps->entry = entry;
        if (apps->entry_room > ENTRIES_MOST)
            return AT_ERR_SYNTAX;
    }
    return AT_OK;
}

static enum at_status add_entry(struct at_apps *apps, uint32_t cell,
                                struct list *list)
{
    const enum at_status st = reserve(apps, 1);

    if (st != AT_OK)
        return st;
    if (list->n++ == 0)
        list->first = (uint32_t)apps->entries;
    apps->entry[apps->entries++] = entry_of(apps, cell);
    return AT_OK;
}

/* How many first bytes the side allows; 256 if it need not have one. */
static unsigned firsts(const struct at_app_rules *rules,
                       const struct at_app_side *s)
{
    unsigned n = 0;

    if (s->kind != AT_APP_SENT || s->need == 0)
        return 256;
    for (unsigned b = 0; b < 256; b++)
        n += at_app_side_allows(rules, s, 0, (uint8_t)b);
    return n;
}

static bool has_port(const struct at_app_rule *rule)
{
    uint32_t span = 0;

    for (unsigned i = 0; i < rule->ports; i++)
        span += rule->port[i].high - rule->port[i].low + 1;
    return rule->ports > 0 && !rule->without && span <= PORTS_MOST;
}

static int8_t place_of(const struct at_apps *apps, const struct cell *c)
{
    const struct at_app_side *side = apps->rules.side;

    if (has_port(&apps->rules.rule[c->rule]))
        return BY_PORT;
    for (int way = BY_SOURCE; way <= BY_OTHER; way++)
        if (firsts(&apps->rules, &side[c->side[way]]) <= FEW)
            return (int8_t)way;
    return BY_NOTHING;
}

static unsigned hash_port(uint16_t port)
{
    return (port * 40503u & 0xffff) >> (16 - HASH_BITS);
}

/* The list of a port, or the free one where it belongs; NULL if it is full. */
static struct port_list *find_port(struct lists *l, uint16_t port)
{
    const unsigned mask = (1u << HASH_BITS) - 1;

    for (unsigned i = hash_port(port), n = 0; n <= mask;
         i = (i + 1) & mask, n++)
        if (l->port[i].list.n == 0 || l->port[i].port == port)
            return &l->port[i];
    return NULL;
}

/* Whether a cell of that place belongs to the list of a first byte. */
static bool belongs(const struct at_apps *apps, const struct cell *c, int place,
                    unsigned key)
{
    const struct at_app_rules *r = &apps->rules;

    return place == BY_NOTHING ||
           at_app_side_allows(r, &r->side[c->side[place]], 0, (uint8_t)key);
}

/* Cells of one transport and place, by rank. */
struct pick {
    uint32_t *cell;
    size_t n;
};

static void pick_cells(const struct at_apps *apps, unsigned transport,
                       int place, struct pick *pick)
{
    pick->n = 0;
    for (size_t i = 0; i < apps->cells; i++)
        if (apps->rules.rule[apps->cell[i].rule].transport == transport &&
            apps->cell[i].place == place)
            pick->cell[pick->n++] = (uint32_t)i;
}

static size_t words_of(const struct list *list)
{
    return (list->n + 63) / 64;
}

/* Marks the bytes, or none, that an entry can have in a place: in every
 * 'words'th word of 'bits' from the first. */
static void mark_bytes(const struct at_apps *apps, const struct at_app_side *s,
                       unsigned i, uint64_t *bits, size_t words, uint64_t bit)
{
    if (s->kind != AT_APP_SENT || i >= s->need) {
        for (unsigned b = 0; b < BYTES; b++)
            bits[b * words] |= bit;
    } else if (s->mask[i] == 0xff) {
        bits[s->value[i] * words] |= bit;
    } else {
        for (unsigned b = 0; b < NO_BYTE; b++)
            if (at_app_side_allows(&apps->rules, s, i, (uint8_t)b))
                bits[b * words] |= bit;
    }
}

/* Entry number 'n' of a list, in all its bitmaps. */
static void mark_entry(const struct at_apps *apps, const struct entry *e,
                       uint64_t *bits, size_t words, uint32_t n)
{
    const struct cell *c = &apps->cell[e->cell];

    for (unsigned i = 0; i < PLACES; i++)
        mark_bytes(apps, &apps->rules.side[c->side[i / AT_APP_BYTES]],
                   i % AT_APP_BYTES, bits + i * BYTES * words + n / 64, words,
                   UINT64_C(1) << n % 64);
}

static enum at_status make_bits(struct at_apps *apps, struct list *list)
{
    const size_t words = words_of(list), all = PLACES * BYTES * words;
    uint64_t *bits;

    if (list->n < LONG)
        return AT_OK;
    bits = realloc(apps->bits, (apps->words + all) * sizeof(*bits));
    if (bits == NULL)
        return AT_ERR_MEMORY;
    apps->bits = bits;
    list->bits = apps->words + 1;
    bits += apps->words;
    apps->words += all;
    memset(bits, 0, all * sizeof(*bits));
    for (uint32_t n = 0; n < list->n; n++)
        mark_entry(apps, &apps->entry[list->first + n], bits, words, n);
    return AT_OK;
}

static enum at_status make_list(struct at_apps *apps, const struct pick *pick,
                                int place, unsigned key, struct list *list)
{
    enum at_status st = AT_OK;

    for (size_t i = 0; i < pick->n && st == AT_OK; i++)
        if (belongs(apps, &apps->cell[pick->cell[i]], place, key))
            st = add_entry(apps, pick->cell[i], list);
    return st == AT_OK ? make_bits(apps, list) : st;
}

/* Calls fn() for each port of each cell, in the order of rank. */
static enum at_status
each_port(struct at_apps *apps, struct lists *l, const struct pick *pick,
          void (*fn)(struct at_apps *apps, struct port_list *p, uint32_t cell))
{
    for (size_t i = 0; i < pick->n; i++) {
        const uint32_t rule = apps->cell[pick->cell[i]].rule;
        const struct at_app_rule *r = &apps->rules.rule[rule];

        for (unsigned k = 0; k < r->ports; k++)
            for (uint32_t port = r->port[k].low; port <= r->port[k].high;
                 port++) {
                struct port_list *p = find_port(l, (uint16_t)port);

                if (p == NULL)
                    return AT_ERR_SYNTAX;
                p->port = (uint16_t)port;
                fn(apps, p, pick->cell[i]);
            }
    }
    return AT_OK;
}

static void count_entry(struct at_apps *apps, struct port_list *p,
                        uint32_t cell)
{
    (void)apps;
    (void)cell;
    p->list.n++;
}

static void put_entry(struct at_apps *apps, struct port_list *p, uint32_t cell)
{
    apps->entry[p->list.first + p->filled++] = entry_of(apps, cell);
}

/* Lists lie one behind the other, as long as they were counted. */
static enum at_status place_lists(struct at_apps *apps, struct lists *l)
{
    size_t n = 0;

    for (size_t i = 0; i < (size_t)1 << HASH_BITS; i++) {
        struct port_list *p = &l->port[i];

        if (p->list.n == 0)
            continue;
        l->has_port[p->port / 64] |= UINT64_C(1) << p->port % 64;
        p->list.first = (uint32_t)(apps->entries + n);
        n += p->list.n;
    }
    if (reserve(apps, n) != AT_OK)
        return n > ENTRIES_MOST ? AT_ERR_SYNTAX : AT_ERR_MEMORY;
    apps->entries += n;
    return AT_OK;
}

static enum at_status make_port_lists(struct at_apps *apps, struct lists *l,
                                      const struct pick *pick)
{
    enum at_status st;

    if (pick->n == 0)
        return AT_OK;
    l->port = calloc((size_t)1 << HASH_BITS, sizeof(l->port[0]));
    if (l->port == NULL)
        return AT_ERR_MEMORY;
    st = each_port(apps, l, pick, count_entry);
    if (st == AT_OK)
        st = place_lists(apps, l);
    if (st == AT_OK)
        st = each_port(apps, l, pick, put_entry);
    for (size_t i = 0; i < (size_t)1 << HASH_BITS && st == AT_OK; i++)
        st = make_bits(apps, &l->port[i].list);
    return st;
}

static enum at_status make_lists(struct at_apps *apps, unsigned transport,
                                 struct pick *pick)
{
    struct lists *l = &apps->of[transport];
    enum at_status st;

    pick_cells(apps, transport, BY_PORT, pick);
    st = make_port_lists(apps, l, pick);
    for (int way = BY_SOURCE; way <= BY_OTHER; way++) {
        pick_cells(apps, transport, way, pick);
        for (unsigned b = 0; b < 256 && st == AT_OK; b++)
            st = make_list(apps, pick, way, b, &l->first[way][b]);
    }
    pick_cells(apps, transport, BY_NOTHING, pick);
    return st == AT_OK ? make_list(apps, pick, BY_NOTHING, 0, &l->rest) : st;
}

static enum at_status compile(struct at_apps *apps, struct at_error *err)
{
    struct pick pick = {.n = 0};
    enum at_status st = make_cells(apps);

    if (st == AT_OK) {
        pick.cell = malloc((apps->cells + 1) * sizeof(pick.cell[0]));
        st = pick.cell != NULL ? AT_OK : AT_ERR_MEMORY;
    }
    for (size_t i = 0; i < apps->cells; i++)
        apps->cell[i].place = place_of(apps, &apps->cell[i]);
    for (unsigned t = 0; t < AT_APP_IP && st == AT_OK; t++)
        st = make_lists(apps, t, &pick);
    free(pick.cell);
    if (st == AT_ERR_MEMORY)
        return at_error_set(err, st, "out of memory");
    if (st != AT_OK)
        return at_error_set(err, st,
                            "the rules of applications have too many "
                            "alternatives or ports");
    return AT_OK;
}

/* ---- matching -------------------------------------------------------- */

struct view {
    uint64_t bytes;
    uint16_t state;
    uint16_t at[PLACES]; /* the byte in each place, or NO_BYTE */
    const struct at_app_flow *flow;
};

static uint64_t load_bytes(const struct at_app_way *way, unsigned n)
{
    const uint32_t all = at_load_be32(way->bytes);

    return n == 0 ? 0 : all & ~UINT32_C(0) << (32 - 8 * n);
}

static void see_way(struct view *v, unsigned i)
{
    const struct at_app_way *way = &v->flow->way[i];
    uint16_t *at = v->at + (size_t)i * AT_APP_BYTES;
    unsigned n = 0, state = 0;

    if (way->payload == AT_APP_FIRST) {
        n = bytes_of(way);
        state = STATE_SENT | ((1u << n) - 1) * STATE_BYTES;
    } else if (way->payload == AT_APP_SILENT) {
        state = STATE_SILENT;
    }
    v->bytes = v->bytes << 32 | load_bytes(way, n);
    v->state = (uint16_t)((unsigned)v->state << STATE_BITS | state);
    for (unsigned b = 0; b < AT_APP_BYTES; b++)
        at[b] = b < n ? way->bytes[b] : NO_BYTE;
}

static bool rest_holds(const struct at_apps *apps, const struct entry *e,
                       const struct at_app_flow *flow)
{
    const struct at_app_rules *r = &apps->rules;
    const struct cell *c = &apps->cell[e->cell];

    if ((e->more & MORE_SOURCE) != 0 &&
        !more_holds(r, &r->side[c->side[0]], &flow->way[0]))
        return false;
    if ((e->more & MORE_OTHER) != 0 &&
        !more_holds(r, &r->side[c->side[1]], &flow->way[1]))
        return false;
    if ((e->more & MORE_PORTS) != 0 && !ports_hold(&r->rule[c->rule], flow))
        return false;
    return (e->more & MORE_SAME) == 0 ||
           same_holds(r->rule[c->rule].same, flow);
}

static inline bool entry_holds(const struct at_apps *apps,
                               const struct entry *e, const struct view *v)
{
    return (v->bytes & e->mask) == e->value &&
           (v->state & e->need) == e->need &&
           (e->more == 0 || rest_holds(apps, e, v->flow));
}

/* Entries 64*w and on that all bitmaps have.  Most lists have one word, and
 * then the compiler knows where each of the eight is. */
static inline uint64_t candidates(const uint64_t *bits, size_t words,
                                  const struct view *v)
{
    uint64_t all = ~UINT64_C(0);

    for (unsigned i = 0; i < PLACES; i++)
        all &= bits[(i * BYTES + v->at[i]) * words];
    return all;
}

/* The best of the entries marked in 'c'. */
static uint32_t search_marked(const struct at_apps *apps, const struct entry *e,
                              uint64_t c, const struct view *v, uint32_t best)
{
    for (; c != 0; c &= c - 1) {
        const struct entry *one = &e[__builtin_ctzll(c)];

        if (one->cell >= best)
            break;
        if (entry_holds(apps, one, v))
            return one->cell;
    }
    return best;
}

static uint32_t search_long(const struct at_apps *apps, const struct list *list,
                            const struct view *v, uint32_t best)
{
    const struct entry *e = apps->entry + list->first;
    const uint64_t *bits = apps->bits + list->bits - 1;
    const size_t words = words_of(list);

    if (words == 1)
        return search_marked(apps, e, candidates(bits, 1, v), v, best);
    for (size_t w = 0; w < words && e[64 * w].cell < best; w++)
        best = search_marked(apps, e + 64 * w, candidates(bits + w, words, v),
                             v, best);
    return best;
}

/* The best cell of a list, if it is better than 'best'. */
static uint32_t search(const struct at_apps *apps, const struct list *list,
                       const struct view *v, uint32_t best)
{
    const struct entry *e;

    if (list->n == 0)
        return best;
    e = apps->entry + list->first;
    if (e->cell >= best)
        return best;
    if (list->bits != 0)
        return search_long(apps, list, v, best);
    for (uint32_t i = 0; i < list->n && e[i].cell < best; i++)
        if (entry_holds(apps, &e[i], v))
            return e[i].cell;
    return best;
}

static uint32_t search_port(const struct at_apps *apps, const struct lists *l,
                            uint16_t port, const struct view *v, uint32_t best)
{
    const unsigned mask = (1u << HASH_BITS) - 1;

    unsigned i = hash_port(port);

    if ((l->has_port[port / 64] >> port % 64 & 1) == 0)
        return best;
    while (l->port[i].port != port || l->port[i].list.n == 0)
        i = (i + 1) & mask;
    return search(apps, &l->port[i].list, v, best);
}

static uint32_t search_all(const struct at_apps *apps, const struct lists *l,
                           const struct at_app_flow *flow)
{
    struct view v = {.flow = flow};
    uint32_t best = NO_CELL;

    see_way(&v, 0);
    see_way(&v, 1);
    best = search_port(apps, l, flow->dport, &v, best);
    if (flow->sport != flow->dport)
        best = search_port(apps, l, flow->sport, &v, best);
    for (unsigned way = 0; way < 2; way++)
        if (flow->way[way].payload == AT_APP_FIRST)
            best = search(apps, &l->first[way][flow->way[way].bytes[0]], &v,
                          best);
    return search(apps, &l->rest, &v, best);
}

/* AT_APP_IP if only the number of the protocol tells. */
static enum at_app_transport transport_of(uint8_t proto)
{
    switch (proto) {
    case TCP:
        return AT_APP_TCP;
    case UDP:
        return AT_APP_UDP;
    case SCTP:
        return AT_APP_SCTP;
    default:
        return AT_APP_IP;
    }
}

static uint32_t rule_of_proto(const struct at_apps *apps, uint8_t proto)
{
    return apps->proto[proto] != 0 ? apps->proto[proto] - 1 : NO_RULE;
}

/* What there is to say of a flow that no rule knows. */
static uint16_t unnamed(const struct at_app_flow *flow)
{
    const unsigned a = flow->way[0].payload, b = flow->way[1].payload;

    if (a == AT_APP_SILENT && b == AT_APP_SILENT)
        return AT_APP_NO_PAYLOAD;
    if (a != AT_APP_FIRST && b != AT_APP_FIRST)
        return AT_APP_NOT_CAPTURED;
    return a == AT_APP_SILENT || b == AT_APP_SILENT ? AT_APP_ONE_WAY
                                                    : AT_APP_UNKNOWN;
}

/* An end whose first packet was cut before its first byte. */
static bool is_cut(const struct at_app_way *way)
{
    return way->payload == AT_APP_FIRST && way->captured == 0;
}

/* What came before its first byte was captured tells no more than what was
 * never seen. */
static bool see_flow(struct at_app_flow *seen, const struct at_app_flow *flow)
{
    if (!is_cut(&flow->way[0]) && !is_cut(&flow->way[1]))
        return false;
    *seen = *flow;
    for (unsigned i = 0; i < 2; i++)
        if (is_cut(&seen->way[i]))
            seen->way[i].payload = AT_APP_LOST;
    return true;
}

static bool has_first(const struct at_app_flow *flow)
{
    return flow->way[0].payload == AT_APP_FIRST ||
           flow->way[1].payload == AT_APP_FIRST;
}

/* The cell that answers, or else NO_CELL and the rule. */
static uint32_t decide(const struct at_apps *apps,
                       const struct at_app_flow *flow, uint32_t *rule)
{
    const enum at_app_transport transport = transport_of(flow->proto);
    uint32_t cell = NO_CELL;

    /* What SCTP sends first is its own, so only ports tell. */
    if (transport != AT_APP_IP && (has_first(flow) || transport == AT_APP_SCTP))
        cell = search_all(apps, &apps->of[transport], flow);
    *rule = cell != NO_CELL ? apps->cell[cell].rule
                            : rule_of_proto(apps, flow->proto);
    return cell;
}

uint32_t at_apps_decide(const struct at_apps *apps,
                        const struct at_app_flow *flow)
{
    uint32_t rule;

    decide(apps, flow, &rule);
    return rule;
}

void at_apps_match(const struct at_apps *apps, const struct at_app_flow *flow,
                   struct at_app_match *match)
{
    struct at_app_flow seen;
    uint32_t cell, rule;

    if (see_flow(&seen, flow))
        flow = &seen;
    cell = decide(apps, flow, &rule);
    *match = (struct at_app_match){.confidence = AT_APP_PROTOCOL};
    if (rule == NO_RULE) {
        match->app = transport_of(flow->proto) != AT_APP_IP ? unnamed(flow)
                                                            : AT_APP_UNKNOWN;
        match->confidence = AT_APP_NONE;
        return;
    }
    match->app = (uint16_t)apps->rules.rule[rule].app;
    match->rule = apps->rules.rule[rule].line;
    if (cell != NO_CELL)
        match->confidence = apps->cell[cell].confidence;
}

/* ---- opening --------------------------------------------------------- */

static enum at_status parse_built_in(struct at_apps *apps, struct at_error *err)
{
    return at_app_rules_parse(&apps->rules, "built-in rules", at_app_rules_text,
                              at_app_rules_bytes, false, err);
}

/* The rules of a text, after the built-in ones or alone. */
static enum at_status open_text(struct at_apps **out, bool alone,
                                const char *name, const char *text, size_t n,
                                struct at_error *err)
{
    struct at_apps *apps = calloc(1, sizeof(*apps));
    enum at_status st = AT_OK;

    *out = NULL;
    if (apps == NULL)
        return at_error_set(err, AT_ERR_MEMORY, "out of memory");
    if (!alone)
        st = parse_built_in(apps, err);
    if (st == AT_OK && text != NULL)
        st = at_app_rules_parse(&apps->rules, name, text, n, true, err);
    if (st == AT_OK)
        st = compile(apps, err);
    if (st == AT_OK)
        *out = apps;
    else
        at_apps_close(apps);
    return st;
}

enum at_status at_apps_parse(struct at_apps **out, const char *name,
                             const char *text, size_t n, struct at_error *err)
{
    return open_text(out, false, name, text, n, err);
}

enum at_status at_apps_parse_alone(struct at_apps **out, const char *text,
                                   size_t n, struct at_error *err)
{
    return open_text(out, true, "rules", text, n, err);
}

static enum at_status read_file(FILE *f, const char *path, char **text,
                                size_t *n, struct at_error *err)
{
    enum { MOST = 1 << 22 };
    char *p = malloc(MOST);

    if (p == NULL)
        return at_error_set(err, AT_ERR_MEMORY, "out of memory");
    *n = fread(p, 1, MOST, f);
    *text = p;
    if (ferror(f))
        return at_error_system(err, path, "read");
    if (*n == MOST)
        return at_error_set(err, AT_ERR_FORMAT,
                            "%s: more than 4 MiB are no rules", path);
    return AT_OK;
}

enum at_status at_apps_open(struct at_apps **out, const char *path,
                            struct at_error *err)
{
    char *text = NULL;
    size_t n = 0;
    enum at_status st;
    FILE *f;

    *out = NULL;
    if (path == NULL)
        return at_apps_parse(out, NULL, NULL, 0, err);
    f = fopen(path, "re");
    if (f == NULL)
        return at_error_system(err, path, "open");
    st = read_file(f, path, &text, &n, err);
    fclose(f);
    if (st == AT_OK)
        st = at_apps_parse(out, path, text, n, err);
    free(text);
    return st;
}

void at_apps_close(struct at_apps *apps)
{
    if (apps == NULL)
        return;
    for (unsigned t = 0; t < AT_APP_IP; t++)
        free(apps->of[t].port);
    at_app_rules_free(&apps->rules);
    free(apps->cell);
    free(apps->entry);
    free(apps->bits);
    free(apps);
}

/* ---- names ----------------------------------------------------------- */

const struct at_app_rules *at_apps_rules(const struct at_apps *apps)
{
    return &apps->rules;
}

size_t at_apps_count(const struct at_apps *apps)
{
    return apps->rules.apps;
}

static const struct at_app_def *def_of(const struct at_apps *apps, size_t app)
{
    return &apps->rules.app[app < apps->rules.apps ? app : AT_APP_UNKNOWN];
}

const char *at_app_name(const struct at_apps *apps, size_t app)
{
    return def_of(apps, app)->name;
}

const char *at_app_category(const struct at_apps *apps, size_t app)
{
    return def_of(apps, app)->category;
}

const char *at_app_reference(const struct at_apps *apps, size_t app)
{
    return def_of(apps, app)->reference;
}

size_t at_app_find(const struct at_apps *apps, const char *name)
{
    size_t i = 0;

    while (i < apps->rules.apps && strcmp(apps->rules.app[i].name, name) != 0)
        i++;
    return i;
}

bool at_app_is_category(const struct at_apps *apps, const char *name)
{
    for (size_t i = 0; i < apps->rules.apps; i++)
        if (strcmp(apps->rules.app[i].category, name) == 0)
            return true;
    return false;
}
