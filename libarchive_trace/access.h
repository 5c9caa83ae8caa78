/*
 * access.h - access points of a gzip file: taking them, believing them
 */
#ifndef AT_ACCESS_H
#define AT_ACCESS_H

#include "gunzip.h"

/*
 * Takes points while a file is read in sequence.  Before a step
 * at_recorder_before() tells the decoder how to go on, after it
 * at_recorder_after() looks whether a point can be taken.
 */
struct at_recorder;

/* 'spacing' and 'portion' as in struct at_reader_options. */
struct at_recorder *at_recorder_open(uint64_t spacing, uint64_t portion);
void at_recorder_close(struct at_recorder *r);

/* Returns how many bytes the step may decode, of 'n'. */
size_t at_recorder_before(struct at_recorder *r, struct at_gunzip *g, size_t n);

/* out[0] up to out[n] are the bytes decoded last, those before a call of
 * at_recorder_keep() aside. */
enum at_status at_recorder_after(struct at_recorder *r,
                                 const struct at_gunzip *g, const uint8_t *out,
                                 size_t n);

/* The bytes of the last calls go away: keeps what a window needs of them. */
void at_recorder_keep(struct at_recorder *r, const uint8_t *out, size_t n);

const struct at_access_point *at_recorder_points(const struct at_recorder *r,
                                                 size_t *n);

/* Whether points from elsewhere can be those of a file of that size. */
enum at_status at_access_check(const struct at_access *access,
                               const struct at_input *in, struct at_error *err);

/* Unpacks the window of a point to 'to', which has AT_WINDOW bytes; 'packed',
 * of AT_WINDOW_PACKED, is for what has to be loaded. */
enum at_status at_access_window(const struct at_access *access, size_t i,
                                const uint8_t *packed, uint8_t *to,
                                struct at_error *err);

#endif
