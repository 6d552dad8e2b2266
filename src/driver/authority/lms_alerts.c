/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Alerts of a driver for an LMS, which has no server that could gather and keep them: people who become
 * ERRORED, people who cannot go on, the fuse, an LMS that does not answer.
 *
 * Its hard idea: alarms and undelivered alerts are a file beside the journal, written whole and durable
 * before the journal is, and so before the LMS is told what an alarm is about. A crash repeats at most a
 * delivery, with its key. The file is small: alarms that are alike are one group, and only so many alerts
 * wait.
 */
#include "driver/authority/authority.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/crypto.h"
#include "base/file.h"
#include "base/log.h"
#include "base/text.h"

enum {
    GROUPS_MAX = 50, /* the last one is of all other kinds */
    IDS_MAX = 100,   /* in a group */
    SAID_MAX = 10000,
    CAUSE_MAX = 300,
    HOOK_WAITING_MAX = 100, /* alerts that wait for one hook; until then alarms gather */
    FILE_MAX = 256 * 1024 * 1024,
    KEY_LEN = 32,
    URL_DIGITS = 16
};

#define SAID_FOR CLOCK_DAY /* the same is not said again about the same person */

struct alert {
    int64_t number;
    char *hook, *payload;
    char key[KEY_LEN + 1];
    int64_t attempts, made_at, due_at; /* wall clock */
    bool in_flight, tried;             /* by this driver */
};

struct said {
    int64_t id, at;
};

struct lms_alerts {
    struct authority *authority;
    const char *path, *new_path;
    struct arena paths, arena; /* the latter of the groups */
    struct alarms gathered;
    struct alarm_group groups[GROUPS_MAX];
    struct alert *alerts;
    size_t n;
    struct said said[SAID_MAX];
    size_t n_said;
    int64_t made_at, next_number;
    bool dirty, broken; /* broken: the file cannot be written, and the driver ends because of it */
    struct timer next;
};

static struct lms_alerts *alerts_of(const struct authority *a)
{
    return a->lms ? a->lms->alerts : NULL;
}

/* ---- gathering ---- */

static int64_t *counter_of(struct alarms *all, const char *what)
{
    return strcmp(what, "errored") == 0 ? &all->errored
           : strcmp(what, "stuck") == 0 ? &all->stuck
           : strcmp(what, "fuse") == 0  ? &all->fuse
                                        : &all->silent;
}

static struct alarm_group *group_of(struct lms_alerts *q, const struct alarm *alarm, int64_t now)
{
    struct alarms *all = &q->gathered;
    for (size_t i = 0; i < all->n; i++)
        if (core_alarms_alike(&all->groups[i].alarm, alarm))
            return &all->groups[i];
    if (all->n == GROUPS_MAX)
        return &all->groups[GROUPS_MAX - 1];
    struct alarm_group *g = &all->groups[all->n++];
    bool is_rest = all->n == GROUPS_MAX;
    *g = (struct alarm_group){
        .alarm = { .what = arena_strdup(&q->arena, alarm->what),
                   .stage = arena_strdup(&q->arena, is_rest ? "any" : alarm->stage),
                   .failure = { is_rest ? -1 : alarm->failure.status,
                                arena_strdup(&q->arena,
                                             is_rest ? "many causes: see the log" : alarm->failure.cause) } },
        .first_at = now,
        .ids = arena_array(&q->arena, IDS_MAX, sizeof(int64_t)),
    };
    return g;
}

static bool has_id(const struct alarm_group *g, int64_t id)
{
    for (size_t i = 0; i < g->n_ids; i++)
        if (g->ids[i] == id)
            return true;
    return false;
}

/* A person who cannot go on is found again at each look: that is said once a day. */
static bool was_said(struct lms_alerts *q, int64_t id, int64_t now)
{
    size_t n = 0;
    bool found = false;
    for (size_t i = 0; i < q->n_said; i++) {
        if (now - q->said[i].at >= SAID_FOR || q->said[i].at > now)
            continue;
        found = found || q->said[i].id == id;
        q->said[n++] = q->said[i];
    }
    q->n_said = n;
    if (!found && q->n_said < SAID_MAX)
        q->said[q->n_said++] = (struct said){ id, now };
    return found;
}

