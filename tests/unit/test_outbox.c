/* SPDX-License-Identifier: Apache-2.0 */
/* Deliveries that wait: which driver gets them, when, in which order. */
#include "store_fixture.h"

#include <stdio.h>
#include <string.h>

static void tell(struct fixture *f, const char *event, const char *hook, int64_t retirement_id)
{
    const struct delivery d = { .event = event, .hook = hook, .retirement_id = retirement_id };
    OK(store_add_delivery(f->s, &d, f->now, &f->err));
}

/* "1,2": the deliveries of a hook that are due now. */
static const char *due(struct fixture *f, const char *event, const char *hook)
{
    static char text[200];
    struct delivery *list;
    size_t n;
    OK(store_due_deliveries(f->s, &f->arena, event, hook, f->now, 10, &list, &n, &f->err));
    text[0] = '\0';
    for (size_t i = 0; i < n; i++)
        snprintf(text + strlen(text), sizeof(text) - strlen(text), "%s%lld", i ? "," : "",
                 (long long)list[i].id);
    return text;
}

static struct delivery get(struct fixture *f, int64_t id)
{
    struct delivery d;
    OK(store_get_delivery(f->s, &f->arena, id, &d, &f->err));
    return d;
}

static void end(struct fixture *f, int64_t id, enum delivery_state state)
{
    struct delivery d = get(f, id);
    d.state = state;
    d.ended_at = f->now;
    d.taken = false;
    OK(store_update_delivery(f->s, &d, &f->err));
}

static void test_outbox__a_message_waits_for_its_hook_alone(void **state)
{
    struct fixture *f = *state;
    int64_t ada = add_person(f, "Ada");
    tell(f, "on_request", "app", ada);
    tell(f, "on_request", "crm", ada);
    assert_string_equal(due(f, "on_request", "app"), "1");
    assert_string_equal(due(f, "on_request", "crm"), "2");
    assert_string_equal(due(f, "on_cancel", "app"), "");
    assert_string_equal(due(f, "on_request", "other"), "");
}

static void test_outbox__all_of_it_is_read_again(void **state)
{
    struct fixture *f = *state;
    const struct delivery in = { .event = "alert", .hook = "1", .payload = "{}" };
    OK(store_add_delivery(f->s, &in, f->now, &f->err));
    struct delivery d = get(f, 1);
    assert_string_equal(d.event, "alert");
    assert_string_equal(d.hook, "1");
    assert_string_equal(d.payload, "{}");
    assert_int_equal(d.retirement_id, 0);
    assert_int_equal(d.state, DELIVERY_WAITING);
    assert_true(d.created_at == f->now && d.next_at == f->now && d.ended_at == 0);
    assert_true(d.attempts == 0 && d.round == 0 && d.epoch == 0 && !d.taken);
    assert_int_equal(d.failure.status, -1);
    assert_null(d.failure.cause);
    assert_int_equal(store_get_delivery(f->s, &f->arena, 2, &d, &f->err), RC_NOT_FOUND);
}

static void test_outbox__what_is_taken_is_due_again_when_the_time_is_over(void **state)
{
    struct fixture *f = *state;
    tell(f, "on_request", "app", add_person(f, "Ada"));
    struct delivery d = get(f, 1);
    OK(store_take_delivery(f->s, &d, f->now + 10 * CLOCK_S, &f->err));
    assert_true(d.epoch == 1 && d.attempts == 1 && d.taken);
    assert_string_equal(due(f, "on_request", "app"), "");
    f->now += 10 * CLOCK_S - 1;
    assert_string_equal(due(f, "on_request", "app"), "");
    f->now += 1;
    assert_string_equal(due(f, "on_request", "app"), "1");
    OK(store_take_delivery(f->s, &d, f->now + 1, &f->err));
    assert_true(get(f, 1).epoch == 2 && get(f, 1).attempts == 2);
}

