/*
 * tool_options.c - the command line, and the help, from one table
 *
 * Not getopt_long(): it keeps its place in globals, takes --s for --salvage
 * today and for nothing once there is a --strict, and cannot say what the
 * user may have meant.
 *
 * The table of a tool is made flat first: TOOL_COMMON, TOOL_SELECTION,
 * TOOL_INPUT and TOOL_PROCESS become the options they stand for.
 */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tool.h"

enum {
    MAX_OPTIONS = 96,
    MAX_NAME = 32,
    MAX_THREADS = 1024,
    COLUMNS = 80,
    HELP_COLUMN = 28, /* of the second column at most */
    MAX_ARGNAME = 30, /* a longer list of choices goes into the help */
    USAGE_BYTES = 4096,
};

struct table {
    struct tool_option option[MAX_OPTIONS];
    size_t n;
    bool stop; /* at the first operand */
    const struct tool_common *common;
};

/* ---- the flat table -------------------------------------------------- */

static const struct tool_option *find_letter(const struct table *t, char c)
{
    for (size_t i = 0; i < t->n; i++)
        if (c != '\0' && t->option[i].letter == c)
            return &t->option[i];
    return NULL;
}

static const struct tool_option *find_name(const struct table *t,
                                           const char *name, size_t len)
{
    for (size_t i = 0; i < t->n; i++) {
        const char *n = t->option[i].name;

        if (n != NULL && strncmp(n, name, len) == 0 && n[len] == '\0')
            return &t->option[i];
    }
    return NULL;
}

static void add(struct table *t, const struct tool_option *o)
{
    /* Mistakes of a tool's author, which its first test shows. */
    assert(t->n < MAX_OPTIONS);
    assert(find_letter(t, o->letter) == NULL);
    assert(o->name == NULL || find_name(t, o->name, strlen(o->name)) == NULL);
    assert(o->name == NULL || strlen(o->name) < MAX_NAME);
    t->option[t->n++] = *o;
}

static void set_threads(void *ctx, const char *arg)
{
    struct tool_common *common = ctx;
    uint64_t n = 0;

    if (at_size_parse(&n, arg, NULL) != AT_OK || n > MAX_THREADS)
        tool_usage_error("option '-j': '%.100s' is not a number of threads, "
                         "0 to %d",
                         arg, MAX_THREADS);
    common->threads = (unsigned)n;
}

static void set_progress(void *ctx, const char *arg)
{
    static const char list[] = "auto|always|never";
    struct tool_common *common = ctx;
    const int choice = arg == NULL ? TOOL_ALWAYS : tool_choice(list, arg);

    if (choice < 0)
        tool_usage_error("option '--progress': '%.100s' is none of %s", arg,
                         list);
    common->progress = (enum tool_when)choice;
}

/* An option that a tool can leave out, and the bit that says so. */
struct line {
    unsigned bit;
    struct tool_option option;
};

static void add_lines(struct table *t, const struct line *line, size_t n,
                      unsigned without)
{
    for (size_t i = 0; i < n; i++)
        if ((line[i].bit & without) == 0)
            add(t, &line[i].option);
}

static void add_common(struct table *t, struct tool_common *c, unsigned without)
{
    const struct line line[] = {
        {0, TOOL_HEADING("Common options:")},
        {TOOL_NO_THREADS,
         TOOL_CALL('j', "threads", set_threads, c, "N",
                   "worker threads (default: one per processor)")},
        {TOOL_NO_JSON,
         TOOL_FLAG(0, "json", &c->json, "print one JSON object a line")},
        {TOOL_NO_LOCAL, TOOL_FLAG(0, "local", &c->local,
                                  "print times of the local time zone")},
        {TOOL_NO_STRICT, TOOL_FLAG(0, "strict", &c->strict,
                                   "a loss of information is an error")},
        {TOOL_NO_SALVAGE,
         TOOL_FLAG(0, "salvage", &c->salvage, "go on after damage")},
        {TOOL_NO_PROGRESS,
         TOOL_CALL_OPTIONAL(0, "progress", set_progress, c, "auto|always|never",
                            "show a progress bar (auto: on a terminal)")},
        {0, TOOL_FLAG('q', "quiet", &c->quiet,
                      "no progress, no summary, no notes")},
        {0, TOOL_FLAG('v', "verbose", &c->verbose, "say more")},
        {0,
         {.kind = TOOL_KIND_HELP,
          .letter = 'h',
          .name = "help",
          .help = "print this help"}},
        {0,
         {.kind = TOOL_KIND_VERSION,
          .letter = 'V',
          .name = "version",
          .help = "print the version"}},
    };

    t->common = c;
    add_lines(t, line, sizeof(line) / sizeof(line[0]), without);
}

