/*
 * tool.h - what all the tools share: options, messages, signals, progress
 *
 * A tool is a process, so this layer may exit, print, and keep a little
 * state of its own: the program's name, -q and -v, and whether a signal has
 * come.  All of it is in one struct in tool.c.  Unless it says otherwise a
 * function here is for the main thread.
 *
 * A tool looks like this:
 *
 *     int i = tool_parse(argc, argv, "[-hqV] [-n count] file ...", options);
 *     ...
 *     return tool_finish(status);
 *
 * Link tool.c, tool_options.c and tool_report.c into every tool.
 */
#ifndef TOOL_H
#define TOOL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "archive_trace.h"

/* Not _Noreturn: cppcheck 2.10 overlooks it. */
#define TOOL_NORETURN __attribute__((noreturn))

enum {
    TOOL_OK = 0,    /* done */
    TOOL_FAIL = 1,  /* something in the data or the system went wrong */
    TOOL_USAGE = 2, /* bad command line; nothing was done */
};

/* ---- options --------------------------------------------------------- */

enum tool_when {
    TOOL_AUTO = 0,
    TOOL_ALWAYS = 1,
    TOOL_NEVER = 2,
};

/* The options of every tool.  All zero is their default. */
struct tool_common {
    unsigned threads;        /* -j: 0 is one per processor: tool_threads() */
    enum tool_when progress; /* --progress; alone it means always */
    bool quiet;
    bool verbose;
    bool strict;
    bool salvage;
    bool json;
    bool local;
};

/*
 * The options that select packets.  tool_parse() sets all of it to the
 * defaults, whatever was there; tool_selection_resolve() then makes the
 * times, because "--to +15m" counts from a --from that may come later.
 */
struct tool_selection {
    const char *filter; /* -f: a pcap-filter expression, or NULL */
    bool literal;       /* --bpf: AT_FILTER_LITERAL */
    const char *from;   /* as typed, or NULL */
    const char *to;
    int64_t from_ns; /* from_ns <= time < to_ns; AT_TIME_MIN if not given */
    int64_t to_ns;   /* AT_TIME_MAX if not given */
    uint64_t count;  /* -n, after the filter; UINT64_MAX if not given */
};

/*
 * The options that change packets: bin/tool_process.c.  tool_process_open()
 * makes of them the process, tool_process_close() frees it.
 */
struct tool_process {
    const char *snap; /* as typed, or NULL */
    const char *strip;
    const char *direction;
    int fcs;                       /* enum at_fcs_use */
    int checksum;                  /* enum at_checksum_use */
    struct at_process *process;    /* NULL where packets stay as they are */
    struct at_process_tally tally; /* of tool_process_count() */
};

/* One line of a table of options: use the macros below. */
struct tool_option {
    enum tool_kind {
        TOOL_KIND_END = 0,
        TOOL_KIND_FLAG,
        TOOL_KIND_TEXT,
        TOOL_KIND_COUNT,
        TOOL_KIND_DURATION,
        TOOL_KIND_TIME,
        TOOL_KIND_CHOICE,
        TOOL_KIND_CALL,
        TOOL_KIND_HELP,
        TOOL_KIND_VERSION,
        TOOL_KIND_HEADING,
        TOOL_KIND_STOP,
        TOOL_KIND_COMMON,
        TOOL_KIND_SELECTION,
        TOOL_KIND_INPUT,
        TOOL_KIND_PROCESS,
    } kind;
    char letter;         /* 0: no short name */
    bool optional;       /* the argument may be missing: --name[=ARG] */
    const char *name;    /* NULL: no long name */
    const char *argname; /* NULL: takes no argument */
    const char *help;    /* one sentence, lower case, no full stop */
    union {
        bool *flag;
        const char **text;
        uint64_t *count;
        int64_t *ns;
        int *choice;
        void *ctx;
        struct tool_common *common;
        struct tool_selection *selection;
        struct at_reader_options *reading;
        struct tool_process *process;
    } value;
    void (*call)(void *ctx, const char *arg);
    unsigned without;
};

/* 'flag' becomes true. */
#define TOOL_FLAG(c, longname, flagptr, about)                                 \
    {                                                                          \
        .kind = TOOL_KIND_FLAG, .letter = (c), .name = (longname),             \
        .help = (about), .value.flag = (flagptr)                               \
    }
