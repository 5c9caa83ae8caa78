/*
 * at-info - what a capture file holds
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "json.h"
#include "opening.h"
#include "survey.h"
#include "tool.h"

enum { ESTIMATES = 4 };

/* Codecs whose size --deep estimates. */
static const enum at_codec estimated[ESTIMATES] = {AT_CODEC_BGZF, AT_CODEC_ZSTD,
                                                   AT_CODEC_XZ, AT_CODEC_LZ4};

/* What a batch was found to hold; the slot of a run. */
struct found {
    struct at_survey survey;
    uint64_t sample_bytes; /* of what was compressed to see what it gains */
    uint64_t packed[ESTIMATES];
};

struct info {
    struct tool_common common;
    bool count_only;
    bool deep;
    struct at_reader_options reading;
    struct at_pool *pool;
    struct tool_progress progress;
    const struct at_trace_info *trace;
    struct found total;
    struct at_salvaged skipped; /* with --salvage */
    uint64_t bytes_read;
    bool first_record; /* of the output: no empty line before it */
};

/* Blocks in a sample, and how many times as many lie between two samples. */
enum { SAMPLE_BLOCKS = 16, SAMPLE_EVERY = 32 };

static bool is_sample(const struct at_batch *batch)
{
    return batch->first_block / SAMPLE_BLOCKS % SAMPLE_EVERY == 0;
}

/* The blocks of a batch lie one after the other. */
static enum at_status take_sample(struct found *f, const struct at_batch *batch,
                                  struct at_error *err)
{
    const uint8_t *p = batch->block[0].data;
    const struct at_block *last = &batch->block[batch->blocks - 1];
    const size_t n = (size_t)(last->data + last->place.bytes - p);
    enum at_status st = AT_OK;

    f->sample_bytes = n;
    for (size_t i = 0; i < ESTIMATES && st == AT_OK; i++)
        st = at_codec_measure(estimated[i], 0, p, n, &f->packed[i], err);
    return st;
}

static enum at_status info_work(void *ctx, void *slot,
                                const struct at_batch *batch,
                                struct at_error *err)
{
    const struct info *info = ctx;
    struct found *f = slot;

    memset(f, 0, sizeof(*f));
    if (info->count_only)
        f->survey.packets = at_batch_packets(batch);
    else
        at_survey_batch(&f->survey, batch, info->deep);
    return info->deep && is_sample(batch) ? take_sample(f, batch, err) : AT_OK;
}

static enum at_status info_report(void *ctx, void *slot,
                                  const struct at_batch *batch,
                                  struct at_error *err)
{
    struct info *info = ctx;
    struct found *total = &info->total, *f = slot;
    const struct at_place *place = &batch->block[batch->blocks - 1].place;

    (void)err;
    at_survey_join(&total->survey, &f->survey);
    total->sample_bytes += f->sample_bytes;
    for (size_t i = 0; i < ESTIMATES; i++)
        total->packed[i] += f->packed[i];
    info->bytes_read = place->file_offset + place->file_bytes;
    tool_progress_update(&info->progress, info->bytes_read,
                         info->trace->file_bytes, total->survey.packets);
    return tool_stopped() ? AT_END : AT_OK;
}

/* What all of the trace would take, by the samples. */
static uint64_t estimate(const struct found *f, size_t i)
{
    return (uint64_t)((double)f->packed[i] / (double)f->sample_bytes *
                      (double)f->survey.raw_bytes);
}

/* ---- output: JSON ---------------------------------------------------- */

static unsigned streams_of(const struct at_survey *s)
{
    return s->interfaces;
}

static void json_number(const char *key, uint64_t n)
{
    printf(",\"%s\":%" PRIu64, key, n);
}

static void json_flag(const char *key, bool flag)
{
    printf(",\"%s\":%s", key, flag ? "true" : "false");
}

/* A time, or null where no packet has one. */
static void json_time(const char *key, const struct at_survey_times *t,
                      uint64_t ts)
{
    if (t->packets == 0)
        printf(",\"%s\":null", key);
    else
        printf(",\"%s\":\"%" PRId64 "\"", key, at_ts_to_ns(ts));
}

