/*
 * ingest.h - capture files into an archive
 *
 * Inputs are taken in the order of their first packets and cut into segments
 * on wall-clock boundaries.  A segment is written, indexed and added to the
 * catalogue together with how far the inputs have been taken, so that after
 * a crash the next run goes on exactly there.  The last segment stays pending
 * until packets of a later time come.
 *
 * A damaged input is taken up to the damage; by salvage all that there is of
 * it, also where the first part was taken by an earlier run without.
 */
#ifndef AT_INGEST_H
#define AT_INGEST_H

#include "indexing.h"

/*
 * What is done to packets on their way in, as at_selection.change: on any
 * thread, false drops one.  What a stream has been changed by is noted in the
 * catalogue, and nothing else goes into it then.  The names of inputs are not
 * kept.
 */
struct at_change {
    bool (*change)(void *ctx, struct at_scratch *scratch,
                   struct at_packet *pkt);
    void *ctx;
    const char *key;    /* the id of the key; "" if there is none */
    const char *policy; /* as text */
};

struct at_ingest {
    struct at_pool *pool;
    struct at_reader_options reading; /* of the inputs, but for the pool */
    const char *stream;
    const struct at_apps *apps;  /* NULL: flows get no applications */
    int64_t rotate_ns;           /* boundaries are whole multiples since 1970 */
    uint64_t rotate_bytes;       /* of records, not compressed; 0: no limit */
    enum at_codec codec;         /* of the segments; UNKNOWN: BGZF */
    int level;                   /* see struct at_writer_options; 0: 4 of BGZF,
                                    of others the usual one */
    bool flush;                  /* seal the last segment too */
    struct at_tracking tracking; /* the same in every run, or flows that go on
                                    are judged by other rules */
    const struct at_change *change; /* NULL: packets stay as they are */
    at_progress_fn *progress;
    void *progress_ctx;
    /* Called for each input that could not be taken whole, and for each that
     * was there already, then with err NULL; 'whole' says that all of it is
     * in the archive. */
    void (*report)(void *ctx, const char *input, bool whole,
                   const struct at_error *err);
    void *report_ctx;
    /* With reading.salvage: called for each input that has holes, which is
     * then not whole either. */
    at_holes_fn *holes;
    void *holes_ctx;
};

struct at_ingested {
    uint64_t packets, bytes; /* captured, new in the archive */
    uint64_t files, known_files, failed_files;
    uint64_t segments;       /* sealed */
    uint64_t holes;          /* in inputs that were salvaged */
    uint64_t forced;         /* flows that ended early: too many were open */
    uint64_t names_lost;     /* times that a name was one too many */
    uint64_t dropped;        /* records that the change dropped */
    uint64_t late;           /* packets from before their segment's time */
    struct at_losses losses; /* what segments could not hold */
};

/* Stream names are part of file names: letters, digits, '_', '.' and '-'. */
bool at_stream_name_ok(const char *name);

/*
 * Takes 'n' inputs into the archive.  AT_OK even where some inputs failed
 * (they were reported); an error if the archive could not be changed.
 */
enum at_status at_ingest_files(const char *archive, char *const *input,
                               size_t n, const struct at_ingest *how,
                               struct at_ingested *done, struct at_error *err);

#endif
