/*
 * filter.c - pcap-filter(7) expressions, by libpcap, seen through tags
 *
 * libpcap compiles an expression for one link type, so a filter keeps a list
 * of programs, one for each link type met so far.  The list only grows at its
 * head, under a lock; whoever matches walks it without one.
 *
 * A tag hides everything behind it from BPF, whose offsets are fixed.  So a
 * tagged packet is handed to BPF as a copy in which the link header is
 * followed at once by the network layer:
 *
 *     dst src 8100 tag 8847 label IP...   ->   dst src 0800 IP...
 *
 * Only as many bytes are copied as the program can ever look at, which
 * reach_of() reads from its instructions; lengths are those of the whole
 * packet without its tags.  Packets without a tag are not copied.
 *
 * What stands behind "inner" is a filter of its own, for raw IP, of which every
 * IP packet in the tunnels of a packet is asked.  In the text for libpcap it is
 * then what is always or never true, so there are as many programs as there are
 * vectors of such answers; and since it takes as much room, columns stay.
 *
 * libpcap's optimiser is left out, because it is wrong at times: libpcap
 * 1.10.3 makes of "net 2001:db8::/33 and src and dst net 2001:db8::/33" a
 * program that refuses what the one it started from accepts, and versions
 * before and after it have been reported to loop for ever.  An index must
 * agree with every packet; and it also leaves few packets to be looked at.
 */
#include <pcap/pcap.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "archive_trace.h"
#include "bytes.h"
#include "decode.h"
#include "errors.h"
#include "format.h"
#include "inner.h"
#include "link.h"

enum {
    SNAP_BYTES = 262144, /* what libpcap and tcpdump take for "everything" */
    NEAR_BYTES = 512,    /* enough for headers, in a small stack frame */
    MAX_HLEN = 60,       /* the most that BPF_MSH can put into X */
    OPTIMISE = 0,        /* see above */
};

/* The expression as compiled for one link type. */
struct program {
    struct program *next;
    uint32_t variant; /* what it is compiled for: see variant_of() */
    uint32_t answers; /* of those in it that look into tunnels: bits */
    bool usable;      /* false: no packet of this link type can match */
    uint32_t reach;   /* no load goes past this many bytes */
    struct bpf_program code;
};

/* A part of the expression that is asked of what is in tunnels. */
struct part {
    size_t at, n; /* of the text */
    struct at_filter *filter;
};

enum { PARTS_MOST = 16, NESTED_MOST = 16 };

struct at_filter {
    _Atomic(struct program *) programs;
    pthread_mutex_t lock; /* held by who adds to 'programs' */
    bool all;             /* the expression is empty */
    bool through;         /* tags are seen through */
    struct part *part;
    size_t parts;
    char text[];
};

/* ---- what the expression says ---------------------------------------- */

static bool is_word_char(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') ||
           (c >= 'A' && c <= 'Z') || c == '-' || c == '_' || c == '.';
}

static bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

static bool is_tag_word(const char *word, size_t len)
{
    static const char *const words[] = {"vlan", "mpls", "pppoes", "pppoed"};

    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
        if (strlen(words[i]) == len && memcmp(words[i], word, len) == 0)
            return true;
    return false;
}

/*
 * Whether a tag is named as a keyword: a whole word, not part of the name of
 * a host, nor after the backslash that makes a name of a keyword.
 */
static bool names_tags(const char *p)
{
    while (*p != '\0') {
        const char *start = p;

        if (*p == '\\') {
            p++;
            p += strcspn(p, " !()\n\t");
            continue;
        }
        while (is_word_char(*p))
            p++;
        if (is_tag_word(start, (size_t)(p - start)))
            return true;
        if (p == start)
            p++;
    }
    return false;
}

