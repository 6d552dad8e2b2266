/* SPDX-License-Identifier: Apache-2.0 */
/* Hooks, alerts and the watch on a store of their own: which messages are sent, to which hook, when, and what
 * they say. */
#include "store_fixture.h"

#include <string.h>

#include "base/json.h"
#include "usecase/usecase.h"

static const uint8_t RUN_KEY[CRYPTO_KEY_LEN] = { 7 };

static struct hook_conf hooks[] = {
    { .event = HOOK_REQUEST, .name = "app" }, { .event = HOOK_REQUEST, .name = "crm" },
    { .event = HOOK_CANCEL, .name = "app" },  { .event = HOOK_ALERT, .name = "1" },
    { .event = HOOK_ALERT, .name = "2" },     { .event = HOOK_CONFIRMATION, .name = "mail" },
};
static const struct stage_conf stages[] = {
    { .working = "FORUM_ING", .completed = "FORUM_DONE", .stuck_after_us = 10 * CLOCK_S },
    { .working = "MAIL_ING", .completed = "MAIL_DONE" },
};
static struct config site;

static int open_site(void **state)
{
    site = (struct config){
        .salts = { SALT, 2 },
        .retired_username = RETIRED_FORMAT,
        .retired_email = "retired__user_{}@retired.invalid",
        .deaths_max = 3,
        .platform = "here",
        .hooks = hooks,
        .n_hooks = sizeof(hooks) / sizeof(hooks[0]),
        .has_alerts = true,
        .stages = stages,
        .n_stages = 2,
        .stuck_after_us = 7200 * CLOCK_S,
        .alert_every_us = 60 * CLOCK_S,
    };
    return open_fixture(state);
}

static struct act act_now(struct fixture *f)
{
    return (struct act){ .store = f->s,
                         .world = &world_real,
                         .arena = &f->arena,
                         .config = &site,
                         .run_key = RUN_KEY,
                         .actor = "watch",
                         .now = f->now };
}

static int64_t request(struct fixture *f, const char *username)
{
    struct act act = act_now(f);
    struct retirement_view view;
    bool created;
    const struct person_request in = { .username = username,
                                       .email = arena_printf(&f->arena, "%s@example.com", username) };
    OK(usecase_request(&act, &in, &view, &created, &f->err));
    return view.row.id;
}

static void move(struct fixture *f, int64_t id, const char *to)
{
    struct act act = act_now(f);
    struct operator_answer out;
    OK(usecase_operate(&act, id, &(struct operator_move){ OPERATION_MOVE, to, "a test", false }, &out,
                       &f->err));
}

/* "on_request/app 1; on_request/crm 1": all that waits, in its order. */
static const char *waiting(struct fixture *f)
{
    struct delivery *list;
    size_t n;
    const char *text = "";
    const struct delivery_filter filter = { .state = DELIVERY_WAITING, .limit = 100 };
    OK(store_deliveries(f->s, &f->arena, &filter, &list, &n, &f->err));
    for (size_t i = 0; i < n; i++)
        text = arena_printf(&f->arena, "%s%s%s/%s %lld", text, i ? "; " : "", list[i].event, list[i].hook,
                            (long long)list[i].retirement_id);
    return text;
}

static size_t take(struct fixture *f, const char *event, const char *name, struct wire_delivery **out)
{
    struct act act = act_now(f);
    struct wire_hook hook = { event, name, 30 };
    const struct wire_delivery_request in = { .hooks = &hook, .n_hooks = 1, .limit = 10 };
    size_t n;
    OK(usecase_claim_deliveries(&act, &in, out, &n, &f->err));
    return n;
}

/* Returns the code of a refusal, "" when it is accepted. */
static const char *say(struct fixture *f, const struct wire_delivery *d, enum wire_delivery_outcome outcome)
{
    struct act act = act_now(f);
    const struct wire_delivery_report report = { .id = d->id,
                                                 .epoch = d->epoch,
                                                 .outcome = outcome,
                                                 .after_ms = 5000,
                                                 .status = 503,
                                                 .cause = "503 from app" };
    struct wire_delivery_report_answer answer;
    OK(usecase_report_deliveries(&act, &report, &answer, 1, &f->err));
    assert_int_equal(answer.ok, !answer.code);
    return answer.ok ? "" : answer.code;
}

/* ---- hooks ---- */