#define TOOL_VALUE(k, c, longname, member, ptr, arg, about)                    \
    {                                                                          \
        .kind = (k), .letter = (c), .name = (longname), .argname = (arg),      \
        .help = (about), .value.member = (ptr)                                 \
    }
/* The word itself, in argv; const char **. */
#define TOOL_TEXT(c, longname, ptr, arg, about)                                \
    TOOL_VALUE(TOOL_KIND_TEXT, c, longname, text, ptr, arg, about)
/* A count or size with k M G T Ki Mi Gi Ti; uint64_t *. */
#define TOOL_COUNT(c, longname, ptr, arg, about)                               \
    TOOL_VALUE(TOOL_KIND_COUNT, c, longname, count, ptr, arg, about)
/* A duration in nanoseconds; int64_t *. */
#define TOOL_DURATION(c, longname, ptr, arg, about)                            \
    TOOL_VALUE(TOOL_KIND_DURATION, c, longname, ns, ptr, arg, about)
/* A point in time, nanoseconds since 1970; int64_t *. */
#define TOOL_TIME(c, longname, ptr, arg, about)                                \
    TOOL_VALUE(TOOL_KIND_TIME, c, longname, ns, ptr, arg, about)
/* One of the words of 'list', as in "table|csv|json": its index; int *. */
#define TOOL_CHOICE(c, longname, ptr, list, about)                             \
    TOOL_VALUE(TOOL_KIND_CHOICE, c, longname, choice, ptr, list, about)
/* Calls fn(ctx, arg); 'arg' is NULL if there is none.  What does not please
 * fn() ends in tool_usage_error(). */
#define TOOL_CALL(c, longname, fn, ptr, arg, about)                            \
    {                                                                          \
        .kind = TOOL_KIND_CALL, .letter = (c), .name = (longname),             \
        .argname = (arg), .help = (about), .value.ctx = (ptr), .call = (fn)    \
    }
/* The same, but the argument may be missing: --name or --name=ARG. */
#define TOOL_CALL_OPTIONAL(c, longname, fn, ptr, arg, about)                   \
    {                                                                          \
        .kind = TOOL_KIND_CALL, .letter = (c), .name = (longname),             \
        .argname = (arg), .help = (about), .optional = true,                   \
        .value.ctx = (ptr), .call = (fn)                                       \
    }
/* A line of its own in the help. */
#define TOOL_HEADING(about)                                                    \
    {                                                                          \
        .kind = TOOL_KIND_HEADING, .help = (about)                             \
    }
/* Options end at the first operand; without it they may be mixed. */
#define TOOL_STOP_AT_OPERAND                                                   \
    {                                                                          \
        .kind = TOOL_KIND_STOP                                                 \
    }

/* What a tool can leave out; -h -V -q -v are always there. */
enum {
    TOOL_NO_THREADS = 1,
    TOOL_NO_PROGRESS = 2,
    TOOL_NO_STRICT = 4,
    TOOL_NO_SALVAGE = 8,
    TOOL_NO_JSON = 16,
    TOOL_NO_LOCAL = 32,
};
#define TOOL_COMMON_BUT(ptr, mask)                                             \
    {                                                                          \
        .kind = TOOL_KIND_COMMON, .value.common = (ptr), .without = (mask)     \
    }
#define TOOL_COMMON(ptr) TOOL_COMMON_BUT(ptr, 0)

enum {
    TOOL_NO_FILTER = 1, /* -f */
    TOOL_NO_BPF = 2,    /* --bpf */
    TOOL_NO_RANGE = 4,  /* --from and --to */
    TOOL_NO_LIMIT = 8,  /* -n */
};
#define TOOL_SELECTION_BUT(ptr, mask)                                          \
    {                                                                          \
        .kind = TOOL_KIND_SELECTION, .value.selection = (ptr),                 \
        .without = (mask)                                                      \
    }
#define TOOL_SELECTION(ptr) TOOL_SELECTION_BUT(ptr, 0)

/* How inputs are read where they do not say it themselves: -I and
 * --erf-interfaces; sets these members of a struct at_reader_options. */
#define TOOL_INPUT(ptr)                                                        \
    {                                                                          \
        .kind = TOOL_KIND_INPUT, .value.reading = (ptr)                        \
    }

