/*
 * survey.h - what a trace holds, in numbers
 *
 * Threads survey stretches of a trace; stretches are joined in the order of
 * the file, so that the sums are the same for any number of threads.
 */
#ifndef AT_SURVEY_H
#define AT_SURVEY_H

#include "archive_trace.h"

enum {
    AT_SURVEY_LINKTYPES = 16,
    AT_SURVEY_INTERFACES = 64, /* others are counted together */
    AT_SURVEY_NAME = 32,       /* bytes of an interface's name, with its 0 */
    AT_SURVEY_NEAR = 32,       /* packets back in which a duplicate is seen */
};

/* The times of some packets, in the order of the file; 32.32. */
struct at_survey_times {
    uint64_t packets; /* that have a time */
    uint64_t first, last;
    uint64_t begin, end; /* of the first and last packet of the file */
    uint64_t backward;   /* packets earlier than the one before */
    uint64_t back_most;  /* the largest of these steps */
    uint64_t gap_most;   /* the largest step ahead, and where it ended */
    uint64_t gap_end;
};

struct at_survey_interface {
    uint32_t number;
    char name[AT_SURVEY_NAME]; /* "" if it has none */
    uint64_t packets, captured_bytes, wire_bytes, lost;
    uint64_t in, out;
    struct at_survey_times times;
};

struct at_survey {
    uint64_t packets, meta, pad;
    uint64_t captured_bytes, wire_bytes;
    uint64_t lost;
    uint64_t cut;  /* packets captured in part */
    uint64_t over; /* packets with more captured than was on the wire */
    uint64_t blocks;
    uint64_t raw_bytes; /* of all records, decoded */
    struct at_survey_times times;
    uint16_t linktype[AT_SURVEY_LINKTYPES]; /* in the order met */
    unsigned linktypes;
    struct at_survey_interface interface[AT_SURVEY_INTERFACES];
    unsigned interfaces;
    uint64_t elsewhere; /* packets of interfaces that found no place */
    /* Only a deep survey finds duplicates: the same bytes and lengths as one
     * of the AT_SURVEY_NEAR packets before, at whatever time. */
    uint64_t duplicates;
    unsigned heads, tails; /* hashes of the first and the last packets */
    uint64_t head[AT_SURVEY_NEAR], tail[AT_SURVEY_NEAR];
    uint32_t head_seen; /* bit i: head[i] was counted as a duplicate */
};

/* Adds a record, which comes after all that *s has seen; zero is none seen. */
void at_survey_packet(struct at_survey *s, const struct at_packet *pkt,
                      bool deep);

/* Adds the records of a batch. */
void at_survey_batch(struct at_survey *s, const struct at_batch *batch,
                     bool deep);

/* Adds to *s, the survey of a trace from its beginning, that of the stretch
 * which follows. */
void at_survey_join(struct at_survey *s, const struct at_survey *next);

#endif
