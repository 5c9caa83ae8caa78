/*
 * json.c - strings in JSON (RFC 8259)
 */
#include "json.h"

void at_json_text(FILE *out, const char *text)
{
    putc_unlocked('"', out);
    for (const unsigned char *p = (const unsigned char *)text; *p != 0; p++) {
        if (*p == '"' || *p == '\\')
            fprintf(out, "\\%c", *p);
        else if (*p < 0x20)
            fprintf(out, "\\u%04x", *p);
        else
            putc_unlocked(*p, out);
    }
    putc_unlocked('"', out);
}
