/*
 * app_part.c - the part of an index that is about applications
 *
 * Applications are numbered from 1 by how many flows they have, so that most
 * flows have a small number, which takes fewer bytes.
 *
 * Openings are 14 bytes a flow: the first bytes out and in, 4 each; how many of
 * them were captured; the lengths, little-endian.  Those of 8192 flows are
 * compressed together by zstd, to less than 3 bytes a flow, since most are like
 * others: better than in columns of their own, which would tear that apart.
 */
#include "app_part.h"

#include <stdlib.h>
#include <string.h>
#include <zstd.h>

#include "bytes.h"
#include "errors.h"
#include "schema.h"

enum {
    OPENING_BYTES = 14,
    LEVEL = 6,
    MOST = OPENING_BYTES * AT_OPENING_FLOWS, /* bytes before they are packed */
};

struct app_flow {
    struct at_opening opening;
    uint16_t app;
    uint8_t confidence;
    bool named; /* it has an application */
};

/* What is in a row of table opening. */
struct chunk {
    uint8_t *p;
    size_t n;
};

struct at_app_part {
    const struct at_apps *apps;
    struct app_flow *flow;
    size_t flows;
    struct chunk *chunk; /* once the openings are packed */
    size_t chunks;
    uint32_t *count;  /* by number in the rules */
    uint32_t *number; /* in the index, from 1 */
    uint32_t *ranked; /* numbers in the rules, the most frequent first */
    size_t used;      /* of 'ranked' */
};

struct at_app_part *at_app_part_open(const struct at_apps *apps, size_t flows)
{
    struct at_app_part *part = calloc(1, sizeof(*part));
    const size_t n = apps != NULL ? at_apps_count(apps) : 0;

    if (part == NULL)
        return NULL;
    part->apps = apps;
    part->flows = flows;
    part->chunks = (flows + AT_OPENING_FLOWS - 1) / AT_OPENING_FLOWS;
    part->chunk = calloc(part->chunks + 1, sizeof(part->chunk[0]));
    part->flow = calloc(flows + 1, sizeof(part->flow[0]));
    part->count = calloc(n + 1, sizeof(part->count[0]));
    part->number = calloc(n + 1, sizeof(part->number[0]));
    part->ranked = calloc(n + 1, sizeof(part->ranked[0]));
    if (part->chunk != NULL && part->flow != NULL && part->count != NULL &&
        part->number != NULL && part->ranked != NULL)
        return part;
    at_app_part_close(part);
    return NULL;
}

void at_app_part_close(struct at_app_part *part)
{
    if (part == NULL)
        return;
    for (size_t i = 0; part->chunk != NULL && i < part->chunks; i++)
        free(part->chunk[i].p);
    free(part->chunk);
    free(part->flow);
    free(part->count);
    free(part->number);
    free(part->ranked);
    free(part);
}

void at_app_part_take(struct at_app_part *part, size_t number,
                      struct at_flow_row *row)
{
    struct app_flow *f = &part->flow[number];
    struct at_opening *o = &f->opening;

    memcpy(o->first, row->first, sizeof(o->first));
    memcpy(o->captured, row->captured, sizeof(o->captured));
    memcpy(o->length, row->first_len, sizeof(o->length));
    if (part->apps == NULL)
        return;
    f->app = at_app_of_row(part->apps, row);
    f->named = row->app != NULL;
    f->confidence = row->confidence;
    part->count[f->app] += f->named;
}

/* The most frequent first; the same every time. */
static int by_count(const void *a, const void *b, void *count)
{
    const uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    const uint32_t *n = count;

    if (n[x] != n[y])
        return n[x] > n[y] ? -1 : 1;
    return x < y ? -1 : x > y;
}

void at_app_part_finish(struct at_app_part *part)
{
    const size_t apps = part->apps != NULL ? at_apps_count(part->apps) : 0;

    for (size_t i = 0; i < apps; i++)
        if (part->count[i] > 0)
            part->ranked[part->used++] = (uint32_t)i;
    qsort_r(part->ranked, part->used, sizeof(part->ranked[0]), by_count,
            part->count);
    for (size_t i = 0; i < part->used; i++)
        part->number[part->ranked[i]] = (uint32_t)i + 1;
}

uint32_t at_app_part_value(const struct at_app_part *part, size_t number)
{
    const struct app_flow *f = &part->flow[number];

    if (!f->named)
        return 0;
    return part->number[f->app] << AT_INDEX_APP_BITS | f->confidence;
}

/* ---- table app ------------------------------------------------------- */

static const struct app_flow *flow_at(const struct at_app_part *part,
                                      const uint32_t *order, size_t i)
{
    return &part->flow[order != NULL ? order[i] : i];
}

/* The flows of an application, as a list of ids. */
struct list {
    uint8_t *p, *end; /* NULL: it has none, being one of the frequent */
    size_t last;
};

static bool is_frequent(const struct at_app_part *part, uint32_t app)
{
    return part->count[app] > part->flows / AT_INDEX_FREQUENT;
}

static bool make_lists(const struct at_app_part *part, struct list *list,
                       const uint32_t *order)
{
    for (size_t i = 0; i < part->used; i++) {
        const uint32_t app = part->ranked[i];

        if (is_frequent(part, app))
            continue;
        list[app].p = list[app].end = malloc((size_t)part->count[app] * 5);
        if (list[app].p == NULL)
            return false;
    }
    for (size_t i = 0; i < part->flows; i++) {
        const struct app_flow *f = flow_at(part, order, i);
        struct list *l = &list[f->app];

        if (!f->named || l->p == NULL)
            continue;
        l->end = at_put_varint(l->end, i + 1 - l->last);
        l->last = i + 1;
    }
    return true;
}

