/* SPDX-License-Identifier: Apache-2.0 */
/* base/memory.c: which of the limits of a process's memory counts. */
#include "unit.h"

#include <sys/resource.h>
#include <sys/wait.h>

#include "base/memory.h"
#include "scratch.h"

static struct scratch root;

static void write_at(const char *folder, const char *name, const char *text)
{
    char path[2 * SCRATCH_MAX] = "";
    for (const char *at = folder; at; at = strchr(at + 1, '/')) {
        const char *end = strchr(at + 1, '/');
        snprintf(path, sizeof(path), "%s/%.*s", root.folder, (int)(end ? end - folder : (long)strlen(folder)),
                 folder);
        mkdir(path, 0700);
    }
    strcat(strcat(path, "/"), name);
    scratch_write(path, text, strlen(text), 0600);
}

static int setup(void **state)
{
    scratch_make(&root);
    return 0;
}

static int teardown(void **state)
{
    scratch_remove(&root);
    return 0;
}

static void test_memory__a_group_may_have_less_than_the_machine(void **state)
{
    uint64_t all = memory_of_process_below(root.folder);
    assert_true(all >= 64 << 20);
    write_at("proc/self", "cgroup", "1:name=systemd:/other\n0::/system.slice/lethe.service\n");
    assert_int_equal(memory_of_process_below(root.folder), all); /* the file is missing */
    write_at("sys/fs/cgroup/system.slice/lethe.service", "memory.max", "50331648\n");
    assert_int_equal(memory_of_process_below(root.folder), 50331648);
    write_at("sys/fs/cgroup/system.slice/lethe.service", "memory.max", "max\n");
    assert_int_equal(memory_of_process_below(root.folder), all);
    write_at("proc/self", "cgroup", "0::/\n"); /* in a container */
    write_at("sys/fs/cgroup", "memory.max", "67108864\n");
    assert_int_equal(memory_of_process_below(root.folder), 67108864);
}

static void test_memory__a_group_around_ours_may_have_less(void **state)
{
    write_at("proc/self", "cgroup", "0::/a.slice/b.service\n");
    write_at("sys/fs/cgroup/a.slice/b.service", "memory.max", "max\n");
    write_at("sys/fs/cgroup/a.slice", "memory.max", "33554432\n");
    write_at("sys/fs/cgroup", "memory.max", "67108864\n");
    assert_int_equal(memory_of_process_below(root.folder), 33554432);
}

static void test_memory__version_1_of_groups(void **state)
{
    write_at("proc/self", "cgroup", "5:cpu:/x\n4:memory:/docker/4711\n");
    write_at("sys/fs/cgroup/memory/docker/4711", "memory.limit_in_bytes", "9223372036854771712\n");
    write_at("sys/fs/cgroup/memory", "memory.limit_in_bytes", "33554432\n"); /* as a container sees its own */
    assert_int_equal(memory_of_process_below(root.folder), 33554432);
}

#ifndef __SANITIZE_ADDRESS__ /* its shadow is larger than any limit that means something */
static void test_memory__addresses_may_be_fewer(void **state)
{
    int status = 0;
    pid_t child = fork();
    if (child == 0) {
        struct rlimit few;
        getrlimit(RLIMIT_AS, &few);
        few.rlim_cur = 32 << 20;
        _exit(setrlimit(RLIMIT_AS, &few) != 0 || memory_of_process() != 32 << 20);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}
#endif

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_memory__a_group_may_have_less_than_the_machine, setup, teardown),
        cmocka_unit_test_setup_teardown(test_memory__a_group_around_ours_may_have_less, setup, teardown),
        cmocka_unit_test_setup_teardown(test_memory__version_1_of_groups, setup, teardown),
#ifndef __SANITIZE_ADDRESS__
        cmocka_unit_test(test_memory__addresses_may_be_fewer),
#endif
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
