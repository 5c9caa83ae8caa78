/*
 * words.h - the words of a pcap-filter expression
 */
#ifndef AT_WORDS_H
#define AT_WORDS_H

#include "expr.h"

enum token_kind {
    T_END,
    T_NAME,  /* a name, or a keyword after a backslash */
    T_NUM,   /* value */
    T_CONST, /* tcp-syn and the like: a number that we do not look up */
    T_IPV4,  /* two to four numbers with dots between */
    T_IPV6,
    T_OTHER_ID, /* MAC and ARCnet addresses */
    T_AND,
    T_OR,
    T_NOT,
    T_RELOP, /* < > = and so on */
    T_BINOP, /* + - * / % & | ^ << >> */
    T_CHAR,  /* ( ) [ ] : */
    T_PROTOCOL,
    T_SRC,
    T_DST,
    T_KIND, /* host, net, port...: value is an enum kind */
    T_MASK,
    T_LEN,
    T_CAST,     /* broadcast, multicast */
    T_NUMBERED, /* less, greater, ifindex: a number follows */
    T_BYTE,
    T_PLAIN, /* inbound, outbound */
    T_TAG,   /* vlan, mpls, pppoes, geneve, pppoed: a number may follow */
    T_NAMED, /* ifname, reason...: a name or number follows */
    T_WLAN,  /* type, subtype, dir */
    T_LLC,
    T_EXOTIC,
    T_FLOW,  /* a whole flow term: see term.h */
    T_INNER, /* the word with its operand: see inner.h */
};

/* What an id stands for. */
enum kind {
    KIND_NONE, /* no qualifiers to inherit */
    KIND_DEFAULT,
    KIND_HOST,
    KIND_NET,
    KIND_PORT,
    KIND_PORTRANGE,
    KIND_PROTO,
    KIND_OTHER,
};

/* Protocols as qualifiers. */
enum qualifier {
    Q_DEFAULT,
    Q_IP,
    Q_IP6,
    Q_ARP,
    Q_RARP,
    Q_TCP,
    Q_UDP,
    Q_SCTP,
    Q_OTHER,
};

struct token {
    enum token_kind kind;
    uint32_t column;
    uint32_t length;
    uint32_t value;
    const struct protocol *protocol; /* T_PROTOCOL: or NULL */
};

/* Protocols that say something we know when they stand alone. */
struct protocol {
    const char *text;
    enum qualifier qualifier;
    enum at_leaf leaf;
    uint8_t nets;
    uint8_t proto;
};

enum { AT_WORD_BYTES = 256 }; /* a longer name is not looked up */

/*
 * Takes the word at 'p', which is no space, apart.  Inside of brackets a colon
 * does not make an address.
 */
void at_word_take(struct token *t, const char *p, bool bracket);

/* Decimal, octal or hexadecimal as in C; false if it is none or overflows. */
bool at_word_number(uint32_t *value, const char *p, size_t len);

bool at_word_is_space(char c);
bool at_word_is_digit(char c);

#endif
