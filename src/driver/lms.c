/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An LMS as the authority: who is due (retirement_queue), who was left in the middle by us (the journal), or
 * how one person stands (retirement_status). updates.c tells it what becomes of them.
 *
 * A driver looks first for those whom it was working on when it ended, and goes on with them at the same
 * stage. Then it looks for people in PENDING and the completed states. An LMS may know no limit: what is too
 * much is left to the next look.
 */
#include "driver/lms.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/crypto.h"
#include "base/log.h"

#define ALONE_FOR (600 * CLOCK_S)

enum { PATH_MAX_BYTES = 64 * 1024 };

/* ---- reading ---- */

const struct json *lms_get(const struct json *map, const char *key, enum json_kind kind)
{
    const struct json *value = map && map->kind == JSON_MAP ? json_get(map, key) : NULL;
    return value && value->kind == kind ? value : NULL;
}

static const char *get_text(const struct json *map, const char *key)
{
    const struct json *value = lms_get(map, key, JSON_TEXT);
    return value ? value->text : NULL;
}

const char *lms_state_of(const struct json *retirement)
{
    return get_text(lms_get(retirement, "current_state", JSON_MAP), "state_name");
}

static const char *get_number(struct lms *lms, const struct json *map, const char *key)
{
    const struct json *value = lms_get(map, key, JSON_INT);
    return value ? arena_printf(&lms->arena, "%" PRId64, value->integer) : NULL;
}

static struct template_values read_person(struct lms *lms, const struct json *item)
{
    return (struct template_values){
        .original_username = get_text(item, "original_username"),
        .original_email = get_text(item, "original_email"),
        .original_name = get_text(item, "original_name"),
        .retired_username = get_text(item, "retired_username"),
        .retired_email = get_text(item, "retired_email"),
        .user_id = get_number(lms, lms_get(item, "user", JSON_MAP), "id"),
        .retirement_id = get_number(lms, item, "id"),
    };
}

/* ---- whom to take ---- */

/* The working state that comes after a state, COMPLETE after the last one; NULL: it is none that waits for a
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

static void add_left(struct lms *lms, int64_t id, int64_t until)
{
    if (lms->n_left == lms->left_room) {
        lms->left_room = lms->left_room ? 2 * lms->left_room : 16;
        lms->left = xrealloc(lms->left, lms->left_room * sizeof(*lms->left));
    }
    lms->left[lms->n_left++] = (struct left_alone){ id, until };
}

void lms_leave_alone(struct lms *lms, int64_t id)
{
    add_left(lms, id, lms->driver->conf.once ? INT64_MAX : clock_mono() + ALONE_FOR);
}

void lms_let_go(struct lms *lms, int64_t id)
{
    if (lms->ask.busy)
        add_left(lms, id, 0);
}

void lms_come_back(struct lms *lms, int64_t at)
{
    if (at < lms->back_at)
        lms->back_at = at;
}

static bool is_time_to_come_back(const struct lms *lms)
{
    return clock_now() >= lms->back_at;
}

static void forget_left(struct lms *lms, int64_t now)
{
    size_t n = 0;
    for (size_t i = 0; i < lms->n_left; i++)
        if (lms->left[i].until > now)
            lms->left[n++] = lms->left[i];
    lms->n_left = n;
}

static bool is_left_alone(const struct lms *lms, int64_t id)
{
    for (size_t i = 0; i < lms->n_left; i++)
        if (lms->left[i].id == id)
            return true;
    return false;
}

static void make_key(char out[RUN_KEY_LEN + 1])
{
    uint8_t bytes[RUN_KEY_LEN / 2];
    crypto_random(bytes, sizeof(bytes));
    crypto_hex(bytes, sizeof(bytes), out);
}

static void begin(struct lms *lms, const struct json *item, const char *stage,
                  const struct journal_entry *ours)
{
    int64_t now = clock_mono();
    char fresh[RUN_KEY_LEN + 1];
    make_key(fresh);
    const struct claim claim = {
        .id = lms_get(item, "id", JSON_INT)->integer,
        .lease_us = LEASE_FOREVER,
        .sent_at = now,
        .stage = stage,
        .to_be_entered = ours == NULL,
        .run_key = ours ? ours->run_key : fresh,
        .begun_at = ours ? ours->begun_at : 0,
        .memo = ours ? ours->memo : NULL,
        .person = read_person(lms, item),
    };
    run_begin(&lms->driver->flight, &claim, now);
}

/* What makes no sense is said, and left. */
static bool is_retirement(const struct json *item)
{
    if (lms_get(item, "id", JSON_INT) && get_text(item, "original_username") && lms_state_of(item))
        return true;
    log_error("the LMS sent a retirement without id, original_username or current_state");
    return false;
}

