/*
 * identity.c - how a trace file is known again, whatever its name
 */
#include "identity.h"

#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>

#include "bytes.h"
#include "input.h"

enum { END_BYTES = 64 << 10 };

static bool digest(const struct at_identity *id, uint8_t *out,
                   const uint8_t *ends, size_t n)
{
    uint8_t size[8];
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    bool ok;

    at_store_le64(size, id->file_bytes);
    ok = ctx != NULL && EVP_DigestInit_ex(ctx, EVP_sha256(), NULL) == 1 &&
         EVP_DigestUpdate(ctx, size, sizeof(size)) == 1 &&
         EVP_DigestUpdate(ctx, ends, n) == 1 &&
         EVP_DigestFinal_ex(ctx, out, NULL) == 1;
    EVP_MD_CTX_free(ctx);
    return ok;
}

static enum at_status read_ends(const struct at_input *in, uint8_t *buf,
                                size_t *n, struct at_error *err)
{
    const uint64_t tail = in->size > END_BYTES ? in->size - END_BYTES : 0;
    size_t got = 0;
    enum at_status st = at_input_read_at(in, 0, buf, END_BYTES, n, err);

    if (st == AT_OK && tail > 0)
        st = at_input_read_at(in, tail, buf + *n, END_BYTES, &got, err);
    *n += got;
    return st;
}

enum at_status at_identity_of(struct at_identity *id, const char *path,
                              struct at_error *err)
{
    struct at_input in;
    uint8_t *buf;
    size_t n = 0;
    enum at_status st = at_input_open(&in, path, NULL, err);

    if (st != AT_OK)
        return st;
    buf = malloc(2 * END_BYTES);
    if (buf == NULL)
        st = at_error_set(err, AT_ERR_MEMORY, "out of memory");
    else if (!in.seekable)
        st = at_error_set(err, AT_ERR_MISUSE, "%s: not a regular file",
                          in.name);
    id->file_bytes = in.size;
    if (st == AT_OK)
        st = read_ends(&in, buf, &n, err);
    if (st == AT_OK && !digest(id, id->digest, buf, n))
        st = at_error_set(err, AT_ERR_SYSTEM, "SHA-256 is not available");
    free(buf);
    at_input_close(&in);
    return st;
}

bool at_identity_same(const struct at_identity *a, const struct at_identity *b)
{
    return a->file_bytes == b->file_bytes &&
           memcmp(a->digest, b->digest, sizeof(a->digest)) == 0;
}
