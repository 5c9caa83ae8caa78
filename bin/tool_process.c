/*
 * tool_process.c - the options that change packets, the same in every tool
 */
#include <string.h>

#include "tool.h"

void tool_process_lines(struct tool_process *p,
                        struct tool_option line[TOOL_PROCESS_LINES])
{
    const struct tool_option lines[TOOL_PROCESS_LINES] = {
        TOOL_HEADING("Processing of the selected packets:"),
        TOOL_TEXT(0, "snap", &p->snap, "POLICY",
                  "keep the first BYTES, or the headers up to l2, l3 or l4, "
                  "and more behind them: l4+4,dns+12"),
        TOOL_TEXT(0, "strip", &p->strip, "LIST",
                  "take off tags: vlan, mpls, pppoe"),
        TOOL_CHOICE(0, "fcs", &p->fcs, "keep|strip|add",
                    "take the FCS of Ethernet frames off, or add one"),
        TOOL_CHOICE(0, "checksum", &p->checksum, "ignore|tag|drop",
                    "verify checksums and count them, or drop packets with a "
                    "bad one"),
        TOOL_TEXT(0, "direction", &p->direction, "RULE",
                  "tell in from out by mac:LIST, net:LIST, vlan:LIST, port, "
                  "interface or filter:EXPR"),
    };

    memcpy(line, lines, sizeof(lines));
}

static bool does_something(const struct tool_process *p)
{
    return p->snap != NULL || p->strip != NULL || p->direction != NULL ||
           p->fcs != AT_FCS_KEEP || p->checksum != AT_CHECKSUM_IGNORE;
}

/* Each text is tried alone, so that an offence is shown in the right one. */
static int check_text(const struct at_process_options *only, const char *text)
{
    struct at_process *process;
    struct at_error err;

    if (text == NULL)
        return TOOL_OK;
    if (at_process_open(&process, only, &err) != AT_OK)
        return tool_error_in(&err, text);
    at_process_close(process);
    return TOOL_OK;
}

int tool_process_open(struct tool_process *p)
{
    const struct at_process_options opts = {
        .size = sizeof(opts),
        .snap = p->snap,
        .strip = p->strip,
        .direction = p->direction,
        .fcs = (enum at_fcs_use)p->fcs,
        .checksum = (enum at_checksum_use)p->checksum,
    };
    const struct at_process_options snap = {.size = sizeof(snap),
                                            .snap = p->snap};
    const struct at_process_options strip = {.size = sizeof(strip),
                                             .strip = p->strip};
    const struct at_process_options direction = {.size = sizeof(direction),
                                                 .direction = p->direction};
    struct at_error err;
    int status = check_text(&snap, p->snap);

    if (status == TOOL_OK)
        status = check_text(&strip, p->strip);
    if (status == TOOL_OK)
        status = check_text(&direction, p->direction);
    if (status == TOOL_OK && does_something(p) &&
        at_process_open(&p->process, &opts, &err) != AT_OK)
        status = tool_error(&err);
    return status;
}

void tool_process_close(struct tool_process *p)
{
    at_process_close(p->process);
    p->process = NULL;
}

/* ---- summary --------------------------------------------------------- */

static void add_checksums(const struct at_process_tally *t, uint64_t dropped,
                          struct tool_summary *s)
{
    tool_summary_count(s, dropped, "packet", " with a bad checksum dropped");
    tool_summary_count(s, t->checksum[AT_CHECKSUM_OK], "checksum", " right");
    tool_summary_count(s, t->checksum[AT_CHECKSUM_BAD], "checksum", " bad");
    tool_summary_count(s, t->checksum[AT_CHECKSUM_UNVERIFIABLE], "checksum",
                       " not verifiable");
    tool_summary_count(s, t->checksum[AT_CHECKSUM_ABSENT], "packet",
                       " without a checksum");
}

static void add_directions(const struct at_process_tally *t,
                           struct tool_summary *s)
{
    tool_summary_count(s, t->direction[AT_DIRECTION_OUT], "packet", " out");
    tool_summary_count(s, t->direction[AT_DIRECTION_IN], "packet", " in");
    tool_summary_count(s, t->direction[AT_DIRECTION_OTHER], "packet",
                       " neither in nor out");
    tool_summary_count(s, t->direction[AT_DIRECTION_UNKNOWN], "packet",
                       " of unknown direction");
}

void tool_process_summary(const struct tool_process *p, uint64_t dropped,
                          struct tool_summary *s)
{
    const struct at_process_tally *t = &p->tally;
    const char *fcs = p->fcs == AT_FCS_ADD ? " with an FCS added"
                                           : " with the FCS taken off";

    if (p->process == NULL)
        return; /* what was dropped, others did */
    tool_summary_count(s, t->cut, "packet", " cut");
    tool_summary_count(s, t->stripped, "packet", " stripped of tags");
    tool_summary_count(s, t->fcs, "packet", fcs);
    tool_summary_count(s, t->left, "packet", " not stripped");
    add_checksums(t, dropped, s);
    add_directions(t, s);
}
