/*
 * tool_test.c - the layer that all tools share
 *
 * What ends a process is tried in a child, its stdout and stderr in a file.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tool.h"

/* ---- a tool with one option of each kind ------------------------------ */

struct settings {
    bool hex;
    const char *out;
    uint64_t bytes;
    int64_t interval_ns;
    int64_t at_ns;
    int format;
    int calls;
    struct tool_common common;
    struct tool_selection selection;
    int first;
};

static void count_call(void *ctx, const char *arg)
{
    int *calls = ctx;

    *calls += arg == NULL ? 1 : atoi(arg);
}

static void parse(struct settings *s, int argc, char *argv[])
{
    const struct tool_option options[] = {
        TOOL_FLAG('x', "hex", &s->hex, "print bytes"),
        TOOL_TEXT('o', "output", &s->out, "OUT", "write there"),
        TOOL_COUNT('b', "bytes", &s->bytes, "SIZE", "size of a part"),
        TOOL_DURATION('i', NULL, &s->interval_ns, "DURATION", "length"),
        TOOL_TIME(0, "at", &s->at_ns, "T", "a time"),
        TOOL_CHOICE('F', "format", &s->format, "table|csv|json", "form"),
        TOOL_CALL_OPTIONAL('c', "call", count_call, &s->calls, "N", "call"),
        TOOL_SELECTION(&s->selection),
        TOOL_COMMON_BUT(&s->common, TOOL_NO_LOCAL),
        TOOL_END,
    };

    *s = (struct settings){.calls = 0};
    s->first = tool_parse(argc, argv, "[-hx] IN ...\ntwo IN", options);
}

/* A copy of the words, as main() gets them. */
enum { MAX_WORDS = 16 };
static int count_words(char *argv[], const char *const words[])
{
    int argc = 0;

    argv[argc++] = (char *)"/bin/at-x";
    while (*words != NULL)
        argv[argc++] = (char *)*words++;
    argv[argc] = NULL;
    return argc;
}

#define WORDS(...) ((const char *const[]){__VA_ARGS__, NULL})

static void options_of_each_kind(void **state)
{
    char *argv[MAX_WORDS];
    struct settings s;

    (void)state;
    parse(&s,
          count_words(argv, WORDS("-xqo", "out", "-b64Ki", "-i", "1.5h",
                                  "--at=@1.5", "--format", "csv", "-j4",
                                  "--progress=never", "-c3", "--call")),
          argv);
    assert_true(s.hex && s.common.quiet && !s.common.verbose);
    assert_string_equal(s.out, "out");
    assert_int_equal(s.bytes, 65536);
    assert_int_equal(s.interval_ns, INT64_C(5400000000000));
    assert_int_equal(s.at_ns, 1500000000);
    assert_int_equal(s.format, 1);
    assert_int_equal(s.calls, 4);
    assert_int_equal(tool_threads(&s.common), 4);
    assert_int_equal(s.common.progress, TOOL_NEVER);
    assert_int_equal(s.first, 13);
}

static void operands_go_to_the_end_in_order(void **state)
{
    char *argv[MAX_WORDS];
    struct settings s;

    (void)state;
    parse(&s,
          count_words(argv, WORDS("a", "-x", "-", "-o", "out", "c", "--", "-q",
                                  "--", "d")),
          argv);
    assert_true(s.hex && !s.common.quiet);
    assert_string_equal(s.out, "out");
    assert_int_equal(s.first, 5);
    assert_string_equal(argv[5], "a");
    assert_string_equal(argv[6], "-");
    assert_string_equal(argv[7], "c");
    assert_string_equal(argv[8], "-q");
    assert_string_equal(argv[9], "--");
    assert_string_equal(argv[10], "d");
}

static void an_argument_may_look_like_an_option(void **state)
{
    char *argv[MAX_WORDS];
    struct settings s;

    (void)state;
    parse(&s, count_words(argv, WORDS("-o", "-x", "--from", "-2h")), argv);
    assert_false(s.hex);
    assert_string_equal(s.out, "-x");
    assert_string_equal(s.selection.from, "-2h");
}

static void options_may_end_at_the_first_operand(void **state)
{
    struct tool_common common = {.quiet = false};
    const struct tool_option options[] = {
        TOOL_STOP_AT_OPERAND,
        TOOL_COMMON(&common),
        TOOL_END,
    };
    char *argv[MAX_WORDS];
    const int argc = count_words(argv, WORDS("-v", "sub", "-q"));

    (void)state;
    assert_int_equal(tool_parse(argc, argv, "", options), 2);
    assert_true(common.verbose && !common.quiet);
    /* and then the subcommand's own */
    assert_int_equal(tool_parse(argc - 2, argv + 2, "", options), 2);
    assert_true(common.quiet);
}