static bool has_room(const struct driver *d)
{
    return d->flight.in_flight < d->flight.conf.max_runs;
}

/* Nobody is taken to a service that is shut, but for the one whose call finds out whether it answers again.
 */
static bool is_open(struct lms *lms, const char *working, int64_t now)
{
    struct driver *d = lms->driver;
    const struct stage_conf *stage = flight_find_stage(d->config, working);
    struct service *s = stage ? services_find_shut(&d->services, stage, NULL) : NULL;
    if (!s)
        return true;
    if (d->conf.once || !service_wants_prober(s, now) || now - s->prober_asked_at < d->config->poll_us)
        return false;
    s->prober_asked_at = now;
    return true;
}

/* The journal has this one at this very stage: it was us who entered it. */
static const struct journal_entry *entry_of(const struct lms *lms, const struct json *item)
{
    const struct journal_entry *entry = journal_find(lms->journal, lms_get(item, "id", JSON_INT)->integer);
    return entry && strcmp(entry->stage, lms_state_of(item)) == 0 ? entry : NULL;
}

/* ---- those whom we left in the middle ---- */

static bool lists(const struct json *list, int64_t id)
{
    for (const struct json *item = list->first; item; item = item->next) {
        const struct json *found = lms_get(item, "id", JSON_INT);
        if (found && found->integer == id)
            return true;
    }
    return false;
}

struct check {
    struct lms *lms;
    const struct json *list;
    unsigned n_unknown;
};

static void check_entry(void *arg, const struct journal_entry *entry)
{
    struct check *check = arg;
    if (!flight_find_stage(check->lms->driver->config, entry->stage))
        check->n_unknown++;
    else if (!lists(check->list, entry->id))
        journal_end(check->lms->journal, entry->id);
}

