/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An LMS as the authority: the people who are due (retirement_queue), those left in the middle of a stage by
 * this driver (the journal), or the state of one person (retirement_status). updates.c tells it the outcomes.
 *
 * A driver looks first for the people it was working on when it ended, and goes on with them at the same
 * stage. Then it looks for people in PENDING and the completed states. An LMS may not know `limit`: people
 * for whom there is no room are left to the next look.
 */
#include "driver/authority/authority.h"
#include "driver/authority/journal.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/crypto.h"
#include "base/log.h"

enum { PATH_MAX_BYTES = 64 * 1024 };

/* ---- reading ---- */

static const char *get_number(struct lms *lms, const struct json *map, const char *key)
{
    const struct json *value = json_get(map, key);
    return value && (value->kind == JSON_INT || value->kind == JSON_BIG) ? value->text : NULL;
}

static struct template_values read_person(struct lms *lms, const struct json *item)
{
    return (struct template_values){
        .original_username = json_get_text(item, "original_username"),
        .original_email = json_get_text(item, "original_email"),
        .original_name = json_get_text(item, "original_name"),
        .retired_username = json_get_text(item, "retired_username"),
        .retired_email = json_get_text(item, "retired_email"),
        .user_id = get_number(lms, json_get(item, "user"), "id"),
        .retirement_id = get_number(lms, item, "id"),
    };
}

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

static void begin(struct lms *lms, const struct json *item, const char *stage,
                  const struct journal_entry *ours)
{
    struct authority *a = lms->authority;
    int64_t now = authority_mono(a);
    uint8_t random[RUN_KEY_LEN / 2];
    char fresh[RUN_KEY_LEN + 1];
    world_random(a->runtime->world, random, sizeof(random));
    crypto_hex(random, sizeof(random), fresh);
    const struct claim claim = {
        .id = lms_id_of(item),
        .lease_us = LEASE_FOREVER,
        .sent_at = now,
        .stage = stage,
        .to_be_entered = ours == NULL,
        .run_key = ours ? ours->run_key : fresh,
        .begun_at = ours ? ours->begun_at : 0,
        .memo = ours ? ours->memo : NULL,
        .person = read_person(lms, item),
    };
    run_begin(a->flight, &claim, now);
}

/* An item that cannot be read is logged, and left. */
static bool is_retirement(const struct json *item)
{
    if (lms_id_of(item) != LMS_NO_ID && json_get_text(item, "original_username") && lms_state_of(item))
        return true;
    log_error("the LMS sent a retirement without id, original_username or current_state");
    return false;
}

/* While a service is shut no person is taken to its stages, except one whose call finds out whether it
 * answers. */
static bool is_open(struct lms *lms, const char *working, int64_t now)
{
    struct authority *a = lms->authority;
    const struct stage_conf *stage = flight_find_stage(a->config, working);
    struct service *s = stage ? services_find_shut(a->services, stage, NULL) : NULL;
    if (!s)
        return true;
    if (a->conf.once || !service_wants_prober(s, now) || now - s->prober_asked_at < a->config->poll_us)
        return false;
    s->prober_asked_at = now;
    return true;
}

/* The journal has this person at this very stage: this driver entered it. */
static const struct journal_entry *entry_of(const struct lms *lms, const struct json *item)
{
    const struct journal_entry *entry = journal_find(lms->journal, lms_id_of(item));
    return entry && strcmp(entry->stage, lms_state_of(item)) == 0 ? entry : NULL;
}

/* ---- people left in the middle of a stage ---- */

struct check {
    struct lms *lms;
    const struct json *list;
    unsigned n_unknown;
};

static void check_entry(void *arg, const struct journal_entry *entry)
{
    struct check *check = arg;
    const struct json *item = check->list->first;
    while (item && lms_id_of(item) != entry->id)
        item = item->next;
    if (!flight_find_stage(check->lms->authority->config, entry->stage))
        check->n_unknown++;
    else if (!item)
        journal_end(check->lms->journal, entry->id);
}

/* Drop entries whose person left the working states: finished, or moved by an operator. Called only if nobody
 * was in flight when the look began: a person between two stages is not in the list either. */
