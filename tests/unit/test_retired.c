/* SPDX-License-Identifier: Apache-2.0 */
/* Retired names: the known answers of contract E, and what is not taken for one. */
#include "core/core.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/crypto.h"

static const char name_format[] = "retired__user_{}";
static const char mail_format[] = "retired__user_{}@retired.invalid";
static const char old_salt[] = "salt-2018-old", current_salt[] = "salt-2026-current";
static const char learner1[] = "ab727831c5038a2dc4a4d8116ce566401185e0d7";

static struct arena arena;

static int tear_down(void **state)
{
    arena_free(&arena);
    return 0;
}

static FILE *open_vectors(void)
{
    char path[4096];
    const char *folder = getenv("LETHE_TESTDATA");
    snprintf(path, sizeof(path), "%s/retired.txt", folder != NULL ? folder : "tests/unit/data");
    FILE *f = fopen(path, "r");
    if (!f)
        fail_msg("cannot open %s", path);
    return f;
}

static void check_vector(const char *salt, const char *value, const char *hex)
{
    uint8_t digest[RETIRED_DIGEST_LEN];
    char got[2 * RETIRED_DIGEST_LEN + 1];
    retired_digest(&arena, salt, value, digest);
    crypto_hex(digest, sizeof(digest), got);
    assert_string_equal(got, hex);
}

static void test_retired_digest__gives_the_known_answers(void **state)
{
    char line[512], salt[64], value[128], hex[64];
    int n = 0;
    FILE *f = open_vectors();
    while (fgets(line, sizeof(line), f)) {
        if (line[0] == '#')
            continue;
        assert_int_equal(sscanf(line, "%63[^\t]\t%127[^\t]\t%40[0-9a-f]", salt, value, hex), 3);
        check_vector(salt, value, hex);
        n++;
    }
    fclose(f);
    assert_int_equal(n, 10);
}

static void test_retired_name__puts_the_digest_into_the_format(void **state)
{
    assert_string_equal(retired_name(&arena, name_format, current_salt, "Learner1"),
                        "retired__user_ab727831c5038a2dc4a4d8116ce566401185e0d7");
    assert_string_equal(retired_name(&arena, mail_format, old_salt, "A.Learner@Example.COM"),
                        "retired__user_e13fa421fe45902ce253bd4f258823406dd68610@retired.invalid");
    assert_string_equal(retired_name(&arena, "{}", current_salt, "LEARNER1"), learner1);
    assert_string_equal(retired_name(&arena, "100%s {}{}", current_salt, "Learner1"),
                        "100%s ab727831c5038a2dc4a4d8116ce566401185e0d7{}");
}

static void test_retired_parse__reads_back_what_retired_name_wrote(void **state)
{
    static const char *const formats[] = { name_format, mail_format, "{}", "{}x", "a{}", "{}{}" };
    uint8_t want[RETIRED_DIGEST_LEN], got[RETIRED_DIGEST_LEN];
    retired_digest(&arena, current_salt, "Learner1", want);
    for (size_t i = 0; i < sizeof(formats) / sizeof(formats[0]); i++) {
        memset(got, 0, sizeof(got));
        assert_true(
            retired_parse(formats[i], retired_name(&arena, formats[i], current_salt, "learner1"), got));
        assert_memory_equal(got, want, sizeof(want));
    }
}

static void test_retired_parse__knows_those_who_are_named_alike(void **state)
{
    static const unsigned nth[] = { 1, 2, 9, 10, 19, 90, 99, 100, 1000, RETIRED_ALIKE_MAX };
    static const char *const bad[] = { "_",   "_1", "_0", "_02", "_10000", "_99999", "_4294967298", "_2x",
                                       "_x2", "2",  "-2", "__2", "_2_3",   "_:",     "_/",          "_2 " };
    static const char *const formats[] = { name_format, mail_format };
    uint8_t want[RETIRED_DIGEST_LEN], got[RETIRED_DIGEST_LEN];
    retired_digest(&arena, current_salt, "Learner1", want);
    for (size_t f = 0; f < 2; f++) {
        for (size_t i = 0; i < sizeof(nth) / sizeof(*nth); i++) {
            memset(got, 0, sizeof(got));
            const char *name = retired_name_nth(&arena, formats[f], current_salt, "learner1", nth[i]);
            assert_true(retired_parse(formats[f], name, got));
            assert_memory_equal(got, want, sizeof(want));
        }
        for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
            const char *name =
                arena_printf(&arena, "retired__user_%s%s%s", learner1, bad[i], f ? "@retired.invalid" : "");
            if (retired_parse(formats[f], name, got))
                fail_msg("taken: %s", name);
        }
    }
}

static void test_retired_parse__refuses_everything_else(void **state)
{
    static const char *const bad[] = {
        "",
        "retired__user_",
        "retired__user_{}",
        "retired__user_ab727831c5038a2dc4a4d8116ce566401185e0d",
        "retired__user_ab727831c5038a2dc4a4d8116ce566401185e0d77",
        "retired__user_AB727831C5038A2DC4A4D8116CE566401185E0D7",
        "retired__user_gb727831c5038a2dc4a4d8116ce566401185e0d7",
        "retired__user_ab727831c5038a2dc4a4d8116ce566401185e0d ",
        "Retired__user_ab727831c5038a2dc4a4d8116ce566401185e0d7",
        " retired__user_ab727831c5038a2dc4a4d8116ce566401185e0d",
        "ab727831c5038a2dc4a4d8116ce566401185e0d7",
        "retired__user_ab727831c5038a2dc4a4d8116ce566401185e0d7\n",
        "retired__user_ab727831c5038a2dc4a4d8116ce566401185e0\xc3\xa9",
    };
    uint8_t got[RETIRED_DIGEST_LEN] = { 1, 2, 3 }, untouched[RETIRED_DIGEST_LEN] = { 1, 2, 3 };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_false(retired_parse(name_format, bad[i], got));
    assert_false(retired_parse(mail_format, "retired__user_ab727831c5038a2dc4a4d8116ce566401185e0d7", got));
    assert_false(retired_parse("{}@x", "ab727831c5038a2dc4a4d8116ce566401185e0d7@y", got));
    assert_memory_equal(got, untouched, sizeof(got));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(test_retired_digest__gives_the_known_answers, tear_down),
        cmocka_unit_test_teardown(test_retired_name__puts_the_digest_into_the_format, tear_down),
        cmocka_unit_test_teardown(test_retired_parse__reads_back_what_retired_name_wrote, tear_down),
        cmocka_unit_test_teardown(test_retired_parse__knows_those_who_are_named_alike, tear_down),
        cmocka_unit_test_teardown(test_retired_parse__refuses_everything_else, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
