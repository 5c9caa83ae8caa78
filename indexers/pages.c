/*
 * pages.c - the rows of a table, straight from the pages of a database
 *
 * Every page of a sound table is read once in a walk, so a walk that reads more
 * pages than there are goes in circles.
 */
#include "pages.h"

#include <stdlib.h>
#include <string.h>

#include "bytes.h"
#include "errors.h"
#include "page_format.h"

enum {
    DEEPEST = 20, /* as SQLite has it */
    SLACK = 8,    /* behind a page, so that any number is read at once */
};

struct level {
    uint8_t *page;
    uint32_t number; /* of the page; 0: none is here */
    unsigned cell, cells;
    bool leaf;
};

struct at_pages {
    struct at_sql *sql;
    sqlite3_file *file;
    const char *table;
    uint32_t root, pages;
    size_t page_bytes, usable;
    struct level level[DEEPEST];
    unsigned depth; /* levels in use; 0: the walk is over */
    uint32_t walked;
    int64_t last; /* rowid */
    bool any;
    uint8_t *blob; /* of at_cell_blob() */
};

static enum at_status damaged(const struct at_pages *p, uint32_t number,
                              struct at_error *err)
{
    return at_error_set(err, AT_ERR_CORRUPT, "%s: damaged: page %u, table %s",
                        p->sql->name, number, p->table);
}

/* ---- pages ----------------------------------------------------------- */

static enum at_status read_bytes(const struct at_pages *p, uint32_t number,
                                 uint8_t *to, struct at_error *err)
{
    const sqlite3_int64 at = (sqlite3_int64)(number - 1) *
                             (sqlite3_int64)p->page_bytes;
    int r;

    if (number < 1 || number > p->pages)
        return damaged(p, number, err);
    r = p->file->pMethods->xRead(p->file, to, (int)p->page_bytes, at);
    if (r == SQLITE_IOERR_SHORT_READ)
        return damaged(p, number, err);
    return r == SQLITE_OK ? AT_OK
                          : at_error_set(err, AT_ERR_SYSTEM, "%s: %s",
                                         p->sql->name, sqlite3_errstr(r));
}

static const uint8_t *head_of(const struct level *l)
{
    return l->page + (l->number == 1 ? AT_DATABASE_HEADER : 0);
}

static size_t head_bytes(const struct level *l)
{
    return l->leaf ? AT_LEAF_HEADER : AT_INTERIOR_HEADER;
}

/* Goes a level down, to the first cell of a page. */
static enum at_status descend(struct at_pages *p, uint32_t number,
                              struct at_error *err)
{
    struct level *l = &p->level[p->depth];
    enum at_status st = AT_OK;

    if (p->depth == DEEPEST || p->walked++ > p->pages)
        return damaged(p, number, err);
    if (l->page == NULL)
        l->page = calloc(1, p->page_bytes + SLACK);
    if (l->page == NULL)
        return at_error_set(err, AT_ERR_MEMORY, "out of memory");
    if (l->number != number)
        st = read_bytes(p, number, l->page, err);
    l->number = st == AT_OK ? number : 0;
    if (st != AT_OK)
        return st;
    l->leaf = head_of(l)[0] == AT_PAGE_LEAF;
    l->cell = 0;
    l->cells = at_load_be16(head_of(l) + 3);
    if ((!l->leaf && head_of(l)[0] != AT_PAGE_INTERIOR) ||
        (size_t)(head_of(l) - l->page) + head_bytes(l) + 2 * l->cells >
            p->usable) {
        l->number = 0;
        return damaged(p, number, err);
    }
    p->depth++;
    return AT_OK;
}

/* Where cell number 'i' of a page begins, and what there is from there. */
static struct at_cursor cell_at(const struct at_pages *p, const struct level *l,
                                unsigned i)
{
    const size_t at = at_load_be16(head_of(l) + head_bytes(l) + 2 * (size_t)i);

    if (at > p->usable)
        return (struct at_cursor){.bad = true};
    return (struct at_cursor){.p = l->page + at, .left = p->usable - at};
}

