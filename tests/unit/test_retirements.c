/* SPDX-License-Identifier: Apache-2.0 */
/* One retirement: what is stored is what is shown, and an account has one live one. */
#include "store_fixture.h"

static void test_retirements__view_shows_all_of_it(void **state)
{
    struct fixture *f = *state;
    struct retirement_view v;
    int64_t id = add_person(f, "Learner1");
    claim(f, id);
    OK(store_get(f->s, &f->arena, id, &v, &f->err));
    assert_int_equal(v.row.id, id);
    assert_int_equal(v.row.state, FORUM_ING);
    assert_int_equal(v.row.last_state, PENDING);
    assert_int_equal(v.row.created_at, START);
    assert_int_equal(v.row.modified_at, START + CLOCK_S);
    assert_int_equal(v.row.epoch, 1);
    assert_int_equal(v.row.lease_until, START + 61 * CLOCK_S);
    assert_string_equal(v.person.username, "Learner1");
    assert_string_equal(v.person.email, "Learner1@Example.com");
    assert_string_equal(v.person.retired_username, "retired__user_ab727831c5038a2dc4a4d8116ce566401185e0d7");
    assert_string_equal(v.account.username, "Learner1");
    assert_string_equal(v.account.name, "Somebody");
    assert_string_equal(v.driver, "d1");
}

static void test_retirements__names_are_the_persons_where_the_account_has_none(void **state)
{
    struct fixture *f = *state;
    struct retirement_view v;
    int64_t account, id;
    struct account in = { .username = "Guest", .email = "g@example.com", .name = "G", .brought_along = true };
    OK(store_add_account(f->s, &in, f->now, &account, &f->err));
    OK(try_add(f, account, "Guest", &id));
    OK(store_get(f->s, &f->arena, id, &v, &f->err));
    assert_true(v.account.brought_along);
    assert_string_equal(v.account.username, "Guest");
    assert_string_equal(v.account.name, "Name of Guest");
    assert_null(v.driver);
}

static void test_retirements__account_has_one_live_one(void **state)
{
    struct fixture *f = *state;
    struct retirement_view v;
    int64_t account = add_account(f, "Learner1"), first, second;
    OK(try_add(f, account, "Learner1", &first));
    assert_int_equal(try_add(f, account, "Learner1", &second), RC_CONFLICT);
    assert_string_equal(f->err.code, "live");
    OK(store_get_live(f->s, &f->arena, account, &v, &f->err));
    assert_int_equal(v.row.id, first);

    OK(try_command(f, first, (struct command){ .kind = COMMAND_CANCEL, .current = current(f) }, NULL, NULL));
    assert_int_equal(store_get_live(f->s, &f->arena, account, &v, &f->err), RC_NOT_FOUND);
    OK(try_add(f, account, "Learner1", &second));
    OK(store_get_live(f->s, &f->arena, account, &v, &f->err));
    assert_int_equal(v.row.id, second);

    /* The first cannot come back to life beside the second; not even half of it, when others are moved with
     * it. */
    OK(db_begin(f->db, &f->err));
    assert_int_equal(
        try_command(f, first, (struct command){ .kind = COMMAND_MOVE, .to = PENDING }, "oops", NULL),
        RC_CONFLICT);
    assert_string_equal(f->err.code, "live");
    OK(db_commit(f->db, &f->err));
    assert_sound(f);
}

static void test_retirements__missing_ones_are_not_found(void **state)
{
    struct fixture *f = *state;
    struct retirement_view v;
    struct retirement r;
    add_person(f, "Learner1");
    int64_t ids[] = { 0, -1, 99, INT64_MAX, INT64_MIN };
    for (size_t i = 0; i < 5; i++) {
        assert_int_equal(store_get(f->s, &f->arena, ids[i], &v, &f->err), RC_NOT_FOUND);
        assert_int_equal(store_get_row(f->s, ids[i], &r, &f->err), RC_NOT_FOUND);
    }
    const char *names[] = { "", "learner1", "LEARNER1", "Learner1 ", "' OR 1=1 --", "retired__user_", "%" };
    for (size_t i = 0; i < 7; i++) {
        assert_int_equal(store_find(f->s, &f->arena, names[i], RETIRED_FORMAT, &v, &f->err), RC_NOT_FOUND);
        assert_int_equal(store_find_row(f->s, names[i], &r, &f->err), RC_NOT_FOUND);
        assert_null(strstr(f->err.text, "earner"));
    }
}