static void a_selection_has_defaults(void **state)
{
    char *argv[MAX_WORDS];
    struct settings s;

    (void)state;
    parse(&s, count_words(argv, WORDS("in")), argv);
    tool_selection_resolve(&s.selection);
    assert_null(s.selection.filter);
    assert_true(s.selection.count == UINT64_MAX);
    assert_true(tool_selection_has(&s.selection, AT_TIME_MIN));
    assert_true(tool_selection_has(&s.selection, AT_TIME_MAX - 1));
}

static void a_selection_is_half_open(void **state)
{
    char *argv[MAX_WORDS];
    struct settings s;

    (void)state;
    parse(&s,
          count_words(argv, WORDS("--to", "+15m", "--from", "@100", "-n", "2k",
                                  "-f", "tcp", "--bpf")),
          argv);
    tool_selection_resolve(&s.selection);
    assert_int_equal(s.selection.count, 2000);
    assert_string_equal(s.selection.filter, "tcp");
    assert_true(s.selection.literal);
    assert_false(tool_selection_has(&s.selection, INT64_C(99999999999)));
    assert_true(tool_selection_has(&s.selection, INT64_C(100000000000)));
    assert_true(tool_selection_has(&s.selection, INT64_C(999999999999)));
    assert_false(tool_selection_has(&s.selection, INT64_C(1000000000000)));
}

/* ---- what ends the process -------------------------------------------- */

static char said[16384]; /* what the last child wrote */

/* Runs fn(arg) in a child; returns its status as waitpid() has it. */
static int child(void (*fn)(const void *arg), const void *arg)
{
    char name[] = "/tmp/tool_test.XXXXXX";
    const int fd = mkstemp(name);
    int status = 0;
    ssize_t n;
    pid_t pid;

    assert_true(fd >= 0);
    unlink(name);
    fflush(NULL);
    pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        dup2(fd, STDOUT_FILENO);
        dup2(fd, STDERR_FILENO);
        fn(arg);
        _exit(99);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    n = pread(fd, said, sizeof(said) - 1, 0);
    said[n > 0 ? n : 0] = '\0';
    close(fd);
    return status;
}

static void parse_and_finish(const void *arg)
{
    char *argv[MAX_WORDS];
    const int argc = count_words(argv, arg);
    struct settings s;

    parse(&s, argc, argv);
    tool_selection_resolve(&s.selection);
    _exit(tool_finish(TOOL_OK));
}

static void check_refused(const char *const words[], const char *message)
{
    char expected[1024];
    const int status = child(parse_and_finish, words);

    snprintf(expected, sizeof(expected),
             "at-x: %s\nusage: at-x [-hx] IN ...\n       at-x two IN\n",
             message);
    assert_string_equal(said, expected);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), TOOL_USAGE);
}

static void wrong_options_are_refused(void **state)
{
    (void)state;
    check_refused(WORDS("--foo"), "unknown option '--foo'");
    check_refused(WORDS("--frmo"),
                  "unknown option '--frmo'; did you mean '--from'?");
    check_refused(WORDS("--hexx"),
                  "unknown option '--hexx'; did you mean '--hex'?");
    check_refused(WORDS("--form=csv"),
                  "unknown option '--form'; did you mean '--format'?");
    check_refused(WORDS("--\n\x1b[2J"), "unknown option '--??[2J'");
    check_refused(WORDS("--local"), "unknown option '--local'");
    check_refused(WORDS("-xz"), "unknown option '-z'");
    check_refused(WORDS("--=1"), "unknown option '--'");
    check_refused(WORDS("--hex=1"), "option '--hex' takes no argument");
    check_refused(WORDS("--output"),
                  "option '--output' needs an argument: OUT");
    check_refused(WORDS("-xo"), "option '-o' needs an argument: OUT");
    check_refused(WORDS("-F", "xml"),
                  "option '-F': 'xml' is none of table|csv|json");
    check_refused(WORDS("-b1x"), "option '-b': number '1x': unknown unit 'x', "
                                 "known are k M G T Ki Mi Gi Ti");
    check_refused(WORDS("-i", "-1s"),
                  "option '-i': duration '-1s': a number expected");
    check_refused(WORDS("-j", "2000"),
                  "option '-j': '2000' is not a number of threads, 0 to 1024");
    check_refused(WORDS("--progress=on"),
                  "option '--progress': 'on' is none of auto|always|never");
    check_refused(WORDS("--to", "+1h"),
                  "option '--to': time '+1h': no time to count from");
    check_refused(WORDS("--from", "@2", "--to", "@1"),
                  "the time of --to is before that of --from");
}

