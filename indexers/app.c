/*
 * app.c - which application a flow is of, by the rules built in and others
 *
 * Rules are parsed (app_rules.c), taken apart and ranked (app_cells.c) and made
 * one structure to look at them all at once (app_match.c).
 */
#include "app.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "app_match.h"
#include "app_rules.h"
#include "errors.h"

enum { TCP = 6, UDP = 17, SCTP = 132 };

#define NO_RULE UINT32_MAX

struct at_apps {
    struct at_app_rules rules;
    struct at_app_cells cells;
    struct at_app_match *answer; /* of each cell */
    struct at_app_matcher *matcher;
    uint32_t proto[256]; /* rule + 1 */
};

static const char *const confidence_names[AT_APP_CONFIDENCES] = {
    "none", "port", "weak", "pattern", "pattern+port", "both", "protocol",
};

const char *at_app_confidence_name(unsigned confidence)
{
    return confidence < AT_APP_CONFIDENCES ? confidence_names[confidence] : "?";
}

/* ---- matching -------------------------------------------------------- */

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

static struct at_app_match answer_of(const struct at_app_rule *rule,
                                     uint8_t confidence)
{
    return (struct at_app_match){
        .app = (uint16_t)rule->app,
        .confidence = confidence,
        .rule = rule->line,
    };
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

static uint32_t find_cell(const struct at_apps *apps,
                          const struct at_app_flow *flow)
{
    const enum at_app_transport transport = transport_of(flow->proto);

    /* What SCTP sends first is its own, so only ports tell. */
    if (transport == AT_APP_IP ||
        (!has_first(flow) && transport != AT_APP_SCTP))
        return AT_APP_NO_CELL;
    return at_app_matcher_find(apps->matcher, transport, flow);
}

uint32_t at_apps_decide(const struct at_apps *apps,
                        const struct at_app_flow *flow)
{
    const uint32_t cell = find_cell(apps, flow);

    return cell != AT_APP_NO_CELL ? apps->cells.cell[cell].rule
                                  : rule_of_proto(apps, flow->proto);
}

/* What the number of its protocol tells of a flow that no cell matches. */
static struct at_app_match match_proto(const struct at_apps *apps,
                                       const struct at_app_flow *flow)
{
    const uint32_t rule = rule_of_proto(apps, flow->proto);

    if (rule != NO_RULE)
        return answer_of(&apps->rules.rule[rule], AT_APP_PROTOCOL);
    return (struct at_app_match){
        .app = transport_of(flow->proto) != AT_APP_IP ? unnamed(flow)
                                                      : AT_APP_UNKNOWN,
        .confidence = AT_APP_NONE,
    };
}

void at_apps_match(const struct at_apps *apps, const struct at_app_flow *flow,
                   struct at_app_match *match)
{
    struct at_app_flow seen;
    uint32_t cell;

    if (see_flow(&seen, flow))
        flow = &seen;
    cell = find_cell(apps, flow);
    *match = cell != AT_APP_NO_CELL ? apps->answer[cell]
                                    : match_proto(apps, flow);
}

/* ---- opening --------------------------------------------------------- */

static enum at_status parse_built_in(struct at_apps *apps, struct at_error *err)
{
    return at_app_rules_parse(&apps->rules, "built-in rules", at_app_rules_text,
                              at_app_rules_bytes, false, err);
}

/* The user's come first, and else the first of the file. */
static void list_protos(struct at_apps *apps)
{
    const struct at_app_rules *r = &apps->rules;

    for (size_t i = 0; i < r->rules; i++)
        if (r->rule[i].transport == AT_APP_IP &&
            (apps->proto[r->rule[i].proto] == 0 || r->rule[i].user))
            apps->proto[r->rule[i].proto] = (uint32_t)i + 1;
}

/* So that a flow need not go from cell to rule. */
static enum at_status make_answers(struct at_apps *apps)
{
    const struct at_app_cells *cells = &apps->cells;

    apps->answer = malloc((cells->n + 1) * sizeof(apps->answer[0]));
    if (apps->answer == NULL)
        return AT_ERR_MEMORY;
    for (size_t i = 0; i < cells->n; i++)
        apps->answer[i] = answer_of(&apps->rules.rule[cells->cell[i].rule],
                                    cells->cell[i].confidence);
    return AT_OK;
}

static enum at_status compile(struct at_apps *apps, struct at_error *err)
{
    enum at_status st = at_app_cells_make(&apps->cells, &apps->rules);

    list_protos(apps);
    if (st == AT_OK)
        st = make_answers(apps);
    if (st == AT_OK)
        st = at_app_matcher_make(&apps->matcher, &apps->rules, &apps->cells);
    if (st == AT_ERR_MEMORY)
        return at_error_set(err, st, "out of memory");
    if (st != AT_OK)
        return at_error_set(err, st,
                            "the rules of applications have too many "
                            "alternatives or ports");
    return AT_OK;
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
    at_app_matcher_free(apps->matcher);
    free(apps->answer);
    at_app_cells_free(&apps->cells);
    at_app_rules_free(&apps->rules);
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
