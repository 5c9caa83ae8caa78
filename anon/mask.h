/*
 * mask.h - what stands for the addresses of a packet, as a policy wants it
 *
 * A mask belongs to one thread: it has ciphers at work and remembers what it
 * computed, in tables of fixed size.  Masks of the same policy and key say the
 * same.
 */
#ifndef AT_MASK_H
#define AT_MASK_H

#include "key.h"
#include "policy.h"

/* Whose address it is, for policies that tell sources from destinations. */
enum at_role { AT_ROLE_SOURCE = 0, AT_ROLE_DESTINATION, AT_ROLE_NONE };

/* Is told every address that was changed, and what it became: more than once
 * perhaps.  'bytes' is 4, 6 (of a link) or 16. */
typedef void at_mask_seen(void *ctx, const uint8_t *was, const uint8_t *now,
                          size_t bytes);

/* policy and key must live as long as the mask. */
struct at_mask;
enum at_status at_mask_open(struct at_mask **out,
                            const struct at_policy *policy,
                            const struct at_key *key, struct at_error *err);
void at_mask_watch(struct at_mask *mask, at_mask_seen *seen, void *ctx);
void at_mask_close(struct at_mask *mask);

/* Each replaces what is at 'p': an address of 4 or 16 bytes, one of a link (6
 * bytes), the 'n' bytes of a payload, the 'n' letters of a label of a name (of
 * equal ones in any case by equal ones), a number. */
void at_mask_address(struct at_mask *mask, uint8_t *p, size_t bytes,
                     enum at_role role);
void at_mask_mac(struct at_mask *mask, uint8_t *p);
void at_mask_hash(struct at_mask *mask, uint8_t *p, size_t n);
void at_mask_label(struct at_mask *mask, uint8_t *p, size_t n);
uint16_t at_mask_number(struct at_mask *mask, uint16_t v);

/* The address at 'p' comes soon: its place in a table is fetched ahead. */
void at_mask_expect(const struct at_mask *mask, const uint8_t *p, size_t bytes,
                    enum at_role role);

#endif
