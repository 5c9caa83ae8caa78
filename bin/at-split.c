/*
 * at-split - one trace into many
 *
 * By time, count and size the pieces follow each other, and one is open at a
 * time.  By stream, direction, host or flow they lie side by side, and there
 * may be any number (tool_pieces).  By application all records wait
 * (at_naming) until that of every flow is known, and are then told apart.  A
 * piece holds the same records in the same order either way, so its bytes
 * depend on the inputs alone.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "naming.h"
#include "tool_split.h"

enum {
    NO_KEY = -1,
    CHECK_EVERY = 1024,
};

struct split {
    struct tool_copy copy;
    const char *text; /* the template as typed */
    int64_t interval_ns;
    uint64_t count, bytes;
    int by; /* enum tool_by, or NO_KEY */
    uint64_t jump;
    struct tool_pieces pieces;

    /* One after the other. */
    struct tool_slice now;
    uint64_t packets; /* in it */
    int64_t from_ns, to_ns;
    uint64_t late;

    /* Side by side. */
    struct at_sighting how;
    const char *rules; /* a file of the user's; NULL: there is none */
    struct at_apps *apps;
    struct at_naming *naming;
    uint64_t no_inner; /* packets without so many IP headers */
};

/* ---- names ----------------------------------------------------------- */

static void name(void *ctx, struct tool_piece *of, char *key,
                 const struct at_flow_key *of_key, const struct at_packet *pkt,
                 const struct at_sight *sight)
{
    const struct split *s = ctx;

    of->ns = s->interval_ns > 0 ? s->from_ns : at_ts_to_ns(pkt->ts);
    of->stream = s->copy.in.paths.path[pkt->source];
    of->key = s->by == TOOL_BY_STREAM ? NULL : key;
    if (s->by != NO_KEY)
        tool_key_text(key, (enum tool_by)s->by, of_key, pkt, sight);
}

/* ---- one after the other --------------------------------------------- */

static int64_t add_time(int64_t ns, int64_t more)
{
    return ns > AT_TIME_MAX - more ? AT_TIME_MAX : ns + more;
}

/* The time in UTC at which clocks here show 'local_ns'. */
static int64_t from_local(int64_t local_ns)
{
    const time_t sec = (time_t)(local_ns / 1000000000);
    struct tm tm;

    gmtime_r(&sec, &tm);
    tm.tm_isdst = -1;
    return (int64_t)mktime(&tm) * 1000000000 + local_ns % 1000000000;
}

/*
 * The interval that a time is in: multiples of the duration since 1970 as the
 * clock on the wall counts.  Where that clock is put forward or back only
 * intervals of more than an hour are of another length.
 */
static void set_interval(struct split *s, int64_t ns)
{
    const int64_t hour = INT64_C(3600000000000), d = s->interval_ns;
    const time_t sec = (time_t)(ns / 1000000000);
    struct tm tm = {.tm_gmtoff = 0};
    int64_t start;

    if (s->copy.common.local)
        localtime_r(&sec, &tm);
    start = ns + tm.tm_gmtoff * INT64_C(1000000000);
    start -= start % d;
    if (!s->copy.common.local || d <= hour) {
        s->from_ns = start - tm.tm_gmtoff * INT64_C(1000000000);
        s->to_ns = add_time(s->from_ns, d);
    } else {
        s->from_ns = from_local(start);
        s->to_ns = d > AT_TIME_MAX - start ? AT_TIME_MAX
                                           : from_local(start + d);
    }
}

/* A record without a time stays where it is. */
static bool is_later(const struct split *s, const struct at_packet *pkt)
{
    return s->interval_ns > 0 && !pkt->timeless &&
           at_ts_to_ns(pkt->ts) >= s->to_ns;
}

static bool is_full(const struct split *s, const struct at_packet *pkt)
{
    const struct at_writer *w = s->now.out->writer;

    if (s->packets == s->count)
        return true;
    return s->bytes < UINT64_MAX && w != NULL &&
           at_writer_raw_bytes(w) + at_writer_most_bytes(w, pkt) > s->bytes;
}

static enum at_status end_now(struct split *s, struct at_error *err)
{
    const enum at_status st = tool_slice_end(&s->pieces, &s->now, err);

