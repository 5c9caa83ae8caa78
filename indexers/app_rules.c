/*
 * app_rules.c - the rules of applications, from their text
 *
 *     app NAME CATEGORY "reference"
 *         TRANSPORT [@PORTS] [prio=N] SIDES [same I...]
 *
 * archive_trace-apps(5) has the whole grammar.  A side in the file may be
 * several alternatives; each becomes a struct at_app_side.
 */
#include "app_rules.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

enum { NAME_BYTES = 40, RULES_MOST = 1 << 16 };

struct parse {
    struct at_app_rules *rules;
    const char *name;
    const char *p, *end; /* what is left of the line */
    uint32_t line;
    uint32_t app; /* that rules are of */
    bool user;
    struct at_error *err;
};

static enum at_status fail(struct parse *ps, const char *what)
{
    const int left = ps->end - ps->p > 16 ? 16 : (int)(ps->end - ps->p);

    return at_error_set(ps->err, AT_ERR_SYNTAX, "%s: line %u, at '%.*s': %s",
                        ps->name, ps->line, left, ps->p, what);
}

/* ---- memory ---------------------------------------------------------- */

/* Room for one more in an array; false when there is no memory. */
static bool grow(void *array, size_t used, size_t *room, size_t size)
{
    void **p = array;
    void *more;

    if (used < *room)
        return true;
    more = realloc(*p, (*room * 2 + 64) * size);
    if (more == NULL)
        return false;
    *p = more;
    *room = *room * 2 + 64;
    return true;
}

static enum at_status no_memory(struct parse *ps)
{
    return at_error_set(ps->err, AT_ERR_MEMORY, "out of memory");
}

static struct at_app_side *new_side(struct parse *ps)
{
    struct at_app_rules *r = ps->rules;

    if (!grow(&r->side, r->sides, &r->side_room, sizeof(r->side[0])))
        return NULL;
    r->side[r->sides] = (struct at_app_side){.kind = AT_APP_SENT};
    return &r->side[r->sides++];
}

/* ---- words ----------------------------------------------------------- */

static bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\r';
}

static void skip_space(struct parse *ps)
{
    while (ps->p < ps->end && is_space(*ps->p))
        ps->p++;
}

static bool at_end(struct parse *ps)
{
    skip_space(ps);
    return ps->p == ps->end || *ps->p == '#';
}

/* The word that begins here, up to a space; its length. */
static size_t peek_word(struct parse *ps)
{
    const char *p;

    if (at_end(ps))
        return 0;
    for (p = ps->p; p < ps->end && !is_space(*p); p++)
        continue;
    return (size_t)(p - ps->p);
}

static bool is_word(struct parse *ps, const char *word)
{
    const size_t n = peek_word(ps);

    return n == strlen(word) && memcmp(ps->p, word, n) == 0;
}

static bool take_word(struct parse *ps, const char *word)
{
    if (!is_word(ps, word))
        return false;
    ps->p += strlen(word);
    return true;
}

/* Takes 'text' if it stands here. */
static bool take_text(struct parse *ps, const char *text)
{
    const size_t n = strlen(text);

    if ((size_t)(ps->end - ps->p) < n || memcmp(ps->p, text, n) != 0)
        return false;
    ps->p += n;
    return true;
}

