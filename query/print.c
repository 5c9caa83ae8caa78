/*
 * print.c - flows as people and programs read them
 *
 * A column is a name, a width for the table and a function that makes its
 * text; the three formats differ only in what they put around it.
 */
#include "print.h"

#include <stdlib.h>
#include <string.h>

#include "app.h"
#include "community.h"
#include "digits.h"
#include "json.h"
#include "pool.h"
#include "table.h"

enum { TEXT = 512 }; /* a name that a flow asks for is the longest */

struct cell {
    const struct at_flow_row *row;
    const char *stream;
    bool local;
    size_t n; /* of the text, if who made it said so; else NOT_SAID */
    char text[TEXT];
};

static const size_t NOT_SAID = SIZE_MAX;

struct column {
    const char *name;
    bool left;    /* in the table aligned to the left */
    bool number;  /* in JSON without quotes */
    bool theirs;  /* a text that is not ours, and may want escapes */
    uint8_t rank; /* where width is limited, the lowest are kept */
    void (*make)(struct cell *c);
    void (*make_short)(struct cell *c); /* for limited width, if other */
};

/* ---- the text of each column ----------------------------------------- */

static void end_text(struct cell *c, char *end)
{
    *end = '\0';
    c->n = (size_t)(end - c->text);
}

static void make_start(struct cell *c)
{
    c->n = at_time_format(c->text, c->row->start_ns, c->local);
}

static void make_end(struct cell *c)
{
    c->n = at_time_format(c->text, c->row->end_ns, c->local);
}

/* To the millisecond: six digits less before the zone. */
static void shorten_time(struct cell *c)
{
    char *dot = strchr(c->text, '.');

    if (dot != NULL && strlen(dot) > 10)
        memmove(dot + 4, dot + 10, strlen(dot + 10) + 1);
}

static void make_start_short(struct cell *c)
{
    make_start(c);
    shorten_time(c);
}

static void make_end_short(struct cell *c)
{
    make_end(c);
    shorten_time(c);
}

static void print_seconds(struct cell *c, int digits)
{
    const uint64_t ns = (uint64_t)(c->row->end_ns - c->row->start_ns);
    char *p = at_digits(c->text, ns / 1000000000);

    *p++ = '.';
    at_digits_wide(p, ns % 1000000000, 9);
    p[digits] = '\0';
}

static void make_duration(struct cell *c)
{
    print_seconds(c, 9);
}

static void make_duration_short(struct cell *c)
{
    print_seconds(c, 3);
}

const char *at_print_proto(char *buf, uint8_t proto)
{
    switch (proto) {
    case 1:
        return "icmp";
    case 2:
        return "igmp";
    case 6:
        return "tcp";
    case 17:
        return "udp";
    case 47:
        return "gre";
    case 50:
        return "esp";
    case 58:
        return "icmp6";
    case 132:
        return "sctp";
    }
    snprintf(buf, 8, "%u", proto);
    return buf;
}

/* "" where there is none. */
static void print_word(struct cell *c, const char *word)
{
    const size_t n = word != NULL ? strnlen(word, TEXT - 1) : 0;

    memcpy(c->text, word != NULL ? word : "", n);
    end_text(c, c->text + n);
}

static void make_proto(struct cell *c)
{
    char buf[8];

    print_word(c, at_print_proto(buf, c->row->proto));
}

static void print_address(struct cell *c, const uint8_t *addr)
{
    end_text(c, c->row->net == AT_NET_IPV6 ? at_digits_ipv6(c->text, addr)
                                           : at_digits_ipv4(c->text, addr));
}

static void make_src(struct cell *c)
{
    print_address(c, c->row->src);
}

static void make_dst(struct cell *c)
{
    print_address(c, c->row->dst);
}

static void print_number(struct cell *c, uint64_t n)
{
    end_text(c, at_digits(c->text, n));
}

static void make_sport(struct cell *c)
{
    print_number(c, c->row->sport);
}

static void make_dport(struct cell *c)
{
    print_number(c, c->row->dport);
}

static void make_packets_out(struct cell *c)
{
    print_number(c, c->row->packets[0]);
}

static void make_packets_in(struct cell *c)
{
    print_number(c, c->row->packets[1]);
}

static void make_bytes_out(struct cell *c)
{
    print_number(c, c->row->bytes[0]);
}

