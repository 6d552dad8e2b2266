/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An LMS that the people of a Lethe come from. Looks at its list and says to the Lethe who is where; gets
 * from it what the LMS is to be told or asked, and has that done (mirror.c); and lets people at the gate
 * (flight.h) into their stage once the LMS is in its state.
 *
 * Its hard idea: this driver remembers nothing. Whatever it hears is news for the Lethe, in any order and as
 * often as it likes, and the Lethe says what is still to be told. So a driver that dies loses nothing, and
 * several at one Lethe do not disturb each other.
 *
 * No person is begun before the LMS's list was seen to its end: only then the Lethe knows whether far more
 * people are due than usual.
 */
#include "driver/authority/authority.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"

enum {
    NEWS_AT_ONCE = 200,
    NEWS_TEXTS = 9,
    NEWS_ROOM = 512, /* bytes of a piece of news besides its texts */
    ROWS_MAX = 1 << 30,
    REFUSED_MAX = 10000, /* rows that are said by their ids */
    PATH_MAX_BYTES = 64 * 1024
};

#define QUEUE_PATH   "/api/user/v1/accounts/retirement_queue/"
#define STALL        (30 * CLOCK_S)
#define LIST_TIMEOUT (600 * CLOCK_S)
#define WORK_KEEPS   (5 * CLOCK_S)   /* the Lethe gives it to another driver some time later */
#define REFUSED_FOR  (600 * CLOCK_S) /* after the LMS has not let a person into a stage */
#define MOVED_FOR    (60 * CLOCK_S)  /* after the LMS had a person elsewhere; the Lethe knows by then */
#define FAILS_FOR    (30 * CLOCK_S)  /* an LMS that fails to move a person for longer counts as refusing it */
/* Reads are older than they seem: the Lethe counts their age from when it hears of them. */
#define LIST_IS_OLDER   (200 * CLOCK_MS)
#define ANSWER_IS_OLDER (2 * CLOCK_S)
#define WORK_SOON       (200 * CLOCK_MS)

/* One piece of news. */
struct heard {
    struct wire_news news; /* texts are in the arena of its list */
    int64_t at;            /* steady clock: the LMS was not asked before */
    int64_t run_id, epoch; /* of a run to be turned away once the Lethe knows; 0: none */
    bool is_refused;       /* by the list as a whole */
};

struct heard_list {
    struct heard *heard;
    size_t first, n, room; /* those from `first` to n are in it */
};

/* A retirement that the LMS fails to move, which is no refusal yet. */
struct failing {
    int64_t id;
    int64_t since; /* steady clock */
    unsigned n;    /* failures in a row */
};

struct source {
    struct authority *authority;
    struct peer lms;

    struct ask look;
    struct buf path;
    struct rows rows;
    struct arena row;
    unsigned limit, n_rows; /* of the look */
    bool has_any;           /* a row of it is a retirement, usable or not */
    int64_t looked_at;      /* when it was sent */
    struct timer next_look; /* set: no look before */
    bool has_looked;        /* to the end, and the Lethe is to hear so */
    bool is_caught_up;      /* it has heard */

    struct heard_list coming; /* rows of the list that is coming in */
    struct heard_list news;   /* to be told */
    struct arena coming_arena, news_arena;

    struct ask exchange;
    struct buf body;
    size_t n_sent; /* with the exchange under way */
    bool sent_looked, sent_for_work;
    struct timer next_exchange;   /* set: no exchange before, after one that failed */
    struct timer soon, next_work; /* set: work is not asked for before; next_work: unless there is a reason */
    struct arena answer;          /* of the last exchange: has the work */
    struct wire_source_work *work;
    size_t next, n_work; /* next: the first piece of work that is not begun */
    int64_t given_at;

    struct mirror *mirrors; /* n_mirrors of them */
    unsigned n_mirrors, n_busy;

    int64_t behind, troubled; /* as the Lethe said last */
    int64_t ended_runs;       /* when work was asked for last */
    bool may_end, wants_end;  /* `once`, or it is to stop: an exchange found nothing left to tell, since no
                               * person was due or in flight */
    struct one one;
    struct arena one_arena;
    bool ends;               /* since the last claim */
    bool sent_at_end;        /* the exchange under way: after it */
    struct failing *failing; /* n_failing of them */
    size_t n_failing, failing_room;
    struct aside told;    /* of those the LMS was told something since the look under way was sent */
    struct aside refused; /* rows that cannot be used, and were said */
};

