/*
 * at-convert - change the format or the compression of traces, filter, cut
 *
 * Every input is asked for its wanted packets by at_pick, which looks for
 * them with all threads; at_merge puts the inputs in the order of time, and
 * one writer takes what comes.
 *
 * Which records go through: without a selection all of them, so that ERF to
 * ERF changes no byte.  With one, META records still do where the output is
 * ERF, those of any time: they say what the interfaces of the packets are,
 * and there are few.  PAD records, which say nothing, do not.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tool.h"

enum {
    CHECK_EVERY = 1024, /* packets between looks at signals and the clock */
};

/* One input; closed while 'rd' is NULL. */
struct source {
    struct convert *convert;
    const char *path;
    struct at_reader *rd;
    struct at_pick *pick;
};

struct convert {
    struct tool_common common;
    struct tool_selection selection;
    const char *format; /* as typed, or NULL: the name of the output says */
    const char *codec;
    bool sequence;
    const char *out;

    struct at_selection wanted;
    struct source *source;
    size_t sources;
    size_t now; /* with 'sequence': the source to read */
    struct at_merge *merge;
    uint16_t linktype;    /* of the first input */
    uint64_t total_bytes; /* of the inputs; 0: not known */
    uint64_t closed_bytes;
    uint64_t picked; /* packets so far */
    bool damaged;    /* an input has given an error, which was said */

    struct at_writer_options opts;
    struct at_writer *writer; /* NULL until a packet tells the link type */
    uint64_t early;           /* META and PAD records before that */
    struct tool_progress progress;
    struct tool_summary summary;
};

/* ---- options --------------------------------------------------------- */

static bool is_selecting(const struct tool_selection *s)
{
    return (s->filter != NULL && *s->filter != '\0') || s->from != NULL ||
           s->to != NULL || s->count != UINT64_MAX;
}

/* ---- sources --------------------------------------------------------- */

static enum at_status open_source(struct source *s, struct at_error *err)
{
    struct convert *c = s->convert;
    const struct at_reader_options opts = {
        .size = sizeof(opts),
        .pool = c->opts.pool,
    };
    enum at_status st = at_reader_open(&s->rd, s->path, &opts, err);

    if (st == AT_OK)
        st = at_pick_open(&s->pick, s->rd, c->opts.pool, &c->wanted, err);
    if (st == AT_OK && s == c->source) {
        c->linktype = at_reader_info(s->rd)->linktype;
        if (c->sources == 1)
            c->opts.snap_bytes = at_reader_info(s->rd)->snap_bytes;
    }
    return st;
}

static void close_source(struct source *s)
{
    if (s->rd != NULL)
        s->convert->closed_bytes += at_reader_position(s->rd);
    at_pick_close(s->pick);
    at_reader_close(s->rd);
    s->pick = NULL;
    s->rd = NULL;
}

/* What is wrong with the bytes of one input ends that input, not the run. */
static enum at_status source_next(void *ctx, struct at_packet *pkt,
                                  struct at_error *err)
{
    struct source *s = ctx;
    const enum at_status st = at_pick_next(s->pick, pkt, err);

    if (st != AT_ERR_CORRUPT && st != AT_ERR_TRUNCATED && st != AT_ERR_SYSTEM)
        return st;
    tool_error(err);
    s->convert->damaged = true;
    return AT_END;
}

static enum at_status sequence_next(struct convert *c, struct at_packet *pkt,
                                    struct at_error *err)
{
    while (c->now < c->sources) {
        struct source *s = &c->source[c->now];
        enum at_status st = s->rd == NULL ? open_source(s, err) : AT_OK;

        if (st == AT_OK)
            st = source_next(s, pkt, err);
        if (st != AT_END)
            return st;
        close_source(s);
        c->now++;
    }
    return AT_END;
}

static enum at_status open_merge(struct convert *c, struct at_error *err)
{
    struct at_merge_source *from = calloc(c->sources, sizeof(*from));
    enum at_status st = AT_OK;

    if (from == NULL)
        return at_error_set(err, AT_ERR_MEMORY, "out of memory");
    for (size_t i = 0; i < c->sources && st == AT_OK; i++) {
        from[i] = (struct at_merge_source){&c->source[i], source_next};
        st = open_source(&c->source[i], err);
    }
    if (st == AT_OK)
        st = at_merge_open(&c->merge, from, c->sources, err);
    free(from);
    return st;
}

static enum at_status next_packet(struct convert *c, struct at_packet *pkt,
                                  struct at_error *err)
{
    if (c->sequence)
        return sequence_next(c, pkt, err);
    return at_merge_next(c->merge, pkt, NULL, err);
}

/* ---- output ---------------------------------------------------------- */

