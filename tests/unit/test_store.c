/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The store as a whole: a life of a few people, run again and again with the N-th call to the database
 * failing, until none does. After each failure the database must be sound and the same life must succeed. And
 * what the statements of that life cost: none may look at a whole table.
 */
#include "store_fixture.h"

static enum rc count_view(void *arg, const struct retirement_view *v, struct err *err)
{
    ++*(int *)arg;
    return RC_OK;
}

/* ---- a life: every verb once or more, stops at the first that fails ---- */

static enum rc ask_for_two(struct fixture *f, int64_t ids[2])
{
    struct account in = { .username = "Learner1", .email = "l1@example.com", .name = "L" };
    struct account guest = {
        .username = "Guest", .email = "g@example.com", .name = "G", .brought_along = true
    };
    int64_t account = 0;
    enum rc rc = store_add_account(f->s, &in, f->now, &account, &f->err);
    if (!rc)
        rc = try_add(f, account, "Learner1", &ids[0]);
    f->now--; /* the clock is set back */
    if (!rc)
        rc = store_add_account(f->s, &guest, f->now, &account, &f->err);
    if (!rc)
        rc = try_add(f, account, "Guest", &ids[1]);
    static const char *const more[] = { "salt-2018-old", "salt-2026-current", "salt-2030-next" };
    if (!rc)
        rc = store_take_salts(f->s, &(struct salts){ more, 3 }, &f->err);
    return rc;
}

static enum rc look(struct fixture *f, bool newest_first, struct retirement **rows, size_t *n)
{
    struct due_filter filter = { .due_before = f->now, .now = f->now, .newest_first = newest_first };
    struct due_look *look;
    int64_t held;
    enum rc rc = store_due_open(f->s, &f->arena, &filter, &look, &f->err);
    if (!rc)
        rc = store_due_next(look, 10, rows, n, &f->err);
    return rc ? rc : store_due_close(look, &held, &f->err);
}

static enum rc claim_all(struct fixture *f)
{
    const struct pipeline *p;
    struct retirement *rows;
    size_t n = 0;
    enum rc rc = store_current_pipeline(f->s, &p, &f->err);
    struct command cmd = {
        .kind = COMMAND_CLAIM, .current = p, .lease_us = CLOCK_S, .deaths_max = 3, .flight = 1, .lost_with = 1
    };
    if (!rc)
        rc = look(f, false, &rows, &n);
    for (size_t i = 0; !rc && i < n; i++)
        rc = try_command(f, rows[i].id, cmd, NULL, NULL);
    return rc ? rc : look(f, true, &rows, &n);
}

static enum rc put_one_off(struct fixture *f, int64_t id)
{
    struct command cmd = { .kind = COMMAND_LATER, .epoch = 1, .stage = FORUM_ING };
    enum rc rc = try_command(f, id, cmd, NULL, "to be known again");
    return rc ? rc : claim_all(f);
}

static enum rc finish(struct fixture *f, int64_t id)
{
    bool found;
    unsigned state_after;
    struct command done_cmd = { .kind = COMMAND_DONE, .epoch = 1, .stage = FORUM_ING };
    struct retirement row;
    enum rc rc = try_command(f, id, done_cmd, NULL, "deleted");
    done_cmd.stage = MAIL_ING;
    if (!rc)
        rc = try_command(f, id, done_cmd, NULL, "deleted");
    if (!rc)
        rc = store_get_row(f->s, id, &row, &f->err);
    if (!rc)
        rc = store_find_report(f->s, &row, 1, MAIL_ING, &found, &state_after, &f->err);
    return rc;
}

