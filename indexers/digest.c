/*
 * digest.c - SHA-256 (FIPS 180-4) of whole files
 */
#include "digest.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "errors.h"

enum { PIECE_BYTES = 1 << 18 };

struct at_digesting {
    EVP_MD_CTX *ctx;
    bool failed;
};

enum at_status at_digesting_open(struct at_digesting **out,
                                 struct at_error *err)
{
    struct at_digesting *d = calloc(1, sizeof(*d));

    *out = NULL;
    if (d == NULL || (d->ctx = EVP_MD_CTX_new()) == NULL) {
        free(d);
        at_error_set(err, AT_ERR_MEMORY, "out of memory");
        return AT_ERR_MEMORY;
    }
    if (EVP_DigestInit_ex(d->ctx, EVP_sha256(), NULL) != 1) {
        at_digesting_close(d);
        at_error_set(err, AT_ERR_SYSTEM, "SHA-256 is not available");
        return AT_ERR_SYSTEM;
    }
    *out = d;
    return AT_OK;
}

void at_digesting_add(void *digesting, const uint8_t *p, size_t n)
{
    struct at_digesting *d = digesting;

    if (EVP_DigestUpdate(d->ctx, p, n) != 1)
        d->failed = true;
}

struct at_digest at_digesting_end(struct at_digesting *d)
{
    struct at_digest digest = {.known = false};

    digest.known = EVP_DigestFinal_ex(d->ctx, digest.byte, NULL) == 1 &&
                   !d->failed;
    return digest;
}

void at_digesting_close(struct at_digesting *d)
{
    if (d == NULL)
        return;
    EVP_MD_CTX_free(d->ctx);
    free(d);
}

static enum at_status add_file(struct at_digesting *d, int fd, const char *path,
                               uint64_t *bytes, struct at_error *err)
{
    uint8_t *buf = malloc(PIECE_BYTES);
    ssize_t n = 0;

    if (buf == NULL)
        return at_error_set(err, AT_ERR_MEMORY, "out of memory");
    *bytes = 0;
    do {
        n = read(fd, buf, PIECE_BYTES);
        if (n > 0)
            at_digesting_add(d, buf, (size_t)n);
        *bytes += n > 0 ? (uint64_t)n : 0;
    } while (n > 0 || (n < 0 && errno == EINTR));
    if (n < 0)
        at_error_system(err, path, "read");
    free(buf);
    return n < 0 ? AT_ERR_SYSTEM : AT_OK;
}

enum at_status at_digest_of(struct at_digest *digest, const char *path,
                            uint64_t *bytes, struct at_error *err)
{
    const int fd = open(path, O_RDONLY | O_CLOEXEC);
    struct at_digesting *d = NULL;
    uint64_t n;
    enum at_status st;

    *digest = (struct at_digest){.known = false};
    if (fd < 0)
        return at_error_system(err, path, "open");
    st = at_digesting_open(&d, err);
    if (st == AT_OK)
        st = add_file(d, fd, path, bytes != NULL ? bytes : &n, err);
    if (st == AT_OK)
        *digest = at_digesting_end(d);
    at_digesting_close(d);
    close(fd);
    return st;
}

bool at_digest_same(const struct at_digest *a, const struct at_digest *b)
{
    return a->known && b->known &&
           memcmp(a->byte, b->byte, AT_DIGEST_BYTES) == 0;
}

const char *at_digest_text(char *buf, const struct at_digest *digest)
{
    for (int i = 0; i < AT_DIGEST_BYTES; i++)
        snprintf(buf + 2 * i, 3, "%02x", digest->byte[i]);
    return buf;
}
