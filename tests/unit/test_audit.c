/* SPDX-License-Identifier: Apache-2.0 */
/* The audit trail: known hashes, every way of tampering named, filters, and nothing in it of a transaction
 * that was rolled back. */
#include "store_fixture.h"

#include <string.h>

static void append(struct fixture *f, struct audit_entry e)
{
    e.at = f->now++;
    e.actor = e.actor ? e.actor : "client:worker";
    OK(store_append_audit(f->s, &e, 1, &f->err));
}

static struct audit_check look(struct fixture *f, const uint8_t *known)
{
    struct audit_check c;
    OK(store_check_audit(f->s, known, &c, &f->err));
    return c;
}

/* ---- the chain ---- */

/* Made by sha256sum: of 32 zeros and the line, then of that and the next line. */
static void test_audit__hashes_are_those_of_the_lines(void **state)
{
    static const char expected[] = "cb1bbb8816141e485705ac48cae44670cc3ef7729b3be9054934d86842df7f60";
    struct fixture *f = *state;
    char head[2 * CRYPTO_SHA256_LEN + 1];
    append(f, (struct audit_entry){ .action = "requested", .retirement_id = 7, .to = "PENDING" });
    append(f, (struct audit_entry){ .action = "archived", .subject = "a \"b\".gz", .people = 12 });
    struct audit_check c = look(f, NULL);
    crypto_hex(c.head, sizeof(c.head), head);
    assert_int_equal(c.entries, 2);
    assert_string_equal(head, expected);
}

static void test_audit__an_empty_trail_is_whole(void **state)
{
    static const uint8_t zeros[CRYPTO_SHA256_LEN] = { 0 };
    struct audit_check c = look(*state, NULL);
    assert_int_equal(c.entries, 0);
    assert_int_equal(c.broken_at, 0);
    assert_memory_equal(c.head, zeros, sizeof(zeros));
}

static void append_five(struct fixture *f)
{
    for (int64_t i = 1; i <= 5; i++)
        append(f, (struct audit_entry){
                      .action = "moved", .retirement_id = i, .from = "PENDING", .to = "FORUM_ING" });
}

static const struct {
    const char *sql;
    int64_t broken_at;
    const char *what;
} tamperings[] = {
    { "UPDATE audit SET actor = 'client:other' WHERE id = 3", 3, "not what was written" },
    { "UPDATE audit SET at = at + 1 WHERE id = 1", 1, "not what was written" },
    { "UPDATE audit SET retirement_id = 9 WHERE id = 5", 5, "not what was written" },
    { "UPDATE audit SET retirement_id = NULL WHERE id = 2", 2, "not what was written" },
    { "UPDATE audit SET subject = 'x' WHERE id = 2", 2, "not what was written" },
    { "UPDATE audit SET people = 1 WHERE id = 2", 2, "not what was written" },
    { "UPDATE audit SET from_state = to_state WHERE id = 4", 4, "not what was written" },
    { "UPDATE audit SET hash = x'00' WHERE id = 4", 4, "not what was written" },
    { "DELETE FROM audit WHERE id = 1", 1, "missing" },
    { "DELETE FROM audit WHERE id = 3", 3, "missing" },
    { "DELETE FROM audit WHERE id = 3; UPDATE audit SET id = id - 1 WHERE id > 3", 3, "does not follow" },
    { "UPDATE audit SET id = 99 WHERE id = 2; UPDATE audit SET id = 2 WHERE id = 3;"
      "UPDATE audit SET id = 3 WHERE id = 99",
      2, "does not follow" },
    { "INSERT INTO audit SELECT 6, at, actor, action, retirement_id, subject, from_state, to_state, people, "
      "hash"
      " FROM audit WHERE id = 5",
      6, "does not follow" },
    { "INSERT INTO audit SELECT 0, at, actor, action, retirement_id, subject, from_state, to_state, people, "
      "hash"
      " FROM audit WHERE id = 1",
      0, "put in" },
    { "INSERT INTO audit SELECT -5, at, actor, action, retirement_id, subject, from_state, to_state, people, "
      "hash"
      " FROM audit WHERE id = 1",
      -5, "put in" },
};

static void test_audit__whatever_was_tampered_with_is_named(void **state)
{
    struct fixture *f = *state;
    append_five(f);
    for (size_t i = 0; i < sizeof(tamperings) / sizeof(tamperings[0]); i++) {
        OK(db_begin(f->db, &f->err));
        OK(db_script(f->db, tamperings[i].sql, &f->err));
        struct audit_check c = look(f, NULL);
        db_rollback(f->db);
        if (!c.what || c.broken_at != tamperings[i].broken_at || !strstr(c.what, tamperings[i].what))
            fail_msg("%s: entry %lld %s", tamperings[i].sql, (long long)c.broken_at,
                     c.what ? c.what : "is whole");
    }
    assert_int_equal(look(f, NULL).broken_at, 0);
}