static void check_lines(const char *text, size_t columns)
{
    while (*text != '\0') {
        const size_t len = strcspn(text, "\n");

        assert_true(len <= columns);
        text += len + (text[len] == '\n' ? 1 : 0);
    }
}

static void help_is_the_table(void **state)
{
    const int status = child(parse_and_finish, WORDS("-h"));

    (void)state;
    assert_int_equal(status, 0);
    assert_memory_equal(said, "usage: at-x [-hx] IN ...\n       at-x two IN\n",
                        44);
    assert_non_null(strstr(said, "\n  -x, --hex "));
    assert_non_null(strstr(said, "\n      --progress[=auto|always|never]\n"));
    assert_non_null(strstr(said, "\n  -i DURATION "));
    assert_non_null(strstr(said, "\n  -c, --call[=N] "));
    assert_null(strstr(said, "--local"));
    check_lines(said, 80);
}

static void version_is_the_headers(void **state)
{
    const int status = child(parse_and_finish, WORDS("--version"));

    (void)state;
    assert_int_equal(status, 0);
    assert_string_equal(said, "at-x (archive trace toolkit) " AT_VERSION "\n");
}

/* Writes to a full disk: a little, or more than stdio keeps. */
static void fill_disk(const void *arg)
{
    const int *lines = arg;
    const int fd = open("/dev/full", O_WRONLY);

    dup2(fd, STDOUT_FILENO);
    tool_start("at-x");
    for (int i = 0; i < *lines && !tool_stopped(); i++)
        puts("a line of text");
    _exit(tool_finish(TOOL_OK));
}

static void a_full_disk_is_an_error(void **state)
{
    (void)state;
    for (int lines = 1; lines <= 100000; lines *= 10) {
        const int status = child(fill_disk, &lines);

        assert_string_equal(said, "at-x: cannot write standard output: No "
                                  "space left on device\n");
        assert_int_equal(WEXITSTATUS(status), TOOL_FAIL);
    }
}

static void write_to_nobody(const void *arg)
{
    const int *lines = arg;
    int fd[2];

    if (pipe(fd) != 0)
        _exit(98);
    close(fd[0]);
    dup2(fd[1], STDOUT_FILENO);
    tool_start("at-x");
    for (int i = 0; i < *lines; i++)
        puts("a line of text");
    _exit(tool_finish(TOOL_OK));
}

static void a_reader_that_left_is_no_news(void **state)
{
    (void)state;
    for (int lines = 1; lines <= 100000; lines *= 10) {
        const int status = child(write_to_nobody, &lines);

        assert_string_equal(said, "");
        assert_true(WIFEXITED(status));
        assert_int_equal(WEXITSTATUS(status), TOOL_FAIL);
    }
}

static void library_writes_to_nobody(const void *arg)
{
    struct at_error err;
    int fd[2];

    (void)arg;
    if (pipe(fd) != 0)
        _exit(98);
    close(fd[0]);
    dup2(fd[1], STDOUT_FILENO);
    tool_start("at-x");
    at_error_set(&err, AT_ERR_SYSTEM, "standard output: Broken pipe");
    _exit(tool_finish(tool_error(&err)));
}

static void a_broken_pipe_of_the_library_is_no_news(void **state)
{
    const int status = child(library_writes_to_nobody, NULL);

    (void)state;
    assert_string_equal(said, "");
    assert_int_equal(WEXITSTATUS(status), TOOL_FAIL);
}

static void close_and_finish(const void *arg)
{
    const bool *print = arg;

    close(STDOUT_FILENO);
    tool_start("at-x");
    if (*print)
        puts("lost");
    _exit(tool_finish(TOOL_OK));
}

static void closed_output_matters_only_if_used(void **state)
{
    bool print = false;

    (void)state;
    assert_int_equal(child(close_and_finish, &print), 0);
    assert_string_equal(said, "");
    print = true;
    assert_int_equal(WEXITSTATUS(child(close_and_finish, &print)), TOOL_FAIL);
    assert_string_equal(
        said, "at-x: cannot write standard output: Bad file descriptor\n");
}