static void write_app(const struct at_app_part *part, struct at_sql *sql,
                      sqlite3_stmt *st, uint32_t app, const struct list *list)
{
    at_sql_bind(st, 1, part->number[app]);
    at_sql_bind_text(st, 2, at_app_name(part->apps, app));
    at_sql_bind_text(st, 3, at_app_category(part->apps, app));
    at_sql_bind(st, 4, part->count[app]);
    if (list->p != NULL)
        at_sql_bind_blob(st, 5, list->p, (size_t)(list->end - list->p));
    else if (st != NULL)
        sqlite3_bind_null(st, 5);
    at_sql_run(sql, st);
}

static void write_apps(const struct at_app_part *part, struct at_sql *sql,
                       const struct list *list)
{
    sqlite3_stmt *st = at_sql_prepare(sql,
                                      "INSERT INTO app VALUES(?, ?, ?, ?, ?)");

    for (size_t i = 0; i < part->used && sql->err.status == AT_OK; i++)
        write_app(part, sql, st, part->ranked[i], &list[part->ranked[i]]);
    sqlite3_finalize(st);
}

void at_app_part_write_apps(const struct at_app_part *part, struct at_sql *sql,
                            const uint32_t *order)
{
    const size_t apps = part->apps != NULL ? at_apps_count(part->apps) : 0;
    struct list *list = calloc(apps + 1, sizeof(*list));

    if (list != NULL && make_lists(part, list, order))
        write_apps(part, sql, list);
    else
        at_error_set(&sql->err, AT_ERR_MEMORY, "out of memory");
    for (size_t i = 0; list != NULL && i < apps; i++)
        free(list[i].p);
    free(list);
}

/* ---- table opening --------------------------------------------------- */

static void put_opening(uint8_t *p, const struct at_opening *o)
{
    memcpy(p, o->first, 8);
    memcpy(p + 8, o->captured, 2);
    at_store_le16(p + 10, o->length[0]);
    at_store_le16(p + 12, o->length[1]);
}

static void take_opening(struct at_opening *o, const uint8_t *p)
{
    memcpy(o->first, p, 8);
    memcpy(o->captured, p + 8, 2);
    o->length[0] = at_load_le16(p + 10);
    o->length[1] = at_load_le16(p + 12);
}

/* Packs the openings of the flows from 'first' on; 'raw' is room for a row of
 * them, and 'packed' for what that can become. */
static enum at_status pack_chunk(const struct at_app_part *part, size_t first,
                                 const uint32_t *order, uint8_t *raw,
                                 uint8_t *packed, struct chunk *chunk)
{
    const size_t left = part->flows - first;
    const size_t n = left < AT_OPENING_FLOWS ? left : AT_OPENING_FLOWS;
    size_t bytes;

    for (size_t i = 0; i < n; i++)
        put_opening(raw + i * OPENING_BYTES,
                    &flow_at(part, order, first + i)->opening);
    bytes = ZSTD_compress(packed, ZSTD_compressBound(MOST), raw,
                          OPENING_BYTES * n, LEVEL);
    if (ZSTD_isError(bytes))
        return AT_ERR_MEMORY;
    chunk->p = malloc(bytes);
    if (chunk->p == NULL)
        return AT_ERR_MEMORY;
    memcpy(chunk->p, packed, bytes);
    chunk->n = bytes;
    return AT_OK;
}

enum at_status at_app_part_pack(struct at_app_part *part, const uint32_t *order)
{
    uint8_t *raw = malloc(MOST), *packed = malloc(ZSTD_compressBound(MOST));
    enum at_status st = raw != NULL && packed != NULL ? AT_OK : AT_ERR_MEMORY;

    for (size_t i = 0; i < part->chunks && st == AT_OK; i++)
        st = pack_chunk(part, i * AT_OPENING_FLOWS, order, raw, packed,
                        &part->chunk[i]);
    free(raw);
    free(packed);
    return st;
}

void at_app_part_write_openings(const struct at_app_part *part,
                                struct at_sql *sql)
{
    sqlite3_stmt *st = at_sql_prepare(sql, "INSERT INTO opening VALUES(?, ?)");

    for (size_t i = 0; i < part->chunks && sql->err.status == AT_OK; i++) {
        at_sql_bind(st, 1, (int64_t)i);
        at_sql_bind_blob(st, 2, part->chunk[i].p, part->chunk[i].n);
        at_sql_run(sql, st);
    }
    sqlite3_finalize(st);
}

bool at_openings_unpack(struct at_opening *opening, size_t n, const void *blob,
                        size_t bytes)
{
    const size_t want = OPENING_BYTES * n;
    uint8_t *raw = malloc(want + 1);
    size_t got;
    bool good;

    if (raw == NULL)
        return false;
    got = ZSTD_decompress(raw, want + 1, blob, bytes);
    good = !ZSTD_isError(got) && got == want;
    for (size_t i = 0; i < n && good; i++)
        take_opening(&opening[i], raw + i * OPENING_BYTES);
    free(raw);
    return good;
}
