/*
 * parts.h - flows as parts: a row of each segment that a flow lies in
 *
 * A flow term is about the whole flow, and so is --whole-flows; so all rows
 * that may be of use are taken first, those of one flow are joined, and only
 * then it is known which of them are wanted.
 */
#ifndef AT_PARTS_H
#define AT_PARTS_H

#include "datagrams.h"
#include "query.h"

struct at_part {
    struct at_flow_key key;
    struct at_flow_row row;
    size_t target;
    size_t lane;
    size_t number; /* as it was added */
    uint32_t id;   /* of the row in the target's index; 0: it has none */
    uint32_t flow; /* number of the flow, once they are joined */
    bool source_is_hi;
    uint8_t verdict; /* enum at_verdict, of a packet of this part */
};

/* A flow, and what is known of it. */
struct at_joined {
    struct at_flow_row row;
    uint64_t vector; /* flow terms that are true */
    size_t target;   /* the last one */
    bool matched;    /* a packet of it matches */
};

struct at_parts {
    struct at_part *part;
    size_t n, room;
    struct at_joined *flow; /* once they are joined */
    size_t flows;
};

/* Adds a row of a target; AT_OK or AT_ERR_MEMORY. */
enum at_status at_parts_add(struct at_parts *p, const struct at_targets *t,
                            size_t target, const struct at_flow_row *row,
                            uint32_t id);

/* Adds those of 'from', none of which are joined; AT_OK or AT_ERR_MEMORY. */
enum at_status at_parts_move(struct at_parts *p, const struct at_parts *from,
                             const struct at_targets *t);

/* Joins those of one flow; p->part is then by flow, in sequence. */
enum at_status at_parts_join(struct at_parts *p, const struct at_targets *t);
void at_parts_close(struct at_parts *p);

/* Once they are joined: adds those of their flows in targets outside of the
 * range, and joins them too.  But for AT_ERR_MEMORY, an error is of one target,
 * and all that the others have is added. */
enum at_status at_parts_reach(struct at_parts *p, const struct at_query *q,
                              const struct at_targets *t, struct at_error *err);

/*
 * Takes the rows of target 'number' that may have a matching packet, whatever
 * flow terms are true.  Left out are those that tell all that must be known:
 * of flows without other parts, if the target has an index.  Those are as many
 * as there may be, and at_owners_pick() reads them again.
 */
enum at_status at_parts_take(struct at_parts *p, const struct at_query *q,
                             const struct at_targets *t, size_t number,
                             struct at_error *err);

/* Whether a packet of a row of the target matches, if the flow has no other
 * parts; *vector is which flow terms are true then. */
enum at_verdict at_judge_alone(const struct at_query *q,
                               const struct at_targets *t, size_t number,
                               struct at_flow_row *row, uint64_t *vector);

/* Whether at_parts_take() leaves a row out that is judged so. */
bool at_is_left_out(const struct at_query *q, const struct at_flow_row *row,
                    enum at_verdict verdict);

/*
 * Joins them and judges each by what is true of its flow; afterwards the parts
 * are by target.  Flows of which a packet surely matches are 'matched'.  Errors
 * are as of at_parts_reach().
 */
enum at_status at_parts_judge(struct at_parts *p, const struct at_query *q,
                              const struct at_targets *t, struct at_error *err);

/* Adds the flows that are matched. */
enum at_status at_parts_finds(const struct at_parts *p, struct at_finds *finds);

/* ---- which flow a packet is of --------------------------------------- */

/* The parts of one target, to be looked up by packets, on any thread.  Of an
 * indexed one those that at_parts_take() left out are read again. */
struct at_owners;

enum { AT_OWNED_ALONE = UINT32_MAX };

/* A part, for as long as its owners. */
struct at_owned {
    struct at_flow_key key;
    int64_t start_ns, end_ns;
    const struct at_flow_row *flow; /* all of the flow that it is of */
    struct at_filter *filter;       /* that its packets must match */
    uint32_t number;                /* of the flow, or AT_OWNED_ALONE */
    uint32_t id;                    /* of the row; 0: it has none */
    uint32_t next; /* number + 1 of the next in the same slot */
    uint8_t marks, continues;
    uint8_t verdict; /* enum at_verdict */
    bool matched;    /* a packet of the flow matches */
};

enum at_status at_owners_open(struct at_owners **out, const struct at_query *q,
                              const struct at_parts *p, size_t target,
                              struct at_error *err);
void at_owners_close(struct at_owners *o);

enum at_wanted {
    AT_WANT_MATCHING, /* packets that match, by what is true of their flow */
    AT_WANT_DOUBTS,   /* the same, of flows of which it is not known yet */
    AT_WANT_FLOWS,    /* all packets of flows that are matched, and what
                         quotes them */
};

/*
 * Opens the packets of the target that are wanted, once.  *pick and *rd are
 * NULL if none can be, as where they are gone.  'owners' must live as long.
 */
enum at_status at_owners_pick(struct at_owners *owners, enum at_wanted wanted,
                              const struct at_targets *t, struct at_reader **rd,
                              struct at_pick **pick, struct at_error *err);

/* The next of them; *owned is the part that it is of, NULL if it is of none. */
enum at_status at_owners_next(struct at_owners *owners, struct at_pick *pick,
                              struct at_packet *pkt,
                              const struct at_owned **owned,
                              struct at_error *err);

/*
 * Notes the datagrams that earlier segments hand on to that of 'ix', with what
 * 'goer' says of the flow of that key that goes on there.
 */
typedef uint32_t at_goer_fn(const void *ctx, const struct at_flow_key *key);
enum at_status at_resume_datagrams(struct at_datagrams *d, struct at_index *ix,
                                   at_goer_fn *goer, const void *ctx,
                                   struct at_error *err);

/* Asks the packets of target 'number' where judging them left doubts. */
enum at_status at_parts_settle(struct at_parts *p, const struct at_query *q,
                               const struct at_targets *t, size_t number,
                               struct at_error *err);

#endif
