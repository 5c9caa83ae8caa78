/*
 * sights.h - a whole batch as the flow table sees it
 *
 * The slot of an at_run(): at_sights_work() fills it on any thread.
 */
#ifndef AT_SIGHTS_H
#define AT_SIGHTS_H

#include "sight.h"

struct at_sights {
    struct at_sight *sight; /* of every record of the batch, in order */
    size_t n, room;
    struct at_quote *quote; /* what the ICMP errors among them quote */
    size_t quotes, quote_room;
    char *text; /* the names that are asked for */
    size_t text_bytes, text_room;
};

static inline struct at_besides at_sights_besides(const struct at_sights *s)
{
    return (struct at_besides){.quote = s->quote, .text = s->text};
}

/* Takes every record of the batch. */
enum at_status at_sights_take(struct at_sights *s, const struct at_batch *batch,
                              const struct at_sighting *how,
                              struct at_error *err);

/* Takes these packets in their place, which are as many as the batch has
 * records. */
enum at_status at_sights_take_these(struct at_sights *s,
                                    const struct at_packet *pkt, size_t n,
                                    const struct at_sighting *how,
                                    struct at_error *err);
void at_sights_drop(struct at_sights *s);

#endif
