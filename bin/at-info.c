/*
 * at-info - what a capture file holds
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "json.h"
#include "opening.h"
#include "tool.h"

enum { MOST_LINKTYPES = 16 };

/* Sums over some records; those of two stretches add up to one. */
struct tally {
    uint64_t packets, meta, pad;
    uint64_t timed; /* packets that have a time */
    uint64_t captured_bytes, wire_bytes;
    uint64_t lost;
    uint64_t first, last;      /* earliest and latest time; 32.32 */
    uint64_t ts_begin, ts_end; /* of the first and last packet */
    uint64_t backward;         /* packets earlier than the one before */
    uint32_t interfaces;       /* bit n: interface n was seen; 31: above too */
    uint16_t linktype[MOST_LINKTYPES];
    unsigned linktypes;
};

struct info {
    struct tool_common common;
    bool count_only;
    struct at_reader_options reading;
    struct at_pool *pool;
    struct tool_progress progress;
    const struct at_trace_info *trace;
    struct tally total;
    uint64_t bytes_read;
    bool first_record; /* of the output: no empty line before it */
};

static void tally_linktype(struct tally *t, uint16_t linktype)
{
    for (unsigned i = 0; i < t->linktypes; i++)
        if (t->linktype[i] == linktype)
            return;
    if (t->linktypes < MOST_LINKTYPES)
        t->linktype[t->linktypes++] = linktype;
}

static void tally_time(struct tally *t, uint64_t ts)
{
    if (t->timed++ == 0) {
        t->first = t->last = t->ts_begin = t->ts_end = ts;
        return;
    }
    if (ts < t->ts_end)
        t->backward++;
    if (ts < t->first)
        t->first = ts;
    if (ts > t->last)
        t->last = ts;
    t->ts_end = ts;
}

static void tally_packet(struct tally *t, const struct at_packet *pkt)
{
    if (pkt->kind != AT_KIND_PACKET) {
        t->meta += pkt->kind == AT_KIND_META;
        t->pad += pkt->kind == AT_KIND_PAD;
        return;
    }
    if (!pkt->timeless)
        tally_time(t, pkt->ts);
    if (t->linktypes == 0 || t->linktype[t->linktypes - 1] != pkt->linktype)
        tally_linktype(t, pkt->linktype);
    t->packets++;
    t->captured_bytes += pkt->cap_bytes;
    t->wire_bytes += pkt->wire_bytes;
    t->lost += pkt->lost;
    t->interfaces |= 1u << (pkt->interface < 31 ? pkt->interface : 31);
}

static void tally_join_times(struct tally *t, const struct tally *next)
{
    tally_time(t, next->ts_begin);
    t->timed += next->timed - 1;
    t->backward += next->backward;
    if (next->first < t->first)
        t->first = next->first;
    if (next->last > t->last)
        t->last = next->last;
    t->ts_end = next->ts_end;
}

/* Adds what comes after 't' in the file. */
static void tally_join(struct tally *t, const struct tally *next)
{
    t->meta += next->meta;
    t->pad += next->pad;
    if (next->timed > 0)
        tally_join_times(t, next);
    t->packets += next->packets;
    t->captured_bytes += next->captured_bytes;
    t->wire_bytes += next->wire_bytes;
    t->lost += next->lost;
    t->interfaces |= next->interfaces;
    for (unsigned i = 0; i < next->linktypes; i++)
        tally_linktype(t, next->linktype[i]);
}

static enum at_status info_work(void *ctx, void *slot,
                                const struct at_batch *batch,
                                struct at_error *err)
{
    struct tally *t = slot;
    struct at_packet pkt;

    (void)ctx;
    (void)err;
    memset(t, 0, sizeof(*t));
    for (size_t i = 0; i < batch->blocks; i++) {
        struct at_walk walk = at_walk_block(batch, i);

        while (at_walk_next(&walk, &pkt))
            tally_packet(t, &pkt);
    }
    return AT_OK;
}

static enum at_status info_report(void *ctx, void *slot,
                                  const struct at_batch *batch,
                                  struct at_error *err)
{
    struct info *info = ctx;
    const struct at_place *place = &batch->block[batch->blocks - 1].place;

    (void)err;
    tally_join(&info->total, slot);
    info->bytes_read = place->file_offset + place->file_bytes;
    tool_progress_update(&info->progress, info->bytes_read,
                         info->trace->file_bytes, info->total.packets);
    return tool_stopped() ? AT_END : AT_OK;
}

/* ---- output ---------------------------------------------------------- */

static unsigned streams_of(const struct tally *t)
{
    unsigned n = 0;

    for (unsigned i = 0; i < 32; i++)
        n += t->interfaces >> i & 1;
    return n;
}

static void print_json_time(const char *key, const struct tally *t, uint64_t ts)
{
    if (t->timed == 0)
        printf(",\"%s\":null", key);
    else
        printf(",\"%s\":\"%" PRId64 "\"", key, at_ts_to_ns(ts));
}

