/*
 * at-replay - packets of files and archives onto a wire, when they are due
 */
#include <fcntl.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#include "json.h"
#include "parts.h"
#include "replay.h"
#include "tool_anon.h"

enum { MOST_WIRES = 16, AHEAD_BYTES = 16 << 20 };

/* An interface, and which packets go there. */
struct way {
    const char *which; /* NULL: all that have no other; "in", "out", a stream */
    size_t which_bytes;
    const char *interface;
};

struct play {
    struct tool_common common;
    struct tool_selection selection;
    struct tool_process process;
    struct tool_anon anon; /* where a policy is given */
    struct at_reader_options reading;
    struct at_edit edit;
    struct at_pace pace;
    struct way way[MOST_WIRES];
    unsigned ways;
    const char *output;
    const char *start_at;
    int wire_kind; /* enum at_wire_kind */
    uint64_t loops;
    uint64_t limit;
    int64_t skip_ns;
    uint64_t ahead_bytes;
    bool step, mine;
    unsigned paces; /* how many were asked for */

    struct at_wire wire[MOST_WIRES];
    struct at_replay replay;
    struct at_query query;
    struct at_paths paths;
    struct at_targets targets;
    struct at_parts parts; /* where flow terms decide */
    bool by_flow;
    struct at_packets *packets;
    struct at_scratch scratch;
    struct at_packet first; /* where it had to be looked at before */
    bool peeked;
    bool damaged;
    int terminal; /* where keys come from; -1: none */
    struct termios saved;

    /* Of the thread that reads. */
    uint64_t loop;
    uint64_t given; /* frames */
    int64_t first_ns;
    bool seen; /* the first packet of this loop */
    uint64_t unsent[AT_UNSENTS];
};

/* ---- options --------------------------------------------------------- */

static void set_pace(struct play *p, enum at_pace_kind kind, const char *arg,
                     long double unit)
{
    char *end = NULL;
    const long double v = arg != NULL ? strtold(arg, &end) : 1;

    if (arg != NULL && (end == arg || *end != '\0' || !isfinite(v) || v <= 0))
        tool_usage_error("'%s' is not a number above 0", arg);
    p->pace.kind = kind;
    p->pace.rate = v * unit;
    p->paces++;
}

static void set_speed(void *ctx, const char *arg)
{
    set_pace(ctx, AT_PACE_RECORDED, arg, 1);
}

static void set_pps(void *ctx, const char *arg)
{
    set_pace(ctx, AT_PACE_PACKETS, arg, 1);
}

static void set_mbps(void *ctx, const char *arg)
{
    set_pace(ctx, AT_PACE_BITS, arg, 1e6L);
}

static void set_top(void *ctx, const char *arg)
{
    set_pace(ctx, AT_PACE_TOP, arg, 1);
}

static void set_step(void *ctx, const char *arg)
{
    struct play *p = ctx;

    set_pace(p, AT_PACE_TOP, arg, 1);
    p->step = true;
}

static void add_way(void *ctx, const char *arg)
{
    struct play *p = ctx;
    const char *sign = strchr(arg, '=');
    struct way *w = &p->way[p->ways++];

    if (p->ways > MOST_WIRES)
        tool_usage_error("more than %d interfaces", MOST_WIRES);
    w->which = sign != NULL ? arg : NULL;
    w->which_bytes = sign != NULL ? (size_t)(sign - arg) : 0;
    w->interface = sign != NULL ? sign + 1 : arg;
    if (*w->interface == '\0' || (sign != NULL && sign == arg))
        tool_usage_error("'%s' is not [WHICH=]INTERFACE", arg);
}

static void check(enum at_status st, const struct at_error *err)
{
    if (st != AT_OK)
        tool_usage_error("%s", err->msg);
}

static void set_src_mac(void *ctx, const char *arg)
{
    struct play *p = ctx;
    struct at_error err;

    check(at_mac_parse(p->edit.src, arg, &err), &err);
    p->edit.set_src = true;
}

static void set_dst_mac(void *ctx, const char *arg)
{
    struct play *p = ctx;
    struct at_error err;

    check(at_mac_parse(p->edit.dst, arg, &err), &err);
    p->edit.set_dst = true;
}

static void add_mac(void *ctx, const char *arg)
{
    struct play *p = ctx;
    struct at_error err;

    check(at_edit_add_mac(&p->edit, arg, &err), &err);
}