void lms_alerts_note(struct authority *a, const struct alarm *given)
{
    struct lms_alerts *q = alerts_of(a);
    struct alarm alarm = *given;
    if (!q)
        return;
    int64_t now = authority_now(a);
    bool is_lasting = strcmp(alarm.what, "stuck") == 0 || strcmp(alarm.what, "silent") == 0;
    if (is_lasting && was_said(q, alarm.retirement_id, now))
        return;
    char cause[CAUSE_MAX + 1] = "";
    if (alarm.failure.cause)
        snprintf(cause, sizeof(cause), "%.*s",
                 (int)text_cut(alarm.failure.cause, strlen(alarm.failure.cause), CAUSE_MAX),
                 alarm.failure.cause);
    alarm.failure.cause = cause;
    struct alarm_group *g = group_of(q, &alarm, now);
    g->last_at = now;
    if (alarm.retirement_id > 0 && has_id(g, alarm.retirement_id)) /* of a driver that was killed */
        return;
    g->count++;
    ++*counter_of(&q->gathered, g->alarm.what);
    if (alarm.retirement_id > 0 && g->n_ids < IDS_MAX)
        g->ids[g->n_ids++] = alarm.retirement_id;
    q->dirty = true;
}

void lms_alerts_heard(struct authority *a)
{
    struct lms_alerts *q = alerts_of(a);
    for (size_t i = 0; q && i < q->n_said; i++)
        if (q->said[i].id == 0) {
            q->said[i] = q->said[--q->n_said];
            q->dirty = true;
        }
}

/* ---- the file ---- */

static void put_gathered(struct json_out *o, const struct alarms *all)
{
    json_put_key(o, "alarms");
    json_open_list(o);
    for (size_t i = 0; i < all->n; i++) {
        const struct alarm_group *g = &all->groups[i];
        json_open_map(o);
        json_field_text(o, "what", g->alarm.what);
        json_field_text(o, "stage", g->alarm.stage);
        json_field_int(o, "status", g->alarm.failure.status);
        json_field_text(o, "cause", g->alarm.failure.cause);
        json_field_int(o, "count", g->count);
        json_field_int(o, "first", g->first_at);
        json_field_int(o, "last", g->last_at);
        json_put_key(o, "ids");
        json_open_list(o);
        for (size_t k = 0; k < g->n_ids; k++)
            json_put_int(o, g->ids[k]);
        json_close_list(o);
        json_close_map(o);
    }
    json_close_list(o);
}

static void put_all(struct json_out *o, const struct lms_alerts *q)
{
    json_open_map(o);
    json_field_int(o, "made_at", q->made_at);
    json_field_int(o, "next_number", q->next_number);
    put_gathered(o, &q->gathered);
    json_put_key(o, "alerts");
    json_open_list(o);
    for (size_t i = 0; i < q->n; i++) {
        const struct alert *alert = &q->alerts[i];
        json_open_map(o);
        json_field_int(o, "number", alert->number);
        json_field_text(o, "hook", alert->hook);
        json_field_text(o, "key", alert->key);
        json_field_int(o, "attempts", alert->attempts);
        json_field_int(o, "made_at", alert->made_at);
        json_field_int(o, "due_at", alert->due_at);
        json_field_text(o, "payload", alert->payload);
        json_close_map(o);
    }
    json_close_list(o);
    json_put_key(o, "said");
    json_open_list(o);
    for (size_t i = 0; i < q->n_said; i++) {
        json_put_int(o, q->said[i].id);
        json_put_int(o, q->said[i].at);
    }
    json_close_list(o);
    json_close_map(o);
}

enum rc lms_alerts_save(struct authority *a, struct err *err)
{
    struct lms_alerts *q = alerts_of(a);
    struct buf text;
    struct json_out o = { .buf = &text };
    if (!q || !q->dirty || q->broken)
        return RC_OK;
    buf_init(&text, FILE_MAX);
    put_all(&o, q);
    unlink(q->new_path);
    enum rc rc = text.over ? err_set(err, RC_TOO_LARGE, "%s would be too large", q->path)
                           : file_create_private(q->new_path, text.data, text.len, err);
    if (!rc)
        rc = file_rename(q->new_path, q->path, err);
    buf_free(&text);
    q->dirty = false;
    q->broken = rc != RC_OK;
    return rc;
}

static void read_group(struct lms_alerts *q, const struct json *in)
{
    const char *what = json_get_text(in, "what");
    if (!what || q->gathered.n == GROUPS_MAX)
        return;
    struct alarm_group *g = &q->gathered.groups[q->gathered.n++];
    *g = (struct alarm_group){
        .alarm = { .what = arena_strdup(&q->arena, what),
                   .stage = arena_strdup(&q->arena, json_get_text(in, "stage")),
                   .failure = { json_get_int(in, "status", -1),
                                arena_strdup(&q->arena, json_get_text(in, "cause")) } },
        .count = json_get_int(in, "count", 1),
        .first_at = json_get_int(in, "first", 0),
        .last_at = json_get_int(in, "last", 0),
        .ids = arena_array(&q->arena, IDS_MAX, sizeof(int64_t)),
    };
    const struct json *ids = json_get(in, "ids");
    for (const struct json *id = ids ? ids->first : NULL; id && g->n_ids < IDS_MAX; id = id->next)
        g->ids[g->n_ids++] = id->integer;
    *counter_of(&q->gathered, what) += g->count;
}