/* --snap --strip --fcs --checksum --direction */
#define TOOL_PROCESS(ptr)                                                      \
    {                                                                          \
        .kind = TOOL_KIND_PROCESS, .value.process = (ptr)                      \
    }

#define TOOL_END                                                               \
    {                                                                          \
        .kind = TOOL_KIND_END                                                  \
    }

/*
 * tool_parse() does tool_start(), then reads the options in argv[1] and on,
 * moves the operands to the end and returns the index of the first one, which
 * is argc if there is none.  -h and -V print and exit; a mistake prints what
 * is wrong and the usage, and exits with TOOL_USAGE.  No two options may have
 * the same name.  "-" is an operand; "--" ends the options.
 *
 * 'usage' is what follows the program's name; a newline in it begins another
 * form.  It must live as long as the process.  A tool with subcommands may
 * call it again on what follows the subcommand: (argc - i, argv + i).
 */
int tool_parse(int argc, char *argv[], const char *usage,
               const struct tool_option *options);

/* Makes from_ns and to_ns of what was typed; exits if it cannot. */
void tool_selection_resolve(struct tool_selection *selection);

/* Whether anything was asked for. */
bool tool_selection_given(const struct tool_selection *selection);

/* Whether a time in nanoseconds is in the selected range. */
static inline bool tool_selection_has(const struct tool_selection *selection,
                                      int64_t ns)
{
    return ns >= selection->from_ns && ns < selection->to_ns;
}

/* Index of 'word' in 'list', as in "table|csv|json"; -1 if it is not there. */
int tool_choice(const char *list, const char *word);

/* Threads to use: the number asked for, or that of usable processors. */
unsigned tool_threads(const struct tool_common *common);

/*
 * Exits with a usage error if 'path' is "-" and standard output a terminal,
 * which must not get binary.
 */
void tool_check_output(const char *path);

bool tool_is_terminal(int fd);

/* ---- messages -------------------------------------------------------- */

/*
 * All print one line "at-x: ..." on stderr in a single write, control
 * characters shown as '?', after clearing the progress bar.
 */
void tool_warn(const char *fmt, ...) AT_PRINTF(1, 2);
void tool_note(const char *fmt, ...) AT_PRINTF(1, 2);    /* not with -q */
void tool_verbose(const char *fmt, ...) AT_PRINTF(1, 2); /* only with -v */

/*
 * tool_error() prints err->msg and returns the exit status it deserves:
 * TOOL_USAGE for AT_ERR_SYNTAX, else TOOL_FAIL.  It says nothing of a system
 * call that failed because the reader of standard output has gone.
 */
int tool_error(const struct at_error *err);

/* The same, and shows where in 'text' the offence is, if that is known. */
int tool_error_in(const struct at_error *err, const char *text);

/* Prints the message and the usage, and exits with TOOL_USAGE. */
TOOL_NORETURN void tool_usage_error(const char *fmt, ...) AT_PRINTF(1, 2);

/* ---- the process ----------------------------------------------------- */

/*
 * tool_start() notes the program's name, ignores SIGPIPE, and catches
 * SIGINT, SIGTERM and SIGHUP.  Only the first call does anything.
 */
void tool_start(const char *argv0);

/*
 * tool_stopped() is true once it is time to clean up and leave: a signal has
 * come, or standard output takes no more (`| head`).  Ask it at every batch:
 * a process that has not asked within TOOL_GRACE_SECONDS of a signal, or gets
 * a second one, is killed.  Any thread may call it.
 */
enum { TOOL_GRACE_SECONDS = 3 };
bool tool_stopped(void);

/*
 * tool_finish() closes standard output and returns the exit status: 'status',
 * or TOOL_FAIL if that did not work, said aloud unless the reader has gone.
 * After a signal it does not return: the process ends by that signal.
 */
int tool_finish(int status);

/* ---- progress and summary -------------------------------------------- */

/*
 * A bar on stderr.  With TOOL_AUTO it is there only on a terminal and after
 * a second; with TOOL_ALWAYS from the start, and where stderr is no terminal
 * each state is a line.  Never with -q.
 */
struct tool_progress {
    bool on;
    bool terminal;
    int64_t start_ns; /* monotonic */
    int64_t next_ns;  /* earliest time of the next update */
};

void tool_progress_start(struct tool_progress *p,
                         const struct tool_common *common);

