/*
 * flow_names.c - the flow of each packet by number, and in the end its name
 */
#include "flow_names.h"

#include <stdlib.h>

#include "app_names.h"
#include "tracker.h"

enum { IP = 1 << 16 };

struct at_flow_names {
    const struct at_apps *apps;
    struct at_tracker *tracker;
    uint32_t *name; /* by number: IP and an application, or an ethertype */
    size_t room;
};

static bool make_room(struct at_flow_names *n, size_t number)
{
    const size_t room = number + number / 2 + 1024;
    uint32_t *name;

    if (number < n->room)
        return true;
    name = realloc(n->name, room * sizeof(name[0]));
    if (name == NULL)
        return false;
    n->name = name;
    n->room = room;
    return true;
}

static enum at_status name_flow(void *ctx, const struct at_flow *flow,
                                const uint32_t *number, size_t numbers,
                                uint32_t name)
{
    struct at_flow_names *n = ctx;
    struct at_flow_row row;

    (void)numbers;
    (void)name;
    if (!make_room(n, number[0]))
        return AT_ERR_MEMORY;
    if (flow->key.net == AT_NET_IPV4 || flow->key.net == AT_NET_IPV6) {
        at_flow_row_of(&row, flow);
        n->name[number[0]] = IP | at_app_of_row(n->apps, &row);
    } else {
        n->name[number[0]] = flow->key.lo_port;
    }
    return AT_OK;
}

struct at_flow_names *at_flow_names_open(const struct at_apps *apps,
                                         uint64_t seed)
{
    struct at_flow_names *n = calloc(1, sizeof(*n));
    struct at_tracking rules = at_tracking_default;

    if (n == NULL)
        return NULL;
    rules.numbered = true;
    n->apps = apps;
    n->tracker = at_tracker_open(&rules, seed, name_flow, n);
    if (n->tracker == NULL) {
        free(n);
        return NULL;
    }
    return n;
}

void at_flow_names_close(struct at_flow_names *n)
{
    if (n == NULL)
        return;
    at_tracker_close(n->tracker);
    free(n->name);
    free(n);
}

enum at_status at_flow_names_add(struct at_flow_names *n,
                                 const struct at_sight *sight, uint32_t *number,
                                 bool *in)
{
    struct at_sight s = *sight;
    const struct at_flow *flow;
    enum at_status st;

    if ((s.flags & AT_DECODED_FRAGMENT) == 0)
        s.link = 0; /* what it quotes names no flow */
    st = at_tracker_add(n->tracker, &s, 1, NULL, 0);
    if (st != AT_OK)
        return st;
    flow = at_tracker_latest(n->tracker);
    *number = flow->last_block;
    *in = s.from_hi != flow->source_is_hi;
    return AT_OK;
}

enum at_status at_flow_names_finish(struct at_flow_names *n)
{
    return at_tracker_finish(n->tracker);
}

struct at_flow_name at_flow_names_get(const struct at_flow_names *n,
                                      uint32_t number)
{
    const uint32_t name = n->name[number];

    if ((name & IP) != 0)
        return (struct at_flow_name){.ip = true, .app = (uint16_t)name};
    return (struct at_flow_name){.ethertype = (uint16_t)name};
}