static void json_order(const struct at_survey_times *t)
{
    json_number("backward", t->backward);
    json_number("backward_ns", (uint64_t)at_ts_to_ns(t->back_most));
    json_number("gap_ns", (uint64_t)at_ts_to_ns(t->gap_most));
    if (t->gap_most > 0)
        json_time("gap_end", t, t->gap_end);
}

static void json_interfaces(const struct at_survey *s)
{
    printf(",\"interfaces\":[");
    for (unsigned i = 0; i < s->interfaces; i++) {
        const struct at_survey_interface *f = &s->interface[i];

        printf("%s{\"number\":%" PRIu32 ",\"name\":", i > 0 ? "," : "",
               f->number);
        at_json_text(stdout, f->name);
        json_number("packets", f->packets);
        json_number("captured_bytes", f->captured_bytes);
        json_number("wire_bytes", f->wire_bytes);
        json_number("losses", f->lost);
        json_number("in", f->in);
        json_number("out", f->out);
        json_time("first", &f->times, f->times.first);
        json_time("last", &f->times, f->times.last);
        json_order(&f->times);
        printf("}");
    }
    printf("]");
}

static void json_deep(const struct found *f)
{
    json_number("duplicates", f->survey.duplicates);
    for (size_t i = 0; i < ESTIMATES && f->sample_bytes > 0; i++) {
        char key[32];

        snprintf(key, sizeof(key), "estimated_%s", at_codec_name(estimated[i]));
        json_number(key, estimate(f, i));
    }
}

static void print_json(const struct info *info, enum at_status st)
{
    const struct at_trace_info *trace = info->trace;
    const struct at_survey *s = &info->total.survey;

    printf("{\"file\":");
    at_json_text(stdout, trace->name);
    printf(",\"format\":\"%s\",\"codec\":\"%s\",\"linktypes\":[",
           at_format_name(trace->format), at_codec_name(trace->codec));
    for (unsigned i = 0; i < s->linktypes; i++)
        printf("%s%u", i > 0 ? "," : "", s->linktype[i]);
    printf("]");
    if (trace->fcs.known)
        json_number("fcs_bits", trace->fcs.bits);
    json_number("packets", s->packets);
    json_number("captured_bytes", s->captured_bytes);
    json_number("wire_bytes", s->wire_bytes);
    json_time("first", &s->times, s->times.first);
    json_time("last", &s->times, s->times.last);
    json_flag("in_order", s->times.backward == 0);
    json_flag("truncated", st == AT_ERR_TRUNCATED);
    json_flag("damaged",
              (st < 0 && st != AT_ERR_TRUNCATED) || info->skipped.holes > 0);
    json_number("skipped_bytes", info->skipped.bytes);
    json_number("losses", s->lost);
    json_number("streams", streams_of(s));
    json_number("meta_records", s->meta);
    json_number("pad_records", s->pad);
    json_number("snapped_packets", s->cut);
    json_number("overlong_packets", s->over);
    json_order(&s->times);
    json_number("file_bytes", trace->file_bytes);
    json_number("decoded_bytes", s->raw_bytes);
    json_number("blocks", s->blocks);
    json_flag("random_access", trace->random_access);
    json_interfaces(s);
    if (info->deep)
        json_deep(&info->total);
    printf("}\n");
}

/* ---- output: a table ------------------------------------------------- */

static void print_line(const char *name, const char *value)
{
    printf("  %-15s %s\n", name, value);
}

static void print_number(const char *name, uint64_t n)
{
    char buf[TOOL_NUMBER_TEXT];

    print_line(name, tool_format_grouped(buf, n));
}

static void print_some(const char *name, uint64_t n)
{
    if (n > 0)
        print_number(name, n);
}

enum { SECONDS_TEXT = 32 };

/* A distance of 32.32 in seconds. */
static const char *seconds_text(char *buf, uint64_t ts)
{
    const int64_t ns = at_ts_to_ns(ts);

    snprintf(buf, SECONDS_TEXT, "%" PRId64 ".%09" PRId64 " s", ns / 1000000000,
             ns % 1000000000);
    return buf;
}

