/*
 * expr.c - pcap-filter(7) as a tree
 *
 * The grammar is that of libpcap 1.10 (scanner.l, grammar.y), made wider
 * where that is simpler: libpcap refuses what is wrong anyhow.
 *
 *     expr:    operand { (and | or) operand }      same precedence, from left
 *     operand: not operand | relation | '(' expr ')' | id | head operand |
 *              protocol | inner | other
 *     head:    [protocol] [src | dst | src or dst | src and dst]
 *              [host | net | port | portrange | proto | ...]
 *
 * An id without a head takes the qualifiers of the last head before it.  They
 * are lost behind a protocol, a relation and the like, and behind a closing
 * parenthesis they are again what they were before the opening one.
 *
 * "inner" with its operand is one token, which at_filter_open() takes apart.
 *
 * A relation such as "tcp[tcpflags] & (tcp-syn|tcp-fin) != 0" is only looked
 * through to find where it ends.  Words that only ATM and SS7 know make one
 * OPAQUE leaf of the whole expression.
 */
#include "expr.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <pcap/pcap.h>
#include <stdlib.h>
#include <string.h>

#include <pcap/namedb.h> /* needs pcap.h before it */

#include "errors.h"
#include "inner.h"
#include "term.h"
#include "words.h"

enum { MOST_DEPTH = 500 }; /* of parentheses and "not", and of the tree */

/* ---- the parser ------------------------------------------------------ */

struct node {
    struct at_expr_node n; /* first, so that a pointer to one is to both */
    struct node *last;     /* child */
    unsigned depth;
};

struct at_expr {
    struct node *node;
    struct token *token;
    size_t nodes;
    size_t tokens;
    const struct at_expr_node *root;
    struct at_term *term;
    size_t terms;
    bool literal;
    bool opaque;
    char text[];
};

/* The qualifiers that an id takes. */
struct quals {
    enum kind kind;
    enum qualifier proto;
    enum at_expr_dir dir;
};

struct parser {
    struct at_expr *e;
    size_t at; /* the token to come */
    unsigned depth;
    struct quals q;
    bool give_up; /* it may be right, but we cannot tell */
    bool failed;
    bool wrong_term; /* in a flow term, which libpcap knows nothing of */
    struct at_error error;
};

static const struct token *peek(const struct parser *p)
{
    return &p->e->token[p->at];
}

static const struct token *peek_at(const struct parser *p, size_t more)
{
    const size_t i = p->at + more;

    return &p->e->token[i < p->e->tokens ? i : p->e->tokens - 1];
}

static const struct token *advance(struct parser *p)
{
    const struct token *t = peek(p);

    if (t->kind != T_END)
        p->at++;
    return t;
}

static bool is_char(const struct token *t, char c)
{
    return t->kind == T_CHAR && t->value == (unsigned char)c;
}

static const char *text_of(const struct parser *p, const struct token *t)
{
    return p->e->text + t->column;
}

/* The first failure is the one that counts.  Returns NULL for the caller. */
static struct node *fail(struct parser *p, const struct token *t,
                         const char *what)
{
    if (p->failed || p->give_up)
        return NULL;
    p->failed = true;
    if (t->kind == T_END)
        at_error_syntax(&p->error, t->column,
                        "expression: %s at the end of \"%s\"", what,
                        p->e->text);
    else
        at_error_syntax(
            &p->error, t->column, "expression: %s at \"%.*s\" in \"%s\"", what,
            (int)(t->length < 60 ? t->length : 60), text_of(p, t), p->e->text);
    return NULL;
}

static struct node *give_up(struct parser *p)
{
    if (!p->failed)
        p->give_up = true;
    return NULL;
}

/* There are never more nodes than tokens: each one eats at least a token. */
static struct node *new_node(struct parser *p, enum at_expr_op op,
                             uint32_t from, uint32_t to)
{
    struct node *n = &p->e->node[p->e->nodes++];

    n->n.op = op;
    n->n.leaf = AT_LEAF_OPAQUE;
    n->n.column = from;
    n->n.length = to - from;
    n->depth = 1;
    return n;
}

static uint32_t token_end(const struct token *t)
{
    return t->column + t->length;
}

/* A leaf from token 'first' to the last one taken. */
static struct node *leaf_from(struct parser *p, size_t first)
{
    return new_node(p, AT_EXPR_LEAF, p->e->token[first].column,
                    token_end(&p->e->token[p->at - 1]));
}

