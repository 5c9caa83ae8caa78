/*
 * identity.h - how a trace file is known again, whatever its name
 *
 * SHA-256 of the file's size and its first and last 64 KiB, as stored.  Cheap
 * enough to be asked for at every opening, and two captures that differ
 * anywhere differ in size or, by their times, at one of their ends.
 */
#ifndef AT_IDENTITY_H
#define AT_IDENTITY_H

#include "archive_trace.h"

enum { AT_IDENTITY_BYTES = 32 };

struct at_identity {
    uint64_t file_bytes;
    uint8_t digest[AT_IDENTITY_BYTES];
};

enum at_status at_identity_of(struct at_identity *id, const char *path,
                              struct at_error *err);

bool at_identity_same(const struct at_identity *a, const struct at_identity *b);

#endif