/* Cheap enough for every batch.  total_bytes is 0 if it is not known. */
void tool_progress_update(struct tool_progress *p, uint64_t done_bytes,
                          uint64_t total_bytes, uint64_t packets);

/* The same in steps of which the size is not known: 'what' are "segments". */
void tool_progress_steps(struct tool_progress *p, uint64_t done, uint64_t total,
                         const char *what);

/* Clears the bar. */
void tool_progress_end(struct tool_progress *p);

/*
 * The one line after long work, on stderr, not with -q:
 *
 *     at-x: 5,000,000 packets, 560.0 MB in 0.8 s (6.2 M packets/s), 3 lost
 *
 * Set packets and bytes at any time before tool_summary_print().
 */
struct tool_summary {
    int64_t start_ns; /* monotonic */
    uint64_t packets;
    uint64_t bytes;
    char more[512]; /* what tool_summary_add() has put together */
};

/* Zeroes *s and starts its clock. */
void tool_summary_start(struct tool_summary *s);

/* Appends one more part; the comma before it is made here. */
void tool_summary_add(struct tool_summary *s, const char *fmt, ...)
    AT_PRINTF(2, 3);

/* Appends "1 WHATMORE" or "1,234 WHATsMORE", unless n is 0. */
void tool_summary_count(struct tool_summary *s, uint64_t n, const char *what,
                        const char *more);

void tool_summary_print(const struct tool_summary *s);

/*
 * Says what a writer of 'format' could not hold, one line a fact, counted:
 *
 *     at-x: out.pcap: 12 interface numbers cannot be held by pcap
 *
 * These are notes; packets that were left out are an error, and said with -q
 * too.  Returns the exit status that all of it deserves.
 */
int tool_losses(const char *name, enum at_format format,
                const struct at_losses *losses);

/*
 * Numbers for people, in powers of 1000: "560.0 MB", "6.2 M"; and in full,
 * "5,000,000".  'buf' needs TOOL_NUMBER_TEXT bytes, and is returned.
 */
enum { TOOL_NUMBER_TEXT = 32 };
const char *tool_format_bytes(char *buf, uint64_t bytes);
const char *tool_format_count(char *buf, uint64_t n);
const char *tool_format_grouped(char *buf, uint64_t n);

/* ---- traces that are read -------------------------------------------- */

/*
 * Inputs as they were named: files, directories, patterns, lists, as
 * at_paths_add() takes them.  Returns the exit status, what is wrong with a
 * name having been said; an archive is no input but of at-query.
 */
int tool_inputs(struct at_paths *paths, char *word[], size_t n);

/* The same of what at-query reads: archives are named, too, each by its
 * directory. */
int tool_inputs_asked(struct at_paths *paths, char *word[], size_t n);

/* What tool_inputs() takes of a directory: no archives that lie in it. */
bool tool_take(void *ctx, const char *path, const struct stat *st);

/* Makes of the options what the library takes; the caller closes ->filter.
 * Returns the exit status, anything wrong having been said. */
int tool_selection_compile(struct at_selection *wanted,
                           const struct tool_selection *selection);

/*
 * Several inputs as one trace: in the order of time, or one after the other.
 * Set all to zero, then what the caller sets, and the inputs by
 * tool_sources_set(); tool_sources_close() is fine at any time.
 */
struct tool_sources {
    bool sequence;                    /* the caller's: one after the other */
    int64_t window_ns;                /* the caller's: see at_traces_options */
    uint64_t limit;                   /* likewise */
    struct at_pool *pool;             /* the caller's, before the opening */
    struct at_selection wanted;       /* the caller's */
    struct at_reader_options reading; /* the caller's: see TOOL_INPUT */

    struct at_paths paths;
    struct at_traces *traces; /* once they are open */
    bool damaged;             /* an input has given an error, which was said */
    struct at_salvaged salvaged; /* what was left out of the inputs so far */
};

/*
 * Sets the inputs by tool_inputs(), and says what can be known to be wrong
 * before anything is read: one that is missing, or that is 'out' (may be NULL)
 * too.  Returns the exit status.
 */
int tool_sources_set(struct tool_sources *s, char *word[], size_t n,
                     const char *out);

/*
 * Opens ->traces.  What is wrong with the bytes of one input is said, marked
 * in ->damaged, and ends that input, not the run.
 */
enum at_status tool_sources_open(struct tool_sources *s, struct at_error *err);

