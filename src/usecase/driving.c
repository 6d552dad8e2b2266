/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Claims and reports of drivers. A report that is refused as stale may be the repeat of a report that was
 * accepted and whose reply was lost: the log tells, and the driver gets the first answer again.
 */
#include "usecase/usecase_int.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/crypto.h"

enum { KEY_LEN = 16 }; /* bytes of a key; it is twice as many digits */

/* ---- claims ---- */

struct wire_user driving_user(struct arena *a, const struct retirement_view *v)
{
    return (struct wire_user){
        /* Our own number would be another person's in a service. */
        .id = account_is_known(&v->account) ? account_known_as(a, &v->account) : NULL,
        .original_username = v->person.username,
        .original_email = v->person.email,
        .original_name = v->person.name,
        .retired_username = v->person.retired_username,
        .retired_email = v->person.retired_email,
        .request_uuid = v->uuid,
        .requested_at = v->person.requested_at,
        .orgs_json = v->account.orgs,
    };
}

const char *driving_key(struct act *act, const char *text)
{
    uint8_t mac[CRYPTO_SHA256_LEN];
    char *hex = arena_alloc(act->arena, 2 * KEY_LEN + 1);
    crypto_hmac_sha256(act->run_key, text, strlen(text), mac);
    crypto_hex(mac, KEY_LEN, hex);
    return hex;
}

enum { PAGES_MAX = 20 }; /* of one claim; a page costs a query for each state */

/* What is granted to one driver. */
struct claiming {
    struct act *act;
    const struct wire_claim_request *in;
    struct command cmd;
    struct wire_claim_answer *out;
};

/* Of a stage that was half done under another name, all that is known is that something was sent. A
 * retirement in its first run has no such stage. */
static enum rc find_renamed(struct act *act, const struct retirement *r, const char **memo, struct err *err)
{
    bool renamed = false;
    if (*memo || r->run == 0)
        return RC_OK;
    enum rc rc = store_remembers_renamed(act->store, r->id, r->pipeline->state_ids[r->state], &renamed, err);
    if (renamed)
        *memo = "{}";
    return rc;
}

/* When earlier claims of this stage may have told the LMS of it. A claim that moves nothing leaves
 * modified_at as it is, so that is when the stage was entered here. */
static void note_asked(const struct retirement *r, int64_t held_until, int64_t now, struct wire_sourced *out)
{
    out->asked_ms = (now - r->modified_at) / CLOCK_MS + 1;
    if (held_until && held_until < now)
        out->ended_ms = (now - (held_until > r->modified_at ? held_until : r->modified_at)) / CLOCK_MS;
}

/* Where the LMS is that the retirement comes from. before: the claim. */
static enum rc find_source(struct act *act, const struct retirement *before, const struct retirement *r,
                           struct wire_sourced *out, struct err *err)
{
    struct sourced s;
    *out = (struct wire_sourced){ .id = 0 };
    if (!act->config->source)
        return RC_OK;
    enum rc rc = store_get_sourced(act->store, act->arena, r->id, &s, err);
    if (rc || !s.known)
        return rc == RC_NOT_FOUND ? RC_OK : rc;
    *out = (struct wire_sourced){ .id = s.number, .known = s.known };
    if (before->state == r->state)
        note_asked(before, s.held_until, act->now, out);
    if (s.held_until == 0)
        return RC_OK;
    s.held_until = 0;
    return store_set_sourced(act->store, &s, err);
}

/* Tells the driver of a retirement that it was granted. driver: the one before. A driver that takes up what
 * one with other calls has begun says so in a memo before it calls: so until then the first one counts. */
