/* SPDX-License-Identifier: Apache-2.0 */
/* base/file.c: whole files, limits, permissions of secret files. */
#include "unit.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/file.h"
#include "scratch.h"

static struct scratch scratch;
static char path[2 * SCRATCH_MAX];

static int make_folder(void **state)
{
    scratch_make(&scratch);
    snprintf(path, sizeof(path), "%s", scratch_path(&scratch, "", "file"));
    return 0;
}

static int remove_folder(void **state)
{
    scratch_remove(&scratch);
    return 0;
}

static int remove_file(void **state)
{
    unlink(path);
    return 0;
}

static void test_file__read_gives_all_bytes(void **state)
{
    struct arena a = { 0 };
    struct err err;
    char *text;
    size_t len;
    scratch_write(path, "a\0b\n", 4, 0644);
    expect_ok(file_read(&a, path, 100, &text, &len, &err), &err);
    assert_int_equal(len, 4);
    assert_memory_equal(text, "a\0b\n", 5);
    expect_ok(file_read(&a, path, 100, &text, NULL, &err), &err);
    scratch_write(path, "", 0, 0644);
    expect_ok(file_read(&a, path, 100, &text, &len, &err), &err);
    assert_int_equal(len, 0);
    assert_string_equal(text, "");
    arena_free(&a);
}

static void test_file__limit_is_the_last_size_allowed(void **state)
{
    struct arena a = { 0 };
    struct err err;
    char *text;
    size_t len;
    scratch_write(path, "12345", 5, 0644);
    expect_ok(file_read(&a, path, 5, &text, &len, &err), &err);
    assert_string_equal(text, "12345");
    expect_error(file_read(&a, path, 4, &text, &len, &err), RC_TOO_LARGE, &err, path);
    arena_free(&a);
}

static void test_file__what_does_not_say_its_size_is_read_to_the_end(void **state)
{
    struct arena a = { 0 };
    struct err err;
    char *text;
    size_t len;
    char name[64], data[60000];
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    for (size_t i = 0; i < sizeof(data); i++)
        data[i] = (char)('a' + i % 26);
    assert_int_equal(write(ends[1], data, sizeof(data)), sizeof(data));
    close(ends[1]);
    snprintf(name, sizeof(name), "/dev/fd/%d", ends[0]);
    expect_ok(file_read(&a, name, 1 << 20, &text, &len, &err), &err);
    assert_int_equal(len, sizeof(data));
    assert_memory_equal(text, data, sizeof(data));
    close(ends[0]);
    assert_int_equal(file_read(&a, "/dev/zero", 100000, &text, &len, &err), RC_TOO_LARGE);
    arena_free(&a);
}

static void test_file__missing_and_unreadable_are_named(void **state)
{
    struct arena a = { 0 };
    struct err err;
    char *text;
    expect_error(file_read(&a, path, 5, &text, NULL, &err), RC_NOT_FOUND, &err, path);
    expect_error(file_read(&a, scratch.folder, 5, &text, NULL, &err), RC_IO, &err, scratch.folder);
    expect_error(file_read_secret(&a, path, NULL, &text, &err), RC_NOT_FOUND, &err, path);
    arena_free(&a);
}

static void test_file__secret_loses_its_line_end(void **state)
{
    static const char *const forms[] = { "s3cret", "s3cret\n", "s3cret\r\n" };
    struct arena a = { 0 };
    struct err err;
    char *text;
    for (size_t i = 0; i < 3; i++) {
        scratch_write(path, forms[i], strlen(forms[i]), 0600);
        expect_ok(file_read_secret(&a, path, NULL, &text, &err), &err);
        assert_string_equal(text, "s3cret");
    }
    scratch_write(path, "two\nlines\n\n", 11, 0400);
    expect_ok(file_read_secret(&a, path, NULL, &text, &err), &err);
    assert_string_equal(text, "two\nlines\n");
    arena_free(&a);
}