static void add_child(struct node *parent, struct node *child)
{
    if (parent->last == NULL)
        parent->n.child = &child->n;
    else
        parent->last->n.next = &child->n;
    parent->last = child;
    if (child->depth >= parent->depth)
        parent->depth = child->depth + 1;
    parent->n.length = child->n.column + child->n.length - parent->n.column;
}

/* ---- relations: where they end --------------------------------------- */

/* Each skip_ function returns the index behind what it knows, or 0. */
static size_t skip_arith(const struct parser *p, size_t at, unsigned depth);

static const struct token *token_at(const struct parser *p, size_t at)
{
    return &p->e->token[at < p->e->tokens ? at : p->e->tokens - 1];
}

static size_t skip_index(const struct parser *p, size_t at, unsigned depth)
{
    at = skip_arith(p, at, depth);
    if (at > 0 && is_char(token_at(p, at), ':'))
        at += 2;
    return at > 0 && is_char(token_at(p, at), ']') ? at + 1 : 0;
}

static size_t skip_operand(const struct parser *p, size_t at, unsigned depth)
{
    const struct token *t;

    /* Each minus is one level in libpcap, but need not be one here. */
    while (token_at(p, at)->kind == T_BINOP && token_at(p, at)->value == '-')
        at++;
    t = token_at(p, at);
    if (t->kind == T_NUM || t->kind == T_CONST || t->kind == T_LEN)
        return at + 1;
    if (is_char(t, '(')) {
        at = skip_arith(p, at + 1, depth + 1);
        return at > 0 && is_char(token_at(p, at), ')') ? at + 1 : 0;
    }
    if (t->kind == T_PROTOCOL && is_char(token_at(p, at + 1), '['))
        return skip_index(p, at + 2, depth + 1);
    return 0;
}

static size_t skip_arith(const struct parser *p, size_t at, unsigned depth)
{
    if (depth > MOST_DEPTH)
        return 0;
    at = skip_operand(p, at, depth);
    while (at > 0 && token_at(p, at)->kind == T_BINOP)
        at = skip_operand(p, at + 1, depth);
    return at;
}

static size_t skip_relation(const struct parser *p, size_t at)
{
    at = skip_arith(p, at, 0);
    if (at == 0 || token_at(p, at)->kind != T_RELOP)
        return 0;
    return skip_arith(p, at + 1, 0);
}

/* ---- ids ------------------------------------------------------------- */

static bool is_id(const struct token *t)
{
    return t->kind == T_NAME || t->kind == T_NUM || t->kind == T_CONST ||
           t->kind == T_IPV4 || t->kind == T_IPV6 || t->kind == T_OTHER_ID;
}

/* The text of a token without its backslash; false if it is too long. */
static bool copy_word(char *buf, const struct parser *p, const struct token *t)
{
    const char *text = text_of(p, t);
    size_t len = t->length;

    if (*text == '\\') {
        text++;
        len--;
    }
    if (len >= AT_WORD_BYTES)
        return false;
    memcpy(buf, text, len);
    buf[len] = '\0';
    return true;
}

/*
 * Reads "10", "10.1", "10.1.2" or "10.1.2.3", whose parts are decimal, also
 * with zeros before them.  Returns the number of bits given; 0 if it is none.
 */
static unsigned parse_ipv4(uint32_t *addr, const char *p, size_t len)
{
    unsigned bits = 0;
    uint32_t part = 0;
    bool digits = false;

    *addr = 0;
    for (size_t i = 0; i <= len; i++) {
        if (i < len && at_word_is_digit(p[i])) {
            part = part * 10 + (uint32_t)(p[i] - '0');
            digits = true;
            if (part > 255)
                return 0;
        } else if (digits && bits < 32 && (i == len || p[i] == '.')) {
            *addr = *addr << 8 | part;
            bits += 8;
            part = 0;
            digits = false;
        } else {
            return 0;
        }
    }
    return bits;
}

static uint32_t mask_of(unsigned prefix)
{
    return prefix == 0 ? 0 : UINT32_MAX << (32 - prefix);
}

/* The length of a contiguous mask, or -1. */
static int prefix_of(uint32_t mask)
{
    for (unsigned prefix = 0; prefix <= 32; prefix++)
        if (mask == mask_of(prefix))
            return (int)prefix;
    return -1;
}