static void test_outbox__is_not_held_by_a_clock_that_was_ahead(void **state)
{
    const int64_t longest = (int64_t)LEASE_MAX_S * CLOCK_S;
    struct fixture *f = *state;
    for (int i = 0; i < 4; i++)
        tell(f, "on_request", "app", add_person(f, arena_printf(&f->arena, "P%d", i)));
    const int64_t next_at[] = { f->now + 365 * CLOCK_DAY, f->now + longest, f->now + longest + 1, f->now };
    for (int i = 0; i < 4; i++) {
        struct delivery d = get(f, i + 1);
        d.next_at = next_at[i];
        OK(store_update_delivery(f->s, &d, &f->err));
        assert_int_equal(delivery_is_held(&d, f->now), i == 1);
    }
    assert_string_equal(due(f, "on_request", "app"), "4,3,1");
}

static void test_outbox__the_longest_due_comes_first(void **state)
{
    struct fixture *f = *state;
    for (int i = 0; i < 3; i++)
        tell(f, "on_request", "app", add_person(f, arena_printf(&f->arena, "P%d", i)));
    struct delivery d = get(f, 1);
    d.next_at = f->now + 5;
    OK(store_update_delivery(f->s, &d, &f->err));
    f->now += 5;
    assert_string_equal(due(f, "on_request", "app"), "2,3,1");
}

static void test_outbox__a_cancel_waits_for_its_request(void **state)
{
    struct fixture *f = *state;
    int64_t ada = add_person(f, "Ada"), bob = add_person(f, "Bob");
    tell(f, "on_request", "app", ada);
    tell(f, "on_request", "crm", ada);
    tell(f, "on_cancel", "app", ada);
    tell(f, "on_cancel", "app", bob); /* that request was not delivered: there was no hook then */
    assert_string_equal(due(f, "on_cancel", "app"), "4");
    end(f, 2, DELIVERY_DONE); /* of another hook */
    assert_string_equal(due(f, "on_cancel", "app"), "4");
    end(f, 1, DELIVERY_DONE);
    assert_string_equal(due(f, "on_cancel", "app"), "3,4");
}

static void test_outbox__a_request_that_failed_holds_up_nobody(void **state)
{
    struct fixture *f = *state;
    int64_t ada = add_person(f, "Ada");
    tell(f, "on_request", "app", ada);
    tell(f, "on_cancel", "app", ada);
    end(f, 1, DELIVERY_FAILED);
    assert_string_equal(due(f, "on_cancel", "app"), "2");
}

static void test_outbox__a_cancel_of_another_name_waits_for_all(void **state)
{
    struct fixture *f = *state;
    int64_t ada = add_person(f, "Ada");
    tell(f, "on_request", "app", ada);
    tell(f, "on_request", "crm", ada);
    tell(f, "on_cancel", "new", ada);
    end(f, 1, DELIVERY_DONE);
    assert_string_equal(due(f, "on_cancel", "new"), "");
    end(f, 2, DELIVERY_DONE);
    assert_string_equal(due(f, "on_cancel", "new"), "3");
}

static void test_outbox__a_request_that_came_back_waits_for_the_cancel(void **state)
{
    struct fixture *f = *state;
    int64_t ada = add_person(f, "Ada");
    tell(f, "on_request", "app", ada);
    tell(f, "on_cancel", "app", ada);
    tell(f, "on_request", "app", ada);
    assert_string_equal(due(f, "on_request", "app"), "1");
    end(f, 1, DELIVERY_DONE);
    assert_string_equal(due(f, "on_request", "app"), "");
    assert_string_equal(due(f, "on_cancel", "app"), "2");
    end(f, 2, DELIVERY_DONE);
    assert_string_equal(due(f, "on_request", "app"), "3");
}

static void test_outbox__a_confirmation_waits_for_nobody(void **state)
{
    struct fixture *f = *state;
    int64_t ada = add_person(f, "Ada");
    tell(f, "on_request", "app", ada);
    tell(f, "confirmation", "mail", ada);
    assert_string_equal(due(f, "confirmation", "mail"), "2");
}

static void test_outbox__knows_what_was_overtaken(void **state)
{
    struct fixture *f = *state;
    int64_t ada = add_person(f, "Ada"), bob = add_person(f, "Bob");
    bool overtaken;
    tell(f, "on_request", "app", ada);
    tell(f, "on_request", "app", bob);
    tell(f, "on_cancel", "app", ada);
    struct delivery of_ada = get(f, 1), of_bob = get(f, 2), cancel = get(f, 3);
    OK(store_is_overtaken(f->s, &of_ada, &overtaken, &f->err));
    assert_true(overtaken);
    OK(store_is_overtaken(f->s, &of_bob, &overtaken, &f->err));
    assert_false(overtaken);
    OK(store_is_overtaken(f->s, &cancel, &overtaken, &f->err));
    assert_false(overtaken);
}

