/*
 * common_frames.h - headers of packets, with fixed addresses and ports
 */
#ifndef COMMON_FRAMES_H
#define COMMON_FRAMES_H

#include "common.h"

enum { TCP = 6, UDP = 17, ICMP = 1, ICMPV6 = 58, SCTP = 132 };

void add_ethernet(struct bytes *b, uint16_t ethertype);

/* From 10.0.0.1 to 10.0.0.2; 'total' is the whole packet's length. */
void add_ipv4(struct bytes *b, uint8_t proto, uint16_t fragment, uint16_t total,
              unsigned option_words);

/* From 2001:db8::1 to 2001:db8::2. */
void add_ipv6(struct bytes *b, uint8_t next, uint16_t payload);

/* From port 1024 to 443; 'words' of 4 bytes is the header's length. */
void add_tcp(struct bytes *b, unsigned words, uint8_t flags);

/* 'bytes' is what the length field says. */
void add_ports(struct bytes *b, uint16_t sport, uint16_t dport, uint16_t bytes);

/* From port 53 to 5353. */
void add_udp(struct bytes *b, uint16_t bytes);

#endif
