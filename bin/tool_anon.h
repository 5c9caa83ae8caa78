/*
 * tool_anon.h - the options of anonymising, and what is made of them
 */
#ifndef TOOL_ANON_H
#define TOOL_ANON_H

#include "anon.h"
#include "ingest.h"
#include "tool.h"

/* All zero but for what the options set; tool_anon_close() is fine at any
 * time. */
struct tool_anon {
    const char *policy_name; /* as typed, or NULL */
    const char *key_path;
    const char *passphrase_path;
    const char *salt;
    const char *scheme;

    struct at_policy policy;
    struct at_key key;
    bool keyed;
    struct at_anon *anon;
    struct at_text text; /* of the policy, for tool_anon_change() */
    struct at_change change;
};

/* 'policy' is what the option for that is called. */
#define TOOL_ANON_OPTIONS(a, policy)                                           \
    TOOL_TEXT(0, policy, &(a)->policy_name, "POLICY",                          \
              "headers, caida, mawi, waikato, strict, or a file"),             \
        TOOL_TEXT(0, "scheme", &(a)->scheme, "SCHEME",                         \
                  "cryptopan, cryptopan-libtrace, ipcrypt-pfx, prefix, "       \
                  "truncate or none, instead of the policy's"),                \
        TOOL_TEXT(0, "key", &(a)->key_path, "FILE",                            \
                  "the key: 32 bytes or 64 hex digits; fd:N is a "             \
                  "descriptor"),                                               \
        TOOL_TEXT(0, "passphrase", &(a)->passphrase_path, "FILE",              \
                  "make the key of the passphrase in this file"),              \
        TOOL_TEXT(0, "salt", &(a)->salt, "TEXT",                               \
                  "of the passphrase; another one makes another key")

/* Whether any of the options was given. */
static inline bool tool_anon_given(const struct tool_anon *a)
{
    return a->policy_name != NULL || a->key_path != NULL ||
           a->passphrase_path != NULL || a->salt != NULL || a->scheme != NULL;
}

/* What at_ingest_files() is to do once it is open; 'change' lives as long. */
const struct at_change *tool_anon_change(struct tool_anon *a);

/* Both return the exit status, anything wrong having been said.  Opening loads
 * the policy, which is "headers" if none was given, reads the key, and makes
 * ->anon. */
int tool_anon_policy(struct tool_anon *a);
int tool_anon_open(struct tool_anon *a);
/* Opens it if a policy was named; without one the other options mean nothing,
 * which ends the program. */
int tool_anon_asked(struct tool_anon *a);
void tool_anon_close(struct tool_anon *a);

#endif
