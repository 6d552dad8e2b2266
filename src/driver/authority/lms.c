/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An LMS as the authority: the people who are due (retirement_queue), those left in the middle of a stage by
 * this driver (the journal), or the state of one person (retirement_status). updates.c tells it the outcomes.
 *
 * A driver looks first for the people it was working on when it ended, and goes on with them at the same
 * stage. Then it looks for people in PENDING and the completed states. An LMS may not know `limit`, and give
 * a list of any length: it is read row by row as it comes in, and only as many are kept as there are places.
 * No person is begun before the list has turned out to be whole; people without a place are left to the next
 * look.
 *
 * An LMS that knows `limit` gives the first rows, and those may be of people who cannot go on. So states
 * whose next stage waits for its service are not asked for; and a full page in which no person can go on, or
 * which does not tell how many are due, is asked for again with twice as many rows.
 */
#include "driver/authority/authority.h"
#include "driver/authority/journal.h"

#include <inttypes.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/crypto.h"
#include "base/log.h"

enum {
    PATH_MAX_BYTES = 64 * 1024,
    REFUSED_MAX = 10000, /* rows that are said by their ids */
    ROWS_MAX = 1 << 30
};

#define QUEUE_PATH   "/api/user/v1/accounts/retirement_queue/"
#define STALL        (30 * CLOCK_S)
#define LIST_TIMEOUT (600 * CLOCK_S)

/* ---- taking people ---- */

/* The working state that follows a state, COMPLETE after the last one; NULL: the state does not wait for a
 * driver. */
static const char *stage_after(const struct config *config, const char *state)
{
    if (strcmp(state, "PENDING") == 0)
        return config->stages[0].working;
    for (size_t i = 0; i < config->n_stages; i++)
        if (strcmp(state, config->stages[i].completed) == 0)
            return i + 1 < config->n_stages ? config->stages[i + 1].working : "COMPLETE";
    return NULL;
}

/* alone: nobody else is in flight. */
static void begin(struct lms *lms, const struct lms_row *row, const char *stage,
                  const struct journal_entry *ours, bool alone)
{
    struct authority *a = lms->authority;
    int64_t now = authority_mono(a);
    uint8_t random[RUN_KEY_LEN / 2];
    char fresh[RUN_KEY_LEN + 1];
    world_random(a->runtime->world, random, sizeof(random));
    crypto_hex(random, sizeof(random), fresh);
    if (!ours)
        journal_leave(lms->journal, row->id); /* moved by an operator since */
    const struct stage_conf *conf = flight_find_stage(a->config, stage);
    const char *kept = conf && !ours ? journal_kept_of(lms->journal, a->config, row->id, conf) : NULL;
    const struct claim claim = {
        .id = row->id,
        .lease_us = LEASE_FOREVER,
        .sent_at = now,
        .stage = stage,
        .to_be_entered = ours == NULL,
        .run_key = ours ? ours->run_key : fresh,
        .begun_at = ours ? ours->begun_at : 0,
        .memo = ours ? ours->memo : kept,
        .begun = ours && (ours->inherited || ours->sent),
        .begun_otherwise = ours && strcmp(ours->actions, a->conf.actions) != 0,
        .alone = ours && ours->suspects > 0 && alone,
        .is_lost = ours && ours->deaths >= a->config->deaths_max, /* no other driver is to die of it */
        .person = row->person,
    };
    if (ours)
        journal_go(lms->journal, row->id);
    run_begin(a->flight, &claim, now);
}

/* The row stays where it is, and is said once. */
static void refuse_row(struct lms *lms, int64_t id, const char *why)
{
    if (aside_has(&lms->refused, id) || lms->refused.n == REFUSED_MAX)
        return;
    aside_add(&lms->refused, id, INT64_MAX);
    lms->authority->set_aside++;
    const char *cause = arena_printf(&lms->arena, "its row cannot be used: %s", why);
    lms_alerts_note(lms->authority, &(struct alarm){ .what = "stuck",
                                                     .retirement_id = id,
                                                     .stage = "the LMS's queue",
                                                     .failure = { -1, cause } });
    if (id == LMS_NO_ID)
        log_error("a retirement of the LMS cannot be used, and has no id: %s; it is left out", why);
    else
        log_error("retirement %" PRId64 " of the LMS cannot be used: %s; it is left out", id, why);
}

