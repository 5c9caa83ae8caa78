/*
 * term.h - the terms of an expression that speak of flows
 *
 * archive_trace-filter(7) tells what they mean.  A term stands where a
 * primitive of pcap-filter(7) may stand, and is written so that libpcap would
 * take none of it for an expression.
 */
#ifndef AT_TERM_H
#define AT_TERM_H

#include "flow_row.h"

struct at_netset;

enum at_term_what {
    AT_TERM_NET,    /* host, net */
    AT_TERM_PORT,   /* port, portrange */
    AT_TERM_IN,     /* in FILE */
    AT_TERM_FLAGS,  /* all of these were set */
    AT_TERM_STATE,  /* is one of the states */
    AT_TERM_REASON, /* for which it ended */
    AT_TERM_STREAM, /* the name of the stream */
    AT_TERM_COMMUNITY,
    AT_TERM_APP,
    AT_TERM_CATEGORY,
    AT_TERM_NAME,    /* a domain that the name it asks for is, or is in */
    AT_TERM_PACKETS, /* from here on a number is compared */
    AT_TERM_BYTES,
    AT_TERM_RETRANSMITS,
    AT_TERM_DURATION, /* nanoseconds */
    AT_TERM_RTT,      /* nanoseconds */
    AT_TERM_RATE,     /* bits a second */
};

/* Whose address, port, flags, packets or bytes. */
enum at_term_end { AT_END_EITHER, AT_END_CLIENT, AT_END_SERVER };

struct at_term {
    enum at_term_what what;
    enum at_term_end end;
    char op; /* '<' '>' '=' '!', 'l' for <= and 'g' for >= */
    uint64_t number;
    uint8_t addr[16];
    uint8_t addr_bytes;
    uint8_t prefix;
    uint16_t low, high;    /* ports */
    uint8_t flags;         /* FLAGS */
    uint16_t states;       /* bits of enum at_flow_state, or at_flow_end */
    char *text;            /* STREAM, COMMUNITY, APP, CATEGORY, NAME */
    struct at_netset *set; /* IN */
};

/* How many bytes the term that begins at 'text' takes, its value included;
 * 0 if none begins there. */
size_t at_term_span(const char *text);

/*
 * Parses the 'n' bytes of a term.  On failure, AT_ERR_SYNTAX with the column
 * from the start of 'text', or what reading a file gave, there is nothing to
 * close.
 */
enum at_status at_term_parse(struct at_term *t, const char *text, size_t n,
                             struct at_error *err);
void at_term_close(struct at_term *t);

/* Whether it is true of a flow; 'stream' is where that was found. */
bool at_term_true(const struct at_term *t, const struct at_flow_row *row,
                  const char *stream);

#endif