static void set_ipv4(struct node *n, const struct quals *q, uint32_t addr,
                     unsigned prefix)
{
    n->n.leaf = AT_LEAF_NET;
    n->n.dir = (uint8_t)q->dir;
    n->n.prefix = (uint8_t)prefix;
    n->n.addr_bytes = 4;
    addr = htonl(addr);
    memcpy(n->n.addr, &addr, 4);
    switch (q->proto) {
    case Q_IP:
        n->n.nets = AT_NETS_IPV4;
        break;
    case Q_ARP:
        n->n.nets = AT_NETS_ARP;
        break;
    case Q_RARP:
        n->n.nets = AT_NETS_RARP;
        break;
    default:
        n->n.nets = AT_NETS_IPV4 | AT_NETS_ARP | AT_NETS_RARP;
    }
}

/* "/N" or "mask M" behind the address 't'; true if there was one. */
static bool take_prefix(struct parser *p, const struct token *t, uint32_t *addr,
                        unsigned bits, int *prefix)
{
    const struct token *next = peek(p);
    uint32_t mask = 0;

    if (next->kind == T_BINOP && next->value == '/') {
        next = peek_at(p, 1);
        if (next->kind != T_NUM || next->value > 32) {
            fail(p, next, "expected a prefix length of at most 32");
            return true;
        }
        mask = mask_of(next->value);
    } else if (next->kind == T_MASK) {
        unsigned mask_bits = 0;

        next = peek_at(p, 1);
        if (next->kind == T_IPV4)
            mask_bits = parse_ipv4(&mask, text_of(p, next), next->length);
        if (mask_bits == 0) {
            fail(p, next, "expected a mask such as 255.255.0.0");
            return true;
        }
        mask <<= 32 - mask_bits;
    } else {
        return false;
    }
    p->at += 2;
    *addr <<= 32 - bits;
    *prefix = prefix_of(mask);
    if (p->q.kind != KIND_NET)
        fail(p, t, "expected \"net\" before an address with a mask");
    else if (*addr & ~mask)
        fail(p, t, "expected an address with no bits behind the mask");
    return true;
}

static struct node *ipv4_leaf(struct parser *p, size_t first,
                              const struct token *t)
{
    const struct quals q = p->q;
    uint32_t addr;
    const unsigned bits = parse_ipv4(&addr, text_of(p, t), t->length);
    int prefix = (int)bits;
    struct node *n;

    if (bits == 0)
        return fail(p, t, "expected an IPv4 address");
    if (!take_prefix(p, t, &addr, bits, &prefix))
        addr <<= 32 - bits;
    if (p->failed)
        return NULL;
    n = leaf_from(p, first);
    if (prefix >= 0 && q.kind != KIND_OTHER && q.proto <= Q_RARP &&
        q.proto != Q_IP6)
        set_ipv4(n, &q, addr, (unsigned)prefix);
    return n;
}

static bool fits_prefix(const uint8_t *addr, unsigned prefix)
{
    for (unsigned bit = prefix; bit < 128; bit++)
        if (addr[bit / 8] & 0x80 >> bit % 8)
            return false;
    return true;
}

static struct node *ipv6_leaf(struct parser *p, size_t first,
                              const struct token *t)
{
    const struct token *slash = peek(p);
    uint8_t addr[16] = {0};
    char word[AT_WORD_BYTES];
    uint32_t prefix = 128;
    struct node *n;

    if (!copy_word(word, p, t) || inet_pton(AF_INET6, word, addr) != 1)
        return fail(p, t, "expected an IPv6 address");
    if (slash->kind == T_BINOP && slash->value == '/') {
        if (peek_at(p, 1)->kind != T_NUM || peek_at(p, 1)->value > 128)
            return fail(p, peek_at(p, 1),
                        "expected a prefix length of at most 128");
        prefix = peek_at(p, 1)->value;
        p->at += 2;
    }
    if (prefix != 128 && p->q.kind != KIND_NET)
        return fail(p, t, "expected \"net\" before an address with a prefix");
    if (!fits_prefix(addr, prefix))
        return fail(p, t, "expected an address with no bits behind the prefix");
    n = leaf_from(p, first);
    if (p->q.kind == KIND_OTHER ||
        (p->q.proto != Q_DEFAULT && p->q.proto != Q_IP6))
        return n;
    n->n.leaf = AT_LEAF_NET;
    n->n.dir = (uint8_t)p->q.dir;
    n->n.nets = AT_NETS_IPV6;
    n->n.prefix = (uint8_t)prefix;
    n->n.addr_bytes = 16;
    memcpy(n->n.addr, addr, 16);
    return n;
}

/*
 * A bare number as an address.  After "net" it is the leading bytes, so that
 * 10 is 10.0.0.0/8, but 0 is one host; elsewhere it is all 32 bits.
 */
