/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What an LMS is to be told of retirements that come from it. The hard idea: there is no list of messages.
 * The state here is compared with the one that the LMS is known to be in (news.c), and while they differ the
 * LMS is behind. So a crash, a lost reply, and an LMS that was down for a day are all the same case.
 */
#include "usecase/usecase_int.h"

#include <string.h>

#include "base/clock.h"

#define SILENT_FOR (30 * 60 * CLOCK_S)

enum { STALE_AFTER_LOOKS = 30 }; /* a state that was not heard for so many looks is asked for */

/* ---- what is to be told ---- */

static enum sourced_behind behind_of(const struct retirement *r, const char *known)
{
    const struct pipeline *p = r->pipeline;
    unsigned at;
    if (!known || strcmp(known, retirement_state(r)) == 0)
        return SOURCED_SAME;
    bool is_on_its_way = pipeline_role(p, r->state) == ROLE_WORKING && pipeline_find(p, known, &at) &&
                         !pipeline_is_dead_end(p, at) && at < r->state;
    return is_on_its_way ? SOURCED_TO_ENTER : SOURCED_TO_TELL;
}

int64_t source_stale_us(const struct act *act)
{
    return STALE_AFTER_LOOKS * act->config->poll_us;
}

enum rc source_settle(struct act *act, const struct retirement *r, struct sourced *s, struct err *err)
{
    s->behind = behind_of(r, s->known);
    s->trouble = NULL;
    if (s->behind == SOURCED_TO_TELL)
        s->next_at = act->now;
    else if (!s->known || (s->behind == SOURCED_SAME && retirement_is_over(r)))
        s->next_at = 0;
    else
        s->next_at = s->learnt_at + source_stale_us(act);
    return store_set_sourced(act->store, s, err);
}

enum rc source_note_move(struct act *act, const struct retirement *after, struct err *err)
{
    struct sourced s;
    if (!act->config->source)
        return RC_OK;
    enum rc rc = store_get_sourced(act->store, act->arena, after->id, &s, err);
    if (rc)
        return rc == RC_NOT_FOUND ? RC_OK : rc;
    s.held_until = 0;
    return source_settle(act, after, &s, err);
}

enum rc source_note_lost(struct act *act, const struct retirement *before, struct err *err)
{
    struct sourced s;
    if (!act->config->source)
        return RC_OK;
    enum rc rc = store_get_sourced(act->store, act->arena, before->id, &s, err);
    if (rc)
        return rc == RC_NOT_FOUND ? RC_OK : rc;
    if (s.held_until) /* its driver's death was noted first, which counts as the end of the lease */
        return RC_OK;
    s.held_until = before->lease_until;
    return store_set_sourced(act->store, &s, err);
}

enum rc source_refuse_cancel(struct act *act, const struct retirement *row, const struct decision *d,
                             struct err *err)
{
    struct sourced s;
    if (!act->config->source || !d->cancelled)
        return RC_OK;
    enum rc rc = store_get_sourced(act->store, act->arena, row->id, &s, err);
    if (rc)
        return rc == RC_NOT_FOUND ? RC_OK : rc;
    return err_set_code(err, RC_CONFLICT, "has_source",
                        "this request came from the LMS, which has to give the account back: cancel it there "
                        "(its support page, or cancel_retirement/ with retirement_id %lld), and it is "
                        "cancelled here",
                        (long long)s.number);
}

/* ---- the work of a driver ---- */

const char *source_state_before(const struct retirement *r, const char *known)
{
    const struct pipeline *p = r->pipeline;
    enum role role = pipeline_role(p, r->state);
    if (role != ROLE_WORKING && role != ROLE_COMPLETE)
        return NULL;
    const char *before = p->names[role == ROLE_WORKING ? r->state - 1 : p->n - 4];
    return strcmp(before, known) == 0 ? NULL : before;
}

/* An LMS lets nobody go back, or out of a dead end, unless it is forced. */
static bool is_forced(const struct retirement *r, const char *known)
{
    unsigned at;
    return !pipeline_find(r->pipeline, known, &at) || pipeline_is_dead_end(r->pipeline, at) || r->state < at;
}

/* What was answered when it came to its state. COMPLETE follows upon the last stage, whose entry has it. */
static enum rc find_response(struct act *act, const struct retirement *r, const char **out, struct err *err)
{
    struct log_entry *log;
    size_t n;
    enum rc rc = store_log(act->store, act->arena, r->id, &log, &n, err);
    bool is_complete = pipeline_role(r->pipeline, r->state) == ROLE_COMPLETE;
    if (!rc && n > 0)
        *out = log[n - 1].response;
    if (!rc && n > 1 && !*out && is_complete)
        *out = log[n - 2].response;
    return rc;
}

static enum rc describe(struct act *act, const struct sourced *s, const struct retirement *r,
                        struct wire_source_work *out, struct err *err)
{
    if (s->behind != SOURCED_TO_TELL)
        return RC_OK;
    out->state = retirement_state(r);
    out->force = is_forced(r, s->known);
    out->before = out->force ? NULL : source_state_before(r, s->known);
    enum rc rc = find_response(act, r, &out->response, err);
    if (!rc && !out->response)
        out->response = "done";
    return rc;
}

enum rc source_give_work(struct act *act, int64_t limit, struct wire_source_answer *out, struct err *err)
{
    struct sourced *due;
    size_t n;
    enum rc rc = store_due_sourced(act->store, act->arena, act->now, (size_t)limit, &due, &n, err);
    out->work = arena_array(act->arena, n + 1, sizeof(out->work[0]));
    for (size_t i = 0; !rc && i < n; i++) {
        struct wire_source_work *work = &out->work[out->n_work];
        struct retirement_view view;
        rc = store_get(act->store, act->arena, due[i].retirement_id, &view, err);
        bool has_name = !rc && view.person.username;
        *work = (struct wire_source_work){ .id = due[i].number, .known = due[i].known };
        work->original_username = has_name ? view.person.username : NULL;
        if (has_name)
            rc = describe(act, &due[i], &view.row, work, err);
        due[i].next_at = has_name ? act->now + SOURCE_GIVEN_FOR : 0;
        if (!rc)
            rc = store_set_sourced(act->store, &due[i], err);
        out->n_work += has_name;
    }
    return rc;
}

/* ---- silence ---- */

/* No driver has seen the LMS's list to its end for long, counting from the start of the server: a timer that
 * starts a driver once a day is not silence. Operators are told once. */
enum rc source_watch(struct act *act, struct err *err)
{
    int64_t looked_at, told;
    if (!act->config->source)
        return RC_OK;
    enum rc rc = store_source_looked_at(act->store, &looked_at, err);
    if (!rc)
        rc = store_source_silence(act->store, &told, err);
    int64_t since = looked_at > act->ran_since ? looked_at : act->ran_since;
    if (rc || told == since || act->now - since < SILENT_FOR)
        return rc;
    const char *why = looked_at ? "no driver has seen the LMS's list of people for half an hour: see its log"
                                : "no driver has ever seen the LMS's list of people: see its log";
    rc = alerts_note(act, &(struct alarm){ .what = "silent", .failure = { -1, why } }, err);
    return rc ? rc : store_set_source_silence(act->store, since, err);
}
