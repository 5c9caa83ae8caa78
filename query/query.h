/*
 * query.h - a question, and what it is asked of
 *
 * A question is an expression and a range of time.  It is asked of targets:
 * trace files, each with its index if it has one.  Targets of one stream
 * follow each other; streams run side by side.
 */
#ifndef AT_QUERY_H
#define AT_QUERY_H

#include "app_names.h"
#include "archive_trace.h"
#include "expr.h"
#include "finds.h"
#include "flow_row.h"
#include "index.h"
#include "indexing.h"

struct at_archive;
struct at_goers;
struct at_gone;
struct at_held;

struct at_query {
    struct at_pool *pool;
    struct at_expr *expr;
    struct at_filter *filter;     /* the same expression, by libpcap; with flow
                                     terms, as it lets most packets match */
    struct at_variants *variants; /* of expressions with flow terms */
    struct at_explained *explained; /* by target, filled as packets are read;
                                       or NULL */
    unsigned flags;                 /* of at_filter_open() */
    unsigned fields;                /* AT_ROW_ fields that flows come with */
    bool whole_flows;               /* packets: all those of flows that match */
    int64_t from_ns;                /* from_ns <= time < to_ns */
    int64_t to_ns;
    struct at_reader_options reading; /* of traces outside of archives */
    struct at_tracking
        tracking; /* rules of flows of targets without an index */
    /* With reading.salvage: called once a target has been read to its end. */
    at_holes_fn *holes;
    void *holes_ctx;
    /* Unless NULL: called for each archive from which packets of the range
     * were removed (catalog.h). */
    void (*gone)(void *ctx, const char *archive, const struct at_gone *gone);
    void *gone_ctx;
    uint64_t *unsure;   /* unless NULL: flows are added that were found although
                           only packets that are gone could tell */
    bool (*stop)(void); /* asked now and then: true ends the work */
    bool beyond;        /* flows are whole, also outside of the range */
    bool again;         /* targets are read more than once */
    bool alone;         /* no flow goes on from one target to another */
    struct at_goers *goers; /* those that do; NULL: they were not looked for */
    struct at_apps *apps;   /* by which flows without an index get a name */
    struct at_app_names *names;    /* that indexes have; found flows use them */
    struct at_shared_names *asked; /* names of flows that were found */
    uint64_t *forced; /* unless NULL: flows of scans that ended early because
                         too many were open are added */
};

/* 'flags' are those of at_filter_open().  On failure there is nothing to
 * close. */
enum at_status at_query_open(struct at_query *q, struct at_pool *pool,
                             const char *text, unsigned flags,
                             struct at_error *err);
void at_query_close(struct at_query *q);

/* The AT_ROW_ fields of a flow that tell whether it matches. */
unsigned at_query_fields(const struct at_query *q);

/* Flows that are found need not have other fields than these and 'answer',
 * unless they have other parts.  The range of time must be there. */
void at_query_narrow(struct at_query *q, unsigned answer);

/* What rows are read with: also what tells whether they have other parts. */
unsigned at_query_row_fields(const struct at_query *q);

/* From now on rows of the index come with the applications and names that the
 * question asks for. */
enum at_status at_query_name_rows(const struct at_query *q, struct at_index *ix,
                                  struct at_error *err);

/* ---- flow terms ------------------------------------------------------ */

bool at_query_has_terms(const struct at_query *q);

/* Flows come with the names they ask for: done already if a term needs them.
 * AT_OK or AT_ERR_MEMORY. */
enum at_status at_query_want_names(struct at_query *q);

/* Which flow terms are true of a flow that was found in 'stream'. */
uint64_t at_query_vector(const struct at_query *q,
                         const struct at_flow_row *row, const char *stream);

/* The filter for packets of flows of which these terms are true.  It belongs
 * to 'q'.  One thread at a time. */
enum at_status at_query_filter(const struct at_query *q, uint64_t vector,
                               struct at_filter **filter, struct at_error *err);

