/*
 * salvage.h - which bytes of a damaged trace are records that can be trusted
 *
 * at_frame() goes by the lengths of records alone and believes whatever it
 * can.  Here every record is held against what records are like: its fields
 * against each other, its time against that of the record before, and its end
 * against what begins there.
 */
#ifndef AT_SALVAGE_H
#define AT_SALVAGE_H

#include "format.h"

/* What is known at the place where a record should begin. */
struct at_ground {
    uint64_t ts; /* of the last record that has one; 32.32 */
    bool timed;  /* there was one */
    /* pcapng: what the blocks on the way have said */
    bool swapped;
    bool foreign; /* another section than the layout's */
    uint32_t interfaces;
};

struct at_salvage {
    struct at_ground ground;
    bool lost;     /* no record is known to begin at the next byte */
    size_t intact; /* so many bytes from the next on are whole records */
};

enum at_step_kind {
    AT_STEP_RECORD, /* one that can be trusted goes up to 'to' */
    AT_STEP_HOLE,   /* nothing does; go on at 'to' */
    AT_STEP_WAIT,   /* nothing does up to 'to'; from there on more bytes than
                       these are needed to tell */
};

struct at_step {
    enum at_step_kind kind;
    const uint8_t *to;
};

/*
 * One step from 'p', which is before 'end'; 'whole' if nothing follows the
 * bytes up to 'end'.  A step looks ahead by a bounded number of bytes for each
 * byte that it passes.
 */
struct at_step at_salvage_step(struct at_salvage *s,
                               const struct at_layout *layout, const uint8_t *p,
                               const uint8_t *end, bool whole);

/* Bytes are missing here: what comes next may begin anywhere. */
void at_salvage_lose(struct at_salvage *s);

#endif
