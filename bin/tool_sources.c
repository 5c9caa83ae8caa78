/*
 * tool_sources.c - several inputs read as one trace
 *
 * Every input is asked for its wanted packets by at_pick, which looks for
 * them with all threads; at_merge puts the inputs in the order of time.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "opening.h"
#include "tool.h"

/* One input; closed while 'rd' is NULL. */
struct tool_source {
    struct tool_sources *all;
    const char *path;
    struct at_reader *rd;
    struct at_pick *pick;
};

int tool_selection_compile(struct at_selection *wanted,
                           const struct tool_selection *selection)
{
    struct at_error err;

    wanted->from_ns = selection->from_ns;
    wanted->to_ns = selection->to_ns;
    if (selection->filter != NULL &&
        at_filter_open(&wanted->filter, selection->filter,
                       selection->literal ? AT_FILTER_LITERAL : 0,
                       &err) != AT_OK)
        return tool_error_in(&err, selection->filter);
    return TOOL_OK;
}

/* ---- what can be known before ---------------------------------------- */

static bool find_file(const char *path, int standard, struct stat *st)
{
    return strcmp(path, "-") == 0 ? fstat(standard, st) == 0
                                  : stat(path, st) == 0;
}

static int check_files(struct tool_sources *s, const char *out)
{
    struct stat in, target;
    const bool exists = out != NULL && find_file(out, STDOUT_FILENO, &target);

    for (size_t i = 0; i < s->n; i++) {
        const char *path = s->source[i].path;

        if (!find_file(path, STDIN_FILENO, &in)) {
            tool_warn("%s: cannot open: %s", path, strerror(errno));
            return TOOL_FAIL;
        }
        if (exists && S_ISREG(in.st_mode) && in.st_dev == target.st_dev &&
            in.st_ino == target.st_ino) {
            tool_warn("%s: is both input and output", path);
            return TOOL_FAIL;
        }
        s->total_bytes += S_ISREG(in.st_mode) ? (uint64_t)in.st_size : 0;
    }
    return TOOL_OK;
}

int tool_sources_set(struct tool_sources *s, char *path[], size_t n,
                     const char *out)
{
    s->source = calloc(n, sizeof(s->source[0]));
    if (s->source == NULL) {
        tool_warn("out of memory");
        return TOOL_FAIL;
    }
    for (size_t i = 0; i < n; i++)
        s->source[i] = (struct tool_source){.all = s, .path = path[i]};
    s->n = n;
    return check_files(s, out);
}

/* ---- reading --------------------------------------------------------- */

static enum at_status open_source(struct tool_source *source,
                                  struct at_error *err)
{
    struct tool_sources *s = source->all;
    struct at_reader_options opts = s->reading;
    enum at_status st;

    opts.size = sizeof(opts);
    opts.pool = s->pool;
    st = at_indexed_open(&source->rd, source->path, &opts, err);
    if (st == AT_OK)
        st = at_pick_open(&source->pick, source->rd, s->pool, &s->wanted, err);
    if (st == AT_OK && source == s->source) {
        s->linktype = at_reader_info(source->rd)->linktype;
        /* Another input may have longer packets. */
        if (s->n == 1)
            s->snap_bytes = at_reader_info(source->rd)->snap_bytes;
    }
    return st;
}

/* Says what an input that was salvaged did not give; see tool_sources_next().
 */
static void tell_holes(struct tool_sources *s, const struct tool_source *source)
{
    struct at_salvaged total;

    if (source->rd == NULL || !s->reading.salvage)
        return;
    tool_holes(at_reader_info(source->rd)->name, source->rd, &total);
    s->salvaged.holes += total.holes;
    s->salvaged.bytes += total.bytes;
    s->damaged = s->damaged || total.holes > 0;
}

static void close_source(struct tool_source *source)
{
    if (source->rd != NULL)
        source->all->closed_bytes += at_reader_position(source->rd);
    if (source->pick != NULL)
        source->all->closed_dropped += at_pick_dropped(source->pick);
    at_pick_close(source->pick);
    at_reader_close(source->rd);
    source->pick = NULL;
    source->rd = NULL;
}

static enum at_status source_next(void *ctx, struct at_packet *pkt,
                                  struct at_error *err)
{
    struct tool_source *source = ctx;
    const enum at_status st = at_pick_next(source->pick, pkt, err);

    if (st == AT_END)
        tell_holes(source->all, source);
    if (st != AT_ERR_CORRUPT && st != AT_ERR_TRUNCATED && st != AT_ERR_SYSTEM)
        return st;
    tool_error(err);
    source->all->damaged = true;
    return AT_END;
}

static enum at_status sequence_next(struct tool_sources *s,
                                    struct at_packet *pkt, struct at_error *err)
{
    while (s->now < s->n) {
        struct tool_source *source = &s->source[s->now];
        enum at_status st = source->rd == NULL ? open_source(source, err)
                                               : AT_OK;

        if (st == AT_OK)
            st = source_next(source, pkt, err);
        if (st != AT_END)
            return st;
        close_source(source);
        s->now++;
    }
    return AT_END;
}

enum at_status tool_sources_open(struct tool_sources *s, struct at_error *err)
{
    struct at_merge_source *from;
    enum at_status st = AT_OK;

    if (s->sequence)
        return AT_OK;
    from = calloc(s->n, sizeof(*from));
    if (from == NULL)
        return at_error_set(err, AT_ERR_MEMORY, "out of memory");
    for (size_t i = 0; i < s->n && st == AT_OK; i++) {
        from[i] = (struct at_merge_source){&s->source[i], source_next};
        st = open_source(&s->source[i], err);
    }
    if (st == AT_OK)
        st = at_merge_open(&s->merge, from, s->n, err);
    free(from);
    return st;
}

enum at_status tool_sources_next(struct tool_sources *s, struct at_packet *pkt,
                                 struct at_error *err)
{
    if (s->sequence)
        return sequence_next(s, pkt, err);
    return at_merge_next(s->merge, pkt, &s->now, err);
}

const char *tool_sources_note(const struct tool_sources *s, size_t *n)
{
    return at_pick_note(s->source[s->now].pick, n);
}

uint64_t tool_sources_position(const struct tool_sources *s)
{
    uint64_t done = s->closed_bytes;

    for (size_t i = 0; i < s->n; i++)
        if (s->source[i].rd != NULL)
            done += at_reader_position(s->source[i].rd);
    return done;
}

uint64_t tool_sources_dropped(const struct tool_sources *s)
{
    uint64_t n = s->closed_dropped;

    for (size_t i = 0; i < s->n; i++)
        if (s->source[i].pick != NULL)
            n += at_pick_dropped(s->source[i].pick);
    return n;
}

void tool_sources_close(struct tool_sources *s)
{
    at_merge_close(s->merge);
    for (size_t i = 0; i < s->n; i++)
        close_source(&s->source[i]);
    free(s->source);
    s->source = NULL;
    s->merge = NULL;
    s->n = 0;
}
