/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Places of other tools' templates: Jinja, Mustache, shells, Python, SQL. A text with one of them would be
 * sent as it stands, the service would look for a person called "{ original_username }", and find nobody.
 *
 * Doubled braces as such stay, since GraphQL needs them. So within them only the name of a place is refused:
 * alone, with what templates put around a name (blanks, a sign or an object before it, a filter behind it),
 * or in an expression that GraphQL does not have.
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

#define BLANKS " \t\r\n"

static size_t word_len(const char *s)
{
    return strspn(s, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_");
}

/* In any case: {original_email} is not meant by another word. */
static const char *exact_name(const char *word, size_t len, const char *const *names)
{
    while (*names && (strncasecmp(*names, word, len) != 0 || (*names)[len]))
        names++;
    return *names;
}

static const char *alias_name(const char *word, size_t len)
{
    for (size_t i = 0; i < sizeof(aliases) / sizeof(aliases[0]); i++)
        if (strncasecmp(aliases[i][0], word, len) == 0 && !aliases[i][0][len])
            return aliases[i][1];
    return NULL;
}

/* What stands behind an opening: " user.original_email | lower }}". Returns its end; NULL: something else.
 * *word and *len: the name. */
static const char *match_inner(const char *s, const char *close, const char **word, size_t *len)
{
    s += strspn(s, BLANKS "-~=&.$@#^/!>:");
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
    s += strspn(s, BLANKS "-~");
    if (*s == '|' || *s == ':')
        s += strcspn(s, "{}<>[]%\n");
    size_t n = strlen(close);
    return strncasecmp(s, close, n) == 0 ? s + n : NULL;
}

/* Is the word between them part of an expression, as in {{ name.lower() }}, {{ lower(name) }}, {{ name or ''
 * }} and {{ user['name'] }}? GraphQL has fields and arguments with names, and lists of names or texts. */
static bool is_in_expression(const char *inner, const char *word, size_t len)
{
    static const char *const operators[] = { "or ", "and ", "if ", "else " };
    const char *after = word + len + strspn(word + len, BLANKS "\"'"), *before = word;
    while (before > inner && strchr(BLANKS "\"'", before[-1]))
        before--;
    char prior = before > inner ? before[-1] : '\0';
    bool is_operated = (*after && strchr("|[?!+~%", *after)) || (*after == '.' && after[1] != '.');
    for (size_t i = 0; i < sizeof(operators) / sizeof(operators[0]); i++)
        is_operated = is_operated || strncmp(after, operators[i], strlen(operators[i])) == 0;
    return is_operated || (prior == '(' && (*after == ')' || *after == ',')) ||
           (prior == ',' && *after == ')') ||
           (prior == '[' && *after == ']' && before - 1 > inner && word_len(before - 2) > 0);
}

/* {{ an expression }} at s with a name in it; a brace within it is a place of ours, or GraphQL. */
static bool match_expression(struct arena *a, const char *s, const char *const *names, struct foreign *out)
{
    if (strncmp(s, "{{", 2) != 0)
        return false;
    const char *inner = s + 2, *end = inner + strcspn(inner, "{}");
    if (strncmp(end, "}}", 2) != 0)
        return false;
    for (const char *at = inner; at < end;) {
        size_t len = word_len(at);
        const char *meant = len > 0 && !strchr("$@", at[-1]) ? exact_name(at, len, names) : NULL;
        if (meant && is_in_expression(inner, at, len)) {
            out->meant = meant;
            out->written = text_brief(a, arena_strndup(a, s, (size_t)(end + 2 - s)));
            return true;
        }
        at += len > 0 ? len : 1;
    }
    return false;
}

/* One of the forms that begins at s. If it is the whole text, its name needs only be near one of ours; of
 * doubled braces among words it may be what others call it. */
static bool match_form(struct arena *a, const char *s, bool is_first, enum foreign_in in,
                       const char *const *names, struct foreign *out)
{
    for (size_t i = 0; i < FORMS_N; i++) {
        const char *word;
        size_t open = strlen(forms[i].open), len;
        if (strncasecmp(s, forms[i].open, open) != 0 ||
            (in == FOREIGN_IN_XML && strcmp(forms[i].open, "<") == 0))
            continue;
        const char *end = match_inner(s + open, forms[i].close, &word, &len);
        if (!end)
            continue;
        bool is_whole = is_first && !end[strspn(end, BLANKS)];
        out->meant = exact_name(word, len, names);
        if (!out->meant && (is_whole || (in == FOREIGN_IN_WORDS && i == 0)))
            out->meant = alias_name(word, len);
        if (!out->meant && is_whole)
            out->meant = text_nearest(arena_strndup(a, word, len), names);
        out->written = text_brief(a, arena_strndup(a, s, (size_t)(end - s)));
        if (out->meant)
            return true;
    }
    return match_expression(a, s, names, out);
}

/* :name at s, with nothing before it that would make it something else. In data only the whole text is one,
 * since in GraphQL $name is a variable; of a path a part that is /:id is one too. */
static bool match_marked(struct arena *a, const char *text, const char *s, enum foreign_in in,
                         const char *const *names, struct foreign *out)
{
    size_t len = word_len(s + 1);
    const char *end = s + 1 + len;
    bool is_whole = s == text + strspn(text, BLANKS) && !end[strspn(end, BLANKS)];
    if (!strchr(":@$", *s) || len == 0 || len > NAME_MAX_LEN || (in != FOREIGN_IN_QUERY && !is_whole))
        return false;
    if (s > text && (word_len(s - 1) > 0 || strchr(":@${", s[-1])))
        return false;
    out->meant = exact_name(s + 1, len, names);
    if (!out->meant && in == FOREIGN_IN_QUERY && *s == ':' && s > text && s[-1] == '/' && strchr("/?", *end))
        out->meant = alias_name(s + 1, len);
    out->written = arena_strndup(a, s, len + 1);
    return out->meant;
}

bool foreign_find(struct arena *a, const char *text, const char *const *names, enum foreign_in in,
                  struct foreign *out)
{
    const char *first = text + strspn(text, BLANKS);
    for (const char *s = first; *s; s++) {
        if (strncmp(s, "{{{{", 4) == 0) { /* doubled twice on purpose */
            s += 3;
            continue;
        }
        if (match_form(a, s, s == first, in, names, out) || match_marked(a, text, s, in, names, out))
            return true;
        if (s[0] == '{' && s[1] == '{') /* and {{{name}}} is a place in braces */
            s++;
    }
    return false;
}