static struct service *shut_service(const struct lms *lms, const char *working)
{
    const struct authority *a = lms->authority;
    const struct stage_conf *stage = flight_find_stage(a->config, working);
    return stage ? services_find_shut(a->services, stage, NULL) : NULL;
}

/* Is it time for a person whose call finds out whether the service answers again? */
static bool wants_prober(const struct lms *lms, const struct service *s, int64_t now)
{
    const struct authority *a = lms->authority;
    return !a->conf.once && service_wants_prober(s, now) && now - s->prober_asked_at >= a->config->poll_us;
}

/* While a service is shut no person is taken to its stages, except a prober. */
static bool is_open(struct lms *lms, const char *working, int64_t now)
{
    struct service *s = shut_service(lms, working);
    if (!s)
        return true;
    if (!wants_prober(lms, s, now))
        return false;
    s->prober_asked_at = now;
    return true;
}

/* The journal has this person at this very stage: this driver entered it. */
static const struct journal_entry *entry_of(const struct lms *lms, const struct lms_row *row)
{
    const struct journal_entry *entry = journal_find(lms->journal, row->id);
    return entry && strcmp(entry->stage, row->state) == 0 ? entry : NULL;
}

/* The row is begun once the list is known to be whole. */
static void keep(struct lms *lms, const struct lms_row *row)
{
    if (lms->n_kept == lms->authority->flight->conf.max_runs)
        return;
    if (!lms->kept)
        lms->kept = xcalloc(lms->authority->flight->conf.max_runs, sizeof(*lms->kept));
    lms->kept[lms->n_kept++] = lms_row_copy(&lms->arena, row);
}

/* ---- people left in the middle of a stage ---- */

/* In a working state that this driver did not enter. */
static void look_at_stranger(struct lms *lms, const struct lms_row *row)
{
    struct authority *a = lms->authority;
    lms->n_strangers++;
    if (row->modified_at != 0 && authority_now(a) - row->modified_at >= a->config->stuck_after_us)
        lms_alerts_note(a, &(struct alarm){ .what = "stuck",
                                            .retirement_id = row->id,
                                            .stage = row->state,
                                            .failure = { -1, "this driver did not put it there" } });
}

static void look_at_ours(struct lms *lms, const struct lms_row *row)
{
    struct authority *a = lms->authority;
    const struct journal_entry *entry = entry_of(lms, row);
    if (!entry) {
        look_at_stranger(lms, row);
    } else if (flight_has(a->flight, entry->id) || aside_has(&lms->aside, entry->id)) {
        return;
    } else if (journal_is_put_off(entry, authority_now(a))) {
        aside_put_off(&lms->aside, entry->until);
    } else if (!is_open(lms, entry->stage, authority_mono(a))) {
        lms->aside.given_back = true;
    } else {
        lms->n_wanted++;
        keep(lms, row);
    }
}

struct check {
    struct lms *lms;
    unsigned n_unknown;
};

static void check_entry(void *arg, const struct journal_entry *entry)
{
    struct check *check = arg;
    const struct authority *a = check->lms->authority;
    struct journal *journal = check->lms->journal;
    if (entry->kept && entry->until < authority_now(a))
        journal_done(journal, entry->id, entry->stage);
    if (entry->kept)
        return;
    if (!flight_find_stage(a->config, entry->stage))
        check->n_unknown++;
    else if (!aside_has(&check->lms->seen, entry->id))
        journal_leave(journal, entry->id);
}

/* End entries whose person left the working states: finished, or moved by an operator, who may move it back.
 * Called only if nobody was in flight when the look began: a person between two stages is not in the list
 * either. */
static void tidy_journal(struct lms *lms)
{
    struct check check = { .lms = lms };
    journal_each(lms->journal, check_entry, &check);
    if (check.n_unknown > 0)
        log_error(
            "%u people were left in the middle of stages that this configuration does not have: put the "
            "stages back",
            check.n_unknown);
}

static const struct journal_entry *suspect_of(const struct lms *lms, const struct lms_row *row)
{
    const struct journal_entry *entry = entry_of(lms, row);
    return entry && entry->suspects > 0 && !flight_has(lms->authority->flight, row->id) ? entry : NULL;
}

/* Chooses those of the kept rows that may be in flight together, as many as any of them allows. */
static unsigned choose_suspects(const struct lms *lms, const struct lms_row **group)
{
    unsigned n = 0, least = UINT_MAX;
    for (unsigned i = 0; i < lms->n_kept; i++) {
        const struct journal_entry *entry = suspect_of(lms, &lms->kept[i]);
        bool is_twice = n > 0 && group[n - 1]->id == lms->kept[i].id;
        if (!entry || is_twice || entry->suspects <= n || least <= n)
            continue;
        least = entry->suspects < least ? entry->suspects : least;
        group[n++] = &lms->kept[i];
    }
    return n;
}

