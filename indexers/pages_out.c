/*
 * pages_out.c - rows into tables, straight to the pages of a database
 *
 * New pages go behind those there are, each when it is full: the pages on which
 * a record goes on, then the leaf that it is in, at the end of a table the
 * interior pages, from the leaves up.  The one at the top goes where the table
 * had its first.
 */
#include "pages_out.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bytes.h"
#include "errors.h"
#include "files.h"
#include "page_format.h"
#include "pool.h"

enum {
    BUFFER = 1 << 19, /* bytes of pages that are written at once */
    LOCK_BYTE = 1 << 30,
    PLACE_PAGE_BYTES = 16,
    PLACE_RESERVED = 20,
    PLACE_PAGES = 28,
    BATCH = 128,
    BATCHES = 4,
    SLACK = 8, /* behind a record, so that any number is stored at once */
    ROW_MOST = AT_ROW_COLUMNS * (AT_MOST_VARINT + 8) + 3 * AT_MOST_VARINT +
               SLACK, /* bytes, without blobs */
};

/* A page that is filled, and the largest rowid in it and below. */
struct child {
    uint32_t page;
    int64_t last;
};

struct at_pages_out {
    char *path;
    int fd;
    size_t page_bytes, usable;
    uint32_t pages;      /* the last that is written, or in the buffer */
    uint8_t *buffer;     /* pages that follow each other */
    size_t buffered;     /* bytes */
    uint8_t *leaf;       /* the page that takes rows */
    unsigned cells;      /* in it */
    size_t begin;        /* its first byte that is taken by cells */
    int64_t last;        /* rowid in it */
    struct child *child; /* of the level that is filled */
    size_t children, child_room;
};

/* A row as it goes into a page. */
struct cell {
    size_t at;      /* in the bytes of the batch */
    uint32_t head;  /* bytes before the record */
    uint32_t bytes; /* of the record */
    int64_t id;
};

struct batch {
    struct cell cell[BATCH];
    size_t n; /* 0: there are no more */
    uint8_t *p;
    size_t used, room;
};

struct source {
    unsigned columns;
    at_row_fn *next;
    void *ctx;
    bool end;            /* for the tasks of the lane alone */
    struct at_error err; /* likewise, while there are any */
};

static enum at_status no_memory(struct at_error *err)
{
    return at_error_set(err, AT_ERR_MEMORY, "out of memory");
}

/* ---- records --------------------------------------------------------- */

/* 7 bits a byte, the highest first; 8 in the ninth. */
static uint8_t *put_varint(uint8_t *p, uint64_t v)
{
    unsigned more = 0;

    if (v >> 56 != 0) {
        for (int shift = 57; shift > 1; shift -= 7)
            *p++ = (uint8_t)(0x80 | v >> shift);
        *p++ = (uint8_t)v;
        return p;
    }
    while (v >> (7 * more) >= 0x80)
        more++;
    for (; more > 0; more--)
        *p++ = (uint8_t)(0x80 | v >> (7 * more));
    *p++ = (uint8_t)(v & 0x7f);
    return p;
}

static unsigned varint_bytes(uint64_t v)
{
    unsigned n = 1;

    while (n < AT_MOST_VARINT && v >> (7 * n) != 0)
        n++;
    return n;
}

/* By the bits that a number has beside its sign. */
static unsigned type_of_number(int64_t v)
{
    static const uint8_t type[65] = {
        1, 1, 1, 1, 1, 1, 1, 1, 2, 2, 2, 2, 2, 2, 2, 2, 3, 3, 3, 3, 3, 3,
        3, 3, 4, 4, 4, 4, 4, 4, 4, 4, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5,
        5, 5, 5, 5, 6, 6, 6, 6, 6, 6, 6, 6, 6, 6, 6, 6, 6, 6, 6, 6, 6};
    const uint64_t bits = v < 0 ? ~(uint64_t)v : (uint64_t)v;

    if (v == 0 || v == 1)
        return AT_TYPE_ZERO + (unsigned)v;
    return type[64 - __builtin_clzll(bits | 1)];
}

static uint64_t type_of(const struct at_value *v)
{
    switch (v->kind) {
    case AT_VALUE_NUMBER:
        return type_of_number(v->number);
    case AT_VALUE_BLOB:
        return AT_TYPE_BLOB + 2 * (uint64_t)v->bytes;
    default:
        return 0;
    }
}

static uint8_t *put_value(uint8_t *p, const struct at_value *v, uint64_t type)
{
    unsigned n;

    if (type >= AT_TYPE_BLOB) {
        memcpy(p, v->blob, v->bytes);
        return p + v->bytes;
    }
    n = at_type_bytes[type];
    if (n > 0)
        at_store_be64(p, (uint64_t)v->number << (64 - 8 * n));
    return p + n;
}

