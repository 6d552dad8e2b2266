/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The fuse: when far more people are due than usual, there may be a mistake (an import gone wrong, a stolen
 * credential). Then no new retirement starts until an operator has looked; those under way continue.
 *
 * Its hard idea is what "released" means: as many as were due then may start. So the fuse does not blow again
 * at once, does blow when yet more come, and is reset when the queue is usual again. Every change is a row,
 * the newest says how the fuse stands, so that a restart changes nothing.
 */
#include "usecase/usecase_int.h"

enum { FUSE_LEAST = 100 }; /* fewer are never too many, however few are usual */

static enum rc find_most(struct act *act, int64_t due_before, int64_t *out, struct err *err)
{
    const struct fuse_conf *conf = &act->config->fuse;
    int64_t usual = 0;
    enum rc rc = RC_OK;
    *out = conf->people > 0 ? conf->people : INT64_MAX;
    if (conf->times_usual > 0)
        rc = store_usual_day(act->store, due_before, &usual, err);
    if (rc || usual == 0)
        return rc;
    int64_t many = usual * conf->times_usual;
    many = many > FUSE_LEAST ? many : FUSE_LEAST;
    *out = many < *out ? many : *out;
    return RC_OK;
}

static enum rc add(struct act *act, const char *action, struct fuse_entry e, struct err *err)
{
    e.at = act->now;
    e.actor = act->actor;
    enum rc rc = store_add_fuse(act->store, &e, err);
    return rc ? rc : audit_add(act, (struct audit_entry){ .action = action, .people = e.due }, err);
}

enum rc usecase_look_at_fuse(struct act *act, struct fuse_state *out, struct err *err)
{
    int64_t due_before = act->now - act->config->cool_off_us, most, due;
    struct fuse_entry last = { 0 };
    size_t n;
    *out = (struct fuse_state){ 0 };
    if (act->config->fuse.people == 0 && act->config->fuse.times_usual == 0)
        return RC_OK;
    enum rc rc = store_fuse(act->store, act->arena, 1, &last, &n, err);
    out->blown = last.blown;
    if (rc || last.blown)
        return rc;
    rc = find_most(act, due_before, &most, err);
    if (rc || most == INT64_MAX)
        return rc;
    rc = store_count_pending(act->store, &due, err); /* no more than these are due */
    if (!rc && due > most)
        rc = store_due_upto(act->store, due_before, most + last.due + 1, &due, err);
    out->usual_again = last.due > 0 && due <= most;
    out->most = most;
    if (rc || due <= most + last.due)
        return rc;
    out->blown = out->blew = true;
    return store_due_upto(act->store, due_before, INT64_MAX, &out->due, err);
}

enum rc usecase_check_fuse(struct act *act, struct fuse_state *out, struct err *err)
{
    enum rc rc = usecase_look_at_fuse(act, out, err);
    if (!rc && out->usual_again)
        rc = add(act, "fuse_reset",
                 (struct fuse_entry){ .most = out->most, .reason = "the queue is usual again" }, err);
    if (rc || !out->blew)
        return rc;
    rc =
        add(act, "fuse_blown", (struct fuse_entry){ .blown = true, .due = out->due, .most = out->most }, err);
    const char *cause = arena_printf(act->arena, "%lld people are due, at most %lld are usual",
                                     (long long)out->due, (long long)out->most);
    const struct alarm alarm = { .what = "fuse", .failure = { -1, cause } };
    return rc ? rc : alerts_note(act, &alarm, err);
}

enum rc usecase_check_release(const char *reason, struct err *err)
{
    return texts_check("reason", reason, USECASE_REASON_MAX, err);
}

enum rc usecase_release_fuse(struct act *act, const char *reason, struct err *err)
{
    struct fuse_entry last = { 0 };
    size_t n;
    int64_t due;
    enum rc rc = usecase_check_release(reason, err);
    if (!rc)
        rc = store_fuse(act->store, act->arena, 1, &last, &n, err);
    if (!rc && !last.blown)
        return err_set_code(err, RC_CONFLICT, "not_blown", "the fuse has not blown");
    if (!rc)
        rc = store_due_upto(act->store, act->now - act->config->cool_off_us, INT64_MAX, &due, err);
    if (rc)
        return rc;
    return add(act, "fuse_released", (struct fuse_entry){ .due = due, .most = last.most, .reason = reason },
               err);
}
