/*
 * builder.h - an index in the making
 *
 * Packets go in as they stand in the trace, block by block; when all are in,
 * the index is written in one go, every table in the order of its keys.
 */
#ifndef AT_BUILDER_H
#define AT_BUILDER_H

#include "app.h"
#include "carry.h"
#include "identity.h"
#include "tracker.h"

struct at_builder;

/* What of the trace file goes into the index; see schema.h. */
struct at_index_about {
    struct at_identity identity;
    enum at_format format;
    enum at_codec codec;
    uint16_t linktype;
    uint32_t snap_bytes;
    const char *stream;
    bool complete;
    const struct at_apps *apps;           /* NULL: flows get no applications */
    const struct at_access_point *access; /* of a gzip file */
    size_t accesses;
    const struct at_hole *hole; /* the first of those that 'salvaged' counts */
    size_t holes;
    struct at_salvaged salvaged;
    struct at_carry *open; /* NULL: the trace is a capture of its own; else it
                              is a part, and gets the flows that go on */
};

/* Sums over what is in. */
struct at_index_totals {
    uint64_t packets;
    uint64_t captured_bytes;
    uint64_t wire_bytes;
    uint64_t flows;      /* of IP; known once written, as the next */
    uint64_t forced;     /* flows that ended because there were too many */
    uint64_t names_lost; /* times that a name was one too many */
    int64_t first_ns, last_ns;
};

/* Flows that are over are kept in a file in 'folder', which is not copied; it
 * has no name and is gone with the builder.  'seed' is that of the sights; the
 * pool helps when the index is written. */
struct at_builder *at_builder_open(const struct at_tracking *rules,
                                   uint64_t seed, const char *folder,
                                   struct at_pool *pool);

/* Before the first record: the flows that earlier parts of the capture left
 * go on.  'carry' is not copied, and must live as long. */
enum at_status at_builder_resume(struct at_builder *b,
                                 const struct at_carry *carry,
                                 struct at_error *err);

/* Adds the records of block number 'block', or some of them; blocks come in
 * ascending order.  'besides' is what they refer to. */
enum at_status at_builder_add(struct at_builder *b, const struct at_sight *s,
                              size_t n, const struct at_besides *besides,
                              uint64_t block, struct at_error *err);

/*
 * Writes the index to 'path', which is replaced, and syncs it; nothing can be
 * added after that.  'place' tells
 * where each of the blocks is that were added.
 */
enum at_status at_builder_write(struct at_builder *b, const char *path,
                                const struct at_index_about *about,
                                const struct at_place *place, size_t places,
                                struct at_error *err);

const struct at_index_totals *at_builder_totals(const struct at_builder *b);
void at_builder_close(struct at_builder *b);

#endif
