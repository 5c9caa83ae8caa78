/*
 * ahead.h - frames that are read before they are due
 *
 * A thread of its own fills loads, whatever decompression, filters and changes
 * cost; the thread that sends takes them in order.  A ring of loads is all the
 * memory there is.
 */
#ifndef AT_AHEAD_H
#define AT_AHEAD_H

#include "archive_trace.h"

struct at_frame {
    uint32_t at; /* in the load's bytes */
    uint32_t bytes;
    uint32_t wire;  /* which of them sends it */
    int64_t due_ns; /* from the beginning */
    uint64_t ts;    /* as it was captured */
};

enum {
    AT_LOAD_FRAMES = 1024,
    AT_LOAD_BYTES = 256 << 10, /* and a frame more */
    AT_FRAME_MOST = 66 << 10,
};

struct at_load {
    uint8_t *bytes;
    size_t used;
    size_t n;
    enum at_status status; /* what comes after it: AT_OK: more loads */
    struct at_error err;
    struct at_frame frame[AT_LOAD_FRAMES];
};

/* Fills a load, which is empty, and sets its status; called on the thread. */
typedef void at_fill_fn(void *ctx, struct at_load *load, size_t most_frames);

struct at_ahead;

/* 'bytes' of memory, about.  The first loads are asked to be small, so that
 * the first frame need not wait. */
enum at_status at_ahead_open(struct at_ahead **out, uint64_t bytes,
                             at_fill_fn *fill, void *ctx, struct at_error *err);

/* Waits for the next load, which stays the caller's until the next call.
 * Returns NULL after one whose status was not AT_OK. */
const struct at_load *at_ahead_next(struct at_ahead *a);

/* Waits until the ring is half full, the end is read, or 'most_ns' are over
 * and there is a load. */
void at_ahead_prime(struct at_ahead *a, int64_t most_ns);

/* How often a load was waited for. */
uint64_t at_ahead_starved(const struct at_ahead *a);

/* Lets the thread come to its end after the load that it fills. */
void at_ahead_close(struct at_ahead *a);

#endif
