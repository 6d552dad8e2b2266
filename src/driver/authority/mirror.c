/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One conversation with the LMS that people come from: it is told of a state, or asked where it is.
 *
 * Its hard idea: a refusal is never believed before retirement_status was read, for an LMS that knows no
 * repeats refuses the second one of an update whose reply was lost. Where the LMS is then decides: in the
 * state that was to be told; where it was, so it refuses; or elsewhere, so another program or an operator
 * has moved it. Only at the beginning of a stage "it is there" may mean that another program was faster: so
 * it must be known whether it can have been us. The LMS does not say who moved a retirement, but when; what
 * it did before the first request of ours was sent, or after the last was over, another program did.
 *
 * What could not be told is not tried again here: it is still to be told, and the next round finds it.
 */
#include "driver/authority/authority.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/text.h"

enum {
    BODY_MAX = HTTP_BODY_MAX,
    PATH_MAX_BYTES = 4096,
};

#define ACCOUNTS      "/api/user/v1/accounts/"
#define CLOCKS_DIFFER (2 * CLOCK_S) /* the LMS's and that of a proxy before it, at most */

static void end(struct mirror *m, enum mirror_end how, const char *state)
{
    m->in_use = false;
    m->ended(m, how, state);
}

/* ---- asking and telling ---- */

static void send(struct mirror *m, enum http_method method, const char *path, const struct buf *body)
{
    m->sent_at = authority_mono(m->authority);
    ask_send(&m->ask, method, path, body);
}

static void read_status(struct mirror *m)
{
    const char *name = m->task.username;
    m->is_reading = true;
    buf_reset(&m->path);
    buf_add_str(&m->path, ACCOUNTS);
    buf_add_url(&m->path, name, strlen(name));
    buf_add_str(&m->path, "/retirement_status/");
    assert(!m->path.over);
    m->ask.call.fresh_connection = false;
    send(m, HTTP_GET, buf_str(&m->path), NULL);
}

static void tell(struct mirror *m, const char *state)
{
    struct json_out o = { .buf = &m->body };
    m->target = state;
    m->refused = m->is_reading = false;
    buf_reset(&m->body);
    json_open_map(&o);
    json_field_text(&o, "username", m->task.username);
    json_field_text(&o, "new_state", state);
    json_field_text(&o, "response", state == m->task.state ? m->task.response : m->task.response_before);
    if (m->task.force)
        json_field_bool(&o, "force", true);
    json_close_map(&o);
    assert(!m->body.over);
    /* It must be known whether a refusal answers the first request or a repeat. */
    m->ask.call.fresh_connection = m->task.enters;
    send(m, HTTP_PATCH, ACCOUNTS "update_retirement_status/", &m->body);
}

static void begin_to_tell(struct mirror *m)
{
    tell(m, m->task.before ? m->task.before : m->task.state);
}

static void told(struct mirror *m)
{
    m->at = m->target;
    if (m->target == m->task.state)
        end(m, MIRROR_TOLD, m->at);
    else
        tell(m, m->task.state);
}

/* ---- where the LMS is ---- */

/* It is where it was before we told it anything, or after the last thing that it took. So what is over has
 * come to nothing. */
static void stays(struct mirror *m)
{
    if (m->sent_at >= m->task.doubt.until)
        m->task.doubt.is_open = false;
    if (!m->target)
        begin_to_tell(m);
    else
        end(m, m->refused ? MIRROR_REFUSED : MIRROR_FAILING, m->at);
}

/* Can a request of ours have moved it when it was moved? Yes, if the LMS does not say when that was, or not
 * by which clock. That clock has whole seconds, and may be that of a proxy. */
static bool may_be_ours(const struct mirror *m, const char *modified)
{
    const struct doubt *doubt = &m->task.doubt;
    int64_t modified_at, clock = m->peer.date_at;
    if (!doubt->is_open || !clock || !modified || clock_parse(modified, &modified_at, NULL))
        return doubt->is_open;
    int64_t earliest = m->sent_at - (clock + CLOCK_S - modified_at) - CLOCKS_DIFFER;
    int64_t latest = authority_mono(m->authority) - (clock - modified_at) + CLOCKS_DIFFER;
    return latest >= doubt->from && earliest <= doubt->until;
}

static void decide(struct mirror *m, const char *state, const char *modified)
{
    const struct mirror_task *task = &m->task;
    if (!task->state)
        end(m, MIRROR_SAID, state);
    else if (text_is_same(state, task->state))
        end(m, !task->enters || may_be_ours(m, modified) ? MIRROR_TOLD : MIRROR_ELSEWHERE, state);
    else if (text_is_same(state, m->at))
        stays(m);
    else if (m->target != task->state && text_is_same(state, m->target))
        told(m);
    else
        end(m, MIRROR_SAID, state);
}

