/*
 * at-diff - the first differences of two traces, packet by packet
 *
 * Equal packets are compared where they lie.  At a difference up to 'window'
 * packets of each side are copied, and the nearest two that are equal say how
 * far each side must go on; what is left over before them is paired by its
 * bytes or its time, or is on one side only.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "json.h"
#include "opening.h"
#include "tool.h"

enum {
    WINDOW = 32,
    MOST_DEFAULT = 10,
    SHOWN_BYTES = 8, /* of each side where bytes differ */
    CHECK_EVERY = 1024,

    SAME = 0, /* exit codes, which differ from those of the other tools */
    DIFFERENT = 1,
    TROUBLE = 2,
};

/* What two packets may differ in, as bits. */
enum {
    TIME = 1,
    WIRE = 2,
    CAPTURED = 4,
    BYTES = 8,
    LINKTYPE = 16,
    INTERFACE = 32,
    DIRECTION = 64,
    LOST = 128,
};

static const struct {
    const char *name;
    unsigned bit;
} facts[] = {
    {"time", TIME},           {"wire", WIRE},         {"captured", CAPTURED},
    {"bytes", BYTES},         {"linktype", LINKTYPE}, {"interface", INTERFACE},
    {"direction", DIRECTION}, {"lost", LOST},
};

enum { FACTS = sizeof(facts) / sizeof(facts[0]) };

/* A packet that outlives its batch. */
struct held {
    struct at_packet pkt;
    uint8_t *bytes;
    size_t room;
};

struct side {
    const char *path;
    struct at_reader *rd;
    struct at_pick *pick;
    struct at_packet now; /* from 'pick', if 'fresh': not yet used or held */
    bool fresh;
    bool ended;
    struct held held[WINDOW]; /* the oldest is held[first] */
    size_t first, n;
    uint64_t used; /* packets gone through: the front one is number used + 1 */
};

struct diff {
    struct tool_common common;
    struct tool_selection selection;
    struct at_reader_options reading; /* both sides alike */
    struct at_selection wanted;
    uint64_t most; /* differences to show; 0: all */
    int64_t tolerance_ns;
    unsigned ignored; /* bits of facts */
    unsigned told;    /* facts that both formats can tell */
    struct at_pool *pool;
    struct side a, b;
    uint64_t equal, changed, only_a, only_b;
    bool trouble;
    struct tool_progress progress;
};

/* ---- sides ----------------------------------------------------------- */

static int open_side(struct diff *d, struct side *s, const char *path)
{
    struct at_reader_options opts = d->reading;
    struct at_error err;

    opts.size = sizeof(opts);
    opts.pool = d->pool;
    opts.salvage = d->common.salvage;
    s->path = path;
    if (at_indexed_open(&s->rd, path, &opts, &err) != AT_OK ||
        at_pick_open(&s->pick, s->rd, d->pool, &d->wanted, &err) != AT_OK) {
        tool_error(&err);
        return -1;
    }
    return 0;
}

static void close_side(struct side *s)
{
    at_pick_close(s->pick);
    at_reader_close(s->rd);
    for (size_t i = 0; i < WINDOW; i++)
        free(s->held[i].bytes);
}

static void say_holes(struct diff *d, const struct side *s)
{
    struct at_salvaged total;
    size_t n;
    const struct at_hole *hole = at_reader_holes(s->rd, &n, &total);

    tool_holes(s->path, hole, n, &total);
    d->trouble = d->trouble || total.holes > 0;
}

/* Takes the next packet out of the trace; false when there is none. */
static bool pull(struct diff *d, struct side *s)
{
    struct at_error err;
    enum at_status st;

    if (s->fresh || s->ended)
        return s->fresh;
    if (s->used + s->n == d->selection.count) {
        s->ended = true;
        return false;
    }
    st = at_pick_next(s->pick, &s->now, &err);
    s->fresh = st == AT_OK;
    s->ended = st != AT_OK;
    if (st < 0) {
        tool_error(&err);
        d->trouble = true;
    }
    if (st == AT_END)
        say_holes(d, s);
    return s->fresh;
}