static void add_net(void *ctx, const char *arg)
{
    struct play *p = ctx;
    struct at_error err;

    check(at_edit_add_net(&p->edit, arg, &err), &err);
}

static void set_vlan(void *ctx, const char *arg)
{
    struct play *p = ctx;
    char *end;
    const long v = strtol(arg, &end, 10);

    if (*arg == '\0' || *end != '\0' || v < 1 || v > 4094)
        tool_usage_error("'%s' is no VLAN id from 1 to 4094", arg);
    p->edit.vlan = (int)v;
}

/* ---- packets in, on the thread that reads ---------------------------- */

static bool is_way(const struct play *p, const struct way *w,
                   const struct at_packet *pkt)
{
    const char *name = NULL;

    if (w->which_bytes == 2 && strncmp(w->which, "in", 2) == 0)
        return pkt->direction == AT_DIRECTION_IN;
    if (w->which_bytes == 3 && strncmp(w->which, "out", 3) == 0)
        return pkt->direction == AT_DIRECTION_OUT;
    for (size_t i = 0; i < p->targets.n && name == NULL; i++)
        if (p->targets.target[i].lane == pkt->source)
            name = p->targets.target[i].stream;
    return name != NULL && strlen(name) == w->which_bytes &&
           memcmp(name, w->which, w->which_bytes) == 0;
}

/* The number of the wire for a packet; that of none: there is none. */
static unsigned find_wire(const struct play *p, const struct at_packet *pkt)
{
    unsigned other = p->ways;

    if (p->output != NULL)
        return 0;
    for (unsigned i = 0; i < p->ways; i++)
        if (p->way[i].which == NULL)
            other = i;
        else if (is_way(p, &p->way[i], pkt))
            return i;
    return other;
}

static enum at_unsent make_frame(struct play *p, struct at_load *load,
                                 const struct at_packet *pkt)
{
    struct at_frame *f = &load->frame[load->n];
    const struct at_wire *w;
    struct at_edit_target target = {.most = 0};
    enum at_unsent why;

    f->wire = find_wire(p, pkt);
    if (p->output == NULL && f->wire == p->ways)
        return AT_UNSENT_NOWHERE;
    w = &p->wire[f->wire];
    memcpy(target.mac, w->mac, sizeof(target.mac));
    target.most = w->mtu > 0 ? w->mtu + 14 : 0;
    target.any_link = !w->ethernet;
    why = at_edit_packet(&p->edit, &target, pkt, load->bytes + load->used,
                         AT_FRAME_MOST, &f->bytes);
    if (why != AT_UNSENT_NOT)
        return why;
    f->at = (uint32_t)load->used;
    f->ts = pkt->ts;
    f->due_ns = at_pace_next(&p->pace, at_ts_to_ns(pkt->ts), f->bytes);
    load->used += f->bytes;
    load->n++;
    p->given++;
    return AT_UNSENT_NOT;
}

/* Room for an FCS more, and for the anonymiser's copies of frame and record. */
static bool make_scratch(struct play *p, const struct at_packet *pkt)
{
    const size_t room = 2 * (size_t)pkt->cap_bytes + pkt->record_bytes + 8;

    p->scratch.used = 0;
    if (room > p->scratch.room) {
        free(p->scratch.p);
        p->scratch.p = malloc(room);
        p->scratch.room = p->scratch.p != NULL ? room : 0;
    }
    return p->scratch.p != NULL;
}

/* What at-convert and at-anon would have written of it. */
static enum at_unsent change_packet(struct play *p, struct at_packet *pkt)
{
    if (p->process.process == NULL && p->anon.anon == NULL)
        return AT_UNSENT_NOT;
    if (!make_scratch(p, pkt))
        return AT_UNSENT_PROCESS;
    if (p->process.process != NULL &&
        !at_process_packet(p->process.process, &p->scratch, pkt))
        return AT_UNSENT_PROCESS;
    if (p->anon.anon != NULL && !at_anon_packet(p->anon.anon, &p->scratch, pkt))
        return AT_UNSENT_ANON;
    return AT_UNSENT_NOT;
}

static void take_packet(struct play *p, struct at_load *load,
                        struct at_packet *pkt)
{
    const int64_t ns = at_ts_to_ns(pkt->ts);
    enum at_unsent why;

