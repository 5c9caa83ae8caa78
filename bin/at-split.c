/*
 * at-split - one trace into many
 *
 * By time, count and size the pieces follow each other, and one is open at a
 * time.  By stream, direction, host or flow they lie side by side, and there
 * may be any number: the first few are written as their packets come, all
 * others are kept in a spool and written one after the other at the end.  A
 * piece holds the same records in the same order either way, so its bytes
 * depend on the inputs alone.  By application all records wait (at_naming)
 * until that of every flow is known, and are then told apart.
 *
 * Before the first packet of a piece stand the records that it needs of those
 * before it (at_heading).  Until that packet has come the records of a piece
 * wait in the spool, since its name may want the time.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "datagrams.h"
#include "files.h"
#include "naming.h"
#include "tool_split.h"

enum {
    NO_KEY = -1,
    DIRECT_MOST = 8, /* pieces by key that are open at a time */
    CHECK_EVERY = 1024,
};

struct piece {
    struct at_flow_key key;
    uint32_t hash;
    uint32_t queue; /* of the spool */
    bool begun;     /* has a packet */
    uint64_t n;
    const char *name;
    struct tool_output *out; /* NULL: it is in the spool */
};

struct split {
    struct tool_copy copy;
    const char *text; /* the template as typed */
    int64_t interval_ns;
    uint64_t count, bytes;
    int by; /* enum tool_by, or NO_KEY */
    uint64_t most_pieces;
    uint64_t jump;
    bool overwrite;

    struct tool_template names;
    struct at_spool *spool;
    struct at_heading *heading;
    uint64_t pieces;  /* begun */
    uint64_t written; /* complete */
    struct at_losses losses;

    /* One after the other. */
    struct piece now;
    uint64_t packets; /* in it */
    int64_t from_ns, to_ns;
    uint64_t late;

    /* Side by side. */
    struct at_sighting how;
    struct at_datagrams *datagrams;
    const char *rules; /* a file of the user's; NULL: there is none */
    struct at_apps *apps;
    struct at_naming *naming;
    struct piece *piece;
    size_t n, room;
    uint32_t *slot; /* a hash table of numbers of pieces, from 1 */
    size_t slots;
    unsigned direct;   /* that are open */
    uint64_t beyond;   /* packets of pieces that there are not to be */
    uint64_t no_inner; /* packets without so many IP headers */
};

/* ---- pieces ---------------------------------------------------------- */

static enum at_status out_of_memory(struct at_error *err)
{
    return at_error_set(err, AT_ERR_MEMORY, "out of memory");
}

static bool is_input(const struct split *s, const struct stat *file)
{
    const struct at_paths *paths = &s->copy.in.paths;
    struct stat in;

    for (size_t i = 0; i < paths->n; i++)
        if (stat(paths->path[i], &in) == 0 && in.st_dev == file->st_dev &&
            in.st_ino == file->st_ino)
            return true;
    return false;
}

static enum at_status check_name(const struct split *s, const char *name,
                                 struct at_error *err)
{
    struct stat st;

    if (stat(name, &st) != 0 || !S_ISREG(st.st_mode))
        return AT_OK;
    if (is_input(s, &st))
        return at_error_set(err, AT_ERR_MISUSE, "%s: is both input and output",
                            name);
    return s->overwrite
               ? AT_OK
               : at_error_set(err, AT_ERR_MISUSE,
                              "%s: is there already; --overwrite replaces it",
                              name);
}

static enum at_status make_folder(const char *name, struct at_error *err)
{
    if (strchr(name, '/') == NULL)
        return AT_OK;
    return name[0] == '/' ? at_dir_make_for("/", name + 1, err)
                          : at_dir_make_for(".", name, err);
}

/* The time that a piece is named by. */
static int64_t time_of(const struct split *s, const struct at_packet *pkt)
{
    return s->interval_ns > 0 ? s->from_ns : at_ts_to_ns(pkt->ts);
}

static enum at_status name_piece(struct split *s, struct piece *p,
                                 const struct at_packet *pkt,
                                 const struct at_sight *sight,
                                 struct at_error *err)
{
    char key[TOOL_KEY_TEXT];
    const struct tool_piece of = {
        .n = p->n,
        .ns = time_of(s, pkt),
        .stream = s->copy.in.paths.path[pkt->source],
        .key = s->by == TOOL_BY_STREAM ? NULL : key,
    };

    if (s->by == TOOL_BY_APP && p->key.net != AT_NET_OTHER)
        snprintf(key, sizeof(key), "%s", at_app_name(s->apps, p->key.hi_port));
    else if (s->by != NO_KEY)
        tool_key_text(key, (enum tool_by)s->by, &p->key, pkt, sight);
    p->name = tool_template_name(&s->names, &of);
    return p->name != NULL ? check_name(s, p->name, err) : out_of_memory(err);
}

