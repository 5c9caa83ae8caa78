/*
 * tool_tracking.c - the options of tools that make flows
 */
#include "tool_tracking.h"

void tool_set_timeouts(void *ctx, const char *arg)
{
    struct at_error err;

    if (at_timeouts_parse(ctx, arg, &err) != AT_OK)
        tool_usage_error("%s", err.msg);
}

void tool_set_flow_key(void *ctx, const char *arg)
{
    struct at_error err;

    if (at_keying_parse(ctx, arg, &err) != AT_OK)
        tool_usage_error("%s", err.msg);
}

void tool_tracking_check(const struct at_tracking *rules)
{
    if (rules->most_flows == 0)
        tool_usage_error("--max-flows must be 1 or more");
}
