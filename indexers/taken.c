/*
 * taken.c - the records of an input that an earlier run has taken
 */
#include "taken.h"

#include <stdlib.h>

struct at_taken {
    struct at_reader *rd;
    struct at_batch *batch;
    size_t block;
    struct at_walk walk;
    uint64_t left;   /* records to come */
    uint64_t offset; /* of the one that is met now, if 'met' */
    bool met;
};

enum at_status at_taken_open(struct at_taken **out, const char *path,
                             const struct at_reader_options *opts, uint64_t n,
                             struct at_error *err)
{
    struct at_taken *t = calloc(1, sizeof(*t));
    enum at_status st;

    *out = NULL;
    if (t == NULL)
        return at_error_set(err, AT_ERR_MEMORY, "out of memory");
    t->left = n;
    st = at_reader_open(&t->rd, path, opts, err);
    if (st != AT_OK) {
        free(t);
        return st;
    }
    *out = t;
    return AT_OK;
}

/* Goes to the next block that has records; false at the end. */
static bool next_block(struct at_taken *t)
{
    if (t->batch != NULL && ++t->block >= t->batch->blocks) {
        at_batch_release(t->batch);
        t->batch = NULL;
    }
    if (t->batch == NULL) {
        t->block = 0;
        if (at_reader_next_batch(t->rd, &t->batch) != AT_OK)
            return false;
    }
    t->walk = at_walk_block(t->batch, t->block);
    return true;
}

static void next_record(struct at_taken *t)
{
    struct at_packet pkt;

    t->met = false;
    while (t->left > 0 && !t->met) {
        const struct at_block *block;
        const uint8_t *at = t->walk.at;

        if (t->batch == NULL || !at_walk_next(&t->walk, &pkt)) {
            if (!next_block(t))
                t->left = 0;
            continue;
        }
        block = &t->batch->block[t->block];
        t->offset = block->place.raw_offset + (uint64_t)(at - block->data);
        t->met = true;
        t->left--;
    }
}

bool at_taken_has(struct at_taken *t, uint64_t raw_offset)
{
    while ((t->left > 0 && !t->met) || (t->met && t->offset < raw_offset))
        next_record(t);
    return t->met && t->offset == raw_offset;
}

void at_taken_close(struct at_taken *t)
{
    if (t == NULL)
        return;
    if (t->batch != NULL)
        at_batch_release(t->batch);
    at_reader_close(t->rd);
    free(t);
}
