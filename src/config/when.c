/* SPDX-License-Identifier: Apache-2.0 */
/*
 * when and unless: the people that a stage is for. There is no language for conditions: a map of fields, each
 * with a list of patterns, so that every mistake is found when the file is read.
 *
 * Skipping a stage leaves data where it is. So each time the condition is recorded, in words without personal
 * data.
 */
#include "config/config_int.h"

#include <string.h>

#include "base/text.h"

enum { PATTERNS_MAX = 1000 };

/* Of shells, SQL and regular expressions. No user name has one; taken literally, they would match nobody. */
#define OTHER_WILDCARDS "?[]{}\\^$|%"

/* What is compared. Neither user names nor addresses have what lists, groups or quotes; names can. */
enum compared { NAMES, USERNAMES, ADDRESSES };

static const char *const never[] = { [NAMES] = OTHER_WILDCARDS,
                                     [USERNAMES] = OTHER_WILDCARDS ",;()<>\"",
                                     [ADDRESSES] = OTHER_WILDCARDS ",;()<>\"" };

/* ---- reading ---- */

static enum rc check_pattern(struct reading *r, const struct yaml *at, enum compared what, const char *text,
                             struct err *err)
{
    enum rc all = RC_OK;
    size_t len = strlen(text), trimmed = len, before = strcspn(text, never[what]);
    bool is_regular = what != NAMES && text[0] == '.' && strchr("*+", text[1]);
    if (text[before] || is_regular)
        reading_go_on(
            r, at,
            yaml_error(at, err,
                       "%c is no wildcard here, and would only match itself: * is the only one, and "
                       "several patterns can be listed",
                       text[is_regular ? 0 : before]),
            &all, err);
    if (what == ADDRESSES && (!strpbrk(text, "@*") || text[0] == '@'))
        reading_go_on(r, at,
                      yaml_error(at, err, "no address matches this: those of a domain match *@%s",
                                 text_brief(r->arena, text + (text[0] == '@'))),
                      &all, err);
    text_trim(text, &trimmed);
    if (trimmed < len)
        reading_go_on(r, at, yaml_error(at, err, "it begins or ends with a blank"), &all, err);
    return all;
}

/* In the composed form, since what is compared with it can come in another one; an address in lower case,
 * since case does not matter there. */
static enum rc read_pattern(struct reading *r, const struct yaml *at, enum compared what, const char **out,
                            struct err *err)
{
    const char *text;
    enum rc rc = yaml_text(at, "a text, in which * stands for anything", &text, err);
    if (rc)
        return rc;
    *out = text_nfc(r->arena, text);
    if (what == ADDRESSES)
        *out = text_nfc(r->arena, text_lower(r->arena, *out));
    return check_pattern(r, at, what, text, err);
}

static enum rc read_patterns(struct reading *r, const struct yaml *at, enum compared what,
                             const char *const **out, struct err *err)
{
    enum rc rc = yaml_want(at, YAML_LIST, "a list of patterns", err);
    if (!rc)
        rc = yaml_want_count(at, "patterns", 1, PATTERNS_MAX, err);
    if (rc)
        return rc;
    const char **patterns = arena_array(r->arena, at->count + 1, sizeof(patterns[0]));
    size_t n = 0;
    for (const struct yaml *child = at->first; child; child = child->next)
        reading_go_on(r, child, read_pattern(r, child, what, &patterns[n++], err), &rc, err);
    *out = patterns;
    return rc;
}

static enum rc read_names(struct reading *r, const struct setting *s, const struct yaml *at, void *field,
                          struct err *err)
{
    return read_patterns(r, at, NAMES, field, err);
}

static enum rc read_usernames(struct reading *r, const struct setting *s, const struct yaml *at, void *field,
                              struct err *err)
{
    return read_patterns(r, at, USERNAMES, field, err);
}

static enum rc read_addresses(struct reading *r, const struct setting *s, const struct yaml *at, void *field,
                              struct err *err)
{
    return read_patterns(r, at, ADDRESSES, field, err);
}

static enum rc read_known(struct reading *r, const struct setting *s, const struct yaml *at, void *field,
                          struct err *err)
{
    bool unknown;
    enum rc rc = setting_either(r, s, at, &unknown, err);
    if (!rc)
        *(enum known *)field = unknown ? KNOWN_NO : KNOWN_YES;
    return rc;
}

#define OF(field) offsetof(struct conditions, field)

const struct setting when_settings[] = {
    { "original_username", "list of text", read_usernames, OF(original_username), NULL,
      "the user name is one of these; * matches anything" },
    { "original_email", "list of text", read_addresses, OF(original_email), NULL,
      "the address is one of these; upper and lower case do not matter, * matches anything" },
    { "original_name", "list of text", read_names, OF(original_name), NULL,
      "the name is one of these; * matches anything" },
    { "org", "list of text", read_names, OF(org), NULL,
      "one of the person's organisations is one of these; * matches anything" },
    { "user_id", "known or unknown", read_known, OF(user_id), NULL,
      "is the id known by which services know the person?", .choices = "known|unknown" },
    { NULL }
};
#undef OF

