/*
 * app_check.c - rules that say nothing
 *
 * For each pair of alternatives of a rule flows are made up that it describes:
 * lengths at the ends of its ranges, or that its fields ask for, bytes out of
 * its sets, ports out of its lists.  If none can be made, none can match; if
 * all of them get another answer, the rule is hidden behind others.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "app_rules.h"

enum {
    LENGTHS = 96, /* that are tried */
    FILLS = 6,    /* choices of bytes likewise */
    NO_RULE_LINE = 0,
};

/* ---- flows that a rule describes ------------------------------------- */

struct made {
    const struct at_apps *apps;
    const struct at_app_rules *rules;
    const struct at_app_rule *rule;
    uint32_t number; /* of the rule */
    bool possible;   /* some flow matches it */
    bool wins;       /* and gets it as the answer */
    uint32_t winner; /* else: the rule that some got; UINT32_MAX: none */
};

static void try_flow(struct made *m, const struct at_app_side *a,
                     const struct at_app_side *b, struct at_app_flow *flow)
{
    uint32_t rule;

    if (!at_app_rule_holds(m->rules, m->rule, a, b, flow, 0))
        return;
    m->possible = true;
    rule = at_apps_decide(m->apps, flow);
    if (rule == m->number)
        m->wins = true;
    else
        m->winner = rule;
}

/* A port of the rule: the first or the last of a range. */
static uint16_t port_of(const struct at_app_rule *rule, unsigned i)
{
    const struct at_app_range *r = &rule->port[i / 2 % rule->ports];

    return (uint16_t)(i % 2 == 0 ? r->low : r->high);
}

static void try_ports(struct made *m, const struct at_app_side *a,
                      const struct at_app_side *b, struct at_app_flow *flow)
{
    const struct at_app_rule *rule = m->rule;

    flow->sport = 49001;
    flow->dport = 49002;
    if (rule->ports == 0 || rule->without) {
        try_flow(m, a, b, flow);
        return;
    }
    for (unsigned i = 0; i < 2u * rule->ports && !m->wins; i++) {
        flow->dport = port_of(rule, i);
        if (rule->both)
            flow->sport = flow->dport;
        try_flow(m, a, b, flow);
    }
}

/* The byte number 'n' (counted round) of those both sides allow in place
 * 'i'; 'b' may be NULL. */
static uint8_t pick_byte(const struct at_app_rules *r,
                         const struct at_app_side *a,
                         const struct at_app_side *b, unsigned i, unsigned n)
{
    uint8_t allowed[256];
    unsigned count = 0;

    for (unsigned v = 0; v < 256; v++)
        if (at_app_side_allows(r, a, i, (uint8_t)v) &&
            (b == NULL || at_app_side_allows(r, b, i, (uint8_t)v)))
            allowed[count++] = (uint8_t)v;
    if (count == 0)
        return 0;
    return allowed[n * 37u % count];
}

static void put_field(struct at_app_way *w, const struct at_app_field *f)
{
    const int64_t end = (f->length ? (int64_t)w->length : 0) + f->plus;
    const uint64_t v = end < 0 ? 0 : (uint64_t)end / f->scale;

    for (unsigned i = 0; i < f->bytes; i++) {
        const unsigned at = f->little ? i : f->bytes - 1u - i;

        w->bytes[f->at + at] = (uint8_t)(v >> 8 * i);
    }
}

/* What an end sends, by its side; bytes marked in 'same' please 'other' too. */
static void fill_way(const struct at_app_rules *r, struct at_app_way *w,
                     const struct at_app_side *s,
                     const struct at_app_side *other, uint8_t same,
                     uint32_t length, unsigned fill)
{
    memset(w, 0, sizeof(*w));
    if (s->kind == AT_APP_SILENCE)
        return;
    w->payload = AT_APP_FIRST;
    w->length = length;
    w->captured = AT_APP_BYTES;
    for (unsigned i = 0; i < AT_APP_BYTES; i++)
        w->bytes[i] = pick_byte(r, s, (same >> i & 1) != 0 ? other : NULL, i,
                                fill);
    for (unsigned i = 0; i < s->fields; i++)
        if (s->field[i].relation == AT_APP_EQUAL || fill % 2 == 0)
            put_field(w, &s->field[i]);
}

/* The length that a field asks for whose bytes are all given. */
static int64_t length_of_field(const struct at_app_side *s,
                               const struct at_app_field *f)
{
    if (!f->length)
        return -1;
    for (unsigned i = 0; i < f->bytes; i++)
        if (s->mask[f->at + i] != 0xff)
            return -1;
    return (int64_t)at_app_field_value(f, s->value) - f->plus;
}

static unsigned lengths_of(const struct at_app_side *s,
                           uint32_t length[LENGTHS])
{
    unsigned n = 0;

    if (s->kind != AT_APP_SENT) {
        length[n++] = 60;
        return n;
    }
    for (unsigned i = 0; i < s->fields; i++) {
        const int64_t asked = length_of_field(s, &s->field[i]);

        if (asked > 0)
            length[n++] = (uint32_t)asked;
    }
    for (unsigned i = 0; i < s->lengths; i++) {
        length[n++] = s->length[i].low + (s->length[i].low == 0);
        length[n++] = s->length[i].high == UINT32_MAX ? s->length[i].low + 77
                                                      : s->length[i].high;
    }
    if (s->lengths == 0)
        for (uint32_t l = s->need > 0 ? s->need : 1; l < 70; l++)
            length[n++] = l;
    length[n++] = 300;
    length[n++] = 1301;
    return n;
}

