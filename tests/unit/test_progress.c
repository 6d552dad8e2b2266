/* SPDX-License-Identifier: Apache-2.0 */
/* driver/progress.c: the line of the bar in any width, and what goes to a terminal. */
#include "unit.h"

#include <fcntl.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/text.h"
#include "driver/progress.h"

static char line[1024];

static const char *format(struct progress_view view, unsigned width)
{
    struct buf out;
    buf_init(&out, sizeof(line) - 1);
    progress_format(&view, width, &out);
    snprintf(line, sizeof(line), "%s", buf_str(&out));
    buf_free(&out);
    return line;
}

static const struct progress_view busy = {
    .people = 250,
    .total = 1000,
    .stages = 1200,
    .stages_per_s = 2012.6,
    .errored = 3,
    .waiting = 12,
    .left_us = 80 * CLOCK_S - 1,
};

static void test_progress__in_80_columns(void **state)
{
    assert_string_equal(format(busy, 79),
                        "[==>     ]  250/1000 people  2013 stages/s  3 errored  12 retrying  1m 20s left");
}

static void test_progress__says_why_people_wait(void **state)
{
    struct progress_view view = busy;
    view.why = "503 from notes";
    assert_string_equal(format(view, 79),
                        "250/1000 people  2013 stages/s  3 errored  12 retrying  503 from notes");
    assert_string_equal(format(view, 119),
                        "[========>                       ]  250/1000 people  2013 stages/s  3 errored  "
                        "12 retrying  503 from notes  1m 20s left");
    view.errored = view.waiting = 0;
    view.why = "the authority does not answer: Could not connect to Süd";
    assert_string_equal(format(view, 79),
                        "250/1000 people  2013 stages/s  the authority does not answer: Could not c...");
    expect_text_has(format(view, 119), "Could not connect to Süd  1m 20s left");
    assert_string_equal(format(view, 50), "250/1000 people  2013 stages/s");
}

static void test_progress__says_only_what_there_is(void **state)
{
    struct progress_view view = { .total = 10, .left_us = -1 };
    assert_string_equal(format(view, 79),
                        "[>                                     ]  0/10 people  0 stages/s");
    view.people = 10;
    assert_string_equal(format(view, 79),
                        "[======================================]  10/10 people  0 stages/s");
    view.held = 2;
    expect_text_has(format(view, 79), "10/10 people  waiting for 2 held by another driver");
    view = (struct progress_view){ .left_us = -1 };
    expect_text_has(format(view, 79), "0/0 people");
}

static void test_progress__never_wider_than_the_terminal(void **state)
{
    struct progress_view huge = {
        .people = INT64_MAX / 200,
        .total = INT64_MAX / 100,
        .stages_per_s = 1e15,
        .errored = 1000000000,
        .waiting = 100000,
        .left_us = 86400 * 300 * CLOCK_S,
    };
    struct progress_view failing = busy;
    failing.why = "the authority answers, but it makes no sense: ääääääääääääääääääääääääääääääääää";
    for (unsigned width = 0; width < 400; width++) {
        assert_true(strlen(format(huge, width)) <= width);
        assert_true(strlen(format(busy, width)) <= width);
        assert_true(strlen(format(failing, width)) <= width);
        assert_true(text_is_utf8(line, strlen(line)));
    }
    assert_string_equal(format(busy, 12), "");
    assert_string_equal(format(busy, 20), "250/1000 people");
}

/* ---- what arrives at the terminal ---- */

static char output[4096];

static const char *drain(int fd)
{
    ssize_t n = read(fd, output, sizeof(output) - 1);
    assert_true(n >= 0);
    output[n] = '\0';
    return output;
}

static void test_progress__log_lines_are_not_torn(void **state)
{
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    log_setup(LOG_INFO, false, ends[1]);
    struct progress *p = progress_open(ends[1]);
    struct progress_view view = { .people = 1, .total = 2 };
    progress_show(p, &view, 1, 1);
    expect_text_has(drain(ends[0]), "1/2 people");
    log_info("hello");
    drain(ends[0]);
    assert_int_equal(strncmp(output, "\r\x1b[K", 4), 0);
    const char *end_of_line = strchr(output, '\n');
    assert_non_null(end_of_line);
    assert_int_equal(strncmp(end_of_line - 5, "hello", 5), 0);
    assert_int_equal(end_of_line[1], '\r');
    expect_text_has(end_of_line, "1/2 people");
    progress_close(&p);
    assert_string_equal(drain(ends[0]), "\n");
    log_info("after");
    assert_true(drain(ends[0])[0] != '\r');
    log_setup(LOG_INFO, false, 2);
    close(ends[0]);
    close(ends[1]);
}

static void test_progress__follows_the_width_of_the_window(void **state)
{
    int master = posix_openpt(O_RDWR | O_NOCTTY);
    if (master < 0 || grantpt(master) != 0 || unlockpt(master) != 0)
        skip();
    int terminal = open(ptsname(master), O_RDWR | O_NOCTTY);
    assert_true(terminal >= 0);
    struct progress *p = progress_open(terminal);
    for (unsigned short width = 20; width <= 120; width += 25) {
        const struct winsize size = { .ws_row = 24, .ws_col = width };
        assert_int_equal(ioctl(master, TIOCSWINSZ, &size), 0);
        struct progress_view view = busy;
        progress_show(p, &view, 100, width * CLOCK_S);
        size_t len = strlen(drain(master)) - strlen("\r\x1b[K");
        assert_true(len < width && len > 0);
    }
    progress_close(&p);
    close(terminal);
    close(master);
}

static void test_progress__tells_how_long_it_takes(void **state)
{
    int fd = open("/dev/null", O_WRONLY);
    struct progress *p = progress_open(fd);
    struct progress_view view = { .total = 100 };
    progress_show(p, &view, 400, CLOCK_S);
    assert_int_equal(view.left_us, -1);
    view.stages = 10;
    progress_show(p, &view, 390, CLOCK_S + CLOCK_S / 10);
    assert_int_equal((int)view.stages_per_s, 100);
    view.stages = 100;
    progress_show(p, &view, 300, 2 * CLOCK_S);
    assert_int_equal((int)view.stages_per_s, 100);
    assert_int_equal(view.left_us, 3 * CLOCK_S);
    progress_show(p, &view, 300, 2 * CLOCK_S + 1);
    assert_int_equal((int)view.stages_per_s, 100);
    progress_close(&p);
    close(fd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_progress__in_80_columns),
        cmocka_unit_test(test_progress__says_why_people_wait),
        cmocka_unit_test(test_progress__says_only_what_there_is),
        cmocka_unit_test(test_progress__never_wider_than_the_terminal),
        cmocka_unit_test(test_progress__log_lines_are_not_torn),
        cmocka_unit_test(test_progress__follows_the_width_of_the_window),
        cmocka_unit_test(test_progress__tells_how_long_it_takes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
