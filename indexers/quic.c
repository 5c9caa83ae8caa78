/*
 * quic.c - what a client says first in QUIC
 */
#include "quic.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <string.h>

#include "bytes.h"

enum {
    SECRET = 32,
    KEY = 16,
    IV = 12,
    TAG = 16,
    SAMPLE = 16,
    SALT = 20,
    CONNECTION_MOST = 20,
    DATAGRAM_MOST = 65535,
    TYPE_SHIFT = 4, /* in the first byte */
};

struct version {
    uint32_t low, high;
    uint8_t type;       /* of Initial packets */
    const char *prefix; /* of the labels of keys */
    const char *salt;   /* SALT bytes */
};

#define DRAFT_23                                                               \
    "\xc3\xee\xf7\x12\xc7\x2e\xbb\x5a\x11\xa7"                                 \
    "\xd2\x43\x2b\xb4\x63\x65\xbe\xf9\xf5\x02"
#define DRAFT_21                                                               \
    "\x7f\xbc\xdb\x0e\x7c\x66\xbb\xe9\x19\x3a"                                 \
    "\x96\xcd\x21\x51\x9e\xbd\x7a\x02\x64\x4a"

/* Versions 1 and 2; the drafts from 29 on, from 23 on, and from 21 on, and
 * those of mvfst that differ from them by their number alone. */
static const struct version versions[] = {
    {1, 1, 0, "quic ",
     "\x38\x76\x2c\xf7\xf5\x59\x34\xb3\x4d\x17"
     "\x9a\xe6\xa4\xc8\x0c\xad\xcc\xbb\x7f\x0a"},
    {0x6b3343cf, 0x6b3343cf, 1, "quicv2 ",
     "\x0d\xed\xe3\xde\xf7\x00\xa6\xdb\x81\x93"
     "\x81\xbe\x6e\x26\x9d\xcb\xf9\xbd\x2e\xd9"},
    {0xff00001d, 0xff000020, 0, "quic ",
     "\xaf\xbf\xec\x28\x99\x93\xd2\x4c\x9e\x97"
     "\x86\xf1\x9c\x61\x11\xe0\x43\x90\xa8\x99"},
    {0xff000017, 0xff00001c, 0, "quic ", DRAFT_23},
    {0xfaceb002, 0xfaceb002, 0, "quic ", DRAFT_23},
    {0xff000015, 0xff000016, 0, "quic ", DRAFT_21},
    {0xfaceb001, 0xfaceb001, 0, "quic ", DRAFT_21},
};

static const struct version *version_of(uint32_t number)
{
    for (size_t i = 0; i < sizeof(versions) / sizeof(versions[0]); i++)
        if (number >= versions[i].low && number <= versions[i].high)
            return &versions[i];
    return NULL;
}

bool at_quic_may_be(const uint8_t *p, size_t n)
{
    enum { LONG_AND_FIXED = 0xc0, OF_VERSION_2 = 0x10 };

    /* three bytes tell a version from most else */
    if (n < 4 || (p[0] & 0xe0) != LONG_AND_FIXED)
        return false;
    if ((p[0] & OF_VERSION_2) != 0)
        return p[1] == 0x6b && p[2] == 0x33 && p[3] == 0x43;
    return ((p[1] == 0 || p[1] == 0xff) && p[2] == 0 && p[3] == 0) ||
           memcmp(p + 1, "\xfa\xce\xb0", 3) == 0;
}

/* ---- packets --------------------------------------------------------- */

/* A number of RFC 9000 section 16. */
static uint64_t take_number(struct at_cursor *c)
{
    const uint8_t first = at_take_u8(c);
    uint64_t v = first & 0x3f;

    for (unsigned n = (1u << (first >> 6)) - 1; n > 0; n--)
        v = v << 8 | at_take_u8(c);
    return v;
}