static void print_order(const struct info *info,
                        const struct at_survey_times *t)
{
    char seconds[SECONDS_TEXT], time[AT_TIME_TEXT], n[TOOL_NUMBER_TEXT];

    if (t->backward == 0)
        print_line("order", "by time");
    else
        printf("  %-15s %s packet%s earlier than the one before, by up to %s\n",
               "order", tool_format_grouped(n, t->backward),
               t->backward == 1 ? "" : "s",
               seconds_text(seconds, t->back_most));
    if (t->gap_most == 0)
        return;
    at_time_format(time, at_ts_to_ns(t->gap_end), info->common.local);
    printf("  %-15s %s before %s\n", "longest gap",
           seconds_text(seconds, t->gap_most), time);
}

static void print_times(const struct info *info)
{
    const struct at_survey_times *t = &info->total.survey.times;
    char buf[AT_TIME_TEXT], seconds[SECONDS_TEXT];

    at_time_format(buf, at_ts_to_ns(t->first), info->common.local);
    print_line("first", buf);
    at_time_format(buf, at_ts_to_ns(t->last), info->common.local);
    print_line("last", buf);
    print_line("duration", seconds_text(seconds, t->last - t->first));
    print_order(info, t);
}

static void print_linktypes(const struct at_survey *s)
{
    printf("  %-15s", "link types");
    for (unsigned i = 0; i < s->linktypes; i++)
        printf("%s %u", i > 0 ? "," : "", s->linktype[i]);
    printf("%s\n", s->linktypes == 0 ? " none" : "");
}

/* How the file is built: what decoding it took, and whether it must be read
 * from its beginning. */
static void print_blocks(const struct info *info)
{
    const struct at_trace_info *trace = info->trace;
    const struct at_survey *s = &info->total.survey;
    char n[TOOL_NUMBER_TEXT], bytes[TOOL_NUMBER_TEXT];

    if (s->blocks == 0)
        return;
    printf("  %-15s %s of %s on average, %s\n", "blocks",
           tool_format_grouped(n, s->blocks),
           tool_format_bytes(bytes, s->raw_bytes / s->blocks),
           trace->random_access ? "each can be read alone"
                                : "read one after the other");
    if (trace->codec != AT_CODEC_NONE && trace->file_bytes > 0)
        printf("  %-15s %s, %.1f %% of what it decodes to\n", "file bytes",
               tool_format_grouped(n, trace->file_bytes),
               100.0 * (double)trace->file_bytes / (double)s->raw_bytes);
}

static void print_interface(const struct at_survey_interface *f)
{
    char name[AT_SURVEY_NAME + 16], packets[TOOL_NUMBER_TEXT];
    char bytes[TOOL_NUMBER_TEXT], lost[TOOL_NUMBER_TEXT];
    char back[TOOL_NUMBER_TEXT], gap[SECONDS_TEXT];

    snprintf(name, sizeof(name), "%" PRIu32 "%s%s", f->number,
             f->name[0] != '\0' ? " " : "", f->name);
    for (char *p = name; *p != '\0'; p++)
        if ((unsigned char)*p < ' ' || *p == 0x7f)
            *p = '?';
    printf("  %-15s %13s %15s %9s %9s %22s\n", name,
           tool_format_grouped(packets, f->packets),
           tool_format_grouped(bytes, f->captured_bytes),
           tool_format_grouped(lost, f->lost),
           tool_format_grouped(back, f->times.backward),
           seconds_text(gap, f->times.gap_most));
}

static void print_interfaces(const struct at_survey *s)
{
    if (s->interfaces < 2 &&
        (s->interfaces == 0 || s->interface[0].name[0] == '\0'))
        return;
    printf("  %-15s %13s %15s %9s %9s %22s\n", "interface", "packets",
           "captured bytes", "lost", "backward", "longest gap");
    for (unsigned i = 0; i < s->interfaces; i++)
        print_interface(&s->interface[i]);
    print_some("on others", s->elsewhere);
}

static void print_deep(const struct found *f)
{
    char n[TOOL_NUMBER_TEXT], name[16];

    print_number("duplicates", f->survey.duplicates);
    for (size_t i = 0; i < ESTIMATES && f->sample_bytes > 0; i++) {
        snprintf(name, sizeof(name), "as %s", at_codec_name(estimated[i]));
        printf("  %-15s about %s, %.1f %%\n", name,
               tool_format_bytes(n, estimate(f, i)),
               100.0 * (double)f->packed[i] / (double)f->sample_bytes);
    }
}