static void tidy_journal(struct lms *lms, const struct json *list)
{
    struct check check = { .lms = lms, .list = list };
    journal_each(lms->journal, check_entry, &check);
    if (check.n_unknown > 0)
        log_error(
            "%u people were left in the middle of stages that this configuration does not have: put the "
            "stages back",
            check.n_unknown);
}

static void take_ours(struct lms *lms, const struct json *list)
{
    struct authority *a = lms->authority;
    unsigned n = 0, strangers = 0;
    bool all = true;
    for (const struct json *item = list->first; item; item = item->next) {
        if (!is_retirement(item))
            continue;
        const struct journal_entry *entry = entry_of(lms, item);
        if (!entry) {
            strangers++;
        } else if (flight_has(a->flight, entry->id)) {
            continue;
        } else if (journal_is_put_off(entry, authority_now(a))) {
            aside_put_off(&lms->aside, entry->until);
        } else if (!is_open(lms, entry->stage, authority_mono(a))) {
            lms->aside.given_back = true;
        } else if (a->flight->in_flight < a->flight->conf.max_runs) {
            begin(lms, item, entry->stage, entry);
            n++;
        } else {
            all = false;
        }
    }
    lms->found_nobody = lms->found_nobody && n == 0;
    if (n > 0)
        log_info("going on with %u people in the middle of a stage", n);
    if (!all)
        return;
    if (strangers > 0 && !lms->strangers_said)
        log_warning("%u people are in working states that this driver did not enter: they are left alone",
                    strangers);
    lms->strangers_said = true;
    if (lms->looks_alone)
        tidy_journal(lms, list);
    lms->look = LOOK_DUE;
}

/* ---- people who are due ---- */

