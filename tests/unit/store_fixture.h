/* SPDX-License-Identifier: Apache-2.0 */
/* A store on a fresh database with a list of two stages, and verbs for what tests do with it. */
#ifndef LETHE_TESTS_STORE_FIXTURE_H
#define LETHE_TESTS_STORE_FIXTURE_H

#include <inttypes.h>

#include "base/arena.h"
#include "base/clock.h"
#include "base/world.h"
#include "db_fixture.h"
#include "scratch.h"
#include "store/store.h"

/* Positions in the fixture's list. */
enum { PENDING, FORUM_ING, FORUM_DONE, MAIL_ING, MAIL_DONE, ERRORED, ABORTED, COMPLETE, STATES_N };

static const char *const STATE_NAMES[] = { "PENDING",   "FORUM_ING", "FORUM_DONE", "MAIL_ING",
                                           "MAIL_DONE", "ERRORED",   "ABORTED",    "COMPLETE" };

static const char *const SALT[] = { "salt-2018-old", "salt-2026-current" };
static const struct salts SALTS = { SALT, 2 };
static const uint8_t LOOKUP_KEY[CRYPTO_KEY_LEN] = { 1, 2, 3 };

#define START          (INT64_C(1700000000) * CLOCK_S)
#define RETIRED_FORMAT "retired__user_{}"

struct fixture {
    struct scratch dir;
    struct db *db;
    struct store *s;
    struct arena arena;
    struct err err;
    int64_t now;
};

#define OK(expression) ok_((expression), &f->err, #expression, __LINE__)
static inline void ok_(enum rc rc, const struct err *err, const char *what, int line)
{
    if (rc)
        fail_msg("line %d: %s: %s: %s", line, what, rc_code(rc), err->text);
}

static inline const struct pipeline *current(struct fixture *f)
{
    const struct pipeline *p;
    OK(store_current_pipeline(f->s, &p, &f->err));
    return p;
}

static inline void add_pipeline(struct fixture *f, const char *const *names, size_t n)
{
    struct pipeline *p;
    OK(pipeline_make(&f->arena, names, n, &p, &f->err));
    OK(store_add_pipeline(f->s, p, (int64_t)(world_random_u64(&world_real) >> 1), f->now, &f->err));
}

static inline int open_fixture(void **state)
{
    struct fixture *f = XNEW(struct fixture);
    scratch_make(&f->dir);
    f->now = START;
    OK(db_open(scratch_path(&f->dir, "sqlite:", "t.db"), true, &f->db, &f->err));
    OK(store_migrate(f->db, &f->err));
    OK(store_open(f->db, LOOKUP_KEY, &f->s, &f->err));
    add_pipeline(f, STATE_NAMES, STATES_N);
    *state = f;
    return 0;
}

static inline int close_fixture(void **state)
{
    struct fixture *f = *state;
    store_close(&f->s);
    db_close(&f->db);
    arena_free(&f->arena);
    scratch_remove(&f->dir);
    free(f);
    return 0;
}

/* ---- verbs ---- */

static inline enum rc try_add(struct fixture *f, int64_t account_id, const char *username, int64_t *id)
{
    static int64_t made;
    struct new_retirement in = {
        .account_id = account_id,
        .uuid = arena_printf(&f->arena, "01234567-89ab-4cde-8f01-%012" PRId64, ++made),
        .person = { .username = username,
                    .email = arena_printf(&f->arena, "%s@Example.com", username),
                    .name = arena_printf(&f->arena, "Name of %s", username),
                    .retired_username = retired_name(&f->arena, RETIRED_FORMAT, SALT[1], username),
                    .retired_email = "retired@retired.invalid" },
        .salts = &SALTS,
        .actor = "local:0",
        .now = f->now,
    };
    return store_add_retirement(f->s, &in, id, &f->err);
}

static inline int64_t add_account(struct fixture *f, const char *username)
{
    int64_t id;
    struct account account = { .username = username,
                               .email = arena_printf(&f->arena, "%s@Example.com", username),
                               .name = "Somebody",
                               .orgs = "[\"org\"]" };
    OK(store_add_account(f->s, &account, f->now, &id, &f->err));
    return id;
}

/* A person with an account and a request. */
static inline int64_t add_person(struct fixture *f, const char *username)
{
    int64_t id;
    OK(try_add(f, add_account(f, username), username, &id));
    return id;
}

static inline struct retirement row_of(struct fixture *f, int64_t id)
{
    struct retirement r;
    OK(store_get_row(f->s, id, &r, &f->err));
    return r;
}

