/*
 * name_part.c - the part of an index that is about names
 */
#include "name_part.h"

#include <stdlib.h>

#include "bytes.h"
#include "errors.h"
#include "schema.h"

struct at_name_part {
    const struct at_names *names;
    uint32_t *name; /* its number, by flow */
    size_t flows;
};

struct at_name_part *at_name_part_open(const struct at_names *names,
                                       size_t flows)
{
    struct at_name_part *part = calloc(1, sizeof(*part));

    if (part == NULL)
        return NULL;
    part->names = names;
    part->flows = flows;
    part->name = calloc(flows + 1, sizeof(part->name[0]));
    if (part->name == NULL) {
        free(part);
        return NULL;
    }
    return part;
}

void at_name_part_close(struct at_name_part *part)
{
    if (part == NULL)
        return;
    free(part->name);
    free(part);
}

void at_name_part_take(struct at_name_part *part, size_t flow, uint32_t name)
{
    part->name[flow] = name;
}

/* What is made of the numbers to be written. */
struct tables {
    uint32_t *number; /* by id - 1 */
    uint32_t *id;     /* by number */
    uint32_t *at;     /* by id - 1: where its flows end */
    uint32_t *flow;   /* their ids */
    uint8_t *blob;
};

static int by_name(const void *a, const void *b, void *names)
{
    return at_names_compare(at_names_text(names, *(const uint32_t *)a),
                            at_names_text(names, *(const uint32_t *)b));
}

static bool make_tables(struct tables *t, const struct at_name_part *part)
{
    const size_t n = part->names->n;

    t->number = malloc((n + 1) * sizeof(t->number[0]));
    t->id = malloc((n + 1) * sizeof(t->id[0]));
    t->at = calloc(n + 2, sizeof(t->at[0]));
    t->flow = malloc((part->flows + 1) * sizeof(t->flow[0]));
    t->blob = malloc(part->flows * 5 + 1);
    return t->number != NULL && t->id != NULL && t->at != NULL &&
           t->flow != NULL && t->blob != NULL;
}

static void free_tables(struct tables *t)
{
    free(t->number);
    free(t->id);
    free(t->at);
    free(t->flow);
    free(t->blob);
}

static void sort_names(struct tables *t, const struct at_name_part *part)
{
    const size_t n = part->names->n;

    for (size_t i = 0; i < n; i++)
        t->number[i] = (uint32_t)i + 1;
    if (n > 0)
        qsort_r(t->number, n, sizeof(t->number[0]), by_name,
                (void *)(uintptr_t)part->names);
    for (size_t i = 0; i < n; i++)
        t->id[t->number[i]] = (uint32_t)i + 1;
}

/* Lists the flows of each name by a counting sort: at[id - 1] is where they
 * begin, and moves to where they end as they come. */
static void list_flows(struct tables *t, const struct at_name_part *part,
                       const uint32_t *order)
{
    for (size_t i = 0; i < part->flows; i++)
        if (part->name[i] != 0)
            t->at[t->id[part->name[i]]]++;
    for (size_t i = 1; i <= part->names->n; i++)
        t->at[i] += t->at[i - 1];
    for (size_t i = 0; i < part->flows; i++) {
        const uint32_t name = part->name[order[i]];

        if (name != 0)
            t->flow[t->at[t->id[name] - 1]++] = (uint32_t)i + 1;
    }
}

static size_t encode(struct tables *t, size_t first, size_t end)
{
    uint8_t *p = t->blob;
    uint32_t before = 0;

    for (size_t i = first; i < end; i++) {
        p = at_put_varint(p, t->flow[i] - before);
        before = t->flow[i];
    }
    return (size_t)(p - t->blob);
}

static void write_names(struct tables *t, const struct at_name_part *part,
                        struct at_sql *sql)
{
    sqlite3_stmt *st = at_sql_prepare(sql, "INSERT INTO name VALUES(?, ?, ?)");
    size_t first = 0;

    for (size_t i = 0; i < part->names->n && sql->err.status == AT_OK; i++) {
        const size_t end = t->at[i];

        at_sql_bind(st, 1, (int64_t)i + 1);
        at_sql_bind_text(st, 2, at_names_text(part->names, t->number[i]));
        at_sql_bind_blob(st, 3, t->blob, encode(t, first, end));
        at_sql_run(sql, st);
        first = end;
    }
    sqlite3_finalize(st);
}

static void write_named(const struct tables *t, const struct at_name_part *part,
                        struct at_sql *sql, const uint32_t *order)
{
    sqlite3_stmt *st = at_sql_prepare(sql, "INSERT INTO named VALUES(?, ?)");

    for (size_t i = 0; i < part->flows && sql->err.status == AT_OK; i++) {
        const uint32_t name = part->name[order[i]];

        if (name == 0)
            continue;
        at_sql_bind(st, 1, (int64_t)i + 1);
        at_sql_bind(st, 2, t->id[name]);
        at_sql_run(sql, st);
    }
    sqlite3_finalize(st);
}

void at_name_part_write(const struct at_name_part *part, struct at_sql *sql,
                        const uint32_t *order)
{
    struct tables t = {.number = NULL};

    at_sql_exec(sql, AT_INDEX_NAMES);
    if (!make_tables(&t, part)) {
        at_error_set(&sql->err, AT_ERR_MEMORY, "out of memory");
    } else {
        sort_names(&t, part);
        list_flows(&t, part, order);
        write_names(&t, part, sql);
        write_named(&t, part, sql, order);
    }
    free_tables(&t);
}
