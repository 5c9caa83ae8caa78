/*
 * tool_report.c - progress while a tool works, its summary, and numbers
 */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "tool.h"

static const int64_t second_ns = 1000000000;

enum {
    DELAY_NS = 1000000000,
    STEP_NS = 200000000,
    LINE_STEP_NS = 1000000000, /* a log needs fewer than a terminal */
    BAR_CELLS = 15,
    LINE_BYTES = 256,
};

/* ---- numbers --------------------------------------------------------- */

/* 'n' in the largest power of 1000 it has one of, which 'unit' names. */
static const char *format_si(char *buf, uint64_t n, const char *const unit[])
{
    double value = (double)n;
    size_t i = 0;

    if (n < 1000) {
        snprintf(buf, TOOL_NUMBER_TEXT, "%" PRIu64 "%s", n, unit[0]);
        return buf;
    }
    /* 999.95 is where "%.1f" would print four digits. */
    for (; value >= 999.95 && unit[i + 1] != NULL; i++)
        value /= 1000;
    snprintf(buf, TOOL_NUMBER_TEXT, "%.1f%s", value, unit[i]);
    return buf;
}

const char *tool_format_bytes(char *buf, uint64_t bytes)
{
    static const char *const unit[] = {" B",  " kB", " MB", " GB",
                                       " TB", " PB", " EB", NULL};

    return format_si(buf, bytes, unit);
}

const char *tool_format_count(char *buf, uint64_t n)
{
    static const char *const unit[] = {"",   " k", " M", " G",
                                       " T", " P", " E", NULL};

    return format_si(buf, n, unit);
}

const char *tool_format_grouped(char *buf, uint64_t n)
{
    char digits[TOOL_NUMBER_TEXT];
    const int len = snprintf(digits, sizeof(digits), "%" PRIu64, n);
    char *p = buf;

    for (int i = 0; i < len; i++) {
        if (i > 0 && (len - i) % 3 == 0)
            *p++ = ',';
        *p++ = digits[i];
    }
    *p = '\0';
    return buf;
}

/* 'n' in 'ns' nanoseconds as a rate for a second. */
static uint64_t rate(uint64_t n, int64_t ns)
{
    const double r = (double)n * 1e9 / (double)(ns > 0 ? ns : 1);

    return r < 1e19 ? (uint64_t)r : UINT64_MAX;
}

/* Appends to the text in buf[size]; what does not fit is left out. */
static void append(char *buf, size_t size, const char *fmt, ...)
    AT_PRINTF(3, 4);
static void append(char *buf, size_t size, const char *fmt, ...)
{
    const size_t len = strlen(buf);
    va_list args;

    va_start(args, fmt);
    vsnprintf(buf + len, size - len, fmt, args);
    va_end(args);
}

/* ---- progress -------------------------------------------------------- */

void tool_progress_start(struct tool_progress *p,
                         const struct tool_common *common)
{
    const bool always = common->progress == TOOL_ALWAYS;

    *p = (struct tool_progress){.start_ns = tool_clock()};
    p->terminal = tool_is_terminal(STDERR_FILENO);
    p->on = !common->quiet && common->progress != TOOL_NEVER &&
            (always || p->terminal);
    p->next_ns = p->start_ns + (always ? 0 : DELAY_NS);
}

static void append_bar(char *line, uint64_t done, uint64_t total)
{
    const double part = done < total ? (double)done / (double)total : 1.0;
    const int cells = (int)(part * BAR_CELLS);
    char bar[BAR_CELLS + 1];

    memset(bar, ' ', BAR_CELLS);
    memset(bar, '=', (size_t)cells);
    bar[BAR_CELLS] = '\0';
    append(line, LINE_BYTES, " %3d%% [%s]", (int)(part * 100), bar);
}

static void append_eta(char *line, uint64_t done, uint64_t total, int64_t ns)
{
    const double left = (double)ns / 1e9 * ((double)total / (double)done - 1.0);
    const int seconds = left < 359999 ? (int)(left + 0.5) : 359999;

    if (seconds >= 3600)
        append(line, LINE_BYTES, ", %d:%02d:%02d left", seconds / 3600,
               seconds / 60 % 60, seconds % 60);
    else
        append(line, LINE_BYTES, ", %d:%02d left", seconds / 60, seconds % 60);
}

