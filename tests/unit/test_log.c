/* SPDX-License-Identifier: Apache-2.0 */
/* base/log.c: the two forms of a line, read back from a pipe. */
#include "unit.h"

#include <ctype.h>
#include <fcntl.h>
#include <pthread.h>
#include <unistd.h>

#include "base/json.h"
#include "base/log.h"

static int ends[2];
static char lines[65536];

static int open_pipe(void **state)
{
    if (pipe(ends) != 0)
        return -1;
    return fcntl(ends[0], F_SETFL, O_NONBLOCK) < 0;
}

static int close_pipe(void **state)
{
    log_setup(LOG_INFO, false, STDERR_FILENO);
    log_set_subject((struct log_subject){ 0 });
    log_set_hook(NULL, NULL);
    close(ends[0]);
    close(ends[1]);
    return 0;
}

/* What was logged since the last time. */
static const char *logged(void)
{
    ssize_t n = read(ends[0], lines, sizeof(lines) - 1);
    lines[n > 0 ? n : 0] = '\0';
    return lines;
}

/* The line without its time, which is checked for its form. */
static const char *without_time(const char *line)
{
    static const char form[] = "0000-00-00T00:00:00.000Z ";
    for (size_t i = 0; i < sizeof(form) - 1; i++) {
        if (form[i] == '0')
            assert_true(isdigit((unsigned char)line[i]));
        else
            assert_int_equal(line[i], form[i]);
    }
    return line + sizeof(form) - 1;
}

static void test_log__text_line_has_time_level_and_message(void **state)
{
    log_setup(LOG_DEBUG, false, ends[1]);
    log_info("ready %d", 5);
    assert_string_equal(without_time(logged()), "info    ready 5\n");
    log_warning("w");
    assert_string_equal(without_time(logged()), "warning w\n");
    log_error("e");
    assert_string_equal(without_time(logged()), "error   e\n");
    log_debug("d");
    assert_string_equal(without_time(logged()), "debug   d\n");
}

static void test_log__level_hides_what_is_more_talkative(void **state)
{
    log_setup(LOG_WARNING, false, ends[1]);
    log_info("no");
    log_debug("no");
    assert_string_equal(logged(), "");
    log_warning("yes");
    assert_string_equal(without_time(logged()), "warning yes\n");
}

static void test_log__subject_is_added_until_it_is_put_back(void **state)
{
    log_setup(LOG_INFO, false, ends[1]);
    struct log_subject none = log_set_subject(
        (struct log_subject){ .request = "r1", .retirement = 12, .stage = "RETIRING_LMS", .service = "lms" });
    log_info("done");
    assert_string_equal(without_time(logged()),
                        "info    request=r1 retirement=12 stage=RETIRING_LMS service=lms done\n");
    struct log_subject before = log_set_subject(none);
    assert_int_equal(before.retirement, 12);
    log_info("done");
    assert_string_equal(without_time(logged()), "info    done\n");
}

static void test_log__a_line_stays_a_line(void **state)
{
    log_setup(LOG_INFO, false, ends[1]);
    log_set_subject((struct log_subject){ .stage = "a\nb" });
    log_info("%s", "x\ny\r\x1b[2J\x7f \xC2\x85 \xFF é");
    assert_string_equal(without_time(logged()),
                        "info    stage=a\\nb x\\ny\\x0d\\x1b[2J\\x7f \\u0085 \\xff é\n");
}

static void test_log__json_line_can_be_read(void **state)
{
    struct arena a = { 0 };
    struct json *line;
    struct err err;
    log_setup(LOG_INFO, true, ends[1]);
    log_set_subject((struct log_subject){ .retirement = 12, .stage = "S" });
    log_warning("%s", "a\n\"b\" \xFF");
    const char *text = logged();
    assert_ptr_equal(strchr(text, '\n'), text + strlen(text) - 1);
    expect_ok(json_parse(&a, text, strlen(text), &line, &err), &err);
    assert_int_equal(line->count, 5);
    assert_string_equal(json_get(line, "level")->text, "warning");
    assert_int_equal(json_get(line, "retirement")->integer, 12);
    assert_string_equal(json_get(line, "stage")->text, "S");
    assert_string_equal(json_get(line, "message")->text, "a\n\"b\" \xEF\xBF\xBD");
    assert_int_equal(json_get(line, "time")->len, 24);
    arena_free(&a);
}

