/*
 * index_inside.h - what the files that read an index share
 */
#ifndef AT_INDEX_INSIDE_H
#define AT_INDEX_INSIDE_H

#include "app_part.h"
#include "index.h"
#include "pages.h"
#include "sql.h"

enum { AT_INDEX_HOLE_NAME = 32, AT_INDEX_COLUMNS = 24 };

struct at_host {
    uint8_t addr[16];
    uint8_t bytes; /* of the address; 0: not asked for yet */
};

struct at_index {
    struct at_sql sql;
    int64_t version;
    struct at_index_info info;
    int64_t base_ns;
    sqlite3_stmt *host_by_id;
    struct at_pages *pages;           /* of the flows; NULL: not needed yet */
    struct at_cell cell;              /* the last of them, */
    int64_t number[AT_INDEX_COLUMNS]; /* its columns that were wanted, */
    uint32_t nulls;                   /* and a bit for each that is NULL */
    unsigned wanted;                  /* AT_ROW_ fields, */
    uint32_t columns;                 /* and a bit for each column of them */
    const struct at_set *flows;       /* being walked; NULL: all */
    size_t next, last;                /* of their ids */
    bool by_point;
    bool all_hosts;       /* were asked for */
    struct at_host *host; /* by id, as far as they were asked for */
    struct at_access_point *access;
    size_t accesses, access_room;
    sqlite3_stmt *history_by_id;
    struct at_hole *hole; /* NULL: not asked for yet */
    char (*hole_what)[AT_INDEX_HOLE_NAME];
    size_t holes;
    struct at_app_name *app; /* by id - 1; the strings are of others */
    size_t apps;
    struct at_opening *opening; /* of number 'chunk'; NULL: nobody wants them */
    size_t chunk;
    sqlite3_stmt *opening_by_id;
    struct at_shared_names *keep_names;
    sqlite3_stmt *name_of_flow; /* NULL: nobody wants them */
};

/* AT_ERR_CORRUPT: numbers contradict each other. */
enum at_status at_index_corrupt(struct at_index *ix, const char *what,
                                struct at_error *err);

/* The query for how many blocks there are. */
const char *at_index_count_blocks(const struct at_index *ix);

/* Adds the numbers of a list, or of a column that is one; false if it is none.
 */
bool at_index_add_numbers(struct at_set *set, const void *blob, size_t n);
bool at_index_add_list(struct at_set *set, sqlite3_stmt *st, int column);

/* Fills in ix->host[id], if it is not there. */
enum at_status at_index_read_host(struct at_index *ix, int64_t id,
                                  struct at_error *err);

/* The same from what is stored; what cannot be an address is left out. */
void at_index_keep_host(struct at_index *ix, int64_t id, const void *addr,
                        size_t n);

/* Fills in row->name. */
enum at_status at_index_take_name(struct at_index *ix, int64_t flow,
                                  struct at_flow_row *row,
                                  struct at_error *err);

/* The error of the last statement that failed. */
enum at_status at_index_error(struct at_index *ix, struct at_error *err);

#endif
