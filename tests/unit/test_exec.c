/* SPDX-License-Identifier: Apache-2.0 */
/* driver/action/exec.c: commands of the operator, run for a person by a driver that has a scripted
 * authority. */
#include "authority.h"

#include <ctype.h>
#include <signal.h>
#include <sys/resource.h>

#include "base/file.h"

enum { STAGE_MAX = 2048, FILE_MAX = 1024 * 1024 };

/* One stage that runs the shell with this script, in which $0 is the test's folder. more: settings of exec in
 * YAML, beginning with a comma; rest: of the stage, the same. */
static struct site *open_with(unsigned people, const char *script, const char *more, const char *rest)
{
    char stage[STAGE_MAX];
    int len = snprintf(stage, sizeof(stage),
                       "stages:\n"
                       "- { working: RUNNING_IT, completed: IT_RAN,\n"
                       "    exec: { command: [/bin/sh, -c, '%s', FOLDER]%s }%s }\n",
                       script, more, rest);
    assert_true(len > 0 && (size_t)len < sizeof(stage));
    struct site *site = site_open(people, "", stage);
    const char **argv = (const char **)(uintptr_t)site->config->stages[0].action.exec.argv;
    argv[3] = arena_strdup(&site->arena, site->scratch.folder);
    return site;
}

static const char *written(struct site *site, const char *name)
{
    char *text;
    struct err err;
    expect_ok(file_read(&site->arena, scratch_path(&site->scratch, "", name), FILE_MAX, &text, NULL, &err),
              &err);
    return text;
}

static const struct said *run_one(struct site *site)
{
    site_run(site);
    assert_true(site->n_said > 0);
    return &site->said[site->n_said - 1];
}

/* ---- what it gets ---- */

static void test_exec__the_person_is_one_object_on_standard_input(void **state)
{
    struct site *site = open_with(1, "cat > \"$0/in\"; echo \"$#\" > \"$0/args\"", "", "");
    struct json *in;
    struct err err;
    const struct said *s = run_one(site);
    assert_string_equal(s->outcome, "done");
    assert_string_equal(s->response, "{\"status\":0,\"attempts\":1}");
    const char *text = written(site, "in");
    expect_ok(json_parse(&site->arena, text, strlen(text), &in, &err), &err);
    assert_string_equal(field_text(in, "original_username"), "user 1/\xc3\xa9");
    assert_string_equal(field_text(in, "original_email"), "u1@example.com");
    assert_string_equal(field_text(in, "original_name"), "A \"name\"");
    assert_string_equal(field_text(in, "retired_username"), "retired_1");
    assert_string_equal(field_text(in, "retired_email"), "retired_1@retired.invalid");
    assert_string_equal(field_text(in, "user_id"), "5001");
    assert_string_equal(field_text(in, "retirement_id"), "1");
    assert_string_equal(field_text(in, "stage"), "RUNNING_IT");
    assert_string_equal(field_text(in, "idempotency_key"), "key1-RUNNING_IT");
    assert_string_equal(written(site, "args"), "0\n");
    site_close(site);
}

static void test_exec__the_environment_is_clean(void **state)
{
    setenv("LETHE_TEST_LEAK", "1", 1);
    struct site *site =
        open_with(1, "/usr/bin/env > \"$0/env\"", ", env: { CITY: Delft, HOME: /nowhere }", "");
    run_one(site);
    const char *env = written(site, "env");
    unsigned lines = 0;
    for (const char *c = env; *c; c++)
        lines += *c == '\n';
    expect_text_has(env, "CITY=Delft\n");
    expect_text_has(env, "HOME=/nowhere\n");
    expect_text_has(env, "PATH=");
    expect_text_has(env, "LANG=");
    assert_null(strstr(env, "LETHE_TEST_LEAK"));
    assert_true(lines <= 6); /* a shell adds PWD and _ */
    site_close(site);
    unsetenv("LETHE_TEST_LEAK");
}

