/*
 * name_part.h - the part of an index that is about names
 *
 * While an index is made, the number of each flow's name is shown to it once;
 * then it writes the tables name and named, of which schema.h tells.
 */
#ifndef AT_NAME_PART_H
#define AT_NAME_PART_H

#include "names.h"
#include "sql.h"

struct at_name_part;

/* NULL when there is no memory. */
struct at_name_part *at_name_part_open(const struct at_names *names,
                                       size_t flows);
void at_name_part_close(struct at_name_part *part);

/* The name of flow number 'flow'; 0: it has none. */
void at_name_part_take(struct at_name_part *part, size_t flow, uint32_t name);

/* Makes the tables and fills them; flow id i + 1 is number order[i].  What
 * fails is the error of 'sql'. */
void at_name_part_write(const struct at_name_part *part, struct at_sql *sql,
                        const uint32_t *order);

#endif
