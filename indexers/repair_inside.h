/*
 * repair_inside.h - what the files of repair share
 */
#ifndef AT_REPAIR_INSIDE_H
#define AT_REPAIR_INSIDE_H

#include "catalog_inside.h"
#include "repair.h"

struct at_repairing {
    const struct at_repair *how;
    struct at_repaired *done;
    struct at_archive *a; /* the lock is held */
};

/* Each says a line that begins with a file of the archive, and counts it. */
void at_repair_trouble(struct at_repairing *r, const char *file,
                       const char *fmt, ...) AT_PRINTF(3, 4);
void at_repair_fixed(struct at_repairing *r, const char *file, const char *fmt,
                     ...) AT_PRINTF(3, 4);
void at_repair_left(struct at_repairing *r, const char *file, const char *fmt,
                    ...) AT_PRINTF(3, 4);
void at_repair_note(struct at_repairing *r, const char *file, const char *fmt,
                    ...) AT_PRINTF(3, 4);

/* Makes a catalogue of the traces and indexes that are there, and of what can
 * be read of the one that is.  That is set aside. */
enum at_status at_repair_catalog(struct at_repairing *r, struct at_error *err);

/*
 * Makes tmp/index the index of a segment and gives it its place.  *totals is
 * what it says; 'digest' and its size are stored in *seg.
 */
enum at_status at_repair_index(struct at_repairing *r, struct at_segment *seg,
                               struct at_index_totals *totals,
                               struct at_error *err);

/* Gives a file of the archive a name in aside/, too; or only that. */
enum at_status at_repair_link_aside(struct at_archive *a, const char *path,
                                    struct at_error *err);
enum at_status at_repair_aside(struct at_archive *a, const char *path,
                               struct at_error *err);

#endif