static struct held *held_at(struct side *s, size_t i)
{
    return &s->held[(s->first + i) % WINDOW];
}

/* The packet that is compared next; NULL at the end. */
static const struct at_packet *front(struct diff *d, struct side *s)
{
    if (s->n > 0)
        return &held_at(s, 0)->pkt;
    return pull(d, s) ? &s->now : NULL;
}

static void pop(struct side *s)
{
    if (s->n > 0) {
        s->first = (s->first + 1) % WINDOW;
        s->n--;
    } else {
        s->fresh = false;
    }
    s->used++;
}

/* Copies packets until the window is full. */
static int fill(struct diff *d, struct side *s)
{
    while (s->n < WINDOW && pull(d, s)) {
        struct held *h = held_at(s, s->n);

        if (h->room < s->now.cap_bytes) {
            free(h->bytes);
            h->room = 0;
            h->bytes = malloc(s->now.cap_bytes);
            if (h->bytes == NULL)
                return -1;
            h->room = s->now.cap_bytes;
        }
        h->pkt = s->now;
        if (h->pkt.cap_bytes > 0)
            memcpy(h->bytes, s->now.data, h->pkt.cap_bytes);
        h->pkt.data = h->bytes;
        h->pkt.record = NULL;
        s->fresh = false;
        s->n++;
    }
    return 0;
}

/* ---- comparing ------------------------------------------------------- */

static bool same_bytes(const struct at_packet *a, const struct at_packet *b)
{
    const uint32_t n = a->cap_bytes < b->cap_bytes ? a->cap_bytes
                                                   : b->cap_bytes;

    return n == 0 || memcmp(a->data, b->data, n) == 0;
}

static bool same_time(const struct diff *d, const struct at_packet *a,
                      const struct at_packet *b)
{
    const int64_t x = at_ts_to_ns(a->ts), y = at_ts_to_ns(b->ts);

    return (x > y ? x - y : y - x) <= d->tolerance_ns;
}

/* The facts in which the packets differ, those aside that do not count. */
static unsigned differing(const struct diff *d, const struct at_packet *a,
                          const struct at_packet *b)
{
    unsigned bits = 0;

    bits |= same_time(d, a, b) ? 0 : TIME;
    bits |= a->wire_bytes == b->wire_bytes ? 0 : WIRE;
    bits |= a->cap_bytes == b->cap_bytes ? 0 : CAPTURED;
    bits |= a->linktype == b->linktype ? 0 : LINKTYPE;
    bits |= a->interface == b->interface ? 0 : INTERFACE;
    bits |= a->direction == b->direction ? 0 : DIRECTION;
    bits |= a->lost == b->lost ? 0 : LOST;
    bits |= same_bytes(a, b) ? 0 : BYTES;
    return bits & d->told & ~d->ignored;
}

/* Whether two packets that differ are the same one, changed. */
static bool akin(const struct diff *d, const struct at_packet *a,
                 const struct at_packet *b)
{
    return same_time(d, a, b) ||
           (same_bytes(a, b) && a->cap_bytes > 0 && b->cap_bytes > 0);
}

/* Some formats have no place for these, so they say nothing of them. */
static unsigned told_by(const struct side *s)
{
    const enum at_format format = at_reader_info(s->rd)->format;

    if (format == AT_FORMAT_TSH)
        return ~(unsigned)(DIRECTION | LOST);
    if (format == AT_FORMAT_PCAP || format == AT_FORMAT_PCAP_US ||
        format == AT_FORMAT_LEGACY_ATM || format == AT_FORMAT_LEGACY_POS ||
        format == AT_FORMAT_LEGACY_ETH)
        return ~(unsigned)(INTERFACE | DIRECTION | LOST);
    return ~0u;
}

