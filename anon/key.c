/*
 * key.c - the secret that a mapping of addresses hangs on
 */
#include "key.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/kdf.h>
#include <openssl/params.h>
#include <openssl/rand.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { HEX_DIGITS = 2 * AT_KEY_BYTES, SECRET_MOST = 1024 };

static const char digits[] = "0123456789abcdef";

/* ---- files ----------------------------------------------------------- */

/* Descriptors are what the caller made them; files can be read by others. */
static enum at_status open_secret(int *fd, const char *path,
                                  struct at_error *err)
{
    struct stat st;
    char end;

    if (sscanf(path, "fd:%d%c", fd, &end) == 1)
        return AT_OK;
    *fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    if (*fd < 0 || fstat(*fd, &st) != 0) {
        at_error_set(err, AT_ERR_SYSTEM, "%s: cannot open: %s", path,
                     strerror(errno));
    } else if (S_ISREG(st.st_mode) && (st.st_mode & 077) != 0) {
        at_error_set(err, AT_ERR_SYSTEM,
                     "%s: others than its owner may read it (mode %04o): "
                     "chmod 600",
                     path, (unsigned)st.st_mode & 07777);
    } else {
        return AT_OK;
    }
    if (*fd >= 0)
        close(*fd);
    return AT_ERR_SYSTEM;
}

/* Reads a secret of up to SECRET_MOST bytes; *n is one more if it is longer. */
static enum at_status read_secret(uint8_t *p, size_t *n, const char *path,
                                  struct at_error *err)
{
    ssize_t got = 0;
    int fd;

    *n = 0;
    if (open_secret(&fd, path, err) != AT_OK)
        return AT_ERR_SYSTEM;
    do {
        *n += (size_t)got;
        got = read(fd, p + *n, SECRET_MOST + 1 - *n);
    } while (got > 0 || (got < 0 && errno == EINTR));
    if (got < 0)
        at_error_set(err, AT_ERR_SYSTEM, "%s: cannot read: %s", path,
                     strerror(errno));
    close(fd);
    return got < 0 ? AT_ERR_SYSTEM : AT_OK;
}

/* ---- keys ------------------------------------------------------------ */

static void set_id(struct at_key *key)
{
    static const char label[] = "archive_trace key id";
    uint8_t text[sizeof(label) + AT_KEY_BYTES];
    uint8_t digest[EVP_MAX_MD_SIZE] = {0};

    memcpy(text, label, sizeof(label));
    memcpy(text + sizeof(label), key->bytes, AT_KEY_BYTES);
    EVP_Digest(text, sizeof(text), digest, NULL, EVP_sha256(), NULL);
    for (size_t i = 0; i < AT_KEY_ID_TEXT - 1; i++)
        key->id[i] = digits[digest[i / 2] >> (i % 2 == 0 ? 4 : 0) & 15];
    key->id[AT_KEY_ID_TEXT - 1] = '\0';
    OPENSSL_cleanse(text, sizeof(text));
}

