/*
 * common.h - what the C tests share: bytes, packed bytes, files, walks
 *
 * Everything here fails the test that runs where it cannot do its work.
 */
#ifndef TEST_COMMON_H
#define TEST_COMMON_H

/* cmocka.h wants these before it */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "archive_trace.h"

/* ---- bytes ----------------------------------------------------------- */

/* Bytes that grow; all zero is none. */
struct bytes {
    uint8_t *p;
    size_t n, room;
};

void add(struct bytes *b, const void *p, size_t n);
void add_zeros(struct bytes *b, size_t n);
void add_le16(struct bytes *b, uint16_t v);
void add_le32(struct bytes *b, uint32_t v);
void add_be16(struct bytes *b, uint16_t v);
void add_be32(struct bytes *b, uint32_t v);
void add_text(struct bytes *b, const char *text);
void drop(struct bytes *b);

/* The same bytes in memory that ends with them, so that reading on shows. */
uint8_t *tight_copy(const void *p, size_t n);

/* Always the same numbers, one after the other. */
uint32_t next_random(uint32_t *state);

/* ---- traces ---------------------------------------------------------- */

/* Header and records of a little-endian nanosecond pcap of Ethernet. */
void add_pcap_header(struct bytes *b);
void add_pcap_record(struct bytes *b, uint32_t sec, uint32_t nsec,
                     uint32_t cap_bytes, uint32_t wire_bytes);

/* 'n' records of 60 bytes or a little more. */
struct bytes small_pcap(unsigned n);

/* Appends a gzip member of the bytes, or a BGZF one, or BGZF's end. */
void add_gzip(struct bytes *b, const void *p, size_t n);
void add_bgzf(struct bytes *b, const void *p, size_t n);
void add_bgzf_eof(struct bytes *b);

/* Members that say their size as ours do, as pgzip's, as those of MiGz. */
void add_sized(struct bytes *b, const void *p, size_t n);
void add_pgzip(struct bytes *b, const void *p, size_t n);
void add_migz(struct bytes *b, const void *p, size_t n);

/* ---- files ----------------------------------------------------------- */

/* A path in a folder that is gone when the program ends; good until the
 * fourth call after it. */
const char *temporary(const char *name);
void write_file(const char *path, const void *p, size_t n);
struct bytes read_file(const char *path);

/* ---- reading --------------------------------------------------------- */

/* What came out of a trace. */
struct seen {
    uint64_t records;
    uint64_t digest; /* of their bytes, in order */
    struct at_error err;
};

void see(struct seen *s, const struct at_packet *pkt);

/* Reads all records; err.status is AT_OK after AT_END. */
struct seen see_file(const char *path, struct at_pool *pool);
struct seen see_bytes(const struct bytes *b, size_t n);

#endif
