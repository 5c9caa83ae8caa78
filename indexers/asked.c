/*
 * asked.c - the name that a packet asks for
 */
#include "asked.h"

#include <netinet/in.h>
#include <string.h>
#include <strings.h>

#include "bytes.h"
#include "quic.h"

enum {
    DNS = 53,
    MULTICAST_DNS = 5353,
    LLMNR = 5355,
    HOST_MOST = 255,     /* bytes, before anything is escaped */
    REQUEST_MOST = 4096, /* bytes that are searched for the host */
};

/* ---- names ----------------------------------------------------------- */

struct name {
    char *text;
    size_t n;
    bool bad;
};

static void put_char(struct name *out, char c)
{
    if (out->n + 1 >= AT_ASKED_BYTES)
        out->bad = true;
    else
        out->text[out->n++] = c;
}

static bool is_plain(uint8_t c)
{
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '_' || c == ':' || c == '[' || c == ']' || c == '*';
}

static void put_byte(struct name *out, uint8_t c)
{
    if (c >= 'A' && c <= 'Z')
        c = (uint8_t)(c + 'a' - 'A');
    if (is_plain(c)) {
        put_char(out, (char)c);
        return;
    }
    put_char(out, '\\');
    put_char(out, (char)('0' + c / 100));
    put_char(out, (char)('0' + c / 10 % 10));
    put_char(out, (char)('0' + c % 10));
}

static size_t end_name(struct name *out)
{
    if (out->n > 0 && out->text[out->n - 1] == '.')
        out->n--;
    if (out->bad)
        out->n = 0;
    out->text[out->n] = '\0';
    return out->n;
}

/* A host as text, its dots being dots. */
static size_t put_host(struct name *out, const uint8_t *p, size_t n)
{
    if (n > HOST_MOST)
        return 0;
    for (size_t i = 0; i < n; i++)
        if (p[i] == '.')
            put_char(out, '.');
        else
            put_byte(out, p[i]);
    return end_name(out);
}

/* ---- TLS ------------------------------------------------------------- */

static size_t take_big(struct at_cursor *c, unsigned width)
{
    size_t n = 0;

    while (width-- > 0)
        n = n << 8 | at_take_u8(c);
    return n;
}

/* What has its length, of 'width' bytes, before it; the end may be missing. */
static struct at_cursor take_vector(struct at_cursor *c, unsigned width)
{
    size_t n = take_big(c, width);
    struct at_cursor v = {.bad = c->bad};

    if (n > c->left)
        n = c->left;
    v.p = at_take(c, n);
    v.left = v.p != NULL ? n : 0;
    return v;
}

static size_t take_server_name(struct name *out, struct at_cursor list)
{
    struct at_cursor host;

    (void)take_big(&list, 2);
    if (at_take_u8(&list) != 0) /* host_name: there are no others */
        return 0;
    if (take_big(&(struct at_cursor){list.p, list.left, list.bad}, 2) + 2 >
        list.left)
        return 0; /* the rest of it is elsewhere */
    host = take_vector(&list, 2);
    return host.bad ? 0 : put_host(out, host.p, host.left);
}

/* From the handshake header of a ClientHello on. */
static size_t take_hello(struct name *out, struct at_cursor c)
{
    enum { CLIENT_HELLO = 1, VERSION_RANDOM = 2 + 32, SERVER_NAME = 0 };
    struct at_cursor extensions;

    if (at_take_u8(&c) != CLIENT_HELLO)
        return 0;
    c = take_vector(&c, 3);
    (void)at_take(&c, VERSION_RANDOM);
    (void)take_vector(&c, 1); /* session id */
    (void)take_vector(&c, 2); /* cipher suites */
    (void)take_vector(&c, 1); /* compression */
    extensions = take_vector(&c, 2);
    while (extensions.left > 0 && !extensions.bad) {
        const size_t type = take_big(&extensions, 2);
        const struct at_cursor v = take_vector(&extensions, 2);

        if (type == SERVER_NAME && !v.bad)
            return take_server_name(out, v);
    }
    return 0;
}

static size_t take_tls(struct name *out, struct at_cursor c)
{
    enum { HANDSHAKE = 22, RECORD = 5 };

    if (c.left < RECORD || c.p[0] != HANDSHAKE || c.p[1] != 3)
        return 0;
    (void)at_take(&c, RECORD - 2);
    return take_hello(out, take_vector(&c, 2));
}

static size_t take_quic(struct name *out, struct at_cursor c)
{
    uint8_t crypto[AT_QUIC_CRYPTO];
    const size_t n = at_quic_crypto(crypto, c.p, c.left);

    return take_hello(out, (struct at_cursor){.p = crypto, .left = n});
}

/* ---- HTTP ------------------------------------------------------------ */

