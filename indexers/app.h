/*
 * app.h - which application a flow is of
 *
 * Told from what survives snapping and anonymising: the first four payload
 * bytes each way, the lengths of the payloads they begin, and the ports.
 * What is known of protocols is data, in apps.rules, which is compiled in;
 * archive_trace-apps(5) describes it.
 *
 * A set of rules never changes once it is open: any number of threads may use
 * it.
 */
#ifndef AT_APP_H
#define AT_APP_H

#include "archive_trace.h"

struct at_apps;

/* Applications that no rule names: they have these numbers in every set. */
enum {
    AT_APP_UNKNOWN = 0,  /* payload was seen both ways, and no rule knows it */
    AT_APP_NO_PAYLOAD,   /* neither end sent any */
    AT_APP_NOT_CAPTURED, /* there was payload, but not the first of it */
    AT_APP_ONE_WAY,      /* as unknown, but only one end has sent */
    AT_APP_NAMED,        /* those of rules count from here */
};

/* How much speaks for an answer: the greater the better. */
enum at_app_confidence {
    AT_APP_NONE = 0,     /* it is one of those above */
    AT_APP_PORT,         /* a port alone */
    AT_APP_WEAK,         /* lengths, or a few bits */
    AT_APP_PATTERN,      /* bytes of one end */
    AT_APP_PATTERN_PORT, /* and a port */
    AT_APP_BOTH,         /* bytes of both ends */
    AT_APP_PROTOCOL,     /* the number of the IP protocol */
    AT_APP_CONFIDENCES
};

/* "none", "port", "weak", "pattern", "pattern+port", "both", "protocol" */
const char *at_app_confidence_name(unsigned confidence);

enum at_app_payload {
    AT_APP_SILENT = 0, /* no payload was seen */
    AT_APP_LOST,       /* some was, but not the first of it */
    AT_APP_FIRST,      /* the first of it */
};

enum { AT_APP_BYTES = 4 };

/* What one end sent first. */
struct at_app_way {
    uint8_t payload;             /* enum at_app_payload */
    uint8_t captured;            /* how many of 'bytes' there are */
    uint8_t bytes[AT_APP_BYTES]; /* what follows 'captured' is not looked at */
    uint32_t length;             /* of the packet's payload on the wire */
};

struct at_app_flow {
    struct at_app_way way[2]; /* from the source; to it */
    uint16_t sport, dport;
    uint8_t proto; /* of IP */
};

struct at_app_match {
    uint16_t app;
    uint8_t confidence; /* enum at_app_confidence */
    uint32_t rule;      /* line of its file, 0 if there is none */
};

/*
 * at_apps_open() compiles the rules that are built in and, unless it is
 * NULL, those of the file 'path', which come before them.  A mistake in it
 * is AT_ERR_SYNTAX, with the line in the message.
 */
enum at_status at_apps_open(struct at_apps **out, const char *path,
                            struct at_error *err);
/* The same of text alone; 'name' is for messages. */
enum at_status at_apps_parse(struct at_apps **out, const char *name,
                             const char *text, size_t n, struct at_error *err);
void at_apps_close(struct at_apps *apps);

/* Never fails, and looks at nothing but *flow. */
void at_apps_match(const struct at_apps *apps, const struct at_app_flow *flow,
                   struct at_app_match *match);

/* Applications are numbered from 0 to below at_apps_count(). */
size_t at_apps_count(const struct at_apps *apps);
const char *at_app_name(const struct at_apps *apps, size_t app);
const char *at_app_category(const struct at_apps *apps, size_t app);
/* Where what the rules say is written. */
const char *at_app_reference(const struct at_apps *apps, size_t app);
/* The number of a name; at_apps_count() if it is not there. */
size_t at_app_find(const struct at_apps *apps, const char *name);
bool at_app_is_category(const struct at_apps *apps, const char *name);

/*
 * Calls fn() for each rule that no flow can match, that always gives way to
 * others, that is not needed by any of the 'n' flows given as examples (if
 * n > 0).  Returns how many there were.
 */
typedef void at_apps_fault_fn(void *ctx, const char *fault);
size_t at_apps_check(const struct at_apps *apps,
                     const struct at_app_flow *example, size_t n,
                     at_apps_fault_fn *fn, void *ctx);

/*
 * Reads one line of examples, "NAME TRANSPORT SPORT DPORT SIDE <> SIDE",
 * with SIDE as in a rule.  AT_END where the line says nothing.
 */
enum at_status at_app_example(struct at_app_flow *flow, char *name,
                              size_t name_bytes, const char *line,
                              struct at_error *err);

#endif
