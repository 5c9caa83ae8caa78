/*
 * trace.c - bytes as a capture file: opened, walked, every packet decoded
 *
 * The last byte says how what is before it becomes a file: as it is, which is
 * how the codecs meet damaged headers and trailers; or packed in members of
 * one of the codecs, so that the formats are reached through them without a
 * checksum to guess.  The last and not the first, so that captures are seeds.
 */
#include <bzlib.h>
#include <lz4frame.h>
#include <lzma.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <zlib.h>
#include <zstd.h>

#include "archive_trace.h"

enum { AS_IS, GZIP, BGZF, ZSTD, LZ4, BZIP2, XZ, WAYS };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static volatile unsigned sum;

/* Touches what a packet points to, for the address sanitizer. */
static void use(const struct at_packet *pkt)
{
    struct at_headers h;

    at_decode(&h, pkt);
    for (uint32_t i = 0; i < pkt->cap_bytes; i += 61)
        sum += pkt->data[i];
    if (pkt->cap_bytes > 0)
        sum += pkt->data[pkt->cap_bytes - 1];
    if (pkt->record_bytes > 0)
        sum += pkt->record[pkt->record_bytes - 1];
    if (h.net_offset > pkt->cap_bytes || h.transport_offset > pkt->cap_bytes ||
        h.payload_offset > pkt->cap_bytes)
        abort();
}

/* A second way through the same file must give as many records. */
static uint64_t count_batches(const char *path)
{
    struct at_reader *rd;
    struct at_batch *batch;
    uint64_t records = 0;

    if (at_reader_open(&rd, path, NULL, NULL) != AT_OK)
        return 0;
    while (at_reader_next_batch(rd, &batch) == AT_OK) {
        for (size_t i = 0; i < batch->blocks; i++)
            records += batch->block[i].records;
        at_batch_release(batch);
    }
    at_reader_close(rd);
    return records;
}

static void walk(const char *path)
{
    struct at_reader *rd;
    struct at_packet pkt;
    struct at_error err = {.status = AT_OK};
    uint64_t records = 0;

    if (at_reader_open(&rd, path, NULL, &err) != AT_OK) {
        if (err.status >= 0 || err.msg[0] == '\0')
            abort();
        return;
    }
    while (at_reader_next(rd, &pkt) == AT_OK) {
        use(&pkt);
        records++;
    }
    at_reader_close(rd);
    if (count_batches(path) != records)
        abort();
}

/* With salvage any file that opens ends without an error of its bytes. */
static void salvage(const char *path)
{
    const struct at_reader_options opts = {.size = sizeof(opts),
                                           .salvage = true};
    struct at_reader *rd;
    struct at_packet pkt;
    enum at_status st;

    if (at_reader_open(&rd, path, &opts, NULL) != AT_OK)
        return;
    while ((st = at_reader_next(rd, &pkt)) == AT_OK)
        use(&pkt);
    if (st == AT_ERR_CORRUPT || st == AT_ERR_TRUNCATED)
        abort();
    at_reader_close(rd);
}

static void put(int fd, const void *p, size_t n)
{
    if (write(fd, p, n) != (ssize_t)n)
        abort();
}

static size_t deflated(uint8_t *out, size_t room, const uint8_t *p, size_t n,
                       int bits)
{
    z_stream z = {.next_in = (Bytef *)p, .avail_in = (uInt)n};

    deflateInit2(&z, 1, Z_DEFLATED, bits, 8, 0);
    z.next_out = out;
    z.avail_out = (uInt)room;
    deflate(&z, Z_FINISH);
    deflateEnd(&z);
    return room - z.avail_out;
}

static void put_gzip(int fd, const uint8_t *p, size_t n)
{
    static uint8_t out[80 << 10];

    put(fd, out, deflated(out, sizeof(out), p, n, 15 + 16));
}

static void put_bgzf(int fd, const uint8_t *p, size_t n)
{
    static uint8_t out[80 << 10];
    const size_t body = deflated(out, sizeof(out), p, n, -15);
    const size_t bytes = 18 + body + 8 - 1;
    const uint32_t crc = (uint32_t)crc32(0, p, (uInt)n);
    const uint8_t size[2] = {(uint8_t)bytes, (uint8_t)(bytes >> 8)};
    uint8_t trailer[8];

    for (int i = 0; i < 4; i++) {
        trailer[i] = (uint8_t)(crc >> 8 * i);
        trailer[4 + i] = (uint8_t)(n >> 8 * i);
    }
    put(fd, "\x1f\x8b\x08\x04\0\0\0\0\0\xff\x06\0BC\x02\0", 16);
    put(fd, size, 2);
    put(fd, out, body);
    put(fd, trailer, 8);
}

static void put_frame(int fd, int way, const uint8_t *p, size_t n)
{
    const LZ4F_preferences_t prefs = {
        .frameInfo = {.contentSize = n & 1 ? n : 0}};
    static uint8_t out[80 << 10];
    unsigned bytes = sizeof(out);
    size_t at = 0;

    if (way == ZSTD)
        at = ZSTD_compress(out, sizeof(out), p, n, 1);
    if (way == LZ4)
        at = LZ4F_compressFrame(out, sizeof(out), p, n, &prefs);
    if (way == XZ && lzma_easy_buffer_encode(0, LZMA_CHECK_CRC32, NULL, p, n,
                                             out, &at, sizeof(out)) != LZMA_OK)
        abort();
    if (way == BZIP2) {
        BZ2_bzBuffToBuffCompress((char *)out, &bytes, (char *)(uintptr_t)p,
                                 (unsigned)n, 1, 0, 0);
        at = bytes;
    }
    put(fd, out, at);
}

/* In members of some 7000 bytes, so that records cross from one to the next. */
static void put_packed(int fd, int way, const uint8_t *p, size_t n)
{
    while (n > 0) {
        const size_t part = n < 7001 ? n : 7001;

        if (way == GZIP)
            put_gzip(fd, p, part);
        else if (way == BGZF)
            put_bgzf(fd, p, part);
        else
            put_frame(fd, way, p, part);
        p += part;
        n -= part;
    }
    if (way == BGZF)
        put_bgzf(fd, p, 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char path[32];
    int fd, way;

    if (size < 1)
        return 0;
    way = data[size - 1] % WAYS;
    fd = memfd_create("trace", 0);
    if (fd < 0)
        abort();
    if (way == AS_IS)
        put(fd, data, size - 1);
    else
        put_packed(fd, way, data, size - 1);
    snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    walk(path);
    salvage(path);
    close(fd);
    return 0;
}