/* ---- output ---------------------------------------------------------- */

static bool shown(const struct diff *d)
{
    return !d->common.quiet;
}

static const char *time_text(char *buf, const struct diff *d,
                             const struct at_packet *pkt)
{
    at_time_format(buf, at_ts_to_ns(pkt->ts), d->common.local);
    return buf;
}

static void print_number(const char *what, uint64_t a, uint64_t b)
{
    printf("  %-10s %" PRIu64 " | %" PRIu64 "\n", what, a, b);
}

static uint32_t first_difference(const struct at_packet *a,
                                 const struct at_packet *b)
{
    uint32_t i = 0;

    while (i < a->cap_bytes && i < b->cap_bytes && a->data[i] == b->data[i])
        i++;
    return i;
}

static void print_hex(const struct at_packet *pkt, uint32_t from)
{
    for (uint32_t i = from; i < pkt->cap_bytes && i - from < SHOWN_BYTES; i++)
        printf(" %02x", pkt->data[i]);
}

static void print_bytes(const struct at_packet *a, const struct at_packet *b)
{
    const uint32_t at = first_difference(a, b);

    printf("  %-10s from %" PRIu32 ":", "bytes", at);
    print_hex(a, at);
    printf(" |");
    print_hex(b, at);
    printf("\n");
}

static void print_changed(const struct diff *d, const struct at_packet *a,
                          const struct at_packet *b, unsigned bits)
{
    char x[AT_TIME_TEXT], y[AT_TIME_TEXT];

    printf("packet %" PRIu64 " | %" PRIu64 ": changed\n", d->a.used + 1,
           d->b.used + 1);
    if (bits & TIME)
        printf("  %-10s %s | %s\n", "time", time_text(x, d, a),
               time_text(y, d, b));
    if (bits & WIRE)
        print_number("wire", a->wire_bytes, b->wire_bytes);
    if (bits & CAPTURED)
        print_number("captured", a->cap_bytes, b->cap_bytes);
    if (bits & LINKTYPE)
        print_number("linktype", a->linktype, b->linktype);
    if (bits & INTERFACE)
        print_number("interface", a->interface, b->interface);
    if (bits & DIRECTION)
        print_number("direction", a->direction, b->direction);
    if (bits & LOST)
        print_number("lost", a->lost, b->lost);
    if (bits & BYTES)
        print_bytes(a, b);
}

static void json_changed(const struct diff *d, const struct at_packet *a,
                         const struct at_packet *b, unsigned bits)
{
    const char *comma = "";

    printf("{\"difference\":\"changed\",\"a\":%" PRIu64 ",\"b\":%" PRIu64
           ",\"facts\":[",
           d->a.used + 1, d->b.used + 1);
    for (size_t i = 0; i < FACTS; i++)
        if (bits & facts[i].bit) {
            printf("%s\"%s\"", comma, facts[i].name);
            comma = ",";
        }
    printf("],\"time_a\":\"%" PRId64 "\",\"time_b\":\"%" PRId64 "\"",
           at_ts_to_ns(a->ts), at_ts_to_ns(b->ts));
    if (bits & BYTES)
        printf(",\"first_byte\":%" PRIu32, first_difference(a, b));
    printf("}\n");
}

static void print_only(const struct diff *d, const struct side *s,
                       const struct at_packet *pkt)
{
    char buf[AT_TIME_TEXT];

    if (d->common.json) {
        printf("{\"difference\":\"only\",\"in\":\"%s\",\"%s\":%" PRIu64
               ",\"time\":\"%" PRId64 "\",\"captured\":%" PRIu32
               ",\"wire\":%" PRIu32 "}\n",
               s == &d->a ? "a" : "b", s == &d->a ? "a" : "b", s->used + 1,
               at_ts_to_ns(pkt->ts), pkt->cap_bytes, pkt->wire_bytes);
        return;
    }
    if (s == &d->a)
        printf("packet %" PRIu64 " | -:", s->used + 1);
    else
        printf("packet - | %" PRIu64 ":", s->used + 1);
    printf(" only in %s: %s, %" PRIu32 " of %" PRIu32 " bytes\n", s->path,
           time_text(buf, d, pkt), pkt->cap_bytes, pkt->wire_bytes);
}