/* A pcap file has one link type: that of the first packet. */
static uint16_t linktype_of_file(const struct convert *c,
                                 const struct at_packet *pkt)
{
    const uint16_t linktype = pkt != NULL ? pkt->linktype : c->linktype;

    /* Raw IP of either version is two types in ERF; one pcap can have both. */
    if ((pkt == NULL || pkt->format == AT_FORMAT_ERF) &&
        (linktype == AT_LINK_IPV4 || linktype == AT_LINK_IPV6))
        return AT_LINK_RAW;
    if (pkt == NULL && linktype == AT_LINK_ERF)
        return AT_LINK_ETHERNET;
    return linktype;
}

static enum at_status write_record(struct convert *c,
                                   const struct at_packet *pkt,
                                   struct at_error *err)
{
    const uint64_t left_out = at_writer_losses(c->writer)->linktypes;
    const enum at_status st = at_writer_put(c->writer, pkt);

    if (st != AT_OK)
        *err = *at_writer_error(c->writer);
    if (pkt->kind == AT_KIND_PACKET &&
        at_writer_losses(c->writer)->linktypes == left_out) {
        c->summary.packets++;
        c->summary.bytes += pkt->cap_bytes;
    }
    return st;
}

/* 'pkt' is the first packet; NULL if there is none. */
static enum at_status open_writer(struct convert *c,
                                  const struct at_packet *pkt,
                                  struct at_error *err)
{
    const struct at_packet record = {.kind = AT_KIND_META};
    enum at_status st;

    c->opts.linktype = linktype_of_file(c, pkt);
    st = at_writer_open(&c->writer, c->out, &c->opts, err);
    for (; st == AT_OK && c->early > 0; c->early--)
        st = write_record(c, &record, err); /* is counted, no more */
    return st;
}

static enum at_status put_packet(struct convert *c, const struct at_packet *pkt,
                                 struct at_error *err)
{
    enum at_status st = AT_OK;

    if (pkt->kind == AT_KIND_PAD && is_selecting(&c->selection))
        return AT_OK;
    if (c->writer == NULL && c->opts.format != AT_FORMAT_ERF &&
        pkt->kind != AT_KIND_PACKET) {
        c->early++;
        return AT_OK;
    }
    c->picked += pkt->kind == AT_KIND_PACKET;
    if (c->writer == NULL)
        st = open_writer(c, pkt, err);
    return st == AT_OK ? write_record(c, pkt, err) : st;
}

/* ---- the run --------------------------------------------------------- */

static void show_progress(struct convert *c)
{
    uint64_t done = c->closed_bytes;

    if (!c->progress.on)
        return;
    for (size_t i = 0; i < c->sources; i++)
        if (c->source[i].rd != NULL)
            done += at_reader_position(c->source[i].rd);
    tool_progress_update(&c->progress, done, c->total_bytes,
                         c->summary.packets);
}

/* AT_END when all is written, AT_OK when a signal came before that. */
static enum at_status copy_packets(struct convert *c, struct at_error *err)
{
    struct at_packet pkt;
    enum at_status st = AT_OK;

    for (unsigned n = 0; c->picked < c->selection.count; n++) {
        if (n % CHECK_EVERY == 0) {
            show_progress(c);
            if (tool_stopped())
                return AT_OK;
        }
        st = next_packet(c, &pkt, err);
        if (st == AT_OK)
            st = put_packet(c, &pkt, err);
        if (st != AT_OK)
            return st;
    }
    return AT_END;
}

static enum at_status copy_all(struct convert *c, struct at_error *err)
{
    enum at_status st = c->sequence ? AT_OK : open_merge(c, err);

    if (st == AT_OK)
        st = copy_packets(c, err);
    if (st == AT_END && c->writer == NULL) {
        st = open_writer(c, NULL, err);
        return st == AT_OK ? AT_END : st;
    }
    return st;
}

/* Gives the output its name; only now does it exist. */
static int finish_output(struct convert *c)
{
    const char *name = strcmp(c->out, "-") == 0 ? "standard output" : c->out;
    const struct at_losses *losses = at_writer_losses(c->writer);
    const int status = tool_losses(name, c->opts.format, losses);

    if (losses->linktypes > 0 && c->summary.packets == 0)
        return TOOL_FAIL; /* there is nothing in it */
    if (at_writer_commit(c->writer) != AT_OK)
        return tool_error(at_writer_error(c->writer));
    tool_summary_print(&c->summary);
    return c->damaged ? TOOL_FAIL : status;
}

static int convert(struct convert *c)
{
    struct at_error err;
    enum at_status st;

    tool_summary_start(&c->summary);
    tool_progress_start(&c->progress, &c->common);
    st = copy_all(c, &err);
    tool_progress_end(&c->progress);
    if (st < 0)
        return tool_error(&err);
    return st == AT_OK || tool_stopped() ? TOOL_FAIL : finish_output(c);
}

