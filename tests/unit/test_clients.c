/* SPDX-License-Identifier: Apache-2.0 */
/* Credentials of programs. */
#include "store_fixture.h"

static struct client make_client(const char *name, const char *client_id)
{
    return (struct client){ .client_id = client_id,
                            .name = name,
                            .secret_digest = { 0, 1, 2, 255 },
                            .scopes = 5,
                            .created_at = START };
}

static void test_clients__what_is_added_is_found(void **state)
{
    struct fixture *f = *state;
    struct client in = make_client("pipeline", "abc"), out;
    OK(store_add_client(f->s, &in, &f->err));
    OK(store_find_client(f->s, &f->arena, "abc", &out, &f->err));
    assert_string_equal(out.name, "pipeline");
    assert_memory_equal(out.secret_digest, in.secret_digest, CRYPTO_SHA256_LEN);
    assert_int_equal(out.scopes, 5);
    assert_int_equal(out.created_at, START);
    assert_false(out.disabled);
    assert_int_equal(store_find_client(f->s, &f->arena, "ABC", &out, &f->err), RC_NOT_FOUND);
    assert_int_equal(store_find_client(f->s, &f->arena, "", &out, &f->err), RC_NOT_FOUND);
}

static void test_clients__name_is_taken_once(void **state)
{
    struct fixture *f = *state;
    struct client a = make_client("pipeline", "abc"), b = make_client("pipeline", "def");
    OK(store_add_client(f->s, &a, &f->err));
    assert_int_equal(store_add_client(f->s, &b, &f->err), RC_CONFLICT);
    assert_string_equal(f->err.code, "taken");
    assert_int_equal(ask(f, "SELECT count(*) FROM client"), 1);
}

static void test_clients__disabled_stays_listed(void **state)
{
    struct fixture *f = *state;
    struct client a = make_client("zeta", "abc"), b = make_client("alpha", "def"), *list;
    size_t n;
    OK(store_list_clients(f->s, &f->arena, &list, &n, &f->err));
    assert_int_equal(n, 0);
    OK(store_add_client(f->s, &a, &f->err));
    OK(store_add_client(f->s, &b, &f->err));
    OK(store_disable_client(f->s, "zeta", &f->err));
    OK(store_disable_client(f->s, "zeta", &f->err));
    assert_int_equal(store_disable_client(f->s, "nobody", &f->err), RC_NOT_FOUND);
    OK(store_list_clients(f->s, &f->arena, &list, &n, &f->err));
    assert_int_equal(n, 2);
    assert_string_equal(list[0].name, "alpha");
    assert_false(list[0].disabled);
    assert_true(list[1].disabled);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(test_clients__what_is_added_is_found),
        T(test_clients__name_is_taken_once),
        T(test_clients__disabled_stays_listed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
