/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What happened, for the metrics. It is noted while a transaction runs and counted when that is committed:
 * what was rolled back did not happen. Labels are names of states and statuses; there are few of either.
 */
#include "usecase/usecase_int.h"

#include <stdio.h>
#include <string.h>

#include "base/metrics.h"

enum event_kind { EVENT_ENTERED, EVENT_STAGE_LEFT, EVENT_ERRORED, EVENT_CLAIMED, EVENT_LEASE_LOST };

struct tally_event {
    struct tally_event *next;
    enum event_kind kind;
    const char *state; /* entered, left, failed in, claimed for; lives as long as the store */
    int64_t number;    /* LEFT: how long it was there, us; ERRORED: the status, -1: none */
};

/* ---- noting ---- */

static void note(struct act *act, enum event_kind kind, const char *state, int64_t number)
{
    if (!act->tally)
        return;
    struct tally_event *e = ARENA_NEW(act->arena, struct tally_event);
    *e = (struct tally_event){ act->tally->newest, kind, state, number };
    act->tally->newest = e;
}

static const char *name_of(const struct pipeline *p, unsigned state)
{
    return p->names[state];
}

static bool is_entry_into(const struct log_entry *e, const char *state)
{
    return strcmp(e->to, state) == 0 && (!e->from || strcmp(e->from, state) != 0);
}

/* When it came into the state that it was in before. To begin to wait there was a change, too. */
static enum rc find_entered_at(struct act *act, const struct retirement *row, int64_t *at, struct err *err)
{
    struct log_entry *log;
    size_t n;
    *at = row->modified_at;
    if (!retirement_is_waiting(row))
        return RC_OK;
    enum rc rc = store_log(act->store, act->arena, row->id, &log, &n, err);
    while (!rc && n > 0 && !is_entry_into(&log[n - 1], name_of(row->pipeline, row->state)))
        n--;
    if (!rc && n > 0)
        *at = log[n - 1].at;
    return rc;
}

static void note_moves(struct act *act, const struct retirement *before, const struct transition *t)
{
    const struct decision *d = t->decision;
    const struct pipeline *after = d->after.pipeline;
    for (unsigned i = 0; i < d->n_moves; i++) {
        const struct pipeline *from_list = i == 0 ? before->pipeline : after;
        const char *from = name_of(from_list, d->moves[i].from), *to = name_of(after, d->moves[i].to);
        if (strcmp(from, to) == 0)
            continue;
        note(act, EVENT_ENTERED, to, 0);
        if (pipeline_role(after, d->moves[i].to) == ROLE_ERRORED)
            note(act, EVENT_ERRORED, from, t->failure ? t->failure->status : -1);
    }
}

enum rc tally_transition(struct act *act, const struct retirement *before, const struct transition *t,
                         struct err *err)
{
    const struct decision *d = t->decision;
    int64_t entered_at;
    if (!act->tally || d->n_moves == 0)
        return RC_OK;
    note_moves(act, before, t);
    if (pipeline_role(before->pipeline, before->state) != ROLE_WORKING || d->moves[0].from == d->moves[0].to)
        return RC_OK;
    enum rc rc = find_entered_at(act, before, &entered_at, err);
    if (!rc)
        note(act, EVENT_STAGE_LEFT, name_of(before->pipeline, before->state), act->now - entered_at);
    return rc;
}

void tally_request(struct act *act, const struct pipeline *p)
{
    note(act, EVENT_ENTERED, name_of(p, 0), 0);
}

void tally_claim(struct act *act, const struct retirement *before, const struct decision *d)
{
    if (before->lease_until > LEASE_FREE)
        note(act, EVENT_LEASE_LOST, name_of(before->pipeline, before->state), 0);
    if (d->granted)
        note(act, EVENT_CLAIMED, name_of(d->after.pipeline, d->after.state), 0);
}

/* ---- counting ---- */

enum { LABELS_MAX = 128 };

static struct metric *moves_metric(const char *state)
{
    char labels[LABELS_MAX];
    snprintf(labels, sizeof(labels), "state=\"%s\"", state);
    return metrics_counter("lethe_moves_total", labels, "Moves, by the state that was entered");
}

static struct metric *stage_metric(const char *stage)
{
    char labels[LABELS_MAX];
    snprintf(labels, sizeof(labels), "stage=\"%s\"", stage);
    return metrics_long_histogram("lethe_stage_seconds", labels,
                                  "From entering the working state of a stage to leaving it");
}

static struct metric *claims_metric(const char *stage)
{
    char labels[LABELS_MAX];
    snprintf(labels, sizeof(labels), "stage=\"%s\"", stage);
    return metrics_counter("lethe_claims_total", labels, "Leases granted, by stage");
}

static struct metric *lost_metric(const char *stage)
{
    char labels[LABELS_MAX];
    snprintf(labels, sizeof(labels), "stage=\"%s\"", stage);
    return metrics_counter("lethe_leases_lost_total", labels,
                           "Leases that ran out before their holder was done, by stage");
}

static struct metric *errors_metric(const char *stage, int64_t status)
{
    char labels[LABELS_MAX], text[24] = "none";
    if (status >= 0)
        snprintf(text, sizeof(text), "%lld", (long long)status);
    snprintf(labels, sizeof(labels), "stage=\"%s\",status=\"%s\"", stage, text);
    return metrics_counter(
        "lethe_errors_total", labels,
        "People who became ERRORED, by the state they were in and the status of the failure");
}

static void count(const struct tally_event *e)
{
    switch (e->kind) {
    case EVENT_ENTERED: metric_add(moves_metric(e->state), 1); break;
    case EVENT_STAGE_LEFT: metric_observe(stage_metric(e->state), e->number); break;
    case EVENT_ERRORED: metric_add(errors_metric(e->state, e->number), 1); break;
    case EVENT_CLAIMED: metric_add(claims_metric(e->state), 1); break;
    case EVENT_LEASE_LOST: metric_add(lost_metric(e->state), 1); break;
    }
}

void tally_count(const struct tally *tally)
{
    for (const struct tally_event *e = tally->newest; e; e = e->next)
        count(e);
}

void tally_expect(const struct pipeline *p)
{
    for (unsigned i = 0; i < p->n; i++) {
        moves_metric(p->names[i]);
        if (pipeline_role(p, i) != ROLE_WORKING)
            continue;
        stage_metric(p->names[i]);
        claims_metric(p->names[i]);
        lost_metric(p->names[i]);
    }
}