static struct node *number_host(struct parser *p, size_t first, uint32_t addr)
{
    struct node *n = leaf_from(p, first);
    unsigned prefix = 32;

    if (p->q.kind == KIND_NET)
        while (addr != 0 && (addr & 0xff000000) == 0) {
            addr <<= 8;
            prefix -= 8;
        }
    if (p->q.proto <= Q_RARP && p->q.proto != Q_IP6)
        set_ipv4(n, &p->q, addr, prefix);
    return n;
}

/* 'real' is the transport that a service is registered for, or PROTO_UNDEF. */
static uint8_t over_of(enum qualifier proto, int real)
{
    if (proto == Q_TCP || (proto == Q_DEFAULT && real == IPPROTO_TCP))
        return AT_OVER_TCP;
    if (proto == Q_UDP || (proto == Q_DEFAULT && real == IPPROTO_UDP))
        return AT_OVER_UDP;
    if (proto == Q_SCTP || (proto == Q_DEFAULT && real == IPPROTO_SCTP))
        return AT_OVER_SCTP;
    return proto == Q_DEFAULT ? AT_OVER_TCP | AT_OVER_UDP | AT_OVER_SCTP : 0;
}

static struct node *port_leaf(struct parser *p, size_t first, int low, int high,
                              int real)
{
    const uint8_t over = over_of(p->q.proto, real);
    struct node *n;

    if (low < 0 || high < 0 || low > 65535 || high > 65535)
        return fail(p, &p->e->token[p->at - 1],
                    "expected a port from 0 to 65535");
    n = leaf_from(p, first);
    if (over == 0)
        return n;
    n->n.leaf = AT_LEAF_PORT;
    n->n.dir = (uint8_t)p->q.dir;
    n->n.nets = AT_NETS_IP;
    n->n.over = over;
    n->n.port_low = (uint16_t)(low < high ? low : high);
    n->n.port_high = (uint16_t)(low < high ? high : low);
    return n;
}

static struct node *proto_leaf(struct parser *p, size_t first, uint32_t number)
{
    struct node *n = leaf_from(p, first);

    if (number > 255 ||
        (p->q.proto != Q_DEFAULT && p->q.proto != Q_IP && p->q.proto != Q_IP6))
        return n;
    n->n.leaf = AT_LEAF_PROTO;
    n->n.proto = (uint8_t)number;
    n->n.nets = p->q.proto == Q_IP    ? AT_NETS_IPV4
                : p->q.proto == Q_IP6 ? AT_NETS_IPV6
                                      : AT_NETS_IP;
    return n;
}

static struct node *number_leaf(struct parser *p, size_t first, uint32_t value)
{
    switch (p->q.kind) {
    case KIND_PORT:
    case KIND_PORTRANGE:
        return port_leaf(p, first, (int)(value > 65535 ? 65536 : value),
                         (int)(value > 65535 ? 65536 : value), PROTO_UNDEF);
    case KIND_PROTO:
        return proto_leaf(p, first, value);
    case KIND_OTHER:
        return leaf_from(p, first);
    default:
        return number_host(p, first, value);
    }
}

/*
 * Names of services and protocols are looked up by libpcap's own functions,
 * so that both agree.  Names of hosts and networks are left to libpcap.
 */
static struct node *name_leaf(struct parser *p, size_t first,
                              const struct token *t)
{
    int low, high, real, number;
    char word[AT_WORD_BYTES];

    if (!copy_word(word, p, t))
        return leaf_from(p, first);
    switch (p->q.kind) {
    case KIND_PORT:
        if (pcap_nametoport(word, &low, &real) == 0)
            return fail(p, t, "expected a port, or the name of a service");
        return port_leaf(p, first, low, low, real);
    case KIND_PORTRANGE:
        if (pcap_nametoportrange(word, &low, &high, &real) == 0)
            return fail(p, t, "expected a range of ports such as 6000-6008");
        return port_leaf(p, first, low, high, real);
    case KIND_PROTO:
        if (p->q.proto > Q_IP6)
            return leaf_from(p, first);
        number = pcap_nametoproto(word);
        if (number == PROTO_UNDEF)
            return fail(p, t, "expected the number or name of a protocol");
        return proto_leaf(p, first, (uint32_t)number);
    default:
        return leaf_from(p, first);
    }
}

/* 'first' is the token where the head of this id began, or the id itself. */
static struct node *id_leaf(struct parser *p, size_t first)
{
    const struct token *t = advance(p);

