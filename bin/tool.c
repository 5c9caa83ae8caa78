/*
 * tool.c - a tool as a process: its name, its messages, signals, its end
 *
 * A first SIGINT, SIGTERM or SIGHUP sets a number that the tool asks for
 * between batches; it then removes its temporary files and tool_finish()
 * ends the process by the same signal, so that a shell sees what happened.
 * A tool that waits for a pipe does not ask; for it the handler sets an alarm
 * that ends the process if nobody has asked in time.
 *
 * SIGPIPE is ignored, not left to kill us, for the sake of temporary files.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE 1 /* sched_getaffinity() */
#endif
#include "tool.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdio_ext.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { LINE_BYTES = 4096 };

/*
 * All the state of this layer.  'signal' is an atomic, which a handler may
 * use where it is lock-free, because threads ask for it too; the rest is the
 * main thread's.
 */
static struct {
    const char *name;
    const char *usage;
    bool quiet;
    bool verbose;
    bool started;
    bool bar; /* there is a progress bar on stderr */
    atomic_int signal;
} tool = {.name = "at", .usage = ""};

_Static_assert(ATOMIC_INT_LOCK_FREE == 2, "handlers need lock-free atomics");

const char *tool_name(void)
{
    return tool.name;
}

void tool_set_usage(const char *usage)
{
    tool.usage = usage;
}

void tool_set_words(bool quiet, bool verbose)
{
    tool.quiet = quiet;
    tool.verbose = verbose;
}

bool tool_quiet(void)
{
    return tool.quiet;
}