static int digit_of(uint8_t c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool from_hex(uint8_t *out, const uint8_t *text)
{
    for (size_t i = 0; i < HEX_DIGITS; i += 2) {
        const int high = digit_of(text[i]), low = digit_of(text[i + 1]);

        if (high < 0 || low < 0)
            return false;
        out[i / 2] = (uint8_t)(high << 4 | low);
    }
    return true;
}

/* The key that the bytes of a file are. */
static bool take_key(struct at_key *key, const uint8_t *p, size_t n)
{
    if (n == AT_KEY_BYTES) {
        memcpy(key->bytes, p, n);
        return true;
    }
    if (n == HEX_DIGITS + 2 && p[n - 2] == '\r')
        n--;
    if (n == HEX_DIGITS + 1 && (p[n - 1] == '\n' || p[n - 1] == '\r'))
        n--;
    return n == HEX_DIGITS && from_hex(key->bytes, p);
}

enum at_status at_key_read(struct at_key *key, const char *path,
                           struct at_error *err)
{
    uint8_t p[SECRET_MOST + 1];
    size_t n;
    enum at_status st = read_secret(p, &n, path, err);

    if (st == AT_OK && !take_key(key, p, n))
        st = at_error_set(err, AT_ERR_FORMAT,
                          "%s: a key is 32 bytes or 64 hex digits", path);
    if (st == AT_OK)
        set_id(key);
    OPENSSL_cleanse(p, sizeof(p));
    return st;
}

enum at_status at_key_derive(struct at_key *key, const char *path,
                             const char *salt, struct at_error *err)
{
    enum { N = 1 << 17, R = 8, P = 1, MEMORY = 256 << 20 };
    uint8_t p[SECRET_MOST + 1];
    size_t n;
    enum at_status st = read_secret(p, &n, path, err);

    if (salt == NULL)
        salt = "archive_trace";
    while (n > 0 && (p[n - 1] == '\n' || p[n - 1] == '\r'))
        n--;
    if (st == AT_OK && (n == 0 || n > SECRET_MOST))
        st = at_error_set(err, AT_ERR_FORMAT,
                          "%s: a passphrase has 1 to %d bytes", path,
                          (int)SECRET_MOST);
    if (st == AT_OK &&
        EVP_PBE_scrypt((const char *)p, n, (const unsigned char *)salt,
                       strlen(salt), N, R, P, MEMORY, key->bytes,
                       AT_KEY_BYTES) != 1)
        st = at_error_set(err, AT_ERR_MEMORY, "%s: scrypt failed", path);
    if (st == AT_OK)
        set_id(key);
    OPENSSL_cleanse(p, sizeof(p));
    return st;
}

static enum at_status write_key(const struct at_key *key, const char *path,
                                struct at_error *err)
{
    char text[HEX_DIGITS + 1];
    const int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    bool good;

    if (fd < 0)
        return at_error_set(err, AT_ERR_SYSTEM, "%s: cannot create: %s", path,
                            strerror(errno));
    for (size_t i = 0; i < HEX_DIGITS; i++)
        text[i] = digits[key->bytes[i / 2] >> (i % 2 == 0 ? 4 : 0) & 15];
    text[HEX_DIGITS] = '\n';
    good = write(fd, text, sizeof(text)) == (ssize_t)sizeof(text);
    good = close(fd) == 0 && good;
    OPENSSL_cleanse(text, sizeof(text));
    if (good)
        return AT_OK;
    at_error_set(err, AT_ERR_SYSTEM, "%s: cannot write: %s", path,
                 strerror(errno));
    unlink(path);
    return AT_ERR_SYSTEM;
}

enum at_status at_key_new(struct at_key *key, const char *path,
                          struct at_error *err)
{
    if (RAND_bytes(key->bytes, AT_KEY_BYTES) != 1)
        return at_error_set(err, AT_ERR_SYSTEM, "no random bytes to be had");
    set_id(key);
    return write_key(key, path, err);
}

enum at_status at_key_for(uint8_t *out, size_t n, const struct at_key *key,
                          const char *purpose, struct at_error *err)
{
    EVP_KDF *kdf = EVP_KDF_fetch(NULL, "HKDF", NULL);
    EVP_KDF_CTX *ctx = kdf != NULL ? EVP_KDF_CTX_new(kdf) : NULL;
    char hash[] = "SHA256";
    const OSSL_PARAM params[] = {
        OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, hash, 0),
        OSSL_PARAM_construct_octet_string(
            OSSL_KDF_PARAM_KEY, (void *)(uintptr_t)key->bytes, AT_KEY_BYTES),
        OSSL_PARAM_construct_octet_string(
            OSSL_KDF_PARAM_INFO, (void *)(uintptr_t)purpose, strlen(purpose)),
        OSSL_PARAM_construct_end(),
    };
    const bool good = ctx != NULL && EVP_KDF_derive(ctx, out, n, params) == 1;

    EVP_KDF_CTX_free(ctx);
    EVP_KDF_free(kdf);
    return good ? AT_OK
                : at_error_set(err, AT_ERR_MEMORY, "cannot derive a key");
}

void at_key_wipe(struct at_key *key)
{
    OPENSSL_cleanse(key, sizeof(*key));
}
