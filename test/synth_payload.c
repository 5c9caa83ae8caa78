/*
 * synth_payload.c - what applications say
 *
 * A message starts with bytes of its protocol, well-formed enough for a
 * dissector, and goes on with filling of one of two kinds whose Internet
 * checksum costs nothing:
 *
 *   noise  16-byte units of a random word and its complement, so each unit
 *          sums to nothing and only the last, cut one is looked at; it does
 *          not compress, as encrypted traffic does not
 *   text   a piece of one 64 KiB text, with prefix sums; it compresses
 */
#include "synth.h"

#include <string.h>

enum { TEXT_BYTES = 65536 };

static uint8_t text[TEXT_BYTES];
static uint32_t text_sums[TEXT_BYTES / 2 + 1]; /* of the 16-bit words before */

static const uint64_t step = UINT64_C(0x9e3779b97f4a7c15);

/* ------------------------------------------------------------ filling */

void payload_init(void)
{
    static const char *const words[] = {
        "the ",    "packet ", "of ",     "and ",     "archive ", "to ",
        "in ",     "a ",      "trace ",  "<p>",      "</p>\r\n", "is ",
        "network", ", ",      "href=\"", "\"> ",     "block ",   "index ",
        "0x",      "time ",   "flow ",   "<div ",    "class=",   "that ",
        "value",   "\": ",    "{\"",     "\"},\r\n", "with ",    "from ",
        "for ",    ".\r\n",
    };
    struct rng r;
    size_t n = 0;

    rng_seed(&r, 1);
    while (n < TEXT_BYTES) {
        const char *word = words[rng_below(&r, 32)];
        size_t len = strlen(word);

        if (rng_below(&r, 8) == 0) /* a number, so that it is not all words */
            text[n++] = (uint8_t)('0' + rng_below(&r, 10));
        for (size_t i = 0; i < len && n < TEXT_BYTES; i++)
            text[n++] = (uint8_t)word[i];
    }
    for (size_t i = 0; i < TEXT_BYTES / 2; i++)
        text_sums[i + 1] = text_sums[i] + (uint32_t)sum_bytes(text + 2 * i, 2);
}

static uint64_t fill_text(uint8_t *p, uint32_t bytes, size_t room, uint64_t key)
{
    uint32_t from = (uint32_t)(key % ((TEXT_BYTES - bytes) / 2));
    uint32_t to = from + bytes / 2;
    uint64_t sum = text_sums[to] - text_sums[from];

    memcpy(p, text + 2 * from, room < bytes ? room : bytes);
    return bytes & 1 ? sum + ((uint32_t)text[2 * to] << 8) : sum;
}

static void put_noise(uint8_t *p, uint64_t key, size_t unit)
{
    uint64_t x = mix64(key + unit * step);

    put_le64(p, x);
    put_le64(p + 8, ~x);
}

static uint64_t fill_noise(uint8_t *p, uint32_t bytes, size_t room,
                           uint64_t key)
{
    size_t units = bytes / 16, rest = bytes % 16;
    uint8_t last[16];

    for (size_t i = 0; i < units && 16 * i < room; i++)
        put_noise(p + 16 * i, key, i);
    if (rest == 0)
        return 0;
    put_noise(last, key, units);
    if (16 * units < room)
        memcpy(p + 16 * units, last, rest);
    return sum_bytes(last, rest);
}

/* Writes a random number of 8 * 'words' bytes, such as a key or a cookie. */
static void put_random(uint8_t *p, uint64_t key, size_t words)
{
    for (size_t i = 0; i < words; i++)
        put_le64(p + 8 * i, mix64(key + i * step));
}

/* ------------------------------------------------------------ text */

static uint8_t *put_string(uint8_t *p, const char *s)
{
    size_t n = strlen(s);

    memcpy(p, s, n);
    return p + n;
}

static uint8_t *put_hex(uint8_t *p, uint64_t v, unsigned digits)
{
    for (unsigned i = digits; i-- > 0;)
        *p++ = (uint8_t) "0123456789abcdef"[v >> (4 * i) & 15];
    return p;
}

static uint8_t *put_decimal(uint8_t *p, uint32_t v, unsigned digits)
{
    for (unsigned i = digits; i-- > 0; v /= 10)
        p[i] = (uint8_t)('0' + v % 10);
    return p + digits;
}

/* ------------------------------------------------------------ TLS */

/* clang-format off */