static void test_audit__an_end_that_was_cut_off_is_told_by_a_known_hash(void **state)
{
    struct fixture *f = *state;
    append_five(f);
    struct audit_check before = look(f, NULL);
    append(f, (struct audit_entry){ .action = "states_synced" });
    assert_true(look(f, before.head).has_known);
    struct audit_check last = look(f, NULL);
    OK(db_script(f->db, "DELETE FROM audit WHERE id = 6", &f->err));
    struct audit_check after = look(f, last.head);
    assert_int_equal(after.broken_at, 0);
    assert_false(after.has_known);
    assert_true(look(f, before.head).has_known);
}

static void test_audit__what_is_undone_is_not_in_it(void **state)
{
    struct fixture *f = *state;
    OK(db_begin(f->db, &f->err));
    append(f, (struct audit_entry){ .action = "moved", .retirement_id = 1 });
    OK(db_savepoint(f->db, &f->err));
    append(f, (struct audit_entry){ .action = "moved", .retirement_id = 2 });
    db_savepoint_rollback(f->db);
    OK(db_savepoint(f->db, &f->err));
    append(f, (struct audit_entry){ .action = "moved", .retirement_id = 3 });
    OK(db_savepoint_release(f->db, &f->err));
    OK(db_commit(f->db, &f->err));
    OK(db_begin(f->db, &f->err));
    append(f, (struct audit_entry){ .action = "moved", .retirement_id = 4 });
    db_rollback(f->db);
    struct audit_check c = look(f, NULL);
    assert_int_equal(c.entries, 2);
    assert_int_equal(c.broken_at, 0);
}

/* ---- looking ---- */

struct seen {
    int64_t id[8];
    size_t n;
};

static enum rc see(void *arg, const struct audit_entry *e, struct err *err)
{
    struct seen *s = arg;
    (void)err;
    assert_true(s->n < 8);
    s->id[s->n++] = e->id;
    return RC_OK;
}

static int64_t list(struct fixture *f, struct audit_filter filter, struct seen *seen)
{
    int64_t next;
    *seen = (struct seen){ .n = 0 };
    filter.limit = filter.limit ? filter.limit : 8;
    OK(store_list_audit(f->s, &filter, see, seen, &next, &f->err));
    return next;
}

static void test_audit__is_listed_page_by_page(void **state)
{
    struct fixture *f = *state;
    struct seen seen;
    append_five(f);
    assert_int_equal(list(f, (struct audit_filter){ .limit = 2 }, &seen), 2);
    assert_int_equal(seen.n, 2);
    assert_int_equal(list(f, (struct audit_filter){ .limit = 2, .after_id = 2 }, &seen), 4);
    assert_int_equal(seen.id[0], 3);
    assert_int_equal(list(f, (struct audit_filter){ .limit = 2, .after_id = 4 }, &seen), 0);
    assert_int_equal(seen.n, 1);
}

static void test_audit__filters(void **state)
{
    struct fixture *f = *state;
    struct seen seen;
    append_five(f);
    append(f, (struct audit_entry){ .action = "forced", .actor = "local", .retirement_id = 2 });
    list(f, (struct audit_filter){ .retirement_id = 2 }, &seen);
    assert_int_equal(seen.n, 2);
    assert_int_equal(seen.id[1], 6);
    list(f, (struct audit_filter){ .actor = "local" }, &seen);
    assert_int_equal(seen.n, 1);
    list(f, (struct audit_filter){ .retirement_id = 2, .actor = "nobody" }, &seen);
    assert_int_equal(seen.n, 0);
    list(f, (struct audit_filter){ .from = START + 1, .before = START + 3 }, &seen);
    assert_int_equal(seen.n, 2);
    assert_int_equal(seen.id[0], 2);
}

static void test_audit__a_page_looks_at_so_many_and_says_where_it_stopped(void **state)
{
    struct fixture *f = *state;
    struct seen seen;
    OK(db_begin(f->db, &f->err));
    for (int i = 0; i < 20001; i++)
        append(f, (struct audit_entry){ .action = "moved", .retirement_id = 1 });
    append(f, (struct audit_entry){ .action = "forced", .actor = "local" });
    OK(db_commit(f->db, &f->err));
    int64_t next = list(f, (struct audit_filter){ .actor = "local" }, &seen);
    assert_int_equal(seen.n, 0);
    assert_int_equal(next, 20000);
    assert_int_equal(list(f, (struct audit_filter){ .actor = "local", .after_id = next }, &seen), 0);
    assert_int_equal(seen.n, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(test_audit__hashes_are_those_of_the_lines),
        T(test_audit__an_empty_trail_is_whole),
        T(test_audit__whatever_was_tampered_with_is_named),
        T(test_audit__an_end_that_was_cut_off_is_told_by_a_known_hash),
        T(test_audit__what_is_undone_is_not_in_it),
        T(test_audit__is_listed_page_by_page),
        T(test_audit__filters),
        T(test_audit__a_page_looks_at_so_many_and_says_where_it_stopped),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
