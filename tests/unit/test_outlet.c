/* SPDX-License-Identifier: Apache-2.0 */
/* base/outlet.c: whatever the reader does, the writer never waits. If it did, these tests would not end. */
#include "unit.h"

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <termios.h>
#include <unistd.h>

#include "base/outlet.h"
#include "scratch.h"

enum { LONG_LEN = 10000, TRIES = 100000 };

static int fds[2]; /* read here, write there */
static char text[LONG_LEN + 1];

static int open_pipe(void **state)
{
    memset(text, 'x', LONG_LEN);
    return pipe(fds);
}

static int open_sockets(void **state)
{
    memset(text, 'x', LONG_LEN);
    return socketpair(AF_UNIX, SOCK_STREAM, 0, fds);
}

static int open_terminal(void **state)
{
    struct termios raw;
    memset(text, 'x', LONG_LEN);
    fds[0] = posix_openpt(O_RDWR | O_NOCTTY);
    if (fds[0] < 0 || grantpt(fds[0]) != 0 || unlockpt(fds[0]) != 0)
        return -1;
    fds[1] = open(ptsname(fds[0]), O_RDWR | O_NOCTTY);
    if (fds[1] < 0 || tcgetattr(fds[1], &raw) != 0)
        return -1;
    cfmakeraw(&raw);
    return tcsetattr(fds[1], TCSANOW, &raw);
}

static int close_both(void **state)
{
    if (fds[0] >= 0)
        close(fds[0]);
    close(fds[1]);
    return 0;
}

static size_t read_some(void)
{
    char data[LONG_LEN];
    ssize_t n = read(fds[0], data, sizeof(data));
    assert_true(n > 0);
    for (ssize_t i = 0; i < n; i++)
        assert_true(data[i] == 'x' || data[i] == '\n');
    return (size_t)n;
}

/* Puts texts until one is lost; returns how many bytes were taken. */
static size_t fill(struct outlet *o, size_t len)
{
    size_t taken = 0;
    for (int i = 0; i < TRIES; i++) {
        if (!outlet_put(o, text, len))
            return taken;
        taken += len;
    }
    fail_msg("it takes for ever");
    return 0;
}

static void test_outlet__a_reader_that_stops_loses_whole_texts(void **state)
{
    static const size_t lens[] = { 1, 100, 4096, 4097, LONG_LEN };
    for (size_t i = 0; i < sizeof(lens) / sizeof(lens[0]); i++) {
        struct outlet *o = outlet_open(fds[1]);
        size_t taken = fill(o, lens[i]), got = 0;
        assert_true(taken > 0);
        while (!outlet_put(o, "\n", 1)) /* behind the rest of the last text */
            got += read_some();
        while (got < taken + 1)
            got += read_some();
        assert_int_equal(got, taken + 1);
        outlet_close(&o);
    }
}

static void test_outlet__others_keep_a_descriptor_that_waits(void **state)
{
    struct outlet *o = outlet_open(fds[1]);
    assert_true(outlet_put(o, text, 1));
    assert_int_equal(fcntl(fds[1], F_GETFL) & O_NONBLOCK, 0);
    outlet_close(&o);
    assert_null(o);
    assert_int_equal(fcntl(fds[1], F_GETFL) & O_NONBLOCK, 0);
}

static void test_outlet__a_reader_that_is_gone(void **state)
{
    struct outlet *o = outlet_open(fds[1]);
    close(fds[0]);
    fds[0] = -1;
    assert_false(outlet_put(o, text, 10));
    outlet_close(&o);
    o = outlet_open(-1);
    assert_false(outlet_put(o, text, 10));
    outlet_close(&o);
}

static void test_outlet__a_file_is_written_where_it_ends(void **state)
{
    struct scratch scratch;
    struct stat st;
    scratch_make(&scratch);
    int fd = open(scratch_path(&scratch, "", "log"), O_WRONLY | O_CREAT, 0600);
    assert_int_equal(write(fd, "before\n", 7), 7);
    struct outlet *o = outlet_open(fd);
    assert_true(outlet_put(o, "line\n", 5));
    assert_int_equal(write(fd, "after\n", 6), 6);
    assert_int_equal(fstat(fd, &st), 0);
    assert_int_equal(st.st_size, 18);
    outlet_close(&o);
    close(fd);
    scratch_remove(&scratch);
}

#define ON(open, test) cmocka_unit_test_setup_teardown(test, open, close_both)

int main(void)
{
    const struct CMUnitTest tests[] = {
        ON(open_pipe, test_outlet__a_reader_that_stops_loses_whole_texts),
        ON(open_sockets, test_outlet__a_reader_that_stops_loses_whole_texts),
        ON(open_terminal, test_outlet__a_reader_that_stops_loses_whole_texts),
        ON(open_pipe, test_outlet__others_keep_a_descriptor_that_waits),
        ON(open_sockets, test_outlet__others_keep_a_descriptor_that_waits),
        ON(open_terminal, test_outlet__others_keep_a_descriptor_that_waits),
        ON(open_pipe, test_outlet__a_reader_that_is_gone),
        ON(open_sockets, test_outlet__a_reader_that_is_gone),
        cmocka_unit_test(test_outlet__a_file_is_written_where_it_ends),
    };
    signal(SIGPIPE, SIG_IGN);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