/* ---- news ---- */

static bool is_news_waiting(const struct source *s)
{
    return s->news.first < s->news.n || s->has_looked;
}

static struct heard *add_heard(struct heard_list *l, int64_t id, int64_t at)
{
    if (l->n == l->room) {
        l->room = l->room ? 2 * l->room : NEWS_AT_ONCE;
        l->heard = xrealloc(l->heard, l->room * sizeof(*l->heard));
    }
    struct heard *heard = &l->heard[l->n++];
    *heard = (struct heard){ .news = { .id = id }, .at = at };
    return heard;
}

/* The n-th text of a piece of news. */
static const char **text_of(struct wire_news *news, size_t n)
{
    const char **const texts[NEWS_TEXTS] = {
        &news->state,         &news->last_state,        &news->refused,
        &news->user_id,       &news->original_username, &news->original_email,
        &news->original_name, &news->retired_username,  &news->retired_email
    };
    return texts[n];
}

static struct heard copy_heard(struct arena *a, const struct heard *heard)
{
    struct heard copy = *heard;
    for (size_t i = 0; i < NEWS_TEXTS; i++)
        *text_of(&copy.news, i) = arena_strdup(a, *text_of(&copy.news, i));
    return copy;
}

/* Drops the news that was told, once that is the larger part. */
static void forget_told(struct source *s)
{
    struct heard_list *l = &s->news;
    struct arena kept = { 0 };
    size_t left = l->n - l->first;
    if (left > l->first)
        return;
    for (size_t i = 0; i < left; i++)
        l->heard[i] = copy_heard(&kept, &l->heard[l->first + i]);
    l->first = 0;
    l->n = left;
    arena_free(&s->news_arena);
    s->news_arena = kept;
}

/* ---- the LMS's list ---- */

static void refuse_row(struct source *s, int64_t id, const char *why)
{
    if (aside_has(&s->refused, id) || s->refused.n == REFUSED_MAX)
        return;
    aside_add(&s->refused, id);
    s->authority->set_aside++;
    if (id == LMS_NO_ID)
        log_error("a retirement of the LMS cannot be used, and has no id: %s; it is left out", why);
    else
        log_error("retirement %" PRId64 " of the LMS cannot be used: %s; it is left out", id, why);
}

static void add_row(struct source *s, struct heard_list *l, struct arena *a, const struct lms_row *row)
{
    struct wire_news *news = &add_heard(l, row->id, s->looked_at - LIST_IS_OLDER)->news;
    news->state = arena_strdup(a, row->state);
    news->last_state = arena_strdup(a, row->last_state);
    news->user_id = arena_strdup(a, row->person.user_id);
    news->original_username = arena_strdup(a, row->person.original_username);
    news->original_email = arena_strdup(a, row->person.original_email);
    news->original_name = arena_strdup(a, row->person.original_name);
    news->retired_username = arena_strdup(a, row->person.retired_username);
    news->retired_email = arena_strdup(a, row->person.retired_email);
    news->requested_at = row->created_at;
}

static void row_came(void *arg, const char *text, size_t len, bool is_cut)
{
    struct source *s = arg;
    struct lms_row row;
    struct err err;
    s->n_rows++;
    arena_reset(&s->row);
    enum rc rc = lms_row_read(&s->row, text, len, is_cut, &row, &err);
    s->has_any = s->has_any || row.id != LMS_NO_ID;
    if (rc)
        refuse_row(s, row.id, err.text);
    else
        add_row(s, &s->coming, &s->coming_arena, &row);
}

static void piece_came(struct http_call *call, const char *data, size_t len)
{
    const struct ask *ask = call->arg;
    struct source *s = ask->arg;
    rows_feed(&s->rows, data, len);
}

static int by_username(const void *one, const void *other)
{
    const struct heard *const *a = one, *const *b = other;
    return strcmp((*a)->news.original_username, (*b)->news.original_username);
}

static int by_account(const void *one, const void *other)
{
    const struct heard *const *a = one, *const *b = other;
    const char *x = (*a)->news.user_id, *y = (*b)->news.user_id;
    return x && y ? strcmp(x, y) : (y != NULL) - (x != NULL);
}

