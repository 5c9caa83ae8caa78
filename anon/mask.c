/*
 * mask.c - what stands for the addresses of a packet, as a policy wants it
 *
 * Special addresses.  A scheme E is a permutation of all addresses, which
 * scatters private networks and multicast groups.  Where a policy keeps a
 * block together, an address of the block becomes E's with the first bits put
 * back; and an address that is in no such block, but would come to be in one,
 * is mapped again until it is not.  Each block and what is left between them
 * are thus permuted in themselves: it is still one-to-one, prefixes inside
 * are kept, and most addresses become what E says.
 *
 * Addresses of links go through a Feistel network of AES, so they are
 * permuted too, and nothing but the two bits that say "group" and "local" is
 * left of them; with their OUI kept, the lower half is permuted for each OUI.
 *
 * Tables have one place for each hash and forget what was there.  In an empty
 * one all is 0, which no tag is.
 */
#include "mask.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>

#include "bytes.h"

enum {
    FOUR_BITS = 15,
    SIX_BITS = 13,
    MAC_BITS = 12,
    ROUNDS = 8,
    BLOCK = 16,
    BLOCKS_MOST = 32,
};

/* A network that a policy treats apart. */
struct block {
    struct at_net_prefix net;
    enum at_special_use use;
};

/* What addresses were and became.  'tag' is the role and 1. */
struct four {
    uint64_t was; /* the tag and the address */
    uint8_t now[4];
};

struct six {
    uint8_t was[16], now[16];
    uint32_t tag;
};

struct mac {
    uint64_t was; /* a tag of 1 and the address */
    uint8_t now[6];
};

struct at_mask {
    const struct at_policy *policy;
    struct at_scheme *scheme[AT_SCHEMES]; /* those that are needed */
    struct block block[AT_POLICY_NETS + BLOCKS_MOST];
    size_t blocks;
    bool by_role; /* it matters whose address it is */
    EVP_CIPHER_CTX *mac_cipher, *number_cipher;
    EVP_MAC *hmac;
    EVP_MAC_CTX *hash;
    at_mask_seen *seen;
    void *seen_ctx;
    struct four four[1 << FOUR_BITS];
    struct six six[1 << SIX_BITS];
    struct mac mac[1 << MAC_BITS];
};

/* ---- special addresses ----------------------------------------------- */

/* Narrower networks come before those they are in.  The low bits of a
 * solicited-node group are those of a host's address, so they never stay. */
static const struct {
    const char *text;
    enum at_special special;
    bool never_keep;
} specials[] = {
    {"0.0.0.0/32", AT_SPECIAL_ANY, false},
    {"255.255.255.255/32", AT_SPECIAL_ANY, false},
    {"10.0.0.0/8", AT_SPECIAL_PRIVATE, false},
    {"172.16.0.0/12", AT_SPECIAL_PRIVATE, false},
    {"192.168.0.0/16", AT_SPECIAL_PRIVATE, false},
    {"100.64.0.0/10", AT_SPECIAL_PRIVATE, false},
    {"127.0.0.0/8", AT_SPECIAL_LOOPBACK, false},
    {"169.254.0.0/16", AT_SPECIAL_LINK_LOCAL, false},
    {"224.0.0.0/4", AT_SPECIAL_MULTICAST, false},
    {"::/128", AT_SPECIAL_ANY, false},
    {"::1/128", AT_SPECIAL_LOOPBACK, false},
    {"fc00::/7", AT_SPECIAL_PRIVATE, false},
    {"fe80::/64", AT_SPECIAL_LINK_LOCAL, false},
    {"fe80::/10", AT_SPECIAL_LINK_LOCAL, false},
    {"ff02::1:ff00:0/104", AT_SPECIAL_MULTICAST, true},
    {"ff00::/8", AT_SPECIAL_MULTICAST, false},
};

