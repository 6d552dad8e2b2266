/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The list of states: is it one, what is next, how do two of them differ. A role follows from the position
 * alone, so that the names between the required ones are the operator's own.
 */
#include "core/core.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"

/* The dead ends' distance from the end of the list. */
enum { FROM_END_ERRORED = 3, FROM_END_ABORTED = 2, FROM_END_COMPLETE = 1 };

static const char *const required[] = { "PENDING", "ERRORED", "ABORTED", "COMPLETE" };
enum { REQUIRED_N = sizeof(required) / sizeof(required[0]) };

/* ---- making one ---- */

enum rc pipeline_check_required(const char *const *names, size_t n, struct err *err)
{
    char missing[64] = "";
    bool complete = true;
    for (size_t i = 0; i < REQUIRED_N; i++) {
        if (text_is_among(required[i], names, n))
            continue;
        size_t used = strlen(missing);
        snprintf(missing + used, sizeof(missing) - used, "%s%s", used > 0 ? ", " : "", required[i]);
        complete = complete && strcmp(required[i], "COMPLETE") != 0;
    }
    if (!missing[0])
        return RC_OK;
    bool hint = !complete && text_is_among("COMPLETED", names, n);
    return err_set(err, RC_INVALID, "required states are missing: %s%s", missing,
                   hint ? " (the last state is called COMPLETE, not COMPLETED)" : "");
}

static enum rc check_ends(struct arena *a, const char *const *names, size_t n, struct err *err)
{
    if (strcmp(names[0], "PENDING") != 0)
        return err_set(err, RC_INVALID, "the first state must be PENDING, it is %s", text_brief(a, names[0]));
    const char *const *last = names + n - 3;
    if (strcmp(last[0], "ERRORED") != 0 || strcmp(last[1], "ABORTED") != 0 ||
        strcmp(last[2], "COMPLETE") != 0)
        return err_set(
            err, RC_INVALID,
            "the last three states must be ERRORED, ABORTED, COMPLETE in this order, they are %s, %s, %s",
            text_brief(a, last[0]), text_brief(a, last[1]), text_brief(a, last[2]));
    return RC_OK;
}

static enum rc check_name(struct arena *a, const char *name, size_t step, struct err *err)
{
    size_t len = strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_");
    if (!name[0])
        return err_set(err, RC_INVALID, "state %zu has an empty name", step);
    if (name[len])
        return err_set(err, RC_INVALID, "state %zu is called %s: a name has only A-Z, 0-9 and _", step,
                       text_brief(a, name));
    if (len > STATE_NAME_MAX)
        return err_set(err, RC_INVALID,
                       "state %zu is called %s: a name has at most %d characters, this has %zu", step,
                       text_brief(a, name), STATE_NAME_MAX, len);
    return RC_OK;
}

static enum rc check_names(struct arena *a, const char *const *names, size_t n, struct err *err)
{
    for (size_t i = 0; i < n; i++) {
        enum rc rc = check_name(a, names[i], i + 1, err);
        if (rc)
            return rc;
    }
    for (size_t i = 0; i < n; i++)
        if (text_is_among(names[i], names, i))
            return err_set(err, RC_INVALID, "state %s stands in the list twice", names[i]);
    return RC_OK;
}

static enum rc check_list(struct arena *a, const char *const *names, size_t n, struct err *err)
{
    if (n == 0)
        return err_set(err, RC_INVALID, "the list of states is empty");
    if (n > PIPELINE_MAX)
        return err_set(err, RC_INVALID, "the list has %zu states, at most %d are possible", n, PIPELINE_MAX);
    enum rc rc = pipeline_check_required(names, n, err);
    if (!rc)
        rc = check_ends(a, names, n, err);
    if (!rc)
        rc = check_names(a, names, n, err);
    if (!rc && (n - REQUIRED_N) % 2 != 0)
        rc =
            err_set(err, RC_INVALID,
                    "the working state %s lacks its completed state: between PENDING and ERRORED stand pairs",
                    names[n - REQUIRED_N]);
    return rc;
}

enum rc pipeline_make(struct arena *a, const char *const *names, size_t n, struct pipeline **out,
                      struct err *err)
{
    enum rc rc = check_list(a, names, n, err);
    if (rc)
        return rc;
    struct pipeline *p = ARENA_NEW(a, struct pipeline);
    p->n = (unsigned)n;
    p->names = arena_array(a, n, sizeof(p->names[0]));
    for (size_t i = 0; i < n; i++)
        p->names[i] = arena_strdup(a, names[i]);
    *out = p;
    return RC_OK;
}

/* ---- asking one ---- */