/* A ClientHello of 517 bytes, as browsers pad it. */
static const uint8_t client_hello[517] = {
    0x16, 0x03, 0x01, 0x02, 0x00, 0x01, 0x00, 0x01, 0xfc, 0x03, 0x03,
    /* 11: random */
    [43] = 0x20, /* 44: session id */
    [76] = 0x00, 0x12, 0x13, 0x01, 0x13, 0x02, 0x13, 0x03, 0xc0, 0x2b,
    0xc0, 0x2f, 0xc0, 0x2c, 0xc0, 0x30, 0xcc, 0xa9, 0xcc, 0xa8,
    0x01, 0x00,
    0x01, 0xa1, /* extensions: server name */
    0x00, 0x00, 0x00, 0x14, 0x00, 0x12, 0x00, 0x00, 0x0f,
    'w', 'w', 'w', '.', 'e', 'x', 'a', 'm', 'p', 'l', 'e', '.', 'c', 'o', 'm',
    /* groups */
    0x00, 0x0a, 0x00, 0x06, 0x00, 0x04, 0x00, 0x1d, 0x00, 0x17,
    /* signature algorithms */
    0x00, 0x0d, 0x00, 0x08, 0x00, 0x06, 0x04, 0x03, 0x08, 0x04, 0x04, 0x01,
    /* next protocols */
    0x00, 0x10, 0x00, 0x0e, 0x00, 0x0c, 0x02, 'h', '2',
    0x08, 'h', 't', 't', 'p', '/', '1', '.', '1',
    /* versions, modes of key exchange */
    0x00, 0x2b, 0x00, 0x05, 0x04, 0x03, 0x04, 0x03, 0x03,
    0x00, 0x2d, 0x00, 0x02, 0x01, 0x01,
    /* 189: key share */
    0x00, 0x33, 0x00, 0x26, 0x00, 0x24, 0x00, 0x1d, 0x00, 0x20,
    [221] = 0x00, 0x15, 0x01, 0x24, /* padding */
};

/* A ServerHello, a ChangeCipherSpec, and the start of an encrypted record. */
static const uint8_t server_hello[138] = {
    0x16, 0x03, 0x03, 0x00, 0x7a, 0x02, 0x00, 0x00, 0x76, 0x03, 0x03,
    /* 11: random */
    [43] = 0x20, /* 44: session id */
    [76] = 0x13, 0x01, 0x00,
    0x00, 0x2e, 0x00, 0x2b, 0x00, 0x02, 0x03, 0x04,
    /* 95: key share */
    0x00, 0x33, 0x00, 0x24, 0x00, 0x1d, 0x00, 0x20,
    [127] = 0x14, 0x03, 0x03, 0x00, 0x01, 0x01,
    0x17, 0x03, 0x03,
};

/* clang-format on */

static size_t start_tls(const struct message *m, uint32_t offset,
                        uint32_t bytes, uint8_t *p)
{
    if (m->index == 0 && offset == 0) {
        memcpy(p, client_hello, sizeof(client_hello));
        put_random(p + 11, m->key, 4);
        put_random(p + 44, m->key + 1, 4);
        put_random(p + 189, m->key + 2, 4);
        return sizeof(client_hello);
    }
    if (m->index == 1 && offset == 0) {
        memcpy(p, server_hello, sizeof(server_hello));
        put_random(p + 11, m->key + 3, 4);
        put_random(p + 44, m->key + 1, 4);
        put_random(p + 95, m->key + 4, 4);
        put_be16(p + 136, bytes - (uint32_t)sizeof(server_hello));
        return sizeof(server_hello);
    }
    p[0] = 0x17; /* each segment is one record of application data */
    p[1] = 0x03;
    p[2] = 0x03;
    put_be16(p + 3, bytes - 5);
    return 5;
}

/* ------------------------------------------------------------ HTTP, SMTP */

static const char http_host[] = " HTTP/1.1\r\nHost: www.example.com\r\n"
                                "User-Agent: Mozilla/5.0 (X11; Linux)\r\n"
                                "Accept: */*\r\n";

static bool http_is_text(const struct message *m)
{
    return m->key % 3 != 0;
}

static size_t start_http(const struct message *m, uint8_t *p)
{
    const uint8_t *start = p;
    bool get = m->from_client && m->bytes < 300;

    if (m->from_client) {
        p = put_string(p, get ? "GET /" : "POST /");
        p = put_hex(p, mix64(m->key + m->index), 16);
        p = put_string(p, get ? ".html" : ".cgi?");
        p = put_string(p, http_host);
    } else {
        p = put_string(p, "HTTP/1.1 200 OK\r\nServer: nginx\r\n");
    }
    if (!get) {
        size_t head;

        p = put_string(p, http_is_text(m)
                              ? "Content-Type: text/plain\r\n"
                              : "Content-Type: application/octet-stream\r\n");
        p = put_string(p, "Content-Length: ");
        head = (size_t)(p - start) + 10 + 4;
        p = put_decimal(p, m->bytes - (uint32_t)head, 10);
        p = put_string(p, "\r\n");
    }
    return (size_t)(put_string(p, "\r\n") - start);
}

