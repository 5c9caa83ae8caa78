/*
 * common_records.h - what the tests of the formats share
 */
#ifndef TEST_COMMON_RECORDS_H
#define TEST_COMMON_RECORDS_H

#include "common.h"

#include "format.h"

/* Takes the only record of 'n' bytes apart. */
struct at_packet parse_one(const struct at_layout *layout, const uint8_t *p,
                           size_t n);

/* The layout of a whole file, which must be of this format. */
struct at_layout detect_as(enum at_format format, const uint8_t *p, size_t n);

/* A packet that is not of ERF: link type, and captured whole. */
struct at_packet frame_of(uint16_t linktype, const uint8_t *data, uint32_t n);

extern const struct at_layout erf_layout;

enum { SECONDS = 0x65432100 };

/*
 * An ERF record of 'type': 'extensions' extension headers, then 'rest' bytes
 * 1, 2, 3...; half past SECONDS; lctr or colour is 'field'.
 */
struct bytes erf_record(uint8_t type, uint8_t flags, uint16_t field,
                        uint16_t wire, unsigned extensions, size_t rest);

struct at_packet parse_erf(const struct bytes *b);

#endif