static void refuse_alike(struct source *s, struct heard **rows, int (*order)(const void *, const void *),
                         const char *why)
{
    qsort(rows, s->coming.n, sizeof(struct heard *), order);
    for (size_t i = 1; i < s->coming.n; i++) {
        struct heard *pair[] = { rows[i - 1], rows[i] };
        bool is_known = order != by_account || pair[0]->news.user_id;
        if (!is_known || order(&pair[0], &pair[1]) != 0 || pair[0]->news.id == pair[1]->news.id)
            continue;
        for (size_t k = 0; k < 2; k++) {
            pair[k]->is_refused = true;
            refuse_row(s, pair[k]->news.id, why);
        }
    }
}

/* The LMS is told of people by their user names, and an account has one retirement: of two that share one,
 * nobody could say which is meant. */
static void refuse_namesakes(struct source *s)
{
    struct heard **rows = arena_array(&s->coming_arena, s->coming.n + 1, sizeof(struct heard *));
    for (size_t i = 0; i < s->coming.n; i++)
        rows[i] = &s->coming.heard[i];
    refuse_alike(s, rows, by_username, "another one has the same original_username");
    refuse_alike(s, rows, by_account, "another one has the same user.id");
}

/* A full page may hide others behind it: then more rows are asked for, at once. */
static void list_is_whole(struct source *s, int64_t now)
{
    const struct authority *a = s->authority;
    unsigned batch = a->config->source->batch;
    refuse_namesakes(s);
    for (size_t i = 0; i < s->coming.n; i++)
        if (!s->coming.heard[i].is_refused && !aside_has(&s->told, s->coming.heard[i].news.id))
            *add_heard(&s->news, 0, 0) = copy_heard(&s->news_arena, &s->coming.heard[i]);
    if (s->n_rows >= s->limit && s->limit < ROWS_MAX) {
        s->limit *= 2;
        s->is_caught_up = false;
        return;
    }
    if (s->n_rows < s->limit / 4 && s->limit / 2 >= batch)
        s->limit /= 2;
    s->has_looked = true;
    timers_set(&a->runtime->timers, &s->next_look, now + a->config->poll_us);
}

/* One person by name, wherever the LMS has them. Returns what makes no sense; NULL: nothing. */
static const char *person_came(struct source *s)
{
    const struct buf *text = &s->look.call.answer;
    struct lms_row row;
    struct err err;
    arena_reset(&s->row);
    if (lms_row_read(&s->row, buf_str(text), text->len, false, &row, &err)) {
        if (row.id == LMS_NO_ID)
            return arena_strdup(&s->row, err.text);
        one_is_unusable(s->authority, row.id, err.text);
        return NULL;
    }
    if (!one_is_in_pipeline(s->authority, row.state))
        return NULL;
    s->one.state = arena_strdup(&s->one_arena, row.state);
    add_row(s, &s->news, &s->news_arena, &row);
    return NULL;
}

static const char *list_came(struct source *s, int64_t now)
{
    const char *fault = rows_fault(&s->rows);
    if (!fault && s->n_rows > 0 && !s->has_any)
        fault = "no item of its list is a retirement";
    if (!fault)
        list_is_whole(s, now);
    return fault;
}

static void look_done(struct ask *ask)
{
    struct source *s = ask->arg;
    struct authority *a = s->authority;
    int64_t now = authority_mono(a);
    bool is_of_one = a->conf.username, is_unknown = is_of_one && ask_says_unknown(ask);
    enum ask_result word = is_unknown ? ASK_SILENT : ask_judge(ask);
    const char *fault = word != ASK_ANSWERED ? NULL : is_of_one ? person_came(s) : list_came(s, now);
    if (is_unknown)
        one_is_unknown(a);
    if (word == ASK_REFUSED)
        ask_note_refusal(ask);
    if (fault)
        ask_note_nonsense(ask, fault);
    if (word == ASK_ANSWERED && !fault)
        ask_heard(ask);
    else
        timers_set(&a->runtime->timers, &s->next_look, now + ask_pause(ask));
}

static void send_look_for_one(struct source *s, const char *name)
{
    buf_add_str(&s->path, "/api/user/v1/accounts/");
    buf_add_url(&s->path, name, strlen(name));
    buf_add_str(&s->path, "/retirement_status/");
    ask_send(&s->look, HTTP_GET, buf_str(&s->path), NULL);
}

