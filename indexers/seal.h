/*
 * seal.h - whether the catalogue is as it was left
 *
 * The digest of catalog.sqlite stands beside it in catalog.sha256, as
 * sha256sum(1) writes and checks it, while nobody changes the catalogue: who
 * does removes it first and makes it anew in the end.  So a catalogue without
 * one was left by a process that was stopped, or is being changed, and one
 * that is not what its seal says is damaged, in whatever byte.
 */
#ifndef AT_SEAL_H
#define AT_SEAL_H

#include "archive_trace.h"

#define AT_CATALOG_NAME "catalog.sqlite"
#define AT_SEAL_NAME "catalog.sha256"

enum at_seal {
    AT_SEAL_NONE,
    AT_SEAL_GOOD,
    AT_SEAL_BROKEN, /* one of the two files is not as it was */
};

/* Needs no lock: it looks again if the seal has changed meanwhile. */
enum at_status at_seal_check(const char *archive, enum at_seal *seal,
                             struct at_error *err);

/* Both are for who has the lock.  A seal is gone for good, or there whole. */
enum at_status at_seal_break(const char *archive, struct at_error *err);
enum at_status at_seal_make(const char *archive, struct at_error *err);

#endif
