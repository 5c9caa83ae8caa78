/*
 * common.c - what the C tests share
 */
#include "common.h"

#include <ftw.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>

/* ---- bytes ----------------------------------------------------------- */

static void make_room(struct bytes *b, size_t n)
{
    if (b->n + n <= b->room)
        return;
    b->room = (b->n + n) * 2;
    b->p = realloc(b->p, b->room);
    assert_non_null(b->p);
}

void add(struct bytes *b, const void *p, size_t n)
{
    make_room(b, n + 1);
    if (n > 0)
        memcpy(b->p + b->n, p, n);
    b->n += n;
}

void add_zeros(struct bytes *b, size_t n)
{
    make_room(b, n + 1);
    memset(b->p + b->n, 0, n);
    b->n += n;
}

void add_le16(struct bytes *b, uint16_t v)
{
    add(b, (uint8_t[]){(uint8_t)v, (uint8_t)(v >> 8)}, 2);
}

void add_le32(struct bytes *b, uint32_t v)
{
    add_le16(b, (uint16_t)v);
    add_le16(b, (uint16_t)(v >> 16));
}

void add_be16(struct bytes *b, uint16_t v)
{
    add(b, (uint8_t[]){(uint8_t)(v >> 8), (uint8_t)v}, 2);
}

void add_be32(struct bytes *b, uint32_t v)
{
    add_be16(b, (uint16_t)(v >> 16));
    add_be16(b, (uint16_t)v);
}

void add_text(struct bytes *b, const char *text)
{
    add(b, text, strlen(text));
}

void drop(struct bytes *b)
{
    free(b->p);
    *b = (struct bytes){.n = 0};
}

uint8_t *tight_copy(const void *p, size_t n)
{
    uint8_t *copy = malloc(n + (n == 0));

    assert_non_null(copy);
    if (n > 0)
        memcpy(copy, p, n);
    return copy;
}

uint32_t next_random(uint32_t *state)
{
    *state = *state * 1664525u + 1013904223u;
    return *state >> 8;
}

/* ---- traces ---------------------------------------------------------- */

void add_pcap_header(struct bytes *b)
{
    add_le32(b, 0xa1b23c4d);
    add_le16(b, 2);
    add_le16(b, 4);
    add_zeros(b, 8);
    add_le32(b, 262144);
    add_le32(b, AT_LINK_ETHERNET);
}

void add_pcap_record(struct bytes *b, uint32_t sec, uint32_t nsec,
                     uint32_t cap_bytes, uint32_t wire_bytes)
{
    uint32_t state = sec ^ nsec ^ cap_bytes;

    add_le32(b, sec);
    add_le32(b, nsec);
    add_le32(b, cap_bytes);
    add_le32(b, wire_bytes);
    for (uint32_t i = 0; i < cap_bytes; i++)
        add(b, &(uint8_t){(uint8_t)next_random(&state)}, 1);
}

struct bytes small_pcap(unsigned n)
{
    struct bytes b = {.n = 0};

    add_pcap_header(&b);
    for (unsigned i = 0; i < n; i++)
        add_pcap_record(&b, 1700000000 + i, i, 60 + i % 7, 60 + i % 7);
    return b;
}

/* 'bits' as for deflateInit2() */
static struct bytes deflated(const void *p, size_t n, int bits)
{
    struct bytes out = {.n = 0};
    z_stream z = {.next_in = (Bytef *)p, .avail_in = (uInt)n};

    assert_int_equal(deflateInit2(&z, 6, Z_DEFLATED, bits, 8, 0), Z_OK);
    add_zeros(&out, deflateBound(&z, n));
    z.next_out = out.p;
    z.avail_out = (uInt)out.n;
    assert_int_equal(deflate(&z, Z_FINISH), Z_STREAM_END);
    out.n = z.total_out;
    deflateEnd(&z);
    return out;
}

void add_gzip(struct bytes *b, const void *p, size_t n)
{
    struct bytes member = deflated(p, n, 15 + 16);

    add(b, member.p, member.n);
    drop(&member);
}