static enum rc add_claim(struct claiming *c, const struct retirement *row, const struct retirement *r,
                         const char *driver, struct err *err)
{
    struct act *act = c->act;
    struct retirement_view view;
    struct wire_sourced source;
    bool lease_ran_out = row->lease_until > LEASE_FREE;
    enum rc rc = RC_OK;
    if (lease_ran_out && driver)
        rc = store_note_begun(act->store, r->id, r->pipeline->state_ids[r->state], driver, err);
    if (!rc)
        rc = store_get(act->store, act->arena, r->id, &view, err);
    if (!rc)
        rc = find_renamed(act, r, &view.memo, err);
    if (!rc)
        rc = find_source(act, row, r, &source, err);
    if (rc)
        return rc;
    bool begun = lease_ran_out || view.ended_unheard;
    const char *run = arena_printf(act->arena, "run %lld %lld", (long long)r->id, (long long)r->run);
    c->out->claims[c->out->n_claims++] = (struct wire_claim){
        .id = r->id,
        .epoch = r->epoch,
        .stage = r->pipeline->names[r->state],
        .run_key = driving_key(act, run),
        .lease_s = c->in->lease_s,
        .since_at = view.since,
        .memo = view.memo,
        .begun = begun,
        .begun_by = !begun          ? NULL
                    : view.begun_by ? view.begun_by
                                    : driver,
        .user = driving_user(act->arena, &view),
        .source = source,
    };
    return RC_OK;
}

static enum rc claim_row(struct claiming *c, const struct retirement *row, struct err *err)
{
    struct decision d;
    core_decide(row, &c->cmd, c->act->now, &d);
    if (d.refusal)
        return RC_OK; /* of no row that a look finds: its conditions are those of the kernel */

    static const char deaths[] =
        "the driver was lost again and again at this stage: see its log for the cause";
    static const struct failure lost = { .status = -1, .cause = "the driver was lost again and again" };
    struct transition t = {
        .decision = &d,
        .actor = c->act->actor,
        .driver = d.lost ? NULL : c->in->driver,
        .response = d.errored ? deaths : NULL,
        .response_len = d.errored ? sizeof(deaths) - 1 : 0,
        .failure = d.errored ? &lost : NULL,
        .now = c->act->now,
    };
    struct retirement_view before = { .driver = NULL };
    bool lease_ran_out = row->lease_until > LEASE_FREE;
    enum rc rc = d.granted && (lease_ran_out || row->run > 0)
                     ? store_get(c->act->store, c->act->arena, row->id, &before, err)
                     : RC_OK;
    if (!rc)
        rc = moves_apply(c->act, row, &t, err);
    if (!rc)
        tally_claim(c->act, row, &d);
    return rc || !d.granted ? rc : add_claim(c, row, &d.after, before.driver, err);
}

/* The rows of a look, before anything is decided about them: what becomes of one depends on the others. */
struct found {
    struct {
        struct retirement *rows;
        size_t n;
    } page[PAGES_MAX];
    int n_pages;
    size_t granted, lost, n; /* rows: that will be granted, whose lease has run out, of any kind */
};

static void count_found(const struct claiming *c, struct found *f)
{
    for (size_t i = 0; i < f->page[f->n_pages].n; i++) {
        struct decision d;
        core_decide(&f->page[f->n_pages].rows[i], &c->cmd, c->act->now, &d);
        f->granted += d.granted;
        f->lost += d.lost;
    }
    f->n += f->page[f->n_pages++].n;
}

/* Rows that need no driver any more (finished, aborted), and suspects, fill no places: the look goes on until
 * the places are full, or until as many rows were settled as other calls may write at once. */
static enum rc claim_due(struct claiming *c, const struct due_filter *filter, struct err *err)
{
    struct due_look *look;
    struct found f = { .n_pages = 0 };
    size_t places = (size_t)c->in->limit;
    bool may_be_more = true;
    enum rc rc = store_due_open(c->act->store, c->act->arena, filter, &look, err);
    while (!rc && may_be_more && f.granted < places && f.n_pages < PAGES_MAX) {
        size_t asked = places - f.granted;
        rc = store_due_next(look, asked, &f.page[f.n_pages].rows, &f.page[f.n_pages].n, err);
        may_be_more = !rc && f.page[f.n_pages].n == asked;
        if (!rc)
            count_found(c, &f);
        may_be_more = may_be_more && f.n - f.granted < USECASE_LIST_MAX;
    }
    c->cmd.flight = (unsigned)(c->in->in_flight + (int64_t)f.granted);
    c->cmd.lost_with = (unsigned)f.lost;
    for (int page = 0; page < f.n_pages; page++)
        for (size_t i = 0; !rc && i < f.page[page].n; i++)
            rc = claim_row(c, &f.page[page].rows[i], err);
    c->out->suspects = c->out->suspects || f.lost > 0;
    return rc ? rc : store_due_close(look, &c->out->held, err);
}