static void test_exec__nothing_else_is_inherited(void **state)
{
    int leak = dup(1); /* without close-on-exec */
    struct rlimit core;
    assert_int_equal(getrlimit(RLIMIT_CORE, &core), 0);
    core.rlim_cur = core.rlim_max;
    assert_int_equal(setrlimit(RLIMIT_CORE, &core), 0);
    struct site *site = open_with(1,
                                  "ls /proc/self/fd | tr -d \"\\n\" > \"$0/fds\"; umask > \"$0/umask\"; "
                                  "ulimit -c > \"$0/core\"; ulimit -n > \"$0/files\"",
                                  "", "");
    signal(SIGPIPE, SIG_IGN);
    run_one(site);
    assert_string_equal(written(site, "fds"), "0123"); /* 3 is the folder that ls reads */
    assert_string_equal(written(site, "umask"), "0077\n");
    assert_string_equal(written(site, "core"), "0\n");
    assert_true(atoi(written(site, "files")) <= 1024);
    signal(SIGPIPE, SIG_DFL);
    site_close(site);
    close(leak);
}

static void test_exec__ignored_signals_are_not_inherited(void **state)
{
    const uint64_t of_the_c_library = UINT64_C(1) << (32 - 1) | UINT64_C(1) << (33 - 1);
    signal(SIGPIPE, SIG_IGN);
    struct site *site = open_with(1, "grep SigIgn /proc/self/status > \"$0/signals\"", "", "");
    run_one(site);
    uint64_t ignored = strtoull(written(site, "signals") + strlen("SigIgn:"), NULL, 16);
    assert_int_equal(ignored & ~of_the_c_library, 0);
    signal(SIGPIPE, SIG_DFL);
    site_close(site);
}

static void test_exec__a_program_is_found_along_the_path(void **state)
{
    struct site *site = open_with(1, "", "", "");
    const char **argv = (const char **)(uintptr_t)site->config->stages[0].action.exec.argv;
    argv[0] = "true";
    assert_string_equal(run_one(site)->outcome, "done");
    site_close(site);
}

/* ---- how it ends ---- */

static void expect_end(const char *script, const char *more, const char *rest, const char *outcome,
                       const char *response)
{
    struct site *site = open_with(1, script, more, rest);
    const struct said *s = run_one(site);
    assert_string_equal(s->outcome, outcome);
    assert_string_equal(s->response, response);
    site_close(site);
}

static void test_exec__exit_statuses_mean_what_they_should(void **state)
{
    expect_end("echo gone; echo really >&2", "", "", "done",
               "{\"status\":0,\"attempts\":1,\"answer\":\"gone\\nreally\\n\"}");
    expect_end("exit 3", ", nothing_to_erase: [3]", "", "done",
               "{\"outcome\":\"nothing_to_erase\",\"status\":3,\"attempts\":1}");
    expect_end("echo broken; exit 1", "", "", "failed",
               "{\"stage\":\"RUNNING_IT\",\"outcome\":\"failed\",\"status\":1,\"attempts\":1,\"error\":null,"
               "\"answer\":\"broken\\n\"}");
    expect_end("kill -TERM $$", "", ", retry: none", "failed",
               "{\"stage\":\"RUNNING_IT\",\"outcome\":\"unknown\",\"status\":null,\"attempts\":1,"
               "\"error\":\"the command was killed by signal 15\",\"answer\":\"\"}");
}

static void test_exec__75_is_tried_again(void **state)
{
    expect_end("test -e \"$0/was-here\" && exit 0; touch \"$0/was-here\"; exit 75", "",
               ", retry: { for: 5s, first: 1ms, longest: 2ms }", "done", "{\"status\":0,\"attempts\":2}");
}

static void test_exec__a_program_that_is_not_there(void **state)
{
    struct site *site = open_with(1, "", "", "");
    const char **argv = (const char **)(uintptr_t)site->config->stages[0].action.exec.argv;
    argv[0] = "/nowhere/program";
    const struct said *s = run_one(site);
    assert_string_equal(s->outcome, "failed");
    expect_text_has(s->response, "\"status\":127");
    expect_text_has(s->response, "cannot execute the command: No such file or directory");
    site_close(site);
}

/* Gone, or dead and not yet collected by its new parent. */
static bool is_dead(pid_t pid)
{
    char path[64], state = 0;
    snprintf(path, sizeof(path), "/proc/%ld/stat", (long)pid);
    FILE *f = fopen(path, "r");
    if (!f)
        return true;
    bool read_it = fscanf(f, "%*d (%*[^)]) %c", &state) == 1;
    fclose(f);
    return !read_it || state == 'Z' || state == 'X';
}

static void expect_dies(pid_t pid)
{
    assert_true(pid > 0);
    for (int i = 0; i < 5000 && !is_dead(pid); i++)
        usleep(1000);
    assert_true(is_dead(pid));
}