/* The types of a row, whose rowid is NULL in the record; the bytes of its head,
 * and with the columns after it. */
struct plan {
    uint64_t type[AT_ROW_COLUMNS];
    size_t head, bytes;
};

static void make_plan(struct plan *plan, const struct at_row *row,
                      unsigned columns)
{
    size_t head = 1, rest = 0;

    for (unsigned i = 0; i < columns; i++) {
        const uint64_t type = i > 0 ? type_of(&row->value[i]) : 0;

        plan->type[i] = type;
        head += varint_bytes(type);
        rest += type < AT_TYPE_BLOB ? at_type_bytes[type] : row->value[i].bytes;
    }
    plan->head = head + varint_bytes(head) - 1;
    plan->bytes = plan->head + rest;
}

static void put_row(struct batch *b, struct cell *cell,
                    const struct at_row *row, unsigned columns)
{
    uint8_t *const begin = b->p + b->used, *p = begin;
    struct plan plan;

    make_plan(&plan, row, columns);
    p = put_varint(p, plan.bytes);
    p = put_varint(p, (uint64_t)row->value[0].number);
    *cell = (struct cell){
        .at = b->used,
        .head = (uint32_t)(p - begin),
        .bytes = (uint32_t)plan.bytes,
        .id = row->value[0].number,
    };
    p = put_varint(p, plan.head);
    for (unsigned i = 0; i < columns; i++)
        p = put_varint(p, plan.type[i]);
    for (unsigned i = 1; i < columns; i++)
        p = put_value(p, &row->value[i], plan.type[i]);
    b->used += (size_t)(p - begin);
}

/* ---- making rows ----------------------------------------------------- */

static enum at_status make_room(struct batch *b, const struct at_row *row,
                                unsigned columns)
{
    size_t need = b->used + ROW_MOST;
    uint8_t *p;

    for (unsigned i = 0; i < columns; i++)
        if (row->value[i].kind == AT_VALUE_BLOB)
            need += row->value[i].bytes;
    if (need <= b->room)
        return AT_OK;
    p = realloc(b->p, need + need / 2);
    if (p == NULL)
        return AT_ERR_MEMORY;
    b->p = p;
    b->room = need + need / 2;
    return AT_OK;
}

static enum at_status make_row(struct source *source, struct batch *b)
{
    struct at_row row;
    enum at_status st;

    memset(row.value, 0, source->columns * sizeof(row.value[0]));
    st = source->next(source->ctx, &row, &source->err);
    if (st != AT_OK)
        return st;
    if (make_room(b, &row, source->columns) != AT_OK)
        return no_memory(&source->err);
    put_row(b, &b->cell[b->n++], &row, source->columns);
    return AT_OK;
}

static void make_batch(void *ctx, void *slot)
{
    struct source *source = ctx;
    struct batch *b = slot;

    b->n = b->used = 0;
    while (!source->end && b->n < BATCH)
        source->end = make_row(source, b) != AT_OK;
}

static void drop_batch(void *ctx, void *slot)
{
    (void)ctx;
    free(((struct batch *)slot)->p);
}

/* ---- pages ----------------------------------------------------------- */

static enum at_status write_at(const struct at_pages_out *o, const uint8_t *p,
                               size_t n, uint64_t at, struct at_error *err)
{
    return at_file_write(o->fd, p, n, at)
               ? AT_OK
               : at_error_system(err, o->path, "write");
}

/* The disk begins to write meanwhile, as the file will be synced in the end. */
static enum at_status flush(struct at_pages_out *o, struct at_error *err)
{
    const uint64_t end = (uint64_t)o->pages * o->page_bytes;
    const size_t n = o->buffered;
    const enum at_status st = write_at(o, o->buffer, n, end - n, err);

    o->buffered = 0;
    if (n > 0)
        (void)sync_file_range(o->fd, (off_t)(end - n), (off_t)n,
                              SYNC_FILE_RANGE_WRITE);
    return st;
}

/* The number that the next page gets.  The one where SQLite locks a file is
 * never used (section 1.4). */
static uint32_t next_page(const struct at_pages_out *o)
{
    return o->pages + (o->pages == LOCK_BYTE / o->page_bytes ? 2 : 1);
}

/* A new page, all zero, which is good until the next is wanted; NULL after an
 * error. */
static uint8_t *new_page(struct at_pages_out *o, struct at_error *err)
{
    const uint32_t number = next_page(o);
    const bool apart = number != o->pages + 1;
    uint8_t *page;

    if (o->pages >= UINT32_MAX - 2) {
        at_error_set(err, AT_ERR_SYSTEM, "%s: too large", o->path);
        return NULL;
    }
    if ((apart || o->buffered + o->page_bytes > BUFFER) &&
        flush(o, err) != AT_OK)
        return NULL;
    page = o->buffer + o->buffered;
    memset(page, 0, o->page_bytes);
    o->buffered += o->page_bytes;
    o->pages = number;
    return page;
}