static enum rc list_all(struct fixture *f)
{
    const struct pipeline *p;
    int n = 0;
    int64_t count, under_way;
    struct state_count *counts;
    struct waiting *waiting;
    size_t n_counts;
    enum rc rc = store_current_pipeline(f->s, &p, &f->err);
    for (int i = 0; !rc && i < 16; i++) {
        struct retirement_filter want = { .state_ids = p->state_ids,
                                          .n_states = i & 1 ? p->n : 0,
                                          .limit = 200 };
        want.modified_before = i & 2 ? f->now + 1 : 0;
        want.modified_from = i & 8 ? START : 0;
        want.created_before = want.created_from = i & 4 ? START : 0;
        rc = store_list(f->s, &want, count_view, &n, &f->err);
        if (!rc)
            rc = store_count(f->s, &want, &count, &f->err);
    }
    struct retirement_view *found;
    if (!rc)
        rc = store_find_all(f->s, &f->arena, "Guest", NULL, 10, &found, &n_counts, &f->err);
    if (!rc)
        rc = store_find_all(f->s, &f->arena, NULL, "l1@example.com", 10, &found, &n_counts, &f->err);
    if (!rc)
        rc = store_count_due(f->s, f->now, &count, &under_way, &f->err);
    if (!rc)
        rc = store_due_since(f->s, CLOCK_DAY, &count, &f->err);
    if (!rc)
        rc = store_waiting(f->s, &f->arena, 10, &waiting, &n_counts, &f->err);
    if (!rc)
        rc = store_count_waiting(f->s, &count, &f->err);
    return rc ? rc : store_count_states(f->s, &f->arena, &counts, &n_counts, &f->err);
}

static enum rc look_up(struct fixture *f, int64_t id)
{
    struct account_match m;
    struct retirement_view v;
    struct log_entry *log, newest;
    size_t n;
    int64_t state_id;
    enum rc rc = store_find_account(f->s, &f->arena, "Guest", NULL, &m, &f->err);
    if (!rc)
        rc = store_get_live(f->s, &f->arena, m.account.id, &v, &f->err);
    if (!rc)
        rc = store_find(f->s, &f->arena, v.person.retired_username, RETIRED_FORMAT, &v, &f->err);
    if (!rc)
        rc = store_log(f->s, &f->arena, id, &log, &n, &f->err);
    if (!rc)
        rc = store_log_newest(f->s, &f->arena, id, &newest, &f->err);
    return rc ? rc : store_find_state(f->s, "MAIL_ING", &state_id, &f->err);
}

static enum rc use_clients(struct fixture *f)
{
    struct client in = { .client_id = "abc", .name = "pipeline" }, out, *list;
    size_t n;
    enum rc rc = store_add_client(f->s, &in, &f->err);
    if (!rc)
        rc = store_find_client(f->s, &f->arena, "abc", &out, &f->err);
    if (!rc)
        rc = store_disable_client(f->s, "pipeline", &f->err);
    return rc ? rc : store_list_clients(f->s, &f->arena, &list, &n, &f->err);
}

static enum rc ignore_entry(void *arg, const struct audit_entry *e, struct err *err)
{
    return RC_OK;
}

static enum rc keep_a_trail(struct fixture *f)
{
    const struct audit_entry e = { .at = f->now, .actor = "local", .action = "moved", .retirement_id = 1 };
    struct audit_check check;
    int64_t next;
    enum rc rc = store_append_audit(f->s, &e, 1, &f->err);
    for (int i = 0; !rc && i < 2; i++) {
        struct audit_filter filter = { .limit = 10, .retirement_id = i };
        rc = store_list_audit(f->s, &filter, ignore_entry, NULL, &next, &f->err);
    }
    return rc ? rc : store_check_audit(f->s, NULL, &check, &f->err);
}

static enum rc keep_an_answer(struct fixture *f)
{
    const struct kept_answer in = { .digest = { 1 }, .sealed = "sealed", .len = 6, .expires_at = f->now + 1 };
    struct kept_answer out;
    int64_t n;
    enum rc rc = store_keep_answer(f->s, &in, &f->err);
    if (!rc)
        rc = store_find_answer(f->s, &f->arena, in.digest, f->now, &out, &f->err);
    return rc ? rc : store_expire_answers(f->s, f->now + 1, 10, &n, &f->err);
}

