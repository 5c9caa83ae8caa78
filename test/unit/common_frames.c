/*
 * common_frames.c - headers of packets, with fixed addresses and ports
 */
#include "common_frames.h"

void add_ethernet(struct bytes *b, uint16_t ethertype)
{
    add(b, "\2\0\0\0\0\1\2\0\0\0\0\2", 12);
    add_be16(b, ethertype);
}

void add_ipv4(struct bytes *b, uint8_t proto, uint16_t fragment, uint16_t total,
              unsigned option_words)
{
    add(b, (uint8_t[]){(uint8_t)(0x45 + option_words), 0}, 2);
    add_be16(b, total);
    add_be16(b, 1);
    add_be16(b, fragment);
    add(b, (uint8_t[]){64, proto, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2}, 12);
    add_zeros(b, (size_t)option_words * 4);
}

void add_ipv6(struct bytes *b, uint8_t next, uint16_t payload)
{
    add(b, "\x60\0\0\0", 4);
    add_be16(b, payload);
    add(b, (uint8_t[]){next, 64}, 2);
    add(b, "\x20\1\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\1", 16);
    add(b, "\x20\1\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\2", 16);
}

void add_tcp(struct bytes *b, unsigned words, uint8_t flags)
{
    add_be16(b, 1024);
    add_be16(b, 443);
    add_be32(b, 0x01020304);
    add_be32(b, 0);
    add(b, (uint8_t[]){(uint8_t)(words << 4), flags, 0, 0, 0, 0, 0, 0}, 8);
    if (words > 5)
        add_zeros(b, (words - 5) * 4);
}

void add_ports(struct bytes *b, uint16_t sport, uint16_t dport, uint16_t bytes)
{
    add_be16(b, sport);
    add_be16(b, dport);
    add_be16(b, bytes);
    add_be16(b, 0);
}

void add_udp(struct bytes *b, uint16_t bytes)
{
    add_ports(b, 53, 5353, bytes);
}