/* The text for libpcap, in 'out', with 'answers' for the parts. */
static void put_answers(char *out, const struct at_filter *f, uint32_t answers)
{
    static const char *const word[] = {"(len<0)", "(len>=0)"};

    memcpy(out, f->text, strlen(f->text) + 1);
    for (size_t i = 0; i < f->parts; i++) {
        const struct part *p = &f->part[i];
        const char *answer = word[answers >> i & 1];

        memset(out + p->at, ' ', p->n);
        memcpy(out + p->at, answer, strlen(answer));
    }
}

static uint32_t all_true(const struct at_filter *f)
{
    return (UINT32_C(1) << f->parts) - 1;
}

static bool is_blank(const char *p)
{
    while (is_space(*p))
        p++;
    return *p == '\0';
}

/* ---- compiling ------------------------------------------------------- */

/*
 * What a program is made for: a link type, and for BSD loopback the byte
 * order in which the capturing system wrote the address family.
 */
enum { SWAPPED = 1 << 16 };

static uint32_t variant_of(const struct at_packet *pkt)
{
    const uint8_t *p = pkt->data;

    if (pkt->linktype == AT_LINK_NULL && pkt->cap_bytes >= 4 && p[0] == 0 &&
        p[1] == 0 && (p[2] | p[3]) != 0)
        return AT_LINK_NULL | SWAPPED;
    return pkt->linktype;
}

/*
 * libpcap as it is when it reads a capture file of this kind: only then does
 * it know the address families that other systems write, and other byte
 * orders than ours.
 */
static pcap_t *open_as_file(uint32_t variant)
{
    const struct at_fcs none = {.known = false};
    uint8_t header[AT_PCAP_HEADER];
    char why[PCAP_ERRBUF_SIZE];
    FILE *file;
    pcap_t *pcap;

    at_pcap_header(header, (uint16_t)variant, none, SNAP_BYTES, true);
    if (variant & SWAPPED)
        for (size_t i = 0; i < sizeof(header); i += 4)
            at_store_le32(header + i, at_load_be32(header + i));
    if (variant & SWAPPED) /* the two version numbers are of 16 bits */
        memcpy(header + 4, "\0\2\0\4", 4);
    file = fmemopen(header, sizeof(header), "r");
    if (file == NULL)
        return NULL;
    pcap = pcap_fopen_offline(file, why);
    if (pcap == NULL)
        fclose(file);
    return pcap;
}

static uint32_t load_bytes(uint16_t code)
{
    switch (BPF_SIZE(code)) {
    case BPF_W:
        return 4;
    case BPF_H:
        return 2;
    default:
        return 1;
    }
}

/*
 * How many bytes from the start of a packet 'code' can look at.  X is bounded
 * where it comes from the length field of an IPv4 header; where it comes from
 * arithmetic it is not, and neither is the reach.
 */
static uint32_t reach_of(const struct bpf_program *code)
{
    uint32_t reach = 0;

    for (u_int i = 0; i < code->bf_len; i++) {
        const struct bpf_insn *in = &code->bf_insns[i];
        uint64_t end = 0;

        if (in->code == (BPF_MISC | BPF_TAX) ||
            in->code == (BPF_LDX | BPF_MEM) ||
            (in->code == (BPF_LDX | BPF_IMM) && in->k > MAX_HLEN))
            return UINT32_MAX;
        if (in->code == (BPF_LDX | BPF_MSH | BPF_B))
            end = (uint64_t)in->k + 1;
        else if (BPF_CLASS(in->code) == BPF_LD && BPF_MODE(in->code) == BPF_ABS)
            end = (uint64_t)in->k + load_bytes(in->code);
        else if (BPF_CLASS(in->code) == BPF_LD && BPF_MODE(in->code) == BPF_IND)
            end = (uint64_t)in->k + MAX_HLEN + load_bytes(in->code);
        /* Offsets that are negative numbers never load from a file. */
        if (end > reach && end <= INT32_MAX)
            reach = (uint32_t)end;
    }
    return reach;
}

/*
 * Compiles for one link type.  Returns AT_OK; AT_ERR_MEMORY; or AT_ERR_SYNTAX
 * with libpcap's words in 'why', and a program that matches nothing.  *out is
 * NULL after AT_ERR_MEMORY only.
 */
