/*
 * output.h - a file that exists only when it is complete
 */
#ifndef AT_OUTPUT_H
#define AT_OUTPUT_H

#include "archive_trace.h"

struct at_output {
    int fd;
    char *name;      /* for messages: the final path */
    char *temporary; /* NULL: written in place */
    uint64_t bytes;  /* written so far, as far as the owner knows */
    int failed;      /* errno of the last write: nothing more is written */
    /* The owner's, may be NULL: called with all that was written, in order. */
    void (*written)(void *ctx, const uint8_t *p, size_t n);
    void *written_ctx;
};

/*
 * Opens 'path' for writing: a temporary name beside it if it is or will be a
 * regular file, itself otherwise; "-" is standard output.
 */
enum at_status at_output_open(struct at_output *out, const char *path,
                              struct at_error *err);

enum at_status at_output_write(struct at_output *out, const uint8_t *p,
                               size_t n, struct at_error *err);

/*
 * The same on any thread, while no other writes and none looks at out->bytes:
 * the owner adds to it when it hears of the write.
 */
enum at_status at_output_append(struct at_output *out, const uint8_t *p,
                                size_t n, struct at_error *err);

/* Closes the file and gives it its name; 'sync' makes its bytes durable
 * first (the name is durable once the caller has synced the directory). */
enum at_status at_output_commit(struct at_output *out, bool sync,
                                struct at_error *err);

/* Without a commit before it, removes the temporary file. */
void at_output_close(struct at_output *out);

#endif