enum role pipeline_role(const struct pipeline *p, unsigned state)
{
    assert(state < p->n);
    if (state == 0)
        return ROLE_PENDING;
    switch (p->n - state) {
    case FROM_END_ERRORED: return ROLE_ERRORED;
    case FROM_END_ABORTED: return ROLE_ABORTED;
    case FROM_END_COMPLETE: return ROLE_COMPLETE;
    default: return state % 2 == 1 ? ROLE_WORKING : ROLE_COMPLETED;
    }
}

bool pipeline_is_dead_end(const struct pipeline *p, unsigned state)
{
    assert(state < p->n);
    return p->n - state <= FROM_END_ERRORED;
}

unsigned pipeline_next(const struct pipeline *p, unsigned state)
{
    assert(!pipeline_is_dead_end(p, state));
    unsigned next = state + 1;
    return pipeline_is_dead_end(p, next) ? pipeline_at(p, ROLE_COMPLETE) : next;
}

unsigned pipeline_at(const struct pipeline *p, enum role dead_end)
{
    switch (dead_end) {
    case ROLE_ERRORED: return p->n - FROM_END_ERRORED;
    case ROLE_ABORTED: return p->n - FROM_END_ABORTED;
    case ROLE_COMPLETE: return p->n - FROM_END_COMPLETE;
    case ROLE_PENDING:
    case ROLE_WORKING:
    case ROLE_COMPLETED: break;
    }
    assert(!"not a dead end");
    return 0;
}

bool pipeline_find(const struct pipeline *p, const char *name, unsigned *state)
{
    for (unsigned i = 0; i < p->n; i++) {
        if (strcmp(p->names[i], name) == 0) {
            *state = i;
            return true;
        }
    }
    return false;
}

enum { HINT_MAX = ERR_TEXT_MAX - 200 }; /* leaves room for the last name and what stands around */

const char *pipeline_hint(struct arena *a, const struct pipeline *p, const char *name)
{
    const char **known = arena_array(a, p->n + 1, sizeof(*known));
    memcpy(known, p->names, p->n * sizeof(*known));
    const char *near = text_nearest(name, known);
    if (near)
        return arena_printf(a, "did you mean %s?", near);

    size_t len = 0;
    unsigned n = 0;
    char *list = arena_alloc(a, HINT_MAX + STATE_NAME_MAX + 3);
    for (; n < p->n && len < HINT_MAX; n++)
        len += (size_t)sprintf(list + len, "%s%s", n ? ", " : "", p->names[n]);
    if (n < p->n)
        return arena_printf(a, "there are %s and %u more: see \"lethe states list\"", list, p->n - n);
    return arena_printf(a, "there are %s", list);
}

int pipeline_order(unsigned state)
{
    return 1 + 10 * (int)state;
}

/* ---- two of them ---- */

static bool same_list(const struct pipeline *x, const struct pipeline *y)
{
    if (x->n != y->n)
        return false;
    for (unsigned i = 0; i < x->n; i++)
        if (strcmp(x->names[i], y->names[i]) != 0)
            return false;
    return true;
}

/* The names of `of` that `in` has, or has not. */
static const char **select_names(struct arena *a, const struct pipeline *of, const struct pipeline *in,
                                 bool has, unsigned *n)
{
    const char **list = arena_array(a, of->n, sizeof(list[0]));
    *n = 0;
    for (unsigned i = 0; i < of->n; i++)
        if (text_is_among(of->names[i], in->names, in->n) == has)
            list[(*n)++] = of->names[i];
    return list;
}

void pipeline_compare(struct arena *a, const struct pipeline *before, const struct pipeline *after,
                      struct pipeline_diff *out)
{
    static const struct pipeline none = { .n = 0 };
    if (!before)
        before = &none;
    out->added = select_names(a, after, before, false, &out->n_added);
    out->remaining = select_names(a, after, before, true, &out->n_remaining);
    out->removed = select_names(a, before, after, false, &out->n_removed);
    out->same = same_list(before, after);
}

enum rc pipeline_may_replace(const struct pipeline *before, const struct pipeline *after,
                             const char *const *in_use, size_t n_in_use, struct err *err)
{
    if (before && same_list(before, after))
        return RC_OK;
    for (size_t i = 0; i < n_in_use; i++) {
        if (text_is_among(in_use[i], required, REQUIRED_N))
            continue;
        if (text_is_among(in_use[i], after->names, after->n))
            return err_set(
                err, RC_CONFLICT,
                "retirements are being processed, in state %s: wait until all are in %s, %s, %s or %s",
                in_use[i], required[0], required[1], required[2], required[3]);
        return err_set(err, RC_CONFLICT, "retirements are in state %s, which is about to be removed",
                       in_use[i]);
    }
    return RC_OK;
}