static bool take_number(struct parse *ps, uint32_t most, uint32_t *out)
{
    uint64_t v = 0;
    const char *p = ps->p;

    for (; p < ps->end && *p >= '0' && *p <= '9' && v <= UINT32_MAX; p++)
        v = v * 10 + (uint64_t)(*p - '0');
    if (p == ps->p || v > most)
        return false;
    ps->p = p;
    *out = (uint32_t)v;
    return true;
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool take_hex(struct parse *ps, uint8_t *out)
{
    if (ps->end - ps->p < 2 || hex_digit(ps->p[0]) < 0 ||
        hex_digit(ps->p[1]) < 0)
        return false;
    *out = (uint8_t)(hex_digit(ps->p[0]) * 16 + hex_digit(ps->p[1]));
    ps->p += 2;
    return true;
}

/* One character of a "literal", after its quote. */
static bool take_char(struct parse *ps, uint8_t *out)
{
    static const char from[] = "nrt0\\\"", to[] = "\n\r\t\0\\\"";
    const char *known;

    if (ps->p == ps->end || *ps->p == '"')
        return false;
    if (*ps->p != '\\') {
        *out = (uint8_t)*ps->p++;
        return true;
    }
    if (++ps->p == ps->end || *ps->p == '\0')
        return false;
    known = strchr(from, *ps->p);
    if (known == NULL)
        return false;
    *out = (uint8_t)to[known - from];
    ps->p++;
    return true;
}

/* "LOW-HIGH,..." or single numbers. */
static bool take_ranges(struct parse *ps, uint32_t most,
                        struct at_app_range *range, unsigned room, uint8_t *n)
{
    do {
        struct at_app_range *r = &range[*n];

        if (*n == room || !take_number(ps, most, &r->low))
            return false;
        r->high = r->low;
        if (take_text(ps, "-") &&
            (!take_number(ps, most, &r->high) || r->high < r->low))
            return false;
        ++*n;
    } while (take_text(ps, ","));
    return true;
}

/* ---- one side -------------------------------------------------------- */

static void set_add(struct at_app_class *c, unsigned low, unsigned high)
{
    for (unsigned b = low; b <= high; b++)
        c->bit[b / 64] |= UINT64_C(1) << (b % 64);
}

/* 47 or "x" */
static bool take_member(struct parse *ps, uint8_t *byte)
{
    if (take_text(ps, "\""))
        return take_char(ps, byte) && take_text(ps, "\"");
    return take_hex(ps, byte);
}

/* {47,80-bf,"a"-"z"} after its brace. */
static bool take_class(struct parse *ps, struct at_app_class *c)
{
    uint8_t low, high;

    do {
        if (!take_member(ps, &low))
            return false;
        high = low;
        if (take_text(ps, "-") && (!take_member(ps, &high) || high < low))
            return false;
        set_add(c, low, high);
    } while (take_text(ps, ","));
    return take_text(ps, "}");
}

/* The bits that all bytes of the class have in common. */
static void common_bits(const struct at_app_class *c, uint8_t *mask,
                        uint8_t *value)
{
    uint8_t ones = 0xff, zeros = 0xff;

    for (unsigned b = 0; b < 256; b++)
        if (at_app_class_has(c, (uint8_t)b)) {
            ones &= (uint8_t)b;
            zeros &= (uint8_t)~b;
        }
    *mask = ones | zeros;
    *value = ones;
}

static enum at_status parse_class(struct parse *ps, struct at_app_side *s,
                                  unsigned i)
{
    struct at_app_rules *r = ps->rules;
    struct at_app_class c = {{0}};

    if (!take_class(ps, &c))
        return fail(ps, "a set of bytes is {HH,HH-HH,...}");
    if (!grow(&r->class, r->classes, &r->class_room, sizeof(r->class[0])))
        return no_memory(ps);
    r->class[r->classes++] = c;
    s->class_at[i] = (uint32_t)r->classes;
    common_bits(&c, &s->mask[i], &s->value[i]);
    return AT_OK;
}

static enum at_status parse_literal(struct parse *ps, struct at_app_side *s,
                                    unsigned *i)
{
    uint8_t byte;

    while (take_char(ps, &byte)) {
        if (*i == AT_APP_BYTES)
            return fail(ps, "more than 4 bytes");
        s->mask[*i] = 0xff;
        s->value[(*i)++] = byte;
    }
    if (!take_text(ps, "\""))
        return fail(ps, "a literal does not end");
    return AT_OK;
}

/* A byte, with or without the mask of the bits that count. */
static enum at_status parse_byte(struct parse *ps, struct at_app_side *s,
                                 unsigned i)
{
    s->mask[i] = 0xff;
    if (!take_hex(ps, &s->value[i]) ||
        (take_text(ps, "/") && !take_hex(ps, &s->mask[i])))
        return fail(ps, "not a byte, a length or a field");
    if ((s->value[i] & ~s->mask[i]) != 0)
        return fail(ps, "a byte has bits that its mask has not");
    return AT_OK;
}

static enum at_status parse_bytes(struct parse *ps, struct at_app_side *s,
                                  unsigned *i)
{
    enum at_status st = AT_OK;

    if (take_text(ps, "\""))
        return parse_literal(ps, s, i);
    if (*i == AT_APP_BYTES)
        return fail(ps, "more than 4 bytes");
    if (take_text(ps, "{"))
        st = parse_class(ps, s, *i);
    else if (!take_text(ps, "*"))
        st = parse_byte(ps, s, *i);
    ++*i;
    return st;
}

/* After its 'L'. */
static enum at_status parse_length(struct parse *ps, struct at_app_side *s)
{
    struct at_app_range r = {0, UINT32_MAX};
    bool good;

    if (s->lengths > 0)
        return fail(ps, "two lengths");
    if (take_text(ps, "=")) {
        good = take_ranges(ps, UINT32_MAX, s->length, AT_APP_LENGTHS,
                           &s->lengths);
    } else {
        good = take_text(ps, ">=") ? take_number(ps, UINT32_MAX, &r.low)
                                   : take_text(ps, "<=") &&
                                         take_number(ps, UINT32_MAX, &r.high);
        s->length[s->lengths++] = r;
    }
    return good ? AT_OK : fail(ps, "a length is L=N-N,... or L>=N or L<=N");
}

static const struct field_name {
    const char *name;
    uint8_t bytes;
    bool little;
} field_names[] = {
    {"u8@", 1, false},   {"be16@", 2, false}, {"be24@", 3, false},
    {"be32@", 4, false}, {"le16@", 2, true},  {"le24@", 3, true},
    {"le32@", 4, true},
};

static const struct field_name *take_field_name(struct parse *ps)
{
    for (size_t i = 0; i < sizeof(field_names) / sizeof(field_names[0]); i++)
        if (take_text(ps, field_names[i].name))
            return &field_names[i];
    return NULL;
}

static bool take_relation(struct parse *ps, uint8_t *relation)
{
    if (take_text(ps, "="))
        *relation = AT_APP_EQUAL;
    else if (take_text(ps, ">="))
        *relation = AT_APP_LEAST;
    else if (take_text(ps, "<="))
        *relation = AT_APP_MOST;
    else
        return false;
    return true;
}

/* L, L-4, L+2, or a number. */
static bool take_field_end(struct parse *ps, struct at_app_field *f)
{
    uint32_t n = 0;
    int sign = 1;

    f->length = take_text(ps, "L");
    if (f->length && !take_text(ps, "+")) {
        if (!take_text(ps, "-"))
            return true;
        sign = -1;
    }
    if (!take_number(ps, UINT32_MAX, &n))
        return false;
    f->plus = sign * (int64_t)n;
    return true;
}

/* After its name: AT [*SCALE] RELATION END.  A field stands for its bytes
 * unless they were named before it. */
static enum at_status parse_field(struct parse *ps, struct at_app_side *s,
                                  const struct field_name *name,
                                  unsigned *bytes)
{
    struct at_app_field f = {
        .bytes = name->bytes,
        .little = name->little,
        .scale = 1,
    };
    uint32_t at, scale = 1;

    if (s->fields == AT_APP_FIELDS)
        return fail(ps, "more than two fields");
    if (!take_number(ps, AT_APP_BYTES - name->bytes, &at) ||
        (take_text(ps, "*") && !take_number(ps, 256, &scale)) ||
        !take_relation(ps, &f.relation) || !take_field_end(ps, &f))
        return fail(ps, "a field is be16@AT=L-N, or the like, in 4 bytes");
    f.at = (uint8_t)at;
    f.scale = (uint16_t)scale;
    s->field[s->fields++] = f;
    if (s->need < f.at + f.bytes)
        s->need = (uint8_t)(f.at + f.bytes);
    if (*bytes <= at)
        *bytes = at + f.bytes;
    return AT_OK;
}

static bool side_ends(struct parse *ps)
{
    return at_end(ps) || is_word(ps, "|") || is_word(ps, "<>") ||
           is_word(ps, "same");
}

/* Bytes must be there up to the last that matters. */
static void set_need(struct at_app_side *s)
{
    for (unsigned i = 0; i < AT_APP_BYTES; i++)
        if (s->mask[i] != 0 || s->class_at[i] != 0)
            if (s->need < i + 1)
                s->need = (uint8_t)(i + 1);
}

static enum at_status parse_sent(struct parse *ps, struct at_app_side *s)
{
    enum at_status st = AT_OK;
    unsigned bytes = 0;

    while (st == AT_OK && !side_ends(ps)) {
        const struct field_name *field = take_field_name(ps);

        if (field != NULL)
            st = parse_field(ps, s, field, &bytes);
        else if (take_text(ps, "L"))
            st = parse_length(ps, s);
        else
            st = parse_bytes(ps, s, &bytes);
        if (st == AT_OK && ps->p < ps->end && !is_space(*ps->p) &&
            *ps->p != '"' && *ps->p != '{')
            st = fail(ps, "what is this");
    }
    set_need(s);
    return st;
}

static enum at_status parse_side(struct parse *ps)
{
    struct at_app_side *s = new_side(ps);

    if (s == NULL)
        return no_memory(ps);
    if (side_ends(ps))
        return fail(ps, "a side is missing");
    if (take_word(ps, "any"))
        s->kind = AT_APP_ANY;
    else if (take_word(ps, "-"))
        s->kind = AT_APP_SILENCE;
    else if (!take_word(ps, "some"))
        return parse_sent(ps, s);
    return side_ends(ps) ? AT_OK : fail(ps, "any, some and - stand alone");
}

/* Alternatives, with '|' between them. */
static enum at_status parse_sides(struct parse *ps, uint32_t *first,
                                  uint16_t *n)
{
    enum at_status st;

    *first = (uint32_t)ps->rules->sides;
    do {
        st = parse_side(ps);
    } while (st == AT_OK && take_word(ps, "|"));
    if (st == AT_OK && ps->rules->sides - *first > 64)
        return fail(ps, "more than 64 alternatives");
    *n = (uint16_t)(ps->rules->sides - *first);
    return st;
}

/* ---- one rule -------------------------------------------------------- */

/* @53 one port is; @@53 both are; @!53 none is */
static enum at_status parse_ports(struct parse *ps, struct at_app_rule *rule)
{
    rule->both = take_text(ps, "@");
    rule->without = !rule->both && take_text(ps, "!");
    if (!take_ranges(ps, UINT16_MAX, rule->port, AT_APP_PORTS, &rule->ports) ||
        ps->p == ps->end || !is_space(*ps->p))
        return fail(ps, "ports are @N,N-N,... or @@N or @!N");
    skip_space(ps);
    return AT_OK;
}

static enum at_status parse_same(struct parse *ps, struct at_app_rule *rule)
{
    uint32_t i;

    do {
        skip_space(ps);
        if (!take_number(ps, AT_APP_BYTES - 1, &i))
            return fail(ps, "same is followed by numbers from 0 to 3");
        rule->same |= (uint8_t)(1u << i);
    } while (!at_end(ps));
    return AT_OK;
}

/* Alternatives of the other end that are those of this one. */
static enum at_status copy_sides(struct parse *ps, struct at_app_rule *rule)
{
    rule->b = (uint32_t)ps->rules->sides;
    for (uint16_t i = 0; i < rule->as; i++) {
        struct at_app_side *s = new_side(ps);

        if (s == NULL)
            return no_memory(ps);
        *s = ps->rules->side[rule->a + i];
    }
    rule->bs = rule->as;
    return AT_OK;
}

static enum at_status add_side(struct parse *ps, struct at_app_rule *rule,
                               enum at_app_kind kind)
{
    struct at_app_side *s = new_side(ps);

    if (s == NULL)
        return no_memory(ps);
    s->kind = (uint8_t)kind;
    if (rule->bs++ == 0)
        rule->b = (uint32_t)ps->rules->sides - 1;
    return AT_OK;
}

/* A | A <> B | B;  both A;  each A;  A, with anything from the other end */
static enum at_status parse_pattern(struct parse *ps, struct at_app_rule *rule)
{
    const bool both = take_word(ps, "both");
    const bool each = !both && take_word(ps, "each");
    enum at_status st = parse_sides(ps, &rule->a, &rule->as);

    if (st != AT_OK)
        return st;
    if (both || each) {
        st = copy_sides(ps, rule);
        if (st == AT_OK && each)
            st = add_side(ps, rule, AT_APP_SILENCE);
        return st;
    }
    if (take_word(ps, "<>"))
        return parse_sides(ps, &rule->b, &rule->bs);
    return add_side(ps, rule, AT_APP_ANY);
}

static bool take_transport(struct parse *ps, struct at_app_rule *rule)
{
    static const char *const name[] = {"tcp", "udp", "sctp", "ip"};

    for (unsigned i = 0; i < AT_APP_TRANSPORTS; i++)
        if (take_word(ps, name[i])) {
            rule->transport = (uint8_t)i;
            return true;
        }
    return false;
}

static enum at_status parse_options(struct parse *ps, struct at_app_rule *rule)
{
    uint32_t n;

    skip_space(ps);
    if (take_text(ps, "@") && parse_ports(ps, rule) != AT_OK)
        return AT_ERR_SYNTAX;
    if (take_text(ps, "prio=")) {
        if (!take_number(ps, AT_APP_PRIORITIES - 1, &n))
            return fail(ps, "a priority is a number from 0 to 9");
        rule->priority = (uint8_t)n;
    }
    return AT_OK;
}

/* ip N: nothing but the number. */
static enum at_status parse_proto(struct parse *ps, struct at_app_rule *rule)
{
    uint32_t n;

    skip_space(ps);
    if (!take_number(ps, UINT8_MAX, &n) || !at_end(ps))
        return fail(ps, "ip is followed by the number of a protocol");
    rule->proto = (uint8_t)n;
    return AT_OK;
}

static enum at_status parse_rule(struct parse *ps)
{
    struct at_app_rules *r = ps->rules;
    struct at_app_rule rule = {
        .app = ps->app,
        .line = ps->line,
        .priority = 5,
        .user = ps->user,
    };
    enum at_status st;

    if (!take_transport(ps, &rule))
        return fail(ps, "a line begins with app, tcp, udp, sctp or ip");
    if (ps->app < AT_APP_NAMED)
        return fail(ps, "a rule stands before the first app");
    if (rule.transport == AT_APP_IP) {
        st = parse_proto(ps, &rule);
    } else {
        st = parse_options(ps, &rule);
        if (st == AT_OK)
            st = parse_pattern(ps, &rule);
        if (st == AT_OK && take_word(ps, "same"))
            st = parse_same(ps, &rule);
    }
    if (st == AT_OK && !at_end(ps))
        return fail(ps, "something is left at the end");
    if (st != AT_OK)
        return st;
    if (r->rules == RULES_MOST)
        return fail(ps, "too many rules");
    if (!grow(&r->rule, r->rules, &r->rule_room, sizeof(r->rule[0])))
        return no_memory(ps);
    r->rule[r->rules++] = rule;
    return AT_OK;
}

/* ---- applications ---------------------------------------------------- */

static void free_def(struct at_app_def *def)
{
    free(def->name);
    free(def->category);
    free(def->reference);
}

static bool is_name(const char *p, size_t n)
{
    if (n == 0 || n > NAME_BYTES || p[0] < 'a' || p[0] > 'z')
        return false;
    for (size_t i = 0; i < n; i++)
        if (!((p[i] >= 'a' && p[i] <= 'z') || (p[i] >= '0' && p[i] <= '9') ||
              p[i] == '-'))
            return false;
    return true;
}

static enum at_status take_name(struct parse *ps, char **out)
{
    const size_t n = peek_word(ps);

    if (!is_name(ps->p, n))
        return fail(ps, "a name begins with a letter and has no more than 40 "
                        "of a-z, 0-9 and -");
    *out = strndup(ps->p, n);
    ps->p += n;
    return *out != NULL ? AT_OK : no_memory(ps);
}

static enum at_status take_reference(struct parse *ps, char **out)
{
    const char *end;

    skip_space(ps);
    if (!take_text(ps, "\"") ||
        (end = memchr(ps->p, '"', (size_t)(ps->end - ps->p))) == NULL ||
        end == ps->p)
        return fail(ps, "an app has a reference in quotes");
    *out = strndup(ps->p, (size_t)(end - ps->p));
    ps->p = end + 1;
    return *out != NULL ? AT_OK : no_memory(ps);
}

static size_t find_app(const struct at_app_rules *r, const char *name)
{
    size_t i = 0;

    while (i < r->apps && strcmp(r->app[i].name, name) != 0)
        i++;
    return i;
}

static enum at_status add_app(struct parse *ps, const struct at_app_def *def)
{
    struct at_app_rules *r = ps->rules;

    if (r->apps == UINT16_MAX)
        return fail(ps, "too many apps");
    if (!grow(&r->app, r->apps, &r->app_room, sizeof(r->app[0])))
        return no_memory(ps);
    ps->app = (uint32_t)r->apps;
    r->app[r->apps++] = *def;
    return AT_OK;
}

/* What follows the name of one that is there: nothing, and not in one file. */
static enum at_status more_of_app(struct parse *ps, size_t app)
{
    if (!ps->user || app < AT_APP_NAMED)
        return fail(ps, "this app was there before");
    if (!at_end(ps))
        return fail(ps, "this app has its category and reference already");
    ps->app = (uint32_t)app;
    return AT_OK;
}

static enum at_status new_app(struct parse *ps, struct at_app_def *def)
{
    enum at_status st = take_name(ps, &def->category);

    if (st == AT_OK)
        st = take_reference(ps, &def->reference);
    if (st == AT_OK && !at_end(ps))
        st = fail(ps, "something is left at the end");
    return st == AT_OK ? add_app(ps, def) : st;
}

/* NOLINTBEGIN(clang-analyzer-unix.Malloc): the rules have what was added */
static enum at_status parse_app(struct parse *ps)
{
    struct at_app_def def = {NULL, NULL, NULL};
    enum at_status st = take_name(ps, &def.name);
    size_t app;

    if (st != AT_OK || def.name == NULL)
        return st;
    app = find_app(ps->rules, def.name);
    if (app == ps->rules->apps) {
        st = new_app(ps, &def);
        if (st == AT_OK)
            return AT_OK;
    } else {
        st = more_of_app(ps, app);
    }
    free_def(&def);
    return st;
}

/* The applications that no rule names. */
static enum at_status add_fixed(struct parse *ps)
{
    static const char *const name[AT_APP_NAMED] = {
        [AT_APP_UNKNOWN] = "unknown",
        [AT_APP_NO_PAYLOAD] = "no-payload",
        [AT_APP_NOT_CAPTURED] = "not-captured",
        [AT_APP_ONE_WAY] = "one-way",
    };
    enum at_status st = AT_OK;

    for (int i = 0; i < AT_APP_NAMED && st == AT_OK; i++) {
        struct at_app_def def = {
            .name = strdup(name[i]),
            .category = strdup("unknown"),
            .reference = strdup("archive_trace-apps(5)"),
        };

        if (def.name == NULL || def.category == NULL || def.reference == NULL)
            st = no_memory(ps);
        else
            st = add_app(ps, &def);
        if (st != AT_OK)
            free_def(&def);
    }
    return st;
}
/* NOLINTEND(clang-analyzer-unix.Malloc) */

static enum at_status parse_line(struct parse *ps)
{
    if (at_end(ps))
        return AT_OK;
    return take_word(ps, "app") ? parse_app(ps) : parse_rule(ps);
}

enum at_status at_app_rules_parse(struct at_app_rules *rules, const char *name,
                                  const char *text, size_t n, bool user,
                                  struct at_error *err)
{
    struct parse ps = {
        .rules = rules,
        .name = name,
        .user = user,
        .err = err,
    };
    const char *const end = text + n;
    enum at_status st = rules->apps == 0 ? add_fixed(&ps) : AT_OK;

    while (st == AT_OK && text < end) {
        const char *eol = memchr(text, '\n', (size_t)(end - text));

        ps.p = text;
        ps.end = eol != NULL ? eol : end;
        ps.line++;
        text = eol != NULL ? eol + 1 : end;
        st = parse_line(&ps);
    }
    return st;
}

void at_app_rules_free(struct at_app_rules *rules)
{
    for (size_t i = 0; i < rules->apps; i++)
        free_def(&rules->app[i]);
    free(rules->app);
    free(rules->rule);
    free(rules->side);
    free(rules->class);
    *rules = (struct at_app_rules){NULL, 0, 0, NULL, 0, 0,
                                   NULL, 0, 0, NULL, 0, 0};
}

/* ---- examples -------------------------------------------------------- */

static bool take_word_number(struct parse *ps, uint32_t most, uint32_t *n)
{
    skip_space(ps);
    return take_number(ps, most, n) && (ps->p == ps->end || is_space(*ps->p));
}

/* What was sent, of a side that says it exactly. */
static bool example_way(struct at_app_way *way, const struct at_app_side *s)
{
    if (s->kind == AT_APP_SILENCE)
        return true;
    if (s->kind != AT_APP_SENT || s->fields > 0)
        return false;
    way->payload = AT_APP_FIRST;
    way->captured = s->need;
    for (unsigned i = 0; i < s->need; i++) {
        if (s->mask[i] != 0xff || s->class_at[i] != 0)
            return false;
        way->bytes[i] = s->value[i];
    }
    way->length = s->lengths > 0 ? s->length[0].low : s->need;
    return s->lengths <= 1 && way->length >= s->need;
}

static enum at_status example_sides(struct parse *ps, struct at_app_flow *flow)
{
    const struct at_app_side *side;
    enum at_status st = parse_side(ps);

    if (st == AT_OK && !take_word(ps, "<>"))
        st = fail(ps, "two sides have <> between them");
    if (st == AT_OK)
        st = parse_side(ps);
    if (st != AT_OK)
        return st;
    side = ps->rules->side;
    if (!at_end(ps) || !example_way(&flow->way[0], &side[0]) ||
        !example_way(&flow->way[1], &side[1]))
        return fail(ps, "an example has bytes and L=N, or -, and no choice");
    return AT_OK;
}

static enum at_status example_head(struct parse *ps, struct at_app_flow *flow,
                                   char *name, size_t name_bytes)
{
    static const uint8_t protos[] = {6, 17, 132, 0};
    const size_t n = peek_word(ps);
    struct at_app_rule rule;
    uint32_t a = 0, b = 0;

    if (n >= name_bytes || !is_name(ps->p, n))
        return fail(ps, "an example begins with the name of an app");
    memcpy(name, ps->p, n);
    name[n] = '\0';
    ps->p += n;
    if (!take_transport(ps, &rule) || !take_word_number(ps, UINT16_MAX, &a) ||
        (rule.transport != AT_APP_IP && !take_word_number(ps, UINT16_MAX, &b)))
        return fail(ps, "the name is followed by a transport and two ports");
    flow->proto = rule.transport == AT_APP_IP ? (uint8_t)a
                                              : protos[rule.transport];
    flow->sport = (uint16_t)a;
    flow->dport = (uint16_t)b;
    return AT_OK;
}

enum at_status at_app_example(struct at_app_flow *flow, char *name,
                              size_t name_bytes, const char *line,
                              struct at_error *err)
{
    struct at_app_rules rules = {NULL, 0, 0, NULL, 0, 0,
                                 NULL, 0, 0, NULL, 0, 0};
    struct parse ps = {
        .rules = &rules,
        .name = "example",
        .p = line,
        .end = line + strlen(line),
        .line = 1,
        .err = err,
    };
    enum at_status st;

    memset(flow, 0, sizeof(*flow));
    if (at_end(&ps))
        return AT_END;
    st = example_head(&ps, flow, name, name_bytes);
    if (st == AT_OK && !at_end(&ps))
        st = example_sides(&ps, flow);
    at_app_rules_free(&rules);
    return st;
}
