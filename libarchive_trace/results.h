/*
 * results.h - what workers publish, on its way to the reporter
 *
 * A worker appends results to a text of its own for each parcel.  The thread
 * of the run collects those of all workers of a parcel and puts them in
 * order; sorted results wait in a heap.
 */
#ifndef AT_RESULTS_H
#define AT_RESULTS_H

#include "archive_trace.h"

/* Appends a result to 'text', as many as there is memory for. */
enum at_status at_result_append(struct at_text *text,
                                const struct at_result *result);

/* Where a run is cut: results up to a callback's. */
struct at_cut {
    uint64_t position;
    unsigned worker;
    bool tick;
};

/* Results of several texts, which they point into. */
struct at_results {
    struct at_result *result;
    size_t n, room;
};

/* Adds what is in 'text'. */
enum at_status at_results_add(struct at_results *r, const struct at_text *text);

/* By position; of one position ticks first, then by worker. */
void at_results_sort(struct at_results *r);

/* Whether the result comes no later than the callback of the cut. */
bool at_result_before(const struct at_result *result, const struct at_cut *cut);
bool at_cut_before(const struct at_cut *a, const struct at_cut *b);

/* Results by key.  The heap copies them. */
struct at_sorter;
enum at_status at_sorter_open(struct at_sorter **out, uint64_t window,
                              struct at_error *err);
enum at_status at_sorter_add(struct at_sorter *s, const struct at_result *r);

/* The least key's, if a key that is larger by more than the window has come,
 * or in any case if it is the 'end'; good until the next call. */
const struct at_result *at_sorter_take(struct at_sorter *s, bool end);
uint64_t at_sorter_late(const struct at_sorter *s);
void at_sorter_close(struct at_sorter *s);

#endif
