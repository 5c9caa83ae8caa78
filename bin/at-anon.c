/*
 * at-anon - traces with other addresses
 *
 * All threads rewrite packets where they look for them (anon/), so this is
 * at-convert with a change in it.  The audit comes after: it reads the output
 * from the start, with the addresses that the first reading has met.
 */
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "audit.h"
#include "tool_anon.h"

struct anon {
    struct tool_copy copy;
    struct tool_anon how;
    const char *new_key;
    bool print_policy;
    bool auditing;
    bool audit_text;
    bool audit_only;

    struct at_audit *audit; /* NULL unless asked for */
    uint64_t unknown;       /* packets cut where they were not understood */
    uint64_t cut;
};

/* ---- policy and key -------------------------------------------------- */

static int make_key(struct anon *a)
{
    struct at_error err;
    int status = TOOL_OK;

    if (at_key_new(&a->how.key, a->new_key, &err) != AT_OK)
        status = tool_error(&err);
    else
        printf("%s\n", a->how.key.id);
    at_key_wipe(&a->how.key);
    return status;
}

static int print_policy(struct anon *a)
{
    struct at_text text = {0};
    int status = tool_anon_policy(&a->how);

    if (status == TOOL_OK) {
        at_policy_print(&text, &a->how.policy);
        fwrite(text.p, 1, text.n, stdout);
    }
    at_text_close(&text);
    return status;
}

/* ---- the audit ------------------------------------------------------- */

static const char *address_text(char buf[64], const struct at_leak *l)
{
    const uint8_t *p = l->address;

    if (l->bytes == 6)
        snprintf(buf, 64, "%02x:%02x:%02x:%02x:%02x:%02x", p[0], p[1], p[2],
                 p[3], p[4], p[5]);
    else
        inet_ntop(l->bytes == 4 ? AF_INET : AF_INET6, p, buf, 64);
    return buf;
}

static int report_leaks(const struct anon *a, const char *path)
{
    size_t n;
    uint64_t all;
    const struct at_leak *leak = at_audit_leaks(a->audit, &n, &all);
    char text[64], number[TOOL_NUMBER_TEXT];

    for (size_t i = 0; i < n; i++)
        tool_warn("%s: record %llu at byte %u: %s is left%s", path,
                  (unsigned long long)leak[i].packet, leak[i].offset,
                  address_text(text, &leak[i]),
                  leak[i].as_text     ? " as text"
                  : leak[i].backwards ? " backwards"
                                      : "");
    if (all > 0) {
        tool_warn("%s: %s original addresses are left", path,
                  tool_format_grouped(number, all));
        return TOOL_FAIL;
    }
    tool_note("%s: audit: none of %s original addresses is left", path,
              tool_format_grouped(number, at_audit_addresses(a->audit)));
    return TOOL_OK;
}

/* Reads all of the output, records that are no packets too. */
static int audit_output(const struct anon *a, const char *path)
{
    const struct at_reader_options opts = {.size = sizeof(opts)};
    struct at_reader *rd;
    struct at_packet pkt;
    struct at_error err;
    enum at_status st = at_reader_open(&rd, path, &opts, &err);

    if (st != AT_OK)
        return tool_error(&err);
    while ((st = at_reader_next(rd, &pkt)) == AT_OK && !tool_stopped())
        if (!at_audit_record(a->audit, &pkt)) {
            st = at_error_set(&err, AT_ERR_MEMORY, "out of memory");
            break;
        }
    if (st < 0 && at_reader_error(rd)->status != AT_OK)
        err = *at_reader_error(rd);
    at_reader_close(rd);
    if (st < 0)
        return tool_error(&err);
    return st == AT_END ? report_leaks(a, path) : TOOL_FAIL;
}

static void want_audit(void *ctx, const char *arg)
{
    struct anon *a = ctx;

    if (arg != NULL && strcmp(arg, "text") != 0)
        tool_usage_error("--audit can be followed by '=text', not by '=%s'",
                         arg);
    a->auditing = true;
    a->audit_text = arg != NULL;
}

/* ---- the run --------------------------------------------------------- */

/* Packets that are only looked at, for their addresses, are not written. */
static enum at_status take(void *ctx, struct at_packet *pkt,
                           struct at_error *err)
{
    struct anon *a = ctx;