    if (pkt->kind != AT_KIND_PACKET)
        return;
    if (!p->seen)
        p->first_ns = ns;
    p->seen = true;
    if (ns - p->first_ns < p->skip_ns)
        return;
    why = change_packet(p, pkt);
    if (why == AT_UNSENT_NOT)
        why = make_frame(p, load, pkt);
    p->unsent[why]++;
}

static enum at_status open_packets(struct play *p, struct at_error *err)
{
    at_packets_close(p->packets);
    p->packets = NULL;
    p->seen = false;
    at_pace_again(&p->pace);
    return at_packets_open(&p->packets, &p->query, &p->targets,
                           p->by_flow ? &p->parts : NULL, err);
}

/* The next packet, of the next loop if need be. */
static enum at_status next_packet(struct play *p, struct at_packet *pkt,
                                  struct at_error *err)
{
    enum at_status st = AT_OK;

    if (p->peeked) {
        *pkt = p->first;
        p->peeked = false;
        return AT_OK;
    }
    if (p->packets == NULL)
        st = open_packets(p, err);
    while (st == AT_OK) {
        const bool empty = !p->seen;

        st = at_packets_next(p->packets, pkt, err);
        if (st == AT_ERR_CORRUPT || st == AT_ERR_TRUNCATED) {
            tool_error(err); /* the other inputs may be fine */
            p->damaged = true;
            st = AT_OK;
            continue;
        }
        if (st != AT_END || empty || ++p->loop == p->loops)
            return st;
        st = open_packets(p, err);
    }
    return st;
}

static void fill(void *ctx, struct at_load *load, size_t most)
{
    struct play *p = ctx;
    struct at_packet pkt;

    load->status = AT_OK;
    for (unsigned n = 0; load->n < most && load->used < AT_LOAD_BYTES; n++) {
        if (p->given == p->limit || (n % 64 == 0 && tool_stopped()))
            load->status = AT_END;
        if (load->status == AT_OK)
            load->status = next_packet(p, &pkt, &load->err);
        if (load->status != AT_OK)
            return;
        take_packet(p, load, &pkt);
    }
}

/* ---- before ---------------------------------------------------------- */

static int open_wires(struct play *p)
{
    struct at_error err;

    for (unsigned i = 0; i < p->ways; i++) {
        const enum at_status st = at_wire_open_interface(
            &p->wire[i], p->way[i].interface, (enum at_wire_kind)p->wire_kind,
            &err);

        p->replay.wires = i + 1;
        if (st != AT_OK)
            return tool_error(&err);
        if (!p->wire[i].harmless && !p->mine) {
            tool_warn("%s: may lead to a network of others; say "
                      "--yes-i-own-this-network if it is yours",
                      p->way[i].interface);
            return TOOL_FAIL;
        }
    }
    return TOOL_OK;
}

/* The file has one link type: that of the first packet, which is kept for the
 * thread that reads. */
static int open_file(struct play *p)
{
    struct at_error err;
    const enum at_status st = next_packet(p, &p->first, &err);

    if (st < 0)
        return tool_error(&err);
    p->peeked = st == AT_OK;
    p->replay.wires = 1;
    return at_wire_open_file(&p->wire[0], p->output,
                             p->peeked ? p->first.linktype : AT_LINK_ETHERNET,
                             &err) == AT_OK
               ? TOOL_OK
               : tool_error(&err);
}

/* What flow terms decide must be known before a packet is read. */
static int take_parts(struct play *p)
{
    struct at_error err;
    enum at_status st = AT_OK;

    p->by_flow = at_query_has_terms(&p->query);
    if (!p->by_flow)
        return TOOL_OK;
    for (size_t i = 0; i < p->targets.n && st == AT_OK; i++)
        st = at_parts_take(&p->parts, &p->query, &p->targets, i, &err);
    if (st == AT_OK)
        st = at_parts_judge(&p->parts, &p->query, &p->targets, &err);
    return st == AT_OK ? TOOL_OK : tool_error(&err);
}

static int add_targets(struct play *p, char *word[], size_t n)
{
    struct at_error err;
    const int status = tool_inputs_asked(&p->paths, word, n);

    if (status != TOOL_OK)
        return status;
    for (size_t i = 0; i < p->paths.n; i++) {
        if (strcmp(p->paths.path[i], "-") == 0 && p->loops != 1)
            tool_usage_error("standard input cannot be read again: --loop");
        if (at_targets_add(&p->targets, &p->query, p->paths.path[i], &err) !=
            AT_OK)
            return tool_error(&err);
    }
    return TOOL_OK;
}