/* Suspects are taken up when nobody is in flight, and before all others. Returns false when there are none.
 */
static bool take_suspects(struct lms *lms)
{
    struct authority *a = lms->authority;
    const struct lms_row **group = arena_array(&lms->arena, lms->n_kept + 1, sizeof(*group));
    struct err err;
    unsigned n = choose_suspects(lms, group);
    lms->suspects = n > 0;
    if (n == 0 || a->flight->in_flight > 0)
        return n > 0;
    for (unsigned i = 0; i < n; i++)
        begin(lms, group[i], group[i]->state, entry_of(lms, group[i]), n == 1);
    lms->found_nobody = false;
    log_info("trying %u people again who were with a driver that died", n);
    if (journal_sync(lms->journal, &err)) /* before the first call */
        ask_fail(a, &err);
    return true;
}

static void take_ours(struct lms *lms)
{
    struct authority *a = lms->authority;
    unsigned n = 0, begun = 0;
    if (take_suspects(lms))
        return;
    for (; n < lms->n_kept && a->flight->in_flight < a->flight->conf.max_runs; n++) {
        const struct lms_row *row = &lms->kept[n];
        if (flight_has(a->flight, row->id)) /* the list has it twice */
            continue;
        begin(lms, row, row->state, entry_of(lms, row), false);
        begun++;
    }
    lms->found_nobody = lms->found_nobody && begun == 0;
    if (begun > 0)
        log_info("going on with %u people in the middle of a stage", begun);
    if (n < lms->n_wanted)
        return;
    if (lms->n_strangers > 0 && !lms->strangers_said)
        log_warning("%u people are in working states that this driver did not enter: they are left alone",
                    lms->n_strangers);
    lms->strangers_said = true;
    if (lms->looks_alone)
        tidy_journal(lms);
    lms->look = LOOK_DUE;
}

/* ---- people who are due ---- */

static void look_at_due(struct lms *lms, const struct lms_row *row)
{
    struct authority *a = lms->authority;
    const char *stage = stage_after(a->config, row->state);
    bool is_pending = strcmp(row->state, "PENDING") == 0;
    lms->n_pending += is_pending;
    if ((is_pending && a->fuse_blown) || !stage || aside_has(&lms->aside, row->id) ||
        flight_has(a->flight, row->id) || !is_open(lms, stage, authority_mono(a)))
        return;
    lms->n_wanted++;
    keep(lms, row);
}

static int by_username(const void *one, const void *other)
{
    const struct lms_row *const *a = one, *const *b = other;
    return strcmp((*a)->person.original_username, (*b)->person.original_username);
}

/* An LMS is told of people by their user names: of two retirements with the same one, neither can be. */
static void refuse_namesakes(struct lms *lms)
{
    struct lms_row **rows = arena_array(&lms->arena, lms->n_kept + 1, sizeof(struct lms_row *));
    for (unsigned i = 0; i < lms->n_kept; i++)
        rows[i] = &lms->kept[i];
    qsort(rows, lms->n_kept, sizeof(struct lms_row *), by_username);
    for (unsigned i = 1; i < lms->n_kept; i++) {
        if (by_username(&rows[i - 1], &rows[i]) != 0 || rows[i - 1]->id == rows[i]->id)
            continue;
        for (unsigned k = i - 1; k <= i; k++) {
            rows[k]->is_refused = true;
            refuse_row(lms, rows[k]->id, "another one has the same original_username");
        }
    }
}

/* More rows may come than this look has asked for, and without them it is of no use. */
static bool needs_more_rows(const struct lms *lms)
{
    bool is_counted = lms->n_pending == 0 || lms_fuse_most(lms) == INT64_MAX ||
                      lms->n_pending > lms_fuse_most(lms) || lms->authority->fuse_blown;
    return lms->n_rows == lms->limit && lms->limit < ROWS_MAX && (lms->n_wanted == 0 || !is_counted);
}

