/*
 * index.h - an index that is there: what it says
 *
 * One thread at a time uses an index.  What SQLite calls corrupt, and
 * numbers that contradict each other, are AT_ERR_CORRUPT.
 */
#ifndef AT_INDEX_H
#define AT_INDEX_H

#include "app_names.h"
#include "carry.h"
#include "flow_row.h"
#include "identity.h"
#include "sieve.h"

struct at_index;

struct at_index_info {
    int64_t first_ns, last_ns; /* if packets > 0 */
    uint64_t packets, captured_bytes, wire_bytes;
    uint64_t flows;  /* of IP */
    uint32_t rows;   /* flows of any kind: ids are 1 to rows */
    uint32_t hosts;  /* ids are 1 to hosts */
    uint32_t blocks; /* ids are 0 to blocks - 1 */
    uint32_t port_limit;
    uint64_t lost_datagrams; /* see schema.h */
    uint64_t names_lost;     /* times that a name was one too many */
    enum at_format format;
    enum at_codec codec;
    uint16_t linktype;
    uint32_t snap_bytes;
    char stream[64];
    bool complete;
    bool part;                   /* of a capture in parts; see schema.h */
    struct at_tracking tracking; /* by which flows were made */
    struct at_salvaged salvaged; /* what it leaves out of a damaged trace */
    struct at_identity identity;
};

/*
 * Opens the index 'path'.  If 'trace' is not NULL it must be that of this
 * file: AT_ERR_MISUSE if it is not.
 */
enum at_status at_index_open(struct at_index **out, const char *path,
                             const char *trace, struct at_error *err);

/* Opens the index that 'fd', which is duplicated, reads; 'name' is for
 * messages. */
enum at_status at_index_open_held(struct at_index **out, int fd,
                                  const char *name, struct at_error *err);

/* Whether 'path' is an index of a version that at_index_open() refuses. */
bool at_index_is_other(const char *path);

/* AT_ERR_MISUSE if it is not the index of 'trace' as that is now. */
enum at_status at_index_check(struct at_index *ix, const char *trace,
                              struct at_error *err);
/* Fills in by what rules the flows of a trace were made, if the index beside it
 * tells. */
bool at_index_rules_of(const char *trace, struct at_tracking *rules);

const struct at_index_info *at_index_info(const struct at_index *ix);
void at_index_close(struct at_index *ix);

/*
 * The access points of the trace, if the index has any (access->n is 0 if
 * not).  They belong to the index, which must stay open for as long as a
 * reader uses them.
 */
enum at_status at_index_access(struct at_index *ix, struct at_access *access,
                               struct at_error *err);

/* The first of the holes that info->salvaged counts; they belong to the index.
 */
enum at_status at_index_holes(struct at_index *ix, const struct at_hole **hole,
                              size_t *n, struct at_error *err);

/* The addresses of all hosts; *strange if there are frames without addresses
 * of which libpcap may think otherwise, or flows in tunnels.  The caller closes
 * the sieve. */
enum at_status at_index_sieve(struct at_index *ix, struct at_sieve *sieve,
                              bool *strange, struct at_error *err);

/*
 * Sums of minutes: all packets, by protocol; or the flows that begin in each,
 * with all that they have in this trace, by application.  An index of version 3
 * has none of the former, and gives nothing.
 */
struct at_index_minute {
    int64_t minute;  /* since 1970 */
    uint16_t kind;   /* of packets: see schema.h */
    const char *app; /* of flows, for the call; NULL if they have no name */
    uint64_t packets, bytes, flows;
};
typedef void at_minute_fn(void *ctx, const struct at_index_minute *m);
enum at_status at_index_minutes(struct at_index *ix, at_minute_fn *fn,
                                void *ctx, struct at_error *err);
enum at_status at_index_app_minutes(struct at_index *ix, at_minute_fn *fn,
                                    void *ctx, struct at_error *err);

/* Adds the flows that go on from earlier parts of the capture, and their
 * datagrams, as they were before this one: with them its index can be made
 * again. */
enum at_status at_index_carried(struct at_index *ix, struct at_carry *carry,
                                struct at_error *err);

/* The same, but only the flows that have datagrams of which later fragments may
 * be here. */
enum at_status at_index_datagrams(struct at_index *ix, struct at_carry *carry,
                                  struct at_error *err);

/* A set of numbers from 0 to below 'n'. */
struct at_set {
    uint64_t *word;
    size_t n;
};
enum at_status at_set_open(struct at_set *set, size_t n, bool full);
void at_set_close(struct at_set *set);
size_t at_set_count(const struct at_set *set);
void at_set_and(struct at_set *set, const struct at_set *other);
void at_set_or(struct at_set *set, const struct at_set *other);

static inline bool at_set_has(const struct at_set *set, size_t i)
{
    return i < set->n && (set->word[i / 64] >> (i % 64) & 1) != 0;
}