static int open_question(struct play *p, char *word[], size_t n)
{
    const char *text = p->selection.filter != NULL ? p->selection.filter : "";
    struct at_pool *pool;
    struct at_error err;

    if (at_pool_open(&pool, tool_threads(&p->common), &err) != AT_OK)
        return tool_error(&err);
    if (at_query_open(&p->query, pool, text,
                      p->selection.literal ? AT_FILTER_LITERAL : 0,
                      &err) != AT_OK) {
        p->query.pool = pool;
        return tool_error_in(&err, text);
    }
    p->query.pool = pool;
    p->query.reading = p->reading;
    p->query.from_ns = p->selection.from_ns;
    p->query.to_ns = p->selection.to_ns;
    p->query.stop = tool_stopped;
    return add_targets(p, word, n);
}

static int open_changes(struct play *p)
{
    const int status = tool_process_open(&p->process);

    return status == TOOL_OK ? tool_anon_asked(&p->anon) : status;
}

static void check_usage(struct play *p)
{
    if ((p->ways == 0) == (p->output == NULL))
        tool_usage_error("one of -i and -o says where packets go");
    if (p->paces > 1)
        tool_usage_error("--speed, --pps, --mbps, --top-speed and --step "
                         "exclude each other");
    if (p->paces == 0)
        p->pace.rate = 1;
    if (p->output != NULL)
        tool_check_output(p->output);
    if (p->loops == 0)
        p->loops = UINT64_MAX;
}

static void find_start(struct play *p)
{
    struct at_error err;

    if (p->start_at == NULL)
        return;
    if (at_time_parse(&p->replay.start_ns, p->start_at, at_time_now(),
                      at_time_now(), &err) != AT_OK)
        tool_usage_error("%s", err.msg);
    if (p->replay.start_ns < at_time_now())
        tool_usage_error("'%s' is over", p->start_at);
}

/* ---- a key a packet -------------------------------------------------- */

static int open_terminal(struct play *p)
{
    struct termios raw;

    p->terminal = open("/dev/tty", O_RDONLY | O_CLOEXEC);
    if (p->terminal < 0 || tcgetattr(p->terminal, &p->saved) != 0) {
        tool_warn("--step: there is no terminal to press keys on");
        return TOOL_FAIL;
    }
    raw = p->saved;
    raw.c_lflag &= ~(tcflag_t)(ICANON | ECHO);
    tcsetattr(p->terminal, TCSANOW, &raw);
    tool_note("each key sends a packet, q ends");
    return TOOL_OK;
}

static void close_terminal(const struct play *p)
{
    if (p->terminal < 0)
        return;
    tcsetattr(p->terminal, TCSANOW, &p->saved);
    close(p->terminal);
}

static bool wait_for_key(void *ctx)
{
    const struct play *p = ctx;
    char key;

    return read(p->terminal, &key, 1) == 1 && key != 'q' && !tool_stopped();
}

/* ---- the report ------------------------------------------------------ */

static double seconds(int64_t ns)
{
    return (double)ns / 1e9;
}

static double per_second(double n, int64_t ns)
{
    return ns > 0 ? n / seconds(ns) : 0;
}

static void print_json(const struct play *p)
{
    const struct at_replay *r = &p->replay;
    const double bits = 8.0 * (double)r->bytes;

    printf("{\"packets\":%" PRIu64 ",\"bytes\":%" PRIu64
           ",\"seconds\":%.9f,\"asked_seconds\":%.9f,\"pps\":%.3f,"
           "\"asked_pps\":%.3f,\"mbps\":%.6f,\"asked_mbps\":%.6f,",
           r->sent, r->bytes, seconds(r->elapsed_ns), seconds(r->due_ns),
           per_second((double)r->sent, r->elapsed_ns),
           per_second((double)r->sent, r->due_ns),
           per_second(bits, r->elapsed_ns) / 1e6,
           per_second(bits, r->due_ns) / 1e6);
    printf("\"lateness_ns\":{\"median\":%" PRIu64 ",\"p99\":%" PRIu64
           ",\"max\":%" PRIu64 "},\"starved\":%" PRIu64 ",\"not_sent\":{",
           at_lateness_quantile(&r->lateness, 0.5),
           at_lateness_quantile(&r->lateness, 0.99), r->lateness.most,
           r->starved);
    for (unsigned i = 1; i < AT_UNSENTS; i++)
        printf("%s\"%s\":%" PRIu64, i > 1 ? "," : "", at_unsent_name(i),
               p->unsent[i]);
    printf("},\"interfaces\":[");
    for (unsigned i = 0; i < r->wires; i++) {
        printf("%s{\"name\":", i > 0 ? "," : "");
        at_json_text(stdout, r->wire[i].name);
        printf(",\"packets\":%" PRIu64 ",\"bytes\":%" PRIu64 "}",
               r->wire[i].sent, r->wire[i].bytes);
    }
    printf("]}\n");
}

