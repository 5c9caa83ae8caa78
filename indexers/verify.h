/*
 * verify.h - whether an archive is what was written
 *
 * The catalogue is held against its seal (seal.h), every trace and index
 * against its digest and size in the catalogue; every block of every trace is
 * decoded and counted, and held against the index; the index says of what
 * trace it is, and its sums are those of the catalogue.  So a byte that is not
 * as it was is found wherever it is, and where the packets allow it, named.
 */
#ifndef AT_VERIFY_H
#define AT_VERIFY_H

#include "rebuild.h"

struct at_verify {
    struct at_pool *pool;
    const struct at_apps *apps; /* by which indexes are made anew */
    const char *folder;       /* for indexes that are made to compare with; its
                                 contents are the caller's to remove */
    bool deep;                /* each row of each index, against the packets */
    at_progress_fn *progress; /* may be NULL */
    void *progress_ctx;

    /* Called for each thing that is wrong, and for what is worth knowing. */
    void (*trouble)(void *ctx, const struct at_error *what);
    void (*note)(void *ctx, const struct at_error *what);
    void *ctx;
};

struct at_verified {
    uint64_t segments, packets, bytes; /* that were read, as stored */
    uint64_t troubles;
    uint64_t damaged; /* segments with any */
    bool stopped;
};

/* What of one segment is as it should be. */
struct at_health {
    bool trace; /* is there, decodes, and is what was written */
    bool index;
    bool reads;       /* all its packets can be read, even so */
    bool unread;      /* the system, not the file, kept it from being read */
    uint64_t packets; /* that can be */
    struct at_digest file_digest, index_digest; /* as the files are now */
    uint64_t troubles;
};

/* Of all segments in the list.  AT_OK also where there is trouble; an error
 * where nothing could be found out. */
enum at_status at_verify_segments(struct at_archive *a,
                                  const struct at_segments *list,
                                  const struct at_verify *how,
                                  struct at_verified *done,
                                  struct at_error *err);

enum at_status
at_verify_segment(struct at_archive *a, const struct at_segment *seg,
                  const struct at_verify *how, struct at_verified *done,
                  struct at_health *health, struct at_error *err);

/* The catalogue by itself, and files that it does not name. */
enum at_status at_verify_catalog(struct at_archive *a,
                                 const struct at_verify *how,
                                 struct at_verified *done,
                                 struct at_error *err);

#endif
