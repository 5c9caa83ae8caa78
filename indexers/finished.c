/*
 * finished.c - flows that are over, kept until their index is written
 *
 * A record is the flow as it was in memory, which only this process reads
 * again, the length of its list and the number of its name, and the list.
 * Records are appended to a buffer, and full buffers to a file.  They are read
 * again by windows of the file, of which a few are kept, because flows are
 * wanted by start and come by end.
 */
#include "finished.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bytes.h"
#include "errors.h"
#include "files.h"

enum {
    WINDOW = 1 << 16, /* a power of two */
    WINDOWS = 64,
    BUFFER = 1 << 21, /* a multiple of WINDOW */
    HEAD = sizeof(struct at_flow) + 2 * sizeof(uint32_t),
};

struct place {
    int64_t start_ns;
    uint64_t offset;
};

struct window {
    uint64_t number; /* of the window in the file, + 1; 0: none */
    uint8_t *p;
};

struct at_finished {
    const char *folder;
    int fd; /* -1: all is in the buffer */
    uint8_t *buffer;
    size_t used;      /* of the buffer */
    uint64_t written; /* bytes in the file */
    struct place *place;
    size_t n, room;
    struct window window[WINDOWS];
    uint8_t *record; /* the one that was asked for last */
    size_t record_room;
};

struct at_finished *at_finished_open(const char *folder)
{
    struct at_finished *f = calloc(1, sizeof(*f));

    if (f == NULL)
        return NULL;
    f->folder = folder;
    f->fd = -1;
    f->buffer = malloc(BUFFER);
    if (f->buffer == NULL) {
        free(f);
        return NULL;
    }
    return f;
}

void at_finished_close(struct at_finished *f)
{
    if (f == NULL)
        return;
    if (f->fd >= 0)
        close(f->fd);
    for (size_t i = 0; i < WINDOWS; i++)
        free(f->window[i].p);
    free(f->buffer);
    free(f->place);
    free(f->record);
    free(f);
}

size_t at_finished_count(const struct at_finished *f)
{
    return f->n;
}

int64_t at_finished_start(const struct at_finished *f, size_t i)
{
    return f->place[i].start_ns;
}

static enum at_status out_of_memory(struct at_error *err)
{
    return at_error_set(err, AT_ERR_MEMORY, "out of memory");
}

/* ---- writing --------------------------------------------------------- */

static enum at_status flush(struct at_finished *f, struct at_error *err)
{
    if (f->fd < 0)
        f->fd = at_file_nameless(f->folder);
    if (f->fd < 0)
        return at_error_system(err, f->folder, "create a file in");
    if (!at_file_write(f->fd, f->buffer, f->used, f->written))
        return at_error_system(err, f->folder, "write a file in");
    f->written += f->used;
    f->used = 0;
    return AT_OK;
}

/* Appends bytes; the buffer is full whenever it is written. */
static enum at_status append(struct at_finished *f, const void *p, size_t n,
                             struct at_error *err)
{
    const uint8_t *from = p;
    enum at_status st = AT_OK;

    while (n > 0 && st == AT_OK) {
        const size_t part = n < BUFFER - f->used ? n : BUFFER - f->used;

        memcpy(f->buffer + f->used, from, part);
        f->used += part;
        from += part;
        n -= part;
        if (f->used == BUFFER)
            st = flush(f, err);
    }
    return st;
}

static enum at_status make_place(struct at_finished *f)
{
    const size_t room = f->room + f->room / 2 + 1024;
    struct place *p;

    if (f->n < f->room)
        return AT_OK;
    p = realloc(f->place, room * sizeof(*p));
    if (p == NULL)
        return AT_ERR_MEMORY;
    f->place = p;
    f->room = room;
    return AT_OK;
}

static enum at_status make_record(struct at_finished *f, size_t n)
{
    if (n <= f->record_room)
        return AT_OK;
    free(f->record);
    f->record_room = 0;
    f->record = malloc(n * 2);
    if (f->record == NULL)
        return AT_ERR_MEMORY;
    f->record_room = n * 2;
    return AT_OK;
}

enum at_status at_finished_add(struct at_finished *f,
                               const struct at_flow *flow,
                               const uint32_t *block, size_t blocks,
                               uint32_t name, struct at_error *err)
{
    uint32_t before = 0, n[2] = {0, name};
    uint8_t *p;

    if (make_place(f) != AT_OK || make_record(f, blocks * 5 + 1) != AT_OK)
        return out_of_memory(err);
    f->place[f->n++] = (struct place){flow->first_ns, f->written + f->used};
    p = f->record;
    for (size_t i = 0; i < blocks; i++) {
        p = at_put_varint(p, block[i] - before);
        before = block[i];
    }
    n[0] = (uint32_t)(p - f->record);
    if (append(f, flow, sizeof(*flow), err) != AT_OK ||
        append(f, n, sizeof(n), err) != AT_OK)
        return err->status;
    return append(f, f->record, n[0], err);
}

/* ---- reading --------------------------------------------------------- */

/* The window number 'w' of the file, or of the buffer, which goes on there. */
static const uint8_t *window_at(struct at_finished *f, uint64_t w,
                                struct at_error *err)
{
    struct window *slot = &f->window[w % WINDOWS];

    if (w * WINDOW >= f->written)
        return f->buffer + (w * WINDOW - f->written);
    if (slot->number == w + 1)
        return slot->p;
    if (slot->p == NULL)
        slot->p = malloc(WINDOW);
    if (slot->p == NULL) {
        out_of_memory(err);
        return NULL;
    }
    if (pread(f->fd, slot->p, WINDOW, (off_t)(w * WINDOW)) != WINDOW) {
        at_error_system(err, f->folder, "read a file in");
        return NULL;
    }
    slot->number = w + 1;
    return slot->p;
}

static enum at_status read_at(struct at_finished *f, uint64_t offset,
                              uint8_t *to, size_t n, struct at_error *err)
{
    while (n > 0) {
        const size_t at = (size_t)(offset % WINDOW);
        const size_t part = n < WINDOW - at ? n : WINDOW - at;
        const uint8_t *p = window_at(f, offset / WINDOW, err);

        if (p == NULL)
            return err->status;
        memcpy(to, p + at, part);
        offset += part;
        to += part;
        n -= part;
    }
    return AT_OK;
}

enum at_status at_finished_get(struct at_finished *f, size_t i,
                               struct at_flow *flow, const uint8_t **list,
                               size_t *list_bytes, uint32_t *name,
                               struct at_error *err)
{
    const uint64_t offset = f->place[i].offset;
    uint8_t head[HEAD];
    uint32_t n;
    enum at_status st = read_at(f, offset, head, HEAD, err);

    if (st != AT_OK)
        return st;
    memcpy(flow, head, sizeof(*flow));
    memcpy(&n, head + sizeof(*flow), sizeof(n));
    memcpy(name, head + sizeof(*flow) + sizeof(n), sizeof(*name));
    if (make_record(f, n + 1u) != AT_OK)
        return out_of_memory(err);
    *list = f->record;
    *list_bytes = n;
    return read_at(f, offset + HEAD, f->record, n, err);
}
