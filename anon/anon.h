/*
 * anon.h - packets that can be shown to others
 *
 * Every address in a packet becomes another by a policy, whatever is not
 * understood is cut off or the packet dropped, and all the rest is as it was.
 * What becomes of a packet depends on the packet, the policy and the key, and
 * on nothing else: not on threads, nor on other packets.
 */
#ifndef AT_ANON_H
#define AT_ANON_H

#include "mask.h"

/*
 * at_anon_open() copies policy and key; the key (NULL: none) is wiped by
 * at_anon_close().  A policy that needs a key and has none is AT_ERR_SYNTAX.
 */
struct at_anon;
enum at_status at_anon_open(struct at_anon **out,
                            const struct at_policy *policy,
                            const struct at_key *key, struct at_error *err);

/* Each address that is changed is told to 'seen', by any thread, one at a
 * time; before the first packet. */
void at_anon_watch(struct at_anon *anon, at_mask_seen *seen, void *ctx);

/*
 * at_anon_packet() is for at_selection.change, with the struct at_anon as its
 * ctx: any number of threads may call it.  New bytes go to 'scratch'.  False:
 * the record is dropped.
 */
bool at_anon_packet(void *anon, struct at_scratch *scratch,
                    struct at_packet *pkt);

/* Whether a thread could not be given its tables; its packets were dropped. */
bool at_anon_failed(const struct at_anon *anon);

void at_anon_close(struct at_anon *anon);

#endif