/* ---- leaves ---------------------------------------------------------- */

static void begin_leaf(struct at_pages_out *o)
{
    memset(o->leaf, 0, o->page_bytes);
    o->cells = 0;
    o->begin = o->usable;
}

/* What 65536 is, is 0. */
static void end_page(uint8_t *page, int type, unsigned cells, size_t begin)
{
    page[0] = (uint8_t)type;
    at_store_be16(page + 3, (uint16_t)cells);
    at_store_be16(page + 5, (uint16_t)begin);
}

static enum at_status add_child(struct at_pages_out *o, struct at_error *err)
{
    if (o->children == o->child_room) {
        const size_t room = o->child_room * 2 + 256;
        struct child *p = realloc(o->child, room * sizeof(*p));

        if (p == NULL)
            return no_memory(err);
        o->child = p;
        o->child_room = room;
    }
    o->child[o->children++] = (struct child){o->pages, o->last};
    return AT_OK;
}

static enum at_status end_leaf(struct at_pages_out *o, struct at_error *err)
{
    uint8_t *page = new_page(o, err);

    if (page == NULL)
        return err->status;
    end_page(o->leaf, AT_PAGE_LEAF, o->cells, o->begin);
    memcpy(page, o->leaf, o->page_bytes);
    begin_leaf(o);
    return add_child(o, err);
}

/* The rest of a record, on pages that follow each other. */
static enum at_status put_rest(struct at_pages_out *o, const uint8_t *p,
                               size_t n, struct at_error *err)
{
    const size_t most = o->usable - 4;

    while (n > 0) {
        const size_t part = n < most ? n : most;
        uint8_t *page = new_page(o, err);

        if (page == NULL)
            return err->status;
        if (part < n)
            at_store_be32(page, next_page(o));
        memcpy(page + 4, p, part);
        p += part;
        n -= part;
    }
    return AT_OK;
}

/* Puts the place of a cell of 'n' bytes down; where it is. */
static uint8_t *place_cell(struct at_pages_out *o, size_t n)
{
    o->begin -= n;
    at_store_be16(o->leaf + AT_LEAF_HEADER + 2 * (size_t)o->cells++,
                  (uint16_t)o->begin);
    return o->leaf + o->begin;
}

static enum at_status put_cell(struct at_pages_out *o, const struct batch *b,
                               const struct cell *cell, struct at_error *err)
{
    const uint8_t *p = b->p + cell->at;
    const size_t here = cell->head + at_local_bytes(o->usable, cell->bytes);
    const size_t rest = cell->head + cell->bytes - here;
    const size_t n = here + (rest > 0 ? 4 : 0);
    enum at_status st = AT_OK;
    uint32_t first;
    uint8_t *to;

    if (AT_LEAF_HEADER + 2 * ((size_t)o->cells + 1) + n > o->begin)
        st = end_leaf(o, err);
    first = next_page(o);
    if (st == AT_OK)
        st = put_rest(o, p + here, rest, err);
    if (st != AT_OK)
        return st;
    to = place_cell(o, n);
    memcpy(to, p, here);
    if (rest > 0)
        at_store_be32(to + here, first);
    o->last = cell->id;
    return AT_OK;
}

/* ---- the tree -------------------------------------------------------- */

/* Makes an interior page of 'n' children. */
static void make_interior(const struct at_pages_out *o, uint8_t *page,
                          const struct child *child, size_t n)
{
    size_t begin = o->usable;

    for (size_t i = 0; i + 1 < n; i++) {
        uint8_t cell[4 + AT_MOST_VARINT];
        size_t bytes;

        at_store_be32(cell, child[i].page);
        bytes = (size_t)(put_varint(cell + 4, (uint64_t)child[i].last) - cell);
        begin -= bytes;
        memcpy(page + begin, cell, bytes);
        at_store_be16(page + AT_INTERIOR_HEADER + 2 * i, (uint16_t)begin);
    }
    end_page(page, AT_PAGE_INTERIOR, (unsigned)n - 1, begin);
    at_store_be32(page + 8, child[n - 1].page);
}

/* One level up: as few pages as can be, about as full as each other. */
static enum at_status make_level(struct at_pages_out *o, size_t most,
                                 struct at_error *err)
{
    const size_t all = o->children;
    size_t pages = 1;

    while (pages * most < all)
        pages++;
    for (size_t i = 0; i < pages; i++) {
        const size_t from = all * i / pages, to = all * (i + 1) / pages;
        uint8_t *page = new_page(o, err);

        if (page == NULL)
            return err->status;
        make_interior(o, page, o->child + from, to - from);
        o->child[i] = (struct child){o->pages, o->child[to - 1].last};
    }
    o->children = pages;
    return AT_OK;
}

