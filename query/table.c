/*
 * table.c - rows of any columns as a table, CSV or JSON
 */
#include "table.h"

#include <inttypes.h>
#include <string.h>

#include "json.h"

enum { ROWS_MOST = 1 << 16 }; /* that wait */

/* One thread writes an answer, so nobody need be locked out. */
void at_csv_text(FILE *out, const char *text)
{
    const size_t n = strcspn(text, ",\"\r\n");

    if (text[n] == 0) {
        fwrite_unlocked(text, 1, n, out);
        return;
    }
    putc_unlocked('"', out);
    for (; *text != 0; text++) {
        if (*text == '"')
            putc_unlocked('"', out);
        putc_unlocked(*text, out);
    }
    putc_unlocked('"', out);
}

static void end_line(const struct at_table *t, unsigned i)
{
    if (i + 1 == t->columns)
        putc('\n', t->out);
}

/* ---- table ----------------------------------------------------------- */

static void put_cell(const struct at_table *t, unsigned i, const char *text)
{
    const bool last = i + 1 == t->columns;
    const size_t len = strlen(text);
    const size_t pad = len < t->width[i] ? t->width[i] - len : 0;
    const bool left = t->column[i].text;

    fprintf(t->out, "%*s", left ? 0 : (int)pad, "");
    for (const char *p = text; *p != 0; p++)
        putc((unsigned char)*p < 0x20 || *p == 0x7f ? '?' : *p, t->out);
    if (!last)
        fprintf(t->out, "%*s", (left ? (int)pad : 0) + 1, "");
    end_line(t, i);
}

static const char *shown(const char *cell)
{
    return *cell != 0 ? cell : "-";
}

static void widen(struct at_table *t, unsigned i, const char *text)
{
    if (strlen(text) > t->width[i])
        t->width[i] = (unsigned)strlen(text);
}

static void measure(struct at_table *t)
{
    const char *cell = t->cells.p;

    for (unsigned i = 0; !t->begun && i < t->columns; i++) {
        t->width[i] = t->column[i].width;
        widen(t, i, t->column[i].name);
    }
    for (size_t k = 0; k < t->rows * t->columns; k++) {
        widen(t, (unsigned)(k % t->columns), shown(cell));
        cell += strlen(cell) + 1;
    }
}

static void flush_table(struct at_table *t)
{
    const char *cell;

    measure(t);
    for (unsigned i = 0; !t->begun && i < t->columns; i++)
        put_cell(t, i, t->column[i].name);
    cell = t->cells.p;
    for (size_t k = 0; k < t->rows * t->columns; k++) {
        put_cell(t, (unsigned)(k % t->columns), shown(cell));
        cell += strlen(cell) + 1;
    }
}

/* ---- CSV and JSON ---------------------------------------------------- */

static void flush_csv(const struct at_table *t)
{
    const char *cell = t->cells.p;

    for (unsigned i = 0; !t->begun && i < t->columns; i++) {
        fprintf(t->out, "%s%s", i > 0 ? "," : "", t->column[i].name);
        end_line(t, i);
    }
    for (size_t k = 0; k < t->rows * t->columns; k++) {
        const unsigned i = (unsigned)(k % t->columns);

        if (i > 0)
            putc(',', t->out);
        at_csv_text(t->out, cell);
        end_line(t, i);
        cell += strlen(cell) + 1;
    }
}

static void flush_json(const struct at_table *t)
{
    const char *cell = t->cells.p;

    for (size_t k = 0; k < t->rows * t->columns; k++) {
        const unsigned i = (unsigned)(k % t->columns);

        fprintf(t->out, "%s\"%s\":", i > 0 ? "," : "{", t->column[i].name);
        if (*cell == 0)
            fputs("null", t->out);
        else if (t->column[i].text)
            at_json_text(t->out, cell);
        else
            fputs(cell, t->out);
        if (i + 1 == t->columns)
            putc('}', t->out);
        end_line(t, i);
        cell += strlen(cell) + 1;
    }
}

/* ---- cells ----------------------------------------------------------- */

void at_table_flush(struct at_table *t)
{
    if (t->cells.failed)
        return;
    if (t->format == AT_PRINT_TABLE)
        flush_table(t);
    else if (t->format == AT_PRINT_CSV)
        flush_csv(t);
    else
        flush_json(t);
    t->begun = true;
    t->rows = 0;
    t->cells.n = 0;
}

void at_table_put(struct at_table *t, const char *text)
{
    at_text_add(&t->cells, text, strlen(text) + 1);
    if (++t->next < t->columns)
        return;
    t->next = 0;
    t->rows++;
    if (t->format != AT_PRINT_TABLE || t->rows == ROWS_MOST)
        at_table_flush(t);
}

void at_table_number(struct at_table *t, uint64_t n)
{
    char text[24];

    snprintf(text, sizeof(text), "%" PRIu64, n);
    at_table_put(t, text);
}

/* In whole numbers, so that it is the same everywhere. */
void at_table_percent(struct at_table *t, uint64_t part, uint64_t whole)
{
    char text[32] = "";

    if (whole > 0) {
        const unsigned __int128 many = (unsigned __int128)part * 10000;
        const uint64_t n = (uint64_t)((many + whole / 2) / whole);

        snprintf(text, sizeof(text), "%" PRIu64 ".%02u", n / 100,
                 (unsigned)(n % 100));
    }
    at_table_put(t, text);
}

void at_table_time(struct at_table *t, int64_t ns, bool local)
{
    char text[AT_TIME_TEXT];

    at_time_format(text, ns, local && t->format == AT_PRINT_TABLE);
    at_table_put(t, text);
}

bool at_table_close(struct at_table *t)
{
    const bool good = !t->cells.failed;

    at_table_flush(t);
    at_text_close(&t->cells);
    return good;
}
