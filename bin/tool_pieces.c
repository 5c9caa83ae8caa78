/*
 * tool_pieces.c - many traces written at once
 *
 * Before the first packet of a piece stand the records that it needs of those
 * before it (at_heading).  Until that packet has come the records of a piece
 * wait in the spool, since its name may want the time.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "datagrams.h"
#include "files.h"
#include "tool_split.h"

enum {
    OPEN_MOST = 8, /* pieces by key that are open at a time */
    CHECK_EVERY = 1024,
};

static enum at_status out_of_memory(struct at_error *err)
{
    return at_error_set(err, AT_ERR_MEMORY, "out of memory");
}

/* ---- names ----------------------------------------------------------- */

static bool is_input(const struct tool_pieces *p, const struct stat *file)
{
    const struct at_paths *paths = p->inputs;
    struct stat in;

    for (size_t i = 0; i < paths->n; i++)
        if (stat(paths->path[i], &in) == 0 && in.st_dev == file->st_dev &&
            in.st_ino == file->st_ino)
            return true;
    return false;
}

static enum at_status check_name(const struct tool_pieces *p, const char *name,
                                 struct at_error *err)
{
    struct stat st;

    if (stat(name, &st) != 0 || !S_ISREG(st.st_mode))
        return AT_OK;
    if (is_input(p, &st))
        return at_error_set(err, AT_ERR_MISUSE, "%s: is both input and output",
                            name);
    return p->overwrite
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

static enum at_status name_slice(struct tool_pieces *p, struct tool_slice *s,
                                 const struct at_packet *pkt,
                                 const struct at_sight *sight,
                                 struct at_error *err)
{
    char key[TOOL_KEY_TEXT];
    struct tool_piece of = {.n = s->n};

    p->name(p->ctx, &of, key, &s->key, pkt, sight);
    s->name = tool_template_name(&p->names, &of);
    return s->name != NULL ? check_name(p, s->name, err) : out_of_memory(err);
}

/* ---- one piece ------------------------------------------------------- */

/* What it needs of the records so far waits in the spool. */
enum at_status tool_slice_begin(struct tool_pieces *p, struct tool_slice *s,
                                struct at_error *err)
{
    enum at_status st = AT_OK;

    if (p->begun == p->most)
        return AT_END;
    s->n = ++p->begun;
    for (size_t i = 0; i < at_heading_records(p->heading) && st == AT_OK; i++) {
        const struct at_packet *pkt = at_heading_record(p->heading, i);

        if (pkt->format == p->like.opts.format)
            st = at_spool_add(p->spool, s->queue, pkt, err);
    }
    return st;
}

/* What has waited goes to the writer of the piece. */
static enum at_status open_slice(struct tool_pieces *p, struct tool_slice *s,
                                 struct at_error *err)
{
    struct at_packet pkt;
    enum at_status st = make_folder(s->name, err);

    if (st != AT_OK)
        return st;
    s->out = calloc(1, sizeof(*s->out));
    if (s->out == NULL)
        return out_of_memory(err);
    *s->out = p->like;
    s->out->path = s->name;
    for (unsigned n = 1; st == AT_OK; n++) {
        st = at_spool_take(p->spool, s->queue, &pkt, err);
        if (st == AT_OK)
            st = tool_output_put(s->out, &pkt, err);
        if (st == AT_OK && n % CHECK_EVERY == 0 && tool_stopped())
            return at_error_set(err, AT_ERR_SYSTEM, "stopped");
    }
    return st == AT_END ? AT_OK : st;
}

void tool_slice_drop(struct tool_slice *s)
{
    if (s->out != NULL)
        tool_output_close(s->out);
    free(s->out);
    s->out = NULL;
}

enum at_status tool_slice_put(struct tool_pieces *p, struct tool_slice *s,
                              const struct at_packet *pkt,
                              const struct at_sight *sight,
                              struct at_error *err)
{
    const unsigned most = p->open_most > 0 ? p->open_most : OPEN_MOST;
    enum at_status st = AT_OK;

    if (pkt->kind == AT_KIND_PACKET && !s->begun) {
        s->begun = true;
        st = name_slice(p, s, pkt, sight, err);
        if (st == AT_OK && p->open < most) {
            p->open++;
            st = open_slice(p, s, err);
        }
    }
    if (st != AT_OK)
        return st;
    return s->out != NULL ? tool_output_put(s->out, pkt, err)
                          : at_spool_add(p->spool, s->queue, pkt, err);
}

/* A piece whose packets were all left out is none. */
static enum at_status commit_slice(struct tool_pieces *p, struct tool_slice *s,
                                   struct at_error *err)
{
    struct tool_output *out = s->out;
    enum at_status st = AT_OK;

    if (out->writer != NULL) {
        const struct at_losses *l = at_writer_losses(out->writer);

        at_losses_add(&p->losses, l);
        if (out->packets > 0 || l->linktypes == 0) {
            st = at_writer_commit(out->writer);
            p->written += st == AT_OK;
        }
        if (st != AT_OK)
            *err = *at_writer_error(out->writer);
        else
            tool_verbose("%s: %llu packets", s->name,
                         (unsigned long long)out->packets);
    } else {
        at_losses_add(&p->losses, &out->opts.losses);
    }
    p->packets += out->packets;
    p->bytes += out->bytes;
    p->open--;
    tool_slice_drop(s);
    return st;
}

enum at_status tool_slice_end(struct tool_pieces *p, struct tool_slice *s,
                              struct at_error *err)
{
    static const struct at_packet none = {.ts = 0};
    enum at_status st = AT_OK;