/* A line that wraps could not be cleared; the last column may wrap too. */
static size_t terminal_columns(void)
{
    struct winsize ws = {0};

    if (ioctl(STDERR_FILENO, TIOCGWINSZ, &ws) != 0 || ws.ws_col < 2)
        return 79;
    return (size_t)ws.ws_col - 1;
}

static void show(const struct tool_progress *p, const char *line)
{
    size_t len = strlen(line);
    const size_t columns = p->terminal ? terminal_columns() : LINE_BYTES;

    if (p->terminal)
        tool_bar(line, len < columns ? len : columns);
    else
        tool_warn("%s", line);
}

/* Whether a line is due now; then it is begun. */
static bool begin_line(struct tool_progress *p, char line[LINE_BYTES],
                       int64_t *ns)
{
    const int64_t now = p->on ? tool_clock() : 0;

    if (!p->on || now < p->next_ns)
        return false;
    *ns = now - p->start_ns;
    p->next_ns = now + (p->terminal ? STEP_NS : LINE_STEP_NS);
    line[0] = '\0';
    if (p->terminal)
        append(line, LINE_BYTES, "%s:", tool_name());
    return true;
}

/* What is not counted is not shown. */
static void append_rates(char line[LINE_BYTES], uint64_t bytes,
                         uint64_t packets, int64_t ns)
{
    char buf[TOOL_NUMBER_TEXT];

    append(line, LINE_BYTES, " %s packets/s%s",
           tool_format_count(buf, rate(packets, ns)), bytes > 0 ? "," : "");
    if (bytes > 0)
        append(line, LINE_BYTES, " %s/s",
               tool_format_bytes(buf, rate(bytes, ns)));
}

void tool_progress_update(struct tool_progress *p, uint64_t done_bytes,
                          uint64_t total_bytes, uint64_t packets)
{
    char line[LINE_BYTES], buf[TOOL_NUMBER_TEXT];
    int64_t ns;

    if (!begin_line(p, line, &ns))
        return;
    if (total_bytes > 0) {
        append_bar(line, done_bytes, total_bytes);
    } else {
        append(line, LINE_BYTES, " %s packets,",
               tool_format_count(buf, packets));
        if (done_bytes > 0)
            append(line, LINE_BYTES, " %s,",
                   tool_format_bytes(buf, done_bytes));
    }
    append_rates(line, done_bytes, packets, ns);
    if (total_bytes > 0 && done_bytes > 0 && done_bytes < total_bytes)
        append_eta(line, done_bytes, total_bytes, ns);
    show(p, p->terminal ? line : line + 1);
}

void tool_progress_steps(struct tool_progress *p, uint64_t done, uint64_t total,
                         const char *what)
{
    char line[LINE_BYTES];
    int64_t ns;

    if (!begin_line(p, line, &ns))
        return;
    append_bar(line, done, total);
    append(line, LINE_BYTES, " %llu of %llu %s", (unsigned long long)done,
           (unsigned long long)total, what);
    if (done > 0 && done < total)
        append_eta(line, done, total, ns);
    show(p, p->terminal ? line : line + 1);
}

void tool_progress_end(struct tool_progress *p)
{
    p->on = false;
    tool_bar_clear();
}

/* ---- summary --------------------------------------------------------- */

void tool_summary_start(struct tool_summary *s)
{
    *s = (struct tool_summary){.start_ns = tool_clock()};
}

void tool_summary_add(struct tool_summary *s, const char *fmt, ...)
{
    const size_t len = strlen(s->more);
    const size_t room = sizeof(s->more) - len;
    va_list args;

    if (room <= 3)
        return;
    memcpy(s->more + len, ", ", 3);
    va_start(args, fmt);
    vsnprintf(s->more + len + 2, room - 2, fmt, args);
    va_end(args);
}

/* "12 WHATs MORE", or "1 WHAT MORE". */
static const char *counted(char *buf, uint64_t n, const char *what,
                           const char *more)
{
    char number[TOOL_NUMBER_TEXT];

    snprintf(buf, LINE_BYTES, "%s %s%s%s", tool_format_grouped(number, n), what,
             n == 1 ? "" : "s", more);
    return buf;
}