static void test_log__huge_messages_and_subjects_are_cut(void **state)
{
    struct arena a = { 0 };
    struct json *line;
    struct err err;
    char huge[60000];
    memset(huge, '\x01', sizeof(huge));
    huge[sizeof(huge) - 1] = '\0';
    for (int json = 0; json < 2; json++) {
        log_setup(LOG_INFO, json, ends[1]);
        log_set_subject((struct log_subject){ huge, INT64_MIN, huge, huge });
        log_info("%s", huge);
        const char *text = logged();
        assert_true(strlen(text) < 16384);
        assert_int_equal(text[strlen(text) - 1], '\n');
    }
    expect_ok(json_parse(&a, lines, strlen(lines), &line, &err), &err);
    arena_free(&a);
}

static void note_hook(void *arg, bool before)
{
    char **at = arg;
    assert_string_equal(logged(), "");
    *(*at)++ = before ? 'b' : 'a';
}

static void drain_hook(void *arg, bool before)
{
    char **at = arg;
    const char *now = logged();
    *(*at)++ = before ? 'b' : 'a';
    *(*at)++ = now[0] != '\0' ? '1' : '0';
}

static void test_log__hook_is_called_before_and_after(void **state)
{
    char calls[16] = "", *at = calls;
    log_setup(LOG_INFO, false, ends[1]);
    log_set_hook(drain_hook, &at);
    log_info("x");
    assert_string_equal(calls, "b0a1");
    log_set_hook(note_hook, &at);
    log_debug("hidden");
    assert_string_equal(calls, "b0a1");
}

static void test_log__levels_are_parsed(void **state)
{
    enum log_level level;
    struct err err;
    expect_ok(log_level_parse("debug", &level, &err), &err);
    assert_int_equal(level, LOG_DEBUG);
    expect_ok(log_level_parse("error", &level, &err), &err);
    assert_int_equal(level, LOG_ERROR);
    expect_error(log_level_parse("INFO", &level, &err), RC_INVALID, &err, "warning");
    expect_error(log_level_parse("", &level, &err), RC_INVALID, &err, "warning");
}

static void *log_many(void *arg)
{
    log_set_subject((struct log_subject){ .retirement = *(int *)arg });
    for (int i = 0; i < 100; i++)
        log_info("%d!", *(int *)arg);
    return NULL;
}

static void test_log__lines_of_threads_do_not_mix(void **state)
{
    pthread_t threads[4];
    int numbers[4] = { 1, 2, 3, 4 };
    int seen = 0;
    log_setup(LOG_INFO, false, ends[1]);
    for (int i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, log_many, &numbers[i]), 0);
    for (int i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    logged();
    for (char *line = strtok(lines, "\n"); line; line = strtok(NULL, "\n"), seen++) {
        int subject, message;
        assert_int_equal(sscanf(without_time(line), "info    retirement=%d %d!", &subject, &message), 2);
        assert_int_equal(subject, message);
    }
    assert_int_equal(seen, 400);
}

/* As when the reader of a container's log stops: the log's thread is this one, and would wait for ever. */
static void test_log__lines_that_are_not_read_are_lost_and_counted(void **state)
{
    char all[64];
    int64_t before = log_lost(), written = 0;
    log_setup(LOG_INFO, false, ends[1]);
    while (log_lost() < before + 3) {
        log_info("line");
        written++;
    }
    written -= 3;
    log_set_subject((struct log_subject){ .stage = "LMS" });
    for (size_t len; (len = strlen(logged())) > 0;)
        for (size_t i = 0; i < len; i++)
            written -= lines[i] == '\n';
    assert_int_equal(written, 0);
    log_info("it flows");
    snprintf(all, sizeof(all), "warning 3 lines of the log were lost here");
    const char *news = without_time(logged());
    assert_memory_equal(news, all, strlen(all));
    assert_string_equal(without_time(strchr(news, '\n') + 1), "info    stage=LMS it flows\n");
    log_info("on");
    assert_string_equal(without_time(logged()), "info    stage=LMS on\n");
    assert_int_equal(log_lost(), before + 3);
}

int main(void)
{
#define LOG_TEST(name) cmocka_unit_test_setup_teardown(name, open_pipe, close_pipe)
    const struct CMUnitTest tests[] = {
        LOG_TEST(test_log__text_line_has_time_level_and_message),
        LOG_TEST(test_log__level_hides_what_is_more_talkative),
        LOG_TEST(test_log__subject_is_added_until_it_is_put_back),
        LOG_TEST(test_log__a_line_stays_a_line),
        LOG_TEST(test_log__json_line_can_be_read),
        LOG_TEST(test_log__huge_messages_and_subjects_are_cut),
        LOG_TEST(test_log__hook_is_called_before_and_after),
        LOG_TEST(test_log__levels_are_parsed),
        LOG_TEST(test_log__lines_that_are_not_read_are_lost_and_counted),
        LOG_TEST(test_log__lines_of_threads_do_not_mix),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