static void test_watch__a_request_and_its_cancel_are_told_to_each_hook(void **state)
{
    struct fixture *f = *state;
    int64_t id = request(f, "ada");
    request(f, "ada"); /* the live one: nothing is new */
    assert_string_equal(waiting(f), "on_request/app 1; on_request/crm 1");
    struct act act = act_now(f);
    struct operator_answer out;
    OK(usecase_operate(&act, id, &(struct operator_move){ .operation = OPERATION_CANCEL }, &out, &f->err));
    OK(usecase_operate(&act, id, &(struct operator_move){ .operation = OPERATION_CANCEL }, &out, &f->err));
    assert_string_equal(waiting(f), "on_request/app 1; on_request/crm 1; on_cancel/app 1");
}

static void test_watch__who_asks_for_themselves_gets_a_confirmation_once(void **state)
{
    struct fixture *f = *state;
    int64_t account = add_account(f, "eve");
    struct act act = act_now(f);
    OK(usecase_request_own(&act, account, NULL, &f->err));
    OK(usecase_request_own(&act, account, NULL, &f->err));
    assert_string_equal(waiting(f), "on_request/app 1; on_request/crm 1; confirmation/mail 1");
}

static void test_watch__a_delivery_brings_the_person_and_a_steady_key(void **state)
{
    struct fixture *f = *state;
    struct wire_delivery *first, *again, *anew;
    request(f, "ada");
    assert_int_equal(take(f, "on_request", "app", &first), 1);
    assert_string_equal(first->user.original_email, "ada@example.com");
    assert_int_equal(strlen(first->key), 32);
    assert_int_equal(take(f, "on_request", "app", &again), 0);
    assert_string_equal(say(f, first, WIRE_DELIVERY_AGAIN), "");
    f->now += 5 * CLOCK_S;
    assert_int_equal(take(f, "on_request", "app", &again), 1);
    assert_string_equal(again->key, first->key);
    assert_true(again->attempts == 2 && again->age_s == 5);
    assert_string_equal(say(f, first, WIRE_DELIVERY_DONE), "stale_epoch");
    assert_string_equal(say(f, again, WIRE_DELIVERY_FAILED), "");

    struct act act = act_now(f);
    struct delivery d;
    OK(usecase_retry_delivery(&act, again->id, &d, &f->err));
    assert_int_equal(take(f, "on_request", "app", &anew), 1);
    assert_string_not_equal(anew->key, first->key);
    assert_int_equal(anew->attempts, 1);
}

static void test_watch__what_was_not_tried_is_no_attempt(void **state)
{
    struct fixture *f = *state;
    struct wire_delivery *c;
    request(f, "ada");
    take(f, "on_request", "app", &c);
    assert_string_equal(say(f, c, WIRE_DELIVERY_RELEASED), "");
    assert_string_equal(say(f, c, WIRE_DELIVERY_FAILED),
                        ""); /* a repeat with other words, which changes nothing */
    f->now += CLOCK_DAY;
    assert_int_equal(take(f, "on_request", "app", &c), 1);
    assert_true(c->attempts == 1 && c->age_s == 0);
}

static void test_watch__nothing_is_sent_anew_while_it_is_under_way(void **state)
{
    struct fixture *f = *state;
    struct act act = act_now(f);
    struct wire_delivery *c;
    struct delivery d;
    request(f, "ada");
    take(f, "on_request", "app", &c);
    assert_int_equal(usecase_retry_delivery(&act, c->id, &d, &f->err), RC_CONFLICT);
    assert_string_equal(f->err.code, "taken");
    f->now += CLOCK_DAY; /* the driver that had it is gone */
    act = act_now(f);
    OK(usecase_retry_delivery(&act, c->id, &d, &f->err));
    assert_string_equal(say(f, c, WIRE_DELIVERY_DONE), "stale_epoch");
    assert_int_equal(usecase_retry_delivery(&act, 99, &d, &f->err), RC_NOT_FOUND);
}

/* ---- alerts ---- */

static struct json *alert(struct fixture *f)
{
    struct wire_delivery *c;
    struct json *said;
    if (take(f, "alert", "1", &c) == 0)
        return NULL;
    OK(json_parse(&f->arena, c->payload, strlen(c->payload), &said, &f->err));
    assert_string_equal(say(f, c, WIRE_DELIVERY_DONE), "");
    return said;
}