static size_t count(struct fixture *f, struct delivery_filter filter)
{
    struct delivery *list;
    size_t n;
    OK(store_deliveries(f->s, &f->arena, &filter, &list, &n, &f->err));
    return n;
}

static void test_outbox__lists_by_state_and_retirement(void **state)
{
    struct fixture *f = *state;
    int64_t ada = add_person(f, "Ada"), bob = add_person(f, "Bob");
    tell(f, "on_request", "app", ada);
    tell(f, "on_request", "app", bob);
    tell(f, "on_cancel", "app", ada);
    end(f, 1, DELIVERY_DONE);
    assert_int_equal(count(f, (struct delivery_filter){ .state = -1, .limit = 10 }), 3);
    assert_int_equal(count(f, (struct delivery_filter){ .state = -1, .limit = 2 }), 2);
    assert_int_equal(count(f, (struct delivery_filter){ .state = -1, .limit = 10, .after_id = 2 }), 1);
    assert_int_equal(count(f, (struct delivery_filter){ .state = DELIVERY_DONE, .limit = 10 }), 1);
    assert_int_equal(count(f, (struct delivery_filter){ .state = -1, .retirement_id = ada, .limit = 10 }), 2);
    assert_int_equal(
        count(f, (struct delivery_filter){ .state = DELIVERY_WAITING, .retirement_id = ada, .limit = 10 }),
        1);
}

static void test_outbox__old_alerts_go_and_nothing_else(void **state)
{
    struct fixture *f = *state;
    tell(f, "alert", "1", 0);
    tell(f, "alert", "1", 0);
    tell(f, "alert", "1", 0);
    tell(f, "on_request", "app", add_person(f, "Ada"));
    end(f, 1, DELIVERY_DONE);
    end(f, 4, DELIVERY_DONE);
    f->now += 10;
    end(f, 2, DELIVERY_FAILED);
    OK(store_forget_alerts(f->s, f->now, &f->err));
    struct delivery d;
    assert_int_equal(store_get_delivery(f->s, &f->arena, 1, &d, &f->err), RC_NOT_FOUND);
    assert_int_equal(count(f, (struct delivery_filter){ .state = -1, .limit = 10 }), 3);
}

static void test_outbox__goes_with_the_person(void **state)
{
    struct fixture *f = *state;
    int64_t ada = add_person(f, "Ada"), bob = add_person(f, "Bob");
    bool fresh;
    tell(f, "on_request", "app", ada);
    tell(f, "on_request", "app", bob);
    OK(store_note_stuck(f->s, ada, f->now, &fresh, &f->err));
    move_to(f, ada, COMPLETE);
    struct retirement row = row_of(f, ada);
    OK(store_redact(f->s, &row, 0, &(struct redaction){ "r", "r@r", "r" }, &SALTS, &f->err));
    forget_marked(f);
    assert_int_equal(count(f, (struct delivery_filter){ .state = -1, .limit = 10 }), 1);
    assert_int_equal(get(f, 2).retirement_id, bob);
    OK(store_note_stuck(f->s, ada, f->now, &fresh, &f->err));
    assert_true(fresh);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(test_outbox__a_message_waits_for_its_hook_alone),
        T(test_outbox__all_of_it_is_read_again),
        T(test_outbox__what_is_taken_is_due_again_when_the_time_is_over),
        T(test_outbox__is_not_held_by_a_clock_that_was_ahead),
        T(test_outbox__the_longest_due_comes_first),
        T(test_outbox__a_cancel_waits_for_its_request),
        T(test_outbox__a_request_that_failed_holds_up_nobody),
        T(test_outbox__a_cancel_of_another_name_waits_for_all),
        T(test_outbox__a_request_that_came_back_waits_for_the_cancel),
        T(test_outbox__a_confirmation_waits_for_nobody),
        T(test_outbox__knows_what_was_overtaken),
        T(test_outbox__lists_by_state_and_retirement),
        T(test_outbox__old_alerts_go_and_nothing_else),
        T(test_outbox__goes_with_the_person),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
