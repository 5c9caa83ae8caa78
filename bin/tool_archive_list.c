/*
 * tool_archive_list.c - at-archive list and show
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "index.h"
#include "table.h"
#include "tool_archive.h"

/* ---- segments as rows ------------------------------------------------ */

/* What programs get of a segment; after 'removed' what its index says. */
static const struct at_column columns[] = {
    {"stream", true, 0},
    {"path", true, 0},
    {"state", true, 0},
    {"start", true, 0},
    {"end", true, 0},
    {"first", true, 0},
    {"last", true, 0},
    {"packets", false, 0},
    {"captured_bytes", false, 0},
    {"wire_bytes", false, 0},
    {"flows", false, 0},
    {"file_bytes", false, 0},
    {"index_bytes", false, 0},
    {"format", true, 0},
    {"codec", true, 0},
    {"linktype", false, 0},
    {"removed", true, 0},
    {"blocks", false, 0},
    {"hosts", false, 0},
    {"holes", false, 0},
    {"hole_bytes", false, 0},
    {"sha256", true, 0},
    {"index_sha256", true, 0},
};
enum { LISTED = 17, SHOWN = sizeof(columns) / sizeof(columns[0]) };

static const char *state_of(const struct at_segment *seg)
{
    return seg->gone_ns != 0 ? "expired" : seg->pending ? "pending" : "sealed";
}

static void put_ns(struct at_table *t, int64_t ns)
{
    char text[24];

    snprintf(text, sizeof(text), "%" PRId64, ns);
    at_table_put(t, text);
}

static void put_segment(struct at_table *t, const struct at_segment *seg)
{
    at_table_put(t, seg->stream);
    at_table_put(t, seg->path);
    at_table_put(t, state_of(seg));
    put_ns(t, seg->start_ns);
    put_ns(t, seg->end_ns);
    put_ns(t, seg->first_ns);
    put_ns(t, seg->last_ns);
    at_table_number(t, seg->packets);
    at_table_number(t, seg->captured_bytes);
    at_table_number(t, seg->wire_bytes);
    at_table_number(t, seg->flows);
    at_table_number(t, seg->file_bytes);
    at_table_number(t, seg->index_bytes);
    at_table_put(t, at_format_name(seg->format));
    at_table_put(t, at_codec_name(seg->codec));
    at_table_number(t, seg->linktype);
    if (seg->gone_ns != 0)
        put_ns(t, seg->gone_ns);
    else
        at_table_put(t, "");
}

static void put_digest(struct at_table *t, const struct at_digest *digest)
{
    char text[AT_DIGEST_TEXT] = "";

    at_table_put(t, digest->known ? at_digest_text(text, digest) : "");
}

static void put_known(struct at_table *t, const struct at_segment *seg,
                      const struct at_index_info *info)
{
    const uint64_t number[] = {info->blocks, info->hosts, info->salvaged.holes,
                               info->salvaged.bytes};

    for (int i = 0; i < 4; i++)
        at_table_number(t, number[i]);
    put_digest(t, &seg->file_digest);
    put_digest(t, &seg->index_digest);
}

/* ---- tables for people ----------------------------------------------- */

/* To the second, as the boundaries of segments are. */
static const char *short_time(char *buf, int64_t ns, bool local)
{
    char *dot;

    at_time_format(buf, ns, local);
    dot = strchr(buf, '.');
    if (dot != NULL)
        memmove(dot, dot + 10, strlen(dot + 10) + 1);
    return buf;
}

static void put_bytes(struct at_table *t, uint64_t bytes)
{
    char text[TOOL_NUMBER_TEXT];

    at_table_put(t, tool_format_bytes(text, bytes));
}

static int out_of_memory(void)
{
    tool_warn("out of memory");
    return TOOL_FAIL;
}

