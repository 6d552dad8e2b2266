/* SPDX-License-Identifier: Apache-2.0 */
/*
 * People who asked at an LMS. The LMS stays the authority over who asked, Lethe does the rest and tells the
 * LMS of every state.
 *
 * The hard idea: three states are compared, that of the retirement here, the one that the LMS is known to be
 * in, and the one that it says now. If the LMS says what is known, ours is told. If it says something else,
 * another program or an administrator has moved it, and the retirement follows, whatever happened here
 * meanwhile: the LMS wins. If it says what is here, an earlier answer was lost. So a crash, a lost reply, an
 * LMS that was down, and a move by hand on either side are all the same case.
 *
 * News is as old as its sender says: what was known later is not undone by it.
 */
#include "usecase/usecase_int.h"

#include <string.h>

#include "base/clock.h"
#include "base/text.h"

#define TROUBLED_FOR (600 * CLOCK_S) /* before the LMS is told again what it refused */
#define GONE_FOR \
    (600 * CLOCK_S) /* before a list is believed that has a retirement of which the LMS says 404 */

/* ---- following the LMS ---- */

/* The holder of the lease has found that another program acts. */
static enum rc let_go(struct act *act, struct retirement *row, int64_t epoch, struct err *err)
{
    struct decision d;
    const struct command cmd = { .kind = COMMAND_RELEASE, .epoch = epoch, .stage = row->state };
    if (epoch == 0 || epoch != row->epoch || !retirement_is_leased(row, act->now))
        return RC_OK;
    core_decide(row, &cmd, act->now, &d);
    if (d.refusal || d.replayed)
        return RC_OK;
    const struct transition t = { .decision = &d, .actor = act->actor, .now = act->now };
    enum rc rc = moves_apply(act, row, &t, err);
    *row = d.after;
    return rc;
}

/* Moves the retirement to where the LMS has it. In a working state no driver of ours takes it up. *followed:
 * it is there; a driver may be at work on it, and then it is not. */
static enum rc follow(struct act *act, struct retirement *row, const char *state, bool *followed,
                      struct err *err)
{
    struct command cmd = { .kind = COMMAND_UPDATE, .forced = true };
    struct decision d;
    *followed = false;
    enum rc rc = setup_current_list(act, &cmd.current, err);
    if (rc)
        return rc;
    if (!pipeline_find(retirement_list_for(row, &cmd), state, &cmd.to))
        return err_set_code(err, RC_CONFLICT, "unknown_state",
                            "the LMS has it in %s, which is not among the states here: are its states those "
                            "of the stages?",
                            text_brief(act->arena, state));
    core_decide(row, &cmd, act->now, &d);
    if (d.refusal == REFUSAL_LEASED)
        return RC_OK;
    if (d.refusal)
        return refusal_explain(&d, row, &cmd, err);
    *followed = !d.abort_waits;
    if (d.replayed)
        return RC_OK;
    const struct transition t = {
        .decision = &d,
        .actor = act->actor,
        .action = "followed",
        .forced = true,
        .reason = "the LMS has it in this state",
        .now = act->now,
    };
    rc = moves_apply(act, row, &t, err);
    *row = d.after;
    return rc;
}

/* ---- people who are new ---- */

/* The entry in the directory. An LMS has each user name once: an entry of the name with another number is of
 * an account that is gone there. */
static enum rc find_account(struct act *act, const struct person_request *in, struct account *out,
                            struct err *err)
{
    struct account_match match = { 0 };
    enum rc rc = RC_NOT_FOUND;
    if (in->account_id)
        rc = store_find_by_service_id(act->store, act->arena, in->account_id, out, err);
    if (rc != RC_NOT_FOUND)
        return rc;
    rc = store_find_account(act->store, act->arena, in->username, in->email, &match, err);
    bool is_of_another = !rc && match.account.brought_along && in->account_id && match.account.service_id;
    if (is_of_another)
        rc = store_give_up_name(act->store, match.account.id, err);
    return rc && rc != RC_NOT_FOUND ? rc : requests_find_account(act, in, out, err);
}

/* An account has one live retirement, as at the LMS: an earlier one with another number is gone there. */
static enum rc end_earlier(struct act *act, struct retirement *live, struct sourced *s, struct err *err)
{
    bool followed;
    enum rc rc = follow(act, live, "ABORTED", &followed, err);
    s->known = NULL;
    return rc || !followed ? rc : source_settle(act, live, s, err);
}

static enum rc request(struct act *act, const struct person_request *in, int64_t *id, struct err *err)
{
    struct account account;
    struct retirement_view live;
    struct sourced earlier;
    enum rc rc = usecase_check_person(in->username, in->email, in->name, err);
    if (!rc)
        rc = find_account(act, in, &account, err);
    if (rc)
        return rc;
    rc = store_get_live(act->store, act->arena, account.id, &live, err);
    if (!rc) {
        *id = live.row.id;
        rc = store_get_sourced(act->store, act->arena, live.row.id, &earlier, err);
        if (rc == RC_NOT_FOUND)
            return RC_OK; /* it was requested here, before there was a source */
        if (!rc)
            rc = end_earlier(act, &live.row, &earlier, err);
    }
    return rc && rc != RC_NOT_FOUND ? rc : requests_add(act, &account, in, id, err);
}

