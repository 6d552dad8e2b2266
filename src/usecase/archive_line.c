/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One line of an archive: who the person was, and what was done. It joins a person who comes back with a
 * question to the proof, so it has the retirement's number, which the audit trail keeps, how each stage
 * ended, and what operators did by hand.
 *
 * Programs read the first eight members by their order: new members go to the end.
 */
#include "usecase/usecase_int.h"

#include <string.h>

#include "base/clock.h"
#include "base/json.h"

enum { OUTCOME_MAX = 32 };

/* "2026-11-30 15:44:04.564672", UTC, as in the archives of the LMS's scripts. */
static void put_date(struct json_out *o, const char *key, int64_t at)
{
    char text[CLOCK_TEXT_LEN];
    clock_format(at, text);
    text[10] = ' ';
    text[26] = '\0';
    json_field_text(o, key, text);
}

/* ---- stages ---- */

/* The newest entry that left this working state in this run of the stages; NULL: none did. */
static const struct log_entry *end_of_stage(const struct log_entry *log, size_t n, const char *stage)
{
    for (size_t i = n; i-- > 0 && log[i].from;) {
        if (strcmp(log[i].from, stage) == 0 && strcmp(log[i].to, stage) != 0)
            return &log[i];
        if (strcmp(log[i].to, "PENDING") == 0)
            return NULL;
    }
    return NULL;
}

/* What a driver or an operator reported of the stage, if it is such a report. */
static const char *reported_outcome(const struct json *response)
{
    const char *word = response ? json_get_text(response, "outcome") : NULL;
    size_t len = word ? strspn(word, "abcdefghijklmnopqrstuvwxyz_") : 0;
    return len > 0 && len <= OUTCOME_MAX && !word[len] ? word : "done";
}

static const char *outcome_of(const struct pipeline *p, unsigned working, const struct log_entry *end,
                              const struct json *response)
{
    if (!end)
        return "left_out";
    if (end->forced)
        return "forced";
    if (strcmp(end->to, p->names[working + 1]) == 0)
        return reported_outcome(response);
    return end->skipped ? "left_out" : "failed";
}

static bool is_earned(const char *outcome)
{
    return strcmp(outcome, "left_out") != 0 && strcmp(outcome, "forced") != 0 &&
           strcmp(outcome, "failed") != 0;
}

static void put_verification(struct json_out *o, const struct json *response)
{
    const struct json *found = response ? json_get_of(response, "verification", JSON_MAP) : NULL;
    json_put_key(o, "verification");
    if (!found) {
        json_put_null(o);
        return;
    }
    struct buf text;
    buf_init(&text, USECASE_RESPONSE_MAX);
    json_dump(&text, found);
    json_put_raw(o, buf_str(&text));
    buf_free(&text);
}

static bool put_stage(struct arena *a, struct json_out *o, const struct pipeline *p, unsigned working,
                      const struct log_entry *end)
{
    struct json *response = NULL;
    struct err err;
    if (end && end->response && json_parse(a, end->response, end->response_len, &response, &err))
        response = NULL;
    if (response && response->kind != JSON_MAP)
        response = NULL;
    const char *outcome = outcome_of(p, working, end, response);
    json_open_map(o);
    json_field_text(o, "stage", p->names[working]);
    json_field_text(o, "outcome", outcome);
    if (end)
        put_date(o, "at", end->at);
    json_field_text(o, "by", end ? end->actor : NULL);
    put_verification(o, response);
    json_close_map(o);
    return is_earned(outcome);
}

/* Returns whether each of them was done. */
static bool put_stages(struct arena *a, struct json_out *o, const struct pipeline *p,
                       const struct log_entry *log, size_t n)
{
    bool all = true;
    json_open_list(o);
    for (unsigned i = 0; i < p->n; i++)
        if (pipeline_role(p, i) == ROLE_WORKING)
            all &= put_stage(a, o, p, i, end_of_stage(log, n, p->names[i]));
    json_close_list(o);
    return all;
}

/* ---- what operators did ---- */

static void put_forced_moves(struct json_out *o, const struct log_entry *log, size_t n)
{
    json_open_list(o);
    for (size_t i = 0; i < n; i++) {
        if (!log[i].forced)
            continue;
        json_open_map(o);
        put_date(o, "at", log[i].at);
        json_field_text(o, "by", log[i].actor);
        json_field_text(o, "from", log[i].from);
        json_field_text(o, "to", log[i].to);
        json_field_text(o, "reason", log[i].reason);
        json_close_map(o);
    }
    json_close_list(o);
}

/* ---- the line ---- */

enum rc archive_read_log(struct act *act, struct arena *a, const struct retirement *row,
                         struct archive_log *out, struct err *err)
{
    struct arena of_log = { 0 };
    struct log_entry *log;
    size_t n;
    struct buf stages, moves;
    struct json_out stages_out = { .buf = &stages }, moves_out = { .buf = &moves };
    *out = (struct archive_log){ .id = row->id };
    buf_init(&stages, ARCHIVE_TEXT_MAX);
    buf_init(&moves, ARCHIVE_TEXT_MAX);
    enum rc rc = store_log_head(act->store, row->id, &out->head, err);
    if (!rc)
        rc = store_log(act->store, &of_log, row->id, &log, &n, err);
    if (!rc) {
        out->all_done = put_stages(&of_log, &stages_out, row->pipeline, log, n);
        put_forced_moves(&moves_out, log, n);
        out->stages = arena_strndup(a, buf_str(&stages), stages.len);
        out->forced_moves = arena_strndup(a, buf_str(&moves), moves.len);
    }
    if (stages.over || moves.over)
        rc = err_set(err, RC_INTERNAL, "the history of a retirement is too large for an archive");
    buf_free(&stages);
    buf_free(&moves);
    arena_free(&of_log);
    return rc;
}

void archive_put_line(const struct retirement_view *v, const struct archive_log *log, struct buf *out)
{
    struct arena a = { 0 };
    struct json_out o = { .buf = out };
    json_open_map(&o);
    json_field_id(&o, "user_id", account_known_as(&a, &v->account));
    json_field_text(&o, "original_username", v->person.username);
    json_field_text(&o, "original_email", v->person.email);
    json_field_text(&o, "original_name", v->person.name);
    json_field_text(&o, "retired_username", v->person.retired_username);
    json_field_text(&o, "retired_email", v->person.retired_email);
    put_date(&o, "retirement_request_date", v->person.requested_at);
    put_date(&o, "last_modified_date", v->row.modified_at);
    json_field_int(&o, "retirement_id", v->row.id);
    json_field_text(&o, "state", v->row.pipeline->names[v->row.state]);
    json_put_key(&o, "stages");
    json_put_raw(&o, log->stages);
    json_field_bool(&o, "forced", v->row.forced || !log->all_done);
    json_put_key(&o, "forced_moves");
    json_put_raw(&o, log->forced_moves);
    json_field_text(&o, "request_uuid", v->uuid);
    json_close_map(&o);
    buf_add_char(out, '\n');
    arena_free(&a);
}
