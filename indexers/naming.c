/*
 * naming.c - packets kept until the application of their flow is known
 *
 * The packets go into a spool, the number of each one's flow into a file
 * beside it.
 */
#include "naming.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "errors.h"
#include "files.h"

enum {
    NO_FLOW = UINT32_MAX,
    STAGE_BYTES = 1 << 16,
};

struct at_naming {
    struct at_flow_names *names;
    struct at_spool *spool;
    char *folder;
    FILE *numbers; /* uint32_t, one a record */
};

static enum at_status out_of_memory(struct at_error *err)
{
    return at_error_set(err, AT_ERR_MEMORY, "out of memory");
}

static enum at_status open_files(struct at_naming *n, struct at_error *err)
{
    char *beside = at_path_join(n->folder, "waiting");
    enum at_status st = beside != NULL
                            ? at_spool_open(&n->spool, beside, 0, err)
                            : out_of_memory(err);
    int fd;

    free(beside);
    if (st != AT_OK)
        return st;
    fd = at_file_nameless(n->folder);
    n->numbers = fd >= 0 ? fdopen(fd, "w+") : NULL;
    if (n->numbers == NULL) {
        st = at_error_system(err, n->folder, "create a file in");
        if (fd >= 0)
            close(fd);
        return st;
    }
    setvbuf(n->numbers, NULL, _IOFBF, STAGE_BYTES);
    return AT_OK;
}

enum at_status at_naming_open(struct at_naming **out,
                              const struct at_apps *apps, uint64_t seed,
                              const char *folder, struct at_error *err)
{
    struct at_naming *n = calloc(1, sizeof(*n));
    enum at_status st;

    *out = NULL;
    if (n == NULL)
        return out_of_memory(err);
    n->folder = strdup(folder);
    n->names = at_flow_names_open(apps, seed);
    st = n->folder != NULL && n->names != NULL ? open_files(n, err)
                                               : out_of_memory(err);
    if (st == AT_OK)
        *out = n;
    else
        at_naming_close(n);
    return st;
}

void at_naming_close(struct at_naming *n)
{
    if (n == NULL)
        return;
    at_flow_names_close(n->names);
    at_spool_close(n->spool);
    if (n->numbers != NULL)
        fclose(n->numbers);
    free(n->folder);
    free(n);
}

enum at_status at_naming_add(struct at_naming *n, const struct at_packet *pkt,
                             const struct at_sight *sight, struct at_error *err)
{
    uint32_t number = NO_FLOW;
    bool in;

    if (sight != NULL && sight->packet &&
        at_flow_names_add(n->names, sight, &number, &in) != AT_OK)
        return out_of_memory(err);
    if (fwrite(&number, sizeof(number), 1, n->numbers) != 1)
        return at_error_system(err, n->folder, "write a file in");
    return at_spool_add(n->spool, 0, pkt, err);
}

enum at_status at_naming_finish(struct at_naming *n, struct at_error *err)
{
    if (at_flow_names_finish(n->names) != AT_OK)
        return out_of_memory(err);
    if (fflush(n->numbers) != 0 || fseeko(n->numbers, 0, SEEK_SET) != 0)
        return at_error_system(err, n->folder, "write a file in");
    return AT_OK;
}

enum at_status at_naming_take(struct at_naming *n, struct at_packet *pkt,
                              struct at_flow_name *name, struct at_error *err)
{
    const enum at_status st = at_spool_take(n->spool, 0, pkt, err);
    uint32_t number;

    if (st != AT_OK)
        return st;
    if (fread(&number, sizeof(number), 1, n->numbers) != 1)
        return at_error_system(err, n->folder, "read a file in");
    *name = number != NO_FLOW ? at_flow_names_get(n->names, number)
                              : (struct at_flow_name){.ip = false};
    return AT_OK;
}