static void make_blocks(struct at_mask *m)
{
    const struct at_policy *p = m->policy;

    for (size_t i = 0; i < p->keep.n; i++)
        m->block[m->blocks++] = (struct block){p->keep.net[i], AT_SPECIAL_KEEP};
    for (size_t i = 0; i < sizeof(specials) / sizeof(specials[0]); i++) {
        struct block *b = &m->block[m->blocks];

        b->use = (enum at_special_use)p->special[specials[i].special];
        if (b->use == AT_SPECIAL_MAP)
            continue;
        if (specials[i].never_keep)
            b->use = AT_SPECIAL_CLASS;
        at_net_prefix_parse(&b->net, specials[i].text,
                            strlen(specials[i].text));
        m->blocks++;
    }
}

/* NULL where there is none. */
static const struct block *block_of(const struct at_mask *m,
                                    const uint8_t *address, size_t bytes)
{
    for (size_t i = 0; i < m->blocks; i++)
        if (at_net_prefix_has(&m->block[i].net, address, bytes))
            return &m->block[i];
    return NULL;
}

/* ---- addresses of IP ------------------------------------------------- */

static enum at_scheme_kind kind_for(const struct at_mask *m, const uint8_t *p,
                                    size_t bytes, enum at_role role)
{
    const struct at_policy *policy = m->policy;
    int kind = policy->scheme;
    bool inside = false;

    if (role != AT_ROLE_NONE && policy->scheme_of[role] != AT_SCHEMES)
        kind = policy->scheme_of[role];
    for (size_t i = 0; i < policy->inside.n && !inside; i++)
        inside = at_net_prefix_has(&policy->inside.net[i], p, bytes);
    if (policy->scheme_of[inside ? 2 : 3] != AT_SCHEMES)
        kind = policy->scheme_of[inside ? 2 : 3];
    return (enum at_scheme_kind)kind;
}

static void map_address(const struct at_mask *m, uint8_t *p, size_t bytes,
                        enum at_role role)
{
    const struct block *block = block_of(m, p, bytes);
    const enum at_scheme_kind kind = kind_for(m, p, bytes, role);
    const bool again = at_scheme_is_one_to_one(kind);

    if (kind == AT_SCHEME_NONE ||
        (block != NULL && block->use == AT_SPECIAL_KEEP))
        return;
    do {
        at_scheme_map(m->scheme[kind], p, p, bytes);
        if (block != NULL)
            at_net_prefix_put(&block->net, p);
    } while (again && block_of(m, p, bytes) != block);
}

/* Of 2^bits places.  All bits of a number are in the first of its product. */
static size_t place_of(uint64_t number, unsigned bits)
{
    return (size_t)(number * UINT64_C(0x9e3779b97f4a7c15) >> (64 - bits));
}

/* What an address becomes that is in no table. */
static void map_new(const struct at_mask *m, uint8_t *now, const uint8_t *was,
                    size_t bytes, enum at_role role)
{
    memcpy(now, was, bytes);
    map_address(m, now, bytes, role);
    if (m->seen != NULL)
        m->seen(m->seen_ctx, was, now, bytes);
}

static uint64_t number_of_four(const uint8_t *p, enum at_role role)
{
    return ((uint64_t)role + 1) << 32 | at_load_be32(p);
}

static void mask_four(struct at_mask *m, uint8_t *p, enum at_role role)
{
    const uint64_t was = number_of_four(p, role);
    struct four *slot = &m->four[place_of(was, FOUR_BITS)];

    if (slot->was != was) {
        slot->was = was;
        map_new(m, slot->now, p, 4, role);
    }
    memcpy(p, slot->now, 4);
}

static size_t place_of_six(const uint8_t *p, enum at_role role)
{
    const uint64_t first = at_load_le64(p) * UINT64_C(0xbf58476d1ce4e5b9);

    return place_of((first ^ at_load_le64(p + 8)) + role, SIX_BITS);
}