static void send_look(struct source *s, int64_t now)
{
    const struct config *config = s->authority->config;
    int64_t days = (s->authority->conf.cool_off_us + CLOCK_DAY - 1) / CLOCK_DAY;
    s->n_rows = 0;
    s->has_any = false;
    s->coming.n = s->told.n = 0;
    arena_reset(&s->coming_arena);
    s->looked_at = now;
    rows_begin(&s->rows);
    buf_reset(&s->path);
    if (s->authority->conf.username) {
        send_look_for_one(s, s->authority->conf.username);
        return;
    }
    buf_printf(&s->path, QUEUE_PATH "?cool_off_days=%" PRId64 "&states=PENDING", days);
    for (size_t i = 0; i < config->n_stages; i++)
        buf_printf(&s->path, "&states=%s&states=%s", config->stages[i].working, config->stages[i].completed);
    buf_printf(&s->path, "&states=ERRORED&limit=%u", s->limit);
    assert(!s->path.over);
    ask_send(&s->look, HTTP_GET, buf_str(&s->path), NULL);
}

/* ---- what the Lethe is told, and says ---- */

/* Bytes of a piece of news in JSON, at most. */
static size_t room_of(struct wire_news *news)
{
    size_t room = NEWS_ROOM;
    for (size_t i = 0; i < NEWS_TEXTS; i++) {
        const char *text = *text_of(news, i);
        room += text ? 6 * strlen(text) : 0; /* a control character has six bytes */
    }
    return room;
}

/* How many pieces of news go into one request. */
static size_t count_for_exchange(const struct source *s)
{
    size_t n = 0, room = NEWS_ROOM;
    for (; n < NEWS_AT_ONCE && s->news.first + n < s->news.n; n++) {
        room += room_of(&s->news.heard[s->news.first + n].news);
        if (n > 0 && room > HTTP_BODY_MAX)
            break;
    }
    return n;
}

static void send_exchange(struct source *s, int64_t now)
{
    struct authority *a = s->authority;
    struct arena scratch = { 0 };
    s->n_sent = count_for_exchange(s);
    s->sent_looked = s->has_looked && s->news.first + s->n_sent == s->news.n;
    s->sent_for_work = s->next == s->n_work && a->flight->stopping < 2;
    s->sent_at_end = s->ends;
    struct wire_source_request request = {
        .news = arena_array(&scratch, s->n_sent + 1, sizeof(struct wire_news)),
        .n_news = s->n_sent,
        .looked = s->sent_looked,
        .limit = s->sent_for_work ? 2 * s->n_mirrors : 0,
    };
    if (request.limit > WIRE_SOURCE_WORK_MAX)
        request.limit = WIRE_SOURCE_WORK_MAX;
    for (size_t i = 0; i < s->n_sent; i++) {
        const struct heard *heard = &s->news.heard[s->news.first + i];
        request.news[i] = heard->news;
        request.news[i].age_ms = (now - heard->at) / CLOCK_MS;
    }
    struct json_out o = { .buf = &s->body };
    buf_reset(&s->body);
    wire_put_source_request(&o, &request);
    assert(!s->body.over);
    arena_free(&scratch);
    s->ended_runs = a->flight->counts.stages + a->flight->counts.people;
    ask_send(&s->exchange, HTTP_POST, "/v1/source", &s->body);
}

/* The Lethe knows now that another program acts for these people, and grants them to no driver. */
static void turn_away_sent(struct source *s)
{
    for (size_t i = 0; i < s->n_sent; i++) {
        const struct heard *heard = &s->news.heard[s->news.first + i];
        struct run *run =
            heard->run_id ? flight_find_at_gate(s->authority->flight, heard->run_id, heard->epoch) : NULL;
        if (run)
            run_turn_away(run, MOVED_FOR);
    }
}

static void take_answer(struct source *s, const struct wire_source_answer *answer, int64_t now)
{
    struct authority *a = s->authority;
    turn_away_sent(s);
    s->news.first += s->n_sent;
    s->has_looked = s->has_looked && !s->sent_looked;
    s->is_caught_up = s->is_caught_up || s->sent_looked || (s->one.state && !is_news_waiting(s));
    forget_told(s);
    for (size_t i = 0; i < answer->n_refused; i++)
        refuse_row(s, answer->refused[i].id, answer->refused[i].detail);
    s->behind = answer->behind;
    s->troubled = answer->troubled;
    if (!s->sent_for_work)
        return;
    s->work = answer->work;
    s->n_work = answer->n_work;
    s->next = 0;
    s->given_at = now;
    timers_set(&a->runtime->timers, &s->soon, now + WORK_SOON);
    bool is_soon = s->n_work > 0 || (a->conf.once && s->behind > 0);
    timers_set(&a->runtime->timers, &s->next_work, now + (is_soon ? WORK_SOON : a->config->poll_us));
    bool is_of_now = s->sent_at_end == s->ends; /* else the last claim may have moved people since */
    bool is_told =
        s->behind == 0 || a->flight->stopping; /* the LMS is not told of stages that do not begin */
    s->may_end = s->wants_end && is_of_now && is_told && !is_news_waiting(s) && s->n_work == 0;
}

