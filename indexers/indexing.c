/*
 * indexing.c - the index of one trace file
 */
#include "indexing.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "errors.h"
#include "sights.h"

struct job {
    const struct at_indexing *how;
    const struct at_trace_info *trace;
    struct at_builder *builder;
    struct at_sighting sighting;
    struct at_place *place;
    size_t places, place_room;
    bool stopped;
};

char *at_index_path(const char *trace)
{
    char *path;

    return asprintf(&path, "%s.idx", trace) < 0 ? NULL : path;
}

static enum at_status keep_places(struct job *job, const struct at_batch *batch)
{
    if (job->places + batch->blocks > job->place_room) {
        const size_t room = (job->places + batch->blocks) * 2;
        struct at_place *p = realloc(job->place, room * sizeof(*p));

        if (p == NULL)
            return AT_ERR_MEMORY;
        job->place = p;
        job->place_room = room;
    }
    for (size_t i = 0; i < batch->blocks; i++)
        job->place[job->places++] = batch->block[i].place;
    return AT_OK;
}

static enum at_status work(void *ctx, void *slot, const struct at_batch *batch,
                           struct at_error *err)
{
    const struct job *job = ctx;

    return at_sights_take(slot, batch, &job->sighting, err);
}

static enum at_status report(void *ctx, void *slot,
                             const struct at_batch *batch, struct at_error *err)
{
    struct job *job = ctx;
    const struct at_sights *s = slot;
    const struct at_sight *sight = s->sight;
    const struct at_besides besides = at_sights_besides(s);
    const struct at_place *end = &batch->block[batch->blocks - 1].place;
    enum at_status st = keep_places(job, batch);

    if (st != AT_OK)
        return at_error_set(err, st, "out of memory");
    for (size_t i = 0; i < batch->blocks && st == AT_OK; i++) {
        st = at_builder_add(job->builder, sight, batch->block[i].records,
                            &besides, batch->first_block + i, err);
        sight += batch->block[i].records;
    }
    if (st != AT_OK)
        return st;
    if (job->how->progress != NULL &&
        !job->how->progress(
            job->how->progress_ctx, end->file_offset + end->file_bytes,
            job->trace->file_bytes, at_builder_totals(job->builder)->packets)) {
        job->stopped = true;
        return AT_END;
    }
    return AT_OK;
}

static void drop(void *ctx, void *slot)
{
    (void)ctx;
    at_sights_drop(slot);
}

void at_holes_tell(at_holes_fn *fn, void *ctx, const struct at_reader *rd)
{
    struct at_salvaged total;
    size_t n;
    const struct at_hole *hole = at_reader_holes(rd, &n, &total);

    if ((total.holes > 0 || total.assumed != NULL) && fn != NULL)
        fn(ctx, at_reader_info(rd)->name, hole, n, &total);
}

/* Writes the index under a temporary name, then gives it its own. */
static enum at_status publish(struct job *job, const char *path,
                              const struct at_index_about *about,
                              struct at_error *err)
{
    char *temporary;
    enum at_status st;

    if (asprintf(&temporary, "%s.%ld.part", path, (long)getpid()) < 0)
        return at_error_set(err, AT_ERR_MEMORY, "out of memory");
    st = at_builder_write(job->builder, temporary, about, job->place,
                          job->places, err);
    if (st == AT_OK && rename(temporary, path) != 0)
        st = at_error_system(err, path, "create");
    if (st != AT_OK)
        unlink(temporary);
    free(temporary);
    return st;
}

static enum at_status index_reader(struct job *job, struct at_reader *rd,
                                   const char *trace, const char *path,
                                   bool *written, struct at_error *err)
{
    const struct at_run run = {
        .slot_bytes = sizeof(struct at_sights),
        .ctx = job,
        .work = work,
        .report = report,
        .drop = drop,
    };
    struct at_index_about about = {
        .stream = job->how->stream,
        .apps = job->how->apps,
        .open = job->how->open,
    };
    struct at_error later;
    const enum at_status st = at_run(rd, job->how->pool, &run, err);

    if (job->stopped)
        return AT_END;
    if (st != AT_OK && at_reader_error(rd)->status >= 0)
        return st;
    about.format = job->trace->format;
    about.codec = job->trace->codec;
    about.linktype = job->trace->linktype;
    about.snap_bytes = job->trace->snap_bytes;
    about.hole = at_reader_holes(rd, &about.holes, &about.salvaged);
    about.complete = st == AT_OK && about.salvaged.holes == 0;
    at_holes_tell(job->how->holes, job->how->holes_ctx, rd);
    about.access = at_reader_access(rd, &about.accesses);
    if (at_identity_of(&about.identity, trace, &later) != AT_OK ||
        publish(job, path, &about, &later) != AT_OK) {
        return st == AT_OK ? at_error_copy(err, &later) : st;
    }
    *written = true;
    return st;
}

static char *folder_of(const char *path)
{
    const char *slash = strrchr(path, '/');

    if (slash == NULL)
        return strdup(".");
    return strndup(path, slash == path ? 1 : (size_t)(slash - path));
}

enum at_status at_index_file(const char *trace, const char *path,
                             const struct at_indexing *how,
                             struct at_index_totals *totals, bool *written,
                             struct at_error *err)
{
    struct at_reader_options opts = how->reading;
    struct job job = {.how = how,
                      .sighting = {.seed = at_flow_key_seed(),
                                   .key = how->tracking.key,
                                   .names = how->tracking.names}};
    struct at_reader *rd;
    enum at_status st;
    char *folder;

    *written = false;
    opts.size = sizeof(opts);
    opts.pool = how->pool;
    st = at_reader_open(&rd, trace, &opts, err);
    if (st != AT_OK)
        return st;
    job.trace = at_reader_info(rd);
    folder = folder_of(path);
    job.builder = folder != NULL
                      ? at_builder_open(&how->tracking, job.sighting.seed,
                                        folder, how->pool)
                      : NULL;
    if (job.builder == NULL)
        st = at_error_set(err, AT_ERR_MEMORY, "out of memory");
    else if (how->carry != NULL)
        st = at_builder_resume(job.builder, how->carry, err);
    if (st == AT_OK)
        st = index_reader(&job, rd, trace, path, written, err);
    if (*written)
        *totals = *at_builder_totals(job.builder);
    at_builder_close(job.builder);
    free(folder);
    at_reader_close(rd);
    free(job.place);
    return st;
}