static void print_text(const struct play *p)
{
    const struct at_replay *r = &p->replay;
    char packets[TOOL_NUMBER_TEXT], bytes[TOOL_NUMBER_TEXT];
    const double bits = 8.0 * (double)r->bytes;

    tool_note("%s packets, %s in %.3f s: %.1f packets/s, %.3f Mbit/s",
              tool_format_grouped(packets, r->sent),
              tool_format_bytes(bytes, r->bytes), seconds(r->elapsed_ns),
              per_second((double)r->sent, r->elapsed_ns),
              per_second(bits, r->elapsed_ns) / 1e6);
    if (r->due_ns > 0 && !p->step)
        tool_note("asked for %.3f s: %.1f packets/s, %.3f Mbit/s; late by "
                  "%.1f us (median), %.1f us (99 %%), %.1f us (most)",
                  seconds(r->due_ns), per_second((double)r->sent, r->due_ns),
                  per_second(bits, r->due_ns) / 1e6,
                  (double)at_lateness_quantile(&r->lateness, 0.5) / 1e3,
                  (double)at_lateness_quantile(&r->lateness, 0.99) / 1e3,
                  (double)r->lateness.most / 1e3);
    for (unsigned i = 1; i < AT_UNSENTS; i++)
        if (p->unsent[i] > 0)
            tool_note("%s packets not sent: %s",
                      tool_format_grouped(packets, p->unsent[i]),
                      at_unsent_name(i));
    if (r->starved > 0)
        tool_note("reading was behind %" PRIu64 " times", r->starved);
}

static void report(struct play *p)
{
    for (unsigned i = 0; i < p->replay.wires; i++)
        p->unsent[AT_UNSENT_REFUSED] += p->replay.wire[i].refused;
    if (p->common.json)
        print_json(p);
    else
        print_text(p);
}

/* ---- the run --------------------------------------------------------- */

static int play(struct play *p)
{
    struct at_ahead *ahead;
    struct at_error err;
    enum at_status st;

    if (at_ahead_open(&ahead, p->ahead_bytes, fill, p, &err) != AT_OK)
        return tool_error(&err);
    p->replay.wire = p->wire;
    p->replay.stop = tool_stopped;
    if (p->step) {
        p->replay.step = wait_for_key;
        p->replay.ctx = p;
    }
    st = at_replay_run(&p->replay, ahead, &err);
    at_ahead_close(ahead);
    report(p);
    if (st < 0)
        return tool_error(&err);
    if (p->anon.anon != NULL && at_anon_failed(p->anon.anon)) {
        tool_warn("out of memory");
        return TOOL_FAIL;
    }
    return tool_stopped() || p->damaged ? TOOL_FAIL : TOOL_OK;
}

/* Sockets first: nothing that reads files needs what they need. */
static int run(struct play *p, char *word[], size_t n)
{
    int status;

    at_wire_privileges(true);
    status = open_wires(p);
    at_wire_privileges(false);
    if (status == TOOL_OK)
        status = open_changes(p);
    if (status == TOOL_OK)
        status = open_question(p, word, n);
    if (status == TOOL_OK)
        status = take_parts(p);
    if (status == TOOL_OK && p->output != NULL)
        status = open_file(p);
    if (status == TOOL_OK && p->step)
        status = open_terminal(p);
    if (status == TOOL_OK)
        status = play(p);
    close_terminal(p);
    return status;
}

static void tear_down(struct play *p)
{
    at_packets_close(p->packets);
    at_parts_close(&p->parts);
    for (unsigned i = 0; i < p->replay.wires; i++)
        at_wire_close(&p->wire[i]);
    at_targets_close(&p->targets);
    at_paths_close(&p->paths);
    at_query_close(&p->query);
    at_pool_close(p->query.pool);
    tool_anon_close(&p->anon);
    tool_process_close(&p->process);
    free(p->scratch.p);
}