/* 7 bits a byte, the highest first; 8 in the ninth. */
static uint64_t take_varint(struct at_cursor *c)
{
    uint64_t v = 0;

    for (int i = 1; i < AT_MOST_VARINT; i++) {
        const uint8_t b = at_take_u8(c);

        v = v << 7 | (b & 0x7f);
        if ((b & 0x80) == 0)
            return v;
    }
    return v << 8 | at_take_u8(c);
}

static uint32_t take_page(struct at_cursor *c)
{
    const uint8_t *b = at_take(c, 4);

    return b != NULL ? at_load_be32(b) : 0;
}

/* The page that child number 'i' of an interior page is; 0 if it has none. */
static uint32_t child_of(const struct at_pages *p, const struct level *l,
                         unsigned i)
{
    struct at_cursor c;

    if (i >= l->cells)
        return at_load_be32(head_of(l) + 8);
    c = cell_at(p, l, i);
    return take_page(&c);
}

/* The rowid of a cell of either kind of page. */
static int64_t rowid_at(const struct at_pages *p, const struct level *l,
                        unsigned i)
{
    struct at_cursor c = cell_at(p, l, i);

    if (l->leaf)
        take_varint(&c);
    else
        take_page(&c);
    return (int64_t)take_varint(&c);
}

/* ---- opening --------------------------------------------------------- */

static enum at_status read_header(struct at_pages *p, struct at_error *err)
{
    uint8_t header[AT_DATABASE_HEADER];
    sqlite3_int64 bytes = 0;
    int r = sqlite3_file_control(p->sql->db, "main", SQLITE_FCNTL_FILE_POINTER,
                                 &p->file);

    if (r == SQLITE_OK)
        r = p->file->pMethods->xRead(p->file, header, sizeof(header), 0);
    if (r == SQLITE_OK)
        r = p->file->pMethods->xFileSize(p->file, &bytes);
    if (r != SQLITE_OK)
        return at_error_set(err, AT_ERR_SYSTEM, "%s: %s", p->sql->name,
                            sqlite3_errstr(r));
    p->page_bytes = at_load_be16(header + 16);
    if (p->page_bytes == 1)
        p->page_bytes = 65536;
    if (p->page_bytes < 512 || (p->page_bytes & (p->page_bytes - 1)) != 0 ||
        bytes / (sqlite3_int64)p->page_bytes > UINT32_MAX)
        return damaged(p, 1, err);
    p->usable = p->page_bytes - header[20];
    p->pages = (uint32_t)(bytes / (sqlite3_int64)p->page_bytes);
    return p->usable >= 480 ? AT_OK : damaged(p, 1, err);
}

static enum at_status find_root(struct at_pages *p, struct at_error *err)
{
    p->root = at_sql_root(p->sql, p->table);
    if (p->sql->err.status != AT_OK)
        return at_error_copy(err, &p->sql->err);
    return p->root != 0 ? AT_OK : damaged(p, 1, err);
}

enum at_status at_pages_open(struct at_pages **out, struct at_sql *sql,
                             const char *table, struct at_error *err)
{
    struct at_pages *p = calloc(1, sizeof(*p));
    enum at_status st;

    *out = NULL;
    if (p == NULL)
        return at_error_set(err, AT_ERR_MEMORY, "out of memory");
    p->sql = sql;
    p->table = table;
    st = read_header(p, err);
    if (st == AT_OK)
        st = find_root(p, err);
    if (st == AT_OK)
        st = at_pages_seek(p, INT64_MIN, err);
    if (st != AT_OK) {
        at_pages_close(p);
        return st;
    }
    *out = p;
    return AT_OK;
}

void at_pages_close(struct at_pages *p)
{
    if (p == NULL)
        return;
    for (unsigned i = 0; i < DEEPEST; i++)
        free(p->level[i].page);
    free(p->blob);
    free(p);
}

/* ---- walking --------------------------------------------------------- */