static int print_table(const struct archive *ar, const struct at_segments *list)
{
    static const struct at_column column[] = {
        {"stream", true, 0},    {"first", true, 20},  {"last", true, 20},
        {"packets", false, 11}, {"bytes", false, 11}, {"flows", false, 10},
        {"size", false, 10},    {"index", false, 8},  {"path", true, 0},
    };
    struct at_table t = {.out = stdout, .column = column, .columns = 9};
    char text[AT_TIME_TEXT];

    for (size_t i = 0; i < list->n; i++) {
        const struct at_segment *seg = &list->segment[i];

        at_table_put(&t, seg->stream);
        at_table_put(&t, short_time(text, seg->first_ns, ar->common.local));
        at_table_put(&t, short_time(text, seg->last_ns, ar->common.local));
        at_table_number(&t, seg->packets);
        put_bytes(&t, seg->captured_bytes);
        at_table_number(&t, seg->flows);
        if (seg->gone_ns != 0)
            at_table_put(&t, "removed");
        else
            put_bytes(&t, seg->file_bytes);
        put_bytes(&t, seg->index_bytes);
        at_table_put(&t, seg->path);
    }
    return at_table_close(&t) ? TOOL_OK : out_of_memory();
}

int tool_archive_print(const struct archive *ar, const struct at_segments *list)
{
    struct at_table t = {.out = stdout,
                         .format = (enum at_print_format)ar->format,
                         .column = columns,
                         .columns = LISTED};

    if (ar->format == AT_PRINT_TABLE)
        return print_table(ar, list);
    for (size_t i = 0; i < list->n; i++)
        put_segment(&t, &list->segment[i]);
    return at_table_close(&t) ? TOOL_OK : out_of_memory();
}

int tool_archive_list(struct archive *ar)
{
    struct at_segments list;
    struct at_archive *a;
    struct at_error err;
    enum at_status st = at_archive_open(&a, ar->path, false, &err);
    int status;

    if (st != AT_OK)
        return tool_error(&err);
    st = at_archive_segments(a, ar->stream, ar->selection.from_ns,
                             ar->selection.to_ns, &list, &err);
    at_archive_close(a);
    if (st != AT_OK)
        return tool_error(&err);
    status = tool_archive_print(ar, &list);
    at_segments_free(&list);
    return status;
}

/* ---- segments by name ------------------------------------------------ */

static bool has_name(const struct archive *ar, const struct at_segment *seg,
                     const char *word)
{
    const char *last = strrchr(seg->path, '/');
    const size_t n = strlen(ar->path);

    if (strncmp(word, ar->path, n) == 0 && word[n] == '/' &&
        strcmp(word + n + 1, seg->path) == 0)
        return true;
    return strcmp(word, seg->path) == 0 ||
           (last != NULL && strcmp(word, last + 1) == 0);
}

static bool is_named(const struct archive *ar, const struct at_segment *seg)
{
    for (size_t i = 0; i < ar->words; i++)
        if (has_name(ar, seg, ar->word[i]))
            return true;
    return false;
}

static bool is_there(const struct archive *ar, const struct at_segments *list,
                     const char *word)
{
    for (size_t i = 0; i < list->n; i++)
        if (has_name(ar, &list->segment[i], word))
            return true;
    return false;
}

int tool_archive_name(const struct archive *ar, struct at_segments *list)
{
    int status = TOOL_OK;
    size_t n = 0;

    for (size_t i = 0; i < ar->words; i++)
        if (!is_there(ar, list, ar->word[i])) {
            tool_warn("%s: no such segment in %s", ar->word[i], ar->path);
            status = TOOL_FAIL;
        }
    for (size_t i = 0; i < list->n && ar->words > 0; i++) {
        const struct at_segment seg = list->segment[i];

        if (is_named(ar, &seg)) {
            list->segment[n++] = seg;
            continue;
        }
        free(seg.stream);
        free(seg.path);
    }
    if (ar->words > 0)
        list->n = n;
    return status;
}

/* ---- show: segments -------------------------------------------------- */

/* Of a segment whose index cannot be read the numbers of it are 0. */
static int read_index(struct at_archive *a, const struct at_segment *seg,
                      struct at_index_info *info)
{
    char *trace = at_archive_path(a, seg->path);
    char *path = trace != NULL ? at_index_path(trace) : NULL;
    struct at_index *ix = NULL;
    struct at_error err;
    enum at_status st = AT_ERR_MEMORY;

    *info = (struct at_index_info){.packets = 0};
    if (path == NULL)
        at_error_set(&err, st, "out of memory");
    else
        st = at_index_open(&ix, path, NULL, &err);
    if (st == AT_OK)
        *info = *at_index_info(ix);
    at_index_close(ix);
    free(path);
    free(trace);
    return st == AT_OK ? TOOL_OK : tool_error(&err);
}