/* One more person, with two requests, who is deleted completely. */
static enum rc forget_another(struct fixture *f)
{
    struct account in = { .username = "Gone", .email = "gone@example.com", .name = "G" };
    static const struct redaction with = { "redacted", "redacted", "redacted" };
    int64_t account = 0, id;
    struct retirement *rows;
    size_t n;
    enum rc rc = store_add_account(f->s, &in, f->now, &account, &f->err);
    const unsigned ends[] = { ABORTED, COMPLETE };
    bool more;
    for (size_t i = 0; !rc && i < 2; i++) {
        rc = try_add(f, account, "Gone", &id);
        if (!rc)
            rc = try_command(f, id, (struct command){ .kind = COMMAND_MOVE, .to = ends[i] }, "done", "words");
    }
    if (!rc)
        rc = store_find_complete(f->s, &f->arena, "Gone", &rows, &n, &f->err);
    if (!rc)
        rc = store_redact(f->s, &rows[0], 0, &with, &SALTS, &f->err);
    return rc ? rc : store_forget_redacted(f->s, NULL, NULL, &more, &f->err);
}

/* And the one that was taken back before that. */
static enum rc forget_cancelled(struct fixture *f)
{
    static const struct redaction with = { "redacted", "redacted", "redacted" };
    struct retirement *rows, *older, live;
    size_t n, n_older;
    int64_t count;
    bool found, waits, more;
    enum rc rc = store_count_cancelled(f->s, f->now + 1, &count, &f->err);
    if (!rc)
        rc = store_find_cancelled(f->s, &f->arena, f->now + 1, 5, &rows, &n, &f->err);
    if (!rc && n > 0)
        rc = store_find_older(f->s, &f->arena, &rows[n - 1], &older, &n_older, &f->err);
    if (!rc && n > 0)
        rc = store_find_live(f->s, &rows[n - 1], &live, &found, &f->err);
    if (!rc && n > 0)
        rc = store_waits_for_partners(f->s, rows[n - 1].id, &waits, &f->err);
    if (!rc && n > 0)
        rc = store_redact(f->s, &rows[n - 1], 0, &with, &SALTS, &f->err);
    return rc ? rc : store_forget_redacted(f->s, NULL, NULL, &more, &f->err);
}

static enum rc ignore_report(void *arg, const struct partner_report *report, struct err *err)
{
    return RC_OK;
}

static enum rc tell_partners(struct fixture *f, int64_t id)
{
    struct retirement row;
    int64_t report;
    bool queued;
    enum rc rc = store_get_row(f->s, id, &row, &f->err);
    if (!rc)
        rc = store_queue_partner_report(f->s, &row, f->now, &queued, &f->err);
    for (int all = 0; !rc && all < 2; all++)
        rc = store_take_partner_reports(f->s, all, ignore_report, NULL, &f->err);
    if (!rc)
        rc = store_find_partner_report(f->s, "Learner1", 0, &report, &f->err);
    return rc ? rc : store_delete_partner_report(f->s, report, &(bool){ false }, &f->err);
}

static enum rc use_directory(struct fixture *f)
{
    static const uint8_t digest[CRYPTO_SHA256_LEN] = { 3 };
    struct account in = { .username = "Moira", .email = "m@example.com", .name = "M", .secondary = "{}" };
    struct account out, *list;
    struct identity_question q = { IDENTITY_EMAIL, "m@example.com", RETIRED_FORMAT, &SALTS };
    enum identity identity;
    int64_t id = 0, owner;
    size_t n;
    enum rc rc = store_add_account(f->s, &in, f->now, &id, &f->err);
    if (!rc)
        rc = store_set_password(f->s, id, "$y$", &f->err);
    if (!rc)
        rc = store_add_token(f->s, digest, id, TOKEN_SESSION, f->now, f->now + 1, &f->err);
    if (!rc)
        rc = store_find_token(f->s, digest, TOKEN_SESSION, f->now, &owner, &f->err);
    if (!rc)
        rc = store_end_token(f->s, digest, &f->err);
    if (!rc)
        rc = store_rename_account(f->s, id, "Maura", &f->err);
    if (!rc)
        rc = store_lock_account(f->s, id, "r@x", &f->err);
    if (!rc)
        rc = store_unlock_account(f->s, id, &f->err);
    if (!rc)
        rc = store_erase_secondary(f->s, id, &f->err);
    if (!rc)
        rc = store_retire_account(f->s, id, "retired", "r@x", f->now, &f->err);
    if (!rc)
        rc = store_get_account(f->s, &f->arena, id, &out, &f->err);
    if (!rc)
        rc = store_accounts_of_email(f->s, &f->arena, "r@x", 5, &list, &n, &f->err);
    return rc ? rc : store_check_identity(f->s, &q, &identity, &f->err);
}

