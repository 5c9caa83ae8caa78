/*
 * app_holds.c - whether a flow is what a rule says, looked at piece by piece
 *
 * app_match.c looks at all rules at once; this is for what it leaves open, and
 * to doubt rules by.
 */
#include "app_rules.h"

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

static bool fields_hold(const struct at_app_side *s,
                        const struct at_app_way *way)
{
    for (unsigned i = 0; i < s->fields; i++)
        if (!field_holds(&s->field[i], way))
            return false;
    return true;
}

static bool bytes_hold(const struct at_app_rules *rules,
                       const struct at_app_side *s,
                       const struct at_app_way *way)
{
    for (unsigned i = 0; i < s->need; i++)
        if (!at_app_side_allows(rules, s, i, way->bytes[i]))
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
    return way->payload == AT_APP_FIRST && at_app_bytes_of(way) >= s->need &&
           bytes_hold(rules, s, way) && length_fits(s, way->length) &&
           fields_hold(s, way);
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
    bool s, d;

    if (rule->ports == 0)
        return true;
    s = is_port(rule, flow->sport);
    d = is_port(rule, flow->dport);
    if (rule->without)
        return !s && !d;
    return rule->both ? s && d : s || d;
}

static bool same_holds(uint8_t same, const struct at_app_flow *flow)
{
    const struct at_app_way *w = flow->way;

    if (same == 0)
        return true;
    for (unsigned i = 0; i < AT_APP_BYTES; i++)
        if ((same >> i & 1) != 0 &&
            (at_app_bytes_of(&w[0]) <= i || at_app_bytes_of(&w[1]) <= i ||
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

bool at_app_rest_holds(const struct at_app_rule *rule,
                       const struct at_app_side *a, const struct at_app_side *b,
                       const struct at_app_flow *flow)
{
    return fields_hold(a, &flow->way[0]) && fields_hold(b, &flow->way[1]) &&
           same_holds(rule->same, flow) && ports_hold(rule, flow) &&
           length_fits(a, flow->way[0].length) &&
           length_fits(b, flow->way[1].length);
}
