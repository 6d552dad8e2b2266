/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Forgetting the person. Two transactions and more, so that a program that follows the tables sees the
 * overwritten row before it goes, and so that no write waits long; store/cleanup.c marks retirements that are
 * between the two. Nothing goes along that is newer than what was meant: only an operator who forgets a
 * person takes the older retirements of the account along.
 */
#include "usecase/usecase_int.h"

#include <ctype.h>
#include <string.h>

#include "base/text.h"

static const struct redaction redacted = { "redacted", "redacted", "redacted" };

enum rc usecase_check_redaction(const struct redaction *with, struct err *err)
{
    enum rc rc = texts_check("redacted_username", with->username, USECASE_USERNAME_MAX, err);
    if (!rc)
        rc = texts_check("redacted_email", with->email, USECASE_EMAIL_MAX, err);
    if (!rc)
        rc = texts_check("redacted_name", with->name, USECASE_PERSON_NAME_MAX, err);
    return rc;
}

/* ---- by names, all of them COMPLETE ---- */

enum rc usecase_redact(struct act *act, const char *const *usernames, size_t n, const struct redaction *with,
                       struct err *err)
{
    struct retirement **rows = arena_array(act->arena, n + 1, sizeof(rows[0]));
    size_t *n_rows = arena_array(act->arena, n + 1, sizeof(n_rows[0]));
    enum rc rc = usecase_check_redaction(with, err);
    for (size_t i = 0; !rc && i < n; i++) {
        rc = store_find_complete(act->store, act->arena, usernames[i], &rows[i], &n_rows[i], err);
        if (!rc && n_rows[i] == 0)
            return err_set_code(err, RC_CONFLICT, "not_complete",
                                "Not all usernames exist in the COMPLETE state.");
    }
    for (size_t i = 0; !rc && i < n; i++)
        for (size_t j = 0; !rc && j < n_rows[i]; j++)
            rc = store_redact(act->store, &rows[i][j], 0, with, &act->config->salts, err);
    if (!rc && n > 0)
        rc = audit_add(act, (struct audit_entry){ .action = "cleanup", .people = (int64_t)n }, err);
    return rc;
}

/* ---- retirements that are archived, or were cancelled ---- */

enum rc cleanup_redact_archived(struct act *act, int64_t archive_id, const struct retirement *rows, size_t n,
                                struct err *err)
{
    enum rc rc = RC_OK;
    for (size_t i = 0; !rc && i < n; i++)
        rc = store_redact(act->store, &rows[i], archive_id, &redacted, &act->config->salts, err);
    return rc;
}

static int64_t cancelled_before(const struct act *act)
{
    return act->now - act->config->archive_cancelled_older_than_us;
}

enum rc cleanup_count_cancelled(struct act *act, int64_t *out, struct err *err)
{
    return store_count_cancelled(act->store, cancelled_before(act), out, err);
}

enum rc cleanup_redact_cancelled(struct act *act, size_t limit, int64_t *people, struct err *err)
{
    struct retirement *rows;
    size_t n;
    enum rc rc = store_find_cancelled(act->store, act->arena, cancelled_before(act), limit, &rows, &n, err);
    *people = rc ? 0 : (int64_t)n;
    for (size_t i = 0; !rc && i < n; i++)
        rc = store_redact(act->store, &rows[i], 0, &redacted, &act->config->salts, err);
    if (!rc && n > 0)
        rc = audit_add(act, (struct audit_entry){ .action = "cleanup", .people = (int64_t)n }, err);
    return rc;
}

/* ---- one person ---- */

enum rc usecase_check_forget(const char *reason, struct err *err)
{
    if (!*reason)
        return err_set(err, RC_INVALID, "reason: is missing; it goes on record");
    return texts_check("reason", reason, USECASE_REASON_MAX, err);
}

static bool is_word_char(unsigned char c)
{
    return isalnum(c) || c >= 0x80;
}

/* Is the name in the text, in any case, and not as a part of a longer word? */
static bool names(struct arena *a, const char *text, const char *name)
{
    const char *low = text_lower(a, text), *word = text_lower(a, name);
    size_t len = strlen(word);
    for (const char *at = low; len && (at = strstr(at, word)); at++)
        if (!(at > low && is_word_char((unsigned char)at[-1])) && !is_word_char((unsigned char)at[len]))
            return true;
    return false;
}

/* The reason stays in the audit trail when all else of the person is deleted. */
static enum rc check_reason(struct act *act, int64_t id, const char *reason, struct err *err)
{
    struct retirement_view view;
    enum rc rc = store_get(act->store, act->arena, id, &view, err);
    if (rc || !view.person.username)
        return rc;
    const struct person *p = &view.person;
    if (names(act->arena, reason, p->username) || names(act->arena, reason, p->email) ||
        names(act->arena, reason, p->name))
        return err_set(err, RC_INVALID,
                       "reason: names the person, and stays on record for ever: write a case number");
    return RC_OK;
}

static enum rc check_may_forget(struct act *act, const struct retirement *row, struct err *err)
{
    struct retirement live;
    bool found;
    if (!pipeline_is_dead_end(row->pipeline, row->state))
        return err_set_code(err, RC_CONFLICT, "not_ended",
                            "retirement %lld is in %s: only what is in ERRORED, ABORTED or COMPLETE can be"
                            " forgotten",
                            (long long)row->id, row->pipeline->names[row->state]);
    enum rc rc = store_find_live(act->store, row, &live, &found, err);
    if (rc || !found)
        return rc;
    return err_set_code(err, RC_CONFLICT, "live",
                        "retirement %lld of the same account is in %s: end or forget that one first",
                        (long long)live.id, live.pipeline->names[live.state]);
}

enum rc usecase_forget_one(struct act *act, int64_t id, const char *reason, struct forget_answer *out,
                           struct err *err)
{
    struct retirement row, *older = NULL;
    size_t n = 0;
    enum rc rc = usecase_check_forget(reason, err);
    if (!rc)
        rc = store_get_row(act->store, id, &row, err);
    if (!rc)
        rc = check_may_forget(act, &row, err);
    if (!rc)
        rc = check_reason(act, id, reason, err);
    if (!rc)
        rc = store_waits_for_partners(act->store, id, &out->waits_for_partners, err);
    if (!rc)
        rc = store_find_older(act->store, act->arena, &row, &older, &n, err);
    for (size_t i = 0; !rc && i < n; i++)
        rc = check_reason(act, older[i].id, reason, err); /* the names of before */
    for (size_t i = 0; !rc && i < n; i++)
        rc = store_redact(act->store, &older[i], 0, &redacted, &act->config->salts, err);
    if (!rc)
        rc = store_redact(act->store, &row, 0, &redacted, &act->config->salts, err);
    if (rc)
        return rc;
    out->retirements = (int64_t)n + 1;
    return audit_add(act,
                     (struct audit_entry){ .action = "forget_asked",
                                           .retirement_id = id,
                                           .subject = reason,
                                           .from = row.pipeline->names[row.state] },
                     err);
}

/* ---- the transactions behind that ---- */

static enum rc audit_forgotten(void *arg, int64_t id, struct err *err)
{
    return audit_add(arg, (struct audit_entry){ .action = "forgotten", .retirement_id = id }, err);
}

enum rc usecase_forget(struct act *act, bool *more, struct err *err)
{
    return store_forget_redacted(act->store, audit_forgotten, act, more, err);
}