static enum rc keep_archives(struct fixture *f)
{
    const char **names;
    size_t n_names;
    int n = 0;
    int64_t people, held_back, id;
    bool more, known;
    enum rc rc = store_count_archivable(f->s, f->now + 1, &people, &f->err);
    if (!rc)
        rc = store_count_held_back(f->s, f->now + 1, &held_back, &f->err);
    if (!rc)
        rc = store_walk_archivable(f->s, f->now + 1, 10, count_view, &n, &more, &f->err);
    if (!rc && (n != people || more))
        rc = RC_INTERNAL;
    if (!rc)
        rc = store_add_archive(f->s, "file", n, f->now, &id, &f->err);
    if (!rc)
        rc = store_has_archive(f->s, "file", &known, &f->err);
    if (!rc)
        rc = store_unfinished_archives(f->s, &f->arena, &names, &n_names, &f->err);
    return rc ? rc : store_finish_archive(f->s, "file", &f->err);
}

static enum rc deliver(struct fixture *f)
{
    struct delivery *list;
    size_t n = 0;
    enum rc rc = store_due_deliveries(f->s, &f->arena, "on_request", "app", f->now, 10, &list, &n, &f->err);
    for (size_t i = 0; !rc && i < n; i++)
        rc = store_take_delivery(f->s, &list[i], f->now + 1, &f->err);
    const struct delivery_filter filters[] = { { .state = -1, .limit = 5 },
                                               { .state = DELIVERY_WAITING, .limit = 5 },
                                               { .state = -1, .retirement_id = 1, .limit = 5 } };
    for (size_t i = 0; !rc && i < 3; i++)
        rc = store_deliveries(f->s, &f->arena, &filters[i], &list, &n, &f->err);
    bool overtaken;
    if (!rc && n > 0)
        rc = store_is_overtaken(f->s, &list[0], &overtaken, &f->err);
    return rc ? rc : store_forget_alerts(f->s, f->now, &f->err);
}

static enum rc tell_of(struct fixture *f, int64_t id)
{
    const struct delivery d = { .event = "on_request", .hook = "app", .retirement_id = id };
    const struct alarm a = { .what = "errored", .retirement_id = id, .stage = "FORUM_ING" };
    struct alarms gathered;
    bool fresh;
    int64_t at;
    enum rc rc = store_add_delivery(f->s, &d, f->now, &f->err);
    if (!rc)
        rc = deliver(f);
    if (!rc)
        rc = store_add_alarm(f->s, &a, f->now, &f->err);
    if (!rc)
        rc = store_note_stuck(f->s, id, f->now, &fresh, &f->err);
    if (!rc)
        rc = store_forget_stuck(f->s, 0, INT64_MAX, 10, &f->err);
    if (!rc)
        rc = store_alarms(f->s, &f->arena, 5, 5, &gathered, &f->err);
    if (!rc)
        rc = store_alerted_at(f->s, &at, &f->err);
    if (!rc)
        rc = store_set_alerted_at(f->s, f->now, &f->err);
    return rc ? rc : store_clear_alarms(f->s, &f->err);
}

