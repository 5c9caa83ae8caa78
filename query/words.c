/*
 * words.c - the words of a pcap-filter expression
 *
 * As libpcap's scanner.l takes them: names may hold dots and dashes, numbers
 * may be octal or hexadecimal, and what looks like an address is one.
 */
#include "words.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>

/* Words of the same kind, with a space between. */
struct words {
    enum token_kind kind;
    uint8_t value; /* enum kind, enum qualifier or the class of a tag */
    const char *text;
};

static const struct words words[] = {
    {T_AND, 0, "and"},
    {T_OR, 0, "or"},
    {T_NOT, 0, "not"},
    {T_SRC, 0, "src"},
    {T_DST, 0, "dst"},
    {T_KIND, KIND_HOST, "host"},
    {T_KIND, KIND_NET, "net"},
    {T_KIND, KIND_PORT, "port"},
    {T_KIND, KIND_PORTRANGE, "portrange"},
    {T_KIND, KIND_PROTO, "proto"},
    {T_KIND, KIND_OTHER,
     "protochain gateway address1 address2 address3 address4 addr1 addr2 "
     "addr3 addr4 ra ta"},
    {T_MASK, 0, "mask"},
    {T_LEN, 0, "len length"},
    {T_PROTOCOL, Q_OTHER,
     "link ether ppp slip fddi tr wlan radio atalk aarp decnet lat sca moprc "
     "mopdl iso esis es-is isis is-is l1 l2 iih lsp snp csnp psnp clnp stp "
     "ipx netbeui"},
    {T_CAST, 0, "broadcast multicast"},
    {T_NUMBERED, 0, "less greater ifindex"},
    {T_BYTE, 0, "byte"},
    {T_PLAIN, 0, "inbound outbound"},
    {T_TAG, 1, "vlan mpls pppoes"},
    {T_TAG, 2, "geneve"},
    {T_TAG, 0, "pppoed"},
    {T_NAMED, 0,
     "on ifname rset ruleset rnr rulenum srnr subrulenum reason action"},
    {T_WLAN, 0, "type subtype dir direction"},
    {T_LLC, 0, "llc"},
    {T_EXOTIC, 0,
     "lane metac bcc oam oamf4 oamf4ec oamf4sc sc ilmic vpi vci connectmsg "
     "metaconnect fisu lssu lsu msu hfisu hlssu hmsu sio opc dpc sls hsio "
     "hopc hdpc hsls"},
};

static const struct protocol protocols[] = {
    {"ip", Q_IP, AT_LEAF_LINK, AT_NETS_IPV4, 0},
    {"ip6", Q_IP6, AT_LEAF_LINK, AT_NETS_IPV6, 0},
    {"arp", Q_ARP, AT_LEAF_LINK, AT_NETS_ARP, 0},
    {"rarp", Q_RARP, AT_LEAF_LINK, AT_NETS_RARP, 0},
    {"tcp", Q_TCP, AT_LEAF_PROTO, AT_NETS_IP, IPPROTO_TCP},
    {"udp", Q_UDP, AT_LEAF_PROTO, AT_NETS_IP, IPPROTO_UDP},
    {"sctp", Q_SCTP, AT_LEAF_PROTO, AT_NETS_IP, IPPROTO_SCTP},
    {"icmp", Q_OTHER, AT_LEAF_PROTO, AT_NETS_IPV4, IPPROTO_ICMP},
    {"icmp6", Q_OTHER, AT_LEAF_PROTO, AT_NETS_IPV6, IPPROTO_ICMPV6},
    {"igmp", Q_OTHER, AT_LEAF_PROTO, AT_NETS_IPV4, IPPROTO_IGMP},
    {"igrp", Q_OTHER, AT_LEAF_PROTO, AT_NETS_IPV4, 9},
    {"pim", Q_OTHER, AT_LEAF_PROTO, AT_NETS_IP, IPPROTO_PIM},
    {"vrrp", Q_OTHER, AT_LEAF_PROTO, AT_NETS_IPV4, 112},
    {"carp", Q_OTHER, AT_LEAF_PROTO, AT_NETS_IPV4, 112},
    {"ah", Q_OTHER, AT_LEAF_PROTO, AT_NETS_IP, IPPROTO_AH},
    {"esp", Q_OTHER, AT_LEAF_PROTO, AT_NETS_IP, IPPROTO_ESP},
};