static void mask_six(struct at_mask *m, uint8_t *p, enum at_role role)
{
    const uint32_t tag = (uint32_t)role + 1;
    struct six *slot = &m->six[place_of_six(p, role)];

    if (slot->tag != tag || memcmp(slot->was, p, 16) != 0) {
        slot->tag = tag;
        memcpy(slot->was, p, 16);
        map_new(m, slot->now, p, 16, role);
    }
    memcpy(p, slot->now, 16);
}

static enum at_role role_for(const struct at_mask *m, enum at_role role)
{
    return m->by_role ? role : AT_ROLE_NONE;
}

void at_mask_expect(const struct at_mask *m, const uint8_t *p, size_t bytes,
                    enum at_role role)
{
    role = role_for(m, role);
    if (bytes == 4)
        __builtin_prefetch(
            &m->four[place_of(number_of_four(p, role), FOUR_BITS)]);
    else
        __builtin_prefetch(&m->six[place_of_six(p, role)]);
}

void at_mask_address(struct at_mask *m, uint8_t *p, size_t bytes,
                     enum at_role role)
{
    role = role_for(m, role);
    if (bytes == 4)
        mask_four(m, p, role);
    else
        mask_six(m, p, role);
}

/* ---- addresses of links ---------------------------------------------- */

static void encrypt_block(EVP_CIPHER_CTX *ctx, uint8_t out[BLOCK],
                          const uint8_t in[BLOCK])
{
    int n = 0;

    EVP_EncryptUpdate(ctx, out, &n, in, BLOCK);
}

/* A permutation of 2 * 'half_bits' bits, another one for each 'tweak'. */
static uint64_t permute(EVP_CIPHER_CTX *ctx, uint64_t v, unsigned half_bits,
                        uint32_t tweak)
{
    const uint32_t mask = (UINT32_C(1) << half_bits) - 1;
    uint32_t left = (uint32_t)(v >> half_bits) & mask;
    uint32_t right = (uint32_t)v & mask;

    for (unsigned i = 0; i < ROUNDS; i++) {
        uint8_t in[BLOCK] = {(uint8_t)i, (uint8_t)half_bits}, out[BLOCK];
        const uint32_t last = right;

        at_store_le32(in + 4, tweak);
        at_store_le32(in + 8, right);
        encrypt_block(ctx, out, in);
        right = left ^ (at_load_le32(out) & mask);
        left = last;
    }
    return (uint64_t)left << half_bits | right;
}

static uint64_t load_48(const uint8_t *p)
{
    return (uint64_t)at_load_be16(p) << 32 | at_load_be32(p + 2);
}

static void store_48(uint8_t *p, uint64_t v)
{
    for (size_t i = 0; i < 6; i++)
        p[i] = (uint8_t)(v >> (40 - 8 * i));
}

/* All but the bits for groups and local addresses, which must stay: so go on
 * until they are what they were. */
static uint64_t permute_48(EVP_CIPHER_CTX *ctx, uint64_t v)
{
    const uint64_t bits = UINT64_C(3) << 40;
    uint64_t w = v;

    if (v == 0) /* an address that is not known */
        return 0;
    do
        w = permute(ctx, w, 24, 0);
    while (((w ^ v) & bits) != 0 || w == 0);
    return w;
}

static uint64_t permute_low(EVP_CIPHER_CTX *ctx, uint64_t v)
{
    const uint32_t oui = (uint32_t)(v >> 24);

    return (uint64_t)oui << 24 | permute(ctx, v & 0xffffff, 12, oui);
}

static bool is_inside(const struct at_mac_list *list, const uint8_t *p)
{
    for (size_t i = 0; i < list->n; i++)
        if (memcmp(list->mac[i], p, 6) == 0)
            return true;
    return false;
}

/*
 * Groups tell protocols apart, so they stay; but those of IP hold bits of an
 * IP address, which do not.
 */
static void map_group(const struct at_mask *m, uint8_t *p)
{
    const bool six = p[0] == 0x33 && p[1] == 0x33;
    const bool four = memcmp(p, "\x01\0\x5e", 3) == 0;

    if (!six && !four)
        return;
    if (m->mac_cipher != NULL)
        store_48(p, permute_low(m->mac_cipher, load_48(p)));
    else
        memset(p + 3, 0, 3);
}