static enum rc find_suspects(struct claiming *c, const struct due_filter *filter, struct retirement **rows,
                             size_t *n, struct err *err)
{
    enum rc rc = store_due_suspects(c->act->store, c->act->arena, filter, rows, n, err);
    c->out->suspects = *n > 0;
    return rc;
}

static enum rc claim_suspects(struct claiming *c, const struct retirement *rows, size_t n, struct err *err)
{
    enum rc rc = RC_OK;
    c->cmd.flight = (unsigned)n;
    c->out->held = -1;
    for (size_t i = 0; !rc && i < n; i++)
        rc = claim_row(c, &rows[i], err);
    return rc;
}

/* Suspects go to a driver that holds nobody, and are not mixed with others; a driver that holds people hears
 * of them, and claims nobody else before its own are through. */
static enum rc claim(struct claiming *c, const struct due_filter *filter, struct err *err)
{
    struct retirement *rows;
    size_t n;
    bool is_idle = c->in->in_flight == 0;
    c->out->held = -1;
    enum rc rc = find_suspects(c, filter, &rows, &n, err);
    if (rc || (n && !is_idle))
        return rc;
    if (n && store_suspects_turn(c->act->store))
        return claim_suspects(c, rows, n, err);
    rc = claim_due(c, filter, err);
    if (rc || !c->out->suspects)
        return rc;
    rc = find_suspects(c, filter, &rows, &n, err);
    if (!rc && n && is_idle && c->out->n_claims == 0)
        rc = claim_suspects(c, rows, n, err);
    if (n)
        c->out->held = -1;
    return rc;
}

static enum rc tell_waiting(struct act *act, struct wire_claim_answer *out, struct err *err)
{
    struct waiting *waiting;
    size_t n;
    enum rc rc = store_waiting(act->store, act->arena, WIRE_WAITING_MAX, &waiting, &n, err);
    if (rc)
        return rc;
    out->waiting = arena_array(act->arena, n + 1, sizeof(out->waiting[0]));
    for (; out->n_waiting < n; out->n_waiting++) {
        const struct waiting *w = &waiting[out->n_waiting];
        out->waiting[out->n_waiting] =
            (struct wire_waiting){ .id = w->id, .stage = w->stage, .since_at = w->since };
    }
    return RC_OK;
}

enum rc usecase_claim(struct act *act, const struct wire_claim_request *in, struct wire_claim_answer *out,
                      struct fuse_state *fuse, struct err *err)
{
    struct claiming c = {
        .act = act,
        .in = in,
        .cmd = { .kind = COMMAND_CLAIM,
                 .cool_off_us = act->config->cool_off_us,
                 .lease_us = in->lease_s * CLOCK_S,
                 .deaths_max = act->config->deaths_max,
                 .flight = UINT_MAX,
                 .lost_with = 1,
                 .says_when = in->begins,
                 .ran_since = act->ran_since },
        .out = out,
    };
    struct retirement only = { 0 };
    int64_t own_us = act->config->cool_off_us, wanted_us = in->cool_off_s * CLOCK_S;
    struct due_filter filter = {
        .due_before = act->now - (wanted_us > own_us ? wanted_us : own_us),
        .now = act->now,
        .stages = in->stages,
        .n_stages = in->n_stages,
        .newest_first = in->order == WIRE_NEWEST,
        .suspects_max = (size_t)in->limit,
        .sourced = act->config->source != NULL,
    };
    *out = (struct wire_claim_answer){ .due = -1, .under_way = -1 };
    out->claims = arena_array(act->arena, (size_t)in->limit, sizeof(out->claims[0]));
    struct yields yields;
    enum rc rc = setup_current_list(act, &c.cmd.current, err);
    if (!rc)
        rc = usecase_check_fuse(act, fuse, err);
    if (!rc)
        rc = yields_read(act, 0, &yields, err);
    if (rc)
        return rc;
    filter.held = yields_held(act, &yields, &filter.n_held);
    out->stages_held = filter.n_held > 0;
    out->fuse_blown = filter.no_pending = fuse->blown;
    if (in->username)
        rc = store_find_row(act->store, in->username, &only, err);
    filter.only_id = only.id;
    if (!rc)
        rc = claim(&c, &filter, err);
    if (!rc && in->count)
        rc = store_count_due(act->store, filter.due_before, &out->due, &out->under_way, err);
    return rc || !in->waiting ? rc : tell_waiting(act, out, err);
}

