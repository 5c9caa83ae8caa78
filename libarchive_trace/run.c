/*
 * run.c - a function over every batch, in parallel, and its results in order
 */
#include <stdlib.h>

#include "errors.h"
#include "pool.h"

struct step {
    struct at_batch *batch;
    enum at_status status;
    struct at_error err;
    max_align_t user[]; /* the caller's slot */
};

struct at_pass {
    struct at_run run;
    struct at_reader *rd;
    struct at_lane *lane;
    struct step *given;   /* to the caller, not yet retired */
    enum at_status input; /* what the reader said last */
};

static void do_step(void *ctx, void *slot)
{
    const struct at_pass *pass = ctx;
    struct step *s = slot;

    s->err.status = AT_OK;
    s->status = pass->run.work == NULL
                    ? AT_OK
                    : pass->run.work(pass->run.ctx, s->user, s->batch, &s->err);
}

static void drop_step(void *ctx, void *slot)
{
    const struct at_pass *pass = ctx;
    struct step *s = slot;

    if (s->batch != NULL)
        at_batch_release(s->batch);
    if (pass->run.drop != NULL)
        pass->run.drop(pass->run.ctx, s->user);
}

/* Sends batches off until the lane is full or the reader has no more. */
static void send_batches(struct at_pass *pass)
{
    struct step *s;

    while (pass->input == AT_OK &&
           (s = at_lane_free_slot(pass->lane)) != NULL) {
        pass->input = at_reader_next_batch(pass->rd, &s->batch);
        if (pass->input == AT_OK)
            at_lane_submit(pass->lane);
    }
}

enum at_status at_pass_open(struct at_pass **out, struct at_reader *rd,
                            struct at_pool *pool, const struct at_run *run,
                            struct at_error *err)
{
    struct at_pass *pass = calloc(1, sizeof(*pass));

    *out = NULL;
    if (pass == NULL)
        return at_error_set(err, AT_ERR_MEMORY, "out of memory");
    pass->run = *run;
    pass->rd = rd;
    pass->lane = at_lane_open(pool, do_step, pass,
                              sizeof(struct step) + run->slot_bytes, run->slots,
                              false);
    if (pass->lane == NULL) {
        free(pass);
        return at_error_set(err, AT_ERR_MEMORY, "out of memory");
    }
    *out = pass;
    return AT_OK;
}

static void take_back(struct at_pass *pass)
{
    if (pass->given == NULL)
        return;
    if (pass->given->batch != NULL)
        at_batch_release(pass->given->batch);
    pass->given->batch = NULL;
    pass->given = NULL;
    at_lane_retire(pass->lane);
}

static enum at_status pass_over(const struct at_pass *pass,
                                struct at_error *err)
{
    if (pass->input < 0)
        at_error_copy(err, at_reader_error(pass->rd));
    return pass->input;
}

enum at_status at_pass_next(struct at_pass *pass, void **slot,
                            const struct at_batch **batch, struct at_error *err)
{
    take_back(pass);
    send_batches(pass);
    pass->given = at_lane_wait(pass->lane);
    if (pass->given == NULL)
        return pass_over(pass, err);
    *slot = pass->given->user;
    *batch = pass->given->batch;
    if (pass->given->status != AT_OK)
        at_error_copy(err, &pass->given->err);
    return pass->given->status;
}

struct at_batch *at_pass_keep(struct at_pass *pass)
{
    struct at_batch *batch = pass->given->batch;

    pass->given->batch = NULL;
    return batch;
}

void at_pass_close(struct at_pass *pass)
{
    if (pass == NULL)
        return;
    at_lane_close(pass->lane, drop_step);
    free(pass);
}

enum at_status at_run(struct at_reader *rd, struct at_pool *pool,
                      const struct at_run *run, struct at_error *err)
{
    const struct at_batch *batch = NULL;
    struct at_pass *pass;
    void *slot = NULL;
    enum at_status st = at_pass_open(&pass, rd, pool, run, err);

    while (st == AT_OK && pass != NULL) {
        st = at_pass_next(pass, &slot, &batch, err);
        if (st == AT_OK)
            st = run->report(run->ctx, slot, batch, err);
    }
    at_pass_close(pass);
    return st == AT_END ? AT_OK : st;
}