void tool_summary_count(struct tool_summary *s, uint64_t n, const char *what,
                        const char *more)
{
    char text[LINE_BYTES];

    if (n != 0)
        tool_summary_add(s, "%s", counted(text, n, what, more));
}

void tool_summary_print(const struct tool_summary *s)
{
    const int64_t ns = tool_clock() - s->start_ns;
    char packets[TOOL_NUMBER_TEXT], bytes[TOOL_NUMBER_TEXT];
    char speed[TOOL_NUMBER_TEXT];

    tool_note("%s packet%s, %s in %.1f s (%s packets/s)%s",
              tool_format_grouped(packets, s->packets),
              s->packets == 1 ? "" : "s", tool_format_bytes(bytes, s->bytes),
              (double)ns / (double)second_ns,
              tool_format_count(speed, rate(s->packets, ns)), s->more);
}

/* ---- losses ---------------------------------------------------------- */

int tool_losses(const char *name, enum at_format format,
                const struct at_losses *losses)
{
    const struct {
        uint64_t n;
        const char *what, *more;
    } fact[] = {
        {losses->interfaces, "interface number", ""},
        {losses->directions, "direction", ""},
        {losses->lost_counts, "count", " of lost packets"},
        {losses->nanoseconds, "time", " in nanoseconds"},
        {losses->extensions, "record",
         " with extension headers, flags, options or a colour"},
        {losses->comments, "comment", ""},
        {losses->descriptions, "description", " of an interface or section"},
        {losses->blocks, "block", " of another kind"},
        {losses->timeless, "packet", " without a time"},
        {losses->meta, "META or PAD record", ""},
        {losses->cut, "packet", " of that length"},
        {losses->fcs, "length", " of a frame check sequence"},
    };
    const char *target = at_format_name(format);
    char text[LINE_BYTES];

    for (size_t i = 0; i < sizeof(fact) / sizeof(fact[0]); i++)
        if (fact[i].n > 0)
            tool_note("%s: %s cannot be held by %s", name,
                      counted(text, fact[i].n, fact[i].what, fact[i].more),
                      target);
    if (losses->linktypes == 0)
        return TOOL_OK;
    tool_warn(
        "%s: %s cannot be held by %s and were left out", name,
        counted(text, losses->linktypes, "packet", " of another link type"),
        format == AT_FORMAT_ERF ? target : "one pcap file");
    return TOOL_FAIL;
}

/* ---- holes ----------------------------------------------------------- */

enum { HOLES_SAID = 20 };

/* A hole of no bytes is where something should be and nothing is. */
static const char *hole_text(char text[2 * LINE_BYTES],
                             const struct at_hole *hole)
{
    const char *where = hole->decoded ? " of what it decodes to" : "";
    const unsigned long long at = hole->offset;
    char bytes[LINE_BYTES];

    if (hole->kept)
        snprintf(text, 2 * LINE_BYTES,
                 "damaged in the %s from byte %llu%s on: it was read, and does "
                 "not have its checksum",
                 counted(bytes, hole->bytes, "byte", ""), at, where);
    else if (hole->bytes > 0)
        snprintf(
            text, 2 * LINE_BYTES, "skipped %s at byte %llu%s: no %s is there",
            counted(bytes, hole->bytes, "byte", ""), at, where, hole->what);
    else if (at > 0)
        snprintf(text, 2 * LINE_BYTES, "ends early, at byte %llu%s", at, where);
    else
        snprintf(text, 2 * LINE_BYTES, "no %s is there", hole->what);
    return text;
}

/* What was found out of the file is said, even with nothing left out. */
void tool_holes(const char *name, const struct at_hole *hole, size_t n,
                const struct at_salvaged *total)
{
    char holes[LINE_BYTES], bytes[LINE_BYTES], text[2 * LINE_BYTES];
    const bool alone = total->holes == 1 && n == 1 && total->bytes == 0;

    if (total->assumed != NULL)
        tool_note("%s: %s", name, total->assumed);
    for (size_t i = 0; i < n && i < HOLES_SAID && !alone; i++)
        tool_note("%s: %s", name, hole_text(text, &hole[i]));
    if (alone)
        tool_warn("%s: %s", name, hole_text(text, hole));
    else if (total->holes > 0)
        tool_warn("%s: %s, %s skipped", name,
                  counted(holes, total->holes, "hole", ""),
                  counted(bytes, total->bytes, "byte", ""));
}