/* Decides and stores. */
static inline enum rc try_command(struct fixture *f, int64_t id, struct command cmd, const char *reason,
                                  const char *response)
{
    struct retirement row;
    struct decision d;
    enum rc rc = store_get_row(f->s, id, &row, &f->err);
    if (rc)
        return rc;
    core_decide(&row, &cmd, f->now, &d);
    if (d.refusal != REFUSAL_NONE)
        return refusal_explain(&d, &row, &cmd, &f->err);
    struct transition t = {
        .decision = &d,
        .actor = cmd.kind == COMMAND_MOVE || cmd.kind == COMMAND_RESUME ? "operator:ada" : "driver:d1",
        .driver = cmd.kind == COMMAND_CLAIM ? "d1" : NULL,
        .forced = cmd.forced,
        .reason = reason,
        .response = response,
        .response_len = response ? strlen(response) : 0,
        .memo = cmd.kind == COMMAND_LATER ? response : NULL,
        .now = f->now,
    };
    return d.replayed ? RC_OK : store_apply(f->s, &row, &t, &f->err);
}

static inline struct command claim_command(struct fixture *f)
{
    return (struct command){
        .kind = COMMAND_CLAIM,
        .current = current(f),
        .lease_us = 60 * CLOCK_S,
        .deaths_max = 3,
        .flight = 1,
        .lost_with = 1,
    };
}

static inline void claim(struct fixture *f, int64_t id)
{
    f->now += CLOCK_S;
    OK(try_command(f, id, claim_command(f), NULL, NULL));
    if (row_of(f, id).lease_until == LEASE_LOST) /* it was lost, and is a suspect now */
        OK(try_command(f, id, claim_command(f), NULL, NULL));
}

static inline void report(struct fixture *f, int64_t id, enum command_kind kind, bool stop,
                          const char *response)
{
    struct retirement row = row_of(f, id);
    f->now += CLOCK_S;
    OK(try_command(f, id,
                   (struct command){ .kind = kind, .epoch = row.epoch, .stage = row.state, .stop = stop },
                   NULL, response));
}

static inline void put_off(struct fixture *f, int64_t id, int64_t later_us, const char *memo)
{
    struct retirement row = row_of(f, id);
    f->now += CLOCK_S;
    OK(try_command(f, id,
                   (struct command){
                       .kind = COMMAND_LATER, .epoch = row.epoch, .stage = row.state, .later_us = later_us },
                   NULL, memo));
}

static inline void done(struct fixture *f, int64_t id)
{
    report(f, id, COMMAND_DONE, false, "done");
}

static inline void move_to(struct fixture *f, int64_t id, unsigned to)
{
    f->now += CLOCK_S;
    OK(try_command(f, id, (struct command){ .kind = COMMAND_MOVE, .to = to, .current = current(f) },
                   "asked to", NULL));
}

/* Deletes all that are marked. */
static inline void forget_marked(struct fixture *f)
{
    bool more = true;
    while (more)
        OK(store_forget_redacted(f->s, NULL, NULL, &more, &f->err));
}

static inline int64_t ask(struct fixture *f, const char *sql)
{
    return db_ask(f->db, sql);
}

/* So many people who are in this state from the beginning, without names and log. */
static inline void add_crowd(struct fixture *f, int64_t n, unsigned state, int64_t lease_until)
{
    const struct pipeline *p = current(f);
    long long at = f->now, id = p->state_ids[state];
    OK(db_script(
        f->db,
        arena_printf(
            &f->arena,
            "WITH RECURSIVE crowd (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM crowd WHERE i < %lld)"
            " INSERT INTO retirement (account_id, pipeline_id, state_id, last_state_id, created_at,"
            " modified_at, epoch, lease_until, run, deaths, abort_asked, suspects, calls_alone, live, "
            "log_head)"
            " SELECT -i - (SELECT count(*) FROM retirement), %lld, %lld, %lld, %lld, %lld, 1, %lld, 0, 0,"
            " 0, 0, 0, 1, 0 FROM crowd;"
            "UPDATE state SET people = people + %lld WHERE id = %lld",
            (long long)n, (long long)p->id, id, (long long)p->state_ids[0], at, at, (long long)lease_until,
            (long long)n, id),
        &f->err));
}

/* ---- checks ---- */

struct findings {
    int n;
    char first[160]; /* invariant, id, what */
};

static inline void note_finding(void *arg, const char *invariant, int64_t id, const char *what)
{
    struct findings *found = arg;
    if (found->n++ == 0)
        snprintf(found->first, sizeof(found->first), "%s %lld %s", invariant, (long long)id, what);
}

static inline struct findings check(struct fixture *f)
{
    struct findings found = { 0 };
    OK(store_fsck(f->s, note_finding, &found, &f->err));
    return found;
}

static inline void assert_sound(struct fixture *f)
{
    struct findings found = check(f);
    if (found.n > 0)
        fail_msg("fsck: %d findings, the first: %s", found.n, found.first);
}

#define T(name) cmocka_unit_test_setup_teardown(name, open_fixture, close_fixture)

/* All that one look finds. *held: as store_due_close. */
static inline size_t look_for_due(struct fixture *f, struct due_filter filter, struct retirement **out,
                                  int64_t *held)
{
    struct due_look *look;
    size_t n;
    OK(store_due_open(f->s, &f->arena, &filter, &look, &f->err));
    OK(store_due_next(look, 1000, out, &n, &f->err));
    OK(store_due_close(look, held, &f->err));
    return n;
}

#endif