static void print_table(const struct info *info, enum at_status st)
{
    const struct at_trace_info *trace = info->trace;
    const struct at_survey *s = &info->total.survey;

    printf("%s\n  %-15s %s, %s\n", trace->name, "format",
           at_format_name(trace->format),
           trace->codec == AT_CODEC_NONE ? "not compressed"
                                         : at_codec_name(trace->codec));
    print_linktypes(s);
    if (trace->fcs.known)
        print_number("FCS bits", trace->fcs.bits);
    print_number("packets", s->packets);
    print_number("captured bytes", s->captured_bytes);
    print_number("wire bytes", s->wire_bytes);
    if (s->times.packets > 0)
        print_times(info);
    print_some("snapped", s->cut);
    print_some("overlong", s->over);
    print_some("lost", s->lost);
    print_some(trace->format == AT_FORMAT_PCAPNG ? "other blocks"
                                                 : "META records",
               s->meta);
    print_some("PAD records", s->pad);
    print_blocks(info);
    print_interfaces(s);
    if (info->deep)
        print_deep(&info->total);
    print_some("skipped bytes", info->skipped.bytes);
    if (st < 0 || info->skipped.holes > 0)
        print_line("state", st == AT_ERR_TRUNCATED ? "cut short" : "damaged");
}

static void print_result(struct info *info, enum at_status st)
{
    if (info->common.json) {
        print_json(info, st);
    } else if (info->count_only) {
        printf("%" PRIu64 "\t%s\n", info->total.survey.packets,
               info->trace->name);
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
        .slot_bytes = sizeof(struct found),
        .ctx = info,
        .work = info_work,
        .report = info_report,
    };
    struct at_reader_options opts = info->reading;
    const struct at_hole *hole;
    size_t holes;
    struct at_reader *rd;
    struct at_error err;
    enum at_status st;

    opts.size = sizeof(opts);
    opts.pool = info->pool;
    opts.salvage = info->common.salvage;
    if (at_indexed_open(&rd, path, &opts, &err) != AT_OK)
        return tool_error(&err);
    info->trace = at_reader_info(rd);
    memset(&info->total, 0, sizeof(info->total));
    st = at_run(rd, info->pool, &run, &err);
    tool_progress_end(&info->progress);
    hole = at_reader_holes(rd, &holes, &info->skipped);
    tool_holes(info->trace->name, hole, holes, &info->skipped);
    if (!tool_stopped())
        print_result(info, st);
    if (st < 0)
        tool_error(&err);
    at_reader_close(rd);
    return st < 0 || info->skipped.holes > 0 ? TOOL_FAIL : TOOL_OK;
}

int main(int argc, char *argv[])
{
    struct info info = {.first_record = true};
    const struct tool_option options[] = {
        TOOL_FLAG('c', "count", &info.count_only, "print packet counts only"),
        TOOL_FLAG(0, "deep", &info.deep,
                  "look for duplicates, and estimate other compressions"),
        TOOL_INPUT(&info.reading),
        TOOL_COMMON_BUT(&info.common, TOOL_NO_STRICT),
        TOOL_END,
    };
    struct at_paths paths = {.n = 0};
    struct at_error err;
    int status;
    int i = tool_parse(argc, argv,
                       "[-c] [--deep] [--json] [-j threads] file ...", options);

    if (i == argc)
        tool_usage_error("no file is named");
    info.count_only = info.count_only && !info.common.json;
    if (at_pool_open(&info.pool, tool_threads(&info.common), &err) != AT_OK)
        return tool_finish(tool_error(&err));
    tool_progress_start(&info.progress, &info.common);
    status = tool_inputs(&paths, argv + i, (size_t)(argc - i));
    for (size_t k = 0; k < paths.n && !tool_stopped(); k++)
        if (info_file(&info, paths.path[k]) != TOOL_OK)
            status = TOOL_FAIL; /* go on: the other files may be fine */
    at_paths_close(&paths);
    at_pool_close(info.pool);
    return tool_finish(status);
}