static enum at_status compile(struct program **out, const char *text,
                              uint32_t variant, char *why, size_t why_size)
{
    struct program *p = calloc(1, sizeof(*p));
    pcap_t *pcap = open_as_file(variant);
    enum at_status status = AT_OK;

    *out = p;
    if (p == NULL || pcap == NULL) {
        status = AT_ERR_MEMORY;
        free(p);
        *out = NULL;
    } else if (pcap_compile(pcap, &p->code, text, OPTIMISE,
                            PCAP_NETMASK_UNKNOWN) == 0) {
        p->usable = true;
        p->reach = reach_of(&p->code);
    } else {
        strncpy(why, pcap_geterr(pcap), why_size - 1);
        why[why_size - 1] = '\0';
        status = AT_ERR_SYNTAX;
    }
    if (*out != NULL)
        p->variant = variant;
    if (pcap != NULL)
        pcap_close(pcap);
    return status;
}

static void free_program(struct program *p)
{
    if (p == NULL)
        return;
    if (p->usable)
        pcap_freecode(&p->code);
    free(p);
}

/* The caller holds the lock, or is alone. */
static void add_program(struct at_filter *f, struct program *p)
{
    p->next = atomic_load_explicit(&f->programs, memory_order_relaxed);
    atomic_store_explicit(&f->programs, p, memory_order_release);
}

static struct program *find_program(struct at_filter *f, uint32_t variant,
                                    uint32_t answers)
{
    struct program *p = atomic_load_explicit(&f->programs,
                                             memory_order_acquire);

    while (p != NULL && (p->variant != variant || p->answers != answers))
        p = p->next;
    return p;
}

/* The same as compile(), with these answers. */
static enum at_status compile_with(struct program **out,
                                   const struct at_filter *f, uint32_t variant,
                                   uint32_t answers, char *why, size_t why_size)
{
    char *text = malloc(strlen(f->text) + 1);
    enum at_status status;

    *out = NULL;
    if (text == NULL)
        return AT_ERR_MEMORY;
    put_answers(text, f, answers);
    status = compile(out, text, variant, why, why_size);
    free(text);
    if (*out != NULL)
        (*out)->answers = answers;
    return status;
}

/* NULL if memory ran out; the next packet tries again. */
static struct program *make_program(struct at_filter *f, uint32_t variant,
                                    uint32_t answers)
{
    char why[PCAP_ERRBUF_SIZE];
    struct program *p;

    pthread_mutex_lock(&f->lock);
    p = find_program(f, variant, answers); /* another may have been faster */
    if (p == NULL) {
        (void)compile_with(&p, f, variant, answers, why, sizeof(why));
        if (p != NULL)
            add_program(f, p);
    }
    pthread_mutex_unlock(&f->lock);
    return p;
}

/* ---- opening --------------------------------------------------------- */

/* Most of libpcap's messages quote the word they are about; -1 if not. */
static int column_of_word(const char *text, const char *why)
{
    const char *open = strpbrk(why, "'\"");
    const char *close = open != NULL ? strchr(open + 1, *open) : NULL;
    char word[128];
    const char *at;
    size_t len;

    if (close == NULL)
        return -1;
    len = (size_t)(close - open) - 1;
    if (len == 0 || len >= sizeof(word))
        return -1;
    memcpy(word, open + 1, len);
    word[len] = '\0';
    for (at = strstr(text, word); at != NULL; at = strstr(at + 1, word))
        if ((at == text || !is_word_char(at[-1])) && !is_word_char(at[len]))
            return (int)(at - text);
    return -1;
}

/* A prefix of an expression that ends with a word, all brackets closed. */
struct prefix {
    char *text;  /* room for twice the expression */
    size_t word; /* where its last word begins */
    size_t end;
};

