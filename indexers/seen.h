/*
 * seen.h - the blocks that flows were seen in
 *
 * One log of (flow, block) for each span of flow numbers, in the order seen, so
 * that the blocks of each flow of a span are put together without a look at
 * what is of others.
 */
#ifndef AT_SEEN_H
#define AT_SEEN_H

#include "archive_trace.h"

enum { AT_SEEN_SPAN = 1 << 16 };

/* The new number of a flow that is no more. */
#define AT_SEEN_GONE UINT32_MAX

struct at_seen_log; /* of a span */

/* All zero is empty. */
struct at_seen {
    struct at_seen_log *log;
    size_t spans;
};

/* The blocks of the flows of a span, ascending; all zero at first. */
struct at_seen_lists {
    uint32_t *at;   /* [i + 1]: where list i ends */
    uint32_t *item; /* one more after each list */
    size_t room;
};

void at_seen_close(struct at_seen *s);

/* Notes that the flow is in a block, later than those that it is in already. */
enum at_status at_seen_add(struct at_seen *s, uint32_t flow, uint32_t block);

/* Gives flow i the number to[i], which is AT_SEEN_GONE or has as many of the
 * others before it, and forgets those that are gone. */
enum at_status at_seen_renumber(struct at_seen *s, const uint32_t *to);

/* Forgets all flows of a span. */
void at_seen_drop(struct at_seen *s, size_t span);

/* Makes the lists of the span. */
enum at_status at_seen_sort(const struct at_seen *s, size_t span,
                            struct at_seen_lists *l);

/* The list of flow 'i' of the span; there is room for one more behind it. */
static inline uint32_t *at_seen_list(const struct at_seen_lists *l, size_t i,
                                     size_t *n)
{
    const size_t begin = i > 0 ? (size_t)l->at[i] + 1 : 0;

    *n = l->at[i + 1] - begin;
    return l->item + begin;
}

void at_seen_lists_close(struct at_seen_lists *l);

#endif
