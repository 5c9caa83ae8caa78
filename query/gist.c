/*
 * gist.c - what an answer keeps of the flows that are found
 */
#include "gist.h"

struct at_gist at_gist_like(const struct at_gist *gist)
{
    return (struct at_gist){
        .kind = gist->kind,
        .top = {.key = gist->top.key, .n = gist->top.n, .by = gist->top.by}};
}

enum at_status at_gist_take(struct at_gist *gist, struct at_finds *finds,
                            bool all, const struct at_targets *t)
{
    switch (gist->kind) {
    case AT_GIST_COUNT:
        gist->counted += at_finds_drop_whole(finds, all);
        return AT_OK;
    case AT_GIST_TOP:
        return at_top_take(&gist->top, finds, all, t);
    default:
        return AT_OK;
    }
}

enum at_status at_gist_merge(struct at_gist *gist, struct at_gist *from)
{
    const enum at_status st = at_top_merge(&gist->top, &from->top);

    gist->counted += from->counted;
    at_gist_close(from);
    return st;
}

void at_gist_close(struct at_gist *gist)
{
    at_top_close(&gist->top);
    *gist = at_gist_like(gist);
}