static void print_json(const struct info *info, enum at_status st)
{
    const struct tally *t = &info->total;

    printf("{\"file\":");
    at_json_text(stdout, info->trace->name);
    printf(",\"format\":\"%s\",\"codec\":\"%s\",\"linktypes\":[",
           at_format_name(info->trace->format),
           at_codec_name(info->trace->codec));
    for (unsigned i = 0; i < t->linktypes; i++)
        printf("%s%u", i > 0 ? "," : "", t->linktype[i]);
    printf("],\"packets\":%" PRIu64 ",\"captured_bytes\":%" PRIu64
           ",\"wire_bytes\":%" PRIu64,
           t->packets, t->captured_bytes, t->wire_bytes);
    print_json_time("first", t, t->first);
    print_json_time("last", t, t->last);
    printf(",\"in_order\":%s,\"truncated\":%s,\"damaged\":%s"
           ",\"skipped_bytes\":0,\"losses\":%" PRIu64
           ",\"streams\":%u,\"meta_records\":%" PRIu64
           ",\"pad_records\":%" PRIu64 "}\n",
           t->backward == 0 ? "true" : "false",
           st == AT_ERR_TRUNCATED ? "true" : "false",
           st < 0 && st != AT_ERR_TRUNCATED ? "true" : "false", t->lost,
           streams_of(t), t->meta, t->pad);
}

static void print_line(const char *name, const char *value)
{
    printf("  %-15s %s\n", name, value);
}

static void print_number(const char *name, uint64_t n)
{
    char buf[TOOL_NUMBER_TEXT];

    print_line(name, tool_format_grouped(buf, n));
}

static void print_times(const struct info *info)
{
    const struct tally *t = &info->total;
    char buf[AT_TIME_TEXT];
    const int64_t span = at_ts_to_ns(t->last) - at_ts_to_ns(t->first);

    at_time_format(buf, at_ts_to_ns(t->first), info->common.local);
    print_line("first", buf);
    at_time_format(buf, at_ts_to_ns(t->last), info->common.local);
    print_line("last", buf);
    printf("  %-15s %" PRId64 ".%09" PRId64 " s\n", "duration",
           span / 1000000000, span % 1000000000);
    if (t->backward == 0)
        print_line("order", "by time");
    else
        printf("  %-15s %" PRIu64 " packets earlier than the one before\n",
               "order", t->backward);
}

static void print_linktypes(const struct tally *t)
{
    printf("  %-15s", "link types");
    for (unsigned i = 0; i < t->linktypes; i++)
        printf("%s %u", i > 0 ? "," : "", t->linktype[i]);
    printf("%s\n", t->linktypes == 0 ? " none" : "");
}

static void print_table(const struct info *info, enum at_status st)
{
    const struct at_trace_info *trace = info->trace;
    const struct tally *t = &info->total;

    printf("%s\n  %-15s %s, %s\n", trace->name, "format",
           at_format_name(trace->format),
           trace->codec == AT_CODEC_NONE ? "not compressed"
                                         : at_codec_name(trace->codec));
    print_linktypes(t);
    print_number("packets", t->packets);
    print_number("captured bytes", t->captured_bytes);
    print_number("wire bytes", t->wire_bytes);
    if (t->timed > 0)
        print_times(info);
    if (streams_of(t) > 1)
        print_number("interfaces", streams_of(t));
    if (t->lost > 0)
        print_number("lost", t->lost);
    if (t->meta > 0)
        print_number(trace->format == AT_FORMAT_PCAPNG ? "other blocks"
                                                       : "META records",
                     t->meta);
    if (t->pad > 0)
        print_number("PAD records", t->pad);
    if (st < 0)
        print_line("state", st == AT_ERR_TRUNCATED ? "cut short" : "damaged");
}

static void print_result(struct info *info, enum at_status st)
{
    if (info->common.json) {
        print_json(info, st);
    } else if (info->count_only) {
        printf("%" PRIu64 "\t%s\n", info->total.packets, info->trace->name);
    } else {
        if (!info->first_record)
            putchar('\n');
        print_table(info, st);
    }
    info->first_record = false;
}

static int info_file(struct info *info, const char *path)
{
    const struct at_run run = {
        .slot_bytes = sizeof(struct tally),
        .ctx = info,
        .work = info_work,
        .report = info_report,
    };
    struct at_reader_options opts = info->reading;
    struct at_reader *rd;
    struct at_error err;
    enum at_status st;

    opts.size = sizeof(opts);
    opts.pool = info->pool;
    if (at_indexed_open(&rd, path, &opts, &err) != AT_OK)
        return tool_error(&err);
    info->trace = at_reader_info(rd);
    memset(&info->total, 0, sizeof(info->total));
    st = at_run(rd, info->pool, &run, &err);
    tool_progress_end(&info->progress);
    if (!tool_stopped())
        print_result(info, st);
    if (st < 0)
        tool_error(&err);
    at_reader_close(rd);
    return st < 0 ? TOOL_FAIL : TOOL_OK;
}

int main(int argc, char *argv[])
{
    struct info info = {.first_record = true};
    const struct tool_option options[] = {
        TOOL_FLAG('c', "count", &info.count_only, "print packet counts only"),
        TOOL_INPUT(&info.reading),
        TOOL_COMMON_BUT(&info.common, TOOL_NO_STRICT | TOOL_NO_SALVAGE),
        TOOL_END,
    };
    struct at_error err;
    int status = TOOL_OK;
    int i = tool_parse(argc, argv, "[-c] [--json] [-j threads] file ...",
                       options);

    if (i == argc)
        tool_usage_error("no file is named");
    if (at_pool_open(&info.pool, tool_threads(&info.common), &err) != AT_OK)
        return tool_finish(tool_error(&err));
    tool_progress_start(&info.progress, &info.common);
    for (; i < argc && !tool_stopped(); i++)
        if (info_file(&info, argv[i]) != TOOL_OK)
            status = TOOL_FAIL; /* go on: the other files may be fine */
    at_pool_close(info.pool);
    return tool_finish(status);
}