/* An Initial packet: its header up to its number, and what is encrypted. */
struct initial {
    const struct version *version;
    const uint8_t *packet;
    size_t header; /* bytes */
    size_t rest;   /* number, payload and tag */
    const uint8_t *connection;
    size_t connection_bytes;
};

static bool read_header(struct initial *in, const uint8_t *p, size_t n)
{
    struct at_cursor c = {.p = p, .left = n};
    const uint8_t first = at_take_u8(&c);
    const uint8_t *version = at_take(&c, 4);
    uint64_t bytes;

    in->packet = p;
    in->version = version == NULL ? NULL : version_of(at_load_be32(version));
    if (in->version == NULL || (first & 0xc0) != 0xc0 ||
        (first >> TYPE_SHIFT & 3) != in->version->type)
        return false;
    in->connection_bytes = at_take_u8(&c);
    in->connection = at_take(&c, in->connection_bytes);
    (void)at_take(&c, at_take_u8(&c)); /* the source's */
    bytes = take_number(&c);           /* of the token */
    if (c.bad || bytes > c.left || in->connection_bytes > CONNECTION_MOST)
        return false;
    (void)at_take(&c, (size_t)bytes);
    bytes = take_number(&c);
    in->header = (size_t)(c.p - p);
    in->rest = (size_t)bytes;
    return !c.bad && bytes <= c.left && bytes >= 4 + SAMPLE;
}

/* ---- keys ------------------------------------------------------------ */

static bool hmac(uint8_t out[SECRET], const void *key, int key_bytes,
                 const uint8_t *data, size_t n)
{
    return HMAC(EVP_sha256(), key, key_bytes, data, n, out, NULL) != NULL;
}

/* HKDF-Expand-Label of RFC 8446 section 7.1, for at most SECRET bytes. */
static bool expand(uint8_t *out, size_t n, const uint8_t secret[SECRET],
                   const char *prefix, const char *label)
{
    uint8_t info[64], block[SECRET];
    size_t at = 0;
    const size_t label_bytes = strlen("tls13 ") + strlen(prefix) +
                               strlen(label);

    info[at++] = 0;
    info[at++] = (uint8_t)n;
    info[at++] = (uint8_t)label_bytes;
    memcpy(info + at, "tls13 ", 6);
    memcpy(info + at + 6, prefix, strlen(prefix));
    memcpy(info + at + 6 + strlen(prefix), label, strlen(label));
    at += label_bytes;
    info[at++] = 0; /* no context */
    info[at++] = 1; /* the first block */
    if (!hmac(block, secret, SECRET, info, at))
        return false;
    memcpy(out, block, n);
    return true;
}

struct keys {
    uint8_t key[KEY], iv[IV], header[KEY];
};

static bool make_keys(struct keys *k, const struct initial *in)
{
    const char *prefix = in->version->prefix;
    uint8_t initial[SECRET], client[SECRET];

    return hmac(initial, in->version->salt, SALT, in->connection,
                in->connection_bytes) &&
           expand(client, SECRET, initial, "", "client in") &&
           expand(k->key, KEY, client, prefix, "key") &&
           expand(k->iv, IV, client, prefix, "iv") &&
           expand(k->header, KEY, client, prefix, "hp");
}

/* ---- decryption ------------------------------------------------------ */

static bool encrypt_block(uint8_t out[SAMPLE], const uint8_t key[KEY],
                          const uint8_t in[SAMPLE])
{
    EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
    int n;
    const bool ok = ctx != NULL &&
                    EVP_EncryptInit_ex(ctx, EVP_aes_128_ecb(), NULL, key,
                                       NULL) == 1 &&
                    EVP_EncryptUpdate(ctx, out, &n, in, SAMPLE) == 1;

    EVP_CIPHER_CTX_free(ctx);
    return ok;
}