static uint32_t http_message_bytes(const struct message *m, uint32_t wanted)
{
    if (m->from_client && wanted < 1400)
        return 5 + 16 + 5 + (uint32_t)sizeof(http_host) - 1 + 2;
    return wanted < 320 ? 320 : wanted;
}

enum { SMTP_BODY = 7 };

/* A session: the greeting three once, then the rest again and again. */
static const char *const smtp_lines[] = {
    "220 mail.example.net ESMTP ready\r\n",
    "EHLO client.example.com\r\n",
    "250-mail.example.net\r\n250-SIZE 52428800\r\n250 CHUNKING\r\n",
    "MAIL FROM:<somebody@example.com>\r\n",
    "250 2.1.0 Ok\r\n",
    "RCPT TO:<someone@example.net>\r\n",
    "250 2.1.5 Ok\r\n",
    NULL, /* SMTP_BODY */
    "250 2.0.0 Ok: queued\r\n",
};

static unsigned smtp_line(const struct message *m)
{
    return m->index < 3 ? m->index : 3 + (m->index - 3) % 6;
}

static size_t start_smtp(const struct message *m, uint8_t *p)
{
    const uint8_t *start = p;
    const char *line = smtp_lines[smtp_line(m)];

    if (line != NULL)
        return (size_t)(put_string(p, line) - start);
    p = put_string(p, "BDAT ");
    p = put_decimal(p, m->bytes - 22, 10);
    return (size_t)(put_string(p, " LAST\r\n") - start);
}

static uint32_t smtp_message_bytes(const struct message *m, uint32_t wanted)
{
    const char *line = smtp_lines[smtp_line(m)];

    return line != NULL ? (uint32_t)strlen(line) : wanted + 22;
}

/* ------------------------------------------------------------ SSH, MySQL */

static const char ssh_banner[] = "SSH-2.0-OpenSSH_9.6\r\n";

/* Each segment is one binary packet. */
static size_t start_ssh(const struct message *m, uint32_t bytes, uint8_t *p)
{
    if (m->index < 2)
        return (size_t)(put_string(p, ssh_banner) - p);
    put_be32(p, bytes - 4);
    p[4] = 8; /* padding */
    p[5] = 2; /* SSH_MSG_IGNORE */
    put_be32(p + 6, bytes - 4 - 1 - 1 - 4 - 8);
    return 10;
}

/* clang-format off */

static const uint8_t mysql_greeting[78] = {
    74, 0, 0, 0, 10, '8', '.', '0', '.', '3', '6', 0,
    /* 12: thread, 16: 8 bytes of salt */
    [25] = 0xff, 0xf7, 0x21, 0x02, 0x00, 0x0f, 0x80, 21, /* capabilities */
    /* 43: 12 bytes of salt */
    [56] = 'm', 'y', 's', 'q', 'l', '_', 'n', 'a', 't', 'i', 'v', 'e', '_',
    'p', 'a', 's', 's', 'w', 'o', 'r', 'd', 0,
};

static const uint8_t mysql_login[62] = {
    58, 0, 0, 1, 0x01, 0x82, 0x00, 0x00, 0x00, 0x00, 0x00, 0x01, 0x21,
    [36] = 'u', 's', 'e', 'r', 0, 20,
    /* 42: 20 bytes of hash */
};

/* clang-format on */

static size_t start_mysql(const struct message *m, uint8_t *p)
{
    if (m->index == 0) {
        memcpy(p, mysql_greeting, sizeof(mysql_greeting));
        memset(p + 16, 'a' + (int)(m->key & 15), 8);
        memset(p + 43, 'a' + (int)(m->key >> 4 & 15), 12);
        return sizeof(mysql_greeting);
    }
    if (m->index == 1) {
        memcpy(p, mysql_login, sizeof(mysql_login));
        put_random(p + 42, m->key, 2);
        put_be32(p + 58, (uint32_t)m->key);
        return sizeof(mysql_login);
    }
    put_le32(p, m->bytes - 4);
    if (m->from_client) {
        p[3] = 0;
        return (size_t)(put_string(p + 4, "\003SELECT /* ") - p);
    }
    p[3] = m->index == 2 ? 2 : 1;
    memcpy(p + 4, "\0\0\0\2\0\0\0\xfd", 8); /* OK, and a text */
    put_le16(p + 12, m->bytes - 15);
    p[14] = (uint8_t)((m->bytes - 15) >> 16);
    return 15;
}

