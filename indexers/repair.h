/*
 * repair.h - an archive put right after a crash or damage
 *
 * What can be made anew of what is whole is made anew: a catalogue of traces
 * and indexes, an index of its trace.  What is nobody's is removed, or set
 * aside where it may be worth something.  A trace cannot be made anew; by
 * salvage, what can be read of it takes its place.
 */
#ifndef AT_REPAIR_H
#define AT_REPAIR_H

#include "verify.h"

struct at_repair {
    struct at_pool *pool;
    const struct at_apps *apps;
    bool salvage;
    at_progress_fn *progress; /* may be NULL */
    void *progress_ctx;

    /* Called for each thing that is wrong; what was done about it, or what is
     * worth knowing; and what is left as it is. */
    void (*trouble)(void *ctx, const struct at_error *what);
    void (*fixed)(void *ctx, const struct at_error *what);
    void (*note)(void *ctx, const struct at_error *what);
    void (*left)(void *ctx, const struct at_error *what);
    void *ctx;
};

struct at_repaired {
    struct at_verified seen;
    uint64_t fixed; /* things that were put right */
    uint64_t left;  /* things that could not be */
};

/* AT_OK also if something could not be put right; an error if the archive
 * cannot be changed. */
enum at_status at_repair_archive(const char *archive,
                                 const struct at_repair *how,
                                 struct at_repaired *done,
                                 struct at_error *err);

#endif