    if (!s->begun)
        st = name_slice(p, s, &none, NULL, err);
    if (st == AT_OK && s->out == NULL) {
        p->open++;
        st = open_slice(p, s, err);
    }
    return st == AT_OK ? commit_slice(p, s, err) : st;
}

/* ---- side by side ---------------------------------------------------- */

static uint32_t *find_slot(const struct tool_pieces *p,
                           const struct at_flow_key *key, uint32_t hash)
{
    size_t i = hash & (p->slots - 1);

    while (p->slot[i] != 0 &&
           (p->slice[p->slot[i] - 1].hash != hash ||
            memcmp(&p->slice[p->slot[i] - 1].key, key, sizeof(*key)) != 0))
        i = (i + 1) & (p->slots - 1);
    return &p->slot[i];
}

/* Room for one more; the table is at most half full. */
static bool make_room(struct tool_pieces *p)
{
    const size_t room = p->room > 0 ? 2 * p->room : 64;
    struct tool_slice *s;

    if (p->n < p->room)
        return true;
    s = realloc(p->slice, room * sizeof(s[0]));
    if (s == NULL)
        return false;
    p->slice = s;
    p->room = room;
    free(p->slot);
    p->slots = 2 * room;
    p->slot = calloc(p->slots, sizeof(p->slot[0]));
    if (p->slot == NULL)
        return false;
    for (size_t i = 0; i < p->n; i++)
        *find_slot(p, &p->slice[i].key, p->slice[i].hash) = (uint32_t)i + 1;
    return true;
}

/* The number of the slice of a key, which may be new; AT_END if there are to
 * be no more pieces. */
static enum at_status find_key(struct tool_pieces *p,
                               const struct at_flow_key *key, uint32_t *number,
                               struct at_error *err)
{
    const uint32_t hash = at_flow_key_hash(key, p->seed);
    uint32_t *slot;

    if (!make_room(p))
        return out_of_memory(err);
    slot = find_slot(p, key, hash);
    if (*slot != 0) {
        *number = *slot - 1;
        return AT_OK;
    }
    if (p->begun == p->most || p->n == UINT32_MAX)
        return AT_END;
    *number = (uint32_t)p->n++;
    *slot = *number + 1;
    p->slice[*number] = (struct tool_slice){
        .key = *key,
        .hash = hash,
        .queue = *number,
    };
    return tool_slice_begin(p, &p->slice[*number], err);
}

static enum at_status find_flow(struct tool_pieces *p,
                                const struct at_flow_key *key,
                                const struct at_sight *sight, uint32_t *number,
                                struct at_error *err)
{
    const struct at_datagram *first = NULL;
    enum at_status st;

    if ((sight->flags & AT_DECODED_LATER) != 0)
        first = at_datagrams_find(p->datagrams, sight);
    if (first != NULL) {
        *number = first->value;
        return AT_OK;
    }
    st = find_key(p, key, number, err);
    if (st == AT_OK && (sight->flags & AT_DECODED_FRAGMENT) != 0 &&
        (sight->flags & AT_DECODED_LATER) == 0 &&
        at_datagrams_put(p->datagrams, sight, *number) != AT_OK)
        return out_of_memory(err);
    return st;
}

enum at_status
tool_pieces_put(struct tool_pieces *p, const struct at_flow_key *key,
                const struct at_packet *pkt, const struct at_sight *sight,
                const struct at_sight *flow, struct at_error *err)
{
    uint32_t number = 0;
    const enum at_status st = flow != NULL
                                  ? find_flow(p, key, flow, &number, err)
                                  : find_key(p, key, &number, err);

    if (st == AT_OK)
        return tool_slice_put(p, &p->slice[number], pkt, sight, err);
    p->beyond += st == AT_END;
    return st == AT_END ? AT_OK : st;
}

enum at_status tool_pieces_note(struct tool_pieces *p,
                                const struct at_packet *pkt,
                                struct at_error *err)
{
    return at_heading_note(p->heading, pkt, err);
}

/* ---- all of them ----------------------------------------------------- */

enum at_status tool_pieces_open(struct tool_pieces *p, struct at_error *err)
{
    char *folder = tool_template_folder(&p->names);
    char *beside = folder != NULL ? at_path_join(folder, "pieces") : NULL;
    enum at_status st = beside != NULL ? make_folder(beside, err)
                                       : out_of_memory(err);

    if (st == AT_OK)
        st = at_spool_open(&p->spool, beside, 0, err);
    if (st == AT_OK)
        st = at_heading_open(&p->heading, err);
    p->datagrams = at_datagrams_open();
    if (st == AT_OK && p->datagrams == NULL)
        st = out_of_memory(err);
    free(folder);
    free(beside);
    return st;
}

enum at_status tool_pieces_finish(struct tool_pieces *p, struct at_error *err)
{
    enum at_status st = AT_OK;

    for (size_t i = 0; i < p->n && st == AT_OK; i++) {
        struct tool_slice *s = &p->slice[i];

        if (tool_stopped())
            return at_error_set(err, AT_ERR_SYSTEM, "stopped");
        if (s->begun)
            st = tool_slice_end(p, s, err);
    }
    return st;
}

void tool_pieces_drop(struct tool_pieces *p)
{
    for (size_t i = 0; i < p->n; i++)
        tool_slice_drop(&p->slice[i]);
}

void tool_pieces_close(struct tool_pieces *p)
{
    tool_pieces_drop(p);
    at_spool_close(p->spool);
    at_heading_close(p->heading);
    at_datagrams_close(p->datagrams);
    tool_template_close(&p->names);
    free(p->slice);
    free(p->slot);
}
