/*
 * audit.c - whether an original address is left in an anonymised trace
 *
 * Addresses of each length are in a hash table of their own; a window of that
 * length goes over every byte of a record.  Most windows end at a bitmap of
 * hashes.
 */
#include "audit.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

#include "bytes.h"

enum { LENGTHS = 3, FILTER_BITS = 20 };

static const uint8_t lengths[LENGTHS] = {4, 6, 16};

/* What is known of a value. */
enum { ORIGINAL = 1, IMAGE = 2, BACKWARDS = 4 };

struct entry {
    uint8_t address[16];
    uint8_t is; /* 0: an empty place */
};

struct set {
    struct entry *entry;
    size_t n, room;  /* a power of 2 */
    uint8_t *filter; /* bits by hash; of originals only */
};

struct at_audit {
    struct set set[LENGTHS];
    bool text;
    bool failed;
    uint64_t addresses;
    uint8_t *known; /* a record's bytes that can be no hit */
    size_t room;
    const uint8_t *record;
    uint32_t bytes;
    uint64_t packets;
    struct at_leak leak[AT_LEAKS_MOST];
    uint64_t leaks;
};

/* ---- sets ------------------------------------------------------------ */

static uint32_t hash_of(const uint8_t *p, size_t n)
{
    uint64_t h = n;

    for (size_t i = 0; i + 2 <= n; i += 2)
        h = (h ^ at_load_be16(p + i)) * UINT64_C(0x9e3779b97f4a7c15);
    return (uint32_t)(h >> 32);
}

static struct entry *find(const struct set *s, const uint8_t *p, size_t n)
{
    size_t i;

    if (s->room == 0)
        return NULL;
    i = hash_of(p, n) & (s->room - 1);
    while (s->entry[i].is != 0 && memcmp(s->entry[i].address, p, n) != 0)
        i = (i + 1) & (s->room - 1);
    return &s->entry[i];
}

static bool grow(struct set *s, size_t n)
{
    struct set bigger = {.n = s->n, .filter = s->filter};

    if (2 * (s->n + 1) <= s->room)
        return true;
    bigger.room = s->room > 0 ? 2 * s->room : 1024;
    bigger.entry = calloc(bigger.room, sizeof(bigger.entry[0]));
    if (bigger.filter == NULL)
        bigger.filter = calloc((size_t)1 << (FILTER_BITS - 3), 1);
    if (bigger.entry == NULL || bigger.filter == NULL) {
        free(bigger.entry);
        s->filter = bigger.filter;
        return false;
    }
    for (size_t i = 0; i < s->room; i++)
        if (s->entry[i].is != 0)
            *find(&bigger, s->entry[i].address, n) = s->entry[i];
    free(s->entry);
    *s = bigger;
    return true;
}

/* True if it is new as that. */
static bool add(struct at_audit *a, struct set *s, const uint8_t *p, size_t n,
                uint8_t as)
{
    const uint32_t bit = hash_of(p, n) >> (32 - FILTER_BITS);
    struct entry *e;
    bool is_new;

    if (!grow(s, n)) {
        a->failed = true;
        return false;
    }
    e = find(s, p, n);
    s->n += e->is == 0;
    is_new = (e->is & as) == 0;
    memcpy(e->address, p, n);
    e->is |= as;
    if (as != IMAGE)
        s->filter[bit / 8] |= (uint8_t)(1 << bit % 8);
    return is_new;
}

/* What a value is; 0 for most. */
static uint8_t look_up(const struct set *s, const uint8_t *p, size_t n)
{
    uint32_t bit;

    if (s->room == 0)
        return 0;
    bit = hash_of(p, n) >> (32 - FILTER_BITS);
    if ((s->filter[bit / 8] & 1 << bit % 8) == 0)
        return 0;
    return find(s, p, n)->is;
}

static struct set *set_for(struct at_audit *a, size_t bytes)
{
    return &a->set[bytes == 4 ? 0 : bytes == 6 ? 1 : 2];
}

/* ---- what to look for ------------------------------------------------ */