static struct alert *add_alert(struct lms_alerts *q, const char *hook, const char *payload)
{
    q->alerts = xrealloc(q->alerts, (q->n + 1) * sizeof(*q->alerts));
    struct alert *alert = &q->alerts[q->n++];
    *alert = (struct alert){ .hook = xstrdup(hook), .payload = xstrdup(payload) };
    return alert;
}

static void read_alert(struct lms_alerts *q, const struct json *in)
{
    const char *hook = json_get_text(in, "hook"), *payload = json_get_text(in, "payload"),
               *key = json_get_text(in, "key");
    if (!hook || !payload || !key)
        return;
    if (!config_hook(q->authority->config, config_event_name(HOOK_ALERT), hook)) {
        log_error("alert %s: the configuration has no such hook any more: its alert is dropped", hook);
        return;
    }
    struct alert *alert = add_alert(q, hook, payload);
    snprintf(alert->key, sizeof(alert->key), "%s", key);
    alert->number = json_get_int(in, "number", 0);
    alert->attempts = json_get_int(in, "attempts", 0);
    alert->made_at = json_get_int(in, "made_at", 0);
    alert->due_at = json_get_int(in, "due_at", 0);
}

static enum rc read_file(struct lms_alerts *q, struct err *err)
{
    struct arena a = { 0 };
    char *text;
    size_t len;
    struct json *all;
    enum rc rc = file_read_own(&a, q->path, FILE_MAX, &text, &len, err);
    if (!rc && json_parse(&a, text, len, &all, err))
        rc = err_prefix(err, "%s", q->path);
    if (!rc) {
        q->made_at = json_get_int(all, "made_at", 0);
        q->next_number = json_get_int(all, "next_number", 1);
        const struct json *alarms = json_get(all, "alarms"), *alerts = json_get(all, "alerts"),
                          *said = json_get(all, "said");
        for (const struct json *in = alarms ? alarms->first : NULL; in; in = in->next)
            read_group(q, in);
        for (const struct json *in = alerts ? alerts->first : NULL; in; in = in->next)
            read_alert(q, in);
        for (const struct json *in = said ? said->first : NULL; in && in->next && q->n_said < SAID_MAX;
             in = in->next->next)
            q->said[q->n_said++] = (struct said){ in->integer, in->next->integer };
    }
    arena_free(&a);
    return rc == RC_NOT_FOUND ? RC_OK : rc;
}

/* ---- alerts ---- */

static bool has_room(const struct lms_alerts *q)
{
    const struct config *config = q->authority->config;
    for (size_t i = 0; i < config->n_hooks; i++) {
        size_t n = 0;
        for (size_t k = 0; k < q->n; k++)
            n += strcmp(q->alerts[k].hook, config->hooks[i].name) == 0;
        if (n >= HOOK_WAITING_MAX)
            return false;
    }
    return true;
}

/* The alarms so far become an alert for each hook: at once, or when the last one is long enough ago; with
 * `once`, at its end. */
static void make_alerts(struct lms_alerts *q)
{
    struct authority *a = q->authority;
    int64_t now = authority_now(a), since = now - q->made_at;
    bool is_time = a->conf.once ? a->ending || a->rc : since < 0 || since >= a->config->alert_every_us;
    if (q->gathered.n == 0 || !is_time || !has_room(q))
        return;
    struct arena arena = { 0 };
    const char *payload = wire_write_alert(&arena, &q->gathered, a->config->platform, now);
    for (size_t i = 0; i < a->config->n_hooks; i++) {
        uint8_t random[KEY_LEN / 2];
        struct alert *alert = add_alert(q, a->config->hooks[i].name, payload);
        world_random(a->runtime->world, random, sizeof(random));
        crypto_hex(random, sizeof(random), alert->key);
        alert->number = q->next_number++;
        alert->made_at = alert->due_at = now;
    }
    arena_free(&arena);
    arena_reset(&q->arena);
    q->gathered = (struct alarms){ .groups = q->groups };
    q->made_at = now;
    q->dirty = true;
}

static bool is_due(const struct lms_alerts *q, const struct alert *alert)
{
    const struct authority *a = q->authority;
    return !alert->in_flight && alert->due_at <= authority_now(a) && !(a->conf.once && alert->tried);
}