    tool_slice_drop(&s->now);
    s->now = (struct tool_slice){.n = 0};
    s->packets = 0;
    return st;
}

static enum at_status put_in_turn(struct split *s, const struct at_packet *pkt,
                                  struct at_error *err)
{
    const bool packet = pkt->kind == AT_KIND_PACKET;
    enum at_status st = AT_OK;

    if (packet && s->packets > 0 && (is_later(s, pkt) || is_full(s, pkt)))
        st = end_now(s, err);
    if (st == AT_OK && s->now.n == 0)
        st = tool_slice_begin(&s->pieces, &s->now, err);
    if (st != AT_OK)
        return st;
    if (packet && s->interval_ns > 0 && !pkt->timeless) {
        const int64_t ns = at_ts_to_ns(pkt->ts);

        if (s->packets == 0 || ns >= s->to_ns)
            set_interval(s, ns);
        s->late += ns < s->from_ns;
    }
    s->packets += packet;
    return tool_slice_put(&s->pieces, &s->now, pkt, NULL, err);
}

/* ---- side by side ---------------------------------------------------- */

static enum at_status put_by_key(struct split *s, const struct at_packet *pkt,
                                 const struct at_sight *sight,
                                 struct at_error *err)
{
    struct at_flow_key key[2];
    const unsigned n = tool_keys(key, (enum tool_by)s->by, pkt, sight);
    enum at_status st = AT_OK;

    for (unsigned i = 0; i < n && st == AT_OK; i++)
        st = tool_pieces_put(&s->pieces, &key[i], pkt, sight,
                             s->by == TOOL_BY_FLOW ? sight : NULL, err);
    return st;
}

/* A record that is no packet is of an input; of the keys of packets, nothing
 * can be said. */
static enum at_status put_beside(struct split *s, const struct at_packet *pkt,
                                 struct at_error *err)
{
    const bool packet = pkt->kind == AT_KIND_PACKET;
    struct at_sight sight = {.packet = false}; /* by what needs none */
    const char *note;
    size_t n;

    if (s->by == TOOL_BY_APP && !packet)
        return at_naming_add(s->naming, pkt, NULL, err);
    if (!packet && s->by != TOOL_BY_STREAM)
        return AT_OK;
    if (s->by < TOOL_BY_HOST)
        return put_by_key(s, pkt, &sight, err);
    note = at_traces_note(s->copy.in.traces, &n);
    if (n != sizeof(sight))
        return at_error_set(err, AT_ERR_MISUSE, "a packet without its key");
    memcpy(&sight, note, sizeof(sight));
    return s->by == TOOL_BY_APP ? at_naming_add(s->naming, pkt, &sight, err)
                                : put_by_key(s, pkt, &sight, err);
}

/* ---- by application -------------------------------------------------- */

static enum at_status put_named(struct split *s, const struct at_packet *pkt,
                                const struct at_flow_name *name,
                                struct at_error *err)
{
    struct at_flow_key key;

    tool_app_key(&key, name->ip ? at_app_name(s->apps, name->app) : NULL,
                 name->ethertype);
    if (pkt->kind != AT_KIND_PACKET)
        return tool_pieces_note(&s->pieces, pkt, err);
    return tool_pieces_put(&s->pieces, &key, pkt, NULL, NULL, err);
}

/* All flows are over, and what has waited goes to its piece. */
static enum at_status put_all_named(struct split *s, struct at_error *err)
{
    enum at_status st = at_naming_finish(s->naming, err);
    struct at_flow_name name;
    struct at_packet pkt;

    for (unsigned n = 1; st == AT_OK; n++) {
        st = at_naming_take(s->naming, &pkt, &name, err);
        if (st == AT_OK)
            st = put_named(s, &pkt, &name, err);
        if (st == AT_OK && n % CHECK_EVERY == 0 && tool_stopped())
            return at_error_set(err, AT_ERR_SYSTEM, "stopped");
    }
    return st == AT_END ? AT_OK : st;
}

/* ---- the run --------------------------------------------------------- */

/* On any thread: what a packet is told apart by. */
static void note_sight(void *ctx, struct at_text *note,
                       const struct at_packet *record)
{
    const struct split *s = ctx;
    struct at_packet pkt = *record;
    struct at_sight sight;
    struct at_quote quote;

    if (pkt.kind != AT_KIND_PACKET ||
        (s->jump > 0 && !tool_jump(&pkt, s->jump)))
        return;
    at_sight_take(&sight, &quote, &pkt, &s->how);
    at_text_add(note, &sight, sizeof(sight));
}