/* Who is in no working state any more is through, or was moved by somebody; but not whoever was between two
 * stages when the LMS made its list. */
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
    struct driver *d = lms->driver;
    unsigned n = 0, strangers = 0;
    bool all = true;
    for (const struct json *item = list->first; item; item = item->next) {
        if (!is_retirement(item))
            continue;
        const struct journal_entry *entry = entry_of(lms, item);
        if (!entry) {
            strangers++;
        } else if (flight_has(&d->flight, entry->id)) {
            continue;
        } else if (journal_is_put_off(entry, clock_now())) {
            lms_come_back(lms, entry->until);
        } else if (!is_open(lms, entry->stage, clock_mono())) {
            lms->given_back = true;
        } else if (has_room(d)) {
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
        log_warning("%u people are in working states because of somebody else: they are left alone",
                    strangers);
    lms->strangers_said = true;
    if (lms->looks_alone)
        tidy_journal(lms, list);
    lms->look = LOOK_DUE;
}

/* ---- those who are due ---- */

static void take_due(struct lms *lms, const struct json *list, int64_t now)
{
    struct driver *d = lms->driver;
    unsigned n = 0;
    int64_t waiting = 0;
    for (const struct json *item = list->first; item; item = item->next) {
        if (!is_retirement(item))
            continue;
        int64_t id = lms_get(item, "id", JSON_INT)->integer;
        const char *stage = stage_after(d->config, lms_state_of(item));
        if (!stage || is_left_alone(lms, id) || flight_has(&d->flight, id) || !is_open(lms, stage, now))
            continue;
        n++;
        if (driver_room(d) == 0) {
            waiting++;
            continue;
        }
        begin(lms, item, stage, NULL);
        d->batch_taken++;
    }
    d->due = waiting;
    lms->found_nobody = n == 0;
    lms->more = (waiting > 0 || list->count >= lms->limit) && !driver_batch_is_full(d);
    bool back = is_time_to_come_back(lms);
    if (!back && (n == 0 || (!lms->more && !d->conf.once)))
        timers_set(&d->runtime.timers, &lms->next, now + d->config->poll_us);
    if (back || (lms->given_back && !d->conf.once))
        lms->look = LOOK_OURS;
}

/* ---- one person ---- */

static void refuse_one(struct lms *lms, enum rc rc, const char *code, const char *text)
{
    struct err err;
    if (err_set_code(&err, rc, code, "%s", text))
        driver_fail(lms->driver, &err);
}

static bool is_dead_end(const char *state)
{
    return strcmp(state, "COMPLETE") == 0 || strcmp(state, "ERRORED") == 0 || strcmp(state, "ABORTED") == 0;
}

static void take_one(struct lms *lms, const struct json *item)
{
    lms->back_at = INT64_MAX;
    if (!is_retirement(item)) {
        refuse_one(lms, RC_UNAVAILABLE, "setup", "the LMS sent no retirement");
        return;
    }
    const char *state = lms_state_of(item), *stage = stage_after(lms->driver->config, state);
    const struct journal_entry *entry = entry_of(lms, item);
    lms->one_taken = true;
    if (entry && flight_find_stage(lms->driver->config, state))
        begin(lms, item, state, entry);
    else if (stage)
        begin(lms, item, stage, NULL);
    else if (is_dead_end(state))
        refuse_one(lms, RC_CONFLICT, "at_end_state", "the retirement is in an end state already");
    else if (flight_find_stage(lms->driver->config, state))
        refuse_one(lms, RC_CONFLICT, "in_working_state",
                   "the retirement is in a working state, and it was not this driver that put it there");
    else
        refuse_one(lms, RC_CONFLICT, "unknown_state",
                   "the retirement is in a state that the pipeline of this configuration does not have");
}

static void conclude_one(struct lms *lms)
{
    struct driver *d = lms->driver;
    if (d->flight.counts.completed > 0 || d->flight.stopping)
        d->ending = true;
    else if (lms->n_left > 0)
        refuse_one(lms, RC_CONFLICT, "in_working_state", "another driver has this retirement");
    else
        refuse_one(lms, RC_UNAVAILABLE, "failed_while_retiring",
                   d->flight.counts.errored ? "the retirement failed: it is ERRORED"
                                            : "the retirement was not finished");
}

/* ---- a look ---- */

static void add_states(struct lms *lms)
{
    const struct config *config = lms->driver->config;
    bool ours = lms->look == LOOK_OURS;
    if (!ours)
        buf_add_str(&lms->path, "&states=PENDING");
    for (size_t i = 0; i < config->n_stages; i++)
        buf_printf(&lms->path, "&states=%s", ours ? config->stages[i].working : config->stages[i].completed);
}

static void write_queue_path(struct lms *lms)
{
    struct driver *d = lms->driver;
    int64_t days = lms->look == LOOK_OURS ? 0 : (d->conf.cool_off_us + CLOCK_DAY - 1) / CLOCK_DAY;
    buf_printf(&lms->path, "/api/user/v1/accounts/retirement_queue/?cool_off_days=%" PRId64, days);
    add_states(lms);
    if (lms->look == LOOK_DUE) {
        lms->limit = d->flight.conf.max_runs + (unsigned)lms->n_left;
        buf_printf(&lms->path, "&limit=%u", lms->limit);
    }
}

static void write_status_path(struct lms *lms)
{
    const char *name = lms->driver->conf.username;
    buf_add_str(&lms->path, "/api/user/v1/accounts/");
    http_url_encode(&lms->path, name, strlen(name));
    buf_add_str(&lms->path, "/retirement_status/");
}

static bool is_at_rest(const struct lms *lms)
{
    return lms->driver->flight.in_flight == 0 && lms->n_in_use == 0;
}

/* Who is given back or put off from now on may not be in the list yet that the LMS is about to make. */
static void begin_to_look_for_ours(struct lms *lms)
{
    lms->given_back = false;
    lms->back_at = INT64_MAX;
}

static void send_look(struct lms *lms)
{
    buf_reset(&lms->path);
    if (lms->look == LOOK_OURS)
        begin_to_look_for_ours(lms);
    lms->looks_alone = is_at_rest(lms);
    lms->ask.about_nobody = lms->look != LOOK_ONE;
    if (lms->look == LOOK_ONE)
        write_status_path(lms);
    else
        write_queue_path(lms);
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
    case LOOK_DUE: take_due(lms, json, clock_mono()); break;
    case LOOK_ONE: take_one(lms, json); break;
    }
    return true;
}