/* The end of the word, or of the single mark, that begins at 'at'. */
static size_t word_end(const char *text, size_t at)
{
    size_t end = at;

    while (is_word_char(text[end]) || text[end] == ':')
        end++;
    return end > at ? end : at + 1;
}

/* Adds a word of 'text' to the prefix; false if there is none left. */
static bool lengthen(struct prefix *p, const char *text)
{
    size_t open = 0;

    p->word = p->end;
    while (is_space(text[p->word]))
        p->word++;
    if (text[p->word] == '\0')
        return false;
    p->end = word_end(text, p->word);
    memcpy(p->text, text, p->end);
    for (size_t i = 0; i < p->end; i++)
        open = text[i] == '(' ? open + 1 : open - (text[i] == ')' && open > 0);
    memset(p->text + p->end, ')', open);
    p->text[p->end + open] = '\0';
    return true;
}

/*
 * Where libpcap does not say what it is about, its words for the prefixes
 * tell: a syntax error is behind the longest one that is good, and what it
 * means with another complaint is at the end of the first that has it.
 */
static int column_by_prefix(const char *text, uint32_t variant, const char *why)
{
    enum { MOST_WORDS = 200 };
    const bool syntax = strstr(why, "syntax error") != NULL;
    struct prefix p = {.text = malloc(2 * strlen(text) + 1)};
    size_t column = 0;
    bool good = true; /* the prefix before this one was */

    for (int i = 0; p.text != NULL && i < MOST_WORDS; i++) {
        char words[PCAP_ERRBUF_SIZE] = "";
        struct program *made;

        if (!lengthen(&p, text)) {
            column = syntax && good ? p.word : column;
            break;
        }
        if (syntax && good)
            column = p.word;
        good = compile(&made, p.text, variant, words, sizeof(words)) == AT_OK;
        free_program(made);
        if (!syntax && !good && strcmp(words, why) == 0) {
            column = p.word;
            break;
        }
    }
    free(p.text);
    return (int)column;
}

static enum at_status refuse(struct at_error *err, const struct at_filter *f,
                             uint32_t variant, const char *why)
{
    static const char prefix[] = "can't parse filter expression: ";
    char *text = malloc(strlen(f->text) + 1);
    int column;

    if (text == NULL)
        return at_error_set(err, AT_ERR_MEMORY, "out of memory");
    put_answers(text, f, all_true(f));
    column = column_of_word(text, why);
    if (column < 0)
        column = column_by_prefix(text, variant, why);
    free(text);
    if (strncmp(why, prefix, sizeof(prefix) - 1) == 0)
        why += sizeof(prefix) - 1;
    return at_error_syntax(err, (size_t)column, "expression: %s in \"%s\"", why,
                           f->text);
}

/* Errors that stay the same for every link type; some of them cost a look
 * into the DNS, so they are not asked for again. */
static bool is_final(const char *why)
{
    return strstr(why, "syntax error") != NULL ||
           strncmp(why, "unknown ", 8) == 0;
}

/*
 * An expression is good if it makes sense for any of these link types;
 * errors are told as they are for the first.
 */
static enum at_status compile_first(struct at_filter *f, struct at_error *err)
{
    static const uint16_t tries[] = {AT_LINK_ETHERNET, AT_LINK_RAW,
                                     AT_LINK_LINUX_SLL2, 127 /* radiotap */,
                                     AT_LINK_NULL};
    char why[PCAP_ERRBUF_SIZE] = "", later[PCAP_ERRBUF_SIZE] = "";

    for (size_t i = 0; i < sizeof(tries) / sizeof(tries[0]); i++) {
        struct program *p;
        enum at_status status = compile_with(&p, f, tries[i], all_true(f),
                                             i == 0 ? why : later, sizeof(why));

        if (status == AT_ERR_MEMORY)
            return at_error_set(err, AT_ERR_MEMORY, "out of memory");
        add_program(f, p);
        if (status == AT_OK)
            return AT_OK;
        if (is_final(why))
            break;
    }
    return refuse(err, f, tries[0], why);
}