/* AES-128-GCM, whose tag is the end of the 'n' bytes. */
static bool decrypt(uint8_t *out, const struct keys *k, const uint8_t nonce[IV],
                    const uint8_t *header, size_t header_bytes,
                    const uint8_t *p, size_t n)
{
    EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
    uint8_t tag[TAG];
    int got;
    bool ok;

    memcpy(tag, p + n - TAG, TAG);
    ok = ctx != NULL &&
         EVP_DecryptInit_ex(ctx, EVP_aes_128_gcm(), NULL, k->key, nonce) == 1 &&
         EVP_DecryptUpdate(ctx, NULL, &got, header, (int)header_bytes) == 1 &&
         EVP_DecryptUpdate(ctx, out, &got, p, (int)(n - TAG)) == 1 &&
         EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_GCM_SET_TAG, TAG, tag) == 1 &&
         EVP_DecryptFinal_ex(ctx, out + got, &got) == 1;
    EVP_CIPHER_CTX_free(ctx);
    return ok;
}

/* Bytes of the payload, now in 'plain'; 0 if it cannot be decrypted. */
static size_t open_payload(uint8_t *plain, const struct initial *in,
                           const struct keys *k)
{
    uint8_t mask[SAMPLE], header[2048], nonce[IV];
    size_t number;

    if (in->header + 4 > sizeof(header) ||
        !encrypt_block(mask, k->header, in->packet + in->header + 4))
        return 0;
    memcpy(header, in->packet, in->header + 4);
    header[0] ^= mask[0] & 0x0f;
    number = (header[0] & 3u) + 1;
    memcpy(nonce, k->iv, IV);
    for (size_t i = 0; i < number; i++) {
        header[in->header + i] ^= mask[1 + i];
        nonce[IV - number + i] ^= header[in->header + i];
    }
    if (!decrypt(plain, k, nonce, header, in->header + number,
                 in->packet + in->header + number, in->rest - number))
        return 0;
    return in->rest - number - TAG;
}

/* ---- frames ---------------------------------------------------------- */

static void pass_ack(struct at_cursor *c, bool counts)
{
    uint64_t ranges;

    (void)take_number(c); /* largest */
    (void)take_number(c); /* delay */
    ranges = take_number(c);
    (void)take_number(c);
    for (; ranges > 0 && !c->bad; ranges--) {
        (void)take_number(c);
        (void)take_number(c);
    }
    for (int i = 0; counts && i < 3; i++)
        (void)take_number(c);
}

static void take_crypto(uint8_t *out, bool *there, struct at_cursor *c)
{
    const uint64_t offset = take_number(c), n = take_number(c);
    const uint8_t *p;

    if (c->bad || n > c->left) {
        c->bad = true;
        return;
    }
    p = at_take(c, (size_t)n);
    for (uint64_t i = 0; i < n && offset + i < AT_QUIC_CRYPTO; i++) {
        out[offset + i] = p[i];
        there[offset + i] = true;
    }
}

static size_t take_frames(uint8_t *out, struct at_cursor c)
{
    enum { PADDING = 0, PING = 1, ACK = 2, ACK_ECN = 3, CRYPTO = 6 };
    bool there[AT_QUIC_CRYPTO] = {false};
    size_t n = 0;

    while (c.left > 0 && !c.bad) {
        const uint8_t type = at_take_u8(&c);

        if (type == CRYPTO)
            take_crypto(out, there, &c);
        else if (type == ACK || type == ACK_ECN)
            pass_ack(&c, type == ACK_ECN);
        else if (type != PADDING && type != PING)
            break;
    }
    while (n < AT_QUIC_CRYPTO && there[n])
        n++;
    return n;
}

size_t at_quic_crypto(uint8_t out[AT_QUIC_CRYPTO], const uint8_t *p, size_t n)
{
    uint8_t plain[DATAGRAM_MOST];
    struct initial in;
    struct keys keys;
    size_t bytes;

    if (n > DATAGRAM_MOST || !read_header(&in, p, n) || !make_keys(&keys, &in))
        return 0;
    bytes = open_payload(plain, &in, &keys);
    return take_frames(out, (struct at_cursor){.p = plain, .left = bytes});
}