    (void)err;
    a->unknown += (pkt->done & AT_DONE_UNKNOWN) != 0;
    a->cut += (pkt->done & AT_DONE_CUT) != 0;
    return AT_OK;
}

static void finish(void *ctx, struct tool_copy *copy)
{
    struct anon *a = ctx;

    tool_summary_count(&copy->summary, a->cut, "packet", " cut");
    tool_summary_count(&copy->summary, a->unknown, "packet",
                       " not understood as a whole");
    tool_summary_count(&copy->summary, tool_sources_dropped(&copy->in),
                       "packet", " dropped");
    if (a->how.keyed)
        tool_summary_add(&copy->summary, "key %s", a->how.key.id);
}

static int open_anon(struct anon *a)
{
    struct at_error err;
    const int status = tool_anon_open(&a->how);

    if (status != TOOL_OK)
        return status;
    if (a->auditing && at_audit_open(&a->audit, a->audit_text, &err) != AT_OK)
        return tool_error(&err);
    if (a->audit != NULL)
        at_anon_watch(a->how.anon, at_audit_learn, a->audit);
    return TOOL_OK;
}

static int run(struct anon *a, char *input[], size_t n, const char *output)
{
    struct tool_copy *c = &a->copy;
    int status = open_anon(a);

    if (status != TOOL_OK)
        return status;
    c->plain = a->how.policy.metadata_keep == 0;
    c->in.wanted.change = at_anon_packet;
    c->in.wanted.change_ctx = a->how.anon;
    c->ctx = a;
    c->take = take;
    c->finish = finish;
    status = tool_copy(c, input, n, a->audit_only ? "/dev/null" : output);
    if (at_anon_failed(a->how.anon)) {
        tool_warn("out of memory");
        status = TOOL_FAIL;
    }
    if (a->audit != NULL && c->out.complete && !tool_stopped() &&
        audit_output(a, output) != TOOL_OK)
        status = TOOL_FAIL;
    return status;
}

static void tear_down(struct anon *a)
{
    tool_anon_close(&a->how);
    at_audit_close(a->audit);
}

static int run_operands(struct anon *a, int argc, char *argv[])
{
    const char *output;

    if (a->new_key != NULL || a->print_policy) {
        if (argc > 0)
            tool_usage_error("there is nothing to be done to '%s'", argv[0]);
        return a->new_key != NULL ? make_key(a) : print_policy(a);
    }
    if (argc < 2)
        tool_usage_error(argc == 0 ? "no file is named" : "no output is named");
    output = argv[argc - 1];
    a->auditing |= a->audit_only;
    if (a->auditing && strcmp(output, "-") == 0)
        tool_usage_error("standard output cannot be read again for an audit");
    return run(a, argv, (size_t)(argc - 1), output);
}

int main(int argc, char *argv[])
{
    static struct anon a;
    const struct tool_option options[] = {
        TOOL_ANON_OPTIONS(&a.how, "policy"),
        TOOL_TEXT(0, "new-key", &a.new_key, "FILE",
                  "make a key, print its id, do nothing else"),
        TOOL_FLAG(0, "print-policy", &a.print_policy,
                  "print the policy, do nothing else"),
        TOOL_CALL_OPTIONAL(0, "audit", want_audit, &a, "text",
                           "read the output again and search it for original "
                           "addresses, as text too"),
        TOOL_FLAG(0, "audit-only", &a.audit_only,
                  "write nothing, only audit the output that is there"),
        TOOL_WRITING(&a.copy),
        TOOL_FLAG(0, "sequence", &a.copy.in.sequence,
                  "read the inputs one after the other, not by time"),
        TOOL_SELECTION(&a.copy.selection),
        TOOL_INPUT(&a.copy.in.reading),
        TOOL_COMMON_BUT(&a.copy.common, TOOL_NO_JSON | TOOL_NO_LOCAL),
        TOOL_END,
    };
    const int i = tool_parse(argc, argv,
                             "[--policy policy] [--key file] [--scheme scheme] "
                             "[--audit[=text]] [selection] input ... output\n"
                             "--new-key file\n"
                             "--print-policy [--policy policy]",
                             options);
    int status;

    status = run_operands(&a, argc - i, argv + i);
    tear_down(&a);
    return tool_finish(status);
}