static void take_due(struct lms *lms, int64_t now)
{
    struct authority *a = lms->authority;
    unsigned n = 0, left_out = 0;
    if (needs_more_rows(lms)) {
        lms->more_rows = 2 * lms->limit;
        lms->more = true;
        lms->found_nobody = false;
        return;
    }
    if (lms->n_rows < lms->limit / 4)
        lms->more_rows /= 2;
    bool blows = lms->asks_pending && lms_fuse_check(lms, lms->n_pending);
    refuse_namesakes(lms);
    for (; n < lms->n_kept && authority_room(a) > 0; n++) {
        const struct lms_row *row = &lms->kept[n];
        bool is_stopped = blows && strcmp(row->state, "PENDING") == 0;
        if (is_stopped || row->is_refused || flight_has(a->flight, row->id)) {
            left_out++;
            continue;
        }
        begin(lms, row, stage_after(a->config, row->state), NULL, false);
        a->batch_taken++;
    }
    unsigned waiting = lms->n_wanted - n;
    a->due = waiting;
    lms->found_nobody = waiting == 0 && n == left_out && !blows;
    lms->more = (waiting > 0 || blows || lms->n_rows >= lms->limit) && !authority_batch_is_full(a);
    bool back = authority_now(a) >= lms->aside.back_at;
    if (!back && (lms->found_nobody || (!lms->more && !a->conf.once)))
        timers_set(&a->runtime->timers, &lms->next, now + a->config->poll_us);
    if (back || (lms->aside.given_back && !a->conf.once))
        lms->look = LOOK_OURS;
}

/* ---- one person ---- */

static void refuse_one(struct lms *lms, enum rc rc, const char *code, const char *text)
{
    struct err err;
    if (err_set_code(&err, rc, code, "%s", text))
        ask_fail(lms->authority, &err);
}

static void refuse_state(struct lms *lms, const char *code, const char *why, const char *state)
{
    struct err err;
    if (err_set_code(&err, RC_CONFLICT, code, "the retirement is in %s, %s", state, why))
        ask_fail(lms->authority, &err);
}

static void take_one(struct lms *lms, const struct lms_row *row)
{
    const char *stage = stage_after(lms->authority->config, row->state);
    const struct journal_entry *entry = entry_of(lms, row);
    bool is_working = flight_find_stage(lms->authority->config, row->state) != NULL;
    lms->aside.back_at = INT64_MAX;
    lms->one_taken = true;
    if (entry && is_working)
        begin(lms, row, row->state, entry, true);
    else if (stage)
        begin(lms, row, stage, NULL, false);
    else if (strcmp(row->state, "COMPLETE") == 0 || strcmp(row->state, "ERRORED") == 0 ||
             strcmp(row->state, "ABORTED") == 0)
        refuse_state(lms, "at_end_state", "which is an end state", row->state);
    else if (is_working)
        refuse_state(lms, "in_working_state", "a working state, and it was not this driver that put it there",
                     row->state);
    else
        refuse_state(lms, "unknown_state", "which the pipeline of this configuration does not have",
                     row->state);
}

static void conclude_one(struct lms *lms)
{
    struct authority *a = lms->authority;
    if (a->flight->counts.completed > 0 || a->flight->stopping)
        a->ending = true;
    else if (a->refusal[0])
        refuse_one(lms, RC_CONFLICT, "failed_while_retiring", a->refusal);
    else if (lms->aside.n > 0)
        refuse_one(lms, RC_CONFLICT, "in_working_state", "another driver has this retirement");
    else
        refuse_one(lms, RC_UNAVAILABLE, "failed_while_retiring",
                   a->flight->counts.errored ? "the retirement failed: it is ERRORED"
                                             : "the retirement was not finished");
}

/* ---- a look ---- */

/* Adds the state, unless nobody in it can go on. */
static bool ask_for_state(struct lms *lms, const char *state)
{
    struct service *shut = shut_service(lms, stage_after(lms->authority->config, state));
    if (shut && !wants_prober(lms, shut, authority_mono(lms->authority)))
        return false;
    buf_printf(&lms->path, "&states=%s", state);
    return true;
}

/* Returns false when there is nobody to ask for. */
static bool write_due_path(struct lms *lms)
{
    struct authority *a = lms->authority;
    const struct config *config = a->config;
    buf_printf(&lms->path, QUEUE_PATH "?cool_off_days=%" PRId64,
               (a->conf.cool_off_us + CLOCK_DAY - 1) / CLOCK_DAY);
    bool asks = lms->asks_pending = !a->fuse_blown && ask_for_state(lms, "PENDING");
    for (size_t i = 0; i < config->n_stages; i++)
        asks = ask_for_state(lms, config->stages[i].completed) || asks;
    int64_t most = lms_fuse_most(lms), places = a->flight->conf.max_runs;
    if (most < INT64_MAX && most >= places) /* so many that the fuse can blow */
        places = most + 1;
    lms->limit = (unsigned)places + lms->more_rows;
    buf_printf(&lms->path, "&limit=%u", lms->limit);
    return asks;
}

