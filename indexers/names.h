/*
 * names.h - names, each kept once
 *
 * Numbered from 1 in the order they came.  Who sends packets chooses the
 * names, so there is a limit to what they take, and the hash has a seed.
 */
#ifndef AT_NAMES_H
#define AT_NAMES_H

#include <pthread.h>

#include "archive_trace.h"

/* Bytes of all names together, with a NUL each. */
enum { AT_NAMES_MOST = 128 << 20 };

struct at_names {
    char **chunk; /* of text, which stays where it is */
    size_t chunks, chunk_room;
    size_t used;       /* of the last one */
    size_t bytes;      /* of all names */
    const char **name; /* number i + 1 */
    size_t n, room;
    uint32_t *slot; /* a table of numbers; 0 is free */
    size_t slots;   /* a power of 2 */
    uint64_t seed;
    uint64_t lost; /* that came after the limit was reached */
};

/* One thread at a time.  All zero is none, too, with a seed that can be
 * guessed.
 */
void at_names_init(struct at_names *names);
void at_names_close(struct at_names *names);

/* The number of a name, which is added if need be; *number is 0 if it is one
 * of the lost.  AT_OK or AT_ERR_MEMORY. */
enum at_status at_names_add(struct at_names *names, const char *name,
                            uint32_t *number);

/* Good until they are closed. */
const char *at_names_text(const struct at_names *names, uint32_t number);

/* The same for several threads; the name as it is kept, or NULL if it is lost
 * or there is no memory. */
struct at_shared_names {
    pthread_mutex_t lock;
    struct at_names names;
};
struct at_shared_names *at_shared_names_open(void);
const char *at_shared_names_keep(struct at_shared_names *shared,
                                 const char *name);
void at_shared_names_close(struct at_shared_names *shared);

/*
 * The order in which an index has them: by their last labels, then those
 * before.  A domain is followed by all that is in it.
 */
int at_names_compare(const char *a, const char *b);

/* Whether 'name' is 'domain' or in it. */
bool at_name_is_in(const char *name, const char *domain);

#endif
