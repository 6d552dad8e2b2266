/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Events for the metrics. They are noted while a transaction runs and counted after its commit: what was
 * rolled back did not happen. Labels are names of states and statuses, of which there are few.
 */
#include "usecase/usecase_int.h"

#include <stdio.h>
#include <string.h>

#include "base/metrics.h"

enum event_kind { EVENT_ENTERED, EVENT_STAGE_LEFT, EVENT_ERRORED, EVENT_CLAIMED, EVENT_LEASE_LOST };

struct tally_event {
    struct tally_event *next;
    enum event_kind kind;
    const char *state; /* that was entered, left, failed in, claimed for; lives as long as the store */
    int64_t number;    /* STAGE_LEFT: us spent there; ERRORED: the status, -1: none */
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

/* When it entered the state that it leaves: at the row's last change, unless it waited for an operator,
 * because to begin to wait is a change, too. */
static enum rc find_entered_at(struct act *act, const struct retirement *row, const struct decision *d,
                               int64_t *at, struct err *err)
{
    struct log_entry *log;
    size_t n;
    const char *state = row->pipeline->names[row->state];
    *at = row->modified_at;
    if (!d->stops_waiting)
        return RC_OK;
    enum rc rc = store_log(act->store, act->arena, row->id, &log, &n, err);
    for (; !rc && n > 0; n--) {
        const struct log_entry *e = &log[n - 1];
        if (strcmp(e->to, state) != 0 || (e->from && strcmp(e->from, state) == 0))
            continue;
        *at = e->at;
        break;
    }
    return rc;
}

enum rc tally_transition(struct act *act, const struct retirement *before, const struct transition *t,
                         struct err *err)
{
    const struct decision *d = t->decision;
    const char *left = before->pipeline->names[before->state];
    int64_t entered_at;
    if (!act->tally)
        return RC_OK;
    for (unsigned i = 0; i < d->n_moves; i++) {
        const struct move *move = &d->moves[i];
        const char *to = d->after.pipeline->names[move->to];
        if (strcmp(move->from_list->names[move->from], to) == 0)
            continue;
        note(act, EVENT_ENTERED, to, 0);
        if (d->errored)
            note(act, EVENT_ERRORED, left, t->failure ? t->failure->status : -1);
    }
    if (!d->leaves_stage)
        return RC_OK;
    enum rc rc = find_entered_at(act, before, d, &entered_at, err);
    if (!rc)
        note(act, EVENT_STAGE_LEFT, left, act->now - entered_at);
    return rc;
}

void tally_request(struct act *act, const struct pipeline *p)
{
    note(act, EVENT_ENTERED, p->names[0], 0);
}

void tally_claim(struct act *act, const struct retirement *before, const struct decision *d)
{
    if (before->lease_until > LEASE_LOST)
        note(act, EVENT_LEASE_LOST, before->pipeline->names[before->state], 0);
    if (d->granted)
        note(act, EVENT_CLAIMED, d->after.pipeline->names[d->after.state], 0);
}

/* ---- counting ---- */

static const struct {
    const char *name, *label, *help;
    bool is_histogram;
} kinds[] = {
    [EVENT_ENTERED] = { "lethe_moves_total", "state", "Moves, by the state that was entered", false },
    [EVENT_STAGE_LEFT] = { "lethe_stage_seconds", "stage",
                           "From entering the working state of a stage to leaving it", true },
    [EVENT_ERRORED] = { "lethe_errors_total", "stage",
                        "Retirements that became ERRORED, by the state they were in and the status of the "
                        "failure",
                        false },
    [EVENT_CLAIMED] = { "lethe_claims_total", "stage", "Leases granted, by stage", false },
    [EVENT_LEASE_LOST] = { "lethe_leases_lost_total", "stage",
                           "Leases that ran out before their holder was done, by stage", false },
};

static struct metric *find_metric(struct metrics *metrics, enum event_kind kind, const char *state,
                                  int64_t number)
{
    char labels[128];
    int len = snprintf(labels, sizeof(labels), "%s=\"%s\"", kinds[kind].label, state);
    if (kind == EVENT_ERRORED && number >= 0)
        snprintf(labels + len, sizeof(labels) - (size_t)len, ",status=\"%lld\"", (long long)number);
    else if (kind == EVENT_ERRORED)
        snprintf(labels + len, sizeof(labels) - (size_t)len, ",status=\"none\"");
    return kinds[kind].is_histogram
               ? metrics_long_histogram(metrics, kinds[kind].name, labels, kinds[kind].help)
               : metrics_counter(metrics, kinds[kind].name, labels, kinds[kind].help);
}

void tally_count(struct metrics *metrics, const struct tally *tally)
{
    for (const struct tally_event *e = tally->newest; e; e = e->next) {
        struct metric *m = find_metric(metrics, e->kind, e->state, e->number);
        if (kinds[e->kind].is_histogram)
            metric_observe(m, e->number);
        else
            metric_add(m, 1);
    }
}

void tally_expect(struct metrics *metrics, const struct pipeline *p)
{
    static const enum event_kind of_stages[] = { EVENT_STAGE_LEFT, EVENT_CLAIMED, EVENT_LEASE_LOST };
    for (unsigned i = 0; i < p->n; i++) {
        find_metric(metrics, EVENT_ENTERED, p->names[i], 0);
        for (size_t k = 0;
             pipeline_role(p, i) == ROLE_WORKING && k < sizeof(of_stages) / sizeof(of_stages[0]); k++)
            find_metric(metrics, of_stages[k], p->names[i], 0);
    }
}