/* A new piece: what it needs of the records so far waits in the spool. */
static enum at_status start_piece(struct split *s, struct piece *p,
                                  struct at_error *err)
{
    enum at_status st = AT_OK;

    p->n = ++s->pieces;
    for (size_t i = 0; i < at_heading_records(s->heading) && st == AT_OK; i++) {
        const struct at_packet *pkt = at_heading_record(s->heading, i);

        if (pkt->format == s->copy.out.opts.format)
            st = at_spool_add(s->spool, p->queue, pkt, err);
    }
    return st;
}

/* What has waited goes to the writer of the piece. */
static enum at_status open_piece(struct split *s, struct piece *p,
                                 struct at_error *err)
{
    struct at_packet pkt;
    enum at_status st = make_folder(p->name, err);

    if (st != AT_OK)
        return st;
    p->out = calloc(1, sizeof(*p->out));
    if (p->out == NULL)
        return out_of_memory(err);
    p->out->path = p->name;
    p->out->opts = s->copy.out.opts;
    p->out->in = &s->copy.in;
    p->out->longer = s->copy.out.longer;
    for (unsigned n = 1; st == AT_OK; n++) {
        st = at_spool_take(s->spool, p->queue, &pkt, err);
        if (st == AT_OK)
            st = tool_output_put(p->out, &pkt, err);
        if (st == AT_OK && n % CHECK_EVERY == 0 && tool_stopped())
            return at_error_set(err, AT_ERR_SYSTEM, "stopped");
    }
    return st == AT_END ? AT_OK : st;
}

static void drop_piece(struct piece *p)
{
    if (p->out != NULL)
        tool_output_close(p->out);
    free(p->out);
    p->out = NULL;
}

/* A piece whose packets were all left out is none. */
static enum at_status finish_piece(struct split *s, struct piece *p,
                                   struct at_error *err)
{
    struct tool_output *out = p->out;
    enum at_status st = AT_OK;

    if (out->writer != NULL) {
        const struct at_losses *l = at_writer_losses(out->writer);

        at_losses_add(&s->losses, l);
        if (out->packets > 0 || l->linktypes == 0) {
            st = at_writer_commit(out->writer);
            s->written += st == AT_OK;
        }
        if (st != AT_OK)
            *err = *at_writer_error(out->writer);
        else
            tool_verbose("%s: %llu packets", p->name,
                         (unsigned long long)out->packets);
    } else {
        at_losses_add(&s->losses, &out->opts.losses);
    }
    s->copy.out.packets += out->packets;
    s->copy.out.bytes += out->bytes;
    drop_piece(p);
    return st;
}

static bool may_open(struct split *s)
{
    return s->by == NO_KEY || s->direct < DIRECT_MOST;
}

static enum at_status put_record(struct split *s, struct piece *p,
                                 const struct at_packet *pkt,
                                 const struct at_sight *sight,
                                 struct at_error *err)
{
    enum at_status st = AT_OK;

    if (pkt->kind == AT_KIND_PACKET && !p->begun) {
        p->begun = true;
        st = name_piece(s, p, pkt, sight, err);
        if (st == AT_OK && may_open(s)) {
            s->direct++;
            st = open_piece(s, p, err);
        }
    }
    if (st != AT_OK)
        return st;
    return p->out != NULL ? tool_output_put(p->out, pkt, err)
                          : at_spool_add(s->spool, p->queue, pkt, err);
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
    const enum at_status st = finish_piece(s, &s->now, err);

    s->now = (struct piece){.queue = 0};
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
    if (st == AT_OK && s->now.n == 0) {
        if (s->pieces == s->most_pieces)
            return AT_END;
        st = start_piece(s, &s->now, err);
    }
    if (st != AT_OK)
        return st;
    if (packet && s->interval_ns > 0 && !pkt->timeless) {
        const int64_t ns = at_ts_to_ns(pkt->ts);

        if (s->packets == 0 || ns >= s->to_ns)
            set_interval(s, ns);
        s->late += ns < s->from_ns;
    }
    s->packets += packet;
    return put_record(s, &s->now, pkt, NULL, err);
}

/* ---- side by side ---------------------------------------------------- */

static uint32_t *find_slot(const struct split *s, const struct at_flow_key *key,
                           uint32_t hash)
{
    size_t i = hash & (s->slots - 1);

    while (s->slot[i] != 0 &&
           (s->piece[s->slot[i] - 1].hash != hash ||
            memcmp(&s->piece[s->slot[i] - 1].key, key, sizeof(*key)) != 0))
        i = (i + 1) & (s->slots - 1);
    return &s->slot[i];
}