static void test_file__secret_is_refused_when_empty_or_open_to_others(void **state)
{
    static const mode_t modes[] = { 0640, 0604, 0620, 0602, 0644, 0666 };
    struct arena a = { 0 };
    struct err err;
    char *text;
    scratch_write(path, "", 0, 0600);
    expect_error(file_read_secret(&a, path, NULL, &text, &err), RC_INVALID, &err, "empty");
    scratch_write(path, "\n", 1, 0600);
    expect_error(file_read_secret(&a, path, NULL, &text, &err), RC_INVALID, &err, "empty");
    scratch_write(path, "a\0b", 3, 0600);
    expect_error(file_read_secret(&a, path, NULL, &text, &err), RC_INVALID, &err, "NUL");
    for (size_t i = 0; i < sizeof(modes) / sizeof(modes[0]); i++) {
        scratch_write(path, "s3cret", 6, modes[i]);
        expect_error(file_read_secret(&a, path, NULL, &text, &err), RC_INVALID, &err, "others can read");
        assert_null(strstr(err.text, "s3cret"));
    }
    arena_free(&a);
}

/* What is refused is refused without a wait: nothing ever comes out of these. */
static void test_file__only_plain_files_are_trusted(void **state)
{
    struct arena a = { 0 };
    struct err err;
    char *text;
    assert_int_equal(mkfifo(path, 0600), 0);
    expect_error(file_read_trusted(&a, path, 100, &text, NULL, &err), RC_INVALID, &err, "it is a pipe");
    expect_error(file_read_secret(&a, path, NULL, &text, &err), RC_INVALID, &err, "it is a pipe");
    unlink(path);
    assert_int_equal(symlink("/dev/zero", path), 0);
    expect_error(file_read_trusted(&a, path, 100, &text, NULL, &err), RC_INVALID, &err, "it is a device");
    unlink(path);
    expect_error(file_read_secret(&a, scratch.folder, NULL, &text, &err), RC_INVALID, &err,
                 "it is a directory");
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    memcpy(address.sun_path, path, strlen(path) + 1);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
    expect_error(file_read_secret(&a, path, NULL, &text, &err), RC_INVALID, &err, "it is a socket");
    close(fd);
    arena_free(&a);
}

static void test_file__what_others_can_change_is_not_trusted(void **state)
{
    static const mode_t good[] = { 0400, 0444, 0600, 0644, 0755 }, bad[] = { 0660, 0602, 0666, 0664, 0777 };
    struct arena a = { 0 };
    struct err err;
    char *text;
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        scratch_write(path, "a: 1", 4, good[i]);
        expect_ok(file_read_trusted(&a, path, 100, &text, NULL, &err), &err);
        unlink(path);
    }
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        scratch_write(path, "a: 1", 4, bad[i]);
        expect_error(file_read_trusted(&a, path, 100, &text, NULL, &err), RC_INVALID, &err, "chmod go-w");
    }
    arena_free(&a);
}

/* As containers have them: a link, to a file of root's for our group or, in one place only, for all. */
static void test_file__secrets_of_containers(void **state)
{
    struct arena a = { 0 };
    struct err err;
    char *text;
    const char *link = arena_strdup(&a, scratch_path(&scratch, "", "link"));
    const char *within = arena_printf(&a, "%s/../%s", scratch.folder, strrchr(scratch.folder, '/') + 1);
    assert_int_equal(symlink(path, link), 0);
    scratch_write(path, "s3cret", 6, 0440);
    expect_ok(file_read_secret(&a, link, NULL, &text, &err), &err);
    assert_int_equal(chmod(path, 0444), 0);
    expect_error(file_read_secret(&a, link, NULL, &text, &err), RC_INVALID, &err, "others can read");
    expect_error(file_read_secret(&a, link, "/run/secrets", &text, &err), RC_INVALID, &err, "others can");
    expect_error(file_read_secret(&a, link, path, &text, &err), RC_INVALID, &err, "others can read");
    expect_ok(file_read_secret(&a, link, within, &text, &err), &err);
    assert_int_equal(chmod(path, 0644), 0);
    expect_error(file_read_secret(&a, link, within, &text, &err), RC_INVALID, &err, "others can read");
    unlink(link);
    arena_free(&a);
}