int main(int argc, char *argv[])
{
    static struct play p = {
        .loops = 1,
        .limit = UINT64_MAX,
        .ahead_bytes = AHEAD_BYTES,
        .terminal = -1,
    };
    const struct tool_option options[] = {
        TOOL_CALL('i', "interface", add_way, &p, "[WHICH=]INTERFACE",
                  "send there; WHICH are packets that went in or out, or of "
                  "the stream of that name"),
        TOOL_TEXT('o', "output", &p.output, "FILE",
                  "or write a pcap file or pipe at the same pace"),
        TOOL_HEADING("Pace:"),
        TOOL_CALL(0, "speed", set_speed, &p, "X",
                  "X times as fast as recorded (default 1)"),
        TOOL_CALL(0, "pps", set_pps, &p, "N", "N packets a second"),
        TOOL_CALL(0, "mbps", set_mbps, &p, "N",
                  "N million bits of frames a second"),
        TOOL_CALL(0, "top-speed", set_top, &p, NULL, "as fast as can be"),
        TOOL_CALL(0, "step", set_step, &p, NULL, "a packet for each key"),
        TOOL_DURATION(0, "max-gap", &p.pace.max_gap_ns, "DURATION",
                      "wait no longer than that between two packets"),
        TOOL_TEXT(0, "at", &p.start_at, "TIME", "begin then"),
        TOOL_DURATION(0, "skip", &p.skip_ns, "DURATION",
                      "leave out what comes so soon after the first packet"),
        TOOL_COUNT(0, "loop", &p.loops, "N", "play N times (0: until stopped)"),
        TOOL_COUNT(0, "limit", &p.limit, "N", "send N packets in all"),
        TOOL_COUNT(0, "ahead", &p.ahead_bytes, "SIZE",
                   "read so much ahead (default 16Mi)"),
        TOOL_HEADING("Changes:"),
        TOOL_CALL(0, "src-mac", set_src_mac, &p, "MAC", "of all frames"),
        TOOL_CALL(0, "dst-mac", set_dst_mac, &p, "MAC",
                  "of all frames; needed to send IP that is not in Ethernet"),
        TOOL_CALL(0, "mac", add_mac, &p, "OLD=NEW",
                  "one MAC address for another; may be given often"),
        TOOL_CALL(0, "net", add_net, &p, "OLD=NEW",
                  "addresses of one network become those of another, as in "
                  "10.0.0.0/8=172.0.0.0/8; may be given often"),
        TOOL_CALL(0, "vlan", set_vlan, &p, "ID",
                  "the outermost VLAN tag gets that id, or is added"),
        TOOL_FLAG(0, "make-checksums", &p.edit.checksums,
                  "anew, where a packet is whole"),
        TOOL_CHOICE(0, "truncated", &p.edit.shorts, "pad|skip|send",
                    "packets that were not captured whole"),
        TOOL_CHOICE(0, "oversize", &p.edit.longs, "skip|cut",
                    "frames that are too long for the interface"),
        TOOL_PROCESS(&p.process),
        TOOL_HEADING("Anonymising:"),
        TOOL_ANON_OPTIONS(&p.anon, "anon"),
        TOOL_HEADING("Other:"),
        TOOL_FLAG(0, "yes-i-own-this-network", &p.mine,
                  "send to an interface that may lead to one"),
        TOOL_CHOICE(0, "via", &p.wire_kind, "best|ring|calls|pcap",
                    "how frames are handed to an interface"),
        TOOL_SELECTION_BUT(&p.selection, TOOL_NO_LIMIT),
        TOOL_INPUT(&p.reading),
        TOOL_COMMON_BUT(&p.common,
                        TOOL_NO_STRICT | TOOL_NO_SALVAGE | TOOL_NO_LOCAL),
        TOOL_END,
    };
    const int i = tool_parse(argc, argv,
                             "[selection] [pace] [changes] "
                             "-i interface | -o file archive|file ...",
                             options);
    int status;

    tool_selection_resolve(&p.selection);
    if (i == argc)
        tool_usage_error("no archive or file is named");
    check_usage(&p);
    find_start(&p);
    status = run(&p, argv + i, (size_t)(argc - i));
    tear_down(&p);
    return tool_finish(status);
}
