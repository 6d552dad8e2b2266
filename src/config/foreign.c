/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Places of other tools' templates: Jinja, Mustache, shells, Python, SQL. A text with one of them would be
 * sent as it stands, the service would look for a person called "{ original_username }", and find nobody.
 *
 * Doubled braces as such stay, since GraphQL needs them. So within them only the name of a place is refused,
 * alone or with what templates put around a name: blanks, an object before it, a filter behind it.
 */
#include "config/foreign.h"

#include <string.h>
#include <strings.h>

#include "base/text.h"

enum { NAME_MAX_LEN = 60 };

static const struct {
    const char *open, *close;
} forms[] = { { "{{", "}}" },  { "${", "}" },  { "%{", "}" },    { "$(", ")" }, { "%(", ")s" },
              { "<%=", "%>" }, { "[[", "]]" }, { "%7b", "%7d" }, { "<", ">" },  { "%", "%" } };

enum { FORMS_N = sizeof(forms) / sizeof(forms[0]) };

/* What others call a place. */
static const char *const aliases[][2] = {
    { "username", "original_username" },
    { "user_name", "original_username" },
    { "login", "original_username" },
    { "user", "original_username" },
    { "email", "original_email" },
    { "mail", "original_email" },
    { "email_address", "original_email" },
    { "name", "original_name" },
    { "full_name", "original_name" },
    { "id", "user_id" },
    { "userid", "user_id" },
    { "uid", "user_id" },
};

static size_t word_len(const char *s)
{
    return strspn(s, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_");
}

static const char *exact_name(const char *word, const char *const *names)
{
    while (*names && strcmp(*names, word) != 0)
        names++;
    return *names;
}

static const char *near_name(const char *word, const char *const *names)
{
    for (size_t i = 0; i < sizeof(aliases) / sizeof(aliases[0]); i++)
        if (strcasecmp(aliases[i][0], word) == 0)
            return aliases[i][1];
    return text_nearest(word, names);
}

/* What stands behind an opening: " user.original_email | lower }}". Returns its end; NULL: something else.
 * *word and *len: the name. */
static const char *match_inner(const char *s, const char *close, const char **word, size_t *len)
{
    s += strspn(s, " -~=&.");
    for (;;) {
        *word = s;
        *len = word_len(s);
        s += *len;
        if (*len == 0 || *len > NAME_MAX_LEN)
            return NULL;
        if (*s != '.')
            break;
        s++;
    }
    s += strspn(s, " -~");
    if (*s == '|' || *s == ':')
        s += strcspn(s, "{}<>[]%\n");
    size_t n = strlen(close);
    return strncasecmp(s, close, n) == 0 ? s + n : NULL;
}

/* One of the forms that begins at s. */
static bool match_form(struct arena *a, const char *s, bool is_whole, const char *const *names,
                       struct foreign *out)
{
    for (size_t i = 0; i < FORMS_N; i++) {
        const char *word;
        size_t open = strlen(forms[i].open), len;
        if (strncasecmp(s, forms[i].open, open) != 0)
            continue;
        const char *end = match_inner(s + open, forms[i].close, &word, &len);
        if (!end)
            continue;
        const char *name = arena_strndup(a, word, len);
        out->meant = exact_name(name, names);
        if (!out->meant && is_whole && !end[strspn(end, " \t\n")])
            out->meant = near_name(name, names);
        out->written = text_brief(a, arena_strndup(a, s, (size_t)(end - s)));
        if (out->meant)
            return true;
    }
    return false;
}

/* :name at s, with nothing before it that would make it something else. */
static bool match_marked(struct arena *a, const char *text, const char *s, const char *const *names,
                         struct foreign *out)
{
    size_t len = word_len(s + 1);
    if (!strchr(":@$", *s) || len == 0 || len > NAME_MAX_LEN)
        return false;
    if (s > text && (word_len(s - 1) > 0 || strchr(":@${", s[-1])))
        return false;
    out->meant = exact_name(arena_strndup(a, s + 1, len), names);
    out->written = arena_strndup(a, s, len + 1);
    return out->meant;
}

bool foreign_find(struct arena *a, const char *text, const char *const *names, bool marked,
                  struct foreign *out)
{
    const char *first = text + strspn(text, " \t\n");
    for (const char *s = first; *s; s++) {
        if (strncmp(s, "{{{{", 4) == 0) { /* doubled twice on purpose */
            s += 3;
            continue;
        }
        if (match_form(a, s, s == first, names, out) || (marked && match_marked(a, text, s, names, out)))
            return true;
        if (s[0] == '{' && s[1] == '{') /* and {{{name}}} is a place in braces */
            s++;
    }
    return false;
}
