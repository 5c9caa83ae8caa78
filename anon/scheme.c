/*
 * scheme.c - one address for another
 *
 * Prefix-preserving encryption flips bit i of an address or not, depending on
 * the i bits before it only.  All inputs of an address are known at once: so
 * they are laid out in one buffer, 32 or 128 blocks, and one call of libcrypto
 * encrypts them, which keeps the pipeline of the AES instructions full.
 *
 * Input i of Crypto-PAn is the first i bits of the address and the rest of
 * the pad; the flip is the first bit of what it is encrypted to.  Input i of
 * ipcrypt-pfx is the number that has a 1 before those i bits; the flip is the
 * last bit of what two ciphers make of it.  IPv4 addresses are the last 32
 * bits of ::ffff:0:0/96 there.
 */
#include "scheme.h"

#include <arpa/inet.h>
#include <endian.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>

#include "bytes.h"

enum { BLOCK = 16, MOST_BLOCKS = 128 };

const char at_scheme_names
    [] = "none|cryptopan|cryptopan-libtrace|ipcrypt-pfx|prefix|truncate";

struct at_scheme {
    struct at_scheme_options opts;
    EVP_CIPHER_CTX *first, *second; /* NULL where they are not needed */
    uint8_t pad[BLOCK];
    uint8_t in[MOST_BLOCKS * BLOCK];
    uint8_t out[MOST_BLOCKS * BLOCK];
    uint8_t other[MOST_BLOCKS * BLOCK];
};

/* ---- networks -------------------------------------------------------- */

static uint8_t mask_of(unsigned bits, size_t byte)
{
    if (bits >= 8 * (byte + 1))
        return 0xff;
    if (bits <= 8 * byte)
        return 0;
    return (uint8_t)(0xff00 >> (bits - 8 * byte));
}

static bool parse_bits(uint8_t *bits, const char *text, unsigned most)
{
    char *end;
    unsigned long n;

    if (*text < '0' || *text > '9')
        return false;
    n = strtoul(text, &end, 10);
    *bits = (uint8_t)n;
    return *end == '\0' && n <= most;
}

bool at_net_prefix_parse(struct at_net_prefix *net, const char *text, size_t n)
{
    char copy[64];
    char *slash;

    if (n >= sizeof(copy))
        return false;
    memset(net, 0, sizeof(*net));
    memcpy(copy, text, n);
    copy[n] = '\0';
    slash = strchr(copy, '/');
    if (slash != NULL)
        *slash = '\0';
    if (inet_pton(AF_INET, copy, net->address) == 1)
        net->bytes = 4;
    else if (inet_pton(AF_INET6, copy, net->address) == 1)
        net->bytes = 16;
    else
        return false;
    net->bits = (uint8_t)(net->bytes * 8);
    if (slash != NULL && !parse_bits(&net->bits, slash + 1, net->bits))
        return false;
    for (size_t i = 0; i < net->bytes; i++)
        net->address[i] &= mask_of(net->bits, i);
    return true;
}

bool at_net_prefix_has(const struct at_net_prefix *net, const uint8_t *address,
                       size_t bytes)
{
    if (bytes != net->bytes)
        return false;
    for (size_t i = 0; i < bytes && 8 * i < net->bits; i++)
        if (((address[i] ^ net->address[i]) & mask_of(net->bits, i)) != 0)
            return false;
    return true;
}

void at_net_prefix_put(const struct at_net_prefix *net, uint8_t *address)
{
    for (size_t i = 0; i < net->bytes; i++) {
        const uint8_t mask = mask_of(net->bits, i);

        address[i] = (uint8_t)((net->address[i] & mask) | (address[i] & ~mask));
    }
}

void at_net_prefix_cut(uint8_t address[16], unsigned bits)
{
    for (size_t i = 0; i < 16; i++)
        address[i] &= mask_of(bits, i);
}

/* ---- ciphers --------------------------------------------------------- */

static void encrypt(EVP_CIPHER_CTX *ctx, uint8_t *out, const uint8_t *in,
                    size_t blocks)
{
    int n = 0;

    EVP_EncryptUpdate(ctx, out, &n, in, (int)(blocks * BLOCK));
}

static EVP_CIPHER_CTX *open_cipher(const uint8_t key[BLOCK])
{
    EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();

    if (ctx == NULL)
        return NULL;
    if (EVP_EncryptInit_ex(ctx, EVP_aes_128_ecb(), NULL, key, NULL) != 1) {
        EVP_CIPHER_CTX_free(ctx);
        return NULL;
    }
    EVP_CIPHER_CTX_set_padding(ctx, 0);
    return ctx;
}