static void add_selection(struct table *t, struct tool_selection *s,
                          unsigned without)
{
    const struct line line[] = {
        {0, TOOL_HEADING("Selection of packets:")},
        {TOOL_NO_FILTER, TOOL_TEXT('f', "filter", &s->filter, "EXPR",
                                   "packets that match, see pcap-filter(7)")},
        {TOOL_NO_BPF,
         TOOL_FLAG(0, "bpf", &s->literal,
                   "do not look through VLAN, MPLS and PPPoE headers")},
        {TOOL_NO_RANGE,
         TOOL_TEXT(0, "from", &s->from, "T",
                   "packets at or after this time: 2026-03-01T09:00Z, "
                   "@SECONDS, now, -2h")},
        {TOOL_NO_RANGE, TOOL_TEXT(0, "to", &s->to, "T",
                                  "packets before this time; +15m counts "
                                  "from --from")},
        {TOOL_NO_LIMIT, TOOL_COUNT('n', NULL, &s->count, "COUNT",
                                   "stop after so many matching packets")},
    };

    *s = (struct tool_selection){
        .from_ns = AT_TIME_MIN, .to_ns = AT_TIME_MAX, .count = UINT64_MAX};
    add_lines(t, line, sizeof(line) / sizeof(line[0]), without);
}

static void set_input_format(void *ctx, const char *arg)
{
    struct at_reader_options *reading = ctx;

    reading->format = at_format_parse(arg);
    if (reading->format == AT_FORMAT_UNKNOWN)
        tool_usage_error("option '-I': no format to read is called '%.100s'",
                         arg);
}

static void set_interfaces(void *ctx, const char *arg)
{
    struct at_reader_options *reading = ctx;
    const int choice = tool_choice("4|8", arg);

    if (choice < 0)
        tool_usage_error("option '--erf-interfaces': '%.100s' is none of 4|8",
                         arg);
    reading->erf_interfaces = choice == 0 ? 4 : 8;
}

static void add_input(struct table *t, struct at_reader_options *reading)
{
    const struct tool_option option[] = {
        TOOL_HEADING("Inputs:"),
        TOOL_CALL('I', "input-format", set_input_format, reading, "FORMAT",
                  "read inputs as erf, pcap, tsh, legacyatm, legacypos or "
                  "legacyeth (default: found by content, but for the last "
                  "four)"),
        TOOL_CALL(0, "erf-interfaces", set_interfaces, reading, "4|8",
                  "interfaces that ERF can number: 8 with bit 6 of its flags "
                  "(default 4)"),
    };

    for (size_t i = 0; i < sizeof(option) / sizeof(option[0]); i++)
        add(t, &option[i]);
}

static void add_process(struct table *t, struct tool_process *p)
{
    struct tool_option line[TOOL_PROCESS_LINES];

    tool_process_lines(p, line);
    for (size_t i = 0; i < TOOL_PROCESS_LINES; i++)
        add(t, &line[i]);
}