struct at_target {
    char *trace;
    char *index;          /* NULL: the trace has none and is read whole */
    char *stream;         /* name, as shown */
    struct at_held *held; /* unless NULL: opened by this, not by names */
    size_t lane;  /* number of its stream: targets of one are in sequence */
    bool segment; /* of an archive, which says itself what it is */
    bool outside; /* none of its packets is in the range: see q->beyond */
    bool gone;    /* its packets were removed, and there is only the index */
    size_t archive_bytes;   /* of 'trace', that name the archive; 0: none */
    int linktype;           /* of all its packets; -1: there may be several */
    int64_t stream_last_ns; /* last packet of its stream in the archive that
                               was asked for; AT_TIME_MIN: not known */
};

struct at_targets {
    struct at_target *target; /* by lane, then in sequence */
    size_t n, room;
    size_t lanes;
    size_t without; /* segments in the range that surely have no answer */
    bool files;     /* others than archives were named, too */
};

/*
 * Adds what 'path' names: an archive's segments that hold packets of the
 * question's range, and with q->beyond the others of their streams, marked
 * 'outside'; or a trace file with FILE.idx beside it, if that is its
 * index; by salvage also if it is one of a damaged trace with its holes.  What
 * is no regular file, as "-", is copied to TMPDIR first if q->again.
 */
enum at_status at_targets_add(struct at_targets *t, const struct at_query *q,
                              const char *path, struct at_error *err);
void at_targets_close(struct at_targets *t);

/* Tells q->gone what of the range an archive, at 'path', has had. */
enum at_status at_query_tell_gone(const struct at_query *q,
                                  struct at_archive *a, const char *path,
                                  struct at_error *err);

/* AT_ERR_SYNTAX if the expression makes no sense for any packet that the
 * targets can hold, as "vlan" does not where all of them are raw IP. */
enum at_status at_targets_check(const struct at_targets *t,
                                const struct at_query *q, struct at_error *err);

/*
 * Tells q->holes what is not in an index, and what was left out by a reader
 * (either may be NULL) that has come to its end.
 */
enum at_status at_target_tell(const struct at_query *q,
                              const struct at_target *target,
                              struct at_index *ix, const struct at_reader *rd,
                              struct at_error *err);

/*
 * Opens a target's index.  That of a file is known to be of the file.  A
 * segment is not touched before it is read: at_target_check() comes then.
 */
enum at_status at_target_index(struct at_index **ix,
                               const struct at_target *target,
                               struct at_error *err);
enum at_status at_target_check(struct at_index *ix,
                               const struct at_target *target,
                               struct at_error *err);

/*
 * Once all targets are there: sets q->alone, and if there is a target without
 * an index, opens the rules of applications, and those of the file 'rules'
 * unless it is NULL.
 */
enum at_status at_query_open_apps(struct at_query *q,
                                  const struct at_targets *t, const char *rules,
                                  struct at_error *err);

/* After that, for a question of flows: looks which of them go on from one
 * target to another, if that may spare keeping many. */
enum at_status at_query_find_goers(struct at_query *q,
                                   const struct at_targets *t,
                                   struct at_error *err);

/* The rules by which the flows of a target are made: those of its index, if it
 * has one. */
enum at_status at_target_rules(struct at_tracking *rules,
                               const struct at_query *q,
                               const struct at_target *target,
                               struct at_error *err);

/* Opens a target's trace for the question. */
enum at_status at_target_open(struct at_reader **rd, const struct at_query *q,
                              const struct at_target *target,
                              struct at_error *err);

/* ---- flows ----------------------------------------------------------- */

/*
 * The flows of target number 'number' of which a packet matches, in steps: the
 * second may be taken by any thread, side by side with those of others.  The
 * third adds the flows, which are then known; where there are flow terms,
 * flows of which more must be known are added to 'parts'.  'gist' is that of
 * this target's flows, and empty again if they are found in another way.
 */
struct at_search;
enum at_status at_search_open(struct at_search **out, const struct at_query *q,
                              const struct at_targets *t, size_t number,
                              struct at_error *err);

/* How many searches should share the rows of the target; and makes 's' number
 * 'share' of so many.  Once their rows are judged, one takes what the others
 * have, and goes on alone. */
size_t at_search_shares(const struct at_search *s);
void at_search_share(struct at_search *s, size_t share, size_t shares);
enum at_status at_search_join(struct at_search *s, struct at_search *other,
                              struct at_error *err);

struct at_gist;
struct at_parts;
enum at_status at_search_rows(struct at_search *s, struct at_gist *gist,
                              struct at_error *err);
