/*
 * spool.c - records of many traces to be, kept until each is written
 *
 * Every queue has a buffer that doubles.  When all of them together have
 * grown past the limit they are written to the file, one after the other, and
 * each notes where its part is: an extent.  So the file is written in long
 * runs, and a queue is read in as many pieces as there were such moments.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "errors.h"
#include "stored.h"

enum {
    MEMORY_BYTES = 64 << 20,
    LEAST_BYTES = 512, /* of a buffer */
    STAGE_BYTES = 1 << 20,
    SECTIONS_MOST = 1 << 16,
};

struct extent {
    uint64_t offset;
    uint64_t bytes;
};

struct queue {
    struct extent *extent;
    uint32_t extents, extent_room;
    size_t used, room; /* of 'buf' */
    uint8_t *buf;
};

struct held {
    const struct at_layout *layout; /* NULL: the slot is free */
};

struct at_spool {
    char *beside;
    uint64_t memory;
    uint64_t held; /* bytes of all buffers */
    struct queue *queue;
    size_t queues;
    FILE *file; /* NULL until there is one */
    uint64_t file_bytes;

    /* Sections that records are of: a hash set, at most half full. */
    struct held *section;
    size_t sections, section_slots;
    const struct at_layout *last;

    uint8_t *buf; /* being read */
    size_t room, used, at;
    size_t reading; /* queue, from 1; 0: none */
    uint32_t next;  /* extent of it */
};

static enum at_status out_of_memory(struct at_error *err)
{
    return at_error_set(err, AT_ERR_MEMORY, "out of memory");
}

enum at_status at_spool_open(struct at_spool **out, const char *beside,
                             uint64_t memory, struct at_error *err)
{
    struct at_spool *s = calloc(1, sizeof(*s));

    *out = s;
    if (s != NULL)
        s->beside = strdup(beside);
    if (s == NULL || s->beside == NULL) {
        at_spool_close(s);
        *out = NULL;
        return out_of_memory(err);
    }
    s->memory = memory > 0 ? memory : MEMORY_BYTES;
    return AT_OK;
}

void at_spool_close(struct at_spool *s)
{
    if (s == NULL)
        return;
    for (size_t i = 0; i < s->queues; i++) {
        free(s->queue[i].buf);
        free(s->queue[i].extent);
    }
    for (size_t i = 0; i < s->section_slots; i++)
        at_layout_drop(s->section[i].layout);
    if (s->file != NULL)
        fclose(s->file);
    free(s->section);
    free(s->queue);
    free(s->beside);
    free(s->buf);
    free(s);
}

/* ---- sections -------------------------------------------------------- */

static struct held *find_section(const struct at_spool *s,
                                 const struct at_layout *layout)
{
    const uint64_t h = (uint64_t)(uintptr_t)layout *
                       UINT64_C(0x9e3779b97f4a7c15);
    size_t i = (size_t)(h >> 32) & (s->section_slots - 1);

    while (s->section[i].layout != NULL && s->section[i].layout != layout)
        i = (i + 1) & (s->section_slots - 1);
    return &s->section[i];
}

static bool grow_sections(struct at_spool *s)
{
    struct held *old = s->section;
    const size_t n = s->section_slots;

    s->section = calloc(n > 0 ? 2 * n : 16, sizeof(old[0]));
    if (s->section == NULL) {
        s->section = old;
        return false;
    }
    s->section_slots = n > 0 ? 2 * n : 16;
    for (size_t i = 0; i < n; i++)
        if (old[i].layout != NULL)
            *find_section(s, old[i].layout) = old[i];
    free(old);
    return true;
}

/* A section lives as long as the spool. */
static enum at_status hold_section(struct at_spool *s,
                                   const struct at_layout *layout,
                                   struct at_error *err)
{
    struct held *slot;

    if (layout == NULL || layout == s->last)
        return AT_OK;
    if (2 * s->sections >= s->section_slots && !grow_sections(s))
        return out_of_memory(err);
    slot = find_section(s, layout);
    if (slot->layout == NULL && s->sections == SECTIONS_MOST)
        return at_error_set(err, AT_ERR_LOSS,
                            "more than %d sections cannot be kept apart",
                            SECTIONS_MOST);
    if (slot->layout == NULL) {
        at_layout_hold(layout);
        slot->layout = layout;
        s->sections++;
    }
    s->last = layout;
    return AT_OK;
}

/* ---- the file -------------------------------------------------------- */

/* A file that nobody sees. */
static enum at_status make_file(struct at_spool *s, struct at_error *err)
{
    char *name;
    int fd;

    if (s->file != NULL)
        return AT_OK;
    if (asprintf(&name, "%s.XXXXXX.part", s->beside) < 0)
        return out_of_memory(err);
    fd = mkostemps(name, 5, O_CLOEXEC);
    if (fd >= 0) {
        unlink(name);
        s->file = fdopen(fd, "w+");
        if (s->file == NULL)
            close(fd);
    }
    free(name);
    if (s->file == NULL)
        return at_error_system(err, s->beside, "create a spool beside");
    setvbuf(s->file, NULL, _IOFBF, STAGE_BYTES);
    return AT_OK;
}