static void flatten(struct table *t, const struct tool_option *o)
{
    for (; o->kind != TOOL_KIND_END; o++) {
        if (o->kind == TOOL_KIND_COMMON)
            add_common(t, o->value.common, o->without);
        else if (o->kind == TOOL_KIND_SELECTION)
            add_selection(t, o->value.selection, o->without);
        else if (o->kind == TOOL_KIND_INPUT)
            add_input(t, o->value.reading);
        else if (o->kind == TOOL_KIND_PROCESS)
            add_process(t, o->value.process);
        else if (o->kind == TOOL_KIND_STOP)
            t->stop = true;
        else
            add(t, o);
    }
}

/* ---- help ------------------------------------------------------------ */

/* Whether the argument's name is a list too long for the first column. */
static bool has_long_list(const struct tool_option *o)
{
    return o->kind == TOOL_KIND_CHOICE && strlen(o->argname) > MAX_ARGNAME;
}

/* "  -j, --threads N"; returns its length. */
static size_t left_column(char *buf, size_t size, const struct tool_option *o)
{
    const char *arg = has_long_list(o) ? "WORD" : o->argname;
    int n;

    if (o->letter == '\0')
        n = snprintf(buf, size, "      --%s", o->name);
    else if (o->name == NULL)
        n = snprintf(buf, size, "  -%c", o->letter);
    else
        n = snprintf(buf, size, "  -%c, --%s", o->letter, o->name);
    if (arg != NULL)
        snprintf(buf + n, size - (size_t)n, o->optional ? "[=%s]" : " %s", arg);
    return strlen(buf);
}

/*
 * Prints 'text' in the second column, which begins at 'column', the cursor
 * being at '*at'.  A '|' ends a word as a space does, but is shown as ','.
 */
static void print_words(const char *text, size_t column, size_t *at)
{
    while (*text != '\0') {
        const size_t len = strcspn(text, " |");
        const char *comma = text[len] == '|' ? "," : "";

        if (*at > column && *at + 1 + len + strlen(comma) > COLUMNS) {
            putchar('\n');
            *at = 0;
        }
        if (*at < column)
            *at += (size_t)printf("%*s", (int)(column - *at), "");
        else if (*at > column)
            *at += (size_t)printf(" ");
        *at += (size_t)printf("%.*s%s", (int)len, text, comma);
        text += len + (text[len] != '\0' ? 1 : 0);
    }
}

static void print_option(const struct tool_option *o, size_t column)
{
    char left[2 * COLUMNS];
    size_t at = left_column(left, sizeof(left), o);

    fputs(left, stdout);
    if (at + 2 > column) {
        putchar('\n');
        at = 0;
    }
    print_words(o->help, column, &at);
    if (has_long_list(o)) {
        print_words("- one of", column, &at);
        print_words(o->argname, column, &at);
    }
    putchar('\n');
}

static TOOL_NORETURN void print_help(const struct table *t)
{
    char buf[USAGE_BYTES];
    size_t column = 0;

    for (size_t i = 0; i < t->n; i++)
        if (t->option[i].kind != TOOL_KIND_HEADING) {
            const size_t len = left_column(buf, sizeof(buf), &t->option[i]);

            if (len + 2 > column && len + 2 <= HELP_COLUMN)
                column = len + 2;
        }
    tool_usage_text(buf, sizeof(buf));
    fputs(buf, stdout);
    if (t->n > 0 && t->option[0].kind != TOOL_KIND_HEADING)
        putchar('\n');
    for (size_t i = 0; i < t->n; i++)
        if (t->option[i].kind == TOOL_KIND_HEADING)
            printf("\n%s\n", t->option[i].help);
        else
            print_option(&t->option[i], column);
    exit(tool_finish(TOOL_OK));
}

static TOOL_NORETURN void print_version(void)
{
    printf("%s (archive trace toolkit) %s\n", tool_name(), AT_VERSION);
    exit(tool_finish(TOOL_OK));
}

/* ---- what the user may have meant ------------------------------------ */

static size_t least(size_t a, size_t b, size_t c)
{
    const size_t ab = a < b ? a : b;

    return ab < c ? ab : c;
}

