/*
 * temporary.c - files that nobody sees
 */
#include "temporary.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "errors.h"

int at_temporary(struct at_error *err)
{
    const char *dir = getenv("TMPDIR");
    char *path;
    int fd;

    if (asprintf(&path, "%s/at-XXXXXX",
                 dir != NULL && *dir != '\0' ? dir : "/tmp") < 0) {
        at_error_set(err, AT_ERR_MEMORY, "out of memory");
        return -1;
    }
    fd = mkostemp(path, O_CLOEXEC);
    if (fd < 0)
        at_error_system(err, path, "create");
    else
        unlink(path);
    free(path);
    return fd;
}