    if (p->q.kind == KIND_NONE)
        return fail(p, t, "expected a word such as host, net or port");
    switch (t->kind) {
    case T_IPV4:
        return ipv4_leaf(p, first, t);
    case T_IPV6:
        return ipv6_leaf(p, first, t);
    case T_NUM:
        return number_leaf(p, first, t->value);
    case T_NAME:
        return name_leaf(p, first, t);
    default:
        return leaf_from(p, first);
    }
}

/* ---- primitives ------------------------------------------------------ */

static struct node *parse_operand(struct parser *p);
static struct node *parse_expr(struct parser *p);

/* src, dst, "src or dst", "src and dst", in either order. */
static bool take_dir(struct parser *p, enum at_expr_dir *dir)
{
    const enum token_kind one = peek(p)->kind;
    const enum token_kind other = one == T_SRC ? T_DST : T_SRC;
    const enum token_kind between = peek_at(p, 1)->kind;

    if (one != T_SRC && one != T_DST)
        return false;
    if ((between == T_OR || between == T_AND) && peek_at(p, 2)->kind == other) {
        *dir = between == T_OR ? AT_DIR_EITHER : AT_DIR_BOTH;
        p->at += 3;
    } else {
        *dir = one == T_SRC ? AT_DIR_SRC : AT_DIR_DST;
        p->at += 1;
    }
    return true;
}

/*
 * [protocol] [src | dst...] [host | net...], which must be followed by an id
 * or ids in parentheses; false if none begins here.
 */
static bool take_head(struct parser *p)
{
    const size_t start = p->at;
    struct quals q = {KIND_DEFAULT, Q_DEFAULT, AT_DIR_EITHER};
    bool has_dir, has_kind;

    if (peek(p)->kind == T_PROTOCOL)
        q.proto = (enum qualifier)advance(p)->value;
    has_dir = take_dir(p, &q.dir);
    has_kind = peek(p)->kind == T_KIND;
    if (has_kind)
        q.kind = (enum kind)advance(p)->value;
    if (!has_dir && !has_kind) {
        p->at = start;
        return false;
    }
    p->q = q;
    return true;
}

static struct node *parse_head(struct parser *p, size_t first)
{
    const struct token *t = peek(p);

    if (is_id(t))
        return id_leaf(p, first);
    if (t->kind == T_NOT || is_char(t, '('))
        return parse_operand(p);
    switch (p->q.kind) {
    case KIND_PORT:
    case KIND_PORTRANGE:
        return fail(p, t, "expected a port");
    case KIND_PROTO:
        return fail(p, t, "expected a protocol (a keyword needs a backslash)");
    default:
        return fail(p, t, "expected an address or a name");
    }
}

static void take_number(struct parser *p)
{
    const struct token *t = peek(p);

    if (t->kind == T_NUM || t->kind == T_CONST) {
        advance(p);
    } else if (is_char(t, '(')) {
        size_t open = 0;

        while (is_char(peek_at(p, open), '('))
            open++;
        if (peek_at(p, open)->kind == T_NUM &&
            is_char(peek_at(p, open + 1), ')'))
            p->at += 2 * open + 1;
        if (p->at >= p->e->tokens)
            p->at = p->e->tokens - 1;
    }
}

static void take_id(struct parser *p)
{
    if (is_id(peek(p)))
        advance(p);
}

/* wlan type mgt subtype beacon */
static void take_wlan(struct parser *p)
{
    while (peek(p)->kind == T_WLAN) {
        advance(p);
        take_number(p);
        take_id(p);
    }
}

/*
 * The primitives that only libpcap knows.  What is missing behind them is for
 * libpcap to say; all that counts here is where they end.
 */
static struct node *parse_other(struct parser *p, size_t first)
{
    const struct token *t = advance(p);
    struct node *n;

    switch (t->kind) {
    case T_NUMBERED:
        if (peek(p)->kind == T_END)
            return fail(p, peek(p), "expected a number");
        take_number(p);
        break;
    case T_BYTE: /* byte N op N */
        take_number(p);
        advance(p);
        take_number(p);
        break;
    case T_CAST:
    case T_PLAIN:
        break;
    case T_TAG:
        take_number(p);
        break;
    case T_NAMED:
    case T_LLC:
        take_number(p);
        take_id(p);
        break;
    case T_WLAN:
        p->at--;
        take_wlan(p);
        break;
    case T_EXOTIC:
        return give_up(p);
    default:
        return fail(p, t, "expected a primitive such as \"host 10.0.0.1\"");
    }
    n = leaf_from(p, first);
    n->n.tag = t->kind == T_TAG ? (uint8_t)t->value : 0;
    return n;
}