static void send_look(struct lms *lms, bool is_at_rest)
{
    const char *name = lms->authority->conf.username;
    buf_reset(&lms->path);
    lms->looks_alone = is_at_rest;
    lms->ask.about_nobody = lms->look != LOOK_ONE;
    if (lms->look == LOOK_OURS) {
        /* The list may lack people who are given back or put off from now on. */
        lms->aside.given_back = false;
        lms->aside.back_at = INT64_MAX;
    }
    if (lms->look == LOOK_DUE)
        lms_fuse_look(lms);
    lms->n_pending = lms->n_kept = lms->n_wanted = lms->n_rows = lms->n_strangers = 0;
    lms->seen.n = 0;
    rows_begin(&lms->rows);
    if (lms->look == LOOK_ONE) {
        buf_add_str(&lms->path, "/api/user/v1/accounts/");
        buf_add_url(&lms->path, name, strlen(name));
        buf_add_str(&lms->path, "/retirement_status/");
    } else if (lms->look == LOOK_OURS) {
        const struct config *config = lms->authority->config;
        buf_add_str(&lms->path, QUEUE_PATH "?cool_off_days=0");
        for (size_t i = 0; i < config->n_stages; i++)
            buf_printf(&lms->path, "&states=%s", config->stages[i].working);
    } else if (!write_due_path(lms)) {
        take_due(lms, authority_mono(lms->authority));
        return;
    }
    ask_send(&lms->ask, HTTP_GET, buf_str(&lms->path), NULL);
}

/* A row of the list that is coming in. */
static void row_came(void *arg, const char *text, size_t len, bool is_cut)
{
    struct lms *lms = arg;
    struct lms_row row;
    struct err err;
    enum rc rc = lms_row_read(&lms->row, text, len, is_cut, &row, &err);
    lms->n_rows++;
    if (lms->look == LOOK_OURS && journal_find(lms->journal, row.id))
        aside_add(&lms->seen, row.id, INT64_MAX);
    if (rc)
        refuse_row(lms, row.id, err.text);
    else if (lms->look == LOOK_OURS)
        look_at_ours(lms, &row);
    else
        look_at_due(lms, &row);
    arena_reset(&lms->row);
}

static void piece_came(struct http_call *call, const char *data, size_t len)
{
    struct ask *ask = call->arg;
    struct lms *lms = ask->arg;
    rows_feed(&lms->rows, data, len);
}

static void take_list(struct lms *lms)
{
    const char *fault = rows_fault(&lms->rows);
    if (fault) {
        ask_note_nonsense(&lms->ask, fault);
        return;
    }
    ask_heard(&lms->ask);
    lms_alerts_heard(lms->authority);
    if (lms->look == LOOK_OURS)
        take_ours(lms);
    else
        take_due(lms, authority_mono(lms->authority));
}

static void take_status(struct lms *lms)
{
    const struct buf *text = &lms->ask.call.answer;
    struct lms_row row;
    struct err err;
    if (!lms_row_read(&lms->arena, buf_str(text), text->len, false, &row, &err)) {
        ask_heard(&lms->ask);
        take_one(lms, &row);
    } else if (row.id == LMS_NO_ID) {
        ask_note_nonsense(&lms->ask, err.text);
    } else if (err_set_code(&err, RC_UNAVAILABLE, "setup", "the retirement %" PRId64 " cannot be used: %s",
                            row.id, arena_strdup(&lms->arena, err.text))) {
        ask_fail(lms->authority, &err);
    }
}

static void look_done(struct ask *ask)
{
    struct lms *lms = ask->arg;
    struct authority *a = lms->authority;
    if (a->rc) /* it ends because of something else */
        return;
    switch (ask_judge(ask)) {
    case ASK_SILENT: break;
    case ASK_REFUSED:
        if (lms->look == LOOK_ONE && !ask->no_token && ask->call.status == 404)
            refuse_one(lms, RC_NOT_FOUND, "no_such_learner", "the LMS knows no retirement of this user name");
        else
            ask_note_refusal(ask);
        break;
    case ASK_ANSWERED:
        if (lms->look == LOOK_ONE)
            take_status(lms);
        else
            take_list(lms);
        break;
    }
    if (ask->failures > 0)
        timers_set(&a->runtime->timers, &lms->next, authority_mono(a) + ask_pause(ask));
    arena_reset(&lms->arena);
}