/* Where the LMS has it without a word of ours: in a working state another program is at work, or was. */
static enum rc take_over(struct act *act, const struct wire_news *news, struct retirement *row,
                         struct err *err)
{
    bool followed;
    enum rc rc = RC_OK;
    if (text_is_same(news->state, "ERRORED") && news->last_state &&
        !text_is_same(news->last_state, retirement_state(row)))
        rc = follow(act, row, news->last_state, &followed, err);
    if (!rc && !text_is_same(news->state, retirement_state(row)))
        rc = follow(act, row, news->state, &followed, err);
    return rc;
}

static enum rc check_states(struct act *act, const struct wire_news *news, struct err *err)
{
    const struct pipeline *p;
    unsigned at;
    enum rc rc = setup_current_list(act, &p, err);
    if (!rc && (!pipeline_find(p, news->state, &at) ||
                (news->last_state && !pipeline_find(p, news->last_state, &at))))
        return err_set_code(err, RC_CONFLICT, "unknown_state",
                            "the LMS has it in %s, after %s, which are not both among the states here",
                            text_brief(act->arena, news->state),
                            text_brief(act->arena, news->last_state ? news->last_state : "none"));
    return rc;
}

/* Was this one forgotten here, and the LMS lists it as before? That may be ERRORED, for years, or an earlier
 * state if the LMS was not told any more. It stays forgotten until it is moved at the LMS. */
static enum rc is_forgotten(struct act *act, const struct wire_news *news, bool *out, struct err *err)
{
    enum rc rc = store_was_forgotten(act->store, news->id, news->state, out, err);
    return rc || *out ? rc : store_take_back_forgotten(act->store, news->id, err);
}

static enum rc add_person(struct act *act, const struct wire_news *news, int64_t at, struct err *err)
{
    bool forgotten;
    const struct person_request in = {
        .username = news->original_username,
        .email = news->original_email,
        .name = news->original_name,
        .account_id = news->user_id,
        .source_id = news->id,
        .retired_username = news->retired_username,
        .retired_email = news->retired_email,
        .requested_at = news->requested_at,
    };
    struct sourced s = { .number = news->id, .known = news->state, .learnt_at = at };
    struct retirement row;
    enum rc rc = check_states(act, news, err);
    if (!rc)
        rc = is_forgotten(act, news, &forgotten, err);
    if (rc || forgotten)
        return rc;
    rc = request(act, &in, &s.retirement_id, err);
    if (!rc)
        rc = store_add_sourced(act->store, &s, err);
    if (!rc)
        rc = store_get_row(act->store, s.retirement_id, &row, err);
    if (!rc)
        rc = take_over(act, news, &row, err);
    return rc ? rc : source_settle(act, &row, &s, err);
}

/* ---- news ---- */

/* The two lists of states disagree: an operator has to look. */
static enum rc note_trouble(struct act *act, const struct wire_news *news, const struct retirement *row,
                            struct sourced *s, struct err *err)
{
    size_t len = text_cut(news->refused, strlen(news->refused), WIRE_CAUSE_MAX);
    const struct alarm alarm = { .what = "stuck",
                                 .retirement_id = row->id,
                                 .stage = retirement_state(row),
                                 .failure = { -1, arena_strndup(act->arena, news->refused, len) } };
    bool is_new = !s->trouble;
    s->known = news->state;
    enum rc rc = source_settle(act, row, s, err);
    s->trouble = news->refused;
    s->next_at = act->now + TROUBLED_FOR;
    if (!rc)
        rc = store_set_sourced(act->store, s, err);
    return rc || !is_new ? rc : alerts_note(act, &alarm, err);
}

/* Did the LMS get there by a word of ours? It is between the state that was known and the one here: only a
 * stage that we entered can have brought the retirement further than that. */
static bool is_ours(const struct retirement *r, const struct sourced *s, const struct wire_news *news)
{
    const struct pipeline *p = r->pipeline;
    unsigned known, at;
    if (news->told || text_is_same(news->state, retirement_state(r)))
        return true;
    return news->state && s->known && pipeline_find(p, s->known, &known) &&
           pipeline_find(p, news->state, &at) && !pipeline_is_dead_end(p, at) && known < at && at < r->state;
}

/* The LMS has no such retirement any more. In PENDING the person took the request back. Later the LMS lets
 * nobody do that: its row was deleted by hand, or is of a backup; and what is half erased is for an operator.
 */
static enum rc vanish(struct act *act, struct retirement *row, bool *followed, struct err *err)
{
    bool is_begun = pipeline_role(row->pipeline, row->state) != ROLE_PENDING;
    if (!is_begun)
        return follow(act, row, "ABORTED", followed, err);
    enum rc rc = follow(act, row, "ERRORED", followed, err);
    if (rc || !*followed)
        return rc;
    const struct alarm alarm = { .what = "stuck",
                                 .retirement_id = row->id,
                                 .stage = row->pipeline->names[row->last_state],
                                 .failure = { -1, "the LMS has no such retirement any more" } };
    return alerts_note(act, &alarm, err);
}