static void exchange_done(struct ask *ask)
{
    struct source *s = ask->arg;
    struct authority *a = s->authority;
    int64_t now = authority_mono(a);
    struct wire_source_answer answer;
    struct json *body;
    struct err err;
    enum ask_result word = ask_judge(ask);
    if (s->sent_for_work)
        arena_reset(&s->answer);
    if (word == ASK_REFUSED)
        ask_note_refusal(ask);
    bool is_whole = word == ASK_ANSWERED && !ask_parse(ask, &s->answer, &body, &err) &&
                    !wire_read_source_answer(&s->answer, body, &answer, &err);
    if (word == ASK_ANSWERED && !is_whole)
        ask_note_nonsense(ask, "its answer about a source");
    if (is_whole) {
        ask_heard(ask);
        take_answer(s, &answer, now);
    } else {
        timers_set(&a->runtime->timers, &s->next_exchange, now + ask_pause(ask));
    }
}

/* ---- conversations ---- */

static void say_refusal(struct source *s, const struct mirror *m)
{
    struct authority *a = s->authority;
    snprintf(a->refusal, sizeof(a->refusal),
             "the LMS refuses to move its retirement %" PRId64
             " from %s to %s (%s): are its states those of the stages, in the same order?",
             m->task.id, m->at, m->target, m->words);
    log_error("%s", a->refusal);
    a->set_aside++;
}

static void tell_news(struct source *s, const struct mirror *m, enum mirror_end how, const char *state)
{
    int64_t at = m->task.state ? authority_mono(s->authority) : m->started_at - ANSWER_IS_OLDER;
    struct heard *heard = add_heard(&s->news, m->task.id, at);
    struct wire_news *news = &heard->news;
    bool is_again = how == MIRROR_SILENT || how == MIRROR_FAILING;
    news->state = arena_strdup(&s->news_arena, is_again ? m->task.known : state);
    news->told = how == MIRROR_TOLD;
    news->elsewhere = how == MIRROR_ELSEWHERE;
    news->again = is_again;
    if (how == MIRROR_REFUSED)
        news->refused = arena_strdup(&s->news_arena, s->authority->refusal);
    if (how != MIRROR_SAID && how != MIRROR_ELSEWHERE)
        return;
    news->epoch = heard->epoch = m->epoch;
    heard->run_id = m->run_id;
}

static struct failing *find_failing(struct source *s, int64_t id)
{
    for (size_t i = 0; i < s->n_failing; i++)
        if (s->failing[i].id == id)
            return &s->failing[i];
    return NULL;
}

static struct failing *note_failure(struct source *s, const struct mirror *m)
{
    struct failing *failing = find_failing(s, m->task.id);
    if (!failing) {
        if (s->n_failing == s->failing_room) {
            s->failing_room = s->failing_room ? 2 * s->failing_room : 16;
            s->failing = xrealloc(s->failing, s->failing_room * sizeof(*s->failing));
        }
        failing = &s->failing[s->n_failing++];
        *failing = (struct failing){ .id = m->task.id, .since = authority_mono(s->authority) };
        if (s->n_failing == 1) /* the LMS may fail to move everybody */
            log_warning("the LMS fails to move its retirement %" PRId64 " to %s (%s); trying again",
                        m->task.id, m->target, m->words);
    }
    failing->n++;
    return failing;
}

static void forget_failure(struct source *s, int64_t id)
{
    struct failing *failing = find_failing(s, id);
    if (failing)
        *failing = s->failing[--s->n_failing];
}

/* What lasts is a refusal. The run waits as long as that is not decided. */
static enum mirror_end decide_failing(struct source *s, const struct mirror *m, struct run *run)
{
    const struct failing *failing = note_failure(s, m);
    if (authority_mono(s->authority) - failing->since >= FAILS_FOR)
        return MIRROR_REFUSED;
    if (run) {
        run->source.doubt = m->task.doubt;
        run_wait_at_gate(run, ask_pause_after(s->authority, failing->n));
    }
    return MIRROR_FAILING;
}

