/*
 * process.h - the parts of the processing of packets
 *
 * Each part reads its own text and does its own change; process.c joins them.
 * All are for any number of threads once they are made.
 */
#ifndef AT_PROCESS_H
#define AT_PROCESS_H

#include <string.h>

#include "archive_trace.h"

/* ---- words of an option's text --------------------------------------- */

/* A part of a text between commas. */
struct at_item {
    const char *p;
    size_t n;
};

/* The word at *at, which is moved behind its comma, or to NULL at the end. */
static inline struct at_item at_item_next(const char **at)
{
    const struct at_item w = {*at, strcspn(*at, ",")};

    *at = w.p[w.n] == ',' ? w.p + w.n + 1 : NULL;
    return w;
}

static inline bool at_item_is(struct at_item w, const char *text)
{
    return strlen(text) == w.n && memcmp(text, w.p, w.n) == 0;
}

/* Takes a decimal number up to 'most' off the front of *w; false if there is
 * none. */
bool at_item_number(struct at_item *w, uint32_t most, uint32_t *n);

/* Takes 'c' off the front of *w; false if something else is there. */
bool at_item_skip(struct at_item *w, char c);

/* ---- snap.c: how much of a packet is kept ---------------------------- */

struct at_snap;
enum at_status at_snap_open(struct at_snap **out, const char *policy,
                            struct at_error *err);
void at_snap_close(struct at_snap *snap);

/* Bytes to keep, which may be more than there are. */
uint64_t at_snap_bytes(const struct at_snap *snap, const struct at_packet *pkt,
                       const struct at_headers *h);

/* ---- strip.c: tags and frame check sequences ------------------------- */

enum { AT_STRIP_VLAN = 1, AT_STRIP_MPLS = 2, AT_STRIP_PPPOE = 4 };

enum at_status at_strip_parse(unsigned *tags, const char *list,
                              struct at_error *err);

/* Does what it says and returns the AT_DONE_ bits of it. */
unsigned at_strip_tags(struct at_packet *pkt, unsigned tags,
                       struct at_scratch *scratch);
/* The FCS of frames of 'linktype' that had the FCS 'fcs' before. */
struct at_fcs at_fcs_after(enum at_fcs_use use, uint16_t linktype,
                           struct at_fcs fcs);
unsigned at_fcs_strip(struct at_packet *pkt);
unsigned at_fcs_add(struct at_packet *pkt, struct at_scratch *scratch);

/* Bytes of the link header and all tags behind it; UINT32_MAX where the link
 * type has no header that is known, or it was not captured whole. */
uint32_t at_link_bytes(const struct at_packet *pkt);

/* 'n' bytes of scratch, or NULL. */
static inline uint8_t *at_scratch_take(struct at_scratch *s, size_t n)
{
    uint8_t *p = s->p + s->used;

    if (n > s->room - s->used)
        return NULL;
    s->used += n;
    return p;
}

/* ---- direction.c: which way a packet goes ---------------------------- */

struct at_direction_rule;
enum at_status at_direction_open(struct at_direction_rule **out,
                                 const char *text, struct at_error *err);
void at_direction_close(struct at_direction_rule *rule);
enum at_direction at_direction_of(const struct at_direction_rule *rule,
                                  const struct at_packet *pkt,
                                  const struct at_headers *h);

/* Whether processing has said which way the packet goes. */
bool at_direction_is_set(const struct at_packet *pkt);

/* ERF has the direction in its interface bits: 0 out, 1 in, 2 other. */
void at_direction_to_erf(uint8_t *record, const struct at_packet *pkt);

#endif