static enum at_status jump(void *ctx, struct at_packet *pkt,
                           struct at_error *err)
{
    struct split *s = ctx;

    (void)err;
    if (pkt->kind != AT_KIND_PACKET || tool_jump(pkt, s->jump))
        return AT_OK;
    s->no_inner++;
    return AT_END;
}

static enum at_status put(void *ctx, const struct at_packet *pkt,
                          struct at_error *err)
{
    struct split *s = ctx;
    enum at_status st;

    if (s->pieces.like.in == NULL)
        s->pieces.like = s->copy.out;
    st = s->by == NO_KEY ? put_in_turn(s, pkt, err) : put_beside(s, pkt, err);

    if (st == AT_OK && pkt->kind != AT_KIND_PACKET && s->naming == NULL)
        st = tool_pieces_note(&s->pieces, pkt, err);
    if (st == AT_OK && pkt->kind == AT_KIND_PACKET)
        tool_process_count(&s->copy.process, pkt);
    return st;
}

/* Where no packet came at all there is a piece if there were other records. */
static enum at_status end_last(struct split *s, struct at_error *err)
{
    return s->now.n > 0 ? end_now(s, err) : AT_OK;
}

static int end(void *ctx)
{
    struct split *s = ctx;
    struct at_error err;
    enum at_status st = AT_OK;

    if (s->naming != NULL)
        st = put_all_named(s, &err);
    if (st == AT_OK)
        st = s->by == NO_KEY ? end_last(s, &err)
                             : tool_pieces_finish(&s->pieces, &err);
    if (st < 0 && tool_stopped())
        return TOOL_FAIL;
    if (st < 0)
        return tool_error(&err);
    s->copy.out.packets = s->pieces.packets;
    s->copy.out.bytes = s->pieces.bytes;
    s->copy.out.complete = true;
    return tool_losses(s->pieces.names.text, s->copy.out.opts.format,
                       &s->pieces.losses);
}

static void finish(void *ctx, struct tool_copy *copy)
{
    const struct split *s = ctx;

    tool_summary_count(&copy->summary, s->pieces.written, "piece", "");
    tool_summary_count(&copy->summary, s->late, "packet", " late");
    tool_summary_count(&copy->summary, s->pieces.beyond, "packet",
                       " of further pieces left out");
    tool_summary_count(&copy->summary, s->no_inner, "packet",
                       " without such an IP header left out");
}

/* ---- before and after ------------------------------------------------ */

static void check_usage(struct split *s, int inputs)
{
    const bool in_turn = s->interval_ns != 0 || s->count < UINT64_MAX ||
                         s->bytes < UINT64_MAX;

    if (in_turn == (s->by != NO_KEY))
        tool_usage_error("how to split must be told: by -i, -c or -b, or "
                         "by --by");
    if (s->interval_ns < 0 || s->count == 0 || s->bytes == 0 ||
        s->pieces.most == 0)
        tool_usage_error("pieces of nothing");
    if (s->rules != NULL && s->by != TOOL_BY_APP)
        tool_usage_error("--rules is for --by app");
    if (s->text == NULL)
        tool_usage_error("no template for the names of pieces is given: -o");
    if (inputs == 0)
        tool_usage_error("no file is named");
}

static void name_pieces(struct split *s)
{
    const char *enough = "n";

    if (s->by == TOOL_BY_STREAM)
        enough = "nks";
    else if (s->by != NO_KEY)
        enough = "nk";
    else if (s->count == UINT64_MAX && s->bytes == UINT64_MAX)
        enough = "n%";
    s->pieces.names.local = s->copy.common.local;
    tzset();
    if (s->by == NO_KEY && strstr(s->text, "{key}") != NULL)
        tool_usage_error("{key} is for --by");
    tool_template_open(&s->pieces.names, s->text,
                       s->by != NO_KEY ? "{key}" : "{n}", enough);
}

static enum at_status open_naming(struct split *s, struct at_error *err)
{
    char *folder = tool_template_folder(&s->pieces.names);
    enum at_status st = at_apps_open(&s->apps, s->rules, err);