static void test_watch__errors_are_told_at_once_and_then_gathered(void **state)
{
    struct fixture *f = *state;
    int64_t ada = request(f, "ada"), bob = request(f, "bob"), cid = request(f, "cid");
    assert_null(alert(f));
    move(f, ada, "FORUM_ING");
    assert_null(alert(f));
    move(f, ada, "ERRORED");
    struct json *said = alert(f);
    assert_string_equal(json_get_text(said, "summary"), "1 ERRORED");
    assert_string_equal(json_get_text(said, "text"), "1 ERRORED: FORUM_ING\n    retirements 1\n");
    assert_string_equal(json_get_text(said, "platform"), "here");
    move(f, bob, "ERRORED");
    f->now += 59 * CLOCK_S;
    move(f, cid, "ERRORED");
    assert_null(alert(f));
    f->now += CLOCK_S;
    assert_int_equal(json_get_int(alert(f), "errored", 0), 2);
    f->now += CLOCK_DAY;
    assert_null(alert(f));
}

static void test_watch__each_alert_goes_to_all(void **state)
{
    struct fixture *f = *state;
    struct wire_delivery *c;
    move(f, request(f, "ada"), "ERRORED");
    assert_int_equal(take(f, "alert", "2", &c), 1);
    assert_int_equal(take(f, "alert", "1", &c), 1);
    assert_int_equal(c->retirement_id, 0);
}

static void test_watch__a_clock_that_was_set_back_holds_nothing_up(void **state)
{
    struct fixture *f = *state;
    move(f, request(f, "ada"), "ERRORED");
    assert_non_null(alert(f));
    f->now -= CLOCK_DAY;
    move(f, request(f, "bob"), "ERRORED");
    assert_non_null(alert(f));
}

/* ---- stuck people ---- */

static struct watch_answer look(struct fixture *f)
{
    struct act act = act_now(f);
    struct watch_answer out;
    int64_t after_id = 0;
    OK(usecase_watch(&act, &after_id, &out, &f->err));
    return out;
}

static void test_watch__an_lms_whose_list_nobody_sees_is_told_of_once(void **state)
{
    static const struct source_conf lms = { .batch = 200 };
    struct fixture *f = *state;
    const struct wire_source_request looked = { .looked = true };
    struct wire_source_answer out;
    site.source = &lms;
    for (int i = 0; i < 2; i++) {
        struct act act = act_now(f);
        OK(usecase_source(&act, &looked, &out, &f->err));
        f->now += 29 * 60 * CLOCK_S;
        look(f);
        assert_null(alert(f));
        f->now += 60 * CLOCK_S;
        look(f);
        assert_string_equal(json_get_text(alert(f), "summary"), "the LMS is silent");
        f->now += CLOCK_DAY;
        look(f);
        assert_null(alert(f));
    }
    site.source = NULL;
}

static void test_watch__each_stage_has_its_limit(void **state)
{
    struct fixture *f = *state;
    int64_t ada = request(f, "ada"), bob = request(f, "bob");
    move(f, ada, "FORUM_ING"), move(f, bob, "MAIL_ING");
    f->now += 10 * CLOCK_S;
    assert_int_equal(look(f).found, 0);
    f->now += 1;
    assert_int_equal(look(f).found, 1);
    assert_int_equal(look(f).found, 0); /* known already */
    f->now += 7200 * CLOCK_S;
    assert_int_equal(look(f).found, 1);
    struct json *said = alert(f);
    assert_string_equal(json_get_text(said, "summary"), "2 stuck");
    assert_non_null(
        strstr(json_get_text(said, "text"), "1 stuck: FORUM_ING, stuck for 10s\n    retirements 1\n"));
    assert_non_null(
        strstr(json_get_text(said, "text"), "1 stuck: MAIL_ING, stuck for 2h\n    retirements 2\n"));
}

static void test_watch__who_is_stuck_may_be_moved_and_is_told_of_as_errored(void **state)
{
    struct fixture *f = *state;
    site.stuck_is_errored = true;
    int64_t ada = request(f, "ada"), bob = request(f, "bob");
    move(f, ada, "FORUM_ING"), move(f, bob, "FORUM_DONE");
    f->now += CLOCK_DAY;
    struct watch_answer found = look(f);
    assert_true(found.errored == 1 && found.found == 1 && !found.more);
    struct retirement row = row_of(f, ada);
    assert_string_equal(row.pipeline->names[row.state], "ERRORED");
    assert_string_equal(row.pipeline->names[row.last_state], "FORUM_ING");
    assert_string_equal(json_get_text(alert(f), "text"),
                        "1 ERRORED: FORUM_ING, stuck for 10s\n    retirements 1\n"
                        "1 stuck: FORUM_DONE, no driver takes people to MAIL_ING\n    retirements 2\n");
    row = row_of(f, bob); /* nothing is half done */
    assert_string_equal(row.pipeline->names[row.state], "FORUM_DONE");
    found = look(f);
    assert_true(found.errored == 0 && found.found == 0);
    assert_sound(f);
}