/* The LMS has it in another state than was known. */
static enum rc learn(struct act *act, const struct wire_news *news, int64_t at, struct retirement *row,
                     struct sourced *s, struct err *err)
{
    bool is_over_there = !news->state || text_is_same(news->state, "ABORTED"), followed = true;
    enum rc rc = let_go(act, row, news->epoch, err);
    if (!rc && is_over_there && s->behind == SOURCED_TO_ENTER) /* it was taken back before the stage began */
        rc = follow(act, row, s->known, &followed, err);
    if (!rc && !news->state && !retirement_is_over(row) &&
        pipeline_role(row->pipeline, row->state) != ROLE_ERRORED)
        rc = vanish(act, row, &followed, err);
    else if (!rc && news->state && (news->elsewhere || !is_ours(row, s, news)))
        rc = follow(act, row, news->state, &followed, err);
    if (rc || !followed)
        return rc; /* its driver goes on for now; the LMS is asked again later */
    s->known = news->state;
    s->learnt_at = news->state ? at : at + GONE_FOR;
    return source_settle(act, row, s, err);
}

/* Has the LMS entered the stage that is to be entered? Who did that is found out at the gate of the stage:
 * only a driver knows the LMS's clock, and what it has asked for (mirror.c). */
static bool is_for_the_gate(const struct retirement *r, const struct sourced *s, const struct wire_news *news)
{
    return s->behind == SOURCED_TO_ENTER && !news->told && !news->elsewhere &&
           text_is_same(news->state, retirement_state(r));
}

/* What is known is newer. If the LMS was asked about this retirement, it is asked again before long. */
static enum rc ignore(struct act *act, struct sourced *s, struct err *err)
{
    int64_t again_at = s->learnt_at + source_stale_us(act);
    if (s->behind == SOURCED_TO_TELL || s->next_at <= again_at)
        return RC_OK;
    s->next_at = again_at;
    return store_set_sourced(act->store, s, err);
}

static enum rc hear(struct act *act, const struct wire_news *news, struct err *err)
{
    int64_t at = act->now - news->age_ms * CLOCK_MS;
    struct sourced s;
    struct retirement row;
    enum rc rc = store_find_sourced(act->store, act->arena, news->id, &s, err);
    if (rc == RC_NOT_FOUND)
        return news->state && news->original_username ? add_person(act, news, at, err) : RC_OK;
    if (!rc)
        rc = store_get_row(act->store, s.retirement_id, &row, err);
    if (rc || at < s.learnt_at)
        return rc ? rc : ignore(act, &s, err);
    if (news->again) {
        s.next_at = act->now + act->config->poll_us;
        return store_set_sourced(act->store, &s, err);
    }
    if (news->refused)
        return note_trouble(act, news, &row, &s, err);
    if (is_for_the_gate(&row, &s, news)) {
        s.learnt_at = at;
        return source_settle(act, &row, &s, err);
    }
    if (news->elsewhere || !text_is_same(news->state, s.known))
        return learn(act, news, at, &row, &s, err);
    /* That nothing has changed is written down once in a while. */
    bool is_due = s.next_at != 0 && s.next_at <= act->now + SOURCE_GIVEN_FOR;
    if (s.behind == SOURCED_TO_TELL || !(is_due || at - s.learnt_at > source_stale_us(act) / 2))
        return RC_OK;
    s.learnt_at = at;
    return source_settle(act, &row, &s, err);
}

/* ---- all together ---- */

static void refuse(struct act *act, int64_t id, const char *detail, struct wire_source_answer *out)
{
    out->refused[out->n_refused++] =
        (struct wire_refused_news){ .id = id, .detail = arena_strdup(act->arena, detail) };
}

enum rc usecase_source(struct act *act, const struct wire_source_request *in, struct wire_source_answer *out,
                       struct err *err)
{
    struct sourced_counts counts;
    enum rc rc = RC_OK;
    *out = (struct wire_source_answer){ .refused = arena_array(act->arena, in->n_news + 1,
                                                               sizeof(out->refused[0])) };
    if (!act->config->source)
        return err_set_code(err, RC_CONFLICT, "no_source",
                            "this server has no source: its configuration needs the same section `source` as "
                            "the driver's");
    for (size_t i = 0; !rc && i < in->n_news; i++) {
        const struct wire_news *news = &in->news[i];
        struct err why;
        rc = news->fault.code ? RC_OK : hear(act, news, &why);
        if (news->fault.code || (rc && err_is_refusal(rc, &why)))
            refuse(act, news->id, rc ? why.text : news->fault.text, out);
        else if (rc)
            *err = why;
        if (rc && err_is_refusal(rc, &why))
            rc = RC_OK;
    }
    if (!rc && in->looked)
        rc = store_set_source_looked_at(act->store, act->now, err);
    if (!rc && in->limit)
        rc = source_give_work(act, in->limit, out, err);
    if (!rc)
        rc = store_count_sourced(act->store, &counts, err);
    if (rc)
        return rc;
    out->behind = counts.behind;
    out->troubled = counts.troubled;
    return RC_OK;
}
