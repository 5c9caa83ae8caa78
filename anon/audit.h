/*
 * audit.h - whether an original address is left in an anonymised trace
 *
 * The audit is told the addresses that were changed, and then reads what was
 * written, with no regard to how that was made.  It searches every byte for
 * each of them, in either byte order, and if 'text' as text too.
 *
 * Four bytes are soon found by chance.  So bytes that at_decode() knows to be
 * numbers (lengths, ports, sequence numbers, times) are no hit, nor is an
 * address that another one became.  The fields of addresses are looked at by
 * themselves: there must be no original unless one became it.
 *
 * 0.0.0.0/8, 255.255.255.255, ::/96 and addresses of groups of links are not
 * looked for: they are no one's.
 */
#ifndef AT_AUDIT_H
#define AT_AUDIT_H

#include "mask.h"

struct at_leak {
    uint64_t packet; /* its number, from 1; of any kind of record */
    uint32_t offset; /* in the record */
    bool backwards;  /* with its bytes in the other order */
    bool as_text;
    uint8_t bytes; /* 4, 6 or 16 */
    uint8_t address[16];
};

struct at_audit;
enum at_status at_audit_open(struct at_audit **out, bool text,
                             struct at_error *err);
void at_audit_close(struct at_audit *audit);

/* An at_mask_seen with the audit as its ctx; one thread at a time. */
void at_audit_learn(void *audit, const uint8_t *was, const uint8_t *now,
                    size_t bytes);

/* Searches the record of 'pkt', all of it; false if memory ran out. */
bool at_audit_record(struct at_audit *audit, const struct at_packet *pkt);

/* The first of the leaks found, and how many there are. */
enum { AT_LEAKS_MOST = 20 };
const struct at_leak *at_audit_leaks(const struct at_audit *audit, size_t *n,
                                     uint64_t *all);
/* How many addresses are looked for. */
uint64_t at_audit_addresses(const struct at_audit *audit);

#endif