static enum at_status open_filter(struct at_filter **out, const char *expr,
                                  unsigned flags, unsigned depth,
                                  struct at_error *err);

/* The operand of "inner" is asked of raw IP; columns are those of the whole. */
static enum at_status open_part(struct at_filter *f, size_t at, size_t n,
                                unsigned flags, unsigned depth,
                                struct at_error *err)
{
    char *text = strndup(f->text + at + AT_INNER_WORD, n - AT_INNER_WORD);
    struct part *p = realloc(f->part, (f->parts + 1) * sizeof(*p));
    struct at_error why;
    enum at_status status = AT_ERR_MEMORY;

    if (p != NULL)
        f->part = p;
    if (text != NULL && p != NULL) {
        p += f->parts;
        *p = (struct part){.at = at, .n = n};
        status = open_filter(&p->filter, text, flags, depth + 1, &why);
        if (p->filter != NULL) {
            f->parts++;
            status = at_filter_check(p->filter, AT_LINK_RAW, &why);
        }
    }
    free(text);
    if (status == AT_ERR_SYNTAX)
        return at_error_syntax(err, at + AT_INNER_WORD + (size_t)why.column,
                               "%s", why.msg);
    return status == AT_OK ? AT_OK : at_error_set(err, status, "out of memory");
}

static enum at_status open_parts(struct at_filter *f, unsigned flags,
                                 unsigned depth, struct at_error *err)
{
    enum at_status status = AT_OK;
    size_t at = 0, n;

    while (status == AT_OK && at_inner_next(f->text, &at, &n)) {
        if (f->parts == PARTS_MOST || depth == NESTED_MOST)
            return at_error_syntax(
                err, at, "expression: more than %d times inner", PARTS_MOST);
        status = open_part(f, at, n, flags, depth, err);
        at += n;
    }
    return status;
}

/* Whether the text without its parts names tags. */
static bool names_tags_outside(const struct at_filter *f, char *room)
{
    put_answers(room, f, 0);
    return names_tags(room);
}

static enum at_status open_filter(struct at_filter **out, const char *expr,
                                  unsigned flags, unsigned depth,
                                  struct at_error *err)
{
    const size_t len = strlen(expr);
    struct at_filter *f = calloc(1, sizeof(*f) + len + 1);
    char *room = malloc(len + 1);
    enum at_status status;

    *out = NULL;
    if (f == NULL || room == NULL) {
        free(f);
        free(room);
        return at_error_set(err, AT_ERR_MEMORY, "out of memory");
    }
    memcpy(f->text, expr, len + 1);
    atomic_init(&f->programs, NULL);
    pthread_mutex_init(&f->lock, NULL);
    f->all = is_blank(expr);
    status = open_parts(f, flags, depth, err);
    f->through = (flags & AT_FILTER_LITERAL) == 0 &&
                 !names_tags_outside(f, room);
    free(room);
    if (status == AT_OK && !f->all)
        status = compile_first(f, err);
    if (status != AT_OK) {
        at_filter_close(f);
        return status;
    }
    *out = f;
    return AT_OK;
}

enum at_status at_filter_open(struct at_filter **out, const char *expr,
                              unsigned flags, struct at_error *err)
{
    return open_filter(out, expr, flags, 0, err);
}

enum at_status at_filter_check(const struct at_filter *f, uint16_t linktype,
                               struct at_error *err)
{
    char why[PCAP_ERRBUF_SIZE] = "";
    struct program *p;
    enum at_status status;

    if (f->all)
        return AT_OK;
    status = compile_with(&p, f, linktype, all_true(f), why, sizeof(why));
    free_program(p);
    if (status == AT_ERR_MEMORY)
        return at_error_set(err, AT_ERR_MEMORY, "out of memory");
    return status == AT_OK ? AT_OK : refuse(err, f, linktype, why);
}