/* Shows how far the inputs have been read. */
void tool_sources_progress(const struct tool_sources *s,
                           struct tool_progress *p, uint64_t packets);

/*
 * The operands are inputs up to the first that names no existing file, list
 * or pattern of files; from there on they are expressions, as in tcpdump.  The
 * first always is an input, so that a missing file is called one; with 'all'
 * they all are.  Returns the index of the first expression, argc if there is
 * none.
 */
int tool_first_expression(int argc, char *argv[], int i, bool all);

/* Packets that processing dropped among those read so far. */
uint64_t tool_sources_dropped(const struct tool_sources *s);
void tool_sources_close(struct tool_sources *s);

/*
 * Says the first of a trace's holes, one line each; nothing if there are none:
 *
 *     at-x: day.erf: skipped 312 bytes at byte 40960: no ERF record is there
 *
 * With -q nothing but their number and size.
 */
void tool_holes(const char *name, const struct at_hole *hole, size_t n,
                const struct at_salvaged *total);

/* ---- pipelines over traces ------------------------------------------- */

/*
 * What a tool that is a pipeline begins with: its struct has this as its first
 * member and is the ctx of all callbacks.  All zero but for what the options
 * have set is the beginning; tool_pipeline_close() is fine at any time.
 */
struct tool_pipeline {
    struct tool_common common;
    struct tool_selection selection;
    struct tool_sources in; /* 'sequence', 'window_ns' and 'reading' are the
                               caller's */
    struct tool_progress progress;
    struct tool_summary summary;
    bool stopped; /* by a signal, or nobody reads standard output any more */
};

/* The options of all of them; 'without' is of TOOL_SELECTION_BUT(). */
#define TOOL_PIPELINE_OPTIONS(p, without)                                      \
    TOOL_FLAG(0, "sequence", &(p)->in.sequence,                                \
              "read the inputs one after the other, not by time"),             \
        TOOL_INPUT(&(p)->in.reading),                                          \
        TOOL_SELECTION_BUT(&(p)->selection, without),                          \
        TOOL_COMMON_BUT(&(p)->common, TOOL_NO_STRICT)

/* Those of a tool that counts by key and prints a table of it. */
#define TOOL_COUNTING_OPTIONS(format, memory)                                  \
    TOOL_CHOICE(0, "format", format, "table|csv|json",                         \
                "how rows are printed"),                                       \
        TOOL_COUNT(0, "memory", memory, "SIZE",                                \
                   "for counting; what does not fit goes to temporary files")

/* Sets the inputs, of which there must be some, makes the selection, and opens
 * the pool.  Returns the exit status, anything wrong having been said. */
int tool_pipeline_set(struct tool_pipeline *p, char *word[], size_t n);

/*
 * Runs it, with progress.  'ctx' and 'progress' of *opts are set here.
 * Returns TOOL_OK when it has run to the end of what could be read, also if
 * that was damaged; tool_pipeline_status() is the exit status then.
 */
int tool_pipeline_run(struct tool_pipeline *p,
                      struct at_pipeline_options *opts);
int tool_pipeline_status(const struct tool_pipeline *p);
void tool_pipeline_close(struct tool_pipeline *p);

/* ---- packets that are changed ---------------------------------------- */

/* Returns the exit status, anything wrong having been said. */
int tool_process_open(struct tool_process *p);
void tool_process_close(struct tool_process *p);

/* Counts what was done to a packet that was written. */
static inline void tool_process_count(struct tool_process *p,
                                      const struct at_packet *pkt)
{
    if (p->process != NULL)
        at_process_count(&p->tally, pkt);
}

/* Adds what was done to the summary; 'dropped' are packets left out. */
void tool_process_summary(const struct tool_process *p, uint64_t dropped,
                          struct tool_summary *summary);

/* ---- traces that are written ----------------------------------------- */

/*
 * Sets format, codec and level of the writer from what -F and -Z say (NULL:
 * not given); exits with a usage error if they cannot be.
 */
void tool_output_options(struct at_writer_options *opts, const char *format,
                         const char *codec);

/* Whether a format has a place for records that are no packets. */
bool tool_format_holds_records(enum at_format format);

/*
 * One trace, whose writer is opened when the first record has come: that tells
 * the link type.  Set all to zero, then what the caller sets;
 * tool_output_close() is fine at any time, and leaves no file that is not
 * complete.
 */
