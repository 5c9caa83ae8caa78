/*
 * app_rules.h - rules as they were read
 *
 * For app_cells.c and app_match.c, which compile them, and app_check.c, which
 * doubts them.
 */
#ifndef AT_APP_RULES_H
#define AT_APP_RULES_H

#include "app.h"

enum at_app_transport {
    AT_APP_TCP,
    AT_APP_UDP,
    AT_APP_SCTP,
    AT_APP_IP, /* nothing but the protocol's number */
    AT_APP_TRANSPORTS,
};

enum {
    AT_APP_LENGTHS = 8, /* ranges of lengths that a side can have */
    AT_APP_FIELDS = 2,
    AT_APP_PORTS = 16, /* ranges of ports that a rule can have */
    AT_APP_PRIORITIES = 10,
};

struct at_app_range {
    uint32_t low, high;
};

/* 256 bits: which bytes may stand in a place */
struct at_app_class {
    uint64_t bit[4];
};

enum at_app_relation { AT_APP_EQUAL, AT_APP_LEAST, AT_APP_MOST };

/* value * scale RELATION plus, or L + plus with 'length' */
struct at_app_field {
    uint8_t at, bytes;
    bool little, length;
    uint8_t relation; /* enum at_app_relation */
    uint16_t scale;
    int64_t plus;
};

enum at_app_kind {
    AT_APP_ANY,     /* whatever was sent or not */
    AT_APP_SILENCE, /* nothing was sent */
    AT_APP_SENT,    /* something, as below */
};

/* One alternative of what one end may send first. */
struct at_app_side {
    uint8_t kind; /* enum at_app_kind */
    uint8_t need; /* bytes that must have been captured */
    uint8_t mask[AT_APP_BYTES], value[AT_APP_BYTES];
    uint32_t class_at[AT_APP_BYTES]; /* number + 1; 0: mask and value say all */
    uint8_t lengths, fields;
    struct at_app_range length[AT_APP_LENGTHS]; /* none: any length */
    struct at_app_field field[AT_APP_FIELDS];
};

struct at_app_rule {
    uint32_t app;
    uint32_t line;
    uint32_t a, b; /* their first sides */
    uint16_t as, bs;
    uint8_t transport; /* enum at_app_transport */
    uint8_t proto;     /* of AT_APP_IP */
    uint8_t priority;  /* lower comes first */
    bool user;
    bool both;    /* both ports are in 'port', else one is enough */
    bool without; /* neither port is in it */
    uint8_t same; /* bit i: byte i is the same both ways */
    uint8_t ports;
    struct at_app_range port[AT_APP_PORTS];
};

struct at_app_def {
    char *name, *category, *reference;
};

struct at_app_rules {
    struct at_app_def *app;
    size_t apps, app_room;
    struct at_app_rule *rule;
    size_t rules, rule_room;
    struct at_app_side *side;
    size_t sides, side_room;
    struct at_app_class *class;
    size_t classes, class_room;
};

/* Adds the rules of a text; after an error *rules still needs to be freed. */
enum at_status at_app_rules_parse(struct at_app_rules *rules, const char *name,
                                  const char *text, size_t n, bool user,
                                  struct at_error *err);
void at_app_rules_free(struct at_app_rules *rules);

/* The rules that are built in. */
extern const char at_app_rules_text[];
extern const size_t at_app_rules_bytes;

static inline bool at_app_class_has(const struct at_app_class *c, uint8_t byte)
{
    return (c->bit[byte / 64] >> (byte % 64) & 1) != 0;
}

/* Whether the side allows this byte in place 'i'. */
static inline bool at_app_side_allows(const struct at_app_rules *rules,
                                      const struct at_app_side *s, unsigned i,
                                      uint8_t byte)
{
    return (byte & s->mask[i]) == s->value[i] &&
           (s->class_at[i] == 0 ||
            at_app_class_has(&rules->class[s->class_at[i] - 1], byte));
}

/* Captured bytes that belong to the payload. */
static inline unsigned at_app_bytes_of(const struct at_app_way *way)
{
    const unsigned n = way->captured < AT_APP_BYTES ? way->captured
                                                    : AT_APP_BYTES;

    return n < way->length ? n : way->length;
}

/* What a field says of a packet: both sides of its relation. */
static inline uint64_t at_app_field_value(const struct at_app_field *f,
                                          const uint8_t *bytes)
{
    uint64_t v = 0;

    for (unsigned i = 0; i < f->bytes; i++)
        v = v << 8 | bytes[f->at + (f->little ? f->bytes - 1u - i : i)];
    return v * f->scale;
}

/* at_apps_parse() without the built-in rules. */
enum at_status at_apps_parse_alone(struct at_apps **out, const char *text,
                                   size_t n, struct at_error *err);

/* The rules compiled; app_match.c has more to say of it. */
const struct at_app_rules *at_apps_rules(const struct at_apps *apps);

/* The rule that answers for a flow; UINT32_MAX if none does. */
uint32_t at_apps_decide(const struct at_apps *apps,
                        const struct at_app_flow *flow);

/* Whether a rule's alternatives 'a' and 'b' match the flow, with 'a' the one
 * that the end 'way' sent. */
bool at_app_rule_holds(const struct at_app_rules *rules,
                       const struct at_app_rule *rule,
                       const struct at_app_side *a, const struct at_app_side *b,
                       const struct at_app_flow *flow, unsigned way);

/* The same with way 0 of a flow whose ends are known to have sent what 'a' and
 * 'b' are about, with the bytes that they ask for. */
bool at_app_rest_holds(const struct at_app_rule *rule,
                       const struct at_app_side *a, const struct at_app_side *b,
                       const struct at_app_flow *flow);

#endif
