/*
 * rules.c - bytes as rules of applications, and as flows that they name
 *
 * What is before the first zero byte are rules; what follows, in pieces, is
 * flows.  Rules are believed only when they make sense, the checker comes to
 * an end, and nothing past what was captured has a say.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "app_rules.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { FLOW = 16, RULES_MOST = 2000 };

static void fault(void *ctx, const char *text)
{
    size_t *n = ctx;

    *n += strlen(text) > 0;
}

static void take_way(struct at_app_way *way, const uint8_t *p)
{
    way->payload = p[0] % 3;
    way->captured = p[0] / 4 % 5;
    way->length = p[1];
    memcpy(way->bytes, p + 2, AT_APP_BYTES);
}

static void match(const struct at_apps *apps, const uint8_t *p)
{
    static const uint8_t protos[] = {6, 17, 132, 1};
    struct at_app_flow flow = {
        .proto = protos[p[0] / 64],
        .sport = (uint16_t)(p[12] << 8 | p[13]),
        .dport = (uint16_t)(p[14] << 8 | p[15]),
    };
    struct at_app_match one, two;

    take_way(&flow.way[0], p);
    take_way(&flow.way[1], p + 6);
    at_apps_match(apps, &flow, &one);
    for (unsigned w = 0; w < 2; w++)
        for (unsigned i = flow.way[w].captured; i < AT_APP_BYTES; i++)
            flow.way[w].bytes[i] ^= 0x55;
    at_apps_match(apps, &flow, &two);
    if (one.app != two.app || one.rule != two.rule ||
        one.app >= at_apps_count(apps))
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const uint8_t *end = size > 0 ? memchr(data, 0, size) : NULL;
    const size_t n = end != NULL ? (size_t)(end - data) : size;
    struct at_error err;
    struct at_apps *apps;
    size_t faults = 0;

    if (n > RULES_MOST ||
        at_apps_parse_alone(&apps, (const char *)data, n, &err) != AT_OK)
        return 0;
    for (size_t i = n; i + FLOW <= size; i += FLOW)
        match(apps, data + i);
    if (n > 0 && n < 200)
        at_apps_check(apps, NULL, 0, fault, &faults);
    at_apps_close(apps);
    return 0;
}