/* Letters to change, add or drop to make 'b' of the 'n' letters at 'a'. */
static size_t distance(const char *a, size_t n, const char *b)
{
    const size_t m = strlen(b);
    size_t row[MAX_NAME + 1];

    for (size_t j = 0; j <= m; j++)
        row[j] = j;
    for (size_t i = 1; i <= n; i++) {
        size_t diagonal = row[0];

        row[0] = i;
        for (size_t j = 1; j <= m; j++) {
            const size_t changed = diagonal + (a[i - 1] != b[j - 1] ? 1 : 0);

            diagonal = row[j];
            row[j] = least(row[j] + 1, row[j - 1] + 1, changed);
        }
    }
    return row[m];
}

/* The long name nearest to the 'n' letters, or NULL: of three letters one may
 * be wrong, of four or more two, so that two may have changed places. */
static const char *suggest(const struct table *t, const char *typed, size_t n)
{
    const char *best = NULL;
    size_t best_distance = 3;

    if (n < 2 || n >= MAX_NAME)
        return NULL;
    for (size_t i = 0; i < t->n; i++) {
        const char *name = t->option[i].name;
        size_t d;

        if (name == NULL)
            continue;
        d = strncmp(name, typed, n) == 0 ? 0 : distance(typed, n, name);
        if (d < best_distance && 3 * d <= n + 2) {
            best = name;
            best_distance = d;
        }
    }
    return best;
}

static TOOL_NORETURN void unknown_name(const struct table *t, const char *name,
                                       size_t len)
{
    const char *near = suggest(t, name, len);

    if (near != NULL)
        tool_usage_error("unknown option '--%.*s'; did you mean '--%s'?",
                         (int)len, name, near);
    tool_usage_error("unknown option '--%.*s'", (int)len, name);
}

/* ---- parsing --------------------------------------------------------- */

int tool_choice(const char *list, const char *word)
{
    const size_t len = strlen(word);

    for (int i = 0;; i++) {
        const size_t n = strcspn(list, "|");

        if (n == len && memcmp(list, word, n) == 0)
            return i;
        if (list[n] == '\0')
            return -1;
        list += n + 1;
    }
}

/* 'as' is the option as it was typed. */
static void apply_choice(const struct tool_option *o, const char *as,
                         const char *arg)
{
    const int choice = tool_choice(o->argname, arg);

    if (choice < 0)
        tool_usage_error("option '%s': '%.100s' is none of %s", as, arg,
                         o->argname);
    *o->value.choice = choice;
}

static void apply_number(const struct tool_option *o, const char *as,
                         const char *arg)
{
    struct at_error err;
    enum at_status st;

    if (o->kind == TOOL_KIND_COUNT)
        st = at_size_parse(o->value.count, arg, &err);
    else if (o->kind == TOOL_KIND_DURATION)
        st = at_duration_parse(o->value.ns, arg, &err);
    else
        st = at_time_parse(o->value.ns, arg, at_time_now(), AT_TIME_MIN, &err);
    if (st != AT_OK)
        tool_usage_error("option '%s': %s", as, err.msg);
}

static void apply(const struct table *t, const struct tool_option *o,
                  const char *as, const char *arg)
{
    switch (o->kind) {
    case TOOL_KIND_FLAG:
        *o->value.flag = true;
        break;
    case TOOL_KIND_TEXT:
        *o->value.text = arg;
        break;
    case TOOL_KIND_COUNT:
    case TOOL_KIND_DURATION:
    case TOOL_KIND_TIME:
        apply_number(o, as, arg);
        break;
    case TOOL_KIND_CHOICE:
        apply_choice(o, as, arg);
        break;
    case TOOL_KIND_CALL:
        o->call(o->value.ctx, arg);
        break;
    case TOOL_KIND_HELP:
        print_help(t);
    case TOOL_KIND_VERSION:
        print_version();
    default:
        break;
    }
}

/* "--name", "--name=arg", "--name arg"; 'next' may be NULL.  Returns the
 * number of words used. */