int64_t tool_clock(void)
{
    struct timespec now = {0};

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

bool tool_is_terminal(int fd)
{
    return isatty(fd) == 1;
}

/* ---- messages -------------------------------------------------------- */

/* There is nobody to tell if stderr does not work. */
static void write_stderr(const char *text, size_t len)
{
    while (len > 0) {
        const ssize_t n = write(STDERR_FILENO, text, len);

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return;
        text += n;
        len -= (size_t)n;
    }
}

static const char clear_line[] = "\r\033[K";

void tool_bar(const char *text, size_t len)
{
    char line[512];
    const int n = snprintf(line, sizeof(line), "\r%.*s\033[K", (int)len, text);

    tool.bar = true;
    write_stderr(line, (size_t)n < sizeof(line) ? (size_t)n : sizeof(line) - 1);
}

void tool_bar_clear(void)
{
    if (tool.bar)
        write_stderr(clear_line, strlen(clear_line));
    tool.bar = false;
}

static void clean(char *text)
{
    for (; *text != '\0'; text++)
        if ((unsigned char)*text < 0x20 || *text == 0x7f)
            *text = '?';
}

/*
 * "at-x: MESSAGE\n", the bar cleared before it, in one write: lines of
 * several processes on one terminal or log stay whole.
 */
static void say(const char *fmt, va_list args)
{
    char line[LINE_BYTES];
    const size_t room = sizeof(line) - 1; /* for the newline */
    size_t at = tool.bar ? strlen(clear_line) : 0;
    size_t len;
    int n;

    memcpy(line, clear_line, at);
    tool.bar = false;
    n = snprintf(line + at, room - at, "%.100s: ", tool.name);
    len = at + (n > 0 ? (size_t)n : 0);
    if (vsnprintf(line + len, room - len, fmt, args) < 0)
        line[len] = '\0';
    clean(line + at);
    len += strlen(line + len);
    line[len++] = '\n';
    write_stderr(line, len);
}

void tool_warn(const char *fmt, ...)
{
    va_list args;

    va_start(args, fmt);
    say(fmt, args);
    va_end(args);
}

void tool_note(const char *fmt, ...)
{
    va_list args;

    if (tool.quiet)
        return;
    va_start(args, fmt);
    say(fmt, args);
    va_end(args);
}

void tool_verbose(const char *fmt, ...)
{
    va_list args;

    if (tool.quiet || !tool.verbose)
        return;
    va_start(args, fmt);
    say(fmt, args);
    va_end(args);
}

/* Each line of the usage is a form of the command. */
size_t tool_usage_text(char *buf, size_t size)
{
    const char *form = tool.usage;
    size_t len = 0;

    buf[0] = '\0';
    while (form != NULL && len < size) {
        const int n = (int)strcspn(form, "\n");
        const int printed = snprintf(buf + len, size - len, "%s %s %.*s\n",
                                     form == tool.usage ? "usage:" : "      ",
                                     tool.name, n, form);

        len += printed > 0 ? (size_t)printed : 0;
        form = form[n] == '\n' ? form + n + 1 : NULL;
    }
    return strlen(buf);
}

void tool_usage_error(const char *fmt, ...)
{
    char usage[LINE_BYTES];
    va_list args;

    va_start(args, fmt);
    say(fmt, args);
    va_end(args);
    write_stderr(usage, tool_usage_text(usage, sizeof(usage)));
    exit(TOOL_USAGE);
}

/* Whether standard output is a pipe that nobody reads any more. */
static bool reader_gone(void)
{
    struct pollfd p = {.fd = STDOUT_FILENO, .events = POLLOUT};
    struct stat st;

    if (fstat(STDOUT_FILENO, &st) != 0 ||
        (!S_ISFIFO(st.st_mode) && !S_ISSOCK(st.st_mode)))
        return false;
    return poll(&p, 1, 0) == 1 && (p.revents & (POLLERR | POLLHUP)) != 0;
}

int tool_error_in(const struct at_error *err, const char *text)
{
    const int status = tool_error(err);
    char line[LINE_BYTES];
    int n;

    if (err->status != AT_ERR_SYNTAX || err->column < 0 ||
        (size_t)err->column > strlen(text))
        return status;
    n = snprintf(line, sizeof(line) - 1, "  %.1500s", text);
    clean(line);
    line[n] = '\n';
    write_stderr(line, (size_t)n + 1);
    n = snprintf(line, sizeof(line), "  %*s^\n",
                 err->column < 1500 ? err->column : 1500, "");
    write_stderr(line, (size_t)n);
    return status;
}

int tool_error(const struct at_error *err)
{
    if (err->status == AT_ERR_SYSTEM && reader_gone())
        return TOOL_FAIL;
    tool_warn("%s", err->msg);
    return err->status == AT_ERR_SYNTAX ? TOOL_USAGE : TOOL_FAIL;
}

/* ---- the process ----------------------------------------------------- */

static void die(int number)
{
    struct sigaction act = {.sa_handler = SIG_DFL};

    sigemptyset(&act.sa_mask);
    sigaction(number, &act, NULL);
    raise(number);
}

static void on_signal(int number)
{
    const int saved = errno;
    int first = 0;

    if (number == SIGALRM) {
        first = atomic_load(&tool.signal);
        die(first != 0 ? first : number);
    } else if (atomic_compare_exchange_strong(&tool.signal, &first, number)) {
        alarm(TOOL_GRACE_SECONDS);
    } else {
        die(number);
    }
    errno = saved;
}

/* SA_RESTART: the libraries we use do not all expect EINTR. */
static void catch_signal(int number)
{
    struct sigaction act = {.sa_handler = on_signal, .sa_flags = SA_RESTART};
    struct sigaction old;

    sigemptyset(&act.sa_mask);
    /* nohup, and shells without job control, mean it when they ignore one. */
    if (sigaction(number, NULL, &old) == 0 && old.sa_handler == SIG_IGN)
        return;
    sigaction(number, &act, NULL);
}

/*
 * A descriptor of the first three that is closed would be that of the next
 * file opened, and messages would go into a trace.  The wrong direction makes
 * every use of it fail.
 */
static void occupy_standard(void)
{
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
        if (fcntl(fd, F_GETFD) < 0 && errno == EBADF &&
            open("/dev/null", fd == STDIN_FILENO ? O_WRONLY : O_RDONLY) < 0)
            exit(TOOL_FAIL);
}

void tool_start(const char *argv0)
{
    struct sigaction ignore = {.sa_handler = SIG_IGN};
    const char *slash;

    if (tool.started)
        return;
    tool.started = true;
    slash = argv0 != NULL ? strrchr(argv0, '/') : NULL;
    if (argv0 != NULL)
        tool.name = slash != NULL ? slash + 1 : argv0;
    occupy_standard();
    sigemptyset(&ignore.sa_mask);
    sigaction(SIGPIPE, &ignore, NULL);
    catch_signal(SIGINT);
    catch_signal(SIGTERM);
    catch_signal(SIGHUP);
    catch_signal(SIGALRM);
}

bool tool_stopped(void)
{
    if (atomic_load_explicit(&tool.signal, memory_order_relaxed) != 0) {
        alarm(0);
        return true;
    }
    return ferror(stdout) != 0;
}

/*
 * After a failure stdio drops what it could not write, and its errno is long
 * gone.  The output is spoilt, so one more byte may find the reason.
 */
static int ask_again(void)
{
    return write(STDOUT_FILENO, "\n", 1) < 0 ? errno : -1;
}

/*
 * What is wrong with standard output, now that all is written: 0, an errno,
 * or -1 for an earlier failure whose reason is not known.
 */
static int close_stdout(void)
{
    const bool failed = ferror(stdout) != 0;
    const bool nothing = !failed && __fpending(stdout) == 0;
    int problem = 0;

    errno = 0;
    if (fflush(stdout) != 0 && errno != 0)
        problem = errno;
    else if (failed)
        problem = ask_again();
    errno = 0;
    if (fclose(stdout) != 0 && problem == 0 && !(errno == EBADF && nothing))
        problem = errno != 0 ? errno : -1;
    return problem;
}

int tool_finish(int status)
{
    const int number = atomic_load(&tool.signal);
    int problem;

    if (number != 0)
        alarm(TOOL_GRACE_SECONDS); /* stdout may be a pipe that is stuck */
    tool_bar_clear();
    problem = close_stdout();
    if (number != 0)
        die(number);
    if (problem == 0)
        return status;
    if (problem > 0 && problem != EPIPE)
        tool_warn("cannot write standard output: %s", strerror(problem));
    else if (problem < 0)
        tool_warn("cannot write standard output");
    return TOOL_FAIL;
}

unsigned tool_threads(const struct tool_common *common)
{
    cpu_set_t set;
    long n;

    if (common->threads != 0)
        return common->threads;
    /* What we may run on, which in a container is less than there is. */
    CPU_ZERO(&set);
    if (sched_getaffinity(0, sizeof(set), &set) == 0)
        n = CPU_COUNT(&set);
    else
        n = sysconf(_SC_NPROCESSORS_ONLN);
    return n < 1 ? 1 : (unsigned)n;
}

void tool_check_output(const char *path)
{
    if (strcmp(path, "-") == 0 && tool_is_terminal(STDOUT_FILENO))
        tool_usage_error("a trace is not for a terminal: name a file, or "
                         "send standard output elsewhere");
}
