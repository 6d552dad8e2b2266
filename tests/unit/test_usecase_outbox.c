/* SPDX-License-Identifier: Apache-2.0 */
/* Deliveries to hooks: which driver holds one, how it ends, and when an operator has it sent again. */
#include "usecase_fixture.h"

enum { LEASE_S = 60 };

static struct hook_conf hooks[] = { { .event = HOOK_REQUEST, .name = "app" },
                                    { .event = HOOK_CANCEL, .name = "app" } };

static int open_site(void **state)
{
    site.hooks = hooks;
    site.n_hooks = 2;
    return open_fixture(state);
}

static int64_t request(struct fixture *f, const char *username)
{
    struct act act = act_as(f, "client:web");
    struct retirement_view view;
    bool created;
    struct person_request in = { .username = username,
                                 .email = arena_printf(&f->arena, "%s@example.com", username) };
    OK(usecase_request(&act, &in, &view, &created, &f->err));
    return view.row.id;
}

static struct wire_delivery *take(struct fixture *f, size_t expected)
{
    static struct wire_hook names[] = { { "on_request", "app", LEASE_S }, { "on_cancel", "app", LEASE_S } };
    struct act act = act_as(f, "driver:d1");
    struct wire_delivery_request in = { .hooks = names, .n_hooks = 2, .limit = 10 };
    struct wire_delivery *out;
    size_t n;
    OK(usecase_claim_deliveries(&act, &in, &out, &n, &f->err));
    assert_int_equal(n, expected);
    return out;
}

/* "ok", or the code. */
static const char *tell(struct fixture *f, const struct wire_delivery *d, enum wire_delivery_outcome outcome,
                        int64_t after_ms)
{
    struct act act = act_as(f, "driver:d1");
    struct wire_delivery_report report = { .id = d->id,
                                           .epoch = d->epoch,
                                           .outcome = outcome,
                                           .after_ms = after_ms,
                                           .status = 503,
                                           .cause = "503 from app" };
    struct wire_delivery_report_answer answer;
    OK(usecase_report_deliveries(&act, &report, &answer, 1, &f->err));
    return answer.ok ? "ok" : answer.code;
}

static enum rc retry(struct fixture *f, int64_t id, struct delivery *out)
{
    struct act act = act_as(f, "client:operator");
    return usecase_retry_delivery(&act, id, out, &f->err);
}

static struct delivery get(struct fixture *f, int64_t id)
{
    struct delivery d;
    OK(store_get_delivery(f->s, &f->arena, id, &d, &f->err));
    return d;
}

static void test_outbox__one_driver_has_a_delivery_until_its_lease_ends(void **state)
{
    struct fixture *f = *state;
    int64_t id = request(f, "ada");
    struct wire_delivery first = take(f, 1)[0];
    assert_int_equal(first.retirement_id, id);
    assert_string_equal(first.user.original_username, "ada");
    assert_int_equal(first.attempts, 1);
    take(f, 0);
    f->now += LEASE_S * CLOCK_S;
    struct wire_delivery second = take(f, 1)[0];
    assert_string_equal(first.key, second.key);
    assert_int_equal(second.attempts, 2);
    assert_string_equal(tell(f, &first, WIRE_DELIVERY_DONE, 0), "stale_epoch");
    assert_string_equal(tell(f, &second, WIRE_DELIVERY_DONE, 0), "ok");
    assert_int_equal(get(f, second.id).state, DELIVERY_DONE);
    assert_string_equal(tell(f, &second, WIRE_DELIVERY_FAILED, 0), "ok"); /* a repeat: its reply was lost */
    assert_int_equal(get(f, second.id).state, DELIVERY_DONE);
}