void at_filter_close(struct at_filter *f)
{
    struct program *p;

    if (f == NULL)
        return;
    p = atomic_load_explicit(&f->programs, memory_order_acquire);
    while (p != NULL) {
        struct program *next = p->next;

        free_program(p);
        p = next;
    }
    for (size_t i = 0; i < f->parts; i++)
        at_filter_close(f->part[i].filter);
    free(f->part);
    pthread_mutex_destroy(&f->lock);
    free(f);
}

/* ---- seeing through tags --------------------------------------------- */

/* What is left of a packet once its tags are gone. */
struct inner {
    uint32_t offset; /* of the rest that follows the link header */
    uint16_t type;   /* to be put into the link header: an ethertype */
};

/* PPP protocol numbers as ethertypes and back, as far as at_decode() knows
 * them; 0 for others. */
static uint16_t type_of_ppp(uint16_t protocol)
{
    switch (protocol) {
    case PPP_IPV4:
        return ETHERTYPE_IPV4;
    case PPP_IPV6:
        return ETHERTYPE_IPV6;
    case PPP_MPLS:
        return ETHERTYPE_MPLS;
    default:
        return 0;
    }
}

static uint16_t ppp_of_type(uint16_t type)
{
    return type == ETHERTYPE_IPV4 ? PPP_IPV4 : PPP_IPV6;
}

static bool is_tag(uint16_t type)
{
    switch (type) {
    case ETHERTYPE_VLAN:
    case ETHERTYPE_QINQ:
    case ETHERTYPE_QINQ_OLD:
    case ETHERTYPE_QINQ_OLDER:
    case ETHERTYPE_MPLS:
    case ETHERTYPE_MPLS_UPSTREAM:
    case ETHERTYPE_PPPOE:
        return true;
    default:
        return false;
    }
}

/*
 * Steps over a stack of labels.  What is below the last one is not said
 * anywhere; it is IP if it looks so, as every router guesses.
 */
static bool step_mpls(struct inner *in, const uint8_t *data, uint32_t cap)
{
    uint32_t at = in->offset;

    do {
        if (cap - at < 4 + 1)
            return false;
        at += 4;
    } while ((data[at - 2] & 1) == 0);
    if (data[at] >> 4 != 4 && data[at] >> 4 != 6)
        return false;
    in->type = data[at] >> 4 == 4 ? ETHERTYPE_IPV4 : ETHERTYPE_IPV6;
    in->offset = at;
    return true;
}

static bool step_pppoe(struct inner *in, const uint8_t *data, uint32_t cap)
{
    uint16_t type;

    if (cap - in->offset < 8)
        return false;
    type = type_of_ppp(at_load_be16(data + in->offset + 6));
    if (type == 0)
        return false;
    in->type = type;
    in->offset += 8;
    return true;
}

static bool step_vlan(struct inner *in, const uint8_t *data, uint32_t cap)
{
    if (cap - in->offset < 4)
        return false;
    in->type = at_load_be16(data + in->offset + 2);
    in->offset += 4;
    return true;
}

/* Steps over one tag; false if it cannot be told what is behind it. */
static bool step_tag(struct inner *in, const uint8_t *data, uint32_t cap)
{
    switch (in->type) {
    case ETHERTYPE_MPLS:
    case ETHERTYPE_MPLS_UPSTREAM:
        return step_mpls(in, data, cap);
    case ETHERTYPE_PPPOE:
        return step_pppoe(in, data, cap);
    default:
        return step_vlan(in, data, cap);
    }
}

/*
 * Finds what is behind the tags of a packet; false if it has none, which is
 * so for nearly all packets and takes one load and one switch.
 */
static bool look_inside(struct inner *in, const struct at_link *l,
                        const struct at_packet *pkt)
{
    if (pkt->cap_bytes < l->bytes)
        return false;
    in->type = at_load_be16(pkt->data + l->type_at);
    in->offset = l->bytes;
    if (l->ppp)
        in->type = at_load_be16(pkt->data) == 0xff03 ? type_of_ppp(in->type)
                                                     : 0;
    while (is_tag(in->type))
        if (!step_tag(in, pkt->data, pkt->cap_bytes))
            break;
    return in->offset > l->bytes;
}