/* ---- reports ---- */

/* A late outcome may be a repeat: if the log shows that it was accepted before, decides again with the first
 * answer. */
static enum rc decide_repeat(struct act *act, const struct retirement *row, struct command *cmd,
                             struct decision *d, struct err *err)
{
    bool is_outcome = cmd->kind == COMMAND_DONE || cmd->kind == COMMAND_FAILED;
    bool is_late = d->refusal == REFUSAL_STALE || d->refusal == REFUSAL_LEASE_OVER;
    bool found = false;
    unsigned state_after = 0;
    if (!is_outcome || !is_late)
        return RC_OK;
    enum rc rc = store_find_report(act->store, row, cmd->epoch, cmd->stage, &found, &state_after, err);
    if (rc || !found)
        return rc;
    cmd->first_answer = &state_after;
    core_decide(row, cmd, act->now, d);
    cmd->first_answer = NULL;
    return RC_OK;
}

static void fill_answer(const struct retirement *row, const struct wire_report *in, const struct decision *d,
                        int64_t now, struct wire_report_answer *out)
{
    const struct retirement *r = &d->after;
    out->ok = true;
    out->state = r->pipeline->names[d->answer_state];
    out->abort = d->abort_waits;
    bool holds = row->epoch == in->epoch && r->epoch == in->epoch && retirement_is_leased(r, now);
    if (holds && in->outcome == WIRE_DONE && r->state == d->answer_state &&
        pipeline_role(r->pipeline, r->state) == ROLE_WORKING)
        out->next = out->state;
}

static const enum command_kind command_of[] = {
    [WIRE_DONE] = COMMAND_DONE,        [WIRE_FAILED] = COMMAND_FAILED, [WIRE_RENEWED] = COMMAND_RENEW,
    [WIRE_RELEASED] = COMMAND_RELEASE, [WIRE_LATER] = COMMAND_LATER,   [WIRE_WAITING] = COMMAND_WAIT,
};

/* It counts for nothing but this: the driver lives. */
static enum rc refuse_report(struct act *act, const struct retirement *row, const struct command *cmd,
                             const struct decision *d, struct err *err)
{
    struct retirement after;
    bool is_late = d->refusal == REFUSAL_STALE || d->refusal == REFUSAL_LEASE_OVER;
    enum rc rc = RC_OK;
    if (is_late && core_hear_late(row, cmd, &after))
        rc = store_hear_late(act->store, &after, err);
    return rc ? rc : refusal_explain(d, row, cmd, err);
}

/* A stage behind this one was half done before an operator sent the retirement back: its driver learns from a
 * claim what is remembered of it, so the retirement is given back before it. */
static enum rc stop_before_half_done(struct act *act, const struct retirement *row, struct command *cmd,
                                     struct err *err)
{
    const struct pipeline *p = row->pipeline;
    int64_t next = p->state_ids[pipeline_next(p, pipeline_next(p, cmd->stage))];
    bool half_done = false, renamed = false;
    if (row->run == 0)
        return RC_OK;
    enum rc rc = store_remembers(act->store, row->id, next, &half_done, err);
    if (!rc)
        rc = store_remembers_renamed(act->store, row->id, next, &renamed, err);
    cmd->stop = cmd->stop || half_done || renamed;
    return rc;
}