/* Whether the value is nobody's, and too common to be looked for. */
static bool is_common(const uint8_t *p, size_t bytes)
{
    static const uint8_t zero[16];

    if (bytes == 4)
        return p[0] == 0 || memcmp(p, "\xff\xff\xff\xff", 4) == 0;
    if (bytes == 6)
        return (p[0] & 1) != 0 || memcmp(p, zero, 5) == 0;
    return memcmp(p, zero, 12) == 0;
}

void at_audit_learn(void *audit, const uint8_t *was, const uint8_t *now,
                    size_t bytes)
{
    struct at_audit *a = audit;
    struct set *s = set_for(a, bytes);
    uint8_t backwards[16];

    add(a, s, now, bytes, IMAGE);
    if (memcmp(was, now, bytes) == 0 || is_common(was, bytes))
        return;
    a->addresses += add(a, s, was, bytes, ORIGINAL);
    for (size_t i = 0; i < bytes; i++)
        backwards[i] = was[bytes - 1 - i];
    if (!is_common(backwards, bytes))
        add(a, s, backwards, bytes, BACKWARDS);
}

/* ---- leaks ----------------------------------------------------------- */

static void note_leak(struct at_audit *a, size_t offset, const uint8_t *address,
                      size_t bytes, uint8_t is)
{
    struct at_leak *l;

    if (a->leaks++ >= AT_LEAKS_MOST)
        return;
    l = &a->leak[a->leaks - 1];
    *l = (struct at_leak){
        .packet = a->packets,
        .offset = (uint32_t)offset,
        .backwards = (is & ORIGINAL) == 0,
        .bytes = (uint8_t)bytes,
    };
    memcpy(l->address, address, bytes);
}

static void note_text(struct at_audit *a, size_t offset, const uint8_t *address,
                      size_t bytes)
{
    if (look_up(set_for(a, bytes), address, bytes) & IMAGE ||
        !(look_up(set_for(a, bytes), address, bytes) & ORIGINAL))
        return;
    note_leak(a, offset, address, bytes, ORIGINAL);
    if (a->leaks <= AT_LEAKS_MOST)
        a->leak[a->leaks - 1].as_text = true;
}

/* ---- what is known of a record --------------------------------------- */

static void mark(struct at_audit *a, uint64_t from, uint64_t n)
{
    for (uint64_t i = from; i < from + n && i < a->bytes; i++)
        a->known[i] = 1;
}

/* A field that is an address: an original in it is a leak, unless it is what
 * another one became. */
static void check_field(struct at_audit *a, uint64_t at, size_t bytes)
{
    uint8_t is;

    if (at + bytes > a->bytes)
        return;
    is = look_up(set_for(a, bytes), a->record + at, bytes);
    if ((is & ORIGINAL) != 0 && (is & IMAGE) == 0)
        note_leak(a, at, a->record + at, bytes, is);
    mark(a, at, bytes);
}

static void mark_tcp(struct at_audit *a, uint64_t at)
{
    enum { FIXED = 20 };
    uint64_t end, next = at + FIXED;

    mark(a, at, FIXED);
    if (at + FIXED > a->bytes)
        return;
    end = at + (uint64_t)(a->record[at + 12] >> 4) * 4;
    while (next + 1 < end && next + 1 < a->bytes) {
        const uint8_t kind = a->record[next], n = a->record[next + 1];

        if (kind == 0)
            return;
        if (kind == 1) {
            next++;
            continue;
        }
        if (n < 2 || next + n > end)
            return;
        if (kind <= 5 || kind == 8)
            mark(a, next, n);
        next += n;
    }
}

static void mark_transport(struct at_audit *a, const struct at_headers *h,
                           uint64_t at)
{
    enum { ICMP = 1, IGMP = 2, TCP = 6, UDP = 17, ICMPV6 = 58 };
    enum { REDIRECT = 5, GROUP_REPORT = 0x22 };

    switch (h->proto) {
    case TCP:
        mark_tcp(a, at);
        break;
    case UDP:
        mark(a, at, 8);
        break;
    case ICMP:
        mark(a, at, h->sport == REDIRECT ? 4 : 8);
        break;
    case IGMP: /* up to the group of a report's first record */
        mark(a, at, at < a->bytes && a->record[at] == GROUP_REPORT ? 12 : 4);
        break;
    case ICMPV6:
        mark(a, at, 8);
        break;
    }
}

