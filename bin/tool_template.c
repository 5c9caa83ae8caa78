/*
 * tool_template.c - names of the pieces of a trace, made of a template
 *
 * What comes out of traces and file names is made harmless: only letters,
 * digits and a few signs stay, so that no name leads out of its folder.
 */
#include <search.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "tool_split.h"

enum { FIELD_MOST = 100, TIME_TEXT = 64 };

static const int64_t second_ns = 1000000000;

/* Those that give neither a slash nor a blank. */
static const char time_letters[] = "aAbBCdeFgGHIjklmMpsSTuUVwWyYzZ%";

struct given {
    char *name;
    uint64_t times; /* that it was asked for */
};

/* ---- the template ---------------------------------------------------- */

/* The letter of the field that begins at 'text', behind '{'; 0 if none is
 * called so.  *n is how long it is. */
static char field_letter(const char *text, size_t *n)
{
    static const char *const names[] = {"n}", "stream}", "key}"};

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        *n = strlen(names[i]);
        if (strncmp(text, names[i], *n) == 0)
            return names[i][0];
    }
    return 0;
}

/* Whether anything in the text is 'enough'; exits where it makes no sense. */
static bool check_text(const char *text, const char *enough)
{
    bool found = false;
    size_t n;

    for (const char *p = text; *p != 0; p++) {
        char letter = 0;

        if (*p == '{' && p[1] == '{') {
            p++;
        } else if (*p == '{') {
            letter = field_letter(p + 1, &n);
            if (letter == 0)
                tool_usage_error("'%s': no field is called so; there are {n}, "
                                 "{stream} and {key}",
                                 p);
            p += n;
        } else if (*p == '%') {
            p++;
            if (*p == 0 || strchr(time_letters, *p) == NULL)
                tool_usage_error("'%s': %% wants one of the letters %s", p - 1,
                                 time_letters);
            letter = *p != '%' ? '%' : 0;
        }
        found |= letter != 0 && strchr(enough, letter) != NULL;
    }
    return found;
}

/* Where the suffixes of a name begin: ".erf.gz". */
static size_t suffix_at(const char *name)
{
    const char *slash = strrchr(name, '/');
    const char *base = slash != NULL ? slash + 1 : name;
    size_t end = strlen(base) - strlen(at_codec_suffix(at_codec_by_name(base)));
    size_t at = end;

    while (at > 0 && base[at - 1] != '.' && base[at - 1] != '}')
        at--;
    if (at > 1 && base[at - 1] == '.')
        end = at - 1;
    return (size_t)(base - name) + end;
}

static char *insert(const char *name, const char *what)
{
    const size_t at = suffix_at(name);
    char *s;

    return asprintf(&s, "%.*s-%s%s", (int)at, name, what, name + at) < 0 ? NULL
                                                                         : s;
}

void tool_template_open(struct tool_template *t, const char *text,
                        const char *lacks, const char *enough)
{
    const size_t n = strlen(text);

    if (n == 0 || text[n - 1] == '/' || strcmp(text, "-") == 0)
        tool_usage_error("'%s' is no name for pieces", text);
    t->text = check_text(text, enough) ? strdup(text) : insert(text, lacks);
    if (t->text == NULL) {
        tool_warn("out of memory");
        exit(tool_finish(TOOL_FAIL));
    }
}

char *tool_template_folder(const struct tool_template *t)
{
    size_t n = strcspn(t->text, "{%");

    while (n > 0 && t->text[n - 1] != '/')
        n--;
    if (n == 0)
        return strdup(".");
    return strndup(t->text, n > 1 ? n - 1 : 1);
}

static void free_given(void *node)
{
    struct given *g = node;

    free(g->name);
    free(g);
}

void tool_template_close(struct tool_template *t)
{
    free(t->text);
    tdestroy(t->names, free_given);
    *t = (struct tool_template){.text = NULL};
}

/* ---- a name ---------------------------------------------------------- */

static bool is_harmless(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
           (c >= '0' && c <= '9') || strchr("-+=.,@_", c) != NULL;
}

static void add_field(struct at_text *out, const char *field, size_t n)
{
    char text[FIELD_MOST];

    n = n < sizeof(text) ? n : sizeof(text);
    for (size_t i = 0; i < n; i++)
        text[i] = field[i] != 0 && is_harmless(field[i]) ? field[i] : '_';
    if (n == 0 || text[0] == '.')
        text[0] = '_';
    at_text_add(out, text, n > 0 ? n : 1);
}

/* An input by its name, without folder and suffixes. */
static void add_stream(struct at_text *out, const char *path)
{
    const char *slash = strrchr(path, '/');
    const char *base = slash != NULL ? slash + 1 : path;

    if (strcmp(path, "-") == 0)
        base = "stdin";
    add_field(out, base, suffix_at(base));
}

static void add_time(struct at_text *out, const struct tool_template *t,
                     char letter, int64_t ns)
{
    const time_t sec = (time_t)(ns / second_ns);
    const char format[] = {'%', letter, 0};
    char text[TIME_TEXT];
    struct tm tm;
    size_t n;

    if (t->local)
        localtime_r(&sec, &tm);
    else
        gmtime_r(&sec, &tm);
    if (letter == 's') /* strftime() takes *tm for local */
        n = (size_t)snprintf(text, sizeof(text), "%lld", (long long)sec);
    else
        n = strftime(text, sizeof(text), format, &tm);
    at_text_add(out, text, n);
}

static void add_number(struct at_text *out, uint64_t n)
{
    char text[24];

    at_text_add(
        out, text,
        (size_t)snprintf(text, sizeof(text), "%05llu", (unsigned long long)n));
}

static void expand(struct at_text *out, const struct tool_template *t,
                   const struct tool_piece *piece)
{
    size_t n;

    for (const char *p = t->text; *p != 0; p++) {
        const char letter = *p == '{' ? field_letter(p + 1, &n) : 0;

        if (letter == 'n')
            add_number(out, piece->n);
        else if (letter == 's' || (letter == 'k' && piece->key == NULL))
            add_stream(out, piece->stream);
        else if (letter == 'k')
            add_field(out, piece->key, strlen(piece->key));
        else if (*p == '%')
            add_time(out, t, *++p, piece->ns);
        else
            at_text_add(out, p, 1);
        if (letter != 0)
            p += n;
        else if (*p == '{')
            p++; /* the second */
    }
    at_text_add(out, "", 1);
}

static int compare(const void *a, const void *b)
{
    const struct given *x = a, *y = b;

    return strcmp(x->name, y->name);
}

/* Remembers a name, which it takes over; NULL where there is no memory. */
static struct given *give(struct tool_template *t, char *name)
{
    struct given *g = name != NULL ? calloc(1, sizeof(*g)) : NULL;
    struct given **node;

    if (g == NULL) {
        free(name);
        return NULL;
    }
    g->name = name;
    node = tsearch(g, &t->names, compare);
    if (node == NULL || *node != g)
        free_given(g);
    if (node == NULL)
        return NULL;
    (*node)->times++;
    return *node;
}

const char *tool_template_name(struct tool_template *t,
                               const struct tool_piece *piece)
{
    struct at_text text = {.p = NULL};
    struct given *first, *g;
    char more[24];

    expand(&text, t, piece);
    if (text.failed) {
        at_text_close(&text);
        return NULL;
    }
    g = first = give(t, text.p);
    while (g != NULL && g->times > 1) {
        snprintf(more, sizeof(more), "%llu", (unsigned long long)first->times);
        g = give(t, insert(first->name, more));
        first->times += g != NULL && g->times > 1;
    }
    return g != NULL ? g->name : NULL;
}
