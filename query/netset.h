/*
 * netset.h - a set of addresses and networks, read from a file
 *
 * One address or network a line ("192.0.2.7", "10.0.0.0/8",
 * "2001:db8::/32"); what follows a '#' or a space is a comment.
 */
#ifndef AT_NETSET_H
#define AT_NETSET_H

#include "archive_trace.h"

struct at_netset;

/* On failure *out is NULL and the message has the file and the line. */
enum at_status at_netset_open(struct at_netset **out, const char *path,
                              struct at_error *err);

/* 'addr' has 4 bytes, or 16. */
bool at_netset_has(const struct at_netset *set, const uint8_t *addr,
                   unsigned addr_bytes);

/* The ranges of the set, IPv4 before IPv6, none touching another. */
size_t at_netset_ranges(const struct at_netset *set);
void at_netset_close(struct at_netset *set);

#endif
