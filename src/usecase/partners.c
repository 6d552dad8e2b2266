/* SPDX-License-Identifier: Apache-2.0 */
/* Partner organisations are told who was retired: a stage queues people, and a program of the operators reads
 * the queue and reports them. */
#include "usecase/usecase_int.h"

#include <stdlib.h>
#include <string.h>

enum rc usecase_queue_partner_report(struct act *act, const char *username, struct err *err)
{
    struct retirement row;
    enum rc rc = store_find_row(act->store, username, &row, err);
    if (rc)
        return rc;
    if (pipeline_role(row.pipeline, row.state) != ROLE_WORKING)
        return err_set_code(err, RC_CONFLICT, "not_working",
                            "retirement %lld is in %s, which is not a working state", (long long)row.id,
                            row.pipeline->names[row.state]);
    bool queued;
    rc = store_queue_partner_report(act->store, &row, act->now, &queued, err);
    if (rc || !queued)
        return rc;
    return audit_add(act, (struct audit_entry){ .action = "partners_queued", .retirement_id = row.id }, err);
}

struct taking {
    store_partner_fn *fn;
    void *arg;
    int64_t n;
};

static enum rc take_one(void *arg, const struct partner_report *report, struct err *err)
{
    struct taking *t = arg;
    t->n++;
    return t->fn(t->arg, report, err);
}

enum rc usecase_take_partner_reports(struct act *act, bool all, store_partner_fn *fn, void *arg,
                                     struct err *err)
{
    struct taking t = { .fn = fn, .arg = arg };
    enum rc rc = store_take_partner_reports(act->store, all, take_one, &t, err);
    if (rc || t.n == 0)
        return rc;
    return audit_add(act, (struct audit_entry){ .action = "partner_reports_read", .people = t.n }, err);
}

struct given {
    const char *username;
    size_t index;
};

static int by_name(const void *a, const void *b)
{
    const struct given *x = a, *y = b;
    int order = strcmp(x->username, y->username);
    return order ? order : x->index < y->index ? -1 : x->index > y->index;
}

/* A person can retire again while the first report waits: a name that is given k times stands for k reports,
 * the oldest ones. */
static enum rc find_reports(struct act *act, struct partner_cleanup *in, int64_t *ids, struct err *err)
{
    struct given *given = arena_array(act->arena, in->n + 1, sizeof(*given));
    int64_t older = 0;
    enum rc rc = RC_OK;
    for (size_t i = 0; i < in->n; i++)
        given[i] = (struct given){ in->usernames[i], i };
    qsort(given, in->n, sizeof(*given), by_name);
    for (size_t k = 0; !rc && k < in->n; k++) {
        size_t i = given[k].index;
        bool is_same = k > 0 && strcmp(given[k - 1].username, given[k].username) == 0;
        older = is_same ? older + 1 : 0;
        in->found[i] = !is_same || in->found[given[k - 1].index];
        if (in->found[i])
            rc = store_find_partner_report(act->store, in->usernames[i], older, &ids[i], err);
        in->found[i] = in->found[i] && ids[i] != 0;
        in->n_found += in->found[i];
    }
    return rc;
}

enum rc usecase_clean_partner_reports(struct act *act, struct partner_cleanup *in, bool *done,
                                      struct err *err)
{
    int64_t *ids = arena_array(act->arena, in->n + 1, sizeof(ids[0]));
    in->n_found = 0;
    in->marked = false;
    enum rc rc = find_reports(act, in, ids, err);
    *done = in->n_found == in->n;
    for (size_t i = 0; !rc && *done && i < in->n; i++) {
        bool marked;
        rc = store_delete_partner_report(act->store, ids[i], &marked, err);
        in->marked = in->marked || marked;
    }
    if (!rc && *done && in->n > 0)
        rc = audit_add(act, (struct audit_entry){ .action = "partners_told", .people = (int64_t)in->n }, err);
    return rc;
}