static void make_bytes_in(struct cell *c)
{
    print_number(c, c->row->bytes[1]);
}

/* RFC 9293's flags from the left, a dot for one that is not set. */
static void print_flags(struct cell *c, uint8_t flags)
{
    static const char letters[] = "CEUAPRSF";

    if (c->row->proto != 6) {
        c->text[0] = 0;
        return;
    }
    for (int i = 0; i < 8; i++)
        c->text[i] = '.';
    c->text[8] = 0;
    for (int i = 0; i < 8; i++)
        if (flags & (0x80 >> i))
            c->text[i] = letters[i];
}

static void make_flags_out(struct cell *c)
{
    print_flags(c, c->row->tcp_flags[0]);
}

static void make_flags_in(struct cell *c)
{
    print_flags(c, c->row->tcp_flags[1]);
}

static void make_app(struct cell *c)
{
    print_word(c, c->row->app);
}

static void make_category(struct cell *c)
{
    print_word(c, c->row->category);
}

static void make_confidence(struct cell *c)
{
    print_word(c, c->row->app != NULL
                      ? at_app_confidence_name(c->row->confidence)
                      : NULL);
}

static void make_vlan(struct cell *c)
{
    if (c->row->vlan == 0)
        c->text[0] = 0;
    else
        print_number(c, c->row->vlan);
}

static void make_mpls(struct cell *c)
{
    if (c->row->mpls == 0)
        c->text[0] = 0;
    else
        print_number(c, c->row->mpls);
}

static void make_inner(struct cell *c)
{
    print_number(c, c->row->inner);
}

static void make_name(struct cell *c)
{
    print_word(c, c->row->name);
}

static void make_state(struct cell *c)
{
    print_word(c, at_flow_state_name((enum at_flow_state)c->row->state));
}

static void make_stream(struct cell *c)
{
    print_word(c, c->stream);
}

static void make_end_reason(struct cell *c)
{
    print_word(c, at_flow_end_name((enum at_flow_end)c->row->end));
}

static void make_payload_out(struct cell *c)
{
    print_number(c, c->row->payload[0]);
}

static void make_payload_in(struct cell *c)
{
    print_number(c, c->row->payload[1]);
}

static void make_rtt(struct cell *c)
{
    const int64_t us = c->row->rtt_us;

    c->text[0] = 0;
    if (us >= 0) {
        char *p = at_digits(c->text, (uint64_t)us / 1000000);

        *p++ = '.';
        *at_digits_wide(p, (uint64_t)us % 1000000, 6) = '\0';
    }
}

static void make_retransmitted_out(struct cell *c)
{
    print_number(c, c->row->retransmitted[0]);
}

static void make_retransmitted_in(struct cell *c)
{
    print_number(c, c->row->retransmitted[1]);
}

static void make_zero_windows_out(struct cell *c)
{
    print_number(c, c->row->zero_windows[0]);
}

static void make_zero_windows_in(struct cell *c)
{
    print_number(c, c->row->zero_windows[1]);
}

static void make_icmp_errors(struct cell *c)
{
    print_number(c, c->row->errors);
}

static void make_checksums(struct cell *c)
{
    print_word(c, c->row->checksums == AT_CHECKSUM_BAD  ? "bad"
                  : c->row->checksums == AT_CHECKSUM_OK ? "ok"
                                                        : NULL);
}

static void make_bad_checksums(struct cell *c)
{
    print_number(c, c->row->bad_checksums);
}

/* In hexadecimal, as far as they were captured. */
static void print_first(struct cell *c, int dir)
{
    c->text[0] = 0;
    for (int i = 0; i < 4 && i < c->row->captured[dir]; i++)
        snprintf(c->text + 2 * i, TEXT - 2 * (size_t)i, "%02x",
                 c->row->first[dir][i]);
}

static void make_first_out(struct cell *c)
{
    print_first(c, 0);
}

static void make_first_in(struct cell *c)
{
    print_first(c, 1);
}

static void make_first_len_out(struct cell *c)
{
    print_number(c, c->row->first_len[0]);
}

static void make_first_len_in(struct cell *c)
{
    print_number(c, c->row->first_len[1]);
}

static void make_community_id(struct cell *c)
{
    at_community_id(c->text, c->row);
}