static enum rc report_one(struct act *act, const struct wire_report *in, struct yields *yields,
                          struct wire_report_answer *out, struct err *err)
{
    const struct failure failure = { in->status, in->cause };
    struct retirement row;
    struct command cmd = {
        .kind = command_of[in->outcome],
        .epoch = in->epoch,
        .stop = in->stop,
        .lease_us = in->lease_s * CLOCK_S,
        .begins = in->begins || in->memo, /* what is remembered before a call that changes something */
        .later_us = in->in_s * CLOCK_S,
    };
    enum rc rc = store_get_row(act->store, in->id, &row, err);
    if (rc)
        return rc;
    if (!pipeline_find(row.pipeline, in->stage, &cmd.stage))
        return err_set_code(err, RC_INVALID, "unknown_stage", "stage: this retirement has no such stage");
    bool is_done = cmd.kind == COMMAND_DONE && pipeline_role(row.pipeline, cmd.stage) == ROLE_WORKING;
    cmd.stop = cmd.stop || (is_done && yields_hold_next(act, yields, row.pipeline,
                                                        pipeline_next(row.pipeline, cmd.stage)));
    if (is_done && (rc = stop_before_half_done(act, &row, &cmd, err)))
        return rc;

    struct decision d;
    core_decide(&row, &cmd, act->now, &d);
    rc = decide_repeat(act, &row, &cmd, &d, err);
    if (rc)
        return rc;
    if (d.refusal)
        return refuse_report(act, &row, &cmd, &d, err);
    if (!d.replayed) {
        struct transition t = {
            .decision = &d,
            .actor = act->actor,
            .response = in->response,
            .response_len = in->response ? strlen(in->response) : 0,
            .failure = in->outcome == WIRE_FAILED ? &failure : NULL,
            .memo = in->memo,
            .now = act->now,
        };
        texts_cut(act->arena, &t.response, &t.response_len);
        rc = moves_apply(act, &row, &t, err);
        if (!rc && is_done)
            yields_note(act, yields, row.pipeline, cmd.stage, in->response);
    }
    if (!rc)
        fill_answer(&row, in, &d, act->now, out);
    return rc;
}

struct order {
    int64_t id;
    size_t index;
};

static int by_id(const void *a, const void *b)
{
    const struct order *x = a, *y = b;
    if (x->id != y->id)
        return x->id < y->id ? -1 : 1;
    return x->index < y->index ? -1 : x->index > y->index;
}

/* *err is not a failure of the machine or the database. */
static enum rc report_or_refuse(struct act *act, const struct wire_report *in, struct yields *yields,
                                struct wire_report_answer *out, struct err *err)
{
    struct err why;
    *out = (struct wire_report_answer){ .id = in->id, .code = in->fault.code, .detail = in->fault.text };
    enum rc rc = in->fault.code ? RC_OK : report_one(act, in, yields, out, &why);
    if (rc && !err_is_refusal(rc, &why)) {
        *err = why;
        return rc;
    }
    if (rc) {
        out->code = arena_strdup(act->arena, why.code);
        out->detail = arena_strdup(act->arena, why.text);
    }
    return RC_OK;
}

enum rc usecase_report(struct act *act, const struct wire_report *reports, struct wire_report_answer *answers,
                       size_t n, struct yields_news *news, struct err *err)
{
    struct order *order = arena_array(act->arena, n, sizeof(*order));
    struct yields yields;
    enum rc rc = yields_read(act, n, &yields, err);
    for (size_t i = 0; i < n; i++)
        order[i] = (struct order){ reports[i].id, i };
    if (n)
        qsort(order, n, sizeof(*order), by_id);
    for (size_t k = 0; !rc && k < n; k++)
        rc = report_or_refuse(act, &reports[order[k].index], &yields, &answers[order[k].index], err);
    return rc ? rc : yields_write(act, &yields, news, err);
}
