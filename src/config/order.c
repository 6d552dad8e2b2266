/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The order of stages. A stage can say what it needs to find (an account under its original user name), what
 * it changes or destroys, and what must still hold in the end. Then it can be told before anybody is retired
 * that a stage would find nobody, because an earlier one has renamed them: a service answers that as if there
 * was nothing to erase.
 *
 * The hard idea is that one walk through a list of stages tells whether an order is right. The search only
 * has to propose one: it sorts by what must stand before what, as near to the file as that allows, and asks
 * the walk. A stage whose work others undo can be proposed a second time, at the end.
 *
 * Entries of the catalogue declare these too, so a file that was right for years can have such a fault: that
 * is told and the file works. What the file itself declares has to hold.
 */
#include "config/config_int.h"

#include <ctype.h>
#include <string.h>

#include "base/text.h"

enum { EFFECTS_MAX = 20 };

static const char original[] = "original"; /* what everything is when a retirement begins */

/* ---- reading ---- */

static bool is_name(const char *text, size_t len)
{
    size_t i = 0;
    while (i < len && (islower((unsigned char)text[i]) || isdigit((unsigned char)text[i]) || text[i] == '_' ||
                       (text[i] == '.' && i > 0 && i + 1 < len && text[i - 1] != '.')))
        i++;
    return len > 0 && i == len;
}

static enum rc read_effect(struct reading *r, const struct setting *s, const struct yaml *at,
                           struct effect *out, struct err *err)
{
    const char *text;
    enum rc rc = yaml_text(at, "something like account.username=original", &text, err);
    if (rc)
        return rc;
    const char *equals = strchr(text, '=');
    size_t len = equals ? (size_t)(equals - text) : strlen(text);
    if (!is_name(text, len) || (equals && !is_name(equals + 1, strlen(equals + 1))))
        return yaml_error(at, err,
                          "expected a name like account.username, or with a value behind =, found %s",
                          text_brief(r->arena, text));
    if (s->min == EFFECT_TO && !equals)
        return yaml_error(at, err, "%s says no value: write it as %s=...", s->key,
                          text_brief(r->arena, text));
    if (s->min == EFFECT_GONE && equals)
        return yaml_error(at, err, "%s takes no value: what is destroyed has none", s->key);
    *out = (struct effect){ arena_strndup(r->arena, text, len), equals ? equals + 1 : NULL };
    return RC_OK;
}

enum rc order_read_effects(struct reading *r, const struct setting *s, const struct yaml *at, void *field,
                           struct err *err)
{
    struct effects *effects = field;
    bool is_list = at->kind == YAML_LIST;
    if (is_list && at->count > EFFECTS_MAX)
        return yaml_value_error(at, err, "there are more than %d", EFFECTS_MAX);
    struct effect *list = arena_array(r->arena, EFFECTS_MAX, sizeof(list[0]));
    enum rc rc = RC_OK;
    effects->n = 0;
    for (const struct yaml *child = is_list ? at->first : at; child; child = is_list ? child->next : NULL)
        reading_go_on(r, child, read_effect(r, s, child, &list[effects->n++], err), &rc, err);
    effects->list = list;
    return rc;
}

/* ---- one walk through an order ---- */

struct walk {
    struct arena *arena;
    const struct stage_conf *stages;
    const size_t *order; /* indices of stages; one can stand there twice */
    size_t n;
};

/* What an order gets wrong: the stage at `of` needs something that the one at `by` has touched, or leaves
 * something that `by` touches later. */
struct order_fault {
    size_t of;
    const struct effect *effect;
    const struct stage_conf *by; /* NULL: nothing has made it so */
    bool destroyed, is_left;
};

static bool is_same_work(const struct stage_conf *a, const struct stage_conf *b)
{
    return a == b || (a->use && b->use && strcmp(a->use, b->use) == 0);
}

/* What destroys "account" destroys "account.username" too. */
static bool is_within(const char *what, const char *whole)
{
    size_t len = strlen(whole);
    return strncmp(what, whole, len) == 0 && (what[len] == '\0' || what[len] == '.');
}

