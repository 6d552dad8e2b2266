/* SPDX-License-Identifier: Apache-2.0 */
/* base/arena.c: alignment, zeroes, growth, and that what is forgotten is gone. */
#include "unit.h"

#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/arena.h"

static int all_zero(const char *p, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (p[i] != 0)
            return 0;
    return 1;
}

static void test_arena__pieces_are_zeroed_aligned_and_apart(void **state)
{
    struct arena a = { 0 };
    char *pieces[500];
    for (size_t i = 0; i < 500; i++) {
        pieces[i] = arena_alloc(&a, i);
        assert_int_equal((uintptr_t)pieces[i] % _Alignof(max_align_t), 0);
        assert_true(all_zero(pieces[i], i));
        memset(pieces[i], (int)(i % 255) + 1, i);
    }
    for (size_t i = 0; i < 500; i++)
        for (size_t j = 0; j < i; j++)
            assert_int_equal((unsigned char)pieces[i][j], i % 255 + 1);
    arena_free(&a);
}

static void test_arena__large_pieces_do_not_waste_the_chunk(void **state)
{
    struct arena a = { 0 };
    char *first = arena_alloc(&a, 16);
    char *large = arena_alloc(&a, 1000000);
    memset(large, 'x', 1000000);
    assert_ptr_equal(arena_alloc(&a, 16), first + 16);
    assert_true(a.used >= 1000032);
    arena_free(&a);
    assert_null(a.chunk);
    assert_int_equal(a.used, 0);
}

static void test_arena__reset_wipes_and_uses_the_chunk_again(void **state)
{
    struct arena a = { 0 };
    char *first = arena_strdup(&a, "personal data");
    arena_reset(&a);
    assert_int_equal(a.used, 0);
    assert_true(all_zero(first, 16));
    assert_ptr_equal(arena_alloc(&a, 16), first);
    for (int i = 0; i < 1000; i++)
        memset(arena_alloc(&a, 300), 'x', 300);
    arena_reset(&a);
    for (int i = 0; i < 1000; i++)
        assert_true(all_zero(arena_alloc(&a, 300), 300));
    arena_free(&a);
}

static void test_arena__reset_and_free_of_a_new_one_do_nothing(void **state)
{
    struct arena a = { 0 };
    arena_reset(&a);
    arena_free(&a);
    assert_null(a.chunk);
}

static void test_arena__texts_are_copied_and_terminated(void **state)
{
    struct arena a = { 0 };
    assert_null(arena_strdup(&a, NULL));
    assert_string_equal(arena_strdup(&a, "abc"), "abc");
    assert_string_equal(arena_strdup(&a, ""), "");
    assert_string_equal(arena_strndup(&a, "abcdef", 3), "abc");
    assert_string_equal(arena_strndup(&a, NULL, 0), "");
    assert_memory_equal(arena_strndup(&a, "a\0b", 3), "a\0b", 4);
    assert_string_equal(arena_printf(&a, "%d-%s", 5, "x"), "5-x");
    char *wide = arena_printf(&a, "%9000d", 1);
    assert_int_equal(strlen(wide), 9000);
    arena_free(&a);
}

/* How a child that does this ends: the signal, or 0. */
static int signal_of(void (*act)(void))
{
    int status;
    fflush(NULL);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        struct rlimit none = { 0, 0 };
        setrlimit(RLIMIT_CORE, &none);
        signal(SIGABRT, SIG_DFL);
        if (freopen("/dev/null", "w", stderr))
            act();
        _exit(0);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return WIFSIGNALED(status) ? WTERMSIG(status) : 0;
}

static void ask_for_an_overflow(void)
{
    struct arena a = { 0 };
    arena_array(&a, SIZE_MAX / 8 + 2, 8);
}

static void ask_for_a_little(void)
{
    struct arena a = { 0 };
    arena_array(&a, 4, 8);
}

static void test_arena__overflow_ends_the_process(void **state)
{
    assert_int_equal(signal_of(ask_for_an_overflow), SIGABRT);
    assert_int_equal(signal_of(ask_for_a_little), 0);
}

static void test_arena__x_functions_never_give_null(void **state)
{
    char *p = xcalloc(0, 0);
    assert_non_null(p);
    p = xrealloc(p, 0);
    assert_non_null(p);
    free(p);
    char *s = xstrdup("abc");
    assert_string_equal(s, "abc");
    free(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_arena__pieces_are_zeroed_aligned_and_apart),
        cmocka_unit_test(test_arena__large_pieces_do_not_waste_the_chunk),
        cmocka_unit_test(test_arena__reset_wipes_and_uses_the_chunk_again),
        cmocka_unit_test(test_arena__reset_and_free_of_a_new_one_do_nothing),
        cmocka_unit_test(test_arena__texts_are_copied_and_terminated),
        cmocka_unit_test(test_arena__overflow_ends_the_process),
        cmocka_unit_test(test_arena__x_functions_never_give_null),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