static void say_time(const char *what, int64_t ns, bool local)
{
    char text[AT_TIME_TEXT];

    at_time_format(text, ns, local);
    printf("%-9s %s\n", what, text);
}

static void say_bytes(const char *what, uint64_t bytes)
{
    char text[TOOL_NUMBER_TEXT], human[TOOL_NUMBER_TEXT];

    printf("%-9s %s (%s)\n", what, tool_format_grouped(text, bytes),
           tool_format_bytes(human, bytes));
}

static void say_count(const char *what, uint64_t n)
{
    char text[TOOL_NUMBER_TEXT];

    printf("%-9s %s\n", what, tool_format_grouped(text, n));
}

static void say_digest(const char *what, const struct at_digest *digest)
{
    char text[AT_DIGEST_TEXT];

    printf("%-9s %s\n", what,
           digest->known ? at_digest_text(text, digest) : "not known");
}

static void say_segment(const struct archive *ar, const struct at_segment *seg,
                        const struct at_index_info *info)
{
    const bool local = ar->common.local;

    printf("%s\n%-9s %s\n%-9s %s\n", seg->path, "stream", seg->stream, "state",
           state_of(seg));
    if (seg->gone_ns != 0)
        say_time("removed", seg->gone_ns, local);
    say_time("start", seg->start_ns, local);
    say_time("end", seg->end_ns, local);
    say_time("first", seg->first_ns, local);
    say_time("last", seg->last_ns, local);
    say_count("packets", seg->packets);
    say_bytes("captured", seg->captured_bytes);
    say_bytes("wire", seg->wire_bytes);
    say_count("flows", seg->flows);
    say_count("hosts", info->hosts);
    printf("%-9s %s, %s, link type %u\n", "format", at_format_name(seg->format),
           at_codec_name(seg->codec), (unsigned)info->linktype);
    say_bytes("file", seg->file_bytes);
    say_bytes("index", seg->index_bytes);
    say_count("blocks", info->blocks);
    printf("%-9s %" PRIu64 " of %" PRIu64 " bytes\n", "holes",
           info->salvaged.holes, info->salvaged.bytes);
    say_digest("SHA-256", &seg->file_digest);
    say_digest("of index", &seg->index_digest);
}

static int show_segments(const struct archive *ar, struct at_archive *a,
                         const struct at_segments *list)
{
    struct at_table t = {.out = stdout,
                         .format = (enum at_print_format)ar->format,
                         .column = columns,
                         .columns = SHOWN};
    int status = TOOL_OK;

    for (size_t i = 0; i < list->n; i++) {
        struct at_index_info info;

        if (read_index(a, &list->segment[i], &info) != TOOL_OK)
            status = TOOL_FAIL;
        if (ar->format == AT_PRINT_TABLE) {
            if (i > 0)
                putchar('\n');
            say_segment(ar, &list->segment[i], &info);
            continue;
        }
        put_segment(&t, &list->segment[i]);
        put_known(&t, &list->segment[i], &info);
    }
    if (ar->format != AT_PRINT_TABLE && !at_table_close(&t))
        return out_of_memory();
    return status;
}

/* ---- show: the archive ----------------------------------------------- */

/* The segments of a stream, or of all, added up. */
struct sum {
    const char *stream;
    uint64_t segments, pending, expired;
    bool timed; /* there are packets, from the first to the last */
    int64_t first_ns, last_ns;
    uint64_t packets, captured_bytes, wire_bytes, flows;
    uint64_t file_bytes, index_bytes;
    unsigned codecs; /* bits by enum at_codec */
    char *key;       /* id of what it is anonymised with; NULL: it is not */
    struct at_gone gone;
};

static void add(struct sum *sum, const struct at_segment *seg)
{
    if (seg->packets > 0 && (!sum->timed || seg->first_ns < sum->first_ns))
        sum->first_ns = seg->first_ns;
    if (seg->packets > 0 && (!sum->timed || seg->last_ns > sum->last_ns))
        sum->last_ns = seg->last_ns;
    sum->timed |= seg->packets > 0;
    sum->flows += seg->flows;
    sum->index_bytes += seg->index_bytes;
    if (seg->gone_ns != 0) {
        sum->expired++;
        return;
    }
    sum->segments++;
    sum->pending += seg->pending;
    sum->packets += seg->packets;
    sum->captured_bytes += seg->captured_bytes;
    sum->wire_bytes += seg->wire_bytes;
    sum->file_bytes += seg->file_bytes;
    sum->codecs |= 1u << seg->codec;
}

