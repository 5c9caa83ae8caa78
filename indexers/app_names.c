/*
 * app_names.c - names of applications, numbered; and that of a flow
 */
#include "app_names.h"

#include <stdlib.h>
#include <string.h>

static enum at_status append(struct at_app_names *names, const char *name,
                             const char *category)
{
    struct at_app_entry e = {strdup(name), strdup(category)};

    if (names->n == names->room) {
        const size_t room = names->room * 2 + 64;
        struct at_app_entry *more = realloc(names->entry, room * sizeof(*more));

        if (more != NULL) {
            names->entry = more;
            names->room = room;
        }
    }
    if (e.name == NULL || e.category == NULL || names->n == names->room ||
        names->n == AT_ROW_NO_APP) {
        free(e.name);
        free(e.category);
        return AT_ERR_MEMORY;
    }
    names->entry[names->n++] = e;
    return AT_OK;
}

enum at_status at_app_names_of(struct at_app_names *names,
                               const struct at_apps *apps)
{
    enum at_status st = AT_OK;

    for (size_t i = 0; i < at_apps_count(apps) && st == AT_OK; i++)
        st = append(names, at_app_name(apps, i), at_app_category(apps, i));
    return st;
}

void at_app_names_close(struct at_app_names *names)
{
    for (size_t i = 0; i < names->n; i++) {
        free(names->entry[i].name);
        free(names->entry[i].category);
    }
    free(names->entry);
    *names = (struct at_app_names){.n = 0};
}

enum at_status at_app_names_add(struct at_app_names *names, const char *name,
                                const char *category, uint16_t *number)
{
    size_t i = 0;

    while (i < names->n && strcmp(names->entry[i].name, name) != 0)
        i++;
    *number = (uint16_t)i;
    return i < names->n ? AT_OK : append(names, name, category);
}

const char *at_app_names_name(const struct at_app_names *names, uint16_t app)
{
    return names != NULL && app < names->n ? names->entry[app].name : "";
}

const char *at_app_names_category(const struct at_app_names *names,
                                  uint16_t app)
{
    return names != NULL && app < names->n ? names->entry[app].category : "";
}

static void take_way(struct at_app_way *way, const struct at_flow_row *row,
                     int dir)
{
    if (row->first_len[dir] > 0) {
        way->payload = AT_APP_FIRST;
        way->captured = row->captured[dir];
        way->length = row->first_len[dir];
        memcpy(way->bytes, row->first[dir], AT_APP_BYTES);
    } else if (row->payload[dir] > 0) {
        way->payload = AT_APP_LOST;
    }
}

void at_app_of_row(const struct at_apps *apps, struct at_flow_row *row)
{
    struct at_app_flow flow = {
        .sport = row->sport,
        .dport = row->dport,
        .proto = row->proto,
    };
    struct at_app_match match;

    if (row->net != AT_NET_IPV4 && row->net != AT_NET_IPV6)
        return;
    take_way(&flow.way[0], row, 0);
    take_way(&flow.way[1], row, 1);
    at_apps_match(apps, &flow, &match);
    row->app = match.app;
    row->confidence = match.confidence;
}