/* -------------------------------------------------- BitTorrent, datagrams */

static size_t start_bittorrent(const struct message *m, uint8_t *p)
{
    if (m->index < 2) {
        put_string(p, "\023BitTorrent protocol");
        memset(p + 20, 0, 8);
        put_random(p + 28, m->key, 2);
        put_be32(p + 44, (uint32_t)m->key);
        put_string(p + 48, "-TR4060-");
        put_hex(p + 56, mix64(m->key + m->index), 12);
        return 68;
    }
    put_be32(p, m->bytes - 4);
    p[4] = m->bytes == 17 ? 6 : 7; /* request or piece */
    put_be32(p + 5, m->index / 2 & 0xfff);
    put_be32(p + 9, 0);
    put_be32(p + 13, 16384);
    return m->bytes == 17 ? 17 : 13;
}

static unsigned dns_answers(const struct message *m)
{
    return 1 + (unsigned)(m->key >> 8 & 3);
}

/* A query for the address of h123456.example.com, or its answer. */
static size_t start_dns(const struct message *m, uint8_t *p)
{
    const uint8_t *start = p;
    unsigned answers = m->from_client ? 0 : dns_answers(m);

    put_be16(p, (uint32_t)m->key & 0xffff);
    put_be16(p + 2, m->from_client ? 0x0100 : 0x8180);
    put_be16(p + 4, 1);
    put_be16(p + 6, answers);
    put_be32(p + 8, 0);
    p = put_string(p + 12, "\7h");
    p = put_hex(p, m->key >> 16, 6);
    p = put_string(p, "\7example\3com");
    memcpy(p, "\0\0\1\0\1", 5);
    p += 5;
    for (unsigned i = 0; i < answers; i++, p += 16) {
        memcpy(p, "\xc0\x0c\0\1\0\1\0\0\1\x2c\0\4\xc6\x12", 14);
        put_be16(p + 14, (uint32_t)(m->key >> 40) + i);
    }
    return (size_t)(p - start);
}

static size_t start_quic(const struct message *m, uint32_t bytes, uint8_t *p)
{
    uint64_t id = mix64(m->key + m->from_client);

    if (m->index > 0) {
        p[0] = 0x40 | (uint8_t)(mix64(m->key + m->index) & 0x3f);
        put_le64(p + 1, id);
        return 9;
    }
    p[0] = 0xc3; /* Initial, with a packet number of 4 bytes */
    put_be32(p + 1, 1);
    p[5] = 8;
    put_le64(p + 6, id);
    p[14] = 8;
    put_le64(p + 15, mix64(m->key + !m->from_client));
    p[23] = 0;
    put_be16(p + 24, 0x4000 | (bytes - 26));
    return 26;
}

static size_t start_ntp(const struct message *m, uint8_t *p)
{
    uint32_t now = (uint32_t)(m->ts_ns / 1000000000 + 2208988800u);

    memset(p, 0, 48);
    p[0] = m->from_client ? 0x23 : 0x24;
    p[1] = m->from_client ? 0 : 2;
    p[2] = 6;
    p[3] = 0xec;
    put_be32(p + 4, 0x200);
    put_be32(p + 8, 0x200);
    put_be32(p + 12, 0xc6120001);
    for (size_t at = m->from_client ? 40 : 16; at < 48; at += 8) {
        put_be32(p + at, now);
        put_be32(p + at + 4, (uint32_t)mix64(m->ts_ns + at));
    }
    return 48;
}

static size_t start_sip(const struct message *m, uint8_t *p)
{
    const uint8_t *start = p;

    p = put_string(p, m->from_client ? "OPTIONS sip:pbx@example.com SIP/2.0\r\n"
                                     : "SIP/2.0 200 OK\r\n");
    p = put_string(p, "Via: SIP/2.0/UDP ua.example.com:5060;branch=z9hG4bK");
    p = put_hex(p, mix64(m->key + m->index), 16);
    p = put_string(p, "\r\nMax-Forwards: 70\r\n"
                      "From: <sip:ua@example.com>;tag=");
    p = put_hex(p, m->key, 8);
    p = put_string(p, "\r\nTo: <sip:pbx@example.com>\r\nCall-ID: ");
    p = put_hex(p, mix64(m->key), 16);
    p = put_string(p, "@ua.example.com\r\nCSeq: ");
    p = put_decimal(p, m->index + 1, 6);
    p = put_string(p, " OPTIONS\r\nContent-Length: 0\r\n\r\n");
    return (size_t)(p - start);
}