struct tool_output {
    const char *path;              /* the caller's */
    struct at_writer_options opts; /* the caller's, with the format */
    const struct tool_sources *in; /* the caller's */
    uint32_t longer;               /* the caller's: bytes that processing may
                                      add to a frame */
    struct at_writer *writer;      /* NULL until it is opened */
    uint64_t packets;              /* written */
    uint64_t bytes;                /* captured, of those */
    bool complete;                 /* it has its name */
};

/* Writes a record, or counts what of it is lost. */
enum at_status tool_output_put(struct tool_output *o,
                               const struct at_packet *pkt,
                               struct at_error *err);

/* Opens the writer even though no record has come. */
enum at_status tool_output_begin(struct tool_output *o, struct at_error *err);

/* Gives the file its name; returns the exit status, what was lost and what is
 * wrong having been said.  Without any packet, for they were all of other link
 * types, it gets none. */
int tool_output_commit(struct tool_output *o);
void tool_output_close(struct tool_output *o);

/*
 * The run of a tool that reads inputs as one trace and writes one: at-convert
 * and what is like it.  TOOL_COPY_OPTIONS() are those they share.
 */
struct tool_copy {
    struct tool_common common;
    struct tool_selection selection;
    struct tool_process process;
    const char *format; /* as typed, or NULL: the name of the output says */
    const char *codec;

    struct tool_sources in;
    struct tool_output out;
    uint64_t picked; /* packets so far */
    struct tool_progress progress;
    struct tool_summary summary;

    bool plain; /* the tool's: packets only, of sections nothing */

    /* The tool's own, all of it optional.  take() may change a packet, and
     * returns AT_END for one that is left out; finish() adds to the summary. */
    void *ctx;
    enum at_status (*take)(void *ctx, struct at_packet *pkt,
                           struct at_error *err);
    void (*finish)(void *ctx, struct tool_copy *copy);

    /* Instead of one output; 'out' is then not opened, but its options, path
     * and counts are used.  put() takes a record, and returns AT_END to stop;
     * end() comes after the last, and returns the exit status; close() comes
     * in any case, while the pool is still there. */
    enum at_status (*put)(void *ctx, const struct at_packet *pkt,
                          struct at_error *err);
    int (*end)(void *ctx);
    void (*close)(void *ctx);
};

#define TOOL_WRITING(copy)                                                     \
    TOOL_TEXT('F', "output-format", &(copy)->format, "FORMAT",                 \
              "write erf, pcap, pcap-us or pcapng (default: by the output's "  \
              "name)"),                                                        \
        TOOL_TEXT('Z', "compress", &(copy)->codec, "CODEC[:LEVEL]",            \
                  "compress: none, bgzf, gzip, zstd, xz, bzip2, lz4 "          \
                  "(default: by the output's name)")
#define TOOL_COPY_OPTIONS(copy)                                                \
    TOOL_FLAG(0, "sequence", &(copy)->in.sequence,                             \
              "read the inputs one after the other, not by time"),             \
        TOOL_SELECTION(&(copy)->selection), TOOL_INPUT(&(copy)->in.reading),   \
        TOOL_PROCESS(&(copy)->process),                                        \
        TOOL_COMMON_BUT(&(copy)->common, TOOL_NO_JSON | TOOL_NO_LOCAL)

/* Returns the exit status; frees all that it made. */
int tool_copy(struct tool_copy *copy, char *input[], size_t n,
              const char *output);

/* ---- between tool.c, tool_options.c and tool_report.c ---------------- */

/* The lines that TOOL_PROCESS stands for. */
enum { TOOL_PROCESS_LINES = 6 };
void tool_process_lines(struct tool_process *p,
                        struct tool_option line[TOOL_PROCESS_LINES]);

const char *tool_name(void);
int64_t tool_clock(void); /* monotonic, nanoseconds */

/* What tool_usage_error() shows.  Kept, not copied. */
void tool_set_usage(const char *usage);
size_t tool_usage_text(char *buf, size_t size); /* returns its length */
void tool_set_words(bool quiet, bool verbose);
bool tool_quiet(void);

/* Writes 'len' bytes as the progress bar, instead of the one there is. */
void tool_bar(const char *text, size_t len);
void tool_bar_clear(void);

#endif
