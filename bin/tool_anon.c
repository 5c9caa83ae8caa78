/*
 * tool_anon.c - the options of anonymising, and what is made of them
 */
#include "tool_anon.h"

#include <stdio.h>

int tool_anon_policy(struct tool_anon *a)
{
    char line[64];
    struct at_error err;

    if (at_policy_load(&a->policy,
                       a->policy_name != NULL ? a->policy_name : "headers",
                       &err) != AT_OK)
        return tool_error(&err);
    if (a->scheme == NULL)
        return TOOL_OK;
    snprintf(line, sizeof(line), "scheme = %s", a->scheme);
    if (tool_choice(at_scheme_names, a->scheme) < 0)
        tool_usage_error("no scheme is called '%s'; there are %s", a->scheme,
                         at_scheme_names);
    if (at_policy_parse(&a->policy, "--scheme", line, &err) != AT_OK)
        return tool_error(&err);
    return TOOL_OK;
}

static int load_key(struct tool_anon *a)
{
    struct at_error err;
    enum at_status st = AT_OK;

    if (a->key_path != NULL && a->passphrase_path != NULL)
        tool_usage_error("a key is read, or made of a passphrase, not both");
    if (a->key_path != NULL)
        st = at_key_read(&a->key, a->key_path, &err);
    else if (a->passphrase_path != NULL)
        st = at_key_derive(&a->key, a->passphrase_path, a->salt, &err);
    if (st != AT_OK)
        return tool_error(&err);
    a->keyed = a->key_path != NULL || a->passphrase_path != NULL;
    if (!a->keyed && at_policy_needs_key(&a->policy))
        tool_usage_error("the policy needs a key: --key FILE or --passphrase "
                         "FILE; at-anon --new-key FILE makes one");
    return TOOL_OK;
}

int tool_anon_open(struct tool_anon *a)
{
    struct at_error err;
    int status = tool_anon_policy(a);

    if (status == TOOL_OK)
        status = load_key(a);
    if (status != TOOL_OK)
        return status;
    return at_anon_open(&a->anon, &a->policy, a->keyed ? &a->key : NULL,
                        &err) == AT_OK
               ? TOOL_OK
               : tool_error(&err);
}

int tool_anon_asked(struct tool_anon *a)
{
    if (a->policy_name != NULL)
        return tool_anon_open(a);
    if (tool_anon_given(a))
        tool_usage_error("--scheme, --key, --passphrase and --salt are for "
                         "--anon");
    return TOOL_OK;
}

const struct at_change *tool_anon_change(struct tool_anon *a)
{
    at_policy_print(&a->text, &a->policy);
    at_text_add(&a->text, "", 1);
    a->change = (struct at_change){
        .change = at_anon_packet,
        .ctx = a->anon,
        .key = a->keyed ? a->key.id : "",
        .policy = a->text.failed ? "" : a->text.p,
    };
    return &a->change;
}

void tool_anon_close(struct tool_anon *a)
{
    at_text_close(&a->text);
    at_anon_close(a->anon);
    a->anon = NULL;
    at_key_wipe(&a->key);
}