enum rc when_read(struct reading *r, const struct setting *s, const struct yaml *at, void *field,
                  struct err *err)
{
    struct conditions *conditions = ARENA_NEW(r->arena, struct conditions);
    enum rc rc = setting_read_map(r, when_settings, at, conditions, err);
    if (!rc && at->count == 0)
        return yaml_value_error(at, err, "it has no condition");
    *(const struct conditions **)field = conditions;
    return rc;
}

/* ---- asking ---- */

/* Goes back to the last * only, which is enough, so the time is at most the product of the lengths. */
static bool matches(const char *pattern, const char *text)
{
    const char *star = NULL, *from = NULL;
    while (*text) {
        if (*pattern == '*') {
            star = ++pattern;
            from = text;
        } else if (*pattern == *text) {
            pattern++;
            text++;
        } else if (star) {
            pattern = star;
            text = ++from;
        } else {
            return false;
        }
    }
    return pattern[strspn(pattern, "*")] == '\0';
}

static bool matches_any(const char *const *patterns, const char *text)
{
    struct arena scratch = { 0 };
    bool found = false;
    const char *composed = text ? text_nfc(&scratch, text) : NULL;
    for (; composed && *patterns && !found; patterns++)
        found = matches(*patterns, composed);
    arena_free(&scratch);
    return found;
}

static bool matches_address(const char *const *patterns, const char *address)
{
    struct arena scratch = { 0 };
    bool found = address && matches_any(patterns, text_lower(&scratch, text_nfc(&scratch, address)));
    arena_free(&scratch);
    return found;
}

enum answer { NOT_ASKED, NO, YES };

#define QUESTIONS(X)     \
    X(original_username) \
    X(original_email)    \
    X(original_name)     \
    X(org)               \
    X(user_id)

enum question {
#define X(name) ASK_##name,
    QUESTIONS(X)
#undef X
        QUESTIONS_N
};

static enum answer ask(enum question question, const struct conditions *c,
                       const struct template_values *person, const char *const *orgs)
{
    switch (question) {
    case ASK_original_username:
        if (!c->original_username)
            return NOT_ASKED;
        return matches_any(c->original_username, person->original_username) ? YES : NO;
    case ASK_original_email:
        if (!c->original_email)
            return NOT_ASKED;
        return matches_address(c->original_email, person->original_email) ? YES : NO;
    case ASK_original_name:
        if (!c->original_name)
            return NOT_ASKED;
        return matches_any(c->original_name, person->original_name) ? YES : NO;
    case ASK_org:
        if (!c->org)
            return NOT_ASKED;
        while (*orgs && !matches_any(c->org, *orgs))
            orgs++;
        return *orgs ? YES : NO;
    case ASK_user_id:
        if (!c->user_id)
            return NOT_ASKED;
        return (c->user_id == KNOWN_YES) == (person->user_id != NULL) ? YES : NO;
    case QUESTIONS_N: break;
    }
    return NOT_ASKED;
}

const char *config_passes_over(const struct stage_conf *stage, const struct template_values *person,
                               const char *const *orgs)
{
    static const char *const when_not[] = {
#define X(name) "when." #name " does not hold",
        QUESTIONS(X)
#undef X
    };
    static const char *const unless[] = {
#define X(name) "unless." #name " holds",
        QUESTIONS(X)
#undef X
    };
    if (stage->no_call)
        return stage->no_call;
    for (enum question i = 0; i < QUESTIONS_N; i++) {
        if (stage->when && ask(i, stage->when, person, orgs) == NO)
            return when_not[i];
        if (stage->unless && ask(i, stage->unless, person, orgs) == YES)
            return unless[i];
    }
    return NULL;
}

static void put_patterns(struct buf *out, const char *name, const char *const *patterns)
{
    for (; patterns && *patterns; patterns++)
        buf_printf(out, " %s %zu:%s", name, strlen(*patterns), *patterns);
}

static void put_conditions(struct buf *out, const char *which, const struct conditions *c)
{
    if (!c)
        return;
    buf_printf(out, " %s", which);
    put_patterns(out, "original_username", c->original_username);
    put_patterns(out, "original_email", c->original_email);
    put_patterns(out, "original_name", c->original_name);
    put_patterns(out, "org", c->org);
    if (c->user_id)
        buf_printf(out, " user_id %d", (int)c->user_id);
}

void config_put_conditions(struct buf *out, const struct stage_conf *stage)
{
    put_conditions(out, "when", stage->when);
    put_conditions(out, "unless", stage->unless);
}