static void test_outbox__again_waits_and_a_release_is_no_attempt(void **state)
{
    struct fixture *f = *state;
    request(f, "ada");
    struct wire_delivery c = take(f, 1)[0];
    assert_string_equal(tell(f, &c, WIRE_DELIVERY_AGAIN, 100000), "ok");
    assert_int_equal(last_audit(f).n, 1); /* an attempt that will be repeated is no entry */
    assert_string_equal(get(f, c.id).failure.cause, "503 from app");
    f->now += 50 * CLOCK_S;
    take(f, 0);
    f->now += 50 * CLOCK_S;
    c = take(f, 1)[0];
    assert_int_equal(c.attempts, 2);
    assert_string_equal(tell(f, &c, WIRE_DELIVERY_RELEASED, 0), "ok");
    c = take(f, 1)[0];
    assert_int_equal(c.attempts, 2);
    assert_int_equal(last_audit(f).n, 1);
    assert_string_equal(tell(f, &c, WIRE_DELIVERY_DONE, 0), "ok");
    assert_audited(f, 2, "driver:d1", "delivery_reported", "delivery:1");
}

static void test_outbox__a_failed_one_is_sent_again_with_another_key_and_audited(void **state)
{
    struct fixture *f = *state;
    struct delivery out;
    request(f, "ada");
    struct wire_delivery c = take(f, 1)[0];
    refused(retry(f, c.id, &out), RC_CONFLICT, &f->err, "taken");
    assert_string_equal(tell(f, &c, WIRE_DELIVERY_FAILED, 0), "ok");
    assert_int_equal(get(f, c.id).state, DELIVERY_FAILED);
    take(f, 0);
    OK(retry(f, c.id, &out));
    assert_audited(f, 3, "client:operator", "delivery_retried",
                   arena_printf(&f->arena, "delivery:%lld", (long long)c.id));
    struct wire_delivery again = take(f, 1)[0];
    assert_string_not_equal(again.key, c.key);
    assert_int_equal(again.attempts, 1);
    assert_int_equal(retry(f, 99, &out), RC_NOT_FOUND);
}

static void test_outbox__one_that_waits_keeps_its_key_when_it_is_hurried(void **state)
{
    struct fixture *f = *state;
    struct delivery out;
    request(f, "ada");
    struct wire_delivery c = take(f, 1)[0];
    assert_string_equal(tell(f, &c, WIRE_DELIVERY_AGAIN, 3600000), "ok");
    OK(retry(f, c.id, &out));
    struct wire_delivery again = take(f, 1)[0];
    assert_string_equal(again.key, c.key);
    assert_int_equal(again.attempts, 2);
}

static void test_outbox__can_be_sent_again_though_a_clock_was_ahead(void **state)
{
    struct fixture *f = *state;
    struct delivery out;
    request(f, "ada");
    f->now += 365 * CLOCK_DAY;
    take(f, 1);
    f->now -= 365 * CLOCK_DAY;
    OK(retry(f, 1, &out));
    take(f, 1);
}

static void test_outbox__a_request_that_was_taken_back_is_not_told_again(void **state)
{
    struct fixture *f = *state;
    struct delivery out;
    struct operator_answer answer;
    int64_t id = request(f, "ada");
    struct wire_delivery c = take(f, 1)[0];
    assert_string_equal(tell(f, &c, WIRE_DELIVERY_FAILED, 0), "ok");
    struct act act = act_as(f, "client:web");
    OK(usecase_operate(&act, id, &(struct operator_move){ .operation = OPERATION_CANCEL }, &answer, &f->err));
    assert_string_equal(take(f, 1)->event, "on_cancel");
    refused(retry(f, c.id, &out), RC_CONFLICT, &f->err, "overtaken");
}

#define S(name) cmocka_unit_test_setup_teardown(name, open_site, close_fixture)

int main(void)
{
    const struct CMUnitTest tests[] = {
        S(test_outbox__one_driver_has_a_delivery_until_its_lease_ends),
        S(test_outbox__again_waits_and_a_release_is_no_attempt),
        S(test_outbox__a_failed_one_is_sent_again_with_another_key_and_audited),
        S(test_outbox__one_that_waits_keeps_its_key_when_it_is_hurried),
        S(test_outbox__can_be_sent_again_though_a_clock_was_ahead),
        S(test_outbox__a_request_that_was_taken_back_is_not_told_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
