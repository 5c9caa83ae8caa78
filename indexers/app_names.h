/*
 * app_names.h - names of applications, numbered
 *
 * Rules number their applications, and an index numbers those that it has; a
 * list of names has one number for both.
 */
#ifndef AT_APP_NAMES_H
#define AT_APP_NAMES_H

#include "app.h"
#include "flow_row.h"

struct at_app_entry {
    char *name, *category;
};

/* All zero is none. */
struct at_app_names {
    struct at_app_entry *entry;
    size_t n, room;
};

/* The applications of the rules, by the numbers they have there. */
enum at_status at_app_names_of(struct at_app_names *names,
                               const struct at_apps *apps);
void at_app_names_close(struct at_app_names *names);

/* The number of a name, which is added if need be; a known one keeps the
 * category it has. */
enum at_status at_app_names_add(struct at_app_names *names, const char *name,
                                const char *category, uint16_t *number);

/* "" for AT_ROW_NO_APP. */
const char *at_app_names_name(const struct at_app_names *names, uint16_t app);
const char *at_app_names_category(const struct at_app_names *names,
                                  uint16_t app);

/* Gives the flow, if it is one of IP, its application by the rules. */
void at_app_of_row(const struct at_apps *apps, struct at_flow_row *row);

#endif