/* ---- Crypto-PAn ------------------------------------------------------ */

/* In one piece each: who then reads a block as a whole would wait for bytes
 * that were written one by one. */
static void store_be32(uint8_t *p, uint32_t v)
{
    v = htobe32(v);
    memcpy(p, &v, sizeof(v));
}

static void store_be64(uint8_t *p, uint64_t v)
{
    v = htobe64(v);
    memcpy(p, &v, sizeof(v));
}

static void store_le64(uint8_t *p, uint64_t v)
{
    v = htole64(v);
    memcpy(p, &v, sizeof(v));
}

static uint64_t load_be64(const uint8_t *p)
{
    return (uint64_t)at_load_be32(p) << 32 | at_load_be32(p + 4);
}

/* The first 'n' bits of one number, fewer than 64, and the rest of another. */
static uint64_t join(uint64_t first, uint64_t rest, unsigned n)
{
    return rest ^ ((first ^ rest) & ~(UINT64_MAX >> n));
}

/* The first bits of 64 blocks. */
static uint64_t first_bits(const uint8_t *block)
{
    uint64_t bits = 0;

    for (unsigned i = 0; i < 64; i++)
        bits = bits << 1 | block[i * BLOCK] >> 7;
    return bits;
}

/* Every block ends like the pad; only beginnings differ between addresses. */
static void lay_out_pad(struct at_scheme *s)
{
    for (size_t i = 0; i < MOST_BLOCKS; i++)
        memcpy(s->in + i * BLOCK, s->pad, BLOCK);
}

static uint32_t cryptopan32(struct at_scheme *s, uint32_t address)
{
    const uint32_t pad = at_load_be32(s->pad);
    uint32_t flips = 0;

    for (unsigned i = 0; i < 32; i++)
        store_be32(s->in + i * BLOCK,
                   pad ^ ((address ^ pad) & ~(UINT32_MAX >> i)));
    encrypt(s->first, s->out, s->in, 32);
    for (unsigned i = 0; i < 32; i++)
        flips = flips << 1 | s->out[i * BLOCK] >> 7;
    return address ^ flips;
}

/* The first 8 bytes of blocks must be those of the pad again for IPv4. */
static void cryptopan128(struct at_scheme *s, uint8_t *out, const uint8_t *in)
{
    const uint64_t a[2] = {load_be64(in), load_be64(in + 8)};
    const uint64_t pad[2] = {load_be64(s->pad), load_be64(s->pad + 8)};
    uint8_t *first = s->in, *last = s->in + 64 * BLOCK;

    for (unsigned i = 0; i < 64; i++) {
        store_be64(first + i * BLOCK, join(a[0], pad[0], i));
        store_be64(last + i * BLOCK, a[0]);
        store_be64(last + i * BLOCK + 8, join(a[1], pad[1], i));
    }
    encrypt(s->first, s->out, s->in, 128);
    store_be64(out, a[0] ^ first_bits(s->out));
    store_be64(out + 8, a[1] ^ first_bits(s->out + 64 * BLOCK));
    lay_out_pad(s);
}

/* ---- libtrace's variant ---------------------------------------------- */

/* 8 bytes of an IPv6 address, with numbers laid into blocks backwards. */
static void libtrace64(struct at_scheme *s, uint8_t *out, const uint8_t *in)
{
    const uint64_t address = load_be64(in);
    const uint64_t pad = at_load_le64(s->pad);

    for (unsigned i = 0; i < 64; i++)
        store_le64(s->in + i * BLOCK, join(address, pad, i));
    encrypt(s->first, s->out, s->in, 64);
    store_be64(out, address ^ first_bits(s->out));
    lay_out_pad(s);
}

/* ---- ipcrypt-pfx ----------------------------------------------------- */

/* A number of 128 bits. */
struct wide {
    uint64_t high, low;
};

static struct wide shift_in(struct wide w, unsigned bit)
{
    return (struct wide){w.high << 1 | w.low >> 63, w.low << 1 | bit};
}