static struct node *parse_protocol(struct parser *p)
{
    const struct token *t = advance(p);
    struct node *n;

    if (peek(p)->kind == T_CAST || peek(p)->kind == T_WLAN)
        return parse_other(p, p->at - 1);
    n = leaf_from(p, p->at - 1);
    if (t->protocol != NULL) {
        n->n.leaf = t->protocol->leaf;
        n->n.nets = t->protocol->nets;
        n->n.proto = t->protocol->proto;
    }
    return n;
}

/* A primitive that is not an id: afterwards there is nothing to inherit. */
static struct node *parse_primitive(struct parser *p)
{
    const size_t first = p->at;

    if (take_head(p))
        return parse_head(p, first);
    p->q.kind = KIND_NONE;
    return peek(p)->kind == T_PROTOCOL ? parse_protocol(p)
                                       : parse_other(p, first);
}

static struct node *parse_group(struct parser *p)
{
    const struct token *open = advance(p);
    const struct quals q = p->q;
    struct node *n = parse_expr(p);

    if (n == NULL)
        return NULL;
    if (!is_char(peek(p), ')'))
        return fail(p, peek(p),
                    peek(p)->kind == T_END ? "expected ')'"
                                           : "expected \"and\", \"or\" or ')'");
    advance(p);
    if (n->n.op != AT_EXPR_LEAF) {
        n->n.column = open->column;
        n->n.length = token_end(&p->e->token[p->at - 1]) - open->column;
    }
    p->q = q;
    return n;
}

static struct node *parse_not(struct parser *p)
{
    const struct token *t = advance(p);
    struct node *child = parse_operand(p);
    struct node *n;

    if (child == NULL)
        return NULL;
    n = new_node(p, AT_EXPR_NOT, t->column, token_end(t));
    add_child(n, child);
    return n;
}

/* The message of at_term_parse(), whose column is that of the term. */
static struct node *fail_term(struct parser *p, const struct token *t,
                              const struct at_error *err)
{
    if (p->failed || p->give_up)
        return NULL;
    p->failed = true;
    p->wrong_term = true;
    if (err->status == AT_ERR_SYNTAX)
        at_error_syntax(&p->error, t->column + (uint32_t)err->column,
                        "%s in \"%s\"", err->msg, p->e->text);
    else
        p->error = *err;
    return NULL;
}

static struct node *parse_term(struct parser *p)
{
    const size_t first = p->at;
    const struct token *t = advance(p);
    struct at_expr *e = p->e;
    struct at_error err;
    struct node *n;

    p->q.kind = KIND_NONE;
    if (e->terms == AT_EXPR_TERMS_MOST)
        return fail(p, t, "expected at most 64 flow terms");
    if (e->term == NULL)
        e->term = calloc(AT_EXPR_TERMS_MOST, sizeof(e->term[0]));
    if (e->term == NULL)
        return give_up(p);
    if (at_term_parse(&e->term[e->terms], text_of(p, t), t->length, &err) !=
        AT_OK)
        return fail_term(p, t, &err);
    n = leaf_from(p, first);
    n->n.leaf = AT_LEAF_FLOW;
    n->n.term = (uint8_t)e->terms++;
    return n;
}

static struct node *parse_operand(struct parser *p)
{
    const size_t end = skip_relation(p, p->at);
    const size_t first = p->at;
    struct node *n;

    if (++p->depth > MOST_DEPTH)
        return give_up(p);
    if (peek(p)->kind == T_FLOW) {
        n = parse_term(p);
    } else if (peek(p)->kind == T_INNER) {
        advance(p);
        p->q.kind = KIND_NONE;
        n = leaf_from(p, first);
        n->n.leaf = AT_LEAF_INNER;
    } else if (end > 0) {
        p->at = end;
        p->q.kind = KIND_NONE;
        n = leaf_from(p, first);
    } else if (peek(p)->kind == T_NOT) {
        n = parse_not(p);
    } else if (is_char(peek(p), '(')) {
        n = parse_group(p);
    } else if (is_id(peek(p))) {
        n = id_leaf(p, first);
    } else {
        n = parse_primitive(p);
    }
    p->depth--;
    return n;
}

/* Chains of the same operator become one node, from left to right. */
static struct node *combine(struct parser *p, enum at_expr_op op,
                            struct node *left, struct node *right)
{
    struct node *n = left;

    if (left->n.op != op) {
        n = new_node(p, op, left->n.column, left->n.column);
        add_child(n, left);
    }
    add_child(n, right);
    return n->depth > MOST_DEPTH ? give_up(p) : n;
}

