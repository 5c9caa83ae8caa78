/*
 * tool_sources.c - several inputs read as one trace
 *
 * A trace set of the library, whose inputs are opened by the access points in
 * their indexes, and whose troubles are said as they come.
 */
#include <errno.h>
#include <glob.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "catalog.h"
#include "opening.h"
#include "tool.h"

bool tool_selection_given(const struct tool_selection *s)
{
    return (s->filter != NULL && *s->filter != '\0') || s->from != NULL ||
           s->to != NULL || s->count != UINT64_MAX;
}

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

/* ---- names ----------------------------------------------------------- */

bool tool_take(void *ctx, const char *path, const struct stat *st)
{
    (void)ctx;
    return !S_ISDIR(st->st_mode) || !at_archive_is(path);
}

static bool is_whole(void *ctx, const char *path)
{
    (void)ctx;
    return at_archive_is(path);
}

static int add_inputs(struct at_paths *paths, char *word[], size_t n)
{
    struct at_error err;

    for (size_t i = 0; i < n; i++)
        if (at_paths_add(paths, word[i], &err) != AT_OK)
            return tool_error(&err);
    if (paths->n == 0 && n > 0) {
        tool_warn("%s: no file is in it", word[0]);
        return TOOL_FAIL;
    }
    return TOOL_OK;
}

int tool_inputs(struct at_paths *paths, char *word[], size_t n)
{
    int status;

    paths->take = tool_take;
    paths->whole = is_whole;
    status = add_inputs(paths, word, n);
    for (size_t i = 0; i < paths->n && status == TOOL_OK; i++)
        if (at_archive_is(paths->path[i])) {
            tool_warn("%s: is an archive, which at-query reads",
                      paths->path[i]);
            status = TOOL_FAIL;
        }
    return status;
}

int tool_inputs_asked(struct at_paths *paths, char *word[], size_t n)
{
    paths->whole = is_whole;
    return add_inputs(paths, word, n);
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

    for (size_t i = 0; i < s->paths.n; i++) {
        const char *path = s->paths.path[i];

        if (!find_file(path, STDIN_FILENO, &in)) {
            if (s->reading.salvage)
                continue; /* the set goes on without it */
            tool_warn("%s: cannot open: %s", path, strerror(errno));
            return TOOL_FAIL;
        }
        if (exists && S_ISREG(in.st_mode) && in.st_dev == target.st_dev &&
            in.st_ino == target.st_ino) {
            tool_warn("%s: is both input and output", path);
            return TOOL_FAIL;
        }
    }
    return TOOL_OK;
}

/* As many files as the system lets us have open. */
static void allow_files(size_t n)
{
    enum { OTHERS = 64 };
    struct rlimit most;

    if (n > OTHERS && getrlimit(RLIMIT_NOFILE, &most) == 0 &&
        most.rlim_cur < n + OTHERS) {
        most.rlim_cur = most.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &most);
    }
}

int tool_sources_set(struct tool_sources *s, char *word[], size_t n,
                     const char *out)
{
    const int status = tool_inputs(&s->paths, word, n);

    allow_files(s->paths.n);
    return status == TOOL_OK ? check_files(s, out) : status;
}

static bool names_inputs(const char *word)
{
    glob_t found;
    bool some;

    if (strcmp(word, "-") == 0 || word[0] == '@' || access(word, F_OK) == 0)
        return true;
    some = strpbrk(word, "*?[") != NULL && glob(word, 0, NULL, &found) == 0;
    if (some)
        globfree(&found);
    return some;
}

int tool_first_expression(int argc, char *argv[], int i, bool all)
{
    const int first = i;

    while (i < argc && (i == first || all || names_inputs(argv[i])))
        i++;
    return i;
}

/* ---- reading --------------------------------------------------------- */

static enum at_status open_input(void *ctx, struct at_reader **rd,
                                 const char *path,
                                 const struct at_reader_options *opts,
                                 struct at_error *err)
{
    (void)ctx;
    return at_indexed_open(rd, path, opts, err);
}

static void input_ended(void *ctx, size_t i, const struct at_reader *rd,
                        const struct at_error *err)
{
    struct tool_sources *s = ctx;
    const struct at_hole *hole;
    struct at_salvaged total;
    size_t n;

    (void)i;
    if (err != NULL) {
        tool_error(err);
        s->damaged = true;
    }
    if (rd == NULL || !s->reading.salvage)
        return;
    hole = at_reader_holes(rd, &n, &total);
    tool_holes(at_reader_info(rd)->name, hole, n, &total);
    s->salvaged.holes += total.holes;
    s->salvaged.bytes += total.bytes;
    s->damaged = s->damaged || total.holes > 0;
}

enum at_status tool_sources_open(struct tool_sources *s, struct at_error *err)
{
    const struct at_traces_options opts = {
        .size = sizeof(opts),
        .pool = s->pool,
        .wanted = &s->wanted,
        .reading = s->reading,
        .sequence = s->sequence,
        .window_ns = s->window_ns,
        .limit = s->limit,
        .go_on = s->reading.salvage ? AT_GO_ON_ALWAYS : AT_GO_ON_DAMAGED,
        .ctx = s,
        .open = open_input,
        .ended = input_ended,
    };

    return at_traces_open(&s->traces, s->paths.path, s->paths.n, &opts, err);
}

void tool_sources_progress(const struct tool_sources *s,
                           struct tool_progress *p, uint64_t packets)
{
    if (p->on)
        tool_progress_update(p, at_traces_position(s->traces),
                             at_traces_bytes(s->traces), packets);
}

uint64_t tool_sources_dropped(const struct tool_sources *s)
{
    uint64_t n = 0;

    for (size_t i = 0; s->traces != NULL && i < s->paths.n; i++)
        n += at_traces_count(s->traces, i)->dropped;
    return n;
}

void tool_sources_close(struct tool_sources *s)
{
    at_traces_close(s->traces);
    s->traces = NULL;
    at_paths_close(&s->paths);
}