/* look() only asks whether the timer is set. */
static void time_for_next(void *arg, int64_t now)
{
}

static void look(struct lms *lms, int64_t now)
{
    struct authority *a = lms->authority;
    if (lms->ask.busy || a->ending || a->flight->stopping || (lms->suspects && a->flight->in_flight > 0))
        return;
    bool is_at_rest = a->flight->in_flight == 0 && lms->n_in_use == 0;
    bool is_last = a->conf.once && (lms->found_nobody || authority_batch_is_full(a));
    if (lms->look == LOOK_DUE && is_last && is_at_rest) {
        a->ending = true;
        return;
    }
    /* A look does not go out for each place that gets free; with `once`, only when all are through or there
     * are more. */
    unsigned most_in_flight = a->conf.once && !lms->more ? 0 : a->flight->conf.max_runs / 2;
    if (lms->next.place || a->flight->in_flight > most_in_flight)
        return;
    bool is_time = authority_now(a) >= lms->aside.back_at; /* to go on with a person who was put off */
    if (lms->one_taken && is_at_rest && !is_time)
        conclude_one(lms);
    if (lms->one_taken && (!is_at_rest || !is_time))
        return;
    if (!lms->more && !a->conf.once)
        a->batch_taken = 0;
    if (lms->alerts && lms->look == LOOK_DUE && !a->conf.once && now >= lms->watch_at)
        lms->look = LOOK_OURS;
    if (lms->look == LOOK_OURS)
        lms->watch_at = now + a->config->watch_every_us;
    aside_forget(&lms->aside, now);
    send_look(lms, is_at_rest);
}

/* ---- the authority ---- */

static enum rc lms_open(struct authority *a, struct err *err)
{
    struct lms *lms = XNEW(struct lms);
    a->lms = lms;
    lms->authority = a;
    lms->look = a->conf.username ? LOOK_ONE : LOOK_OURS;
    aside_open(&lms->aside);
    aside_open(&lms->refused);
    aside_open(&lms->seen);
    rows_open(&lms->rows, LMS_ROW_MAX, row_came, lms);
    lms->next = (struct timer){ .fire = time_for_next, .arg = lms };
    buf_init(&lms->path, PATH_MAX_BYTES);
    ask_open(&lms->ask, a, &a->asking, look_done, lms);
    if (lms->look != LOOK_ONE) { /* it may be the queue of a large site as a whole */
        lms->ask.call.take = piece_came;
        lms->ask.call.stall_us = STALL;
        lms->ask.timeout_us = LIST_TIMEOUT;
    }
    updates_open(lms);
    enum rc rc =
        journal_open(a->config->data_dir, a->config->authority->url, a->runtime->world, &lms->journal, err);
    if (rc)
        return rc;
    journal_set_actions(lms->journal, a->conf.actions);
    return lms_alerts_open(a, err);
}

static void lms_close(struct authority *a)
{
    struct lms *lms = a->lms;
    ask_close(&lms->ask);
    updates_close(lms);
    lms_alerts_close(a);
    timers_clear(&a->runtime->timers, &lms->next);
    journal_close(&lms->journal);
    buf_free(&lms->path);
    rows_close(&lms->rows);
    arena_free(&lms->arena);
    arena_free(&lms->row);
    free(lms->kept);
    aside_close(&lms->aside);
    aside_close(&lms->refused);
    aside_close(&lms->seen);
    free(lms);
    a->lms = NULL;
}

static void lms_pump(struct authority *a, int64_t now)
{
    updates_pump(a->lms, now);
    look(a->lms, now);
}

static bool lms_is_asking(const struct authority *a)
{
    return a->lms->ask.busy;
}

static void lms_look_again(struct authority *a)
{
    struct lms *lms = a->lms;
    if (authority_batch_is_full(a))
        return; /* the next look will find them */
    timers_clear(&a->runtime->timers, &lms->next);
    lms->found_nobody = false;
    if (lms->aside.given_back && lms->look != LOOK_ONE)
        lms->look = LOOK_OURS;
}

const struct authority_type authority_lms = {
    .open = lms_open,
    .close = lms_close,
    .pump = lms_pump,
    .is_asking = lms_is_asking,
    .look_again = lms_look_again,
};
