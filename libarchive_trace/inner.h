/*
 * inner.h - the word "inner" in an expression, and how far it reaches
 *
 *     inner:   "inner" operand
 *     operand: what a "not" in its place would be of: words and groups up to
 *              the next "and", "or" or closing parenthesis
 *
 * It may stand wherever a primitive may; elsewhere the word is a name.
 */
#ifndef AT_INNER_H
#define AT_INNER_H

#include <stdbool.h>
#include <stddef.h>

enum { AT_INNER_WORD = 5 }; /* bytes of the word */

/* How many bytes the word at 'text' and its operand take; 0 if it is another
 * word, or has none. */
size_t at_inner_span(const char *text);

/* The first one that begins at *at or behind it: *at is then where, and *n is
 * its span.  False if there is none. */
bool at_inner_next(const char *text, size_t *at, size_t *n);

#endif