/* All rows are in leaves, or in the only one. */
static enum at_status end_table(struct at_pages_out *o, uint32_t root,
                                struct at_error *err)
{
    const size_t bytes = 4 + varint_bytes((uint64_t)o->last) + 2;
    const size_t most = (o->usable - AT_INTERIOR_HEADER) / bytes + 1;
    const uint64_t at = (uint64_t)(root - 1) * o->page_bytes;
    enum at_status st = AT_OK;

    if (o->children == 0) {
        end_page(o->leaf, AT_PAGE_LEAF, o->cells, o->begin);
        return write_at(o, o->leaf, o->page_bytes, at, err);
    }
    if (o->cells > 0)
        st = end_leaf(o, err);
    while (st == AT_OK && o->children > most)
        st = make_level(o, most, err);
    if (st != AT_OK)
        return st;
    begin_leaf(o);
    make_interior(o, o->leaf, o->child, o->children);
    return write_at(o, o->leaf, o->page_bytes, at, err);
}

/* ---- the whole ------------------------------------------------------- */

static enum at_status take_batches(struct at_pages_out *o, struct at_lane *lane,
                                   struct at_error *err)
{
    enum at_status st = AT_OK;

    while (at_lane_free_slot(lane) != NULL)
        at_lane_submit(lane);
    while (st == AT_OK) {
        const struct batch *b = at_lane_wait(lane);

        if (b->n == 0)
            break;
        for (size_t i = 0; i < b->n && st == AT_OK; i++)
            st = put_cell(o, b, &b->cell[i], err);
        at_lane_retire(lane);
        at_lane_submit(lane);
    }
    return st;
}

enum at_status at_pages_out_fill(struct at_pages_out *o, struct at_pool *pool,
                                 uint32_t root, unsigned columns,
                                 at_row_fn *next, void *ctx,
                                 struct at_error *err)
{
    struct source source = {.columns = columns, .next = next, .ctx = ctx};
    struct at_lane *lane = at_lane_open(pool, make_batch, &source,
                                        sizeof(struct batch), BATCHES, true);
    enum at_status st;

    if (lane == NULL)
        return no_memory(err);
    begin_leaf(o);
    o->children = 0;
    st = take_batches(o, lane, err);
    at_lane_close(lane, drop_batch);
    if (st == AT_OK && source.err.status < 0)
        st = at_error_copy(err, &source.err);
    return st == AT_OK ? end_table(o, root, err) : st;
}

static enum at_status read_header(struct at_pages_out *o, struct at_error *err)
{
    uint8_t header[AT_DATABASE_HEADER];

    o->fd = open(o->path, O_RDWR | O_CLOEXEC);
    if (o->fd < 0)
        return at_error_system(err, o->path, "open");
    if (pread(o->fd, header, sizeof(header), 0) != (ssize_t)sizeof(header))
        return at_error_set(err, AT_ERR_SYSTEM, "%s: cut short", o->path);
    o->page_bytes = at_load_be16(header + PLACE_PAGE_BYTES);
    if (o->page_bytes == 1)
        o->page_bytes = 65536;
    o->usable = o->page_bytes - header[PLACE_RESERVED];
    o->pages = at_load_be32(header + PLACE_PAGES);
    o->buffer = malloc(BUFFER);
    o->leaf = malloc(o->page_bytes);
    return o->buffer != NULL && o->leaf != NULL ? AT_OK : no_memory(err);
}

static void destroy(struct at_pages_out *o)
{
    if (o->fd >= 0)
        close(o->fd);
    free(o->path);
    free(o->buffer);
    free(o->leaf);
    free(o->child);
    free(o);
}

enum at_status at_pages_out_open(struct at_pages_out **out, const char *path,
                                 struct at_error *err)
{
    struct at_pages_out *o = calloc(1, sizeof(*o));
    enum at_status st;

    *out = NULL;
    if (o == NULL)
        return no_memory(err);
    o->fd = -1;
    o->path = strdup(path);
    st = o->path != NULL ? read_header(o, err) : no_memory(err);
    if (st == AT_OK)
        *out = o;
    else
        destroy(o);
    return st;
}

enum at_status at_pages_out_close(struct at_pages_out *o, struct at_error *err)
{
    uint8_t pages[4];
    enum at_status st;

    if (o == NULL)
        return AT_OK;
    at_store_be32(pages, o->pages);
    st = flush(o, err);
    if (st == AT_OK)
        st = write_at(o, pages, sizeof(pages), PLACE_PAGES, err);
    destroy(o);
    return st;
}