static bool is_begun(struct site *site)
{
    return access(scratch_path(&site->scratch, "", "begun"), F_OK) == 0;
}

static void let_time_run_out(struct site *site)
{
    if (is_begun(site))
        let_time_pass(site, CLOCK_S);
}

static void test_exec__the_time_limit_ends_the_whole_group(void **state)
{
    struct site *site =
        open_with(1, "sleep 100 & echo $! > \"$0/child\"; echo begun; touch \"$0/begun\"; wait", "",
                  ", timeout: 3s, retry: none");
    site->look = let_time_run_out;
    const struct said *s = run_one(site);
    assert_string_equal(s->outcome, "failed");
    assert_string_equal(s->response,
                        "{\"stage\":\"RUNNING_IT\",\"outcome\":\"unknown\",\"status\":null,\"attempts\":1,"
                        "\"error\":\"the command took too long and was killed\",\"answer\":\"begun\\n\"}");
    expect_dies(atoi(written(site, "child")));
    site_close(site);
}

static void test_exec__nothing_outlives_its_command(void **state)
{
    struct site *site = open_with(1, "sleep 100 & echo $! > \"$0/child\"", "", "");
    struct driver_summary summary = site_run(site);
    assert_int_equal(summary.completed, 1);
    assert_true(summary.took_us < 90 * CLOCK_S); /* the child still had the pipe open */
    expect_dies(atoi(written(site, "child")));
    site_close(site);
}

static void test_exec__output_is_cut_and_the_command_goes_on(void **state)
{
    struct site *site =
        open_with(1, "head -c 1000000 /dev/zero | tr \"\\0\" x; echo end > \"$0/end\"", "", "");
    const struct said *s = run_one(site);
    assert_string_equal(s->outcome, "done");
    expect_text_has(s->response, "xxx\",\"answer_cut\":true}");
    assert_true(strlen(s->response) <= 64 * 1024);
    assert_string_equal(written(site, "end"), "end\n");
    site_close(site);
}

static void stop_twice_when_begun(struct site *site)
{
    if (!is_begun(site))
        return;
    driver_stop(site->driver);
    driver_stop(site->driver);
    site->look = NULL;
}

static void test_exec__a_second_stop_kills_it(void **state)
{
    struct site *site =
        open_with(1, "echo $$ > \"$0/pid\"; touch \"$0/begun\"; sleep 100", "", ", timeout: 20s");
    site->look = stop_twice_when_begun;
    const struct said *s = run_one(site);
    assert_string_equal(s->outcome, "released");
    assert_int_equal(site->n_said, 1);
    expect_dies(atoi(written(site, "pid")));
    site_close(site);
}

/* ---- how many ---- */

static void test_exec__no_more_at_once_than_it_says(void **state)
{
    struct site *site =
        open_with(40,
                  "mkdir \"$0/run$$\"; ls -d \"$0\"/run* | wc -l >> \"$0/counts\"; sleep 0.02; "
                  "rmdir \"$0/run$$\"",
                  ", at_once: 4", "");
    site_run(site);
    unsigned most = 0, lines = 0;
    for (const char *c = written(site, "counts"); *c; c = strchr(c, '\n') + 1, lines++)
        most = (unsigned)atoi(c) > most ? (unsigned)atoi(c) : most;
    assert_int_equal(lines, 40);
    assert_true(most > 1 && most <= 4);
    site_close(site);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_exec__the_person_is_one_object_on_standard_input),
        cmocka_unit_test(test_exec__the_environment_is_clean),
        cmocka_unit_test(test_exec__nothing_else_is_inherited),
        cmocka_unit_test(test_exec__ignored_signals_are_not_inherited),
        cmocka_unit_test(test_exec__a_program_is_found_along_the_path),
        cmocka_unit_test(test_exec__exit_statuses_mean_what_they_should),
        cmocka_unit_test(test_exec__75_is_tried_again),
        cmocka_unit_test(test_exec__a_program_that_is_not_there),
        cmocka_unit_test(test_exec__the_time_limit_ends_the_whole_group),
        cmocka_unit_test(test_exec__nothing_outlives_its_command),
        cmocka_unit_test(test_exec__output_is_cut_and_the_command_goes_on),
        cmocka_unit_test(test_exec__a_second_stop_kills_it),
        cmocka_unit_test(test_exec__no_more_at_once_than_it_says),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
