/*
 * catalog.h - what an archive holds
 *
 *     ARCHIVE/
 *       catalog.sqlite   streams, segments, inputs: the truth
 *       catalog.sha256   its digest while nobody changes it: seal.h
 *       lock             held by who writes
 *       segments/YYYY/MM/DD/STREAM-YYYYMMDDTHHMMSSZ.erf.gz   and .idx
 *       pending/         the last segment of each stream, not yet full
 *       tmp/             what is being made
 *
 * A file that the catalogue does not name is not part of the archive.  Every
 * change is one transaction of the catalogue, which comes after the files it
 * names are complete and durable, and before those it no longer names are
 * removed; so a crash leaves the state before or the state after.
 *
 * Readers take a snapshot of the list, and hold the pending segments of it
 * open: one that was replaced before they could is gone, and they look again.
 */
#ifndef AT_CATALOG_H
#define AT_CATALOG_H

#include "carry.h"
#include "digest.h"
#include "identity.h"
#include "minutes.h"
#include "sieve.h"

struct at_archive;

/* A segment as the catalogue has it; strings belong to the list. */
struct at_segment {
    int64_t id;
    char *stream;
    char *path; /* of the trace, from the archive's directory; + ".idx" */
    bool pending;
    int64_t start_ns, end_ns;  /* the time it stands for */
    int64_t first_ns, last_ns; /* of its packets; 0, -1 if there is none */
    uint64_t packets;
    uint64_t captured_bytes;
    uint64_t wire_bytes;
    uint64_t flows;
    uint64_t file_bytes;
    uint64_t index_bytes;
    enum at_format format;
    enum at_codec codec;                        /* its name tells */
    uint16_t linktype;                          /* of pcap files */
    struct at_digest file_digest, index_digest; /* not known of old ones */
    int64_t gone_ns; /* when its packets were removed, and only its index was
                        kept; 0: they are there */
};

struct at_segments {
    struct at_segment *segment; /* by stream, start, path */
    size_t n;
};

/* How far a file has been taken in. */
struct at_input_state {
    struct at_identity identity;
    const char *name;
    uint64_t records; /* that are in committed segments */
    bool complete;    /* all that can be read of it is in */
    bool damaged;     /* and that is not all there was */
    /* The same of readings that pass over damage; see taken.h. */
    uint64_t salvaged_records;
    bool salvaged; /* to its end; then 'complete', too */
    struct at_salvaged holes;
};

/* Whether 'path' is an archive. */
bool at_archive_is(const char *path);

/* Makes an empty archive in 'path', which is made too if need be; fine if it
 * is one already. */
enum at_status at_archive_init(const char *path, struct at_error *err);

/*
 * Opens an archive to read or, with 'write', to change it; then the lock is
 * taken (AT_ERR_MISUSE if another has it) and what a crash has left removed.
 */
enum at_status at_archive_open(struct at_archive **out, const char *path,
                               bool write, struct at_error *err);
void at_archive_close(struct at_archive *a);

/* The full path of a file of the archive; the caller frees it. */
char *at_archive_path(const struct at_archive *a, const char *relative);

/* All segments with packets of from_ns <= time < to_ns, of one stream or of
 * all (NULL). */
enum at_status at_archive_segments(struct at_archive *a, const char *stream,
                                   int64_t from_ns, int64_t to_ns,
                                   struct at_segments *list,
                                   struct at_error *err);
void at_segments_free(struct at_segments *list);

/* Whether the segment is still what the archive holds: it may have been
 * replaced, sealed or removed since. */
enum at_status at_archive_has(struct at_archive *a,
                              const struct at_segment *seg, bool *has,
                              struct at_error *err);

/* Whether a segment may hold packets from or to an address of this network;
 * false only if it surely holds none.  Its index is not opened. */
bool at_archive_may_hold(struct at_archive *a, int64_t segment,
                         const struct at_sieve_key *key);

/* Adds the flows that are open when a segment of a stream begins at
 * 'start_ns': what the one before it has left; of those that begin then, before
 * 'segment' unless it is 0. */
enum at_status at_archive_open_flows(struct at_archive *a, const char *stream,
                                     int64_t segment, int64_t start_ns,
                                     struct at_carry *carry,
                                     struct at_error *err);

