/*
 * catalog_inside.h - what the files of the catalogue share
 */
#ifndef AT_CATALOG_INSIDE_H
#define AT_CATALOG_INSIDE_H

#include "catalog.h"
#include "sql.h"

struct at_archive {
    char *path;
    int lock;
    int version;   /* of the catalogue, which may be older than we are */
    bool unsealed; /* a seal is to be made when it is closed */
    struct at_sql sql;
    sqlite3_stmt *hosts_of, *line_of; /* of sieves; NULL: not asked yet */
};

/*
 * at_archive_open() in its steps: one that is closed; with the lock, or
 * without; opened, and with the lock upgraded (AT_ERR_CORRUPT if it is
 * damaged); rid of what a crash has left.
 */
struct at_archive *at_catalog_new(const char *path);
enum at_status at_catalog_lock(struct at_archive *a, struct at_error *err);
enum at_status at_catalog_open(struct at_archive *a, struct at_error *err);
enum at_status at_catalog_clean(struct at_archive *a, struct at_error *err);
/* The lock stays. */
void at_catalog_close(struct at_archive *a);

/* The error of the last statement that failed. */
enum at_status at_catalog_error(struct at_archive *a, struct at_error *err);

/* Begins a transaction that changes something; "COMMIT" ends it.  An error is
 * that of the statements that follow, too. */
void at_catalog_begin(struct at_archive *a);

/* Inside of a transaction: the files of 'path' are to be made, or removed. */
void at_catalog_put_intent(struct at_archive *a, const char *path);

/* The files of all intents are as they were to be. */
enum at_status at_catalog_forget_intents(struct at_archive *a,
                                         struct at_error *err);

/* Calls 'fn' with the first column of each row. */
enum at_status at_catalog_each_path(struct at_archive *a, const char *query,
                                    enum at_status (*fn)(struct at_archive *a,
                                                         const char *path,
                                                         struct at_error *err),
                                    struct at_error *err);

/* Removes a trace, and with 'index' its index; what is not there need not be
 * removed.  Directories that are empty then go too. */
enum at_status at_catalog_unlink(struct at_archive *a, const char *relative,
                                 bool index, struct at_error *err);

/* Who names a file, a trace or an index. */
enum at_owner {
    AT_OWNER_NONE,
    AT_OWNER_SEGMENT,
    AT_OWNER_INTENT, /* it is about to be removed, or to be made */
};
enum at_status at_catalog_owner(struct at_archive *a, const char *path,
                                enum at_owner *owner, struct at_error *err);

/* Runs a statement about what has this id; errors are in a->sql. */
void at_catalog_run_for(struct at_archive *a, const char *sql, int64_t id);

/*
 * Inside of the transaction that adds the segment 'id' in the place of
 * 'replaces' (0: none), whose rows go: the flows that are open at its end
 * (NULL: those of the segment it replaces), and the hosts of its index.
 */
void at_catalog_put_parts(struct at_archive *a, int64_t id, int64_t replaces,
                          const struct at_carry *open, bool pending,
                          const char *index);

/* Inside of a transaction that notes another index of a segment. */
void at_catalog_renew_sums(struct at_archive *a, int64_t id, const char *index);

/* Inside of a transaction that takes segment 'id' away. */
void at_catalog_drop_parts(struct at_archive *a, int64_t id);

/*
 * Inside of a transaction: the rows of a segment, in the place of those of
 * 'replaces' (0: none).  'made'.idx is its index; 'open' as in
 * at_archive_add().
 */
void at_catalog_put(struct at_archive *a, const struct at_segment *seg,
                    const char *made, int64_t replaces,
                    const struct at_carry *open);

#endif
