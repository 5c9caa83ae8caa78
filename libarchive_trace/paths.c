/*
 * paths.c - names of inputs, as people give them
 */
#include <errno.h>
#include <fts.h>
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "errors.h"

static enum at_status out_of_memory(struct at_error *err)
{
    return at_error_set(err, AT_ERR_MEMORY, "out of memory");
}

static enum at_status cannot_read(const char *path, struct at_error *err)
{
    return at_error_set(err, AT_ERR_SYSTEM, "%s: cannot read: %s", path,
                        strerror(errno));
}

static enum at_status add_name(struct at_paths *p, const char *name,
                               struct at_error *err)
{
    char *copy;

    if (p->n == p->room) {
        const size_t room = 2 * p->room + 64;
        char **more = realloc(p->path, room * sizeof(char *));

        if (more == NULL)
            return out_of_memory(err);
        p->path = more;
        p->room = room;
    }
    copy = strdup(name);
    if (copy == NULL)
        return out_of_memory(err);
    p->path[p->n++] = copy;
    return AT_OK;
}

/* ---- directories ----------------------------------------------------- */

static bool ends_with(const char *name, const char *end)
{
    const size_t n = strlen(name), k = strlen(end);

    return n > k && strcmp(name + n - k, end) == 0;
}

static bool is_wanted(const struct at_paths *p, const FTSENT *e)
{
    return e->fts_name[0] != '.' && !ends_with(e->fts_name, ".idx") &&
           !ends_with(e->fts_name, ".part") &&
           (p->take == NULL || p->take(p->ctx, e->fts_accpath, e->fts_statp));
}

static bool is_whole(const struct at_paths *p, const char *path)
{
    return p->whole != NULL && p->whole(p->ctx, path);
}

static int by_name(const FTSENT **a, const FTSENT **b)
{
    return strcmp((*a)->fts_name, (*b)->fts_name);
}

static enum at_status add_entry(struct at_paths *p, FTS *fts, FTSENT *e,
                                struct at_error *err)
{
    switch (e->fts_info) {
    case FTS_D:
        if (e->fts_level == 0)
            return AT_OK;
        if (!is_wanted(p, e) || is_whole(p, e->fts_path))
            fts_set(fts, e, FTS_SKIP);
        return is_wanted(p, e) && is_whole(p, e->fts_path)
                   ? add_name(p, e->fts_path, err)
                   : AT_OK;
    case FTS_F:
        return is_wanted(p, e) ? add_name(p, e->fts_path, err) : AT_OK;
    case FTS_DNR:
    case FTS_ERR:
        errno = e->fts_errno;
        return cannot_read(e->fts_path, err);
    default: /* what is no file, and links to nowhere or in a circle */
        return AT_OK;
    }
}

static enum at_status add_directory(struct at_paths *p, const char *word,
                                    struct at_error *err)
{
    char *root[] = {strdup(word), NULL};
    enum at_status st = AT_OK;
    FTS *fts = root[0] == NULL
                   ? NULL
                   : fts_open(root, FTS_LOGICAL | FTS_NOCHDIR, by_name);
    FTSENT *e;

    if (fts == NULL) {
        free(root[0]);
        return out_of_memory(err);
    }
    while (st == AT_OK && (e = fts_read(fts)) != NULL)
        st = add_entry(p, fts, e, err);
    fts_close(fts);
    free(root[0]);
    return st;
}

/* ---- lists and patterns ---------------------------------------------- */

static enum at_status add_word(struct at_paths *p, const char *word,
                               bool listed, struct at_error *err);

/* The words of a list, which has no empty ones. */
static enum at_status add_words(struct at_paths *p, char *text, size_t n,
                                struct at_error *err)
{
    const char end = memchr(text, 0, n) != NULL ? '\0' : '\n';
    enum at_status st = AT_OK;
    char *word = text;

    for (char *at = text; at < text + n && st == AT_OK; at++) {
        if (*at != end)
            continue;
        *at = '\0';
        if (*word != '\0')
            st = add_word(p, word, true, err);
        word = at + 1;
    }
    return st == AT_OK && *word != '\0' ? add_word(p, word, true, err) : st;
}

static enum at_status add_list(struct at_paths *p, const char *path,
                               struct at_error *err)
{
    const bool standard = strcmp(path, "-") == 0;
    FILE *f = standard ? stdin : fopen(path, "re");
    struct at_text text = {.p = NULL};
    enum at_status st = AT_OK;
    char buf[4096];
    size_t n;

    if (f == NULL)
        return cannot_read(path, err);
    while ((n = fread(buf, 1, sizeof(buf), f)) > 0)
        at_text_add(&text, buf, n);
    if (ferror(f))
        st = cannot_read(standard ? "standard input" : path, err);
    if (!standard)
        fclose(f);
    at_text_add(&text, "", 1); /* the last word may have no end */
    if (st == AT_OK)
        st = text.failed ? out_of_memory(err)
                         : add_words(p, text.p, text.n - 1, err);
    at_text_close(&text);
    return st;
}

static enum at_status add_pattern(struct at_paths *p, const char *pattern,
                                  struct at_error *err)
{
    enum at_status st = AT_OK;
    glob_t found;
    int status = glob(pattern, 0, NULL, &found);

    if (status == GLOB_NOMATCH)
        return add_name(p, pattern, err);
    if (status != 0)
        return status == GLOB_NOSPACE ? out_of_memory(err)
                                      : cannot_read(pattern, err);
    for (size_t i = 0; i < found.gl_pathc && st == AT_OK; i++)
        st = add_word(p, found.gl_pathv[i], true, err);
    globfree(&found);
    return st;
}

/* A list may name anything but another list, so that none is read for ever. */
static enum at_status add_word(struct at_paths *p, const char *word,
                               bool listed, struct at_error *err)
{
    struct stat st;

    if (strcmp(word, "-") == 0)
        return add_name(p, word, err);
    if (stat(word, &st) == 0)
        return S_ISDIR(st.st_mode) && !is_whole(p, word)
                   ? add_directory(p, word, err)
                   : add_name(p, word, err);
    if (word[0] == '@' && word[1] != '\0' && !listed)
        return add_list(p, word + 1, err);
    if (strpbrk(word, "*?[") != NULL)
        return add_pattern(p, word, err);
    return add_name(p, word, err);
}

enum at_status at_paths_add(struct at_paths *paths, const char *word,
                            struct at_error *err)
{
    return add_word(paths, word, false, err);
}

void at_paths_close(struct at_paths *paths)
{
    for (size_t i = 0; i < paths->n; i++)
        free(paths->path[i]);
    free(paths->path);
    paths->path = NULL;
    paths->n = paths->room = 0;
}