static void take_due(struct lms *lms, const struct json *list, int64_t now)
{
    struct authority *a = lms->authority;
    unsigned n = 0;
    int64_t waiting = 0;
    for (const struct json *item = list->first; item; item = item->next) {
        if (!is_retirement(item))
            continue;
        int64_t id = lms_id_of(item);
        const char *stage = stage_after(a->config, lms_state_of(item));
        if (!stage || aside_has(&lms->aside, id) || flight_has(a->flight, id) || !is_open(lms, stage, now))
            continue;
        n++;
        if (authority_room(a) == 0) {
            waiting++;
            continue;
        }
        begin(lms, item, stage, NULL);
        a->batch_taken++;
    }
    a->due = waiting;
    lms->found_nobody = n == 0;
    lms->more = (waiting > 0 || list->count >= lms->limit) && !authority_batch_is_full(a);
    bool back = authority_now(a) >= lms->aside.back_at;
    if (!back && (n == 0 || (!lms->more && !a->conf.once)))
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

static void take_one(struct lms *lms, const struct json *item)
{
    lms->aside.back_at = INT64_MAX;
    if (!is_retirement(item)) {
        refuse_one(lms, RC_UNAVAILABLE, "setup", "the LMS sent no retirement");
        return;
    }
    const char *state = lms_state_of(item), *stage = stage_after(lms->authority->config, state);
    const struct journal_entry *entry = entry_of(lms, item);
    bool is_working = flight_find_stage(lms->authority->config, state) != NULL;
    lms->one_taken = true;
    if (entry && is_working)
        begin(lms, item, state, entry);
    else if (stage)
        begin(lms, item, stage, NULL);
    else if (strcmp(state, "COMPLETE") == 0 || strcmp(state, "ERRORED") == 0 || strcmp(state, "ABORTED") == 0)
        refuse_one(lms, RC_CONFLICT, "at_end_state", "the retirement is in an end state already");
    else if (is_working)
        refuse_one(lms, RC_CONFLICT, "in_working_state",
                   "the retirement is in a working state, and it was not this driver that put it there");
    else
        refuse_one(lms, RC_CONFLICT, "unknown_state",
                   "the retirement is in a state that the pipeline of this configuration does not have");
}

static void conclude_one(struct lms *lms)
{
    struct authority *a = lms->authority;
    if (a->flight->counts.completed > 0 || a->flight->stopping)
        a->ending = true;
    else if (lms->aside.n > 0)
        refuse_one(lms, RC_CONFLICT, "in_working_state", "another driver has this retirement");
    else
        refuse_one(lms, RC_UNAVAILABLE, "failed_while_retiring",
                   a->flight->counts.errored ? "the retirement failed: it is ERRORED"
                                             : "the retirement was not finished");
}

/* ---- a look ---- */

static void write_queue_path(struct lms *lms)
{
    struct authority *a = lms->authority;
    const struct config *config = a->config;
    bool ours = lms->look == LOOK_OURS;
    int64_t days = ours ? 0 : (a->conf.cool_off_us + CLOCK_DAY - 1) / CLOCK_DAY;
    buf_printf(&lms->path, "/api/user/v1/accounts/retirement_queue/?cool_off_days=%" PRId64, days);
    if (!ours)
        buf_add_str(&lms->path, "&states=PENDING");
    for (size_t i = 0; i < config->n_stages; i++)
        buf_printf(&lms->path, "&states=%s", ours ? config->stages[i].working : config->stages[i].completed);
    if (ours)
        return;
    lms->limit = a->flight->conf.max_runs + (unsigned)lms->aside.n;
    buf_printf(&lms->path, "&limit=%u", lms->limit);
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
    if (lms->look == LOOK_ONE) {
        buf_add_str(&lms->path, "/api/user/v1/accounts/");
        buf_add_url(&lms->path, name, strlen(name));
        buf_add_str(&lms->path, "/retirement_status/");
    } else {
        write_queue_path(lms);
    }
    ask_send(&lms->ask, HTTP_GET, buf_str(&lms->path), NULL);
}

static bool take_answer(struct lms *lms)
{
    const struct buf *text = &lms->ask.call.answer;
    struct json *json;
    if (json_parse(&lms->arena, buf_str(text), text->len, &json, NULL) ||
        json->kind != (lms->look == LOOK_ONE ? JSON_MAP : JSON_LIST))
        return false;
    switch (lms->look) {
    case LOOK_OURS: take_ours(lms, json); break;
    case LOOK_DUE: take_due(lms, json, authority_mono(lms->authority)); break;
    case LOOK_ONE: take_one(lms, json); break;
    }
    return true;
}

static void look_done(struct ask *ask)
{
    struct lms *lms = ask->arg;
    struct authority *a = lms->authority;
    bool understood = false;
    switch (ask_judge(ask)) {
    case ASK_SILENT: break;
    case ASK_REFUSED:
        if (lms->look == LOOK_ONE && !ask->no_token && ask->call.status == 404)
            refuse_one(lms, RC_NOT_FOUND, "no_such_learner", "the LMS knows no retirement of this user name");
        else
            ask_note_refusal(ask);
        break;
    case ASK_ANSWERED:
        understood = take_answer(lms);
        if (!understood)
            ask_note_silence(a, "its answer makes no sense");
        break;
    }
    if (!understood)
        timers_set(&a->runtime->timers, &lms->next, authority_mono(a) + ask_pause(a));
    arena_reset(&lms->arena);
}

/* look() only asks whether the timer is set. */
static void time_for_next(void *arg, int64_t now)
{
}

static void look(struct lms *lms, int64_t now)
{
    struct authority *a = lms->authority;
    if (lms->ask.busy || a->ending || a->flight->stopping)
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
    lms->next = (struct timer){ .fire = time_for_next, .arg = lms };
    buf_init(&lms->path, PATH_MAX_BYTES);
    ask_open(&lms->ask, a, look_done, lms);
    updates_open(lms);
    return journal_open(a->config->data_dir, a->config->authority->url, a->runtime->world, &lms->journal,
                        err);
}

static void lms_close(struct authority *a)
{
    struct lms *lms = a->lms;
    ask_close(&lms->ask);
    updates_close(lms);
    timers_clear(&a->runtime->timers, &lms->next);
    journal_close(&lms->journal);
    buf_free(&lms->path);
    arena_free(&lms->arena);
    aside_close(&lms->aside);
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