/* Only root can give files away. */
static void test_file__files_of_other_users(void **state)
{
    struct arena a = { 0 };
    struct err err;
    char *text;
    if (geteuid() != 0)
        skip();
    scratch_write(path, "s3cret", 6, 0400);
    assert_int_equal(chown(path, 12345, 0), 0);
    expect_error(file_read_secret(&a, path, NULL, &text, &err), RC_INVALID, &err, "belongs to user 12345");
    expect_error(file_read_trusted(&a, path, 100, &text, NULL, &err), RC_INVALID, &err,
                 "user 12345, who can change it: it must belong to root, as which this runs");
    file_set_visiting(true);
    expect_ok(file_read_secret(&a, path, NULL, &text, &err), &err);
    expect_ok(file_read_trusted(&a, path, 100, &text, NULL, &err), &err);
    file_set_visiting(false);
    assert_int_equal(chown(path, 0, 12345), 0);
    assert_int_equal(chmod(path, 0440), 0);
    expect_error(file_read_secret(&a, path, NULL, &text, &err), RC_INVALID, &err, "others can read");
    arena_free(&a);
}

static void test_file__own_files_are_opened_without_following_links(void **state)
{
    struct arena a = { 0 };
    struct err err;
    int fd;
    const char *link = arena_strdup(&a, scratch_path(&scratch, "", "link"));
    scratch_write(path, "precious", 8, 0600);
    assert_int_equal(symlink(path, link), 0);
    expect_error(file_open_own(link, O_RDWR | O_CREAT | O_TRUNC, &fd, &err), RC_INVALID, &err,
                 "it is a link");
    assert_int_equal(fd, -1);
    unlink(link);
    assert_int_equal(mkfifo(link, 0600), 0);
    expect_error(file_open_own(link, O_RDWR | O_CREAT, &fd, &err), RC_INVALID, &err, "it is a pipe");
    expect_error(file_open_own(link, O_WRONLY, &fd, &err), RC_INVALID, &err, "it is a ");
    unlink(link);
    expect_ok(file_open_own(path, O_RDWR | O_CREAT, &fd, &err), &err);
    assert_int_equal(lseek(fd, 0, SEEK_END), 8);
    close(fd);
    arena_free(&a);
}

static void test_file__a_data_dir_is_ours_alone_or_our_groups(void **state)
{
    static const mode_t good[] = { 0700, 02770 }, bad[] = { 0770, 0750, 0701, 0777, 01777, 02775, 02750 };
    struct err err;
    const char *folder = scratch_path(&scratch, "", "data");
    expect_ok(file_make_data_dir(folder, &err), &err);
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        assert_int_equal(chmod(folder, good[i]), 0);
        expect_ok(file_make_data_dir(folder, &err), &err);
    }
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_int_equal(chmod(folder, bad[i]), 0);
        expect_error(file_make_data_dir(folder, &err), RC_INVALID, &err, "chmod 700");
    }
    if (geteuid() == 0) {
        assert_int_equal(chown(folder, 0, 12345), 0);
        assert_int_equal(chmod(folder, 02770), 0);
        expect_error(file_make_data_dir(folder, &err), RC_INVALID, &err, "chmod 700");
        assert_int_equal(chown(folder, 12345, 0), 0);
        assert_int_equal(chmod(folder, 0700), 0);
        expect_error(file_make_data_dir(folder, &err), RC_INVALID, &err, "belongs to user 12345");
    }
    assert_int_equal(rmdir(folder), 0);
    scratch_write(path, "", 0, 0600);
    expect_error(file_make_data_dir(path, &err), RC_INVALID, &err, "not a directory");
}

static void test_file__create_private_never_overwrites(void **state)
{
    struct arena a = { 0 };
    struct err err;
    struct stat st;
    char *text;
    expect_ok(file_create_private(path, "first", 5, &err), &err);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    assert_int_equal(st.st_nlink, 1);
    expect_error(file_create_private(path, "second", 6, &err), RC_CONFLICT, &err, path);
    expect_ok(file_read(&a, path, 100, &text, NULL, &err), &err);
    assert_string_equal(text, "first");
    arena_free(&a);
}

static void test_file__create_private_reports_failures(void **state)
{
    struct err err;
    expect_error(file_create_private("/nonexistent/x", "a", 1, &err), RC_NOT_FOUND, &err, "/nonexistent/x");
    assert_int_not_equal(file_create_private("/proc/x", "a", 1, &err), RC_OK);
}

static int count_entries(const char *folder)
{
    int n = 0;
    DIR *dir = opendir(folder);
    assert_non_null(dir);
    while (readdir(dir))
        n++;
    closedir(dir);
    return n;
}