static void status_came(struct mirror *m)
{
    struct json *json;
    struct err err;
    if (ask_parse(&m->ask, &m->arena, &json, &err) || lms_id_of(json) == LMS_NO_ID) {
        ask_note_nonsense(&m->ask, "its answer about a status is no retirement");
        end(m, MIRROR_SILENT, NULL);
        return;
    }
    ask_heard(&m->ask);
    const char *state = lms_state_of(json, "current_state");
    if (lms_id_of(json) != m->task.id) /* the person has asked anew, after this request was cancelled */
        end(m, MIRROR_SAID, NULL);
    else if (state)
        decide(m, state, json_get_text(json, "modified"));
    else
        end(m, MIRROR_SILENT, NULL);
}

static void status_done(struct mirror *m)
{
    struct ask *ask = &m->ask;
    if (ask_says_unknown(ask)) {
        end(m, MIRROR_SAID, NULL);
        return;
    }
    switch (ask_judge(ask)) {
    case ASK_ANSWERED: status_came(m); return;
    case ASK_REFUSED: ask_note_refusal(ask); break;
    case ASK_SILENT: break;
    }
    end(m, MIRROR_SILENT, NULL);
}

/* ---- what it says to a state ---- */

/* It may have taken effect although no answer says so. */
static void note_doubt(struct mirror *m, bool is_over)
{
    struct doubt *doubt = &m->task.doubt;
    int64_t until = authority_mono(m->authority) + (is_over ? 0 : MIRROR_LATE);
    if (m->target != m->task.state)
        return;
    if (!doubt->is_open)
        *doubt = (struct doubt){ .is_open = true, .from = m->sent_at };
    if (doubt->until < until)
        doubt->until = until;
}

static void failed(struct mirror *m)
{
    snprintf(m->words, sizeof(m->words), "status %u", m->ask.call.status);
    read_status(m);
}

static void update_done(struct mirror *m)
{
    struct ask *ask = &m->ask;
    const struct template_values person = { .original_username = m->task.username };
    struct err err;
    bool is_answer = !ask->no_token && ask->call.failure == HTTP_OK;
    unsigned status = is_answer ? ask->call.status : 0;
    if (is_answer ? ask_is_not_now(ask) || status == 200
                  : !ask->no_token && ask->call.failure != HTTP_NOT_SENT)
        note_doubt(m, is_answer && status != 408 && status != 502 && status != 504);
    if (status == 204 || (status == 200 && ask->call.answer.len > 0 && ask_is_own_word(ask))) {
        ask_heard(ask);
        told(m);
    } else if (status == 200 || (is_answer && ask_is_not_now(ask))) {
        failed(m);
    } else if (status >= 400 && status != 401 && status != 403) {
        ask_keep_words(ask, &person, m->words);
        m->refused = true;
        read_status(m);
    } else if (ask_judge(ask) != ASK_REFUSED) {
        end(m, MIRROR_SILENT, NULL);
    } else if (m->authority->conf.once) {
        ask_note_refusal(ask);
        end(m, MIRROR_SILENT, NULL);
    } else {
        ask_explain(ask, &err);
        snprintf(m->words, sizeof(m->words), "%.*s", ASK_WORDS_MAX - 1, err.text);
        end(m, MIRROR_FAILING, m->at);
    }
}

static void answered(struct ask *ask)
{
    struct mirror *m = ask->arg;
    if (m->is_reading)
        status_done(m);
    else
        update_done(m);
}

/* ---- from the beginning to the end ---- */

void mirror_start(struct mirror *m, const struct mirror_task *task)
{
    arena_reset(&m->arena);
    m->in_use = true;
    m->task = *task;
    m->task.username = arena_strdup(&m->arena, task->username);
    m->task.known = arena_strdup(&m->arena, task->known);
    m->task.before = arena_strdup(&m->arena, task->before);
    m->task.state = arena_strdup(&m->arena, task->state);
    m->task.response = arena_strdup(&m->arena, task->response);
    m->task.response_before = arena_strdup(&m->arena, task->response_before);
    m->at = m->task.known;
    m->target = NULL;
    m->refused = false;
    /* A request that is not begun may have been cancelled, and asked anew under the same name. */
    if (!task->state || (task->enters && strcmp(task->known, "PENDING") == 0))
        read_status(m);
    else
        begin_to_tell(m);
}

void mirror_open(struct mirror *m, struct authority *a, const struct peer *lms,
                 void (*ended)(struct mirror *m, enum mirror_end end, const char *state))
{
    *m = (struct mirror){ .authority = a, .ended = ended };
    ask_open(&m->ask, a, &a->mirroring, answered, m);
    m->ask.peer = lms;
    m->ask.call.peer = &m->peer;
    buf_init(&m->path, PATH_MAX_BYTES);
    buf_init(&m->body, BODY_MAX);
}

void mirror_close(struct mirror *m)
{
    ask_close(&m->ask);
    buf_free(&m->path);
    buf_free(&m->body);
    arena_free(&m->arena);
}