static int parse_name(const struct table *t, const char *word, const char *next)
{
    const char *name = word + 2;
    const size_t len = strcspn(name, "=");
    const struct tool_option *o = find_name(t, name, len);
    const char *arg = name[len] == '=' ? name + len + 1 : NULL;
    char as[MAX_NAME + 2];
    int used = 1;

    if (o == NULL)
        unknown_name(t, name, len);
    snprintf(as, sizeof(as), "--%s", o->name);
    if (o->argname == NULL && arg != NULL)
        tool_usage_error("option '%s' takes no argument", as);
    if (o->argname != NULL && arg == NULL && !o->optional) {
        if (next == NULL)
            tool_usage_error("option '%s' needs an argument: %s", as,
                             o->argname);
        arg = next;
        used = 2;
    }
    apply(t, o, as, arg);
    return used;
}

/* "-a", "-abc", "-n5", "-n 5" */
static int parse_letters(const struct table *t, const char *word,
                         const char *next)
{
    for (const char *p = word + 1; *p != '\0'; p++) {
        const struct tool_option *o = find_letter(t, *p);
        const char as[] = {'-', *p, '\0'};

        if (o == NULL)
            tool_usage_error("unknown option '%s'", as);
        if (o->argname == NULL) {
            apply(t, o, as, NULL);
            continue;
        }
        if (p[1] != '\0' || o->optional) {
            apply(t, o, as, p[1] != '\0' ? p + 1 : NULL);
            return 1;
        }
        if (next == NULL)
            tool_usage_error("option '%s' needs an argument: %s", as,
                             o->argname);
        apply(t, o, as, next);
        return 2;
    }
    return 1;
}

/* Moves the 'n' words (1 or 2) at argv[at] down to argv[first]. */
static void move_down(char *argv[], int first, int at, int n)
{
    char *word[2] = {argv[at], argv[at + n - 1]};

    memmove(&argv[first + n], &argv[first],
            (size_t)(at - first) * sizeof(argv[0]));
    argv[first] = word[0];
    argv[first + n - 1] = word[1];
}

/* Reads the options; returns the first operand, all of them at the end. */
static int parse_words(const struct table *t, int argc, char *argv[])
{
    int first = 1, at = 1;

    while (at < argc) {
        const char *word = argv[at];
        const char *next = at + 1 < argc ? argv[at + 1] : NULL;
        const bool end = strcmp(word, "--") == 0;
        int n = 1;

        if (word[0] != '-' || word[1] == '\0') {
            if (t->stop)
                break;
            at++;
            continue;
        }
        if (!end)
            n = word[1] == '-' ? parse_name(t, word, next)
                               : parse_letters(t, word, next);
        move_down(argv, first, at, n);
        first += n;
        at += n;
        if (end)
            break;
    }
    return first < argc ? first : argc;
}

int tool_parse(int argc, char *argv[], const char *usage,
               const struct tool_option *options)
{
    struct table t = {.n = 0};
    int first;

    tool_start(argv[0]);
    tool_set_usage(usage);
    flatten(&t, options);
    first = parse_words(&t, argc, argv);
    if (t.common != NULL)
        tool_set_words(t.common->quiet, t.common->verbose);
    return first;
}

void tool_selection_resolve(struct tool_selection *s)
{
    const int64_t now = at_time_now();
    struct at_error err;

    s->from_ns = AT_TIME_MIN;
    s->to_ns = AT_TIME_MAX;
    if (s->from != NULL &&
        at_time_parse(&s->from_ns, s->from, now, AT_TIME_MIN, &err) != AT_OK)
        tool_usage_error("option '--from': %s", err.msg);
    if (s->to != NULL &&
        at_time_parse(&s->to_ns, s->to, now, s->from_ns, &err) != AT_OK)
        tool_usage_error("option '--to': %s", err.msg);
    if (s->to_ns < s->from_ns)
        tool_usage_error("the time of --to is before that of --from");
}
