/*
 * dump_out.c - the facts of a packet, put as text or as JSON
 */
#include "dump_out.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

/* ---- plain ----------------------------------------------------------- */

void at_dump_puts(struct at_text *t, const char *s)
{
    at_text_add(t, s, strlen(s));
}

void at_dump_put_num(struct at_text *t, uint64_t n)
{
    char buf[20];
    size_t i = sizeof(buf);

    do {
        buf[--i] = (char)('0' + n % 10);
        n /= 10;
    } while (n > 0);
    at_text_add(t, buf + i, sizeof(buf) - i);
}

static void put_hex_bytes(struct at_text *t, const uint8_t *p, size_t n)
{
    static const char digit[] = "0123456789abcdef";
    char buf[128];
    size_t used = 0;

    for (size_t i = 0; i < n; i++) {
        buf[used++] = digit[p[i] >> 4];
        buf[used++] = digit[p[i] & 15];
        if (used == sizeof(buf) || i + 1 == n) {
            at_text_add(t, buf, used);
            used = 0;
        }
    }
}

void at_dump_put_hex(struct at_text *t, uint64_t n, int digits)
{
    static const char digit[] = "0123456789abcdef";
    char buf[16];

    for (int i = digits; i > 0; n >>= 4)
        buf[--i] = digit[n & 15];
    at_text_add(t, buf, (size_t)digits);
}

/* ---- layers and facts ------------------------------------------------ */

void at_dump_layer(struct at_dump *d, const char *name)
{
    static const char spaces[] = "                                  ";

    if (d->json) {
        at_dump_puts(d->text, d->begun ? "},{\"layer\":\"" : "{\"layer\":\"");
        at_dump_puts(d->text, name);
        at_dump_puts(d->text, "\"");
        if (d->depth > 0) {
            at_dump_puts(d->text, ",\"depth\":");
            at_dump_put_num(d->text, d->depth);
        }
    } else {
        at_dump_puts(d->text, "\n");
        at_text_add(d->text, spaces, 2 + 2 * (size_t)(d->depth & 15));
        at_dump_puts(d->text, name);
    }
    d->begun = true;
}

void at_dump_end_layer(struct at_dump *d)
{
    if (d->json && d->begun)
        at_dump_puts(d->text, "}");
    d->begun = false;
}

/* Up to the value; in the text there may be no name. */
static void put_name(struct at_dump *d, const char *name)
{
    if (d->json) {
        at_dump_puts(d->text, ",\"");
        at_dump_puts(d->text, name);
        at_dump_puts(d->text, "\":");
        return;
    }
    at_dump_puts(d->text, " ");
    if (*name == 0)
        return;
    for (; *name != 0; name++)
        at_text_add(d->text, *name == '_' ? " " : name, 1);
    at_dump_puts(d->text, " ");
}

static void put_word(struct at_dump *d, const char *word)
{
    if (d->json)
        at_dump_puts(d->text, "\"");
    at_dump_puts(d->text, word);
    if (d->json)
        at_dump_puts(d->text, "\"");
}

void at_dump_num(struct at_dump *d, const char *name, uint64_t n)
{
    put_name(d, name);
    at_dump_put_num(d->text, n);
}

void at_dump_hex(struct at_dump *d, const char *name, uint64_t n, int digits)
{
    put_name(d, name);
    if (d->json) {
        at_dump_put_num(d->text, n);
        return;
    }
    at_dump_puts(d->text, "0x");
    at_dump_put_hex(d->text, n, digits);
}

void at_dump_word(struct at_dump *d, const char *name, const char *word)
{
    put_name(d, name);
    put_word(d, word);
}

void at_dump_bare(struct at_dump *d, const char *name, const char *word)
{
    if (d->json)
        put_name(d, name);
    else
        at_dump_puts(d->text, " ");
    put_word(d, word);
}

void at_dump_flag(struct at_dump *d, const char *name)
{
    if (d->json)
        put_name(d, name);
    at_dump_puts(d->text, d->json ? "true" : " ");
    if (!d->json)
        at_dump_puts(d->text, name);
}

void at_dump_ends(struct at_dump *d, const char *src, const char *dst)
{
    at_dump_bare(d, "src", src);
    if (!d->json)
        at_dump_puts(d->text, " >");
    at_dump_bare(d, "dst", dst);
}

void at_dump_ports(struct at_dump *d, uint16_t src, uint16_t dst)
{
    if (d->json) {
        at_dump_num(d, "sport", src);
        at_dump_num(d, "dport", dst);
        return;
    }
    at_dump_puts(d->text, " ");
    at_dump_put_num(d->text, src);
    at_dump_puts(d->text, " > ");
    at_dump_put_num(d->text, dst);
}

void at_dump_chars(struct at_dump *d, const char *name, const uint8_t *p,
                   size_t n)
{
    put_name(d, name);
    at_dump_puts(d->text, "\"");
    for (size_t i = 0; i < n; i++) {
        const char c = p[i] >= 0x20 && p[i] < 0x7f ? (char)p[i] : '.';

        if (d->json && (c == '"' || c == '\\'))
            at_dump_puts(d->text, "\\");
        at_text_add(d->text, &c, 1);
    }
    at_dump_puts(d->text, "\"");
}

void at_dump_bytes(struct at_dump *d, const char *name, const uint8_t *p,
                   size_t n)
{
    put_name(d, name);
    if (d->json)
        at_dump_puts(d->text, "\"");
    put_hex_bytes(d->text, p, n);
    if (d->json)
        at_dump_puts(d->text, "\"");
}

/* ---- numbers with names ---------------------------------------------- */

const char *at_dump_name(const struct at_dump_name *table, uint32_t n)
{
    while (table->name != NULL && table->n != n)
        table++;
    return table->name;
}

void at_dump_named(struct at_dump *d, const char *name,
                   const struct at_dump_name *table, uint32_t n)
{
    const char *word = at_dump_name(table, n);
    char buf[16];

    snprintf(buf, sizeof(buf), "%u", n);
    at_dump_bare(d, name, word != NULL ? word : buf);
}

/* ---- addresses ------------------------------------------------------- */

const char *at_dump_mac(char *buf, const uint8_t *p)
{
    static const char digit[] = "0123456789abcdef";

    for (int i = 0; i < 6; i++) {
        buf[3 * i] = digit[p[i] >> 4];
        buf[3 * i + 1] = digit[p[i] & 15];
        buf[3 * i + 2] = ':';
    }
    buf[17] = 0;
    return buf;
}

const char *at_dump_ipv4(char *buf, const uint8_t *p)
{
    char *at = buf;

    for (int i = 0; i < 4; i++) {
        if (p[i] >= 100)
            *at++ = (char)('0' + p[i] / 100);
        if (p[i] >= 10)
            *at++ = (char)('0' + p[i] / 10 % 10);
        *at++ = (char)('0' + p[i] % 10);
        *at++ = '.';
    }
    at[-1] = 0;
    return buf;
}

const char *at_dump_ipv6(char *buf, const uint8_t *p)
{
    inet_ntop(AF_INET6, p, buf, AT_DUMP_ADDRESS);
    return buf;
}

struct at_cursor at_dump_cursor(const struct at_packet *pkt, uint32_t from,
                                uint32_t to)
{
    const uint32_t stop = to < pkt->cap_bytes ? to : pkt->cap_bytes;

    return (struct at_cursor){
        .p = pkt->data + (from < stop ? from : stop),
        .left = from < stop ? stop - from : 0,
    };
}