static void test_retirements__of_several_the_live_one_else_the_newest(void **state)
{
    struct fixture *f = *state;
    struct retirement_view v;
    struct retirement r;
    int64_t account = add_account(f, "Learner1"), first, second, third;
    OK(try_add(f, account, "Learner1", &first));
    move_to(f, first, ABORTED);
    OK(try_add(f, account, "Learner1", &second));
    move_to(f, second, COMPLETE);
    OK(store_find(f->s, &f->arena, "Learner1", RETIRED_FORMAT, &v, &f->err));
    assert_int_equal(v.row.id, second);
    move_to(f, first, PENDING);
    OK(store_find_row(f->s, "Learner1", &r, &f->err));
    assert_int_equal(r.id, first);
    OK(store_find(f->s, &f->arena, v.person.retired_username, RETIRED_FORMAT, &v, &f->err));
    assert_int_equal(v.row.id, first);
    move_to(f, first, ABORTED);
    OK(try_add(f, account, "Learner1", &third));
    OK(store_find_row(f->s, "Learner1", &r, &f->err));
    assert_int_equal(r.id, third);
    assert_sound(f);
}

static void test_retirements__created_is_the_time_whatever_it_was_before(void **state)
{
    struct fixture *f = *state;
    f->now = START + CLOCK_DAY;
    int64_t early = add_person(f, "Learner1");
    f->now = START;
    int64_t late = add_person(f, "Learner2");
    assert_int_equal(row_of(f, early).created_at, START + CLOCK_DAY);
    assert_int_equal(row_of(f, late).created_at, START);
    assert_sound(f);
}

static void test_retirements__ids_are_never_given_again(void **state)
{
    struct fixture *f = *state;
    int64_t id = add_person(f, "Learner1");
    OK(db_script(f->db, "DELETE FROM retirement", &f->err));
    assert_true(add_person(f, "Learner2") > id);
}

static void test_retirements__row_in_an_impossible_state_is_an_error(void **state)
{
    struct fixture *f = *state;
    struct retirement r;
    int64_t id = add_person(f, "Learner1");
    OK(db_script(f->db, "UPDATE retirement SET state_id = 999; UPDATE state SET people = 0", &f->err));
    assert_int_equal(store_get_row(f->s, id, &r, &f->err), RC_INTERNAL);
    assert_int_equal(check(f).n, 1);
}

static bool file_holds(struct fixture *f, const char *name, const char *word)
{
    char *data = NULL;
    size_t len = 0;
    FILE *file = fopen(scratch_path(&f->dir, "", name), "r");
    FILE *copy = open_memstream(&data, &len);
    for (int c = !file ? EOF : getc(file); c != EOF; c = getc(file))
        putc(c, copy);
    fclose(copy);
    if (file)
        fclose(file);
    bool found = len > 0 && memmem(data, len, word, strlen(word));
    free(data);
    return found;
}

static void test_retirements__forgotten_person_is_in_no_file(void **state)
{
    struct fixture *f = *state;
    int64_t account, id = 0;
    bool all;
    for (int i = 0; i < 200; i++) {
        char *name = arena_printf(&f->arena, "Forgettable%03d", i);
        struct account in = { .username = name, .email = name, .name = name, .brought_along = true };
        OK(store_add_account(f->s, &in, f->now, &account, &f->err));
        OK(try_add(f, account, name, &id));
    }
    OK(db_checkpoint(f->db, false, &all, &f->err));
    assert_true(file_holds(f, "t.db", "Forgettable123"));
    OK(db_script(f->db, "DELETE FROM retirement_person WHERE username <> 'Forgettable007'", &f->err));
    OK(db_checkpoint(f->db, true, &all, &f->err));
    assert_true(all);
    const char *files[] = { "t.db", "t.db-wal", "t.db-shm", "t.db-lock" };
    for (size_t i = 0; i < 4; i++) {
        for (int k = 0; k < 200; k++) {
            if (k != 7)
                assert_false(file_holds(f, files[i], arena_printf(&f->arena, "Forgettable%03d", k)));
        }
    }
    assert_true(file_holds(f, "t.db", "Forgettable007"));
    struct retirement_view v;
    OK(store_get(f->s, &f->arena, id, &v, &f->err));
    assert_null(v.person.username);
    assert_sound(f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(test_retirements__view_shows_all_of_it),
        T(test_retirements__names_are_the_persons_where_the_account_has_none),
        T(test_retirements__account_has_one_live_one),
        T(test_retirements__missing_ones_are_not_found),
        T(test_retirements__of_several_the_live_one_else_the_newest),
        T(test_retirements__created_is_the_time_whatever_it_was_before),
        T(test_retirements__ids_are_never_given_again),
        T(test_retirements__row_in_an_impossible_state_is_an_error),
        T(test_retirements__forgotten_person_is_in_no_file),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