static enum rc live(struct fixture *f)
{
    struct pipeline *p;
    int64_t ids[2];
    f->now += 10 * CLOCK_S;
    enum rc rc = pipeline_make(&f->arena, STATE_NAMES, STATES_N, &p, &f->err);
    if (!rc)
        rc = store_add_pipeline(f->s, p, (int64_t)(world_random_u64(&world_real) >> 1), f->now, &f->err);
    if (!rc)
        rc = ask_for_two(f, ids);
    f->now += CLOCK_S / 2;
    if (!rc)
        rc = claim_all(f);
    if (!rc)
        rc = tell_of(f, ids[0]);
    if (!rc)
        rc = put_one_off(f, ids[1]);
    if (!rc)
        rc = finish(f, ids[0]);
    if (!rc)
        rc = list_all(f);
    if (!rc)
        rc = look_up(f, ids[0]);
    if (!rc)
        rc = keep_archives(f);
    if (!rc)
        rc = tell_partners(f, ids[0]);
    if (!rc)
        rc = forget_another(f);
    if (!rc)
        rc = forget_cancelled(f);
    if (!rc)
        rc = use_directory(f);
    if (!rc)
        rc = keep_a_trail(f);
    if (!rc)
        rc = keep_an_answer(f);
    return rc ? rc : use_clients(f);
}

/* As the writer does it. */
static enum rc live_in_a_transaction(struct fixture *f)
{
    enum rc rc = db_begin(f->db, &f->err);
    if (!rc)
        rc = db_savepoint(f->db, &f->err);
    if (!rc)
        rc = live(f);
    if (!rc)
        rc = db_savepoint_release(f->db, &f->err);
    else
        db_savepoint_rollback(f->db);
    if (!rc)
        rc = db_commit(f->db, &f->err);
    else
        db_rollback(f->db);
    return rc;
}

/* ---- the N-th call fails ---- */

static void empty(struct fixture *f)
{
    OK(db_script(f->db,
                 "DELETE FROM account; DELETE FROM identity; DELETE FROM creation_break; DELETE FROM "
                 "retirement; DELETE FROM "
                 "retirement_person; DELETE FROM "
                 "retired_name;"
                 "DELETE FROM redacted; DELETE FROM outbox; DELETE FROM alarm; DELETE FROM stuck; DELETE "
                 "FROM stage_memo; DELETE FROM archive; DELETE FROM "
                 "retirement_log; DELETE FROM client; "
                 "DELETE FROM driver; "
                 "UPDATE state SET people = 0, waiting = 0; DELETE FROM setting "
                 "WHERE name IN ('salts', 'alerted_at')",
                 &f->err));
}

static enum rc count_call(void *arg, const char *sql)
{
    ++*(int *)arg;
    return RC_OK;
}

/* Call n fails, counted from 0: the life is undone as a whole, and succeeds afterwards. */
static void live_with_failure(struct fixture *f, int n)
{
    db_set_fault(f->db, db_fail_nth, &n);
    enum rc rc = live_in_a_transaction(f);
    db_set_fault(f->db, NULL, NULL);
    assert_int_equal(rc, RC_NO_SPACE);
    assert_false(db_in_transaction(f->db));
    assert_sound(f);
    assert_int_equal(ask(f, "SELECT count(*) FROM retirement"), 0);
    OK(live_in_a_transaction(f));
    assert_sound(f);
    assert_int_equal(ask(f, "SELECT count(*) FROM retirement_log"), 8);
    empty(f);
}

/* Every 23rd call, and the last one, which commits; every call with LETHE_WHOLE. */
static void test_store__any_call_may_fail(void **state)
{
    struct fixture *f = *state;
    int calls = 0, step = getenv("LETHE_WHOLE") ? 1 : 23;
    live_with_failure(f, 0); /* later lives make no pipeline and no salts */
    db_set_fault(f->db, count_call, &calls);
    OK(live_in_a_transaction(f));
    db_set_fault(f->db, NULL, NULL);
    empty(f);
    assert_true(calls > 100);
    for (int n = 0; n < calls; n += step)
        live_with_failure(f, n);
    live_with_failure(f, calls - 1);
}

/* ---- plans ---- */

enum { SQL_MAX = 300, ARGS_MAX = 32 };

struct texts {
    const char *sql[SQL_MAX];
    size_t n;
};

static enum rc keep_text(void *arg, const char *sql)
{
    struct texts *t = arg;
    for (size_t i = 0; i < t->n; i++)
        if (t->sql[i] == sql)
            return RC_OK;
    assert_true(t->n < SQL_MAX);
    t->sql[t->n++] = sql;
    return RC_OK;
}