/*
 * The packets of each minute of from_ns <= time < to_ns, both whole minutes or
 * open, by stream and kind; or by hours, where the range is whole hours too.
 * *done is false, and fn() not called, if it is not known of all segments.
 */
struct at_archive_minute {
    int64_t start_ns;
    uint16_t kind; /* see schema.h */
    uint64_t packets, bytes;
};
typedef void at_archive_minute_fn(void *ctx, const struct at_archive_minute *m);
enum at_status at_archive_minutes(struct at_archive *a, int64_t from_ns,
                                  int64_t to_ns, bool hours,
                                  at_archive_minute_fn *fn, void *ctx,
                                  bool *done, struct at_error *err);

/* Fills in what is known of 'identity'; zero if it is not known. */
enum at_status at_archive_input(struct at_archive *a,
                                struct at_input_state *input,
                                struct at_error *err);

/*
 * Makes a finished trace (at 'made', with its index at 'made'.idx, both
 * synced) part of the archive, in the place of the pending segment
 * 'replaces' (0: none), together with how far the inputs are now and the
 * flows that are open at its end (NULL: those of the segment it replaces).
 * seg->path is chosen here by stream, start and format; the caller frees it.
 */
enum at_status at_archive_add(struct at_archive *a, struct at_segment *seg,
                              const char *made, int64_t replaces,
                              const struct at_carry *open,
                              const struct at_input_state *input, size_t inputs,
                              struct at_error *err);

/* Takes note of inputs that gave no segment. */
enum at_status at_archive_note_inputs(struct at_archive *a,
                                      const struct at_input_state *input,
                                      size_t inputs, struct at_error *err);

/* Notes the sizes of indexes, and the digests, as the list has them now. */
enum at_status at_archive_note_indexes(struct at_archive *a,
                                       const struct at_segments *list,
                                       struct at_error *err);

/*
 * Takes segments out of the archive, with their indexes or, with 'keep_index',
 * without; what was kept before can go later.  'time_ns' is noted, and
 * 'reason', one word; a question about their time is told of it.  Files are
 * removed once the catalogue does not name them; one that cannot be is an
 * error, and is tried again by whoever changes the archive next.
 */
enum at_status at_archive_remove(struct at_archive *a,
                                 const struct at_segments *list,
                                 bool keep_index, int64_t time_ns,
                                 const char *reason, struct at_error *err);

/* Notes that so many packets of a segment were lost to damage. */
enum at_status at_archive_note_lost(struct at_archive *a,
                                    const struct at_segment *seg,
                                    uint64_t packets, uint64_t captured_bytes,
                                    int64_t time_ns, struct at_error *err);

/* What is not there any more of some time. */
struct at_gone {
    uint64_t segments; /* whose packets were removed */
    uint64_t indexed;  /* of these, those whose index was kept */
    uint64_t packets;  /* of those segments, and others lost to damage */
    int64_t first_ns, last_ns;   /* of them */
    int64_t since_ns, latest_ns; /* when they were removed */
};

/* Of all streams or one, with packets of from_ns <= time < to_ns; of
 * those lost to damage only the packets are counted. */
enum at_status at_archive_gone(struct at_archive *a, const char *stream,
                               int64_t from_ns, int64_t to_ns,
                               struct at_gone *gone, struct at_error *err);

/*
 * What packets of a stream are changed by on their way in: 'key' and 'policy'
 * are NULL if they are not.  AT_ERR_MISUSE if the stream holds packets that
 * were changed by another, or not at all; else it is noted.
 */
enum at_status at_archive_check_change(struct at_archive *a, const char *stream,
                                       const char *key, const char *policy,
                                       struct at_error *err);

/* The id of the key that a stream was changed by, "" if there was none; NULL
 * if it was not changed.  The caller frees *key. */
enum at_status at_archive_key(struct at_archive *a, const char *stream,
                              char **key, struct at_error *err);

/* The inputs that were taken, and what was left out of those salvaged. */
struct at_input_totals {
    uint64_t inputs, damaged;
    struct at_salvaged holes;
};
enum at_status at_archive_inputs(struct at_archive *a,
                                 struct at_input_totals *totals,
                                 struct at_error *err);

/* Makes a pending segment a sealed one, as it is. */
enum at_status at_archive_seal(struct at_archive *a,
                               const struct at_segment *pending,
                               struct at_error *err);

#endif