enum at_status at_search_settle(struct at_search *s, struct at_gist *gist,
                                struct at_finds *finds, struct at_parts *parts,
                                struct at_error *err);
void at_search_close(struct at_search *s);

/* The same for all targets, in order, with the rows of some of them judged
 * ahead; those of which 'gist' is known then are not added.  One error is of
 * one target; the others may be fine. */
struct at_searches;
enum at_status at_searches_open(struct at_searches **out,
                                const struct at_query *q,
                                const struct at_targets *t,
                                struct at_gist *gist, struct at_error *err);
enum at_status at_searches_next(struct at_searches *s, struct at_finds *finds,
                                struct at_parts *parts, struct at_error *err);
void at_searches_close(struct at_searches *s);

/* The flows of a target of which a packet matches, without its index. */
enum at_status at_scan_matches(const struct at_query *q,
                               const struct at_targets *t, size_t number,
                               struct at_finds *finds, struct at_error *err);

/* Adds all flows of a target, without its index, whatever is asked. */
enum at_status at_scan_flows(const struct at_query *q,
                             const struct at_targets *t, size_t number,
                             struct at_finds *finds, struct at_error *err);

/* Joins the parts of flows that go on from one target of a stream to the
 * next.  With q->beyond, what there is of them
 * outside of the range is added.  But for AT_ERR_MEMORY,
 * an error is of one target, and what the others have is there. */
enum at_status at_finds_join(struct at_finds *finds, const struct at_query *q,
                             const struct at_targets *t, struct at_error *err);
/* ---- packets --------------------------------------------------------- */

/*
 * The matching packets of all targets, by time across streams.  'parts' is
 * NULL, or where there are flow terms or whole flows are wanted, what
 * at_parts_judge() made; for whole flows without doubts left.
 */
struct at_packets;
enum at_status at_packets_open(struct at_packets **out,
                               const struct at_query *q,
                               const struct at_targets *t,
                               const struct at_parts *parts,
                               struct at_error *err);

/*
 * AT_OK with a packet that is good until the next call; AT_END; or the error
 * of one target, after which the call may be repeated for what the others
 * hold.
 */
enum at_status at_packets_next(struct at_packets *p, struct at_packet *pkt,
                               struct at_error *err);

/* Number of the target that the packet given out last is from. */
size_t at_packets_target(const struct at_packets *p);

/* Where its record begins, in bytes of all that the target decodes to. */
uint64_t at_packets_offset(const struct at_packets *p);

/* The flow that the packet given out last is of, and the number of its stream;
 * NULL where there are no parts, or it is of none that was taken. */
const struct at_flow_row *at_packets_flow(const struct at_packets *p,
                                          size_t *lane);
void at_packets_close(struct at_packets *p);

/* ---- the index's part in both ---------------------------------------- */

/*
 * Whether there can be an answer where 'may_hold' says which networks there
 * may be packets of.  What an index knows beside hosts is not asked.
 */
typedef bool at_may_hold_fn(void *ctx, const struct at_sieve_key *key);
bool at_plan_may_hold(const struct at_query *q, at_may_hold_fn *may_hold,
                      void *ctx);

/* Whether there are postings that may leave few flows of many. */
bool at_plan_narrows(const struct at_query *q);

/*
 * The flows that may have a matching packet, as far as the postings tell: a
 * set of rows + 1, which the caller closes.
 */
enum at_status at_plan_flows(const struct at_query *q, struct at_index *ix,
                             struct at_set *flows, struct at_error *err);

/*
 * Whether a packet of the flow matches: YES if surely one does, NO if none
 * can, MAYBE if the packets must be asked.
 */
enum at_verdict at_plan_judge(const struct at_query *q,
                              const struct at_flow_row *row);

/* How many flows the postings of one leaf have, if it has any. */
enum at_status at_plan_leaf(const struct at_query *q, struct at_index *ix,
                            const struct at_expr_node *leaf, bool *postings,
                            uint64_t *flows, struct at_error *err);

/* The same if these flow terms are true of the flow. */
enum at_verdict at_plan_judge_in(const struct at_query *q,
                                 const struct at_flow_row *row,
                                 uint64_t vector);

/* Whether the row may be of a flow that matches: of one that goes on in other
 * segments, where nothing is known of its flow terms. */
bool at_plan_may_concern(const struct at_query *q,
                         const struct at_flow_row *row);

#endif
