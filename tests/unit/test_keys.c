/* SPDX-License-Identifier: Apache-2.0 */
/* keys.c: a database is used with the key and the salts that it was made with, and with no others. */
#include "store_fixture.h"
#include "unit.h"

static const uint8_t OTHER_KEY[CRYPTO_KEY_LEN] = { 9, 9, 9 };

static void test_keys__another_key_is_refused(void **state)
{
    struct fixture *f = *state;
    struct store *other;
    OK(store_check_key(f->s, &f->err));
    OK(store_check_key(f->s, &f->err));
    OK(store_open(f->db, OTHER_KEY, &other, &f->err));
    expect_error(store_check_key(other, &f->err), RC_CONFLICT, &f->err, "restore");
    assert_string_equal(f->err.code, "wrong_key");
    store_close(&other);
    OK(store_check_key(f->s, &f->err));
}

static void test_keys__nothing_is_held_against_salts_before_the_first_retirement(void **state)
{
    struct fixture *f = *state;
    const char *one[] = { "salt-one-1111" }, *two[] = { "salt-two-2222" };
    OK(store_take_salts(f->s, &(struct salts){ one, 1 }, &f->err));
    OK(store_take_salts(f->s, &(struct salts){ two, 1 }, &f->err));
    add_person(f, "Learner1");
    expect_error(store_take_salts(f->s, &(struct salts){ two, 1 }, &f->err), RC_CONFLICT, &f->err,
                 "salt 1 of the 2");
}

/* The fixture retires under SALT[0], SALT[1]. */
static void test_keys__salts_are_added_at_the_end_alone(void **state)
{
    const char *a = SALT[0], *b = SALT[1], *c = "salt-2030-next", *d = "salt-2031-later";
    const struct {
        const char *salt[4];
        size_t n;
        const char *words; /* NULL: it is right */
    } cases[] = {
        { { a, b }, 2, NULL },
        { { b, a }, 2, "salt 1 of the 2 that this database was made with stands at another place" },
        { { a }, 1, "salt 2 of the 2 that this database was made with is missing or was changed" },
        { { b }, 1, "salt 1 of the 2 that this database was made with is missing or was changed" },
        { { b }, 0, "salt 1 of the 2" },
        { { a, c }, 2, "salt 2 of the 2 that this database was made with is missing or was changed" },
        { { a, c, b }, 3, "salt 2 of the 2 that this database was made with stands at another place" },
        { { c, a, b }, 3, "salt 1 of the 2 that this database was made with stands at another place" },
        { { a, b, c }, 3, NULL },
        { { a, b }, 2, "salt 3 of the 3 that this database was made with is missing or was changed" },
        { { a, b, d, c }, 4, "salt 3 of the 3 that this database was made with stands at another place" },
        { { a, b, c, d }, 4, NULL },
    };
    struct fixture *f = *state;
    add_person(f, "Learner1");
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const struct salts salts = { cases[i].salt, cases[i].n };
        enum rc looked = store_check_salts(f->s, &salts, &f->err);
        assert_int_equal(store_take_salts(f->s, &salts, &f->err), looked);
        if (!cases[i].words)
            assert_int_equal(looked, RC_OK);
        else
            expect_error(looked, RC_CONFLICT, &f->err, cases[i].words);
    }
}

/* Who has a copy of the database, and not the key, must not be able to try out salts. */
static void test_keys__fingerprints_depend_on_the_key(void **state)
{
    static const char text[] = "SELECT count(DISTINCT value) FROM setting WHERE name = 'salt_fingerprints'"
                               " OR (name = 'first' AND value <> '')";
    struct fixture *f = *state;
    struct store *s = f->s, *other;
    add_person(f, "Learner1");
    OK(db_script(f->db, "UPDATE setting SET name = 'first' WHERE name = 'salt_fingerprints'", &f->err));
    OK(store_open(f->db, OTHER_KEY, &other, &f->err));
    f->s = other;
    add_pipeline(f, STATE_NAMES, STATES_N);
    add_person(f, "Learner2");
    f->s = s;
    store_close(&other);
    assert_int_equal(ask(f, text), 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(test_keys__another_key_is_refused),
        T(test_keys__nothing_is_held_against_salts_before_the_first_retirement),
        T(test_keys__salts_are_added_at_the_end_alone),
        T(test_keys__fingerprints_depend_on_the_key),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
