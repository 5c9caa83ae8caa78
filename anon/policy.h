/*
 * policy.h - what is done to which part of a packet
 *
 * A policy is text, one "key = value" a line, '#' begins a comment; the keys
 * are in archive_trace-policy(5).  "preset = NAME" takes over a policy that is
 * built in; what follows it changes that.
 */
#ifndef AT_POLICY_H
#define AT_POLICY_H

#include "scheme.h"

enum { AT_POLICY_NETS = 64, AT_POLICY_MACS = 64, AT_POLICY_PORTS = 32 };

struct at_net_list {
    struct at_net_prefix net[AT_POLICY_NETS];
    size_t n;
};

struct at_mac_list {
    uint8_t mac[AT_POLICY_MACS][6];
    size_t n;
};

/* Blocks of addresses that mean something by themselves. */
enum at_special {
    AT_SPECIAL_PRIVATE = 0, /* RFC 1918, 6598, 4193 */
    AT_SPECIAL_LOOPBACK,
    AT_SPECIAL_LINK_LOCAL,
    AT_SPECIAL_MULTICAST,
    AT_SPECIAL_ANY, /* 0.0.0.0, ::, 255.255.255.255 */
    AT_SPECIALS
};

enum at_special_use {
    AT_SPECIAL_MAP = 0, /* like every other address */
    AT_SPECIAL_KEEP,    /* they stay as they are */
    AT_SPECIAL_CLASS,   /* they stay in their block */
};

enum at_mac_use {
    AT_MAC_KEEP = 0,
    AT_MAC_HASH, /* a keyed permutation of all addresses */
    AT_MAC_OUI,  /* the same behind the OUI, which stays */
    AT_MAC_ROLE, /* 02:00:00:00:00:01 for those inside, 02 for the rest */
    AT_MAC_ZERO,
};

enum at_payload_use {
    AT_PAYLOAD_DROP = 0, /* all of it but 'keep' bytes is cut off */
    AT_PAYLOAD_ZERO,     /* it is 0 from there on */
    AT_PAYLOAD_HASH,     /* a keyed hash of it, then 0 */
    AT_PAYLOAD_KEEP,
};

enum at_field_use { AT_FIELD_KEEP = 0, AT_FIELD_ZERO, AT_FIELD_HASH };
enum at_app_use { AT_APP_PAYLOAD = 0, AT_APP_REWRITE };

struct at_port_rule {
    uint16_t first, last;
    uint32_t keep; /* bytes; UINT32_MAX: all */
};

/* Words are ints, in the order of the words in policy.c. */
struct at_policy {
    int scheme;       /* enum at_scheme_kind */
    int scheme_of[4]; /* source, destination, inside, outside; AT_SCHEMES:
                         not said */
    struct at_net_list inside;
    struct at_net_list keep;
    struct at_net_prefix prefix[2];
    int truncate[2];          /* bits that stay */
    int special[AT_SPECIALS]; /* enum at_special_use */
    int mac;                  /* enum at_mac_use */
    struct at_mac_list mac_inside;
    int payload;           /* enum at_payload_use */
    uint32_t payload_keep; /* bytes before that */
    struct at_port_rule port[AT_POLICY_PORTS];
    size_t ports;
    int dhcp, dns;      /* enum at_app_use */
    int checksum_zero;  /* 0: repaired */
    int ip_id;          /* enum at_field_use */
    int tcp_timestamps; /* KEEP or ZERO */
    int vlan;           /* KEEP or ZERO */
    int64_t time_shift_ns;
    int64_t time_precision_ns; /* 0: as it is */
    int metadata_keep;         /* comments, names, other blocks and records */
    int erf_extensions_keep;
    int unknown_drop; /* 0: cut to what was understood */
};

/* The names of the presets; NULL behind the last. */
const char *at_policy_preset(size_t i);

/* Sets *policy to the preset; false if there is none of that name. */
bool at_policy_set(struct at_policy *policy, const char *preset);

/*
 * at_policy_parse() reads the text of a policy named 'name' over what *policy
 * is; unknown keys and values are AT_ERR_SYNTAX, with the line.
 * at_policy_load() sets the preset of that name, or reads the file, over the
 * preset "headers".
 */
enum at_status at_policy_parse(struct at_policy *policy, const char *name,
                               const char *text, struct at_error *err);
enum at_status at_policy_load(struct at_policy *policy, const char *name,
                              struct at_error *err);

/* Appends the whole policy, as text that at_policy_parse() reads. */
void at_policy_print(struct at_text *out, const struct at_policy *policy);

/* Whether the mapping of some address needs a key. */
bool at_policy_needs_key(const struct at_policy *policy);

#endif
