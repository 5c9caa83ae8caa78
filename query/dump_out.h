/*
 * dump_out.h - the facts of a packet, put as text or as JSON
 *
 * A layer is a line, or an object in JSON; a fact is a name and a value in
 * it.  In names '_' stands for a space in the text.
 */
#ifndef AT_DUMP_OUT_H
#define AT_DUMP_OUT_H

#include "bytes.h"
#include "dump.h"

struct at_dump {
    struct at_text *text;
    const struct at_packet *pkt;
    const struct at_dump_options *opts;
    bool json;
    bool begun;     /* a layer has begun */
    unsigned depth; /* tunnels around it */
};

void at_dump_layer(struct at_dump *d, const char *name);
void at_dump_end_layer(struct at_dump *d);

void at_dump_num(struct at_dump *d, const char *name, uint64_t n);
/* 0x with that many digits; a number in JSON. */
void at_dump_hex(struct at_dump *d, const char *name, uint64_t n, int digits);
void at_dump_word(struct at_dump *d, const char *name, const char *word);
/* The value without its name in the text. */
void at_dump_bare(struct at_dump *d, const char *name, const char *word);
/* The name alone; true in JSON. */
void at_dump_flag(struct at_dump *d, const char *name);
/* "a > b"; in JSON two facts, "src" and "dst". */
void at_dump_ends(struct at_dump *d, const char *src, const char *dst);
void at_dump_ports(struct at_dump *d, uint16_t src, uint16_t dst);
/* Bytes of a packet in quotes, '.' for those that cannot be shown. */
void at_dump_chars(struct at_dump *d, const char *name, const uint8_t *p,
                   size_t n);
/* Bytes of a packet as hexadecimal digits. */
void at_dump_bytes(struct at_dump *d, const char *name, const uint8_t *p,
                   size_t n);

/* Without names; plain text. */
void at_dump_puts(struct at_text *t, const char *s);
void at_dump_put_num(struct at_text *t, uint64_t n);
void at_dump_put_hex(struct at_text *t, uint64_t n, int digits);

/* Addresses as text: 'buf' needs AT_DUMP_ADDRESS bytes, and is returned. */
enum { AT_DUMP_ADDRESS = 48 };
const char *at_dump_mac(char *buf, const uint8_t *p);
const char *at_dump_ipv4(char *buf, const uint8_t *p);
const char *at_dump_ipv6(char *buf, const uint8_t *p);

/* A cursor over the captured bytes from 'from' to 'to'. */
struct at_cursor at_dump_cursor(const struct at_packet *pkt, uint32_t from,
                                uint32_t to);

/* A name for a number: the last entry of a table has no name. */
struct at_dump_name {
    uint32_t n;
    const char *name;
};
/* NULL if it has none. */
const char *at_dump_name(const struct at_dump_name *table, uint32_t n);
/* The name, or the number if there is none. */
void at_dump_named(struct at_dump *d, const char *name,
                   const struct at_dump_name *table, uint32_t n);

/* NULL if it has none. */
const char *at_dump_link_name(uint16_t linktype);

/* ---- the layers, each in a file of its own --------------------------- */

/* Link headers and tags up to the network layer or what is unknown; returns
 * the offset of what was not shown. */
uint32_t at_dump_link(struct at_dump *d, const struct at_headers *h);

/* Network and transport headers; returns the offset where the network's end. */
uint32_t at_dump_net(struct at_dump *d, const struct at_headers *h);
const char *at_dump_proto(char *buf, uint8_t proto);

/* The header of the tunnel that leads from 'outer' to 'inner'. */
void at_dump_tunnel(struct at_dump *d, const struct at_headers *outer,
                    const struct at_headers *inner);

/* What an ERF record says beside the packet. */
void at_dump_erf(struct at_dump *d);

#endif
