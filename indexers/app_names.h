/*
 * app_names.h - names of applications, and that of a flow
 */
#ifndef AT_APP_NAMES_H
#define AT_APP_NAMES_H

#include "app.h"
#include "flow_row.h"

/* Names that indexes have, kept for as long as rows speak of them.  All zero
 * is none; one thread at a time. */
struct at_app_name {
    char *name, *category;
};
struct at_app_names {
    struct at_app_name *entry;
    size_t n, room;
};

/* The entry of that name and category, added if need be, whose strings stay
 * where they are.  AT_OK or AT_ERR_MEMORY. */
enum at_status at_app_names_add(struct at_app_names *names, const char *name,
                                const char *category, struct at_app_name *out);
void at_app_names_close(struct at_app_names *names);

/* Gives a flow of IP its application by the rules, whose strings it gets.
 * Returns the application's number there. */
uint16_t at_app_of_row(const struct at_apps *apps, struct at_flow_row *row);

#endif