static struct node *parse_expr(struct parser *p)
{
    struct node *left = parse_operand(p);

    while (left != NULL && (peek(p)->kind == T_AND || peek(p)->kind == T_OR)) {
        const enum at_expr_op op = advance(p)->kind == T_AND ? AT_EXPR_AND
                                                             : AT_EXPR_OR;
        struct node *right = parse_operand(p);

        left = right != NULL ? combine(p, op, left, right) : NULL;
    }
    return left;
}

static struct node *parse_all(struct parser *p)
{
    struct node *n;

    if (peek(p)->kind == T_END) {
        n = new_node(p, AT_EXPR_LEAF, 0, 0);
        n->n.leaf = AT_LEAF_TRUE;
        return n;
    }
    n = parse_expr(p);
    if (n != NULL && is_char(peek(p), ')'))
        return fail(p, peek(p), "expected no ')' without a '(' before it");
    if (n != NULL && peek(p)->kind != T_END)
        return fail(p, peek(p), "expected \"and\" or \"or\"");
    return n;
}

/* ---- tags ------------------------------------------------------------ */

/*
 * Marks the leaves that are loose.  'sure' counts the tags, of the 'seen'
 * ones before this node, that every packet has for which the node's value
 * counts.  Returns that number for what follows the node by "and".
 */
static unsigned mark_loose(struct at_expr *e, const struct at_expr_node *n,
                           unsigned sure, unsigned *seen)
{
    const struct at_expr_node *c;
    unsigned inside = sure;

    if (n->op == AT_EXPR_LEAF) {
        /* All nodes are ours to write. */
        struct node
            *own = &e->node[(const struct node *)(const void *)n - e->node];

        own->n.loose = sure != *seen;
        *seen += n->tag != 0;
        e->opaque |= n->leaf == AT_LEAF_OPAQUE;
        return sure + (n->tag == 1);
    }
    for (c = n->child; c != NULL; c = c->next) {
        const unsigned after = mark_loose(e, c, inside, seen);

        if (n->op == AT_EXPR_AND)
            inside = after;
    }
    return inside;
}

/* ---- opening --------------------------------------------------------- */

/* Where an operand may stand, a flow term is one token, and so is "inner". */
static bool take_term(const struct at_expr *e, struct token *t, const char *at)
{
    const struct token *last = t > e->token ? t - 1 : NULL;

    if (last != NULL && last->kind != T_AND && last->kind != T_OR &&
        last->kind != T_NOT && last->kind != T_FLOW && !is_char(last, '('))
        return false;
    t->kind = T_FLOW;
    t->length = (uint32_t)at_term_span(at);
    if (t->length == 0) {
        t->kind = T_INNER;
        t->length = (uint32_t)at_inner_span(at);
    }
    return t->length > 0;
}

/* Returns the number of tokens with T_END, or 0 after a failure. */
static size_t tokenise(struct parser *p)
{
    struct at_expr *e = p->e;
    unsigned bracket = 0;
    const char *at = e->text;

    for (;;) {
        struct token *t = &e->token[e->tokens++];

        while (at_word_is_space(*at))
            at++;
        t->column = (uint32_t)(at - e->text);
        t->kind = T_END;
        if (*at == '\0')
            return e->tokens;
        if (!take_term(e, t, at))
            at_word_take(t, at, bracket > 0);
        if (t->length == 0) {
            t->length = 1;
            while ((at[t->length] & 0xc0) == 0x80) /* the rest of UTF-8 */
                t->length++;
            t->kind = T_CHAR;
            fail(p, t, "unexpected character");
            return 0;
        }
        if (is_char(t, '['))
            bracket++;
        else if (is_char(t, ']') && bracket > 0)
            bracket--;
        if (t->kind == T_TAG && t->value != 2)
            e->literal = true;
        at += t->length;
    }
}

/* One leaf of which nothing is claimed. */
static void make_opaque(struct at_expr *e)
{
    memset(e->node, 0, sizeof(e->node[0]));
    e->node[0].n.leaf = AT_LEAF_OPAQUE;
    e->node[0].n.length = (uint32_t)strlen(e->text);
    e->nodes = 1;
    e->root = &e->node[0].n;
    e->opaque = true;
}

static enum at_status parse(struct at_expr *e, unsigned flags,
                            struct at_error *err)
{
    struct parser p = {.e = e};
    struct node *root = NULL;
    struct at_filter *filter;
    unsigned seen = 0;

