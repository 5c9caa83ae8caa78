/*
 * sum_key.h - what flows are summed up by: --top N:KEY and --series STEP:KEY
 */
#ifndef AT_SUM_KEY_H
#define AT_SUM_KEY_H

#include "query.h"

enum at_key_kind {
    AT_KEY_HOST, /* both ends count */
    AT_KEY_SRC,
    AT_KEY_DST,
    AT_KEY_NET,  /* net/BITS or net/BITS4/BITS6 */
    AT_KEY_PORT, /* of the server, with the protocol */
    AT_KEY_PAIR,
    AT_KEY_PROTO,
    AT_KEY_APP,
    AT_KEY_CATEGORY,
    AT_KEY_NAME,
    AT_KEY_STATE,
    AT_KEY_VLAN,
    AT_KEY_STREAM,
};

struct at_key {
    enum at_key_kind kind;
    uint8_t bits[2]; /* NET: of IPv4, IPv6 */
};

/* A key's value, to be compared byte by byte. */
struct at_key_value {
    const char *name; /* of NAME, each of which is kept once */
    uint8_t b[48];
};

/* "host", "net/24", "net/24/48", ...  'n' bytes of text. */
enum at_status at_key_parse(struct at_key *key, const char *text, size_t n,
                            struct at_error *err);

/* The AT_ROW_ fields that a value is made of. */
unsigned at_key_fields(const struct at_key *key);

/* The values that a flow counts for, one or two; 'lane' is of its stream. */
unsigned at_key_values(const struct at_key *key, const struct at_flow_row *row,
                       size_t lane, struct at_key_value value[2]);

/* As people read it; 'buf' needs AT_KEY_TEXT bytes. */
enum { AT_KEY_TEXT = 512 };
const char *at_key_text(char *buf, const struct at_key *key,
                        const struct at_key_value *value,
                        const struct at_targets *t);
const char *at_key_name(const struct at_key *key);

/* ---- sums by key ----------------------------------------------------- */

struct at_sum {
    struct at_key_value value;
    uint64_t flows, packets, bytes;
};

struct at_sums {
    struct at_sum *sum; /* in no order, until at_sums_sort() */
    size_t n, room;
    uint32_t *slot; /* number + 1 */
    size_t slots;   /* a power of 2 */
};

/* The sum of a value, zero at first; NULL: no memory.  Good until the next. */
struct at_sum *at_sums_of(struct at_sums *s, const struct at_key_value *value);

/* Brings where a value's sum is found into the cache, and then, in a second
 * step, the sum. */
void at_sums_seek(const struct at_sums *s, const struct at_key_value *value);
void at_sums_touch(const struct at_sums *s, const struct at_key_value *value);

/* Largest first, equal ones by value; afterwards nothing can be added. */
enum at_measure { AT_BY_BYTES, AT_BY_PACKETS, AT_BY_FLOWS };
void at_sums_sort(struct at_sums *s, enum at_measure by);
void at_sums_close(struct at_sums *s);

#endif