static size_t start_rtp(const struct message *m, uint8_t *p)
{
    uint64_t source = mix64(m->key + m->from_client);

    p[0] = 0x80;
    p[1] = 8; /* G.711 */
    put_be16(p + 2, (uint32_t)source + m->index);
    put_be32(p + 4, (uint32_t)(source >> 8) + 160 * m->index);
    put_be32(p + 8, (uint32_t)(source >> 32));
    return 12;
}

static size_t start_datagram(const struct message *m, uint8_t *p)
{
    put_be16(p, 0x0001);
    put_be16(p + 2, m->bytes);
    put_be32(p + 4, m->index);
    return 8;
}

static size_t start_wireguard(const struct message *m, uint8_t *p)
{
    put_le32(p, 4); /* transport data */
    put_le32(p + 4, (uint32_t)mix64(m->key + m->from_client));
    put_le64(p + 8, m->index);
    return 16;
}

/* ------------------------------------------------------------ messages */

bool payload_server_first(enum app app)
{
    return app == APP_SSH || app == APP_SMTP || app == APP_MYSQL;
}

uint32_t payload_message_bytes(const struct message *m, uint32_t wanted)
{
    uint8_t scratch[PAYLOAD_SLACK];

    switch (m->app) {
    case APP_TLS:
        if (m->index == 0)
            return sizeof(client_hello);
        return m->index == 1 && wanted < 200 ? 200 : wanted;
    case APP_HTTP:
        return http_message_bytes(m, wanted);
    case APP_SSH:
        return m->index < 2 ? (uint32_t)sizeof(ssh_banner) - 1 : wanted;
    case APP_SMTP:
        return smtp_message_bytes(m, wanted);
    case APP_MYSQL:
        if (m->index == 0)
            return sizeof(mysql_greeting);
        return m->index == 1 ? sizeof(mysql_login) : wanted;
    case APP_BITTORRENT:
        if (m->index < 2)
            return 68;
        return wanted < 200 ? 17 : wanted;
    case APP_DNS:
        return (uint32_t)start_dns(m, scratch);
    case APP_QUIC:
        return m->index == 0 ? 1200 : wanted;
    case APP_NTP:
        return 48;
    case APP_SIP:
        return (uint32_t)start_sip(m, scratch);
    case APP_RTP:
        return 172;
    case APP_WIREGUARD:
        return wanted / 16 * 16 + 32;
    case APP_DATAGRAM:
    case APP_NONE:
        break;
    }
    return wanted;
}

/* Writes what the segment starts with and returns its length. */
static size_t put_start(const struct message *m, uint32_t offset,
                        uint32_t bytes, uint8_t *p)
{
    if (m->app == APP_TLS)
        return start_tls(m, offset, bytes, p);
    if (m->app == APP_SSH)
        return start_ssh(m, bytes, p);
    if (offset > 0)
        return 0;
    switch (m->app) {
    case APP_HTTP:
        return start_http(m, p);
    case APP_SMTP:
        return start_smtp(m, p);
    case APP_MYSQL:
        return start_mysql(m, p);
    case APP_BITTORRENT:
        return start_bittorrent(m, p);
    case APP_DNS:
        return start_dns(m, p);
    case APP_QUIC:
        return start_quic(m, bytes, p);
    case APP_NTP:
        return start_ntp(m, p);
    case APP_SIP:
        return start_sip(m, p);
    case APP_RTP:
        return start_rtp(m, p);
    case APP_DATAGRAM:
        return start_datagram(m, p);
    case APP_WIREGUARD:
        return start_wireguard(m, p);
    default:
        return 0;
    }
}

static bool is_text(const struct message *m)
{
    return m->app == APP_SMTP || m->app == APP_MYSQL ||
           (m->app == APP_HTTP && http_is_text(m));
}

uint64_t payload_put(const struct message *m, uint32_t offset, uint32_t bytes,
                     uint8_t *p, size_t room)
{
    size_t start = put_start(m, offset, bytes, p);
    uint64_t sum = sum_bytes(p, start);
    uint64_t key, fill;

    if (start == bytes)
        return sum;
    key = mix64(m->key + ((uint64_t)m->index << 32) + offset + m->from_client);
    bytes -= (uint32_t)start;
    p += start;
    room = room > start ? room - start : 0;
    fill = is_text(m) ? fill_text(p, bytes, room, key)
                      : fill_noise(p, bytes, room, key);
    return sum + (start & 1 ? (uint64_t)sum_fold(fill) << 8 : fill);
}