    if (tokenise(&p) > 0)
        root = parse_all(&p);
    if (root != NULL) {
        e->root = &root->n;
        mark_loose(e, e->root, 0, &seen);
        return AT_OK;
    }
    if (e->terms > 0 || p.wrong_term) {
        if (!p.failed)
            return at_error_set(err, AT_ERR_SYNTAX,
                                "expression: too deep for flow terms");
        if (err != NULL)
            *err = p.error;
        return p.error.status;
    }
    /* Refuse nothing that libpcap takes, now or in a later version. */
    if (p.failed && at_filter_open(&filter, e->text, flags, NULL) != AT_OK) {
        if (err != NULL)
            *err = p.error;
        return AT_ERR_SYNTAX;
    }
    if (p.failed)
        at_filter_close(filter);
    make_opaque(e);
    return AT_OK;
}

enum at_status at_expr_parse(struct at_expr **out, const char *text,
                             unsigned flags, struct at_error *err)
{
    const size_t len = strlen(text);
    struct at_expr *e = calloc(1, sizeof(*e) + len + 1);
    enum at_status status;

    *out = NULL;
    if (e != NULL) {
        /* A token is at least one byte, a node at least one token. */
        e->token = calloc(len + 1, sizeof(e->token[0]));
        e->node = calloc(len + 1, sizeof(e->node[0]));
    }
    if (e == NULL || e->token == NULL || e->node == NULL) {
        at_expr_free(e);
        return at_error_set(err, AT_ERR_MEMORY, "out of memory");
    }
    memcpy(e->text, text, len + 1);
    e->literal = (flags & AT_FILTER_LITERAL) != 0;
    status = len < INT32_MAX
                 ? parse(e, flags, err)
                 : at_error_set(err, AT_ERR_SYNTAX, "expression: too long");
    free(e->token);
    e->token = NULL;
    if (status != AT_OK) {
        at_expr_free(e);
        return status;
    }
    *out = e;
    return AT_OK;
}

void at_expr_free(struct at_expr *e)
{
    if (e == NULL)
        return;
    for (size_t i = 0; i < e->terms; i++)
        at_term_close(&e->term[i]);
    free(e->term);
    free(e->token);
    free(e->node);
    free(e);
}

const struct at_expr_node *at_expr_root(const struct at_expr *e)
{
    return e->root;
}

const char *at_expr_text(const struct at_expr *e)
{
    return e->text;
}

const struct at_term *at_expr_terms(const struct at_expr *e, size_t *n)
{
    *n = e->terms;
    return e->terms > 0 ? e->term : NULL;
}

/* Calls itself for the children; the nodes are in the order of the text. */
static void replace_terms(const struct at_expr *e, const struct at_expr_node *n,
                          uint64_t vector, char *text, size_t *shift)
{
    const char *const constant = vector >> n->term & 1 ? "(len>=0)" : "(len<0)";

    if (n->op == AT_EXPR_LEAF && n->leaf == AT_LEAF_FLOW) {
        char *at = text + n->column + *shift;
        const size_t new_bytes = strlen(constant);

        memmove(at + new_bytes, e->text + n->column + n->length,
                strlen(e->text + n->column + n->length) + 1);
        memcpy(at, constant, new_bytes);
        *shift += new_bytes - n->length;
    }
    for (n = n->child; n != NULL; n = n->next)
        replace_terms(e, n, vector, text, shift);
}

char *at_expr_of_vector(const struct at_expr *e, uint64_t vector)
{
    const size_t room = strlen(e->text) + 8 * e->terms + 1;
    char *text = malloc(room);
    size_t shift = 0; /* it may become negative: it wraps and comes back */

    if (text == NULL)
        return NULL;
    memcpy(text, e->text, strlen(e->text) + 1);
    replace_terms(e, e->root, vector, text, &shift);
    return text;
}

static void widen(const struct at_expr_node *n, bool sense, uint64_t *vector)
{
    if (n->op == AT_EXPR_NOT)
        sense = !sense;
    if (n->op == AT_EXPR_LEAF && n->leaf == AT_LEAF_FLOW && sense)
        *vector |= UINT64_C(1) << n->term;
    for (n = n->child; n != NULL; n = n->next)
        widen(n, sense, vector);
}

uint64_t at_expr_widest(const struct at_expr *e)
{
    uint64_t vector = 0;

    widen(e->root, true, &vector);
    return vector;
}

bool at_expr_literal(const struct at_expr *e)
{
    return e->literal;
}

bool at_expr_opaque(const struct at_expr *e)
{
    return e->opaque;
}