/* Bytes that must be the same are those of the first end. */
static void copy_same(const struct at_app_rule *rule, struct at_app_flow *flow)
{
    for (unsigned i = 0; i < AT_APP_BYTES; i++)
        if ((rule->same >> i & 1) != 0)
            flow->way[1].bytes[i] = flow->way[0].bytes[i];
}

static uint8_t proto_of(const struct at_app_rule *rule)
{
    static const uint8_t proto[] = {6, 17, 132};

    return rule->transport == AT_APP_IP ? rule->proto : proto[rule->transport];
}

static void try_lengths(struct made *m, const struct at_app_side *a,
                        const struct at_app_side *b, uint32_t la, uint32_t lb)
{
    struct at_app_flow flow = {.proto = proto_of(m->rule)};

    for (unsigned fill = 0; fill < FILLS && !m->wins; fill++) {
        fill_way(m->rules, &flow.way[0], a, b, m->rule->same, la, fill);
        fill_way(m->rules, &flow.way[1], b, a, m->rule->same, lb, fill);
        copy_same(m->rule, &flow);
        try_ports(m, a, b, &flow);
        if (a->kind == AT_APP_ANY || b->kind == AT_APP_ANY) {
            flow.way[a->kind != AT_APP_ANY].payload = AT_APP_SILENT;
            try_ports(m, a, b, &flow);
        }
    }
}

static void try_sides(struct made *m, const struct at_app_side *a,
                      const struct at_app_side *b)
{
    uint32_t la[LENGTHS], lb[LENGTHS];
    const unsigned na = lengths_of(a, la), nb = lengths_of(b, lb);
    const unsigned most = na > nb ? na : nb;

    if (na == 0 || nb == 0)
        return;
    /* The lengths of the two ends have nothing to do with each other. */
    for (unsigned i = 0; i < most && !m->wins; i++)
        try_lengths(m, a, b, la[i % na], lb[i % nb]);
    for (unsigned i = 0; i < na && !m->wins; i++)
        try_lengths(m, a, b, la[i], lb[0]);
    for (unsigned i = 0; i < nb && !m->wins; i++)
        try_lengths(m, a, b, la[0], lb[i]);
}

/* ---- faults ---------------------------------------------------------- */

struct report {
    const struct at_apps *apps;
    at_apps_fault_fn *fn;
    void *ctx;
    size_t faults;
};

static void say(struct report *rep, uint32_t app, uint32_t line,
                const char *what)
{
    char text[160];

    if (line != NO_RULE_LINE)
        snprintf(text, sizeof(text), "%s, line %u: %s",
                 at_app_name(rep->apps, app), line, what);
    else
        snprintf(text, sizeof(text), "%s: %s", at_app_name(rep->apps, app),
                 what);
    rep->fn(rep->ctx, text);
    rep->faults++;
}

static void say_hidden(struct report *rep, const struct made *m)
{
    char text[120] = "always gives way to no answer at all";

    if (m->winner != UINT32_MAX) {
        const struct at_app_rule *w = &m->rules->rule[m->winner];

        snprintf(text, sizeof(text), "always gives way to %s, line %u",
                 at_app_name(rep->apps, w->app), w->line);
    }
    say(rep, m->rule->app, m->rule->line, text);
}

static void check_rule(struct report *rep, uint32_t number)
{
    const struct at_app_rules *r = at_apps_rules(rep->apps);
    const struct at_app_rule *rule = &r->rule[number];
    struct made m = {
        .apps = rep->apps,
        .rules = r,
        .rule = rule,
        .number = number,
        .winner = UINT32_MAX,
    };

    if (rule->transport == AT_APP_IP) {
        const struct at_app_flow flow = {.proto = rule->proto};

        m.possible = true;
        m.winner = at_apps_decide(rep->apps, &flow);
        m.wins = m.winner == number;
    }
    for (uint32_t a = rule->a; a < rule->a + rule->as && !m.wins; a++)
        for (uint32_t b = rule->b; b < rule->b + rule->bs && !m.wins; b++)
            try_sides(&m, &r->side[a], &r->side[b]);
    if (!m.possible)
        say(rep, rule->app, rule->line, "no flow can match this");
    else if (!m.wins)
        say_hidden(rep, &m);
}

static void check_apps(struct report *rep)
{
    const struct at_app_rules *r = at_apps_rules(rep->apps);

    for (uint32_t app = AT_APP_NAMED; app < r->apps; app++) {
        size_t rules = 0;

        for (size_t i = 0; i < r->rules; i++)
            rules += r->rule[i].app == app;
        if (rules == 0)
            say(rep, app, NO_RULE_LINE, "no rule names it");
    }
}

static void check_examples(struct report *rep,
                           const struct at_app_flow *example, size_t n)
{
    const struct at_app_rules *r = at_apps_rules(rep->apps);
    bool *needed = calloc(r->rules + 1, sizeof(*needed));

    if (needed == NULL)
        return;
    for (size_t i = 0; i < n; i++) {
        const uint32_t rule = at_apps_decide(rep->apps, &example[i]);

        if (rule != UINT32_MAX)
            needed[rule] = true;
    }
    for (size_t i = 0; i < r->rules; i++)
        if (!needed[i])
            say(rep, r->rule[i].app, r->rule[i].line, "no example needs this");
    free(needed);
}

size_t at_apps_check(const struct at_apps *apps,
                     const struct at_app_flow *example, size_t n,
                     at_apps_fault_fn *fn, void *ctx)
{
    struct report rep = {.apps = apps, .fn = fn, .ctx = ctx};

    check_apps(&rep);
    for (size_t i = 0; i < at_apps_rules(apps)->rules; i++)
        check_rule(&rep, (uint32_t)i);
    if (n > 0)
        check_examples(&rep, example, n);
    return rep.faults;
}
