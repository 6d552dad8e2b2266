/* SPDX-License-Identifier: Apache-2.0 */
/* Partner organisations are told who was retired: a stage queues people, and a program of the operators reads
 * the queue and reports them. */
#include "usecase/usecase_int.h"

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

/* A person can retire again while the first report waits: a name that is given k times stands for k reports,
 * the oldest ones. */
enum rc usecase_clean_partner_reports(struct act *act, struct partner_cleanup *in, bool *done,
                                      struct err *err)
{
    int64_t *ids = arena_array(act->arena, in->n + 1, sizeof(ids[0]));
    enum rc rc = RC_OK;
    in->n_found = 0;
    for (size_t i = 0; !rc && i < in->n; i++) {
        int64_t older = 0;
        for (size_t before = 0; before < i; before++)
            older += strcmp(in->usernames[before], in->usernames[i]) == 0;
        rc = store_find_partner_report(act->store, in->usernames[i], older, &ids[i], err);
        in->found[i] = !rc && ids[i] != 0;
        in->n_found += in->found[i];
    }
    *done = in->n_found == in->n;
    for (size_t i = 0; !rc && *done && i < in->n; i++)
        rc = store_delete_partner_report(act->store, ids[i], err);
    if (!rc && *done && in->n > 0)
        rc = audit_add(act, (struct audit_entry){ .action = "partners_told", .people = (int64_t)in->n }, err);
    return rc;
}