/* Not those of solicited nodes, which end like the addresses of hosts. */
static bool stays(const struct at_mask *m, const uint8_t *p)
{
    return m->policy->mac == AT_MAC_KEEP && memcmp(p, "\x33\x33\xff", 3) != 0;
}

static void map_mac(const struct at_mask *m, uint8_t *p)
{
    if (stays(m, p))
        return;
    if (p[0] & 1) {
        map_group(m, p);
        return;
    }
    switch (m->policy->mac) {
    case AT_MAC_HASH:
        store_48(p, permute_48(m->mac_cipher, load_48(p)));
        break;
    case AT_MAC_OUI:
        store_48(p, permute_low(m->mac_cipher, load_48(p)));
        break;
    case AT_MAC_ROLE:
        store_48(p, (UINT64_C(2) << 40) |
                        (is_inside(&m->policy->mac_inside, p) ? 1u : 2u));
        break;
    default:
        memset(p, 0, 6);
    }
}

void at_mask_mac(struct at_mask *m, uint8_t *p)
{
    const uint64_t was = UINT64_C(1) << 48 | load_48(p);
    struct mac *slot = &m->mac[place_of(was, MAC_BITS)];

    if (stays(m, p) && m->seen == NULL)
        return;
    if (slot->was != was) {
        slot->was = was;
        memcpy(slot->now, p, 6);
        map_mac(m, slot->now);
        if (m->seen != NULL)
            m->seen(m->seen_ctx, p, slot->now, 6);
    }
    memcpy(p, slot->now, 6);
}

/* ---- payload and numbers --------------------------------------------- */

enum { DIGEST = 32 };

/* All 0 where it fails, which tells nothing either. */
static void digest_of(struct at_mask *m, uint8_t digest[DIGEST],
                      const uint8_t *p, size_t n)
{
    size_t got = 0;

    memset(digest, 0, DIGEST);
    if (EVP_MAC_init(m->hash, NULL, 0, NULL) == 1 &&
        EVP_MAC_update(m->hash, p, n) == 1)
        EVP_MAC_final(m->hash, digest, &got, DIGEST);
}

void at_mask_hash(struct at_mask *m, uint8_t *p, size_t n)
{
    uint8_t digest[DIGEST];

    digest_of(m, digest, p, n);
    memset(p, 0, n);
    memcpy(p, digest, n < DIGEST ? n : DIGEST);
}

void at_mask_label(struct at_mask *m, uint8_t *p, size_t n)
{
    enum { CASE = 0x20, LETTERS = 26 };
    uint8_t digest[DIGEST];

    for (size_t i = 0; i < n; i++)
        if (p[i] >= 'A' && p[i] <= 'Z')
            p[i] |= CASE;
    digest_of(m, digest, p, n);
    for (size_t i = 0; i < n; i++)
        p[i] = (uint8_t)('a' + digest[i % DIGEST] % LETTERS);
}

uint16_t at_mask_number(struct at_mask *m, uint16_t v)
{
    return (uint16_t)permute(m->number_cipher, v, 8, 0);
}

/* ---- opening and closing --------------------------------------------- */

static enum at_status open_scheme(struct at_mask *m, int kind,
                                  const struct at_key *key,
                                  struct at_error *err)
{
    const struct at_policy *p = m->policy;
    const struct at_scheme_options opts = {
        .kind = (enum at_scheme_kind)kind,
        .prefix = {p->prefix[0], p->prefix[1]},
        .keep_bits = {(uint8_t)p->truncate[0], (uint8_t)p->truncate[1]},
    };

    if (kind == AT_SCHEMES || kind == AT_SCHEME_NONE || m->scheme[kind] != NULL)
        return AT_OK;
    return at_scheme_open(&m->scheme[kind], &opts, key->bytes, err);
}

