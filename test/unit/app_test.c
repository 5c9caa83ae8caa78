/*
 * app_test.c - rules of applications: reading, matching, doubting them
 *
 * A second, simple matcher that tries every rule one after the other is what
 * the compiled one is held against.
 */
#include "common.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "app_rules.h"

enum { TCP = 6, UDP = 17, EXAMPLES_MOST = 4000, RANDOM_FLOWS = 20000 };

/* ---- help ------------------------------------------------------------ */

static struct at_apps *parse(const char *text)
{
    struct at_error err = {.msg = ""};
    struct at_apps *apps;

    if (at_apps_parse(&apps, "test", text, strlen(text), &err) != AT_OK)
        fail_msg("%s", err.msg);
    return apps;
}

static struct at_app_flow flow_of(const char *example)
{
    struct at_app_flow flow;
    struct at_error err = {.msg = ""};
    char name[64];

    if (at_app_example(&flow, name, sizeof(name), example, &err) != AT_OK)
        fail_msg("%s: %s", example, err.msg);
    return flow;
}

static const char *name_of(const struct at_apps *apps,
                           const struct at_app_flow *flow)
{
    struct at_app_match match;

    at_apps_match(apps, flow, &match);
    return at_app_name(apps, match.app);
}

/* What the set says of an example, "app confidence". */
static void says(const struct at_apps *apps, const char *example,
                 const char *answer)
{
    const struct at_app_flow flow = flow_of(example);
    struct at_app_match match;
    char text[80];

    at_apps_match(apps, &flow, &match);
    snprintf(text, sizeof(text), "%s %s", at_app_name(apps, match.app),
             at_app_confidence_name(match.confidence));
    assert_string_equal(text, answer);
}

/* ---- reading --------------------------------------------------------- */