/* "bgzf", or where they differ "bgzf+zstd" */
static void put_codecs(struct at_table *t, unsigned codecs)
{
    struct at_text text = {.n = 0};

    for (unsigned i = 0; i < 16; i++)
        if ((codecs >> i & 1) != 0) {
            const char *name = at_codec_name((enum at_codec)i);

            at_text_add(&text, "+", text.n > 0);
            at_text_add(&text, name, strlen(name));
        }
    at_text_add(&text, "", 1);
    at_table_put(t, text.failed ? "" : text.p);
    at_text_close(&text);
}

static const struct at_column sum_columns[] = {
    {"stream", true, 0},          {"segments", false, 0},
    {"pending", false, 0},        {"expired", false, 0},
    {"first", true, 0},           {"last", true, 0},
    {"packets", false, 0},        {"captured_bytes", false, 0},
    {"wire_bytes", false, 0},     {"flows", false, 0},
    {"file_bytes", false, 0},     {"index_bytes", false, 0},
    {"codec", true, 0},           {"gone_segments", false, 0},
    {"gone_packets", false, 0},   {"inputs", false, 0},
    {"damaged_inputs", false, 0}, {"holes", false, 0},
    {"hole_bytes", false, 0},     {"key", true, 0},
};
enum { SUM_COLUMNS = sizeof(sum_columns) / sizeof(sum_columns[0]) };

static const char *key_of(const struct sum *s)
{
    return s->key == NULL ? "" : *s->key != 0 ? s->key : "none";
}

/* Inputs are known of the whole archive only. */
static void put_sum(struct at_table *t, const struct sum *s,
                    const struct at_input_totals *in)
{
    at_table_put(t, s->stream);
    at_table_number(t, s->segments);
    at_table_number(t, s->pending);
    at_table_number(t, s->expired);
    for (int i = 0; i < 2; i++)
        if (s->timed)
            put_ns(t, i == 0 ? s->first_ns : s->last_ns);
        else
            at_table_put(t, "");
    at_table_number(t, s->packets);
    at_table_number(t, s->captured_bytes);
    at_table_number(t, s->wire_bytes);
    at_table_number(t, s->flows);
    at_table_number(t, s->file_bytes);
    at_table_number(t, s->index_bytes);
    put_codecs(t, s->codecs);
    at_table_number(t, s->gone.segments);
    at_table_number(t, s->gone.packets);
    for (int i = 0; in == NULL && i < 4; i++)
        at_table_put(t, "");
    if (in != NULL) {
        at_table_number(t, in->inputs);
        at_table_number(t, in->damaged);
        at_table_number(t, in->holes.holes);
        at_table_number(t, in->holes.bytes);
    }
    at_table_put(t, key_of(s));
}

static const struct at_column short_columns[] = {
    {"stream", true, 0}, {"segments", false, 0}, {"first", true, 20},
    {"last", true, 20},  {"packets", false, 0},  {"bytes", false, 0},
    {"flows", false, 0}, {"size", false, 0},     {"index", false, 0},
    {"codec", true, 0},
};
enum { SHORT_COLUMNS = sizeof(short_columns) / sizeof(short_columns[0]) };

static void put_short(struct at_table *t, const struct sum *s, bool local)
{
    char text[AT_TIME_TEXT];

    at_table_put(t, s->stream);
    at_table_number(t, s->segments);
    at_table_put(t, s->timed ? short_time(text, s->first_ns, local) : "");
    at_table_put(t, s->timed ? short_time(text, s->last_ns, local) : "");
    at_table_number(t, s->packets);
    put_bytes(t, s->captured_bytes);
    at_table_number(t, s->flows);
    put_bytes(t, s->file_bytes);
    put_bytes(t, s->index_bytes);
    put_codecs(t, s->codecs);
}

/* Below the table: what is no sum of segments. */
static void say_rest(const struct sum *total, const struct at_input_totals *in)
{
    if (total->pending > 0)
        printf("%" PRIu64 " of the segments are pending\n", total->pending);
    if (total->expired > 0)
        printf("of %" PRIu64 " more only the index is left\n", total->expired);
    if (total->gone.segments > total->expired)
        printf("%" PRIu64 " segments were removed\n",
               total->gone.segments - total->expired);
    printf("%" PRIu64 " inputs, %" PRIu64 " damaged, %" PRIu64
           " holes of %" PRIu64 " bytes left out\n",
           in->inputs, in->damaged, in->holes.holes, in->holes.bytes);
}

