/*
 * sights.c - a whole batch as the flow table sees it
 */
#include "sights.h"

#include <stdlib.h>

static enum at_status make_room(struct at_sights *s,
                                const struct at_batch *batch)
{
    size_t n = 0;

    for (size_t i = 0; i < batch->blocks; i++)
        n += batch->block[i].records;
    if (n <= s->room)
        return AT_OK;
    free(s->sight);
    s->room = 0;
    s->sight = malloc((n + n / 4) * sizeof(s->sight[0]));
    if (s->sight == NULL)
        return AT_ERR_MEMORY;
    s->room = n + n / 4;
    return AT_OK;
}

enum at_status at_sights_take(struct at_sights *s, const struct at_batch *batch,
                              const struct at_sighting *how,
                              struct at_error *err)
{
    struct at_packet pkt;

    s->n = 0;
    if (make_room(s, batch) != AT_OK)
        return at_error_set(err, AT_ERR_MEMORY, "out of memory");
    for (size_t i = 0; i < batch->blocks; i++) {
        struct at_walk walk = at_walk_block(batch, i);

        while (at_walk_next(&walk, &pkt))
            at_sight_take(&s->sight[s->n++], &pkt, how);
    }
    return AT_OK;
}

void at_sights_drop(struct at_sights *s)
{
    free(s->sight);
}