/* Does the stage change or destroy it? *value: to what; NULL: it is destroyed. */
static bool touches(const struct stage_conf *stage, const char *what, const char **value)
{
    bool found = false;
    for (size_t i = 0; i < stage->destroys.n; i++)
        if (is_within(what, stage->destroys.list[i].what)) {
            *value = NULL;
            found = true;
        }
    for (size_t i = 0; i < stage->changes.n; i++)
        if (strcmp(what, stage->changes.list[i].what) == 0) {
            *value = stage->changes.list[i].value;
            found = true;
        }
    return found;
}

static bool holds(const struct effect *effect, const char *value)
{
    return value && (!effect->value || strcmp(effect->value, value) == 0);
}

/* Does it hold behind the first n stages of the order? If not, fault says why. */
static bool holds_behind(const struct walk *walk, size_t n, const struct effect *effect,
                         struct order_fault *fault)
{
    const char *value = original;
    fault->by = NULL;
    for (size_t i = 0; i < n; i++)
        if (touches(&walk->stages[walk->order[i]], effect->what, &value))
            fault->by = &walk->stages[walk->order[i]];
    fault->effect = effect;
    fault->destroyed = !value;
    return holds(effect, value);
}

/* Does a stage from place `from` to before `to` have the same work? */
static bool has_same_work(const struct walk *walk, size_t from, size_t to, const struct stage_conf *stage)
{
    while (from < to && !is_same_work(&walk->stages[walk->order[from]], stage))
        from++;
    return from < to;
}

/* All faults of the order. A stage that stands there again needs nothing any more, and the last one of these
 * is what leaves something. */
static struct order_fault *find_faults(const struct walk *walk, size_t *n)
{
    size_t most = 0;
    for (size_t i = 0; i < walk->n; i++)
        most += walk->stages[walk->order[i]].needs.n + walk->stages[walk->order[i]].leaves.n;
    struct order_fault *faults = arena_array(walk->arena, most + 1, sizeof(faults[0]));
    *n = 0;
    for (size_t i = 0; i < walk->n; i++) {
        const struct stage_conf *stage = &walk->stages[walk->order[i]];
        for (size_t k = 0; k < stage->needs.n && !has_same_work(walk, 0, i, stage); k++) {
            faults[*n] = (struct order_fault){ .of = walk->order[i] };
            *n += !holds_behind(walk, i, &stage->needs.list[k], &faults[*n]);
        }
        for (size_t k = 0; k < stage->leaves.n && !has_same_work(walk, i + 1, walk->n, stage); k++) {
            faults[*n] = (struct order_fault){ .of = walk->order[i], .is_left = true };
            *n += !holds_behind(walk, walk->n, &stage->leaves.list[k], &faults[*n]);
        }
    }
    return faults;
}

/* ---- the search for an order that works ---- */

/* Has a to stand before b? file: the order in which the file has them; stages with the same work keep theirs.
 */
static bool goes_before(const struct walk *file, size_t a_at, size_t b_at, bool with_leaves)
{
    const struct stage_conf *a = &file->stages[a_at], *b = &file->stages[b_at];
    const char *value = NULL;
    if (is_same_work(a, b))
        return a_at < b_at;
    for (size_t i = 0; i < a->needs.n && !has_same_work(file, 0, a_at, a); i++) /* a needs what b spoils */
        if (touches(b, a->needs.list[i].what, &value) && !holds(&a->needs.list[i], value))
            return true;
    for (size_t i = 0; i < b->needs.n && !has_same_work(file, 0, b_at, b); i++) /* b needs what a makes */
        if (touches(a, b->needs.list[i].what, &value) && holds(&b->needs.list[i], value))
            return true;
    if (!with_leaves || has_same_work(file, b_at + 1, file->n, b))
        return false;
    for (size_t i = 0; i < b->leaves.n; i++) /* b repairs what a spoils */
        if (touches(a, b->leaves.list[i].what, &value) && !holds(&b->leaves.list[i], value))
            return true;
    return false;
}

