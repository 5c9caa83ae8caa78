/*
 * json.h - strings in JSON (RFC 8259)
 */
#ifndef AT_JSON_H
#define AT_JSON_H

#include <stdio.h>

/* Prints 'text' with its quotes; bytes above 0x7f go out as they are. */
void at_json_text(FILE *out, const char *text);

#endif
