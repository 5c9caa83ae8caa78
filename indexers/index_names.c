/*
 * index_names.c - what an index says of names that flows ask for
 */
#include "errors.h"
#include "index_inside.h"
#include "schema.h"

enum at_status at_index_want_names(struct at_index *ix,
                                   struct at_shared_names *keep,
                                   struct at_error *err)
{
    if (!ix->info.tracking.names)
        return AT_OK;
    ix->keep_names = keep;
    ix->name_of_flow = at_sql_prepare(&ix->sql,
                                      "SELECT n.name FROM named m JOIN name n"
                                      " ON n.id = m.name WHERE m.flow = ?");
    return ix->sql.err.status == AT_OK ? AT_OK : at_index_error(ix, err);
}

/* What asked.h makes of any bytes; else it is none of ours to print. */
static bool is_clean(const char *name)
{
    for (; *name != '\0'; name++)
        if (*name <= ' ' || *name > '~')
            return false;
    return true;
}

enum at_status at_index_take_name(struct at_index *ix, int64_t flow,
                                  struct at_flow_row *row, struct at_error *err)
{
    const char *name;

    at_sql_bind(ix->name_of_flow, 1, flow);
    if (at_sql_step(&ix->sql, ix->name_of_flow) == AT_OK) {
        name = (const char *)sqlite3_column_text(ix->name_of_flow, 0);
        if (name != NULL && is_clean(name))
            row->name = at_shared_names_keep(ix->keep_names, name);
    }
    sqlite3_reset(ix->name_of_flow);
    return ix->sql.err.status == AT_OK ? AT_OK : at_index_error(ix, err);
}

/* ---- flows of a domain ----------------------------------------------- */

/* The id of the first name from 'low' on that does not come before 'domain':
 * names are in order. */
static int64_t find_first(struct at_index *ix, sqlite3_stmt *st, int64_t low,
                          int64_t end, const char *domain)
{
    while (low < end && ix->sql.err.status == AT_OK) {
        const int64_t mid = low + (end - low) / 2;
        const char *name = NULL;

        at_sql_bind(st, 1, mid);
        if (at_sql_step(&ix->sql, st) == AT_OK)
            name = (const char *)sqlite3_column_text(st, 0);
        if (name != NULL && at_names_compare(name, domain) < 0)
            low = mid + 1;
        else
            end = mid;
        sqlite3_reset(st);
    }
    return low;
}

enum at_status at_index_name_flows(struct at_index *ix, const char *domain,
                                   struct at_set *flows, struct at_error *err)
{
    sqlite3_stmt *by_id = at_sql_prepare(&ix->sql,
                                         "SELECT name FROM name WHERE id = ?");
    sqlite3_stmt *from = at_sql_prepare(
        &ix->sql, "SELECT name, flows FROM name WHERE id >= ? ORDER BY id");
    const int64_t names = at_sql_number(&ix->sql, "SELECT max(id) FROM name");
    bool good = true;

    at_sql_bind(from, 1, find_first(ix, by_id, 1, names + 1, domain));
    while (good && at_sql_step(&ix->sql, from) == AT_OK) {
        const char *name = (const char *)sqlite3_column_text(from, 0);

        if (name != NULL && !at_name_is_in(name, domain))
            break;
        good = name != NULL && at_index_add_list(flows, from, 1);
    }
    sqlite3_finalize(by_id);
    sqlite3_finalize(from);
    if (ix->sql.err.status != AT_OK)
        return at_index_error(ix, err);
    return good ? AT_OK : at_index_corrupt(ix, "a name's list of flows", err);
}