/* 'frame' is where the packet's bytes begin in the record. */
static void mark_layer(struct at_audit *a, const struct at_headers *h,
                       uint64_t frame)
{
    const uint64_t link = frame + h->link_offset, net = frame + h->net_offset;

    if (h->link == AT_LINK_ETHERNET) {
        check_field(a, link, 6);
        check_field(a, link + 6, 6);
        if (h->net_offset > 0)
            mark(a, link + 12, net - link - 12);
    }
    if (h->link == AT_LINK_LINUX_SLL)
        mark(a, link, 6);
    if (h->link == AT_LINK_LINUX_SLL2)
        mark(a, link, 12);
    if (h->net == AT_NET_OTHER)
        return;
    if (h->net == AT_NET_ARP) {
        mark(a, net, 8);
        check_field(a, net + 8, 6);
        check_field(a, net + 14, 4);
        check_field(a, net + 18, 6);
        check_field(a, net + 24, 4);
        return;
    }
    mark(a, net, h->net == AT_NET_IPV4 ? 12 : 8);
    check_field(a, net + (h->net == AT_NET_IPV4 ? 12 : 8),
                h->net == AT_NET_IPV4 ? 4 : 16);
    check_field(a, net + (h->net == AT_NET_IPV4 ? 16 : 24),
                h->net == AT_NET_IPV4 ? 4 : 16);
    if (h->transport_offset > 0)
        mark_transport(a, h, frame + h->transport_offset);
}

static void mark_frame(struct at_audit *a, const struct at_packet *pkt)
{
    const uint64_t frame = (uint64_t)(pkt->data - pkt->record);
    struct at_headers h;

    at_decode(&h, pkt);
    mark_layer(a, &h, frame);
    while (at_decode_quoted(&h, &h, pkt) || at_decode_inner(&h, &h, pkt))
        mark_layer(a, &h, frame);
}

/* What the blocks of pcapng that describe others have before their options:
 * versions, a length; a link type, another length. */
static uint64_t fixed_bytes(const struct at_packet *pkt)
{
    static const uint8_t section[4] = {0x0a, 0x0d, 0x0d, 0x0a};
    static const uint8_t interface[2][4] = {{1, 0, 0, 0}, {0, 0, 0, 1}};

    if (memcmp(pkt->record, section, 4) == 0)
        return 16;
    return memcmp(pkt->record, interface[0], 4) == 0 ||
                   memcmp(pkt->record, interface[1], 4) == 0
               ? 8
               : 0;
}

/* The headers of records, which hold times and lengths. */
static void mark_record(struct at_audit *a, const struct at_packet *pkt)
{
    enum { ERF_HEADER = 16, NG_HEADER = 28, NG_BLOCK = 8, NG_END = 4 };

    if (pkt->format == AT_FORMAT_PCAPNG) {
        mark(a, 0,
             pkt->kind == AT_KIND_PACKET ? NG_HEADER
                                         : NG_BLOCK + fixed_bytes(pkt));
        mark(a, a->bytes - NG_END, NG_END);
    } else if (pkt->format == AT_FORMAT_ERF) {
        mark(a, 0, ERF_HEADER);
    } else if (pkt->kind == AT_KIND_PACKET) {
        mark(a, 0, (uint64_t)(pkt->data - pkt->record));
    }
    if (pkt->kind == AT_KIND_PACKET)
        mark_frame(a, pkt);
}

/* ---- the search ------------------------------------------------------ */

static void search_length(struct at_audit *a, size_t bytes)
{
    const struct set *s = set_for(a, bytes);
    size_t clear = 0; /* bytes up to here that are not known, in a row */

    for (size_t i = 0; i < a->bytes; i++) {
        const uint8_t *p = a->record + i + 1 - bytes;
        uint8_t is;

        clear = a->known[i] ? 0 : clear + 1;
        if (clear < bytes)
            continue;
        is = look_up(s, p, bytes);
        if ((is & (ORIGINAL | BACKWARDS)) != 0 && (is & IMAGE) == 0)
            note_leak(a, i + 1 - bytes, p, bytes, is);
    }
}

static bool is_text(uint8_t c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') ||
           (c >= 'A' && c <= 'F') || c == ':' || c == '.' || c == '-';
}