/* Fills in order. False: the stages go in a circle. */
static bool sort(const struct walk *file, bool with_leaves, size_t *order)
{
    size_t n = file->n;
    bool *is_placed = arena_array(file->arena, n, sizeof(is_placed[0]));
    for (size_t placed = 0; placed < n; placed++) {
        size_t i = 0, j = 0;
        for (; i < n; i++) {
            if (is_placed[i])
                continue;
            for (j = 0; j < n; j++)
                if (j != i && !is_placed[j] && goes_before(file, j, i, with_leaves))
                    break;
            if (j == n)
                break;
        }
        if (i == n)
            return false;
        is_placed[i] = true;
        order[placed] = i;
    }
    return true;
}

/* An order without faults, with stages a second time where it takes that; NULL: there is none. */
static const size_t *find_order(const struct walk *file, size_t *length)
{
    size_t n = file->n, n_faults;
    size_t *order = arena_array(file->arena, 2 * n, sizeof(order[0]));
    struct walk walk = { file->arena, file->stages, order, n };
    *length = n;
    if (sort(file, true, order)) {
        find_faults(&walk, &n_faults);
        if (n_faults == 0)
            return order;
    }
    if (!sort(file, false, order))
        return NULL;
    const struct order_fault *faults = find_faults(&walk, &n_faults);
    for (size_t i = 0; i < n_faults; i++)
        if (faults[i].is_left && order[walk.n - 1] != faults[i].of && walk.n < 2 * n)
            order[walk.n++] = faults[i].of;
    find_faults(&walk, &n_faults);
    *length = walk.n;
    return n_faults == 0 ? order : NULL;
}

/* ---- telling ---- */

static const char *effect_words(struct arena *a, const struct effect *effect)
{
    return effect->value ? arena_printf(a, "%s=%s", effect->what, effect->value) : effect->what;
}

static const char *fault_words(struct arena *a, const struct stage_conf *stages,
                               const struct order_fault *fault)
{
    const char *of = stages[fault->of].working, *effect = effect_words(a, fault->effect);
    const char *verb = fault->destroyed ? "destroys" : "changes";
    if (!fault->by)
        return arena_printf(a, "%s needs %s, and no stage before it does that", of, effect);
    if (fault->is_left)
        return arena_printf(a, "%s has to leave %s, and %s behind it %s that", of, effect, fault->by->working,
                            verb);
    return arena_printf(a, "%s needs %s, and %s before it %s that", of, effect, fault->by->working, verb);
}

static const char *order_words(const struct walk *file)
{
    size_t length;
    const size_t *order = find_order(file, &length);
    if (!order)
        return "no order of these stages works: one of them has to find people in another way";
    const char *words = "an order that works: ";
    for (size_t i = 0; i < length; i++)
        words = arena_printf(file->arena, "%s%s%s%s", words, i > 0 ? ", " : "",
                             file->stages[order[i]].working, i >= file->n ? " again, as one more stage" : "");
    return words;
}

enum rc order_check(struct reading *r, const struct yaml *at, const struct stage_conf *stages, size_t n,
                    struct err *err)
{
    size_t *order = arena_array(r->arena, n, sizeof(order[0])), n_faults;
    for (size_t i = 0; i < n; i++)
        order[i] = i;
    struct walk file = { r->arena, stages, order, n };
    const struct order_fault *faults = find_faults(&file, &n_faults);
    if (n_faults == 0)
        return RC_OK;
    const char *works = order_words(&file);
    enum rc rc = RC_OK;
    const char **told = arena_array(r->arena, n_faults + 2, sizeof(told[0]));
    for (size_t i = 0; i < n_faults; i++) {
        const struct yaml *child = at->first;
        for (size_t k = 0; k < faults[i].of; k++)
            child = child->next;
        const struct yaml *own = yaml_get(child, faults[i].is_left ? "leaves" : "needs");
        const char *words = fault_words(r->arena, stages, &faults[i]);
        if (own)
            reading_go_on(r, child, yaml_error(own, err, "%s; %s", words, works), &rc, err);
        told[i] = arena_printf(r->arena, "%s:%u: %s", child->file, child->line, words);
    }
    told[n_faults] = works;
    r->config->order = told;
    return rc;
}