/* Room for one more; the table is at most half full. */
static bool make_room(struct split *s)
{
    const size_t room = s->room > 0 ? 2 * s->room : 64;
    struct piece *p;

    if (s->n < s->room)
        return true;
    p = realloc(s->piece, room * sizeof(p[0]));
    if (p == NULL)
        return false;
    s->piece = p;
    s->room = room;
    free(s->slot);
    s->slots = 2 * room;
    s->slot = calloc(s->slots, sizeof(s->slot[0]));
    if (s->slot == NULL)
        return false;
    for (size_t i = 0; i < s->n; i++)
        *find_slot(s, &s->piece[i].key, s->piece[i].hash) = (uint32_t)i + 1;
    return true;
}

/* The number of the piece of a key, which may be new; AT_END if there are to
 * be no more pieces. */
static enum at_status find_piece(struct split *s, const struct at_flow_key *key,
                                 uint32_t *number, struct at_error *err)
{
    const uint32_t hash = at_flow_key_hash(key, s->how.seed);
    uint32_t *slot;

    if (!make_room(s))
        return out_of_memory(err);
    slot = find_slot(s, key, hash);
    if (*slot != 0) {
        *number = *slot - 1;
        return AT_OK;
    }
    if (s->pieces == s->most_pieces || s->n == UINT32_MAX)
        return AT_END;
    *number = (uint32_t)s->n++;
    *slot = *number + 1;
    s->piece[*number] = (struct piece){
        .key = *key,
        .hash = hash,
        .queue = *number,
    };
    return start_piece(s, &s->piece[*number], err);
}

/* Fragments without ports go with the first of their datagram. */
static enum at_status find_flow(struct split *s, const struct at_flow_key *key,
                                const struct at_sight *sight, uint32_t *number,
                                struct at_error *err)
{
    enum at_status st;

    if ((sight->flags & AT_DECODED_LATER) != 0 &&
        at_datagrams_find(s->datagrams, sight, number))
        return AT_OK;
    st = find_piece(s, key, number, err);
    if (st == AT_OK && (sight->flags & AT_DECODED_FRAGMENT) != 0 &&
        (sight->flags & AT_DECODED_LATER) == 0 &&
        at_datagrams_put(s->datagrams, sight, *number) != AT_OK)
        return out_of_memory(err);
    return st;
}

static enum at_status put_by_key(struct split *s, const struct at_packet *pkt,
                                 const struct at_sight *sight,
                                 struct at_error *err)
{
    struct at_flow_key key[2];
    const unsigned n = tool_keys(key, (enum tool_by)s->by, pkt, sight);
    enum at_status st = AT_OK;
    uint32_t number = 0;

    for (unsigned i = 0; i < n && st == AT_OK; i++) {
        st = s->by == TOOL_BY_FLOW && sight != NULL
                 ? find_flow(s, &key[i], sight, &number, err)
                 : find_piece(s, &key[i], &number, err);
        if (st == AT_OK)
            st = put_record(s, &s->piece[number], pkt, sight, err);
        s->beyond += st == AT_END;
        st = st == AT_END ? AT_OK : st;
    }
    return st;
}

/* A record that is no packet is of an input; of the keys of packets, nothing
 * can be said. */
static enum at_status put_beside(struct split *s, const struct at_packet *pkt,
                                 struct at_error *err)
{
    const bool packet = pkt->kind == AT_KIND_PACKET;
    struct at_sight sight;
    const char *note;
    size_t n;

    if (s->by == TOOL_BY_APP && !packet)
        return at_naming_add(s->naming, pkt, NULL, err);
    if (!packet && s->by != TOOL_BY_STREAM)
        return AT_OK;
    if (s->by < TOOL_BY_HOST)
        return put_by_key(s, pkt, NULL, err);
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
    const struct at_flow_key key = {
        .net = name->ip ? AT_NET_IPV4 : AT_NET_OTHER,
        .hi_port = name->app,
        .lo_port = name->ethertype,
    };
    uint32_t number;
    enum at_status st;

    if (pkt->kind != AT_KIND_PACKET)
        return at_heading_note(s->heading, pkt, err);
    st = find_piece(s, &key, &number, err);
    if (st == AT_OK)
        return put_record(s, &s->piece[number], pkt, NULL, err);
    s->beyond += st == AT_END;
    return st == AT_END ? AT_OK : st;
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
    enum at_status st = s->by == NO_KEY ? put_in_turn(s, pkt, err)
                                        : put_beside(s, pkt, err);

