/* SPDX-License-Identifier: Apache-2.0 */
/* The journal: what it still has after every kind of end, and how it reads a damaged file. */
#include "driver/authority/journal.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/file.h"
#include "wire/wire.h"

enum { TEXT_MAX = 16 * 1024 * 1024 };

#define URL  "https://courses.example.com"
#define KEY  "0123456789abcdef0123456789abcdef"
#define KEY2 "fedcba9876543210fedcba9876543210"

static char folder[64];
static struct arena arena;

static int make_folder(void **state)
{
    snprintf(folder, sizeof(folder), "/tmp/lethe-test-journal.XXXXXX");
    assert_non_null(mkdtemp(folder));
    assert_int_equal(rmdir(folder), 0); /* it is made by the journal */
    return 0;
}

static int remove_folder(void **state)
{
    char command[128];
    snprintf(command, sizeof(command), "rm -rf %s", folder);
    int failed = system(command);
    arena_free(&arena);
    return failed;
}

static struct journal *open_journal(void)
{
    struct journal *j = NULL;
    struct err err;
    if (journal_open(folder, URL, &world_real, &j, &err))
        fail_msg("%s", err.text);
    return j;
}

static void sync_journal(struct journal *j)
{
    struct err err;
    if (journal_sync(j, &err))
        fail_msg("%s", err.text);
}

/* Its name is a digest of the address. */
static const char *path(void)
{
    return arena_printf(&arena, "%s/journal-%s", folder, "68e655cde34c5d04");
}

static char *read_journal(void)
{
    char *text = NULL;
    struct err err;
    if (file_read(&arena, path(), TEXT_MAX, &text, NULL, &err))
        fail_msg("%s", err.text);
    return text;
}

static void write_journal(const char *text)
{
    FILE *f = fopen(path(), "w");
    assert_non_null(f);
    assert_true(fputs(text, f) >= 0);
    assert_int_equal(fclose(f), 0);
}

static void expect(const struct journal *j, int64_t id, const char *stage, const char *key)
{
    const struct journal_entry *entry = journal_find(j, id);
    assert_non_null(entry);
    assert_string_equal(entry->stage, stage);
    assert_string_equal(entry->run_key, key);
}

static void test_journal__what_was_entered_is_found_again(void **state)
{
    struct journal *j = open_journal();
    journal_enter(j, 17, "RETIRING_FORUMS", KEY);
    journal_enter(j, 18, "RETIRING_FORUMS", KEY2);
    journal_enter(j, 17, "RETIRING_LMS", KEY);
    journal_end(j, 18);
    journal_end(j, 99);
    expect(j, 17, "RETIRING_LMS", KEY);
    assert_null(journal_find(j, 18));
    journal_close(&j);
    j = open_journal();
    expect(j, 17, "RETIRING_LMS", KEY);
    assert_null(journal_find(j, 18));
    assert_null(journal_find(j, 99));
    journal_close(&j);
}

static void test_journal__is_on_disk_after_a_sync(void **state)
{
    struct journal *j = open_journal();
    journal_enter(j, 17, "RETIRING_FORUMS", KEY);
    assert_string_equal(read_journal(), "");
    sync_journal(j);
    assert_non_null(strstr(read_journal(), "enter 17 RETIRING_FORUMS " KEY " "));
    journal_close(&j);
}

