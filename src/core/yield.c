/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Does a stage still find people? A service that was moved, or that lost its data, answers for everybody that
 * there is nothing to erase, and everybody becomes COMPLETE. So the ends of each stage are counted: a row of
 * people of whom nothing was found is compared with the ends before the row.
 */
#include "core/core.h"

static enum yield_word judge(const struct yield *f, const struct yield_rule *rule)
{
    int64_t before = f->found + f->nobody;
    if (before < rule->after)
        return YIELD_NEW;
    if (f->nobody * YIELD_RARE >= before)
        return YIELD_USUAL;
    return rule->hold ? YIELD_HELD : YIELD_SUSPECT;
}

static void find_somebody(struct yield *f)
{
    bool is_full = f->found + f->nobody >= YIELD_ENDS_MAX;
    if (f->in_row > 0 || !is_full) { /* else nothing changes, and nothing is written */
        f->found++;
        f->nobody += f->in_row;
    }
    while (f->found + f->nobody > YIELD_ENDS_MAX) { /* what is long ago counts less */
        f->found /= 2;
        f->nobody /= 2;
    }
    f->in_row = f->since_at = 0;
    if (f->word != YIELD_HELD)
        f->word = YIELD_QUIET;
}

bool yield_note(struct yield *f, bool nobody, const struct yield_rule *rule, int64_t now)
{
    enum yield_word before = f->word;
    if (!nobody) {
        find_somebody(f);
        return false;
    }
    if (f->in_row++ == 0)
        f->since_at = now;
    if (f->word == YIELD_QUIET && rule->after > 0 && f->in_row >= rule->after)
        f->word = judge(f, rule);
    return f->word != before && f->word != YIELD_USUAL;
}

bool yield_release(struct yield *f)
{
    bool is_suspect = f->word == YIELD_SUSPECT || f->word == YIELD_HELD;
    if (is_suspect)
        f->word = f->in_row > 0 ? YIELD_RELEASED : YIELD_QUIET;
    return is_suspect;
}