/* ---- before and after ------------------------------------------------ */

static bool find_file(const char *path, int standard, struct stat *st)
{
    return strcmp(path, "-") == 0 ? fstat(standard, st) == 0
                                  : stat(path, st) == 0;
}

/*
 * What can be known to be wrong before anything is read: an input that is
 * missing, or that is the output too.
 */
static int check_files(struct convert *c)
{
    struct stat in, out;
    const bool exists = find_file(c->out, STDOUT_FILENO, &out);

    for (size_t i = 0; i < c->sources; i++) {
        const char *path = c->source[i].path;

        if (!find_file(path, STDIN_FILENO, &in)) {
            tool_warn("%s: cannot open: %s", path, strerror(errno));
            return TOOL_FAIL;
        }
        if (exists && S_ISREG(in.st_mode) && in.st_dev == out.st_dev &&
            in.st_ino == out.st_ino) {
            tool_warn("%s: is both input and output", path);
            return TOOL_FAIL;
        }
        c->total_bytes += S_ISREG(in.st_mode) ? (uint64_t)in.st_size : 0;
    }
    return TOOL_OK;
}

static int set_up_selection(struct convert *c)
{
    const struct tool_selection *s = &c->selection;
    struct at_error err;

    c->wanted.from_ns = s->from_ns;
    c->wanted.to_ns = s->to_ns;
    c->wanted.records = c->opts.format == AT_FORMAT_ERF ||
                        !is_selecting(&c->selection);
    if (s->filter != NULL &&
        at_filter_open(&c->wanted.filter, s->filter,
                       s->literal ? AT_FILTER_LITERAL : 0, &err) != AT_OK)
        return tool_error_in(&err, s->filter);
    return TOOL_OK;
}

static int set_up_sources(struct convert *c, char *path[], size_t n)
{
    c->source = calloc(n, sizeof(c->source[0]));
    if (c->source == NULL) {
        tool_warn("out of memory");
        return TOOL_FAIL;
    }
    for (size_t i = 0; i < n; i++)
        c->source[i] = (struct source){.convert = c, .path = path[i]};
    c->sources = n;
    return check_files(c);
}

static void tear_down(struct convert *c)
{
    at_merge_close(c->merge);
    for (size_t i = 0; i < c->sources; i++)
        close_source(&c->source[i]);
    free(c->source);
    at_writer_close(c->writer);
    at_pool_close(c->opts.pool);
    at_filter_close(c->wanted.filter);
}

/* 'operand' are the inputs and the output. */
static int run(struct convert *c, char *operand[], size_t n)
{
    struct at_error err;
    int status;

    c->out = operand[n - 1];
    tool_check_output(c->out);
    tool_output_options(&c->opts, c->format, c->codec);
    if (c->opts.format == AT_FORMAT_UNKNOWN)
        c->opts.format = at_format_by_name(c->out);
    c->opts.strict = c->common.strict;
    status = set_up_selection(c);
    if (status == TOOL_OK)
        status = set_up_sources(c, operand, n - 1);
    if (status == TOOL_OK &&
        at_pool_open(&c->opts.pool, tool_threads(&c->common), &err) != AT_OK)
        status = tool_error(&err);
    return status == TOOL_OK ? convert(c) : status;
}

int main(int argc, char *argv[])
{
    struct convert c = {.opts = {.size = sizeof(c.opts)}};
    const struct tool_option options[] = {
        TOOL_TEXT('F', "output-format", &c.format, "FORMAT",
                  "write erf, pcap or pcap-us (default: by the output's name)"),
        TOOL_TEXT('Z', "compress", &c.codec, "CODEC[:LEVEL]",
                  "compress: none or bgzf, level 1 to 12 (default: by the "
                  "output's name)"),
        TOOL_FLAG(0, "sequence", &c.sequence,
                  "read the inputs one after the other, not by time"),
        TOOL_SELECTION(&c.selection),
        TOOL_COMMON_BUT(&c.common,
                        TOOL_NO_SALVAGE | TOOL_NO_JSON | TOOL_NO_LOCAL),
        TOOL_END,
    };
    const int i = tool_parse(argc, argv,
                             "[selection] [-F format] [-Z codec[:level]] "
                             "[--sequence] input ... output",
                             options);
    int status;

    tool_selection_resolve(&c.selection);
    if (argc - i < 2)
        tool_usage_error(i == argc ? "no file is named" : "no output is named");
    status = run(&c, argv + i, (size_t)(argc - i));
    tear_down(&c);
    return tool_finish(status);
}