void add_bgzf(struct bytes *b, const void *p, size_t n)
{
    struct bytes body = deflated(p, n, -15);

    assert_true(n <= 65536 && body.n + 26 <= 65536);
    add(b, "\x1f\x8b\x08\x04\0\0\0\0\0\xff\x06\0BC\x02\0", 16);
    add_le16(b, (uint16_t)(18 + body.n + 8 - 1));
    add(b, body.p, body.n);
    add_le32(b, (uint32_t)crc32(0, p, (uInt)n));
    add_le32(b, (uint32_t)n);
    drop(&body);
}

void add_bgzf_eof(struct bytes *b)
{
    add_bgzf(b, "", 0);
}

/* A member with one or two extra fields of 4 bytes. */
static void add_with_fields(struct bytes *b, const char *id, uint32_t more,
                            bool ours, const void *p, size_t n)
{
    struct bytes body = deflated(p, n, -15);

    add(b, "\x1f\x8b\x08\x04\0\0\0\0\0\xff", 10);
    add_le16(b, ours ? 16 : 8);
    add(b, id, 2);
    add_le16(b, 4);
    add_le32(b, (uint32_t)body.n + more);
    if (ours) {
        add(b, "AT\4\0", 4);
        add_le32(b, (uint32_t)n);
    }
    add(b, body.p, body.n);
    add_le32(b, (uint32_t)crc32(0, p, (uInt)n));
    add_le32(b, (uint32_t)n);
    drop(&body);
}

void add_sized(struct bytes *b, const void *p, size_t n)
{
    add_with_fields(b, "IG", 36, true, p, n);
}

void add_pgzip(struct bytes *b, const void *p, size_t n)
{
    add_with_fields(b, "IG", 28, false, p, n);
}

void add_migz(struct bytes *b, const void *p, size_t n)
{
    add_with_fields(b, "MZ", 0, false, p, n);
}

/* ---- files ----------------------------------------------------------- */

static char folder[] = "/tmp/at-test-XXXXXX";

static int remove_one(const char *path, const struct stat *st, int kind,
                      struct FTW *ftw)
{
    (void)st;
    (void)kind;
    (void)ftw;
    return remove(path);
}

static void remove_folder(void)
{
    nftw(folder, remove_one, 4, FTW_DEPTH | FTW_PHYS);
}

const char *temporary(const char *name)
{
    static char path[4][128];
    static unsigned n;
    static bool made; /* not to be told by the name: its end is random */
    char *p = path[n++ % 4];

    if (!made) {
        assert_non_null(mkdtemp(folder));
        atexit(remove_folder);
        made = true;
    }
    snprintf(p, sizeof(path[0]), "%s/%s", folder, name);
    return p;
}

void write_file(const char *path, const void *p, size_t n)
{
    FILE *f = fopen(path, "wb");

    assert_non_null(f);
    assert_int_equal(fwrite(p, 1, n, f), n);
    assert_int_equal(fclose(f), 0);
}

struct bytes read_file(const char *path)
{
    struct bytes b = {.n = 0};
    FILE *f = fopen(path, "rb");
    uint8_t buf[4096];
    size_t n;

    assert_non_null(f);
    while ((n = fread(buf, 1, sizeof(buf), f)) > 0)
        add(&b, buf, n);
    fclose(f);
    return b;
}

/* ---- reading --------------------------------------------------------- */

void see(struct seen *s, const struct at_packet *pkt)
{
    s->records++;
    s->digest = crc32_z(s->digest, pkt->record, pkt->record_bytes);
}

struct seen see_file(const char *path, struct at_pool *pool)
{
    const struct at_reader_options opts = {.size = sizeof(opts), .pool = pool};
    struct seen s = {.digest = 0};
    struct at_reader *rd;
    struct at_packet pkt;
    enum at_status st = at_reader_open(&rd, path, &opts, &s.err);

    if (st != AT_OK)
        return s;
    while ((st = at_reader_next(rd, &pkt)) == AT_OK)
        see(&s, &pkt);
    s.err = *at_reader_error(rd);
    assert_int_equal(s.err.status, st);
    assert_int_equal(at_reader_next(rd, &pkt), st); /* is sticky */
    if (st == AT_END)
        s.err.status = AT_OK;
    at_reader_close(rd);
    return s;
}

struct seen see_bytes(const struct bytes *b, size_t n)
{
    const char *path = temporary("bytes");

    write_file(path, b->p, n);
    return see_file(path, NULL);
}