struct showing {
    struct at_text keys; /* lines about streams that are anonymised */
    const struct archive *ar;
    struct at_archive *a;
    struct at_table table;
    struct sum total;
};

static void note_key(struct showing *s, const struct sum *sum)
{
    char line[128];
    const int n = snprintf(line, sizeof(line), "%s is anonymised with key %s\n",
                           sum->stream, key_of(sum));

    at_text_add(&s->keys, line, (size_t)n);
}

/* A row of the stream that 'n' segments are of. */
static enum at_status show_stream(struct showing *s,
                                  const struct at_segment *seg, size_t n,
                                  struct at_error *err)
{
    struct sum sum = {.stream = seg->stream};
    enum at_status st;

    for (size_t i = 0; i < n; i++) {
        add(&sum, &seg[i]);
        add(&s->total, &seg[i]);
    }
    st = at_archive_gone(s->a, sum.stream, AT_TIME_MIN, AT_TIME_MAX, &sum.gone,
                         err);
    if (st == AT_OK)
        st = at_archive_key(s->a, sum.stream, &sum.key, err);
    if (sum.key != NULL)
        note_key(s, &sum);
    if (s->ar->format == AT_PRINT_TABLE)
        put_short(&s->table, &sum, s->ar->common.local);
    else
        put_sum(&s->table, &sum, NULL);
    free(sum.key);
    return st;
}

static enum at_status show_streams(struct showing *s,
                                   const struct at_segments *list,
                                   struct at_error *err)
{
    enum at_status st = AT_OK;
    size_t from = 0;

    for (size_t i = 1; i <= list->n && st == AT_OK; i++) {
        if (i < list->n &&
            strcmp(list->segment[i].stream, list->segment[from].stream) == 0)
            continue;
        st = show_stream(s, &list->segment[from], i - from, err);
        from = i;
    }
    if (st == AT_OK)
        st = at_archive_gone(s->a, NULL, AT_TIME_MIN, AT_TIME_MAX,
                             &s->total.gone, err);
    return st;
}

static int show_all(const struct archive *ar, struct at_archive *a,
                    const struct at_segments *list)
{
    const bool table = ar->format == AT_PRINT_TABLE;
    struct showing s = {
        .ar = ar,
        .a = a,
        .table = {.out = stdout,
                  .format = (enum at_print_format)ar->format,
                  .column = table ? short_columns : sum_columns,
                  .columns = table ? SHORT_COLUMNS : SUM_COLUMNS},
        .total = {.stream = "total"},
    };
    struct at_input_totals in;
    struct at_error err;
    enum at_status st = show_streams(&s, list, &err);

    if (st == AT_OK)
        st = at_archive_inputs(a, &in, &err);
    if (st != AT_OK) {
        at_text_close(&s.table.cells);
        at_text_close(&s.keys);
        return tool_error(&err);
    }
    if (table)
        put_short(&s.table, &s.total, ar->common.local);
    else
        put_sum(&s.table, &s.total, &in);
    if (!at_table_close(&s.table) || s.keys.failed) {
        at_text_close(&s.keys);
        return out_of_memory();
    }
    if (table) {
        say_rest(&s.total, &in);
        if (s.keys.n > 0) /* else there are no bytes */
            fwrite(s.keys.p, 1, s.keys.n, stdout);
    }
    at_text_close(&s.keys);
    return TOOL_OK;
}

int tool_archive_show(struct archive *ar)
{
    struct at_segments list = {.n = 0};
    struct at_archive *a;
    struct at_error err;
    enum at_status st = at_archive_open(&a, ar->path, false, &err);
    int status;

    if (st != AT_OK)
        return tool_error(&err);
    st = at_archive_segments(a, NULL, AT_TIME_MIN, AT_TIME_MAX, &list, &err);
    if (st != AT_OK) {
        status = tool_error(&err);
    } else if (ar->words == 0) {
        status = show_all(ar, a, &list);
    } else {
        status = tool_archive_name(ar, &list);
        if (show_segments(ar, a, &list) != TOOL_OK)
            status = TOOL_FAIL;
    }
    at_segments_free(&list);
    at_archive_close(a);
    return status;
}
