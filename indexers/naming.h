/*
 * naming.h - packets kept until the application of their flow is known
 *
 * Packets that come out in the order they came in wait for those before them,
 * so all wait for the last (see flow_names.h): on disk.
 */
#ifndef AT_NAMING_H
#define AT_NAMING_H

#include "flow_names.h"

/* One thread at a time. */
struct at_naming;

/*
 * 'apps' stays the caller's; 'seed' is that of the sights.  The packets wait
 * in files without a name in 'folder'.
 */
enum at_status at_naming_open(struct at_naming **out,
                              const struct at_apps *apps, uint64_t seed,
                              const char *folder, struct at_error *err);

/* Copies a record; with a NULL 'sight' one that is of no flow. */
enum at_status at_naming_add(struct at_naming *n, const struct at_packet *pkt,
                             const struct at_sight *sight,
                             struct at_error *err);

/* No more packets come. */
enum at_status at_naming_finish(struct at_naming *n, struct at_error *err);

/*
 * Takes the records in the order they were added, good until the next call,
 * each with the name of its flow, all zero where it is of none; then AT_END.
 */
enum at_status at_naming_take(struct at_naming *n, struct at_packet *pkt,
                              struct at_flow_name *name, struct at_error *err);

/* NULL is fine. */
void at_naming_close(struct at_naming *n);

#endif