bool at_word_is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_hex(char c)
{
    return at_word_is_digit(c) || (c >= 'a' && c <= 'f') ||
           (c >= 'A' && c <= 'F');
}

static bool is_alnum(char c)
{
    return at_word_is_digit(c) || (c >= 'a' && c <= 'z') ||
           (c >= 'A' && c <= 'Z');
}

bool at_word_is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

/* Decimal, octal or hexadecimal as in C; false if it is none or overflows. */
bool at_word_number(uint32_t *value, const char *p, size_t len)
{
    const bool hex = len > 2 && p[0] == '0' && (p[1] == 'x' || p[1] == 'X');
    const unsigned base = hex ? 16 : len > 1 && p[0] == '0' ? 8 : 10;
    uint64_t v = 0;

    for (size_t i = hex ? 2 : 0; i < len; i++) {
        unsigned digit;

        if (!is_hex(p[i]))
            return false;
        digit = at_word_is_digit(p[i]) ? (unsigned)(p[i] - '0')
                                       : (unsigned)((p[i] | 32) - 'a') + 10;
        v = v * base + digit;
        if (digit >= base || v > UINT32_MAX)
            return false;
    }
    *value = (uint32_t)v;
    return len > 0;
}

static size_t number_length(const char *p, size_t len)
{
    size_t n = 0;

    if (len > 2 && p[0] == '0' && (p[1] == 'x' || p[1] == 'X') && is_hex(p[2]))
        for (n = 2; n < len && is_hex(p[n]);)
            n++;
    else
        while (n < len && at_word_is_digit(p[n]))
            n++;
    return n;
}

/* How many numbers with dots between make up the whole word; 0: other text. */
static unsigned count_dotted(const char *p, size_t len)
{
    unsigned parts = 0;

    for (;;) {
        const size_t n = number_length(p, len);

        if (n == 0)
            return 0;
        parts++;
        if (n == len)
            return parts;
        if (p[n] != '.')
            return 0;
        p += n + 1;
        len -= n + 1;
    }
}

static bool starts_with(const char *p, size_t len, const char *prefix)
{
    const size_t n = strlen(prefix);

    return len >= n && memcmp(p, prefix, n) == 0;
}

static bool is_among(const char *list, const char *p, size_t len)
{
    while (*list != '\0') {
        const size_t n = strcspn(list, " ");

        if (n == len && memcmp(list, p, len) == 0)
            return true;
        list += n + (list[n] == ' ');
    }
    return false;
}

/* Makes *t the token of a keyword; false if the word is none. */
static bool take_keyword(struct token *t, const char *p)
{
    for (size_t i = 0; i < sizeof(protocols) / sizeof(protocols[0]); i++)
        if (is_among(protocols[i].text, p, t->length)) {
            t->kind = T_PROTOCOL;
            t->value = protocols[i].qualifier;
            t->protocol = &protocols[i];
            return true;
        }
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
        if (is_among(words[i].text, p, t->length)) {
            t->kind = words[i].kind;
            t->value = words[i].value;
            return true;
        }
    return false;
}

/* "00-11-22-33-44-55" or "0011.2233.4455"; those with colons come elsewhere. */
static bool is_mac(const char *p, size_t len)
{
    size_t hex = 0, marks = 0;

    for (size_t i = 0; i < len; i++) {
        if (is_hex(p[i]))
            hex++;
        else if (p[i] == '-' || p[i] == '.')
            marks++;
        else
            return false;
    }
    return (marks == 5 && hex >= 6 && hex <= 12) ||
           ((marks == 2 || marks == 0) && hex == 12);
}