static void mirror_ended(struct mirror *m, enum mirror_end how, const char *state)
{
    struct authority *a = m->authority;
    struct source *s = a->source;
    struct run *run = m->run_id ? flight_find_at_gate(a->flight, m->run_id, m->epoch) : NULL;
    s->n_busy--;
    if (s->look.busy && m->target)
        aside_add(&s->told, m->task.id);
    if (how == MIRROR_FAILING)
        how = decide_failing(s, m, run);
    else
        forget_failure(s, m->task.id);
    if (how == MIRROR_REFUSED)
        say_refusal(s, m);
    if (how == MIRROR_TOLD && strcmp(m->task.state, "COMPLETE") == 0)
        s->one.is_complete = true;
    if (how == MIRROR_ELSEWHERE || how == MIRROR_SAID)
        s->one.is_elsewhere = true;
    if ((how != MIRROR_SILENT && how != MIRROR_FAILING) || !m->run_id)
        tell_news(s, m, how, state);
    if (!run)
        return;
    switch (how) {
    case MIRROR_TOLD: run_pass_gate(run); break;
    case MIRROR_REFUSED: run_turn_away(run, REFUSED_FOR); break;
    case MIRROR_SILENT: run_turn_away(run, 0); break;
    case MIRROR_FAILING: break;
    case MIRROR_SAID:
    case MIRROR_ELSEWHERE: break; /* once the Lethe knows: turn_away_sent() */
    }
}

static struct mirror *free_mirror(struct source *s)
{
    for (unsigned i = 0; i < s->n_mirrors; i++)
        if (!s->mirrors[i].in_use)
            return &s->mirrors[i];
    return NULL;
}

static void start(struct source *s, const struct mirror_task *task, const struct run *run)
{
    struct mirror *m = free_mirror(s);
    m->run_id = run ? run->id : 0;
    m->epoch = run ? run->epoch : 0;
    m->started_at = authority_mono(s->authority);
    s->n_busy++;
    mirror_start(m, task);
}

static void start_gate(struct source *s, const struct run *run)
{
    const struct stage_conf *stage = run->stage;
    const char *before = stage == s->authority->config->stages ? "PENDING" : stage[-1].completed;
    start(s,
          &(struct mirror_task){ .id = run->source.id,
                                 .username = run->task.person.original_username,
                                 .known = run->source.known,
                                 .before = strcmp(before, run->source.known) == 0 ? NULL : before,
                                 .state = run->stage_name,
                                 .response = "started",
                                 .response_before = run->source.response ? run->source.response : "done",
                                 .enters = true,
                                 .doubt = run->source.doubt },
          run);
}

static void start_work(struct source *s, const struct wire_source_work *work)
{
    start(s,
          &(struct mirror_task){ .id = work->id,
                                 .username = work->original_username,
                                 .known = work->known,
                                 .before = work->before,
                                 .state = work->state,
                                 .response = work->response,
                                 .response_before = work->response,
                                 .force = work->force },
          NULL);
}

/* Runs at the gate hold leases, so they come first. */
static void start_mirrors(struct source *s, int64_t now)
{
    struct flight *f = s->authority->flight;
    struct run *run;
    if (now - s->given_at > WORK_KEEPS)
        s->next = s->n_work;
    while (s->n_busy < s->n_mirrors) {
        if ((run = flight_take_gate(f)))
            start_gate(s, run);
        else if (s->next < s->n_work && !s->work[s->next].fault.code)
            start_work(s, &s->work[s->next++]);
        else if (s->next < s->n_work)
            s->next++;
        else
            return;
    }
}

/* ---- turns ---- */

/* The timers only make the driver turn. */
static void time_for_next(void *arg, int64_t now)
{
}

static bool is_time_for_work(const struct source *s)
{
    const struct flight *f = s->authority->flight;
    bool has_moved = s->ended_runs != f->counts.stages + f->counts.people;
    return s->next == s->n_work && f->stopping < 2 && !s->soon.place &&
           (!s->next_work.place || has_moved || s->wants_end);
}