static void be_stopped(const void *arg)
{
    const int *number = arg;

    tool_start("at-x");
    if (tool_stopped())
        _exit(97);
    raise(*number);
    if (!tool_stopped())
        _exit(98);
    puts("clean");
    _exit(tool_finish(TOOL_FAIL));
}

static void a_signal_ends_the_process_after_cleaning_up(void **state)
{
    static const int numbers[] = {SIGINT, SIGTERM, SIGHUP};

    (void)state;
    for (size_t i = 0; i < 3; i++) {
        const int status = child(be_stopped, &numbers[i]);

        assert_true(WIFSIGNALED(status));
        assert_int_equal(WTERMSIG(status), numbers[i]);
        assert_string_equal(said, "clean\n");
    }
}

static void be_stuck(const void *arg)
{
    const bool *second = arg;

    tool_start("at-x");
    raise(SIGTERM);
    if (*second)
        raise(SIGINT);
    for (int i = 0; i < 100; i++)
        usleep(100000);
}

static void a_second_signal_kills(void **state)
{
    const bool second = true;
    const int status = child(be_stuck, &second);

    (void)state;
    assert_true(WIFSIGNALED(status));
    assert_int_equal(WTERMSIG(status), SIGINT);
}

static void who_does_not_ask_is_killed(void **state)
{
    const bool second = false;
    const int status = child(be_stuck, &second);

    (void)state;
    assert_true(WIFSIGNALED(status));
    assert_int_equal(WTERMSIG(status), SIGTERM);
}

static void ignore_a_signal(const void *arg)
{
    (void)arg;
    signal(SIGHUP, SIG_IGN);
    tool_start("at-x");
    raise(SIGHUP);
    _exit(tool_stopped() ? 98 : tool_finish(TOOL_OK));
}

static void nohup_is_respected(void **state)
{
    (void)state;
    assert_int_equal(child(ignore_a_signal, NULL), 0);
}

/* ---- messages and numbers ---------------------------------------------- */

static void speak(const void *arg)
{
    struct tool_summary s;
    struct at_error err;

    (void)arg;
    tool_start("at-x");
    tool_warn("%s", "bad\x1b[2J\nname");
    tool_verbose("not said");
    tool_set_words(false, true);
    tool_verbose("said");
    tool_summary_start(&s);
    s.packets = 1;
    tool_summary_count(&s, 0, "thing", " not said");
    tool_summary_count(&s, 1234, "packet", " lost");
    tool_summary_add(&s, "%d parts", 3);
    tool_summary_print(&s);
    tool_set_words(true, true);
    tool_summary_print(&s);
    tool_note("not said");
    tool_verbose("not said");
    at_error_set(&err, AT_ERR_SYNTAX, "expression");
    _exit(tool_error(&err));
}

static void messages_are_lines(void **state)
{
    const int status = child(speak, NULL);

    (void)state;
    assert_int_equal(WEXITSTATUS(status), TOOL_USAGE);
    assert_memory_equal(said, "at-x: bad?[2J?name\nat-x: said\n", 30);
    assert_non_null(strstr(said, "\nat-x: 1 packet, 0 B in 0.0 s ("));
    assert_non_null(strstr(said, " packets/s), 1,234 packets lost, 3 parts\n"));
    assert_null(strstr(said, "not said"));
    assert_non_null(strstr(said, "parts\nat-x: expression\n"));
}

static void speak_long(const void *arg)
{
    char *text = calloc(1, 100000);

    (void)arg;
    tool_start("at-x");
    memset(text, 'x', 99999);
    tool_warn("%s", text);
    free(text);
    _exit(0);
}

static void a_long_message_is_cut(void **state)
{
    (void)state;
    assert_int_equal(child(speak_long, NULL), 0);
    assert_true(strlen(said) > 1000 && strlen(said) <= 4096);
    assert_int_equal(said[strlen(said) - 1], '\n');
}

static void show_progress(const void *arg)
{
    const struct tool_common *common = arg;
    struct tool_progress p;

    tool_start("at-x");
    tool_progress_start(&p, common);
    tool_progress_update(&p, 0, 0, 0);
    tool_progress_update(&p, 1, 2, 3);
    p.next_ns = 0;
    tool_progress_update(&p, 50, 100, 3);
    p.next_ns = 0;
    tool_progress_update(&p, 200, 100, 3);
    p.next_ns = 0;
    tool_progress_update(&p, UINT64_MAX, UINT64_MAX, UINT64_MAX);
    p.next_ns = 0;
    tool_progress_steps(&p, 3, 12, "segments");
    tool_progress_end(&p);
    tool_progress_update(&p, 1, 2, 3);
    _exit(0);
}