    if (st == AT_OK && folder == NULL)
        st = at_error_set(err, AT_ERR_MEMORY, "out of memory");
    if (st == AT_OK)
        st = at_naming_open(&s->naming, s->apps, s->how.seed, folder, err);
    free(folder);
    return st;
}

static enum at_status set_up(struct split *s, struct at_error *err)
{
    enum at_status st = tool_pieces_open(&s->pieces, err);

    return st == AT_OK && s->by == TOOL_BY_APP ? open_naming(s, err) : st;
}

/* Pieces that are not complete go. */
static void drop_pieces(void *ctx)
{
    struct split *s = ctx;

    tool_pieces_drop(&s->pieces);
    tool_slice_drop(&s->now);
}

static void tear_down(struct split *s)
{
    at_naming_close(s->naming);
    at_apps_close(s->apps);
    tool_pieces_close(&s->pieces);
}

static int split(struct split *s, char *input[], size_t n)
{
    struct at_error err;

    s->how.seed = at_flow_key_seed();
    s->pieces.seed = s->how.seed;
    s->pieces.inputs = &s->copy.in.paths;
    s->pieces.name = name;
    s->pieces.ctx = s;
    if (set_up(s, &err) != AT_OK)
        return tool_error(&err);
    s->copy.ctx = s;
    s->copy.put = put;
    s->copy.end = end;
    s->copy.finish = finish;
    s->copy.close = drop_pieces;
    if (s->by >= TOOL_BY_HOST) {
        s->copy.in.wanted.note = note_sight;
        s->copy.in.wanted.ctx = s;
    }
    if (s->jump > 0)
        s->copy.take = jump;
    s->copy.plain = s->jump > 0;
    return tool_copy(&s->copy, input, n, s->pieces.names.text);
}

int main(int argc, char *argv[])
{
    struct split s = {
        .by = NO_KEY,
        .count = UINT64_MAX,
        .bytes = UINT64_MAX,
        .pieces = {.most = UINT64_MAX},
    };
    const struct tool_option options[] = {
        TOOL_TEXT('o', "output", &s.text, "TEMPLATE",
                  "names of the pieces: {n} {stream} {key}, and %H and other "
                  "letters of strftime"),
        TOOL_DURATION('i', "interval", &s.interval_ns, "DURATION",
                      "a piece for each interval of the clock on the wall"),
        TOOL_COUNT('c', "count", &s.count, "PACKETS",
                   "so many packets in a piece"),
        TOOL_COUNT('b', "bytes", &s.bytes, "SIZE",
                   "so many bytes in a piece, before compression"),
        TOOL_CHOICE(0, "by", &s.by, "stream|direction|host|flow|app",
                    "a piece for each input, direction, host, flow or "
                    "application"),
        TOOL_TEXT(0, "rules", &s.rules, "FILE",
                  "rules of applications that come before the built-in ones"),
        TOOL_COUNT('m', "maxfiles", &s.pieces.most, "N",
                   "no more than so many pieces"),
        TOOL_COUNT(0, "jump", &s.jump, "N",
                   "keep of each packet what begins with its Nth IP header"),
        TOOL_FLAG(0, "overwrite", &s.pieces.overwrite,
                  "replace files that are there already"),
        TOOL_WRITING(&s.copy),
        TOOL_FLAG(0, "sequence", &s.copy.in.sequence,
                  "read the inputs one after the other, not by time"),
        TOOL_SELECTION(&s.copy.selection),
        TOOL_INPUT(&s.copy.in.reading),
        TOOL_PROCESS(&s.copy.process),
        TOOL_COMMON_BUT(&s.copy.common, TOOL_NO_JSON),
        TOOL_END,
    };
    const int i = tool_parse(argc, argv,
                             "[selection] [processing] [-i duration] "
                             "[-c packets] [-b size] [--by key] "
                             "[--rules file] [-m n] "
                             "[--jump n] [--overwrite] [-F format] "
                             "[-Z codec[:level]] [--sequence] -o template "
                             "input ...",
                             options);
    int status;

    check_usage(&s, argc - i);
    name_pieces(&s);
    status = split(&s, argv + i, (size_t)(argc - i));
    tear_down(&s);
    return tool_finish(status);
}
