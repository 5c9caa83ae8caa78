/*
 * finished.h - flows that are over, kept until their index is written
 *
 * In memory while there are few, then in a file that has no name; in memory
 * stays what sorting needs.
 */
#ifndef AT_FINISHED_H
#define AT_FINISHED_H

#include "tracker.h"

struct at_finished;

/* 'folder' is where the file will be; it is kept, not copied. */
struct at_finished *at_finished_open(const char *folder);

/* Adds a flow, with the numbers of its blocks as a list of schema.h, and that
 * of its name. */
enum at_status at_finished_add(struct at_finished *f,
                               const struct at_flow *flow,
                               const uint32_t *block, size_t blocks,
                               uint32_t name, struct at_error *err);

size_t at_finished_count(const struct at_finished *f);

/* The start of flow number 'i', which counts as they were added. */
int64_t at_finished_start(const struct at_finished *f, size_t i);

/* Flow number 'i', its list, good until the next call, and its name; in the
 * order of numbers, or about so, this is fast. */
enum at_status at_finished_get(struct at_finished *f, size_t i,
                               struct at_flow *flow, const uint8_t **list,
                               size_t *list_bytes, uint32_t *name,
                               struct at_error *err);

/* NULL is fine. */
void at_finished_close(struct at_finished *f);

#endif