static const struct column columns[AT_PRINT_COLUMNS] = {
    {"start", true, false, false, 0, make_start, make_start_short},
    {"end", true, false, false, 17, make_end, make_end_short},
    {"duration", false, true, false, 8, make_duration, make_duration_short},
    {"proto", true, false, false, 1, make_proto, NULL},
    {"src", false, false, false, 2, make_src, NULL},
    {"sport", false, true, false, 3, make_sport, NULL},
    {"dst", false, false, false, 4, make_dst, NULL},
    {"dport", false, true, false, 5, make_dport, NULL},
    {"packets_out", false, true, false, 9, make_packets_out, NULL},
    {"packets_in", false, true, false, 10, make_packets_in, NULL},
    {"bytes_out", false, true, false, 6, make_bytes_out, NULL},
    {"bytes_in", false, true, false, 7, make_bytes_in, NULL},
    {"flags_out", true, false, false, 14, make_flags_out, NULL},
    {"flags_in", true, false, false, 15, make_flags_in, NULL},
    {"app", true, false, true, 16, make_app, NULL},
    {"vlan", false, true, false, 12, make_vlan, NULL},
    {"state", true, false, false, 11, make_state, NULL},
    {"stream", true, false, true, 13, make_stream, NULL},
    {"category", true, false, true, 18, make_category, NULL},
    {"confidence", true, false, false, 19, make_confidence, NULL},
    {"end_reason", true, false, false, 20, make_end_reason, NULL},
    {"payload_out", false, true, false, 21, make_payload_out, NULL},
    {"payload_in", false, true, false, 22, make_payload_in, NULL},
    {"rtt", false, true, false, 23, make_rtt, NULL},
    {"retransmitted_out", false, true, false, 24, make_retransmitted_out, NULL},
    {"retransmitted_in", false, true, false, 25, make_retransmitted_in, NULL},
    {"zero_windows_out", false, true, false, 26, make_zero_windows_out, NULL},
    {"zero_windows_in", false, true, false, 27, make_zero_windows_in, NULL},
    {"icmp_errors", false, true, false, 28, make_icmp_errors, NULL},
    {"checksums", true, false, false, 29, make_checksums, NULL},
    {"bad_checksums", false, true, false, 30, make_bad_checksums, NULL},
    {"community_id", true, false, false, 31, make_community_id, NULL},
    {"mpls", false, true, false, 32, make_mpls, NULL},
    {"inner", false, true, false, 33, make_inner, NULL},
    {"name", true, false, true, 34, make_name, NULL},
    {"first_out", true, false, false, 35, make_first_out, NULL},
    {"first_in", true, false, false, 36, make_first_in, NULL},
    {"first_len_out", false, true, false, 37, make_first_len_out, NULL},
    {"first_len_in", false, true, false, 38, make_first_len_in, NULL},
};

/* ---- choosing columns ------------------------------------------------ */

static int column_named(const char *name, size_t n)
{
    for (int i = 0; i < AT_PRINT_COLUMNS; i++)
        if (strlen(columns[i].name) == n &&
            memcmp(columns[i].name, name, n) == 0)
            return i;
    return -1;
}

static enum at_status choose_named(struct at_print *p, const char *fields,
                                   struct at_error *err)
{
    for (const char *at = fields;; at++) {
        const size_t n = strcspn(at, ",");
        const int i = column_named(at, n);

        if (i < 0 || (i >= AT_PRINT_INDEXED && !p->packets))
            return at_error_set(err, AT_ERR_SYNTAX,
                                "no column is called '%.*s'", (int)n, at);
        if (p->columns == AT_PRINT_COLUMNS)
            return at_error_set(err, AT_ERR_SYNTAX, "too many columns: '%s'",
                                fields);
        p->column[p->columns++] = (unsigned char)i;
        at += n;
        if (*at == 0)
            return AT_OK;
    }
}

enum at_status at_print_open(struct at_print *p, const char *fields,
                             struct at_error *err)
{
    p->columns = 0;
    if (fields != NULL) {
        p->width = 0;
        return choose_named(p, fields, err);
    }
    for (unsigned i = 0; i < AT_PRINT_USUAL; i++)
        p->column[p->columns++] = (unsigned char)i;
    return AT_OK;
}