/* ---- matching -------------------------------------------------------- */

static bool run(const struct program *p, const uint8_t *data, uint32_t wire,
                uint32_t cap)
{
    const struct pcap_pkthdr hdr = {.caplen = cap, .len = wire};

    return pcap_offline_filter(&p->code, &hdr, data) != 0;
}

/*
 * Runs the program on the packet as it would be without its tags.  'buf' has
 * room for all that the program can reach or the packet has.
 */
static bool run_in(uint8_t *buf, size_t room, const struct program *p,
                   const struct at_link *l, const struct inner *in,
                   const struct at_packet *pkt)
{
    const uint32_t gone = in->offset - l->bytes;
    uint32_t cap = pkt->cap_bytes - gone;
    const uint32_t wire = pkt->wire_bytes > gone ? pkt->wire_bytes - gone
                                                 : pkt->wire_bytes;
    uint32_t rest = (p->reach < cap ? p->reach : cap);

    rest = rest > l->bytes ? rest - l->bytes : 0;
    if (rest > room - l->bytes) { /* longer than any capture has it: cut it */
        rest = (uint32_t)room - l->bytes;
        cap = (uint32_t)room;
    }
    memcpy(buf, pkt->data, l->bytes);
    at_store_be16(buf + l->type_at, l->ppp ? ppp_of_type(in->type) : in->type);
    memcpy(buf + l->bytes, pkt->data + in->offset, rest);
    return run(p, buf, wire, cap);
}

/* In a function of its own, so that only who needs it has the large frame. */
__attribute__((noinline)) static bool run_far(const struct program *p,
                                              const struct at_link *l,
                                              const struct inner *in,
                                              const struct at_packet *pkt)
{
    uint8_t buf[SNAP_BYTES];

    return run_in(buf, sizeof(buf), p, l, in, pkt);
}

__attribute__((noinline)) static bool run_near(const struct program *p,
                                               const struct at_link *l,
                                               const struct inner *in,
                                               const struct at_packet *pkt)
{
    uint8_t buf[NEAR_BYTES];

    return run_in(buf, sizeof(buf), p, l, in, pkt);
}

/* What the parts say of the IP packets in tunnels. */
static uint32_t ask_parts(const struct at_filter *f,
                          const struct at_packet *pkt)
{
    struct at_headers h;
    uint32_t answers = 0;

    at_decode(&h, pkt);
    while (at_decode_inner(&h, &h, pkt)) {
        struct at_packet inside = *pkt;

        if (h.net != AT_NET_IPV4 && h.net != AT_NET_IPV6)
            continue;
        at_packet_inside(&inside, &h);
        for (size_t i = 0; i < f->parts; i++)
            if ((answers >> i & 1) == 0 &&
                at_filter_match(f->part[i].filter, &inside))
                answers |= UINT32_C(1) << i;
    }
    return answers;
}

bool at_filter_match(struct at_filter *f, const struct at_packet *pkt)
{
    uint32_t answers;
    struct program *p;
    struct inner in;
    struct at_link l;

    if (f->all || pkt->kind != AT_KIND_PACKET)
        return true;
    answers = f->parts > 0 ? ask_parts(f, pkt) : 0;
    p = find_program(f, variant_of(pkt), answers);
    if (p == NULL)
        p = make_program(f, variant_of(pkt), answers);
    if (p == NULL || !p->usable)
        return false;
    if (!f->through || !at_link_of(&l, pkt->linktype) ||
        !look_inside(&in, &l, pkt))
        return run(p, pkt->data, pkt->wire_bytes, pkt->cap_bytes);
    if (p->reach <= NEAR_BYTES || pkt->cap_bytes <= NEAR_BYTES)
        return run_near(p, &l, &in, pkt);
    return run_far(p, &l, &in, pkt);
}