static inline void at_set_add(struct at_set *set, size_t i)
{
    if (i < set->n)
        set->word[i / 64] |= UINT64_C(1) << (i % 64);
}

/* The next member from 'i' on; n if there is none. */
size_t at_set_next(const struct at_set *set, size_t i);
/* The last one; n if there is none. */
size_t at_set_last(const struct at_set *set);
/* Takes out all that are not first <= i < end. */
void at_set_bound(struct at_set *set, size_t first, size_t end);

/* Each adds the ids of flows to a set of rows + 1. */
enum at_status at_index_net_flows(struct at_index *ix, const uint8_t *addr,
                                  unsigned addr_bytes, unsigned prefix,
                                  struct at_set *flows, struct at_error *err);
enum at_status at_index_port_flows(struct at_index *ix, uint16_t low,
                                   uint16_t high, struct at_set *flows,
                                   struct at_error *err);
/* Those of every host that 'wanted' says yes to. */
enum at_status at_index_host_flows(
    struct at_index *ix,
    bool (*wanted)(void *ctx, const uint8_t *addr, unsigned addr_bytes),
    void *ctx, struct at_set *flows, struct at_error *err);
enum at_status at_index_link_flows(struct at_index *ix, struct at_set *flows,
                                   struct at_error *err);

/* Of an index with info->part: those that other parts have, too. */
enum at_status at_index_partial_flows(struct at_index *ix, struct at_set *flows,
                                      struct at_error *err);

/* Of these, those that earlier parts have. */
enum at_status at_index_continuing_flows(struct at_index *ix,
                                         struct at_set *flows,
                                         struct at_error *err);

/* Of an index with info->tracking.names: those that ask for 'domain' or a name
 * in it. */
enum at_status at_index_name_flows(struct at_index *ix, const char *domain,
                                   struct at_set *flows, struct at_error *err);

/* From now on flows come with the names they ask for, as far as the index has
 * them; 'keep' has the strings, and must live as long as the rows. */
enum at_status at_index_want_names(struct at_index *ix,
                                   struct at_shared_names *keep,
                                   struct at_error *err);

/*
 * From now on flows come with their applications, as far as the index has
 * them; 'names' keeps the strings, and must live as long as the rows.
 */
enum at_status at_index_name_apps(struct at_index *ix,
                                  struct at_app_names *names,
                                  struct at_error *err);

/* From now on flows come with what they began with: their first payloads. */
enum at_status at_index_want_openings(struct at_index *ix,
                                      struct at_error *err);

/*
 * Adds the flows of each application that 'wanted' accepts; *all becomes
 * true, and the set may miss some, if one of them is too frequent for that.
 */
enum at_status at_index_app_flows(struct at_index *ix,
                                  bool (*wanted)(void *ctx, const char *name,
                                                 const char *category),
                                  void *ctx, struct at_set *flows, bool *all,
                                  struct at_error *err);

/* Fields of a flow that may be wanted; net, proto, state, end, inner and how it
 * goes on are always there. */
enum at_row_field {
    AT_ROW_TIMES = 1,
    AT_ROW_ENDS = 2,   /* addresses */
    AT_ROW_PORTS = 4,  /* and the ethertype of what is not IP */
    AT_ROW_SUMS = 8,   /* packets and bytes */
    AT_ROW_MARKS = 16, /* and the application, its category and confidence */
    AT_ROW_REST = 32,
    AT_ROW_ALL = 63,
};

/*
 * Goes through the flows of a set (of all if it is NULL) in the order of
 * their ids, which is that of their start.  at_index_next_flow() returns
 * AT_END after the last.  at_index_flow_blocks() adds the blocks of the flow
 * stored last.
 */
enum at_status at_index_flows(struct at_index *ix, const struct at_set *flows,
                              struct at_error *err);
/* The same with some fields only; at_index_whole_flow() fills in all of the
 * flow stored last. */
enum at_status at_index_flows_with(struct at_index *ix,
                                   const struct at_set *flows, unsigned fields,
                                   struct at_error *err);
enum at_status at_index_whole_flow(struct at_index *ix, struct at_flow_row *row,
                                   struct at_error *err);
enum at_status at_index_next_flow(struct at_index *ix, struct at_flow_row *row,
                                  struct at_error *err);
/* The id of the flow stored last. */
uint32_t at_index_flow_id(const struct at_index *ix);
enum at_status at_index_flow_blocks(struct at_index *ix, struct at_set *blocks,
                                    struct at_error *err);

/*
 * The places of the blocks of a set that hold packets of from_ns <= time <
 * to_ns, in the order of the file; the caller frees *place.
 */
enum at_status at_index_places(struct at_index *ix, const struct at_set *blocks,
                               int64_t from_ns, int64_t to_ns,
                               struct at_place **place, size_t *n,
                               struct at_error *err);

#endif