static void start_due(struct lms_alerts *q)
{
    struct authority *a = q->authority;
    int64_t now = authority_now(a), mono = authority_mono(a);
    for (size_t i = 0; i < q->n && a->flight->deliveries_in_flight < DELIVERIES_MAX; i++) {
        struct alert *alert = &q->alerts[i];
        if (!is_due(q, alert))
            continue;
        const struct delivery_claim claim = {
            .id = alert->number,
            .lease_us = LEASE_FOREVER,
            .sent_at = mono,
            .hook = config_hook(a->config, config_event_name(HOOK_ALERT), alert->hook),
            .key = alert->key,
            .payload = alert->payload,
            .attempts = alert->attempts + 1,
            .age_us = now - alert->made_at,
        };
        alert->in_flight = alert->tried = true;
        delivery_begin(a->flight, &claim, mono);
    }
}

static void drop(struct lms_alerts *q, struct alert *alert)
{
    free(alert->hook);
    free(alert->payload);
    *alert = q->alerts[--q->n];
}

static void was_told(struct lms_alerts *q, struct alert *alert, const struct delivery *delivery)
{
    int64_t now = authority_now(q->authority);
    alert->in_flight = false;
    q->dirty = true;
    switch (delivery->outcome) {
    case DELIVERY_DONE:
        log_info("alert %s: delivered", alert->hook);
        drop(q, alert);
        break;
    case DELIVERY_FAILED:
        log_error("alert %s: failed for good: %s", alert->hook, delivery->cause);
        drop(q, alert);
        break;
    case DELIVERY_AGAIN:
        log_warning("alert %s: is tried again: %s", alert->hook, delivery->cause);
        alert->attempts++;
        alert->due_at = now + delivery->after_us;
        break;
    case DELIVERY_RELEASED: alert->due_at = now + q->authority->config->poll_us; break;
    }
}

static void time_for_next(void *arg, int64_t now)
{
}

/* The loop comes back when something is due. */
static void wait_for_next(struct lms_alerts *q)
{
    const struct authority *a = q->authority;
    int64_t now = authority_now(a), at = INT64_MAX;
    if (q->gathered.n > 0 && !a->conf.once)
        at = q->made_at + a->config->alert_every_us;
    for (size_t i = 0; i < q->n; i++)
        if (!q->alerts[i].in_flight && q->alerts[i].due_at < at)
            at = q->alerts[i].due_at;
    if (at > now && at != INT64_MAX)
        timers_set(&a->runtime->timers, &q->next, authority_mono(a) + (at - now));
}

enum rc lms_alerts_pump(struct authority *a, struct err *err)
{
    struct lms_alerts *q = alerts_of(a);
    struct delivery *delivery;
    if (!q)
        return RC_OK;
    while ((delivery = flight_take_told(a->flight))) {
        for (size_t i = 0; i < q->n; i++)
            if (q->alerts[i].number == delivery->id) {
                was_told(q, &q->alerts[i], delivery);
                break;
            }
        delivery_end(delivery, true);
    }
    make_alerts(q);
    enum rc rc = lms_alerts_save(a, err);
    if (!rc && !a->flight->stopping && !q->broken)
        start_due(q);
    wait_for_next(q);
    return rc;
}

bool lms_alerts_are_over(const struct authority *a)
{
    const struct lms_alerts *q = alerts_of(a);
    if (!q || q->broken)
        return true;
    if (a->flight->deliveries_in_flight > 0)
        return false;
    if (a->flight->stopping || !a->conf.once)
        return true;
    for (size_t i = 0; i < q->n; i++)
        if (is_due(q, &q->alerts[i]))
            return false;
    return q->gathered.n == 0 || !has_room(q);
}

enum rc lms_alerts_open(struct authority *a, struct err *err)
{
    uint8_t digest[CRYPTO_SHA256_LEN];
    char hex[2 * CRYPTO_SHA256_LEN + 1];
    const char *url = a->config->authority->url;
    if (!a->config->has_alerts)
        return RC_OK;
    struct lms_alerts *q = XNEW(struct lms_alerts);
    a->lms->alerts = q;
    q->authority = a;
    q->gathered.groups = q->groups;
    q->next_number = 1;
    q->next = (struct timer){ .fire = time_for_next, .arg = q };
    crypto_sha256(url, strlen(url), digest);
    crypto_hex(digest, sizeof(digest), hex);
    q->path = arena_printf(&q->paths, "%s/alerts-%.*s", a->config->data_dir, URL_DIGITS, hex);
    q->new_path = arena_printf(&q->paths, "%s.new", q->path);
    return read_file(q, err);
}

void lms_alerts_close(struct authority *a)
{
    struct lms_alerts *q = alerts_of(a);
    struct err err;
    if (!q)
        return;
    if (lms_alerts_save(a, &err))
        log_error("%s", err.text);
    timers_clear(&a->runtime->timers, &q->next);
    while (q->n > 0)
        drop(q, &q->alerts[0]);
    free(q->alerts);
    arena_free(&q->arena);
    arena_free(&q->paths);
    free(q);
    a->lms->alerts = NULL;
}