/* An address of a link as text, with colons or dashes. */
static bool parse_mac(uint8_t *mac, const char *text, size_t n)
{
    if (n != 17)
        return false;
    for (size_t i = 0; i < 6; i++) {
        char digits[3] = {text[3 * i], text[3 * i + 1], '\0'};
        char *end;

        mac[i] = (uint8_t)strtoul(digits, &end, 16);
        if (*end != '\0' ||
            (i < 5 && text[3 * i + 2] != ':' && text[3 * i + 2] != '-'))
            return false;
    }
    return true;
}

/* A run of letters that addresses are made of. */
static void search_word(struct at_audit *a, size_t at, size_t n)
{
    enum { MOST = 45 };
    char text[MOST + 1];
    uint8_t address[16];

    while (n > 0 &&
           (a->record[at + n - 1] == '.' || a->record[at + n - 1] == '-'))
        n--;
    if (n < 3 || n > MOST)
        return;
    memcpy(text, a->record + at, n);
    text[n] = '\0';
    if (inet_pton(AF_INET, text, address) == 1)
        note_text(a, at, address, 4);
    else if (inet_pton(AF_INET6, text, address) == 1)
        note_text(a, at, address, 16);
    else if (parse_mac(address, text, n))
        note_text(a, at, address, 6);
}

/* Four numbers with dots between, whatever stands around them. */
static void search_quad(struct at_audit *a, size_t at)
{
    uint8_t address[4];
    size_t i = at;

    for (size_t part = 0; part < 4; part++) {
        unsigned v = 0, digits = 0;

        while (i < a->bytes && a->record[i] >= '0' && a->record[i] <= '9' &&
               digits < 3) {
            v = v * 10 + (unsigned)(a->record[i++] - '0');
            digits++;
        }
        if (digits == 0 || v > 255)
            return;
        address[part] = (uint8_t)v;
        if (part < 3 && (i >= a->bytes || a->record[i++] != '.'))
            return;
    }
    note_text(a, at, address, 4);
}

static void search_text(struct at_audit *a)
{
    size_t start = 0;

    for (size_t i = 0; i <= a->bytes; i++) {
        const bool in = i < a->bytes && is_text(a->record[i]);

        if (in && a->record[i] >= '0' && a->record[i] <= '9' &&
            (i == 0 || a->record[i - 1] < '0' || a->record[i - 1] > '9'))
            search_quad(a, i);
        if (in)
            continue;
        search_word(a, start, i - start);
        start = i + 1;
    }
}

bool at_audit_record(struct at_audit *a, const struct at_packet *pkt)
{
    if (pkt->record_bytes > a->room) {
        free(a->known);
        a->room = 2 * (size_t)pkt->record_bytes;
        a->known = malloc(a->room);
    }
    if (a->known == NULL || a->failed)
        return false;
    memset(a->known, 0, pkt->record_bytes);
    a->record = pkt->record;
    a->bytes = pkt->record_bytes;
    a->packets++;
    mark_record(a, pkt);
    for (size_t i = 0; i < LENGTHS; i++)
        search_length(a, lengths[i]);
    if (a->text)
        search_text(a);
    return true;
}

/* ---- opening and closing --------------------------------------------- */

enum at_status at_audit_open(struct at_audit **out, bool text,
                             struct at_error *err)
{
    *out = calloc(1, sizeof(**out));
    if (*out == NULL)
        return at_error_set(err, AT_ERR_MEMORY, "out of memory");
    (*out)->text = text;
    return AT_OK;
}

void at_audit_close(struct at_audit *a)
{
    if (a == NULL)
        return;
    for (size_t i = 0; i < LENGTHS; i++) {
        free(a->set[i].entry);
        free(a->set[i].filter);
    }
    free(a->known);
    free(a);
}

const struct at_leak *at_audit_leaks(const struct at_audit *a, size_t *n,
                                     uint64_t *all)
{
    *all = a->leaks;
    *n = a->leaks < AT_LEAKS_MOST ? (size_t)a->leaks : AT_LEAKS_MOST;
    return a->leak;
}

uint64_t at_audit_addresses(const struct at_audit *a)
{
    return a->addresses;
}