static enum at_status spill_queue(struct at_spool *s, struct queue *q,
                                  struct at_error *err)
{
    if (q->extents == q->extent_room) {
        const uint32_t room = 2 * q->extent_room + 2;
        struct extent *e = realloc(q->extent, room * sizeof(e[0]));

        if (e == NULL)
            return out_of_memory(err);
        q->extent = e;
        q->extent_room = room;
    }
    if (fwrite(q->buf, 1, q->used, s->file) != q->used)
        return at_error_system(err, s->beside, "write the spool beside");
    q->extent[q->extents++] = (struct extent){s->file_bytes, q->used};
    s->file_bytes += q->used;
    s->held -= q->room;
    free(q->buf);
    q->buf = NULL;
    q->used = q->room = 0;
    return AT_OK;
}

static enum at_status spill(struct at_spool *s, struct at_error *err)
{
    enum at_status st = make_file(s, err);

    for (size_t i = 0; i < s->queues && st == AT_OK; i++)
        if (s->queue[i].used > 0)
            st = spill_queue(s, &s->queue[i], err);
    if (st == AT_OK && fflush(s->file) != 0)
        st = at_error_system(err, s->beside, "write the spool beside");
    return st;
}

/* ---- adding ---------------------------------------------------------- */

static bool grow_queues(struct at_spool *s, size_t n)
{
    const size_t room = 2 * n > 64 ? 2 * n : 64;
    struct queue *q;

    if (n <= s->queues)
        return true;
    q = realloc(s->queue, room * sizeof(q[0]));
    if (q == NULL)
        return false;
    memset(q + s->queues, 0, (room - s->queues) * sizeof(q[0]));
    s->queue = q;
    s->queues = room;
    return true;
}

static enum at_status make_room(struct at_spool *s, struct queue *q, size_t n,
                                struct at_error *err)
{
    size_t room = q->room > 0 ? q->room : LEAST_BYTES;
    uint8_t *p;

    if (q->used + n <= q->room)
        return AT_OK;
    while (room < q->used + n)
        room *= 2;
    if (s->held + (room - q->room) > s->memory && s->held > 0) {
        const enum at_status st = spill(s, err);

        if (st != AT_OK)
            return st;
        for (room = LEAST_BYTES; room < n;)
            room *= 2;
    }
    p = realloc(q->buf, room);
    if (p == NULL)
        return out_of_memory(err);
    s->held += room - q->room;
    q->buf = p;
    q->room = room;
    return AT_OK;
}

enum at_status at_spool_add(struct at_spool *s, uint32_t queue,
                            const struct at_packet *pkt, struct at_error *err)
{
    const size_t n = at_stored_bytes(pkt);
    enum at_status st = hold_section(s, at_stored_layout(pkt), err);
    struct queue *q;

    if (st == AT_OK && !grow_queues(s, (size_t)queue + 1))
        return out_of_memory(err);
    if (st != AT_OK)
        return st;
    q = &s->queue[queue];
    st = make_room(s, q, n, err);
    if (st != AT_OK)
        return st;
    at_stored_put(q->buf + q->used, pkt);
    q->used += n;
    return AT_OK;
}

/* ---- taking ---------------------------------------------------------- */

/* The queue's last part is still in its buffer: it is taken over. */
static bool take_buffer(struct at_spool *s, struct queue *q)
{
    if (q->used == 0)
        return false;
    free(s->buf);
    s->held -= q->room;
    s->buf = q->buf;
    s->room = q->room;
    s->used = q->used;
    s->at = 0;
    q->buf = NULL;
    q->used = q->room = 0;
    return true;
}

static enum at_status read_extent(struct at_spool *s, const struct extent *e,
                                  struct at_error *err)
{
    size_t done = 0;

    if (e->bytes > s->room) {
        free(s->buf);
        s->room = 0;
        s->buf = malloc(e->bytes);
        if (s->buf == NULL)
            return out_of_memory(err);
        s->room = e->bytes;
    }
    while (done < e->bytes) {
        const ssize_t n = pread(fileno(s->file), s->buf + done, e->bytes - done,
                                (off_t)(e->offset + done));

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return at_error_system(err, s->beside, "read the spool beside");
        done += (size_t)n;
    }
    s->used = e->bytes;
    s->at = 0;
    return AT_OK;
}

static enum at_status read_on(struct at_spool *s, struct queue *q,
                              struct at_error *err)
{
    if (s->next < q->extents)
        return read_extent(s, &q->extent[s->next++], err);
    if (take_buffer(s, q))
        return AT_OK;
    free(q->extent);
    q->extent = NULL;
    q->extents = q->extent_room = 0;
    s->reading = 0;
    return AT_END;
}

enum at_status at_spool_take(struct at_spool *s, uint32_t queue,
                             struct at_packet *pkt, struct at_error *err)
{
    enum at_status st = AT_OK;

    if (queue >= s->queues)
        return AT_END;
    if (s->reading != (size_t)queue + 1) {
        s->reading = (size_t)queue + 1;
        s->next = 0;
        s->used = s->at = 0;
    }
    if (s->at == s->used)
        st = read_on(s, &s->queue[queue], err);
    if (st == AT_OK)
        s->at += at_stored_get(s->buf + s->at, pkt);
    return st;
}
