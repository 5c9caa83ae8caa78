/*
 * app_cells.c - rules taken apart into cells, the best first
 */
#include "app_cells.h"

#include <stdlib.h>

enum { CELLS_MOST = 1 << 18 };

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

static void weigh(const struct at_app_rules *r, struct at_app_cell *c)
{
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

static bool make_room(struct at_app_cells *cells)
{
    const size_t room = cells->room * 2 + 1024;
    struct at_app_cell *more;

    if (cells->n < cells->room)
        return true;
    more = realloc(cells->cell, room * sizeof(*more));
    if (more == NULL)
        return false;
    cells->cell = more;
    cells->room = room;
    return true;
}

static enum at_status add_cell(struct at_app_cells *cells,
                               const struct at_app_rules *rules, uint32_t rule,
                               const uint32_t side[2], uint8_t way)
{
    struct at_app_cell c = {.rule = rule, .a = way};

    if (!make_room(cells))
        return AT_ERR_MEMORY;
    if (cells->n == CELLS_MOST)
        return AT_ERR_SYNTAX;
    c.side[way] = side[0];
    c.side[!way] = side[1];
    weigh(rules, &c);
    cells->cell[cells->n++] = c;
    return AT_OK;
}

static enum at_status add_cells(struct at_app_cells *cells,
                                const struct at_app_rules *rules, uint32_t rule)
{
    const struct at_app_rule *r = &rules->rule[rule];
    enum at_status st = AT_OK;

    for (uint32_t a = r->a; a < r->a + r->as && st == AT_OK; a++)
        for (uint32_t b = r->b; b < r->b + r->bs && st == AT_OK; b++)
            for (uint8_t way = 0; way < 2 && st == AT_OK; way++)
                st = add_cell(cells, rules, rule, (uint32_t[]){a, b}, way);
    return st;
}

/* The user's come first, then by priority, then what asks for more. */
static int rank(const void *one, const void *two, void *ctx)
{
    const struct at_app_rule *rule = ctx;
    const struct at_app_cell *a = one, *b = two;
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

enum at_status at_app_cells_make(struct at_app_cells *cells,
                                 const struct at_app_rules *rules)
{
    enum at_status st = AT_OK;

    for (size_t i = 0; i < rules->rules && st == AT_OK; i++)
        if (rules->rule[i].transport != AT_APP_IP)
            st = add_cells(cells, rules, (uint32_t)i);
    if (st == AT_OK && cells->n > 0)
        qsort_r(cells->cell, cells->n, sizeof(cells->cell[0]), rank,
                rules->rule);
    return st;
}

void at_app_cells_free(struct at_app_cells *cells)
{
    free(cells->cell);
    *cells = (struct at_app_cells){.n = 0};
}