/* ---- differences ----------------------------------------------------- */

static bool enough(const struct diff *d)
{
    return d->most > 0 && d->changed + d->only_a + d->only_b >= d->most;
}

static void only(struct diff *d, struct side *s)
{
    if (enough(d))
        return;
    if (shown(d))
        print_only(d, s, front(d, s));
    *(s == &d->a ? &d->only_a : &d->only_b) += 1;
    pop(s);
}

static void changed(struct diff *d)
{
    const struct at_packet *a = front(d, &d->a), *b = front(d, &d->b);
    const unsigned bits = differing(d, a, b);

    if (enough(d))
        return;
    if (shown(d) && d->common.json)
        json_changed(d, a, b, bits);
    else if (shown(d))
        print_changed(d, a, b, bits);
    d->changed++;
    pop(&d->a);
    pop(&d->b);
}

/* The nearest equal packets of the two windows, as steps of each side. */
static bool find_equal(struct diff *d, size_t *i, size_t *j)
{
    for (size_t sum = 0; sum + 1 < d->a.n + d->b.n; sum++)
        for (*i = 0; *i <= sum && *i < d->a.n; ++*i) {
            *j = sum - *i;
            if (*j < d->b.n && differing(d, &held_at(&d->a, *i)->pkt,
                                         &held_at(&d->b, *j)->pkt) == 0)
                return true;
        }
    return false;
}

/* How many of the first 'n' held packets of B come before one akin to 'a'. */
static size_t steps_to_kin(struct diff *d, const struct at_packet *a, size_t n)
{
    size_t j = 0;

    while (j < n && !akin(d, a, &held_at(&d->b, j)->pkt))
        j++;
    return j;
}

/* Says what becomes of the first 'i' packets of A and 'j' of B. */
static void settle(struct diff *d, size_t i, size_t j)
{
    while (i > 0 && !enough(d)) {
        const size_t skip = steps_to_kin(d, front(d, &d->a), j);

        i--;
        if (skip == j) {
            only(d, &d->a);
            continue;
        }
        for (size_t k = 0; k < skip; k++)
            only(d, &d->b);
        changed(d);
        j -= skip + 1;
    }
    for (; j > 0; j--)
        only(d, &d->b);
}

/* The fronts differ, or one side is at its end. */
static int resolve(struct diff *d)
{
    size_t i, j;

    if (fill(d, &d->a) != 0 || fill(d, &d->b) != 0) {
        tool_warn("out of memory");
        return -1;
    }
    if (d->a.n == 0 || d->b.n == 0)
        settle(d, d->a.n, d->b.n);
    else if (find_equal(d, &i, &j))
        settle(d, i, j);
    else
        settle(d, 1, 1);
    return 0;
}

static void show_progress(struct diff *d)
{
    const uint64_t done = at_reader_position(d->a.rd) +
                          at_reader_position(d->b.rd);

    tool_progress_update(&d->progress, done,
                         at_reader_info(d->a.rd)->file_bytes +
                             at_reader_info(d->b.rd)->file_bytes,
                         d->equal);
}

static void compare(struct diff *d)
{
    for (unsigned n = 0; !enough(d); n++) {
        const struct at_packet *a = front(d, &d->a), *b = front(d, &d->b);

        if (a == NULL && b == NULL)
            return;
        if (n % CHECK_EVERY == 0) {
            show_progress(d);
            if (tool_stopped())
                return;
        }
        if (a != NULL && b != NULL && differing(d, a, b) == 0) {
            d->equal++;
            pop(&d->a);
            pop(&d->b);
        } else if (resolve(d) != 0) {
            d->trouble = true;
            return;
        }
    }
}

