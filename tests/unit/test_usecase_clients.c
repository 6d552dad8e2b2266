/* SPDX-License-Identifier: Apache-2.0 */
/* Credentials of programs, as the use cases add and disable them. */
#include "usecase_fixture.h"

static struct new_client add(struct fixture *f, const char *name, unsigned scopes)
{
    struct act act = act_as(f, "client:operator");
    struct new_client new;
    OK(usecase_add_client(&act, name, scopes, &new, &f->err));
    return new;
}

static void test_clients__one_that_is_added_can_sign_in_and_is_audited(void **state)
{
    struct fixture *f = *state;
    struct client client;
    struct new_client new = add(f, "driver", SCOPE_DRIVE);
    assert_audited(f, 1, "client:operator", "client_added", "client:driver");
    OK(auth_check_client(f->s, &f->arena, new.client_id, new.secret, &client, &f->err));
    assert_string_equal(client.name, "driver");
    assert_int_equal(client.scopes, SCOPE_DRIVE);
    assert_int_equal(client.created_at, f->now);
    assert_memory_not_equal(client.secret_digest, new.secret, sizeof(client.secret_digest));
}

static void test_clients__one_that_is_disabled_cannot_and_is_audited(void **state)
{
    struct fixture *f = *state;
    struct client client;
    struct new_client new = add(f, "driver", SCOPE_DRIVE);
    struct act act = act_as(f, "client:operator");
    OK(usecase_disable_client(&act, "driver", &f->err));
    assert_audited(f, 2, "client:operator", "client_disabled", "client:driver");
    refused(auth_check_client(f->s, &f->arena, new.client_id, new.secret, &client, &f->err),
            RC_UNAUTHENTICATED, &f->err, "invalid_client");
    assert_int_equal(usecase_disable_client(&act, "nobody", &f->err), RC_NOT_FOUND);
    assert_int_equal(last_audit(f).n, 2);
}

static void test_clients__bad_names_are_refused_and_not_audited(void **state)
{
    struct fixture *f = *state;
    struct new_client new;
    char longer[66];
    memset(longer, 'x', 65);
    longer[65] = '\0';
    const char *bad[] = { "", "with space", "with/slash", "\xc3\xbcmlaut", "new\nline", longer };
    struct act act = act_as(f, "client:operator");
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        refused(usecase_add_client(&act, bad[i], SCOPE_READ, &new, &f->err), RC_INVALID, &f->err, "invalid");
    add(f, "twice", SCOPE_READ);
    refused(usecase_add_client(&act, "twice", SCOPE_READ, &new, &f->err), RC_CONFLICT, &f->err, "taken");
    assert_int_equal(last_audit(f).n, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(test_clients__one_that_is_added_can_sign_in_and_is_audited),
        T(test_clients__one_that_is_disabled_cannot_and_is_audited),
        T(test_clients__bad_names_are_refused_and_not_audited),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
