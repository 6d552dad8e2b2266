/* SPDX-License-Identifier: Apache-2.0 */
/* Every invariant is broken once by hand, and found; nothing that the rules allow is found. */
#include "store_fixture.h"

static void test_fsck__all_that_is_allowed_is_sound(void **state)
{
    struct fixture *f = *state;
    assert_sound(f);
    int64_t id = add_person(f, "Learner1");
    claim(f, id);
    report(f, id, COMMAND_DONE, true, NULL);
    claim(f, id);
    report(f, id, COMMAND_FAILED, false, "no");
    OK(try_command(f, id, (struct command){ .kind = COMMAND_RESUME, .current = current(f) }, NULL, NULL));
    assert_sound(f);
    claim(f, id);
    f->now += CLOCK_DAY;
    claim(f, id);
    put_off(f, id, 0, "x");
    assert_sound(f);
    claim(f, id);
    done(f, id);
    assert_int_equal(row_of(f, id).state, COMPLETE);
    assert_sound(f);
    OK(try_command(f, id, (struct command){ .kind = COMMAND_RERUN, .current = current(f) }, "again", NULL));
    OK(try_command(f, id, (struct command){ .kind = COMMAND_UPDATE, .to = MAIL_ING }, NULL, NULL));
    OK(try_command(f, id, (struct command){ .kind = COMMAND_UPDATE, .to = FORUM_ING, .forced = true }, NULL,
                   NULL));
    move_to(f, id, COMPLETE);
    move_to(f, id, MAIL_ING);
    move_to(f, id, ABORTED);
    assert_sound(f);
}

struct breakage {
    const char *invariant, *sql;
};

/* Each on a database of its own with: 1 complete, 2 leased at the second stage, 3 pending, 4 aborted. */
static const struct breakage breakages[] = {
    { "I17",
      "UPDATE retirement SET state_id = (SELECT id FROM state WHERE name = 'FORUM_DONE') WHERE id = 2" },
    { "I17", "UPDATE retirement SET log_head = 0 WHERE id = 3" },
    { "I17", "UPDATE retirement SET log_head = (SELECT log_head FROM retirement WHERE id = 3) WHERE id = 4" },
    { "I17", "DELETE FROM retirement_log WHERE retirement_id = 1 AND to_id = (SELECT id FROM state WHERE "
             "name = 'MAIL_ING')" },
    { "I17", "UPDATE retirement_log SET retirement_id = 3 WHERE retirement_id = 2" },
    { "I17",
      "INSERT INTO retirement_log SELECT 1000, 3, 0, 1, 0, 1, 0, 0, 0, 0, 'x', NULL, NULL, NULL, NULL" },
    { "I17", "UPDATE retirement SET state_id = 99 WHERE id = 3" },
    { "I7", "UPDATE state SET people = people + 1 WHERE name = 'PENDING'" },
    { "I7", "UPDATE state SET waiting = 1 WHERE name = 'MAIL_ING'" },
    { "I7", "UPDATE retirement SET modified_at = created_at - 1 WHERE id = 2" },
    { "I10", "UPDATE retirement SET epoch = 0 WHERE id = 1" },
    { "I10", "UPDATE retirement_log SET epoch = 9 WHERE retirement_id = 1 AND from_id = 0" },
    { "I8", "UPDATE retirement SET lease_until = 1700009999000000 WHERE id = 3" },
    { "I8", "UPDATE retirement SET driver_id = NULL WHERE id = 2" },
    { "I8", "UPDATE retirement SET lease_until = -1700009999000000 WHERE id = 3" },
    { "I18", "INSERT INTO stage_memo VALUES (1, 2, 1, 'x', NULL)" },
    { "I18", "INSERT INTO stage_memo VALUES (2, 2, 1, 'x', NULL)" },
    { "I18", "INSERT INTO stage_memo VALUES (99, 2, 1, 'x', NULL)" },
    { "source", "INSERT INTO source VALUES (99, 4711, 'PENDING', 1, 0, NULL, NULL, NULL)" },
    { "source", "INSERT INTO source VALUES (1, 4711, 'NOWHERE', 1, 0, NULL, NULL, NULL)" },
    { "source", "INSERT INTO source VALUES (1, 4711, 'NOWHERE', 1, 1, NULL, NULL, NULL)" },
    { "source", "INSERT INTO source VALUES (1, 4711, NULL, 1, 0, NULL, NULL, NULL);"
                "INSERT INTO source_forgotten VALUES (4711, 'ERRORED')" },
    { "I14", "UPDATE retirement SET live = 0 WHERE id = 3" },
    { "I14", "DROP INDEX retirement_live; UPDATE retirement SET account_id = 2 WHERE id = 3" },
    { "I15", "UPDATE retirement_log SET flags = 0 WHERE flags = 2" },
    { "I2", "UPDATE retirement_log SET reason = NULL, run = 0 WHERE retirement_id = 5" },
    { "I1", "UPDATE retirement_log SET reason = NULL, run = 0 WHERE retirement_id = 6" },
    { "I5", "UPDATE pipeline_state SET position = position + 10 WHERE position >= 4;"
            "INSERT INTO state (name) VALUES ('X_ING'), ('X_DONE');"
            "INSERT INTO pipeline_state SELECT 1, 4, id FROM state WHERE name = 'X_ING';"
            "INSERT INTO pipeline_state SELECT 1, 5, id FROM state WHERE name = 'X_DONE'" },
};

static void fill(struct fixture *f)
{
    int64_t id[8];
    for (int i = 1; i <= 7; i++)
        id[i] = add_person(f, arena_printf(&f->arena, "Learner%d", i));
    claim(f, id[1]);
    done(f, id[1]);
    done(f, id[1]);
    claim(f, id[2]);
    done(f, id[2]);
    OK(try_command(f, id[4], (struct command){ .kind = COMMAND_CANCEL, .current = current(f) }, NULL, NULL));
    move_to(f, id[5], MAIL_ING);
    move_to(f, id[5], FORUM_ING);
    move_to(f, id[6], COMPLETE);
    move_to(f, id[6], MAIL_ING);
    OK(try_command(f, id[7], (struct command){ .kind = COMMAND_UPDATE, .to = MAIL_ING }, NULL, NULL));
}

struct wanted {
    const char *invariant;
    bool found;
};

static void note_wanted(void *arg, const char *invariant, int64_t id, const char *what)
{
    struct wanted *w = arg;
    w->found = w->found || strcmp(w->invariant, invariant) == 0;
    assert_null(strstr(what, "Learner"));
}

static bool is_found(struct fixture *f, const char *invariant)
{
    struct wanted w = { invariant, false };
    OK(store_fsck(f->s, note_wanted, &w, &f->err));
    return w.found;
}

static void test_fsck__every_breakage_is_found(void **state)
{
    struct fixture *f = *state;
    fill(f);
    assert_sound(f);
    for (size_t i = 0; i < sizeof(breakages) / sizeof(breakages[0]); i++) {
        store_close(&f->s);
        OK(db_begin(f->db, &f->err));
        OK(db_script(f->db, breakages[i].sql, &f->err));
        OK(store_open(f->db, LOOKUP_KEY, &f->s, &f->err));
        if (!is_found(f, breakages[i].invariant))
            fail_msg("%s was not found: %s", breakages[i].invariant, breakages[i].sql);
        db_rollback(f->db);
    }
    store_close(&f->s);
    OK(store_open(f->db, LOOKUP_KEY, &f->s, &f->err));
    assert_sound(f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(test_fsck__all_that_is_allowed_is_sound),
        T(test_fsck__every_breakage_is_found),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
