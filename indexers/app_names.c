/*
 * app_names.c - names of applications, and that of a flow
 */
#include "app_names.h"

#include <stdlib.h>
#include <string.h>

static void entry_free(struct at_app_name *e)
{
    free(e->name);
    free(e->category);
}

static bool make_room(struct at_app_names *names)
{
    const size_t room = names->room * 2 + 64;
    struct at_app_name *more;

    if (names->n < names->room)
        return true;
    more = realloc(names->entry, room * sizeof(*more));
    if (more == NULL)
        return false;
    names->entry = more;
    names->room = room;
    return true;
}

enum at_status at_app_names_add(struct at_app_names *names, const char *name,
                                const char *category, struct at_app_name *out)
{
    struct at_app_name e;

    for (size_t i = 0; i < names->n; i++)
        if (strcmp(names->entry[i].name, name) == 0 &&
            strcmp(names->entry[i].category, category) == 0) {
            *out = names->entry[i];
            return AT_OK;
        }
    e = (struct at_app_name){strdup(name), strdup(category)};
    if (e.name == NULL || e.category == NULL || !make_room(names)) {
        entry_free(&e);
        return AT_ERR_MEMORY;
    }
    names->entry[names->n++] = *out = e;
    return AT_OK;
}

void at_app_names_close(struct at_app_names *names)
{
    for (size_t i = 0; i < names->n; i++)
        entry_free(&names->entry[i]);
    free(names->entry);
    *names = (struct at_app_names){.n = 0};
}

static void take_way(struct at_app_way *way, const struct at_flow_row *row,
                     int dir)
{
    way->payload = (uint8_t)(row->first_len[dir] > 0 ? AT_APP_FIRST
                             : row->payload[dir] > 0 ? AT_APP_LOST
                                                     : AT_APP_SILENT);
    way->captured = row->captured[dir];
    way->length = row->first_len[dir];
    memcpy(way->bytes, row->first[dir], AT_APP_BYTES);
}

uint16_t at_app_of_row(const struct at_apps *apps, struct at_flow_row *row)
{
    struct at_app_flow flow = {
        .sport = row->sport,
        .dport = row->dport,
        .proto = row->proto,
    };
    struct at_app_match match;

    if (row->net != AT_NET_IPV4 && row->net != AT_NET_IPV6)
        return AT_APP_UNKNOWN;
    take_way(&flow.way[0], row, 0);
    take_way(&flow.way[1], row, 1);
    at_apps_match(apps, &flow, &match);
    row->app = at_app_name(apps, match.app);
    row->category = at_app_category(apps, match.app);
    row->confidence = match.confidence;
    return match.app;
}