static void progress_is_shown_where_it_should(void **state)
{
    struct tool_common common = {.progress = TOOL_AUTO};

    (void)state;
    assert_int_equal(child(show_progress, &common), 0);
    assert_string_equal(said, ""); /* no terminal */
    common.progress = TOOL_ALWAYS;
    assert_int_equal(child(show_progress, &common), 0);
    assert_memory_equal(said, "at-x: 0 packets, 0 packets/s\n", 29);
    assert_non_null(strstr(said, "\nat-x:  50% [=======        ] "));
    assert_non_null(strstr(said, "\nat-x: 100% [===============] "));
    assert_non_null(strstr(said, "] 3 of 12 segments, "));
    assert_null(strchr(said, '\r'));
    common.quiet = true;
    assert_int_equal(child(show_progress, &common), 0);
    assert_string_equal(said, "");
}

static void numbers_for_people(void **state)
{
    char buf[TOOL_NUMBER_TEXT];

    (void)state;
    assert_string_equal(tool_format_bytes(buf, 0), "0 B");
    assert_string_equal(tool_format_bytes(buf, 999), "999 B");
    assert_string_equal(tool_format_bytes(buf, 1000), "1.0 kB");
    assert_string_equal(tool_format_bytes(buf, 560000000), "560.0 MB");
    assert_string_equal(tool_format_bytes(buf, 999949), "999.9 kB");
    assert_string_equal(tool_format_bytes(buf, 999951), "1.0 MB");
    assert_string_equal(tool_format_bytes(buf, UINT64_MAX), "18.4 EB");
    assert_string_equal(tool_format_count(buf, 12), "12");
    assert_string_equal(tool_format_count(buf, 6200000), "6.2 M");
    assert_string_equal(tool_format_grouped(buf, 0), "0");
    assert_string_equal(tool_format_grouped(buf, 999), "999");
    assert_string_equal(tool_format_grouped(buf, 1000), "1,000");
    assert_string_equal(tool_format_grouped(buf, 5000000), "5,000,000");
    assert_string_equal(tool_format_grouped(buf, UINT64_MAX),
                        "18,446,744,073,709,551,615");
}

static void choices(void **state)
{
    (void)state;
    assert_int_equal(tool_choice("table|csv|json", "table"), 0);
    assert_int_equal(tool_choice("table|csv|json", "json"), 2);
    assert_int_equal(tool_choice("table|csv|json", "tab"), -1);
    assert_int_equal(tool_choice("table|csv|json", "table|csv"), -1);
    assert_int_equal(tool_choice("table|csv|json", ""), -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(wrong_options_are_refused),
        cmocka_unit_test(help_is_the_table),
        cmocka_unit_test(version_is_the_headers),
        cmocka_unit_test(a_full_disk_is_an_error),
        cmocka_unit_test(a_reader_that_left_is_no_news),
        cmocka_unit_test(a_broken_pipe_of_the_library_is_no_news),
        cmocka_unit_test(closed_output_matters_only_if_used),
        cmocka_unit_test(a_signal_ends_the_process_after_cleaning_up),
        cmocka_unit_test(a_second_signal_kills),
        cmocka_unit_test(who_does_not_ask_is_killed),
        cmocka_unit_test(nohup_is_respected),
        cmocka_unit_test(messages_are_lines),
        cmocka_unit_test(a_long_message_is_cut),
        cmocka_unit_test(progress_is_shown_where_it_should),
        cmocka_unit_test(numbers_for_people),
        cmocka_unit_test(choices),
        /* From here on tool_start() has been here, and does no more. */
        cmocka_unit_test(options_of_each_kind),
        cmocka_unit_test(operands_go_to_the_end_in_order),
        cmocka_unit_test(an_argument_may_look_like_an_option),
        cmocka_unit_test(options_may_end_at_the_first_operand),
        cmocka_unit_test(a_selection_has_defaults),
        cmocka_unit_test(a_selection_is_half_open),
    };

    /* A caller may have had us ignore what we try. */
    signal(SIGINT, SIG_DFL);
    signal(SIGTERM, SIG_DFL);
    signal(SIGHUP, SIG_DFL);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
