/* SPDX-License-Identifier: Apache-2.0 */
/* What a use case runs with: the fixture's store, a small site, and a clock that moves on by a second an act.
 */
#ifndef LETHE_TESTS_USECASE_FIXTURE_H
#define LETHE_TESTS_USECASE_FIXTURE_H

#include "store_fixture.h"

#include <string.h>

#include "usecase/usecase.h"

static const uint8_t RUN_KEY[CRYPTO_KEY_LEN] = { 7 };

/* A test that changes it changes it back: the next test has the same one. */
static struct config site = {
    .salts = { SALT, 2 },
    .retired_username = RETIRED_FORMAT,
    .retired_email = "retired__user_{}@retired.invalid",
    .deaths_max = 3,
    .session_lifetime_us = 3600 * CLOCK_S,
};

static inline struct act act_as(struct fixture *f, const char *actor)
{
    f->now += CLOCK_S;
    return (struct act){
        .store = f->s,
        .arena = &f->arena,
        .config = &site,
        .world = &world_real,
        .run_key = RUN_KEY,
        .actor = actor,
        .now = f->now,
    };
}

static inline void refused(enum rc rc, enum rc wanted, const struct err *err, const char *code)
{
    assert_string_equal(rc_code(rc), rc_code(wanted));
    assert_string_equal(err->code, code);
}

static inline const char *state_of(struct fixture *f, int64_t id)
{
    struct retirement row = row_of(f, id);
    return row.pipeline->names[row.state];
}

/* ---- the audit trail ---- */

struct last_entry {
    struct fixture *f;
    const char *actor, *action, *subject;
    int64_t retirement_id, people, n;
};

static inline enum rc keep_entry(void *arg, const struct audit_entry *e, struct err *err)
{
    struct last_entry *last = arg;
    struct arena *a = &last->f->arena;
    last->actor = arena_strdup(a, e->actor);
    last->action = arena_strdup(a, e->action);
    last->subject = arena_strdup(a, e->subject);
    last->retirement_id = e->retirement_id;
    last->people = e->people;
    last->n++;
    return RC_OK;
}

/* The newest entry, and how many there are. */
static inline struct last_entry last_audit(struct fixture *f)
{
    struct last_entry last = { .f = f };
    struct audit_filter filter = { .limit = 1000 };
    int64_t next;
    OK(store_list_audit(f->s, &filter, keep_entry, &last, &next, &f->err));
    return last;
}

/* So many entries, and this is the newest one. subject: NULL, it has none. */
static inline void assert_audited(struct fixture *f, int64_t n, const char *actor, const char *action,
                                  const char *subject)
{
    struct last_entry last = last_audit(f);
    assert_int_equal(last.n, n);
    assert_string_equal(last.actor, actor);
    assert_string_equal(last.action, action);
    if (subject)
        assert_string_equal(last.subject, subject);
    else
        assert_null(last.subject);
}

#endif