void source_pump(struct authority *a, int64_t now)
{
    struct source *s = a->source;
    start_mirrors(s, now);
    if (a->flight->in_flight > 0)
        s->wants_end = false;
    else if ((a->conf.once && a->ending) || a->flight->stopping)
        s->wants_end = true;
    if (a->ending && !s->ends) /* the last claim may have moved people who need no driver */
        s->may_end = false;
    s->ends = a->ending;
    if (a->flight->in_flight > 0 || s->n_busy > 0 || is_news_waiting(s))
        s->may_end = false;
    bool wants_look = !a->ending && !a->flight->stopping && !is_news_waiting(s) && !s->one.state;
    if (wants_look && !s->look.busy && !s->next_look.place)
        send_look(s, now);
    bool has_reason = is_news_waiting(s) || (is_time_for_work(s) && !s->may_end);
    if (has_reason && !s->exchange.busy && !s->next_exchange.place)
        send_exchange(s, now);
}

bool source_holds_claims(const struct authority *a)
{
    return !a->source->is_caught_up || a->mirroring.since != 0;
}

bool source_agrees_to_end(struct authority *a)
{
    struct source *s = a->source;
    if (!s->may_end) {
        s->wants_end = true;
        return false;
    }
    if (a->conf.username)
        one_conclude(a, &s->one);
    else if (s->troubled > 0 && !a->refusal[0])
        snprintf(a->refusal, sizeof(a->refusal),
                 "the LMS does not let %" PRId64 " retirements go on: see the log, and \"lethe check\"",
                 s->troubled);
    return true;
}

bool source_is_idle(const struct authority *a)
{
    const struct source *s = a->source;
    unsigned stopping = a->flight->stopping;
    if (s->exchange.busy || s->look.busy || s->n_busy > 0 || is_news_waiting(s))
        return false;
    if (stopping > 1 || (stopping && a->mirroring.since) || (!stopping && !a->conf.once))
        return true;
    return s->may_end && (stopping || s->ends == a->ending);
}

void source_open(struct authority *a)
{
    const struct source_conf *conf = a->config->source;
    struct source *s = a->source = XNEW(struct source);
    s->authority = a;
    s->lms = (struct peer){ .name = "the LMS",
                            .url = conf->lms.url,
                            .channel = &conf->lms.channel,
                            .token = ask_token(a, &conf->lms, "the LMS"),
                            .is_lms = true };
    s->limit = conf->batch;
    buf_init(&s->path, PATH_MAX_BYTES);
    buf_init(&s->body, HTTP_BODY_MAX);
    rows_open(&s->rows, LMS_ROW_MAX, row_came, s);
    ask_open(&s->look, a, &a->mirroring, look_done, s);
    s->look.peer = &s->lms;
    if (!a->conf.username) { /* it may be the queue of a large site as a whole */
        s->look.about_nobody = true;
        s->look.call.take = piece_came;
        s->look.call.stall_us = STALL;
        s->look.timeout_us = LIST_TIMEOUT;
    }
    ask_open(&s->exchange, a, &a->telling, exchange_done, s);
    s->next_look = (struct timer){ .fire = time_for_next, .arg = s };
    s->next_exchange = s->soon = s->next_work = (struct timer){ .fire = time_for_next, .arg = s };
    s->n_mirrors = conf->lms.max_concurrent;
    s->mirrors = xcalloc(s->n_mirrors, sizeof(*s->mirrors));
    for (unsigned i = 0; i < s->n_mirrors; i++)
        mirror_open(&s->mirrors[i], a, &s->lms, mirror_ended);
}

void source_close(struct authority *a)
{
    struct source *s = a->source;
    if (!s)
        return;
    ask_close(&s->look);
    ask_close(&s->exchange);
    for (unsigned i = 0; i < s->n_mirrors; i++)
        mirror_close(&s->mirrors[i]);
    free(s->mirrors);
    timers_clear(&a->runtime->timers, &s->next_look);
    timers_clear(&a->runtime->timers, &s->next_exchange);
    timers_clear(&a->runtime->timers, &s->soon);
    timers_clear(&a->runtime->timers, &s->next_work);
    token_close(&s->lms.token);
    rows_close(&s->rows);
    free(s->failing);
    arena_free(&s->one_arena);
    aside_close(&s->told);
    aside_close(&s->refused);
    buf_free(&s->path);
    buf_free(&s->body);
    arena_free(&s->row);
    arena_free(&s->answer);
    arena_free(&s->coming_arena);
    arena_free(&s->news_arena);
    free(s->news.heard);
    free(s->coming.heard);
    free(s);
    a->source = NULL;
}
