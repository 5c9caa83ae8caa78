/*
 * app_part.h - the part of an index that is about applications
 *
 * While an index is made, each flow is shown to it once; then it says what
 * goes into the flow's column, and writes the tables app and opening, of
 * which schema.h tells.  From opening an index can be given other names by
 * other rules, without its trace.
 */
#ifndef AT_APP_PART_H
#define AT_APP_PART_H

#include "app_names.h"
#include "sql.h"

struct at_app_part;

/* NULL when there is no memory.  'apps' may be NULL: no names, then. */
struct at_app_part *at_app_part_open(const struct at_apps *apps, size_t flows);
void at_app_part_close(struct at_app_part *part);

/* Shows flow number 'number'; its application is put into the row. */
void at_app_part_take(struct at_app_part *part, size_t number,
                      struct at_flow_row *row);

/* Counts how often each application is there.  After that come only the
 * functions below. */
void at_app_part_finish(struct at_app_part *part);

/* AT_INDEX_APP of the flow: its application and confidence. */
uint32_t at_app_part_value(const struct at_app_part *part, size_t number);

/* Packs the openings, as their table will have them; flow id i + 1 is number
 * order[i], or with a NULL 'order' number i, here and below. */
enum at_status at_app_part_pack(struct at_app_part *part,
                                const uint32_t *order);

/* Fills the tables; the openings are packed. */
void at_app_part_write_apps(const struct at_app_part *part, struct at_sql *sql,
                            const uint32_t *order);
void at_app_part_write_openings(const struct at_app_part *part,
                                struct at_sql *sql);

/*
 * The openings of AT_OPENING_FLOWS flows, or of fewer at the end: the first
 * bytes from either end, how many of them were captured, and the lengths.
 */
enum { AT_OPENING_FLOWS = 8192 };

struct at_opening {
    uint8_t first[2][4];
    uint8_t captured[2];
    uint16_t length[2];
};

/* Unpacks what table opening has for 'n' flows; false if it is not that. */
bool at_openings_unpack(struct at_opening *opening, size_t n, const void *blob,
                        size_t bytes);

#endif