static enum at_status open_schemes(struct at_mask *m, const struct at_key *key,
                                   struct at_error *err)
{
    enum at_status st = open_scheme(m, m->policy->scheme, key, err);

    for (size_t i = 0; i < 4 && st == AT_OK; i++)
        st = open_scheme(m, m->policy->scheme_of[i], key, err);
    m->by_role = m->policy->scheme_of[0] != AT_SCHEMES ||
                 m->policy->scheme_of[1] != AT_SCHEMES;
    return st;
}

static enum at_status open_cipher(EVP_CIPHER_CTX **ctx,
                                  const struct at_key *key, const char *purpose,
                                  struct at_error *err)
{
    uint8_t own[BLOCK];

    *ctx = EVP_CIPHER_CTX_new();
    if (*ctx == NULL || at_key_for(own, BLOCK, key, purpose, err) != AT_OK ||
        EVP_EncryptInit_ex(*ctx, EVP_aes_128_ecb(), NULL, own, NULL) != 1)
        return at_error_set(err, AT_ERR_MEMORY, "cannot set up AES");
    EVP_CIPHER_CTX_set_padding(*ctx, 0);
    OPENSSL_cleanse(own, sizeof(own));
    return AT_OK;
}

static enum at_status open_hash(struct at_mask *m, const struct at_key *key,
                                struct at_error *err)
{
    char name[] = "SHA256";
    const OSSL_PARAM params[] = {
        OSSL_PARAM_construct_utf8_string("digest", name, 0),
        OSSL_PARAM_construct_end(),
    };
    uint8_t own[32];

    if (at_key_for(own, sizeof(own), key, "archive_trace payload", err) !=
        AT_OK)
        return err->status;
    m->hmac = EVP_MAC_fetch(NULL, "HMAC", NULL);
    m->hash = m->hmac != NULL ? EVP_MAC_CTX_new(m->hmac) : NULL;
    if (m->hash == NULL || EVP_MAC_init(m->hash, own, sizeof(own), params) != 1)
        return at_error_set(err, AT_ERR_MEMORY, "cannot set up HMAC");
    OPENSSL_cleanse(own, sizeof(own));
    return AT_OK;
}

/* Without a key there is nothing to derive another from. */
static enum at_status open_keyed(struct at_mask *m, const struct at_key *key,
                                 struct at_error *err)
{
    enum at_status st = open_cipher(&m->mac_cipher, key, "archive_trace mac",
                                    err);

    if (st == AT_OK)
        st = open_cipher(&m->number_cipher, key, "archive_trace number", err);
    return st == AT_OK ? open_hash(m, key, err) : st;
}

enum at_status at_mask_open(struct at_mask **out,
                            const struct at_policy *policy,
                            const struct at_key *key, struct at_error *err)
{
    static const struct at_key none;
    struct at_mask *m = calloc(1, sizeof(*m));
    enum at_status st;

    *out = NULL;
    if (m == NULL)
        return at_error_set(err, AT_ERR_MEMORY, "out of memory");
    m->policy = policy;
    make_blocks(m);
    st = open_schemes(m, key != NULL ? key : &none, err);
    if (st == AT_OK && key != NULL)
        st = open_keyed(m, key, err);
    if (st != AT_OK) {
        at_mask_close(m);
        return st;
    }
    *out = m;
    return AT_OK;
}

void at_mask_watch(struct at_mask *m, at_mask_seen *seen, void *ctx)
{
    m->seen = seen;
    m->seen_ctx = ctx;
}

void at_mask_close(struct at_mask *m)
{
    if (m == NULL)
        return;
    for (size_t i = 0; i < AT_SCHEMES; i++)
        at_scheme_close(m->scheme[i]);
    EVP_CIPHER_CTX_free(m->mac_cipher);
    EVP_CIPHER_CTX_free(m->number_cipher);
    EVP_MAC_CTX_free(m->hash);
    EVP_MAC_free(m->hmac);
    OPENSSL_cleanse(m, sizeof(*m));
    free(m);
}