static void look_refused(struct lms *lms)
{
    struct err err;
    if (lms->look == LOOK_ONE && !lms->ask.no_token && lms->ask.call.status == 404)
        refuse_one(lms, RC_NOT_FOUND, "no_such_learner", "the LMS knows no retirement of this user name");
    else if (authority_explain(&lms->ask, &err) && lms->driver->conf.once)
        driver_fail(lms->driver, &err);
    else
        authority_is_silent(lms->driver, err.text);
}

static void look_done(struct ask *ask)
{
    struct lms *lms = ask->arg;
    struct driver *d = lms->driver;
    bool understood = false;
    switch (authority_judge(ask)) {
    case AUTHORITY_SILENT: break;
    case AUTHORITY_REFUSED: look_refused(lms); break;
    case AUTHORITY_ANSWERED:
        understood = take_answer(lms);
        if (!understood)
            authority_is_silent(d, "its answer makes no sense");
        break;
    }
    if (!understood)
        timers_set(&d->runtime.timers, &lms->next, clock_mono() + authority_pause(d));
    arena_reset(&lms->arena);
}

/* That the timer is not set any more is all that look needs to know. */
static void time_for_next(void *arg, int64_t now)
{
}

static void look(struct lms *lms, int64_t now)
{
    struct driver *d = lms->driver;
    if (lms->ask.busy || d->ending || d->flight.stopping)
        return;
    bool is_last = d->conf.once && (lms->found_nobody || driver_batch_is_full(d));
    if (lms->look == LOOK_DUE && is_last && is_at_rest(lms)) {
        d->ending = true;
        return;
    }
    /* Not for each place that gets free, and for once not before all are through unless there are more. */
    unsigned most_in_flight = d->conf.once && !lms->more ? 0 : d->flight.conf.max_runs / 2;
    if (lms->next.place || d->flight.in_flight > most_in_flight)
        return;
    if (lms->one_taken && is_at_rest(lms) && !is_time_to_come_back(lms))
        conclude_one(lms);
    if (lms->one_taken && (!is_at_rest(lms) || !is_time_to_come_back(lms)))
        return;
    if (!lms->more && !d->conf.once)
        d->batch_taken = 0;
    forget_left(lms, now);
    send_look(lms);
}

/* ---- the authority ---- */

static enum rc lms_open(struct driver *d, struct err *err)
{
    struct lms *lms = XNEW(struct lms);
    d->lms = lms;
    lms->driver = d;
    lms->look = d->conf.username ? LOOK_ONE : LOOK_OURS;
    lms->back_at = INT64_MAX;
    lms->next = (struct timer){ .fire = time_for_next, .arg = lms };
    buf_init(&lms->path, PATH_MAX_BYTES);
    ask_open(&lms->ask, d, look_done, lms);
    updates_open(lms);
    return journal_open(d->config->data_dir, d->config->authority->url, &lms->journal, err);
}

static void lms_close(struct driver *d)
{
    struct lms *lms = d->lms;
    ask_close(&lms->ask);
    updates_close(lms);
    timers_clear(&d->runtime.timers, &lms->next);
    journal_close(&lms->journal);
    buf_free(&lms->path);
    arena_free(&lms->arena);
    free(lms->left);
    free(lms);
    d->lms = NULL;
}

static void lms_pump(struct driver *d, int64_t now)
{
    updates_pump(d->lms, now);
    look(d->lms, now);
}

static bool lms_is_asking(const struct driver *d)
{
    return d->lms->ask.busy;
}

static void lms_look_again(struct driver *d)
{
    struct lms *lms = d->lms;
    if (driver_batch_is_full(d))
        return; /* the next look will find them */
    timers_clear(&d->runtime.timers, &lms->next);
    lms->found_nobody = false;
    if (lms->given_back && lms->look != LOOK_ONE)
        lms->look = LOOK_OURS;
}

const struct authority authority_lms = {
    .name = "lms",
    .open = lms_open,
    .close = lms_close,
    .pump = lms_pump,
    .is_asking = lms_is_asking,
    .look_again = lms_look_again,
};
