/*
 * inner.c - the word "inner" in an expression, and how far it reaches
 */
#include "inner.h"

#include <string.h>

static bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

static bool is_word_char(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') ||
           (c >= 'A' && c <= 'Z') || c == '-' || c == '_' || c == '.' ||
           c == ':';
}

static const char *skip_spaces(const char *p)
{
    while (is_space(*p))
        p++;
    return p;
}

/* The end of the token that begins at 'p', which is no space. */
static const char *token_end(const char *p)
{
    const char *end = p;

    if (*p == '\\')
        return p + 1 + strcspn(p + 1, " !()\n\t");
    while (is_word_char(*end))
        end++;
    if (end > p)
        return end;
    if ((p[0] == '&' && p[1] == '&') || (p[0] == '|' && p[1] == '|'))
        return p + 2;
    return p + 1;
}

static bool is_token(const char *p, const char *word)
{
    const size_t n = strlen(word);

    return (size_t)(token_end(p) - p) == n && memcmp(p, word, n) == 0;
}

static bool joins(const char *p)
{
    return is_token(p, "and") || is_token(p, "or") || is_token(p, "&&") ||
           is_token(p, "||");
}

static bool negates(const char *p)
{
    return is_token(p, "not") || is_token(p, "!");
}

/* "src or dst" and the like are one qualifier. */
static bool is_both_ends(const char *before, const char *join)
{
    const char *behind = skip_spaces(token_end(join));

    return (is_token(before, "src") && is_token(behind, "dst")) ||
           (is_token(before, "dst") && is_token(behind, "src"));
}

size_t at_inner_span(const char *text)
{
    const char *p = text + AT_INNER_WORD, *end = NULL, *last = text;
    unsigned depth = 0;

    if (strncmp(text, "inner", AT_INNER_WORD) != 0 || is_word_char(*p))
        return 0;
    for (p = skip_spaces(p); *p != '\0'; p = skip_spaces(p)) {
        if (depth == 0 && (*p == ')' || (joins(p) && (end == NULL ||
                                                      !is_both_ends(last, p)))))
            break;
        if (*p == '(' || *p == '[')
            depth++;
        else if ((*p == ')' || *p == ']') && depth > 0)
            depth--;
        last = p;
        p = token_end(p);
        if (!negates(last))
            end = p;
    }
    return end != NULL ? (size_t)(end - text) : 0;
}

bool at_inner_next(const char *text, size_t *at, size_t *n)
{
    const char *p = skip_spaces(text);
    bool operand = true; /* one may stand here */

    for (; *p != '\0'; p = skip_spaces(token_end(p))) {
        *n = operand && p >= text + *at ? at_inner_span(p) : 0;
        if (*n > 0) {
            *at = (size_t)(p - text);
            return true;
        }
        operand = *p == '(' || joins(p) || negates(p);
    }
    return false;
}