static void pfx(struct at_scheme *s, uint8_t *out, const uint8_t *in,
                size_t bytes)
{
    struct wide w = {0, 1};
    const size_t bits = bytes * 8;

    if (bytes == 4)
        w = (struct wide){UINT64_C(1) << 32, 0xffff};
    for (size_t i = 0; i < bits; i++) {
        store_be64(s->in + i * BLOCK, w.high);
        store_be64(s->in + i * BLOCK + 8, w.low);
        w = shift_in(w, in[i / 8] >> (7 - i % 8) & 1);
    }
    encrypt(s->first, s->out, s->in, bits);
    encrypt(s->second, s->other, s->in, bits);
    for (size_t i = 0; i < bits; i += 8) {
        unsigned flips = 0;

        for (size_t k = i; k < i + 8; k++)
            flips = flips << 1 | ((s->out[k * BLOCK + BLOCK - 1] ^
                                   s->other[k * BLOCK + BLOCK - 1]) &
                                  1);
        out[i / 8] = (uint8_t)(in[i / 8] ^ flips);
    }
}

/* ---- without a key --------------------------------------------------- */

static void truncate_to(unsigned bits, uint8_t *out, const uint8_t *in,
                        size_t bytes)
{
    for (size_t i = 0; i < bytes; i++)
        out[i] = in[i] & mask_of(bits, i);
}

/* ---- all of them ----------------------------------------------------- */

bool at_scheme_is_one_to_one(enum at_scheme_kind kind)
{
    return kind != AT_SCHEME_PREFIX && kind != AT_SCHEME_TRUNCATE;
}

static void map_cryptopan(struct at_scheme *s, uint8_t *out, const uint8_t *in,
                          size_t bytes)
{
    if (bytes == 4) {
        store_be32(out, cryptopan32(s, at_load_be32(in)));
    } else if (s->opts.kind == AT_SCHEME_CRYPTOPAN) {
        cryptopan128(s, out, in);
    } else {
        libtrace64(s, out, in);
        libtrace64(s, out + 8, in + 8);
    }
}

void at_scheme_map(struct at_scheme *s, uint8_t *out, const uint8_t *in,
                   size_t bytes)
{
    const size_t family = bytes == 16;

    switch (s->opts.kind) {
    case AT_SCHEME_CRYPTOPAN:
    case AT_SCHEME_LIBTRACE:
        map_cryptopan(s, out, in, bytes);
        break;
    case AT_SCHEME_PFX:
        pfx(s, out, in, bytes);
        break;
    case AT_SCHEME_PREFIX:
        memmove(out, in, bytes);
        at_net_prefix_put(&s->opts.prefix[family], out);
        break;
    case AT_SCHEME_TRUNCATE:
        truncate_to(s->opts.keep_bits[family], out, in, bytes);
        break;
    default:
        memmove(out, in, bytes);
    }
}

static enum at_status make_ciphers(struct at_scheme *s, const uint8_t *key,
                                   struct at_error *err)
{
    const enum at_scheme_kind kind = s->opts.kind;

    if (kind != AT_SCHEME_CRYPTOPAN && kind != AT_SCHEME_LIBTRACE &&
        kind != AT_SCHEME_PFX)
        return AT_OK;
    if (kind == AT_SCHEME_PFX && CRYPTO_memcmp(key, key + BLOCK, BLOCK) == 0)
        return at_error_set(err, AT_ERR_SYNTAX,
                            "ipcrypt-pfx needs a key with two different "
                            "halves");
    s->first = open_cipher(key);
    if (kind == AT_SCHEME_PFX)
        s->second = open_cipher(key + BLOCK);
    if (s->first == NULL || (kind == AT_SCHEME_PFX && s->second == NULL))
        return at_error_set(err, AT_ERR_MEMORY, "cannot set up AES");
    memcpy(s->pad, key + BLOCK, BLOCK);
    if (kind == AT_SCHEME_CRYPTOPAN)
        encrypt(s->first, s->pad, s->pad, 1);
    lay_out_pad(s);
    return AT_OK;
}

enum at_status at_scheme_open(struct at_scheme **out,
                              const struct at_scheme_options *opts,
                              const uint8_t key[AT_KEY_BYTES],
                              struct at_error *err)
{
    struct at_scheme *s = calloc(1, sizeof(*s));
    enum at_status st;

    *out = NULL;
    if (s == NULL)
        return at_error_set(err, AT_ERR_MEMORY, "out of memory");
    s->opts = *opts;
    st = make_ciphers(s, key, err);
    if (st != AT_OK) {
        at_scheme_close(s);
        return st;
    }
    *out = s;
    return AT_OK;
}

void at_scheme_close(struct at_scheme *s)
{
    if (s == NULL)
        return;
    EVP_CIPHER_CTX_free(s->first);
    EVP_CIPHER_CTX_free(s->second);
    OPENSSL_cleanse(s, sizeof(*s));
    free(s);
}