static void test_file__room_is_tried_and_nothing_left_behind(void **state)
{
    struct err err;
    int before = count_entries(scratch.folder);
    expect_ok(file_check_room(scratch.folder, 4096, &err), &err);
    assert_int_equal(file_check_room(scratch.folder, (size_t)1 << 61, &err), RC_NO_SPACE);
    assert_int_equal(file_check_room(scratch_path(&scratch, "", "nowhere"), 1, &err), RC_NOT_FOUND);
    assert_int_equal(count_entries(scratch.folder), before);
}

static void test_file__beside_is_seen_from_the_folder(void **state)
{
    struct arena a = { 0 };
    assert_string_equal(file_beside(&a, "/etc/lethe/lethe.yml", "salts"), "/etc/lethe/salts");
    assert_string_equal(file_beside(&a, "/etc/lethe/lethe.yml", "/run/salts"), "/run/salts");
    assert_string_equal(file_beside(&a, "conf/lethe.yml", "../salts"), "conf/../salts");
    assert_string_equal(file_beside(&a, "lethe.yml", "salts"), "salts");
    assert_string_equal(file_beside(&a, "/lethe.yml", "salts"), "/salts");
    arena_free(&a);
}

static void test_file__a_folder_is_made_for_the_owner_alone(void **state)
{
    struct err err;
    struct stat st;
    const char *folder = scratch_path(&scratch, "", "folder");
    expect_ok(file_make_folder(folder, &err), &err);
    assert_int_equal(stat(folder, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0700);
    assert_int_equal(chmod(folder, 0750), 0);
    expect_ok(file_make_folder(folder, &err), &err); /* it is there, and stays as it is */
    assert_int_equal(stat(folder, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0750);
    expect_error(file_make_folder(scratch_path(&scratch, "", "nowhere/folder"), &err), RC_NOT_FOUND, &err,
                 "nowhere/folder: ");
    assert_int_equal(rmdir(folder), 0);
}

static void test_file__renamed_it_takes_the_place_of_another(void **state)
{
    struct arena a = { 0 };
    struct err err;
    char *text;
    size_t len;
    const char *other = arena_strdup(&a, scratch_path(&scratch, "", "other"));
    scratch_write(path, "new", 3, 0600);
    scratch_write(other, "old", 3, 0600);
    expect_ok(file_rename(path, other, &err), &err);
    expect_ok(file_read(&a, other, 100, &text, &len, &err), &err);
    assert_string_equal(text, "new");
    assert_int_equal(access(path, F_OK), -1);
    expect_error(file_rename(path, other, &err), RC_NOT_FOUND, &err, "other: ");
    unlink(other);
    arena_free(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(test_file__read_gives_all_bytes, remove_file),
        cmocka_unit_test_teardown(test_file__limit_is_the_last_size_allowed, remove_file),
        cmocka_unit_test(test_file__what_does_not_say_its_size_is_read_to_the_end),
        cmocka_unit_test(test_file__missing_and_unreadable_are_named),
        cmocka_unit_test_teardown(test_file__secret_loses_its_line_end, remove_file),
        cmocka_unit_test_teardown(test_file__secret_is_refused_when_empty_or_open_to_others, remove_file),
        cmocka_unit_test_teardown(test_file__only_plain_files_are_trusted, remove_file),
        cmocka_unit_test_teardown(test_file__what_others_can_change_is_not_trusted, remove_file),
        cmocka_unit_test_teardown(test_file__secrets_of_containers, remove_file),
        cmocka_unit_test_teardown(test_file__files_of_other_users, remove_file),
        cmocka_unit_test_teardown(test_file__own_files_are_opened_without_following_links, remove_file),
        cmocka_unit_test_teardown(test_file__a_data_dir_is_ours_alone_or_our_groups, remove_file),
        cmocka_unit_test_teardown(test_file__create_private_never_overwrites, remove_file),
        cmocka_unit_test(test_file__create_private_reports_failures),
        cmocka_unit_test(test_file__room_is_tried_and_nothing_left_behind),
        cmocka_unit_test(test_file__beside_is_seen_from_the_folder),
        cmocka_unit_test(test_file__a_folder_is_made_for_the_owner_alone),
        cmocka_unit_test(test_file__renamed_it_takes_the_place_of_another),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