/* What scans a table of this size is slow one day. Those that are small for ever may be scanned. */
static bool scans_much(const char *plan)
{
    static const char *const big[] = { "SCAN r", "SCAN retirement", "SCAN a", "SCAN account",
                                       "SCAN p", "SCAN retired",    "SCAN n", "SCAN l",
                                       "SCAN x", "SCAN i",          "SCAN o" };
    static const char *const small[] = { "SCAN pipeline", "SCAN ps", "SCAN alarm" };
    for (size_t i = 0; i < sizeof(small) / sizeof(small[0]); i++)
        if (strncmp(plan, small[i], strlen(small[i])) == 0)
            return false;
    for (size_t i = 0; i < sizeof(big) / sizeof(big[0]); i++)
        if (strncmp(plan, big[i], strlen(big[i])) == 0)
            return true;
    return false;
}

static bool takes_the_newest(const char *sql)
{
    return strstr(sql, "ORDER BY id DESC LIMIT 1") != NULL;
}

static void check_plan(struct fixture *f, const char *sql)
{
    struct db_value none[ARGS_MAX];
    struct db_rows rows;
    bool row;
    for (size_t i = 0; i < ARGS_MAX; i++)
        none[i] = DB_INT(1);
    const char *explain = arena_printf(&f->arena, "EXPLAIN QUERY PLAN %s", sql);
    OK(db_query(f->db, &rows, explain, (struct db_args){ none, ARGS_MAX }, &f->err));
    for (OK(db_next(&rows, &row, &f->err)); row; OK(db_next(&rows, &row, &f->err))) {
        const char *plan = db_text(&rows, 3);
        if (scans_much(plan) && !takes_the_newest(sql))
            fail_msg("%s: %s", plan, sql);
        if (strstr(plan, "TEMP B-TREE") && strstr(sql, "LIMIT $"))
            fail_msg("%s: %s", plan, sql);
        if (strstr(plan, "(state_id=?)") && strstr(sql, "JOIN retirement r"))
            fail_msg("%s: %s", plan, sql); /* meant was one person, not all in the state */
    }
}

static void test_store__no_statement_scans_a_big_table(void **state)
{
    struct fixture *f = *state;
    struct texts texts = { .n = 0 };
    db_set_fault(f->db, keep_text, &texts);
    OK(live_in_a_transaction(f));
    db_set_fault(f->db, NULL, NULL);
    size_t checked = 0;
    for (size_t i = 0; i < texts.n; i++) {
        if (strncmp(texts.sql[i], "SELECT", 6) != 0 && strncmp(texts.sql[i], "WITH", 4) != 0 &&
            strncmp(texts.sql[i], "DELETE", 6) != 0 && strncmp(texts.sql[i], "UPDATE", 6) != 0 &&
            strncmp(texts.sql[i], "INSERT", 6) != 0)
            continue;
        check_plan(f, texts.sql[i]);
        checked++;
    }
    assert_true(checked > 40);
}

/* ---- readers beside the writer ---- */

static void test_store__reader_sees_what_is_committed(void **state)
{
    struct fixture *f = *state;
    struct db *db;
    struct store *reader;
    struct retirement r;
    const struct pipeline *p;
    OK(db_open(scratch_path(&f->dir, "sqlite:", "t.db"), false, &db, &f->err));
    OK(store_open(db, LOOKUP_KEY, &reader, &f->err));
    OK(db_begin(f->db, &f->err));
    int64_t id = add_person(f, "Learner1");
    assert_int_equal(store_find_row(reader, "Learner1", &r, &f->err), RC_NOT_FOUND);
    OK(db_commit(f->db, &f->err));
    OK(store_find_row(reader, "Learner1", &r, &f->err));
    assert_int_equal(r.id, id);
    OK(store_current_pipeline(reader, &p, &f->err));
    assert_int_equal(p->n, STATES_N);
    store_close(&reader);
    db_close(&db);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(test_store__any_call_may_fail),
        T(test_store__no_statement_scans_a_big_table),
        T(test_store__reader_sees_what_is_committed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