static void summarise(const struct diff *d)
{
    char equal[TOOL_NUMBER_TEXT], number[3][TOOL_NUMBER_TEXT];

    tool_note("%s packets equal, %s changed, %s only in %s, %s only in %s%s",
              tool_format_grouped(equal, d->equal),
              tool_format_grouped(number[0], d->changed),
              tool_format_grouped(number[1], d->only_a), d->a.path,
              tool_format_grouped(number[2], d->only_b), d->b.path,
              enough(d) ? "; stopped there" : "");
}

/* ---- the command line ------------------------------------------------ */

static void ignore(void *ctx, const char *arg)
{
    struct diff *d = ctx;

    while (*arg != '\0') {
        const size_t n = strcspn(arg, ",");
        size_t i = 0;

        while (i < FACTS && (strlen(facts[i].name) != n ||
                             memcmp(facts[i].name, arg, n) != 0))
            i++;
        if (i == FACTS)
            tool_usage_error("no fact is called '%.*s'; there are time, wire, "
                             "captured, bytes, linktype, interface, direction "
                             "and lost",
                             (int)n, arg);
        d->ignored |= facts[i].bit;
        arg += n + (arg[n] == ',');
    }
}

static int run(struct diff *d, const char *a, const char *b)
{
    const struct tool_selection *s = &d->selection;
    struct at_error err;

    d->wanted.from_ns = s->from_ns;
    d->wanted.to_ns = s->to_ns;
    if (s->filter != NULL &&
        at_filter_open(&d->wanted.filter, s->filter,
                       s->literal ? AT_FILTER_LITERAL : 0, &err) != AT_OK)
        return tool_error_in(&err, s->filter);
    if (at_pool_open(&d->pool, tool_threads(&d->common), &err) != AT_OK) {
        tool_error(&err);
        return TROUBLE;
    }
    if (open_side(d, &d->a, a) != 0 || open_side(d, &d->b, b) != 0)
        return TROUBLE;
    d->told = told_by(&d->a) & told_by(&d->b);
    tool_progress_start(&d->progress, &d->common);
    compare(d);
    tool_progress_end(&d->progress);
    if (tool_stopped())
        return TROUBLE;
    summarise(d);
    if (d->trouble)
        return TROUBLE;
    return d->changed + d->only_a + d->only_b > 0 ? DIFFERENT : SAME;
}

int main(int argc, char *argv[])
{
    struct diff d = {.most = MOST_DEFAULT};
    const struct tool_option options[] = {
        TOOL_COUNT('m', "max", &d.most, "N",
                   "stop after N differences (default 10; 0: show all)"),
        TOOL_DURATION(0, "tolerance", &d.tolerance_ns, "DURATION",
                      "times that are so near are equal (default 0)"),
        TOOL_CALL(0, "ignore", ignore, &d, "FACT,...",
                  "do not compare time, wire, captured, bytes, linktype, "
                  "interface, direction or lost"),
        TOOL_SELECTION(&d.selection),
        TOOL_INPUT(&d.reading),
        TOOL_COMMON_BUT(&d.common, TOOL_NO_STRICT),
        TOOL_END,
    };
    const int i = tool_parse(argc, argv,
                             "[selection] [-m N] [--tolerance duration] "
                             "[--ignore fact,...] A B",
                             options);
    int status;

    tool_selection_resolve(&d.selection);
    if (argc - i != 2)
        tool_usage_error("two files are compared, not %d", argc - i);
    status = run(&d, argv[i], argv[i + 1]);
    close_side(&d.a);
    close_side(&d.b);
    at_pool_close(d.pool);
    at_filter_close(d.wanted.filter);
    /* Output that could not be written is trouble, not a difference. */
    return tool_finish(TOOL_OK) == TOOL_OK ? status : TROUBLE;
}