static void mistakes_are_told_with_their_line(void **state)
{
    static const struct {
        const char *text, *message;
    } bad[] = {
        {"udp 00", "line 1, at ' 00': a rule stands before the first app"},
        {"app x y", "an app has a reference"},
        {"app X y \"z\"", "a name begins with a letter"},
        {"app x y \"z\" w", "something is left"},
        {"app dns y \"z\"", "has its category"},
        {"app unknown", "was there before"},
        {"app x y \"z\"\nfoo", "line 2, at 'foo'"},
        {"app x y \"z\"\nudp", "a side is missing"},
        {"app x y \"z\"\nudp 0", "not a byte"},
        {"app x y \"z\"\nudp 000", "what is this"},
        {"app x y \"z\"\nudp 00 01 02 03 04", "more than 4 bytes"},
        {"app x y \"z\"\nudp \"abcde\"", "more than 4 bytes"},
        {"app x y \"z\"\nudp \"abc", "does not end"},
        {"app x y \"z\"\nudp 0f/f0", "bits that its mask has not"},
        {"app x y \"z\"\nudp {00,1}", "a set of bytes"},
        {"app x y \"z\"\nudp {10-0f}", "a set of bytes"},
        {"app x y \"z\"\nudp L=", "a length is"},
        {"app x y \"z\"\nudp L=9-8", "a length is"},
        {"app x y \"z\"\nudp L=4294967296", "a length is"},
        {"app x y \"z\"\nudp L=1 L=2", "two lengths"},
        {"app x y \"z\"\nudp be16@3=L", "a field is"},
        {"app x y \"z\"\nudp be16@0=M", "a field is"},
        {"app x y \"z\"\nudp u8@0=L u8@0=1 u8@0=2", "more than two fields"},
        {"app x y \"z\"\nudp @ 00", "ports are"},
        {"app x y \"z\"\nudp @1,x 00", "ports are"},
        {"app x y \"z\"\nudp @65536 00", "ports are"},
        {"app x y \"z\"\nudp prio=10 00", "a priority is"},
        {"app x y \"z\"\nudp any 00", "stand alone"},
        {"app x y \"z\"\nudp 00 <>", "a side is missing"},
        {"app x y \"z\"\nudp 00 | | 01", "a side is missing"},
        {"app x y \"z\"\nudp 00 same", "same is followed"},
        {"app x y \"z\"\nudp 00 same 4", "same is followed"},
        {"app x y \"z\"\nip 256", "ip is followed"},
        {"app x y \"z\"\nip 1 2", "ip is followed"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct at_error err = {.msg = ""};
        struct at_apps *apps;

        assert_int_equal(at_apps_parse(&apps, "test", bad[i].text,
                                       strlen(bad[i].text), &err),
                         AT_ERR_SYNTAX);
        assert_null(apps);
        if (strstr(err.msg, bad[i].message) == NULL)
            fail_msg("'%s' gives '%s'", bad[i].text, err.msg);
    }
}

/* Cut anywhere, the text is whole rules and at most one mistake. */
static void rules_can_be_cut_anywhere(void **state)
{
    static const char text[] = "app x y \"z\"\n"
                               "  udp @1-2,3 prio=1 00 {01,03-04,\"a\"-\"z\"} "
                               "be16@2=L-4 L>=8 | \"ab\\r\\\"\" <> - | some\n"
                               "  tcp both 80/c0 * * L=1,2-3 same 0 1\n";

    (void)state;
    for (size_t n = 0; n <= strlen(text); n++) {
        char *cut = (char *)tight_copy(text, n);
        struct at_error err;
        struct at_apps *apps;
        const enum at_status st = at_apps_parse(&apps, "cut", cut, n, &err);

        assert_true(st == AT_OK || st == AT_ERR_SYNTAX);
        at_apps_close(apps);
        free(cut);
    }
}

/* ---- matching -------------------------------------------------------- */

static void sides_lengths_and_fields(void **state)
{
    struct at_apps *apps = parse("app x y \"z\"\n"
                                 "tcp @!9 f0 f1 {f2,f4-f6} f3 <> f0 e1 L>=20\n"
                                 "tcp @7700 f7 be16@1=L+1 | f8 u8@1*4=L-2\n"
                                 "tcp @@7701 both f7 le24@1>=70000\n"
                                 "tcp each f9 fa fb L=4-6,9\n"
                                 "tcp fc fd fe <> fc same 0 1\n");

    (void)state;
    says(apps, "x tcp 1 2 f0 f1 f5 f3 <> f0 e1 L=20", "x both");
    says(apps, "x tcp 1 2 f0 e1 L=20 <> f0 f1 f5 f3", "x both");
    says(apps, "x tcp 1 2 f0 f1 f3 f3 <> f0 e1 L=20", "unknown none");
    says(apps, "x tcp 1 2 f0 f1 f5 f3 <> f0 e1 L=19", "unknown none");
    says(apps, "x tcp 9 2 f0 f1 f5 f3 <> f0 e1 L=20", "unknown none");
    says(apps, "x tcp 1 7700 f7 00 09 L=8 <> -", "x pattern+port");
    says(apps, "x tcp 1 7700 f7 00 09 L=9 <> -", "one-way none");
    says(apps, "x tcp 1 7700 f8 02 L=10 <> -", "x pattern+port");
    says(apps, "x tcp 7701 7701 f7 ff ff ff <> f7 00 00 70", "x pattern+port");
    says(apps, "x tcp 7701 7702 f7 ff ff ff <> f7 00 00 70", "unknown none");
    says(apps, "x tcp 7701 7701 f7 ff ff ff <> f7 00 00 01", "unknown none");
    says(apps, "x tcp 1 2 f9 fa fb L=9 <> -", "x pattern");
    says(apps, "x tcp 1 2 f9 fa fb L=8 <> -", "one-way none");
    says(apps, "x tcp 1 2 f9 fa fb L=9 <> aa", "unknown none");
    says(apps, "x tcp 1 2 fc fd fe <> fc fd", "x both");
    says(apps, "x tcp 1 2 fc fd fe <> fc", "unknown none");
    at_apps_close(apps);
}

static void rules_of_users_come_first(void **state)
{
    struct at_apps *apps = parse("app mine lab \"our own\"\n"
                                 "  tcp @2222 \"SSH\"\n"
                                 "app ssh\n"
                                 "  tcp \"xSSH\"\n");

    (void)state;
    says(apps, "x tcp 1 2222 \"SSH-\" L=20 <> \"SSH-\" L=20",
         "mine pattern+port");
    says(apps, "x tcp 1 2223 \"SSH-\" L=20 <> \"SSH-\" L=20", "ssh pattern");
    says(apps, "x tcp 1 2223 \"xSSH\" L=20 <> -", "ssh pattern");
    assert_true(at_app_is_category(apps, "lab"));
    assert_false(at_app_is_category(apps, "lap"));
    assert_int_equal(at_app_find(apps, "no such"), at_apps_count(apps));
    assert_string_equal(at_app_reference(apps, at_app_find(apps, "mine")),
                        "our own");
    at_apps_close(apps);
}

static void what_is_not_known_is_told_apart(void **state)
{
    struct at_apps *apps = parse("");
    struct at_app_flow flow = {.proto = TCP, .sport = 65001, .dport = 65002};

    (void)state;
    assert_string_equal(name_of(apps, &flow), "no-payload");
    flow.way[1].payload = AT_APP_LOST;
    assert_string_equal(name_of(apps, &flow), "not-captured");
    flow.way[1] = (struct at_app_way){AT_APP_FIRST, 0, "", 100};
    assert_string_equal(name_of(apps, &flow), "not-captured");
    flow.way[1] = (struct at_app_way){AT_APP_FIRST, 4, "\x9b\x61\xee\x5d", 9};
    assert_string_equal(name_of(apps, &flow), "one-way");
    flow.way[0] = flow.way[1];
    assert_string_equal(name_of(apps, &flow), "unknown");
    flow.proto = 253; /* for experiments: RFC 3692 */
    assert_string_equal(name_of(apps, &flow), "unknown");
    flow.proto = 58;
    assert_string_equal(name_of(apps, &flow), "icmpv6");
    at_apps_close(apps);
}

/* Bytes past what was captured, or past the payload, change nothing. */
static void nothing_is_read_past_the_capture(void **state)
{
    struct at_apps *apps = parse("");
    uint32_t seed = 5;

    (void)state;
    for (unsigned i = 0; i < RANDOM_FLOWS; i++) {
        struct at_app_flow flow = {
            .proto = i % 2 == 0 ? TCP : UDP,
            .sport = (uint16_t)(next_random(&seed) % 9000),
            .dport = 50001,
            .way[0] = {AT_APP_FIRST, (uint8_t)(i / 2 % 4), "", 100},
            .way[1] = {AT_APP_FIRST, 4, "", i % 5},
        };
        struct at_app_match one, two;

        memcpy(flow.way[0].bytes, "\x16\x03\x01\x00", 4);
        memcpy(flow.way[1].bytes, "HTTP", 4);
        at_apps_match(apps, &flow, &one);
        for (unsigned b = flow.way[0].captured; b < 4; b++)
            flow.way[0].bytes[b] = (uint8_t)next_random(&seed);
        for (unsigned b = flow.way[1].length; b < 4; b++)
            flow.way[1].bytes[b] = (uint8_t)next_random(&seed);
        at_apps_match(apps, &flow, &two);
        assert_int_equal(one.app, two.app);
        assert_int_equal(one.rule, two.rule);
    }
    at_apps_close(apps);
}

/* ---- against a simple matcher ---------------------------------------- */

/* Whether any pair of alternatives of the rule holds, either way round. */
static bool rule_holds(const struct at_app_rules *r,
                       const struct at_app_rule *rule,
                       const struct at_app_flow *flow)
{
    for (uint32_t a = rule->a; a < rule->a + rule->as; a++)
        for (uint32_t b = rule->b; b < rule->b + rule->bs; b++)
            for (unsigned way = 0; way < 2; way++)
                if (at_app_rule_holds(r, rule, &r->side[a], &r->side[b], flow,
                                      way))
                    return true;
    return false;
}

static bool is_of(const struct at_app_rule *rule, uint8_t proto)
{
    return (rule->transport == AT_APP_TCP && proto == TCP) ||
           (rule->transport == AT_APP_UDP && proto == UDP);
}

/* The answer is a rule that holds, and if there is none none holds; and no
 * rule of a better priority does. */
static void compare(const struct at_apps *apps, const struct at_app_flow *flow)
{
    const struct at_app_rules *r = at_apps_rules(apps);
    const uint32_t answer = at_apps_decide(apps, flow);

    if (flow->proto != TCP && flow->proto != UDP)
        return; /* they have no choice */
    if (answer != UINT32_MAX)
        assert_true(rule_holds(r, &r->rule[answer], flow));
    for (size_t i = 0; i < r->rules; i++)
        if (is_of(&r->rule[i], flow->proto) &&
            (answer == UINT32_MAX ||
             r->rule[i].priority < r->rule[answer].priority))
            assert_false(rule_holds(r, &r->rule[i], flow));
}

static size_t read_examples(struct at_app_flow *flow, const char **name)
{
    char path[512];
    struct bytes text;
    size_t n = 0;
    char *line, *next;

    snprintf(path, sizeof(path), "%s/apps.flows", getenv("TEST_DATA"));
    text = read_file(path);
    add(&text, "", 1);
    next = (char *)text.p;
    while ((line = strsep(&next, "\n")) != NULL) {
        char app[64];
        struct at_error err = {.msg = ""};
        const enum at_status st = at_app_example(&flow[n], app, sizeof(app),
                                                 line, &err);

        if (st < 0)
            fail_msg("%s: %s", line, err.msg);
        assert_true(n < EXAMPLES_MOST);
        if (st == AT_OK)
            name[n++] = strdup(app);
    }
    drop(&text);
    return n;
}

static struct at_app_flow examples[EXAMPLES_MOST];
static const char *names[EXAMPLES_MOST];

/* Flows that are nearly examples: most interesting to a matcher. */
static void compiled_and_simple_matcher_agree(void **state)
{
    struct at_apps *apps = parse("");
    const size_t n = read_examples(examples, names);
    uint32_t seed = 1;

    (void)state;
    for (size_t i = 0; i < n; i++) {
        struct at_app_flow flow = examples[i];
        struct at_app_way *way = &flow.way[next_random(&seed) % 2];

        compare(apps, &flow);
        way->bytes[next_random(&seed) % 4] = (uint8_t)next_random(&seed);
        compare(apps, &flow);
        way->captured = (uint8_t)(next_random(&seed) % 5);
        compare(apps, &flow);
        flow.way[0] = examples[next_random(&seed) % n].way[1];
        compare(apps, &flow);
    }
    for (size_t i = 0; i < n; i++)
        free((char *)names[i]);
    at_apps_close(apps);
}

/* ---- the checker ----------------------------------------------------- */

static void print_fault(void *ctx, const char *fault)
{
    (void)ctx;
    print_message("apps.rules: %s\n", fault);
}

static void built_in_rules_are_sound(void **state)
{
    struct at_apps *apps = parse("");
    const size_t n = read_examples(examples, names);
    size_t wrong = 0;

    (void)state;
    for (size_t i = 0; i < n; i++) {
        if (strcmp(name_of(apps, &examples[i]), names[i]) != 0) {
            print_message("example %s of %s is taken for %s\n", names[i],
                          names[i], name_of(apps, &examples[i]));
            wrong++;
        }
        free((char *)names[i]);
    }
    assert_int_equal(wrong, 0);
    assert_int_equal(at_apps_check(apps, examples, n, print_fault, NULL), 0);
    assert_true(at_apps_count(apps) >= 200 + AT_APP_NAMED);
    at_apps_close(apps);
}

static void keep_fault(void *ctx, const char *fault)
{
    struct bytes *all = ctx;

    add_text(all, fault);
    add_text(all, "\n");
}

static void faults_are_found(void **state)
{
    struct at_apps *apps = parse("app nil none \"x\"\n"
                                 "app bad none \"x\"\n"
                                 "  udp @7 f0 f1 f2\n"
                                 "  udp @7 f0 f1\n"
                                 "  udp @7 f0 f1 f2 f3\n"
                                 "  udp f0 be16@0=20 L=5\n"
                                 "  udp f8 f9 L=1\n"
                                 "  udp @9 prio=0 {f0-f5} f9\n"
                                 "  udp @9 f3 f9 05\n");
    const struct at_app_flow example = flow_of("x udp 1 7 f0 f1 f2 L=9 <> -");
    struct bytes all = {.n = 0};

    (void)state;
    at_apps_check(apps, &example, 1, keep_fault, &all);
    add(&all, "", 1);
    assert_non_null(strstr((char *)all.p, "nil: no rule names it"));
    assert_non_null(strstr((char *)all.p, "bad, line 6: no flow can match"));
    assert_non_null(strstr((char *)all.p, "bad, line 7: no flow can match"));
    assert_non_null(strstr((char *)all.p, "bad, line 9: always gives way to "
                                          "bad, line 8"));
    assert_non_null(strstr((char *)all.p, "bad, line 4: no example needs"));
    assert_null(strstr((char *)all.p, "bad, line 3:"));
    assert_null(strstr((char *)all.p, "bad, line 4: always"));
    drop(&all);
    at_apps_close(apps);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(mistakes_are_told_with_their_line),
        cmocka_unit_test(rules_can_be_cut_anywhere),
        cmocka_unit_test(sides_lengths_and_fields),
        cmocka_unit_test(rules_of_users_come_first),
        cmocka_unit_test(what_is_not_known_is_told_apart),
        cmocka_unit_test(nothing_is_read_past_the_capture),
        cmocka_unit_test(compiled_and_simple_matcher_agree),
        cmocka_unit_test(built_in_rules_are_sound),
        cmocka_unit_test(faults_are_found),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