/* A method in capitals, as all that are registered are; 'n' bytes may be less
 * than that. */
static bool begins_request(const uint8_t *p, size_t n)
{
    enum { LEAST = 3, MOST = 20 };
    size_t i = 0;

    while (i < n && i < MOST &&
           ((p[i] >= 'A' && p[i] <= 'Z') || p[i] == '-' || p[i] == '_'))
        i++;
    return i >= LEAST && (i == n || p[i] == ' ');
}

static size_t put_value(struct name *out, const uint8_t *p, const uint8_t *end)
{
    const uint8_t *colon;

    while (p < end && (*p == ' ' || *p == '\t'))
        p++;
    while (end > p && (end[-1] == ' ' || end[-1] == '\t' || end[-1] == '\r'))
        end--;
    if (p == end)
        return 0;
    colon = memrchr(p, ':', (size_t)(end - p));
    if (colon != NULL && (*p != '[' || colon[-1] == ']'))
        end = colon;
    return put_host(out, p, (size_t)(end - p));
}

static size_t take_http(struct name *out, struct at_cursor c)
{
    static const char field[] = "host:", version[] = " HTTP/1.";
    const uint8_t *end = c.p + (c.left < REQUEST_MOST ? c.left : REQUEST_MOST);
    const uint8_t *line = c.p, *stop = memchr(line, '\n', (size_t)(end - line));

    if (stop == NULL || !begins_request(c.p, c.left) ||
        memmem(line, (size_t)(stop - line), version, sizeof(version) - 1) ==
            NULL)
        return 0;
    for (;;) {
        line = stop + 1;
        stop = memchr(line, '\n', (size_t)(end - line));
        if (stop == NULL || *line == '\r' || line == stop)
            return 0; /* cut, or all fields were there */
        if ((size_t)(stop - line) >= sizeof(field) - 1 &&
            strncasecmp((const char *)line, field, sizeof(field) - 1) == 0)
            return put_value(out, line + sizeof(field) - 1, stop);
    }
}

/* ---- DNS ------------------------------------------------------------- */

static size_t take_labels(struct name *out, struct at_cursor *c)
{
    enum { LABEL_MOST = 63 };

    for (;;) {
        const size_t n = at_take_u8(c);
        const uint8_t *p = at_take(c, n);

        if (p == NULL || n > LABEL_MOST) /* a pointer has nowhere to go */
            return 0;
        if (n == 0)
            return end_name(out);
        for (size_t i = 0; i < n; i++)
            put_byte(out, p[i]);
        put_char(out, '.');
    }
}

static size_t take_dns(struct name *out, struct at_cursor c)
{
    enum { OPCODE = 0x7800, AFTER_COUNT = 6 };
    unsigned flags, questions;

    (void)at_take(&c, 2);
    flags = at_take_be16(&c);
    questions = at_take_be16(&c);
    (void)at_take(&c, AFTER_COUNT);
    if (c.bad || (flags & OPCODE) != 0 || questions == 0)
        return 0;
    return take_labels(out, &c);
}

/* ---- packets --------------------------------------------------------- */

static bool is_dns(uint16_t sport, uint16_t dport)
{
    return sport == DNS || dport == DNS || dport == MULTICAST_DNS ||
           sport == LLMNR || dport == LLMNR;
}

bool at_asked_may_be(uint8_t proto, uint16_t sport, uint16_t dport,
                     const uint8_t *first, size_t n)
{
    if (n == 0 || (proto != IPPROTO_TCP && proto != IPPROTO_UDP))
        return false;
    if (is_dns(sport, dport))
        return true;
    if (proto == IPPROTO_UDP)
        return at_quic_may_be(first, n);
    return first[0] == 22 || begins_request(first, n);
}

static size_t take(struct name *out, struct at_cursor c,
                   const struct at_headers *h)
{
    if (is_dns(h->sport, h->dport)) {
        if (h->proto == IPPROTO_TCP)
            (void)at_take(&c, 2); /* the length of the message */
        return take_dns(out, c);
    }
    if (h->proto == IPPROTO_UDP)
        return take_quic(out, c);
    return c.p[0] == 22 ? take_tls(out, c) : take_http(out, c);
}

size_t at_asked(char text[AT_ASKED_BYTES], const struct at_packet *pkt,
                const struct at_headers *h)
{
    struct name out = {.text = text};
    struct at_cursor c;

    if (h->payload_offset == 0 || h->payload_offset >= pkt->cap_bytes)
        return 0;
    c = (struct at_cursor){.p = pkt->data + h->payload_offset,
                           .left = pkt->cap_bytes - h->payload_offset};
    if (c.left > h->payload_bytes)
        c.left = h->payload_bytes;
    if (!at_asked_may_be(h->proto, h->sport, h->dport, c.p, c.left))
        return 0;
    return take(&out, c, h);
}