bool at_print_has(const struct at_print *p, const char *column)
{
    for (unsigned i = 0; i < p->columns; i++)
        if (strcmp(columns[p->column[i]].name, column) == 0)
            return true;
    return false;
}

/* ---- table ----------------------------------------------------------- */

struct table {
    const struct at_print *p;
    const struct at_finds *finds;
    const struct at_targets *targets;
    size_t n;
    size_t width[AT_PRINT_COLUMNS]; /* by column, not by place */
};

static void make_cell(const struct table *t, size_t i, unsigned column,
                      struct cell *c)
{
    const struct column *col = &columns[column];
    const struct at_found *f = t->finds->found[i];

    c->row = &f->row;
    c->stream = t->targets->target[f->target].stream;
    c->local = t->p->local;
    if (t->p->width > 0 && col->make_short != NULL)
        col->make_short(c);
    else
        col->make(c);
    if (c->text[0] == 0)
        strcpy(c->text, "-");
}

static void measure(struct table *t)
{
    struct cell c;

    for (unsigned k = 0; k < t->p->columns; k++) {
        const unsigned column = t->p->column[k];

        t->width[column] = strlen(columns[column].name);
        for (size_t i = 0; i < t->n; i++) {
            make_cell(t, i, column, &c);
            if (strlen(c.text) > t->width[column])
                t->width[column] = strlen(c.text);
        }
    }
}

/* Keeps the columns of the lowest ranks for as long as they fit. */
static void fit(struct at_print *p, const struct table *t)
{
    bool keep[AT_PRINT_COLUMNS] = {false};
    size_t used = 0;
    unsigned n = 0;

    for (unsigned rank = 0; rank < AT_PRINT_USUAL; rank++) {
        unsigned i = 0;

        while (columns[i].rank != rank)
            i++;
        used += t->width[i] + (rank > 0);
        if (used > p->width && rank > 5)
            break;
        keep[i] = true;
    }
    for (unsigned k = 0; k < p->columns; k++)
        if (keep[p->column[k]])
            p->column[n++] = p->column[k];
    p->columns = n;
}

static void print_cell(const struct table *t, unsigned k, const char *text)
{
    const unsigned column = t->p->column[k];
    const int width = (int)t->width[column];
    const bool last = k + 1 == t->p->columns;

    if (columns[column].left)
        fprintf(t->p->out, "%-*s%s", last ? 0 : width, text, last ? "\n" : " ");
    else
        fprintf(t->p->out, "%*s%s", width, text, last ? "\n" : " ");
}

static void print_table(struct at_print *p, struct table *t)
{
    struct cell c;

    measure(t);
    if (p->width > 0)
        fit(p, t);
    for (unsigned k = 0; k < p->columns; k++)
        print_cell(t, k, columns[p->column[k]].name);
    for (size_t i = 0; i < t->n; i++)
        for (unsigned k = 0; k < p->columns; k++) {
            make_cell(t, i, p->column[k], &c);
            print_cell(t, k, c.text);
        }
}

/* ---- CSV and JSON ---------------------------------------------------- */

static struct cell cell_of(const struct table *t, size_t i)
{
    const struct at_found *f = t->finds->found[i];

    return (struct cell){.row = &f->row,
                         .stream = t->targets->target[f->target].stream};
}

static void print_csv_names(const struct at_print *p)
{
    for (unsigned k = 0; k < p->columns; k++)
        fprintf(p->out, "%s%s", k > 0 ? "," : "", columns[p->column[k]].name);
    putc('\n', p->out);
}

/* A line on its way: stdio for each cell would be most of the work. */
struct line {
    FILE *out;
    size_t n;
    char text[4096];
};

static void flush_line(struct line *l)
{
    fwrite_unlocked(l->text, 1, l->n, l->out);
    l->n = 0;
}

static void put(struct line *l, const char *text, size_t n)
{
    if (n > sizeof(l->text) - l->n)
        flush_line(l);
    memcpy(l->text + l->n, text, n); /* a cell has TEXT at most */
    l->n += n;
}

/* The text of a column; its length is then known. */
static void make_text(struct cell *c, const struct column *col)
{
    c->n = NOT_SAID;
    col->make(c);
    if (c->n == NOT_SAID)
        c->n = strlen(c->text);
}