static void test_journal__is_for_its_owner_alone(void **state)
{
    struct stat st;
    struct journal *j = open_journal();
    assert_int_equal(stat(folder, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0700);
    assert_int_equal(stat(path(), &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    journal_close(&j);
}

/* Wherever the file is cut, no half line is believed, and all lines before the cut are. */
static void test_journal__a_cut_file_loses_its_last_line_alone(void **state)
{
    struct journal *j = open_journal();
    journal_enter(j, 17, "RETIRING_FORUMS", KEY);
    sync_journal(j);
    size_t first = strlen(read_journal());
    journal_enter(j, 18, "RETIRING_LMS", KEY2);
    sync_journal(j);
    const char *whole = read_journal();
    journal_close(&j);
    for (size_t len = first; len < strlen(whole) - 1; len++) {
        write_journal(arena_strndup(&arena, whole, len));
        j = open_journal();
        expect(j, 17, "RETIRING_FORUMS", KEY);
        assert_null(journal_find(j, 18));
        journal_close(&j);
    }
}

/* What a driver that is killed leaves, from the last sync on. */
static void die(struct journal **j)
{
    sync_journal(*j);
    const char *left = read_journal();
    journal_close(j);
    write_journal(left);
}

static unsigned suspects_of(const struct journal *j, int64_t id)
{
    return journal_find(j, id)->suspects;
}

static void test_journal__people_of_a_driver_that_died_are_suspects(void **state)
{
    struct journal *j = open_journal();
    for (int64_t id = 1; id <= 7; id++)
        journal_enter(j, id, "RETIRING_LMS", KEY);
    journal_rest(j, 6, false);
    journal_put_off(j, 7, 1, 2, "{}");
    journal_rest(j, 7, true);
    die(&j);
    j = open_journal();
    for (int64_t id = 1; id <= 7; id++)
        assert_int_equal(suspects_of(j, id), id <= 5 ? 2 : 0);
    journal_go(j, 3);
    journal_go(j, 4);
    die(&j);
    j = open_journal();
    assert_int_equal(suspects_of(j, 2), 2); /* it waited for its turn */
    assert_int_equal(suspects_of(j, 3), 1);
    assert_int_equal(journal_find(j, 3)->deaths, 0);
    journal_go(j, 3);
    journal_enter(j, 3, "RETIRING_NOTES", KEY); /* the stage is over: it is no suspect any more */
    die(&j);
    j = open_journal();
    assert_int_equal(suspects_of(j, 3), 1);
    assert_int_equal(journal_find(j, 3)->deaths, 0);
    journal_close(&j);
}

static void test_journal__only_a_death_alone_in_a_call_counts(void **state)
{
    struct journal *j = open_journal();
    journal_enter(j, 17, "RETIRING_LMS", KEY);
    journal_enter(j, 18, "RETIRING_LMS", KEY);
    die(&j);
    for (unsigned deaths = 0; deaths < 3; deaths++) {
        j = open_journal();
        assert_int_equal(journal_find(j, 17)->deaths, deaths);
        journal_go(j, 17); /* and no call: nothing is counted */
        die(&j);
        j = open_journal();
        assert_int_equal(journal_find(j, 17)->deaths, deaths);
        journal_go(j, 17);
        journal_calls(j, 17);
        journal_close(&j); /* it ends in order */
        j = open_journal();
        assert_int_equal(journal_find(j, 17)->deaths, deaths);
        journal_go(j, 17);
        journal_calls(j, 17);
        die(&j);
    }
    j = open_journal();
    assert_int_equal(journal_find(j, 17)->deaths, 3);
    assert_int_equal(journal_find(j, 18)->deaths, 0);
    journal_go(j, 17);
    journal_put_off(j, 17, 1, 2, NULL);
    journal_rest(j, 17, true); /* a sign of life */
    die(&j);
    j = open_journal();
    assert_int_equal(journal_find(j, 17)->deaths + suspects_of(j, 17), 0);
    assert_int_equal(suspects_of(j, 18), 1);
    journal_close(&j);
}

static void test_journal__a_changed_byte_is_no_line(void **state)
{
    struct journal *j = open_journal();
    journal_enter(j, 17, "RETIRING_FORUMS", KEY);
    journal_close(&j);
    const char *whole = read_journal();
    for (size_t i = 0; whole[i] != '\n'; i++) {
        char *changed = arena_strdup(&arena, whole);
        changed[i] = changed[i] == 'x' ? 'y' : 'x';
        write_journal(changed);
        j = open_journal();
        assert_null(journal_find(j, 17));
        journal_close(&j);
    }
}

static void test_journal__old_lines_do_not_gather(void **state)
{
    struct journal *j = open_journal();
    journal_enter(j, 1, "RETIRING_FORUMS", KEY);
    for (int64_t id = 2; id < 5000; id++) {
        journal_enter(j, id, "RETIRING_FORUMS", KEY2);
        journal_end(j, id);
        if (id % 10 == 0)
            sync_journal(j);
    }
    assert_true(strlen(read_journal()) < 200000);
    expect(j, 1, "RETIRING_FORUMS", KEY);
    journal_close(&j);
    j = open_journal();
    expect(j, 1, "RETIRING_FORUMS", KEY);
    assert_null(journal_find(j, 4999));
    journal_close(&j);
}

static void end_odd(void *arg, const struct journal_entry *entry)
{
    if (entry->id % 2 == 1)
        journal_end(arg, entry->id);
}

static void test_journal__entries_may_end_while_they_are_looked_at(void **state)
{
    struct journal *j = open_journal();
    for (int64_t id = 1; id <= 1000; id++)
        journal_enter(j, id, "RETIRING_FORUMS", KEY);
    journal_each(j, end_odd, j);
    for (int64_t id = 1; id <= 1000; id++)
        assert_int_equal(journal_find(j, id) != NULL, id % 2 == 0);
    journal_close(&j);
}

static void test_journal__is_of_one_authority(void **state)
{
    struct err err;
    struct journal *other = NULL, *j = open_journal();
    journal_enter(j, 17, "RETIRING_FORUMS", KEY);
    assert_int_equal(journal_open(folder, URL "/other", &world_real, &other, &err), RC_OK);
    assert_null(journal_find(other, 17));
    journal_close(&other);
    journal_close(&j);
}

/* A crash leaves such holes; a hole can take a part of the lines beside it. */
static void test_journal__lines_behind_a_hole_are_found(void **state)
{
    struct journal *j = open_journal();
    journal_enter(j, 17, "RETIRING_FORUMS", KEY);
    sync_journal(j);
    size_t first = strlen(read_journal());
    journal_enter(j, 18, "RETIRING_FORUMS", KEY2);
    sync_journal(j);
    size_t second = strlen(read_journal());
    journal_enter(j, 19, "RETIRING_LMS", KEY2);
    journal_close(&j);
    char *whole = arena_strdup(&arena, read_journal());
    size_t len = strlen(whole);
    for (size_t cut = 0; cut < 3; cut++) {
        FILE *f = fopen(path(), "w");
        assert_non_null(f);
        memset(whole + first + cut, 0, second - first - cut);
        assert_int_equal(fwrite(whole, 1, len, f), len);
        assert_int_equal(fclose(f), 0);
        j = open_journal();
        expect(j, 17, "RETIRING_FORUMS", KEY);
        assert_null(journal_find(j, 18));
        expect(j, 19, "RETIRING_LMS", KEY2);
        journal_close(&j);
    }
}

static void test_journal__writes_through_no_link(void **state)
{
    static const char *const ends[] = { "", ".new", ".lock" };
    struct journal *j = open_journal();
    struct err err;
    journal_close(&j);
    const char *precious = arena_printf(&arena, "%s/precious", folder);
    for (size_t i = 0; i < 3; i++) {
        char *text;
        FILE *f = fopen(precious, "w");
        assert_true(fputs("precious", f) >= 0);
        assert_int_equal(fclose(f), 0);
        const char *name = arena_printf(&arena, "%s%s", path(), ends[i]);
        unlink(name);
        assert_int_equal(symlink(precious, name), 0);
        /* ".new" is of no use to a driver that starts: it goes, and the others are refused. */
        bool gone = strcmp(ends[i], ".new") == 0;
        assert_int_equal(journal_open(folder, URL, &world_real, &j, &err), gone ? RC_OK : RC_INVALID);
        if (gone)
            journal_close(&j);
        unlink(name);
        assert_int_equal(file_read(&arena, precious, 100, &text, NULL, &err), RC_OK);
        assert_string_equal(text, "precious");
    }
    unlink(precious);
}

static void test_journal__a_folder_of_others_is_refused(void **state)
{
    struct err err;
    struct journal *j = open_journal();
    journal_close(&j);
    assert_int_equal(chmod(folder, 0777), 0);
    assert_int_equal(journal_open(folder, URL, &world_real, &j, &err), RC_INVALID);
    assert_non_null(strstr(err.text, "chmod 700"));
    assert_int_equal(chmod(folder, 0700), 0);
}

static void test_journal__a_folder_that_cannot_be_made(void **state)
{
    struct err err;
    struct journal *j = NULL;
    assert_int_equal(journal_open("/proc/no/such/folder", URL, &world_real, &j, &err), RC_NOT_FOUND);
    assert_null(j);
}

/* ---- what is put off ---- */

#define MEMO "{\"poll\":2,\"id\":\"third party 4711\"}"

static void test_journal__what_is_put_off_is_found_again(void **state)
{
    struct journal *j = open_journal();
    journal_enter(j, 17, "RETIRING_FORUMS", KEY);
    journal_enter(j, 18, "RETIRING_FORUMS", KEY2);
    journal_put_off(j, 17, 1000, 5000, "old");
    journal_put_off(j, 17, 1000, 7000, MEMO);
    journal_put_off(j, 18, 2000, 8000, NULL);
    journal_put_off(j, 19, 1, 2, "nobody's");
    for (int i = 0; i < 3; i++) { /* as it was written, and written anew */
        const struct journal_entry *entry = journal_find(j, 17);
        assert_true(entry->begun_at == 1000 && entry->until == 7000);
        assert_string_equal(entry->memo, MEMO);
        assert_string_equal(entry->stage, "RETIRING_FORUMS");
        assert_string_equal(entry->run_key, KEY);
        entry = journal_find(j, 18);
        assert_true(entry->begun_at == 2000 && entry->until == 8000);
        assert_null(entry->memo);
        assert_null(journal_find(j, 19));
        journal_close(&j);
        j = open_journal();
    }
    journal_close(&j);
}

static void test_journal__it_rests_until_its_time_and_not_for_ever(void **state)
{
    const int64_t until = INT64_C(1800000000) * CLOCK_S;
    struct journal_entry entry = { .until = until };
    assert_true(journal_is_put_off(&entry, until - 1));
    assert_false(journal_is_put_off(&entry, until));
    assert_true(journal_is_put_off(&entry, until - LEASE_MAX_S * CLOCK_S));
    assert_false(journal_is_put_off(&entry, until - LEASE_MAX_S * CLOCK_S - 1)); /* the clock was set back */
    entry.until = 0;
    assert_false(journal_is_put_off(&entry, 0));
}

/* Half a minute passes at each look at the clock. */
static int64_t hasten(void *arg)
{
    int64_t *now = arg;
    return *now += 30 * CLOCK_S;
}

static void test_journal__belongs_to_one_driver(void **state)
{
    struct journal *j = open_journal(), *other = NULL;
    int64_t now = 0;
    const struct world world = { .mono = hasten, .arg = &now };
    struct err err;
    assert_int_equal(journal_open(folder, URL, &world, &other, &err), RC_CONFLICT);
    assert_non_null(strstr(err.text, "another driver is at work with the journal"));
    assert_null(other);
    journal_close(&j);
}

static void test_journal__the_next_stage_knows_nothing_of_it(void **state)
{
    struct journal *j = open_journal();
    journal_enter(j, 17, "RETIRING_FORUMS", KEY);
    journal_put_off(j, 17, 1000, 7000, MEMO);
    journal_enter(j, 17, "RETIRING_NOTES", KEY);
    for (int i = 0; i < 2; i++) {
        const struct journal_entry *entry = journal_find(j, 17);
        assert_true(entry->begun_at == 0 && entry->until == 0 && !entry->memo);
        journal_close(&j);
        j = open_journal();
    }
    journal_close(&j);
}

/* ---- what is left half done ---- */

#define FORUM_MEMO "{\"at\":{\"step\":1}}"

/* An operator of the LMS may have it done again, and the person may go through other stages before. */
static void test_journal__what_is_left_half_done_is_kept_for_its_stage(void **state)
{
    struct journal *j = open_journal();
    journal_enter(j, 17, "RETIRING_FORUMS", KEY);
    journal_keep(j, 17, MEMO);
    journal_enter(j, 18, "RETIRING_FORUMS", KEY);
    journal_keep(j, 18, NULL); /* nothing was sent */
    journal_enter(j, 17, "RETIRING_NOTES", KEY);
    journal_keep(j, 17, FORUM_MEMO);
    journal_enter(j, 17, "RETIRING_LMS", KEY2);
    for (int i = 0; i < 3; i++) {
        expect(j, 17, "RETIRING_LMS", KEY2);
        assert_null(journal_find(j, 17)->memo);
        assert_null(journal_find(j, 18));
        assert_string_equal(journal_kept(j, 17, "RETIRING_FORUMS"), MEMO);
        assert_string_equal(journal_kept(j, 17, "RETIRING_NOTES"), FORUM_MEMO);
        assert_null(journal_kept(j, 17, "RETIRING_LMS"));
        assert_null(journal_kept(j, 18, "RETIRING_FORUMS"));
        journal_close(&j);
        j = open_journal();
    }
    journal_close(&j);
}

static void test_journal__what_is_entered_again_has_what_was_kept(void **state)
{
    struct journal *j = open_journal();
    journal_enter(j, 17, "RETIRING_FORUMS", KEY);
    journal_keep(j, 17, MEMO);
    journal_enter(j, 17, "RETIRING_FORUMS", KEY2);
    for (int i = 0; i < 3; i++) {
        const struct journal_entry *entry = journal_find(j, 17);
        assert_false(journal_is_put_off(entry, INT64_C(1700000000) * CLOCK_S));
        assert_string_equal(entry->memo, MEMO);
        assert_string_equal(entry->run_key, KEY2);
        journal_close(&j);
        j = open_journal();
    }
    journal_end(j, 17); /* it was not let in */
    assert_string_equal(journal_kept(j, 17, "RETIRING_FORUMS"), MEMO);
    journal_close(&j);
}

static void test_journal__what_is_done_is_forgotten(void **state)
{
    struct journal *j = open_journal();
    static const char *const stages[] = { "RETIRING_FORUMS", "RETIRING_NOTES", "RETIRING_LMS" };
    for (int i = 0; i < 3; i++) {
        journal_enter(j, 17, stages[i], KEY);
        journal_keep(j, 17, MEMO);
    }
    journal_enter(j, 18, "RETIRING_FORUMS", KEY);
    journal_keep(j, 18, FORUM_MEMO);
    journal_done(j, 17, "RETIRING_NOTES");
    for (int i = 0; i < 2; i++) {
        assert_null(journal_kept(j, 17, "RETIRING_NOTES"));
        assert_string_equal(journal_kept(j, 17, "RETIRING_LMS"), MEMO);
        journal_close(&j);
        j = open_journal();
    }
    journal_done(j, 17, NULL); /* all of it */
    journal_close(&j);
    assert_null(strstr(read_journal(), "third party 4711"));
    j = open_journal();
    assert_null(journal_kept(j, 17, "RETIRING_LMS"));
    assert_string_equal(journal_kept(j, 18, "RETIRING_FORUMS"), FORUM_MEMO);
    journal_close(&j);
}

static int64_t later(void *arg)
{
    return *(int64_t *)arg;
}

static void test_journal__what_is_kept_has_an_end(void **state)
{
    int64_t now = INT64_C(1700000000) * CLOCK_S;
    const struct world world = { .now = later, .mono = later, .arg = &now };
    struct journal *j = NULL;
    struct err err;
    assert_int_equal(journal_open(folder, URL, &world, &j, &err), RC_OK);
    journal_enter(j, 17, "RETIRING_FORUMS", KEY);
    journal_keep(j, 17, MEMO);
    now += KEPT_FOR;
    assert_non_null(journal_kept(j, 17, "RETIRING_FORUMS"));
    now++;
    assert_null(journal_kept(j, 17, "RETIRING_FORUMS"));
    journal_close(&j);
}

/* ---- was anything sent? ---- */

static void expect_sent(const struct journal *j, bool inherited, bool sent)
{
    assert_true(journal_find(j, 17)->inherited == inherited && journal_find(j, 17)->sent == sent);
}

static void test_journal__who_was_entered_may_have_been_called_for(void **state)
{
    struct journal *j = open_journal();
    journal_enter(j, 17, "RETIRING_FORUMS", KEY);
    expect_sent(j, false, false);
    die(&j);
    j = open_journal();
    expect_sent(j, true, false); /* it may have been let in */
    journal_sent(j, 17);
    die(&j);
    j = open_journal();
    expect_sent(j, true, true);
    journal_unsent(j, 17);
    for (int i = 0; i < 2; i++) {
        expect_sent(j, false, false);
        die(&j);
        j = open_journal();
    }
    journal_close(&j);
}

/* Which calls may have been sent is known by what the driver of then called. */
static void test_journal__what_the_driver_called_stays_with_the_person(void **state)
{
    struct journal *j = open_journal();
    journal_enter(j, 16, "RETIRING_FORUMS", KEY);
    journal_set_actions(j, "0123abcd");
    journal_enter(j, 17, "RETIRING_FORUMS", KEY);
    for (int i = 0; i < 2; i++) { /* the file is written anew each time */
        die(&j);
        j = open_journal();
        journal_set_actions(j, "ffffffff");
        assert_string_equal(journal_find(j, 16)->actions, "");
        assert_string_equal(journal_find(j, 17)->actions, "0123abcd");
        assert_string_equal(journal_find(j, 17)->run_key, KEY);
    }
    journal_close(&j);
}

/* It may hold what a service calls the person. */
static void test_journal__what_was_remembered_does_not_stay_in_the_file(void **state)
{
    struct journal *j = open_journal();
    journal_enter(j, 17, "RETIRING_FORUMS", KEY);
    journal_put_off(j, 17, 1000, 7000, MEMO);
    sync_journal(j);
    assert_non_null(strstr(read_journal(), "third party 4711"));
    journal_end(j, 17);
    sync_journal(j);
    journal_close(&j);
    assert_null(strstr(read_journal(), "third party 4711"));
}

static void test_journal__a_damaged_pause_is_none(void **state)
{
    struct journal *j = open_journal();
    journal_enter(j, 17, "RETIRING_FORUMS", KEY);
    journal_put_off(j, 17, 1000, 7000, MEMO);
    journal_close(&j);
    char *text = read_journal();
    *strstr(text, "4711") = '5';
    write_journal(text);
    j = open_journal();
    assert_true(journal_find(j, 17)->until == 0 && !journal_find(j, 17)->memo);
    journal_close(&j);
}

static void test_journal__the_longest_memo_fits(void **state)
{
    char memo[WIRE_MEMO_MAX + 1];
    memset(memo, 'x', WIRE_MEMO_MAX);
    memo[WIRE_MEMO_MAX] = '\0';
    struct journal *j = open_journal();
    journal_enter(j, INT64_MAX, "RETIRING_FORUMS", KEY);
    journal_put_off(j, INT64_MAX, INT64_MAX, INT64_MAX, memo);
    journal_close(&j);
    j = open_journal();
    assert_string_equal(journal_find(j, INT64_MAX)->memo, memo);
    journal_close(&j);
}

#define T(name) cmocka_unit_test_setup_teardown(name, make_folder, remove_folder)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(test_journal__what_was_entered_is_found_again),
        T(test_journal__is_on_disk_after_a_sync),
        T(test_journal__is_for_its_owner_alone),
        T(test_journal__a_cut_file_loses_its_last_line_alone),
        T(test_journal__a_changed_byte_is_no_line),
        T(test_journal__people_of_a_driver_that_died_are_suspects),
        T(test_journal__only_a_death_alone_in_a_call_counts),
        T(test_journal__old_lines_do_not_gather),
        T(test_journal__entries_may_end_while_they_are_looked_at),
        T(test_journal__is_of_one_authority),
        T(test_journal__what_is_put_off_is_found_again),
        T(test_journal__it_rests_until_its_time_and_not_for_ever),
        T(test_journal__belongs_to_one_driver),
        T(test_journal__the_next_stage_knows_nothing_of_it),
        T(test_journal__what_is_left_half_done_is_kept_for_its_stage),
        T(test_journal__what_is_entered_again_has_what_was_kept),
        T(test_journal__what_is_done_is_forgotten),
        T(test_journal__what_is_kept_has_an_end),
        T(test_journal__who_was_entered_may_have_been_called_for),
        T(test_journal__what_the_driver_called_stays_with_the_person),
        T(test_journal__what_was_remembered_does_not_stay_in_the_file),
        T(test_journal__a_damaged_pause_is_none),
        T(test_journal__the_longest_memo_fits),
        T(test_journal__lines_behind_a_hole_are_found),
        T(test_journal__writes_through_no_link),
        T(test_journal__a_folder_of_others_is_refused),
        T(test_journal__a_folder_that_cannot_be_made),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