/* The limit is that of the next stage. */
static void test_watch__a_stage_that_no_driver_has_is_told_of(void **state)
{
    struct fixture *f = *state;
    move(f, request(f, "ada"), "FORUM_DONE"), move(f, request(f, "bob"), "MAIL_DONE");
    add_crowd(f, 5, FORUM_DONE, f->now + 2 * CLOCK_DAY);
    add_crowd(f, 5, FORUM_DONE, LEASE_PUT_OFF(f->now + 2 * CLOCK_DAY));
    request(f, "eve"); /* in PENDING: overdue, if that */
    f->now += 7200 * CLOCK_S;
    assert_int_equal(look(f).found, 0);
    f->now += 1;
    assert_int_equal(look(f).found, 2);
    assert_int_equal(look(f).found, 0);
    const char *text = json_get_text(alert(f), "text");
    assert_non_null(
        strstr(text, "1 stuck: FORUM_DONE, no driver takes people to MAIL_ING\n    retirements 1\n"));
    assert_non_null(
        strstr(text, "1 stuck: MAIL_DONE, no driver takes people to COMPLETE\n    retirements 2\n"));
}

static void test_watch__nobody_is_expected_before_a_stage_that_is_held(void **state)
{
    struct fixture *f = *state;
    static const struct stage_conf held[] = {
        { .working = "FORUM_ING", .completed = "FORUM_DONE" },
        { .working = "MAIL_ING", .completed = "MAIL_DONE", .finds_nobody = { .after = 5, .hold = true } },
    };
    site.stages = held;
    struct stage_yield yield = { .stage = "MAIL_ING", .of.word = YIELD_HELD };
    OK(store_find_state(f->s, "MAIL_ING", &yield.state_id, &f->err));
    move(f, request(f, "ada"), "FORUM_DONE");
    OK(store_set_yield(f->s, &yield, &f->err));
    f->now += CLOCK_DAY;
    assert_int_equal(look(f).found, 0);
    yield.of.word = YIELD_RELEASED;
    yield.released_at = f->now;
    yield.actor = yield.reason = "a test";
    OK(store_set_yield(f->s, &yield, &f->err));
    assert_int_equal(look(f).found, 0); /* a driver has time to come */
    f->now += 7200 * CLOCK_S + 1;
    assert_int_equal(look(f).found, 1);
}

static void test_watch__nobody_is_expected_while_the_fuse_is_blown(void **state)
{
    struct fixture *f = *state;
    move(f, request(f, "ada"), "FORUM_DONE"), move(f, request(f, "bob"), "MAIL_ING");
    f->now += CLOCK_DAY;
    OK(store_add_fuse(f->s, &(struct fuse_entry){ .at = f->now, .blown = true, .due = 9, .actor = "x" },
                      &f->err));
    assert_int_equal(look(f).found, 1); /* people in a working state go on, or should */
    OK(store_add_fuse(f->s, &(struct fuse_entry){ .at = f->now, .due = 9, .actor = "x", .reason = "y" },
                      &f->err));
    assert_int_equal(look(f).found, 1);
}

static void test_watch__without_alerts_nothing_gathers(void **state)
{
    struct fixture *f = *state;
    site.has_alerts = false;
    move(f, request(f, "ada"), "ERRORED");
    move(f, request(f, "bob"), "FORUM_ING");
    f->now += CLOCK_DAY;
    assert_int_equal(look(f).errored, 0);
    assert_int_equal(ask(f, "SELECT count(*) FROM alarm"), 0);
}