    if (st == AT_OK && pkt->kind != AT_KIND_PACKET && s->naming == NULL)
        st = at_heading_note(s->heading, pkt, err);
    if (st == AT_OK && pkt->kind == AT_KIND_PACKET)
        tool_process_count(&s->copy.process, pkt);
    return st;
}

/* Where no packet came at all there is a piece if there were other records. */
static enum at_status finish_now(struct split *s, struct at_error *err)
{
    static const struct at_packet none = {.ts = 0};
    enum at_status st = AT_OK;

    if (s->now.n == 0)
        return AT_OK;
    if (!s->now.begun)
        st = name_piece(s, &s->now, &none, NULL, err);
    if (st == AT_OK && s->now.out == NULL)
        st = open_piece(s, &s->now, err);
    return st == AT_OK ? end_now(s, err) : st;
}

static enum at_status finish_keys(struct split *s, struct at_error *err)
{
    enum at_status st = AT_OK;

    for (size_t i = 0; i < s->n && st == AT_OK; i++) {
        struct piece *p = &s->piece[i];

        if (tool_stopped())
            return at_error_set(err, AT_ERR_SYSTEM, "stopped");
        if (p->begun && p->out == NULL)
            st = open_piece(s, p, err);
        if (st == AT_OK && p->out != NULL)
            st = finish_piece(s, p, err);
    }
    return st;
}

static int end(void *ctx)
{
    struct split *s = ctx;
    struct at_error err;
    enum at_status st = AT_OK;

    if (s->naming != NULL)
        st = put_all_named(s, &err);
    if (st == AT_OK)
        st = s->by == NO_KEY ? finish_now(s, &err) : finish_keys(s, &err);
    if (st < 0 && tool_stopped())
        return TOOL_FAIL;
    if (st < 0)
        return tool_error(&err);
    s->copy.out.complete = true;
    return tool_losses(s->names.text, s->copy.out.opts.format, &s->losses);
}

static void finish(void *ctx, struct tool_copy *copy)
{
    const struct split *s = ctx;

    tool_summary_count(&copy->summary, s->written, "piece", "");
    tool_summary_count(&copy->summary, s->late, "packet", " late");
    tool_summary_count(&copy->summary, s->beyond, "packet",
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
        s->most_pieces == 0)
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
    s->names.local = s->copy.common.local;
    tzset();
    if (s->by == NO_KEY && strstr(s->text, "{key}") != NULL)
        tool_usage_error("{key} is for --by");
    tool_template_open(&s->names, s->text, s->by != NO_KEY ? "{key}" : "{n}",
                       enough);
}

static enum at_status set_up(struct split *s, struct at_error *err)
{
    char *folder = tool_template_folder(&s->names);
    char *beside = folder != NULL ? at_path_join(folder, "at-split") : NULL;
    enum at_status st = beside != NULL ? make_folder(beside, err)
                                       : out_of_memory(err);

    if (st == AT_OK)
        st = at_spool_open(&s->spool, beside, 0, err);
    if (st == AT_OK)
        st = at_heading_open(&s->heading, err);
    if (st == AT_OK && s->by == TOOL_BY_APP)
        st = at_apps_open(&s->apps, s->rules, err);
    if (st == AT_OK && s->by == TOOL_BY_APP)
        st = at_naming_open(&s->naming, s->apps, s->how.seed, folder, err);
    s->datagrams = at_datagrams_open();
    if (st == AT_OK && s->datagrams == NULL)
        st = out_of_memory(err);
    free(folder);
    free(beside);
    return st;
}

/* Pieces that are not complete go. */
static void drop_pieces(void *ctx)
{
    struct split *s = ctx;

    for (size_t i = 0; i < s->n; i++)
        drop_piece(&s->piece[i]);
    drop_piece(&s->now);
}

static void tear_down(struct split *s)
{
    at_spool_close(s->spool);
    at_heading_close(s->heading);
    at_datagrams_close(s->datagrams);
    at_naming_close(s->naming);
    at_apps_close(s->apps);
    tool_template_close(&s->names);
    free(s->piece);
    free(s->slot);
}

static int split(struct split *s, char *input[], size_t n)
{
    struct at_error err;

    s->how.seed = at_flow_key_seed();
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
    return tool_copy(&s->copy, input, n, s->names.text);
}

int main(int argc, char *argv[])
{
    struct split s = {
        .by = NO_KEY,
        .count = UINT64_MAX,
        .bytes = UINT64_MAX,
        .most_pieces = UINT64_MAX,
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
        TOOL_COUNT('m', "maxfiles", &s.most_pieces, "N",
                   "no more than so many pieces"),
        TOOL_COUNT(0, "jump", &s.jump, "N",
                   "keep of each packet what begins with its Nth IP header"),
        TOOL_FLAG(0, "overwrite", &s.overwrite,
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