/* The first cell of a page with at least that rowid. */
static unsigned search(const struct at_pages *p, const struct level *l,
                       int64_t id)
{
    unsigned low = 0, high = l->cells;

    while (low < high) {
        const unsigned middle = (low + high) / 2;

        if (rowid_at(p, l, middle) < id)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* From the page of the deepest level down to a leaf. */
static enum at_status go_down(struct at_pages *p, int64_t id,
                              struct at_error *err)
{
    struct level *l = &p->level[p->depth - 1];
    enum at_status st = AT_OK;

    for (; st == AT_OK; l = &p->level[p->depth - 1]) {
        l->cell = search(p, l, id);
        if (l->leaf)
            break;
        st = descend(p, child_of(p, l, l->cell), err);
    }
    return st;
}

enum at_status at_pages_seek(struct at_pages *p, int64_t id,
                             struct at_error *err)
{
    enum at_status st;

    p->depth = 0;
    p->walked = 0;
    p->any = false;
    st = descend(p, p->root, err);
    return st == AT_OK ? go_down(p, id, err) : st;
}

/* To the next leaf; AT_END if this was the last. */
static enum at_status next_leaf(struct at_pages *p, struct at_error *err)
{
    enum at_status st;

    for (p->depth--; p->depth > 0; p->depth--) {
        struct level *l = &p->level[p->depth - 1];

        if (l->cell++ >= l->cells)
            continue;
        st = descend(p, child_of(p, l, l->cell), err);
        return st == AT_OK ? go_down(p, INT64_MIN, err) : st;
    }
    return AT_END;
}

static enum at_status take_cell(struct at_pages *p, const struct level *l,
                                struct at_cell *cell, struct at_error *err)
{
    struct at_cursor c = cell_at(p, l, l->cell);

    cell->bytes = take_varint(&c);
    cell->id = (int64_t)take_varint(&c);
    cell->here = at_local_bytes(p->usable, cell->bytes);
    cell->record = at_take(&c, cell->here);
    cell->overflow = cell->here < cell->bytes ? take_page(&c) : 0;
    if (c.bad || (p->any && cell->id <= p->last))
        return damaged(p, l->number, err);
    p->any = true;
    p->last = cell->id;
    return AT_OK;
}

enum at_status at_pages_next(struct at_pages *p, struct at_cell *cell,
                             struct at_error *err)
{
    enum at_status st = AT_OK;

    while (p->depth > 0) {
        struct level *l = &p->level[p->depth - 1];

        if (l->cell < l->cells) {
            st = take_cell(p, l, cell, err);
            l->cell++;
            return st;
        }
        st = next_leaf(p, err);
        if (st != AT_OK)
            return st;
    }
    return AT_END;
}

/* ---- records --------------------------------------------------------- */

static uint64_t bytes_of(uint64_t type)
{
    return type < AT_TYPE_BLOB ? at_type_bytes[type]
                               : (type - AT_TYPE_BLOB) / 2;
}

/*
 * Types 1 to 6 are of two's complement, 8 and 9 are 0 and 1; 7 is of fractions,
 * 10 and 11 are of nobody.  Behind what is read there is SLACK.
 */
static bool take_number(uint64_t type, const uint8_t *p, int64_t *v)
{
    if (type == AT_TYPE_ZERO || type == AT_TYPE_ZERO + 1) {
        *v = type != AT_TYPE_ZERO;
        return true;
    }
    if (type == 0 || type > 6)
        return false;
    *v = (int64_t)at_load_be64(p) >> (64 - 8 * at_type_bytes[type]);
    return true;
}

/* The types of a record, and its columns; both are checked. */
struct record {
    struct at_cursor types, columns;
};

static struct record open_record(const struct at_cell *cell)
{
    struct at_cursor c = {.p = cell->record, .left = cell->here};
    const uint64_t head = take_varint(&c);
    const size_t taken = cell->here - c.left;
    struct record r = {.types = {.bad = true}};

    if (c.bad || head < taken || head > cell->here)
        return r;
    r.types = (struct at_cursor){.p = c.p, .left = (size_t)head - taken};
    r.columns = (struct at_cursor){.p = cell->record + head,
                                   .left = cell->here - (size_t)head};
    return r;
}

/* Of numbers the type is one byte; of others here only the bytes count. */
static inline unsigned type_of(struct at_cursor *types)
{
    if (types->left == 0 || types->p[0] >= 0x80)
        return (unsigned)take_varint(types);
    types->left--;
    return *types->p++;
}

static bool take_numbers(const struct at_cell *cell, uint32_t wanted,
                         int64_t number[], uint32_t *nulls)
{
    struct record r = open_record(cell);
    const uint8_t *p = r.columns.p;
    size_t left = r.columns.left;

    if (r.types.bad)
        return false;
    *nulls = 0;
    for (unsigned i = 0; i < 32 && wanted >> i != 0; i++) {
        const unsigned type = type_of(&r.types);
        const uint64_t bytes = bytes_of(type);

        if (r.types.bad || bytes > left)
            return false;
        if ((wanted >> i & 1) != 0) {
            number[i] = 0;
            if (type == 0)
                *nulls |= UINT32_C(1) << i;
            else if (!take_number(type, p, &number[i]))
                return false;
        }
        p += bytes;
        left -= bytes;
    }
    return true;
}

/* What is left of a record, from its overflow pages. */
static enum at_status take_overflow(struct at_pages *p,
                                    const struct at_cell *cell, uint8_t *to,
                                    struct at_error *err)
{
    uint32_t number = cell->overflow;
    uint8_t *page = calloc(1, p->page_bytes);
    enum at_status st = AT_OK;

    if (page == NULL)
        return at_error_set(err, AT_ERR_MEMORY, "out of memory");
    for (uint64_t left = cell->bytes - cell->here; left > 0 && st == AT_OK;) {
        const size_t most = p->usable - 4;
        const size_t n = left < most ? (size_t)left : most;

        st = read_bytes(p, number, page, err);
        if (st != AT_OK)
            break;
        memcpy(to, page + 4, n);
        number = at_load_be32(page);
        to += n;
        left -= n;
    }
    free(page);
    return st;
}

/* Puts the whole record together. */
static enum at_status join_record(struct at_pages *p, struct at_cell *cell,
                                  struct at_error *err)
{
    enum at_status st;

    if (cell->bytes > (uint64_t)p->pages * p->page_bytes)
        return damaged(p, cell->overflow, err);
    free(p->blob);
    p->blob = calloc(1, (size_t)cell->bytes + SLACK);
    if (p->blob == NULL)
        return at_error_set(err, AT_ERR_MEMORY, "out of memory");
    memcpy(p->blob, cell->record, cell->here);
    st = take_overflow(p, cell, p->blob + cell->here, err);
    cell->record = p->blob;
    cell->here = (size_t)cell->bytes;
    return st;
}

static enum at_status damaged_row(const struct at_pages *p,
                                  struct at_error *err)
{
    return damaged(p, p->level[p->depth - 1].number, err);
}

/* Numbers stand before blobs, and so rarely on another page. */
enum at_status at_cell_numbers(struct at_pages *p, const struct at_cell *cell,
                               uint32_t wanted, int64_t number[],
                               uint32_t *nulls, struct at_error *err)
{
    struct at_cell all = *cell;
    enum at_status st;

    if (take_numbers(cell, wanted, number, nulls))
        return AT_OK;
    if (all.here == all.bytes)
        return damaged_row(p, err);
    st = join_record(p, &all, err);
    if (st != AT_OK)
        return st;
    return take_numbers(&all, wanted, number, nulls) ? AT_OK
                                                     : damaged_row(p, err);
}

/* False if the column is no blob, or not all of it is here. */
static bool take_blob(const struct at_cell *cell, unsigned column,
                      const uint8_t **blob, size_t *n)
{
    struct record r = open_record(cell);
    uint64_t type = 0;

    *blob = NULL;
    *n = 0;
    for (unsigned i = 0; i <= column && !r.types.bad; i++) {
        type = take_varint(&r.types);
        *n = (size_t)bytes_of(type);
        *blob = at_take(&r.columns, *n);
    }
    return !r.types.bad && *blob != NULL &&
           (type == 0 || (type >= AT_TYPE_BLOB && type % 2 == 0));
}

enum at_status at_cell_blob(struct at_pages *p, const struct at_cell *cell,
                            unsigned column, const uint8_t **blob, size_t *n,
                            struct at_error *err)
{
    struct at_cell all = *cell;
    enum at_status st;

    if (take_blob(cell, column, blob, n))
        return AT_OK;
    if (all.here == all.bytes)
        return damaged_row(p, err);
    st = join_record(p, &all, err);
    if (st != AT_OK)
        return st;
    return take_blob(&all, column, blob, n) ? AT_OK : damaged_row(p, err);
}