static void test_watch__goes_on_behind_a_full_look(void **state)
{
    struct fixture *f = *state;
    struct watch_answer out;
    int64_t after_id = 0, found = 0;
    OK(db_begin(f->db, &f->err)); /* one commit for all of them */
    for (int i = 0; i < 501; i++)
        move(f, request(f, arena_printf(&f->arena, "p%d", i)), "FORUM_ING");
    OK(db_commit(f->db, &f->err));
    f->now += CLOCK_DAY;
    struct act act = act_now(f);
    OK(usecase_watch(&act, &after_id, &out, &f->err));
    assert_true(out.more && out.found == 500 && after_id == 500);
    found += out.found;
    OK(usecase_watch(&act, &after_id, &out, &f->err));
    assert_true(!out.more && found + out.found == 501);
}

/* How many looks it takes to come to the end. *found: newly found in all of them. */
static int looks_to_the_end(struct fixture *f, int64_t *found)
{
    struct act act = act_now(f);
    struct watch_answer out = { .more = true };
    int64_t after_id = 0;
    int looks = 0;
    for (*found = 0; out.more && looks < 100; looks++) {
        OK(usecase_watch(&act, &after_id, &out, &f->err));
        *found += out.found;
    }
    return looks;
}

static enum rc count_statement(void *arg, const char *sql)
{
    ++*(int *)arg;
    return RC_OK;
}

/* Other writes wait for a look: it goes through a limited number of rows, and reads none that is not idle. */
static void test_watch__a_look_is_short_however_many_wait(void **state)
{
    struct fixture *f = *state;
    int64_t found;
    int statements = 0;
    move(f, request(f, "ada"), "MAIL_ING");
    add_crowd(f, DUE_LOOK_MAX, FORUM_ING, LEASE_WAITING);
    add_crowd(f, DUE_LOOK_MAX, FORUM_ING, f->now + 2 * CLOCK_DAY);
    add_crowd(f, DUE_LOOK_MAX / 2, FORUM_ING, LEASE_PUT_OFF(f->now + 2 * CLOCK_DAY));
    move(f, request(f, "bob"), "MAIL_ING");
    f->now += CLOCK_DAY;
    db_set_fault(f->db, count_statement, &statements);
    assert_int_equal(looks_to_the_end(f, &found), 3);
    db_set_fault(f->db, NULL, NULL);
    assert_int_equal(found, 2);
    assert_in_range(statements, 1, 100);
    assert_int_equal(looks_to_the_end(f, &found), 3);
    assert_int_equal(found, 0);
}

static void test_watch__who_has_moved_is_forgotten_in_parts(void **state)
{
    struct fixture *f = *state;
    int64_t found;
    add_crowd(f, 700, FORUM_ING, LEASE_NONE);
    f->now += CLOCK_DAY;
    assert_int_equal(looks_to_the_end(f, &found), 2);
    assert_int_equal(found, 700);
    OK(db_script(f->db, "UPDATE retirement SET modified_at = modified_at + 1 WHERE id <= 600", &f->err));
    f->now -= CLOCK_DAY; /* none of them is stuck now */
    looks_to_the_end(f, &found);
    assert_int_equal(ask(f, "SELECT count(*) FROM stuck"), 200);
    looks_to_the_end(f, &found);
    assert_int_equal(ask(f, "SELECT count(*) FROM stuck"), 100);
}

#define S(name) cmocka_unit_test_setup_teardown(name, open_site, close_fixture)

int main(void)
{
    const struct CMUnitTest tests[] = {
        S(test_watch__an_lms_whose_list_nobody_sees_is_told_of_once),
        S(test_watch__a_request_and_its_cancel_are_told_to_each_hook),
        S(test_watch__who_asks_for_themselves_gets_a_confirmation_once),
        S(test_watch__a_delivery_brings_the_person_and_a_steady_key),
        S(test_watch__what_was_not_tried_is_no_attempt),
        S(test_watch__nothing_is_sent_anew_while_it_is_under_way),
        S(test_watch__errors_are_told_at_once_and_then_gathered),
        S(test_watch__each_alert_goes_to_all),
        S(test_watch__a_clock_that_was_set_back_holds_nothing_up),
        S(test_watch__each_stage_has_its_limit),
        S(test_watch__who_is_stuck_may_be_moved_and_is_told_of_as_errored),
        S(test_watch__a_stage_that_no_driver_has_is_told_of),
        S(test_watch__nobody_is_expected_before_a_stage_that_is_held),
        S(test_watch__nobody_is_expected_while_the_fuse_is_blown),
        S(test_watch__without_alerts_nothing_gathers),
        S(test_watch__goes_on_behind_a_full_look),
        S(test_watch__a_look_is_short_however_many_wait),
        S(test_watch__who_has_moved_is_forgotten_in_parts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