static void put_csv_cell(struct line *l, const struct cell *c, bool theirs)
{
    if (!theirs || strcspn(c->text, ",\"\r\n") == c->n) {
        put(l, c->text, c->n);
        return;
    }
    flush_line(l);
    at_csv_text(l->out, c->text);
}

static void print_csv_row(const struct table *t, size_t i, struct line *l)
{
    struct cell c = cell_of(t, i);

    for (unsigned k = 0; k < t->p->columns; k++) {
        const struct column *col = &columns[t->p->column[k]];

        make_text(&c, col);
        if (k > 0)
            put(l, ",", 1);
        put_csv_cell(l, &c, col->theirs);
    }
    put(l, "\n", 1);
}

static void put_json_cell(struct line *l, const struct cell *c,
                          const struct column *col)
{
    if (col->theirs) {
        flush_line(l);
        at_json_text(l->out, c->text);
    } else if (col->number) {
        put(l, c->n > 0 ? c->text : "null", c->n > 0 ? c->n : 4);
    } else {
        put(l, "\"", 1);
        put(l, c->text, c->n);
        put(l, "\"", 1);
    }
}

static void print_json_row(const struct table *t, size_t i, struct line *l)
{
    struct cell c = cell_of(t, i);

    for (unsigned k = 0; k < t->p->columns; k++) {
        const struct column *col = &columns[t->p->column[k]];

        make_text(&c, col);
        put(l, k > 0 ? ",\"" : "{\"", 2);
        put(l, col->name, strlen(col->name));
        put(l, "\":", 2);
        put_json_cell(l, &c, col);
    }
    put(l, "}\n", 2);
}

static void print_rows(const struct table *t, size_t first, size_t n, FILE *out)
{
    struct line line;

    line.out = out;
    line.n = 0;
    for (size_t i = first; i < first + n; i++)
        if (t->p->format == AT_PRINT_CSV)
            print_csv_row(t, i, &line);
        else
            print_json_row(t, i, &line);
    flush_line(&line);
}

/* Rows that are printed into memory, to go out in their turn. */
struct chunk {
    size_t first, n;
    char *text;
    size_t bytes;
    bool good;
};

static void print_chunk(void *ctx, void *slot)
{
    struct chunk *c = slot;
    FILE *out = open_memstream(&c->text, &c->bytes);

    if (out == NULL)
        return;
    print_rows(ctx, c->first, c->n, out);
    c->good = ferror(out) == 0;
    c->good &= fclose(out) == 0;
}

static void put_chunk(struct table *t, struct chunk *c)
{
    if (c->good)
        fwrite(c->text, 1, c->bytes, t->p->out);
    else /* there was no memory for it */
        print_rows(t, c->first, c->n, t->p->out);
    free(c->text);
    *c = (struct chunk){.n = 0};
}

static void print_chunks(struct table *t, struct at_lane *lane)
{
    enum { ROWS = 2048 };
    struct chunk *c;
    size_t sent = 0;

    do {
        while (sent < t->n && (c = at_lane_free_slot(lane)) != NULL) {
            c->first = sent;
            c->n = t->n - sent < ROWS ? t->n - sent : ROWS;
            sent += c->n;
            at_lane_submit(lane);
        }
        c = at_lane_wait(lane);
        if (c != NULL) {
            put_chunk(t, c);
            at_lane_retire(lane);
        }
    } while (c != NULL);
}

static void drop_chunk(void *ctx, void *slot)
{
    struct chunk *c = slot;

    (void)ctx;
    free(c->text);
}

static void print_lines(struct table *t)
{
    struct at_lane *lane = t->p->pool == NULL
                               ? NULL
                               : at_lane_open(t->p->pool, print_chunk, t,
                                              sizeof(struct chunk), 0, false);

    if (t->p->format == AT_PRINT_CSV)
        print_csv_names(t->p);
    if (lane == NULL)
        print_rows(t, 0, t->n, t->p->out);
    else
        print_chunks(t, lane);
    at_lane_close(lane, drop_chunk);
}

void at_print_flows(struct at_print *p, const struct at_finds *finds,
                    const struct at_targets *targets, size_t limit)
{
    struct table t = {
        .p = p,
        .finds = finds,
        .targets = targets,
        .n = finds->n < limit ? finds->n : limit,
    };

    if (p->format == AT_PRINT_TABLE)
        print_table(p, &t);
    else
        print_lines(&t);
}
