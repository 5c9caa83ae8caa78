/*
 * sights.c - a whole batch as the flow table sees it
 */
#include "sights.h"

#include <stdlib.h>
#include <string.h>

#include "asked.h"

static enum at_status make_room(struct at_sights *s, size_t n)
{
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

static enum at_status make_quote_room(struct at_sights *s)
{
    const size_t room = s->quote_room * 2 + 64;
    struct at_quote *p;

    if (s->quotes < s->quote_room)
        return AT_OK;
    p = realloc(s->quote, room * sizeof(*p));
    if (p == NULL)
        return AT_ERR_MEMORY;
    s->quote = p;
    s->quote_room = room;
    return AT_OK;
}

static enum at_status keep_name(struct at_sights *s, struct at_sight *sight,
                                const char *name, size_t bytes)
{
    if (s->text_bytes + bytes > s->text_room) {
        const size_t room = s->text_room * 2 + bytes + 4096;
        char *p = realloc(s->text, room);

        if (p == NULL)
            return AT_ERR_MEMORY;
        s->text = p;
        s->text_room = room;
    }
    memcpy(s->text + s->text_bytes, name, bytes);
    sight->name = (uint32_t)s->text_bytes + 1;
    s->text_bytes += bytes;
    return AT_OK;
}

static enum at_status take(struct at_sights *s, const struct at_packet *pkt,
                           const struct at_sighting *how)
{
    struct at_sight *sight = &s->sight[s->n++];
    const enum at_status st = make_quote_room(s);
    char name[AT_ASKED_BYTES];
    size_t n;

    if (st != AT_OK)
        return st;
    if (at_sight_take(sight, &s->quote[s->quotes], pkt, how))
        sight->link = (uint32_t)++s->quotes;
    n = at_sight_name(name, sight, pkt, how);
    return n > 0 ? keep_name(s, sight, name, n + 1) : AT_OK;
}

enum at_status at_sights_take(struct at_sights *s, const struct at_batch *batch,
                              const struct at_sighting *how,
                              struct at_error *err)
{
    enum at_status st;
    struct at_packet pkt;
    size_t n = 0;

    for (size_t i = 0; i < batch->blocks; i++)
        n += batch->block[i].records;
    st = make_room(s, n);
    s->n = s->quotes = s->text_bytes = 0;
    for (size_t i = 0; i < batch->blocks && st == AT_OK; i++) {
        struct at_walk walk = at_walk_block(batch, i);

        while (st == AT_OK && at_walk_next(&walk, &pkt))
            st = take(s, &pkt, how);
    }
    return st == AT_OK ? AT_OK : at_error_set(err, st, "out of memory");
}

enum at_status at_sights_take_these(struct at_sights *s,
                                    const struct at_packet *pkt, size_t n,
                                    const struct at_sighting *how,
                                    struct at_error *err)
{
    enum at_status st = make_room(s, n);

    s->n = s->quotes = s->text_bytes = 0;
    for (size_t i = 0; i < n && st == AT_OK; i++)
        st = take(s, &pkt[i], how);
    return st == AT_OK ? AT_OK : at_error_set(err, st, "out of memory");
}

void at_sights_drop(struct at_sights *s)
{
    free(s->sight);
    free(s->quote);
    free(s->text);
}