/* Constants for byte tests: they count as numbers. */
static bool is_constant(const char *p, size_t len)
{
    static const char *const prefix[] = {"icmp-",     "icmp6-",   "tcp-",
                                         "icmptype",  "icmpcode", "icmp6type",
                                         "icmp6code", "tcpflags"};

    for (size_t i = 0; i < sizeof(prefix) / sizeof(prefix[0]); i++)
        if (starts_with(p, len, prefix[i]))
            return true;
    return false;
}

static void classify_word(struct token *t, const char *p)
{
    const unsigned parts = count_dotted(p, t->length);

    if (take_keyword(t, p))
        return;
    if (parts >= 2 && parts <= 4) {
        t->kind = T_IPV4;
    } else if (is_mac(p, t->length)) {
        /* Twelve digits are a number to us, and a MAC to libpcap. */
        t->kind = T_OTHER_ID;
    } else if (parts == 1) {
        t->kind = at_word_number(&t->value, p, t->length) ? T_NUM : T_CONST;
    } else {
        t->kind = is_constant(p, t->length) ? T_CONST : T_NAME;
    }
}

/* A word of letters, digits and marks; it does not end in '-' or '_'. */
static size_t word_length(const char *p)
{
    size_t n = 0;

    while (is_alnum(p[n]) || p[n] == '-' || p[n] == '_' || p[n] == '.')
        n++;
    while (n > 1 && (p[n - 1] == '-' || p[n - 1] == '_'))
        n--;
    return n;
}

/* An address with colons; 0 if the text at 'p' is not one. */
static size_t colon_length(const char *p)
{
    size_t n = 0;
    bool colon = false;

    for (; is_hex(p[n]) || p[n] == ':' || p[n] == '.'; n++)
        if (p[n] == ':')
            colon = true;
    return colon ? n : 0;
}

static void take_operator(struct token *t, const char *p)
{
    static const struct {
        const char *text;
        enum token_kind kind;
    } table[] = {
        {"&&", T_AND},   {"||", T_OR},    {"<<", T_BINOP}, {">>", T_BINOP},
        {"<=", T_RELOP}, {">=", T_RELOP}, {"==", T_RELOP}, {"!=", T_RELOP},
        {"!", T_NOT},    {"<", T_RELOP},  {">", T_RELOP},  {"=", T_RELOP},
        {"+", T_BINOP},  {"-", T_BINOP},  {"*", T_BINOP},  {"/", T_BINOP},
        {"%", T_BINOP},  {"&", T_BINOP},  {"|", T_BINOP},  {"^", T_BINOP},
        {"(", T_CHAR},   {")", T_CHAR},   {"[", T_CHAR},   {"]", T_CHAR},
        {":", T_CHAR},
    };

    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++)
        if (strncmp(p, table[i].text, strlen(table[i].text)) == 0) {
            t->kind = table[i].kind;
            t->length = (uint32_t)strlen(table[i].text);
            t->value = (unsigned char)p[0];
            return;
        }
}

/*
 * Fills *t from the text at 'p', which is not a space.  Its length stays 0 if
 * no token begins so.  Inside of brackets a colon stands between numbers.
 */
void at_word_take(struct token *t, const char *p, bool bracket)
{
    const size_t colon = bracket ? 0 : colon_length(p);
    uint8_t addr[16];
    char text[AT_WORD_BYTES];

    if (colon > 0) {
        t->length = (uint32_t)colon;
        t->kind = T_OTHER_ID;
        if (colon < sizeof(text)) {
            memcpy(text, p, colon);
            text[colon] = '\0';
            if (inet_pton(AF_INET6, text, addr) == 1)
                t->kind = T_IPV6;
        }
    } else if (is_alnum(*p)) {
        t->length = (uint32_t)word_length(p);
        classify_word(t, p);
    } else if (*p == '\\' && strcspn(p + 1, " !()\n\t") > 0) {
        t->length = (uint32_t)strcspn(p + 1, " !()\n\t") + 1;
        t->kind = T_NAME;
    } else if (*p == '$' && is_hex(p[1])) {
        t->length = is_hex(p[2]) ? 3 : 2;
        t->kind = T_OTHER_ID;
    } else {
        take_operator(t, p);
    }
}
