/*
 * seal.c - whether the catalogue is as it was left
 */
#include "seal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "digest.h"
#include "errors.h"
#include "files.h"

#define SEAL_TAIL "  " AT_CATALOG_NAME "\n"

enum { SEAL_TEXT = AT_DIGEST_TEXT - 1 + sizeof(SEAL_TAIL), TRIES = 100 };

/* What a seal says, or should say; two are compared as they stand. */
struct text {
    size_t n;
    char p[SEAL_TEXT + 1];
};

/* AT_END if there is none. */
static enum at_status read_seal(const char *path, struct text *text,
                                struct at_error *err)
{
    const int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n;

    if (fd < 0)
        return errno == ENOENT ? AT_END : at_error_system(err, path, "open");
    n = read(fd, text->p, sizeof(text->p));
    if (n < 0)
        at_error_system(err, path, "read");
    close(fd);
    text->n = n < 0 ? 0 : (size_t)n;
    return n < 0 ? AT_ERR_SYSTEM : AT_OK;
}

static enum at_status make_text(const char *catalog, struct text *text,
                                struct at_error *err)
{
    char digits[AT_DIGEST_TEXT];
    struct at_digest digest;
    const enum at_status st = at_digest_of(&digest, catalog, NULL, err);

    if (st != AT_OK)
        return st;
    if (!digest.known)
        return at_error_set(err, AT_ERR_SYSTEM, "SHA-256 is not available");
    text->n = (size_t)snprintf(text->p, sizeof(text->p), "%s" SEAL_TAIL,
                               at_digest_text(digits, &digest));
    return AT_OK;
}

static bool same(const struct text *a, const struct text *b)
{
    return a->n == b->n && memcmp(a->p, b->p, a->n) == 0;
}

static enum at_status check(const char *catalog, const char *path,
                            enum at_seal *seal, struct at_error *err)
{
    struct text before = {.n = 0}, is = {.n = 0}, after = {.n = 0};
    enum at_status st;

    for (int i = 0; i < TRIES; i++) {
        *seal = AT_SEAL_NONE;
        st = read_seal(path, &before, err);
        if (st == AT_OK)
            st = make_text(catalog, &is, err);
        if (st != AT_OK)
            return st == AT_END ? AT_OK : st;
        *seal = AT_SEAL_GOOD;
        if (same(&before, &is))
            return AT_OK;
        *seal = AT_SEAL_BROKEN;
        st = read_seal(path, &after, err);
        if (st != AT_END && (st != AT_OK || same(&before, &after)))
            return st;
    }
    return AT_OK;
}

enum at_status at_seal_check(const char *archive, enum at_seal *seal,
                             struct at_error *err)
{
    char *catalog = at_path_join(archive, AT_CATALOG_NAME);
    char *path = at_path_join(archive, AT_SEAL_NAME);
    enum at_status st;

    if (catalog == NULL || path == NULL)
        st = at_error_set(err, AT_ERR_MEMORY, "out of memory");
    else
        st = check(catalog, path, seal, err);
    free(catalog);
    free(path);
    return st;
}

enum at_status at_seal_break(const char *archive, struct at_error *err)
{
    char *path = at_path_join(archive, AT_SEAL_NAME);
    enum at_status st = AT_OK;

    if (path == NULL)
        return at_error_set(err, AT_ERR_MEMORY, "out of memory");
    if (unlink(path) == 0)
        st = at_dir_sync_of(path, err);
    else if (errno != ENOENT)
        st = at_error_system(err, path, "remove");
    free(path);
    return st;
}

static enum at_status write_text(const char *made, const struct text *text,
                                 struct at_error *err)
{
    const int fd = open(made, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    enum at_status st = AT_OK;

    if (fd < 0)
        return at_error_system(err, made, "create");
    if (write(fd, text->p, text->n) != (ssize_t)text->n || fsync(fd) != 0)
        st = at_error_system(err, made, "write");
    close(fd);
    return st;
}

/* Until a journal has been played back the catalogue is not what it is. */
static bool has_journal(const char *catalog)
{
    char *path = at_path_append(catalog, "-journal");
    const bool has = path == NULL || access(path, F_OK) == 0;

    free(path);
    return has;
}

/* By way of 'made', the seal of a catalogue gets its name, 'path'. */
static enum at_status make_seal(const char *catalog, const char *path,
                                const char *made, struct at_error *err)
{
    struct text text = {.n = 0};
    enum at_status st;

    if (has_journal(catalog))
        return at_error_set(err, AT_ERR_SYSTEM, "%s: a change is not over",
                            catalog);
    st = make_text(catalog, &text, err);
    if (st == AT_OK)
        st = write_text(made, &text, err);
    if (st == AT_OK && rename(made, path) != 0)
        st = at_error_system(err, path, "create");
    if (st != AT_OK)
        unlink(made);
    return st;
}

enum at_status at_seal_make(const char *archive, struct at_error *err)
{
    char *catalog = at_path_join(archive, AT_CATALOG_NAME);
    char *path = at_path_join(archive, AT_SEAL_NAME);
    char *made = at_path_join(archive, "tmp/seal");
    const enum at_status st = catalog != NULL && path != NULL && made != NULL
                                  ? make_seal(catalog, path, made, err)
                                  : at_error_set(err, AT_ERR_MEMORY,
                                                 "out of memory");

    free(catalog);
    free(path);
    free(made);
    return st;
}
